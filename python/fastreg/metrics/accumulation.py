"""The state of a metric outside of a fit: it converts arrays and keeps an object of the core that adds them up."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.internal.checks import describe
from fastreg.internal.dlpack import of_memory
from fastreg.internal.float32 import in_float32

__all__ = ["Accumulation", "rows_of", "same_form"]


class Accumulation:
    """The rows that a metric was given, as :class:`fastreg.metrics.Metric` describes it."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._state: _core.MetricState | None = None
        self._form: tuple[int, bool] | None = None

    def add(self, y_true: object, y_pred: object, sample_weight: object) -> None:
        """See :meth:`Metric.update_state`."""
        targets, outputs, weights = rows_of(self._metric, y_true, y_pred, sample_weight)
        form = same_form(self._metric, targets, outputs, self._form)
        state = self._made(*form) if self._state is None else self._state
        state.add(targets, outputs, weights)
        self._state, self._form = state, form  # only now: rows that are refused have no form to keep to

    def result(self) -> Any:
        """See :meth:`Metric.result`."""
        if self._state is None:
            state = self._made(max(1, self._metric.least_outputs), self._metric.targets == "labels")
        else:
            state = self._state
        values = state.values()
        return values[0] if len(values) == 1 else np.array(values)

    def _made(self, cols: int, labels: bool) -> _core.MetricState:
        if cols < self._metric.least_outputs:
            refusal = self._metric.refusal(cols).replace("the network", "y_pred")
            raise ValueError(f"{type(self._metric).__name__}: {refusal}")
        return _core.MetricState(json.dumps(self._metric.to_config()), cols, labels)


def same_form(
    metric: Any, targets: NDArray[Any], outputs: NDArray[Any], before: tuple[int, bool] | None
) -> tuple[int, bool]:
    """The number of columns, and whether targets are labels. Raises ValueError if rows before had another form."""
    form = (outputs.shape[1], targets.ndim == 1)
    if before not in (None, form):
        raise ValueError(
            f"{type(metric).__name__}: y_true and y_pred must have the form of those before, {_said(*before)}, got "
            f"{_said(*form)}; reset_state begins anew"
        )
    return form


def _said(cols: int, labels: bool) -> str:
    return f"{cols} columns with {'labels' if labels else 'a target for each'}"


def rows_of(
    metric: Any, y_true: object, y_pred: object, sample_weight: object = None
) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32] | None]:
    """Targets, as a matrix or as labels, outputs and weights as the core reads them.

    Raises:
        ValueError: If shapes do not go together, or labels are not whole numbers.
        TypeError: If an argument has no numbers.
    """
    owner = type(metric).__name__
    given = _numbers(owner, "y_pred", y_pred)
    outputs = given.reshape(-1, 1) if given.ndim < 2 else given.reshape(-1, given.shape[-1])
    rows, cols = outputs.shape
    targets = _numbers(owner, "y_true", y_true)
    as_labels = metric.targets == "labels" or (metric.targets == "any" and cols > 1 and targets.shape != given.shape)
    if as_labels:
        if targets.size != rows:
            raise ValueError(f"{owner}: y_true must be {rows} labels, one for each row, got shape {targets.shape}")
        labels = targets.reshape(-1)
        if labels.size and not bool(np.all((labels == np.floor(labels)) & (np.abs(labels) < 2**31))):
            raise ValueError(f"{owner}: y_true must be whole numbers, the columns of y_pred")
        found: NDArray[Any] = np.ascontiguousarray(labels, np.int32)
    elif targets.size == outputs.size and (targets.shape == given.shape or cols == 1):
        found = in_float32(targets.reshape(outputs.shape), f"{owner}: y_true")
    else:
        raise ValueError(f"{owner}: y_true must have the shape {given.shape} of y_pred, got {targets.shape}")
    outputs = in_float32(outputs, f"{owner}: y_pred")
    if sample_weight is None:
        return found, outputs, None
    weights = _numbers(owner, "sample_weight", sample_weight)
    if weights.size != rows and weights.size != 1:
        raise ValueError(f"{owner}: sample_weight must be {rows} numbers, one for each row, got shape {weights.shape}")
    weights = np.full(rows, weights.reshape(-1)[0]) if weights.size != rows else weights.reshape(-1)
    return found, outputs, in_float32(weights, f"{owner}: sample_weight")


def _numbers(owner: str, name: str, value: object) -> NDArray[Any]:
    array = np.asarray(of_memory(value, f"{owner}: {name}"))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{owner}: {name} must be numbers, got {describe(value)}")
    return array
