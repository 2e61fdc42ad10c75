"""A trial that a pruner trains in parts is one run: lengths that are shares of a run are shares of the full budget."""

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers, schedules
from fastreg.search import Hyperband, LogUniform, RandomSearch, SuccessiveHalving

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype(np.float32)
Y = np.sin(2 * X[:, 0]) + X[:, 1]
FALLING = schedules.PolynomialDecay(0.5, schedules.Share(1.0), end_learning_rate=0.1)

# The rate of Adam, the rate of dropout and the weight decay for a learning rate.
KINDS = {
    "rate": lambda rate: (schedules.CosineDecay(rate, schedules.Share(1.0)), 0.0, 0.0),
    "warm-up": lambda rate: (schedules.LinearWarmup(schedules.Constant(rate), schedules.Share(0.5)), 0.0, 0.0),
    "dropout": lambda rate: (rate, FALLING, 0.0),
    "decay": lambda rate: (rate, 0.0, FALLING),
}


class Falls(callbacks.Callback):
    """A rate that falls to 0 over the epochs of the run."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.learning_rate = 0.05 * (1 - epoch / self.params["epochs"])


def made(kind, **options):
    def build(params):
        rate, dropped, decay = KINDS[kind](params["rate"])
        model = fr.Sequential([layers.Dense(8, "relu"), layers.Dropout(dropped), layers.Dense(1)])
        model.compile(optimizers.AdamW(rate, weight_decay=decay), "mse")
        return model

    options = {"n_trials": 9, "cv": 2, "seed": 1, "verbose": 0, "refit": False, **options}
    return RandomSearch(build, {"rate": LogUniform(1e-3, 1e-1)}, **options)


def whole_trials(search):
    return {trial.number: (trial.scores, trial.histories) for trial in search.trials_ if trial.state == "ok"}


@pytest.mark.parametrize("pruner", [SuccessiveHalving(), Hyperband()], ids=["halving", "hyperband"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_in_parts_is_the_trial_at_once(kind, pruner):
    fit = {"epochs": 9, "batch_size": 16}
    at_once = whole_trials(made(kind).fit(X, Y, **fit))
    in_parts = whole_trials(made(kind, pruner=pruner).fit(X, Y, **fit))
    assert in_parts
    assert in_parts == {number: at_once[number] for number in in_parts}


def test_a_callback_is_told_the_full_budget():
    fit = {"epochs": 9, "batch_size": 16, "callbacks": [Falls()]}
    at_once = whole_trials(made("dropout").fit(X, Y, **fit))
    in_parts = whole_trials(made("dropout", pruner=SuccessiveHalving()).fit(X, Y, **fit))
    assert in_parts == {number: at_once[number] for number in in_parts}


def test_a_killed_search_ends_as_if_it_had_not_been(tmp_path):
    fit = {"epochs": 9, "batch_size": 16}
    options = {"pruner": SuccessiveHalving(), "n_jobs": 1, "resume": True}
    found = made("rate", **options, journal=tmp_path / "whole").fit(X, Y, **fit)
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    for kept in range(0, len(lines), 3):
        path = tmp_path / f"{kept}"
        path.write_bytes(b"".join(lines[:kept]))
        again = made("rate", **options, journal=path).fit(X, Y, **fit)
        assert [trial.scores for trial in again.trials_] == [trial.scores for trial in found.trials_]


def test_models_that_are_trained_again_for_an_ensemble_are_those_that_were_scored():
    found = made("rate", pruner=Hyperband()).fit(X, Y, epochs=9, batch_size=16)
    kept = made("rate", pruner=Hyperband(), keep_models=True).fit(X, Y, epochs=9, batch_size=16)
    again, before = found.ensemble(3), kept.ensemble(3)
    assert np.array_equal(again.predict(X), before.predict(X))
    assert again.single_score_ == pytest.approx(found.best_score_, rel=1e-6)
