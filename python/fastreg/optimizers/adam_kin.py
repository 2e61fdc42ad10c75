"""Nadam, RAdam and Adamax."""

from typing import Annotated

from fastreg.internal.checks import FRACTION, NORMAL
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer

__all__ = ["Adamax", "Nadam", "RAdam"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Nadam(Optimizer, OptimizerArguments):
    r"""Adam with Nesterov's look-ahead (Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop).

    With :math:`m, v` as in :class:`Adam`, :math:`t` counted from 1, :math:`\mu_t = \beta_1 (1 - 0.96^t / 2)` and
    :math:`p_t = \mu_1 \cdots \mu_t`:

    .. math::
        w \leftarrow w - \eta_t \left( \frac{\mu_{t+1} m}{1 - p_{t+1}} + \frac{(1 - \mu_t) g}{1 - p_t} \right) \Big/
        \left( \sqrt{v / (1 - \beta_2^t)} + \epsilon \right)

    This is Keras's :math:`\mu_t`; PyTorch has it with ``momentum_decay=1.0``, but 0.004 by default.

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
        >>> from fastreg import optimizers
        >>> optimizers.Nadam(0.002)
        Nadam(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-07)
    """

    learning_rate: LearningRate = 0.001
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, NORMAL] = 1e-7


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class RAdam(Optimizer, OptimizerArguments):
    r"""Rectified Adam (Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020).

    It needs no warm-up: as long as :math:`v` says too little, it makes steps of gradient descent with momentum, and
    later shortens those of :class:`Adam` by the variance of :math:`v`. With :math:`\hat m` as there, :math:`t` counted
    from 1, :math:`\rho_\infty = 2 / (1 - \beta_2) - 1` and
    :math:`\rho_t = \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t)`:

    .. math::
        w \leftarrow w - \eta_t \hat m \cdot \begin{cases}
        \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}
        \frac{\sqrt{1 - \beta_2^t}}{\sqrt v + \epsilon} & \rho_t > 5 \\ 1 & \text{else} \end{cases}

    Keras does not have it; this is PyTorch's, with its default values.

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
        >>> from fastreg import optimizers
        >>> optimizers.RAdam(0.01)
        RAdam(learning_rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-08)
    """

    learning_rate: LearningRate = 0.001
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, NORMAL] = 1e-8


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Adamax(Optimizer, OptimizerArguments):
    r"""Adam with the largest of the fading gradients in the place of a mean of squares (Kingma and Ba, section 7.1).

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad u \leftarrow \max(\beta_2 u, |g| + \epsilon), \quad
        w \leftarrow w - \eta_t \frac{m / (1 - \beta_1^{t+1})}{u}

    :math:`\epsilon` stands where PyTorch has it; Keras adds it to :math:`u`.

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
        >>> from fastreg import optimizers
        >>> optimizers.Adamax(0.002)
        Adamax(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-07)
    """

    learning_rate: LearningRate = 0.001
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, NORMAL] = 1e-7
