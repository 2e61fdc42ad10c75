"""Update rules: how a parameter w follows its gradient g, with its penalty in it, by moments m and v."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from formulas import Formula
from formulas.penalties import NO_OPTIONS, NO_PENALTY, Options, soft_threshold


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

    # What the second moment starts with.
    first_second_moment = 0.0

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

    def with_decay_times(self, factor):
        times = self.replace(weight_decay=factor * self.weight_decay) if self.weight_decay else self
        return times.replace(options=self.options._replace(weight_decay=factor * self.options.weight_decay))

    @property
    def decay(self):
        """The factor of decoupled decay."""
        return self.weight_decay or self.options.weight_decay

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
    amsgrad: bool = False

    # v, and the largest v so far.
    first_second_moment = (0.0, 0.0)

    def first_moment(self, m, g):
        return self.beta_1 * m + (1.0 - self.beta_1) * g

    def second_moment(self, both, g):
        v = self.beta_2 * both[0] + (1.0 - self.beta_2) * g * g
        return v, np.maximum(both[1], v)

    def direction(self, m_before, m, g, t):
        return m / (1.0 - self.beta_1**t)

    def divisor(self, both, t):
        return np.sqrt(both[1 if self.amsgrad else 0] / (1.0 - self.beta_2**t)) + self.epsilon


@dataclass(frozen=True)
class AdamW(Adam):
    weight_decay: float = 0.004


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


class Own(Optimizer):
    """A rule that is written out whole: start() makes its arrays, and move() changes them and returns the new w."""

    def start(self, w):
        return {}

    def move(self, state, w, g, rate, t, pull):
        raise NotImplementedError


@dataclass(frozen=True)
class RMSprop(Dividing, Own):
    """`ones` is the momentum of gradients that have always been 1."""

    learning_rate: float = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    def start(self, w):
        return {"v": 0.0, "mean": 0.0, "m": 0.0, "ones": 0.0}

    def move(self, state, w, g, rate, t, pull):
        w = w - rate * self.decay * w
        state["v"] = self.rho * state["v"] + (1.0 - self.rho) * g * g
        state["mean"] = self.rho * state["mean"] + (1.0 - self.rho) * g
        spread = state["v"] - state["mean"] ** 2 if self.centered else state["v"]
        divisor = np.sqrt(np.maximum(spread, 0.0)) + self.epsilon
        state["m"] = self.momentum * state["m"] + g / divisor
        state["ones"] = self.momentum * state["ones"] + 1.0
        return soft_threshold(w - rate * state["m"], rate * state["ones"] * pull / divisor)


@dataclass(frozen=True)
class Nadam(Dividing):
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    amsgrad = False
    first_second_moment = Adam.first_second_moment
    first_moment, second_moment, divisor = Adam.first_moment, Adam.second_moment, Adam.divisor

    def mu(self, t):
        return self.beta_1 * (1.0 - 0.5 * 0.96**t)

    def direction(self, m_before, m, g, t):
        product = np.prod([self.mu(i) for i in range(1, t + 1)])
        ahead = self.mu(t + 1) * m / (1.0 - product * self.mu(t + 1))
        return ahead + (1.0 - self.mu(t)) * g / (1.0 - product)


@dataclass(frozen=True)
class RAdam(Dividing):
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    first_second_moment = Adam.first_second_moment
    first_moment, second_moment, direction = Adam.first_moment, Adam.second_moment, Adam.direction

    def divisor(self, both, t):
        longest = 2.0 / (1.0 - self.beta_2) - 1.0
        length = longest - 2.0 * t * self.beta_2**t / (1.0 - self.beta_2**t)
        if length <= 5.0:
            return 1.0
        rectifier = np.sqrt((length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length))
        return (np.sqrt(both[0]) + self.epsilon) / (rectifier * np.sqrt(1.0 - self.beta_2**t))


@dataclass(frozen=True)
class Adamax(Optimizer):
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    first_moment, direction = Adam.first_moment, Adam.direction

    def second_moment(self, v, g):
        return np.maximum(self.beta_2 * v, np.abs(g) + self.epsilon)

    def divisor(self, v, t):
        return v


@dataclass(frozen=True)
class Adagrad(Dividing):
    learning_rate: float = 0.001
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    @property
    def first_second_moment(self):
        return self.initial_accumulator_value

    def second_moment(self, v, g):
        return v + g * g

    def divisor(self, v, t):
        return np.sqrt(v) + self.epsilon


@dataclass(frozen=True)
class Adadelta(Dividing, Own):
    """u is the mean square of the changes of w, divided by the rate, decay left aside."""

    learning_rate: float = 0.001
    rho: float = 0.95
    epsilon: float = 1e-7

    def start(self, w):
        return {"v": 0.0, "u": 0.0}

    def move(self, state, w, g, rate, t, pull):
        w = w - rate * self.decay * w
        state["v"] = self.rho * state["v"] + (1.0 - self.rho) * g * g
        size = np.sqrt(state["u"] + self.epsilon) / np.sqrt(state["v"] + self.epsilon)
        moved = soft_threshold(w - rate * size * g, rate * size * pull)
        way = (w - moved) / rate if pull and rate else size * g
        state["u"] = self.rho * state["u"] + (1.0 - self.rho) * way * way
        return moved


@dataclass(frozen=True)
class Rprop(Own):
    learning_rate: float = 0.01
    eta_minus: float = 0.5
    eta_plus: float = 1.2
    step_size_min: float = 1e-6
    step_size_max: float = 50.0

    def start(self, w):
        return {"before": 0.0, "size": None}

    def move(self, state, w, g, rate, t, pull):
        """The step sizes are kept as ratios to the rate; PyTorch, whose rate does not change, keeps them themselves."""
        slope = np.where(w == 0.0, soft_threshold(g, pull), g + pull * np.sign(w))
        size = rate if state["size"] is None else state["size"] * rate
        change = np.sign(slope) * np.sign(state["before"])
        size = size * np.where(change > 0, self.eta_plus, np.where(change < 0, self.eta_minus, 1.0))
        if rate:
            size = np.clip(size, self.step_size_min, self.step_size_max)
            state["size"] = size / rate
        state["before"] = np.where(change < 0, 0.0, slope)
        decayed = w - rate * self.decay * w
        moved = decayed - np.sign(state["before"]) * size
        return np.where((pull > 0.0) & (moved * decayed < 0.0), 0.0, moved)


@dataclass(frozen=True)
class Ftrl(Dividing, Own):
    """As Keras computes it, for a rate that does not change, where a, the sum of gradients, is z divided by the rate.
    Under a proximal L1 a is thresholded itself, which takes the same from the weight as the rule's own size of a step.
    """

    learning_rate: float = 0.001
    learning_rate_power: float = -0.5
    initial_accumulator_value: float = 0.1
    l1_regularization_strength: float = 0.0
    l2_regularization_strength: float = 0.0
    l2_shrinkage_regularization_strength: float = 0.0
    beta: float = 0.0

    def start(self, w):
        return {"n": self.initial_accumulator_value, "a": 0.0, "rate": None}

    def move(self, state, w, g, rate, t, pull):
        if rate == 0.0:
            return w
        power = -self.learning_rate_power
        a = state["a"] if state["rate"] in (None, rate) else state["a"] * state["rate"] / rate
        n, state["n"] = state["n"], state["n"] + g * g
        grown = (state["n"] ** power - n**power) / rate
        a = a + g + 2.0 * self.l2_shrinkage_regularization_strength * w - grown * w
        a = a + self.decay * w * state["n"] ** power
        a = soft_threshold(a, pull)
        state["a"], state["rate"] = a, rate
        quadratic = (state["n"] ** power + self.beta) / rate + 2.0 * self.l2_regularization_strength
        seen = quadratic > 0.0  # else no gradient was seen yet
        return np.where(seen, -soft_threshold(a, self.l1_regularization_strength) / np.where(seen, quadratic, 1.0), w)


@dataclass(frozen=True)
class ScheduleFreeAdamW(Dividing, Own):
    """w is y, the point where gradients are taken; the rate's factor of every step so far is at hand."""

    learning_rate: float = 0.0025
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    warmup_steps: int = 0

    def start(self, w):
        return {"z": w, "x": w, "v": 0.0}

    def factor(self, t):
        return min(1.0, t / self.warmup_steps) if self.warmup_steps else 1.0

    def move(self, state, w, g, rate, t, pull):
        share = self.factor(t) ** 2 / sum(self.factor(i) ** 2 for i in range(1, t + 1))
        rate = rate * self.factor(t)
        state["v"] = self.beta_2 * state["v"] + (1.0 - self.beta_2) * g * g
        size = rate / (np.sqrt(state["v"] / (1.0 - self.beta_2**t)) + self.epsilon)
        z = soft_threshold(state["z"] - size * g - rate * self.decay * w, size * pull)
        x = (1.0 - share) * state["x"] + share * z
        state["z"], state["x"] = z, np.where(z == 0.0, soft_threshold(x, share * size * pull), x)
        return (1.0 - self.beta_1) * z + self.beta_1 * state["x"]


class Updater:
    """The moments of one parameter and its update. step() returns the new parameter, move() that from a gradient which
    has been clipped and has the penalties in it. average is that of the parameter, where the options ask for one.

    A proximal penalty is a constant pull of l1 towards zero, which takes every step that a constant gradient l1 takes
    under the same rule: a second first moment, `pull`, is fed with ones, and the threshold is l1 times the step that it
    makes. So there is no formula of the threshold here that could be wrong in the same way as that of the core. Rules
    whose step is no such product are written out whole, in `Own`.
    """

    def __init__(self, optimizer, penalty=NO_PENALTY):
        self.optimizer, self.penalty = optimizer, penalty
        self.m = self.pull = self.average = 0.0
        self.v = optimizer.first_second_moment
        self.t = 0
        self.own = None

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
        g = np.clip(g, -o.largest_gradient, o.largest_gradient)
        if isinstance(o, Own):
            if self.own is None:
                self.own = o.start(np.asarray(w, np.float64))
            return o.move(self.own, w, g, rate, self.t, self.penalty.l1 if self.penalty.proximal else 0.0)
        w = w - rate * o.decay * w
        m_before, pull_before = self.m, self.pull
        self.m, self.pull = o.first_moment(m_before, g), o.first_moment(pull_before, 1.0)
        self.v = o.second_moment(self.v, g)
        size = rate / o.divisor(self.v, self.t)
        direction = o.direction(m_before, self.m, g, self.t)
        if not self.penalty.proximal:
            return o.step(w, size, direction, 0.0)
        pull = self.penalty.l1 * o.direction(pull_before, self.pull, 1.0, self.t)
        return o.step(w, size, direction, pull)

    def evaluated(self, w):
        """What is predicted with, after a step."""
        return self.own["x"] if self.own is not None and "x" in self.own else w


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
    "amsgrad": Adam(0.01, beta_2=0.9, amsgrad=True),
    "amsgrad, with decay": AdamW(0.01, weight_decay=0.1, beta_2=0.9, epsilon=1e-3, amsgrad=True),
    "lion": Lion(0.002),
    "lion, with decay": Lion(0.003, 0.8, 0.95, 0.2),
    "lion, short memory": Lion(0.002, 0.1, 0.2),
    "rmsprop": RMSprop(0.005),
    "rmsprop, no memory": RMSprop(0.005, 0.0),
    "rmsprop, large epsilon": RMSprop(0.01, 0.5, epsilon=0.5),
    "rmsprop, other rho": RMSprop(0.005, 0.5, epsilon=1e-2),
    "rmsprop with momentum": RMSprop(0.002, momentum=0.8, epsilon=1e-3),
    "centered rmsprop": RMSprop(0.005, epsilon=1e-2, centered=True),
    "centered rmsprop with momentum": RMSprop(0.002, 0.95, 0.5, 1e-2, True),
    "nadam": Nadam(0.01),
    "nadam, other betas": Nadam(0.01, 0.5, 0.9, 1e-3),
    "radam": RAdam(0.01),
    "radam, never rectified": RAdam(0.01, 0.8, 0.6),
    "radam, other betas": RAdam(0.01, 0.5, 0.9, 1e-3),
    "adamax": Adamax(0.01),
    "adamax, other betas": Adamax(0.01, 0.5, 0.9, 1e-3),
    "adagrad": Adagrad(0.05),
    "adagrad, from 0": Adagrad(0.05, 0.0, 1e-3),
    "adadelta": Adadelta(1.0),
    "adadelta, other rho": Adadelta(0.5, 0.8, 1e-3),
    "rprop": Rprop(0.005),
    "rprop, other steps": Rprop(0.005, 0.7, 1.5, 1e-3, 0.02),
    "ftrl": Ftrl(0.05),
    "ftrl, from 0": Ftrl(0.05, initial_accumulator_value=0.0),
    "ftrl, other power": Ftrl(0.05, -0.7, 0.3),
    "ftrl, constant rate": Ftrl(0.05, 0.0),
    "ftrl, every strength": Ftrl(0.05, -0.4, 0.2, 0.3, 0.2, 0.1, 0.5),
    "schedule-free": ScheduleFreeAdamW(0.01),
    "schedule-free with warm-up": ScheduleFreeAdamW(0.01, 0.7, 0.9, 1e-3, 8),
}
# These forget so quickly that the rounding error of a small gradient becomes a step, which whole trainings multiply.
_FORGETFUL = ("adam, no first moment", "adam, short memory", "rmsprop, no memory")
STEADY_RULES = {name: rule for name, rule in RULES.items() if name not in _FORGETFUL}
USUAL_RULES = {name: rule for name, rule in RULES.items() if "," not in name}
