"""A warning about features whose spreads are too different for training.

The initial weights of a network suit features of about the same scale. If one column has a standard deviation of 2,000
and another of 2, training follows the wide one only, or diverges, and nothing else tells the user. A few rows are
enough to detect this.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.data.frames import Names
from fastreg.model.graphs import Flat

# The largest ratio of two spreads that is passed over.
_RATIO = 1e3

# The largest standard deviation that is passed over, whatever those of the others: what harms is the wide column. A
# narrow one beside those of a common scale trains as if it were missing, as the rim of blurred images does. No column
# of pixels is wider than half of 255.
_WIDEST = 128

# The number of values that are examined, in evenly spaced rows, and the smallest and largest number of these rows.
_VALUES = 200_000
_ROWS = (100, 1000)

# A column counts for no narrower than this share of its range: that of a rare value (a pixel that is hardly ever set, a
# rare category) has a small standard deviation, and does no harm.
_SHARE_OF_RANGE = 1 / 8

# Columns whose ranges are smaller, by themselves or beside their largest magnitudes, are constant but for rounding:
# float32 keeps seven digits.
_NOISE = 1e-7
_RELATIVE_NOISE = 1e-6

# Layers whose outputs do not have the spreads of their inputs.
_SCALES = ("BatchNormalization", "LayerNormalization", "Normalization", "Embedding", "CategoryEncoding", "TableInput")

# What to do about it in a model.
_ADVICE = (
    "Standardise x, with scikit-learn's StandardScaler or preprocess='standard' in a search, or put "
    "layers.BatchNormalization() first"
)

# Columns of each kind that the message names.
_SHOWN = 3


def warn_of_spreads(
    x: NDArray[Any],
    rows: NDArray[np.uint32] | None,
    names: Names | None,
    label: str = "x",
    advice: str = _ADVICE,
) -> None:
    """Warns if the standard deviations of two columns of x differ by more than a factor of 1,000, one being above 128.

    Silent for bytes and bools, which share one scale.

    Args:
        x: Features of an input that :func:`meets_dense`.
        rows: Those of x that count; None is all.
        names: Of the columns, for the message.
        label: What the message calls x.
        advice: What the message says to do.
    """
    if x.dtype.kind != "f":
        return
    step = _step(x, rows)
    sample = x[::step] if rows is None else x[rows[::step]]
    low, high = sample.min(axis=0).astype(np.float64), sample.max(axis=0).astype(np.float64)
    spans = high - low
    (varying,) = (spans > np.maximum(_NOISE, _RELATIVE_NOISE * np.maximum(-low, high))).nonzero()
    # No standard deviation is above half of its range.
    if len(varying) < 2 or spans[varying].max() / 2 <= max(_WIDEST, _RATIO * _SHARE_OF_RANGE * spans[varying].min()):
        return
    deviations = np.std(sample[:, varying], axis=0, dtype=np.float64)
    widths = np.maximum(deviations, _SHARE_OF_RANGE * spans[varying])
    if deviations.max() <= max(_WIDEST, _RATIO * widths.min()):
        return
    order = np.argsort(-deviations, kind="stable")
    wide = [i for i in order if deviations[i] > max(_WIDEST, _RATIO * widths.min())]
    narrow = [i for i in np.argsort(widths, kind="stable") if deviations.max() > _RATIO * widths[i]]

    def told(indices: list[Any]) -> str:
        shown = [
            f"{names[varying[i]]!r} ({deviations[i]:.2g})" if names else f"{varying[i]} ({deviations[i]:.2g})"
            for i in indices[:_SHOWN]
        ]
        return ", ".join(shown + ["..."] * (len(indices) > _SHOWN))

    warn_at_caller(
        f"{label}: the spreads of the features differ by more than {_RATIO:g}, which trains badly: columns with the "
        f"largest standard deviations: {told(wide)}; with the smallest: {told(narrow)}. {advice}"
    )


def _step(x: NDArray[Any], rows: NDArray[np.uint32] | None) -> int:
    """The distance between the rows that are examined."""
    most: int = min(max(_VALUES // x.shape[1], _ROWS[0]), _ROWS[1])
    return -(-(len(x) if rows is None else len(rows)) // most)


def are_narrow(x: NDArray[Any], rows: NDArray[np.uint32] | None) -> bool:
    """Whether all features that are examined are so small that :func:`warn_of_spreads` cannot have anything to say.

    No standard deviation is above the largest magnitude. Looking for that takes one pass over the rows. ``x`` is as
    :func:`fastreg.data.arrays.features` returns it.
    """
    return x.dtype.kind != "f" or _core.rows_within(x, rows, _step(x, rows), _WIDEST)


def meets_dense(flat: Flat, n_inputs: int = 1, index: int = 0) -> bool:
    """Whether a dense layer gets an input as it is, with nothing in between that makes its scale another.

    Args:
        flat: The layers of a model as C++ has them.
        n_inputs: The number of its inputs.
        index: Which input it is.
    """
    raw = {index}
    for i, (layer, values) in enumerate(flat.nodes):
        kind = flat.configs[layer]["type"]
        if raw.isdisjoint(values) or kind in _SCALES:
            continue
        if kind == "Dense":
            return True
        raw.add(n_inputs + i)
    return False  # nothing is trained that could suffer


def warn_at_caller(message: str) -> None:
    """Warns at the first line that is not of this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "fastreg":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
