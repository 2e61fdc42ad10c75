"""The result of ``distill``: a network that imitates a model, and how near it comes to that on rows held back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.blending import Blend
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.model import TableModel
from fastreg.table.tables import Table
from fastreg.table.target import Target

__all__ = ["Distillation", "TrueTargets", "agreement", "as_outputs", "compared"]


@dataclass(frozen=True)
class Distillation:
    """A network that imitates a model, and how well it does on rows that it was not trained on.

    Attributes:
        model: The network with its reading of tables. ``model.freeze()`` serves it, ``model.save(path)`` writes it.
        search: What was tried and blended.
        n_rows: The rows of the table that were learned from, and
        n_made: those that were made of them.
        n_test: The rows that were held back.
        agreement: How near its outputs are to those of the teacher on the rows held back: for classes "same class", a
            share of the rows, and "mean difference" of the probabilities; for numbers "RMSE" and "R²".
        scores: With true targets, scores on the rows held back, by "teacher", "student" and "plain network" (the same
            recipe on the true targets): for classes "log-loss" and "accuracy", for numbers "RMSE" and "R²".
        gap_closed: (plain - student) / (plain - teacher) in log-loss, or mean squared error: 1 if the student is as
            good as the teacher, 0 if it is as good as the plain network. None without these, or if the teacher is no
            better than the plain network.
        teacher_seconds: The median of the teacher's seconds for one row, and
        row_seconds: that of the frozen network, from a row of codes to the prediction.
        seconds: The seconds of everything.
    """

    model: TableModel
    search: Blend
    n_rows: int
    n_made: int
    n_test: int
    agreement: Mapping[str, float]
    scores: Mapping[str, Mapping[str, float]]
    gap_closed: float | None
    teacher_seconds: float
    row_seconds: float
    seconds: float

    def predict(self, table: Any) -> NDArray[Any]:
        """The most probable class of each row, or its number, (n,)."""
        outputs, target = self.model.outputs(table), self.model.target
        if target.labels is None:
            return target.values(outputs)
        chosen: NDArray[Any] = target.classes[np.argmax(target.probabilities(outputs), axis=1)]
        return chosen

    def predict_proba(self, table: Any) -> NDArray[np.float32]:
        """The probability of each class, (n, classes), in the order of ``model.target.classes``.

        Raises:
            ValueError: If the teacher gave numbers.
        """
        if self.model.target.labels is None:
            raise ValueError("Distillation: predict_proba needs a teacher of classes, this one gave numbers")
        return self.model.target.probabilities(self.model.outputs(table))


@dataclass(frozen=True)
class TrueTargets:
    """The column with true targets.

    Attributes:
        target: It, as the plain network learns it.
        rows: The rows that the plain network learns from, and
        y: their targets.
        scored: Which of the rows that are held back have one, and
        values: these: numbers in the unit of the table, or indices of classes.
    """

    target: Target
    rows: NDArray[np.bool_]
    y: NDArray[Any]
    scored: NDArray[np.bool_]
    values: NDArray[Any]


def as_outputs(soft: NDArray[np.float32]) -> NDArray[np.float32]:
    """Soft targets in the form of outputs of a network."""
    return soft[:, None] if soft.ndim == 1 else soft


def agreement(target: Target, student: NDArray[np.float32], teacher: NDArray[np.float32]) -> dict[str, float]:
    """How near the outputs of a student are to those of its teacher, as :class:`Distillation` has it."""
    if target.labels is None:
        return _of_numbers(target.values(student), target.values(teacher))
    own, given = target.probabilities(student), target.probabilities(teacher)
    same = np.mean(np.argmax(own, axis=1) == np.argmax(given, axis=1))
    return {"same class": float(same), "mean difference": float(np.mean(np.abs(own - given), dtype=np.float64))}


def _of_numbers(found: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    squares, spread = np.mean((found - truth) ** 2), np.var(truth)
    return {"RMSE": math.sqrt(squares), "R²": float(1.0 - squares / spread) if spread > 0.0 else math.nan}


def compared(
    target: Target,
    shares: Mapping[str, NDArray[np.float32]],
    plain: TableModel | None,
    truth: TrueTargets | None,
    tested: Table,
) -> tuple[dict[str, dict[str, float]], float | None]:
    """The scores by the true targets, and the share of the gap that is closed."""
    if truth is None:
        return {}, None
    outputs = {name: (target, found[truth.scored]) for name, found in shares.items()}
    if plain is not None:
        outputs["plain network"] = truth.target, plain.outputs(tested)[truth.scored]
    scores: dict[str, dict[str, float]] = {}
    losses: dict[str, float] = {}
    for name, (own, found) in outputs.items():
        if target.labels is None:
            scores[name] = _of_numbers(own.values(found), truth.values)
            losses[name] = scores[name]["RMSE"] ** 2
        else:
            chosen = ChosenMetric(target)
            losses[name] = chosen.loss(chosen.parts(found, truth.values), truth.values, None)
            right = np.mean(np.argmax(target.probabilities(found), axis=1) == truth.values)
            scores[name] = {"log-loss": losses[name], "accuracy": float(right)}
    gap = None
    if plain is not None and losses["plain network"] > losses["teacher"]:
        student, best = losses["student"], losses["teacher"]
        gap = (losses["plain network"] - student) / (losses["plain network"] - best)
    return scores, gap
