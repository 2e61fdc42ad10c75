"""The callbacks that a fit is given: which are allowed, and which of them C++ cannot do by itself."""

from __future__ import annotations

from typing import Any

from fastreg.callbacks.base import Callback
from fastreg.callbacks.early_stopping import EarlyStopping
from fastreg.callbacks.history import History
from fastreg.callbacks.stops import StopSignal, TimeLimit
from fastreg.internal.checks import describe

# What C++ does by itself: a fit with nothing else need not enter Python.
BUILT_IN = (EarlyStopping, History, StopSignal, TimeLimit)

# Keras's hooks that have no moment here.
_BATCH_HOOKS = tuple(
    f"on_{phase}_{moment}"
    for phase in ("batch", "train_batch", "test_batch", "predict_batch", "test", "predict")
    for moment in ("begin", "end")
)


def checked_list(value: Any) -> list[Callback]:
    """The callbacks of ``fit(callbacks=...)``. Other objects and methods that are never called raise an error."""
    if value is None:
        return []
    items = [value] if isinstance(value, Callback) else list(value) if hasattr(value, "__iter__") else None
    if items is None:
        raise TypeError(f"fit: callbacks must be a list of callbacks, got {describe(value)}")
    for item in items:
        if not isinstance(item, Callback):
            hint = "; did you forget the parentheses?" if isinstance(item, type) else ""
            raise TypeError(f"fit: callbacks must be instances of callbacks.Callback, got {describe(item)}{hint}")
        for hook in _BATCH_HOOKS:
            if hasattr(item, hook):
                who = type(item).__name__
                raise ValueError(f"fit: callback {who} has {hook}, which is never called: callbacks act between epochs")
    return items


def overrides(callback: Callback, *hooks: str) -> bool:
    """Whether a callback has a hook that is not one of fastreg's own, by its class or put on the instance."""
    known = [getattr(kind, hook) for kind in (Callback, EarlyStopping) for hook in hooks]
    return any(getattr(getattr(callback, hook), "__func__", None) not in known for hook in hooks)
