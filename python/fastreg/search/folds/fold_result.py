"""``FoldResult``: what one fold of one trial gave, as it goes between threads and processes and into the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from fastreg.callbacks import History
from fastreg.search.folds.preprocessing import Chain

__all__ = ["FoldResult"]


@dataclass(slots=True)
class FoldResult:
    """The result of a task.

    Attributes:
        trial: The number of the trial.
        fold: The number of the fold.
        state: ``"ok"``, ``"pruned"``, ``"diverged"`` (the loss or an output is not finite), ``"unscored"`` (the
            primary score is not finite, though the model is), ``"failed"`` (an exception), or ``"stopped"`` by the
            signal or the deadline: then there is no score.
        scores: The scores by name.
        train_scores: The scores of the training rows by name, with ``return_train_score``.
        epochs: The number of epochs trained, including those before ``start``; 0 for estimators.
        best_epoch: The number of epochs after which the weights were scored; None without early stopping.
        seconds: The time of building and fitting.
        score_seconds: The time of scoring.
        history: Values after each epoch of this task; None for estimators.
        validation_epochs: The epochs that the validation values of the history belong to, counted from 0; None if they
            belong to all, or there are none.
        curve: Values of the primary metric after each epoch, if ``thresholds`` were given.
        error: The traceback from the first line of user code on, and the parameters.
        raised: The exception itself, if ``error_score`` is ``"raise"``.
        predictions: Outputs of a kept model for the scored rows (an estimator's ``predict_proba`` or ``predict``); None
            for probabilities of several outputs.
        model: The model, if it is kept; between budgets a :class:`~fastreg.search.folds.watchers.Paused`.
        preprocess: The fitted transformers of a kept model.
        fingerprint: The fingerprint of the model as it was built, see
            :mod:`fastreg.search.folds.model_fingerprint`; None if it was not computed.
    """

    trial: int
    fold: int
    state: str = "ok"
    scores: dict[str, float] = field(default_factory=dict)
    train_scores: dict[str, float] | None = None
    epochs: int = 0
    best_epoch: int | None = None
    seconds: float = 0.0
    score_seconds: float = 0.0
    history: dict[str, list[float]] | None = None
    validation_epochs: list[int] | None = None
    curve: list[float] | None = None
    error: str | None = None
    predictions: NDArray[Any] | None = None
    model: Any = None
    preprocess: Chain | None = None
    fingerprint: str | None = None
    raised: Exception | None = None

    def take(self, history: History, start: int = 0) -> None:
        """Takes the values of a fit that began at the epoch ``start``."""
        self.history, self.epochs = history.history, start + len(history.epoch)
        if _has_validation(self.history) and history.validation_epoch != history.epoch:
            self.validation_epochs = history.validation_epoch

    def continues(self, history: dict[str, list[float]], validation_epochs: list[int] | None) -> bool:
        """Puts the values of a paused fit before those of its continuation; False if this fit had not been paused."""
        if self.history is None or not history:
            return False
        missing = self.epochs - max(map(len, self.history.values()), default=0)
        if missing <= 0:
            return False  # it started again, and has all values
        before = _validated(history, validation_epochs, range(missing))
        validated = before + _validated(self.history, self.validation_epochs, range(missing, self.epochs))
        self.validation_epochs = validated if 0 < len(validated) < self.epochs else None
        # Either may lack a key, as that of a validation that is not in every epoch.
        keys = {**history, **self.history}
        self.history = {key: history.get(key, [])[:missing] + self.history.get(key, []) for key in keys}
        return True


def _has_validation(history: dict[str, list[float]]) -> bool:
    return any(key.startswith("val_") for key in history)


def _validated(history: dict[str, list[float]], some: list[int] | None, every: range) -> list[int]:
    """The epochs that a history has validation values of."""
    if not _has_validation(history):
        return []
    return list(every) if some is None else some
