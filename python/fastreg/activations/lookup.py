"""From a name to the function of an activation, and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastreg.activations.functions import FUNCTIONS, glu, threshold
from fastreg.internal.activation_names import check_activation
from fastreg.internal.checks import describe

__all__ = ["deserialize", "get", "serialize"]

# Functions that are no activation of a layer by their name alone.
_OF_NO_LAYER: dict[str, Callable[..., Any]] = {"glu": glu, "threshold": threshold}


def get(identifier: object) -> Callable[..., Any]:
    """The function of a name, of None (linear) or of a function itself.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If it is neither a name nor a function.

    Example:
        >>> from fastreg import activations
        >>> activations.get("swish") is activations.silu
        True
    """
    if callable(identifier):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _OF_NO_LAYER:
        return _OF_NO_LAYER[identifier.lower()]
    chosen = check_activation("get", "identifier", identifier)
    if isinstance(chosen, str):
        return FUNCTIONS[chosen]
    return partial((FUNCTIONS | _OF_NO_LAYER)[chosen.name], **chosen.parameters)


def serialize(activation: object) -> str | dict[str, Any]:
    """The name of an activation, or its JSON form if it has parameters; :func:`deserialize` reads both.

    Example:
        >>> from fastreg import activations
        >>> activations.serialize(activations.relu)
        'relu'
    """
    chosen = check_activation("serialize", "activation", activation)
    return chosen if isinstance(chosen, str) else chosen.to_config()


def deserialize(config: object, custom_objects: None = None) -> Callable[..., Any]:
    """The function of what :func:`serialize` returned. ``custom_objects`` must be None.

    Example:
        >>> from fastreg import activations
        >>> activations.deserialize("relu") is activations.relu
        True
    """
    if custom_objects is not None:
        raise ValueError(f"deserialize: custom_objects must be None, got {describe(custom_objects)}")
    return get(config)
