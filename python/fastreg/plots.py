"""Pictures of training runs. matplotlib is imported when a picture is drawn, and its global state is never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from fastreg.internal import pictures, whole_files
from fastreg.internal.extras import needs
from fastreg.internal.histories import validation_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's blue and vermilion: told apart by colour-blind readers and in grey print.
_TRAINING, _VALIDATION, _MARK = "#0072b2", "#d55e00", "#555555"


def learning_curves(
    histories: Any,
    path: whole_files.FilePath | None = None,
    *,
    best_epochs: Mapping[str, int] | None = None,
    title: str | None = None,
) -> Figure:
    """Draws training and validation curves: one column for each run, one row for the loss and for each metric.

    Rows share their vertical axis, so that runs can be compared across.

    Args:
        histories: What `fit` returned, or its `history` dict, or a mapping from labels to several of these.
        path: File to write, completely or not at all. Its ending determines the format (png, svg, pdf ...). None writes
            no file.
        best_epochs: For each label the epoch, counted from 0, whose weights were kept. It is marked.
        title: Heading of the whole picture.

    Returns:
        The figure.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed; the extra ``plots`` has it.
        ValueError: If there is no history, one holds no epoch, or a dict has fewer validation values than epochs: the
            History of a fit with ``validation_freq`` knows which they are.
    """
    runs, places = _runs(histories)
    names = [name for name in next(iter(runs.values())) if not name.startswith("val_")]
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        raise ModuleNotFoundError(needs("learning_curves", "plots", "matplotlib"), name="matplotlib") from error
    size = (1.2 + 4.4 * len(runs), 0.9 + 2.6 * len(names))
    figure = pictures.for_notebooks(Figure(figsize=size, dpi=130, layout="constrained"))
    grid = figure.subplots(len(names), len(runs), sharex="col", sharey="row", squeeze=False)
    for column, (label, history) in enumerate(runs.items()):
        mark = (best_epochs or {}).get(label)
        for row, name in enumerate(names):
            axes = grid[row, column]
            _draw(axes, history, places[label], name, mark)
            if row == 0:
                axes.set_title(pictures.plain(label), fontsize=11, loc="left", fontweight="bold")
        grid[-1, column].set_xlabel("epoch")
        grid[-1, column].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    for row, name in enumerate(names):
        keys = (name, f"val_{name}")
        logarithmic = _wide([history[key] for history in runs.values() for key in keys if key in history])
        grid[row, 0].set_yscale("log" if logarithmic else "linear")
        grid[row, 0].set_ylabel(pictures.plain(name.replace("_", " ")) + (" (log scale)" if logarithmic else ""))
    # One legend under all columns, where it hides no curve.
    known = {line.get_label(): line for axes in grid[0] for line in axes.lines}
    figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=len(known), frameon=False, fontsize=9)
    if title:
        figure.suptitle(pictures.plain(title, pictures.LABEL * len(runs) + 12), fontsize=12)
    if path is not None:
        pictures.save(figure, path)
    return figure


def _runs(histories: Any) -> tuple[dict[str, Mapping[str, Sequence[float]]], dict[str, Sequence[int]]]:
    """The histories by label, and for each the places of the epochs that were validated."""
    several = isinstance(histories, Mapping) and all(
        isinstance(h, Mapping) or hasattr(h, "history") for h in histories.values()
    )
    if not several:
        histories = {"": histories}
    runs = {str(k): cast("Mapping[str, Sequence[float]]", getattr(h, "history", h)) for k, h in histories.items()}
    if not runs:
        raise ValueError("learning_curves: histories must hold at least one run, got none")
    for label, history in runs.items():
        if not any(len(values) for values in history.values()):
            raise ValueError(f"learning_curves: each history must hold at least one epoch, got none for {label!r}")
    return runs, {str(k): validation_places("learning_curves", h) for k, h in histories.items()}


def _draw(
    axes: Axes, history: Mapping[str, Sequence[float]], validated: Sequence[int], name: str, mark: int | None
) -> None:
    for key, label, colour in ((name, "training", _TRAINING), (f"val_{name}", "validation", _VALIDATION)):
        if key in history:
            places = range(len(history[key])) if key == name else validated
            epochs = [place + 1 for place in places]
            marker = "o" if len(epochs) == 1 else None
            axes.plot(epochs, history[key], color=colour, linewidth=1.6, label=label, marker=marker)
    if mark is not None:
        axes.axvline(mark + 1, color=_MARK, linewidth=1.0, linestyle=":", label="epoch whose weights were kept")
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _wide(curves: Sequence[Sequence[float]]) -> bool:
    """Whether positive values span more than a factor of 30, so that a linear axis would hide the small ones."""
    values = [v for curve in curves for v in curve]
    return min(values) > 0 and max(values) > 30 * min(values)
