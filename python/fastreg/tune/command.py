"""The commands `fastreg tune`, from a table to a tuned network with its preprocessing, and `fastreg predict`.

They use the public Python interface only. Results go to standard output, progress to standard error; cli.py describes
the exit status. What can be wrong is found out before the search, and results are printed before a file is written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from fastreg import metrics
from fastreg.internal.extras import needs
from fastreg.internal.other_places import kept
from fastreg.internal.progress import format_time, printable, say
from fastreg.table.blending import Blend, cook
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.dictionary import shown
from fastreg.table.errors import TuneError, as_tune_errors, one_line
from fastreg.table.kinds import is_missing_word
from fastreg.table.linear import linear_table_model
from fastreg.table.model import TableModel
from fastreg.table.options import TableOptions
from fastreg.table.recipe import Recipe
from fastreg.table.row_time import row_seconds
from fastreg.tune import destinations, intervals
from fastreg.tune.advice import advise
from fastreg.tune.baseline import constant_outputs
from fastreg.tune.importance import column_importance
from fastreg.tune.outcome import Contender, TuneResult
from fastreg.tune.predicting import predict
from fastreg.tune.preparation import Prepared, prepare
from fastreg.tune.printing import columns_text, describe, printed
from fastreg.tune.scores import Scores, probabilities, score_classes, score_numbers

__all__ = ["TuneError", "TuneOptions", "TuneResult", "predict", "tune"]

# The shares of the time that are reserved for what comes after the last training, without and with a report.
RESERVE, RESERVE_OF_REPORT = 0.05, 0.15
# Rows of the training rows that are scored for comparison, at most.
_MOST_TRAINING = 20_000
# Classes that a message names, and lines of the data dictionary that are shown, at most.
_NAMED, _MOST_LINES = 5, 60


@dataclass(frozen=True)
class TuneOptions:
    """The arguments of ``fastreg tune``.

    Attributes:
        data: CSV or Parquet file.
        target: Column to predict.
        test: A file with the rows to hold back, or a column of 0 and 1 that marks them; None holds back a random fifth.
        task: "classification" or "regression"; None decides by the target.
        trials: The largest number of networks to try; None leaves it to the preset.
        cv: Folds; None for five below 5,000 rows and one held-out fifth from there on.
        time: Seconds for everything; None for no limit, so that the result depends on the seed alone.
        seed: Seed of the test rows, the folds, the proposals and the networks.
        out: Model file to write; None writes none.
        report: HTML file to write; None writes none.
        jobs: The number of networks that are trained at the same time; -1 means one for each thread of fastreg.
        journal: A file that gets a line for every fold of a network, from which a killed search goes on; None: none.
        resume: Whether to go on from the journal, if there is one.
        verbose: 0 shows no progress.
        preset: "fast", "default", "best" or "realmlp", or a recipe of one's own.
        members: The largest number of networks in the blend; None leaves it to the preset.
        table: How the table is read, what its columns are, and which metric decides.
        interval: The share of new rows whose number is to lie within the interval around its prediction, in (0,
            0.999999]; None makes no intervals.
    """

    data: str
    target: str
    test: str | None = None
    task: str | None = None
    trials: int | None = None
    cv: int | None = None
    time: float | None = 60.0
    seed: int = 0
    out: Path | None = None
    report: Path | None = None
    jobs: int = -1
    verbose: int = 1
    preset: str | Recipe = "default"
    members: int | None = None
    table: TableOptions = field(default_factory=TableOptions)
    interval: float | None = None
    journal: Path | None = None
    resume: bool = False

    @property
    def recipe(self) -> Recipe:
        """The recipe that is followed. Raises ValueError for an unknown preset, or a value out of range."""
        changes = {"trials": self.trials, "cv": self.cv, "members": self.members}
        base = Recipe.preset(self.preset) if isinstance(self.preset, str) else self.preset
        return base.changed(**changes)


def tune(options: TuneOptions, out: TextIO | None = None) -> TuneResult:
    """Finds the blend of networks that predicts the target best, and scores it once on rows that it never saw.

    Ctrl-C ends the search and gives the best model so far, which is the linear one before the first trial is finished.

    Raises:
        TuneError: If the data do not allow it, or an optional package is missing.
        OSError: If a file cannot be read or written. The model and the report are written to another place then, which
            the message names.
    """
    started = time.monotonic()
    with as_tune_errors():
        _check(options)
        data = prepare(options.data, options.target, options.test, options.task, options.seed, options.table)
        intervals.check(options.interval, data)
        chosen = ChosenMetric(data.target, options.table.metric)
        _tell(data, options)
        linear = linear_table_model(data.schema, data.rows_to_learn, options.seed, options.time)
        left = None
        if options.time is not None:
            reserve = RESERVE if options.report is None else RESERVE_OF_REPORT
            after = reserve * options.time + intervals.reserved(options.interval, options.time)
            left = max(options.time - after - (time.monotonic() - started), 0.0)
        found, stopped_by = _searched(options, data, chosen, left)
        model = linear if found is None else found.of_table(data.schema, data.target)
        model = intervals.scattered(model, options.interval, found, data, options.seed, options.time)
        result = _judged(data, model, linear, found, stopped_by, options, chosen)
        told = describe(result)
    with printed(told, out):
        _write(result, options)
    say(f"{format_time(time.monotonic() - started)} in all")
    return result


# Before the search.


def _check(options: TuneOptions) -> None:
    """Finds out what would otherwise fail after the search."""
    sources = [options.data] if options.test is None else [options.data, options.test]
    destinations.check({"--out": options.out, "--report": options.report, "--journal": options.journal}, sources)
    if options.resume and options.journal is None:
        raise ValueError("--resume needs --journal, the file to go on from")
    if options.journal is not None and not options.resume and _has_content(options.journal):
        raise ValueError(f"--journal: {str(options.journal)!r} exists; --resume goes on from it, or name another file")
    _ = options.recipe
    packages = ["matplotlib"] if options.report is not None else []
    if missing := [name for name in packages if find_spec(name) is None]:
        raise ImportError(needs("fastreg tune", "tune", *missing))


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _tell(data: Prepared, options: TuneOptions) -> None:
    for note in data.notes:
        say(f"{printable(Path(options.data).name)}: {note}")
    lines = data.dictionary.to_text().splitlines()
    say("\n".join(lines[:_MOST_LINES]))
    if len(lines) > _MOST_LINES:
        say(f"... and {len(lines) - _MOST_LINES} more columns, which --report lists")
    if data.rows.left_out:
        count = data.rows.left_out
        rows = "1 row" if count == 1 else f"{count} rows"
        say(f"{rows} without a value of {data.target.name!r} {'is' if count == 1 else 'are'} left out")
    if data.target.labels is not None:
        for label in filter(is_missing_word, data.target.labels):
            say(f"class {label!r} may mean a missing value; if so, --missing={quote(label)} leaves its rows out")
        for alike in _written_alike(data.target.labels):
            say(f"classes {shown(alike)} are different ones, but may be one that is written in several ways")
        counts = np.bincount(data.y, minlength=len(data.target.labels)).tolist()
        named = zip(data.target.labels, counts, strict=True)
        folds = options.recipe.n_splits(len(data.y)) or 2
        few = [f"{label!r} ({count})" for label, count in named if count < folds]
        if few:
            told = ", ".join(few[:_NAMED]) + (f" and {len(few) - _NAMED} more" if len(few) > _NAMED else "")
            say(f"classes with fewer rows to learn from than the {folds} folds: {told}")


def _written_alike(labels: tuple[str, ...]) -> Iterator[list[str]]:
    """Labels that are one number, or one text but for small and large letters and spaces."""
    alike: dict[float | str, list[str]] = {}
    for label in labels:
        try:
            value: float | str = float(label)
        except ValueError:
            value = " ".join(label.casefold().split())
        alike.setdefault(value, []).append(label)
    return (found for found in alike.values() if len(found) > 1)


# The search.


def _searched(
    options: TuneOptions, data: Prepared, chosen: ChosenMetric, seconds: float | None
) -> tuple[Blend | None, str]:
    """The blend, or None if no network was found, and what ended the search."""

    def tell(line: str) -> None:
        if options.verbose:
            say(line)

    limits = options.seed, options.jobs, seconds
    try:
        found = cook(data.rows_to_learn, options.recipe, chosen, *limits, tell, options.journal, options.resume)
    except RuntimeError as error:
        if isinstance(error.__context__, BlockingIOError):  # the journal is locked
            raise ValueError(str(error)) from error
        raise
    if isinstance(found, str):
        say("no network was found, so that the linear model is the result")
        return None, found
    if found.stopped_by == "gain":
        tell("the search ended: further networks improve the blend no more")
    return found, found.stopped_by


# After the search.


def _name_of(found: Blend | None) -> str:
    """What the model is called beside others."""
    if found is None:
        return "linear model"
    if len(found.members_) > 1:
        return f"blend of {len(found.members_)}"
    return "network" if found.members_[0].candidate.layers else "chosen model"


def _judged(
    data: Prepared,
    model: TableModel,
    linear: TableModel,
    found: Blend | None,
    stopped_by: str,
    options: TuneOptions,
    chosen: ChosenMetric,
) -> TuneResult:
    """The model beside simpler ones, on the rows that were held back."""
    target = data.target
    features = model.features(data.test_codes, data.test_documents)
    outputs = model.outputs_of(features)
    named = [(_name_of(found), outputs)]
    if found is not None:
        named.append(("linear model", linear.outputs_of(linear.features(data.test_codes, data.test_documents))))
    named.append(constant_outputs(target, data.y, len(data.truth)))
    given = data.truth, data.test_weights
    contenders = tuple(Contender(name, _scores(chosen, values, *given)) for name, values in named)
    some = np.random.default_rng(options.seed).permutation(len(data.y))[:_MOST_TRAINING]
    learned = model.outputs_of(model.features(data.codes[some], data.documents))
    result = TuneResult(
        model=model,
        contenders=contenders,
        train_scores=_scores(chosen, learned, data.y[some], None if data.weights is None else data.weights[some]),
        outputs=outputs[:, 0] if target.labels is None else probabilities(outputs),
        truth=data.truth,
        rows=data.rows,
        search=found,
        stopped_by=stopped_by,
        dictionary=data.dictionary,
        row_seconds=row_seconds(model, data.test_codes, data.test_documents),
    )
    result = intervals.measured(result, features, options.interval, options.seed)
    if options.report is not None:
        result = replace(result, importance=_importance(data, model, features, options.seed))
    return replace(result, advice=advise(result))


def _scores(
    chosen: ChosenMetric, outputs: NDArray[np.float32], truth: NDArray[Any], weights: NDArray[Any] | None
) -> Scores:
    target = chosen.target
    if target.labels is None:
        scores = score_numbers(target.scale, outputs[:, 0], truth, weights)
        seen = np.ones(len(truth), np.bool_)
    else:
        shares = outputs if outputs.shape[1] == len(target.labels) else probabilities(outputs)
        scores, seen = score_classes(target.labels, shares, truth, weights), truth >= 0
    if chosen.shown is None or not seen.any():
        return scores
    value = chosen.value(outputs[seen], truth[seen], None if weights is None else weights[seen])
    return replace(scores, values={**scores.values, f"{chosen.shown} (decides)": value})


def _importance(data: Prepared, model: TableModel, features: list[NDArray[np.float32]], seed: int) -> Any:
    names = [column.name for column in data.schema.columns]
    numbers = data.target.labels is None
    metric = "R²" if numbers else "accuracy"
    seen = np.ones(len(data.truth), np.bool_) if numbers else data.truth >= 0

    def score(outputs: NDArray[np.float32], truth: NDArray[Any]) -> float:
        if numbers:
            return float(metrics.R2Score()(truth, outputs[:, 0]))
        return float(metrics.SparseCategoricalAccuracy()(truth, probabilities(outputs)))

    encoded = [part[seen] for part in features]
    return column_importance(model, encoded, names, data.truth[seen], score, metric, seed)


def _write(result: TuneResult, options: TuneOptions) -> None:
    """Writes the files, each elsewhere if need be; if one cannot be written, the other one is."""

    def report(path: str) -> None:
        from fastreg.tune import page

        name = printable(Path(options.data).name)
        target = result.model.target
        lead = f"A model that predicts {target.name} ({target.task}) from {columns_text(result)}."
        page.write(result, Path(path), f"{target.name} of {name}", lead, options.seed)

    writers: list[tuple[Path, Callable[[str], None]]] = []
    if options.out is not None:
        writers.append((options.out, result.model.save))
    if options.report is not None:
        writers.append((options.report, report))
    failed: list[Exception] = []
    for path, write in writers:
        try:
            with as_tune_errors():
                kept(os.fspath(path), write)
        except (OSError, TuneError) as error:
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise TuneError("; ".join(map(one_line, failed)))
