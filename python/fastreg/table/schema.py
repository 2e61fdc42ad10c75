r"""Converts tables with named columns into what a network takes: kinds of columns, encoding, targets.

=============  ======================================================================================================
schema         which columns are features, of what kind, and the names of the levels; reads a table as float64 codes
codes          float64 (n, columns): numbers as they are, categories as the index of their level, NaN where missing
encoder        ``encoder.py``, fitted on training rows alone: codes to features, float32 (n, features)
target         class labels or numbers as what a loss takes, and predictions back as what the table held
=============  ======================================================================================================

A table is a mapping from column names to one-dimensional arrays; a pandas ``DataFrame`` is one. Nothing here needs
pandas; ``reading.py`` makes a table of a file. Everything that is learned of a table is plain JSON (``to_config``), so
that a model file can carry it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import did_you_mean
from fastreg.table.encoder import Codes, finite, typed
from fastreg.table.reading import MISSING

__all__ = ["Column", "Schema", "Target"]

# A target with at most this many different whole numbers is treated as classes.
_MOST_CLASSES = 20
# If the number of different texts exceeds this share of the rows, the column identifies rows and is not a feature.
_IDENTIFIER_SHARE, _IDENTIFIER_LEVELS = 0.5, 50


def _cells(table: Mapping[str, Any], name: str) -> NDArray[Any]:
    """A column as an array of float64 (NaN where missing), or of objects: text, and None where missing."""
    values = np.asarray(table[name])
    if values.dtype.kind in "iufb" and values.dtype != np.bool_:
        return values.astype(np.float64)
    if values.dtype == np.bool_:
        return np.where(values, "True", "False").astype(object)
    if values.dtype.kind not in "OUS":  # dates and the like
        values = values.astype(str)
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        missing = value is None or value != value or str(value).strip() in (*MISSING, "<NA>", "NaT", "nan")
        out[i] = None if missing else str(value).strip()
    return out


def _as_numbers(cells: NDArray[Any]) -> Codes | None:
    """Cells as float64, NaN where missing or infinite; None if one holds text that is no number."""
    if cells.dtype == np.float64:
        return np.where(np.isfinite(cells), cells, np.nan)
    try:
        return _as_numbers(np.array([np.nan if cell is None else float(cell) for cell in cells]))
    except ValueError:
        return None


@dataclass(frozen=True)
class Column:
    """A feature: its name, and the names of its levels where it is categorical, None where it is numeric."""

    name: str
    levels: tuple[str, ...] | None = None

    @property
    def kind(self) -> str:
        """``"numeric"`` or ``"categorical"``."""
        return "numeric" if self.levels is None else "categorical"


@dataclass(frozen=True)
class Schema:
    """The features of a table, and why other columns are not features.

    Attributes:
        columns: The features, in order.
        left_out: For each other column, by name, the reason why it is left out.

    Example:
        >>> schema = Schema.infer({"age": [31, 45, 28], "job": ["cook", None, "nurse"], "y": [0, 1, 0]}, exclude=["y"])
        >>> [(column.name, column.kind) for column in schema.columns]
        [('age', 'numeric'), ('job', 'categorical')]
        >>> schema.codes({"age": [40, 50], "job": ["nurse", "pilot"]})
        array([[40.,  1.],
               [50., nan]])
    """

    columns: tuple[Column, ...]
    left_out: Mapping[str, str]

    @classmethod
    def infer(cls, table: Mapping[str, Any], exclude: Sequence[str] = ()) -> Schema:
        """Determines the kinds of columns from their cells: numbers are numeric, anything else is categorical.

        Columns with a single value, columns of row numbers, and text that hardly repeats are left out.

        Raises:
            ValueError: If no column is left.
        """
        columns: list[Column] = []
        left_out: dict[str, str] = {}
        for name in table.keys():  # noqa: SIM118  a DataFrame iterates over its columns, other mappings too
            if name in exclude:
                continue
            found = _describe_column(str(name), _cells(table, name))
            if isinstance(found, Column):
                columns.append(found)
            else:
                left_out[str(name)] = found
        if not columns:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
            raise ValueError(f"the table has no column to learn from ({reasons})")
        return cls(tuple(columns), left_out)

    def codes(self, table: Mapping[str, Any]) -> Codes:
        """The features as numbers, (n, columns). A level that the training rows did not have counts as missing.

        Raises:
            ValueError: If a column is missing, or holds text where numbers were.
        """
        names = [str(name) for name in table.keys()]  # noqa: SIM118
        if lacking := [column.name for column in self.columns if column.name not in names]:
            hint = did_you_mean(lacking[0], names)
            raise ValueError(f"the table has no column {', '.join(map(repr, lacking))}{hint}")
        cells = [_cells(table, column.name) for column in self.columns]
        codes = np.empty((len(cells[0]), len(self.columns)))
        for i, column in enumerate(self.columns):
            if column.levels is None:
                numbers = _as_numbers(cells[i])
                if numbers is None:
                    raise ValueError(f"column {column.name!r} must hold numbers, as the table of training did")
                codes[:, i] = numbers
            else:
                index = {level: float(k) for k, level in enumerate(column.levels)}
                codes[:, i] = [np.nan if cell is None else index.get(cell, np.nan) for cell in _texts(cells[i])]
        return codes

    def to_config(self) -> list[dict[str, Any]]:
        """The JSON form: the columns."""
        return [{"name": c.name, "levels": None if c.levels is None else list(c.levels)} for c in self.columns]

    @classmethod
    def from_config(cls, config: Any) -> Schema:
        """The schema of a JSON form. Raises ValueError if it is none."""
        columns = []
        for entry in typed(config, list, "columns"):
            levels = typed(entry, dict, "column").get("levels")
            if levels is not None:
                levels = tuple(typed(level, str, "level") for level in typed(levels, list, "levels"))
            columns.append(Column(typed(entry.get("name"), str, "name"), levels))
        return cls(tuple(columns), {})


def _texts(cells: NDArray[Any]) -> list[str | None]:
    """Cells as names of levels: a number by its shortest form, so that 1 and 1.0 are one level."""
    if cells.dtype == np.float64:
        return [None if math.isnan(cell) else f"{cell:g}" for cell in cells.tolist()]
    return list(cells)


def _describe_column(name: str, cells: NDArray[Any]) -> Column | str:
    """The column, or why it is no feature."""
    n = len(cells)
    numbers = _as_numbers(cells)
    if numbers is not None:
        known = numbers[~np.isnan(numbers)]
        if len(known) == 0:
            return "it is empty"
        if len(known) == n and n > 2 and bool(np.all(np.diff(known) == 1)):
            return "it counts the rows"
        if len(known) == n and bool(np.all(known == known[0])):
            return "it has one value"
        return Column(name)
    levels = sorted({cell for cell in cells if cell is not None})
    if len(levels) == 1 and all(cell is not None for cell in cells):
        return "it has one value"
    if len(levels) > max(_IDENTIFIER_LEVELS, _IDENTIFIER_SHARE * n):
        return f"its {len(levels)} different texts in {n} rows name rows rather than groups"
    return Column(name, tuple(levels))


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes:
        name: The name of the column.
        labels: The classes in order, as text; None for a number.
        mean: The mean of the training targets, for a number. The network learns ``(y - mean) / scale``.
        scale: The standard deviation of the training targets, or 1 if that is 0.
    """

    name: str
    labels: tuple[str, ...] | None = None
    mean: float = 0.0
    scale: float = 1.0

    @property
    def task(self) -> str:
        """``"regression"``, ``"binary"`` or ``"multiclass"``."""
        return "regression" if self.labels is None else "binary" if len(self.labels) == 2 else "multiclass"

    @classmethod
    def infer(cls, table: Mapping[str, Any], name: str, task: str | None = None) -> Target:
        """Classes, where cells are text or few different whole numbers; else a number.

        Args:
            table: All rows, so that a class that only the test rows have is known.
            name: The column.
            task: "classification" or "regression" to decide it.

        Raises:
            ValueError: If there is no such column, a single class, or text where numbers should be.
        """
        names = [str(key) for key in table.keys()]  # noqa: SIM118
        if name not in names:
            raise ValueError(f"target: the table has no column {name!r}{did_you_mean(name, names)}")
        cells = _cells(table, name)
        numbers = _as_numbers(cells)
        if task == "regression" and numbers is None:
            raise ValueError(f"target: column {name!r} must hold numbers for regression")
        if task is None:
            known = np.empty(0) if numbers is None else np.unique(numbers[~np.isnan(numbers)])
            whole = numbers is None or (len(known) <= _MOST_CLASSES and bool(np.all(known == np.round(known))))
            task = "classification" if whole else "regression"
        if task == "regression":
            assert numbers is not None
            known = numbers[~np.isnan(numbers)]
            spread = float(np.std(known)) if len(known) else 0.0
            if spread == 0.0:
                raise ValueError(f"target: column {name!r} must have more than one value")
            return cls(name, None, float(np.mean(known)), spread)
        if cells.dtype == np.float64:
            labels = tuple(f"{value:g}" for value in np.unique(cells[~np.isnan(cells)]))
        else:
            labels = tuple(sorted({cell for cell in cells if cell is not None}))
        if len(labels) < 2:
            raise ValueError(f"target: column {name!r} must have at least two classes, got {len(labels)}")
        return cls(name, labels)

    def encode(self, table: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Targets for a loss, and which rows have one: int32 class indices, or standardised float32; 0 elsewhere."""
        cells = _cells(table, self.name)
        if self.labels is None:
            numbers = _as_numbers(cells)
            if numbers is None:
                raise ValueError(f"target: column {self.name!r} must hold numbers")
            known = ~np.isnan(numbers)
            return np.where(known, (numbers - self.mean) / self.scale, 0.0).astype(np.float32), known
        index = {label: k for k, label in enumerate(self.labels)}
        codes = np.array([-1 if text is None else index.get(text, -1) for text in _texts(cells)], np.int32)
        return np.maximum(codes, 0), codes >= 0

    def decode(self, outputs: NDArray[np.float32]) -> dict[str, list[Any]]:
        """Columns of a table of predictions: the target's name, then for classes the probability of each."""
        if self.labels is None:
            return {self.name: (outputs[:, 0].astype(np.float64) * self.scale + self.mean).tolist()}
        probabilities = outputs if outputs.shape[1] > 1 else np.column_stack([1.0 - outputs[:, 0], outputs[:, 0]])
        chosen = [self.labels[k] for k in np.argmax(probabilities, axis=1)]
        columns = {f"probability_{label}": probabilities[:, k].tolist() for k, label in enumerate(self.labels)}
        return {self.name: chosen, **columns}

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        labels = None if self.labels is None else list(self.labels)
        return {"name": self.name, "labels": labels, "mean": self.mean, "scale": self.scale}

    @classmethod
    def from_config(cls, config: Any) -> Target:
        """The target of a JSON form. Raises ValueError if it is none."""
        labels = typed(config, dict, "target").get("labels")
        if labels is not None:
            labels = tuple(typed(label, str, "label") for label in typed(labels, list, "labels"))
            if len(labels) < 2:
                raise ValueError(f"a target needs at least two labels, got {len(labels)}")
        name = typed(config.get("name"), str, "name")
        return cls(name, labels, finite(config.get("mean"), "mean"), finite(config.get("scale"), "scale"))
