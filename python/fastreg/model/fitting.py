"""One call of ``fit``: it converts the arguments, runs the core, and fills the history and early stopping.

It trains a :class:`~fastreg.model.core.CoreModel`; the model that users see is only passed to callbacks. Everything
that takes time per row is vectorised, and Python code runs between epochs only for users' callbacks and for the
progress.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.callbacks.base import Callback
from fastreg.callbacks.early_stopping import EarlyStopping, judged_by_the_core
from fastreg.callbacks.history import History
from fastreg.callbacks.stops import StopSignal, TimeLimit
from fastreg.data import arrays
from fastreg.internal.checks import AT_LEAST_ONE, FRACTION, check_bool, check_int, check_real, check_verbosity, describe
from fastreg.internal.progress import Progress, say
from fastreg.model.arguments import (
    Given,
    checked_input_names,
    data_of,
    features_of,
    inputs_of,
    only_if_single,
    outputs_of,
    targets_of,
    weights_of,
)
from fastreg.model.core import CoreModel
from fastreg.model.given_callbacks import BUILT_IN, checked_list, overrides
from fastreg.model.spreads import meets_dense, warn_of_spreads
from fastreg.optimizers import Optimizer
from fastreg.schedules.base import RunLength

if TYPE_CHECKING:
    from fastreg.internal.trained_model import TrainedModel

# Seconds between calls into Python, if only the progress needs them.
_PROGRESS_INTERVAL = 0.1

# The number of steps whose learning rates are evaluated at a time, at least those of an epoch.
_RATES_BLOCK = 1 << 16


def check_verbose(owner: str, value: object) -> int:
    """0, 1 or 2; Keras's ``"auto"`` is 1, a bool is 0 or 1."""
    if type(value) is int and 0 <= value <= 2:
        return value
    if isinstance(value, str) and value == "auto":
        return 1
    return check_verbosity(owner, value, ("be 0, 1 or 2", lambda v: v in (0, 1, 2)))


def fit(
    core: CoreModel,
    model: TrainedModel,
    x: object,
    y: object,
    *,
    batch_size: object,
    epochs: object,
    verbose: object,
    callbacks: object,
    validation_split: object,
    validation_data: object,
    shuffle: object,
    class_weight: object,
    sample_weight: object,
    initial_epoch: object,
    rows: object,
    validation_rows: object,
) -> History:
    """See :meth:`fastreg.Sequential.fit`. ``model`` is the object that callbacks are given."""
    begun = time.monotonic()
    core.require_layers("fit")
    core.require_losses("fit")
    batch = 0 if batch_size is None else check_int("fit", "batch_size", batch_size, AT_LEAST_ONE)
    last = check_int("fit", "epochs", epochs, AT_LEAST_ONE)
    first = check_int("fit", "initial_epoch", initial_epoch, (f"be in [0, {last}]", lambda v: 0 <= v <= last))
    shown = check_verbose("fit", verbose)
    shuffled = check_bool("fit", "shuffle", shuffle)
    items = checked_list(callbacks)
    fraction = check_real("fit", "validation_split", validation_split, FRACTION)
    if (fraction > 0) + (validation_data is not None) + (validation_rows is not None) > 1:
        raise ValueError("fit: give validation_data or validation_split or validation_rows, not several")
    inputs = inputs_of(core, x)
    given = _Given(inputs, y, sample_weight, class_weight, rows, validation_rows)
    names = checked_input_names(inputs, core.feature_names)
    data, validation = _data_of_fit(core, given, names, last - first, fraction, validation_data)

    _warn_once(core, data, names)
    features = data["x"] if len(inputs) == 1 else data["x"][0]
    n_rows = len(features) if data["rows"] is None else len(data["rows"])
    steps = -(-n_rows // (min(batch, n_rows) or n_rows))
    n_features = features.shape[1]
    keys, directions = log_keys(core, n_features, validation is not None)
    stoppers = [item for item in items if isinstance(item, EarlyStopping)]
    configs = [stopper.core_config(keys, directions) for stopper in stoppers]

    trainer = core.trainer_for(n_features)
    core.run_length = RunLength(steps, steps * last, trainer.step - steps * first)
    run = _Run(model, trainer, items, keys, first, last)
    model.stop_training, model.history = False, run.history
    with judged_by_the_core(stoppers), _named(core, trainer, names):
        run.begin({"epochs": last, "steps": steps, "verbose": shown})
        # Only now: a callback may have set the rate before the first epoch.
        rates = _Rates(core.require_optimizer("fit"), trainer.step, steps, steps * (last - first), core.run_length)
        run.progress = progress = Progress(shown, first, last, n_rows) if shown and first < last else None
        result = trainer.fit(
            data,
            validation,
            batch_size=min(batch, n_rows),
            epochs=last - first,
            shuffle=shuffled,
            rates=rates(0, 0),
            on_rates=rates,
            early_stopping=configs,
            stop_signals=[item._signal for item in items if isinstance(item, StopSignal)],
            time_limit=_seconds_left(items, begun),
            on_epoch=run.on_epoch if progress is not None or run.listens else None,
            on_poll=run.on_poll if progress is not None and progress.live else None,
            interval=0.0 if run.listens or shown == 2 else _PROGRESS_INTERVAL,
        )
        run.end(result, stoppers)
    return run.history


@contextmanager
def _named(model: CoreModel, trainer: _core.Trainer, names: Any) -> Iterator[None]:
    """Sets the names of the columns within a run, and keeps them if at least one step was trained."""
    known, step = model.feature_names, trainer.step
    model.feature_names = names
    try:
        yield
    finally:
        if trainer.step == step:
            model.feature_names = known


def _warn_once(model: CoreModel, data: _core.Data, names: Any) -> None:
    """Warns about the spreads of the features before the first step of a model, unless that was done before."""
    if model.spreads_known or (model.trainer is not None and model.trainer.step > 0):
        return
    model.spreads_known = True
    several = len(model.input_names) > 1
    for i, (x, name) in enumerate(zip(data["x"] if several else [data["x"]], model.input_names, strict=True)):
        if meets_dense(model.layers, model.graph, i):
            columns = names[i] if several and names else None if several else names
            warn_of_spreads(x, data["rows"], columns, f"x[{name!r}]" if several else "x")


def _seconds_left(items: list[Callback], begun: float) -> float:
    limits = [item.seconds for item in items if isinstance(item, TimeLimit)]
    return max(0.0, min(limits) - (time.monotonic() - begun)) if limits else math.inf


def log_keys(core: CoreModel, n_features: int, validation: bool) -> tuple[list[str], dict[str, str]]:
    """The keys of an epoch's logs, in the order of the core's, and whether a high or a low value of each is good."""
    directions = core.log_keys(n_features)
    if validation:
        directions |= {f"val_{key}": direction for key, direction in directions.items()}
    return list(directions), directions


class _Given(NamedTuple):
    """The data that ``fit`` was given, not yet converted, with the features of each input."""

    x: list[Given]
    y: object
    sample_weight: object
    class_weight: object
    rows: object
    validation_rows: object


def _data_of_fit(
    model: CoreModel, given: _Given, names: Any, passes: int, fraction: float, validation_data: object
) -> tuple[_core.Data, _core.Data | None]:
    losses = model.require_losses("fit")
    only_if_single(model, given.class_weight)
    x = features_of(given.x, model.input_widths(), passes)
    n, outputs = len(x[0]), model.output_widths(x[0].shape[1])
    targets = targets_of(model, outputs_of(model, given.y, n), n, outputs)
    rows = arrays.row_indices(given.rows, n, "rows")
    held_out, validation = arrays.row_indices(given.validation_rows, n, "validation_rows"), None
    if fraction:
        labels = (arrays.class_labels(y, loss) for y, loss in zip(targets, losses, strict=True))
        first = next((found for found in labels if found is not None), None)
        rows, held_out = arrays.split(n, fraction, model.seed, first, rows)
    elif held_out is not None and rows is None:
        rows = arrays.other_rows(n, held_out)
    given_weights = weights_of(model, given.sample_weight)
    if held_out is not None:
        # Weights of the caller's hold for both sides, weights of classes for training only.
        weights = [arrays.sample_weights(part.value, n, held_out, part.label) for part in given_weights]
        validation = data_of(x, targets, weights, held_out)
    weights = [arrays.sample_weights(part.value, n, rows, part.label) for part in given_weights]
    if given.class_weight is not None:
        weights = [arrays.class_weights(given.class_weight, targets[0], losses[0], outputs[0], weights[0], rows)]
    if validation_data is not None:
        validation = _validation_data(model, validation_data, names, x[0].shape[1], passes)
    return data_of(x, targets, weights, rows), validation


def _validation_data(model: CoreModel, value: object, names: Any, n_features: int, passes: int) -> _core.Data:
    if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
        got = f"{len(value)} items" if isinstance(value, (tuple, list)) else describe(value)
        raise ValueError(f"fit: validation_data must be (x, y) or (x, y, sample_weight), got {got}")
    weights = value[2] if len(value) == 3 else None
    prefix = "validation_data "
    x = inputs_of(model, value[0], f"{prefix}x")
    checked_input_names(x, names)
    return labelled_data(model, x, value[1], weights, None, n_features, prefix, passes)


def labelled_data(
    model: CoreModel,
    x: list[Given],
    y: object,
    sample_weight: object,
    class_weight: object,
    n_features: int | None,
    prefix: str = "",
    passes: int = 1,
    rows: object = None,
) -> _core.Data:
    """Data, or some rows of it, that are scored ``passes`` times. ``prefix`` is put before arguments in messages."""
    losses = model.require_losses("fit")
    only_if_single(model, class_weight)
    values = features_of(x, [n_features] if model.graph is None else model.input_widths(), passes)
    n, outputs = len(values[0]), model.output_widths(values[0].shape[1])
    targets = targets_of(model, outputs_of(model, y, n, f"{prefix}y"), n, outputs)
    chosen = arrays.row_indices(rows, n, "rows")
    given_weights = weights_of(model, sample_weight, prefix)
    weights = [arrays.sample_weights(part.value, n, chosen, part.label) for part in given_weights]
    if class_weight is not None:
        weights = [arrays.class_weights(class_weight, targets[0], losses[0], outputs[0], weights[0], chosen)]
    return data_of(values, targets, weights, chosen)


class _Rates:
    """The learning rates of a run, one block of epochs at a time, so that a run that stops early computes no others."""

    def __init__(self, optimizer: Optimizer, start: int, steps: int, total: int, run: RunLength | None) -> None:
        self.optimizer, self.start, self.total, self.run = optimizer, start, total, run
        self.block = max(1, _RATES_BLOCK // steps) * steps

    def __call__(self, first: int, least: int) -> NDArray[np.float64]:
        """Those of steps ``first``, ... of the run, ``least`` at least unless it ends before; one if all are equal."""
        return self.optimizer.rates(self.start + first, min(max(self.block, least), self.total - first), self.run)


class _Run:
    """A run: passes epochs to the progress and to callbacks, and interprets the result."""

    def __init__(
        self, model: TrainedModel, trainer: _core.Trainer, items: list[Callback], keys: list[str], first: int, last: int
    ) -> None:
        self.model, self.items, self.keys = model, items, keys
        self.first, self.last = first, last
        # The core counts epochs over the model's life, a run from initial_epoch.
        self.offset = trainer.epoch - first
        self.own = [item for item in items if overrides(item, "on_epoch_begin", "on_epoch_end")]
        # Any callback of the user's may set stop_training at any time.
        self.listens = bool(self.own) or any(type(item) not in BUILT_IN for item in items)
        self.history = next((item for item in items if isinstance(item, History)), None) or History()
        self.history.history, self.history.epoch, self.history.stopped_by = {}, [], ""
        self.progress: Progress | None = None

    def begin(self, params: dict[str, int]) -> None:
        for item in (self.history, *self.items):
            item.set_model(self.model)
            item.set_params(params)
        for item in self.items:
            item.on_train_begin({})
        for item in self.own if self.first < self.last else ():
            item.on_epoch_begin(self.first, {})

    def on_epoch(self, core_epoch: int, values: list[float], last: bool) -> bool:
        """An epoch ended; ``last`` if no other follows. Whether to stop."""
        epoch = core_epoch - self.offset
        logs = dict(zip(self.keys, values, strict=True))
        if self.progress is not None:
            self.progress.epoch_ended(epoch, logs)
        if self.own:
            self.history.epoch.append(epoch)
            for key, value in logs.items():
                self.history.history.setdefault(key, []).append(value)
            for item in self.own:
                item.on_epoch_end(epoch, logs)
            if not (last or self.model.stop_training or epoch + 1 == self.last):
                for item in self.own:
                    item.on_epoch_begin(epoch + 1, {})
        return bool(self.model.stop_training)

    def on_poll(self, core_epoch: int, step: int, steps: int, loss: float) -> None:
        if self.progress is not None:
            self.progress.within_epoch(core_epoch - self.offset, step, steps, loss)

    def end(self, result: _core.FitResult, stoppers: list[EarlyStopping]) -> None:
        """Fills the history and callbacks, and raises the exception of the run, if there is one."""
        logs = result["logs"]
        self.history.history = {key: logs[:, i].tolist() for i, key in enumerate(self.keys)}
        self.history.stopped_by = result["stopped_by"]
        self.history.epoch = list(range(self.first, self.first + len(logs)))
        last_logs: dict[str, float] = {key: values[-1] for key, values in self.history.history.items() if values}
        messages: list[str] = []
        for stopper, found in zip(stoppers, result["early_stopping"], strict=True):
            stopper.take_result(found, self.offset)
            messages += stopper.messages(found)
        if self.progress is not None:
            self.progress.run_ended(self.first + len(logs) - 1 if len(logs) else -1, last_logs)
        for message in messages:
            say(message)
        if result["exception"] is not None:
            raise result["exception"]
        if result["diverged"] is not None:
            raise _divergence(result["diverged"], self.offset)
        for item in self.items:
            item.on_train_end(last_logs)


def _divergence(where: Mapping[str, float], offset: int) -> _core.DivergenceError:
    step, epoch, rate, loss = int(where["step"]), int(where["epoch"]) - offset, where["rate"], where["loss"]
    cause = f"the loss became {loss:g}" if not abs(loss) < float("inf") else "a weight is no longer finite"
    error = _core.DivergenceError(
        f"fit: training diverged at step {step}, epoch {epoch + 1}: {cause} at learning rate {rate:g} (loss {loss:g}). "
        f"The last finite weights are kept. Try a smaller learning rate, {rate / 10:g} say, or inputs scaled to mean 0 "
        "and variance 1"
    )
    details: dict[str, Any] = {"step": step, "epoch": epoch, "learning_rate": rate, "loss": loss}
    for name, value in details.items():
        setattr(error, name, value)
    return error
