"""Bayesian optimisation by the samplers of Optuna, an optional package (Akiba et al., KDD 2019).

A study in memory holds the results that the strategy has been told. A leaf of the space is a parameter of the study,
with its path as name. Optuna's global settings (verbosity, handlers) stay as they are.
"""

from __future__ import annotations

import importlib
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastreg.internal.checks import AT_LEAST_ONE, check_choice, check_int
from fastreg.internal.extras import needs
from fastreg.search.space.space import Leaf, Params, params_key
from fastreg.search.strategy.strategies import Strategy, TrialGenerator

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

__all__ = ["Bayesian"]

# The packages that a sampler needs in addition to Optuna.
_NEEDS = {"tpe": (), "gp": ("scipy", "torch"), "cmaes": ("cmaes",)}
# Proposals of the sampler for one trial that may be refused or known, before a random one is taken.
_ATTEMPTS = 16


class Bayesian(Strategy):
    r"""Proposes the most promising point, given the results of earlier trials.

    It needs Optuna, which the extra ``bayesian`` installs. Each trial t gets a new sampler, whose seed depends on
    (seed, t) only. Conditional parameters are parameters of the study that only some trials have.

    Args:
        sampler: ``"tpe"``, tree-structured Parzen estimators (Bergstra et al., NIPS 2011), which takes any space;
            ``"gp"``, a Gaussian process (needs PyTorch too), for few trials that take long; ``"cmaes"``, covariance
            matrix adaptation (Hansen 2016), for many trials of numbers alone, where other parameters are drawn at
            random; or a function from a seed to an Optuna sampler.
        n_startup_trials: Trials at random before the sampler learns, at least 1. Not used with a function.

    Raises:
        ValueError: If the sampler is not known.
        ImportError: In ``begin``, if a package is not installed.

    Example:
        >>> from fastreg.search import Space, Uniform
        >>> from fastreg.search.strategy.bayesian import Bayesian
        >>> strategy = Bayesian(n_startup_trials=5)
        >>> strategy.begin(Space({"x": Uniform(-1, 1)}), seed=0, direction="min")
        >>> for number in range(25):
        ...     params = strategy.ask(number)
        ...     strategy.tell(number, params, params["x"] ** 2, "ok", None)
        >>> abs(strategy.ask(25)["x"]) < 0.5
        True
    """

    adaptive = True

    def __init__(self, sampler: str | Callable[[int], BaseSampler] = "tpe", n_startup_trials: int = 10) -> None:
        if not callable(sampler):
            check_choice("Bayesian", "sampler", sampler, tuple(_NEEDS))
        self.sampler = sampler
        self.n_startup_trials = check_int("Bayesian", "n_startup_trials", n_startup_trials, AT_LEAST_ONE)

    def describe(self) -> dict[str, Any]:
        """The strategy as JSON; a function appears by its name."""
        sampler = self.sampler
        name = sampler if isinstance(sampler, str) else getattr(sampler, "__qualname__", type(sampler).__qualname__)
        return super().describe() | {"sampler": name, "n_startup_trials": self.n_startup_trials}

    def _begin(self) -> None:
        for package in ("optuna", *(_NEEDS[self.sampler] if isinstance(self.sampler, str) else ())):
            try:
                importlib.import_module(package)
            except ImportError as error:
                what = "Bayesian" if package == "optuna" else f"Bayesian({self.sampler!r})"
                raise ImportError(needs(what, "bayesian", package)) from error
        import optuna

        for leaf in self.space.leaves:
            if leaf.drawn is not None and not (leaf.drawn.continuous or leaf.drawn.whole):
                raise ValueError(f"Bayesian: {leaf.path} must have ppf and cdf, which {leaf.drawn!r} has not")
        self._seeds = TrialGenerator(self.seed)
        self._distributions = [_distribution(leaf) for leaf in self.space.leaves]
        with silent():
            self._study = optuna.create_study(
                storage=optuna.storages.InMemoryStorage(),
                sampler=optuna.samplers.RandomSampler(seed=0),
                pruner=optuna.pruners.NopPruner(),
                direction="maximize" if self.direction == "max" else "minimize",
            )
        self._trials: dict[int, Trial] = {}

    def _propose(self, number: int) -> Params | None:
        from optuna.trial import TrialState

        space = self.space
        if space.constraint is None and space.size is not None and len(self._proposed) >= space.size:
            return None
        for attempt in range(_ATTEMPTS):
            self._study.sampler = self._make_sampler(self._seeds.seed_of(number, attempt))
            trial = self._study.ask()
            params = space.build(lambda i, trial=trial: self._suggest(trial, i))  # type: ignore[misc]
            if space.allows(params) and not (space.may_repeat and params_key(params) in self._proposed):
                self._trials[number] = trial
                return params
            self._study.tell(trial, state=TrialState.FAIL)
        rng = self._seeds.of(number, _ATTEMPTS)
        return self._first_new(lambda: space.draw(rng))

    def _learn(self, number: int, params: Params, score: float | None, state: str, budget: int | None) -> None:
        from optuna.trial import TrialState, create_trial

        usable = score is not None and math.isfinite(score) and state in ("ok", "pruned")
        step = 0 if budget is None else budget
        complete = usable and state == "ok"
        trial = self._trials.pop(number, None)
        if trial is not None:
            if usable and not complete and score is not None:
                trial.report(score, step)
            self._study.tell(trial, score if complete else None, TrialState.COMPLETE if complete else TrialState.PRUNED)
            return
        # The trial was not proposed here, was drawn at random, or was told before at a smaller budget.
        numbers = self.space.locate(params)
        if numbers is None:
            raise ValueError(f"Bayesian: the parameters of trial {number} are no point of the space, got {params}")
        paths = {self.space.leaves[i].path: i for i in numbers}
        self._study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if complete else TrialState.PRUNED,
                value=score if usable else None,
                params={path: _as_suggested(self.space.leaves[i], numbers[i]) for path, i in paths.items()},
                distributions={path: self._distributions[i] for path, i in paths.items()},
                intermediate_values={step: score} if usable and not complete and score is not None else None,
            )
        )

    def _suggest(self, trial: Trial, index: int) -> float | int:
        leaf = self.space.leaves[index]
        if leaf.drawn is not None:
            drawn: float | int = leaf.drawn.at(trial.suggest_float(leaf.path, 0.0, 1.0))
            return drawn
        if leaf.size is None:
            return trial.suggest_float(leaf.path, leaf.low, leaf.high, log=leaf.kind == "log")
        if leaf.kind == "category":
            return trial.suggest_categorical(leaf.path, range(leaf.size))
        return trial.suggest_int(leaf.path, int(leaf.low), int(leaf.high), log=leaf.kind == "intlog", step=leaf.step)

    def _make_sampler(self, seed: int) -> BaseSampler:
        from optuna import samplers

        if not isinstance(self.sampler, str):
            return self.sampler(seed)
        n = self.n_startup_trials
        if self.sampler == "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=n)
        if self.sampler == "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=n, warn_independent_sampling=False)
        return samplers.CmaEsSampler(seed=seed, n_startup_trials=n, warn_independent_sampling=False)


def _distribution(leaf: Leaf) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if leaf.drawn is not None:
        return FloatDistribution(0.0, 1.0)
    if leaf.size is None:
        return FloatDistribution(leaf.low, leaf.high, log=leaf.kind == "log")
    if leaf.kind == "category":
        return CategoricalDistribution(range(leaf.size))
    return IntDistribution(int(leaf.low), int(leaf.high), log=leaf.kind == "intlog", step=leaf.step)


def _as_suggested(leaf: Leaf, number: float | int) -> float | int:
    """The number of a leaf as the study has it, which has that of another library's distribution in [0, 1]."""
    unit: float | int = number if leaf.drawn is None else leaf.drawn.unit_of(number)
    return unit


@contextmanager
def silent() -> Iterator[None]:
    """Keeps the line about the new study out of the log."""
    logger = logging.getLogger("optuna.storages._in_memory")
    drop = _Drop()
    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)


class _Drop(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return False
