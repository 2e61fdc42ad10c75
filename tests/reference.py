"""The float64 oracle: every formula of fastreg once more, in NumPy, for clarity and never for speed.

It is the only other copy of the maths and imports nothing of fastreg, so that an error in one of them shows as a
difference. Forward and backward passes are written separately and checked against each other by finite differences in
test_reference.py.

Notation
    n               rows of a batch
    x, y            input and output of a layer                                 (n, in), (n, out)
    z               value before an activation                                  (n, out)
    w, b            kernel and bias                                             (in, out), (out,)
    gamma, beta     scale and shift of a batch normalisation                    (out,)
    mean, inv_std   of one batch's columns; inv_std = 1 / sqrt(var + epsilon)   (out,)
    t               targets, or int labels (n,) for the sparse loss             (n, out)
    r               weights of the rows; in training steps relative to the mean
                    over all rows that are trained on                           (n,)
    g, m, v         gradient of a parameter and its moments                     shape of the parameter
    dq              gradient of the batch's loss with respect to q              shape of q
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

LEAKY_RELU_SLOPE = 0.2
# Probabilities are clipped in float32 arithmetic; 1 - 1e-7 is not a float32 number, so its neighbour counts.
CLIP_LOW = float(np.float32(1e-7))
CLIP_HIGH = float(np.float32(1.0) - np.float32(1e-7))
# A row's sum of outputs that is smaller in size is replaced by this before the row is divided by it.
SMALLEST_SUM = float(np.float32(1e-30))

# ---------------------------------------------------------------------------------------------------- activations


def _sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


def _normal_cdf(z):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in np.ravel(z)]).reshape(np.shape(z))


def _normal_pdf(z):
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True)) if z.size else z
    return e / e.sum(axis=-1, keepdims=True)


# name: (f(z), f'(z)). Softmax is not element by element and stands apart.
ELEMENTWISE = {
    "linear": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0.0, 1.0, 0.0)),
    "leaky_relu": (
        lambda z: np.where(z > 0.0, z, LEAKY_RELU_SLOPE * z),
        lambda z: np.where(z > 0.0, 1.0, LEAKY_RELU_SLOPE),
    ),
    "elu": (
        lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))),
        lambda z: np.where(z > 0.0, 1.0, np.exp(np.minimum(z, 0.0))),
    ),
    "gelu": (lambda z: z * _normal_cdf(z), lambda z: _normal_cdf(z) + z * _normal_pdf(z)),
    "silu": (lambda z: z * _sigmoid(z), lambda z: _sigmoid(z) * (1.0 + z * _sigmoid(-z))),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "softplus": (lambda z: np.logaddexp(0.0, z), _sigmoid),
}
ACTIVATIONS = (*ELEMENTWISE, "softmax")


def activation_forward(name, z):
    z = np.asarray(z, np.float64)
    return _softmax(z) if name == "softmax" else ELEMENTWISE[name][0](z)


def activation_backward(name, z, dy):
    """dz, from the value before the activation."""
    z, dy = np.asarray(z, np.float64), np.asarray(dy, np.float64)
    if name == "softmax":
        y = _softmax(z)
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dy * ELEMENTWISE[name][1](z)


# --------------------------------------------------------------------------------------------------------- layers


def dense_forward(x, w, b, activation="linear"):
    """(y, z); b may be None."""
    z = x @ w if b is None else x @ w + b
    return activation_forward(activation, z), z


def dense_backward(x, w, z, dy, activation="linear"):
    """(dx, dw, db)."""
    dz = activation_backward(activation, z, dy)
    return dz @ w.T, x.T @ dz, dz.sum(axis=0)


def batch_norm_train(x, gamma, beta, epsilon):
    """(y, mean, biased variance) with the statistics of the batch itself."""
    mean = x.mean(axis=0)
    variance = ((x - mean) ** 2).mean(axis=0)
    return batch_norm_infer(x, gamma, beta, mean, variance, epsilon), mean, variance


def batch_norm_infer(x, gamma, beta, mean, variance, epsilon):
    y = (x - mean) / np.sqrt(variance + epsilon)
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


def batch_norm_backward(x, dy, gamma, mean, inv_std):
    """(dx, dgamma, dbeta); mean and inv_std depend on x, which the two subtracted terms account for."""
    x_hat = (x - mean) * inv_std
    dgamma, dbeta = (dy * x_hat).sum(axis=0), dy.sum(axis=0)
    dx = inv_std * (dy - dbeta / len(x) - x_hat * dgamma / len(x))
    return dx if gamma is None else dx * gamma, dgamma, dbeta


def moving_average(old, batch, momentum):
    return momentum * old + (1.0 - momentum) * batch


def dropout_threshold(rate):
    """The rate in force, in 1/65536: masks are drawn from 16 random bits an element."""
    return min(math.floor(65536.0 * rate + 0.5), 65535)


def dropout(x, keep, rate):
    """Inverted dropout with a given mask; its backward pass is the same function of dy."""
    return np.where(keep, x * 65536.0 / (65536.0 - dropout_threshold(rate)), 0.0)


# -------------------------------------------------------------------------------------------------- random numbers

_MASK32 = np.uint64(0xFFFFFFFF)


def philox4x32_10(counter, key):
    """Philox4x32-10 (Salmon et al., SC 2011): counters (..., 4) and keys (..., 2) of 32-bit words to words (..., 4)."""
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, np.uint64), -1, 0)
    k0, k1 = np.moveaxis(np.asarray(key, np.uint64), -1, 0)
    for _ in range(10):
        product0, product2 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (product2 >> np.uint64(32)) ^ c1 ^ k0,
            product2 & _MASK32,
            (product0 >> np.uint64(32)) ^ c3 ^ k1,
            product0 & _MASK32,
        )
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & _MASK32, (k1 + np.uint64(0xBB67AE85)) & _MASK32
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), axis=-1).astype(np.uint32)


def random_words(seed, stream, step, first, n):
    """Blocks [first, first + n) of a stream, (n, 4): key = seed, counter = {block low, block high, stream, step}."""
    block = np.arange(n, dtype=np.uint64) + np.uint64(first)
    counter = np.stack(
        [block & _MASK32, block >> np.uint64(32), np.full_like(block, stream), np.full_like(block, step)], -1
    )
    return philox4x32_10(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint64))


def leading_dimension(cols):
    """Floats from one row of a rows matrix to the next (kernels.h)."""
    return 1 if cols == 1 else (cols + 15) // 16 * 16


def dropout_keep(seed, stream, step, shape, rate):
    """The keep mask of kernels.h: 16 random bits for each element of the padded buffer, kept from the threshold on.

    Element e = 128 g + 32 i + 2 l + h takes half h (0: low) of word i of block 16 g + l.
    """
    rows, cols = shape
    ld = leading_dimension(cols)
    groups = -(-rows * ld // 128)
    words = random_words(seed, stream, step, 0, 16 * groups).reshape(groups, 16, 4)  # g, l, i
    halves = np.stack([words & 0xFFFF, words >> 16], axis=-1)  # g, l, i, h
    flat = np.moveaxis(halves, 1, 2).reshape(-1)  # g, i, l, h
    return (flat[: rows * ld] >= dropout_threshold(rate)).reshape(rows, ld)[:, :cols]


# --------------------------------------------------------------------------------------------------------- losses


def loss_rows(kind, y, t, from_logits=False):
    """The unweighted loss of each row, (n,); columns are averaged where the loss is element by element."""
    y = np.asarray(y, np.float64)
    if kind == "mean_squared_error":
        return ((y - t) ** 2).mean(axis=1)
    if kind == "binary_crossentropy":
        if from_logits:
            return (np.logaddexp(0.0, y) - t * y).mean(axis=1)
        p = np.clip(y, CLIP_LOW, CLIP_HIGH)
        return -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p)).mean(axis=1)
    if kind == "sparse_categorical_crossentropy":
        kind, t = "categorical_crossentropy", one_hot(t, y.shape[1])
    assert kind == "categorical_crossentropy"
    if from_logits:
        return np.logaddexp.reduce(y, axis=1) * t.sum(axis=1) - (t * y).sum(axis=1)
    return -(t * np.log(np.clip(y / divisor_of_shares(y), CLIP_LOW, CLIP_HIGH))).sum(axis=1)


def divisor_of_shares(y):
    """The sums of the rows (n, 1), which make shares of outputs that no softmax has made."""
    total = y.sum(axis=1, keepdims=True)
    return np.where(np.abs(total) < SMALLEST_SUM, SMALLEST_SUM, total)


def loss_gradient(kind, y, t, r=None, from_logits=False):
    """dy of sum_i r_i l_i / sum_i r_i."""
    r = np.ones(len(y)) if r is None else np.asarray(r, np.float64)
    scale = r / r.sum() if r.any() else np.zeros(len(y))
    return scale[:, None] * loss_row_gradients(kind, y, t, from_logits)


def loss_row_gradients(kind, y, t, from_logits=False):
    """dy of each row's own loss."""
    y = np.asarray(y, np.float64)
    if kind == "sparse_categorical_crossentropy":
        kind, t = "categorical_crossentropy", one_hot(t, y.shape[1])
    if kind == "mean_squared_error":
        return 2.0 * (y - t) / y.shape[1]
    if kind == "binary_crossentropy":
        if from_logits:
            return (_sigmoid(y) - t) / y.shape[1]
        p = np.clip(y, CLIP_LOW, CLIP_HIGH)
        inside = (y >= CLIP_LOW) & (y <= CLIP_HIGH)
        return np.where(inside, (p - t) / (p * (1.0 - p)), 0.0) / y.shape[1]
    assert kind == "categorical_crossentropy"
    if from_logits:
        return _softmax(y) * t.sum(axis=1, keepdims=True) - t
    # l(p) with p = y / s: dl/dy_j = dl/dp_j / s - sum_k dl/dp_k y_k / s^2.
    s = divisor_of_shares(y)
    p = y / s
    dp = np.where((p >= CLIP_LOW) & (p <= CLIP_HIGH), -t / np.clip(p, CLIP_LOW, CLIP_HIGH), 0.0)
    return dp / s - (dp * y).sum(axis=1, keepdims=True) / (s * s)


def weighted_mean(values, r=None):
    """0 where no row has a weight."""
    return float(np.average(values, weights=r)) if r is None or np.any(r) else 0.0


def one_hot(labels, n_classes):
    return np.eye(n_classes)[np.asarray(labels).reshape(-1)]


# -------------------------------------------------------------------------------------------- penalties and updates


class Penalty(NamedTuple):
    l1: float = 0.0
    l2: float = 0.0
    proximal: bool = False

    def value(self, w):
        return self.l1 * np.abs(w).sum() + self.l2 * (w * w).sum()

    def gradient(self, w):
        return (0.0 if self.proximal else self.l1 * np.sign(w)) + 2.0 * self.l2 * w


NO_PENALTY = Penalty()


def soft_threshold(w, threshold):
    return np.sign(w) * np.maximum(np.abs(w) - threshold, 0.0)


class Optimizer(NamedTuple):
    """rule: sgd (with momentum and nesterov), adam, adamw or rmsprop; beta_2 is RMSprop's rho.

    clip: None, or how gradients are clipped, ("clipvalue", "clipnorm" or "global_clipnorm", limit).
    """

    rule: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    weight_decay: float = 0.0
    clip: tuple[str, float] | None = None

    def clipped(self, gradients):
        """Whole gradients, penalties included, as the rule gets them."""
        kind, limit = self.clip or ("none", 0.0)
        if kind == "clipvalue":
            return [np.clip(g, -limit, limit) for g in gradients]
        norms = [np.sqrt((g * g).sum()) for g in gradients]
        if kind == "global_clipnorm":
            norms = [np.sqrt(sum(norm * norm for norm in norms))] * len(gradients)
        if kind == "none":
            return gradients
        return [g if norm <= limit else g * (limit / norm) for g, norm in zip(gradients, norms, strict=True)]


GRADIENT_DESCENT = Optimizer()
# Adam, AdamW and RMSprop take larger gradients for this one, whose square is still a float32 number.
LARGEST_GRADIENT = float.fromhex("0x1.fefp63")


class Updater:
    """The moments of one parameter and its update. step() returns the new parameter, move() that from a gradient which
    has been clipped and has the penalties in it.

    A proximal penalty is a constant pull of l1 towards zero, which takes every step that a constant gradient l1 takes
    under the same rule: a second first moment, `pull`, is fed with ones, and the threshold is l1 times the step that it
    makes. So there is no formula of the threshold here that could be wrong in the same way as that of the core.
    """

    def __init__(self, optimizer, penalty=NO_PENALTY):
        self.optimizer, self.penalty = optimizer, penalty
        self.m = self.v = self.pull = 0.0
        self.t = 0

    def step(self, w, g, rate=None):
        (g,) = self.optimizer.clipped([g + self.penalty.gradient(w)])
        return self.move(w, g, rate)

    def move(self, w, g, rate=None):
        o = self.optimizer
        rate = o.learning_rate if rate is None else rate
        self.t += 1
        w = w - rate * o.weight_decay * w
        if o.rule != "sgd":
            g = np.clip(g, -LARGEST_GRADIENT, LARGEST_GRADIENT)
        self.m, self.pull = self.first_moment(self.m, g), self.first_moment(self.pull, 1.0)
        self.v = o.beta_2 * self.v + (1.0 - o.beta_2) * g * g
        if o.rule == "sgd":
            size = rate
        elif o.rule in ("adam", "adamw"):
            size = rate / (np.sqrt(self.v / (1.0 - o.beta_2**self.t)) + o.epsilon)
        else:
            assert o.rule == "rmsprop"
            size = rate / (np.sqrt(self.v) + o.epsilon)
        w = w - size * self.direction(self.m, g)
        if not self.penalty.proximal:
            return w
        return soft_threshold(w, size * self.direction(self.pull, 1.0) * self.penalty.l1)

    def first_moment(self, m, g):
        o = self.optimizer
        return o.momentum * m + g if o.rule == "sgd" else o.beta_1 * m + (1.0 - o.beta_1) * g

    def direction(self, m, g):
        """What a step follows, from the gradient and the new first moment."""
        o = self.optimizer
        if o.rule == "sgd":
            return g + o.momentum * m if o.nesterov else m
        return g if o.rule == "rmsprop" else m / (1.0 - o.beta_1**self.t)


# ------------------------------------------------------------------------------------------------------- schedules


def step_decay(step, initial, step_size, gamma):
    return initial * gamma ** (step // step_size)


def exponential_decay(step, initial, decay_steps, decay_rate, staircase=False):
    return initial * decay_rate ** (step // decay_steps if staircase else step / decay_steps)


def cosine_decay(step, initial, decay_steps, alpha=0.0):
    done = min(step, decay_steps) / decay_steps
    return initial * ((1.0 - alpha) * 0.5 * (1.0 + math.cos(math.pi * done)) + alpha)


def piecewise_constant(step, boundaries, values):
    """values[i] up to and including the step boundaries[i] (Keras)."""
    return values[sum(step > boundary for boundary in boundaries)]


# --------------------------------------------------------------------------------------------------------- metrics


def metric(name, y, t, r=None):
    """Weighted mean over the rows of the final outputs; t as for the loss."""
    if name == "binary_accuracy":
        rows = ((y > 0.5) == (t > 0.5)).mean(axis=1)
    elif name == "categorical_accuracy":
        rows = y.argmax(axis=1) == t.argmax(axis=1)
    elif name == "sparse_categorical_accuracy":
        rows = y.argmax(axis=1) == np.asarray(t).reshape(-1)
    elif name == "mean_squared_error":
        rows = ((y - t) ** 2).mean(axis=1)
    else:
        assert name == "mean_absolute_error"
        rows = np.abs(y - t).mean(axis=1)
    return weighted_mean(rows, r)


# --------------------------------------------------------------------------------------------------------- network


class Layer:
    """names: its weights in the order of get_weights. forward keeps what backward needs; backward leaves d, by name."""

    names: tuple[str, ...] = ()

    def penalty_of(self, name):
        return NO_PENALTY


class Dense(Layer):
    def __init__(self, units, activation="linear", use_bias=True, kernel_penalty=NO_PENALTY, bias_penalty=NO_PENALTY):
        self.units, self.activation = units, activation
        self.penalties = {"kernel": kernel_penalty, "bias": bias_penalty}
        self.names = ("kernel", "bias") if use_bias else ("kernel",)

    def penalty_of(self, name):
        return self.penalties[name]

    def forward(self, x, training, mask_key):
        self.x = x
        y, self.z = dense_forward(x, self.p["kernel"], self.p.get("bias"), self.activation)
        return y

    def backward(self, dy):
        dx, dw, db = dense_backward(self.x, self.p["kernel"], self.z, dy, self.activation)
        self.d = {"kernel": dw, "bias": db}
        return dx


class Activation(Layer):
    def __init__(self, activation):
        self.activation = activation

    def forward(self, x, training, mask_key):
        self.z = x
        return activation_forward(self.activation, x)

    def backward(self, dy):
        return activation_backward(self.activation, self.z, dy)


class BatchNormalization(Layer):
    def __init__(self, momentum=0.99, epsilon=1e-3, center=True, scale=True):
        self.momentum, self.epsilon = momentum, epsilon
        self.names = ("gamma",) * scale + ("beta",) * center + ("moving_mean", "moving_variance")

    def forward(self, x, training, mask_key):
        p = self.p
        if not training:
            return batch_norm_infer(
                x, p.get("gamma"), p.get("beta"), p["moving_mean"], p["moving_variance"], self.epsilon
            )
        y, mean, variance = batch_norm_train(x, p.get("gamma"), p.get("beta"), self.epsilon)
        p["moving_mean"] = moving_average(p["moving_mean"], mean, self.momentum)
        p["moving_variance"] = moving_average(p["moving_variance"], variance, self.momentum)
        self.saved = x, mean, 1.0 / np.sqrt(variance + self.epsilon)
        return y

    def backward(self, dy):
        x, mean, inv_std = self.saved
        dx, dgamma, dbeta = batch_norm_backward(x, dy, self.p.get("gamma"), mean, inv_std)
        self.d = {"gamma": dgamma, "beta": dbeta}
        return dx


class Dropout(Layer):
    def __init__(self, rate):
        self.rate = rate

    def forward(self, x, training, mask_key):
        if not training:
            return x
        self.keep = dropout_keep(*mask_key, x.shape, self.rate)
        return dropout(x, self.keep, self.rate)

    def backward(self, dy):
        return dropout(dy, self.keep, self.rate)


class Network:
    """Layers with weights in the order of get_weights, and a training step.

    The stream of a dropout layer's mask is its position among all layers, its step the training step from 0.
    """

    def __init__(
        self, layers, weights, loss="mean_squared_error", from_logits=False, optimizer=GRADIENT_DESCENT, seed=0
    ):
        self.layers, self.loss, self.from_logits, self.seed = layers, loss, from_logits, seed
        weights = [np.array(w, np.float64) for w in weights]
        assert len(weights) == sum(len(layer.names) for layer in layers)
        self.updaters, self.optimizer = {}, optimizer
        for i, layer in enumerate(layers):
            layer.p = {name: weights.pop(0) for name in layer.names}
            for name in layer.names:
                if not name.startswith("moving"):
                    decayed = optimizer if name == "kernel" else optimizer._replace(weight_decay=0.0)
                    self.updaters[i, name] = Updater(decayed, layer.penalty_of(name))
        self.steps = 0

    def get_weights(self):
        return [layer.p[name] for layer in self.layers for name in layer.names]

    def forward(self, x, training=False):
        for i, layer in enumerate(self.layers):
            x = layer.forward(x, training, (self.seed, i, self.steps))
        return x

    def penalty(self):
        return sum(u.penalty.value(self.layers[i].p[name]) for (i, name), u in self.updaters.items())

    def losses(self, y, t):
        """The loss of each row of the last forward pass. A cross-entropy behind its own activation is computed from
        the logits: the same value, but not clipped."""
        return loss_rows(self.loss, self.layers[-1].z if self.absorbs_last() else y, t, self.starts_from_logits())

    def absorbs_last(self):
        name = getattr(self.layers[-1], "activation", None)
        return not self.from_logits and name == {
            "binary_crossentropy": "sigmoid",
            "categorical_crossentropy": "softmax",
            "sparse_categorical_crossentropy": "softmax",
        }.get(self.loss, "none")

    def starts_from_logits(self):
        return self.from_logits or self.absorbs_last()

    def gradients(self, x, t, r=None):
        """One forward and backward pass in training: the data loss; the gradients are left in each layer's d.

        They are those of sum_i r_i l_i / n, r being relative weights."""
        y, last, layers = self.forward(x, training=True), self.layers[-1], self.layers
        loss = weighted_mean(self.losses(y, t), r)
        scale = (np.ones(len(x)) if r is None else np.asarray(r, np.float64))[:, None] / len(x)
        if self.absorbs_last():
            dy, layers = scale * loss_row_gradients(self.loss, last.z, t, from_logits=True), layers[:-1]
            if isinstance(last, Dense):
                dy, dw, db = dense_backward(last.x, last.p["kernel"], last.z, dy)
                last.d = {"kernel": dw, "bias": db}
        else:
            dy = scale * loss_row_gradients(self.loss, y, t, self.from_logits)
        for layer in reversed(layers):
            dy = layer.backward(dy)
        return loss

    def train_step(self, x, t, r=None, rate=None):
        """One update; returns the loss of the batch before it, without penalties."""
        loss = self.gradients(x, t, r)
        gradients = [
            self.layers[i].d[name] + updater.penalty.gradient(self.layers[i].p[name])
            for (i, name), updater in self.updaters.items()
        ]
        for ((i, name), updater), g in zip(self.updaters.items(), self.optimizer.clipped(gradients), strict=True):
            self.layers[i].p[name] = updater.move(self.layers[i].p[name], g, rate)
        self.steps += 1
        return loss

    def fit(self, x, t, epochs, batch_size, r=None, rates=None):
        """Batches in order, the last one short; weights are divided by their mean first. Returns each epoch's loss.

        That is the weighted mean over its rows, each with the weights of its time, and the mean over its rows of the
        penalties of their batch (Keras's mean, too: a short last batch counts less).
        """
        history = []
        r = np.ones(len(x)) if r is None else np.asarray(r, np.float64) / np.mean(np.asarray(r, np.float64))
        for _ in range(epochs):
            losses, weights, penalties, sizes = [], [], [], []
            for a in range(0, len(x), batch_size):
                rows = slice(a, a + batch_size)
                penalties.append(self.penalty())
                losses.append(self.train_step(x[rows], t[rows], r[rows], None if rates is None else rates[self.steps]))
                weights.append(r[rows].sum())
                sizes.append(len(r[rows]))
            history.append(weighted_mean(losses, weights) + weighted_mean(penalties, sizes))
        return history

    def evaluate(self, x, t, r=None):
        return weighted_mean(self.losses(self.forward(x), t), r) + self.penalty()
