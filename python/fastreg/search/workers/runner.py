"""The base of what evaluates tasks, and what several kinds need. A runner gives back every task it was given, once.

One budget holds: workers times threads of a fit never exceed it.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

from fastreg.callbacks import StopSignal
from fastreg.search.folds.evaluation import Context, FoldResult, Task

__all__ = ["LibraryThreads", "Runner", "check_picklable"]


class Runner:
    """Base of the runners, which evaluate tasks.

    Attributes:
        slots: The number of tasks that must be submitted to keep every worker busy.
        stop: The event that :meth:`cancel` sets.
    """

    slots: int = 1

    def __init__(self) -> None:
        self.stop = StopSignal()

    def submit(self, task: Task) -> None:
        """Submits a task. Raises the exception of the executor if it accepts no more tasks."""
        raise NotImplementedError

    def completed(self, timeout: float | None = None) -> FoldResult | None:
        """Waits for the next result and returns it, or None if there is none after ``timeout`` seconds."""
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


class LibraryThreads:
    """Limits the BLAS and OpenMP libraries of the process, which estimators use, to the threads of a fit.

    This needs threadpoolctl, which is installed with scikit-learn; without it the libraries are not limited. The limit
    applies to the whole process until it is restored.

    Args:
        context: The context of the tasks. ``Sequential`` models use no such library and need no limit.
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


def check_picklable(context: Context) -> None:
    """Raises TypeError, naming the argument, if the context cannot be sent to another process."""
    for name, value in (
        ("build", context.build),
        ("scoring", context.scorers),
        ("preprocess", context.preprocess),
        ("fit's arguments", context.fit_arguments),
    ):
        try:
            pickle.dumps(value)
        except Exception as error:
            hint = "; define it at the top level of a module" if name in ("build", "scoring") else ""
            raise TypeError(f"{name}: cannot be sent to another process ({error}){hint}") from error
