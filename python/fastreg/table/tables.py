"""A table: named columns of cells, from a mapping of arrays or from a frame of pandas, polars or Arrow.

Frames are read through narwhals, which is imported when one is given. ``reading.py`` makes a table of a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import describe, did_you_mean
from fastreg.internal.extras import needs
from fastreg.table.columns import (
    MONTHS,
    Cells,
    DateCells,
    NumberCells,
    OtherCells,
    Rows,
    TextCells,
    seconds_of,
    text_of,
)
from fastreg.table.numbers import NumberStyle
from fastreg.table.styles import told_style

__all__ = ["Dialect", "Table"]


# A class that has its texts from here shows addresses.
_PLAIN: Any = object


class Dialect:
    """How a file writes a table: what separates its cells, and how it writes numbers; ``""`` for frames."""

    def __init__(self, sep: str = "", style: NumberStyle | None = None) -> None:
        self.sep, self.style = sep, style or NumberStyle()


class Table:
    """Named columns of equal length.

    Args:
        columns: The cells of each column by its name.
        notes: Sentences on how the file was read.
        dialect: How the file writes a table.

    Attributes:
        names: The names of the columns, in order.
        n_rows: The number of rows.

    Raises:
        ValueError: If columns have different lengths.

    Example:
        >>> from fastreg.table import Table
        >>> table = Table.of({"age": [31, 45, None], "job": ["cook", None, "nurse"]})
        >>> table.names, table.n_rows
        (('age', 'job'), 3)
        >>> table["job"].texts()
        ['cook', None, 'nurse']
    """

    def __init__(self, columns: Mapping[str, Cells], notes: Iterable[str] = (), dialect: Dialect | None = None) -> None:
        self._columns = dict(columns)
        self.notes = tuple(notes)
        self.dialect = dialect or Dialect()
        lengths = {name: len(cells) for name, cells in self._columns.items()}
        self.n_rows = next(iter(lengths.values()), 0)
        for name, length in lengths.items():
            if length != self.n_rows:
                raise ValueError(f"column {name!r} has {length} cells, the first column has {self.n_rows}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __getitem__(self, name: str) -> Cells:
        """The cells of a column. Raises ValueError if there is none of that name."""
        cells = self._columns.get(name)
        if cells is None:
            raise ValueError(f"the table has no column {name!r}{self.hint(name)}")
        return cells

    def hint(self, name: str) -> str:
        """The end of a message on a column that is not there: a guess at what was meant."""
        if len(self._columns) == 1 and self.dialect.sep:
            only = next(iter(self._columns))
            return f"; its only column is {only[:40]!r}, and sep says what separates columns"
        return did_you_mean(name, filter(None, self._columns))

    def __repr__(self) -> str:
        return f"Table({self.n_rows} rows, {len(self._columns)} columns)"

    def rows(self, rows: Rows) -> Table:
        """The table of some rows: a mask, row numbers or a slice."""
        return Table({name: cells.take(rows) for name, cells in self._columns.items()}, self.notes, self.dialect)

    def without(self, names: Iterable[str]) -> Table:
        """The table without some of its columns."""
        left = set(names)
        kept = {name: cells for name, cells in self._columns.items() if name not in left}
        return Table(kept, self.notes, self.dialect)

    def extended(self, name: str, cells: Cells) -> Table:
        """The table with one more column."""
        return Table(self._columns | {name: cells}, self.notes, self.dialect)

    def blocks(self, rows: int) -> Iterator[Table]:
        """The table in parts of at most so many rows, in order."""
        for begin in range(0, self.n_rows, rows):
            yield self.rows(slice(begin, begin + rows))

    @classmethod
    def of(cls, value: Any, style: NumberStyle | None = None) -> Table:
        """The table of a mapping from names to arrays, or of an eager frame of pandas, polars or Arrow.

        Args:
            value: The mapping or frame; a ``Table`` is returned as it is.
            style: How texts write numbers; None if the texts are to tell, as those of a file do.

        Raises:
            ImportError: If a frame is given and narwhals is not installed.
            TypeError: If it is none of these.
            ValueError: If two columns have one name, or different lengths.
        """
        if isinstance(value, Table):
            return value
        if isinstance(value, Mapping):
            named = [(str(name), _of_value(str(name), column)) for name, column in value.items()]
        else:
            named = list(_columns_of_frame(value))
        if doubled := [name for name, count in Counter(name for name, _ in named).items() if count > 1]:
            raise ValueError(f"two columns are named {doubled[0]!r}")
        notes = []
        if style is None:
            style = told_style([_texts(column) for _, column in named], "")
            notes = ["numbers have decimal commas"] if style.decimal == "," else []
        return cls({name: _cells(column, style) for name, column in named}, notes, Dialect("", style))


def cells_of(values: Any, style: NumberStyle | None = None) -> Cells:
    """The cells of a one-dimensional array or a list; those of a series of a frame's library keep their type.

    Raises:
        ValueError: If the array has more than one dimension.
    """
    return _cells(_unwrapped(values), style)


def _unwrapped(values: Any) -> Any:
    """A column as cells, a series of narwhals, a list, a tuple, or an array of NumPy."""
    if isinstance(values, Cells):
        return values
    if len(getattr(values, "shape", (0,))) != 1:
        raise ValueError(f"a column must have one dimension, got shape {values.shape}")
    if isinstance(values, (list, tuple, np.ndarray)):
        return values
    series = _series(values)
    return list(values) if series is None else series


def _cells(column: Any, style: NumberStyle | None) -> Cells:
    """The cells of an unwrapped column."""
    if isinstance(column, Cells):
        return column
    if isinstance(column, np.ndarray):
        return _cells_of_array(column, style)
    return _cells_of_objects(column, style) if isinstance(column, (list, tuple)) else _cells_of_series(column, style)


def _texts(column: Any) -> Any:
    """The cells of an unwrapped column that are texts, as they are written: a list, or strings of Arrow."""
    if isinstance(column, Cells):
        return column.values if isinstance(column, TextCells) else []
    if isinstance(column, np.ndarray):
        column = column.tolist() if column.dtype.kind in "OUT" else []
    elif not isinstance(column, (list, tuple)):
        nw = _narwhals("a frame")
        if isinstance(column.dtype, nw.String):
            return _strings(column)
        if isinstance(column.dtype, (nw.Categorical, nw.Enum)):
            cells = _categories(column, None)
            return cells.distinct()[0] if isinstance(cells, TextCells) else []
        column = column.to_list() if isinstance(column.dtype, (nw.Object, nw.Unknown)) else []
    return [text for text in column if isinstance(text, str)]


def _of_value(name: str, values: Any) -> Any:
    """The unwrapped column of a mapping."""
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__") or getattr(values, "ndim", 1) == 0:
        raise TypeError(f"column {name!r} must be an array or a list with a cell for each row, got {describe(values)}")
    try:
        return _unwrapped(values)
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from None


def _cells_of_array(values: NDArray[Any], style: NumberStyle | None) -> Cells:
    kind = values.dtype.kind
    if isinstance(values, np.ma.MaskedArray):
        return _cells_of_masked(values, style)
    if kind in "iuf":
        return NumberCells(values)
    if kind == "M":
        return DateCells(values)
    if kind == "m":
        if np.datetime_data(values.dtype)[0] in MONTHS:
            return OtherCells(len(values), "durations in months")
        return NumberCells(_seconds(values))
    if kind in "cV":
        return OtherCells(len(values), "complex numbers" if kind == "c" else "records")
    return _cells_of_objects(values.tolist(), style)


def _cells_of_masked(values: np.ma.MaskedArray[Any, Any], style: NumberStyle | None) -> Cells:
    kind, gaps = values.dtype.kind, np.ma.getmaskarray(values)
    if kind in "iu":
        return NumberCells(values.data, gaps)
    if kind in "fmM":
        nothing = values.dtype.type("nan" if kind == "f" else "NaT")
        return _cells_of_array(np.where(gaps, nothing, values.data), style)
    return _cells_of_objects(values.tolist(), style)


def _cells_of_objects(values: Sequence[Any], style: NumberStyle | None) -> Cells:
    """Objects of Python, also mixed ones: all of a kind are typed, otherwise each has its text."""
    kinds = {type(value) for value in values if value is not None}
    if nested := [kind for kind in kinds if issubclass(kind, (list, tuple, dict, set, np.ndarray))]:
        return OtherCells(len(values), f"objects of type {nested[0].__name__}")
    if mute := [kind for kind in kinds if kind.__str__ is _PLAIN.__str__ and kind.__repr__ is _PLAIN.__repr__]:
        return OtherCells(len(values), f"objects of type {mute[0].__name__}")
    if any(issubclass(kind, (complex, np.complexfloating)) for kind in kinds):
        return OtherCells(len(values), "complex numbers")
    if kinds and all(issubclass(kind, (float, np.floating)) for kind in kinds):
        narrow = tuple(kind for kind in kinds if issubclass(kind, np.floating) and np.dtype(kind).itemsize < 8)
        if narrow:  # of a float32 0.1, the number is 0.1, as in an array
            values = [float(str(value)) if isinstance(value, narrow) else value for value in values]
        return NumberCells(np.array([np.nan if value is None else value for value in values], np.float64))
    if not any(issubclass(kind, str) for kind in kinds):
        return TextCells([text_of(value) for value in values])  # numbers are written with points by Python
    decimal = "." if style is None else style.decimal[0]
    texts = [text_of(value) for value in values]
    if decimal != ".":
        number = (float, np.floating, Decimal, timedelta, np.timedelta64)
        texts = [
            text.replace(".", decimal) if text is not None and isinstance(value, number) else text
            for text, value in zip(texts, values, strict=True)
        ]
    return TextCells(texts, style)


def _seconds(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(np.isnat(values), np.nan, seconds_of(values))


# Frames.


def _narwhals(what: str) -> Any:
    try:
        import narwhals.stable.v2 as narwhals
    except ModuleNotFoundError as error:
        raise ImportError(needs(what, "tune", "narwhals")) from error
    return narwhals


def _series(values: Any) -> Any:
    """A series of narwhals over one of a frame's library, or over an index or array of pandas; None for others."""
    library = type(values).__module__.partition(".")[0]
    if library not in ("pandas", "polars", "pyarrow"):
        return None
    if library == "pandas":
        import pandas

        indexed = isinstance(values, pandas.Index) and not isinstance(values, pandas.MultiIndex)
        if indexed or isinstance(values, pandas.api.extensions.ExtensionArray):
            values = pandas.Series(values)
    nw = _narwhals("a column of a frame")
    if not hasattr(values, "dtype") and hasattr(values, "type"):  # an array of Arrow; narwhals takes chunked ones
        import pyarrow

        values = pyarrow.chunked_array([values]) if isinstance(values, pyarrow.Array) else values
    found = nw.from_native(values, series_only=True, pass_through=True)
    return found if isinstance(found, nw.Series) else None


def _columns_of_frame(frame: Any) -> Iterator[tuple[str, Any]]:
    module = type(frame).__module__.partition(".")[0]
    if isinstance(frame, (np.ndarray, list, str, bytes, int, float)) or frame is None or module == "builtins":
        raise TypeError(f"a table must be a frame or a mapping from names to columns, got {describe(frame)}")
    nw = _narwhals("a frame as a table")
    if module == "pyarrow" and type(frame).__name__ == "RecordBatch":
        import pyarrow

        frame = pyarrow.Table.from_batches([frame])
    if module == "pandas":  # narwhals wants names that are strings and different
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        if frame.columns.has_duplicates:
            raise ValueError(f"two columns are named {frame.columns[frame.columns.duplicated()][0]!r}")
    try:
        wrapped = nw.from_native(frame, eager_only=True)
    except TypeError:
        hint = "; call its collect()" if type(frame).__name__ == "LazyFrame" else ""
        raise TypeError(
            f"a table must be an eager frame of pandas, polars or Arrow, or a mapping, got {describe(frame)}{hint}"
        ) from None
    for series in wrapped.iter_columns():
        yield str(series.name), series


def _cells_of_series(series: Any, style: NumberStyle | None) -> Cells:
    """The cells of a series of narwhals."""
    nw = _narwhals("a frame")
    dtype = series.dtype
    if isinstance(dtype, (nw.List, nw.Array)):
        return OtherCells(len(series), "lists")
    if isinstance(dtype, nw.Struct):
        return OtherCells(len(series), "structs")
    if isinstance(dtype, nw.Binary):
        return OtherCells(len(series), "bytes")
    if dtype.is_float():
        return NumberCells(_float_array(series, dtype == nw.Float32))
    if dtype.is_integer() and dtype not in (nw.Int128, nw.UInt128):
        gaps = series.is_null().to_numpy().astype(np.bool_)
        if gaps.any():
            return NumberCells(np.asarray(series.fill_null(0).to_numpy()), gaps)
        return NumberCells(np.asarray(series.to_numpy()))
    if isinstance(dtype, nw.Date):
        found = np.asarray(series.to_numpy())
        if found.dtype.kind == "O":  # of pandas over Arrow
            found = np.array([day if isinstance(day, date) else None for day in found.tolist()], "datetime64[D]")
        return DateCells(found.astype("datetime64[D]"))
    if isinstance(dtype, nw.Datetime):
        if dtype.time_zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return DateCells(np.asarray(series.to_numpy(), f"datetime64[{dtype.time_unit}]"))
    if isinstance(dtype, nw.Duration):
        return NumberCells(_seconds(np.asarray(series.to_numpy(), f"timedelta64[{dtype.time_unit}]")))
    if isinstance(dtype, (nw.Categorical, nw.Enum)):
        return _categories(series, style)
    if isinstance(dtype, nw.String):
        return TextCells(_strings(series), style)
    return _cells_of_objects(series.to_list(), style)


def _float_array(series: Any, single: bool) -> NDArray[Any]:
    gaps = series.is_null()
    if gaps.any():
        series = series.fill_null(0.0)
        values = np.array(series.to_numpy(), np.float32 if single else np.float64)
        values[gaps.to_numpy().astype(np.bool_)] = np.nan
        return values
    return np.asarray(series.to_numpy())


def _strings(series: Any) -> Any:
    """The texts of a series: strings of Arrow if it is installed, otherwise a list."""
    try:
        import pyarrow

        found = series.to_arrow()
        plain = found.type in (pyarrow.string(), pyarrow.large_string())
        return found if plain else found.cast(pyarrow.large_string())
    except ModuleNotFoundError:
        return [None if value is None or value != value else value for value in series.to_list()]


def _categories(series: Any, style: NumberStyle | None) -> Cells:
    """The values of categories, which may be of any type, read as such values are elsewhere."""
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "categories"):  # pandas
        values = cells_of(native.cat.categories, style)
        if isinstance(values, OtherCells):
            return OtherCells(len(series), values.what)
        codes = native.cat.codes.to_numpy()  # -1 is that of a missing cell, which is the last one here
        if isinstance(values, NumberCells) and values.values.dtype.kind == "f":
            return NumberCells(np.append(values.values, values.values.dtype.type(np.nan))[codes])
        texts = [*values.texts(), None]
        found = [texts[code] for code in codes.tolist()]
        return TextCells(found, values.style if isinstance(values, TextCells) else None)
    if hasattr(native, "type"):  # Arrow
        return _cells_of_series(_series(native.cast(native.type.value_type)), style)
    if hasattr(native, "array"):  # pandas over dictionaries of Arrow
        return _cells_of_objects(series.to_list(), style)
    return TextCells(series.to_list(), style)
