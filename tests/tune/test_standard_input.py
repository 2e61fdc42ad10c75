"""`-` in place of a table is standard input, for each command: from a pipe of the shell, as users give it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def run(*words, given=b"", folder):
    """A command in a process of its own, whose temporary files are in ``folder``."""
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    command = [sys.executable, "-m", "fastreg", *map(str, words)]
    return subprocess.run(command, input=given, capture_output=True, env=environment, check=False)


def lines(seed=0, *, target=True):
    rng = np.random.default_rng(seed)
    a, group = rng.normal(size=120), rng.choice(["north", "süd"], 120)
    y = np.where(a + (group == "süd") > 0.5, "yes", "no")
    rows = [("a", "group", "y"), *zip(map("{:.6f}".format, a), group, y, strict=True)]
    return "".join(",".join(row[: 2 + target]) + "\n" for row in rows).encode()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "temporary").mkdir()
    yield tmp_path / "temporary"
    assert not list((tmp_path / "temporary").iterdir())  # the copy is removed, after errors too


def test_tune_and_predict_read_what_a_pipe_gives(tmp_path, folder):
    quick = ("--target", "y", "--trials", "1", "--members", "1", "--cv", "2", "--time", "none", "--jobs", "1")
    data, later = tmp_path / "d.csv", tmp_path / "later.csv"
    data.write_bytes(lines())
    later.write_bytes(lines(1, target=False))
    piped, filed = tmp_path / "piped", tmp_path / "filed"
    report = tmp_path / "report.html"
    found = run("tune", "-", *quick, "--out", piped, "--report", report, given=lines(), folder=folder)
    assert found.returncode == 0, found.stderr.decode()
    assert "standard input" in report.read_text(encoding="utf-8")
    assert str(folder) not in found.stdout.decode() + found.stderr.decode() + report.read_text(encoding="utf-8")
    assert run("tune", data, *quick, "--out", filed, folder=folder).returncode == 0
    expected = run("predict", filed, later, folder=folder)
    assert (expected.returncode, len(expected.stdout.splitlines())) == (0, 121)
    predicted = run("predict", piped, "-", given=later.read_bytes(), folder=folder)
    assert (predicted.returncode, predicted.stderr) == (0, b"")
    assert predicted.stdout == expected.stdout
    with_semicolons = later.read_bytes().replace(b",", b";").decode().encode("utf-16")
    assert run("predict", piped, "-", given=with_semicolons, folder=folder).stdout == expected.stdout
    for given, told in (
        (b"", "fastreg predict: standard input: not a table: the file is empty"),
        (b"a,b\n1,2\n", "fastreg predict: "),
        (b"PAR1\x15\x04", "fastreg predict: standard input: not text but a Parquet file"),
    ):
        refused = run("predict", piped, "-", given=given, folder=folder)
        assert (refused.returncode, refused.stdout, refused.stderr.count(b"\n")) == (1, b"", 1)
        assert refused.stderr.decode().startswith(told)
        assert str(folder) not in refused.stderr.decode()


def test_distill_reads_what_a_pipe_gives(tmp_path, folder):
    Path(tmp_path / "given_teacher.py").write_text("def score(rows):\n    return [float(row) for row in rows['a']]\n")
    table = b"a\n" + b"\n".join(b"%.3f" % value for value in np.random.default_rng(0).normal(size=80)) + b"\n"
    (tmp_path / "d.csv").write_bytes(table)
    told = []
    for data in ("-", tmp_path / "d.csv"):
        made = tmp_path / f"student{len(told)}"
        words = ("--teacher", "given_teacher:score", "--rows", "0", "--time", "5", "--preset", "fast", "--jobs", "1")
        command = [sys.executable, "-m", "fastreg", "distill", str(data), *words, "--out", str(made), "--quiet"]
        paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": paths}
        done = subprocess.run(command, input=table, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr.decode()
        told.append(made.is_file())
    assert told == [True, True]


def test_help_says_it(folder):
    for command in ("tune", "predict", "distill"):
        text = " ".join(run(command, "--help", folder=folder).stdout.decode().split())
        assert "or - for CSV on standard input" in text


def test_a_process_without_standard_input(tmp_path, folder):
    code = "import sys\nfrom fastreg import cli\nsys.stdin = None\nsys.exit(cli.main(['predict', 'm', '-']))"
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr == "fastreg predict: - stands for standard input, which this process does not have\n"


def test_a_file_of_that_name(tmp_path, folder):
    """``./-`` is the file."""
    (tmp_path / "-").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "fastreg", "tune", "./-", "--target", "y"],
        cwd=tmp_path, capture_output=True, text=True, input="a,y\n1,2\n", check=False,
    )  # fmt: skip
    assert (done.returncode, "./-: " in done.stderr) == (1, True)
