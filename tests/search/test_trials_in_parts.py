"""A trial that a pruner trains in parts is one run: of its schedules, its callbacks and the averages of its weights."""

import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers, schedules
from fastreg.search import ASHA, GridSearch, Hyperband, LogUniform, RandomSearch, SuccessiveHalving
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Task, evaluate
from search_folds import ok, same

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


class Ends(callbacks.Callback):
    """Ends the training after an epoch, and does not care for later ones."""

    def __init__(self, last):
        self.last = last

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = self.model.stop_training or epoch == self.last


@pytest.mark.parametrize("pruner", [SuccessiveHalving(), Hyperband(), ASHA()], ids=["halving", "hyperband", "asha"])
@pytest.mark.parametrize("last", [0, 1, 2, 3, 8])
def test_a_trial_that_a_callback_has_ended_does_not_go_on(last, pruner):
    """Also where its end is that of a budget, which ends the call of fit at the same epoch."""
    fit = {"epochs": 9, "batch_size": 16, "callbacks": [Ends(last)]}
    at_once = whole_trials(made("dropout").fit(X, Y, **fit))
    search = made("dropout", pruner=pruner, n_jobs=1).fit(X, Y, **fit)
    assert {epochs for trial in search.trials_ for epochs in trial.epochs} <= set(range(1, last + 2))
    in_parts = whole_trials(search)
    assert in_parts
    assert {number: scores for number, (scores, _) in in_parts.items()} == {
        number: at_once[number][0] for number in in_parts
    }


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


OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.05),
    "averages": lambda: optimizers.AdamW(0.05, use_ema=True, ema_momentum=0.9),
    "overwritten": lambda: optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=7),
    "schedule-free": lambda: optimizers.ScheduleFreeAdamW(0.05),
    "accumulated": lambda: optimizers.SGD(0.1, gradient_accumulation_steps=3),
}
CALLBACKS = {
    "none": [],
    "stops": [callbacks.EarlyStopping("val_loss", patience=3)],
    "stops without the best": [callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=False)],
    "plateau": [callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=0.05)],
    "both": [
        callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=0.01, cooldown=1),
        callbacks.EarlyStopping("val_loss", patience=4),
    ],
}


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("watching", CALLBACKS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_budget_ends_where_the_training_at_once_would(optimizer, watching, sent):
    def build(params):
        hidden = [layers.Dense(6, "relu"), layers.BatchNormalization(), layers.Dropout(0.2)]
        model = fr.Sequential([*hidden, layers.Dense(1)])
        model.compile(OPTIMIZERS[optimizer](), "mse")
        return model

    fit = {"epochs": 9, "batch_size": 16, "callbacks": CALLBACKS[watching]}
    context = make_context(build, [{}], X, Y, cv=3, seed=1, fit_arguments=fit)
    model, start, history = None, 0, {}
    for stop in (1, 3, 4, 9):
        result = ok(evaluate(context, Task(3, 1, {}, start, stop, model, keep_model=True)))
        at_once = ok(evaluate(context, Task(3, 1, {}, 0, stop)))
        history = {key: history.get(key, []) + values for key, values in result.history.items()} or history
        assert (result.scores, result.epochs, result.best_epoch) == (at_once.scores, at_once.epochs, at_once.best_epoch)
        assert history == at_once.history
        model, start = pickle.loads(pickle.dumps(result.model)) if sent else result.model, stop
    whole = ok(evaluate(context, Task(3, 1, {}, keep_model=True)))
    assert same(result.model.get_weights(), whole.model.get_weights())


@pytest.mark.parametrize("own", [[1, 3, 9], [9, 3, 1], [3, 9, 1]], ids=str)
@pytest.mark.parametrize("pruner", [SuccessiveHalving(), Hyperband(), ASHA()], ids=["halving", "hyperband", "asha"])
def test_the_most_epochs_of_a_trial_are_the_full_budget(pruner, own):
    """A trial with fewer ends there and keeps its score; the first one to be built decided about all."""

    def build(params):
        model = fr.Sequential([layers.Dense(4, "relu"), layers.Dense(1)])
        model.compile(optimizers.Adam(params["rate"]), "mse")
        return model, {"epochs": params["epochs"]}

    space = {"epochs": own, "rate": [0.001 * 1.5**i for i in range(5)]}
    search = GridSearch(build, space, cv=2, seed=0, n_jobs=1, verbose=0, pruner=pruner, refit=False).fit(X, Y)
    budgets = {trial.budget for trial in search.trials_}
    assert budgets == {1, 3, 9}
    assert search.best_trial_.budget == 9
    assert all(max(trial.epochs) <= trial.params["epochs"] for trial in search.trials_)
