"""A table that a command is given on standard input, as a file, since a table is read more than once."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastreg.table.errors import TuneError

__all__ = ["as_file"]

# The argument that stands for standard input, and its name in messages.
_ARGUMENT, _NAME = "-", "standard input"


@contextmanager
def as_file(data: str) -> Iterator[str]:
    """The path of the table: ``data``, or that of a copy of standard input where ``data`` is ``-``.

    The copy is removed at the end. Errors of the file call it "standard input".

    Raises:
        TuneError: If the process has no standard input.
        OSError: If it cannot be read, or the copy cannot be written.
    """
    if data != _ARGUMENT:
        yield data
        return
    if sys.stdin is None:
        raise TuneError(f"{_ARGUMENT} stands for standard input, which this process does not have")
    with tempfile.TemporaryDirectory(prefix="fastreg-") as folder:
        path = Path(folder) / _NAME
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        try:
            yield str(path)
        except TuneError as error:
            raise TuneError(str(error).replace(str(path), _NAME)) from error
