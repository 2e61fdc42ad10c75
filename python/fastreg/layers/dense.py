"""Dense, a product with a learned matrix, and Activation. x is (n, in), a kernel (in, units)."""

from typing import Annotated, ClassVar, cast

from fastreg.constraints import Constraint
from fastreg.initializers import Initializer
from fastreg.internal.activation_names import ActivationLike, ParametrisedActivation, check_activation
from fastreg.internal.checks import AT_LEAST_ONE, WIDTH_LIMIT
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import DenseArguments, LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import Layer
from fastreg.regularizers import Regularizer

__all__ = ["Activation", "Dense"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Dense(Layer, DenseArguments):
    r"""A fully connected layer, :math:`y = a(x W + b)`.

    Weights: ``kernel`` :math:`W` (in, units) and ``bias`` :math:`b` (units,).

    Args:
        units: The number of outputs, >= 1.
        activation: One of :data:`ACTIVATIONS`, a function of :mod:`fastreg.activations` or a ``functools.partial`` of
            one, or an activation layer such as ``LeakyReLU(0.1)``; None means linear.
        use_bias: Whether there is a :math:`b`.
        kernel_initializer: The initial values of :math:`W`, see :mod:`fastreg.initializers`.
        bias_initializer: The initial values of :math:`b`.
        kernel_regularizer: The penalty on :math:`W`, see :mod:`fastreg.regularizers`; None means no penalty.
        bias_regularizer: The penalty on :math:`b`.
        activity_regularizer: The penalty on the output, whose mean over the rows of a batch is part of the loss; not a
            proximal one.
        kernel_constraint: What :math:`W` keeps to after each update, see :mod:`fastreg.constraints`; None is nothing.
        bias_constraint: What :math:`b` keeps to.
        name: See :class:`Layer`, as for ``trainable``, ``learning_rate_multiplier``, ``weight_decay_multiplier``,
            ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``units`` < 1 or a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from fastreg import layers
        >>> layers.Dense(64, "relu", kernel_regularizer="l2").kernel_regularizer
        L2(l2=0.01)
    """

    _later: ClassVar[frozenset[str]] = frozenset({"activity_regularizer"})

    units: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT]
    activation: Annotated[ActivationLike | None, check_activation] = None
    use_bias: bool = True
    kernel_initializer: Initializer | str = "glorot_uniform"
    bias_initializer: Initializer | str = "zeros"
    kernel_regularizer: Regularizer | str | None = None
    bias_regularizer: Regularizer | str | None = None
    activity_regularizer: Regularizer | str | None = None
    kernel_constraint: Constraint | str | None = None
    bias_constraint: Constraint | str | None = None

    def _check_together(self) -> None:
        if getattr(self.activity_regularizer, "proximal", False):
            raise ValueError(f"Dense: activity_regularizer must not be proximal, got {self.activity_regularizer!r}")

    @property
    def fixed_width(self) -> int:
        """The units."""
        return self.units


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Activation(Layer, LayerArguments):
    """A function of each element, or of each row for softmax.

    Args:
        activation: One of :data:`ACTIVATIONS`, a function of :mod:`fastreg.activations` or a ``functools.partial`` of
            one, or an activation layer.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If the name is unknown; the message lists the known ones.

    Example:
        >>> from fastreg import layers
        >>> layers.Activation("swish")
        Activation(activation='silu')
    """

    activation: Annotated[ActivationLike, check_activation]

    def as_activation(self, owner: str) -> str | ParametrisedActivation:
        """What it is as the activation of another layer."""
        return cast("str | ParametrisedActivation", self.activation)  # which is checked

    def is_elementwise(self) -> bool:
        """False for functions of whole rows."""
        return self.activation not in ("softmax", "log_softmax", "sparsemax")
