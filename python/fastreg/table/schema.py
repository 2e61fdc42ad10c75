r"""Converts tables with named columns into what a network takes: kinds of columns, and their cells as numbers.

=============  ======================================================================================================
schema         which columns are features, of what kind, and the names of the levels; reads a table as float64 codes
codes          float64 (n, columns): numbers as they are, categories as the index of their level, dates as days, texts
               as the number of their row; NaN where missing
encoder        ``encoder.py``, fitted on training rows alone: codes to features, float32 (n, features)
target         ``target.py``: class labels or numbers as what a loss takes, and predictions as what the table held
=============  ======================================================================================================

The kind of a column is decided once, from the whole training table (``kinds.py``). Other tables are read by these
kinds: a cell means the same, whatever its neighbours are. Everything that is learned of a table is plain JSON
(``to_config``), so that a model file can carry it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastreg.table.checked import members, strings, typed
from fastreg.table.columns import Cells, NumberCells, OtherCells, TextCells
from fastreg.table.dates import FORMS
from fastreg.table.dictionary import DataDictionary, Entry
from fastreg.table.encoder import Codes, TableEncoder
from fastreg.table.kinds import KINDS, MISSING, Column, describe_column, is_missing_word
from fastreg.table.notices import Notices
from fastreg.table.numbers import NumberStyle
from fastreg.table.options import TableOptions
from fastreg.table.tables import Dialect, Table
from fastreg.table.target import Target
from fastreg.table.texts import Documents

__all__ = ["Column", "Schema", "Target"]

@dataclass(frozen=True)
class Schema:
    """The features of a table, and why other columns are not features.

    Attributes:
        columns: The features, in order.
        left_out: For each other column, by name, the reason why it is left out.
        dictionary: What each column of the training table was taken for; empty for a schema of a file.
        missing: Texts that mean a missing value, besides those that always do.
        id: Columns that name rows and are kept beside predictions.
        dialect: How the training file writes a table.

    Example:
        >>> from fastreg.table import Schema
        >>> schema = Schema.infer({"age": [31, 45, 28], "job": ["cook", None, "nurse"], "y": [0, 1, 0]}, exclude=["y"])
        >>> [(column.name, column.kind) for column in schema.columns]
        [('age', 'numeric'), ('job', 'categorical')]
        >>> schema.codes({"age": [40, 50], "job": ["nurse", "pilot"]})
        array([[40.,  1.],
               [50., nan]])
    """

    columns: tuple[Column, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    dictionary: DataDictionary = field(default_factory=DataDictionary, compare=False, repr=False)
    missing: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    dialect: Dialect = field(default_factory=Dialect, compare=False, repr=False)

    @classmethod
    def infer(
        cls,
        table: Table | Mapping[str, Any] | Any,
        exclude: Sequence[str] = (),
        *,
        target: str | None = None,
        options: TableOptions | None = None,
    ) -> Schema:
        """Determines the kinds of columns from all of their cells.

        Columns with a single value, numbers of rows, names of rows and lists are left out.

        Args:
            table: The whole training table, held-back rows included: whether numbers count the rows shows in all of
                them only.
            exclude: Columns that mark test rows.
            target: The column to predict.
            options: Kinds and roles that are given.

        Raises:
            ValueError: If no column is left, the table lacks a column that an option names, or the target has a role.
        """
        table = Table.of(table)
        options = (options or TableOptions()).of(table.names)
        options.check_target(target)
        columns: list[Column] = []
        entries: list[Entry] = []
        for name in table:
            role = "target" if name == target else options.role_of(name) or ("test" if name in exclude else None)
            if role is not None:
                entries.append(Entry(name, role, False, _ROLES[role]))
                continue
            column, entry = describe_column(name, table[name], options.kind_of(name), options.missing)
            entries.append(entry)
            if column is not None:
                columns.append(column)
        left_out = {entry.name: entry.reason for entry in entries if not entry.used and entry.kind not in _ASKED_FOR}
        if not columns:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
            raise ValueError(f"the table has no column to learn from{f' ({reasons})' if reasons else ''}")
        dictionary = DataDictionary(tuple(entries))
        return cls(tuple(columns), left_out, dictionary, options.missing, options.id, table.dialect)

    def codes(self, table: Table | Mapping[str, Any] | Any, notices: Notices | None = None) -> Codes:
        """The features as numbers, (n, columns). A level that the training rows did not have counts as missing.

        Args:
            table: Rows with these columns; others are ignored.
            notices: Counts cells that are unknown levels, or no numbers or dates where such are expected.

        Raises:
            ValueError: If a column is missing, or holds lists or other cells that no feature is made of.
        """
        table = Table.of(table, self.dialect.style)
        if lacking := [column.name for column in self.columns if column.name not in table]:
            raise ValueError(f"the table has no column {', '.join(map(repr, lacking))}{table.hint(lacking[0])}")
        codes: Codes = np.empty((len(self.columns), table.n_rows)).T  # column by column in memory
        notices = Notices() if notices is None else notices
        for i, column in enumerate(self.columns):
            if isinstance(cells := table[column.name], OtherCells):
                raise ValueError(f"column {column.name!r} must hold {_HELD[column.kind]}, got {cells.what}")
            codes[:, i] = _CODES[column.kind](column, cells, self.missing, notices)
        return codes

    def documents(self, table: Table | Mapping[str, Any] | Any) -> dict[int, Documents]:
        """The documents of each text column, by the number of the column, for an encoder of the table's codes."""
        table = Table.of(table, self.dialect.style)
        found = {}
        for i, column in enumerate(self.columns):
            if column.kind == "text":
                gone = {*MISSING, *self.missing}
                found[i] = Documents([None if text in gone else text for text in table[column.name].texts()])
        return found

    def encoder(self, table: Table | Mapping[str, Any] | Any, n_bins: int = 48, min_count: int = 10) -> TableEncoder:
        """An encoder for the codes of a table, yet to be fitted."""
        return TableEncoder([column.kind for column in self.columns], n_bins, min_count, self.documents(table))

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        columns = [
            {"name": c.name, "kind": c.kind}
            | ({} if c.levels is None else {"levels": list(c.levels)})
            | ({"form": c.form} if c.form else {})
            for c in self.columns
        ]
        style = self.dialect.style
        dialect = {"sep": self.dialect.sep, "decimal": style.decimal, "thousands": style.thousands}
        return {"columns": columns, "missing": list(self.missing), "id": list(self.id), "dialect": dialect}

    @classmethod
    def from_config(cls, config: Any) -> Schema:
        """The schema of a JSON form, also of the earlier one, a list of columns. Raises ValueError if it is none."""
        if isinstance(config, list):
            config = {"columns": config}
        config = members(config, "schema", "columns", "missing", "id", "dialect")
        columns = tuple(_column_from_config(entry) for entry in typed(config.get("columns"), list, "columns"))
        names = [column.name for column in columns]
        if not columns or len(set(names)) < len(names):
            raise ValueError("a schema needs columns with different names")
        dialect = members(config.get("dialect", {}), "dialect", "sep", "decimal", "thousands")
        sep, decimal, thousands = (
            typed(dialect.get(name, default), str, name)
            for name, default in (("sep", ""), ("decimal", "."), ("thousands", ","))
        )
        if len(sep) > 1:
            raise ValueError(f"sep must be one character, got {sep!r}")
        missing, identifiers = (strings(config.get(name, []), name) for name in ("missing", "id"))
        return cls(columns, {}, missing=missing, id=identifiers, dialect=Dialect(sep, NumberStyle(decimal, thousands)))


_ROLES = {
    "target": "the column to predict",
    "test": "it marks the rows that are held back",
    "ignored": "as asked for",
    "id": "it names rows and is kept beside predictions",
    "weight": "the weight of each row in training",
    "group": "its equal cells mark rows that belong together",
}
# Columns that are no features because the user says what they are.
_ASKED_FOR = ("target", "test", "id", "weight", "group")


def _column_from_config(config: Any) -> Column:
    config = members(config, "column", "name", "levels", "kind", "form")
    levels = config.get("levels")
    if levels is not None:
        levels = strings(levels, "levels")
        if len(set(levels)) < len(levels):
            raise ValueError("the levels of a column must be different")
    kind = typed(config.get("kind", "numeric" if levels is None else "categorical"), str, "kind")
    form = typed(config.get("form", ""), str, "form")
    if kind not in KINDS or (kind == "categorical") != (levels is not None):
        raise ValueError(f"a column must be {', '.join(KINDS)}, with levels if it is categorical, got {kind!r}")
    if (form in FORMS) != (kind == "date"):
        raise ValueError(f"a column of kind {kind} cannot have the form {form!r}")
    return Column(typed(config.get("name"), str, "name"), levels, kind, form)


# Codes of each kind of column.


def _numeric(column: Column, cells: Cells, missing: Sequence[str], notices: Notices) -> Codes:
    values = cells.numbers(missing)
    unknown = np.isnan(values)
    if unknown.any() and not isinstance(cells, NumberCells):
        _notice(notices, "number", column.name, cells.take(unknown), missing)
    return values


def _categorical(column: Column, cells: Cells, missing: Sequence[str], notices: Notices) -> Codes:
    codes = cells.codes(*column.exact({*MISSING, *missing})) if isinstance(cells, TextCells) else None
    if codes is None:
        return _looked_up(column, cells, missing, notices)
    others = np.isnan(codes)
    if others.any():
        codes[others] = _looked_up(column, cells.take(others), missing, notices)
    return codes


def _looked_up(column: Column, cells: Cells, missing: Sequence[str], notices: Notices) -> Codes:
    """The codes of cells of any kind: spaces around a text do not count, nor how a number is written."""
    texts, index = cells.distinct()
    gone = {*MISSING, *missing}
    found = [column.index.find(text) if text not in gone else None for text in texts]
    unseen = [i for i, level in enumerate(found) if level is None and texts[i] not in gone]
    if unseen:
        counts = np.bincount(index[index >= 0], minlength=len(texts))
        seen = [i for i in unseen if counts[i]]
        notices.add("level", column.name, [texts[i] for i in seen], [int(counts[i]) for i in seen])
    codes = np.array([*(np.nan if level is None else level for level in found), np.nan], np.float64)
    return codes[index]


def _date(column: Column, cells: Cells, missing: Sequence[str], notices: Notices) -> Codes:
    days = cells.days(column.form, missing)
    unknown = np.isnan(days)
    if unknown.any():
        _notice(notices, "date", column.name, cells.take(unknown), missing)
    return days


def _text(column: Column, cells: Cells, missing: Sequence[str], notices: Notices) -> Codes:
    return np.arange(len(cells), dtype=np.float64)


def _notice(notices: Notices, what: str, name: str, cells: Cells, missing: Sequence[str]) -> None:
    texts, index = cells.distinct()
    counts = np.bincount(index[index >= 0], minlength=len(texts)).tolist()
    named = [(t, c) for t, c in zip(texts, counts, strict=True) if c and t not in missing and not is_missing_word(t)]
    notices.add(what, name, [text for text, _ in named], [count for _, count in named])


_HELD = {"numeric": "numbers", "categorical": "groups", "date": "dates", "text": "texts"}
_CODES = {"numeric": _numeric, "categorical": _categorical, "date": _date, "text": _text}
