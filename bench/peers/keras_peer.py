"""Keras on the JAX backend, as in its tutorials: `Sequential.fit` and `predict_on_batch`."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
from workloads import Floats, Labels, Layer, Network

from peers.base import Peer, Prediction, Trainer


def build(net: Network, weights: list[Layer]) -> Any:
    model = keras.Sequential([keras.Input((net.sizes[0],))])
    for index, (_, units) in enumerate(net.shapes):
        l1, l2 = net.l1_of(index), net.l2_of(index)
        penalty = keras.regularizers.L1L2(l1, l2) if l1 or l2 else None
        last = index + 1 == len(net.shapes)
        head = "sigmoid" if net.binary else "softmax"
        model.add(keras.layers.Dense(units, activation=head if last else "relu", kernel_regularizer=penalty))
        if not last and net.batch_norm:
            model.add(keras.layers.BatchNormalization(epsilon=net.bn_epsilon, momentum=net.bn_momentum))
        if not last and net.dropout:
            model.add(keras.layers.Dropout(net.dropout))
    with_weights = [layer for layer in model.layers if layer.get_weights()]
    groups = [group for w in weights for group in ([w.kernel, w.bias], list(w.norm)) if group]
    for layer, group in zip(with_weights, groups, strict=True):
        layer.set_weights(group)
    return model


class KerasTrainer:
    def __init__(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> None:
        keras.utils.set_random_seed(0)
        self.net, self.x, self.y, self.model = net, x, y, build(net, weights)
        # The 1-D label of a binary network would be broadcast against (n, 1) by some backends.
        self.targets = y[:, None] if net.binary else y
        adam = {"beta_1": net.beta_1, "beta_2": net.beta_2, "epsilon": net.epsilon}
        if net.sgd:
            optimizer = keras.optimizers.SGD(net.learning_rate)
        elif net.weight_decay:
            optimizer = keras.optimizers.AdamW(net.learning_rate, weight_decay=net.weight_decay, **adam)
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        else:
            optimizer = keras.optimizers.Adam(net.learning_rate, **adam)
        self.model.compile(optimizer, "binary_crossentropy" if net.binary else "sparse_categorical_crossentropy")

    def run(self, epochs: int, shuffle: bool = True) -> int:
        self.model.fit(self.x, self.targets, batch_size=self.net.batch, epochs=epochs, shuffle=shuffle, verbose=0)
        return epochs * len(self.x)

    def weights(self) -> list[Layer]:
        layers: list[Layer] = []
        for layer in self.model.layers:
            values = layer.get_weights()
            if isinstance(layer, keras.layers.Dense):
                layers.append(Layer(*values))
            elif isinstance(layer, keras.layers.BatchNormalization):
                layers[-1].norm = tuple(values)
        return layers

    def predict(self, x: Floats) -> Floats:
        return np.asarray(self.model.predict(x, verbose=0, batch_size=4096))


class Keras(Peer):
    label, package, differs = "Keras", "keras", frozenset({"adam"})
    notes: ClassVar = {"train": "fit, JAX backend", "predict": "predict_on_batch, JAX backend"}

    def version(self) -> str:
        return f"Keras {keras.__version__} ({keras.backend.backend()})"

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        return KerasTrainer(net, weights, x, y)

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        model = build(net, weights)
        return Prediction(lambda rows: np.asarray(model.predict_on_batch(rows)), x)
