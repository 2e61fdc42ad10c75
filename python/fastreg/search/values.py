"""Values as a journal has them: what JSON can hold of any value, and hashes of arrays.

Floats round-trip exactly, NaN is null, infinities are the strings "inf" and "-inf"; what JSON lacks stands as
{"repr": ...}, an array as {"array": hash}.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from fastreg.search.space.tree import text_of

__all__ = ["decode_float", "encode", "fingerprint"]

# Bytes that are hashed at a time.
_BLOCK = 1 << 24


def encode(value: object) -> Any:
    """A value in the form that JSON can hold; see the top of this file."""
    if value is None or isinstance(value, (bool, int, str)):
        return value if type(value) in (bool, int, str, type(None)) else _plain(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, np.ndarray):
        return {"array": fingerprint(value)}
    return {"repr": text_of(value)}


def _plain(value: object) -> Any:
    """A subclass's value (an enum's member, NumPy's string) as the plain one."""
    return int(value) if isinstance(value, int) else str(value)


def decode_float(value: object) -> float:
    """The float that :func:`encode` made a JSON value of."""
    return math.nan if value is None else float(cast("float | str", value))


def fingerprint(*arrays: object) -> str:
    """A hash of the shapes, dtypes and values of arrays, lists, data frames or sparse matrices; None is nothing."""
    digest = hashlib.blake2b(digest_size=16)
    for given in arrays:
        if given is None:
            digest.update(b"none")
            continue
        if hasattr(given, "tocsr"):
            sparse = given.tocsr()
            digest.update(fingerprint(sparse.data, sparse.indices, sparse.indptr, sparse.shape).encode())
            continue
        array = np.asarray(given)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        if array.dtype.hasobject:
            digest.update(repr(array.tolist()).encode())
            continue
        step = max(1, _BLOCK // max(1, array[:1].nbytes)) if array.ndim else 1
        for start in range(0, len(array) if array.ndim else 1, step):
            block = array[start : start + step] if array.ndim else array
            digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()
