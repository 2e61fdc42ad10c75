"""Folds whose scores are not finite numbers: whether the model diverged, or the score is not defined for their rows.

The area under the ROC curve of rows of one class is such a score, as is the R² of a single row. Knows models, targets
and scores; no searches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastreg.model.model import Model
from fastreg.search.folds.cross_validation import Rows, take
from fastreg.search.folds.stratification import plain_values

__all__ = ["explain", "has_diverged"]


def has_diverged(model: Any, x: Any, rows: Rows) -> bool:
    """Whether the outputs of a network for some rows are not all finite. Other estimators are not asked."""
    if not isinstance(model, Model):
        return False
    outputs = model.predict(take(x, rows))
    parts = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, list) else [outputs]
    return not all(np.isfinite(part).all() for part in parts)


def explain(name: str, value: float, y: Any, rows: Rows, fold: int) -> str:
    """Says which score is not a finite number, and of which rows."""
    targets = plain_values(take(y, rows))
    same = len(targets) > 0 and bool((targets == targets[0]).all())
    alike = f", whose targets are all {targets[0].tolist()!r}" if same else ""
    kind = "NaN" if math.isnan(value) else str(value)
    count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    return f"scoring: {name} must be a finite number, got {kind} for the {count} of fold {fold}{alike}"
