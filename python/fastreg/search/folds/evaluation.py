"""One fold of one trial: build the model, train it on some rows, score it on others; in any thread or process.

``evaluate(context, task)`` depends on its arguments alone, so that a result does not depend on where and when it was
computed. An exception of user code becomes part of the result. This module knows nothing of strategies, queues and
journals.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastreg._core import DivergenceError
from fastreg.callbacks import Callback, EarlyStopping, StopSignal, TimeLimit
from fastreg.data.frames import Names
from fastreg.model.core import core_of
from fastreg.model.fitting import check_verbose
from fastreg.model.labels import Classes
from fastreg.model.model import Model
from fastreg.runtime import of_thread, thread_limit
from fastreg.search.folds import building, unscored
from fastreg.search.folds.building import fold_seed, new_model
from fastreg.search.folds.cross_validation import Fold, Rows, inner_split, rows_of, take
from fastreg.search.folds.deadline import Deadline
from fastreg.search.folds.fold_result import FoldResult
from fastreg.search.folds.model_fingerprint import Fingerprint
from fastreg.search.folds.predictions import outputs
from fastreg.search.folds.preprocessing import Chain, Once, fit_fold
from fastreg.search.folds.scoring import Scoring
from fastreg.search.folds.stratification import Labels
from fastreg.search.folds.trial_callbacks import FoldOfTrial, callbacks_of
from fastreg.search.folds.watchers import EndsBefore, Paused, Watch

__all__ = ["Context", "FoldResult", "Task", "evaluate", "fit_estimator", "fold_seed", "refit"]

# The share of a fold's training rows that early stopping watches, where validation_split does not say.
_INNER_SHARE = 0.1

# Numbers for seeds that are derived for other purposes than folds. Folds are counted from 0.
_REFIT = 2**32 - 1
_INNER = 2**32 - 2

# The values of history.stopped_by if the search has ended a fit.
_OURS = ("stop_signal", "time_limit")

# The arguments of fit that say how to validate.
_OF_VALIDATION = tuple(f"validation_{name}" for name in ("split", "data", "freq", "steps", "batch_size"))

# Longest traceback that is kept, in characters from its end.
_LONGEST_ERROR = 10_000


class ThresholdsOfFolds(Protocol):
    """The thresholds that prune a trial, see :class:`Task`."""

    def of(self, fold: int) -> Sequence[float]:
        """The limit of the fold after each epoch; NaN means that there is none."""


@dataclass(frozen=True, eq=False)
class Context:
    """The context that all tasks of a search share. :func:`fastreg.search.folds.dry_run.make_context` makes it.

    It can be pickled.

    Attributes:
        build: The function ``build(params)``, or an estimator to copy.
        x: Features; for ``Sequential`` models without preprocessing in the form that the core reads.
        y: Targets, as the user gave them.
        folds: Pairs of row numbers.
        scorers: The scores to compute.
        fit_arguments: Keyword arguments of the models' ``fit``.
        preprocess: Transformers to fit within each fold, or None.
        seed: The seed of the search.
        return_train_score: Whether to score the training rows, too.
        early_stopping_on: ``"inner"``: rows held out of the training rows; ``"fold"``: the scored rows.
        threads: The largest number of threads of a fit; None leaves it to the process.
        targets: Targets in the form that the core reads; None is ``y``.
        labels: The classes of the rows, for stratified inner splits; None if targets are not classes.
        epochs: The full budget; None if the estimator decides.
        fingerprint: Computes the fingerprints of models; None if they are not needed, or would be random.
        names: The names of the columns of ``x``, for ``Sequential`` models without preprocessing; or None.
        classes: The labels of the classes of ``Sequential`` models, where they are strings; or None.
        error_score: The score of a fold that raises an exception. NaN: it has none; ``"raise"``: it has none, and its
            result has the exception.
        precision: The precision of products of models that ``build`` compiles without one.
    """

    build: Any
    x: Any
    y: Any
    folds: Sequence[Fold]
    scorers: Scoring
    fit_arguments: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Chain | None = None
    seed: int = 0
    return_train_score: bool = False
    early_stopping_on: str = "inner"
    threads: int | None = None
    targets: Any = None
    labels: Labels | None = None
    epochs: int | None = None
    fingerprint: Fingerprint | None = None
    names: Names | None = None
    classes: Classes | None = None
    error_score: float | str = math.nan
    precision: str = "highest"
    _once: Once = field(default_factory=Once, repr=False)

    def with_threads(self, threads: int | None) -> Context:
        """The same context with another thread budget. It shares values that were computed once."""
        return replace(self, threads=threads)

    def fingerprint_of(self, model: Any, arguments: Mapping[str, Any]) -> str | None:
        """The fingerprint of a model which ``build`` returned with these arguments of ``fit``; None if not needed."""
        if self.fingerprint is None:
            return None
        return self.fingerprint.of(model, arguments, self.fit_arguments, self.scorers.metrics)


@dataclass(frozen=True, slots=True)
class Task:
    """One fold of one trial, up to some epoch.

    Attributes:
        trial: The number of the trial.
        fold: The number of the fold.
        params: The parameters of the trial.
        start: The epoch to continue from; above 0 only with ``model``.
        stop: The epoch to end before. None, or the context's ``epochs``, is the full budget, which is the trial's own
            if ``build`` returned ``epochs``.
        model: The ``model`` of the :class:`FoldResult` that stopped at ``start``.
        thresholds: If not None, ``of(fold)`` returns the limit after each epoch: if the best value of the primary
            metric is worse, the fold is pruned.
        keep_model: Whether to return the model, to continue later, or to predict with it after the full budget.
        deadline: When the fit ends at the latest; None means that there is no such moment.
    """

    trial: int
    fold: int
    params: Mapping[str, Any]
    start: int = 0
    stop: int | None = None
    model: object | None = None
    thresholds: ThresholdsOfFolds | None = None
    keep_model: bool = False
    deadline: Deadline | None = None


class Prepared(NamedTuple):
    """A fold as a model gets it."""

    x: Any
    train: Rows
    scored: Rows
    preprocess: Chain | None


def evaluate(context: Context, task: Task, stop: StopSignal | None = None) -> FoldResult:
    """Trains and scores one fold of one trial.

    Args:
        context: The context that all tasks share.
        task: The fold and the trial.
        stop: An event that ends the fit when another thread sets it.

    Returns:
        The result, which contains exceptions of user code. Only KeyboardInterrupt and SystemExit are raised.
    """
    return _guarded(_evaluate, context, task, stop)


def refit(context: Context, task: Task, stop: StopSignal | None = None) -> FoldResult:
    """Trains a trial's model on all rows for ``task.stop`` epochs, without validation; nothing is scored.

    Callbacks that monitor validation values are left out.
    """
    return _guarded(_refit, context, task, stop)


def _guarded(work: Any, context: Context, task: Task, stop: StopSignal | None) -> FoldResult:
    result = FoldResult(task.trial, task.fold)
    if (stop is not None and stop.is_set) or (task.deadline is not None and task.deadline.is_over):
        result.state = "stopped"
        return result
    raised: Exception | None = None
    before = of_thread.precision
    try:
        of_thread.precision = context.precision
        if context.threads is None:
            work(context, task, stop, result)
        else:
            with thread_limit(context.threads):
                work(context, task, stop, result)
    except DivergenceError as error:
        result.state, result.error = "diverged", f"{error}\nparams: {dict(task.params)}"
        raised = error
    except Exception as error:
        result.state, result.error = "failed", error_text(error, task.params)
        raised = error
    finally:
        of_thread.precision = before
    if raised is not None and work is _evaluate:
        _take_error(context, result, raised)
    if result.state in ("failed", "diverged", "stopped"):
        result.scores, result.train_scores, result.model, result.predictions = {}, None, None, None
    return result


def _take_error(context: Context, result: FoldResult, error: Exception) -> None:
    """Does what ``error_score`` says: gives the fold that score, or keeps the exception."""
    score = context.error_score
    if isinstance(score, str):
        result.raised, result.state = error, "failed"
    elif not math.isnan(score):
        result.state = "ok"
        result.scores = dict.fromkeys(context.scorers.names, score)
        result.train_scores = dict(result.scores) if context.return_train_score else None


def error_text(error: BaseException, params: Mapping[str, Any]) -> str:
    """The traceback without the library's own lines at its top, then the parameters."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, building.__file__):
        trace = trace.tb_next
    lines = "".join(traceback.format_exception(type(error), error, trace))
    return f"{lines[-_LONGEST_ERROR:]}params: {dict(params)}"


def _evaluate(context: Context, task: Task, stop: StopSignal | None, result: FoldResult) -> None:
    begun = time.perf_counter()
    fold = prepared(context, task.fold)
    final = task.stop is None or context.epochs is None or task.stop >= context.epochs
    paused = task.model if isinstance(task.model, Paused) else None
    model: Any
    if paused is not None:
        model, arguments, result.fingerprint = paused.model, paused.arguments, paused.fingerprint
    else:
        model, arguments = new_model(context.build, task.params, fold_seed(context.seed, task.trial, task.fold))
        result.fingerprint = context.fingerprint_of(model, arguments)
    given = {**context.fit_arguments, **arguments}
    try:
        if isinstance(model, Model):
            if paused is None:
                context.scorers.prepare(model)
                _tell(context, model, fold)
            paused = _fit_sequential(context, task, model, fold, given, stop, result, paused, final)
        else:
            fit_estimator(context, model, fold, given)
    finally:
        result.seconds = time.perf_counter() - begun
    if result.state == "stopped":
        return
    begun = time.perf_counter()
    _score(context, model, fold, given, task.params, result)
    if task.keep_model and result.state == "ok":
        result.preprocess = fold.preprocess
        if not final and paused is not None:
            paused.arguments, paused.fingerprint = arguments, result.fingerprint
            result.model = paused
        else:
            result.model, result.predictions = model, outputs(model, fold.x, fold.scored)
    result.score_seconds = time.perf_counter() - begun


def _tell(context: Context, model: Model, fold: Prepared) -> None:
    """Gives a model the names of columns and classes, which its data lack, and records that spreads were checked."""
    names = context.names if fold.preprocess is None else fold.preprocess.names_out
    core = core_of(model)
    core.feature_names = names or core.feature_names
    core.classes = context.classes or core.classes
    core.spreads_known = True


def _score(
    context: Context,
    model: Any,
    fold: Prepared,
    given: Mapping[str, Any],
    params: Mapping[str, Any],
    result: FoldResult,
) -> None:
    weights = given.get("sample_weight") if isinstance(model, Model) else None
    score = context.scorers.score
    result.scores = score(model, fold.x, context.y, fold.scored, context.targets, weights)
    if context.return_train_score:
        result.train_scores = score(model, fold.x, context.y, fold.train, context.targets, weights)
    if all(map(math.isfinite, result.scores.values())):
        return
    if unscored.has_diverged(model, fold.x, fold.scored):
        outputs = "the model's outputs are not finite, and so a score is not"
        result.state, result.error = "diverged", f"{outputs}: {result.scores}\nparams: {dict(params)}"
        return
    name = context.scorers.primary
    if not math.isfinite(result.scores[name]):  # of the others it is a gap in the table
        why = unscored.explain(name, result.scores[name], context.y, fold.scored, result.fold)
        result.state, result.error = "unscored", f"{why}\nparams: {dict(params)}"


def prepared(context: Context, fold: int) -> Prepared:
    """The features of a fold, preprocessed the first time, and its rows."""
    train, scored = context.folds[fold]
    if context.preprocess is None:
        return Prepared(context.x, train, scored, None)
    chain = context.preprocess
    fitted, x = context._once.get(fold, lambda: fit_fold(chain, context.x, context.y, train, scored))
    return Prepared(x, train, scored, fitted)


def monitors_validation(callback: Callback) -> bool:
    """Whether a callback monitors a value that only validation provides."""
    return str(getattr(callback, "monitor", "")).startswith("val_")


def _validation(
    context: Context, task: Task, fold: Prepared, given: dict[str, Any], callbacks: list[Callback]
) -> dict[str, Any]:
    """The rows that the fit is given: to train on, and to score after each epoch."""
    share = given.pop("validation_split", 0.0)
    own = given.get("validation_data")
    if own is not None:
        if fold.preprocess is not None:
            given["validation_data"] = (fold.preprocess.transform(own[0]), *own[1:])
        return {"rows": fold.train}
    watched = any(map(monitors_validation, callbacks))
    if share or (watched and context.early_stopping_on == "inner"):
        seed = fold_seed(context.seed, _INNER, task.fold)
        share = share or _INNER_SHARE
        key = ("inner", task.fold, share)
        train, inner = context._once.get(key, lambda: inner_split(fold.train, share, context.labels, seed))
        return {"rows": train, "validation_rows": inner}
    if watched or task.thresholds is not None:
        return {"rows": fold.train, "validation_rows": fold.scored}
    return {"rows": fold.train}


def _fit_sequential(
    context: Context,
    task: Task,
    model: Model,
    fold: Prepared,
    given: dict[str, Any],
    stop: StopSignal | None,
    result: FoldResult,
    paused: Paused | None,
    final: bool,
) -> Paused | None:
    """Fits a model and fills the result. Returns the paused model if this is not the full budget."""
    given = dict(given)
    wanted = given.pop("callbacks", None)
    if paused is not None:
        callbacks = paused.callbacks
    else:
        callbacks = [] if wanted is None else callbacks_of(wanted, FoldOfTrial(task.trial, task.fold, task.params))
    validation = _validation(context, task, fold, given, callbacks)
    if paused is not None or (task.keep_model and not final):
        paused = paused or Paused.of(model, callbacks)
        callbacks = paused.begin()
        stoppers: list[Any] = list(paused.stoppers)
    else:
        stoppers = [item for item in callbacks if isinstance(item, EarlyStopping)]
    watch = None
    if task.thresholds is not None:
        primary = context.scorers.scorers[0]
        watch = Watch(f"val_{primary.key}", primary.direction, task.thresholds.of(task.fold))
        callbacks.insert(0, watch)  # before others change the logs
    callbacks += _ends(task, stop)
    start = task.start if paused is None else paused.epochs
    epochs = given.get("epochs", 1)
    ends = EndsBefore(task.stop or 1) if not final and (task.stop or 1) < epochs else None
    if ends is not None:
        callbacks.append(ends)
    check_verbose("fit", given.get("verbose", 0))  # for the refit; many folds at once show nothing
    given |= {"epochs": epochs, "initial_epoch": start, "verbose": 0, "callbacks": callbacks, **validation}
    targets = context.y if context.targets is None else context.targets
    if paused is not None and paused.ended:
        result.history, result.epochs = {}, paused.epochs
    else:
        try:
            with (own := Lock()):
                if paused is not None:
                    paused.judge(own)
                model.fit(fold.x, targets, **given)
        finally:
            if (history := model.history) is not None:
                result.take(history, start)
        if history is not None and history.stopped_by in _OURS and _is_over(task, stop):
            result.state = "stopped"
            return None
    if watch is not None:
        result.curve = watch.curve
        if watch.pruned:
            result.state = "pruned"
    result.best_epoch = next((stopper.best_epoch + 1 for stopper in stoppers if stopper.best is not None), None)
    if paused is not None:
        paused.end(result.epochs, ends is not None and ends.others)
    return paused


def _ends(task: Task, stop: StopSignal | None) -> list[Callback]:
    ends: list[Callback] = [] if stop is None else [stop]
    if task.deadline is not None:
        ends.append(TimeLimit(max(task.deadline.left, 1e-6)))
    return ends


def _is_over(task: Task, stop: StopSignal | None) -> bool:
    """Whether the search ended the fit, and not a limit of the user's own."""
    return (stop is not None and stop.is_set) or (task.deadline is not None and task.deadline.is_over)


def fit_estimator(context: Context, model: Any, fold: Prepared, given: Mapping[str, Any]) -> None:
    """Fits an estimator on the training rows of a fold, with the arguments for those rows."""
    rows = fold.train
    n = len(context.y)
    arguments = {name: rows_of(value, rows, n) for name, value in given.items()}
    model.fit(take(fold.x, rows), take(context.y, rows), **arguments)


def _refit(context: Context, task: Task, stop: StopSignal | None, result: FoldResult) -> None:
    begun = time.perf_counter()
    n = len(context.y)
    rows = np.arange(n, dtype=np.uint32)
    x = context.x
    if context.preprocess is not None:
        result.preprocess, x = fit_fold(context.preprocess, context.x, context.y, rows, rows[:0])
    model, arguments = new_model(context.build, task.params, fold_seed(context.seed, task.trial, _REFIT))
    given = {**context.fit_arguments, **arguments}
    fold = Prepared(x, rows, rows[:0], result.preprocess)
    if not isinstance(model, Model):
        fit_estimator(context, model, fold, given)
    else:
        context.scorers.prepare(model)
        _tell(context, model, fold)
        for name in _OF_VALIDATION:
            given.pop(name, None)
        made = callbacks_of(given.pop("callbacks", None), FoldOfTrial(task.trial, None, task.params))
        callbacks = [item for item in made if not monitors_validation(item)]
        given.setdefault("verbose", 0)
        given["epochs"] = task.stop if task.stop is not None else given.get("epochs", 1)
        targets = context.y if context.targets is None else context.targets
        history = model.fit(x, targets, **given, callbacks=[*callbacks, *_ends(task, stop)])
        result.take(history)
        if history.stopped_by in _OURS and _is_over(task, stop):
            result.state = "stopped"
    result.model, result.seconds = model, time.perf_counter() - begun
