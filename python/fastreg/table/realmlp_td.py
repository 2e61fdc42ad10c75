"""RealMLP-TD, the full published form of RealMLP: its network, its optimizer, and how its weights begin.

Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data",
NeurIPS 2024. ``realmlp.py`` has the simple form, TD-S, and says what becomes of the neural tangent parametrisation.
What TD adds: periodic embeddings of numbers, embeddings of categories, activations that are mixed with their input by
learned shares, dropout and weight decay that fade in the second half of the training, and weights that begin by the
data.

The paper's code multiplies the decay of a weight by its factor on the learning rate once more than the rate itself
does; so does this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import initializers, layers, ops, optimizers, schedules
from fastreg.model.model import Model
from fastreg.table.realmlp import realmlp_optimizer

__all__ = [
    "DECAY",
    "DROPOUT",
    "LARGEST_ONE_HOT",
    "Widths",
    "begin_by_data",
    "begun",
    "realmlp_td",
    "realmlp_td_optimizer",
]

#: Columns of categories with more levels than this are embedded.
LARGEST_ONE_HOT = 8
#: The dropout and the weight decay of the first half of the training, after which both fade.
DROPOUT, DECAY = 0.15, 0.02
# The largest seed that is drawn, and what Adam adds to the root of the second moment.
_SEEDS, _EPSILON = 2**31 - 1, 1e-8
# The features of an embedded category; the waves of a number, and the features that are made of them.
_EMBEDDED, _WAVES, _OF_WAVES = 8, 16, 3
# Factors on the rates of features' scales, of biases, and of embeddings of numbers and shares of activations.
_OF_SCALES, _OF_BIASES, _SLOW = 6.0, 0.1, 0.1
# Rows that the first weights are computed from, at most.
_ROWS_TO_BEGIN = 10_000
# Spreads below this share of the largest value are rounding errors of a constant.
_LEAST_SPREAD = 1e-5


@dataclass(frozen=True)
class Widths:
    """What a network reads: a matrix of each kind that there is, in this order.

    Attributes:
        numbers: The number of columns of scaled numbers.
        indicators: The number of columns of features that are taken as they are, such as one-hot ones.
        categories: The number of columns of codes, each an integer in [0, ``codes``).
        codes: The number of codes of all columns together.
    """

    numbers: int
    indicators: int
    categories: int
    codes: int

    @property
    def features(self) -> int:
        """How many features the first hidden layer reads."""
        return self.numbers * (_OF_WAVES + 1) + self.indicators + self.categories * _EMBEDDED


def begun(
    widths: Widths,
    inputs: Sequence[NDArray[np.float32]],
    hidden: Sequence[int],
    activation: Any,
    units: int,
    output: str,
    rate: float,
    random: np.random.RandomState,
    dropout: float = DROPOUT,
    decay: float = DECAY,
) -> tuple[Model, optimizers.AdamW]:
    """The network with the weights that it begins with, and its optimizer.

    Args:
        widths: What the network reads.
        inputs: The training rows, as the network reads them.
        hidden: The units of each hidden layer.
        activation: The activation of the hidden layers.
        units: The number of outputs.
        output: The activation of the last layer.
        rate: The height of the waves of the learning rate.
        random: What the seed of the network and the first biases are drawn from.
        dropout: The dropout behind each hidden layer, in [0, 1); it fades in the second half of the training.
        decay: The weight decay, >= 0, which fades likewise.
    """
    model, front = realmlp_td(widths, hidden, activation, units, output, int(random.randint(_SEEDS)), dropout)
    begin_by_data(model, front, inputs, hidden, activation, random)
    return model, realmlp_td_optimizer(rate, _EPSILON, len(hidden), decay)


def realmlp_td(
    widths: Widths,
    hidden: Sequence[int],
    activation: Any,
    units: int,
    output: str,
    seed: int,
    dropout: float = DROPOUT,
) -> tuple[Model, Model | None]:
    """The network, and the part of it in front of the scale of features, None if that has no weights.

    Args:
        widths: What it reads.
        hidden: The units of each hidden layer.
        activation: The activation of the hidden layers.
        units: The number of outputs.
        output: The activation of the last layer.
        seed: The seed of the network.
        dropout: The dropout behind each hidden layer, in [0, 1), which fades.
    """
    inputs, features = _features(widths)
    joined = layers.Concatenate(name="features")(features) if len(features) > 1 else features[0]
    value = layers.Scale(**_paced(_OF_SCALES))(joined)
    width = widths.features
    for i, size in enumerate(hidden):
        value = _tangent(f"hidden_{i}", size, width)(value)
        value = layers.ParametricActivation(activation, **_paced(_SLOW))(value)
        if dropout:
            value = layers.Dropout(schedules.FlatCosine(dropout, schedules.Share(1.0)))(value)
        width = size
    model = Model(inputs, _tangent("last", units, width, output)(value), seed=seed)
    front = Model(inputs, joined, seed=seed) if widths.numbers or widths.categories else None
    return model, front


def realmlp_td_optimizer(rate: float, epsilon: float, n_hidden: int, decay: float = DECAY) -> optimizers.AdamW:
    """Adam with the waves of the simple form, and a weight decay that fades; biases of dense layers do not decay."""
    fading = schedules.FlatCosine(decay, schedules.Share(1.0))
    return realmlp_optimizer(rate, fading, epsilon, [f"{name}/bias" for name in _names(n_hidden)])


def begin_by_data(
    model: Model,
    front: Model | None,
    inputs: Sequence[NDArray[np.float32]],
    hidden: Sequence[int],
    activation: Any,
    random: np.random.RandomState,
) -> None:
    """Scales the kernels so that values before activations have the deviation 1, and puts biases within the data.

    The bias of a unit is minus a random mixture of its values for five rows ("he+5"), with shares that are uniform
    among those whose sum is 1, so that the bend of its activation lies among the rows.

    Args:
        model: The network.
        front: Its part in front of the scale of features, or None.
        inputs: The training rows, as the network reads them.
        hidden: The units of each hidden layer.
        activation: The activation of the hidden layers.
        random: What everything is drawn from.
    """
    n_rows = len(inputs[0])
    if n_rows > _ROWS_TO_BEGIN:
        chosen = random.choice(n_rows, _ROWS_TO_BEGIN, replace=False)
        inputs = [array[chosen] for array in inputs]
    x = inputs[0]
    if front is not None:
        names = [layer.name for layer in front.layers if layer.get_weights()]
        front.set_weights([weight for name in names for weight in model.get_layer(name).get_weights()])
        x = front.predict(list(inputs), verbose=0)
    for name in _names(len(hidden)):
        layer = model.get_layer(name)
        kernel = layer.get_weights()[0]
        z = x @ kernel
        spread = z.std(axis=0)
        factor = np.where(spread > _LEAST_SPREAD * np.abs(z).max(axis=0), 1.0 / np.maximum(spread, 1e-30), 1.0)
        z = z * factor
        shares = random.standard_exponential((5, z.shape[1]))
        drawn = z[random.randint(len(z), size=shares.shape), np.arange(z.shape[1])]
        bias = -(drawn * shares).sum(axis=0) / shares.sum(axis=0)
        layer.set_weights([kernel * factor, bias])
        x = ops.activation((z + bias).astype(np.float32), activation)


def _names(n_hidden: int) -> list[str]:
    """The names of the dense layers."""
    return [*(f"hidden_{i}" for i in range(n_hidden)), "last"]


def _features(widths: Widths) -> tuple[list[layers.Input], list[Any]]:
    """The inputs, and the values that they become."""
    inputs: list[layers.Input] = []
    values: list[Any] = []
    if widths.numbers:
        limit = _WAVES**-0.5
        waves = layers.PeriodicEmbedding(
            _OF_WAVES,
            _WAVES,
            bias_initializer=initializers.RandomUniform(-limit, limit),
            name="waves",
            **_paced(_SLOW),
        )
        inputs.append(layers.Input((widths.numbers,), name="numbers"))
        values.append(waves(inputs[-1]))
    if widths.indicators:
        inputs.append(layers.Input((widths.indicators,), name="indicators"))
        values.append(inputs[-1])
    if widths.categories:
        normal = initializers.RandomNormal(stddev=1.0)
        inputs.append(layers.Input((widths.categories,), name="categories"))
        table = layers.Embedding(widths.codes, _EMBEDDED, normal, name="tables")
        values.append(layers.Flatten()(table(inputs[-1])))
    return inputs, values


def _tangent(name: str, units: int, inputs: int, activation: str | None = None) -> layers.Dense:
    """A dense layer in the neural tangent parametrisation, as Adam sees it; its decay does not depend on the inputs."""
    return layers.Dense(
        units,
        activation,
        kernel_initializer=initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal"),
        learning_rate_multiplier={"kernel": inputs**-0.5, "bias": _OF_BIASES},
        weight_decay_multiplier={"kernel": inputs**0.5},
        name=name,
    )


def _paced(factor: float) -> dict[str, Any]:
    """A factor on the rate of a layer's weights, and once more on their decay."""
    return {"learning_rate_multiplier": factor, "weight_decay_multiplier": factor}
