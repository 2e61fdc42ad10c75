"""``Callback``: the base class of callbacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastreg.internal.trained_model import TrainedModel

__all__ = ["BATCH_HOOKS", "HOOKS", "Callback", "Logs", "overrides"]

Logs = dict[str, Any]

# The hooks that are called around batches, and all hooks.
BATCH_HOOKS = tuple(
    f"on_{phase}_{moment}"
    for phase in ("batch", "train_batch", "test_batch", "predict_batch")
    for moment in ("begin", "end")
)
HOOKS = (
    *(f"on_{phase}_{moment}" for phase in ("train", "epoch", "test", "predict") for moment in ("begin", "end")),
    *BATCH_HOOKS,
)


class Callback:
    """Base of your own callbacks: override the methods that you need.

    Within a callback, ``model`` is the model that is being trained, and ``params`` is ``{"epochs", "steps",
    "verbose"}``. ``model.stop_training = True`` ends the run after this epoch, in a hook of a batch after this batch. A
    callback may call ``get_weights``, ``set_weights``, ``predict``, ``evaluate`` and ``save`` and set
    ``model.learning_rate``; ``fit`` and ``compile`` raise RuntimeError. An exception ends the run; early stopping
    restores the best weights, and ``fit`` raises the exception again.

    Hooks of batches cost time only where a callback has one: then Python runs after every step, which sees the weights
    after that step and may set them. ``on_train_batch_*`` call ``on_batch_*``, as in Keras. Those of tests are called
    in the validation of ``fit`` and in ``evaluate(callbacks=...)``, those of predictions in
    ``predict(callbacks=...)``.

    Example:
        >>> from fastreg import callbacks
        >>> class Halve(callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.model.learning_rate /= 2
    """

    model: TrainedModel
    params: dict[str, int]

    # Public attributes that say nothing about how a run trains: what a run sets, what is shown, and names of files.
    _aside = frozenset(("model", "params", "verbose"))

    # Whether an instance keeps something of its run, such as the model, so that two fits cannot have it at a time.
    _of_one_run = False

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

        The dict belongs to this epoch: a number that is added to it is visible to later callbacks, and the history has
        it.
        """

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called before a step of training, numbered from 0 within its epoch."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called after a step of training."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called before a step of training, numbered from 0 within its epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called after a step of training. ``logs`` has the loss and the metrics of the epoch up to this step."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Is called before a validation or evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Is called after a validation or evaluation. ``logs`` has its loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called before a batch of a validation or evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called after a batch of a validation or evaluation.

        ``logs`` has the means of the loss and the metrics over the batches up to this one, weighted by their rows; the
        values of the whole, in ``on_test_end``, are exact.
        """

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Is called before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Is called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Is called before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Is called after a batch of a prediction. ``logs`` is ``{"outputs": ...}``."""

    def get_state(self) -> dict[str, Any]:
        """What :class:`BackupAndRestore` keeps of a callback that counts or compares; empty by default.

        Values are None, bools, numbers, strings, lists and dicts of them, or lists of float32 arrays.
        """
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what :meth:`get_state` returned, after ``on_train_begin`` of a run that is continued."""

    def _watch(self, keys: Sequence[str], directions: Mapping[str, str], added: bool) -> None:
        """Is called by ``fit`` before the first epoch, for callbacks that must know the keys of the logs.

        Args:
            keys: The keys of the logs of an epoch with validation.
            directions: "min" or "max" for each.
            added: Whether other callbacks may add keys.
        """

    def _epoch_over(self) -> None:
        """Is called by ``fit`` after ``on_epoch_end`` of all callbacks."""

    def _abandoned(self) -> None:
        """Is called when an exception ends a validation, an evaluation or a prediction, whose other hooks are not."""

    @property
    def _is_idle(self) -> bool:
        """Whether a run need not look for hooks in it."""
        return False

    def _needs(self, hook: str) -> bool:
        """Whether a hook that this class has must be called; for hooks that depend on an argument."""
        del hook
        return True


def overrides(callback: Callback, *hooks: str) -> bool:
    """Whether a callback has one of these hooks, by its class or put on the instance, and needs it called."""
    kind, own = type(callback), callback.__dict__
    return any(
        (hook in own or getattr(kind, hook) is not getattr(Callback, hook)) and callback._needs(hook) for hook in hooks
    )
