"""TabM: members of an ensemble that share kernels, trained on pairs of a row and a member.

Gorishniy, Kotelnikov and Babenko, "TabM: Advancing tabular deep learning with parameter-efficient ensembling", ICLR
2025; here each member has batches of its own. What comes out of the training has no trace of it: a member is a plain
network whose kernels are the shared ones with scaled rows and columns, and the result is the mean of the members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks, initializers, layers
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential

__all__ = ["fit_members", "mean_of_members", "members_network"]

# Bytes of the features of all pairs. If there would be more, a row is learned by some of the members.
_MOST_BYTES = 2**29


def members_network(
    hidden: Sequence[int],
    activation: str,
    n_features: int,
    units: int,
    output: str,
    members: int,
    dropout: float = 0.0,
    seed: int = 0,
) -> Model:
    """The network that learns: of rows and the numbers of their members. It is yet to be compiled.

    Args:
        hidden: The units of each hidden layer.
        activation: The activation of the hidden layers.
        n_features: The number of features.
        units: The number of outputs.
        output: The activation of the last layer, in which each member has its own kernel.
        members: The number of members.
        dropout: The dropout behind each hidden layer, in [0, 1).
        seed: The seed of the network.
    """
    x, member = layers.Input((n_features,)), layers.Input((1,))
    value: Any = x
    first: initializers.Initializer = initializers.RandomNormal(stddev=1.0)
    for width in hidden:
        value = layers.EnsembleDense(width, members, activation, input_initializer=first)([value, member])
        if dropout:
            value = layers.Dropout(dropout)(value)
        first = initializers.Ones()
    value = layers.EnsembleDense(units, members, output, share_kernel=False)([value, member])
    return Model([x, member], value, seed=seed)


def fit_members(
    model: Model,
    features: NDArray[np.float32],
    y: NDArray[Any],
    weights: NDArray[np.float64] | None,
    members: int,
    batch: int,
    steps: int,
    seed: int,
    stop: callbacks.Callback | None = None,
) -> None:
    """Trains the network on pairs of a row and a member.

    Args:
        model: What :func:`members_network` made, compiled.
        features: The rows.
        y: Their targets.
        weights: Their weights; None weighs all alike.
        members: The number of members.
        batch: The rows of a step that each member has, on average.
        steps: The number of steps.
        seed: The seed of which members learn a row, where not all do.
        stop: Ends the training.
    """
    copies = min(members, max(_MOST_BYTES // max(features.nbytes, 1), 1))
    first = np.random.default_rng(seed).integers(members, size=len(y))
    member = ((first[:, None] + np.arange(copies)) % members).astype(np.float32).reshape(-1, 1)
    rows = np.repeat(np.arange(len(y)), copies)
    model.fit(
        [features if copies == 1 else features[rows], member],
        y[rows],
        batch_size=min(batch * members, len(rows)),
        epochs=1,
        steps_per_epoch=steps,
        sample_weight=None if weights is None else weights[rows],
        callbacks=[] if stop is None else [stop],
        verbose=0,
    )


def mean_of_members(model: Model, seed: int = 0) -> Any:
    """The mean of the members as a network of rows alone; a ``Sequential`` if there is one member.

    Args:
        model: What :func:`members_network` made, trained.
        seed: The seed of the network.
    """
    parts = [layer for layer in model.layers if isinstance(layer.description, layers.EnsembleDense)]
    described: list[Any] = [layer.description for layer in parts]
    *hidden, last = described
    *weights, (kernels, biases) = [layer.get_weights() for layer in parts]
    n_features = weights[0][0].shape[1] if hidden else kernels.shape[1] // last.units
    made = []
    for i in range(last.members):
        stack = [layers.Dense(layer.units, layer.activation) for layer in (*hidden, last)]
        plain = Sequential([layers.Input((n_features,)), *stack], seed=seed)
        own = [(r[i][:, None] * kernel * s[i], bias[i]) for r, kernel, s, bias in weights]
        own.append((kernels[i].reshape(last.units, -1).T, biases[i]))
        plain.set_weights([weight for pair in own for weight in pair])
        made.append(plain)
    if len(made) == 1:
        return made[0]
    x = layers.Input((n_features,))
    return Model(x, layers.Average()([plain(x) for plain in made]), seed=seed)
