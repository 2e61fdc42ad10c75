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


_NAME = _Kind("a string", lambda v: v is None or (isinstance(v, str) and bool(v.strip())))
_NUMBER = _Kind("a number", lambda v: v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)))
_ROWS = _Kind("an integer >= 1", lambda v: v is None or (type(v) is int and v >= 1))
_FLOAT32 = _Kind("None or 'float32'", lambda v: v is None or str(getattr(v, "__name__", v)) == "float32")
_NONE = (None,)

_MODEL: dict[str, dict[str, tuple[object, ...]]] = {
    "Discretization": {"sparse": (False,), "dtype": _FLOAT32},
    "StringLookup": {"sparse": (False,), "encoding": ("utf-8",), "idf_weights": _NONE, "salt": _NONE},
    "IntegerLookup": {
        "sparse": (False,),
        "vocabulary_dtype": ("int64", "int32"),
        "idf_weights": _NONE,
        "salt": _NONE,
        "oov_method": ("floormod",),
    },
    "Sequential": {"trainable": (True,)},
    "Model": {"trainable": (True,)},
    "compile": {
        "run_eagerly": (False, None),
        "steps_per_execution": (1, "auto"),
        "jit_compile": ("auto", True, False, None),
        "auto_scale_loss": (True, False),
    },
    "fit": {},
    "evaluate": {},
    "predict": {},
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
    "save_weights": {"max_shard_size": _NONE},
    "load_weights": {"objects": (None, {})},
    "add": {"rebuild": (True, False)},
    "pop": {"rebuild": (True, False)},
    "load_model": {"custom_objects": (None, {}), "safe_mode": (True, False)},
}

# The arguments that all constructors of a kind accept, under the name of the base class, and those of single classes.
# An argument that is a field of a class is not idle for that class, even if it is listed for the kind.
_CONSTRUCTORS: dict[str, Mapping[str, tuple[object, ...]]] = {
    "Layer": {"dtype": _FLOAT32, "autocast": (True, False), "activity_regularizer": _NONE},
    "Loss": {"dtype": _FLOAT32},
    "Metric": {"dtype": _FLOAT32},
    "Optimizer": {"loss_scale_factor": _NONE},
    "LearningRateSchedule": {"name": _NAME},
    "_Scaled": {"input_axes": _NONE, "output_axes": _NONE},
    "Dense": {
        "lora_rank": _NONE,
        "lora_alpha": _NONE,
        "quantization_config": _NONE,
    },
    "BatchNormalization": {
        "synchronized": (False,),
        "renorm": (False,),
        "renorm_clipping": _NONE,
        "renorm_momentum": _NUMBER,
    },
    "PReLU": {"shared_axes": _NONE},
    "Embedding": {
        "mask_zero": (False,),
        "weights": _NONE,
        "lora_rank": _NONE,
        "lora_alpha": _NONE,
        "quantization_config": _NONE,
        "input_length": _ROWS,
    },
    "CategoryEncoding": {"sparse": (False,)},
    "Input": {
        "sparse": (None, False),
        "ragged": (None, False),
        "batch_shape": _NONE,
        "tensor": _NONE,
        "input_tensor": _NONE,
        "optional": (False,),
    },
    "AUC": {
        "num_thresholds": _ROWS,
        "summation_method": ("interpolation", "minoring", "majoring"),
        "thresholds": _NONE,
        "num_labels": _ROWS,
        "label_weights": _NONE,
        "from_logits": (False, True),
    },
    "PrecisionAtRecall": {"num_thresholds": _ROWS},
    "RecallAtPrecision": {"num_thresholds": _ROWS},
    "SensitivityAtSpecificity": {"num_thresholds": _ROWS},
    "SpecificityAtSensitivity": {"num_thresholds": _ROWS},
    "SparseTopKCategoricalAccuracy": {"from_sorted_ids": (False,)},
    "CosineSimilarity": {"axis": (-1, 1)},
    "BinaryCrossentropy": {"axis": (-1, 1)},
    "CategoricalCrossentropy": {"axis": (-1, 1)},
    "SparseCategoricalCrossentropy": {"axis": (-1, 1), "ignore_class": _NONE},
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
    class DenseArguments:
        """Arguments of Keras's dense."""

        dtype: InitVar[object] = None
        autocast: InitVar[bool] = True
        lora_rank: InitVar[None] = None
        lora_alpha: InitVar[None] = None
        quantization_config: InitVar[None] = None

    @dataclass(frozen=True, kw_only=True)
    class EmbeddingArguments(LayerArguments):
        """Arguments of Keras's embedding."""

        mask_zero: InitVar[bool] = False
        weights: InitVar[None] = None
        lora_rank: InitVar[None] = None
        lora_alpha: InitVar[None] = None
        quantization_config: InitVar[None] = None
        input_length: InitVar[int | None] = None

    @dataclass(frozen=True, kw_only=True)
    class EncodingArguments(LayerArguments):
        """Arguments of Keras's encodings."""

        sparse: InitVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class BatchNormalizationArguments(LayerArguments):
        """Arguments of Keras's batch normalization."""

        synchronized: InitVar[bool] = False
        renorm: InitVar[bool] = False
        renorm_clipping: InitVar[None] = None
        renorm_momentum: InitVar[float | None] = None

    @dataclass(frozen=True, kw_only=True)
    class PReLUArguments(LayerArguments):
        """Arguments of Keras's parametric rectified linear unit."""

        shared_axes: InitVar[None] = None

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

        dtype: InitVar[object] = None

    @dataclass(frozen=True, kw_only=True)
    class MetricArguments:
        """Arguments of Keras's metric."""

        dtype: InitVar[object] = None

    @dataclass(frozen=True, kw_only=True)
    class AxisArguments(MetricArguments):
        """Arguments of Keras's metrics along an axis."""

        axis: InitVar[int] = -1

    @dataclass(frozen=True, kw_only=True)
    class LabelArguments(AxisArguments):
        """Arguments of Keras's sparse crossentropy as a metric."""

        ignore_class: InitVar[None] = None

    @dataclass(frozen=True, kw_only=True)
    class SortedArguments(MetricArguments):
        """Arguments of Keras's accuracy of the k largest outputs."""

        from_sorted_ids: InitVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class AtThresholdArguments(MetricArguments):
        """Arguments of Keras's metrics over all thresholds."""

        num_thresholds: InitVar[int] = 200

    @dataclass(frozen=True, kw_only=True)
    class AUCArguments(AtThresholdArguments):
        """Arguments of Keras's a u c."""

        summation_method: InitVar[str] = "interpolation"
        thresholds: InitVar[None] = None
        num_labels: InitVar[int | None] = None
        label_weights: InitVar[None] = None
        from_logits: InitVar[bool] = False

    @dataclass(frozen=True, kw_only=True)
    class ScaledArguments:
        """Arguments of Keras's initializers whose variance depends on the shape."""

        input_axes: InitVar[None] = None
        output_axes: InitVar[None] = None

    @dataclass(frozen=True, kw_only=True)
    class OptimizerArguments:
        """Arguments of Keras's optimizer."""

        loss_scale_factor: InitVar[None] = None

    @dataclass(frozen=True, kw_only=True)
    class ScheduleArguments:
        """Arguments of Keras's schedule."""

        name: InitVar[str | None] = None
else:
    EmbeddingArguments = EncodingArguments = object
    LayerArguments = DenseArguments = NormalizationArguments = InputArguments = object
    BatchNormalizationArguments = PReLUArguments = object
    LossArguments = object
    MetricArguments = AxisArguments = LabelArguments = AtThresholdArguments = AUCArguments = SortedArguments = object
    ScaledArguments = OptimizerArguments = object
    ScheduleArguments = object

# What to use instead of an argument that has another than its idle value.
_INSTEAD = {
    "activity_regularizer": "put an ActivityRegularization behind the layer",
    "dtype": "arrays are float32, and compile(matmul_precision='medium') makes products of bfloat16 numbers",
    "thresholds": "areas are exact, without thresholds",
    "label_weights": "multi_label=True gives all columns the same weight",
    "batch_shape": "give shape, without the rows of a batch",
    "trainable": "model.trainable can be set",
    "overwrite": "save replaces the file; ask os.path.exists before",
}


def refuse_requests(call: str, arguments: Mapping[str, object]) -> None:
    """Raises TypeError for an argument that Keras does not have, ValueError for one that is not idle."""
    known = _MODEL[call]
    for name, value in arguments.items():
        if name not in known:
            from fastreg.internal.absent import call_argument_instead  # needed for errors only

            hint = call_argument_instead(call, name)
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}{hint}")
        _refuse(call, name, value, known[name])


def has_request(call: str, name: str) -> bool:
    """Whether a call accepts an argument of Keras of this name at its idle value."""
    return name in _MODEL[call]


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
