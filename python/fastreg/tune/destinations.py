"""Files that a long computation will write: whether they can be written is found out before it, not after it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from fastreg.internal import whole_files
from fastreg.model import files

__all__ = ["check"]


def check(destinations: Mapping[str, Path | None], sources: Iterable[str | os.PathLike[str]]) -> None:
    """Checks that all files can be written, and that none is a file that is read; writes nothing.

    Args:
        destinations: The files to write, by the name of the option; None is no file.
        sources: The files that are read. Those that do not exist are not looked at.

    Raises:
        ValueError: If a destination is one of the sources, by whatever path or link; if two destinations are one file;
            if one is something other than a regular file; or if its name has the ending of another format.
        OSError: If the system would refuse to write one.
    """
    given = {option: path for option, path in destinations.items() if path is not None}
    for option, path in given.items():
        for source in sources:
            if _is_same(path, source):
                raise ValueError(f"{option}: {os.fspath(path)!r} is the file that is read")
    resolved: dict[str, str] = {}
    for option, path in given.items():
        other = resolved.setdefault(os.path.realpath(path), option)
        if other != option:
            raise ValueError(f"{option}: {os.fspath(path)!r} is the file of {other}")
        if option == "--out":
            files.check_ending(path)
        whole_files.check_writable(os.fspath(path))


def _is_same(path: Path, source: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(path, source)
    except (OSError, ValueError):  # one of them does not exist, or cannot
        return os.path.realpath(path) == os.path.realpath(source)
