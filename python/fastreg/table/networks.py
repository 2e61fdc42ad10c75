"""The networks that learn a table: how one is built, and how one without a recipe is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks, layers, losses, optimizers, schedules
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential
from fastreg.table.candidates import Candidate
from fastreg.table.realmlp import WAVES, connected, realmlp_layers, realmlp_optimizer
from fastreg.table.realmlp_td import Widths, begun
from fastreg.table.schema import Target
from fastreg.table.tabm import members_network

__all__ = ["EPOCHS", "PATIENCE", "builder", "fit_arguments", "network", "network_of_rows"]

EPOCHS, PATIENCE = 100, 5


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


def network(
    target: Target,
    candidate: Candidate,
    seed: int,
    n_features: int,
    quantiles: Sequence[float] = (),
    columns: Sequence[layers.Column] | None = None,
    soft: bool = False,
) -> Any:
    """The compiled network of a candidate; its learning rate follows the schedule over the whole of a fit.

    It is a ``Sequential``, or a ``Model`` of rows and members if the members of the candidate share kernels.

    Args:
        target: The column to predict.
        candidate: The candidate, of another design than "realmlp_td", which :func:`network_of_rows` builds.
        seed: The seed of the network.
        n_features: The number of features.
        quantiles: The quantiles of a number that the network gives in place of its mean.
        columns: What the features stand for, if the network reads codes in their place.
        soft: Whether the targets of classes are probabilities.
    """
    units, activation, chosen = _goal(target, quantiles, soft)
    hidden = [candidate.width] * candidate.layers
    if candidate.design == "realmlp":
        given = hidden, candidate.activation, n_features, units, activation, candidate.dropout, columns
        model: Model = Sequential(realmlp_layers(*given), seed=seed)
        model.compile(realmlp_optimizer(candidate.rate, candidate.decay), chosen)
        return model
    if candidate.design == "tabm":
        sizes = n_features, units, activation, candidate.members
        model = members_network(hidden, candidate.activation, *sizes, candidate.dropout, seed)
    else:
        model = Sequential(_plain_layers(candidate, units, activation, columns), seed=seed)
    rate = schedules.CosLog(candidate.rate, schedules.Share(1.0), WAVES)
    model.compile(optimizers.AdamW(rate, weight_decay=candidate.decay), chosen)
    return model


def network_of_rows(
    target: Target,
    candidate: Candidate,
    seed: int,
    widths: Widths,
    inputs: Sequence[NDArray[np.float32]],
    quantiles: Sequence[float] = (),
    soft: bool = False,
) -> Model:
    """The compiled network of a candidate of the design "realmlp_td", whose weights begin by the rows it learns from.

    Args:
        target: The column to predict.
        candidate: The candidate.
        seed: The seed of the network, in [0, 2**32).
        widths: What the network reads.
        inputs: The rows, a matrix for each input.
        quantiles: The quantiles of a number that the network gives in place of its mean.
        soft: Whether the targets of classes are probabilities.
    """
    units, activation, chosen = _goal(target, quantiles, soft)
    hidden, random = [candidate.width] * candidate.layers, np.random.RandomState(seed)
    given = widths, inputs, hidden, candidate.activation, units, activation, candidate.rate, random
    model, optimizer = begun(*given, candidate.dropout, candidate.decay)
    model.compile(optimizer, chosen)
    return model


def _goal(target: Target, quantiles: Sequence[float], soft: bool) -> tuple[int, str, str | losses.Loss]:
    """Units and activation of the last layer, and the loss."""
    units, activation, loss, _ = _head(target)
    if quantiles:
        return len(quantiles), activation, losses.Quantile(quantiles)
    return units, activation, "categorical_crossentropy" if soft and target.task == "multiclass" else loss


def _plain_layers(
    candidate: Candidate, units: int, activation: str, columns: Sequence[layers.Column] | None
) -> list[layers.Layer]:
    stack: list[layers.Layer] = []
    for _ in range(candidate.layers):
        stack.append(connected(columns, candidate.width, activation=candidate.activation))
        if candidate.dropout:
            stack.append(layers.Dropout(candidate.dropout))
        columns = None
    return [*stack, connected(columns, units, activation=activation)]


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
