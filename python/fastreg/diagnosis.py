"""Says in words whether a trained network over-fits or under-fits. Pure functions of scores and loss curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# How far the validation loss may rise above its lowest value, relative to that value.
RISE = 0.10


@dataclass(frozen=True)
class Diagnosis:
    """A verdict, `"good fit"`, `"over-fitting"`, `"under-fitting"` or `"diverged"`, and the figures that led to it."""

    verdict: str
    reason: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


def diagnose(
    train_score: float,
    validation_score: float,
    val_loss: Sequence[float] = (),
    *,
    target: float = 0.9,
    max_gap: float = 0.05,
) -> Diagnosis:
    r"""Judges a fit by its scores (higher is better, such as accuracy or :math:`R^2`) and its validation losses.

    The first rule that applies decides:

    1. diverged, if a score or the last validation loss is not finite;
    2. under-fitting, if ``train_score < target``: the network does not even learn the rows it has seen;
    3. over-fitting, if ``train_score - validation_score > max_gap``, or if the validation loss of the weights that were
       kept is more than 10 % above the lowest of the run: it learns its rows at the cost of others;
    4. a good fit otherwise.

    Args:
        train_score: Score on the training rows, measured as for prediction (no dropout).
        validation_score: Score on rows that were not trained on.
        val_loss: Validation loss after each epoch up to the one whose weights were kept; empty where unknown.
        target: The training score below which a network counts as too weak for its task.
        max_gap: The largest harmless difference of the two scores.

    Raises:
        ValueError: If ``max_gap`` is negative or not a number.

    Example:
        >>> print(diagnose(1.0, 0.91))
        over-fitting: the validation score is 0.0900 below the training score (harmless: 0.0500)
    """
    if not max_gap >= 0:
        raise ValueError(f"diagnose: max_gap must be >= 0, got {max_gap}")
    if not (math.isfinite(train_score) and math.isfinite(validation_score) and all(map(math.isfinite, val_loss[-1:]))):
        return Diagnosis("diverged", "a score or the last validation loss is not finite; lower the learning rate")
    if train_score < target:
        return Diagnosis(
            "under-fitting",
            f"the training score {train_score:.4f} is below {target:.4f}; "
            "train longer, widen the network or regularise less",
        )
    signs = []
    gap = train_score - validation_score
    if gap > max_gap + 1e-9:  # 1.0 - 0.95 is a little more than 0.05
        signs.append(f"the validation score is {gap:.4f} below the training score (harmless: {max_gap:.4f})")
    rise = _rise(val_loss)
    if rise > RISE:
        best = min(range(len(val_loss)), key=val_loss.__getitem__)
        signs.append(f"the validation loss ended {rise:.0%} above its lowest, which was at epoch {best + 1}")
    if signs:
        return Diagnosis("over-fitting", "; ".join(signs))
    side = "below" if gap >= 0 else "above"
    return Diagnosis(
        "good fit",
        f"the validation score is {abs(gap):.4f} {side} the training score and the validation loss did not turn up",
    )


def _rise(losses: Sequence[float]) -> float:
    """How far the last loss is above the lowest, relative to the lowest; 0 for no losses or a lowest of 0."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not finite or min(finite) <= 0:
        return 0.0
    return finite[-1] / min(finite) - 1
