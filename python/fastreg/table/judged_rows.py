"""The rows that candidates are judged by, and whether the order of the table makes them easier than later rows are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import search
from fastreg.search.folds.cross_validation import make_folds
from fastreg.table.recipe import Recipe
from fastreg.table.target import Target
from fastreg.table.training import TrainingRows

__all__ = ["ALIKE", "Fold", "folds_of", "neighbours_alike"]

Fold = tuple[NDArray[Any], NDArray[Any]]

#: The order of a table's rows matters if the errors of neighbouring rows have a correlation of at least this.
ALIKE = 0.3
# The correlation must also be at least this many of its standard errors.
_ERRORS = 5.0


def folds_of(rows: TrainingRows, recipe: Recipe, seed: int) -> list[Fold]:
    """The rows to train on and those to judge by, with respect to classes, groups or the order of time."""
    n_splits = recipe.n_splits(len(rows.y))
    held_out = 1.0 / recipe.folds
    if rows.in_time and n_splits is None:
        cv: Any = search.TimeSeriesSplit(1, test_size=max(int(held_out * len(rows.y)), 1))
    elif rows.in_time:
        cv = search.TimeSeriesSplit(n_splits or recipe.folds)
    elif rows.groups is not None:
        cv = search.GroupKFold(min(n_splits or recipe.folds, len(np.unique(rows.groups))))
    else:
        cv = held_out if n_splits is None else min(n_splits, len(rows.y))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "cv: (class number|fold) ")  # rare classes, which tune names
        classes = rows.target.labels is not None and not rows.is_soft
        found: list[Fold] = list(make_folds(cv, None, rows.y, rows.groups, seed, classes))
    return found[:1] if n_splits is None else found


def neighbours_alike(target: Target, scored: NDArray[Any], truth: NDArray[Any], outputs: NDArray[np.float32]) -> float:
    r"""The correlation of the errors of a model for neighbouring rows, if the order of the rows matters; otherwise 0.

    With errors :math:`e_1, \dots, e_n` in the order of the table, for classes vectors of probabilities, it is

    .. math:: r = \sum_{i < n} e_i \cdot e_{i + 1} \Big/ \sum_i e_i \cdot e_i

    In a table whose rows have no order it has a mean of 0 and a standard error of about :math:`1 / \sqrt n`. The order
    matters if it is at least 0.3 and at least five standard errors. Then neighbouring rows have something in common
    that the model does not know from the columns, and a row between two training rows is easier to predict than one
    that comes after all of them.

    Args:
        target: The column to predict.
        scored: The numbers of the rows that the model was not trained on, each once.
        truth: Their targets, as :class:`TrainingRows` has them.
        outputs: The outputs of the model for them, (n, outputs).
    """
    order = np.argsort(scored)
    errors = _without(outputs[order], truth[order], truth.dtype.kind != "f" and target.task == "multiclass")
    whole = _sum_of_products(errors, errors)
    if not 0.0 < whole < np.inf:
        return 0.0
    found = _sum_of_products(errors[1:], errors[:-1]) / whole
    return found if found >= max(ALIKE, _ERRORS / np.sqrt(len(errors))) else 0.0


def _without(outputs: NDArray[np.float32], truth: NDArray[Any], are_classes: bool) -> NDArray[np.float32]:
    """The errors of outputs, in their place."""
    if are_classes:
        outputs[np.arange(len(truth)), truth] -= 1.0
    else:
        outputs -= truth.reshape(len(truth), -1)
    return outputs


def _sum_of_products(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """The sum in float64, a column at a time: there may be many rows and many classes."""
    columns = (np.dot(a[:, j].astype(np.float64), b[:, j]) for j in range(a.shape[1]))
    return float(sum(columns))
