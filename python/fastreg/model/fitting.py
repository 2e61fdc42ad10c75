"""One call of ``fit``: it converts the arguments, runs the core, and fills the history and early stopping.

It trains a :class:`~fastreg.model.core.CoreModel`; the model that users see is only passed to callbacks. Everything
that takes time per row is vectorised, and Python code runs between epochs only for users' callbacks and for the
progress.
"""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.callbacks.base import Callback
from fastreg.callbacks.early_stopping import judge_by_hand, judge_in_the_core
from fastreg.callbacks.history import History
from fastreg.callbacks.in_use import claim
from fastreg.callbacks.stops import StopSignal, TimeLimit
from fastreg.data import arrays
from fastreg.data.ignored_labels import share_counted
from fastreg.internal.batches import BATCHES, gives_batches
from fastreg.internal.checks import AT_LEAST_ONE, FRACTION, check_bool, check_int, check_real, check_verbosity, describe
from fastreg.internal.layer_base import Shape
from fastreg.internal.progress import Progress
from fastreg.model.adapted import require_statistics
from fastreg.model.arguments import (
    Given,
    checked_input_names,
    data_of,
    features_of,
    inputs_of,
    labelled,
    only_if_single,
    outputs_of,
    row_weights,
    shape_of,
    targets_of,
)
from fastreg.model.core import CoreModel
from fastreg.model.given_callbacks import checked_list
from fastreg.model.labels import by_number
from fastreg.model.logits import warn_of_logits
from fastreg.model.rows import first_rows, row_count
from fastreg.model.run import Rates, Run
from fastreg.model.spreads import are_narrow, meets_dense, warn_of_spreads
from fastreg.schedules.base import RunLength

if TYPE_CHECKING:
    from fastreg.internal.trained_model import TrainedModel

# Seconds between calls into Python, if only the progress needs them.
_PROGRESS_INTERVAL = 0.1


def check_verbose(owner: str, value: object) -> int:
    """0, 1 or 2; Keras's ``"auto"`` is 1, a bool is 0 or 1."""
    if type(value) is int and 0 <= value <= 2:
        return value
    if isinstance(value, str) and value == "auto":
        return 1
    return check_verbosity(owner, value, ("be 0, 1 or 2", lambda v: v in (0, 1, 2)))


def _first_epoch(value: object, last: int) -> int:
    if type(value) is int and 0 <= value <= last:
        return value
    return check_int("fit", "initial_epoch", value, (f"be in [0, {last}]", lambda v: 0 <= v <= last))


class _Settings(NamedTuple):
    """The checked arguments of ``fit`` that are no data.

    Attributes:
        batch: The rows of a batch; 0 for all.
        first: The first epoch.
        last: The epoch after the last one.
        shown: How much is shown.
        shuffle: Whether rows are shuffled.
        items: The callbacks.
        steps: The steps of an epoch; 0 where the rows decide.
        validation: The arguments of the :class:`ValidationPlan` as they were given.
    """

    batch: int
    first: int
    last: int
    shown: int
    shuffle: bool
    items: list[Callback]
    steps: int
    validation: tuple[object, object, object]


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
    steps_per_epoch: object,
    validation_steps: object,
    validation_batch_size: object,
    validation_freq: object,
    rows: object,
    validation_rows: object,
) -> History:
    """See :meth:`fastreg.Sequential.fit`. ``model`` is the object that callbacks are given."""
    begun = time.monotonic()
    core.require_layers("fit")
    core.require_losses("fit")
    last = check_int("fit", "epochs", epochs, AT_LEAST_ONE)
    settings = _Settings(
        0 if batch_size is None else check_int("fit", "batch_size", batch_size, AT_LEAST_ONE),
        _first_epoch(initial_epoch, last),
        last,
        check_verbose("fit", verbose),
        check_bool("fit", "shuffle", shuffle),
        checked_list(callbacks),
        0 if steps_per_epoch is None else check_int("fit", "steps_per_epoch", steps_per_epoch, AT_LEAST_ONE),
        (validation_steps, validation_batch_size, validation_freq),
    )
    fraction = check_real("fit", "validation_split", validation_split, FRACTION)
    if (fraction > 0) + (validation_data is not None) + (validation_rows is not None) > 1:
        raise ValueError("fit: give validation_data or validation_split or validation_rows, not several")
    inputs = inputs_of(core, x)
    given = _Given(inputs, y, sample_weight, class_weight, rows, validation_rows)
    names = checked_input_names(inputs, core.feature_names)
    shape = shape_of(core, inputs)
    passes = last - settings.first
    with _KeptIfTrained(core), (own := Lock()):
        if settings.items:
            claim(settings.items, own)
        data, validation = _data_of_fit(core, given, shape, names, passes, fraction, validation_data)
        _warn_once(core, data, shape, names)
        return _trained(core, model, settings, data, validation, shape, names, begun)


def _trained(
    core: CoreModel,
    model: TrainedModel,
    settings: _Settings,
    data: _core.Data,
    validation: _core.Data | None,
    shape: Shape,
    names: Any,
    begun: float,
) -> History:
    """Runs the core on converted data. ``begun`` is when ``fit`` was called, for time limits."""
    last, shown, items, each = settings.last, settings.shown, settings.items, settings.steps
    n_rows = row_count(data)
    batch = min(settings.batch, n_rows) or n_rows
    plan = ValidationPlan.of(*settings.validation, batch, validation)
    evaluated, functions = core.reported(shape)
    keys, directions = log_keys(evaluated, validation is not None)
    core.share()
    trainer = core.trainer_for(shape)
    require_statistics(core)
    steps = each or trainer.steps_of_epoch(n_rows, batch)
    run = Run(core, model, trainer, items, keys, directions, last)
    first = run.restored(settings.first)
    core.run_length = RunLength(steps, steps * last, trainer.step - steps * first)
    model.stop_training = False
    core.history, core.refilled = run.history, run.refilled
    core.feature_names = names
    with (own := Lock()), run:
        _mark(run, own)
        run.begin(first, {"epochs": last, "steps": steps, "verbose": shown})
        last = first if run.ended else last
        # Only now: a callback may have set the rate before the first epoch.
        rates = Rates(core, trainer.step, steps, steps * (last - first))
        done = each * batch if each else n_rows
        run.progress = progress = Progress(shown, first, last, done) if shown and first < last else None
        result = trainer.fit(
            data,
            plan.data,
            batch_size=batch,
            epochs=last - first,
            shuffle=settings.shuffle,
            rates=rates(0, 0),
            on_rates=rates,
            early_stopping=run.configs,
            stop_signals=[item._signal for item in items if isinstance(item, StopSignal)],
            time_limit=_seconds_left(items, begun),
            on_epoch=run.on_epoch if progress is not None or run.own else None,
            on_poll=run.on_poll if progress is not None and progress.live else None,
            interval=0.0 if run.own or shown == 2 else _PROGRESS_INTERVAL,
            steps_per_epoch=each,
            validated=plan.epochs(first, last),
            last_epoch=core.last_epoch,
            on_batch=run.on_batch if run.in_batches else None,
            on_validation=run.validation(plan.data, plan.batch),
            functions=functions,
        )
        core.weights_changed()
        run.end(result, plan.epochs(first, last))
    return run.history


def _mark(run: Run, own: Lock) -> None:
    """Marks the early stopping of a run until the lock ``own`` is open."""
    if run.stoppers:
        judge_in_the_core(run.stoppers, own)
    if run.by_hand:
        judge_by_hand(run.by_hand, own)


class ValidationPlan(NamedTuple):
    """After which epochs a run is validated, and on what.

    Attributes:
        data: The rows; None without validation.
        batch: The rows of a batch, for the hooks of callbacks.
        every: After every how many epochs, or after which epochs, counted from 1.
    """

    data: _core.Data | None
    batch: int
    every: int | frozenset[int]

    @staticmethod
    def of(steps: object, batch_size: object, freq: object, batch: int, data: _core.Data | None) -> ValidationPlan:
        """The plan for arguments of ``fit``; ``batch`` is the size of its own batches."""
        size = batch if batch_size is None else check_int("fit", "validation_batch_size", batch_size, AT_LEAST_ONE)
        if steps is not None:
            count = check_int("fit", "validation_steps", steps, AT_LEAST_ONE)
            if data is None:
                raise ValueError("fit: validation_steps needs validation_data, validation_split or validation_rows")
            data = first_rows(data, count * size)
        if isinstance(freq, (list, tuple, set, frozenset, range)):
            after = frozenset(check_int("fit", "validation_freq", epoch, AT_LEAST_ONE) for epoch in freq)
            return ValidationPlan(data, size, after)
        return ValidationPlan(data, size, check_int("fit", "validation_freq", freq, AT_LEAST_ONE))

    def epochs(self, first: int, last: int) -> NDArray[np.uint8] | None:
        """For each epoch of a run, whether it is followed by a validation; None if all are."""
        if self.every == 1 or self.data is None or first == last:
            return None
        every = self.every
        hits = [n % every == 0 if isinstance(every, int) else n in every for n in range(first + 1, last + 1)]
        return np.array(hits, dtype=np.uint8)


class _KeptIfTrained:
    """Within it a fit sets names of columns and classes of labels. They are kept if at least one step was trained."""

    __slots__ = ("core", "known", "step")

    def __init__(self, core: CoreModel) -> None:
        self.core, self.known = core, (core.feature_names, core.classes)
        self.step = 0 if core.trainer is None else core.trainer.step

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        trainer = self.core.trainer
        if trainer is None or trainer.step == self.step:
            self.core.feature_names, self.core.classes = self.known


def _warn_once(model: CoreModel, data: _core.Data, shape: Shape, names: Any) -> None:
    """Warns of outputs that are no probabilities, and of the spreads of the features, before a model's first step."""
    if model.spreads_known or (model.trainer is not None and model.trainer.step > 0):
        return
    model.spreads_known = True
    inputs, flat = model.input_names, model.flat_for(shape)
    warn_of_logits(model.losses, flat, inputs)
    several = len(inputs) > 1
    for i, (x, name) in enumerate(zip(data["x"] if several else [data["x"]], inputs, strict=True)):
        if meets_dense(flat, len(inputs), i) and not are_narrow(x, data["rows"]):
            columns = names[i] if several and names else None if several else names
            warn_of_spreads(x, data["rows"], columns, f"x[{name!r}]" if several else "x")


def _seconds_left(items: list[Callback], begun: float) -> float:
    limits = [item.seconds for item in items if isinstance(item, TimeLimit)]
    return max(0.0, min(limits) - (time.monotonic() - begun)) if limits else math.inf


def log_keys(directions: dict[str, str], validation: bool) -> tuple[list[str], dict[str, str]]:
    """The keys of an epoch's logs, in the order of the core's, and whether a high or a low value of each is good.

    Args:
        directions: The same for an evaluation.
        validation: Whether the epoch has one.
    """
    if validation:
        directions = directions | {f"val_{key}": direction for key, direction in directions.items()}
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
    model: CoreModel, given: _Given, shape: Shape, names: Any, passes: int, fraction: float, validation_data: object
) -> tuple[_core.Data, _core.Data | None]:
    losses = model.losses
    only_if_single(model, given.class_weight)
    x = features_of(model, given.x, passes, shape)
    n, outputs = len(x[0]), model.output_shapes(shape)
    given_y = labelled(model, outputs_of(model, given.y, n), outputs, learn=True)
    targets = targets_of(model, given_y, n, outputs)
    rows = arrays.row_indices(given.rows, n, "rows")
    held_out, validation = arrays.row_indices(given.validation_rows, n, "validation_rows"), None
    if fraction:
        labels = (arrays.class_labels(y, loss) for y, loss in zip(targets, losses, strict=True))
        first = next((found for found in labels if found is not None), None)
        rows, held_out = arrays.split(n, fraction, model.seed, first, rows)
    elif held_out is not None and rows is None:
        rows = arrays.other_rows(n, held_out)
    if held_out is not None:
        # Weights of the caller's hold for both sides, weights of classes for training only.
        weights = row_weights(model, given.sample_weight, given_y, n, held_out)
        validation = data_of(x, targets, weights, held_out)
    weights = row_weights(model, given.sample_weight, given_y, n, rows)
    if given.class_weight is not None:
        width = math.prod(outputs[0])
        by_class = by_number(given.class_weight, model.classes)
        weights = [arrays.class_weights(by_class, targets[0], losses[0], width, weights[0], rows)]
    if validation_data is not None:
        validation = _validation_data(model, validation_data, names, shape, passes)
    return data_of(x, targets, weights, rows), validation


def _validation_data(model: CoreModel, value: object, names: Any, shape: Shape, passes: int) -> _core.Data:
    if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
        got = f"{len(value)} items" if isinstance(value, (tuple, list)) else describe(value)
        hint = f"; {BATCHES}" if gives_batches(value) else ""
        raise ValueError(f"fit: validation_data must be (x, y) or (x, y, sample_weight), got {got}{hint}")
    weights = value[2] if len(value) == 3 else None
    prefix = "validation_data "
    x = inputs_of(model, value[0], f"{prefix}x")
    checked_input_names(x, names)
    return labelled_data(model, x, value[1], weights, None, shape, prefix, passes)


def labelled_data(
    model: CoreModel,
    x: list[Given],
    y: object,
    sample_weight: object,
    class_weight: object,
    shape: Shape,
    prefix: str = "",
    passes: int = 1,
    rows: object = None,
    absolute: bool = False,
) -> _core.Data:
    """Data, or some rows of it, that are scored ``passes`` times. ``prefix`` is put before arguments in messages.

    Weights count by their ratios alone, unless they are ``absolute``.
    """
    losses = model.losses
    only_if_single(model, class_weight)
    values = features_of(model, x, passes, shape)
    n, outputs = len(values[0]), model.output_shapes(shape)
    given_y = labelled(model, outputs_of(model, y, n, f"{prefix}y"), outputs)
    targets = targets_of(model, given_y, n, outputs)
    chosen = arrays.row_indices(rows, n, "rows")
    weights = row_weights(model, sample_weight, given_y, n, chosen, prefix, absolute)
    if class_weight is not None:
        count = math.prod(outputs[0])
        by_class = by_number(class_weight, model.classes)
        weights = [arrays.class_weights(by_class, targets[0], losses[0], count, weights[0], chosen, absolute)]
    if absolute:  # the core divides by all rows; larger weights make that a mean over the rows that the loss counts
        weights = [
            one if one is None or (share := share_counted(part.value, loss)) == 1.0 else one / np.float32(share)
            for one, part, loss in zip(weights, given_y, losses, strict=True)
        ]
    return data_of(values, targets, weights, chosen)
