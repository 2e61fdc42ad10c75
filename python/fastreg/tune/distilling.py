"""The command `fastreg distill`: from a model of another library and a table to a network that imitates it.

It uses the public Python interface only. Results go to standard output, progress to standard error; what can be wrong
with arguments and files is found out before the teacher is asked.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from fastreg.internal.extras import needs
from fastreg.internal.other_places import kept
from fastreg.internal.progress import format_time, printable, say
from fastreg.table.distillation import Distillation
from fastreg.table.distilling import distill as distilled
from fastreg.table.errors import as_tune_errors, one_line
from fastreg.table.options import TableOptions
from fastreg.table.recipe import Recipe
from fastreg.tune import destinations
from fastreg.tune.printing import aligned, ended, microseconds, number, printed

__all__ = ["DistillOptions", "distill"]

_PICKLES, _JOBLIB = (".pkl", ".pickle", ".joblib"), ".joblib"


@dataclass(frozen=True)
class DistillOptions:
    """The arguments of ``fastreg distill``; those that are not here are those of :func:`fastreg.table.distill`.

    Attributes:
        data: CSV, Parquet, Feather or xlsx file.
        teacher: ``module:object``, or a file of pickle or joblib.
        target: The column with the true targets; None without them.
        test: A file with the rows to score, or a column of 0 and 1 that marks them; None holds back a random fifth.
        task: "classification" or "regression"; None decides by the teacher.
        classes: The classes in the order of the probabilities; empty for those of the teacher.
        rows: How many rows are made; None decides by the table and the time.
        compare: Whether a plain network is trained for comparison.
        time: Seconds for everything; None for no limit.
        preset: "fast", "default" or "best", or a recipe of one's own.
        seed: Of everything that is drawn.
        jobs: The number of networks that are trained at the same time; -1 means one for each thread of fastreg.
        out: Model file to write; None writes none.
        allow_pickle: Whether a file of pickle or joblib may be loaded, which runs code of the file.
        verbose: 0 shows no progress.
        table: How the table is read, and what its columns are.
    """

    data: str
    teacher: str
    target: str | None = None
    test: str | None = None
    task: str | None = None
    classes: tuple[str, ...] = ()
    rows: int | None = None
    compare: bool = True
    time: float | None = 60.0
    preset: str | Recipe = "default"
    seed: int = 0
    jobs: int = -1
    out: Path | None = None
    allow_pickle: bool = False
    verbose: int = 1
    table: TableOptions = field(default_factory=TableOptions)


def distill(options: DistillOptions, out: TextIO | None = None) -> Distillation:
    """Trains a network that imitates the teacher, prints how well it does, and writes it.

    Raises:
        TuneError: If the teacher or the data do not allow it, or an optional package is missing.
        OSError: If a file cannot be read or written. The model is written to another place then, which the message
            names.
    """
    with as_tune_errors():
        sources = [options.data, *([options.test] if options.test is not None else [])]
        is_file = options.teacher.endswith(_PICKLES)
        destinations.check({"--out": options.out}, [*sources, *([options.teacher] if is_file else [])])
        teacher = load(options.teacher, options.allow_pickle)
        named = {name: value for name, value in options.table.__dict__.items() if name not in _NOT_GIVEN}
        result = distilled(
            teacher,
            options.data,
            options.target,
            test=options.test,
            task=options.task,
            classes=list(options.classes) or None,
            rows=options.rows,
            compare=options.compare,
            time=options.time,
            preset=options.preset,
            seed=options.seed,
            jobs=options.jobs,
            verbose=options.verbose,
            **named,
        )
        with printed(describe(result, f"{type(teacher).__name__} of {printable(options.teacher)}"), out):
            if options.out is not None:
                kept(os.fspath(options.out), result.model.save)
    say(f"{format_time(result.seconds)} in all")
    return result


# Options of a table that are about weights and targets.
_NOT_GIVEN = ("weight", "group", "time_column", "metric", "task")


def load(name: str, allow_pickle: bool) -> Any:
    """The model that ``module:object`` names, or that of a file of pickle or joblib.

    Args:
        name: The name; a module is looked for in the working directory, too.
        allow_pickle: Whether a file may be loaded, which runs code of the file.

    Raises:
        ValueError: If there is no such object, or the file holds none that can be loaded.
        OSError: If the file cannot be read.
        ImportError: If joblib, which comes with scikit-learn, is missing.
    """
    if name.endswith(_PICKLES):
        if not allow_pickle:
            raise ValueError(
                f"--teacher: loading {name!r} runs code that the file contains; --allow-pickle loads it if you trust it"
            )
        return _unpickled(name)
    module, _, path = name.partition(":")
    if not module or not path:
        raise ValueError(f"--teacher: must be module:object, or a file {', '.join(_PICKLES)}, got {name!r}")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:  # of code that is not ours
        raise ValueError(f"--teacher: {name!r} cannot be loaded: {type(error).__name__}: {one_line(error)}") from error
    return found


def _unpickled(name: str) -> Any:
    if name.endswith(_JOBLIB):
        try:
            import joblib  # comes with scikit-learn
        except ModuleNotFoundError as error:
            raise ImportError(needs(f"--teacher: {name!r}", "sklearn", "scikit-learn")) from error
        read = joblib.load
    else:
        read = pickle.load
    with Path(name).open("rb") as file:
        try:
            return read(file)
        except Exception as error:  # of whatever the file contains
            told = f"{type(error).__name__}: {one_line(error)}"
            raise ValueError(f"--teacher: {name!r} cannot be loaded: {told}") from error


# What is printed.


def describe(result: Distillation, teacher: str) -> str:
    """The facts, and the scores of the teacher, the student and the plain network beside each other."""
    lines = [f"{name}: {value}" for name, value in _facts(result, teacher).items()]
    return "\n".join([*lines, *(["", *_comparison(result)] if result.scores else [])])


def _facts(result: Distillation, teacher: str) -> Mapping[str, str]:
    target, search = result.model.target, result.search
    rows = f"{result.n_rows} of the table and {result.n_made} made of them to learn from, {result.n_test} held back"
    count = len(search.members_)
    near = ", ".join(f"{name} {number(value)}" for name, value in result.agreement.items())
    shown = {
        "teacher": teacher,
        "target": f"{target.name} ({target.task})",
        "rows": rows,
        "model": f"a blend of {count}" if count > 1 else "one network",
        "tried": f"{search.n_trials_} networks and a linear model; {ended(search)}",
        "student beside the teacher": f"{near} on the rows held back",
    }
    if result.gap_closed is not None:
        loss = "mean squared error" if target.labels is None else "log-loss"
        shown["gap closed"] = f"{result.gap_closed:.0%} of what the plain network lacks to the teacher in {loss}"
    elif "plain network" in result.scores:
        shown["gap closed"] = "none to close: the teacher is no better than the plain network on the rows held back"
    own, other = microseconds(result.row_seconds), microseconds(result.teacher_seconds)
    shown["one row"] = f"{own} by the frozen network, encoding included, {other} by the teacher"
    return shown


def _comparison(result: Distillation) -> Iterator[str]:
    names = list(result.scores)
    head = (f"on the {result.n_test} rows held back", *names)
    first = result.scores[names[0]]
    yield from aligned(head, [(score, *(number(result.scores[name][score]) for name in names)) for score in first])
