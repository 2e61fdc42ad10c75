"""``SwapEMAWeights``: averages of weights in place of the weights, for a while."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastreg.callbacks.base import Callback, Logs
from fastreg.internal.checks import check_bool

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Puts the averages of the weights in their place during validations, evaluations and predictions.

    The optimizer must keep averages (``use_ema=True``). Without this callback validation uses the weights that are
    trained, and the model has the averages when the fit has ended.

    Args:
        swap_on_epoch: Whether the callbacks after this one in the list see the averages in ``on_epoch_end``, so that a
            :class:`ModelCheckpoint` saves them.

    Raises:
        TypeError: If ``swap_on_epoch`` is not a bool.
        ValueError: In ``fit``, if the optimizer keeps no averages.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        >>> model = fr.Sequential([fr.layers.Dense(1)], seed=0)
        >>> model.compile(fr.optimizers.SGD(0.1, use_ema=True), "mse")
        >>> swap = fr.callbacks.SwapEMAWeights()
        >>> history = model.fit(x, x[:, 0], epochs=5, validation_split=0.5, callbacks=[swap], verbose=0)
    """

    _of_one_run = True

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = check_bool("SwapEMAWeights", "swap_on_epoch", swap_on_epoch)
        self._trained: list[NDArray[np.float32]] | None = None

    def __repr__(self) -> str:
        return f"SwapEMAWeights(swap_on_epoch={self.swap_on_epoch})"

    def _needs(self, hook: str) -> bool:
        return hook != "on_epoch_end" or self.swap_on_epoch

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Checks that there are averages."""
        self._trained = None
        self._averages()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Puts the averages in place for the callbacks that follow, if wished."""
        if self.swap_on_epoch:
            self._put()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Puts the averages in place."""
        self._put()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Puts the weights back."""
        self._put_back()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Puts the averages in place."""
        self._put()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Puts the weights back."""
        self._put_back()

    def _epoch_over(self) -> None:
        self._put_back()

    def _abandoned(self) -> None:
        self._put_back()

    def _put(self) -> None:
        core = cast(Any, self.model)._core
        if self._trained is None and not core.trainer.averages_shown:
            averages = self._averages()
            self._trained = self.model.get_weights()
            names = [name for name, _, _ in core.network.weight_info()]
            self.model.set_weights(
                [averages.get(name, weight) for name, weight in zip(names, self._trained, strict=True)]
            )

    def _put_back(self) -> None:
        if self._trained is not None:
            self.model.set_weights(self._trained)
            self._trained = None

    def _averages(self) -> dict[str, NDArray[np.float32]]:
        """The average of each trained weight."""
        prefix, moments = "optimizer.average.", cast(Any, self.model)._core.trainer.get_moments()
        found = {name.removeprefix(prefix): value for name, value in moments.items() if name.startswith(prefix)}
        if not found:
            raise ValueError("SwapEMAWeights: the optimizer must keep averages of the weights; give it use_ema=True")
        return found
