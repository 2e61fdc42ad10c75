"""Converts the arguments of a ``Predictor`` that it cannot use directly, and explains why an ``out`` is refused.

The compiled call uses this for everything except float32 matrices in C order (that of a ``TablePredictor``: float64
ones). Unlike in :mod:`fastreg.data.arrays`, values are not checked for NaN, because a service should not pay for that;
a NaN gives NaN. Features that float32 cannot hold are still refused, because the conversion would change them silently.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastreg.data.arrays import numeric
from fastreg.data.frames import Names, checked_names
from fastreg.internal.checks import describe
from fastreg.internal.float32 import in_float32


def features(
    value: object, n_features: int, names: Names | None = None, of_input: str | None = None
) -> NDArray[np.float32]:
    """Rows of features as float32 (n, n_features) in C order, n >= 0; of a frame whose columns have these names.

    One number in each row may also be given as (n,). ``of_input`` is the name of an input among several.
    """
    name = "x" if of_input is None else f"x[{of_input!r}]"
    checked_names(value, names, name)
    array = numeric(value, name)
    if array.ndim == 1 and n_features == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2:
        hint = "; reshape(1, -1) makes one row of it" if array.ndim == 1 else ""
        raise ValueError(f"{name}: must be 2-D (rows, features), got shape {array.shape}{hint}")
    if array.shape[1] != n_features:
        raise ValueError(f"{name}: the network takes {n_features} features, got {array.shape[1]}")
    return in_float32(array, f"{name}:")


def codes(value: object, n_codes: int) -> NDArray[np.float64]:
    """Rows of codes of a table as float64 (n, n_codes) in C order, n >= 0, NaN where they are missing."""
    array = numeric(value, "codes")
    if array.ndim != 2:
        hint = "; reshape(1, -1) makes one row of it" if array.ndim == 1 else ""
        raise ValueError(f"codes: must be 2-D (rows, columns of the table), got shape {array.shape}{hint}")
    if array.shape[1] != n_codes:
        raise ValueError(f"codes: the model reads {n_codes} columns, got {array.shape[1]}")
    return np.require(array, np.float64, ("C", "A"))


def flat_rows(
    value: object, shape: tuple[int, ...], names: Names | None = None, of_input: str | None = None
) -> NDArray[Any]:
    """Rows of a shape as rows of numbers, n >= 0; of a frame whose columns have these names.

    One number in each row may also be given as (n,). ``of_input`` is the name of an input among several.
    """
    name = "x" if of_input is None else f"x[{of_input!r}]"
    checked_names(value, names, name)
    array = numeric(value, name)
    single = math.prod(shape) == 1 and array.ndim > 0 and math.prod(array.shape[1:]) == 1
    if array.ndim == 0 or (array.shape[1:] != shape and not single):
        wanted = str(("rows", *shape)).replace("'", "")
        raise ValueError(f"{name}: must have the shape {wanted}, got {array.shape}")
    return array.reshape(len(array), math.prod(shape))


def refuse_out(value: object, shape: tuple[int, ...]) -> NoReturn:
    """Raises the error for an ``out`` that is not a writable float32 array of this shape."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"out: must be a NumPy array, since it is written to, got {describe(value)}")
    if value.dtype != np.dtype(np.float32):
        raise TypeError(f"out: must be float32, since it is written to, got {value.dtype}")
    if value.shape != shape:
        raise ValueError(f"out: must have shape {shape}, got {value.shape}")
    raise ValueError("out: must be C-contiguous, aligned and writable, since it is written to")


def check_out_type(value: NDArray[np.float32]) -> None:
    """Raises TypeError for an ``out`` whose type gives its memory a meaning that writing there would contradict."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError("out: must have no mask, since every element is written; give out.data")
