"""What decides between networks: the log-loss or the mean squared error, or the metric of ``--metric``.

A network learns a standardised number; metrics get numbers in the unit of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import metrics
from fastreg.metrics import Metric
from fastreg.table.calibration import LEAST
from fastreg.table.target import Target

__all__ = ["ChosenMetric"]

# Metrics that mean something for one number for each row.
_OF_NUMBERS = frozenset((
    *("CosineSimilarity", "ExplainedVariance", "LogCoshError", "MeanAbsoluteError", "MeanAbsolutePercentageError"),
    *("MeanSquaredError", "MeanSquaredLogarithmicError", "MedianAbsoluteError", "Poisson", "R2Score"),
    "RootMeanSquaredError",
))  # fmt: skip


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
        target = self.target
        if target.labels is None and self.name in ("accuracy", "acc"):
            raise ValueError(f"metric: {self.name!r} is for classes, and {target.name!r} is a number")
        metric = self._metric()
        outputs = len(target.labels or ()) if target.task == "multiclass" else 1
        if refusal := metric.refusal(outputs):
            raise ValueError(f"metric: {self.name!r} {refusal}")
        if metric.targets == ("matrix" if target.task == "multiclass" else "labels"):
            raise ValueError(f"metric: {self.name!r} does not go with a {target.task} target")
        if target.labels is None and type(metric).__name__ not in _OF_NUMBERS:
            raise ValueError(f"metric: {self.name!r} is for classes, and {target.name!r} is a number")

    @property
    def title(self) -> str:
        """The name of the metric that decides."""
        return self.name or ("RMSE" if self.target.labels is None else "log-loss")

    @property
    def sign(self) -> float:
        """-1 where a higher value is better, else 1."""
        return 1.0 if self.name is None or self._metric().direction == "min" else -1.0

    def parts(self, outputs: NDArray[np.float32], truth: NDArray[Any]) -> NDArray[np.float32]:
        """What :meth:`loss` needs of the outputs of a network. The mean of the parts is that of the mean outputs."""
        if self.name is not None or self.target.labels is None:
            return outputs
        if truth.dtype.kind == "f":
            return outputs if outputs.shape[1] > 1 else np.column_stack([1.0 - outputs[:, 0], outputs[:, 0]])
        if outputs.shape[1] == 1:
            return np.where(truth == 1, outputs[:, 0], 1.0 - outputs[:, 0]).astype(np.float32)
        own: NDArray[np.float32] = outputs[np.arange(len(truth)), truth]
        return own

    def loss(self, parts: NDArray[Any], truth: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """What is the smaller the better, for mean parts of outputs; a squared error is one of standardised numbers.

        For soft targets of classes it is the cross-entropy, the log-loss where they are 0 and 1.
        """
        if self.name is not None:
            return self.sign * self.value(np.asarray(parts, np.float32), truth, weights)
        if self.target.labels is None:
            return float(np.average((parts[:, 0] - truth) ** 2, weights=weights))
        losses = -np.log(np.maximum(parts, LEAST))
        if truth.dtype.kind == "f":
            shares = truth if truth.ndim == 2 else np.column_stack([1.0 - truth, truth])
            losses = np.sum(shares * losses, axis=1, dtype=np.float64)
        return float(np.average(losses, weights=weights))

    def shown_loss(self, loss: float) -> float:
        """The value of the metric that a loss stands for: in the unit of the table, and with its usual sign."""
        if self.name is None and self.target.labels is None:
            return self.target.scale * float(np.sqrt(loss))
        return self.sign * loss

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

    def _metric(self) -> Metric:
        return metrics.get(self._resolved(), "metric")

    def _resolved(self) -> str | None:
        if not self._is_accuracy:
            return self.name
        return "binary_accuracy" if self.target.task == "binary" else "sparse_categorical_accuracy"


def _numbers(target: Target, values: NDArray[Any]) -> NDArray[np.float32]:
    return (np.asarray(values, np.float64) * target.scale + target.mean).astype(np.float32)
