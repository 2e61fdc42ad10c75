"""Recognises what gives batches one after another, which calls that take arrays refuse."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["BATCHES", "gives_batches"]

# What to do with batches.
BATCHES = (
    "np.concatenate makes one array of batches, and train_on_batch, test_on_batch or predict_on_batch in a loop takes "
    "each by itself"
)
# What an array or a frame has, one of these at least.
_ARRAYS = ("__array__", "__array_interface__", "__dlpack__", "__arrow_c_stream__", "__dataframe__", "shape", "columns")


def gives_batches(value: object) -> bool:
    """Whether a value gives batches one after another, as generators, ``DataLoader`` and ``tf.data.Dataset`` do."""
    if inspect.isgeneratorfunction(value):
        return True
    if isinstance(value, (type, Sequence, Mapping)) or any(hasattr(value, name) for name in _ARRAYS):
        return False
    return hasattr(value, "__next__") or (
        (hasattr(value, "__iter__") or (hasattr(value, "__getitem__") and hasattr(value, "__len__")))
        and not _has_buffer(value)
    )


def _has_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True
