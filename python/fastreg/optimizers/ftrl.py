"""FTRL-proximal."""

from typing import Annotated

from fastreg.internal.checks import NON_NEGATIVE, NOT_POSITIVE
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import OptimizerArguments, takes_keras_arguments
from fastreg.optimizers.base import LearningRate, Optimizer

__all__ = ["Ftrl"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Ftrl(Optimizer, OptimizerArguments):
    r""""Follow the regularised leader" for sparse linear models (McMahan et al., "Ad click prediction", KDD 2013).

    With :math:`p = -` ``learning_rate_power``:

    .. math::
        n' = n + g^2, \quad z \leftarrow z + \eta_t (g + 2 \lambda_s w) - (n'^p - n^p) w, \quad n \leftarrow n', \quad
        w \leftarrow -\frac{\operatorname{soft}(z, \eta_t \lambda_1)}{n^p + \beta + 2 \eta_t \lambda_2}

    :math:`z` starts at 0, as if all weights had been 0 before: the first step takes almost everything from the initial
    weights. That is so in Keras, too, and means that hidden layers lose their random start. :math:`z` is that of Keras
    times the learning rate, so that the steps are the same for a constant rate, and a change of the rate concerns new
    gradients only.

    ``l1_regularization_strength`` is weighed against the sum of all gradients since the start. A proximal L1 of the
    layers is weighed against the gradient of each step, as under every other rule, and gives the same weights as those
    do.

    Args:
        learning_rate: :math:`\eta > 0`, or a schedule called with the step, counted from 0.
        learning_rate_power: <= 0; 0 keeps the learning rate as it is.
        initial_accumulator_value: What :math:`n` starts with, >= 0.
        l1_regularization_strength: :math:`\lambda_1 \ge 0`.
        l2_regularization_strength: :math:`\lambda_2 \ge 0`. It shortens weights and is no term of the gradient.
        l2_shrinkage_regularization_strength: :math:`\lambda_s \ge 0`, a term of the gradient that :math:`n` does not
        see. beta: :math:`\beta \ge 0` of the paper.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps, name: See :class:`Optimizer`.

    Raises:
        ValueError: If an argument is out of range or NaN, or two ways to clip are given.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(500, 20)).astype("float32")
        >>> model = fr.Sequential([fr.Input((20,)), fr.layers.Dense(1)], seed=0)
        >>> model.compile(fr.optimizers.Ftrl(0.1, l1_regularization_strength=30.0), "mse")
        >>> history = model.fit(x, x[:, 0] - x[:, 1], epochs=20, verbose=0)
        >>> int((model.get_weights()[0] != 0.0).sum())
        2
    """

    learning_rate: LearningRate = 0.001
    learning_rate_power: Annotated[float, NOT_POSITIVE] = -0.5
    initial_accumulator_value: Annotated[float, NON_NEGATIVE] = 0.1
    l1_regularization_strength: Annotated[float, NON_NEGATIVE] = 0.0
    l2_regularization_strength: Annotated[float, NON_NEGATIVE] = 0.0
    l2_shrinkage_regularization_strength: Annotated[float, NON_NEGATIVE] = 0.0
    beta: Annotated[float, NON_NEGATIVE] = 0.0
