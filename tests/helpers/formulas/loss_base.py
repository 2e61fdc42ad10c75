"""What the losses of the oracle share: their base, clipping, smoothing, shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from formulas import Formula

# Probabilities are clipped in float32 arithmetic; 1 - 1e-7 is not a float32 number, so its neighbour counts.
CLIP_LOW = float(np.float32(1e-7))
CLIP_HIGH = float(np.float32(1.0) - np.float32(1e-7))
# A row's sum of outputs that is smaller in size is replaced by this before the row is divided by it.
SMALLEST_SUM = float(np.float32(1e-30))


def weighted_mean(values, r=None):
    """0 where no row has a weight."""
    return float(np.average(values, weights=r)) if r is None or np.any(r) else 0.0


def one_hot(labels, n_classes):
    return np.eye(n_classes)[np.asarray(labels).reshape(-1)]


def smoothed(t, smoothing, classes):
    return t * (1.0 - smoothing) + smoothing / classes


def divisor_of_shares(y):
    """The sums of the rows (n, 1), which make shares of outputs that no softmax has made."""
    total = y.sum(axis=1, keepdims=True)
    return np.where(np.abs(total) < SMALLEST_SUM, SMALLEST_SUM, total)


@dataclass(frozen=True)
class Loss(Formula):
    """Base: ``rows(y, t)`` (n,), unweighted, columns averaged where it is element by element; ``row_gradients(y, t)``.

    targets: "values", "counts" (>= 0), "probabilities" (in [0, 1]), "signs" (-1 and 1), "distribution" (rows of shares)
    or "labels" (n,).
    absorbs: the last activation from whose logits it is computed. degree: how it grows with large outputs.
    outputs: "values", or "positive" and "shares" where the formula has a sense only there. heads: outputs for a target.
    """

    targets: ClassVar[str] = "values"
    absorbs: ClassVar[str | None] = None
    degree: ClassVar[int] = 1
    outputs: ClassVar[str] = "values"
    far_from_zero: ClassVar[bool] = False

    @property
    def heads(self):
        return 1

    @property
    def logits(self):
        """Whether y comes before the activation that the loss absorbs."""
        return getattr(self, "from_logits", False)

    def gradient_size(self, y, t):
        """Of what is added up in the gradient of an element, where that is more than the gradient itself."""
        return (1.0 + np.abs(y).max(axis=1, initial=0.0) ** self.degree)[:, None]
