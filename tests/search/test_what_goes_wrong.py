"""What goes wrong in a search: bad arguments are errors before the first trial, and bad trials are recorded."""

from __future__ import annotations

import threading

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, optimizers
from fastreg.search import (
    GridSearch,
    Integer,
    LogUniform,
    MedianPruner,
    RandomSearch,
)
from fastreg.search.run import Run
from searches import Scored, build, nothing, two_classes

SPACE = {"lr": LogUniform(1e-3, 1e-1), "units": Integer(2, 16)}
QUIET = {"verbose": 0, "seed": 0, "cv": 3}


class Untouchable:
    """A search that gets as far as a trial has failed the test."""

    def __init__(self) -> None:
        self.started = threading.Event()

    def __call__(self, params):
        model = build(params)
        fit = model.fit

        def noting(*arguments, **more):
            self.started.set()
            return fit(*arguments, **more)

        model.fit = noting
        return model


@pytest.mark.parametrize(
    ("options", "fit", "error", "message"),
    [
        ({"scoring": "acuracy"}, {}, ValueError, "acuracy.*did you mean 'accuracy'"),
        ({"space": {"lr": [0.1], "unist": [4]}}, {}, Exception, "unist|units"),
        ({}, {"epocs": 3}, TypeError, "epocs.*did you mean 'epochs'"),
        ({"cv": 1}, {}, ValueError, ">= 2"),
        ({"n_trials": 0}, {}, ValueError, "n_trials must be >= 1, got 0"),
        ({"n_jobs": 0}, {}, ValueError, "n_jobs"),
        ({"time_limit": 0}, {}, ValueError, "time_limit must be > 0"),
        ({"keep_models": 1}, {}, TypeError, "keep_models must be True or False"),
        ({"refit": None}, {}, TypeError, "refit must be True or False"),
        ({"verbose": -1}, {}, ValueError, "verbose must be >= 0"),
        ({"max_failures": -1}, {}, ValueError, "max_failures must be >= 0"),
        ({"seed": -1}, {}, ValueError, "seed must be >= 0"),
        ({"pruner": MedianPruner}, {}, TypeError, "pruner.*parentheses"),
        ({"resume": True}, {}, ValueError, "resume=True needs the journal"),
        ({"early_stopping_on": "outer"}, {}, ValueError, "early_stopping_on"),
        ({"executor": "dusk"}, {}, ValueError, "dusk"),
        ({"n_trials": None, "space": {"lr": LogUniform(0.1, 1), "units": 4}}, {}, ValueError, "n_trials must be given"),
    ],
)
def test_bad_arguments_are_errors_before_the_first_trial(options, fit, error, message):
    x, y = two_classes()
    touched = Untouchable()
    given = {"space": {"lr": [0.1], "units": [4]}, **QUIET, **options}
    with pytest.raises(error, match=message):
        RandomSearch(touched, **given).fit(x, y, **fit)
    assert not touched.started.is_set()


def test_the_tools_of_a_grid_must_be_finite():
    x, y = two_classes()
    with pytest.raises(ValueError, match="lr"):
        GridSearch(build, SPACE, **QUIET).fit(x, y)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_trial_that_fails_diverges_or_has_no_score_is_recorded_and_the_search_goes_on(n_jobs):
    x, y = nothing()
    grid = [{"a": 0.3}, {"a": 0.9, "how": "raise"}, {"a": 0.8, "how": "nan"}, {"a": 0.5}]
    search = GridSearch(Scored(), grid, cv=2, n_jobs=n_jobs, verbose=0).fit(x, y)
    assert search.results_["state"].tolist() == ["ok", "failed", "unscored", "ok"]
    assert search.best_params_ == {"a": 0.5}
    assert search.best_score_ == 0.5
    assert search.results_["rank_test_score"].tolist() == [2, 3, 3, 1]
    assert [trial.number for trial in search.failures_] == [1, 2]
    error = search.failures_[0].error
    assert "ArithmeticError: no fit for a=0.9" in error
    assert "searches.py" in error
    assert "'how': 'raise'" in error
    assert "searches.py" not in (search.failures_[1].error or "")
    assert "trial 1 failed" in search.summary()
    assert "no fit for a=0.9" in search.summary()


def test_divergence_is_a_state():
    x, y = two_classes()
    x = x * 1e10

    def wild(params):
        model = fr.Sequential([layers.Dense(8), layers.Dense(1)])
        model.compile(optimizers.SGD(params["lr"]), "mse")
        return model

    search = GridSearch(wild, {"lr": [1e-30, 10.0]}, **QUIET).fit(x, y.astype(np.float32), epochs=30)
    assert search.results_["state"].tolist() == ["ok", "diverged"]
    assert "diverged" in search.failures_[0].error
    assert search.best_params_ == {"lr": 1e-30}
    assert np.isnan(search.results_["mean_test_score"][1])


def test_if_all_trials_fail_the_first_traceback_is_shown():
    x, y = nothing()
    search = GridSearch(Scored(how="raise"), {"a": [1.5, 2.5]}, cv=2, n_jobs=1, verbose=0)
    with pytest.raises(RuntimeError, match=r"(?s)no trial has a score \(2 failed\).*trial 0.*no fit for a=1.5"):
        search.fit(x, y)
    assert len(search.failures_) == 2
    with pytest.raises(AttributeError, match="best_params_: no trial has a score"):
        _ = search.best_params_


def test_bad_folds_end_a_trial_in_the_order_of_the_folds():
    """Whichever worker is first, the record of a failed trial is the same: up to its first bad fold."""
    x, y = nothing(30)

    class FailsOnSecond(Scored):
        def fit(self, x, y):
            if self.how == "second" and len(x) == 20 and x[0, 0] == 0:
                raise ArithmeticError("second")
            return super().fit(x, y)

    x = np.arange(60.0).reshape(30, 2)
    splits = [(np.arange(10, 30), np.arange(10)), (np.r_[0:10, 20:30], np.arange(10, 20)),
              (np.arange(20), np.arange(20, 30))]
    for n_jobs in (1, 3):
        search = GridSearch(FailsOnSecond(), [{"a": 1.0, "how": "second"}, {"a": 0.5}], cv=splits, n_jobs=n_jobs,
                            verbose=0).fit(x, y)
        assert search.trials_[0].state == "failed"
        assert search.trials_[0].scores["score"] == pytest.approx([1.0, np.nan], nan_ok=True)
        assert len(search.trials_[0].histories) == 2


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_first_failure_in_the_order_of_the_trials_is_raised(workers, monkeypatch):
    class Failing(fr.callbacks.Callback):
        """Ends a fit by an error; that of the first trial waits until the search knows that another failed."""

        def __init__(self, number):
            super().__init__()
            self.number = number

        def on_epoch_end(self, epoch, logs=None):
            if self.number == 0:
                assert known.wait(60)
            if epoch == 2:
                raise ArithmeticError(f"trial {self.number}")

    known = threading.Event()
    begun, finish = [], Run._finish

    def finished(self, job, *rest):
        finish(self, job, *rest)
        if job.number == workers - 1:  # the last one that runs beside the first
            known.set()

    def linear(params):
        model = fr.Sequential([layers.Dense(1)], seed=0)
        model.compile(optimizers.SGD(params["rate"]), "mse")
        return model

    def callbacks(fold):
        begun.append(fold.trial)
        return [Failing(fold.trial)]

    monkeypatch.setattr(Run, "_finish", finished)
    if workers == 1:
        known.set()
    rng = np.random.default_rng(0)
    rates = [0.1, 0.01, 0.001, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9]
    search = GridSearch(linear, {"rate": rates}, cv=0.5, seed=0, verbose=0, n_jobs=workers, error_score="raise")
    with pytest.raises(ArithmeticError, match="trial 0"):
        search.fit(rng.normal(size=(20, 2)), rng.normal(size=20), epochs=5, callbacks=callbacks)
    assert len(set(begun)) < len(rates)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("best_value", "best_score_"), ("study", "to_frame"), ("optimize", "fit"), ("get_best_models", "best_models")],
)
def test_members_of_other_searches(name, hint):
    """What Optuna's studies and Keras's tuners have."""
    search = RandomSearch(build, SPACE, n_trials=1, **QUIET)
    with pytest.raises(AttributeError, match=rf"'RandomSearch' .* no attribute '{name}'; fastreg does .*{hint}"):
        getattr(search, name)
    with pytest.raises(AttributeError, match=r"no attribute 'quux'$"):
        _ = search.quux


@pytest.mark.parametrize(("name", "hint"), [
    ("BayesSearchCV", "BayesianSearch"), ("HalvingGridSearchCV", "SuccessiveHalving"), ("loguniform", "LogUniform"),
])
def test_names_of_other_searches(name, hint):
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'; fastreg does not have it: .*{hint}"):
        getattr(fr.search, name)
    with pytest.raises(AttributeError, match=r"no attribute 'RandomSerch' \(did you mean 'RandomSearch'\?\)$"):
        _ = fr.search.RandomSerch
    with pytest.raises(AttributeError, match=r"no attribute 'Quux'$"):
        _ = fr.search.Quux


@pytest.mark.parametrize(("read", "hint"), [
    (lambda params: params.units, r"write params\['units'\]"),
    (lambda params: params.suggest_int("units", 2, 16), "it has the values of the space"),
])
def test_parameters_read_as_attributes(read, hint):
    search = RandomSearch(lambda params: build({**params, "units": read(params)}), SPACE, n_trials=1, **QUIET)
    with pytest.raises(AttributeError, match=f"params is a dict without an attribute '.*'; {hint}"):
        search.fit(*two_classes())


@pytest.mark.parametrize(("name", "hint"), [("dask", r"client.get_executor\(\)"), ("ray", r"RayExecutor\(\)")])
def test_executors_by_the_name_of_their_library(name, hint):
    search = RandomSearch(build, SPACE, n_trials=1, executor=name, **QUIET)
    with pytest.raises(ValueError, match=rf"executor: unknown name '{name}'; known: threads, processes; for .* {hint}"):
        search.fit(*two_classes())
