"""Callbacks of a fold: pruning by thresholds, the end of a budget, and what continues after it as if it had not ended.

Some of them run Python code after each epoch. They are used only where they are needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.callbacks import Callback
from fastreg.callbacks.base import HOOKS, Logs
from fastreg.callbacks.early_stopping import (
    EarlyStopping,
    Judge,
    direction_of_added,
    judge_in_the_core,
    logged,
    unknown_monitor,
)
from fastreg.internal.trained_model import TrainedModel
from fastreg.model.core import core_of
from fastreg.model.given_callbacks import has_hook
from fastreg.model.model import Model

__all__ = ["CarriedStopping", "Continues", "EndsBefore", "Paused", "Watch"]


class Watch(Callback):
    """Records a value after each epoch, and ends the run when its best value is worse than the limit of the epoch.

    Args:
        key: The key of the value.
        direction: ``"max"`` or ``"min"``.
        limits: The limit of each epoch, counted from 0. NaN or a missing limit means that there is none.

    Attributes:
        curve: The values; NaN for an epoch without validation.
        pruned: Whether it has ended the run.
    """

    def __init__(self, key: str, direction: str, limits: Sequence[float] = ()) -> None:
        self._key, self._sign, self._limits = key, 1.0 if direction == "max" else -1.0, limits
        self._best = -math.inf
        self.curve: list[float] = []
        self.pruned = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares."""
        value = logged("search", self._key, (logs or {}).get(self._key, math.nan))  # not every epoch has a validation
        self.curve.append(value)
        if math.isnan(value):
            return
        self._best = max(self._best, self._sign * value)
        if epoch < len(self._limits) and self._best < self._sign * self._limits[epoch]:
            self.pruned = self.model.stop_training = True


class EndsBefore(Callback):
    """Ends a call of ``fit`` before an epoch, while ``epochs`` is that of the whole training.

    So lengths that are a share of the run, and callbacks that read ``params["epochs"]``, know the whole training, and a
    model that continues from budget to budget gets the same rates as one that is trained at once.

    Args:
        epoch: The first epoch that is not trained, counted from 0; above the first one of the call.

    Attributes:
        others: Whether a callback before it in the list has ended the call, so that training must not go on.
    """

    def __init__(self, epoch: int) -> None:
        self._last = epoch - 1
        self.others = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares."""
        self.others = self.others or bool(self.model.stop_training)
        if epoch == self._last:
            self.model.stop_training = True


class Continues(Callback):
    """Gives callbacks the state back that they had at the end of the budget before.

    Some begin anew with every call of ``fit``, as those do that lower the learning rate. It comes after them.

    Args:
        callbacks: The callbacks.
        states: What ``get_state`` of each returned.
    """

    def __init__(self, callbacks: Sequence[Callback], states: Sequence[dict[str, Any]]) -> None:
        self._callbacks, self._states = callbacks, states

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restores."""
        for callback, state in zip(self._callbacks, self._states, strict=True):
            callback.set_state(state)


class CarriedStopping(Callback):
    """:class:`~fastreg.callbacks.EarlyStopping` for a training that consists of several calls of ``fit``.

    It follows the same rule, but keeps the best value, the number of epochs waited and the best weights between calls,
    and does not restore the best weights at the end of a call. :class:`Paused` restores them for scoring, and puts the
    latest weights back before training continues. It calls the hooks that a derived class has added, which find what
    they find in a single call.

    Args:
        original: The callback that it replaces, at its place in the list.
    """

    def __init__(self, original: EarlyStopping) -> None:
        self.original = original
        self.monitor = original.monitor
        self.best: float | None = None
        self.best_epoch = self.stopped_epoch = 0
        self.best_weights: list[NDArray[np.float32]] | None = None
        self._judge: Judge | None = None
        self._keys: Sequence[str] = ()
        self._directions: Mapping[str, str] = {}
        self._decides = has_hook(original, "on_epoch_end")
        if self._decides:
            original._passes_to = self._take_passed
        for hook in HOOKS:
            if hook not in _OWN_HOOKS and has_hook(original, hook):
                setattr(self, hook, getattr(original, hook))

    def _watch(self, keys: Sequence[str], directions: Mapping[str, str], added: bool) -> None:
        if self.monitor not in keys and not added:
            raise unknown_monitor("EarlyStopping", self.monitor, keys)
        self._keys, self._directions = keys, directions

    def set_model(self, model: TrainedModel) -> None:
        """For the hooks, too."""
        super().set_model(model)
        self.original.set_model(model)

    def set_params(self, params: dict[str, int]) -> None:
        """For the hooks."""
        self.original.set_params(params)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """For the hooks."""
        self.original.on_train_begin(logs)

    def first_at_the_end(self, epoch: int, logs: Logs) -> None:
        """Judges an epoch before the hook of any callback, unless :attr:`is_late`."""
        if not self.is_late:
            self._take(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judges an epoch by a value that another callback has added, or lets a derived class do so."""
        if self._decides:
            self.original.on_epoch_end(epoch, logs)
        elif self.is_late:
            self._take_passed(epoch, logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """For the hooks."""
        self._tell()
        self.original.on_train_end(logs)

    def _take_passed(self, epoch: int, logs: Logs | None) -> None:
        if self.monitor not in (logs or {}) and self.monitor not in self._keys:
            raise unknown_monitor("EarlyStopping", self.monitor, list(logs or ()))
        self._take(epoch, logs or {})
        self._tell()

    def _take(self, epoch: int, logs: Logs) -> None:
        if self.monitor not in logs:
            return  # an epoch without validation
        settings = self.original
        if self._judge is None:
            mode = settings.mode
            if mode == "auto":
                mode = self._directions.get(self.monitor) or direction_of_added("EarlyStopping", self.monitor)
            self._judge = Judge(settings, mode)
        value = logged("EarlyStopping", self.monitor, logs[self.monitor])
        if self._judge.take(epoch, value) and settings.restore_best_weights:
            self.best_weights = self.model.get_weights()
        self.best, self.best_epoch = self._judge.best, self._judge.best_epoch
        if self._judge.ended:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _tell(self) -> None:
        original = self.original
        original.best, original.best_epoch, original.stopped_epoch = self.best, self.best_epoch, self.stopped_epoch

    def get_state(self) -> dict[str, Any]:
        """That of the callback that it replaces."""
        return self.original.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores it."""
        self.original.set_state(state)

    @property
    def is_late(self) -> bool:
        """Whether it judges at its place in the list: another callback adds the value, or a derived class decides."""
        return self._decides or self.monitor not in self._keys

    @property
    def ended(self) -> bool:
        """Whether it has ended the training."""
        return self._judge is not None and self._judge.ended


# The hooks that CarriedStopping has itself.
_OWN_HOOKS = ("on_train_begin", "on_epoch_end", "on_train_end")


class JudgesFirst(Callback):
    """Judges an epoch by its values and weights as they were before any callback changed them, as the core does.

    Args:
        stoppers: The early stopping.
    """

    def __init__(self, stoppers: Sequence[CarriedStopping]) -> None:
        self._stoppers = stoppers

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judges."""
        for stopper in self._stoppers:
            stopper.first_at_the_end(epoch, logs or {})


class Paused:
    """A model between two budgets, with everything that it needs to continue as if it had not stopped. Can be pickled.

    Args:
        model: The model.
        callbacks: Its callbacks, which keep their state.

    Attributes:
        stoppers: Its early stopping, which is among the callbacks.
        arguments: The arguments of ``fit`` that ``build`` returned with the model.
        fingerprint: The fingerprint of the model as it was built, or None.
        epochs: The number of epochs trained.
        ended: Whether a callback has ended the training, so that it cannot continue.
    """

    def __init__(self, model: Model, callbacks: list[Callback]) -> None:
        self.model, self.callbacks = model, callbacks
        self.stoppers = [item for item in callbacks if isinstance(item, CarriedStopping)]
        self.arguments: dict[str, Any] = {}
        self.fingerprint: str | None = None
        self.epochs = 0
        self._by_callback = False
        # The weights of the last epoch, or the averages that replace them, while the model has the best ones. Beside
        # averages also the moments, among which are the weights that training goes on from.
        self._latest: list[NDArray[np.float32]] | None = None
        self._moments: dict[str, NDArray[np.float32]] | None = None
        self._states: list[dict[str, Any]] = []

    @classmethod
    def of(cls, model: Model, callbacks: list[Callback]) -> Paused:
        """A model that has not begun, and all its callbacks."""
        return cls(model, [CarriedStopping(item) if isinstance(item, EarlyStopping) else item for item in callbacks])

    def begin(self) -> list[Callback]:
        """Prepares the model to go on, and returns its callbacks."""
        self._use_latest()
        resumed = [Continues(self.callbacks, self._states)] if self._states else []
        first = [JudgesFirst(self.stoppers)] if self.stoppers else []
        return [*first, *self.callbacks, *resumed]

    def judge(self, own: Lock) -> None:
        """Until the lock ``own`` is open, the hooks for loops of one's own that early stopping has do nothing."""
        judge_in_the_core([stopper.original for stopper in self.stoppers], own)

    def end(self, epochs: int, by_callback: bool) -> None:
        """Takes note of where a budget of this many epochs ended, and puts the best weights in, to score with.

        Args:
            epochs: The epochs.
            by_callback: Whether a callback has ended the training, and not the budget.
        """
        self.epochs = epochs
        self._by_callback = self._by_callback or by_callback
        self._states = [callback.get_state() for callback in self.callbacks]
        self._use_best()

    @property
    def ended(self) -> bool:
        """See above."""
        return self._by_callback or any(stopper.ended for stopper in self.stoppers)

    def _use_best(self) -> None:
        trainer = core_of(self.model).trainer
        for stopper in sorted(self.stoppers, key=lambda one: one.is_late):  # as a single call restores them
            if stopper.best_weights is not None:
                if self._latest is None:
                    self._latest = self.model.get_weights()
                    self._moments = trainer.get_moments() if trainer is not None and trainer.averages_shown else None
                self.model.set_weights(stopper.best_weights)

    def _use_latest(self) -> None:
        if self._latest is None:
            return
        self.model.set_weights(self._latest)
        trainer = core_of(self.model).trainer
        if trainer is not None and self._moments is not None:
            trainer.set_moments(self._moments)
            trainer.averages_shown = True
        self._latest = self._moments = None
