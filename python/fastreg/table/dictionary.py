"""The data dictionary: what each column of a table was taken for, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from fastreg.internal.progress import printable

__all__ = ["DataDictionary", "Entry"]

# Texts that an entry shows, and characters of each.
_SHOWN, _LONGEST = 4, 24


@dataclass(frozen=True)
class Entry:
    """What one column was taken for.

    Attributes:
        name: The column.
        kind: ``"numeric"``, ``"categorical"``, ``"date"`` or ``"text"`` for a feature; for other columns what they are:
            ``"target"``, ``"row number"``, ``"identifier"``, ``"constant"``, ``"empty"``, ``"nested"``, ``"ignored"``,
            ``"test"``, ``"id"``, ``"weight"``, ``"group"``.
        used: Whether it is a feature.
        reason: Why it was taken for that.
        missing: The number of cells that are missing, or taken for missing.
        taken_for_missing: The texts that were taken for missing cells.
        n_distinct: The number of different values; None where they were not counted.
    """

    name: str
    kind: str
    used: bool
    reason: str
    missing: int = 0
    taken_for_missing: tuple[str, ...] = ()
    n_distinct: int | None = None


@dataclass(frozen=True)
class DataDictionary:
    """What the columns of a table were taken for; iterates over an :class:`Entry` for each, in the table's order.

    Example:
        >>> from fastreg.table import Schema
        >>> table = {"row": [1, 2, 3], "price": ["$5", "-", "$7.50"], "y": [0, 1, 0]}
        >>> print(Schema.infer(table, target="y").dictionary.to_text())
        column  taken for   missing  why
        row     row number           it counts the rows; left out
        price   numeric           1  numbers from 5 to 7.5; '-' taken for missing
        y       target               the column to predict
    """

    entries: tuple[Entry, ...] = ()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, name: str) -> Entry:
        """The entry of a column. Raises KeyError if there is none."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def to_rows(self) -> list[dict[str, str]]:
        """A row for each column: texts by the headings ``column``, ``taken for``, ``missing`` and ``why``."""
        return [
            {
                "column": printable(entry.name) or "(no name)",
                "taken for": entry.kind,
                "missing": str(entry.missing) if entry.missing else "",
                "why": _why(entry),
            }
            for entry in self.entries
        ]

    def to_text(self, width: int = 100) -> str:
        """The rows as lines of at most about ``width`` characters, with a line of headings."""
        rows = self.to_rows()
        headings = ["column", "taken for", "missing", "why"]
        widths = [max([len(name), *(min(len(row[name]), 32) for row in rows)]) for name in headings[:3]]
        indent = sum(widths) + 2 * len(widths)
        lines = []
        for row in [dict(zip(headings, headings, strict=True)), *rows]:
            name, kind, missing = (_short(row[key], 32) for key in headings[:3])
            left = f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {missing:>{widths[2]}}  "
            told = textwrap.wrap(row["why"], max(width - indent, 40), break_long_words=False) or [""]
            lines += [f"{left}{told[0]}".rstrip(), *(f"{'':{indent}}{line}" for line in told[1:])]
        return "\n".join(lines)


def _why(entry: Entry) -> str:
    told = entry.reason
    if entry.taken_for_missing:
        told += f"; {shown(entry.taken_for_missing)} taken for missing"
    if entry.kind in ("row number", "identifier", "constant", "empty", "nested"):
        told += "; left out"
    return told


def _short(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def shown(texts: tuple[str, ...] | list[str]) -> str:
    """Some of the texts, quoted.

    Example:
        >>> from fastreg.table.dictionary import shown
        >>> shown(["a", "b", "c", "d", "e", "f"])
        "'a', 'b', 'c', 'd' and 2 more"
    """
    short = [_short(printable(text), _LONGEST) for text in texts[:_SHOWN]]
    told = ", ".join(repr(text) for text in short)
    return told if len(texts) <= _SHOWN else f"{told} and {len(texts) - _SHOWN} more"
