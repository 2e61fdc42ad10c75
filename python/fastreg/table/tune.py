"""The commands `fastreg tune`, from a table to a tuned network with its preprocessing, and `fastreg predict`.

They use the public Python interface only. Results go to standard output, progress to standard error; cli.py describes
the exit status. pandas, optuna and matplotlib are imported when a command runs.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks, layers, optimizers, search
from fastreg.data.stratification import first_of_each
from fastreg.internal.progress import format_time, printable, say
from fastreg.model import files
from fastreg.model.sequential import Sequential
from fastreg.table.encoder import TableEncoder
from fastreg.table.model import TableModel
from fastreg.table.reading import read_table
from fastreg.table.schema import Schema, Target

__all__ = ["TuneError", "TuneOptions", "TuneResult", "predict", "tune"]

EPOCHS, PATIENCE = 100, 5
TEST_SHARE = 0.2
# The share of the time that is reserved for the last fit and the report.
RESERVE = 0.2
# The number of rows that are predicted and written at once.
BLOCK = 65536


class TuneError(Exception):
    """The command cannot be carried out; the message says why."""


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


@dataclass(frozen=True)
class TuneResult:
    """The result of a search: the model, its score on the rows that were held back, and the search itself."""

    model: TableModel
    test_score: float
    n_train: int
    n_test: int
    search: Any

    @property
    def metric(self) -> str:
        """What scores are called."""
        return "RMSE" if self.model.target.task == "regression" else "accuracy"


def tune(options: TuneOptions, out: TextIO | None = None) -> TuneResult:
    """Searches for the network that predicts the target best, and scores it once on rows that the search never saw.

    Raises:
        TuneError: If the data do not allow it, or an optional package is missing.
        OSError: If a file cannot be read or written.
    """
    started = time.monotonic()
    try:
        if options.out is not None:
            files.check_ending(options.out)  # before the search rather than after it
        train, test = _split(options)
        target = Target.infer(train, options.target, options.task)
        schema = Schema.infer(train, [name for name in (options.target, options.test) if name is not None])
        y, known = target.encode(train)
    except (ValueError, ImportError) as error:
        raise TuneError(str(error)) from error
    for name, reason in schema.left_out.items():
        say(f"column {name!r} is left out: {reason}")
    if not known.all():
        say(f"{int((~known).sum())} rows without a value of {options.target!r} are left out")
    codes, y = schema.codes(train)[known], y[known]
    search = _search(options, schema, target, len(y), options.time - (time.monotonic() - started))
    try:
        search.fit(codes, y, **_fit_arguments(len(y)))
    except (ValueError, ImportError) as error:
        raise TuneError(str(error)) from error
    (encoder,) = search.best_preprocess_.steps
    model = TableModel(schema, encoder, search.best_model_, target)
    outcome = TuneResult(model, model.score(test), len(y), len(test), search)
    if options.out is not None:
        model.save(options.out)
    if options.report is not None:
        title = f"{options.target} of {printable(Path(options.data).name)}"
        search.report(options.report, title=title, notes=_facts(outcome))
    print(describe(outcome), file=out)
    say(f"{format_time(time.monotonic() - started)} in all")
    return outcome


def predict(model_path: str, data_path: str, out: TextIO | None = None) -> None:
    """Writes predictions for the rows of a table as CSV: the target's name, then for classes the probability of each.

    Columns that the model does not need are ignored.

    Raises:
        TuneError: If a file is not what it should be, or the table lacks a column.
        OSError: If a file cannot be read.
    """
    try:
        model = TableModel.load(model_path)
        table = read_table(data_path)
        writer = csv.writer(sys.stdout if out is None else out, lineterminator="\n")
        for begin in range(0, len(table), BLOCK):
            columns = model.predict(table.iloc[begin : begin + BLOCK])
            if begin == 0:
                writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    except (ValueError, ImportError) as error:
        raise TuneError(str(error)) from error


def describe(outcome: TuneResult) -> str:
    """The result as text: the best trials, the parameters and the scores."""
    return "\n".join([outcome.search.summary(), "", *(f"{name}: {value}" for name, value in _facts(outcome).items())])


def _facts(outcome: TuneResult) -> dict[str, str]:
    target, search = outcome.model.target, outcome.search
    held_back = f"{outcome.test_score:.4f} {outcome.metric} on {outcome.n_test} rows held back"
    metric = "mse" if target.task == "regression" else "accuracy"
    score = float(np.mean(search.best_trial_.scores[metric]))
    if target.task == "regression":  # of standardised targets
        score = target.scale * score**0.5
    chosen = ", ".join(f"{name} {_short(value)}" for name, value in search.best_params_.items())
    return {
        "target": f"{target.name} ({target.task})",
        "rows": f"{outcome.n_train} to learn from, {outcome.n_test} held back",
        "features": f"{outcome.model.encoder.n_features} from {len(outcome.model.schema.columns)} columns",
        "best parameters": chosen,
        "cross-validation": f"{score:.4f} {outcome.metric}",
        "test": held_back,
    }


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# The data.


def _split(options: TuneOptions) -> tuple[Any, Any]:
    """The table to learn from and the one held back."""
    table = read_table(options.data)
    if options.target not in table.columns:
        Target.infer(table, options.target)  # its message guesses at the column that was meant
    if options.test is None:
        held_back = _held_back(table, options)
    elif options.test in table.columns:
        held_back = _flags(table, options.test)
    elif Path(options.test).exists():
        return table, read_table(options.test)
    else:
        raise ValueError(f"--test: neither a column of {options.data} nor a file: {options.test!r}")
    if not held_back.any() or held_back.all():
        raise ValueError(
            f"--test: some rows must be held back and some not, got {int(held_back.sum())} of {len(table)}"
        )
    return table[~held_back], table[held_back]


def _flags(table: Any, name: str) -> NDArray[np.bool_]:
    values = np.asarray(table[name])
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if not np.isin(numbers, (0.0, 1.0)).all():
        raise ValueError(f"--test: column {name!r} must hold 0 and 1 only")
    flags: NDArray[np.bool_] = numbers == 1.0
    return flags


def _held_back(table: Any, options: TuneOptions) -> NDArray[np.bool_]:
    """A fifth of the rows by the seed; of every class its share."""
    n = len(table)
    if n < 10:
        raise ValueError(f"the table must have at least 10 rows, got {n}")
    target = Target.infer(table, options.target, options.task)
    labels = target.encode(table)[0] if target.labels is not None else np.zeros(n, np.int32)
    rng = np.random.default_rng(options.seed)
    order = np.concatenate([rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    return first_of_each(order, labels, np.array([round(TEST_SHARE * count) for count in np.bincount(labels)]))


# The search.


def _search(options: TuneOptions, schema: Schema, target: Target, n_rows: int, seconds: float) -> Any:
    return search.BayesianSearch(
        builder(target),
        space(),
        n_trials=options.trials,
        cv=options.cv,
        scoring=scoring(target),
        preprocess=TableEncoder([column.kind == "categorical" for column in schema.columns]),
        pruner=search.MedianPruner(),
        n_jobs=options.jobs,
        seed=options.seed,
        time_limit=max(seconds * (1.0 - RESERVE), 1.0),
        verbose=options.verbose,
    )


def scoring(target: Target) -> list[str]:
    """The metrics; the first decides. A cross-entropy tells networks apart that differ by chance in accuracy."""
    return ["mse"] if target.task == "regression" else ["loss", "accuracy"]


def space() -> Mapping[str, Any]:
    """What is searched."""
    return {
        "n_layers": search.Integer(1, 3),
        "units": search.Integer(32, 256, step=32),
        "dropout": search.Uniform(0.0, 0.6),
        "learning_rate": search.LogUniform(3e-4, 5e-3),
        "weight_decay": search.LogUniform(1e-4, 0.3),
    }


def builder(target: Target) -> Callable[[Mapping[str, Any]], Sequential]:
    """From parameters to a compiled network."""
    units, activation, loss, metric = {
        "regression": (1, "linear", "mean_squared_error", "mse"),
        "binary": (1, "sigmoid", "binary_crossentropy", "accuracy"),
        "multiclass": (len(target.labels or ()), "softmax", "sparse_categorical_crossentropy", "accuracy"),
    }[target.task]

    def build(params: Mapping[str, Any]) -> Sequential:
        stack: list[layers.Layer] = []
        for _ in range(params["n_layers"]):
            stack += [layers.Dense(params["units"], activation="relu"), layers.Dropout(params["dropout"])]
        model = Sequential([*stack, layers.Dense(units, activation=activation)])
        optimizer = optimizers.AdamW(params["learning_rate"], weight_decay=params["weight_decay"])
        model.compile(optimizer, loss, [metric])
        return model

    return build


def _fit_arguments(n_rows: int) -> dict[str, Any]:
    return {
        "epochs": EPOCHS,
        "batch_size": 32 if n_rows < 2_000 else 128 if n_rows < 10_000 else 256,
        "callbacks": [callbacks.EarlyStopping("val_loss", patience=PATIENCE)],
    }
