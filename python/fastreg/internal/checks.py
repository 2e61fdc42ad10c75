"""Checks of single arguments, shared by every description and by the training calls.

Each check names the owner, the argument, the rule and the value, returns a plain Python value (never a NumPy scalar),
refuses NaN, and does not accept a bool as a number. This module knows nothing of models or arrays.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterable
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np


class Range:
    """An interval of numbers, and how a message says it.

    Args:
        words: What follows "must" in a message.
        low: The lower end.
        high: The upper end.
        ends: ``"["`` and ``"]"`` include an end, ``"("`` and ``")"`` leave it out.
    """

    def __init__(self, words: str, low: float = -math.inf, high: float = math.inf, ends: str = "[]") -> None:
        self.words, self.low, self.high = words, low, high
        self.low_is_inside, self.high_is_inside = ends[0] == "[", ends[1] == "]"
        # Positive numbers between these two are inside, and so are they in float32, whose rounding is less than 1e-7.
        self.surely_above, self.surely_below = max(low, 2.0**-126) * (1 + 1e-6), min(high, _LARGEST) * (1 - 1e-6)
        # Whether a number is inside; NaN is not.
        self.holds: Callable[[Any], bool] = {
            "[]": lambda value: low <= value <= high,
            "[)": lambda value: low <= value < high,
            "(]": lambda value: low < value <= high,
            "()": lambda value: low < value < high,
        }[ends]


# Above it, a float32 is infinite.
_LARGEST = 3.4028234663852886e38

FINITE = Range("be finite")
POSITIVE = Range("be > 0", 0.0, ends="(]")
# The range of a number that is added to a divisor. The core treats denormals as zero.
NORMAL = Range("be >= 2**-126", 2.0**-126)
NON_NEGATIVE = Range("be >= 0", 0.0)
NOT_POSITIVE = Range("be <= 0", high=0.0)
ABOVE_ONE = Range("be > 1", 1.0, ends="(]")
AT_LEAST_ONE = Range("be >= 1", 1.0)
FRACTION = Range("be in [0, 1)", 0.0, 1.0, "[)")
INNER_FRACTION = Range("be in (0, 1)", 0.0, 1.0, "()")
CLOSED_FRACTION = Range("be in [0, 1]", 0.0, 1.0)

# What a number must satisfy: a range, or the words for the message and the test.
Rule = Range | tuple[str, Callable[[Any], bool]]

# Most units or features that the core takes, and most seeds.
WIDTH_LIMIT = 2**31
SEED_LIMIT = 2**64

# Bits of the longest integer that messages show in full; Python refuses to print those of thousands of digits.
_LONGEST_SHOWN = 256


def describe(value: object) -> str:
    """A short text of a value for an error message, with its type where the text alone does not show it."""
    if isinstance(value, int) and value.bit_length() > _LONGEST_SHOWN:
        return f"about {'-' if value < 0 else ''}2**{value.bit_length() - 1}"
    try:
        text = repr(value)
    except ValueError:  # it holds an integer of more digits than Python converts
        return f"a value of type {type(value).__name__}"
    if len(text) > 80:
        text = text[:77] + "..."
    return text if isinstance(value, (int, float, str, type(None))) else f"{text} ({type(value).__name__})"


def check_real(owner: str, name: str, value: object, rule: Rule) -> float:
    """Returns ``value`` as a float. Raises TypeError if it is no real number, ValueError if it breaks the rule."""
    if (
        type(value) is float
        and type(rule) is Range
        and (rule.surely_above < value < rule.surely_below or (value == 0.0 and rule.holds(value)))
    ):
        return value
    words, test = rule if isinstance(rule, tuple) else (rule.words, rule.holds)
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, Real)):
        raise TypeError(f"{owner}: {name} must be a number, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{owner}: {name} must be finite in float32, got {describe(value)}") from None
    if not math.isfinite(number) or not test(number):
        raise ValueError(f"{owner}: {name} must {words}, got {number!r}")
    if number == 0.0:
        return number
    if abs(number) > _LARGEST:
        raise ValueError(f"{owner}: {name} must be finite in float32, got {number!r}")
    # The core computes in float32, where 1e-60 is 0 and 0.999999999 is 1.
    rounded = float(np.float32(number))
    if not test(rounded):
        raise ValueError(f"{owner}: {name} must {words}, got {number!r}, which is {rounded!r} in float32")
    return number


def check_int(owner: str, name: str, value: object, rule: Rule, limit: int = 2**63) -> int:
    """Returns ``value`` as an int below ``limit``. Raises TypeError if it is no integer, ValueError else."""
    if type(value) is int and type(rule) is Range and value < limit and rule.holds(value):
        return value
    words, test = rule if isinstance(rule, tuple) else (rule.words, rule.holds)
    if type(value) is not int and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise TypeError(f"{owner}: {name} must be an integer, got {describe(value)}")
    number = int(value)
    if not test(number):
        raise ValueError(f"{owner}: {name} must {words}, got {describe(number)}")
    if number >= limit:
        raise ValueError(f"{owner}: {name} must be < {limit}, got {describe(number)}")
    return number


def check_verbosity(owner: str, value: object, rule: Rule) -> int:
    """Returns how much is to be shown as an int; False and True, NumPy's included, are 0 and 1."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    return check_int(owner, "verbose", value, rule)


def check_bool(owner: str, name: str, value: object) -> bool:
    """Returns ``value`` as a bool. Raises TypeError if it is anything but a bool, NumPy's included."""
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise TypeError(f"{owner}: {name} must be True or False, got {describe(value)}")


def check_name(owner: str, name: str, value: object) -> str:
    """Returns a name that a user gives to a thing: a string with something in it."""
    if not isinstance(value, str):
        raise TypeError(f"{owner}: {name} must be a string, got {describe(value)}")
    if not value.strip():
        raise ValueError(f"{owner}: {name} must not be empty, got {value!r}")
    return value


def check_choice(owner: str, name: str, value: object, choices: Collection[str]) -> str:
    """Returns ``value`` if it is one of the choices. The message lists them and guesses at the one that was meant."""
    if isinstance(value, str) and value in choices:
        return value
    known = sorted(choices)
    if not isinstance(value, str):
        raise TypeError(f"{owner}: {name} must be one of {', '.join(known)}, got {describe(value)}")
    guess = unknown_name(name, value, known)
    raise ValueError(f"{owner}: unknown {name} {describe(value)}; known: {', '.join(known)}{guess}")


def did_you_mean(value: str, known: Iterable[str], kind: str = "") -> str:
    """``" (did you mean 'relu'?)"`` if the value is a typo of a known name, else nothing."""
    from fastreg.internal.typos import closest  # needed for errors only

    close = closest(value, known, kind)
    return f" (did you mean {close!r}?)" if close is not None else ""


def unknown_name(kind: str, value: str, known: Collection[str]) -> str:
    """The end of a message about an unknown name: what to use instead, or a guess at the name that was meant."""
    from fastreg.internal.absent import instead

    if f"{value}s" in known:
        return did_you_mean(f"{value}s", known)
    return instead(kind, value) or did_you_mean(value, known, kind)


def absent_names(module: str) -> Callable[..., NoReturn]:
    """The ``__getattr__`` of one of fastreg's modules: says what to use instead of a name that is not there."""

    def getattr_of_module(name: str, depth: int = 1) -> NoReturn:
        text = f"module {module!r} has no attribute {name!r}"
        caller = sys._getframe(depth)
        # The second: `from fastreg import name` asks first whether it is an attribute, then tries a submodule.
        if name.startswith("_") or caller.f_globals.get("__name__") == "importlib._bootstrap":
            raise AttributeError(text, name=name)
        from fastreg.internal.absent import home_of, instead, kind_of

        kind = kind_of(module)
        known = "" if instead(kind, name) else home_of(name)
        text += known or unknown_name(kind, name, sys.modules[module].__all__)
        # `from module import name` drops the text of an AttributeError.
        if caller.f_code.co_code[caller.f_lasti] == _import_from():
            raise ImportError(text, name=module)
        raise AttributeError(text, name=name)

    return getattr_of_module


def _import_from() -> int:
    import opcode

    return opcode.opmap["IMPORT_FROM"]
