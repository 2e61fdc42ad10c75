"""Ctrl-C during a long call of a frozen network takes effect at once, and dividing the call changes no bit.

The interrupted calls would take minutes, so that a program that ends was interrupted.
"""

import signal
import threading

import fastreg as fr
import numpy as np
import pytest
from fastreg import _core, layers
from interrupted_calls import interrupted

CALLS = {
    "float32": "frozen(long)",
    "into an array": "frozen(long, out=np.empty((len(long), 1), np.float32))",
    "float64": "frozen(long.astype(np.float64))",
    "float64 into an array": "frozen(long.astype(np.float64), out=np.empty((len(long), 1), np.float32))",
    "integers": "frozen(long.astype(np.int16))",
    "every second row": "frozen(long[::2])",
    "by columns": "frozen(np.asfortranarray(long))",
    "several": "two([long, long])",
    "a graph": "joined(long.astype(np.float64))",
    "a table": "table(long.astype(np.float64))",
}
PROGRAM = """
import json, os, signal, threading, time
import numpy as np
import fastreg as fr
from fastreg import _core, layers

def wide():
    return [layers.Dense(2048, "relu"), layers.Dense(2048, "relu"), layers.Dense(1, "sigmoid")]
model = fr.Sequential(wide(), seed=0)
model.build((4,))
frozen = model.freeze()
one, other = fr.Input((4,)), fr.Input((4,))
both = wide()[1](wide()[0](layers.Add()([one, other])))
two = fr.Model([one, other], [layers.Dense(1)(both), layers.Dense(2)(both)], seed=0).freeze()
first = layers.Dense(2048, "relu")(one)
joined = fr.Model(one, layers.Dense(1)(layers.Add()([first, layers.Dense(2048, "relu")(first)])), seed=0).freeze()
column = (1, 1, 0.0, 1.0, np.zeros(0), False, np.zeros(0, np.uint32))
table = _core.TablePredictor(frozen, [([column] * 4, True, [])], None, 1.0)
long = np.random.default_rng(1).integers(-9, 9, size=(4_000_000, 4)).astype(np.float32)
few = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
def results():
    return [frozen(few), *two([few, few]), joined(few), table(few.astype(np.float64))]
before = results()
"""


@pytest.mark.parametrize("call", CALLS)
def test_a_long_call_ends_at_once(call):
    assert interrupted(PROGRAM, CALLS[call], "all(map(np.array_equal, results(), before))")


ROWS = np.random.default_rng(0).normal(size=(100_000, 4)).astype(np.float32)
COLUMN = (1, 1, 0.0, 1.0, np.zeros(0), False, np.zeros(0, np.uint32))


def deep():
    return [layers.Dense(512, "relu"), layers.Dense(512, "relu"), layers.Dense(1)]


def chain():
    model = fr.Sequential(deep(), seed=0)
    model.build((4,))
    return model.freeze()


def graph():
    one, other = fr.Input((4,)), fr.Input((4,))
    first, second, _ = deep()
    joined = second(first(layers.Add()([one, other])))
    return fr.Model([one, other], [layers.Dense(1)(joined), layers.Dense(2)(joined)], seed=0).freeze()


def table():
    return _core.TablePredictor(chain(), [([COLUMN] * 4, True, [])], None, 1.0)


# A call, and the rows in the form that it takes.
FORMS = {
    "float32": (chain, ROWS),
    "float64": (chain, ROWS.astype(np.float64)),
    "integers": (chain, np.round(9 * ROWS).astype(np.int16)),
    "backwards": (chain, ROWS[::-1]),
    "by columns": (chain, np.asfortranarray(ROWS)),
    "several": (graph, ROWS),
    "a table": (table, ROWS.astype(np.float64)),
}


def called(predictor, rows, several):
    return np.concatenate(predictor([rows, rows]), axis=1) if several else predictor(rows)


@pytest.fixture
def signals():
    """Sends a signal whenever asked to, 20 ms later, and puts the handler back. Calls have one thread, to be long."""
    before, threads = signal.getsignal(signal.SIGUSR1), fr.get_num_threads()
    fr.set_num_threads(1)

    def send_later(handler):
        signal.signal(signal.SIGUSR1, handler)
        thread = threading.Timer(0.02, signal.raise_signal, [signal.SIGUSR1])
        thread.start()
        return thread

    yield send_later
    signal.signal(signal.SIGUSR1, before)
    fr.set_num_threads(threads)


@pytest.mark.parametrize("form", FORMS)
def test_a_divided_call_has_the_same_bits(form):
    make, rows = FORMS[form]
    predictor = make()
    found = called(predictor, rows, form == "several")
    parts = [called(predictor, rows[i : i + 100], form == "several") for i in range(0, len(rows), 100)]
    assert np.array_equal(found, np.concatenate(parts))


@pytest.mark.parametrize("form", FORMS)
def test_a_handler_may_call_the_network_meanwhile(form, signals):
    """Its memory is that of the call that goes on afterwards."""
    make, rows = FORMS[form]
    predictor, found = make(), []
    expected = called(predictor, rows, form == "several")
    thread = signals(lambda *_: found.append(called(predictor, rows[:10], form == "several")))
    outputs = called(predictor, rows, form == "several")
    thread.join()
    assert np.array_equal(outputs, expected)
    assert np.array_equal(found[0], expected[:10])


def test_an_array_for_the_results_has_some_of_them(signals):
    """Rows before the exception are written, the others are as they were; later calls write all."""
    predictor = chain()
    expected, out = predictor(ROWS), np.full((len(ROWS), 1), -1e9, np.float32)

    class Raised(Exception):
        pass

    def handler(*_):
        raise Raised

    thread = signals(handler)
    with pytest.raises(Raised):
        predictor(ROWS, out=out)
    thread.join()
    written = int(np.argmax(out[:, 0] == -1e9))
    assert 0 < written < len(ROWS)
    assert np.array_equal(out[:written], expected[:written])
    assert (out[written:] == -1e9).all()
    assert np.array_equal(predictor(ROWS, out=out), expected)


def test_calls_of_threads_are_not_interrupted(signals):
    predictor, found = chain(), []
    expected = predictor(ROWS)
    thread = threading.Thread(target=lambda: found.append(predictor(ROWS)))
    thread.start()
    signals(lambda *_: None).join()
    thread.join()
    assert np.array_equal(found[0], expected)


def test_inputs_of_different_lengths_are_refused_however_long():
    with pytest.raises(ValueError, match="rows"):
        graph()([ROWS, ROWS[:5]])


def test_numbers_beyond_float32_are_refused_wherever_they_are():
    predictor, rows = chain(), ROWS.astype(np.float64)
    for row in (0, len(rows) // 2, len(rows) - 1):
        changed = rows.copy()
        changed[row, 2] = 1e39
        with pytest.raises(ValueError, match=f"got 1e.39 in column 2, row {row}"):
            predictor(changed)
        out = np.full((len(rows), 1), 7.0, np.float32)
        with pytest.raises(ValueError, match=f"got 1e.39 in column 2, row {row}"):
            predictor(changed, out=out)
        assert (out == 7.0).all()
