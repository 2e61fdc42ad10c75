"""How RealMLP's estimators read rows: which columns hold categories, and the features of numbers and of categories."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from fastreg.data.frames import refuse_lazy
from fastreg.internal.checks import describe
from fastreg.table.number_parts import NumericPart

__all__ = ["RealMLPEncoding", "Rows", "as_frame", "categorical_columns"]

# Beginnings of the names of types whose columns are categories: of pandas, polars and Arrow.
_TYPES = ("categor", "enum", "str", "object", "large_string", "dictionary")
# Each level is a feature of every row and has a weight in every unit of the first layer.
_MOST_LEVELS = 1000
# What no number and no category is made of without a word.
_TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def as_frame(X: Any) -> Any:
    """The rows as they are, a table for a batch of Arrow. Raises TypeError for a LazyFrame."""
    refuse_lazy(X, "X")
    if type(X).__module__.partition(".")[0] == "pyarrow" and type(X).__name__ == "RecordBatch":
        import pyarrow

        return pyarrow.Table.from_batches([X])
    return X


def categorical_columns(owner: str, X: Any, asked: Any, names: Sequence[str] | None, n_columns: int) -> list[int]:
    """The numbers of the columns that hold categories, in increasing order.

    Args:
        owner: The name of the estimator, for messages.
        X: The rows.
        asked: "from_dtype" for what the types of a frame tell, None for no column, or which: names, numbers or a mask.
        names: The names of the columns, if they have some.
        n_columns: Their number.

    Raises:
        ValueError: If a column is not there.
        TypeError: If ``asked`` is none of these.
    """
    if asked is None:
        return []
    if isinstance(asked, str):
        if asked != "from_dtype":
            raise ValueError(f"{owner}: categorical_features must be 'from_dtype', None or a list, got {asked!r}")
        if not hasattr(X, "columns"):
            return []
        types = X.schema.types if hasattr(X, "column_names") else getattr(X, "dtypes", None)
        found = [X[name].dtype for name in X.columns] if types is None else list(types)
        return [i for i, kind in enumerate(found) if str(kind).lower().startswith(_TYPES)]
    chosen = np.asarray(asked)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "biuUO"):
        raise TypeError(f"{owner}: categorical_features must be names, numbers or a mask, got {describe(asked)}")
    if chosen.dtype.kind == "b":
        if len(chosen) != n_columns:
            raise ValueError(f"{owner}: categorical_features must have a bool for each of {n_columns} columns")
        return np.flatnonzero(chosen).tolist()  # type: ignore[no-any-return]
    known = [] if names is None else list(names)
    places: list[int] = []
    for entry in chosen.tolist():
        place = known.index(entry) if isinstance(entry, str) and entry in known else entry
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < n_columns:
            raise ValueError(f"{owner}: categorical_features has {entry!r}, which is no column of X")
        places.append(place)
    return sorted(set(places))


@dataclass(frozen=True)
class Rows:
    """Rows as the encoding takes them, whatever they were given as.

    Attributes:
        numbers: The columns of numbers, (n, columns), NaN where they are missing.
        cells: For each column of categories its cells, (n,), None where they are missing.
    """

    numbers: NDArray[np.float64]
    cells: list[NDArray[np.object_]]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """Some of the rows."""
        return Rows(self.numbers[rows], [cells[rows] for cells in self.cells])


class RealMLPEncoding:
    """The encoding of RealMLP-TD-S (Holzmüller, Grinsztajn and Steinwart, NeurIPS 2024), learned from training rows.

    A category becomes a feature for each level, or a single one of 1 and -1 if there are two levels; missing and new
    levels are 0 in all of them. Then every feature is scaled robustly and softly limited to (-3, 3), as
    :class:`fastreg.table.TableEncoder` does it for numbers. A missing number counts as the median, and has a feature of
    its own if training rows had some.

    Args:
        owner: The name of the estimator, for messages.
        categorical: The numbers of the columns that hold categories.
        names: The names of the columns, or their numbers if they have none.
    """

    def __init__(self, owner: str, categorical: Sequence[int], names: Sequence[Any]) -> None:
        self.categorical = list(categorical)
        self.numeric = [i for i in range(len(names)) if i not in set(categorical)]
        self._owner, self._names = owner, list(names)

    def read(self, X: Any) -> Rows:
        """The rows of an array of two dimensions or of a frame, which has the columns that it had for ``fit``.

        Raises:
            TypeError: If a cell of a column of numbers is of a kind that is none.
            ValueError: If it is a text that is no number, or infinite.
        """
        X = as_frame(X)
        numbers = np.empty((X.shape[0], len(self.numeric)))
        for place, i in enumerate(self.numeric):
            numbers[:, place] = self._numbers(i, _column(X, i))
        if self.numeric:
            numbers = check_array(numbers, dtype=np.float64, ensure_all_finite="allow-nan", input_name="X")
        cells = []
        for i in self.categorical:
            column = np.empty(len(numbers), object)
            column[:] = _listed(_column(X, i))
            cells.append(column)
        return Rows(numbers, cells)

    def fit(self, X: Any) -> RealMLPEncoding:
        """Takes levels and statistics of rows.

        Raises:
            ValueError: If a column has more than 1000 levels, or no column has a cell that is not missing.
            TypeError: If the cells of a column of categories are dates, or lists or the like.
        """
        rows = X if isinstance(X, Rows) else self.read(X)
        self._levels = [self._found(i, cells) for i, cells in zip(self.categorical, rows.cells, strict=True)]
        self._parts = [NumericPart.fit(column, 0) for column in self._columns(rows)]
        if not self._parts:
            raise ValueError(f"{self._owner}: X has no feature, since every cell of its columns is missing")
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The features of rows, (n, features)."""
        rows = X if isinstance(X, Rows) else self.read(X)
        out = np.zeros((len(rows), sum(part.width for part in self._parts)), np.float32)
        begin = 0
        for part, column in zip(self._parts, self._columns(rows), strict=True):
            part.encode(column, out[:, begin : begin + part.width])
            begin += part.width
        return out

    def _columns(self, rows: Rows) -> Iterator[NDArray[np.float64]]:
        """The features before they are scaled, one at a time: those of categories, then numbers as they are."""
        for cells, levels in zip(rows.cells, self._levels, strict=True):
            places = np.fromiter((_place(levels, cell) for cell in cells), np.intp, len(cells))
            if len(levels) == 2:
                yield (places == 0) - (places == 1).astype(np.float64)
            else:
                for place in range(len(levels)):
                    yield (places == place).astype(np.float64)
        yield from rows.numbers.T

    def _found(self, i: int, cells: NDArray[np.object_]) -> dict[Any, int]:
        """The levels of a column in their order, and the place of each."""
        try:
            levels = set(cells.tolist()) - {None}
        except TypeError:
            raise TypeError(f"{self._owner}: column {self._names[i]!r} has lists or the like for categories") from None
        if times := [level for level in levels if isinstance(level, _TIMES)]:
            raise TypeError(self._told(i, times[0], "strings or numbers"))
        if len(levels) > _MOST_LEVELS:
            raise ValueError(
                f"{self._owner}: column {self._names[i]!r} must have at most {_MOST_LEVELS} categories, each of which "
                f"becomes a feature, got {len(levels)}; leave the column out, or join rare categories"
            )
        try:
            ordered = sorted(levels)
        except TypeError:  # numbers beside texts
            ordered = sorted(levels, key=lambda level: (type(level).__name__, str(level)))
        return {level: place for place, level in enumerate(ordered)}

    def _numbers(self, i: int, column: Any) -> NDArray[np.float64]:
        """The cells of a column as numbers."""
        values = np.asarray(column.to_numpy() if hasattr(column, "to_numpy") else column)
        if values.dtype.kind in "biuf":
            return values.astype(np.float64)
        if values.dtype.kind in "mMc" and len(values):
            raise TypeError(self._told(i, values[0], "numbers"))
        numbers = np.full(len(values), np.nan)
        for row, cell in enumerate(_listed(values)):
            if isinstance(cell, (*_TIMES, np.complexfloating)):
                raise TypeError(self._told(i, cell, "numbers"))
            try:
                numbers[row] = math.nan if cell is None else float(cell)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{self._told(i, cell, 'numbers')} ({error})") from None
        return numbers

    def _told(self, i: int, cell: Any, what: str) -> str:
        return f"{self._owner}: column {self._names[i]!r} must hold {what}, got {describe(cell)}{_advice(cell)}"


def _advice(cell: Any) -> str:
    """What to do about a cell that is no number."""
    if isinstance(cell, _TIMES):
        return "; make numbers of dates and times, such as days since a date"
    if isinstance(cell, (complex, np.complexfloating)):
        return ". Complex data not supported: give the real and the imaginary part as columns"
    return "; name the column in categorical_features if it holds categories" if isinstance(cell, str) else ""


def _place(levels: dict[Any, int], cell: Any) -> int:
    """The place of a level, -1 for one that is missing or new."""
    try:
        return levels.get(cell, -1)
    except TypeError:  # a list, which is no level
        return -1


def _column(X: Any, i: int) -> Any:
    """A column of an array, or of a frame of Arrow, polars, pandas, or a library that is like one of them."""
    if not hasattr(X, "columns"):
        return X[:, i]
    if hasattr(X, "column_names"):
        return X.column(i)
    if hasattr(X, "get_columns"):
        return X.to_series(i)
    return X.iloc[:, i] if hasattr(X, "iloc") else X[X.columns[i]]


def _listed(column: Any) -> list[Any]:
    """The cells of a column, None for whatever each library has for a missing one."""
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, name):
            return [None if _is_missing(cell) else cell for cell in getattr(column, name)()]
    return [None if _is_missing(cell) else cell for cell in column]


def _is_missing(cell: Any) -> bool:
    """Whether a cell is None, NaN, NaT or the NA of pandas, which is equal to nothing, not even unequal."""
    if cell is None or isinstance(cell, (str, int, float)):
        return cell is None or cell != cell
    return type(cell).__name__ == "NAType" or (np.ndim(cell) == 0 and bool(cell != cell))
