"""The model that a network is to imitate: how it is asked, and whether its answers can be learned.

It is any object with ``predict_proba`` or ``predict``, or a function. It gets rows in the form in which the user has
them (``raw_rows.py``), in blocks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import describe
from fastreg.table.columns import text_of
from fastreg.table.dictionary import shown
from fastreg.table.errors import one_line
from fastreg.table.kinds import LevelIndex
from fastreg.table.raw_rows import RawRows
from fastreg.table.synthetic import SyntheticRows
from fastreg.table.tables import Table, cells_of
from fastreg.table.target import Target

__all__ = ["Teacher"]

# Rows that it gets at once; single rows that are timed, at most, and the seconds for that.
_BLOCK, _TIMED, _SECONDS = 16_384, 50, 1.0
# How far the probabilities of a row may be from a sum of 1, and from 0 and 1.
_CLOSE = 1e-3
_LARGEST = 1e300

Answers = NDArray[Any]


class Teacher:
    """A model that answers for rows.

    Args:
        model: An object with ``predict_proba`` or ``predict``, or a function.
        rows: The rows in the form in which it takes them.
        task: "classification" or "regression"; None decides by its answers.
        names: The columns that it takes, in order, where it does not name them itself; None for all of the rows.

    Attributes:
        rows: The rows.
        names: The columns that it takes, in order.
        target: What it gives, once that is understood.

    Raises:
        TypeError: If it has no such method.
        ValueError: If it was fitted on columns that the rows lack, or on another number of columns.
    """

    def __init__(
        self, model: Any, rows: RawRows, task: str | None = None, names: tuple[str, ...] | None = None
    ) -> None:
        self.rows, self._task = rows, task
        self._method, self._call = _method(model, task)
        given = getattr(model, "feature_names_in_", None)
        count = getattr(model, "n_features_in_", None)
        self._as_frame, self._as_array = given is not None, given is None and count is not None
        own = rows.names if names is None else names
        self.names: tuple[str, ...] = own if given is None else tuple(map(str, given))
        if lacking := [name for name in self.names if name not in rows.names]:
            raise ValueError(f"teacher: the table lacks columns that it was fitted on: {', '.join(lacking[:5])}")
        if self._as_array and count != len(self.names):
            raise ValueError(
                f"teacher: it was fitted on an array of {count} columns, the table has {len(self.names)} without the "
                "target; ignore= leaves some out"
            )
        found = getattr(model, "classes_", None)
        self._classes: Sequence[Any] | None = None if found is None else list(found)
        self._is_scored = self._method == "predict_proba"
        # The names of the columns of its answers, where these are a frame.
        self._named: tuple[str, ...] = ()
        self._order = np.zeros(0, np.int64)
        self.target: Target

    # What it says.

    def raw(self, rows: NDArray[np.int64]) -> Answers:
        """Its answers for rows of the table, as they are."""
        blocks = (rows[i : i + _BLOCK] for i in range(0, len(rows), _BLOCK))
        return np.concatenate([self._asked(self.rows.rows(part, self.names), len(part)) for part in blocks])

    def raw_of(self, synthetic: SyntheticRows, features: Sequence[str]) -> Answers:
        """Its answers for rows that were made."""
        count = len(synthetic.base)
        slices = [slice(i, min(i + _BLOCK, count)) for i in range(0, count, _BLOCK)]
        found = [self.rows.made(synthetic, features, part, self.names) for part in slices]
        asked = zip(found, slices, strict=True)
        return np.concatenate([self._asked(table, part.stop - part.start) for table, part in asked])

    def seconds(self, rows: NDArray[np.int64]) -> float:
        """The median of its seconds for one row of the table, given the numbers of some."""
        timed: list[float] = []
        for i in range(_TIMED + 1):
            row = self._formed(self.rows.rows(rows[[i % len(rows)]], self.names))
            begun = time.perf_counter()
            self._call(row)
            timed.append(time.perf_counter() - begun)
            if i and sum(timed) > _SECONDS:
                break
        return statistics.median(timed[1:])

    def _formed(self, table: Any) -> Any:
        if self._as_array:
            return self.rows.array(table, self.names)
        return self.rows.frame(table) if self._as_frame else table

    def _asked(self, table: Any, count: int) -> Answers:
        given = self._formed(table)
        try:
            found = self._call(given)
        except Exception as error:  # of a model that is not ours
            told = f"{type(error).__name__}: {one_line(error)}"
            raise ValueError(f"teacher: {self._method} failed for {count} rows: {told}") from error
        self._named = tuple(map(str, getattr(found, "column_names", getattr(found, "columns", ()))))
        answers = np.asarray(found.to_numpy() if hasattr(found, "to_numpy") else found)
        if answers.ndim == 0 or len(answers) != count:
            raise ValueError(
                f"teacher: {self._method} must give an answer for each of {count} rows, got shape {answers.shape}"
            )
        if answers.ndim == 2 and answers.shape[1] == 1:
            answers = answers[:, 0]
        if answers.ndim > 2 or (answers.ndim == 2 and (self._task == "regression" or answers.dtype.kind not in "iuf")):
            raise ValueError(f"teacher: {self._method} must give one number or class a row, got shape {answers.shape}")
        if answers.dtype.kind == "f" and (wrong := int(np.sum(~np.isfinite(answers).reshape(count, -1).all(axis=1)))):
            raise ValueError(f"teacher: {self._method} must give finite numbers, {wrong} of {count} rows have others")
        return answers

    # What that means.

    def understand(self, answers: Answers, name: str, classes: Sequence[Any] | None, known: Target | None) -> None:
        """Finds out the target from the answers for all rows of the table: numbers, probabilities or labels.

        Args:
            answers: What :meth:`raw` gives.
            name: The name of the target.
            classes: The classes in the order of the probabilities; None for those of the model.
            known: The true target, whose classes name those of a function of probabilities; None without one.

        Raises:
            ValueError: If the classes do not fit the answers, or all answers are equal.
        """
        is_given = classes is not None
        classes = self._classes if classes is None else list(classes)
        is_table = answers.ndim == 2
        is_shares = is_table or (
            self._method == "predict_proba" and self._task != "regression" and answers.dtype.kind in "iuf"
        )
        is_labels = not is_shares and (
            answers.dtype.kind not in "iuf"
            or (self._task != "regression" and self._classes is not None)
            or (self._task == "classification" and answers.dtype.kind != "f")
        )
        if not is_shares and not is_labels and self._task != "classification":
            self._is_scored = False
            self.target = _target(name, answers.astype(np.float64), "regression")
            return
        self._is_scored = not is_labels
        count = answers.shape[1] if is_table else 2
        if classes is None and is_labels:
            classes = list(dict.fromkeys(answers.tolist()))
        elif classes is None and known is not None and known.labels is not None and len(known.labels) == count:
            classes = list(known.classes)
        if is_table and not is_given:
            classes = self._in_named_order(classes)
        if classes is None:
            raise ValueError(f"teacher: classes must name the {count} classes of its probabilities, in order, got None")
        texts = [text_of(value) or "" for value in classes]
        if not is_labels and len(texts) != count:
            raise ValueError(f"teacher: it gives probabilities of {count} classes, classes names {len(texts)}")
        self.target = _target(name, classes, "classification")
        labels = list(self.target.labels or ())
        if sorted(labels) != sorted(texts):
            raise ValueError(f"teacher: classes must be different and not missing, got {texts}")
        self._order = np.array([texts.index(label) for label in labels])
        if is_labels:
            self._levels = LevelIndex(labels)

    def _in_named_order(self, classes: Sequence[Any] | None) -> Sequence[Any] | None:
        """The classes in the order of a frame's columns, where these are named after classes."""
        if classes is None:
            is_numbered = self._named == tuple(map(str, range(len(self._named))))
            return None if is_numbered else list(self._named)
        by_text = {text_of(value) or "": value for value in classes}
        return [by_text[name] for name in self._named] if sorted(by_text) == sorted(self._named) else classes

    def targets(self, answers: Answers) -> NDArray[np.float32]:
        """The answers as soft targets: standardised numbers, or probabilities, as ``TrainingRows`` has them.

        Raises:
            ValueError: If numbers are too large, or probabilities none.
        """
        if self.target.labels is None:
            values = answers.astype(np.float64)
            if (np.abs(values) > _LARGEST).any():
                raise ValueError(f"teacher: {self._method} must give numbers below {_LARGEST:g} in size")
            return ((values - self.target.mean) / self.target.scale).astype(np.float32)
        shares = self._shares(answers)
        return shares[:, 1] if shares.shape[1] == 2 else shares

    def _shares(self, answers: Answers) -> NDArray[np.float32]:
        """The probability of each class, (n, classes), in the order of the labels."""
        if not self._is_scored:
            texts, index = cells_of(answers).distinct()
            levels = [self._levels.find(text) for text in texts]
            if unknown := [text for text, level in zip(texts, levels, strict=True) if level is None]:
                raise ValueError(
                    f"teacher: {self._method} gave {unknown[0]!r}, which is not among its classes "
                    f"{shown(self.target.labels or ())}; classes= names all of them"
                )
            if (index < 0).any():
                raise ValueError(f"teacher: {self._method} must give a class for each row, got missing ones")
            places = np.array(levels, np.int64)[index]
            return np.eye(len(self.target.labels or ()), dtype=np.float32)[places]
        shares = answers.astype(np.float64)
        shares = np.column_stack([1.0 - shares, shares]) if shares.ndim == 1 else shares
        wrong = (shares < -_CLOSE).any(axis=1) | (np.abs(shares.sum(axis=1) - 1.0) > _CLOSE)
        if wrong.any():
            row = answers[int(np.argmax(wrong))]
            raise ValueError(f"teacher: {self._method} must give probabilities with the sum 1, got {row.tolist()}")
        shares = np.clip(shares, 0.0, 1.0)
        shares /= shares.sum(axis=1, keepdims=True)
        found: NDArray[np.float32] = shares[:, self._order].astype(np.float32)
        return found


def _method(model: Any, task: str | None) -> tuple[str, Callable[[Any], Any]]:
    """The name of what is called, and what is called."""
    names = ("predict",) if task == "regression" else ("predict_proba", "predict")
    for name in names:
        if callable(found := getattr(model, name, None)) and not isinstance(model, type):
            return name, found
    if callable(model) and not isinstance(model, type):
        return getattr(model, "__name__", "it"), model
    raise TypeError(f"teacher: it must have predict_proba or predict, or be a function, got {describe(model)}")


def _target(name: str, values: Any, task: str) -> Target:
    try:
        found = Table({name: cells_of(np.asarray(values) if not isinstance(values, list) else values)})
        return Target.infer(found, name, task)
    except ValueError as error:
        raise ValueError(f"teacher: its answers cannot be learned: {error}") from error
