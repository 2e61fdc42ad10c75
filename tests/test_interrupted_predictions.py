"""Ctrl-C during long predictions, evaluations and validations takes effect at once, and handlers may use the model.

The calls would take minutes, so that a program that ends was interrupted. tests/cpp/test_pauses.cpp has the rest.
"""

import signal
import threading
import time

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from interrupted_calls import interrupted

CALLS = {
    "predict": "model.predict(long)",
    "predict_on_batch": "model.predict_on_batch(long)",
    "float64": "model.predict(long.astype(np.float64))",
    "several outputs": "two.predict(long)",
    "evaluate": "model.evaluate(long, targets, verbose=0)",
    "evaluate by rank": "ranked.evaluate(long, targets, verbose=0)",
    "validation": "model.fit(long[:64], targets[:64], epochs=3, verbose=0, validation_data=(long, targets))",
}
PROGRAM = """
import json, os, signal, sys, threading, time
import numpy as np
import fastreg as fr
from fastreg import layers

def net(*metrics):
    model = fr.Sequential([layers.Dense(2048, "relu"), layers.Dense(2048, "relu"), layers.Dense(1, "sigmoid")], seed=0)
    model.compile("sgd", "binary_crossentropy", list(metrics))
    model.build((4,))
    return model

given = fr.Input((4,))
wide = layers.Dense(2048, "relu")(layers.Dense(2048, "relu")(given))
two = fr.Model(given, [layers.Dense(1)(wide), layers.Dense(2)(wide)], seed=0)
model, ranked = net("accuracy"), net("auc", "f1")
long = np.zeros((4_000_000, 4), np.float32)
targets = (np.arange(len(long)) % 2).astype(np.float32)
few = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
before = model.predict(few)
"""


@pytest.mark.parametrize("call", CALLS)
def test_a_long_call_ends_at_once(call):
    assert interrupted(PROGRAM, CALLS[call], "(model.predict(few) == before).all()") or call == "validation"


def network():
    """A network that needs about a second for the rows below."""
    model = fr.Sequential([layers.Dense(512, "relu"), layers.Dense(512, "relu"), layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.build((4,))
    return model


ROWS = np.random.default_rng(0).normal(size=(150_000, 4)).astype(np.float32)


@pytest.fixture
def signals():
    """Sends a signal whenever asked to, 50 ms later, and puts the handler back."""
    before = signal.getsignal(signal.SIGUSR1)

    def send_later(handler):
        signal.signal(signal.SIGUSR1, handler)
        thread = threading.Timer(0.05, signal.raise_signal, [signal.SIGUSR1])
        thread.start()
        return thread

    yield send_later
    signal.signal(signal.SIGUSR1, before)


def test_a_handler_may_use_the_model(signals):
    model, found = network(), []
    expected = model.predict(ROWS)
    thread = signals(lambda *_: found.append(model.predict(ROWS[:10])))
    assert np.array_equal(model.predict(ROWS), expected)
    thread.join()
    assert np.array_equal(found[0], expected[:10])


def test_a_handler_may_change_the_model(signals):
    model, other = network(), network()
    other.set_weights([0.5 * weight for weight in other.get_weights()])
    thread = signals(lambda *_: model.set_weights(other.get_weights()))
    found = model.predict(ROWS)
    thread.join()
    assert np.array_equal(found, other.predict(ROWS))


def test_rows_have_the_weights_of_one_moment_while_another_thread_trains():
    model = network()
    alike, end = np.tile(ROWS[:1], (len(ROWS), 1)), threading.Event()

    def train():
        while not end.is_set():
            model.fit(ROWS[:256], ROWS[:256, 0], epochs=1, verbose=0)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        begun, found = time.monotonic(), []
        while len(found) < 3 and time.monotonic() - begun < 60:
            found.append(model.predict(alike))
    finally:
        end.set()
        thread.join()
    assert found
    assert all((outputs == outputs[0]).all() for outputs in found)


def test_calls_of_threads_are_not_interrupted(signals):
    model, found = network(), []
    expected = model.predict(ROWS)
    thread = threading.Thread(target=lambda: found.append(model.predict(ROWS)))
    thread.start()
    signals(lambda *_: None).join()
    thread.join()
    assert np.array_equal(found[0], expected)
