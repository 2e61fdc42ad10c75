"""What is measured, as plain values: networks, update rules, hyper-parameters and data. Contenders live in peers/.

A hidden block is dense, relu, batch normalisation (where the network has it), dropout, in this order, as in the
tutorials' Keras network. Penalties have Keras's convention: `l1 * sum|w| + l2 * sum w^2` over kernels, so the gradient
gets `l1 * sign(w) + 2 * l2 * w`. `weight_decay` is decoupled (AdamW) and leaves biases and batch normalisation alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Network:
    """A classifier: `sizes` are inputs, hidden widths, outputs; one output means a binary classifier.

    `l1` holds for the first kernel; `l2` for the first, or for all of them where `l2_everywhere`. The optimizer is
    AdamW where `weight_decay` is above 0, else SGD where `sgd`, else Adam.
    """

    sizes: tuple[int, ...]
    batch: int
    rows: int
    batch_norm: bool = True
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    l2_everywhere: bool = False
    weight_decay: float = 0.0
    sgd: bool = False
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
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

    def l1_of(self, layer: int) -> float:
        return self.l1 if layer == 0 else 0.0

    def l2_of(self, layer: int) -> float:
        return self.l2 if layer == 0 or self.l2_everywhere else 0.0

    def flops_per_row(self) -> int:
        """Of the matrix products of a training step: forward, weight gradient, input gradient but for the inputs."""
        return sum(2 * i * o * (2 if layer == 0 else 3) for layer, (i, o) in enumerate(self.shapes))


@dataclass(frozen=True)
class Update:
    """One optimizer step with penalties on a flat vector. `bytes` counts each array once a read and once a write."""

    rule: str
    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.0
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    @property
    def moments(self) -> int:
        return {"sgd": 0, "rmsprop": 1, "adam": 2, "adamw": 2}[self.rule]

    @property
    def bytes(self) -> int:
        """A parameter: w and the moments are read and written, g is read."""
        return 12 + 8 * self.moments


SMALL = Network((10, 64, 1), batch=32, rows=10_000, dropout=0.5, l1=0.01, l2=0.01)
MID = Network((784, 256, 128, 10), batch=128, rows=60_000, dropout=0.2, l2=1e-4, l2_everywhere=True)
LARGE = Network((1024, 2048, 2048, 10), batch=512, rows=8192, batch_norm=False, dropout=0.5, weight_decay=0.01)

# Shapes that nobody tuned for: odd widths, short and long batches, 3 to 5 layers, 1 to 5,000 columns.
OTHERS = (
    Network((1, 33, 1), batch=7, rows=4_000),
    Network((3, 17, 5, 2), batch=1, rows=1_000, batch_norm=False),
    Network((37, 129, 65, 11), batch=33, rows=8_000, dropout=0.3),
    Network((100, 333, 77, 3), batch=1000, rows=20_000, dropout=0.1, l2=1e-4, l2_everywhere=True),
    Network((64, 100, 100, 100, 100, 7), batch=64, rows=12_800, dropout=0.2),
    Network((500, 500, 500, 500, 10), batch=250, rows=10_000, dropout=0.2),
    Network((5000, 100, 1), batch=33, rows=3_300, batch_norm=False, l1=1e-4),
    Network((5000, 513, 20), batch=100, rows=5_000, dropout=0.5, l2=1e-4),
    Network((256, 1000, 5000), batch=100, rows=5_000, batch_norm=False),
    Network((784, 31, 10), batch=7, rows=4_200, dropout=0.1),
    Network((20, 1500, 1500, 2), batch=33, rows=3_300, batch_norm=False, dropout=0.2),
)

UPDATES = (
    Update("adam", l1=1e-4, l2=1e-4),
    Update("adamw", weight_decay=0.01),
    Update("rmsprop", l1=1e-4, l2=1e-4),
    Update("sgd", l1=1e-4, l2=1e-4),
)


def classification_data(net: Network, rows: int, seed: int = 1) -> tuple[Floats, Labels]:
    """Standard normal rows; the label is the largest of noisy random linear scores, or their sign where binary."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, net.sizes[0]), dtype=np.float32)
    w = rng.standard_normal((net.sizes[0], net.sizes[-1]), dtype=np.float32) / np.float32(np.sqrt(net.sizes[0]))
    score = x @ w + np.float32(0.1) * rng.standard_normal((rows, net.sizes[-1]), dtype=np.float32)
    labels = score[:, 0] > 0 if net.binary else score.argmax(axis=1)
    return x, labels.astype(np.int64)


@dataclass
class Layer:
    """One layer's weights, any floating dtype. `norm` is gamma, beta, moving mean and variance where it has any."""

    kernel: NDArray[np.floating]
    bias: NDArray[np.floating]
    norm: tuple[NDArray[np.floating], ...] = ()

    def arrays(self) -> list[NDArray[np.floating]]:
        """In the order of `Sequential.get_weights()`."""
        return [self.kernel, self.bias, *self.norm]


def initial_weights(net: Network, seed: int = 2) -> list[Layer]:
    """Every value differs from its usual start, so that a contender which ignores one of them is found out."""
    rng = np.random.default_rng(seed)
    weights = []
    for index, (fan_in, fan_out) in enumerate(net.shapes):
        kernel = rng.standard_normal((fan_in, fan_out)) * np.sqrt(2.0 / (fan_in + fan_out))
        arrays = [kernel, 0.1 * rng.standard_normal(fan_out)]
        if net.batch_norm and index + 1 < len(net.shapes):
            arrays += [rng.uniform(0.5, 1.5, fan_out), 0.1 * rng.standard_normal(fan_out)]
            arrays += [0.1 * rng.standard_normal(fan_out), rng.uniform(0.5, 1.5, fan_out)]
        kernel, bias, *norm = (np.ascontiguousarray(array, dtype=np.float32) for array in arrays)
        weights.append(Layer(kernel, bias, tuple(norm)))
    return weights


def folded(net: Network, weights: list[Layer]) -> list[Layer]:
    """The plain network that predicts the same: batch normalisation goes into the layer that follows it."""
    plain = []
    gain, shift = None, None
    for layer in weights:
        kernel, bias = layer.kernel.astype(np.float64), layer.bias.astype(np.float64)
        if gain is not None and shift is not None:
            bias = bias + shift @ kernel
            kernel = kernel * gain[:, None]
        plain.append(Layer(np.ascontiguousarray(kernel, np.float32), bias.astype(np.float32)))
        gain = shift = None
        if layer.norm:
            gamma, beta, mean, variance = (a.astype(np.float64) for a in layer.norm)
            gain = gamma / np.sqrt(variance + net.bn_epsilon)
            shift = beta - mean * gain
    return plain
