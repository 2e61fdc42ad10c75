"""``Run``: one run of a fit as Python sees it: callbacks, progress and the history.

It knows nothing of data. The core calls it between epochs, and between steps if a callback has a hook for batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.callbacks.base import Callback
from fastreg.callbacks.early_stopping import EarlyStopping
from fastreg.callbacks.history import History
from fastreg.callbacks.stops import TerminateOnNaN
from fastreg.internal.dataclasses import replace
from fastreg.internal.histories import real_number
from fastreg.internal.progress import Progress, say
from fastreg.model.core import CoreModel
from fastreg.model.given_callbacks import adds_keys, has_hook, warn_of_patience
from fastreg.model.hooks import TEST_HOOKS, scored
from fastreg.model.step_rates import layer_rates, step_rates

if TYPE_CHECKING:
    from fastreg.internal.trained_model import TrainedModel

__all__ = ["Rates", "Run"]

# The number of steps whose learning rates are evaluated at a time, at least those of an epoch.
_RATES_BLOCK = 1 << 16


class Rates:
    """The learning rates of a run, one block of epochs at a time, so that a run that stops early computes no others."""

    def __init__(self, core: CoreModel, start: int, steps: int, total: int) -> None:
        self.optimizer, self.layers = core.require_optimizer("fit"), layer_rates(core)
        self.start, self.total, self.run = start, total, core.run_length
        self.block = max(1, _RATES_BLOCK // steps) * steps

    def __call__(self, first: int, least: int) -> NDArray[np.float64]:
        """Those of steps ``first``, ... of the run, ``least`` at least unless it ends before; one if all are equal."""
        n = min(max(self.block, least), self.total - first)
        return step_rates(self.optimizer, self.layers, self.start + first, n, self.run)


class Run:
    """A run: passes epochs to the progress and to callbacks, and interprets the result.

    Attributes:
        stoppers: The early stopping that the core judges.
        configs: Its settings for the core.
        own: The callbacks that have hooks of epochs, in list order.
        in_batches: Those that have hooks of batches.
        progress: What is shown; None for nothing.
        ended: Whether a backup is of a run that early stopping had ended.
    """

    def __init__(
        self,
        core: CoreModel,
        model: TrainedModel,
        trainer: _core.Trainer,
        items: list[Callback],
        keys: list[str],
        directions: Mapping[str, str],
        last: int,
    ) -> None:
        self._core, self.model, self.trainer = core, model, trainer
        self.items, self.keys, self.last = items, keys, last
        self.first = self.offset = 0
        self.stoppers, self.by_hand = list[EarlyStopping](), list[EarlyStopping]()
        self.configs: list[_core.EarlyStoppingConfig] = []
        self.own, self.in_batches, self._backups = list[Callback](), list[Callback](), list[Any]()
        self._busy = [item for item in items if not item._is_idle]
        if self._busy:
            self._divide(directions)
        self.refilled = next((item for item in items if isinstance(item, History)), None)
        self.history = self.refilled or History()
        self.history.history, self.history.epoch, self.history.stopped_by = {}, [], ""
        self.history.validation_epoch = []
        self.progress: Progress | None = None
        self.ended = False
        self._recorded: set[str] = set()
        self._states: list[Mapping[str, Any]] = []

    def _divide(self, directions: Mapping[str, str]) -> None:
        """Divides the callbacks by what calls them."""
        items, keys = self._busy, self.keys
        self._backups = [item for item in items if hasattr(item, "write_epoch")]
        added = any(adds_keys(item) for item in items)
        stoppers = [item for item in items if isinstance(item, EarlyStopping)]
        # A backup keeps the state of early stopping, a key that a callback adds is known to Python alone, and in a
        # derived class on_epoch_end decides.
        decides = [item for item in stoppers if has_hook(item, "on_epoch_end")]
        late = [item for item in stoppers if item in decides or (added and item.monitor not in keys)]
        self.by_hand = [item for item in stoppers if self._backups or item in late]
        self.stoppers = [item for item in stoppers if item not in self.by_hand]
        self.configs = [item.core_config(keys, directions) for item in self.stoppers]
        for item in items:
            item._watch(keys, directions, added)
        for item in self.by_hand:
            item.watch(directions)
        warn_of_patience(items)
        # As the core does, these judge before callbacks change values.
        first = [item for item in self.by_hand if item not in late]
        called = [item for item in items if item in late or has_hook(item, "on_epoch_begin", "on_epoch_end")]
        self.own = [*first, *(item for item in called if item not in first)]
        batch_hooks = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
        self.in_batches = [item for item in items if has_hook(item, *batch_hooks)]

    # Before and after a run.

    def restored(self, first: int) -> int:
        """Restores the state of a backup, if there is one. Returns the epoch to begin with."""
        for backup in self._backups:
            backup.follow(self)
            if (found := backup.read()) is not None:
                first = self._restore(found)
        return first

    def _restore(self, backup: Mapping[str, Any]) -> int:
        state, tensors, network = backup["state"], backup["tensors"], self._core.require_network("fit")
        shapes = {name: shape for name, shape, _ in network.weight_info()} | self.trainer.moment_shapes()
        found = {name: array.shape for name, array in tensors.items() if not name.startswith("callbacks.")}
        kinds = [type(item).__name__ for item in self.items]
        if found != shapes or [one["type"] for one in state["callbacks"]] != kinds:
            raise ValueError(
                "BackupAndRestore: the backup must be of the same fit, with the same network, optimizer and callbacks; "
                "remove it to begin anew"
            )
        self._core.set_weights([tensors[name] for name, _, _ in network.weight_info()])
        self.trainer.step, self.trainer.epoch = state["step"], state["epochs"]
        self.trainer.set_moments({name: tensors[name] for name in self.trainer.moment_shapes()})
        self.trainer.averages_shown = False
        if state["learning_rate"] is not None:
            optimizer = self._core.require_optimizer("fit")
            self._core.optimizer = replace(optimizer, learning_rate=state["learning_rate"])
        self._states = [one["state"] for one in state["callbacks"]]
        return min(int(state["epoch"]), self.last)

    def state(self, epoch: int, tensors: dict[str, Any]) -> dict[str, Any]:
        """What a backup keeps besides tensors, to go on with this epoch. The tensors are put into the dict."""
        network = self._core.require_network("fit")
        names = [name for name, _, _ in network.weight_info()]
        tensors |= dict(zip(names, network.get_weights(), strict=True)) | self.trainer.get_moments()
        rate = self._core.require_optimizer("fit").learning_rate
        return {
            "epoch": epoch,
            "step": self.trainer.step,
            "epochs": self.trainer.epoch,
            "learning_rate": rate if isinstance(rate, float) else None,
            "callbacks": [{"type": type(item).__name__, "state": item.get_state()} for item in self.items],
        }

    def __enter__(self) -> None:
        """Lets ``model.stop_training`` end the run where no callback returns to Python after each epoch."""
        self._core.last_epoch = None if self.own else _core.StopSignal()

    def __exit__(self, *error: object) -> None:
        self._core.last_epoch = None
        if error[0] is not None and self.history.stopped_by != "diverged":
            self.history.stopped_by = "error"  # also before the first epoch and after the last one
            self.history.history = self.history.history or {key: [] for key in self.keys}

    def begin(self, first: int, params: dict[str, int]) -> None:
        """Calls the hooks before the first epoch."""
        self.first = first
        # The core counts epochs over the model's life, a run from initial_epoch.
        self.offset = self.trainer.epoch - first
        for item in (self.history, *self.items):
            item.set_model(self.model)
            item.set_params(params)
        for item in self.items:
            item.on_train_begin({})
        for item, state in zip(self.items, self._states, strict=False):
            item.set_state(state)
        self.ended = bool(self._states) and any(item.stopped_epoch for item in self.by_hand)
        if first < self.last and not self.ended:
            for item in self.own:
                item.on_epoch_begin(first, {})

    # Within a run.

    def on_epoch(self, core_epoch: int, values: list[float], last: bool) -> bool:
        """An epoch ended; ``last`` if no other follows. Whether to stop."""
        epoch = core_epoch - self.offset
        logs = dict(zip(self.keys, values, strict=False))  # without validation there are fewer values
        if self.progress is not None:
            self.progress.epoch_ended(epoch, logs)
        if self.own:
            self._record(epoch, logs)
            try:
                for item in self.own:
                    item.on_epoch_end(epoch, logs)
            finally:
                self._record(epoch, logs)
                for item in self.own:
                    item._epoch_over()
            for backup in self._backups:
                backup.write_epoch(epoch)
            if not (last or self.model.stop_training):
                for item in self.own:
                    item.on_epoch_begin(epoch + 1, {})
        return bool(self.model.stop_training)

    def _record(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Puts the numbers of an epoch into the history, or those that callbacks have changed."""
        history, known = self.history.history, self.history.epoch[-1:] == [epoch]
        if not known:
            self.history.epoch.append(epoch)
        for key, value in logs.items():
            if (number := real_number(value)) is None:
                continue
            column = history.setdefault(key, [])
            if known and key in self._recorded:
                column[-1:] = [number]  # a callback may have emptied it
            else:
                column.append(number)
        self._recorded = set(logs)

    def on_batch(self, core_epoch: int, step: int, values: list[float] | None) -> bool:
        """A step begins or, with values, has ended. Whether to stop."""
        if values is None:
            for item in self.in_batches:
                item.on_train_batch_begin(step, {})
            return False
        logs = dict(zip(self.keys, values, strict=False))
        for item in self.in_batches:
            item.on_train_batch_end(step, logs)
        return bool(self.model.stop_training)

    def on_poll(self, core_epoch: int, step: int, steps: int, loss: float) -> None:
        """Some steps of an epoch are done."""
        if self.progress is not None:
            self.progress.within_epoch(core_epoch - self.offset, step, steps, loss)

    def validation(self, data: _core.Data | None, batch: int) -> Callable[[], list[float]] | None:
        """The function that validates with the hooks of callbacks; None if no callback has one."""
        watching = [item for item in self._busy if has_hook(item, *TEST_HOOKS)]
        if data is None or not watching:
            return None
        keys = self.keys[: len(self.keys) // 2]
        evaluate = partial(self.trainer.evaluate, functions=self._core.functions())
        return lambda: scored(evaluate, data, keys, batch, watching)

    # After a run.

    def end(self, result: _core.FitResult, validated: NDArray[np.uint8] | None) -> None:
        """Fills the history and callbacks, and raises the exception of the run, if there is one."""
        self._fill_history(result, validated)
        last_logs: dict[str, float] = {key: values[-1] for key, values in self.history.history.items() if values}
        messages: list[str] = []
        for stopper, found in zip(self.stoppers, result["early_stopping"], strict=True):
            stopper.take_result(found, self.offset)
            messages += stopper.messages(found)
        for stopper in self.by_hand:
            messages += stopper.restore_by_hand()
        if self.progress is not None:
            n = len(result["logs"])
            self.progress.run_ended(self.first + n - 1 if n else -1, last_logs)
        for message in messages:
            say(message)
        if result["exception"] is not None:
            raise result["exception"]
        if result["diverged"] is not None:
            guards = [item for item in self.items if isinstance(item, TerminateOnNaN)]
            for guard in guards:
                guard.stopped_step = int(result["diverged"]["step"])
            if not guards or any(guard.raise_error for guard in guards):
                raise divergence_error("fit", result["diverged"], self.offset)
        for item in self.items:
            item.on_train_end(last_logs)

    def _fill_history(self, result: _core.FitResult, validated: NDArray[np.uint8] | None) -> None:
        logs, history = result["logs"], self.history
        if not self.own or not len(logs) or len(history.epoch) != len(logs):
            added = {key: values for key, values in history.history.items() if key not in self.keys}
            columns = dict(zip(self.keys, logs.T.tolist(), strict=True))
            if validated is not None:
                rows = np.flatnonzero(validated[: len(logs)]).tolist()
                for key in self.keys[len(self.keys) // 2 :]:
                    columns[key] = [columns[key][row] for row in rows]
            history.history = columns | added
            history.epoch = list(range(self.first, self.first + len(logs)))
        followed = np.ones(len(logs), np.bool_) if validated is None else validated[: len(logs)]
        has_values = any(key.startswith("val_") for key in self.keys)
        history.validation_epoch = (self.first + np.flatnonzero(followed)).tolist() if has_values else []
        by_hand = result["stopped_by"] == "callback" and any(item.stopped_epoch for item in self.by_hand)
        history.stopped_by = "early_stopping" if by_hand or self.ended else result["stopped_by"]


def divergence_error(call: str, where: Mapping[str, float], offset: int) -> _core.DivergenceError:
    """The error of a step whose loss or update is not finite."""
    step, epoch, rate, loss = int(where["step"]), int(where["epoch"]) - offset, where["rate"], where["loss"]
    cause = f"the loss became {loss:g}" if not abs(loss) < float("inf") else "a weight is no longer finite"
    error = _core.DivergenceError(
        f"{call}: training diverged at step {step}, epoch {epoch + 1}: {cause} at learning rate {rate:g} (loss "
        f"{loss:g}). The last finite weights are kept. Try a smaller learning rate, {rate / 10:g} say, or inputs "
        "scaled to mean 0 and variance 1"
    )
    details: dict[str, Any] = {"step": step, "epoch": epoch, "learning_rate": rate, "loss": loss}
    for name, value in details.items():
        setattr(error, name, value)
    return error
