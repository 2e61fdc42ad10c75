"""Writes reports and pictures in one step: the file is replaced in the same way as a model file (cpp/core/file.h).

A symbolic link is followed. An existing file keeps its mode, a new one has the mode 0666 minus the umask. Whatever
happens, the file has either the old content or the new one. An OSError names the file as the caller gave it.
"""

from __future__ import annotations

import os

from fastreg import _core
from fastreg.internal.checks import describe

__all__ = ["FilePath", "check_writable", "path_text", "write"]

FilePath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def path_text(owner: str, name: str, path: object) -> str:
    """A path as text. Bytes that are not UTF-8 become surrogate escapes, so that ``os.fsencode`` restores them.

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


def check_writable(path: str) -> None:
    """Finds out whether :func:`write` could write a file now, without writing it: nothing is changed or left behind.

    Raises:
        OSError: If the system would refuse.
        ValueError: If there is something other than a regular file.
    """
    import errno
    import stat
    import tempfile

    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    try:
        found = os.stat(target).st_mode
    except FileNotFoundError:
        if not name or os.fspath(path).endswith(os.sep):
            raise
    else:
        if stat.S_ISDIR(found):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(found):
            raise ValueError(f"cannot write {path}: it is not a regular file")
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), path) from error
