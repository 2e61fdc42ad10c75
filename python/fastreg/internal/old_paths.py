"""The paths that modules had before they moved. An import of an old path gives the same classes and functions.

Programs and pickles contain these paths. ``fastreg/__init__.py`` uses this module for modules that were not found
elsewhere, so that it is not loaded before an old path is used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["find_spec", "load", "old_name"]

# Old path: new path, both without "fastreg.".
_MOVED = {
    "_absent": "internal.absent",
    "_assignments": "model.assignments",
    "_bound": "model.views",
    "_checks": "internal.checks",
    "_data": "data.arrays",
    "_describe": "internal.description",
    "_extras": "internal.extras",
    "_files": "internal.whole_files",
    "_fit": "model.fitting",
    "_forks": "internal.forks",
    "_frames": "data.frames",
    "_keras": "internal.keras_arguments",
    "_pickling": "model.pickling",
    "_pictures": "internal.pictures",
    "_serving": "data.serving",
    "_spread": "model.spreads",
    "_stack": "model.core",
    "_typos": "internal.typos",
    "io": "model.files",
    "progress": "internal.progress",
    "search._adapter": "search.folds.adapter",
    "search._options": "search.options",
    "search.bayesian": "search.strategy.bayesian",
    "search.building": "search.folds.building",
    "search.cross_validation": "search.folds.cross_validation",
    "search.distributions": "search.space.distributions",
    "search.dry_run": "search.folds.dry_run",
    "search.ensemble": "search.found.ensemble",
    "search.evaluation": "search.folds.evaluation",
    "search.executors": "search.workers.executors",
    "search.halving": "search.pruners.halving",
    "search.model_fingerprint": "search.folds.model_fingerprint",
    "search.plots": "search.found.plots",
    "search.preprocessing": "search.folds.preprocessing",
    "search.processes": "search.workers.processes",
    "search.pruning": "search.pruners.trial_schedule",
    "search.ray_executor": "search.workers.ray",
    "search.remote": "search.workers.remote",
    "search.report": "search.found.report",
    "search.results": "search.found.results",
    "search.scoring": "search.folds.scoring",
    "search.strategies": "search.strategy.strategies",
    "search.stratification": "search.folds.stratification",
    "search.ticks": "search.found.ticks",
    "search.tree": "search.space.tree",
    "search.watchers": "search.folds.watchers",
    "search.widening": "search.space.widening",
    "table.tune": "tune.command",
    "table_encoder": "table.encoder",
    "table_model": "table.model",
}

# For each old path, the names that moved to another module than the rest or have changed, as "new path:name". Modules
# that did not move use old_name in their __getattr__.
_NAMES = {
    "_bound": {"BoundLayer": "model.sequential:bound_layer", "layer_names": "model.core:layer_names"},
    "_stack": {"Stack": "model.sequential:Sequential"},
    "demo": {"Outcome": "demo:TrainedNetwork"},
    "io": {"load": "model.loading:load", "read": "model.loading:read"},
    "search._options": {"Options": "search.options:SearchArguments"},
    "search.evaluation": {"Limits": "search.folds.evaluation:ThresholdsOfFolds"},
    "search.executors": {
        "InlineRunner": "search.workers.threads:InlineRunner",
        "LibraryThreads": "search.workers.runner:LibraryThreads",
        "Runner": "search.workers.runner:Runner",
        "ThreadRunner": "search.workers.threads:ThreadRunner",
    },
    "search.found": {"Found": "search.found.fitted:FittedSearch"},
    "search.journal": {"decode_float": "search.values:decode_float", "fingerprint": "search.values:fingerprint"},
    "search.processes": {"check_picklable": "search.workers.runner:check_picklable"},
    "search.pruning": {
        "FullBudget": "search.pruners.full_budget:FullBudget",
        "MedianPruner": "search.pruners.median:MedianPruner",
        "Outcome": "search.pruners.trial_schedule:JobOutcome",
        "Schedule": "search.pruners.trial_schedule:TrialSchedule",
    },
    "search.run": {"Limits": "search.run:SearchLimits"},
    "tune": {"Options": "tune.command:TuneOptions", "Outcome": "tune.command:TuneResult"},
}


class _OldPath(ModuleType):
    """A module at its old path. Reading or setting a name acts on the module at its new path."""

    def __getattr__(self, name: str) -> Any:
        module = _present(self)
        apart = _NAMES.get(_path(self), {})
        if name == "__all__":
            known = getattr(module, "__all__", (known for known in vars(module) if not known.startswith("_")))
            return [*dict.fromkeys((*known, *apart))]
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)
        return _found(apart[name]) if name in apart else getattr(module, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("__"):  # set by the import system
            super().__setattr__(name, value)
        else:
            setattr(_present(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_present(self), name)

    def __dir__(self) -> list[str]:
        return sorted(self.__all__)


def _present(old: ModuleType) -> ModuleType:
    """The module at its new path."""
    return import_module(f"fastreg.{_MOVED[_path(old)]}")


def _found(place: str) -> Any:
    path, _, name = place.partition(":")
    return getattr(import_module(f"fastreg.{path}"), name)


def old_name(module: str, name: str) -> Any:
    """The object that a module had under a name that moved. Raises AttributeError if it never had that name."""
    apart = _NAMES.get(module.removeprefix("fastreg."), {})
    if name not in apart:
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
    return _found(apart[name])


def _path(module: ModuleType) -> str:
    return module.__name__.removeprefix("fastreg.")


class _Loader:
    """A loader in the form of the import system that creates an :class:`_OldPath`."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        return _OldPath(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Does nothing, because such a module has no code of its own."""


def find_spec(name: str) -> ModuleSpec | None:
    """The import specification of a module that moved; None for any other name."""
    return ModuleSpec(name, _Loader) if name.removeprefix("fastreg.") in _MOVED else None  # type: ignore[arg-type]


def load(package: str, name: str) -> ModuleType | None:
    """The module that was in a package under this name; None if there was none."""
    path = f"{package}.{name}"
    return import_module(path) if find_spec(path) else None
