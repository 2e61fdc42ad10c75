"""Callbacks, early stopping, history and progress: when they run, what they may do, and the state afterwards.

Early stopping is checked against a direct reading of Keras's rule (`expected_stop`) over whole curves of val_loss that
the fit itself recorded.
"""
from __future__ import annotations

import math

import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers, schedules
from programs import compiled, finite, line, overfitting, same_bits

EPOCHS = 12


class Recorder(callbacks.Callback):
    """Writes down every call it gets."""

    def __init__(self, name="", into=None):
        self.name, self.calls = name, [] if into is None else into

    def on_train_begin(self, logs=None):
        self.calls.append((self.name, "begin", None))

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append((self.name, "epoch begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append((self.name, "epoch end", epoch))

    def on_train_end(self, logs=None):
        self.calls.append((self.name, "end", None))


class Each(callbacks.Callback):
    """Calls a function of (model, epoch, logs) at the end of every epoch."""

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, epoch, logs=None):
        self.function(self.model, epoch, logs)


def run(given, epochs=60, **keywords):
    model, x, y, validation = overfitting()
    history = model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, validation_data=validation, callbacks=given,
                        **keywords)
    return model, history, validation


@pytest.fixture(scope="module")
def curve():
    """The whole history without early stopping: what every stopped run is a prefix of."""
    values = run([])[1].history
    best = int(np.argmin(values["val_loss"]))
    assert 2 < best < 40
    assert values["val_loss"][-1] > 1.2 * values["val_loss"][best], "the data must overfit"
    return values


def expected_stop(values, *, patience=0, min_delta=0.0, mode="min", baseline=None, start_from_epoch=0):
    """(number of epochs run, index of the best one or None), by Keras's rule."""
    sign = 1.0 if mode == "min" else -1.0

    def improves(value, reference):
        return sign * value + abs(min_delta) < sign * reference

    best, best_epoch, wait = sign * np.inf, None, 0
    for epoch, value in enumerate(values):
        if epoch < start_from_epoch:
            continue
        wait += 1
        if improves(value, best):
            best, best_epoch = value, epoch
            if baseline is None or improves(value, baseline):
                wait = 0
        elif wait >= patience:
            return epoch + 1, best_epoch
    return len(values), best_epoch


RULES = [
    {"patience": 0}, {"patience": 1}, {"patience": 5}, {"patience": 1000},
    {"patience": 3, "min_delta": 0.02}, {"patience": 3, "min_delta": -0.02}, {"patience": 2, "min_delta": 10.0},
    {"patience": 4, "mode": "max"}, {"patience": 2, "monitor": "val_accuracy", "mode": "max"},
    {"patience": 6, "monitor": "accuracy", "mode": "max", "min_delta": 0.01},
    {"patience": 3, "monitor": "loss", "mode": "min"},
    {"patience": 3, "baseline": 0.1}, {"patience": 3, "baseline": 100.0},
    {"patience": 0, "start_from_epoch": 7}, {"patience": 2, "start_from_epoch": 20},
    {"patience": 2, "start_from_epoch": 1000},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_early_stopping_follows_keras(rule, curve):
    stopping = callbacks.EarlyStopping(**rule)
    _, history, _ = run([stopping])
    monitor = rule.get("monitor", "val_loss")
    count, best = expected_stop(curve[monitor], **{k: v for k, v in rule.items() if k != "monitor"})
    assert len(history.history["loss"]) == count
    for key, values in history.history.items():
        assert values == curve[key][:count]
    stopped = count < len(curve["loss"])
    assert stopping.stopped_epoch == (count - 1 if stopped else 0)
    if best is not None:
        assert stopping.best_epoch == best
        assert stopping.best == pytest.approx(curve[monitor][best], rel=1e-6)


@pytest.mark.parametrize(("monitor", "mode"), [
    ("val_loss", "min"), ("loss", "min"), ("val_accuracy", "max"), ("accuracy", "max")])
def test_the_automatic_mode_knows_what_is_better(monitor, mode):
    results = []
    for given in ("auto", mode):
        stopping = callbacks.EarlyStopping(monitor=monitor, patience=3, mode=given)
        _, history, _ = run([stopping])
        results.append((history.history, stopping.best_epoch, stopping.stopped_epoch))
    assert results[0] == results[1]


def snapshots(into):
    return Each(lambda model, epoch, logs: into.append(model.get_weights()))


ENDINGS = ["patience", "max epochs", "stop_training", "exception", "keyboard interrupt"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("restore", [True, False])
def test_best_weights_come_back_whatever_ended_the_run(ending, restore, curve):
    taken = []
    best = int(np.argmin(curve["val_loss"]))
    last = best + 6

    def end(model, epoch, logs):
        if epoch == last:
            if ending == "stop_training":
                model.stop_training = True
            elif ending == "exception":
                raise LookupError("mine")
            elif ending == "keyboard interrupt":
                raise KeyboardInterrupt

    stopping = callbacks.EarlyStopping(patience=6 if ending == "patience" else 10**6, restore_best_weights=restore)
    model, x, y, validation = overfitting()
    arguments = {"batch_size": 8, "epochs": last + 1 if ending == "max epochs" else 60, "verbose": 0,
                 "validation_data": validation, "callbacks": [snapshots(taken), stopping, Each(end)]}
    if ending in ("exception", "keyboard interrupt"):
        with pytest.raises(LookupError if ending == "exception" else KeyboardInterrupt):
            model.fit(x, y, **arguments)
    else:
        model.fit(x, y, **arguments)
    assert len(taken) == last + 1
    assert model.history.history == {key: values[:last + 1] for key, values in curve.items()}
    assert same_bits(model.get_weights(), taken[best if restore else last])
    assert stopping.best_epoch == best
    if restore:
        assert model.evaluate(*validation, verbose=0, return_dict=True)["loss"] == pytest.approx(
            curve["val_loss"][best], rel=1e-6)


@pytest.mark.parametrize("patience", [0, 1])
def test_the_first_epoch_never_ends_a_run(patience):
    """Even if its value is not a number, which no epoch is worse than."""
    values = iter([math.nan, 3.0, 4.0, 5.0])
    model = compiled([layers.Dense(1)], loss="mse", n_features=2, metrics=[lambda t, y: next(values)])
    stopping = callbacks.EarlyStopping("<lambda>", mode="max", patience=patience)
    history = model.fit(np.ones((4, 2)), np.ones(4), epochs=4, verbose=0, callbacks=[stopping])
    assert history.epoch == [0, 1, 2, 3]
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (5.0, 3, 0)
    own = callbacks.EarlyStopping("value", mode="max", patience=patience)
    own.set_model(model)
    model.stop_training = False
    own.on_train_begin()
    own.on_epoch_end(0, {"value": math.nan})
    assert not model.stop_training
    own.on_epoch_end(1, {"value": math.nan})
    assert model.stop_training


def test_restoring_is_the_default():
    assert callbacks.EarlyStopping().restore_best_weights is True
    assert callbacks.EarlyStopping().monitor == "val_loss"
    assert callbacks.EarlyStopping().patience == 0


def test_moving_statistics_are_part_of_the_best_weights():
    taken = []
    model, x, y, validation = overfitting(middle=[layers.BatchNormalization(momentum=0.9)])
    stopping = callbacks.EarlyStopping(patience=10**6)
    model.fit(x, y, epochs=60, batch_size=8, verbose=0, validation_data=validation,
              callbacks=[snapshots(taken), stopping])
    best = stopping.best_epoch
    assert 0 < best < 59, "the best epoch must be another than the last"
    assert same_bits(model.get_weights(), taken[best])
    assert not same_bits(taken[best][4:6], taken[-1][4:6])


def test_one_stopping_can_be_used_again():
    stopping = callbacks.EarlyStopping(patience=3)
    first, second = run([stopping])[1].history, run([stopping])[1].history
    assert first == second


def test_two_stoppings_in_one_fit(curve):
    early, late = callbacks.EarlyStopping(patience=2), callbacks.EarlyStopping(monitor="loss", patience=50)
    _, history, _ = run([late, early])
    assert len(history.history["loss"]) == expected_stop(curve["val_loss"], patience=2)[0]


# ------------------------------------------------------------------------------------------ callbacks of one's own

def test_order_of_calls():
    calls = []
    run([Recorder("a", calls), Recorder("b", calls)], epochs=2)
    expected = [("begin", None), ("epoch begin", 0), ("epoch end", 0), ("epoch begin", 1), ("epoch end", 1),
                ("end", None)]
    assert calls == [(name, *call) for call in expected for name in "ab"]


def test_no_epoch_begins_that_does_not_run():
    calls = []
    _, history, _ = run([Recorder("", calls), callbacks.EarlyStopping(patience=2)])
    epochs = len(history.history["loss"])
    assert 2 < epochs < 60
    assert [epoch for _, what, epoch in calls if what == "epoch begin"] == list(range(epochs))
    assert [what for _, what, _ in calls[-2:]] == ["epoch end", "end"]


def test_logs_are_the_history_of_the_epoch(curve):
    seen = []
    _, history, _ = run([Each(lambda model, epoch, logs: seen.append((epoch, dict(logs))))], epochs=3)
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    for epoch, logs in seen:
        assert logs == {key: values[epoch] for key, values in curve.items()}
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(type(value) is float for logs in (logs for _, logs in seen) for value in logs.values())


def test_all_callbacks_run_in_the_epoch_that_stops():
    calls = []

    def stop(model, epoch, logs):
        model.stop_training = True

    _, history, _ = run([Recorder("a", calls), Each(stop), Recorder("b", calls)], epochs=9)
    ends = [(name, epoch) for name, what, epoch in calls if what == "epoch end"]
    assert ends == [("a", 0), ("b", 0)]
    assert len(history.history["loss"]) == 1
    assert ("b", "end", None) in calls


def test_the_callback_sees_the_weights_of_its_epoch(curve):
    model, x, y, validation = overfitting()
    seen = []
    model.fit(x, y, batch_size=8, epochs=4, verbose=0, validation_data=validation, callbacks=[
        Each(lambda m, epoch, logs: seen.append(m.evaluate(*validation, verbose=0, return_dict=True)["loss"]))])
    assert seen == pytest.approx(curve["val_loss"][:4], rel=1e-5)


@pytest.mark.parametrize("action", ["get_weights", "predict", "evaluate", "save", "summary"])
def test_what_is_allowed_inside_does_not_change_the_run(action, curve, tmp_path):
    model, x, y, validation = overfitting()
    actions = {
        "get_weights": lambda m: m.get_weights(), "predict": lambda m: m.predict(x),
        "evaluate": lambda m: m.evaluate(x, y, verbose=0), "save": lambda m: m.save(str(tmp_path / "a.safetensors")),
        "summary": lambda m: str(m),
    }
    history = model.fit(x, y, batch_size=8, epochs=4, verbose=0, validation_data=validation,
                        callbacks=[Each(lambda m, epoch, logs: actions[action](m))])
    assert history.history == {key: values[:4] for key, values in curve.items()}


@pytest.mark.parametrize("action", ["fit", "compile"])
def test_what_is_forbidden_inside_raises(action):
    model, x, y, _ = overfitting()
    actions = {"fit": lambda m: m.fit(x, y, verbose=0), "compile": lambda m: m.compile(loss="mse", optimizer="sgd")}
    with pytest.raises(RuntimeError, match=f"{action}.*callback|callback.*{action}"):
        model.fit(x, y, epochs=3, verbose=0, callbacks=[Each(lambda m, epoch, logs: actions[action](m))])
    assert len(model.history.history["loss"]) == 1
    model.fit(x, y, verbose=0)


def test_setting_the_rate_acts_from_the_next_step_and_replaces_the_schedule():
    x, y = line(32, 3)

    def train(rate, given):
        model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(rate), n_features=3)
        taken = []
        model.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[snapshots(taken), *given])
        return taken

    def set_rate(model, epoch, logs):
        if epoch == 0:
            model.learning_rate = 0.001

    def set_late(model, epoch, logs):
        if epoch == 1:
            model.learning_rate = 0.001

    constant, changed = train(0.1, []), train(0.1, [Each(set_rate)])
    expected = train(schedules.PiecewiseConstantDecay([3], [0.1, 0.001]), [])
    assert same_bits(constant[0], changed[0])
    assert not same_bits(constant[1], changed[1])
    assert all(same_bits(a, b) for a, b in zip(changed, expected, strict=True))
    late = train(schedules.PiecewiseConstantDecay([3], [0.1, 0.05]), [Each(set_late)])
    expected = train(schedules.PiecewiseConstantDecay([3, 7], [0.1, 0.05, 0.001]), [])
    assert all(same_bits(a, b) for a, b in zip(late, expected, strict=True))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "fast"])
def test_a_bad_rate_set_inside_is_an_error(value):
    model, x, y, _ = overfitting()

    def set_rate(model, epoch, logs):
        model.learning_rate = value

    with pytest.raises((ValueError, TypeError), match="learning_rate"):
        model.fit(x, y, verbose=0, callbacks=[Each(set_rate)])


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"])
def test_an_exception_in_any_hook_reaches_the_caller(hook):
    model, x, y, _ = overfitting()

    class Fails(callbacks.Callback):
        pass

    def fail(self, *args, **keywords):
        raise LookupError("mine")

    setattr(Fails, hook, fail)
    with pytest.raises(LookupError, match="mine"):
        model.fit(x, y, epochs=3, verbose=0, callbacks=[Fails()])
    assert finite(model.get_weights())
    assert len(model.fit(x, y, epochs=2, verbose=0).history["loss"]) == 2


def test_the_exceptions_traceback_shows_the_callback():
    model, x, y, _ = overfitting()

    def the_guilty_one(model, epoch, logs):
        raise LookupError("mine")

    with pytest.raises(LookupError) as caught:
        model.fit(x, y, verbose=0, callbacks=[Each(the_guilty_one)])
    assert any(entry.name == "the_guilty_one" for entry in caught.traceback)


def test_stop_training_does_not_outlive_the_fit():
    def stop(model, epoch, logs):
        model.stop_training = True

    model, x, y, _ = overfitting()
    model.fit(x, y, epochs=5, verbose=0, callbacks=[Each(stop)])
    assert len(model.fit(x, y, epochs=3, verbose=0).history["loss"]) == 3


def test_a_callback_does_not_change_the_result():
    plain = run([], epochs=5)[0]
    watched = run([Recorder()], epochs=5)[0]
    assert same_bits(plain.get_weights(), watched.get_weights())


def test_the_callback_knows_its_model_and_parameters():
    seen = {}

    class Looks(callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen["model"] = self.model

    model, x, y, _ = overfitting()
    model.fit(x, y, verbose=0, callbacks=[Looks()])
    assert seen["model"] is model
