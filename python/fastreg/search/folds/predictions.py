"""What a trained model predicts for the scored rows of a fold: the outputs of a network, an estimator's probabilities.

Knows models and rows; no scores and no searches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.search.folds.cross_validation import Rows, take

__all__ = ["of_several", "outputs"]


def outputs(model: Any, x: Any, rows: Rows) -> NDArray[Any] | None:
    """The outputs of a model for some rows, or the probabilities of an estimator if it has them.

    None if an estimator has several outputs, with an array of probabilities for each.
    """
    predict = getattr(model, "predict_proba", None) or model.predict
    found = predict(take(x, rows))
    return None if of_several(found) else np.asarray(found)


def of_several(found: Any) -> bool:
    """Whether what an estimator predicts is a list of arrays, one for each of its outputs."""
    return isinstance(found, list) and len(found) > 0 and np.ndim(found[0]) == 2
