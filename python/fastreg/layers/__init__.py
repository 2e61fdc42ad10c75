"""The layers of a network. These are descriptions; C++ computes (cpp/core/layers).

Arrays are row-major: x is (n, in), a Dense kernel (in, units). The first layer of a model may be given the number of
features as ``input_shape=(n,)`` or ``input_dim=n``; otherwise an :class:`Input` before it, ``build`` or the first
``fit`` determines it.

A layer that is called on a value, an :class:`Input` or what another layer made, describes a further value, of which
:class:`fastreg.Model` makes a network; nothing is computed by the call.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastreg.internal.activation_names import ACTIVATIONS
from fastreg.internal.checks import absent_names
from fastreg.internal.description import Registry
from fastreg.internal.layer_base import Layer, Value
from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.layers.activations import ELU, Identity, LeakyReLU, ParametricActivation, PReLU, ReLU, Softmax
    from fastreg.layers.dense import Activation, Dense
    from fastreg.layers.embedding import Embedding
    from fastreg.layers.ensemble import EnsembleDense
    from fastreg.layers.inputs import Input, InputLayer
    from fastreg.layers.lookups import Discretization, IntegerLookup, StringLookup
    from fastreg.layers.merging import (
        Add,
        Average,
        Concatenate,
        Maximum,
        Minimum,
        Multiply,
        Subtract,
        add,
        average,
        concatenate,
        maximum,
        minimum,
        multiply,
        subtract,
    )
    from fastreg.layers.nested import Residual
    from fastreg.layers.noise import ActivityRegularization, AlphaDropout, Dropout, GaussianDropout, GaussianNoise
    from fastreg.layers.normalization import (
        BatchNormalization,
        LayerNormalization,
        RMSNormalization,
        Scale,
        UnitNormalization,
    )
    from fastreg.layers.periodic import PeriodicEmbedding
    from fastreg.layers.preprocessing import CategoryEncoding, Normalization, Rescaling
    from fastreg.layers.products import Dot, dot
    from fastreg.layers.reshaping import Flatten, Reshape
    from fastreg.layers.table_input import CategoricalColumn, Column, NumericColumn, PlainColumn, TableInput

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "BatchNormalization",
    "CategoricalColumn",
    "CategoryEncoding",
    "Column",
    "Concatenate",
    "Dense",
    "Discretization",
    "Dot",
    "Dropout",
    "Embedding",
    "EnsembleDense",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Input",
    "InputLayer",
    "IntegerLookup",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "NumericColumn",
    "PReLU",
    "ParametricActivation",
    "PeriodicEmbedding",
    "PlainColumn",
    "RMSNormalization",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Residual",
    "Scale",
    "Softmax",
    "StringLookup",
    "Subtract",
    "TableInput",
    "UnitNormalization",
    "Value",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "get",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

# The module that each layer lives in; it is loaded when the layer is first used.
_LAYERS = {
    name: module
    for module, names in {
        "dense": ("Dense", "Activation"),
        "activations": ("ReLU", "LeakyReLU", "ELU", "Softmax", "Identity", "PReLU", "ParametricActivation"),
        "normalization": (
            *("BatchNormalization", "LayerNormalization", "RMSNormalization"),
            *("UnitNormalization", "Scale"),
        ),
        "noise": ("Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization"),
        "merging": ("Add", "Multiply", "Concatenate", "Subtract", "Average", "Maximum", "Minimum"),
        "products": ("Dot",),
        "reshaping": ("Flatten", "Reshape"),
        "embedding": ("Embedding",),
        "ensemble": ("EnsembleDense",),
        "periodic": ("PeriodicEmbedding",),
        "preprocessing": ("CategoryEncoding", "Normalization", "Rescaling"),
        "nested": ("Residual",),
        "table_input": ("TableInput",),
    }.items()
    for name in names
}
_LOOKUPS = ("Discretization", "IntegerLookup", "StringLookup")
_FUNCTIONS = ("add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract")
_COLUMNS = ("CategoricalColumn", "Column", "NumericColumn", "PlainColumn")
_OTHERS = {"Input": "inputs", "InputLayer": "inputs", "dot": "products"}
_OTHERS |= dict.fromkeys(_LOOKUPS, "lookups") | dict.fromkeys(_FUNCTIONS, "merging")
_OTHERS |= dict.fromkeys(_COLUMNS, "table_input")
_load = lazy_names(__name__, _LAYERS | _OTHERS, absent_names(__name__))
_REGISTRY: Registry[Layer] = Registry("layer", Layer, {}, later=_LAYERS, load=_load)

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)


def get(config: object, where: str = "layers.get") -> Layer:
    """The layer of a JSON form, or a layer itself.

    Example:
        >>> from fastreg import layers
        >>> layers.get(layers.Dense(3, "relu").to_config()).units
        3
    """
    return config if isinstance(config, Layer) else _REGISTRY.from_config(where, config)


def serialize(layer: Layer) -> dict[str, Any]:
    """The description of a layer in Keras's form, ``{"class_name": ..., "config": {...}}``.

    Example:
        >>> from fastreg import layers
        >>> made = layers.Dropout(0.5)
        >>> layers.deserialize(layers.serialize(made)) == made
        True
    """
    return _REGISTRY.serialize(layer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, object] | None = None) -> Layer:
    """The layer that :func:`serialize` made a dict of.

    Args:
        config: The dict; the form in model files, ``{"type": ..., field: value}``, is taken, too.
        custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

    Raises:
        ValueError: If the dict names no layer, or a field is unknown or missing, or its value is bad.

    Example:
        >>> from fastreg import layers
        >>> layers.deserialize({"class_name": "Dropout", "config": {"rate": 0.5}}).rate
        0.5
    """
    return _REGISTRY.deserialize(config, custom_objects)
