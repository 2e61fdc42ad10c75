"""``Callback``: the base class of callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastreg.internal.trained_model import TrainedModel

__all__ = ["Callback", "Logs"]

Logs = dict[str, float]


class Callback:
    """Base of your own callbacks: override the methods that you need.

    Within a callback, ``model`` is the model that is being trained, and ``params`` is ``{"epochs", "steps",
    "verbose"}``. ``model.stop_training = True`` ends the run after this epoch. A callback may call ``get_weights``,
    ``predict``, ``evaluate`` and ``save`` and set ``model.learning_rate``; ``fit`` and ``compile`` raise RuntimeError.
    An exception ends the run; early stopping restores the best weights, and ``fit`` raises the exception again. There
    are no hooks for batches, because no Python code runs within an epoch.

    Example:
        >>> from fastreg import callbacks
        >>> class Halve(callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.model.learning_rate /= 2
    """

    model: TrainedModel
    params: dict[str, int]

    def set_model(self, model: TrainedModel) -> None:
        """Called by ``fit`` before anything else."""
        self.model = model

    def set_params(self, params: dict[str, int]) -> None:
        """Called by ``fit`` before anything else."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Is called before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Is called after the last epoch, when best weights are restored, but not after an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Is called before an epoch, counted from ``initial_epoch``."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Is called after an epoch. ``logs`` has the loss and the metrics, and those of validation data as ``val_...``.

        The dict belongs to this epoch: what is added to it is visible to later callbacks, but not in the history.
        """
