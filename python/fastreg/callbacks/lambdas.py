"""``LambdaCallback``: a callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastreg.callbacks.base import HOOKS, Callback
from fastreg.internal.checks import describe, did_you_mean

__all__ = ["LambdaCallback"]


class LambdaCallback(Callback):
    """A callback made of functions, each with the arguments of the hook of its name.

    Args:
        on_epoch_begin: Is called with ``(epoch, logs)``.
        on_epoch_end: Is called with ``(epoch, logs)``.
        on_train_begin: Is called with ``(logs)``.
        on_train_end: Is called with ``(logs)``.
        on_train_batch_begin: Is called with ``(batch, logs)``.
        on_train_batch_end: Is called with ``(batch, logs)``.
        **kwargs: Functions for other hooks of :class:`Callback`, such as ``on_test_end``.

    Raises:
        TypeError: If a name is no hook, or something is no function.

    Example:
        >>> from fastreg import callbacks
        >>> printer = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
        >>> printer.on_epoch_end(0, {"loss": 0.5})
        0 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., object] | None = None,
        on_epoch_end: Callable[..., object] | None = None,
        on_train_begin: Callable[..., object] | None = None,
        on_train_end: Callable[..., object] | None = None,
        on_train_batch_begin: Callable[..., object] | None = None,
        on_train_batch_end: Callable[..., object] | None = None,
        **kwargs: Callable[..., object] | None,
    ) -> None:
        given: dict[str, Any] = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in given.items():
            if name not in HOOKS:
                raise TypeError(f"LambdaCallback: {name} is no hook of a callback{did_you_mean(name, HOOKS)}")
            if function is None:
                continue
            if not callable(function):
                raise TypeError(f"LambdaCallback: {name} must be a function, got {describe(function)}")
            setattr(self, name, function)

    def __repr__(self) -> str:
        given = (f"{name}={self.__dict__[name]!r}" for name in HOOKS if name in self.__dict__)
        return f"LambdaCallback({', '.join(given)})"
