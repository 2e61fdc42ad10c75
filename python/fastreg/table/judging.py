"""Judges candidates by rows that they were not trained on: in rounds, on several threads, within a time.

A round is fixed before it begins: first the list of the recipe, then a number of neighbours of the best that does not
depend on the number of threads. So without a time limit results are the same for any number of threads. Within a time,
candidates for which there is no time are skipped, and some of them are judged in time that training again has left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core, callbacks
from fastreg.runtime import get_matmul_precision, get_num_threads, matmul_precision, thread_limit
from fastreg.search.found.ensemble import greedy
from fastreg.search.found.results import Trial
from fastreg.table.candidates import Candidate, neighbour
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.fold_journal import FoldJournal, FoldOutcome, header
from fastreg.table.judged_rows import folds_of, neighbours_alike
from fastreg.table.recipe import Recipe
from fastreg.table.training import BestPart, Features, Forecast, TrainingRows, limited, seed_of, task_of, train

__all__ = ["Judged", "Judging", "Verdict", "threads_of"]

# Neighbours of a round, and the best candidates that they are neighbours of.
_ROUND, _PARENTS = 4, 4
# Candidates whose outputs are kept for the blend.
_KEPT = 24
# A candidate is not cut below so many steps, and a gain below this is none.
_LEAST_STEPS, _NO_GAIN = 50, 1e-4
# The share of the time for training again after which a candidate that takes longer than was forecast is ended, and
# the factor by which that training may take longer than is forecast.
_OVERRUN, _SAFE = 0.3, 1.5
# A candidate is dear if judging it needs more than this share of the time for judging. Such candidates wait until the
# others of their round are judged.
_DEAR = 0.5
# The first network is measured for longer if it needs more than this share of the time that is left: for a share of it,
# up to some seconds.
_UNSURE, _MEASURED, _LONGEST_MEASURED = 0.25, 0.05, 5.0
# The factor by which the first network may train more slowly than was measured and still be judged in time.
_SLOWER = 1.2

_Numbered = tuple[int, Candidate]


@dataclass
class Verdict:
    """What became of a candidate.

    Attributes:
        number: Its number among all that were proposed, in order; there are gaps where there was no time.
        candidate: The candidate, with the steps that it was trained for.
        state: "ok", "diverged", "failed" or "stopped".
        loss: The loss of all rows that it was judged by, infinite unless the state is "ok".
        of_folds: That of each fold.
        seconds: The seconds of training and scoring of each fold.
        outputs: For the rows that it was judged by, in their order; None where they are not kept.
        error: What went wrong.
    """

    number: int
    candidate: Candidate
    state: str
    loss: float
    of_folds: list[float]
    seconds: list[float]
    outputs: NDArray[np.float32] | None
    error: str | None = None

    def trial(self, chosen: ChosenMetric) -> Trial:
        """The same as a trial of a search, its scores in the unit of the table."""
        is_ok = self.state == "ok"
        of_folds = [chosen.shown_loss(loss) for loss in self.of_folds]
        return Trial(
            number=self.number,
            params=self.candidate.params,
            state=self.state if self.state in ("ok", "diverged") else "failed",
            score=chosen.shown_loss(self.loss) if is_ok else float("nan"),
            scores={chosen.title: of_folds},
            fit_seconds=self.seconds,
            error=self.error,
        )


@dataclass(frozen=True)
class Judged:
    """The verdicts, the rows that they are of, and what ended the search: trials, gain, time or interrupt.

    ``alike`` is what :func:`neighbours_alike` says of the linear model, 0 with groups or in the order of time.
    """

    verdicts: tuple[Verdict, ...]
    scored: NDArray[Any]
    stopped_by: str
    forecast: Forecast
    alike: float = 0.0

    @property
    def best(self) -> list[Verdict]:
        """The verdicts whose outputs were kept, the best one first."""
        found = [verdict for verdict in self.verdicts if verdict.outputs is not None]
        return sorted(found, key=lambda verdict: (verdict.loss, verdict.number))


@dataclass
class _Open:
    """A candidate that is being judged.

    Attributes:
        number: Its number among all that were proposed.
        proposal: The candidate as it was proposed.
        trained: The candidate that is trained; it has fewer steps if there is too little time.
        outcomes: The outcomes of the folds that are over, by the number of the fold.
    """

    number: int
    proposal: Candidate
    trained: Candidate
    outcomes: dict[int, FoldOutcome] = field(default_factory=dict)


def threads_of(jobs: int) -> tuple[int, int]:
    """The number of networks that are trained at the same time, and the threads of each."""
    there = get_num_threads()
    workers = there if jobs == -1 else jobs
    return workers, max(there // workers, 1)


class Judging:
    """One search; see the module. It is a context, which ends the threads and closes the journal.

    Args:
        rows: The table.
        recipe: What is tried.
        chosen: What decides.
        seed: Of the folds, the networks and the neighbours.
        jobs: The number of networks that are trained at the same time; -1 means one for each thread of fastreg.
        seconds: For all of it, the later training on all rows included; None for no limit.
        tell: Is given a line for each candidate.
        journal: What is known of folds from a search that was killed, and where those that end are written.
    """

    def __init__(
        self,
        rows: TrainingRows,
        recipe: Recipe,
        chosen: ChosenMetric,
        seed: int,
        jobs: int,
        seconds: float | None,
        tell: Callable[[str], None],
        journal: FoldJournal,
    ) -> None:
        self._rows, self._recipe, self._chosen, self._seed, self._tell = rows, recipe, chosen, seed, tell
        self._folds = folds_of(rows, recipe, seed)
        self._features = Features(rows, [learned for learned, _ in self._folds])
        self._journal = journal
        self._begun = time.monotonic()
        self._seconds = seconds
        # A network that is alone gets all threads.
        self._workers, self._threads = threads_of(1 if recipe.trials * len(self._folds) == 1 else jobs)
        self._precision = get_matmul_precision()
        # The folds that a worker trains one after another, if there is one network alone.
        self._turns = math.ceil(len(self._folds) / self._workers)
        self._stop = callbacks.StopSignal()
        self._forecast = Forecast(rows, seed)
        self._again = 0.0 if seconds is None else (1.0 - recipe.judging) * seconds
        self._verdicts: dict[int, Verdict] = {}
        self._numbers = 0
        self._proposals = self._rounds()
        self._skipped: list[_Numbered] = []
        self._stopped_by, self._is_extra, self._alike = "trials", False, 0.0
        self._open = ExitStack()
        self._scored = np.concatenate([judged for _, judged in self._folds])
        self._truth = rows.y[self._scored]
        self._weights = None if rows.weights is None else rows.weights[self._scored]
        if self._weights is not None and not self._weights.any():
            self._weights = None

    def __enter__(self) -> Judging:
        self._open.enter_context(self._journal.opened(header(
            self._rows, self._recipe, self._chosen, self._seed, self._folds
        )))  # fmt: skip
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="fastreg-recipe")
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._open.close()

    def run(self) -> Judged:
        """Judges candidates until nothing improves any more, all were tried, or the time for them is over."""
        try:
            while self._next_round():
                if self._skipped or self._stop.is_set:
                    self._stopped_by = "time"
                    break
        except KeyboardInterrupt:
            self._stopped_by = "interrupt"
        return self._judged()

    def rest(self) -> None:
        """Gives back memory while others train."""
        self._features.rest()

    def more(self) -> Judged | None:
        """Judges some of those for which there was no time, or neighbours, in time that training again has left.

        None if there is nothing to judge, or no time to judge one and to train it again.
        """
        if self._stopped_by != "time" or self._stop.is_set:
            return None
        self._is_extra, before = True, len(self._verdicts)
        try:
            skipped, self._skipped = sorted(self._skipped, key=lambda one: self._forecast.seconds(one[1])), []
            self._skipped = self._round(skipped)
            if len(self._verdicts) == before:
                self._next_round()
        except KeyboardInterrupt:
            self._stopped_by = "interrupt"
        return self._judged() if len(self._verdicts) > before or self._stopped_by != "time" else None

    def _judged(self) -> Judged:
        verdicts = tuple(self._verdicts[number] for number in sorted(self._verdicts))
        return Judged(verdicts, self._scored, self._stopped_by, self._forecast, self._alike)

    # The rounds.

    def _next_round(self) -> bool:
        """Judges what is proposed next. False if nothing is, since all were tried or nothing improves any more."""
        proposed = next(self._proposals, None)
        if proposed is None:
            if not self._skipped:
                self._stopped_by = "gain" if self._numbers - 1 < self._recipe.trials else "trials"
            return False
        numbered = list(enumerate(proposed, self._numbers))
        self._numbers += len(proposed)
        self._skipped += self._round(numbered)
        return True

    def _rounds(self) -> Iterator[Sequence[Candidate]]:
        one_unit = self._rows.one_unit
        listed = self._recipe.candidates(len(self._rows.y), task_of(self._rows.target), one_unit > 0)
        if any(candidate.scale == "shared" for candidate in listed):
            self._tell(f"{one_unit} columns are of one unit by their ranges: some candidates give them one scale")
        yield listed
        tried, best, stale, number = list(listed), self._blended(), 0, 0
        while len(tried) - 1 < self._recipe.trials and stale < self._recipe.patience:
            found = self._ordered()
            parents = [verdict.candidate for verdict in found if verdict.candidate.layers][:_PARENTS] or listed[1:]
            if not (found and parents):
                return
            rng = np.random.default_rng([self._seed, number])
            count = min(_ROUND, self._recipe.trials - len(tried) + 1)
            made: list[Candidate] = []
            for place in range(len(tried), len(tried) + count):
                drawn = neighbour(parents, [*tried, *made], rng)
                # Within a time others may have been drawn.
                made.append(self._journal.proposal(place) or drawn)
            yield made
            tried, number, now = [*tried, *made], number + 1, self._blended()
            if now < best - max(self._recipe.least_gain * abs(best), _NO_GAIN):
                best, stale = now, 0
            else:
                stale += count

    def _ordered(self) -> list[Verdict]:
        found = [verdict for verdict in self._verdicts.values() if verdict.outputs is not None]
        return sorted(found, key=lambda verdict: (verdict.loss, verdict.number))

    def _blended(self) -> float:
        """The loss of the blend of what there is."""
        found = self._ordered()
        if not found:
            return float("inf")
        parts = np.stack([self._parts(verdict) for verdict in found])
        picked, score, _ = greedy(parts, self._recipe.picks, lambda mean: -self._loss(mean), self._recipe.members)
        if self._seconds is not None and not self._is_extra:  # what the members will need on all rows
            needed = [self._forecast.seconds(found[i].candidate) for i in set(picked)]
            needed.append(max(needed))
            most = (1.0 - self._recipe.judging) * self._seconds
            self._again = min(_SAFE * max(sum(needed) / self._workers, max(needed)), most)
        return -float(score)

    def _parts(self, verdict: Verdict) -> NDArray[np.float64]:
        assert verdict.outputs is not None
        return self._chosen.parts(verdict.outputs, self._truth).astype(np.float64)

    def _loss(self, parts: NDArray[Any]) -> float:
        return self._chosen.loss(parts, self._truth, self._weights)

    # One round.

    def _round(self, candidates: Sequence[_Numbered]) -> list[_Numbered]:
        """Judges the candidates that there is time for; gives the others."""
        waiting: dict[Future[FoldOutcome], tuple[_Open, int]] = {}
        queue, jobs, skipped = list(candidates), list[tuple[_Open, int]](), list[_Numbered]()
        while queue or jobs or waiting:
            while len(waiting) < self._workers and (jobs or queue):
                if not jobs:
                    number, proposal = self._taken(queue)
                    running = [other.trained for other, _ in waiting.values()]
                    trained = self._journal.started(number, proposal) or self._affordable(number, proposal, running)
                    if trained is None:
                        skipped.append((number, proposal))
                        continue
                    opened = _Open(number, proposal, trained)
                    jobs = [(opened, fold) for fold in range(len(self._folds))]
                opened, fold = jobs.pop(0)
                known = self._known(opened, fold)
                if known is not None:
                    self._accept(opened, fold, known)
                    continue
                waiting[self._pool.submit(self._fold, opened.number, opened.trained, fold)] = opened, fold
            if not waiting:
                continue
            done, _ = wait(waiting, timeout=self._overrun(), return_when=FIRST_COMPLETED)
            if not done:  # far beyond the forecast
                self._stop.set()
                done, _ = wait(waiting)
                queue, jobs = [], []
            for future in sorted(done, key=lambda one: (waiting[one][0].number, waiting[one][1])):
                opened, fold = waiting.pop(future)
                outcome = future.result()
                self._record(opened, fold, outcome)
                self._accept(opened, fold, outcome)
        return skipped

    def _taken(self, queue: list[_Numbered]) -> _Numbered:
        """The next of the queue; within a time one that takes a large part of it comes after the others."""
        cheap = (i for i, (number, candidate) in enumerate(queue) if number <= 1 or not self._is_dear(candidate))
        return queue.pop(next(cheap, 0))

    def _known(self, opened: _Open, fold: int) -> FoldOutcome | None:
        """The outcome of a fold that the journal has."""
        shape = len(self._folds[fold][1]), self._forecast.n_outputs
        return self._journal.find(opened.number, fold, opened.proposal, opened.trained, shape)

    def _record(self, opened: _Open, fold: int, outcome: FoldOutcome) -> None:
        """Writes a fold to the journal, unless it was ended before its time."""
        if outcome.state == "stopped":
            return
        loss = math.nan if outcome.outputs is None else self._loss_of_fold(fold, outcome.outputs)
        self._journal.append(opened.number, fold, opened.proposal, opened.trained, outcome, loss)

    def _accept(self, opened: _Open, fold: int, outcome: FoldOutcome) -> None:
        opened.outcomes[fold] = outcome
        if outcome.state == "ok":
            self._forecast.learn(opened.trained, outcome.seconds)
        if len(opened.outcomes) == len(self._folds):
            self._judge(opened.number, opened.trained, [opened.outcomes[i] for i in range(len(self._folds))])

    def _judge(self, number: int, candidate: Candidate, outcomes: Sequence[FoldOutcome]) -> None:
        """Makes the verdict of the outcomes of all folds, and forgets outputs that are too bad to be of use."""
        wrong = next((outcome for outcome in outcomes if outcome.state != "ok"), None)
        seconds = [outcome.seconds for outcome in outcomes]
        if wrong is not None:
            verdict = Verdict(number, candidate, wrong.state, float("inf"), [], seconds, None, wrong.error)
        else:
            found = [outcome.outputs for outcome in outcomes if outcome.outputs is not None]
            if shares := [outcome.best[0] / outcome.best[1] for outcome in outcomes if outcome.best is not None]:
                candidate = replace(candidate, until=float(np.median(shares)))
            verdict = Verdict(number, candidate, "ok", float("inf"), [], seconds, np.concatenate(found))
            verdict.loss = self._loss(self._parts(verdict))
            verdict.of_folds = [self._loss_of_fold(fold, outputs) for fold, outputs in enumerate(found)]
            if not np.isfinite(verdict.loss):
                verdict.state, verdict.outputs, verdict.loss = "diverged", None, float("inf")
                verdict.error = "the loss is not finite"
        alike = self._look_at_order(verdict) if number == 0 else ""
        if not (candidate.layers or self._recipe.with_linear):
            verdict.outputs = None
        self._verdicts[number] = verdict
        for bad in self._ordered()[_KEPT:]:
            bad.outputs = None
        shown = f"{self._chosen.title} {self._chosen.shown_loss(verdict.loss):.4g}" if wrong is None else verdict.state
        self._tell(f"{'linear model' if number == 0 else f'network {number}'}: {shown} ({candidate})")
        if alike:
            self._tell(alike)

    def _look_at_order(self, verdict: Verdict) -> str:
        """Finds out by the linear model whether neighbouring rows are alike; a line to tell if they are."""
        if verdict.outputs is None or self._rows.in_time or self._rows.groups is not None:
            return ""
        self._alike = neighbours_alike(self._rows.target, self._scored, self._truth, verdict.outputs)
        told = f"errors of the linear model for neighbouring rows correlate by {self._alike:.2g}: if new rows come"
        return f"{told} later, or are of other groups, name time_column or group" if self._alike else ""

    def _loss_of_fold(self, fold: int, outputs: NDArray[np.float32]) -> float:
        judged = self._folds[fold][1]
        truth = self._rows.y[judged]
        weights = None if self._weights is None or self._rows.weights is None else self._rows.weights[judged]
        given = None if weights is None or not weights.any() else weights
        return self._chosen.loss(self._chosen.parts(outputs, truth).astype(np.float64), truth, given)

    def _fold(self, number: int, candidate: Candidate, fold: int) -> FoldOutcome:
        """Trains on the rows of a fold, and predicts the others."""
        learned, judged = self._folds[fold]
        begun = time.monotonic()
        try:
            with thread_limit(self._threads), matmul_precision(self._precision):
                encoded = self._features.get(fold, candidate)
                seed = seed_of(self._seed, number, fold)
                features = encoded.of(judged)

                def outputs_of(model: Any) -> NDArray[np.float32]:
                    return limited(self._rows, model.predict(features, verbose=0), learned)

                best = BestPart(outputs_of, partial(self._loss_of_fold, fold)) if candidate.keeps_best else None
                model = train(self._rows, encoded, candidate, seed, learned, self._stop, best=best)
                if self._stop.is_set:
                    return FoldOutcome("stopped", None, time.monotonic() - begun)
                outputs = outputs_of(model) if best is None else best.kept
        except _core.DivergenceError as error:
            return FoldOutcome("diverged", None, time.monotonic() - begun, str(error))
        return FoldOutcome("ok", outputs, time.monotonic() - begun, None, best.found if best else None)

    # The time.

    def _left(self) -> float:
        assert self._seconds is not None
        return self._seconds - self._again - (time.monotonic() - self._begun)

    def _overrun(self) -> float | None:
        return None if self._seconds is None else max(self._left() + _OVERRUN * self._again, 0.0)

    def _is_dear(self, candidate: Candidate) -> bool:
        if self._seconds is None:
            return False
        return self._needed(candidate) > _DEAR * self._recipe.judging * self._seconds

    def _needed(self, candidate: Candidate) -> float:
        """The seconds of all folds."""
        return self._forecast.seconds(candidate) * len(self._folds) / min(self._workers, len(self._folds))

    def _measure(self, candidate: Candidate) -> float:
        """Measures how long the candidate trains where it will, and for longer if that takes much of the time.

        Gives the seconds of each training that do not depend on its steps.
        """
        left = self._left()
        enough = min(_MEASURED * left, _LONGEST_MEASURED)
        return self._forecast.measure(candidate, self._together, enough, _UNSURE * left / self._turns)

    def _together(self, work: Callable[[], float]) -> float:
        """The largest result of calls of a function, one for each network that will be trained at the same time."""

        def limited() -> float:
            with thread_limit(self._threads), matmul_precision(self._precision):
                return work()

        calls = [self._pool.submit(limited) for _ in range(min(self._workers, len(self._folds)))]
        return max(call.result() for call in calls)

    def _affordable(self, number: int, candidate: Candidate, running: list[Candidate]) -> Candidate | None:
        """The candidate, or :meth:`_first` for the first network; None if there is no time."""
        if self._seconds is None or candidate.layers == 0:
            return candidate
        if number == 1 and not self._is_extra:
            return self._first(candidate)
        before = sum(self._forecast.seconds(other) for other in running) / 2.0
        needed = before / self._workers + self._needed(candidate)
        if self._is_extra:  # the others are trained already
            return candidate if self._is_extra_affordable(candidate, running, needed) else None
        if needed > self._left():
            self._blended()  # training again may need less than what was set aside for it
        return candidate if needed <= self._left() else None

    def _first(self, candidate: Candidate) -> Candidate | None:
        """The first network, with fewer steps if it takes too long; None if the time is over."""
        if self._left() <= 0.0:
            return None
        # Nothing else is trained beside its last folds.
        fixed = self._turns * self._measure(candidate)
        needed = _SLOWER * self._turns * self._forecast.seconds(candidate)
        left = max(self._left() - fixed, 0.0)
        if needed <= left:
            return candidate
        return replace(candidate, steps=min(max(int(candidate.steps * left / needed), _LEAST_STEPS), candidate.steps))

    def _is_extra_affordable(self, candidate: Candidate, running: list[Candidate], needed: float) -> bool:
        """Whether there is time to judge a further candidate and to train it and those that are judged now again."""
        again = [self._forecast.seconds(other) for other in (*set(running), candidate)]
        before, self._again = self._again, _SAFE * max(sum(again) / self._workers, max(again))
        if needed <= self._left():
            return True
        self._again = before
        return False
