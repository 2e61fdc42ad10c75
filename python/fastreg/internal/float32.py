"""Numbers as float32, in which the core computes, and what messages say of numbers that float32 cannot hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core

__all__ = ["beyond_float32", "in_float32", "shown"]

_FLOAT32 = np.dtype(np.float32)


def beyond_float32(subject: str, number: Any, where: str = "", hint: str = "") -> ValueError:
    """The error of a finite number that is infinite in float32.

    Args:
        subject: What the message begins with: the argument, and before it the owner.
        number: The number of any type, or its text.
        where: Its position.
        hint: What to do.
    """
    text = repr(number) if isinstance(number, float) else str(number)
    place = f" in {where}" if where else ""
    return ValueError(
        f"{subject} must be within the range of float32, up to 3.4028235e+38 in size, got {text}{place}{hint}"
    )


def in_float32(array: NDArray[Any], subject: str, hint: str = "") -> NDArray[np.float32]:
    """Numbers as float32, C-contiguous and aligned, without a copy if they are so already.

    NaN and infinity stay. A finite number that would become infinite is a ValueError, which begins with ``subject``
    and ends with ``hint``.
    """
    if array.dtype is _FLOAT32:
        return np.require(array, _FLOAT32, ("C", "A"))
    with np.errstate(over="ignore", invalid="ignore"):
        converted: NDArray[np.float32] = np.require(array, _FLOAT32, ("C", "A"))
    if array.dtype.kind == "f" and array.dtype.itemsize > 4 and not _core.all_finite(converted.reshape(-1)):
        lost = np.isinf(converted) & ~np.isinf(array)
        if lost.any():
            place = tuple(int(i) for i in np.unravel_index(int(np.argmax(lost)), lost.shape))
            raise beyond_float32(subject, shown(array[place]), _where(place), hint)
    return converted


def shown(number: Any) -> Any:
    """A number of NumPy as a message shows it: as a float, where a float can hold it."""
    as_float = float(number)
    return as_float if np.isfinite(as_float) or not np.isfinite(number) else number


def _where(place: tuple[int, ...]) -> str:
    if len(place) == 2:
        return f"column {place[1]}, row {place[0]}"
    return f"row {place[0]}" if len(place) == 1 else f"position {place}" if place else ""
