"""Checks of the members of a JSON form, for model files that anyone may have written: each raises ValueError."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastreg.internal.checks import describe

__all__ = ["finite", "members", "strings", "typed", "whole"]


def typed(value: Any, kind: type, what: str) -> Any:
    """A member of a JSON form. Raises ValueError unless it is of the kind."""
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ValueError(f"{what} must be of type {kind.__name__}, got {describe(value)}")
    return value


def members(value: Any, what: str, *names: str) -> Mapping[str, Any]:
    """An object of a JSON form. Raises ValueError if it has members of other names."""
    found: Mapping[str, Any] = typed(value, dict, what)
    if unknown := [name for name in found if name not in names]:
        raise ValueError(f"{what} has an unknown member {describe(unknown[0])}")
    return found


def strings(value: Any, what: str) -> tuple[str, ...]:
    """A list of strings of a JSON form."""
    return tuple(typed(text, str, what) for text in typed(value, list, what))


def whole(value: Any, what: str, low: int, high: int) -> int:
    """An integer of a JSON form in [low, high]."""
    number: int = typed(value, int, what)
    if not low <= number <= high:
        raise ValueError(f"{what} must be in [{low}, {high}], got {describe(number)}")
    return number


def finite(value: Any, what: str, limit: float = math.inf) -> float:
    """A number of a JSON form that is finite as a float, at most ``limit`` in size."""
    if not isinstance(value, bool) and isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number) and abs(number) <= limit:
            return number
    rule = "a finite number" if limit == math.inf else f"a number of at most {limit:g} in size"
    raise ValueError(f"{what} must be {rule}, got {describe(value)}")
