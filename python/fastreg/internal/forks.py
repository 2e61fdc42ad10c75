"""State that a forked child must not inherit: locks of threads that it does not have, and files that others write.

The child of ``os.fork`` has only the thread that called it, and the other threads may have been in the middle of
anything. The core comes to rest before a fork (``core/fork.h``); this module is the part of Python. It knows nothing of
models.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["Lock", "Turn", "in_child"]


class _Inherited(Protocol):
    def _after_fork(self) -> None: ...


_inherited: WeakSet[_Inherited] = WeakSet()


def in_child(thing: _Inherited) -> None:
    """Has ``thing._after_fork()`` called in every child that is forked while it exists."""
    _inherited.add(thing)


def _after_fork() -> None:
    for thing in list(_inherited):
        thing._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Lock:
    """A reentrant lock that is open in a forked child, unless the thread that forked holds it.

    ``with lock.held:`` takes it. An exception of a signal handler, such as KeyboardInterrupt, cannot leave it closed:
    the interpreter runs no handler between taking a lock of its own and the block, nor between the block and opening
    the lock. It would between the lines of an ``__enter__`` in Python. A handler may take the lock within the block.

    Attributes:
        held: The lock for ``with``.
    """

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held = threading.RLock()
        in_child(self)

    def _after_fork(self) -> None:
        if self.held.acquire(blocking=False):  # it is nobody's, or this thread's
            self.held.release()
        else:
            self.held = threading.RLock()


class Turn:
    """Which call has its turn, of calls that exclude each other. They do not wait: a second one is refused.

    A call takes a new ``threading.Lock`` by ``with`` and passes it to :meth:`begin`. Its turn ends when that lock is
    open, so an exception of a signal handler cannot leave the turn taken (see :class:`Lock`). In a forked child it ends
    unless the thread that forked has it.

    Args:
        gate: Is held while a turn begins, so who holds it may rely on what :meth:`taken` says.
    """

    __slots__ = ("__weakref__", "_current", "_gate")

    def __init__(self, gate: Lock) -> None:
        self._gate = gate
        self._current: tuple[threading.Lock, int] | None = None
        in_child(self)

    def begin(self, own: threading.Lock) -> bool:
        """Whether the caller, who holds the lock ``own``, got the turn."""
        with self._gate.held:
            if self.taken():
                return False
            self._current = own, threading.get_ident()
            return True

    def taken(self) -> bool:
        """Whether some call has its turn."""
        current = self._current
        return current is not None and current[0].locked()

    def _after_fork(self) -> None:
        if self._current is not None and self._current[1] != threading.get_ident():
            self._current = None
