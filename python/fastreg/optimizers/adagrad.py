"""Adagrad and Adadelta."""

from typing import Annotated

from fastreg.internal.checks import FRACTION, NON_NEGATIVE, NORMAL
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer

__all__ = ["Adadelta", "Adagrad"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer, OptimizerArguments):
    r"""Division by the root of the sum of all squares (Duchi, Hazan and Singer, JMLR 2011).

    .. math:: v \leftarrow v + g^2, \qquad w \leftarrow w - \eta_t g / (\sqrt v + \epsilon)

    Steps only shrink, those of rarely active features least. It needs a larger learning rate than Adam, 0.01 to 1.
    :math:`\epsilon` stands where PyTorch has it; Keras has :math:`\sqrt{v + \epsilon}`.

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        initial_accumulator_value: What :math:`v` starts with, >= 0.
        epsilon: >= 2**-126.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> from fastreg import optimizers
        >>> optimizers.Adagrad(0.1)
        Adagrad(learning_rate=0.1, initial_accumulator_value=0.1, epsilon=1e-07)
    """

    learning_rate: LearningRate = 0.001
    initial_accumulator_value: Annotated[float, NON_NEGATIVE] = 0.1
    epsilon: Annotated[float, NORMAL] = 1e-7


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Adadelta(Optimizer, OptimizerArguments):
    r"""Steps in units of the last steps (Zeiler, "ADADELTA: an adaptive learning rate method", 2012).

    .. math::
        v \leftarrow \rho v + (1 - \rho) g^2, \quad d = g \sqrt{u + \epsilon} / \sqrt{v + \epsilon}, \quad
        w \leftarrow w - \eta_t d, \quad u \leftarrow \rho u + (1 - \rho) d^2

    The paper has :math:`\eta = 1`, as PyTorch does; Keras's default, which is this one, is a thousandth of it. Under a
    proximal L1, :math:`d` in :math:`u` is the way that the weight really goes, divided by :math:`\eta_t`.

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        rho: In [0, 1).
        epsilon: >= 2**-126; the first steps are :math:`\eta \sqrt{\epsilon}` long.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> from fastreg import optimizers
        >>> optimizers.Adadelta(1.0)
        Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-07)
    """

    learning_rate: LearningRate = 0.001
    rho: Annotated[float, FRACTION] = 0.95
    epsilon: Annotated[float, NORMAL] = 1e-7
