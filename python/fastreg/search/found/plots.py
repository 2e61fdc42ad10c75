"""Pictures of a search. matplotlib is imported when a picture is drawn, and its global state is never changed.

Every function takes a fitted search, returns a figure, and writes a file if a path is given. Scores are those of the
search's first metric, in its natural direction. Trials without a score (failed, diverged, unscored) are drawn
separately or left out, and a parameter that a trial does not have gets a position of its own ("not used"). The axis of
a parameter has the scale of its distribution in the space, and that of a score is linear; neither depends on which
values were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import check_choice
from fastreg.internal.extras import needs
from fastreg.internal.pictures import for_notebooks, plain, save
from fastreg.internal.whole_files import FilePath
from fastreg.search.found.ticks import NOT_USED, scale_of
from fastreg.search.found.ticks import Ticks as _Ticks
from fastreg.search.strategy.bayesian import silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PICTURES", "gaps", "history", "importance", "learning_curves", "parallel_coordinates", "plot", "slices"]

# Okabe and Ito's colours: told apart by colour-blind readers and in grey print.
_BLUE, _VERMILION, _GREEN, _GREY = "#0072b2", "#d55e00", "#009e73", "#999999"
_MAP = "viridis"

# An axis of scores ends where a value is worse than the worse quartile by this multiple of the interquartile range.
_FAR = 3.0
# The largest number of characters of a label that has neighbours.
_NARROW = 18


def plot(search: Any, kind: str, path: FilePath | None = None, **options: Any) -> Figure:
    """One of the pictures, by its name; a file is written whole or not at all.

    Raises:
        ValueError: If there is no such picture, or no trial to draw.
        OSError: If the file cannot be written.
        ImportError: If matplotlib, or for importance optuna, is not installed.
    """
    figure = PICTURES[check_choice("plot", "kind", kind, PICTURES)](search, **options)
    if path is not None:
        save(figure, path)
    return figure


def history(search: Any) -> Figure:
    """Score of every trial in the order of proposals, and the best so far."""
    figure, axes = _figure(7.0, 3.6)
    trials = _scored(search)
    numbers, scores = [t.number for t in trials], np.array([t.score for t in trials])
    whole = np.array([t.state == "ok" for t in trials])
    best = (np.maximum if search.direction_ == "max" else np.minimum).accumulate(
        np.where(whole, scores, _worst(search))
    )
    axes.scatter(np.array(numbers)[whole], scores[whole], s=18, color=_BLUE, label="trial", zorder=3)
    if not whole.all():
        axes.scatter(np.array(numbers)[~whole], scores[~whole], s=18, marker="x", color=_GREY, label="pruned")
    shown = np.isfinite(best)
    axes.step(np.array(numbers)[shown], best[shown], where="post", color=_VERMILION, linewidth=1.6, label="best so far")
    _show_bulk(axes, scores[whole] if whole.any() else scores, search.direction_)
    for mark, (state, colour) in enumerate((("diverged", _VERMILION), ("failed", "black"), ("unscored", _GREY))):
        missing = [t.number for t in search.trials_ if t.state == state]
        if missing:
            bottom = axes.get_ylim()[0]
            axes.scatter(
                missing, [bottom] * len(missing), s=24, marker="^vs"[mark], color=colour, label=state, clip_on=False
            )
    axes.set(xlabel="trial", ylabel=_title(search.metric_))
    axes.locator_params(axis="x", integer=True)
    _finish(axes, legend=True)
    return figure


def parallel_coordinates(search: Any, most: int = 200) -> Figure:
    """A line for each trial through its parameters to its score; the best trials are drawn last and darkest.

    Args:
        search: A fitted search.
        most: Best trials to draw at most.
    """
    trials = sorted(_scored(search), key=lambda t: _rank(search, t.score), reverse=True)[-most:]
    names = _names(trials)
    figure, axes = _figure(2.0 + 1.5 * (len(names) + 1), 4.2)
    columns = [_ticks_of(search, trials, name) for name in names]
    values = [t.score for t in trials]
    scores = _Ticks(values, limits=_bulk(np.array(values), search.direction_))
    colours = _colours(search, [t.score for t in trials])
    places = range(len(names) + 1)
    for i, colour in enumerate(colours):
        heights = [column.heights[i] for column in (*columns, scores)]
        axes.plot(places, heights, color=colour, linewidth=0.9, alpha=0.75)
    for place, column in enumerate((*columns, scores)):
        axes.axvline(place, color="black", linewidth=0.8)
        for height, text in column.ticks:
            axes.annotate(
                text,
                (place, height),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
    labels = [*(plain(name, _NARROW) for name in names), plain(search.metric_.replace("_", " "), _NARROW)]
    axes.set_xticks(list(places), labels, fontsize=9)
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(names) + 0.45)
    axes.spines[:].set_visible(False)
    return figure


def importance(search: Any) -> Figure:
    """How much of the scores' spread each parameter explains, by Optuna's PED-ANOVA (Watanabe et al., IJCAI 2023)."""
    shares = importances(search)
    figure, axes = _figure(6.0, 0.8 + 0.35 * len(shares))
    names = list(shares)[::-1]
    axes.barh(range(len(names)), [shares[name] for name in names], color=_BLUE, height=0.65)
    axes.set_yticks(range(len(names)), [plain(name, 2 * _NARROW) for name in names])
    for place, name in enumerate(names):
        axes.annotate(
            f"{shares[name]:.0%}",
            (shares[name], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_xlim(0, 1.12 * max(shares.values(), default=1.0) or 1.0)
    axes.set_xlabel(f"share of the spread of {_title(search.metric_)}")
    _finish(axes)
    return figure


def importances(search: Any) -> dict[str, float]:
    """The shares that :func:`importance` draws, the largest first; they sum to 1.

    Raises:
        ImportError: If optuna is not installed.
        ValueError: If fewer than four trials have a score, or no parameter varies.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ImportError(needs("importance", "bayesian", "optuna")) from error
    trials = _scored(search)
    names = [name for name in _names(trials) if len({repr(t.params.get(name)) for t in trials}) > 1]
    if len(trials) < 4 or not names:
        raise ValueError("importance: at least four trials must have a score, and a parameter must vary")
    columns = {name: _ticks_of(search, trials, name) for name in names}
    # Ticks place values on [0, 1] in the scale of the space; so a logarithmic range counts as one.
    space = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in names}
    with silent():
        study = optuna.create_study(direction="maximize" if search.direction_ == "max" else "minimize")
    for i, trial in enumerate(trials):
        params = {name: float(columns[name].heights[i]) for name in names}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=dict(space), value=trial.score))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def slices(search: Any) -> Figure:
    """Score against each parameter by itself."""
    trials = _scored(search)
    names = _names(trials)
    if not names:
        raise ValueError("slices: the space must have a parameter, got none")
    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    figure, grid = _grid(2.9 * columns, 2.6 * rows, rows, columns)
    scores = np.array([t.score for t in trials])
    for i, axes in enumerate(grid):
        if i >= len(names):
            axes.set_visible(False)
            continue
        ticks = _ticks_of(search, trials, names[i])
        axes.scatter(ticks.heights, scores, s=14, c=[t.number for t in trials], cmap=_MAP, alpha=0.85)
        axes.set_xticks([h for h, _ in ticks.ticks], [text for _, text in ticks.ticks], fontsize=7)
        axes.set_xlabel(plain(names[i], 2 * _NARROW), fontsize=9)
        _show_bulk(axes, scores, search.direction_)
        _finish(axes)
        if i % columns == 0:
            axes.set_ylabel(_title(search.metric_), fontsize=9)
    return figure


def learning_curves(search: Any, key: str | None = None) -> Figure:
    """Score of every trial after each epoch, as the mean of its folds: the monitored value, or the training loss.

    Args:
        search: A fitted search.
        key: Key of the histories; None is the validation value of the metric, of the loss, or the training loss, the
            first that the search has.
    """
    trials = [t for t in search.trials_ if any(t.histories or ())]
    if not trials:
        raise ValueError("learning_curves: no trial has a history; estimators have none")
    keys = list(dict.fromkeys(key for t in trials for h in t.histories for key in h))
    if key is None:
        key = next(k for k in (f"val_{search.metric_}", "val_loss", search.metric_, "loss", keys[0]) if k in keys)
    elif key not in keys:
        raise ValueError(f"learning_curves: unknown key {key!r}; the histories have: {', '.join(keys)}")
    figure, axes = _figure(7.0, 3.8)
    from matplotlib.ticker import MaxNLocator

    ordered = sorted(trials, key=lambda t: _rank(search, t.score), reverse=True)
    colours = _colours(search, [t.score for t in ordered])
    final = []
    for trial, colour in zip(ordered, colours, strict=True):
        epochs, curve = _mean_curve(trial, key)
        style = "-" if trial.state == "ok" else ":"
        marker = "o" if len(epochs) == 1 else None  # a line of one point is not seen
        axes.plot(epochs, curve, style, marker=marker, markersize=3, color=colour, linewidth=1.0, alpha=0.8)
        final += [v for v in curve if math.isfinite(v)]
    axes.set(xlabel="epoch", ylabel=_title(key))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    name = key.removeprefix("val_")
    _show_bulk(axes, np.array(final), search.direction_ if name == search.metric_ else "min" if name == "loss" else "")
    _finish(axes)
    _colour_bar(figure, axes, search, [t.score for t in ordered])
    return figure


def gaps(search: Any) -> Figure:
    """Training score against validation score of every trial: far from the diagonal is over-fitting."""
    figure, axes = _figure(5.0, 4.2)
    points = [(g, t) for t in _scored(search) if (g := training_score(search, t)) is not None]
    if not points:
        raise ValueError("gaps: no trial has a training score; give the model the metric, or return_train_score=True")
    train = np.array([g for g, _ in points])
    scores = np.array([t.score for _, t in points])
    low, high = float(min(train.min(), scores.min())), float(max(train.max(), scores.max()))
    axes.plot([low, high], [low, high], color=_GREY, linewidth=1.0, linestyle="--", label="no gap")
    axes.scatter(train, scores, s=20, color=_BLUE, alpha=0.85, label="trial", zorder=3)
    at = int(np.argmin([_rank(search, s) for s in scores]))
    axes.scatter(
        train[at : at + 1],
        scores[at : at + 1],
        s=60,
        facecolor="none",
        edgecolor=_VERMILION,
        label="best",
        linewidth=1.6,
        zorder=4,
    )
    _show_bulk(axes, np.concatenate([train, scores]), search.direction_, both=True)
    axes.set(xlabel=f"{_title(search.metric_)} on training rows", ylabel=f"{_title(search.metric_)} in validation")
    _finish(axes, legend=True)
    return figure


def training_score(search: Any, trial: Any) -> float | None:
    """The metric on training rows: as measured, or as the last epoch of the histories has it; None if neither does."""
    measured = getattr(trial, "train_scores", None) or {}
    values = [v for v in measured.get(search.metric_, ()) if v is not None]
    if not values:
        ends = [h[search.metric_] for h in trial.histories or () if h and search.metric_ in h]
        values = [curve[-1] for curve in ends if curve]
    return float(np.mean(values)) if values and all(map(math.isfinite, values)) else None


PICTURES = {
    "history": history,
    "parallel_coordinates": parallel_coordinates,
    "importance": importance,
    "slices": slices,
    "learning_curves": learning_curves,
    "gaps": gaps,
}


def _ticks_of(search: Any, trials: Sequence[Any], name: str) -> _Ticks:
    """The axis of a parameter."""
    space = getattr(getattr(search, "_fitted", search), "space", None)  # of a search, or of what it found
    scale = "linear" if space is None else scale_of(space, name)
    return _Ticks([trial.params.get(name, NOT_USED) for trial in trials], scale)


def _scored(search: Any) -> list[Any]:
    trials = [t for t in search.trials_ if t.state in ("ok", "pruned") and math.isfinite(t.score)]
    if not trials:
        raise ValueError("plot: no trial has a score")
    return trials


def _names(trials: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(name for t in trials for name in t.params))


def _worst(search: Any) -> float:
    return -math.inf if search.direction_ == "max" else math.inf


def _rank(search: Any, score: float) -> float:
    """Smaller is better; NaN is worst."""
    return math.inf if not math.isfinite(score) else -score if search.direction_ == "max" else score


def _title(name: str) -> str:
    return plain(name.replace("_", " "))


def _mean_curve(trial: Any, key: str) -> tuple[list[int], list[float]]:
    """The epochs of a trial that have a value, counted from 1, and the means of the folds that have one."""
    values: dict[int, list[float]] = {}
    validated = getattr(trial, "validation_epochs", None) or [None] * len(trial.histories)  # older pickles have none
    for history, some in zip(trial.histories, validated, strict=True):
        curve = history.get(key, ())
        few = some is not None and key.startswith("val_") and len(some) == len(curve)
        for epoch, value in zip(some if few else range(len(curve)), curve, strict=True):
            values.setdefault(epoch + 1, []).append(value)
    epochs = sorted(values)
    return epochs, [float(np.mean(values[epoch])) for epoch in epochs]


def _colours(search: Any, scores: Sequence[float]) -> NDArray[Any]:
    """Colours from the worst to the best score. A few bad outliers do not make all others look the same."""
    from matplotlib import colormaps

    return np.asarray(colormaps[_MAP](_shades(search, scores)))


def _shades(search: Any, scores: Sequence[float]) -> NDArray[np.float64]:
    ranks = np.array([_rank(search, s) for s in scores])
    order = np.argsort(np.argsort(ranks, kind="stable"), kind="stable")
    return 1.0 - order / max(len(order) - 1, 1) if len(order) else np.empty(0)


def _colour_bar(figure: Figure, axes: Axes, search: Any, scores: Sequence[float]) -> None:
    from matplotlib.cm import ScalarMappable

    known = sorted((s for s in scores if math.isfinite(s)), key=lambda s: _rank(search, s), reverse=True)
    if len(known) < 2:
        return
    bar = figure.colorbar(ScalarMappable(cmap=_MAP), ax=axes, fraction=0.04)
    ticks = [0.0, 0.5, 1.0]
    bar.set_ticks(ticks, labels=[f"{known[round(t * (len(known) - 1))]:.4g}" for t in ticks])
    bar.set_label(f"{_title(search.metric_)}, by rank", fontsize=8)


def _bulk(values: NDArray[np.float64], direction: str) -> tuple[float, float] | None:
    """Limits of an axis that leave out values which are far worse than most; None if there are no such values.

    Args:
        values: The values to draw.
        direction: ``"max"`` or ``"min"``, the direction of better scores; with anything else nothing is cut off.
    """
    finite = values[np.isfinite(values)]
    if len(finite) < 4 or direction not in ("max", "min"):
        return None
    lower, upper = np.quantile(finite, [0.25, 0.75])
    reach = _FAR * (upper - lower)
    low, high = float(finite.min()), float(finite.max())
    if direction == "min":
        return (low, float(upper + reach)) if reach > 0 and high > upper + reach else None
    return (float(lower - reach), high) if reach > 0 and low < lower - reach else None


def _show_bulk(axes: Axes, values: NDArray[np.float64], direction: str, both: bool = False) -> None:
    """Limits the vertical axis, or both, to the bulk of the scores, and notes how many values are out of view."""
    limits = _bulk(values, direction)
    if limits is None:
        return
    low, high = limits
    margin = 0.05 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    if both:
        axes.set_xlim(low - margin, high + margin)
    finite = values[np.isfinite(values)]
    hidden = int(((finite < low - margin) | (finite > high + margin)).sum())
    if hidden:
        place = {"y": 0.99, "va": "top"} if direction == "min" else {"y": 0.01, "va": "bottom"}
        text = f"worse, out of view: {hidden}"
        axes.text(0.01, s=text, transform=axes.transAxes, fontsize=7, color=_GREY, **place)  # type: ignore[arg-type]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = _grid(width, height, 1, 1)
    return figure, axes


def _grid(width: float, height: float, rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        raise ImportError(needs("plot", "plots", "matplotlib")) from error
    figure = for_notebooks(Figure(figsize=(width, height), dpi=120, layout="constrained"))
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def _finish(axes: Axes, legend: bool = False) -> None:
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(frameon=False, fontsize=8)
