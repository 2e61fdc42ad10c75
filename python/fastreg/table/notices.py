"""What was noticed while rows were read by a model: counts over as many blocks of rows as there are."""

from __future__ import annotations

from collections import Counter

from fastreg.table.dictionary import shown

__all__ = ["Notices"]

# Different texts that are kept for each column, so that the memory is bounded.
_KEPT = 64

_WHAT = {
    "level": ("has a level that the training rows did not have", "have levels that the training rows did not have"),
    "number": ("is not a number and counts as missing", "are not numbers and count as missing"),
    "date": ("is not a date and counts as missing", "are not dates and count as missing"),
}


class Notices:
    """Counts cells that a model does not know.

    Example:
        >>> from fastreg.table.notices import Notices
        >>> notices = Notices()
        >>> notices.add("level", "job", ["pilot"], [3])
        >>> notices.lines()
        ["column 'job': 3 cells have levels that the training rows did not have: 'pilot'"]
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._texts: dict[tuple[str, str], dict[str, None]] = {}

    def add(self, what: str, column: str, texts: list[str], counts: list[int]) -> None:
        """Counts the cells of a column that hold the given texts.

        Args:
            what: "level", "number" or "date": what the texts should have been.
            column: The column.
            texts: Different texts.
            counts: The number of cells of each.
        """
        if texts:
            kept = self._texts.setdefault((column, what), {})
            self._counts[column, what] += sum(counts)
            for text in texts:
                if len(kept) >= _KEPT:
                    break
                kept.setdefault(text)

    def join(self, other: Notices) -> None:
        """Adds the counts of later rows."""
        self._counts.update(other._counts)
        for key, texts in other._texts.items():
            kept = self._texts.setdefault(key, {})
            for text in texts:
                if len(kept) >= _KEPT:
                    break
                kept.setdefault(text)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def count(self, column: str, what: str) -> int:
        """The number of cells of a column that were noticed."""
        return self._counts[column, what]

    def lines(self) -> list[str]:
        """A sentence for each column with such cells."""
        found = []
        for (column, what), count in self._counts.items():
            one, several = _WHAT[what]
            told = f"1 cell {one}" if count == 1 else f"{count:,} cells {several}"
            found.append(f"column {column!r}: {told}: {shown(list(self._texts[column, what]))}")
        return found
