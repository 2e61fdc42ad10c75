"""One HTML page about a search: its results, the table of trials, and the pictures, all in one file.

The page needs no network and runs no script: styles are inline, pictures are embedded as PNG, and all text from outside
is escaped. The file is written completely or not at all.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping
from typing import Any

from fastreg._core import __version__
from fastreg.internal import whole_files
from fastreg.internal.progress import format_time
from fastreg.search.found import plots

__all__ = ["write"]

_CAPTIONS = {
    "history": "Score of every trial in order, and the best so far.",
    "parallel_coordinates": "Each line is a trial; bright lines scored best.",
    "importance": "How much of the spread of scores each parameter explains.",
    "slices": "Score against each parameter by itself; later trials are brighter.",
    "learning_curves": "Every trial by epoch, the mean of its folds; dotted where it was pruned.",
    "gaps": "Far below the dashed line for accuracies, or above it for losses, is over-fitting.",
}

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem} h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-size:.85rem}
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd}
th{background:#f4f4f4;position:sticky;top:0} td.text,th.text{text-align:left}
tr.best td{background:#e8f4ec;font-weight:600} tr.lost td{color:#888}
.scroll{overflow:auto;max-height:32rem;border:1px solid #ddd} dl{display:grid;grid-template-columns:max-content 1fr;
gap:.15rem 1rem} dt{color:#666} dd{margin:0} figure{margin:1rem 0} img{max-width:100%} figcaption{color:#666;
font-size:.85rem} pre{background:#f7f7f7;padding:.6rem;overflow:auto;font-size:.8rem}
"""


def write(
    search: Any,
    path: whole_files.FilePath,
    title: str | None = None,
    notes: Mapping[str, object] | None = None,
) -> None:
    """Writes the page.

    Args:
        search: A fitted search.
        path: The file. An existing one is replaced in one step and keeps its mode. A symbolic link is followed.
        title: Heading; None is "Search".
        notes: Further facts for the head of the page, by name.

    Raises:
        ImportError: If matplotlib is not installed.
        OSError: If the file cannot be written.
        ValueError: If no trial has a score, or the path leads to something other than a regular file.
    """
    target = whole_files.path_text("report", "path", path)
    page = _page(search, str(title or "Search"), notes or {})
    whole_files.write(target, page.encode("utf-8", "backslashreplace"))


def _page(search: Any, title: str, notes: Mapping[str, object]) -> str:
    heading = html.escape(title)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{heading}</title><style>{_STYLE}</style></head><body>',
        f"<h1>{heading}</h1>",
        _facts({**_summary(search), **notes}),
        *_figures(search),
        "<h2>Trials</h2>",
        _table(search),
        *_failures(search),
        f"<p>fastreg {html.escape(__version__)}</p>",
        "</body></html>",
    ]
    return "\n".join(parts)


def _summary(search: Any) -> dict[str, object]:
    states = [t.state for t in search.trials_]
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("ok", "pruned", "diverged", "failed") if s in states)
    best = ", ".join(f"{name} = {_value(value)}" for name, value in search.best_params_.items())
    return {
        f"best {search.metric_}": f"{search.best_score_:.6g} (trial {search.best_trial_.number})",
        "best parameters": best,
        "trials": f"{len(states)} ({counts})",
        "time": format_time(search.seconds_),
        "seed": search.seed_,
    }


def _facts(facts: Mapping[str, object]) -> str:
    rows = (f"<dt>{html.escape(str(name))}</dt><dd>{html.escape(str(value))}</dd>" for name, value in facts.items())
    return f"<dl>{''.join(rows)}</dl>"


def _figures(search: Any) -> Iterable[str]:
    for kind, caption in _CAPTIONS.items():
        try:
            figure = plots.plot(search, kind)
        except ValueError as reason:  # this search has nothing for this picture
            yield f"<p>No {html.escape(kind.replace('_', ' '))}: {html.escape(str(reason))}.</p>"
            continue
        except ImportError as reason:
            if kind != "importance":
                raise
            yield f"<p>No importance: {html.escape(str(reason))}.</p>"
            continue
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        data = base64.b64encode(buffer.getvalue()).decode()
        name = html.escape(kind.replace("_", " "))
        yield f"<h2>{name.capitalize()}</h2>"
        yield (
            f'<figure><img alt="{name}" src="data:image/png;base64,{data}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )


def _table(search: Any) -> str:
    names = list(dict.fromkeys(name for t in search.trials_ for name in t.params))
    ordered = sorted(search.trials_, key=lambda t: (t.state != "ok", _order(search, t), t.number))
    head = "".join(
        f"<th>{html.escape(text)}</th>"
        for text in ("trial", search.metric_, "folds", "epochs", "seconds", "state", *names)
    )
    rows = [_row(search, t, names) for t in ordered]
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _order(search: Any, trial: Any) -> float:
    if not math.isfinite(trial.score):
        return math.inf
    return -float(trial.score) if search.direction_ == "max" else float(trial.score)


def _row(search: Any, trial: Any, names: list[str]) -> str:
    kind = "best" if trial is search.best_trial_ else "lost" if trial.state != "ok" else ""
    folds = ", ".join(_value(v) for v in trial.scores.get(search.metric_, ()) if v is not None)
    cells = [
        trial.number,
        _value(trial.score) if math.isfinite(trial.score) else "",
        folds,
        _value(max(trial.epochs, default=None)),
        f"{trial.seconds:.2f}",
        trial.state,
        *(_value(trial.params[name]) if name in trial.params else "" for name in names),
    ]
    return f'<tr class="{kind}">' + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _failures(search: Any) -> Iterable[str]:
    lost = [t for t in search.trials_ if t.error]
    if lost:
        yield "<h2>Failed trials</h2>"
    for trial in lost:
        params = ", ".join(f"{name} = {_value(value)}" for name, value in trial.params.items())
        yield f"<h3>Trial {trial.number}: {html.escape(params)}</h3><pre>{html.escape(trial.error)}</pre>"


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
