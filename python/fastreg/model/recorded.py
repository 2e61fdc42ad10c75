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
            history.__dict__.update({name: _own(value) for name, value in vars(history).items()})
        return {"history": history, "refilled": None}


def _own(value: Any) -> Any:
    """Lists and dicts of lists of their own. A program may have put anything into a history."""
    if type(value) is dict:
        return {key: _own(column) for key, column in value.items()}
    return list(value) if type(value) is list else value
