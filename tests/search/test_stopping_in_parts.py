"""Early stopping of a trial in parts is that of the trial at once, with hooks of one's own and other callbacks.

The trial at once is judged by the core, or by a derived class, and the trial in parts in Python.
"""

import pickle
from typing import ClassVar

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers
from fastreg.search import ASHA, Hyperband, LogUniform, MedianPruner, RandomSearch, SuccessiveHalving
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Task, evaluate
from fastreg.search.pruners.trial_schedule import Thresholds
from search_folds import ok, same

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype(np.float32)
Y = np.sin(2 * X[:, 0]) + X[:, 1]
PARTS = (1, 3, 4, 9)
EPOCHS = PARTS[-1]


def build(params):
    model = fr.Sequential([layers.Dense(8, "relu"), layers.Dense(1)])
    model.compile(optimizers.Adam(params.get("rate", 0.05)), "mse")
    return model


def context(items, **fit):
    fit = {"epochs": EPOCHS, "batch_size": 16, "callbacks": items, **fit}
    return make_context(build, [{}], X, Y, cv=3, seed=1, fit_arguments=fit)


def in_parts(c, sent=False):
    """The result of the last part, and the history of all."""
    model, start, history = None, 0, {}
    for stop in PARTS:
        result = ok(evaluate(c, Task(3, 1, {}, start, stop, model, keep_model=True)))
        for key, values in result.history.items():
            history.setdefault(key, []).extend(values)
        model, start = pickle.loads(pickle.dumps(result.model)) if sent else result.model, stop
    return result, history


def check_that_parts_make_the_whole(c, sent=False):
    whole = ok(evaluate(c, Task(3, 1, {}, keep_model=True)))
    result, history = in_parts(c, sent)
    assert history == whole.history
    assert (result.scores, result.epochs, result.best_epoch) == (whole.scores, whole.epochs, whole.best_epoch)
    assert same(result.model.get_weights(), whole.model.get_weights())
    return whole


class Slows(callbacks.EarlyStopping):
    """Early stopping that lowers the rate after each epoch, and notes which hooks are called."""

    noted: ClassVar[list] = []
    ends: ClassVar[list] = []

    def __init__(self, **settings):
        super().__init__(**settings)
        self.seen = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.noted.append(("begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.seen += 1
        self.model.learning_rate = 0.05 / (1 + self.seen)
        logs["seen"] = self.seen
        self.noted.append(("end", epoch))

    def on_train_batch_end(self, batch, logs=None):
        self.noted.append(("batch", batch))

    def on_test_begin(self, logs=None):
        self.noted.append(("test", self.params["epochs"]))

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self.ends.append((self.best, self.best_epoch, self.stopped_epoch))


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("patience", [0, 1, 99])
def test_hooks_of_a_derived_class_are_called(patience, sent, monkeypatch):
    c = context([Slows(patience=patience, min_delta=0.02)])
    runs = []
    for run in (lambda: ok(evaluate(c, Task(3, 1, {}))), lambda: in_parts(c, sent)):
        monkeypatch.setattr(Slows, "noted", [])
        monkeypatch.setattr(Slows, "ends", [])
        run()
        runs.append((Slows.noted, Slows.ends[-1]))
    assert runs[0] == runs[1]
    assert {kind for kind, _ in runs[0][0]} == {"begin", "end", "batch", "test"}
    whole = check_that_parts_make_the_whole(c, sent)
    assert whole.history["seen"] == [1.0 + epoch for epoch in range(whole.epochs)]
    assert (whole.epochs == EPOCHS) == (patience == 99)


@pytest.mark.parametrize("pruner", [SuccessiveHalving(), Hyperband(), ASHA()], ids=["halving", "hyperband", "asha"])
def test_hooks_of_a_derived_class_under_each_pruner(pruner):
    def searched(pruner):
        search = RandomSearch(build, {"rate": LogUniform(1e-3, 1e-1)}, n_trials=9, cv=2, seed=1, verbose=0,
                              refit=False, pruner=pruner)
        search.fit(X, Y, epochs=EPOCHS, batch_size=16, callbacks=[Slows(patience=2)])
        return {trial.number: (trial.scores, trial.histories) for trial in search.trials_ if trial.state == "ok"}

    whole, found = searched(None), searched(pruner)
    assert found == {number: whole[number] for number in found}
    assert found


class Adds(callbacks.Callback):
    """Adds a value to the logs that is best after the fourth epoch."""

    def on_epoch_end(self, epoch, logs=None):
        logs["own_error"] = abs(epoch - 3)


class Hides(callbacks.Callback):
    """Changes what it is told, and the weights, after the epoch was judged."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = float(epoch)
        self.model.set_weights([0.9 * weight for weight in self.model.get_weights()])


@pytest.mark.parametrize("items", [
    [Adds(), callbacks.EarlyStopping("own_error", patience=2)],
    [Adds(), callbacks.EarlyStopping("own_error", patience=1, mode="max")],
    [Adds(), callbacks.EarlyStopping("own_error", patience=2), callbacks.EarlyStopping("val_loss", patience=99)],
    [Adds(), callbacks.ReduceLROnPlateau("own_error", patience=0), callbacks.EarlyStopping("own_error", patience=3)],
    [Hides(), callbacks.EarlyStopping("val_loss", patience=3)],
    [callbacks.EarlyStopping("val_loss", patience=3), Hides()],
], ids=["added", "added max", "two", "plateau", "before", "after"])  # fmt: skip
def test_other_callbacks_meet_early_stopping_as_in_one_call(items):
    check_that_parts_make_the_whole(context(items))


class Late(callbacks.EarlyStopping):
    """Judges no epoch before the fifth one."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch >= 4:
            super().on_epoch_end(epoch, logs)


class Falls(callbacks.EarlyStopping):
    """Judges other values than those of the logs, which are best in the third epoch."""

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, {"val_loss": abs(epoch - 2.0)})


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize(("stopping", "epochs", "best"), [
    (Late(patience=1, min_delta=100), 6, 5), (Late(patience=99), EPOCHS, None), (Falls(patience=2), 5, 3),
    (Falls(patience=99), EPOCHS, 3),
])  # fmt: skip
@pytest.mark.parametrize("others", [[], [Hides()]], ids=len)
def test_a_derived_class_decides_what_is_judged(stopping, epochs, best, sent, others):
    whole = check_that_parts_make_the_whole(context([*others, stopping]), sent)
    assert whole.epochs == epochs
    assert best is None or whole.best_epoch == best


@pytest.mark.parametrize("freq", [2, 3, 5, [2, 3, 9]], ids=str)
@pytest.mark.parametrize("patience", [0, 1, 99])
def test_epochs_without_validation_are_not_judged(freq, patience):
    stopping = callbacks.EarlyStopping("val_loss", patience=patience, min_delta=0.1)
    whole = check_that_parts_make_the_whole(context([stopping], validation_freq=freq))
    after = freq if isinstance(freq, list) else range(freq, EPOCHS + 1, freq)
    assert len(whole.history["val_loss"]) == sum(epoch <= whole.epochs for epoch in after)


def test_a_value_that_nobody_adds_is_said_in_each_part():
    c = context([Adds(), callbacks.EarlyStopping("own_eror")])
    for task in (Task(0, 0, {}), Task(0, 0, {}, 0, 3, keep_model=True)):
        failed = evaluate(c, task)
        assert failed.state == "failed"
        assert "EarlyStopping: unknown monitor 'own_eror'; this run has: loss, own_error" in failed.error


def test_the_direction_of_a_value_that_a_callback_adds_must_be_known():
    class Other(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["height"] = 1.0

    c = context([Other(), callbacks.EarlyStopping("height")])
    for task in (Task(0, 0, {}), Task(0, 0, {}, 0, 3, keep_model=True)):
        assert "EarlyStopping: mode must be 'min' or 'max' for 'height'" in evaluate(c, task).error


@pytest.mark.parametrize("freq", [1, 2, 4])
def test_the_median_rule_compares_where_there_is_a_value(freq):
    c = context([], validation_freq=freq)
    free = ok(evaluate(c, Task(3, 1, {}, thresholds=Thresholds(((), (), ())))))
    known = np.full(EPOCHS, np.nan)
    known[freq - 1 :: freq] = free.history["val_loss"]
    assert np.array_equal(free.curve, known, equal_nan=True)
    # From the fifth epoch on nothing is good enough: the first validation after it ends the fold.
    limits = [np.nan] * 4 + [-1.0] * (EPOCHS - 4)
    cut = evaluate(c, Task(3, 1, {}, thresholds=Thresholds((limits, limits, limits))))
    assert cut.state == "pruned"
    assert cut.epochs == {1: 5, 2: 6, 4: 8}[freq]


def test_a_search_with_the_median_rule_and_a_validation_now_and_then():
    pruner = MedianPruner(n_startup_trials=2, n_warmup_epochs=0, lag=1)
    search = RandomSearch(build, {"rate": LogUniform(1e-4, 1e-1)}, n_trials=8, cv=2, seed=1, verbose=0, n_jobs=1,
                          refit=False, pruner=pruner)
    search.fit(X, Y, epochs=EPOCHS, batch_size=16, validation_freq=3)
    states = {trial.state for trial in search.trials_}
    assert states == {"ok", "pruned"}
    assert {epochs for trial in search.trials_ if trial.state == "pruned" for epochs in trial.epochs} <= {3, 6, 9}


@pytest.mark.parametrize("pruner", [SuccessiveHalving(), Hyperband(), ASHA()], ids=["halving", "hyperband", "asha"])
def test_histories_of_parts_are_joined_where_the_first_has_no_validation(pruner):
    def searched(pruner):
        search = RandomSearch(build, {"rate": LogUniform(1e-3, 1e-1)}, n_trials=9, cv=2, seed=1, verbose=0,
                              refit=False, pruner=pruner)
        search.fit(X, Y, epochs=EPOCHS, batch_size=16, validation_split=0.2, validation_freq=2)
        return {t.number: (t.histories, t.validation_epochs) for t in search.trials_ if t.state == "ok"}

    whole, found = searched(None), searched(pruner)
    assert found == {number: whole[number] for number in found}
    assert {len(history["val_loss"]) for histories, _ in found.values() for history in histories} == {EPOCHS // 2}
    assert all(epochs == [1, 3, 5, 7] for _, validated in found.values() for epochs in validated)


@pytest.mark.parametrize("freq", [1, 2, 5, [1, 2], [2, 3, 9]], ids=str)
def test_parts_know_the_epochs_of_their_validation(freq):
    stopping = callbacks.EarlyStopping("val_loss", patience=99)
    whole = ok(evaluate(context([stopping], validation_freq=freq), Task(3, 1, {})))
    c, model, start, joined = context([stopping], validation_freq=freq), None, 0, None
    for stop in PARTS:
        part = ok(evaluate(c, Task(3, 1, {}, start, stop, model, keep_model=True)))
        assert joined is None or part.continues(joined.history, joined.validation_epochs)
        joined, model, start = part, part.model, stop
    after = freq if isinstance(freq, list) else range(freq, EPOCHS + 1, freq)
    expected = None if freq == 1 else [epoch - 1 for epoch in after]
    assert (whole.validation_epochs, joined.validation_epochs) == (expected, expected)
    assert joined.history == whole.history
