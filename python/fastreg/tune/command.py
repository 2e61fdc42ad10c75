"""The commands `fastreg tune`, from a table to a tuned network with its preprocessing, and `fastreg predict`.

They use the public Python interface only. Results go to standard output, progress to standard error; cli.py describes
the exit status. What can be wrong is found out before the search, and results are printed before a file is written.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from fastreg import metrics, search
from fastreg.internal.extras import needs
from fastreg.internal.progress import format_time, printable, say
from fastreg.table.errors import TuneError, as_tune_errors, one_line
from fastreg.table.model import TableModel
from fastreg.table.networks import builder, fit_arguments, space
from fastreg.table.options import TableOptions
from fastreg.tune import destinations, intervals
from fastreg.tune.advice import advise
from fastreg.tune.baseline import constant_outputs, linear_model
from fastreg.tune.chosen_metric import ChosenMetric
from fastreg.tune.importance import column_importance
from fastreg.tune.outcome import Contender, TuneResult
from fastreg.tune.predicting import predict
from fastreg.tune.preparation import Prepared, prepare
from fastreg.tune.printing import columns_text, describe
from fastreg.tune.scores import Scores, probabilities, score_classes, score_numbers

__all__ = ["TuneError", "TuneOptions", "TuneResult", "predict", "tune"]

# The share of the time that is reserved for the last fit and the report, and that of the linear model.
RESERVE, LINEAR_SHARE = 0.2, 0.1
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
        trials: The largest number of sets of hyper-parameters to try.
        cv: Folds.
        time: Seconds for everything.
        seed: Seed of the test rows, the folds, the proposals and the networks.
        out: Model file to write; None writes none.
        report: HTML file to write; None writes none.
        jobs: Threads that train at once; -1: all there are.
        verbose: 0 shows no progress.
        table: How the table is read, what its columns are, and which metric decides.
        interval: The share of new rows whose number is to lie within the interval around its prediction, in (0,
            0.999999]; None makes no intervals.
    """

    data: str
    target: str
    test: str | None = None
    task: str | None = None
    trials: int = 64
    cv: int = 3
    time: float = 60.0
    seed: int = 0
    out: Path | None = None
    report: Path | None = None
    jobs: int = -1
    verbose: int = 1
    table: TableOptions = field(default_factory=TableOptions)
    interval: float | None = None


def tune(options: TuneOptions, out: TextIO | None = None) -> TuneResult:
    """Searches for the network that predicts the target best, and scores it once on rows that the search never saw.

    Ctrl-C ends the search and gives the best model so far, which is the linear one before the first trial is finished.

    Raises:
        TuneError: If the data do not allow it, or an optional package is missing.
        OSError: If a file cannot be read or written.
    """
    started = time.monotonic()
    with as_tune_errors():
        _check(options)
        data = prepare(options.data, options.target, options.test, options.task, options.seed, options.table)
        intervals.check(options.interval, data)
        chosen = ChosenMetric(data.target, options.table.metric)
        _tell(data, options)
        linear = _linear(data, options)
        left = options.time - (time.monotonic() - started)
        found, stopped_by = _searched(options, data, chosen, left * (1.0 - RESERVE))
        model = linear if found is None else TableModel(data.schema, _encoder_of(found), found.best_model_, data.target)
        result = _judged(data, model, linear, found, stopped_by, options, chosen)
        _print(describe(result), out)
    _write(result, options)
    say(f"{format_time(time.monotonic() - started)} in all")
    return result


# Before the search.


def _check(options: TuneOptions) -> None:
    """Finds out what would otherwise fail after the search."""
    sources = [options.data] if options.test is None else [options.data, options.test]
    destinations.check({"--out": options.out, "--report": options.report}, sources)
    packages = ["optuna", *(["matplotlib"] if options.report is not None else [])]
    if missing := [name for name in packages if find_spec(name) is None]:
        raise ImportError(needs("fastreg tune", "tune", *missing))


def _tell(data: Prepared, options: TuneOptions) -> None:
    for note in data.notes:
        say(f"{printable(Path(options.data).name)}: {note}")
    lines = data.dictionary.to_text().splitlines()
    say("\n".join(lines[:_MOST_LINES]))
    if len(lines) > _MOST_LINES:
        say(f"... and {len(lines) - _MOST_LINES} more columns, which --report lists")
    if data.rows.left_out:
        say(f"{data.rows.left_out} rows without a value of {data.target.name!r} are left out")
    if data.target.labels is not None:
        counts = np.bincount(data.y, minlength=len(data.target.labels)).tolist()
        named = zip(data.target.labels, counts, strict=True)
        few = [f"{label!r} ({count})" for label, count in named if count < options.cv]
        if few:
            told = ", ".join(few[:_NAMED]) + (f" and {len(few) - _NAMED} more" if len(few) > _NAMED else "")
            say(f"classes with fewer rows to learn from than the {options.cv} folds: {told}")


def _linear(data: Prepared, options: TuneOptions) -> TableModel:
    """The linear model, whose numeric columns have no bins."""
    encoder = data.new_encoder(n_bins=0).fit(data.codes, data.y)
    features = encoder.transform(data.codes)
    model = linear_model(data.target, features, data.y, options.seed, LINEAR_SHARE * options.time, data.weights)
    return TableModel(data.schema, encoder.without_documents(), model, data.target)


# The search.


def _searched(options: TuneOptions, data: Prepared, chosen: ChosenMetric, seconds: float) -> tuple[Any, str]:
    """The search, or None if it has found no network, and what ended it."""
    made = search.BayesianSearch(
        builder(data.target),
        space(),
        n_trials=options.trials,
        cv=_folds(options, data),
        scoring=chosen.scoring,
        preprocess=data.new_encoder(),
        pruner=search.MedianPruner() if chosen.prunes else None,
        n_jobs=options.jobs,
        seed=options.seed,
        time_limit=max(seconds, 1.0),
        verbose=options.verbose,
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "cv: (class number|fold) ")  # _tell has said so, by the name of the class
            given = {} if data.weights is None else {"sample_weight": data.weights}
            made.fit(data.codes, data.y, data.groups, **fit_arguments(len(data.y)), **given)
        if made.stopped_by_ == "interrupt":
            say("the best network so far is trained on all rows; Ctrl-C again ends it")
            made.refit_best()
    except (RuntimeError, KeyboardInterrupt) as error:
        ended = getattr(made, "stopped_by_", None)
        if ended is None or hasattr(made, "best_trial_"):
            raise
        if isinstance(error, RuntimeError):
            say(f"no network was found, so that the linear model is the result: {one_line(error)}")
        return None, ended
    return made, made.stopped_by_


def _folds(options: TuneOptions, data: Prepared) -> Any:
    """Folds that respect groups, or the order of time."""
    if data.in_time:
        return search.TimeSeriesSplit(options.cv)
    return options.cv if data.groups is None else search.GroupKFold(options.cv)


def _encoder_of(found: Any) -> Any:
    (encoder,) = found.best_preprocess_.steps
    return encoder.without_documents()


# After the search.


def _judged(
    data: Prepared,
    model: TableModel,
    linear: TableModel,
    found: Any,
    stopped_by: str,
    options: TuneOptions,
    chosen: ChosenMetric,
) -> TuneResult:
    """The model beside simpler ones, on the rows that were held back."""
    target = data.target
    features = model.encoder.transform(data.test_codes, data.test_documents)
    outputs = model.model.predict(features, verbose=0)
    named = [("network" if found is not None else "linear model", outputs)]
    if found is not None:
        plain = linear.encoder.transform(data.test_codes, data.test_documents)
        named.append(("linear model", linear.model.predict(plain, verbose=0)))
    named.append(constant_outputs(target, data.y, len(data.truth)))
    given = data.truth, data.test_weights
    contenders = tuple(Contender(name, _scores(chosen, values, *given)) for name, values in named)
    some = np.random.default_rng(options.seed).permutation(len(data.y))[:_MOST_TRAINING]
    learned = model.model.predict(model.encoder.transform(data.codes[some], data.documents), verbose=0)
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
    )
    result = intervals.with_intervals(result, options.interval, options.seed)
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


def _importance(data: Prepared, model: TableModel, features: NDArray[np.float32], seed: int) -> Any:
    names = [column.name for column in data.schema.columns]
    widths = model.encoder.widths
    numbers = data.target.labels is None
    metric = "R²" if numbers else "accuracy"
    seen = np.ones(len(data.truth), np.bool_) if numbers else data.truth >= 0

    def score(outputs: NDArray[np.float32], truth: NDArray[Any]) -> float:
        if numbers:
            return float(metrics.R2Score()(truth, outputs[:, 0]))
        return float(metrics.SparseCategoricalAccuracy()(truth, probabilities(outputs)))

    columns = list(zip(names, widths, strict=True))
    return column_importance(model.model, features[seen], columns, data.truth[seen], score, metric, seed)


def _print(text: str, out: TextIO | None) -> None:
    """Prints text in the encoding of the stream. A reader who has gone away does not keep files from being written."""
    stream = sys.stdout if out is None else out
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        say("standard output is closed")


def _write(result: TuneResult, options: TuneOptions) -> None:
    """Writes the files; if one cannot be written, the other one is."""

    def report() -> None:
        from fastreg.tune import page

        assert options.report is not None
        name = printable(Path(options.data).name)
        target = result.model.target
        lead = f"A model that predicts {target.name} ({target.task}) from {columns_text(result)}."
        page.write(result, options.report, f"{target.name} of {name}", lead, options.seed)

    writers: list[Callable[[], None]] = []
    if options.out is not None:
        path = options.out
        writers.append(lambda: result.model.save(path))
    if options.report is not None:
        writers.append(report)
    failed: list[Exception] = []
    for write in writers:
        try:
            with as_tune_errors():
                write()
        except (OSError, TuneError) as error:
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise TuneError("; ".join(map(one_line, failed)))
