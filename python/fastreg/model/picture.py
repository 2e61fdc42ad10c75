"""A picture of a model's layers and connections, as an SVG text: ``fastreg.utils.plot_model`` writes it.

Layers are boxes in ranks: the rank of a layer is the longest way to it from an input, so every line leads to a later
rank. Within a rank, boxes are ordered by the mean place of what they read, which avoids most crossings.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from fastreg.internal.layer_base import Shape, batch_shape
from fastreg.model.core import CoreModel, layer_names
from fastreg.model.graphs import Graph

__all__ = ["Details", "svg_of"]

# Sizes in pixels: of a character of the font, of a line of text, of the space within and between boxes.
_CHARACTER, _LINE, _MARGIN, _GAP = 7.4, 18.0, 10.0, 36.0
_FONT = "12px ui-monospace, Menlo, Consolas, monospace"


class Details(NamedTuple):
    """What a box shows besides the kind of its layer."""

    names: bool = True
    shapes: bool = False
    activations: bool = False
    trainable: bool = False


class _Box(NamedTuple):
    lines: list[str]
    reads: tuple[int, ...]
    frozen: bool

    @property
    def width(self) -> float:
        return max(map(len, self.lines), default=0) * _CHARACTER + 2 * _MARGIN

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + _MARGIN


def _routed(boxes: Sequence[_Box]) -> tuple[list[_Box], list[list[int]]]:
    """Boxes, with an empty one in each rank that a line passes, and the boxes that each line goes through."""
    rank: list[int] = []
    for box in boxes:
        rank.append(1 + max((rank[read] for read in box.reads), default=-1))
    number = [0] * len(boxes)  # of each box among those that are drawn
    order: list[_Box] = []
    routes: list[list[int]] = []
    for i, box in enumerate(boxes):
        reads = []
        for read in dict.fromkeys(box.reads):
            route = [number[read]]
            for _ in range(rank[read] + 1, rank[i]):
                order.append(_Box([], (route[-1],), False))
                route.append(len(order) - 1)
            reads.append(route[-1])
            routes.append(route)
        order.append(box._replace(reads=tuple(reads)))
        number[i] = len(order) - 1
        for route in routes[len(routes) - len(reads) :]:
            route.append(number[i])
    return order, routes


def svg_of(model: CoreModel, details: Details, horizontal: bool) -> str:
    """The picture. The model needs layers, but no weights.

    Args:
        model: The model.
        details: What the boxes show.
        horizontal: Whether ranks go from left to right instead of from top to bottom.
    """
    boxes, routes = _routed(_boxes(model, details))
    places, halves, width, height = _placed(boxes, _ranks(boxes), horizontal)
    lines = [_arrow(places, halves, route, horizontal) for route in routes]
    drawn = [_drawn(box, *place) for box, place in zip(boxes, places, strict=True) if box.lines]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}">',
            f"<title>{escape(model.name)}</title>",
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#444"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
            *lines,
            *drawn,
            "</svg>\n",
        ]
    )


def _boxes(model: CoreModel, details: Details) -> list[_Box]:
    """One box for each input and each layer, in the order of the values of the graph."""
    names = layer_names(model.layers, model.owner)
    graph: Graph | None = model.graph
    if graph is None and model.input_shape is not None:
        graph = model.graph_for(model.input_shape)
    inputs = model.input_names
    boxes = []
    for i, name in enumerate(inputs):
        shape = graph.shapes[i] if graph is not None else None
        boxes.append(_Box(_texts(name, "Input", shape, "", details), (), False))
    for i, (layer, name) in enumerate(zip(model.layers, names, strict=True)):
        shape = graph.shapes[graph.value_of(i)] if graph is not None else None
        reads = [_box_of(value, graph) for value in graph.reads_of(i)] if graph is not None else [i]
        reads = [box for box in reads if box < len(inputs) + i]  # a layer may be called on what it made itself
        activation = str(getattr(layer, "activation", "") or "")
        texts = _texts(name, layer.kind, shape, activation, details)
        boxes.append(_Box(texts, tuple(reads), details.trainable and not layer.trainable))
    return boxes


def _box_of(value: int, graph: Graph) -> int:
    """The box of what makes a value: an input, or a layer, however often it is called."""
    n_inputs = len(graph.inputs)
    return value if value < n_inputs else n_inputs + graph.calls[value - n_inputs]


def _texts(name: str, kind: str, shape: Shape | None, activation: str, details: Details) -> list[str]:
    texts = [f"{name} ({kind})" if details.names else kind]
    if details.activations and activation:
        texts.append(activation)
    if details.shapes:
        texts.append("(None, ?)" if shape is None else str(batch_shape(shape)))
    return texts


def _ranks(boxes: Sequence[_Box]) -> list[list[int]]:
    """The boxes of each rank, ordered."""
    rank: list[int] = []
    for box in boxes:
        rank.append(1 + max((rank[read] for read in box.reads), default=-1))
    ranks: list[list[int]] = [[] for _ in range(max(rank) + 1)]
    for i, number in enumerate(rank):
        ranks[number].append(i)
    place: dict[int, float] = {}
    for members in ranks:
        members.sort(key=lambda i: sum(place.get(r, 0.0) for r in boxes[i].reads) / max(1, len(boxes[i].reads)))
        for at, i in enumerate(members):
            place[i] = at - (len(members) - 1) / 2
    return ranks


def _placed(
    boxes: Sequence[_Box], ranks: Sequence[Sequence[int]], horizontal: bool
) -> tuple[list[tuple[float, float]], list[float], float, float]:
    """The centre of each box, half of its size in the direction of the ranks, and the picture's width and height.

    An empty box is as deep as its rank, so that a line passes the whole rank straight.
    """
    along = [max((boxes[i].width if horizontal else boxes[i].height) for i in members) for members in ranks]
    across = [
        sum((boxes[i].height if horizontal else boxes[i].width) + _GAP for i in members) - _GAP for members in ranks
    ]
    places: dict[int, tuple[float, float]] = {}
    halves = [(box.width if horizontal else box.height) / 2 for box in boxes]
    at = _MARGIN
    for members, depth, breadth in zip(ranks, along, across, strict=True):
        side = _MARGIN + (max(across) - breadth) / 2
        for i in members:
            size = boxes[i].height if horizontal else boxes[i].width
            centre = (at + depth / 2, side + size / 2)
            places[i] = centre if horizontal else (centre[1], centre[0])
            halves[i] = halves[i] if boxes[i].lines else depth / 2
            side += size + _GAP
        at += depth + _GAP
    length, breadth = at - _GAP + _MARGIN, max(across) + 2 * _MARGIN
    width, height = (length, breadth) if horizontal else (breadth, length)
    return [places[i] for i in range(len(boxes))], halves, width, height


def _arrow(
    places: Sequence[tuple[float, float]], halves: Sequence[float], route: Sequence[int], horizontal: bool
) -> str:
    """A line through the boxes of a route, which leaves and enters each in the direction of the ranks."""
    path = ""
    for begin, end in itertools.pairwise(route):
        (x0, y0), (x1, y1) = places[begin], places[end]
        if horizontal:
            x0, x1 = x0 + halves[begin], x1 - halves[end]
            bend = f"C{(x0 + x1) / 2:.1f} {y0:.1f} {(x0 + x1) / 2:.1f} {y1:.1f}"
        else:
            y0, y1 = y0 + halves[begin], y1 - halves[end]
            bend = f"C{x0:.1f} {(y0 + y1) / 2:.1f} {x1:.1f} {(y0 + y1) / 2:.1f}"
        path += f"{'L' if path else 'M'}{x0:.1f} {y0:.1f} {bend} {x1:.1f} {y1:.1f} "
    return f'<path d="{path.rstrip()}" fill="none" stroke="#444" marker-end="url(#arrow)"/>'


def _drawn(box: _Box, x: float, y: float) -> str:
    left, top = x - box.width / 2, y - box.height / 2
    fill = "#eeeeee" if box.frozen else "#e8f1fa"
    texts = "".join(
        f'<text x="{x:.1f}" y="{top + _MARGIN / 2 + (i + 0.72) * _LINE:.1f}" text-anchor="middle" '
        f'style="font: {_FONT}">{escape(line)}</text>'
        for i, line in enumerate(box.lines)
    )
    return (
        f'<g><rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4" '
        f'fill="{fill}" stroke="#0072b2"/>{texts}</g>'
    )
