"""The checked parts of a search with its data: space, strategy, pruner, context and seed.

All errors in arguments are found here, before the first trial. This module writes nothing and trains nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import isinf, isnan, prod
from typing import Any

import numpy as np

from fastreg.data.frames import feature_names
from fastreg.internal.checks import (
    FINITE,
    NON_NEGATIVE,
    POSITIVE,
    SEED_LIMIT,
    check_bool,
    check_int,
    check_real,
    describe,
)
from fastreg.internal.whole_files import FilePath, path_text
from fastreg.search.folds import dry_run
from fastreg.search.folds.building import fold_seed, is_estimator, make_model
from fastreg.search.folds.evaluation import Context
from fastreg.search.folds.model_fingerprint import differing, same, settings_of_steps, with_settings
from fastreg.search.folds.scoring import Scoring
from fastreg.search.folds.stratification import class_values
from fastreg.search.found.results import Trial
from fastreg.search.journal import Journal, recorded_seed
from fastreg.search.options import SearchOptions
from fastreg.search.pruners.full_budget import FullBudget
from fastreg.search.pruners.median import MedianPruner
from fastreg.search.pruners.rungs import Rungs
from fastreg.search.pruners.trial_schedule import TrialSchedule
from fastreg.search.run import trial_of_records
from fastreg.search.space.space import Space, When
from fastreg.search.space.tree import text_of
from fastreg.search.space.widening import check_told_apart
from fastreg.search.strategy.strategies import Grid, Strategy
from fastreg.search.values import encode, fingerprint
from fastreg.utils.seeds import draw_seed

__all__ = ["Plan", "are_classes", "check_models", "known_of", "prepare", "take_evidence"]

# Points of the space that build is tried with before the search begins, at most.
_SAMPLES = 16
# Points that are drawn to find the most epochs, where they are the trials' own and a pruner goes by them.
_DRAWN = 64


@dataclass(frozen=True)
class Plan:
    """A search that is ready to run."""

    space: Space
    strategy: Strategy
    schedule: TrialSchedule
    context: Context
    seed: int
    initial: Sequence[dict[str, Any]] = ()

    def total(self, n_trials: int | None) -> int | None:
        """Trials there will be at most; None: not known."""
        known = [count for count in (n_trials, self.space.size) if count is not None]
        return min(known) if known else None

    @property
    def replays(self) -> bool:
        """Whether the same trials would be proposed again, whatever the order in which workers finish."""
        return self.schedule.repeatable or not self.strategy.adaptive

    def header(self, x: object, y: object) -> dict[str, Any]:
        """The header that a journal must have."""
        context, chain = self.context, self.context.preprocess
        extra: dict[str, Any] = {}
        if isinstance(context.error_score, str) or not isnan(context.error_score):
            extra["error_score"] = encode(context.error_score)
        if self.initial:
            extra["initial"] = encode(self.initial)
        folds = [rows for pair in context.folds for rows in pair]
        return {
            "seed": self.seed,
            "space": self.space.describe(),
            "strategy": self.strategy.describe(),
            "schedule": self.schedule.describe(),
            "folds": {"number": len(context.folds), "rows": fingerprint(*folds)},
            "data": {"x": fingerprint(x), "y": fingerprint(y)},
            "scoring": context.scorers.directions,
            "model": text_of(context.build) if is_estimator(context.build) else None,
            "fit": encode(with_settings(context.fit_arguments)),
            "preprocess": None if chain is None else {**encode(chain), **settings_of_steps(chain.steps)},
            "early_stopping_on": context.early_stopping_on,
            "return_train_score": context.return_train_score,
            **extra,
        }


def prepare(options: SearchOptions, x: Any, y: Any, groups: Any, fit_arguments: Mapping[str, Any]) -> Plan:
    """Checks the arguments of a search against the data.

    Raises:
        ValueError: If an argument is out of range, or a name is unknown.
        TypeError: If an argument is of the wrong kind.
    """
    space = _space(options)
    _check_limits(options)
    if options.journal is not None:
        check_told_apart(space.alternatives)
    if options.pruner is not None and not isinstance(options.pruner, TrialSchedule):
        hint = "; did you forget the parentheses?" if isinstance(options.pruner, type) else ""
        raise TypeError(f"search: pruner must be one of fastreg.search, got {describe(options.pruner)}{hint}")
    # Copies: a search may be fitted again, or by several threads.
    strategy = copy.deepcopy(options.make_strategy())
    endless = space.size is None and options.n_trials is None and not isinstance(strategy, Grid)
    if endless and options.time_limit is None and options.target_score is None:
        raise ValueError("search: n_trials must be given for a space without end, or time_limit or target_score")
    schedule = copy.deepcopy(options.pruner) if options.pruner is not None else FullBudget()
    seed = _seed(options)
    if isinstance(strategy, Grid):
        strategy.begin(space, seed, "max")  # refuses what is no grid
    context = dry_run.make_context(
        options.build,
        _samples(space, seed, strategy),
        x,
        y,
        cv=5 if options.cv is None else options.cv,
        groups=groups,
        scoring=options.scoring,
        fit_arguments=fit_arguments,
        preprocess=options.preprocess,
        seed=seed,
        return_train_score=options.return_train_score,
        early_stopping_on=options.early_stopping_on,
        curves=isinstance(schedule, MedianPruner),
        journal=options.journal is not None,
        spreads_known=options.spreads_known,
        gates=_gates(space),
        error_score=options.error_score,
        probes=options.refit is not True,
    )
    if isinstance(options.refit, str):
        context = _led_by(context, options.refit)
    if isinstance(schedule, Rungs):
        context = _of_longest(context, islice(_draws(space, seed, False), _DRAWN))
    plan = Plan(space, strategy, schedule, context, seed, _initial(options.initial, space))
    begin(plan, options.n_trials)
    return plan


def _seed(options: SearchOptions) -> int:
    if options.seed is not None:
        return check_int("search", "seed", options.seed, NON_NEGATIVE, SEED_LIMIT)
    recorded = recorded_seed(options.journal) if options.resume and options.journal is not None else None
    return draw_seed() if recorded is None else recorded


def are_classes(options: SearchOptions, y: Any, seed: int) -> bool | None:
    """Whether the targets of the search's models are classes; None if the targets themselves decide."""
    space = _space(options)
    return dry_run.are_classes(dry_run.try_out(options.build, _samples(space, seed, options.make_strategy()), seed), y)


def _space(options: SearchOptions) -> Space:
    if not isinstance(options.space, Space):
        return Space(options.space, options.constraint)
    if options.constraint is not None:
        raise ValueError("search: give the constraint to the Space or to the search, not to both")
    return options.space


def _initial(given: Any, space: Space) -> list[dict[str, Any]]:
    """The parameters that are tried first, as points of the space."""
    if given is None:
        return []
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence):
        raise TypeError(f"search: initial must be a list of dicts of parameters, got {describe(given)}")
    points: list[dict[str, Any]] = []
    for params in given:
        if not isinstance(params, Mapping):
            raise TypeError(f"search: initial must be a list of dicts of parameters, got {describe(params)} in it")
        point = space.completed(params)
        if point is None:
            raise ValueError(f"search: initial must be points of the space, but {dict(params)} is none of {space!r}")
        if not space.allows(point):
            raise ValueError(f"search: initial must be points that the constraint allows, got {dict(params)}")
        points.append(point)
    return points


def _gates(space: Space) -> set[str]:
    return {value.name for a in space.alternatives for value in a.values() if isinstance(value, When)}


def _samples(space: Space, seed: int, strategy: Strategy) -> list[dict[str, Any]]:
    """Points to try ``build`` with, the first of a grid or drawn ones; first one for each dict of a list."""
    return list(islice(_draws(space, seed, isinstance(strategy, Grid)), _SAMPLES))


def _draws(space: Space, seed: int, enumerated: bool) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    names: set[frozenset[str]] = set()
    for alternative in space.alternatives if len(space.alternatives) > 1 else ():
        if frozenset(alternative) not in names:
            names.add(frozenset(alternative))
            yield from islice(_points(Space(alternative, space.constraint), rng, enumerated), 1)
    yield from _points(space, rng, enumerated)


def _points(space: Space, rng: np.random.Generator, enumerated: bool) -> Iterator[dict[str, Any]]:
    while not enumerated:
        try:
            yield space.sample(rng)
        except ValueError:
            if space.size is None:
                raise
            enumerated = True  # the constraint leaves so few that draws do not find them
    yield from space.grid()


def _check_limits(options: SearchOptions) -> None:
    refit = () if isinstance(options.refit, str) or callable(options.refit) else ("refit",)
    for name in ("resume", "return_train_score", "keep_models", *refit):
        check_bool("search", name, getattr(options, name))
    if not isinstance(options.verbose, bool):
        check_int("search", "verbose", options.verbose, NON_NEGATIVE)
    for name in ("time_limit", "target_score", "max_failures", "n_trials"):
        value = getattr(options, name)
        if value is None:
            continue
        if name == "time_limit":
            check_real("search", name, value, POSITIVE)
        elif name == "target_score":
            check_real("search", name, value, FINITE)
        else:
            check_int("search", name, value, ("be >= 1", lambda v: v >= 1) if name == "n_trials" else NON_NEGATIVE)
    score = options.error_score
    if score != "raise":
        number = isinstance(score, (int, float, np.integer, np.floating)) and not isinstance(score, bool)
        if not number or isinf(float(score)):
            raise ValueError(f"search: error_score must be NaN, a finite number or 'raise', got {describe(score)}")
    if options.resume and options.journal is None:
        raise ValueError("search: resume=True needs the journal to go on from, got journal=None")


def _of_longest(context: Context, points: Iterator[dict[str, Any]]) -> Context:
    """The context whose full budget is that of the points with most epochs, if ``build`` returns epochs of its own."""
    found = [context.epochs]
    for params in points:
        try:
            _, arguments = make_model(context.build, params, context.seed)
        except Exception:  # each trial records its own error
            continue
        if "epochs" in arguments:
            found.append(arguments["epochs"])
        elif len(found) == 1:  # as good as always: they are those of the search
            return context
    known = [epochs for epochs in found if isinstance(epochs, (int, np.integer))]
    return replace(context, epochs=max(map(int, known))) if known else context


def _led_by(context: Context, metric: str) -> Context:
    """The context with another metric as the one that decides."""
    scorers = context.scorers.scorers
    chosen = [scorer for scorer in scorers if scorer.name == metric]
    if not chosen:
        known = ", ".join(context.scorers.names)
        raise ValueError(
            f"search: refit must be True, False, a function or a metric of scoring, which has {known}; got {metric!r}"
        )
    others = tuple(scorer for scorer in scorers if scorer.name != metric)
    return replace(context, scorers=Scoring((chosen[0], *others), context.scorers.several))


def begin(plan: Plan, n_trials: int | None, **evidence: Any) -> None:
    """Begins the strategy and the pruner, or begins them again with evidence."""
    context = plan.context
    direction: Any = context.scorers.direction
    plan.strategy.begin(plan.space, plan.seed, direction, plan.initial)
    plan.schedule.begin(plan.strategy, n_trials, context.epochs, direction, len(context.folds), **evidence)


def take_evidence(plan: Plan, journal: Journal, n_trials: int | None) -> list[Trial]:
    """The trials of older, narrower searches that the journal has; strategy and schedule begin with them."""
    context = plan.context
    read = (trial_of_records(records, context.scorers.names, len(context.folds)) for records in journal.older())
    # Of a trial that went on, the last budget that all its folds came to.
    older = list({trial.number: trial for trial in read if trial is not None}.values())
    for trial in older:
        if trial.state == "ok" and trial.budget != context.epochs:
            trial.state = "pruned"
        point = plan.space.locate(trial.params)
        if point is not None:  # objects instead of the texts that the journal has of them
            trial.params = plan.space.build(point.__getitem__)
    # A trial that was pruned within a fold has no score.
    known = [(t.number, t.params, None if isnan(t.score) else t.score, t.state, t.budget) for t in older]
    more = None if n_trials is None else max(0, n_trials - len(older))
    begin(plan, more, evidence=known, first_number=journal.first_number)
    return older


def check_models(plan: Plan, path: FilePath, records: list[dict[str, Any]]) -> None:
    """Compares the models that ``build`` returns with those of a journal, if the journal has their fingerprints.

    Raises:
        ValueError: If ``build`` returns another model, or none, for the parameters of a trial in the journal.
    """
    if plan.context.fingerprint is None:
        return
    name = path_text("search", "journal", path)
    known: dict[tuple[int, str], Any] = {}
    for record in records:
        if record.get("fingerprint") is not None:
            known.setdefault((record["trial"], record["fingerprint"]), record["params"])
    for (number, recorded), written in known.items():
        point = plan.space.locate(written)
        if point is None:
            continue
        params = plan.space.build(point.__getitem__)
        error: Exception | None = None
        try:
            model, arguments = make_model(plan.context.build, params, fold_seed(plan.seed, number, 0))
            given = plan.context.fingerprint_of(model, arguments) or ""
        except Exception as raised:
            error, given = raised, f"an error ({type(raised).__name__}: {raised})"
        if error is not None or not same(given, recorded):
            parts = "" if error is not None else differing(given, recorded)
            raise ValueError(
                f"journal: {name} has scores of trial {number}, of another model than build now gives for "
                f"its parameters {params}{f', with other {parts}' if parts else ''}: its fingerprint is {recorded}, "
                f"build gives {given}; undo the change of build, or begin a new journal"
            ) from error


def known_of(context: Context, x: Any) -> dict[str, Any]:
    """What the data tell about the best model, under scikit-learn's names; see ``found/scikit_learn.py``."""
    known: dict[str, Any] = {}
    names = feature_names(x, "X")
    if names is not None:
        known["feature_names_in_"] = np.array(names, dtype=object)
    shape = context.x.shape if hasattr(context.x, "shape") else np.shape(context.x)
    if len(shape) > 1:
        known["n_features_in_"] = prod(shape[1:])
    if context.targets is not None and context.labels is not None:
        names = context.classes
        known["classes_"] = class_values(context.y) if names is None else np.array(names, dtype=object)
    return known
