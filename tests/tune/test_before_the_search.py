"""What `fastreg tune` finds out before the search and not after it, and what it gives if the search ends early."""

import errno
import fcntl
import io
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from fastreg import cli
from fastreg.table.judging import Judging
from fastreg.table.model import TableModel
from fastreg.tune import command, page


@pytest.fixture
def data(tmp_path, rng):
    """A table whose target follows from one of its columns."""
    path = tmp_path / "data.csv"
    a, b = rng.normal(size=120), rng.normal(size=120)
    y = np.where(a + rng.normal(0, 0.3, 120) > 0, "yes", "no")
    path.write_text("a,b,y\n" + "".join(f"{u:.4f},{v:.4f},{w}\n" for u, v, w in zip(a, b, y, strict=True)))
    return path


@pytest.fixture
def no_search(monkeypatch):
    """A search that begins fails the test."""

    def fit(*_, **__):
        pytest.fail("the search has begun")

    monkeypatch.setattr(Judging, "run", fit)


def run(*words, capsys):
    status = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def quick(data, *words):
    return ["tune", data, "--target", "y", "--trials", "2", "--cv", "2", "--jobs", "1", "--quiet", *words]


def folder(path):
    return {name.name: name.lstat().st_mtime_ns for name in path.iterdir()}


def make(kind, tmp_path, data):
    """A path that cannot be written."""
    if kind == "the data":
        return data
    if kind == "a link to the data":
        (tmp_path / "link").symlink_to(data)
        return tmp_path / "link"
    if kind == "a link to a link":
        (tmp_path / "one").symlink_to(data)
        (tmp_path / "two").symlink_to(tmp_path / "one")
        return tmp_path / "two"
    if kind == "a hard link":
        os.link(data, tmp_path / "hard")
        return tmp_path / "hard"
    if kind == "another spelling":
        return tmp_path / "." / data.name
    if kind == "no folder":
        return tmp_path / "none" / "file"
    if kind == "a folder":
        return tmp_path
    if kind == "a device":
        return Path("/dev/null")
    if kind == "a file as a folder":
        return data / "file"
    if kind == "a long name":
        return tmp_path / ("x" * 300)
    return Path("/proc/file")  # a folder that takes no file, even from root


KINDS = {
    "the data": "is the file that is read",
    "a link to the data": "is the file that is read",
    "a link to a link": "is the file that is read",
    "a hard link": "is the file that is read",
    "another spelling": "is the file that is read",
    "no folder": "No such file or directory",
    "a folder": "Is a directory",
    "a device": "not a regular file",
    "a file as a folder": "Not a directory",
    "a long name": "File name too long",
    "a folder that takes none": "No such file or directory",
}


@pytest.mark.parametrize("option", ["--out", "--report", "--journal"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("no_search")
def test_files_that_cannot_be_written(tmp_path, capsys, data, option, kind):
    path, before = make(kind, tmp_path, data), data.read_bytes()
    found = folder(tmp_path)
    status, out, err = run(*quick(data, option, path), capsys=capsys)
    assert (status, out) == (1, "")
    assert err.startswith("fastreg tune: ")
    assert err.count("\n") == 1
    assert KINDS[kind] in err
    assert data.read_bytes() == before
    assert folder(tmp_path) == found, "the check leaves nothing behind"


@pytest.mark.usefixtures("no_search")
def test_further_mistakes_with_files(tmp_path, capsys, data):
    test = tmp_path / "test.csv"
    test.write_bytes(data.read_bytes())
    same, full = tmp_path / "same", tmp_path / "full.jsonl"
    full.write_text("not empty")
    for words, message in (
        (["--out", same, "--report", same], "--report: "),
        (["--out", same, "--journal", same], "--journal: "),
        (["--resume"], "--resume needs --journal"),
        (["--journal", full], "exists; --resume goes on from it"),
        (["--test", test, "--out", test], "is the file that is read"),
        (["--out", tmp_path / "m.pkl"], "path must end in .safetensors"),
        (["--test", tmp_path / "none.csv"], "neither a column"),
        (["--test", tmp_path], "--test" if sys.platform == "win32" else "directory"),
    ):
        status, out, err = run(*quick(data, *words), capsys=capsys)
        assert (status, out, err.count("\n")) == (1, "", 1), err
        assert message in err
    assert not same.exists()


@pytest.mark.usefixtures("no_search")
def test_a_test_file_that_does_not_fit(tmp_path, capsys, data):
    test = tmp_path / "test.csv"
    for text, message in (("a,y\n1,yes\n", "'b'"), ("a,b\n1,2\n", "'y'"), ("a,b,y\n1,2,\n", "'y'")):
        test.write_text(text)
        status, out, err = run(*quick(data, "--test", test), capsys=capsys)
        assert (status, out, err.count("\n")) == (1, "", 1), err
        assert message in err


@pytest.mark.usefixtures("no_search")
def test_packages_are_looked_for(capsys, data, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "matplotlib" else object())
    status, _, err = run(*quick(data, "--report", "report.html"), capsys=capsys)
    assert (status, "needs matplotlib" in err, err.count("\n")) == (1, True, 1)


def test_an_existing_file_is_replaced_only_in_the_end(tmp_path, capsys, data, monkeypatch):
    model, seen = tmp_path / "m", []
    model.write_text("old")
    describe = command.describe
    monkeypatch.setattr(command, "describe", lambda result: seen.append(model.read_text()) or describe(result))
    assert run(*quick(data, "--out", model), capsys=capsys)[0] == 0
    assert seen == ["old"]
    assert TableModel.load(model).target.labels == ("no", "yes")


def test_results_are_printed_before_anything_is_written(tmp_path, capsys, data, monkeypatch):
    """A full disk: both files are tried, the results are there, and one line says what failed."""
    model, report = tmp_path / "m", tmp_path / "r.html"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TableModel, "save", full)
    status, out, err = run(*quick(data, "--out", model, "--report", report), capsys=capsys)
    assert status == 1
    assert "accuracy" in out
    assert err.splitlines()[-1] == "fastreg tune: [Errno 28] No space left on device"
    assert "</html>" in report.read_text()
    monkeypatch.setattr(page, "write", full)
    status, out, err = run(*quick(data, "--out", model, "--report", report), capsys=capsys)
    assert (status, "accuracy" in out) == (1, True)
    assert err.splitlines()[-1].count("No space left on device") == 2


def test_a_stream_that_cannot_hold_the_text(tmp_path, capsys, data, monkeypatch):
    """An ASCII terminal, one whose reader has gone away, and a file on a disk that is full."""
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    text = data.read_text().replace(",yes", ",oui é")
    data.write_text(text, encoding="utf-8")
    assert cli.main([str(word) for word in quick(data)]) == 0
    assert b"oui \\xe9" in narrow.buffer.getvalue()

    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    assert cli.main([str(word) for word in quick(data, "--out", tmp_path / "m")]) == 0
    assert (tmp_path / "m").exists()

    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert cli.main([str(word) for word in quick(data, "--out", tmp_path / "n")]) == 1
    assert capsys.readouterr().err.endswith("\nfastreg tune: [Errno 28] No space left on device\n")
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()


def test_a_time_too_short_for_a_trial_gives_the_linear_model(tmp_path, capsys, data):
    model, report = tmp_path / "m", tmp_path / "r.html"
    words = quick(data, "--time", "0.01", "--out", model, "--report", report)
    status, out, err = run(*words, capsys=capsys)
    assert status == 0, err
    assert "model: linear" in out
    assert "The time ended before a network was found" in out
    assert "Traceback" not in err
    assert "The search" not in report.read_text().replace("The search was", "")
    loaded = TableModel.load(model)
    assert len(loaded.model.layers) == 1
    status, predicted, _ = run("predict", model, data, capsys=capsys)
    assert (status, len(predicted.splitlines())) == (0, 121)


def interrupt(monkeypatch, after):
    """Ctrl-C once so many folds of the search are finished."""
    usual, count = Judging._accept, [0]

    def accept(self, *arguments, **others):
        usual(self, *arguments, **others)
        count[0] += 1
        if count[0] == after:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Judging, "_accept", accept)


@pytest.mark.parametrize("after", [3, 4])
def test_control_c_gives_what_there_is(tmp_path, capsys, data, monkeypatch, after):
    """The linear model has two folds, then comes the first network: its first fold is no trial yet."""
    interrupt(monkeypatch, after)
    words = quick(data, "--out", tmp_path / "m", "--report", tmp_path / "r.html")
    status, out, err = run(*words, capsys=capsys)
    assert status == 0, err
    assert "interrupted" in out
    assert ("model: linear, since no network was found" in out) == (after == 3)
    assert "</html>" in (tmp_path / "r.html").read_text()
    assert TableModel.load(tmp_path / "m").target.name == "y"


def test_a_journal_that_does_not_fit(tmp_path, capsys, data):
    journal = tmp_path / "j.jsonl"
    journal.write_text("a table\n")
    words = [*quick(data), "--trials", "1", "--journal", journal, "--resume"]
    assert "is not a journal of a search" in run(*words, capsys=capsys)[2]
    journal.unlink()
    assert run(*words, capsys=capsys)[0] == 0
    status, out, err = run(*words, "--seed", "1", capsys=capsys)
    assert (status, out) == (1, "")
    assert "was written by another search" in err.splitlines()[-1]
    with journal.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        status, out, err = run(*words, capsys=capsys)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == f"fastreg tune: journal: {journal} is being written by another search"


def test_warnings_are_plain_lines(capsys, monkeypatch):
    def demo(_):
        warnings.warn("something\nodd", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(cli, "_demo", demo)
    usual = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["demo"]) == 0
    assert capsys.readouterr().err == "fastreg: warning: something odd\n"
    assert warnings.showwarning is usual
