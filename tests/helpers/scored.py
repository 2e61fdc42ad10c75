"""Outputs, targets and weights of rows that metrics are tested on: by their kind, with equal outputs among them."""

from __future__ import annotations

import numpy as np

KINDS = (
    "numbers",
    "one number",
    "positive",
    "yes",
    "several yes",
    "classes",
    "labels",
    "two labels",
    "scores",
    "copies",
)


def scored(kind, rows=97, seed=0):
    """(y, t): float32 outputs (rows, k), and targets of the same shape, or int labels (rows,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, rows)
    if kind in ("numbers", "one number"):
        y = rng.normal(size=(rows, 4 if kind == "numbers" else 1))
        t = y + 0.5 * rng.normal(size=y.shape) + 0.25
    elif kind == "positive":
        y = rng.uniform(0.1, 4.0, (rows, 3))
        t = rng.poisson(y).astype(float)
    elif kind in ("yes", "several yes"):
        t = rng.integers(0, 2, (rows, 1 if kind == "yes" else 3)).astype(float)
        y = np.round(np.clip(0.3 * t + rng.uniform(0.0, 0.7, t.shape), 0.0, 1.0) * 64) / 64
    elif kind in ("classes", "labels"):
        z = rng.normal(size=(rows, 5)) + 1.5 * np.eye(5)[labels]
        y = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        t = np.eye(5)[labels] if kind == "classes" else labels
    elif kind == "two labels":
        t = rng.integers(0, 2, rows)
        p = rng.integers(0, 16, rows) / 16
        y = np.stack([1.0 - p, p], axis=1)
    elif kind == "scores":
        t = rng.integers(0, 2, (rows, 4)).astype(float)
        y = rng.normal(size=t.shape) + t
    else:
        t = rng.integers(0, 3, (rows, 2)).astype(float)
        y = np.where(rng.random(t.shape) < 0.7, t, 1.0)
    return y.astype(np.float32), t if np.ndim(t) == 1 else t.astype(np.float32)


def weights(rows=97, seed=1):
    """Weights of rows, some of them 0."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(rows) < 0.2, 0.0, rng.integers(1, 9, rows) / 4).astype(np.float32)


def goes(row, y, t):
    """Whether a metric of the oracle is of such outputs and targets."""
    targets = "labels" if np.ndim(t) == 1 else "matrix"
    return row.targets in (targets, "any") and row.outputs in (None, y.shape[1]) and row.least_outputs <= y.shape[1]
