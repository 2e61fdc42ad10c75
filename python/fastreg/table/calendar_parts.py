"""A column of dates as features: parts of the calendar, and an age in days."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.checked import members, strings
from fastreg.table.number_parts import Codes, NumericPart

__all__ = ["PARTS", "DatePart"]

# Parts of the calendar, and the number of their features.
PARTS = {"month": 14, "day": 2, "weekday": 7, "hour": 26}
# Dates beyond so many days from 1970 count as that; far more than the calendar of any data has.
_FAR = 4e6
# Bins of the age at most.
_MOST_BINS = 16


def _circle(n: int) -> NDArray[np.float64]:
    """The points of a circle at n equal steps. A table: a vectorised sine might depend on the place of a value."""
    angles = [2.0 * math.pi * i / n for i in range(n)]
    return np.array([[math.sin(angle), math.cos(angle)] for angle in angles])


_YEAR, _MONTH, _DAY = _circle(366), _circle(31), _circle(1440)


@dataclass(frozen=True)
class DatePart:
    """The encoding of a column of dates, given as days since 1970-01-01.

    The age is encoded as a number is. A part of the calendar is used if training rows differ in it: the month (one
    feature for each, and the day of the year on a circle), the day of the month (on a circle), the day of the week (one
    feature for each), and the hour (one feature for each, and the time of day on a circle). Where all dates are the
    first of a month, days have no meaning and are not used.

    Attributes:
        age: The encoding of the number of days.
        parts: The names of the parts of the calendar that are used, of ``PARTS``.
    """

    age: NumericPart
    parts: tuple[str, ...]

    @classmethod
    def fit(cls, days: Codes, n_bins: int) -> DatePart:
        """Takes the statistics of training rows, NaN where missing."""
        age = NumericPart.fit(days, min(n_bins, _MOST_BINS))
        found = _calendar(days[~np.isnan(days)])
        whole_months = len(found["day"]) == 0 or bool(np.all(found["day"] == 0))
        parts = [
            name
            for name in PARTS
            if len(np.unique(found[name])) > 1 and not (whole_months and name in ("day", "weekday"))
        ]
        return cls(age, tuple(parts))

    @property
    def width(self) -> int:
        """The number of features."""
        return self.age.width + sum(PARTS[name] for name in self.parts)

    def encode(self, days: Codes, out: NDArray[np.float32]) -> None:
        """Writes the features of rows to ``out``, which holds zeros."""
        begin = self.age.width
        self.age.encode(days, out[:, :begin])
        known = np.flatnonzero(~np.isnan(days))
        found = _calendar(days[known])
        for name in self.parts:
            value = found[name]
            if name in ("month", "weekday", "hour"):
                out[known, begin + value] = 1.0
                begin += {"month": 12, "weekday": 7, "hour": 24}[name]
            if name != "weekday":
                points = {"month": (_YEAR, "yearday"), "day": (_MONTH, "day"), "hour": (_DAY, "minute")}[name]
                out[known, begin : begin + 2] = points[0][found[points[1]]]
                begin += 2

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        return {"age": self.age.to_config(), "parts": list(self.parts)}

    @classmethod
    def from_config(cls, config: Any) -> DatePart:
        """The part of a JSON form. Raises ValueError if it is none."""
        config = members(config, "statistics", "age", "parts")
        parts = strings(config.get("parts"), "parts")
        if list(parts) != [name for name in PARTS if name in parts]:
            raise ValueError(f"the parts of a date must be of {', '.join(PARTS)}, in this order, got {list(parts)}")
        return cls(NumericPart.from_config(config.get("age")), parts)


def _calendar(days: Codes) -> dict[str, NDArray[np.int64]]:
    """Month, day of the month, of the year and of the week, hour and minute of the day, all counted from 0."""
    days = np.clip(days, -_FAR, _FAR)
    whole = np.floor(days).astype(np.int64)
    minute = np.clip(np.round((days - whole) * 1440.0), 0, 1439).astype(np.int64)
    dates = whole.astype("datetime64[D]")
    months, years = dates.astype("datetime64[M]"), dates.astype("datetime64[Y]")
    return {
        "month": months.astype(np.int64) % 12,
        "day": (dates - months).astype(np.int64),
        "yearday": (dates - years).astype(np.int64),
        "weekday": (whole + 3) % 7,  # 1970-01-01 was a Thursday; Monday is 0
        "hour": minute // 60,
        "minute": minute,
    }
