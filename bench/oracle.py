"""The workloads in float64 and in their plainest form. Every contender is checked against them; nothing here is timed.

symbol   meaning                                              shape
n        rows of the batch
h        input of a layer, a = relu(h W + b)                  (n, in), (n, out)
xhat     normalised a, inv = 1 / sqrt(variance + epsilon)     (n, out), (out)
d        gradient of the loss with respect to h, a ... at that point
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from workloads import Labels, Layer, Network, Update

Doubles = NDArray[np.float64]


def corrected(rule: Update, t: int) -> tuple[float, float]:
    """The learning rate and epsilon of step `t`, counted from 1.

    Adam's bias corrections are scalars and move into them.
    """
    if rule.moments < 2:
        return rule.learning_rate, rule.epsilon
    root = float((1 - rule.beta_2**t) ** 0.5)
    return rule.learning_rate * root / (1 - rule.beta_1**t), rule.epsilon * root


def update_formula(
    xp: Any, rule: Update, w: Any, g: Any, moments: tuple[Any, ...], rate: Any, epsilon: Any
) -> tuple[Any, ...]:
    """The new weights and moments. `xp` is numpy or has its sign and sqrt; rate and epsilon come from `corrected`."""
    s = rule
    decayed = w - rule.learning_rate * s.weight_decay * w if s.weight_decay else w
    if s.l1:
        g = g + s.l1 * xp.sign(w)
    if s.l2:
        g = g + 2 * s.l2 * w
    if rule.rule == "sgd":
        return (decayed - rate * g,)
    if rule.rule == "rmsprop":
        v = s.beta_2 * moments[0] + (1 - s.beta_2) * g * g
        return decayed - rate * g / (xp.sqrt(v) + epsilon), v
    m = s.beta_1 * moments[0] + (1 - s.beta_1) * g
    v = s.beta_2 * moments[1] + (1 - s.beta_2) * g * g
    return decayed - rate * m / (xp.sqrt(v) + epsilon), m, v


def updated(rule: Update, w: Doubles, gradients: list[Doubles]) -> Doubles:
    state: tuple[Doubles, ...] = (w, *(np.zeros_like(w) for _ in range(rule.moments)))
    for t, g in enumerate(gradients, 1):
        state = update_formula(np, rule, state[0], g, state[1:], *corrected(rule, t))
    return state[0]


def optimizer_of(net: Network) -> Update:
    rule = "sgd" if net.sgd else "adamw" if net.weight_decay else "adam"
    return Update(rule, 0.0, 0.0, 0.0, net.learning_rate, net.beta_1, net.beta_2, net.epsilon)


def _probabilities(net: Network, z: Doubles) -> Doubles:
    if net.binary:
        return 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def predict(net: Network, weights: list[Layer], x: NDArray[np.floating]) -> Doubles:
    h: Any = x.astype(np.float64)
    for layer in weights[:-1]:
        h = np.maximum(h @ layer.kernel + layer.bias, 0)
        if layer.norm:
            gamma, beta, mean, variance = layer.norm
            h = (h - mean) / np.sqrt(variance + net.bn_epsilon) * gamma + beta
    return _probabilities(net, h @ weights[-1].kernel + weights[-1].bias)


def trained(net: Network, weights: list[Layer], x: NDArray[np.floating], y: Labels) -> list[Layer]:
    """The weights after one pass over x in order, without dropout."""
    layers = [Layer(np.float64(w.kernel), np.float64(w.bias), tuple(map(np.float64, w.norm))) for w in weights]
    spec = optimizer_of(net)
    moments: dict[int, tuple[Doubles, ...]] = {}

    def step(key: int, w: Any, g: Any, t: int, kernel: int | None = None) -> None:
        """One step, in place.

        `kernel` is the index of the layer whose kernel w is; other parameters have no penalty.
        """
        if kernel is not None:
            g = g + net.l1_of(kernel) * np.sign(w) + 2 * net.l2_of(kernel) * w
            w *= 1 - net.learning_rate * net.weight_decay
        state = moments.get(key, tuple(np.zeros_like(w) for _ in range(spec.moments)))
        new, *state_after = update_formula(np, spec, w, g, state, *corrected(spec, t))
        w[...] = new
        moments[key] = tuple(state_after)

    for t, low in enumerate(range(0, len(x), net.batch), 1):
        xb, yb = x[low : low + net.batch].astype(np.float64), y[low : low + net.batch]
        gradients = _gradients(net, layers, xb, yb)
        for index, (layer, (d_kernel, *others)) in enumerate(zip(layers, gradients, strict=True)):
            step(10 * index, layer.kernel, d_kernel, t, index)
            for place, (w, g) in enumerate(zip([layer.bias, *layer.norm[:2]], others, strict=True), 1):
                step(10 * index + place, w, g, t)
    return layers


def _gradients(net: Network, layers: list[Layer], x: Doubles, y: Labels) -> list[list[Doubles]]:
    """Returns, for each layer, the gradients of kernel, bias, gamma and beta without penalties.

    Updates moving averages.
    """
    n, h = len(x), x
    tape: list[tuple[Doubles, Any, Any, Any]] = []
    for layer in layers[:-1]:
        a = np.maximum(h @ layer.kernel + layer.bias, 0)
        xhat = inv = None
        before, h = h, a
        if layer.norm:
            gamma, beta, *moving = layer.norm
            mean, variance = a.mean(axis=0), a.var(axis=0)
            for old, new in zip(moving, (mean, variance), strict=True):
                old[...] = net.bn_momentum * old + (1 - net.bn_momentum) * new
            inv = 1 / np.sqrt(variance + net.bn_epsilon)
            xhat = (a - mean) * inv
            h = xhat * gamma + beta
        tape.append((before, a, xhat, inv))
    d = _probabilities(net, h @ layers[-1].kernel + layers[-1].bias)
    if net.binary:
        d[:, 0] -= y
    else:
        d[np.arange(n), y] -= 1
    d /= n
    gradients = [[h.T @ d, d.sum(axis=0)]]
    for index in range(len(layers) - 2, -1, -1):
        before, a, xhat, inv = tape[index]
        d = d @ layers[index + 1].kernel.T
        norm_gradients: list[Doubles] = []
        if layers[index].norm:
            norm_gradients = [(d * xhat).sum(axis=0), d.sum(axis=0)]
            d = layers[index].norm[0] * inv * (d - norm_gradients[1] / n - xhat * norm_gradients[0] / n)
        d = d * (a > 0)
        gradients.append([before.T @ d, d.sum(axis=0), *norm_gradients])
    return gradients[::-1]
