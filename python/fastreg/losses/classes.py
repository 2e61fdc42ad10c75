"""Further losses of classes: margins, focal losses, divergences."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from fastreg.internal.checks import CLOSED_FRACTION, NON_NEGATIVE, Range, check_real
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LossArguments, takes_keras_arguments
from fastreg.losses.base import Axis, Loss, Name, Reduction

_POSITIVE_FRACTION = Range("be in (0, 1]", 0.0, 1.0, "(]")

# The number of classes that may have weights of their own in a focal loss.
_MOST = 128


def check_alpha(owner: str, name: str, value: object) -> tuple[float, ...]:
    """One weight for all classes or a list with one for each, as a tuple."""
    items = [value] if not hasattr(value, "__iter__") or isinstance(value, str) else list(value)
    found = tuple(check_real(owner, name, item, NON_NEGATIVE) for item in items)
    if not 0 < len(found) <= _MOST:
        raise ValueError(f"{owner}: {name} must be 1 to {_MOST} numbers, got {len(found)}")
    return found


@takes_keras_arguments
@dataclass(frozen=True)
class Hinge(Loss, LossArguments):
    r"""Hinge loss of support vector machines, :math:`\ell_i = \frac1k \sum_j \max(0, 1 - t_{ij} p_{ij})`.

    Outputs are margins of any size; end the network with ``"linear"`` or ``"tanh"``.

    Targets are -1 and 1, or 0 and 1, where 0 means -1; shape (n, k), (n,) is taken as (n, 1).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> float(losses.Hinge()([[0.0], [1.0]], [[0.5], [3.0]]))
        0.75
    """

    key: ClassVar[str] = "hinge"
    targets: ClassVar[str] = "signs"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class SquaredHinge(Loss, LossArguments):
    r"""Squared hinge loss, :math:`\ell_i = \frac1k \sum_j \max(0, 1 - t_{ij} p_{ij})^2`.

    Targets are -1 and 1, or 0 and 1, where 0 means -1; shape (n, k), (n,) is taken as (n, 1).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> float(losses.SquaredHinge()([[-1.0], [1.0]], [[0.5], [3.0]]))
        1.125
    """

    key: ClassVar[str] = "squared_hinge"
    targets: ClassVar[str] = "signs"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalHinge(Loss, LossArguments):
    r"""Margin between the right class and the best wrong one (Crammer and Singer, 2001).

    .. math:: \ell_i = \max \left( 0, 1 + \max_j (1 - t_{ij}) p_{ij} - \sum_j t_{ij} p_{ij} \right)

    Outputs that attain the maximum together share its gradient.

    Targets are rows of k shares >= 0, one-hot as a rule (:func:`fastreg.utils.to_categorical` makes them).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> float(losses.CategoricalHinge()([[1.0, 0.0]], [[0.5, 0.25]]))
        0.75
    """

    key: ClassVar[str] = "categorical_hinge"
    targets: ClassVar[str] = "distribution"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class KLDivergence(Loss, LossArguments):
    r"""Kullback and Leibler's divergence, :math:`\ell_i = \sum_j t_{ij} \log (t_{ij} / p_{ij})`.

    Targets and outputs are clipped to [1e-7, 1], as in Keras; where an output is clipped, its gradient is 0. End the
    network with ``"softmax"``.

    Targets lie in [0, 1], shape (n, k), rows of shares as a rule.

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> losses.get("kld")
        KLDivergence()
    """

    key: ClassVar[str] = "kl_divergence"
    targets: ClassVar[str] = "probabilities"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class BinaryFocalCrossentropy(Loss, LossArguments):
    r"""Cross-entropy of yes/no outputs in which well classified ones count less (Lin et al., ICCV 2017).

    .. math::
        \ell_i = -\frac1k \sum_j w_{ij} (1 - q_{ij})^\gamma
        \left( t_{ij} \log p_{ij} + (1 - t_{ij}) \log (1 - p_{ij}) \right), \qquad
        q_{ij} = t_{ij} p_{ij} + (1 - t_{ij}) (1 - p_{ij})

    with :math:`w_{ij} = t_{ij} \alpha + (1 - t_{ij}) (1 - \alpha)` if classes are balanced, else 1. With
    :math:`\gamma = 0` it is :class:`BinaryCrossentropy`. Behind a sigmoid it is computed from the values before it;
    other outputs are clipped to [1e-7, 1 - 1e-7], and where one is clipped, its gradient is 0.

    Targets lie in [0, 1], shape (n, k); (n,) is taken as (n, 1).

    Args:
        apply_class_balancing: Whether :math:`\alpha` weighs the classes.
        alpha: The weight of class 1 in [0, 1]; that of class 0 is :math:`1 - \alpha`.
        gamma: :math:`\gamma \ge 0`.
        from_logits: The network's outputs are log-odds; leave its last activation linear.
        label_smoothing: s in [0, 1]: targets become :math:`t (1 - s) + s / 2`. Metrics see them as they were given.
        axis: -1 or 1, the axis of outputs, which is the last one.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        TypeError: If a flag is no bool.
        ValueError: If a number is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.BinaryFocalCrossentropy(gamma=1.0).alpha
        0.25
    """

    key: ClassVar[str] = "binary_focal_crossentropy"
    targets: ClassVar[str] = "probabilities"
    apply_class_balancing: bool = False
    alpha: Annotated[float, CLOSED_FRACTION] = 0.25
    gamma: Annotated[float, NON_NEGATIVE] = 2.0
    from_logits: bool = False
    label_smoothing: Annotated[float, CLOSED_FRACTION] = 0.0
    axis: Axis = field(default=-1, repr=False)
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalFocalCrossentropy(Loss, LossArguments):
    r"""Cross-entropy of one choice among k classes in which well classified rows count less (Lin et al., ICCV 2017).

    .. math:: \ell_i = -\sum_j \alpha_j (1 - p_{ij})^\gamma t_{ij} \log p_{ij}

    Behind a softmax it is computed from the values before it; other outputs are made into shares first, as by
    :class:`CategoricalCrossentropy`.

    Targets are rows of k shares >= 0, one-hot as a rule (:func:`fastreg.utils.to_categorical` makes them).

    Args:
        alpha: The weight of every class, or a list with one for each of at most 128 classes; >= 0.
        gamma: :math:`\gamma \ge 0`.
        from_logits: The network's outputs are unnormalised log-probabilities; leave its last activation linear.
        label_smoothing: s in [0, 1]: targets become :math:`t (1 - s) + s / k`. Metrics see them as they were given.
        axis: -1 or 1, the axis of outputs, which is the last one.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        TypeError: If ``from_logits`` is no bool.
        ValueError: If a number is out of range, or ``alpha`` is a list that has not one for each class.

    Example:
        >>> from fastreg import losses
        >>> losses.CategoricalFocalCrossentropy(alpha=[1, 2, 2]).alpha
        (1.0, 2.0, 2.0)
    """

    key: ClassVar[str] = "categorical_focal_crossentropy"
    targets: ClassVar[str] = "distribution"
    alpha: Annotated[float | Sequence[float], check_alpha] = (0.25,)
    gamma: Annotated[float, NON_NEGATIVE] = 2.0
    from_logits: bool = False
    label_smoothing: Annotated[float, CLOSED_FRACTION] = 0.0
    axis: Axis = field(default=-1, repr=False)
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalGeneralizedCrossEntropy(Loss, LossArguments):
    r"""Between cross-entropy and absolute error, for labels of which some are wrong (Zhang and Sabuncu, NeurIPS 2018).

    .. math:: \ell_i = \frac{1 - p_{i t_i}^q}{q}

    As :math:`q` goes to 0 it becomes the cross-entropy; with 1 it is :math:`1 - p_{i t_i}`. Outputs are probabilities;
    end the network with ``"softmax"``. Outputs are clipped to at least 1e-7; where one is, its gradient is 0.

    Targets are whole numbers in [0, k), shape (n,) or (n, 1).

    Args:
        q: In (0, 1].
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        ValueError: If ``q`` is out of range.

    Example:
        >>> from fastreg import losses
        >>> float(losses.CategoricalGeneralizedCrossEntropy(0.5)([1], [[0.75, 0.25]]))
        1.0
    """

    key: ClassVar[str] = "categorical_generalized_cross_entropy"
    targets: ClassVar[str] = "labels"
    q: Annotated[float, _POSITIVE_FRACTION] = 0.5
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)
