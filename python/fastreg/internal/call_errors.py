"""Errors of calls that name the class that was called, though a base class has the method, and say what to do."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["refuses_unknown_arguments", "wants_targets"]

P = ParamSpec("P")
T = TypeVar("T")


def wants_targets(method: Callable[P, T]) -> Callable[P, T]:
    """Lets a method of ``(x, y, ...)`` say what is missing if y is, and what to do with a generator of batches."""

    @functools.wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        if len(args) < 3 and "y" not in kwargs:
            _refuse_without_targets(method.__name__, args, kwargs)
        return method(*args, **kwargs)

    return checked


def _refuse_without_targets(call: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    from fastreg.internal.batches import BATCHES, gives_batches  # needed for errors only

    given = [*args[1:], *(kwargs[name] for name in ("x", "X") if name in kwargs)]
    if not given:
        return  # Python names both
    call = f"{type(args[0]).__name__}.{call}"
    hint = ""
    if gives_batches(given[0]):
        kind = type(given[0]).__name__
        hint = f"; {call} takes arrays, and no generator, iterator or loader of batches, got a {kind}: {BATCHES}"
    raise TypeError(f"{call}() missing 1 required positional argument: 'y'{hint}")


def refuses_unknown_arguments(method: Callable[P, T]) -> Callable[P, T]:
    """Lets an inherited constructor name the class that was called, and say what an unknown argument is called here."""
    known = frozenset(inspect.signature(method).parameters)

    @functools.wraps(method)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in kwargs:
            if name not in known:
                raise _unknown(type(args[0]), name)
        return method(*args, **kwargs)

    return checked


def _unknown(cls: type, name: str) -> TypeError:
    from fastreg.internal.absent import argument_instead  # needed for errors only
    from fastreg.internal.checks import did_you_mean

    known = inspect.signature(cls).parameters
    hint = argument_instead(name, known) or did_you_mean(name, known)
    return TypeError(f"{cls.__name__}.__init__() got an unexpected keyword argument {name!r}{hint}")
