"""Callbacks of the fits of a search: each fit has its own, so that none shares state with another fold or trial.

They are copies of those that were given, or a function makes them for each fold of each trial.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastreg.callbacks import BackupAndRestore, Callback
from fastreg.internal.checks import describe
from fastreg.model.given_callbacks import checked_list

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
    """The callbacks of one fit, which no other fit has; a :class:`CallbackList` counts as its callbacks.

    All are copied at once, so that one that refers to another one of the list refers to its copy.

    Args:
        given: The argument ``callbacks``: a callback, a list of them, None, or a function of a :class:`FoldOfTrial`
            that returns one of these.
        told: The fold that is trained.

    Raises:
        TypeError: If it is, or the function returns, anything else.
        ValueError: If all folds were to share a backup.
    """
    makes = makes_callbacks(given)
    made = given(told) if makes else given
    if makes and made is not None and not isinstance(made, (Callback, Iterable)):
        raise TypeError(f"fit: the function given as callbacks must return a list of callbacks, got {describe(made)}")
    items = checked_list(made)
    if not makes and any(isinstance(item, BackupAndRestore) for item in items):
        raise ValueError(
            "fit: callbacks of a search must not have a BackupAndRestore, whose one folder all folds would use; "
            "journal= keeps what is done, and a function given as callbacks can make one for each fold"
        )
    return copy.deepcopy(items)
