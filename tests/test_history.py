"""A run that diverges, the history of every run, and rates that are set before and within one."""

from __future__ import annotations

import re

import fastreg as fr
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


def snapshots(into):
    return Each(lambda model, epoch, logs: into.append(model.get_weights()))


# ------------------------------------------------------------------------------------------- divergence and history

@pytest.mark.parametrize("stopping", [True, False])
def test_a_diverging_run_says_step_and_rate_and_keeps_finite_weights(stopping):
    x, y = line(64, 3)
    rate = schedules.PiecewiseConstantDecay([15], [0.05, 1e20])
    model = compiled([layers.Dense(8, activation="relu"), layers.BatchNormalization(), layers.Dense(1)], loss="mse",
                     optimizer=optimizers.SGD(rate), n_features=3)
    start, taken = model.get_weights(), []
    given = [callbacks.EarlyStopping(monitor="loss", patience=50)] if stopping else []
    with pytest.raises(fr.DivergenceError) as caught:
        model.fit(x, y, batch_size=8, epochs=50, verbose=0, callbacks=[*given, snapshots(taken)])
    message = str(caught.value)
    assert "step" in message
    assert re.search(r"1e\+?20", message)
    steps = [int(n) for n in re.findall(r"step (\d+)", message)]
    assert steps
    assert 15 <= steps[0] <= 24
    assert isinstance(caught.value, ArithmeticError)
    assert finite(model.get_weights())
    assert not same_bits(model.get_weights(), start)
    assert len(model.history.history["loss"]) >= 1
    assert np.isfinite(model.history.history["loss"]).all()
    if stopping:
        assert same_bits(model.get_weights(), taken[int(np.argmin(model.history.history["loss"]))])
    model.compile(optimizer=optimizers.SGD(0.01), loss="mse")
    again = model.fit(x, y, batch_size=8, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(again).all()


def test_divergence_in_the_first_epoch_keeps_finite_weights():
    x, y = line(64, 3)
    model = compiled([layers.Dense(8), layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(1e25), n_features=3)
    with pytest.raises(fr.DivergenceError, match=r"1e\+?25"):
        model.fit(x, y, batch_size=8, epochs=5, verbose=0)
    assert finite(model.get_weights())
    assert np.isfinite(model.predict(x)).all()


def test_saturated_outputs_are_no_divergence():
    """Cross-entropy from logits stays finite at probabilities of exactly 0 and 1."""
    x = np.array([[1.0], [-1.0]], np.float32) * 1000
    y = np.array([0.0, 1.0], np.float32)
    model = compiled([layers.Dense(1, activation="sigmoid", kernel_initializer="ones")], optimizer="adam")
    loss = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
    assert loss[0] == pytest.approx(1000, rel=1e-3)


def test_history_has_a_row_for_every_epoch_and_counts_on():
    model, x, y, validation = overfitting()
    first = model.fit(x, y, epochs=3, verbose=0, validation_data=validation)
    assert list(first.epoch) == [0, 1, 2]
    assert model.history is first
    second = model.fit(x, y, epochs=2, verbose=0)
    assert list(second.epoch) == [0, 1], "counted within a call, as in Keras"
    assert set(second.history) == {"loss", "accuracy"}
    assert all(len(values) == 2 for values in second.history.values())
    assert list(first.epoch) == [0, 1, 2]


def test_history_is_plain_python():
    _, history, _ = run([], epochs=2)
    assert type(history.history) is dict
    assert all(type(values) is list and all(type(value) is float for value in values)
               for values in history.history.values())


def test_the_recorded_loss_is_what_evaluate_gives():
    """Validation is over all rows, not a mean of batch means: a last batch of 8 rows must not count as 32."""
    model, x, y, validation = overfitting()
    history = model.fit(x, y, epochs=1, verbose=0, validation_data=validation).history
    scores = model.evaluate(*validation, verbose=0, return_dict=True, batch_size=7)
    assert scores["loss"] == pytest.approx(history["val_loss"][0], rel=1e-6)
    assert scores["accuracy"] == pytest.approx(history["val_accuracy"][0], rel=1e-9)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin"])
@pytest.mark.parametrize("rate", [0.5, schedules.ExponentialDecay(0.5, 10, 0.9)])
def test_a_rate_set_before_the_first_step_holds(hook, rate):
    """The rate 1e-12 moves nothing; the one that compile was given would."""
    x, y = line(32, 2)
    callback = callbacks.Callback()
    setattr(callback, hook, lambda *_: setattr(callback.model, "learning_rate", 1e-12))
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(rate), n_features=2)
    before = model.get_weights()
    model.fit(x, y, verbose=0, callbacks=[callback])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-9)


@pytest.mark.parametrize("verbose", [0, 2])
def test_stop_training_set_before_the_first_epoch_ends_after_it(verbose):
    class Stop(callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.stop_training = True

    model = compiled([layers.Dense(1)], loss="mse")
    assert model.fit(*line(32, 2), epochs=5, verbose=verbose, callbacks=[Stop()]).epoch == [0]


def test_hooks_put_on_an_instance_are_called_with_logs():
    seen = []
    callback = callbacks.Callback()
    callback.on_epoch_begin = lambda epoch, logs: seen.append(("begin", epoch, logs))
    callback.on_epoch_end = lambda epoch, logs: seen.append(("end", epoch, sorted(logs)))
    compiled([layers.Dense(1)], loss="mse").fit(*line(32, 2), epochs=2, verbose=0, callbacks=[callback])
    assert seen == [("begin", 0, {}), ("end", 0, ["loss"]), ("begin", 1, {}), ("end", 1, ["loss"])]


def test_a_run_that_is_already_over_does_nothing():
    recorder = Recorder()
    model = compiled([layers.Dense(1)], loss="mse", n_features=2)
    before = model.get_weights()
    history = model.fit(*line(32, 2), epochs=3, initial_epoch=3, callbacks=[recorder])
    assert history.epoch == []
    assert same_bits(before, model.get_weights())
    assert [call[1] for call in recorder.calls] == ["begin", "end"]


def test_rates_are_asked_for_as_the_run_goes():
    """A run of 1e12 steps that stops after two epochs never evaluates the schedule of the rest."""
    asked = []

    def schedule(step):
        asked.append(step)
        return 0.1 if step < 8 else 0.0

    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(schedule), n_features=2)
    stop = callbacks.EarlyStopping("loss", patience=1, restore_best_weights=False)
    history = model.fit(*line(32, 2), batch_size=4, epochs=10**11, verbose=0, callbacks=[stop])
    assert 2 <= len(history.epoch) <= 4
    assert asked == list(range(len(asked)))
    assert len(asked) < 10**6


def test_blocks_of_rates_join_without_a_gap(monkeypatch):
    x, y = line(32, 2)

    def trained():
        rate = schedules.CosineDecay(0.1, 100)
        model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(rate), n_features=2)
        model.fit(x, y, batch_size=4, epochs=12, verbose=0)
        return model.get_weights()

    whole = trained()
    monkeypatch.setattr("fastreg.model.run._RATES_BLOCK", 17)
    assert same_bits(whole, trained())


def test_divergence_in_the_last_update_names_its_step_and_rate():
    x, y = line(32, 2)
    rates = schedules.PiecewiseConstantDecay([6], [0.01, 3e38])
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(rates), n_features=2)
    with pytest.raises(fr.DivergenceError) as caught:
        model.fit(x, y * 1e3, batch_size=4, epochs=1, shuffle=False, verbose=0)
    assert caught.value.step == 7
    assert caught.value.learning_rate == pytest.approx(3e38)
    assert finite(model.get_weights())


# Validation of some epochs only.


def _with_frequency(freq, **options):
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    model = fr.Sequential([layers.Dense(1, "sigmoid")], seed=0)
    model.compile(fr.optimizers.Adam(0.1), "binary_crossentropy", ["accuracy"])
    data = (x[40:], y[40:])
    return model.fit(x[:40], y[:40], epochs=10, validation_data=data, validation_freq=freq, verbose=0, **options)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("freq", "first", "epochs"),
    [(1, 0, list(range(10))), (3, 0, [2, 5, 8]), ([2, 5, 10], 0, [1, 4, 9]), (4, 5, [7]), ([1], 5, [])],
)
def test_values_of_validation_are_at_their_epochs(freq, first, epochs, own):
    callbacks = [fr.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)] if own else None
    found = _with_frequency(freq, initial_epoch=first, callbacks=callbacks)
    every = _with_frequency(1, initial_epoch=first)
    assert found.epoch == every.epoch == list(range(first, 10))
    assert found.validation_epoch == epochs
    assert [every.history["val_loss"][epoch - first] for epoch in epochs] == found.history.get("val_loss", [])
    rows = re.findall(r"<tr><td[^>]*>(\d+)</td>(.*?)</tr>", found._repr_html_())
    shown = {int(epoch) - 1: re.findall(r"<td[^>]*>([^<]*)</td>", cells) for epoch, cells in rows}
    column = list(found.history).index("val_loss") if epochs else None
    if epochs:
        assert {epoch for epoch, cells in shown.items() if cells[column]} == set(epochs)
        lines = {line.get_label(): line for line in fr.plots.learning_curves(found).axes[0].lines}
        assert lines["training"].get_xdata().tolist() == list(range(1, 11 - first))
        assert lines["validation"].get_xdata().tolist() == [epoch - first + 1 for epoch in epochs]
        assert lines["validation"].get_ydata().tolist() == found.history["val_loss"]


def test_a_diagnosis_compares_values_of_one_epoch():
    found = _with_frequency(3)
    last, best = fr.diagnosis.diagnose(found), fr.diagnosis.diagnose(found, best_epoch=2)
    history = found.history
    for verdict, place, kept in ((last, 8, 2), (best, 2, 0)):
        values = history["accuracy"][place], history["val_accuracy"][kept], history["val_loss"][: kept + 1]
        assert verdict == fr.diagnosis.diagnose(*values)
    with pytest.raises(ValueError, match=r"^diagnose: best_epoch must be one that a validation followed, got 3$"):
        fr.diagnosis.diagnose(found, best_epoch=3)


def test_a_dict_does_not_know_its_epochs():
    history = _with_frequency(3).history
    for call in (fr.plots.learning_curves, fr.diagnosis.diagnose):
        with pytest.raises(ValueError, match=f"^{call.__name__}: .* each of its 10 epochs, got 3; the History"):
            call(history)


@pytest.mark.parametrize("watching", [[], [callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)]], ids=len)
def test_a_run_without_epochs_has_the_keys(watching):
    """So that what reads a history need not know how a run ended."""
    signal = callbacks.StopSignal()
    signal.set()
    model, x, y, validation = overfitting()
    options = {"verbose": 0, "validation_data": validation}
    history = model.fit(x, y, epochs=3, callbacks=[signal, *watching], **options)
    assert (history.epoch, history.validation_epoch, history.stopped_by) == ([], [], "stop_signal")
    assert history.history == {key: [] for key in overfitting()[0].fit(x, y, **options).history}
