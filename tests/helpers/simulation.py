"""A search without models: how trials do is computed from their parameters, and workers finish in any order.

For the tests of schedules: tests/search/test_pruning.py and test_halving.py.
"""

import random
import zlib

import numpy as np
from fastreg.search import Space, Uniform
from fastreg.search.pruners.trial_schedule import JobOutcome
from fastreg.search.strategy.strategies import Strategy

EPOCHS = 27
FOLDS = 2
SPACE = Space({"x": Uniform(0, 1), "y": Uniform(0, 1)})


class Learner(Strategy):
    """Proposes by what it was told, and keeps a record of asks and tells."""

    adaptive = True

    def _begin(self):
        self.log = []

    def _propose(self, number):
        told = sum(zlib.crc32(repr(entry).encode()) for entry in self.log if entry[0] == "tell")
        self.log.append(("ask", number))
        rng = np.random.default_rng([self.seed, number, told])
        return self._first_new(lambda: self.space.draw(rng))

    def _learn(self, number, params, score, state, budget):
        self.log.append(("tell", number, score, state, budget))


class Curve:
    """How a trial does: a falling curve per fold whose end is its score, by its parameters alone.

    One trial in ten fails, one in five diverges after 0 to 18 epochs, and one in five stops early in every fold, after
    up to half of the epochs.
    """

    def __init__(self, params, direction, bad=True):
        bits = zlib.crc32(repr(sorted(params.items())).encode())
        kind = bits % 10 if bad else 9
        self.state = {0: "failed", 1: "diverged", 4: "diverged"}.get(kind, "ok")
        self.bad_after = 0 if kind == 0 else bits // 10 % 19 if self.state == "diverged" else EPOCHS
        self.length = 1 + bits // 10 % (EPOCHS // 2) if kind in (2, 3) else EPOCHS
        rng = np.random.default_rng(bits)
        steps = rng.uniform(0, 1, (FOLDS, EPOCHS)).cumsum(axis=1) * params["x"] + rng.normal(0, 0.5, (FOLDS, EPOCHS))
        self.values = (steps if direction == "max" else -steps).round(2).tolist()  # ties happen
        self.better = max if direction == "max" else min
        self.direction = direction

    def outcome(self, job):
        """What a worker reports for a job."""
        if job.stop > self.bad_after:
            return JobOutcome(self.state, None, self.bad_after, [[], []])
        stop = min(job.stop, self.length)
        curves = [values[:stop] for values in self.values]
        for fold, values in enumerate(curves):
            limits = job.thresholds.of(fold) if job.thresholds else ()
            for epoch, limit in list(enumerate(limits, 1))[:stop]:
                best = self.better(values[:epoch])
                if best < limit if self.direction == "max" else best > limit:
                    reached = [values[:epoch] if f == fold else [] for f in range(FOLDS)]
                    return JobOutcome("pruned", None, epoch, reached)
        return JobOutcome("ok", self.score(stop), stop, curves)

    def good(self, stop):
        """Whether it is still well after so many epochs."""
        return stop <= self.bad_after

    def score(self, stop):
        """Mean over folds of the best so far."""
        return round(sum(self.better(values[: min(stop, self.length)]) for values in self.values) / FOLDS, 3)


class Simulation:
    """A search with so many workers, jobs ending in an order drawn from ``order``."""

    def __init__(self, schedule, strategy, n_trials=40, direction="min", workers=1, order=0, bad=True, **begin):
        strategy.begin(SPACE, 0, direction)
        schedule.begin(strategy, n_trials, EPOCHS, direction, FOLDS, **begin)
        chance = random.Random(order)
        self.jobs, self.outcomes, self.settled, self.sequence = {}, {}, [], []
        running = []
        while True:
            while len(running) < workers:
                job = schedule.next()
                if job is None:
                    assert schedule.next() is None
                    break
                assert not schedule.finished
                running.append(job)
                self.sequence.append(job)
            assert schedule.n_running == len(running)
            if not running:
                break
            job = running.pop(chance.randrange(len(running)))
            outcome = Curve(job.params, direction, bad).outcome(job)
            schedule.done(job, outcome)
            key = (job.number, job.start, job.stop)
            assert key not in self.jobs, "no job twice"
            self.jobs[key] = job
            self.outcomes[job.number] = outcome
            settled = schedule.settled()
            assert settled == sorted(settled)
            self.settled += settled
        self.settled += schedule.settled()
        assert schedule.finished
        assert schedule.settled() == []
        self.pruned = {number for number in self.outcomes if schedule.pruned(number)}
        self.params = {job.number: job.params for job in self.sequence}
        self.epochs = sum(
            min(o.budget, j.stop) - j.start
            for j, o in ((j, Curve(j.params, direction, bad).outcome(j)) for j in self.sequence)
        )

    def __eq__(self, other):
        return (
            self.jobs.keys() == other.jobs.keys()
            and all(same_job(self.jobs[key], other.jobs[key]) for key in self.jobs)
            and (self.outcomes, sorted(self.settled), self.pruned)
            == (other.outcomes, sorted(other.settled), other.pruned)
        )

    __hash__ = None


def same_job(a, b):
    """Equal, where NaN thresholds are equal too."""
    return (a.number, a.params, a.start, a.stop, repr(a.thresholds)) == (
        b.number,
        b.params,
        b.start,
        b.stop,
        repr(b.thresholds),
    )
