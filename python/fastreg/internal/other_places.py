"""Writes a file that cannot be written where it was asked for, as on a full disk, to another place, to lose no work."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

__all__ = ["elsewhere", "kept"]

T = TypeVar("T")


def elsewhere(path: str, write: Callable[[str], T]) -> tuple[str, T] | None:
    """Writes a file under its own name in a new folder, in the first place that has room for it.

    The places are the folder for temporary files, ``/var/tmp``, the home of the user and the working directory.

    Args:
        path: The file as it was asked for; only its name counts.
        write: Writes a file whose path it is given.

    Returns:
        The path and what ``write`` has returned, or None if no place will do. Nothing else is left behind.
    """
    for place in _places():
        with suppress(OSError):
            folder = tempfile.mkdtemp(prefix="fastreg-", dir=place)
            try:
                kept = os.path.join(folder, os.path.basename(path))
                return kept, write(kept)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    return None


def kept(path: str, write: Callable[[str], object]) -> None:
    """Writes a file, and if that is impossible, writes it elsewhere and says where in the error.

    Raises:
        OSError: If the system refuses to write ``path``; the message names the place that has the file, if one has.
        ValueError: If ``path`` has become something other than a regular file; the message says the same.
    """
    try:
        write(path)
    except (OSError, ValueError) as error:
        found = elsewhere(path, write)
        if found is None:
            raise
        where = f"(it is kept as {found[0]!r} instead)"
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, f"{error.strerror} {where}", path) from error
        raise ValueError(f"{error} {where}") from error


def _places() -> Iterator[str]:
    with suppress(OSError):  # no folder for temporary files has room
        yield tempfile.gettempdir()
    yield from ("/var/tmp", os.path.expanduser("~"))
    with suppress(OSError):  # the working directory is gone
        yield os.getcwd()
