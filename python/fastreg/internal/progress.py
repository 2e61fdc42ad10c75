"""Shows the progress of a fit on standard error: one line that is rewritten on a terminal, plain lines elsewhere.

There are at most 10 updates per second, however short the epochs are, unless ``verbose`` demands a line for each. The
last update is always shown. This module knows the names of an epoch's values and nothing else of training.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from fastreg.internal.histories import real_number

_INTERVAL = 0.1
_BAR = 12


def format_values(logs: Mapping[str, Any]) -> str:
    """``loss 0.1234 - accuracy 0.9500``, in the order of the logs; what callbacks have added may be no number."""
    numbers = {key: real_number(value) for key, value in logs.items()}
    return " - ".join(f"{key} {_number(number)}" for key, number in numbers.items() if number is not None)


def _number(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3e}"


def format_count(value: float) -> str:
    """A number of samples in at most four characters and a unit: ``950``, ``12.3 k``, ``4.56 M``."""
    for limit, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= 0.9995 * limit:  # what rounds to 1000 is 1 of the next unit
            return f"{value / limit:.3g}{unit}"
    return f"{value:.0f}"


def format_time(seconds: float) -> str:
    """``0.4s``, ``12s``, ``3:07``, ``2:05:09``."""
    if seconds < 0.95:  # what rounds to 1.0 is shown as 1
        return f"{seconds:.1f}s"
    if seconds < 59.5:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def printable(name: object) -> str:
    """The name of a file as text that any page or stream can hold: bytes that are no text become question marks."""
    return str(name).encode("utf-8", "replace").decode("utf-8")


def say(text: str) -> None:
    """Writes a line to standard error, where there is one."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


class StatusLine:
    """The status of a run on standard error: one line that is rewritten on a terminal, plain lines elsewhere.

    Args:
        shown: False shows nothing.
        rewrite: False writes plain lines on a terminal, too.
    """

    def __init__(self, shown: bool = True, *, rewrite: bool = True) -> None:
        self._stream = sys.stderr if shown else None
        self.rewritten = rewrite and self._stream is not None and self._stream.isatty()
        self._width = 0

    def __bool__(self) -> bool:
        return self._stream is not None

    def show(self, text: str) -> None:
        """Replaces the current text, cut to the width of the terminal; or writes a line below it."""
        if not self.rewritten:
            self._write(f"{text}\n")
            return
        line = text[: max(self._columns() - 1, 20)]
        self._write("\r" + line.ljust(self._width))
        self._width = len(line)

    def message(self, text: str) -> None:
        """A line that stays."""
        self._write(("\r".ljust(self._width + 1) + "\r" if self._width else "") + f"{text}\n")
        self._width = 0

    def end(self) -> None:
        """Leaves the line that stands there."""
        if self._width:
            self._write("\n")
            self._width = 0

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80 if self._stream is not None else 80
        except (OSError, ValueError):
            return 80  # a terminal in name only

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()


class Progress:
    """Shows one run.

    Args:
        verbose: 1: a line that is rewritten, on a terminal; 2: a line for each epoch.
        first_epoch: Epoch that the run begins with, from 0.
        epochs: Epoch that it ends before.
        rows: Rows of an epoch.
    """

    def __init__(self, verbose: int, first_epoch: int, epochs: int, rows: int) -> None:
        self._line, self._every_epoch = StatusLine(rewrite=verbose == 1), verbose == 2
        self._first, self._epochs, self._rows = first_epoch, epochs, rows
        self._started = time.monotonic()
        self._shown_at = -1.0
        self._shown_epoch = -1
        self._values: Mapping[str, float] = {}

    @property
    def live(self) -> bool:
        """Whether a line is rewritten, so that progress within an epoch can be shown."""
        return self._line.rewritten

    def within_epoch(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Some steps of an epoch are done."""
        if self.live and self._due():
            self._show(epoch, step / steps, {**self._values, "loss": loss})

    def epoch_ended(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch ended; shows it if the last update is long enough ago, or if no other follows."""
        self._values = logs
        if self._every_epoch or self._due() or epoch + 1 == self._epochs:
            self._shown_epoch = epoch
            self._show(epoch, 1.0, logs)

    def run_ended(self, epoch: int, logs: Mapping[str, float]) -> None:
        """The run ended, for whatever reason, after this epoch (-1: before the first one's end)."""
        if epoch >= 0 and epoch != self._shown_epoch:
            self._show(epoch, 1.0, logs)
        self._line.end()

    def _due(self) -> bool:
        return self._shown_at < 0 or time.monotonic() - self._shown_at >= _INTERVAL

    def _show(self, epoch: int, part: float, logs: Mapping[str, float]) -> None:
        self._shown_at = time.monotonic()
        elapsed = max(self._shown_at - self._started, 1e-9)
        done = epoch - self._first + part
        rate = format_count(done * self._rows / elapsed)
        remaining = elapsed / done * (self._epochs - self._first - done) if done > 0 else 0.0
        clock = f"ETA {format_time(remaining)}" if remaining > 0 else f"{format_time(elapsed)} in all"
        head = f"Epoch {epoch + 1}/{self._epochs}"
        tail = f"{format_values(logs)} - {rate} samples/s - {clock}"
        if not self.live:
            self._line.show(f"{head} - {tail}")
            return
        filled = round(_BAR * part)
        self._line.show(f"{head} [{'=' * filled}{' ' * (_BAR - filled)}] {tail}")
