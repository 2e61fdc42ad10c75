"""What the bytes of a file say: in which encoding it is text, or that it is no text at all."""

from __future__ import annotations

import codecs
from typing import IO

from fastreg.internal.checks import describe

__all__ = ["check_text", "decoded", "encoding_of", "not_in_encoding"]

# Bytes of a step of a scan, which stay in a cache.
_STEP = 1 << 18
# How files of other formats begin, as no text does, what they are, and the endings by which this package reads them.
_FORMATS = (
    (b"\x1f\x8b", "a gzip file", (".gz",)),
    *((b"BZh%d1AY&SY" % level, "a bzip2 file", (".bz2",)) for level in range(1, 10)),
    (b"\xfd7zXZ\0", "an xz file", (".xz",)),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", (".zst",)),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", (".zip", ".xlsx")),
    (b"PAR1\x15", "a Parquet file", (".parquet",)),
    (b"ARROW1\0\0", "a Feather file", (".feather",)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook", ()),
    (b"\x04\x22\x4d\x18", "an LZ4 file", ()),
    (b"SQLite format 3\0", "an SQLite database", ()),
)
# Marks of byte order: longer ones first, since that of UTF-32 begins with one of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", ""),
    (codecs.BOM_UTF32_LE, "utf-32", "the text is encoded as UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "the text is encoded as UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "the text is encoded as UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "the text is encoded as UTF-16"),
)


def check_text(head: bytes, path: str) -> None:
    r"""Raises ValueError if the first bytes of a file are those of a format that is no text.

    Example:
        >>> from fastreg.table.first_bytes import check_text
        >>> check_text(b"PAR1\x15\x04", "people.csv")
        Traceback (most recent call last):
        ValueError: people.csv: not text but a Parquet file, which is read if its name ends in .parquet
    """
    for begin, what, endings in _FORMATS:
        if head.startswith(begin):
            if any(path.lower().endswith(ending) for ending in endings):
                endings = ()  # one within another
            told = f", which is read if its name ends in {' or '.join(endings)}" if endings else ""
            raise ValueError(f"{path}: not text but {what}{told}")


def encoding_of(head: bytes, rest: IO[bytes]) -> tuple[str, str]:
    """The encoding of a text, and a sentence on it if it is not UTF-8.

    Args:
        head: The first bytes.
        rest: The others, which are read if these decide nothing.
    """
    for mark, name, note in _MARKS:
        if head.startswith(mark):
            return name, note
    zeros = head[:1000].count(b"\0")
    if zeros > 0.3 * len(head[:1000]) > 0:
        odd = head[1:1000:2].count(b"\0")
        name = "utf-16-le" if odd > zeros / 2 else "utf-16-be"
        return name, "the text is encoded as UTF-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        part = head
        while part:
            if not part.isascii() or decoder.getstate()[0]:  # ASCII within no character is UTF-8 as it is
                decoder.decode(part)
            part = rest.read(_STEP)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return "cp1252", "the text is not UTF-8 and was read as Windows-1252 (Latin-1); encoding says otherwise"
    return "utf-8", ""


def decoded(head: bytes, encoding: str, path: str) -> str:
    """The text of the first bytes, without a mark of byte order.

    Raises:
        TypeError: If the encoding is no string.
        ValueError: If Python does not know it, or the bytes are no text in it.
    """
    if not isinstance(encoding, str):
        raise TypeError(f"encoding must be a string or None, got {describe(encoding)}")
    try:
        "x".encode(encoding)  # LookupError for what is no encoding of texts, such as base64
        decoder = codecs.getincrementaldecoder(encoding)()
    except (LookupError, ValueError):
        raise ValueError(f"encoding: Python knows no encoding {encoding!r} of texts") from None
    try:
        return decoder.decode(head).removeprefix("\ufeff")
    except UnicodeError as error:
        raise not_in_encoding(path, encoding) from error


def not_in_encoding(path: str, encoding: str, line: int = 0) -> ValueError:
    """The error of a file whose bytes are no text in an encoding; ``line`` is the last line before them, if known."""
    after = f", after line {line}" if line else ""
    return ValueError(f"{path}: not text in the encoding {encoding}{after}; encoding must name that of the file")
