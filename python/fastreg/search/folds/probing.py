"""Finds the names of the scores that a callable returns as a dict, before the first trial.

The table, the journal and the pruner need these names. A network is asked without training; an estimator must be fitted
for it, on the training rows of the first fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastreg.model.model import Model
from fastreg.search.folds.building import make_model
from fastreg.search.folds.cross_validation import take
from fastreg.search.folds.evaluation import Context, fit_estimator, prepared
from fastreg.search.folds.scoring import Scoring, parts_of

__all__ = ["probed"]


def probed(context: Context, samples: Sequence[Mapping[str, Any]]) -> Scoring:
    """The scores of a search: those in the dict that its callable returns, or the scores as they are.

    Args:
        context: The context, whose scores may be one callable.
        samples: Parameters from the space, of which the first that can be trained and scored is used. If none can,
            the trials of the search tell why.

    Raises:
        ValueError: If the dict is empty.
        TypeError: If one of its keys is not a string.
    """
    scoring = context.scorers
    if scoring.several or scoring.scorers[0].kind != "callable":
        return scoring
    for params in samples:
        try:
            value = _returned(context, params)
        except Exception:  # other parameters may do, and each trial records its own error
            continue
        return parts_of(scoring.scorers[0], value) if isinstance(value, Mapping) else scoring
    return scoring


def _returned(context: Context, params: Mapping[str, Any]) -> Any:
    """What the callable returns for a model with these parameters."""
    function = context.scorers.scorers[0].function
    assert function is not None
    model, arguments = make_model(context.build, params, context.seed)
    fold = prepared(context, 0)
    if isinstance(model, Model):
        model.build(np.shape(fold.x)[1:])
    else:
        fit_estimator(context, model, fold, {**context.fit_arguments, **arguments})
    return function(model, take(fold.x, fold.scored), take(context.y, fold.scored))
