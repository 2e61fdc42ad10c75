"""CSV files: what is recognised, what is said of it, and which line is wrong in a file that is none."""

import builtins
import bz2
import csv
import gzip
import io
import lzma
import os
import zipfile

import numpy as np
import pytest
from fastreg.table import read_blocks, read_table
from fastreg.table.numbers import LARGEST, NumberStyle
from fastreg.table.tables import Dialect
from hypothesis import given, settings
from hypothesis import strategies as st

READERS = ["arrow", "csv"]


@pytest.fixture(params=READERS)
def reader(request, monkeypatch):
    """Once with Arrow and once without it: both must give the same."""
    if request.param == "arrow":
        pytest.importorskip("pyarrow")
        return
    real = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)


def read(tmp_path, data, name="t.csv", **options):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    table = read_table(path, **options)
    blocks = list(read_blocks(path, rows=1, **options))
    assert [len(block["" if "" in block else block.names[0]]) for block in blocks] == [1] * table.n_rows
    for name in table:
        assert [text for block in blocks for text in block[name].texts()] == table[name].texts()
    return {name: table[name].texts() for name in table}, table.notes


PLAIN = {"a": ["1", "2"], "b": ["x", "y z"]}


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("a,b\n1,x\n2,y z\n", ()),
        ("a,b\n1,x\n2,y z", ()),
        ("a,b\r\n1,x\r\n\r\n2,y z\r\n", ()),
        ("a,b\r1,x\r2,y z\r", ()),
        ("\n\na,b\n1,x\n2,y z\n", ()),
        ('"a","b"\n"1","x"\n"2","y z"\n', ()),
        ("a, b\n1, x \n2,  y z\n", ()),
        ('a, "b"\n1, "x"\n2, "y z"\n', ()),
        ("a,b\n1,x,\n2,y z,\n", ("every row ends with a separator, which the header line lacks",)),
        ("a;b\n1;x\n2;y z\n", ("cells are separated by semicolons",)),
        ("a\tb\n1\tx\n2\ty z\n", ("cells are separated by tabs",)),
        ("a|b\n1|x\n2|y z\n", ("cells are separated by '|'",)),
        ("sep=|\na|b\n1|x\n2|y z\n", ()),
    ],
    ids=repr,
)
def test_layouts(reader, tmp_path, text, notes):
    assert read(tmp_path, text) == (PLAIN, notes)


def test_a_separator_after_the_header_line_too(reader, tmp_path):
    found, _ = read(tmp_path, "a,b,\n1,x,\n2,y z,\n")
    assert found == PLAIN


def test_a_separator_that_is_given(reader, tmp_path):
    for sep in (";", "tab", "\\t", "\t", "^"):
        character = "\t" if sep in ("tab", "\\t") else sep
        assert read(tmp_path, "a,b\n1,x\n2,y z\n".replace(",", character), sep=sep)[0] == PLAIN


def test_names_that_look_like_those_of_doubled_columns(reader, tmp_path):
    assert read(tmp_path, "x,x.1\n1,2\n")[0] == {"x": ["1"], "x.1": ["2"]}
    with pytest.raises(ValueError, match="two columns are named 'x'"):
        read(tmp_path, "x,x\n1,2\n")


def test_cells_are_exact(reader, tmp_path):
    cells = ["010", "1234567", "1234568", "1.10", "NA", "None", "nan", "1e5", "true", "TRUE"]
    cells += ['a "b"', "c,d", "e\nf", "é"]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["a", "b"], *([cell, "1"] for cell in cells)])
    assert read(tmp_path, out.getvalue())[0]["a"] == cells


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings(reader, tmp_path, encoding):
    text = "name,größe\nZoë,1\nŠtěpán,2\n" if encoding != "cp1252" else "name,größe\nZoë,1\nRené,2\n"
    found, notes = read(tmp_path, text.encode(encoding))
    assert found["größe"] == ["1", "2"]
    assert found["name"][0] == "Zoë"
    assert any("Windows-1252" in note for note in notes) == (encoding == "cp1252")
    assert any("UTF-16" in note for note in notes) == encoding.startswith("utf-16")
    assert read(tmp_path, text.encode(encoding), encoding=encoding)[0]["name"] == found["name"]


def test_a_byte_late_in_a_file_decides_its_encoding(reader, tmp_path):
    rows = "".join(f"{i},Zoë\n" for i in range(40_000))
    found, notes = read_late(tmp_path, f"i,name\n{rows}1,René\n".encode("cp1252"))
    assert found["name"].texts()[-1] == "René"
    assert "Windows-1252" in notes[0]


def read_late(tmp_path, data):
    (tmp_path / "t.csv").write_bytes(data)
    table = read_table(tmp_path / "t.csv")
    return table, table.notes


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, "zip"], ids=["gz", "bz2", "xz", "zip"])
def test_compressed_files(reader, tmp_path, pack):
    data, name = b"a,b\n1,x\n2,y z\n", {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}.get(pack, "zip")
    if pack == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("t.csv", data)
        assert read(tmp_path, buffer.getvalue(), "t.zip")[0] == PLAIN
    else:
        assert read(tmp_path, pack(data), f"t.csv.{name}")[0] == PLAIN


@pytest.mark.parametrize("encoding", [None, "utf-8"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
@pytest.mark.parametrize("name", ["gz", "bz2", "xz", "zip"])
def test_damaged_compressed_files(reader, tmp_path, name, damage, encoding):
    """At the end or in the middle: no reader takes what could be read for the whole."""
    data = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(3000))
    if name == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", data)
        packed = bytearray(buffer.getvalue())
    else:
        packed = bytearray({"gz": gzip, "bz2": bz2, "xz": lzma}[name].compress(data))
    if damage == "cut":
        del packed[-12:]
    else:
        packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / f"t.csv.{name}"
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=rf"t\.csv\.{name}: (the compressed data are damaged|not a table): "):
        read_table(path, encoding=encoding)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a table: the file is empty"),
        (b"\n\n", "not a table: the file is empty"),
        (b"a,b\n", "the table has no rows"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 cell, the header line has 2"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 cells, the header line has 2"),
        (b'a,b\n"1\n2",3\n\n4,5,6\n', "line 5 has 3 cells, the header line has 2"),
        (b"a,b\n1,2,\n3,4,\n5,6\n", "line 2 has 3 cells, the header line has 2"),
        (b"a,b\n" + 30 * b"1,2,\n" + b"5,6\n", "line 32 has 2 cells, the rows before it have 3"),
        (b'"a\n1",b\n1,2\n3,4,5\n', "line 4 has 3 cells, the header line has 2"),
        (b"sep=;\na;b\n1;2;3\n1;2;4\n", "line 3 has 3 cells, the header line has 2"),
        (b'a,b\n1,"2\n3,4\n', "a quote is opened in line 2 and never closed"),
        (b"a,b\n1,\xff\xfe\n", "not text in the encoding utf-8"),
    ],
)
def test_what_is_no_table(reader, tmp_path, data, message):
    options = {"encoding": "utf-8"} if b"\xff" in data else {}
    with pytest.raises(ValueError, match=message):
        read(tmp_path, data, **options)
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        list(read_blocks(tmp_path / "t.csv", **options))


def test_rows_past_the_looked_at_ones_are_checked_for_what_follows_a_separator(reader, tmp_path):
    rows = "1,2,\n" * 30
    with pytest.raises(ValueError, match=r"rows have 3 cells, the header line names 2; the last cell of one is 'x'"):
        read(tmp_path, f"a,b\n{rows}1,2,x\n")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sep": "ab"}, ValueError, "sep must be one character"),
        ({"sep": 3}, TypeError, "sep must be a string or None, got 3"),
        ({"encoding": "utf-99"}, ValueError, "Python knows no encoding 'utf-99'"),
        ({"encoding": 8}, TypeError, "encoding must be a string or None, got 8"),
        ({"decimal": ";"}, ValueError, "decimal must be"),
        ({"decimal": ",", "thousands": ","}, ValueError, "decimal and thousands must differ"),
        ({"thousands": "12"}, ValueError, "thousands must be one character"),
        ({"thousands": 1}, TypeError, "thousands must be a string or None"),
    ],
)
def test_options_that_are_wrong(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        read(tmp_path, "a,b\n1,2\n", **options)


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="pipes have no paths here")
@pytest.mark.parametrize("read", [read_table, lambda path: list(read_blocks(path))], ids=["whole", "in blocks"])
def test_a_pipe(read):
    """It could be looked at, and would be empty when it is read."""
    end, begin = os.pipe()
    try:
        os.write(begin, b"a,b\n1,2\n")
        os.close(begin)
        with pytest.raises(ValueError, match=rf"^/dev/fd/{end}: must be a file, .* got a pipe; write it to a file"):
            read(f"/dev/fd/{end}")
    finally:
        os.close(end)


def test_files_that_are_not_there(tmp_path):
    for name in ("t.csv", "t.csv.gz", "t.parquet", "t.feather", "t.xlsx", "t.csv.bz2"):
        with pytest.raises(FileNotFoundError):
            read_table(tmp_path / name)
        (tmp_path / name).write_bytes(b"\x00\x01 no table")
    for name, message in (("t.parquet", "not a Parquet file"), ("t.feather", "not a Feather file"),
                          ("t.xlsx", "not an xlsx file"), ("t.parquet.gz", "only text files may be compressed"),
                          ("t.xls", "not a table that can be read")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            read_table(tmp_path / name)
    with pytest.raises((OSError, ValueError)):
        read_table(tmp_path / "t.csv.gz")


# Numbers.


@pytest.mark.parametrize(
    ("text", "sep", "values"),
    [
        ("1.5,2\n1,3\n", ",", [[1.5, 1], [2, 3]]),
        ("1,5;2\n1,25;3\n", ";", [[1.5, 1.25], [2, 3]]),
        ("1.5;2\n1.234;3\n", ";", [[1.5, 1.234], [2, 3]]),
        ("1.234;2\n5;3\n", ";", [[1.234, 5], [2, 3]]),
        ("1,234;2\n5;3\n", ";", [[1.234, 5], [2, 3]]),
        ("1.234,5;2\n1.234;3\n", ";", [[1234.5, 1234], [2, 3]]),
        ("1,234.5;2\n1,234;3\n", ";", [[1234.5, 1234], [2, 3]]),
        ('"1,234",2\n"1,234.50",3\n', ",", [[1234, 1234.5], [2, 3]]),
        ("2,5\t2\n1,234\t3\n", "\t", [[2.5, 1.234], [2, 3]]),
        ("\u22121.5,2\n\u2212$2,\u22123e2\n", ",", [[-1.5, -2], [2, -300]]),
    ],
)
def test_decimal_commas_where_they_are_plain(tmp_path, text, sep, values):
    (tmp_path / "t.csv").write_text(f"a{sep}b\n{text}")
    table = read_table(tmp_path / "t.csv")
    assert [table[name].numbers().tolist() for name in "ab"] == values
    assert ("numbers have decimal commas" in table.notes) == (values[0] in ([1.5, 1.25], [1234.5, 1234], [2.5, 1.234])
                                                              and "1,234.5" not in text)  # fmt: skip


@pytest.mark.parametrize("sep", [";", "\t"])
@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1.234.567", "12.345", "7", "NA"], [1234567, 12345, 7, np.nan]),
        (["1,234,567", "12,345", "7", "NA"], [1234567, 12345, 7, np.nan]),
        (["-1.234.567", "+2.345.678,5", "", "0"], [-1234567, 2345678.5, np.nan, 0]),
        (["192.168.100.200", "12.345", "10.0.0.1", "7"], [np.nan, 12.345, np.nan, 7]),
        (["1.234.567", "12.34", "7", ""], [np.nan, 12.34, 7, np.nan]),
    ],
)
def test_groups_of_three_digits_tell_the_style(reader, tmp_path, sep, cells, values):
    """A column decides if all of its numbers fit: addresses, and points that are decimal ones, do not."""
    path = tmp_path / "t.csv"
    path.write_text(f"a{sep}b\n" + "".join(f"{cell}{sep}x\n" for cell in cells))
    np.testing.assert_array_equal(read_table(path)["a"].numbers(), values)


def test_options_of_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("a|b\n1.234|1'000\n2,5|2\n")
    table = read_table(tmp_path / "t.csv", decimal=",", thousands=".")
    assert table["a"].numbers().tolist() == [1234, 2.5]
    table = read_table(tmp_path / "t.csv", decimal=".")
    np.testing.assert_array_equal(table["a"].numbers(), [1.234, np.nan])
    assert table["b"].numbers().tolist() == [1000, 2]


def test_a_later_file_is_read_as_the_first_one_was(tmp_path):
    """Nothing is inferred from its cells: 1.234 is what it was, whether or not the file has a plain decimal comma."""
    (tmp_path / "first.csv").write_text("a;b\n1.234;2,5\n")
    first = read_table(tmp_path / "first.csv")
    (tmp_path / "one.csv").write_text("a;b\n1.234;2\n")
    for read_one in (read_table, lambda path, like: next(iter(read_blocks(path, like=like)))):
        assert read_one(tmp_path / "one.csv", like=first.dialect)["a"].numbers().tolist() == [1234]
        assert read_one(tmp_path / "one.csv", like=Dialect(","))["a"].numbers().tolist() == [1.234]


NUMBERS = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**320), 10**320).map(str),
    st.from_regex(r"[+-]?[0-9]{0,4}[.,]?[0-9]{0,4}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.text("0123456789.,+-eE xinfa%$()_'", max_size=9),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=4))
def test_the_fast_way_to_read_numbers_gives_the_same(texts):
    pa = pytest.importorskip("pyarrow")
    from fastreg.table.columns import TextCells

    slow = TextCells([text or None for text in texts]).numbers()
    fast = TextCells(pa.chunked_array([pa.array(texts)])).numbers()
    np.testing.assert_array_equal(slow, fast)
    assert (np.abs(slow[~np.isnan(slow)]) <= LARGEST).all()


@settings(max_examples=100, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([".", ",", ".,"]))
def test_a_float_survives_its_text(value, decimal):
    style = NumberStyle(decimal, "" if decimal == ".," else {".": ",", ",": "."}[decimal])
    assert style.value(repr(value).replace(".", decimal[0])) == value


# Files with typed cells.


def test_parquet_feather_and_xlsx(tmp_path):
    pl, feather = pytest.importorskip("polars"), pytest.importorskip("pyarrow.feather")
    columns = {"a": [1, None, 1234567], "b": ["010", "x", None], "c": [0.1, 2.0, None], "d": [True, False, None]}
    frame = pl.DataFrame(columns)
    frame.write_parquet(tmp_path / "t.parquet")
    feather.write_feather(frame.to_arrow(), tmp_path / "t.feather")
    expected = {"a": ["1", None, "1234567"], "b": ["010", "x", None], "c": ["0.1", "2.0", None],
                "d": ["True", "False", None]}  # fmt: skip
    for name in ("t.parquet", "t.feather"):
        table = read_table(tmp_path / name)
        assert {column: table[column].texts() for column in table} == expected
        blocks = list(read_blocks(tmp_path / name, rows=2))
        assert [block.n_rows for block in blocks] == [2, 1]
        assert [text for block in blocks for text in block["a"].texts()] == expected["a"]


def test_xlsx(tmp_path):
    import datetime

    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["zip", "n", "when", "note", None])
    book.active.append(["010", 1, datetime.datetime(2024, 1, 2), "x", None])
    book.active.append([20, 2.5, datetime.datetime(2024, 1, 2, 3, 4), None, None])
    book.active.append([None, None, None, None, None])
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx")
    assert {name: table[name].texts() for name in table} == {
        "zip": ["010", "20"], "n": ["1", "2.5"], "when": ["2024-01-02", "2024-01-02 03:04:00"], "note": ["x", None],
    }  # fmt: skip
    book.active["B1"] = "zip"
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(ValueError, match="two columns are named 'zip'"):
        read_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rows": 0}, ValueError, "rows must be >= 1, got 0"),
        ({"rows": -1}, ValueError, "rows must be >= 1, got -1"),
        ({"rows": 1.5}, TypeError, "rows must be an integer, got 1.5"),
        ({"ahead": 1}, TypeError, "ahead must be True or False, got 1"),
    ],
)
def test_options_of_blocks_that_are_wrong(tmp_path, options, error, message):
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(error, match=rf"^read_blocks: {message}$"):
        next(read_blocks(path, **options))


def test_empty_rows_of_a_sheet(tmp_path):
    """Those between others are rows, as in pandas, and those around the table are not."""
    import openpyxl
    import pandas as pd

    book = openpyxl.Workbook()
    for row in ([None, None], ["a", "b"], [1.5, "x"], [None, None], [2.5, "y"], [None, None], [None, None]):
        book.active.append(row)
    book.active.cell(9, 1).font = openpyxl.styles.Font(bold=True)  # a cell without a value
    book.save(tmp_path / "t.xlsx")
    expected = pd.read_excel(tmp_path / "t.xlsx", header=1)[:3]
    table = read_table(tmp_path / "t.xlsx")
    np.testing.assert_array_equal(table["a"].numbers(), expected["a"])
    assert table["b"].texts() == ["x", None, "y"]
