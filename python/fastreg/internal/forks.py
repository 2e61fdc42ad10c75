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

__all__ = ["Lock", "in_child"]


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
    """A ``threading.Lock`` that is open in a forked child, unless the thread that forked holds it."""

    __slots__ = ("__weakref__", "_lock", "_owner")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        in_child(self)

    def acquire(self, blocking: bool = True) -> bool:
        """Whether the lock was taken; with ``blocking`` it is waited for."""
        taken = self._lock.acquire(blocking)
        if taken:
            self._owner = threading.get_ident()
        return taken

    def release(self) -> None:
        """Opens the lock."""
        self._owner = None
        self._lock.release()

    def locked(self) -> bool:
        """Whether somebody holds the lock."""
        return self._lock.locked()

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()

    def _after_fork(self) -> None:
        if self._owner != threading.get_ident():
            self._lock, self._owner = threading.Lock(), None
