"""Texts of Arrow as numbers and as codes of levels, and results as lines of CSV, by loops of the core.

Each function gives None where only the general way knows the answer. Arrow itself is imported by the caller; here its
buffers are read as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastreg import _core

__all__ = ["PackedTexts", "codes_of", "lines", "numbers_of", "packed"]


class PackedTexts(NamedTuple):
    """Texts one after the other: text i is the bytes from ``offsets[i]`` to ``offsets[i + 1]`` of ``data``."""

    offsets: NDArray[np.int32]
    data: NDArray[np.uint8]


def packed(texts: Sequence[str], errors: str = "strict") -> PackedTexts:
    """Texts as UTF-8. ``errors`` says what becomes of half of a surrogate pair, as in :meth:`str.encode`."""
    encoded = [text.encode("utf-8", errors) for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return PackedTexts(ends, np.frombuffer(b"".join(encoded), np.uint8))


def numbers_of(values: Any) -> NDArray[np.float64] | None:
    """The numbers of an array of texts of Arrow, NaN where a text is empty.

    None if a text is not a plain decimal number, or the array is not one of strings without gaps.
    """
    texts = _texts(values)
    return None if texts is None else _core.read_numbers(*texts)


def codes_of(values: Any, levels: PackedTexts, codes: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """For each text of an array of Arrow the code of the level that is the same text, NaN where there is none.

    None if the array is not one of strings without gaps.
    """
    texts = _texts(values)
    return None if texts is None else _core.find_levels(*texts, *levels, codes)


def lines(columns: Sequence[Any]) -> str:
    """Columns as lines, as Arrow writes them without quotes.

    Args:
        columns: Arrays of float32 or float64, or pairs of labels and of the number of each row's label.
    """
    return _core.lines(
        [
            (np.ascontiguousarray(column[1], np.int64), *column[0])
            if isinstance(column, tuple)
            else np.ascontiguousarray(column)
            for column in columns
        ]
    )


def _texts(values: Any) -> PackedTexts | None:
    """The texts of an array of Arrow; None if it is chunked, has gaps, or holds something else than short strings."""
    if str(getattr(values, "type", "")) != "string" or not hasattr(values, "buffers") or values.null_count:
        return None
    _, ends, data = values.buffers()
    n = len(values)
    if n == 0 or ends is None:
        return None
    offsets = np.frombuffer(ends, np.int32, n + 1, 4 * values.offset)
    return PackedTexts(offsets, np.frombuffer(data, np.uint8) if data is not None and data.size else _NOTHING)


_NOTHING = np.empty(0, np.uint8)
