"""The fingerprint of a model: a hash of its description, by which a resumed search recognises a changed ``build``.

It covers everything that determines how a model is trained and scored and that differs from the defaults: layers, loss,
optimizer, the metrics that are scored or monitored, and the arguments of ``fit`` that ``build`` returned; for an
estimator, its class and parameters. Seeds and names of layers are left out; functions and other objects count by their
names, and callbacks whose text does not tell their settings also by their public attributes. An option that a later
version adds changes nothing as long as it has its default. Weights that ``build`` itself trained from the model's seed
do not count, because they differ in every fold. This module knows nothing of trials and folds.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from fastreg import regularizers
from fastreg.callbacks import Callback, CallbackList
from fastreg.internal.description import Description
from fastreg.model.core import core_of
from fastreg.model.given_callbacks import checked_list
from fastreg.model.model import Model
from fastreg.optimizers import Optimizer
from fastreg.regularizers import Regularizer
from fastreg.schedules import Constant
from fastreg.search.space.tree import text_of
from fastreg.search.values import fingerprint

__all__ = ["Fingerprint", "agreed", "differing", "same", "settings_of_steps", "with_settings"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})

# Fields and parameters that do not make another model.
_ASIDE = ("name", "seed", "input_shape", "random_state")

# The steps at which a schedule that is a function is evaluated.
_STEPS = (0, 1, 10, 100, 1000, 10_000)

# What sparse matrices, pandas' tables and others have, and no description does.
_OF_DATA = ("tocsr", "iloc", "__dataframe__")

# The __repr__ of objects that have none of their own.
_NO_TEXT: Any = object.__repr__

# The hexadecimal digits of the hash of everything; four of each part follow.
_WHOLE = 32
_PARTS = ("layers", "loss", "optimizer", "arguments of fit", "metrics", "weights")

# Objects within objects that are followed.
_DEEPEST = 20


@dataclass(frozen=True)
class Fingerprint:
    """Takes the fingerprints of a search's models.

    Args:
        weights: Weights count too: ``build`` does not draw them by the seed, but has them from somewhere.
    """

    weights: bool = False

    def of(
        self,
        model: Any,
        arguments: Mapping[str, Any],
        given: Mapping[str, Any] = _NOTHING,
        scored: Mapping[str, Any] = _NOTHING,
    ) -> str:
        """The fingerprint of a model.

        Args:
            model: The model, which is not trained yet.
            arguments: The arguments of ``fit`` that ``build`` returned with it.
            given: The arguments that all models get if ``build`` returns no others.
            scored: The metrics that are scored, by their names in the model, and the metrics that a model is compiled
                with if it lacks one of them.
        """
        arguments, given = _listed(arguments), _listed(given)
        described = {"model": _described(model), "fit": _of_arguments(model, arguments, given)}
        if isinstance(model, Model):
            described["metrics"] = _of_metrics(model, {**given, **arguments}.get("callbacks"), scored)
            if self.weights and model.built:
                described["weights"] = fingerprint(*(weight + 0.0 for weight in model.get_weights()))  # -0.0 is 0.0
        return _digest(described, 16) + "".join(_digest(part, 2) for part in _parts(described))


def _digest(described: Any, size: int) -> str:
    text = json.dumps(described, sort_keys=True, allow_nan=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def _parts(described: Mapping[str, Any]) -> list[Any]:
    """The parts that messages name, in the order of ``_PARTS``. Of an estimator everything is in the first one."""
    model = dict(described["model"]) if isinstance(described["model"], dict) else {"model": described["model"]}
    loss, optimizer = [model.pop("loss", None), model.pop("loss_weights", None)], model.pop("optimizer", None)
    if (precision := model.pop("matmul_precision", None)) is not None:
        optimizer = [optimizer, precision]
    return [model, loss, optimizer, *(described.get(name) for name in ("fit", "metrics", "weights"))]


def same(one: str, other: str) -> bool:
    """Whether two fingerprints are of the same model. Those of older journals tell no parts."""
    return one[:_WHOLE] == other[:_WHOLE]


def differing(one: str, other: str) -> str:
    """What differs between the models of two fingerprints, for a message; empty if they do not tell."""
    told = [[text[_WHOLE + 4 * i :][:4] for i in range(len(_PARTS))] for text in (one, other)]
    if not (told[0][-1] and told[1][-1]):
        return ""
    names = [name for name, a, b in zip(_PARTS, *told, strict=True) if a != b]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def agreed(
    first: tuple[Any, Mapping[str, Any]],
    second: tuple[Any, Mapping[str, Any]],
    given: Mapping[str, Any] = _NOTHING,
    scored: Mapping[str, Any] = _NOTHING,
) -> Fingerprint | None:
    """How to compare models, determined from two results of ``build`` for the same parameters.

    None if the two differ, because random models cannot be recognised. Weights count if they are the same both times.
    """
    described, weighed = Fingerprint(), Fingerprint(weights=True)
    if described.of(*first, given, scored) != described.of(*second, given, scored):
        return None
    own = _has_weights_of_its_own(first[0])
    return weighed if own and weighed.of(*first) == weighed.of(*second) else described


def _has_weights_of_its_own(model: Any) -> bool:
    """Whether there are weights that the model's seed did not draw, such as those of a file."""
    if not isinstance(model, Model) or core_of(model).network is None:
        return False
    drawn = core_of(model).untrained(model.seed)
    fresh = drawn.build(core_of(model).known_shape()).get_weights()
    return not all(map(np.array_equal, model.get_weights(), fresh))


def _described(value: Any, depth: int = 0) -> Any:
    """A value as JSON that is the same in every process."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"text": repr(value)}
    if depth > _DEEPEST:
        return {"type": _class_name(type(value))}
    if isinstance(value, Model):
        return _of_model(value, depth + 1)
    if isinstance(value, Description):
        return _of_description(value, depth + 1)
    if isinstance(value, Mapping):
        return {"items": {str(key): _described(item, depth + 1) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_described(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(json.dumps(_described(item, depth + 1), sort_keys=True) for item in value)}
    if isinstance(value, np.ndarray) or any(hasattr(value, name) for name in _OF_DATA):
        return {"data": fingerprint(value)}
    if isinstance(value, type):
        return {"class": _class_name(value)}
    if hasattr(value, "get_params"):
        return _of_estimator(value, depth + 1)
    if isinstance(value, Callback) and (settings := _settings_of(value)):
        text = {} if type(value).__repr__ is _NO_TEXT else {"text": text_of(value)}
        known = {name: _described(item, depth + 1) for name, item in settings.items()}
        return {"type": _class_name(type(value)), **text, "settings": known}
    if type(value).__repr__ is _NO_TEXT:
        return {"type": _class_name(type(value))}
    return {"text": text_of(value).replace("__mp_main__", "__main__")}


def _settings_of(callback: Callback) -> dict[str, Any]:
    """The public attributes of a callback whose text does not tell them: its class has none of its own."""
    of_text = type(callback).__repr__
    if _is_ours(type(callback)) or not (of_text is _NO_TEXT or _is_ours(of_text)):
        return {}
    return {name: value for name, value in vars(callback).items() if name[:1] != "_" and name not in callback._aside}


def _is_ours(thing: Any) -> bool:
    return str(thing.__module__).partition(".")[0] == "fastreg"


def _listed(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments of ``fit`` with the callbacks of a :class:`CallbackList` in its place."""
    given = arguments.get("callbacks")
    if isinstance(given, CallbackList):
        return {**arguments, "callbacks": checked_list(given)}
    several = isinstance(given, (list, tuple)) and any(isinstance(item, CallbackList) for item in given)
    return {**arguments, "callbacks": checked_list(given)} if several else arguments


def with_settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``fit`` for a journal, with the settings of callbacks whose texts do not tell them."""
    arguments = _listed(arguments)
    given = arguments.get("callbacks")
    items = [given] if isinstance(given, Callback) else given
    if not isinstance(items, (list, tuple)):
        return dict(arguments)
    told = [_described(item) if isinstance(item, Callback) and _settings_of(item) else item for item in items]
    return {**arguments, "callbacks": told[0] if items is not given else told}


def settings_of_steps(steps: Sequence[Any]) -> dict[str, Any]:
    """The parameters of transformers that have no text of their own, or else their public attributes, by place."""
    told: dict[str, Any] = {}
    for i, step in enumerate(steps):
        if type(step).__repr__ is not _NO_TEXT:
            continue
        if hasattr(step, "get_params"):
            told[str(i)] = _described(step)
        else:
            known = getattr(step, "__dict__", {}).items()
            told[str(i)] = {name: _described(item) for name, item in known if "_" not in (name[0], name[-1])}
    return {"settings": told} if told else {}


def _of_model(model: Model, depth: int) -> Any:
    core = core_of(model)
    described = {
        "layers": [_described(layer, depth) for layer in core.layers],
        "loss": _described(model.loss, depth),
        "optimizer": None if core.optimizer is None else _described(core.optimizer, depth),
    }
    if core.graph is not None:
        described["graph"] = [list(map(list, core.graph.reads)), [value for _, value in core.graph.outputs]]
    if core.loss_weights is not None and set(core.loss_weights) != {1.0}:
        described["loss_weights"] = list(core.loss_weights)
    if core.matmul_precision not in (None, "highest"):
        described["matmul_precision"] = core.matmul_precision
    return described


def _of_arguments(model: Any, arguments: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """The arguments of ``fit`` that differ from their defaults, except those for the progress."""
    defaults = _parameters_of(getattr(type(model), "fit", None))
    described = {}
    for name, value in arguments.items():
        form = _argument(model, value)
        if name in given:
            usual = _argument(model, given[name])
        else:
            usual = _argument(model, defaults[name].default) if name in defaults else None
        if name != "verbose" and (form != usual or not (name in given or name in defaults)):
            described[name] = form
    return described


def _argument(model: Any, value: Any) -> Any:
    """An argument of ``fit``; to a ``Sequential`` 1 and 1.0 are one number, to an estimator they may be two."""
    return _described(_numbers(value) if isinstance(model, Model) else value)


def _numbers(value: Any) -> Any:
    """A value whose floats are integers where they can be."""
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return int(value)
    return value


def _of_metrics(model: Model, callbacks: Any, scored: Mapping[str, Any]) -> Any:
    """The metrics that are scored or that callbacks use, which are all if a callback is not the library's."""
    alone = isinstance(callbacks, Callback) or callable(callbacks)
    items = [callbacks] if alone else list(callbacks or ())
    monitored = {str(getattr(item, "monitor", "")).removeprefix("val_") for item in items}
    known = {metric.name: metric for metric in model.metrics}
    if all(type(item).__module__.partition(".")[0] == "fastreg" for item in items):
        known = {name: metric for name, metric in known.items() if name in monitored or name in scored}
    return {name: _described(metric) for name, metric in {**scored, **known}.items()}


def _of_description(value: Any, depth: int) -> Any:
    """The fields that differ from those of one made with no more than it must be given."""
    if isinstance(value, Regularizer):
        value = regularizers.get(value.to_config())  # one penalty has several names
    known = [field for field in fields(value) if field.name not in (*_ASIDE, *value._transient)]
    needed = [field.name for field in known if field.default is MISSING and field.default_factory is MISSING]
    usual = type(value)(**{name: getattr(value, name) for name in needed})
    described: dict[str, Any] = {"type": type(value).__name__}
    for field in known:
        given = _field(value, field.name, depth)
        if field.name in needed or given != _field(usual, field.name, depth):
            described[field.name] = given
    return described


def _field(value: Any, name: str, depth: int) -> Any:
    given = getattr(value, name)
    if isinstance(given, Constant):
        given = given.learning_rate
    if isinstance(value, Optimizer) and name == "learning_rate" and not isinstance(given, (float, Description)):
        return {"rates": [_rate(value, step) for step in _STEPS]}
    return _described(given, depth)


def _rate(optimizer: Optimizer, step: int) -> Any:
    try:
        return _described(optimizer.rate_at(step))
    except Exception:  # a function may end with the steps that it is trained for; fit raises what matters
        return None


def _of_estimator(value: Any, depth: int) -> Any:
    """The class and the parameters that differ from its constructor's defaults."""
    defaults = _parameters_of(type(value))
    described = {}
    own = value.get_params(deep=False) if hasattr(value, "__sklearn_clone__") else value.get_params()
    for name, given in own.items():
        if name.rsplit("__", 1)[-1] in _ASIDE[-1:]:
            continue
        form = _described(given, depth)
        if name not in defaults or form != _described(defaults[name].default, depth):
            described[name] = form
    return {"type": _class_name(type(value)), "params": described}


def _parameters_of(function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # what is compiled may have no signature, and a model may have no fit
        return {}


def _class_name(kind: type) -> str:
    """The package and the name of a class: modules within a package come and go from version to version."""
    package = kind.__module__.partition(".")[0].replace("__mp_main__", "__main__")
    return f"{package}.{kind.__qualname__}"
