r"""Schedules that fall, or rise, in steps or along a curve. Notation as in ``base.py``."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from fastreg.internal.checks import CLOSED_FRACTION, NON_NEGATIVE, POSITIVE
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import ScheduleArguments, takes_keras_arguments
from fastreg.schedules.base import LearningRateSchedule, Rates, Step, Steps, check_increasing, known

__all__ = [
    "ExponentialDecay",
    "InverseTimeDecay",
    "LinearLR",
    "MultiStepLR",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "StepDecay",
]


@dataclass(frozen=True)
class StepDecay(LearningRateSchedule):
    r"""Multiplies the rate by a factor every :math:`s` steps, :math:`\eta_t = \eta_0 \gamma^{\lfloor t / s \rfloor}`.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        step_size: :math:`s \ge 1`, in optimizer steps, or a length.
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
    step_size: Steps
    gamma: Annotated[float, CLOSED_FRACTION]

    def _rates(self, step: Rates) -> Rates:
        drops: Rates = np.floor(step / known(self.step_size))
        return self.initial_learning_rate * self.gamma**drops


@dataclass(frozen=True)
class MultiStepLR(LearningRateSchedule):
    r"""Multiplies the rate by a factor at each milestone, :math:`\eta_t = \eta_0 \gamma^{|\{m : m \le t\}|}`.

    It is PyTorch's ``MultiStepLR`` with milestones in steps, not epochs; ``Epochs`` gives them in epochs.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        milestones: Steps, strictly increasing and >= 0, or lengths; the new rate begins with the step itself.
        gamma: Factor in [0, 1].

    Raises:
        ValueError: If an argument is out of range or NaN, or the milestones do not increase.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.MultiStepLR(0.8, milestones=[10, 30], gamma=0.5)
        >>> rate(9), rate(10), rate(29), rate(30)
        (0.8, 0.4, 0.4, 0.2)
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    milestones: Sequence[Step]
    gamma: Annotated[float, CLOSED_FRACTION] = 0.1

    def _check_together(self) -> None:
        check_increasing("MultiStepLR", "milestones", self.milestones)

    def _rates(self, step: Rates) -> Rates:
        passed = np.searchsorted(np.array([known(step) for step in self.milestones]), step, side="right")
        return self.initial_learning_rate * np.power(self.gamma, passed, dtype=np.float64)


@takes_keras_arguments
@dataclass(frozen=True)
class ExponentialDecay(LearningRateSchedule, ScheduleArguments):
    r"""Decays the rate continuously by a factor over ``decay_steps`` steps, :math:`\eta_t = \eta_0 r^{t / s}`.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        decay_steps: :math:`s \ge 1`, or a length.
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
    decay_steps: Steps
    decay_rate: Annotated[float, POSITIVE]
    staircase: bool = False

    def _rates(self, step: Rates) -> Rates:
        periods = step / known(self.decay_steps)
        return self.initial_learning_rate * np.power(self.decay_rate, np.floor(periods) if self.staircase else periods)


@takes_keras_arguments
@dataclass(frozen=True)
class InverseTimeDecay(LearningRateSchedule, ScheduleArguments):
    r"""Divides the rate by a number that grows with the steps, :math:`\eta_t = \eta_0 / (1 + r t / s)`.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        decay_steps: :math:`s \ge 1`, or a length.
        decay_rate: :math:`r \ge 0`.
        staircase: Use :math:`\lfloor t / s \rfloor`, so that the rate falls in steps.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.InverseTimeDecay(1.0, decay_steps=10, decay_rate=1.0)
        >>> rate(0), rate(10), rate(30)
        (1.0, 0.5, 0.25)
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    decay_steps: Steps
    decay_rate: Annotated[float, NON_NEGATIVE]
    staircase: bool = False

    def _rates(self, step: Rates) -> Rates:
        periods = step / known(self.decay_steps)
        return self.initial_learning_rate / (1.0 + self.decay_rate * (np.floor(periods) if self.staircase else periods))


@takes_keras_arguments
@dataclass(frozen=True)
class PolynomialDecay(LearningRateSchedule, ScheduleArguments):
    r"""A power of the remaining part down to a last rate :math:`\eta_e`, which then stays.

    .. math:: \eta_t = \eta_e + (\eta_0 - \eta_e) (1 - \min(t, s) / s)^p

    With ``cycle`` the rate does not stay: s is replaced by its smallest multiple that is not below t, so that the rate
    rises again at each multiple of s, to a smaller value each time.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        decay_steps: :math:`s \ge 1`, or a length.
        end_learning_rate: :math:`\eta_e \ge 0`.
        power: :math:`p > 0`; 1 is a straight line.
        cycle: Whether the rate rises again.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.PolynomialDecay(1.0, decay_steps=4, end_learning_rate=0.0, power=2.0)
        >>> rate(0), rate(2), rate(4), rate(100)
        (1.0, 0.25, 0.0, 0.0)
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    decay_steps: Steps
    end_learning_rate: Annotated[float, NON_NEGATIVE] = 0.0001
    power: Annotated[float, POSITIVE] = 1.0
    cycle: bool = False

    def _rates(self, step: Rates) -> Rates:
        end, part = self.end_learning_rate, step / known(self.decay_steps)
        done = part / np.maximum(np.ceil(part), 1.0) if self.cycle else np.minimum(part, 1.0)
        return end + (self.initial_learning_rate - end) * np.power(1.0 - done, self.power)


@dataclass(frozen=True)
class LinearLR(LearningRateSchedule):
    r"""A straight line between two multiples of a rate, of which the second stays.

    .. math:: \eta_t = \eta_0 (a + (b - a) \min(t, s) / s)

    It is PyTorch's ``LinearLR``, counted in steps.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        start_factor: :math:`a \ge 0`.
        end_factor: :math:`b \ge 0`.
        total_iters: :math:`s \ge 1`, in steps, or a length.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.LinearLR(1.0, start_factor=1.0, end_factor=0.0, total_iters=4)
        >>> rate(0), rate(1), rate(4), rate(5)
        (1.0, 0.75, 0.0, 0.0)
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    start_factor: Annotated[float, NON_NEGATIVE] = 1.0 / 3.0
    end_factor: Annotated[float, NON_NEGATIVE] = 1.0
    total_iters: Steps = 5

    def _rates(self, step: Rates) -> Rates:
        done = np.minimum(step / known(self.total_iters), 1.0)
        return self.initial_learning_rate * (self.start_factor + (self.end_factor - self.start_factor) * done)


@takes_keras_arguments
@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule, ScheduleArguments):
    r"""One rate up to and including the first boundary, the next one up to the second, and so on.

    Args:
        boundaries: Steps, strictly increasing and >= 0, or lengths: the last step of each rate but the last.
        values: Rates > 0, one more than boundaries.

    Raises:
        ValueError: If the lengths do not fit, a value is out of range or the boundaries do not increase.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.1])
        >>> rate(0), rate(10), rate(11), rate(20), rate(21)
        (1.0, 1.0, 0.5, 0.5, 0.1)
    """

    boundaries: Sequence[Step]
    values: Sequence[Annotated[float, POSITIVE]]

    def _check_together(self) -> None:
        boundaries, values = self.boundaries, self.values
        check_increasing("PiecewiseConstantDecay", "boundaries", boundaries)
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay: values must be one more than boundaries, got {len(values)} for "
                f"{len(boundaries)}"
            )

    def _rates(self, step: Rates) -> Rates:
        which = np.searchsorted(np.array([known(step) for step in self.boundaries]), step, side="left")
        rates: Rates = np.asarray(self.values, dtype=np.float64)[which]
        return rates
