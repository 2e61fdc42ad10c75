"""Hyper-parameter search with cross-validation: spaces, strategies, pruning, parallel trials, nothing lost.

This file lists the public names and computes nothing; the modules load when they are first touched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastreg.search.assess import cross_validate, nested_cross_validate
    from fastreg.search.bayesian import Bayesian
    from fastreg.search.cross_validation import GroupKFold, HoldOut, KFold, RepeatedKFold, TimeSeriesSplit
    from fastreg.search.ensemble import Ensemble
    from fastreg.search.halving import ASHA, Hyperband, SuccessiveHalving
    from fastreg.search.pruning import FullBudget, MedianPruner, Schedule
    from fastreg.search.ray_executor import RayExecutor
    from fastreg.search.results import Trial
    from fastreg.search.search import BayesianSearch, GridSearch, QuasiRandomSearch, RandomSearch, Search
    from fastreg.search.space import Choice, Integer, LogUniform, Space, Uniform, When, Widths
    from fastreg.search.strategies import Grid, QuasiRandom, Random, Strategy

__all__ = [
    "ASHA",
    "Bayesian",
    "BayesianSearch",
    "Choice",
    "Ensemble",
    "FullBudget",
    "Grid",
    "GridSearch",
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
    "RayExecutor",
    "RepeatedKFold",
    "Schedule",
    "Search",
    "Space",
    "Strategy",
    "SuccessiveHalving",
    "TimeSeriesSplit",
    "Trial",
    "Uniform",
    "When",
    "Widths",
    "cross_validate",
    "nested_cross_validate",
]

# The module that each name lives in.
_HOMES = {
    name: module
    for module, names in {
        "assess": ("cross_validate", "nested_cross_validate"),
        "bayesian": ("Bayesian",),
        "cross_validation": ("GroupKFold", "HoldOut", "KFold", "RepeatedKFold", "TimeSeriesSplit"),
        "ensemble": ("Ensemble",),
        "halving": ("ASHA", "Hyperband", "SuccessiveHalving"),
        "pruning": ("FullBudget", "MedianPruner", "Schedule"),
        "ray_executor": ("RayExecutor",),
        "results": ("Trial",),
        "search": ("BayesianSearch", "GridSearch", "QuasiRandomSearch", "RandomSearch", "Search"),
        "space": ("Choice", "Integer", "LogUniform", "Space", "Uniform", "When", "Widths"),
        "strategies": ("Grid", "QuasiRandom", "Random", "Strategy"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fastreg.search' has no attribute {name!r}")
    value = getattr(import_module(f"fastreg.search.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
