"""What RealMLP's estimators train: the network of each published form, its encoding, and which epoch is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks, optimizers
from fastreg.internal.progress import Progress
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential
from fastreg.sklearn.realmlp_encoding import ApartEncoding, RealMLPEncoding
from fastreg.table.realmlp import realmlp_layers, realmlp_optimizer
from fastreg.table.realmlp_td import LARGEST_ONE_HOT, Widths, begun

__all__ = ["FORMS", "BestEpoch", "EpochLines", "Inputs", "compiled_parts", "encoding_of"]

#: The names of the forms: the simple one and the full one.
FORMS = ("TD-S", "TD")
# The features of rows, or several matrices of them.
Inputs = NDArray[np.float32] | list[NDArray[np.float32]]

# The largest seed that is drawn from a RandomState, and what Adam adds to the root of the second moment.
_SEEDS, _EPSILON = 2**31 - 1, 1e-8


class BestEpoch(callbacks.Callback):
    """Keeps the weights of the last one of the best epochs, and puts them back at the end.

    Args:
        judge: Gives the score of an epoch, greater is better, from its logs and the model.
    """

    def __init__(self, judge: Callable[[callbacks.Logs, Any], float]) -> None:
        self._judge = judge
        self.scores: list[float] = []
        self.epoch = 0

    def on_epoch_end(self, epoch: int, logs: callbacks.Logs | None = None) -> None:
        """Compares the epoch with the best one."""
        score = self._judge(logs or {}, self.model)
        if not self.scores or score >= max(self.scores):
            self.epoch = epoch
            self._weights = self.model.get_weights()
        self.scores.append(score)

    def on_train_end(self, logs: callbacks.Logs | None = None) -> None:
        """Puts the weights back."""
        self.model.set_weights(self._weights)


class EpochLines(callbacks.Callback):
    """Writes the line of each epoch that ``fit`` would write, with the score by which the epoch was judged.

    ``fit`` writes its line before callbacks judge an epoch, so it has no score that they compute.

    Args:
        best: What judges the epochs; its scores are negative losses. It comes first in the list of callbacks.
        epochs: The number of epochs.
        rows: The number of rows that are trained on.
    """

    def __init__(self, best: BestEpoch, epochs: int, rows: int) -> None:
        self._best, self._epochs, self._rows = best, epochs, rows

    def on_train_begin(self, logs: callbacks.Logs | None = None) -> None:
        """Starts the clock."""
        self._progress = Progress(2, 0, self._epochs, self._rows)

    def on_epoch_end(self, epoch: int, logs: callbacks.Logs | None = None) -> None:
        """Writes a line."""
        self._progress.epoch_ended(epoch, {**(logs or {}), "val_loss": -self._best.scores[-1]})


def encoding_of(form: str, owner: str, categorical: Sequence[int], names: Sequence[Any]) -> RealMLPEncoding:
    """The encoding of a form, yet to be fitted; arguments as those of :class:`RealMLPEncoding`."""
    if form == "TD":
        return ApartEncoding(LARGEST_ONE_HOT, owner, categorical, names)
    return RealMLPEncoding(owner, categorical, names)


def compiled_parts(
    form: str,
    encoding: RealMLPEncoding,
    features: Inputs,
    hidden: Sequence[int],
    activation: Any,
    units: int,
    output: str,
    rate: float,
    random: np.random.RandomState,
) -> tuple[Model, optimizers.AdamW]:
    """The network of a form, whose weights are as they begin, and its optimizer.

    Args:
        form: One of :data:`FORMS`.
        encoding: The fitted encoding.
        features: The training rows, encoded.
        hidden: The units of each hidden layer.
        activation: The activation of the hidden layers.
        units: The number of outputs.
        output: The activation of the last layer.
        rate: The height of the waves of the learning rate.
        random: What the seed is drawn from, and in the full form the biases.
    """
    if isinstance(encoding, ApartEncoding):
        widths = Widths(*encoding.widths)
        return begun(widths, list(features), hidden, activation, units, output, rate, random)
    seed = int(random.randint(_SEEDS))
    layers = realmlp_layers(hidden, activation, np.shape(features)[1], units, output)
    return Sequential(layers, seed=seed), realmlp_optimizer(rate, epsilon=_EPSILON)
