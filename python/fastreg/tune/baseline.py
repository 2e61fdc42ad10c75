"""The models that a tuned network is compared with: a constant, and a linear model.

The linear model is trained before the search, so that there is a model however early the search ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks
from fastreg.data.stratification import first_of_each, quotas
from fastreg.model.sequential import Sequential
from fastreg.table.networks import builder, fit_arguments
from fastreg.table.schema import Target

__all__ = ["constant_outputs", "linear_model"]

# A linear model has few weights: many short epochs cost little, and tell when to stop.
_EPOCHS, _PATIENCE, _VALIDATION, _LEAST_ROWS = 200, 10, 0.15, 20
_PARAMS = {"n_layers": 0, "units": 0, "dropout": 0.0, "learning_rate": 0.01, "weight_decay": 0.01}
# It gets this many seconds, even if the search then has less than it was promised.
_LEAST_SECONDS = 1.0


def constant_outputs(target: Target, y: NDArray[Any], n: int) -> tuple[str, NDArray[np.float32]]:
    """What predicts without looking: the shares of the training rows' classes, or their mean; with its description.

    Args:
        target: The column to predict.
        y: The targets of the training rows, encoded.
        n: The number of rows to predict.
    """
    if target.labels is None:
        return "the mean", np.full((n, 1), np.mean(y, dtype=np.float64), np.float32)
    shares = np.bincount(y, minlength=len(target.labels)).astype(np.float32) / len(y)
    return f"always {target.labels[int(np.argmax(shares))]!r}", np.tile(shares, (n, 1))


def linear_model(
    target: Target,
    features: NDArray[np.float32],
    y: NDArray[Any],
    seed: int,
    seconds: float | None,
    weights: NDArray[np.float64] | None = None,
) -> Sequential:
    """A single dense layer with weight decay, trained from zeros until the rows that it does not see get no better.

    Args:
        target: The column to predict.
        features: The encoded training rows.
        y: Their targets, encoded.
        seed: The seed of the rows that it does not see, and of the order of the others.
        seconds: The longest time to train; None for no limit.
        weights: The weights of the rows; None weighs all alike.
    """
    model = builder(target)(_PARAMS)
    model.seed = seed
    model.build(features.shape[1])
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    stops: list[callbacks.Callback] = []
    if seconds is not None:
        stops.append(callbacks.TimeLimit(max(seconds, _LEAST_SECONDS)))
    given = fit_arguments(len(y)) | {"epochs": _EPOCHS, "callbacks": stops}
    if len(y) >= _LEAST_ROWS:
        stops.append(callbacks.EarlyStopping("val_loss", patience=_PATIENCE, restore_best_weights=True))
        given["validation_rows"] = _held_out(target, y, seed)
    model.fit(features, y, sample_weight=weights, verbose=0, **given)
    return model


def _held_out(target: Target, y: NDArray[Any], seed: int) -> NDArray[np.int64]:
    """Rows to stop by, drawn by the seed; of each class its share, and none of one with too few rows."""
    labels = np.zeros(len(y), np.int64) if target.labels is None else y.astype(np.int64)
    counts = np.bincount(labels)
    order = np.random.default_rng(seed).permutation(len(y))
    total = max(int(_VALIDATION * len(y)), 1)
    taken = first_of_each(order, labels, quotas(counts, total))
    return np.flatnonzero(taken)
