"""What predicts without looking at a row, as a yardstick of models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.schema import Target

__all__ = ["constant_outputs"]


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
