"""``Recorded``: the history of a model, as a part of the state that its weights are a part of.

A pickle reads both at one moment, in which no fit runs. If a face had the history, a fit of another thread could run
between the two.
"""

from __future__ import annotations

import copy
from typing import Any

__all__ = ["Recorded"]


class Recorded:
    """A model with a history.

    Attributes:
        history: The result of the last fit, or what was set since; None before.
        refilled: The same, if it is a callback that ``fit`` was given, since the next fit may be given it too, and
            fills it again; else None.
    """

    history: Any = None
    refilled: Any = None

    def recorded(self) -> dict[str, Any]:
        """The two for a copy or a pickle. The next fit, of whatever model, does not change what is returned."""
        history = self.history
        if history is not None and history is self.refilled:
            history = copy.copy(history)
            history.history = {key: list(values) for key, values in history.history.items()}
            history.epoch, history.validation_epoch = list(history.epoch), list(history.validation_epoch)
        return {"history": history, "refilled": None}
