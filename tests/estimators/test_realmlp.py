"""RealMLP's estimators: scikit-learn's checks, the published network step by step, encodings, and the kept epoch."""

import copy
import datetime
import pickle
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fastreg import DivergenceError
from fastreg.sklearn import RealMLPClassifier, RealMLPRegressor
from fastreg.sklearn.realmlp_training import BestEpoch
from helpers.realmlp import OffCentre, features_of, trained
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator

SMALL = {"hidden_layer_sizes": 32, "max_iter": 24}
N = 90


def checks():
    for kind, form in product((RealMLPClassifier, RealMLPRegressor), ("TD-S", "TD")):
        small = SMALL if form == "TD-S" else SMALL | {"form": form, "max_iter": 64}
        for given, check in estimator_checks_generator(kind(**small)):
            name = getattr(check, "func", check).__name__
            yield pytest.param(given, check, id=f"{kind.__name__}-{form}-{name}")


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_the_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


def table():
    rng = np.random.default_rng(0)
    given = {"number": rng.normal(5, 3, N), "town": rng.choice(["u", "v", "w"], N), "pair": rng.choice(["x", "y"], N)}
    return given, rng.choice(["no", "some", "yes"], N), rng.normal(50, 7, (N, 2))


def rows(given):
    return pd.DataFrame(given)


@pytest.mark.parametrize("kind", ["classes", "two classes", "numbers", "several numbers"])
def test_it_is_the_published_network_step_by_step(kind):
    """Encoding, first steps and smoothing, against weights from N(0, 1) divided by roots in float64."""
    given, labels, numbers = table()
    common = {"hidden_layer_sizes": (7, 5), "validation_fraction": 0, "random_state": 3}
    if "classes" in kind:
        y = labels if kind == "classes" else np.where(labels == "no", "a", "b")
        estimator = RealMLPClassifier(**common)
        how = {"activation": "selu", "rate": 0.04, "with_softmax": True, "smoothing": 0.1}
        targets = (y[:, None] == np.unique(y)).astype(np.float64)
    else:
        y = numbers if kind == "several numbers" else numbers[:, 0]
        estimator, how = OffCentre(**common), {"activation": "mish", "rate": 0.07}
        targets = ((y - y.mean(0) + 2.0) / y.std(0)).reshape(N, -1)
    x = features_of(given["number"][:, None], [given["town"], given["pair"]])
    begun = clone(estimator).set_params(max_iter=1).fit(rows(given), y)  # the rate of the first step is 0
    steps = 5
    expected = trained(begun.model_.get_weights(), x, targets, steps=steps, epsilon=1e-8, **how)
    found = estimator.set_params(max_iter=steps).fit(rows(given), y)
    np.testing.assert_allclose(found.encoding_.transform(rows(given)), x, rtol=1e-6, atol=1e-6)
    for weight, wanted, before in zip(found.model_.get_weights(), expected, begun.model_.get_weights(), strict=True):
        np.testing.assert_allclose(weight, wanted, rtol=0, atol=40 * np.finfo(np.float32).eps)
        assert np.abs(weight - before).max() > 1e-4


def test_defaults_are_those_of_the_paper():
    classes, numbers = RealMLPClassifier(), RealMLPRegressor()
    for estimator in (classes, numbers):
        assert (estimator.hidden_layer_sizes, estimator.max_iter, estimator.batch_size) == ((256,) * 3, 256, 256)
    given, labels, values = table()
    for estimator, y in ((classes, labels), (numbers, values[:, 0])):
        estimator.set_params(max_iter=1).fit(rows(given), y)
        assert estimator.model_.optimizer.beta_2 == pytest.approx(0.95)
    assert [layer.activation for layer in classes.model_.layers[1:4]] == ["selu"] * 3
    assert [layer.activation for layer in numbers.model_.layers[1:4]] == ["mish"] * 3


def forms():
    given, _, _ = table()
    given["number"][::9] = np.nan
    given["town"] = [None if i % 7 == 0 else town for i, town in enumerate(given["town"].tolist())]
    frame = pd.DataFrame(given)
    kinds = {"town": "category", "pair": "category"}
    yield "pandas", frame, "from_dtype"
    yield "pandas, categorical", frame.astype(kinds), "from_dtype"
    yield "pandas, by name", frame, ["town", "pair"]
    yield "polars", pl.DataFrame(given), "from_dtype"
    yield "polars, categorical", pl.DataFrame(given).with_columns(pl.col("town").cast(pl.Categorical)), "from_dtype"
    yield "pandas, nullable", frame.convert_dtypes(), "from_dtype"
    yield "pandas, Arrow", frame.convert_dtypes(dtype_backend="pyarrow"), "from_dtype"
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    yield "Arrow", arrow, "from_dtype"
    yield "Arrow, by name", arrow, ["town", "pair"]
    yield "Arrow, batch", arrow.combine_chunks().to_batches()[0], "from_dtype"
    yield "Arrow, dictionary", arrow.set_column(1, "town", arrow["town"].dictionary_encode()), "from_dtype"
    yield "array", frame.to_numpy(), [1, 2]
    yield "array, mask", frame.to_numpy(), [False, True, True]
    codes = {name: pd.factorize(np.array(given[name], object), sort=True)[0] for name in ("town", "pair")}
    codes["town"] = np.where(codes["town"] < 0, np.nan, codes["town"])
    yield "codes", np.column_stack([given["number"], codes["town"], codes["pair"]]), [1, 2]


def test_the_form_of_the_rows_does_not_matter():
    _, labels, _ = table()
    expected = None
    for name, X, categorical in forms():
        estimator = RealMLPClassifier(16, max_iter=5, categorical_features=categorical, random_state=1)
        found = estimator.fit(X, labels).predict_proba(X)
        if expected is None:
            expected = found
        np.testing.assert_array_equal(found, expected, err_msg=name)
    assert estimator.model_.layers[0].get_weights()[0].shape == (6,), "a number, whether it is missing, 3 and 1 levels"


def test_missing_and_new_levels_are_zero_before_scaling():
    given, labels, _ = table()
    frame = pd.DataFrame(given)
    fitted = RealMLPClassifier(8, max_iter=2, validation_fraction=0, random_state=0).fit(frame, labels)
    other = frame.iloc[:3].copy()
    other["town"], other["pair"] = ["new", None, np.nan], ["new", None, np.nan]
    found = fitted.encoding_.transform(other)
    np.testing.assert_array_equal(found[1:, :4], found[:1, :4].repeat(2, 0))
    town = features_of(np.zeros((N, 1)), [given["town"]])[:, :3]
    np.testing.assert_allclose(found[0, :3], town.min(0), rtol=1e-6)


def test_epochs_are_judged_by_validation_rows_and_the_last_of_the_best_is_kept():
    """Validation rows whose labels are the opposite get worse the longer it learns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = X[:, 0] > 0
    fitted = RealMLPClassifier(16, max_iter=20, random_state=0).fit(X, y, X_val=X, y_val=~y)
    scores = fitted.validation_scores_
    assert len(scores) == fitted.n_iter_ == 20
    assert scores[-1] < 0.2 < max(scores)
    assert fitted.best_iter_ == 20 - int(np.argmax(scores[::-1]))
    assert fitted.score(X, ~y) == pytest.approx(max(scores), abs=1e-6)
    numbers = RealMLPRegressor(16, max_iter=20, random_state=0).fit(X, X[:, 0], X_val=X, y_val=-X[:, 0])
    errors = numbers.validation_scores_
    assert errors[-1] < max(errors) - 0.5
    spread = X[:, 0].std()
    found = -np.mean(((numbers.predict(X) + X[:, 0]) / spread) ** 2)
    assert found == pytest.approx(errors[numbers.best_iter_ - 1], rel=1e-4)


@pytest.mark.parametrize(("sign", "epoch"), [(1.0, 3), (-1.0, 4)])
def test_of_equal_epochs_the_last_one_is_kept(sign, epoch):
    class Model:
        weights = 0

        def get_weights(self):
            return self.weights

        def set_weights(self, weights):
            self.weights = weights

    best, model = BestEpoch(lambda logs, _: sign * logs["val_x"]), Model()
    best.set_model(model)
    for i, value in enumerate([1.0, 3.0, 2.0, 3.0, 1.0, 2.0]):
        model.weights = i
        best.on_epoch_end(i, {"val_x": value})
    best.on_train_end()
    assert (best.epoch, model.weights) == (epoch, epoch)
    assert best.scores == [sign * value for value in (1.0, 3.0, 2.0, 3.0, 1.0, 2.0)]


@pytest.mark.parametrize("power", [12, 1000, -900])
def test_units_of_targets_do_not_matter(power):
    given, _, numbers = table()
    X, y, unit = rows(given), numbers, 2.0**power
    regressor = RealMLPRegressor(8, max_iter=6, validation_fraction=0, random_state=2)  # the last epoch has learned
    found = [regressor.fit(X, targets).predict(X) for targets in (y, unit * y)]
    assert found[0].std(axis=0).min() > 0.1
    np.testing.assert_allclose(found[1] / unit, found[0], rtol=1e-5)


def test_targets_out_of_range_are_refused():
    X, y = np.zeros((N, 1)), np.arange(N * 2.0).reshape(N, 2)
    far = y * [1.0, 1e45]
    with pytest.raises(ValueError, match="RealMLPRegressor: the targets of column 1 are too far apart"):
        RealMLPRegressor(2, max_iter=1).fit(X, y, X, far)
    with pytest.raises(ValueError, match="RealMLPRegressor: the targets of column 0 are too far apart"):
        RealMLPRegressor(2, max_iter=1, validation_fraction=0).fit(X, np.where(y[:, 0] > 0, 1.7e308, -1.7e308))


def test_constant_targets():
    given, _, _ = table()
    X = rows(given)
    constant = RealMLPRegressor(8, max_iter=2, random_state=2).fit(X, np.full(N, 7.0))
    np.testing.assert_allclose(constant.predict(X), 7.0, atol=1e-3)


def test_seeds_pickles_and_copies():
    given, labels, _ = table()
    X = rows(given)
    first = RealMLPClassifier(8, max_iter=4, random_state=5).fit(X, labels)
    again = clone(first).fit(X, labels)
    other = clone(first).set_params(random_state=6).fit(X, labels)
    expected = first.predict_proba(X)
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    assert (other.predict_proba(X) != expected).any()
    for same in (pickle.loads(pickle.dumps(first)), copy.deepcopy(first)):
        np.testing.assert_array_equal(same.predict_proba(X), expected)
    np.testing.assert_allclose(expected.sum(1), 1.0, rtol=1e-12)


def test_classes_of_one_row_and_of_one_label():
    given, labels, _ = table()
    labels[:1] = "once"
    assert "once" in RealMLPClassifier(8, max_iter=2, random_state=0).fit(rows(given), labels).classes_
    one = RealMLPClassifier(8, max_iter=2, random_state=0).fit(rows(given), np.full(N, "same"))
    np.testing.assert_array_equal(one.predict_proba(rows(given)), np.ones((N, 1)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"hidden_layer_sizes": (8, 0)}, ValueError, "RealMLPClassifier: hidden_layer_sizes must be >= 1, got 0"),
        ({"max_iter": 0}, ValueError, "RealMLPClassifier: max_iter must be >= 1, got 0"),
        ({"batch_size": 1.5}, TypeError, "RealMLPClassifier: batch_size must be"),
        ({"learning_rate_init": 0.0}, ValueError, "RealMLPClassifier: learning_rate_init must be > 0"),
        ({"validation_fraction": 1.0}, ValueError, r"RealMLPClassifier: validation_fraction must be in \[0, 1\)"),
        ({"label_smoothing": 1.5}, ValueError, r"RealMLPClassifier: label_smoothing must be in \[0, 1\]"),
        ({"verbose": 3}, TypeError, "RealMLPClassifier: verbose must be"),
        ({"activation": "no"}, ValueError, "unknown activation 'no'"),
        ({"categorical_features": "all"}, ValueError, "categorical_features must be 'from_dtype', None or a list"),
        ({"categorical_features": [3]}, ValueError, "categorical_features has 3, which is no column of X"),
        ({"categorical_features": ["city"]}, ValueError, "categorical_features has 'city', which is no column of X"),
        ({"categorical_features": [True]}, ValueError, "categorical_features must have a bool for each of 3 columns"),
        ({"categorical_features": [0.5]}, TypeError, "categorical_features must be names, numbers or a mask"),
    ],
)
def test_what_is_refused(change, error, message):
    given, labels, _ = table()
    with pytest.raises(error, match=message):
        RealMLPClassifier(**({"max_iter": 1} | change)).fit(rows(given), labels)


def test_rows_that_are_refused():
    given, labels, _ = table()
    X = rows(given)
    with pytest.raises(ValueError, match="X_val and y_val must be given both, or none of them"):
        RealMLPClassifier().fit(X, labels, X_val=X)
    with pytest.raises(ValueError, match="RealMLPClassifier: y_val has 'new', which y has not"):
        RealMLPClassifier(max_iter=1).fit(X, labels, X_val=X, y_val=np.full(N, "new"))
    with pytest.raises(ValueError, match="infinity"):
        RealMLPClassifier(max_iter=1).fit(X.assign(number=np.inf), labels)


@pytest.mark.parametrize(
    ("y", "y_val", "found"),
    [
        (np.ones((N, 2)), np.ones(N), r"each of y's 2, got shape \(90,\)"),
        (np.ones((N, 2)), np.ones((N, 3)), r"each of y's 2, got shape \(90, 3\)"),
        (np.ones(N), np.ones((N, 2)), r"each of y's 1, got shape \(90, 2\)"),
    ],
)
def test_targets_of_validation_rows_have_the_columns_of_the_targets(y, y_val, found):
    X = np.zeros((N, 1))
    with pytest.raises(ValueError, match=f"RealMLPRegressor: y_val must have a column for {found}"):
        RealMLPRegressor(2, max_iter=1).fit(X, y, X, y_val)


class Interrupted(RealMLPClassifier):
    """Is interrupted when all is read and training begins."""

    def _loss(self):
        raise KeyboardInterrupt


FAILURES = [
    (RealMLPClassifier, {}, {"y_val": np.full(N, "q")}, ValueError, "y_val has 'q'"),
    (RealMLPClassifier, {"activation": "no"}, {}, ValueError, "unknown activation"),
    (RealMLPClassifier, {"learning_rate_init": 3e38}, {}, DivergenceError, "The estimator is as it was before"),
    (Interrupted, {}, {}, KeyboardInterrupt, None),
]


@pytest.mark.parametrize(("kind", "change", "given", "error", "message"), FAILURES)
def test_a_fit_that_fails_changes_nothing(kind, change, given, error, message):
    rng = np.random.default_rng(0)
    X, other = pd.DataFrame({"a": rng.normal(size=N)}), pd.DataFrame({"b": rng.normal(size=N), "c": np.zeros(N)})
    y, labels = np.where(X["a"] > 0, "yes", "no"), np.where(other["b"] > 0, "a", "b")
    wrong = {"X": other, "y": labels, "X_val": other, "y_val": labels} | given
    estimator = kind(4, max_iter=3, random_state=0).set_params(**change)
    with pytest.raises(error, match=message):
        estimator.fit(**wrong)
    with pytest.raises(NotFittedError):
        estimator.predict(other)
    estimator = kind(4, max_iter=3, random_state=0)
    vars(estimator).update(vars(RealMLPClassifier(4, max_iter=3, random_state=0).fit(X, y)))
    expected = estimator.predict_proba(X)
    with pytest.raises(error, match=message):
        estimator.set_params(**change).fit(**wrong)
    np.testing.assert_array_equal(estimator.predict_proba(X), expected)
    assert (estimator.classes_.tolist(), estimator.feature_names_in_.tolist()) == (["no", "yes"], ["a"])


TEXT = ["p", None, "q", "p", "r", "q"] * 15
NUMBER = np.arange(N) / N
MISSING = [
    ("read from a file", lambda s: pd.DataFrame({"s": [np.nan] * len(s), "a": 0.5})),
    ("objects", lambda s: pd.DataFrame({"s": np.array([None, np.nan, pd.NA, pd.NaT] * len(s), object), "a": 0.5})),
    ("no dates", lambda s: pd.DataFrame({"s": pd.to_datetime([None] * len(s)), "a": 0.5})),
    ("nullable", lambda s: pd.DataFrame({"s": pd.array([pd.NA] * len(s), "Int64"), "a": 0.5})),
    ("string", lambda s: pd.DataFrame({"s": pd.array([None] * len(s), "string"), "a": 0.5})),
    ("null", lambda s: pl.DataFrame({"s": [None] * len(s), "a": [0.5] * len(s)})),
    ("Arrow", lambda s: pa.table({"s": pa.nulls(len(s)), "a": [0.5] * len(s)})),
    ("new", lambda s: pd.DataFrame({"s": ["new"] * len(s), "a": 0.5})),
    ("numbers", lambda s: pd.DataFrame({"s": range(len(s)), "a": 0.5})),
    ("bools", lambda s: pd.DataFrame({"s": [True] * len(s), "a": 0.5})),
    ("polars numbers", lambda s: pl.DataFrame({"s": [2.5] * len(s), "a": [0.5] * len(s)})),
    ("dates", lambda s: pl.DataFrame({"s": [datetime.date(2024, 1, 1)] * len(s), "a": [0.5] * len(s)})),
    ("lists", lambda s: pd.DataFrame({"s": [[1]] * len(s), "a": 0.5})),
]


@pytest.mark.parametrize("type_of_fit", [object, "str", "string", "string[pyarrow]", "category"])
def test_cells_that_are_missing_or_new_need_not_have_the_type_of_fit(type_of_fit):
    frame = pd.DataFrame({"s": pd.Series(TEXT, dtype=object).astype(type_of_fit), "a": NUMBER})
    labels = np.array(["yes", "no"])[(NUMBER > 0.5).astype(int)]
    fitted = RealMLPClassifier(4, max_iter=3, random_state=0).fit(frame, labels)
    expected = fitted.predict_proba(pd.DataFrame({"s": [None] * 8, "a": 0.5}, dtype=object))
    for name, form in MISSING:
        X = form("ab") if name == "objects" else form("abcdefgh")  # eight rows
        np.testing.assert_array_equal(fitted.predict_proba(X), expected, err_msg=name)
        clone(fitted).fit(frame, labels, X, ["yes"] * len(X))


def test_levels_of_numbers_and_of_texts_beside_numbers():
    y = np.tile([0, 1, 2], 30)
    for cells, other in (([1, 2, 3], [1.0, 2.0, 3.0]), ([1, "1", None], ["1", 1.0, np.nan])):
        X = np.array(cells * 30, object)[:, None]
        fitted = RealMLPClassifier(8, max_iter=2, categorical_features=[0], random_state=0).fit(X, y)
        order = [cells.index(cell) if cell == cell else 2 for cell in other]
        found = fitted.encoding_.transform(np.array(other, object)[:, None])
        np.testing.assert_array_equal(found, fitted.encoding_.transform(X[:3])[order])
        assert fitted.predict(np.array(other, object)[:, None]).shape == (3,)
        assert len(np.unique(found, axis=0)) == 3


DAY = datetime.datetime(2024, 5, 17)
NO_NUMBERS = [
    ("pandas", pd.DataFrame({"a": 1.0, "d": pd.to_datetime([DAY] * N)}), TypeError, "column 'd' must hold numbers"),
    ("zone", pd.DataFrame({"d": pd.to_datetime([DAY] * N, utc=True)}), TypeError, "column 'd' must hold numbers"),
    ("period", pd.DataFrame({"d": pd.period_range(DAY, periods=N)}), TypeError, "column 'd' must hold numbers"),
    ("objects", pd.DataFrame({"d": [DAY.date()] * N}, dtype=object), TypeError, "column 'd' must hold strings or numb"),
    ("duration", pd.DataFrame({"d": pd.to_timedelta(range(N))}), TypeError, "column 'd' must hold numbers"),
    (
        "polars",
        pl.DataFrame({"a": NUMBER, "d": [DAY] * N}),
        TypeError,
        "column 'd' must hold numbers.* make numbers of",
    ),
    ("polars, date", pl.DataFrame({"d": [DAY.date()] * N}), TypeError, "column 'd' must hold numbers"),
    ("polars, time", pl.DataFrame({"d": [DAY.time()] * N}), TypeError, "column 'd' must hold numbers"),
    ("polars, lazy", pl.LazyFrame({"a": NUMBER}), TypeError, "call its collect"),
    ("polars, struct", pl.DataFrame({"d": [{"k": 1}] * N}), TypeError, "column 'd' has lists or the like"),
    ("Arrow", pa.table({"d": [DAY] * N}), TypeError, "column 'd' must hold numbers"),
    ("Arrow, date", pa.table({"d": [DAY.date()] * N}), TypeError, "column 'd' must hold numbers"),
    ("complex", pd.DataFrame({"s": TEXT, "z": [1j] * N}), TypeError, "column 'z' must hold numbers.*Complex data"),
    ("lists", pd.DataFrame({"s": [[1]] * N}), TypeError, "column 's' has lists or the like for categories"),
    ("infinity", pd.DataFrame({"a": NUMBER, "b": [np.inf] * N}), ValueError, "column 'b' holds infinity"),
    ("huge", [[10**400]] * N, ValueError, "column 0 must hold numbers, got about 2"),
    ("nanoseconds", np.full((N, 1), DAY, "M8[ns]"), TypeError, "column 0 must hold numbers.* make numbers of dates"),
    ("nothing", pd.DataFrame({"s": [None] * N}), ValueError, "every cell of its columns is missing"),
    (
        "array",
        np.array([NUMBER, TEXT], object).T,
        ValueError,
        "column 1 must hold numbers, got 'p'; name the column in",
    ),
    ("texts", np.array([["1.5", "p"]] * N), ValueError, "column 1 must hold numbers, got 'p'; name the column in cat"),
    ("list", [[1.5, "p"]] * N, ValueError, "column 1 must hold numbers, got 'p'; name the column in categorical_featu"),
]


@pytest.mark.parametrize(("X", "error", "message"), [pytest.param(*row[1:], id=row[0]) for row in NO_NUMBERS])
def test_columns_that_are_no_numbers_are_refused_by_name(X, error, message):
    with pytest.raises(error, match=message):
        RealMLPRegressor(2, max_iter=1).fit(X, NUMBER)


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
def test_dates_are_no_categories_of_an_array(unit):
    with pytest.raises(TypeError, match="column 0 must hold strings or numbers"):
        RealMLPRegressor(2, max_iter=1, categorical_features=[0]).fit(np.full((N, 1), DAY, f"M8[{unit}]"), NUMBER)


def test_columns_without_any_cell_are_no_features_beside_others():
    expected = None
    for empty in ({}, {"n": [None] * N}, {"n": pd.array([None] * N, "string")}):
        X = pd.DataFrame({"a": NUMBER} | empty)
        found = RealMLPRegressor(4, max_iter=3, random_state=0).fit(X, NUMBER).predict(X)
        expected = found if expected is None else expected
        np.testing.assert_array_equal(found, expected)


def test_a_column_has_at_most_a_thousand_categories():
    names = np.array([f"id {i}" for i in range(1001)], object)
    y = np.arange(1001) % 2
    kind = RealMLPClassifier(2, max_iter=1, validation_fraction=0)
    told = "column 'key' must have at most 1000 categories.* got 1001; leave the column out"
    with pytest.raises(ValueError, match=f"RealMLPClassifier: {told}"):
        kind.fit(pd.DataFrame({"a": y, "key": names}), y)
    most = pd.DataFrame({"key": np.where(y == 1, names, names[0]), "a": y})
    most.loc[:998, "key"] = names[:999]
    assert kind.fit(most, y).model_.layers[0].get_weights()[0].shape == (1001,), "1000 levels and a number"
    features = kind.encoding_.transform(most)
    assert (features.dtype, features.shape) == (np.float32, (1001, 1001))


NO_TARGETS = [
    (RealMLPClassifier, np.array(["u", None] * 45, object), ValueError, "got a missing one .45 in all"),
    (RealMLPClassifier, np.array(["u", np.nan] * 45, object), ValueError, "got a missing one"),
    (RealMLPClassifier, pd.Series(["u", None] * 45, dtype="string"), ValueError, "got a missing one"),
    (RealMLPClassifier, pl.Series(["u", None] * 45), ValueError, "got a missing one"),
    (RealMLPClassifier, pd.Series(["u", None] * 45, dtype="category"), ValueError, "got a missing one"),
    (RealMLPRegressor, np.array([1.0, None] * 45, object), ValueError, "got a missing one"),
    (
        RealMLPRegressor,
        pd.Series(pd.date_range(DAY, periods=N)),
        TypeError,
        "must hold numbers.* make numbers of dates",
    ),
    (RealMLPRegressor, pl.Series([DAY.date()] * N), TypeError, "must hold numbers"),
    (RealMLPRegressor, pd.Series(pd.to_timedelta(range(N))), TypeError, "must hold numbers"),
    (RealMLPRegressor, ["u"] * N, ValueError, "must hold numbers, got 'u' "),
]


@pytest.mark.parametrize("row", range(len(NO_TARGETS)))
def test_targets_that_are_missing_or_no_numbers_are_refused(row):
    kind, y, error, message = NO_TARGETS[row]
    known = NUMBER if kind is RealMLPRegressor else np.array(["u", "v"] * 45)
    for X in (NUMBER[:, None], pd.DataFrame({"s": ["p", "q"] * 45, "a": NUMBER})):
        with pytest.raises(error, match=f"{kind.__name__}: y .*{message}"):
            kind(2, max_iter=1).fit(X, y)
        with pytest.raises(error, match=f"{kind.__name__}: y_val .*{message}"):
            kind(2, max_iter=1).fit(X, known, X, y)
