"""Layers that are an activation. x is (n, in); each gives as many features as it gets."""

from typing import Annotated, ClassVar, NoReturn

from fastreg.constraints import Constraint
from fastreg.initializers import Initializer
from fastreg.internal.activation_names import ActivationLike, ParametrisedActivation, check_activation, with_parameters
from fastreg.internal.checks import FINITE, NON_NEGATIVE
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LayerArguments, PReLUArguments, takes_keras_arguments
from fastreg.internal.layer_base import FEATURE_AXIS, Layer
from fastreg.layers.dense import Activation
from fastreg.regularizers import Regularizer

__all__ = ["ELU", "Identity", "LeakyReLU", "PReLU", "ParametricActivation", "ReLU", "Softmax"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class ReLU(Layer, LayerArguments):
    """The rectified linear unit, with a limit, a slope and a threshold.

    x above ``threshold``, and at most ``max_value``; ``negative_slope`` (x - threshold) elsewhere. With the defaults it
    is ``Activation("relu")``. It may be the ``activation`` of another layer, too.

    Args:
        max_value: >= 0, or None for no limit.
        negative_slope: >= 0.
        threshold: >= 0.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If a number is out of range or NaN.

    Example:
        >>> from fastreg import layers
        >>> layers.Dense(8, layers.ReLU(max_value=6)).activation
        relu(negative_slope=0.0, max_value=6.0, threshold=0.0)
    """

    max_value: Annotated[float, NON_NEGATIVE] | None = None
    negative_slope: Annotated[float, NON_NEGATIVE] = 0.0
    threshold: Annotated[float, NON_NEGATIVE] = 0.0

    def is_elementwise(self) -> bool:
        """True."""
        return True

    def as_activation(self, owner: str) -> str | ParametrisedActivation:
        """What it is as the activation of another layer."""
        given = {"negative_slope": self.negative_slope, "max_value": self.max_value, "threshold": self.threshold}
        return with_parameters(owner, "relu", given)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class LeakyReLU(Layer, LayerArguments):
    """x above 0, ``negative_slope`` x below (Maas, Hannun and Ng, ICML 2013).

    It may be the ``activation`` of another layer, too.

    Args:
        negative_slope: >= 0. As in Keras, the layer's default is 0.3, while that of ``"leaky_relu"`` is 0.2.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``negative_slope`` is negative or not finite.

    Example:
        >>> from fastreg import layers
        >>> layers.Dense(8, layers.LeakyReLU(0.1)).activation
        leaky_relu(negative_slope=0.1)
    """

    negative_slope: Annotated[float, NON_NEGATIVE] = 0.3

    def is_elementwise(self) -> bool:
        """True."""
        return True

    def as_activation(self, owner: str) -> str | ParametrisedActivation:
        """What it is as the activation of another layer."""
        return with_parameters(owner, "leaky_relu", {"negative_slope": self.negative_slope})


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class ELU(Layer, LayerArguments):
    r"""x above 0, :math:`\alpha (e^x - 1)` below (Clevert, Unterthiner and Hochreiter, ICLR 2016).

    It may be the ``activation`` of another layer, too.

    Args:
        alpha: :math:`\alpha`, finite.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``alpha`` is not finite.

    Example:
        >>> from fastreg import layers
        >>> layers.ELU(0.5)
        ELU(alpha=0.5)
    """

    alpha: Annotated[float, FINITE] = 1.0

    def is_elementwise(self) -> bool:
        """True."""
        return True

    def as_activation(self, owner: str) -> str | ParametrisedActivation:
        """What it is as the activation of another layer."""
        return with_parameters(owner, "elu", {"alpha": self.alpha})


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Softmax(Layer, LayerArguments):
    r"""The softmax of each row, :math:`e^{x_i} / \sum_j e^{x_j}`; the same as ``Activation("softmax")``.

    Args:
        axis: -1 or 1, which both mean the axis of features; there is no other.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Example:
        >>> from fastreg import layers
        >>> layers.Softmax()
        Softmax()
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}

    axis: Annotated[int, FEATURE_AXIS] = field(default=-1, compare=False)

    def as_activation(self, owner: str) -> str:
        """What it is as the activation of another layer."""
        return "softmax"


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Identity(Layer, LayerArguments):
    """x itself. It gives a place of a network a name of its own.

    Args:
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Example:
        >>> from fastreg import layers
        >>> layers.Identity(name="embedding")
        Identity(name='embedding')
    """

    def is_elementwise(self) -> bool:
        """True."""
        return True

    def as_activation(self, owner: str) -> str:
        """What it is as the activation of another layer."""
        return "linear"


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class ParametricActivation(Layer, LayerArguments):
    r"""A learned mixture of x and an activation of it for each feature, :math:`y = x + \alpha (f(x) - x)`.

    With :math:`\alpha = 1`, as at first, it is the activation; with 0 it is linear. RealMLP has it behind each hidden
    layer, with a tenth of the learning rate (Holzmüller, Grinsztajn and Steinwart, "Better by default", NeurIPS 2024).
    Weight: ``alpha`` (in,).

    Args:
        activation: What f is, as for :class:`Dense`; none of whole rows, such as softmax.
        alpha_initializer: The initial values of :math:`\alpha`, see :mod:`fastreg.initializers`.
        alpha_regularizer: The penalty on :math:`\alpha`, see :mod:`fastreg.regularizers`; None means no penalty.
        name: See :class:`Layer`, as for ``trainable``, ``learning_rate_multiplier``, ``weight_decay_multiplier``,
            ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If a name is unknown, or the activation is one of whole rows.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from fastreg import layers
        >>> layers.ParametricActivation("mish", learning_rate_multiplier=0.1).activation
        'mish'
    """

    activation: Annotated[ActivationLike, check_activation]
    alpha_initializer: Initializer | str = "ones"
    alpha_regularizer: Regularizer | str | None = None

    def _check_together(self) -> None:
        if not Activation(self.activation).is_elementwise():
            raise ValueError(
                f"ParametricActivation: activation must compute element by element, got {self.activation!r}"
            )

    def as_activation(self, owner: str) -> NoReturn:
        """It has weights, so that it is no activation of another layer."""
        raise ValueError(
            f"{owner}: activation must have no weights, got ParametricActivation; put it behind the layer instead"
        )


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class PReLU(Layer, PReLUArguments):
    r"""x above 0, :math:`\alpha x` below, with a slope :math:`\alpha` for each feature, which is learned.

    He, Zhang, Ren and Sun, ICCV 2015. Weight: ``alpha`` (in,).

    Args:
        alpha_initializer: The initial values of :math:`\alpha`, see :mod:`fastreg.initializers`.
        alpha_regularizer: The penalty on :math:`\alpha`, see :mod:`fastreg.regularizers`; None means no penalty.
        alpha_constraint: What :math:`\alpha` keeps to after each update, see :mod:`fastreg.constraints`.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from fastreg import layers
        >>> layers.PReLU("zeros").alpha_initializer
        Zeros()
    """

    alpha_initializer: Initializer | str = "zeros"
    alpha_regularizer: Regularizer | str | None = None
    alpha_constraint: Constraint | str | None = None

    def as_activation(self, owner: str) -> NoReturn:
        """It has weights, so that it is no activation of another layer."""
        raise ValueError(f"{owner}: activation must have no weights, got PReLU; put it behind the layer instead")
