"""The losses that most networks are trained with."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import CLOSED_FRACTION, Rule
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LossArguments, takes_keras_arguments
from fastreg.losses.base import Axis, Loss, Name, Reduction

# A label of rows that do not count need not be one of the classes.
_LABEL: Rule = ("be in [-2**31, 2**31)", lambda v: -(2**31) <= v < 2**31)


@takes_keras_arguments
@dataclass(frozen=True)
class MeanSquaredError(Loss, LossArguments):
    r"""Mean of squared differences, :math:`\ell_i = \frac1k \sum_j (p_{ij} - t_{ij})^2`.

    Targets are finite numbers of shape (n, k); (n,) is taken as (n, 1).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> losses.get("mse")
        MeanSquaredError()
    """

    key: ClassVar[str] = "mean_squared_error"
    targets: ClassVar[str] = "values"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class BinaryCrossentropy(Loss, LossArguments):
    r"""Cross-entropy of independent yes/no outputs.

    .. math:: \ell_i = -\frac1k \sum_j \left( t_{ij} \log p_{ij} + (1 - t_{ij}) \log (1 - p_{ij}) \right)

    The outputs of any activation but sigmoid are clipped to [1e-7, 1 - 1e-7], as in Keras; where one is clipped, its
    gradient is 0.

    Targets lie in [0, 1], shape (n, k); (n,) is taken as (n, 1).

    Args:
        from_logits: The network's outputs are log-odds; leave its last activation linear.
        label_smoothing: s in [0, 1]: targets become :math:`t (1 - s) + s / 2`. Metrics see them as they were given.
        axis: -1 or 1, the axis of outputs, which is the last one.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        TypeError: If ``from_logits`` is no bool.
        ValueError: If a number is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.BinaryCrossentropy(from_logits=True)
        BinaryCrossentropy(from_logits=True, label_smoothing=0.0)
    """

    key: ClassVar[str] = "binary_crossentropy"
    targets: ClassVar[str] = "probabilities"
    from_logits: bool = False
    label_smoothing: Annotated[float, CLOSED_FRACTION] = 0.0
    axis: Axis = field(default=-1, repr=False)
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalCrossentropy(Loss, LossArguments):
    r"""Cross-entropy of one choice among k classes, :math:`\ell_i = -\sum_j t_{ij} \log p_{ij}`.

    The outputs of any activation but softmax are made into shares first, as in Keras: those of a row are divided by
    their sum and then clipped to [1e-7, 1 - 1e-7]. The gradient includes that of the sum; where a share is clipped, its
    own part is 0. A sum below 1e-30 in size is replaced by 1e-30: a row of zeros costs 16.1 and has no gradient.

    Targets are rows of k shares >= 0, one-hot as a rule (:func:`fastreg.utils.to_categorical` makes them).

    Args:
        from_logits: The network's outputs are unnormalised log-probabilities; leave its last activation linear.
        label_smoothing: s in [0, 1]: targets become :math:`t (1 - s) + s / k`. Metrics see them as they were given.
        axis: -1 or 1, the axis of outputs, which is the last one.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        TypeError: If ``from_logits`` is no bool.
        ValueError: If a number is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.get("categorical_crossentropy")
        CategoricalCrossentropy(from_logits=False, label_smoothing=0.0)
    """

    key: ClassVar[str] = "categorical_crossentropy"
    targets: ClassVar[str] = "distribution"
    from_logits: bool = False
    label_smoothing: Annotated[float, CLOSED_FRACTION] = 0.0
    axis: Axis = field(default=-1, repr=False)
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class SparseCategoricalCrossentropy(Loss, LossArguments):
    r"""Cross-entropy of one choice among k classes, given as labels: :math:`\ell_i = -\log p_{i t_i}`.

    The outputs of any activation but softmax are made into shares first, as by :class:`CategoricalCrossentropy`.

    Targets are whole numbers in [0, k), shape (n,) or (n, 1); those of rows that do not count may be ``ignore_class``.

    Args:
        from_logits: The network's outputs are unnormalised log-probabilities; leave its last activation linear.
        ignore_class: A label whose rows do not count, as if their ``sample_weight`` were 0; it need not be in [0, k).
            ``train_on_batch`` and ``test_on_batch`` divide by the number of the other rows.
            Metrics without weights count such a row, as one of class 0 where its label is out of [0, k).
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        axis: -1 or 1, the axis of outputs, which is the last one.
        name: Any string.

    Raises:
        TypeError: If ``from_logits`` is no bool, or ``ignore_class`` no integer.

    Example:
        >>> from fastreg import losses
        >>> losses.get("sparse_categorical_crossentropy")
        SparseCategoricalCrossentropy(from_logits=False, ignore_class=None)
    """

    key: ClassVar[str] = "sparse_categorical_crossentropy"
    targets: ClassVar[str] = "labels"
    _options: ClassVar[tuple[str, ...]] = (*Loss._options, "ignore_class")
    from_logits: bool = False
    ignore_class: Annotated[int, _LABEL] | None = None
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    axis: Axis = field(default=-1, repr=False)
    name: Name = field(default=None, repr=False)
