"""The report of ``fastreg tune``: one HTML page about the user's table, then about the search.

It uses the parts of the search's own report: no network, no script, everything from outside escaped. What would make
the page long is limited, and the page says what is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np

from fastreg.internal import whole_files
from fastreg.search.found import plots
from fastreg.search.found import report as parts
from fastreg.tune import pictures
from fastreg.tune.outcome import TuneResult
from fastreg.tune.printing import facts, members, number

__all__ = ["write"]

_MOST_CLASSES, _MOST_MISTAKES, _MOST_OF_CONFUSION = 30, 20, 12
_MOST_COLUMNS, _MOST_TRIALS, _MOST_BARS, _MOST_FAILURES = 500, 100, 20, 3
# Pictures of fewer trials show nothing that the table does not.
_LEAST_TRIALS = 3


def write(result: TuneResult, path: Path, title: str, lead: str, seed: int) -> None:
    """Writes the page, completely or not at all.

    Args:
        result: The result.
        path: The file.
        title: The heading.
        lead: The first sentence.
        seed: The seed of what is drawn by chance, such as the points of a cloud.

    Raises:
        OSError: If the file cannot be written.
    """
    made = parts.page(title, _parts(result, lead, seed))
    whole_files.write(str(path), made.encode("utf-8", "backslashreplace"))


def _parts(result: TuneResult, lead: str, seed: int) -> Iterator[str]:
    yield f'<p class="lead">{escape(lead)}</p>'
    yield parts.facts(facts(result))
    yield f"<h2>Score on {result.scores.rows:,} rows held back</h2>"
    yield _comparison(result)
    if result.advice:
        yield "<h2>What to do next</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in result.advice) + "</ul>"
    yield "<h2>Predicted against actual</h2>"
    yield from _classes(result) if result.scores.classes else _numbers(result, seed)
    yield from _importance(result)
    yield from _columns(result)
    if result.search is not None:
        yield "<h2>The search</h2>"
        yield "<h3>Members of the blend</h3><p>Scores are those of rows that a network was not trained on.</p>"
        head, rows = members(result.search)
        yield parts.table(head, rows, texts={0})
        yield from parts.trials(result.search, most=_MOST_TRIALS, level=3, most_failures=_MOST_FAILURES)
        if result.search.n_trials_ >= _LEAST_TRIALS:
            yield "<h3>History</h3>"
            caption = "Score of every trial in order, and the best so far; trial 0 is the linear model."
            yield parts.figure(plots.plot(result.search, "history"), "history", caption)


def _comparison(result: TuneResult) -> str:
    head = ("", *(contender.name for contender in result.contenders))
    names = list(result.scores.values)
    rows = [(name, *(number(contender.scores.values[name]) for contender in result.contenders)) for name in names]
    return parts.table(head, rows, texts={0}, kinds=["best", *("" for _ in names[1:])])


def _classes(result: TuneResult) -> Iterator[str]:
    scores = result.scores
    ordered = sorted(scores.classes, key=lambda entry: -entry.rows)
    if len(ordered) > _MOST_CLASSES:
        hidden = len(ordered) - _MOST_CLASSES
        yield f"<p>The {_MOST_CLASSES} most frequent of {len(ordered)} classes; {hidden} are left out here.</p>"
    head = ("class", "rows", "precision", "recall", "F1")
    rows = [
        (entry.label, entry.rows, f"{entry.precision:.3f}", f"{entry.recall:.3f}", f"{entry.f1:.3f}")
        for entry in ordered[:_MOST_CLASSES]
    ]
    yield '<div class="pair"><div>'
    yield parts.table(head, rows, texts={0})
    yield from _confusion(result)
    yield "</div>"
    seen = result.truth >= 0
    labels = [entry.label for entry in scores.classes]
    if seen.any():
        drawn = pictures.reliability(labels, result.outputs[seen], result.truth[seen])
        yield "<div><h3>Reliability</h3>"
        yield parts.figure(drawn, "reliability of the probabilities", _reliability(result)) + "</div>"
    if seen.any() and math.isfinite(scores.values["ROC-AUC"]) and len(labels) <= len(pictures.COLOURS):
        drawn = pictures.roc(labels, result.outputs[seen], result.truth[seen])
        caption = "Each point is a threshold of the probability; a curve further up and left is better."
        yield "<div><h3>Receiver operating characteristic</h3>"
        yield parts.figure(drawn, "receiver operating characteristic", caption) + "</div>"
    yield "</div>"


def _reliability(result: TuneResult) -> str:
    told = "Bins of equally many rows held back; on the dashed line probabilities are right."
    if result.search is None:
        return f"{told} These are not calibrated."
    return f"{told} Calibrated by {result.search.calibration.reason}."


def _confusion(result: TuneResult) -> Iterator[str]:
    confusion = result.scores.confusion
    if confusion is None:
        return
    labels = [entry.label for entry in result.scores.classes]
    named = [*labels, "(class not seen in training)"][: len(confusion)]
    if len(labels) <= _MOST_OF_CONFUSION:
        yield "<h3>Confusion matrix</h3><p>Rows: actual class; columns: predicted class.</p>"
        rows = [(name, *counts) for name, counts in zip(named, confusion.tolist(), strict=True)]
        yield parts.table(("", *labels), rows, texts={0})
        return
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_MOST_MISTAKES]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, mistakes.shape), strict=True)]
    yield "<h3>Most frequent mistakes</h3>"
    rows = [(named[i], labels[j], int(mistakes[i, j])) for i, j in pairs if mistakes[i, j]]
    yield parts.table(("actual", "predicted", "rows"), rows, texts={0, 1})


def _numbers(result: TuneResult, seed: int) -> Iterator[str]:
    target = result.model.target
    predicted, actual = (
        values.astype(np.float64) * target.scale + target.mean for values in (result.outputs, result.truth)
    )
    drawn, shown = pictures.predicted_against_actual(target.name, predicted, actual, seed)
    total = len(result.truth)
    which = "Each point is a row" if shown == total else f"{shown:,} of the {total:,} rows, drawn by chance"
    yield parts.figure(drawn, "predicted against actual", f"{which}; on the dashed line predictions are right.")


def _importance(result: TuneResult) -> Iterator[str]:
    found = result.importance
    if found is None:
        return
    yield "<h2>Importance of the columns</h2>"
    caption = (
        f"What the {found.metric} loses if the cells of one column are shuffled among the rows held back: mean and "
        "standard deviation of the shuffles. Columns that say the same share their importance."
    )
    if len(found.names) > _MOST_BARS:
        caption += f" The {_MOST_BARS} most important of {len(found.names)} columns are shown."
    yield parts.figure(found.plot(most=_MOST_BARS), "importance of the columns", caption)


def _columns(result: TuneResult) -> Iterator[str]:
    yield "<h2>Columns</h2>"
    told = result.dictionary.to_rows()
    head, rows = list(told[0]), [list(row.values()) for row in told]
    if len(rows) > _MOST_COLUMNS:
        yield f"<p>The first {_MOST_COLUMNS} of {len(rows)} columns; {len(rows) - _MOST_COLUMNS} are left out here.</p>"
    yield parts.table(head, rows[:_MOST_COLUMNS], texts={i for i, name in enumerate(head) if name != "missing"})
