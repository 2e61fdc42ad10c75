"""Makes models from one that is compiled: new ones with the same layers, and with the parameters of a trial.

So a compiled model is searched without a function that builds it. The names of parameters are those that ``compile``
and ``fit`` know. The given model is never trained and never changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from fastreg import losses, optimizers
from fastreg.internal.checks import did_you_mean
from fastreg.internal.dataclasses import fields, replace
from fastreg.model.core import CoreModel, core_of, layer_names
from fastreg.model.loading import face_over
from fastreg.model.model import Model

__all__ = ["CompiledModel", "as_build", "check_single"]

_COMPILE = ("optimizer", "loss", "metrics", "loss_weights", "weighted_metrics", "matmul_precision")
# Arguments of fit that the search sets, and those that change no model.
_NOT_OF_FIT = ("self", "x", "y", "rows", "validation_rows", "initial_epoch", "verbose", "keras")
_SEPARATOR = "__"


def check_single(model: Model) -> None:
    """Raises ValueError for a model that cannot be searched, since it has several inputs or outputs, or a dict."""
    for kind, names in (("input", model.input_names), ("output", model.output_names)):
        if len(names) > 1:
            raise ValueError(
                f"build: a model that is searched must have one {kind}, got {len(names)}: {', '.join(names)}"
            )
    graph = core_of(model).graph
    if graph is not None and graph.output_form == "dict":
        raise ValueError("build: a model that is searched must give one array, but its outputs are a dict")


class CompiledModel:
    """A function ``build(params)`` that returns a new model like a compiled one, and arguments of ``fit``.

    A new model has the layers of the given one and is compiled alike, but has neither its weights nor the state of its
    optimizer. The name of a parameter is:

    - an argument of ``compile``: ``optimizer``, ``loss``, ``metrics``, ``loss_weights``, ``weighted_metrics``,
      ``matmul_precision``;
    - an argument of ``fit`` that a search does not set itself, such as ``batch_size``, ``epochs`` or ``class_weight``;
    - a field of the optimizer, such as ``learning_rate``: that of the trial, if ``optimizer`` is a parameter too, else
      that of the compiled model;
    - one of these after ``compile__``, ``fit__`` or ``optimizer__``, or a field of the loss after ``loss__``;
    - in a ``Sequential``, the name of a layer, two underscores and a field of the layer, as in ``dense__units``.

    Args:
        model: The model. It is read now; later changes of it have no effect.
        keeps_seed: Whether new models have its seed. Otherwise, theirs are those of models without a seed.

    Example:
        >>> import fastreg as fr
        >>> from fastreg.search.folds.compiled import CompiledModel
        >>> model = fr.Sequential([fr.layers.Dense(8, "relu"), fr.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> made, arguments = CompiledModel(model)({"learning_rate": 0.5, "batch_size": 16, "dense__units": 4})
        >>> made.optimizer.learning_rate, arguments, made.layers[0].units, model.layers[0].units
        (0.5, {'batch_size': 16}, 4, 8)
    """

    def __init__(self, model: Model, keeps_seed: bool = False) -> None:
        check_single(model)
        core = core_of(model)
        self._seed = core.seed if keeps_seed else None
        self._core = core.untrained(core.seed, core.name)
        _compile_like(self._core, core)

    def __call__(self, params: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """A new model, and the arguments of ``fit`` among the parameters.

        Raises:
            ValueError: If the name of a parameter is unknown, or its value is out of range.
        """
        given = self._core
        compiled, fitted, of_optimizer, of_loss, of_layers = self._sorted(params)
        made = given.untrained(self._seed, given.name)
        if of_layers:
            made = CoreModel(given.name, made.seed)
            named = zip(layer_names(given.layers), given.layers, strict=True)
            made.append(replace(layer, **of_layers[name]) if name in of_layers else layer for name, layer in named)
        _compile_like(made, given)
        if of_optimizer:
            compiled["optimizer"] = replace(self._optimizer(params), **of_optimizer)
        if of_loss:
            compiled["loss"] = replace(self._loss(params), **of_loss)
        if compiled:
            usual: dict[str, Any] = {"optimizer": made.optimizer, "loss": made.losses[0] if made.losses else None}
            if len(made.metrics) == 1:
                usual |= {"metrics": made.metrics[0], "weighted_metrics": made.weighted_metrics[0]}
            usual |= {"loss_weights": made.loss_weights, "matmul_precision": made.matmul_precision}
            made.compile(**{**usual, **compiled})
        return face_over(made), fitted

    def check(self, samples: Iterable[Mapping[str, Any]]) -> None:
        """Checks the names of parameters, whatever their values.

        Raises:
            ValueError: If one of the samples has a parameter that is unknown.
        """
        for params in samples:
            self._sorted(params)

    def _optimizer(self, params: Mapping[str, Any]) -> Any:
        chosen = params.get("optimizer", params.get("compile__optimizer", self._core.optimizer))
        return optimizers.get(chosen, "build: optimizer")

    def _loss(self, params: Mapping[str, Any]) -> Any:
        chosen = params.get("loss", params.get("compile__loss", self._core.losses[0] if self._core.losses else None))
        return losses.get(chosen, "build: loss")

    def _sorted(self, params: Mapping[str, Any]) -> tuple[Any, Any, Any, Any, Any]:
        """The parameters by what they are of: compile, fit, the optimizer, the loss, layers by their names."""
        groups: dict[str, dict[str, Any]] = {"compile": {}, "fit": {}, "optimizer": {}, "loss": {}}
        layers: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            group, known = self._group_of(name, params)
            short = name.rpartition(_SEPARATOR)[2]
            if short not in known:
                raise ValueError(self._unknown(name, group, known, params))
            into = groups[group] if group in groups else layers.setdefault(group, {})
            if short in into:
                raise ValueError(f"build: parameter {name!r} is given twice, with and without {group}{_SEPARATOR}")
            into[short] = value
        return groups["compile"], groups["fit"], groups["optimizer"], groups["loss"], layers

    def _group_of(self, name: str, params: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        """What a parameter is of, and the names that there are of that."""
        head = name.rpartition(_SEPARATOR)[0]
        if head == "loss":
            return head, _fields(self._loss(params))
        if head == "compile" or (not head and name in _COMPILE):
            return "compile", _COMPILE
        if head == "fit" or (not head and name in _of_fit()):
            return "fit", _of_fit()
        if head in ("", "optimizer"):
            return "optimizer", _fields(self._optimizer(params))
        layers = dict(zip(layer_names(self._core.layers), self._core.layers, strict=True))
        if self._core.graph is None and head in layers:
            return head, _fields(layers[head])
        return head, ()

    def _unknown(self, name: str, group: str, known: tuple[str, ...], params: Mapping[str, Any]) -> str:
        optimizer = self._optimizer(params)
        own = _fields(optimizer)
        of_layers = list(layer_names(self._core.layers)) if self._core.graph is None else []
        told = [
            f"of compile {', '.join(_COMPILE)}",
            f"of fit {', '.join(_of_fit())}",
            f"of the optimizer {type(optimizer).__name__} {', '.join(own)}",
        ]
        if known and group not in ("compile", "fit", "optimizer"):
            told = [f"of {group} {', '.join(known)}"]
        elif of_layers:
            told.append(f"and the name of a layer ({', '.join(of_layers)}), {_SEPARATOR} and its field")
        short = name.rpartition(_SEPARATOR)[2]
        hint = did_you_mean(short, known or (*_COMPILE, *_of_fit(), *own))
        if "optimizer" in params and hint == "":
            hint = "; a When makes a parameter depend on the optimizer"
        return f"build: a compiled model has no parameter {name!r}; known: {'; '.join(told)}{hint}"


def as_build(build: Any) -> Any:
    """What makes the models of a search: of a compiled model a :class:`CompiledModel`; anything else as it is."""
    return CompiledModel(build) if isinstance(build, Model) else build


def _compile_like(made: CoreModel, given: CoreModel) -> None:
    made.optimizer, made.losses, made.loss_weights = given.optimizer, given.losses, given.loss_weights
    made.metrics, made.weighted_metrics = given.metrics, given.weighted_metrics
    made.matmul_precision = given.matmul_precision


def _of_fit() -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(Model.fit).parameters if name not in _NOT_OF_FIT)


def _fields(description: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(description))
