"""Errors of numbers. Each is over units and rows; none includes penalties, as the loss does."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import MetricArguments, takes_keras_arguments
from fastreg.metrics.base import Metric

__all__ = [
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "MedianAbsoluteError",
    "Poisson",
    "RootMeanSquaredError",
]


@takes_keras_arguments
@dataclass(frozen=True)
class MeanSquaredError(Metric, MetricArguments):
    """The mean of :math:`(p - t)^2` over units and rows. It does not include the penalties, as the loss does.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.get("mse")
        MeanSquaredError(name='mse')
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "mean_squared_error"


@takes_keras_arguments
@dataclass(frozen=True)
class MeanAbsoluteError(Metric, MetricArguments):
    """The mean of :math:`|p - t|` over units and rows.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.get("mae")
        MeanAbsoluteError(name='mae')
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "mean_absolute_error"


@takes_keras_arguments
@dataclass(frozen=True)
class RootMeanSquaredError(Metric, MetricArguments):
    """The root of the mean of :math:`(p - t)^2` over units and all rows, not a mean of roots.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.RootMeanSquaredError()([0, 0, 0, 0], [1, 1, 1, 1])
        1.0
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "root_mean_squared_error"


@takes_keras_arguments
@dataclass(frozen=True)
class MeanAbsolutePercentageError(Metric, MetricArguments):
    r"""The mean of :math:`100 |t - p| / \max(|t|, 10^{-7})` over units and rows, in per cent.

    Targets near 0 make it very large.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.MeanAbsolutePercentageError()([2, 4], [3, 4])
        25.0
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "mean_absolute_percentage_error"


@takes_keras_arguments
@dataclass(frozen=True)
class MeanSquaredLogarithmicError(Metric, MetricArguments):
    r"""The mean of :math:`(\log(1 + p) - \log(1 + t))^2` over units and rows.

    Outputs and targets below :math:`10^{-7}` count as this, as in Keras.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.MeanSquaredLogarithmicError()([0, 1], [0, 1])
        0.0
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "mean_squared_logarithmic_error"


@takes_keras_arguments
@dataclass(frozen=True)
class MedianAbsoluteError(Metric, MetricArguments):
    """The median over rows of :math:`|p - t|`; for several outputs the mean of their medians, as in scikit-learn.

    Of an even number of rows it is the mean of the two in the middle. With weights it is the error at which half of the
    total weight is reached, or the mean of two errors if half of the weight is exactly on either side. It is NaN
    without rows. The outputs of all rows of an epoch are kept until its end.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.MedianAbsoluteError()([0, 0, 0], [1, -2, 9])
        2.0
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "median_absolute_error"


@takes_keras_arguments
@dataclass(frozen=True)
class LogCoshError(Metric, MetricArguments):
    r"""The mean of :math:`\log \cosh(p - t)` over units and rows.

    It is nearly :math:`(p - t)^2 / 2` for small and :math:`|p - t| - \log 2` for large errors.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.LogCoshError()([0, 0], [0, 0])
        0.0
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "logcosh"


@takes_keras_arguments
@dataclass(frozen=True)
class Poisson(Metric, MetricArguments):
    r"""The mean of :math:`p - t \log(p + 10^{-7})` over units and rows, for counts t and outputs p > 0.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.Poisson()([0, 0], [1, 3])
        2.0
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "poisson"
