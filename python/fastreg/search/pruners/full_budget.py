"""Trains every trial to the end, as a search without a pruner does."""

from __future__ import annotations

from typing import Any

from fastreg.internal.checks import AT_LEAST_ONE, check_int
from fastreg.search.pruners.trial_schedule import Job, JobOutcome, Thresholds, TrialSchedule

__all__ = ["FullBudget"]


class FullBudget(TrialSchedule):
    """Every trial is trained to the end.

    Args:
        lag: With a strategy that learns, trial t is proposed from the results of trials 0 to t - lag, so at most
            ``lag`` trials run at the same time. At least 1. With other strategies, any number of trials can run.

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

    def _done(self, job: Job, outcome: JobOutcome) -> None:
        if outcome.state == "pruned":
            self._pruned.add(job.number)
        self._settled.append(job.number)
        self._report(job.number, job.params, outcome, self._waits)

    def _thresholds(self) -> Thresholds | None:
        return None
