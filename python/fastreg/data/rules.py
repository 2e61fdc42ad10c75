"""What the numbers of an array must be: finite, or integers of a range. Messages say where the first bad one is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.data import frames
from fastreg.internal.float32 import beyond_float32, shown

__all__ = ["check_finite", "check_indices"]


def check_finite(array: NDArray[Any], name: str, source: object, missing: Sequence[bool], hint: str = "") -> None:
    """Raises ValueError for what is not finite in float32, but for NaN in columns where it may be.

    ``hint`` says what to do with finite numbers that float32 cannot hold.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        bad = ~np.isfinite(array.astype(np.float32, copy=False))
    if any(missing):
        bad &= ~(np.isnan(array) & np.array(missing))
        if not bad.any():
            return
    place = np.unravel_index(int(np.argmax(bad)), bad.shape)
    value = array[place]
    where = f"row {place[0]}"
    if bad.ndim == 2:
        where = frames.where(int(place[0]), int(place[1]), frames.labels(source))
        n_columns = int(bad.any(axis=0).sum())
        where += f" (the first of {n_columns} such columns)" if n_columns > 1 else ""
    if np.isfinite(value):
        raise beyond_float32(f"{name}:", shown(value), where, hint)
    raise ValueError(f"{name}: must be finite numbers, got {'NaN' if np.isnan(value) else 'infinity'} in {where}")


def check_indices(array: NDArray[Any], limit: int, name: str) -> None:
    """Raises ValueError unless every element is an integer in [0, limit)."""
    bad = (array < 0) | (array >= limit)
    if array.dtype.kind == "f":
        bad |= array != np.floor(array)
    if bad.any():
        row, column = np.unravel_index(int(np.argmax(bad)), bad.shape)
        got = array[row, column].item()
        raise ValueError(f"{name}: must be integers in [0, {limit}), got {got} in row {row}, column {column}")
