"""The networks that are searched: their space, how one is built, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastreg import callbacks, layers, optimizers, search
from fastreg.model.sequential import Sequential
from fastreg.table.schema import Target

__all__ = ["EPOCHS", "PATIENCE", "builder", "fit_arguments", "scoring", "space"]

EPOCHS, PATIENCE = 100, 5


def scoring(target: Target) -> list[str]:
    """The metrics; the first decides. A cross-entropy tells networks apart that differ by chance in accuracy."""
    return ["mse"] if target.task == "regression" else ["loss", "accuracy"]


def space() -> Mapping[str, Any]:
    """What is searched."""
    return {
        "n_layers": search.Integer(1, 3),
        "units": search.Integer(32, 256, step=32),
        "dropout": search.Uniform(0.0, 0.6),
        "learning_rate": search.LogUniform(3e-4, 5e-3),
        "weight_decay": search.LogUniform(1e-4, 0.3),
    }


def builder(target: Target) -> Callable[[Mapping[str, Any]], Sequential]:
    """From parameters to a compiled network."""
    units, activation, loss, metric = {
        "regression": (1, "linear", "mean_squared_error", "mse"),
        "binary": (1, "sigmoid", "binary_crossentropy", "accuracy"),
        "multiclass": (len(target.labels or ()), "softmax", "sparse_categorical_crossentropy", "accuracy"),
    }[target.task]

    def build(params: Mapping[str, Any]) -> Sequential:
        stack: list[layers.Layer] = []
        for _ in range(params["n_layers"]):
            stack += [layers.Dense(params["units"], activation="relu"), layers.Dropout(params["dropout"])]
        model = Sequential([*stack, layers.Dense(units, activation=activation)])
        optimizer = optimizers.AdamW(params["learning_rate"], weight_decay=params["weight_decay"])
        model.compile(optimizer, loss, [metric])
        return model

    return build


def fit_arguments(n_rows: int) -> dict[str, Any]:
    """What ``fit`` gets besides the rows, by their number."""
    return {
        "epochs": EPOCHS,
        "batch_size": 32 if n_rows < 2_000 else 128 if n_rows < 10_000 else 256,
        "callbacks": [callbacks.EarlyStopping("val_loss", patience=PATIENCE)],
    }
