"""Shares of outputs and rows that are right."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import MetricArguments, takes_keras_arguments
from fastreg.metrics.base import CountThreshold, Metric, in_keras_order

__all__ = ["Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy"]


@takes_keras_arguments
@dataclass(frozen=True)
class Accuracy(Metric, MetricArguments):
    """The fraction of outputs, over units and rows, that equal their target exactly.

    The string ``"accuracy"`` does not mean this class but the accuracy that fits the loss.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
        0.75
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "accuracy"


@in_keras_order("name", "dtype", "threshold")
@takes_keras_arguments
@dataclass(frozen=True)
class BinaryAccuracy(Metric, MetricArguments):
    """The fraction of outputs, over units and rows, for which ``p > threshold`` equals ``t > 0.5``.

    Args:
        name: Key in the history.
        threshold: In [0, 1].

    Raises:
        ValueError: If ``threshold`` is out of range or NaN.

    Example:
        >>> from fastreg import metrics
        >>> metrics.BinaryAccuracy()
        BinaryAccuracy(name='binary_accuracy', threshold=0.5)
        >>> metrics.BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]])
        0.75
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "binary_accuracy"
    threshold: CountThreshold = 0.5


@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalAccuracy(Metric, MetricArguments):
    """The fraction of rows whose largest output is in the same column as the largest target.

    If outputs are equal, the first one counts.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.CategoricalAccuracy(name="acc")
        CategoricalAccuracy(name='acc')
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "categorical_accuracy"


@takes_keras_arguments
@dataclass(frozen=True)
class SparseCategoricalAccuracy(Metric, MetricArguments):
    """The fraction of rows whose largest output is in the column of the label. If outputs are equal, the first counts.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
        0.5
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "labels"
    name: Annotated[str, check_name] = "sparse_categorical_accuracy"
