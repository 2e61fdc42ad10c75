"""Scores of held-back rows: scikit-learn's values, also for absent, unseen and never predicted classes."""

import math

import numpy as np
import pytest

pytest.importorskip("sklearn")

from fastreg.tune.scores import probabilities, score_classes, score_numbers
from sklearn import metrics as sklearn_metrics

N = 200


def rows(rng, k, absent=()):
    """Probabilities, classes that they say something about, and weights."""
    truth = rng.integers(0, k, N)
    truth[np.isin(truth, absent)] = 0
    logits = rng.normal(size=(N, k)) + 1.5 * np.eye(k)[truth]
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares.astype(np.float32), truth, rng.uniform(0.1, 2.0, N)


def expected(shares, truth, weights):
    k, predicted = shares.shape[1], shares.argmax(axis=1)
    present = np.unique(truth)
    with_weights = {"sample_weight": weights}
    columns = [1] if k == 2 else present
    areas = [sklearn_metrics.roc_auc_score(truth == j, shares[:, j], **with_weights) for j in columns]
    mean = {"average": "macro", "zero_division": 0.0, **with_weights}
    recalls = sklearn_metrics.recall_score(truth, predicted, labels=present, **mean)
    normal = shares.astype(np.float64) / shares.sum(axis=1, dtype=np.float64, keepdims=True)
    return {
        "accuracy": sklearn_metrics.accuracy_score(truth, predicted, **with_weights),
        "balanced accuracy": recalls,
        "F1 (mean of the classes)": sklearn_metrics.f1_score(truth, predicted, **mean),
        "ROC-AUC": np.mean(areas),
        "log-loss": sklearn_metrics.log_loss(truth, normal, labels=np.arange(k), **with_weights),
    }


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("k", "absent"), [(2, ()), (4, ()), (5, (3,))])
def test_classes_as_scikit_learn(rng, k, absent, weighted):
    shares, truth, weights = rows(rng, k, absent)
    given = weights if weighted else None
    found = score_classes(tuple("abcdefg"[:k]), shares, truth, given)
    assert found.rows == N
    assert found.headline[0] == "accuracy"
    for name, value in expected(shares, truth, given).items():
        assert found.values[name] == pytest.approx(value, rel=1e-5), name
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        truth, shares.argmax(axis=1), labels=np.arange(k), sample_weight=given, zero_division=0.0
    )
    for j, entry in enumerate(found.classes):
        assert (entry.precision, entry.recall, entry.f1) == pytest.approx((precision[j], recall[j], f1[j]), rel=1e-6)
        assert (entry.label, entry.rows) == ("abcdefg"[j], int((truth == j).sum()))
    counts = sklearn_metrics.confusion_matrix(truth, shares.argmax(axis=1), labels=np.arange(k))
    assert np.array_equal(found.confusion, counts)


def test_a_class_that_is_not_known_counts_as_wrong(rng):
    shares, truth, _ = rows(rng, 3)
    unseen = truth.copy()
    unseen[:20] = -1
    found = score_classes(("a", "b", "c"), shares, unseen)
    predicted, actual = shares.argmax(axis=1), np.where(unseen < 0, 3, unseen)
    assert (found.rows, found.unseen) == (N, 20)
    assert found.values["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(actual, predicted))
    assert found.values["balanced accuracy"] == pytest.approx(
        sklearn_metrics.recall_score(actual, predicted, average="macro", zero_division=0.0)
    )
    assert found.values["log-loss"] == pytest.approx(expected(shares[20:], truth[20:], None)["log-loss"], rel=1e-5)
    assert found.confusion.shape == (4, 3)
    assert found.confusion[3].sum() == 20


def test_only_classes_that_are_not_known(rng):
    shares, truth, _ = rows(rng, 3)
    found = score_classes(("a", "b", "c"), shares, np.full_like(truth, -1))
    assert found.values["accuracy"] == 0.0
    assert math.isnan(found.values["log-loss"])
    assert math.isnan(found.values["ROC-AUC"])


def test_very_many_classes(rng):
    k = 1000
    shares = rng.dirichlet(np.ones(k), size=50).astype(np.float32)
    found = score_classes(tuple(map(str, range(k))), shares, rng.integers(0, k, 50))
    assert found.confusion is None
    assert len(found.classes) == k


@pytest.mark.parametrize("weighted", [False, True])
def test_numbers_as_scikit_learn_in_the_unit_of_the_target(rng, weighted):
    truth = rng.normal(size=N).astype(np.float32)
    outputs = (truth + rng.normal(0, 0.5, N)).astype(np.float32)
    weights = rng.uniform(0.1, 2.0, N) if weighted else None
    found = score_numbers(250.0, outputs, truth, weights).values
    actual, predicted = truth * 250.0 + 1e6, outputs * 250.0 + 1e6
    given = {"sample_weight": weights}
    assert found == pytest.approx(
        {
            "R²": sklearn_metrics.r2_score(truth, outputs, **given),
            "RMSE": sklearn_metrics.root_mean_squared_error(actual, predicted, **given),
            "MAE": sklearn_metrics.mean_absolute_error(actual, predicted, **given),
        },
        rel=1e-4,
    )


def test_no_rows():
    with pytest.raises(ValueError, match="no row to score has a known target"):
        score_classes(("a", "b"), np.empty((0, 2), np.float32), np.empty(0, np.int64))
    with pytest.raises(ValueError, match="no row to score has a known target"):
        score_numbers(1.0, np.empty(0, np.float32), np.empty(0))


def test_one_output_is_the_share_of_the_second_class():
    assert probabilities(np.array([[0.25]], np.float32)).tolist() == [[0.75, 0.25]]
    assert probabilities(np.array([[0.5, 0.5]], np.float32)).tolist() == [[0.5, 0.5]]
