r"""Schedules made of others: a warm-up before one, several one after another. Notation as in ``base.py``."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from fastreg.internal.checks import NON_NEGATIVE
from fastreg.internal.dataclasses import dataclass
from fastreg.schedules.base import (
    Constant,
    LearningRateSchedule,
    Rates,
    Step,
    Steps,
    check_increasing,
    check_rate,
    check_schedule,
    known,
)

__all__ = ["LinearWarmup", "SequentialLR"]


@dataclass(frozen=True)
class LinearWarmup(LearningRateSchedule):
    r"""A straight line up to a rate or to the first rate of a schedule, which then begins.

    .. math:: \eta_t = \begin{cases}
        \eta_a + (f(0) - \eta_a)\, t / s & t < s \\ f(t - s) & t \ge s \end{cases}

    with the rate :math:`f(t)` of the schedule at its own step t, or a constant :math:`f`. So the whole takes s steps
    more than the schedule alone, as with PyTorch's ``SequentialLR`` and the warm-up of Keras's ``CosineDecay``. Step 0
    of a warm-up from 0 changes nothing.

    Args:
        learning_rate: A number > 0, or one of :mod:`fastreg.schedules`. Any other function of the step can warm up by
            itself.
        warmup_steps: :math:`s \ge 1`, in optimizer steps, or a length.
        initial_learning_rate: :math:`\eta_a \ge 0`, the rate at step 0.

    Raises:
        TypeError: If ``learning_rate`` is neither a number nor one of :mod:`fastreg.schedules`.
        ValueError: If a number is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.LinearWarmup(schedules.CosineDecay(1.0, decay_steps=100), warmup_steps=4)
        >>> rate(0), rate(1), rate(4), rate(54)
        (0.0, 0.25, 1.0, 0.5)
    """

    learning_rate: Annotated[float | LearningRateSchedule, check_rate]
    warmup_steps: Steps
    initial_learning_rate: Annotated[float, NON_NEGATIVE] = 0.0

    def _rates(self, step: Rates) -> Rates:
        after = self.learning_rate
        schedule = after if isinstance(after, LearningRateSchedule) else Constant(after)
        first, begun = self.initial_learning_rate, step - known(self.warmup_steps)
        line = first + (schedule(0) - first) * (step / known(self.warmup_steps))
        return np.where(begun < 0.0, line, schedule(np.maximum(begun, 0.0)))


@dataclass(frozen=True)
class SequentialLR(LearningRateSchedule):
    r"""Several schedules one after another, each from its own step 0.

    .. math:: \eta_t = f_i(t - m_{i-1}) \quad \text{for } m_{i-1} \le t < m_i, \; m_{-1} = 0

    It is PyTorch's ``SequentialLR``, counted in steps. If a schedule has a length in epochs or as a share of the run,
    that counts whole epochs and the whole run, not the part of this schedule.

    Args:
        schedulers: Schedules :math:`f_0, f_1, \dots` of :mod:`fastreg.schedules`, at least one.
        milestones: Steps :math:`m_0, m_1, \dots`, strictly increasing and >= 0, or lengths; one less than schedules.
            The next schedule begins with the step itself.

    Raises:
        ValueError: If the lengths do not fit or the milestones do not increase.
        TypeError: If something in the list is not one of the schedules.

    Example:
        >>> from fastreg import schedules
        >>> parts = [schedules.Constant(1.0), schedules.LinearLR(1.0, 1.0, 0.0, 4)]
        >>> rate = schedules.SequentialLR(parts, milestones=[10])
        >>> rate(0), rate(10), rate(11), rate(14)
        (1.0, 1.0, 0.75, 0.0)
    """

    schedulers: Sequence[Annotated[LearningRateSchedule, check_schedule]]
    milestones: Sequence[Step]

    def _check_together(self) -> None:
        check_increasing("SequentialLR", "milestones", self.milestones)
        if len(self.schedulers) != len(self.milestones) + 1:
            raise ValueError(
                f"SequentialLR: schedulers must be one more than milestones, got {len(self.schedulers)} for "
                f"{len(self.milestones)}"
            )

    def _rates(self, step: Rates) -> Rates:
        begins = np.array([0.0, *map(known, self.milestones)])
        which = np.searchsorted(begins[1:], step, side="right")
        rates = np.empty(step.shape)
        for i, schedule in enumerate(self.schedulers):
            here = which == i
            rates[here] = schedule(step[here] - begins[i])
        return rates
