"""Every metric against scikit-learn, SciPy or NumPy's own functions, with weights of rows and without."""

import copy

import numpy as np
import pytest
from cases import METRIC_CASES
from fastreg import metrics
from scipy import special, stats
from scored import scored, weights
from sklearn import metrics as sk


def best(y):
    return y.argmax(axis=1)


def yes(t):
    return (t > 0.5).astype(int)


def shares(y):
    """Rows that sum to 1 in float64."""
    return y.astype(np.float64) / y.sum(axis=1, keepdims=True, dtype=np.float64)


def both(function, **options):
    """scikit-learn's function of labels, for outputs of classes and for one of yes or no."""

    def value(t, y, w):
        if y.shape[1] == 1:
            return function(yes(t)[:, 0], yes(y)[:, 0], sample_weight=w, **options)
        return function(t if t.ndim == 1 else best(t), best(y), sample_weight=w, **options)

    return value


def of_numbers(function, **options):
    return lambda t, y, w: function(t.astype(np.float64), y.astype(np.float64), sample_weight=w, **options)


def of_flat(function, **options):
    """scikit-learn's function of all columns together."""

    def value(t, y, w):
        w = np.repeat(np.ones(len(y)) if w is None else w, y.shape[1])
        return function(yes(t).ravel(), y.astype(np.float64).ravel(), sample_weight=w, **options)

    return value


def of_positives(function):
    return of_flat(lambda a, b, sample_weight: function(a, yes(b), sample_weight=sample_weight))


def count(i, j):
    return of_positives(
        lambda a, b, sample_weight: sk.confusion_matrix(a, b, sample_weight=sample_weight, labels=[0, 1])[i, j]
    )


def curve_point(function, wanted, bounded):
    """The best of one measure where another is at least 0.5, over the points of one of scikit-learn's curves."""

    def value(t, y, w):
        first, second = function(yes(t)[:, 0], y[:, 0].astype(np.float64), w)
        measures = {"first": first, "second": second}
        return measures[wanted][measures[bounded] >= 0.5].max()

    return value


def precision_recall(t, y, w):
    precision, recall, _ = sk.precision_recall_curve(t, y, sample_weight=w)
    return precision[:-1], recall[:-1]  # the last point is not one of a threshold


def sensitivity_specificity(t, y, w):
    false, true, _ = sk.roc_curve(t, y, sample_weight=w, drop_intermediate=False)
    return true, 1.0 - false


def mean(rows):
    """The weighted mean of a function of rows."""
    return lambda t, y, w: np.average(rows(np.asarray(t, np.float64), np.asarray(y, np.float64)), weights=w)


def correlation(t, y, w):
    covariance = np.cov(t[:, 0].astype(np.float64), y[:, 0].astype(np.float64), aweights=w)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def concordance(t, y, w):
    covariance = np.cov(t[:, 0].astype(np.float64), y[:, 0].astype(np.float64), aweights=w, ddof=0)
    shift = np.average(t[:, 0] - y[:, 0], weights=w)
    return 2.0 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + shift**2)


def calibration(t, y, w):
    """From sums of bins that NumPy makes."""
    w = np.ones(len(y)) if w is None else w
    edges = np.linspace(0.0, 1.0, 16)
    place = np.clip(np.digitize(y.max(axis=1).astype(np.float64), edges, right=True), 1, 15)
    hits = np.bincount(place, w * (best(y) == best(t)), minlength=16)
    return np.abs(hits - np.bincount(place, w * y.max(axis=1), minlength=16)).sum() / w.sum()


def brier(t, y, w):
    return 2.0 * sk.brier_score_loss(best(t), y, sample_weight=w, labels=range(5), scale_by_half=True)


# A metric with the kind of rows and what scikit-learn, SciPy or NumPy make of them.
OTHERS = [
    (metrics.Accuracy(), "copies", mean(lambda t, y: (t == y).mean(axis=1))),
    (metrics.BinaryAccuracy(), "yes", both(sk.accuracy_score)),
    (metrics.CategoricalAccuracy(), "classes", both(sk.accuracy_score)),
    (metrics.SparseCategoricalAccuracy(), "labels", both(sk.accuracy_score)),
    (
        metrics.TopKCategoricalAccuracy(2),
        "classes",
        lambda t, y, w: sk.top_k_accuracy_score(best(t), y, k=2, sample_weight=w, labels=range(5)),
    ),
    (
        metrics.SparseTopKCategoricalAccuracy(3),
        "labels",
        lambda t, y, w: sk.top_k_accuracy_score(t, y, k=3, sample_weight=w, labels=range(5)),
    ),
    (metrics.BalancedAccuracy(), "classes", both(sk.balanced_accuracy_score)),
    (metrics.BalancedAccuracy(), "yes", both(sk.balanced_accuracy_score)),
    (metrics.MatthewsCorrelation(), "labels", both(sk.matthews_corrcoef)),
    (metrics.MatthewsCorrelation(), "yes", both(sk.matthews_corrcoef)),
    (metrics.CohenKappa(), "classes", both(sk.cohen_kappa_score)),
    (metrics.CohenKappa("linear"), "classes", both(sk.cohen_kappa_score, weights="linear")),
    (metrics.CohenKappa("quadratic"), "labels", both(sk.cohen_kappa_score, weights="quadratic")),
    (metrics.Precision(), "several yes", of_positives(sk.precision_score)),
    (metrics.Recall(), "several yes", of_positives(sk.recall_score)),
    (
        metrics.Specificity(),
        "several yes",
        of_positives(lambda a, b, sample_weight: sk.recall_score(a, b, sample_weight=sample_weight, pos_label=0)),
    ),
    (metrics.TruePositives(), "yes", count(1, 1)),
    (metrics.TrueNegatives(), "several yes", count(0, 0)),
    (metrics.FalsePositives(), "yes", count(0, 1)),
    (metrics.FalseNegatives(), "several yes", count(1, 0)),
    (metrics.FBetaScore("macro", 2.0), "classes", both(sk.fbeta_score, beta=2.0, average="macro")),
    (metrics.FBetaScore("micro", 0.5), "labels", both(sk.fbeta_score, beta=0.5, average="micro")),
    (metrics.F1Score(), "yes", both(sk.f1_score)),
    (metrics.F1Score(), "classes", both(sk.f1_score, average=None)),
    (metrics.F1Score("weighted"), "classes", both(sk.f1_score, average="weighted")),
    (metrics.AUC(), "yes", of_flat(sk.roc_auc_score)),
    (metrics.AUC(), "several yes", of_flat(sk.roc_auc_score)),
    (
        metrics.AUC(multi_label=True),
        "several yes",
        lambda t, y, w: sk.roc_auc_score(yes(t), y, average="macro", sample_weight=w),
    ),
    (
        metrics.AUC(multi_label=True),
        "labels",
        lambda t, y, w: sk.roc_auc_score(np.eye(5)[t], y.astype(np.float64), average="macro", sample_weight=w),
    ),
    (metrics.AUC(curve="PR"), "yes", of_flat(sk.average_precision_score)),
    (
        metrics.AUC(curve="PR", multi_label=True),
        "classes",
        lambda t, y, w: sk.average_precision_score(yes(t), y, average="macro", sample_weight=w),
    ),
    (metrics.PrecisionAtRecall(0.5), "yes", curve_point(precision_recall, "first", "second")),
    (metrics.RecallAtPrecision(0.5), "yes", curve_point(precision_recall, "second", "first")),
    (metrics.SensitivityAtSpecificity(0.5), "yes", curve_point(sensitivity_specificity, "first", "second")),
    (metrics.SpecificityAtSensitivity(0.5), "yes", curve_point(sensitivity_specificity, "second", "first")),
    (
        metrics.BinaryCrossentropy(),
        "yes",
        lambda t, y, w: sk.log_loss(yes(t)[:, 0], np.clip(y[:, 0].astype(np.float64), 1e-7, 1 - 1e-7), sample_weight=w),
    ),
    (
        metrics.BinaryCrossentropy(from_logits=True),
        "scores",
        mean(lambda t, y: -(t * special.log_expit(y) + (1 - t) * special.log_expit(-y)).mean(axis=1)),
    ),
    (
        metrics.CategoricalCrossentropy(),
        "classes",
        lambda t, y, w: sk.log_loss(best(t), shares(y), sample_weight=w, labels=range(5)),
    ),
    (
        metrics.CategoricalCrossentropy(from_logits=True),
        "classes",
        mean(lambda t, y: -(t * special.log_softmax(y, axis=1)).sum(axis=1)),
    ),
    (
        metrics.SparseCategoricalCrossentropy(),
        "labels",
        lambda t, y, w: sk.log_loss(t, shares(y), sample_weight=w, labels=range(5)),
    ),
    (metrics.BrierScore(), "yes", of_flat(sk.brier_score_loss)),
    (metrics.BrierScore(), "classes", brier),
    (metrics.ExpectedCalibrationError(), "classes", calibration),
    (
        metrics.Hinge(),
        "scores",
        lambda t, y, w: np.mean([sk.hinge_loss(yes(t)[:, j], y[:, j], sample_weight=w) for j in range(4)]),
    ),
    (metrics.SquaredHinge(), "scores", mean(lambda t, y: (np.maximum(1 - (2 * t - 1) * y, 0) ** 2).mean(axis=1))),
    (
        metrics.CategoricalHinge(),
        "classes",
        lambda t, y, w: sk.hinge_loss(best(t), y, sample_weight=w, labels=range(5)),
    ),
    (metrics.KLDivergence(), "classes", mean(lambda t, y: special.rel_entr(np.clip(t, 1e-7, 1), y).sum(axis=1))),
    (metrics.MeanSquaredError(), "numbers", of_numbers(sk.mean_squared_error)),
    (metrics.MeanAbsoluteError(), "numbers", of_numbers(sk.mean_absolute_error)),
    (metrics.RootMeanSquaredError(), "one number", of_numbers(sk.root_mean_squared_error)),
    (
        metrics.MeanAbsolutePercentageError(),
        "numbers",
        lambda t, y, w: 100 * of_numbers(sk.mean_absolute_percentage_error)(t, y, w),
    ),
    (metrics.MeanSquaredLogarithmicError(), "positive", of_numbers(sk.mean_squared_log_error)),
    (metrics.MedianAbsoluteError(), "numbers", of_numbers(sk.median_absolute_error)),
    (metrics.LogCoshError(), "numbers", mean(lambda t, y: (np.logaddexp(y - t, t - y) - np.log(2)).mean(axis=1))),
    (metrics.Poisson(), "positive", mean(lambda t, y: (y - special.xlogy(t, y + 1e-7)).mean(axis=1))),
    (
        metrics.CosineSimilarity(),
        "numbers",
        mean(lambda t, y: 1.0 - sk.pairwise.paired_cosine_distances(t, y)),
    ),
    (metrics.R2Score(), "numbers", of_numbers(sk.r2_score)),
    (metrics.R2Score(None), "numbers", of_numbers(sk.r2_score, multioutput="raw_values")),
    (metrics.R2Score("variance_weighted_average"), "numbers", of_numbers(sk.r2_score, multioutput="variance_weighted")),
    (metrics.ExplainedVariance(), "numbers", of_numbers(sk.explained_variance_score)),
    (
        metrics.PearsonCorrelation(),
        "numbers",
        mean(lambda t, y: [stats.pearsonr(a, b).statistic for a, b in zip(t, y, strict=True)]),
    ),
    (metrics.PearsonCorrelation(axis=0), "one number", correlation),
    (metrics.ConcordanceCorrelation(axis=0), "one number", concordance),
]


@pytest.mark.parametrize(
    ("made", "kind", "other"), OTHERS, ids=[f"{type(row[0]).__name__}-{row[1]}-{i}" for i, row in enumerate(OTHERS)]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_metric_is_that_of_others(made, kind, other, weighted):
    (y, t), w = scored(kind), weights() if weighted else None
    np.testing.assert_allclose(copy.copy(made)(t, y, w), other(t, y, w), rtol=2e-6, atol=1e-9)


def test_no_metric_is_without_another():
    assert {type(row[0]) for row in OTHERS} == {type(case.made) for case in METRIC_CASES.values()}
