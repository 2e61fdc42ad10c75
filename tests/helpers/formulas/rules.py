"""Update rules: how a parameter w follows its gradient g, with its penalty in it, by moments m and v; and penalties."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

import numpy as np

from formulas import Formula


class Penalty(NamedTuple):
    l1: float = 0.0
    l2: float = 0.0
    proximal: bool = False

    def value(self, w):
        return self.l1 * np.abs(w).sum() + self.l2 * (w * w).sum()

    def gradient(self, w):
        return (0.0 if self.proximal else self.l1 * np.sign(w)) + 2.0 * self.l2 * w


NO_PENALTY = Penalty()


class Options(NamedTuple):
    """What every rule can have besides; a rule with a weight_decay of its own has it there."""

    weight_decay: float = 0.0
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    gradient_accumulation_steps: int | None = None


NO_OPTIONS = Options()


def soft_threshold(w, threshold):
    return np.sign(w) * np.maximum(np.abs(w) - threshold, 0.0)


@dataclass(frozen=True)
class Optimizer(Formula):
    """Base: what all rules share. A step is w -= rate * direction / divisor.

    clip: None, or how gradients are clipped, ("clipvalue", "clipnorm" or "global_clipnorm", limit).
    options: The others of the options that every rule has.
    """

    learning_rate: float = 0.01
    _: KW_ONLY
    clip: tuple[str, float] | None = None
    options: Options = NO_OPTIONS

    # Gradients larger than this count as this; without squares of them there is no limit.
    largest_gradient = np.inf
    # Decoupled decay of kernels, a field of the rules that have it.
    weight_decay = 0.0

    def first_moment(self, m, g):
        """m after the gradient g."""
        return m

    def second_moment(self, v, g):
        """v after the gradient g."""
        return v

    def direction(self, m_before, m, g, t):
        """What step t, counted from 1, follows: from g and the first moment before and after it."""
        return g

    def divisor(self, v, t):
        """What the direction is divided by, by element, from the second moment after g."""
        return 1.0

    def step(self, w, size, direction, pull):
        """The parameter after a step of this size along the direction, against the pull of a proximal penalty."""
        return soft_threshold(w - size * direction, size * pull)

    def without_decay(self):
        bare = self.replace(weight_decay=0.0) if self.weight_decay else self
        return bare.replace(options=self.options._replace(weight_decay=0.0))

    def clipped(self, gradients):
        """Whole gradients, penalties included, as the rule gets them."""
        kind, limit = self.clip or ("none", 0.0)
        if kind == "clipvalue":
            return [np.clip(g, -limit, limit) for g in gradients]
        norms = [np.sqrt((g * g).sum()) for g in gradients]
        if kind == "global_clipnorm":
            norms = [np.sqrt(sum(norm * norm for norm in norms))] * len(gradients)
        if kind == "none":
            return gradients
        return [g if norm <= limit else g * (limit / norm) for g, norm in zip(gradients, norms, strict=True)]


@dataclass(frozen=True)
class SGD(Optimizer):
    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def first_moment(self, m, g):
        return self.momentum * m + g

    def direction(self, m_before, m, g, t):
        return g + self.momentum * m if self.nesterov else m


class Dividing(Optimizer):
    """Divides by a running root mean square; a larger gradient counts as one whose square is still a float32."""

    largest_gradient = float.fromhex("0x1.fefp63")


@dataclass(frozen=True)
class Adam(Dividing):
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def first_moment(self, m, g):
        return self.beta_1 * m + (1.0 - self.beta_1) * g

    def second_moment(self, v, g):
        return self.beta_2 * v + (1.0 - self.beta_2) * g * g

    def direction(self, m_before, m, g, t):
        return m / (1.0 - self.beta_1**t)

    def divisor(self, v, t):
        return np.sqrt(v / (1.0 - self.beta_2**t)) + self.epsilon


@dataclass(frozen=True)
class AdamW(Adam):
    weight_decay: float = 0.004


@dataclass(frozen=True)
class RMSprop(Dividing):
    learning_rate: float = 0.001
    rho: float = 0.9
    epsilon: float = 1e-7

    def second_moment(self, v, g):
        return self.rho * v + (1.0 - self.rho) * g * g

    def divisor(self, v, t):
        return np.sqrt(v) + self.epsilon


@dataclass(frozen=True)
class Lion(Optimizer):
    """A step minimises direction w + pull |w| over the interval [w - size, w + size]."""

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0

    def first_moment(self, m, g):
        return self.beta_2 * m + (1.0 - self.beta_2) * g

    def direction(self, m_before, m, g, t):
        return self.beta_1 * m_before + (1.0 - self.beta_1) * g

    def step(self, w, size, direction, pull):
        to_zero = (np.abs(direction) <= pull) & (pull > 0.0)
        return np.where(to_zero, soft_threshold(w, size), w - size * np.sign(direction))


class Updater:
    """The moments of one parameter and its update. step() returns the new parameter, move() that from a gradient which
    has been clipped and has the penalties in it. average is that of the parameter, where the options ask for one.

    A proximal penalty is a constant pull of l1 towards zero, which takes every step that a constant gradient l1 takes
    under the same rule: a second first moment, `pull`, is fed with ones, and the threshold is l1 times the step that it
    makes. So there is no formula of the threshold here that could be wrong in the same way as that of the core.
    """

    def __init__(self, optimizer, penalty=NO_PENALTY):
        self.optimizer, self.penalty = optimizer, penalty
        self.m = self.v = self.pull = self.average = 0.0
        self.t = 0

    def step(self, w, g, rate=None):
        (g,) = self.optimizer.clipped([g + self.penalty.gradient(w)])
        return self.move(w, g, rate)

    def move(self, w, g, rate=None):
        return self.averaged(self.moved(w, g, rate))

    def averaged(self, w):
        """Moves the average, and returns it where it takes the place of the parameter."""
        o = self.optimizer.options
        momentum = 0.0 if self.t == 1 else o.ema_momentum
        self.average = momentum * self.average + (1.0 - momentum) * w
        frequency = o.ema_overwrite_frequency
        return self.average if o.use_ema and frequency and self.t % frequency == 0 else w

    def moved(self, w, g, rate):
        o = self.optimizer
        rate = o.learning_rate if rate is None else rate
        self.t += 1
        w = w - rate * (o.weight_decay or o.options.weight_decay) * w
        g = np.clip(g, -o.largest_gradient, o.largest_gradient)
        m_before, pull_before = self.m, self.pull
        self.m, self.pull = o.first_moment(m_before, g), o.first_moment(pull_before, 1.0)
        self.v = o.second_moment(self.v, g)
        size = rate / o.divisor(self.v, self.t)
        direction = o.direction(m_before, self.m, g, self.t)
        if not self.penalty.proximal:
            return o.step(w, size, direction, 0.0)
        pull = self.penalty.l1 * o.direction(pull_before, self.pull, 1.0, self.t)
        return o.step(w, size, direction, pull)


# The rows. Those whose name has no comma are the usual settings, for the tests that take longer.
RULES = {
    "sgd": SGD(0.05),
    "momentum": SGD(0.02, 0.9),
    "nesterov": SGD(0.02, 0.9, True),
    "adam": Adam(0.01),
    "adam, large epsilon": Adam(0.01, epsilon=0.5),
    "adam, no first moment": Adam(0.01, beta_1=0.0, beta_2=0.5),
    "adam, short memory": Adam(0.01, beta_1=0.1, beta_2=0.01),
    "adam, other betas": Adam(0.01, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    "adamw": AdamW(0.01, weight_decay=0.1),
    "adamw, strong decay": AdamW(0.01, weight_decay=0.3, epsilon=1e-3),
    "lion": Lion(0.002),
    "lion, with decay": Lion(0.003, 0.8, 0.95, 0.2),
    "lion, short memory": Lion(0.002, 0.1, 0.2),
    "rmsprop": RMSprop(0.005),
    "rmsprop, no memory": RMSprop(0.005, 0.0),
    "rmsprop, large epsilon": RMSprop(0.01, 0.5, 0.5),
    "rmsprop, other rho": RMSprop(0.005, 0.5, 1e-2),
}
# These forget so quickly that the rounding error of a small gradient becomes a step, which whole trainings multiply.
_FORGETFUL = ("adam, no first moment", "adam, short memory", "rmsprop, no memory")
STEADY_RULES = {name: rule for name, rule in RULES.items() if name not in _FORGETFUL}
USUAL_RULES = {name: rule for name, rule in RULES.items() if "," not in name}
