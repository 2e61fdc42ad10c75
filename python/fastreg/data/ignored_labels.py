"""Rows whose label a loss ignores: they weigh nothing."""

from __future__ import annotations

import numpy as np

from fastreg.data import arrays
from fastreg.data.arrays import Floats, Rows, counted
from fastreg.losses import Loss

__all__ = ["share_counted", "weights_of_counted"]


def share_counted(y: object, loss: Loss) -> float:
    """The share of the rows whose label the loss does not ignore; 1 also if it ignores all of them."""
    counts = counted(y, loss)
    return 1.0 if counts is None or not counts.any() else float(np.mean(counts))


def weights_of_counted(
    value: object,
    n_rows: int,
    y: object,
    loss: Loss,
    rows: Rows | None = None,
    name: str = "sample_weight",
    absolute: bool = False,
) -> Floats | None:
    """As :func:`sample_weights`, where rows whose label the loss ignores weigh 0. ``y`` are the targets as given."""
    counts = counted(y, loss)
    weights = None if value is None else arrays.sample_weights(value, n_rows, rows, name, absolute)
    if counts is None:
        return weights
    kept = counts.astype(np.float32) if weights is None else np.where(counts, weights, 0)
    return arrays.sample_weights(kept, n_rows, rows, f"{name} of the rows that ignore_class leaves", absolute)
