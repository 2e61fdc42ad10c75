"""Reads a file into a :class:`Table`: kinds of files by their names, whole or in blocks of rows.

A cell of a text file is its text, whatever the other cells are; a typed cell keeps its value. Nothing here decides what
a column is.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from fastreg.internal.checks import AT_LEAST_ONE, check_bool, check_int
from fastreg.internal.extras import needs
from fastreg.table import csv_files
from fastreg.table.columns import TextCells
from fastreg.table.numbers import NumberStyle, style_of, usual_style
from fastreg.table.styles import told_style
from fastreg.table.tables import Dialect, Table

__all__ = ["read_blocks", "read_table", "typed_style"]

_Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_PARQUET, _FEATHER, _EXCEL = (".parquet", ".pq"), (".feather", ".arrow", ".ipc"), (".xlsx", ".xlsm")
# Files of other programs, which hold tables or might.
_OTHERS = (
    *(".xls", ".xlsb", ".ods", ".json", ".jsonl", ".ndjson", ".html", ".htm", ".xml", ".sav", ".dta"),
    *(".sas7bdat", ".rds", ".rdata", ".h5", ".hdf5", ".pkl", ".pickle", ".npy", ".npz", ".orc", ".avro"),
    *(".safetensors", ".tar", ".tgz", ".7z", ".rar"),
)
# Rows of a block of Parquet, and of a block of a CSV file at most.
_ROWS = 65_536


def read_table(
    path: _Path,
    *,
    sep: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    like: Dialect | None = None,
) -> Table:
    r"""The table of a file: CSV (``.csv``, ``.tsv``, ``.txt``, compressed or not), Parquet, Feather or Excel.

    Args:
        path: The file. Its name determines the kind; any other name is that of a CSV file.
        sep: What separates the cells of a CSV file; None recognises comma, semicolon, tab and ``|`` by the header line.
        decimal: ``"."`` or ``","`` before the decimals of numbers in texts; None recognises it.
        thousands: What separates groups of three digits; None takes a comma, or a point where decimals have a comma.
        encoding: Of a CSV file; None recognises UTF-8, UTF-16 and UTF-32, and takes anything else for Windows-1252.
        like: The dialect of a table that was read before. A file with its separator is read alike, and nothing is
            inferred from the numbers of this file.

    Raises:
        ImportError: If a package is not installed that the kind of file needs.
        OSError: If the file cannot be read.
        ValueError: If it is no table, has two columns of one name, or a row has too many or too few cells.

    Example:
        >>> import os, tempfile
        >>> from fastreg.table import read_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "people.csv")
        ...     with open(path, "w") as file:
        ...         _ = file.write("zip;income\n01234;1.234,50\n")
        ...     table = read_table(path)
        >>> table["zip"].texts(), table["income"].numbers().tolist()
        (['01234'], [1234.5])
    """
    name = os.fsdecode(path)
    kind = _kind(name)
    if kind != "csv":
        given = typed_style(decimal, thousands, like)
        table = {"parquet": _parquet, "feather": _feather, "excel": _excel}[kind](name, given)
    else:
        layout = csv_files.look(name, sep, encoding)
        columns = csv_files.whole(layout)
        style = style_of(decimal, thousands, _style(layout.sep, like, columns))
        table = _table(layout, columns, style)
    if table.n_rows == 0:
        raise ValueError(f"{name}: the table has no rows")
    return table


def read_blocks(
    path: _Path,
    *,
    rows: int = _ROWS,
    sep: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    like: Dialect | None = None,
    ahead: bool = False,
) -> Generator[Table, None, None]:
    r"""The table of a file in blocks of at most ``rows`` rows, >= 1, so that a file may be larger than memory.

    CSV and Parquet files are read block by block; others are read whole. Without ``like``, numbers are read by what
    goes with the separator. With ``ahead``, a thread reads the next part of the file, of some MiB, while the caller
    works on the blocks of this one; blocks and errors are the same, and the thread ends with the generator. The other
    arguments and the errors are those of :func:`read_table`.

    Example:
        >>> import os, tempfile
        >>> from fastreg.table import read_blocks
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "people.csv")
        ...     with open(path, "w") as file:
        ...         _ = file.write("age\n31\n45\n28\n")
        ...     [block["age"].numbers().tolist() for block in read_blocks(path, rows=2)]
        [[31.0, 45.0], [28.0]]
    """
    rows = check_int("read_blocks", "rows", rows, AT_LEAST_ONE)
    check_bool("read_blocks", "ahead", ahead)
    name, is_empty = os.fsdecode(path), True
    parts = _parts(name, rows, (sep, decimal, thousands, encoding), like, ahead)
    with closing(_in_advance(parts) if ahead else parts) as found:
        for part in found:
            for block in part.blocks(rows):
                is_empty = False
                yield block
    if is_empty:
        raise ValueError(f"{name}: the table has no rows")


def _parts(
    name: str,
    rows: int,
    given: tuple[str | None, str | None, str | None, str | None],
    like: Dialect | None,
    ahead: bool,
) -> Generator[Table, None, None]:
    """The table of a file in the parts in which it is read. ``given`` is separator, decimal, thousands and encoding."""
    sep, decimal, thousands, encoding = given
    kind = _kind(name)
    if kind == "parquet":
        yield from _parquet_blocks(name, typed_style(decimal, thousands, like) or NumberStyle(), rows)
    elif kind == "csv":
        layout = csv_files.look(name, sep, encoding)
        style = style_of(decimal, thousands, _style(layout.sep, like, None))
        for columns in csv_files.blocks(layout, beside=ahead):
            yield _table(layout, columns, style)
    else:
        yield read_table(name, decimal=decimal, thousands=thousands, like=like)


def _in_advance(parts: Generator[Table, None, None]) -> Generator[Table, None, None]:
    """The same parts; a thread makes the next one while the caller works on the one that it was given."""
    with closing(parts), ThreadPoolExecutor(1, thread_name_prefix="fastreg-reader") as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part


def _kind(name: str) -> str:
    plain = name.lower()
    for suffix in _COMPRESSED:
        plain = plain.removesuffix(suffix)
    for kind, suffixes in (("parquet", _PARQUET), ("feather", _FEATHER), ("excel", _EXCEL)):
        if plain.endswith(suffixes):
            if plain != name.lower():
                raise ValueError(f"{name}: only text files may be compressed, this one is {kind}")
            return kind
    if plain.endswith(_OTHERS):
        raise ValueError(f"{name}: not a table that can be read; write it as CSV, Parquet, Feather or xlsx")
    return "csv"


def _table(layout: csv_files.Layout, columns: list[Any], style: NumberStyle) -> Table:
    cells = [TextCells(values, style) for values in columns]
    notes = list(layout.notes)
    unnamed = [i for i, name in enumerate(layout.names) if not name]
    if len(cells) > 1 and (len(unnamed) > 1 or unnamed == [len(cells) - 1]):
        unnamed = _one_without_name(layout, cells, unnamed)
    named = {name: cells[i] for i, name in enumerate(layout.names) if name or i in unnamed}
    if style.decimal == ",":
        notes.append("numbers have decimal commas")
    return Table(named, notes, Dialect(layout.sep, style))


def _one_without_name(layout: csv_files.Layout, cells: list[TextCells], unnamed: list[int]) -> list[int]:
    """Which of the columns without a name is one of the table: at most one may have cells, and not the last."""
    full = [i for i in unnamed if cells[i].distinct()[0]]
    if len(cells) - 1 in full:
        raise ValueError(
            f"{layout.path}: rows have {len(cells)} cells, the header line names {len(cells) - 1}; "
            f"the last cell of one is {cells[-1].distinct()[0][0]!r}"
        )
    if len(full) > 1:
        raise ValueError(_without_names(layout.path, full))
    return full or [i for i in unnamed[:1] if any(layout.names[i:])]  # those behind the names are dropped


def _without_names(path: str, columns: list[int]) -> str:
    return f"{path}: columns {columns[0] + 1} and {columns[1] + 1} have no name; at most one may have none"


def _style(sep: str, like: Dialect | None, columns: list[Any] | None) -> NumberStyle:
    if like is not None and like.sep == sep:
        return like.style
    if like is not None and not like.sep and like.style.decimal == ",":  # numbers that had a type have points here
        return NumberStyle(".,", "")
    if like is not None or columns is None:
        return usual_style(sep)
    return told_style(columns, sep)


# Files with typed cells.


def typed_style(decimal: str | None, thousands: str | None, like: Dialect | None) -> NumberStyle | None:
    """How texts among typed cells write numbers; None if the texts are to tell."""
    if decimal is None and thousands is None:
        return None if like is None else like.style
    return style_of(decimal, thousands, NumberStyle())


def _parquet(name: str, style: NumberStyle | None) -> Table:
    # Arrow itself says of two columns of one name that there are several matches.
    _refuse_doubled(name, _arrow(name, "Parquet", lambda: _module("parquet").read_schema(name)).names)
    return _arrow_table(name, "Parquet", lambda: _module("parquet").read_table(name), style)


def _feather(name: str, style: NumberStyle | None) -> Table:
    return _arrow_table(name, "Feather", lambda: _module("feather").read_table(name), style)


def _parquet_blocks(name: str, style: NumberStyle, rows: int) -> Iterator[Table]:
    _module("parquet")
    import pyarrow

    with open(name, "rb") as opened:
        file = _arrow(name, "Parquet", lambda: _module("parquet").ParquetFile(opened))
        _refuse_doubled(name, file.schema_arrow.names)
        batches = file.iter_batches(batch_size=rows)
        while (batch := _arrow(name, "Parquet", lambda: next(batches, None))) is not None:
            yield Table.of(pyarrow.Table.from_batches([batch]), style)


def _module(name: str) -> Any:
    try:
        import pyarrow.feather
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ImportError(needs("read_table", "tune", "pyarrow", "narwhals")) from error
    return getattr(pyarrow, name)


def _arrow(name: str, kind: str, read: Any) -> Any:
    _module("parquet")
    import pyarrow

    with open(name, "rb"):  # an error of the system says more than that of Arrow
        pass
    try:
        found = read()
        if isinstance(found, (pyarrow.Table, pyarrow.RecordBatch)):
            found.validate(full=True)  # Arrow itself reads beyond the end of columns that a damaged file describes
        return found
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: not a {kind} file: {' '.join(str(error).split())[:200]}") from error


def _arrow_table(name: str, kind: str, read: Any, style: NumberStyle | None) -> Table:
    found = _arrow(name, kind, read)
    _refuse_doubled(name, found.column_names)
    return Table.of(found, style)


def _refuse_doubled(name: str, labels: Iterable[str]) -> None:
    if doubled := [label for label, count in Counter(labels).items() if count > 1]:
        raise ValueError(f"{name}: two columns are named {doubled[0]!r}")


def _excel(name: str, style: NumberStyle | None) -> Table:
    """The first sheet. Each cell has a type of its own in such a file, and is taken as it is."""
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise ImportError(needs("an xlsx file", "tune", "openpyxl")) from error
    with open(name, "rb") as file:
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
        except Exception as error:  # of any kind: of the archive, of XML, of missing parts
            raise ValueError(f"{name}: not an xlsx file: {' '.join(str(error).split())[:200]}") from error
    full = [i for i, row in enumerate(rows) if any(cell is not None for cell in row)]
    if not full:
        raise ValueError(f"{name}: not a table: the first sheet is empty")
    rows = rows[full[0] : full[-1] + 1]  # an empty row between others counts, as predictions stand beside rows
    names = ["" if cell is None else str(cell).strip() for cell in rows[0]]
    width = max((i + 1 for row in rows for i, cell in enumerate(row) if cell is not None), default=0)
    names = (names + [""] * width)[:width]
    columns = [[row[i] if i < len(row) else None for row in rows[1:]] for i in range(width)]
    kept = [i for i in range(width) if names[i] or any(cell is not None for cell in columns[i])]
    names, columns = [names[i] for i in kept], [columns[i] for i in kept]
    if len(unnamed := [i for i, label in zip(kept, names, strict=True) if not label]) > 1:
        raise ValueError(_without_names(name, unnamed))
    _refuse_doubled(name, names)
    return Table.of(dict(zip(names, columns, strict=True)), style)
