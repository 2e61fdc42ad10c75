"""The column to predict: labels are exact, words are classes, and a test table may write them in another type."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fastreg.table import TableClassifier, TableRegressor, Target, read_table

N = 12


def target_of(cells, task=None, missing=()):
    return Target.infer({"y": cells}, "y", task, missing)


@pytest.mark.parametrize(
    ("cells", "labels", "kind"),
    [
        ([1234567, 1234568], ("1234567", "1234568"), "integer"),
        (["1234567", "1234568"], ("1234567", "1234568"), "integer"),
        ([10**30, 10**30 + 1], (str(10**30), str(10**30 + 1)), "integer"),
        ([10, 9, 100], ("9", "10", "100"), "integer"),
        ([1.0, 2.0], ("1.0", "2.0"), "float"),
        (["1.0", "1.00"], ("1.0", "1.00"), "text"),
        (["010", "10"], ("010", "10"), "text"),
        ([True, False], ("False", "True"), "boolean"),
        (["true", "false"], ("false", "true"), "boolean"),
        (["None", "Some"], ("None", "Some"), "text"),
        (["NA", "EU", "nan"], ("EU", "NA", "nan"), "text"),
        (["None", "NA", "010"], ("010", "NA", "None"), "text"),
        ([0, 1, None], ("0", "1"), "integer"),
        (["0", "1", "NA"], ("0", "1"), "integer"),
        (["a", "?", "b", ""], ("a", "b"), "text"),
        ([" a", "b "], ("a", "b"), "text"),
    ],
    ids=str,
)
def test_labels_are_what_the_table_has(cells, labels, kind):
    target = target_of(cells)
    assert (target.labels, target.label_kind) == (labels, kind)
    y, known = target.encode({"y": cells})
    assert known.sum() == sum(str(cell).strip() in labels for cell in cells)
    decoded = [labels[i] for i in y[known]]
    assert decoded == [str(cell).strip() for cell in cells if str(cell).strip() in labels]
    assert Target.from_config(target.to_config()) == target


def test_words_are_missing_only_if_that_is_said():
    cells = ["None", "NA", "x"] * 4
    assert target_of(cells).labels == ("NA", "None", "x")
    target = target_of(cells, missing=["NA"])
    assert target.labels == ("None", "x")
    assert target.encode({"y": cells})[1].tolist() == [True, False, True] * 4
    assert target.given({"y": cells}).tolist() == [True, False, True] * 4


@pytest.mark.parametrize(
    "cells", [[1, 2], [1.0, 2.0], ["1", "2"], ["1.0", "2.00"], np.array([1, 2], np.int8), np.array([1, 2], np.float32)],
    ids=repr,
)  # fmt: skip
def test_a_test_table_may_type_labels_differently(cells):
    for trained in ([1, 2], ["1", "2"], [1.0, 2.0], ["1.0", "2.0"]):
        y, known = target_of(trained).encode({"y": cells})
        assert (y.tolist(), known.tolist()) == ([0, 1], [True, True])


def test_labels_that_are_alike_stay_apart():
    y, known = target_of(["1.0", "1.00", "x"]).encode({"y": ["1.0", "1.00", "1", "x"]})
    assert known.tolist() == [True, True, False, True]
    assert y.tolist() == [0, 1, 0, 2]
    assert target_of([True, False]).encode({"y": ["TRUE", "false"]})[0].tolist() == [1, 0]


def test_classes_that_only_other_rows_have():
    target = target_of(["a", "b"])
    assert target.encode({"y": ["a", "c", None]})[1].tolist() == [True, False, False]
    assert target.given({"y": ["a", "c", None]}).tolist() == [True, True, False]


def test_numbers_to_predict():
    cells = ["$1,234.50", "12", "unknown", None] * 3
    target = target_of(cells, "regression")
    assert target.mean == pytest.approx((1234.5 + 12) / 2)
    assert target.encode({"y": cells})[1].tolist() == [True, True, False, False] * 3
    assert target_of(np.linspace(0, 1, 30)).task == "regression"
    assert target_of(list(range(20))).task == "multiclass"
    assert target_of(list(range(21))).task == "regression"
    assert target_of([1, 2, 3], "regression").task == "regression"


@pytest.mark.parametrize(
    ("cells", "task", "message"),
    [
        (["a", "b"], "regression", r"must hold numbers for regression, got 'a', 'b'; missing says what to leave out"),
        ([1, 1], "regression", "must have more than one value"),
        ([1e-300, -1e-300], "regression", "must hold numbers whose squares are normal floats"),
        ([1, 1e308], "regression", r"must hold numbers below 1e300 in size, got '1e\+308' in row 1"),
        ([1, 10**400], "regression", "must hold numbers below 1e300 in size"),
        (["a", None], None, "must have at least two classes, got 1: 'a'"),
        ([None, None], None, "must have at least two classes, got 0"),
        ([[1], [2]], None, "holds objects of type list"),
    ],
)
def test_what_is_no_target(cells, task, message):
    with pytest.raises(ValueError, match=f"target: column 'y' {message}"):
        target_of(cells, task)


def test_labels_of_a_file_keep_their_digits(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "1,1234567\n2,1234568\n" * 5)
    target = Target.infer(read_table(tmp_path / "t.csv"), "y")
    assert target.labels == ("1234567", "1234568")
    assert target.classes.tolist() == [1234567, 1234568]
    (tmp_path / "u.csv").write_text("x,y\n1,1234568.0\n")
    assert target.encode(read_table(tmp_path / "u.csv"))[0].tolist() == [1]


@pytest.mark.parametrize(
    ("cells", "n"),
    [
        (np.linspace(0.0, 1.0, 100), 100),
        (pd.Series(np.repeat(np.linspace(0.0, 1.0, 25), 4)), 25),
        ([0.5, 1.5, 2.5, 0.5], 3),
        ([f"{i / 7:.4f}" for i in range(100)], 100),
    ],
)
def test_continuous_numbers_are_no_classes(cells, n):
    """scikit-learn refuses numbers with decimals as classes: "Unknown label type: continuous"."""
    told = f"'y' must hold classes for classification, got {n} different numbers with decimals in {len(cells)} rows"
    with pytest.raises(ValueError, match=told):
        Target.infer({"y": cells}, "y", "classification")
    with pytest.raises(ValueError, match=told.replace("'y'", "'target'")):
        TableClassifier().fit({"a": np.arange(len(cells)) % 3}, cells)
    assert Target.infer({"y": cells}, "y", "regression").labels is None


def test_few_numbers_with_decimals_and_codes_are_classes():
    """Grades, which scikit-learn would refuse, and codes of diagnoses, which are texts."""
    grades = np.tile(np.arange(2.0, 12.0) / 2.0, 4)
    assert Target.infer({"y": grades}, "y", "classification").classes.tolist() == (np.arange(2.0, 12.0) / 2.0).tolist()
    codes = [f"{i}.0{i % 7}" for i in range(200, 240)] * 3
    assert Target.infer({"y": codes}, "y", "classification").labels == tuple(sorted(set(codes)))
    whole = np.arange(100.0)
    assert len(Target.infer({"y": whole}, "y", "classification").classes) == 100


@pytest.mark.parametrize(
    ("y", "hint"),
    [
        (np.arange(30), "; TableRegressor predicts numbers"),
        ([f"id {i}" for i in range(30)], ""),
        (np.arange("2024-01-01", "2024-01-31", dtype="datetime64[D]").astype(str), ""),
        ([f"id {i}" if i % 2 else None for i in range(60)], ""),
        (np.arange(30) * 1.0, "; TableRegressor predicts numbers"),
    ],
    ids=["integers", "names", "dates", "names and missing ones", "whole floats"],
)
def test_a_class_for_each_row_is_refused(y, hint):
    """Nothing can be learned of it; the model had one output for each row, and one warning about folds."""
    table = {"a": np.random.default_rng(0).normal(size=len(y)), "y": y}
    message = (
        r"^TableClassifier: y must have fewer classes than rows, got 30 classes in 30 rows \(column '{}'\): each row "
        f"has its own, as names of rows have{hint}$"
    )
    with pytest.raises(ValueError, match=message.format("target")):
        TableClassifier(seed=0).fit({"a": table["a"]}, y)
    with pytest.raises(ValueError, match=message.format("y")):
        TableClassifier(seed=0, trials=2).fit(table, "y")


def test_one_row_more_than_classes_is_learned():
    y = [*(f"id {i}" for i in range(29)), "id 0"]
    with pytest.warns(UserWarning, match="classes"):
        TableClassifier(seed=0, time=5).fit({"a": np.arange(30.0) ** 2}, y)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, lambda table: pd.DataFrame(table).convert_dtypes()])
@pytest.mark.parametrize("name", ["word", "number", "flag"])
def test_targets_that_are_a_column_of_the_table_are_refused(make, name):
    """A network would predict the column from itself, and say that it does so without an error."""
    a = np.random.default_rng(0).normal(size=60)
    table = {"a": a, "word": np.where(a > 0, "yes", "no"), "number": np.where(a > 0, 3, 4), "flag": a > 0}
    frame = make({"a": a, name: table[name]})
    message = f"^TableClassifier: y is column '{name}' of the table, .*; give the name, y='{name}', or leave"
    with pytest.raises(ValueError, match=message):
        TableClassifier(seed=0).fit(frame, frame[name])
    with pytest.raises(ValueError, match=r"^TableRegressor: y is column 'a' of the table"):
        TableRegressor(seed=0).fit(frame, frame["a"])
    fitted = TableClassifier(seed=0, time=5).fit(frame, name)
    alone = make({"a": a})
    again = TableClassifier(seed=0, time=5).fit(alone, frame[name])
    np.testing.assert_array_equal(fitted.predict_proba(frame), again.predict_proba(alone))
    assert fitted.score(frame, frame[name]) == fitted.score(alone, frame[name])  # nothing is learned here


def test_another_column_may_have_the_name_of_the_targets():
    a = np.random.default_rng(0).normal(size=60)
    y = pd.Series(np.where(a > 0, "yes", "no"), name="a")
    assert TableClassifier(seed=0, time=5).fit(pd.DataFrame({"a": a}), y).feature_names_in_.tolist() == ["a"]
