"""Worker processes of a search's own, started afresh (spawn): each gets the data once, then one task at a time.

A worker that dies is replaced; the task it had is tried once more and fails if its worker dies again. Ctrl-C and the
end of the search end the workers.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections import deque
from multiprocessing.connection import Connection, wait
from typing import Any

from fastreg.runtime import set_num_threads
from fastreg.search.folds.evaluation import Context, FoldResult, Task, evaluate
from fastreg.search.workers.runner import LibraryThreads, Runner, check_picklable

__all__ = ["ProcessRunner"]


class _Worker:
    """One process, and the task that it has."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs,), name="fastreg-search", daemon=True)
        self.process.start()
        theirs.close()  # or its end would never be seen
        self.ready = False
        self.task: Task | None = None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class ProcessRunner(Runner):
    """A runner that starts its own processes.

    Args:
        context: The context that the tasks share. It is sent to each worker once.
        n_workers: Number of processes.

    Raises:
        TypeError: If something in the context cannot be pickled.
    """

    def __init__(self, context: Context, n_workers: int) -> None:
        super().__init__()
        check_picklable(context)
        self._context = context
        self._waiting: deque[Task] = deque()
        self._results: deque[FoldResult] = deque()
        self._tried: set[int] = set()  # id of tasks whose worker died once; they are alive in _waiting or a worker
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._workers: list[_Worker] = []
        try:
            while len(self._workers) < n_workers:
                try:
                    self._workers.append(_Worker())
                except OSError:  # the system refuses one more; the search goes on with those that there are
                    if not self._workers:
                        raise
                    break
            self.slots = 2 * len(self._workers)
            payload = pickle.dumps(context, protocol=5)
            for worker in self._workers:
                self._send_context(worker, payload)
        except BaseException:
            self.close()
            raise

    def submit(self, task: Task) -> None:
        """Gives the task to a worker that has none, or queues it."""
        self._waiting.append(task)
        self._dispatch()

    def completed(self, timeout: float | None = None) -> FoldResult | None:
        """The next result of any worker.

        Raises:
            RuntimeError: If a worker ends before its first task.
            TypeError: If a worker cannot load ``build``.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._results:
            if self.stop.is_set:
                self._abandon()
                break
            left = None if end is None else end - time.monotonic()
            if (left is not None and left <= 0) or not (self._waiting or any(w.task for w in self._workers)):
                return None
            self._receive(left)
        return self._results.popleft() if self._results else None

    def cancel(self) -> None:
        """Ends running tasks, like every runner."""
        super().cancel()
        try:
            os.write(self._wake, b"\0")  # ends a wait under way
        except OSError:  # closed, or full of earlier ones
            return

    def close(self) -> None:
        """Kills the workers."""
        super().close()
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        for end in (self._woken, self._wake):
            if end >= 0:
                os.close(end)
        self._woken = self._wake = -1

    def _receive(self, timeout: float | None) -> None:
        """Waits for messages of the workers and takes those that have arrived."""
        ready = set(wait([*(worker.connection for worker in self._workers), self._woken], timeout))
        for worker in list(self._workers):
            if worker.connection not in ready:
                continue
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                self._replace(worker)
                continue
            if isinstance(message, str):
                if message:
                    raise TypeError(f"executor: a worker process cannot load what it was sent:\n{message}")
                worker.ready = True
            else:
                self._tried.discard(id(worker.task))
                worker.task = None
                self._results.append(message)
        self._dispatch()

    def _dispatch(self) -> None:
        for worker in list(self._workers):
            if not self._waiting or self.stop.is_set:
                return
            if not worker.ready or worker.task is not None:
                continue
            worker.task = self._waiting.popleft()
            try:
                worker.connection.send(worker.task)
            except OSError:
                self._replace(worker)
            except Exception as error:
                text = f"the task cannot be sent to another process: {error}\nparams: {dict(worker.task.params)}"
                self._results.append(_failed(worker.task, text))
                worker.task = None

    def _replace(self, worker: _Worker) -> None:
        """A worker has died."""
        worker.process.join()
        code = worker.process.exitcode
        worker.connection.close()
        self._workers.remove(worker)
        if not worker.ready:
            raise RuntimeError(
                f"executor: a worker process ended with code {code} before its first task. A program that starts "
                "processes must keep what it does under  if __name__ == '__main__':"
            )
        task = worker.task
        if task is not None and id(task) in self._tried:
            self._tried.discard(id(task))
            self._results.append(_failed(task, f"the worker process died, twice (code {code})\nparams: {task.params}"))
        elif task is not None:
            self._tried.add(id(task))
            self._waiting.appendleft(task)
        fresh = _Worker()
        self._workers.append(fresh)
        self._send_context(fresh, pickle.dumps(self._context, protocol=5))

    def _send_context(self, worker: _Worker, payload: bytes) -> None:
        try:
            worker.connection.send_bytes(payload)
        except OSError:
            self._replace(worker)

    def _abandon(self) -> None:
        """Ends the workers, whatever they are doing, because the search is over."""
        tasks = [worker.task for worker in self._workers if worker.task is not None]
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._results.extend(FoldResult(task.trial, task.fold, "stopped") for task in (*tasks, *self._waiting))
        self._waiting.clear()


def _failed(task: Task, error: str) -> FoldResult:
    return FoldResult(task.trial, task.fold, "failed", error=error)


def _serve(connection: Connection[Any, Any]) -> None:
    """The loop of a worker process. It ends when the connection does, for example because the parent has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    try:
        try:
            context = connection.recv()
        except (EOFError, OSError):
            return
        except Exception:
            connection.send(traceback.format_exc())
            return
        if context.threads is not None:
            set_num_threads(context.threads)  # this process's own budget knows nothing of what the parent was told
        LibraryThreads(context)
        connection.send("")
        while True:
            task = connection.recv()
            result = evaluate(context, task)
            try:
                connection.send(result)
            except (AttributeError, TypeError, pickle.PicklingError) as error:
                connection.send(_failed(task, f"the result cannot be sent back: {error}\nparams: {task.params}"))
    except (EOFError, OSError):
        return
