"""From the inputs and outputs that ``Model`` is given to layers and their ``Graph``.

The order of the layers is Keras's, so that weights are in its order too: those farthest from the outputs come first,
and of equally far ones those that the first output reaches first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from fastreg.internal.checks import check_name, describe
from fastreg.internal.layer_base import Symbol, Value
from fastreg.layers import Input, Layer
from fastreg.model.graphs import Graph, layer_names, names_after, shapes_of

__all__ = ["traced"]

_S = TypeVar("_S", bound=Symbol)


def traced(inputs: object, outputs: object) -> tuple[tuple[Layer, ...], Graph]:
    """The layers between inputs and outputs, and how they are connected.

    Raises:
        ValueError: If an output depends on an input that is not given, an input is not read, or names are not of one
            alone.
        TypeError: If an input is no ``Input``, or an output was not made by a layer.
    """
    given, input_names, input_form = _listed("inputs", inputs, Input, "an Input")
    made, output_names, output_form = _listed("outputs", outputs, Value, "what a layer was called for")
    order = _ordered(made)
    known: dict[int, int] = {id(symbol): i for i, symbol in enumerate([*given, *order])}
    for value in order:
        for symbol in value.inputs:
            if id(symbol) not in known:
                raise ValueError(f"Model: inputs must have all that outputs depend on, but {symbol!r} is not there")
    read = {id(symbol) for value in order for symbol in value.inputs}
    for symbol in given:
        if id(symbol) not in read:
            raise ValueError(f"Model: inputs must be read by a layer that an output depends on, got {symbol!r}")
    layers, calls = _layers_of(order)
    names = layer_names(layers, "Model")
    ports = tuple(zip(_input_names(given, input_names), (symbol.width for symbol in given), strict=True))
    reads = tuple(tuple(known[id(symbol)] for symbol in value.inputs) for value in order)
    numbers = [known[id(value)] for value in made]
    named = output_names or _output_names([names[calls[number - len(given)]] for number in numbers])
    shapes = shapes_of(layers, [symbol.row_shape for symbol in given], calls, reads)
    return layers, Graph(ports, calls, reads, tuple(zip(named, numbers, strict=True)), shapes, input_form, output_form)


def _listed(name: str, given: object, kind: type[_S], words: str) -> tuple[list[_S], list[str], str]:
    """The values, their names if it is a dict, and in which form they were given."""
    form, names = "one", []
    items: Sequence[object] = [given]
    if isinstance(given, Mapping):
        form, names, items = "dict", [check_name("Model", f"a name in {name}", key) for key in given], [*given.values()]
    elif isinstance(given, (list, tuple)):
        form, items = "list" if len(given) > 1 else "one", given
    if not items:
        raise ValueError(f"Model: {name} must be one at least, got none")
    found: list[_S] = []
    for item in items:
        if not isinstance(item, kind):
            hint = "; did you forget the parentheses?" if isinstance(item, type) else ""
            raise TypeError(f"Model: {name} must be {words}, or a list or dict of such, got {describe(item)}{hint}")
        if any(item is other for other in found):
            raise ValueError(f"Model: {name} must be different ones, got {describe(item)} twice")
        found.append(item)
    return found, names, form


def _input_names(inputs: Sequence[Input], keys: Sequence[str]) -> list[str]:
    for key, symbol in zip(keys, inputs, strict=bool(keys)):
        if symbol.name not in (None, key):
            raise ValueError(f"Model: inputs must have the names of their Inputs as keys, got {key!r} for {symbol!r}")
    if keys:
        return list(keys)
    given = [symbol.name for symbol in inputs if symbol.name is not None]
    for name in given:
        if given.count(name) > 1:
            raise ValueError(f"Model: names of inputs must differ, got {name!r} twice")
    free = (name for name in names_after("InputLayer") if name not in given)
    return [symbol.name or next(free) for symbol in inputs]


def _layers_of(values: Sequence[Value]) -> tuple[tuple[Layer, ...], tuple[int, ...]]:
    """The layers, each once, and for each value the index of its layer."""
    known: dict[int, int] = {}
    layers: list[Layer] = []
    calls: list[int] = []
    for value in values:
        one = id(getattr(value.layer, "core", value.layer))  # a model is another layer at each call, with one core
        if one not in known:
            known[one] = len(layers)
            layers.append(value.layer)
        calls.append(known[one])
    return tuple(layers), tuple(calls)


def _output_names(names: Sequence[str]) -> list[str]:
    """The names, each made unique: two outputs may be of one layer, which was called twice."""
    found: list[str] = []
    for name in names:
        found.append(next(free for free in _numbered(name) if free not in found))
    return found


def _numbered(name: str) -> Iterator[str]:
    yield name
    for count in itertools.count(1):
        yield f"{name}_{count}"


def _ordered(outputs: Sequence[Value]) -> list[Value]:
    """The values that outputs depend on, in the order of their layers."""
    reached, finished = _visited(outputs)
    distance = {id(value): 0 for value in finished}
    for value in reversed(finished):
        for symbol in value.inputs:
            if isinstance(symbol, Value):
                distance[id(symbol)] = max(distance[id(symbol)], distance[id(value)] + 1)
    return sorted(finished, key=lambda value: (-distance[id(value)], reached[id(value)]))


def _visited(outputs: Sequence[Value]) -> tuple[dict[int, int], list[Value]]:
    """When each value is reached, depth first from the outputs on, and the values in the order of being finished."""
    reached: dict[int, int] = {}
    finished: list[Value] = []
    for output in outputs:
        path = [(output, iter(output.inputs))] if id(output) not in reached else []
        reached.setdefault(id(output), len(reached))
        while path:
            value, rest = path[-1]
            symbol = next((one for one in rest if isinstance(one, Value) and id(one) not in reached), None)
            if symbol is None:
                finished.append(value)
                path.pop()
            else:
                assert isinstance(symbol, Value)
                reached[id(symbol)] = len(reached)
                path.append((symbol, iter(symbol.inputs)))
    return reached, finished
