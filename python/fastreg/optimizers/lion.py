"""Lion."""

from typing import Annotated

from fastreg.internal.checks import FRACTION
from fastreg.internal.dataclasses import KW_ONLY, dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer, WeightDecay

__all__ = ["Lion"]


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
    weight_decay: WeightDecay = 0.0
