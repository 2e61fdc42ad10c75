"""The layers of a network. These are descriptions; C++ computes (cpp/core/layers).

Arrays are row-major: x is (n, in), a Dense kernel (in, units). The first layer of a model may be given the number of
features as ``input_shape=(n,)`` or ``input_dim=n``; otherwise an :class:`Input` before it, ``build`` or the first
``fit`` determines it.

A layer that is called on a value, an :class:`Input` or what another layer made, describes a further value, of which
:class:`fastreg.Model` makes a network; nothing is computed by the call.
"""

from typing import TYPE_CHECKING

from fastreg.internal.activation_names import ACTIVATIONS
from fastreg.internal.checks import absent_names
from fastreg.internal.description import Registry
from fastreg.internal.layer_base import Layer, Value
from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.layers.activations import ELU, Identity, LeakyReLU, PReLU, ReLU, Softmax
    from fastreg.layers.dense import Activation, Dense
    from fastreg.layers.inputs import Input, InputLayer
    from fastreg.layers.merging import Add, Concatenate, Multiply
    from fastreg.layers.nested import Residual
    from fastreg.layers.noise import ActivityRegularization, AlphaDropout, Dropout, GaussianDropout, GaussianNoise
    from fastreg.layers.normalization import (
        BatchNormalization,
        LayerNormalization,
        RMSNormalization,
        Scale,
        UnitNormalization,
    )

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "BatchNormalization",
    "Concatenate",
    "Dense",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Multiply",
    "PReLU",
    "RMSNormalization",
    "ReLU",
    "Residual",
    "Scale",
    "Softmax",
    "UnitNormalization",
    "Value",
    "get",
]

# The module that each layer lives in; it is loaded when the layer is first used.
_LAYERS = {
    name: module
    for module, names in {
        "dense": ("Dense", "Activation"),
        "activations": ("ReLU", "LeakyReLU", "ELU", "Softmax", "Identity", "PReLU"),
        "normalization": (
            *("BatchNormalization", "LayerNormalization", "RMSNormalization"),
            *("UnitNormalization", "Scale"),
        ),
        "noise": ("Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization"),
        "merging": ("Add", "Multiply", "Concatenate"),
        "nested": ("Residual",),
    }.items()
    for name in names
}
_load = lazy_names(__name__, _LAYERS | {"Input": "inputs", "InputLayer": "inputs"}, absent_names(__name__))
_REGISTRY: Registry[Layer] = Registry("layer", Layer, {}, later=_LAYERS, load=_load)

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = _load


def get(config: object, where: str = "layers.get") -> Layer:
    """The layer of a JSON form, or a layer itself."""
    return config if isinstance(config, Layer) else _REGISTRY.from_config(where, config)
