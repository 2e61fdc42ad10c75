"""fastreg through its public interface: `fit`, `ops.Updater`, `freeze()` and, beside it, `predict`."""

from __future__ import annotations

from typing import Any, ClassVar

import fastreg as fr
import numpy as np
from fastreg import _core, layers, ops, optimizers, regularizers
from workloads import Floats, Labels, Layer, Network, Update

from peers.base import Peer, Prediction, Trainer, Unsupported, Updater


def build(net: Network, weights: list[Layer]) -> fr.Sequential:
    stack: list[Any] = []
    for index, (_, units) in enumerate(net.shapes):
        last = index + 1 == len(net.shapes)
        head = "sigmoid" if net.binary else "softmax"
        penalty = regularizers.L1L2(l1=net.l1_of(index), l2=net.l2_of(index))
        stack.append(layers.Dense(units, activation=head if last else "relu", kernel_regularizer=penalty))
        if not last and net.batch_norm:
            stack.append(layers.BatchNormalization(momentum=net.bn_momentum, epsilon=net.bn_epsilon))
        if not last and net.dropout:
            stack.append(layers.Dropout(net.dropout))
    model = fr.Sequential(stack, seed=0)
    adam = {"beta_1": net.beta_1, "beta_2": net.beta_2, "epsilon": net.epsilon}
    optimizer: optimizers.Optimizer
    if net.sgd:
        optimizer = optimizers.SGD(net.learning_rate)
    elif net.weight_decay:
        optimizer = optimizers.AdamW(net.learning_rate, weight_decay=net.weight_decay, **adam)
    else:
        optimizer = optimizers.Adam(net.learning_rate, **adam)
    model.compile(optimizer=optimizer, loss="binary_crossentropy" if net.binary else "sparse_categorical_crossentropy")
    model.build(net.sizes[0])
    model.set_weights([array for layer in weights for array in layer.arrays()])
    return model


class FastregTrainer:
    def __init__(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> None:
        self.net, self.x, self.y, self.model = net, x, y, build(net, weights)

    def run(self, epochs: int, shuffle: bool = True) -> int:
        self.model.fit(self.x, self.y, batch_size=self.net.batch, epochs=epochs, shuffle=shuffle, verbose=0)
        return epochs * len(self.x)

    def weights(self) -> list[Layer]:
        source = iter(self.model.get_weights())
        hidden = len(self.net.shapes) - 1
        taken = [
            [next(source) for _ in range(6 if self.net.batch_norm and i < hidden else 2)] for i in range(hidden + 1)
        ]
        return [Layer(kernel, bias, tuple(norm)) for kernel, bias, *norm in taken]

    def predict(self, x: Floats) -> Floats:
        return self.model.predict(x)


class FastregUpdater:
    def __init__(self, rule: Update, w: Floats) -> None:
        adam = {"beta_1": rule.beta_1, "beta_2": rule.beta_2, "epsilon": rule.epsilon}
        rate = rule.learning_rate
        optimizer = {
            "sgd": lambda: optimizers.SGD(rate),
            "rmsprop": lambda: optimizers.RMSprop(rate, rho=rule.beta_2, epsilon=rule.epsilon),
            "adam": lambda: optimizers.Adam(rate, **adam),
            "adamw": lambda: optimizers.AdamW(rate, weight_decay=rule.weight_decay, **adam),
        }[rule.rule]()
        self._updater = ops.Updater(optimizer, w, l1=rule.l1, l2=rule.l2)
        self._w = w

    def set_gradient(self, g: Floats) -> None:
        self._g = g

    def step(self) -> None:
        self._updater.step(self._g)

    def finish(self) -> None:
        pass

    def parameters(self) -> Floats:
        return self._w


class Fastreg(Peer):
    label, package = "fastreg", "fastreg"
    notes: ClassVar = {"train": "fit", "update": "ops.Updater.step", "predict": "freeze(), out="}

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        fr.set_num_threads(threads)

    def version(self) -> str:
        return f"fastreg {fr.__version__} ({_core.active_isa()})"

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        return FastregTrainer(net, weights, x, y)

    def updater(self, rule: Update, w: Floats) -> Updater:
        return FastregUpdater(rule, w)

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        model = build(net, weights)
        if not hasattr(model, "freeze"):
            raise Unsupported("this version has no freeze()")
        frozen = model.freeze()
        out = np.empty((len(x), net.sizes[-1]), np.float32)
        return Prediction(frozen, x, out)


class FastregPredict(Fastreg):
    label = "fastreg, predict"
    notes: ClassVar = {"predict": "Sequential.predict"}

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        raise Unsupported("is the same as fastreg")

    def updater(self, rule: Update, w: Floats) -> Updater:
        raise Unsupported("is the same as fastreg")

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        return Prediction(build(net, weights).predict, x)
