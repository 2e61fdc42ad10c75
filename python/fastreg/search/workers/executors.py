"""Who evaluates tasks: the calling thread, threads, processes, or any ``concurrent.futures.Executor``.

One budget holds: workers times threads of a fit never exceed it. Threads share the data and stop within a step; a
process gets the data once (``processes.py``, ``remote.py``). A runner gives back every task it was given, once.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from concurrent.futures import Executor
from queue import Empty, SimpleQueue
from typing import Any

from fastreg.callbacks import StopSignal
from fastreg.internal.checks import check_int, describe, did_you_mean
from fastreg.runtime import get_num_threads, thread_limit
from fastreg.search.folds.evaluation import Context, FoldResult, Task, evaluate

__all__ = ["InlineRunner", "Runner", "ThreadRunner", "count_workers", "make_runner"]


class Runner:
    """Base of what evaluates tasks.

    Attributes:
        slots: How many tasks must be under way to keep every worker busy.
        stop: Set by :meth:`cancel`.
    """

    slots: int = 1

    def __init__(self) -> None:
        self.stop = StopSignal()

    def submit(self, task: Task) -> None:
        """Takes a task. Raises what the executor raises if it cannot take any more."""
        raise NotImplementedError

    def completed(self, timeout: float | None = None) -> FoldResult | None:
        """The next result, waited for; None if there is none after ``timeout`` seconds."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Ends running fits, and lets no other begin: their results are "stopped". A signal handler may call it."""
        self.stop.set()

    def close(self) -> None:
        """Ends the workers; what still runs is abandoned or ended."""
        self.cancel()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class InlineRunner(Runner):
    """Evaluates a task when it is submitted, on the calling thread."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._results: deque[FoldResult] = deque()

    def submit(self, task: Task) -> None:
        """Evaluates the task."""
        self._results.append(evaluate(self._context, task, self.stop))

    def completed(self, timeout: float | None = None) -> FoldResult | None:
        """The oldest result; None if there is none."""
        return self._results.popleft() if self._results else None


class ThreadRunner(Runner):
    """Threads of this process, which share the data. A fit runs without the interpreter lock.

    Args:
        context: What the tasks share; ``context.threads`` is the limit of each fit.
        n_workers: Number of threads. There are fewer, perhaps none, where the system refuses to start them.
    """

    def __init__(self, context: Context, n_workers: int) -> None:
        super().__init__()
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._results: SimpleQueue[FoldResult | BaseException] = SimpleQueue()
        self._libraries = LibraryThreads(context)
        limit, context = context.threads, context.with_threads(None)
        self._threads: list[threading.Thread] = []
        for i in range(n_workers):
            thread = threading.Thread(target=self._work, args=(context, limit), name=f"fastreg-search-{i}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system refuses one more; the search goes on with those that there are
                break
            self._threads.append(thread)
        self.slots = 2 * len(self._threads)

    def _work(self, context: Context, limit: int | None) -> None:
        with thread_limit(limit or get_num_threads()):
            while (task := self._tasks.get()) is not None:
                try:
                    result: FoldResult | BaseException = evaluate(context, task, self.stop)
                except BaseException as error:  # SystemExit of user code is the search's to raise
                    result = error
                self._results.put(result)
                del task, result  # or a model would live until the next task comes

    def submit(self, task: Task) -> None:
        """Queues the task."""
        self._tasks.put(task)

    def completed(self, timeout: float | None = None) -> FoldResult | None:
        """The next result of any thread."""
        try:
            result = self._results.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """Ends running fits and waits for the threads."""
        super().close()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        self._libraries.restore()


class LibraryThreads:
    """Keeps BLAS and OpenMP libraries of the process, which estimators use, to the threads of a fit, until restored.

    Needs threadpoolctl, which comes with scikit-learn; without it the libraries do as they like. The limit holds for
    the whole process.

    Args:
        context: What is evaluated: ``Sequential`` models, which use no such library, need no limit.
    """

    def __init__(self, context: Context) -> None:
        self._limits: Any = None
        if context.epochs is not None or context.threads is None or "sklearn" not in sys.modules:
            return
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:
            return
        self._limits = threadpool_limits(limits=context.threads)

    def restore(self) -> None:
        """Gives the libraries back the threads that they had."""
        if self._limits is not None:
            self._limits.restore_original_limits()


def count_workers(n_jobs: object) -> int:
    """How many workers ``n_jobs`` means: -1 is one for each thread of the budget, -2 one fewer, ..., n >= 1 is n.

    Raises:
        ValueError: If it is 0.
        TypeError: If it is no integer.
    """
    n = check_int("search", "n_jobs", n_jobs, ("be >= 1, or negative to count back from all", lambda v: v != 0))
    return n if n > 0 else max(1, get_num_threads() + 1 + n)


def make_runner(context: Context, n_jobs: int = -1, executor: object = None) -> Runner:
    """What evaluates the tasks of a search.

    Args:
        context: What they share.
        n_jobs: Number of workers, see :func:`count_workers`; of an executor of one's own, tasks under way at a time,
            -1 being what it says of itself, or else 2 for each thread of the budget.
        executor: None or ``"threads"``; ``"processes"``, started afresh (spawn); any ``concurrent.futures.Executor``,
            such as ``dask.distributed.Client.get_executor()`` or :class:`fastreg.search.workers.ray.RayExecutor`.

    Raises:
        ValueError: If ``n_jobs`` is 0 or a name unknown.
        TypeError: If ``executor`` is none of these, or ``build`` cannot be sent to another process.
    """
    if executor is None or executor == "threads":
        workers = count_workers(n_jobs)
        context = context.with_threads(max(1, get_num_threads() // workers))
        if workers > 1:
            runner = ThreadRunner(context, workers)
            if runner.slots:
                return runner
            runner.close()
        return InlineRunner(context.with_threads(None))
    if executor == "processes":
        from fastreg.search.workers.processes import ProcessRunner

        workers = count_workers(n_jobs)
        return ProcessRunner(context.with_threads(max(1, get_num_threads() // workers)), workers)
    if isinstance(executor, Executor):
        from fastreg.search.workers.remote import ExecutorRunner

        return ExecutorRunner(context.with_threads(1), executor, n_jobs)
    if isinstance(executor, str):
        guess = did_you_mean(executor, ("threads", "processes"))
        raise ValueError(f"executor: unknown name {executor!r}; known: threads, processes{guess}")
    raise TypeError(f"executor: must be a name or a concurrent.futures.Executor, got {describe(executor)}")
