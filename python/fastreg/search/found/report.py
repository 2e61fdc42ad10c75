"""One HTML page about a search: its results, the table of trials, and the pictures, all in one file.

The page needs no network and runs no script: styles are inline, pictures are embedded as PNG, and all text from outside
is escaped. The file is written completely or not at all.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from fastreg._core import __version__
from fastreg.internal import whole_files
from fastreg.internal.progress import format_time
from fastreg.search.found import plots
from fastreg.search.found.results import STATES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["facts", "figure", "page", "pictures", "summary", "table", "trials", "write"]

_CAPTIONS = {
    "history": "Score of every trial in order, and the best so far.",
    "parallel_coordinates": "Each line is a trial; bright lines scored best.",
    "importance": "How much of the spread of scores each parameter explains.",
    "slices": "Score against each parameter by itself; later trials are brighter.",
    "learning_curves": "Every trial by epoch, the mean of its folds; dotted where it was pruned.",
    "gaps": "Far below the dashed line for accuracies, or above it for losses, is over-fitting.",
}
# Tracebacks to show at most; the table of trials has the state of all.
_MOST_FAILURES = 20
# Bytes above which a picture is drawn in few colours, and how many these are.
_LARGE, _COLOURS = 150_000, 64
# A picture of up to this width is readable on the screen of a phone.
_NARROW_INCHES = 5.5

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem;overflow-wrap:anywhere} h2{font-size:1.15rem;margin-top:2rem}
h3{font-size:1rem;margin:1.2rem 0 .3rem} p,li{overflow-wrap:anywhere}
table{border-collapse:collapse;font-size:.85rem}
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th{background:#f4f4f4;position:sticky;top:0} td.text,th.text{text-align:left}
td.text{white-space:normal;overflow-wrap:anywhere;min-width:5rem} td.text:last-child{min-width:10rem}
tr.best td{background:#e8f4ec;font-weight:600} tr.lost td{color:#888}
.scroll{overflow:auto;max-height:32rem;border:1px solid #ddd;width:fit-content;max-width:100%}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem} dt{color:#666}
dd{margin:0;overflow-wrap:anywhere} figure{margin:1rem 0;overflow-x:auto} img{max-width:100%}
figcaption{color:#666;font-size:.85rem}
pre{background:#f7f7f7;padding:.6rem;overflow:auto;font-size:.8rem;max-height:16rem}
.lead{font-size:1.15rem} .pair{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}
.pair>*{flex:0 1 auto;min-width:0;max-width:100%;margin:0}
@media(max-width:40rem){body{margin:1rem auto} dl{grid-template-columns:1fr;gap:0} dt{margin-top:.4rem}
 img.wide{max-width:none;width:40rem} th,td{padding:.2rem .35rem}}
@media print{body{margin:0;max-width:none;font-size:10pt} .scroll{max-height:none;overflow:visible;border:0;width:auto}
 table{font-size:8pt} th,td{white-space:normal;padding:.1rem .3rem} th{position:static}
 tr,figure,li{break-inside:avoid} h2,h3{break-after:avoid} img{max-height:10cm}
 pre{white-space:pre-wrap;max-height:none}}
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
    made = _page(search, str(title or "Search"), notes or {})
    whole_files.write(target, made.encode("utf-8", "backslashreplace"))


def _page(search: Any, title: str, notes: Mapping[str, object]) -> str:
    return page(title, [facts({**summary(search), **notes}), *pictures(search), *trials(search)])


def page(title: str, parts: Iterable[str]) -> str:
    """A page with a heading around parts in HTML."""
    heading = html.escape(title)
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{heading}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{heading}</h1>",
            *parts,
            f"<p>fastreg {html.escape(__version__)}</p>",
            "</body></html>",
        ]
    )


def summary(search: Any) -> dict[str, object]:
    """The facts about a search."""
    states = [t.state for t in search.trials_]
    counts = ", ".join(f"{states.count(s)} {s}" for s in STATES if s in states)
    best = ", ".join(f"{name} = {_value(value)}" for name, value in search.best_params_.items())
    return {
        f"best {search.metric_}": f"{search.best_score_:.6g} (trial {search.best_trial_.number})",
        "best parameters": best,
        "trials": f"{len(states)} ({counts})",
        "time": format_time(search.seconds_),
        "seed": search.seed_,
    }


def facts(named: Mapping[str, object]) -> str:
    """Facts by name."""
    rows = (f"<dt>{html.escape(str(name))}</dt><dd>{html.escape(str(value))}</dd>" for name, value in named.items())
    return f"<dl>{''.join(rows)}</dl>"


def pictures(search: Any, level: int = 2) -> Iterable[str]:
    """The pictures of a search, under headings of a level."""
    for kind, caption in _CAPTIONS.items():
        try:
            drawn = plots.plot(search, kind)
        except ValueError as reason:  # this search has nothing for this picture
            yield f"<p>No {html.escape(kind.replace('_', ' '))}: {html.escape(str(reason))}.</p>"
            continue
        except ImportError as reason:
            if kind != "importance":
                raise
            yield f"<p>No importance: {html.escape(str(reason))}.</p>"
            continue
        name = kind.replace("_", " ")
        yield f"<h{level}>{html.escape(name.capitalize())}</h{level}>"
        yield figure(drawn, name, caption)


def figure(drawn: Figure, name: str, caption: str) -> str:
    """A picture with its caption. One that is wide keeps its size on a narrow screen, where it is moved sideways."""
    data = base64.b64encode(_png(drawn)).decode()
    wide = ' class="wide"' if drawn.get_figwidth() > _NARROW_INCHES else ""
    return (
        f'<figure><img{wide} alt="{html.escape(name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _png(drawn: Figure) -> bytes:
    """The picture as PNG; one of many lines in few colours, which make it a third as large."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png")
    if buffer.tell() <= _LARGE:
        return buffer.getvalue()
    from PIL import Image  # matplotlib needs it

    smaller = io.BytesIO()
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(_COLOURS).save(smaller, format="png", optimize=True)
    return smaller.getvalue()


def trials(search: Any, most: int | None = None, level: int = 2, most_failures: int = _MOST_FAILURES) -> Iterable[str]:
    """The table of trials, the best ones first, and the tracebacks of those that failed.

    What no trial has is left out, such as a parameter that is None in all of them.

    Args:
        search: A fitted search.
        most: The largest number of trials to show; None shows all.
        level: The level of the headings.
        most_failures: The largest number of tracebacks to show.
    """
    yield f"<h{level}>Trials</h{level}>"
    names = list(dict.fromkeys(name for t in search.trials_ for name in t.params))
    ordered = sorted(search.trials_, key=lambda t: (t.state != "ok", _order(search, t), t.number))
    shown = ordered if most is None else ordered[:most]
    if len(shown) < len(ordered):
        yield f"<p>The {len(shown)} best of {len(ordered)} trials; {len(ordered) - len(shown)} are left out here.</p>"
    head = ("trial", search.metric_, "folds", "epochs", "seconds", "state", *names)
    rows = [_row(search, t, names) for t in shown]
    used = [any(row[i] != "" for row in rows) for i in range(len(head))]
    kept = (list(compress(cells, used)) for cells in rows)
    yield table(list(compress(head, used)), kept, kinds=[_kind(search, t) for t in shown])
    yield from _failures(search, level, most_failures)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    texts: Container[int] = (),
    kinds: Sequence[str] | None = None,
) -> str:
    """A table in a frame that scrolls.

    Args:
        head: The headings of the columns.
        rows: The cells of each row.
        texts: The indices of columns of text, which begin at the left.
        kinds: The class of each row in the style sheet; None gives none.
    """

    def line(cells: Sequence[object], tag: str) -> str:
        opened = (f'<{tag} class="text">' if i in texts else f"<{tag}>" for i in range(len(cells)))
        return "".join(f"{o}{html.escape(str(cell))}</{tag}>" for o, cell in zip(opened, cells, strict=True))

    def opening(i: int) -> str:
        return f'<tr class="{kinds[i]}">' if kinds is not None and kinds[i] else "<tr>"

    body = "".join(f"{opening(i)}{line(cells, 'td')}</tr>" for i, cells in enumerate(rows))
    return (
        f'<div class="scroll"><table><thead><tr>{line(head, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _order(search: Any, trial: Any) -> float:
    if not math.isfinite(trial.score):
        return math.inf
    return -float(trial.score) if search.direction_ == "max" else float(trial.score)


def _kind(search: Any, trial: Any) -> str:
    return "best" if trial is search.best_trial_ else "lost" if trial.state != "ok" else ""


def _row(search: Any, trial: Any, names: list[str]) -> list[object]:
    folds = ", ".join(_value(v) for v in trial.scores.get(search.metric_, ()) if v is not None)
    return [
        trial.number,
        _value(trial.score) if math.isfinite(trial.score) else "",
        folds,
        _value(max(trial.epochs, default=None)),
        f"{trial.seconds:.2f}",
        trial.state,
        *(_value(trial.params[name]) if name in trial.params else "" for name in names),
    ]


def _failures(search: Any, level: int, most: int) -> Iterable[str]:
    lost = [t for t in search.trials_ if t.error]
    if lost:
        yield f"<h{level}>Failed trials</h{level}>"
    for trial in lost[:most]:
        params = ", ".join(f"{name} = {_value(value)}" for name, value in trial.params.items())
        heading = f"Trial {trial.number}: {html.escape(params)}"
        yield f"<h{level + 1}>{heading}</h{level + 1}><pre>{html.escape(trial.error)}</pre>"
    if len(lost) > most:
        yield f"<p>{len(lost) - most} more failed.</p>"


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
