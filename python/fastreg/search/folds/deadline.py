"""The moment at which a search ends, on the monotonic clock: nobody sets it, as people and time servers set others."""

from __future__ import annotations

import time

__all__ = ["Deadline"]


class Deadline:
    """A moment some seconds after it was made.

    Monotonic clocks of different machines have nothing in common. A copy in another process is therefore made of the
    seconds that were left when it was sent.

    Args:
        seconds: From now on; a negative number is a moment that has passed.
    """

    __slots__ = ("_end",)

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left; negative after the moment."""
        return self._end - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return self.left <= 0.0

    def __reduce__(self) -> tuple[type[Deadline], tuple[float]]:
        return Deadline, (self.left,)
