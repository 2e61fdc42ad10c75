"""Texts as dates: in which order a column writes day, month and year, and the value of each cell in days.

A form is decided for a whole column of the training table and kept (``Column.form``). Later, a cell is read by that
form alone.

==============  =============================================================================================
form            texts
==============  =============================================================================================
``"ymd"``       1949-01, 2024-03-01, 2024/3/1, 2024-03-01T12:30:00Z, 2024-03-01 12:30, 24-03-01, 24/03/01
``"dmy"``       31.12.2024, 31/12/2024, 31-Dec-2024, 31 December 2024 12:30, 31.12.24, 31/12/24, 31-12-24, 31-Dec-24
``"mdy"``       12/31/2024, Dec 31, 2024, 12/31/24, 12-31-24
``"time"``      08:30, 8:30 PM, 08:30:15.5: the time of a day, as the part of the day that is over
``"compact"``   20241231
``"seconds"``   seconds since 1970, and ``"milliseconds"``
==============  =============================================================================================

Years of two digits are those from 1969 to 2068, as POSIX has them. An offset from UTC counts, and 24:00 is 00:00.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Sequence

from fastreg.internal.checks import check_choice

__all__ = ["FORMS", "PLAIN_FORMS", "form_of", "parser"]

FORMS = ("ymd", "dmy", "mdy", "time", "compact", "seconds", "milliseconds")
# Forms that a column of texts is recognised by; the others look like numbers and must be asked for.
PLAIN_FORMS = FORMS[:4]

_DAY = 86_400.0
# The last day of a month, and the share of texts that may have a wrong day.
_LAST_DAY, _WRONG_DAYS = 31, 0.1
# Longer texts are no dates.
_LONGEST = 64
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = (
    *("january", "february", "march", "april", "june", "july", "august", "september", "october", "november"),
    *("december", "sept"),
)
_NUMBER_OF_MONTH = {name: i + 1 for i, name in enumerate(_MONTHS)} | {
    name: _MONTHS.index(name[:3]) + 1 for name in _LONG_MONTHS
}

_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?\s*([AaPp][Mm])?\s*(Z|UTC|[+-]\d{2}(?::?\d{2})?)?"
_TIME = rf"(?:[T ]\s*{_CLOCK})?"
_YMD = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})(?:\2(\d{{1,2}}){_TIME})?", re.ASCII)
_DMY = re.compile(rf"(\d{{1,2}})([-/. ]+)(\d{{1,2}}|[A-Za-z]{{3,9}})\.?[-/. ]+(\d{{4}})(?:,? *{_TIME})?", re.ASCII)
_MDY = re.compile(rf"(\d{{1,2}}|[A-Za-z]{{3,9}})\.?([-/. ]+)(\d{{1,2}}),?[-/ ]\s*(\d{{4}})(?:,? *{_TIME})?", re.ASCII)
_SHORT_YMD = re.compile(rf"(\d{{2}})([-/.])(\d{{2}})\2(\d{{2}}){_TIME}", re.ASCII)
_SHORT_DMY = re.compile(
    r"(?:(\d{1,2})/(\d{1,2})/|(\d{2})([-.])(\d{2})\4|(\d{1,2})[- ]([A-Za-z]{3})[- ])(\d{2})" rf"(?:,? *{_TIME})?",
    re.ASCII,
)
_SHORT_MDY = re.compile(rf"(?:(\d{{1,2}})/(\d{{1,2}})/|(\d{{2}})-(\d{{2}})-)(\d{{2}})(?:,? *{_TIME})?", re.ASCII)
_OF_DAY = re.compile(_CLOCK, re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0)?", re.ASCII)
_COUNT = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)


def parser(form: str) -> Callable[[str], float | None]:
    """The function that makes days since 1970-01-01 of a text, or None if it is no date of the form.

    Example:
        >>> from fastreg.table.dates import parser
        >>> parser("ymd")("1970-01-02 12:00"), parser("dmy")("3.1.1970"), parser("ymd")("soon")
        (1.5, 2.0, None)
    """
    check_choice("date", "form", form, FORMS)
    return {
        "ymd": _ymd,
        "dmy": _dmy,
        "mdy": _mdy,
        "time": _time,
        "compact": _compact,
        "seconds": lambda text: _count(text, _DAY),
        "milliseconds": lambda text: _count(text, 1000.0 * _DAY),
    }[form]


def form_of(texts: Sequence[str], forms: Iterable[str] = PLAIN_FORMS) -> tuple[str | None, bool]:
    """The form by which all texts are dates, None if there is none; and whether another form fits as well.

    Where day and month could be either way round in every text, the order is that of the United States for slashes, and
    day first otherwise. Where a year of two digits could be first or last, it is last beside slashes and points. Beside
    hyphens it is the number that has fewer different values, unless that is always 1, as the day in dates of months.

    Years of two and of four digits may be mixed. If some texts begin with one of four, all begin with the year, unless
    the first numbers of the others look like days, as they have more different values than the last: such texts have no
    form.
    """
    fitting = [form for form in forms if texts and all(parser(form)(text) is not None for text in texts)]
    unsure = False
    if fitting[:1] == ["ymd"]:
        long, short = _by_first_number(texts)
        if long:
            is_plain, unsure = _begins_with_year(short) if short else (True, False)
            return ("ymd", not is_plain) if is_plain or unsure else (None, False)
        is_plain, unsure = _begins_with_year(short)
        if is_plain or (unsure and all("-" in text[:3] for text in texts)):
            return "ymd", not is_plain
        fitting = fitting[1:]
    if "dmy" in fitting and "mdy" in fitting:
        alike = all(parser("dmy")(text) == parser("mdy")(text) for text in texts)
        return ("mdy" if "/" in texts[0] else "dmy"), unsure or not alike
    return (fitting[0] if fitting else None), unsure


def _by_first_number(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The dates that begin with a year of four digits, and the others."""
    long = [text for text in texts if text[:4].isdecimal()]
    return long, [text for text in texts if not text[:4].isdecimal()]


def _begins_with_year(texts: Sequence[str]) -> tuple[bool, bool]:
    """Whether the first number of dates is plainly the year, as no day is as long or large, and whether it rather is.

    Some texts may have a wrong day.
    """
    numbers = [re.split(r"\D", text) for text in texts]
    days = [part for part in numbers if len(part[0]) == 2 and 1 <= int(part[0]) <= _LAST_DAY]
    if len(texts) - len(days) > _WRONG_DAYS * len(texts):
        return True, True
    first, last = ({int(part[i]) for part in days} for i in (0, 2))
    if {1} in (first, last):
        return False, first != {1}
    return False, len(first) <= len(last)


def _ymd(text: str) -> float | None:
    if found := _YMD.fullmatch(text[:_LONGEST]):
        return _days(int(found[1]), int(found[3]), int(found[4] or 1), found.groups()[4:])
    if found := _SHORT_YMD.fullmatch(text[:_LONGEST]):
        return _days(_year(found[1]), int(found[3]), int(found[4]), found.groups()[4:])
    return None


def _dmy(text: str) -> float | None:
    if found := _DMY.fullmatch(text[:_LONGEST]):
        return _days(int(found[4]), _month(found[3]), int(found[1]), found.groups()[4:])
    if found := _SHORT_DMY.fullmatch(text[:_LONGEST]):
        day, month = (part for part in found.group(1, 2, 3, 5, 6, 7) if part is not None)
        return _days(_year(found[8]), _month(month), int(day), found.groups()[8:])
    return None


def _mdy(text: str) -> float | None:
    if found := _MDY.fullmatch(text[:_LONGEST]):
        return _days(int(found[4]), _month(found[1]), int(found[3]), found.groups()[4:])
    if found := _SHORT_MDY.fullmatch(text[:_LONGEST]):
        return _days(_year(found[5]), int(found[1] or found[3]), int(found[2] or found[4]), found.groups()[5:])
    return None


def _time(text: str) -> float | None:
    found = _OF_DAY.fullmatch(text[:_LONGEST])
    days = None if found is None else _days(1970, 1, 1, found.groups())
    return None if days is None else days % 1.0


def _year(text: str) -> int:
    year = int(text)
    return year + (1900 if year >= 69 else 2000)


def _compact(text: str) -> float | None:
    found = _COMPACT.fullmatch(text)
    return None if found is None else _days(int(found[1]), int(found[2]), int(found[3]), ())


def _count(text: str, unit: float) -> float | None:
    return float(text) / unit if _COUNT.fullmatch(text) and len(text) < 40 else None


def _month(text: str) -> int:
    return int(text) if text.isdecimal() else _NUMBER_OF_MONTH.get(text.lower(), 0)


def _days(year: int, month: int, day: int, clock: Sequence[str | None]) -> float | None:
    try:
        days = datetime.date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    if not clock or clock[0] is None:
        return float(days)
    hour, minute, second = int(clock[0]), int(clock[1] or 0), int(clock[2] or 0)
    if clock[4] is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if clock[4].lower() == "pm" else 0)
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        return None
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - _offset(clock[5])
    return (seconds + float(clock[3] or 0.0)) / _DAY


def _offset(zone: str | None) -> int:
    if zone is None or zone in ("Z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)
