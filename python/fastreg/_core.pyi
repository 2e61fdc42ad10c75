"""The compiled module. Thin: it converts, checks and releases the GIL; python/fastreg is the public face."""
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

class DivergenceError(FloatingPointError): ...

# Runtime (fastreg/runtime.h).
def active_isa() -> str: ...
def available_isas() -> list[str]: ...
def matmul_unit() -> str: ...  # "amx", "avx512_bf16" or ""
def matmul_precision_computes(precision: str, /) -> bool: ...  # otherwise the word stands for highest
def get_num_threads() -> int: ...
def set_num_threads(n: int, /) -> None: ...
def get_thread_limit() -> int: ...  # of the calling thread; 0 is none
def set_thread_limit(n: int, /) -> None: ...
def build_info() -> dict[str, str]: ...
def activations() -> tuple[str, ...]: ...
def schema() -> dict[str, dict[str, dict[str, Any]]]: ...  # kind, name, fields and traits; core/schema.cpp describes it
def memory_limit() -> int: ...

# float32, float64, uint8 or bool, native and aligned; each row contiguous, the rows any distance apart.
Features = NDArray[Any]

# The JSON form of a network, a layer or of what a network is trained with: a dict, or its text.
Description = dict[str, Any] | str

class Network:
    """A chain or graph of layers over one flat parameter buffer, built from a JSON description.

    Fields of a chain: n_features, seed, layers; of a graph: inputs, seed, layers, nodes, outputs.
    """

    def __init__(self, description: Description) -> None: ...
    @property
    def n_features(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    # Columns of every input and output; those of the first are n_features and n_outputs.
    @property
    def input_widths(self) -> list[int]: ...
    @property
    def output_widths(self) -> list[int]: ...
    # (name, shape, trainable), in the order of get_weights: layers.0.kernel, layers.0.bias, layers.1.gamma, ...
    def weight_info(self) -> list[tuple[str, tuple[int, ...], bool]]: ...
    def get_weights(self) -> list[NDArray[np.float32]]: ...
    # All weights; or with `first` those from this index on, as many as are given, and no other.
    def set_weights(self, weights: Sequence[NDArray[np.float32]], first: int | None = None) -> None: ...
    # Values in row-major order from the value `first` on.
    def set_weight_part(self, index: int, first: int, values: NDArray[np.float32]) -> None: ...
    # out: float32, C-contiguous, (n, n_outputs), or a new array. Several inputs are a sequence; so are several outputs,
    # which come back as a list.
    @overload
    def predict(
        self, x: Features, out: NDArray[np.float32] | None = None, precision: str = "highest"
    ) -> NDArray[np.float32]: ...
    @overload
    def predict(
        self, x: Sequence[Features], out: Sequence[NDArray[np.float32]] | None = None, precision: str = "highest"
    ) -> Any: ...
    # The same for a network of one input and one output; None if a feature is not finite as float32.
    def predict_if_finite(self, x: Features, precision: str = "highest", /) -> NDArray[np.float32] | None: ...

class MetricState:
    """The state of one metric outside of a trainer. metric: its JSON; labels: whether y_true are labels (rows,)."""

    def __init__(self, metric: str, cols: int, labels: bool) -> None: ...
    # y_true: float32 (rows, cols) or int32 (rows,); y_pred: float32 (rows, cols).
    def add(
        self, y_true: NDArray[Any], y_pred: NDArray[np.float32], sample_weight: NDArray[np.float32] | None = None
    ) -> None: ...
    def reset(self) -> None: ...
    def values(self) -> list[float]: ...  # one, or one for each column where the metric has no average

# The value of each row, of a metric that is their mean.
def metric_rows(metric: str, y_true: NDArray[Any], y_pred: NDArray[np.float32]) -> NDArray[np.float32]: ...

# What a network of this description has, without making one: the columns of all values (of the inputs, then of the
# output of each node), and its weights as weight_info says them.
def network_info(description: Description) -> tuple[list[int], list[tuple[str, tuple[int, ...], bool]]]: ...
# What a layer has for inputs of these columns: the columns of its output, and its weights, as if it were layers.0.
# ValueError where it cannot take them.
def layer_info(
    layer: Description, input_widths: Sequence[int]
) -> tuple[int, list[tuple[str, tuple[int, ...], bool]]]: ...

Targets = NDArray[np.float32] | NDArray[np.int32]  # float (n, columns); int32 labels (n,) for the sparse loss

class Data(TypedDict):
    x: Features  # (n, n_features)
    y: Targets
    sample_weight: NDArray[np.float32] | None  # (n,)
    rows: NDArray[np.uint32] | None  # the rows to use, in this order; None is all

# Of several inputs or outputs, in their order.
class GraphData(TypedDict):
    x: Sequence[Features]
    y: Sequence[Targets]
    sample_weight: NDArray[np.float32] | Sequence[NDArray[np.float32] | None] | None  # for all of y, or one for each
    rows: NDArray[np.uint32] | None

class EarlyStoppingConfig(TypedDict):
    monitor: int  # index into the logs
    mode: str  # "min" or "max"
    patience: int
    min_delta: float
    baseline: float | None
    start_from_epoch: int
    restore_best_weights: bool

# Returns the verdict on an epoch ("best", "worse" or "stop") and the new count of epochs waited. best is NaN if no
# epoch was judged before.
def judge_epoch(
    config: EarlyStoppingConfig, epoch: int, value: float, best: float, waited: int
) -> tuple[str, int]: ...

class EarlyStoppingResult(TypedDict):
    best: float  # NaN if no epoch was judged
    best_epoch: int  # absolute, from 0; -1 if none
    stopped_epoch: int  # absolute; -1 if it did not stop the run
    restored: bool

class StopSignal:
    def __init__(self) -> None: ...
    def set(self) -> None: ...
    @property
    def is_set(self) -> bool: ...

class FitResult(TypedDict):
    # One row an epoch: loss, metrics..., then where there is validation data val_loss, val_metrics...
    logs: NDArray[np.float64]
    stopped_by: str  # "", "early_stopping", "callback", "stop_signal", "time_limit", "error", "diverged"
    early_stopping: list[EarlyStoppingResult]
    # Absolute step and epoch, rate and loss of the first step with a loss that is not finite.
    diverged: dict[str, float] | None
    exception: BaseException | None  # what a callback or a signal handler raised; the caller raises it again

# Of (targets, outputs, weights or None), a number; and of (targets, outputs), the loss of each row and its gradient.
MetricFunction = Callable[..., float]
LossFunction = Callable[..., tuple[NDArray[np.float32], NDArray[np.float32]]]
# Those that metrics and losses of the type Function name by their index.
Functions = tuple[Sequence[MetricFunction], Sequence[LossFunction]]

class Trainer:
    """Loss, optimizer state and metrics for one network (fields loss, optimizer, metrics of the description)."""

    def __init__(self, network: Network, description: Description) -> None: ...
    # Steps and epochs trained so far: they key the random streams and are part of a saved model.
    step: int
    epoch: int
    # Replaces the rates of the run under way from its next step on; for callbacks.
    def set_learning_rate(self, rate: float, /) -> None: ...
    # rates: a single one, or one for each step of the run's first epochs; on_rates(first, least) -> those from step
    # `first` of the run on, asked for where they run out. With a weight decay or rates of layers on a schedule, a row
    # of numbers for each: the learning rate, the weight decay, the rates of these layers.
    # batch_size 0 is the full batch.
    # on_epoch(epoch, logs, last) -> True to stop; called when an epoch ends, at most every `interval` seconds
    # (0: at every epoch) and after the last. on_poll(epoch, step of the epoch, steps, loss so far): every 0.1 s or so.
    # steps_per_epoch: 0 is every row once. validated: for each epoch, whether it is followed by a validation; without
    # one its values of validation are NaN in the result and missing in on_epoch. last_epoch: once it is set, the run
    # ends after the current epoch. on_batch(epoch, step of the epoch, None) before each step, and (epoch, step, logs so
    # far) after it -> True to end the epoch and the run. on_validation() -> the values of a validation.
    def fit(
        self,
        data: Data | GraphData,
        validation: Data | GraphData | None,
        *,
        batch_size: int,
        epochs: int,
        shuffle: bool,
        rates: NDArray[np.float64],
        early_stopping: Sequence[EarlyStoppingConfig] = ...,
        stop_signals: Sequence[StopSignal] = ...,
        time_limit: float = ...,
        on_epoch: Callable[[int, list[float], bool], bool] | None = None,
        on_poll: Callable[[int, int, int, float], None] | None = None,
        on_rates: Callable[[int, int], NDArray[np.float64]] | None = None,
        interval: float = 0.0,
        steps_per_epoch: int = 0,
        validated: NDArray[np.uint8] | None = None,
        last_epoch: StopSignal | None = None,
        on_batch: Callable[[int, int, list[float] | None], bool | None] | None = None,
        on_validation: Callable[[], list[float]] | None = None,
        functions: Functions = ...,
    ) -> FitResult: ...
    # One step on one batch, whose weights are used as they are. Returns its values before the step and None, or None
    # and what FitResult has as `diverged`; then nothing has changed.
    def train_batch(
        self, data: Data | GraphData, rates: NDArray[np.float64], functions: Functions = ...
    ) -> tuple[list[float] | None, dict[str, float] | None]: ...
    def test_batch(
        self, data: Data | GraphData, functions: Functions = ...
    ) -> list[float]: ...
    # The number of steps of an epoch; a batch_size of 0 means all rows.
    def steps_of_epoch(self, rows: int, batch_size: int, /) -> int: ...
    # The number of figures of one evaluation.
    @property
    def log_count(self) -> int: ...
    # [loss with penalties, metrics...]; of several outputs [loss with penalties, loss of each output..., metrics of
    # each output...].
    def evaluate(
        self, data: Data | GraphData, functions: Functions = ...
    ) -> list[float]: ...
    # The weights, the moments, step, epoch and averages_shown, all of the same step while another thread fits.
    def get_state(self) -> tuple[list[NDArray[np.float32]], dict[str, NDArray[np.float32]], int, int, bool]: ...
    # Optimizer moments by name, in the shapes of the weights: optimizer.m.layers.0.kernel, optimizer.v.layers.0.bias...
    # With averages of weights also optimizer.average..., with accumulated gradients optimizer.accumulator...
    def get_moments(self) -> dict[str, NDArray[np.float32]]: ...
    def set_moments(self, moments: Mapping[str, NDArray[np.float32]]) -> None: ...
    def moment_shapes(self) -> dict[str, tuple[int, ...]]: ...
    # As Network.set_weight_part; index: of moment_shapes().
    def set_moment_part(self, index: int, first: int, values: NDArray[np.float32]) -> None: ...
    # Whether the network has the averages of its weights, and the moments "average" the weights that the next fit
    # continues from. Setting it moves nothing; it is part of a saved state.
    averages_shown: bool
    # For tests: floating-point operations of a step from which on it may be shared among threads; 0 is always.
    parallel_threshold: float

# Files (core/serialize.cpp): safetensors, tensors float32, metadata {"fastreg": description}. Written atomically.
# Raise ValueError for a damaged or foreign file, OSError for what the system refuses.
# Paths are bytes, as os.fsencode makes them.
def save_file(path: bytes, description: str, tensors: Mapping[str, NDArray[np.float32]]) -> None: ...

# Opened, its header read and checked; values come when they are asked for.
class ModelReader:
    def __init__(self, path: bytes, /) -> None: ...
    @property
    def description(self) -> str: ...
    @property
    def shapes(self) -> dict[str, tuple[int, ...]]: ...
    # n values of a tensor, in row-major order from the value `first` on.
    def read(self, index: int, first: int, n: int) -> NDArray[np.float32]: ...

# Any other file, written in the same way.
def write_file(path: bytes, content: bytes) -> None: ...

# Primitives on arrays. Every array is float32 and C-contiguous; python/fastreg/ops.py casts and documents.
class Updater:
    # optimizer: the JSON of one optimizer. w is updated in place and kept alive.
    def __init__(self, optimizer: str, w: NDArray[np.float32], l1: float, l2: float, proximal: bool) -> None: ...
    def step(self, g: NDArray[np.float32], rate: float) -> None: ...
    # The average of w, flat, or what the optimizer evaluates; None if it has none or there was no update.
    def average(self) -> NDArray[np.float32] | None: ...
    @property
    def steps(self) -> int: ...

# Returns (y, z); z, the value before the activation, only for gelu and silu, else None.
def dense(
    x: NDArray[np.float32],
    w: NDArray[np.float32],
    b: NDArray[np.float32] | None,
    activation: str,
    out: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]: ...
# saved: y of dense, or z for gelu and silu. Returns (dx, dw, db).
def dense_backward(
    x: NDArray[np.float32],
    w: NDArray[np.float32],
    saved: NDArray[np.float32],
    dy: NDArray[np.float32],
    activation: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
def activation(x: NDArray[np.float32], activation: str) -> NDArray[np.float32]: ...
def activation_backward(
    saved: NDArray[np.float32], dy: NDArray[np.float32], activation: str
) -> NDArray[np.float32]: ...
# Returns (y, keep), keep a bool array.
def dropout(
    x: NDArray[np.float32], rate: float, seed: int, step: int, stream: int, out: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]: ...
# Training: normalises with the statistics of x and returns (y, mean, inv_std).
def batch_norm_train(
    x: NDArray[np.float32],
    gamma: NDArray[np.float32] | None,
    beta: NDArray[np.float32] | None,
    moving_mean: NDArray[np.float32],
    moving_variance: NDArray[np.float32],
    momentum: float,
    epsilon: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
def batch_norm_infer(
    x: NDArray[np.float32],
    gamma: NDArray[np.float32] | None,
    beta: NDArray[np.float32] | None,
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
    epsilon: float,
    out: NDArray[np.float32] | None,
) -> NDArray[np.float32]: ...
# Returns (dx, dgamma, dbeta).
def batch_norm_backward(
    x: NDArray[np.float32],
    dy: NDArray[np.float32],
    gamma: NDArray[np.float32] | None,
    mean: NDArray[np.float32],
    inv_std: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
# Returns (row losses, dy, probabilities); the gradient is of sum_i weight_i loss_i / sum_i weight_i.
# loss: the JSON of one loss.
def loss(
    loss: str,
    y: NDArray[np.float32],
    target: NDArray[Any],
    weight: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
# Whether no value, as float32, is NaN or infinite. Matrices as features, anything else float32 and C-contiguous.
def all_finite(x: Features, /) -> bool: ...
# Labels as a new array; None if one is not in [0, classes), or if they are not int64, int32 or uint8.
def rows_within(x: Features, rows: NDArray[np.uint32] | None, step: int, limit: float, /) -> bool: ...
def class_indices(labels: NDArray[Any], classes: int, /) -> NDArray[np.int32] | None: ...
# Blocks [first, first + n) of Philox4x32-10, shape (n, 4).
def random_words(seed: int, stream: int, step: int, first: int, n: int) -> NDArray[np.uint32]: ...

# Folded, packed and immutable; calls are safe from any number of threads. `Sequential.freeze` documents it.
class Predictor:
    def __init__(
        self,
        network: Network,
        feature_names: tuple[str, ...] | tuple[tuple[str, ...] | None, ...] | None = None,
        matmul_precision: str = "highest",
        /,
    ) -> None: ...
    # Several inputs or outputs: sequences in their order, or dicts by their names; several outputs come back as a list.
    @overload
    def __call__(self, x: ArrayLike, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]: ...
    @overload
    def __call__(
        self,
        x: Sequence[ArrayLike] | Mapping[str, ArrayLike] | ArrayLike,
        out: Sequence[NDArray[np.float32]] | Mapping[str, NDArray[np.float32]] | None = None,
    ) -> Any: ...
    @property
    def n_features(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def input_widths(self) -> list[int]: ...
    @property
    def output_widths(self) -> list[int]: ...
    @property
    def input_names(self) -> tuple[str, ...]: ...
    @property
    def output_names(self) -> tuple[str, ...]: ...
    @property
    def matmul_precision(self) -> str: ...
    @property
    def feature_names_in_(self) -> Any: ...  # as of a model

# Texts of a table, as Arrow stores them, as numbers (None if one is not a plain number) and as codes of levels; columns
# as lines: arrays of floats, or the number of each row's label with the offsets and bytes of labels. to_rows gives
# codes, of which a row is a column of the table, as the rows that a TableInput reads.
def read_numbers(offsets: NDArray[np.int32], data: NDArray[np.uint8], /) -> NDArray[np.float64] | None: ...
def find_levels(
    offsets: NDArray[np.int32],
    data: NDArray[np.uint8],
    level_offsets: NDArray[np.int32],
    level_data: NDArray[np.uint8],
    codes: NDArray[np.float64],
    /,
) -> NDArray[np.float64]: ...
def lines(columns: list[Any], /) -> str: ...
def to_rows(codes: NDArray[np.float64], offsets: NDArray[np.float64], /) -> NDArray[np.float32]: ...

# A Predictor that reads rows of codes of a table, NaN where they are missing. Each encoding: columns as a frozen
# network has them, whether the input is their features, and offsets of codes. python/fastreg/table/serving.py makes it.
class TablePredictor:
    def __init__(
        self,
        network: Predictor,
        encodings: list[tuple[list[tuple[Any, ...]], bool, list[float]]],
        limits: tuple[float, float] | None,
        temperature: float,
        curves: list[tuple[list[float], list[float]]] | None = None,
    ) -> None: ...
    def __call__(self, codes: ArrayLike) -> NDArray[np.float32]: ...
    @property
    def n_codes(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
