"""The table of ``summary``: layers, output shapes, numbers of weights, and in a graph the inputs of each layer."""

from __future__ import annotations

import math
from collections import Counter

from fastreg.model.core import CoreModel, layer_names
from fastreg.model.graphs import chain, flat_range

__all__ = ["summary_lines"]

Row = tuple[str, ...]


def summary_lines(model: CoreModel, show_trainable: bool = False) -> list[str]:
    """The lines of the table. They are plain ASCII, which every terminal and file can show."""
    network = model.require_network("summary") if model.built else None
    info = [] if network is None else network.weight_info()
    rows = _rows(model, [(int(name.split(".")[1]), math.prod(shape)) for name, shape, _ in info])
    if show_trainable:
        marks = ["Trainable", *(["-"] * (len(rows) - len(model.layers) - 1))]
        marks += ["Y" if layer.trainable else "N" for layer in model.layers]
        rows = [(*row, mark) for row, mark in zip(rows, marks, strict=True)]
    lines = _table(model.name, rows)
    total = sum(math.prod(shape) for _, shape, _ in info)
    trainable = sum(math.prod(shape) for _, shape, is_trainable in info if is_trainable)
    for label, n in (("Total", total), ("Trainable", trainable), ("Non-trainable", total - trainable)):
        lines.append(f" {label} params: {n:,} ({_bytes(4 * n)})")
    return lines


def _rows(model: CoreModel, sizes: list[tuple[int, int]]) -> list[Row]:
    """The header of the table and its rows. ``sizes`` has the core's layer and the number of values of each weight."""
    names, counts = layer_names(model.layers, model.owner), Counter[int]()
    for owner, size in sizes:
        counts[owner] += size
    graph = model.graph
    if graph is None and model.n_features is not None and model.layers:
        graph = chain(model.layers, model.n_features)
    rows: list[Row] = [("Layer (type)", "Output Shape", "Param #")]
    for i, (layer, name) in enumerate(zip(model.layers, names, strict=True)):
        shape, count = "?", "0 (unbuilt)"
        if graph is not None:
            begin, end = flat_range(model.layers, i)
            shape = f"(None, {graph.widths[len(graph.inputs) + i]})"
            count = f"{sum(counts[flat] for flat in range(begin, end)):,}"
        rows.append((f"{name} ({type(layer).__name__})", shape, count))
    if model.graph is None:
        return rows
    values = [*model.input_names, *names]
    inputs = [(f"{name} (Input)", f"(None, {width})", "0", "-") for name, width in model.graph.inputs]
    reads = [", ".join(values[value] for value in read) for read in model.graph.reads]
    return [(*rows[0], "Connected to"), *inputs, *((*row, read) for row, read in zip(rows[1:], reads, strict=True))]


def _table(name: str, rows: list[Row]) -> list[str]:
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 2))
    lines = [f'Model: "{name}"', rule]
    for i, row in enumerate(rows):
        sides = ("<", "<", ">", "<", "<")  # numbers are aligned to the right
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=False)]
        lines.append((" " + "".join(cells[:3]) + "".join(f"  {cell}" for cell in cells[3:])).rstrip())
        if i == 0:
            lines.append(rule.replace("-", "="))
    return [*lines, rule]


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.2f} {unit}"
        count /= 1024
    return f"{count:.2f} GB"
