"""Adam and AdamW."""

from typing import Annotated

from fastreg.internal.checks import FRACTION, NORMAL
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer, WeightDecay

__all__ = ["Adam", "AdamW"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Adam(Optimizer, OptimizerArguments):
    r"""Algorithm 1 of Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow w - \eta_t \frac{m / (1 - \beta_1^{t+1})}{\sqrt{v / (1 - \beta_2^{t+1})} + \epsilon}

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        beta_1: In [0, 1).
        beta_2: In [0, 1).
        epsilon: >= 2**-126.
        amsgrad: Whether to divide by the largest :math:`v` so far (Reddi, Kale and Kumar, ICLR 2018), so that the step
            of a weight never grows again. As in PyTorch, the largest is taken before the correction.
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
    amsgrad: bool = False


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class AdamW(Optimizer, OptimizerArguments):
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
        amsgrad: As in :class:`Adam`.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.
    """

    learning_rate: LearningRate = 0.001
    weight_decay: WeightDecay = 0.004
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, NORMAL] = 1e-7
    amsgrad: bool = False
