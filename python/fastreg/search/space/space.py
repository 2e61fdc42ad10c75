"""The space of a search: parameters by name, the values of each, and which points the constraint allows.

A space is checked when it is made, and compiled into leaves and nodes (``tree.py``); drawing, enumerating and finding a
point are one walk over the nodes with different sources of numbers. Strategies use the methods of this file alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import check_bool, describe, did_you_mean
from fastreg.search.space.distributions import (
    Choice,
    Distribution,
    Integer,
    LogUniform,
    Uniform,
    When,
    Widths,
    check_nested,
    compile_value,
    flat,
)
from fastreg.search.space.drawn import Drawn, is_drawn
from fastreg.search.space.tree import Condition, ConstantNode, Leaf, Node, Number, Source, Tree, plain, value_key
from fastreg.search.space.widening import covers_space, describe_space

__all__ = ["Choice", "Integer", "Leaf", "LogUniform", "Space", "Uniform", "When", "Widths", "params_key"]

# If the constraint refuses this many consecutive draws, the space counts as empty.
TRIES = 1000
# Most points of a list of spaces that are enumerated to count those that differ.
_MOST_COUNTED = 100_000

Params = dict[str, Any]
# One parameter: its name, its value, and when it exists.
_Parameter = tuple[str, Node, Condition | None]


class Space:
    """Parameters and the values that each may have.

    Args:
        parameters: Name to distribution, of fastreg or of SciPy (or any object with ``rvs``); a list, tuple, range or
            one-dimensional array is a Choice of its items, anything else a constant. Or a list of such mappings: each
            trial is of one of them. Or another space. A mapping without parameters has one point, ``{}``.
        constraint: Called with the parameters of a point; the points for which it gives False are never proposed.

    Attributes:
        leaves: The numbers that make a point, parents before children.
        size: Number of points, regardless of the constraint; None: not finite. A list of mappings that have points in
            common and more than 100,000 in all is counted as if they had none.

    Raises:
        TypeError: If a value or the constraint is of the wrong kind.
        ValueError: If the list of mappings is empty, or a When names an unknown parameter, a value that it cannot have,
            or itself by way of others.

    Example:
        >>> from fastreg.search import Choice, LogUniform, Space, When
        >>> space = Space({"lr": LogUniform(1e-4, 1e-1), "optimizer": ["adam", "sgd"], "l2": 0.0,
        ...                "momentum": When("optimizer", "sgd", [0.0, 0.9])})
        >>> [leaf.path for leaf in space.leaves]
        ['lr', 'optimizer', 'momentum']
        >>> space.from_unit([1.0, 0.0, 0.0])
        {'lr': 0.1, 'optimizer': 'adam', 'l2': 0.0}
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Space,
        constraint: Callable[[Params], bool] | None = None,
    ) -> None:
        if isinstance(parameters, Space):
            if constraint is not None and parameters.constraint is not None:
                raise ValueError("Space: constraint is given twice, in the space and beside it")
            constraint = parameters.constraint if constraint is None else constraint
            parameters = parameters.alternatives
        if constraint is not None and not callable(constraint):
            raise TypeError(f"Space: constraint must be a function of the parameters, got {describe(constraint)}")
        mappings = [parameters] if isinstance(parameters, Mapping) else parameters
        if not isinstance(mappings, (list, tuple)) or not all(isinstance(m, Mapping) for m in mappings):
            raise TypeError(f"Space: parameters must be a dict, or a list of dicts, got {describe(parameters)}")
        if not mappings:
            raise ValueError("Space: the list of dicts must not be empty")
        self.constraint: Callable[[Params], bool] | None = constraint
        self.alternatives: tuple[dict[str, Any], ...] = tuple(_normalized(mapping) for mapping in mappings)
        tree = Tree()
        self._which: int | None = None
        if len(mappings) == 1:
            self._parameters = [_compiled(self.alternatives[0], tree, "", None)]
        else:
            self._which = tree.add("space", "category", (0, len(mappings) - 1), 1, None)
            self._parameters = [
                _compiled(alternative, tree, f"space[{i}].", (self._which, frozenset([i])))
                for i, alternative in enumerate(self.alternatives)
            ]
        self._order = [_reordering(a, p) for a, p in zip(self.alternatives, self._parameters, strict=True)]
        self.leaves: tuple[Leaf, ...] = tuple(tree.leaves)
        self._conditions = tuple(tree.conditions)
        points = self._count()
        self.size: int | None = None if any(leaf.size is None for leaf in self.leaves) else points
        # Whether a point can be drawn twice: without a continuous number in use, or only by a chance of 2**-53.
        self.may_repeat = points > 0
        if self._which is not None and self.size is not None and self.size <= _MOST_COUNTED:
            self.size = len({params_key(params) for params in self._enumerate()})

    def __repr__(self) -> str:
        shown = self.alternatives[0] if self._which is None else list(self.alternatives)
        return f"Space({shown!r}{'' if self.constraint is None else f', constraint={self.constraint!r}'})"

    def build(self, source: Source) -> Params:
        """The parameters made of numbers: ``source(i)`` gives that of leaf ``i``, for the leaves that are used."""
        numbers: dict[int, Any] = {}

        def remember(index: int) -> Any:
            number = numbers[index] = source(index)
            return number

        which = 0 if self._which is None else remember(self._which)
        params: Params = {}
        for name, node, condition in self._parameters[which]:
            if condition is None or numbers.get(condition[0]) in condition[1]:
                params[name] = node.build(remember)
        order = self._order[which]
        return params if order is None else {name: params[name] for name in order if name in params}

    def locate(self, params: Mapping[str, Any]) -> dict[int, Number] | None:
        """The numbers of the leaves that make these parameters; None if they are no point (constraint aside)."""
        for which, parameters in enumerate(self._parameters):
            numbers: dict[int, Number] = {} if self._which is None else {self._which: which}
            left = len(params)
            for name, node, condition in parameters:
                if condition is not None and numbers.get(condition[0]) not in condition[1]:
                    continue
                if name not in params or not node.locate(params[name], numbers):
                    break
                left -= 1
            else:
                if left == 0:
                    return numbers
        return None

    def completed(self, params: Mapping[str, Any]) -> Params | None:
        """The point with these parameters, whose constants may be left out; None if there is none."""
        for alternative in self.alternatives:
            fixed = {name: value for name, value in alternative.items() if not isinstance(value, (Distribution, When))}
            numbers = self.locate({**fixed, **params})
            if numbers is not None:
                return self.build(numbers.__getitem__)
        return None

    def draw(self, rng: np.random.Generator) -> Params:
        """One point at random, whether or not the constraint allows it."""
        return self.at(rng.random(len(self.leaves)).tolist())

    def at(self, units: Sequence[float]) -> Params:
        """``from_unit`` without its checks."""
        leaves = self.leaves
        return self.build(lambda i: leaves[i].at(units[i]))

    def sample(self, rng: np.random.Generator) -> Params:
        """A random point that the constraint allows.

        Raises:
            ValueError: If the constraint refuses 1000 draws in a row.
        """
        for _ in range(TRIES):
            params = self.draw(rng)
            if self.allows(params):
                return params
        raise self.refused()

    def from_unit(self, point: Sequence[float] | NDArray[Any]) -> Params:
        """The point of numbers in [0, 1], one for each leaf; those of leaves that are not used are ignored.

        Raises:
            ValueError: If there are not as many numbers as leaves, or one is not in [0, 1].
        """
        units = np.asarray(point, dtype=np.float64)
        if units.shape != (len(self.leaves),):
            raise ValueError(f"from_unit: point must have shape ({len(self.leaves)},), got {units.shape}")
        if not bool(np.all((units >= 0) & (units <= 1))):
            raise ValueError(f"from_unit: point must be in [0, 1], got {units.tolist()}")
        return self.at(units.tolist())

    def grid(self) -> Iterator[Params]:
        """Every point that the constraint allows, the last parameter changing fastest; each once.

        Raises:
            ValueError: If a parameter is continuous.
        """
        for leaf in self.leaves:
            if leaf.size is None:
                if leaf.drawn is not None:
                    raise ValueError(f"grid: {leaf.path} is drawn from {leaf.drawn!r}; list its values")
                raise ValueError(
                    f"grid: {leaf.path} is continuous, in [{leaf.low}, {leaf.high}]; list its values, or give a step"
                )
        return self._grid()

    def _grid(self) -> Iterator[Params]:
        seen: set[Hashable] = set()
        for params in self._enumerate():
            if not self.allows(params):
                continue
            if self._which is not None:  # only points of different mappings can be the same
                key = params_key(params)
                if key in seen:
                    continue
                seen.add(key)
            yield params

    def _enumerate(self) -> Iterator[Params]:
        """Counts through the numbers like an odometer whose wheels, the leaves in use, depend on those before them."""
        wheels: list[tuple[int, int]] = []  # leaf and its place among that leaf's values
        position = 0

        def turn(index: int) -> Number:
            nonlocal position
            if position == len(wheels):
                wheels.append((index, 0))
            leaf, place = self.leaves[index], wheels[position][1]
            position += 1
            return leaf.low + place * leaf.step

        while True:
            position = 0
            yield self.build(turn)
            while wheels and wheels[-1][1] + 1 == self.leaves[wheels[-1][0]].size:
                wheels.pop()
            if not wheels:
                return
            wheels[-1] = (wheels[-1][0], wheels[-1][1] + 1)

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Whether these parameters are a point of the space that the constraint allows."""
        return self.locate(params) is not None and self.allows(params)

    def allows(self, params: Mapping[str, Any]) -> bool:
        """Whether the constraint allows these parameters. It is given a copy."""
        if self.constraint is None:
            return True
        return check_bool("Space", "what constraint returns", self.constraint(dict(params)))

    def refused(self) -> ValueError:
        """The error for a constraint that leaves nothing, or too little to be found."""
        return ValueError(f"Space: constraint refused {TRIES} points in a row, the last draws of {self!r}")

    def describe(self) -> dict[str, Any]:
        """The space as JSON; objects other than numbers, strings and lists appear as their text."""
        return describe_space(self.alternatives, self.constraint)

    def widens(self, described: Mapping[str, Any]) -> bool:
        """Whether every point of a described space is a point of this one, constraints aside."""
        return covers_space(self.describe(), described)

    def _count(self) -> int:
        """The points in which no continuous leaf is used: all points of a finite space."""
        counts = [0] * len(self.leaves)
        children: list[list[int]] = [[] for _ in self.leaves]
        for i in range(len(self.leaves) - 1, -1, -1):
            leaf, condition = self.leaves[i], self._conditions[i]
            if condition is not None:
                children[condition[0]].append(i)
            if leaf.size is None:
                counts[i] = int(leaf.drawn is not None and not leaf.drawn.continuous)
                continue
            deciding: dict[int, int] = {}  # value of this leaf to the points of the leaves that it brings
            for child in children[i]:
                for value in self._conditions[child][1]:  # type: ignore[index]
                    deciding[value] = deciding.get(value, 1) * counts[child]
            counts[i] = leaf.size - len(deciding) + sum(deciding.values())
        return math.prod(count for count, condition in zip(counts, self._conditions, strict=True) if condition is None)


def params_key(params: Mapping[str, Any]) -> Hashable:
    """A key that is equal for equal parameters, in whatever order they are. 1, 1.0 and True differ; a tuple is a list.

    Example:
        >>> from fastreg.search.space.space import params_key
        >>> params_key({"a": 1, "b": [2]}) == params_key({"b": (2,), "a": 1})
        True
        >>> params_key({"a": 1}) == params_key({"a": 1.0})
        False
    """
    return tuple(sorted([(name, value_key(value)) for name, value in params.items()], key=itemgetter(0)))


def _normalized(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    """Lists as choices, NumPy's numbers as Python's; constants as they are."""
    parameters = {}
    for name, value in mapping.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"Space: the name of a parameter must be a string, not empty, got {describe(name)}")
        if isinstance(value, When):
            value = When(value.name, value.equals, _distribution(name, value.distribution))
        else:
            value = _distribution(name, value)
        parameters[name] = value
    return parameters


def _distribution(name: str, value: Any) -> Any:
    """Converts what a user gave for a parameter into a distribution or a plain constant."""
    try:
        check_nested("Space", value)
        if (isinstance(value, np.ndarray) and value.ndim != 0) or isinstance(value, (list, tuple, range)):
            value = Choice(list(value))
        if isinstance(value, Choice):
            return Choice([_distribution(name, option) if _has_others(option) else option for option in value.options])
        if is_drawn(value):
            return Drawn(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"parameter {name!r}: {error}") from None
    if isinstance(value, (set, frozenset, Iterator)):
        raise TypeError(f"parameter {name!r}: give a list; the order of {describe(value)} is not fixed")
    return plain(value)


def _has_others(option: Any) -> bool:
    """Whether an option is, or has within, a distribution of another library."""
    return any(map(is_drawn, flat([option])))


def _compiled(parameters: Mapping[str, Any], tree: Tree, prefix: str, condition: Condition | None) -> list[_Parameter]:
    """The parameters of one mapping, each after the one that its When names. Adds their leaves to the tree."""
    compiled: dict[str, _Parameter] = {}
    under_way: list[str] = []

    def add(name: str) -> None:
        if name in compiled:
            return
        if name in under_way:
            circle = " -> ".join([*under_way[under_way.index(name) :], name])
            raise ValueError(f"Space: the When of {name!r} leads back to it: {circle}")
        value, exists = parameters[name], condition
        if isinstance(value, When):
            if value.name not in parameters:
                hint = did_you_mean(value.name, parameters)
                raise ValueError(f"parameter {name!r}: When: unknown parameter {value.name!r}{hint}")
            under_way.append(name)
            add(value.name)
            under_way.pop()
            exists = _condition(name, value, parameters[value.name], compiled[value.name])
            value = value.distribution
        compiled[name] = (name, compile_value(value, tree, prefix + name, exists), exists)

    for name in parameters:
        add(name)
    return list(compiled.values())


def _condition(name: str, when: When, parent: Any, compiled: _Parameter) -> Condition | None:
    """The condition of a When: the numbers of its parent's first leaf that make the values it asks for."""
    _, node, parent_exists = compiled
    distribution = parent.distribution if isinstance(parent, When) else parent
    where = f"parameter {name!r}: When({when.name!r}, {when.equals!r})"
    stepped = isinstance(distribution, Uniform) and distribution.step is not None
    if isinstance(distribution, (Uniform, LogUniform, Widths, Drawn)) and not stepped:
        raise ValueError(f"{where}: {when.name!r} must be a Choice, an Integer or a constant, got {distribution!r}")
    numbers = []
    for value in when.values:
        found: dict[int, Number] = {}
        options = distribution.options if isinstance(distribution, Choice) else (value,)
        if not any(value_key(value) == value_key(option) for option in options) or not node.locate(value, found):
            raise ValueError(f"{where}: {when.name!r} is never {value!r}; it is {distribution!r}")
        numbers.append(found)
    if not numbers:
        raise ValueError(f"{where}: equals must name a value")
    if isinstance(node, ConstantNode):
        return parent_exists
    index = min(numbers[0])
    return index, frozenset(int(found[index]) for found in numbers)


def _reordering(mapping: Mapping[str, Any], parameters: Sequence[_Parameter]) -> list[str] | None:
    """The names in the order of the mapping, if the parameters were compiled in another."""
    names = list(mapping)
    return None if [name for name, _, _ in parameters] == names else names
