"""The base of the metrics: what a metric is for a fit, and how it is used without one. It knows no single metric."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, cast

from fastreg.internal.checks import CLOSED_FRACTION, NON_NEGATIVE, WIDTH_LIMIT, Range, check_name
from fastreg.internal.dataclasses import replace
from fastreg.internal.description import Description

if TYPE_CHECKING:
    from fastreg.metrics.accumulation import Accumulation

__all__ = [
    "AverageName",
    "ClassId",
    "CountThreshold",
    "FunctionMetric",
    "Metric",
    "Threshold",
    "in_keras_order",
    "outputs_text",
]

T = TypeVar("T", bound=type)

# A limit that an output must exceed to be positive; 0 would be exceeded by every probability.
Threshold = Annotated[float, Range("be in (0, 1]", 0.0, 1.0, "(]")]
# The same with 0, as Keras has it for counts of positive outputs.
CountThreshold = Annotated[float, CLOSED_FRACTION]
# How the values of columns become one.
AverageName = Literal["micro", "macro", "weighted"]
# The index of a column.
ClassId = Annotated[int, NON_NEGATIVE, WIDTH_LIMIT]


class Metric(Description):
    """The base class of the metrics; anything that ``compile(metrics=[...])`` accepts.

    A metric is a description, which can be compared, and is the same in every fit. Outside of a fit it also has a
    state, which is not part of the description: :meth:`update_state` adds rows to it, :meth:`result` is the value of
    all rows since it was made or :meth:`reset_state` was called, and calling a metric does both. The core computes, as
    in a fit, in float32 for each row and in float64 for sums.

    ``y_pred`` is an array (rows, outputs), or (rows,) for one output; further dimensions in front count as rows.
    ``y_true`` has the same shape, or for metrics of labels (rows,) or (rows, 1). ``sample_weight`` is None or has a
    weight >= 0 for each row.

    Example:
        >>> from fastreg import metrics
        >>> metric = metrics.AUC()
        >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> metric.result()
        0.75
        >>> metric([1], [0.9])
        0.8333333333333334
        >>> metric.reset_state()
    """

    _internal: ClassVar[frozenset[str]] = frozenset(("least_outputs", "outputs", "refusal", "renamed"))

    # The better direction, "max" or "min". mode="auto" of EarlyStopping uses it.
    direction: ClassVar[str]
    # The form of the targets: a "matrix"; "labels", which requires a loss on labels; or "any" of both.
    targets: ClassVar[str] = "matrix"
    name: Annotated[str, check_name]

    @property
    def outputs(self) -> int | None:
        """How many outputs a network must have; None is any number."""
        return None

    @property
    def least_outputs(self) -> int:
        """How many outputs there must be at least."""
        return 1

    def refusal(self, n_outputs: int) -> str:
        """Why a network of so many outputs cannot have this metric; an empty text if it can."""
        if self.outputs is not None and self.outputs != n_outputs:
            return f"needs {outputs_text(self.outputs)}, the network has {n_outputs}"
        if n_outputs < self.least_outputs:
            return f"needs at least {outputs_text(self.least_outputs)}, the network has {n_outputs}"
        return ""

    def renamed(self: "MetricType", name: str) -> "MetricType":
        """The same metric under another name."""
        return cast("MetricType", replace(cast(Any, self), name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds rows to the state.

        Raises:
            ValueError: If shapes do not go together, a label is no column, or a weight is negative or not finite.
            TypeError: If an argument has no numbers.
        """
        self._accumulation().add(y_true, y_pred, sample_weight)

    def result(self) -> Any:
        """The value for all rows of the state: a float, or an array with one for each output if it has no average."""
        return self._accumulation().result()

    def reset_state(self) -> None:
        """Forgets all rows."""
        object.__setattr__(self, "_state", None)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Adds rows to the state, and returns the value for all rows of it."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def _accumulation(self) -> "Accumulation":
        if self.__dict__.get("_state") is None:
            from fastreg.metrics.accumulation import Accumulation as Made

            object.__setattr__(self, "_state", Made(self))
        return cast("Accumulation", self.__dict__["_state"])

    def __getstate__(self) -> dict[str, Any]:
        # A copy is the description, without the state.
        return {name: value for name, value in self.__dict__.items() if name != "_state"}


class FunctionMetric(Metric):
    """The base of metrics that are computed in Python."""

    def value(self, y_true: Any, y_pred: Any, weights: Any) -> float:
        """The value for the targets, outputs and weights of all rows; no weights are None."""
        raise NotImplementedError


MetricType = TypeVar("MetricType", bound=Metric)


def outputs_text(count: int) -> str:
    """``"1 output"``, ``"2 outputs"``."""
    return f"{count} output{'' if count == 1 else 's'}"


def in_keras_order(*names: str) -> Callable[[T], T]:
    """Lets a constructor take its arguments by position in the order of Keras, which has further ones among them."""

    def ordered(cls: T) -> T:
        made: Callable[..., None] = cls.__init__  # type: ignore[misc]

        @wraps(made)
        def __init__(self: object, *args: Any, **kwargs: Any) -> None:
            if len(args) > len(names):
                raise TypeError(f"{cls.__name__}() takes at most {len(names)} arguments by position, got {len(args)}")
            for name, value in zip(names, args, strict=False):
                if name in kwargs:
                    raise TypeError(f"{cls.__name__}() got multiple values for argument {name!r}")
                if not (name == "dtype" and value is None):
                    kwargs[name] = value
            made(self, **kwargs)

        cls.__init__ = __init__  # type: ignore[misc]
        return cls

    return ordered
