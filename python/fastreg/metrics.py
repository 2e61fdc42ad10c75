r"""The metrics that are reported besides the loss. These are descriptions; C++ accumulates them over an epoch.

As Keras's ``metrics=``, metrics do not use the weights of rows. :math:`t` is the target, :math:`p` the output.
The key in the history is the string that was given (``"acc"``), or the name of the instance.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from fastreg.internal.checks import Range, absent_names, check_name, describe
from fastreg.internal.dataclasses import dataclass, replace
from fastreg.internal.description import Description, Registry
from fastreg.internal.keras_arguments import BinaryAccuracyArguments, MetricArguments, takes_keras_arguments
from fastreg.losses import Loss

__all__ = [
    "AUC",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "F1Score",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "SparseCategoricalAccuracy",
    "get",
    "names",
    "resolve",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)


_THRESHOLD = Range("be in (0, 1]", 0.0, 1.0, "(]")


class Metric(Description):
    """The base class of the metrics; anything that ``compile(metrics=[...])`` accepts."""

    # The better direction, "max" or "min". mode="auto" of EarlyStopping uses it.
    direction: ClassVar[str]
    # The form of the targets: a "matrix"; "labels", which requires a loss on labels; or "any" of both.
    targets: ClassVar[str] = "matrix"
    name: Annotated[str, check_name]

    @property
    def outputs(self) -> int | None:
        """How many outputs the network must have; None is any number."""
        return None


@takes_keras_arguments
@dataclass(frozen=True)
class BinaryAccuracy(Metric, BinaryAccuracyArguments):
    """The fraction of outputs, over units and rows, for which ``p > 0.5`` equals ``t > 0.5``.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.BinaryAccuracy()
        BinaryAccuracy(name='binary_accuracy')
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "binary_accuracy"


@takes_keras_arguments
@dataclass(frozen=True)
class CategoricalAccuracy(Metric, MetricArguments):
    """The fraction of rows whose largest output is in the same column as the largest target.

    If outputs are equal, the first one counts.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.CategoricalAccuracy(name="acc")
        CategoricalAccuracy(name='acc')
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "categorical_accuracy"


@takes_keras_arguments
@dataclass(frozen=True)
class SparseCategoricalAccuracy(Metric, MetricArguments):
    """The fraction of rows whose largest output is in the column of the label. If outputs are equal, the first counts.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.SparseCategoricalAccuracy(name="acc")
        SparseCategoricalAccuracy(name='acc')
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "labels"
    name: Annotated[str, check_name] = "sparse_categorical_accuracy"


@takes_keras_arguments
@dataclass(frozen=True)
class MeanSquaredError(Metric, MetricArguments):
    r"""The mean of :math:`(p - t)^2` over units and rows. It does not include the penalties, as the loss does.

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
    r"""The mean of :math:`|p - t|` over units and rows.

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
class AUC(Metric, MetricArguments):
    r"""Area under the receiver operating characteristic of a single output, exact (Keras's is an approximation).

    .. math:: \frac{1}{P N} \sum_{t_i > 0.5} \sum_{t_j \le 0.5} \left( [p_i > p_j] + \tfrac12 [p_i = p_j] \right)

    with P positive rows (t > 0.5) and N others. It is the probability that a positive row has a larger output than
    another row. It is NaN if there are no positive rows or no others, or if an output is NaN. Like every metric, it
    does not use the weights of rows. The outputs of all rows of an epoch are kept until its end and are then sorted.

    Args:
        name: Key in the history.

    Example:
        >>> from fastreg import metrics
        >>> metrics.get("auc")
        AUC(name='auc')
    """

    direction: ClassVar[str] = "max"
    name: Annotated[str, check_name] = "auc"

    @property
    def outputs(self) -> int:
        """One."""
        return 1


@takes_keras_arguments
@dataclass(frozen=True)
class F1Score(Metric, MetricArguments):
    r"""F1, the harmonic mean of precision and recall, exact over all rows of an epoch.

    .. math:: F_1 = \frac{2\, TP}{2\, TP + FP + FN}

    of each output (class) j, from its true positives :math:`TP`, false positives :math:`FP` and false negatives
    :math:`FN` among all rows; it is 0 for a class that is neither predicted nor actual. A row is actually positive for
    j if :math:`t_j > 0.5`, or if its label is j.

    Keras's ``average=None`` gives a number for each class. A history holds one number for each epoch, so here a network
    of several outputs needs one of the averages; of one output (yes or no) None is the F1 of yes.

    Args:
        average: ``"micro"``: F1 of the counts of all classes together. ``"macro"``: the mean of the classes' F1.
            ``"weighted"``: their mean weighted by the number of actual positives. None: there is one output.
        threshold: In (0, 1]. A row is predicted positive for j if :math:`p_j` is larger, so that it may have several
            classes. None: the class of its largest output, of equal ones the first; for one output 0.5.
        name: Key in the history.

    Raises:
        ValueError: If ``average`` is another name, ``threshold`` is out of range or NaN, or ``name`` is empty; by
            ``compile`` if ``average`` is None and the network has several outputs.

    Example:
        >>> from fastreg import metrics
        >>> metrics.F1Score("macro")
        F1Score(average='macro', threshold=None, name='f1_score')
    """

    direction: ClassVar[str] = "max"
    targets: ClassVar[str] = "any"
    average: Literal["micro", "macro", "weighted"] | None = None
    threshold: Annotated[float, _THRESHOLD] | None = None
    name: Annotated[str, check_name] = "f1_score"

    @property
    def outputs(self) -> int | None:
        """One if there is no average."""
        return 1 if self.average is None else None


# Names for the accuracy that fits the loss and the outputs.
_ACCURACY = ("accuracy", "acc")
_REGISTRY: Registry[Metric] = Registry(
    "metric",
    Metric,
    {
        "auc": AUC,
        "f1_score": F1Score,
        "binary_accuracy": BinaryAccuracy,
        "categorical_accuracy": CategoricalAccuracy,
        "sparse_categorical_accuracy": SparseCategoricalAccuracy,
        "mean_squared_error": MeanSquaredError,
        "mse": MeanSquaredError,
        "mean_absolute_error": MeanAbsoluteError,
        "mae": MeanAbsoluteError,
    },
    also=_ACCURACY,
)


def get(value: object, where: str = "metrics.get") -> Metric:
    """The metric for an argument: an instance, or a name, which is then its key in the history."""
    metric = _REGISTRY.resolve(where, value)
    return type(metric)(name=value) if isinstance(value, str) else metric  # type: ignore[call-arg]


def names() -> list[str]:
    """Every name that ``compile(metrics=[...])`` takes, sorted."""
    return list(_REGISTRY.known)


def listed(value: object) -> tuple[str | Metric, ...]:
    """The entries of ``compile(metrics=...)`` with checked names. Raises an error for an entry that is not a metric."""
    if value is None:
        return ()
    if isinstance(value, (str, Metric)):
        value = [value]
    if not isinstance(value, Iterable):
        raise TypeError(f"compile: metrics must be a list of metrics or names, got {describe(value)}")
    entries: list[str | Metric] = []
    for entry in value:
        if isinstance(entry, str) and entry.lower() in _ACCURACY:
            entries.append(entry)
        else:
            entries.append(get(entry, "compile: metrics"))
    return tuple(entries)


def resolve(entries: Sequence[str | Metric], loss: Loss, n_outputs: int) -> list[Metric]:
    """Settles which accuracy is meant, as Keras does, and makes the keys differ (``mse``, ``mse_1``).

    Args:
        entries: What :func:`listed` gave.
        loss: Decides between the accuracies, with the number of outputs: one output is binary, labels are sparse.
        n_outputs: Units of the last layer.

    Raises:
        ValueError: If a metric needs labels and the loss has none, or the reverse, or other outputs than there are, or
            a key is ``loss``.
    """
    sparse = loss.targets == "labels"
    found: list[Metric] = []
    taken: set[str] = {"loss"}
    for entry in entries:
        if isinstance(entry, Metric):
            metric = entry
        elif sparse:
            metric = SparseCategoricalAccuracy(entry)
        else:
            metric = BinaryAccuracy(entry) if n_outputs == 1 else CategoricalAccuracy(entry)
        if metric.targets not in ("labels" if sparse else "matrix", "any"):
            raise ValueError(
                f"compile: metric {metric.name!r} does not go with {type(loss).__name__}, whose targets are "
                f"{'labels' if sparse else 'numbers, not labels'}; 'accuracy' fits any loss"
            )
        if metric.outputs not in (None, n_outputs):
            raise ValueError(
                f"compile: metric {metric.name!r} needs {metric.outputs} output, the network has {n_outputs}"
            )
        if metric.name == "loss" or metric.name.startswith("val_"):
            raise ValueError(f"compile: a metric's name must not be 'loss' or start with 'val_', got {metric.name!r}")
        key, count = metric.name, 0
        while key in taken:
            count += 1
            key = f"{metric.name}_{count}"
        taken.add(key)
        found.append(replace(cast(Any, metric), name=key) if key != metric.name else metric)
    return found
