r"""Schedules that rise first. Notation as in ``base.py``."""

from typing import Annotated, Literal

import numpy as np

from fastreg.internal.checks import CLOSED_FRACTION, NON_NEGATIVE, POSITIVE
from fastreg.internal.dataclasses import dataclass
from fastreg.schedules.base import LearningRateSchedule, Rates, Steps, known

__all__ = ["CyclicLR", "OneCycleLR"]


@dataclass(frozen=True)
class OneCycleLR(LearningRateSchedule):
    r"""Up to a largest rate and down to a very small one, within one run (Smith and Topin, "Super-convergence", 2018).

    It is PyTorch's ``OneCycleLR``, except that the momentum stays as it is. The rate goes from ``max_lr / div_factor``
    to ``max_lr`` at step :math:`p S - 1`, and from there to ``max_lr / (div_factor * final_div_factor)`` at step
    :math:`S - 1`, where it stays. With ``three_phase`` it goes back to the first rate at step :math:`2 p S - 2`, and
    then on to the last one. Between two rates a and b, at a fraction u of the phase, it is
    :math:`b + (a - b) (1 + \cos(\pi u)) / 2`, or :math:`a + (b - a) u` if linear.

    Args:
        max_lr: The largest rate, > 0.
        total_steps: :math:`S \ge 1`, the steps of the cycle, or a length, usually ``Share(1.0)``.
        pct_start: p in [0, 1], the fraction of the cycle in which the rate rises.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        div_factor: > 0.
        final_div_factor: > 0.
        three_phase: Whether the way down has a phase that mirrors the way up.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.OneCycleLR(1.0, total_steps=100, div_factor=4.0)
        >>> rate(0), rate(29), rate(99)
        (0.25, 1.0, 2.5e-05)
    """

    max_lr: Annotated[float, POSITIVE]
    total_steps: Steps
    pct_start: Annotated[float, CLOSED_FRACTION] = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    div_factor: Annotated[float, POSITIVE] = 25.0
    final_div_factor: Annotated[float, POSITIVE] = 1e4
    three_phase: bool = False

    def _rates(self, step: Rates) -> Rates:
        first = self.max_lr / self.div_factor
        last, total = first / self.final_div_factor, known(self.total_steps)
        phases = [(self.pct_start * total - 1.0, self.max_lr)]
        if self.three_phase:
            phases.append((2.0 * self.pct_start * total - 2.0, first))
        rates, begin, rate_there = np.full(step.shape, last), 0.0, first
        left = np.ones(step.shape, dtype=bool)
        for end, rate_then in [*phases, (total - 1.0, last)]:
            here = left & (step <= end)
            if end > begin:
                rates[here] = self._between(rate_there, rate_then, (step[here] - begin) / (end - begin))
            else:
                rates[here] = rate_then
            begin, rate_there, left = end, rate_then, left & ~here
        return rates

    def _between(self, first: float, last: float, part: Rates) -> Rates:
        if self.anneal_strategy == "linear":
            return first + (last - first) * part
        return last + (first - last) * 0.5 * (1.0 + np.cos(np.pi * part))


@dataclass(frozen=True)
class CyclicLR(LearningRateSchedule):
    r"""Up and down between two rates, again and again (Smith, "Cyclical learning rates", WACV 2017).

    It is PyTorch's ``CyclicLR``, except that the momentum stays as it is. A cycle rises in straight line over u steps
    and falls over d. The height above ``base_lr`` is that of the triangle times 1 (``"triangular"``), times
    :math:`2^{-i}` in cycle i from 0 (``"triangular2"``), or times :math:`\gamma^t` (``"exp_range"``).

    Args:
        base_lr: The lower rate, >= 0.
        max_lr: The upper rate, > 0.
        step_size_up: :math:`u \ge 1`, or a length.
        step_size_down: :math:`d \ge 1`, or a length; None is u.
        mode: ``"triangular"``, ``"triangular2"`` or ``"exp_range"``.
        gamma: :math:`\gamma` in [0, 1], for ``"exp_range"``.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.CyclicLR(0.0, 1.0, step_size_up=4, mode="triangular2")
        >>> rate(0), rate(2), rate(4), rate(8), rate(12)
        (0.0, 0.5, 1.0, 0.0, 0.5)
    """

    base_lr: Annotated[float, NON_NEGATIVE]
    max_lr: Annotated[float, POSITIVE]
    step_size_up: Steps = 2000
    step_size_down: Steps | None = None
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: Annotated[float, CLOSED_FRACTION] = 1.0

    def _rates(self, step: Rates) -> Rates:
        up = known(self.step_size_up)
        down = up if self.step_size_down is None else known(self.step_size_down)
        cycle = np.floor(step / (up + down))
        within = step - cycle * (up + down)
        triangle = np.where(within <= up, within / up, 1.0 - (within - up) / down)
        if self.mode == "triangular2":
            triangle = triangle * np.power(0.5, cycle)
        elif self.mode == "exp_range":
            triangle = triangle * np.power(self.gamma, step)
        return self.base_lr + (self.max_lr - self.base_lr) * triangle
