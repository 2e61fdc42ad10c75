"""Rungs that wait: the trials of a bracket are compared once all of them have come to a rung."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from fastreg.search.pruners.rungs import Entry, Rungs
from fastreg.search.pruners.trial_schedule import Job

__all__ = ["Bracket", "Synchronous"]


@dataclass
class Bracket:
    """One synchronous successive halving, at its current rung.

    Attributes:
        quota: The number of trials to propose; None is all that there are.
        rungs: The epochs of each rung.
        level: The index of the current rung.
        waiting: The trials that are still to be trained to it.
        running: The number of trials that are being trained to it.
        entries: The trials that have reached it.
        climbers: The trials that have left the first rung, with the last rung that they reached.
        reserves: For each rung, the next best trials after those that were promoted, and as many. They are promoted if
            all of those fail.
    """

    quota: int | None
    rungs: list[int]
    level: int = 0
    n_asked: int = 0
    asking: bool = True
    closed: bool = False
    running: int = 0
    waiting: deque[Entry] = field(default_factory=deque)
    entries: list[Entry] = field(default_factory=list)
    climbers: dict[int, Entry] = field(default_factory=dict)
    reserves: list[tuple[int, list[Entry]]] = field(default_factory=list)


class Synchronous:
    """Brackets, one after the other. Each promotes trials when a rung is complete.

    With a strategy that does not learn, a bracket begins when the one before proposes no more trials, which keeps the
    workers busy and changes no trial. With a strategy that learns, it begins when the one before has ended.
    """

    def __init__(self, schedule: Rungs, brackets: list[Bracket]) -> None:
        self._schedule = schedule
        self._brackets = deque(brackets)
        self._home: dict[int, Bracket] = {}
        self._lag = schedule.lag if schedule.strategy.adaptive else None

    @property
    def closed(self) -> bool:
        """Whether nothing can start any more."""
        return not self._brackets

    def next(self) -> Job | None:
        """As of a TrialSchedule."""
        for bracket in list(self._brackets):
            job = self._ask(bracket) if bracket.asking else None
            if job is None and not bracket.asking:
                job = self._resume(bracket)
            if job is not None:
                return job
            if bracket.asking or (self._lag is not None and not bracket.closed):
                return None
        return None

    def _ask(self, bracket: Bracket) -> Job | None:
        schedule = self._schedule
        asked = schedule.ask(self._lag)
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

    def _resume(self, bracket: Bracket) -> Job | None:
        if not bracket.waiting:
            return None
        entry = bracket.waiting.popleft()
        bracket.running += 1
        return Job(entry.number, entry.params, entry.stop, bracket.rungs[bracket.level])

    def done(self, entry: Entry) -> None:
        """Takes a trial that has reached the rung its job went to."""
        bracket = self._home[entry.number]
        bracket.running -= 1
        bracket.entries.append(entry)
        if bracket.level == 0:
            self._schedule.report(entry, self._lag)
        self._promote_if_complete(bracket)

    def _promote_if_complete(self, bracket: Bracket) -> None:
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
                self._schedule.settle(entry, pruned=not top)
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

    def _close(self, bracket: Bracket) -> None:
        """Tells the strategy the results of the promoted trials, after all results of the first rung."""
        bracket.closed = True
        self._brackets.remove(bracket)
        for _, reserve in bracket.reserves:
            for entry in reserve:
                self._schedule.settle(entry, pruned=True)
        if self._lag is None:
            return
        schedule = self._schedule
        schedule.tell_all_kept()
        for _, entry in sorted(bracket.climbers.items()):
            schedule.tell(entry)
