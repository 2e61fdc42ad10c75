"""The float64 oracle of the layer that reads the columns of a table: their features by definition, then a product.

As reference.py, whose Dense it derives from, this imports nothing of fastreg. A column is ("plain", count),
("numeric", centre, scale, edges, missing) or ("categorical", levels).
"""

from __future__ import annotations

import numpy as np
import reference as ref


def numeric_features(x, centre, scale, edges, missing):
    """One row of features after the other: the softly limited number, a ramp over each bin, whether x is missing."""
    out = np.zeros((len(x), 1 + max(len(edges) - 1, 0) + missing))
    for row, value in zip(out, x, strict=True):
        if np.isnan(value):
            row[-1] = missing
            continue
        z = (value - centre) * scale
        row[0] = z / np.hypot(1.0, z / 3.0)
        for t in range(len(edges) - 1):
            row[1 + t] = min(max((value - edges[t]) / (edges[t + 1] - edges[t]), 0.0), 1.0)
    return out


def categorical_features(x, levels):
    """One column for each level, and one for everything else."""
    known = np.stack([x == level for level in levels], axis=1) if levels else np.zeros((len(x), 0), bool)
    return np.concatenate([known, ~known.any(axis=1, keepdims=True)], axis=1).astype(np.float64)


def features(columns, x):
    """The features of rows of codes."""
    found, begin = [], 0
    for kind, *settings in columns:
        if kind == "plain":
            found.append(x[:, begin : begin + settings[0]])
            begin += settings[0]
            continue
        of = numeric_features if kind == "numeric" else categorical_features
        found.append(of(x[:, begin], *settings))
        begin += 1
    return np.concatenate(found, axis=1)


class TableInput(ref.Dense):
    def __init__(self, units, columns, *settings):
        super().__init__(units, *settings)
        self.columns = columns

    def forward(self, x, training, mask_key):
        return super().forward(features(self.columns, x), training, mask_key)
