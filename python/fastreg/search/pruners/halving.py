r"""Schedules that go by rungs: many trials get a small budget, the best of them more, and so on (successive halving).

Notation: :math:`R` full budget in epochs, :math:`r` smallest, :math:`\eta` factor, k a rung, n trials. A trial is
compared with trials of the same rung only, so at equal budgets; ties go by trial number, and a trial that diverged or
failed takes the last place and is never promoted. One that stopped early by itself in every fold does not train again:
it keeps its score on the rungs above.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from fastreg.internal.checks import AT_LEAST_ONE, check_bool, check_int
from fastreg.search.pruners.pruning import Job, Outcome, Schedule
from fastreg.search.space.space import Params

__all__ = ["ASHA", "Hyperband", "SuccessiveHalving"]


class _Rungs(Schedule):
    """What the schedules by rungs share: arguments, ranks, and an engine that says who is promoted when."""

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

    def _make_engine(self, epochs: int) -> _Engine:
        raise NotImplementedError

    def _next(self) -> Job | None:
        return self._engine.next()

    def _done(self, job: Job, outcome: Outcome) -> None:
        if outcome.state == "ok" and outcome.score is None:
            raise ValueError(f"{type(self).__name__}: an outcome that is ok must have a score, trial {job.number}")
        key = math.inf
        if outcome.state == "ok" and outcome.score is not None:
            key = -outcome.score if self.direction == "max" else outcome.score
        assert job.stop is not None
        ended = outcome.budget is not None and outcome.budget < job.stop
        self._engine.done(_Entry(key, job.number, job.params, outcome, job.stop, ended))

    def _levels(self, epochs: int) -> int:
        r""":math:`\lfloor \log_\eta (R / r) \rfloor`, without rounding."""
        level = 0
        while self.min_epochs * self.factor ** (level + 1) <= epochs:
            level += 1
        return level

    def _at_rung(self, entry: _Entry) -> Outcome:
        """What the strategy is told of a trial on a rung: below the full budget it counts as pruned, with its score."""
        below = entry.outcome.state == "ok" and entry.stop != self.epochs
        return replace(entry.outcome, state="pruned", curves=None) if below else replace(entry.outcome, curves=None)

    def _settle(self, entry: _Entry, pruned: bool) -> None:
        if pruned and entry.outcome.state == "ok":
            self._pruned.add(entry.number)
        self._settled.append(entry.number)


@dataclass(frozen=True, order=True)
class _Entry:
    """A trial on a rung. Ordered best first: by key, the score with the sign for which less is better, then number."""

    key: float
    number: int
    params: Params = field(compare=False)
    outcome: Outcome = field(compare=False)
    stop: int = field(compare=False)
    ended: bool = field(compare=False)

    @property
    def good(self) -> bool:
        """Whether it may be promoted."""
        return self.outcome.state == "ok"


class _Engine(Protocol):
    """Who is promoted when."""

    @property
    def closed(self) -> bool:
        """Whether nothing can start any more."""

    def next(self) -> Job | None:
        """As of a Schedule."""

    def done(self, entry: _Entry) -> None:
        """Takes a trial that has reached the rung its job went to."""


@dataclass
class _Bracket:
    """One synchronous successive halving, at the rung under way.

    Attributes:
        quota: Trials to propose; None: all there are.
        rungs: Epochs of each rung.
        level: The rung under way.
        waiting: Trials that are to be trained to it.
        running: How many are being trained to it.
        entries: Those that are done.
        climbers: The trials that left the first rung, at the last that they reached.
        reserves: By rung, the trials next to those that were promoted, as many: they go up if all of those fail.
    """

    quota: int | None
    rungs: list[int]
    level: int = 0
    n_asked: int = 0
    asking: bool = True
    closed: bool = False
    running: int = 0
    waiting: deque[_Entry] = field(default_factory=deque)
    entries: list[_Entry] = field(default_factory=list)
    climbers: dict[int, _Entry] = field(default_factory=dict)
    reserves: list[tuple[int, list[_Entry]]] = field(default_factory=list)


class _Synchronous:
    """Brackets one after the other; each promotes when a rung is complete.

    With a strategy that does not learn, a bracket begins when the one before proposes no more, which keeps the workers
    busy and changes no trial; with one that learns, when the one before is over.
    """

    def __init__(self, schedule: _Rungs, brackets: list[_Bracket]) -> None:
        self._schedule = schedule
        self._brackets = deque(brackets)
        self._home: dict[int, _Bracket] = {}
        self._lag = schedule.lag if schedule.strategy.adaptive else None

    @property
    def closed(self) -> bool:
        return not self._brackets

    def next(self) -> Job | None:
        for bracket in list(self._brackets):
            job = self._ask(bracket) if bracket.asking else None
            if job is None and not bracket.asking:
                job = self._resume(bracket)
            if job is not None:
                return job
            if bracket.asking or (self._lag is not None and not bracket.closed):
                return None
        return None

    def _ask(self, bracket: _Bracket) -> Job | None:
        schedule = self._schedule
        asked = schedule._ask(self._lag)
        if asked is None:
            if schedule.exhausted:
                bracket.asking = False
                self._promote_if_complete(bracket)
            return None
        number, params = asked
        bracket.n_asked += 1
        bracket.asking = bracket.n_asked != bracket.quota
        bracket.running += 1
        self._home[number] = bracket
        return Job(number, params, 0, bracket.rungs[0])

    def _resume(self, bracket: _Bracket) -> Job | None:
        if not bracket.waiting:
            return None
        entry = bracket.waiting.popleft()
        bracket.running += 1
        return Job(entry.number, entry.params, entry.stop, bracket.rungs[bracket.level])

    def done(self, entry: _Entry) -> None:
        bracket = self._home[entry.number]
        bracket.running -= 1
        bracket.entries.append(entry)
        if bracket.level == 0:
            self._schedule._report(entry.number, entry.params, self._schedule._at_rung(entry), self._lag)
        self._promote_if_complete(bracket)

    def _promote_if_complete(self, bracket: _Bracket) -> None:
        """Goes up a rung once all trials of one are done, and on while nobody has to train for the next one."""
        while not (bracket.asking or bracket.running or bracket.waiting or bracket.closed):
            entries, bracket.entries = sorted(bracket.entries), []
            if bracket.level > 0:
                bracket.climbers.update((entry.number, entry) for entry in entries)
            top = bracket.level == len(bracket.rungs) - 1
            good = [entry for entry in entries if entry.good]
            n_kept = 0 if top else max(1, len(entries) // self._schedule.factor)
            kept, reserve = good[:n_kept], good[n_kept : 2 * n_kept]
            for entry in [*good[2 * n_kept :], *(entry for entry in entries if not entry.good)]:
                self._schedule._settle(entry, pruned=not top)
            if reserve:
                bracket.reserves.append((bracket.level, reserve))
            if not kept and bracket.reserves and not (top and good):
                bracket.level, kept = bracket.reserves.pop()
            if not kept:
                self._close(bracket)
                return
            bracket.level += 1
            stop = bracket.rungs[bracket.level]
            bracket.entries = [replace(entry, stop=stop) for entry in kept if entry.ended]
            bracket.waiting.extend(sorted((entry for entry in kept if not entry.ended), key=lambda e: e.number))

    def _close(self, bracket: _Bracket) -> None:
        """Tells what became of the promoted trials, after all that the first rung has to tell."""
        bracket.closed = True
        self._brackets.remove(bracket)
        for _, reserve in bracket.reserves:
            for entry in reserve:
                self._schedule._settle(entry, pruned=True)
        if self._lag is None:
            return
        schedule = self._schedule
        while schedule._told < schedule._next_number:
            schedule._tell_next()
        for number, entry in sorted(bracket.climbers.items()):
            schedule._tell(number, entry.params, schedule._at_rung(entry))


@dataclass
class _Rung:
    """All trials that reached a rung, and those of them that may still be promoted; both best first."""

    stop: int
    reached: list[_Entry] = field(default_factory=list)
    open: list[_Entry] = field(default_factory=list)


class _Asynchronous:
    """Promotes the best trial of a rung as soon as it is in the top 1/factor of those that reached it so far.

    When no trial can be proposed any more and none has reached the full budget, the best of the highest rung goes up.
    """

    def __init__(self, schedule: _Rungs, rungs: list[int]) -> None:
        self._schedule = schedule
        self._rungs = [_Rung(stop) for stop in rungs]
        self.closed = False

    def next(self) -> Job | None:
        schedule = self._schedule
        job = self._promote_any()
        if job is None and schedule._may_ask:
            asked = schedule._ask(None)
            if asked is not None:
                job = Job(*asked, 0, self._rungs[0].stop)
        if job is None and schedule.n_running == 0:
            job = self._promote_last()
            if job is None:
                self._close()
        return job

    def _close(self) -> None:
        self.closed = True
        for rung in self._rungs:
            for entry in rung.open:
                self._schedule._settle(entry, pruned=True)
            rung.open = []

    def done(self, entry: _Entry) -> None:
        level = next(k for k, rung in enumerate(self._rungs) if rung.stop == entry.stop)
        self._schedule._tell(entry.number, entry.params, self._schedule._at_rung(entry))
        self._arrive(level, entry)

    def _arrive(self, level: int, entry: _Entry) -> None:
        rung = self._rungs[level]
        insort(rung.reached, entry)
        if entry.good and level < len(self._rungs) - 1:
            insort(rung.open, entry)
        else:
            self._schedule._settle(entry, pruned=False)

    def _promote_any(self) -> Job | None:
        """The highest rung that has one to promote does."""
        level = len(self._rungs) - 2
        while level >= 0:
            rung = self._rungs[level]
            if rung.open and bisect_left(rung.reached, rung.open[0]) < len(rung.reached) // self._schedule.factor:
                job = self._promote(level)
                if job is not None:
                    return job
                level = len(self._rungs) - 1  # one went up without training: the rungs above may have another now
            level -= 1
        return None

    def _promote_last(self) -> Job | None:
        while not any(entry.good for entry in self._rungs[-1].reached):
            level = next((k for k in range(len(self._rungs) - 2, -1, -1) if self._rungs[k].open), None)
            if level is None:
                return None
            job = self._promote(level)
            if job is not None:
                return job
        return None

    def _promote(self, level: int) -> Job | None:
        """The job that takes a rung's best open trial up; None if that has ended by itself, and is up at once."""
        rung, above = self._rungs[level], self._rungs[level + 1]
        entry = rung.open.pop(0)
        if entry.ended:
            self._arrive(level + 1, replace(entry, stop=above.stop))
            return None
        return Job(entry.number, entry.params, entry.stop, above.stop)


class SuccessiveHalving(_Rungs):
    r"""All trials train for :math:`r` epochs, the best :math:`1 / \eta` of them go on to :math:`r \eta`, and so on.

    The rungs are at :math:`r \eta^k` epochs for :math:`k = 0, ..., K - 1` and at :math:`R`, with
    :math:`K = \lfloor \log_\eta (R / r) \rfloor`; :math:`\max(1, \lfloor n_k / \eta \rfloor)` of the
    :math:`n_k` trials of a rung are promoted when the last of them is done (Jamieson and Talwalkar, "Non-stochastic
    best arm identification and hyperparameter optimization", AISTATS 2016). Should all of those diverge or fail later,
    as many of the next best go up in their place.

    Args:
        min_epochs: :math:`r`, in [1, epochs].
        factor: :math:`\eta`, at least 2.
        asynchronous: Promote whenever a worker is free, as :class:`ASHA` does. No worker waits, but which trials are
            promoted depends on which was done first, so the search is not repeatable (``repeatable`` is False).
        lag: With a strategy that learns, trial t is proposed from what trials 0 to t - lag reached on the first rung.

    Raises:
        ValueError: If an argument is out of range; in ``begin``, if there are no epochs, fewer than ``min_epochs``, or
            no number of trials while the space is infinite.

    Example:
        >>> from fastreg.search import Random, Space, Uniform
        >>> from fastreg.search.pruners.halving import SuccessiveHalving
        >>> from fastreg.search.pruners.pruning import Outcome
        >>> strategy, schedule = Random(), SuccessiveHalving(min_epochs=1, factor=3)
        >>> strategy.begin(Space({"x": Uniform(0, 1)}), seed=0, direction="min")
        >>> schedule.begin(strategy, n_trials=9, epochs=9, direction="min", n_folds=1)
        >>> jobs = []
        >>> while (job := schedule.next()) is not None:
        ...     jobs.append((job.start, job.stop))
        ...     schedule.done(job, Outcome("ok", job.params["x"], job.stop))
        >>> [(jobs.count(job), job) for job in sorted(set(jobs))]
        [(9, (0, 1)), (3, (1, 3)), (1, (3, 9))]
    """

    def __init__(self, min_epochs: int = 1, factor: int = 3, asynchronous: bool = False, lag: int = 8) -> None:
        super().__init__(min_epochs, factor, lag)
        self.asynchronous = check_bool(type(self).__name__, "asynchronous", asynchronous)
        self.repeatable = not self.asynchronous

    def describe(self) -> dict[str, Any]:
        """The schedule as JSON."""
        return super().describe() | {"type": "SuccessiveHalving", "asynchronous": self.asynchronous}

    def _make_engine(self, epochs: int) -> _Engine:
        rungs = [self.min_epochs * self.factor**k for k in range(self._levels(epochs))] + [epochs]
        if self.asynchronous:
            return _Asynchronous(self, rungs)
        if self.n_trials is None and self.strategy.space.size is None:
            raise ValueError("SuccessiveHalving: needs n_trials, since a rung of an infinite space is never complete")
        return _Synchronous(self, [_Bracket(self.n_trials, rungs)])


class ASHA(SuccessiveHalving):
    r"""Asynchronous successive halving (Li et al., "A system for massively parallel hyperparameter tuning", 2020).

    A trial is promoted as soon as it is among the best :math:`\lfloor n_k / \eta \rfloor` of the :math:`n_k` that
    have reached its rung so far, higher rungs first; a worker that finds none starts a new trial. Not repeatable: with
    several workers, the trials promoted depend on their speed, and a strategy that learns is told each as it ends. When
    the trials are used up and none has reached the full budget, the best of the highest rung goes up.

    Args:
        min_epochs: Epochs of the first rung, in [1, epochs].
        factor: :math:`\eta`, at least 2.

    Raises:
        ValueError: As SuccessiveHalving.
    """

    def __init__(self, min_epochs: int = 1, factor: int = 3) -> None:
        super().__init__(min_epochs, factor, asynchronous=True)


class Hyperband(_Rungs):
    r"""Brackets of successive halving, from many trials at a small budget to few at the full one.

    With :math:`S = \lfloor \log_\eta (R / r) \rfloor`, bracket :math:`s = S, ..., 0` has
    :math:`n_s = \lceil (S + 1) \eta^s / (s + 1) \rceil` trials, which start with :math:`R \eta^{-s}` epochs (rounded)
    and end with :math:`R` (Li et al., "Hyperband", JMLR 2018). ``n_trials``, where given, is shared out in proportion
    to :math:`n_s`, the largest remainders first.

    Args:
        min_epochs: :math:`r`, in [1, epochs]: no trial stops before.
        factor: :math:`\eta`, at least 2.
        lag: As in SuccessiveHalving, within a bracket.

    Raises:
        ValueError: If an argument is out of range; in ``begin``, if there are no epochs or fewer than ``min_epochs``.

    Example:
        >>> from fastreg.search.pruners.halving import Hyperband
        >>> Hyperband(factor=3).brackets(epochs=81)
        [(81, [1, 3, 9, 27, 81]), (34, [3, 9, 27, 81]), (15, [9, 27, 81]), (8, [27, 81]), (5, [81])]
    """

    def __init__(self, min_epochs: int = 1, factor: int = 3, lag: int = 8) -> None:
        super().__init__(min_epochs, factor, lag)

    def brackets(self, epochs: int, n_trials: int | None = None) -> list[tuple[int, list[int]]]:
        """Trials and rungs of each bracket."""
        most, eta = self._levels(epochs), self.factor
        shares = [-(-(most + 1) * eta**s // (s + 1)) for s in range(most, -1, -1)]
        if n_trials is not None:
            shares = _apportioned(n_trials, shares)
        rungs = [[(2 * epochs + eta**k) // (2 * eta**k) for k in range(s, -1, -1)] for s in range(most, -1, -1)]
        return list(zip(shares, rungs, strict=True))

    def _make_engine(self, epochs: int) -> _Engine:
        brackets = self.brackets(epochs, self.n_trials)
        self.n_trials = sum(n for n, _ in brackets)
        return _Synchronous(self, [_Bracket(n, rungs) for n, rungs in brackets if n])


def _apportioned(total: int, weights: list[int]) -> list[int]:
    """Whole shares of a total in proportion to weights: rounded down, then one more for the largest remainders."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares
