"""The metric of ``--metric``: how a search ranks trials by it, and its value on rows that are held back.

A network learns a standardised number. Metrics that do not change with its unit, or only by a factor, are computed
within the core; others get numbers in the unit of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import metrics
from fastreg.metrics import Metric
from fastreg.table.networks import scoring
from fastreg.table.target import Target

__all__ = ["ChosenMetric"]

# Metrics of a standardised target that rank trials as those of the target itself do.
_OF_ANY_UNIT = (
    *(metrics.MeanSquaredError, metrics.RootMeanSquaredError, metrics.MeanAbsoluteError, metrics.MedianAbsoluteError),
    *(metrics.R2Score, metrics.ExplainedVariance, metrics.PearsonCorrelation, metrics.ConcordanceCorrelation),
)


@dataclass(frozen=True)
class _InUnit:
    """A scorer: the metric of predictions in the unit of the table."""

    metric: Metric
    target: Target

    def __call__(self, model: Any, features: Any, y: NDArray[Any]) -> float:
        outputs = model.predict(features, verbose=0)
        return float(self.metric(_numbers(self.target, y), _numbers(self.target, outputs[:, 0])))


@dataclass(frozen=True)
class ChosenMetric:
    """The metric that decides.

    Args:
        target: The column to predict.
        name: The name of the metric; None leaves the choice to the task.

    Raises:
        ValueError: If there is no such metric, or it does not go with the target.
    """

    target: Target
    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is None or self._is_accuracy:
            return
        metric, target = self._metric(), self.target
        outputs = len(target.labels or ()) if target.task == "multiclass" else 1
        if refusal := metric.refusal(outputs):
            raise ValueError(f"metric: {self.name!r} {refusal}")
        if metric.targets == ("matrix" if target.task == "multiclass" else "labels"):
            raise ValueError(f"metric: {self.name!r} does not go with a {target.task} target")

    @property
    def scoring(self) -> Any:
        """The ``scoring`` of a search."""
        usual = scoring(self.target)
        if self.name is None:
            return usual
        if self._in_core:
            return [self.name, *(name for name in usual if name != self.name)]
        metric = self._metric()
        return {self.name: (_InUnit(metric, self.target), metric.direction), **{name: name for name in usual}}

    @property
    def prunes(self) -> bool:
        """Whether trials can be compared after each epoch."""
        return self.name is None or self._in_core

    def value(self, outputs: NDArray[np.float32], truth: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """The value for outputs of a network, or probabilities of classes, in the unit of the table."""
        metric = self._metric()
        if self.target.labels is None:
            return float(metric(_numbers(self.target, truth), _numbers(self.target, outputs[:, 0]), weights))
        if self.target.task == "binary":
            return float(metric(truth.astype(np.float32), outputs[:, -1], weights))
        return float(metric(truth.astype(np.int32), outputs, weights))

    @property
    def shown(self) -> str | None:
        """The name of a row of scores that the usual ones lack; None if they have it."""
        return None if self.name is None or self._is_accuracy else self.name

    @property
    def _is_accuracy(self) -> bool:
        return self.target.labels is not None and self.name in ("accuracy", "acc")

    @property
    def _in_core(self) -> bool:
        return self.target.labels is not None or isinstance(self._metric(), _OF_ANY_UNIT)

    def _metric(self) -> Metric:
        return metrics.get(self.name, "metric")


def _numbers(target: Target, values: NDArray[Any]) -> NDArray[np.float32]:
    return (np.asarray(values, np.float64) * target.scale + target.mean).astype(np.float32)
