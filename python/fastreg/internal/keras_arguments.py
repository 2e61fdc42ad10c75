"""Arguments that Keras has and that have no meaning here, so that Keras programs which name them still run.

Each is accepted at the values that change nothing (its idle values). Any other value is refused rather than ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fastreg.internal.checks import describe
from fastreg.internal.dataclasses import accept_further_arguments, argument_names

T = TypeVar("T")


class _Kind(NamedTuple):
    """Idle values of one kind: the words for a message, and the test."""

    words: str
    holds: Callable[[Any], bool]


def _one_of(name: str) -> _Kind:
    return _Kind(repr(name), lambda v: v == name if isinstance(v, str) else type(v).__name__.lower() == name)


_NAME = _Kind("a string", lambda v: v is None or (isinstance(v, str) and bool(v.strip())))
_NUMBER = _Kind("a number", lambda v: v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)))
_ROWS = _Kind("an integer >= 1", lambda v: v is None or (type(v) is int and v >= 1))
_FLOAT32 = _Kind("None or 'float32'", lambda v: v is None or str(getattr(v, "__name__", v)) == "float32")
_NONE = (None,)

_MODEL: dict[str, dict[str, tuple[object, ...]]] = {
    "Sequential": {"trainable": (True,)},
    "Model": {"trainable": (True,)},
    "compile": {
        "weighted_metrics": (None, []),
        "run_eagerly": (False, None),
        "steps_per_execution": (1, "auto"),
        "jit_compile": ("auto", True, False, None),
        "auto_scale_loss": (True, False),
    },
    "fit": {
        "steps_per_epoch": _NONE,
        "validation_steps": _NONE,
        "validation_batch_size": _ROWS,
        "validation_freq": (1,),
    },
    "evaluate": {"steps": _NONE, "callbacks": (None, [])},
    "predict": {"steps": _NONE, "callbacks": (None, [])},
    "summary": {
        "line_length": _NONE,
        "positions": _NONE,
        "expand_nested": (False, True),
        "layer_range": _NONE,
    },
    "save": {"overwrite": (True,), "zipped": _NONE},
    "clone_model": {
        "input_tensors": _NONE,
        "clone_function": _NONE,
        "call_function": _NONE,
        "recursive": (False, True),
    },
    "plot_model": {
        "show_dtype": (False,),
        "expand_nested": (False, True),
        "dpi": _NUMBER,
        "layer_range": _NONE,
        "splines": ("ortho",),
    },
    "load_weights": {"objects": (None, {})},
    "load_model": {"custom_objects": (None, {}), "safe_mode": (True, False)},
}

# The arguments that all constructors of a kind accept, under the name of the base class, and those of single classes.
# An argument that is a field of a class is not idle for that class, even if it is listed for the kind.
_CONSTRUCTORS: dict[str, Mapping[str, tuple[object, ...]]] = {
    "Layer": {"dtype": _FLOAT32, "autocast": (True, False), "activity_regularizer": _NONE},
    "Loss": {
        "reduction": ("sum_over_batch_size", "mean_with_sample_weight", "mean", "auto"),
        "name": _NAME,
        "dtype": _FLOAT32,
    },
    "Metric": {"dtype": _FLOAT32},
    "Optimizer": {"loss_scale_factor": _NONE},
    "LearningRateSchedule": {"name": _NAME},
    "Dense": {
        "kernel_constraint": _NONE,
        "bias_constraint": _NONE,
        "lora_rank": _NONE,
        "lora_alpha": _NONE,
        "quantization_config": _NONE,
    },
    "BatchNormalization": {
        "beta_initializer": _one_of("zeros"),
        "gamma_initializer": _one_of("ones"),
        "moving_mean_initializer": _one_of("zeros"),
        "moving_variance_initializer": _one_of("ones"),
        "beta_regularizer": _NONE,
        "gamma_regularizer": _NONE,
        "beta_constraint": _NONE,
        "gamma_constraint": _NONE,
        "synchronized": (False,),
        "renorm": (False,),
        "renorm_clipping": _NONE,
        "renorm_momentum": _NUMBER,
    },
    "Input": {
        "sparse": (None, False),
        "ragged": (None, False),
        "batch_shape": _NONE,
        "tensor": _NONE,
        "input_tensor": _NONE,
        "optional": (False,),
    },
    "BinaryCrossentropy": {"axis": (-1, 1), "label_smoothing": (0, 0.0)},
    "CategoricalCrossentropy": {"axis": (-1, 1), "label_smoothing": (0, 0.0)},
    "SparseCategoricalCrossentropy": {"axis": (-1, 1), "ignore_class": _NONE},
    "BinaryAccuracy": {"threshold": (0.5,)},
    "Adam": {"amsgrad": (False,)},
    "AdamW": {"amsgrad": (False,)},
    "RMSprop": {"momentum": (0, 0.0), "centered": (False,)},
}

# These base classes tell a type checker about the arguments; at run time they are empty. A type checker expects that
# __post_init__ of the classes takes the arguments, too, but takes_keras_arguments has removed them before.
if TYPE_CHECKING:
    from dataclasses import InitVar, dataclass

    @dataclass(frozen=True, kw_only=True)
    class LayerArguments:
        """Arguments of Keras's layer."""

        dtype: InitVar[object] = None
        autocast: InitVar[bool] = True
        activity_regularizer: InitVar[None] = None

    @dataclass(frozen=True, kw_only=True)
    class DenseArguments(LayerArguments):
        """Arguments of Keras's dense."""

        kernel_constraint: InitVar[None] = None
        bias_constraint: InitVar[None] = None
        lora_rank: InitVar[None] = None
        lora_alpha: InitVar[None] = None
        quantization_config: InitVar[None] = None

    @dataclass(frozen=True, kw_only=True)
    class NormalizationArguments(LayerArguments):
        """Arguments of Keras's normalization."""

        beta_initializer: InitVar[object] = "zeros"
        gamma_initializer: InitVar[object] = "ones"
        moving_mean_initializer: InitVar[object] = "zeros"
        moving_variance_initializer: InitVar[object] = "ones"
        beta_regularizer: InitVar[None] = None
        gamma_regularizer: InitVar[None] = None
        beta_constraint: InitVar[None] = None
        gamma_constraint: InitVar[None] = None
        synchronized: InitVar[bool] = False
        renorm: InitVar[bool] = False
        renorm_clipping: InitVar[None] = None
        renorm_momentum: InitVar[float | None] = None

    @dataclass(frozen=True, kw_only=True)
    class InputArguments:
        """Arguments of Keras's input."""

        sparse: InitVar[bool | None] = None
        ragged: InitVar[bool | None] = None
        batch_shape: InitVar[None] = None
        tensor: InitVar[None] = None
        input_tensor: InitVar[None] = None
        optional: InitVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class LossArguments:
        """Arguments of Keras's loss."""

        reduction: InitVar[str] = "sum_over_batch_size"
        name: InitVar[str | None] = None
        dtype: InitVar[object] = None

    @dataclass(frozen=True, kw_only=True)
    class CrossentropyArguments(LossArguments):
        """Arguments of Keras's crossentropy."""

        axis: InitVar[int] = -1
        label_smoothing: InitVar[float] = 0.0

    @dataclass(frozen=True, kw_only=True)
    class SparseCrossentropyArguments(LossArguments):
        """Arguments of Keras's sparse crossentropy."""

        axis: InitVar[int] = -1
        ignore_class: InitVar[None] = None

    @dataclass(frozen=True, kw_only=True)
    class MetricArguments:
        """Arguments of Keras's metric."""

        dtype: InitVar[object] = None

    @dataclass(frozen=True, kw_only=True)
    class BinaryAccuracyArguments(MetricArguments):
        """Arguments of Keras's binary accuracy."""

        threshold: InitVar[float] = 0.5

    @dataclass(frozen=True, kw_only=True)
    class OptimizerArguments:
        """Arguments of Keras's optimizer."""

        loss_scale_factor: InitVar[None] = None

    @dataclass(frozen=True, kw_only=True)
    class AdamArguments(OptimizerArguments):
        """Arguments of Keras's adam."""

        amsgrad: InitVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class AdamWArguments(OptimizerArguments):
        """Arguments of Keras's adam w."""

        amsgrad: InitVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class RMSpropArguments(OptimizerArguments):
        """Arguments of Keras's r m sprop."""

        momentum: InitVar[float] = 0.0
        centered: InitVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class ScheduleArguments:
        """Arguments of Keras's schedule."""

        name: InitVar[str | None] = None
else:
    LayerArguments = DenseArguments = NormalizationArguments = InputArguments = object
    LossArguments = CrossentropyArguments = SparseCrossentropyArguments = object
    MetricArguments = BinaryAccuracyArguments = object
    OptimizerArguments = AdamArguments = AdamWArguments = RMSpropArguments = object
    ScheduleArguments = object

# What to use instead of an argument that has another than its idle value.
_INSTEAD = {
    "activity_regularizer": "kernel_regularizer and bias_regularizer are the penalties that there are",
    "kernel_constraint": "use kernel_regularizer, or limit the weights in a callback, by set_weights",
    "bias_constraint": "use bias_regularizer, or limit the weights in a callback, by set_weights",
    "dtype": "everything computes in float32",
    "label_smoothing": "smooth the targets yourself: y * (1 - s) + s / classes",
    "ignore_class": "give the rows of that class sample_weight 0",
    "reduction": "the loss is the mean over rows",
    "threshold": "compute it from predict's outputs",
    "batch_shape": "give shape, without the rows of a batch",
    "trainable": "model.trainable can be set",
    "weighted_metrics": "metrics are not weighted",
    "steps_per_epoch": "an epoch is every row once",
    "overwrite": "save replaces the file; ask os.path.exists before",
}


def refuse_requests(call: str, arguments: Mapping[str, object]) -> None:
    """Raises TypeError for an argument that Keras does not have, ValueError for one that is not idle."""
    known = _MODEL[call]
    for name, value in arguments.items():
        if name not in known:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}")
        _refuse(call, name, value, known[name])


def _refuse(owner: str, name: str, value: object, idle: tuple[object, ...]) -> None:
    if isinstance(idle, _Kind):
        holds, only = bool(idle.holds(value)), idle.words
    else:
        holds = any(type(value) is type(neutral) and value == neutral for neutral in idle)
        only = " or ".join(map(repr, idle))
    if not holds:
        hint = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
        raise ValueError(f"{owner}: {name} is not supported and must be {only}, got {describe(value)}{hint}")


@cache
def idle_arguments(cls: type) -> dict[str, tuple[object, ...]]:
    """The further arguments that Keras has for a class, and the idle values of each."""
    own = argument_names(cls)
    known = (_CONSTRUCTORS.get(base.__name__, {}) for base in reversed(cls.__mro__))
    return {name: values for idle in known for name, values in idle.items() if name not in own}


def takes_keras_arguments(cls: type[T]) -> type[T]:
    """Lets a constructor accept Keras's further arguments, by keyword, at their idle values."""
    accept_further_arguments(cls, _accepts)
    return cls


def _accepts(cls: type, name: str, value: object) -> bool:
    idle = idle_arguments(cls)
    if name in idle:
        _refuse(cls.__name__, name, value, idle[name])
    return name in idle
