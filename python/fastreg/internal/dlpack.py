"""Makes arrays of objects of other libraries that offer their memory by DLPack and nothing else that NumPy takes."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["is_memory_alone", "of_memory"]

# The DLPack number of the device whose memory NumPy reads.
_CPU = 1


def is_memory_alone(value: object) -> bool:
    """Whether a value has ``__dlpack__`` and no ``__array__``."""
    return hasattr(value, "__dlpack__") and not hasattr(value, "__array__")


def of_memory(value: Any, name: str) -> Any:
    """An array of the value's memory, without a copy, if it offers that alone; any other value as it is.

    Raises:
        ValueError: If the memory is not that of a CPU, or NumPy has no such numbers.
    """
    if isinstance(value, np.ndarray) or not is_memory_alone(value):
        return value
    device = value.__dlpack_device__() if hasattr(value, "__dlpack_device__") else (_CPU, 0)
    if device[0] != _CPU:
        raise ValueError(
            f"{name}: must be in the memory of the CPU, got a {type(value).__name__} on the DLPack device of type "
            f"{int(device[0])}; copy it to the CPU first"
        )
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{name}: NumPy cannot read the {type(value).__name__} by DLPack: {error}") from error
