"""A build whose model is described in all its parts; other processes import it, which they could not do with a test."""

import fastreg as fr
from fastreg import layers, optimizers, regularizers
from fastreg.search.folds.model_fingerprint import Fingerprint


class Silent:
    """An object without a text of its own."""


def build(params):
    hidden = layers.Dense(params["units"], "relu", kernel_regularizer=regularizers.L2(1e-3))
    model = fr.Sequential([hidden, layers.Dense(1, "sigmoid")])
    model.compile(optimizers.Adam(lambda step: 0.1 / (1 + step)), "binary_crossentropy", ["accuracy"])
    return model, {"class_weight": {0: 1.0, 1: 2.0}}


def mark(units=3):
    """The fingerprint of its model, whose accuracy is scored."""
    model, arguments = build({"units": units})
    return Fingerprint().of(model, arguments, {}, {"accuracy": model.metrics[0]})


def odd():
    """The fingerprint of what other processes may write in another order, or at another address."""
    return Fingerprint().of(None, {"set": {"a", "b", "c", "d"}, "object": Silent(), "function": lambda x: x})
