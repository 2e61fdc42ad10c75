"""Metrics of classes: hits, counts of positive outputs, agreement, and curves over all thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formulas.losses import weighted_mean
from formulas.metric_base import Metric, one_hot, ones_of, share


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
