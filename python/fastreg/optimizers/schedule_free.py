"""Schedule-free AdamW."""

from typing import Annotated

from fastreg.internal.checks import FRACTION, NON_NEGATIVE, NORMAL, WIDTH_LIMIT
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer

__all__ = ["ScheduleFreeAdamW"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class ScheduleFreeAdamW(Optimizer, OptimizerArguments):
    r"""AdamW that needs neither a schedule nor the length of the run (Defazio et al., "The road less scheduled", 2024).

    Gradients are taken at :math:`y`, between :math:`z`, which makes the steps of :class:`Adam` without a first moment,
    and their average :math:`x`. With :math:`\hat v` as in Adam and :math:`t` counted from 1:

    .. math::
        z \leftarrow z - \gamma_t \, g(y) / (\sqrt{\hat v} + \epsilon), \quad
        x \leftarrow x + c_t (z - x), \quad y \leftarrow z + \beta_1 (x - z)

    :math:`\gamma_t = \eta_t \min(1, t / \text{warmup\_steps})`, and :math:`c_t` is the share of
    :math:`\min(1, t / \text{warmup\_steps})^2` in the sum of those so far: :math:`1 / t` without warm-up, as in Keras,
    which keeps that during a warm-up.

    **The weights of the model are** :math:`x`, the average, whenever anybody looks: ``predict``, ``evaluate``, the
    validation after an epoch, ``get_weights``, early stopping and files. (In Keras they are :math:`y`.) They are
    :math:`y` only while ``fit`` makes steps, so the loss of the training rows is the one at :math:`y`. Files hold
    :math:`z` and :math:`\hat v` besides, and a training that goes on from a file gives the same bits. ``set_weights``
    sets
    :math:`x`; once steps have been made, :math:`z` stays where it is. With :class:`fastreg.ops.Updater`, ``w`` is
    :math:`y` and ``average`` is :math:`x`.

    An average of :math:`t` steps in float32 stands still for what would move it by less than about
    :math:`6 \cdot 10^{-8} t` of a weight, as it does in Keras.

    Under a proximal L1 the soft threshold is that of :math:`z`'s steps; where :math:`z` is 0, :math:`x` gets its share
    :math:`c_t` of it, so that it becomes exactly 0, too. A constraint is applied to :math:`z`, before :math:`x` gets
    its share of it, and then to :math:`x`.

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        beta_1: The place of :math:`y` between :math:`z` (0) and :math:`x` (1), in [0, 1).
        beta_2: In [0, 1).
        epsilon: >= 2**-126.
        warmup_steps: The number of steps over which the learning rate grows linearly, >= 0.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> import numpy as np
        >>> from fastreg import ops, optimizers
        >>> w = np.float32([3.0])
        >>> updater = ops.Updater(optimizers.ScheduleFreeAdamW(0.1), w)
        >>> for _ in range(300):
        ...     updater.step(2.0 * w)
        >>> bool(abs(updater.average[0]) < 0.1)
        True
    """

    learning_rate: LearningRate = 0.0025
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, NORMAL] = 1e-8
    warmup_steps: Annotated[int, NON_NEGATIVE, WIDTH_LIMIT] = 0

    def _check_together(self) -> None:
        super()._check_together()
        if self.use_ema:
            raise ValueError("ScheduleFreeAdamW: use_ema must be False, as this optimizer averages weights itself")
