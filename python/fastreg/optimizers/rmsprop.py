"""RMSprop."""

from typing import Annotated

from fastreg.internal.checks import FRACTION, NORMAL
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer

__all__ = ["RMSprop"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer, OptimizerArguments):
    r"""Division by a running root mean square (Hinton, "Neural networks for machine learning", lecture 6e, 2012).

    .. math:: v \leftarrow \rho v + (1 - \rho) g^2, \qquad w \leftarrow w - \eta_t g / (\sqrt v + \epsilon)

    With momentum :math:`\mu` it is :math:`m \leftarrow \mu m + g / (\sqrt v + \epsilon)` and
    :math:`w \leftarrow w - \eta_t m`. The learning rate is outside of :math:`m`, as in PyTorch; Keras has it inside,
    which gives the same steps for a constant rate.

    Centred, it divides by :math:`\sqrt{v - a^2} + \epsilon` with the moving mean :math:`a` of :math:`g` (Graves,
    "Generating sequences with recurrent neural networks", 2013). Where gradients hardly change, as at the end of a
    training on all rows at once, this is close to 0, and steps become large: a larger ``epsilon`` bounds them.

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        rho: In [0, 1).
        momentum: :math:`\mu` in [0, 1).
        epsilon: >= 2**-126.
        centered: Whether to divide by the standard deviation.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> from fastreg import optimizers
        >>> optimizers.RMSprop(0.01, momentum=0.9, centered=True)
        RMSprop(learning_rate=0.01, rho=0.9, momentum=0.9, epsilon=1e-07, centered=True)
    """

    learning_rate: LearningRate = 0.001
    rho: Annotated[float, FRACTION] = 0.9
    momentum: Annotated[float, FRACTION] = 0.0
    epsilon: Annotated[float, NORMAL] = 1e-7
    centered: bool = False
