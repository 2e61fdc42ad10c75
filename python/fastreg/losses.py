r"""The losses that training minimises. These are descriptions; C++ computes (cpp/core/scoring.cpp, cpp/cpu/kernels).

Notation: row i of n has target :math:`t_i`, output :math:`p_i` over k units and weight :math:`w_i` (1 unless given).
The loss of a set of rows is :math:`\sum_i w_i \ell_i / \sum_i w_i`, plus the penalties of the layers. A training step
on a batch of b rows takes the gradient of :math:`\sum_i w_i \ell_i / (b \bar w)`, where :math:`\bar w` is the mean
weight of all rows that are trained on: a row has the same influence whatever the batch size, and only the ratios of
weights count. Where the last activation is sigmoid or softmax, the matching cross-entropy is computed from the values
before it, so a saturated output costs no accuracy.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar

from fastreg.internal.checks import POSITIVE, absent_names
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.description import Description, Registry
from fastreg.internal.keras_arguments import (
    CrossentropyArguments,
    LossArguments,
    SparseCrossentropyArguments,
    takes_keras_arguments,
)

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "Loss",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)


class Loss(Description):
    """Base of the losses; anything that ``compile(loss=...)`` accepts."""

    # The name in Keras and in the core.
    key: ClassVar[str]
    # The kinds of targets: "values" (any), "probabilities" (in [0, 1]), "distribution" (a row of shares), "labels".
    targets: ClassVar[str]


@takes_keras_arguments
@dataclass(frozen=True)
class MeanSquaredError(Loss, LossArguments):
    r"""Mean of squared differences, :math:`\ell_i = \frac1k \sum_j (p_{ij} - t_{ij})^2`.

    Targets are finite numbers of shape (n, k); (n,) is taken as (n, 1).

    Example:
        >>> from fastreg import losses
        >>> losses.get("mse")
        MeanSquaredError()
    """

    key: ClassVar[str] = "mean_squared_error"
    targets: ClassVar[str] = "values"


@takes_keras_arguments
@dataclass(frozen=True)
class Huber(Loss, LossArguments):
    r"""Squares of small errors and sizes of large ones, so that outliers do not dominate (Huber, 1964).

    .. math::
        \ell_i = \frac1k \sum_j h(p_{ij} - t_{ij}), \qquad
        h(e) = \begin{cases} e^2 / 2 & |e| \le \delta \\ \delta (|e| - \delta / 2) & |e| > \delta \end{cases}

    Within :math:`\delta` it is half of the squared error. No error has a gradient larger than :math:`\delta`.

    Targets are finite numbers of shape (n, k); (n,) is taken as (n, 1).

    Args:
        delta: :math:`\delta > 0`, the size from which an error counts as large.

    Raises:
        ValueError: If ``delta`` is not > 0 and finite.

    Example:
        >>> from fastreg import losses
        >>> losses.Huber(0.5)
        Huber(delta=0.5)
        >>> losses.get("huber")
        Huber(delta=1.0)
    """

    key: ClassVar[str] = "huber"
    targets: ClassVar[str] = "values"
    delta: Annotated[float, POSITIVE] = 1.0


@takes_keras_arguments
@dataclass(frozen=True)
class BinaryCrossentropy(Loss, CrossentropyArguments):
    r"""Cross-entropy of independent yes/no outputs.

    .. math:: \ell_i = -\frac1k \sum_j \left( t_{ij} \log p_{ij} + (1 - t_{ij}) \log (1 - p_{ij}) \right)

    The outputs of any activation but sigmoid are clipped to [1e-7, 1 - 1e-7], as in Keras; where one is clipped, its
    gradient is 0.

    Targets lie in [0, 1], shape (n, k); (n,) is taken as (n, 1).

    Args:
        from_logits: The network's outputs are log-odds; leave its last activation linear.

    Raises:
        TypeError: If ``from_logits`` is no bool.

    Example:
        >>> from fastreg import losses
        >>> losses.BinaryCrossentropy(from_logits=True)
        BinaryCrossentropy(from_logits=True)
    """

    key: ClassVar[str] = "binary_crossentropy"
    targets: ClassVar[str] = "probabilities"
    from_logits: bool = False


@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalCrossentropy(Loss, CrossentropyArguments):
    r"""Cross-entropy of one choice among k classes, :math:`\ell_i = -\sum_j t_{ij} \log p_{ij}`.

    The outputs of any activation but softmax are made into shares first, as in Keras: those of a row are divided by
    their sum and then clipped to [1e-7, 1 - 1e-7]. The gradient includes that of the sum; where a share is clipped, its
    own part is 0. A sum below 1e-30 in size is replaced by 1e-30: a row of zeros costs 16.1 and has no gradient.

    Targets are rows of k shares >= 0, one-hot as a rule (:func:`fastreg.utils.to_categorical` makes them).

    Args:
        from_logits: The network's outputs are unnormalised log-probabilities; leave its last activation linear.

    Raises:
        TypeError: If ``from_logits`` is no bool.

    Example:
        >>> from fastreg import losses
        >>> losses.get("categorical_crossentropy")
        CategoricalCrossentropy(from_logits=False)
    """

    key: ClassVar[str] = "categorical_crossentropy"
    targets: ClassVar[str] = "distribution"
    from_logits: bool = False


@takes_keras_arguments
@dataclass(frozen=True)
class SparseCategoricalCrossentropy(Loss, SparseCrossentropyArguments):
    r"""Cross-entropy of one choice among k classes, given as labels: :math:`\ell_i = -\log p_{i t_i}`.

    The outputs of any activation but softmax are made into shares first, as by :class:`CategoricalCrossentropy`.

    Targets are whole numbers in [0, k), shape (n,) or (n, 1).

    Args:
        from_logits: The network's outputs are unnormalised log-probabilities; leave its last activation linear.

    Raises:
        TypeError: If ``from_logits`` is no bool.

    Example:
        >>> from fastreg import losses
        >>> losses.get("sparse_categorical_crossentropy")
        SparseCategoricalCrossentropy(from_logits=False)
    """

    key: ClassVar[str] = "sparse_categorical_crossentropy"
    targets: ClassVar[str] = "labels"
    from_logits: bool = False


_REGISTRY: Registry[Loss] = Registry(
    "loss",
    Loss,
    {
        "mean_squared_error": MeanSquaredError,
        "mse": MeanSquaredError,
        "huber": Huber,
        "binary_crossentropy": BinaryCrossentropy,
        "bce": BinaryCrossentropy,
        "categorical_crossentropy": CategoricalCrossentropy,
        "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    },
)


def get(value: object, where: str = "losses.get") -> Loss:
    """The loss for an argument: an instance or a name such as ``"mse"``."""
    return _REGISTRY.resolve(where, value)
