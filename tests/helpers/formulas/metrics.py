"""Metrics as functions of the final outputs y (n, k) and the targets t of all rows, with weights r of the rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from formulas import class_name
from formulas.metric_base import EPSILON, Metric, one_hot, ones_of
from formulas.metrics_of_classes import (
    AUC,
    Accuracy,
    BalancedAccuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    CohenKappa,
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    MatthewsCorrelation,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    Specificity,
    SpecificityAtSensitivity,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
)


@dataclass(frozen=True)
class BinaryCrossentropy(Metric):
    from_logits: bool = False
    label_smoothing: float = 0.0

    def rows(self, y, t):
        t = t * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        if self.from_logits:
            return (np.logaddexp(0.0, y) - t * y).mean(axis=1)
        p = np.clip(y, EPSILON, 1.0 - EPSILON)
        return -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p)).mean(axis=1)


def log_shares(y, from_logits):
    if from_logits:
        return y - np.logaddexp.reduce(y, axis=1, keepdims=True)
    return np.log(np.clip(y / y.sum(axis=1, keepdims=True), EPSILON, 1.0 - EPSILON))


@dataclass(frozen=True)
class CategoricalCrossentropy(Metric):
    from_logits: bool = False
    label_smoothing: float = 0.0

    def rows(self, y, t):
        t = t * (1.0 - self.label_smoothing) + self.label_smoothing / y.shape[1]
        return -(t * log_shares(y, self.from_logits)).sum(axis=1)


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(Metric):
    targets = "labels"
    from_logits: bool = False

    def rows(self, y, t):
        return -(one_hot(t, y.shape[1]) * log_shares(y, self.from_logits)).sum(axis=1)


class BrierScore(Metric):
    targets = "any"

    def rows(self, y, t):
        return ((y - one_hot(t, y.shape[1])) ** 2).sum(axis=1)


@dataclass(frozen=True)
class ExpectedCalibrationError(Metric):
    targets = "any"
    num_bins: int = 15

    def value(self, y, t, r=None):
        y, w, t = np.asarray(y, np.float64), ones_of(y, r), one_hot(t, y.shape[1])
        hits = t[:, 0] if y.shape[1] == 1 else y.argmax(axis=1) == t.argmax(axis=1)
        confidence, gap = y.max(axis=1), 0.0
        borders = np.arange(self.num_bins + 1) / self.num_bins
        borders[0], borders[-1] = -np.inf, np.inf
        for low, high in itertools.pairwise(borders):
            inside = (confidence > low) & (confidence <= high)
            gap += abs((w * (hits - confidence))[inside].sum())
        return gap / w.sum()


def hinges(y, t):
    return np.maximum(1.0 - y * np.where(t == 0.0, -1.0, t), 0.0)


class Hinge(Metric):
    def rows(self, y, t):
        return hinges(y, t).mean(axis=1)


class SquaredHinge(Metric):
    def rows(self, y, t):
        return (hinges(y, t) ** 2).mean(axis=1)


class CategoricalHinge(Metric):
    def rows(self, y, t):
        return np.maximum(((1.0 - t) * y).max(axis=1) - (t * y).sum(axis=1) + 1.0, 0.0)


class KLDivergence(Metric):
    def rows(self, y, t):
        y, t = np.clip(y, EPSILON, 1.0), np.clip(t, EPSILON, 1.0)
        return (t * np.log(t / y)).sum(axis=1)


class MeanSquaredError(Metric):
    def rows(self, y, t):
        return ((y - t) ** 2).mean(axis=1)


class MeanAbsoluteError(Metric):
    def rows(self, y, t):
        return np.abs(y - t).mean(axis=1)


class RootMeanSquaredError(Metric):
    def value(self, y, t, r=None):
        return MeanSquaredError().value(y, t, r) ** 0.5


class MeanAbsolutePercentageError(Metric):
    def rows(self, y, t):
        return (100.0 * np.abs(y - t) / np.maximum(np.abs(t), EPSILON)).mean(axis=1)


class MeanSquaredLogarithmicError(Metric):
    def rows(self, y, t):
        return ((np.log(np.maximum(y, EPSILON) + 1.0) - np.log(np.maximum(t, EPSILON) + 1.0)) ** 2).mean(axis=1)


class MedianAbsoluteError(Metric):
    def value(self, y, t, r=None):
        errors, w = np.abs(np.asarray(y, np.float64) - t), ones_of(y, r)
        return float(np.mean([median(column, w) for column in errors.T]))


def median(values, w):
    """The mean of the least and the largest value that half of the weight is at most and at least."""
    values, w = values[w > 0], w[w > 0]
    low = min(v for v in values if w[values <= v].sum() >= 0.5 * w.sum())
    high = max(v for v in values if w[values >= v].sum() >= 0.5 * w.sum())
    return 0.5 * (low + high)


class LogCoshError(Metric):
    def rows(self, y, t):
        return np.log(np.cosh(y - t)).mean(axis=1)


class Poisson(Metric):
    def rows(self, y, t):
        return (y - t * np.log(y + EPSILON)).mean(axis=1)


class CosineSimilarity(Metric):
    def rows(self, y, t):
        lengths = [np.sqrt(np.maximum((x * x).sum(axis=1), 1e-12)) for x in (y, np.asarray(t, np.float64))]
        return (y * t).sum(axis=1) / (lengths[0] * lengths[1])


@dataclass(frozen=True)
class R2Score(Metric):
    class_aggregation: str | None = "uniform_average"
    num_regressors: int = 0

    @property
    def outputs(self):
        return 1 if self.class_aggregation is None else None

    def value(self, y, t, r=None):
        w, t, n = ones_of(y, r)[:, None], np.asarray(t, np.float64), int((ones_of(y, r) > 0).sum())
        spread = (w * (t - (w * t).sum(axis=0) / w.sum()) ** 2).sum(axis=0)
        r2 = 1.0 - (w * (y - t) ** 2).sum(axis=0) / spread
        mean = np.average(r2, weights=spread if self.class_aggregation == "variance_weighted_average" else None)
        q = self.num_regressors
        return float(mean if q == 0 else 1.0 - (1.0 - mean) * (n - 1) / (n - q - 1))


def variance(x, w):
    return np.average((x - np.average(x, axis=0, weights=w)) ** 2, axis=0, weights=w)


class ExplainedVariance(Metric):
    def value(self, y, t, r=None):
        w, t = ones_of(y, r), np.asarray(t, np.float64)
        return float((1.0 - variance(t - y, w) / variance(t, w)).mean())


def moments(y, t, w):
    """Covariance, variances and means of two vectors."""
    my, mt = np.average(y, weights=w), np.average(t, weights=w)
    covariance = np.average((y - my) * (t - mt), weights=w)
    return covariance, variance(y, w), variance(t, w), my, mt


@dataclass(frozen=True)
class PearsonCorrelation(Metric):
    axis: int = -1

    @property
    def least_outputs(self):
        return 1 if self.axis == 0 else 2

    def of(self, y, t, w):
        covariance, vy, vt, _, _ = moments(y, t, w)
        return covariance / (vy * vt) ** 0.5

    def value(self, y, t, r=None):
        y, t, w = np.asarray(y, np.float64), np.asarray(t, np.float64), ones_of(y, r)
        if self.axis == 0:
            return float(np.mean([self.of(a, b, w) for a, b in zip(y.T, t.T, strict=True)]))
        return float(np.average([self.of(a, b, None) for a, b in zip(y, t, strict=True)], weights=w))


class ConcordanceCorrelation(PearsonCorrelation):
    def of(self, y, t, w):
        covariance, vy, vt, my, mt = moments(y, t, w)
        return 2.0 * covariance / (vy + vt + (my - mt) ** 2)


# The rows.
METRICS = {
    "accuracy": Accuracy(),
    "binary_accuracy": BinaryAccuracy(),
    "binary accuracy of a threshold": BinaryAccuracy(0.25),
    "categorical_accuracy": CategoricalAccuracy(),
    "sparse_categorical_accuracy": SparseCategoricalAccuracy(),
    "top k": TopKCategoricalAccuracy(2),
    "sparse top k": SparseTopKCategoricalAccuracy(3),
    "balanced accuracy": BalancedAccuracy(),
    "balanced accuracy of a threshold": BalancedAccuracy(0.25),
    "matthews": MatthewsCorrelation(),
    "matthews of a threshold": MatthewsCorrelation(0.25),
    "kappa": CohenKappa(),
    "linear kappa": CohenKappa("linear", 0.25),
    "quadratic kappa": CohenKappa("quadratic"),
    "precision": Precision(),
    "precision of a threshold": Precision(0.25),
    "precision of the largest": Precision(top_k=2),
    "precision of large ones of a class": Precision(0.125, 3, 1),
    "recall": Recall(0.25),
    "recall of the largest": Recall(None, 2, 2),
    "specificity": Specificity(0.25),
    "specificity of a class": Specificity(class_id=1),
    "true positives": TruePositives(0.25),
    "true negatives": TrueNegatives(0.25),
    "false positives": FalsePositives(0.25),
    "false negatives": FalseNegatives(),
    # Several outputs first: the test of every option takes the first row of a class, and averages differ there only.
    "micro f2": FBetaScore("micro", 2.0, 0.25),
    "weighted f": FBetaScore("weighted", 0.5),
    "f of a class": FBetaScore(beta=0.5, class_id=1),
    "f": FBetaScore(),
    "micro f1": F1Score("micro"),
    "macro f1": F1Score("macro"),
    "weighted f1": F1Score("weighted"),
    "macro f1 of a threshold": F1Score("macro", 0.25),
    "f1_score": F1Score(),
    "f1 of a low threshold": F1Score(threshold=0.25),
    "f1 of a class": F1Score(class_id=2),
    "auc": AUC(),
    "mean auc": AUC(multi_label=True),
    "average precision": AUC("PR"),
    "mean average precision": AUC("PR", True),
    "precision at recall": PrecisionAtRecall(0.5),
    "precision at recall of a class": PrecisionAtRecall(0.75, 1),
    "recall at precision": RecallAtPrecision(0.25),
    "sensitivity at specificity": SensitivityAtSpecificity(0.5),
    "specificity at sensitivity": SpecificityAtSensitivity(0.5, 0),
    "binary crossentropy": BinaryCrossentropy(),
    "smooth binary crossentropy": BinaryCrossentropy(label_smoothing=0.25),
    "binary crossentropy of logits": BinaryCrossentropy(True),
    "categorical crossentropy": CategoricalCrossentropy(),
    "smooth categorical crossentropy": CategoricalCrossentropy(label_smoothing=0.25),
    "categorical crossentropy of logits": CategoricalCrossentropy(True),
    "sparse crossentropy": SparseCategoricalCrossentropy(),
    "sparse crossentropy of logits": SparseCategoricalCrossentropy(True),
    "brier": BrierScore(),
    "calibration": ExpectedCalibrationError(),
    "calibration of few bins": ExpectedCalibrationError(4),
    "hinge": Hinge(),
    "squared hinge": SquaredHinge(),
    "categorical hinge": CategoricalHinge(),
    "divergence": KLDivergence(),
    "mean_squared_error": MeanSquaredError(),
    "mean_absolute_error": MeanAbsoluteError(),
    "root_mean_squared_error": RootMeanSquaredError(),
    "percentage": MeanAbsolutePercentageError(),
    "logarithmic": MeanSquaredLogarithmicError(),
    "median": MedianAbsoluteError(),
    "log cosh": LogCoshError(),
    "poisson": Poisson(),
    "cosine": CosineSimilarity(),
    "r2": R2Score(),
    "r2 by variance": R2Score("variance_weighted_average", 2),
    "r2 of one": R2Score(None),
    "explained variance": ExplainedVariance(),
    "pearson": PearsonCorrelation(),
    "pearson along rows": PearsonCorrelation(0),
    "concordance": ConcordanceCorrelation(),
    "concordance along rows": ConcordanceCorrelation(0),
}


def metric(name, y, t, r=None):
    """The value of a metric of no settings, by the name of its class in Keras's short form."""
    found = next(row for row in METRICS.values() if type(row).__name__ == class_name(name))
    return found.value(y, t, r)
