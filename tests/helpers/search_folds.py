"""Shared by the tests of one fold: data, models, the context of a search, and the same fold computed by hand.

Worker processes import this module, which they could not do with a test module.
"""

import os
import signal
import tempfile
import time
from pathlib import Path

import fastreg as fr
import numpy as np
from fastreg import layers
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import fold_seed

N, FEATURES = 150, 4
X = np.random.default_rng(0).normal(size=(N, FEATURES))
Y = (X[:, 0] - X[:, 1] + 0.5 * np.random.default_rng(1).normal(size=N) > 0).astype(np.int64)
PARAMS = {"units": 8, "rate": 0.01}


def build(params):
    hidden, seed = layers.Dense(params["units"], "relu"), params.get("seed")
    model = fr.Sequential([hidden, layers.Dropout(0.2), layers.Dense(1, "sigmoid")], seed=seed)
    model.compile(fr.optimizers.Adam(params["rate"]), "binary_crossentropy", ["accuracy"])
    return model


def context(build=build, x=X, y=Y, params=PARAMS, **arguments):
    fit_arguments = {"epochs": 6, "batch_size": 16, **arguments.pop("fit_arguments", {})}
    return make_context(build, [params], x, y, **{"cv": 3, "seed": 7, "fit_arguments": fit_arguments, **arguments})


def ok(result):
    assert result.state == "ok", result.error
    return result


def same(a, b):
    return len(a) == len(b) and all(map(np.array_equal, a, b))


def seeded(fold, params=PARAMS, trial=0):
    """The model of a fold, not trained."""
    with fr.utils.default_seed(fold_seed(7, trial, fold)):
        return build(params)


def by_hand(c, fold, **arguments):
    """The model of a fold, made with the calls that a user would write."""
    model = seeded(fold)
    model.fit(X.astype(np.float32), Y, rows=c.folds[fold][0], batch_size=16, verbose=0, **{"epochs": 6, **arguments})
    return model


def collect(runner, tasks, patience=60):
    """The results in the order of the tasks; fails where `patience` seconds bring none."""
    waiting, found, under_way = list(reversed(tasks)), [], 0
    while len(found) < len(tasks):
        while waiting and under_way < runner.slots:
            runner.submit(waiting.pop())
            under_way += 1
        result = runner.completed(patience)
        assert result is not None, f"no result for {patience} s"
        found.append(result)
        under_way -= 1
    assert runner.completed(0.0) is None
    return sorted(found, key=lambda result: (result.trial, result.fold))


def values(results):
    """What must not depend on where a task ran."""
    weights = [[array.tolist() for array in result.model.get_weights()] for result in results]
    seen = [(r.trial, r.fold, r.state, r.scores, r.history) for r in results]
    return list(zip(seen, weights, strict=True))


class Counted:
    """A build that counts how often it is sent."""

    sent = 0

    def __reduce__(self):
        Counted.sent += 1
        return Counted, ()

    def __call__(self, params):
        return build(params)


class Marks:
    """A build that leaves a file for each model, from whatever process."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __call__(self, params):
        tempfile.mkstemp(dir=self.folder)
        return build(params)

    def count(self):
        return len(os.listdir(self.folder))


SAME = "build: must return a new model at every call, got the same Sequential again"


class KeepsOne:
    """A build that gives one model again and again in every process but that of ``parent``."""

    def __init__(self, parent):
        self.parent, self.model = parent, None

    def __call__(self, params):
        made = build(params)
        if self.parent in (None, os.getpid()):
            return made
        self.model = self.model or made
        return self.model


class Threads:
    """An estimator that says how many threads a fit may use."""

    def set_params(self, **params):
        return self

    def fit(self, x, y):
        return self

    def score(self, x, y):
        return float(fr.get_num_threads())


def blas_threads(model, x, y):
    from threadpoolctl import threadpool_info

    return max(entry["num_threads"] for entry in threadpool_info() if entry["user_api"] == "blas")


class Dies:
    """An estimator whose fit kills its process, for some parameters, or the first time."""

    def set_params(self, how, path=None):
        self.how, self.path = how, path
        return self

    def fit(self, x, y):
        if self.how == "always":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "once" and not os.path.exists(self.path):
            Path(self.path).touch()
            os._exit(7)
        return self

    def score(self, x, y):
        return 1.0


class Process:
    """An estimator that says where it ran, waits there until another process is at work too, or ends there."""

    def set_params(self, how, path):
        self.how, self.path = how, Path(path)
        return self

    def fit(self, x, y):
        if self.how == "once" and not self.path.exists():
            self.path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "meet":
            (self.path / str(os.getpid())).touch()
            end = time.monotonic() + 60
            while len(list(self.path.iterdir())) < 2 and time.monotonic() < end:
                time.sleep(0.01)
        return self

    def score(self, x, y):
        return float(os.getpid())
