"""The rows of a table in the form in which a model of another library takes them, and rows that are made of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.extras import needs
from fastreg.table.columns import Cells, DateCells, NumberCells, OtherCells, TextCells
from fastreg.table.synthetic import SyntheticRows
from fastreg.table.tables import Table

__all__ = ["RawRows"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBERS = "iuf"
# What ``pandas.read_csv`` takes for truth values.
_TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
# What it takes for missing values, in every column.
_GAPS = frozenset(
    ("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL")
) | {"NaN", "None", "n/a", "nan", "null"}


class RawRows:
    """Columns as they were given: a frame of pandas, polars or Arrow, or arrays by their names.

    A file becomes a frame of pandas where pandas is installed: a column of a CSV file whose cells are all numbers, or
    all of them true or false, holds these, and cells such as ``NA`` are missing, as in a frame of ``pandas.read_csv``.
    The columns of a Parquet file have the types that they have in the file.

    Args:
        given: A frame, a mapping from names to arrays, or the table of a file.
        left_out: Names of columns that a model does not take, such as the target.

    Attributes:
        names: The names of the columns, in order.
    """

    def __init__(self, given: Any, left_out: Sequence[str] = ()) -> None:
        if isinstance(given, Table):
            typed = not given.dialect.sep
            given = {name: found for name in given if (found := _values_of(given[name], typed)) is not None}
            if find_spec("pandas") is not None:
                given = _pandas_frame(given)
        if type(given).__name__ == "RecordBatch":
            import pyarrow

            given = pyarrow.Table.from_batches([given])
        self._columns: dict[str, Any]
        self._frame = None if isinstance(given, Mapping) else given
        if self._frame is None:
            self._columns = {str(name): _array_of(column) for name, column in given.items()}
        elif self._is_pandas:
            self._columns = {str(name): given.iloc[:, i] for i, name in enumerate(given.columns)}
        else:
            import narwhals.stable.v2 as nw

            self._columns = {s.name: s for s in nw.from_native(given, eager_only=True).iter_columns()}
        self.names = tuple(name for name in self._columns if name not in left_out)

    @property
    def _is_pandas(self) -> bool:
        return type(self._frame).__module__.partition(".")[0] == "pandas"

    def is_number(self, name: str) -> bool:
        """Whether a column holds integers or floats."""
        column = self._columns[name]
        if self._frame is None or self._is_pandas:
            kind = getattr(column.dtype, "kind", "O")
            return kind in tuple(_NUMBERS)
        return bool(column.dtype.is_numeric()) and not column.dtype.is_decimal()

    def is_whole(self, name: str) -> bool:
        """Whether a column of numbers holds integers."""
        column = self._columns[name]
        if self._frame is None or self._is_pandas:
            return column.dtype.kind in ("i", "u")
        return bool(column.dtype.is_integer())

    def rows(self, rows: NDArray[np.int64], names: Sequence[str] | None = None) -> Any:
        """Some rows, by their numbers."""
        return self._table(dict.fromkeys(self._asked(names), (rows, None)))

    def made(
        self, synthetic: SyntheticRows, features: Sequence[str], part: slice, names: Sequence[str] | None = None
    ) -> Any:
        """A part of the rows that are made of these.

        Args:
            synthetic: Where the cells come from.
            features: The names of its columns.
            part: Which of its rows.
            names: The columns to have, in order; None for all. Those that are no features are those of the base row.
        """
        place = {name: j for j, name in enumerate(features)}
        found: dict[str, tuple[NDArray[np.int64], tuple[NDArray[np.int64], NDArray[Any]] | None]] = {}
        for name in self._asked(names):
            if name not in place:
                found[name] = synthetic.base[part], None
                continue
            j = place[name]
            changed = np.flatnonzero(synthetic.jittered[part, j])
            values = synthetic.codes[part, j][changed]
            found[name] = synthetic.sources[part, j], (changed, values) if len(changed) else None
        return self._table(found)

    def array(self, table: Any, names: Sequence[str]) -> NDArray[Any]:
        """What :meth:`rows` or :meth:`made` gave as one array, for models that were fitted on arrays."""
        if isinstance(table, Mapping):
            return np.column_stack([table[name] for name in names])
        return np.asarray(table.to_numpy() if hasattr(table, "to_numpy") else table.to_pandas().to_numpy())

    def frame(self, table: Any) -> Any:
        """The same as a frame: of pandas, if it is a mapping."""
        return _pandas_frame(table) if isinstance(table, Mapping) else table

    def _asked(self, names: Sequence[str] | None) -> Sequence[str]:
        return self.names if names is None else names

    def _table(
        self, parts: Mapping[str, tuple[NDArray[np.int64], tuple[NDArray[np.int64], NDArray[Any]] | None]]
    ) -> Any:
        """A table of the cells of some rows, a few of which are replaced, for each column."""
        if self._frame is not None and not self._is_pandas:
            import narwhals.stable.v2 as nw

            series = {}
            for name, (rows, changes) in parts.items():
                found = self._columns[name][rows]
                series[name] = found if changes is None else found.scatter(*self._typed(name, changes))
            return nw.from_dict(series).to_native()
        columns = {}
        for name, (rows, changes) in parts.items():
            column = self._columns[name]
            cells = column[rows] if self._frame is None else column.array.take(rows)
            if changes is not None:
                places, values = self._typed(name, changes)
                cells[places] = values
            columns[name] = cells
        if self._frame is None:
            return columns
        import pandas

        labels = dict(zip(map(str, self._frame.columns), self._frame.columns, strict=True))
        return pandas.DataFrame({labels[name]: column for name, column in columns.items()})

    def _typed(self, name: str, changes: tuple[NDArray[np.int64], NDArray[Any]]) -> tuple[Any, Any]:
        places, values = changes
        return places, np.round(values).astype(np.int64) if self.is_whole(name) else values


def _pandas_frame(columns: Mapping[str, NDArray[Any]]) -> Any:
    if find_spec("pandas") is None:
        raise ImportError(needs("a teacher that was fitted on a frame", "tune", "pandas"))
    import pandas

    return pandas.DataFrame(dict(columns))


def _array_of(column: Any) -> NDArray[Any]:
    """A column of a mapping as an array: of numbers if all cells are, else of objects."""
    if isinstance(column, np.ndarray):
        return column
    values = list(column)
    kinds = {type(value) for value in values if value is not None}
    if kinds and all(issubclass(kind, (int, float, np.integer, np.floating)) for kind in kinds) and bool not in kinds:
        return np.array([np.nan if value is None else value for value in values])
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _values_of(cells: Cells, typed: bool) -> NDArray[Any] | None:
    """The cells of a column of a file as an array, None if no feature is made of them.

    Args:
        cells: The cells.
        typed: Whether the file has types, so that its texts are texts, whatever they look like.
    """
    if isinstance(cells, OtherCells):
        return None
    if isinstance(cells, NumberCells):
        return cells.values if cells.missing is None else np.where(cells.missing, np.nan, cells.values)
    if isinstance(cells, DateCells):
        return cells.values
    # Strings of Arrow are texts of the file; what was of other types comes as a list.
    is_text = typed and isinstance(cells, TextCells) and not isinstance(cells.values, list)
    missing = () if is_text else _GAPS
    texts, index = _without(*cells.distinct(), missing)
    known = index >= 0
    if not known.any() and not typed:
        return np.full(len(cells), np.nan)
    if known.any() and not is_text and all(text in _TRUTHS for text in texts):
        truths = np.array([*(_TRUTHS[text] for text in texts), None], object)[index]
        return truths.astype(np.bool_) if known.all() else truths
    numbers = cells.numbers(missing)
    if known.any() and not is_text and not np.isnan(numbers[known]).any():
        is_whole = known.all() and all(_INTEGER.fullmatch(text) for text in texts)
        return numbers.astype(np.int64) if is_whole else numbers
    return np.array([*texts, None], object)[index]


def _without(
    texts: list[str], index: NDArray[np.int64], missing: Collection[str]
) -> tuple[list[str], NDArray[np.int64]]:
    """Different texts and the index of each cell's, without those that mean a missing value, whose index is -1."""
    kept = [text for text in texts if text not in missing]
    places = {text: i for i, text in enumerate(kept)}
    return kept, np.array([*(places.get(text, -1) for text in texts), -1], np.int64)[index]
