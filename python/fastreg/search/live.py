"""The live line of a search, on standard error: done/total, best, ETA, pruned, failed.

On a terminal one line that is rewritten at most ten times a second; elsewhere few plain lines, ever further apart.
Knows what a search counts and nothing else of it.
"""

from __future__ import annotations

import math
import os
import sys
import time

from fastreg.progress import format_time

__all__ = ["LiveLine"]

# Seconds between updates on a terminal; elsewhere the first line and what each gap is longer than the one before.
_INTERVAL = 0.1
_FIRST_PLAIN_LINE = 5.0
_GROWTH = 1.5


class LiveLine:
    """Shows one search.

    Args:
        verbose: 0 shows nothing.
        total: Trials there will be at most; None: not known.
    """

    def __init__(self, verbose: int, total: int | None) -> None:
        self._stream = sys.stderr if verbose else None
        self._terminal = self._stream is not None and self._stream.isatty()
        self._total = total
        self._started = time.monotonic()
        self._next = self._started + (0 if self._terminal else _FIRST_PLAIN_LINE)
        self._gap = _FIRST_PLAIN_LINE
        self._width = 0
        self.done = self.replayed = self.pruned = self.failed = 0
        self.best = math.nan

    def refresh(self) -> None:
        """Shows the present counts, if it is time to."""
        if self._stream is None or time.monotonic() < self._next:
            return
        now = time.monotonic()
        if self._terminal:
            self._next = now + _INTERVAL
        else:
            self._gap *= _GROWTH
            self._next = now + self._gap
        self._show(self._line(now))

    def finish(self, note: str) -> None:
        """Shows the last counts and why the search ended."""
        if self._stream is not None:
            self._show(f"{self._line(time.monotonic(), ended=True)} - {note}")
            if self._terminal:
                self._write("\n")

    def message(self, text: str) -> None:
        """A line of its own."""
        if self._stream is not None:
            self._write("\r".ljust(self._width + 1) + "\r" if self._width else "")
            self._width = 0
            self._write(f"{text}\n")

    def _line(self, now: float, *, ended: bool = False) -> str:
        elapsed = now - self._started
        fresh = self.done - self.replayed
        parts = [f"{self.done}/{'?' if self._total is None else self._total} trials"]
        if not math.isnan(self.best):
            parts.append(f"best {self.best:.5g}")
        if ended:
            parts.append(f"{format_time(elapsed)} in all")
        elif fresh and self._total is not None:
            parts.append(f"ETA {format_time(elapsed / fresh * (self._total - self.done))}")
        parts += [f"{count} {word}" for count, word in ((self.pruned, "pruned"), (self.failed, "failed")) if count]
        return " - ".join(parts)

    def _show(self, text: str) -> None:
        if not self._terminal:
            self._write(text + "\n")
            return
        line = text[: max(self._columns() - 1, 20)]
        self._write("\r" + line.ljust(self._width))
        self._width = len(line)

    def _columns(self) -> int:
        try:
            return (os.get_terminal_size(self._stream.fileno()).columns if self._stream is not None else 0) or 80
        except (OSError, ValueError):
            return 80  # a terminal in name only

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()
