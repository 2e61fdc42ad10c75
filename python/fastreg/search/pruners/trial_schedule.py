"""The base of the pruners, which decide which trial trains next and how far.

A schedule of trials is a state machine without threads or clocks. ``next`` returns a job that may start now, or None.
``done`` takes the results of jobs, in any order. With a strategy that learns, and wherever earlier trials decide about
later ones, trial t is proposed when the strategy has been told the results up to trial t - lag and no later ones.
Therefore the trials and the decisions depend on the seed and the scores alone, never on the number of workers or their
order.

Notation: t is the number of a trial, e an epoch counted from 1, f a fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastreg.search.space.space import Params
from fastreg.search.strategy.strategies import Direction, Strategy

__all__ = ["Job", "JobOutcome", "Thresholds", "TrialSchedule"]

# A trial of an earlier search: number, parameters, score, state, budget; as Strategy.tell takes them.
Evidence = tuple[int, Params, float | None, str, int | None]


@dataclass(frozen=True)
class Thresholds:
    """The scores that the folds of a trial must reach by each epoch.

    Attributes:
        values: For each fold, the threshold after each epoch. NaN or a missing threshold means that there is none. A
            fold stops if its best score is strictly worse.
    """

    values: tuple[tuple[float, ...], ...]

    def of(self, fold: int) -> tuple[float, ...]:
        """The thresholds of a fold; empty if its scores are only recorded."""
        return self.values[fold]


@dataclass(frozen=True)
class Job:
    """A job: train all folds of a trial from epoch ``start`` to ``stop``.

    Attributes:
        number: The number of the trial.
        params: Its parameters.
        start: The number of epochs trained before the job; 0 for a new trial.
        stop: The number of epochs trained after the job; None if the estimator decides.
        thresholds: The thresholds that stop a fold and prune the trial; None if its scores need not be recorded.
    """

    number: int
    params: Params
    start: int
    stop: int | None
    thresholds: Thresholds | None = None


@dataclass(frozen=True)
class JobOutcome:
    """The result of a job.

    Attributes:
        state: ``"ok"``; ``"pruned"`` if a fold failed its thresholds; ``"diverged"``; ``"unscored"``;
            ``"failed"``.
        score: The mean of the folds' scores in its natural direction; None unless the state is "ok".
        budget: The largest number of epochs that a fold was trained. It is less than the job's ``stop`` if every fold
            stopped early by itself.
        curves: For each fold, the score after epoch 1, 2, ... of the trial, not only of the job; None if the folds have
            no curves.
    """

    state: str
    score: float | None
    budget: int | None
    curves: list[list[float]] | None = None


class TrialSchedule:
    """Base of the schedules.

    Attributes:
        n_asked: Trials proposed.
        n_running: Jobs given out that are not done.
        exhausted: Whether the strategy has no point left.

    Example:
        The loop that a schedule is made for, with one worker:

        >>> from fastreg.search import Space
        >>> from fastreg.search.pruners.full_budget import FullBudget
        >>> from fastreg.search.pruners.trial_schedule import JobOutcome
        >>> from fastreg.search.strategy.strategies import Grid
        >>> strategy, schedule = Grid(), FullBudget()
        >>> strategy.begin(Space({"x": [3.0, 1.0, 2.0]}), seed=0, direction="min")
        >>> schedule.begin(strategy, n_trials=None, epochs=None, direction="min", n_folds=1)
        >>> while (job := schedule.next()) is not None:
        ...     schedule.done(job, JobOutcome("ok", score=job.params["x"], budget=None))
        >>> schedule.finished
        True
        >>> schedule.settled()
        [0, 1, 2]
    """

    #: False if the jobs depend on which worker finishes first.
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
        """Starts or restarts the schedule.

        Args:
            strategy: The strategy, which has begun with its space.
            n_trials: The largest number of trials; None: until the space is exhausted.
            epochs: The full budget; None if the estimator decides.
            direction: ``"max"`` or ``"min"``, the direction of better scores.
            n_folds: The number of folds of a trial.
            evidence: The results of an earlier search over a part of the space. The strategy is told them first.
            first_number: The number of the first trial, which is above those of the evidence.

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
        self._untold: dict[int, tuple[Params, JobOutcome]] = {}
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

    def done(self, job: Job, outcome: JobOutcome) -> None:
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

    def _done(self, job: Job, outcome: JobOutcome) -> None:
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

    def _report(self, number: int, params: Params, outcome: JobOutcome, lag: int | None) -> None:
        """Keeps the result of a trial until the strategy may be told it, which is at once without a lag."""
        self._untold[number] = (params, outcome)
        while lag is None and self._told in self._untold:
            self._tell_next()

    def _tell_next(self) -> None:
        params, outcome = self._untold.pop(self._told)
        self._tell(self._told, params, outcome)
        self._told += 1

    def _tell(self, number: int, params: Params, outcome: JobOutcome) -> None:
        self.strategy.tell(number, params, outcome.score, outcome.state, outcome.budget)
