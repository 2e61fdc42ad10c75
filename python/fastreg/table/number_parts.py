"""Columns of numbers and of levels as features; the formulas are those of :class:`TableEncoder`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.layers import CategoricalColumn, NumericColumn
from fastreg.table.checked import finite, members, typed, whole
from fastreg.table.numbers import bounded

__all__ = ["CategoricalPart", "Codes", "NumericPart"]

Codes = NDArray[np.float64]

# Spreads below this are rounding noise of a constant; its inverse is finite.
_LEAST = 1e-300
# Numbers beyond this count as this, so that no difference of two is infinite.
_LARGEST = 1e300
# A value at which the soft limit has long been reached.
_FAR = 1e6
# The distance from 0, in quartiles, beyond which the float32 of a number is not precise enough.
_FAR_FROM_ZERO = 1000.0
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
# Levels of a column at most, in a model file.
_MOST_LEVELS = 2**31
# The largest level up to which the places of all levels are listed.
_LISTED = 2**16
# Rows whose bins are written at once.
_ROWS = 1024


@lru_cache(maxsize=8)
def _full_bins(n_bins: int) -> NDArray[np.float32]:
    """A row for each bin: 1 in those below it. Making it takes longer than encoding a single row with it."""
    full = np.tri(n_bins, k=-1, dtype=np.float32)
    full.flags.writeable = False
    return full


@dataclass(frozen=True)
class NumericPart:
    """The encoding of a column of numbers."""

    centre: float
    scale: float
    edges: tuple[float, ...]  # of the bins, increasing; fewer than 2 for no bins
    missing: bool  # whether missing cells have a column

    @classmethod
    def fit(cls, values: Codes, n_bins: int) -> NumericPart:
        """Takes the statistics of training rows, NaN where missing."""
        known = np.clip(values[~np.isnan(values)], -_LARGEST, _LARGEST)
        if len(known) == 0:
            return cls(0.0, 0.0, (), False)
        low, centre, high = (float(v) for v in np.quantile(known, [0.25, 0.5, 0.75]))
        spread, whole = high - low, float(known.max() - known.min())
        width = spread if spread > _LEAST else 0.5 * whole
        scale = 1.0 / width if width > _LEAST else 0.0
        edges = _edges(known, n_bins) if n_bins > 0 and whole > 0 else ()
        return cls(centre, scale, edges, len(known) < len(values))

    @property
    def width(self) -> int:
        """The number of features."""
        return 1 + max(len(self.edges) - 1, 0) + self.missing

    @property
    def offset(self) -> float:
        """What is subtracted from numbers before they become float32, where they would lose too many digits."""
        if abs(self.centre * self.scale) <= _FAR_FROM_ZERO:
            return 0.0
        moved = [edge - self.centre for edge in self.edges]
        return self.centre if all(a < b for a, b in itertools.pairwise(moved)) else 0.0

    @property
    def column(self) -> NumericColumn:
        """What it is for a TableInput that reads :meth:`given`."""
        return self._moved(self.offset)

    @property
    def raw_column(self) -> NumericColumn:
        """What it is for what reads the numbers themselves, in double precision."""
        return self._moved(0.0)

    def _moved(self, offset: float) -> NumericColumn:
        edges = [edge - offset for edge in self.edges if len(self.edges) > 1]
        return NumericColumn(self.centre - offset, self.scale, edges, self.missing)

    def given(self, values: Codes) -> NDArray[np.float32]:
        """The numbers that a TableInput reads, NaN where they are missing; finite otherwise."""
        with np.errstate(over="ignore"):
            return np.clip(values - self.offset, -_LARGEST_FLOAT, _LARGEST_FLOAT).astype(np.float32)

    def encode(self, values: Codes, out: NDArray[np.float32]) -> None:
        """Writes the features of rows to ``out``, which holds zeros."""
        unknown = np.isnan(values)
        gaps = bool(unknown.any())
        known = bounded(np.where(unknown, self.centre, values) if gaps else values, _LARGEST)
        with np.errstate(over="ignore"):  # a value far out may become infinite here, and is then limited
            z = known - self.centre
            z *= self.scale
        z = bounded(z, _FAR)
        length = z / 3.0
        length *= length
        length += 1.0
        np.divide(z, np.sqrt(length, out=length), out=out[:, 0], casting="same_kind")
        if len(self.edges) > 1:
            self._encode_bins(known, out[:, 1 : len(self.edges)])
            if gaps:
                out[unknown, 1 : len(self.edges)] = 0.0
        if self.missing:
            out[:, -1] = unknown

    def _encode_bins(self, known: Codes, out: NDArray[np.float32]) -> None:
        """Writes the shares of the bins that values fill: those below the value's are full, those above it empty."""
        edges = np.array(self.edges)
        n_bins = len(edges) - 1
        own = np.clip(np.searchsorted(edges, known, side="right") - 1, 0, n_bins - 1)
        with np.errstate(over="ignore"):
            ramp = (known - edges[own]) / (edges[own + 1] - edges[own])
        full = _full_bins(n_bins)
        for begin in range(0, len(known), _ROWS):  # a few rows at a time stay in the cache
            rows = slice(begin, begin + _ROWS)
            out[rows] = full[own[rows]]
        out[np.arange(len(known)), own] = np.clip(ramp, 0.0, 1.0)

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        return {"centre": self.centre, "scale": self.scale, "edges": list(self.edges), "missing": self.missing}

    @classmethod
    def from_config(cls, config: Any) -> NumericPart:
        """The part of a JSON form. Raises ValueError if it is none."""
        config = members(config, "statistics", "centre", "scale", "edges", "missing")
        edges = tuple(finite(edge, "edge", _LARGEST) for edge in typed(config.get("edges"), list, "edges"))
        if any(b <= a for a, b in itertools.pairwise(edges)):
            raise ValueError("the edges of bins must increase")
        centre = finite(config.get("centre"), "centre", _LARGEST)
        scale = finite(config.get("scale"), "scale", _LARGEST)
        return cls(centre, scale, edges, typed(config.get("missing"), bool, "missing"))


def _edges(known: Codes, n_bins: int) -> tuple[float, ...]:
    values, counts = np.unique(known, return_counts=True)
    if len(values) > n_bins + 1:
        weights = np.sqrt(counts)
        middles = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
        values = np.unique(np.interp(np.linspace(0.0, 1.0, n_bins + 1), middles, values))
    return tuple(values.tolist())


@dataclass(frozen=True)
class CategoricalPart:
    """The encoding of a column of levels."""

    levels: tuple[int, ...]  # that have a column; all else shares the last one

    @classmethod
    def fit(cls, values: Codes, min_count: int) -> CategoricalPart:
        """Takes the levels of training rows that at least ``min_count`` of them have."""
        found, counts = np.unique(values[~np.isnan(values)].astype(np.int64), return_counts=True)
        return cls(tuple(found[counts >= min_count].tolist()))

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.levels) + 1

    offset = 0.0

    @property
    def column(self) -> CategoricalColumn:
        """What it is for a TableInput that reads :meth:`given`."""
        return CategoricalColumn(self.levels)

    @property
    def raw_column(self) -> CategoricalColumn:
        """The same."""
        return self.column

    def given(self, values: Codes) -> NDArray[np.float32]:
        """The codes that a TableInput reads: as they are; what float32 does not hold is no level."""
        return np.clip(values, -_LARGEST_FLOAT, _LARGEST_FLOAT).astype(np.float32)

    def encode(self, values: Codes, out: NDArray[np.float32]) -> None:
        """Writes the features of rows to ``out``, which holds zeros."""
        n = len(self.levels)
        if n and self.levels[-1] > _LISTED:
            levels = np.array([*self.levels, np.nan])
            place = np.searchsorted(levels[:n], values)  # NaN goes last
            place[levels[place] != values] = n
        else:
            # A list of the place of each level; cells that have none find n at its end.
            places = np.full((self.levels[-1] if n else 0) + 2, n)
            places[list(self.levels)] = np.arange(n)
            with np.errstate(invalid="ignore"):
                known = (values >= 0) & (values < len(places) - 1) & (values == np.floor(values))
            place = places[np.where(known, values, -1.0).astype(np.int64)]
        out[np.arange(len(values)), place] = 1.0

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        return {"levels": list(self.levels)}

    @classmethod
    def from_config(cls, config: Any) -> CategoricalPart:
        """The part of a JSON form. Raises ValueError if it is none."""
        levels = typed(members(config, "statistics", "levels").get("levels"), list, "levels")
        codes = [whole(level, "level", 0, _MOST_LEVELS) for level in levels]
        if len(set(codes)) < len(codes):
            raise ValueError("the levels of a column must be different")
        return cls(tuple(sorted(codes)))
