"""The table of ``summary``: layers, output shapes, numbers of weights, and in a graph the inputs of each layer."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from fastreg.internal import html
from fastreg.internal.layer_base import batch_shape
from fastreg.model.core import CoreModel, layer_names
from fastreg.model.graphs import flat_range

__all__ = ["is_unusual", "summary_html", "summary_lines", "summary_rows", "totals"]

Row = tuple[str, ...]


def summary_lines(model: CoreModel, show_trainable: bool = False, show_sparsity: bool = False) -> list[str]:
    """The lines of the table. They are plain ASCII, which every terminal and file can show."""
    rows = summary_rows(model)
    extra = len(rows) - len(model.layers) - 1
    if show_trainable:
        marks = ["Trainable", *(["-"] * extra), *("Y" if layer.is_trained else "N" for layer in model.layers)]
        rows = [(*row, mark) for row, mark in zip(rows, marks, strict=True)]
    if show_sparsity:
        shares = ["Zeros", *(["-"] * extra), *_shares_of_zeros(model)]
        rows = [(*row, share) for row, share in zip(rows, shares, strict=True)]
    lines = _table(model.name, rows)
    lines += [f" {label} params: {n:,} ({_bytes(4 * n)})" for label, n, _ in totals(model)]
    if is_unusual(model):
        lines.append(f" Matmul precision: {model.matmul_precision}")
    return lines


def is_unusual(model: CoreModel) -> bool:
    """Whether the model was compiled with another precision of products than the default."""
    return model.matmul_precision not in (None, "highest")


def summary_html(model: CoreModel) -> str:
    """The table as HTML, for notebooks."""
    header, *rows = summary_rows(model)
    counts = ", ".join(f"{label.lower()} {n:,}" for label, n, _ in totals(model))
    state = "" if model.built else " (not built)"
    caption = f"<b>{html.escape(model.owner)} {html.escape(repr(model.name))}</b>{state}, parameters: {counts}"
    if is_unusual(model):
        caption += f", matmul precision: {model.matmul_precision}"
    return html.table(header, rows, caption, numbers={2})


def totals(model: CoreModel) -> list[tuple[str, int, bool | None]]:
    """The numbers of all weights, of those that are trained and of the others, each with its label."""
    info = model.require_network("summary").weight_info() if model.built else []
    total = sum(math.prod(shape) for _, shape, _ in info)
    trainable = sum(math.prod(shape) for _, shape, is_trainable in info if is_trainable)
    return [("Total", total, None), ("Trainable", trainable, True), ("Non-trainable", total - trainable, False)]


def summary_rows(model: CoreModel) -> list[Row]:
    """The header and the rows of the table."""
    info = model.require_network("summary").weight_info() if model.built else []
    return _rows(model, [(int(name.split(".")[1]), math.prod(shape)) for name, shape, _ in info])


def _shares_of_zeros(model: CoreModel) -> list[str]:
    """For each layer the share of its kernels' values that are 0; "-" for a layer without kernels."""
    if not model.built:
        return ["?"] * len(model.layers)
    network = model.require_network("summary")
    zeros, sizes = Counter[int](), Counter[int]()
    for (name, shape, _), values in zip(network.weight_info(), network.get_weights(), strict=True):
        if len(shape) == 2:
            owner = int(name.split(".")[1])
            zeros[owner] += values.size - np.count_nonzero(values)
            sizes[owner] += values.size
    found = []
    for i in range(len(model.layers)):
        flat = range(*flat_range(model.layers, i))
        size = sum(sizes[owner] for owner in flat)
        found.append(f"{sum(zeros[owner] for owner in flat) / size:.1%}" if size else "-")
    return found


def _rows(model: CoreModel, sizes: list[tuple[int, int]]) -> list[Row]:
    """The header of the table and its rows. ``sizes`` has the core's layer and the number of values of each weight."""
    names, counts = layer_names(model.layers, model.owner), Counter[int]()
    for owner, size in sizes:
        counts[owner] += size
    graph = model.graph
    if graph is None and model.input_shape is not None and model.layers:
        graph = model.graph_for(model.input_shape)
    rows: list[Row] = [("Layer (type)", "Output Shape", "Param #")]
    for i, (layer, name) in enumerate(zip(model.layers, names, strict=True)):
        shape, count = "?", "0 (unbuilt)"
        if graph is not None:
            begin, end = flat_range(model.layers, i)
            shape = str(batch_shape(graph.shapes[graph.value_of(i)]))
            count = f"{sum(counts[flat] for flat in range(begin, end)):,}"
        rows.append((f"{name} ({layer.kind})", shape, count))
    if model.graph is None:
        return rows
    values = [*model.input_names]
    values += [names[call] for call in model.graph.calls]
    inputs = [
        (f"{name} (Input)", str(batch_shape(shape)), "0", "-")
        for name, shape in zip(model.input_names, model.graph.shapes, strict=False)
    ]
    reads = [", ".join(values[value] for value in model.graph.reads_of(i)) for i in range(len(names))]
    return [(*rows[0], "Connected to"), *inputs, *((*row, read) for row, read in zip(rows[1:], reads, strict=True))]


def _table(name: str, rows: list[Row]) -> list[str]:
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 2))
    lines = [f'Model: "{name}"', rule]
    for i, row in enumerate(rows):
        sides = ("<", "<", ">", "<", "<", "<")  # numbers are aligned to the right
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
