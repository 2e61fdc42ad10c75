"""Chooses the runner of a search by ``n_jobs`` and ``executor``. Each kind of runner has a file of its own.

Threads share the data; a process gets them once. There is one thread budget: the number of workers times the threads of
each fit never exceeds it.
"""

from __future__ import annotations

from concurrent.futures import Executor

from fastreg.internal.checks import check_int, describe, did_you_mean
from fastreg.runtime import get_num_threads
from fastreg.search.folds.evaluation import Context
from fastreg.search.workers.runner import Runner
from fastreg.search.workers.threads import InlineRunner, ThreadRunner

__all__ = ["count_workers", "make_runner"]

# For names of libraries: the object that is to be given.
_OBJECTS = {
    "dask": "; for Dask give client.get_executor(), of a dask.distributed.Client",
    "ray": "; for Ray give a RayExecutor()",
}


def count_workers(n_jobs: object) -> int:
    """How many workers ``n_jobs`` means: -1 is one for each thread of the budget, -2 one fewer, ..., n >= 1 is n.

    Raises:
        ValueError: If it is 0.
        TypeError: If it is no integer.
    """
    n = check_int("search", "n_jobs", n_jobs, ("be >= 1, or negative to count back from all", lambda v: v != 0))
    return n if n > 0 else max(1, get_num_threads() + 1 + n)


def make_runner(context: Context, n_jobs: int = -1, executor: object = None) -> Runner:
    """Makes the runner that evaluates the tasks of a search.

    Args:
        context: The context that the tasks share.
        n_jobs: The number of workers, see :func:`count_workers`. For a given executor, the number of tasks that are
            submitted at a time; -1 is the number of workers that it reports, or else 2 for each thread of the budget.
        executor: None or ``"threads"``; ``"processes"``, which are started by spawn; any
            ``concurrent.futures.Executor``, such as ``dask.distributed.Client.get_executor()`` or
            :class:`fastreg.search.workers.ray.RayExecutor`.

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
        guess = did_you_mean(executor, ("threads", "processes")) or _OBJECTS.get(executor.lower(), "")
        raise ValueError(f"executor: unknown name {executor!r}; known: threads, processes{guess}")
    raise TypeError(f"executor: must be a name or a concurrent.futures.Executor, got {describe(executor)}")
