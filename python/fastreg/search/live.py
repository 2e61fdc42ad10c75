"""The live line of a search, on standard error: done/total, best, ETA, pruned, failed.

On a terminal it is one line that is rewritten at most ten times per second; elsewhere there are few plain lines at
growing intervals. This module knows what a search counts and nothing else of it.
"""

from __future__ import annotations

import math
import time

from fastreg.internal.progress import StatusLine, format_time

__all__ = ["LiveLine"]

# Seconds between updates on a terminal. Elsewhere: seconds until the first line, and the factor by which gaps grow.
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
        self._line = StatusLine(verbose > 0)
        self._total = total
        self._started = time.monotonic()
        self._next = self._started + (0 if self._line.rewritten else _FIRST_PLAIN_LINE)
        self._gap = _FIRST_PLAIN_LINE
        self.done = self.replayed = self.pruned = self.failed = 0
        self.best = math.nan

    def refresh(self) -> None:
        """Shows the present counts, if it is time to."""
        if not self._line or time.monotonic() < self._next:
            return
        now = time.monotonic()
        if self._line.rewritten:
            self._next = now + _INTERVAL
        else:
            self._gap *= _GROWTH
            self._next = now + self._gap
        self._line.show(self._text(now))

    def finish(self, note: str) -> None:
        """Shows the last counts and why the search ended."""
        self._line.show(f"{self._text(time.monotonic(), ended=True)} - {note}")
        self._line.end()

    def message(self, text: str) -> None:
        """Writes a message on a separate line."""
        self._line.message(text)

    def _text(self, now: float, *, ended: bool = False) -> str:
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
