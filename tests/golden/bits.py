"""Prints one hash for each of many trainings: `python tests/golden/bits.py > bits.txt`, before and after a change.

If a change must not alter results, every line must stay the same (`diff` of the two files). The hashes depend on the
instruction set (`FASTREG_ISA`) and the compiler, so they are compared between two builds on one machine and are not
kept in the repository. Each hash covers weights, moving statistics, the history, an evaluation, predictions, and those
of the frozen network.
"""
from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import fastreg as fr
from fastreg import layers, optimizers, regularizers, schedules
from programs import blobs, line

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda **clip: optimizers.SGD(0.05, **clip),
    "momentum": lambda **clip: optimizers.SGD(0.02, momentum=0.9, **clip),
    "nesterov": lambda **clip: optimizers.SGD(0.02, momentum=0.9, nesterov=True, **clip),
    "adam": lambda **clip: optimizers.Adam(0.01, **clip),
    "adam-short": lambda **clip: optimizers.Adam(0.01, beta_1=0.3, beta_2=0.4, **clip),
    "adamw": lambda **clip: optimizers.AdamW(schedules.CosineDecay(0.01, 30), weight_decay=0.05, **clip),
    "rmsprop": lambda **clip: optimizers.RMSprop(0.005, **clip),
}
PENALTIES: dict[str, Any] = {
    "none": None, "l1": regularizers.L1(0.001), "l2": regularizers.L2(0.01), "l1l2": regularizers.L1L2(0.001, 0.01),
}
CLIPS: dict[str, dict[str, float]] = {
    "none": {}, "value": {"clipvalue": 0.01}, "norm": {"clipnorm": 0.1}, "global": {"global_clipnorm": 0.1},
}
ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus")
# Widths of the hidden layers, of the batch, and the number of features.
SHAPES = (((1,), 1, 1), ((33,), 7, 5), ((64, 17), 32, 10), ((300, 130), 64, 130))


def trainings() -> Iterator[tuple[str, list[Any], str, Any, Any, int]]:
    """Name, layers, loss, optimizer, data and batch size of each training."""
    for (rule, optimizer), (penalty, regularizer), (clip, clipping) in product(
            OPTIMIZERS.items(), PENALTIES.items(), CLIPS.items()):
        stack = [layers.Dense(19, "relu", kernel_regularizer=regularizer), layers.BatchNormalization(),
                 layers.Dropout(0.3), layers.Dense(3, "softmax")]
        yield (f"{rule} {penalty} {clip}", stack, "sparse_categorical_crossentropy", optimizer(**clipping),
               blobs(90, 6, 3), 16)
    for activation, (widths, batch, features) in product(ACTIVATIONS, SHAPES):
        stack = [layers.Dense(width, activation) for width in widths]
        yield (f"{activation} {widths}", [*stack, layers.Dense(2)], "mse", optimizers.Adam(0.003),
               line(150, features, 2), batch)
    yield ("proximal sgd", [layers.Dense(8, "relu", kernel_regularizer=regularizers.L1(0.01, proximal=True)),
                            layers.Dense(1, "sigmoid")], "binary_crossentropy", optimizers.SGD(0.05),
           blobs(100, 7, 2), 10)
    yield ("proximal adam", [layers.Dense(8, "tanh", kernel_regularizer=regularizers.L1(0.01, proximal=True)),
                             layers.Dense(1, "sigmoid")], "binary_crossentropy", optimizers.Adam(0.01),
           blobs(100, 7, 2), 10)


def digest(stack: list[Any], loss: str, optimizer: Any, data: Any, batch: int) -> str:
    """Trains with validation and hashes everything that comes of it."""
    x, y = data
    model = fr.Sequential(stack, seed=3)
    metrics = ["mse", "mae"] if loss == "mse" else ["accuracy"]
    model.compile(optimizer, loss, metrics)
    history = model.fit(x, y, batch_size=batch, epochs=4, validation_split=0.2, verbose=0).history
    found = hashlib.sha256()
    for weight in model.get_weights():
        found.update(np.ascontiguousarray(weight).tobytes())
    for values in (*history.values(), model.evaluate(x, y, verbose=0), model.predict(x), model.freeze()(x)):
        found.update(np.asarray(values).tobytes())
    return found.hexdigest()[:16]


def main() -> None:
    for name, *training in trainings():
        print(digest(*training), name)


if __name__ == "__main__":
    main()
