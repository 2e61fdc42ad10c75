r"""Learning rates as pure functions of the step.

Notation: :math:`t` is the optimizer step, counted from 0 over the whole life of a compiled model, also across saving,
loading and several calls of ``fit``; :math:`\eta_0` is the initial rate. A schedule takes an int and returns a float,
or takes an array of steps and returns an array; all arithmetic is float64. Any other callable from an int to a rate is
a schedule, too, but only those of this file can be saved with a model.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, overload

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import (
    AT_LEAST_ONE,
    CLOSED_FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    absent_names,
    check_real,
    describe,
)
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.description import Description, Registry
from fastreg.internal.keras_arguments import CosineArguments, ScheduleArguments, takes_keras_arguments

__all__ = [
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "LearningRateSchedule",
    "LinearWarmup",
    "PiecewiseConstantDecay",
    "StepDecay",
    "get",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)

Rates = NDArray[np.float64]


class LearningRateSchedule(Description):
    """Base of the schedules of this file."""

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: NDArray[Any]) -> Rates: ...
    def __call__(self, step: int | NDArray[Any]) -> float | Rates:
        """The rate at a step, or the rates at an array of steps. Raises ValueError where one is not finite."""
        steps = np.asarray(step, dtype=np.float64)
        flat = np.atleast_1d(steps)
        with np.errstate(all="ignore"):  # what overflows is not finite
            rates = self._rates(flat)
        finite = np.isfinite(rates)
        if not finite.all():
            at = np.unravel_index(int(np.argmin(finite)), finite.shape)
            raise ValueError(
                f"{type(self).__name__}: the rate must be finite, got {float(rates[at])} at step {flat[at]:.0f}"
            )
        return float(rates[0]) if steps.ndim == 0 else rates

    def _rates(self, step: Rates) -> Rates:
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(LearningRateSchedule):
    r"""The same rate at every step, :math:`\eta_t = \eta_0`.

    Args:
        learning_rate: :math:`\eta_0 > 0`.

    Raises:
        ValueError: If the rate is not > 0 and finite.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.Constant(0.1)
        >>> rate(0), rate(1000)
        (0.1, 0.1)
    """

    learning_rate: Annotated[float, POSITIVE]

    def _rates(self, step: Rates) -> Rates:
        return np.full(step.shape, self.learning_rate)


@dataclass(frozen=True)
class StepDecay(LearningRateSchedule):
    r"""Multiplies the rate by a factor every :math:`s` steps, :math:`\eta_t = \eta_0 \gamma^{\lfloor t / s \rfloor}`.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        step_size: :math:`s \ge 1`, in optimizer steps, not epochs.
        gamma: Factor in [0, 1].

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        The first factor comes with step ``step_size`` itself:

        >>> from fastreg import schedules
        >>> rate = schedules.StepDecay(0.8, step_size=10, gamma=0.5)
        >>> rate(0), rate(9), rate(10), rate(20)
        (0.8, 0.8, 0.4, 0.2)
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    step_size: Annotated[int, AT_LEAST_ONE]
    gamma: Annotated[float, CLOSED_FRACTION]

    def _rates(self, step: Rates) -> Rates:
        drops: Rates = np.floor(step / self.step_size)
        return self.initial_learning_rate * self.gamma**drops


@takes_keras_arguments
@dataclass(frozen=True)
class ExponentialDecay(LearningRateSchedule, ScheduleArguments):
    r"""Decays the rate continuously by a factor over ``decay_steps`` steps, :math:`\eta_t = \eta_0 r^{t / s}`.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        decay_steps: :math:`s \ge 1`.
        decay_rate: :math:`r > 0`.
        staircase: Use :math:`\lfloor t / s \rfloor`, so that the rate falls in steps.

    Raises:
        ValueError: If an argument is out of range or NaN; when called, if :math:`r > 1` has made the rate infinite.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.ExponentialDecay(1.0, decay_steps=2, decay_rate=0.25)
        >>> rate(0), rate(1), rate(2), rate(4)
        (1.0, 0.5, 0.25, 0.0625)
        >>> schedules.ExponentialDecay(1.0, 2, 0.25, staircase=True)(3)
        0.25
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    decay_steps: Annotated[int, AT_LEAST_ONE]
    decay_rate: Annotated[float, POSITIVE]
    staircase: bool = False

    def _rates(self, step: Rates) -> Rates:
        periods = step / self.decay_steps
        return self.initial_learning_rate * np.power(self.decay_rate, np.floor(periods) if self.staircase else periods)


@takes_keras_arguments
@dataclass(frozen=True)
class CosineDecay(LearningRateSchedule, CosineArguments):
    r"""Half a cosine down to a last rate, which then stays (Loshchilov and Hutter, "SGDR", ICLR 2017, no restarts).

    .. math:: \eta_t = \eta_0 \left( \alpha + (1 - \alpha) \tfrac12 (1 + \cos(\pi \min(t, s) / s)) \right)

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        decay_steps: :math:`s \ge 1`; epochs times the steps of an epoch, ``ceil(rows / batch_size)``, as a rule.
        alpha: Last rate as a fraction of the first, in [0, 1].

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.CosineDecay(1.0, decay_steps=100, alpha=0.5)
        >>> rate(0), rate(50), rate(100), rate(1000)
        (1.0, 0.75, 0.5, 0.5)
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    decay_steps: Annotated[int, AT_LEAST_ONE]
    alpha: Annotated[float, CLOSED_FRACTION] = 0.0

    def _rates(self, step: Rates) -> Rates:
        half_wave = 0.5 * (1.0 + np.cos(np.pi * np.minimum(step, self.decay_steps) / self.decay_steps))
        return self.initial_learning_rate * (self.alpha + (1.0 - self.alpha) * half_wave)


@takes_keras_arguments
@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule, ScheduleArguments):
    r"""One rate up to and including the first boundary, the next one up to the second, and so on.

    Args:
        boundaries: Steps, strictly increasing and >= 0: the last step of each rate but the last.
        values: Rates > 0, one more than boundaries.

    Raises:
        ValueError: If the lengths do not fit, a value is out of range or the boundaries do not increase.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.1])
        >>> rate(0), rate(10), rate(11), rate(20), rate(21)
        (1.0, 1.0, 0.5, 0.5, 0.1)
    """

    boundaries: Sequence[Annotated[int, NON_NEGATIVE]]
    values: Sequence[Annotated[float, POSITIVE]]

    def _check_together(self) -> None:
        boundaries, values = self.boundaries, self.values
        if any(later <= earlier for earlier, later in pairwise(boundaries)):
            raise ValueError(f"PiecewiseConstantDecay: boundaries must increase, got {list(boundaries)}")
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay: values must be one more than boundaries, got {len(values)} for "
                f"{len(boundaries)}"
            )

    def _rates(self, step: Rates) -> Rates:
        which = np.searchsorted(np.asarray(self.boundaries, dtype=np.float64), step, side="left")
        rates: Rates = np.asarray(self.values, dtype=np.float64)[which]
        return rates


def _check_rate(owner: str, name: str, value: object) -> object:
    """A rate > 0 as a float, or one of the schedules of this file, as itself or in its JSON form."""
    if isinstance(value, (LearningRateSchedule, Mapping)):
        return _REGISTRY.resolve(f"{owner}: {name}", value)
    if callable(value):
        raise TypeError(f"{owner}: {name} must be a number or one of fastreg.schedules, got {describe(value)}")
    return check_real(owner, name, value, POSITIVE)


@dataclass(frozen=True)
class LinearWarmup(LearningRateSchedule):
    r"""A straight line up to a rate or to the first rate of a schedule, which then begins.

    .. math:: \eta_t = \begin{cases}
        \eta_a + (f(0) - \eta_a)\, t / s & t < s \\ f(t - s) & t \ge s \end{cases}

    with the rate :math:`f(t)` of the schedule at its own step t, or a constant :math:`f`. So the whole takes s steps
    more than the schedule alone, as with PyTorch's ``SequentialLR`` and the warm-up of Keras's ``CosineDecay``. Step 0
    of a warm-up from 0 changes nothing.

    Args:
        learning_rate: A number > 0, or one of the schedules of this file. Any other function of the step can warm up by
            itself.
        warmup_steps: :math:`s \ge 1`, in optimizer steps, not epochs.
        initial_learning_rate: :math:`\eta_a \ge 0`, the rate at step 0.

    Raises:
        TypeError: If ``learning_rate`` is neither a number nor one of the schedules of this file.
        ValueError: If a number is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.LinearWarmup(schedules.CosineDecay(1.0, decay_steps=100), warmup_steps=4)
        >>> rate(0), rate(1), rate(4), rate(54)
        (0.0, 0.25, 1.0, 0.5)
    """

    learning_rate: Annotated[float | LearningRateSchedule, _check_rate]
    warmup_steps: Annotated[int, AT_LEAST_ONE]
    initial_learning_rate: Annotated[float, NON_NEGATIVE] = 0.0

    def _rates(self, step: Rates) -> Rates:
        after = self.learning_rate
        schedule = after if isinstance(after, LearningRateSchedule) else Constant(after)
        first, begun = self.initial_learning_rate, step - self.warmup_steps
        line = first + (schedule(0) - first) * (step / self.warmup_steps)
        return np.where(begun < 0.0, line, schedule(np.maximum(begun, 0.0)))


_TYPES: tuple[type[LearningRateSchedule], ...] = (
    Constant,
    StepDecay,
    ExponentialDecay,
    CosineDecay,
    PiecewiseConstantDecay,
    LinearWarmup,
)
_REGISTRY: Registry[LearningRateSchedule] = Registry("schedule", LearningRateSchedule, {}, internal=_TYPES)


def get(config: object, where: str = "schedules.get") -> LearningRateSchedule:
    """The schedule of a JSON form. There are no names for schedules, since none has defaults for all its arguments."""
    return config if isinstance(config, LearningRateSchedule) else _REGISTRY.from_config(where, config)
