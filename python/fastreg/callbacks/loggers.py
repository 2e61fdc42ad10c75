"""Callbacks that write the values of each epoch to files."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np

from fastreg.callbacks.base import Callback, Logs
from fastreg.internal.checks import check_bool, check_name, describe
from fastreg.internal.histories import real_number

__all__ = ["CSVLogger", "JSONLogger"]

Path = str | os.PathLike[str]


class _FileLogger(Callback):
    """Base: a text file that is open during a run. It is flushed after every epoch."""

    _of_one_run = True
    _aside = Callback._aside | {"filename"}

    def __init__(self, filename: Path, append: bool) -> None:
        try:
            self.filename = os.fspath(filename)
        except TypeError:
            raise TypeError(f"{type(self).__name__}: filename must be a path, got {describe(filename)}") from None
        self.append = check_bool(type(self).__name__, "append", append)
        self._file: IO[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the file."""
        self._leave()
        self._file = open(self.filename, "a" if self.append else "w", encoding="utf-8", newline="")  # noqa: SIM115

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the file."""
        self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with self._named_errors():
                file.close()

    def _leave(self) -> None:
        """Closes the file of a run that an exception has ended."""
        with suppress(OSError):  # every epoch was flushed, and a line that could not be was the exception
            self._close()

    @contextmanager
    def _line(self) -> Iterator[IO[str]]:
        """The file, to write the line of an epoch, which the system has when this ends."""
        if self._file is None:
            raise RuntimeError(f"{type(self).__name__}: on_train_begin opens the file, and was not called")
        try:
            with self._named_errors():
                yield self._file
                self._file.flush()
        except OSError:
            # Python keeps what could not be written, and would try it again, and fail again, at the end.
            with suppress(OSError):
                self._close()
            raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Errors of the system in writing name no file."""
        try:
            yield
        except OSError as error:
            error.filename = self.filename
            raise

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self._leave()


class CSVLogger(_FileLogger):
    """Writes the values of each epoch to a CSV file, a line for each epoch.

    The columns are ``epoch`` and the keys of the first epoch's logs in alphabetical order, as in Keras. A value that an
    epoch does not have, as those of validation with ``validation_freq``, is ``NA``. The file is flushed after each
    line.

    Args:
        filename: The file; an existing one is replaced unless ``append`` is set.
        separator: What separates cells, one character.
        append: Whether to append to an existing file, for a run that is continued. The header is written only if the
            file is empty.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the separator is not one character.
        OSError: In ``fit``, if the file cannot be written.

    Example:
        >>> from fastreg import callbacks
        >>> log = callbacks.CSVLogger("log.csv")
        >>> log.on_train_begin()
        >>> log.on_epoch_end(0, {"loss": 0.5, "accuracy": 0.75})
        >>> log.on_train_end()
        >>> import pathlib
        >>> print(pathlib.Path("log.csv").read_text().split())
        ['epoch,accuracy,loss', '0,0.75,0.5']
    """

    def __init__(self, filename: Path, separator: str = ",", append: bool = False) -> None:
        super().__init__(filename, append)
        self.separator = check_name("CSVLogger", "separator", separator)
        if len(self.separator) != 1:
            raise ValueError(f"CSVLogger: separator must be one character, got {separator!r}")
        self._keys: list[str] | None = None
        self._later: Sequence[str] = ()

    def _watch(self, keys: Sequence[str], directions: Mapping[str, str], added: bool) -> None:
        self._later = keys

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the file."""
        super().on_train_begin(logs)
        self._keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes a line."""
        values = logs or {}
        with self._line() as file:
            writer = csv.writer(file, delimiter=self.separator, lineterminator="\n")
            if self._keys is None:
                self._keys = sorted(values)
                # The first epoch with a validation may be a later one.
                self._keys += sorted(key for key in self._later if key not in values)
                if file.tell() == 0:
                    writer.writerow(["epoch", *self._keys])
            writer.writerow([epoch, *(values.get(key, "NA") for key in self._keys)])


class JSONLogger(_FileLogger):
    """Writes the values of each epoch to a file of JSON lines, ``{"epoch": 0, "loss": ...}`` for each epoch.

    NaN and infinities, which JSON does not have, are null. Texts, bools and None that callbacks add are written, too.
    The file is flushed after each line.

    Args:
        filename: The file, usually ``.jsonl``; an existing one is replaced unless ``append`` is set.
        append: Whether to append to an existing file, for a run that is continued.

    Raises:
        TypeError: If an argument is of the wrong kind; in ``fit``, if a callback has added a list or another object.
        OSError: In ``fit``, if the file cannot be written.

    Example:
        >>> from fastreg import callbacks
        >>> log = callbacks.JSONLogger("log.jsonl")
        >>> log.on_train_begin()
        >>> log.on_epoch_end(0, {"loss": 0.5, "accuracy": 0.75})
        >>> log.on_train_end()
        >>> import pathlib
        >>> pathlib.Path("log.jsonl").read_text().splitlines()
        ['{"epoch": 0, "loss": 0.5, "accuracy": 0.75}']
    """

    def __init__(self, filename: Path, append: bool = False) -> None:
        super().__init__(filename, append)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes a line."""
        values = {key: _in_json(key, value) for key, value in (logs or {}).items()}
        with self._line() as file:
            file.write(json.dumps({"epoch": epoch, **values}, allow_nan=False) + "\n")


def _in_json(key: str, value: Any) -> float | str | bool | None:
    """A value of logs as JSON has it: a finite number, null, true, false, or a text that a callback has added."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if (number := real_number(value)) is None:
        raise TypeError(f"JSONLogger: logs[{key!r}] must be a number, a text, a bool or None, got {describe(value)}")
    return number if math.isfinite(number) else None
