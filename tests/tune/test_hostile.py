"""Hostile tables and model files: `fastreg tune` and `predict` say in one line what is wrong, or are right.

Every case is a file and what may happen: an error whose one line holds a text, or success with a text in the output.
Nothing may raise, and an error writes nothing to standard output.
"""

import csv
import gzip
import io
import json
import os
import struct

import numpy as np
import pytest

pytest.importorskip("narwhals")
pytest.importorskip("pyarrow")

import pyarrow
from fastreg import cli
from fastreg.table import TableClassifier
from fastreg.table.model import TableModel

ROWS = 40


def table(rows=ROWS, header="a,b,y", line=None, seed=0):
    """A table in CSV whose target follows from its first column."""
    rng = np.random.default_rng(seed)
    line = line or (lambda i, v: f"{v:.4f},{'uvw'[i % 3]},{'yes' if v > 0 else 'no'}")
    return header + "\n" + "".join(line(i, rng.normal()) + "\n" for i in range(rows))


def parquet(columns):
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue()


def columns(**others):
    rng = np.random.default_rng(0)
    a = rng.normal(size=ROWS)
    return {"a": a, **others, "y": np.where(a > 0, "yes", "no")}


def spoil(text, line, other):
    """The text with another line in place of one, counted from 0."""
    lines = text.split("\n")
    lines[line] = other
    return "\n".join(lines)


# name: file name, content, options, "error" or "right", and a text of the message or of the output.
TABLES = {
    "an empty file": ("d.csv", "", [], "error", "d.csv"),
    "spaces": ("d.csv", "  \n\n \n", [], "error", ""),
    "a header only": ("d.csv", "a,b,y\n", [], "error", "row"),
    "a header without a line end": ("d.csv", "a,b,y", [], "error", "row"),
    "one row": ("d.csv", "a,b,y\n1,u,yes\n", [], "error", "10 rows"),
    "nine rows": ("d.csv", table(9), [], "error", "10 rows"),
    "one column": ("d.csv", table(header="y", line=lambda i, v: "ab"[i % 2]), [], "error", "column"),
    "all cells missing": ("d.csv", table(line=lambda i, v: ",,"), [], "error", "y"),
    "all features missing": ("d.csv", table(line=lambda i, v: f",,{'ab'[i % 2]}"), [], "error", "no column to learn"),
    "no target column": ("d.csv", table(header="a,b,z"), [], "error", "'y'"),
    "no value of the target": ("d.csv", table(line=lambda i, v: f"{v:.3f},u,"), [], "error", "y"),
    "one class": ("d.csv", table(line=lambda i, v: f"{v:.3f},u,yes"), [], "error", "two classes"),
    "one number": (
        "d.csv",
        table(line=lambda i, v: f"{v:.3f},{i % 3},7"),
        ["--task", "regression"],
        "error",
        "more than one value",
    ),
    "text for regression": ("d.csv", table(), ["--task", "regression"], "error", "numbers for regression"),
    "one name twice": ("d.csv", table(header="a,a,y"), [], "error", "'a'"),
    "a target of numbers but for a word": (
        "d.csv",
        table(line=lambda i, v: f"{i % 5},u,{'sold out' if i % 9 == 0 else f'{v:.5f}'}"),
        [],
        "error",
        "35 are numbers, and not 'sold out': missing says what to leave out",
    ),
    "a target with a word for missing values": (
        "d.csv",
        table(line=lambda i, v: f"{v:.3f},u,{'N/A' if i % 9 == 0 else 'yes' if v > 0 else 'no'}"),
        [],
        "right",
        "class 'N/A' may mean a missing value; if so, --missing=N/A leaves its rows out",
    ),
    "a target with dashes for missing values": (
        "d.csv",
        table(line=lambda i, v: f"{v:.3f},u,{'--' if i % 10 == 0 else 'yes' if v > 0 else 'no'}"),
        ["--missing=--"],
        "right",
        "4 without a value of 'y' are left out",
    ),
    "classes that are written in several ways": (
        "d.csv",
        table(line=lambda i, v: f"{v:.3f},u,{('Yes', 'yes', 'yes ')[i % 3] if v > 0 else ('1', '1.0', 'no')[i % 3]}"),
        [],
        "right",
        "classes '1', '1.0' are different ones, but may be one that is written in several ways\n"
        "classes 'Yes', 'yes' are different ones, but may be one that is written in several ways\n",
    ),
    "a target whose squares overflow": (
        "d.csv",
        table(line=lambda i, v: f"{v:.3f},u,{v * 1e200}"),
        [],
        "error",
        "column 'y' must hold numbers whose squares are normal floats",
    ),
    "two unnamed columns": ("d.csv", table(header=",,y"), [], "error", "columns 1 and 2 have no name"),
    "an unnamed column": ("d.csv", table(header="a,,y"), [], "right", "accuracy"),
    "NUL bytes": ("d.csv", spoil(table(), 5, "1\0,u,yes"), [], "either", ""),
    "only NUL bytes": ("d.csv", b"\0" * 4096, [], "error", ""),
    "random bytes": ("d.csv", np.random.default_rng(0).bytes(5000), [], "error", ""),
    "a picture": ("d.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, [], "error", ""),
    "huge numbers": ("d.csv", spoil(table(), 5, "1e308,u,yes"), [], "right", "accuracy"),
    "numbers beyond floats": ("d.csv", spoil(table(), 5, f"1{'0' * 400},u,yes"), [], "right", "accuracy"),
    "infinities": ("d.csv", spoil(spoil(table(), 5, "inf,u,yes"), 6, "-inf,v,no"), [], "right", "accuracy"),
    "a huge target": (
        "d.csv",
        table(line=lambda i, v: f"{v:.3f},u,1{'0' * (300 + i)}.5"),
        ["--task", "regression"],
        "error",
        "y",
    ),
    "a long row": ("d.csv", spoil(table(), 5, "1,u,yes,4,5"), [], "error", ""),
    "a short row": ("d.csv", spoil(table(), 5, "1"), [], "either", ""),
    "an open quote": ("d.csv", spoil(table(), 5, '1,"u,yes'), [], "error", ""),
    "a stray quote": ("d.csv", spoil(table(), 5, '1,u"v,yes'), [], "right", "accuracy"),
    "two encodings": ("d.csv", table().encode() + "1,é,yes\n".encode("latin-1") + "1,é,no\n".encode(), [], "right", ""),
    "a byte order mark": ("d.csv", b"\xef\xbb\xbf" + table(header="y,b,a").encode(), [], "either", ""),
    "UTF-16": ("d.csv", table().encode("utf-16"), [], "right", "accuracy"),
    "lines of old Macs": ("d.csv", table().replace("\n", "\r"), [], "either", ""),
    "one row of a class": ("d.csv", spoil(table(), 5, "1,u,perhaps"), [], "right", "'perhaps' (1)"),
    "every row its own class": ("d.csv", table(line=lambda i, v: f"{v:.3f},u,class {i}"), [], "either", ""),
    "a cell of a megabyte": ("d.csv", spoil(table(), 5, f"1,{'u' * 10**6},yes"), [], "either", ""),
    "a name of a megabyte": ("d.csv", table(header=f"{'a' * 10**6},b,y"), [], "either", ""),
    "a name with a line break": ("d.csv", table(header='"a\nb",b,y'), [], "right", "accuracy"),
    "control characters": ("d.csv", table(header="\x1b[31ma,b,y"), [], "right", "accuracy"),
    "damaged gzip": ("d.csv.gz", gzip.compress(table().encode())[:-20], [], "error", ""),
    "no gzip": ("d.csv.gz", table(), [], "error", ""),
    "truncated Parquet": ("d.parquet", parquet(columns())[:-30], [], "error", "d.parquet"),
    "no Parquet": ("d.parquet", table(), [], "error", "d.parquet"),
    "a column of lists": ("d.parquet", parquet(columns(b=[[i] for i in range(ROWS)])), [], "right", "accuracy"),
    "lists as the target": ("d.parquet", parquet({**columns(), "y": [[i] for i in range(ROWS)]}), [], "error", "y"),
    "Parquet without rows": ("d.parquet", parquet({"a": pyarrow.array([], "f8"), "y": [""][:0]}), [], "error", "row"),
    "Parquet without columns": ("d.parquet", parquet({}), [], "error", ""),
    "a --test column of words": ("d.csv", table(), ["--test", "b"], "error", "0 and 1"),
    "nothing to learn from": ("d.csv", table(line=lambda i, v: f"{v:.3f},1,yes"), ["--test", "b"], "error", ""),
}


def run(*words, capsys):
    status = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def check(status, out, err, expected, text):
    """The outcome is one that is allowed."""
    assert "Traceback" not in err
    if expected != "error" and status == 0:
        assert text in out + err
        return
    assert expected != "right", err
    last = err.rstrip("\n").splitlines()[-1]
    assert (status, out) == (1, "")
    assert last.startswith("fastreg ")
    assert text in last
    assert len(last) < 1200


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path, capsys, name):
    file, content, options, expected, text = TABLES[name]
    path = tmp_path / file
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    words = ["--target", "y", "--trials", "1", "--cv", "2", "--jobs", "1", "--quiet", *options]
    check(*run("tune", path, *words, capsys=capsys), expected, text)


def test_there_are_enough():
    assert len(TABLES) + len(DAMAGES) >= 60


def test_a_folder_a_pipe_and_no_permission(tmp_path, capsys):
    words = ["--target", "y", "--trials", "1", "--quiet"]
    check(*run("tune", tmp_path, *words, capsys=capsys), "error", "irectory")
    check(*run("tune", tmp_path / "none.csv", *words, capsys=capsys), "error", "none.csv")
    check(*run("tune", "d\0.csv", *words, capsys=capsys), "error", "")
    if os.geteuid() != 0:
        closed = tmp_path / "closed.csv"
        closed.write_text(table())
        closed.chmod(0)
        check(*run("tune", closed, *words, capsys=capsys), "error", "ermission denied")


def test_a_hundred_thousand_classes(tmp_path, capsys):
    path = tmp_path / "d.csv"
    path.write_text(table(100_000, line=lambda i, v: f"{v:.3f},u,class {i}"))
    words = ["--target", "y", "--trials", "1", "--cv", "2", "--jobs", "1", "--time", "5", "--quiet"]
    check(*run("tune", path, *words, capsys=capsys), "error", "y")


# Model files.


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "d.csv").write_text(table(60))
    TableClassifier(seed=0).fit(folder / "d.csv", "y").save(folder / "m")
    return folder


def parts_of(content):
    """The header of a safetensors file, the description in it, and the rest."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["fastreg"]), content[8 + size :]


def with_description(content, change):
    """The file with another description."""
    header, description, rest = parts_of(content)
    changed = change(description)
    header["__metadata__"]["fastreg"] = changed if isinstance(changed, str) else json.dumps(changed)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + rest


def replaced(*path, by):
    """A change of one member of the description."""

    def change(description):
        at = description
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = by
        return description

    return lambda content: with_description(content, change)


# The damages of a model file by name; each is a function of its bytes.
DAMAGES = {
    "empty": lambda content: b"",
    "truncated at the start": lambda content: content[:6],
    "truncated in the description": lambda content: content[:200],
    "truncated in the weights": lambda content: content[:-10],
    "of another program": lambda content: b"PK\x03\x04" + content,
    "a pickle": lambda content: b"\x80\x04\x95" + content,
    "text": lambda content: b"a,b,y\n1,2,3\n",
    "a network alone": lambda content: with_description(content, lambda d: {k: d[k] for k in d if k != "table"}),
    "a description that is a list": lambda content: with_description(content, lambda d: "[]"),
    "deeply nested": lambda content: with_description(content, lambda d: "[" * 100_000 + "]" * 100_000),
    **{
        f"{'.'.join(map(str, path))} is {str(by)[:20]!r}": replaced("table", *path, by=by)
        for path in (
            ("schema",),
            ("encoder",),
            ("target",),
            ("target", "name"),
            ("target", "labels"),
            ("target", "scale"),
            ("encoder", "n_bins"),
            ("encoder", "parts"),
            ("encoder", "parts", 0, "edges"),
            ("encoder", "parts", 0, "centre"),
            ("encoder", "parts", 1, "levels"),
        )
        for by in (None, 0.5, [], {}, "text", [10**400], True)
    },
    "the table is a list": replaced("table", by=[]),
    "an edge of 10**400": replaced("table", "encoder", "parts", 0, "edges", by=[0.0, 10**400]),
    "a level of 10**400": replaced("table", "encoder", "parts", 1, "levels", by=[10**400]),
    "falling edges": replaced("table", "encoder", "parts", 0, "edges", by=[1.0, 0.0]),
    "a scale of 10**400": replaced("table", "target", "scale", by=10**400),
    "a scale of NaN": replaced("table", "target", "scale", by=float("nan")),
    "one label twice": replaced("table", "target", "labels", by=["a", "a"]),
    "labels that are numbers": replaced("table", "target", "labels", by=[1, 2]),
    "too many labels": replaced("table", "target", "labels", by=["a", "b", "c"]),
}
# Changes that leave a right file: a number without labels; whole numbers as text are text.
HARMLESS = (
    *("target.scale is '0.5'", "target.labels is 'None'", "target.name is 'text'"),
    "encoder.parts.0.centre is '0.5'",
)


@pytest.mark.parametrize("name", DAMAGES)
def test_model_files(trained, tmp_path, capsys, name):
    path = tmp_path / "m"
    path.write_bytes(DAMAGES[name]((trained / "m").read_bytes()))
    expected = "either" if name in HARMLESS else "error"
    status, out, err = run("predict", path, trained / "d.csv", capsys=capsys)
    check(status, out, err, expected, "" if expected == "either" else str(path))
    if expected == "error":
        with pytest.raises(ValueError, match=r"\w"):
            TableModel.load(path)


def test_the_undamaged_file_is_right(trained, capsys):
    content = (trained / "m").read_bytes()
    same = trained / "same"
    same.write_bytes(with_description(content, lambda description: description))
    outs = [run("predict", trained / name, trained / "d.csv", capsys=capsys) for name in ("m", "same")]
    assert outs[0] == outs[1]
    assert outs[0][0] == 0
    assert len(list(csv.reader(io.StringIO(outs[0][1])))) == 61


def test_predict_of_hostile_tables(trained, tmp_path, capsys):
    for content, text in (("", ""), ("a,b\n", "row"), ("a\n1\n", "'b'"), (b"\0" * 100, ""), ('a,b\n1,"u\n', "")):
        path = tmp_path / "d.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        check(*run("predict", trained / "m", path, capsys=capsys), "error", text)
    check(*run("predict", trained / "m", tmp_path, capsys=capsys), "error", "irectory")
    check(*run("predict", tmp_path / "none", path, capsys=capsys), "error", "none")
    check(*run("predict", tmp_path, path, capsys=capsys), "error", "")
