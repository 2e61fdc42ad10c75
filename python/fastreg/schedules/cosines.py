r"""Schedules along cosines. Notation as in ``base.py``."""

from typing import Annotated

import numpy as np

from fastreg.internal.checks import AT_LEAST_ONE, CLOSED_FRACTION, FRACTION, NON_NEGATIVE, POSITIVE
from fastreg.internal.dataclasses import KW_ONLY, dataclass
from fastreg.internal.keras_arguments import ScheduleArguments, takes_keras_arguments
from fastreg.schedules.base import LearningRateSchedule, Length, Rates, Steps, check_step, known

__all__ = ["CosLog", "CosineDecay", "CosineDecayRestarts", "FlatCosine"]


def _half_wave(part: Rates) -> Rates:
    """Half a cosine from 1 at 0 down to 0 at 1, where it stays."""
    wave: Rates = 0.5 * (1.0 + np.cos(np.pi * np.clip(part, 0.0, 1.0)))
    return wave


@takes_keras_arguments
@dataclass(frozen=True)
class CosineDecay(LearningRateSchedule, ScheduleArguments):
    r"""Half a cosine down to a last rate, which then stays (Loshchilov and Hutter, "SGDR", ICLR 2017, no restarts).

    .. math:: \eta_t = \eta_0 \left( \alpha + (1 - \alpha) \tfrac12 (1 + \cos(\pi \min(t, s) / s)) \right)

    With ``warmup_target`` :math:`\eta_w`, a straight line from :math:`\eta_0` to it comes first, and the cosine then
    begins at it and takes its s steps:

    .. math:: \eta_t = \eta_0 + (\eta_w - \eta_0)\, t / w \quad \text{for } t < w

    Args:
        initial_learning_rate: :math:`\eta_0 \ge 0`.
        decay_steps: :math:`s \ge 1`, or a length; epochs times the steps of an epoch, ``ceil(rows / batch_size)``, as a
            rule.
        alpha: Last rate as a fraction of the one that the cosine begins at, in [0, 1].
        warmup_target: :math:`\eta_w > 0`; None is no warm-up.
        warmup_steps: :math:`w \ge 0`, or a length; used only with ``warmup_target``.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.CosineDecay(1.0, decay_steps=100, alpha=0.5)
        >>> rate(0), rate(50), rate(100), rate(1000)
        (1.0, 0.75, 0.5, 0.5)
        >>> rate = schedules.CosineDecay(0.0, decay_steps=100, warmup_target=1.0, warmup_steps=4)
        >>> rate(0), rate(1), rate(4), rate(54), rate(104)
        (0.0, 0.25, 1.0, 0.5, 0.0)
    """

    initial_learning_rate: Annotated[float, NON_NEGATIVE]
    decay_steps: Steps
    alpha: Annotated[float, CLOSED_FRACTION] = 0.0
    _: KW_ONLY
    warmup_target: Annotated[float, POSITIVE] | None = None
    warmup_steps: Annotated[int | Length, check_step] = 0

    def _rates(self, step: Rates) -> Rates:
        first, target = self.initial_learning_rate, self.warmup_target
        warmup = 0.0 if target is None else known(self.warmup_steps)
        top = first if target is None else target
        decayed = top * (self.alpha + (1.0 - self.alpha) * _half_wave((step - warmup) / known(self.decay_steps)))
        return np.where(step < warmup, first + (top - first) * (step / max(warmup, 1.0)), decayed)


@takes_keras_arguments
@dataclass(frozen=True)
class CosineDecayRestarts(LearningRateSchedule, ScheduleArguments):
    r"""Half cosines one after another, each from the top again (Loshchilov and Hutter, "SGDR", ICLR 2017).

    Period i has :math:`s_i = s_0 \tau^i` steps and begins at step :math:`b_i = s_0 + \dots + s_{i-1}`; within it

    .. math:: \eta_t = \eta_0 \left( \alpha + (1 - \alpha) \mu^i \tfrac12 (1 + \cos(\pi (t - b_i) / s_i)) \right)

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        first_decay_steps: :math:`s_0 \ge 1`, or a length.
        t_mul: :math:`\tau \ge 1`, the growth of the periods.
        m_mul: :math:`\mu > 0`, the factor of the height from one period to the next.
        alpha: Lowest rate as a fraction of the first, in [0, 1].

    Raises:
        ValueError: If an argument is out of range or NaN; when called, if :math:`\mu > 1` has made the rate infinite.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.CosineDecayRestarts(1.0, first_decay_steps=10, m_mul=0.5)
        >>> rate(0), rate(5), rate(10), rate(20), rate(30)
        (1.0, 0.5, 0.5, 0.25, 0.25)
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    first_decay_steps: Steps
    t_mul: Annotated[float, AT_LEAST_ONE] = 2.0
    m_mul: Annotated[float, POSITIVE] = 1.0
    alpha: Annotated[float, CLOSED_FRACTION] = 0.0

    def _begin(self, period: Rates) -> Rates:
        """The beginning of a period, where the first one is 1 long."""
        grown: Rates = period if self.t_mul == 1.0 else (np.power(self.t_mul, period) - 1.0) / (self.t_mul - 1.0)
        return grown

    def _rates(self, step: Rates) -> Rates:
        part = step / known(self.first_decay_steps)
        if self.t_mul == 1.0:
            period = np.floor(part)
        else:
            period = np.floor(np.log1p(part * (self.t_mul - 1.0)) / np.log(self.t_mul))
            # The logarithm may be on the wrong side of a whole number.
            period += (self._begin(period + 1.0) <= part).astype(np.float64)
            period -= (self._begin(period) > part).astype(np.float64)
        within = (part - self._begin(period)) / np.power(self.t_mul, period)
        height = np.power(self.m_mul, period) * _half_wave(within)
        return self.initial_learning_rate * (self.alpha + (1.0 - self.alpha) * height)


@dataclass(frozen=True)
class FlatCosine(LearningRateSchedule):
    r"""A constant rate, and then half a cosine down to a last one, which stays.

    .. math:: \eta_t = \eta_0 \left( \alpha + (1 - \alpha) \tfrac12 (1 + \cos(\pi u)) \right), \quad
        u = \max(0, \min(1, (t/s - p) / (1 - p)))

    With ``pct_start=0.5`` it is ``flat_cos`` of RealMLP (Holzmüller, Grinsztajn and Steinwart, NeurIPS 2024), with 0.75
    fastai's ``fit_flat_cos``.

    Args:
        initial_learning_rate: :math:`\eta_0 > 0`.
        decay_steps: :math:`s \ge 1`, the flat part included, or a length.
        pct_start: The flat part as a fraction of s, p in [0, 1).
        alpha: Last rate as a fraction of the first, in [0, 1].

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.FlatCosine(1.0, decay_steps=100)
        >>> rate(0), rate(50), rate(75), rate(100)
        (1.0, 1.0, 0.5, 0.0)
    """

    initial_learning_rate: Annotated[float, POSITIVE]
    decay_steps: Steps
    pct_start: Annotated[float, FRACTION] = 0.5
    alpha: Annotated[float, CLOSED_FRACTION] = 0.0

    def _rates(self, step: Rates) -> Rates:
        falling = (step / known(self.decay_steps) - self.pct_start) / (1.0 - self.pct_start)
        return self.initial_learning_rate * (self.alpha + (1.0 - self.alpha) * _half_wave(falling))


@dataclass(frozen=True)
class CosLog(LearningRateSchedule):
    r"""Waves from 0 up to a rate and down again, each twice as long as the one before.

    .. math:: \eta_t = \eta \cdot \tfrac12 \left(1 - \cos\left(2 \pi \log_2(1 + (2^c - 1) \min(t, s) / s)\right)\right)

    With 4 cycles it is ``coslog_4`` of RealMLP (Holzmüller, Grinsztajn and Steinwart, "Better by default", NeurIPS
    2024). The rate is 0 at step 0, at the end and between the waves.

    Args:
        learning_rate: :math:`\eta > 0`, the height of the waves.
        decay_steps: :math:`s \ge 1`, or a length, usually ``Share(1.0)``.
        cycles: :math:`c`, the number of waves, >= 1 and below 64.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.CosLog(1.0, decay_steps=150)
        >>> rate(0), round(rate(10), 9), round(rate(30), 9)
        (0.0, 0.0, 0.0)
    """

    learning_rate: Annotated[float, POSITIVE]
    decay_steps: Steps
    cycles: Annotated[int, AT_LEAST_ONE, 64] = 4

    def _rates(self, step: Rates) -> Rates:
        part = np.minimum(step / known(self.decay_steps), 1.0)
        waves = np.log2(1.0 + (2.0**self.cycles - 1.0) * part)
        return self.learning_rate * 0.5 * (1.0 - np.cos(2.0 * np.pi * waves))
