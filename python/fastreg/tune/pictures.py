"""Pictures of predictions beside what was true. matplotlib is imported when one is drawn; its state is not changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.pictures import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "curves", "predicted_against_actual", "reliability", "roc", "shares_of_bins"]

# Okabe and Ito's colours: told apart by colour-blind readers and in grey print.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
# Points of a curve, or of a cloud, that are drawn at most.
_MOST_POINTS = 2000
_GREY = "#999999"
# Bins of a reliability curve at most, and rows of a bin at least.
_MOST_BINS, _LEAST_ROWS = 12, 20


def roc(labels: Sequence[str], shares: NDArray[np.float32], truth: NDArray[Any]) -> Figure:
    """The receiver operating characteristic: of the second of two classes, or of each class against the rest.

    Args:
        labels: The names of the classes.
        shares: The probability of each class, (rows, classes).
        truth: The index of the class of each row.
    """
    figure, axes = _figure()
    chosen = [1] if len(labels) == 2 else [j for j in range(len(labels)) if (truth == j).any()]
    for place, j in enumerate(chosen[: len(COLOURS)]):
        false, true = curves(shares[:, j], truth == j)
        axes.plot(false, true, color=COLOURS[place], linewidth=1.6, label=plain(labels[j], 18))
    axes.plot([0, 1], [0, 1], "--", color=_GREY, linewidth=1.0, label="chance")
    axes.set(xlabel="others that are taken for it", ylabel="rows of the class that are found")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def curves(share: NDArray[np.float32], wanted: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The false and the true positive rates at all thresholds, the largest first; thinned if there are many."""
    order = np.argsort(-share, kind="stable")
    true, false = np.cumsum(wanted[order]), np.cumsum(~wanted[order])
    ends = np.flatnonzero(np.append(np.diff(share[order]) != 0, True))  # equal shares pass a threshold together
    true, false = np.append(0, true[ends]), np.append(0, false[ends])
    if len(ends) > _MOST_POINTS:
        kept = np.unique(np.linspace(0, len(ends), _MOST_POINTS).astype(np.int64))
        true, false = true[kept], false[kept]
    return false / max(int((~wanted).sum()), 1), true / max(int(wanted.sum()), 1)


def reliability(labels: Sequence[str], shares: NDArray[np.float32], truth: NDArray[Any]) -> Figure:
    """The share of rows that are of a class, against its mean probability, in bins of equally many rows.

    The class is the second of two, or of several the most probable one of each row.

    Args:
        labels: The names of the classes.
        shares: The probability of each class, (rows, classes).
        truth: The index of the class of each row.
    """
    figure, axes = _figure()
    chosen = np.ones(len(truth), np.int64) if len(labels) == 2 else shares.argmax(axis=1)
    mean, found = shares_of_bins(shares[np.arange(len(truth)), chosen], truth == chosen)
    axes.plot([0, 1], [0, 1], "--", color=_GREY, linewidth=1.0, label="calibrated")
    name = plain(labels[1], 18) if len(labels) == 2 else "most probable class"
    axes.plot(mean, found, "o-", color=COLOURS[0], linewidth=1.6, markersize=4, label=name)
    axes.set(xlabel="mean probability", ylabel="share of rows of the class")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def shares_of_bins(
    share: NDArray[np.float32], wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean probability and the share of hits in bins of neighbouring probabilities with equally many rows."""
    order = np.argsort(share, kind="stable")
    parts = np.array_split(order, min(_MOST_BINS, max(len(order) // _LEAST_ROWS, 1)))
    means = [(float(share[part].astype(np.float64).mean()), float(wanted[part].mean())) for part in parts]
    mean, found = np.array(means).T
    return mean, found


def predicted_against_actual(name: str, predicted: NDArray[Any], actual: NDArray[Any], seed: int) -> tuple[Figure, int]:
    """A point for each row, or for as many rows as can be told apart, and the number of points."""
    figure, axes = _figure()
    if len(actual) > _MOST_POINTS:
        kept = np.random.default_rng(seed).permutation(len(actual))[:_MOST_POINTS]
        predicted, actual = predicted[kept], actual[kept]
    low, high = float(min(predicted.min(), actual.min())), float(max(predicted.max(), actual.max()))
    axes.plot([low, high], [low, high], "--", color=_GREY, linewidth=1.0, label="right")
    axes.scatter(predicted, actual, s=10, alpha=0.5 if len(actual) > 200 else 0.8, color=COLOURS[0], linewidth=0)
    axes.set(xlabel=f"predicted {plain(name, 24)}", ylabel=f"actual {plain(name, 24)}")
    axes.locator_params(nbins=5)  # so that seven digits have room side by side
    axes.ticklabel_format(scilimits=(-3, 7))
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure, len(actual)


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure as Made

    figure = Made(figsize=(4.6, 4.0), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
