"""The float64 oracle of networks whose layers are connected in any way: more layers, and a network of them.

The formulas of a single layer are in reference.py. A value that several layers read gets the sum of their gradients. As
reference.py, this imports nothing of fastreg.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import reference as ref


class Join(ref.Layer):
    """A layer of several inputs: forward takes a list, backward gives one gradient for each."""


class Add(Join):
    def forward(self, xs, training, mask_key):
        self.count = len(xs)
        return np.sum(xs, axis=0)

    def backward(self, dy):
        return [dy] * self.count


class Multiply(Join):
    def forward(self, xs, training, mask_key):
        self.xs = xs
        return np.prod(xs, axis=0)

    def backward(self, dy):
        return [dy * np.prod([*self.xs[:i], *self.xs[i + 1 :]], axis=0) for i in range(len(self.xs))]


class Concatenate(Join):
    def forward(self, xs, training, mask_key):
        self.widths = [x.shape[1] for x in xs]
        return np.concatenate(xs, axis=1)

    def backward(self, dy):
        return np.split(dy, np.cumsum(self.widths)[:-1], axis=1)


class Subtract(Join):
    def forward(self, xs, training, mask_key):
        return xs[0] - xs[1]

    def backward(self, dy):
        return [dy, -dy]


class Average(Join):
    def forward(self, xs, training, mask_key):
        self.count = len(xs)
        return np.mean(xs, axis=0)

    def backward(self, dy):
        return [dy / self.count] * self.count


class Extreme(Join):
    """The greatest or the least: at a tie with those before, an input gets half."""

    def forward(self, xs, training, mask_key):
        self.xs, self.before = xs, [xs[0]]
        for x in xs[1:]:
            self.before.append(self.pick(self.before[-1], x))
        return self.before[-1]

    def backward(self, dy):
        found = [dy] * len(self.xs)
        for i in range(len(self.xs) - 1, 0, -1):
            wins = self.pick(self.before[i - 1], self.xs[i]) == self.xs[i]
            share = np.where(self.before[i - 1] == self.xs[i], 0.5, wins)
            found[i], dy = dy * share, dy * (1.0 - share)
        found[0] = dy
        return found


class Maximum(Extreme):
    pick = staticmethod(np.maximum)


class Minimum(Extreme):
    pick = staticmethod(np.minimum)


class Broadcast(Join):
    """Another join of values of which some have one column, which is repeated."""

    def __init__(self, join):
        self.join = join

    def forward(self, xs, training, mask_key):
        self.widths = [x.shape[1] for x in xs]
        return self.join.forward([np.tile(x, (1, max(self.widths) // x.shape[1])) for x in xs], training, mask_key)

    def backward(self, dy):
        found = self.join.backward(dy)
        return [
            d.sum(axis=1, keepdims=True) if width == 1 else d for d, width in zip(found, self.widths, strict=True)
        ]


class Dot(Join):
    """Of values (n, p, length) and (n, q, length), or transposed ones; rows of the result are (p, q)."""

    def __init__(self, length, transposed=(False, False), normalize=False):
        self.length, self.transposed, self.normalize = length, transposed, normalize

    def vectors(self, x, transposed):
        if transposed:
            return np.swapaxes(x.reshape(len(x), self.length, -1), 1, 2)
        return x.reshape(len(x), -1, self.length)

    def forward(self, xs, training, mask_key):
        self.raw = [self.vectors(x, t) for x, t in zip(xs, self.transposed, strict=True)]
        self.norms = [np.linalg.norm(v, axis=2, keepdims=True) if self.normalize else 1.0 for v in self.raw]
        self.units = [v / norm for v, norm in zip(self.raw, self.norms, strict=True)]
        return np.einsum("npk,nqk->npq", *self.units).reshape(len(xs[0]), -1)

    def backward(self, dy):
        a, b = self.units
        dy = dy.reshape(len(dy), a.shape[1], b.shape[1])
        found = []
        both = [np.einsum("npq,nqk->npk", dy, b), np.einsum("npq,npk->nqk", dy, a)]
        for d, unit, norm, transposed in zip(both, self.units, self.norms, self.transposed, strict=True):
            if self.normalize:
                d = (d - unit * (d * unit).sum(axis=2, keepdims=True)) / norm
            found.append((np.swapaxes(d, 1, 2) if transposed else d).reshape(len(d), -1))
        return found


class Embedding(ref.Layer):
    names = ("embeddings",)

    def __init__(self, input_dim, output_dim, penalty=ref.NO_PENALTY):
        self.shape, self.penalty = (input_dim, output_dim), penalty

    def penalty_of(self, name):
        return self.penalty

    def forward(self, x, training, mask_key):
        self.index = x.astype(int)
        return self.p["embeddings"][self.index].reshape(len(x), -1)

    def backward(self, dy):
        self.d = {"embeddings": np.zeros(self.shape)}
        np.add.at(self.d["embeddings"], self.index, dy.reshape(*self.index.shape, -1))
        return np.zeros(self.index.shape)


class EnsembleDense(Join):
    """Reads rows and the numbers of their members: y = a((x * r_i) W * s_i + b_i), or a(x W_i + b_i)."""

    def __init__(
        self, units, members, activation="linear", own_kernels=False, factors=("r", "s"), penalty=ref.NO_PENALTY
    ):
        self.penalty = penalty
        self.units, self.members, self.activation = units, members, ref.Activation(activation)
        self.own, self.factors = own_kernels, () if own_kernels else factors
        first, second = (tuple(name for name in pair if name in self.factors) for pair in ("r", "s"))
        self.names = (*first, "kernel", *second, "bias")

    def penalty_of(self, name):
        return self.penalty if name == "kernel" else ref.NO_PENALTY

    def forward(self, xs, training, mask_key):
        self.x, member = xs
        self.i = member[:, 0].astype(int)
        self.r, self.s = (self.p[name][self.i] if name in self.factors else 1.0 for name in "rs")
        if self.own:
            self.kernels = self.p["kernel"].reshape(self.members, self.units, -1)[self.i]
            self.z = np.einsum("nuk,nk->nu", self.kernels, self.x)
        else:
            self.z = (self.x * self.r) @ self.p["kernel"]
        return self.activation.forward(self.z * self.s + self.p["bias"][self.i], training, mask_key)

    def backward(self, dy):
        dy = self.activation.backward(dy)
        self.d = {"bias": self._by_member(dy)}
        if self.own:
            products = np.einsum("nu,nk->nuk", dy, self.x).reshape(len(dy), -1)
            self.d["kernel"] = self._by_member(products)
            return [np.einsum("nu,nuk->nk", dy, self.kernels), np.zeros((len(dy), 1))]
        dz = dy * self.s
        dx = dz @ self.p["kernel"].T
        self.d["kernel"] = (self.x * self.r).T @ dz
        self.d |= {"s": self._by_member(dy * self.z)} if "s" in self.factors else {}
        self.d |= {"r": self._by_member(dx * self.x)} if "r" in self.factors else {}
        return [dx * self.r, np.zeros((len(dy), 1))]

    def _by_member(self, rows):
        """The sum of the rows of each member."""
        found = np.zeros((self.members, rows.shape[1]))
        np.add.at(found, self.i, rows)
        return found


class CategoryEncoding(ref.Layer):
    def __init__(self, num_tokens, output_mode="multi_hot"):
        self.num_tokens, self.output_mode = num_tokens, output_mode

    def forward(self, x, training, mask_key):
        self.shape = x.shape
        each = x.astype(int)[:, :, None] == np.arange(self.num_tokens)
        if self.output_mode == "one_hot":
            return each.reshape(len(x), -1).astype(float)
        counts = each.sum(axis=1)
        return (np.minimum(counts, 1) if self.output_mode == "multi_hot" else counts).astype(float)

    def backward(self, dy):
        return np.zeros(self.shape)


class Rescaling(ref.Layer):
    def __init__(self, scale, offset=0.0):
        self.scale, self.offset = scale, offset

    def forward(self, x, training, mask_key):
        return x * self.scale + self.offset

    def backward(self, dy):
        return dy * self.scale


class Normalization(ref.Layer):
    names = ("mean", "variance")

    def __init__(self, invert=False):
        self.invert = invert

    def forward(self, x, training, mask_key):
        deviation = np.maximum(np.sqrt(self.p["variance"]), 1e-7)
        return self.p["mean"] + x * deviation if self.invert else (x - self.p["mean"]) / deviation

    def backward(self, dy):
        deviation = np.maximum(np.sqrt(self.p["variance"]), 1e-7)
        return dy * deviation if self.invert else dy / deviation


class Same(ref.Layer):
    """What changes shapes and no elements."""

    def forward(self, x, training, mask_key):
        return x

    def backward(self, dy):
        return dy


class Residual(ref.Layer):
    """y = x + f(x), f being a chain of layers without moving statistics. Weights are named 0.kernel, 0.bias, ..."""

    def __init__(self, layers):
        self.layers = layers
        self.names = tuple(f"{i}.{name}" for i, layer in enumerate(layers) for name in layer.names)

    def forward(self, x, training, mask_key):
        y = x
        for i, layer in enumerate(self.layers):
            layer.p = {name: self.p[f"{i}.{name}"] for name in layer.names}
            y = layer.forward(y, training, mask_key)
        return x + y

    def backward(self, dy):
        dx = dy
        for layer in reversed(self.layers):
            dx = layer.backward(dx)
        self.d = {f"{i}.{name}": layer.d[name] for i, layer in enumerate(self.layers) for name in layer.names}
        return dy + dx


class InferredNormalization(ref.BatchNormalization):
    """A batch normalisation that is not trained: it uses its moving statistics in training, too, and keeps them."""

    def forward(self, x, training, mask_key):
        return super().forward(x, False, mask_key)

    def backward(self, dy):
        p, scale = self.p, 1.0
        if "gamma" in p:
            scale = p["gamma"]
        return dy * scale / np.sqrt(p["moving_variance"] + self.epsilon)


class Output(NamedTuple):
    """value: its number. loss: a row of formulas/losses.py. weight: what its loss is multiplied by in the sum."""

    value: int
    loss: ref.LOSSES
    weight: float = 1.0


class Network:
    """Layers in the order of get_weights, each with the values that it reads: inputs first, then a layer's each.

    untrained: the layers whose weights stay as they are, and whose penalties do not count. Data are lists, one array
    for each input or output.
    """

    def __init__(self, layers, reads, n_inputs, outputs, weights, optimizer=ref.GRADIENT_DESCENT, seed=0, untrained=()):
        self.layers, self.reads, self.n_inputs, self.outputs, self.seed = layers, reads, n_inputs, outputs, seed
        weights = [np.array(w, np.float64) for w in weights]
        assert len(weights) == sum(len(layer.names) for layer in layers)
        self.updaters, self.optimizer, self.steps = {}, optimizer, 0
        for i, layer in enumerate(layers):
            layer.p = {name: weights.pop(0) for name in layer.names}
            for name in layer.names:
                if i not in untrained and name not in ref.STATISTICS:
                    decayed = optimizer.with_decay_times(1.0 if name in ref.DECAYED else 0.0)
                    self.updaters[i, name] = ref.Updater(decayed, layer.penalty_of(name))

    def get_weights(self):
        return ref.Network.get_weights(self)

    def forward(self, xs, training=False):
        """The outputs."""
        values = [np.asarray(x, np.float64) for x in xs]
        for i, (layer, reads) in enumerate(zip(self.layers, self.reads, strict=True)):
            given = [values[value] for value in reads]
            values.append(layer.forward(given if isinstance(layer, Join) else given[0], training, self.key(i)))
        return [values[output.value] for output in self.outputs]

    def key(self, index):
        return self.seed, index, self.steps

    def penalty(self):
        return sum(u.penalty.value(self.layers[i].p[name]) for (i, name), u in self.updaters.items())

    def from_logits(self, output):
        """The loss of an output as one of its logits where its activation is the one that it absorbs, else None."""
        last = getattr(self.layers[output.value - self.n_inputs], "activation", None)
        absorbs = output.loss.absorbs is not None and output.loss.absorbs == last and not output.loss.logits
        return output.loss.replace(from_logits=True) if absorbs else None

    def losses(self, ys, ts):
        """For each output, the loss of each row of the last forward pass."""
        found = []
        for output, y, t in zip(self.outputs, ys, ts, strict=True):
            logits = self.from_logits(output)
            z = self.layers[output.value - self.n_inputs].z if logits else None
            found.append(logits.rows(z, t) if logits else output.loss.rows(y, t))
        return found

    def gradients(self, xs, ts, rs=None):
        """One forward and backward pass in training: the loss of each output; gradients are left in each layer's d.

        They are those of sum_o weight_o sum_i r_oi l_oi / n, r being relative weights."""
        n = len(xs[0])
        rs = [None] * len(self.outputs) if rs is None else rs
        ys = self.forward(xs, training=True)
        losses = [ref.weighted_mean(rows, r) for rows, r in zip(self.losses(ys, ts), rs, strict=True)]
        dys, dzs = {}, {}  # by value; by value, before the activation of the layer that makes it
        for output, y, t, r in zip(self.outputs, ys, ts, rs, strict=True):
            scale = output.weight * (np.ones(n) if r is None else np.asarray(r, np.float64))[:, None] / n
            logits = self.from_logits(output)
            if logits:
                z = self.layers[output.value - self.n_inputs].z
                dzs[output.value] = dzs.get(output.value, 0.0) + scale * logits.row_gradients(z, t)
            else:
                dys[output.value] = dys.get(output.value, 0.0) + scale * output.loss.row_gradients(y, t)
        for i in reversed(range(len(self.layers))):
            value = self.n_inputs + i
            dxs = self.backward(self.layers[i], dys.get(value, 0.0), dzs.get(value))
            for read, dx in zip(self.reads[i], dxs, strict=True):
                dys[read] = dys.get(read, 0.0) + dx
        self.dx = [dys[i] for i in range(self.n_inputs)]
        return losses

    def backward(self, layer, dy, dz):
        """The gradients of a layer's inputs. dz: a further one, of what its activation is applied to."""
        if dz is None:
            dx = layer.backward(dy)
            return dx if isinstance(layer, Join) else [dx]
        dz = dz + (ref.activation_backward(layer.activation, layer.z, dy) if np.ndim(dy) else 0.0)
        if not isinstance(layer, ref.Dense):
            return [dz]
        dx, dw, db = ref.dense_backward(layer.x, layer.p["kernel"], layer.z, dz)
        layer.d = {"kernel": dw, "bias": db}
        return [dx]

    def train_step(self, xs, ts, rs=None, rate=None):
        """One update; returns the loss of each output before it, without penalties."""
        losses = self.gradients(xs, ts, rs)
        found = [
            self.layers[i].d[name] + updater.penalty.gradient(self.layers[i].p[name])
            for (i, name), updater in self.updaters.items()
        ]
        for ((i, name), updater), g in zip(self.updaters.items(), self.optimizer.clipped(found), strict=True):
            self.layers[i].p[name] = updater.move(self.layers[i].p[name], g, rate)
        self.steps += 1
        return losses

    def fit(self, xs, ts, epochs, batch_size, rs=None):
        """As reference.Network.fit; returns for each epoch [loss, loss of each output], the first with penalties."""
        n, history = len(xs[0]), []
        rs = [None] * len(ts) if rs is None else rs
        rs = [np.ones(n) if r is None else np.asarray(r, np.float64) / np.mean(np.asarray(r, np.float64)) for r in rs]
        for _ in range(epochs):
            losses, weights, penalties, sizes = [], [], [], []
            for a in range(0, n, batch_size):
                rows = slice(a, a + batch_size)
                batch = [[part[rows] for part in parts] for parts in (xs, ts, rs)]
                penalties.append(self.penalty())
                losses.append(self.train_step(*batch))
                weights.append([r.sum() for r in batch[2]])
                sizes.append(len(batch[0][0]))
            columns = zip(np.transpose(losses), np.transpose(weights), strict=True)
            means = [ref.weighted_mean(*column) for column in columns]
            history.append([self.total(means) + ref.weighted_mean(penalties, sizes), *means])
        return history

    def total(self, losses):
        return sum(output.weight * loss for output, loss in zip(self.outputs, losses, strict=True))

    def evaluate(self, xs, ts, rs=None):
        """[loss with penalties, loss of each output]."""
        rs = [None] * len(ts) if rs is None else rs
        means = [ref.weighted_mean(rows, r) for rows, r in zip(self.losses(self.forward(xs), ts), rs, strict=True)]
        return [self.total(means) + self.penalty(), *means]
