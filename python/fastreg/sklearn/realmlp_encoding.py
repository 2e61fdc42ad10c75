"""How RealMLP's estimators read rows: which columns hold categories, and the features of numbers and of categories."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.data.foreign import taken
from fastreg.internal.checks import describe
from fastreg.table.number_parts import NumericPart

__all__ = ["ApartEncoding", "RealMLPEncoding", "Rows", "as_frame", "categorical_columns", "check_targets"]

# Beginnings of the names of types whose columns are categories: of pandas, polars and Arrow.
_TYPES = ("categor", "enum", "str", "object", "large_string", "dictionary")
# Each level is a feature of every row and has a weight in every unit of the first layer. Codes of embedded columns have
# to be exact in float32, with room for those of other columns.
_MOST_LEVELS, _MOST_CODES = 1000, 2**24
# What no number and no category is made of without a word.
_TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_CATEGORIES = "; name the column in categorical_features if it holds categories"


def as_frame(X: Any) -> Any:
    """The rows, a table for a batch of Arrow, without a mask. Raises TypeError for a LazyFrame and for batches."""
    if isinstance(X, np.ma.MaskedArray) and X.dtype.kind not in "mM":  # what is masked is missing
        missing: Any = np.nan if X.dtype.kind in "biuf" else None
        X = np.where(np.ma.getmaskarray(X), missing, X.data.astype(object if missing is None else np.float64))
    X = taken(X, "X")
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
        if not self._parts and not any(map(self._is_apart, self._levels)):
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
            if self._is_apart(levels):
                continue
            places = _places(levels, cells)
            if len(levels) == 2:
                yield (places == 0) - (places == 1).astype(np.float64)
            else:
                for place in range(len(levels)):
                    yield (places == place).astype(np.float64)
        yield from rows.numbers.T

    def _is_apart(self, levels: dict[Any, int]) -> bool:
        """Whether a column of categories has no features here."""
        return False

    def _found(self, i: int, cells: NDArray[np.object_]) -> dict[Any, int]:
        """The levels of a column in their order, and the place of each."""
        try:
            levels = set(cells.tolist()) - {None}
        except TypeError:
            raise TypeError(f"{self._owner}: column {self._names[i]!r} has lists or the like for categories") from None
        if times := [level for level in levels if isinstance(level, _TIMES)]:
            raise TypeError(_told(f"{self._owner}: column {self._names[i]!r}", times[0], "strings or numbers"))
        if len(levels) > _MOST_LEVELS and not self._is_apart(dict.fromkeys(levels, 0)):
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
        numbers = _as_numbers(values, f"{self._owner}: column {self._names[i]!r}")
        if np.isinf(numbers).any():
            raise ValueError(f"{self._owner}: column {self._names[i]!r} holds infinity or a number beyond float64")
        return numbers


class ApartEncoding(RealMLPEncoding):
    """The encoding of RealMLP-TD: numbers, features of small columns of categories, and codes of large ones.

    Args:
        largest_one_hot: Columns of categories with more levels are codes.
        owner: The name of the estimator, for messages.
        categorical: The numbers of the columns that hold categories.
        names: The names of the columns, or their numbers if they have none.
    """

    def __init__(self, largest_one_hot: int, owner: str, categorical: Sequence[int], names: Sequence[Any]) -> None:
        super().__init__(owner, categorical, names)
        self._largest_one_hot = largest_one_hot

    def fit(self, X: Any) -> ApartEncoding:
        """Takes levels and statistics of rows, as :meth:`RealMLPEncoding.fit`."""
        super().fit(X)
        self._coded = [place for place, levels in enumerate(self._levels) if self._is_apart(levels)]
        # Each column has codes of its own: first that of missing and new levels, then those of its levels.
        sizes = [len(self._levels[place]) + 1 for place in self._coded]
        self._firsts = np.cumsum([0, *sizes]).tolist()
        if self._firsts[-1] > _MOST_CODES:
            raise ValueError(f"{self._owner}: X must have at most 2**24 categories in all, got {self._firsts[-1]}")
        begins = np.cumsum([0, *(part.width for part in self._parts)])[:-1]
        of_numbers = begins[len(begins) - len(self.numeric) :]
        self._is_number = np.zeros(sum(part.width for part in self._parts), bool)
        self._is_number[of_numbers] = True
        return self

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """The columns of numbers, of further features and of codes, and how many codes there are in all."""
        numbers = int(self._is_number.sum())
        return numbers, len(self._is_number) - numbers, len(self._coded), self._firsts[-1]

    def transform(self, X: Any) -> list[NDArray[np.float32]]:  # type: ignore[override]
        """Numbers, further features and codes of rows, each (n, columns); what has no column is left out."""
        rows = X if isinstance(X, Rows) else self.read(X)
        features = super().transform(rows)
        codes = np.empty((len(rows), len(self._coded)), np.float32)
        for k, place in enumerate(self._coded):
            codes[:, k] = self._firsts[k] + 1 + _places(self._levels[place], rows.cells[place])
        made = [features[:, self._is_number], features[:, ~self._is_number], codes]
        return [np.ascontiguousarray(array) for array in made if array.shape[1]]

    def _is_apart(self, levels: dict[Any, int]) -> bool:
        return len(levels) > self._largest_one_hot


def check_targets(owner: str, name: str, y: Any, are_numbers: bool) -> None:
    """Raises for targets that are missing, and for those that are no numbers where they have to be.

    Args:
        owner: The name of the estimator, for messages.
        name: What the targets are called.
        y: An array of them, a column or a frame.
        are_numbers: Whether they have to be numbers.

    Raises:
        ValueError: If one is missing, or a text that is no number.
        TypeError: If one is a date or another object that is no number, or they are a sparse matrix.
    """
    if hasattr(y, "toarray"):
        raise TypeError(f"{owner}: {name} must be an array, got a sparse {type(y).__name__}; call its toarray()")
    values = np.asarray(y)
    if values.dtype.kind in "biufc":
        return  # scikit-learn's checks are as clear
    values = values.ravel()
    missing = [row for row, cell in enumerate(values.tolist()) if _is_missing(cell)]
    if missing:
        raise ValueError(f"{owner}: {name} must have a target for each row, got a missing one ({len(missing)} in all)")
    if are_numbers:
        _as_numbers(values, f"{owner}: {name}", is_feature=False)


def _as_numbers(values: NDArray[Any], title: str, is_feature: bool = True) -> NDArray[np.float64]:
    """The cells of an array, (n,), as numbers, NaN where they are missing; ``title`` says in messages which it is."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    numbers = np.full(len(values), np.nan)
    for row, cell in enumerate(_listed(values)):
        if isinstance(cell, (*_TIMES, np.complexfloating)):
            raise TypeError(_told(title, cell, "numbers"))
        try:
            numbers[row] = math.nan if cell is None else float(cell)
        except (TypeError, ValueError, OverflowError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            hint = _CATEGORIES if is_feature and isinstance(cell, str) else ""
            raise kind(f"{_told(title, cell, 'numbers')}{hint} ({error})") from None
    return numbers


def _told(title: str, cell: Any, what: str) -> str:
    """What is wrong with a cell, and what to do about it."""
    advice = ""
    if isinstance(cell, _TIMES):
        advice = "; make numbers of dates and times, such as days since a date"
    elif isinstance(cell, (complex, np.complexfloating)):
        advice = ". Complex data not supported: give the real and the imaginary part as columns"
    return f"{title} must hold {what}, got {describe(cell)}{advice}"


def _places(levels: dict[Any, int], cells: NDArray[np.object_]) -> NDArray[np.intp]:
    """The places of the levels of a column's cells."""
    return np.fromiter((_place(levels, cell) for cell in cells), np.intp, len(cells))


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
    if isinstance(column, np.ndarray) and column.dtype.kind in "mM":
        column = list(column)  # tolist would make whole numbers of nanoseconds
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, name):
            return [None if _is_missing(cell) else cell for cell in getattr(column, name)()]
    return [None if _is_missing(cell) else cell for cell in column]


def _is_missing(cell: Any) -> bool:
    """Whether a cell is None, NaN, NaT or the NA of pandas, which is equal to nothing, not even unequal."""
    if cell is None or isinstance(cell, (str, int, float)):
        return cell is None or cell != cell
    return type(cell).__name__ == "NAType" or (np.ndim(cell) == 0 and bool(cell != cell))
