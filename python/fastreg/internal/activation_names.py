"""The activations by name, with the parameters that some have, and the check of an argument that is one.

The core computes them; ``fastreg.activations`` has them as functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from fastreg import _core
from fastreg.internal.checks import (
    FINITE,
    NON_NEGATIVE,
    NORMAL,
    Range,
    check_bool,
    check_choice,
    check_real,
    describe,
)
from fastreg.internal.description import Description

__all__ = [
    "ACTIVATIONS",
    "PARAMETERS",
    "ActivationLike",
    "ParametrisedActivation",
    "activation_of_function",
    "check_activation",
    "core_text",
    "with_parameters",
]

# Without parameters leaky_relu has slope 0.2 below zero, elu scale 1, and gelu is the exact one, with the error
# function.
ACTIVATIONS = _core.activations()
_ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}

_REQUIRED = object()
# For each activation with parameters: what each of them may be, and its default. None as a range: True or False; a
# parameter whose default is None may be None. The order is that of Keras's function.
PARAMETERS: dict[str, dict[str, tuple[Range | None, Any]]] = {
    "relu": {
        "negative_slope": (NON_NEGATIVE, 0.0),
        "max_value": (NON_NEGATIVE, None),
        "threshold": (NON_NEGATIVE, 0.0),
    },
    "leaky_relu": {"negative_slope": (NON_NEGATIVE, 0.2)},
    "elu": {"alpha": (FINITE, 1.0)},
    "gelu": {"approximate": (None, False)},
    "celu": {"alpha": (NORMAL, 1.0)},
    "squareplus": {"b": (NORMAL, 4.0)},
    "soft_shrink": {"threshold": (NON_NEGATIVE, 0.5)},
    "hard_shrink": {"threshold": (NON_NEGATIVE, 0.5)},
    "threshold": {"threshold": (FINITE, _REQUIRED), "default_value": (FINITE, _REQUIRED)},
}
# Those that have a parameter without a default.
_NEEDING = {name for name, known in PARAMETERS.items() if any(usual is _REQUIRED for _, usual in known.values())}


class ParametrisedActivation(Description):
    """An activation with other than its default parameters, as a field of a layer.

    ``functools.partial(activations.leaky_relu, negative_slope=0.1)`` and ``layers.LeakyReLU(0.1)`` become one where
    they are the activation of a layer.
    """

    name: str
    parameters: dict[str, Any]

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        self._set(name=name, parameters=dict(parameters))

    def to_config(self) -> dict[str, Any]:
        """The JSON form, from which :func:`check_activation` makes it again."""
        return {"type": self.name, **self.parameters}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParametrisedActivation) and self.to_config() == other.to_config()

    def __hash__(self) -> int:
        return hash((self.name, *self.parameters.items()))

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.parameters.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ParametrisedActivation, (self.name, self.parameters)


if TYPE_CHECKING:
    from typing import Protocol

    import numpy as np
    from numpy.typing import NDArray

    class ActivationLayer(Protocol):
        """A layer that is an activation and nothing else, such as ``LeakyReLU``."""

        def as_activation(self, owner: str) -> str | ParametrisedActivation:
            """The activation. Raises ValueError, in the name of the owner, if the layer has something else."""

    # What a layer takes as its activation; see check_activation.
    ActivationLike = (
        str | ParametrisedActivation | Callable[..., NDArray[np.float32]] | ActivationLayer | Mapping[str, Any]
    )
else:
    ActivationLike = str | Callable[..., Any] | Mapping[str, Any]


def with_parameters(owner: str, name: str, given: Mapping[str, Any]) -> str | ParametrisedActivation:
    """The activation with these parameters, the others being the defaults; its name alone if all are.

    Raises:
        TypeError: If the activation has no such parameter.
        ValueError: If one is out of range, or one without a default is missing.
    """
    if not given and name not in _NEEDING:
        return name
    known = PARAMETERS.get(name, {})
    if unknown := [key for key in given if key not in known]:
        has = f"its parameters are {', '.join(known)}" if known else "it has no parameters"
        raise TypeError(f"{owner}: {name} got an unknown parameter {unknown[0]!r}; {has}")
    values: dict[str, Any] = {}
    for key, (rule, usual) in known.items():
        value = given.get(key, usual)
        if value is _REQUIRED:
            way = ", ".join(f"{other}=" for other in known)
            raise ValueError(
                f"{owner}: {name} needs its {key}; write functools.partial(activations.{name}, {way[:-1]}=...)"
            )
        if value is None and usual is None:
            values[key] = None
        elif rule is None:
            values[key] = check_bool(owner, key, value)
        else:
            values[key] = check_real(owner, key, value, rule)
    if all(values[key] == usual for key, (_, usual) in known.items()):
        return name
    return ParametrisedActivation(name, values)


def activation_of_function(value: object) -> str | None:
    """The name of an activation that is given as one of the functions of ``fastreg.activations``; else None."""
    name = getattr(value, "activation_name", None)
    return name if isinstance(name, str) and callable(value) else None


def check_activation(owner: str, name: str, value: object) -> str | ParametrisedActivation:
    """An activation: its name, or a :class:`ParametrisedActivation`. None means linear, and swish means silu.

    It may be given by its name, as a function of ``fastreg.activations`` or a ``functools.partial`` of one, as an
    activation layer, or in its JSON form.
    """
    if value is None:
        return "linear"
    if isinstance(value, str):
        plain = _ALIASES.get(value.lower(), value.lower())
        if plain not in ACTIVATIONS and plain not in PARAMETERS:
            return check_choice(owner, name, value, ACTIVATIONS)  # a message shows it as it was given
        return with_parameters(owner, plain, {})
    if isinstance(value, ParametrisedActivation):
        return value
    if (found := activation_of_function(value)) is not None:
        if found not in ACTIVATIONS and found not in PARAMETERS:
            raise ValueError(f"{owner}: {name} must not change the number of columns, which {found} does")
        return with_parameters(owner, found, {})
    if isinstance(value, partial) and (found := activation_of_function(value.func)) is not None and not value.args:
        return with_parameters(owner, found, value.keywords)
    if isinstance(value, Mapping):
        given = {key: one for key, one in value.items() if key != "type"}
        kind = value.get("type")
        return with_parameters(
            owner, kind if kind in PARAMETERS else check_choice(owner, name, kind, ACTIVATIONS), given
        )
    if (as_activation := getattr(value, "as_activation", None)) is not None and not isinstance(value, type):
        made: str | ParametrisedActivation = as_activation(owner)
        return made
    if callable(value):
        hint = "write a layer's parentheses" if isinstance(value, type) else "its functions are in fastreg.activations"
        raise TypeError(f"{owner}: {name} must be the name or function of an activation, got {describe(value)}; {hint}")
    if isinstance(value, int):  # PyTorch's Linear takes two widths
        hint = "the width of the input is found by itself, and units is that of the output"
        raise TypeError(f"{owner}: {name} must be the name or function of an activation, got {describe(value)}; {hint}")
    return check_choice(owner, name, value, ACTIVATIONS)


def core_text(activation: str | ParametrisedActivation) -> str:
    """What the core takes for an activation: its name, or the JSON form."""
    return activation if isinstance(activation, str) else json.dumps(activation.to_config())
