"""Metrics over all thresholds. They are exact: every output is a threshold."""

from typing import Annotated, ClassVar, Literal

from fastreg.internal.checks import CLOSED_FRACTION, check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import AtThresholdArguments, AUCArguments, takes_keras_arguments
from fastreg.metrics.base import ClassId, Metric, in_keras_order

__all__ = ["AUC", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"]


@in_keras_order(
    "num_thresholds",
    "curve",
    "summation_method",
    "name",
    "dtype",
    "thresholds",
    "multi_label",
    "num_labels",
    "label_weights",
    "from_logits",
)
@takes_keras_arguments
@dataclass(frozen=True)
class AUC(Metric, AUCArguments):
    r"""The area under the receiver operating characteristic, or under the curve of precision and recall.

    The ROC's is

    .. math:: \frac{1}{P N} \sum_{t_i > 0.5} \sum_{t_j \le 0.5} w_i w_j \left( [p_i > p_j] + \tfrac12 [p_i = p_j]
    \right)

    with P and N the weights of positive rows (t > 0.5) and others. It is the probability that a positive row has a
    larger output than another row. With ``curve="PR"`` it is the average precision, :math:`\sum_k (R_k - R_{k-1})
    P_k` over the distinct outputs in descending order, with precision :math:`P_k` and recall :math:`R_k` of the outputs
    from the k-th on, as in scikit-learn.

    It is exact. Keras approximates it by a few thresholds: its ``num_thresholds`` and ``summation_method`` are accepted
    and not used. The outputs of all rows of an epoch are kept until its end and are then sorted.

    It is NaN if there are no positive rows, for the ROC also if there are no others, and if an output is NaN. With
    several outputs all columns are taken together, as in Keras, or with ``multi_label`` the areas of the columns are
    averaged, each against the rest; labels stand for one positive column in each row.

    Args:
        curve: ``"ROC"`` or ``"PR"``.
        multi_label: Whether to average the areas of the columns.
        name: Key in the history.
        num_thresholds, summation_method, from_logits: Not used; only the order of the outputs counts.

    Raises:
        ValueError: If ``curve`` is another name.

    Example:
        >>> from fastreg import metrics
        >>> metrics.get("auc")
        AUC(curve='ROC', multi_label=False, name='auc')
        >>> metrics.AUC(curve="PR")([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        0.8333333333333333
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    curve: Literal["ROC", "PR"] = "ROC"
    multi_label: bool = False
    name: Annotated[str, check_name] = "auc"


@in_keras_order("recall", "num_thresholds", "class_id", "name", "dtype")
@takes_keras_arguments
@dataclass(frozen=True)
class PrecisionAtRecall(Metric, AtThresholdArguments):
    """The best precision among all thresholds at which the recall is at least a given one; 0 if there are none.

    Precision is TP / (TP + FP) and recall TP / (TP + FN). Thresholds are the outputs themselves, so that the value is
    exact: Keras's ``num_thresholds`` is accepted and not used. All columns count together, or one of them with
    ``class_id``. It is NaN if an output is.

    Args:
        recall: The least recall, in [0, 1].
        class_id: The column that counts, >= 0; None is all.
        name: Key in the history.
        num_thresholds: Not used.

    Raises:
        ValueError: If an argument is out of range or NaN; by ``compile`` if there is no column ``class_id``.

    Example:
        >>> from fastreg import metrics
        >>> metrics.PrecisionAtRecall(0.5)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        1.0
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    recall: Annotated[float, CLOSED_FRACTION]
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "precision_at_recall"

    @property
    def least_outputs(self) -> int:
        """As many as ``class_id`` says."""
        return (self.class_id or 0) + 1


@in_keras_order("precision", "num_thresholds", "class_id", "name", "dtype")
@takes_keras_arguments
@dataclass(frozen=True)
class RecallAtPrecision(Metric, AtThresholdArguments):
    """The best recall among all thresholds at which the precision is at least a given one; 0 if there are none.

    Recall is TP / (TP + FN) and precision TP / (TP + FP). Thresholds are the outputs themselves, so that the value is
    exact: Keras's ``num_thresholds`` is accepted and not used. All columns count together, or one of them with
    ``class_id``. It is NaN if an output is.

    Args:
        precision: The least precision, in [0, 1].
        class_id: The column that counts, >= 0; None is all.
        name: Key in the history.
        num_thresholds: Not used.

    Raises:
        ValueError: If an argument is out of range or NaN; by ``compile`` if there is no column ``class_id``.

    Example:
        >>> from fastreg import metrics
        >>> metrics.RecallAtPrecision(0.5)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        1.0
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    precision: Annotated[float, CLOSED_FRACTION]
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "recall_at_precision"

    @property
    def least_outputs(self) -> int:
        """As many as ``class_id`` says."""
        return (self.class_id or 0) + 1


@in_keras_order("specificity", "num_thresholds", "class_id", "name", "dtype")
@takes_keras_arguments
@dataclass(frozen=True)
class SensitivityAtSpecificity(Metric, AtThresholdArguments):
    """The best sensitivity among all thresholds at which the specificity is at least a given one; 0 if there are none.

    Sensitivity is TP / (TP + FN) and specificity TN / (TN + FP). Thresholds are the outputs themselves, so that the
    value is exact: Keras's ``num_thresholds`` is accepted and not used. All columns count together, or one of them with
    ``class_id``. It is NaN if an output is.

    Args:
        specificity: The least specificity, in [0, 1].
        class_id: The column that counts, >= 0; None is all.
        name: Key in the history.
        num_thresholds: Not used.

    Raises:
        ValueError: If an argument is out of range or NaN; by ``compile`` if there is no column ``class_id``.

    Example:
        >>> from fastreg import metrics
        >>> metrics.SensitivityAtSpecificity(0.5)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        1.0
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    specificity: Annotated[float, CLOSED_FRACTION]
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "sensitivity_at_specificity"

    @property
    def least_outputs(self) -> int:
        """As many as ``class_id`` says."""
        return (self.class_id or 0) + 1


@in_keras_order("sensitivity", "num_thresholds", "class_id", "name", "dtype")
@takes_keras_arguments
@dataclass(frozen=True)
class SpecificityAtSensitivity(Metric, AtThresholdArguments):
    """The best specificity among all thresholds at which the sensitivity is at least a given one; 0 if there are none.

    Specificity is TN / (TN + FP) and sensitivity TP / (TP + FN). Thresholds are the outputs themselves, so that the
    value is exact: Keras's ``num_thresholds`` is accepted and not used. All columns count together, or one of them with
    ``class_id``. It is NaN if an output is.

    Args:
        sensitivity: The least sensitivity, in [0, 1].
        class_id: The column that counts, >= 0; None is all.
        name: Key in the history.
        num_thresholds: Not used.

    Raises:
        ValueError: If an argument is out of range or NaN; by ``compile`` if there is no column ``class_id``.

    Example:
        >>> from fastreg import metrics
        >>> metrics.SpecificityAtSensitivity(0.5)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        1.0
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    sensitivity: Annotated[float, CLOSED_FRACTION]
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "specificity_at_sensitivity"

    @property
    def least_outputs(self) -> int:
        """As many as ``class_id`` says."""
        return (self.class_id or 0) + 1
