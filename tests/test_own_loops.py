"""Early stopping in a user's own loop, as in Keras; the diagnosis of histories; and a line for every epoch.

The oracle of early stopping below is written independently, from the documentation of Keras 3. That `fit` follows the
same rule is tested by passing the history of a fit to a loop.
"""

import copy
import math
import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, diagnosis, layers
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import overfitting

NAN = math.nan


class Model:
    """What a loop may have instead of a Sequential."""

    def __init__(self):
        self.stop_training = False
        self.weights = 0
        self.brought_back = []

    def get_weights(self):
        return [np.array([self.weights], np.float32)]

    def set_weights(self, weights):
        self.brought_back.append(int(weights[0][0]))


def drive(stopping, values, model=None, key="val_loss"):
    """The epoch after which a loop ends, or None; the weights of a Model are the number of the epoch."""
    if model is not None:
        stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, value in enumerate(values):
        if isinstance(model, Model):
            model.weights = epoch
        stopping.on_epoch_end(epoch, {key: value})
        if model.stop_training if model is not None else stopping.stopped_epoch > 0:
            return epoch
    return None


def oracle(values, patience=0, min_delta=0.0, mode="min", baseline=None, start=0):
    """(epoch after which to stop or None, best epoch or None)."""
    sign = 1 if mode == "max" else -1
    best, best_epoch, waited = None, None, 0
    for epoch, value in enumerate(values):
        if epoch < start:
            continue
        waited += 1
        if (best is None and not math.isnan(value)) or (best is not None and sign * (value - best) > min_delta):
            best, best_epoch = value, epoch
            if baseline is None or sign * (value - baseline) > min_delta:
                waited = 0
            continue
        if waited >= patience and epoch > 0:
            return epoch, best_epoch
    return None, best_epoch


RULES = [
    ([5.0, 4.0, 3.0, 3.0, 3.0, 3.0], {"patience": 2}),
    ([5.0, 4.0, 4.5, 3.0, 3.5, 3.6, 3.7], {"patience": 3}),
    ([1.0, 0.9, 0.85, 0.84, 0.83], {"patience": 2, "min_delta": 0.2}),
    ([0.1, 0.5, 0.4, 0.4, 0.9], {"patience": 2, "mode": "max"}),
    ([5.0, 4.0, 3.0, 2.0], {"patience": 2, "baseline": 1.0}),
    ([5.0, 0.5, 3.0, 2.0, 4.0], {"patience": 2, "baseline": 1.0}),
    ([1.0, 2.0, 3.0, 0.5, 4.0, 5.0], {"patience": 1, "start": 3}),
    ([NAN, NAN, 2.0, NAN, NAN, NAN], {"patience": 3}),
    ([NAN, NAN, NAN], {"patience": 1}),
    ([3.0, 4.0], {"patience": 0}),
]


@pytest.mark.parametrize(("values", "rule"), RULES)
@pytest.mark.parametrize("with_model", [False, True])
def test_a_loop_stops_by_the_rules(values, rule, with_model):
    stops, best = oracle(values, **rule)
    arguments = dict(rule)
    arguments["start_from_epoch"] = arguments.pop("start", 0)
    model = Model() if with_model else None
    stopping = callbacks.EarlyStopping(**arguments)
    assert drive(stopping, values, model) == stops
    assert stopping.stopped_epoch == (stops or 0)
    assert stopping.best_epoch == (best or 0)
    assert stopping.best == (None if best is None else values[best])
    if model is not None:
        assert model.stop_training == (stops is not None)
        stopping.on_train_end()
        assert set(model.brought_back) <= {best}
        assert bool(model.brought_back) == (best is not None)
        # Once more, with what it has seen forgotten.
        fresh = Model()
        assert drive(stopping, values, fresh) == stops


@given(
    values=st.lists(st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.0, NAN]), min_size=1, max_size=12),
    patience=st.integers(0, 4),
    min_delta=st.sampled_from([0.0, 0.25]),
    mode=st.sampled_from(["min", "max"]),
    baseline=st.sampled_from([None, 0.75]),
    start=st.integers(0, 3),
)
@settings(max_examples=300, deadline=None)
def test_any_loop_stops_by_the_rules(values, patience, min_delta, mode, baseline, start):
    stopping = callbacks.EarlyStopping(
        patience=patience, min_delta=min_delta, mode=mode, baseline=baseline, start_from_epoch=start
    )
    expected = oracle(values, patience, min_delta, mode, baseline, start)
    assert (drive(stopping, values), stopping.best_epoch) == (expected[0], expected[1] or 0)


def test_weights_are_brought_back_only_where_asked_for():
    model = Model()
    assert drive(callbacks.EarlyStopping(patience=1, restore_best_weights=False), [1.0, 0.5, 2.0, 3.0], model) == 2
    assert model.brought_back == []


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_a_loop_stops_where_fit_does(patience):
    """A fit's history, played to a loop, stops it after the same epoch, with the same best one."""
    model, x, y, validation = overfitting()
    stopping = callbacks.EarlyStopping(patience=patience)
    history = model.fit(x, y, epochs=200, verbose=0, validation_data=validation, callbacks=[stopping])
    found = (stopping.stopped_epoch, stopping.best_epoch, stopping.best)
    assert found[0] > 0
    again = callbacks.EarlyStopping(patience=patience)
    assert drive(again, history.history["val_loss"]) == found[0]
    assert (again.stopped_epoch, again.best_epoch, again.best) == found


def test_a_loop_of_single_epochs_is_a_fit_with_early_stopping():
    """Epoch by epoch through fit, with the weights of a Sequential brought back: bit for bit the fit in one call."""
    whole, x, y, validation = overfitting()
    stopping = callbacks.EarlyStopping(patience=2)
    history = whole.fit(x, y, epochs=200, verbose=0, validation_data=validation, callbacks=[stopping])
    parts, *_ = overfitting()
    by_hand = callbacks.EarlyStopping(patience=2)
    by_hand.set_model(parts)
    by_hand.on_train_begin()
    for epoch in range(200):
        one = parts.fit(x, y, initial_epoch=epoch, epochs=epoch + 1, verbose=0, validation_data=validation)
        by_hand.on_epoch_end(epoch, {key: values[-1] for key, values in one.history.items()})
        if parts.stop_training:
            break
    assert epoch == len(history.epoch) - 1
    assert by_hand.best_epoch == stopping.best_epoch
    assert all(np.array_equal(a, b) for a, b in zip(parts.get_weights(), whole.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("key", "values"),
    [("val_accuracy", [0.5, 0.6, 0.55, 0.5]), ("acc", [0.5, 0.6, 0.5, 0.5]), ("mae", [2.0, 1.0, 1.5, 1.6])],
)
def test_auto_goes_by_the_name_without_a_model(key, values):
    stopping = callbacks.EarlyStopping(monitor=key, patience=2)
    assert drive(stopping, values, key=key) == 3
    assert stopping.best_epoch == 1


def test_auto_goes_by_the_metrics_of_a_model():
    model = fr.Sequential([layers.Dense(1, "sigmoid")], seed=0)
    model.compile("adam", "binary_crossentropy", [fr.metrics.BinaryAccuracy(name="hits")])
    model.build(2)
    stopping = callbacks.EarlyStopping(monitor="val_hits", patience=2)
    assert drive(stopping, [0.5, 0.6, 0.55, 0.5], model, key="val_hits") == 3
    assert stopping.best_epoch == 1


def test_a_key_that_is_not_there():
    stopping = callbacks.EarlyStopping(monitor="val_los")
    with pytest.raises(ValueError, match=r"unknown monitor 'val_los'; this run has: loss, val_loss \(did you mean"):
        stopping.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})
    stopping = callbacks.EarlyStopping(monitor="loss", patience=3)
    stopping.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(ValueError, match="logs must have 'loss' in each epoch, got val_loss"):
        stopping.on_epoch_end(1, {"val_loss": 2.0})


class Loud(callbacks.EarlyStopping):
    """A subclass that passes the hooks on, as one of Keras's would."""

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        super().on_train_end(logs)


def test_within_a_fit_each_epoch_is_judged_once():
    plain, x, y, validation = overfitting()
    loud, *_ = overfitting()
    stoppers = callbacks.EarlyStopping(patience=2), Loud(patience=2)
    for model, stopping in zip((plain, loud), stoppers, strict=True):
        model.fit(x, y, epochs=200, verbose=0, validation_data=validation, callbacks=[stopping])
    assert stoppers[0].stopped_epoch == stoppers[1].stopped_epoch > 0
    assert stoppers[0].best == stoppers[1].best
    assert all(np.array_equal(a, b) for a, b in zip(plain.get_weights(), loud.get_weights(), strict=True))


def test_a_callback_may_drive_another_one():
    """Early stopping inside a user's callback that passes its calls on works as in a loop of one's own."""

    class Both(callbacks.Callback):
        def __init__(self):
            self.inner = callbacks.EarlyStopping(patience=2)

        def on_train_begin(self, logs=None):
            self.inner.set_model(self.model)
            self.inner.on_train_begin()

        def on_epoch_end(self, epoch, logs=None):
            self.inner.on_epoch_end(epoch, logs)

    plain, x, y, validation = overfitting()
    stopping, both = callbacks.EarlyStopping(patience=2), Both()
    plain.fit(x, y, epochs=200, verbose=0, validation_data=validation, callbacks=[stopping])
    wrapped, *_ = overfitting()
    history = wrapped.fit(x, y, epochs=200, verbose=0, validation_data=validation, callbacks=[both])
    assert history.stopped_by == "callback"
    assert both.inner.stopped_epoch == stopping.stopped_epoch
    assert all(np.array_equal(a, b) for a, b in zip(plain.get_weights(), wrapped.get_weights(), strict=True))


def test_early_stopping_alone_does_not_enter_python_between_epochs(monkeypatch):
    def fails(*arguments):
        raise AssertionError("entered")

    monkeypatch.setattr("fastreg.model.run.Run.on_epoch", fails)
    model, x, y, validation = overfitting()
    model.fit(x, y, epochs=5, verbose=0, validation_data=validation, callbacks=[callbacks.EarlyStopping(patience=2)])


def test_a_driven_one_can_be_copied_and_pickled():
    stopping = callbacks.EarlyStopping(patience=2)
    for epoch, value in enumerate([1.0, 0.5, 0.7]):
        stopping.on_epoch_end(epoch, {"val_loss": value})
    for other in (copy.deepcopy(stopping), pickle.loads(pickle.dumps(stopping))):
        other.on_epoch_end(3, {"val_loss": 0.8})
        assert (other.stopped_epoch, other.best_epoch) == (3, 1)
    assert stopping.stopped_epoch == 0


# diagnose and learning_curves


CURVES = {
    "over-fitting": {"loss": [1.0, 0.5, 0.1], "val_loss": [1.0, 0.6, 0.8]},
    "under-fitting": {"loss": [4.0, 3.0, 2.0, 1.5, 1.0], "val_loss": [4.0, 3.0, 2.0, 1.5, 1.1]},
    "good fit": {"loss": [1.0, 0.5, 0.4, 0.39, 0.38], "val_loss": [1.0, 0.6, 0.5, 0.49, 0.48]},
    "diverged": {"loss": [1.0, NAN], "val_loss": [1.0, NAN]},
}
SCORES = {
    "over-fitting": ([0.7, 0.99], [0.6, 0.9]),
    "under-fitting": ([0.5, 0.6], [0.5, 0.6]),
    "good fit": ([0.7, 0.97], [0.7, 0.96]),
}


def as_history(values):
    history = callbacks.History()
    history.history = values
    history.epoch = list(range(len(values["loss"])))
    return history


@pytest.mark.parametrize("verdict", CURVES)
def test_a_history_is_judged_by_its_losses(verdict):
    assert diagnosis.diagnose(CURVES[verdict]).verdict == verdict
    assert diagnosis.diagnose(as_history(CURVES[verdict])) == diagnosis.diagnose(CURVES[verdict])


@pytest.mark.parametrize("verdict", SCORES)
@pytest.mark.parametrize("key", ["accuracy", "acc", "sparse_categorical_accuracy"])
def test_a_history_is_judged_by_its_accuracy(verdict, key):
    train, held_out = SCORES[verdict]
    values = {"loss": [1.0, 0.5], key: train, "val_loss": [1.0, 0.5], f"val_{key}": held_out}
    found = diagnosis.diagnose(as_history(values))
    assert found.verdict == verdict
    assert found == diagnosis.diagnose(train[-1], held_out[-1], [1.0, 0.5])
    assert found == diagnosis.diagnose(values, score=key, best_epoch=1)


def test_the_epoch_whose_weights_were_kept():
    values = CURVES["over-fitting"]
    assert diagnosis.diagnose(values, best_epoch=1).verdict != "over-fitting"


def test_a_fit_is_judged():
    model, x, y, validation = overfitting()
    history = model.fit(x, y, epochs=150, verbose=0, validation_data=validation)
    assert diagnosis.diagnose(history).verdict == "over-fitting"
    assert diagnosis.diagnose(history.history) == diagnosis.diagnose(model.history)


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        (({"loss": [1.0]},), {}, ValueError, "the history must have validation values"),
        (({},), {}, ValueError, "the history must have validation values"),
        (({"loss": [1.0], "val_loss": [1.0]},), {"best_epoch": 1}, ValueError, r"must be in \[0, 1\), got 1"),
        (({"loss": [1.0], "val_loss": [1.0]},), {"score": "r2"}, ValueError, "score must be one of loss, got 'r2'"),
        (({"loss": [1.0], "val_loss": [1.0]}, 0.9), {}, TypeError, "give a history alone"),
        ((1.0,), {}, TypeError, "give a history with validation values, or two scores, got 1.0 and None"),
        (("good", "bad"), {}, TypeError, "or two scores, got 'good' and 'bad'"),
        ((1.0, 1.0), {"best_epoch": 1}, TypeError, "go with a history"),
    ],
)
def test_what_cannot_be_judged(arguments, keywords, error, message):
    with pytest.raises(error, match=message):
        diagnosis.diagnose(*arguments, **keywords)


def test_learning_curves_take_a_history():
    pytest.importorskip("matplotlib")
    one, several = as_history(CURVES["good fit"]), {"a": as_history(CURVES["good fit"]), "b": CURVES["over-fitting"]}
    assert len(fr.plots.learning_curves(one).axes) == 1
    assert len(fr.plots.learning_curves(several).axes) == 2


# verbose=2


@pytest.mark.parametrize("epochs", [1, 5, 200])
def test_verbose_2_has_a_line_for_each_epoch(epochs, capfd):
    model, x, y, validation = overfitting()
    model.fit(x, y, epochs=epochs, verbose=2, validation_data=validation)
    captured = capfd.readouterr()
    assert captured.out == ""
    heads = [line.split(" - ")[0] for line in captured.err.splitlines()]
    assert heads == [f"Epoch {epoch}/{epochs}" for epoch in range(1, epochs + 1)]


def test_verbose_2_shows_each_epoch_of_a_run_that_is_stopped(capfd):
    model, x, y, validation = overfitting()
    stopping = callbacks.EarlyStopping(patience=2)
    history = model.fit(x, y, epochs=200, verbose=2, validation_data=validation, callbacks=[stopping])
    lines = capfd.readouterr().err.splitlines()
    assert [int(line.split()[1].split("/")[0]) for line in lines] == [epoch + 1 for epoch in history.epoch]
