"""Objects in place of arrays: memory of others becomes an array; what gives batches, is lazy or masked is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastreg.data.frames import refuse_lazy
from fastreg.internal.batches import BATCHES, gives_batches
from fastreg.internal.checks import describe
from fastreg.internal.dlpack import of_memory

__all__ = ["taken"]


def taken(value: Any, name: str) -> Any:
    """The value, or an array of its memory if it offers that alone, by DLPack.

    Raises:
        TypeError: If it is a LazyFrame, or gives batches: a generator, an iterator or a loader of data.
        ValueError: If its memory is not that of a CPU, or NumPy has no such numbers, or values of it are masked.
    """
    if isinstance(value, np.ma.MaskedArray) and np.any(value.mask):
        raise ValueError(f"{name}: masked values are not supported; fill or drop them first")
    if isinstance(value, (np.ndarray, Sequence, Mapping)) or value is None:
        return value
    refuse_lazy(value, name)
    if gives_batches(value):
        raise TypeError(f"{name}: must be an array or a frame, got {describe(value)}; {BATCHES}")
    return of_memory(value, name)
