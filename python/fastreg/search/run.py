"""The loop of a search: it passes the pruner's jobs to the runner, fold by fold, and the results back to the pruner.

A finished fold is written to the journal before it counts; folds that the journal contains are not run again. A trial
ends with its first bad fold in the order of the folds, whatever the order in which workers finish, so that trials and
results depend on the seed alone. This module knows no models and no data, starts no threads and reads no files.
"""

from __future__ import annotations

import math
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastreg.search.folds.deadline import Deadline
from fastreg.search.folds.evaluation import FoldResult, Task
from fastreg.search.found.results import Trial, mean_score
from fastreg.search.journal import Journal
from fastreg.search.live import LiveLine
from fastreg.search.pruners.trial_schedule import Job, JobOutcome, TrialSchedule
from fastreg.search.values import decode_float
from fastreg.search.workers.runner import Runner

__all__ = ["Run", "SearchLimits", "trial_of_records"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name

    def __getattr__(name: str) -> Any:
        from fastreg.internal.old_paths import old_name

        return old_name(__name__, name)

# The longest wait for a worker, in seconds, before the clock is checked and the live line is updated.
_TICK = 0.1


@dataclass(frozen=True)
class SearchLimits:
    """What ends a search early.

    Attributes:
        deadline: When running fits end; None means that they end by themselves.
        target: Mean score that is good enough.
        max_failures: The number of failed trials that are tolerated.
        raises: Whether nothing begins after a failure, and only what began before the failed trial is finished, so that
            the first failure is the same for any number of workers.
    """

    deadline: Deadline | None = None
    target: float | None = None
    max_failures: int | None = None
    raises: bool = False


@dataclass(slots=True)
class _Started:
    """A running job, with its place in the order of the beginnings and the results of its folds that have arrived."""

    job: Job
    place: int
    results: list[FoldResult | None]


class Run:
    """One running search.

    Args:
        schedule: The pruner, which has begun.
        runner: The runner, which evaluates tasks.
        directions: ``"min"`` or ``"max"`` for each metric, the primary one first.
        n_folds: Folds of a trial.
        epochs: The full budget; None if the estimator decides.
        journal: The open journal, or None.
        live: The live line.
        limits: What ends the search early.
        keep_models: Whether to keep the models of the folds.
        older: Trials of older, narrower searches, by number.

    Attributes:
        trials: All known trials by number. Their state and budget are final after :meth:`go`.
        models: For each trial, the results of its folds with models and predictions, if they are kept.
    """

    def __init__(
        self,
        schedule: TrialSchedule,
        runner: Runner,
        *,
        directions: Mapping[str, str],
        n_folds: int,
        epochs: int | None,
        journal: Journal | None,
        live: LiveLine,
        limits: SearchLimits,
        keep_models: bool,
        older: Sequence[Trial] = (),
    ) -> None:
        self.trials: dict[int, Trial] = {trial.number: trial for trial in older}
        self.models: dict[int, list[FoldResult]] = {}
        self._schedule, self._runner, self._journal, self._live = schedule, runner, journal, live
        self._metrics = tuple(directions)
        self._lower_is_better = directions[self._metrics[0]] == "min"
        self._n_folds, self._epochs, self._limits, self._keep_models = n_folds, epochs, limits, keep_models
        self._started: dict[int, _Started] = {}
        self._waiting: deque[tuple[Job, int]] = deque()
        self._paused: dict[tuple[int, int], Any] = {}
        self._unsettled: set[int] = set()
        self._in_flight = 0
        self._failed = 0
        self._raised: dict[int, Exception] = {}
        self._begun = 0
        # The place of the first job that failed, and its trial, if failures are raised.
        self._first_failure: tuple[int, int] | None = None
        self._stop: str | None = None
        live.done = live.replayed = len(self.trials)

    def go(self) -> str:
        """Runs the search. Returns what ended it: "trials", "space", "time", "target", "failures" or "interrupt".

        The first Ctrl-C ends running fits and returns; a second one raises KeyboardInterrupt.
        """
        with _interrupts(self._interrupt):
            try:
                self._loop()
            except KeyboardInterrupt:
                if self._stop == "interrupt":
                    raise
                self._interrupt()
                self._drain()
        self._settle_all(replayed=False)
        self._paused.clear()
        for number in self._unsettled & self.trials.keys():
            self.trials[number].state = "pruned"  # its turn to go on never came
        if self._stop is not None:
            return self._stop
        return "space" if self._schedule.exhausted else "trials"

    def raise_first_failure(self) -> None:
        """Raises what ended the first trial that failed, if one did: its exception, or a RuntimeError with its text."""
        if self._first_failure is None:
            return
        number = self._first_failure[1]
        error = self._raised.get(number)
        if error is not None:
            raise error
        raise RuntimeError(f"search: trial {number} failed:\n{self.trials[number].error}")

    def _loop(self) -> None:
        while True:
            self._fill()
            if self._stop is not None:
                self._drain()
                return
            if not self._in_flight:
                if not self._schedule.finished:
                    raise RuntimeError("search: the schedule is not finished, runs nothing and starts nothing")
                return
            result = self._runner.completed(_TICK)
            if result is not None:
                self._returned(result)
            self._live.refresh()

    def _fill(self) -> None:
        """Gives the runner as many tasks as it takes."""
        if self._first_failure is not None and not any(map(self._matters, self._started.values())):
            self._end("failures")
        while self._in_flight < self._runner.slots and self._stop is None:
            deadline = self._limits.deadline
            if deadline is not None and deadline.is_over:
                self._end("time")
                return
            if not self._waiting:
                if self._first_failure is not None:
                    return
                job = self._schedule.next()
                if job is None:
                    return
                self._begin(job)
                continue
            job, fold = self._waiting.popleft()
            started = self._started.get(job.number)
            if started is not None and self._matters(started):  # else an earlier fold has ended the trial, or a failure
                self._runner.submit(self._task(job, fold))
                self._in_flight += 1

    def _matters(self, started: _Started) -> bool:
        """Whether a job may still tell what the first failure is, or there is none."""
        return self._first_failure is None or started.place < self._first_failure[0]

    def _begin(self, job: Job) -> None:
        self._started[job.number] = _Started(job, self._begun, [None] * self._n_folds)
        self._begun += 1
        self._unsettled.add(job.number)
        if self._journal is None:
            self._waiting.extend((job, fold) for fold in range(self._n_folds))
            return
        for fold in range(self._n_folds):
            record = self._journal.find(job.number, fold, job.stop, job.params)
            if record is None:
                self._waiting.append((job, fold))
            elif job.number in self._started:
                self._accept(_result_of_record(record, self._metrics[0]), replayed=True)

    def _task(self, job: Job, fold: int) -> Task:
        model = self._paused.pop((job.number, fold), None) if job.start else None
        return Task(
            trial=job.number,
            fold=fold,
            params=job.params,
            # Without its paused model, because the search was resumed, a trial starts again, from the same seed.
            start=job.start if model is not None else 0,
            stop=job.stop,
            model=model,
            thresholds=job.thresholds,
            keep_model=self._keep_models or self._pauses(job),
            deadline=self._limits.deadline,
        )

    def _pauses(self, job: Job) -> bool:
        """Whether the job ends below the full budget."""
        return job.stop is not None and job.stop != self._epochs

    def _returned(self, result: FoldResult) -> None:
        """Handles the result of a task."""
        self._in_flight -= 1
        if result.state == "stopped":
            if self._stop is None:
                self._end("time")
        elif result.trial in self._started:
            self._accept(result)

    def _accept(self, result: FoldResult, *, replayed: bool = False) -> None:
        """A fold is finished: to the journal, then to its trial."""
        started = self._started[result.trial]
        known = self.trials.get(result.trial)
        if known is not None and not replayed:
            _continue(result, known)
        if self._journal is not None and not replayed:
            self._journal.append(_record_of_result(result, started.job))
        started.results[result.fold] = result
        counted = _counted(started.results)
        if counted is not None:
            self._finish(started.job, counted, replayed)

    def _finish(self, job: Job, results: list[FoldResult], replayed: bool) -> None:
        """All folds of a job that count are in."""
        started = self._started.pop(job.number)
        if results[-1].raised is not None:
            self._raised.setdefault(job.number, results[-1].raised)
        trial = trial_of_results(job, results, self._metrics, self._n_folds)
        self.trials[job.number] = trial
        if self._limits.raises and trial.state == "failed" and self._matters(started):
            self._first_failure = started.place, job.number
        whole = trial.state == "ok"
        if whole and self._pauses(job):
            for result in results:
                if result.model is not None:
                    self._paused[job.number, result.fold] = result.model
        elif whole and self._keep_models:
            self.models[job.number] = results
        curves = [result.curve or [] for result in results]
        curves += [[]] * (self._n_folds - len(curves))
        budget = None if job.stop is None else max(trial.epochs)
        self._schedule.done(job, JobOutcome(trial.state, trial.score if whole else None, budget, curves))
        self._settle_all(replayed)

    def _settle_all(self, replayed: bool) -> None:
        for number in self._schedule.settled():
            self._settle(number, replayed)

    def _settle(self, number: int, replayed: bool) -> None:
        """The fate of a trial is final."""
        trial = self.trials[number]
        self._unsettled.discard(number)
        if trial.state == "ok" and self._schedule.pruned(number):
            trial.state = "pruned"
        if trial.state == "ok":
            # Those that early stopping ended below it too: they had all the epochs that they wanted.
            trial.budget = None if trial.budget is None else self._epochs
            self._reached(trial.score, counts=not trial.has_failed)
        self._drop_paused(number)
        self._live.done += 1
        self._live.replayed += replayed
        self._live.pruned += trial.state == "pruned"
        if trial.has_failed:
            self._live.failed += 1
            self._failed += trial.state not in ("diverged", "unscored")
            allowed = self._limits.max_failures
            if allowed is not None and self._failed > allowed:
                self._end("failures")

    def _reached(self, mean: float, counts: bool) -> None:
        """Handles a trial that reached the full budget: its score may be the best one, or reach the target.

        Args:
            mean: The score.
            counts: Whether it can reach the target, as a score with an ``error_score`` in it cannot.
        """
        best, target = self._live.best, self._limits.target
        if math.isnan(best) or (mean < best if self._lower_is_better else mean > best):
            self._live.best = mean
        if counts and target is not None and (mean <= target if self._lower_is_better else mean >= target):
            self._end("target")

    def _drop_paused(self, number: int) -> None:
        for fold in range(self._n_folds):
            self._paused.pop((number, fold), None)

    def _end(self, why: str) -> None:
        """Starts no more, and ends running fits."""
        if self._stop is None:
            self._stop = why
            self._runner.cancel()

    def _interrupt(self) -> None:
        """Ctrl-C; in a signal handler, so it takes no locks and writes nothing."""
        self._stop = "interrupt"
        self._runner.cancel()

    def _drain(self) -> None:
        """Waits for what still runs; folds that finished all the same count."""
        if self._stop == "interrupt":
            self._live.message("search: interrupted, waiting for running fits; again to abandon them")
        while self._in_flight:
            result = self._runner.completed(_TICK)
            if result is not None:
                self._returned(result)


@contextmanager
def _interrupts(act: Any) -> Iterator[None]:
    """Sends the first Ctrl-C to ``act``, where Python's own handler would get it; the second is Python's again."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        act()

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _counted(results: Sequence[FoldResult | None]) -> list[FoldResult] | None:
    """The folds that make a trial: all, or those up to the first bad one. None: not known yet."""
    counted: list[FoldResult] = []
    for result in results:
        if result is None:
            return None
        counted.append(result)
        if result.state != "ok":
            break
    return counted


def trial_of_results(job: Job, results: Sequence[FoldResult], metrics: Sequence[str], n_folds: int) -> Trial:
    """A trial from the folds that count; the first metric is the primary one."""
    last = results[-1]
    # The scores of a fold that did not come to its end are not like the others.
    scores = {m: [r.scores[m] if r.state == "ok" else math.nan for r in results] for m in metrics}
    epochs = [result.epochs for result in results]
    trained = [result.train_scores for result in results if result.train_scores is not None]
    return Trial(
        number=job.number,
        params=job.params,
        state=last.state,
        score=mean_score(scores[metrics[0]], n_folds),
        scores=scores,
        train_scores={m: [scores[m] for scores in trained] for m in metrics} if trained else None,
        # A fold that was stopped had less than its job's epochs.
        budget=job.stop if job.stop is None or last.state == "ok" else max(epochs),
        epochs=epochs,
        best_epoch=[result.best_epoch for result in results],
        fit_seconds=[result.seconds for result in results],
        score_seconds=[result.score_seconds for result in results],
        error=next((result.error for result in results if result.error is not None), None),
        histories=[result.history or {} for result in results],
        validation_epochs=[result.validation_epochs for result in results],
        failed_folds=sum(result.state == "ok" and result.error is not None for result in results),
    )


def trial_of_records(records: Sequence[dict[str, Any]], metrics: Sequence[str], n_folds: int) -> Trial | None:
    """A trial from the journal's folds of one budget, of an older search; None if it was not finished."""
    results: list[FoldResult | None] = [None] * n_folds
    for record in records:
        results[record["fold"]] = _result_of_record(record, metrics[0])
    counted = _counted(results)
    if counted is None:
        return None
    first = records[0]
    job = Job(first["trial"], first["params"], 0, first["stop"], None)
    return trial_of_results(job, counted, metrics, n_folds)


def _continue(result: FoldResult, known: Trial) -> None:
    """Joins the results of a paused model and of its continuation. A model that started again has all results."""
    fold = result.fold
    if result.continues(known.histories[fold], known.validation_epochs[fold]):
        result.seconds += known.fit_seconds[fold]
        result.score_seconds += known.score_seconds[fold]


# The fields of a line of the journal besides the parameters and the number of the fold. Older lines have no
# fingerprint and no epochs of validation.
_FIELDS = (
    *("state", "scores", "train_scores", "epochs", "best_epoch", "seconds", "score_seconds", "history", "curve"),
    *("fingerprint", "validation_epochs"),
)


def _record_of_result(result: FoldResult, job: Job) -> dict[str, Any]:
    record = {"trial": result.trial, "fold": result.fold, "stop": job.stop, "params": job.params}
    return record | {name: getattr(result, name) for name in _FIELDS} | {"error": result.error}


def _floats(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {k: [decode_float(x) for x in v] if isinstance(v, list) else decode_float(v) for k, v in values.items()}


def _result_of_record(record: Mapping[str, Any], primary: str) -> FoldResult:
    """A fold as the journal has it. Whether it counts depends on the primary metric, which may be another one now."""
    scores, state, error = _floats(record["scores"]) or {}, record["state"], record["error"]
    decisive = scores.get(primary, math.nan)
    if state == "ok" and not math.isfinite(decisive):
        state, error = "unscored", f"scoring: {primary} must be a finite number, got {decisive} in the journal"
    elif state == "unscored" and math.isfinite(decisive):
        state, error = "ok", None
    return FoldResult(
        trial=record["trial"],
        fold=record["fold"],
        state=state,
        scores=scores,
        train_scores=_floats(record["train_scores"]),
        epochs=record["epochs"],
        best_epoch=record["best_epoch"],
        seconds=record["seconds"],
        score_seconds=record["score_seconds"],
        history=_floats(record["history"]),
        curve=None if record["curve"] is None else [decode_float(value) for value in record["curve"]],
        error=error,
        fingerprint=record.get("fingerprint"),
        validation_epochs=record.get("validation_epochs"),
    )
