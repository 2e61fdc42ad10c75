"""Schedules: the learning rate at a step, counted from 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

from formulas import Formula


class Schedule(Formula):
    """Base: ``rate(step)``."""


@dataclass(frozen=True)
class Constant(Schedule):
    learning_rate: float

    def rate(self, step):
        return self.learning_rate


@dataclass(frozen=True)
class StepDecay(Schedule):
    initial_learning_rate: float
    step_size: int
    gamma: float

    def rate(self, step):
        return self.initial_learning_rate * self.gamma ** (step // self.step_size)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def rate(self, step):
        periods = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**periods


@dataclass(frozen=True)
class CosineDecay(Schedule):
    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0

    def rate(self, step):
        done = min(step, self.decay_steps) / self.decay_steps
        return self.initial_learning_rate * ((1.0 - self.alpha) * 0.5 * (1.0 + math.cos(math.pi * done)) + self.alpha)


@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """values[i] up to and including the step boundaries[i] (Keras)."""

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def rate(self, step):
        return self.values[sum(step > boundary for boundary in self.boundaries)]


@dataclass(frozen=True)
class LinearWarmup(Schedule):
    """A line to the rate, or to the first rate of a schedule; then that schedule from its beginning."""

    learning_rate: float | Schedule
    warmup_steps: int
    initial_learning_rate: float = 0.0

    def rate(self, step):
        after = self.learning_rate if isinstance(self.learning_rate, Schedule) else Constant(self.learning_rate)
        if step >= self.warmup_steps:
            return after.rate(step - self.warmup_steps)
        share = step / self.warmup_steps
        return (1.0 - share) * self.initial_learning_rate + share * after.rate(0)


# The rows. Each changes within the first steps, so that a fit of a few epochs shows it.
SCHEDULES = {
    "constant": Constant(0.03),
    "steps": StepDecay(0.03, 5, 0.5),
    "every step": StepDecay(0.03, 1, 0.9),
    "exponential": ExponentialDecay(0.03, 7, 0.3),
    "staircase": ExponentialDecay(0.03, 7, 0.3, True),
    "cosine": CosineDecay(0.03, 50),
    "cosine to alpha": CosineDecay(0.03, 12, 0.2),
    "cosine of one step": CosineDecay(0.03, 1, 0.01),
    "warm-up to a rate": LinearWarmup(0.03, 9),
    "warm-up to a cosine": LinearWarmup(CosineDecay(0.03, 12), 4, 0.001),
    "warm-up of one step": LinearWarmup(StepDecay(0.03, 5, 0.5), 1, 0.05),
    "pieces": PiecewiseConstantDecay((3, 20), (0.03, 0.01, 0.001)),
}
