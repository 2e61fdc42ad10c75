"""Numbers that texts write with decimal commas, among typed cells: xlsx, Parquet, Feather and frames, as in CSV."""

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from fastreg.table import Schema, Table, TableClassifier, TableRegressor, distill, read_blocks, read_table

N = 60
NUMBERS = np.round(np.linspace(-3.0, 1200.0, N), 2)
TEXTS = [str(value).replace(".", ",") for value in NUMBERS.tolist()]
MIXED = [value if i % 3 else text for i, (value, text) in enumerate(zip(NUMBERS.tolist(), TEXTS, strict=True))]
MIXED[1] = 7
GROUPS = [f"g{i % 3}" for i in range(N)]
LABELS = ["no" if i < N / 2 else "yes" for i in range(N)]


def workbook(path, columns):
    book = openpyxl.Workbook()
    for row in (columns, *zip(*columns.values(), strict=True)):
        book.active.append(list(row))
    book.save(path)
    return path


def frames():
    yield "a mapping", {"a": TEXTS, "g": GROUPS}
    yield "NumPy", {"a": np.array(TEXTS)}
    yield "NumPy objects", {"a": np.array(TEXTS, object)}
    yield "pandas objects", pd.DataFrame({"a": pd.Series(TEXTS, dtype=object), "g": GROUPS})
    yield "pandas strings", pd.DataFrame({"a": pd.Series(TEXTS, dtype="string[pyarrow]")})
    yield "pandas categories", pd.DataFrame({"a": pd.Categorical(TEXTS)})
    yield "polars", pl.DataFrame({"a": TEXTS, "g": GROUPS})
    yield "polars categories", pl.DataFrame({"a": TEXTS}, schema={"a": pl.Categorical})
    yield "Arrow", pa.table({"a": TEXTS, "g": GROUPS})
    yield "Arrow dictionaries", pa.table({"a": pa.array(TEXTS).dictionary_encode()})


@pytest.mark.parametrize("kind", [name for name, _ in frames()])
def test_frames(kind):
    table = Table.of(dict(frames())[kind])
    np.testing.assert_array_equal(table["a"].numbers(), NUMBERS)
    assert table.notes == ("numbers have decimal commas",)


def test_typed_files(tmp_path):
    """Cells of a workbook may be numbers in part; a number keeps its value."""
    typed = NUMBERS.copy()
    typed[1] = 7.0
    table = read_table(workbook(tmp_path / "t.xlsx", {"a": TEXTS, "b": MIXED, "g": GROUPS}))
    np.testing.assert_array_equal(table["a"].numbers(), NUMBERS)
    np.testing.assert_array_equal(table["b"].numbers(), typed)
    frame = pa.table({"a": TEXTS, "b": NUMBERS})
    pa.parquet.write_table(frame, tmp_path / "t.parquet")
    pa.feather.write_feather(frame, tmp_path / "t.feather")
    for name in ("t.parquet", "t.feather"):
        np.testing.assert_array_equal(read_table(tmp_path / name)["a"].numbers(), NUMBERS)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": ["1,234", "12,500"], "b": ["x", "y"]},  # groups of three digits
        {"a": ["1,5", "2,5"], "b": ["1.5", "2.5"]},  # another column has points
        {"a": ["1.5", "2.5"], "b": ["a, b", "c"]},
        {"a": [1.5, 2.5], "b": ["one, two", None]},
    ],
)
def test_texts_without_decimal_commas_are_read_as_before(columns):
    for table in (Table.of(columns), Table.of(pd.DataFrame(columns)), Table.of(pl.DataFrame(columns))):
        plain = Table.of(columns, Table.of({"a": [1.0]}).dialect.style)
        assert table.dialect.style.decimal == "."
        assert table.notes == ()
        for name in columns:
            np.testing.assert_array_equal(table[name].numbers(), plain[name].numbers())


def test_a_model_reads_later_tables_by_the_style_of_the_first(tmp_path):
    """Of one row nothing could be told; typed numbers have points when they are written to CSV."""
    path = workbook(tmp_path / "t.xlsx", {"a": TEXTS, "b": MIXED, "y": LABELS})
    model = TableClassifier(time=5.0).fit(path, "y")
    assert [column.kind for column in model.model_.schema.columns] == ["numeric", "numeric"]
    expected = model.predict_proba({"a": [1.234], "b": [2.5]})
    for row in (
        {"a": ["1,234"], "b": ["2,5"]},
        pd.DataFrame({"a": ["1,234"], "b": [2.5]}),
        workbook(tmp_path / "new.xlsx", {"a": ["1,234"], "b": ["2,5"]}),
    ):
        np.testing.assert_array_equal(model.predict_proba(row), expected)
    for name, text in (("c.csv", 'a,b\n"1,234",2.5\n'), ("s.csv", "a;b\n1,234;2,5\n"), ("t.tsv", "a\tb\n1,234\t2.5\n")):
        (tmp_path / name).write_text(text)
        np.testing.assert_array_equal(model.predict_proba(tmp_path / name), expected)
    pq = tmp_path / "p.parquet"
    pl.DataFrame({"a": ["1,234", "7"], "b": ["2,5", "1"]}).write_parquet(pq)
    like = model.model_.schema.dialect
    assert [block["a"].numbers().tolist() for block in read_blocks(pq, rows=1, like=like)] == [[1.234], [7.0]]


def test_a_model_of_a_file_with_semicolons_reads_frames_as_that_file(tmp_path):
    lines = (f"{text};{label}" for text, label in zip(TEXTS, LABELS, strict=True))
    (tmp_path / "t.csv").write_text("\n".join(["a;y", *lines]) + "\n")
    model = TableClassifier(time=5.0).fit(tmp_path / "t.csv", "y")
    one = model.predict_proba({"a": [1.234]})
    np.testing.assert_array_equal(model.predict_proba({"a": ["1,234"]}), one)
    np.testing.assert_array_equal(model.predict_proba(workbook(tmp_path / "t.xlsx", {"a": ["1,234"]})), one)


def test_decimal_is_an_option_of_frames_too():
    texts = [f"{i + 1},{i % 7}00" for i in range(N)]  # 5,500 may be either
    frame = {"a": texts, "y": LABELS}
    numbers = {"a": [float(text.replace(",", ".")) for text in texts], "y": LABELS}
    by_option = TableClassifier(time=5.0, decimal=",").fit(frame, "y")
    by_type = TableClassifier(time=5.0).fit(numbers, "y")
    np.testing.assert_array_equal(by_option.predict_proba(frame), by_type.predict_proba(numbers))
    assert TableClassifier(time=5.0, decimal=".").fit(frame, "y").dictionary_["a"].kind == "numeric"
    assert Schema.infer(Table.of(frame), target="y").codes({"a": ["5,500"]}).tolist() == [[5500.0]]


def test_targets_with_decimal_commas():
    places = [(7 * i) % N + 0.5 for i in range(N)]
    frame = {"a": places, "y": TEXTS}
    model = TableRegressor(time=5.0).fit(frame, "y")
    typed = {"a": places, "y": NUMBERS}
    expected = TableRegressor(time=5.0).fit(typed, "y")
    np.testing.assert_array_equal(model.predict(frame), expected.predict(frame))
    assert model.score(frame) == expected.score(typed)


def test_distill_reads_the_test_rows_as_the_table(tmp_path):
    """The table has decimal commas; the test rows alone do not show it."""
    table = workbook(tmp_path / "t.xlsx", {"a": TEXTS, "y": TEXTS})
    test = workbook(tmp_path / "test.xlsx", {"a": ["1,234", "10,000"], "y": ["1,234", "10,000"]})

    def teacher(x):
        return np.array([float(str(text).replace(",", ".")) for text in x["a"]])

    options = {"preset": "fast", "rows": 0, "time": 5.0, "task": "regression", "compare": False}
    result = distill(teacher, table, "y", test=test, **options)
    assert result.scores["teacher"]["RMSE"] == 0.0
