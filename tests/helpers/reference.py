"""The float64 oracle: every formula of fastreg once more, in NumPy, for clarity and never for speed.

Here are the layers, their random numbers and a network that trains; formulas/ has activations, losses, metrics, update
rules and schedules, whose names this file has too. It is the only other copy of the maths and imports nothing of
fastreg, so that an error in one of them shows as a difference. Forward and backward passes are written separately and
checked against each other by finite differences in test_reference.py.

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
from collections.abc import Mapping

import numpy as np
from formulas.activations import ACTIVATIONS, ELEMENTWISE, ROWS, activation_backward, activation_forward, steepness
from formulas.constraints import Constraint
from formulas.losses import (
    CLIP_HIGH,
    CLIP_LOW,
    LOSSES,
    loss_gradient,
    loss_of,
    loss_row_gradients,
    loss_rows,
    one_hot,
    weighted_mean,
)
from formulas.metrics import METRICS, metric
from formulas.penalties import NO_PENALTY, Penalty
from formulas.rules import (
    RULES,
    SGD,
    STEADY_RULES,
    USUAL_RULES,
    Adadelta,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    Rprop,
    ScheduleFreeAdamW,
    Updater,
)
from formulas.schedules import SCHEDULES

__all__ = [
    "ACTIVATIONS",
    "CLIP_HIGH",
    "CLIP_LOW",
    "ELEMENTWISE",
    "LOSSES",
    "METRICS",
    "ROWS",
    "RULES",
    "SCHEDULES",
    "SGD",
    "STEADY_RULES",
    "USUAL_RULES",
    "Adadelta",
    "Adam",
    "AdamW",
    "Optimizer",
    "Penalty",
    "RMSprop",
    "Rprop",
    "ScheduleFreeAdamW",
    "Updater",
    "loss_gradient",
    "loss_of",
    "loss_row_gradients",
    "loss_rows",
    "metric",
    "one_hot",
    "steepness",
    "weighted_mean",
]

GRADIENT_DESCENT = SGD(0.01)

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


# --------------------------------------------------------------------------------------------------------- network


# Weights that training does not change by gradients, and those that take AdamW's decay.
STATISTICS = ("moving_mean", "moving_variance", "mean", "variance")
DECAYED = ("kernel", "embeddings")

Factors = float | Mapping[str, float]


def factor(factors, name):
    return factors.get(name, 1.0) if isinstance(factors, Mapping) else factors


class Layer:
    """names: its weights in the order of get_weights. forward keeps what backward needs; backward leaves d, by name."""

    names: tuple[str, ...] = ()
    constraints: Mapping[str, Constraint] = {}  # of weights, by name
    # Factors on rate and decay: one for all weights, or those of some by name.
    rates: Factors = 1.0
    decays: Factors = 1.0
    activity = 0.0

    def penalty_of(self, name):
        return NO_PENALTY

    def constrained(self, name, w):
        return self.constraints[name].project(w) if name in self.constraints else w


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
        self.layers, self.loss, self.seed = layers, loss_of(loss, from_logits), seed
        weights = [np.array(w, np.float64) for w in weights]
        assert len(weights) == sum(len(layer.names) for layer in layers)
        self.updaters, self.optimizer = {}, optimizer
        for i, layer in enumerate(layers):
            layer.p = {name: weights.pop(0) for name in layer.names}
            for name in layer.names:
                if name not in STATISTICS:
                    decayed = optimizer.with_decay_times(factor(layer.decays, name) if name in DECAYED else 0.0)
                    self.updaters[i, name] = Updater(decayed, layer.penalty_of(name))
        self.steps, self.accumulated = 0, None

    def get_weights(self):
        """Those to predict with, which are not where ScheduleFreeAdamW takes gradients."""
        names = [(i, name) for i, layer in enumerate(self.layers) for name in layer.names]
        weights = {key: updater.evaluated(self.layers[key[0]].p[key[1]]) for key, updater in self.updaters.items()}
        return [weights[i, name] if (i, name) in weights else self.layers[i].p[name] for i, name in names]

    def forward(self, x, training=False):
        for i, layer in enumerate(self.layers):
            x = layer.forward(x, training, (self.seed, i, self.steps))
        return x

    def penalty(self):
        return sum(u.penalty.value(self.layers[i].p[name]) for (i, name), u in self.updaters.items())

    def activity(self):
        """The penalties of the outputs of layers in the last forward pass, their mean over its rows."""
        return sum(layer.activity for layer in self.layers)

    def losses(self, y, t):
        """The loss of each row of the last forward pass. A cross-entropy behind its own activation is computed from
        the logits: the same value, but not clipped."""
        if self.absorbs_last():
            return self.loss.replace(from_logits=True).rows(self.layers[-1].z, t)
        return self.loss.rows(y, t)

    def absorbs_last(self):
        last = getattr(self.layers[-1], "activation", None)
        return self.loss.absorbs is not None and self.loss.absorbs == last and not self.loss.logits

    def gradients(self, x, t, r=None):
        """One forward and backward pass in training: the data loss; the gradients are left in each layer's d.

        They are those of sum_i r_i l_i / n, r being relative weights."""
        y, last, layers = self.forward(x, training=True), self.layers[-1], self.layers
        loss = weighted_mean(self.losses(y, t), r)
        scale = (np.ones(len(x)) if r is None else np.asarray(r, np.float64))[:, None] / len(x)
        if self.absorbs_last():
            dy, layers = scale * self.loss.replace(from_logits=True).row_gradients(last.z, t), layers[:-1]
            if isinstance(last, Dense):
                dy, dw, db = dense_backward(last.x, last.p["kernel"], last.z, dy)
                last.d = {"kernel": dw, "bias": db}
        else:
            dy = scale * self.loss.row_gradients(y, t)
        for layer in reversed(layers):
            dy = layer.backward(dy)
        return loss

    def show_averages(self):
        """What happens at the end of a fit with averages."""
        for (i, name), updater in self.updaters.items():
            self.layers[i].p[name] = updater.average

    def train_step(self, x, t, r=None, rate=None):
        """One update; returns the loss of the batch before it, without penalties. Gradients may be accumulated."""
        loss = self.gradients(x, t, r)
        self.steps += 1
        batch = [self.layers[i].d[name] for i, name in self.updaters]
        sums = batch if self.accumulated is None else [a + g for a, g in zip(self.accumulated, batch, strict=True)]
        every = self.optimizer.options.gradient_accumulation_steps or 1
        if self.steps % every:
            self.accumulated = sums
            return loss
        self.accumulated = None
        gradients = [
            g / every + updater.penalty.gradient(self.layers[i].p[name])
            for ((i, name), updater), g in zip(self.updaters.items(), sums, strict=True)
        ]
        for ((i, name), updater), g in zip(self.updaters.items(), self.optimizer.clipped(gradients), strict=True):
            layer = self.layers[i]
            its_rate = factor(layer.rates, name) * (self.optimizer.learning_rate if rate is None else rate)
            w = layer.constrained(name, updater.moved(layer.p[name], g, its_rate))
            shown = updater.averaged(w)
            layer.p[name] = w if shown is w else layer.constrained(name, shown)
        return loss

    def batches(self, n, batch_size):
        """The rows of each batch. The last one is short; one row alone is part of the batch before where a layer takes
        the statistics of a batch."""
        starts = list(range(0, n, batch_size))
        statistics = any(isinstance(layer, BatchNormalization) for layer in self.layers)
        if statistics and batch_size > 1 and len(starts) > 1 and n % batch_size == 1:
            starts.pop()
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], n], strict=True)]

    def fit(self, x, t, epochs, batch_size, r=None, rates=None):
        """Batches in order, the last one short; weights are divided by their mean first. Returns each epoch's loss.

        That is the weighted mean over its rows, each with the weights of its time, and the mean over its rows of the
        penalties of their batch (Keras's mean, too: a short last batch counts less).
        """
        history = []
        r = np.ones(len(x)) if r is None else np.asarray(r, np.float64) / np.mean(np.asarray(r, np.float64))
        for _ in range(epochs):
            losses, weights, penalties, sizes = [], [], [], []
            for rows in self.batches(len(x), batch_size):
                penalties.append(self.penalty())
                losses.append(self.train_step(x[rows], t[rows], r[rows], None if rates is None else rates[self.steps]))
                penalties[-1] += self.activity()
                weights.append(r[rows].sum())
                sizes.append(len(r[rows]))
            history.append(weighted_mean(losses, weights) + weighted_mean(penalties, sizes))
        return history

    def evaluate(self, x, t, r=None):
        return weighted_mean(self.losses(self.forward(x), t), r) + self.penalty() + self.activity()
