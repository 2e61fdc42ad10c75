"""From files to rows to learn from and rows that are held back. What can be wrong with a table is said here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.data.stratification import first_of_each
from fastreg.table.columns import Cells
from fastreg.table.dictionary import DataDictionary, shown
from fastreg.table.encoder import Codes, TableEncoder
from fastreg.table.kinds import is_missing_word
from fastreg.table.options import TableOptions
from fastreg.table.reading import read_table
from fastreg.table.roles import groups_of, marks_of, times_of, weights_of
from fastreg.table.schema import Schema
from fastreg.table.tables import Table
from fastreg.table.target import Target
from fastreg.table.texts import Documents
from fastreg.table.training import TrainingRows
from fastreg.tune.outcome import RowCounts

__all__ = ["Prepared", "prepare"]

TEST_SHARE = 0.2
_LEAST_ROWS = 10
_MOST_CLASSES_SHARE = 0.5


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
        documents: The documents of text columns that ``codes`` numbers.
        test_documents: Those that ``test_codes`` numbers.
        notes: Sentences on how the files were read.
        weights: The weights of the rows to learn from; None weighs all alike.
        test_weights: Those of the rows that are held back.
        groups: The group of each row to learn from, None without groups.
        in_time: Whether the rows to learn from are in the order of time.
    """

    schema: Schema
    target: Target
    codes: Codes
    y: NDArray[Any]
    test_codes: Codes
    truth: NDArray[Any]
    rows: RowCounts
    documents: Mapping[int, Documents]
    test_documents: Mapping[int, Documents]
    notes: tuple[str, ...]
    weights: NDArray[np.float64] | None = None
    test_weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None
    in_time: bool = False

    @property
    def dictionary(self) -> DataDictionary:
        """What each column was taken for."""
        return self.schema.dictionary

    def new_encoder(self, **options: Any) -> TableEncoder:
        """An encoder of the columns that is not fitted yet."""
        return TableEncoder([column.kind for column in self.schema.columns], documents=self.documents, **options)

    @property
    def rows_to_learn(self) -> TrainingRows:
        """The rows to learn from, as a recipe takes them."""
        kinds = [column.kind for column in self.schema.columns]
        used = self.codes, self.y, self.documents, self.weights, self.groups, self.in_time
        return TrainingRows(self.target, kinds, *used)


def prepare(
    data: str, target_name: str, test: str | None, task: str | None, seed: int, options: TableOptions | None = None
) -> Prepared:
    """Reads the files and splits the rows.

    Raises:
        ValueError: If the tables do not allow what is asked of them.
        OSError: If a file cannot be read.
        ImportError: If an optional package is missing.
    """
    options = TableOptions() if options is None else options
    table = read_table(data, **options.reading)
    options = options.of(table.names)
    if options.group is not None and options.time_column is not None:
        raise ValueError("group and time_column cannot be given together")
    if target_name not in table:
        Target.infer(table, target_name)  # its message guesses at the column that was meant
    held_back, other, how = _split(table, data, target_name, test, task, seed, options)
    train = table if held_back is None else table.rows(~held_back)
    tested = table.rows(held_back) if held_back is not None else other
    assert tested is not None
    target = Target.infer(train, target_name, task, options.missing)
    if target.labels is None and options.weight is not None:  # not even the mean of rows without weight is learned
        counted = train.rows(weights_of(train, options.weight) > 0.0)
        target = Target.infer(counted, target_name, "regression", options.missing)
    exclude = [test] if test is not None and test in table else []
    schema = Schema.infer(table, exclude, target=target_name, options=options)
    if options.time_column is not None:
        train = train.rows(np.argsort(times_of(train, options.time_column), kind="stable"))
    y, known = target.encode(train)
    truth, scored = _truth(target, tested)
    if not known.any():
        raise ValueError(f"no row to learn from has a value of {target_name!r}")
    if not scored.any():
        raise ValueError(f"no row that is held back has a value of {target_name!r}")
    counts = RowCounts(int(known.sum()), int(scored.sum()), int((~known).sum() + (~scored).sum()), how)
    return Prepared(
        schema=schema,
        target=target,
        codes=schema.codes(train)[known],
        y=y[known],
        test_codes=schema.codes(tested)[scored],
        truth=truth[scored],
        rows=counts,
        documents=schema.documents(train),
        test_documents=schema.documents(tested),
        notes=table.notes,
        weights=None if options.weight is None else weights_of(train, options.weight)[known],
        test_weights=None if options.weight is None else weights_of(tested, options.weight)[scored],
        groups=None if options.group is None else groups_of(train, options.group)[known],
        in_time=options.time_column is not None,
    )


def _truth(target: Target, table: Table) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The targets of rows to score, -1 for classes that the training rows lack, and which rows have one."""
    truth, known = target.encode(table)
    if target.labels is None:
        return truth, known
    return np.where(known, truth, -1), target.given(table)


def _split(
    table: Table, data: str, target_name: str, test: str | None, task: str | None, seed: int, options: TableOptions
) -> tuple[NDArray[np.bool_] | None, Table | None, str]:
    """Which rows of the table are held back, or another table with the rows to score; and how they were chosen."""
    if test is None and options.time_column is not None:
        held_back, how = _latest(times_of(table, options.time_column)), f"the latest fifth by {options.time_column!r}"
    elif test is None and options.group is not None:
        held_back, how = _whole_groups(groups_of(table, options.group), seed), "whole groups, drawn by the seed"
    elif test is None:
        held_back, how = _drawn(table, target_name, task, seed, options), "a fifth, drawn by the seed"
    elif test in table:
        held_back, how = marks_of("--test", table, test), f"those with 1 in {test!r}"
    elif Path(test).exists():
        return None, read_table(test, **options.reading, like=table.dialect), f"those of {test}"
    else:
        raise ValueError(f"--test: neither a column of {data} nor a file: {test!r}")
    if not held_back.any() or held_back.all():
        raise ValueError(
            f"--test: some rows must be held back and some not, got {int(held_back.sum())} of {table.n_rows}"
        )
    return held_back, None, how


def _numbers_among(cells: Cells, target: Target) -> str:
    """The end of a message on too many classes: which cells are no numbers, if most are."""
    known = ~np.isnan(cells.numbers(target.missing))
    others = [text for text in cells.take(~known).distinct()[0] if not is_missing_word(text)]
    if not others or known.sum() <= 0.5 * len(cells):
        return ""
    return f"; {int(known.sum())} are numbers, and not {shown(others)}: missing says what to leave out"


def _latest(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The latest fifth of the rows, with all rows of the time at which it begins, or none if those are all rows."""
    begin = np.sort(times)[-max(round(TEST_SHARE * len(times)), 1)]
    held_back: NDArray[np.bool_] = times >= begin
    return times > begin if held_back.all() else held_back


def _whole_groups(groups: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Groups drawn by the seed, as many as have a fifth of the rows; one at least, and not all."""
    different, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(different))
    count = int(np.searchsorted(np.cumsum(sizes[order]), TEST_SHARE * len(groups))) + 1
    return np.isin(groups, different[order[: min(count, len(different) - 1)]])


def _drawn(table: Table, target_name: str, task: str | None, seed: int, options: TableOptions) -> NDArray[np.bool_]:
    """A fifth of the rows by the seed; of every class its share."""
    n = table.n_rows
    if n < _LEAST_ROWS:
        raise ValueError(f"the table must have at least {_LEAST_ROWS} rows, got {n}")
    target = Target.infer(table, target_name, task, options.missing)
    labels = np.zeros(n, np.int32)
    if target.labels is not None:
        if len(target.labels) > _MOST_CLASSES_SHARE * n:
            raise ValueError(
                f"target: column {target_name!r} has {len(target.labels)} different values in {n} rows: they name rows "
                f"rather than classes{_numbers_among(table[target_name], target)}"
            )
        labels, known = target.encode(table)
        if not known.all():
            labels = np.where(known, labels + 1, 0)  # so that classes alone decide about their shares
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    quota = np.array([round(TEST_SHARE * count) for count in np.bincount(labels)])
    if not quota.any():  # no class has three rows
        labels, quota = np.zeros_like(labels), np.array([round(TEST_SHARE * n)])
    return first_of_each(order, labels, quota)
