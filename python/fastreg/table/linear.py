"""A linear model of a table: what there is before a search, and what is left where a search finds no network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks
from fastreg.data.stratification import first_of_each, quotas
from fastreg.model.sequential import Sequential
from fastreg.table.encoder import TableEncoder
from fastreg.table.model import TableModel
from fastreg.table.networks import builder, fit_arguments
from fastreg.table.schema import Schema
from fastreg.table.target import Target
from fastreg.table.training import TrainingRows

__all__ = ["linear_model", "linear_table_model"]

# The share of the time for everything that it gets.
_SHARE = 0.05
# A linear model has few weights: many short epochs cost little, and tell when to stop.
_EPOCHS, _PATIENCE, _VALIDATION, _LEAST_ROWS = 200, 10, 0.15, 20
_PARAMS = {"n_layers": 0, "units": 0, "dropout": 0.0, "learning_rate": 0.01, "weight_decay": 0.01}
# It gets this many seconds, even if the search then has less than it was promised.
_LEAST_SECONDS = 1.0


def linear_table_model(schema: Schema, rows: TrainingRows, seed: int, time: float | None) -> TableModel:
    """The linear model of a table, whose numeric columns have no bins.

    Args:
        schema: The columns.
        rows: The rows to learn from.
        seed: The seed of :func:`linear_model`.
        time: The seconds for everything, of which it takes a small share, or one second if that is more; None for no
            limit.
    """
    encoder = TableEncoder(rows.kinds, n_bins=0, documents=rows.documents).fit(rows.codes)
    seconds = None if time is None else _SHARE * time
    model = linear_model(rows.target, encoder.transform(rows.codes), rows.y, seed, seconds, rows.weights)
    return TableModel(schema, (encoder.without_documents(),), model, rows.target)


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
