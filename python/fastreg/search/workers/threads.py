"""Runners on the calling thread, or on threads of this process, which share the data and stop within a step."""

from __future__ import annotations

import threading
from collections import deque
from queue import Empty, SimpleQueue

from fastreg.runtime import get_num_threads, thread_limit
from fastreg.search.folds.evaluation import Context, FoldResult, Task, evaluate
from fastreg.search.workers.runner import LibraryThreads, Runner

__all__ = ["InlineRunner", "ThreadRunner"]


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
        """Returns the oldest result, or None if there is none."""
        return self._results.popleft() if self._results else None


class ThreadRunner(Runner):
    """Threads of this process, which share the data. A fit runs without the interpreter lock.

    Args:
        context: The context that the tasks share; ``context.threads`` is the thread limit of each fit.
        n_workers: The number of threads. There are fewer, or even none, if the system refuses to start them.
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
