"""One model that threads change, save, copy and fit at the same time: what is saved is one model, and no fit is lost.

A call may be refused with the RuntimeError that says that another thread fits the model. Threads are switched as often
as can be.
"""
from __future__ import annotations

import copy
import pickle
import threading

import fastreg as fr
import numpy as np
import pytest
from fastreg import _core, layers
from fastreg.model.core import core_of
from programs import last_json, run_program

COMMON = """
import json, os, pickle, sys, tempfile, threading
import numpy as np
import fastreg as fr
from fastreg import layers
sys.setswitchinterval(1e-6)
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = (x[:, 0] > 0).astype("float32")
def make():
    model = fr.Sequential([fr.Input((4,)), layers.Dense(3, "relu"), layers.Dense(1, "sigmoid")], seed=0)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model
model, refused, wrong = make(), "nor while another thread fits the model", []
def repeat(calls, more):
    while more() and not wrong:
        for call in calls:
            try:
                call()
            except RuntimeError as error:
                if refused not in str(error):
                    wrong.append(str(error))
            except BaseException as error:
                wrong.append(f"{type(error).__name__}: {error}")
def together(counted, others):
    # Each of the first as often as said, meanwhile the others over and over.
    counts = [iter(range(int(sys.argv[1]))) for _ in counted]
    done = threading.Event()
    first = [threading.Thread(target=repeat, args=(calls, lambda c=c: next(c, None) is not None))
             for calls, c in zip(counted, counts)]
    rest = [threading.Thread(target=repeat, args=(calls, lambda: not done.is_set())) for calls in others]
    for thread in [*first, *rest]:
        thread.start()
    for thread in first:
        thread.join()
    done.set()
    for thread in rest:
        thread.join()
"""

SAVED = COMMON + """
folder = tempfile.mkdtemp()
def save():
    path = os.path.join(folder, "a.safetensors")
    model.save(path)
    fr.load(path).predict(x, verbose=0)
def save_weights():
    path = os.path.join(folder, "b.safetensors")
    model.save_weights(path)
def copy():
    pickle.loads(pickle.dumps(model)).predict(x, verbose=0)
def freeze(trained):
    model.layers[0].trainable = trained
def rate():
    model.learning_rate = 0.01
together(
    [[save], [save_weights], [copy], [lambda: model.summary(print_fn=len)]],
    [[lambda: model.add(layers.Dense(1, "sigmoid")), model.pop], [lambda: freeze(False), lambda: freeze(True)],
     [lambda: model.compile("sgd", "mse"), lambda: model.compile("adam", "mse", metrics=["mae"])], [rate],
     [lambda: model.test_on_batch(x, y)]],
)
print(json.dumps([wrong, len(model.layers)]))
"""


def test_what_is_saved_while_others_change_it_is_one_model():
    assert last_json(run_program(SAVED, 60, timeout=300)) == [[], 2]


FITTED = COMMON + """
refused = "the model is being fitted"
steps, one = [], threading.Lock()
def fit():
    model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    with one:
        steps.append(4)
def freeze(trained):
    try:
        model.layers[0].trainable = trained
    except RuntimeError as error:
        assert "nor while another thread fits the model" in str(error)
together([[fit], [fit]], [[lambda: freeze(False), lambda: freeze(True)]])
taken = model._core.trainer.step
print(json.dumps([wrong, taken == sum(steps), sum(steps) > 0]))
"""


def test_no_fit_is_lost_while_others_change_the_model():
    """A change of ``trainable`` keeps the number of steps, which is that of all fits that returned."""
    assert last_json(run_program(FITTED, 1500, timeout=300)) == [[], True, True]


def test_a_trainer_is_of_the_network_that_the_model_has_now(monkeypatch):
    """Here the other thread changes the model between the two moments at which this one looks for network and lock."""
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    model = fr.Sequential([fr.Input((4,)), layers.Dense(3, "relu"), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.build(4)
    core = core_of(model)
    found = core.require_network

    def then_changed(call):
        network = found(call)
        if call == "fit":
            monkeypatch.undo()
            model.layers[0].trainable = False
        return network

    monkeypatch.setattr(core, "require_network", then_changed)
    model.evaluate(x, x[:, 0], verbose=0)
    assert core.require_network == found  # it was changed
    before = model.get_weights()
    model.fit(x, x[:, 0], verbose=0)
    changed = [bool(np.any(old != new)) for old, new in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


COPIES = [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]


def states(model):
    """The weights, the history and the weights after a further fit."""
    x = np.random.default_rng(1).normal(size=(64, 4)).astype("float32")
    before, history = model.get_weights(), None if model.history is None else model.history.history
    model.fit(x, x[:, 0], batch_size=16, epochs=1, verbose=0)
    return [weight.tolist() for weight in before], history, [weight.tolist() for weight in model.get_weights()]


@pytest.mark.parametrize("duplicate", COPIES, ids=["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("trained", [False, True])
def test_a_copy_is_of_one_moment(duplicate, trained, monkeypatch):
    """Here another thread begins to fit the model while its weights are read for the copy."""
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

    def fit(model):
        model.fit(x, x[:, 0], batch_size=16, epochs=2, verbose=0)

    def made():
        model = fr.Sequential([fr.Input((4,)), layers.Dense(3, "relu"), layers.Dropout(0.2), layers.Dense(1)], seed=0)
        model.compile("adam", "mse")
        model.build(4)
        if trained:
            fit(model)
        return model

    model, threads, kinds = made(), [], {"get_weights": _core.Network, "get_state": _core.Trainer}
    for name, kind in kinds.items():
        found = getattr(kind, name)

        def then_fitted(core, found=found):
            if not threads:
                threads.append(threading.Thread(target=fit, args=(model,)))
                threads[0].start()
                threads[0].join(0.5)  # it ends only after the copy
            return found(core)

        monkeypatch.setattr(kind, name, then_fitted)
    copied = duplicate(model)
    threads[0].join()
    monkeypatch.undo()
    assert states(copied) == states(made())
    expected = made()
    fit(expected)
    assert states(model) == states(expected)


def test_a_deep_copy_has_the_history_of_its_weights():
    """Here another thread begins to fit the model between its weights and its history."""
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    model = fr.Sequential([layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    threads = []

    def fit(epochs):
        model.fit(x, x[:, 0], epochs=epochs, verbose=0, callbacks=[own])

    class Slow(fr.callbacks.History):
        def __deepcopy__(self, memo):
            threads.append(threading.Thread(target=fit, args=(3,)))
            threads[0].start()
            threads[0].join(0.5)  # it begins only after the copy
            made = fr.callbacks.History()
            made.epoch = list(self.epoch)
            return made

    own = Slow()
    fit(2)
    copied = copy.deepcopy(model)
    threads[0].join()
    assert (len(copied.history.epoch), len(model.history.epoch)) == (2, 3)
