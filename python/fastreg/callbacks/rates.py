"""Callbacks that set the learning rate between epochs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fastreg.callbacks.base import Callback, Logs
from fastreg.callbacks.monitors import MonitorCallback
from fastreg.internal.checks import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    check_int,
    check_real,
    check_verbosity,
    describe,
)
from fastreg.internal.progress import say

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate with a factor when a value has stopped improving.

    ``patience`` means what it means for :class:`EarlyStopping`: the rate is reduced after that many epochs in a row
    without a better one. Where both watch a value, early stopping should be the more patient one. After a reduction,
    ``cooldown`` epochs are not counted. The history has the rate of each epoch as ``learning_rate``, as in Keras. It
    replaces a schedule when it first reduces the rate.

    Args:
        monitor: Key of the value, as for :class:`EarlyStopping`.
        factor: In [0, 1).
        patience: Epochs without a better one that are waited for, >= 0.
        verbose: 1 or True writes to standard error when it reduces the rate.
        mode: ``"min"``, ``"max"``, or ``"auto"``: the direction of the metric; max for accuracies, else min.
        min_delta: Smallest change that counts, >= 0.
        cooldown: Epochs after a reduction that do not count, >= 0.
        min_lr: The rate is never set below it, >= 0; if both it and ``factor`` are 0, the rate is not reduced.

    Attributes:
        best: Best value of the last run; None before one.
        wait: Epochs without a better one up to now.
        cooldown_counter: Epochs of the cooldown that are left.

    Raises:
        ValueError: If an argument is out of range; in ``fit``, if ``monitor`` is no key of this run.

    Example:
        >>> from fastreg import callbacks
        >>> callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=3)
        ReduceLROnPlateau(monitor='loss', factor=0.5, patience=3, mode='auto', min_delta=0.0001, cooldown=0, min_lr=0.0)
    """

    _of_one_run = True
    _aside = Callback._aside | {"best", "wait", "cooldown_counter"}

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        owner = type(self).__name__
        self.factor = check_real(owner, "factor", factor, FRACTION)
        self.patience = check_int(owner, "patience", patience, NON_NEGATIVE)
        self.verbose = check_verbosity(owner, verbose, NON_NEGATIVE)
        self.cooldown = check_int(owner, "cooldown", cooldown, NON_NEGATIVE)
        self.min_lr = check_real(owner, "min_lr", min_lr, NON_NEGATIVE)
        self.wait = self.cooldown_counter = 0

    def __repr__(self) -> str:
        names = ("monitor", "factor", "patience", "mode", "min_delta", "cooldown", "min_lr")
        return f"ReduceLROnPlateau({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def in_cooldown(self) -> bool:
        """Whether epochs do not count at present."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forgets the run before."""
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judges an epoch.

        Raises:
            ValueError: If ``monitor`` is not in ``logs``.
        """
        value, rate = self.value_in(logs), self.model.learning_rate
        if logs is not None:
            logs["learning_rate"] = rate
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            lower = max(rate * self.factor, self.min_lr)
            if self.wait >= self.patience and 0.0 < lower < rate:
                self.model.learning_rate = lower
                self.wait, self.cooldown_counter = 0, self.cooldown
                if self.verbose:
                    say(f"Epoch {epoch + 1}: learning rate reduced to {lower:g}")

    def get_state(self) -> dict[str, Any]:
        """The best value and what was counted."""
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores them."""
        self.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch by a function of the epoch.

    A schedule of :mod:`fastreg.schedules`, which changes the rate at every step, needs no callback: it is given to the
    optimizer. The history has the rate of each epoch as ``learning_rate``, as in Keras.

    Args:
        schedule: Is called with ``(epoch, learning_rate)``, the epoch counted from 0 and the current rate, or with
            ``(epoch)`` if it takes only one argument. Returns the rate of the epoch, > 0.
        verbose: 1 or True writes the rate to standard error at each epoch.

    Raises:
        TypeError: If ``schedule`` is no function, or, in ``fit``, if it does not return a number.
        ValueError: In ``fit``, if the rate is not > 0 and finite.

    Example:
        >>> from fastreg import callbacks
        >>> scheduler = callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch < 10 else rate * 0.9)
    """

    _of_one_run = True

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: schedule must be a function, got {describe(schedule)}")
        self.schedule = schedule
        self._takes_rate = _takes_two(schedule)
        self.verbose = check_verbosity("LearningRateScheduler", verbose, NON_NEGATIVE)

    def __repr__(self) -> str:
        return f"LearningRateScheduler({self.schedule!r})"

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Sets the rate."""
        rate = self.schedule(epoch, self.model.learning_rate) if self._takes_rate else self.schedule(epoch)
        self.model.learning_rate = check_real("LearningRateScheduler", "the rate of schedule", rate, POSITIVE)
        if self.verbose:
            say(f"Epoch {epoch + 1}: learning rate set to {self.model.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Adds the rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = self.model.learning_rate


def _takes_two(function: Callable[..., object]) -> bool:
    """Whether a function can be called with two positional arguments, as far as Python can tell."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # one that is written in C and has no signature
        return True
    return True
