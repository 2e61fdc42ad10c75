"""A pickle or a copy of a model while another thread runs a whole fit: weights, state of the optimizer, counters and
history are those of one moment. The other thread runs at a moment that the test chooses.
"""
from __future__ import annotations

import copy
import pickle
import threading

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.model.core import CoreModel, core_of

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")


def made():
    model = fr.Sequential([fr.Input((4,)), layers.Dense(3, "relu"), layers.Dropout(0.2), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    return model


def fit(model, epochs, *callbacks):
    model.fit(X, X[:, 0], batch_size=16, epochs=epochs, verbose=0, callbacks=list(callbacks))


def fit_elsewhere(model, epochs, *callbacks):
    """A whole fit of another thread; False if this thread keeps it waiting."""
    thread = threading.Thread(target=fit, args=(model, epochs, *callbacks), daemon=True)
    thread.start()
    thread.join(5.0)
    return not thread.is_alive()


def state(model):
    """All that a fit changes."""
    weights, moments, step, epoch, shown = core_of(model).trainer.get_state()
    numbers = [array.tolist() for array in weights], {name: array.tolist() for name, array in moments.items()}
    return numbers, step, epoch, shown, model.history.history, model.history.epoch


def after(*fits):
    model = made()
    for epochs in fits:
        fit(model, epochs)
    return state(model)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_fit_before_the_weights_are_read(epochs, monkeypatch):
    model, read, fitted = made(), CoreModel.__getstate__, []
    fit(model, 2)

    def fit_first(core):
        if not fitted:
            fitted.append(fit_elsewhere(model, epochs))
        return read(core)

    monkeypatch.setattr(CoreModel, "__getstate__", fit_first)
    copied = pickle.loads(pickle.dumps(model))
    monkeypatch.undo()
    assert fitted == [True]
    assert state(copied) == state(model) == after(2, epochs)


@pytest.mark.parametrize("own", [False, True], ids=["a new history", "the same callback"])
def test_a_fit_after_the_weights_were_read(own, monkeypatch):
    """A callback that fit is given again has the values of the later fit, and its copy in the pickle does not."""
    model, read, fitted = made(), CoreModel.__getstate__, []
    callbacks = [fr.callbacks.History()] if own else []
    fit(model, 2, *callbacks)

    class Fits:
        def __reduce__(self):
            fitted.append(fit_elsewhere(model, 3, *callbacks))
            return (int, ())

    def then_fit(core):  # what is first in the state is pickled first
        return {"fits": Fits(), **read(core)}

    monkeypatch.setattr(CoreModel, "__getstate__", then_fit)
    pickled = pickle.dumps(model)
    monkeypatch.undo()
    assert fitted == [True]
    copied = pickle.loads(pickled)
    assert state(copied) == after(2)
    assert state(model) == after(2, 3)
    fit(copied, 3)
    assert state(copied) == after(2, 3)


def test_a_copy_keeps_its_history_when_the_callback_is_filled_again():
    model, own = made(), fr.callbacks.History()
    fit(model, 2, own)
    copies = [copy.copy(model), copy.deepcopy(model)]
    fit(model, 3, own)
    assert model.history is own
    for copied in copies:
        assert state(copied) == after(2)
        assert type(copied.history) is fr.callbacks.History


@pytest.mark.parametrize("note", [0.5, "text", np.array([1.0]), None])
def test_what_a_program_puts_into_a_history_is_in_a_copy(note):
    model, own = made(), fr.callbacks.History()
    fit(model, 2, own)
    own.history["note"] = note
    for copied in (copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert copied.history.history.keys() == own.history.keys()
        assert np.array_equal(copied.history.history["note"], note)


def test_the_history_that_fit_returned_stays_that_of_the_model():
    model = made()
    returned = model.fit(X, X[:, 0], epochs=2, verbose=0)
    copied, history = pickle.loads(pickle.dumps((model, returned)))
    assert copied.history is history
    assert history.history == returned.history
    assert copy.copy(model).history is returned


def test_a_state_of_an_older_version_has_its_history():
    model = made()
    fit(model, 2)
    older = model.__getstate__() | {"history": "of before"}
    read = fr.Sequential.__new__(fr.Sequential)
    read.__setstate__(older | {"_core": copy.copy(core_of(model))})
    assert read.history == "of before"
    assert pickle.loads(pickle.dumps(read)).history == "of before"
    read.history = None
    assert read.history is None
    with pytest.raises(AttributeError, match="history cannot be deleted"):
        del read.history
