"""What may happen during a run: a base class for callbacks, and the ones that most programs need.

At the end of an epoch the order is: metrics, the callbacks in list order, the history, and then the stop flags. All of
them run. Early stopping, stop signals and time limits run inside C++, so a fit that has nothing else never enters
Python before it ends. A name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.checks import absent_names
from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.callbacks.averages import SwapEMAWeights as SwapEMAWeights
    from fastreg.callbacks.base import Callback as Callback
    from fastreg.callbacks.base import Logs as Logs
    from fastreg.callbacks.checkpoints import BackupAndRestore as BackupAndRestore
    from fastreg.callbacks.checkpoints import ModelCheckpoint as ModelCheckpoint
    from fastreg.callbacks.early_stopping import EarlyStopping as EarlyStopping
    from fastreg.callbacks.early_stopping import Judge as Judge
    from fastreg.callbacks.early_stopping import directions_of as directions_of
    from fastreg.callbacks.early_stopping import judge_in_the_core as judge_in_the_core
    from fastreg.callbacks.history import History as History
    from fastreg.callbacks.lambdas import LambdaCallback as LambdaCallback
    from fastreg.callbacks.lists import CallbackList as CallbackList
    from fastreg.callbacks.loggers import CSVLogger as CSVLogger
    from fastreg.callbacks.loggers import JSONLogger as JSONLogger
    from fastreg.callbacks.progress import ProgbarLogger as ProgbarLogger
    from fastreg.callbacks.progress import TqdmCallback as TqdmCallback
    from fastreg.callbacks.rates import LearningRateScheduler as LearningRateScheduler
    from fastreg.callbacks.rates import ReduceLROnPlateau as ReduceLROnPlateau
    from fastreg.callbacks.stops import StopSignal as StopSignal
    from fastreg.callbacks.stops import TerminateOnNaN as TerminateOnNaN
    from fastreg.callbacks.stops import TimeLimit as TimeLimit
    from fastreg.callbacks.tensorboard import TensorBoard as TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "JSONLogger",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "StopSignal",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "TimeLimit",
    "TqdmCallback",
]

# The module of each name.
_HOMES = {
    "BackupAndRestore": "checkpoints",
    "CSVLogger": "loggers",
    "Callback": "base",
    "CallbackList": "lists",
    "EarlyStopping": "early_stopping",
    "History": "history",
    "JSONLogger": "loggers",
    "LambdaCallback": "lambdas",
    "LearningRateScheduler": "rates",
    "ModelCheckpoint": "checkpoints",
    "ProgbarLogger": "progress",
    "ReduceLROnPlateau": "rates",
    "StopSignal": "stops",
    "SwapEMAWeights": "averages",
    "TensorBoard": "tensorboard",
    "TerminateOnNaN": "stops",
    "TimeLimit": "stops",
    "TqdmCallback": "progress",
    # Within the package only.
    "Judge": "early_stopping",
    "Logs": "base",
    "directions_of": "early_stopping",
    "judge_in_the_core": "early_stopping",
}

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, _HOMES, absent_names(__name__))


def __dir__() -> list[str]:
    return sorted(__all__)
