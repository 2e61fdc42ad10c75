"""`fastreg tune` and `fastreg predict` as commands: what they print, write and refuse."""

import csv
import io
import math

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from fastreg import cli
from fastreg.table import Candidate, Recipe
from fastreg.table.model import TableModel
from fastreg.table.reading import read_table
from fastreg.tune import command


def write_csv(path, n=300, task="binary", seed=0):
    """A table whose target follows from a number and a group; some cells are missing."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.choice(["north", "south", "west"], n)
    level = 2 * a + np.select([b == "north", b == "south"], [1.5, -1.5], 0.0) + rng.normal(0, 0.3, n)
    if task == "binary":
        y = np.where(level > 0, "yes", "no")
    elif task == "multiclass":
        y = np.select([level < -1, level < 1], ["low", "mid"], "high")
    else:
        y = [f"{100 + 50 * v:.3f}" for v in level]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "noise", "y", "part"])
        for i in range(n):
            number = "" if i % 29 == 5 else f"{a[i]:.4f}"
            writer.writerow([number, "?" if i % 31 == 7 else b[i], f"{rng.normal():.3f}", y[i], int(i % 4 == 0)])
    return path


def run(*words, capsys):
    status = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def quick(*words):
    return [*words, "--trials", "2", "--cv", "2", "--time", "30", "--jobs", "1", "--quiet"]


def baseline(path, task):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    values = [row["y"] for row in rows if row["part"] == "1"]
    if task == "regression":
        return float(np.std([float(v) for v in values]))
    return max(values.count(v) for v in set(values)) / len(values)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_from_table_to_predictions(tmp_path, capsys, task):
    data = write_csv(tmp_path / "d.csv", task=task)
    model, report = tmp_path / "m.safetensors", tmp_path / "r.html"
    words = quick("tune", data, "--target", "y", "--test", "part", "--out", model, "--report", report)
    status, out, err = run(*words, capsys=capsys)
    assert status == 0, err
    assert "test:" in out
    assert f"y ({task})" in out

    loaded = TableModel.load(model)
    assert [c.name for c in loaded.schema.columns] == ["a", "b", "noise"]  # part is no feature
    table = read_table(data)
    score = loaded.score(table.rows(table["part"].numbers() == 1))
    plain = baseline(data, task)
    assert score < 0.5 * plain if task == "regression" else score > plain + 0.1
    assert f"{score:.4f}" in out

    status, out, err = run("predict", model, data, capsys=capsys)
    assert status == 0, err
    rows = list(csv.reader(io.StringIO(out)))
    assert len(rows) == 301
    if task == "regression":
        assert rows[0] == ["y"]
        assert all(math.isfinite(float(row[0])) for row in rows[1:])
    else:
        labels = list(loaded.target.labels)
        assert rows[0] == ["y", *(f"probability_{label}" for label in labels)]
        for row in rows[1:]:
            shares = [float(v) for v in row[1:]]
            assert sum(shares) == pytest.approx(1.0, abs=1e-5)
            assert row[0] == labels[int(np.argmax(shares))]

    page = report.read_text()
    assert page.count("data:image/png;base64,") >= 2
    assert "<script" not in page
    assert "http" not in page


def test_the_same_seed_gives_the_same_model(tmp_path, capsys):
    data = write_csv(tmp_path / "d.csv", n=120)
    outs = []
    for name in ("one", "two"):
        words = quick("tune", data, "--target", "y", "--seed", "3", "--out", tmp_path / name)
        assert run(*words, capsys=capsys)[0] == 0
        outs.append((tmp_path / name).read_bytes())
    assert outs[0] == outs[1]


def test_held_back_rows_come_from_a_file_or_the_seed(tmp_path, capsys):
    data, other = write_csv(tmp_path / "d.csv", n=120), write_csv(tmp_path / "t.csv", n=50, seed=1)
    status, out, err = run(*quick("tune", data, "--target", "y", "--test", other), capsys=capsys)
    assert status == 0, err
    assert "120 to learn from, 50 held back" in out
    status, out, err = run(*quick("tune", data, "--target", "y"), capsys=capsys)
    assert status == 0, err
    assert "96 to learn from, 24 held back" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "z"], "no column 'z'"),
        (["--target", "y", "--test", "nothing"], "neither a column"),
        (["--target", "y", "--test", "a"], "must hold 0 and 1 only"),
        (["--target", "b", "--task", "regression"], "must hold numbers for regression"),
    ],
)
def test_what_cannot_be_done(tmp_path, capsys, words, message):
    data = write_csv(tmp_path / "d.csv", n=60)
    status, out, err = run(*quick("tune", data, *words), capsys=capsys)
    assert (status, out) == (1, "")
    assert err.startswith("fastreg tune: ")
    assert message in err


def test_missing_files_and_foreign_models(tmp_path, capsys):
    status, _, err = run("tune", tmp_path / "none.csv", "--target", "y", capsys=capsys)
    assert (status, "none.csv" in err) == (1, True)
    foreign = tmp_path / "m.safetensors"
    foreign.write_bytes(b"no model")
    status, _, err = run("predict", foreign, write_csv(tmp_path / "d.csv", n=20), capsys=capsys)
    assert (status, "m.safetensors" in err) == (1, True)


def test_predict_names_the_column_that_is_missing(tmp_path, capsys):
    data, model = write_csv(tmp_path / "d.csv", n=60), tmp_path / "m"
    assert run(*quick("tune", data, "--target", "y", "--out", model), capsys=capsys)[0] == 0
    (tmp_path / "less.csv").write_text("a,noise\n1,2\n")
    status, out, err = run("predict", model, tmp_path / "less.csv", capsys=capsys)
    assert (status, out) == (1, "")
    assert "no column 'b'" in err


def test_a_linear_model_that_is_better_than_networks_is_called_so(tmp_path, capsys):
    """Two steps teach a network nothing, so that the linear model is chosen alone."""
    data = write_csv(tmp_path / "d.csv", n=120)
    recipe = Recipe(small=(Candidate(bins=0, width=4, rate=1e-6, steps=2),), trials=1, members=1)
    result = command.tune(command.TuneOptions(str(data), "y", time=None, jobs=1, verbose=0, preset=recipe))
    assert "model: linear, since no network was better" in capsys.readouterr().out
    assert [one.name for one in result.contenders[:2]] == ["chosen model", "linear model"]
