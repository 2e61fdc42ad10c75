"""Any ``concurrent.futures.Executor`` as a runner: Dask, Ray, or a user's pool. The data are sent to each worker once.

A task is sent with a token for the search. A worker process that does not know the token reports that, and the task is
sent again with the context that all tasks share, which the worker keeps. Within the process of the search nothing is
sent. Dask sends data to workers by itself: there every task has a reference to them.
"""

from __future__ import annotations

import os
import pickle
import platform
import time
import uuid
from collections import OrderedDict
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, cast

from fastreg.callbacks import StopSignal
from fastreg.internal.forks import Lock
from fastreg.search.folds.evaluation import Context, FoldResult, Task, error_text, evaluate
from fastreg.search.workers.runner import Runner, check_picklable

__all__ = ["ExecutorRunner", "run_task"]

# The number of tasks that are submitted at a time if an executor does not report how many workers it has.
_UNKNOWN_SLOTS = 64

# How often an executor may cancel a task before it counts as failed.
_MOST_CANCELLED = 3

# Searches whose data a worker process keeps.
_KEPT = 2

# By token: the contexts of searches of this process, and those that searches of other processes have sent.
_own: dict[str, tuple[Context, StopSignal]] = {}
_sent: OrderedDict[str, Context] = OrderedDict()
_guard = Lock()


def run_task(token: str, task: Task, context: Context | None = None) -> tuple[str, FoldResult | None]:
    """Evaluates a task in a worker. Returns the worker's name and the result, which is None if it needs the context."""
    name = f"{platform.node()}:{os.getpid()}"
    if token in _own:
        own, stop = _own[token]
        return name, evaluate(own, task, stop)
    with _guard.held:
        if context is not None:
            _sent[token] = context
        known = _sent.get(token)
        if known is None:
            return name, None
        _sent.move_to_end(token)
        while len(_sent) > _KEPT:
            _sent.popitem(last=False)
    return name, evaluate(known, task)


@dataclass
class _Call:
    """A submitted task: whether it was tried before, how often it was cancelled, and whether it carries the context."""

    task: Task
    again: bool = False
    cancelled: int = 0
    delivers: bool = False


class ExecutorRunner(Runner):
    """A runner on an executor that the caller has made and will shut down.

    Args:
        context: The context that the tasks share.
        executor: The executor.
        n_jobs: The number of tasks that are submitted at a time, if positive.

    Raises:
        TypeError: If the executor is a process pool and something in the context cannot be pickled.
    """

    def __init__(self, context: Context, executor: Executor, n_jobs: int = -1) -> None:
        super().__init__()
        if isinstance(executor, ProcessPoolExecutor):
            check_picklable(context)
        self._context, self._executor = context, executor
        workers = getattr(executor, "_max_workers", None)
        self.slots = 2 * (n_jobs if n_jobs > 0 else workers if isinstance(workers, int) else _UNKNOWN_SLOTS)
        # Fits in this process end when they are told to; those of other processes are left behind.
        self._local = isinstance(executor, ThreadPoolExecutor)
        self._token = uuid.uuid4().hex
        _own[self._token] = context, self.stop
        self._under_way: dict[Future[Any], _Call] = {}
        self._lacking: set[str] = set()  # workers that asked for the context, and have not been seen with it
        self._deliveries = 0  # tasks under way that carry it: no more than workers that lack it
        self._held: list[_Call] = []  # tasks that wait for a delivery
        client = getattr(executor, "_client", None)
        self._client: Any = client if hasattr(client, "scatter") else None
        self._scattered: Any = None
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()

    def submit(self, task: Task) -> None:
        """Gives the task to the executor."""
        self._submit(_Call(task))

    def completed(self, timeout: float | None = None) -> FoldResult | None:
        """The next result.

        Raises:
            RuntimeError: If the executor is broken or was shut down.
            TypeError: If ``build`` cannot be sent to its workers.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self._under_way or self._held:
            if self.stop.is_set and (abandoned := self._abandon()) is not None:
                return abandoned
            # In short waits: cancel() must not touch the queue, it may be called by a signal handler.
            left = 0.1 if end is None else min(0.1, end - time.monotonic())
            try:
                future = self._done.get(timeout=max(0.0, left))
            except Empty:
                if end is not None and time.monotonic() >= end:
                    return None
                continue
            result = self._take(future)
            if result is not None:
                return result
        return None

    def close(self) -> None:
        """Cancels the tasks that have not begun. The executor stays usable."""
        super().close()
        for future in list(self._under_way):
            future.cancel()
        self._under_way.clear()
        self._held.clear()
        self._scattered = None
        _own.pop(self._token, None)

    def _submit(self, call: _Call) -> None:
        try:
            context = self._scatter() if self._client else self._context if call.delivers else None
            future = self._executor.submit(run_task, self._token, call.task, context)
        except RuntimeError as error:  # BrokenExecutor is one
            raise RuntimeError(f"executor: {type(self._executor).__name__} takes no more tasks: {error}") from error
        except Exception as error:
            _raise_if_pickling(error)
            raise
        self._deliveries += call.delivers
        self._under_way[future] = call
        future.add_done_callback(self._done.put)

    def _scatter(self) -> Any:
        """The context as a future of Dask, which a worker fetches once.

        All workers have it from the start, so that it is not lost with one of them, and none gets all tasks since it
        alone has it.
        """
        if self._scattered is None:
            (self._scattered,) = self._client.scatter([self._context], broadcast=True, hash=False)
        return self._scattered

    def _take(self, future: Future[Any]) -> FoldResult | None:
        """The result of a future; None if there is none yet, or if it was abandoned."""
        call = self._under_way.pop(future, None)
        if call is None:
            return None
        self._deliveries -= call.delivers
        try:
            worker, result = future.result()
        except CancelledError as error:
            self._release()
            if self.stop.is_set:
                return FoldResult(call.task.trial, call.task.fold, "stopped")
            return self._cancelled(call, error)
        except Exception as error:
            self._release()
            return self._lost(call, error)
        if result is None:
            self._lacking.add(worker)
            self._held.append(call)
        else:
            self._lacking.discard(worker)
        if result is None or call.delivers:
            self._release()
        return cast("FoldResult | None", result)

    def _release(self) -> None:
        """Sends held tasks on: with the context as long as workers lack it, then when a delivery came through."""
        held, self._held = self._held, []
        for call in held:
            call.delivers = self._deliveries < len(self._lacking)
            if call.delivers or not self._deliveries:
                self._submit(call)
            else:
                self._held.append(call)

    def _cancelled(self, call: _Call, error: CancelledError) -> FoldResult | None:
        """Nobody here did that: with Dask the context was lost with a worker, and what waited for it is cancelled."""
        if call.cancelled == _MOST_CANCELLED:
            text = f"the executor cancelled the task {call.cancelled + 1} times:\n{error_text(error, call.task.params)}"
            return FoldResult(call.task.trial, call.task.fold, "failed", error=text)
        self._scattered = None
        self._submit(_Call(call.task, again=call.again, cancelled=call.cancelled + 1))
        return None

    def _lost(self, call: _Call, error: Exception) -> FoldResult | None:
        """Handles a call that raised an exception, which no task does: its worker died, or could not load its data."""
        if isinstance(error, BrokenExecutor):
            raise RuntimeError(
                f"executor: a worker of {type(self._executor).__name__} died, and it takes no more tasks ({error}); "
                "executor='processes' replaces workers that die"
            ) from error
        _raise_if_pickling(error)
        if call.again:
            text = f"the worker died, or could not run the task, twice:\n{error_text(error, call.task.params)}"
            return FoldResult(call.task.trial, call.task.fold, "failed", error=text)
        self._scattered = None  # may be lost too
        self._submit(_Call(call.task, again=True, cancelled=call.cancelled))
        return None

    def _abandon(self) -> FoldResult | None:
        """Ends the search: a task that has not begun, or runs in another process, counts as stopped."""
        if self._held:
            task = self._held.pop().task
            return FoldResult(task.trial, task.fold, "stopped")
        for future, call in list(self._under_way.items()):
            if not future.done() and (future.cancel() or not self._local):
                del self._under_way[future]
                return FoldResult(call.task.trial, call.task.fold, "stopped")
        return None


def _raise_if_pickling(error: Exception) -> None:
    """Raises TypeError, naming the argument, if the error is that something cannot be pickled."""
    named = isinstance(error, (TypeError, AttributeError)) and "pickle" in str(error).lower()
    if named or isinstance(error, pickle.PicklingError):
        raise TypeError(
            f"build: it, or another argument of the search, cannot be sent to the workers ({error}); define functions "
            "at the top level of a module"
        ) from error
