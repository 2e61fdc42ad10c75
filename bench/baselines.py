"""The workloads in hand-written NumPy, as fast as plain NumPy goes: every array is preallocated and written in place,
parameters live in one flat vector, Adam runs in blocks that stay in the second-level cache, dropout takes 16 raw random
bits an element. Knows nothing of fastreg.

symbol   meaning                                              shape
n        rows of the batch
h        input of a layer, a = relu(h W + b)                  (n, in), (n, out)
xhat     normalised a, inv = 1 / sqrt(variance + epsilon)     (n, out), (out)
d        gradient of the loss with respect to what h, a ... was at that point
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from workloads import AdamStep, Floats, Network

BLOCK = 16_384


class Adam:
    """Adam (Algorithm 1 of its paper) with L1 and L2 in the gradient, in place on a flat vector."""

    def __init__(self, w: Floats, spec: AdamStep) -> None:
        self.w, self.spec, self.steps = w, spec, 0
        self.m, self.v = np.zeros_like(w), np.zeros_like(w)
        self._a, self._b = np.empty(min(BLOCK, w.size), w.dtype), np.empty(min(BLOCK, w.size), w.dtype)

    def step(self, g: Floats) -> None:
        s = self.spec
        self.steps += 1
        # The bias corrections move into the rate and epsilon, which saves two passes and changes nothing else.
        root = float(np.sqrt(1.0 - s.beta_2**self.steps))
        rate, epsilon = s.learning_rate * root / (1.0 - s.beta_1**self.steps), s.epsilon * root
        for low in range(0, self.w.size, BLOCK):
            w, m, v = self.w[low : low + BLOCK], self.m[low : low + BLOCK], self.v[low : low + BLOCK]
            a, b = self._a[: w.size], self._b[: w.size]
            gradient = g[low : low + BLOCK]
            if s.l1:
                np.sign(w, out=a)
                a *= s.l1
                a += gradient
                gradient = a
            if s.l2:
                np.multiply(w, 2.0 * s.l2, out=b)
                gradient = np.add(gradient, b, out=a)
            m *= s.beta_1
            np.multiply(gradient, 1.0 - s.beta_1, out=b)
            m += b
            v *= s.beta_2
            np.multiply(gradient, gradient, out=b)
            b *= 1.0 - s.beta_2
            v += b
            np.sqrt(v, out=b)
            b += epsilon
            np.divide(m, b, out=b)
            b *= rate
            w -= b


@dataclass
class Layer:
    """Views of one layer's parameters and gradients, and buffers."""

    kernel: Floats
    bias: Floats
    d_kernel: Floats
    d_bias: Floats
    penalty: Floats  # scratch, like kernel
    output: Floats  # (batch, out): relu output, or the scores of the last layer


@dataclass
class Hidden(Layer):
    """A layer with relu, batch normalisation and dropout."""

    gamma: Floats
    d_gamma: Floats
    beta: Floats
    d_beta: Floats
    mean: Floats
    variance: Floats
    mask: Floats  # (batch, out): dropout, 0 or 1 / (1 - rate)
    xhat: Floats  # (batch, out)
    dropped: Floats  # (batch, out): what the next layer sees
    scratch: Floats  # (batch, out)
    positive: NDArray[np.bool_]
    keep: NDArray[np.bool_]


class Trainer:
    """Trains a `Network` from weights in the order of `Sequential.get_weights()`."""

    def __init__(self, net: Network, weights: list[Floats], seed: int = 0) -> None:
        self.net = net
        self._order = np.random.default_rng(seed)
        self._bits = np.random.SFC64(seed)
        self._threshold = np.uint16(round(net.dropout * 65536))
        self._scale = np.float32(1.0 / (1.0 - net.dropout))
        hidden = len(net.shapes) - 1
        size = sum(i * o + o for i, o in net.shapes) + sum(2 * o for _, o in net.shapes[:hidden])
        self._w, self._g = np.empty(size, np.float32), np.zeros(size, np.float32)
        spec = AdamStep(net.learning_rate, net.beta_1, net.beta_2, net.adam_epsilon, l1=0.0, l2=0.0)
        self._adam = Adam(self._w, spec)
        self._at = 0
        source = iter(weights)
        self.hidden = [self._hidden(source, *shape) for shape in net.shapes[:-1]]
        self.output = Layer(*self._dense(source, *net.shapes[-1]))

    def _place(self, values: Floats) -> tuple[Floats, Floats]:
        """Copies values into the flat vector and returns the views of the parameter and of its gradient."""
        here = slice(self._at, self._at + values.size)
        self._at += values.size
        w, g = self._w[here].reshape(values.shape), self._g[here].reshape(values.shape)
        w[...] = values
        return w, g

    def _dense(self, source: Iterator[Floats], fan_in: int, fan_out: int) -> tuple[Floats, ...]:
        kernel, d_kernel = self._place(next(source))
        bias, d_bias = self._place(next(source))
        output = np.empty((self.net.batch, fan_out), np.float32)
        return kernel, bias, d_kernel, d_bias, np.empty((fan_in, fan_out), np.float32), output

    def _hidden(self, source: Iterator[Floats], fan_in: int, fan_out: int) -> Hidden:
        dense = self._dense(source, fan_in, fan_out)
        gamma, beta = self._place(next(source)), self._place(next(source))
        moving = next(source).copy(), next(source).copy()
        floats = (np.empty((self.net.batch, fan_out), np.float32) for _ in range(4))
        flags = (np.empty((self.net.batch, fan_out), np.bool_) for _ in range(2))
        return Hidden(*dense, *gamma, *beta, *moving, *floats, *flags)

    def run(self, x: Floats, y: NDArray[np.int64], epochs: int, shuffle: bool = True) -> None:
        for _ in range(epochs):
            if shuffle:
                order = self._order.permutation(len(x))
                x_epoch, y_epoch = x[order], y[order]
            else:
                x_epoch, y_epoch = x, y
            for low in range(0, len(x), self.net.batch):
                self._gradient(x_epoch[low : low + self.net.batch], y_epoch[low : low + self.net.batch])
                self._adam.step(self._g)

    def weights(self) -> list[Floats]:
        """In the order of `Sequential.get_weights()`."""
        out = []
        for layer in self.hidden:
            out += [layer.kernel, layer.bias, layer.gamma, layer.beta, layer.mean, layer.variance]
        return [*out, self.output.kernel, self.output.bias]

    def _gradient(self, x: Floats, y: NDArray[np.int64]) -> None:
        inputs, inv = [x], []
        for layer in self.hidden:
            h, layer_inv = self._hidden_forward(layer, inputs[-1])
            inputs.append(h)
            inv.append(layer_inv)
        d = self._output_error(inputs[-1], y)
        layers = [*self.hidden, self.output]
        for index in range(len(layers) - 1, -1, -1):
            layer = layers[index]
            np.matmul(inputs[index].T, d, out=layer.d_kernel)
            np.add.reduce(d, 0, out=layer.d_bias)
            self._penalise(layer, self.net.l1[index], self.net.l2[index])
            if index:
                # inputs[index] was read for the last time above, so its buffer takes its own gradient.
                d = np.matmul(d, layer.kernel.T, out=inputs[index])
                d = self._hidden_backward(self.hidden[index - 1], d, inv[index - 1])

    def _hidden_forward(self, layer: Hidden, h: Floats) -> tuple[Floats, Floats]:
        net, n = self.net, len(h)
        a, xhat, out = layer.output[:n], layer.xhat[:n], layer.dropped[:n]
        np.matmul(h, layer.kernel, out=a)
        a += layer.bias
        np.maximum(a, 0.0, out=a)
        mean = np.add.reduce(a, 0)
        mean *= 1.0 / n
        np.subtract(a, mean, out=xhat)
        variance = np.einsum("ij,ij->j", xhat, xhat)
        variance *= 1.0 / n
        inv = variance + net.bn_epsilon
        np.sqrt(inv, out=inv)
        np.reciprocal(inv, out=inv)
        xhat *= inv
        for moving, batch in ((layer.mean, mean), (layer.variance, variance)):
            moving *= net.bn_momentum
            batch *= 1.0 - net.bn_momentum
            moving += batch
        np.multiply(xhat, layer.gamma, out=out)
        out += layer.beta
        if net.dropout:
            words = self._bits.random_raw((out.size + 3) // 4).view(np.uint16)[: out.size].reshape(out.shape)
            keep = np.greater_equal(words, self._threshold, out=layer.keep[:n])
            out *= np.multiply(keep, self._scale, out=layer.mask[:n])
        return out, inv

    def _output_error(self, h: Floats, y: NDArray[np.int64]) -> Floats:
        n = len(h)
        d = np.matmul(h, self.output.kernel, out=self.output.output[:n])
        d += self.output.bias
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

    def _hidden_backward(self, layer: Hidden, d: Floats, inv: Floats) -> Floats:
        n = len(d)
        xhat, scratch = layer.xhat[:n], layer.scratch[:n]
        if self.net.dropout:
            d *= layer.mask[:n]
        np.add.reduce(d, 0, out=layer.d_beta)
        np.einsum("ij,ij->j", d, xhat, out=layer.d_gamma)
        np.multiply(xhat, layer.d_gamma * (1.0 / n), out=scratch)
        d -= scratch
        d -= layer.d_beta * (1.0 / n)
        inv *= layer.gamma
        d *= inv
        d *= np.greater(layer.output[:n], 0.0, out=layer.positive[:n])
        return d

    @staticmethod
    def _penalise(layer: Layer, l1: float, l2: float) -> None:
        if l1:
            np.sign(layer.kernel, out=layer.penalty)
            layer.penalty *= l1
            layer.d_kernel += layer.penalty
        if l2:
            np.multiply(layer.kernel, 2.0 * l2, out=layer.penalty)
            layer.d_kernel += layer.penalty


def predictor(net: Network, weights: list[Floats]) -> Callable[[Floats], Floats]:
    """Probabilities for rows of x. Batch normalisation follows the relu, so it folds into the next dense layer."""
    source = iter(weights)
    folded: list[tuple[Floats, Floats]] = []
    gain, shift = None, None
    for _ in net.shapes:
        kernel, bias = next(source).astype(np.float64), next(source).astype(np.float64)
        if gain is not None:
            bias = bias + shift @ kernel
            kernel = kernel * gain[:, None]
        folded.append((np.ascontiguousarray(kernel, np.float32), bias.astype(np.float32)))
        if len(folded) < len(net.shapes):
            gamma, beta, mean, variance = (next(source).astype(np.float64) for _ in range(4))
            gain = gamma / np.sqrt(variance + net.bn_epsilon)
            shift = beta - mean * gain
    *hidden, (last_kernel, last_bias) = folded

    def predict(x: Floats) -> Floats:
        for kernel, bias in hidden:
            x = x @ kernel
            x += bias
            np.maximum(x, 0.0, out=x)
        z = x @ last_kernel
        z += last_bias
        if net.binary:
            np.negative(z, out=z)
            np.exp(z, out=z)
            z += 1.0
            return np.reciprocal(z, out=z)
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=1, keepdims=True)
        return z

    return predict
