"""Hooks around batches: when they are called, what they see and may change, and what they cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers, schedules
from programs import blobs, compiled, finite, same_bits, tutorial_layers

N, BATCH = 83, 16
STEPS = 6
X, Y = blobs(N, 10, 2)


def model(optimizer=None, **options):
    return compiled(tutorial_layers(), optimizer=optimizer or optimizers.Adam(schedules.CosineDecay(0.01, 30)), seed=11,
                    metrics=["accuracy", "auc"], **options)


def fit(net, epochs=3, given=(), **options):
    return net.fit(X, Y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=list(given), **options)


class Calls(callbacks.Callback):
    """Writes every call down."""

    def __init__(self):
        self.calls = []


def _noting(hook):
    def note(self, *arguments):
        self.calls.append((hook, *(one for one in arguments if isinstance(one, int))))

    return note


for _hook in callbacks.base.HOOKS:
    if not _hook.startswith("on_batch"):
        setattr(Calls, _hook, _noting(_hook))


def expected_calls(epochs, steps, validation):
    yield ("on_train_begin",)
    for epoch in range(epochs):
        yield "on_epoch_begin", epoch
        for step in range(steps):
            yield "on_train_batch_begin", step
            yield "on_train_batch_end", step
        if validation:
            yield ("on_test_begin",)
            for step in range(validation):
                yield "on_test_batch_begin", step
                yield "on_test_batch_end", step
            yield ("on_test_end",)
        yield "on_epoch_end", epoch
    yield ("on_train_end",)


@pytest.mark.parametrize("validation", [0, 2])
def test_order_of_calls(validation):
    calls = Calls()
    fit(model(), 2, [calls], validation_data=(X[:20], Y[:20]) if validation else None)
    assert calls.calls == list(expected_calls(2, STEPS, validation))


def test_hooks_change_no_result():
    plain, watched = model(), model()
    validation = X[:30], Y[:30]
    expected = fit(plain, validation_data=validation).history
    assert fit(watched, given=[Calls()], validation_data=validation).history == expected
    assert same_bits(plain.get_weights(), watched.get_weights())


def test_the_values_of_a_batch_are_those_of_the_epoch_up_to_it():
    """Of the last batch they are the epoch's; of the first those of its rows, AUC too."""
    seen = []
    note = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs)))
    net = model(optimizers.SGD(1e-30))
    history = fit(net, 1, [note], shuffle=False).history
    assert {key: values[-1] for key, values in history.items()} == seen[-1]
    without_dropout = compiled([layer for layer in tutorial_layers() if type(layer).__name__ == "Dense"],
                               optimizer=optimizers.SGD(1e-30), metrics=["accuracy", "auc"], seed=3)
    seen.clear()
    fit(without_dropout, 1, [note], shuffle=False)
    for step, logs in enumerate(seen):
        end = min((step + 1) * BATCH, N)
        for key, value in without_dropout.evaluate(X[:end], Y[:end], verbose=0, return_dict=True).items():
            assert logs[key] == pytest.approx(value, rel=1e-5), (step, key)


def test_a_hook_sees_and_sets_the_weights_after_its_batch():
    taken, net = [], compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1), n_features=10)
    target = X[:, 0]
    note = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: taken.append(net.get_weights()))
    net.fit(X, target, batch_size=BATCH, epochs=1, shuffle=False, verbose=0, callbacks=[note])
    steps = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1), n_features=10)
    for step, weights in enumerate(taken):
        steps.train_on_batch(X[step * BATCH:(step + 1) * BATCH], target[step * BATCH:(step + 1) * BATCH])
        assert same_bits(weights, steps.get_weights()), step

    def clip(batch, logs):
        net.set_weights([np.clip(weight, -0.01, 0.01) for weight in net.get_weights()])

    net.fit(X, target, batch_size=BATCH, epochs=2, verbose=0,
            callbacks=[callbacks.LambdaCallback(on_train_batch_end=clip)])
    assert max(np.abs(weight).max() for weight in net.get_weights()) <= np.float32(0.01)


def test_a_rate_that_a_hook_sets_holds_from_its_batch_on():
    rates = [0.1, 0.05, 0.01, 0.2, 0.003, 0.07]
    by_hook = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.5), n_features=10)

    def set_rate(batch, logs):
        by_hook.learning_rate = rates[batch]

    by_hook.fit(X, X[:, 0], batch_size=BATCH, verbose=0,
                callbacks=[callbacks.LambdaCallback(on_train_batch_begin=set_rate)])
    by_schedule = compiled([layers.Dense(1)], loss="mse", n_features=10,
                           optimizer=optimizers.SGD(schedules.ArraySchedule(rates)))
    by_schedule.fit(X, X[:, 0], batch_size=BATCH, verbose=0)
    assert same_bits(by_hook.get_weights(), by_schedule.get_weights())


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_batch_end"])
def test_a_hook_ends_the_run_after_its_batch(hook):
    """As in Keras: the epoch counts with what was trained of it, and is validated."""
    net, epochs = model(), []

    class Stops(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            epochs.append(epoch)

    def stop(self, batch, logs=None):
        if len(epochs) == 1 and batch == 2:
            self.model.stop_training = True

    setattr(Stops, hook, stop)
    history = fit(net, 5, [Stops()], validation_data=(X, Y))
    assert history.stopped_by == "callback"
    assert epochs == history.epoch == [0, 1]
    assert len(history.history["val_loss"]) == 2
    assert net._core.trainer.step == STEPS + 3
    fit(net, 1)
    assert net._core.trainer.step == 2 * STEPS + 3


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_test_batch_end", "on_test_begin"])
@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_an_exception_loses_nothing(hook, error):
    net, seen = model(), []
    stopping = callbacks.EarlyStopping(patience=99)

    def fail(*_):
        seen.append(1)
        if len(seen) == 2 * STEPS - 3:
            raise error("mine")

    with pytest.raises(error, match="mine"):
        fit(net, 20, [stopping, callbacks.LambdaCallback(**{hook: fail})], validation_data=(X[:40], Y[:40]))
    assert net.history.stopped_by == "error"
    assert len(net.history.history["loss"]) == len(net.history.epoch) >= 1
    assert finite(net.get_weights())
    assert stopping.best == min(net.history.history["val_loss"])
    fit(net, 1)


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_epoch_end", "on_test_batch_begin",
                                  "on_test_batch_end", "on_test_begin", "on_test_end"])
def test_an_exception_leaves_the_weights_of_the_last_step(hook):
    net, calls, last = model(), [], []
    net.build(10)
    start = net.get_weights()

    def fail(*_):
        calls.append(1)
        if len(calls) == 2:
            last.extend([net.get_weights(), net._core.trainer.step])
            raise LookupError

    with pytest.raises(LookupError):
        fit(net, 20, [callbacks.LambdaCallback(**{hook: fail})], validation_data=(X[:40], Y[:40]))
    assert not same_bits(last[0], start)
    assert same_bits(net.get_weights(), last[0])
    assert net._core.trainer.step == last[1] > 0


def test_batches_are_not_observed_without_a_hook(monkeypatch):
    monkeypatch.setattr("fastreg.model.run.Run.on_batch", lambda *_: pytest.fail("Python was called after a step"))
    monkeypatch.setattr("fastreg.model.run.scored", lambda *_: pytest.fail("Python validated"))
    fit(model(), given=[callbacks.EarlyStopping(), callbacks.ModelCheckpoint("no", save_best_only=True,
        initial_value_threshold=-1.0), callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)],
        validation_data=(X, Y))


def test_evaluate_and_predict_call_their_hooks(tmp_path):
    net, calls, outputs = model(), Calls(), []
    fit(net)
    expected = net.evaluate(X, Y, verbose=0, return_dict=True)
    seen = []
    note = callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: seen.append(logs))
    assert net.evaluate(X, Y, 32, verbose=0, callbacks=[calls, note], return_dict=True) == expected
    assert [name for name, *_ in calls.calls] == [
        "on_test_begin", *["on_test_batch_begin", "on_test_batch_end"] * 3, "on_test_end"]
    assert seen[-1]["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert seen[0]["accuracy"] == pytest.approx(net.evaluate(X[:32], Y[:32], verbose=0, return_dict=True)["accuracy"])
    calls.calls.clear()
    collect = callbacks.LambdaCallback(on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"]))
    found = net.predict(X, 32, callbacks=[calls, collect])
    assert [name for name, *_ in calls.calls] == [
        "on_predict_begin", *["on_predict_batch_begin", "on_predict_batch_end"] * 3, "on_predict_end"]
    assert same_bits([found], [net.predict(X)])
    assert same_bits([np.concatenate(outputs)], [found])
    with pytest.raises(TypeError, match=r"^evaluate: callbacks must be instances"):
        net.evaluate(X, Y, callbacks=[3])
    with pytest.raises(TypeError, match=r"^predict: callbacks must be instances"):
        net.predict(X, callbacks=[3])


@pytest.mark.parametrize("steps", [1, 2, 3, 99])
def test_steps_take_the_first_rows(steps):
    net = model()
    fit(net)
    end = min(steps * 30, N)
    assert net.evaluate(X, Y, 30, 0, None, steps) == net.evaluate(X[:end], Y[:end], verbose=0)
    assert same_bits([net.predict(X, 30, 0, steps)], [net.predict(X)[:end]])
    for call in (lambda: net.predict(X, steps=0), lambda: net.evaluate(X, Y, steps=0)):
        with pytest.raises(ValueError, match=r"^(predict|evaluate): steps must be >= 1, got 0"):
            call()


# ---------------------------------------------------------------------------------------- parts of an epoch, validation

@pytest.mark.parametrize("each", [1, 2, 4, 5, 6, 7, 12, 13])
@pytest.mark.parametrize("metrics", [["accuracy"], ["auc"]])
def test_epochs_of_any_number_of_steps_go_through_the_same_batches(each, metrics):
    """Whatever an epoch is, the batches are those of whole passes, one after another."""

    def trained(epochs, **options):
        net = compiled(tutorial_layers(), optimizer="adam", seed=11, metrics=metrics)
        history = net.fit(X, Y, batch_size=BATCH, epochs=epochs, verbose=0, **options)
        return net, history

    whole, _ = trained(each)
    parts, history = trained(STEPS, steps_per_epoch=each)
    assert same_bits(whole.get_weights(), parts.get_weights())
    assert len(history.history["loss"]) == STEPS
    assert all(np.isfinite(values).all() for values in history.history.values())
    again = compiled(tutorial_layers(), optimizer="adam", seed=11, metrics=metrics)
    for _ in range(STEPS):
        again.fit(X, Y, batch_size=BATCH, verbose=0, steps_per_epoch=each)
    assert same_bits(again.get_weights(), parts.get_weights())


def test_the_values_of_a_part_are_those_of_its_rows():
    net = compiled([layers.Dense(1, "sigmoid")], optimizer=optimizers.SGD(1e-30), metrics=["accuracy", "auc"],
                   n_features=10)
    history = net.fit(X, Y, batch_size=BATCH, epochs=3, verbose=0, steps_per_epoch=4, shuffle=False).history
    rows = np.concatenate([np.arange(N), np.arange(N), np.arange(N)])
    ends = [0, 64, 83 + 32, 166]
    for epoch in range(3):
        part = rows[ends[epoch]:ends[epoch + 1]]
        for key, value in net.evaluate(X, Y, rows=part, verbose=0, return_dict=True).items():
            assert history[key][epoch] == pytest.approx(value, rel=1e-5), (epoch, key)


@pytest.mark.parametrize(("freq", "epochs"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [2, 5]), (100, []), ([1, 4], [0, 3]),
                                             ({7}, [6])])
def test_validation_after_some_epochs(freq, epochs):
    seen = []
    note = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append("val_loss" in logs))
    always = fit(model(), 7, validation_data=(X, Y)).history
    for given in ([], [note]):
        found = fit(model(), 7, given, validation_data=(X, Y), validation_freq=freq).history
        assert found["loss"] == always["loss"]
        assert found.get("val_auc", []) == [always["val_auc"][epoch] for epoch in epochs]
    assert [epoch for epoch, there in enumerate(seen) if there] == epochs


def test_early_stopping_counts_validations_alone():
    net = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(1e-30), n_features=10)
    stopping = callbacks.EarlyStopping(patience=2)
    history = net.fit(X, X[:, 0], epochs=20, verbose=0, validation_split=0.2, validation_freq=3, callbacks=[stopping])
    assert (stopping.best_epoch, stopping.stopped_epoch) == (2, 8)
    assert len(history.history["loss"]) == 9
    assert len(history.history["val_loss"]) == 3


def test_validation_steps_take_the_first_rows():
    validation = X[::-1], Y[::-1]
    found = fit(model(), 2, validation_data=validation, validation_steps=2, validation_batch_size=20).history
    assert found["val_loss"] == fit(model(), 2, validation_data=(X[::-1][:40], Y[::-1][:40])).history["val_loss"]
    rows = np.arange(30, 70)
    found = fit(model(), 2, validation_rows=rows, validation_steps=1).history
    assert found == fit(model(), 2, rows=np.setdiff1d(np.arange(N), rows), validation_rows=rows[:16]).history
