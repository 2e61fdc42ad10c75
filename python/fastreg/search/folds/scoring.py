"""Scores, by which trials are compared: the names, directions and functions of a ``scoring=`` argument.

Metrics of this library are computed in the core, on the rows of a fold, without a copy. Callables and scikit-learn's
scorers get the rows themselves; for the latter an adapter gives a ``Sequential`` the methods ``predict`` and
``predict_proba``. A score is never negated: a loss of 0.12 is 0.12, and lower is better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from fastreg import metrics as _metrics
from fastreg.internal.checks import describe, did_you_mean
from fastreg.metrics import Metric
from fastreg.model.core import core_of
from fastreg.model.loading import face_over
from fastreg.model.model import Model
from fastreg.search.folds.adapter import Adapter
from fastreg.search.folds.cross_validation import Rows, take

__all__ = ["Scorer", "Scoring", "parts_of", "resolve"]


@dataclass(frozen=True)
class Scorer:
    """One score.

    Args:
        name: Its key in the results.
        direction: ``"max"`` if higher values are better, else ``"min"``.
        kind: ``"core"`` for the loss and metrics of this library, ``"method"`` for an estimator's ``score``,
            ``"callable"``, or ``"sklearn"`` for a scorer of scikit-learn.
        key: Its name in the logs of a fit; empty if the logs do not contain it.
        metric: The metric to compile a model with if it lacks it; None for the loss and for metrics that it has.
        function: ``function(model, x, y)``, for the last two kinds.
        part: The key of the score in the dict that the function returns; None if it returns a number.
    """

    name: str
    direction: str
    kind: str
    key: str = ""
    metric: str | Metric | None = None
    function: Callable[[Any, Any, Any], Any] | None = None
    part: str | None = None


def _name_of(metric: str | Metric) -> str:
    return metric if isinstance(metric, str) else metric.name


@dataclass(frozen=True)
class Scoring:
    """The scores of a search; trials are ranked by the first.

    Example:
        >>> import fastreg as fr
        >>> from fastreg.search.folds.scoring import resolve
        >>> model = fr.Sequential([fr.layers.Dense(1, "sigmoid")])
        >>> model.compile("adam", "binary_crossentropy")
        >>> scoring = resolve(["accuracy", "loss"], model)
        >>> scoring.primary, scoring.directions
        ('accuracy', {'accuracy': 'max', 'loss': 'min'})
    """

    scorers: tuple[Scorer, ...]
    #: Whether there may be several: ``scoring`` was a list or a dict, or its callable returned one.
    several: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names, the primary one first."""
        return tuple(scorer.name for scorer in self.scorers)

    @property
    def directions(self) -> dict[str, str]:
        """``"max"`` or ``"min"`` by name."""
        return {scorer.name: scorer.direction for scorer in self.scorers}

    @property
    def primary(self) -> str:
        """The name of the score that trials are ranked by."""
        return self.scorers[0].name

    @property
    def direction(self) -> str:
        """The direction of the primary score."""
        return self.scorers[0].direction

    @property
    def metrics(self) -> dict[str, str | Metric]:
        """The metrics that models are compiled with if they lack them, by their keys in the logs of a fit."""
        return {scorer.key: scorer.metric for scorer in self.scorers if scorer.metric is not None}

    def prepare(self, model: Model) -> None:
        """Compiles the model again if it lacks a metric that is scored by; the first fit has not begun."""
        wanted = [scorer.metric for scorer in self.scorers if scorer.metric is not None]
        compiled = set(map(_name_of, chain.from_iterable(core_of(model).metrics)))
        if compiled.issuperset(map(_name_of, wanted)):
            return
        keys = {metric.name for metric in model.metrics}
        added = [metric for metric in wanted if _name_of(metric) not in keys]
        if added:
            core_of(model).add_metrics(added)

    def score(
        self,
        model: Any,
        x: Any,
        y: Any,
        rows: Rows,
        targets: Any = None,
        sample_weight: object = None,
        features: Any = None,
        weighs_all: bool = False,
    ) -> dict[str, float]:
        """The scores of a trained model on some rows.

        Args:
            model: A ``Sequential`` or an estimator.
            x: Features.
            y: Targets, as the user gave them.
            rows: The rows to score.
            targets: Targets in the form that the core reads without conversion; None is ``y``.
            sample_weight: Weights of all rows for the loss and for weighted metrics; other scores are not weighted.
            features: These rows of ``x``, if the caller has them already.
            weighs_all: Whether ``score`` of an estimator and scorers of scikit-learn get the weights, too.

        Raises:
            TypeError: If a scorer returns anything but a number.
        """
        scores: dict[str, float] = {}
        core: dict[str, float] = {}
        if any(scorer.kind == "core" for scorer in self.scorers):
            given = y if targets is None else targets
            core = model.evaluate(x, given, rows=rows, verbose=0, sample_weight=sample_weight, return_dict=True)
        some_y: Any = None
        weights: dict[str, Any] = {}
        adapter: Any = None
        returned: dict[int, Any] = {}
        for scorer in self.scorers:
            if scorer.kind == "core":
                scores[scorer.name] = core[scorer.key]
                continue
            if some_y is None:
                features = take(x, rows) if features is None else features
                some_y = take(y, rows)
                weights = {"sample_weight": take(sample_weight, rows)} if weighs_all else {}
            if scorer.kind == "method":
                scores[scorer.name] = _number(scorer, model.score(features, some_y, **weights))
                continue
            assert scorer.function is not None
            if scorer.kind == "sklearn" and isinstance(model, Model):
                assert model.loss is not None
                adapter = adapter or Adapter(model.predict(features), model.loss, core_of(model).classes)
                value = scorer.function(adapter.estimator, features, adapter.targets(some_y), **weights)
            elif scorer.kind == "sklearn":
                value = scorer.function(model, features, some_y, **weights)
            elif scorer.part is not None:
                key = id(scorer.function)
                if key not in returned:
                    returned[key] = scorer.function(model, features, some_y)
                value = _part(returned[key], scorer.part)
            else:
                value = scorer.function(model, features, some_y)
            scores[scorer.name] = _number(scorer, value)
        return scores


def resolve(scoring: object, model: Any) -> Scoring:
    """The scores that a ``scoring=`` argument means, given one of the models to be scored.

    Args:
        scoring: None for the model's first metric, or its loss if it has none (an estimator: its ``score``); the name
            of a metric of this library, or ``"loss"``; the name of one of scikit-learn's scorers; a metric; a callable
            ``scorer(model, X, y)`` whose higher values are better, and which returns a number or a dict of numbers;
            ``(callable, "min")`` if lower ones are; or several of them in a list, or in a dict with names of your
            choice. Trials are ranked by the first. A model with several outputs has its loss alone.
        model: A compiled ``Sequential`` or an estimator.

    Raises:
        ValueError: If a name is unknown, or twice; the message lists the known ones and guesses.
        TypeError: If something is none of the above.
        ImportError: If a name is one of scikit-learn's and scikit-learn is not installed.
    """
    entries: list[tuple[str | None, object]]
    several = True
    if isinstance(scoring, Mapping):
        entries = [(_check_key(name), entry) for name, entry in scoring.items()]
    elif isinstance(scoring, (list, tuple, set, frozenset)) and not _is_directed(scoring):
        entries = [(None, entry) for entry in scoring]
    else:
        entries, several = [(None, scoring)], False
    if not entries:
        raise ValueError("scoring: must name one score at least, got an empty list")
    scorers = tuple(_named(name, _scorer(entry, model)) for name, entry in entries)
    names = [scorer.name for scorer in scorers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"scoring: {name!r} is there twice; a dict gives names of one's own")
    return Scoring(scorers, several)


def _check_key(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"scoring: the keys of a dict must be names, got {describe(name)}")
    return name


def _named(name: str | None, scorer: Scorer) -> Scorer:
    if name is None:
        return scorer
    return replace(scorer, name=name)


def _is_directed(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and callable(value[0]) and isinstance(value[1], str)


def _scorer(entry: Any, model: Any) -> Scorer:
    if isinstance(model, Model) and core_of(model).output_count > 1:
        if entry is None or (isinstance(entry, str) and entry == "loss"):
            return Scorer("loss", "min", "core", "loss")
        raise ValueError(f"scoring: must be 'loss' for a model with several outputs, got {describe(entry)}")
    if entry is None:
        return _default(model)
    if _is_directed(entry):
        function, direction = entry
        if direction not in ("max", "min"):
            raise ValueError(f"scoring: the direction of a callable must be 'max' or 'min', got {direction!r}")
        return _callable(function, direction)
    if isinstance(entry, Metric):
        if not isinstance(model, Model):
            raise TypeError(f"scoring: a metric of fastreg scores Sequential models only, got {entry!r}")
        return _of_core(entry.name, _metrics.get(entry, "scoring"), model)
    if isinstance(entry, str):
        return _by_name(entry, model)
    if callable(entry) and not isinstance(entry, type):
        return _callable(entry, "max")
    hint = "; did you forget the parentheses?" if isinstance(entry, type) else ""
    raise TypeError(f"scoring: must be a name, a metric, a callable or several of them, got {describe(entry)}{hint}")


def _default(model: Any) -> Scorer:
    if isinstance(model, Model):
        compiled = model.metrics
        first = compiled[0] if compiled else None
        return Scorer("loss", "min", "core", "loss") if first is None else _has(first)
    if not callable(getattr(model, "score", None)):
        raise ValueError(f"scoring: must be given, since {type(model).__name__} has no score method")
    return Scorer("score", "max", "method")


def _has(metric: Metric) -> Scorer:
    return Scorer(metric.name, metric.direction, "core", metric.name, metric)


def _of_core(name: str, metric: str | Metric, model: Model) -> Scorer:
    """The scorer of a metric that the model need not have; checks that it goes with the loss and the outputs."""
    probe: Model = face_over(core_of(model).untrained(None))
    probe.compile("sgd", model.loss, [metric])
    resolved = probe.metrics[0]
    return Scorer(name, resolved.direction, "core", name, resolved)


def _by_name(name: str, model: Any) -> Scorer:
    known: list[str] = []
    if isinstance(model, Model):
        if name == "loss":
            return Scorer("loss", "min", "core", "loss")
        for metric in model.metrics:
            if metric.name == name:
                return _has(metric)
        library = _metrics.names()
        if name.lower() in library:
            return _of_core(name, name, model)
        known = list(dict.fromkeys(["loss", *(metric.name for metric in model.metrics), *library]))
    others = _sklearn_names(name, known)
    if name in others:
        from sklearn.metrics import get_scorer

        return Scorer(name, "max", "sklearn", function=get_scorer(name))
    hint, meant = "", name
    if name.startswith("val_"):
        hint, meant = "; scores are of the scored rows always, without val_", name[4:]
    shown = ", ".join([*known, "scikit-learn's scorers"] if others else known)
    guess = did_you_mean(meant, [*known, *others])
    raise ValueError(f"scoring: unknown name {name!r}; known: {shown}{guess}{hint}")


def _sklearn_names(name: str, known: list[str]) -> list[str]:
    try:
        from sklearn.metrics import get_scorer_names
    except ImportError:
        if known:
            return []
        raise ImportError(
            f"scoring: {name!r} for an estimator is one of scikit-learn's scorers; pip install scikit-learn, or give a "
            "callable scorer(model, X, y)"
        ) from None
    return list(get_scorer_names())


def _callable(function: Callable[[Any, Any, Any], Any], direction: str) -> Scorer:
    name = getattr(function, "__name__", None)
    of_sklearn = hasattr(function, "_score_func") and type(function).__module__.startswith("sklearn.")
    if of_sklearn:
        name = getattr(getattr(function, "_score_func", None), "__name__", None)
    if name is None or name == "<lambda>":
        name = "score"
    return Scorer(name, direction, "sklearn" if of_sklearn else "callable", function=function)


def parts_of(scorer: Scorer, value: Mapping[Any, Any]) -> Scoring:
    """The scores that a callable returns as a dict."""
    if not value:
        raise ValueError(f"scoring: {scorer.name} must return one score at least, got an empty dict")
    names = [_check_key(name) for name in value]
    return Scoring(tuple(Scorer(n, "max", scorer.kind, function=scorer.function, part=n) for n in names), True)


def _part(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping) or name not in value:
        raise ValueError(f"scoring: the callable must return the same scores every time, but {name} is missing")
    return value[name]


def _number(scorer: Scorer, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        kind = "a dict; refit must name one of its scores, or be a function or False"
        if not isinstance(value, Mapping):
            kind = describe(value)
        raise TypeError(f"scoring: {scorer.name} must give a number, got {kind}") from None
