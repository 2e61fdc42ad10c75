"""The oracle of the layers that normalise rows, scale features, add noise or penalise what passes.

As reference.py, whose Layer they derive from: float64, for clarity; notation as there.
"""

from __future__ import annotations

import math

import numpy as np
import reference as ref


class LayerNormalization(ref.Layer):
    def __init__(self, epsilon=1e-3, center=True, scale=True):
        self.epsilon = epsilon
        self.names = ("gamma",) * scale + ("beta",) * center

    def forward(self, x, training, mask_key):
        centred = x - x.mean(axis=1, keepdims=True)
        self.inv = 1.0 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + self.epsilon)
        self.xhat = centred * self.inv
        return self.xhat * self.p.get("gamma", 1.0) + self.p.get("beta", 0.0)

    def backward(self, dy):
        self.d = {"gamma": (dy * self.xhat).sum(axis=0), "beta": dy.sum(axis=0)}
        g = dy * self.p.get("gamma", 1.0)
        along = (g * self.xhat).mean(axis=1, keepdims=True)
        return self.inv * (g - g.mean(axis=1, keepdims=True) - self.xhat * along)


class RMSNormalization(ref.Layer):
    names = ("scale",)

    def __init__(self, epsilon=1e-6):
        self.epsilon = epsilon

    def forward(self, x, training, mask_key):
        self.inv = 1.0 / np.sqrt((x**2).mean(axis=1, keepdims=True) + self.epsilon)
        self.xhat = x * self.inv
        return self.xhat * self.p["scale"]

    def backward(self, dy):
        self.d = {"scale": (dy * self.xhat).sum(axis=0)}
        g = dy * self.p["scale"]
        return self.inv * (g - self.xhat * (g * self.xhat).mean(axis=1, keepdims=True))


class UnitNormalization(ref.Layer):
    def forward(self, x, training, mask_key):
        squares = (x**2).sum(axis=1, keepdims=True)
        self.free = squares >= 1e-12
        self.inv = 1.0 / np.sqrt(np.maximum(squares, 1e-12))
        self.xhat = x * self.inv
        return self.xhat

    def backward(self, dy):
        return self.inv * (dy - self.free * self.xhat * (dy * self.xhat).sum(axis=1, keepdims=True))


class Scale(ref.Layer):
    names = ("scale",)

    def forward(self, x, training, mask_key):
        self.x = x
        return x * self.p["scale"]

    def backward(self, dy):
        self.d = {"scale": (dy * self.x).sum(axis=0)}
        return dy * self.p["scale"]


class PeriodicEmbedding(ref.Layer):
    """One number after another: each has a row of waves and a little linear layer of its own."""

    def __init__(self, units, phases=True, rectify=False, keep=True):
        self.units, self.phases, self.rectify, self.keep = units, phases, rectify, keep
        self.names = ("frequencies", *["phases"] * phases, "kernel", "bias")

    def waves(self, j):
        angle = 2.0 * np.pi * np.outer(self.x[:, j], self.p["frequencies"][:, j])
        if self.phases:
            return np.cos(angle + self.p["phases"][:, j]), -np.sin(angle + self.p["phases"][:, j])
        pair = np.cos(angle), np.sin(angle)
        return np.concatenate(pair, axis=1), np.concatenate([-pair[1], pair[0]], axis=1)

    def forward(self, x, training, mask_key):
        self.x, self.z, parts = x, [], []
        for j in range(x.shape[1]):
            own = slice(j * self.units, (j + 1) * self.units)
            z = self.waves(j)[0] @ self.p["kernel"][:, own] + self.p["bias"][own]
            self.z.append(z)
            parts += [np.maximum(z, 0.0) if self.rectify else z, *[x[:, j : j + 1]] * self.keep]
        return np.concatenate(parts, axis=1)

    def backward(self, dy):
        self.d = {name: np.zeros_like(self.p[name]) for name in self.names}
        dx = np.zeros_like(self.x)
        for j in range(self.x.shape[1]):
            own = slice(j * self.units, (j + 1) * self.units)
            mine = dy[:, j * (self.units + self.keep) : (j + 1) * (self.units + self.keep)]
            dz = mine[:, : self.units] * (self.z[j] > 0.0 if self.rectify else 1.0)
            wave, slope = self.waves(j)
            self.d["kernel"][:, own], self.d["bias"][own] = wave.T @ dz, dz.sum(axis=0)
            angle = (dz @ self.p["kernel"][:, own].T) * slope
            if self.phases:
                self.d["phases"][:, j] = angle.sum(axis=0)
            else:  # a cosine and a sine have the same frequency
                angle = angle[:, : angle.shape[1] // 2] + angle[:, angle.shape[1] // 2 :]
            self.d["frequencies"][:, j] = 2.0 * np.pi * self.x[:, j] @ angle
            dx[:, j] = 2.0 * np.pi * angle @ self.p["frequencies"][:, j] + (mine[:, -1] if self.keep else 0.0)
        return dx


class ParametricActivation(ref.Layer):
    names = ("alpha",)

    def __init__(self, activation):
        self.activation = activation

    def forward(self, x, training, mask_key):
        self.x, self.more = x, ref.activation_forward(self.activation, x) - x
        return x + self.p["alpha"] * self.more

    def backward(self, dy):
        self.d = {"alpha": (dy * self.more).sum(axis=0)}
        through = ref.activation_backward(self.activation, self.x, dy * self.p["alpha"])
        return dy * (1.0 - self.p["alpha"]) + through


class PReLU(ref.Layer):
    names = ("alpha",)

    def forward(self, x, training, mask_key):
        self.x = x
        return np.where(x > 0.0, x, x * self.p["alpha"])

    def backward(self, dy):
        self.d = {"alpha": (dy * np.minimum(self.x, 0.0)).sum(axis=0)}
        return np.where(self.x > 0.0, dy, dy * self.p["alpha"])


def normal_numbers(seed, stream, step, shape):
    """Standard normal numbers of kernels.h, by the method of Box and Muller.

    Element e = 64 g + 16 i + l of the padded buffer comes from word i of block 16 g + l; words 0 and 1 are a pair, and
    words 2 and 3 are one.
    """
    rows, cols = shape
    ld = ref.leading_dimension(cols)
    groups = -(-rows * ld // 64)
    words = ref.random_words(seed, stream, step, 0, 16 * groups).reshape(groups, 16, 4)  # g, l, i
    # The core computes this sum in float32, whose largest value is 1.
    uniform = ((words >> 8).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-24)
    u = uniform.astype(np.float64)
    out = np.empty((groups, 4, 16))
    for i in (0, 2):
        radius = np.sqrt(-2.0 * np.log(u[:, :, i]))
        out[:, i] = radius * np.cos(2.0 * np.pi * u[:, :, i + 1])
        out[:, i + 1] = radius * np.sin(2.0 * np.pi * u[:, :, i + 1])
    return out.reshape(-1)[: rows * ld].reshape(rows, ld)[:, :cols]


class GaussianNoise(ref.Layer):
    def __init__(self, stddev):
        self.stddev = stddev

    def forward(self, x, training, mask_key):
        return x + self.stddev * normal_numbers(*mask_key, x.shape) if training else x

    def backward(self, dy):
        return dy


class GaussianDropout(ref.Layer):
    def __init__(self, rate):
        self.stddev = math.sqrt(rate / (1.0 - rate))

    def forward(self, x, training, mask_key):
        if not training:
            return x
        self.factors = 1.0 + self.stddev * normal_numbers(*mask_key, x.shape)
        return x * self.factors

    def backward(self, dy):
        return dy * self.factors


class AlphaDropout(ref.Layer):
    def __init__(self, rate):
        self.rate = rate
        p, limit = ref.dropout_threshold(rate) / 65536.0, -1.0507009873554805 * 1.6732632423543772
        self.a = ((1.0 - p) * (1.0 + p * limit**2)) ** -0.5
        self.b, self.limit = -self.a * p * limit, limit

    def forward(self, x, training, mask_key):
        if not training:
            return x
        self.keep = ref.dropout_keep(*mask_key, x.shape, self.rate)
        return self.a * np.where(self.keep, x, self.limit) + self.b

    def backward(self, dy):
        return np.where(self.keep, dy * self.a, 0.0)


class ActivityRegularization(ref.Layer):
    def __init__(self, l1=0.0, l2=0.0):
        self.l1, self.l2 = l1, l2

    def forward(self, x, training, mask_key):
        self.x = x
        self.activity = (self.l1 * abs(x) + self.l2 * x**2).sum() / len(x)
        return x

    def backward(self, dy):
        return dy + (self.l1 * np.sign(self.x) + 2.0 * self.l2 * self.x) / len(self.x)
