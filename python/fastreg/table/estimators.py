"""Estimators of tables: raw columns in, predictions out, on the same code as ``fastreg tune``.

This file has what both share and the classifier; ``regressor.py`` has the other one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks, search
from fastreg.data.arrays import sample_weights
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
    did_you_mean,
)
from fastreg.internal.progress import say
from fastreg.internal.whole_files import FilePath, path_text
from fastreg.model.files import StrOrBytesPath
from fastreg.search.folds.cross_validation import make_folds
from fastreg.table.blending import cook
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.columns import Cells
from fastreg.table.dictionary import DataDictionary
from fastreg.table.encoder import Codes, TableEncoder
from fastreg.table.intervals import Intervals, check_rows
from fastreg.table.linear import linear_table_model
from fastreg.table.model import TableModel
from fastreg.table.networks import builder, fit_arguments
from fastreg.table.notices import Notices
from fastreg.table.options import TableOptions
from fastreg.table.reading import read_table, typed_style
from fastreg.table.recipe import PRESETS, Recipe
from fastreg.table.roles import groups_of, times_of, weights_of, with_target
from fastreg.table.scatter import network_of, share_of, with_scatter
from fastreg.table.schema import Schema
from fastreg.table.tables import Table
from fastreg.table.target import Target
from fastreg.table.training import TrainingRows

__all__ = ["TableClassifier", "TableEstimator"]

_E = TypeVar("_E", bound="TableEstimator")

# The network without a search, and the share of the rows that tell when it has trained enough.
_DEFAULT = {"n_layers": 2, "units": 128, "dropout": 0.2, "learning_rate": 1e-3, "weight_decay": 1e-2}
_VALIDATION, _LEAST_ROWS = 0.15, 20
# The share of the rows whose errors tell how wide intervals are, and the level of intervals where none is given.
_APART, _USUAL = 0.2, 0.9
_JOBS = ("be -1 or >= 1", lambda value: value == -1 or value >= 1)
_SEED = Range("be in [0, 2**32)", 0, 2**32, "[)")


class TableEstimator:
    """What both estimators share; the docstrings of the classes say the rest."""

    _task = ""
    # The level of intervals, for which rows are held back.
    interval: float | None = None

    def __init__(
        self,
        *,
        trials: int = 0,
        time: float | None = 60.0,
        cv: int | None = None,
        seed: int = 0,
        jobs: int = -1,
        verbose: int = 0,
        preset: str | Recipe | None = None,
        journal: FilePath | None = None,
        resume: bool = False,
        **options: Any,
    ) -> None:
        owner = type(self).__name__
        self.trials = check_int(owner, "trials", trials, NON_NEGATIVE)
        self.time = None if time is None else check_real(owner, "time", time, POSITIVE)
        self.cv = None if cv is None else check_int(owner, "cv", cv, Range("be >= 2", 2))
        self.seed = check_int(owner, "seed", seed, _SEED)
        self.jobs = check_int(owner, "jobs", jobs, _JOBS)
        self.verbose = check_verbosity(owner, verbose, NON_NEGATIVE)
        if preset is not None and not isinstance(preset, Recipe):
            check_choice(owner, "preset", preset, PRESETS)
        self.preset = preset
        if journal is not None:
            path_text(owner, "journal", journal)
        self.journal = journal
        self.resume = check_bool(owner, "resume", resume)
        if "task" in options or (unknown := [name for name in options if name not in _OPTIONS]):
            raise TypeError(f"{owner}: unknown argument {'task' if 'task' in options else unknown[0]!r}")
        self.options = TableOptions(**options)
        self.model_: TableModel | None = None

    def __repr__(self) -> str:
        told = [f"{name}={value!r}" for name, value in self.get_params().items() if value != _DEFAULTS.get(name)]
        return f"{type(self).__name__}({', '.join(told)})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name, as in scikit-learn. ``deep`` has no effect."""
        return {name: getattr(self, name) for name in _OWN} | {name: getattr(self.options, name) for name in _OPTIONS}

    def set_params(self: _E, **params: Any) -> _E:
        """Replaces arguments of the constructor, as in scikit-learn. What is fitted stays until the next ``fit``.

        Raises:
            ValueError: If there is no argument of that name, or as the constructor does; then nothing is replaced.
            TypeError: As the constructor does.
        """
        known = self.get_params()
        if unknown := [name for name in params if name not in known]:
            hint = did_you_mean(unknown[0], known)
            raise ValueError(
                f"{type(self).__name__}: unknown argument {unknown[0]!r}{hint}; known: {', '.join(known)}"
            )
        made = type(self)(**(known | params))
        made.model_ = self.model_
        self.__dict__.update(made.__dict__)
        return self

    # Training.

    def fit(self: _E, table: Any, y: Any) -> _E:
        """Finds out what the columns are, and trains a network on them.

        Args:
            table: A frame of pandas, polars or Arrow, a mapping from names to arrays, or the path of a file that
                :func:`fastreg.table.read_table` reads.
            y: The name of the column to predict, or the targets themselves: an array or a series with a value for each
                row.

        Returns:
            Itself.

        Raises:
            ValueError: If the table has no column to learn from, lacks one that is named, or its targets do not allow
                the task.
            TypeError: If the table is none.
            OSError: If a file cannot be read.
            ImportError: If an optional package is missing.
        """
        self.model_ = None
        read, name = with_target(type(self).__name__, self._table(table), y, learned=True)
        if read.n_rows == 0:
            raise ValueError(f"{type(self).__name__}: the table has no rows")
        options = self.options.of(read.names)
        target = Target.infer(read, name, self._task, options.missing)
        schema = Schema.infer(read, target=name, options=options)
        values, known = target.encode(read)
        rows = np.flatnonzero(known)
        target.check_classes(type(self).__name__, len(rows))
        weights = None if options.weight is None else weights_of(read, options.weight)
        if weights is not None:
            rows = rows[weights[rows] > 0.0]
        if len(rows) < 2:
            counted = "" if weights is None else " and a weight above 0"
            raise ValueError(f"{type(self).__name__}: at least two rows must have a target{counted}, got {len(rows)}")
        if options.time_column is not None:
            rows = rows[np.argsort(times_of(read, options.time_column)[rows], kind="stable")]
        groups = None if options.group is None else groups_of(read, options.group)[rows]
        rows, groups, apart = self._set_apart(rows, values, groups, target)
        if self._task == "regression" and len(rows) < int(known.sum()):  # not even the mean of the others is learned
            target = Target.infer(read.rows(rows), name, self._task, options.missing)
            values, _ = target.encode(read)
        weights = None if weights is None else weights[rows]
        self.search_: Any = None
        codes = schema.codes(read)[rows]
        if self.journal is not None and not self._searches:
            raise ValueError(f"{type(self).__name__}: journal needs trials or preset, since one network has no journal")
        kinds = [column.kind for column in schema.columns]
        given = codes, values[rows], schema.documents(read), weights, groups, options.time_column is not None
        learned = TrainingRows(target, kinds, *given)
        if self._searches:
            made = self._searched(schema, learned)
        else:
            encoder, model = self._trained(target, schema.encoder(read), codes, values[rows], groups, weights)
            made = TableModel(schema, (encoder.without_documents(),), model, target)
        self._take(made)
        if len(apart):
            self._take(with_scatter(made, learned, network_of(self.search_), self.seed, share_of(self.time)))
            intervals = self._measure(read.rows(apart), values[apart])
            if not intervals.scaled:
                self._take(replace(made, intervals=intervals))
        return self

    def _set_apart(
        self, rows: NDArray[np.int64], values: NDArray[Any], groups: NDArray[np.int64] | None, target: Target
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64]]:
        """Rows to learn from, their groups, and the rows that tell how wide intervals are, if there are to be any."""
        if self.interval is None:
            return rows, groups, rows[:0]
        fold = self._validation(values[rows], groups, target, _APART)
        check_rows(type(self).__name__, self.interval, 0 if fold is None else len(fold[1]))
        assert fold is not None
        learned, apart = fold
        return rows[learned], None if groups is None else groups[learned], rows[apart]

    def _measure(self, table: Table, truth: NDArray[Any]) -> Intervals:
        """Takes the errors of rows that the model has not seen, and returns what they make."""
        model = self._fitted()
        level = _USUAL if self.interval is None else self.interval
        intervals = Intervals.of(level, *model.spread(table), truth)
        self.model_ = replace(model, intervals=intervals)
        return intervals

    @property
    def _seconds(self) -> float | None:
        """The time without that of the network of how far targets scatter."""
        if self.time is None or self.interval is None:
            return self.time
        return self.time - (share_of(self.time) or 0.0)

    @property
    def _searches(self) -> bool:
        return self.trials > 0 or self.preset is not None

    def _trained(
        self,
        target: Target,
        encoder: TableEncoder,
        codes: Codes,
        y: NDArray[Any],
        groups: NDArray[np.int64] | None,
        weights: NDArray[np.float64] | None,
    ) -> tuple[TableEncoder, Any]:
        """A network of the usual size, trained until rows that it does not see get no better."""
        features = encoder.fit(codes).transform(codes)
        model = builder(target)(_DEFAULT)
        model.seed = self.seed
        stops: list[callbacks.Callback] = [] if self._seconds is None else [callbacks.TimeLimit(self._seconds)]
        given = fit_arguments(len(y)) | {"callbacks": stops}
        train = np.arange(len(y))
        fold = self._validation(y, groups, target)
        if fold is not None:
            train, left = fold
            held = (features[left], y[left]) if weights is None else (features[left], y[left], weights[left])
            stops.append(callbacks.EarlyStopping("val_loss", patience=8, restore_best_weights=True))
            given["validation_data"] = held
        if weights is not None:
            given["sample_weight"] = weights[train]
        model.fit(features[train], y[train], verbose=self.verbose, **given)
        return encoder, model

    def _validation(
        self, y: NDArray[Any], groups: NDArray[np.int64] | None, target: Target, share: float = _VALIDATION
    ) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Rows to train on and rows that tell when to stop, or another share of rows; None for too few rows."""
        if len(y) < _LEAST_ROWS:
            return None
        if self.options.time_column is not None:
            cv: Any = search.TimeSeriesSplit(1, test_size=max(int(share * len(y)), 1))
        elif groups is not None:
            cv = search.GroupKFold(min(round(1.0 / share), len(np.unique(groups))))
        else:
            cv = share
        return make_folds(cv, None, y, groups, self.seed, target.labels is not None)[0]

    def _searched(self, schema: Schema, rows: TrainingRows) -> TableModel:
        """The blend of a recipe, or the linear model if no network was found."""
        changes = {"trials": self.trials or None, "cv": self.cv}
        base = self.preset if isinstance(self.preset, Recipe) else Recipe.preset(self.preset or "default")
        recipe = base.changed(**changes)
        chosen = ChosenMetric(rows.target, self.options.metric)
        lines: list[str] = []

        def tell(line: str) -> None:
            lines.append(line)
            if self.verbose:
                say(line)

        found = cook(rows, recipe, chosen, self.seed, self.jobs, self._seconds, tell, self.journal, self.resume)
        if isinstance(found, str):
            if found == "interrupt":
                raise KeyboardInterrupt
            late = f"no network was found in {self.time} seconds; give it more with time="
            why = late if found == "time" else lines[-1]
            warnings.warn(f"{type(self).__name__}: the model is linear, since {why}", stacklevel=3)
            return linear_table_model(schema, rows, self.seed, self._seconds)
        self.search_ = found
        return found.of_table(schema, rows.target)

    # What is fitted.

    def _take(self, model: TableModel) -> None:
        self.model_ = model
        self.dictionary_: DataDictionary = model.schema.dictionary
        self.feature_names_in_ = np.array([column.name for column in model.schema.columns], dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        if model.target.labels is not None:
            self.classes_ = model.target.classes

    def _fitted(self) -> TableModel:
        if self.model_ is None:
            raise ValueError(f"{type(self).__name__}: not fitted; call fit first")
        return self.model_

    def __sklearn_is_fitted__(self) -> bool:
        return self.model_ is not None

    def __sklearn_tags__(self) -> Any:
        # scikit-learn's own tools ask for it, so that it is there to be imported.
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        is_classifier = self._task == "classification"
        return Tags(
            estimator_type="classifier" if is_classifier else "regressor",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags() if is_classifier else None,
            regressor_tags=None if is_classifier else RegressorTags(),
            input_tags=InputTags(two_d_array=False, categorical=True, string=True, allow_nan=True),
        )

    def _table(self, table: Any) -> Table:
        like = None if self.model_ is None else self.model_.schema.dialect
        if isinstance(table, (str, bytes, os.PathLike)):
            return read_table(table, **self.options.reading, like=like)
        if not isinstance(table, (Table, Mapping)) and not hasattr(type(table), "columns"):
            raise TypeError(
                f"{type(self).__name__}: the table must be a frame, a mapping from names to columns or a path, "
                f"got {describe(table)}"
            )
        return Table.of(table, typed_style(self.options.decimal, self.options.thousands, like))

    def _outputs(self, table: Any) -> NDArray[np.float32]:
        """The outputs of the network. Warns of cells that it does not know."""
        return self._spread(table, 4)[0]

    def _spread(self, table: Any, stacklevel: int = 3) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The same, and how far the targets of each row scatter."""
        model, notices = self._fitted(), Notices()
        found = model.spread(self._table(table), notices)
        for line in notices.lines():
            warnings.warn(f"{type(self).__name__}: {line}", stacklevel=stacklevel)
        return found

    def _truth(self, table: Any, y: Any) -> tuple[Table, NDArray[Any], NDArray[np.bool_]]:
        """The table, the encoded targets, and which rows have one; a class that is not known is -1."""
        model = self._fitted()
        read, name = with_target(type(self).__name__, self._table(table), model.target.name if y is None else y)
        cells: Cells = read[name]
        column = Table({model.target.name: cells})
        values, known = model.target.encode(column)
        given = model.target.given(column)
        if not given.any():
            raise ValueError(f"{type(self).__name__}: no row has a known target")
        return read, np.where(known, values, -1 if model.target.labels is not None else np.nan), given

    def _score_weights(self, value: Any, given: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The weights of the rows that are scored; 1 for None."""
        weights = sample_weights(value, len(given), np.flatnonzero(given).astype(np.uint32))
        return np.ones(np.count_nonzero(given)) if weights is None else weights[given].astype(np.float64)

    def save(self, path: StrOrBytesPath) -> None:
        """Writes the model with its reading of tables to one file, which ``fastreg predict`` takes too.

        Raises:
            ValueError: If it is not fitted.
            OSError: If the file cannot be written.
        """
        self._fitted().save(path)

    @classmethod
    def load(cls: type[_E], path: StrOrBytesPath) -> _E:
        """The estimator of a file that :meth:`save` or ``fastreg tune --out`` wrote. Runs no code of the file.

        Raises:
            ValueError: If the file is damaged, or is one of another task.
            OSError: If it cannot be read.
        """
        model = TableModel.load(path)
        task = "regression" if model.target.labels is None else "classification"
        if task != cls._task:
            other = "TableRegressor" if task == "regression" else "TableClassifier"
            raise ValueError(f"{os.fsdecode(path)}: the model is for {task}; {other}.load reads it")
        made = cls()
        made._take(model)
        return made


_OPTIONS = tuple(name for name in TableOptions.__dataclass_fields__ if name != "task")
_OWN = ("trials", "time", "cv", "seed", "jobs", "verbose", "preset", "journal", "resume")
_DEFAULTS = {
    "trials": 0, "time": 60.0, "cv": None, "seed": 0, "jobs": -1, "verbose": 0, "preset": None, "journal": None,
    "resume": False,
} | {name: getattr(TableOptions(), name) for name in _OPTIONS}  # fmt: skip


class TableClassifier(TableEstimator):
    """Classifies the rows of a table by their raw columns: numbers, groups, dates and sentences.

    What each column is, is found out once in :meth:`fit`, and kept: later a cell means the same, whatever other cells
    there are, and whether it comes from CSV, Parquet or a frame.

    Args:
        trials: The largest number of networks that a search tries, >= 0; 0 leaves it to ``preset``. With neither of
            them, the default, one network of a usual size is trained: two hidden layers of 128 units with dropout and
            weight decay, stopped by 15 % of the rows.
        time: Seconds for the training or the search, > 0; None for no limit. Then a search depends on the seed alone.
            A search that finds no network in time gives a linear model, and a warning.
        cv: Folds of the search, >= 2; None for five below 5,000 rows and one held-out fifth from there on.
        seed: Of everything that is drawn.
        jobs: Networks that the search trains at once; -1: as many as there are CPUs.
        verbose: 0 shows nothing.
        preset: "fast", "default" or "best", or a :class:`fastreg.table.Recipe`: a blend of networks is searched, as by
            ``fastreg tune``; "realmlp" trains one network of that design. None is "default" if there are ``trials``,
            otherwise no search.
        journal: Path of a file that gets a line for every fold of the search's networks; None writes none.
        resume: Whether to go on from the journal, if there is one: a killed search gives the same blend then. The
            limits ``trials`` and ``time`` and the preset may be others.
        **options: How the table is read: ``sep``, ``decimal``, ``thousands``, ``encoding``, ``missing``, ``ignore``,
            ``categorical``, ``numeric``, ``date``, ``text``, ``id``, ``weight``, ``group``, ``time_column`` and
            ``metric``, see :class:`fastreg.table.TableOptions`.

    Attributes:
        classes_: The classes, as the table has them: integers stay integers.
        model_: The schema, the encoding and the network.
        dictionary_: What each column was taken for, and why.
        feature_names_in_: The names of the columns that are used.
        n_features_in_: Their number.
        search_: What the search found (``members_``, ``trials_``, ``score_``, ``calibration`` and more); None without
            one, and where it found no network.

    Example:
        >>> from fastreg.table import TableClassifier
        >>> table = {"size": [1.0, 2.0, 8.0, 9.0] * 10, "kind": ["a", "a", "b", "b"] * 10}
        >>> model = TableClassifier(seed=0).fit(table, ["no", "no", "yes", "yes"] * 10)
        >>> model.predict({"size": [1.5, 8.5], "kind": ["a", "b"]}).tolist()
        ['no', 'yes']
    """

    _task = "classification"

    def predict(self, table: Any) -> NDArray[Any]:
        """The most probable class of each row, (n,). Warns of levels that the training rows did not have.

        Args:
            table: As for :meth:`fit`; columns that the model does not need are ignored.

        Raises:
            ValueError: If it is not fitted, a column is missing, or there are no rows.
        """
        outputs = self._outputs(table)
        chosen: NDArray[Any] = self.classes_[np.argmax(self._fitted().target.probabilities(outputs), axis=1)]
        return chosen

    def predict_proba(self, table: Any) -> NDArray[np.float32]:
        """The probability of each class, (n, classes), in the order of ``classes_``. Arguments as for ``predict``."""
        outputs = self._outputs(table)
        return self._fitted().target.probabilities(outputs)

    def score(self, table: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The accuracy on the rows whose class is known; one that the training rows did not have counts as wrong.

        Args:
            table: As for :meth:`predict`.
            y: The name of a column or the classes; None for the column that was the target in ``fit``.
            sample_weight: The weight of each row, >= 0; None, the default, weighs all rows alike.
        """
        read, truth, given = self._truth(table, y)
        weights = self._score_weights(sample_weight, given)
        chosen = np.argmax(self._fitted().target.probabilities(self._outputs(read)), axis=1)
        return float(np.average(chosen[given] == truth[given], weights=weights))
