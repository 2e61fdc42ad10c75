"""Asynchronous rungs: a trial continues as soon as it is among the best of those that have reached its rung."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field, replace

from fastreg.search.pruners.rungs import Entry, Rungs
from fastreg.search.pruners.trial_schedule import Job

__all__ = ["Asynchronous"]


@dataclass
class _Rung:
    """All trials that reached a rung, and those of them that may still be promoted; both best first."""

    stop: int
    reached: list[Entry] = field(default_factory=list)
    open: list[Entry] = field(default_factory=list)


class Asynchronous:
    """Promotes the best trial of a rung as soon as it is in the top 1/factor of those that have reached the rung.

    When no more trials can be proposed and none has reached the full budget, the best of the highest rung is promoted.
    """

    def __init__(self, schedule: Rungs, rungs: list[int]) -> None:
        self._schedule = schedule
        self._rungs = [_Rung(stop) for stop in rungs]
        self.closed = False

    def next(self) -> Job | None:
        """As of a TrialSchedule."""
        schedule = self._schedule
        job = self._promote_any()
        if job is None and schedule.may_ask:
            asked = schedule.ask(None)
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
                self._schedule.settle(entry, pruned=True)
            rung.open = []

    def done(self, entry: Entry) -> None:
        """Takes a trial that has reached the rung its job went to."""
        level = next(k for k, rung in enumerate(self._rungs) if rung.stop == entry.stop)
        self._schedule.tell(entry)
        self._arrive(level, entry)

    def _arrive(self, level: int, entry: Entry) -> None:
        rung = self._rungs[level]
        insort(rung.reached, entry)
        if entry.good and level < len(self._rungs) - 1:
            insort(rung.open, entry)
        else:
            self._schedule.settle(entry, pruned=False)

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
        """The job that promotes a rung's best open trial.

        None if the trial has ended by itself; it moves up at once.
        """
        rung, above = self._rungs[level], self._rungs[level + 1]
        entry = rung.open.pop(0)
        if entry.ended:
            self._arrive(level + 1, replace(entry, stop=above.stop))
            return None
        return Job(entry.number, entry.params, entry.stop, above.stop)
