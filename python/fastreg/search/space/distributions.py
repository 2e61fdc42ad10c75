"""The distributions of a search space: which values a parameter may have.

A distribution is a frozen description: comparable, printable, picklable. It only knows how to compile itself into the
leaves and nodes of ``tree.py``; ``space.py`` combines parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import numpy as np

from fastreg.internal.checks import (
    AT_LEAST_ONE,
    FINITE,
    NON_NEGATIVE,
    POSITIVE,
    check_bool,
    check_int,
    check_name,
    check_real,
    describe,
)
from fastreg.internal.description import Description
from fastreg.search.space.tree import (
    Condition,
    ConstantNode,
    Kind,
    Node,
    Number,
    NumberNode,
    SelectNode,
    SteppedNode,
    Tree,
    WidthsNode,
    plain,
    value_key,
)

__all__ = ["Choice", "Distribution", "Integer", "LogUniform", "Uniform", "When", "Widths"]

# Above it, a float64 in [0, 1) does not reach every integer of a range.
_MOST_INTEGERS = 2**53
_MOST_LAYERS = 1000
# How far the last step may be from the end of a range, as a share of a step: floats like 0.1 are not exact.
_STEP_TOLERANCE = 1e-6
# Most values in steps that are compared one by one.
_MOST_COMPARED = 10_000


class Distribution(Description):
    """Base of all distributions. A parameter is a distribution or a plain value."""

    def _compile(self, tree: Tree, path: str, condition: Condition | None) -> Node:
        """Adds the leaves of this distribution to the tree; ``condition`` says when they are used."""
        raise NotImplementedError

    def _add_number(
        self, tree: Tree, path: str, kind: Kind, bounds: tuple[Number, Number], step: int, condition: Condition | None
    ) -> Node:
        index = tree.add(path, kind, bounds, step, condition)
        return NumberNode(index, tree.leaves[index])


def compile_value(value: Any, tree: Tree, path: str, condition: Condition | None) -> Node:
    """The node of a distribution or of a plain value."""
    return value._compile(tree, path, condition) if isinstance(value, Distribution) else ConstantNode(value)


def _bounds(owner: str, low: object, high: object) -> tuple[float, float]:
    numbers = []
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (float, int, np.floating, np.integer)):
            raise TypeError(f"{owner}: {name} must be a number, got {describe(value)}")
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{owner}: {name} must be finite, got {number!r}")
        numbers.append(number)
    if not numbers[0] < numbers[1]:
        raise ValueError(f"{owner}: low must be < high, got {numbers[0]!r} and {numbers[1]!r}")
    if not math.isfinite(numbers[1] - numbers[0]):
        raise ValueError(f"{owner}: high - low must be finite, got {numbers[0]!r} and {numbers[1]!r}")
    return numbers[0], numbers[1]


@dataclass(frozen=True, repr=False)
class Uniform(Distribution):
    """A float, every value of [low, high] equally likely; with a step, every one of low, low + step, ..., high.

    Args:
        low: Smallest value, finite.
        high: Largest value, > low; with a step a whole number of steps above it.
        step: Distance of neighbours, > 0; None, the default, is any float. A grid takes a range with steps only.

    Raises:
        ValueError: If ``low >= high``, one of them is not finite, ``step <= 0``, or ``high`` is not reached in steps.

    Example:
        >>> from fastreg.search import Space, Uniform
        >>> Space({"dropout": Uniform(0, 0.5)}).from_unit([0.5])
        {'dropout': 0.25}
        >>> [p["dropout"] for p in Space({"dropout": Uniform(0, 0.3, step=0.1)}).grid()]
        [0.0, 0.1, 0.2, 0.3]
    """

    low: float
    high: float
    step: float | None = None

    def __post_init__(self) -> None:
        low, high = _bounds("Uniform", self.low, self.high)
        self._set(low=low, high=high)
        if self.step is None:
            return
        step = check_real("Uniform", "step", self.step, POSITIVE)
        steps = round((high - low) / step)
        if abs(steps * step - (high - low)) > _STEP_TOLERANCE * step:
            raise ValueError(
                f"Uniform: high must be a whole number of steps above low, got low={low!r}, high={high!r}, "
                f"step={step!r}; nearest: {low + max(steps, 1) * step!r}"
            )
        if steps >= _MOST_INTEGERS:
            raise ValueError(f"Uniform: the range must have at most 2**53 values, got {low!r} to {high!r}")
        self._set(step=step)

    def __repr__(self) -> str:
        return f"Uniform(low={self.low!r}, high={self.high!r}{'' if self.step is None else f', step={self.step!r}'})"

    @property
    def n_steps(self) -> int:
        """The number of steps from low to high; 0 without a step."""
        return 0 if self.step is None else round((self.high - self.low) / self.step)

    @property
    def values(self) -> Iterator[float]:
        """With a step, all values in order."""
        assert self.step is not None
        node = SteppedNode(0, self.low, self.high, self.step, self.n_steps)
        return map(node.value, range(self.n_steps + 1))

    def _compile(self, tree: Tree, path: str, condition: Condition | None) -> Node:
        if self.step is None:
            return self._add_number(tree, path, "float", (self.low, self.high), 0, condition)
        index = tree.add(path, "int", (0, self.n_steps), 1, condition)
        return SteppedNode(index, self.low, self.high, self.step, self.n_steps)


@dataclass(frozen=True)
class LogUniform(Distribution):
    r"""A float whose logarithm is uniform: :math:`\log x \sim U(\log low, \log high)`. For rates and penalties.

    Args:
        low: Smallest value, > 0.
        high: Largest value, > low.

    Raises:
        ValueError: If ``low <= 0``, ``low >= high`` or one of them is not finite.

    Example:
        >>> from fastreg.search import LogUniform, Space
        >>> round(Space({"lr": LogUniform(1e-4, 1e-2)}).from_unit([0.5])["lr"], 12)
        0.001
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        low, high = _bounds("LogUniform", self.low, self.high)
        if low <= 0:
            raise ValueError(f"LogUniform: low must be > 0, got {low!r}")
        self._set(low=low, high=high)

    def _compile(self, tree: Tree, path: str, condition: Condition | None) -> Node:
        return self._add_number(tree, path, "log", (self.low, self.high), 0, condition)


@dataclass(frozen=True)
class Integer(Distribution):
    """An int out of low, low + step, ..., high, both ends included.

    Args:
        low: Smallest value.
        high: Largest value, >= low, and a whole number of steps above it.
        step: Distance of neighbours, >= 1.
        log: Draw the logarithm uniformly (rounded, over [low - 1/2, high + 1/2]); needs ``low >= 1`` and ``step=1``.

    Raises:
        ValueError: If an argument is out of range or the range has more than 2**53 values.

    Example:
        >>> from fastreg.search import Integer, Space
        >>> [p["width"] for p in Space({"width": Integer(64, 128, step=32)}).grid()]
        [64, 96, 128]
    """

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        low, high, step = (check_int("Integer", name, getattr(self, name), FINITE) for name in ("low", "high", "step"))
        log = check_bool("Integer", "log", self.log)
        if low > high:
            raise ValueError(f"Integer: low must be <= high, got {low} and {high}")
        if step < 1:
            raise ValueError(f"Integer: step must be >= 1, got {step}")
        if (high - low) % step:
            nearest = high - (high - low) % step
            raise ValueError(
                f"Integer: high must be a whole number of steps above low, got low={low}, high={high}, step={step}; "
                f"nearest: {nearest} or {nearest + step}"
            )
        if (high - low) // step >= _MOST_INTEGERS:
            raise ValueError(f"Integer: the range must have at most 2**53 values, got {low} to {high}")
        if log and (low < 1 or step != 1):
            raise ValueError(f"Integer: log=True needs low >= 1 and step=1, got low={low}, step={step}")
        self._set(low=low, high=high, step=step, log=log)

    @property
    def values(self) -> range:
        """All values, in order."""
        return range(self.low, self.high + 1, self.step)

    def _compile(self, tree: Tree, path: str, condition: Condition | None) -> Node:
        kind: Kind = "intlog" if self.log else "int"
        return self._add_number(tree, path, kind, (self.low, self.high), self.step, condition)


@dataclass(frozen=True)
class Choice(Distribution):
    """One of the options, each equally likely. An option may be a distribution, which is then drawn from.

    Args:
        options: A list of plain values, distributions or any objects. Lists are values: ``Choice([[64], [128, 64]])``.

    Raises:
        TypeError: If ``options`` is no list, tuple, range or one-dimensional array.
        ValueError: If there is no option, or two of them are the same or overlap.

    Example:
        No dropout in half of the trials:

        >>> from fastreg.search import Choice, Space, Uniform
        >>> dropout = Choice([0.0, Uniform(0.1, 0.5)])
        >>> [leaf.path for leaf in Space({"dropout": dropout}).leaves]
        ['dropout', 'dropout[1]']
    """

    options: Sequence[Any]

    def __post_init__(self) -> None:
        given: Any = self.options
        if isinstance(given, np.ndarray) and given.ndim == 1:
            given = given.tolist()
        if not isinstance(given, (list, tuple, range)):
            raise TypeError(f"Choice: options must be a list, got {describe(given)}")
        options = tuple(plain(option) for option in given)
        if not options:
            raise ValueError("Choice: options must not be empty")
        for option in options:
            check_nested("Choice", option)
        check_apart(options)
        self._set(options=options)

    def _compile(self, tree: Tree, path: str, condition: Condition | None) -> Node:
        index = tree.add(path, "category", (0, len(self.options) - 1), 1, condition)
        options = enumerate(self.options)
        return SelectNode(
            index, [compile_value(option, tree, f"{path}[{i}]", (index, frozenset([i]))) for i, option in options]
        )


@dataclass(frozen=True)
class Widths(Distribution):
    """The widths of some layers: a list of ints, as long as there are layers.

    Args:
        n_layers: Number of layers, an int or an Integer in [0, 1000].
        width: Width of a layer, an int or an Integer, >= 1.
        same: One width for all layers, instead of one drawn for each.

    Raises:
        ValueError: If a range is not as above.

    Example:
        >>> from fastreg.search import Integer, Space, Widths
        >>> space = Space({"hidden": Widths(Integer(1, 2), Integer(32, 64, step=32))})
        >>> [p["hidden"] for p in space.grid()]
        [[32], [64], [32, 32], [32, 64], [64, 32], [64, 64]]
    """

    n_layers: int | Integer
    width: int | Integer
    same: bool = False

    def __post_init__(self) -> None:
        parts = {}
        for name, rule in (("n_layers", NON_NEGATIVE), ("width", AT_LEAST_ONE)):
            part = getattr(self, name)
            if not isinstance(part, Integer):
                part = check_int("Widths", name, part, rule)
            elif not rule.holds(part.low):
                raise ValueError(f"Widths: {name} must {rule.words}, got {part!r}")
            parts[name] = part
        if limits(parts["n_layers"])[1] > _MOST_LAYERS:
            raise ValueError(f"Widths: n_layers must be <= {_MOST_LAYERS}, got {parts['n_layers']!r}")
        self._set(**parts, same=check_bool("Widths", "same", self.same))

    def _compile(self, tree: Tree, path: str, condition: Condition | None) -> Node:
        index = len(tree.leaves)
        count = compile_value(self.n_layers, tree, f"{path}.n_layers", condition)

        def condition_of(layer: int) -> Condition | None:
            if not isinstance(self.n_layers, Integer) or layer < self.n_layers.low:
                return condition  # this layer is always there
            return index, frozenset(n for n in self.n_layers.values if n > layer)

        most = limits(self.n_layers)[1]
        if self.same:
            shared = [compile_value(self.width, tree, f"{path}.width", condition_of(0))] if most else []
            return WidthsNode(count, shared * most, True)
        layers = [compile_value(self.width, tree, f"{path}[{i}]", condition_of(i)) for i in range(most)]
        return WidthsNode(count, layers, False)


@dataclass(frozen=True)
class When(Description):
    """A parameter that exists only where another one has a certain value; otherwise it is absent from the parameters.

    Args:
        name: The other parameter: a Choice, an Integer or a constant, conditional itself or not.
        equals: The value it must have, or a tuple of values. A list is one value.
        distribution: What this parameter is then: a distribution, a list of options or a constant.

    Raises:
        TypeError: If the distribution is itself a When (make the other parameter conditional instead).

    Example:
        >>> from fastreg.search import Space, When
        >>> space = Space({"optimizer": ["adam", "sgd"], "momentum": When("optimizer", "sgd", [0.0, 0.9])})
        >>> list(space.grid())  # doctest: +NORMALIZE_WHITESPACE
        [{'optimizer': 'adam'}, {'optimizer': 'sgd', 'momentum': 0.0}, {'optimizer': 'sgd', 'momentum': 0.9}]
    """

    name: str
    equals: Any
    distribution: Any

    def __post_init__(self) -> None:
        check_name("When", "name", self.name)
        check_nested("When", self.distribution)

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of the other parameter for which this one exists."""
        given = self.equals if isinstance(self.equals, tuple) else (self.equals,)
        return tuple(plain(value) for value in given)


# --- values ----------------------------------------------------------------------------------------------------------


def limits(part: int | Integer) -> tuple[int, int]:
    """Smallest and largest value of an int or an Integer."""
    return (part.low, part.high) if isinstance(part, Integer) else (part, part)


def check_nested(owner: str, value: Any) -> None:
    """Raises TypeError for what cannot be inside a Choice or a When."""
    if isinstance(value, When):
        raise TypeError(f"{owner}: a When can only be the value of a parameter itself, got {value!r}")
    if isinstance(value, type) and issubclass(value, (Distribution, When)):
        raise TypeError(f"{owner}: {value.__name__} needs its arguments; write {value.__name__}(...)")


def check_apart(options: Iterable[Any]) -> None:
    """Raises ValueError where two options have a value in common, but for a number within a continuous range."""
    parts = flat(options)
    distributions = [part for part in parts if isinstance(part, Distribution)]
    values: dict[Any, Any] = {}
    for value in (part for part in parts if not isinstance(part, Distribution)):
        key = value_key(value)
        if key in values:
            raise ValueError(f"Choice: options must differ, got {value!r} twice")
        values[key] = value
    pairs = [(v, d) for d in distributions if discrete(d) for v in values.values() if holds(d, v)]
    pairs += [(a, b) for a, b in combinations(distributions, 2) if overlap(a, b)]
    if pairs:
        raise ValueError(f"Choice: options must not overlap, got {pairs[0][0]!r} and {pairs[0][1]!r}")


def flat(options: Iterable[Any]) -> list[Any]:
    """The options, where nested choices are replaced by their options."""
    nested = [flat(option.options) if isinstance(option, Choice) else [option] for option in options]
    return [option for group in nested for option in group]


def discrete(distribution: Distribution) -> bool:
    """Whether a distribution has countably many values."""
    return isinstance(distribution, (Integer, Widths)) or (
        isinstance(distribution, Uniform) and distribution.step is not None
    )


def holds(distribution: Distribution, value: Any) -> bool:
    """Whether a value is one of a distribution's."""
    return distribution._compile(Tree(), "", None).locate(value, {})


def overlap(a: Distribution, b: Distribution) -> bool:
    """Whether two distributions, neither a Choice, have a value in common (continuous ones: an interval)."""
    if isinstance(a, Uniform) and isinstance(b, Uniform) and a.step is not None and b.step is not None:
        few, other = (a, b) if a.n_steps <= b.n_steps else (b, a)
        return any(holds(other, value) for value in islice(few.values, _MOST_COMPARED))
    if discrete(a) != discrete(b):
        return False
    if isinstance(a, (Uniform, LogUniform)) and isinstance(b, (Uniform, LogUniform)):
        return max(a.low, b.low) < min(a.high, b.high)
    if isinstance(a, Integer) and isinstance(b, Integer):
        return _common(a.values, b.values)
    if isinstance(a, Widths) and isinstance(b, Widths):
        counts = _range(a.n_layers), _range(b.n_layers)
        no_layers = 0 in counts[0] and 0 in counts[1]
        some = _common(*(range(r.start or r.step, r.stop, r.step) for r in counts))
        return no_layers or (some and _common(_range(a.width), _range(b.width)))
    return False


def _range(part: int | Integer) -> range:
    return part.values if isinstance(part, Integer) else range(part, part + 1)


def _common(a: range, b: range) -> bool:
    """Whether two ascending ranges share a value: that would be among the first b.step of a's that are in b's span."""
    start = max(a.start, a.start + -(-(b.start - a.start) // a.step) * a.step)
    stop = min(a.stop, b.stop, start + a.step * b.step)
    return any(value in b for value in range(start, stop, a.step))
