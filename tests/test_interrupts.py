"""Signal handlers that raise, as that of Ctrl-C: wherever they interrupt a call, the model can be used afterwards.

The program below interrupts short calls at arbitrary moments, by a timer. A lock that a call left closed would make the
next call hang or be refused.
"""
from __future__ import annotations

import signal

import pytest
from fastreg import cli
from programs import last_json, run_program

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="uses a timer that sends signals")

COMMON = """
import json, random, signal, sys, threading
class Alarm(Exception):
    pass
def ring(*_):
    raise Alarm
signal.signal(signal.SIGALRM, ring)
drawn = random.Random(0)
def interrupted(call, longest):
    # Repeats a call until the timer ends it. Python ignores an exception in a callback of a weak reference, so the
    # timer rings again.
    try:
        signal.setitimer(signal.ITIMER_REAL, drawn.uniform(1e-6, longest), 0.05)
        while True:
            call()
    except Alarm:
        signal.setitimer(signal.ITIMER_REAL, 0)
def elsewhere(call):
    # Another thread does not own what this one has left closed.
    found = []
    thread = threading.Thread(target=lambda: found.append(call()), daemon=True)
    thread.start()
    thread.join(60)
    return found[0] if found else "hangs"
"""

LOCKS = COMMON + """
from fastreg.internal.forks import Lock, Turn
lock, turn = Lock(), Turn(Lock())
def use():
    with lock.held, (own := threading.Lock()):
        turn.begin(own)
def is_open():
    return lock.held.acquire(blocking=False) and not turn.taken()
failed = 0
for _ in range(2000):
    interrupted(use, 1e-4)
    failed += elsewhere(lambda: [is_open(), lock.held.release()][0]) is not True
print(json.dumps([failed, lock.held.acquire(blocking=False)]))
"""


def test_locks_and_turns_are_open_after_an_interrupt():
    assert last_json(run_program(LOCKS)) == [0, True]


CLAIMS = COMMON + """
from fastreg import callbacks
from fastreg.callbacks import early_stopping, in_use
items, stoppers = [callbacks.History(), callbacks.CSVLogger("unused.csv")], [callbacks.EarlyStopping("loss")]
def use():
    with (own := threading.Lock()):
        in_use.claim(items, own)
        early_stopping.judge_by_hand(stoppers, own)
        early_stopping.judge_in_the_core(stoppers, own)
def is_free():
    taken = [one in in_use._CLAIMED for one in items]
    taken += [one in kind for one in stoppers for kind in (early_stopping._BY_HAND, early_stopping._FITS)]
    return not any(taken)
failed = 0
for _ in range(2000):
    interrupted(use, 1e-4)
    failed += not is_free()
use()
print(json.dumps([failed, is_free(), len(in_use._CLAIMED._under_way)]))
"""


def test_callbacks_are_free_after_an_interrupt():
    """A fit that was interrupted just as it began, or ended, left them in use for ever."""
    assert last_json(run_program(CLAIMS)) == [0, True, 2]


MODELS = COMMON + """
import numpy as np
import fastreg as fr
from fastreg import layers
x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
y = x[:, 0]
def make():
    model = fr.Sequential([layers.Dense(2, "relu"), layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    return model
def first_fit():
    global model
    model = make()
    model.fit(x, y, epochs=1, verbose=0)
    model.train_on_batch(x, y)
    model.evaluate(x, y, verbose=0)
def after():
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=1, verbose=0)
    return bool(np.isfinite(model.predict(x, verbose=0)).all())
model = make()
found = []
for _ in range(400):
    interrupted(first_fit, 2e-3)
    found.append(elsewhere(after))
print(json.dumps([found.count(True), sorted({str(one) for one in found})]))
"""


def test_a_model_can_be_fitted_after_an_interrupt_at_any_moment():
    assert last_json(run_program(MODELS, timeout=300)) == [400, ["True"]]


IMPORT = """
import json, sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy._core.multiarray":  # as if Ctrl-C came in the midst of it
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
try:
    import fastreg
except BaseException as error:
    print(json.dumps(type(error).__name__))
"""


def test_an_interrupt_within_the_import_stays_one():
    """It became an ImportError, which programs take for a missing package."""
    assert last_json(run_program(IMPORT)) == "KeyboardInterrupt"


def test_a_command_that_is_interrupted_before_it_begins_says_so(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parser", interrupted)  # it imports much
    try:
        status = cli.main(["tune"])
    except KeyboardInterrupt:  # which would end the tests
        status = None
    assert status == 130
    assert capsys.readouterr().err == "fastreg: interrupted\n"
