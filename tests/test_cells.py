"""Cells of data frames that are not numbers: the error names the first column and row that has one, for every library.

The frames are in frames.py; arrays that are refused are in test_bad_input.py. One table of bad columns: add a row.
"""
from __future__ import annotations

import datetime

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.search import GridSearch, cross_validate
from frames import FRAMES
from programs import compiled, refusal, regressor
from searches import build as build_classifier
from searches import two_classes

Y = np.array([0.5, 1.0, 1.5])
DAY = datetime.date(2024, 5, 17)

# id: (a column of three cells, error, what the message must hold besides the column's name).
BAD = {
    "text": (["Paris", "Rome", "Oslo"], TypeError, ["text", "Paris", "row 0", "encode"]),
    "text later": ([None, "Rome", "Oslo"], TypeError, ["text", "Rome", "row 1"]),
    "bytes": ([b"ab", b"c", b"d"], TypeError, ["text", "b'ab'", "row 0"]),
    "dates": ([DAY] * 3, TypeError, ["dates", "2024-05-17", "row 0"]),
    "dates later": ([None, DAY, DAY], TypeError, ["dates", "2024-05-17", "row 1"]),
    "times": ([datetime.datetime(2024, 5, 17, 8)] * 3, TypeError, ["dates", "2024-05-17", "row 0"]),
    "durations": ([datetime.timedelta(days=2)] * 3, TypeError, ["durations", "row 0"]),
    "lists": ([[1.0], [2.0], [3.0]], TypeError, ["objects", "row 0"]),
    "missing integer": ([1, None, 3], ValueError, ["NaN|missing", "row 1"]),
    "missing float": ([1.5, 2.5, None], ValueError, ["NaN|missing", "row 2"]),
    "missing bool": ([None, True, False], ValueError, ["NaN|missing", "row 0"]),
    "nothing at all": ([None, None, None], ValueError, ["NaN|missing", "row 0"]),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", FRAMES)
def test_the_first_bad_cell_of_a_frame_is_named(kind, case):
    cells, error, words = BAD[case]
    frame = FRAMES[kind]({"fine": [1.0, 2.0, 3.0], "whole": [1, 2, 3], "odd one": cells, "other": ["a", "b", "c"]})
    other = {"fine": [1.0, 2.0, 3.0], "odd one": cells, "other": [3, 2, 1]}
    if error is TypeError:  # a missing cell is named only where there is nothing worse
        with refusal(error, ["^x:", "'odd one'", *words]):
            regressor().fit(frame, Y, verbose=0)
    model = regressor(n_features=3)
    for call in (
        lambda x: regressor().fit(x, Y, verbose=0),
        lambda x: regressor().fit(np.ones((3, 3)), Y, validation_data=(x, Y), verbose=0),
        lambda x: model.evaluate(x, Y, verbose=0),
        lambda x: model.predict(x),
    ):
        with refusal(error, ["x:", "'odd one'", *words]):
            call(FRAMES[kind](other))


@pytest.mark.parametrize("case", ["text", "dates", "times", "durations"])
@pytest.mark.parametrize("kind", FRAMES)
def test_frozen_models_and_searches_name_it_too(kind, case):
    cells, error, words = BAD[case]
    frame = FRAMES[kind]({"fine": [1.0, 2.0, 3.0], "odd one": cells})
    with refusal(error, ["^x:", "'odd one'", *words]):
        regressor(n_features=2).freeze()(frame)
    search = GridSearch(build_classifier, {"units": [2], "lr": [0.1]}, cv=[([0, 1], [2])], seed=0, verbose=0)
    with refusal(error, ["^X:", "'odd one'", *words]):
        search.fit(frame, [0, 1, 0])
    with refusal(error, ["x:", "'odd one'", *words]):
        cross_validate(build_classifier, frame, [0, 1, 0], params={"units": 2, "lr": 0.1}, cv=[([0, 1], [2])],
                       preprocess="standard")


@pytest.mark.parametrize("kind", FRAMES)
def test_numbers_of_every_type_are_taken(kind):
    columns = {"a": [1.5, 2.0, -3.0], "b": [1, 0, 7], "c": [True, False, True]}
    expected = np.array(list(columns.values()), np.float32).T
    model = regressor(n_features=3)
    assert model.predict(FRAMES[kind](columns)).tobytes() == model.predict(expected).tobytes()


def column_of(kind, cells):
    if kind == "list":
        return cells
    if kind == "array":
        return np.array(cells, dtype=object)
    frame = FRAMES[kind]({"y": cells})
    return frame["y"] if kind.startswith("pandas") or kind == "polars" else frame.column(0)


@pytest.mark.parametrize("kind", ["list", "array", "pandas", "pandas nullable", "polars", "Arrow table"])
def test_targets_and_weights_name_the_row(kind):
    x, model = np.ones((3, 2)), regressor()
    with refusal(TypeError, ["^y:", "text", "'b'", "row 1", "numpy.unique"]):
        model.fit(x, column_of(kind, [None, "b", "c"]), verbose=0)
    with refusal(ValueError, ["^y:", "NaN|missing", "row 2"]):
        model.fit(x, column_of(kind, [1.0, 2.0, None]), verbose=0)
    with refusal(TypeError, ["^y:", "dates", "row 0"]):
        model.fit(x, column_of(kind, [DAY] * 3), verbose=0)
    with refusal(ValueError, ["^sample_weight:", "NaN|missing", "row 1"]):
        model.fit(x, Y, sample_weight=column_of(kind, [1, None, 2]), verbose=0)
    with refusal(TypeError, ["^sample_weight:", "text", "'a'", "row 0"]):
        model.fit(x, Y, sample_weight=column_of(kind, ["a", "b", "c"]), verbose=0)


def test_arrays_without_names_say_the_number_of_the_column():
    with refusal(TypeError, ["^x:", "column 1 ", "text", "'b'", "row 1"]):
        regressor().fit(np.array([[1, 2.0], [3, "b"], [4, 5]], object), Y, verbose=0)


@pytest.mark.parametrize(("odd", "words"), [
    ("x", ["text", "'x'"]),
    ("2", ["text", "'2'"]),
    (b"x", ["text", "b'x'"]),
    (DAY, ["dates", "2024-05-17"]),
    (np.datetime64("1970-01-03"), ["dates", "1970-01-03"]),
    (np.timedelta64(5, "D"), ["durations", "5 days"]),
])
@pytest.mark.parametrize("make", [list, tuple, lambda rows: np.array([[*row] for row in rows], object)])
def test_the_odd_cell_of_lists_is_the_one_that_is_named(make, odd, words):
    rows = [[1.0, 2.0, 3.0], [4.0, odd, 6.0], [7.0, 8.0, 9.0]]
    model = regressor(n_features=3)
    for call in (model.predict, model.freeze(), lambda x: model.fit(x, Y, verbose=0)):
        with refusal(TypeError, ["^x:", "column 1 ", "row 1", *words]):
            call(make(rows))
    with refusal(TypeError, ["^y:", "row 1", *words]):
        model.fit(np.ones((3, 3)), make([[row[1]] for row in rows]), verbose=0)
    with refusal(TypeError, ["^y:", "row 1", *words]):
        model.fit(np.ones((3, 3)), [row[1] for row in rows], verbose=0)


@pytest.mark.parametrize(("odd", "words"), [
    (np.datetime64("1970-01-03"), ["dates", "1970-01-03"]),
    (np.timedelta64(5, "D"), ["durations", "5 days"]),
])
def test_dates_of_numpy_in_a_column_of_objects_are_no_numbers(odd, words):
    pandas = pytest.importorskip("pandas")
    model = regressor(n_features=2)
    for row in range(3):
        column = np.array([1.0] * row + [odd] * (3 - row), object)
        frame = pandas.DataFrame({"fine": [1.0, 2.0, 3.0]})
        frame["odd one"] = pandas.Series(column, dtype=object)
        assert frame["odd one"].dtype == object
        for call in (model.predict, model.freeze(), lambda x: model.fit(x, Y, verbose=0)):
            with refusal(TypeError, ["^x:", "'odd one'", f"row {row}", *words]):
                call(frame)
        with refusal(TypeError, ["^y:", f"row {row}", *words]):
            model.fit(np.ones((3, 2)), frame["odd one"], verbose=0)


def test_a_whole_number_that_no_float_reaches_is_named():
    cells = {"fine": [1, 2, 3], "vast": [1, 10**400, 3], "other": [1.0, 2.0, 3.0]}
    rows, model = [list(row) for row in zip(*cells.values(), strict=True)], regressor(n_features=3)
    for given, column in ((rows, "column 1"), (np.array(rows, object), "column 1"),
                          (FRAMES["pandas"](cells), "'vast'")):
        for call in (model.predict, model.freeze(), lambda x: model.fit(x, Y, verbose=0)):
            with refusal(ValueError, ["^x:", "within the range of float32", r"about 2\*\*1328", column, "row 1"]):
                call(given)
    with refusal(ValueError, ["^y:", "within the range of float32", r"about 2\*\*1328", "row 1"]):
        model.fit(np.ones((3, 3)), cells["vast"], verbose=0)


def test_names_of_a_frame_that_hide_its_attributes():
    """A column may be called as what tells the kinds of frames apart."""
    for kind in ("pandas", "polars", "Arrow table"):
        frame = FRAMES[kind]({"columns": [1.0, 2.0, 3.0], "column_names": [1.0, 2.0, 3.0], "iloc": ["a", "b", "c"]})
        with refusal(TypeError, ["^x:", "'iloc'", "text"]):
            regressor().fit(frame, Y, verbose=0)


def test_a_frame_that_is_not_worked_out_is_told_to_be_collected():
    lazy = pytest.importorskip("polars").DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 0.0, 2.0]}).lazy()
    model, x = regressor(n_features=2), np.ones((3, 2))
    for call in (
        lambda: regressor().fit(lazy, Y, verbose=0), lambda: model.predict(lazy), lambda: model.freeze()(lazy),
        lambda: model.evaluate(lazy, Y, verbose=0), lambda: model.fit(x, lazy, verbose=0),
        lambda: model.fit(x, Y, validation_data=(lazy, Y), verbose=0),
        lambda: model.fit(x, Y, sample_weight=lazy, verbose=0),
        lambda: GridSearch(build_classifier, {"units": [2], "lr": [0.1]}, cv=2, verbose=0).fit(lazy, [0, 1, 0]),
        lambda: GridSearch(build_classifier, {"units": [2], "lr": [0.1]}, cv=2, verbose=0,
                           preprocess="standard").fit(lazy, [0, 1, 0]),
    ):
        with refusal(TypeError, ["LazyFrame", r"collect\(\)"]):
            call()


# Sparse matrices.


FORMS = ["csr_matrix", "csr_array", "csc_matrix", "coo_matrix", "bsr_matrix", "dia_matrix", "lil_matrix", "dok_matrix"]


@pytest.mark.parametrize("form", FORMS)
def test_an_estimator_gets_sparse_features_and_gives_what_it_gives_for_dense_ones(form):
    sparse = pytest.importorskip("scipy.sparse")
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = two_classes()
    x = np.where(x > 0, x, 0).astype(np.float64)
    seen = []

    class Watched(linear_model.LogisticRegression):
        def fit(self, x, y):
            seen.append(sparse.issparse(x))
            return super().fit(x, y)

    results = []
    for given in (x, getattr(sparse, form)(x)):
        search = GridSearch(Watched(), {"C": [0.1, 1.0]}, cv=3, seed=0, n_jobs=1, verbose=0).fit(given, y)
        outputs = search.ensemble(2).outputs(given)
        results.append([*search.results_["mean_test_score"], search.score(given, y), *outputs])
    np.testing.assert_allclose(np.hstack(results[0]), np.hstack(results[1]), rtol=1e-4, atol=1e-4)
    assert seen[0] is False
    assert seen[-1] is True


@pytest.mark.parametrize("form", FORMS)
def test_a_network_refuses_sparse_features_by_name(form):
    sparse = pytest.importorskip("scipy.sparse")
    x, y = two_classes()
    given = getattr(sparse, form)(x)
    words = ["sparse", form, "toarray"]
    with refusal(TypeError, ["^X:", *words]):
        GridSearch(build_classifier, {"units": [2], "lr": [0.1]}, cv=3, verbose=0).fit(given, y)
    with refusal(TypeError, ["^X:", *words]):
        cross_validate(build_classifier, given, y, params={"units": 2, "lr": 0.1}, cv=3)
    model = compiled([layers.Dense(1, "sigmoid")], loss="binary_crossentropy", n_features=x.shape[1])
    for call in (lambda: model.fit(given, y, verbose=0), lambda: model.predict(given), lambda: model.freeze()(given)):
        with refusal(TypeError, ["^x:", *words]):
            call()


def test_preprocessing_makes_features_of_sparse_ones():
    sparse = pytest.importorskip("scipy.sparse")
    decomposition = pytest.importorskip("sklearn.decomposition")
    x, y = two_classes()
    scores, params = [], {"units": 4, "lr": 0.05}
    for given in (sparse.csr_matrix(x), sparse.coo_matrix(x)):
        svd = decomposition.TruncatedSVD(3, algorithm="arpack", random_state=0)
        found = cross_validate(build_classifier, given, y, params=params, cv=3, seed=0, epochs=5, preprocess=svd)
        scores.append(found["test_score"])
    np.testing.assert_array_equal(*scores)


# Bools.


def odd_bools(x):
    """A bool array whose bytes are 0 and 2: what a view of other bytes gives."""
    odd = (np.asarray(x, bool) * np.uint8(2)).view(bool)
    assert odd.dtype == bool
    assert odd.view(np.uint8).max() == 2
    return odd


def test_the_bytes_of_bools_count_as_zero_and_one():
    rng = np.random.default_rng(0)
    x = rng.random((60, 8)) < 0.5
    y = x[:, 0] ^ x[:, 1]
    results, params = [], {"units": 3, "lr": 0.1}
    for as_bool in (lambda a: a, odd_bools, lambda a: odd_bools(a)[::-1][::-1]):
        a, b = as_bool(x), as_bool(y)
        model = compiled([layers.Dense(4, "relu"), layers.Dense(1, "sigmoid")], loss="binary_crossentropy")
        history = model.fit(a, b, epochs=3, validation_data=(a, b), sample_weight=as_bool(x[:, 2] | x[:, 3]), verbose=0)
        labels = compiled([layers.Dense(2, "softmax")], loss="sparse_categorical_crossentropy")
        labels.fit(a, b, verbose=0)
        search = GridSearch(build_classifier, {"units": [3], "lr": [0.1]}, cv=3, seed=0, verbose=0).fit(a, b, epochs=2)
        scaled = cross_validate(build_classifier, a, b, params=params, cv=3, seed=0, preprocess="standard")
        results.append([
            *model.get_weights(), *map(np.asarray, history.history.values()), model.predict(a), model.freeze()(a),
            np.asarray(model.evaluate(a, b, verbose=0)), *labels.get_weights(), np.asarray(search.best_score_),
            *search.best_model_.get_weights(), scaled["test_score"],
            fr.ops.dense(a, np.eye(8)), fr.ops.activation(a, "relu"), fr.ops.loss("mse", a, a[::-1].copy())[0],
            fr.utils.to_categorical(b),
        ])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_bools_are_copied_only_where_they_must_be():
    from fastreg.data import arrays

    x = np.random.default_rng(0).random((20, 5)) < 0.5
    assert arrays.features(x) is x
    assert arrays.features(odd_bools(x)).view(np.uint8).max() == 1
