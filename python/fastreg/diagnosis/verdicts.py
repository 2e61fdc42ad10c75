"""Says in words whether a trained network over-fits or under-fits. Pure functions of scores and loss curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, overload

from fastreg.callbacks import directions_of
from fastreg.internal.checks import describe
from fastreg.internal.histories import validation_places

if TYPE_CHECKING:
    from fastreg.callbacks import History

# How far the validation loss may rise above its lowest value, relative to that value.
RISE = 0.10


@dataclass(frozen=True)
class Diagnosis:
    """A verdict, `"good fit"`, `"over-fitting"`, `"under-fitting"` or `"diverged"`, and the figures that led to it."""

    verdict: str
    reason: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


@overload
def diagnose(
    train_score: History | Mapping[str, Sequence[float]],
    *,
    target: float = 0.9,
    max_gap: float = 0.05,
    score: str | None = None,
    best_epoch: int | None = None,
) -> Diagnosis: ...
@overload
def diagnose(
    train_score: float,
    validation_score: float,
    val_loss: Sequence[float] = (),
    *,
    target: float = 0.9,
    max_gap: float = 0.05,
) -> Diagnosis: ...
def diagnose(
    train_score: object,
    validation_score: object = None,
    val_loss: Sequence[float] = (),
    *,
    target: float = 0.9,
    max_gap: float = 0.05,
    score: str | None = None,
    best_epoch: int | None = None,
) -> Diagnosis:
    r"""Judges a fit by its scores (higher is better, such as accuracy or :math:`R^2`) and its validation losses.

    The first rule that applies decides:

    1. diverged, if a score or the last validation loss is not finite;
    2. under-fitting, if ``train_score < target``: the network does not even learn the rows it has seen;
    3. over-fitting, if ``train_score - validation_score > max_gap``, or if the validation loss of the weights that were
       kept is more than 10 % above the lowest of the run: it learns its rows at the cost of others;
    4. a good fit otherwise.

    ``diagnose(history)`` takes all of that from what ``fit`` returned, or its ``history`` dict. Where that has no
    accuracy, the losses decide alone: in place of rule 2, under-fitting is a validation loss that fell by more than
    10 % over the last fifth of the epochs, so that more of them would help.

    Args:
        train_score: Score on the training rows, measured as for prediction (no dropout); or a history with validation
            values, whose training score is measured while training.
        validation_score: Score on rows that were not trained on.
        val_loss: Validation loss after each epoch up to the one whose weights were kept; empty where unknown.
        target: The training score below which a network counts as too weak for its task.
        max_gap: The largest harmless difference of the two scores.
        score: Of a history, the key of the score; None takes the first accuracy.
        best_epoch: Of a history, the epoch, counted from 0 in the lists, whose weights were kept; None is the last.

    Raises:
        ValueError: If ``max_gap`` is negative or not a number, or a history has no validation values or no such key or
            epoch.
        TypeError: If the scores are neither two numbers nor a history.

    Example:
        >>> from fastreg.diagnosis import diagnose
        >>> print(diagnose(1.0, 0.91))
        over-fitting: the validation score is 0.0900 below the training score (harmless: 0.0500)
        >>> print(diagnose({"loss": [0.9, 0.5, 0.2], "val_loss": [0.9, 0.6, 0.9]}))
        over-fitting: the validation loss ended 50% above its lowest, which was at epoch 2
    """
    if not max_gap >= 0:
        raise ValueError(f"diagnose: max_gap must be >= 0, got {max_gap}")
    values: object = getattr(train_score, "history", train_score)
    if isinstance(values, Mapping):
        if validation_score is not None or len(val_loss):
            raise TypeError("diagnose: give a history alone, or two scores and the losses, not both")
        scores, val_loss = _of_history(values, validation_places("diagnose", train_score), score, best_epoch)
    elif isinstance(values, Real) and isinstance(validation_score, Real):
        scores = float(values), float(validation_score)
        if score is not None or best_epoch is not None:
            raise TypeError("diagnose: score and best_epoch go with a history, not with two scores")
    else:
        got = f"{describe(train_score)} and {describe(validation_score)}"
        raise TypeError(f"diagnose: give a history with validation values, or two scores, got {got}")
    if not all(map(math.isfinite, (*(scores or ()), *val_loss[-1:]))):
        return Diagnosis("diverged", "a score or the last validation loss is not finite; lower the learning rate")
    return _judge_losses(val_loss) if scores is None else _judge_scores(*scores, val_loss, target, max_gap)


def _of_history(
    history: Mapping[str, Sequence[float]], places: Sequence[int], score: str | None, best_epoch: int | None
) -> tuple[tuple[float, float] | None, Sequence[float]]:
    """Training and validation score of the epoch whose weights were kept, if there are any, and the losses up to it."""
    if not len(history.get("val_loss", ())):
        raise ValueError(
            "diagnose: the history must have validation values, with at least one epoch; give fit validation_data or "
            "validation_split"
        )
    n = places[-1] + 1
    if best_epoch is not None and not 0 <= best_epoch < n:
        raise ValueError(f"diagnose: best_epoch must be in [0, {n}), got {describe(best_epoch)}")
    if best_epoch is not None and best_epoch not in places:
        raise ValueError(f"diagnose: best_epoch must be one that a validation followed, got {describe(best_epoch)}")
    kept = len(places) - 1 if best_epoch is None else list(places).index(best_epoch)
    both = [key for key in history if f"val_{key}" in history]
    if score is None:
        score = next((key for key, mode in directions_of(both).items() if mode == "max"), None)
    elif score not in both:
        raise ValueError(f"diagnose: score must be one of {', '.join(both)}, got {describe(score)}")
    losses = history["val_loss"][: kept + 1]
    return None if score is None else (history[score][places[kept]], history[f"val_{score}"][kept]), losses


def _judge_scores(
    train_score: float, validation_score: float, val_loss: Sequence[float], target: float, max_gap: float
) -> Diagnosis:
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
    signs += _turned_up(val_loss)
    if signs:
        return Diagnosis("over-fitting", "; ".join(signs))
    side = "below" if gap >= 0 else "above"
    return Diagnosis(
        "good fit",
        f"the validation score is {abs(gap):.4f} {side} the training score and the validation loss did not turn up",
    )


def _judge_losses(val_loss: Sequence[float]) -> Diagnosis:
    if signs := _turned_up(val_loss):
        return Diagnosis("over-fitting", signs[0])
    before, last = val_loss[-1 - max(1, len(val_loss) // 5) :][0], val_loss[-1]
    if last < (1 - RISE) * before:
        return Diagnosis(
            "under-fitting",
            f"the validation loss was still falling when the run ended, from {before:.4g} to {last:.4g}; train longer",
        )
    return Diagnosis("good fit", "the validation loss has settled and did not turn up; no score was given to judge by")


def _turned_up(val_loss: Sequence[float]) -> list[str]:
    rise = _rise(val_loss)
    if rise <= RISE:
        return []
    best = min(range(len(val_loss)), key=val_loss.__getitem__)
    return [f"the validation loss ended {rise:.0%} above its lowest, which was at epoch {best + 1}"]


def _rise(losses: Sequence[float]) -> float:
    """How far the last loss is above the lowest, relative to the lowest; 0 for no losses or a lowest of 0."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not finite or min(finite) <= 0:
        return 0.0
    return finite[-1] / min(finite) - 1
