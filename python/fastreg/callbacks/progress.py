"""Callbacks that show the progress of a run."""

from __future__ import annotations

from typing import Any

from fastreg.callbacks.base import Callback, Logs
from fastreg.internal.extras import needs
from fastreg.internal.histories import real_number

__all__ = ["ProgbarLogger", "TqdmCallback"]


class ProgbarLogger(Callback):
    """Does nothing and is accepted because Keras has it: ``fit`` shows the progress by itself, as ``verbose`` says.

    Example:
        >>> from fastreg import callbacks
        >>> progress = callbacks.ProgbarLogger()
    """


class TqdmCallback(Callback):
    """Shows the epochs as a bar of the package tqdm, with the values of the last one. Use it with ``verbose=0``.

    Args:
        **options: Are given to ``tqdm.auto.tqdm``, such as ``desc`` and ``leave``.

    Raises:
        ImportError: In ``fit``, if tqdm is not installed.

    Example:
        >>> from fastreg import callbacks
        >>> bar = callbacks.TqdmCallback(desc="fit")
    """

    _of_one_run = True

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._bar: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the bar."""
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError(needs("TqdmCallback", "tqdm", "tqdm")) from error
        self._close()
        self._bar = tqdm(**({"total": self.params.get("epochs"), "unit": "epoch"} | self._options))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Shows the epoch that begins, which is not 0 in a run that is continued."""
        if self._bar is not None and self._bar.n < epoch:
            self._bar.update(epoch - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Moves the bar on."""
        if self._bar is not None:
            numbers = {key: real_number(value) for key, value in (logs or {}).items()}
            shown = {key: f"{number:.4g}" for key, number in numbers.items() if number is not None}
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(epoch + 1 - self._bar.n)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the bar."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
