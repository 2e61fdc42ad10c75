"""The layers and the optimizer of RealMLP, which recipes and scikit-learn's estimators share.

RealMLP-TD-S is the simple form of a network with tuned defaults (Holzmüller, Grinsztajn and Steinwart, "Better by
default: strong pre-tuned MLPs and boosted trees on tabular data", NeurIPS 2024). Its dense layers have the neural
tangent parametrisation: weights are drawn from N(0, 1), and the product with them is divided by the root of the layer's
inputs. Under Adam, whose steps do not depend on the size of gradients, this is the same as weights and rates divided by
that root, which is how it is built here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastreg import initializers, layers, optimizers, schedules

__all__ = ["WAVES", "connected", "realmlp_layers", "realmlp_optimizer"]

# The waves of the learning rate, "coslog4" there.
WAVES = 4
# Factors on the rates of scales and biases, the second beta of Adam, and the beginning of the last layer.
_OF_SCALES, _OF_BIASES, _BETA_2 = 6.0, 0.1, 0.95
_ZEROS = {"kernel_initializer": "zeros", "bias_initializer": "zeros"}


def realmlp_layers(
    hidden: Sequence[int],
    activation: str,
    n_features: int,
    units: int,
    output: str,
    dropout: float = 0.0,
    columns: Sequence[layers.Column] | None = None,
) -> list[layers.Layer]:
    """The layers: a learned factor for each feature, hidden layers, and a last layer that begins at zero.

    Args:
        hidden: The units of each hidden layer.
        activation: The activation of the hidden layers.
        n_features: The number of features.
        units: The number of outputs.
        output: The activation of the last layer.
        dropout: The dropout behind each hidden layer, in [0, 1).
        columns: What the features stand for, if the network reads codes in their place. Then they have no factors.
    """
    stack: list[layers.Layer] = [] if columns else [layers.Scale(learning_rate_multiplier=_OF_SCALES)]
    inputs = n_features
    for width in hidden:
        normal = {"bias_initializer": initializers.RandomNormal(stddev=1.0)}
        stack.append(connected(columns, width, activation=activation, **_tangent(inputs), **normal))
        if dropout:
            stack.append(layers.Dropout(dropout))
        inputs, columns = width, None
    stack.append(connected(columns, units, activation=output, **(_tangent(inputs) | _ZEROS)))
    return stack


def realmlp_optimizer(
    rate: float,
    decay: float | schedules.LearningRateSchedule = 0.0,
    epsilon: float = 1e-7,
    kept: Sequence[str] | None = None,
) -> optimizers.AdamW:
    """Adam with the schedule of the rate over the whole of a fit.

    Args:
        rate: The height of the waves of the learning rate, > 0.
        decay: The weight decay, >= 0, or its schedule; 0 is as published for the simple form.
        epsilon: What is added to the root of the second moment, >= 0.
        kept: Weights that do not decay, such as "dense/bias"; None lets kernels decay alone.
    """
    waves = schedules.CosLog(rate, schedules.Share(1.0), WAVES)
    return optimizers.AdamW(
        waves, weight_decay=decay, beta_2=_BETA_2, epsilon=epsilon, excluded_from_weight_decay=kept
    )


def connected(columns: Sequence[layers.Column] | None, units: int, **options: Any) -> layers.Layer:
    """A fully connected layer, which reads codes if columns are given."""
    return layers.Dense(units, **options) if columns is None else layers.TableInput(units, columns, **options)


def _tangent(inputs: int) -> dict[str, Any]:
    """The neural tangent parametrisation of a dense layer, as Adam sees it, with the factor of biases."""
    return {
        "kernel_initializer": initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal"),
        "learning_rate_multiplier": {"kernel": inputs**-0.5, "bias": _OF_BIASES},
    }
