"""Callbacks of a fold: pruning by thresholds, the end of a budget, and what continues after it as if it had not ended.

Some of them run Python code after each epoch. They are used only where they are needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.callbacks import Callback, EarlyStopping, Judge, directions_of
from fastreg.model.core import core_of
from fastreg.model.model import Model

__all__ = ["CarriedStopping", "Continues", "EndsBefore", "Paused", "Watch"]

Logs = dict[str, float]


class Watch(Callback):
    """Records a value after each epoch, and ends the run when its best value is worse than the limit of the epoch.

    Args:
        key: The key of the value.
        direction: ``"max"`` or ``"min"``.
        limits: The limit of each epoch, counted from 0. NaN or a missing limit means that there is none.

    Attributes:
        curve: The values.
        pruned: Whether it has ended the run.
    """

    def __init__(self, key: str, direction: str, limits: Sequence[float] = ()) -> None:
        self._key, self._sign, self._limits = key, 1.0 if direction == "max" else -1.0, limits
        self._best = -math.inf
        self.curve: list[float] = []
        self.pruned = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares."""
        value = (logs or {})[self._key]
        self.curve.append(value)
        self._best = max(self._best, self._sign * value)
        if epoch < len(self._limits) and self._best < self._sign * self._limits[epoch]:
            self.pruned = self.model.stop_training = True


class EndsBefore(Callback):
    """Ends a call of ``fit`` before an epoch, while ``epochs`` is that of the whole training.

    So lengths that are a share of the run, and callbacks that read ``params["epochs"]``, know the whole training, and a
    model that continues from budget to budget gets the same rates as one that is trained at once.

    Args:
        epoch: The first epoch that is not trained, counted from 0; above the first one of the call.
    """

    def __init__(self, epoch: int) -> None:
        self._last = epoch - 1

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares."""
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
    latest weights back before training continues.

    Args:
        original: The callback that it replaces.
    """

    def __init__(self, original: EarlyStopping) -> None:
        self._original = original
        self.monitor = original.monitor
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: list[NDArray[np.float32]] | None = None
        self._judge: Judge | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judges an epoch."""
        settings, logs = self._original, logs or {}
        if self._judge is None:
            config = settings.core_config(list(logs), directions_of(logs, self.model))
            self._judge = Judge(settings, config["mode"])
        if self._judge.take(epoch, logs[self.monitor]) and settings.restore_best_weights:
            self.best_weights = self.model.get_weights()
        self.best, self.best_epoch = self._judge.best, self._judge.best_epoch
        if self._judge.ended:
            self.model.stop_training = True

    @property
    def ended(self) -> bool:
        """Whether it has ended the training."""
        return self._judge is not None and self._judge.ended


class Paused:
    """A model between two budgets, with everything that it needs to continue as if it had not stopped. Can be pickled.

    Args:
        model: The model.
        callbacks: Its callbacks except early stopping. They keep their state.
        stoppers: Its early stopping.

    Attributes:
        arguments: The arguments of ``fit`` that ``build`` returned with the model.
        fingerprint: The fingerprint of the model as it was built, or None.
        epochs: The number of epochs trained.
        ended: Whether early stopping has ended the training, so that it cannot continue.
    """

    def __init__(self, model: Model, callbacks: list[Callback], stoppers: list[CarriedStopping]) -> None:
        self.model, self.callbacks, self.stoppers = model, callbacks, stoppers
        self.arguments: dict[str, Any] = {}
        self.fingerprint: str | None = None
        self.epochs = 0
        # The weights of the last epoch, or the averages that replace them, while the model has the best ones. Beside
        # averages also the moments, among which are the weights that training goes on from.
        self._latest: list[NDArray[np.float32]] | None = None
        self._moments: dict[str, NDArray[np.float32]] | None = None
        self._states: list[dict[str, Any]] = []

    @classmethod
    def of(cls, model: Model, callbacks: list[Callback]) -> Paused:
        """A model that has not begun, and all its callbacks."""
        carried = [CarriedStopping(item) for item in callbacks if isinstance(item, EarlyStopping)]
        return cls(model, [item for item in callbacks if not isinstance(item, EarlyStopping)], carried)

    def begin(self) -> list[Callback]:
        """Prepares the model to go on, and returns its callbacks."""
        self._use_latest()
        resumed = [Continues(self.callbacks, self._states)] if self._states else []
        return [*self.stoppers, *self.callbacks, *resumed]

    def end(self, epochs: int) -> None:
        """Takes note of where a budget of this many epochs ended, and puts the best weights in, to score with."""
        self.epochs = epochs
        self._states = [callback.get_state() for callback in self.callbacks]
        self._use_best()

    @property
    def ended(self) -> bool:
        """See above."""
        return any(stopper.ended for stopper in self.stoppers)

    def _use_best(self) -> None:
        trainer = core_of(self.model).trainer
        for stopper in self.stoppers:
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
