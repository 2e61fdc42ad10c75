"""Functions of Python as metrics."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import check_choice, check_name, describe
from fastreg.metrics.base import FunctionMetric

__all__ = ["MeanMetricWrapper"]

_HIGH_IS_GOOD = ("acc", "accuracy", "score", "auc", "precision", "recall")


class MeanMetricWrapper(FunctionMetric):
    """A function of Python as a metric; ``compile(metrics=[function])`` makes one.

    The function is called once for an epoch or an evaluation, with the targets and outputs of all its rows, so that the
    value is exact. Outputs are float32 (rows, outputs), as ``predict`` returns them; targets are float32 of the same
    shape, or int32 labels (rows,). The rows of an epoch of training are in the order in which they were trained. What
    the function returns is either one number, which is the value, or an array with a number or a row of numbers for
    each row, whose mean (weighted as a weighted metric) is the value. It is called on the thread that called ``fit``,
    and may use the model. If it raises an exception, the epoch does not count.

    A file of a model cannot hold a function: a saved model lacks such metrics.

    Args:
        fn: A function of ``(y_true, y_pred)``.
        name: Key in the history; None is the function's name.
        dtype: None or ``"float32"``, which is what there is.
        direction: ``"max"`` if high values are good, ``"min"`` if low ones are. None: the attribute ``direction`` of
            the function, or else max for a name that ends in acc, accuracy, score, auc, precision or recall, and min
            for others.
        **kwargs: Further arguments of the function, by name.

    Raises:
        TypeError: If ``fn`` cannot be called, or what it returns is not numbers.
        ValueError: If it has no name and none is given, ``direction`` is another word, or it returns an array of
            another number of rows.

    Example:
        >>> import numpy as np
        >>> from fastreg import metrics
        >>> def largest_error(y_true, y_pred):
        ...     return np.abs(y_true - y_pred).max()
        >>> metric = metrics.MeanMetricWrapper(largest_error)
        >>> metric.name, metric.direction
        ('largest_error', 'min')
        >>> metric([0, 0], [1.5, -2])
        2.0
    """

    targets: ClassVar[str] = "any"
    fn: Callable[..., Any]
    kwargs: tuple[tuple[str, Any], ...]

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: object = None,
        direction: Literal["min", "max"] | None = None,
        **kwargs: Any,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"MeanMetricWrapper: fn must be a function, got {describe(fn)}")
        if dtype not in (None, "float32", np.float32):
            raise ValueError(f"MeanMetricWrapper: dtype must be None or 'float32', got {describe(dtype)}")
        found = getattr(fn, "__name__", type(fn).__name__) if name is None else name
        check_name("MeanMetricWrapper", "name", found)
        if direction is None:
            words = found.lower().rpartition("_")[2]
            direction = getattr(fn, "direction", None) or ("max" if words in _HIGH_IS_GOOD else "min")
        check_choice("MeanMetricWrapper", "direction", direction, ("min", "max"))
        self._set(fn=fn, name=found, direction=direction, kwargs=tuple(sorted(kwargs.items())))

    def __eq__(self, other: object) -> bool:
        return type(other) is MeanMetricWrapper and self._told() == other._told()

    def __hash__(self) -> int:
        return hash(self._told()[:3])

    def __repr__(self) -> str:
        return f"MeanMetricWrapper({getattr(self.fn, '__qualname__', self.fn)}, name={self.name!r})"

    def _told(self) -> tuple[Any, ...]:
        return (self.fn, self.name, self.direction, self.kwargs)

    def renamed(self, name: str) -> "MeanMetricWrapper":
        """The same metric under another name."""
        direction: Any = self.direction
        return MeanMetricWrapper(self.fn, name, direction=direction, **dict(self.kwargs))

    def to_config(self) -> dict[str, Any]:
        """Raises TypeError: a function has no JSON form."""
        raise TypeError(f"metric {self.name!r}: a function of Python cannot be written down")

    def value(self, y_true: NDArray[Any], y_pred: NDArray[np.float32], weights: NDArray[np.float32] | None) -> float:
        """The value for some rows, or for all rows of an epoch."""
        returned = self.fn(y_true, y_pred, **dict(self.kwargs))
        found = np.asarray(returned)
        if found.dtype.kind not in "biuf":
            raise TypeError(f"metric {self.name!r}: the function must return numbers, got {describe(returned)}")
        if found.ndim == 0:
            return float(found)
        if len(found) != len(y_pred):
            raise ValueError(
                f"metric {self.name!r}: the function must return one number, or one for each of {len(y_pred)} rows, "
                f"got shape {found.shape}"
            )
        rows = found.reshape(len(found), -1).mean(axis=1, dtype=np.float64)
        if weights is None:
            return float(rows.mean())
        counted = weights != 0.0
        return float(np.average(rows[counted], weights=weights[counted])) if counted.any() else 0.0

    def _accumulation(self) -> Any:
        found = self.__dict__.get("_state")
        if found is None:
            found = _Rows(self)
            object.__setattr__(self, "_state", found)
        return found


class _Rows:
    """The rows that a function was given outside of a fit."""

    def __init__(self, metric: MeanMetricWrapper) -> None:
        self._metric = metric
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._form: tuple[int, bool] | None = None

    def add(self, y_true: object, y_pred: object, sample_weight: object) -> None:
        """See :meth:`Metric.update_state`."""
        from fastreg.metrics.accumulation import rows_of, same_form

        targets, outputs, weights = rows_of(self._metric, y_true, y_pred, sample_weight)
        if weights is not None and not (good := np.isfinite(weights) & (weights >= 0.0)).all():
            bad = float(weights[np.argmin(good)])
            raise ValueError(f"metric {self._metric.name!r}: sample_weight must be finite and >= 0, got {bad!r}")
        self._form = same_form(self._metric, targets, outputs, self._form)
        self._parts.append((targets, outputs, np.ones(len(outputs), np.float32) if weights is None else weights))

    def result(self) -> float:
        """See :meth:`Metric.result`; 0 without rows."""
        if not self._parts:
            return 0.0
        targets, outputs, weights = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        return self._metric.value(targets, outputs, weights)
