"""`fastreg distill` as a command: what it prints and writes, how it finds teachers, and what it refuses."""

import pickle
import sys

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")

import pandas as pd
from fastreg import cli
from fastreg.table import Candidate, Recipe
from fastreg.table.model import TableModel
from fastreg.tune import DistillOptions, distill
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

MODULE = """
import numpy as np


def price(rows):
    return np.abs(rows["a"].fillna(0.0)) + (rows["town"] == "north")


class Models:
    cheap = staticmethod(price)


def broken(rows):
    raise RuntimeError("no luck")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a table, a module, and a pipeline in files of pickle and joblib."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=300).round(4), "town": rng.choice(["north", "south"], 300)})
    level = np.abs(table["a"]) + (table["town"] == "north") + rng.normal(0, 0.2, 300)
    table.loc[::19, "a"] = np.nan
    table["y"], table["part"] = np.where(level > 1.0, "yes", "no"), np.arange(300) % 4 == 0
    table["part"] = table["part"].astype(int)
    encoder = make_column_transformer((OneHotEncoder(), ["town"]), (SimpleImputer(), ["a"]))
    model = make_pipeline(encoder, GradientBoostingClassifier(n_estimators=20, random_state=0))
    model.fit(table[["a", "town"]], table["y"])
    table.to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model))
    (tmp_path / "distilled_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(tmp_path)])
    monkeypatch.delitem(sys.modules, "distilled_models", raising=False)
    return tmp_path


def run(*words, capsys):
    status = cli.main(["distill", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


QUICK = ("--rows", "500", "--time", "none", "--jobs", "1", "--quiet")
TINY = Recipe(small=(Candidate(bins=4, width=8, steps=60, rate=0.02),), trials=1, folds=2)


@pytest.fixture
def tiny(monkeypatch):
    """Presets try one small network."""
    monkeypatch.setattr(Recipe, "preset", classmethod(lambda cls, name: TINY))
    monkeypatch.setattr("fastreg.table.distilling.STUDENTS", TINY.small)


def test_from_a_pickled_pipeline_to_predictions(folder, tiny, capsys):
    status, out, err = run(
        "d.csv", "--teacher", "m.pkl", "--allow-pickle", "--target", "y", "--test", "part", "--out", "s.safetensors",
        *QUICK, capsys=capsys)
    assert status == 0, err
    assert "teacher: Pipeline of m.pkl" in out
    assert "target: y (binary)" in out
    assert "rows: 225 of the table and 500 made of them to learn from, 75 held back" in out
    for word in ("student beside the teacher: same class", "gap closed: ", "one row: ", "log-loss", "accuracy"):
        assert word in out
    model = TableModel.load("s.safetensors")
    assert [column.name for column in model.schema.columns] == ["a", "town"]
    assert cli.main(["predict", "s.safetensors", "d.csv"]) == 0
    assert capsys.readouterr().out.startswith("y,probability_no,probability_yes\n")


@pytest.mark.parametrize("name", ["distilled_models:price", "distilled_models:Models.cheap"])
def test_a_function_of_a_module_in_the_working_directory(folder, name):
    options = DistillOptions("d.csv", name, preset=TINY, rows=100, time=None, jobs=1, verbose=0)
    with (folder / "out.txt").open("w") as out:
        result = distill(options, out)
    text = (folder / "out.txt").read_text()
    assert "teacher: function of distilled_models:" in text
    assert "on the 60 rows held back" not in text  # without a target there are no scores
    assert result.agreement["RMSE"] > 0


def test_a_file_of_joblib(folder, tiny, capsys):
    joblib = pytest.importorskip("joblib")
    joblib.dump(pickle.loads((folder / "m.pkl").read_bytes()), "m.joblib")
    words = "d.csv", "--teacher", "m.joblib", "--ignore", "y,part", *QUICK
    status, _, err = run(*words, capsys=capsys)
    assert (status, "--allow-pickle" in err) == (1, True)
    status, out, err = run(*words, "--allow-pickle", capsys=capsys)
    assert status == 0, err
    assert "teacher: Pipeline of m.joblib" in out


HOSTILE = {
    "a pickle that nobody allowed": (["--teacher", "m.pkl"], "runs code that the file contains; --allow-pickle"),
    "no pickle": (["--teacher", "d.pkl", "--allow-pickle"], "'d.pkl' cannot be loaded"),
    "no such file": (["--teacher", "no.pkl", "--allow-pickle"], "No such file"),
    "no name": (["--teacher", "model"], "must be module:object, or a file .pkl, .pickle, .joblib, got 'model'"),
    "no such module": (["--teacher", "no_such_module:f"], "cannot be loaded: ModuleNotFoundError"),
    "no such object": (["--teacher", "distilled_models:no"], "cannot be loaded: AttributeError"),
    "no model": (["--teacher", "distilled_models:np"], "it must have predict_proba or predict, or be a function"),
    "an exception": (["--teacher", "distilled_models:broken"], "broken failed for 240 rows: RuntimeError: no luck"),
    "the table as the model": (["--teacher", "distilled_models:price", "--out", "d.csv"], "is the file that is read"),
    "the teacher as the model": (
        ["--teacher", "m.pkl", "--allow-pickle", "--out", "m.pkl"], "'m.pkl' is the file that is read"),
    "no such folder": (["--teacher", "distilled_models:price", "--out", "no/s.safetensors"], "no/s.safetensors"),
    "no such target": (["--teacher", "distilled_models:price", "--target", "z"], "'z'"),
    "no such test": (["--teacher", "distilled_models:price", "--test", "z.csv"], "neither a column"),
    "no such column": (["--teacher", "distilled_models:price", "--ignore", "z"], "ignore: the table has no column 'z'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_errors_are_one_line_before_networks_are_trained(folder, name, monkeypatch, capsys):
    words, told = HOSTILE[name]
    (folder / "d.pkl").write_text("no pickle")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    monkeypatch.setattr("fastreg.table.distilling.cook", lambda *_: pytest.fail("a network is trained"))
    status, out, err = run("d.csv", *words, "--quiet", capsys=capsys)
    assert (status, out) == (1, "")
    assert told in err
    assert err.count("\n") == 1, err
    assert err.startswith("fastreg distill: ")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_usage_is_checked(capsys):
    named = ["d.csv", "--teacher", "a:b"]
    for words in (["d.csv"], [*named, "--rows", "-1"], [*named, "--time", "0"]):
        with pytest.raises(SystemExit) as left:
            cli.main(["distill", *words])
        assert left.value.code == 2
    capsys.readouterr()
