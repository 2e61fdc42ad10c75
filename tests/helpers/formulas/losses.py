"""Losses: the loss of each row, and its gradient with respect to the outputs y (n, k)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formulas import class_name
from formulas.activations import sigmoid, softmax
from formulas.further_losses import FURTHER_LOSSES
from formulas.loss_base import CLIP_HIGH, CLIP_LOW, Loss, divisor_of_shares, one_hot, smoothed, weighted_mean

__all__ = [
    "CLIP_HIGH",
    "CLIP_LOW",
    "LOSSES",
    "Loss",
    "loss_gradient",
    "loss_of",
    "loss_row_gradients",
    "loss_rows",
    "one_hot",
    "weighted_mean",
]


class MeanSquaredError(Loss):
    degree = 2

    def rows(self, y, t):
        return ((y - t) ** 2).mean(axis=1)

    def row_gradients(self, y, t):
        return 2.0 * (y - t) / y.shape[1]


@dataclass(frozen=True)
class Huber(Loss):
    delta: float = 1.0

    def rows(self, y, t):
        size = np.abs(y - t)
        return np.where(size <= self.delta, 0.5 * size**2, self.delta * (size - 0.5 * self.delta)).mean(axis=1)

    def row_gradients(self, y, t):
        return np.clip(y - t, -self.delta, self.delta) / y.shape[1]


@dataclass(frozen=True)
class BinaryCrossentropy(Loss):
    targets = "probabilities"
    absorbs = "sigmoid"
    from_logits: bool = False
    label_smoothing: float = 0.0

    def rows(self, y, t):
        t = smoothed(t, self.label_smoothing, 2)
        if self.from_logits:
            return (np.logaddexp(0.0, y) - t * y).mean(axis=1)
        p = np.clip(y, CLIP_LOW, CLIP_HIGH)
        return -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p)).mean(axis=1)

    def row_gradients(self, y, t):
        t = smoothed(t, self.label_smoothing, 2)
        if self.from_logits:
            return (sigmoid(y) - t) / y.shape[1]
        p = np.clip(y, CLIP_LOW, CLIP_HIGH)
        inside = (y >= CLIP_LOW) & (y <= CLIP_HIGH)
        return np.where(inside, (p - t) / (p * (1.0 - p)), 0.0) / y.shape[1]

    def gradient_size(self, y, t):
        if self.from_logits:
            return 2.0
        return 1.0 / (y * (1.0 - y)) if self.label_smoothing else 0.0


@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    targets = "distribution"
    absorbs = "softmax"
    from_logits: bool = False
    label_smoothing: float = 0.0

    def shares(self, y, t):
        """The targets as rows of shares."""
        return smoothed(t, self.label_smoothing, y.shape[1])

    def rows(self, y, t):
        t = self.shares(y, t)
        if self.from_logits:
            return np.logaddexp.reduce(y, axis=1) * t.sum(axis=1) - (t * y).sum(axis=1)
        return -(t * np.log(np.clip(y / divisor_of_shares(y), CLIP_LOW, CLIP_HIGH))).sum(axis=1)

    def row_gradients(self, y, t):
        t = self.shares(y, t)
        if self.from_logits:
            return softmax(y) * t.sum(axis=1, keepdims=True) - t
        # l(p) with p = y / s: dl/dy_j = dl/dp_j / s - sum_k dl/dp_k y_k / s^2.
        s = divisor_of_shares(y)
        p = y / s
        dp = np.where((p >= CLIP_LOW) & (p <= CLIP_HIGH), -t / np.clip(p, CLIP_LOW, CLIP_HIGH), 0.0)
        return dp / s - (dp * y).sum(axis=1, keepdims=True) / (s * s)

    def gradient_size(self, y, t):
        """The gradient of shares, 1 - t / p, cancels; these rows sum to 1."""
        return 2.0 if self.from_logits else 1.0 + self.shares(y, t) / y


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    targets = "labels"
    label_smoothing: ClassVar[float] = 0.0

    def shares(self, y, t):
        return one_hot(t, y.shape[1])


# The rows.
LOSSES = {
    "mean_squared_error": MeanSquaredError(),
    "huber": Huber(),
    "huber of a small delta": Huber(0.3),
    "binary_crossentropy": BinaryCrossentropy(),
    "binary_crossentropy of logits": BinaryCrossentropy(from_logits=True),
    "smoothed binary_crossentropy": BinaryCrossentropy(label_smoothing=0.2),
    "smoothed binary_crossentropy of logits": BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
    "categorical_crossentropy": CategoricalCrossentropy(),
    "categorical_crossentropy of logits": CategoricalCrossentropy(from_logits=True),
    "smoothed categorical_crossentropy": CategoricalCrossentropy(label_smoothing=0.2),
    "smoothed categorical_crossentropy of logits": CategoricalCrossentropy(from_logits=True, label_smoothing=0.2),
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy(),
    "sparse_categorical_crossentropy of logits": SparseCategoricalCrossentropy(from_logits=True),
    **FURTHER_LOSSES,
}


def loss_of(kind, from_logits=False):
    """A loss itself, or the one of a name in Keras's short form, which is the name of its first row."""
    if isinstance(kind, Loss):
        return kind
    found = next(row for row in LOSSES.values() if type(row).__name__ == class_name(kind))
    return found.replace(from_logits=True) if from_logits else found


def loss_rows(kind, y, t, from_logits=False):
    """The unweighted loss of each row, (n,)."""
    return loss_of(kind, from_logits).rows(np.asarray(y, np.float64), t)


def loss_row_gradients(kind, y, t, from_logits=False):
    """dy of each row's own loss."""
    return loss_of(kind, from_logits).row_gradients(np.asarray(y, np.float64), t)


def loss_gradient(kind, y, t, r=None, from_logits=False):
    """dy of sum_i r_i l_i / sum_i r_i."""
    r = np.ones(len(y)) if r is None else np.asarray(r, np.float64)
    scale = r / r.sum() if r.any() else np.zeros(len(y))
    return scale[:, None] * loss_row_gradients(kind, y, t, from_logits)
