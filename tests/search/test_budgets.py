"""Searches that end early by time, a target, failures or Ctrl-C: their results are complete and say why they ended."""

from __future__ import annotations

import itertools

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.search import GridSearch, LogUniform, RandomSearch, SuccessiveHalving, Uniform
from fastreg.search.folds.evaluation import evaluate
from programs import count_steps, last_json, run_program
from searches import Clock, Scored, build, nothing, two_classes


def slow(params):
    """A model whose epochs take a while: some 10 ms each on the data below."""
    model = fr.Sequential([layers.Dense(256, "relu"), layers.Dense(256, "relu"), layers.Dense(1, "sigmoid")])
    model.compile(fr.optimizers.Adam(params["lr"]), "binary_crossentropy", ["accuracy"])
    return model


LONG = 10_000  # epochs of a slow model, half a minute or more for each fold


@pytest.fixture
def folds(monkeypatch):
    """What the folds of a search gave, those that its results leave out too."""
    found = []

    def recorded(*arguments):
        found.append(evaluate(*arguments))
        return found[-1]

    monkeypatch.setattr("fastreg.search.workers.threads.evaluate", recorded)
    return found


def check_that_long_fits_were_cut_off(folds):
    assert "stopped" in [fold.state for fold in folds]
    assert all(fold.epochs < LONG for fold in folds)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_time_limit_ends_running_fits(n_jobs, monkeypatch, folds):
    x, y = two_classes(2000, 50)
    clock, made = Clock(monkeypatch), itertools.count()

    def build(params):
        # Two models to look at, four trials of an epoch, then long ones.
        if next(made) < 2 + 8:
            return slow(params), {"epochs": 1}
        clock.leave(0.5)
        return slow(params)

    search = RandomSearch(build, {"lr": LogUniform(1e-4, 1e-2)}, n_trials=None, time_limit=600, cv=2, n_jobs=n_jobs,
                          refit=False, verbose=0, seed=0)
    search.fit(x, y, epochs=LONG)
    assert search.stopped_by_ == "time"
    check_that_long_fits_were_cut_off(folds)
    # Of several workers, one may have had a short fold in hand when the time was up.
    assert len(search.trials_) in ((4,) if n_jobs == 1 else (3, 4))
    for trial in search.trials_:
        assert trial.state == "ok"
        assert trial.epochs == [1, 1], "a trial without all its folds is not in the results"


def test_a_time_limit_within_a_long_fit(monkeypatch, folds):
    x, y = two_classes(2000, 50)
    clock, made = Clock(monkeypatch), itertools.count()

    def build(params):
        if next(made) > 0:  # not the one to look at
            clock.leave(0.5)
        return slow(params)

    search = RandomSearch(build, {"lr": LogUniform(1e-4, 1e-2)}, n_trials=4, time_limit=600, cv=2, verbose=0)
    with pytest.raises(RuntimeError, match=r"no trial has a score: none was finished.*time"):
        search.fit(x, y, epochs=LONG)
    assert search.stopped_by_ == "time"
    check_that_long_fits_were_cut_off(folds)
    assert search.n_trials_ == 0


def test_trials_that_time_stopped_below_the_full_budget_are_compared_among_themselves(monkeypatch):
    x, y = two_classes(600, 20)
    clock, made = Clock(monkeypatch), itertools.count()

    def build(params):
        if next(made) == 12:  # of one model to look at and two folds of six trials, the last
            clock.leave(1.0)
        return slow(params)

    search = RandomSearch(build, {"lr": LogUniform(1e-4, 1e-2)}, n_trials=6, pruner=SuccessiveHalving(1, factor=1000),
                          time_limit=600, cv=2, n_jobs=1, refit=False, verbose=0, seed=0)
    search.fit(x, y, epochs=100_000)
    assert search.stopped_by_ == "time"
    assert set(search.results_["budget"].tolist()) == {1}
    assert set(search.results_["state"]) == {"pruned"}
    assert search.best_score_ == search.results_["mean_test_score"].max()


@pytest.mark.parametrize(("direction", "target"), [("max", 0.9), ("min", 0.1)])
def test_a_target_ends_the_search(direction, target):
    x, y = nothing()
    values = [0.5, 0.3, 0.95, 0.05, 0.99, 0.01]
    search = GridSearch(Scored(), {"a": values}, scoring=(lambda m, x, y: m.a, direction), target_score=target, cv=2,
                        n_jobs=1, verbose=0).fit(x, y)
    assert search.stopped_by_ == "target"
    assert search.best_params_ == {"a": 0.95 if direction == "max" else 0.05}
    assert search.n_trials_ == (3 if direction == "max" else 4)


def test_a_target_that_is_missed():
    x, y = nothing()
    search = GridSearch(Scored(), {"a": [0.1, 0.2]}, target_score=0.5, cv=2, verbose=0).fit(x, y)
    assert search.stopped_by_ == "space"
    assert search.best_score_ == 0.2


def test_failures_are_put_up_with_up_to_a_number():
    x, y = nothing()
    grid = [{"a": 0.5}, *({"a": float(i), "how": "raise"} for i in range(5)), {"a": 0.9}]
    search = GridSearch(Scored(), grid, max_failures=2, cv=2, n_jobs=1, verbose=0).fit(x, y)
    assert search.stopped_by_ == "failures"
    assert len(search.failures_) == 3
    assert search.best_params_ == {"a": 0.5}
    search = GridSearch(Scored(), grid, max_failures=5, cv=2, n_jobs=1, verbose=0).fit(x, y)
    assert search.stopped_by_ == "space"
    assert search.best_params_ == {"a": 0.9}


@pytest.mark.filterwarnings("ignore:.*is not a finite number")
@pytest.mark.parametrize("kind", ["diverged", "unscored"])
def test_only_exceptions_are_failures_to_put_up_with(kind):
    """A trial that diverges, or has no score, is a result of its parameters."""
    if kind == "diverged":
        x, y = two_classes()

        def network(params):
            model = fr.Sequential([fr.layers.Dense(1)])
            model.compile(fr.optimizers.SGD(params["rate"]), "mse")
            return model

        search = GridSearch(network, {"rate": [1e30, 1e31, 1e32, 1e-3]}, max_failures=0, cv=2, n_jobs=1, verbose=0)
    else:
        x, y = nothing()
        grid = [*({"a": float(i), "how": "nan"} for i in range(3)), {"a": 0.9}]
        search = GridSearch(Scored(), grid, max_failures=0, cv=2, n_jobs=1, verbose=0)
    search.fit(x, y)
    assert search.stopped_by_ == "space"
    assert [trial.state for trial in search.trials_] == [kind, kind, kind, "ok"]


def test_n_trials_ends_the_search():
    x, y = nothing()
    search = RandomSearch(Scored(), {"a": Uniform(0, 1)}, n_trials=5, cv=2, verbose=0).fit(x, y)
    assert search.stopped_by_ == "trials"
    assert search.n_trials_ == 5
    assert GridSearch(Scored(), {"a": [1, 2, 3]}, n_trials=2, cv=2, verbose=0).fit(x, y).n_trials_ == 2


CTRL_C = """
import json, os, signal, sys, threading, time
import fastreg as fr
from fastreg import layers
from fastreg.search import RandomSearch, LogUniform
from searches import two_classes

def slow(params):
    model = fr.Sequential([layers.Dense(256, "relu"), layers.Dense(1, "sigmoid")])
    model.compile(fr.optimizers.Adam(params["lr"]), "binary_crossentropy", ["accuracy"])
    # The first models stop at once (build is tried out once), the others would train for an hour.
    slow.made += 1
    patience = 0 if slow.made <= 5 else 10**6
    return model, {"callbacks": [fr.callbacks.EarlyStopping("loss", min_delta=1e9, patience=patience)]}

slow.made = 0
x, y = two_classes(1000, 20)
search = RandomSearch(slow, {"lr": LogUniform(1e-4, 1e-2)}, n_trials=9, cv=2, n_jobs=int(sys.argv[1]), seed=0)

def interrupt():
    while slow.made <= 5:
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
search.fit(x, y, epochs=10**6)
try:
    search.best_model_
    why = "there is one"
except AttributeError as error:
    why = str(error)
search.refit_best()
print(json.dumps({"by": search.stopped_by_, "n": search.n_trials_, "best": search.best_score_, "why": why,
                  "trained": len(search.best_model_.history.epoch),
                  "handler": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
                  "states": search.results_["state"].tolist()}))
"""


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_gives_the_best_so_far(n_jobs):
    done = run_program(CTRL_C, n_jobs)  # in a minute, not an hour
    found = last_json(done)
    assert found["by"] == "interrupt"
    assert found["n"] >= 1
    assert set(found["states"]) == {"ok"}
    assert 0 < found["best"] <= 1
    assert found["why"] == "best_model_: the search was interrupted before the refit; refit_best() does it"
    assert found["trained"] == 1
    assert found["handler"], "Ctrl-C is Python's own again"
    assert "interrupted" in done.stderr


def test_ctrl_c_before_anything_was_found_is_a_keyboard_interrupt():
    program = """
import os, signal, threading
from fastreg.search import GridSearch
from searches import nothing, Scored
class Patient(Scored):
    def fit(self, x, y):
        import time
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        raise ValueError("and then it fails")
try:
    GridSearch(Patient(), {"a": [1.0, 2.0]}, cv=2, n_jobs=1, verbose=0).fit(*nothing())
except KeyboardInterrupt:
    print("interrupted")
"""
    assert run_program(program).stdout.split() == ["interrupted"]


def test_a_second_ctrl_c_is_obeyed_at_once():
    program = """
import os, signal, threading, time
from fastreg.search import GridSearch
from searches import nothing, Scored
class Deaf(Scored):
    def fit(self, x, y):
        if self.a == 2:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.05)
            time.sleep(600)
        return self
try:
    GridSearch(Deaf(), {"a": [1.0, 2.0]}, cv=2, n_jobs=1, verbose=0).fit(*nothing())
except KeyboardInterrupt:
    print("interrupted")
"""
    assert run_program(program).stdout.split() == ["interrupted"]


def test_a_search_in_another_thread_leaves_signals_alone():
    import signal
    import threading

    x, y = two_classes()
    before = signal.getsignal(signal.SIGINT)
    found = []
    search = GridSearch(build, {"lr": [0.01], "units": [2]}, cv=2, verbose=0)
    thread = threading.Thread(target=lambda: found.append(search.fit(x, y, epochs=2)))
    thread.start()
    thread.join()
    assert found[0].n_trials_ == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_bookkeeping_of_trivial_trials_is_cheap_and_leaves_no_files(tmp_path, monkeypatch):
    """Counted in steps of Python; bench/search.py has the time (some 40 us)."""
    monkeypatch.chdir(tmp_path)
    x, y = nothing()
    splits = [(np.arange(6), np.arange(6, 12))]
    search = RandomSearch(Scored(), {"a": Uniform(0, 1)}, n_trials=2000, cv=splits, n_jobs=1, refit=False, verbose=0)
    assert count_steps(lambda: search.fit(x, y)) < 1000 * 2000, "some 650 each"
    assert search.n_trials_ == 2000
    assert not list(tmp_path.iterdir())
