"""Runs that a signal or the clock ends: when they end, what they leave, and that Python is not entered for it."""
from __future__ import annotations

import copy
import pickle
import sys
import threading
import time

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers
from programs import (
    blobs,
    compiled,
    long_epoch,
    overfitting,
    prompt,
    refusal,
    same_bits,
    trainer_of,
    tutorial_layers,
    wait_for_fit,
)

FOREVER = 10**7
X, Y = blobs(200, 10, 2)


def tutorial(seed=0, **keywords):
    return compiled(tutorial_layers(), seed=seed, metrics=["accuracy"], n_features=10, **keywords)


def state(model):
    trainer = trainer_of(model)
    moments = trainer.get_moments()
    return [*model.get_weights(), *(moments[name] for name in sorted(moments)),
            np.array([trainer.step, trainer.epoch])]


def after(model, seconds, function):
    """Calls a function in another thread when the fit of a model has had that much time of the CPU."""
    def wait():
        wait_for_fit(model, seconds)
        function()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def check_is_a_whole_run(model, history, **keywords):
    """The state is that of a run that asked for just the epochs of the history."""
    epochs = len(history.epoch)
    assert history.epoch == list(range(epochs))
    expected = tutorial()
    if epochs:
        assert expected.fit(X, Y, epochs=epochs, verbose=0, **keywords).history == history.history
    assert same_bits(state(model), state(expected))


def test_a_signal_ends_a_fit_and_leaves_whole_epochs():
    signal, model = callbacks.StopSignal(), tutorial()
    assert not signal.is_set
    thread = after(model, 0.1, signal.set)
    history = model.fit(X, Y, epochs=FOREVER, verbose=0, callbacks=[signal])
    thread.join()
    assert signal.is_set
    assert history.stopped_by == "stop_signal"
    assert 0 < len(history.epoch) < FOREVER
    check_is_a_whole_run(model, history)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_signal_within_an_epoch_undoes_it(threads):
    before = fr.get_num_threads()
    fr.set_num_threads(threads)
    try:
        model, x, y = long_epoch(parallel=threads > 1)
        untrained, signal = state(model), callbacks.StopSignal()
        thread = after(model, 0.1, signal.set)
        # It waits for a step, not for the epoch.
        history = prompt(lambda: model.fit(x, y, batch_size=1, epochs=2, verbose=0, callbacks=[signal]))
        thread.join()
    finally:
        fr.set_num_threads(before)
    assert (history.stopped_by, history.history["loss"], history.epoch) == ("stop_signal", [], [])
    assert same_bits(state(model), untrained)


def test_going_on_after_a_stop_is_never_having_stopped():
    signal, model = callbacks.StopSignal(), tutorial()
    thread = after(model, 0.05, signal.set)
    done = len(model.fit(X, Y, epochs=FOREVER, verbose=0, callbacks=[signal]).epoch)
    thread.join()
    model.fit(X, Y, epochs=done + 3, initial_epoch=done, verbose=0)
    whole = tutorial()
    whole.fit(X, Y, epochs=done + 3, verbose=0)
    assert same_bits(state(model), state(whole))


class Breaks(callbacks.Callback):
    """Ends a run in the middle of its second epoch."""

    def __init__(self):
        self.signal, self.step = callbacks.StopSignal(), 0

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step == 10:  # an epoch has 7 steps
            self.signal.set()


RULES = {
    "adam": lambda: fr.optimizers.Adam(0.05),
    "nadam": lambda: fr.optimizers.Nadam(0.05),
    "accumulated": lambda: fr.optimizers.Adam(0.05, gradient_accumulation_steps=4),
    "averaged": lambda: fr.optimizers.RMSprop(0.05, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    "schedule free": lambda: fr.optimizers.ScheduleFreeAdamW(0.05),
}


@pytest.mark.parametrize("rule", RULES)
def test_an_optimizer_counts_no_step_of_an_epoch_that_is_undone(rule):
    """The second step of Adam moves otherwise than its tenth: the run goes on as one that was never broken off."""
    broken, whole = (tutorial(optimizer=RULES[rule]()) for _ in range(2))
    breaks = Breaks()
    history = broken.fit(X, Y, epochs=3, verbose=0, callbacks=[breaks, breaks.signal])
    assert (history.stopped_by, history.epoch) == ("stop_signal", [0])
    whole.fit(X, Y, epochs=1, verbose=0)
    assert same_bits(state(broken), state(whole))
    for model in (broken, whole):
        model.fit(X, Y, epochs=3, initial_epoch=1, verbose=0)
    assert same_bits(state(broken), state(whole))


def test_one_signal_ends_fits_in_many_threads():
    signal, models = callbacks.StopSignal(), [tutorial() for _ in range(3)]
    histories = [None] * 3

    def fit(i):
        histories[i] = models[i].fit(X, Y, epochs=FOREVER, verbose=0, callbacks=[signal])

    threads = [threading.Thread(target=fit, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for model in models:
        wait_for_fit(model)
    signal.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for model, history in zip(models, histories, strict=True):
        assert history.stopped_by == "stop_signal"
        check_is_a_whole_run(model, history)


def test_a_signal_that_is_set_trains_nothing():
    signal, model = callbacks.StopSignal(), tutorial()
    before = state(model)
    signal.set()
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[signal], validation_split=0.2)
    assert (history.stopped_by, history.epoch) == ("stop_signal", [])
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert same_bits(state(model), before)


def test_one_of_several_signals_is_enough():
    first, second = callbacks.StopSignal(), callbacks.StopSignal()
    second.set()
    for given in ([first, second], [second, first]):
        assert tutorial().fit(X, Y, verbose=0, callbacks=given).stopped_by == "stop_signal"
    assert tutorial().fit(X, Y, verbose=0, callbacks=[first]).stopped_by == ""
    assert not first.is_set


def test_the_best_weights_are_restored_after_a_signal():
    model, x, y, validation = overfitting()
    best = compiled([layers.Dense(32, activation="relu"), layers.Dense(1, activation="sigmoid")],
                    optimizer=fr.optimizers.Adam(0.005), metrics=["accuracy"])
    signal, stopping = callbacks.StopSignal(), callbacks.EarlyStopping(patience=FOREVER)

    class Set(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 59:
                signal.set()

    history = model.fit(x, y, batch_size=8, epochs=FOREVER, verbose=0, validation_data=validation,
                        callbacks=[stopping, signal, Set()])
    assert (history.stopped_by, len(history.epoch)) == ("stop_signal", 60)
    assert stopping.best_epoch < 40
    best.fit(x, y, batch_size=8, epochs=stopping.best_epoch + 1, verbose=0)
    assert same_bits(model.get_weights(), best.get_weights())


def test_a_time_limit_ends_a_fit_and_leaves_whole_epochs():
    model, begun = tutorial(), time.monotonic()
    history = model.fit(X, Y, epochs=FOREVER, verbose=0, callbacks=[callbacks.TimeLimit(0.2)])
    assert time.monotonic() - begun >= 0.2, "not before it"
    assert history.stopped_by == "time_limit"
    assert len(history.epoch) < FOREVER
    check_is_a_whole_run(model, history)


def test_a_time_limit_within_an_epoch_undoes_it():
    model, x, y = long_epoch()
    before = state(model)
    limits = [callbacks.TimeLimit(600), callbacks.TimeLimit(0.1)]
    history = prompt(lambda: model.fit(x, y, batch_size=1, epochs=50, verbose=0, callbacks=limits))
    assert (history.stopped_by, history.epoch) == ("time_limit", [])
    assert same_bits(state(model), before)


def test_a_limit_counts_from_the_beginning_of_the_call():
    """What takes longer than the limit before the first step leaves no time for one."""

    class Slow:
        shape, dtype, ndim = X.shape, X.dtype, 2

        def __array__(self, dtype=None, copy=None):
            time.sleep(0.3)
            return X

    model = tutorial()
    start = model.get_weights()
    history = model.fit(Slow(), Y, epochs=10**6, verbose=0, callbacks=[callbacks.TimeLimit(0.25)])
    assert (history.epoch, history.stopped_by) == ([], "time_limit")
    assert same_bits(model.get_weights(), start)


def test_every_fit_has_its_own_limit():
    limit = callbacks.TimeLimit(0.1)
    for _ in range(2):
        begun = time.monotonic()
        assert tutorial().fit(X, Y, epochs=FOREVER, verbose=0, callbacks=[limit]).stopped_by == "time_limit"
        assert time.monotonic() - begun >= 0.1, "not before it"


@pytest.mark.parametrize("seconds", [600.0, 1e30])
def test_what_does_not_happen_changes_nothing(seconds):
    model, plain = tutorial(), tutorial()
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.TimeLimit(seconds), callbacks.StopSignal()])
    assert history.stopped_by == ""
    assert history.history == plain.fit(X, Y, epochs=3, verbose=0).history
    assert same_bits(state(model), state(plain))


def test_history_tells_what_ended_the_run():
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    class Fail(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyError("mine")

    def ended(**keywords):
        return tutorial().fit(X, Y, verbose=0, **keywords).stopped_by

    assert callbacks.History().stopped_by == ""
    assert ended(epochs=2) == ""
    assert ended(epochs=9, callbacks=[Stop()]) == "callback"
    assert ended(epochs=9, callbacks=[callbacks.EarlyStopping("loss", min_delta=100)]) == "early_stopping"
    kept = callbacks.History()
    model = tutorial()
    with pytest.raises(KeyError):
        model.fit(X, Y, epochs=9, verbose=0, callbacks=[kept, Fail()])
    assert (model.history.stopped_by, kept.stopped_by) == ("error", "error")
    model.compile(fr.optimizers.SGD(1e30), "mse")
    with pytest.raises(fr.DivergenceError):
        model.fit(X, Y, epochs=9, verbose=0, callbacks=[kept])
    assert kept.stopped_by == "diverged"
    assert model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0, callbacks=[kept]).stopped_by == ""


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_end", "schedule"])
@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt, SystemExit])
def test_history_tells_of_an_error_before_the_first_epoch_or_after_the_last_one(hook, error):
    def fail(*arguments):
        raise error("mine")

    kept, model, stopping = callbacks.History(), tutorial(), callbacks.EarlyStopping("loss", min_delta=100)
    given = [kept, stopping] if hook == "schedule" else [kept, stopping, callbacks.LambdaCallback(**{hook: fail})]
    model.compile(fr.optimizers.SGD(fail if hook == "schedule" else 0.1), "mse")
    with pytest.raises(error, match="mine"):
        model.fit(X, Y, epochs=9, verbose=0, callbacks=given)
    assert model.history is kept
    assert kept.stopped_by == "error"
    assert kept.epoch == ([0, 1] if hook == "on_train_end" else [])
    assert {key: len(values) for key, values in kept.history.items()} == {"loss": len(kept.epoch)}
    model.compile("sgd", "mse")
    assert model.fit(X, Y, epochs=2, verbose=0, callbacks=[kept]).stopped_by == ""


def entered(given):
    """The Python functions of the package that were called while a fit was within the core."""
    names = set()

    def profile(frame, event, argument):
        if event == "call" and "fastreg" in frame.f_code.co_filename:
            names.add(frame.f_code.co_name)

    sys.setprofile(profile)
    try:
        tutorial().fit(X, Y, epochs=5, verbose=0, callbacks=given)
    finally:
        sys.setprofile(None)
    return names


def test_signals_and_limits_do_not_enter_python():
    built_in = [callbacks.StopSignal(), callbacks.TimeLimit(600), callbacks.EarlyStopping("loss"), callbacks.History()]
    assert "on_epoch" not in entered(built_in)
    assert "on_epoch" not in entered([*built_in, callbacks.Callback()])
    watching = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
    assert "on_epoch" in entered([*built_in, watching])


@pytest.mark.parametrize(("seconds", "error"), [
    (0, ValueError), (-1.0, ValueError), (float("nan"), ValueError), (float("inf"), ValueError), ("1", TypeError),
    (None, TypeError), (True, TypeError),
])
def test_a_time_limit_is_checked(seconds, error):
    with refusal(error, ["TimeLimit", "seconds"]):
        callbacks.TimeLimit(seconds)


class OwnSignal(callbacks.StopSignal):
    """A class of one's own with an attribute."""

    def __init__(self):
        super().__init__()
        self.reason = ["none"]


@pytest.mark.parametrize("kind", [callbacks.StopSignal, OwnSignal])
def test_a_copy_of_a_signal_is_the_signal(kind):
    """A copy in another process would be another signal."""
    signal = kind()
    for duplicate in (copy.copy, copy.deepcopy, lambda one: copy.deepcopy({"callbacks": [one]})["callbacks"][0]):
        assert duplicate(signal) is signal
    with pytest.raises(TypeError, match=f"{kind.__name__}: cannot be pickled, since another process"):
        pickle.dumps(signal)
    model, several = tutorial(), copy.deepcopy(callbacks.CallbackList([signal, callbacks.EarlyStopping("loss")]))
    signal.set()
    assert model.fit(X, Y, epochs=3, verbose=0, callbacks=several).stopped_by == "stop_signal"


def test_a_time_limit_is_a_value():
    assert repr(pickle.loads(pickle.dumps(callbacks.TimeLimit(3)))) == "TimeLimit(3.0)"


@pytest.mark.parametrize("make", [callbacks.StopSignal, lambda: callbacks.TimeLimit(60)])
@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end", "on_test_end"])
def test_a_hook_on_an_instance_without_hooks_is_called(make, hook):
    seen, item = [], make()
    setattr(item, hook, lambda *_: seen.append(hook))
    tutorial().fit(X, Y, epochs=2, callbacks=[item], validation_data=(X, Y), verbose=0)
    assert len(seen) >= 2
