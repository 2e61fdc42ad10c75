"""Checks a search before its first trial: folds, data, the models that ``build`` returns, and all names.

It finds errors that would make every trial fail, and names the argument.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastreg.callbacks import Callback, EarlyStopping
from fastreg.data import arrays
from fastreg.data.frames import checked_names, refuse_lazy
from fastreg.internal.batches import BATCHES, gives_batches
from fastreg.internal.checks import check_choice, check_int, describe, did_you_mean
from fastreg.internal.dlpack import of_memory
from fastreg.internal.float32 import in_float32
from fastreg.internal.keras_arguments import has_request, refuse_requests
from fastreg.model.arguments import Given, shape_of
from fastreg.model.core import CoreModel, core_of
from fastreg.model.fitting import check_verbose
from fastreg.model.given_callbacks import adds_keys
from fastreg.model.labels import Classes, check_count, different, numbered, takes_labels, texts_of
from fastreg.model.logits import warn_of_logits
from fastreg.model.model import Model
from fastreg.model.spreads import meets_dense, warn_of_spreads
from fastreg.runtime import get_matmul_precision
from fastreg.search.folds import preprocessing
from fastreg.search.folds.building import claim, fold_seed, is_estimator, make_model
from fastreg.search.folds.compiled import CompiledModel, as_build, check_single
from fastreg.search.folds.cross_validation import class_labels, indexable, make_folds
from fastreg.search.folds.evaluation import Context, Prepared, monitors_validation, prepared
from fastreg.search.folds.model_fingerprint import agreed
from fastreg.search.folds.probing import probed
from fastreg.search.folds.scoring import Scoring, resolve
from fastreg.search.folds.stratification import plain_values, whole_numbers
from fastreg.search.folds.trial_callbacks import FoldOfTrial, callbacks_of, makes_callbacks

__all__ = ["are_classes", "make_context", "try_out"]

# The number of times that features are read. It is so large that they are converted once for all.
_MANY = 1 << 20

# Arguments of Sequential.fit that a search sets itself.
_OWN = ("x", "y", "rows", "validation_rows", "initial_epoch")


def make_context(
    build: Any,
    samples: Iterable[Mapping[str, Any]],
    x: Any,
    y: Any,
    *,
    cv: object = 5,
    groups: object = None,
    scoring: object = None,
    fit_arguments: Mapping[str, Any] | None = None,
    preprocess: object = None,
    seed: int = 0,
    return_train_score: bool = False,
    early_stopping_on: str = "inner",
    curves: bool = False,
    gates: Collection[str] = (),
    journal: bool = False,
    spreads_known: bool = False,
    error_score: float | str = math.nan,
    probes: bool = False,
) -> Context:
    """Checks the arguments of a search and makes the context that its tasks share.

    Args:
        build: A function ``build(params)`` that returns a compiled ``Sequential`` or an estimator, alone or as
            ``(model, fit_arguments)``; or a compiled model; or an estimator.
        samples: Parameters from the space to call ``build`` with. It is called until every parameter was read.
        x: Features.
        y: Targets.
        cv: The folds, see :func:`fastreg.search.folds.cross_validation.make_folds`.
        groups: The group of each row, see the same function.
        scoring: The metrics, see :func:`fastreg.search.folds.scoring.resolve`.
        fit_arguments: Keyword arguments of the models' ``fit``.
        preprocess: The transformers, see :func:`fastreg.search.folds.preprocessing.resolve`.
        seed: The seed of the search.
        return_train_score: Whether to score the training rows, too.
        early_stopping_on: ``"inner"``, or ``"fold"`` to watch the rows that are scored, which is optimistic.
        curves: Whether trials are compared epoch by epoch.
        gates: Parameters that need not be read, because the presence of others depends on them.
        journal: Whether folds are written to a journal, with the fingerprints of their models.
        spreads_known: Whether to omit the warning about features with very different spreads.
        error_score: The score of a fold that raises an exception, see :class:`Context`.
        probes: Whether a callable ``scoring`` may return a dict, which is then found out.

    Raises:
        ValueError: If an argument is out of range, a name is unknown, or a parameter is never read.
        TypeError: If an argument is of the wrong kind, or ``build`` does not return a model, and a new one each time.
        Exception: The exception of ``build``, if it raises one for each of the samples.
    """
    check_choice("search", "early_stopping_on", early_stopping_on, ("inner", "fold"))
    chain, build, arguments = preprocessing.resolve(preprocess), as_build(build), dict(fit_arguments or {})
    _check_build(build)
    x, y = of_memory(x, "X"), of_memory(y, "y")
    _check_rows(x, y)
    x, y = (arrays.bools(v) if isinstance(v, np.ndarray) and v.dtype.kind == "b" else v for v in (x, y))
    points = list(samples)
    (model, extra), again = _try_out(build, points, seed, gates)
    scorers = resolve(scoring, model)
    labels, numbers = _labels(model, y)
    classes, made = are_classes(model, numbers), _made_once(model, {**arguments, **extra}, points[0])
    x, targets, epochs, names = _checked_data(model, x, numbers, chain, made)
    _check_lengths(x, y, isinstance(model, Model) and chain is not None)
    _check_curves(scorers, curves)
    context = Context(
        build=build,
        x=x,
        y=y,
        folds=make_folds(cv, x, y, groups, seed, classes),
        scorers=scorers,
        fit_arguments=arguments,
        preprocess=chain,
        seed=seed,
        return_train_score=return_train_score,
        early_stopping_on=early_stopping_on,
        targets=targets,
        labels=class_labels(numbers, classes),
        epochs=epochs,
        fingerprint=agreed((model, extra), again, arguments, scorers.metrics) if journal else None,
        names=names,
        classes=labels,
        error_score=error_score if isinstance(error_score, str) else float(error_score),
        precision=get_matmul_precision(),
    )
    if isinstance(model, Model):
        fold = _checked_fold(context, model)
        if not spreads_known:
            _warn_once(context, core_of(model), fold)
    return replace(context, scorers=probed(context, points)) if probes else context


def _warn_once(context: Context, core: CoreModel, fold: Prepared) -> None:
    """Warns as the first fit of a model does."""
    warn_of_logits(core.losses, core.flat_for(core.known_shape()), core.input_names)
    if _meets_dense(core, context.x):
        warn_of_spreads(np.reshape(fold.x, (len(fold.x), -1)), fold.train, context.names)


def _made_once(model: Any, arguments: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``fit`` with the callbacks of a fold."""
    if isinstance(model, Model) or makes_callbacks(arguments.get("callbacks")):
        arguments["callbacks"] = callbacks_of(arguments.get("callbacks"), FoldOfTrial(0, 0, params))
    return arguments


def _check_build(build: Any) -> None:
    if not (callable(build) or is_estimator(build)):
        raise TypeError(
            f"build: must be a compiled model, a function of the parameters, or an estimator, got {describe(build)}"
        )


def _checked_data(model: Any, x: Any, y: Any, chain: Any, arguments: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
    """The features as folds take rows of them, and of a network the targets, the epochs and the columns' names."""
    if not isinstance(model, Model):
        x = indexable(x)
        _check_signature(model, arguments)
        return x, None, None, None
    epochs = _check_fit_arguments(model, arguments)
    targets = _targets(model, y)
    if chain is not None:
        return indexable(x), targets, epochs, None
    names = checked_names(x, core_of(model).feature_names, "X")
    return _features(x, core_of(model)), targets, epochs, names


def _check_curves(scorers: Scoring, curves: bool) -> None:
    if curves and scorers.scorers[0].kind != "core":
        raise ValueError(
            f"scoring: trials are compared epoch by epoch, which {scorers.primary!r} cannot be; put the loss or a "
            "metric of fastreg first"
        )


class Recorded(dict[str, Any]):
    """Parameters that record which of them are read. ``f(**params)`` reads all of them."""

    def __init__(self, params: Mapping[str, Any], read: set[str]) -> None:
        super().__init__(params)
        self.read = read

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __getattr__(self, name: str) -> Any:
        written = f"write params[{name!r}]" if dict.__contains__(self, name) else "it has the values of the space"
        raise AttributeError(f"params is a dict without an attribute {name!r}; {written}", name=name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dict."""
        self.read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """As of a dict."""
        self.read.add(name)
        return super().pop(name, *default)

    def _all(self) -> None:
        self.read.update(super().keys())

    def __iter__(self) -> Iterator[str]:
        self._all()
        return super().__iter__()

    def keys(self) -> Any:
        """As of a dict."""
        self._all()
        return super().keys()

    def values(self) -> Any:
        """As of a dict."""
        self._all()
        return super().values()

    def items(self) -> Any:
        """As of a dict."""
        self._all()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """As of a dict."""
        self._all()
        return dict(super().items())

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()


def try_out(build: Any, samples: Sequence[Mapping[str, Any]], seed: int) -> Any:
    """A model for one of the samples. Raises the exception of ``build`` if it raises one for each of them."""
    (model, _), _ = _try_out(as_build(build), samples, seed, {name for params in samples for name in params})
    return model


def _try_out(
    build: Any, samples: Sequence[Mapping[str, Any]], seed: int, gates: Collection[str]
) -> tuple[tuple[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]:
    """Two models for one of the samples, with their arguments of ``fit``. Checks that every parameter was read."""
    if not samples:
        raise ValueError("search: the space holds no parameters that its constraint allows")
    seeds = (seed, fold_seed(seed, 0, 1))
    if is_estimator(build):
        _check_estimator_params(build, samples)
        return make_model(build, samples[0], seeds[0]), make_model(build, samples[0], seeds[1])
    if isinstance(build, CompiledModel):
        build.check(samples)
    names = {name for params in samples for name in params}.difference(gates)
    recording = _Recording(build)
    found: tuple[tuple[Any, dict[str, Any]], tuple[Any, dict[str, Any]]] | None = None
    failure: Exception | None = None
    for params in samples:
        try:
            first = make_model(recording, params, seeds[0])
            second = first if found else make_model(recording, params, seeds[1])
        except Exception as error:
            failure = failure or error
            continue
        _check_model(first[0])
        if found is None:
            claim(first[0])
            claim(second[0], first[0])
            found = first, second
        if recording.read >= names:
            break
    if found is None:
        assert failure is not None
        raise failure
    unread = sorted(names - recording.read)
    if unread and failure is None:
        asked = recording.read - names
        others = f", which asks for {', '.join(map(repr, sorted(asked)))} in vain" if asked else ""
        hint = did_you_mean(unread[0], asked)
        if unread[0] in inspect.signature(Model.fit).parameters:
            hint = f"; return (model, {{{unread[0]!r}: params[{unread[0]!r}]}}) to give it to fit"
        raise ValueError(f"build: parameter {unread[0]!r} of the space is never read by build(params){others}{hint}")
    return found


class _Recording:
    """Calls ``build`` with parameters that record which of them are read."""

    def __init__(self, build: Any) -> None:
        self._build = build
        self.read: set[str] = set()

    def __call__(self, params: Mapping[str, Any]) -> Any:
        recorded = Recorded(params, self.read)
        return self._build(recorded)


def _check_model(model: Any) -> None:
    if isinstance(model, Model):
        if not model.layers:
            raise ValueError("build: the model has no layers")
        if model.optimizer is None:
            raise ValueError("build: the model must be compiled, call model.compile before returning it")
        if model.loss is None:
            raise ValueError("build: the model must be compiled with a loss")
        check_single(model)
        return
    if isinstance(model, type) or not hasattr(model, "fit"):
        hint = "; is its return missing?" if model is None else ""
        raise TypeError(f"build: must return a compiled model or an estimator, got {describe(model)}{hint}")


def _check_estimator_params(estimator: Any, samples: Sequence[Mapping[str, Any]]) -> None:
    names = sorted({name for params in samples for name in params})
    if not hasattr(estimator, "get_params"):
        return
    known = list(estimator.get_params())
    for name in names:
        # A parameter of a part that another parameter replaces is known only then.
        if name not in known and name.split("__")[0] not in known:
            shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            raise ValueError(
                f"build: {type(estimator).__name__} has no parameter {name!r}; known: {shown}"
                f"{did_you_mean(name, known)}"
            )


def _check_fit_arguments(model: Model, given: Mapping[str, Any]) -> int:
    """Checks the names of a ``Sequential``'s fit and what its callbacks monitor. Returns the number of epochs."""
    known = [name for name in inspect.signature(Model.fit).parameters if name not in ("self", "keras")]
    for name in given:
        if name in _OWN:
            raise ValueError(f"fit: {name} is set by the search")
        if has_request("fit", name):
            refuse_requests("fit", {name: given[name]})
        elif name not in known:
            shown = ", ".join(n for n in known if n not in _OWN)
            raise TypeError(f"fit: unknown argument {name!r}; known: {shown}{did_you_mean(name, known)}")
    check_verbose("fit", given.get("verbose", 0))
    if given.get("validation_split") and given.get("validation_data") is not None:
        raise ValueError("fit: give validation_data or validation_split, not both")
    epochs = check_int("fit", "epochs", given.get("epochs", 1), ("be >= 1", lambda v: v >= 1))
    items: list[Callback] = given["callbacks"]
    keys = ["loss", *(metric.name for metric in model.metrics)]
    keys += [f"val_{key}" for key in keys]
    if any(map(adds_keys, items)):
        return epochs  # only the fit knows the keys that a callback adds
    for item in items:
        monitor = getattr(item, "monitor", None)
        if (isinstance(item, EarlyStopping) or monitors_validation(item)) and monitor not in keys:
            raise ValueError(
                f"{type(item).__name__}: unknown monitor {monitor!r}; the model has: {', '.join(keys)}"
                f"{did_you_mean(str(monitor), keys)}"
            )
    return epochs


def _check_signature(model: Any, given: Mapping[str, Any]) -> None:
    try:
        parameters = inspect.signature(model.fit).parameters
    except (TypeError, ValueError):  # a compiled function may have none
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in given:
        if name not in parameters:
            known = list(parameters)[2:]
            raise TypeError(
                f"fit: {type(model).__name__}.fit has no argument {name!r}; known: {', '.join(known) or 'none'}"
                f"{did_you_mean(name, known)}"
            )


def are_classes(model: Any, y: Any) -> bool | None:
    """Whether the targets of a model are classes; None if the targets themselves decide.

    For a ``Sequential`` the loss decides. The targets of a classifier are classes if scikit-learn's ``type_of_target``
    calls them binary or multiclass: text, bools, integers, and floats that are whole numbers.
    """
    if isinstance(model, Model):
        return _are_classes_of_loss(model, y)
    if not _is_classifier(model):
        return None
    array = plain_values(y)
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        return None
    return whole_numbers(array) if array.dtype.kind == "f" else array.dtype.kind in "biuUSO"


def _are_classes_of_loss(model: Model, y: Any) -> bool | None:
    assert model.loss is not None
    kind = model.loss.targets
    if kind in ("labels", "distribution"):
        return True
    if kind in ("values", "counts"):
        return False
    array = plain_values(y)
    if array.ndim == 2 and array.shape[1] > 1:
        return False
    return bool(np.isin(array, (-1, 0, 1) if kind == "signs" else (0, 1)).all()) if array.dtype.kind in "biuf" else None


def _is_classifier(model: Any) -> bool:
    """As scikit-learn's ``is_classifier``, also for estimators that follow only one of its conventions."""
    try:
        kind = model.__sklearn_tags__().estimator_type
    except AttributeError:  # before scikit-learn 1.6, and classes that do not derive from its own
        kind = getattr(model, "_estimator_type", None)
    return bool(kind == "classifier")


def _meets_dense(core: CoreModel, x: Any) -> bool:
    return meets_dense(core.flat_for(tuple(np.shape(x)[1:])), len(core.input_names))


def _features(x: Any, core: CoreModel) -> Any:
    """Features as the core reads them, converted once: float32, or bytes and bools as they are."""
    try:
        shape = shape_of(core, [Given("X", x)])
        rows = arrays.features(x, shape, "X", _MANY, core.input_rules[0])
        return rows if len(shape) == 1 else rows.reshape(len(rows), *shape)
    except ValueError as error:
        if "must be finite" in str(error):
            raise ValueError(f"{error}; preprocess= can fill what is missing") from None
        if "range of float32" in str(error):
            raise ValueError(f"{error}, or use preprocess='standard'") from None
        raise


def _labels(model: Any, y: Any) -> tuple[Classes | None, Any]:
    """The classes of a network, where its targets are strings, and the targets with their numbers in place of them."""
    if not isinstance(model, Model) or model.loss is None or not takes_labels(model.loss, 1):
        return None, y
    texts = texts_of(y, "y")
    if texts is None:
        return None, y
    classes = different(texts)
    return classes, numbered(texts, classes, "y")


def _targets(model: Model, y: Any) -> Any:
    """Targets in the form that the core reads without conversion."""
    array = arrays.numeric(y, "y")
    assert model.loss is not None
    if model.loss.targets == "labels":
        return np.ascontiguousarray(array)
    return in_float32(np.ascontiguousarray(array), "y:", arrays.SCALED_TARGETS)


def _checked_fold(context: Context, model: Model) -> Prepared:
    """The first fold, of which one row is scored, to raise the errors that fit would raise in every fold."""
    fold = prepared(context, 0)
    targets = context.y if context.targets is None else context.targets
    weights = context.fit_arguments.get("sample_weight")
    model.build(np.shape(fold.x)[1:])
    if context.classes is not None:
        width = core_of(model).output_widths(np.shape(fold.x)[1:])[0]
        if not takes_labels(model.loss, width):
            arrays.numeric(context.y, "y")  # says that strings have no meaning for several outputs
        check_count(context.classes, width, "y")
    model.evaluate(fold.x, targets, rows=fold.scored[:1], verbose=0)
    if weights is not None:
        model.evaluate(fold.x, targets, sample_weight=weights, rows=fold.train, verbose=0)
    return fold


def _check_rows(x: Any, y: Any) -> None:
    """Refuses what has no rows: nothing at all, a number, a text, a generator."""
    refuse_lazy(x, "X")
    for value, name, what in ((x, "X", "features"), (y, "y", "a target")):
        shape = getattr(value, "shape", None)
        has_rows = hasattr(value, "__len__") if shape is None else len(shape) > 0
        batches = gives_batches(value)
        if isinstance(value, (str, bytes)) or not has_rows or batches:
            hint = f"; {BATCHES}" if batches else ""
            raise TypeError(f"{name}: must have {what} for each row, got {describe(value)}{hint}")


def _check_lengths(x: Any, y: Any, flat: bool) -> None:
    n, shape = len(y), getattr(x, "shape", None)
    rows = shape[0] if shape else len(x)
    if rows != n:
        raise ValueError(f"X and y must have as many rows, got {rows} and {n}")
    if flat and shape is not None and len(shape) != 2:
        raise ValueError(f"X: must be 2-D (rows, features) where preprocess= is given, got shape {tuple(shape)}")
