"""Early stopping. Within ``fit`` it is judged in C++, in a loop of one's own here, by the same function of the core."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from fastreg import _core
from fastreg.callbacks.base import Callback, Logs
from fastreg.callbacks.in_use import InUse, use_alone
from fastreg.internal.checks import (
    FINITE,
    NON_NEGATIVE,
    check_bool,
    check_choice,
    check_int,
    check_name,
    check_real,
    check_verbosity,
    describe,
    did_you_mean,
)

__all__ = ["EarlyStopping", "Judge", "directions_of", "judge_by_hand", "judge_in_the_core"]


class Judge:
    """Early stopping for values that are passed one epoch at a time. The rule is in cpp/core/early_stopping.cpp.

    Args:
        settings: The arguments of the rule.
        mode: ``"min"`` or ``"max"``.

    Attributes:
        best: The best value; None until there is one that is a number.
        best_epoch: The epoch of the best value.
        ended: Whether the run should end.
    """

    def __init__(self, settings: EarlyStopping, mode: str) -> None:
        self.follow(settings, mode)
        self._waited = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.ended = False

    def follow(self, settings: EarlyStopping, mode: str) -> None:
        """Applies these settings from the next epoch on."""
        self._config = settings.rule(0, mode)

    def take(self, epoch: int, value: float) -> bool:
        """Judges an epoch. Returns whether it is the best one so far."""
        best = math.nan if self.best is None else self.best
        verdict, self._waited = _core.judge_epoch(self._config, int(epoch), value, best, self._waited)
        if verdict == "best":
            self.best, self.best_epoch = value, epoch
        self.ended = self.ended or verdict == "stop"
        return verdict == "best"

    def get_state(self) -> dict[str, Any]:
        """What it has counted and compared."""
        return {"waited": self._waited, "best": self.best, "best_epoch": self.best_epoch, "ended": self.ended}

    def set_state(self, state: Mapping[str, Any]) -> Judge:
        """Restores what :meth:`get_state` returned, and returns itself."""
        self._waited, self.best = state["waited"], state["best"]
        self.best_epoch, self.ended = state["best_epoch"], state["ended"]
        return self


_FITS = InUse()
# Those that a fit calls as a loop of one's own would, but for the best weights, which go back at its end.
_BY_HAND = InUse()

_OWNER = "EarlyStopping"
_SETTINGS: dict[str, Callable[[Any], Any]] = {
    "monitor": lambda value: check_name(_OWNER, "monitor", value),
    "min_delta": lambda value: abs(check_real(_OWNER, "min_delta", value, FINITE)),
    "patience": lambda value: check_int(_OWNER, "patience", value, NON_NEGATIVE),
    "verbose": lambda value: check_verbosity(_OWNER, value, NON_NEGATIVE),
    "mode": lambda value: check_choice(_OWNER, "mode", value, ("auto", "min", "max")),
    "baseline": lambda value: None if value is None else check_real(_OWNER, "baseline", value, FINITE),
    "restore_best_weights": lambda value: check_bool(_OWNER, "restore_best_weights", value),
    "start_from_epoch": lambda value: check_int(_OWNER, "start_from_epoch", value, NON_NEGATIVE),
}


# Attributes that a run sets.
_FILLED = ("model", "params", "best", "best_epoch", "stopped_epoch")


class EarlyStopping(Callback):
    """Ends a run when a value has stopped improving, and restores the weights of its best epoch.

    An epoch is better if its value exceeds the best one by more than ``min_delta``; after ``patience`` epochs in a
    row without a better one (and never after the first epoch of a run) the run ends. Best weights, moving statistics
    included, are brought back whatever ended the run: this callback, the last epoch, another callback, an exception,
    Ctrl-C or divergence. A NaN is never better.

    A loop of your own may drive it, as Keras's can be: ``set_model`` where there is a model, ``on_train_begin``, then
    ``on_epoch_end(epoch, logs)`` after each epoch, until ``model.stop_training`` is set or, without a model,
    ``stopped_epoch`` is no longer 0, and ``on_train_end``. The best weights go back by ``model.set_weights`` as soon as
    it stops, or by ``on_train_end``. With ``mode="auto"`` the model's metrics decide, else accuracies are good when
    high.

    The arguments are attributes that can be set, not during a fit that has it; in a loop of your own they hold from the
    next epoch on. A class derived from this one may have any further attribute.

    Within ``fit`` each epoch is judged before other callbacks change its values or the weights, unless a callback adds
    the value. In a class derived from this one ``on_epoch_end`` decides, as in Keras: the epochs and logs that it
    passes to ``super().on_epoch_end`` are judged, and no others.

    Args:
        monitor: Key of the value: ``"loss"``, the name of a metric, or one of them with ``val_`` in front.
        min_delta: Smallest change that counts, >= 0 (of a negative number the sign is dropped, as in Keras).
        patience: Epochs without a better one that are waited for, >= 0.
        verbose: 1 or True writes to standard error when it stops and restores.
        mode: ``"min"``, ``"max"``, or ``"auto"``: max for accuracies, else min.
        baseline: A value to exceed: until then, epochs do not count as better. None means that there is none.
        restore_best_weights: Whether to restore the best weights, by default True (in Keras False).
        start_from_epoch: Epochs of the run that are not judged, >= 0.

    Attributes (filled when a fit has ended, since it is judged in C++; in a loop of your own after each epoch):
        best: Best value of the last run; None before one, and if no epoch was judged.
        best_epoch: Its epoch, counted from ``initial_epoch``; 0 before.
        stopped_epoch: Epoch after which it ended the run; 0 if it did not.

    Raises:
        ValueError: If an argument is out of range; in ``fit``, if ``monitor`` is no key of this run.

    Example:
        >>> from fastreg import callbacks
        >>> stopping = callbacks.EarlyStopping(patience=5)
        >>> stopping.monitor, stopping.restore_best_weights
        ('val_loss', True)
    """

    _aside = Callback._aside | frozenset(_FILLED)

    # What a search that trains in parts does with an epoch that a derived class passes on.
    _passes_to: Callable[[int, Logs | None], None] | None = None

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        # Setting an attribute checks it.
        self.monitor = monitor
        self.min_delta = min_delta
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.best: float | None = None
        self.best_epoch = 0
        self.stopped_epoch = 0
        self._judge: Judge | None = None
        self._best_weights: Any = None
        self._directions: Mapping[str, str] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Resets the state for a loop of your own."""
        if self not in _FITS:
            self._judge, self._best_weights = None, None
            self.best, self.best_epoch, self.stopped_epoch = None, 0, 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Judges an epoch of a loop of your own; within ``fit``, where C++ judges, one that a derived class passes on.

        Raises:
            ValueError: If ``monitor`` is not in ``logs``.
            TypeError: If there are no ``logs``, or the value is not a number.
        """
        if self in _FITS:
            if self._passes_to is not None:
                self._passes_to(epoch, logs)
            return
        if not isinstance(logs, Mapping):
            raise TypeError(f"EarlyStopping: logs must be a dict with {self.monitor!r}, got {describe(logs)}")
        if self.monitor not in logs and self.monitor in self._directions:
            return  # an epoch without validation
        if self._judge is not None and self.monitor not in logs:
            raise ValueError(f"EarlyStopping: logs must have {self.monitor!r} in each epoch, got {', '.join(logs)}")
        model = getattr(self, "model", None)
        mode = self.core_config(list(logs), self._directions_in(logs, model))["mode"]
        value = logged("EarlyStopping", self.monitor, logs[self.monitor])
        if self._judge is None:
            self._judge = Judge(self, mode)
        else:
            self._judge.follow(self, mode)
        if self._judge.take(epoch, value) and self.restore_best_weights and model is not None:
            self._best_weights = model.get_weights()
        self.best, self.best_epoch = self._judge.best, self._judge.best_epoch
        if self._judge.ended and not self.stopped_epoch:
            self.stopped_epoch = epoch
            if model is not None:
                model.stop_training = True
            if self not in _BY_HAND:
                self._restore()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restores the best weights of a loop of your own."""
        if self not in _FITS:
            self._restore()

    def _directions_in(self, logs: Mapping[str, Any], model: object) -> Mapping[str, str]:
        if not self._directions or self.mode != "auto" or self.monitor not in logs:
            return directions_of(logs, model)
        known = self._directions.get(self.monitor) or direction_of_added("EarlyStopping", self.monitor)
        return {self.monitor: known}

    def watch(self, directions: Mapping[str, str]) -> None:
        """Is called by a ``fit`` that judges in Python. ``directions`` has "min" or "max" for each key of its logs."""
        self._directions = directions

    def get_state(self) -> dict[str, Any]:
        """What was judged up to now, and the best weights."""
        judge = self._judge
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
            "judge": None if judge is None else judge.get_state(),
            "best_weights": self._best_weights,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores it."""
        self.best, self.best_epoch, self.stopped_epoch = state["best"], state["best_epoch"], state["stopped_epoch"]
        self._best_weights = state["best_weights"]
        self._judge = None if state["judge"] is None else Judge(self, "min").set_state(state["judge"])

    def _restore(self) -> None:
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)

    if not TYPE_CHECKING:  # otherwise a type checker would allow every attribute

        def __setattr__(self, name: str, value: object) -> None:
            if name in _SETTINGS:
                if self in _FITS:
                    raise AttributeError(f"EarlyStopping: {name} cannot be set during a run, which has it already")
                value = _SETTINGS[name](value)
            elif hint := self._misspelt(name):
                raise AttributeError(f"EarlyStopping: there is no {name} to set{hint}")
            object.__setattr__(self, name, value)

    def _misspelt(self, name: str) -> str:
        """The setting whose name is similar to a new public attribute. Derived classes may have any attribute."""
        if type(self) is not EarlyStopping or name.startswith("_") or name in _FILLED or name in self.__dict__:
            return ""
        return did_you_mean(name, _SETTINGS)

    def __repr__(self) -> str:
        names = ("monitor", "min_delta", "patience", "mode", "baseline", "restore_best_weights", "start_from_epoch")
        return f"EarlyStopping({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def core_config(self, keys: Sequence[str], directions: Mapping[str, str]) -> _core.EarlyStoppingConfig:
        """The settings for the core, for a run whose logs have these keys, with "min" or "max" for each."""
        if self.monitor not in keys:
            raise unknown_monitor("EarlyStopping", self.monitor, keys)
        mode = directions[self.monitor] if self.mode == "auto" else self.mode
        return self.rule(list(keys).index(self.monitor), mode)

    def rule(self, monitor: int, mode: str) -> _core.EarlyStoppingConfig:
        """The options from which the core judges one value of the logs: its index, and the better direction."""
        return {
            "monitor": monitor,
            "mode": mode,
            "patience": self.patience,
            "min_delta": self.min_delta,
            "baseline": self.baseline,
            "start_from_epoch": self.start_from_epoch,
            "restore_best_weights": self.restore_best_weights,
        }

    def take_result(self, result: _core.EarlyStoppingResult, offset: int) -> None:
        """Sets the attributes from the result of the core. ``offset`` is its epoch minus that of the run."""
        self.best = None if math.isnan(result["best"]) else result["best"]
        self.best_epoch = result["best_epoch"] - offset if result["best_epoch"] >= 0 else 0
        self.stopped_epoch = result["stopped_epoch"] - offset if result["stopped_epoch"] >= 0 else 0

    def restore_by_hand(self) -> list[str]:
        """Restores the best weights at the end of a ``fit`` that judges in Python. Returns the messages."""
        self._restore()
        found: _core.EarlyStoppingResult = {
            "best": math.nan if self.best is None else self.best,
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch or -1,
            "restored": self._best_weights is not None,
        }
        self._best_weights = None
        return self.messages(found)

    def messages(self, result: _core.EarlyStoppingResult) -> list[str]:
        """The messages after a run, if ``verbose`` is set. Epochs are counted from 1, as in the progress."""
        lines = []
        if self.verbose and result["stopped_epoch"] >= 0:
            lines.append(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.verbose and result["restored"]:
            lines.append(f"Restored the weights of epoch {self.best_epoch + 1} ({self.monitor} {self.best:g})")
        return lines


def judge_in_the_core(stoppers: Sequence[EarlyStopping], own: Lock) -> None:
    """Resets their state, and marks them as used by a fit: their hooks for loops of your own do nothing.

    The fit holds the lock ``own`` and opens it at its end.
    """
    for stopper in stoppers:
        stopper._judge, stopper._best_weights, stopper._directions = None, None, {}
    _FITS.begin(stoppers, own)


def judge_by_hand(stoppers: Sequence[EarlyStopping], own: Lock) -> None:
    """Marks them as called by a fit, which restores their best weights and opens the lock ``own`` at its end.

    No other fit can have them until then.
    """
    use_alone(_BY_HAND, {id(stopper): stopper for stopper in stoppers}.values(), own)


def logged(owner: str, key: str, value: object) -> float:
    """A value of logs as a float: any number, including NaN and infinities."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: logs[{key!r}] must be a number, got {describe(value)}") from None


def unknown_monitor(owner: str, monitor: str, keys: Sequence[str]) -> ValueError:
    """The error for a key that the logs of a run do not have."""
    hint = did_you_mean(monitor, keys)
    if monitor.startswith("val_") and not any(key.startswith("val_") for key in keys):
        hint = "; give fit validation_data or validation_split"
    return ValueError(f"{owner}: unknown monitor {monitor!r}; this run has: {', '.join(keys)}{hint}")


# The last words of keys of which high values, or low ones, are good.
_HIGH = ("acc", "accuracy", "auc", "f1", "fbeta", "precision", "recall", "score", "r2", "kappa", "specificity")
_LOW = ("loss", "error", "mse", "mae", "rmse", "mape", "msle", "crossentropy", "deviance", "brier")


def direction_of_added(owner: str, key: str) -> str:
    """The better direction of a key that a callback adds to the logs, by its name.

    Raises:
        ValueError: If the name does not tell; the user must say it then.
    """
    word = key.removeprefix("val_").rpartition("_")[2].lower()
    if word in _HIGH or word in _LOW:
        return "max" if word in _HIGH else "min"
    raise ValueError(f"{owner}: mode must be 'min' or 'max' for {key!r}, which no metric of the model has, got 'auto'")


def directions_of(keys: Iterable[str], model: object = None) -> dict[str, str]:
    """The better direction of each key, "max" or "min", from the model's metrics or else from the name."""
    metrics = getattr(model, "metrics", None) or ()
    named = {"": metrics} if not isinstance(metrics, Mapping) else {f"{name}_": few for name, few in metrics.items()}
    known = {f"{prefix}{metric.name}": metric.direction for prefix, few in named.items() for metric in few}
    plain = {key: key.removeprefix("val_") for key in keys}
    high = ("acc", "accuracy")
    return {
        key: known.get(name) or ("max" if name.rpartition("_")[2] in high else "min") for key, name in plain.items()
    }
