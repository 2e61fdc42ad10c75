"""Files that are not what their names say, in encodings that must be named, and with columns that have no name."""

import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from fastreg.table import TableClassifier, read_blocks, read_table

TEXT = b"a,b\n1,x\n2,y\n"


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("t.csv", TEXT)
    return buffer.getvalue()


def arrow(write):
    buffer = io.BytesIO()
    write(pyarrow.table({"a": [1, 2], "b": ["x", "y"]}), buffer)
    return buffer.getvalue()


def workbook(*rows):
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(buffer)
    return buffer.getvalue()


def packed_by_arrow(codec):
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, codec) as file:
        file.write(TEXT)
    return sink.getvalue().to_pybytes()


def database(folder):
    connection = sqlite3.connect(folder / "t.db")
    connection.execute("create table t (a, b)")
    connection.commit()
    connection.close()
    return (folder / "t.db").read_bytes()


def error(path, **options):
    """The message of an error, which is the same for the whole table and for its blocks."""
    with pytest.raises(ValueError, match=r"\.(csv|xlsx|zip)|write it as") as whole:
        read_table(path, **options)
    with pytest.raises(ValueError, match=r"\.(csv|xlsx|zip)|write it as") as parts:
        list(read_blocks(path, **options))
    assert str(whole.value) == str(parts.value)
    return str(whole.value)


@pytest.mark.parametrize(
    ("make", "what", "ending"),
    [
        (lambda _: gzip.compress(TEXT), "a gzip file", ".gz"),
        (lambda _: bz2.compress(TEXT), "a bzip2 file", ".bz2"),
        (lambda _: lzma.compress(TEXT), "an xz file", ".xz"),
        (lambda _: packed_by_arrow("zstd"), "a Zstandard file", ".zst"),
        (lambda _: zipped(), "a zip archive or an Excel workbook", ".zip"),
        (lambda _: workbook(["a", "b"], [1, "x"], [2, "y"]), "a zip archive or an Excel workbook", ".xlsx"),
        (lambda _: arrow(pyarrow.parquet.write_table), "a Parquet file", ".parquet"),
        (lambda _: arrow(pyarrow.feather.write_feather), "a Feather file", ".feather"),
        (lambda _: packed_by_arrow("lz4"), "an LZ4 file", ""),
        (database, "an SQLite database", ""),
    ],
    ids=["gz", "bz2", "xz", "zst", "zip", "xlsx", "parquet", "feather", "lz4", "sqlite"],
)
def test_a_file_of_another_format_is_named(tmp_path, make, what, ending):
    path = tmp_path / "t.csv"
    path.write_bytes(make(tmp_path))
    message = error(path)
    assert message.startswith(f"{path}: not text but {what}")
    assert ("name ends in" in message) == bool(ending)
    if ending:
        assert ending in message.partition("name ends in")[2]
        table = read_table(path.rename(tmp_path / f"t.csv{ending}"))  # the advice is right
        assert {name: table[name].texts() for name in table} == {"a": ["1", "2"], "b": ["x", "y"]}


@pytest.mark.parametrize("name", ["PAR1", "BZh9", "PK", "ARROW1"])
def test_names_of_columns_that_begin_like_other_formats(tmp_path, name):
    path = tmp_path / "t.csv"
    path.write_text(f"{name},b\n1,2\n")
    assert read_table(path).names == (name, "b")


@pytest.mark.parametrize("name", ["t.ndjson", "t.html", "t.npz", "t.xlsb", "t.safetensors", "t.tar.gz"])
def test_files_of_other_programs(tmp_path, name):
    (tmp_path / name).write_bytes(TEXT)
    assert "write it as CSV, Parquet, Feather or xlsx" in error(tmp_path / name)


def test_what_the_finder_adds_to_an_archive_is_no_second_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "finder.zip", "w") as archive:
        archive.writestr("t.csv", TEXT)
        archive.writestr("__MACOSX/._t.csv", b"\0\5\26\7")
    assert read_table(tmp_path / "finder.zip")["b"].texts() == ["x", "y"]
    with zipfile.ZipFile(tmp_path / "finder.zip", "a") as archive:
        archive.writestr("u.csv", TEXT)
    assert error(tmp_path / "finder.zip").endswith("must contain one file, got 2")


@pytest.mark.parametrize("encoding", ["utf-32", "utf-16", "utf-8-sig"])
def test_marks_of_byte_order(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes("größe,b\n1,Zoë\n".encode(encoding))
    table = read_table(path)
    assert {name: table[name].texts() for name in table} == {"größe": ["1"], "b": ["Zoë"]}
    assert table.names == tuple(pd.read_csv(path, encoding=encoding).columns)


@pytest.mark.parametrize("rows", [1, 100_000], ids=["at the beginning", "late"])
def test_an_encoding_that_must_be_named(tmp_path, rows):
    path = tmp_path / "t.csv"
    path.write_bytes(("a,b\n" + "1,x\n" * rows + "2,赤い\n").encode("shift_jis"))
    message = error(path)
    assert "not text in the encoding cp1252" in message
    assert message.endswith("; encoding must name that of the file")
    assert read_table(path, encoding="shift_jis")["b"].texts()[-1] == "赤い"


# Columns without a name.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (",a\n5,1\n", {"": ["5"], "a": ["1"]}),
        ("a,,b\n1,5,2\n", {"a": ["1"], "": ["5"], "b": ["2"]}),
        ("a,b,,,\n1,2,,,\n", {"a": ["1"], "b": ["2"]}),
        (",a,,b,\n5,1,,2,\n", {"": ["5"], "a": ["1"], "b": ["2"]}),
        (",a,,b\n,1,5,2\n", {"a": ["1"], "": ["5"], "b": ["2"]}),
        (",a,,b\n,1,,2\n", {"": [None], "a": ["1"], "b": ["2"]}),
    ],
)
def test_one_column_without_a_name_may_have_cells(tmp_path, text, expected):
    path = tmp_path / "t.csv"
    path.write_text(text)
    for table in (read_table(path), next(iter(read_blocks(path)))):
        assert {name: [cell or None for cell in table[name].texts()] for name in table} == expected


def test_no_column_is_lost_because_another_has_no_name_either(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",a,,b\n5,1,6,2\n")
    assert error(path) == f"{path}: columns 1 and 3 have no name; at most one may have none"
    book = tmp_path / "t.xlsx"
    book.write_bytes(workbook([None, "a", None, None, "b"], [5, 1, None, 6, 2]))
    assert error(book) == f"{book}: columns 1 and 4 have no name; at most one may have none"
    book.write_bytes(workbook([None, "a", None, None, "b"], [5, 1, None, None, 2]))
    table = read_table(book)
    assert {name: table[name].texts() for name in table} == {"": ["5"], "a": ["1"], "b": ["2"]}


def test_a_table_of_one_column_asks_for_the_separator(tmp_path):
    rng = np.random.default_rng(0)
    cells = [f"{a:.3f} {'no' if a > 0 else 'yes'}\n" for a in rng.normal(size=30)]
    path = tmp_path / "t.csv"
    path.write_text("a y\n" + "".join(cells))
    with pytest.raises(ValueError, match=r"no column 'y'; its only column is 'a y', and sep says what separates"):
        TableClassifier(time=None).fit(path, "y")
    assert TableClassifier(sep="space", seed=0).fit(path, "y").score(path, pd.read_csv(path, sep=" ")["y"]) > 0.9


def test_a_column_without_a_name_is_not_what_was_meant(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(workbook(["Report"], ["a", "y"], [1, "x"], [2, "z"]))
    with pytest.raises(ValueError, match=r"no column 'y'$"):
        read_table(tmp_path / "t.xlsx")["y"]
