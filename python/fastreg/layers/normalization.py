"""Layers that normalise. x is (n, in); every weight is (in,)."""

from typing import Annotated, ClassVar

from fastreg.constraints import Constraint
from fastreg.initializers import Initializer
from fastreg.internal.checks import CLOSED_FRACTION, NORMAL
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import BatchNormalizationArguments, LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import FEATURE_AXIS, Layer
from fastreg.regularizers import Regularizer

__all__ = ["BatchNormalization", "LayerNormalization", "RMSNormalization", "Scale", "UnitNormalization"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class BatchNormalization(Layer, BatchNormalizationArguments):
    r"""Normalises each feature to mean 0 and variance 1 over a batch, then scales and shifts it.

    Ioffe and Szegedy, ICML 2015:

    .. math:: y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta

    In training :math:`\mu, \sigma^2` are those of the batch (with the biased variance), and the moving averages are
    updated: ``moving = momentum * moving + (1 - momentum) * batch``. Outside of training they are the moving averages.
    A batch of one row is normalised to 0; if the last batch of an epoch would have one row, it is part of the batch
    before. Weights: ``gamma``, ``beta``, ``moving_mean``, ``moving_variance``, each (in,).

    Args:
        axis: -1 or 1, which both mean the axis of features; there is no other.
        momentum: The weight of the *old* average, in [0, 1]. PyTorch's momentum is one minus this. None, as PyTorch has
            it: the average of all batches since the last ``compile``, each with the same weight.
        epsilon: >= 2**-126.
        center: Whether there is a :math:`\beta`.
        scale: Whether there is a :math:`\gamma`.
        beta_initializer: The initial values of :math:`\beta`, see :mod:`fastreg.initializers`.
        gamma_initializer: The initial values of :math:`\gamma`.
        moving_mean_initializer: The moving mean before the first step.
        moving_variance_initializer: The moving variance before the first step.
        beta_regularizer: The penalty on :math:`\beta`, see :mod:`fastreg.regularizers`; None means no penalty.
        gamma_regularizer: The penalty on :math:`\gamma`.
        beta_constraint: What :math:`\beta` keeps to after each update, see :mod:`fastreg.constraints`; None is nothing.
        gamma_constraint: What :math:`\gamma` keeps to.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import layers
        >>> layers.BatchNormalization(momentum=0.9).epsilon
        0.001
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}
    _later: ClassVar[frozenset[str]] = frozenset(
        (
            *("beta_initializer", "gamma_initializer", "moving_mean_initializer", "moving_variance_initializer"),
            *("beta_regularizer", "gamma_regularizer"),
        )
    )

    axis: Annotated[int, FEATURE_AXIS] = field(default=-1, compare=False)
    momentum: Annotated[float, CLOSED_FRACTION] | None = 0.99
    epsilon: Annotated[float, NORMAL] = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Initializer | str = "zeros"
    gamma_initializer: Initializer | str = "ones"
    moving_mean_initializer: Initializer | str = "zeros"
    moving_variance_initializer: Initializer | str = "ones"
    beta_regularizer: Regularizer | str | None = None
    gamma_regularizer: Regularizer | str | None = None
    beta_constraint: Constraint | str | None = None
    gamma_constraint: Constraint | str | None = None


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class LayerNormalization(Layer, LayerArguments):
    r"""Normalises each row to mean 0 and variance 1 over its features, then scales and shifts every feature.

    Ba, Kiros and Hinton, 2016:

    .. math:: y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta

    :math:`\mu, \sigma^2` are the mean and the biased variance of the row, in training and outside of it. Weights:
    ``gamma`` and ``beta``, each (in,).

    Args:
        axis: -1 or 1, which both mean the axis of features; there is no other.
        epsilon: >= 2**-126. PyTorch's default is 1e-5.
        center: Whether there is a :math:`\beta`.
        scale: Whether there is a :math:`\gamma`.
        beta_initializer: The initial values of :math:`\beta`, see :mod:`fastreg.initializers`.
        gamma_initializer: The initial values of :math:`\gamma`.
        beta_regularizer: The penalty on :math:`\beta`, see :mod:`fastreg.regularizers`; None means no penalty.
        gamma_regularizer: The penalty on :math:`\gamma`.
        beta_constraint: What :math:`\beta` keeps to after each update, see :mod:`fastreg.constraints`; None is nothing.
        gamma_constraint: What :math:`\gamma` keeps to.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``epsilon`` is out of range or NaN, or a name is unknown.

    Example:
        >>> from fastreg import layers
        >>> layers.LayerNormalization(epsilon=1e-5).center
        True
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}

    axis: Annotated[int, FEATURE_AXIS] = field(default=-1, compare=False)
    epsilon: Annotated[float, NORMAL] = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Initializer | str = "zeros"
    gamma_initializer: Initializer | str = "ones"
    beta_regularizer: Regularizer | str | None = None
    gamma_regularizer: Regularizer | str | None = None
    beta_constraint: Constraint | str | None = None
    gamma_constraint: Constraint | str | None = None


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class RMSNormalization(Layer, LayerArguments):
    r"""Divides each row by the root of the mean of its squares, then scales every feature.

    Zhang and Sennrich, NeurIPS 2019: :math:`y = s x / \sqrt{\text{mean}(x^2) + \epsilon}`. Weight: ``scale`` (in,), at
    first ones.

    Args:
        axis: -1 or 1, which both mean the axis of features; there is no other.
        epsilon: >= 2**-126.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``epsilon`` is out of range or NaN.

    Example:
        >>> from fastreg import layers
        >>> layers.RMSNormalization()
        RMSNormalization(epsilon=1e-06)
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}

    axis: Annotated[int, FEATURE_AXIS] = field(default=-1, compare=False)
    epsilon: Annotated[float, NORMAL] = 1e-6


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class UnitNormalization(Layer, LayerArguments):
    r"""Divides each row by its length, :math:`y = x / \sqrt{\max(\sum x^2, 10^{-12})}`. It has no weights.

    Args:
        axis: -1 or 1, which both mean the axis of features; there is no other.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Example:
        >>> from fastreg import layers
        >>> layers.UnitNormalization()
        UnitNormalization()
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}

    axis: Annotated[int, FEATURE_AXIS] = field(default=-1, compare=False)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Scale(Layer, LayerArguments):
    """Multiplies every feature with a factor of its own, which is learned.

    As the first layer it lets a network choose among its features (the scaling layer of RealMLP, Holzmueller,
    Grinsztajn and Steinwart, NeurIPS 2024). Weight: ``scale`` (in,).

    Args:
        scale_initializer: The initial factors, see :mod:`fastreg.initializers`.
        scale_regularizer: The penalty on the factors, see :mod:`fastreg.regularizers`; None means no penalty.
        scale_constraint: What the factors keep to after each update, see :mod:`fastreg.constraints`; None is nothing.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from fastreg import layers
        >>> layers.Scale(scale_regularizer="l1").scale_initializer
        Ones()
    """

    scale_initializer: Initializer | str = "ones"
    scale_regularizer: Regularizer | str | None = None
    scale_constraint: Constraint | str | None = None
