"""Draws a run: how many times faster fastreg is than each peer, and the kernels in a roofline plot of the machine."""

from __future__ import annotations

import re
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from results import FASTREG, Row

# The groups whose rows are drawn as bars. The many shapes and the limits would make too many.
BARS = ("train", "update", "predict", "import")
COLOURS = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]


def draw(rows: list[Row], facts: dict[str, Any], path: str) -> None:
    """Draws the picture. Raises ValueError if the rows contain neither ratios nor kernels."""
    bars = [
        row for row in rows if row.group in BARS and FASTREG in row.values and row.metric not in ("p99", "installed")
    ]
    bars = [row for row in bars if row.best_other(FASTREG) is not None]
    kernels = [row for row in rows if row.group == "kernels" and row.facts]
    panels = bool(bars) + bool(kernels)
    if not panels:
        raise ValueError("there is nothing to draw: neither a row with peers nor kernels")
    height = max(5.0, 0.22 * sum(len(_peers(row)) + 2 for row in bars)) if bars else 7.0
    figure, axes = plt.subplots(1, panels, figsize=(9.5 * panels, height), squeeze=False, layout="constrained")
    if bars:
        _ratios(axes[0, 0], bars)
    if kernels:
        _roofline(axes[0, -1], kernels, [row for row in rows if row.group == "limits" and "machine" in row.values])
    figure.suptitle(f"{facts['cpu']}, {facts['threads']} thread{'s' * (facts['threads'] > 1)}")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _peers(row: Row) -> list[str]:
    return [name for name in row.values if not name.startswith(FASTREG)]


def _ratios(axes: Any, rows: list[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in _peers(row)))
    place, ticks = 0.0, []
    for row in rows:
        others = sorted(_peers(row), key=lambda name: row.advantage(FASTREG, name))
        for offset, name in enumerate(others):
            ratio = row.advantage(FASTREG, name)
            # A log axis has no zero: bars start at 1, "as fast as fastreg", and go left where the peer is faster.
            axes.barh(place + offset, ratio - 1, left=1, height=0.85, color=COLOURS[names.index(name) % 10])
            axes.text(max(ratio, 1) * 1.06, place + offset, f"{ratio:.3g}  {name}", va="center", fontsize=7)
        ticks.append(
            (place + (len(others) - 1) / 2, f"{row.workload}\n{row.metric}" if row.metric == "p50" else row.workload)
        )
        place += len(others) + 1.2
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.8), high * 5)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks([t for t, _ in ticks], [text for _, text in ticks], fontsize=8)
    axes.set_ylim(place, -1)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlabel("times as fast as the peer (log scale; right of 1: fastreg is ahead)")


def _roofline(axes: Any, kernels: list[Row], limits: list[Row]) -> None:
    peak = max(float(row.facts["peak"]) for row in kernels)
    intensity = np.geomspace(0.05, 600, 200)
    for row in limits:
        size = re.match(r"read (.*)", row.workload)
        if size:
            bandwidth = row.quartiles("machine")[1]
            axes.plot(intensity, np.minimum(peak, bandwidth * intensity), color="grey", linewidth=1)
            text = f"read {size[1]}: {bandwidth:.0f} GB/s"
            axes.text(0.055, 0.055 * bandwidth * 1.05, text, rotation=38, rotation_mode="anchor", fontsize=7)
    axes.axhline(peak, color="black", linewidth=1.2)
    axes.text(0.055, peak * 1.06, f"multiply-adds: {peak:.0f} GFLOP/s", fontsize=8)
    forms = ("NN", "NT", "TN", "update")
    for form, colour, marker in zip(forms, COLOURS, "os^Dv", strict=False):
        for filled, batch_1 in ((True, False), (False, True)):
            points = [
                _point(row) for row in kernels if _form(row) == form and (row.workload[-7:] == "batch 1") == batch_1
            ]
            if points:
                x, y = zip(*points, strict=True)
                label = f"{form}, batch 1" if batch_1 else form
                face = colour if filled else "none"
                axes.scatter(x, y, s=22, marker=marker, facecolors=face, edgecolors=[colour], label=label, zorder=3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1, peak * 1.6)
    axes.set_xlim(intensity[0], intensity[-1])
    axes.set_xlabel("operations a byte of operands, each counted once")
    axes.set_ylabel("GFLOP/s")
    axes.grid(alpha=0.25, which="both")
    axes.legend(fontsize=8, loc="lower right")


def _form(row: Row) -> str:
    return next((form for form in ("NN", "NT", "TN") if row.workload.startswith(form)), "update")


def _point(row: Row) -> tuple[float, float]:
    """The point of a kernel: (operations per byte, GFLOP/s)."""
    value = row.quartiles(next(name for name in row.values if name.startswith(FASTREG)))[1]
    flops, moved = float(row.facts["flops"]), float(row.facts["bytes"])
    rate = {"ns": flops / value if value else 0.0, "GB/s": value * flops / moved}.get(row.unit, value)
    return flops / moved, rate
