"""Parts of the rows of data for the core, without copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastreg import _core

__all__ = ["first_rows", "row_count", "rows_of"]


def row_count(data: _core.Data) -> int:
    """The number of rows that are used."""
    if data["rows"] is not None:
        return len(data["rows"])
    x: Any = data["x"]
    return len(x[0]) if isinstance(x, list) else len(x)


def rows_of(data: _core.Data, begin: int, end: int) -> _core.Data:
    """A part of the rows that are used, which are not copied."""
    rows = data["rows"]
    part = np.arange(begin, end, dtype=np.uint32) if rows is None else rows[begin:end]
    return {**data, "rows": part}  # type: ignore[return-value, typeddict-item, unused-ignore]


def first_rows(data: _core.Data, n: int) -> _core.Data:
    """The first ``n`` rows, or all if there are no more."""
    return data if n >= row_count(data) else rows_of(data, 0, n)
