"""The names of the activations, which the core has, and the check of an argument that is one."""

from fastreg import _core
from fastreg.internal.checks import check_choice

__all__ = ["ACTIVATIONS", "check_activation"]

# leaky_relu has slope 0.2 below zero, elu scale 1, gelu is the exact one with the error function.
ACTIVATIONS = _core.activations()
_ACTIVATION_ALIASES = {"swish": "silu"}


def check_activation(owner: str, name: str, value: object) -> str:
    """The name of an activation. None means linear, and swish means silu."""
    if value is None:
        return "linear"
    if isinstance(value, str):
        plain = _ACTIVATION_ALIASES.get(value.lower(), value.lower())
        value = plain if plain in ACTIVATIONS else value  # a message shows it as it was given
    return check_choice(owner, name, value, ACTIVATIONS)
