"""Networks with two inputs and two outputs, and one with a single one of each, with data for them."""

from __future__ import annotations

import fastreg as fr
import numpy as np
from fastreg import layers

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(60, 4)).astype(np.float32), RNG.normal(size=(60, 3)).astype(np.float32)
VALUES, LABELS = RNG.normal(size=(60, 2)).astype(np.float32), RNG.integers(0, 3, 60)


def built(inputs="list", outputs="list", **options):
    """Two inputs, a and b; two outputs, values and classes."""
    a, b = fr.Input((4,), name="a"), fr.Input((3,), name="b")
    both = layers.Concatenate()([layers.Dense(5, "relu")(a), b])
    shared = layers.Dense(6, "tanh")(both)
    values, classes = layers.Dense(2, name="values")(shared), layers.Dense(3, "softmax", name="classes")(shared)
    given = [a, b] if inputs == "list" else {"a": a, "b": b}
    made = [values, classes] if outputs == "list" else {"v": values, "c": classes}
    return fr.Model(given, made, seed=1, **options)


def compiled(inputs="list", outputs="list", **options):
    model = built(inputs, outputs)
    first, second = model.output_names
    usual = {"loss": {first: "mse", second: "sparse_categorical_crossentropy"}, "metrics": {second: "accuracy"}}
    model.compile("adam", **{**usual, **options})
    return model


def single(**options):
    start = fr.Input((4,))
    hidden = layers.Dense(8, "tanh")(start)
    return fr.Model(start, layers.Dense(2)(layers.Add()([hidden, layers.Dense(8)(hidden)])), seed=1, **options)
