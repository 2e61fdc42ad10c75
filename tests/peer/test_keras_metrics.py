"""Every metric of Keras's against Keras, in float32, with weights of rows and without, in several updates.

Keras's curves are approximated by thresholds; here they get as many as there are outputs.
"""

import copy

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from fastreg import metrics  # noqa: E402
from scored import scored, weights  # noqa: E402

pytestmark = pytest.mark.peer

THRESHOLDS = 1 << 12  # outputs are multiples of 1/64

# Name, arguments, kind of rows, further arguments of Keras's.
ROWS = [
    ("Accuracy", {}, "copies", {}),
    ("BinaryAccuracy", {"threshold": 0.25}, "several yes", {}),
    ("CategoricalAccuracy", {}, "classes", {}),
    ("SparseCategoricalAccuracy", {}, "labels", {}),
    ("TopKCategoricalAccuracy", {"k": 2}, "classes", {}),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels", {}),
    ("Precision", {}, "several yes", {}),
    ("Precision", {"thresholds": 0.25, "class_id": 1}, "several yes", {}),
    ("Precision", {"top_k": 2}, "classes", {}),
    ("Recall", {"top_k": 2, "class_id": 3}, "classes", {}),
    ("Recall", {"thresholds": 0.75}, "yes", {}),
    ("TruePositives", {}, "yes", {}),
    ("TrueNegatives", {"thresholds": 0.25}, "several yes", {}),
    ("FalsePositives", {}, "yes", {}),
    ("FalseNegatives", {"thresholds": 0.75}, "several yes", {}),
    ("F1Score", {"average": "macro"}, "classes", {}),
    ("F1Score", {"threshold": 0.25}, "several yes", {}),
    ("FBetaScore", {"average": "weighted", "beta": 2.0}, "classes", {}),
    ("FBetaScore", {"average": "micro", "beta": 0.5, "threshold": 0.5}, "several yes", {}),
    ("AUC", {}, "yes", {"num_thresholds": THRESHOLDS}),
    ("AUC", {}, "several yes", {"num_thresholds": THRESHOLDS}),
    ("AUC", {"multi_label": True}, "several yes", {"num_thresholds": THRESHOLDS}),
    ("PrecisionAtRecall", {"recall": 0.5}, "yes", {"num_thresholds": THRESHOLDS}),
    ("RecallAtPrecision", {"precision": 0.6}, "yes", {"num_thresholds": THRESHOLDS}),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, "yes", {"num_thresholds": THRESHOLDS}),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5}, "yes", {"num_thresholds": THRESHOLDS}),
    ("BinaryCrossentropy", {"label_smoothing": 0.25}, "several yes", {}),
    ("BinaryCrossentropy", {"from_logits": True}, "scores", {}),
    ("CategoricalCrossentropy", {"label_smoothing": 0.25}, "classes", {}),
    ("CategoricalCrossentropy", {"from_logits": True}, "classes", {}),
    ("SparseCategoricalCrossentropy", {}, "labels", {}),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels", {}),
    ("KLDivergence", {}, "classes", {}),
    ("Hinge", {}, "scores", {}),
    ("SquaredHinge", {}, "scores", {}),
    ("CategoricalHinge", {}, "classes", {}),
    ("MeanSquaredError", {}, "numbers", {}),
    ("MeanAbsoluteError", {}, "numbers", {}),
    ("RootMeanSquaredError", {}, "numbers", {}),
    ("MeanAbsolutePercentageError", {}, "numbers", {}),
    ("MeanSquaredLogarithmicError", {}, "positive", {}),
    ("LogCoshError", {}, "numbers", {}),
    ("Poisson", {}, "positive", {}),
    ("CosineSimilarity", {}, "numbers", {}),
    ("R2Score", {}, "numbers", {}),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "numbers", {}),
    ("R2Score", {"num_regressors": 3}, "one number", {}),
    ("PearsonCorrelation", {}, "numbers", {}),
    ("ConcordanceCorrelation", {}, "numbers", {}),
]
# Names that Keras does not have.
OWN = {
    "BalancedAccuracy", "BrierScore", "CohenKappa", "ExpectedCalibrationError", "ExplainedVariance",
    "MatthewsCorrelation", "MedianAbsoluteError", "Specificity", "MeanMetricWrapper", "Metric", "Mean", "Sum",
}  # fmt: skip


def both(name, arguments, more):
    return getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments, **more)


@pytest.mark.parametrize(("name", "arguments", "kind", "more"), ROWS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_metric_is_that_of_keras(name, arguments, kind, more, weighted):
    ours, theirs = both(name, arguments, more)
    (y, t), w = scored(kind), weights() if weighted else None
    if "Crossentropy" in name and not arguments.get("from_logits"):
        y = np.clip(y, 1 / 64, 63 / 64)  # at 0 and 1 Keras's bounds are rounded to float32
    if "num_regressors" in arguments and weighted:
        w = w + 1.0  # Keras's number of rows has those without weight in it
    for rows in (slice(0, 60), slice(60, 97)):
        for metric in (ours, theirs):
            metric.update_state(t[rows], y[rows], None if w is None else w[rows])
    np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=2e-5, atol=1e-6)


def test_no_metric_of_keras_is_left_out():
    public = {name for name in metrics.__all__ if not name.islower()}
    assert {row[0] for row in ROWS} | OWN == public


@pytest.mark.parametrize(("name", "arguments", "kind", "more"), ROWS)
def test_names_are_those_of_keras(name, arguments, kind, more):
    """Keras numbers the names of equal classes."""
    ours, theirs = both(name, arguments, more)
    assert theirs.name == ours.name or theirs.name.startswith(f"{ours.name}_")


@pytest.mark.parametrize("name", [name for name in metrics.__all__ if name.islower() and hasattr(keras.metrics, name)])
def test_functions_are_those_of_keras(name):
    if name in ("get", "serialize", "deserialize"):
        return
    kind = (
        "labels" if "sparse" in name else "classes" if "categorical" in name or name == "kl_divergence"
        else "several yes" if "binary" in name else "scores" if "hinge" in name
        else "positive" if name in ("poisson", "mean_squared_logarithmic_error") else "numbers"
    )  # fmt: skip
    y, t = scored(kind)
    ours, theirs = getattr(metrics, name)(t, y), np.asarray(getattr(keras.metrics, name)(t, y))
    if name == "binary_accuracy":
        theirs = theirs.mean(axis=1)  # Keras's has a value for each output
    np.testing.assert_allclose(ours, theirs, rtol=3e-5, atol=2e-6)


def test_means_and_sums():
    values, w = np.random.default_rng(0).normal(size=(2, 7, 3))
    w = np.abs(w[:, 0])
    for name in ("Mean", "Sum"):
        ours, theirs = both(name, {}, {})
        for metric in (ours, theirs):
            metric.update_state(2.0)
            metric.update_state(values)
            metric.update_state(values, w)
        assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)


def test_a_function_is_a_metric_as_in_keras():
    def rows(y_true, y_pred):
        return abs(y_true - y_pred).mean(axis=-1)

    y, t = scored("numbers")
    ours, theirs = metrics.MeanMetricWrapper(rows), keras.metrics.MeanMetricWrapper(rows)
    for metric in (ours, theirs):
        metric.update_state(t, y, weights())
    assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)
    assert copy.copy(ours).name == "rows"
