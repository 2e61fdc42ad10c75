"""Callbacks of the fits of a search: each fit has its own, so that none shares state with another fold or trial.

They are copies of those that were given, or a function makes them for each fold of each trial.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastreg.callbacks import Callback, StopSignal, TimeLimit
from fastreg.internal.checks import describe

__all__ = ["FoldOfTrial", "callbacks_of", "makes_callbacks"]


@dataclass(frozen=True)
class FoldOfTrial:
    """What a function that makes callbacks is told.

    Attributes:
        trial: The number of the trial.
        fold: The number of the fold; None for the fit on all rows.
        params: The parameters of the trial.
    """

    trial: int
    fold: int | None
    params: Mapping[str, Any]


def makes_callbacks(given: Any) -> bool:
    """Whether the argument ``callbacks`` of a search's ``fit`` is a function that makes them."""
    return callable(given) and not isinstance(given, (Callback, type))


def callbacks_of(given: Any, told: FoldOfTrial) -> list[Callback]:
    """The callbacks of one fit, which no other fit has. Signals and limits have no state, and are not copied.

    Args:
        given: The argument ``callbacks``: a callback, a list of them, None, or a function of a :class:`FoldOfTrial`
            that returns one of these.
        told: The fold that is trained.

    Raises:
        TypeError: If the function returns anything else.
    """
    made = given(told) if makes_callbacks(given) else given
    if made is not None and not isinstance(made, (Callback, Iterable)):
        raise TypeError(f"fit: the function given as callbacks must return a list of callbacks, got {describe(made)}")
    items = [made] if isinstance(made, Callback) else list(made or ())
    for item in items:
        if made is not given and not isinstance(item, Callback):
            raise TypeError(f"fit: callbacks must be instances of callbacks.Callback, got {describe(item)}")
    return [item if isinstance(item, (StopSignal, TimeLimit)) else copy.deepcopy(item) for item in items]
