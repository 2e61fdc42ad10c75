"""Metrics as functions of the final outputs y (n, k) and the targets t of all rows, with weights r of the rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formulas import Formula, class_name
from formulas.losses import weighted_mean

EPSILON = 1e-7  # Keras's


def one_hot(t, k):
    """Targets as a matrix; labels become rows with a 1."""
    return np.eye(k)[np.asarray(t)] if np.ndim(t) == 1 else np.asarray(t, np.float64)


def ones_of(y, r):
    return np.ones(len(y)) if r is None else np.asarray(r, np.float64)


def share(part, whole):
    return float(part / whole) if whole > 0 else 0.0


@dataclass(frozen=True)
class Metric(Formula):
    """Base: ``value(y, t, r)``.

    targets: "matrix" (n, k), "labels" (n,), or "any". outputs: how many there must be; None is any number;
    least_outputs: how many at least.
    """

    targets: ClassVar[str] = "matrix"
    outputs: ClassVar[int | None] = None
    least_outputs: ClassVar[int] = 1

    def value(self, y, t, r=None):
        """That of a mean over rows; other metrics have their own."""
        return weighted_mean(self.rows(np.asarray(y, np.float64), t), r)


class Accuracy(Metric):
    def rows(self, y, t):
        return (y == t).mean(axis=1)


@dataclass(frozen=True)
class BinaryAccuracy(Metric):
    threshold: float = 0.5

    def rows(self, y, t):
        return ((y > self.threshold) == (t > 0.5)).mean(axis=1)


class CategoricalAccuracy(Metric):
    def rows(self, y, t):
        return y.argmax(axis=1) == t.argmax(axis=1)


class SparseCategoricalAccuracy(Metric):
    targets = "labels"

    def rows(self, y, t):
        return y.argmax(axis=1) == np.asarray(t).reshape(-1)


@dataclass(frozen=True)
class TopKCategoricalAccuracy(Metric):
    k: int = 5

    def rows(self, y, t):
        wanted = one_hot(t, y.shape[1]).argmax(axis=1)
        return np.array([sum(row > row[j]) < self.k for row, j in zip(y, wanted, strict=True)])


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    targets = "labels"


def classes_of(y, t, threshold):
    """(found, wanted, number of classes)."""
    if y.shape[1] == 1:
        return (y[:, 0] > threshold).astype(int), (np.asarray(t).reshape(-1) > 0.5).astype(int), 2
    return y.argmax(axis=1), one_hot(t, y.shape[1]).argmax(axis=1), y.shape[1]


def confusion(y, t, r, threshold):
    found, wanted, k = classes_of(y, t, threshold)
    table = np.zeros((k, k))
    np.add.at(table, (wanted, found), ones_of(y, r))
    return table


@dataclass(frozen=True)
class BalancedAccuracy(Metric):
    targets = "any"
    threshold: float = 0.5

    def value(self, y, t, r=None):
        table = confusion(y, t, r, self.threshold)
        there = table.sum(axis=1) > 0
        return float((np.diag(table)[there] / table.sum(axis=1)[there]).mean())


@dataclass(frozen=True)
class MatthewsCorrelation(Metric):
    targets = "any"
    threshold: float = 0.5

    def value(self, y, t, r=None):
        found, wanted, k = classes_of(y, t, self.threshold)
        w = ones_of(y, r)
        a, b = np.eye(k)[found], np.eye(k)[wanted]

        def covariance(p, q):
            return np.sum(w @ (p * q) / w.sum() - (w @ p) * (w @ q) / w.sum() ** 2)

        spread = covariance(a, a) * covariance(b, b)
        return covariance(a, b) / spread**0.5 if spread > 0 else 0.0


@dataclass(frozen=True)
class CohenKappa(Metric):
    targets = "any"
    weights: str | None = None
    threshold: float = 0.5

    def value(self, y, t, r=None):
        table = confusion(y, t, r, self.threshold)
        gaps = np.abs(np.subtract.outer(np.arange(len(table)), np.arange(len(table))))
        cost = {None: gaps > 0, "linear": gaps, "quadratic": gaps**2}[self.weights]
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        return 1.0 - (cost * table).sum() / (cost * expected).sum()


def counts(y, t, r, thresholds=None, top_k=None, class_id=None):
    """TP, FP, TN and FN of the outputs of all columns, or of one."""
    actual = one_hot(t, y.shape[1]) > 0.5
    found = np.ones(y.shape, bool)
    if top_k is not None:
        order = np.argsort(-y, axis=1, kind="stable")[:, :top_k]
        found = np.zeros(y.shape, bool)
        np.put_along_axis(found, order, True, axis=1)
    if top_k is None or thresholds is not None:
        found &= y > (0.5 if thresholds is None else np.float32(thresholds))
    if class_id is not None:
        actual, found = actual[:, [class_id]], found[:, [class_id]]
    w = ones_of(y, r)[:, None]
    return [float((w * part).sum()) for part in (actual & found, ~actual & found, ~actual & ~found, actual & ~found)]


@dataclass(frozen=True)
class Precision(Metric):
    targets = "any"
    thresholds: float | None = None
    top_k: int | None = None
    class_id: int | None = None

    @property
    def least_outputs(self):
        return max(self.top_k or 1, (self.class_id or 0) + 1)

    def counts(self, y, t, r):
        return counts(y, t, r, self.thresholds, self.top_k, self.class_id)

    def value(self, y, t, r=None):
        tp, fp, _, _ = self.counts(y, t, r)
        return share(tp, tp + fp)


class Recall(Precision):
    def value(self, y, t, r=None):
        tp, _, _, fn = self.counts(y, t, r)
        return share(tp, tp + fn)


class Specificity(Precision):
    def value(self, y, t, r=None):
        _, fp, tn, _ = self.counts(y, t, r)
        return share(tn, tn + fp)


@dataclass(frozen=True)
class TruePositives(Metric):
    targets = "any"
    which: ClassVar[int] = 0
    thresholds: float | None = None

    def value(self, y, t, r=None):
        return counts(y, t, r, self.thresholds)[self.which]


class FalsePositives(TruePositives):
    which = 1


class TrueNegatives(TruePositives):
    which = 2


class FalseNegatives(TruePositives):
    which = 3


@dataclass(frozen=True)
class FBetaScore(Metric):
    targets = "any"
    average: str | None = None
    beta: float = 1.0
    threshold: float | None = None
    class_id: int | None = None

    @property
    def outputs(self):
        return 1 if self.average is None and self.class_id is None else None

    @property
    def least_outputs(self):
        return (self.class_id or 0) + 1

    def value(self, y, t, r=None):
        columns = np.arange(y.shape[1])
        actual = one_hot(t, len(columns)) > 0.5
        if self.threshold is not None or len(columns) == 1:
            predicted = y > (self.threshold or 0.5)
        else:
            predicted = y.argmax(axis=1)[:, None] == columns
        w = ones_of(y, r)
        if self.average == "micro":
            return f_of(predicted.ravel(), actual.ravel(), np.repeat(w, len(columns)), self.beta)
        scores = [f_of(predicted[:, j], actual[:, j], w, self.beta) for j in columns]
        if self.class_id is not None:
            return scores[self.class_id]
        return weighted_mean(scores, w @ actual if self.average == "weighted" else None)


def f_of(predicted, actual, w, beta):
    if w[predicted & actual].sum() == 0:
        return 0.0
    precision = np.average(actual[predicted], weights=w[predicted])
    recall = np.average(predicted[actual], weights=w[actual])
    return float((1.0 + beta**2) * precision * recall / (beta**2 * precision + recall))


@dataclass(frozen=True)
class F1Score(Metric):
    targets = "any"
    average: str | None = None
    threshold: float | None = None
    class_id: int | None = None

    @property
    def outputs(self):
        return 1 if self.average is None and self.class_id is None else None

    @property
    def least_outputs(self):
        return (self.class_id or 0) + 1

    def value(self, y, t, r=None):
        return FBetaScore(self.average, 1.0, self.threshold, self.class_id).value(y, t, r)


@dataclass(frozen=True)
class AUC(Metric):
    targets = "any"
    curve: str = "ROC"
    multi_label: bool = False

    def value(self, y, t, r=None):
        actual, w = one_hot(t, y.shape[1]) > 0.5, ones_of(y, r)
        area = area_of_roc if self.curve == "ROC" else average_precision
        if self.multi_label:
            return float(np.mean([area(y[:, j], actual[:, j], w) for j in range(y.shape[1])]))
        return area(y.ravel(), actual.ravel(), np.repeat(w, y.shape[1]))


def area_of_roc(y, actual, w):
    lead = y[actual][:, None] - y[~actual]
    won = (lead > 0.0) + 0.5 * (lead == 0.0)
    pairs = np.outer(w[actual], w[~actual])
    return float((won * pairs).sum() / pairs.sum())


def average_precision(y, actual, w):
    total, before = 0.0, 0.0
    for limit in np.unique(y)[::-1]:
        above = y >= limit
        found = w[above & actual].sum()
        total += (found - before) * share(found, w[above].sum())
        before = found
    return float(total / w[actual].sum())


def at_thresholds(y, t, r, class_id):
    """(precision, recall, specificity) at every threshold, one above all outputs included."""
    actual, w = one_hot(t, y.shape[1]) > 0.5, np.repeat(ones_of(y, r), y.shape[1])
    if class_id is not None:
        actual, y, w = actual[:, class_id], y[:, class_id], ones_of(y, r)
    actual, y = actual.ravel(), y.ravel()
    for limit in [np.inf, *np.unique(y)]:
        above = y >= limit
        tp, fp = w[above & actual].sum(), w[above & ~actual].sum()
        yield share(tp, tp + fp), share(tp, w[actual].sum()), share(w[~actual].sum() - fp, w[~actual].sum())


@dataclass(frozen=True)
class AtThreshold(Metric):
    """The best of ``wanted`` where ``bounded`` reaches the bound; both are places in at_thresholds."""

    targets = "any"
    wanted: ClassVar[int]
    bounded: ClassVar[int]

    @property
    def least_outputs(self):
        return (self.class_id or 0) + 1

    def value(self, y, t, r=None):
        bound = next(iter(vars(self).values()))
        points = at_thresholds(y, t, r, self.class_id)
        return max([0.0, *(point[self.wanted] for point in points if point[self.bounded] >= bound)])


@dataclass(frozen=True)
class PrecisionAtRecall(AtThreshold):
    wanted, bounded = 0, 1
    recall: float
    class_id: int | None = None


@dataclass(frozen=True)
class RecallAtPrecision(AtThreshold):
    wanted, bounded = 1, 0
    precision: float
    class_id: int | None = None


@dataclass(frozen=True)
class SensitivityAtSpecificity(AtThreshold):
    wanted, bounded = 1, 2
    specificity: float
    class_id: int | None = None


@dataclass(frozen=True)
class SpecificityAtSensitivity(AtThreshold):
    wanted, bounded = 2, 1
    sensitivity: float
    class_id: int | None = None


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
