"""F scores, which join precision and recall."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import POSITIVE, check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import MetricArguments, takes_keras_arguments
from fastreg.metrics.base import AverageName, ClassId, Metric, Threshold, in_keras_order

__all__ = ["F1Score", "FBetaScore"]


@in_keras_order("average", "beta", "threshold", "name", "dtype", "class_id")
@takes_keras_arguments
@dataclass(frozen=True)
class FBetaScore(Metric, MetricArguments):
    r"""The weighted harmonic mean of precision and recall, exact over all rows.

    .. math:: F_\beta = \frac{(1 + \beta^2)\, TP}{(1 + \beta^2)\, TP + \beta^2\, FN + FP}

    of each output (class) j, as :class:`F1Score`, which has :math:`\beta = 1`, describes it.

    Args:
        average, threshold, class_id: See :class:`F1Score`.
        beta: :math:`\beta > 0`; recall counts :math:`\beta` times as much as precision.
        name: Key in the history.

    Raises:
        ValueError: As :class:`F1Score`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.FBetaScore("macro", beta=2.0)
        FBetaScore(average='macro', beta=2.0, threshold=None, class_id=None, name='fbeta_score')
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    average: AverageName | None = None
    beta: Annotated[float, POSITIVE] = 1.0
    threshold: Threshold | None = None
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "fbeta_score"

    def _check_together(self) -> None:
        if self.average is not None and self.class_id is not None:
            raise ValueError(f"FBetaScore: class_id must be None with an average, got {self.class_id}")

    @property
    def outputs(self) -> int | None:
        """One if there is no average and no class."""
        return 1 if self.average is None and self.class_id is None else None

    @property
    def least_outputs(self) -> int:
        """As many as ``class_id`` says."""
        return (self.class_id or 0) + 1


@in_keras_order("average", "threshold", "name", "dtype", "class_id")
@takes_keras_arguments
@dataclass(frozen=True)
class F1Score(Metric, MetricArguments):
    r"""F1, the harmonic mean of precision and recall, exact over all rows of an epoch.

    .. math:: F_1 = \frac{2\, TP}{2\, TP + FP + FN}

    of each output (class) j, from its true positives :math:`TP`, false positives :math:`FP` and false negatives
    :math:`FN` among all rows; it is 0 for a class that is neither predicted nor actual. A row is actually positive for
    j if :math:`t_j > 0.5`, or if its label is j.

    Keras's ``average=None`` gives a number for each class. A history holds one number for each epoch, so in a fit a
    network of several outputs needs an average or a class; of one output (yes or no) None is the F1 of yes. Outside of
    a fit :meth:`result` is then an array with the F1 of each class.

    Args:
        average: ``"micro"``: F1 of the counts of all classes together. ``"macro"``: the mean of the classes' F1.
            ``"weighted"``: their mean weighted by the number of actual positives. None: no average.
        threshold: In (0, 1]. A row is predicted positive for j if :math:`p_j` is larger, so that it may have several
            classes. None: the class of its largest output, of equal ones the first; for one output 0.5.
        class_id: The class whose F1 is given, >= 0; then there is no average.
        name: Key in the history.

    Raises:
        ValueError: If ``average`` is another name, ``threshold`` is out of range or NaN, ``name`` is empty, or there
            are both an average and a class; by ``compile`` if there is neither and the network has several outputs, or
            there is no column ``class_id``.

    Example:
        >>> from fastreg import metrics
        >>> metrics.F1Score("macro")
        F1Score(average='macro', threshold=None, class_id=None, name='f1_score')
        >>> metrics.F1Score()([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
        array([0.66666667, 0.66666667])
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    average: AverageName | None = None
    threshold: Threshold | None = None
    class_id: ClassId | None = None
    name: Annotated[str, check_name] = "f1_score"

    def _check_together(self) -> None:
        if self.average is not None and self.class_id is not None:
            raise ValueError(f"F1Score: class_id must be None with an average, got {self.class_id}")

    @property
    def outputs(self) -> int | None:
        """One if there is no average and no class."""
        return 1 if self.average is None and self.class_id is None else None

    @property
    def least_outputs(self) -> int:
        """As many as ``class_id`` says."""
        return (self.class_id or 0) + 1
