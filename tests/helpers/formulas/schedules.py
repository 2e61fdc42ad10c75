"""Schedules: the learning rate at a step, counted from 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

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


def half_wave(part):
    """From 1 at 0 to 0 at 1, along a cosine."""
    return math.cos(0.5 * math.pi * min(max(part, 0.0), 1.0)) ** 2


@dataclass(frozen=True)
class MultiStepLR(Schedule):
    initial_learning_rate: float
    milestones: tuple[int, ...]
    gamma: float = 0.1

    def rate(self, step):
        return self.initial_learning_rate * self.gamma ** sum(step >= milestone for milestone in self.milestones)


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def rate(self, step):
        periods = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate / (1.0 + self.decay_rate * periods)


@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def rate(self, step):
        steps = self.decay_steps
        if self.cycle:
            steps *= max(1, -(-step // self.decay_steps))
        left = max(steps - step, 0) / steps
        return self.end_learning_rate + (self.initial_learning_rate - self.end_learning_rate) * left**self.power


@dataclass(frozen=True)
class LinearLR(Schedule):
    initial_learning_rate: float
    start_factor: float = 1.0 / 3.0
    end_factor: float = 1.0
    total_iters: int = 5

    def rate(self, step):
        done = min(step, self.total_iters) / self.total_iters
        return self.initial_learning_rate * ((1.0 - done) * self.start_factor + done * self.end_factor)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def rate(self, step):
        if self.warmup_target is None:
            top, begun = self.initial_learning_rate, step
        else:
            top, begun = self.warmup_target, step - self.warmup_steps
        if begun < 0:
            share = step / self.warmup_steps
            return (1.0 - share) * self.initial_learning_rate + share * top
        return top * ((1.0 - self.alpha) * half_wave(begun / self.decay_steps) + self.alpha)


@dataclass(frozen=True)
class CosineDecayRestarts(Schedule):
    """Period by period: each begins where the one before has ended."""

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0

    def rate(self, step):
        begin, length, height = 0.0, float(self.first_decay_steps), 1.0
        if self.t_mul == 1.0:
            periods = step // self.first_decay_steps
            begin, height = periods * length, self.m_mul**periods
        while step >= begin + length:
            begin, length, height = begin + length, length * self.t_mul, height * self.m_mul
        wave = height * half_wave((step - begin) / length)
        return self.initial_learning_rate * ((1.0 - self.alpha) * wave + self.alpha)


@dataclass(frozen=True)
class FlatCosine(Schedule):
    initial_learning_rate: float
    decay_steps: int
    pct_start: float = 0.5
    alpha: float = 0.0

    def rate(self, step):
        flat = self.pct_start * self.decay_steps
        wave = half_wave((step - flat) / (self.decay_steps - flat))
        return self.initial_learning_rate * ((1.0 - self.alpha) * wave + self.alpha)


@dataclass(frozen=True)
class CosLog(Schedule):
    learning_rate: float
    decay_steps: int
    cycles: int = 4

    def rate(self, step):
        waves = math.log2(1.0 + (2**self.cycles - 1) * min(step, self.decay_steps) / self.decay_steps)
        return self.learning_rate * math.sin(math.pi * waves) ** 2


@dataclass(frozen=True)
class OneCycleLR(Schedule):
    """Through the points (step, rate): the beginning, the top, with three phases the beginning's rate, the end."""

    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def rate(self, step):
        low = self.max_lr / self.div_factor
        points = [(0.0, low), (self.pct_start * self.total_steps - 1, self.max_lr)]
        if self.three_phase:
            points.append((2 * self.pct_start * self.total_steps - 2, low))
        points.append((self.total_steps - 1, low / self.final_div_factor))
        for (begin, first), (end, last) in pairwise(points):
            if step <= end:
                part = (step - begin) / (end - begin) if end > begin else 1.0
                left = half_wave(part) if self.anneal_strategy == "cos" else 1.0 - part
                return last + (first - last) * left
        return points[-1][1]


@dataclass(frozen=True)
class CyclicLR(Schedule):
    base_lr: float
    max_lr: float
    step_size_up: int = 2000
    step_size_down: int | None = None
    mode: str = "triangular"
    gamma: float = 1.0

    def rate(self, step):
        down = self.step_size_down or self.step_size_up
        cycle, within = divmod(step, self.step_size_up + down)
        left = self.step_size_up + down - within
        height = min(within / self.step_size_up, left / down)
        factor = {"triangular": 1.0, "triangular2": 2.0**-cycle, "exp_range": self.gamma**step}[self.mode]
        return self.base_lr + (self.max_lr - self.base_lr) * height * factor


@dataclass(frozen=True)
class ArraySchedule(Schedule):
    values: tuple[float, ...]

    def rate(self, step):
        return self.values[min(step, len(self.values) - 1)]


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


@dataclass(frozen=True)
class SequentialLR(Schedule):
    schedulers: tuple[Schedule, ...]
    milestones: tuple[int, ...]

    def rate(self, step):
        begins = [0, *self.milestones]
        which = max(i for i, begin in enumerate(begins) if begin <= step)
        return self.schedulers[which].rate(step - begins[which])


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
    "milestones": MultiStepLR(0.03, (2, 9, 40), 0.4),
    "inverse time": InverseTimeDecay(0.03, 5, 0.8),
    "inverse time in steps": InverseTimeDecay(0.03, 5, 0.8, True),
    "straight line": PolynomialDecay(0.03, 12),
    "polynomial": PolynomialDecay(0.03, 30, 0.002, 2.5),
    "polynomial again and again": PolynomialDecay(0.03, 6, 0.001, 0.5, True),
    "line": LinearLR(0.03, total_iters=11),
    "line downward": LinearLR(0.03, 1.0, 0.1, 20),
    "cosine with a warm-up": CosineDecay(0.001, 20, 0.1, 0.03, 7),
    "cosine from a target": CosineDecay(0.001, 20, 0.0, 0.03),
    "restarts": CosineDecayRestarts(0.03, 5),
    "restarts of one length": CosineDecayRestarts(0.03, 6, 1.0, 0.8, 0.05),
    "restarts of growing length": CosineDecayRestarts(0.03, 4, 1.5, 0.9, 0.1),
    "flat, then a cosine": FlatCosine(0.03, 20),
    "mostly flat": FlatCosine(0.03, 40, 0.75, 0.1),
    "waves": CosLog(0.03, 60),
    "two waves": CosLog(0.03, 17, 2),
    "one cycle": OneCycleLR(0.03, 50),
    "one cycle in lines": OneCycleLR(0.03, 33, 0.4, "linear", 10.0, 100.0),
    "one cycle in three phases": OneCycleLR(0.03, 40, 0.45, "cos", 5.0, 50.0, True),
    "one cycle of one step": OneCycleLR(0.03, 1),
    "one cycle without a way up": OneCycleLR(0.03, 20, 0.0),
    "triangles": CyclicLR(0.001, 0.03, 5),
    "falling triangles": CyclicLR(0.001, 0.03, 4, 7, "triangular2"),
    "exponential triangles": CyclicLR(0.001, 0.03, 6, 2, "exp_range", 0.97),
    "array": ArraySchedule((0.03, 0.02, 0.025, 0.01)),
    "chain": SequentialLR((Constant(0.03), LinearWarmup(CosineDecay(0.02, 10), 4)), (6,)),
    "later chain": SequentialLR((LinearLR(0.03, total_iters=8), StepDecay(0.02, 3, 0.5)), (11,)),
    "chain of three": SequentialLR((LinearLR(0.03, total_iters=3), Constant(0.02), StepDecay(0.01, 4, 0.5)), (4, 9)),
}
