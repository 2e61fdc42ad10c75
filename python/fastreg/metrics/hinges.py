"""The hinge family. Outputs are scores of any size, and targets are -1 or 1; a target of 0 counts as -1."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import MetricArguments, takes_keras_arguments
from fastreg.metrics.base import Metric

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


@takes_keras_arguments
@dataclass(frozen=True)
class Hinge(Metric, MetricArguments):
    r"""The mean of :math:`\max(1 - t p, 0)` over units and rows, with targets -1 or 1.

    A target of 0 counts as -1, so that targets of 0 and 1 can be given, too.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.Hinge()([[0, 1], [0, 0]], [[0.5, 0.5], [0.5, 0.5]])
        1.25
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "hinge"


@takes_keras_arguments
@dataclass(frozen=True)
class SquaredHinge(Metric, MetricArguments):
    r"""The mean of :math:`\max(1 - t p, 0)^2` over units and rows, with targets -1 or 1.

    A target of 0 counts as -1, so that targets of 0 and 1 can be given, too.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.SquaredHinge()([[0, 1], [0, 0]], [[0.5, 0.5], [0.5, 0.5]])
        1.75
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "squared_hinge"


@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalHinge(Metric, MetricArguments):
    r"""The mean over rows of :math:`\max(\max_j (1 - t_j) p_j - \sum_j t_j p_j + 1, 0)`, with targets 0 or 1.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.CategoricalHinge()([[0, 1], [1, 0]], [[0.5, 2.0], [0.5, 0.0]])
        0.25
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "categorical_hinge"
