"""``cross_val_score`` and ``cross_val_predict``, as scikit-learn has them, for networks and estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import NON_NEGATIVE, SEED_LIMIT, check_choice, check_int
from fastreg.model.model import Model
from fastreg.search.assess import cross_validate, trained_folds
from fastreg.search.folds.adapter import probabilities_of
from fastreg.search.folds.cross_validation import take
from fastreg.search.folds.predictions import of_several
from fastreg.utils.seeds import draw_seed

__all__ = ["cross_val_predict", "cross_val_score"]

_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def cross_val_score(build: Any, X: Any, y: Any, *, scoring: Any = None, **arguments: Any) -> NDArray[np.float64]:
    """The score of each fold, as :func:`fastreg.search.cross_validate` gives it.

    Args:
        build: ``build(params)``, a compiled model, or an estimator.
        X: Features.
        y: Targets.
        scoring: One metric; None is the model's own.
        **arguments: Of :func:`fastreg.search.cross_validate`, such as ``params``, ``cv`` and ``seed``, and of the
            models' ``fit``.

    Raises:
        ValueError: If an argument is out of range, or there are several metrics.
        RuntimeError: If a fold fails; the message has its traceback.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import cross_val_score
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> model = fr.Sequential([fr.layers.Dense(1, "sigmoid")], seed=0)
        >>> model.compile(fr.optimizers.Adam(0.1), "binary_crossentropy", ["accuracy"])
        >>> bool(cross_val_score(model, x, x[:, 0] > 0, cv=3, seed=0, epochs=30).min() > 0.8)
        True
    """
    found = cross_validate(build, X, y, scoring=scoring, **arguments)
    keys = [key for key in found if key.startswith("test_")]
    if len(keys) > 1:
        names = ", ".join(key.removeprefix("test_") for key in keys)
        raise ValueError(f"cross_val_score: scoring must be one metric, got {names}; cross_validate takes several")
    scores: NDArray[np.float64] = found[keys[0]]
    return scores


def cross_val_predict(
    build: Any,
    X: Any,
    y: Any,
    *,
    params: Any = None,
    cv: Any = None,
    method: str = "predict",
    groups: Any = None,
    n_jobs: int | None = -1,
    executor: Any = None,
    preprocess: Any = None,
    early_stopping_on: str = "inner",
    seed: int | None = None,
    **fit_arguments: Any,
) -> Any:
    """Predictions for every row by a model that was not trained on it.

    Scores that are computed from all of them at once are not the mean of the folds' scores.

    Args:
        build: ``build(params)``, a compiled model, or an estimator, as in :func:`fastreg.search.cross_validate`.
        X: Features.
        y: Targets.
        params: For ``build``; None is an empty dict.
        cv: Number of folds or a splitter; None, the default, is 5 folds. Every row must be scored in exactly one fold.
        method: ``"predict"``, the default, ``"predict_proba"``, ``"predict_log_proba"`` or ``"decision_function"``. A
            network has the first two; ``"predict"`` gives its outputs.
        groups: Group of each row, for splitters that use it.
        n_jobs: Folds at a time; -1, the default, and None are all processors.
        executor: Where the folds run; None, the default, is threads.
        preprocess: Transformers that are fitted within each fold; default None.
        early_stopping_on: ``"inner"``, the default, or ``"fold"``.
        seed: Seed of the folds and models in [0, 2**64); None draws one.
        **fit_arguments: For the models' ``fit``.

    Returns:
        An array with a row for each row of ``X``, in its order. If the classifiers of some folds know fewer classes,
        the probabilities of the others are 0, and columns are in the sorted order of all classes. Of an estimator with
        several outputs, the probabilities are a list of arrays, one for each output.

    Raises:
        ValueError: If an argument is out of range, or the folds do not score every row once.
        RuntimeError: If a fold fails; the message has its traceback.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import cross_val_predict
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> model = fr.Sequential([fr.layers.Dense(1, "sigmoid")], seed=0)
        >>> model.compile(fr.optimizers.Adam(0.1), "binary_crossentropy")
        >>> outputs = cross_val_predict(model, x, x[:, 0] > 0, cv=3, seed=0, epochs=30)
        >>> outputs.shape, bool(np.mean((outputs[:, 0] > 0.5) == (x[:, 0] > 0)) > 0.8)
        ((120, 1), True)
    """
    check_choice("cross_val_predict", "method", method, _METHODS)
    chosen = draw_seed() if seed is None else check_int("cross_val_predict", "seed", seed, NON_NEGATIVE, SEED_LIMIT)
    context, found = trained_folds(
        "cross_val_predict",
        build,
        X,
        y,
        params=params,
        n_jobs=n_jobs,
        executor=executor,
        keep_models=True,
        cv=cv,
        groups=groups,
        scoring=(_unscored, "max"),
        fit_arguments=fit_arguments,
        preprocess=preprocess,
        seed=chosen,
        early_stopping_on=early_stopping_on,
        probes=False,
    )
    rows = np.concatenate([scored for _, scored in context.folds])
    if not np.array_equal(np.sort(rows), np.arange(len(context.y))):
        raise ValueError("cv: cross_val_predict needs folds that score every row exactly once")
    parts = []
    for result, (_, scored) in zip(found, context.folds, strict=True):
        features = take(context.x, scored)
        chain = result.preprocess
        parts.append(_predicted(result.model, method, features if chain is None else chain.transform(features)))
    classes = [getattr(result.model, "classes_", None) for result in found]
    if of_several(parts[0]):
        by_output = zip(zip(*parts, strict=True), zip(*classes, strict=True), strict=True)
        return [_joined(list(of_one), list(known), method, rows) for of_one, known in by_output]
    return _joined(parts, classes, method, rows)


def _joined(parts: list[Any], classes: list[Any], method: str, rows: NDArray[Any]) -> NDArray[Any]:
    """The outputs of the folds in the order of the data."""
    stacked = np.concatenate(parts if method == "predict" else _aligned(parts, classes, method))
    outputs = np.empty_like(stacked)
    outputs[rows] = stacked
    return outputs


def _unscored(model: Any, x: Any, y: Any) -> float:
    """Stands for the score, of which predictions have no need."""
    return 0.0


def _predicted(model: Any, method: str, x: Any) -> Any:
    if not isinstance(model, Model):
        if not hasattr(model, method):
            raise ValueError(f"cross_val_predict: {type(model).__name__} has no method {method!r}")
        found = getattr(model, method)(x)
        return found if of_several(found) else np.asarray(found)
    if method not in ("predict", "predict_proba"):
        raise ValueError(f"cross_val_predict: method must be predict or predict_proba for a network, got {method!r}")
    outputs = model.predict(x)
    return np.asarray(outputs if method == "predict" else probabilities_of(model, outputs))


def _aligned(parts: list[NDArray[Any]], classes: list[Any], method: str) -> list[NDArray[Any]]:
    """The outputs of the folds with a column for every class that one of them knows."""
    if any(known is None for known in classes) or all(np.array_equal(known, classes[0]) for known in classes):
        return parts
    if method != "predict_proba":
        raise ValueError(
            f"cross_val_predict: the training rows of every fold must have all classes for {method!r}; use a "
            "stratified cv, or method='predict_proba'"
        )
    known_anywhere = np.unique(np.concatenate(classes))
    aligned = []
    for part, known in zip(parts, classes, strict=True):
        whole = np.zeros((len(part), len(known_anywhere)), part.dtype)
        whole[:, np.searchsorted(known_anywhere, known)] = part
        aligned.append(whole)
    return aligned
