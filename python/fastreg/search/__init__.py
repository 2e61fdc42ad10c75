"""Hyper-parameter search with cross-validation: spaces, strategies, pruning, parallel trials, nothing lost.

This file lists the public names and computes nothing; the modules load when they are first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastreg.diagnosis.curves import learning_curve, validation_curve
    from fastreg.search.assess import cross_validate, nested_cross_validate
    from fastreg.search.base import Search
    from fastreg.search.folds.cross_validation import (
        GroupKFold,
        HoldOut,
        KFold,
        RepeatedKFold,
        StratifiedGroupKFold,
        TimeSeriesSplit,
    )
    from fastreg.search.found.ensemble import Ensemble
    from fastreg.search.found.results import Trial
    from fastreg.search.out_of_fold import cross_val_predict, cross_val_score
    from fastreg.search.pruners.full_budget import FullBudget
    from fastreg.search.pruners.halving import ASHA, Hyperband, SuccessiveHalving
    from fastreg.search.pruners.median import MedianPruner
    from fastreg.search.pruners.trial_schedule import TrialSchedule
    from fastreg.search.scikit_learn import GridSearchCV, RandomizedSearchCV
    from fastreg.search.search import BayesianSearch, GridSearch, QuasiRandomSearch, RandomSearch
    from fastreg.search.space.space import Choice, Integer, LogUniform, Space, Uniform, When, Widths
    from fastreg.search.strategy.bayesian import Bayesian
    from fastreg.search.strategy.strategies import Grid, QuasiRandom, Random, Strategy
    from fastreg.search.workers.ray import RayExecutor

__all__ = [
    "ASHA",
    "Bayesian",
    "BayesianSearch",
    "Choice",
    "Ensemble",
    "FullBudget",
    "Grid",
    "GridSearch",
    "GridSearchCV",
    "GroupKFold",
    "HoldOut",
    "Hyperband",
    "Integer",
    "KFold",
    "LogUniform",
    "MedianPruner",
    "QuasiRandom",
    "QuasiRandomSearch",
    "Random",
    "RandomSearch",
    "RandomizedSearchCV",
    "RayExecutor",
    "RepeatedKFold",
    "Search",
    "Space",
    "Strategy",
    "StratifiedGroupKFold",
    "SuccessiveHalving",
    "TimeSeriesSplit",
    "Trial",
    "TrialSchedule",
    "Uniform",
    "When",
    "Widths",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "learning_curve",
    "nested_cross_validate",
    "validation_curve",
]

# The module that each name lives in.
_HOMES = {
    name: module
    for module, names in {
        "assess": ("cross_validate", "nested_cross_validate"),
        "strategy.bayesian": ("Bayesian",),
        "fastreg.diagnosis.curves": ("learning_curve", "validation_curve"),
        "folds.cross_validation": (
            *("GroupKFold", "HoldOut", "KFold", "RepeatedKFold", "StratifiedGroupKFold", "TimeSeriesSplit"),
        ),
        "out_of_fold": ("cross_val_predict", "cross_val_score"),
        "found.ensemble": ("Ensemble",),
        "pruners.halving": ("ASHA", "Hyperband", "SuccessiveHalving"),
        "pruners.full_budget": ("FullBudget",),
        "pruners.median": ("MedianPruner",),
        "pruners.trial_schedule": ("TrialSchedule",),
        "workers.ray": ("RayExecutor",),
        "found.results": ("Trial",),
        "base": ("Search",),
        "scikit_learn": ("GridSearchCV", "RandomizedSearchCV"),
        "search": ("BayesianSearch", "GridSearch", "QuasiRandomSearch", "RandomSearch"),
        "space.space": ("Choice", "Integer", "LogUniform", "Space", "Uniform", "When", "Widths"),
        "strategy.strategies": ("Grid", "QuasiRandom", "Random", "Strategy"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        from fastreg.internal.old_paths import load

        if name == "Schedule":  # its name before
            return __getattr__("TrialSchedule")
        if (module := load(__name__, name)) is not None:
            return module
        text = f"module 'fastreg.search' has no attribute {name!r}"
        if not name.startswith("_"):
            from fastreg.internal.checks import unknown_name

            text += unknown_name("search's name", name, __all__)
        raise AttributeError(text, name=name)
    home = _HOMES[name] if _HOMES[name].startswith("fastreg.") else f"fastreg.search.{_HOMES[name]}"
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
