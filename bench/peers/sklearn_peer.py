"""scikit-learn's MLPClassifier: no batch normalisation, no dropout, L2 only, so its training does less work."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier
from workloads import Floats, Labels, Layer, Network, folded

from peers.base import Peer, Prediction, Trainer


class SklearnTrainer:
    """Each run is a fit of its own, from new weights."""

    def __init__(self, net: Network, x: Floats, y: Labels) -> None:
        self.x, self.y = x, y
        # Its penalty is alpha / 2 * |w|^2 / (rows of the batch).
        self.model = MLPClassifier(
            net.sizes[1:-1],
            solver="sgd" if net.sgd else "adam",
            learning_rate_init=net.learning_rate,
            batch_size=net.batch,
            alpha=2 * net.l2 * net.batch,
            random_state=0,
            tol=0,
            n_iter_no_change=10**6,
        )

    def run(self, epochs: int, shuffle: bool = True) -> int:
        self.model.set_params(max_iter=epochs, shuffle=shuffle).fit(self.x, self.y)
        return epochs * len(self.x)

    def weights(self) -> list[Layer]:
        return [Layer(k, b) for k, b in zip(self.model.coefs_, self.model.intercepts_, strict=True)]

    def predict(self, x: Floats) -> Floats:
        return np.asarray(self.model.predict_proba(x))


class Sklearn(Peer):
    label, package, differs = "scikit-learn", "sklearn", frozenset({"network"})
    notes: ClassVar = {"train": "no batch normalisation, no dropout, L2 only", "predict": "predict_proba, folded"}

    def version(self) -> str:
        return f"scikit-learn {sklearn.__version__}"

    def trainer(self, net: Network, weights: list[Layer], x: Floats, y: Labels) -> Trainer:
        return SklearnTrainer(net, x, y)

    def predictor(self, net: Network, weights: list[Layer], x: Floats) -> Prediction:
        classes = max(2, net.sizes[-1])
        model = MLPClassifier(net.sizes[1:-1], max_iter=1, batch_size=classes)
        rows = np.random.default_rng(0).standard_normal((classes, net.sizes[0]), dtype=np.float32)
        model.fit(rows, np.arange(classes))
        plain = folded(net, weights)
        model.coefs_, model.intercepts_ = [layer.kernel for layer in plain], [layer.bias for layer in plain]
        return Prediction(model.predict_proba, x)
