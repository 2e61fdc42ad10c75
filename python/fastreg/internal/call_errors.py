"""Errors of calls that name the class that was called, though a base class has the method, and say what to do."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["refuses_unknown_arguments", "wants_targets"]

P = ParamSpec("P")
T = TypeVar("T")


def wants_targets(call: Callable[P, T]) -> Callable[P, T]:
    """Lets a call say what is missing if y is, and what to do with a generator of batches.

    It is a method of ``(x, y, ...)``, or a function of ``(model, x, y, ...)``.
    """

    @functools.wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        if len(args) < 3 and "y" not in kwargs:
            _refuse_without_targets(call, args, kwargs)
        return call(*args, **kwargs)

    return checked


def _refuse_without_targets(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    from fastreg.internal.batches import BATCHES, gives_batches  # needed for errors only

    if not args:
        return  # Python names what is missing
    is_method = call.__qualname__ != call.__name__
    name = f"{type(args[0]).__name__}.{call.__name__}" if is_method else call.__name__
    given = [*args[1:], *(kwargs[name] for name in ("x", "X") if name in kwargs)]
    if not given:
        first = list(inspect.signature(call).parameters)[1]
        raise TypeError(f"{name}() missing 2 required positional arguments: {first!r} and 'y'")
    hint = ""
    if gives_batches(given[0]):
        kind = type(given[0]).__name__
        hint = f"; {name} takes arrays, and no generator, iterator or loader of batches, got a {kind}: {BATCHES}"
    raise TypeError(f"{name}() missing 1 required positional argument: 'y'{hint}")


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
