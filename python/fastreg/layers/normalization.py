"""Layers that normalise. x is (n, in); every weight is (in,)."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import CLOSED_FRACTION, NORMAL
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import NormalizationArguments, takes_keras_arguments
from fastreg.internal.layer_base import FEATURE_AXIS, Layer

__all__ = ["BatchNormalization"]


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

    axis: Annotated[int, FEATURE_AXIS] = field(default=-1, compare=False)
    momentum: Annotated[float, CLOSED_FRACTION] = 0.99
    epsilon: Annotated[float, NORMAL] = 1e-3
    center: bool = True
    scale: bool = True
