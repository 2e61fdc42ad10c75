"""The options of reading a table, as one description and as flags of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastreg.internal.checks import check_choice, describe, did_you_mean

__all__ = ["TableOptions", "add_reading_options", "reading_options"]

_LISTS = ("missing", "ignore", "categorical", "numeric", "date", "text", "id")
_KINDS = ("categorical", "numeric", "date", "text")
_READING = ("sep", "decimal", "thousands", "encoding")
_TASKS = ("classification", "regression")


@dataclass(frozen=True)
class TableOptions:
    """How a table is read, and what its columns are. Whatever is not given is found out.

    Attributes:
        sep: What separates the cells of a CSV file.
        decimal: ``"."`` or ``","``.
        thousands: What separates groups of three digits.
        encoding: Of a CSV file.
        missing: Texts that mean a missing value, besides the empty one and ``?``; in the target too. Words such as NA
            mean one among numbers and dates, and are a group or class elsewhere.
        ignore: Columns that are not used.
        categorical: Columns whose cells are names of groups, such as numbers of regions.
        numeric: Columns of numbers; whatever is no number is missing.
        date: Columns of dates; also ones like 20241231, or seconds since 1970.
        text: Columns of sentences.
        id: Columns that name rows: no features, kept in the output of ``predict``.
        weight: Column with the weights of rows in training.
        group: Column whose equal cells mark rows that belong together.
        time_column: Column of dates or numbers by which rows are divided: the latest are held back.
        task: "classification" or "regression".
        metric: Name of the metric that decides.

    Raises:
        ValueError: If a column is given two kinds, or an option has a value that is not possible.
        TypeError: If an option is of the wrong type.
    """

    sep: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    weight: str | None = None
    group: str | None = None
    time_column: str | None = None
    task: str | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        for name in (*_READING, "weight", "group", "time_column", "metric"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name} must be a string or None, got {describe(value)}")
        if self.task is not None:
            check_choice("table", "task", self.task, _TASKS)
        roles: dict[str, str] = {}
        for role in ("ignore", *_KINDS, "id", "weight", "group"):
            value = getattr(self, role)
            for column in value if isinstance(value, tuple) else [value] if value is not None else []:
                if column in roles and {role, roles[column]} != {"id", "group"}:
                    raise ValueError(f"column {column!r} must have one role, got {roles[column]} and {role}")
                roles[column] = role

    @property
    def reading(self) -> dict[str, Any]:
        """The keyword arguments of :func:`fastreg.table.read_table`."""
        return {name: getattr(self, name) for name in _READING}

    def of(self, names: Iterable[str]) -> TableOptions:
        """The options for a table with these columns: a list such as ``"a,b"`` becomes the columns that it names.

        Raises:
            ValueError: If the table lacks a column that an option names.
        """
        known = tuple(names)
        changed = {}
        for option in _LISTS[1:]:
            found: list[str] = []
            for value in getattr(self, option):
                parts = [value] if value in known else [part.strip() for part in value.split(",")]
                for part in parts:
                    _check_column(option, part, known)
                found += parts
            changed[option] = tuple(dict.fromkeys(found))
        for option in ("weight", "group", "time_column"):
            if (name := getattr(self, option)) is not None:
                _check_column(option, name, known)
        return TableOptions(**(self.__dict__ | changed))

    def check_target(self, name: str | None) -> None:
        """Raises ValueError if the options make the column to predict anything else."""
        if name is not None and (role := self.role_of(name) or self.kind_of(name)) is not None:
            told = f"column {name!r} must have one role, got target and {role}"
            raise ValueError(f"{told}; task says whether it is a number or a class")

    def kind_of(self, name: str) -> str | None:
        """The kind that the options give a column, None if none."""
        return next((kind for kind in _KINDS if name in getattr(self, kind)), None)

    def role_of(self, name: str) -> str | None:
        """What a column is by the options, if that is no feature: "ignored", "id", "weight" or "group"."""
        if name in self.ignore:
            return "ignored"
        if name in self.id:
            return "id"
        return "weight" if name == self.weight else "group" if name == self.group else None


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a string or a list of strings, got {describe(value)}")
    found = tuple(values)
    for text in found:
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a string or a list of strings, got {describe(text)} in it")
    return found


def _check_column(option: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(f"{option}: the table has no column {name!r}{did_you_mean(name, known)}")


# The flags: name, metavar, help. Lists take a flag for each value, or names of columns separated by commas.
_FLAGS = (
    ("sep", "CHARACTER", "what separates cells of a CSV file, or 'tab' (default: told by the header line)"),
    ("decimal", "CHARACTER", "'.' or ',' before decimals (default: told by the cells)"),
    ("thousands", "CHARACTER", "what separates groups of three digits (default: a comma, or a point with --decimal ,)"),
    ("encoding", "NAME", "of a CSV file (default: UTF-8, UTF-16 or UTF-32 by its bytes, otherwise Windows-1252)"),
)
_LIST_FLAGS = (
    ("missing", "TEXT", "a text that means a missing value, besides the empty one and '?', and NA and its like among "
     "numbers and dates; may be repeated"),
    ("ignore", "COLUMNS", "columns that are not used"),
    ("categorical", "COLUMNS", "columns whose cells are names of groups, such as numbers of regions"),
    ("numeric", "COLUMNS", "columns of numbers; whatever is no number is missing"),
    ("date", "COLUMNS", "columns of dates or times of day, also ones like 20241231 or seconds since 1970"),
    ("text", "COLUMNS", "columns of sentences"),
    ("id", "COLUMNS", "columns that name rows: no features, kept in the output of predict"),
)
_NAME_FLAGS = (
    ("weight", "COLUMN", "column with the weight of each row in training"),
    ("group", "COLUMN", "column whose equal cells mark rows that belong together"),
    ("time-column", "COLUMN", "column of dates or numbers by which rows are divided: the latest are held back"),
    ("metric", "NAME", "the metric that decides, by its name in fastreg.metrics (default: by the task)"),
)


def add_reading_options(parser: argparse.ArgumentParser, training: bool = True, roles: bool = True) -> None:
    """Adds the flags of reading a table to a parser.

    Args:
        parser: The parser.
        training: Whether kinds and roles of columns can be given; ``predict`` has them in its model.
        roles: Whether columns that weigh or divide rows, and the metric can be.
    """
    group = parser.add_argument_group("reading the table")
    for name, metavar, told in _FLAGS:
        group.add_argument(f"--{name}", metavar=metavar, help=told)
    for name, metavar, told in _LIST_FLAGS:
        if training or name == "id":
            repeat = "" if name == "missing" else " (separated by commas; may be repeated)"
            group.add_argument(f"--{name}", action="append", default=[], metavar=metavar, help=f"{told}{repeat}")
    if training and roles:
        for name, metavar, told in _NAME_FLAGS:
            group.add_argument(f"--{name}", metavar=metavar, help=told)


def reading_options(arguments: argparse.Namespace) -> TableOptions:
    """The options of parsed arguments; those that the parser does not have keep their defaults.

    Raises:
        ValueError: As for :class:`TableOptions`.
    """
    given = {name: getattr(arguments, name) for name in TableOptions.__dataclass_fields__ if hasattr(arguments, name)}
    if "missing" in given:  # of --missing=-- older versions of argparse make an empty list
        given["missing"] = [text or "--" if isinstance(text, list) else text for text in given["missing"]]
    return TableOptions(**given)
