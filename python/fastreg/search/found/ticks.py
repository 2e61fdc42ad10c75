"""The axis of a parameter in a picture: the position of each value, and the labels of the ticks.

Its scale is that of the parameter's distribution, so that two searches of one space have the same axes. This module
draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fastreg.internal.pictures import plain
from fastreg.search.space.distributions import Choice, Integer, LogUniform, Uniform, When, flat
from fastreg.search.space.drawn import Drawn
from fastreg.search.space.space import Space

__all__ = ["NOT_USED", "Ticks", "scale_of"]

NOT_USED = "not used"

# The share of an axis that is reserved for each value that has no position on its scale.
_STEP = 0.12
# The largest number of values outside a logarithmic scale (such as 0) that get a position of their own.
_MOST_ASIDE = 3
# Characters of a text at an axis.
_LONGEST = 18


def scale_of(space: Space, name: str) -> str:
    """How the values of a parameter are spread: ``"log"``, ``"linear"``, or ``"even"`` where all of them are listed."""
    found = set()
    for alternative in space.alternatives:
        value = alternative.get(name)
        value = value.distribution if isinstance(value, When) else value
        for part in flat(value.options) if isinstance(value, Choice) else [value]:
            log = isinstance(part, Drawn) and part.text.startswith(("loguniform(", "reciprocal("))
            if log or isinstance(part, LogUniform) or (isinstance(part, Integer) and part.log):
                found.add("log")
            elif isinstance(part, (Uniform, Integer, Drawn)):
                found.add("linear")
    return "log" if "log" in found else "linear" if found else "even"


class Ticks:
    """Values of any kind on an axis from 0 to 1, with its ticks: numbers by size, others by kind, absent ones below.

    Args:
        values: The values to draw; :data:`NOT_USED` for a trial without the parameter.
        scale: The result of :func:`scale_of`. On a logarithmic scale, numbers that are not positive are below the
            others. limits: The ends of the axis; numbers beyond them are drawn at the ends. None: the smallest and the
            largest number.

    Attributes:
        heights: The position of each value.
        ticks: Positions and labels.
    """

    def __init__(
        self, values: Sequence[Any], scale: str = "linear", limits: tuple[float, float] | None = None
    ) -> None:
        distinct = sorted({v for v in values if _is_number(v)})
        absent = any(isinstance(v, str) and v == NOT_USED for v in values)
        others = sorted({str(v) for v in values if not _is_number(v) and v != NOT_USED})
        aside = [v for v in distinct if v <= 0] if scale == "log" else []
        if len(aside) > _MOST_ASIDE:
            scale, aside = "linear", []
        on_scale = distinct[len(aside) :]
        if others or scale == "even" or len(on_scale) < 2:
            kinds = [*([NOT_USED] if absent else []), *distinct, *others]
            places = {kind: (i + 0.5) / len(kinds) for i, kind in enumerate(kinds)}
            self.heights = [places[v if _is_number(v) else str(v)] for v in values]
            self.ticks = [(place, _text(kind)) for kind, place in places.items()]
            return
        below = [*([NOT_USED] if absent else []), *aside]
        low, high = limits or (on_scale[0], on_scale[-1])
        share = _shares(low, high, scale == "log")
        base = _STEP * len(below)
        known = {value: _STEP * i for i, value in enumerate(below)}
        known |= {v: base + (1.0 - base) * min(max(share(v), 0.0), 1.0) for v in on_scale}
        self.heights = [known[v] for v in values]
        marks = [k / 4 for k in range(5)] if len(on_scale) > 5 or limits else [share(v) for v in on_scale]
        at = _marks(low, high, scale == "log")
        beyond = {0.0: "≤ " if on_scale[0] < low else "", 1.0: "≥ " if on_scale[-1] > high else ""}
        self.ticks = [(base + (1.0 - base) * m, f"{beyond.get(m, '')}{at(m):.3g}") for m in marks]
        self.ticks += [(known[value], _text(value)) for value in below]


def _shares(low: float, high: float, log: bool) -> Callable[[float], float]:
    """The position of a number between low (0) and high (1)."""
    if log:
        return lambda value: math.log(value / low) / math.log(high / low)
    return lambda value: (value - low) / (high - low)


def _marks(low: float, high: float, log: bool) -> Callable[[float], float]:
    """The number at a position between low (0) and high (1)."""
    return (lambda s: low * (high / low) ** s) if log else (lambda s: low + (high - low) * s)


def _text(kind: Any) -> str:
    return plain(f"{kind:g}" if _is_number(kind) else str(kind), _LONGEST)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
