"""RealMLP-TD-S in float64 and plain NumPy, as published: free weights from N(0, 1), divided by roots in the network."""

import numpy as np
from fastreg.sklearn import RealMLPRegressor


def features_of(numbers, groups=()):
    """One-hot groups, numbers behind them; each scaled by median and quartiles, and softly limited."""
    parts = []
    for group in groups:
        levels = sorted(set(group))
        each = np.stack([np.asarray(group) == level for level in levels], 1).astype(np.float64)
        parts.append(each[:, :1] - each[:, 1:] if len(levels) == 2 else each)
    x = np.concatenate([*parts, np.asarray(numbers, np.float64)], 1)
    low, centre, high = np.quantile(x, [0.25, 0.5, 0.75], axis=0)
    spread = np.where(high > low, high - low, 0.5 * (x.max(0) - x.min(0)))
    z = (x - centre) * np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0)
    return z / np.sqrt(1 + (z / 3) ** 2)


def _mish(z):
    t = np.tanh(np.logaddexp(0, z))
    return z * t, t + z * (1 - t**2) / (1 + np.exp(-z))


def _selu(z):
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    low = scale * alpha * np.exp(np.minimum(z, 0))
    return np.where(z > 0, scale * z, low - scale * alpha), np.where(z > 0, scale, low)


ACTIVATIONS = {"mish": _mish, "selu": _selu}


def _softmax(z):
    shares = np.exp(z - z.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def roots_of(weights):
    """By which each weight is divided in the network: the scale, then kernels and biases in turn."""
    return [1.0, *(root for kernel in weights[1::2] for root in (len(kernel) ** -0.5, 1.0))]


def gradients(free, x, targets, activation, with_softmax):
    """Of the mean over rows: of the cross-entropy of a softmax, or of the mean of squared errors over outputs."""
    roots = roots_of(free)
    scale, *dense = (w * root for w, root in zip(free, roots, strict=True))
    kernels, biases = dense[::2], dense[1::2]
    values, slopes = [x * scale], []
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        a, slope = ACTIVATIONS[activation](values[-1] @ kernel + bias)
        values.append(a)
        slopes.append(slope)
    z = values[-1] @ kernels[-1] + biases[-1]
    n, units = targets.shape
    d = (_softmax(z) - targets) / n if with_softmax else 2 * (z - targets) / (n * units)
    found = []
    for layer in reversed(range(len(kernels))):
        found = [values[layer].T @ d, d.sum(0), *found]
        d = (d @ kernels[layer].T) * (slopes[layer - 1] if layer else 1.0)
    return [g * root for g, root in zip([(d * x).sum(0), *found], roots, strict=True)]


def trained(weights, x, targets, *, activation, rate, steps, epsilon, with_softmax=False, smoothing=0.0):
    """The network's weights after some steps of Adam on all rows, from its weights before the first.

    ``epsilon`` is that of an optimizer of the network's weights; for free weights it is smaller by their root.
    """
    roots = roots_of(weights)
    factors = [6.0, *[1.0, 0.1] * (len(weights) // 2)]
    free = [w.astype(np.float64) / root for w, root in zip(weights, roots, strict=True)]
    learned = targets * (1 - smoothing) + smoothing / targets.shape[1]
    first, second = [np.zeros_like(w) for w in free], [np.zeros_like(w) for w in free]
    for t in range(steps):
        now = 0.5 * rate * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t / steps)))
        for k, g in enumerate(gradients(free, x, learned, activation, with_softmax)):
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.95 * second[k] + 0.05 * g**2
            root = np.sqrt(second[k] / (1 - 0.95 ** (t + 1))) + epsilon * roots[k]
            free[k] = free[k] - now * factors[k] * first[k] / (1 - 0.9 ** (t + 1)) / root
    return [w * root for w, root in zip(free, roots, strict=True)]


class OffCentre(RealMLPRegressor):
    """Targets whose mean is not 0: otherwise the first gradients of the last bias are 0 but for rounding, which Adam
    makes full steps of."""

    def _learn_targets(self, y, learned):
        super()._learn_targets(y, learned)
        self._mean = self._mean - 2.0
