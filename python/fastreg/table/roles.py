"""Columns that are no features but say how rows are used: targets, weights, groups, and the order in time."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import describe
from fastreg.table.columns import DateCells, text_of
from fastreg.table.dates import form_of
from fastreg.table.dictionary import shown
from fastreg.table.kinds import is_missing_word
from fastreg.table.numbers import LARGEST
from fastreg.table.tables import Table, cells_of

__all__ = ["groups_of", "marks_of", "times_of", "weights_of", "with_target"]

_MARKS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


def with_target(
    owner: str, table: Table, y: Any, argument: str = "y", *, learned: bool = False
) -> tuple[Table, str]:
    """A table that has the targets as a column, and the name of that.

    Args:
        owner: Whose argument ``y`` is.
        table: The table.
        y: The name of a column, or the targets: an array or a series with a value for each row.
        argument: The name of the argument.
        learned: Whether the targets are learned from the columns of the table, none of which may be they.

    Raises:
        TypeError: If it is neither.
        ValueError: If there are more or fewer targets than rows, or several for a row, or they are a column of the
            table, by name and values.
    """
    if isinstance(y, str):
        return table, y
    given = text_of(getattr(y, "name", None))
    name = given or "target"
    while name in table:
        name += "_"
    shape = tuple(getattr(y, "shape", (0,)))
    if len(shape) == 2 and shape[1] == 1:
        y = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)[:, 0]
    elif len(shape) > 1:
        raise ValueError(f"{owner}: {argument} must have one value for each row, got shape {shape}")
    elif not shape or isinstance(y, (bytes, Mapping, Set)) or not hasattr(y, "__iter__"):
        raise TypeError(f"{owner}: {argument} must be the name of a column or the targets, got {describe(y)}")
    cells = cells_of(y, table.dialect.style)
    if len(cells) != table.n_rows:
        raise ValueError(f"{owner}: {argument} has {len(cells)} values, the table has {table.n_rows} rows")
    if learned and given is not None and given in table and table[given].texts() == cells.texts():
        raise ValueError(
            f"{owner}: {argument} is column {given!r} of the table, which would be predicted from itself; give the "
            f"name, {argument}={given!r}, or leave the column out of the table"
        )
    return table.extended(name, cells), name


def weights_of(table: Table, name: str) -> NDArray[np.float64]:
    """The weight of each row.

    Raises:
        ValueError: If a weight is missing, negative, infinite or no number, or none is positive.
    """
    weights = table[name].numbers()
    wrong = ~((weights >= 0.0) & (weights < LARGEST))
    if wrong.any():
        raise ValueError(f"weight: column {name!r} must hold finite numbers >= 0, got {_cell(table, name, wrong)}")
    if not (weights > 0.0).any():
        raise ValueError(f"weight: column {name!r} must have a weight above 0")
    return weights


def marks_of(option: str, table: Table, name: str) -> NDArray[np.bool_]:
    """The rows that a column of 0 and 1 marks.

    Raises:
        ValueError: If it holds anything else; the message begins with the option that names the column.
    """
    texts, index = table[name].distinct()
    if (index < 0).any() or not all(text.lower() in _MARKS for text in texts):
        raise ValueError(f"{option}: column {name!r} must hold 0 and 1 only")
    return np.array([_MARKS[text.lower()] for text in texts], np.bool_)[index]


def groups_of(table: Table, name: str) -> NDArray[np.int64]:
    """The number of the group of each row. Each row without a value is a group of its own.

    Raises:
        ValueError: If all rows are one group.
    """
    _, index = table[name].distinct()
    alone = index < 0
    groups: NDArray[np.int64] = index.copy()
    groups[alone] = int(index.max(initial=-1)) + 1 + np.arange(int(alone.sum()))
    if len(np.unique(groups)) < 2:
        raise ValueError(f"group: column {name!r} must have more than one value")
    return groups


def times_of(table: Table, name: str) -> NDArray[np.float64]:
    """The time of each row: days for dates, otherwise the number that the cell is.

    Raises:
        ValueError: If a cell is neither, or missing.
    """
    cells = table[name]
    times = cells.numbers()
    if isinstance(cells, DateCells) or np.isnan(times).all():
        texts = [text for text in cells.distinct()[0] if not is_missing_word(text)]
        form, _ = form_of(texts)
        times = cells.days(form) if form is not None else np.full(table.n_rows, np.nan)
    wrong = np.isnan(times)
    if wrong.any():
        raise ValueError(f"time_column: column {name!r} must hold dates or numbers, got {_cell(table, name, wrong)}")
    return times


def _cell(table: Table, name: str, wrong: NDArray[np.bool_]) -> str:
    row = int(np.argmax(wrong))
    text = table[name].take(np.array([row])).texts()[0]
    return f"{'a missing value' if text is None else shown([text])} in row {row}"
