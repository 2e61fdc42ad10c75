"""The networks that learn a table: how one is built, and how one without a recipe is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastreg import callbacks, layers, losses, optimizers, schedules
from fastreg.model.sequential import Sequential
from fastreg.table.candidates import Candidate
from fastreg.table.schema import Target

__all__ = ["EPOCHS", "PATIENCE", "builder", "fit_arguments", "network"]

EPOCHS, PATIENCE = 100, 5
# The waves of the learning rate.
_CYCLES = 4


def builder(target: Target) -> Callable[[Mapping[str, Any]], Sequential]:
    """From parameters to a compiled network."""
    units, activation, loss, metric = _head(target)

    def build(params: Mapping[str, Any]) -> Sequential:
        stack: list[layers.Layer] = []
        for _ in range(params["n_layers"]):
            stack += [layers.Dense(params["units"], activation="relu"), layers.Dropout(params["dropout"])]
        model = Sequential([*stack, layers.Dense(units, activation=activation)])
        optimizer = optimizers.AdamW(params["learning_rate"], weight_decay=params["weight_decay"])
        model.compile(optimizer, loss, [metric])
        return model

    return build


def network(target: Target, candidate: Candidate, seed: int, quantiles: Sequence[float] = ()) -> Sequential:
    """The compiled network of a candidate; its learning rate follows the schedule over the whole of a fit.

    With ``quantiles`` it gives these of a number, in place of its mean.
    """
    units, activation, loss, _ = _head(target)
    chosen: str | losses.Loss = loss
    if quantiles:
        units, chosen = len(quantiles), losses.Quantile(quantiles)
    stack: list[layers.Layer] = []
    for _ in range(candidate.layers):
        stack.append(layers.Dense(candidate.width, activation=candidate.activation))
        if candidate.dropout:
            stack.append(layers.Dropout(candidate.dropout))
    model = Sequential([*stack, layers.Dense(units, activation=activation)], seed=seed)
    rate = schedules.CosLog(candidate.rate, schedules.Share(1.0), _CYCLES)
    model.compile(optimizers.AdamW(rate, weight_decay=candidate.decay), chosen)
    return model


def _head(target: Target) -> tuple[int, str, str, str]:
    """Units and activation of the last layer, the loss and a metric."""
    return {
        "regression": (1, "linear", "mean_squared_error", "mse"),
        "binary": (1, "sigmoid", "binary_crossentropy", "accuracy"),
        "multiclass": (len(target.labels or ()), "softmax", "sparse_categorical_crossentropy", "accuracy"),
    }[target.task]


def fit_arguments(n_rows: int) -> dict[str, Any]:
    """What ``fit`` gets besides the rows, by their number."""
    return {
        "epochs": EPOCHS,
        "batch_size": 32 if n_rows < 2_000 else 128 if n_rows < 10_000 else 256,
        "callbacks": [callbacks.EarlyStopping("val_loss", patience=PATIENCE)],
    }
