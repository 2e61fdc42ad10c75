"""``LambdaCallback``: a callback made of functions."""

from __future__ import annotations

import inspect
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
        TypeError: If a name is no hook, or something is no function that takes its arguments and runs when called.

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
            _check(name, function)
            setattr(self, name, function)

    def __repr__(self) -> str:
        given = (f"{name}={self.__dict__[name]!r}" for name in HOOKS if name in self.__dict__)
        return f"LambdaCallback({', '.join(given)})"


def _check(name: str, function: Callable[..., object]) -> None:
    """Raises TypeError for a function that a hook cannot call, or whose call would do nothing."""
    for called in (function, type(function).__call__):
        has_yield = inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)
        if has_yield or inspect.iscoroutinefunction(called):
            kind = "one with yield" if has_yield else "an async one"
            raise TypeError(f"LambdaCallback: {name} must be a function that runs when it is called, got {kind}")
    first = next((first for first in ("epoch", "batch") if f"_{first}_" in name), None)
    arguments: tuple[object, ...] = ({},) if first is None else (0, {})
    try:
        # Not that of a function in it, as functools.wraps makes one, which may be called with other arguments.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # one that is written in C and has none
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        told = "(logs)" if first is None else f"({first}, logs)"
        raise TypeError(f"LambdaCallback: {name} is called with {told}, which the function refuses: {error}") from None
