"""What an early stopping may be given: attributes of a class of one's own, settings in a loop, kinds of ``verbose``."""

from __future__ import annotations

import copy
import os
import pickle

import numpy as np
import pytest
from fastreg import callbacks, layers
from programs import compiled, line, refusal

X, Y = line(40, 3)
OWN = ["_patience", "_mode", "_monitor", "_verbose", "monitor_op", "monitors", "mod", "patience_", "start_epoch"]


class Stores(callbacks.EarlyStopping):
    """A subclass in Keras's manner, with attributes of its own."""

    def __init__(self, **settings):
        super().__init__(**settings)
        for name in OWN:
            setattr(self, name, name)


def model(seed=0):
    return compiled([layers.Dense(1)], loss="mse", n_features=3, seed=seed)


def judged(stopping, values, first=0):
    for epoch, value in enumerate(values, first):
        stopping.on_epoch_end(epoch, {"loss": value})


def test_a_derived_class_may_have_any_attribute():
    stopping = Stores(monitor="loss", patience=2)
    for one in (stopping, copy.deepcopy(stopping), pickle.loads(pickle.dumps(stopping))):
        assert [getattr(one, name) for name in OWN] == OWN
        assert one.patience == 2
    model().fit(X, Y, epochs=3, verbose=0, callbacks=[stopping])
    plain = callbacks.EarlyStopping()
    plain._patience = 3
    for name in ("patience_", "monitors"):
        with refusal(AttributeError, [f"there is no {name} to set", "did you mean"]):
            setattr(plain, name, 3)


def test_what_is_set_in_a_loop_holds_from_the_next_epoch_on():
    patient, impatient = (callbacks.EarlyStopping("loss", patience=4) for _ in range(2))
    for stopping in (patient, impatient):
        judged(stopping, [1.0, 1.0, 1.0])
        assert stopping.stopped_epoch == 0
    patient.patience, impatient.patience = 100, 3
    for stopping in (patient, impatient):
        judged(stopping, [1.0] * 20, 3)
    assert (patient.stopped_epoch, impatient.stopped_epoch) == (0, 3)


class Calls(callbacks.Callback):
    """Calls a function at the end of each epoch."""

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, epoch, logs=None):
        self.function()


def test_only_a_fit_that_has_it_locks_its_settings():
    stopping = callbacks.EarlyStopping("loss", patience=5)
    one, other = model(), model(1)
    one.fit(X, Y, epochs=1, verbose=0, callbacks=[stopping])
    one.fit(X, Y, epochs=1, verbose=0, callbacks=[Calls(lambda: setattr(stopping, "patience", 6))])
    assert stopping.patience == 6

    def fit_another_and_set():
        other.fit(X, Y, epochs=1, verbose=0, callbacks=[stopping])
        stopping.patience = 0

    with refusal(AttributeError, ["patience", "during a run"]):
        one.fit(X, Y, epochs=1, verbose=0, callbacks=[stopping, Calls(fit_another_and_set)])
    stopping.patience = 7


@pytest.mark.parametrize("duplicate", [copy.copy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_made_in_a_fit_is_in_no_fit(duplicate):
    stopping, copies = callbacks.EarlyStopping("loss", patience=1), []

    def take():
        bare = copy.copy(stopping)
        bare.model = None
        copies.append(duplicate(bare))

    model().fit(X, Y, epochs=1, verbose=0, callbacks=[stopping, Calls(take)])
    copies[0].patience = 2
    judged(copies[0], [1.0, 2.0, 2.0, 2.0])
    assert copies[0].stopped_epoch == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_one_in_a_forked_child_is_in_no_fit_of_another_thread():
    import threading

    stopping, inside, done = callbacks.EarlyStopping("loss"), threading.Event(), threading.Event()

    def wait():
        inside.set()
        done.wait(60)

    arguments = {"epochs": 1, "verbose": 0, "callbacks": [stopping, Calls(wait)]}
    thread = threading.Thread(target=model().fit, args=(X, Y), kwargs=arguments)
    thread.start()
    try:
        assert inside.wait(60)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                stopping.model = None
                judged(stopping, [1.0, 2.0])
                code = 0 if stopping.stopped_epoch == 1 else 2
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
    finally:
        done.set()
        thread.join()
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_fit_forgets_the_weights_of_a_loop_before():
    stopping, trained = callbacks.EarlyStopping("loss", patience=3), model()
    stopping.set_model(trained)
    stopping.on_train_begin()
    judged(stopping, [1.0])
    trained.fit(X, Y, epochs=3, verbose=0, callbacks=[stopping])
    after = trained.get_weights()
    stopping.on_train_end()
    assert all(np.array_equal(a, b) for a, b in zip(after, trained.get_weights(), strict=True))


@pytest.mark.parametrize("shown", [True, np.True_, 1, np.int64(1)])
def test_verbose_may_be_a_bool(shown, capfd):
    trained = model()
    trained.fit(X, Y, epochs=5, verbose=0, callbacks=[callbacks.EarlyStopping("loss", 1e9, 1, verbose=shown)])
    assert "early stopping" in capfd.readouterr().err
    stopping = callbacks.EarlyStopping("loss", 1e9, 1, verbose=type(shown)(0))
    trained.fit(X, Y, epochs=5, verbose=type(shown)(0), callbacks=[stopping])
    trained.evaluate(X, Y, verbose=type(shown)(0))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("logs", [None, 3, [1.0]])
def test_logs_must_be_there(logs):
    with refusal(TypeError, ["EarlyStopping: logs must be a dict with 'loss'"]):
        callbacks.EarlyStopping("loss").on_epoch_end(0, logs)


@pytest.mark.parametrize("value", [None, "low", [1.0]])
def test_a_logged_value_must_be_a_number(value):
    with refusal(TypeError, [r"EarlyStopping: logs\['loss'\] must be a number"]):
        callbacks.EarlyStopping("loss").on_epoch_end(0, {"loss": value})
