"""From files to rows to learn from and rows that are held back. What can be wrong with a table is said here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.data.stratification import first_of_each
from fastreg.table.encoder import Codes, TableEncoder
from fastreg.table.outcome import RowCounts
from fastreg.table.reading import read_table
from fastreg.table.schema import Schema, Target

__all__ = ["Prepared", "prepare"]

TEST_SHARE = 0.2
_LEAST_ROWS = 10


@dataclass(frozen=True)
class Prepared:
    """A table that was split and encoded as codes.

    Attributes:
        schema: The columns to learn from.
        target: The column to predict.
        codes: The rows to learn from; all have a target.
        y: Their targets, encoded.
        test_codes: The rows that are held back; all have a target.
        truth: Their targets, encoded; -1 for a class that ``target`` does not have.
        rows: How rows are used.
        dictionary: What each column was taken for.
    """

    schema: Schema
    target: Target
    codes: Codes
    y: NDArray[Any]
    test_codes: Codes
    truth: NDArray[Any]
    rows: RowCounts
    dictionary: tuple[tuple[str, ...], ...]

    def new_encoder(self, **options: int) -> TableEncoder:
        """An encoder of the columns that is not fitted yet."""
        return TableEncoder([column.kind == "categorical" for column in self.schema.columns], **options)


def prepare(data: str, target_name: str, test: str | None, task: str | None, seed: int) -> Prepared:
    """Reads the files and splits the rows.

    Raises:
        ValueError: If the tables do not allow what is asked of them.
        OSError: If a file cannot be read.
        ImportError: If an optional package is missing.
    """
    table = read_table(data)
    if target_name not in table.columns:
        Target.infer(table, target_name)  # its message guesses at the column that was meant
    train, held_back, how = _split(table, data, target_name, test, task, seed)
    target = Target.infer(train, target_name, task)
    schema = Schema.infer(train, [name for name in (target_name, test) if name is not None])
    y, known = target.encode(train)
    truth, scored = _truth(target, held_back)
    if not known.any():
        raise ValueError(f"no row to learn from has a value of {target_name!r}")
    if not scored.any():
        raise ValueError(f"no row that is held back has a value of {target_name!r}")
    counts = RowCounts(int(known.sum()), int(scored.sum()), int((~known).sum() + (~scored).sum()), how)
    dictionary = [("column", "kind", "reason"), *((c.name, c.kind, "") for c in schema.columns)]
    dictionary += [(name, "left out", reason) for name, reason in schema.left_out.items()]
    codes, test_codes = schema.codes(train)[known], schema.codes(held_back)[scored]
    return Prepared(schema, target, codes, y[known], test_codes, truth[scored], counts, tuple(dictionary))


def _truth(target: Target, table: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The targets of rows to score, -1 for classes that the training rows lack, and which rows have one."""
    truth, known = target.encode(table)
    if target.labels is None:
        return truth, known
    missing = np.array([cell is None or cell != cell for cell in np.asarray(table[target.name], object)])
    return np.where(known, truth, -1), known | ~missing


def _split(
    table: Any, data: str, target_name: str, test: str | None, task: str | None, seed: int
) -> tuple[Any, Any, str]:
    """The table to learn from, the one held back, and how the latter was chosen."""
    if test is None:
        held_back, how = _drawn(table, target_name, task, seed), "a fifth, drawn by the seed"
    elif test in table.columns:
        held_back, how = _flags(table, test), f"those with 1 in {test!r}"
    elif Path(test).exists():
        return table, read_table(test), f"those of {test}"
    else:
        raise ValueError(f"--test: neither a column of {data} nor a file: {test!r}")
    if not held_back.any() or held_back.all():
        raise ValueError(
            f"--test: some rows must be held back and some not, got {int(held_back.sum())} of {len(table)}"
        )
    return table[~held_back], table[held_back], how


def _flags(table: Any, name: str) -> NDArray[np.bool_]:
    values = np.asarray(table[name])
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not np.isin(numbers, (0.0, 1.0)).all():
        raise ValueError(f"--test: column {name!r} must hold 0 and 1 only")
    flags: NDArray[np.bool_] = numbers == 1.0
    return flags


def _drawn(table: Any, target_name: str, task: str | None, seed: int) -> NDArray[np.bool_]:
    """A fifth of the rows by the seed; of every class its share."""
    n = len(table)
    if n < _LEAST_ROWS:
        raise ValueError(f"the table must have at least {_LEAST_ROWS} rows, got {n}")
    target = Target.infer(table, target_name, task)
    labels = target.encode(table)[0] if target.labels is not None else np.zeros(n, np.int32)
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    return first_of_each(order, labels, np.array([round(TEST_SHARE * count) for count in np.bincount(labels)]))
