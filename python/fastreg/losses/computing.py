"""Losses outside of a fit: the core computes the value of each row, and the values become one number as in Keras."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.data import arrays
from fastreg.internal.float32 import in_float32
from fastreg.losses.base import Loss

__all__ = ["loss_of_converted", "reduced", "row_values"]

Floats = NDArray[np.float32]


@lru_cache
def _json_of(loss: Loss) -> str:
    return json.dumps(loss.to_config())


def loss_of_converted(
    loss: Loss, y: Floats, target: NDArray[Any], weight: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Losses, gradient and outputs for targets in the form that the core reads, as ``data/arrays.py`` makes them."""
    if not loss.in_files:
        return _of_function(loss, y, target, weight)
    return _core.loss(_json_of(loss), y, target, weight)


def _of_function(loss: Any, y: Floats, target: NDArray[Any], weight: Floats | None) -> tuple[Floats, Floats, Floats]:
    values, gradient = loss.of_rows(target.copy(), y.copy())
    weights = np.ones(len(y), np.float64) if weight is None else weight.astype(np.float64)
    total = weights.sum()
    shares = weights / total if total > 0 else weights
    return values, (gradient * shares[:, None]).astype(np.float32), y.copy()


def row_values(loss: Loss, y_true: object, y_pred: object) -> Floats:
    """The loss of each row: an array whose shape is that of ``y_pred`` without the last dimension."""
    return _rows(loss, y_true, y_pred)[0]


def reduced(loss: Loss, y_true: object, y_pred: object, sample_weight: object) -> Any:
    """The loss as ``loss.reduction`` wants it."""
    values, counts = _rows(loss, y_true, y_pred)
    weights: NDArray[Any] | None = None
    if sample_weight is not None:
        weights = arrays.numeric(sample_weight, "sample_weight").astype(np.float64)
        if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
            weights = weights[..., 0]
        _check_weights(weights, values)
    whole = loss.reduction in ("mean", "sum_over_batch_size")
    if counts is not None:
        # The mean is that of the rows that count.
        share = counts.size / max(int(counts.sum()), 1) if whole else 1.0
        weights = counts * share if weights is None else weights * (counts * share)
    found = values.astype(np.float64) if weights is None else values * weights
    if loss.reduction in ("none", None) or found.ndim == 0:
        return found.astype(np.float32)[()]
    if loss.reduction == "sum":
        return np.float32(found.sum())
    divisor = found.size if whole or weights is None else weights.sum()
    return np.float32(found.sum() / divisor if divisor > 0 else 0.0)


def _check_weights(weights: NDArray[Any], values: Floats) -> None:
    try:
        np.broadcast(weights, values)
    except ValueError:
        rule = f"must have shape {values.shape}, one for each row"
        raise ValueError(f"sample_weight: {rule}, got {weights.shape}") from None
    if not bool((weights >= 0).all()) or not bool(np.isfinite(weights).all()):
        raise ValueError("sample_weight: must be finite and >= 0")


def _rows(loss: Loss, y_true: object, y_pred: object) -> tuple[Floats, NDArray[np.bool_] | None]:
    """The loss of each row, and whether each counts; None if all do."""
    outputs, targets = arrays.numeric(y_pred, "y_pred"), arrays.numeric(y_true, "y_true")
    if outputs.ndim == 0:
        raise ValueError("y_pred: must be rows of outputs, got a single number")
    outputs, targets = _same_rank(loss, outputs, targets)
    shape, width = outputs.shape[:-1], outputs.shape[-1]
    rows = outputs.reshape(-1, width)
    if loss.targets == "labels":
        if targets.shape == (*shape, 1):
            targets = targets[..., 0]
        if targets.shape != shape:
            raise ValueError(f"y_true: {loss.key} needs labels of shape {shape}, got {targets.shape}")
        targets = targets.reshape(-1)
    elif targets.ndim == outputs.ndim:
        if targets.shape[:-1] != shape:
            raise ValueError(f"y_true: must have shape {outputs.shape}, as y_pred, got {targets.shape}")
        targets = targets.reshape(len(rows), -1)
    converted: Any = arrays.targets(targets, loss, len(rows), width, "y_true")
    counts = arrays.counted(targets, loss)
    values = loss_of_converted(loss, in_float32(rows, "y_pred:"), converted)[0].reshape(shape)
    if counts is None:
        return values, None
    counts = counts.reshape(shape)
    return np.where(counts, values, np.float32(0.0)), counts


def _same_rank(loss: Loss, outputs: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A last dimension of 1 that only one of the two has is added to the other, as in Keras."""
    if loss.targets == "labels":
        return outputs, targets
    if targets.ndim == outputs.ndim - 1 and (outputs.shape[-1] == loss.heads or targets.ndim == 0):
        return outputs, targets[..., None]
    if targets.ndim == outputs.ndim + 1 and targets.shape[-1] == 1:
        return (outputs[..., None], targets) if outputs.ndim == 1 else (outputs, targets[..., 0])
    return outputs, targets
