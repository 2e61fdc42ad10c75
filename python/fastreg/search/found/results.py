"""The trials of a search, their table with scikit-learn's column names, the best trial, and a text summary.

This module knows nothing of models, folds or threads. A score has its natural direction (a loss of 0.12 is 0.12) and is
compared only with scores at the same budget. A trial that lacks a score in some fold has no mean, and is ranked last.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.progress import format_time

__all__ = ["Trial", "best_trial", "summarise", "tabulate"]

STATES = ("ok", "pruned", "diverged", "unscored", "failed")

# Rows of the table in summary(), and failures that it names.
_SHOWN_TRIALS = 10
_SHOWN_FAILURES = 3

# A power of 2 by which scores are divided whose squares are beyond float64.
_LARGE = 2.0**600


@dataclass(slots=True)
class Trial:
    """One set of parameters and its results.

    Lists have an element for each fold that counts. A trial ends with its first fold that was pruned, diverged, failed
    or has no score; then it may have fewer elements than there are folds, and the scores of the last one are NaN.

    Attributes:
        number: The number of the trial, counted from 0 in the order of proposal.
        params: The parameters, plain Python values.
        state: ``"ok"``, ``"pruned"``, ``"diverged"``, ``"unscored"`` (the primary metric is not defined for the rows of
            a fold, as the AUC of a single class) or ``"failed"``.
        score: Mean of the primary metric over all folds; NaN if a fold has none.
        scores: For each metric, the scores of the folds; NaN where a metric is not defined.
        train_scores: The same for the training rows, with ``return_train_score``.
        budget: The largest number of epochs that it was trained; None if the estimator decides.
        epochs: The number of epochs that each fold was trained, which is smaller if it stopped early.
        best_epoch: For each fold, the number of epochs with the best weights; None without early stopping.
        fit_seconds: The seconds of training, for each fold.
        score_seconds: The seconds of scoring, for each fold.
        error: The traceback of a trial that failed or diverged, or of a fold that got the ``error_score``; or why
            there is no score.
        histories: For each fold, by metric (``loss``, ``val_loss``...) the value after every epoch.
        validation_epochs: For each fold, the epochs that its validation values belong to, counted from 0, as
            ``validation_freq`` has them; None if they belong to all, or there are none.
        failed_folds: The number of folds that raised an exception and got the ``error_score``.
    """

    number: int
    params: dict[str, Any]
    state: str
    score: float
    scores: dict[str, list[float]]
    train_scores: dict[str, list[float]] | None = None
    budget: int | None = None
    epochs: list[int] = field(default_factory=list)
    best_epoch: list[int | None] = field(default_factory=list)
    fit_seconds: list[float] = field(default_factory=list)
    score_seconds: list[float] = field(default_factory=list)
    error: str | None = None
    histories: list[dict[str, list[float]]] = field(default_factory=list)
    failed_folds: int = 0
    validation_epochs: list[list[int] | None] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether it failed, diverged or has no score, even if the folds concerned got the ``error_score``."""
        return self.state in ("failed", "diverged", "unscored") or self.error is not None

    @property
    def is_all_error(self) -> bool:
        """Whether all its folds raised an exception and got the ``error_score``."""
        return 0 < self.failed_folds == len(self.epochs)

    @property
    def seconds(self) -> float:
        """Seconds of fitting and scoring, over all folds."""
        return sum(self.fit_seconds) + sum(self.score_seconds)

    @property
    def median_best_epoch(self) -> int | None:
        """Median over the folds of the best epoch, rounded half up; None where a fold has none."""
        known = [epoch for epoch in self.best_epoch if epoch is not None]
        if not known or len(known) != len(self.best_epoch):
            return None
        return math.floor(float(np.median(known)) + 0.5)

    def mean(self, metric: str, n_folds: int) -> float:
        """Mean of a metric over the folds, NaN unless every fold has a score."""
        return mean_score(self.scores.get(metric, ()), n_folds)


def warn_of_gaps(trials: Sequence[Trial], metrics: Iterable[str]) -> None:
    """Warns of each metric that is not defined in a fold of a trial that has a score; its mean there is NaN."""
    whole = [trial for trial in trials if trial.state == "ok"]
    for name in metrics:
        gaps = sum(not all(map(math.isfinite, trial.scores.get(name, ()))) for trial in whole)
        if gaps:
            message = f"search: {name} is not a finite number in some fold of {gaps} of {len(whole)} trials"
            warnings.warn(f"{message}; their mean in results_ is NaN", stacklevel=3)


def mean_score(scores: Sequence[float], n_folds: int) -> float:
    """Mean of the scores of all folds, NaN unless every fold has a finite one."""
    if len(scores) != n_folds or not all(map(math.isfinite, scores)):
        return math.nan
    try:
        return math.fsum(scores) / n_folds
    except OverflowError:  # the sum is beyond float64, but the mean is not
        return math.fsum(score / _LARGE for score in scores) / n_folds * _LARGE


def _rank_keys(budgets: Sequence[int | None], means: NDArray[np.float64], direction: str) -> NDArray[np.float64]:
    """Rows of three numbers by which trials are ordered, smallest first: no score, less budget, worse score."""
    missing = np.isnan(means)
    budget = np.array([math.inf if b is None else b for b in budgets], np.float64)
    signed = means if direction == "min" else -means
    return np.stack([missing, np.where(missing, 0.0, -budget), np.where(missing, 0.0, signed)], axis=1)


def rank(budgets: Sequence[int | None], means: NDArray[np.float64], direction: str) -> NDArray[np.int32]:
    """Ranks from 1; equals share the smallest, larger budgets come first, what has no score shares the last."""
    keys = _rank_keys(budgets, means, direction)
    order = np.lexsort((keys[:, 2], keys[:, 1], keys[:, 0]))
    differs = np.ones(len(means), bool)
    differs[1:] = (keys[order][1:] != keys[order][:-1]).any(axis=1)
    ranks = np.empty(len(means), np.int32)
    ranks[order] = np.maximum.accumulate(np.where(differs, np.arange(1, len(means) + 1), 0))
    return ranks


def best_trial(trials: Iterable[Trial], direction: str) -> Trial | None:
    """The best trial with a score in every fold and the largest budget, or None. Of equal trials the first is taken."""
    best: Trial | None = None
    best_key = (math.inf, math.inf)
    for trial in trials:
        if not math.isnan(trial.score):
            budget = math.inf if trial.budget is None else trial.budget
            key = (-budget, trial.score if direction == "min" else -trial.score)
            if best is None or key < best_key:
                best, best_key = trial, key
    return best


def best_first(trials: Sequence[Trial], direction: str) -> list[Trial]:
    """The trials with a score in every fold and the largest budget, the best one first; equals in their order."""
    best = best_trial(trials, direction)
    if best is None:
        return []
    alike = [trial for trial in trials if not math.isnan(trial.score) and trial.budget == best.budget]
    return sorted(alike, key=lambda trial: trial.score if direction == "min" else -trial.score)


def _parameter_columns(trials: Sequence[Trial]) -> dict[str, Any]:
    """``param_<name>`` as masked arrays, as scikit-learn has them: masked where a trial has no such parameter."""
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for trial in trials for name in trial.params):
        mask = np.array([name not in trial.params for trial in trials])
        values = [trial.params.get(name) for trial in trials]
        present = [value for value in values if value is not None]
        numeric = len(present) == len(values) - mask.sum() and all(type(v) in (int, float) for v in present)
        if numeric and not (all(type(v) is int for v in present) and any(abs(v) >= 2**63 for v in present)):
            data = np.array([0 if value is None else value for value in values])
        else:
            data = np.empty(len(values), object)
            for i, value in enumerate(values):
                data[i] = value
        columns[f"param_{name}"] = np.ma.MaskedArray(data, mask)
    return columns


def _matrix(rows: Iterable[Sequence[float]], n: int, n_folds: int) -> NDArray[np.float64]:
    matrix = np.full((n, n_folds), np.nan)
    for line, row in zip(matrix, rows, strict=True):
        line[: len(row)] = row
    return matrix


def _score_columns(prefix: str, key: str, scores: NDArray[np.float64]) -> dict[str, Any]:
    columns: dict[str, Any] = {f"split{i}_{prefix}_{key}": scores[:, i] for i in range(scores.shape[1])}
    columns[f"mean_{prefix}_{key}"], columns[f"std_{prefix}_{key}"] = _mean_and_deviation(scores)
    return columns


def _mean_and_deviation(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each row; also where a sum of scores or of their squares is beyond float64, as with a large error_score."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = scores.mean(axis=1), scores.std(axis=1)
    beyond = np.isfinite(scores).all(axis=1) & ~(np.isfinite(mean) & np.isfinite(deviation))
    for i in np.flatnonzero(beyond):
        mean[i], deviation[i] = mean_score(scores[i], scores.shape[1]), (scores[i] / _LARGE).std() * _LARGE
    return mean, deviation


def tabulate(trials: Sequence[Trial], directions: Mapping[str, str], n_folds: int) -> dict[str, Any]:
    """``results_``: a dict of columns, one row for each trial, in the order of proposal.

    Args:
        trials: The trials.
        directions: ``"min"`` or ``"max"`` for each metric. With one metric the columns end in ``_score``, with several
            in ``_<metric>``, as scikit-learn's do.
        n_folds: Folds of a whole trial.
    """
    n = len(trials)
    columns: dict[str, Any] = {"trial": np.array([trial.number for trial in trials], np.int64)}
    for part in ("fit", "score"):
        seconds = _matrix((getattr(trial, f"{part}_seconds") for trial in trials), n, n_folds)
        count = np.maximum((~np.isnan(seconds)).sum(axis=1), 1)
        mean = np.nansum(seconds, axis=1) / count
        columns[f"mean_{part}_time"] = mean
        columns[f"std_{part}_time"] = np.sqrt(np.nansum((seconds - mean[:, None]) ** 2, axis=1) / count)
    columns |= _parameter_columns(trials)
    columns["params"] = [trial.params for trial in trials]
    budgets = [trial.budget for trial in trials]
    for metric, direction in directions.items():
        key = "score" if len(directions) == 1 else metric
        scores = _matrix((trial.scores.get(metric, ()) for trial in trials), n, n_folds)
        columns |= _score_columns("test", key, scores)
        # The means that decided, so that rank 1 is best_trial_ to the last bit.
        columns[f"mean_test_{key}"] = np.array([trial.mean(metric, n_folds) for trial in trials], np.float64)
        columns[f"rank_test_{key}"] = rank(budgets, columns[f"mean_test_{key}"], direction)
        if any(trial.train_scores is not None for trial in trials):
            rows = ((trial.train_scores or {}).get(metric, ()) for trial in trials)
            columns |= _score_columns("train", key, _matrix(rows, n, n_folds))
    known = all(budget is not None for budget in budgets)
    columns["budget"] = np.array(budgets, np.int64 if known else object)
    columns["epochs"] = np.array([sum(trial.epochs) for trial in trials], np.int64)
    best = [trial.median_best_epoch for trial in trials]
    columns["best_epoch"] = np.array(best, np.int64 if None not in best else object)
    columns["seconds"] = np.array([trial.seconds for trial in trials])
    columns["state"] = np.array([trial.state for trial in trials], "U8")
    columns["error"] = np.array([trial.error for trial in trials], object)
    return columns


def format_params(params: Mapping[str, Any]) -> str:
    """``lr=0.012, units=64``: at most four digits of a float."""
    return ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items())


def count_states(trials: Iterable[Trial]) -> dict[str, int]:
    """How many trials there are in each state."""
    counts = dict.fromkeys(STATES, 0)
    for trial in trials:
        counts[trial.state] += 1
    return counts


def last_line(error: str | None) -> str:
    """The error: the last line of a traceback before the line with the parameters."""
    lines = [line for line in (error or "").strip().splitlines() if not line.startswith("params: ")]
    return lines[-1] if lines else ""


def summarise(
    trials: Sequence[Trial], metric: str, direction: str, n_folds: int, seconds: float, stopped_by: str
) -> str:
    """A table of the best trials and a word on the failures, for a terminal."""
    counts = ", ".join(f"{count} {state}" for state, count in count_states(trials).items() if count)
    epochs = sum(sum(trial.epochs) for trial in trials)
    folds = f"{n_folds} fold{'s' if n_folds != 1 else ''}"
    head = f"{len(trials)} trials ({counts or 'none'}), {folds}, {epochs} epochs, {format_time(seconds)}"
    lines = [f"{head}, ended by: {stopped_by}"]
    means = np.array([trial.score for trial in trials], np.float64)
    scores = _matrix((trial.scores.get(metric, ()) for trial in trials), len(trials), n_folds)
    _, deviations = _mean_and_deviation(scores)
    ranks = rank([trial.budget for trial in trials], means, direction)
    order = np.argsort(ranks, kind="stable")[:_SHOWN_TRIALS]
    if len(order):
        titles = f"{'rank':>4} {'trial':>6} {metric[:20]:>20} {'epochs':>7} {'seconds':>8} {'state':<8}"
        lines.append(f"{titles}  parameters")
    for i in order:
        trial = trials[i]
        score = "-" if math.isnan(means[i]) else f"{means[i]:.5g} +- {deviations[i]:.2g}"
        row = f"{ranks[i]:>4} {trial.number:>6} {score:>20} {sum(trial.epochs):>7} {trial.seconds:>8.3g}"
        lines.append(f"{row} {trial.state:<8}  {format_params(trial.params)}")
    if len(trials) > len(order):
        lines.append(f"... and {len(trials) - len(order)} more in results_")
    failures = [trial for trial in trials if trial.has_failed]
    for trial in failures[:_SHOWN_FAILURES]:
        lines.append(f"trial {trial.number} {trial.state}: {last_line(trial.error)}")
    if len(failures) > _SHOWN_FAILURES:
        lines.append(f"... and {len(failures) - _SHOWN_FAILURES} more in failures_")
    return "\n".join(lines)
