"""The compiled form of a space: leaves, which are the numbers to draw, and nodes, which make values of them.

A node converts the numbers of its leaves into a plain Python value, and a value back into the numbers. Code that draws,
enumerates or asks another library passes a function from the index of a leaf to its number; it is called only for the
leaves that are used, parents first. This module knows nothing of distributions.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

import numpy as np

Number = float | int
Kind = Literal["float", "log", "int", "intlog", "category", "drawn"]
# A leaf, by its index, and the values of it for which something is used.
Condition = tuple[int, frozenset[int]]
# A function from the index of a leaf to its number.
Source = Callable[[int], Any]

# Types of values that have nothing of NumPy.
_OF_PYTHON = frozenset((bool, int, float, str, type(None)))


@dataclass(frozen=True)
class Leaf:
    """One number of a space.

    Attributes:
        path: The parameter's name and the place in it, as in ``"hidden[2]"``. Unique in a space.
        kind: ``"float"`` and ``"log"`` are in [low, high]; ``"int"`` and ``"intlog"`` are low, low + step, ..., high;
            ``"category"`` is the index of an option, 0 to size - 1; ``"drawn"`` is what another library draws.
        low, high, step: As above; 0, size - 1 and 1 for a category. Step is 0 for a float.
        size: Number of values; None for a float.
        parent: Path of the leaf that decides whether this one is used, and the values for which it is; None: always.
        drawn: The distribution of another library that makes the values; None without one.
    """

    path: str
    kind: Kind
    low: Number
    high: Number
    step: int
    size: int | None
    parent: tuple[str, frozenset[int]] | None
    drawn: Any = None

    def at(self, unit: float) -> Any:
        """The value at a quantile in [0, 1]."""
        if self.drawn is not None:
            return self.drawn.at(unit)
        low, high = self.low, self.high
        if self.kind == "float":
            return min(low + unit * (high - low), high)
        if self.kind == "log":
            start = math.log(low)
            return min(max(math.exp(start + unit * (math.log(high) - start)), low), high)
        if self.kind == "intlog":
            start = math.log(low - 0.5)
            return min(max(round(math.exp(start + unit * (math.log(high + 0.5) - start))), int(low)), int(high))
        assert self.size is not None
        return int(low) + self.step * min(int(unit * self.size), self.size - 1)

    def contains(self, value: object) -> bool:
        """Whether a number is one of this leaf's."""
        if self.drawn is not None:
            return bool(self.drawn.holds(value))
        if self.size is None:
            return type(value) in (float, int) and self.low <= value <= self.high  # type: ignore[operator]
        return type(value) is int and self.low <= value <= self.high and (value - int(self.low)) % self.step == 0


class Tree:
    """Collects leaves; a parent comes before its children."""

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.conditions: list[Condition | None] = []

    def add(
        self,
        path: str,
        kind: Kind,
        bounds: tuple[Number, Number],
        step: int,
        condition: Condition | None,
        drawn: Any = None,
    ) -> int:
        """Adds a leaf and returns its index."""
        low, high = bounds
        size = (int(high) - int(low)) // step + 1 if step else None
        parent = None if condition is None else (self.leaves[condition[0]].path, condition[1])
        self.leaves.append(Leaf(path, kind, low, high, step, size, parent, drawn))
        self.conditions.append(condition)
        return len(self.leaves) - 1


class Node(Protocol):
    """A part of a parameter's value."""

    def build(self, source: Source) -> Any:
        """The value, of the numbers of the leaves."""

    def locate(self, value: Any, found: dict[int, Number]) -> bool:
        """Whether the value is one of this node's; puts the numbers that make it into ``found``."""


class ConstantNode:
    """The same value always."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._mutable = isinstance(value, (list, dict, set))

    def build(self, source: Source) -> Any:
        """The value; a container is copied, so that nobody changes the space by changing a trial's parameters."""
        return copy.deepcopy(self.value) if self._mutable else self.value

    def locate(self, value: Any, found: dict[int, Number]) -> bool:
        """Compares type and value; an object may also be given as the journal has it, ``{"repr": text}``."""
        return _stands_for(value, self.value)


class NumberNode:
    """The number of one leaf."""

    def __init__(self, index: int, leaf: Leaf) -> None:
        self.index = index
        self.leaf = leaf

    def build(self, source: Source) -> Any:
        """The number."""
        return source(self.index)

    def locate(self, value: Any, found: dict[int, Number]) -> bool:
        """Checks range, step and type."""
        value = plain(value)
        if not self.leaf.contains(value):
            return False
        found[self.index] = float(value) if self.leaf.kind in ("float", "log") else value
        return True


class SteppedNode:
    """A float in steps, by the leaf that counts them. Values are as one writes them: 0.3, not 0.30000000000000004.

    Args:
        index: The index of the leaf.
        low: The first value.
        high: The last value.
        step: The distance of neighbours.
        count: The number of steps.
    """

    def __init__(self, index: int, low: float, high: float, step: float, count: int) -> None:
        self.index, self.high, self.count = index, high, count
        self._low, self._step = Decimal(repr(low)), Decimal(repr(step))

    def value(self, place: int) -> float:
        """The value after some steps."""
        return self.high if place == self.count else float(self._low + place * self._step)

    def build(self, source: Source) -> Any:
        """The float."""
        return self.value(source(self.index))

    def locate(self, value: Any, found: dict[int, Number]) -> bool:
        """Whether it is one of the floats exactly; an integer that equals one counts."""
        value = plain(value)
        if type(value) not in (int, float) or not math.isfinite(value):
            return False
        place = round((Decimal(repr(float(value))) - self._low) / self._step)
        if not 0 <= place <= self.count or self.value(place) != value:
            return False
        found[self.index] = place
        return True


class SelectNode:
    """One of several nodes, by the leaf that holds its index."""

    def __init__(self, index: int, nodes: Sequence[Node]) -> None:
        self.index = index
        self.nodes = nodes

    def build(self, source: Source) -> Any:
        """The value of the node that is selected."""
        return self.nodes[source(self.index)].build(source)

    def locate(self, value: Any, found: dict[int, Number]) -> bool:
        """The first node that has the value."""
        for i, node in enumerate(self.nodes):
            inner: dict[int, Number] = {}
            if node.locate(value, inner):
                found[self.index] = i
                found.update(inner)
                return True
        return False


class WidthsNode:
    """A list: how many, and a node for each place; ``same``: one node for all."""

    def __init__(self, count: Node, places: Sequence[Node], same: bool) -> None:
        self.count = count
        self.places = places
        self.same = same

    def build(self, source: Source) -> Any:
        """The list."""
        count = self.count.build(source)
        if self.same:
            return [self.places[0].build(source)] * count if count else []
        return [place.build(source) for place in self.places[:count]]

    def locate(self, value: Any, found: dict[int, Number]) -> bool:
        """Checks the length and every place."""
        value = plain(value)
        if not isinstance(value, (list, tuple)) or not self.count.locate(len(value), found):
            return False
        if self.same:
            if any(value_key(item) != value_key(value[0]) for item in value):
                return False
            return not value or self.places[0].locate(value[0], found)
        return all(place.locate(item, found) for place, item in zip(self.places, value, strict=False))


def plain(value: Any) -> Any:
    """A value without NumPy's types: scalars and arrays become Python's numbers and lists."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value


def text_of(value: Any) -> str:
    """The text of an object, without addresses of memory, so that it is the same in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{9,16}\b", "", repr(value))


def _stands_for(given: Any, value: Any) -> bool:
    """Whether the argument is this value, or the form that the journal has of it."""
    if isinstance(given, dict) and given.keys() == {"repr"}:
        return bool(given["repr"] == text_of(value))
    if type(given) in (list, tuple) and type(value) in (list, tuple):
        return len(given) == len(value) and all(map(_stands_for, given, value))
    if type(given) is dict and type(value) is dict:
        known, written = ({str(key): item for key, item in d.items()} for d in (given, value))
        return known.keys() == written.keys() and all(_stands_for(known[key], written[key]) for key in known)
    return bool(value_key(given) == value_key(value))


def value_key(value: Any) -> Any:
    """A hashable stand-in: equal for values that are the same parameter. 1, 1.0 and True differ; a tuple is a list."""
    kind = type(value)
    if kind not in _OF_PYTHON:
        value = plain(value)
        kind = type(value)
    if kind is float:
        return "float", ("nan" if value != value else value)
    if kind in _OF_PYTHON:
        return kind.__name__, value
    if kind in (list, tuple):
        return "list", tuple(value_key(item) for item in value)
    if kind is dict:
        return "dict", tuple(sorted(((str(k), value_key(v)) for k, v in value.items()), key=lambda item: item[0]))
    try:
        hash(value)
    except TypeError:
        return kind.__qualname__, repr(value)
    return kind.__qualname__, value
