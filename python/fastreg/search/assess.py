"""Cross-validation of one model, and of a whole search: scores on rows that had no part in choosing the model."""

from __future__ import annotations

import math
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fastreg.internal.call_errors import wants_targets
from fastreg.internal.checks import NON_NEGATIVE, SEED_LIMIT, check_int, describe
from fastreg.model.model import Model
from fastreg.search import plan as planning
from fastreg.search.base import Search
from fastreg.search.folds.building import own_values
from fastreg.search.folds.compiled import CompiledModel
from fastreg.search.folds.cross_validation import make_folds, rows_of, take
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Context, FoldResult, Task
from fastreg.search.folds.scoring import Scoring
from fastreg.search.folds.unscored import explain
from fastreg.search.workers.executors import make_runner
from fastreg.utils.seeds import draw_seed

__all__ = ["cross_validate", "nested_cross_validate", "trained_folds"]


class _Built:
    """Calls ``build`` with the same parameters for every fold."""

    def __init__(self, build: Any, params: Any) -> None:
        self._build, self._params = build, dict(params)

    def __call__(self, params: Any) -> Any:
        return self._build(own_values(self._params))


@wants_targets
def cross_validate(
    build: Any,
    X: Any,
    y: Any,
    *,
    params: Any = None,
    cv: Any = None,
    scoring: Any = None,
    groups: Any = None,
    n_jobs: int | None = -1,
    executor: Any = None,
    preprocess: Any = None,
    early_stopping_on: str = "inner",
    seed: int | None = None,
    return_train_score: bool = False,
    return_models: bool = False,
    **fit_arguments: Any,
) -> dict[str, Any]:
    """Scores one model on every fold.

    cv, scoring, groups, n_jobs, executor, preprocess, early_stopping_on and return_train_score mean the same as in
    :class:`~fastreg.search.Search` and its ``fit``.

    Args:
        build: ``build(params)``; or a compiled model, of which each fold gets a new one with the same layers
            and seed and without its weights, and whose parameters have the names that ``compile`` and ``fit`` know (see
            :class:`~fastreg.search.folds.compiled.CompiledModel`); or an estimator.
        X: Features.
        y: Targets.
        params: For ``build``, such as ``search.best_params_``; None is an empty dict.
        cv: Number of folds or a splitter; None, the default, is 5 folds.
        scoring: Metric or metrics; None is the model's own. For a single function and an estimator, one more model is
            trained, to see whether the function returns a dict of scores.
        groups: Group of each row, for splitters that use it.
        n_jobs: Folds at a time; -1, the default, and None are all processors.
        executor: Where the folds run; None, the default, is threads.
        preprocess: Transformers that are fitted within each fold; default None.
        early_stopping_on: ``"inner"``, the default, or ``"fold"``.
        seed: Seed of the folds and models in [0, 2**64); None draws one.
        return_train_score: Also score the training rows; default False.
        return_models: Also return the models of the folds.
        **fit_arguments: For the models' ``fit``.

    Returns:
        An array with an element for each fold by ``test_score`` (as in scikit-learn ``test_<metric>`` where ``scoring``
        is a list or a dict, or a function that returns one), ``train_...``, ``fit_time``, ``score_time``, ``epochs``
        and ``best_epoch``; the lists ``histories`` and, if asked for, ``models``. A metric that is not defined for the
        rows of a fold, as the AUC of a single class, is NaN there, with a warning.

    Raises:
        ValueError: If an argument is out of range.
        RuntimeError: If a fold fails; the message has its traceback.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import cross_validate
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> model = fr.Sequential([fr.layers.Dense(1, "sigmoid")], seed=0)
        >>> model.compile(fr.optimizers.Adam(0.1), "binary_crossentropy", ["accuracy"])
        >>> scores = cross_validate(model, x, x[:, 0] > 0, cv=3, seed=0, epochs=30)
        >>> scores["test_score"].shape, bool(scores["test_score"].mean() > 0.8)
        ((3,), True)
    """
    chosen = draw_seed() if seed is None else check_int("cross_validate", "seed", seed, NON_NEGATIVE, SEED_LIMIT)
    context, found = trained_folds(
        "cross_validate",
        build,
        X,
        y,
        params=params,
        n_jobs=n_jobs,
        executor=executor,
        keep_models=return_models,
        cv=cv,
        groups=groups,
        scoring=scoring,
        fit_arguments=fit_arguments,
        preprocess=preprocess,
        seed=chosen,
        return_train_score=return_train_score,
        early_stopping_on=early_stopping_on,
    )
    return _columns(found, context.scorers, return_models)


def trained_folds(
    call: str,
    build: Any,
    x: Any,
    y: Any,
    *,
    params: Any,
    n_jobs: int | None,
    executor: Any,
    keep_models: bool,
    cv: Any,
    **options: Any,
) -> tuple[Context, list[FoldResult]]:
    """Trains and scores one model on every fold.

    Args:
        call: The function that the user called, for messages.
        build: As in :func:`cross_validate`.
        x: Features.
        y: Targets.
        params: The parameters, or None.
        n_jobs: Folds at a time; None is all processors.
        executor: Where the folds run.
        keep_models: Whether results have their models.
        cv: Number of folds or a splitter; None is 5 folds.
        **options: Of :func:`fastreg.search.folds.dry_run.make_context`.

    Returns:
        What the folds share, and their results in the order of the folds.

    Raises:
        RuntimeError: If a fold fails; the message has its traceback.
    """
    if isinstance(build, Model):
        build = CompiledModel(build, keeps_seed=True)
    elif params is not None and not hasattr(build, "set_params"):
        build, params = _Built(build, params), None
    sample = dict(params or {})
    cv = 5 if cv is None else cv
    context = make_context(build, [sample], x, y, **{"cv": cv, "probes": True, **options})
    found: list[FoldResult] = []
    with make_runner(context, -1 if n_jobs is None else n_jobs, executor) as runner:
        for fold in range(len(context.folds)):
            task = Task(0, fold, sample, stop=context.epochs, keep_model=keep_models)
            runner.submit(task)
        while len(found) < len(context.folds):
            result = runner.completed()
            assert result is not None
            if result.state not in ("ok", "unscored"):
                raise RuntimeError(f"{call}: fold {result.fold} {result.state}:\n{result.error}")
            found.append(result)
    found.sort(key=lambda result: result.fold)
    _warn_of_gaps(call, context, found)
    return context, found


def _warn_of_gaps(call: str, context: Context, found: list[FoldResult]) -> None:
    """Warns of each metric that is not defined for the rows of some fold; its score there is NaN."""
    for name in context.scorers.names:
        gaps = [result for result in found if not math.isfinite(result.scores[name])]
        if gaps:
            first = gaps[0]
            why = explain(name, first.scores[name], context.y, context.folds[first.fold][1], first.fold)
            warnings.warn(f"{call}: {why}; {len(gaps)} of {len(found)} folds have no such score", stacklevel=4)


def _columns(found: list[FoldResult], scoring: Scoring, models: bool) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in scoring.names:
        key = name if scoring.several else "score"
        columns[f"test_{key}"] = np.array([result.scores[name] for result in found])
        if found[0].train_scores is not None:
            columns[f"train_{key}"] = np.array([(result.train_scores or {})[name] for result in found])
    columns["fit_time"] = np.array([result.seconds for result in found])
    columns["score_time"] = np.array([result.score_seconds for result in found])
    columns["epochs"] = np.array([result.epochs for result in found])
    columns["best_epoch"] = np.array([result.best_epoch for result in found])
    columns["histories"] = [result.history or {} for result in found]
    if models:
        columns["models"] = [result.model for result in found]
    return columns


@wants_targets
def nested_cross_validate(
    search: Search, X: Any, y: Any, *, cv: Any = None, groups: Any = None, **fit_arguments: Any
) -> dict[str, Any]:
    """Scores a search as a whole: in every outer fold it runs on the training rows and is scored on the others.

    The score of a search's best trial is optimistic, because it was used to choose the trial. This score is not.

    Args:
        search: The search to repeat; it is not changed. The number of the outer fold is added to a journal's name.
        X: Features.
        y: Targets.
        cv: The outer folds, by default and for None 5; the search's own ``cv`` are the inner ones.
        groups: Group of each row, for both.
        **fit_arguments: For ``search.fit``. A ``sample_weight`` goes to the training rows.

    Returns:
        Arrays with an element for each outer fold: ``test_score`` (and ``test_<metric>`` where there may be several),
        ``best_score`` (the inner one) and ``seconds``; the lists ``best_params`` and ``searches``.

    Raises:
        TypeError: If ``search`` is not a search.
        ValueError: If it has ``refit=False``.
        KeyboardInterrupt: If Ctrl-C ends one of the searches.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import GridSearch, nested_cross_validate
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> def build(params):
        ...     model = fr.Sequential([fr.layers.Dense(1, "sigmoid")])
        ...     model.compile(fr.optimizers.Adam(params["lr"]), "binary_crossentropy", ["accuracy"])
        ...     return model
        >>> search = GridSearch(build, {"lr": [1e-1, 1e-4]}, cv=3, seed=0, verbose=0)
        >>> found = nested_cross_validate(search, x, x[:, 0] > 0, cv=3, epochs=20)
        >>> [params["lr"] for params in found["best_params"]]
        [0.1, 0.1, 0.1]
    """
    if not isinstance(search, Search):
        raise TypeError(f"nested_cross_validate: search must be a search, got {describe(search)}")
    if not search.refit:
        raise ValueError("nested_cross_validate: the search must refit its best model, got refit=False")
    seed = draw_seed() if search.seed is None else search.seed
    folds = make_folds(5 if cv is None else cv, X, y, groups, seed, planning.are_classes(search._options(), y, seed))
    columns: dict[str, list[Any]] = {"test_score": [], "best_score": [], "seconds": [], "best_params": []}
    searches = []
    for i, (train, test) in enumerate(folds):
        begun = time.monotonic()
        inner = _copy_of(search, seed, i)
        inner._spreads_known = i > 0
        arguments = {name: rows_of(value, train, len(y)) for name, value in fit_arguments.items()}
        inner.fit(take(X, train), take(y, train), None if groups is None else take(groups, train), **arguments)
        if not hasattr(inner, "best_model_"):  # Ctrl-C ended the search, or its refit
            raise KeyboardInterrupt
        scores = inner.scores(take(X, test), take(y, test))
        columns["test_score"].append(scores[inner.metric_])
        for name, value in scores.items() if inner.multimetric_ else ():
            columns.setdefault(f"test_{name}", []).append(value)
        columns["best_score"].append(inner.best_score_)
        columns["best_params"].append(inner.best_params_)
        columns["seconds"].append(time.monotonic() - begun)
        searches.append(inner)
    lists = ("best_params",)
    return {k: v if k in lists else np.array(v) for k, v in columns.items()} | {"searches": searches}


def _copy_of(search: Search, seed: int, fold: int) -> Search:
    made = type(search)(**search.get_params())
    made.seed = seed
    if search.journal is not None:
        path = Path(os.fsdecode(search.journal))
        made.journal = path.with_name(f"{path.stem}-{fold}{path.suffix}")
    return made
