"""How much a network relies on each column of a user's table, however many features the column was encoded as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.diagnosis.importance import Importance, permutation_importance
from fastreg.table.model import TableModel

__all__ = ["column_importance"]

_REPEATS, _REPEATS_OF_MANY, _MANY = 5, 3, 100
# Multiplications to spend at most, which are some seconds; but rows are never fewer than _LEAST_ROWS.
_WORK, _LEAST_ROWS, _MOST_ROWS = 5e10, 200, 5000


class _OfColumns:
    """The model as a function of where each column's cells come from, so that a column is shuffled as a whole.

    Args:
        model: The model.
        features: Encoded rows for each of its inputs.
    """

    def __init__(self, model: TableModel, features: Sequence[NDArray[np.float32]]) -> None:
        self._model, self._features = model, features
        self._in_order = np.arange(len(features[0]))
        self._ends = [np.cumsum([0, *encoder.widths]).tolist() for encoder in model.encoders]

    def outputs(self, sources: NDArray[np.int64]) -> NDArray[np.float32]:
        """Outputs of rows whose cells come from other rows: ``sources`` has the row of each cell, (rows, columns)."""
        moved = [j for j in range(sources.shape[1]) if not np.array_equal(sources[:, j], self._in_order)]
        mixed = []
        for part, ends in zip(self._features, self._ends, strict=True):
            made = part.copy()
            for j in moved:
                begin, end = ends[j], ends[j + 1]
                made[:, begin:end] = part[sources[:, j], begin:end]
            mixed.append(made)
        return self._model.outputs_of(mixed)


def column_importance(
    model: TableModel,
    features: Sequence[NDArray[np.float32]],
    names: Sequence[str],
    truth: NDArray[Any],
    score: Callable[[NDArray[np.float32], NDArray[Any]], float],
    metric: str,
    seed: int,
) -> Importance:
    """What the score loses if the cells of one column are shuffled, for each column.

    Args:
        model: The model.
        features: Encoded rows that it was not trained on, for each of its inputs.
        names: The names of the columns of the table.
        truth: The targets of the rows.
        score: From outputs and targets to a score that is better if it is higher.
        metric: The name of the score.
        seed: The seed of the rows, if there are too many, and of the shuffling.
    """
    repeats = _REPEATS if len(names) <= _MANY else _REPEATS_OF_MANY
    affordable = int(_WORK / (model.model.count_params() * len(names) * repeats))
    most = min(max(affordable, _LEAST_ROWS), _MOST_ROWS)
    if len(truth) > most:
        kept = np.sort(np.random.default_rng(seed).permutation(len(truth))[:most])
        features, truth = [part[kept] for part in features], truth[kept]
    sources = np.tile(np.arange(len(truth))[:, None], (1, len(names)))

    def scored(of_columns: _OfColumns, cells: NDArray[np.int64], targets: NDArray[Any]) -> float:
        return score(of_columns.outputs(cells), targets)

    found = permutation_importance(
        _OfColumns(model, features), sources, truth, scoring=scored, n_repeats=repeats, seed=seed
    )
    return Importance(found.importances, list(names), found.baseline, metric)
