"""Ensembles of a search's models: greedy selection on out-of-fold predictions, weighted means of outputs.

Notation: n rows, u outputs, T candidates; P (T, n, u) out-of-fold outputs, w (T,) weights that sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.layers import Activation, Input
from fastreg.model.core import core_of
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential
from fastreg.search.folds.adapter import stand_in
from fastreg.search.folds.evaluation import Context, FoldResult
from fastreg.search.found.results import Trial

__all__ = ["Ensemble", "greedy", "select"]


class Ensemble:
    """A weighted mean of trials; of each trial it is the mean of its folds' models. Made by ``search.ensemble(k)``.

    Attributes:
        members: The trials, the heaviest first.
        weights_: Their weights, which sum to 1.
        score_: The primary metric of the ensemble's out-of-fold predictions. It chose the members, so it is somewhat
            too good.
        single_score_: That of the best single candidate, on the same rows.
    """

    def __init__(
        self,
        members: Sequence[Trial],
        weights: Sequence[float],
        models: Sequence[Sequence[tuple[Any, Any]]],
        classes: NDArray[Any] | None,
        score: float,
        single_score: float,
    ) -> None:
        self.members = list(members)
        self.weights_ = np.array(weights, np.float64)
        self.score_ = score
        self.single_score_ = single_score
        self._models = [list(folds) for folds in models]
        self._classes = classes

    def __repr__(self) -> str:
        shown = ", ".join(f"{w:.2g} of trial {t.number}" for w, t in zip(self.weights_, self.members, strict=True))
        return f"<Ensemble: {shown}; score {self.score_:.5g}>"

    def outputs(self, X: Any) -> NDArray[np.float64]:
        """Weighted mean of the models' outputs (of classifying estimators: probabilities), (n, u)."""
        total: Any = 0.0
        for weight, folds in zip(self.weights_, self._models, strict=True):
            for model, chain in folds:
                x = X if chain is None else chain.transform(X)
                total = total + weight / len(folds) * _matrix(_outputs(model, x))
        return np.asarray(total)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predictions: the outputs (n, u) of ``Sequential`` models, or the classes or values of estimators.

        Args:
            X: Rows of features, as the search got them.
        """
        outputs = self.outputs(X)
        if isinstance(self._models[0][0][0], Model):
            return outputs.astype(np.float32)
        if self._classes is not None:
            return np.asarray(self._classes[np.argmax(outputs, axis=1)])
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def _outputs(model: Any, x: Any) -> NDArray[Any]:
    predict = getattr(model, "predict_proba", None) or model.predict
    return np.asarray(predict(x))


def _matrix(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(values, np.float64).reshape(len(values), -1)


def select(
    context: Context,
    trials: Sequence[Trial],
    best: Trial,
    lower_is_better: bool,
    trained: Callable[[list[Trial]], dict[int, list[FoldResult]]],
    picks: int,
    most: int,
) -> Ensemble:
    """The best average of the folds' models; see ``Search.ensemble``.

    Args:
        context: What the trials share.
        trials: The trials of the search.
        best: The best of them.
        lower_is_better: Whether a low score is a good one.
        trained: Gives the folds of trials with their models.
        picks: Trials to choose, with replacement.
        most: Trials to choose from.
    """
    if best.budget != context.epochs:
        raise ValueError(f"ensemble: no trial was trained to the full budget, {context.epochs}, but to {best.budget}")
    ranked = [t for t in trials if t.score == t.score and t.budget == best.budget and not t.has_failed]
    if not ranked:
        raise ValueError(
            "ensemble: a trial whose folds were all trained is needed, but each with a score has a fold that raised an "
            "exception and got the error_score"
        )
    ranked.sort(key=lambda t: t.score if lower_is_better else -t.score)
    ranked = ranked[:most]
    folds = trained(ranked)
    for trial in ranked:
        for result in folds[trial.number]:
            if result.state != "ok":
                raise RuntimeError(f"ensemble: trial {trial.number} {result.state} when it was trained again")
    _check_alike([result for trial in ranked for result in folds[trial.number]])
    stacked, rows = _out_of_fold(context, [folds[trial.number] for trial in ranked])
    first = folds[ranked[0].number][0].model
    judge = _Judge(context, first, rows)
    sign = -1.0 if lower_is_better else 1.0
    picked, score, single = greedy(stacked, picks, lambda outputs: sign * judge(outputs))
    if not picked:
        raise ValueError("ensemble: no mean of out-of-fold predictions has a score by the metric of the search")
    counts = np.bincount(picked, minlength=len(ranked))
    order = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    return Ensemble(
        [ranked[i] for i in order],
        [counts[i] / counts.sum() for i in order],
        [[(result.model, result.preprocess) for result in folds[ranked[i].number]] for i in order],
        getattr(first, "classes_", None) if hasattr(first, "predict_proba") else None,
        sign * score,
        sign * single,
    )


def _check_alike(results: list[FoldResult]) -> None:
    """Refuses outputs that cannot be averaged."""
    if any(result.predictions is None for result in results):
        raise ValueError("ensemble: the estimator must have one output, but predict_proba gives an array for each")
    if not hasattr(results[0].model, "predict_proba"):
        return
    known: list[Any] = [getattr(result.model, "classes_", None) for result in results]
    if any(classes is not None and not np.array_equal(classes, known[0]) for classes in known):
        raise ValueError("ensemble: the training rows of every fold must have all classes; use a stratified cv")


def _out_of_fold(context: Context, trials: list[list[FoldResult]]) -> tuple[NDArray[np.float64], NDArray[np.uint32]]:
    """P, and the rows it is of: those scored in some fold; where a row is in several, the mean of its predictions."""
    n = len(context.y)
    times = np.zeros(n)
    for _, scored in context.folds:
        times[scored] += 1
    rows = np.flatnonzero(times).astype(np.uint32)
    stacked = []
    for folds in trials:
        total: Any = None
        for result, (_, scored) in zip(folds, context.folds, strict=True):
            values = _matrix(np.asarray(result.predictions))
            if total is None:
                total = np.zeros((n, values.shape[1]))
            total[scored] += values
        stacked.append(total[rows] / times[rows, None])
    return np.stack(stacked), rows


def greedy(
    stacked: NDArray[np.float64], picks: int, score: Callable[[NDArray[np.float64]], float], most: int | None = None
) -> tuple[list[int], float, float]:
    """The candidates of the best set found in the order in which they were picked, its score, and the best one's.

    Args:
        stacked: The outputs of each candidate, whose mean is scored.
        picks: Candidates to pick, with replacement; of the sets on the way the best is taken.
        score: Of a mean of outputs; higher is better, and NaN is no score. If no mean has one, none is picked.
        most: Different candidates to pick at most; None for any number.
    """
    picked: list[int] = []
    total = np.zeros(stacked.shape[1:])
    best_count, best_score, single = 0, -np.inf, -np.inf
    for step in range(1, picks + 1):
        full = most is not None and len(set(picked)) >= most
        allowed = sorted(set(picked)) if full else range(len(stacked))
        scores = {i: _comparable(score((total + stacked[i]) / step)) for i in allowed}
        chosen = max(scores, key=lambda i: (scores[i], -i))
        picked.append(chosen)
        total += stacked[chosen]
        if step == 1:
            single = scores[chosen]
        if scores[chosen] > best_score:
            best_count, best_score = step, scores[chosen]
    return picked[:best_count], best_score, single


def _comparable(score: float) -> float:
    return score if score == score else -np.inf


class _Judge:
    """Scores outputs by the primary metric of a search, through a model that gives its input as its output."""

    def __init__(self, context: Context, model: Any, rows: NDArray[np.uint32]) -> None:
        scoring = context.scorers
        self._scoring = type(scoring)((scoring.scorers[0],))
        self._context, self._rows, self._model = context, rows, model
        self._y = np.asarray(context.y)[rows]
        self._targets = None if context.targets is None else context.targets[rows]
        self._weights = context.fit_arguments.get("sample_weight") if isinstance(model, Model) else None

    def __call__(self, outputs: NDArray[np.float64]) -> float:
        every = np.arange(len(outputs), dtype=np.uint32)
        weights = None if self._weights is None else np.asarray(self._weights)[self._rows]
        if isinstance(self._model, Model):
            model: Any = self._identity(outputs.shape[1])
            outputs = outputs.astype(np.float32)
        else:
            model = _answering(self._model)
        return self._scoring.score(model, outputs, self._y, every, self._targets, weights)[self._scoring.primary]

    def _identity(self, units: int) -> Sequential:
        assert isinstance(self._model, Model)
        if not hasattr(self, "_made"):
            self._made = Sequential([Input((units,)), Activation("linear")], seed=0)
            self._made.compile("sgd", self._model.loss, self._model.metrics)
            self._scoring.prepare(self._made)
            self._made.build(units)
            core_of(self._made).classes = self._context.classes
        return self._made


def _answering(model: Any) -> Any:
    """An estimator of the same kind as ``model`` whose outputs are the rows that it is given."""
    if find_spec("sklearn") is None:
        raise ImportError("ensemble: estimators are scored with scikit-learn; pip install scikit-learn")
    classes = getattr(model, "classes_", None) if hasattr(model, "predict_proba") else None
    if classes is None:
        return stand_in(lambda x: x[:, 0] if x.shape[1] == 1 else x)
    return stand_in(lambda x: classes[np.argmax(x, axis=1)], lambda x: x, classes)
