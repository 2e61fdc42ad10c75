"""The callbacks that a call is given: which are allowed, and which of them C++ cannot do by itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from fastreg.callbacks.base import HOOKS, Callback, overrides
from fastreg.callbacks.early_stopping import EarlyStopping
from fastreg.callbacks.lists import CallbackList
from fastreg.internal.checks import describe

__all__ = ["adds_keys", "checked_list", "has_hook", "warn_of_patience"]


def checked_list(value: Any, call: str = "fit") -> list[Callback]:
    """The callbacks of an argument ``callbacks``. Other objects raise TypeError, and a list with hooks of its own."""
    if value is None:
        return []
    if isinstance(value, CallbackList):
        value = _members(value, call)
    items = [value] if isinstance(value, Callback) else list(value) if hasattr(value, "__iter__") else None
    if items is None:
        raise TypeError(f"{call}: callbacks must be a list of callbacks, got {describe(value)}")
    found: list[Callback] = []
    for item in items:
        if not isinstance(item, Callback):
            hint = "; did you forget the parentheses?" if isinstance(item, type) else ""
            raise TypeError(f"{call}: callbacks must be instances of callbacks.Callback, got {describe(item)}{hint}")
        found += checked_list(item, call) if isinstance(item, CallbackList) else [item]
    return found


def _members(several: CallbackList, call: str) -> list[Callback]:
    """The callbacks of a list. TypeError for a hook of the list itself, which no call of a model would reach."""
    kind, own = type(several), vars(several)
    for name in (*HOOKS, "set_model", "set_params", "get_state", "set_state"):
        if name in own or getattr(kind, name) is not getattr(CallbackList, name):
            raise TypeError(
                f"{call}: {name} of a {kind.__name__} would never be called, since a CallbackList is taken as its "
                "callbacks; put a Callback with that method into the list"
            )
    return several.callbacks


def has_hook(item: Callback, *hooks: str) -> bool:
    """Whether a callback has a hook that is not one of those that early stopping has for loops of one's own."""
    if not overrides(item, *hooks):
        return False
    own = [getattr(EarlyStopping, hook) for hook in hooks]
    return not (
        isinstance(item, EarlyStopping)
        and all(getattr(getattr(item, hook), "__func__", None) is one for hook, one in zip(hooks, own, strict=True))
    )


def adds_keys(item: Callback) -> bool:
    """Whether a callback may add keys to the logs that no one knows beforehand: not those of fastreg."""
    ours = type(item).__module__.startswith("fastreg.callbacks.") and type(item).__name__ != "LambdaCallback"
    return has_hook(item, "on_epoch_end") and not ours


def warn_of_patience(items: Sequence[Callback]) -> None:
    """Warns if early stopping ends the run before the learning rate is reduced by the same value."""
    for stopper in (item for item in items if isinstance(item, EarlyStopping)):
        for item in items:
            patience = getattr(item, "patience", -1)
            if (
                type(item).__name__ == "ReduceLROnPlateau"
                and getattr(item, "monitor", None) == stopper.monitor
                and stopper.patience <= patience
            ):
                warnings.warn(
                    f"fit: EarlyStopping waits for {stopper.patience} epochs of {stopper.monitor!r} and "
                    f"ReduceLROnPlateau for {patience}, so the run ends before the rate is reduced; give "
                    "EarlyStopping the larger patience",
                    UserWarning,
                    stacklevel=5,
                )
