"""Files that are written whole: a report, a picture. They are replaced as model files are (cpp/core/file.h).

A symbolic link is followed, an existing file keeps its mode, a new one has 0666 less the umask, and whatever happens
there is the old content or the new one. An OSError names the file as it was given.
"""

from __future__ import annotations

import os

from fastreg import _core
from fastreg.internal.checks import describe

__all__ = ["FilePath", "path_text", "write"]

FilePath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def path_text(owner: str, name: str, path: object) -> str:
    """A path as text; what is not UTF-8 in it stands as surrogate escapes, so that ``os.fsencode`` gives it back.

    Raises:
        TypeError: If it is no path.
        ValueError: If it holds a NUL character.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"{owner}: {name} must be a string or a path, got {describe(path)}")
    text = os.fsdecode(path)
    if "\0" in text:
        raise ValueError(f"{owner}: {name} must not hold a NUL character, got {describe(text)}")
    return text


def write(path: str, content: bytes) -> None:
    """Replaces a file in one step.

    Raises:
        OSError: If the system refuses.
        ValueError: If there is something other than a regular file.
    """
    _core.write_file(os.fsencode(path), content)
