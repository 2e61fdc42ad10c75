"""What may happen between epochs: a base class for callbacks, early stopping, stop signals, time limits, the history.

At the end of an epoch the order is: metrics, the callbacks in list order, the history, and then the stop flags. All of
them run. Early stopping, stop signals and time limits run inside C++, so a fit that has nothing else never enters
Python before it ends. A name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.checks import absent_names
from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.callbacks.base import Callback as Callback
    from fastreg.callbacks.base import Logs as Logs
    from fastreg.callbacks.early_stopping import EarlyStopping as EarlyStopping
    from fastreg.callbacks.early_stopping import Judge as Judge
    from fastreg.callbacks.early_stopping import directions_of as directions_of
    from fastreg.callbacks.early_stopping import judged_by_the_core as judged_by_the_core
    from fastreg.callbacks.history import History as History
    from fastreg.callbacks.stops import StopSignal as StopSignal
    from fastreg.callbacks.stops import TimeLimit as TimeLimit

__all__ = ["Callback", "EarlyStopping", "History", "StopSignal", "TimeLimit"]

# The module of each name.
_HOMES = {
    "Callback": "base",
    "EarlyStopping": "early_stopping",
    "History": "history",
    "StopSignal": "stops",
    "TimeLimit": "stops",
    # Within the package only.
    "Judge": "early_stopping",
    "Logs": "base",
    "directions_of": "early_stopping",
    "judged_by_the_core": "early_stopping",
}

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, _HOMES, absent_names(__name__))
