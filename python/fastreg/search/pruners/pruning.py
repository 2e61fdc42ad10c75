"""Schedules that train every trial to the end or stop it at a bad epoch: which trial runs next, and how far.

A schedule is a state machine without threads or clocks. ``next`` gives a job that may start now, or None; ``done``
takes what came of one, in any order. With a strategy that learns, and wherever earlier trials decide about later ones,
trial t is proposed when the trials up to t - lag were told and no later one was: so the trials and their verdicts
depend on the seed and the scores alone, never on the number of workers or on which one was first. ``halving.py`` has
the schedules that go by rungs.

Notation: t is a trial's number, e an epoch counted from 1, f a fold.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, check_int
from fastreg.search.space.space import Params
from fastreg.search.strategy.strategies import Direction, Strategy

__all__ = ["FullBudget", "Job", "MedianPruner", "Outcome", "Schedule", "Thresholds"]

# A trial of an earlier search: number, parameters, score, state, budget; as Strategy.tell takes them.
Evidence = tuple[int, Params, float | None, str, int | None]


@dataclass(frozen=True)
class Thresholds:
    """What the folds of a trial must have reached by each epoch.

    Attributes:
        values: Per fold, the threshold after each epoch, from the first. None applies where it is NaN, or beyond the
            end. A fold stops if its best score so far is strictly worse.
    """

    values: tuple[tuple[float, ...], ...]

    def of(self, fold: int) -> tuple[float, ...]:
        """Those of a fold; empty where the scores are only to be recorded."""
        return self.values[fold]


@dataclass(frozen=True)
class Job:
    """Train all folds of a trial from epoch ``start`` to ``stop``.

    Attributes:
        number: The trial's.
        params: Its parameters.
        start: Epochs trained before; 0 for a new trial.
        stop: Epochs trained after; None where the budget is the estimator's own.
        thresholds: When to stop a fold before that, which prunes the trial; None: its scores need no recording.
    """

    number: int
    params: Params
    start: int
    stop: int | None
    thresholds: Thresholds | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        state: ``"ok"``; ``"pruned"`` if a fold failed its thresholds; ``"diverged"``; ``"failed"``.
        score: Mean of the folds' scores in its natural direction; None unless the state is "ok".
        budget: Epochs trained, the most of any fold; below the job's ``stop`` if every fold stopped early by itself.
        curves: Per fold, the score after epoch 1, 2, ... (all epochs of the trial, not of the job alone); None where
            the folds have no curves.
    """

    state: str
    score: float | None
    budget: int | None
    curves: list[list[float]] | None = None


class Schedule:
    """Base of the schedules.

    Attributes:
        n_asked: Trials proposed.
        n_running: Jobs given out that are not done.
        exhausted: Whether the strategy has no point left.

    Example:
        The loop that a schedule is made for, with one worker:

        >>> from fastreg.search import Space
        >>> from fastreg.search.pruners.pruning import FullBudget, Outcome
        >>> from fastreg.search.strategy.strategies import Grid
        >>> strategy, schedule = Grid(), FullBudget()
        >>> strategy.begin(Space({"x": [3.0, 1.0, 2.0]}), seed=0, direction="min")
        >>> schedule.begin(strategy, n_trials=None, epochs=None, direction="min", n_folds=1)
        >>> while (job := schedule.next()) is not None:
        ...     schedule.done(job, Outcome("ok", score=job.params["x"], budget=None))
        >>> schedule.finished
        True
        >>> schedule.settled()
        [0, 1, 2]
    """

    #: False where the jobs depend on which worker is first.
    repeatable = True

    def begin(
        self,
        strategy: Strategy,
        n_trials: int | None,
        epochs: int | None,
        direction: Direction,
        n_folds: int,
        evidence: Sequence[Evidence] = (),
        first_number: int = 0,
    ) -> None:
        """Starts, or starts anew.

        Args:
            strategy: Begun with its space.
            n_trials: Most trials; None: until the space is exhausted.
            epochs: Full budget; None where it is the estimator's own.
            direction: ``"max"`` or ``"min"``, of the score.
            n_folds: Folds of a trial.
            evidence: What an earlier search over part of the space found: the strategy is told it before all else.
            first_number: Number of the first trial, above those of the evidence.

        Raises:
            ValueError: If the schedule needs trials or epochs that are not given.
        """
        self.strategy = strategy
        self.n_trials = n_trials
        self.epochs = epochs
        self.direction = direction
        self.n_folds = n_folds
        self.n_asked = 0
        self.n_running = 0
        self.exhausted = False
        self._next_number = self._told = first_number
        self._untold: dict[int, tuple[Params, Outcome]] = {}
        self._pruned: set[int] = set()
        self._settled: list[int] = []
        self._begin()
        for number, params, score, state, budget in evidence:
            strategy.tell(number, params, score, state, budget)

    def next(self) -> Job | None:
        """A job that may start now; None: nothing can before another job is done, or ever again (``finished``)."""
        job = self._next()
        self.n_running += job is not None
        return job

    def done(self, job: Job, outcome: Outcome) -> None:
        """Takes what came of a job."""
        self.n_running -= 1
        self._done(job, outcome)

    @property
    def finished(self) -> bool:
        """Whether nothing runs and ``next`` has found that nothing can start any more."""
        raise NotImplementedError

    def pruned(self, number: int) -> bool:
        """Whether a trial was given up below the full budget."""
        return number in self._pruned

    def settled(self) -> list[int]:
        """The trials whose fate has become final since the last call, in trial order."""
        numbers, self._settled = sorted(self._settled), []
        return numbers

    def describe(self) -> dict[str, Any]:
        """The schedule as JSON."""
        return {"type": type(self).__name__}

    def _begin(self) -> None:
        """Prepares for the first job."""

    def _next(self) -> Job | None:
        raise NotImplementedError

    def _done(self, job: Job, outcome: Outcome) -> None:
        raise NotImplementedError

    @property
    def _may_ask(self) -> bool:
        """Whether there may be a point to propose."""
        return not self.exhausted and (self.n_trials is None or self.n_asked < self.n_trials)

    def _ask(self, lag: int | None) -> tuple[int, Params] | None:
        """Number and parameters of the next trial. None: not yet, or no point is left (``exhausted``).

        With a lag, trial t waits for the trials up to t - lag, which are told now and no later one is.
        """
        number = self._next_number
        while lag is not None and self._told <= number - lag:
            if self._told not in self._untold:
                return None
            self._tell_next()
        params = self.strategy.ask(number)
        if params is None:
            self.exhausted = True
            return None
        self.n_asked += 1
        self._next_number += 1
        return number, params

    def _report(self, number: int, params: Params, outcome: Outcome, lag: int | None) -> None:
        """Keeps what the strategy is to be told of a trial until its turn comes, which is at once without a lag."""
        self._untold[number] = (params, outcome)
        while lag is None and self._told in self._untold:
            self._tell_next()

    def _tell_next(self) -> None:
        params, outcome = self._untold.pop(self._told)
        self._tell(self._told, params, outcome)
        self._told += 1

    def _tell(self, number: int, params: Params, outcome: Outcome) -> None:
        self.strategy.tell(number, params, outcome.score, outcome.state, outcome.budget)


class FullBudget(Schedule):
    """Every trial is trained to the end.

    Args:
        lag: With a strategy that learns, trial t is proposed from the results of trials 0 to t - lag; at least 1. So
            many trials can run at once; with other strategies, any number.

    Raises:
        ValueError: If ``lag < 1``.
    """

    def __init__(self, lag: int = 8) -> None:
        self.lag = check_int(type(self).__name__, "lag", lag, AT_LEAST_ONE)

    def describe(self) -> dict[str, Any]:
        """The schedule as JSON."""
        return super().describe() | {"lag": self.lag}

    @property
    def finished(self) -> bool:
        """Whether nothing runs and ``next`` has found that nothing can start any more."""
        return self.n_running == 0 and not self._may_ask

    @property
    def _waits(self) -> int | None:
        return self.lag if self.strategy.adaptive else None

    def _next(self) -> Job | None:
        asked = self._ask(self._waits) if self._may_ask else None
        return None if asked is None else Job(*asked, 0, self.epochs, self._thresholds())

    def _done(self, job: Job, outcome: Outcome) -> None:
        if outcome.state == "pruned":
            self._pruned.add(job.number)
        self._settled.append(job.number)
        self._report(job.number, job.params, outcome, self._waits)

    def _thresholds(self) -> Thresholds | None:
        return None


class MedianPruner(FullBudget):
    """Stops a fold whose best score so far is worse than the median of what earlier trials had by then, and its trial.

    The threshold of trial t, fold f and epoch e is the median, over the trials 0 to t - lag that were trained to the
    end, of the best score of fold f in epochs 1 to e; one that stopped early by itself keeps its best. (Golovin et al.,
    "Google Vizier", KDD 2017, take the median of running averages.) A fold is compared with the same fold, since folds
    differ in difficulty. A pruned trial has no score that could be compared, and the strategy is told none.

    Args:
        n_startup_trials: Trials that must have been trained to the end first, at least 1.
        n_warmup_epochs: Epochs in which no fold is stopped.
        interval: Epochs from one look to the next, the first being at epoch ``n_warmup_epochs + 1``; none is at the
            last epoch, where nothing is left to be saved.
        lag: As in FullBudget, and for every strategy: at most so many trials run at once.

    Raises:
        ValueError: If an argument is out of range; in ``begin``, if there are no epochs.

    Example:
        >>> from fastreg.search import Random, Space, Uniform
        >>> from fastreg.search.pruners.pruning import MedianPruner, Outcome
        >>> strategy, schedule = Random(), MedianPruner(n_startup_trials=1, n_warmup_epochs=1, lag=1)
        >>> strategy.begin(Space({"x": Uniform(0, 1)}), seed=0, direction="max")
        >>> schedule.begin(strategy, n_trials=2, epochs=4, direction="max", n_folds=1)
        >>> schedule.done(schedule.next(), Outcome("ok", score=0.9, budget=4, curves=[[0.5, 0.7, 0.6, 0.9]]))
        >>> schedule.next().thresholds.values
        ((nan, 0.7, 0.7),)
    """

    def __init__(self, n_startup_trials: int = 5, n_warmup_epochs: int = 5, interval: int = 1, lag: int = 8) -> None:
        super().__init__(lag)
        self.n_startup_trials = check_int("MedianPruner", "n_startup_trials", n_startup_trials, AT_LEAST_ONE)
        self.n_warmup_epochs = check_int("MedianPruner", "n_warmup_epochs", n_warmup_epochs, NON_NEGATIVE)
        self.interval = check_int("MedianPruner", "interval", interval, AT_LEAST_ONE)

    def describe(self) -> dict[str, Any]:
        """The schedule as JSON."""
        names = ("n_startup_trials", "n_warmup_epochs", "interval")
        return super().describe() | {name: getattr(self, name) for name in names}

    @property
    def _waits(self) -> int | None:
        return self.lag

    def _begin(self) -> None:
        if self.epochs is None:
            raise ValueError("MedianPruner: needs epochs, which an estimator that decides them itself does not have")
        self._n_whole = 0
        # Per fold and epoch that is looked at, in order of size: the best scores so far of the trials that count.
        looks = range(self.n_warmup_epochs + 1, self.epochs, self.interval)
        self._bests: list[dict[int, list[float]]] = [{epoch: [] for epoch in looks} for _ in range(self.n_folds)]

    def _tell(self, number: int, params: Params, outcome: Outcome) -> None:
        if outcome.state == "pruned":
            outcome = Outcome("pruned", None, None)
        elif outcome.state == "ok" and outcome.curves is not None:
            self._n_whole += 1
            for bests, curve in zip(self._bests, outcome.curves, strict=True):
                for epoch, best in zip(bests, self._best_so_far(curve, bests), strict=False):
                    insort(bests[epoch], best)
        super()._tell(number, params, outcome)

    def _best_so_far(self, curve: list[float], epochs: dict[int, Any]) -> Iterator[float]:
        better = max if self.direction == "max" else min
        worst = -math.inf if self.direction == "max" else math.inf
        best, reached = worst, 0
        for epoch in epochs:
            best = better([best, *(value for value in curve[reached:epoch] if value == value)])
            reached = epoch
            yield best

    def _thresholds(self) -> Thresholds | None:
        if self._n_whole < self.n_startup_trials:
            return Thresholds(((),) * self.n_folds)
        assert self.epochs is not None
        return Thresholds(
            tuple(tuple(_median(bests.get(epoch, [])) for epoch in range(1, self.epochs)) for bests in self._bests)
        )


def _median(ordered: list[float]) -> float:
    """The middle of sorted numbers, the mean of the middle two; NaN if there are none."""
    n = len(ordered)
    return 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2]) if n else math.nan
