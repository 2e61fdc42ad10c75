"""Distributions of other libraries in a space: SciPy's, and anything with a method ``rvs``.

A value is a function of one number in [0, 1), like that of every distribution: the quantile at that number, or, for an
object that knows no quantiles, what its ``rvs`` draws with a seed made of the number. So one seed of the search gives
the same values, and a resumed search finds them again. This module imports no SciPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastreg.search.space.distributions import Distribution
from fastreg.search.space.tree import Condition, Node, NumberNode, Tree, plain, text_of
from fastreg.search.values import fingerprint

__all__ = ["Drawn", "is_drawn"]

# The smallest distance from 0 and 1 at which a quantile is taken, where that at the end is infinite.
_TINY = 2.0**-53
_SEEDS = 2**32
# Most values of a discrete distribution that are asked for their probabilities, so that a grid can list them.
_MOST_LISTED = 10_000

# The __repr__ of objects that have none of their own.
_NO_TEXT: Any = object.__repr__


def is_drawn(value: Any) -> bool:
    """Whether a value of a space is a distribution of another library."""
    known = hasattr(value, "rvs") or (hasattr(value, "icdf") and hasattr(value, "sample"))
    return known and not isinstance(value, type)


@dataclass(frozen=True, eq=False, repr=False)
class Drawn(Distribution):
    """A parameter that is drawn from a distribution of SciPy, or from any object with ``rvs(random_state=...)``.

    A :class:`~fastreg.search.Space` makes it of such an object. Two of the same text are equal.

    Args:
        distribution: The object. With ``ppf`` and ``cdf`` it suits every strategy; with ``rvs`` alone it suits random
            and quasi-random search.

    Attributes:
        text: The distribution as text, for the journal.
        whole: Whether its values are integers.
        continuous: Whether its values are floats, of which none is drawn twice.

    Raises:
        TypeError: If nothing can be drawn from it.

    Example:
        >>> from scipy.stats import loguniform
        >>> from fastreg.search import Space
        >>> space = Space({"lr": loguniform(1e-4, 1e-2)})
        >>> round(space.from_unit([0.5])["lr"], 12), space.alternatives[0]["lr"].text
        (0.001, 'loguniform(0.0001, 0.01)')
    """

    distribution: Any
    text: str = field(init=False, default="")
    whole: bool = field(init=False, default=False)
    continuous: bool = field(init=False, default=False)
    _quantile: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        given = self.distribution
        kind = getattr(given, "dist", given)
        discrete = "DiscreteDistribution" in [base.__name__ for base in type(given).__mro__]
        quantile = getattr(given, "ppf", None) or getattr(given, "icdf", None)
        whole = quantile is not None and (discrete or (hasattr(kind, "pmf") and not hasattr(kind, "pdf")))
        self._set(text=_text(given), whole=whole, continuous=quantile is not None and not whole, _quantile=quantile)
        try:
            self.at(0.5)
        except Exception as error:
            raise TypeError(
                f"nothing can be drawn from {self.text} ({type(error).__name__}: {error}); does it need its arguments?"
            ) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Drawn) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return self.text

    def at(self, unit: float) -> Any:
        """The value for a number in [0, 1].

        Raises:
            ValueError: If a quantile is not finite.
        """
        quantile = self._quantile
        if quantile is None:
            seed = min(int(unit * _SEEDS), _SEEDS - 1)
            return plain(np.asarray(self.distribution.rvs(random_state=np.random.RandomState(seed))))
        inside = min(max(unit, _TINY), 1 - _TINY)
        value = float(quantile(inside if self.whole else unit))  # SciPy's quantile at 0 lies below all integers drawn
        if not math.isfinite(value):
            value = float(quantile(inside))
        if not math.isfinite(value):
            raise ValueError(f"{self.text}: the quantile at {unit!r} must be finite, got {value!r}")
        return round(value) if self.whole else value

    def unit_of(self, value: Any) -> float:
        """A number in [0, 1] whose value is about this one."""
        cdf = self.distribution.cdf
        return float(0.5 * (cdf(value - 1) + cdf(value)) if self.whole else cdf(value))

    def holds(self, value: Any) -> bool:
        """Whether it may be drawn, as far as the distribution says."""
        if self._quantile is None:
            return True
        if not (type(value) is int if self.whole else type(value) in (int, float)):
            return False
        low, high = self._ends()
        return bool(low <= value <= high)

    def _ends(self) -> tuple[float, float]:
        support = getattr(self.distribution, "support", None)
        low, high = support() if support is not None else (-math.inf, math.inf)
        return float(low), float(high)

    def _compile(self, tree: Tree, path: str, condition: Condition | None) -> Node:
        low, high = self._ends() if self._quantile is not None else (-math.inf, math.inf)
        step = 0
        if self.whole and self._is_listed(low, high):
            low, high, step = round(low), round(high), 1
        index = tree.add(path, "drawn", (low, high), step, condition, self)
        return NumberNode(index, tree.leaves[index])

    def _is_listed(self, low: float, high: float) -> bool:
        """Whether its values are all the integers from low to high."""
        if not (math.isfinite(low) and math.isfinite(high)) or high - low >= _MOST_LISTED:
            return False
        return bool(np.all(self.distribution.pmf(np.arange(round(low), round(high) + 1)) > 0))


def _text(given: Any) -> str:
    """The distribution and its arguments, the same in every process."""
    kind = getattr(given, "dist", None)
    name = getattr(kind, "name", None)
    if isinstance(name, str) and hasattr(given, "args") and hasattr(given, "kwds"):
        arguments = [*map(_argument, given.args), *(f"{key}={_argument(value)}" for key, value in given.kwds.items())]
        return f"{name}({', '.join(arguments)}){_listed(kind)}"
    if isinstance(getattr(given, "name", None), str) and hasattr(given, "freeze"):
        return f"{given.name}(){_listed(given)}"
    if type(given).__repr__ is _NO_TEXT:
        own = (f"{key}={_argument(value)}" for key, value in sorted(getattr(given, "__dict__", {}).items()))
        return f"{type(given).__qualname__}({', '.join(own)})"
    return text_of(given)


def _listed(kind: Any) -> str:
    """What tells apart distributions of values that a user listed, or of a histogram."""
    listed = [np.hstack(getattr(kind, name)) for name in ("xk", "pk", "_histogram") if hasattr(kind, name)]
    return f" of {fingerprint(*listed)}" if listed else ""


def _argument(value: Any) -> str:
    return text_of(plain(value))
