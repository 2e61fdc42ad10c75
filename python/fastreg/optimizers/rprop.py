"""Rprop."""

from typing import Annotated

from fastreg.internal.checks import ABOVE_ONE, INNER_FRACTION, POSITIVE
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer

__all__ = ["Rprop"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Rprop(Optimizer, OptimizerArguments):
    r"""A step size for each weight, from the signs of its gradients (Riedmiller and Braun, ICNN 1993).

    A step size grows by ``eta_plus`` where the gradient has the sign of the last one, and shrinks by ``eta_minus``
    where it has not. There the weight stays as it is, and the next gradient counts as the first one:

    .. math:: s \leftarrow s \cdot \{\eta_+, \eta_-, 1\}, \qquad w \leftarrow w - \operatorname{sign}(g) s

    It is for full batches (``batch_size=None``), where signs of gradients mean something, and is hard to beat there on
    small networks. PyTorch has it, Keras has not; ``etas`` and ``step_sizes`` of PyTorch are two arguments each.

    ``clipnorm`` and ``global_clipnorm`` scale a gradient and change no sign: they matter under a proximal L1 alone.

    Under a proximal L1 the sign is that of the slope of loss and penalty together, and no step goes across 0.

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
            All step sizes start with it. Later they keep their ratio to it, and at a rate of 0 nothing moves.
        eta_minus: In (0, 1).
        eta_plus: > 1.
        step_size_min: The least step size, > 0.
        step_size_max: The largest step size, > 0; it holds where it is below ``step_size_min``.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> import numpy as np
        >>> from fastreg import ops, optimizers
        >>> w = np.float32([3.0])
        >>> updater = ops.Updater(optimizers.Rprop(0.1), w)
        >>> for _ in range(60):
        ...     updater.step(2.0 * w)
        >>> bool(abs(w[0]) < 1e-5)
        True
    """

    learning_rate: LearningRate = 0.01
    eta_minus: Annotated[float, INNER_FRACTION] = 0.5
    eta_plus: Annotated[float, ABOVE_ONE] = 1.2
    step_size_min: Annotated[float, POSITIVE] = 1e-6
    step_size_max: Annotated[float, POSITIVE] = 50.0
