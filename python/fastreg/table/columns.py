"""The cells of one column as they came: texts of a CSV file, or the typed values of a frame.

==============  ======================================================================================================
``TextCells``   texts, and None where a cell is missing
``NumberCells`` integers or floats
``DateCells``   dates and times, as days since 1970-01-01
``OtherCells``  cells that no feature is made of, such as lists
==============  ======================================================================================================

A cell has a canonical text (:meth:`Cells.distinct`) and, if it is one, a number (:meth:`Cells.numbers`). Both depend on
the cell alone and not on its neighbours: the same value has the same text and number, whatever file it came from.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.dates import parser
from fastreg.table.fast_cells import PackedTexts, codes_of, numbers_of, packed
from fastreg.table.numbers import LARGEST, NumberStyle, limited

__all__ = [
    "LEADING_ZERO",
    "MONTHS",
    "Cells",
    "DateCells",
    "NumberCells",
    "OtherCells",
    "TextCells",
    "arrow_numbers",
    "arrow_texts",
    "seconds_of",
    "text_of",
]

Floats = NDArray[np.float64]
Rows = NDArray[Any] | slice

# A text that begins like this is a name and not an amount.
LEADING_ZERO = re.compile(r"[+-]?0[0-9]")

_DAY = 86_400.0
# Units of durations that have no fixed number of seconds.
MONTHS = ("Y", "M")
# NumPy's shortest unit, the attosecond, does not convert to seconds.
_FINEST, _FINEST_OF_A_SECOND = "as", 10**18


class Cells:
    """A column of a table; see the module."""

    def __len__(self) -> int:
        raise NotImplementedError

    def take(self, rows: Rows) -> Cells:
        """The cells of some rows: a mask, row numbers or a slice."""
        raise NotImplementedError

    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The different canonical texts, without surrounding spaces, and the index of each cell's; -1 where missing."""
        raise NotImplementedError

    def numbers(self, missing: Collection[str] = ()) -> Floats:
        """The cells as numbers, finite, and NaN where a cell is missing, is one of the given texts, or no number."""
        raise NotImplementedError

    def days(self, form: str, missing: Collection[str] = ()) -> Floats:
        """The cells as days since 1970-01-01, and NaN where a cell is missing, is one of the texts, or no date.

        Args:
            form: How texts write dates, see ``dates.py``.
            missing: Texts that mean a missing value.
        """
        parse = parser(form)
        return self._mapped(lambda text: None if text in missing else parse(text))

    def has_leading_zeros(self) -> bool:
        """Whether a cell is written with a zero before another digit, as names are and amounts are not."""
        return any(LEADING_ZERO.match(text) for text in self.distinct()[0])

    def texts(self) -> list[str | None]:
        """The canonical text of each cell, None where missing."""
        texts, index = self.distinct()
        return [None if i < 0 else texts[i] for i in index.tolist()]

    def _mapped(self, value: Callable[[str], float | None]) -> Floats:
        texts, index = self.distinct()
        found = (value(text) for text in texts)
        values = np.array([*(np.nan if number is None else number for number in found), np.nan], np.float64)
        return values[index]


class TextCells(Cells):
    """Texts.

    Args:
        values: A list of texts and None, or an array of strings of Arrow.
        style: How numbers are written.
    """

    def __init__(self, values: Any, style: NumberStyle | None = None) -> None:
        self.values = values
        self.style = style or NumberStyle()

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> TextCells:
        """The cells of some rows."""
        if isinstance(self.values, list):
            if isinstance(rows, slice):
                return TextCells(self.values[rows], self.style)
            return TextCells([self.values[i] for i in _numbered(rows)], self.style)
        if isinstance(rows, slice):
            begin, end, _ = rows.indices(len(self))
            return TextCells(self.values.slice(begin, max(end - begin, 0)), self.style)
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return TextCells(self.values.take(arrow_numbers(numbers)), self.style)

    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The different texts, and the index of each cell's."""
        of_list = isinstance(self.values, list)
        raw, index = (_distinct_of_list if of_list else _distinct_of_arrow)(self.values)
        stripped = [text.strip() for text in raw]
        if stripped == raw and "" not in raw:
            return raw, index
        places: dict[str, int] = {}
        kept: list[str] = []
        moved = np.empty(len(raw) + 1, np.int64)
        moved[-1] = -1
        for i, text in enumerate(stripped):
            if text and text not in places:
                places[text] = len(kept)
                kept.append(text)
            moved[i] = places[text] if text else -1
        return kept, moved[index]

    def numbers(self, missing: Collection[str] = ()) -> Floats:
        """The cells as numbers."""
        if self.style.decimal[0] == "." and not isinstance(self.values, list):
            found = None if missing else numbers_of(self.values)
            found = _fast_numbers(self.values, missing) if found is None else found
            if found is not None:
                return found
        return self._mapped(lambda text: None if text in missing else self.style.value(text))

    def codes(self, levels: PackedTexts, codes: Floats) -> Floats | None:
        """For each cell the code of the level that is the same text, NaN where there is none; None for a list."""
        return None if isinstance(self.values, list) else codes_of(self.values, levels, codes)

    def days(self, form: str, missing: Collection[str] = ()) -> Floats:
        """The cells as days."""
        if form == "ymd" and not isinstance(self.values, list):
            found = _fast_dates(self.values, missing)
            if found is not None:
                return DateCells(found).days(form)
        return super().days(form, missing)

    def has_leading_zeros(self) -> bool:
        """Whether a cell is written with a zero before another digit."""
        if isinstance(self.values, list):
            return super().has_leading_zeros()
        from pyarrow import compute

        found = compute.match_substring_regex(self.values, rf"^\s*{LEADING_ZERO.pattern}")
        return bool(compute.any(found).as_py())


class NumberCells(Cells):
    """Integers or floats.

    Args:
        values: An array of integers, exact, or of floats, NaN where missing.
        missing: Which integers are missing; None for none.
    """

    def __init__(self, values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> None:
        self.values, self.missing = values, missing

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> NumberCells:
        """The cells of some rows."""
        return NumberCells(self.values[rows], None if self.missing is None else self.missing[rows])

    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The different texts, and the index of each cell's."""
        gaps = np.isnan(self.values) if self.values.dtype.kind == "f" else self.missing
        found, index = _distinct_of_array(self.values, gaps)
        return [text_of(value) or "" for value in found], index

    def has_leading_zeros(self) -> bool:
        """False: numbers have no text of their own."""
        return False

    def numbers(self, missing: Collection[str] = ()) -> Floats:
        """The cells as numbers."""
        if missing:
            style = NumberStyle()
            return self._mapped(lambda text: None if text in missing else style.value(text))
        if self.values.dtype.kind == "f" and self.values.dtype.itemsize < 8:
            # Of a float32 0.1, the number is 0.1, as in a file of texts, and not 0.10000000149.
            return limited(self.values.astype(str).astype(np.float64))
        values = limited(self.values.astype(np.float64))
        return values if self.missing is None else np.where(self.missing, np.nan, values)


class DateCells(Cells):
    """Dates and times.

    Args:
        values: An array of ``datetime64``, in UTC if there are time zones; NaT where missing.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> DateCells:
        """The cells of some rows."""
        return DateCells(self.values[rows])

    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The different texts, and the index of each cell's."""
        found, index = _distinct_of_array(self.values, np.isnat(self.values))
        return [_text_of_time(str(value)) for value in found], index

    def numbers(self, missing: Collection[str] = ()) -> Floats:
        """The cells as numbers."""
        return np.full(len(self), np.nan)

    def days(self, form: str, missing: Collection[str] = ()) -> Floats:
        """The cells as days."""
        unit = np.datetime_data(self.values.dtype)[0]
        if unit in ("Y", "M", "W", "D"):
            whole = self.values.astype("datetime64[D]")
            days = whole.astype(np.int64).astype(np.float64)
        else:
            # A number of whole seconds and the rest, as the parser of texts has them.
            seconds, rest = _whole_seconds(self.values)
            days = (seconds + rest) / _DAY
        if form == "time":
            days = days % 1.0
        return np.where(np.isnat(self.values), np.nan, days)


class OtherCells(Cells):
    """Cells that no feature is made of.

    Args:
        n: The number of cells.
        what: What they are, in the plural.
    """

    def __init__(self, n: int, what: str) -> None:
        self.n, self.what = n, what

    def __len__(self) -> int:
        return self.n

    def take(self, rows: Rows) -> OtherCells:
        """The cells of some rows."""
        return OtherCells(len(np.zeros(self.n, np.bool_)[rows]), self.what)

    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The different texts, and the index of each cell's."""
        return [], np.full(self.n, -1, np.int64)

    def numbers(self, missing: Collection[str] = ()) -> Floats:
        """The cells as numbers."""
        return np.full(self.n, np.nan)


def text_of(value: Any) -> str | None:
    """The canonical text of a value of Python or NumPy: what a CSV file would have; None where it is missing.

    The text of a duration is its number of seconds, as an array of durations is read.

    Example:
        >>> from fastreg.table.columns import text_of
        >>> [text_of(value) for value in (1, 1.0, True, None, float("nan"), 1234567, "a")]
        ['1', '1.0', 'True', None, None, '1234567', 'a']
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, np.floating):
        return None if np.isnan(value) else str(value)
    if isinstance(value, float):
        return None if math.isnan(value) else repr(value)
    if isinstance(value, (datetime.timedelta, np.timedelta64)):
        return _text_of_duration(value)
    if isinstance(value, (int, np.integer)):
        return _text_of_int(int(value))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return _text_of_time(str(value))
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else _text_of_time(str(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return None if value != value else str(value)


def _text_of_time(text: str) -> str:
    """A date and a time of ISO 8601 without zeros at its end: the day alone at midnight."""
    text = text.replace("T", " ")
    return (text.rstrip("0").rstrip(".") if "." in text else text).removesuffix(" 00:00:00")


def _text_of_duration(value: datetime.timedelta | np.timedelta64) -> str | None:
    """The seconds of a duration; months and years have no fixed number of them."""
    if not isinstance(value, np.timedelta64):
        return repr(value / datetime.timedelta(seconds=1))
    if np.isnat(value) or np.datetime_data(value.dtype)[0] in MONTHS:
        return None if np.isnat(value) else str(value)
    return repr(float(seconds_of(value)))


def seconds_of(durations: Any) -> Any:
    """The seconds of a ``timedelta64`` or of an array of them, as float64; what they are of NaT is undefined."""
    if np.datetime_data(durations.dtype)[0] == _FINEST:
        return durations.astype(f"timedelta64[{_FINEST}]").astype(np.int64) / _FINEST_OF_A_SECOND
    return durations / np.timedelta64(1, "s")


def _whole_seconds(times: NDArray[Any]) -> tuple[NDArray[np.int64], Floats]:
    """The whole seconds of ``datetime64`` since 1970, and the rest; what they are of NaT is undefined."""
    if np.datetime_data(times.dtype)[0] == _FINEST:
        whole, rest = np.divmod(times.astype(f"datetime64[{_FINEST}]").astype(np.int64), _FINEST_OF_A_SECOND)
        return whole, rest / _FINEST_OF_A_SECOND
    seconds = times.astype("datetime64[s]")
    return seconds.astype(np.int64), (times - seconds) / np.timedelta64(1, "s")


def _text_of_int(value: int) -> str:
    # Python refuses to print integers of thousands of digits. All of them are beyond floats.
    return str(value) if value.bit_length() < 8192 else repr(math.copysign(LARGEST, value))


def _numbered(rows: NDArray[Any]) -> list[int]:
    found: list[int] = (np.flatnonzero(rows) if rows.dtype == np.bool_ else rows).tolist()
    return found


def _distinct_of_array(
    values: NDArray[Any], gaps: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The different values of cells that are not missing, and the index of each cell's; -1 where missing."""
    index = np.full(len(values), -1, np.int64)
    known = np.ones(len(values), np.bool_) if gaps is None else ~gaps
    found, places = np.unique(values[known], return_inverse=True)
    index[known] = places.reshape(-1)
    return found, index


def _distinct_of_list(values: Sequence[str | None]) -> tuple[list[str], NDArray[np.int64]]:
    places: dict[str | None, int] = {None: -1}
    index = np.empty(len(values), np.int64)
    for i, text in enumerate(values):
        place = places.get(text)
        if place is None:
            place = places[text] = len(places) - 1
        index[i] = place
    return [text for text in places if text is not None], index


def _distinct_of_arrow(values: Any) -> tuple[list[str], NDArray[np.int64]]:
    import pyarrow

    chunks = values if isinstance(values, pyarrow.ChunkedArray) else pyarrow.chunked_array([values])
    if len(chunks) == 0:
        return [], np.empty(0, np.int64)
    coded = chunks.dictionary_encode().unify_dictionaries().chunks
    texts: list[str] = coded[0].dictionary.to_pylist()
    return texts, np.concatenate([_numpy(chunk.indices, np.int32, -1).astype(np.int64) for chunk in coded])


def _numpy(values: Any, dtype: Any, gap: float) -> NDArray[Any]:
    """An array of numbers of Arrow, with a number in its gaps; not copied without gaps.

    Arrow's own ``to_numpy`` and ``fill_null`` import pandas, which takes longer than to predict a small table.
    """
    n, begin = len(values), values.offset
    if n == 0:
        return np.empty(0, dtype)
    known, numbers = values.buffers()
    found: NDArray[Any] = np.frombuffer(numbers, dtype, n, begin * np.dtype(dtype).itemsize)
    if values.null_count == 0:
        return found
    bits = np.unpackbits(np.frombuffer(known, np.uint8), count=begin + n, bitorder="little")[begin:]
    return np.where(bits.view(np.bool_), found, dtype(gap))


def arrow_numbers(values: NDArray[Any]) -> Any:
    """An array of numbers of Arrow. ``pyarrow.array`` imports pandas, as ``to_numpy`` does."""
    import pyarrow

    kept = [None, pyarrow.py_buffer(np.ascontiguousarray(values))]
    return pyarrow.Array.from_buffers(pyarrow.from_numpy_dtype(values.dtype), len(values), kept)


def arrow_texts(texts: Sequence[str]) -> Any:
    """An array of texts of Arrow, as :func:`arrow_numbers`."""
    import pyarrow

    kept = packed(texts)
    buffers = [None, pyarrow.py_buffer(kept.offsets), pyarrow.py_buffer(kept.data)]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(texts), buffers)


def _without_gaps(values: Any, missing: Collection[str]) -> Any:
    """The texts of an array of Arrow, null where a text is empty or means a missing value."""
    import pyarrow
    from pyarrow import compute

    if not missing and compute.min(compute.binary_length(values)).as_py() != 0:
        return values
    gaps = compute.is_in(values, value_set=arrow_texts(["", *missing]).cast(values.type))
    return compute.if_else(gaps, pyarrow.nulls(1, values.type)[0], values)


# Dates that Arrow reads as ``dates.py`` does; all others take the slower way.
_ISO = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?$"


def _fast_dates(values: Any, missing: Collection[str]) -> NDArray[Any] | None:
    """The dates of an array of Arrow whose cells are all plain ISO dates or missing; None if some are not."""
    import pyarrow
    from pyarrow import compute

    known = _without_gaps(values, missing)
    if not compute.all(compute.match_substring_regex(known, _ISO)).as_py():
        return None
    try:
        dates = compute.cast(known, pyarrow.timestamp("us"))
    except pyarrow.ArrowInvalid:
        return None
    return np.asarray(dates.to_numpy(zero_copy_only=False) if isinstance(dates, pyarrow.Array) else dates.to_numpy())


def _fast_numbers(values: Any, missing: Collection[str]) -> Floats | None:
    """The numbers of an array of Arrow whose cells are all plain numbers or missing; None if some are not."""
    import pyarrow
    from pyarrow import compute

    try:
        numbers = compute.cast(_without_gaps(values, missing), pyarrow.float64())
    except pyarrow.ArrowInvalid:
        return None
    if isinstance(numbers, pyarrow.ChunkedArray):
        numbers = numbers.combine_chunks()
    return limited(_numpy(numbers, np.float64, np.nan))
