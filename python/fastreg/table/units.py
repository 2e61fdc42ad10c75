"""Which columns of numbers are of one unit, as pixels, spectra, answers on one scale and counts of one kind are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastreg.table.number_parts import Codes

__all__ = ["columns_of_one_unit", "shared_scale"]

# Columns of one unit at least: fewer may have like ranges by chance, and a common scale is of little use to them.
_LEAST = 16
# The share of the numeric columns without missing cells that must be among them.
_SHARE = 0.9
# How far a column's range may reach beyond the common range, as a multiple of the width of that.
_BEYOND = 4.0
# Columns with numbers beyond this are none of a unit, so that no sum of them is infinite; nor are ranges below its
# inverse.
_LARGEST = 1e100


def columns_of_one_unit(kinds: Sequence[str], codes: Codes) -> list[int]:
    """The numbers of the columns whose ranges show that they are of one unit; empty if the table has none such.

    The common range is from the median of the columns' minima to that of their maxima. Columns are of one unit if their
    own ranges reach at most four of its widths beyond it. There must be at least 16 of them, and they must be at least
    nine tenths of the numeric columns without missing cells that are not constant. A column that is nearly constant,
    such as a pixel at the border, may be among them: its range does not tell its unit.

    Args:
        kinds: The kind of each column.
        codes: The training rows.

    Example:
        >>> import numpy as np
        >>> from fastreg.table.units import columns_of_one_unit
        >>> pixels = np.random.default_rng(0).integers(0, 17, size=(50, 20)).astype(float)
        >>> len(columns_of_one_unit(["numeric"] * 20, pixels))
        20
        >>> columns_of_one_unit(["numeric"] * 20, pixels * 10.0 ** np.arange(20))
        []
    """
    numeric = [i for i, kind in enumerate(kinds) if kind == "numeric"]
    if len(numeric) < _LEAST or len(codes) == 0:
        return []
    # NaN for a column with missing cells, which all comparisons leave out.
    low, high = (np.array([one(codes[:, i]) for i in numeric]) for one in (np.min, np.max))
    varied = np.flatnonzero((low < high) & (low >= -_LARGEST) & (high <= _LARGEST))
    if len(varied) < _LEAST:
        return []
    low, high = low[varied], high[varied]
    first, last = float(np.median(low)), float(np.median(high))
    width = last - first
    near = (low >= first - _BEYOND * width) & (high <= last + _BEYOND * width)
    if width < 1.0 / _LARGEST:
        return []
    if near.sum() < max(_LEAST, _SHARE * len(varied)):
        return []
    return [numeric[i] for i in varied[near]]


def shared_scale(codes: Codes, unit: Sequence[int]) -> tuple[float, float]:
    """The mean of all cells of some columns, and the inverse of half their common range.

    Args:
        codes: The training rows.
        unit: The numbers of the columns, which are of one unit.
    """
    columns = [codes[:, i] for i in unit]
    width = max(float(column.max()) for column in columns) - min(float(column.min()) for column in columns)
    return float(np.mean([column.mean() for column in columns])), 2.0 / width
