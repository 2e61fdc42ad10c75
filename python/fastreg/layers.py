"""The layers of a network. These are descriptions; C++ computes (cpp/core/layers).

Arrays are row-major: x is (n, in), a Dense kernel (in, units). The first layer of a model may be given the number of
features as ``input_shape=(n,)`` or ``input_dim=n``; otherwise an :class:`Input` before it, ``build`` or the first
``fit`` determines it.

A layer that is called on a value, an :class:`Input` or what another layer made, describes a further value, of which
:class:`fastreg.Model` makes a network; nothing is computed by the call.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from fastreg import _core
from fastreg.initializers import Initializer
from fastreg.internal.checks import (
    AT_LEAST_ONE,
    CLOSED_FRACTION,
    FRACTION,
    NON_NEGATIVE,
    NORMAL,
    SEED_LIMIT,
    WIDTH_LIMIT,
    Rule,
    absent_names,
    check_choice,
    check_name,
    describe,
)
from fastreg.internal.dataclasses import KW_ONLY, InitVar, dataclass, field, replace
from fastreg.internal.description import Registry
from fastreg.internal.keras_arguments import (
    DenseArguments,
    InputArguments,
    LayerArguments,
    NormalizationArguments,
    takes_keras_arguments,
)
from fastreg.internal.layer_base import Join, Layer, Part, Symbol, Value, check_features
from fastreg.regularizers import Regularizer

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Add",
    "BatchNormalization",
    "Concatenate",
    "Dense",
    "Dropout",
    "Input",
    "InputLayer",
    "Layer",
    "Multiply",
    "Residual",
    "Value",
    "get",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)

# leaky_relu has slope 0.2 below zero, elu scale 1, gelu is the exact one with the error function.
ACTIVATIONS = _core.activations()
_ACTIVATION_ALIASES = {"swish": "silu"}

# The names of the axis of features, which is the only one.
_AXIS: Rule = ("be -1 or 1", lambda v: v in (-1, 1))


def check_activation(owner: str, name: str, value: object) -> str:
    """The name of an activation. None means linear, and swish means silu."""
    if value is None:
        return "linear"
    if isinstance(value, str):
        plain = _ACTIVATION_ALIASES.get(value.lower(), value.lower())
        value = plain if plain in ACTIVATIONS else value  # a message shows it as it was given
    return check_choice(owner, name, value, ACTIVATIONS)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Dense(Layer, DenseArguments):
    r"""A fully connected layer, :math:`y = a(x W + b)`.

    Weights: ``kernel`` :math:`W` (in, units) and ``bias`` :math:`b` (units,).

    Args:
        units: The number of outputs, >= 1.
        activation: One of :data:`ACTIVATIONS`; None means linear.
        use_bias: Whether there is a :math:`b`.
        kernel_initializer: The initial values of :math:`W`, see :mod:`fastreg.initializers`.
        bias_initializer: The initial values of :math:`b`.
        kernel_regularizer: The penalty on :math:`W`, see :mod:`fastreg.regularizers`; None means no penalty.
        bias_regularizer: The penalty on :math:`b`.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``units`` < 1 or a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from fastreg import layers
        >>> layers.Dense(64, "relu", kernel_regularizer="l2").kernel_regularizer
        L2(l2=0.01)
    """

    units: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT]
    activation: Annotated[str | None, check_activation] = None
    use_bias: bool = True
    kernel_initializer: Initializer | str = "glorot_uniform"
    bias_initializer: Initializer | str = "zeros"
    kernel_regularizer: Regularizer | str | None = None
    bias_regularizer: Regularizer | str | None = None


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Activation(Layer, LayerArguments):
    """A function of each element, or of each row for softmax.

    Args:
        activation: One of :data:`ACTIVATIONS`.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If the name is unknown; the message lists the known ones.

    Example:
        >>> from fastreg import layers
        >>> layers.Activation("swish")
        Activation(activation='silu')
    """

    activation: Annotated[str, check_activation]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class BatchNormalization(Layer, NormalizationArguments):
    r"""Normalises each feature to mean 0 and variance 1 over a batch, then scales and shifts it.

    Ioffe and Szegedy, ICML 2015:

    .. math:: y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta

    In training :math:`\mu, \sigma^2` are those of the batch (with the biased variance), and the moving averages are
    updated: ``moving = momentum * moving + (1 - momentum) * batch``. Outside of training they are the moving averages.
    A batch of one row is normalised to 0. Weights: ``gamma``, ``beta``, ``moving_mean``, ``moving_variance``, each
    (in,).

    Args:
        axis: -1 or 1, which both mean the axis of features; there is no other.
        momentum: The weight of the *old* average, in [0, 1]. PyTorch's momentum is one minus this.
        epsilon: >= 2**-126.
        center: Whether there is a :math:`\beta`.
        scale: Whether there is a :math:`\gamma`.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import layers
        >>> layers.BatchNormalization(momentum=0.9).epsilon
        0.001
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}

    axis: Annotated[int, _AXIS] = field(default=-1, compare=False)
    momentum: Annotated[float, CLOSED_FRACTION] = 0.99
    epsilon: Annotated[float, NORMAL] = 1e-3
    center: bool = True
    scale: bool = True


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Dropout(Layer, LayerArguments):
    r"""Sets random elements to zero in training (Srivastava et al., JMLR 2014) and divides the others by 1 - rate.

    The choice is a function of (seed, step, layer, element) and does not depend on threads. Outside of training the
    layer does nothing.

    Args:
        rate: The probability to drop an element, in [0, 1). It is rounded to a multiple of 1/65536, and kept elements
            are divided by 1 - the rounded probability, so that the expectation is exact.
        noise_shape: Is accepted because Keras has it; only None, a decision for every element, is supported.
        seed: An integer in [0, 2**64) that determines this layer's masks instead of the model's seed, or None.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``rate`` or ``seed`` is out of range or NaN, or ``noise_shape`` is not None.

    Example:
        >>> from fastreg import layers
        >>> layers.Dropout(0.5)
        Dropout(rate=0.5, seed=None)
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"noise_shape"}

    rate: Annotated[float, FRACTION]
    noise_shape: None = field(default=None, compare=False)
    seed: Annotated[int, NON_NEGATIVE, SEED_LIMIT] | None = None


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Add(Join, LayerArguments):
    """The sum of values of the same width, element by element, from left to right.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of different widths.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((3,))
        >>> fr.layers.Add()([a, b]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Multiply(Join, LayerArguments):
    """The product of values of the same width, element by element, from left to right.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of different widths.

    Example:
        >>> import fastreg as fr
        >>> x = fr.Input((3,))
        >>> gate = fr.layers.Dense(3, "sigmoid")(x)
        >>> fr.layers.Multiply()([x, gate]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Concatenate(Join, LayerArguments):
    """The features of values side by side, in the order of the list.

    Args:
        axis: -1 or 1, which both mean the axis of features; there is no other.
        name: See :class:`Layer`.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((2,))
        >>> fr.layers.Concatenate()([a, b]).shape
        (None, 5)
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}

    axis: Annotated[int, _AXIS] = field(default=-1, compare=False)


def _check_inner(owner: str, name: str, value: Any) -> Layer:
    """A layer of a Residual. It must have one input."""
    layer = value if issubclass(type(value), Layer) else getattr(value, "description", value)
    if isinstance(layer, Mapping):
        layer = get(layer, owner)
    if not issubclass(type(layer), Layer):
        hint = "; did you forget the parentheses?" if isinstance(layer, type) else ""
        raise TypeError(f"{owner}: {name} must be layers, got {describe(layer)}{hint}")
    if isinstance(layer, Join):
        raise ValueError(f"{owner}: {name} must be layers that have one input, got {describe(layer)}")
    return cast(Layer, layer)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Residual(Layer, LayerArguments):
    r"""A chain of layers whose input is added to its output, :math:`y = x + f(x)`.

    He, Zhang, Ren and Sun, CVPR 2016. It has one input and one output of the same width, and it can be used wherever
    another layer can. Its weights are those of the chain.

    Args:
        layers: The layers of the chain, at least one.
        name: See :class:`Layer`, as for ``input_shape`` and ``input_dim``.
        trainable: False makes all layers of the chain untrainable.

    Raises:
        ValueError: If the chain is empty or a layer in it has several inputs. Once the width of the input is known,
            also if the width of the chain's output differs from it.

    Example:
        >>> import fastreg as fr
        >>> block = fr.layers.Residual([fr.layers.Dense(16, "relu"), fr.layers.Dense(8)])
        >>> model = fr.Sequential([fr.Input((8,)), block, fr.layers.Dense(1)], seed=0)
        >>> model.layers[0].count_params()
        280
    """

    layers: Sequence[Annotated[Layer, _check_inner]]

    def _check_together(self) -> None:
        if not self.layers:
            raise ValueError("Residual: layers must have at least one layer, got none")
        if not self.trainable:
            self._set(layers=tuple(layer.with_trainable(False) for layer in self.layers))
        self._set(trainable=any(layer.trainable for layer in self.layers))

    def output_width(self, *widths: int) -> int:
        """The width of the input. The width of the chain's output must be the same."""
        (width,) = widths
        after = width
        for layer in self.layers:
            if layer.input_shape not in (None, (after,)):
                raise ValueError(f"Residual: {layer!r} is to take {layer.input_shape} features, but gets {after}")
            after = layer.output_width(after)
        if after != width:
            raise ValueError(
                f"Residual: the chain must give as many features as it gets, since the two are added: it gets {width} "
                f"and gives {after}"
            )
        return width

    def with_trainable(self, trainable: bool) -> "Residual":
        """The same layer, with all layers of its chain trained or not."""
        return replace(self, trainable=trainable, layers=tuple(one.with_trainable(trainable) for one in self.layers))


@takes_keras_arguments
@dataclass(frozen=True)
class Input(Part, Symbol, InputArguments):
    """The number of features: the first entry of a ``Sequential``, or a value that layers are called on.

    Args:
        shape: ``(n,)``.
        batch_size: Is accepted because Keras has it; only None, which means any number of rows, is supported.
        dtype: Is accepted because Keras has it; None or ``"float32"``, the type of all computations.
        name: Name of the input in a :class:`fastreg.Model`; None takes ``input_layer``, ``input_layer_1``, ...

    Raises:
        ValueError: If the shape is not that of n >= 1 features, or ``batch_size`` or ``dtype`` is another.

    Example:
        >>> from fastreg import layers
        >>> layers.Input(shape=(8,)).shape
        (8,)
    """

    shape: tuple[int, ...]
    _: KW_ONLY
    batch_size: InitVar[None] = None
    dtype: InitVar[str | None] = None
    name: Annotated[str, check_name] | None = None

    @property
    def width(self) -> int:
        """Number of features."""
        return self.shape[0]

    def __post_init__(self, batch_size: object, dtype: object) -> None:  # type: ignore[override]
        super().__post_init__()
        if batch_size is not None:
            raise ValueError(f"Input: batch_size must be None, got {describe(batch_size)}")
        if dtype is not None and dtype != "float32":
            raise ValueError(f"Input: dtype must be None or 'float32', got {describe(dtype)}")
        shape: object = self.shape
        if isinstance(shape, (tuple, list)) and len(shape) > 1:
            raise ValueError(f"Input: shape must be (n,) for n features, got {describe(shape)}")
        self._set(shape=(check_features("Input", "shape", shape),))


def InputLayer(
    shape: tuple[int, ...] | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    batch_size: None = None,
    dtype: str | None = None,
    name: str | None = None,
    **keras: Any,
) -> Input:
    """Keras's other name of :class:`Input`, whose shape may be called ``input_shape``.

    Raises:
        TypeError: If neither ``shape`` nor ``input_shape`` is given, or both are.
        ValueError: As from :class:`Input`.

    Example:
        >>> from fastreg import layers
        >>> layers.InputLayer(input_shape=(4,)) == layers.Input((4,))
        True
    """
    if (shape is None) == (input_shape is None):
        got = f"shape={describe(shape)}, input_shape={describe(input_shape)}"
        raise TypeError(f"InputLayer: one of shape and input_shape must be given, got {got}")
    chosen = cast(tuple[int, ...], shape if input_shape is None else input_shape)
    return Input(chosen, batch_size=batch_size, dtype=dtype, name=name, **keras)


_TYPES: tuple[type[Layer], ...] = (
    *(Dense, Activation, BatchNormalization, Dropout),
    *(Add, Multiply, Concatenate, Residual),
)
_REGISTRY: Registry[Layer] = Registry("layer", Layer, {}, internal=_TYPES)


def get(config: object, where: str = "layers.get") -> Layer:
    """The layer of a JSON form, or a layer itself."""
    return config if isinstance(config, Layer) else _REGISTRY.from_config(where, config)
