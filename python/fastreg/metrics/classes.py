"""Accuracies of many classes, and the agreement of found and wanted classes.

With several outputs the class that is found is the column of the largest output, and the class that is wanted that of
the largest target, or the label. With one output the classes are no and yes: yes is found where the output is above a
threshold, and wanted where the target is above 0.5.
"""

from typing import Annotated, ClassVar, Literal

from fastreg.internal.checks import AT_LEAST_ONE, WIDTH_LIMIT, check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import MetricArguments, SortedArguments, takes_keras_arguments
from fastreg.metrics.base import Metric, Threshold

__all__ = [
    "BalancedAccuracy",
    "CohenKappa",
    "MatthewsCorrelation",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
]


@takes_keras_arguments
@dataclass(frozen=True)
class TopKCategoricalAccuracy(Metric, MetricArguments):
    """The fraction of rows in which the output of the wanted column is among the k largest.

    It is among them if fewer than k outputs are larger.

    Args:
        k: At least 1.
        name: Key in the history.

    Raises:
        ValueError: If ``k`` is below 1.

    Example:
        >>> from fastreg import metrics
        >>> metrics.TopKCategoricalAccuracy(k=2)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.5, 0.01, 0.8]])
        0.5
    """

    direction: ClassVar[str] = "max"
    k: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] = 5
    name: Annotated[str, check_name] = "top_k_categorical_accuracy"


@takes_keras_arguments
@dataclass(frozen=True)
class SparseTopKCategoricalAccuracy(Metric, SortedArguments):
    """The fraction of rows in which the output of the label is among the k largest.

    It is among them if fewer than k outputs are larger.

    Args:
        k: At least 1.
        name: Key in the history.

    Raises:
        ValueError: If ``k`` is below 1.

    Example:
        >>> from fastreg import metrics
        >>> metrics.SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.1, 0.9, 0.8], [0.5, 0.01, 0.8]])
        0.5
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "labels"
    k: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] = 5
    name: Annotated[str, check_name] = "sparse_top_k_categorical_accuracy"


@takes_keras_arguments
@dataclass(frozen=True)
class BalancedAccuracy(Metric, MetricArguments):
    """The mean over classes of the fraction of a class's rows that are found, as scikit-learn has it.

    Classes without rows do not count; without any rows the value is 0.

    Args:
        threshold: In (0, 1], for one output.
        name: Key in the history.

    Raises:
        ValueError: If ``threshold`` is out of range or NaN.

    Example:
        >>> from fastreg import metrics
        >>> metrics.BalancedAccuracy()([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4])
        0.5
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    threshold: Threshold = 0.5
    name: Annotated[str, check_name] = "balanced_accuracy"


@takes_keras_arguments
@dataclass(frozen=True)
class MatthewsCorrelation(Metric, MetricArguments):
    r"""The correlation of found and wanted classes (Matthews 1975; Gorodkin 2004 for several classes), in [-1, 1].

    .. math:: \frac{TP \cdot TN - FP \cdot FN}{\sqrt{(TP + FP)(TP + FN)(TN + FP)(TN + FN)}}

    for two classes. It is 0 if only one class is found, or only one is wanted.

    Args:
        threshold: In (0, 1], for one output.
        name: Key in the history.

    Raises:
        ValueError: If ``threshold`` is out of range or NaN.

    Example:
        >>> from fastreg import metrics
        >>> metrics.MatthewsCorrelation()([1, 1, 0, 0], [0.9, 0.8, 0.1, 0.2])
        1.0
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    threshold: Threshold = 0.5
    name: Annotated[str, check_name] = "matthews_correlation"


@takes_keras_arguments
@dataclass(frozen=True)
class CohenKappa(Metric, MetricArguments):
    r"""How much more found and wanted classes agree than by chance (Cohen 1960, 1968).

    .. math:: \kappa = 1 - \frac{\sum_{ab} d_{ab} O_{ab}}{\sum_{ab} d_{ab} E_{ab}}

    where :math:`O` counts the rows by found class a and wanted class b, :math:`E` is what independence would give, and
    :math:`d` is the disagreement of two classes. It is NaN if all rows have one and the same class.

    Args:
        weights: None: :math:`d_{ab} = 1` for different classes; ``"linear"``: :math:`|a - b|`; ``"quadratic"``:
            :math:`(a - b)^2`.
        threshold: In (0, 1], for one output.
        name: Key in the history.

    Raises:
        ValueError: If ``weights`` is another name, or ``threshold`` is out of range or NaN.

    Example:
        >>> from fastreg import metrics
        >>> metrics.CohenKappa()([1, 1, 0, 0], [0.9, 0.2, 0.1, 0.2])
        0.5
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    weights: Literal["linear", "quadratic"] | None = None
    threshold: Threshold = 0.5
    name: Annotated[str, check_name] = "cohen_kappa"
