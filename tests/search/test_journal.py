"""The journal: whatever kills a search, folds that were reported are in it, and the resumed search is the same one."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fastreg import callbacks
from fastreg.search import (
    ASHA,
    BayesianSearch,
    Choice,
    GridSearch,
    Integer,
    LogUniform,
    MedianPruner,
    RandomSearch,
    SuccessiveHalving,
    Uniform,
)
from fastreg.search.journal import Journal
from fastreg.search.values import decode_float, encode, fingerprint
from programs import HELPERS
from searches import Scored, build, findings, histories, nothing, two_classes

SPACE = {"lr": LogUniform(1e-3, 1e-1), "units": Integer(2, 16)}
STOPPING = [callbacks.EarlyStopping("val_loss", patience=1)]
# Kills of each kind of search; the promise was tried with 20 (FASTREG_KILLS=20).
KILLS = int(os.environ.get("FASTREG_KILLS", "3"))


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def timeless(records):
    return [{k: v for k, v in record.items() if "seconds" not in k and k != "crc32"} for record in records]


def search(path=None, **options):
    given = {"n_trials": 6, "cv": 3, "seed": 0, "verbose": 0, "journal": path, "n_jobs": 1, **options}
    return RandomSearch(build, given.pop("space", SPACE), **given)


def run(path=None, **options):
    x, y = two_classes()
    given = {name: options.pop(name) for name in ("callbacks",) if name in options}
    return search(path, **options).fit(x, y, epochs=4, batch_size=16, **given)


def same(a, b):
    assert findings(a) == findings(b)
    assert histories(a) == histories(b)
    assert a.best_params_ == b.best_params_
    for u, v in zip(a.best_model_.get_weights(), b.best_model_.get_weights(), strict=True):
        assert np.array_equal(u, v)


def test_a_line_for_the_search_and_one_for_every_fold(tmp_path):
    path = tmp_path / "j.jsonl"
    found = run(path)
    head, *folds = lines(path)
    assert head["fastreg_search"] == 1
    assert head["seed"] == 0
    assert head["scoring"] == {"accuracy": "max"}
    assert head["folds"]["number"] == 3
    assert head["fit"] == {"epochs": 4, "batch_size": 16}
    assert [(f["trial"], f["fold"]) for f in folds] == [(t, f) for t in range(6) for f in range(3)]
    for fold in folds:
        trial = found.trials_[fold["trial"]]
        assert fold["params"] == trial.params
        assert fold["state"] == "ok"
        assert fold["scores"] == {"accuracy": trial.scores["accuracy"][fold["fold"]]}
        assert fold["history"] == trial.histories[fold["fold"]]
    same(found, run())


def test_a_finished_search_is_read_back_without_training(tmp_path):
    path = tmp_path / "j.jsonl"
    found = run(path)
    size = path.stat().st_size
    again = run(path, resume=True)
    same(found, again)
    assert path.stat().st_size == size


def test_a_missing_journal_is_a_fresh_start(tmp_path):
    same(run(tmp_path / "new.jsonl", resume=True), run())
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    same(run(empty), run())


def test_an_existing_journal_is_never_overwritten(tmp_path):
    path = tmp_path / "j.jsonl"
    run(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"j\.jsonl exists; pass resume=True"):
        run(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("options", [{}, {"pruner": MedianPruner(2, 1)}, {"pruner": SuccessiveHalving(1, factor=2)},
                                     {"pruner": SuccessiveHalving(1, factor=2), "callbacks": STOPPING},
                                     {"n_jobs": 3}], ids=["plain", "median", "halving", "stopping", "threads"])
def test_from_any_line_on_it_ends_the_same(tmp_path, options):
    whole = run(tmp_path / "whole.jsonl", **options)
    written = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    for kept in range(0, len(written), 3):
        path = tmp_path / f"{kept}.jsonl"
        path.write_bytes(b"".join(written[:kept]))
        same(whole, run(path, resume=True, **options))
        assert len(lines(path)) == len(written)


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
@pytest.mark.parametrize("at", [0, 1, 4])
def test_a_torn_last_line_is_cut_off(tmp_path, at, cut):
    path = tmp_path / "j.jsonl"
    whole = run(path)
    written = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(written[:at]) + written[at][:-cut])
    same(whole, run(path, resume=True))
    assert timeless(lines(path)) == timeless(map(json.loads, written))


def test_damage_is_told(tmp_path):
    path = tmp_path / "j.jsonl"
    run(path)
    written = path.read_bytes().splitlines(keepends=True)
    for i, damage in ((3, b'{"trial": 0}\n'), (5, b"\x00\x00\n"), (2, written[2][:-5] + b"\n")):
        path.write_bytes(b"".join([*written[:i], damage, *written[i + 1:]]))
        before = path.read_bytes()
        with pytest.raises(ValueError, match=f"damaged in line {i + 1}"):
            run(path, resume=True)
        assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"no newline", b'{"trial": 1, "fold": 0, "stop": 3}\n', b"{}\n"])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path, content):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a journal"):
        run(path, resume=True)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"seed": 1}, "seed"),
        ({"cv": 2}, "folds"),
        ({"scoring": "loss"}, "scoring"),
        ({"pruner": SuccessiveHalving(1)}, "schedule"),
        ({"preprocess": "standard"}, "preprocess"),
        ({"early_stopping_on": "fold"}, "early_stopping_on"),
        ({"space": {"lr": LogUniform(1e-3, 1e-2), "units": Integer(2, 16)}}, "space"),
        ({"space": {"lr": LogUniform(1e-3, 1e-1), "units": 4}}, "space"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_journal_of_another_search_names_what_differs(tmp_path, change, names):
    path = tmp_path / "j.jsonl"
    run(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"another search; what differs: .*{names}") as caught:
        run(path, resume=True, **change)
    others = {"seed", "folds", "scoring", "schedule", "preprocess", "space", "data", "fit"} - {names}
    if names not in ("seed", "folds"):  # the seed draws the folds
        assert not [name for name in others if f" {name} (" in str(caught.value)]
    assert path.read_bytes() == before


def test_other_data_or_arguments_of_fit_are_another_search(tmp_path):
    path = tmp_path / "j.jsonl"
    run(path)
    x, y = two_classes()
    moved = x.copy()
    moved[3, 2] += 1e-6
    for arguments, message in (
        ((moved, y, 4), r"data \(x: "),
        ((x, 1 - y, 4), r"data \(y: "),
        ((x, y, 5), r"fit \(epochs: 4 there, 5 here\)"),
    ):
        with pytest.raises(ValueError, match=message):
            search(path, resume=True).fit(arguments[0], arguments[1], epochs=arguments[2], batch_size=16)


@pytest.mark.parametrize("shown", [(0, 2), (2, 0), (None, 0), (2, None)])
def test_what_is_shown_is_no_other_search(tmp_path, shown):
    path, (x, y) = tmp_path / "j.jsonl", two_classes()
    given = [{} if verbose is None else {"verbose": verbose} for verbose in shown]
    before = search(path, n_trials=2).fit(x, y, epochs=2, **given[0])
    same(before, search(path, n_trials=2, resume=True).fit(x, y, epochs=2, **given[1]))
    assert len(lines(path)) == 7, "a header and six folds, none of them twice"


def test_more_trials_may_be_asked_for(tmp_path):
    path = tmp_path / "j.jsonl"
    run(path)
    same(run(path, resume=True, n_trials=9), run(n_trials=9))


def test_without_a_seed_the_journals_is_taken(tmp_path):
    path = tmp_path / "j.jsonl"
    first = run(path, seed=None)
    again = run(path, seed=None, resume=True, n_trials=8)
    assert again.seed_ == first.seed_
    same(again, run(seed=first.seed_, n_trials=8))


def test_a_widened_space_keeps_the_old_trials_as_evidence(tmp_path):
    path = tmp_path / "j.jsonl"
    narrow = run(path, n_trials=4)
    wide = {"lr": LogUniform(1e-4, 1.0), "units": Integer(2, 64)}
    once = run(path, resume=True, space=wide, n_trials=7)
    assert once.n_trials_ == 7
    assert [t.number for t in once.trials_] == list(range(7))
    assert [t.params for t in once.trials_[:4]] == [t.params for t in narrow.trials_]
    assert once.results_["split1_test_score"][:4].tolist() == narrow.results_["split1_test_score"].tolist()
    # Going on with the wide space is going on, not widening again.
    again = run(path, resume=True, space=wide, n_trials=9)
    assert findings(again)["params"][:7] == findings(once)["params"]
    assert len([line for line in lines(path) if "fastreg_search" in line]) == 2
    assert run(path, resume=True, space=wide, n_trials=3).n_trials_ >= 4, "what is there stays"
    wider = run(path, resume=True, space=wide | {"units": Integer(2, 128)}, n_trials=10)
    assert wider.n_trials_ == 10
    assert [t.params for t in wider.trials_[:9]] == [t.params for t in again.trials_]
    with pytest.raises(ValueError, match="space"):
        run(path, resume=True, space=SPACE)


def test_a_widened_grid_runs_the_new_points_only(tmp_path):
    x, y = nothing()

    class Counted(Scored):
        fits = 0

        def fit(self, x, y):
            Counted.fits += 1
            return super().fit(x, y)

    def grid(values):
        options = {"cv": 2, "seed": 0, "journal": tmp_path / "j.jsonl", "resume": True, "n_jobs": 1, "verbose": 0}
        return GridSearch(Counted(), {"a": values}, refit=False, **options).fit(x, y)

    assert grid([1, 2]).best_params_ == {"a": 2}
    assert Counted.fits == 4
    found = grid([1, 2, 3])
    assert Counted.fits == 6
    assert found.best_params_ == {"a": 3}
    assert [t.params["a"] for t in found.trials_] == [1, 2, 3]


def test_a_widened_bayesian_search_is_told_of_the_old_trials(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    from fastreg.search import Bayesian

    x, y = nothing()
    events = []

    def noted(name):
        method = getattr(Bayesian, name)

        def noting(self, number, *arguments):
            events.append((name, number, *arguments))
            return method(self, number, *arguments)

        monkeypatch.setattr(Bayesian, name, noting)

    noted("ask")
    noted("tell")

    def bayesian(space, **options):
        return BayesianSearch(Scored(), space, cv=2, seed=0, n_jobs=1, verbose=0, refit=False, n_startup_trials=4,
                              journal=tmp_path / "j.jsonl", **options).fit(x, y)

    narrow = bayesian({"a": Uniform(0.5, 1.0)}, n_trials=12)
    events.clear()
    wide = bayesian({"a": Uniform(0.0, 1.0)}, n_trials=24, resume=True)
    assert [t.number for t in wide.trials_] == list(range(24))
    assert events[:12] == [("tell", t.number, t.params, t.score, "ok", None) for t in narrow.trials_]
    assert events[12] == ("ask", 12)


def test_what_cannot_be_proposed_again_counts_as_evidence(tmp_path):
    """ASHA's order of completion decides what TPE is told: on resume the old trials stay, and new ones follow."""
    pytest.importorskip("optuna")
    x, y = two_classes()

    def find(n_trials):
        options = {"cv": 2, "seed": 0, "n_jobs": 3, "verbose": 0, "journal": tmp_path / "j.jsonl", "resume": True}
        search = BayesianSearch(build, SPACE, n_trials=n_trials, pruner=ASHA(1), n_startup_trials=3, **options)
        return search.fit(x, y, epochs=9)

    first, again, more = find(12), find(12), find(20)
    assert [t.params for t in first.trials_] == [t.params for t in again.trials_]
    assert again.best_score_ == first.best_score_
    assert [t.params for t in more.trials_[:12]] == [t.params for t in first.trials_]
    assert more.n_trials_ == 20
    assert more.best_trial_.budget == 9


def test_of_a_trial_that_was_going_on_the_last_whole_budget_counts(tmp_path):
    x, y = two_classes()
    path = tmp_path / "j.jsonl"
    options = {"n_trials": 6, "pruner": SuccessiveHalving(1), "cv": 2, "seed": 0, "verbose": 0, "n_jobs": 1}
    full = RandomSearch(build, SPACE, journal=path, **options).fit(x, y, epochs=9)
    written = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in written if not (b'"stop":9' in line and b'"fold":1' in line)]
    assert len(kept) < len(written)
    path.write_bytes(b"".join(kept))
    wide = {"lr": LogUniform(1e-4, 1.0), "units": Integer(2, 16)}
    found = RandomSearch(build, wide, journal=path, resume=True, **{**options, "n_trials": 7}).fit(x, y, epochs=9)
    trial = found.trials_[full.best_trial_.number]
    assert trial.params == full.best_params_
    assert (trial.budget, trial.state, trial.epochs) == (3, "pruned", [3, 3])


def test_objects_among_the_parameters(tmp_path):
    x, y = two_classes()

    def stopped(params):
        return build({"lr": 0.01, "units": 4}), {"callbacks": [params["stopping"]]}

    def find(patiences):
        stopping = Choice([callbacks.EarlyStopping("loss", patience=p) for p in patiences])
        options = {"cv": 2, "seed": 0, "journal": tmp_path / "j.jsonl", "resume": True, "verbose": 0}
        return GridSearch(stopped, {"stopping": stopping}, **options).fit(x, y, epochs=3)

    first, again = find([1, 2]), find([1, 2])
    assert again.results_["mean_test_score"].tolist() == first.results_["mean_test_score"].tolist()
    assert [t.params["stopping"].patience for t in find([1, 2, 3]).trials_] == [1, 2, 3]


def test_failures_are_not_run_again(tmp_path):
    x, y = nothing()
    path = tmp_path / "j.jsonl"
    options = {"cv": 2, "seed": 0, "journal": path, "resume": True, "verbose": 0}
    grid = [{"a": 0.1}, {"a": 0.2, "how": "raise"}, {"a": 0.3, "how": "nan"}]
    first = GridSearch(Scored(), grid, **options).fit(x, y)
    before = path.read_bytes()
    again = GridSearch(Scored(), grid, **options).fit(x, y)
    assert path.read_bytes() == before
    assert [t.error for t in again.trials_] == [t.error for t in first.trials_]
    assert "ArithmeticError" in again.failures_[0].error
    assert again.results_["state"].tolist() == ["ok", "failed", "unscored"]


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-320, 5e-324, 1.7976931348623157e308, -0.0, 1e16 + 2, math.pi])
def test_floats_round_trip(value):
    back = decode_float(json.loads(json.dumps(encode(value), allow_nan=False)))
    assert (back, math.copysign(1, back)) == (value, math.copysign(1, value))


def test_values_that_json_lacks():
    assert encode(float("nan")) is None
    assert math.isnan(decode_float(None))
    assert decode_float(encode(-math.inf)) == -math.inf
    assert encode({"a": (1, np.float32(0.5), np.int64(3), True)}) == {"a": [1, 0.5, 3, True]}
    assert type(encode(np.bool_(True))) is bool
    json.dumps(encode({"x": [object(), np.arange(3), float]}), allow_nan=False)
    assert encode(object()) == encode(object()), "no address"


def test_a_fingerprint_sees_every_value_and_the_dtype():
    x = np.arange(12.0).reshape(3, 4)
    seen = {fingerprint(a) for a in (x, x.astype(np.float32), x.T, x.reshape(4, 3), x + 1e-12, x[:2], x.tolist()[0])}
    assert len(seen) == 7
    assert fingerprint(x) == fingerprint(np.asfortranarray(x)) == fingerprint(x.copy())
    assert fingerprint(np.array(["a", None], object)) != fingerprint(np.array(["a", "None"], object))
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(x)
    assert fingerprint(matrix) == fingerprint(matrix.tocoo()) != fingerprint(matrix + matrix)
    big = np.zeros((3000, 3000))
    changed = big.copy()
    changed[2999, 2999] = 1
    assert fingerprint(big) != fingerprint(changed)


def test_one_writer(tmp_path):
    path = tmp_path / "j.jsonl"
    header = {"seed": 0, "space": {}}
    with Journal(path, header, resume=False, widens=lambda old: True):
        with pytest.raises(RuntimeError, match=r"j\.jsonl is being written by another search"):
            Journal(path, header, resume=True, widens=lambda old: True)
        program = "import sys\nfrom searches import *\nfrom fastreg.search import GridSearch\n" + (
            "GridSearch(Scored(), {'a': [1]}, cv=2, journal=sys.argv[1], resume=True).fit(*nothing())"
        )
        environment = os.environ | {"PYTHONPATH": f"{HELPERS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
        done = subprocess.run([sys.executable, "-c", program, path], env=environment, capture_output=True, text=True,
                              check=False)
        assert "RuntimeError: journal: " in done.stderr
        assert "being written by another search" in done.stderr
    with Journal(path, header, resume=True, widens=lambda old: True) as again:
        assert again.lines == 0


def test_a_fold_is_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    """fsync comes after the write of the line and before the schedule hears of the fold."""
    from fastreg.search.pruners.full_budget import FullBudget

    events = []
    write, sync = os.write, os.fsync

    def noting_write(descriptor, data):
        events.append("write")
        return write(descriptor, data)

    def noting_sync(descriptor):
        events.append("sync")
        sync(descriptor)

    class Noting(FullBudget):
        def done(self, job, outcome):
            events.append("done")
            super().done(job, outcome)

    monkeypatch.setattr(os, "write", noting_write)
    monkeypatch.setattr(os, "fsync", noting_sync)
    x, y = nothing()
    GridSearch(Scored(), {"a": [1, 2]}, cv=2, journal=tmp_path / "j.jsonl", n_jobs=1, verbose=0, pruner=Noting(),
               refit=False, seed=0).fit(x, y)
    trial = ["write", "sync"] * 2 + ["done"]
    assert events == ["sync", "write", "sync", *trial, *trial]  # the folder, the header, the trials


KILLED = """
import os, sys, time
from searches import build, two_classes
from fastreg.search import RandomSearch, LogUniform, Integer, SuccessiveHalving, MedianPruner
pruner = {"none": None, "median": MedianPruner(2, 2), "halving": SuccessiveHalving(2, factor=2)}[sys.argv[2]]
from fastreg.search import run
finish = run.Run._accept
def told(self, result, *, replayed=False):
    finish(self, result, replayed=replayed)
    print(result.trial, result.fold, result.epochs, flush=True)   # reported finished
run.Run._accept = told
search = RandomSearch(build, {"lr": LogUniform(1e-3, 1e-1), "units": Integer(2, 16)}, n_trials=10, cv=3, seed=0,
                      n_jobs=2, journal=sys.argv[1], resume=True, pruner=pruner, verbose=0)
print("begun", flush=True)
search.fit(*two_classes(600), epochs=120, batch_size=4)
print("ended", flush=True)
"""


@pytest.mark.parametrize("kind", ["none", "median", "halving"])
def test_killed_at_a_random_moment_it_goes_on_as_if_it_had_not_been(tmp_path, kind):
    pruner = {"none": None, "median": MedianPruner(2, 2), "halving": SuccessiveHalving(2, factor=2)}[kind]
    x, y = two_classes(600)

    def resumed(path=None):
        options = {"n_trials": 10, "cv": 3, "seed": 0, "n_jobs": 2, "pruner": pruner, "verbose": 0}
        return RandomSearch(build, SPACE, journal=path, resume=path is not None, **options).fit(
            x, y, epochs=120, batch_size=4)

    expected = resumed()
    chance = random.Random(kind)
    environment = os.environ | {"PYTHONPATH": f"{HELPERS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    early = 0
    for kill in range(KILLS):
        path = tmp_path / f"{kill}.jsonl"
        command = [sys.executable, "-c", KILLED, str(path), kind]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            reported = [process.stdout.readline() for _ in range(chance.randrange(20))]
            time.sleep(chance.uniform(0.0, 0.01))
            process.send_signal(signal.SIGKILL)
            reported += process.stdout.readlines()
        early += process.returncode == -signal.SIGKILL
        known = {(f["trial"], f["fold"], f["epochs"]) for f in _whole_lines(path) if "trial" in f}
        whole = [line for line in reported if line.endswith("\n") and line != "ended\n"]
        assert {tuple(map(int, line.split())) for line in whole} <= known
        same(expected, resumed(path))
    assert early, "no search was killed before its end"


def _whole_lines(path):
    data = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
