"""Metrics as functions that return a value for each row, as Keras has them, and the dicts of metrics.

``y_true`` and ``y_pred`` are arrays (rows, outputs); a row of one dimension, (rows,), is taken as (rows, 1). Labels are
(rows,) or (rows, 1). The result has one float32 for each row; its mean is the metric of that name.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import _core, metrics
from fastreg.internal.checks import describe
from fastreg.losses import binary_focal_crossentropy as binary_focal_crossentropy
from fastreg.losses import categorical_focal_crossentropy as categorical_focal_crossentropy
from fastreg.losses import huber as huber
from fastreg.metrics.accumulation import rows_of
from fastreg.metrics.base import Metric

__all__ = [
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "hinge",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

Rows = NDArray[np.float32]


def _rows(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    targets, outputs, _ = rows_of(metric, y_true, y_pred)
    return _core.metric_rows(json.dumps(metric.to_config()), targets, outputs)


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Rows:
    """The share of right outputs of each row; see :class:`fastreg.metrics.BinaryAccuracy`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.binary_accuracy([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.4]])
        array([1. , 0.5], dtype=float32)
    """
    return _rows(metrics.BinaryAccuracy(threshold=threshold), y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Rows:
    """The cross-entropy of each row; see :class:`fastreg.metrics.BinaryCrossentropy`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.binary_crossentropy([1, 0], [0.5, 0.0]).round(3)
        array([0.693, 0.   ], dtype=float32)
    """
    if axis not in (-1, 1):
        raise ValueError(f"binary_crossentropy: axis must be -1 or 1, got {axis!r}")
    return _rows(metrics.BinaryCrossentropy(from_logits=from_logits, label_smoothing=label_smoothing), y_true, y_pred)


def categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Rows:
    """The cross-entropy of each row; see :class:`fastreg.metrics.CategoricalCrossentropy`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.categorical_crossentropy([[1, 0], [0, 1]], [[0.5, 0.5], [0.0, 1.0]]).round(3)
        array([0.693, 0.   ], dtype=float32)
    """
    metric = metrics.CategoricalCrossentropy(from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)
    return _rows(metric, y_true, y_pred)


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The mean squared error of each row; see :class:`fastreg.metrics.MeanSquaredError`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.mean_squared_error([[0.0, 2.0], [1.0, 1.0]], [[1.0, 5.0], [1.0, 1.0]])
        array([5., 0.], dtype=float32)
    """
    return _rows(metrics.MeanSquaredError(), y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The mean absolute error of each row; see :class:`fastreg.metrics.MeanAbsoluteError`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.mean_absolute_error([[0.0, 2.0], [1.0, 1.0]], [[1.0, 5.0], [1.0, 1.0]])
        array([2., 0.], dtype=float32)
    """
    return _rows(metrics.MeanAbsoluteError(), y_true, y_pred)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The mean absolute error in per cent of each row; see :class:`fastreg.metrics.MeanAbsolutePercentageError`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.mean_absolute_percentage_error([2.0, 4.0], [1.0, 5.0])
        array([50., 25.], dtype=float32)
    """
    return _rows(metrics.MeanAbsolutePercentageError(), y_true, y_pred)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The mean squared error of logarithms of each row; see :class:`fastreg.metrics.MeanSquaredLogarithmicError`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.mean_squared_logarithmic_error([0.0, 3.0], [0.0, 1.0]).round(3)
        array([0.  , 0.48], dtype=float32)
    """
    return _rows(metrics.MeanSquaredLogarithmicError(), y_true, y_pred)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The mean log-cosh of the errors of each row; see :class:`fastreg.metrics.LogCoshError`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.log_cosh([0.0, 1.0], [0.0, 3.0]).round(3)
        array([0.   , 1.325], dtype=float32)
    """
    return _rows(metrics.LogCoshError(), y_true, y_pred)


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The Poisson loss of each row, p - t log(p + 1e-7); see :class:`fastreg.metrics.Poisson`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.poisson([1.0, 0.0], [1.0, 2.0]).round(3)
        array([1., 2.], dtype=float32)
    """
    return _rows(metrics.Poisson(), y_true, y_pred)


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The divergence of each row; see :class:`fastreg.metrics.KLDivergence`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.kl_divergence([[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]]).round(3)
        array([0.   , 0.693], dtype=float32)
    """
    return _rows(metrics.KLDivergence(), y_true, y_pred)


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The mean hinge of each row; see :class:`fastreg.metrics.Hinge`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.hinge([1, -1], [0.5, -2.0])
        array([0.5, 0. ], dtype=float32)
    """
    return _rows(metrics.Hinge(), y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The mean squared hinge of each row; see :class:`fastreg.metrics.SquaredHinge`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.squared_hinge([1, -1], [0.5, -2.0])
        array([0.25, 0.  ], dtype=float32)
    """
    return _rows(metrics.SquaredHinge(), y_true, y_pred)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """The hinge of each row; see :class:`fastreg.metrics.CategoricalHinge`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.categorical_hinge([[1, 0], [0, 1]], [[2.0, 0.5], [0.5, 1.0]])
        array([0. , 0.5], dtype=float32)
    """
    return _rows(metrics.CategoricalHinge(), y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Rows:
    """The cross-entropy of each row; see :class:`fastreg.metrics.SparseCategoricalCrossentropy`.

    Rows whose label is ``ignore_class`` have the value 0.

    Example:
        >>> from fastreg import metrics
        >>> metrics.sparse_categorical_crossentropy([0, 1], [[0.5, 0.5], [0.0, 1.0]]).round(3)
        array([0.693, 0.   ], dtype=float32)
    """
    metric = metrics.SparseCategoricalCrossentropy(from_logits=from_logits, axis=axis)
    if ignore_class is None:
        return _rows(metric, y_true, y_pred)
    labels, counted = np.asarray(y_true), np.asarray(y_true) != ignore_class
    values = _rows(metric, np.where(counted, labels, 0), y_pred)
    return np.where(counted.reshape(-1), values, np.float32(0.0))


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """Whether the largest output of each row is in the column of its largest target, as 1 or 0.

    Example:
        >>> from fastreg import metrics
        >>> metrics.categorical_accuracy([[1, 0], [0, 1]], [[0.7, 0.3], [0.6, 0.4]])
        array([1., 0.], dtype=float32)
    """
    targets, outputs, _ = rows_of(metrics.CategoricalAccuracy(), y_true, y_pred)
    return np.asarray(targets.argmax(axis=1) == outputs.argmax(axis=1), np.float32)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Rows:
    """Whether the largest output of each row is in the column of its label, as 1 or 0.

    Example:
        >>> from fastreg import metrics
        >>> metrics.sparse_categorical_accuracy([0, 1], [[0.7, 0.3], [0.6, 0.4]])
        array([1., 0.], dtype=float32)
    """
    labels, outputs, _ = rows_of(metrics.SparseCategoricalAccuracy(), y_true, y_pred)
    return np.asarray(labels == outputs.argmax(axis=1), np.float32)


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Rows:
    """Whether the output of the wanted column is among the k largest of each row, as 1 or 0.

    Example:
        >>> from fastreg import metrics
        >>> metrics.top_k_categorical_accuracy([[0, 1, 0], [0, 0, 1]], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], k=2)
        array([1., 0.], dtype=float32)
    """
    targets, outputs, _ = rows_of(metrics.TopKCategoricalAccuracy(k), y_true, y_pred)
    return _among_largest(targets.argmax(axis=1), outputs, k)


def sparse_top_k_categorical_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, k: int = 5, from_sorted_ids: bool = False
) -> Rows:
    """Whether the output of the label is among the k largest of each row, as 1 or 0.

    With ``from_sorted_ids`` ``y_pred`` has columns in descending order of their outputs instead of outputs.

    Example:
        >>> from fastreg import metrics
        >>> metrics.sparse_top_k_categorical_accuracy([1, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], k=2)
        array([1., 0.], dtype=float32)
    """
    metric = metrics.SparseTopKCategoricalAccuracy(k)
    if from_sorted_ids:
        labels = np.asarray(y_true).reshape(-1, 1)
        return np.asarray((np.asarray(y_pred)[:, :k] == labels).any(axis=1), np.float32)
    labels, outputs, _ = rows_of(metric, y_true, y_pred)
    return _among_largest(labels, outputs, k)


def _among_largest(wanted: NDArray[Any], outputs: Rows, k: int) -> Rows:
    of_wanted = np.take_along_axis(outputs, wanted.reshape(-1, 1).astype(np.intp), axis=1)
    return np.asarray((outputs > of_wanted).sum(axis=1) < k, np.float32)


def pearson_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """The correlation of each row (``axis=-1``) or of each column (0).

    See :class:`fastreg.metrics.PearsonCorrelation`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.pearson_correlation([[1, 2, 3], [1, 2, 3]], [[2, 4, 6], [3, 2, 1]])
        array([ 1., -1.])
    """
    t, p = _centred(y_true, y_pred, axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((t * p).sum(axis) / np.sqrt((t * t).sum(axis) * (p * p).sum(axis)))


def concordance_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """The concordance of each row (``axis=-1``) or of each column (0).

    See :class:`fastreg.metrics.ConcordanceCorrelation`.

    Example:
        >>> from fastreg import metrics
        >>> metrics.concordance_correlation([[1, 2, 3], [1, 2, 3]], [[1, 2, 3], [3, 2, 1]])
        array([ 1., -1.])
    """
    t, p = _centred(y_true, y_pred, axis)
    shift = np.mean(np.asarray(y_true, np.float64), axis) - np.mean(np.asarray(y_pred, np.float64), axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(2.0 * (t * p).mean(axis) / ((t * t).mean(axis) + (p * p).mean(axis) + shift * shift))


def _centred(y_true: ArrayLike, y_pred: ArrayLike, axis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    t, p = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    if t.shape != p.shape:
        raise ValueError(f"y_true must have the shape {p.shape} of y_pred, got {t.shape}")
    return t - t.mean(axis, keepdims=True), p - p.mean(axis, keepdims=True)


def serialize(metric: Metric) -> dict[str, Any]:
    """A metric as a dict of plain values, ``{"class_name": ..., "config": {...}}``.

    Example:
        >>> from fastreg import metrics
        >>> metrics.serialize(metrics.FBetaScore("micro", beta=2.0))["class_name"]
        'FBetaScore'
    """
    config = metrics.get(metric, "metrics.serialize").to_config()
    return {"class_name": config.pop("type"), "config": config}


def deserialize(config: Mapping[str, Any] | str, custom_objects: None = None) -> Metric:
    """The metric of a dict that :func:`serialize` made, or of a name.

    Raises:
        ValueError: If the dict is not one of a metric, or ``custom_objects`` is given: there are only fastreg's own.

    Example:
        >>> from fastreg import metrics
        >>> metrics.deserialize(metrics.serialize(metrics.AUC())).name
        'auc'
    """
    if custom_objects:
        raise ValueError(f"deserialize: custom_objects must be None, got {describe(custom_objects)}")
    if isinstance(config, str):
        return metrics.get(config, "metrics.deserialize")
    given: Any = config
    if not isinstance(given, Mapping) or not isinstance(given.get("config"), Mapping):
        raise ValueError(f"deserialize: config must be of a metric, got {describe(config)}")
    return metrics.get({"type": given.get("class_name"), **given["config"]}, "metrics.deserialize")
