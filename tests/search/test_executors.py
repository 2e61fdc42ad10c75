"""Runners: the same results from threads and processes, workers that die, ends, and the thread budget."""

import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import fastreg as fr
import numpy as np
import pytest
import search_folds
from fastreg import callbacks
from fastreg.search.folds.deadline import Deadline
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Task, evaluate
from fastreg.search.workers import remote
from fastreg.search.workers.executors import count_workers, make_runner
from fastreg.search.workers.threads import InlineRunner, ThreadRunner
from programs import count_steps, prompt
from search_folds import PARAMS, Counted, Dies, Marks, Threads, X, Y, blas_threads, collect, context, values

TASKS = [
    Task(trial, fold, {"units": 4 + trial, "rate": 0.01}, keep_model=True) for trial in range(4) for fold in range(3)
]


class Inline(Executor):
    """A minimal executor. It pickles its arguments, as all executors that reach other machines do."""

    def __init__(self):
        self.sent = 0

    def submit(self, function, /, *arguments, **keywords):
        future = Future()
        data = pickle.dumps((function, arguments, keywords))
        self.sent += len(data)
        function, arguments, keywords = pickle.loads(data)
        try:
            future.set_result(function(*arguments, **keywords))
        except Exception as error:
            future.set_exception(error)
        return future


EXECUTORS = {
    "inline": lambda: (1, None),
    "threads": lambda: (2, "threads"),
    "many threads": lambda: (7, None),
    "processes": lambda: (2, "processes"),
    "thread pool": lambda: (-1, ThreadPoolExecutor(2)),
    "process pool": lambda: (-1, ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))),
    "another executor": lambda: (3, Inline()),
}


@pytest.mark.parametrize("name", EXECUTORS)
def test_results_do_not_depend_on_the_executor(name):
    c = context(fit_arguments={"callbacks": [callbacks.EarlyStopping(patience=3)]}, preprocess="standard")
    expected = values([evaluate(c, task) for task in TASKS])
    n_jobs, executor = EXECUTORS[name]()
    with make_runner(c, n_jobs, executor) as runner:
        assert values(collect(runner, TASKS)) == expected
    if isinstance(executor, ThreadPoolExecutor | ProcessPoolExecutor):
        assert executor.submit(int, 5).result() == 5, "a user's executor goes on"
        executor.shutdown()


def test_data_are_sent_once_for_each_worker():
    x = np.random.default_rng(0).normal(size=(100_000, 4)).astype(np.float32)
    c = context(x=x, y=(x[:, 0] > 0).astype(np.int64), fit_arguments={"epochs": 1, "batch_size": None})
    executor = Inline()
    with make_runner(c, 2, executor) as runner:
        remote._own.clear()  # what a worker process knows at first
        results = collect(runner, TASKS)
    assert {result.state for result in results} == {"ok"}
    size = len(pickle.dumps(c))
    assert size < executor.sent < 1.1 * size
    assert len(remote._sent) == 1
    remote._sent.clear()


class ThreeWorkers(Executor):
    """Three workers with memories of their own, of which chance picks one for each call."""

    def __init__(self, seed):
        self._chance = random.Random(seed)
        self._known = [OrderedDict() for _ in range(3)]
        self.deliveries = 0

    def submit(self, function, token, task, data):
        worker = self._chance.randrange(3)
        future = Future()
        self.deliveries += data is not None
        known = mock.patch.object(remote, "_sent", self._known[worker])
        name = mock.patch.object(remote.platform, "node", return_value=f"worker {worker}")
        with known, name:
            future.set_result(function(token, task, data))
        return future


def test_workers_of_a_pool_get_the_data_once_or_little_more():
    """Nobody chooses which worker of a pool takes a call, so a delivery may come to one that has the data already.

    If chance decides, 3 (1 + 1/2 + 1/3) deliveries on average reach all three, with a variance of 0.75 + 6.
    """
    c = context(fit_arguments={"epochs": 1})
    tasks = [Task(trial, fold, PARAMS) for trial in range(4) for fold in range(3)]
    deliveries = []
    for seed in range(40):
        pool = ThreeWorkers(seed)
        with make_runner(c, -1, pool) as runner:
            remote._own.clear()
            assert {result.state for result in collect(runner, tasks)} == {"ok"}
        deliveries.append(pool.deliveries)
    assert max(deliveries) <= len(tasks)
    assert abs(np.mean(deliveries) - 3 * (1 + 1 / 2 + 1 / 3)) < 3 * np.sqrt(6.75 / len(deliveries))


def test_workers_of_a_process_pool_get_the_data():
    c = context(Counted())
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, mp_context=spawn) as pool, make_runner(c, -1, pool) as runner:
        Counted.sent = 0
        tasks = [Task(trial, fold, PARAMS) for trial in range(20) for fold in range(3)]
        assert {result.state for result in collect(runner, tasks)} == {"ok"}
    assert 1 <= Counted.sent < len(tasks)


def test_a_worker_keeps_the_data_of_few_searches():
    task = Task(0, 0, PARAMS)
    for i in range(5):
        name, missing = remote.run_task(f"token {i}", task)
        assert name.endswith(f":{os.getpid()}")
        assert missing is None
        assert remote.run_task(f"token {i}", task, context())[1].state == "ok"
        assert remote.run_task(f"token {i}", task)[1].state == "ok"
    assert list(remote._sent) == ["token 3", "token 4"]
    remote._sent.clear()


def test_nothing_is_left_behind_in_the_searchs_process():
    before = set(threading.enumerate())
    with ThreadPoolExecutor(2) as pool, make_runner(context(), -1, pool) as runner:
        collect(runner, TASKS[:3])
    with make_runner(context(), 3) as runner:
        collect(runner, TASKS[:3])
    with make_runner(context(), 2, "processes") as runner:
        collect(runner, TASKS[:3])
    assert set(threading.enumerate()) == before
    assert not remote._own
    assert not multiprocessing.active_children()


# The thread budget.


@pytest.mark.parametrize(
    ("budget", "n_jobs", "executor", "expected"),
    [
        (4, 1, None, 4),
        (4, 2, None, 2),
        (4, 3, None, 1),
        (4, -1, None, 1),
        (4, 9, None, 1),
        (4, 2, "processes", 2),
        (2, -1, "processes", 1),
        (4, -1, "pool", 1),
    ],
)
def test_workers_times_threads_keep_to_the_budget(budget, n_jobs, executor, expected):
    before = fr.get_num_threads()
    fr.set_num_threads(budget)
    try:
        c = make_context(Threads(), [{}], X, Y, cv=2)
        pool = ThreadPoolExecutor(1) if executor == "pool" else None
        with make_runner(c, n_jobs, pool or executor) as runner:
            if n_jobs == -1 and executor is None:
                assert len(runner._threads) == budget
            results = collect(runner, [Task(i, 0, {}) for i in range(4)])
        assert [result.scores["score"] for result in results] == [expected] * 4
        assert fr.get_num_threads() == budget
    finally:
        fr.set_num_threads(before)


@pytest.mark.parametrize("executor", [None, "processes"])
def test_libraries_of_estimators_keep_to_the_budget(executor):
    linear = pytest.importorskip("sklearn.linear_model")
    control = pytest.importorskip("threadpoolctl")
    c = make_context(linear.Ridge(), [{"alpha": 1.0}], X, Y, cv=2, scoring=blas_threads)
    before = fr.get_num_threads()
    fr.set_num_threads(4)
    try:
        with control.threadpool_limits(limits=3, user_api="blas"):
            with make_runner(c, 2, executor) as runner:
                results = collect(runner, [Task(i, 0, {"alpha": 1.0}) for i in range(3)])
            assert [result.scores["blas_threads"] for result in results] == [2.0] * 3
            assert blas_threads(None, None, None) == 3
    finally:
        fr.set_num_threads(before)


def test_n_jobs():
    before = fr.get_num_threads()
    fr.set_num_threads(4)
    try:
        assert [count_workers(n) for n in (1, 3, 9, -1, -2, -4, -9)] == [1, 3, 9, 4, 3, 1, 1]
    finally:
        fr.set_num_threads(before)
    with pytest.raises(ValueError, match="n_jobs must be >= 1, or negative to count back from all, got 0"):
        make_runner(context(), 0)
    with pytest.raises(TypeError, match="n_jobs must be an integer"):
        make_runner(context(), 1.5)


def test_kinds_of_runners():
    assert isinstance(make_runner(context(), 1), InlineRunner)
    with make_runner(context(), 2) as runner:
        assert isinstance(runner, ThreadRunner)
    with pytest.raises(ValueError, match=r"executor: unknown name 'thread'; known: threads, processes.*mean 'threads'"):
        make_runner(context(), 2, "thread")
    with pytest.raises(TypeError, match=r"executor: must be a name or a concurrent.futures.Executor, got 3"):
        make_runner(context(), 2, 3)


class Meets(callbacks.Callback):
    """Ends no epoch before the fits of all workers have come as far; one that is left alone fails."""

    def __init__(self, workers):
        self.barrier = threading.Barrier(workers)

    def __deepcopy__(self, memo):
        return self

    def on_epoch_end(self, epoch, logs=None):
        self.barrier.wait(30)


def test_fits_in_threads_overlap():
    with make_runner(context(fit_arguments={"callbacks": [Meets(4)]}), 4) as runner:
        results = collect(runner, TASKS[:4])
    assert [(result.state, result.epochs) for result in results] == [("ok", 6)] * 4, results[0].error


# Ends.


def endless(build=search_folds.build):
    return context(build, fit_arguments={"epochs": 10**9})  # hours


@pytest.mark.parametrize("name", ["threads", "processes", "thread pool", "process pool"])
def test_cancel_gives_every_task_back_as_stopped(name, tmp_path):
    n_jobs, executor = EXECUTORS[name]()
    made = Marks(tmp_path)
    c = endless(made)
    before = made.count()
    with make_runner(c, n_jobs, executor) as runner:
        for task in TASKS[:4]:
            runner.submit(task)
        end = time.monotonic() + 60
        while made.count() < before + 2:  # both workers are at work
            assert runner.completed(0.1) is None
            assert time.monotonic() < end, "no two workers began"
        threading.Timer(0.2, runner.cancel).start()
        states = prompt(lambda: [runner.completed(None).state for _ in TASKS[:4]])
        assert states == ["stopped"] * 4
        assert runner.completed(None if name == "processes" else 0.0) is None
    if isinstance(executor, ProcessPoolExecutor):
        for process in executor._processes.values():
            process.kill()
    if executor is not None and not isinstance(executor, str):
        executor.shutdown(cancel_futures=True)


def test_cancel_inline_starts_nothing_more():
    runner = make_runner(context(), 1)
    runner.submit(TASKS[0])
    runner.cancel()
    runner.submit(TASKS[1])
    assert [runner.completed().state for _ in range(2)] == ["ok", "stopped"]
    assert runner.completed() is None


@pytest.mark.parametrize("name", ["processes", "process pool"])
def test_a_deadline_holds_in_other_processes(name):
    n_jobs, executor = EXECUTORS[name]()
    with make_runner(endless(), n_jobs, executor) as runner:
        deadline = Deadline(2.0)  # a worker starts in that time, if the machine is not busy
        runner.submit(Task(0, 0, PARAMS, deadline=deadline))
        result = runner.completed(60)
        assert result is not None, "the fit would take hours"
        assert result.state == "stopped"
        assert deadline.is_over, "not before it"
    if executor != "processes":
        executor.shutdown()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_exit_of_user_code_reaches_the_search(n_jobs):
    def leaves(params):
        if params["units"] == 99:
            raise SystemExit(3)
        return search_folds.build(params)

    with make_runner(context(leaves), n_jobs) as runner, pytest.raises(SystemExit):
        collect(runner, [Task(0, 0, {"units": 99, "rate": 0.1})])


INTERRUPTED = """
import os, signal, sys, threading, time
sys.path.insert(0, {folder!r})
import search_folds
from fastreg.search.folds.evaluation import Task
from fastreg.search.workers.executors import make_runner

made = search_folds.Marks({made!r})

def interrupt(before):  # when every worker has made a model
    while made.count() < before + {n_jobs}:
        time.sleep(0.01)
    time.sleep(0.2)
    os.killpg(os.getpgid(0), signal.SIGINT)

if __name__ == "__main__":
    context = search_folds.context(made, fit_arguments={{"epochs": 10**9}})  # hours
    threading.Thread(target=interrupt, args=(made.count(),), daemon=True).start()
    with make_runner(context, {n_jobs}, {executor!r}) as runner:
        try:
            for trial in range(4):
                runner.submit(Task(trial, 0, search_folds.PARAMS))
            runner.completed(None)
        except KeyboardInterrupt:
            runner.cancel()
            print("interrupted", flush=True)
    print("closed")
"""


@pytest.mark.parametrize(("n_jobs", "executor"), [(1, None), (2, None), (2, "processes")])
def test_ctrl_c_ends_everything(n_jobs, executor, tmp_path):
    script = tmp_path / "script.py"
    folder = str(Path(search_folds.__file__).parent)
    (tmp_path / "made").mkdir()
    script.write_text(
        INTERRUPTED.format(folder=folder, made=str(tmp_path / "made"), n_jobs=n_jobs, executor=executor)
    )
    result = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, start_new_session=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["interrupted", "closed"]
    assert result.stderr == ""


# Workers that die, and what cannot be sent.


def dying(params):
    return make_context(Dies(), [params], X, Y, cv=2)


def test_a_worker_that_dies_fails_its_task_and_no_other(tmp_path):
    once = {"how": "once", "path": str(tmp_path / "file")}
    params = [{"how": "never"}, {"how": "always"}, {"how": "never"}, once, {"how": "never"}]
    with make_runner(dying(params[0]), 2, "processes") as runner:
        results = collect(runner, [Task(i, 0, p) for i, p in enumerate(params)])
    assert [result.state for result in results] == ["ok", "failed", "ok", "ok", "ok"]
    assert "the worker process died, twice (code -9)" in results[1].error
    assert "params: {'how': 'always'}" in results[1].error


def test_a_pool_that_breaks_is_an_error():
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    message = "a worker of ProcessPoolExecutor died, .*executor='processes' replaces workers that die"
    with make_runner(dying({"how": "never"}), -1, pool) as runner:
        runner.submit(Task(0, 0, {"how": "always"}))
        with pytest.raises(RuntimeError, match=message):
            runner.completed(60)
        with pytest.raises(RuntimeError, match="executor: ProcessPoolExecutor takes no more tasks"):
            runner.submit(Task(0, 0, {"how": "never"}))


class Loses(Inline):
    """Loses calls, as a cluster does that loses workers."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses

    def submit(self, function, /, *arguments, **keywords):
        if self.losses:
            self.losses -= 1
            future = Future()
            future.set_exception(OSError("worker lost"))
            return future
        return super().submit(function, *arguments, **keywords)


@pytest.mark.parametrize(("losses", "state"), [(1, "ok"), (2, "failed")])
def test_a_call_that_is_lost_is_made_again_once(losses, state):
    with make_runner(context(), 1, Loses(losses)) as runner:
        runner.submit(TASKS[0])
        result = runner.completed(10)
        assert result.state == state
        assert state == "ok" or "worker lost" in result.error
        runner.submit(TASKS[1])
        assert runner.completed(10).state == "ok"


@pytest.mark.parametrize("executor", ["processes", ProcessPoolExecutor])
def test_what_cannot_be_sent_is_named(executor):
    executor = executor if isinstance(executor, str) else executor(1)
    local = context(lambda params: search_folds.build(params))
    with pytest.raises(TypeError, match=r"build: cannot be sent to another process .*at the top level of a module"):
        make_runner(local, 2, executor)
    scored = context(scoring=lambda model, x, y: 1.0)
    with pytest.raises(TypeError, match="scoring: cannot be sent to another process"):
        make_runner(scored, 2, executor)
    signals = context(fit_arguments={"callbacks": [callbacks.StopSignal()]})
    with pytest.raises(TypeError, match="fit's arguments: cannot be sent to another process"):
        make_runner(signals, 2, executor)


def test_what_another_executor_cannot_send_is_named():
    with make_runner(context(lambda params: search_folds.build(params)), 1, Inline()) as runner:
        remote._own.clear()
        runner.submit(TASKS[0])  # without the context yet
        with pytest.raises(TypeError, match=r"build: it, or another argument of the search, cannot be sent to the w"):
            runner.completed(10)
    assert not remote._sent


def test_a_program_without_a_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(search_folds.__file__).parent)!r})\n"
        "from search_folds import PARAMS, context\n"
        "from fastreg.search.folds.evaluation import Task\n"
        "from fastreg.search.workers.executors import make_runner\n"
        "runner = make_runner(context(), 1, 'processes')\n"
        "runner.submit(Task(0, 0, PARAMS))\n"
        "print(runner.completed(30))\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0
    assert "before its first task" in result.stderr
    assert "if __name__ == '__main__':" in result.stderr


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_task_costs_little(n_jobs):
    """Bookkeeping of a task whose fit and score do nothing."""
    c = make_context(Threads(), [{}], X[:10], np.zeros(10), cv=0.5)
    tasks = [Task(i, 0, {}) for i in range(1000)]

    def run():
        with make_runner(c, n_jobs) as runner:
            collect(runner, tasks)

    assert count_steps(run) < 400 * len(tasks), "some 240 each, those of this test included"


def test_models_do_not_live_longer_than_their_results():
    import gc
    import weakref

    with make_runner(context(), 2) as runner:
        (result,) = collect(runner, TASKS[:1])
        alive = weakref.ref(result.model)
        del result
        gc.collect()
        assert alive() is None


