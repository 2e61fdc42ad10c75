"""The networks that learn a table: how one is built, and how one without a recipe is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastreg import callbacks, initializers, layers, losses, optimizers, schedules
from fastreg.model.sequential import Sequential
from fastreg.table.candidates import Candidate
from fastreg.table.schema import Target

__all__ = ["EPOCHS", "PATIENCE", "builder", "fit_arguments", "network"]

EPOCHS, PATIENCE = 100, 5
# The waves of the learning rate.
_CYCLES = 4
# RealMLP: factors on the rates of scales and biases, the second beta of Adam, and the last layer's beginning.
_OF_SCALES, _OF_BIASES, _BETA_2 = 6.0, 0.1, 0.95
_ZEROS = {"kernel_initializer": "zeros", "bias_initializer": "zeros"}


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
) -> Sequential:
    """The compiled network of a candidate; its learning rate follows the schedule over the whole of a fit.

    Args:
        target: The column to predict.
        candidate: The candidate.
        seed: The seed of the network.
        n_features: The number of features.
        quantiles: The quantiles of a number that the network gives in place of its mean.
        columns: What the features stand for, if the network reads codes in their place.
        soft: Whether the targets of classes are probabilities.
    """
    units, activation, loss, _ = _head(target)
    chosen: str | losses.Loss = loss
    if soft and target.task == "multiclass":
        chosen = "categorical_crossentropy"
    if quantiles:
        units, chosen = len(quantiles), losses.Quantile(quantiles)
    is_plain = candidate.design == "plain"
    stack: list[layers.Layer] = []
    if not is_plain and columns is None:
        stack.append(layers.Scale(learning_rate_multiplier=_OF_SCALES))
    for i in range(candidate.layers):
        inputs = candidate.width if i else n_features
        given = {} if is_plain else _tangent(inputs) | {"bias_initializer": initializers.RandomNormal(stddev=1.0)}
        read = columns if i == 0 else None
        stack.append(_connected(read, candidate.width, activation=candidate.activation, **given))
        if candidate.dropout:
            stack.append(layers.Dropout(candidate.dropout))
    given = {} if is_plain else _tangent(candidate.width if candidate.layers else n_features)
    read = None if candidate.layers else columns
    stack.append(_connected(read, units, activation=activation, **(given | ({} if is_plain else _ZEROS))))
    model = Sequential(stack, seed=seed)
    rate = schedules.CosLog(candidate.rate, schedules.Share(1.0), _CYCLES)
    beta_2 = 0.999 if is_plain else _BETA_2
    model.compile(optimizers.AdamW(rate, weight_decay=candidate.decay, beta_2=beta_2), chosen)
    return model


def _connected(columns: Sequence[layers.Column] | None, units: int, **options: Any) -> layers.Layer:
    """A fully connected layer, which reads codes if columns are given."""
    return layers.Dense(units, **options) if columns is None else layers.TableInput(units, columns, **options)


def _tangent(inputs: int) -> dict[str, Any]:
    """The neural tangent parametrisation of a dense layer, as Adam sees it: see :data:`candidates.REALMLP_S`."""
    return {
        "kernel_initializer": initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal"),
        "learning_rate_multiplier": {"kernel": inputs**-0.5, "bias": _OF_BIASES},
    }


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
