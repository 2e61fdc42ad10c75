"""Decides what a column of the training table is, from all of its cells and once: its kind, and why.

Nothing is inferred later: what is decided here is kept in the :class:`Column`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.columns import Cells, DateCells, OtherCells
from fastreg.table.dates import PLAIN_FORMS, form_of, parser
from fastreg.table.dictionary import Entry, shown
from fastreg.table.fast_cells import PackedTexts, packed

__all__ = ["KINDS", "MISSING", "Column", "describe_column", "is_missing_word"]

KINDS = ("numeric", "categorical", "date", "text")

# Texts of a categorical cell that mean a missing value. A cell without any text always is missing.
MISSING = ("?",)

# Words that people write into columns of numbers or dates where there is no value. In such columns they do not count
# against numbers; in a column of texts they are levels like any other.
_WORDS = frozenset(
    (
        *("na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "nat", "null", "(null)", "#null!", "none", "nil", "\\n"),
        *("-", "--", "---", ".", "..", "...", "?", "*", "#", "#value!", "#div/0!", "#ref!", "#num!"),
        *("unknown", "missing", "undefined", "not available", "not applicable", "not known", "not reported", "no data"),
        *("empty", "blank", "(blank)", "void", "tba", "tbd", "nd", "n.d."),
    )
)

# A column of numbers may hold other texts: at most so many different ones, in at most this share of its cells.
_ODD_TEXTS, _ODD_SHARE = 5, 0.1
# If the number of different texts exceeds this share of the rows, the column identifies rows and is not a feature.
_IDENTIFIER_SHARE, _IDENTIFIER_LEVELS = 0.5, 50
# A text is a sentence, and not a name, if it has this many words on average.
_SENTENCE = 3.0
# From so many rows on, different whole numbers that fill their range are numbers of rows, wherever they begin.
_MANY_ROWS = 50
_YEARS = (1500, 2200)
# If none of so many texts is a date, the column holds none.
_LOOKED_AT = 20
# Whole numbers with at most this many values are called a scale.
_SCALE = 12

_ID_WORD = re.compile(
    r"|(?:.*[\W_])?(?:ids?|idx|index|key|uuid|guid)|row|nr|no|row[ _.-]?(?:names?|num(?:ber)?|nr|no)|unnamed: ?\d+"
    r"|level_\d+|__index_level_\d+__",
    re.I,
)
_ID_CAMEL = re.compile(r".*[a-z]I[dD]")


@dataclass(frozen=True)
class Column:
    """A feature.

    Attributes:
        name: The name of the column.
        levels: The names of the levels where it is categorical, otherwise None.
        kind: ``"numeric"``, ``"categorical"``, ``"date"`` or ``"text"``; by default told by ``levels``.
        form: How dates are written, see ``dates.py``; ``""`` for other kinds.
    """

    name: str
    levels: tuple[str, ...] | None = None
    kind: str = ""
    form: str = ""
    _found: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", "numeric" if self.levels is None else "categorical")

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Pickles of older versions have names and levels alone.
        Column.__init__(self, **{name: state[name] for name in ("name", "levels", "kind", "form") if name in state})

    @property
    def index(self) -> LevelIndex:
        """Finds the level of a text; for a categorical column."""
        if "index" not in self._found:
            self._found["index"] = LevelIndex(self.levels or ())
        found: LevelIndex = self._found["index"]
        return found

    def exact(self, missing: Collection[str]) -> tuple[PackedTexts, NDArray[np.float64]]:
        """Texts that are levels as they stand, without those that mean a missing value, and the codes of these levels.

        Args:
            missing: Texts that mean a missing value.
        """
        key = frozenset(missing)
        if key not in self._found:
            names = self.levels or ()
            kept = [i for i, name in enumerate(names) if name and name == name.strip() and name not in missing]
            self._found[key] = packed([names[i] for i in kept], "surrogatepass"), np.array(kept, np.float64)
        found: tuple[PackedTexts, NDArray[np.float64]] = self._found[key]
        return found


class LevelIndex:
    """Finds the level of a text.

    The text itself decides. If it is no level, another way to write the same value is looked for: 1 and 1.0, since a
    column of integers with a gap is written with decimals by pandas, and True and true. If several levels are that
    value, the text is none of them. A text with leading zeros is never a number here.

    Example:
        >>> from fastreg.table.kinds import LevelIndex
        >>> index = LevelIndex(["010", "1", "true"])
        >>> [index.find(text) for text in ("010", "1.0", "TRUE", "10", "1.5")]
        [0, 1, 2, None, None]
    """

    def __init__(self, levels: Collection[str]) -> None:
        self._exact = {level: i for i, level in enumerate(levels)}
        self._alike: dict[float | str, int | None] = {}
        for i, level in enumerate(levels):
            if (value := _same_value(level)) is not None:
                self._alike[value] = None if value in self._alike else i

    def find(self, text: str) -> int | None:
        """The index of the level, None if there is none."""
        found = self._exact.get(text)
        if found is None and (value := _same_value(text)) is not None:
            found = self._alike.get(value)
        return found


_WHOLE_OR_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")


def _same_value(text: str) -> float | str | None:
    """What is equal for texts that write the same number or the same truth value; None for other texts."""
    if _WHOLE_OR_DECIMAL.fullmatch(text):
        return float(text)
    lower = text.lower()
    return lower if lower in ("true", "false") else None


def is_missing_word(text: str) -> bool:
    """Whether a text means that there is no value, in a column of numbers or dates."""
    return text.strip().lower() in _WORDS


@dataclass(frozen=True)
class _Look:
    """What is known of a column before its kind is decided."""

    name: str
    cells: Cells
    n: int
    numbers: NDArray[np.float64]
    known: NDArray[np.bool_]  # which cells are numbers
    others: dict[str, int]  # texts that are no numbers, with the number of cells of each; without missing ones
    blank: int  # cells that are missing: without a text, or with one that the user says means so
    gone: frozenset[str]  # texts that the user says mean a missing value

    @property
    def odd(self) -> list[str]:
        """Texts that are no numbers and no words for missing values."""
        return [text for text in self.others if not is_missing_word(text)]


def describe_column(
    name: str, cells: Cells, forced: str | None = None, missing: Collection[str] = ()
) -> tuple[Column | None, Entry]:
    """What a column is, None if it is no feature, and its entry of the data dictionary.

    Args:
        name: The column.
        cells: All cells of the training table.
        forced: The kind, if it is given.
        missing: Texts that mean a missing value.

    Raises:
        ValueError: If the column cannot be of the kind.
    """
    if isinstance(cells, OtherCells):
        if forced is not None:
            raise ValueError(f"{forced}: column {name!r} holds {cells.what}")
        return None, Entry(name, "nested", False, f"its cells are {cells.what}", 0)
    look = _look(name, cells, missing)
    if forced is not None:
        return _FORCED[forced](look)
    if look.blank == look.n:
        return None, Entry(name, "empty", False, "all of its cells are missing", look.n, (), 0)
    if isinstance(cells, DateCells):
        return _date(look, "ymd", "dates")
    if look.known.any() and _is_numeric(look):
        return _number(look)
    zeros = bool(look.known.any()) and look.cells.take(look.known).has_leading_zeros()
    if not zeros and (found := _date_form(look)) is not None:
        return _date(look, *found)
    return _texts(look, "numbers with leading zeros are names, not amounts" if zeros else "")


def _look(name: str, cells: Cells, missing: Collection[str]) -> _Look:
    if isinstance(cells, DateCells):
        numbers = np.full(len(cells), np.nan)
        texts, counts, blank = _counted(cells, missing)
    else:
        numbers = cells.numbers(missing)
        unknown = np.isnan(numbers)
        texts, counts, blank = _counted(cells.take(unknown), missing) if unknown.any() else ([], [], 0)
    others = dict(zip(texts, counts, strict=True))
    return _Look(name, cells, len(cells), numbers, ~np.isnan(numbers), others, blank, frozenset(missing))


def _counted(cells: Cells, missing: Collection[str]) -> tuple[list[str], list[int], int]:
    """The different texts of cells, how many cells have each, and how many cells are missing."""
    texts, index = cells.distinct()
    counts = np.bincount(index[index >= 0], minlength=len(texts)).tolist()
    named = [(text, count) for text, count in zip(texts, counts, strict=True) if count and text not in missing]
    return [text for text, _ in named], [count for _, count in named], len(cells) - sum(count for _, count in named)


def _is_numeric(look: _Look) -> bool:
    odd = look.odd
    cells = sum(look.others[text] for text in odd)
    if len(odd) > _ODD_TEXTS or cells > _ODD_SHARE * (cells + int(look.known.sum())):
        return False
    return not look.cells.take(look.known).has_leading_zeros()


# Numbers.


def _number(look: _Look, forced: bool = False) -> tuple[Column | None, Entry]:
    values = look.numbers[look.known]
    n_missing = look.n - len(values)
    n_distinct = len(np.unique(values))
    taken = tuple(look.others)
    if not forced:
        if n_missing == 0 and n_distinct == 1:
            return None, Entry(look.name, "constant", False, f"it has one value, {_told(values[0])}", 0, (), 1)
        if n_missing == 0 and (found := _numbers_rows(look.name, values, n_distinct)):
            return None, Entry(look.name, found[0], False, found[1], 0, (), n_distinct)
    low, high = _told(values.min()), _told(values.max())
    whole = bool(np.all(values == np.round(values)))
    reason = f"numbers from {low} to {high}"
    if whole and values.min() >= 0 and n_distinct <= _SCALE:
        reason = f"whole numbers from {low} to {high}, taken for amounts on a scale; categorical makes groups of them"
    elif whole and values.min() >= 0:
        reason = f"whole numbers from {low} to {high}, taken for counts or amounts"
    if forced:
        reason = f"as asked for: {reason}"
    return Column(look.name), Entry(look.name, "numeric", True, reason, n_missing, taken, n_distinct)


def _told(value: float) -> str:
    return f"{value:.15g}" if abs(value) < 1e15 else f"{value:.6g}"


def _numbers_rows(name: str, values: NDArray[np.float64], n_distinct: int) -> tuple[str, str] | None:
    """The kind and the reason if whole numbers, all different, number the rows; otherwise None."""
    n = len(values)
    if n < 3 or n_distinct < n or not np.all(values == np.round(values)):
        return None
    low, high = float(values.min()), float(values.max())
    years = low >= _YEARS[0] and high <= _YEARS[1]
    by_name = (_ID_WORD.fullmatch(name) or _ID_CAMEL.fullmatch(name)) is not None
    likely = by_name or low in (0.0, 1.0) or (n >= _MANY_ROWS and not years)
    if likely and np.all(np.diff(values) == 1.0):
        return "row number", "it counts the rows"
    if likely and high - low == n - 1 and (n >= 10 or by_name):
        return "row number", "it numbers the rows in another order"
    if by_name:
        return "identifier", "by its name and its different whole numbers it identifies rows"
    if n >= _MANY_ROWS and not years and high - low < 2 * n:
        return "row number", "its different whole numbers are numbers of rows, of which some are gone"
    return None


# Dates.

# What a column is called of which the form is not that of dates.
_CALLED = {"time": "times of day"}


def _date_form(look: _Look) -> tuple[str, str] | None:
    """The form of a column of dates and the reason, None if its texts are none."""
    texts = look.odd
    if not texts or look.known.any():
        return None
    first = texts[:_LOOKED_AT]
    if not any(parser(form)(text) is not None for form in PLAIN_FORMS for text in first):
        return None
    form, unsure = form_of(texts)
    if form is None:
        form, unsure = _form_of_most(look, texts)
    if form is None:
        return None
    order = {"dmy": "day before month", "mdy": "month before day", "ymd": "year first" if unsure else ""}.get(form, "")
    if not order:
        return form, _CALLED.get(form, "dates")
    return form, f"dates, {order}{', which could also be read the other way' if unsure else ''}"


def _form_of_most(look: _Look, texts: list[str]) -> tuple[str | None, bool]:
    """The form of all texts but a few odd ones, and whether another form fits as well."""
    for form in PLAIN_FORMS:
        parse = parser(form)
        odd = {text for text in texts if parse(text) is None}
        cells = sum(look.others[text] for text in odd)
        if len(odd) <= _ODD_TEXTS and cells <= _ODD_SHARE * look.n and len(odd) < len(texts):
            found = form_of([text for text in texts if text not in odd])
            if found[0] is not None:
                return found
    return None, False


def _date(look: _Look, form: str, reason: str) -> tuple[Column | None, Entry]:
    parse = parser(form)
    days = look.cells.days(form)
    known = days[~np.isnan(days)]
    n_missing = look.n - len(known)
    n_distinct = len(np.unique(known))
    taken = tuple(text for text in look.others if parse(text) is None) if n_missing > look.blank else ()
    if n_distinct == 1 and n_missing == 0:
        one = "it has one time" if form == "time" else "it has one date"
        return None, Entry(look.name, "constant", False, one, 0, (), 1)
    told = f"{reason} from {_day(known.min(), form)} to {_day(known.max(), form)}"
    return Column(look.name, None, "date", form), Entry(look.name, "date", True, told, n_missing, taken, n_distinct)


def _day(days: float, form: str) -> str:
    if form == "time":
        seconds = min(round(days * 86_400.0), 86_399)  # 23:59:59.7 is no 24:00
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return str(np.datetime64("1970-01-01") + int(np.floor(days)))


# Texts.


def _texts(look: _Look, reason: str = "", forced: str | None = None) -> tuple[Column | None, Entry]:
    texts, index = look.cells.distinct()
    given = [text not in MISSING and text not in look.gone for text in texts]
    counts = np.bincount(index[index >= 0], minlength=len(texts))
    levels = sorted(text for text, real in zip(texts, given, strict=True) if real)
    known = int(counts[np.array(given, np.bool_)].sum())
    n_missing = look.n - known
    taken = tuple(text for text, real in zip(texts, given, strict=True) if not real)
    rest: tuple[Any, ...] = (n_missing, taken, len(levels))
    if not levels:
        return None, Entry(look.name, "empty", False, "all of its cells are missing", *rest)
    if forced is None and len(levels) == 1 and n_missing == 0:
        return None, Entry(look.name, "constant", False, f"it has one value, {shown(levels)}", *rest)
    hardly = len(levels) > max(_IDENTIFIER_LEVELS, _IDENTIFIER_SHARE * look.n) or (len(levels) == known >= 20)
    words = float(np.mean([len(level.split()) for level in levels]))
    if forced == "text" or (forced is None and hardly and words >= _SENTENCE):
        told = f"{'as asked for: ' if forced else ''}sentences of {words:.1f} words on average"
        return Column(look.name, None, "text"), Entry(look.name, "text", True, told, *rest)
    if forced is None and hardly:
        told = f"its {len(levels)} different texts in {look.n} rows name rows rather than groups"
        return None, Entry(look.name, "identifier", False, told, *rest)
    told = f"{'as asked for: ' if forced else ''}{_levels(levels)}{f'; {reason}' if reason else ''}"
    return Column(look.name, tuple(levels)), Entry(look.name, "categorical", True, told, *rest)


def _levels(levels: list[str]) -> str:
    return f"{len(levels)} level{'' if len(levels) == 1 else 's'}: {shown(levels)}"


# Kinds that are asked for.


def _forced_number(look: _Look) -> tuple[Column | None, Entry]:
    if not look.known.any():
        raise ValueError(f"numeric: column {look.name!r} holds no number, but {shown(tuple(look.others))}")
    return _number(look, forced=True)


def _forced_date(look: _Look) -> tuple[Column | None, Entry]:
    if isinstance(look.cells, DateCells):
        return _date(look, "ymd", "dates")
    texts = [text for text in look.cells.distinct()[0] if not is_missing_word(text) and text not in look.gone]
    form, _ = form_of(texts)
    if form is None:
        form = _counting_form(texts) or _form_of_most(look, look.odd)[0]
    if form is None:
        parse = parser("ymd")
        wrong = next((text for text in texts if parse(text) is None), "")
        raise ValueError(f"date: column {look.name!r} holds no dates of one form: {shown([wrong])}")
    return _date(look, form, f"as asked for: {_CALLED.get(form, 'dates')}")


def _counting_form(texts: list[str]) -> str | None:
    """The form of dates that are written as numbers."""
    form, _ = form_of(texts, ["compact"])
    if form is not None or form_of(texts, ["seconds"])[0] is None:
        return form
    largest = max(abs(float(text)) for text in texts)
    return "seconds" if 1e8 <= largest < 1e11 else "milliseconds" if 1e11 <= largest < 1e14 else None


_FORCED: dict[str, Callable[[_Look], tuple[Column | None, Entry]]] = {
    "numeric": _forced_number,
    "categorical": lambda look: _texts(look, forced="categorical"),
    "date": _forced_date,
    "text": lambda look: _texts(look, forced="text"),
}
