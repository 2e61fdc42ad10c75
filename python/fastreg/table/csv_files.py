"""Reads CSV files: every cell as its text. What separates cells, the encoding and the header line are found out here.

Files are read by Arrow where it is installed, and otherwise, or where a file's quotes follow spaces, by the csv module;
both give the same cells. What a cell means is not known here.
"""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import stat
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from fastreg.internal.checks import describe
from fastreg.internal.extras import needs
from fastreg.internal.forks import Lock
from fastreg.table.first_bytes import check_text, decoded, encoding_of, not_in_encoding

__all__ = ["Layout", "blocks", "look", "opened", "whole"]

# What separates cells, where it is recognised.
_SEPARATORS = (",", ";", "\t", "|")
_NAMED_SEPARATORS = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
# Bytes that are looked at to recognise things, bytes of a step of a scan, which stay in a cache, and of a block that
# Arrow parses.
_HEAD, _STEP, _BLOCK = 1 << 18, 1 << 18, 1 << 23
_QUOTE = ord('"')
# Rows of a block of the csv module, and rows whose number of cells is compared with the header.
_ROWS, _LOOKED_AT = 1 << 14, 20
# Characters of a cell at most: the largest limit that the csv module takes on every system.
_LONGEST = 2**31 - 1
# Is held while the limit of the csv module is changed.
_limit_lock = Lock()


@dataclass(frozen=True)
class Layout:
    """How a CSV file is laid out.

    Attributes:
        path: The file.
        names: The names in the header line. The last may be ``""``: data rows end with a separator.
        sep: What separates cells.
        encoding: Of the text.
        skipped: The number of lines up to and with the header.
        spaced: Whether quotes may follow spaces.
        notes: Sentences on what was recognised.
    """

    path: str
    names: tuple[str, ...]
    sep: str
    encoding: str
    skipped: int
    spaced: bool
    notes: tuple[str, ...]


def look(path: str, sep: str | None = None, encoding: str | None = None) -> Layout:
    """Finds out how a file is laid out. The header line decides; the whole file is scanned for its encoding.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no table, or a pipe.
    """
    sep, notes = _checked_separator(sep), []
    if stat.S_ISFIFO(os.stat(path).st_mode):
        raise ValueError(f"{path}: must be a file, which is read more than once, got a pipe; write it to a file first")
    with opened(path) as file:
        head = file.read(_HEAD)
        check_text(head, path)
        if encoding is None:
            encoding, note = encoding_of(head, file)
            notes += [note] if note else []
    text = decoded(head, encoding, path)
    skipped = 0
    if found := re.match(r"sep=(.)\r?\n", text):  # as Excel writes it
        sep, skipped, text = sep or found[1], 1, text[found.end() :]
    if sep is None:
        sep = _separator(text)
        if sep != ",":
            notes.append(f"cells are separated by {_told(sep)}")
    lines = zip(range(_LOOKED_AT), _records(io.StringIO(text, newline=""), sep, False), strict=False)
    spaced = any(cell.startswith(" ") and cell.lstrip(" ").startswith('"') for _, (_, row) in lines for cell in row)
    records = _records(io.StringIO(text, newline=""), sep, spaced)
    first = next(records, None)
    if first is None:
        raise ValueError(f"{path}: not a table: the file is empty")
    line, cells = first
    line += sum(len(re.findall(r"\r\n?|\n", cell)) for cell in cells)  # a name may have several lines
    names = [name.strip() for name in cells]
    names = _with_trailing(path, names, [row for _, row in zip(range(_LOOKED_AT), records, strict=False)], notes)
    if doubled := [name for name, count in Counter(names).items() if name and count > 1]:
        raise ValueError(f"{path}: two columns are named {doubled[0]!r}")
    if len(names) > 1 and all(re.fullmatch(r"-?[0-9]+\.?[0-9]*", name) for name in names if name):
        notes.append(f"the first line, of numbers only, was taken for the names of columns: {', '.join(names[:5])}")
    return Layout(path, tuple(names), sep, encoding, skipped + line, spaced, tuple(notes))


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed if its name says that it is compressed.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the compressed data are damaged.
    """
    damage: list[type[Exception]] = [EOFError, OSError, zlib.error]
    if path.lower().endswith(".xz"):
        import lzma

        damage.append(lzma.LZMAError)
    if path.lower().endswith(".zip"):
        import zipfile

        damage.append(zipfile.BadZipFile)
    with _stream(path) as file:
        try:
            yield file
        except tuple(damage) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the system
                raise
            raise ValueError(f"{path}: the compressed data are damaged: {error}") from error


def _stream(path: str) -> IO[bytes]:
    name = path.lower()
    if name.endswith(".gz"):
        import gzip

        return io.BufferedReader(gzip.open(path), _HEAD)
    if name.endswith(".bz2"):
        import bz2

        return bz2.open(path)
    if name.endswith(".xz"):
        import lzma

        return lzma.open(path)
    if name.endswith(".zst"):
        try:
            import pyarrow
        except ModuleNotFoundError as error:
            raise ImportError(needs("a file compressed by zstd", "tune", "pyarrow")) from error
        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(os.fspath(path)), "zstd"), _HEAD)
    if name.endswith(".zip"):
        return _member(path)
    return open(path, "rb")


def _member(path: str) -> IO[bytes]:
    import zipfile

    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a table: {error}") from error
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise ValueError(f"{path}: must contain one file, got {len(names)}")
    try:
        return archive.open(names[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        # Damaged, or compressed or encrypted in another way.
        raise ValueError(f"{path}: the compressed data cannot be read: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ValueError(f"{path}: the compressed data are damaged: a place in them is outside of the file") from error


# What is recognised.


def _checked_separator(sep: str | None) -> str | None:
    if sep is None:
        return None
    if not isinstance(sep, str):
        raise TypeError(f"sep must be a string or None, got {describe(sep)}")
    sep = _NAMED_SEPARATORS.get(sep, sep)
    if len(sep) != 1 or sep in '"\r\n' or sep.isalnum() or ord(sep) > 127:
        raise ValueError(f"sep must be one character that is no letter, digit or quote, got {sep!r}")
    return sep


def _separator(text: str) -> str:
    """The separator that the header line has most of; among equals, one that divides the next line alike."""
    found = []
    for sep in _SEPARATORS:
        rows = [row for _, (_, row) in zip(range(2), _records(io.StringIO(text, newline=""), sep, True), strict=False)]
        if rows:
            found.append((len(rows[0]), len(rows) < 2 or len(rows[1]) == len(rows[0]), sep))
    most = max((n for n, _, _ in found), default=0)
    best = [(alike, sep) for n, alike, sep in found if n == most]
    return next((sep for alike, sep in best if alike), best[0][1]) if most > 1 else ","


def _told(sep: str) -> str:
    return {"\t": "tabs", ";": "semicolons", "|": "'|'"}.get(sep, repr(sep))


def _with_trailing(path: str, names: list[str], rows: Sequence[tuple[int, list[str]]], notes: list[str]) -> list[str]:
    """The names, with ``""`` at the end where data rows end with a separator and the header line does not."""
    longer = [(line, row) for line, row in rows if len(row) == len(names) + 1]
    if longer and len(longer) == len(rows) and all(row[-1].strip() == "" for _, row in rows):
        notes.append("every row ends with a separator, which the header line lacks")
        return [*names, ""]
    return names


# Records.


def _records(file: Iterable[str], sep: str, spaced: bool) -> Iterator[tuple[int, list[str]]]:
    """The number of the first line of each record that is not empty, and its cells."""
    reader = csv.reader(file, delimiter=sep, skipinitialspace=spaced)
    line = 1
    while (cells := _next_record(reader)) is not None:
        if cells:
            yield line, cells
        line = reader.line_num + 1


def _next_record(reader: Iterator[list[str]]) -> list[str] | None:
    """The next record with cells of any length, None at the end.

    The csv module has one limit for all readers of the process. It is changed for the moment of the call alone, so that
    other readers of the program keep theirs.
    """
    with _limit_lock.held:
        limit = csv.field_size_limit(_LONGEST)
        try:
            return next(reader, None)
        finally:
            csv.field_size_limit(limit)


def whole(layout: Layout) -> list[Any]:
    """The cells of all rows: for each name an array of strings of Arrow, or a list of strings.

    Raises:
        ValueError: If a row has another number of cells than the header line; the message names the line.
    """
    _check_quotes(layout)
    try:
        if not layout.spaced:
            from pyarrow import csv as arrow

            with opened(layout.path) as file:
                return list(_by_arrow(layout, arrow.read_csv, file).columns)
    except ModuleNotFoundError:
        pass
    columns: list[list[str]] = [[] for _ in layout.names]
    for block in _by_csv(layout):
        for column, part in zip(columns, block, strict=True):
            column += part
    return columns


def blocks(layout: Layout, beside: bool = False) -> Iterator[list[Any]]:
    """As :func:`whole`, for some rows at a time.

    With ``beside`` a thread looks for a quote that is not closed while Arrow parses the first rows. They are given when
    it has finished, and errors are the same.
    """
    try:
        if not layout.spaced:
            from pyarrow import csv as arrow
    except ModuleNotFoundError:
        arrow = None
    if layout.spaced or arrow is None:
        _check_quotes(layout)
        yield from _by_csv(layout)
        return
    with (
        _quotes_checked(layout, beside) as checked,
        opened(layout.path) as file,
        _by_arrow(layout, arrow.open_csv, file) as reader,
    ):
        while True:
            batch = _explained(layout, reader.read_next_batch, StopIteration)
            checked()
            if batch is None:
                return
            if batch.num_rows:
                yield list(batch.columns)


@contextmanager
def _quotes_checked(layout: Layout, beside: bool) -> Iterator[Callable[[], None]]:
    """A function that returns when the quotes of a file are known to be closed, and raises ValueError if one is not.

    Any other error within waits for that one, which would explain it.
    """
    if not beside:
        _check_quotes(layout)
        yield lambda: None
        return
    with ThreadPoolExecutor(1, thread_name_prefix="fastreg-quotes") as thread:
        found = thread.submit(_check_quotes, layout)
        try:
            yield found.result
        except Exception:
            found.result()
            raise


def _by_arrow(layout: Layout, read: Callable[..., Any], file: IO[bytes]) -> Any:
    import pyarrow
    from pyarrow import csv as arrow

    names = [f"f{i}" for i in range(len(layout.names))]
    encoding = "utf-8" if layout.encoding == "utf-8-sig" else layout.encoding
    options = {
        "read_options": arrow.ReadOptions(
            column_names=names, skip_rows=layout.skipped, encoding=encoding, block_size=_BLOCK
        ),
        "parse_options": arrow.ParseOptions(delimiter=layout.sep, newlines_in_values=True),
        "convert_options": arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pyarrow.string()),
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    }
    return _explained(layout, lambda: read(file, **options))


def _explained(layout: Layout, call: Callable[[], Any], end: type[Exception] | tuple[()] = ()) -> Any:
    """What a call of Arrow gives, None at the end. An error says which line is wrong, in what."""
    import pyarrow

    try:
        return call()
    except end:
        return None
    except (pyarrow.ArrowInvalid, UnicodeError) as error:
        if "Empty CSV file" in str(error):
            raise ValueError(f"{layout.path}: the table has no rows") from None
        for _ in _by_csv(layout):
            pass  # it raises at the first row that is wrong
        raise ValueError(f"{layout.path}: not a table: {' '.join(str(error).split())[:200]}") from error


def _by_csv(layout: Layout) -> Iterator[list[list[str]]]:
    """Blocks of rows by the csv module, as a list for each column."""
    width, line = len(layout.names), layout.skipped
    rows: list[list[str]] = []
    try:
        with opened(layout.path) as file, io.TextIOWrapper(file, layout.encoding, newline="") as text:
            for _ in range(layout.skipped):
                text.readline()
            for number, cells in _records(text, layout.sep, layout.spaced):
                line = layout.skipped + number
                if len(cells) != width:
                    raise ValueError(_ragged(layout, line, len(cells)))
                rows.append(cells)
                if len(rows) == _ROWS:
                    yield [list(column) for column in zip(*rows, strict=True)]
                    rows = []
    except csv.Error as error:
        raise ValueError(f"{layout.path}: not a table: {error} after line {line}") from error
    except UnicodeError as error:
        raise not_in_encoding(layout.path, layout.encoding, line) from error
    if rows:
        yield [list(column) for column in zip(*rows, strict=True)]


def _ragged(layout: Layout, line: int, cells: int) -> str:
    names = [name for name in layout.names if name]
    told = f"{cells} cell{'' if cells == 1 else 's'}"
    if len(names) < len(layout.names):
        return f"{layout.path}: line {line} has {told}, the rows before it have {len(layout.names)}"
    return f"{layout.path}: line {line} has {told}, the header line has {len(names)}"


def _check_quotes(layout: Layout) -> None:
    """Raises ValueError if a quoted cell is not closed. Readers take the rest of the file for that cell."""
    quotes = 0
    with opened(layout.path) as file:
        while part := file.read(_STEP):
            quotes += int(np.count_nonzero(np.frombuffer(part, np.uint8) == _QUOTE))  # faster than bytes.count
    if quotes % 2 == 0:
        return
    with opened(layout.path) as file, io.TextIOWrapper(file, layout.encoding, newline="") as text:
        end = False

        def lines() -> Iterator[str]:
            nonlocal end
            yield from text
            end = True
            yield "\n"

        for number, cells in _records(lines(), layout.sep, layout.spaced):
            if end and any(cell.endswith("\n") for cell in cells):
                raise ValueError(f"{layout.path}: a quote is opened in line {number} and never closed")
