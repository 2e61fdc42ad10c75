"""``Graph``: how the layers of a model are connected, and the form that this has in C++ and in files.

In C++ a network is a list of layers with one node for each (cpp/core/description.cpp). C++ does not know ``Residual``,
which is written as the layers in it and an ``Add``. ``blocks`` in the description says which layers those are, so that
a model that is loaded has the same layers as the model that was saved. This module knows nothing of weights or
training.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fastreg.internal.checks import describe
from fastreg.layers import Add, Layer, Residual

# The form in which a model takes its inputs or returns its outputs: a single one, a list, or a dict by name.
FORMS = ("one", "list", "dict")


class Graph(NamedTuple):
    """The connections of a model's layers.

    Values are numbered: the inputs come first, then the output of each layer, in the order of the layers.

    Attributes:
        inputs: The name and width of each input.
        reads: For each layer, the values that it is called on; their numbers are less than that of its own value.
        outputs: The name and value of each output.
        widths: The width of every value.
        input_form: One of :data:`FORMS`.
        output_form: One of :data:`FORMS`.
    """

    inputs: tuple[tuple[str, int], ...]
    reads: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[str, int], ...]
    widths: tuple[int, ...]
    input_form: str = "one"
    output_form: str = "one"


def chain(layers: Sequence[Layer], n_features: int) -> Graph:
    """The graph of layers one after another."""
    reads = tuple((i,) for i in range(len(layers)))
    inputs, outputs = (("input_layer", n_features),), ((layer_names(layers)[-1], len(layers)),)
    return Graph(inputs, reads, outputs, widths(layers, inputs, reads))


def widths(
    layers: Sequence[Layer], inputs: Sequence[tuple[str, int]], reads: Sequence[tuple[int, ...]]
) -> tuple[int, ...]:
    """The widths of all values. Raises ValueError if a layer cannot be called on its inputs."""
    found = [width for _, width in inputs]
    for layer, values in zip(layers, reads, strict=True):
        found.append(layer.output_width(*(found[value] for value in values)))
    return tuple(found)


def flat_count(layer: Layer) -> int:
    """The number of layers that C++ has for this one."""
    return sum(map(flat_count, layer.layers)) + 1 if isinstance(layer, Residual) else 1


def flat_range(layers: Sequence[Layer], index: int) -> tuple[int, int]:
    """The half-open range of the layers that C++ has for this one."""
    first = sum(map(flat_count, layers[:index]))
    return first, first + flat_count(layers[index])


class Flat(NamedTuple):
    """The layers of a network as C++ has them.

    Attributes:
        layers: The layers, without any ``Residual``.
        reads: The same as in :class:`Graph`.
        outputs: The values that are outputs.
        blocks: For each ``Residual``, outer ones first: the index of its first layer, the index after its last one, and
            its name.
    """

    layers: tuple[Layer, ...]
    reads: tuple[tuple[int, ...], ...]
    outputs: tuple[int, ...]
    blocks: tuple[tuple[int, int, str | None], ...]


def flattened(layers: Sequence[Layer], graph: Graph) -> Flat:
    """The layers and connections as C++ has them."""
    flat: list[Layer] = []
    reads: list[tuple[int, ...]] = []
    blocks: list[tuple[int, int, str | None]] = []
    n_inputs = len(graph.inputs)

    def add(layer: Layer, values: tuple[int, ...]) -> int:
        if isinstance(layer, Residual):
            first, block = len(flat), len(blocks)
            blocks.append((first, 0, layer.name))
            value = values[0]
            for inner in layer.layers:
                value = add(inner, (value,))
            value = add(Add(), (values[0], value))
            blocks[block] = (first, len(flat), layer.name)
            return value
        flat.append(layer)
        reads.append(values)
        return n_inputs + len(flat) - 1

    values = list(range(n_inputs))
    for layer, read in zip(layers, graph.reads, strict=True):
        values.append(add(layer, tuple(values[value] for value in read)))
    return Flat(tuple(flat), tuple(reads), tuple(values[value] for _, value in graph.outputs), tuple(blocks))


def to_config(layers: Sequence[Layer], graph: Graph) -> dict[str, Any]:
    """The members of a description for the layers and their connections, as C++ reads them, and ``blocks``."""
    flat = flattened(layers, graph)
    config: dict[str, Any] = {
        "inputs": [{"name": name, "n_features": width} for name, width in graph.inputs],
        "layers": [layer.to_config() for layer in flat.layers],
        "nodes": [{"layer": i, "inputs": list(read)} for i, read in enumerate(flat.reads)],
        "outputs": [
            {"name": name, "value": value} for (name, _), value in zip(graph.outputs, flat.outputs, strict=True)
        ],
    }
    if flat.blocks:
        config["blocks"] = [list(block) for block in flat.blocks]
    return config


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
    return tuple(layers), Graph(inputs, read, outputs, widths(layers, inputs, read))


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
    if stop > end or type(flat[stop - 1]) is not Add:
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
    used: dict[type[Layer], Iterator[str]] = {}
    for layer in layers:
        free = used.setdefault(type(layer), names_after(type(layer).__name__))
        names.append(layer.name or next(name for name in free if name not in given))
    return names


def names_after(kind: str) -> Iterator[str]:
    """Yields ``dense``, ``dense_1``, ``dense_2``, ... for ``Dense``."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
    yield stem
    for count in itertools.count(1):
        yield f"{stem}_{count}"
