"""The journal of a recipe: a killed search goes on as if it had not been killed, and what does not fit is refused."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from fastreg import search
from fastreg.search import records
from fastreg.search.journal import Journal
from fastreg.table import Candidate, Recipe, TableRegressor, blending, judging
from fastreg.table.candidates import LINEAR
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.training import Forecast
from helpers.recipes import TINY, rows_of

RECIPE = Recipe(small=TINY, large=TINY, trials=5, folds=3)


def cooked(task, path=None, resume=False, recipe=RECIPE, seconds=None, seed=3, metric=None, jobs=2, **more):
    table, schema, rows = rows_of(task, **more)
    chosen = ChosenMetric(rows.target, metric)
    found = blending.cook(rows, recipe, chosen, seed, jobs, seconds, journal=path, resume=resume)
    return found, found.of_table(schema, rows.target).outputs(table)


def same(one, other):
    (found, outputs), (again, repeated) = one, other
    told = [[repr((t.number, t.params, t.score, t.scores, t.state)) for t in f.trials_] for f in (found, again)]
    assert told[0] == told[1]
    assert (found.members_, found.temperature, found.score_) == (again.members_, again.temperature, again.score_)
    np.testing.assert_array_equal(outputs, repeated)


def trainings(monkeypatch):
    """The candidates that folds train from now on."""
    seen, train = [], judging.train

    def counted(rows, encoded, candidate, *arguments, **more):
        seen.append(candidate)
        return train(rows, encoded, candidate, *arguments, **more)

    monkeypatch.setattr(judging, "train", counted)
    return seen


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_it_goes_on_from_any_line(task, tmp_path, monkeypatch):
    """After the header, within a candidate, within the neighbours, and at the end; the next line is torn."""
    path = tmp_path / "all.jsonl"
    whole = cooked(task, path)
    same(whole, cooked(task))
    lines = path.read_bytes().splitlines(keepends=True)
    total = 3 * 6
    assert len(lines) == 1 + total
    for kept in (0, 1, 3, 1 + 14, 1 + total):
        part = tmp_path / f"{kept}.jsonl"
        torn = lines[kept][: len(lines[kept]) // 2] if kept < len(lines) else b""
        part.write_bytes(b"".join(lines[:kept]) + torn)
        with monkeypatch.context() as patched:
            trained = trainings(patched)
            same(whole, cooked(task, part, resume=True, jobs=1))
        assert len(trained) == total - max(kept - 1, 0)
        assert sorted(map(folds_of, part.read_bytes().splitlines()[1:])) == [(i, k) for i in range(6) for k in range(3)]


def folds_of(line):
    record = records.parse(line.strip())
    return record["trial"], record["fold"]


PROGRAM = """
import sys
from pathlib import Path
from fastreg.table import Recipe, Candidate
from fastreg.tune import TuneOptions, tune
steps, out = int(sys.argv[1]), Path(sys.argv[2])
tiny = [Candidate(bins=4, width=32 + i, rate=0.01, steps=steps) for i in range(4)]
journal = Path(sys.argv[3]) if len(sys.argv) > 3 else None
recipe = Recipe(small=tiny, trials=4, folds=3)
tune(TuneOptions("t.csv", "y", preset=recipe, time=None, out=out, verbose=0, journal=journal, resume=True, jobs=2))
""".replace("resume=True", "resume=journal is not None")


def test_killed_at_any_moment_tune_writes_the_same_file(tmp_path):
    table, _, _ = rows_of("binary")
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-c", PROGRAM, "700"]
    quiet = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*command, "whole.safetensors"], **quiet, check=True, timeout=300)
    journal, kills = tmp_path / "j.jsonl", 0
    for wanted in (3, 9):
        process = subprocess.Popen([*command, "killed.safetensors", journal], **quiet)
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        kills += process.wait(300) == -signal.SIGKILL
    assert kills, "every run ended before it was killed"
    subprocess.run([*command, "killed.safetensors", journal], **quiet, check=True, timeout=300)
    assert (tmp_path / "killed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_limits_may_be_raised(tmp_path):
    """Candidates of the list and neighbours follow as if the limits had been so from the beginning."""
    whole = cooked("binary")
    for trials in (1, 4):
        path = tmp_path / f"{trials}.jsonl"
        cooked("binary", path, recipe=Recipe(small=TINY, trials=trials, folds=3, members=1))
        same(whole, cooked("binary", path, resume=True))


@pytest.mark.parametrize("seconds", [None, 3600.0])
def test_a_candidate_that_was_cut_is_taken_as_it_is(seconds, tmp_path, monkeypatch):
    path = tmp_path / "j.jsonl"
    with monkeypatch.context() as patched:
        patched.setattr(Forecast, "seconds", lambda self, candidate: 1e3 * candidate.steps)
        cut, _ = cooked("binary", path, seconds=3600.0, jobs=1)
    assert [trial.params["steps"] for trial in cut.trials_] == [LINEAR.steps, 50]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    trained = trainings(monkeypatch)
    monkeypatch.setattr(Forecast, "seconds", lambda self, candidate: 1e-6)
    again, _ = cooked("binary", path, resume=True, seconds=seconds, jobs=1)
    assert [candidate.steps for candidate in trained[:4]] == [50, 200, 200, 200]
    assert len(trained) == 1 + 3 * 4
    assert [trial.number for trial in again.trials_] == list(range(6))
    assert again.trials_[1].score == cut.trials_[1].score


def test_divergence_and_metrics_without_a_value_are_recorded(tmp_path):
    wild = Candidate(bins=0, width=8, activation="relu", rate=1e30, dropout=0.0, steps=60)
    recipe = Recipe(small=(wild, *TINY), trials=3, folds=3)
    path = tmp_path / "j.jsonl"
    whole = cooked("regression", path, recipe=recipe)
    assert whole[0].trials_[1].state == "diverged"
    same(whole, cooked("regression", path, resume=True, recipe=recipe))
    path = tmp_path / "auc.jsonl"
    whole = cooked("binary", path, metric="auc")
    same(whole, cooked("binary", path, resume=True, metric="auc"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 4}, "seed"),
        ({"metric": "auc"}, "metric"),
        ({"n": 119}, "data"),
        ({"weights": np.arange(120.0)}, "data"),
        ({"recipe": Recipe(small=TINY[:2], trials=2, folds=3)}, "candidates"),
        ({"recipe": Recipe(small=TINY, trials=5, folds=4)}, "folds"),
        ({"task": "multiclass"}, "target"),
    ],
    ids=str,
)
def test_another_search_is_refused(change, named, tmp_path):
    path = tmp_path / "j.jsonl"
    cooked("binary", path, recipe=Recipe(small=TINY, trials=1, folds=3))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"j\.jsonl, line 1, was written by another search; what differs: .*{named}"):
        cooked(**({"task": "binary", "path": path, "resume": True} | change))
    assert path.read_bytes() == before


def resealed(line, **changes):
    record = json.loads(line) | changes
    del record["crc32"]
    return (records.seal(json.dumps(record, separators=(",", ":"))) + "\n").encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": None}, r"trial 0: outputs must be 40 x 1 numbers, got 0 bytes"),
        ({"outputs": "AAAA"}, r"trial 0: outputs must be 40 x 1 numbers, got 3 bytes"),
        ({"outputs": "A"}, r"damaged in line 2: outputs must be null or base64, got 'A'"),
        ({"outputs": 3}, r"damaged in line 2: outputs must be null or base64, got 3"),
        ({"fold": 3}, r"damaged in line 2: fold must be < 3, got 3"),
        ({"params": {}}, r"has \{\} for trial 0, this search proposes"),
    ],
    ids=str,
)
def test_damage_is_an_error(changes, message, tmp_path):
    path = tmp_path / "j.jsonl"
    cooked("binary", path, recipe=Recipe(small=TINY, trials=1, folds=3), jobs=1)
    lines = path.read_bytes().splitlines(keepends=True)
    assert folds_of(lines[1]) == (0, 0)
    path.write_bytes(lines[0] + resealed(lines[1], **changes))
    with pytest.raises(ValueError, match=message):
        cooked("binary", path, resume=True)


def test_searches_of_another_kind_are_refused_both_ways(tmp_path):
    path = tmp_path / "j.jsonl"
    cooked("binary", path, recipe=Recipe(small=TINY, trials=1, folds=3))
    header = json.loads(path.read_bytes().splitlines()[0])
    given = {"seed": 3, "space": {"alternatives": [{"a": 1}], "constraint": None}, "strategy": {}}
    with pytest.raises(ValueError, match="another search"):
        Journal(path, given, resume=True, widens=lambda space: True)
    path.unlink()
    Journal(path, given, resume=False, widens=lambda space: True).close()
    with pytest.raises(ValueError, match="the journal has none"):
        cooked("binary", path, resume=True)
    assert header["space"] == {"alternatives": [{}], "constraint": None}
    assert search.journal.recorded_seed(path) == 3


def test_what_is_refused_at_once(tmp_path):
    path = tmp_path / "j.jsonl"
    with pytest.raises(ValueError, match="resume=True needs the journal to go on from"):
        cooked("binary", None, resume=True)
    path.write_text("a,b\n")
    with pytest.raises(ValueError, match="exists; pass resume=True"):
        cooked("binary", path)
    with pytest.raises(ValueError, match="is not a journal of a search"):
        cooked("binary", path, resume=True)
    path.unlink()
    cooked("binary", path, recipe=Recipe(small=TINY, trials=1, folds=3))
    header = json.loads(path.read_bytes().splitlines()[0])
    given = {key: value for key, value in header.items() if key not in ("fastreg_search", "first_number", "crc32")}
    with (
        Journal(path, given, resume=True, widens=lambda space: False),
        pytest.raises(RuntimeError, match="is being written by another search"),
    ):
        cooked("binary", path, resume=True)


def test_estimators_take_a_journal(tmp_path):
    path = tmp_path / "j.jsonl"
    table, _, _ = rows_of("regression")
    one = TableRegressor(preset=RECIPE, time=None, seed=3, journal=path).fit(table, "y")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:9]))
    two = TableRegressor(preset=RECIPE, time=None, seed=3, journal=path, resume=True).fit(table, "y")
    np.testing.assert_array_equal(one.predict(table), two.predict(table))
    assert len(path.read_bytes().splitlines()) == len(lines)
    with pytest.raises(ValueError, match="exists; pass resume=True"):
        TableRegressor(preset=RECIPE, time=None, seed=3, journal=path).fit(table, "y")
    with pytest.raises(ValueError, match="TableRegressor: journal needs trials or preset"):
        TableRegressor(journal=path).fit(table, "y")
