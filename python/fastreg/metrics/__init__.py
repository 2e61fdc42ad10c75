r"""The metrics that are reported besides the loss. These are descriptions; C++ computes them.

Every metric is exact over all rows of an epoch or an evaluation, never an average over batches. Those of
``compile(metrics=...)`` do not use the weights of rows, those of ``compile(weighted_metrics=...)`` do, as in Keras. The
key in the history is the string that was given (``"acc"``), or the name of the instance. A metric can be used outside
of a fit, too: see :class:`Metric`.

:math:`t` is the target, :math:`p` the output, :math:`w_i` the weight of row i, 1 where there are no weights. A row of
weight 0 does not count.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from fastreg.internal.checks import absent_names, describe
from fastreg.internal.description import Registry
from fastreg.internal.lazy_names import lazy_names
from fastreg.losses import Loss
from fastreg.metrics.base import FunctionMetric, Metric

if TYPE_CHECKING:
    from fastreg.losses import binary_focal_crossentropy as binary_focal_crossentropy
    from fastreg.losses import categorical_focal_crossentropy as categorical_focal_crossentropy
    from fastreg.losses import huber as huber
    from fastreg.metrics.accuracy import Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy
    from fastreg.metrics.classes import (
        BalancedAccuracy,
        CohenKappa,
        MatthewsCorrelation,
        SparseTopKCategoricalAccuracy,
        TopKCategoricalAccuracy,
    )
    from fastreg.metrics.correlations import (
        ConcordanceCorrelation,
        CosineSimilarity,
        ExplainedVariance,
        PearsonCorrelation,
        R2Score,
    )
    from fastreg.metrics.counts import (
        FalseNegatives,
        FalsePositives,
        Precision,
        Recall,
        Specificity,
        TrueNegatives,
        TruePositives,
    )
    from fastreg.metrics.curves import (
        AUC,
        PrecisionAtRecall,
        RecallAtPrecision,
        SensitivityAtSpecificity,
        SpecificityAtSensitivity,
    )
    from fastreg.metrics.errors import (
        LogCoshError,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanSquaredError,
        MeanSquaredLogarithmicError,
        MedianAbsoluteError,
        Poisson,
        RootMeanSquaredError,
    )
    from fastreg.metrics.f_scores import F1Score, FBetaScore
    from fastreg.metrics.functions import (
        binary_accuracy,
        binary_crossentropy,
        categorical_accuracy,
        categorical_crossentropy,
        categorical_hinge,
        concordance_correlation,
        deserialize,
        hinge,
        kl_divergence,
        log_cosh,
        mean_absolute_error,
        mean_absolute_percentage_error,
        mean_squared_error,
        mean_squared_logarithmic_error,
        pearson_correlation,
        poisson,
        serialize,
        sparse_categorical_accuracy,
        sparse_categorical_crossentropy,
        sparse_top_k_categorical_accuracy,
        squared_hinge,
        top_k_categorical_accuracy,
    )
    from fastreg.metrics.hinges import CategoricalHinge, Hinge, SquaredHinge
    from fastreg.metrics.loops import Mean, Sum
    from fastreg.metrics.probabilities import (
        BinaryCrossentropy,
        BrierScore,
        CategoricalCrossentropy,
        ExpectedCalibrationError,
        KLDivergence,
        SparseCategoricalCrossentropy,
    )
    from fastreg.metrics.wrapper import MeanMetricWrapper

__all__ = [
    "AUC",
    "Accuracy",
    "BalancedAccuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BrierScore",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CohenKappa",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "ExpectedCalibrationError",
    "ExplainedVariance",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MatthewsCorrelation",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "MedianAbsoluteError",
    "Metric",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "Specificity",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "names",
    "pearson_correlation",
    "poisson",
    "resolve",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

# The module that each metric lives in, with its names for compile. It is loaded when the metric is first used. A metric
# without a name has an argument that must be given.
_METRICS: dict[str, dict[str, str]] = {
    "accuracy": {
        "Accuracy": "",
        "BinaryAccuracy": "binary_accuracy",
        "CategoricalAccuracy": "categorical_accuracy",
        "SparseCategoricalAccuracy": "sparse_categorical_accuracy",
    },
    "classes": {
        "TopKCategoricalAccuracy": "top_k_categorical_accuracy",
        "SparseTopKCategoricalAccuracy": "sparse_top_k_categorical_accuracy",
        "BalancedAccuracy": "balanced_accuracy",
        "MatthewsCorrelation": "matthews_correlation matthews_corrcoef",
        "CohenKappa": "cohen_kappa kappa",
    },
    "counts": {
        "Precision": "precision",
        "Recall": "recall sensitivity",
        "Specificity": "specificity",
        "TruePositives": "true_positives",
        "TrueNegatives": "true_negatives",
        "FalsePositives": "false_positives",
        "FalseNegatives": "false_negatives",
    },
    "f_scores": {"FBetaScore": "fbeta_score", "F1Score": "f1_score f1"},
    "curves": {
        "AUC": "auc",
        "PrecisionAtRecall": "",
        "RecallAtPrecision": "",
        "SensitivityAtSpecificity": "",
        "SpecificityAtSensitivity": "",
    },
    "probabilities": {
        "BinaryCrossentropy": "binary_crossentropy bce",
        "CategoricalCrossentropy": "categorical_crossentropy",
        "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
        "BrierScore": "brier_score brier",
        "ExpectedCalibrationError": "expected_calibration_error ece",
        "KLDivergence": "kl_divergence kld",
    },
    "hinges": {"Hinge": "hinge", "SquaredHinge": "squared_hinge", "CategoricalHinge": "categorical_hinge"},
    "errors": {
        "MeanSquaredError": "mean_squared_error mse",
        "MeanAbsoluteError": "mean_absolute_error mae",
        "RootMeanSquaredError": "root_mean_squared_error rmse",
        "MeanAbsolutePercentageError": "mean_absolute_percentage_error mape",
        "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error msle",
        "MedianAbsoluteError": "median_absolute_error",
        "LogCoshError": "logcosh log_cosh",
        "Poisson": "poisson",
    },
    "correlations": {
        "CosineSimilarity": "cosine_similarity",
        "R2Score": "r2_score r2",
        "ExplainedVariance": "explained_variance",
        "PearsonCorrelation": "pearson_correlation",
        "ConcordanceCorrelation": "concordance_correlation",
    },
}
_REGISTERED = {name: module for module, found in _METRICS.items() for name in found}
_HOMES = _REGISTERED | {
    "Mean": "loops",
    "Sum": "loops",
    "MeanMetricWrapper": "wrapper",
    **{name: "functions" for name in __all__ if name.islower() and name not in ("get", "names", "resolve")},
    # Functions of losses, which Keras has here, too; there are no metrics of these names.
    **dict.fromkeys(("binary_focal_crossentropy", "categorical_focal_crossentropy", "huber"), "functions"),
}
# Metrics that need an argument, by their names in small letters.
_NOT_BY_NAME = {
    name.lower(): name
    for name in (*(cls for found in _METRICS.values() for cls, text in found.items() if not text), "MeanMetricWrapper")
    if name != "Accuracy"
}
# Names for the accuracy that fits the loss and the outputs.
_ACCURACY = ("accuracy", "acc")
_load = lazy_names(__name__, _HOMES, absent_names(__name__))
_REGISTRY: Registry[Metric] = Registry(
    "metric",
    Metric,
    {name: cls for found in _METRICS.values() for cls, names_ in found.items() for name in names_.split()},
    also=_ACCURACY,
    later=_REGISTERED,
    load=_load,
)

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)


def get(identifier: object, where: str = "metrics.get") -> Metric:
    """The metric for an argument: an instance, a name, which is then its key in the history, or a function.

    Example:
        >>> from fastreg import metrics
        >>> metrics.get("auc")
        AUC(curve='ROC', multi_label=False, name='auc')
    """
    if callable(identifier) and not isinstance(identifier, (type, Metric)):
        made: Metric = _load("MeanMetricWrapper")(identifier)
        return made
    if isinstance(identifier, FunctionMetric):
        return identifier
    if isinstance(identifier, str) and (cls := _NOT_BY_NAME.get(identifier.lower())):
        got = f"got the name {identifier!r}"
        raise ValueError(f"{where}: {cls} must be given its argument, as metrics.{cls}(...), {got}")
    if identifier in ("accuracy", "acc"):
        raise ValueError(
            f"{where}: which accuracy is meant is decided by the loss of compile; take BinaryAccuracy(), "
            f"CategoricalAccuracy() or SparseCategoricalAccuracy(), got {identifier!r}"
        )
    metric = _REGISTRY.resolve(where, identifier)
    return type(metric)(name=identifier) if isinstance(identifier, str) else metric


def names() -> list[str]:
    """Every name that ``compile(metrics=[...])`` takes, sorted.

    Example:
        >>> from fastreg import metrics
        >>> "rmse" in metrics.names()
        True
    """
    return list(_REGISTRY.known)


def listed(value: object, argument: str = "metrics") -> tuple[str | Metric, ...]:
    """The entries of an argument of ``compile`` with checked names. Raises an error for an entry that is no metric."""
    if value is None:
        return ()
    if isinstance(value, (str, Metric)) or callable(value):
        value = [value]
    if not isinstance(value, Iterable):
        raise TypeError(f"compile: {argument} must be a list of metrics or names, got {describe(value)}")
    entries: list[str | Metric] = []
    for entry in value:
        if isinstance(entry, str) and entry.lower() in _ACCURACY:
            entries.append(entry)
        else:
            entries.append(get(entry, f"compile: {argument}"))
    return tuple(entries)


def resolve(
    entries: Sequence[str | Metric], loss: Loss, n_outputs: int, weighted: Sequence[str | Metric] = ()
) -> list[Metric]:
    """Settles which accuracy is meant, as Keras does, and makes the keys differ (``mse``, ``mse_1``).

    Args:
        entries: What :func:`listed` gave.
        loss: Decides between the accuracies, with the number of outputs: one output is binary, labels are sparse.
        n_outputs: Units of the last layer.
        weighted: The same for the weighted metrics; they follow the others in the result. One whose name another metric
            has gets ``weighted_`` in front.

    Raises:
        ValueError: If a metric needs labels and the loss has none, or the reverse, or other outputs than there are, or
            a key is ``loss``, or a threshold is one of logits.
    """
    sparse = loss.targets == "labels"
    found: list[Metric] = []
    taken: set[str] = {"loss"}
    for i, entry in enumerate([*entries, *weighted]):
        metric = entry if isinstance(entry, Metric) else _accuracy(entry, sparse, n_outputs)
        if metric.targets not in ("labels" if sparse else "matrix", "any"):
            raise ValueError(
                f"compile: metric {metric.name!r} does not go with {type(loss).__name__}, whose targets are "
                f"{'labels' if sparse else 'numbers, not labels'}; 'accuracy' fits any loss"
            )
        if refusal := metric.refusal(n_outputs) or _threshold_of_logits(metric, loss):
            raise ValueError(f"compile: metric {metric.name!r} {refusal}")
        if metric.name == "loss" or metric.name.startswith("val_"):
            raise ValueError(f"compile: a metric's name must not be 'loss' or start with 'val_', got {metric.name!r}")
        name = f"weighted_{metric.name}" if i >= len(entries) and metric.name in taken else metric.name
        key, count = name, 0
        while key in taken:
            count += 1
            key = f"{name}_{count}"
        taken.add(key)
        found.append(metric.renamed(key) if key != metric.name else metric)
    return found


def _threshold_of_logits(metric: Metric, loss: Loss) -> str:
    """Why a metric cannot have its threshold beside a loss with ``from_logits``; an empty text if it can.

    In Keras metrics see the logits then, and programs ask for the threshold 0. Every probability is above it.
    """
    fields = vars(metric)
    for name in ("threshold", "thresholds"):
        if fields.get(name) == 0.0 and getattr(loss, "from_logits", False):
            return (
                f"must have {name} > 0, got 0.0: where the loss has from_logits=True, metrics see probabilities, "
                f"and {name}=0.5 means what 0 means for logits"
            )
    return ""


def _accuracy(name: str, sparse: bool, n_outputs: int) -> Metric:
    kind = "SparseCategorical" if sparse else "Binary" if n_outputs == 1 else "Categorical"
    made: Callable[..., Metric] = _load(f"{kind}Accuracy")
    return made(name)
