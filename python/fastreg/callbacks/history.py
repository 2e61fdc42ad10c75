"""``History``: the values of every epoch of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.callbacks.base import Callback

if TYPE_CHECKING:
    from fastreg.internal.trained_model import TrainedModel

__all__ = ["History"]


class History(Callback):
    """The result of a fit: the values of every epoch. If ``fit`` is given one as a callback, it fills and returns that.

    Attributes:
        history: List of values by key, ``{"loss": [...], "accuracy": [...], "val_loss": [...]}``.
        epoch: The epochs, counted from ``initial_epoch``.
        validation_epoch: Those of them that a validation followed, which ``validation_freq`` decides; filled when the
            fit ends.
        stopped_by: What ended the run: ``""`` if all epochs were trained, ``"early_stopping"``, ``"callback"`` (one of
            your own has set ``stop_training``), ``"stop_signal"``, ``"time_limit"``; if ``fit`` raised an exception,
            ``"diverged"`` or ``"error"``.
    """

    _of_one_run = True
    _aside = Callback._aside | {"history", "epoch", "validation_epoch", "stopped_by"}

    def set_model(self, model: TrainedModel) -> None:
        """Does nothing. The model has the history, and a reference cycle would keep the weights in memory for long."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.validation_epoch: list[int] = []
        self.stopped_by = ""

    def __repr__(self) -> str:
        last = ", ".join(f"{key}={values[-1]:.4g}" for key, values in self.history.items() if values)
        return f"<History of {len(self.epoch)} epochs{': ' + last if last else ''}>"

    def _repr_html_(self) -> str:
        """The values of the epochs as a table for notebooks."""
        from fastreg.internal.html import history_html

        validated = vars(self).get("validation_epoch", self.epoch)  # older pickles have none
        return history_html(self.history, self.epoch, validated, self.stopped_by)
