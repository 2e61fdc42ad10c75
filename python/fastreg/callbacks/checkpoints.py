"""Callbacks that write the model to files during a run."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastreg import _core
from fastreg.callbacks.base import Callback, Logs
from fastreg.callbacks.monitors import MonitorCallback
from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, check_bool, check_int, check_verbosity, describe
from fastreg.internal.progress import say

__all__ = ["BackupAndRestore", "ModelCheckpoint"]

# Of backups: the first one had no checksum.
_FORMAT = 2

Path = str | os.PathLike[str]


class _Paced:
    """Counts the batches between two files.

    Args:
        owner: The name of the callback, for messages.
        save_freq: ``"epoch"``, or a number of batches.
    """

    def __init__(self, owner: str, save_freq: object) -> None:
        self.every = 0
        if save_freq != "epoch":
            if isinstance(save_freq, str):
                raise ValueError(f"{owner}: save_freq must be 'epoch' or an integer >= 1, got {save_freq!r}")
            self.every = check_int(owner, "save_freq", save_freq, AT_LEAST_ONE)
        self.seen = 0

    def is_due(self) -> bool:
        """Counts a batch. Whether a file is due after it."""
        self.seen += 1
        due = self.seen >= self.every
        self.seen = 0 if due else self.seen
        return due


class ModelCheckpoint(MonitorCallback):
    """Saves the model after every epoch, after some batches, or whenever a value is better than before.

    A file is written completely or not at all, and replaces an older one of the same name. :func:`fastreg.load` reads a
    model with the state of its training, ``model.load_weights`` the weights alone.

    Args:
        filepath: The file, usually ``.safetensors``. It may contain ``{epoch}``, counted from 1, ``{batch}``, counted
            from 1 within the epoch, and keys of the logs, with formats:
            ``"net-{epoch:02d}-{val_loss:.2f}.safetensors"``. Missing folders are made. Names of Keras's files
            (``.keras``, ``.h5``) are accepted with a warning.
        monitor: Key of the value, as for :class:`EarlyStopping`; used only with ``save_best_only``.
        verbose: 1 or True writes to standard error when it saves.
        save_best_only: Whether to save only if the value is better than at all times before.
        save_weights_only: Whether to save the weights alone, by ``model.save_weights``.
        mode: ``"min"``, ``"max"``, or ``"auto"``: the direction of the metric; max for accuracies, else min.
        save_freq: ``"epoch"``, or an integer: after that many batches, counted over the epochs.
        initial_value_threshold: The value to be better than at first; None means that there is none.

    Attributes:
        best: Best value up to now; None before one. It stays from one run to the next.

    Raises:
        ValueError: If an argument is out of range; in ``fit``, if ``monitor`` or a key in ``filepath`` is no key of
            this run.
        OSError: In ``fit``, if a file cannot be written.

    Example:
        >>> from fastreg import callbacks
        >>> best = callbacks.ModelCheckpoint("best.safetensors", save_best_only=True)
        >>> best.monitor, best.save_freq
        ('val_loss', 'epoch')
    """

    _of_one_run = True
    _aside = Callback._aside | {"filepath"}

    def __init__(
        self,
        filepath: Path,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        owner = type(self).__name__
        self.filepath = _path(owner, "filepath", filepath)
        self.verbose = check_verbosity(owner, verbose, NON_NEGATIVE)
        self.save_best_only = check_bool(owner, "save_best_only", save_best_only)
        self.save_weights_only = check_bool(owner, "save_weights_only", save_weights_only)
        self._paced = _Paced(owner, save_freq)
        self.save_freq = save_freq
        self._epoch = 0

    def _needs(self, hook: str) -> bool:
        return "batch" not in hook or self._paced.every > 0

    def _watch(self, keys: Sequence[str], directions: Mapping[str, str], added: bool) -> None:
        super()._watch(keys, directions, added or not self.save_best_only)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Refuses a model that ``save`` would refuse."""
        of_model = self.model.loss
        for loss in of_model.values() if isinstance(of_model, dict) else [of_model]:
            if not self.save_weights_only and not getattr(loss, "in_files", True):
                raise ValueError(
                    f"ModelCheckpoint: a file cannot hold loss {loss.key!r}, a function of Python; give "
                    "save_weights_only=True"
                )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Saves, if ``save_freq`` batches have passed."""
        if self._paced.every and self._paced.is_due():
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves, if ``save_freq`` is ``"epoch"``."""
        if not self._paced.every:
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Logs | None) -> None:
        best = self.best
        if self.save_best_only:
            best = self.value_in(logs)
            if best is None or not self.improves(best, self.best):
                return
        path = self._path_of(epoch, batch, logs or {})
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        self.best = best  # only now: what could not be saved is not the best one for a later run
        if self.verbose:
            found = f" ({self.monitor} {self.best:g})" if self.save_best_only else ""
            say(f"Epoch {epoch + 1}: saved {path}{found}")

    def _path_of(self, epoch: int, batch: int | None, logs: Logs) -> str:
        known = {**logs, "epoch": epoch + 1} | ({} if batch is None else {"batch": batch + 1})
        try:
            return self.filepath.format(**known)
        except (KeyError, IndexError, ValueError) as error:
            what = f"unknown key {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(
                f"ModelCheckpoint: filepath {self.filepath!r} must have only keys of {', '.join(known)} in braces, "
                f"got {what}"
            ) from None

    def get_state(self) -> dict[str, Any]:
        """The best value, and the batches since the last file."""
        return {"best": self.best, "seen": self._paced.seen}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores them."""
        self.best, self._paced.seen = state["best"], state["seen"]


def _path(owner: str, name: str, value: object) -> str:
    try:
        path = os.fspath(value)  # type: ignore[call-overload]
    except TypeError:
        path = None
    if not isinstance(path, str) or not path:
        raise TypeError(f"{owner}: {name} must be a path, got {describe(value)}")
    return path


class BackupAndRestore(Callback):
    """Keeps a backup of the training, from which a ``fit`` that was killed continues.

    The program calls ``fit`` again with the same arguments on a model that is made and compiled in the same way. If
    there is a backup, the run goes on after its last epoch, bit for bit as if it had not been interrupted: weights,
    state of the optimizer, learning rate, the counts of steps and epochs, and the state of all callbacks that have one
    (:meth:`Callback.get_state`; best weights of :class:`EarlyStopping`, what :class:`ReduceLROnPlateau` has counted).
    The history has the epochs after that. When a run has ended in an ordinary way, the backup is removed.

    A backup is one file with a checksum, which is written completely or not at all. With a number of batches as
    ``save_freq`` it has the weights after those batches, and the run goes on with the beginning of that epoch, as in
    Keras, which is not bit for bit.

    Args:
        backup_dir: A folder for this run alone; it is made if it is missing.
        save_freq: ``"epoch"``, or an integer: after that many batches.
        double_checkpoint: Whether to keep the backup before the last one, too, and use it if the last cannot be read.
        delete_checkpoint: Whether to remove the backup at the end of the run.

    Raises:
        ValueError: If an argument is out of range; in ``fit``, if the backup is damaged or of another model, or of a
            fit with other callbacks.
        OSError: In ``fit``, if a file cannot be written.

    Example:
        >>> from fastreg import callbacks
        >>> backup = callbacks.BackupAndRestore("backup")
        >>> backup.save_freq
        'epoch'
    """

    _of_one_run = True
    _aside = Callback._aside | {"backup_dir"}

    def __init__(
        self,
        backup_dir: Path,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        owner = type(self).__name__
        self.backup_dir = _path(owner, "backup_dir", backup_dir)
        self._paced = _Paced(owner, save_freq)
        self.save_freq = save_freq
        self.double_checkpoint = check_bool(owner, "double_checkpoint", double_checkpoint)
        self.delete_checkpoint = check_bool(owner, "delete_checkpoint", delete_checkpoint)
        self._file = os.path.join(self.backup_dir, "backup.safetensors")
        self._older = os.path.join(self.backup_dir, "backup-before.safetensors")
        self._run: Any = None
        self._epoch = 0
        self._is_damaged = False  # the last backup, so that it must not replace the one before

    def _needs(self, hook: str) -> bool:
        return "batch" not in hook or self._paced.every > 0

    def follow(self, run: Any) -> None:
        """Is called by ``fit``: where to get from, and put back, what a backup consists of."""
        self._run = run

    def read(self) -> Mapping[str, Any] | None:
        """The backup: ``{"state": {...}, "tensors": {...}}``; None if there is none.

        Raises:
            ValueError: If the file is damaged, and there is no older one.
            OSError: If the file cannot be read, and there is no older one.
        """
        self._is_damaged = False
        found = [path for path in (self._file, self._older) if os.path.exists(path)]
        for path in found:
            try:
                return _read(path)
            except (ValueError, OSError):
                if path == found[-1]:
                    raise
                self._is_damaged = True
        return None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Writes a backup, if ``save_freq`` batches have passed."""
        if self._paced.every and self._paced.is_due():
            self._write(self._epoch)

    def write_epoch(self, epoch: int) -> None:
        """Is called by ``fit`` after all hooks of an epoch."""
        if not self._paced.every:
            self._write(epoch + 1)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Removes the backup."""
        self._run = None
        if not self.delete_checkpoint:
            return
        for path in (self._file, self._older):
            if os.path.exists(path):
                os.remove(path)
        if os.path.isdir(self.backup_dir) and not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)

    def _write(self, epoch: int) -> None:
        if self._run is None:
            return
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and not self._is_damaged and os.path.exists(self._file):
            os.replace(self._file, self._older)
        tensors: dict[str, Any] = {}
        state = _without_arrays(self._run.state(epoch, tensors), tensors)
        state = json.loads(json.dumps(state))  # as it will be read: keys are texts, which may make two of them alike
        content = {"backup": _FORMAT, "state": state, "crc32": _checksum(state, tensors)}
        _core.save_file(os.fsencode(self._file), json.dumps(content), tensors)
        self._is_damaged = False


def _checksum(state: Any, tensors: Mapping[str, Any]) -> int:
    """The CRC-32 of all that a backup holds."""
    found = zlib.crc32(json.dumps(state).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        found = zlib.crc32(array.data, zlib.crc32(f"{name}{array.shape}".encode(), found))
    return found


def _without_arrays(value: Any, tensors: dict[str, Any]) -> Any:
    """JSON of a state. Arrays go into the tensors, and their names in their place."""
    if isinstance(value, np.ndarray):
        name = f"callbacks.{len(tensors)}"
        tensors[name] = np.ascontiguousarray(value, dtype=np.float32)
        return {"array": name}
    if isinstance(value, Mapping):
        return {key: _without_arrays(item, tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, tensors) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value.item() if isinstance(value, np.generic) else value


def _with_arrays(value: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"array"}:
        return tensors[value["array"]]
    if value.keys() == {"float"}:
        return float(value["float"])
    return {key: _with_arrays(item, tensors) for key, item in value.items()}


def _read(path: str) -> Mapping[str, Any]:
    file = _core.ModelReader(os.fsencode(path))
    try:
        description = json.loads(file.description)
        if description["backup"] != _FORMAT:
            raise ValueError(f"backup must be {_FORMAT}, got {describe(description['backup'])}")
        tensors = {
            name: file.read(i, 0, math.prod(shape)).reshape(shape)
            for i, (name, shape) in enumerate(file.shapes.items())
        }
        if (found := _checksum(description["state"], tensors)) != description["crc32"]:
            told = describe(description["crc32"])
            raise ValueError(f"crc32 must be the checksum of the content, {found}, got {told}")
        return {"state": _with_arrays(description["state"], tensors), "tensors": tensors}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"BackupAndRestore: {path} must be a backup of a fit, got a file without one ({error})"
        ) from error
