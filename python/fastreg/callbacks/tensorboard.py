"""``TensorBoard``: writes what TensorBoard shows, through the package tensorboardX or that of PyTorch."""

from __future__ import annotations

import os
from typing import Any

from fastreg.callbacks.base import Callback, Logs
from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, check_int, describe
from fastreg.internal.extras import needs
from fastreg.internal.histories import real_number

__all__ = ["TensorBoard"]

# Arguments of Keras that have no meaning here, and the values at which they are accepted.
_IDLE: dict[str, tuple[object, ...]] = {
    "write_graph": (True, False),
    "write_images": (False,),
    "write_steps_per_second": (False,),
    "profile_batch": (0,),
    "embeddings_freq": (0,),
    "embeddings_metadata": (None,),
}


class TensorBoard(Callback):
    """Writes the values of each epoch, and histograms of the weights if wished, for TensorBoard to show.

    Values of training are in the run ``train``, those of validation in ``validation``, each under ``epoch_loss``,
    ``epoch_accuracy`` and so on, as in Keras. The package tensorboardX, or torch with tensorboard, must be installed.

    Args:
        log_dir: The folder for the files.
        histogram_freq: 0, or after how many epochs histograms of the weights are written.
        write_graph: Has no effect and is accepted because Keras has it.
        write_images: Accepted only as False.
        write_steps_per_second: Accepted only as False.
        update_freq: ``"epoch"``, ``"batch"``, or an integer: after how many batches the values of the epoch up to then
            are written, too, as ``batch_loss`` and so on.
        profile_batch: Accepted only as 0.
        embeddings_freq: Accepted only as 0.
        embeddings_metadata: Accepted only as None.

    Raises:
        ValueError: If an argument is out of range or has another value than the accepted one.
        ImportError: In ``fit``, if neither package is installed.

    Example:
        >>> from fastreg import callbacks
        >>> board = callbacks.TensorBoard("logs", histogram_freq=10)
    """

    _of_one_run = True
    _aside = Callback._aside | {"log_dir"}

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        given = {
            "write_graph": write_graph,
            "write_images": write_images,
            "write_steps_per_second": write_steps_per_second,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for name, value in given.items():
            if not any(type(value) is type(idle) and value == idle for idle in _IDLE[name]):
                only = " or ".join(map(repr, _IDLE[name]))
                raise ValueError(f"TensorBoard: {name} is not supported and must be {only}, got {describe(value)}")
        try:
            self.log_dir = os.fspath(log_dir)
        except TypeError:
            raise TypeError(f"TensorBoard: log_dir must be a path, got {describe(log_dir)}") from None
        self.histogram_freq = check_int("TensorBoard", "histogram_freq", histogram_freq, NON_NEGATIVE)
        if isinstance(update_freq, str) and update_freq not in ("epoch", "batch"):
            raise ValueError(f"TensorBoard: update_freq must be 'epoch', 'batch' or an integer, got {update_freq!r}")
        each = 1 if update_freq == "batch" else 0 if update_freq == "epoch" else update_freq
        self._every = each if each == 0 else check_int("TensorBoard", "update_freq", each, AT_LEAST_ONE)
        self.update_freq = update_freq
        self._writers: dict[str, Any] = {}
        self._batches = 0

    def _needs(self, hook: str) -> bool:
        return "batch" not in hook or self._every > 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Finds the package, before anything is trained."""
        self._close()
        self._make: Any = _writer_class()
        self._batches = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Writes the values of the epoch up to now, if it is time for them."""
        self._batches += 1
        if self._every and self._batches % self._every == 0:
            for key, value in (logs or {}).items():
                self._writer("train").add_scalar(f"batch_{key}", value, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the numbers of the epoch."""
        for key, value in (logs or {}).items():
            if real_number(value) is None:
                continue  # a text of another callback
            run = "validation" if key.startswith("val_") else "train"
            self._writer(run).add_scalar(f"epoch_{key.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for i, layer in enumerate(self.model.layers):
                for j, weight in enumerate(layer.get_weights()):
                    self._writer("train").add_histogram(f"{layer.name}/{i}.{j}", weight, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the files."""
        self._close()

    def _writer(self, run: str) -> Any:
        if run not in self._writers:
            self._writers[run] = self._make(os.path.join(self.log_dir, run))
        return self._writers[run]

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_make"} | {"_writers": {}}


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(needs("TensorBoard", "tensorboard", "tensorboardX")) from error
    return SummaryWriter
