"""Which callbacks running fits use: one that keeps something of its run cannot be of two at the same time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from threading import Lock, get_ident

from fastreg.callbacks.base import Callback
from fastreg.internal.forks import in_child

__all__ = ["InUse", "claim", "use_alone"]


class InUse:
    """The callbacks that running fits use, each with a lock that its fit holds.

    A callback is in use until that lock is open, so an exception of a signal handler cannot leave it in use (see
    :class:`fastreg.internal.forks.Turn`). They are compared by identity, so a copy is not in the set, and neither is
    one in a forked child that lacks the thread of the fit.
    """

    def __init__(self) -> None:
        self._under_way: list[tuple[int, Lock, int]] = []
        in_child(self)

    def __contains__(self, callback: object) -> bool:
        return self.count(callback) > 0

    def count(self, callback: object) -> int:
        """How many fits use it."""
        return sum(one == id(callback) and own.locked() for one, own, _ in tuple(self._under_way))

    def begin(self, callbacks: Iterable[Callback], own: Lock) -> None:
        """A fit in this thread uses them until the lock ``own``, which it holds, is open."""
        for entry in tuple(self._under_way):
            if not entry[1].locked():
                with suppress(ValueError):  # another thread has removed it meanwhile
                    self._under_way.remove(entry)
        self._under_way.extend([(id(callback), own, get_ident()) for callback in callbacks])

    def _after_fork(self) -> None:
        self._under_way = [entry for entry in self._under_way if entry[2] == get_ident()]


_CLAIMED = InUse()


def claim(items: Iterable[Callback], own: Lock) -> None:
    """Until the lock ``own`` is open, no other fit, in another thread or around this one, takes what is of one run.

    Raises:
        RuntimeError: If a fit that is running has one of the callbacks.
    """
    use_alone(_CLAIMED, {id(item): item for item in items if item._of_one_run}.values(), own)


def use_alone(in_use: InUse, items: Collection[Callback], own: Lock) -> None:
    """Until ``own`` is open, a fit uses callbacks that no other may use. Of two that begin at a time none may go on."""
    in_use.begin(items, own)
    for item in items:
        if in_use.count(item) > 1:
            raise RuntimeError(
                f"fit: the {type(item).__name__} is used by another fit that is running; give each fit one of its "
                "own, as by copy.deepcopy"
            )
