"""The column to predict: class labels, exact, or numbers, as what a loss takes, and predictions as cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.checked import finite, members, strings, typed
from fastreg.table.columns import LEADING_ZERO, Cells, NumberCells, OtherCells
from fastreg.table.dictionary import shown
from fastreg.table.kinds import MISSING, LevelIndex, is_missing_word
from fastreg.table.tables import Table

__all__ = ["LABEL_KINDS", "Target"]

# A target with at most this many different whole numbers is treated as classes.
_MOST_CLASSES = 20
# Numbers with decimals are classes if there are no more than this share of the rows, and at most so many if they are of
# that type.
_MOST_OF_ROWS = 0.5
# What labels are in Python.
LABEL_KINDS = ("text", "integer", "float", "boolean")

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes:
        name: The name of the column.
        labels: The classes in order, as text; None for a number.
        mean: The mean of the training targets, for a number. The network learns ``(y - mean) / scale``.
        scale: The standard deviation of the training targets, or 1 if that is 0.
        missing: Texts that mean a missing value.
        label_kind: What labels are in Python: "text", "integer", "float" or "boolean".
    """

    name: str
    labels: tuple[str, ...] | None = None
    mean: float = 0.0
    scale: float = 1.0
    missing: tuple[str, ...] = ()
    label_kind: str = "text"

    @property
    def task(self) -> str:
        """``"regression"``, ``"binary"`` or ``"multiclass"``."""
        return "regression" if self.labels is None else "binary" if len(self.labels) == 2 else "multiclass"

    @property
    def classes(self) -> NDArray[Any]:
        """The classes as values of Python, in the order of ``labels``."""
        labels = self.labels or ()
        if self.label_kind == "integer":
            values = [int(label) for label in labels]
            return np.array(values, np.int64 if all(abs(value) < 2**63 for value in values) else object)
        if self.label_kind == "float":
            return np.array([float(label) for label in labels])
        if self.label_kind == "boolean":
            return np.array([_BOOLEANS[label.lower()] for label in labels])
        return np.array(labels, dtype=object)

    @classmethod
    def infer(
        cls,
        table: Table | Mapping[str, Any] | Any,
        name: str,
        task: str | None = None,
        missing: Sequence[str] = (),
    ) -> Target:
        """Classes, where cells are text or few different whole numbers; else a number.

        Args:
            table: All rows, so that a class that only the test rows have is known.
            name: The column.
            task: "classification" or "regression" to decide it.
            missing: Texts that mean a missing value, besides the empty one and ``?``.

        Raises:
            ValueError: If there is no such column, a single class, text where numbers should be, or where classes
                should be, numbers with decimals of which there are more than half as many as rows, or more than 20 if
                they have that type.
        """
        table = Table.of(table)
        if name not in table:
            try:
                table[name]
            except ValueError as error:
                raise ValueError(f"target: {error}") from None
        cells = table[name]
        if isinstance(cells, OtherCells):
            raise ValueError(f"target: column {name!r} holds {cells.what}")
        missing = tuple(missing)
        texts = [text for text in cells.distinct()[0] if text not in (*MISSING, *missing)]
        numbers = cells.numbers(missing)
        values = np.unique(numbers[~np.isnan(numbers)])
        others = [text for text in texts if np.isnan(_number(cells, text))]
        # Words for missing values are classes beside other texts, and no classes among numbers.
        numeric = len(values) > 0 and all(is_missing_word(text) for text in others)
        if task is None and any(LEADING_ZERO.match(text) for text in texts):
            numeric = False  # names of classes, such as codes
        if task == "regression" and not numeric:
            told = [text for text in others if not is_missing_word(text)] or others
            raise ValueError(
                f"target: column {name!r} must hold numbers for regression"
                f"{f', got {shown(told)}; missing says what to leave out' if told else ''}"
            )
        whole = bool(np.all(values == np.round(values)))
        if task is None:
            task = "classification" if (whole and len(values) <= _MOST_CLASSES) or not numeric else "regression"
        if task == "classification" and numeric and not whole:
            known = int(np.count_nonzero(~np.isnan(numbers)))
            few = _MOST_CLASSES if isinstance(cells, NumberCells) else known  # texts may be codes, such as 250.01
            if len(values) > min(few, _MOST_OF_ROWS * known):
                raise ValueError(
                    f"target: column {name!r} must hold classes for classification, got {len(values)} different "
                    f"numbers with decimals in {known} rows, which are for regression"
                )
        if numeric:
            missing = (*missing, *others)
            texts = [text for text in texts if text not in others]
        if task == "regression":
            return cls._of_numbers(name, cells, numbers, missing)
        return cls._of_labels(name, cells, texts, missing)

    @classmethod
    def _of_numbers(cls, name: str, cells: Cells, numbers: NDArray[np.float64], missing: Sequence[str]) -> Target:
        known = numbers[~np.isnan(numbers)]
        huge = np.abs(numbers) > 1e300
        if huge.any():
            row = int(np.argmax(huge))
            text = cells.take(np.array([row])).texts()[0]
            told = f"got {shown([str(text)])} in row {row}"
            raise ValueError(f"target: column {name!r} must hold numbers below 1e300 in size, {told}")
        with np.errstate(over="ignore"):
            spread = float(np.std(known)) if len(known) else 0.0
        if not 0.0 < spread < np.inf:
            same = len(known) == 0 or known.min() == known.max()
            rule = "must have more than one value" if same else "must hold numbers whose squares are normal floats"
            raise ValueError(f"target: column {name!r} {rule}")
        return cls(name, None, float(np.mean(known)), spread, tuple(missing))

    @classmethod
    def _of_labels(cls, name: str, cells: Cells, texts: list[str], missing: Sequence[str]) -> Target:
        kind = _label_kind(cells, texts)
        if kind in ("integer", "float"):
            labels = sorted(texts, key=lambda text: (int if kind == "integer" else float)(text))
        else:
            labels = sorted(texts)
        if len(labels) < 2:
            told = f", got {len(labels)}{f': {shown(labels)}' if labels else ''}"
            raise ValueError(f"target: column {name!r} must have at least two classes{told}")
        return cls(name, tuple(labels), missing=tuple(missing), label_kind=kind)

    def check_classes(self, owner: str, n_rows: int) -> None:
        """Raises ValueError if each of several rows has a class of its own, of which nothing can be learned.

        Args:
            owner: The estimator, for the message.
            n_rows: The number of rows that have a class.
        """
        count = 0 if self.labels is None else len(self.labels)
        if 2 < count == n_rows:
            numbers = self.label_kind in ("integer", "float")
            hint = "; TableRegressor predicts numbers" if numbers else ""
            raise ValueError(
                f"{owner}: y must have fewer classes than rows, got {count} classes in {n_rows} rows (column "
                f"{self.name!r}): each row has its own, as names of rows have{hint}"
            )

    def encode(self, table: Table | Mapping[str, Any] | Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Targets for a loss, and which rows have one: int32 class indices, or standardised float32; 0 elsewhere."""
        cells = Table.of(table)[self.name]
        if self.labels is None:
            numbers = cells.numbers(self.missing)
            known = ~np.isnan(numbers)
            with np.errstate(over="ignore"):
                return np.where(known, (numbers - self.mean) / self.scale, 0.0).astype(np.float32), known
        texts, index = cells.distinct()
        levels = LevelIndex(self.labels)
        gone = {*MISSING, *self.missing}
        found = [None if text in gone else levels.find(text) for text in texts]
        codes = np.array([*(-1 if level is None else level for level in found), -1], np.int32)[index]
        return np.maximum(codes, 0), codes >= 0

    def given(self, table: Table | Mapping[str, Any] | Any) -> NDArray[np.bool_]:
        """Which rows have a value of the target, be it a class that ``labels`` lacks."""
        cells = Table.of(table)[self.name]
        if self.labels is None:
            return ~np.isnan(cells.numbers(self.missing))
        texts, index = cells.distinct()
        gone = {*MISSING, *self.missing}
        return np.array([*(text not in gone for text in texts), False], np.bool_)[index]

    def decode(self, outputs: NDArray[np.float32]) -> dict[str, list[Any]]:
        """Columns of a table of predictions: the target's name, then for classes the probability of each."""
        if self.labels is None:
            return {self.name: self.values(outputs).tolist()}
        probabilities = self.probabilities(outputs)
        chosen = [self.labels[k] for k in np.argmax(probabilities, axis=1)]
        columns = {f"probability_{label}": probabilities[:, k].tolist() for k, label in enumerate(self.labels)}
        return {self.name: chosen, **columns}

    def values(self, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """The numbers that the outputs of a network stand for."""
        return outputs[:, 0].astype(np.float64) * self.scale + self.mean

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of each class, (n, classes)."""
        return outputs if outputs.shape[1] > 1 else np.column_stack([1.0 - outputs[:, 0], outputs[:, 0]])

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        labels = None if self.labels is None else list(self.labels)
        config = {"name": self.name, "labels": labels, "mean": self.mean, "scale": self.scale}
        return config | {"missing": list(self.missing), "label_kind": self.label_kind}

    @classmethod
    def from_config(cls, config: Any) -> Target:
        """The target of a JSON form. Raises ValueError if it is none."""
        config = members(config, "target", "name", "labels", "mean", "scale", "missing", "label_kind")
        labels = config.get("labels")
        kind = typed(config.get("label_kind", "text"), str, "label_kind")
        if labels is not None:
            labels = strings(labels, "labels")
            if len(labels) < 2 or len(set(labels)) < len(labels):
                raise ValueError(f"a target needs at least two different labels, got {len(labels)}")
            _check_labels(labels, kind)
        name = typed(config.get("name"), str, "name")
        mean, scale = (finite(config.get(member), member) for member in ("mean", "scale"))
        if scale <= 0.0:
            raise ValueError(f"scale must be > 0, got {scale!r}")
        return cls(name, labels, mean, scale, strings(config.get("missing", []), "missing"), kind)


def _number(cells: Cells, text: str) -> float:
    value = getattr(cells, "style", None)
    if value is None:
        return 0.0 if isinstance(cells, NumberCells) else np.nan
    number = value.value(text)
    return np.nan if number is None else number


def _label_kind(cells: Cells, texts: list[str]) -> str:
    if texts and all(text.lower() in _BOOLEANS for text in texts):
        return "boolean" if len({text.lower() for text in texts}) == len(texts) else "text"
    if all(_INTEGER.fullmatch(text) and text != "-0" for text in texts):
        return "integer"
    return "float" if isinstance(cells, NumberCells) else "text"


def _check_labels(labels: tuple[str, ...], kind: str) -> None:
    if kind not in LABEL_KINDS:
        raise ValueError(f"label_kind must be one of {', '.join(LABEL_KINDS)}, got {kind!r}")
    for label in labels:
        try:
            right = (
                kind == "text"
                or (kind == "integer" and _INTEGER.fullmatch(label) is not None and len(label) < 4000)
                or (kind == "float" and float(label) == float(label))
                or (kind == "boolean" and label.lower() in _BOOLEANS)
            )
        except ValueError:
            right = False
        if not right:
            raise ValueError(f"labels of kind {kind} cannot be {label!r}")
