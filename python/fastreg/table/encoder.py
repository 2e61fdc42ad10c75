r"""Encodes the codes of a table (``schema.py``) as features, with statistics that are learned from training rows.

Its external form is plain JSON (``to_config``), which a model file contains. Reading it runs no code and checks values.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, check_int

__all__ = ["Codes", "TableEncoder", "finite", "typed"]

Codes = NDArray[np.float64]

# The largest number of encoded numeric columns. If there would be more, each gets fewer bins.
_MOST_RAMPS = 2000
# Spreads below this are rounding noise of a constant; its inverse is finite.
_LEAST = 1e-300
# A value at which the soft limit has long been reached.
_FAR = 1e6


class TableEncoder:
    r"""Encodes codes as features by statistics of the training rows; a preprocessing step (``fit``, ``transform``).

    A numeric column becomes its value, centred by the median :math:`m`, scaled by the quartiles :math:`q` and softly
    limited to (-3, 3), and a piecewise-linear encoding over bins :math:`b_0 < \dots < b_T`:

    .. math::
        z = \frac{x - m}{q_{0.75} - q_{0.25}}, \quad f = \frac{z}{\sqrt{1 + (z / 3)^2}}, \qquad
        e_t = \min(\max((x - b_{t-1}) / (b_t - b_{t-1}), 0), 1)

    Bins are quantiles of the different values, where each value has the square root of its count as its weight, so that
    a value that most rows share takes one bin and not all. A missing number is 0 in both encodings, and 1 in a column
    of its own if training rows had missing numbers. A categorical column becomes one column for each level that at
    least ``min_count`` training rows have, and one for all other cells: missing, rare and new levels.

    Sources: the soft limit is that of RealMLP (Holzmüller, Grinsztajn and Steinwart, NeurIPS 2024); piecewise-linear
    encoding is Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning",
    NeurIPS 2022.

    Args:
        categorical: Whether each column of the codes is categorical.
        n_bins: The number of bins of a numeric column, >= 0. With 0 there is no piecewise-linear part.
        min_count: The number of rows that a level needs for a column of its own, >= 1.

    Example:
        >>> import numpy as np
        >>> encoder = TableEncoder([False], n_bins=2).fit(np.array([[0.0], [1.0], [2.0], [np.nan]]))
        >>> encoder.transform(np.array([[1.0], [np.nan]]))
        array([[0., 1., 0., 0.],
               [0., 0., 0., 1.]], dtype=float32)
    """

    def __init__(self, categorical: Sequence[bool], n_bins: int = 48, min_count: int = 10) -> None:
        self.categorical = tuple(bool(value) for value in categorical)
        self.n_bins = check_int("TableEncoder", "n_bins", n_bins, NON_NEGATIVE)
        self.min_count = check_int("TableEncoder", "min_count", min_count, AT_LEAST_ONE)
        self._parts: list[_Numeric | _Categorical] | None = None

    def fit(self, codes: Codes, y: object = None) -> TableEncoder:
        """Takes the statistics of training rows, (n, columns)."""
        self._check(codes)
        numeric = self.categorical.count(False)
        n_bins = min(self.n_bins, _MOST_RAMPS // max(numeric, 1))
        self._parts = [
            _Categorical.fit(codes[:, i], self.min_count) if categorical else _Numeric.fit(codes[:, i], n_bins)
            for i, categorical in enumerate(self.categorical)
        ]
        return self

    def transform(self, codes: Codes) -> NDArray[np.float32]:
        """The features of rows of codes: finite, (n, :attr:`n_features`). Raises ValueError before ``fit``."""
        parts = self._fitted()
        self._check(codes)
        out = np.zeros((len(codes), self.n_features), np.float32)
        begin = 0
        for i, part in enumerate(parts):
            part.encode(codes[:, i], out[:, begin : begin + part.width])
            begin += part.width
        return out

    @property
    def n_features(self) -> int:
        """Columns that :meth:`transform` gives."""
        return sum(part.width for part in self._fitted())

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of features of each column, in order."""
        return tuple(part.width for part in self._fitted())

    def to_config(self) -> dict[str, Any]:
        """The JSON form, statistics included."""
        parts = [part.to_config() for part in self._fitted()]
        return {
            "categorical": list(self.categorical),
            "n_bins": self.n_bins,
            "min_count": self.min_count,
            "parts": parts,
        }

    @classmethod
    def from_config(cls, config: Any) -> TableEncoder:
        """The fitted encoder of a JSON form. Raises ValueError if it is none."""
        typed(config, dict, "encoder")
        categorical = [typed(value, bool, "categorical") for value in typed(config.get("categorical"), list, "list")]
        encoder = cls(categorical, config.get("n_bins", 48), config.get("min_count", 10))
        parts = typed(config.get("parts"), list, "parts")
        if len(parts) != len(categorical):
            raise ValueError(f"the encoder has {len(categorical)} columns and statistics of {len(parts)}")
        encoder._parts = [
            (_Categorical if kind else _Numeric).from_config(part)
            for kind, part in zip(categorical, parts, strict=True)
        ]
        return encoder

    def _fitted(self) -> list[_Numeric | _Categorical]:
        if self._parts is None:
            raise ValueError("TableEncoder: not fitted; call fit first")
        return self._parts

    def _check(self, codes: Codes) -> None:
        if codes.ndim != 2 or codes.shape[1] != len(self.categorical):
            raise ValueError(f"TableEncoder: codes must have shape (n, {len(self.categorical)}), got {codes.shape}")


@dataclass(frozen=True)
class _Numeric:
    centre: float
    scale: float
    edges: tuple[float, ...]  # of the bins, increasing; fewer than 2 for no bins
    missing: bool  # whether missing cells have a column

    @classmethod
    def fit(cls, values: Codes, n_bins: int) -> _Numeric:
        known = values[~np.isnan(values)]
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
        return 1 + max(len(self.edges) - 1, 0) + self.missing

    def encode(self, values: Codes, out: NDArray[np.float32]) -> None:
        unknown = np.isnan(values)
        known = np.where(unknown, self.centre, values)
        edges = np.array(self.edges)
        with np.errstate(over="ignore"):  # a value far out may become infinite here, and is then limited
            z = np.clip((known - self.centre) * self.scale, -_FAR, _FAR)
            ramps = (known[:, None] - edges[:-1]) / np.diff(edges) if len(edges) > 1 else None
        out[:, 0] = z / np.sqrt(1.0 + (z / 3.0) ** 2)
        if ramps is not None:
            np.clip(ramps, 0.0, 1.0, out=out[:, 1 : len(edges)], casting="unsafe")
            out[unknown, 1 : len(edges)] = 0.0
        if self.missing:
            out[:, -1] = unknown

    def to_config(self) -> dict[str, Any]:
        return {"centre": self.centre, "scale": self.scale, "edges": list(self.edges), "missing": self.missing}

    @classmethod
    def from_config(cls, config: Any) -> _Numeric:
        typed(config, dict, "statistics")
        edges = tuple(finite(edge, "edge") for edge in typed(config.get("edges"), list, "edges"))
        if any(b <= a for a, b in itertools.pairwise(edges)):
            raise ValueError("the edges of bins must increase")
        centre, scale = (finite(config.get(name), name) for name in ("centre", "scale"))
        return cls(centre, scale, edges, typed(config.get("missing"), bool, "missing"))


def _edges(known: Codes, n_bins: int) -> tuple[float, ...]:
    values, counts = np.unique(known, return_counts=True)
    if len(values) > n_bins + 1:
        weights = np.sqrt(counts)
        middles = (np.cumsum(weights) - 0.5 * weights) / weights.sum()
        values = np.unique(np.interp(np.linspace(0.0, 1.0, n_bins + 1), middles, values))
    return tuple(values.tolist())


@dataclass(frozen=True)
class _Categorical:
    levels: tuple[int, ...]  # that have a column; all else shares the last one

    @classmethod
    def fit(cls, values: Codes, min_count: int) -> _Categorical:
        found, counts = np.unique(values[~np.isnan(values)].astype(np.int64), return_counts=True)
        return cls(tuple(found[counts >= min_count].tolist()))

    @property
    def width(self) -> int:
        return len(self.levels) + 1

    def encode(self, values: Codes, out: NDArray[np.float32]) -> None:
        levels = np.array(self.levels, np.float64)
        place = np.searchsorted(levels, values)  # NaN goes last
        place[place < len(levels)] = np.where(
            levels[place[place < len(levels)]] == values[place < len(levels)], place[place < len(levels)], len(levels)
        )
        out[np.arange(len(values)), place] = 1.0

    def to_config(self) -> dict[str, Any]:
        return {"levels": list(self.levels)}

    @classmethod
    def from_config(cls, config: Any) -> _Categorical:
        levels = typed(typed(config, dict, "statistics").get("levels"), list, "levels")
        return cls(tuple(sorted(typed(level, int, "level") for level in levels)))


def typed(value: Any, kind: type, what: str) -> Any:
    """A member of a JSON form. Raises ValueError unless it is of the kind."""
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{what} must be of type {kind.__name__}, got {value!r}")
    return value


def finite(value: Any, what: str) -> float:
    """A finite number of a JSON form. Raises ValueError unless it is one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{what} must be a finite number, got {value!r}")
    return float(value)
