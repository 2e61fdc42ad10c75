"""Which callbacks running fits use: one that keeps something of its run cannot be of two at the same time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident

from fastreg.callbacks.base import Callback
from fastreg.internal.forks import in_child

__all__ = ["InUse", "claimed", "used"]


class InUse:
    """The callbacks that running fits use, each with the thread of its fit.

    They are compared by identity, so a copy is not in the set, and neither is one in a forked child that lacks the
    thread.
    """

    def __init__(self) -> None:
        self._under_way: list[tuple[int, int]] = []
        in_child(self)

    def __contains__(self, callback: object) -> bool:
        return self.count(callback) > 0

    def count(self, callback: object) -> int:
        """How many fits use it."""
        return sum(one == id(callback) for one, _ in tuple(self._under_way))

    def begin(self, callback: Callback) -> None:
        """A fit in this thread uses it."""
        self._under_way.append((id(callback), get_ident()))

    def end(self, callback: Callback) -> None:
        """The fit has ended."""
        self._under_way.remove((id(callback), get_ident()))

    def _after_fork(self) -> None:
        self._under_way = [pair for pair in self._under_way if pair[1] == get_ident()]


_CLAIMED = InUse()


@contextmanager
def claimed(items: Sequence[Callback]) -> Iterator[None]:
    """Within it no other fit, in another thread or around this one, takes those of the callbacks that are of one run.

    Raises:
        RuntimeError: If a fit that is running has one of them.
    """
    with used(_CLAIMED, {id(item): item for item in items if item._of_one_run}.values()):
        yield


@contextmanager
def used(in_use: InUse, items: Collection[Callback]) -> Iterator[None]:
    """Within it a fit uses callbacks that no other one may use. Of two that begin at a time none may go on."""
    for item in items:
        in_use.begin(item)
    try:
        for item in items:
            if in_use.count(item) > 1:
                raise RuntimeError(
                    f"fit: the {type(item).__name__} is used by another fit that is running; give each fit one of its "
                    "own, as by copy.deepcopy"
                )
        yield
    finally:
        for item in items:
            in_use.end(item)
