"""The results of a search under scikit-learn's names: ``cv_results_``, ``best_estimator_``, ``classes_`` and others.

They are views of what a search found; nothing is computed twice. This module needs no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import describe
from fastreg.model.model import Model
from fastreg.search.folds.scoring import Scoring
from fastreg.search.parameters import renamed

if TYPE_CHECKING:
    from fastreg.search.found.results import Trial

__all__ = ["OF_ESTIMATOR", "OF_MODEL", "VIEWS", "SearchNames", "SearchViews", "checked_index", "cv_results"]

# Views that need the model that is trained on all rows.
OF_MODEL = ("best_estimator_", "refit_time_")
VIEWS = (
    *OF_MODEL,
    *("cv_results_", "best_index_", "scorer_", "multimetric_", "classes_", "n_features_in_", "feature_names_in_"),
)
# Methods that a search has if its best estimator has them.
OF_ESTIMATOR = ("decision_function", "predict_log_proba", "score_samples", "transform", "inverse_transform")

# The columns of results_ that scikit-learn does not have.
_OWN_COLUMNS = ("trial", "budget", "epochs", "best_epoch", "seconds", "state", "error")


class SearchNames:
    """The results of a search under scikit-learn's names, beside those of :class:`fastreg.search.Search`.

    Where the best estimator has one of the methods ``decision_function``, ``predict_log_proba``, ``score_samples``,
    ``transform`` and ``inverse_transform``, the search has it, too; its input is transformed by ``best_preprocess_``.

    Attributes:
        cv_results_: The columns of ``results_`` that scikit-learn has, in its order and by its names. Scores are not
            negated, and rank 1 is the best in the direction of the metric.
        best_estimator_: ``best_model_``.
        best_index_: The row of the best trial in ``cv_results_`` and ``results_``.
        scorer_: A function ``scorer(model, X, y)`` that returns the score; with several metrics, a dict of functions.
        multimetric_: Whether there are several metrics: ``scoring`` was a list or a dict, or its callable returned one.
        refit_time_: The seconds of training the best model.
        classes_: Those of the best estimator. For a network, the different targets in sorted order, if its loss treats
            targets as classes; one-hot rows are counted from 0.
        n_features_in_: The number of features.
        feature_names_in_: The names of the columns of ``X``, if all of them are strings.
    """

    cv_results_: dict[str, Any]
    best_estimator_: Any
    best_index_: int
    scorer_: Any
    multimetric_: bool
    refit_time_: float
    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    estimator: Any = renamed("build")
    param_grid: Any = renamed("space")
    param_distributions: Any = renamed("space")


class SearchViews:
    """Makes the views from the results that a fitted search has."""

    trials_: list[Trial]
    results_: dict[str, Any]
    best_trial_: Trial
    best_model_: Any
    refit_time_: float
    _scoring: Scoring
    # Older pickles do not have these. The latter is what the data told, which pickles leave out.
    multimetric_: bool = False
    _known: Mapping[str, Any] = MappingProxyType({})

    @property
    def cv_results_(self) -> dict[str, Any]:
        """The table by scikit-learn's names."""
        return cv_results(self.results_, self._scoring.names, self.multimetric_)

    @property
    def best_estimator_(self) -> Any:
        """The model that is trained on all rows."""
        return self.best_model_

    @property
    def best_index_(self) -> int:
        """The row of the best trial."""
        return next(i for i, trial in enumerate(self.trials_) if trial is self.best_trial_)

    @property
    def scorer_(self) -> Any:
        """A function for each metric."""
        scorers: dict[str, Callable[[Any, Any, Any], float]] = {
            scorer.name: partial(_score, Scoring((scorer,))) for scorer in self._scoring.scorers
        }
        return scorers if self.multimetric_ else next(iter(scorers.values()))

    @property
    def classes_(self) -> Any:
        """The classes of the best estimator, or of the targets that a network was trained on."""
        return self._of_model_or_data("classes_")

    @property
    def n_features_in_(self) -> Any:
        """The number of features."""
        return self._of_model_or_data("n_features_in_")

    @property
    def feature_names_in_(self) -> Any:
        """The names of the columns."""
        return self._of_model_or_data("feature_names_in_")

    def _of_model_or_data(self, name: str) -> Any:
        found = self._known.get(name)
        if found is None and "best_model_" in self.__dict__ and not isinstance(self.best_model_, Model):
            found = getattr(self.best_model_, name, None)
        if found is None:
            raise AttributeError(name)
        return found


def _score(scoring: Scoring, model: Any, x: Any, y: Any) -> float:
    """The one score of a model on some rows."""
    return scoring.score(model, x, y, np.arange(len(y), dtype=np.uint32))[scoring.primary]


def cv_results(results: Mapping[str, Any], metrics: tuple[str, ...], multimetric: bool) -> dict[str, Any]:
    """The columns of ``results_`` that scikit-learn has, under its names and in its order.

    Args:
        results: The columns.
        metrics: The names of the metrics.
        multimetric: Whether columns of scores end in ``_<metric>``, even if there is only one.
    """
    columns = {name: column for name, column in results.items() if name not in _OWN_COLUMNS}
    if multimetric and len(metrics) == 1:
        ends = ("_test_score", "_train_score")
        columns = {
            f"{name.removesuffix('score')}{metrics[0]}" if name.endswith(ends) else name: column
            for name, column in columns.items()
        }
    for name, column in columns.items():
        if name.startswith("param_") and all(type(value) is bool for value in column.compressed()):
            columns[name] = np.ma.MaskedArray(np.where(column.mask, False, column.data).astype(bool), column.mask)
    return columns


def checked_index(index: Any, n_trials: int) -> int:
    """What a function that was given as ``refit`` returned.

    Raises:
        TypeError: If it is no integer.
        ValueError: If no trial has this index.
    """
    if isinstance(index, (bool, np.bool_)) or not isinstance(index, (int, np.integer)):
        raise TypeError(f"search: the function given as refit must return an integer, got {describe(index)}")
    if not 0 <= index < n_trials:
        raise ValueError(f"search: the function given as refit must return an index in [0, {n_trials}), got {index}")
    return int(index)
