"""``CallbackList``: several callbacks as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastreg.callbacks.base import HOOKS, Callback
from fastreg.callbacks.history import History
from fastreg.callbacks.progress import ProgbarLogger

if TYPE_CHECKING:
    from fastreg.internal.trained_model import TrainedModel

__all__ = ["CallbackList"]


class CallbackList(Callback):
    """Several callbacks that are called as one, in their order.

    ``fit``, ``evaluate`` and ``predict`` take one in place of a list, and call the callbacks in it; a derived class
    that has hooks of its own is a TypeError there. A loop of your own can use it to call the hooks of all callbacks.

    Args:
        callbacks: A list of callbacks.
        add_history: Whether to append a :class:`History` if there is none.
        add_progbar: Whether to append a :class:`ProgbarLogger` if there is none.
        model: Is given to each callback, if it is not None.
        **params: Are given to each callback, if there are any.

    Attributes:
        callbacks: The callbacks.

    Example:
        >>> from fastreg import callbacks
        >>> both = callbacks.CallbackList([callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))])
        >>> both.append(callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs)))
        >>> both.on_epoch_end(3, {"loss": 0.5})
        3
        {'loss': 0.5}
    """

    def __init__(
        self,
        callbacks: Iterable[Callback] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        self.callbacks = list(callbacks or ())
        if add_history and not any(isinstance(item, History) for item in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(item, ProgbarLogger) for item in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def append(self, callback: Callback) -> None:
        """Appends a callback."""
        self.callbacks.append(callback)

    def set_model(self, model: TrainedModel) -> None:
        """Gives each callback the model."""
        self.model = model
        for item in self.callbacks:
            item.set_model(model)

    def set_params(self, params: dict[str, int]) -> None:
        """Gives each callback the parameters."""
        self.params = params
        for item in self.callbacks:
            item.set_params(params)


def _forward(hook: str) -> Any:
    def call(self: CallbackList, *args: Any, **kwargs: Any) -> None:
        for item in self.callbacks:
            getattr(item, hook)(*args, **kwargs)

    call.__name__, call.__qualname__ = hook, f"CallbackList.{hook}"
    call.__doc__ = f"Calls ``{hook}`` of each callback."
    return call


for _hook in HOOKS:
    setattr(CallbackList, _hook, _forward(_hook))
