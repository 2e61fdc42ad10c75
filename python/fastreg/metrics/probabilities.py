"""Metrics of probabilities. Where the loss has ``from_logits``, the network's outputs are made into them first."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import AT_LEAST_ONE, CLOSED_FRACTION, check_name
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import AxisArguments, LabelArguments, MetricArguments, takes_keras_arguments
from fastreg.metrics.base import Metric, in_keras_order

__all__ = [
    "BinaryCrossentropy",
    "BrierScore",
    "CategoricalCrossentropy",
    "ExpectedCalibrationError",
    "KLDivergence",
    "SparseCategoricalCrossentropy",
]


@in_keras_order("name", "dtype", "from_logits", "label_smoothing")
@takes_keras_arguments
@dataclass(frozen=True)
class BinaryCrossentropy(Metric, AxisArguments):
    r"""The mean of :math:`-t \log p - (1 - t) \log(1 - p)` over units and rows: the log-loss of yes or no.

    Probabilities are brought into :math:`[10^{-7}, 1 - 10^{-7}]` first, as in Keras.

    Args:
        name: Key in the history.
        from_logits: Whether outputs are logits z, :math:`p = 1 / (1 + e^{-z})`; then nothing is brought into a range.
        label_smoothing: s in [0, 1]: :math:`t (1 - s) + s / 2` stands for t.

    Raises:
        ValueError: If ``label_smoothing`` is out of range or NaN.

    Example:
        >>> from fastreg import metrics
        >>> round(metrics.BinaryCrossentropy()([0, 1], [0.5, 0.5]), 4)
        0.6931
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "binary_crossentropy"
    from_logits: bool = False
    label_smoothing: Annotated[float, CLOSED_FRACTION] = 0.0


@in_keras_order("name", "dtype", "from_logits", "label_smoothing", "axis")
@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalCrossentropy(Metric, AxisArguments):
    r"""The mean over rows of :math:`-\sum_j t_j \log p_j`: the log-loss of one of k classes, with rows of targets.

    Outputs are divided by their sum, and then brought into :math:`[10^{-7}, 1 - 10^{-7}]`, as in Keras.

    Args:
        name: Key in the history.
        from_logits: Whether outputs are logits, whose softmax p is; then nothing is brought into a range.
        label_smoothing: s in [0, 1]: :math:`t (1 - s) + s / k` stands for t.

    Raises:
        ValueError: If ``label_smoothing`` is out of range or NaN.

    Example:
        >>> from fastreg import metrics
        >>> round(metrics.CategoricalCrossentropy()([[0, 1]], [[0.5, 0.5]]), 4)
        0.6931
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "categorical_crossentropy"
    from_logits: bool = False
    label_smoothing: Annotated[float, CLOSED_FRACTION] = 0.0


@in_keras_order("name", "dtype", "from_logits", "axis")
@takes_keras_arguments
@dataclass(frozen=True)
class SparseCategoricalCrossentropy(Metric, LabelArguments):
    r"""The mean over rows of :math:`-\log p_t`: the log-loss of one of k classes, with labels.

    Outputs are divided by their sum, and then brought into :math:`[10^{-7}, 1 - 10^{-7}]`, as in Keras.

    Args:
        name: Key in the history.
        from_logits: Whether outputs are logits, whose softmax p is; then nothing is brought into a range.

    Example:
        >>> from fastreg import metrics
        >>> round(metrics.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]), 4)
        0.6931
    """

    direction: ClassVar[str] = "min"
    targets: ClassVar[str] = "labels"
    name: Annotated[str, check_name] = "sparse_categorical_crossentropy"
    from_logits: bool = False


@takes_keras_arguments
@dataclass(frozen=True)
class BrierScore(Metric, MetricArguments):
    r"""The mean over rows of :math:`\sum_j (p_j - t_j)^2` (Brier 1950).

    With one output it is the mean of :math:`(p - t)^2`, in [0, 1]; with classes in several columns it is in [0, 2].

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.BrierScore()([0, 1], [0.5, 1.0])
        0.125
    """

    direction: ClassVar[str] = "min"
    targets: ClassVar[str] = "any"
    name: Annotated[str, check_name] = "brier_score"


@takes_keras_arguments
@dataclass(frozen=True)
class ExpectedCalibrationError(Metric, MetricArguments):
    r"""How far confidence is from the share of hits (Guo, Pleiss, Sun and Weinberger, ICML 2017).

    .. math:: \sum_b \frac{|b|}{n} \left| \mathrm{hits}(b) - \mathrm{confidence}(b) \right|

    over bins b of equal width on [0, 1]. With several outputs the confidence of a row is its largest output, and a hit
    is a row whose largest output is in the wanted column; with one output p is the confidence and t the hit. A value on
    the border of two bins is in the lower one.

    Args:
        num_bins: In [1, 65536).
        name: Key in the history.

    Raises:
        ValueError: If ``num_bins`` is out of range.

    Example:
        >>> from fastreg import metrics
        >>> metrics.ExpectedCalibrationError()([0, 1], [0.25, 0.75])
        0.25
    """

    direction: ClassVar[str] = "min"
    targets: ClassVar[str] = "any"
    num_bins: Annotated[int, AT_LEAST_ONE, 65536] = 15
    name: Annotated[str, check_name] = "expected_calibration_error"


@takes_keras_arguments
@dataclass(frozen=True)
class KLDivergence(Metric, MetricArguments):
    r"""The mean over rows of :math:`\sum_j t_j \log(t_j / p_j)`, the divergence of shares p from shares t.

    Both are brought into :math:`[10^{-7}, 1]` first.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]])
        0.0
    """

    direction: ClassVar[str] = "min"
    name: Annotated[str, check_name] = "kl_divergence"
