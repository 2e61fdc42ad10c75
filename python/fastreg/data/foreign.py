"""Objects of other libraries in place of arrays: what gives batches, or has no rows yet, is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastreg.data.frames import refuse_lazy
from fastreg.internal.batches import BATCHES, gives_batches
from fastreg.internal.checks import describe

__all__ = ["taken"]


def taken(value: Any, name: str) -> Any:
    """The value.

    Raises:
        TypeError: If it is a LazyFrame, or gives batches: a generator, an iterator or a loader of data.
    """
    if isinstance(value, (np.ndarray, Sequence, Mapping)) or value is None:
        return value
    refuse_lazy(value, name)
    if gives_batches(value):
        raise TypeError(f"{name}: must be an array or a frame, got {describe(value)}; {BATCHES}")
    return value
