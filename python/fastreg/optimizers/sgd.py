"""Gradient descent."""

from typing import Annotated

from fastreg.internal.checks import FRACTION
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer

__all__ = ["SGD"]


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
