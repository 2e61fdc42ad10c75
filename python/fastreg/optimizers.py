r"""How weights follow their gradients.

Descriptions only: C++ applies each as one pass over all parameters (cpp/math/rules.h), penalties included.

Notation: :math:`w` weights, :math:`g` gradient with L1 and L2 penalties in it, clipped, :math:`\eta_t` learning rate at
step :math:`t` from 0, :math:`m, v` moments that start at 0. Adam and RMSprop are as their papers and PyTorch have them;
Keras's default values, not its placing of :math:`\epsilon`. At the ends of float32, a gradient beyond 1.84e19, whose
square would overflow, counts as 1.84e19, and :math:`\epsilon` is raised to the largest gradient whose square would
vanish, 3e-18 for Adam's and 3e-19 for RMSprop's defaults: no step is larger than the rule allows.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fastreg import schedules
from fastreg.internal.checks import FRACTION, NON_NEGATIVE, NORMAL, POSITIVE, absent_names, check_real, describe
from fastreg.internal.description import Registry
from fastreg.internal.keras_arguments import (
    AdamArguments,
    AdamWArguments,
    OptimizerArguments,
    RMSpropArguments,
    takes_keras_arguments,
)
from fastreg.internal.update_options import UpdateOptions
from fastreg.schedules import LearningRateSchedule

__all__ = ["SGD", "Adam", "AdamW", "LearningRate", "Lion", "Optimizer", "RMSprop", "get", "schedules"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)

# Makes `from fastreg.optimizers.schedules import CosineDecay` work, which is where Keras has it.
sys.modules[f"{__name__}.schedules"] = schedules


def check_learning_rate(owner: str, name: str, value: object) -> object:
    """A rate > 0 as a float, or the schedule that was given, as itself or in its JSON form."""
    if isinstance(value, Mapping):
        return schedules.get(value, owner)
    if not callable(value):
        return check_real(owner, name, value, POSITIVE)
    if isinstance(value, type):
        raise TypeError(f"{owner}: {name} must be a number or schedule, got {describe(value)}")
    return value


LearningRate = Annotated[float | Callable[[int], float], check_learning_rate]


@dataclass(frozen=True, repr=False)
class Optimizer(UpdateOptions):
    r"""Base of the optimizers; anything that ``compile(optimizer=...)`` accepts.

    Its arguments are those of every optimizer, behind the optimizer's own.

    All of them can clip the gradient :math:`g` before they use it. As in Keras, the whole gradient is clipped,
    including those of L1 and L2 penalties; PyTorch's ``clip_grad_norm_`` does not see what ``weight_decay`` adds. A
    proximal L1 and weight decay are not gradients and are not clipped. A norm that is not finite ends the fit, like any
    gradient that is not finite.

    With ``use_ema`` an average :math:`a` of every trained weight follows it: :math:`a \leftarrow w` after the first
    update, then :math:`a \leftarrow \mu a + (1 - \mu) w` (Polyak and Juditsky 1992). When a fit ends, the weights of
    the model are the averages, unless ``EarlyStopping`` restored the best ones. The next fit continues from the weights
    that were averaged, so that two fits equal one long one; ``set_weights`` in between starts the average anew. In a
    callback the model has the weights that are trained.

    With ``gradient_accumulation_steps=k`` the weights are updated after every k-th batch, by the mean of k gradients,
    which is clipped. Schedules count the batches, averages the updates. A group of k batches may go on in the next
    epoch and the next fit.

    Args:
        learning_rate: A number > 0, or a schedule called with the step, counted from 0.
        weight_decay: :math:`\lambda \ge 0`, decoupled: each step begins with
            :math:`w \leftarrow w - \eta_t \lambda w`. Only kernels decay, unless :meth:`exclude_from_weight_decay` says
            otherwise.
        clipnorm: > 0: the gradient of each weight (a kernel, a bias, ...) is multiplied with
            :math:`\min(1, \text{clipnorm} / \lVert g \rVert_2)`.
        clipvalue: > 0: each element of :math:`g` is cut to [-clipvalue, clipvalue].
        global_clipnorm: > 0: as ``clipnorm``, with one norm of the gradients of all weights.
        use_ema: Whether averages of the weights are kept.
        ema_momentum: :math:`\mu` in [0, 1].
        ema_overwrite_frequency: After every so many updates the weights become their averages; None is never.
        gradient_accumulation_steps: k >= 1; None is 1.
        excluded_from_weight_decay: What :meth:`exclude_from_weight_decay` sets, by keyword only: the words and texts of
            what does not decay. None: all weights but kernels.
        name: Name of the optimizer; None takes one after the class.
    """

    learning_rate: LearningRate
    _: KW_ONLY
    weight_decay: Annotated[float, NON_NEGATIVE] | None = None

    def to_config(self) -> dict[str, Any]:
        """The JSON form. Raises ValueError if the learning rate is a callable that is not of ``fastreg.schedules``."""
        rate = self.learning_rate
        if not isinstance(rate, (float, LearningRateSchedule)):
            raise ValueError(
                f"{type(self).__name__}: learning_rate {describe(rate)} cannot be saved; use one of fastreg.schedules, "
                "or save with include_optimizer=False"
            )
        return super().to_config()

    def core_config(self) -> dict[str, Any]:
        """The JSON form for the core, which gets the rates of a schedule as an array and not from here."""
        config = super().to_config()
        if not isinstance(self.learning_rate, float):
            config["learning_rate"] = {}
        return config

    def rate_at(self, step: int) -> float:
        """The learning rate at a step. Raises what a schedule raises, and ValueError if its value is no rate."""
        return float(self.rates(step, 1)[0])

    def rates(self, first_step: int, n: int) -> NDArray[np.float64]:
        """The rates of ``n`` steps from ``first_step`` on, or a single one if they are all the same."""
        rate = self.learning_rate
        if isinstance(rate, float):
            return np.array([rate])
        if isinstance(rate, schedules.Constant):
            return np.array([rate.learning_rate])
        if isinstance(rate, LearningRateSchedule):
            return rate(np.arange(first_step, first_step + n))
        values = [rate(step) for step in range(first_step, first_step + n)]
        try:
            rates = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            rates = np.empty(0)
        if rates.shape != (n,):
            raise TypeError(f"learning_rate: the schedule must give a number for a step, got {describe(values[0])}")
        if not (np.isfinite(rates) & (rates >= 0.0)).all():
            at = int(np.argmin(np.isfinite(rates) & (rates >= 0.0)))
            raise ValueError(
                f"learning_rate: the schedule must give finite rates >= 0, got {float(rates[at])} at step "
                f"{first_step + at}"
            )
        return rates


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class SGD(Optimizer, OptimizerArguments):
    r"""Gradient descent, optionally with momentum and Nesterov's look-ahead.

    .. math:: m \leftarrow \mu m + g, \qquad w \leftarrow w - \eta_t m \quad (\text{Nesterov: } w - \eta_t (g + \mu m))

    The learning rate is outside of :math:`m`, as in PyTorch. Keras has it inside, which gives the same steps for a
    constant rate; under a schedule, here a change of the rate takes hold at once.

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        momentum: :math:`\mu` in [0, 1).
        nesterov: Sutskever, Martens, Dahl and Hinton, ICML 2013. Needs ``momentum > 0``.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> from fastreg import optimizers
        >>> optimizers.SGD(0.1, momentum=0.9)
        SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
    """

    learning_rate: LearningRate = 0.01
    momentum: Annotated[float, FRACTION] = 0.0
    nesterov: bool = False

    def _check_together(self) -> None:
        super()._check_together()
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("SGD: momentum must be > 0 with nesterov=True, got 0.0")


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Adam(Optimizer, AdamArguments):
    r"""Algorithm 1 of Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow w - \eta_t \frac{m / (1 - \beta_1^{t+1})}{\sqrt{v / (1 - \beta_2^{t+1})} + \epsilon}

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        beta_1: In [0, 1).
        beta_2: In [0, 1).
        epsilon: >= 2**-126.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> from fastreg import optimizers, schedules
        >>> optimizers.Adam(schedules.CosineDecay(1e-3, 1000)).rate_at(1000)
        0.0
    """

    learning_rate: LearningRate = 0.001
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, NORMAL] = 1e-7


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class AdamW(Optimizer, AdamWArguments):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019).

    With :math:`\hat m, \hat v` as in :class:`Adam`:

    .. math:: w \leftarrow w - \eta_t \left( \hat m / (\sqrt{\hat v} + \epsilon) + \lambda w \right)

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        weight_decay: :math:`\lambda \ge 0`. Only kernels decay, unless ``exclude_from_weight_decay`` says otherwise. It
            is not the ``l2`` of a regularizer, which goes through the gradient.
        beta_1: In [0, 1).
        beta_2: In [0, 1).
        epsilon: >= 2**-126.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.
    """

    learning_rate: LearningRate = 0.001
    weight_decay: Annotated[float, NON_NEGATIVE] = 0.004
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, NORMAL] = 1e-7


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer, RMSpropArguments):
    r"""Division by a running root mean square (Hinton, "Neural networks for machine learning", lecture 6e, 2012).

    .. math:: v \leftarrow \rho v + (1 - \rho) g^2, \qquad w \leftarrow w - \eta_t g / (\sqrt v + \epsilon)

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        rho: In [0, 1).
        epsilon: >= 2**-126. By keyword only: Keras has a momentum in this place.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.
    """

    learning_rate: LearningRate = 0.001
    rho: Annotated[float, FRACTION] = 0.9
    _: KW_ONLY
    epsilon: Annotated[float, NORMAL] = 1e-7


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Lion(Optimizer, OptimizerArguments):
    r"""Steps of the same size for all weights, along the sign of an average of gradients (Chen et al., NeurIPS 2023).

    .. math::
        c \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        w \leftarrow w - \eta_t (\operatorname{sign}(c) + \lambda w), \quad
        m \leftarrow \beta_2 m + (1 - \beta_2) g

    It keeps one number for each weight, half of what Adam keeps. The authors advise a learning rate that is 3 to 10
    times smaller than Adam's, and a decay as many times larger.

    Under a proximal L1 a step minimises :math:`c w + l_1 |w|` over all w that it can reach: a weight moves towards 0,
    and stays there, as long as :math:`|c| \le l_1`.

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        beta_1: In [0, 1).
        beta_2: In [0, 1).
        weight_decay: :math:`\lambda \ge 0`, as in :class:`AdamW`.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> from fastreg import optimizers
        >>> optimizers.Lion(1e-4, weight_decay=0.1)
        Lion(learning_rate=0.0001, beta_1=0.9, beta_2=0.99, weight_decay=0.1)
    """

    learning_rate: LearningRate = 0.001
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.99
    _: KW_ONLY
    weight_decay: Annotated[float, NON_NEGATIVE] = 0.0


_REGISTRY: Registry[Optimizer] = Registry(
    "optimizer", Optimizer, {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "lion": Lion}
)


def get(value: object, where: str = "optimizers.get") -> Optimizer:
    """The optimizer for an argument: an instance or a name such as ``"adam"``."""
    return _REGISTRY.resolve(where, value)
