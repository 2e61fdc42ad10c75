"""The promise "a fork is safe": a child forked while another thread trains, predicts or searches can do all of it.

A fork waits for the running step. So everything that a child finds, or computes from there, must be what an undisturbed
run has at some epoch; with all rows in one batch an epoch is a step. Children run in processes of their own and are
killed where they hang.
"""
from __future__ import annotations

import os

import pytest
from fastreg.search.journal import Journal
from programs import last_json, run_program

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

FORKS = 20
ACTIONS = ("get_weights", "predict", "evaluate", "freeze", "save", "fit", "deepcopy", "pickle")

# `ask(child)` forks, has `child()` called in the child and gives what it returned, as JSON; "hangs" after a minute,
# what it raised else. Nothing here measures time: a child that does not hang takes milliseconds.
COMMON = """
import copy, hashlib, json, os, pickle, select, signal, sys, tempfile, threading, time, traceback, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import numpy as np
import fastreg as fr
from fastreg import callbacks, layers, ops, search
from programs import blobs, compiled, same_bits, tutorial_layers, wait_for_fit

def digest(weights):
    return hashlib.blake2b(b"".join(w.tobytes() for w in weights), digest_size=16).hexdigest()

def collect(reader, pid):
    data = b""
    while True:
        if not select.select([reader], [], [], 60)[0]:
            os.kill(pid, signal.SIGKILL)
            data = b'"hangs"'
            break
        piece = os.read(reader, 65536)
        if not piece:
            break
        data += piece
    os.close(reader)
    status = os.waitpid(pid, 0)[1]
    return json.loads(data) if data else f"ended with {status}"

def ask(child):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            answer = child()
        except BaseException:
            answer = traceback.format_exc()
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    return collect(reader, pid)
"""

TRAINED = COMMON + """
threads, forks, actions = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
fr.set_num_threads(threads)
x, y = blobs(1500, 40, 2)
some = x[:200]
folder = tempfile.mkdtemp()
def make():
    stack = [layers.Dense(96, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.3),
             layers.Dense(64, activation="tanh"), layers.Dense(1, activation="sigmoid")]
    return compiled(stack, n_features=40, parallel=threads > 1)
model = make()
model.predict(some)

def train(net, epochs=1):
    net.fit(x, y, batch_size=None, epochs=epochs, verbose=0)
    return digest(net.get_weights())

def numbers(array):
    return digest([np.asarray(array)])

def act(action):
    # What must be found in an undisturbed run: [kind, digest].
    if action == "get_weights":
        return [["weights", digest(model.get_weights())]]
    if action == "predict":
        return [["predict", numbers(model.predict(some))], ["weights", digest(model.get_weights())]]
    if action == "evaluate":
        return [["evaluate", numbers(model.evaluate(some, y[:200], verbose=0))]]
    if action == "freeze":
        return [["freeze", numbers(model.freeze()(some))]]
    if action == "save":
        path = os.path.join(folder, str(os.getpid()))
        model.save(path)
        return [["weights", digest(fr.load(path).get_weights())], ["weights", train(fr.load(path))]]
    if action == "fit":
        return [["weights", train(model)], ["weights", train(model)], ["predict", numbers(model.predict(some))]]
    if action == "deepcopy":
        other = copy.deepcopy(model)
        return [["weights", digest(other.get_weights())], ["weights", train(other)], ["weights", train(model)]]
    other = pickle.loads(pickle.dumps(model))
    return [["weights", train(other)], ["predict", numbers(other.predict(some))]]

rounds, done, failed = 0, threading.Event(), []
EPOCHS = 40
def keep_training():
    global rounds
    try:
        while not done.is_set():
            train(model, EPOCHS)
            rounds += 1
    except BaseException:
        failed.append(traceback.format_exc())
trainer = threading.Thread(target=keep_training)
trainer.start()
wait_for_fit(model)
answers = []
try:
    for action in actions:
        for _ in range(forks):
            answers.append([action, ask(lambda: act(action))])
            if answers[-1][1] == "hangs":
                break
finally:
    done.set()
    trainer.join()

# The undisturbed run, and two steps beyond, which children may have taken.
undisturbed = make()
known = {"weights": set(), "predict": set(), "evaluate": set(), "freeze": set()}
def look():
    known["weights"].add(digest(undisturbed.get_weights()))
    known["predict"].add(numbers(undisturbed.predict(some)))
    known["evaluate"].add(numbers(undisturbed.evaluate(some, y[:200], verbose=0)))
    known["freeze"].add(numbers(undisturbed.freeze()(some)))
class Look(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        look()
look()
undisturbed.fit(x, y, batch_size=None, epochs=EPOCHS * rounds, verbose=0, callbacks=[Look()])
same = same_bits(undisturbed.get_weights(), model.get_weights())
undisturbed.fit(x, y, batch_size=None, epochs=2, verbose=0, callbacks=[Look()])
wrong = [[action, answer] for action, answer in answers
         if not isinstance(answer, list) or any(found not in known[kind] for kind, found in answer)]
starts = {answer[0][1] for action, answer in answers if action == "get_weights" and isinstance(answer, list)}
print(json.dumps([failed, same, len(answers), wrong, len(starts)]))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_forked_during_a_fit_can_do_everything(threads):
    """Each of the calls in 20 children, from the state of a complete step; the parent's run is not disturbed."""
    done = run_program(TRAINED, threads, FORKS, ",".join(ACTIONS), timeout=600)
    failed, same, asked, wrong, starts = last_json(done)
    assert not failed
    assert wrong == []
    assert asked == FORKS * len(ACTIONS)
    assert same, "the parent's fit has other bits than an undisturbed one"
    assert starts > 1, "all children were forked at one step"


IN_CALLBACK = COMMON + """
fr.set_num_threads(int(sys.argv[1]))
x, y = blobs(300, 10, 2)
def make():
    return compiled(tutorial_layers(), n_features=10, parallel=True)
def train(extra):
    model = make()
    model.fit(x, y, epochs=4, verbose=0, callbacks=extra)
    return model
expected = train([])
seen, fate = {}, []
class Fork(callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch != 1:
            return
        seen["parent"] = digest(self.model.get_weights())
        def child():
            refused = []
            for call in (lambda: self.model.fit(x, y, verbose=0), lambda: copy.deepcopy(self.model)):
                try:
                    call()
                except RuntimeError as error:
                    refused.append(str(error))
            return [digest(self.model.get_weights()), bool(np.isfinite(self.model.predict(x)).all()),
                    self.model.evaluate(x, y, verbose=0) > 0, len(refused)]
        seen["child"] = ask(child)
        # And one that comes back from the callback and trains on, as its parent does.
        reader, writer = os.pipe()
        pid = os.fork()
        fate.append((pid, reader, writer))
        if pid == 0:
            os.close(reader)
        else:
            os.close(writer)
model = train([Fork()])
pid, reader, writer = fate[0]
if pid == 0:
    model.fit(x, y, epochs=1, verbose=0)
    os.write(writer, json.dumps(digest(model.get_weights())).encode())
    os._exit(0)
seen["went on"] = collect(reader, pid)
same = same_bits(model.get_weights(), expected.get_weights())
expected.fit(x, y, epochs=1, verbose=0)
print(json.dumps([seen, same, digest(expected.get_weights())]))
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_a_callback_may_fork(threads):
    """The child is within the callback as its parent is: it may not fit there, but go on with the run."""
    seen, same, later = last_json(run_program(IN_CALLBACK, threads, timeout=200))
    assert seen["child"] == [seen["parent"], True, True, 2]
    assert seen["went on"] == later
    assert same


BUSY = COMMON + """
fr.set_num_threads(2)
x, y = blobs(400, 10, 2)
shared = compiled(tutorial_layers(), n_features=10)
shared.fit(x, y, epochs=2, verbose=0)
many = np.tile(x, (200, 1))
expected = shared.predict(many)
w = np.ones(300_000, np.float32)
updater = ops.Updater("adam", w)
g = np.full(w.size, 0.01, np.float32)
def build(params):
    model = fr.Sequential([layers.Dense(params["units"], activation="relu"), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model
def found(n_jobs):
    trial = search.RandomSearch(build, {"units": search.Integer(2, 40)}, n_trials=4, cv=2, seed=1, n_jobs=n_jobs,
                                refit=False, verbose=0)
    return trial.fit(x, y, epochs=3).best_params_
best = found(1)
done, failed = threading.Event(), []
def repeat(work):
    try:
        while not done.is_set():
            work()
    except BaseException:
        failed.append(traceback.format_exc())
def check(good):
    assert good
jobs = [lambda: check(np.array_equal(shared.predict(many), expected))] * 2
jobs += [lambda: check(found(2) == best), lambda: updater.step(g), lambda: compiled(tutorial_layers(), n_features=10)]
threads = [threading.Thread(target=repeat, args=(job,)) for job in jobs]
for thread in threads:
    thread.start()
time.sleep(0.2)
def child():
    updater.step(g)
    copy.deepcopy(shared).fit(x, y, verbose=0)
    shared.fit(x, y, epochs=1, verbose=0)
    # Adam's step depends on the gradient alone here, so all parameters are equal after complete steps.
    return [bool(np.isfinite(shared.predict(many)).all()), bool(w.min() == w.max()), found(2) == best]
try:
    answers = [ask(child) for _ in range(12)]
finally:
    done.set()
    for thread in threads:
        thread.join()
print(json.dumps([failed, answers]))
"""


def test_a_child_forked_while_others_predict_search_and_update():
    failed, answers = last_json(run_program(BUSY, timeout=600))
    assert not failed
    assert answers == [[True, True, True]] * 12


JOURNAL = COMMON + """
from fastreg.search.journal import Journal
path = os.path.join(tempfile.mkdtemp(), "journal.jsonl")
def open_journal(resume):
    return Journal(path, {"seed": 1, "space": {}}, resume=resume, widens=lambda old: False)
first = open_journal(False)
reader, writer = os.pipe()
pid = os.fork()
if pid == 0:  # lives on without a search
    os.close(writer)
    os.read(reader, 1)
    os._exit(0)
os.close(reader)
def second():
    try:
        open_journal(True).close()
        return "opened"
    except RuntimeError:
        return "refused"
held = ask(second)
first.close()
open_journal(True).close()
os.close(writer)
os.waitpid(pid, 0)
print(json.dumps(held))
"""


def test_a_child_does_not_keep_the_lock_of_a_journal():
    """The lock ends with its search, though a child forked meanwhile lives on; until then it holds for all."""
    assert last_json(run_program(JOURNAL)) == "refused"


def test_a_closed_journal_is_free_though_a_child_has_not_closed_it_yet(tmp_path):
    """A child closes its copy of the file when it first runs, which may be later."""
    def opened(resume):
        return Journal(tmp_path / "journal.jsonl", {"seed": 1, "space": {}}, resume=resume, widens=lambda old: False)

    first = opened(False)
    copy = os.dup(first._descriptor)
    try:
        with pytest.raises(RuntimeError, match="being written by another search"):
            opened(True)
        first.close()
        opened(True).close()
    finally:
        os.close(copy)


LOCKS = COMMON + """
from fastreg.internal.forks import Lock, Turn
from fastreg.search.folds.preprocessing import Once
mine, theirs, my_turn, their_turn = Lock(), Lock(), Turn(Lock()), Turn(Lock())
mine.held.acquire()
own = threading.Lock()
own.acquire()
begun = [my_turn.begin(own)]
once, computing, finish = Once(), threading.Event(), threading.Event()
def other():
    with theirs.held, (their := threading.Lock()):
        begun.append(their_turn.begin(their))
        def compute():
            computing.set()
            finish.wait()
            return 1
        once.get("key", compute)
thread = threading.Thread(target=other)
thread.start()
computing.wait()
def closed(lock):  # to another thread
    found = []
    def look():
        found.append(not lock.held.acquire(blocking=False))
        if not found[0]:
            lock.held.release()
    looker = threading.Thread(target=look)
    looker.start()
    looker.join()
    return found[0]
def look():
    return [closed(mine), closed(theirs), my_turn.taken(), their_turn.taken()]
answer = ask(lambda: [*look(), once.get("key", lambda: 2)])
before = look()
finish.set()
thread.join()
mine.held.release()
own.release()
print(json.dumps([begun, before, answer, look(), once.get("key", lambda: 3)]))
"""


def test_locks_of_lost_threads_are_open_in_the_child():
    held, open_ = [True] * 4, [False] * 4
    assert last_json(run_program(LOCKS)) == [[True, True], held, [True, False, True, False, 2], open_, 1]
