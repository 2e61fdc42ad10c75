"""What is measured: networks, hyper-parameters and data, as plain values. Contenders live in other files.

A hidden block is dense, relu, batch normalisation, dropout, in this order (the tutorials' Keras network). Penalties
have Keras's convention: `l1 * sum|w| + l2 * sum w^2`, so the gradient gets `l1 * sign(w) + 2 * l2 * w`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """A classifier: `sizes` are inputs, hidden widths, outputs; one output means a binary classifier."""

    sizes: tuple[int, ...]
    batch: int
    rows: int
    epochs: int
    dropout: float
    l1: tuple[float, ...]
    l2: tuple[float, ...]
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    adam_epsilon: float = 1e-7
    bn_epsilon: float = 1e-3
    bn_momentum: float = 0.99

    @property
    def binary(self) -> bool:
        return self.sizes[-1] == 1

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Kernel shapes, (in, out)."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @property
    def label(self) -> str:
        return "-".join(str(s) for s in self.sizes)


@dataclass(frozen=True)
class AdamStep:
    """One optimizer step with penalties on a flat vector, counted as 28 bytes a parameter: 4 read, 3 written."""

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    l1: float = 1e-4
    l2: float = 1e-4
    bytes_per_parameter: int = 28


SMALL = Network((10, 64, 1), batch=32, rows=10_000, epochs=10, dropout=0.5, l1=(0.01, 0.0), l2=(0.01, 0.0))
MID = Network((784, 256, 128, 10), batch=128, rows=60_000, epochs=1, dropout=0.2, l1=(0.0,) * 3, l2=(1e-4,) * 3)
ADAM = AdamStep()


def classification_data(net: Network, rows: int, seed: int = 1) -> tuple[Floats, NDArray[np.int64]]:
    """Standard normal rows; the label is the largest of noisy random linear scores, or their sign where binary."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, net.sizes[0]), dtype=np.float32)
    w = rng.standard_normal((net.sizes[0], net.sizes[-1]), dtype=np.float32) / np.float32(np.sqrt(net.sizes[0]))
    score = x @ w + np.float32(0.1) * rng.standard_normal((rows, net.sizes[-1]), dtype=np.float32)
    labels = score[:, 0] > 0 if net.binary else score.argmax(axis=1)
    return x, labels.astype(np.int64)


def initial_weights(net: Network, seed: int = 2) -> list[Floats]:
    """In the order of `Sequential.get_weights()`: kernel, bias and for hidden layers gamma, beta, mean, variance.

    Every value differs from its usual start, so that a contender which ignores one of them is found out.
    """
    rng = np.random.default_rng(seed)
    weights: list[NDArray[np.floating]] = []
    for layer, (fan_in, fan_out) in enumerate(net.shapes):
        weights.append(rng.standard_normal((fan_in, fan_out)) * np.sqrt(2.0 / (fan_in + fan_out)))
        weights.append(0.1 * rng.standard_normal(fan_out))
        if layer + 1 < len(net.shapes):
            weights.append(rng.uniform(0.5, 1.5, fan_out))
            weights.append(0.1 * rng.standard_normal(fan_out))
            weights.append(0.1 * rng.standard_normal(fan_out))
            weights.append(rng.uniform(0.5, 1.5, fan_out))
    return [np.ascontiguousarray(w, dtype=np.float32) for w in weights]
