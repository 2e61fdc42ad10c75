"""What a network is made of. Descriptions only; C++ computes (cpp/core/layers).

Arrays are row-major: x is (n, in), a Dense kernel (in, units). The first layer of a model may be given the number of
features as ``input_shape=(n,)`` or ``input_dim=n``; otherwise an :class:`Input` in front, ``build`` or the first
``fit`` says it.
"""

from dataclasses import KW_ONLY, InitVar, dataclass, field, fields
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
    check_int,
    check_name,
    describe,
)
from fastreg.internal.description import Description, Registry
from fastreg.internal.keras_arguments import (
    DenseArguments,
    InputArguments,
    LayerArguments,
    NormalizationArguments,
    takes_keras_arguments,
)
from fastreg.regularizers import Regularizer

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Input",
    "InputLayer",
    "Layer",
    "get",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)

# leaky_relu has slope 0.2 below zero, elu scale 1, gelu is the exact one with the error function.
ACTIVATIONS = _core.activations()
_ACTIVATION_ALIASES = {"swish": "silu"}

# The axes of features, of which there is but one.
_AXIS: Rule = ("be -1 or 1", lambda v: v in (-1, 1))


def check_activation(owner: str, name: str, value: object) -> str:
    """The name of an activation: None is linear, swish is silu."""
    if value is None:
        return "linear"
    if isinstance(value, str):
        plain = _ACTIVATION_ALIASES.get(value.lower(), value.lower())
        value = plain if plain in ACTIVATIONS else value  # a message shows it as it was given
    return check_choice(owner, name, value, ACTIVATIONS)


def check_features(owner: str, name: str, shape: object) -> int:
    """The number of features of an input shape: n, (n,) or (None, n)."""
    if isinstance(shape, (tuple, list)):
        if len(shape) == 2 and shape[0] is None:
            shape = shape[1]
        elif len(shape) == 1:
            shape = shape[0]
        else:
            raise ValueError(f"{owner}: {name} must be (n,) for n features, got {describe(shape)}")
    return check_int(owner, name, shape, AT_LEAST_ONE, WIDTH_LIMIT)


class Part(Description):
    """What a ``Sequential`` is a list of: layers, and an :class:`Input` in front."""


@dataclass(frozen=True, repr=False)
class Layer(Part):
    """Base of the layers; anything that ``Sequential`` accepts.

    Args:
        name: Name in ``summary()``, unique within a model; None takes one after the class.
        input_shape: ``(n,)`` for n input features, on a first layer.
        input_dim: The same as a number.
    """

    _transient: ClassVar[frozenset[str]] = frozenset({"input_shape"})

    _: KW_ONLY
    input_shape: tuple[int, ...] | None = field(default=None, compare=False)
    input_dim: InitVar[int | None] = None
    name: Annotated[str, check_name] | None = None

    def __post_init__(self, input_dim: int | None) -> None:
        owner = type(self).__name__
        _REGISTRY.check_built_in("layers", self)
        super().__post_init__()
        if self.input_shape is not None:
            self._set(input_shape=(check_features(owner, "input_shape", self.input_shape),))
        if input_dim is not None:
            shape = (check_features(owner, "input_dim", input_dim),)
            if self.input_shape not in (None, shape):
                raise ValueError(f"{owner}: input_dim {shape[0]} contradicts input_shape {self.input_shape}")
            self._set(input_shape=shape)

    def __repr__(self) -> str:
        shown = [f.name for f in fields(self) if f.name not in (*self._transient, "name")]
        if self.name is not None:
            shown.append("name")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def outputs(self, inputs: int | None) -> int | None:
        """Width of the output for a width of the input; None is not known."""
        return inputs

    def weight_count(self, inputs: int) -> int:
        """Number of weights for a width of the input, moving statistics included."""
        return 0


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Dense(Layer, DenseArguments):
    r"""Every output sees every input, :math:`y = a(x W + b)`.

    Weights: ``kernel`` :math:`W` (in, units) and ``bias`` :math:`b` (units,).

    Args:
        units: Number of outputs, >= 1.
        activation: One of :data:`ACTIVATIONS`; None is linear.
        use_bias: Whether there is a :math:`b`.
        kernel_initializer: How :math:`W` starts, see :mod:`fastreg.initializers`.
        bias_initializer: How :math:`b` starts.
        kernel_regularizer: Penalty on :math:`W`, see :mod:`fastreg.regularizers`; None is none.
        bias_regularizer: Penalty on :math:`b`.
        name: See :class:`Layer`, as ``input_shape`` and ``input_dim``.

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

    def outputs(self, inputs: int | None) -> int:
        """``units``, whatever the input."""
        return self.units

    def weight_count(self, inputs: int) -> int:
        """Those of the kernel and of the bias."""
        return (inputs + self.use_bias) * self.units


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Activation(Layer, LayerArguments):
    """A function of each element, or of each row for softmax.

    Args:
        activation: One of :data:`ACTIVATIONS`.
        name: See :class:`Layer`, as ``input_shape`` and ``input_dim``.

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
    r"""Each feature brought to mean 0 and variance 1 over a batch, then scaled and shifted.

    Ioffe and Szegedy, ICML 2015:

    .. math:: y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta

    In training :math:`\mu, \sigma^2` are those of the batch (the biased variance), and the moving averages follow:
    ``moving = momentum * moving + (1 - momentum) * batch``. Elsewhere they are the moving averages. A batch of one row
    is normalised to 0. Weights: ``gamma``, ``beta``, ``moving_mean``, ``moving_variance``, each (in,).

    Args:
        axis: -1 or 1, the axis of features; there is no other.
        momentum: Weight of the *old* average, in [0, 1]. PyTorch's momentum is one minus this.
        epsilon: >= 2**-126.
        center: Whether there is a :math:`\beta`.
        scale: Whether there is a :math:`\gamma`.
        name: See :class:`Layer`, as ``input_shape`` and ``input_dim``.

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

    def weight_count(self, inputs: int) -> int:
        """Two moving statistics, and beta and gamma where they are."""
        return (2 + self.center + self.scale) * inputs


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Dropout(Layer, LayerArguments):
    r"""Elements set to zero at random while training (Srivastava et al., JMLR 2014), the others divided by 1 - rate.

    Which ones is decided by (seed, step, layer, element), never by threads. Elsewhere than in training it does nothing.

    Args:
        rate: Probability to drop, in [0, 1); 1/65536 is the finest step, and what is kept is divided by 1 - the
            probability in force, so that the expectation is exact.
        noise_shape: Taken for Keras's sake; only None, a decision for every element, is supported.
        seed: In [0, 2**64): decides this layer's masks in place of the model's seed. None takes the model's.
        name: See :class:`Layer`, as ``input_shape`` and ``input_dim``.

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
@dataclass(frozen=True)
class Input(Part, InputArguments):
    """The number of features, in front of the layers.

    Args:
        shape: ``(n,)``.
        batch_size: Taken for Keras's sake; only None, any number of rows, is supported.
        dtype: Taken for Keras's sake; None or ``"float32"``, in which everything computes.
        name: Taken for Keras's sake; nothing shows it.

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
    name: str | None = None

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


_TYPES: tuple[type[Layer], ...] = (Dense, Activation, BatchNormalization, Dropout)
_REGISTRY: Registry[Layer] = Registry("layer", Layer, {}, internal=_TYPES)


def get(config: object, where: str = "layers.get") -> Layer:
    """The layer of a JSON form, or a layer itself."""
    return config if isinstance(config, Layer) else _REGISTRY.from_config(where, config)
