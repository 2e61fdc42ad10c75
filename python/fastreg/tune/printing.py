"""The result of ``fastreg tune`` as text for a terminal, and the facts that the report shows, too."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from fastreg.internal.progress import say
from fastreg.table.blending import Blend
from fastreg.tune.outcome import TuneResult

__all__ = ["aligned", "columns_text", "describe", "ended", "facts", "members", "microseconds", "number", "printed"]

# What ended a search, in words.
_ENDED = {
    "trials": "all were tried",
    "gain": "further ones improve nothing any more",
    "time": "then the time was over",
    "interrupt": "then it was interrupted",
}

# Classes and columns of a confusion matrix that a terminal shows.
_MOST_CLASSES, _MOST_OF_CONFUSION, _LABEL = 20, 8, 18


def number(value: float) -> str:
    """A score: four decimals, or four digits if it is large; a dash if it is not defined."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.6g}"


def microseconds(seconds: float) -> str:
    """Seconds as microseconds: with one decimal below 100."""
    return f"{1e6 * seconds:.{1 if seconds < 1e-4 else 0}f} µs"


def ended(search: Blend) -> str:
    """What ended a search, in words."""
    return _ENDED[search.stopped_by]


def describe(result: TuneResult) -> str:
    """The members of the blend, the facts, and the scores beside those of simpler models."""
    lines = [] if result.search is None else [*aligned(*members(result.search)), ""]
    lines += [f"{name}: {value}" for name, value in facts(result).items()]
    lines += ["", *_comparison(result), *_classes(result), *_confusion(result)]
    if result.advice:
        lines += ["", "what to do next:", *(f"- {line}" for line in result.advice)]
    return "\n".join(lines)


def columns_text(result: TuneResult) -> str:
    """How many columns the model reads: ``"1 column"``, ``"2 columns"``."""
    count = len(result.model.schema.columns)
    return f"{count} column{'' if count == 1 else 's'}"


def facts(result: TuneResult) -> dict[str, str]:
    """The target, the rows, the model and its scores, by name."""
    target, rows, search = result.model.target, result.rows, result.search
    name, value = result.scores.headline
    used = f"{rows.train} to learn from, {rows.test} held back ({rows.how})"
    if rows.left_out:
        used += f"; {rows.left_out} without a value of {target.name!r} are left out"
    n_features = sum(encoder.dense_width for encoder in result.model.encoders)
    shown = {
        "target": f"{target.name} ({target.task})",
        "rows": used,
        "features": f"{n_features} from {columns_text(result)}",
    }
    if search is not None:
        count = len(search.members_)
        one = "one network" if search.members_[0].candidate.layers else "linear, since no network was better"
        shown["model"] = f"a blend of {count}" if count > 1 else one
        shown["tried"] = f"{search.n_trials_} networks and a linear model; {ended(search)}"
        how = f"{search.n_splits} folds" if search.n_splits > 1 else "a part held out"
        if search.calibration.reason:
            how += ", before calibration"
            shown["calibration"] = search.calibration.reason
        best = f"the best network alone {number(search.best_score_)}"
        shown["cross-validation"] = f"{number(search.score_)} {search.metric_} ({how}; {best})"
    else:
        shown["model"] = "linear, since no network was found"
    shown["test"] = f"{number(value)} {name} on {result.scores.rows} rows held back"
    if result.model.intervals is not None:
        shown["intervals"] = _intervals(result, result.model.intervals.level)
    shown["one row"] = f"{microseconds(result.row_seconds)} by the frozen model, encoding included"
    return shown


def _intervals(result: TuneResult, level: float) -> str:
    found = result.intervals
    if found is None:
        return f"of level {level:g}; too few rows are held back to tell which share they contain"
    share, width = number(found.coverage), number(found.width)
    return (
        f"of level {level:g} contain {share} of the rows held back (each half by the errors of the other half), mean "
        f"width {width}"
    )


def members(found: Blend) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The head and the rows of a table of the members, in the order in which they were picked."""
    head = ("member", "weight", found.metric_)
    return head, [
        (f"{_name(member.number)}: {member.candidate}", f"{member.weight:.3f}", number(member.score))
        for member in found.members_
    ]


def _name(trial: int) -> str:
    return f"network {trial}" if trial else "linear model"


def _comparison(result: TuneResult) -> Iterator[str]:
    title = f"on the {result.scores.rows} rows held back"
    head = (title, *(contender.name for contender in result.contenders))
    rows = [
        (name, *(number(contender.scores.values[name]) for contender in result.contenders))
        for name in result.scores.values
    ]
    yield from aligned(head, rows)


def _classes(result: TuneResult) -> Iterator[str]:
    classes = sorted(result.scores.classes, key=lambda entry: -entry.rows)
    if not classes:
        return
    yield ""
    rows = [
        (_cut(entry.label), str(entry.rows), f"{entry.precision:.3f}", f"{entry.recall:.3f}", f"{entry.f1:.3f}")
        for entry in classes[:_MOST_CLASSES]
    ]
    yield from aligned(("class", "rows", "precision", "recall", "F1"), rows)
    if len(classes) > _MOST_CLASSES:
        yield f"... and {len(classes) - _MOST_CLASSES} more classes"


def _confusion(result: TuneResult) -> Iterator[str]:
    confusion, labels = result.scores.confusion, [_cut(entry.label) for entry in result.scores.classes]
    if confusion is None or len(labels) > _MOST_OF_CONFUSION:
        return
    yield ""
    named = [*labels, "(not in training)"][: len(confusion)]
    rows = [(name, *map(str, counts)) for name, counts in zip(named, confusion.tolist(), strict=True)]
    yield from aligned(("actual \\ predicted", *labels), rows)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table whose first column begins at the left; the others end at the right."""
    widths = [max(len(cells[i]) for cells in (head, *rows)) for i in range(len(head))]
    for cells in (head, *rows):
        others = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        yield "  ".join([cells[0].ljust(widths[0]), *others])


@contextmanager
def printed(text: str, out: TextIO | None) -> Iterator[None]:
    """Prints text in the encoding of the stream before the model is written within.

    Neither a reader who has gone away nor a full disk keeps the model from being written. On a full disk the text goes
    to standard error, and there is an OSError afterwards.
    """
    stream, failure = sys.stdout if out is None else out, None
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        say("standard output is closed")
    except OSError as error:
        say(text)
        failure = error
    yield
    if failure is not None:
        raise failure


def _cut(label: str) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in label)
    return shown if len(shown) <= _LABEL else f"{shown[: _LABEL - 3]}..."
