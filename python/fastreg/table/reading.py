"""Reads a file into a table: kinds of files, separators, and the texts that mean a missing value. It uses pandas."""

from __future__ import annotations

import os
from typing import Any

from fastreg.internal.extras import needs

__all__ = ["MISSING", "read_table"]

# Texts of a cell that mean a missing value, in addition to those that pandas knows.
MISSING = ("", "?")


def read_table(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Any:
    """The table of a CSV file (``.csv``, ``.tsv``, compressed or not) or a Parquet file, as a pandas ``DataFrame``.

    Raises:
        ImportError: If pandas, or for Parquet pyarrow, is not installed (the extra ``tune`` has both).
        OSError: If the file cannot be read.
        ValueError: If it is no table, or has two columns of one name.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ImportError(needs("read_table", "tune", "pandas", "pyarrow")) from error
    name = os.fsdecode(path)
    plain = name.lower().removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz").removesuffix(".zst")
    try:
        if plain.endswith((".parquet", ".pq")):
            return pandas.read_parquet(name)
        separator = "\t" if plain.endswith((".tsv", ".tab")) else ","
        table = pandas.read_csv(name, sep=separator, na_values=list(MISSING), skipinitialspace=True, low_memory=False)
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: not a table: {error}") from error
    with_suffix = [str(column) for column in table.columns if str(column).endswith(".1")]
    if doubled := [column for column in with_suffix if column.removesuffix(".1") in table.columns]:
        raise ValueError(f"{name}: two columns are named {doubled[0].removesuffix('.1')!r}")
    if len(table) == 0:
        raise ValueError(f"{name}: the table has no rows")
    return table
