"""Hand-written NumPy, as fast as plain NumPy can be: every array is preallocated and written in place, the parameters
are in one flat vector, the update runs in blocks that stay in the L2 cache, and dropout uses 16 raw random bits per
element. The notation is that of oracle.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import workloads
from numpy.typing import NDArray
from oracle import optimizer_of
from workloads import Floats, Labels, Network, Update

from peers.base import Peer, Prediction, Trainer, Updater

BLOCK = 16_384


class NumPyUpdater:
    def __init__(self, rule: Update, w: Floats, g: Floats | None = None) -> None:
        self.rule, self.w, self.steps = rule, w, 0
        self._g = w if g is None else g
        self._moments = [np.zeros_like(w) for _ in range(rule.moments)]
        self._a, self._b = np.empty(min(BLOCK, w.size), w.dtype), np.empty(min(BLOCK, w.size), w.dtype)

    def set_gradient(self, g: Floats) -> None:
        self._g = g

    def finish(self) -> None:
        pass

    def parameters(self) -> Floats:
        return self.w

    def step(self) -> None:
        self.steps += 1
        for low in range(0, self.w.size, BLOCK):
            self._block(slice(low, low + BLOCK))

    def _block(self, here: slice) -> None:
        s = self.rule
        w, gradient = self.w[here], self._g[here]
        a, b = self._a[: w.size], self._b[: w.size]
        if s.l1:
            np.sign(w, out=a)
            a *= s.l1
            a += gradient
            gradient = a
        if s.l2:
            np.multiply(w, 2.0 * s.l2, out=b)
            gradient = np.add(gradient, b, out=a)
        if s.weight_decay:
            w *= 1.0 - s.learning_rate * s.weight_decay
        if s.rule == "sgd":
            np.multiply(gradient, s.learning_rate, out=b)
            w -= b
            return
        rate, epsilon, numerator = s.learning_rate, s.epsilon, gradient
        if s.moments == 2:
            # The bias corrections move into the rate and epsilon, which saves two passes.
            root = float(np.sqrt(1.0 - s.beta_2**self.steps))
            rate, epsilon = rate * root / (1.0 - s.beta_1**self.steps), epsilon * root
            numerator = self._moments[0][here]
            numerator *= s.beta_1
            np.multiply(gradient, 1.0 - s.beta_1, out=b)
            numerator += b
        v = self._moments[-1][here]
        v *= s.beta_2
        np.multiply(gradient, gradient, out=b)
        b *= 1.0 - s.beta_2
        v += b
        np.sqrt(v, out=b)
        b += epsilon
        np.divide(numerator, b, out=b)
        b *= rate
        w -= b


@dataclass
class Layer:
    """Views of one layer's parameters and gradients, and buffers of one batch."""

    kernel: Floats
    bias: Floats
    d_kernel: Floats
    d_bias: Floats
    output: Floats  # (batch, out): relu output, or the scores of the last layer
    norm: tuple[Floats, ...] = ()  # gamma, beta, moving mean and variance
    d_norm: tuple[Floats, ...] = ()
    mask: Floats | None = None  # (batch, out): dropout, 0 or 1 / (1 - rate)
    xhat: Floats | None = None  # (batch, out)
    dropped: Floats | None = None  # (batch, out): what the next layer sees, where that is not `output`


class NumPyTrainer:
    def __init__(self, net: Network, weights: list[workloads.Layer], x: Floats, y: Labels) -> None:
        self.net, self.x, self.y = net, x, y
        self._order, self._bits = np.random.default_rng(0), np.random.SFC64(0)
        self._threshold, self._scale = np.uint16(round(net.dropout * 65536)), np.float32(1.0 / (1.0 - net.dropout))
        size = sum(a.size for w in weights for a in [w.kernel, w.bias, *w.norm[:2]])
        self._w, self._g = np.empty(size, np.float32), np.zeros(size, np.float32)
        self._at = 0
        # Penalties and decay apply to kernels only, so they are computed layer by layer and not in the flat update.
        self._update = NumPyUpdater(replace(optimizer_of(net), weight_decay=0.0), self._w, self._g)
        self.layers = [self._layer(w) for w in weights]
        widest = max(layer.output.shape[1] for layer in self.layers)
        self._scratch = np.empty(net.batch * widest, np.float32)
        self._penalty = np.empty(max(layer.kernel.size for layer in self.layers), np.float32)
        self._flags = np.empty(net.batch * widest, np.bool_)

    def _place(self, values: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Copies values into the flat vector and returns the views of the parameter and of its gradient."""
        here = slice(self._at, self._at + values.size)
        self._at += values.size
        w, g = self._w[here].reshape(values.shape), self._g[here].reshape(values.shape)
        w[...] = values
        return w, g

    def _layer(self, w: workloads.Layer) -> Layer:
        def batch() -> Floats:
            return np.empty((self.net.batch, w.bias.size), np.float32)

        (kernel, d_kernel), (bias, d_bias) = self._place(w.kernel), self._place(w.bias)
        layer = Layer(kernel, bias, d_kernel, d_bias, batch())
        if w.norm:
            (gamma, d_gamma), (beta, d_beta) = self._place(w.norm[0]), self._place(w.norm[1])
            layer.norm = (gamma, beta, *(a.astype(np.float32) for a in w.norm[2:]))
            layer.d_norm, layer.xhat = (d_gamma, d_beta), batch()
        if self.net.dropout:
            layer.mask = batch()
        if w.norm or self.net.dropout:
            layer.dropped = batch()
        return layer

    def run(self, epochs: int, shuffle: bool = True) -> int:
        for _ in range(epochs):
            x, y = self.x, self.y
            if shuffle:
                order = self._order.permutation(len(x))
                x, y = x[order], y[order]
            for low in range(0, len(x), self.net.batch):
                self._gradient(x[low : low + self.net.batch], y[low : low + self.net.batch])
                self._update.step()
        return epochs * len(self.x)

    def weights(self) -> list[workloads.Layer]:
        return [workloads.Layer(layer.kernel, layer.bias, layer.norm) for layer in self.layers]

    def predict(self, x: Floats) -> Floats:
        return predictor(self.net, workloads.folded(self.net, self.weights()))(x)

    def _gradient(self, x: Floats, y: Labels) -> None:
        inputs, inv = [x], []
        for layer in self.layers[:-1]:
            h, layer_inv = self._forward(layer, inputs[-1])
            inputs.append(h)
            inv.append(layer_inv)
        d = self._error(inputs[-1], y)
        for index in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[index]
            np.matmul(inputs[index].T, d, out=layer.d_kernel)
            np.add.reduce(d, 0, out=layer.d_bias)
            if index:
                # A gradient of its own buffer: relu's output is needed to tell where it was 0.
                below = self.layers[index - 1]
                d = np.matmul(d, layer.kernel.T, out=self._part(self._scratch, below.output[: len(x)]))
                d = self._backward(below, d, inv[index - 1])
            self._penalise(layer, index)

    def _part(self, buffer: NDArray[Any], like: Floats) -> NDArray[Any]:
        return buffer[: like.size].reshape(like.shape)

    def _forward(self, layer: Layer, h: Floats) -> tuple[Floats, Floats | None]:
        net, n = self.net, len(h)
        a, inv = layer.output[:n], None
        out = a if layer.dropped is None else layer.dropped[:n]
        np.matmul(h, layer.kernel, out=a)
        a += layer.bias
        np.maximum(a, 0.0, out=a)
        if layer.xhat is not None:
            gamma, beta, *moving = layer.norm
            xhat = layer.xhat[:n]
            mean = np.add.reduce(a, 0)
            mean *= 1.0 / n
            np.subtract(a, mean, out=xhat)
            variance = np.einsum("ij,ij->j", xhat, xhat)
            variance *= 1.0 / n
            inv = variance + net.bn_epsilon
            np.sqrt(inv, out=inv)
            np.reciprocal(inv, out=inv)
            xhat *= inv
            for old, new in zip(moving, (mean, variance), strict=True):
                old *= net.bn_momentum
                new *= 1.0 - net.bn_momentum
                old += new
            np.multiply(xhat, gamma, out=out)
            out += beta
        if layer.mask is not None:
            words = self._bits.random_raw((out.size + 3) // 4).view(np.uint16)[: out.size].reshape(out.shape)
            keep = np.greater_equal(words, self._threshold, out=self._part(self._flags, out))
            mask = np.multiply(keep, self._scale, out=layer.mask[:n])
            np.multiply(a if layer.xhat is None else out, mask, out=out)
        return out, inv

    def _error(self, h: Floats, y: Labels) -> Floats:
        n, last = len(h), self.layers[-1]
        d: Floats = np.matmul(h, last.kernel, out=last.output[:n])
        d += last.bias
        if self.net.binary:
            np.negative(d, out=d)
            np.exp(d, out=d)
            d += 1.0
            np.reciprocal(d, out=d)
            d[:, 0] -= y
        else:
            d -= d.max(axis=1, keepdims=True)
            np.exp(d, out=d)
            d /= d.sum(axis=1, keepdims=True)
            d[np.arange(n), y] -= 1.0
        d *= 1.0 / n
        return d

    def _backward(self, layer: Layer, d: Floats, inv: Floats | None) -> Floats:
        n = len(d)
        if layer.mask is not None:
            d *= layer.mask[:n]
        positive = np.greater(layer.output[:n], 0.0, out=self._part(self._flags, d))
        if layer.xhat is not None and inv is not None:
            xhat, (d_gamma, d_beta) = layer.xhat[:n], layer.d_norm
            np.add.reduce(d, 0, out=d_beta)
            np.einsum("ij,ij->j", d, xhat, out=d_gamma)
            xhat *= d_gamma * (1.0 / n)
            d -= xhat
            d -= d_beta * (1.0 / n)
            inv *= layer.norm[0]
            d *= inv
        # relu's output is read for the last time: its buffer takes the gradient, and the scratch is free again.
        return np.multiply(d, positive, out=layer.output[:n])

    def _penalise(self, layer: Layer, index: int) -> None:
        net, scratch = self.net, self._part(self._penalty, layer.kernel)
        if net.l1_of(index):
            np.sign(layer.kernel, out=scratch)
            scratch *= net.l1
            layer.d_kernel += scratch
        if net.l2_of(index):
            np.multiply(layer.kernel, 2.0 * net.l2, out=scratch)
            layer.d_kernel += scratch
        if net.weight_decay:
            np.multiply(layer.kernel, 1.0 - net.learning_rate * net.weight_decay, out=layer.kernel)


def predictor(net: Network, plain: list[workloads.Layer]) -> Callable[[Floats], Floats]:
    """Probabilities for rows of x, from folded layers."""
    *hidden, last = [(layer.kernel, layer.bias) for layer in plain]

    def predict(x: Floats) -> Floats:
        h: Any = x
        for kernel, bias in hidden:
            h = h @ kernel
            h += bias
            np.maximum(h, 0.0, out=h)
        z = h @ last[0]
        z += last[1]
        if net.binary:
            np.negative(z, out=z)
            np.exp(z, out=z)
            z += 1.0
            return np.asarray(np.reciprocal(z, out=z))
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=1, keepdims=True)
        return np.asarray(z)

    return predict


class NumPy(Peer):
    label, package = "NumPy", "numpy"
    notes: ClassVar = {"train": "hand-written, in place", "update": "in place, in blocks", "predict": "folded"}

    def version(self) -> str:
        return f"NumPy {np.__version__}"

    def trainer(self, net: Network, weights: list[workloads.Layer], x: Floats, y: Labels) -> Trainer:
        return NumPyTrainer(net, weights, x, y)

    def updater(self, rule: Update, w: Floats) -> Updater:
        return NumPyUpdater(rule, w)

    def predictor(self, net: Network, weights: list[workloads.Layer], x: Floats) -> Prediction:
        return Prediction(predictor(net, workloads.folded(net, weights)), x)
