"""The median rule: a fold that is worse than most trials were by that epoch is stopped, and its trial with it.

Notation: t is a trial's number, e an epoch counted from 1, f a fold.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterator
from typing import Any

from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, check_int
from fastreg.search.pruners.full_budget import FullBudget
from fastreg.search.pruners.trial_schedule import JobOutcome, Thresholds
from fastreg.search.space.space import Params

__all__ = ["MedianPruner"]


class MedianPruner(FullBudget):
    """Prunes a trial if the best score of a fold is worse than the median of earlier trials after the same epoch.

    The threshold of trial t, fold f and epoch e is the median, over those of the trials 0 to t - lag that were trained
    to the end, of the best score of fold f in epochs 1 to e. A trial that stopped early by itself keeps its best score.
    (Golovin et al., "Google Vizier", KDD 2017, use the median of running averages.) A fold is compared with the same
    fold of other trials, because folds differ in difficulty. A pruned trial has no score that can be compared, and the
    strategy is told none.

    Args:
        n_startup_trials: The number of trials that must be trained to the end first, at least 1.
        n_warmup_epochs: The number of epochs in which no fold is stopped.
        interval: The number of epochs from one check to the next. The first is at epoch ``n_warmup_epochs + 1``; there
            is none at the last epoch.
        lag: As in FullBudget, but for every strategy: at most this many trials run at the same time.

    Raises:
        ValueError: If an argument is out of range; in ``begin``, if there are no epochs.

    Example:
        >>> from fastreg.search import Random, Space, Uniform
        >>> from fastreg.search.pruners.median import MedianPruner
        >>> from fastreg.search.pruners.trial_schedule import JobOutcome
        >>> strategy, schedule = Random(), MedianPruner(n_startup_trials=1, n_warmup_epochs=1, lag=1)
        >>> strategy.begin(Space({"x": Uniform(0, 1)}), seed=0, direction="max")
        >>> schedule.begin(strategy, n_trials=2, epochs=4, direction="max", n_folds=1)
        >>> schedule.done(schedule.next(), JobOutcome("ok", score=0.9, budget=4, curves=[[0.5, 0.7, 0.6, 0.9]]))
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

    def _tell(self, number: int, params: Params, outcome: JobOutcome) -> None:
        if outcome.state == "pruned":
            outcome = JobOutcome("pruned", None, None)
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
