"""Columns as the inputs of RealMLP-TD read them, as in ``sklearn/realmlp_encoding.py``, which reads frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.checked import finite, members, typed, whole
from fastreg.table.number_parts import Codes, NumericPart

__all__ = ["MOST_CODES", "CodePart", "GapPart", "LevelsPart", "NoPart"]

# Codes of all columns at most, so that float32 holds each; levels of a column in a file; and the largest scale.
MOST_CODES, _MOST_LEVELS, _LARGEST = 2**24, 2**31, 1e300


@dataclass(frozen=True)
class NoPart:
    """A column that another input reads."""

    width = 0

    def encode(self, values: Codes, out: NDArray[np.float32]) -> None:
        """Writes nothing."""

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        return {}


@dataclass(frozen=True)
class GapPart:
    """A feature that is 1 where a number is missing."""

    width = 1

    def encode(self, values: Codes, out: NDArray[np.float32]) -> None:
        """Writes the feature of rows to ``out``, (n, 1)."""
        out[:, 0] = np.isnan(values)

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        return {"missing": True}

    @classmethod
    def from_config(cls, config: Any) -> GapPart:
        """The part of a JSON form. Raises ValueError if it is none."""
        if members(config, "statistics", "missing").get("missing") is not True:
            raise ValueError("missing must be true where a feature marks missing cells")
        return cls()


@dataclass(frozen=True)
class LevelsPart:
    """A feature for each level, or a single one of 1 and -1 if there are two; each is scaled as a number is.

    Missing and new levels are 0 in all of them before that. A column without known levels has a constant feature.
    """

    levels: tuple[int, ...]
    scales: tuple[NumericPart, ...]

    @classmethod
    def fit(cls, values: Codes) -> LevelsPart:
        """Takes the levels of training rows and the statistics of their features."""
        levels = _levels(values)
        return cls(levels, tuple(NumericPart.fit(column, 0) for column in _indicators(levels, values)))

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.scales)

    def encode(self, values: Codes, out: NDArray[np.float32]) -> None:
        """Writes the features of rows to ``out``, (n, width)."""
        for k, (part, column) in enumerate(zip(self.scales, _indicators(self.levels, values), strict=True)):
            part.encode(column, out[:, k : k + 1])

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        return {"levels": list(self.levels), "scales": [[part.centre, part.scale] for part in self.scales]}

    @classmethod
    def from_config(cls, config: Any) -> LevelsPart:
        """The part of a JSON form. Raises ValueError if it is none."""
        config = members(config, "statistics", "levels", "scales")
        levels = _levels_of(config)
        scales = []
        for pair in typed(config.get("scales"), list, "scales"):
            if len(typed(pair, list, "a scale")) != 2:
                raise ValueError(f"a scale must be a centre and a factor, got {len(pair)} numbers")
            centre, scale = (finite(value, "a scale", _LARGEST) for value in pair)
            scales.append(NumericPart(centre, scale, (), False))
        wanted = 1 if len(levels) in (0, 2) else len(levels)
        if len(scales) != wanted:
            raise ValueError(f"a column of {len(levels)} levels must have {wanted} scales, got {len(scales)}")
        return cls(levels, tuple(scales))


@dataclass(frozen=True)
class CodePart:
    """The number of a level for an embedding; missing and new levels have ``first``, the known ones those behind it."""

    levels: tuple[int, ...]
    first: int

    width = 1

    @classmethod
    def fit(cls, values: Codes, first: int) -> CodePart:
        """Takes the levels of training rows."""
        return cls(_levels(values), first)

    @property
    def end(self) -> int:
        """The first code behind those of the column."""
        return self.first + len(self.levels) + 1

    def encode(self, values: Codes, out: NDArray[np.float32]) -> None:
        """Writes the codes of rows to ``out``, (n, 1)."""
        levels = np.array([*self.levels, np.nan])
        place = np.searchsorted(levels[:-1], values)  # NaN goes last
        out[:, 0] = self.first + np.where(levels[place] == values, place + 1, 0)

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        return {"levels": list(self.levels), "first": self.first}

    @classmethod
    def from_config(cls, config: Any) -> CodePart:
        """The part of a JSON form. Raises ValueError if it is none."""
        config = members(config, "statistics", "levels", "first")
        found = cls(_levels_of(config), whole(config.get("first"), "first", 0, MOST_CODES))
        if found.end > MOST_CODES:
            raise ValueError(f"codes must be below {MOST_CODES}, got {found.end - 1}")
        return found


def _levels(values: Codes) -> tuple[int, ...]:
    """The different levels of cells, in order."""
    return tuple(np.unique(values[~np.isnan(values)].astype(np.int64)).tolist())


def _levels_of(config: dict[str, Any]) -> tuple[int, ...]:
    """The levels of a JSON form, in order."""
    levels = [whole(level, "level", 0, _MOST_LEVELS) for level in typed(config.get("levels"), list, "levels")]
    if len(set(levels)) < len(levels):
        raise ValueError("the levels of a column must be different")
    return tuple(sorted(levels))


def _indicators(levels: tuple[int, ...], values: Codes) -> Iterator[Codes]:
    """The features of levels before they are scaled."""
    if not levels:
        yield np.zeros(len(values))
    elif len(levels) == 2:
        yield (values == levels[0]) - (values == levels[1]).astype(np.float64)
    else:
        for level in levels:
            yield (values == level).astype(np.float64)
