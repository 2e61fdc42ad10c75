"""Metrics as objects with a state, weighted and not, against the oracle's; and functions of one value for each row."""

import copy
import json
import pickle

import numpy as np
import pytest
from cases import METRIC_CASES
from fastreg import metrics
from programs import refusal
from scored import KINDS, goes, scored, weights

ROWS = [(name, kind) for name, case in METRIC_CASES.items() for kind in KINDS if goes(case.oracle, *scored(kind))]


def agree(found, expected):
    """Row values are rounded to float32, sums are not."""
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize(("name", "kind"), ROWS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_metric_of_given_rows(name, kind, weighted):
    made, oracle = METRIC_CASES[name]
    (y, t), r = scored(kind), weights() if weighted else None
    # Where the oracle is undefined, there is no formula to compare with; the next test sees that this is rare.
    with np.errstate(all="ignore"):
        expected = oracle.value(y, t, r)
    agree(copy.copy(made)(t, y, r), expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", METRIC_CASES)
def test_every_metric_is_a_number_of_some_rows(name):
    oracle = METRIC_CASES[name].oracle
    values = [oracle.value(*scored(kind), weights()) for other, kind in ROWS if other == name]
    assert np.isfinite(values).any()


@pytest.mark.parametrize(("name", "kind"), ROWS)
def test_rows_may_come_in_parts(name, kind):
    """Exactly so: a metric is no mean of parts. Sums of floats may differ by rounding of float64."""
    y, t = scored(kind)
    r = weights()
    whole, parts = copy.copy(METRIC_CASES[name].made), copy.copy(METRIC_CASES[name].made)
    whole.update_state(t, y, r)
    for rows in (slice(0, 1), slice(1, 40), slice(40, 97)):
        parts.update_state(t[rows], y[rows], r[rows])
    np.testing.assert_allclose(parts.result(), whole.result(), rtol=1e-12)
    parts.reset_state()
    parts.update_state(t, y, r)
    np.testing.assert_array_equal(parts.result(), whole.result())


@pytest.mark.parametrize("name", METRIC_CASES)
def test_parts_without_weights_weigh_1(name):
    kind = next(kind for other, kind in ROWS if other == name)
    (y, t), r = scored(kind), weights()
    first, second = copy.copy(METRIC_CASES[name].made), copy.copy(METRIC_CASES[name].made)
    first.update_state(t[:50], y[:50])
    first.update_state(t[50:], y[50:], r[50:])
    second.update_state(t, y, np.concatenate([np.ones(50, np.float32), r[50:]]))
    np.testing.assert_allclose(first.result(), second.result(), rtol=1e-12)
    first.update_state(t, y)
    second.update_state(t, y, np.ones(97))
    np.testing.assert_allclose(first.result(), second.result(), rtol=1e-12)


@pytest.mark.parametrize("name", METRIC_CASES)
def test_the_state_is_not_part_of_the_description(name):
    made = METRIC_CASES[name].made
    used = copy.copy(made)
    y, t = scored(next(kind for other, kind in ROWS if other == name))
    used.update_state(t, y)
    before = used.result()
    assert used == made
    assert hash(used) == hash(made)
    assert repr(used) == repr(made)
    assert json.loads(json.dumps(used.to_config())) == used.to_config() == made.to_config()
    for other in (copy.copy(used), copy.deepcopy(used), pickle.loads(pickle.dumps(used)), used.renamed("other")):
        other.update_state(t[:3], y[:3])
        fresh = copy.copy(made)
        fresh.update_state(t[:3], y[:3])
        np.testing.assert_array_equal(other.result(), fresh.result())
    np.testing.assert_array_equal(used.result(), before)


# What there is before any rows, by class; NaN for the others.
WITHOUT_ROWS = {
    "R2Score": np.nan, "ExplainedVariance": np.nan, "PearsonCorrelation": np.nan, "ConcordanceCorrelation": np.nan,
    "AUC": np.nan, "MedianAbsoluteError": np.nan, "CohenKappa": np.nan,
}  # fmt: skip


@pytest.mark.parametrize("name", METRIC_CASES)
def test_a_metric_without_rows(name):
    made = copy.copy(METRIC_CASES[name].made)
    expected = WITHOUT_ROWS.get(type(made).__name__, 0.0)
    np.testing.assert_array_equal(made.result(), expected)
    k = max(2, made.least_outputs)
    y, t = np.zeros((0, k)), np.zeros(0, int) if made.targets == "labels" else np.zeros((0, k))
    np.testing.assert_array_equal(np.unique(made(t, y)), expected)


def test_rows_without_weight_do_not_count_for_a_function():
    made = metrics.MeanMetricWrapper(lambda t, y: y - t)
    y = np.array([[1.0, 3.0], [np.nan, 0.0], [5.0, 5.0], [np.inf, 0.0]])
    assert made(np.zeros((4, 2)), y, [1.0, 0.0, 3.0, 0.0]) == pytest.approx((2.0 + 3 * 5.0) / 4.0)
    made.reset_state()
    assert made(np.zeros((4, 2)), y, np.zeros(4)) == 0.0


@pytest.mark.parametrize("name", METRIC_CASES)
def test_rows_without_weight_do_not_count(name):
    """Not even if their outputs are no numbers."""
    kind = next(kind for other, kind in ROWS if other == name)
    y, t = scored(kind)
    r = np.ones(97, np.float32)
    r[5], r[50] = 0.0, 0.0
    bad = y.copy()
    bad[5], bad[50] = np.nan, np.inf
    kept = r > 0
    np.testing.assert_array_equal(
        copy.copy(METRIC_CASES[name].made)(t, bad, r), copy.copy(METRIC_CASES[name].made)(t[kept], y[kept])
    )


def test_several_values_without_an_average():
    y, t = scored("classes")
    for made, one in [
        (metrics.F1Score(), lambda j: metrics.F1Score(class_id=j)),
        (metrics.FBetaScore(beta=2.0), lambda j: metrics.FBetaScore(beta=2.0, class_id=j)),
    ]:
        np.testing.assert_array_equal(made(t, y), [one(j)(t, y) for j in range(5)])
    y, t = scored("numbers")
    single = [metrics.R2Score()(t[:, j], y[:, j]) for j in range(4)]
    np.testing.assert_allclose(metrics.R2Score(None)(t, y), single, rtol=1e-12)


@pytest.mark.parametrize(
    ("made", "t", "y", "expected"),
    [
        (metrics.AUC(), [1, 1], [0.2, 0.3], np.nan),
        (metrics.AUC(), [0, 0], [0.2, 0.3], np.nan),
        (metrics.AUC(), [0, 1], [np.nan, 0.3], np.nan),
        (metrics.AUC(curve="PR"), [1, 1], [0.2, 0.3], 1.0),
        (metrics.AUC(curve="PR"), [0, 0], [0.2, 0.3], np.nan),
        (metrics.AUC(multi_label=True), [[1, 0], [1, 1]], [[0.2, 0.3], [0.1, 0.4]], np.nan),
        (metrics.Precision(), [1, 1], [0.2, 0.3], 0.0),
        (metrics.Recall(), [0, 0], [0.9, 0.3], 0.0),
        (metrics.MatthewsCorrelation(), [1, 1], [0.9, 0.3], 0.0),
        (metrics.CohenKappa(), [1, 1], [0.9, 0.8], np.nan),
        (metrics.BalancedAccuracy(), [1, 1], [0.9, 0.3], 0.5),
        (metrics.RecallAtPrecision(1.0), [0, 0], [0.9, 0.3], 0.0),
        (metrics.PrecisionAtRecall(0.5), [0, 1], [np.nan, 0.3], np.nan),
        (metrics.R2Score(), [1, 1], [1, 1], 1.0),
        (metrics.R2Score(), [1, 1], [1, 2], 0.0),
        (metrics.ExplainedVariance(), [1, 1], [2, 2], 1.0),
        (metrics.ExplainedVariance(), [1, 1], [2, 3], 0.0),
        (metrics.PearsonCorrelation(axis=0), [1, 2], [3, 3], np.nan),
        (metrics.ConcordanceCorrelation(axis=0), [3, 3], [3, 3], np.nan),
        (metrics.ConcordanceCorrelation(axis=0), [3, 3], [4, 4], 0.0),
        (metrics.CosineSimilarity(), [[0, 0]], [[1, 2]], 0.0),
        (metrics.ExpectedCalibrationError(), [0, 1], [np.nan, 0.5], np.nan),
        (metrics.MedianAbsoluteError(), [0, 1], [np.nan, 0.5], np.nan),
        (metrics.MeanSquaredError(), [0, 1], [np.nan, 0.5], np.nan),
        (metrics.BinaryCrossentropy(), [0, 1], [np.nan, 0.5], np.nan),
        (metrics.MeanSquaredLogarithmicError(), [0, 1], [np.nan, 0.5], np.nan),
        (metrics.TopKCategoricalAccuracy(1), [[1, 0]], [[np.nan, 0.5]], 0.0),
    ],
    ids=lambda value: repr(value),
)
def test_degenerate_rows(made, t, y, expected):
    np.testing.assert_array_equal(made(t, y), expected)


@pytest.mark.parametrize(
    ("made", "arguments", "error", "patterns"),
    [
        (metrics.AUC(), ([0, 1, 1], [0.5, 0.5]), ValueError, ["AUC: y_true", r"\(2,\)", r"\(3,\)"]),
        (metrics.AUC(), (["a", "b"], [0.5, 0.5]), TypeError, ["AUC: y_true must be numbers"]),
        (metrics.AUC(), ([0, 1], [0.5, 0.5], [1, -1]), ValueError, ["sample_weight must be finite and >= 0", "-1"]),
        (metrics.AUC(), ([0, 1], [0.5, 0.5], [1, np.nan]), ValueError, ["must be finite and >= 0", "nan"]),
        (metrics.AUC(), ([0, 1], [0.5, 0.5], [1, 1, 1]), ValueError, ["AUC: sample_weight must be 2 numbers"]),
        (metrics.SparseCategoricalAccuracy(), ([0, 2], np.eye(2)), ValueError, [r"labels must be in \[0, 2\), got 2"]),
        (metrics.SparseCategoricalAccuracy(), ([0, 0.5], np.eye(2)), ValueError, ["y_true must be whole numbers"]),
        (metrics.SparseCategoricalAccuracy(), ([0], np.eye(2)), ValueError, ["y_true must be 2 labels"]),
        (metrics.Precision(class_id=2), (np.eye(2), np.eye(2)), ValueError, ["Precision: needs at least 3", "has 2"]),
        (metrics.PearsonCorrelation(), ([0, 1], [0, 1]), ValueError, ["PearsonCorrelation: needs", "axis=0"]),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit(made, arguments, error, patterns):
    made = copy.copy(made)
    with refusal(error, patterns):
        made.update_state(*arguments)


def test_all_rows_have_one_form():
    made = metrics.MeanSquaredError()
    made.update_state(np.zeros((3, 2)), np.zeros((3, 2)))
    with refusal(ValueError, ["MeanSquaredError: y_true and y_pred must have the form", "2 columns", "3 columns"]):
        made.update_state(np.zeros((3, 3)), np.zeros((3, 3)))
    made.reset_state()
    assert made(np.zeros((3, 3)), np.ones((3, 3))) == 1.0


def largest(t, y):
    return np.abs(t - y).max()


@pytest.mark.parametrize("made", [metrics.MeanSquaredError(), metrics.AUC(), metrics.MeanMetricWrapper(largest)])
def test_rows_that_are_refused_leave_the_rows_before_and_no_form(made):
    for weight in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="sample_weight must be finite and >= 0, got "):
            made.update_state([[0.0, 1.0]], [[0.5, 0.5]], [weight])
    made.update_state([0.0, 1.0], [0.25, 0.75])
    before = made.result()
    for t, y in (([[0.0, 1.0]], [[0.5, 0.5]]), ([1], [[0.5, 0.5]])):
        with pytest.raises(ValueError, match=rf"^{type(made).__name__}: y_true.* must have the (form of those|shape)"):
            made.update_state(t, y)
    assert made.result() == before
    alone = copy.copy(made)
    assert alone([0.0, 1.0], [0.25, 0.75]) == before
    made.reset_state()
    made.update_state([[0.0, 1.0]], [[0.5, 0.5]])


def test_forms_of_rows():
    """One dimension, one column, more than two dimensions, one weight for all."""
    y, t = scored("yes")
    expected = metrics.BinaryAccuracy()(t, y)
    assert metrics.BinaryAccuracy()(t[:, 0], y[:, 0]) == expected
    assert metrics.BinaryAccuracy()(t[:, 0], y) == expected
    assert metrics.BinaryAccuracy()(t, y[:, 0]) == expected
    assert metrics.BinaryAccuracy()(t, y, 0.5) == expected
    y, t = scored("numbers")
    deep = metrics.MeanSquaredError()(t[:96].reshape(8, 12, 4), y[:96].reshape(8, 12, 4), np.ones((8, 12)))
    assert deep == pytest.approx(metrics.MeanSquaredError()(t[:96], y[:96]), rel=1e-12)
    y, t = scored("labels")
    assert metrics.F1Score("macro")(t[:, None], y) == metrics.F1Score("macro")(np.eye(5)[t], y)


# --------------------------------------------------------------------------------------------- one value for each row



def plain(name):
    return name.lower().replace("_", "").removesuffix("error")


KINDS_OF_METRICS = {plain(type(case.made).__name__): type(case.made) for case in METRIC_CASES.values()}
FUNCTIONS = [name for name in metrics.__all__ if name.islower()]
BY_ROW = {name: KINDS_OF_METRICS[plain(name)] for name in FUNCTIONS if plain(name) in KINDS_OF_METRICS}


@pytest.mark.parametrize("name", BY_ROW)
def test_the_mean_of_a_function_is_the_metric(name):
    function, kind = getattr(metrics, name), BY_ROW[name]
    checked = 0
    for data in KINDS:
        y, t = scored(data)
        if not goes(next(case.oracle for case in METRIC_CASES.values() if type(case.made) is kind), y, t):
            continue
        with np.errstate(all="ignore"):
            rows = function(t, y)
        assert rows.shape == (len(y),)
        expected = kind()(t, y)
        if np.isfinite(expected):
            checked += 1
            assert np.mean(rows, dtype=np.float64) == pytest.approx(expected, rel=1e-6)
    assert checked


def test_every_function_is_of_a_metric():
    others = {"get", "names", "resolve", "serialize", "deserialize"}
    assert set(FUNCTIONS) == set(BY_ROW) | others


def test_options_of_the_functions():
    y, t = scored("yes")
    np.testing.assert_array_equal(metrics.binary_accuracy(t, y, 0.75), ((y > 0.75) == (t > 0.5))[:, 0])
    smooth = metrics.binary_crossentropy(t, y, label_smoothing=0.5).mean(dtype=np.float64)
    assert smooth == pytest.approx(metrics.BinaryCrossentropy(label_smoothing=0.5)(t, y), rel=1e-6)
    y, t = scored("labels")
    found = metrics.sparse_categorical_crossentropy(t, y, ignore_class=2)
    assert (found[t == 2] == 0.0).all()
    np.testing.assert_array_equal(found[t != 2], metrics.sparse_categorical_crossentropy(t, y)[t != 2])
    for k in (1, 3):
        among = metrics.sparse_top_k_categorical_accuracy(t, y, k=k)
        np.testing.assert_array_equal(among, metrics.top_k_categorical_accuracy(np.eye(5)[t], y, k=k))
        ranked = np.argsort(-y, axis=1)
        of_columns = metrics.sparse_top_k_categorical_accuracy(t, ranked, k, from_sorted_ids=True)
        np.testing.assert_array_equal(among, of_columns)
    with refusal(ValueError, ["axis must be -1 or 1"]):
        metrics.binary_crossentropy([0], [0.5], axis=0)


# ----------------------------------------------------------------------------------------------- Mean, Sum, dicts


def test_a_mean_of_numbers():
    mean = metrics.Mean()
    assert mean.result() == 0.0
    mean.update_state(2.0)
    mean.update_state([4.0, 6.0])
    assert mean.result() == 4.0
    mean.reset_state()
    assert mean([[1.0, 3.0], [5.0, 7.0]], [1.0, 3.0]) == (2.0 + 3 * 6.0) / 4
    assert metrics.Mean(name="loss").name == "loss"
    assert metrics.Mean()([1.0, np.inf], [1.0, 0.0]) == 1.0
    assert metrics.Mean()([1.0, 2.0], 0.5) == 1.5
    mean.reset_state()
    mean.update_state([[1.0, 2.0, 3.0]])
    assert mean(6.0) == 4.0  # of two rows


def test_a_sum_of_numbers():
    total = metrics.Sum()
    assert total([[1.0, 3.0], [5.0, 7.0]]) == 16.0
    assert total([[1.0, 3.0], [5.0, 7.0]], [1.0, 0.5]) == 16.0 + 4.0 + 6.0
    total.reset_state()
    assert total.result() == 0.0


@pytest.mark.parametrize("kind", [metrics.Mean, metrics.Sum])
def test_numbers_that_are_none(kind):
    with refusal(TypeError, [f"{kind.__name__}: values must be numbers"]):
        kind()("a")
    with refusal(ValueError, [f"{kind.__name__}: sample_weight must have the first dimensions"]):
        kind()([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", METRIC_CASES)
def test_a_dict_of_a_metric(name):
    made = METRIC_CASES[name].made
    described = json.loads(json.dumps(metrics.serialize(made)))
    assert described["class_name"] == type(made).__name__
    assert metrics.deserialize(described) == made


def test_dicts_that_are_none():
    assert metrics.deserialize("mse") == metrics.MeanSquaredError("mse")
    for bad in ({}, {"class_name": "AUC"}, {"class_name": "Luck", "config": {}}, 3):
        with pytest.raises((ValueError, TypeError)):
            metrics.deserialize(bad)


def test_arguments_by_position_are_those_of_keras():
    assert metrics.AUC(200, "PR", "interpolation", "area", None, None, True) == metrics.AUC(
        curve="PR", multi_label=True, name="area"
    )
    assert metrics.PrecisionAtRecall(0.5, 100, 1, "p") == metrics.PrecisionAtRecall(recall=0.5, class_id=1, name="p")
    assert metrics.BinaryAccuracy("a", None, 0.25) == metrics.BinaryAccuracy(name="a", threshold=0.25)
    assert metrics.BinaryCrossentropy("b", None, True, 0.1) == metrics.BinaryCrossentropy(
        name="b", from_logits=True, label_smoothing=0.1
    )
    assert metrics.F1Score("macro", 0.5, "f") == metrics.F1Score(average="macro", threshold=0.5, name="f")
    with refusal(TypeError, ["multiple values for argument 'curve'"]):
        metrics.AUC(200, "PR", curve="ROC")
    with refusal(TypeError, ["at most 10 arguments"]):
        metrics.AUC(*range(11))


@pytest.mark.parametrize("kind", [metrics.ConcordanceCorrelation, metrics.PearsonCorrelation])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("mean", [1e5, 1e6, 1e7, 1e37])
def test_correlations_of_numbers_that_differ_in_their_last_digits_stay_in_their_range(kind, axis, mean, rng):
    """Where rounding is all that is left of the variances, it is also all that is left of the covariance."""
    for _ in range(50):
        t = (mean * (1.0 + 1e-7 * rng.integers(0, 4, size=(12, 3)))).astype(np.float32)
        y = (t * (1.0 + 1e-7 * rng.integers(-1, 2, size=(12, 3)))).astype(np.float32)
        metric = kind(axis=axis)
        metric.update_state(t, y)
        value = float(metric.result())
        assert np.isnan(value) or -1.0 <= value <= 1.0
