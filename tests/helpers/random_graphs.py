"""Random networks whose layers are connected in any way, and pairs of them: fastreg's and the oracle's.

A node is a row of pairs.py, or ("add",) or the name of another join, and the values that it reads, which are
numbered in the order in which they are drawn: inputs first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import fastreg as fr
import graph_reference as graphs
import numpy as np
import reference as ref
from cases import made
from fastreg import layers
from pairs import fastreg_layer, float32, random_weights, reference_layer, rounded, targets

WIDTHS = (1, 3, 8, 16, 17)
JOINS = {"add": (layers.Add, graphs.Add), "multiply": (layers.Multiply, graphs.Multiply),
         "subtract": (layers.Subtract, graphs.Subtract), "concatenate": (layers.Concatenate, graphs.Concatenate),
         "maximum": (layers.Maximum, graphs.Maximum), "minimum": (layers.Minimum, graphs.Minimum),
         "average": (layers.Average, graphs.Average)}
# The last activation and the units of an output, by its loss.
ENDS = {"mean_squared_error": ("linear", (1, 3)), "binary_crossentropy": ("sigmoid", (1, 3)),
        "sparse_categorical_crossentropy": ("softmax", (3, 5)), "categorical_crossentropy": ("softmax", (3, 5))}
PENALTIES = ({}, {}, {"kernel": ref.Penalty(0.003, 0.004), "bias": ref.Penalty(0.0, 0.002)}, {"use_bias": False})


class Drawn(NamedTuple):
    """inputs: widths. nodes: (row, values read). outputs: (value, loss, weight in the sum of losses)."""

    inputs: list[int]
    nodes: list[tuple[tuple[Any, ...], tuple[int, ...]]]
    outputs: list[tuple[int, str, float]]

    def widths(self):
        widths = list(self.inputs)
        for row, reads in self.nodes:
            given = [widths[value] for value in reads]
            widths.append(row[1] if row[0] == "dense" else sum(given) if row[0] == "concatenate" else given[0])
        return widths


class Drawing:
    """Draws a network node by node."""

    def __init__(self, rng, smooth):
        self.rng, self.smooth, self.nodes, self.read = rng, smooth, [], set()
        # Finite differences need functions without corners.
        self.activations = ("tanh", "sigmoid", "gelu", "softplus") + (() if smooth else ("relu", "elu", "leaky_relu"))
        self.inputs = [self.one_of(WIDTHS) for _ in range(rng.integers(1, 4))]
        self.widths = list(self.inputs)

    def one_of(self, items):
        return items[self.rng.integers(len(items))]

    def add(self, row, *reads):
        width = row[1] if row[0] == "dense" else self.widths[reads[0]]
        self.widths.append(sum(self.widths[value] for value in reads) if row[0] == "concatenate" else width)
        self.nodes.append((row, reads))
        self.read.update(reads)
        return len(self.widths) - 1

    def dense(self, value, units=None):
        options = self.one_of(PENALTIES)
        return self.add(("dense", units or self.one_of(WIDTHS), self.one_of(self.activations), options), value)

    def step(self):
        """A layer or a block on values drawn among all that there are, the latest more often."""
        value = len(self.widths) - 1 if self.rng.random() < 0.5 else int(self.rng.integers(len(self.widths)))
        kind = self.one_of(("dense", "dense", "activation", "batch_norm", "dropout", "residual", "self", *["join"] * 2))
        if kind == "dense":
            self.dense(value)
        elif kind == "activation":
            self.add(("activation", self.one_of(self.activations)), value)
        elif kind == "batch_norm":
            self.add(("batch_norm", {"momentum": 0.9}), value)
        elif kind == "dropout":
            self.add(("dropout", 0.25), value)
        elif kind == "residual":
            self.add(("add",), value, self.dense(self.dense(value), self.widths[value]))
        elif kind == "self":
            bounded = self.bounded(value)
            self.add(("multiply",), bounded, bounded)
        else:
            self.join(value)

    def join(self, value):
        # The corners of extremes are where finite differences may not step.
        row = (self.one_of([name for name in JOINS if not (self.smooth and name in ("maximum", "minimum"))]),)
        others = [v for v, width in enumerate(self.widths) if row[0] == "concatenate" or width == self.widths[value]]
        chosen = [self.one_of(others) for _ in range(1 if row[0] == "subtract" else self.rng.integers(1, 3))]
        read = [value, *chosen]
        self.add(row, *(map(self.bounded, read) if row[0] == "multiply" else read))

    def bounded(self, value):
        """Products of products would grow beyond all bounds."""
        return self.add(("activation", "tanh"), value)

    def finish(self):
        """Makes outputs of all values that nobody reads, joined if they are many, and at times of one in the middle."""
        loose = [value for value in range(len(self.widths)) if value not in self.read]
        while len(loose) > 3:
            loose = [*loose[2:], self.add(("concatenate",), *loose[:2])]
        outputs = []
        for value in loose:
            loss = self.one_of(list(ENDS))
            last, units = ENDS[loss]
            outputs.append((self.add(("dense", self.one_of(units), last), value), loss, 1.0))
        middle = [len(self.inputs) + i for i, (row, _) in enumerate(self.nodes) if row[0] == "dense"]
        middle = [value for value in middle if value in self.read]
        if middle and self.rng.random() < 0.3:
            outputs.append((self.one_of(middle), "mean_squared_error", 1.0))
        if len(outputs) > 1:
            outputs = [(value, loss, self.one_of((1.0, 0.5, 2.0))) for value, loss, _ in outputs]
        return Drawn(self.inputs, self.nodes, outputs)


def draw(rng, steps=None, *, smooth=False):
    drawing = Drawing(rng, smooth)
    for _ in range(rng.integers(3, 11) if steps is None else steps):
        drawing.step()
    return drawing.finish()


def functional(drawn, *, seed=0, optimizer=ref.GRADIENT_DESCENT, untrained=()):
    """fastreg's compiled model, in which the layer of node i has the name ``l<i>``, and the names in its order."""
    inputs = [fr.Input((width,), name=f"x{i}") for i, width in enumerate(drawn.inputs)]
    values: list[Any] = list(inputs)
    for i, (row, reads) in enumerate(drawn.nodes):
        description = JOINS[row[0]][0]() if row[0] in JOINS else fastreg_layer(row)
        layer = type(description).from_config(
            {**description.to_config(), "name": f"l{i}", "trainable": i not in untrained}
        )
        given = [values[value] for value in reads]
        values.append(layer(given if row[0] in JOINS else given[0]))
    model = fr.Model(inputs, [values[value] for value, *_ in drawn.outputs], seed=seed)
    model.compile(
        made(optimizer),
        [made(ref.loss_of(loss)) for _, loss, _ in drawn.outputs],
        loss_weights=[weight for *_, weight in drawn.outputs] if len(drawn.outputs) > 1 else None,
    )
    return model


def oracle(drawn, order, weights, *, seed=0, optimizer=ref.GRADIENT_DESCENT, untrained=()):
    """The oracle's network. order: the nodes in the order of the model's layers."""
    number = {i: i for i in range(len(drawn.inputs))}
    number |= {len(drawn.inputs) + node: len(drawn.inputs) + place for place, node in enumerate(order)}
    made_layers, reads = [], []
    for node in order:
        row, read = drawn.nodes[node]
        layer = JOINS[row[0]][1]() if row[0] in JOINS else reference_layer(row)
        if row[0] == "batch_norm" and node in untrained:
            layer = graphs.InferredNormalization(layer.momentum, layer.epsilon)
        made_layers.append(layer)
        reads.append(tuple(number[value] for value in read))
    outputs = [
        graphs.Output(number[value], ref.loss_of(loss), float32(weight)) for value, loss, weight in drawn.outputs
    ]
    places = [place for place, node in enumerate(order) if node in untrained]
    return graphs.Network(made_layers, reads, len(drawn.inputs), outputs, weights, rounded(optimizer), seed, places)


def random_weights_of(drawn, order, rng):
    """Weights of the layers in this order, from the documentation of their shapes alone."""
    widths, names, shapes = drawn.widths(), [], []
    for node in order:
        row, reads = drawn.nodes[node]
        found = () if row[0] in JOINS else reference_layer(row).names
        names += found
        shapes += [(widths[reads[0]], row[1]) if name == "kernel" else (widths[len(drawn.inputs) + node],)
                   for name in found]
    return random_weights(shapes, names, rng)


def build_pair(drawn, rng, *, seed=0, optimizer=ref.GRADIENT_DESCENT, untrained=()):
    """(model, net): with equal random weights."""
    model = functional(drawn, seed=seed, optimizer=optimizer, untrained=untrained)
    order = [int(layer.name[1:]) for layer in model.layers]
    weights = random_weights_of(drawn, order, rng)
    model.set_weights(weights)
    return model, oracle(drawn, order, weights, seed=seed, optimizer=optimizer, untrained=untrained)


def data(drawn, rows, rng):
    """(xs, ts): features of each input and targets of each output."""
    widths = drawn.widths()
    xs = [rng.normal(size=(rows, width)).astype(np.float32) for width in drawn.inputs]
    return xs, [targets(loss, rows, widths[value], rng) for value, loss, _ in drawn.outputs]


def one_or_list(items):
    """The form in which fit and predict take a list: its element if there is only one."""
    return items[0] if len(items) == 1 else list(items)
