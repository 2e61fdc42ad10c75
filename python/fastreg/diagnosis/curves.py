"""Scores over the number of training rows, and over the values of one parameter, each by cross-validation.

The models are trained anew for every point and every fold by :func:`fastreg.search.cross_validate`, in parallel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.internal import pictures, whole_files
from fastreg.internal.call_errors import wants_targets
from fastreg.internal.checks import NON_NEGATIVE, SEED_LIMIT, check_int, check_name, describe
from fastreg.internal.extras import needs
from fastreg.model.model import Model
from fastreg.search.assess import cross_validate
from fastreg.search.folds.compiled import check_single
from fastreg.search.folds.cross_validation import make_folds
from fastreg.search.folds.dry_run import are_classes, try_out
from fastreg.search.folds.scoring import resolve
from fastreg.utils.seeds import draw_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Curve", "learning_curve", "validation_curve"]

# The colours of fastreg.plots.
_TRAINING, _VALIDATION = "#0072b2", "#d55e00"


# What the points of a learning curve are.
_ROWS = "training rows"


class Curve:
    """Scores of training and validation rows for each point of a curve.

    It can be unpacked as what scikit-learn's function of the same name returns: ``sizes, train_scores, test_scores =
    learning_curve(...)`` and ``train_scores, test_scores = validation_curve(...)``.

    Attributes:
        name: What the points are: ``"training rows"``, or the name of the parameter.
        points: The points.
        train_scores: The scores of the training rows, (points, folds).
        test_scores: The scores of the rows of each fold that were not trained on, (points, folds).
        fit_times: Seconds of each fit, (points, folds).
        metric: The name of the score.
        direction: ``"max"`` if higher scores are better, else ``"min"``.
    """

    def __init__(
        self, name: str, points: Sequence[Any], found: Sequence[dict[str, Any]], metric: str, direction: str
    ) -> None:
        self.name, self.metric, self.direction = name, metric, direction
        self.points = list(points)
        (key,) = _metrics_of(found[0])
        self.train_scores: NDArray[np.float64] = np.array([scores[f"train_{key}"] for scores in found])
        self.test_scores: NDArray[np.float64] = np.array([scores[f"test_{key}"] for scores in found])
        self.fit_times: NDArray[np.float64] = np.array([scores["fit_time"] for scores in found])

    @property
    def best(self) -> Any:
        """The point with the best mean score of the rows that were not trained on; the first of equal ones.

        Points that lack the score of a fold do not count.

        Raises:
            ValueError: If all points lack one.
        """
        means = self.test_scores.mean(axis=1)
        if np.isnan(means).all():
            raise ValueError(f"best: {self.metric} must be a finite number in every fold of some point, got NaN")
        return self.points[int(np.nanargmax(means) if self.direction == "max" else np.nanargmin(means))]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        sizes = [np.array(self.points)] if self.name == _ROWS else []
        return iter([*sizes, self.train_scores, self.test_scores])

    def __str__(self) -> str:
        shown = [str(point) if isinstance(point, str) else f"{point:g}" for point in self.points]
        width = max(len(self.name), *map(len, shown))
        lines = [f"{self.name:>{width}}  {'training':>10}  {'validation':>10}  ({self.metric}, mean of the folds)"]
        for text, train, test in zip(shown, self.train_scores, self.test_scores, strict=True):
            lines.append(f"{text:>{width}}  {train.mean():10.4g}  {test.mean():10.4g} ± {test.std():.2g}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Curve of {self.metric} over {len(self.points)} values of {self.name}>"

    def plot(self, path: whole_files.FilePath | None = None) -> Figure:
        """Draws the mean scores, each with a band of one standard deviation of the folds.

        Args:
            path: File to write, completely or not at all. Its ending determines the format. None writes no file.

        Raises:
            ModuleNotFoundError: If matplotlib is not installed; the extra ``plots`` has it.
        """
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(needs("plot", "plots", "matplotlib"), name="matplotlib") from error
        figure = pictures.for_notebooks(Figure(figsize=(5.4, 3.6), dpi=130, layout="constrained"))
        axes = figure.subplots()
        numbers = all(isinstance(point, (int, float)) and not isinstance(point, bool) for point in self.points)
        places = self.points if numbers else list(range(len(self.points)))
        for scores, label, colour in (
            (self.train_scores, "training", _TRAINING),
            (self.test_scores, "validation", _VALIDATION),
        ):
            mean, spread = scores.mean(axis=1), scores.std(axis=1)
            axes.plot(places, mean, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=label)
            axes.fill_between(places, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
        if numbers and min(places) > 0 and max(places) > 30 * min(places):
            axes.set_xscale("log")
        if not numbers:
            axes.set_xticks(places, [pictures.plain(str(point), 20) for point in self.points])
        axes.set_xlabel(pictures.plain(self.name))
        axes.set_ylabel(pictures.plain(self.metric.replace("_", " ")))
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
        if path is not None:
            pictures.save(figure, path)
        return figure


@wants_targets
def learning_curve(
    build: Any,
    X: Any,
    y: Any,
    *,
    train_sizes: ArrayLike = (0.1, 0.325, 0.55, 0.775, 1.0),
    params: Any = None,
    cv: Any = None,
    scoring: Any = None,
    groups: Any = None,
    seed: int | None = None,
    **arguments: Any,
) -> Curve:
    """Scores of models that are trained on growing parts of the data: would more rows help?

    If the score of the validation rows still improves at the right end, more rows help. If both curves meet at a bad
    score, the model is too weak for the task; if they stay apart, it over-fits.

    Args:
        build: ``build(params)``, a compiled model, or an estimator, as in :func:`fastreg.search.cross_validate`.
        X: Features.
        y: Targets.
        train_sizes: The numbers of training rows as shares in (0, 1] of the smallest training part of a fold, or as
            whole numbers >= 1. Within a fold each smaller part is contained in the larger ones.
        params: For ``build``.
        cv: Number of folds or a splitter; None, the default, is 5 folds.
        scoring: One metric; None is the model's own.
        groups: Group of each row, for splitters that use it.
        seed: Seed of folds, parts and models in [0, 2**64); None draws one.
        **arguments: Further arguments of :func:`fastreg.search.cross_validate` (``n_jobs``, ``preprocess`` ...) and of
            the models' ``fit`` (``epochs`` ...).

    Raises:
        ValueError: If an argument is out of range.
        RuntimeError: If a fit fails; the message has its traceback.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> x = np.random.default_rng(0).normal(size=(300, 4))
        >>> model = fr.Sequential([fr.layers.Dense(1, "sigmoid")], seed=0)
        >>> model.compile(fr.optimizers.Adam(0.05), "binary_crossentropy", ["accuracy"])
        >>> curve = fr.diagnosis.learning_curve(model, x, x[:, 0] > 0, train_sizes=[20, 200], cv=3, seed=0, epochs=20)
        >>> curve.points, curve.test_scores.shape, bool(curve.test_scores[1].mean() > 0.9)
        ([20, 200], (2, 3), True)
    """
    chosen = draw_seed() if seed is None else check_int("learning_curve", "seed", seed, NON_NEGATIVE, SEED_LIMIT)
    if isinstance(build, Model):
        check_single(build)
    model = build if isinstance(build, Model) else try_out(build, [dict(params or {})], chosen)
    folds = make_folds(5 if cv is None else cv, X, y, groups, chosen, are_classes(model, y))
    sizes = _sizes(train_sizes, min(len(train) for train, _ in folds))
    generator = np.random.default_rng(chosen)
    orders = [train[generator.permutation(len(train))] for train, _ in folds]
    arguments |= {"params": params, "scoring": scoring, "seed": chosen, "return_train_score": True}
    found = []
    for size in sizes:
        parts = [(np.sort(order[:size]), test) for order, (_, test) in zip(orders, folds, strict=True)]
        found.append(cross_validate(build, X, y, cv=parts, **arguments))
    return Curve(_ROWS, sizes, found, *_score(scoring, model, found[0]))


@wants_targets
def validation_curve(
    build: Any,
    X: Any,
    y: Any,
    *,
    param_name: str,
    param_range: Sequence[Any],
    params: Any = None,
    cv: Any = None,
    scoring: Any = None,
    groups: Any = None,
    seed: int | None = None,
    **arguments: Any,
) -> Curve:
    """Scores of models over the values of one parameter: where do they over-fit, where are they too weak?

    Args:
        build: ``build(params)``, a compiled model (whose parameters have the names that ``compile`` and ``fit`` know),
            or an estimator, as in :func:`fastreg.search.cross_validate`.
        X: Features.
        y: Targets.
        param_name: The parameter.
        param_range: Its values, at least one.
        params: The other parameters.
        cv: Number of folds or a splitter; None, the default, is 5 folds. All values are scored on the same folds.
        scoring: One metric; None is the model's own.
        groups: Group of each row, for splitters that use it.
        seed: Seed of folds and models in [0, 2**64); None draws one.
        **arguments: Further arguments of :func:`fastreg.search.cross_validate` and of the models' ``fit``.

    Raises:
        ValueError: If an argument is out of range.
        RuntimeError: If a fit fails; the message has its traceback.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> x = np.random.default_rng(0).normal(size=(200, 4))
        >>> def build(params):
        ...     model = fr.Sequential([fr.layers.Dense(1, kernel_regularizer=fr.regularizers.L2(params["l2"]))])
        ...     model.compile(fr.optimizers.Adam(0.1), "mse")
        ...     return model
        >>> curve = fr.diagnosis.validation_curve(
        ...     build, x, x[:, 0], param_name="l2", param_range=[1e-4, 10.0], cv=3, seed=0, epochs=30)
        >>> curve.best
        0.0001
    """
    name = check_name("validation_curve", "param_name", param_name)
    values = list(param_range)
    if not values:
        raise ValueError("validation_curve: param_range must hold one value at least, got none")
    chosen = draw_seed() if seed is None else check_int("validation_curve", "seed", seed, NON_NEGATIVE, SEED_LIMIT)
    samples = [{**(params or {}), name: value} for value in values]
    model = try_out(build, samples, chosen)
    folds = make_folds(5 if cv is None else cv, X, y, groups, chosen, are_classes(model, y))
    arguments |= {"scoring": scoring, "seed": chosen, "return_train_score": True, "cv": folds}
    found = [cross_validate(build, X, y, params=sample, **arguments) for sample in samples]
    return Curve(name, values, found, *_score(scoring, model, found[0]))


def _sizes(given: ArrayLike, most: int) -> list[int]:
    """The numbers of training rows, sorted, each once."""
    sizes = np.asarray(given)
    if sizes.ndim != 1 or sizes.size == 0 or sizes.dtype.kind not in "iuf":
        raise ValueError(f"learning_curve: train_sizes must be a list of numbers, got {describe(given)}")
    shares = sizes.dtype.kind == "f"
    good = (sizes > 0) & (sizes <= 1) if shares else (sizes >= 1) & (sizes <= most)
    if not good.all():
        rule = "shares in (0, 1]" if shares else f"whole numbers in [1, {most}]"
        raise ValueError(f"learning_curve: train_sizes must be {rule}, got {sizes[~good][0].item()!r}")
    rows = np.floor(sizes * most + 1e-9) if shares else sizes
    return [int(n) for n in np.unique(np.maximum(rows, 1))]


def _score(scoring: object, model: Any, found: dict[str, Any]) -> tuple[str, str]:
    """The name and the better direction of the score. ValueError if there are several."""
    names = _metrics_of(found)
    if len(names) > 1:
        raise ValueError(f"scoring: a curve is of one score, got {', '.join(names)}")
    scoring = resolve(scoring, model)
    return scoring.primary, scoring.direction


def _metrics_of(found: dict[str, Any]) -> list[str]:
    """The names of the scores that ``cross_validate`` gives; "score" where ``scoring`` is a single one."""
    return [name.removeprefix("test_") for name in found if name.startswith("test_")]
