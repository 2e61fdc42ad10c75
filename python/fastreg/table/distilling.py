"""``distill``: a network that imitates a model of another library on a table, and how well it does.

The order of events is here. ``teachers.py`` asks the model, ``raw_rows.py`` has rows in its form, ``synthetic.py``
makes further rows, and the recipe (``blending.py``) trains the network.
"""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import (
    NON_NEGATIVE,
    POSITIVE,
    Range,
    check_bool,
    check_choice,
    check_int,
    check_real,
    check_verbosity,
    describe,
)
from fastreg.internal.progress import say
from fastreg.table.blending import Blend, cook
from fastreg.table.candidates import Candidate
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.distillation import Distillation, TrueTargets, agreement, as_outputs, compared
from fastreg.table.encoder import Codes
from fastreg.table.model import TableModel
from fastreg.table.options import TableOptions
from fastreg.table.raw_rows import RawRows
from fastreg.table.reading import read_table, typed_style
from fastreg.table.recipe import AMOUNTS, Recipe
from fastreg.table.roles import marks_of, with_target
from fastreg.table.row_time import row_seconds
from fastreg.table.schema import Schema
from fastreg.table.synthetic import SyntheticRows
from fastreg.table.tables import Dialect, Table
from fastreg.table.target import Target
from fastreg.table.teachers import Teacher
from fastreg.table.texts import Documents
from fastreg.table.training import TrainingRows, task_of

__all__ = ["STUDENTS", "distill"]

# The share of the rows that are held back, and the rows that a table needs.
_TEST_SHARE, _LEAST_ROWS = 0.2, 10
# Rows that are made, at least, for each row of the table, and at most; and their cells at most.
_LEAST, _TIMES, _MOST, _MOST_CELLS = 20_000, 10, 200_000, 2**25
# The share of the time that the teacher may take for rows that are made.
_ASKING = 0.25
# The steps of a network that is trained where there was no time for any.
_FEW_STEPS = 300
# What is drawn by the seed: the rows that are held back, and those that are made.
_SPLIT, _MADE = 1, 2
_OWNER = "distill"
_SEED, _JOBS = Range("be in [0, 2**32)", 0, 2**32, "[)"), ("be -1 or >= 1", lambda value: value == -1 or value >= 1)
_TASKS = ("classification", "regression")
# Options of a table that are about targets, or divide rows.
_OTHER_OPTIONS = ("weight", "group", "time_column", "metric", "task")

#: What is tried as a student, in this order. A teacher's answers have no noise and there are many of them, so that
#: networks need next to no regularisation, and more steps. The first is quick, so that there is always one.
STUDENTS = (
    Candidate(bins=48, width=128, dropout=0.0, decay=0.01, steps=1500),
    Candidate(bins=128, width=128, dropout=0.0, decay=0.01, steps=6000),
    Candidate(bins=128, width=256, layers=3, activation="silu", dropout=0.0, decay=0.01, steps=6000),
    Candidate(bins=0, activation="relu", dropout=0.0, decay=0.01, steps=6000),
    Candidate(bins=48, width=256, dropout=0.0, decay=0.01, steps=6000),
)


@dataclass
class _Settings:
    """The checked arguments of :func:`distill`."""

    recipe: Recipe
    plain_recipe: Recipe
    compare: bool
    time: float | None
    rows: int | None
    seed: int
    jobs: int
    tell: Callable[[str], None]
    begun: float = field(default_factory=clock.monotonic)

    def left(self) -> float | None:
        """The seconds that are left; None for no limit."""
        return None if self.time is None else max(self.time - (clock.monotonic() - self.begun), 0.0)


def distill(
    teacher: Any,
    table: Any,
    target: Any = None,
    *,
    test: Any = None,
    task: str | None = None,
    classes: Sequence[Any] | None = None,
    rows: int | None = None,
    compare: bool = True,
    time: float | None = 60.0,
    preset: str | Recipe = "default",
    seed: int = 0,
    jobs: int = -1,
    verbose: int = 0,
    **options: Any,
) -> Distillation:
    """Trains a network that imitates a model: small and fast where the model is large and slow.

    The teacher answers for the rows of the table and for further ones, whose cells are mixed from near rows, and whose
    numbers are jittered (MUNGE: Bucilua, Caruana and Niculescu-Mizil, "Model compression", KDD 2006; for boosting and
    ensembles as teachers, Fakoor et al., "Fast, accurate, and simple models for tabular data via augmented
    distillation", NeurIPS 2020). Networks learn the answers, as :class:`fastreg.table.Recipe` says: probabilities as
    soft targets (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015), or standardised
    numbers. True targets are used for scores alone.

    Args:
        teacher: An object with ``predict_proba`` or ``predict``, or a function. It gets rows as the table has them,
            without the target: a frame as a frame, a mapping as a mapping of arrays, a file as a frame of pandas. A
            model that was fitted on a frame (``feature_names_in_``) gets its columns as a frame, one that was fitted on
            an array (``n_features_in_``) gets an array. It must answer with a number or a class for each row, or with
            the probabilities of classes, (n, classes).
        table: A frame of pandas, polars or Arrow, a mapping from names to arrays, or the path of a file.
        target: The name of the column with the true targets, or the targets, some of which may be missing; None
            without them.
        test: A table with the rows to score, from which neither the teacher nor the network has learned, or the name
            of a column that is 1 for them and 0 else; None holds back a fifth of the rows. If the teacher has learned
            from these, its score is too good.
        task: "classification" or "regression"; None decides by the teacher. With "regression" the numbers of
            ``predict`` are learned, whatever else there is; with "classification" a function may give the probability
            of the second of two classes.
        classes: The classes in the order of the probabilities; None for the ``classes_`` of the teacher, else those of
            the target. If the probabilities are a frame whose columns have these names, its order counts.
        rows: How many rows are made, >= 0; None for ten times those of the table, between 20,000 and 200,000. Within a
            time there are fewer if the teacher is slow.
        compare: Whether a plain network is trained on the true targets for comparison, in half of the time.
        time: Seconds for everything, > 0; None for no limit, so that the result depends on the seed alone. If it is too
            short for any network, one of few steps is trained beyond it.
        preset: "fast", "default" or "best", or a recipe of one's own, whose candidates are tried in place of
            ``distilling.STUDENTS``.
        seed: Of everything that is drawn.
        jobs: The number of networks that are trained at the same time; -1 means one for each thread of fastreg.
        verbose: 0 shows nothing.
        **options: How the table is read, as for :class:`TableClassifier`: ``sep``, ``missing``, ``ignore``,
            ``categorical`` and so on.

    Raises:
        TypeError: If the teacher has no such method, or an argument is of the wrong type.
        ValueError: If the teacher fails, or its answers are of another number of rows, not finite, or no probabilities;
            or if the table does not allow it.
        RuntimeError: If no network could be trained, since all diverged.
        OSError: If a file cannot be read.

    Example:
        >>> import numpy as np
        >>> from fastreg.table import Candidate, Recipe, distill
        >>> rng = np.random.default_rng(0)
        >>> table = {"a": rng.uniform(size=200), "b": rng.uniform(size=200)}
        >>> quick = Recipe(large=(Candidate(bins=8, width=16, dropout=0.0, rate=0.02, steps=400),), trials=1)
        >>> found = distill(lambda rows: rows["a"] * rows["b"], table, preset=quick, rows=6000, time=None)
        >>> found.agreement["R²"] > 0.98
        True
        >>> frozen = found.model.freeze()
    """
    settings = _checked(rows, compare, time, preset, seed, jobs, verbose)
    if task is not None:
        check_choice(_OWNER, "task", task, _TASKS)
    if unknown := [name for name in options if name in _OTHER_OPTIONS or name not in TableOptions.__dataclass_fields__]:
        raise TypeError(f"{_OWNER}: unknown argument {unknown[0]!r}")
    return _Distilling(settings, TableOptions(**options)).run(teacher, table, target, test, task, classes)


def _checked(
    rows: Any, compare: Any, time: Any, preset: Any, seed: Any, jobs: Any, verbose: Any
) -> _Settings:
    if isinstance(preset, Recipe):
        own = plain = preset
    else:
        plain = Recipe.preset(check_choice(_OWNER, "preset", preset, AMOUNTS))
        own = replace(plain, small=STUDENTS, large=STUDENTS)
    return _Settings(
        recipe=own,
        plain_recipe=plain,
        compare=check_bool(_OWNER, "compare", compare),
        time=None if time is None else check_real(_OWNER, "time", time, POSITIVE),
        rows=None if rows is None else check_int(_OWNER, "rows", rows, NON_NEGATIVE),
        seed=check_int(_OWNER, "seed", seed, _SEED),
        jobs=check_int(_OWNER, "jobs", jobs, _JOBS),
        tell=say if check_verbosity(_OWNER, verbose, NON_NEGATIVE) else _silent,
    )


def _silent(line: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class _Part:
    """Some rows of a table: their numbers, cells and codes, and the teacher that has all of them in its form."""

    teacher: Teacher
    numbers: NDArray[np.int64]
    table: Table
    codes: Codes
    documents: Mapping[int, Documents]

    @property
    def answers(self) -> NDArray[Any]:
        """What the teacher says, as it is."""
        return self.teacher.raw(self.numbers)


class _Distilling:
    """One call of :func:`distill`."""

    def __init__(self, settings: _Settings, options: TableOptions) -> None:
        self._settings, self._options = settings, options
        self._schema: Schema

    def run(
        self, model: Any, table: Any, target: Any, test: Any, task: str | None, classes: Sequence[Any] | None
    ) -> Distillation:
        """The whole of it, in order."""
        settings = self._settings
        learned, tested, name = self._parts(model, table, target, test, task)
        teacher = learned.teacher
        begun = clock.monotonic()
        answers = learned.answers
        each = (clock.monotonic() - begun) / len(answers)
        known = None
        if target is not None and task != "regression":
            known = Target.infer(learned.table, name, task, self._options.missing)
        teacher.understand(answers, name, classes, known)
        soft, of_test = teacher.targets(answers), teacher.targets(tested.answers)
        truth = None if target is None else self._truth(teacher.target, learned.table, tested.table)
        rows = self._rows(learned, soft, each)
        n_made = len(rows.y) - len(soft)
        settings.tell(f"{len(soft)} rows of the table and {n_made} that are made of them are learned from")
        with_plain = settings.compare and truth is not None
        left = settings.left()
        found = self._student(rows, None if left is None else left / (1 + with_plain))
        plain = None
        if with_plain and truth is not None and found.stopped_by != "interrupt":
            settings.tell("the plain network, for comparison")
            plain = self._plain(learned, truth)
        student = found.of_table(self._schema, teacher.target)
        shares = {"teacher": as_outputs(of_test), "student": student.outputs(tested.table)}
        scores, gap = compared(teacher.target, shares, plain, truth, tested.table)
        return Distillation(
            model=student,
            search=found,
            n_rows=len(soft),
            n_made=n_made,
            n_test=len(tested.numbers),
            agreement=agreement(teacher.target, shares["student"], shares["teacher"]),
            scores=scores,
            gap_closed=gap,
            teacher_seconds=tested.teacher.seconds(tested.numbers),
            row_seconds=row_seconds(student, tested.codes, tested.documents),
            seconds=clock.monotonic() - settings.begun,
        )

    # The rows.

    def _parts(self, model: Any, table: Any, target: Any, test: Any, task: str | None) -> tuple[_Part, _Part, str]:
        """The rows to learn from, those to score, and the name of the target."""
        read, given = self._read(table, "table")
        options = self._options.of(read.names)
        if target is None:
            name = "prediction"
            while name in read:
                name += "_"
        else:
            read, name = with_target(_OWNER, read, target, "target")
        is_marked = isinstance(test, str) and test in read
        left_out = (name, *options.ignore, *([test] if is_marked else []))
        teacher = Teacher(model, RawRows(given, left_out), task)
        others = [column for column in read if column not in (*teacher.names, *options.id, name)]
        self._schema = Schema.infer(read.without(others), target=name, options=replace(options, ignore=()))
        everything, documents = self._schema.codes(read), self._schema.documents(read)
        if read.n_rows < _LEAST_ROWS:
            raise ValueError(f"{_OWNER}: the table must have at least {_LEAST_ROWS} rows, got {read.n_rows}")
        held = self._held_back(read, test, is_marked)
        parts = np.flatnonzero(~held), np.flatnonzero(held)
        learned, tested = (_Part(teacher, part, read.rows(part), everything[part], documents) for part in parts)
        if test is None or is_marked:
            return learned, tested, name
        if target is not None and not isinstance(target, str):
            raise ValueError(f"{_OWNER}: with test, target must be the name of a column, got {describe(target)}")
        other, given = self._read(test, "test", read.dialect)
        if not other.n_rows:
            raise ValueError(f"{_OWNER}: test must have rows, got none")
        needed = (*teacher.names, *([] if target is None else [name]))
        if lacking := [column for column in needed if column not in other]:
            raise ValueError(f"{_OWNER}: test must have the columns of the table, it lacks {', '.join(lacking[:5])}")
        # A model of arrays knows columns by their order alone, which is that of the table.
        own = Teacher(model, RawRows(given, left_out), task, teacher.names)
        codes, texts = self._schema.codes(other), self._schema.documents(other)
        return learned, _Part(own, np.arange(other.n_rows), other, codes, texts), name

    def _held_back(self, table: Table, test: Any, is_marked: bool) -> NDArray[np.bool_]:
        """Which rows of the table are held back."""
        held = np.zeros(table.n_rows, np.bool_)
        if test is None:
            order = np.random.default_rng([self._settings.seed, _SPLIT]).permutation(table.n_rows)
            held[order[: round(_TEST_SHARE * table.n_rows)]] = True
        elif is_marked:
            held = marks_of("test", table, test)
            if not held.any() or held.all():
                told = f"{int(held.sum())} of {table.n_rows}"
                raise ValueError(f"test: some rows must be held back and some not, got {told}")
        return held

    def _read(self, table: Any, what: str, like: Dialect | None = None) -> tuple[Table, Any]:
        """A table, and the form of it from which the teacher gets rows. ``like`` is the dialect of an earlier one."""
        if isinstance(table, (str, bytes, os.PathLike)):
            if what == "test" and not os.path.exists(table):
                raise ValueError(f"test: neither a column of the table nor a file: {os.fsdecode(table)!r}")
            read = read_table(table, **self._options.reading, like=like)
            return read, read
        if not isinstance(table, (Table, Mapping)) and not hasattr(type(table), "columns"):
            raise TypeError(
                f"{_OWNER}: {what} must be a frame, a mapping from names to columns or a path, got {describe(table)}"
            )
        return Table.of(table, typed_style(self._options.decimal, self._options.thousands, like)), table

    def _rows(self, learned: _Part, soft: NDArray[np.float32], each: float) -> TrainingRows:
        """The rows of the table and those that are made of them, with the answers of the teacher."""
        columns, teacher = self._schema.columns, learned.teacher
        kinds, names = [column.kind for column in columns], [column.name for column in columns]
        count = self._settings.rows
        if count is None:
            count = min(max(_TIMES * len(soft), _LEAST), _MOST, _MOST_CELLS // len(columns))
            if self._settings.time is not None:
                count = min(count, int(_ASKING * self._settings.time / max(each, 1e-9)))
        codes = learned.codes
        if count:
            named = zip(kinds, names, strict=True)
            jitters = [kind == "numeric" and teacher.rows.is_number(name) for kind, name in named]
            rng = np.random.default_rng([self._settings.seed, _MADE])
            made = SyntheticRows.of(codes, kinds, np.array(jitters, np.bool_), count, rng)
            answers = teacher.raw_of(made.of_table(learned.numbers), names)
            codes, soft = np.concatenate([codes, made.codes]), np.concatenate([soft, teacher.targets(answers)])
        return TrainingRows(teacher.target, kinds, codes, soft, learned.documents)

    # The networks.

    def _cooked(self, rows: TrainingRows, recipe: Recipe, seconds: float | None) -> Blend | str:
        given = self._settings
        return cook(rows, recipe, ChosenMetric(rows.target), given.seed, given.jobs, seconds, given.tell)

    def _student(self, rows: TrainingRows, seconds: float | None) -> Blend:
        """The network that learns the answers of the teacher."""
        recipe = self._settings.recipe
        found = self._cooked(rows, recipe, seconds)
        if found == "time":
            self._settings.tell("the time was over before a network was judged; a small one is trained beyond it")
            first = recipe.candidates(len(rows.y), task_of(rows.target), rows.one_unit > 0)[1:2]
            some = tuple(replace(candidate, steps=min(candidate.steps, _FEW_STEPS)) for candidate in first)
            found = self._cooked(rows, replace(recipe, small=some, large=some, trials=1), None)
        if isinstance(found, str):
            if found == "interrupt":
                raise KeyboardInterrupt
            raise RuntimeError(f"{_OWNER}: no network could be trained; all have failed")
        return found

    def _plain(self, learned: _Part, truth: TrueTargets) -> TableModel | None:
        """The network that learns true targets; None if there was no time for it."""
        kinds = [column.kind for column in self._schema.columns]
        rows = TrainingRows(truth.target, kinds, learned.codes[truth.rows], truth.y, learned.documents)
        found = self._cooked(rows, self._settings.plain_recipe, self._settings.left())
        if isinstance(found, str):
            self._settings.tell("no plain network was found, so that there is no comparison")
            return None
        return found.of_table(self._schema, truth.target)

    def _truth(self, answered: Target, learned: Table, tested: Table) -> TrueTargets:
        """The true targets, of the classes of the teacher or as numbers."""
        name, missing = answered.name, self._options.missing
        if answered.labels is None:
            target = Target.infer(learned, name, "regression", missing)
        else:
            target = replace(answered, missing=Target.infer(learned, name, "classification", missing).missing)
        y, known = target.encode(learned)
        values, scored = target.encode(tested)
        for which, found in (("learned from", known), ("held back", scored)):
            if not found.any():
                of = "" if target.labels is None else f" of the teacher's classes {', '.join(target.labels[:5])}"
                raise ValueError(f"{_OWNER}: no row that is {which} has a value of {name!r}{of}")
        if target.labels is None:
            values = target.values(values[:, None])
        return TrueTargets(target, known, y[known], scored, values[scored])
