"""How much a network relies on each column of a user's table, however many features the column was encoded as."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.diagnosis.importance import Importance, permutation_importance
from fastreg.model.sequential import Sequential

__all__ = ["column_importance"]

_REPEATS, _REPEATS_OF_MANY, _MANY = 5, 3, 100
# Multiplications to spend at most, which are some seconds; but rows are never fewer than _LEAST_ROWS.
_WORK, _LEAST_ROWS, _MOST_ROWS = 2e11, 200, 5000


class _OfColumns:
    """The network as a function of where each column's cells come from, so that a column is shuffled as a whole.

    Args:
        model: The network.
        features: Encoded rows.
        spans: The first feature of each column, and the one behind its last.
    """

    def __init__(self, model: Sequential, features: NDArray[np.float32], spans: Sequence[tuple[int, int]]) -> None:
        self._model, self._features, self._spans = model, features, spans
        self._in_order = np.arange(len(features))

    def outputs(self, sources: NDArray[np.int64]) -> NDArray[np.float32]:
        """Outputs of rows whose cells come from other rows: ``sources`` has the row of each cell, (rows, columns)."""
        mixed = self._features.copy()
        for j, (begin, end) in enumerate(self._spans):
            if not np.array_equal(sources[:, j], self._in_order):
                mixed[:, begin:end] = self._features[sources[:, j], begin:end]
        return self._model.predict(mixed, verbose=0)


def column_importance(
    model: Sequential,
    features: NDArray[np.float32],
    columns: Sequence[tuple[str, int]],
    truth: NDArray[Any],
    score: Callable[[NDArray[np.float32], NDArray[Any]], float],
    metric: str,
    seed: int,
) -> Importance:
    """What the score loses if the cells of one column are shuffled, for each column.

    Args:
        model: The network.
        features: Encoded rows that it was not trained on.
        columns: The name of each column of the table, and the number of its features.
        truth: The targets of the rows.
        score: From outputs and targets to a score that is better if it is higher.
        metric: The name of the score.
        seed: The seed of the rows, if there are too many, and of the shuffling.
    """
    ends = np.cumsum([width for _, width in columns]).tolist()
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    repeats = _REPEATS if len(columns) <= _MANY else _REPEATS_OF_MANY
    affordable = int(_WORK / (model.count_params() * len(columns) * repeats))
    most = min(max(affordable, _LEAST_ROWS), _MOST_ROWS)
    if len(features) > most:
        kept = np.sort(np.random.default_rng(seed).permutation(len(features))[:most])
        features, truth = features[kept], truth[kept]
    sources = np.tile(np.arange(len(features))[:, None], (1, len(columns)))

    def scored(of_columns: _OfColumns, cells: NDArray[np.int64], targets: NDArray[Any]) -> float:
        return score(of_columns.outputs(cells), targets)

    found = permutation_importance(
        _OfColumns(model, features, spans), sources, truth, scoring=scored, n_repeats=repeats, seed=seed
    )
    return Importance(found.importances, [name for name, _ in columns], found.baseline, metric)
