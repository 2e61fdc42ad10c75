"""Shares of explained variance, and correlations of outputs and targets."""

from typing import Annotated, Any, ClassVar, Literal

from fastreg.internal.checks import NON_NEGATIVE, WIDTH_LIMIT, check_int, check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import AxisArguments, MetricArguments, takes_keras_arguments
from fastreg.metrics.base import Metric, in_keras_order

__all__ = ["ConcordanceCorrelation", "CosineSimilarity", "ExplainedVariance", "PearsonCorrelation", "R2Score"]


def _check_axis(owner: str, name: str, value: Any) -> int:
    return check_int(owner, name, value, ("be -1 or 0", lambda axis: axis in (-1, 0)))


@in_keras_order("name", "dtype", "axis")
@takes_keras_arguments
@dataclass(frozen=True)
class CosineSimilarity(Metric, AxisArguments):
    r"""The mean over rows of the cosine of the angle between outputs and targets, :math:`p \cdot t / (|p|\,|t|)`.

    Squared lengths below :math:`10^{-12}` count as this, so that a row of zeros has the cosine 0.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.CosineSimilarity()([[0, 1], [1, 0]], [[0, 2], [0, 3]])
        0.5
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "cosine_similarity"


@takes_keras_arguments
@dataclass(frozen=True)
class R2Score(Metric, MetricArguments):
    r"""The coefficient of determination, :math:`R^2 = 1 - \sum w (p - t)^2 / \sum w (t - \bar t)^2` of each output.

    1 is perfect, and 0 is what the mean :math:`\bar t` of the rows themselves would give. If all targets are equal it
    is 1 if all outputs equal them, too, and otherwise 0. It is NaN without rows.

    Args:
        class_aggregation: ``"uniform_average"``: the mean over outputs. ``"variance_weighted_average"``: the mean
            weighted by the variances of the targets. None: no mean; then a network must have one output, and outside of
            a fit :meth:`result` is an array.
        num_regressors: With a number q > 0 of features it is the adjusted :math:`1 - (1 - R^2) (n - 1) / (n - q - 1)`,
            n being the number of rows, as long as n > q + 1.
        name: Key in the history.

    Raises:
        ValueError: If ``class_aggregation`` is another name, or ``num_regressors`` is below 0.

    Example:
        >>> from fastreg import metrics
        >>> metrics.R2Score()([1, 2, 3, 4], [1, 2, 3, 3])
        0.8
    """

    direction: ClassVar[str] = "max"
    class_aggregation: Literal["uniform_average", "variance_weighted_average"] | None = "uniform_average"
    num_regressors: Annotated[int, NON_NEGATIVE, WIDTH_LIMIT] = 0
    name: Annotated[str, check_name] = "r2_score"

    @property
    def outputs(self) -> int | None:
        """One if outputs are not averaged."""
        return 1 if self.class_aggregation is None else None


@takes_keras_arguments
@dataclass(frozen=True)
class ExplainedVariance(Metric, MetricArguments):
    r"""The mean over outputs of :math:`1 - \mathrm{Var}(t - p) / \mathrm{Var}(t)`, as in scikit-learn.

    Unlike :class:`R2Score` it does not see a constant error. If all targets are equal it is 1 if all errors are equal,
    too, and otherwise 0. It is NaN without rows.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.ExplainedVariance()([1, 2, 3], [2, 3, 4])
        1.0
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "explained_variance"


@in_keras_order("name", "dtype", "axis")
@takes_keras_arguments
@dataclass(frozen=True)
class PearsonCorrelation(Metric, MetricArguments):
    r"""The linear correlation of outputs and targets.

    .. math:: \frac{\mathrm{Cov}(p, t)}{\sqrt{\mathrm{Var}(p)\, \mathrm{Var}(t)}}

    It is NaN where outputs or targets do not vary, and without rows.

    Args:
        name: Key in the history.
        axis: -1: along the outputs of each row, averaged over rows, which needs two outputs or more. 0: along the rows
            of each output, averaged over outputs, which is what a regression of one number needs.

    Raises:
        ValueError: If ``axis`` is not -1 or 0; by ``compile`` if it is -1 and the network has one output.

    Example:
        >>> from fastreg import metrics
        >>> round(metrics.PearsonCorrelation(axis=0)([1, 2, 3], [2, 4, 6]), 6)
        1.0
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "pearson_correlation"
    axis: Annotated[int, _check_axis] = -1

    @property
    def least_outputs(self) -> int:
        """Two along the outputs."""
        return 1 if self.axis == 0 else 2

    def refusal(self, n_outputs: int) -> str:
        """Why a network of so many outputs cannot have this metric; an empty text if it can."""
        words = super().refusal(n_outputs)
        return f"{words}; axis=0 correlates along the rows" if words else ""


@in_keras_order("name", "dtype", "axis")
@takes_keras_arguments
@dataclass(frozen=True)
class ConcordanceCorrelation(Metric, MetricArguments):
    r"""Lin's concordance (1989), a correlation that also sees differences of mean and scale.

    .. math:: \frac{2\, \mathrm{Cov}(p, t)}{\mathrm{Var}(p) + \mathrm{Var}(t) + (\bar p - \bar t)^2}

    It is NaN where outputs and targets are one and the same constant, and without rows.

    Args:
        name: Key in the history.
        axis: -1: along the outputs of each row, averaged over rows, which needs two outputs or more. 0: along the rows
            of each output, averaged over outputs, which is what a regression of one number needs.

    Raises:
        ValueError: If ``axis`` is not -1 or 0; by ``compile`` if it is -1 and the network has one output.

    Example:
        >>> from fastreg import metrics
        >>> round(metrics.ConcordanceCorrelation(axis=0)([1, 2, 3], [1, 2, 3]), 6)
        1.0
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "concordance_correlation"
    axis: Annotated[int, _check_axis] = -1

    @property
    def least_outputs(self) -> int:
        """Two along the outputs."""
        return 1 if self.axis == 0 else 2

    def refusal(self, n_outputs: int) -> str:
        """Why a network of so many outputs cannot have this metric; an empty text if it can."""
        words = super().refusal(n_outputs)
        return f"{words}; axis=0 correlates along the rows" if words else ""
