"""RMSprop."""

from typing import Annotated

from fastreg.internal.checks import FRACTION, NORMAL
from fastreg.internal.dataclasses import KW_ONLY, dataclass
from fastreg.internal.keras_arguments import RMSpropArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer

__all__ = ["RMSprop"]


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
