"""``Graph``: how the layers of a model are connected, and the form that this has in C++ and in files.

In C++ a network is a list of layers and a list of nodes that use them (cpp/core/description.cpp), and a value is a
matrix. Some layers are written as other layers of C++: a ``Residual`` as the layers in it and an ``Add``, a ``Flatten``
as none. So that a model that is loaded has the same layers as the model that was saved, the description says what they
were: for a ``Residual`` in ``blocks``, which layers those are; for anything else in ``structure``, which has the layers
as the model has them, and how they are called. This module knows nothing of weights or training.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from fastreg import layers as registry
from fastreg.internal.checks import describe
from fastreg.internal.layer_base import InputRule, Shape, check_shape, told
from fastreg.layers import Layer, Residual

# The form in which a model takes its inputs or returns its outputs: a single one, a list, or a dict by name.
FORMS = ("one", "list", "dict")


class Graph(NamedTuple):
    """The connections of a model's layers.

    A layer is called once, or several times with the same weights. Values are numbered: the inputs come first, then the
    output of each call, in the order of the calls.

    Attributes:
        inputs: The name and width of each input.
        calls: For each call, the index of the layer.
        reads: For each call, the values that the layer reads; their numbers are less than that of its own value.
        outputs: The name and value of each output.
        shapes: The shape of every value.
        input_form: One of :data:`FORMS`.
        output_form: One of :data:`FORMS`.
    """

    inputs: tuple[tuple[str, int], ...]
    calls: tuple[int, ...]
    reads: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[str, int], ...]
    shapes: tuple[Shape, ...]
    input_form: str = "one"
    output_form: str = "one"

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of every value."""
        return tuple(map(math.prod, self.shapes))

    @property
    def output_shapes(self) -> list[Shape]:
        """The shape of each output."""
        return [self.shapes[value] for _, value in self.outputs]

    def value_of(self, layer: int) -> int:
        """The value that a layer makes, at its first call."""
        return len(self.inputs) + self.calls.index(layer)

    def reads_of(self, layer: int) -> list[int]:
        """The values that a layer reads, in all of its calls."""
        return [value for call, read in zip(self.calls, self.reads, strict=True) if call == layer for value in read]


def chain(layers: Sequence[Layer], shape: Shape, outputs: Sequence[str]) -> Graph:
    """The graph of layers one after another.

    Args:
        layers: The layers.
        shape: The shape of the rows that the first one gets.
        outputs: The name of the last one; empty if there is none.
    """
    shapes = [shape]
    for i, layer in enumerate(layers):
        check_place(layer, i, shape)
        shapes.append(shape := cast(Shape, shape_after(layer, shape)))
    calls = tuple(range(len(layers)))
    named = [(name, len(layers)) for name in outputs]
    inputs, reads = (("input_layer", math.prod(shapes[0])),), tuple(zip(calls, strict=True))
    return Graph(inputs, calls, reads, tuple(named), tuple(shapes))


def check_place(layer: Layer, index: int, shape: Shape) -> None:
    """Raises ValueError if a layer of a chain says that it takes another shape than it gets."""
    if (said := layer.required_shape) not in (None, shape):
        got = shape[0] if len(shape) == len(said) == 1 else told(shape)
        raise ValueError(f"Sequential: layer {index} is to take {told(said)}, but gets {got}")


def shapes_of(
    layers: Sequence[Layer], inputs: Sequence[Shape], calls: Sequence[int], reads: Sequence[tuple[int, ...]]
) -> tuple[Shape, ...]:
    """The shapes of all values. Raises ValueError if a layer cannot be called on its inputs."""
    found = list(inputs)
    for call, values in zip(calls, reads, strict=True):
        found.append(layers[call].output_shape(*(found[value] for value in values)))
    return tuple(found)


def flat_range(layers: Sequence[Layer], index: int) -> tuple[int, int]:
    """The half-open range of the layers that C++ has for this one."""
    first = sum(layer.core_count for layer in layers[:index])
    return first, first + layers[index].core_count


def shape_of_chain(layers: Sequence[Layer], shape: Shape | None) -> Shape | None:
    """The shape of the output of layers one after another; None if it is not known."""
    for layer in layers:
        shape = shape_after(layer, shape)
    return shape


def shape_after(layer: Layer, shape: Shape | None) -> Shape | None:
    """The shape of a layer's output. For a Dense layer it is known even if that of the input is not."""
    width = layer.fixed_width
    if width is not None and (shape is None or len(shape) == 1):
        return (width,)  # the core checks such a layer when there is a network of it
    return None if shape is None else layer.output_shape(shape)


def core_names(layers: Sequence[Layer], owner: str, weights: Sequence[str], text: str) -> list[str]:
    """What a text such as ``"dense/kernel"`` is in C++, where layers have numbers; one without ``/`` is as it is.

    Args:
        layers: The layers of the model.
        owner: The name of the model's class.
        weights: The names of all weights of the network of C++.
        text: The name of a layer and that of its weight, or a word.
    """
    if "/" not in text:
        return [text]
    layer, weight = text.split("/")[-2:]
    names = layer_names(layers, owner)
    if layer not in names:
        known = ", ".join(names)
        raise ValueError(f"exclude_from_weight_decay: there is no layer {layer!r}; the layers are {known}")
    within = {str(i) for i in range(*flat_range(layers, names.index(layer)))}
    own = [name for name in weights if name.split(".")[1] in within]
    if found := [name for name in own if name.split(".")[2] == weight]:
        return found
    known = ", ".join(dict.fromkeys(name.split(".")[2] for name in own)) or "none"
    raise ValueError(
        f"exclude_from_weight_decay: layer {layer!r} has no weight {weight!r}; those that it has are {known}"
    )


class Flat(NamedTuple):
    """The layers of a network as C++ has them.

    Attributes:
        layers: For each layer of C++, the layer that it belongs to.
        configs: The JSON forms of the layers of C++.
        nodes: For each node, the layer of C++ and the values that it reads.
        outputs: The values that are outputs.
        blocks: For each ``Residual``, outer ones first: the index of its first layer, the index after its last one, and
            its name.
        is_plain: Whether these and ``blocks`` tell all of the model's layers.
    """

    layers: tuple[Layer, ...]
    configs: tuple[dict[str, Any], ...]
    nodes: tuple[tuple[int, tuple[int, ...]], ...]
    outputs: tuple[int, ...]
    blocks: tuple[tuple[int, int, str | None], ...]
    is_plain: bool


class _Writer:
    """Collects the layers of C++; a ``Lowering``. The values that it numbers are those of C++."""

    def __init__(self, inputs: Sequence[Shape]) -> None:
        self.layers: list[Layer] = []
        self.configs: list[dict[str, Any]] = []
        self.nodes: list[tuple[int, tuple[int, ...]]] = []
        self.shapes: list[Shape] = list(inputs)
        self.n_inputs = len(inputs)
        self.firsts: dict[tuple[int, ...], int] = {}  # the first layer of C++ of each layer, by its path
        self.path: tuple[int, ...] = ()
        self.again: Iterator[int] | None = None  # the layers of C++ of a call that is not the first of its layer

    def add(self, layer: Layer, config: dict[str, Any], values: tuple[int, ...]) -> int:
        if self.again is not None:
            index = next(self.again)
        else:
            index = len(self.configs)
            self.layers.append(layer)
            self.configs.append(config)
        self.nodes.append((index, values))
        self.shapes.append(())
        return self.n_inputs + len(self.nodes) - 1

    def shape(self, value: int) -> Shape:
        return self.shapes[value]

    def call(self, layer: Layer, key: int, values: tuple[int, ...], shapes: Sequence[Shape]) -> int:
        for value, shape in zip(values, shapes, strict=True):
            self.shapes[value] = shape
        around, path = self.again, self.path
        self.path = (*path, key)
        again = self.path in self.firsts
        first = self.firsts.setdefault(self.path, len(self.configs))
        self.again = iter(range(first, first + layer.core_count)) if again else None
        made = layer.lower(self, values)
        self.again, self.path = around, path
        return made


def flattened(layers: Sequence[Layer], graph: Graph) -> Flat:
    """The layers and connections as C++ has them."""
    n_inputs, plain = len(graph.inputs), _is_plain_graph(layers, graph)
    if plain and _is_chain(layers, graph) and not any(isinstance(layer, Residual) for layer in layers):
        configs, nodes = [layer.to_config() for layer in layers], tuple(zip(graph.calls, graph.reads, strict=True))
        return Flat(tuple(layers), tuple(configs), nodes, (len(layers),), (), True)
    writer = _Writer(graph.shapes[:n_inputs])
    values = list(range(n_inputs))
    for call, read in zip(graph.calls, graph.reads, strict=True):
        shapes = [graph.shapes[value] for value in read]
        values.append(writer.call(layers[call], call, tuple(values[value] for value in read), shapes))
    outputs: list[int] = []
    for _, value in graph.outputs:
        made = values[value]
        if made < n_inputs or made in outputs:  # C++ gives each value of a node once
            writer.shapes[made] = graph.shapes[value]
            made = writer.add(registry.Activation("linear"), {"type": "Activation", "activation": "linear"}, (made,))
        outputs.append(made)
    blocks: list[tuple[int, int, str | None]] = []
    for path, first in writer.firsts.items():
        if len(path) == 1:
            _add_blocks(blocks, layers[path[0]], first)
    return Flat(tuple(writer.layers), tuple(writer.configs), tuple(writer.nodes), tuple(outputs), tuple(blocks), plain)


def _add_blocks(blocks: list[tuple[int, int, str | None]], layer: Layer, first: int) -> None:
    if isinstance(layer, Residual):
        blocks.append((first, first + layer.core_count, layer.name))
        for inner in layer.layers:
            _add_blocks(blocks, inner, first)
            first += inner.core_count


def _is_plain_graph(layers: Sequence[Layer], graph: Graph) -> bool:
    return (
        all(len(shape) == 1 for shape in graph.shapes)
        and graph.calls == tuple(range(len(layers)))
        and all(map(_is_plain, layers))
    )


def _is_chain(layers: Sequence[Layer], graph: Graph) -> bool:
    """Whether the layers are called in their order, each on the value before, and the last one makes the output."""
    outputs = [value for _, value in graph.outputs]
    return len(graph.inputs) == 1 and graph.reads == tuple(zip(range(len(layers)))) and outputs == [len(layers)]


def input_rules(layers: Sequence[Layer], graph: Graph | None) -> tuple[InputRule, ...]:
    """For each input, what its numbers must be."""
    if graph is None:
        reader = next((layer for layer in layers if not layer.reshapes), None)
        return (InputRule() if reader is None else reader.input_rule_of(0),)
    calls, reads, count = graph.calls, graph.reads, len(graph.inputs)
    source: dict[int, int] = {i: i for i in range(count)}  # of each value that has the elements of an input: which
    found: list[InputRule | None] = [None] * count
    for value, (call, read) in enumerate(zip(calls, reads, strict=True), count):
        for place, origin in ((place, source[one]) for place, one in enumerate(read) if one in source):
            if layers[call].reshapes:
                source[value] = origin
                continue
            rule, known = layers[call].input_rule_of(place), found[origin]
            found[origin] = rule if known is None else known.also(rule)
    return tuple(InputRule() if rule is None else rule for rule in found)


def _is_plain(layer: Layer) -> bool:
    if isinstance(layer, Residual):
        return all(map(_is_plain, layer.layers))
    return layer.core_count == 1 and type(layer).lower is Layer.lower


def to_config(layers: Sequence[Layer], graph: Graph, flat: Flat) -> dict[str, Any]:
    """The members of a description for layers and connections: what C++ reads, and ``blocks`` or ``structure``.

    Args:
        layers: The layers.
        graph: Their connections.
        flat: What :func:`flattened` made of both.
    """
    config: dict[str, Any] = {
        "inputs": [{"name": name, "n_features": width} for name, width in graph.inputs],
        "layers": list(flat.configs),
        "nodes": [{"layer": layer, "inputs": list(read)} for layer, read in flat.nodes],
        "outputs": [
            {"name": name, "value": value} for (name, _), value in zip(graph.outputs, flat.outputs, strict=True)
        ],
    }
    if not flat.is_plain:
        config["structure"] = structure_of(layers, graph)
    elif flat.blocks:
        config["blocks"] = [list(block) for block in flat.blocks]
    return config


def structure_of(layers: Sequence[Layer], graph: Graph) -> dict[str, Any]:
    """Layers and connections as they are, in JSON."""
    return {
        "inputs": [list(shape) for shape in graph.shapes[: len(graph.inputs)]],
        "layers": [layer.to_config() for layer in layers],
        "calls": [[call, list(read)] for call, read in zip(graph.calls, graph.reads, strict=True)],
        "outputs": [value for _, value in graph.outputs],
    }


def of_structure(
    structure: object, inputs: Sequence[str], outputs: Sequence[str], get: Callable[[Any, str], Layer]
) -> tuple[tuple[Layer, ...], Graph]:
    """The layers and connections of what :func:`structure_of` made, with the names of the inputs and outputs.

    Args:
        structure: What was made.
        inputs: The names of the inputs.
        outputs: The names of the outputs.
        get: Makes a layer of its JSON form.

    Raises:
        ValueError: If the parts contradict each other.
    """
    if not isinstance(structure, Mapping):
        raise ValueError(f"structure must be an object, got {describe(structure)}")
    for name in ("inputs", "layers", "calls", "outputs"):
        if not isinstance(structure.get(name), list) or not structure[name]:
            raise ValueError(f"structure: {name} must be a list, got {describe(structure.get(name))}")
    layers = tuple(get(config, f"structure.layers[{i}]") for i, config in enumerate(structure["layers"]))
    shapes = [check_shape("structure", "inputs", tuple(shape)) for shape in map(_list, structure["inputs"])]
    calls: list[int] = []
    reads: list[tuple[int, ...]] = []
    for call in map(_list, structure["calls"]):
        if len(call) != 2 or type(call[0]) is not int or not 0 <= call[0] < len(layers):
            raise ValueError(f"structure: calls must have the index of a layer and values, got {call}")
        if not _list(call[1]):
            raise ValueError(f"structure: a call must read a value at least, got {call}")
        calls.append(call[0])
        reads.append(tuple(_value(value, len(shapes) + len(reads)) for value in call[1]))
    if set(calls) != set(range(len(layers))):
        raise ValueError("structure: calls must be of every layer")
    made = [_value(value, len(shapes) + len(calls)) for value in structure["outputs"]]
    if len(made) != len(outputs) or len(shapes) != len(inputs):
        raise ValueError("structure: inputs and outputs must be as many as those of the network")
    ports = tuple(zip(inputs, map(math.prod, shapes), strict=True))
    everything = shapes_of(layers, shapes, calls, reads)
    return layers, Graph(ports, tuple(calls), tuple(reads), tuple(zip(outputs, made, strict=True)), everything)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"structure: must have lists, got {describe(value)}")
    return value


def _value(value: object, limit: int) -> int:
    if type(value) is not int or not 0 <= value < limit:
        raise ValueError(f"structure: a value must be a number below {limit}, got {describe(value)}")
    return value


def folded(
    flat: Sequence[Layer], inputs: tuple[tuple[str, int], ...], config: Any
) -> tuple[tuple[Layer, ...], Graph]:
    """The layers and connections of a description's members; the reverse of :func:`to_config`.

    Args:
        flat: The layers.
        inputs: Name and width of each input.
        config: The description.

    Raises:
        ValueError: If the members contradict each other.
    """
    reads = [_indices(node, "nodes", "inputs") for node in config["nodes"]]
    if len(reads) != len(flat) or [node.get("layer") for node in config["nodes"]] != list(range(len(flat))):
        raise ValueError("nodes must be one for each layer, in the order of the layers")
    blocks = [_block(block, len(flat)) for block in config.get("blocks", [])]
    layers: list[Layer] = []
    firsts: list[int] = []
    values = {i: i for i in range(len(inputs))}  # from the number of a value in the description to that in the model
    position = 0
    while position < len(flat):
        layer, end = _taken(flat, position, len(flat), blocks)
        values[len(inputs) + end - 1] = len(inputs) + len(layers)
        layers.append(layer)
        firsts.append(position)
        position = end
    try:
        read = tuple(tuple(values[value] for value in reads[first]) for first in firsts)
        outputs = tuple((str(output["name"]), values[output["value"]]) for output in config["outputs"])
    except KeyError as error:
        raise ValueError(f"nodes: value {error} is none that a layer may read") from None
    if any(value >= len(inputs) + i for i, values_read in enumerate(read) for value in values_read):
        raise ValueError("nodes: inputs must be values of nodes before")
    calls, shapes = tuple(range(len(layers))), [(width,) for _, width in inputs]
    return tuple(layers), Graph(inputs, calls, read, outputs, shapes_of(layers, shapes, calls, read))


def _block(value: Any, limit: int) -> tuple[int, int, str | None]:
    good = isinstance(value, list) and len(value) == 3 and all(type(end) is int for end in value[:2])
    if not good or not 0 <= value[0] < value[1] - 1 < limit or not isinstance(value[2], (str, type(None))):
        raise ValueError(f"blocks must be lists of the first layer, the one behind the last and a name, got {value!r}")
    return tuple(value)


def _indices(parent: Any, what: str, name: str) -> tuple[int, ...]:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, list) or not found or not all(type(index) is int and index >= 0 for index in found):
        raise ValueError(f"{what}: {name} must be a list of indices, got {describe(found)}")
    return tuple(found)


def _taken(
    flat: Sequence[Layer], begin: int, end: int, blocks: list[tuple[int, int, str | None]]
) -> tuple[Layer, int]:
    """The layer that begins at an index, and the index of the next one. Removes its blocks from the list."""
    if not blocks or blocks[0][0] != begin:
        return flat[begin], begin + 1
    _, stop, name = blocks.pop(0)
    if stop > end or type(flat[stop - 1]).__name__ != "Add":
        raise ValueError(f"blocks: one must lie within another and end with an Add, got [{begin}, {stop}]")
    inner: list[Layer] = []
    position = begin
    while position < stop - 1:
        layer, position = _taken(flat, position, stop - 1, blocks)
        inner.append(layer)
    return Residual(inner, name=name), stop


def layer_names(layers: Sequence[Layer], owner: str = "Sequential") -> list[str]:
    """A name for every layer: its own, or an unused one from its class (``dense``, ``dense_1``).

    Raises:
        ValueError: If two layers were given the same name.
    """
    given: set[str] = set()
    for layer in layers:
        if layer.name in given:
            raise ValueError(f"{owner}: names of layers must differ, got {layer.name!r} twice")
        if layer.name is not None:
            given.add(layer.name)
    names: list[str] = []
    used: dict[str, Iterator[str]] = {}
    for layer in layers:
        name = layer.name
        if name is None:
            kind = layer.kind
            free = used.get(kind) or used.setdefault(kind, names_after(kind))
            name = next(free)
            while name in given:
                name = next(free)
        names.append(name)
    return names


def names_after(kind: str) -> Iterator[str]:
    """Yields ``dense``, ``dense_1``, ``dense_2``, ... for ``Dense``."""
    stem = _stem(kind)
    yield stem
    for count in itertools.count(1):
        yield f"{stem}_{count}"


@functools.cache
def _stem(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
