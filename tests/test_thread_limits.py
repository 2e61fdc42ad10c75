"""Where the system refuses a thread: limits on processes (RLIMIT_NPROC), of a container (pids.max), on address space.

OpenMP's runtime ends the process then, without an exception. fastreg runs with the threads that it gets: the same bits,
and `finally` runs. Every case is a process of its own, which sets its limit when all is loaded.
"""
from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from programs import last_json, run_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")

# Everything that shares work among threads, with one thread first, which gives what is expected; then `limit()` is
# called and the same is done with four.
WORK = """
import json, os, resource, sys, threading, time
import numpy as np
import fastreg as fr
from fastreg import layers, ops, search
from programs import blobs, compiled, same_bits, tutorial_layers

x, y = blobs(300, 10, 2)
large = np.tile(blobs(1000, 50, 2)[0], (30, 1))
deep = compiled([layers.Dense(64, "relu"), layers.Dense(64, "tanh"), layers.Dense(1, "sigmoid")], n_features=50)
frozen = deep.freeze()
bits = (large[:, 0] > 0).astype(np.int64)

def fitted():
    model = compiled(tutorial_layers(), n_features=10, parallel=True)
    model.fit(x, y, epochs=3, verbose=0)
    return [*model.get_weights(), model.predict(x), np.asarray(model.evaluate(x, y, verbose=0))]

def work():
    w = np.ones(300_000, np.float32)
    updater = ops.Updater("adam", w)
    for _ in range(3):
        updater.step(np.full(w.size, 0.25, np.float32))
    return [*fitted(), deep.predict(large), frozen(large), np.asarray(deep.evaluate(large, bits, verbose=0)), w]

def tasks():
    return len(os.listdir("/proc/self/task"))

def spend_threads(n):  # the most of them that can be alive now
    gate, alive = threading.Event(), []
    try:
        for _ in range(n):
            thread = threading.Thread(target=gate.wait)
            thread.start()
            alive.append(thread)
    except RuntimeError:
        pass
    gate.set()
    for thread in alive:
        thread.join()
    return len(alive)

def become_another_user():
    # Root is exempt from the limit. Nobody else has this number, so nothing but this process counts.
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(*[300_000_000 + os.getpid()] * 3)
        os.setresuid(*[300_000_000 + os.getpid()] * 3)

def limit_processes(spare):
    become_another_user()
    most = tasks() + spare if os.environ["ALONE"] == "1" else 1
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))

def limit_memory(megabytes):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    most = used + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))

fr.set_num_threads(1)
if os.environ.get("WORK") == "fitted":  # takes no memory to speak of
    work = fitted
expected = work()
"""

COMPARED = """
kind, amount = sys.argv[1], int(sys.argv[2])
{"processes": limit_processes, "memory": limit_memory, "group": lambda _: None}[kind](amount)
fr.set_num_threads(4)
before, ended = tasks(), []
try:
    same = [same_bits(expected, work()) for _ in range(3)]
finally:
    ended.append(True)
print(json.dumps([same, ended, tasks() - before]))
"""


def compared(*args, **keywords):
    same, ended, made = last_json(run_program(WORK + COMPARED, *args, timeout=200, **keywords))
    assert same == [True] * 3
    assert ended == [True]
    return made


ALONE = {"ALONE": "1" if os.getuid() == 0 else "0"}


# Threads that are left free for others; see parallel.cpp.
LEFT_FREE = 2


@pytest.mark.parametrize("spare", [0, 1, 2, 3, 4])
def test_a_limit_on_processes(spare):
    """The team is what the system gives, less what is left free for others."""
    if spare and os.getuid() != 0:
        pytest.skip("the processes of this user are not known to stay as many; as root the child is a user of its own")
    assert compared("processes", spare, env=ALONE) == max(spare - LEFT_FREE, 0)


@pytest.mark.parametrize("megabytes", [6, 12, 20, 30, 60])
def test_a_limit_on_address_space(megabytes):
    """The stack of a thread takes 8 MB as a rule; memory for anything else is not short."""
    assert compared("memory", megabytes, env={"WORK": "fitted"}) <= max(megabytes // 8 - LEFT_FREE, 0)


SWEPT = """
# Threads of their own, whose teams are made anew, start without the limit and work within it.
fr.set_num_threads(4)
outcomes, most = [], 1 << 46
def limited(megabytes):
    try:
        limit_memory(megabytes)
        outcomes.append(same_bits(expected, work()))
    except MemoryError:
        outcomes.append("MemoryError")
    except BaseException as error:
        outcomes.append(repr(error))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
for megabytes in range(0, 64, 2):
    thread = threading.Thread(target=limited, args=(megabytes,))
    thread.start()
    thread.join()
print(json.dumps([outcomes, same_bits(expected, work())]))
"""


def test_memory_that_is_short_for_everything():
    """Buffers and threads draw on the same memory: a MemoryError or the right result, and the process lives."""
    source = WORK.replace("(most, most)", "(most, 1 << 46)") + SWEPT
    outcomes, same = last_json(run_program(source, timeout=300))
    assert set(map(str, outcomes)) <= {"True", "MemoryError"}
    assert outcomes[-1] is True
    assert same


@pytest.mark.parametrize("name", ["OMP_STACKSIZE", "GOMP_STACKSIZE"])
@pytest.mark.parametrize("size", ["64m", " 65536 ", "65536 K", "67108864b"])
def test_threads_with_large_stacks(name, size):
    """The runtime gives its threads the stack that its variables say, so others prove nothing."""
    assert compared("memory", 64 * (1 + LEFT_FREE) + 24, env={name: size, "WORK": "fitted"}) == 1


def new_pids_group():
    """A control group that may hold few processes, of whichever version; skips where none can be made."""
    name = f"fastreg-test-{os.getpid()}"
    for root in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        group = root / name
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / "pids.max").exists():
            return group
        group.rmdir()
    pytest.skip("no control group with pids.max can be made here")


@pytest.mark.parametrize("spare", [0, 1, 2, 3, 4])
def test_the_limit_of_a_container(spare):
    group = new_pids_group()
    joins = f"""
group = {str(group)!r}
with open(group + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
with open(group + "/pids.max", "w") as file:
    file.write(str(tasks() + {spare}))
"""
    try:
        same, ended, made = last_json(run_program(WORK + joins + COMPARED, "group", 0, timeout=200))
    finally:
        group.rmdir()
    assert (same, ended, made) == ([True] * 3, [True], max(spare - LEFT_FREE, 0))


TIGHT = """
# One thread of Python's at a time trains, with room for one of its own and for what is left free: what the trial takes
# must be free again for the team.
become_another_user()
most = tasks() + 2 + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
fr.set_num_threads(2)
failed = []
def started():  # once the last ones have gone for good
    for _ in range(3000):
        try:
            thread = threading.Thread(target=train)
            thread.start()
            return thread
        except RuntimeError:
            time.sleep(0.01)
    raise TimeoutError
def train():
    try:
        if not same_bits(expected, work()):
            failed.append("other bits")
    except BaseException as error:
        failed.append(repr(error))
for _ in range(15):
    started().join()
# Two of them, which take each other's.
for _ in range(15):
    for thread in [started(), started()]:
        thread.join()
print(json.dumps(failed))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="becomes a user of its own, whose processes it knows")
def test_teams_that_come_and_go_at_the_limit():
    assert last_json(run_program(WORK + TIGHT, LEFT_FREE, timeout=300)) == []


SEARCHED = """
def build(params):
    return compiled([layers.Dense(params["units"], "relu"), layers.Dense(1, "sigmoid")])
def found(**keywords):
    trial = search.RandomSearch(build, {"units": search.Integer(2, 40)}, n_trials=4, cv=2, seed=1, refit=False,
                                verbose=0, **keywords).fit(x, y, epochs=2)
    return [trial.best_params_, trial.best_score_]
alone = found(n_jobs=1)
limit_processes(int(sys.argv[1]))
fr.set_num_threads(4)
limited, left = found(n_jobs=4), 0
for _ in range(300):  # those that have ended count a moment longer
    left = spend_threads(9)
    if left >= int(sys.argv[1]):
        break
    time.sleep(0.01)
print(json.dumps([alone, limited, left]))
"""


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_a_search_runs_with_the_threads_that_it_gets(spare):
    if spare and os.getuid() != 0:
        pytest.skip("the processes of this user are not known to stay as many; as root the child is a user of its own")
    alone, limited, left = last_json(run_program(WORK + SEARCHED, spare, env=ALONE, timeout=200))
    assert alone == limited
    assert left == spare, "threads of the search are left"
