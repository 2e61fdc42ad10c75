"""Callbacks that watch a value of the logs: which key, which direction is better, and what counts as better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastreg.callbacks.base import Callback, Logs
from fastreg.callbacks.early_stopping import direction_of_added, directions_of, logged, unknown_monitor
from fastreg.internal.checks import FINITE, check_choice, check_name, check_real, describe

__all__ = ["MonitorCallback"]


class MonitorCallback(Callback):
    """Base of the callbacks that compare a value with its best one so far. A NaN is never better.

    Args:
        monitor: Key of the value: ``"loss"``, the name of a metric, one of them with ``val_`` in front, or what another
            callback, before this one in the list, adds to the logs.
        mode: ``"min"``, ``"max"``, or ``"auto"``: the direction of the metric; max for accuracies, else min.
        initial_value_threshold: The value to be better than at first; None means that there is none.
        min_delta: Smallest change that counts, >= 0.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        initial_value_threshold: float | None = None,
        min_delta: float = 0.0,
    ) -> None:
        owner = type(self).__name__
        self.monitor = check_name(owner, "monitor", monitor)
        self.mode = check_choice(owner, "mode", mode, ("auto", "min", "max"))
        self.min_delta = abs(check_real(owner, "min_delta", min_delta, FINITE))
        self.best = (
            None
            if initial_value_threshold is None
            else check_real(owner, "initial_value_threshold", initial_value_threshold, FINITE)
        )
        self._keys: Sequence[str] = ()
        self._directions: Mapping[str, str] = {}

    def _watch(self, keys: Sequence[str], directions: Mapping[str, str], added: bool) -> None:
        self._keys, self._directions = keys, directions
        if self.monitor not in keys and not added:
            raise unknown_monitor(type(self).__name__, self.monitor, keys)

    def value_in(self, logs: Logs | None) -> float | None:
        """The value; None for a value of validation in an epoch without one. Raises ValueError if it is missing."""
        owner = type(self).__name__
        if not isinstance(logs, Mapping):
            raise TypeError(f"{owner}: logs must be a dict with {self.monitor!r}, got {describe(logs)}")
        if self.monitor in logs:
            return logged(owner, self.monitor, logs[self.monitor])
        if self.monitor in self._keys:
            return None
        raise unknown_monitor(owner, self.monitor, list(logs))

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value is better than the best one by more than ``min_delta``."""
        if math.isnan(value):
            return False
        if best is None:
            return True
        mode = self.mode
        if mode == "auto":
            mode = self._direction()
        return value - self.min_delta > best if mode == "max" else value + self.min_delta < best

    def _direction(self) -> str:
        if not self._directions:
            return directions_of([self.monitor], getattr(self, "model", None))[self.monitor]
        return self._directions.get(self.monitor) or direction_of_added(type(self).__name__, self.monitor)

    def get_state(self) -> dict[str, Any]:
        """The best value."""
        return {"best": self.best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores it."""
        self.best = state["best"]
