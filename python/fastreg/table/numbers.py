"""Texts as numbers: which texts are numbers, and their values. Only this module knows how numbers are written.

Whether a text is a number depends on the text and on how the file writes numbers (:class:`NumberStyle`), never on other
cells. The largest numbers are finite: a number beyond all floats is the largest float.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import describe

__all__ = ["LARGEST", "NumberStyle", "bounded", "limited", "plain_style", "style_of", "usual_style"]

LARGEST = sys.float_info.max

_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"([+-]?)inf(?:inity)?", re.I)
_CURRENCIES = "$€£¥₹₩₽₺₫₴₦฿"
# What separates groups of digits besides the character of the style: spaces and apostrophes, which mean nothing else.
_GAPS = " \u00a0\u202f\u2009'’"


@dataclass(frozen=True)
class NumberStyle:
    """How a file writes numbers.

    Attributes:
        decimal: The character before the decimals, ``"."`` or ``","``; ``".,"`` if either is, the last of a text.
        thousands: The character between groups of three digits; ``""`` for none, or for the one that is no decimal
            point where either may be.

    Example:
        >>> from fastreg.table.numbers import NumberStyle
        >>> style = NumberStyle(".", ",")
        >>> [style.value(text) for text in ("$1,234.50", "-3e2", "5%", "12,34", "unknown")]
        [1234.5, -300.0, 0.05, None, None]
        >>> NumberStyle(",", ".").value("1.234,5")
        1234.5
    """

    decimal: str = "."
    thousands: str = ","

    def __post_init__(self) -> None:
        if self.decimal not in (".", ",", ".,"):
            raise ValueError(f"decimal must be '.' or ',', got {self.decimal!r}")
        if len(self.thousands) > 1 or self.thousands.isalnum() or self.thousands in ("+", "-"):
            raise ValueError(f"thousands must be one character that is no digit or letter, got {self.thousands!r}")
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands must differ, got {self.decimal!r} for both")

    def value(self, text: str) -> float | None:
        """The number that a text is, finite; None if it is none."""
        text = text.strip()
        if self.decimal[0] == "." and _PLAIN.fullmatch(text):
            return _float(text)
        if found := _INFINITE.fullmatch(text):
            return -LARGEST if found[1] == "-" else LARGEST
        return self._dressed(text)

    def _dressed(self, text: str) -> float | None:
        """The number within a currency sign, a percent sign, or parentheses, with its digits in groups."""
        sign = 1.0
        if text.startswith("\u2212"):  # the minus sign of Unicode
            text = f"-{text[1:]}"
        if text.startswith("(") and text.endswith(")") and any(mark in text for mark in _CURRENCIES):
            sign, text = -1.0, text[1:-1]  # as accountants write what is owed
        share = text.endswith("%")
        text = (text[:-1] if share else text).strip()
        if text[:1] in "+-" and text[1:2] and text[1:2] in _CURRENCIES:
            text = text[0] + text[2:].lstrip()
        else:
            text = text.strip(_CURRENCIES).strip()
        plain = self._ungrouped(text)
        if plain is None or not _PLAIN.fullmatch(plain):
            return None
        value = sign * _float(plain)
        return value / 100.0 if share else value

    def _ungrouped(self, text: str) -> str | None:
        decimal, grouping = self.decimal, self.thousands
        if decimal == ".,":
            decimal = "." if text.rfind(".") > text.rfind(",") else ","
            grouping = "," if decimal == "." else "."
        whole, point, rest = text.partition(decimal)
        marks = {mark for mark in whole if not mark.isalnum() and mark not in "+-"}
        if marks:
            mark = marks.pop()
            if marks or mark not in (grouping or "\0") + _GAPS:
                return None
            if not re.fullmatch(rf"[+-]?[0-9]{{1,3}}(?:{re.escape(mark)}[0-9]{{3}})+", whole):
                return None
            whole = whole.replace(mark, "")
        return f"{whole}.{rest}" if point else whole


def _float(text: str) -> float:
    return min(max(float(text), -LARGEST), LARGEST)


def limited(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers without infinities; NaN stays."""
    return bounded(values, LARGEST)


def bounded(values: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Numbers within [-most, most]; NaN stays. It is the given array itself if that is so already."""
    if len(values) and -most <= values.min() and values.max() <= most:  # not so if one is NaN
        return values
    found = np.maximum(values, -most)  # faster than np.clip
    return np.minimum(found, most, out=found)


_COMMA = re.compile(r"[+-]?(?:[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|0,[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+)")
_POINT = re.compile(r"[+-]?(?:[0-9]*\.(?:[0-9]{1,2}|[0-9]{4,})|0\.[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+)")

# Whole numbers whose digits are in three groups or more, and what may stand beside them in a column.
_GROUPS = {mark: re.compile(rf"[+-]?[0-9]{{1,3}}(?:{re.escape(mark)}[0-9]{{3}}){{2,}}") for mark in ".,"}
_GROUPED = {mark: re.compile(rf"[+-]?[0-9]{{1,3}}(?:{re.escape(mark)}[0-9]{{3}})*") for mark in ".,"}


def plain_style(columns: Iterable[Iterable[str]], separator: str) -> NumberStyle:
    """The style of a file whose numbers show it plainly; otherwise the one that goes with its separator.

    Args:
        columns: Different texts of each column.
        separator: Of the file.
    """
    comma = point = False
    for texts in columns:
        told = [text.strip() for text in texts]
        commas, points = (any(pattern.fullmatch(text) for text in told) for pattern in (_COMMA, _POINT))
        commas, points = commas or _in_groups(told, "."), points or _in_groups(told, ",")
        comma, point = comma or (commas and not points), point or points
    if comma and not point:
        return NumberStyle(",", ".")
    return NumberStyle() if point else usual_style(separator)


def _in_groups(texts: list[str], mark: str) -> bool:
    """Whether a column has whole numbers in groups: 1.234.567, and not addresses such as 192.168.100.1 beside it."""
    if not any(_GROUPS[mark].fullmatch(text) for text in texts):
        return False
    return all(_GROUPED[mark].fullmatch(text) for text in texts if mark in text)


def usual_style(separator: str) -> NumberStyle:
    """The style that goes with a separator.

    Programs that write decimal commas separate cells by semicolons. In such a file ``1,234`` is a number with decimals
    and elsewhere one with a group of three digits.
    """
    return NumberStyle(".,", "") if separator == ";" else NumberStyle()


def style_of(decimal: Any, thousands: Any, otherwise: NumberStyle) -> NumberStyle:
    """The style of the options ``decimal`` and ``thousands``, of which None means what the file shows."""
    for name, value in (("decimal", decimal), ("thousands", thousands)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be a string or None, got {describe(value)}")
    if decimal is None and thousands is None:
        return otherwise
    if decimal is None:
        decimal = "." if thousands == "," else "," if thousands == "." else otherwise.decimal
    if thousands is None:
        thousands = "." if decimal == "," else ","
    return NumberStyle(decimal, thousands)
