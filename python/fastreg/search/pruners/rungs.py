r"""Shared by the pruners with rungs: many trials get a small budget, the best of them a larger one, and so on.

Notation: :math:`R` is the full budget in epochs, :math:`r` the smallest budget, :math:`\eta` the factor, k a rung, n
the number of trials. A trial is compared only with trials of the same rung, which have the same budget. Of equal trials
the one with the lower number ranks first. A trial that diverged or failed ranks last and is never promoted. A trial
that stopped early by itself in every fold is not trained again: it keeps its score on higher rungs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from fastreg.internal.checks import AT_LEAST_ONE, check_int
from fastreg.search.pruners.trial_schedule import Job, JobOutcome, TrialSchedule
from fastreg.search.space.space import Params

__all__ = ["Engine", "Entry", "Rungs"]


class Rungs(TrialSchedule):
    """Base of the pruners with rungs: arguments, ranks, and an engine that decides which trial is promoted when."""

    def __init__(self, min_epochs: int, factor: int, lag: int) -> None:
        owner = type(self).__name__
        self.min_epochs = check_int(owner, "min_epochs", min_epochs, AT_LEAST_ONE)
        self.factor = check_int(owner, "factor", factor, ("be >= 2", lambda v: v >= 2))
        self.lag = check_int(owner, "lag", lag, AT_LEAST_ONE)

    def describe(self) -> dict[str, Any]:
        """The schedule as JSON."""
        return super().describe() | {"min_epochs": self.min_epochs, "factor": self.factor, "lag": self.lag}

    @property
    def finished(self) -> bool:
        """Whether nothing runs and ``next`` has found that nothing can start any more."""
        return self.n_running == 0 and self._engine.closed

    def _begin(self) -> None:
        owner = type(self).__name__
        if self.epochs is None:
            raise ValueError(f"{owner}: needs epochs, which an estimator that decides them itself does not have")
        if self.min_epochs > self.epochs:
            raise ValueError(f"{owner}: min_epochs must be <= epochs, got {self.min_epochs} and {self.epochs}")
        self._engine = self._make_engine(self.epochs)

    def _make_engine(self, epochs: int) -> Engine:
        raise NotImplementedError

    def _next(self) -> Job | None:
        return self._engine.next()

    def _done(self, job: Job, outcome: JobOutcome) -> None:
        if outcome.state == "ok" and outcome.score is None:
            raise ValueError(f"{type(self).__name__}: an outcome that is ok must have a score, trial {job.number}")
        key = math.inf
        if outcome.state == "ok" and outcome.score is not None:
            key = -outcome.score if self.direction == "max" else outcome.score
        assert job.stop is not None
        ended = outcome.budget is not None and outcome.budget < job.stop
        self._engine.done(Entry(key, job.number, job.params, outcome, job.stop, ended))

    def _levels(self, epochs: int) -> int:
        r""":math:`\lfloor \log_\eta (R / r) \rfloor`, without rounding."""
        level = 0
        while self.min_epochs * self.factor ** (level + 1) <= epochs:
            level += 1
        return level

    def _at_rung(self, entry: Entry) -> JobOutcome:
        """The result of a trial on a rung for the strategy. Below the full budget it is "pruned", with its score."""
        below = entry.outcome.state == "ok" and entry.stop != self.epochs
        return replace(entry.outcome, state="pruned", curves=None) if below else replace(entry.outcome, curves=None)

    # For the engine.

    @property
    def may_ask(self) -> bool:
        """Whether there may be a point to propose."""
        return self._may_ask

    def ask(self, lag: int | None) -> tuple[int, Params] | None:
        """Number and parameters of the next trial, which waits for those up to ``lag`` before it; None: not now."""
        return self._ask(lag)

    def report(self, entry: Entry, lag: int | None) -> None:
        """Keeps the result of a trial on a rung until the strategy may be told it."""
        self._report(entry.number, entry.params, self._at_rung(entry), lag)

    def tell(self, entry: Entry) -> None:
        """Tells the strategy the result of a trial on a rung."""
        self._tell(entry.number, entry.params, self._at_rung(entry))

    def tell_all_kept(self) -> None:
        """Tells the strategy the results that :meth:`report` still keeps."""
        while self._told < self._next_number:
            self._tell_next()

    def settle(self, entry: Entry, pruned: bool) -> None:
        """The fate of a trial is final."""
        if pruned and entry.outcome.state == "ok":
            self._pruned.add(entry.number)
        self._settled.append(entry.number)


@dataclass(frozen=True, order=True)
class Entry:
    """A trial on a rung. Ordered best first: by key, the score with the sign for which less is better, then number."""

    key: float
    number: int
    params: Params = field(compare=False)
    outcome: JobOutcome = field(compare=False)
    stop: int = field(compare=False)
    ended: bool = field(compare=False)

    @property
    def good(self) -> bool:
        """Whether it may be promoted."""
        return self.outcome.state == "ok"


class Engine(Protocol):
    """Who is promoted when."""

    @property
    def closed(self) -> bool:
        """Whether nothing can start any more."""

    def next(self) -> Job | None:
        """As of a TrialSchedule."""

    def done(self, entry: Entry) -> None:
        """Takes a trial that has reached the rung its job went to."""
