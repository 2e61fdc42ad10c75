r"""Learning rates as pure functions of the step.

Notation: :math:`t` is the optimizer step, counted from 0 over the whole life of a compiled model, also across saving,
loading and several calls of ``fit``; :math:`\eta_0` is the initial rate. A schedule takes an int and returns a float,
or takes an array of steps and returns an array; all arithmetic is float64. Any other callable from an int to a rate is
a schedule, too, but only those of this package can be saved with a model.

Wherever a schedule takes a number of steps it also takes ``Epochs(n)`` or ``Share(part)``, a part of the run. A name is
loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastreg.schedules.arrays import ArraySchedule as ArraySchedule
    from fastreg.schedules.base import _REGISTRY as _REGISTRY
    from fastreg.schedules.base import Constant as Constant
    from fastreg.schedules.base import Epochs as Epochs
    from fastreg.schedules.base import LearningRateSchedule as LearningRateSchedule
    from fastreg.schedules.base import Length as Length
    from fastreg.schedules.base import Share as Share
    from fastreg.schedules.base import get as get
    from fastreg.schedules.chains import LinearWarmup as LinearWarmup
    from fastreg.schedules.chains import SequentialLR as SequentialLR
    from fastreg.schedules.cosines import CosineDecay as CosineDecay
    from fastreg.schedules.cosines import CosineDecayRestarts as CosineDecayRestarts
    from fastreg.schedules.cosines import CosLog as CosLog
    from fastreg.schedules.cosines import FlatCosine as FlatCosine
    from fastreg.schedules.cycles import CyclicLR as CyclicLR
    from fastreg.schedules.cycles import OneCycleLR as OneCycleLR
    from fastreg.schedules.decays import ExponentialDecay as ExponentialDecay
    from fastreg.schedules.decays import InverseTimeDecay as InverseTimeDecay
    from fastreg.schedules.decays import LinearLR as LinearLR
    from fastreg.schedules.decays import MultiStepLR as MultiStepLR
    from fastreg.schedules.decays import PiecewiseConstantDecay as PiecewiseConstantDecay
    from fastreg.schedules.decays import PolynomialDecay as PolynomialDecay
    from fastreg.schedules.decays import StepDecay as StepDecay

__all__ = [
    "ArraySchedule",
    "Constant",
    "CosLog",
    "CosineDecay",
    "CosineDecayRestarts",
    "CyclicLR",
    "Epochs",
    "ExponentialDecay",
    "FlatCosine",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "LinearLR",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "SequentialLR",
    "Share",
    "StepDecay",
    "get",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name

    def __getattr__(name: str) -> object:
        if name not in __all__ and name not in ("Length", "_REGISTRY"):
            from fastreg.internal.checks import absent_names

            absent_names(__name__)(name, depth=2)
        from fastreg.schedules.base import HOMES

        value = getattr(import_module(f"fastreg.schedules.{HOMES.get(name, 'base')}"), name)
        globals()[name] = value
        return value
