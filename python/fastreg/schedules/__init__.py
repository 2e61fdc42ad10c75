r"""Learning rates as pure functions of the step.

Notation: :math:`t` is the optimizer step, counted from 0 over the whole life of a compiled model, also across saving,
loading and several calls of ``fit``; :math:`\eta_0` is the initial rate. A schedule takes an int and returns a float,
or takes an array of steps and returns an array; all arithmetic is float64. Any other callable from an int to a rate is
a schedule, too, but only those of this package can be saved with a model.

Wherever a schedule takes a number of steps it also takes ``Epochs(n)`` or ``Share(part)``, a part of the run. A name is
loaded when it is first used.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastreg.internal.checks import absent_names
from fastreg.internal.lazy_names import lazy_names
from fastreg.schedules.base import _REGISTRY as _REGISTRY
from fastreg.schedules.base import HOMES, Constant, Epochs, LearningRateSchedule, Share, get

if TYPE_CHECKING:
    from fastreg.schedules.arrays import ArraySchedule
    from fastreg.schedules.chains import LinearWarmup, SequentialLR
    from fastreg.schedules.cosines import CosineDecay, CosineDecayRestarts, CosLog, FlatCosine
    from fastreg.schedules.cycles import CyclicLR, OneCycleLR
    from fastreg.schedules.decays import (
        ExponentialDecay,
        InverseTimeDecay,
        LinearLR,
        MultiStepLR,
        PiecewiseConstantDecay,
        PolynomialDecay,
        StepDecay,
    )

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
    "deserialize",
    "get",
    "serialize",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, HOMES, absent_names(__name__))


def __dir__() -> list[str]:
    return sorted(__all__)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The description of a schedule in Keras's form, ``{"class_name": ..., "config": {...}}``.

    Example:
        >>> from fastreg import schedules
        >>> made = schedules.ExponentialDecay(0.1, 10, 0.5)
        >>> schedules.deserialize(schedules.serialize(made)) == made
        True
    """
    return _REGISTRY.serialize(learning_rate_schedule)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, object] | None = None) -> LearningRateSchedule:
    """The schedule that :func:`serialize` made a dict of.

    Args:
        config: The dict; the form in model files, ``{"type": ..., field: value}``, is taken, too.
        custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

    Raises:
        ValueError: If the dict names no schedule, or a field is unknown or missing, or its value is bad.

    Example:
        >>> from fastreg import schedules
        >>> schedules.deserialize({"class_name": "Constant", "config": {"learning_rate": 0.5}})(3)
        0.5
    """
    return _REGISTRY.deserialize(config, custom_objects)
