"""Counts of positive outputs, and shares of such counts.

An output is positive if it is above a threshold, and its target if it is above 0.5, or if the label is its column. Each
output of a row counts, so that with several outputs a row counts several times.
"""

from typing import Annotated, ClassVar

from fastreg.internal.checks import AT_LEAST_ONE, WIDTH_LIMIT, check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import MetricArguments, takes_keras_arguments
from fastreg.metrics.base import ClassId, CountThreshold, Metric

__all__ = ["FalseNegatives", "FalsePositives", "Precision", "Recall", "Specificity", "TrueNegatives", "TruePositives"]


@takes_keras_arguments
@dataclass(frozen=True)
class Precision(Metric, MetricArguments):
    r"""The fraction of positive outputs that are right, :math:`TP / (TP + FP)`.

    All columns count together, or one of them with ``class_id``. It is 0 if the denominator is.

    Args:
        thresholds: A number in [0, 1] that an output must exceed to be positive; None is 0.5, or with ``top_k`` no
            limit. Keras's list of several thresholds would be several numbers for an epoch: use a metric with a name of
            its own for each.
        top_k: Only the k largest outputs of a row can be positive, of equal ones the first; >= 1, or None.
        class_id: The column that counts, >= 0; None is all.
        name: Key in the history.

    Raises:
        ValueError: If an argument is out of range or NaN; by ``compile`` if there are fewer outputs than ``top_k``, or
            no column ``class_id``.
        TypeError: If ``thresholds`` is a list.

    Example:
        >>> from fastreg import metrics
        >>> metrics.Precision()([0, 1, 1, 0], [0.1, 0.9, 0.2, 0.8])
        0.5
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    thresholds: CountThreshold | None = None
    top_k: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] | None = None
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "precision"

    @property
    def least_outputs(self) -> int:
        """As many as ``top_k`` and ``class_id`` say."""
        return max(self.top_k or 1, (self.class_id or 0) + 1)


@takes_keras_arguments
@dataclass(frozen=True)
class Recall(Metric, MetricArguments):
    r"""The fraction of positive targets that are found, :math:`TP / (TP + FN)`; also called sensitivity.

    All columns count together, or one of them with ``class_id``. It is 0 if the denominator is.

    Args:
        thresholds: A number in [0, 1] that an output must exceed to be positive; None is 0.5, or with ``top_k`` no
            limit. Keras's list of several thresholds would be several numbers for an epoch: use a metric with a name of
            its own for each.
        top_k: Only the k largest outputs of a row can be positive, of equal ones the first; >= 1, or None.
        class_id: The column that counts, >= 0; None is all.
        name: Key in the history.

    Raises:
        ValueError: If an argument is out of range or NaN; by ``compile`` if there are fewer outputs than ``top_k``, or
            no column ``class_id``.
        TypeError: If ``thresholds`` is a list.

    Example:
        >>> from fastreg import metrics
        >>> metrics.Recall()([0, 1, 1, 0], [0.1, 0.9, 0.2, 0.8])
        0.5
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    thresholds: CountThreshold | None = None
    top_k: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] | None = None
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "recall"

    @property
    def least_outputs(self) -> int:
        """As many as ``top_k`` and ``class_id`` say."""
        return max(self.top_k or 1, (self.class_id or 0) + 1)


@takes_keras_arguments
@dataclass(frozen=True)
class Specificity(Metric, MetricArguments):
    r"""The fraction of other targets that are recognised, :math:`TN / (TN + FP)`.

    All columns count together, or one of them with ``class_id``. It is 0 if the denominator is.

    Args:
        thresholds: A number in [0, 1] that an output must exceed to be positive; None is 0.5, or with ``top_k`` no
            limit. Keras's list of several thresholds would be several numbers for an epoch: use a metric with a name of
            its own for each.
        top_k: Only the k largest outputs of a row can be positive, of equal ones the first; >= 1, or None.
        class_id: The column that counts, >= 0; None is all.
        name: Key in the history.

    Raises:
        ValueError: If an argument is out of range or NaN; by ``compile`` if there are fewer outputs than ``top_k``, or
            no column ``class_id``.
        TypeError: If ``thresholds`` is a list.

    Example:
        >>> from fastreg import metrics
        >>> metrics.Specificity()([0, 1, 1, 0], [0.1, 0.9, 0.2, 0.8])
        0.5
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    thresholds: CountThreshold | None = None
    top_k: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] | None = None
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "specificity"

    @property
    def least_outputs(self) -> int:
        """As many as ``top_k`` and ``class_id`` say."""
        return max(self.top_k or 1, (self.class_id or 0) + 1)


@takes_keras_arguments
@dataclass(frozen=True)
class TruePositives(Metric, MetricArguments):
    r"""The number of positive outputs whose target is positive, or the sum of their weights.

    Args:
        thresholds: A number in [0, 1] that an output must exceed to be positive; None is 0.5. Keras's list of several
            thresholds would be several numbers for an epoch: use a metric with a name of its own for each.
        name: Key in the history.

    Raises:
        ValueError: If ``thresholds`` is out of range or NaN.
        TypeError: If it is a list.

    Example:
        >>> from fastreg import metrics
        >>> metrics.TruePositives()([0, 1, 1, 0], [0.1, 0.9, 0.2, 0.8])
        1.0
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    thresholds: CountThreshold | None = None
    name: Annotated[str, check_name] = "true_positives"


@takes_keras_arguments
@dataclass(frozen=True)
class TrueNegatives(Metric, MetricArguments):
    r"""The number of other outputs whose target is not positive, or the sum of their weights.

    Args:
        thresholds: A number in [0, 1] that an output must exceed to be positive; None is 0.5. Keras's list of several
            thresholds would be several numbers for an epoch: use a metric with a name of its own for each.
        name: Key in the history.

    Raises:
        ValueError: If ``thresholds`` is out of range or NaN.
        TypeError: If it is a list.

    Example:
        >>> from fastreg import metrics
        >>> metrics.TrueNegatives()([0, 1, 1, 0], [0.1, 0.9, 0.2, 0.8])
        1.0
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    thresholds: CountThreshold | None = None
    name: Annotated[str, check_name] = "true_negatives"


@takes_keras_arguments
@dataclass(frozen=True)
class FalsePositives(Metric, MetricArguments):
    r"""The number of positive outputs whose target is not positive, or the sum of their weights.

    Args:
        thresholds: A number in [0, 1] that an output must exceed to be positive; None is 0.5. Keras's list of several
            thresholds would be several numbers for an epoch: use a metric with a name of its own for each.
        name: Key in the history.

    Raises:
        ValueError: If ``thresholds`` is out of range or NaN.
        TypeError: If it is a list.

    Example:
        >>> from fastreg import metrics
        >>> metrics.FalsePositives()([0, 1, 1, 0], [0.1, 0.9, 0.2, 0.8])
        1.0
    """

    direction: ClassVar[str] = "min"
    targets: ClassVar[str] = "any"
    thresholds: CountThreshold | None = None
    name: Annotated[str, check_name] = "false_positives"


@takes_keras_arguments
@dataclass(frozen=True)
class FalseNegatives(Metric, MetricArguments):
    r"""The number of other outputs whose target is positive, or the sum of their weights.

    Args:
        thresholds: A number in [0, 1] that an output must exceed to be positive; None is 0.5. Keras's list of several
            thresholds would be several numbers for an epoch: use a metric with a name of its own for each.
        name: Key in the history.

    Raises:
        ValueError: If ``thresholds`` is out of range or NaN.
        TypeError: If it is a list.

    Example:
        >>> from fastreg import metrics
        >>> metrics.FalseNegatives()([0, 1, 1, 0], [0.1, 0.9, 0.2, 0.8])
        1.0
    """

    direction: ClassVar[str] = "min"
    targets: ClassVar[str] = "any"
    thresholds: CountThreshold | None = None
    name: Annotated[str, check_name] = "false_negatives"
