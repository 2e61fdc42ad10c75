"""``CoreModel``: what a model is, without a face: layers, weights, and how it is trained.

It holds descriptions and two objects of the core: the network (weights), which ``build`` makes, and the trainer (the
state of the optimizer), which the first ``fit`` or ``evaluate`` after ``compile`` makes. It is public within the
package: ``fitting.py`` trains one, ``files.py`` writes and reads one, ``views.py`` shows parts of one, and
``Sequential`` is a face over one. It knows nothing of them, nor of files.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from numpy.typing import ArrayLike

from fastreg import _core, losses, optimizers, utils
from fastreg import metrics as _metrics
from fastreg.data import arrays
from fastreg.data.frames import Names
from fastreg.internal.checks import NON_NEGATIVE, POSITIVE, SEED_LIMIT, check_int, check_name, check_real, describe
from fastreg.internal.forks import Lock
from fastreg.layers import Input, Layer
from fastreg.losses import Loss
from fastreg.metrics import Metric
from fastreg.optimizers import LearningRate, Optimizer


class NotCompiledError(ValueError, AttributeError):
    """A property has no value before ``compile``; ``hasattr`` and what lists members go on."""


class CoreModel:
    """Layers, weights, and how they are trained.

    Args:
        name: What the model is called; None is "sequential".
        seed: In [0, 2**64); None draws one.

    Attributes:
        name: The name.
        seed: Decides initial weights, shuffling, dropout and the rows of ``validation_split``.
        layers: The descriptions of the layers.
        n_features: Number of features; None before it is known.
        network: The weights; None before they are made.
        trainer: The state of the optimizer; None before it is made.
        optimizer: What ``compile`` was given, the learning rate as last set; None before.
        loss: What ``compile`` was given; None before, and where it was given none.
        metrics: What ``compile`` was given.
        feature_names: The names of the columns of the first frame that the model was fitted on.
        spreads_known: Whether a warning about the spreads of the features would come too late, or is another's
            business.
        fit_lock: Held during a fit. Others do not wait for it, they raise.
    """

    def __init__(self, name: str | None, seed: int | None) -> None:
        self.name = "sequential" if name is None else check_name("Sequential", "name", name)
        given = utils.draw_seed() if seed is None else seed
        self.seed = check_int("Sequential", "seed", given, NON_NEGATIVE, SEED_LIMIT)
        self.layers: tuple[Layer, ...] = ()
        self.n_features: int | None = None
        self.network: _core.Network | None = None
        self.trainer: _core.Trainer | None = None
        self.optimizer: Optimizer | None = None
        self.loss: Loss | None = None
        self.metrics: tuple[str | Metric, ...] = ()
        self.feature_names: Names | None = None
        self.spreads_known = False
        self._make_locks()

    def _make_locks(self) -> None:
        self.fit_lock = Lock()
        self._making = Lock()  # while the network or the trainer is made

    # Layers and weights.

    @property
    def built(self) -> bool:
        """Whether there are weights: there are layers, and the number of features is known."""
        return self.n_features is not None and bool(self.layers)

    def append(self, parts: Iterable[object]) -> None:
        """Appends layers, or an ``Input`` in front of all. Weights that are there stay; the optimizer starts afresh."""
        extended, features = list(self.layers), self.n_features
        width = _width(extended, features)
        for part in parts:
            if isinstance(part, Input):
                if extended or features is not None:
                    raise ValueError("Sequential: Input must come first, and once")
                features = width = part.shape[0]
                continue
            if not isinstance(part, Layer):
                hint = "; did you forget the parentheses?" if isinstance(part, type) else ""
                raise TypeError(f"Sequential: expected a layer, got {describe(part)}{hint}")
            if part.input_shape is not None:
                said = part.input_shape[0]
                if width not in (None, said):
                    raise ValueError(f"Sequential: layer {len(extended)} is to take {said} features, but gets {width}")
                if not extended:
                    features = width = said
            width = part.outputs(width)
            extended.append(part)
        layer_names(extended)
        self._replace_layers(tuple(extended))
        self.n_features = features

    def pop(self) -> None:
        """Removes the last layer. The other weights stay; the optimizer starts afresh."""
        if not self.layers:
            raise ValueError("pop: the model has no layers")
        self._replace_layers(self.layers[:-1])

    def _replace_layers(self, layers: tuple[Layer, ...]) -> None:
        before, old = self.layers, self.network
        self.layers, self.network = layers, None
        if old is not None and self.n_features is not None and layers:
            try:
                network = self.build(self.n_features)
                kept, fresh = old.get_weights(), network.get_weights()
                n = min(len(kept), len(fresh))
                network.set_weights([*kept[:n], *fresh[n:]])
            except BaseException:  # the trained weights must not be lost
                self.layers, self.network = before, old
                raise
        self.trainer = None

    def build(self, n_features: int) -> _core.Network:
        """The network for so many features, made if it is not there."""
        self.require_layers("build")
        if self.n_features not in (None, n_features):
            raise ValueError(f"build: the model takes {self.n_features} features, got {n_features}")
        if (network := self.network) is not None:
            return network
        with self._making:
            if self.network is None:
                self.network = _core.Network(json.dumps(self.description(n_features)))
                self.n_features = n_features
            return self.network

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets all weights, in the order and the shapes in which the network has them."""
        network = self.require_network("set_weights")
        network.set_weights(arrays.network_weights(weights, network.weight_info(), "set_weights"))

    def n_outputs(self, n_features: int) -> int:
        """Width of the output for so many features."""
        return _width(self.layers, n_features) or n_features

    def weight_count(self, n_features: int) -> int:
        """Number of weights for so many features, without making them."""
        width, count = n_features, 0
        for layer in self.layers:
            count += layer.weight_count(width)
            width = layer.outputs(width) or width
        return count

    # Training.

    def compile(self, optimizer: object, loss: object, metrics: Iterable[Metric | str] | str | None) -> None:
        """Says how to train. Weights stay; moments, step count and epoch count start afresh."""
        chosen = optimizers.get(optimizer, "compile: optimizer")
        chosen_loss = None if loss is None else losses.get(loss, "compile: loss")
        entries = _metrics.listed(metrics)
        self.optimizer, self.loss, self.metrics, self.trainer = chosen, chosen_loss, entries, None

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Setting it, within a callback or outside of ``fit``, replaces a schedule."""
        if self.optimizer is None:
            raise NotCompiledError("learning_rate: the model is not compiled; call compile first")
        return self.optimizer.rate_at(0 if self.trainer is None else self.trainer.step)

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        optimizer = self.require_optimizer("learning_rate")
        if self.fit_lock.locked() and self.trainer is not None:
            value = check_real("learning_rate", "the value", value, POSITIVE)
            self.trainer.set_learning_rate(value)
        self.optimizer = replace(optimizer, learning_rate=value)

    def resolved_metrics(self, n_features: int | None = None) -> list[Metric]:
        """The metrics, names settled: of ``"accuracy"`` the one that fits loss and outputs."""
        loss = self.require_loss("metrics")
        return _metrics.resolve(self.metrics, loss, self.n_outputs(n_features or self.n_features or 1))

    def trainer_for(self, n_features: int | None) -> _core.Trainer:
        """The trainer, made if it is not there, and the network too where the number of features is given."""
        network = self.require_network("fit") if n_features is None else self.build(n_features)
        if (trainer := self.trainer) is not None:
            return trainer
        with self._making:
            if self.trainer is None:
                self.trainer = _core.Trainer(network, json.dumps(self.training_description(for_file=False)))
            return self.trainer

    # What a call needs.

    def require_idle(self, call: str) -> None:
        """Raises RuntimeError within a callback, and while another thread fits the model."""
        if self.fit_lock.locked():
            raise RuntimeError(f"{call}: not within a callback, nor while another thread fits the model")

    def require_layers(self, call: str) -> None:
        """Raises ValueError where there are no layers."""
        if not self.layers:
            raise ValueError(f"{call}: the model has no layers")

    def require_network(self, call: str) -> _core.Network:
        """The network. Raises ValueError where the number of features is not known."""
        if self.network is not None:
            return self.network
        self.require_layers(call)
        if not self.built or self.n_features is None:
            raise ValueError(f"{call}: the model is not built; call build or fit first, or give it an Input")
        return self.build(self.n_features)

    def require_optimizer(self, call: str) -> Optimizer:
        """The optimizer. Raises ValueError before ``compile``."""
        if self.optimizer is None:
            raise ValueError(f"{call}: the model is not compiled; call compile first")
        return self.optimizer

    def require_loss(self, call: str) -> Loss:
        """The loss. Raises ValueError before ``compile``, and where it was given none."""
        self.require_optimizer(call)
        if self.loss is None:
            raise ValueError(f"{call}: the model was compiled without a loss; give compile one")
        return self.loss

    # JSON and pickles.

    def description(self, n_features: int) -> dict[str, Any]:
        """The JSON form of the network, as C++ and files have it."""
        return {
            "format": 1,
            "fastreg": _core.__version__,
            "name": self.name,
            "n_features": n_features,
            "seed": self.seed,
            "layers": [layer.to_config() for layer in self.layers],
        }

    def training_description(self, *, for_file: bool) -> dict[str, Any]:
        """The JSON form of what ``compile`` was given, as C++ and files have it."""
        optimizer = self.require_optimizer("fit")
        return {
            "format": 1,
            "loss": self.require_loss("fit").to_config(),
            "optimizer": optimizer.to_config() if for_file else optimizer.core_config(),
            "metrics": [metric.to_config() for metric in self.resolved_metrics()],
        }

    def __getstate__(self) -> dict[str, Any]:
        """Descriptions and numbers, without the objects of the core and the locks.

        Raises:
            RuntimeError: Within a callback, or while another thread fits the model.
        """
        self.require_idle("pickle")
        state = self.__dict__ | {"network": None, "trainer": None}
        del state["fit_lock"], state["_making"]
        if self.network is not None:
            state["network"] = self.network.get_weights()
        if self.trainer is not None:
            state["trainer"] = (self.trainer.step, self.trainer.epoch, self.trainer.get_moments())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights, training = state["network"], state["trainer"]
        self.__dict__.update(state, network=None, trainer=None)
        self._make_locks()
        if weights is not None:
            self.require_network("unpickle").set_weights(weights)
        if training is not None:
            trainer = self.trainer_for(None)
            trainer.step, trainer.epoch, moments = training
            trainer.set_moments(moments)


def core_of(model: object) -> CoreModel:
    """The core of a face."""
    return cast(CoreModel, cast(Any, model)._core)


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """A name for every layer: its own, or one after its class (``dense``, ``dense_1``) that no other has.

    Raises:
        ValueError: If two layers were given the same name.
    """
    given: set[str] = set()
    for layer in layers:
        if layer.name in given:
            raise ValueError(f"Sequential: names of layers must differ, got {layer.name!r} twice")
        if layer.name is not None:
            given.add(layer.name)
    names: list[str] = []
    used: dict[type[Layer], Iterator[str]] = {}
    for layer in layers:
        free = used.setdefault(type(layer), _names_after(type(layer)))
        names.append(layer.name or next(name for name in free if name not in given))
    return names


def _names_after(kind: type[Layer]) -> Iterator[str]:
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
    yield stem
    for count in itertools.count(1):
        yield f"{stem}_{count}"


def _width(layers: Sequence[Layer], n_features: int | None) -> int | None:
    width = n_features
    for layer in layers:
        width = layer.outputs(width)
    return width
