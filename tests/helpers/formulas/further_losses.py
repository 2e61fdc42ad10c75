"""Losses beyond the usual ones, as in ``losses.py``: the loss of each row, and its gradient with respect to y."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formulas.activations import sigmoid
from formulas.loss_base import CLIP_HIGH, CLIP_LOW, SMALLEST_SUM, Loss, divisor_of_shares, one_hot, smoothed


class MeanAbsoluteError(Loss):
    def rows(self, y, t):
        return np.abs(y - t).mean(axis=1)

    def row_gradients(self, y, t):
        return np.sign(y - t) / y.shape[1]


class MeanAbsolutePercentageError(Loss):
    far_from_zero = True  # targets, whose size divides

    def rows(self, y, t):
        return 100.0 * (np.abs(y - t) / np.maximum(np.abs(t), CLIP_LOW)).mean(axis=1)

    def row_gradients(self, y, t):
        return 100.0 * np.sign(y - t) / np.maximum(np.abs(t), CLIP_LOW) / y.shape[1]


class MeanSquaredLogarithmicError(Loss):
    targets = "counts"

    def logarithms(self, y, t):
        return np.log1p(np.maximum(y, CLIP_LOW)) - np.log1p(np.maximum(t, CLIP_LOW))

    def rows(self, y, t):
        return (self.logarithms(y, t) ** 2).mean(axis=1)

    def row_gradients(self, y, t):
        slope = 2.0 * self.logarithms(y, t) / (1.0 + np.maximum(y, CLIP_LOW))
        return np.where(y >= CLIP_LOW, slope, 0.0) / y.shape[1]


class LogCosh(Loss):
    def rows(self, y, t):
        return (np.logaddexp(y - t, t - y) - np.log(2.0)).mean(axis=1)

    def row_gradients(self, y, t):
        return np.tanh(y - t) / y.shape[1]


class Poisson(Loss):
    targets = "counts"
    outputs = "positive"

    def rows(self, y, t):
        mean = np.maximum(y, 0.0)
        return (mean - t * np.log(mean + CLIP_LOW)).mean(axis=1)

    def row_gradients(self, y, t):
        return np.where(y >= 0.0, 1.0 - t / (np.maximum(y, 0.0) + CLIP_LOW), 0.0) / y.shape[1]


class KLDivergence(Loss):
    targets = "probabilities"
    outputs = "shares"

    def rows(self, y, t):
        p, q = np.clip(y, CLIP_LOW, 1.0), np.clip(t, CLIP_LOW, 1.0)
        return (q * np.log(q / p)).sum(axis=1)

    def row_gradients(self, y, t):
        p, q = np.clip(y, CLIP_LOW, 1.0), np.clip(t, CLIP_LOW, 1.0)
        return np.where((y >= CLIP_LOW) & (y <= 1.0), -q / p, 0.0)


class CosineSimilarity(Loss):
    def parts(self, y, t):
        lengths = np.linalg.norm(y, axis=1, keepdims=True)
        floored = np.maximum(lengths, CLIP_LOW)
        of_t = t / np.maximum(np.linalg.norm(t, axis=1, keepdims=True), CLIP_LOW)
        return y / floored, of_t, lengths, floored

    def rows(self, y, t):
        of_y, of_t, _, _ = self.parts(y, t)
        return -(of_y * of_t).sum(axis=1)

    def row_gradients(self, y, t):
        of_y, of_t, lengths, floored = self.parts(y, t)
        cosine = (of_y * of_t).sum(axis=1, keepdims=True)
        return np.where(lengths >= CLIP_LOW, -(of_t - cosine * of_y) / floored, 0.0)

    def gradient_size(self, y, t):
        return 1.0 / np.maximum(np.linalg.norm(y, axis=1, keepdims=True), CLIP_LOW)


class Hinge(Loss):
    targets = "signs"

    def gaps(self, y, t):
        sign = np.where(t > 0, 1.0, -1.0)
        return sign, np.maximum(0.0, 1.0 - sign * y)

    def rows(self, y, t):
        return self.gaps(y, t)[1].mean(axis=1)

    def row_gradients(self, y, t):
        sign, gap = self.gaps(y, t)
        return np.where(gap > 0.0, -sign, 0.0) / y.shape[1]


class SquaredHinge(Hinge):
    degree = 2

    def rows(self, y, t):
        return (self.gaps(y, t)[1] ** 2).mean(axis=1)

    def row_gradients(self, y, t):
        sign, gap = self.gaps(y, t)
        return -2.0 * sign * gap / y.shape[1]


class CategoricalHinge(Loss):
    targets = "distribution"

    def gap(self, y, t):
        wrong = (1.0 - t) * y
        return wrong, wrong.max(axis=1) - (t * y).sum(axis=1) + 1.0

    def rows(self, y, t):
        return np.maximum(0.0, self.gap(y, t)[1])

    def row_gradients(self, y, t):
        wrong, gap = self.gap(y, t)
        most = wrong == wrong.max(axis=1, keepdims=True)
        pull = (1.0 - t) * most / most.sum(axis=1, keepdims=True)
        return np.where(gap[:, None] > 0.0, pull - t, 0.0)


@dataclass(frozen=True)
class Tweedie(Loss):
    power: float = 1.5
    targets: ClassVar[str] = "counts"
    outputs: ClassVar[str] = "positive"

    def rows(self, y, t):
        p, mean, t = self.power, np.maximum(y, CLIP_LOW), np.asarray(t, np.float64)
        safe = np.where(t > 0.0, t, 1.0)
        if p == 1.0:
            deviance = np.where(t > 0.0, t * np.log(safe / mean), 0.0) - t + mean
        elif p == 2.0:
            deviance = np.log(mean / t) + t / mean - 1.0
        else:
            deviance = t ** (2.0 - p) / ((1.0 - p) * (2.0 - p)) - t * mean ** (1.0 - p) / (1.0 - p)
            deviance = deviance + mean ** (2.0 - p) / (2.0 - p)
        return 2.0 * deviance.mean(axis=1)

    def row_gradients(self, y, t):
        mean = np.maximum(y, CLIP_LOW)
        return np.where(y >= CLIP_LOW, 2.0 * (mean - t) * mean**-self.power, 0.0) / y.shape[1]


@dataclass(frozen=True)
class Quantile(Loss):
    quantiles: tuple[float, ...] = (0.5,)

    @property
    def heads(self):
        return len(self.quantiles)

    def levels(self, y):
        return np.repeat(self.quantiles, y.shape[1] // self.heads)

    def rows(self, y, t):
        error, q = np.tile(t, self.heads) - y, self.levels(y)
        return np.maximum(q * error, (q - 1.0) * error).mean(axis=1)

    def row_gradients(self, y, t):
        error, q = np.tile(t, self.heads) - y, self.levels(y)
        return np.where(error > 0.0, -q, np.where(error < 0.0, 1.0 - q, 0.0)) / y.shape[1]


@dataclass(frozen=True)
class GaussianNLL(Loss):
    full: bool = False
    epsilon: float = 1e-6
    degree: ClassVar[int] = 2

    @property
    def heads(self):
        return 2

    def parts(self, y, t):
        mean, spread = np.split(y, 2, axis=1)
        floor = np.log(np.float64(np.float32(self.epsilon)))
        variance = np.exp(np.maximum(spread, floor))
        return mean - t, np.log(variance), variance, spread < floor

    def rows(self, y, t):
        error, spread, variance, _ = self.parts(y, t)
        constant = 0.5 * np.log(2.0 * np.pi) if self.full else 0.0
        return 0.5 * (spread + error**2 / variance).mean(axis=1) + constant

    def row_gradients(self, y, t):
        error, _, variance, clipped = self.parts(y, t)
        slope = 0.5 * (1.0 - error**2 / variance)
        return np.hstack([error / variance, np.where(clipped, np.minimum(slope, 0.0), slope)]) / error.shape[1]

    def gradient_size(self, y, t):
        error, _, variance, _ = self.parts(y, t)
        size = (1.0 + np.abs(y).max(initial=0.0)) * (1.0 + error**2) / variance
        return np.hstack([size, size])


@dataclass(frozen=True)
class BinaryFocalCrossentropy(Loss):
    apply_class_balancing: bool = False
    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    targets: ClassVar[str] = "probabilities"
    absorbs: ClassVar[str] = "sigmoid"

    def parts(self, y, t):
        """(w, m, cross-entropy, p, q, t)."""
        t = smoothed(t, self.label_smoothing, 2)
        weight = t * self.alpha + (1.0 - t) * (1.0 - self.alpha) if self.apply_class_balancing else 1.0
        if self.from_logits:
            p, q, entropy = sigmoid(y), sigmoid(-y), np.logaddexp(0.0, y) - t * y
        else:
            p = np.clip(y, CLIP_LOW, CLIP_HIGH)
            q, entropy = 1.0 - p, -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p))
        return weight, t * q + (1.0 - t) * p, entropy, p, q, t

    def rows(self, y, t):
        weight, missed, entropy, *_ = self.parts(y, t)
        return (weight * missed**self.gamma * entropy).mean(axis=1)

    def row_gradients(self, y, t):
        weight, missed, entropy, p, q, t = self.parts(y, t)
        steeper = self.gamma * missed ** (self.gamma - 1.0) * (1.0 - 2.0 * t) * entropy
        by_p = weight * (steeper + missed**self.gamma * (p - t) / (p * q))
        if self.from_logits:
            return by_p * p * q / y.shape[1]
        return np.where((y >= CLIP_LOW) & (y <= CLIP_HIGH), by_p, 0.0) / y.shape[1]

    def gradient_size(self, y, t):
        if self.from_logits:
            return 2.0 + np.abs(y)
        _, _, entropy, p, q, _ = self.parts(y, t)
        return (1.0 + entropy) / (p * q)


@dataclass(frozen=True)
class CategoricalFocalCrossentropy(Loss):
    alpha: tuple[float, ...] = (0.25,)
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0
    targets: ClassVar[str] = "distribution"
    absorbs: ClassVar[str] = "softmax"

    def parts(self, y, t):
        t = smoothed(t, self.label_smoothing, y.shape[1])
        if self.from_logits:
            log_p = y - np.logaddexp.reduce(y, axis=1, keepdims=True)
            return t, np.exp(log_p), log_p
        p = np.clip(y / divisor_of_shares(y), CLIP_LOW, CLIP_HIGH)
        return t, p, np.log(p)

    def rows(self, y, t):
        t, p, log_p = self.parts(y, t)
        return -(np.asarray(self.alpha) * (1.0 - p) ** self.gamma * t * log_p).sum(axis=1)

    def row_gradients(self, y, t):
        t, p, log_p = self.parts(y, t)
        missed = np.maximum(1.0 - p, SMALLEST_SUM)
        by_p = np.asarray(self.alpha) * t * (self.gamma * missed ** (self.gamma - 1.0) * log_p - missed**self.gamma / p)
        if self.from_logits:
            return p * (by_p - (by_p * p).sum(axis=1, keepdims=True))
        s = divisor_of_shares(y)
        share = y / s
        by_p = np.where((share >= CLIP_LOW) & (share <= CLIP_HIGH), by_p, 0.0)
        return by_p / s - (by_p * y).sum(axis=1, keepdims=True) / (s * s)

    def gradient_size(self, y, t):
        if self.from_logits:
            return 2.0 + np.abs(y).max(axis=1, keepdims=True)
        return 2.0 + smoothed(t, self.label_smoothing, y.shape[1]) / y


@dataclass(frozen=True)
class CategoricalGeneralizedCrossEntropy(Loss):
    q: float = 0.5
    targets: ClassVar[str] = "labels"
    outputs: ClassVar[str] = "shares"

    def chosen(self, y, t):
        return y[np.arange(len(y)), np.asarray(t).reshape(-1)]

    def rows(self, y, t):
        return (1.0 - np.maximum(self.chosen(y, t), CLIP_LOW) ** self.q) / self.q

    def row_gradients(self, y, t):
        p = self.chosen(y, t)
        slope = np.where(p >= CLIP_LOW, -(np.maximum(p, CLIP_LOW) ** (self.q - 1.0)), 0.0)
        return slope[:, None] * one_hot(t, y.shape[1])


# The rows.
FURTHER_LOSSES = {
    "mean_absolute_error": MeanAbsoluteError(),
    "mean_absolute_percentage_error": MeanAbsolutePercentageError(),
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError(),
    "log_cosh": LogCosh(),
    "poisson": Poisson(),
    "kl_divergence": KLDivergence(),
    "cosine_similarity": CosineSimilarity(),
    "hinge": Hinge(),
    "squared_hinge": SquaredHinge(),
    "categorical_hinge": CategoricalHinge(),
    "tweedie": Tweedie(),
    "tweedie, Poisson's": Tweedie(1.0),
    "tweedie, the gamma's": Tweedie(2.0),
    "tweedie near Poisson's": Tweedie(1.001),
    "quantile": Quantile(),
    "quantile of a tenth": Quantile((0.1,)),
    "quantiles": Quantile((0.05, 0.5, 0.9)),
    "gaussian_nll": GaussianNLL(),
    "gaussian_nll with its constant": GaussianNLL(True, 1e-3),
    "binary_focal_crossentropy": BinaryFocalCrossentropy(),
    "binary_focal_crossentropy of logits": BinaryFocalCrossentropy(from_logits=True),
    "balanced binary_focal_crossentropy": BinaryFocalCrossentropy(True, 0.3, 1.5, False, 0.1),
    "balanced binary_focal_crossentropy of logits": BinaryFocalCrossentropy(True, 0.3, 0.5, True, 0.1),
    "categorical_focal_crossentropy": CategoricalFocalCrossentropy(),
    "categorical_focal_crossentropy of logits": CategoricalFocalCrossentropy(from_logits=True),
    "smoothed categorical_focal_crossentropy": CategoricalFocalCrossentropy((0.5,), 0.5, False, 0.1),
    "smoothed categorical_focal_crossentropy of logits": CategoricalFocalCrossentropy((0.5,), 0.5, True, 0.1),
    "categorical_generalized_cross_entropy": CategoricalGeneralizedCrossEntropy(),
    "categorical_generalized_cross_entropy, nearly absolute": CategoricalGeneralizedCrossEntropy(0.9),
}
