"""``CoreModel``: layers, weights and training settings of a model, without the interface for users.

It holds descriptions and two objects of the core: the network (weights), which ``build`` makes, and the trainer (the
state of the optimizer), which the first ``fit`` or ``evaluate`` after ``compile`` makes. It is public within the
package: ``fitting.py`` trains one, ``files.py`` writes and reads one, ``views.py`` shows parts of one, and
``Model`` and ``Sequential`` are faces over one. It knows nothing of them, nor of files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, cast

from numpy.typing import ArrayLike

from fastreg import _core, losses, optimizers
from fastreg import metrics as _metrics
from fastreg.data import arrays
from fastreg.internal.checks import NON_NEGATIVE, POSITIVE, SEED_LIMIT, check_int, check_name, check_real, describe
from fastreg.internal.dataclasses import replace
from fastreg.internal.forks import Lock
from fastreg.internal.layer_base import Join
from fastreg.layers import Input, Layer, Residual
from fastreg.losses import Loss
from fastreg.metrics import Metric
from fastreg.model import graphs
from fastreg.model.graphs import Graph, layer_names
from fastreg.model.outputs import by_output, check_weights, log_keys
from fastreg.optimizers import LearningRate, Optimizer
from fastreg.schedules.base import RunLength
from fastreg.utils.seeds import draw_seed

__all__ = ["CoreModel", "NotCompiledError", "core_of", "layer_names"]


class NotCompiledError(ValueError, AttributeError):
    """The error of a property that has no value before ``compile``. ``hasattr`` treats it as a missing attribute."""


class CoreModel:
    """Layers, weights, and how they are trained.

    Args:
        name: The name of the model; None means "sequential", or "functional" with a graph.
        seed: An integer in [0, 2**64); None draws one.
        layers: The layers that ``graph`` connects; must be empty without a graph.
        graph: The connections of the layers, which do not change. None is a chain, which :meth:`append` and :meth:`pop`
            change.

    Attributes:
        name: The name.
        seed: The seed of initial weights, shuffling, dropout and the rows of ``validation_split``.
        layers: The descriptions of the layers.
        graph: The connections of the layers; None for a chain.
        n_features: The number of features of the first input; None before it is known.
        network: The weights; None before they are created.
        trainer: The state of the optimizer; None before it is created.
        optimizer: The optimizer, with the learning rate as last set; None before ``compile``.
        losses: The loss of each output; empty before ``compile`` and if it was given none.
        loss_weights: The weight of each output's loss; None if all are 1.
        metrics: The metrics of each output, as ``compile`` was given them.
        feature_names: The names of the columns of the first frame that the model was fitted on; with several inputs
            a tuple of those of each, with None for an input that was not such a frame.
        spreads_known: Whether the warning about the spreads of the features is no longer needed.
        run_length: The length of the last run, which turns a schedule in epochs into one in steps; None before a fit.
        fit_lock: Is held during a fit. Other calls do not wait for it, but raise an error.
    """

    def __init__(
        self, name: str | None, seed: int | None, layers: tuple[Layer, ...] = (), graph: Graph | None = None
    ) -> None:
        self.owner = "Sequential" if graph is None else "Model"
        usual = "sequential" if graph is None else "functional"
        self.name = usual if name is None else check_name(self.owner, "name", name)
        given = draw_seed() if seed is None else seed
        self.seed = check_int(self.owner, "seed", given, NON_NEGATIVE, SEED_LIMIT)
        self.layers, self.graph = layers, graph
        self.n_features: int | None = None if graph is None else graph.inputs[0][1]
        self.network: _core.Network | None = None
        self.trainer: _core.Trainer | None = None
        self.optimizer: Optimizer | None = None
        self.losses: tuple[Loss, ...] = ()
        self.loss_weights: tuple[float, ...] | None = None
        self.metrics: tuple[tuple[str | Metric, ...], ...] = ()
        self.feature_names: Any = None
        self.spreads_known = False
        self.run_length: RunLength | None = None
        self._make_locks()

    def _make_locks(self) -> None:
        self.fit_lock = Lock()
        self._making = Lock()  # is held while the network or the trainer is created

    # Layers and weights.

    @property
    def built(self) -> bool:
        """Whether there are weights: there are layers, and the number of features is known."""
        return self.n_features is not None and bool(self.layers)

    def append(self, parts: Iterable[object]) -> None:
        """Appends layers, or an ``Input`` before all others. Existing weights are kept; the optimizer is reset."""
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
            if isinstance(part, Join):
                raise ValueError(
                    f"Sequential: layer {len(extended)} must have one input, got {describe(part)}; Residual adds a "
                    "chain's input to its output, and Model connects layers in any way"
                )
            if part.input_shape is not None:
                said = part.input_shape[0]
                if width not in (None, said):
                    raise ValueError(f"Sequential: layer {len(extended)} is to take {said} features, but gets {width}")
                if not extended:
                    features = width = said
            width = _width_after(part, width)
            extended.append(part)
        layer_names(extended)
        self._replace_layers(tuple(extended))
        self.n_features = features

    def pop(self) -> None:
        """Removes the last layer. The other weights are kept; the optimizer is reset."""
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

    def set_trainable(self, indices: Iterable[int], trainable: bool) -> None:
        """Sets whether these layers are trained, from the next step on.

        Weights, step and epoch are kept, and so are the moments of weights that are trained before and after.
        """
        layers = list(self.layers)
        for index in indices:
            layers[index] = layers[index].with_trainable(trainable)
        if tuple(layers) == self.layers:
            return
        before, network, trainer = self.layers, self.network, self.trainer
        self.layers, self.network, self.trainer = tuple(layers), None, None
        try:
            if network is not None:
                self.require_network("trainable").set_weights(network.get_weights())
            if trainer is not None:
                made, kept = self.trainer_for(None), trainer.get_moments()
                made.step, made.epoch = trainer.step, trainer.epoch
                made.set_moments({name: kept.get(name, fresh) for name, fresh in made.get_moments().items()})
                made.averages_shown = trainer.averages_shown
        except BaseException:  # the trained weights must not be lost
            self.layers, self.network, self.trainer = before, network, trainer
            raise

    def build(self, n_features: int) -> _core.Network:
        """The network for this number of features. It is created if it does not exist."""
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

    def weight_count(self, n_features: int) -> int:
        """The number of weights for a number of features of the first input. It does not create them."""
        _, info = _core.network_info(json.dumps(self.description(n_features)))
        return sum(math.prod(shape) for _, shape, _ in info)

    def untrained(self, seed: int | None, name: str | None = None) -> CoreModel:
        """A new model with the same layers, without weights and not compiled."""
        made = CoreModel(name, seed, self.layers if self.graph is not None else (), self.graph)
        if self.graph is None:
            made.append(self.layers)
        return made

    # Inputs and outputs.

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return ["input_layer"] if self.graph is None else [name for name, _ in self.graph.inputs]

    @property
    def output_count(self) -> int:
        """The number of outputs."""
        return 1 if self.graph is None else len(self.graph.outputs)

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs."""
        return layer_names(self.layers)[-1:] if self.graph is None else [name for name, _ in self.graph.outputs]

    def input_widths(self) -> list[int | None]:
        """The widths of the inputs; None for a width that is not known."""
        return [self.n_features] if self.graph is None else [width for _, width in self.graph.inputs]

    def output_widths(self, n_features: int) -> list[int]:
        """The widths of the outputs for a number of features of the first input."""
        if self.graph is None:
            known = self.network is not None and n_features == self.n_features
            return [self.network.n_outputs if known and self.network else _width(self.layers, n_features) or n_features]
        return [self.graph.widths[value] for _, value in self.graph.outputs]

    # Training.

    def compile(self, optimizer: object, loss: object, metrics: object, loss_weights: object = None) -> None:
        """Sets how the model is trained. Weights are kept; moments and the counts of steps and epochs are reset."""
        chosen = optimizers.get(optimizer, "compile: optimizer")
        names = self.output_names or [""]
        given = by_output("loss", loss, names)
        if loss is not None and None in given:
            missing = ", ".join(repr(name) for name, one in zip(names, given, strict=True) if one is None)
            raise ValueError(f"compile: loss must be given for every output, but is missing for {missing}")
        chosen_losses = () if loss is None else tuple(losses.get(one, "compile: loss") for one in given)
        weights = check_weights(loss_weights, names)
        entries = tuple(_metrics.listed(one) for one in by_output("metrics", metrics, names))
        if len(names) > 1 and chosen_losses:
            log_keys(names, _resolved(entries, chosen_losses, self.output_widths(self.n_features or 1)))
        self.optimizer, self.losses, self.loss_weights, self.metrics = chosen, chosen_losses, weights, entries
        self.trainer = self.run_length = None

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Setting it, within a callback or outside of ``fit``, replaces a schedule."""
        if self.optimizer is None:
            raise NotCompiledError("learning_rate: the model is not compiled; call compile first")
        return self.optimizer.rate_at(0 if self.trainer is None else self.trainer.step, self.run_length)

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        optimizer = self.require_optimizer("learning_rate")
        if self.fit_lock.locked() and self.trainer is not None:
            value = check_real("learning_rate", "the value", value, POSITIVE)
            self.trainer.set_learning_rate(value)
        self.optimizer = replace(optimizer, learning_rate=value)

    def resolved_metrics(self, n_features: int | None = None) -> list[list[Metric]]:
        """The metrics of each output, where ``"accuracy"`` is replaced by the one that fits loss and width."""
        widths = self.output_widths(n_features or self.n_features or 1)
        return _resolved(self.metrics, self.require_losses("metrics"), widths)

    def log_keys(self, n_features: int | None = None) -> dict[str, str]:
        """The keys of evaluated values in the order of the core, each with the better direction, "min" or "max"."""
        return log_keys(self.output_names if self.output_count > 1 else [""], self.resolved_metrics(n_features))

    def trainer_for(self, n_features: int | None) -> _core.Trainer:
        """The trainer. It is created if it does not exist, and so is the network if the number of features is given."""
        network = self.require_network("fit") if n_features is None else self.build(n_features)
        if (trainer := self.trainer) is not None:
            return trainer
        with self._making:
            if self.trainer is None:
                self.trainer = _core.Trainer(network, json.dumps(self.training_description(for_file=False)))
                self.require_optimizer("fit").use()
            return self.trainer

    # Requirements of calls.

    def require_idle(self, call: str) -> None:
        """Raises RuntimeError within a callback, and while another thread fits the model."""
        if self.fit_lock.locked():
            raise RuntimeError(f"{call}: not within a callback, nor while another thread fits the model")

    def require_layers(self, call: str) -> None:
        """Raises ValueError if there are no layers."""
        if not self.layers:
            raise ValueError(f"{call}: the model has no layers")

    def require_network(self, call: str) -> _core.Network:
        """The network. Raises ValueError if the number of features is not known."""
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

    def require_losses(self, call: str) -> tuple[Loss, ...]:
        """The loss of each output. Raises ValueError before ``compile`` and if it was given none."""
        self.require_optimizer(call)
        if not self.losses:
            raise ValueError(f"{call}: the model was compiled without a loss; give compile one")
        return self.losses

    # JSON and pickles.

    def description(self, n_features: int) -> dict[str, Any]:
        """The JSON form of the network, as C++ and files have it."""
        if self.graph is None and not any(isinstance(layer, Residual) for layer in self.layers):
            return {
                "format": 1,
                "fastreg": _core.__version__,
                "name": self.name,
                "n_features": n_features,
                "seed": self.seed,
                "layers": [layer.to_config() for layer in self.layers],
            }
        graph = graphs.chain(self.layers, n_features) if self.graph is None else self.graph
        return {
            "format": 2,
            "fastreg": _core.__version__,
            "model": {"type": self.owner, "inputs": graph.input_form, "outputs": graph.output_form},
            "name": self.name,
            "seed": self.seed,
            **graphs.to_config(self.layers, graph),
        }

    def training_description(self, *, for_file: bool) -> dict[str, Any]:
        """The JSON form of what ``compile`` was given, as C++ and files have it."""
        optimizer = self.require_optimizer("fit")
        chosen = [loss.to_config() for loss in self.require_losses("fit")]
        metrics = [[metric.to_config() for metric in found] for found in self.resolved_metrics()]
        several = len(chosen) > 1 or self.loss_weights is not None
        weights = {} if self.loss_weights is None else {"loss_weights": list(self.loss_weights)}
        return {
            "format": 1,
            "loss": chosen if several else chosen[0],
            **weights,
            "optimizer": optimizer.to_config() if for_file else self._optimizer_of_the_core(optimizer),
            "metrics": metrics if several else metrics[0],
        }

    def _optimizer_of_the_core(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimizer's JSON form for the core, which knows layers by their numbers only."""
        config = optimizer.core_config()
        excluded = config.get("excluded_from_weight_decay")
        if excluded:
            config["excluded_from_weight_decay"] = [name for text in excluded for name in self._core_names(text)]
        return config

    def _core_names(self, text: str) -> list[str]:
        """What a text such as ``"dense/kernel"`` is in the core; a text without ``/`` is that text."""
        if "/" not in text:
            return [text]
        layer, weight = text.split("/")[-2:]
        names = layer_names(self.layers, self.owner)
        if layer not in names:
            known = ", ".join(names)
            raise ValueError(f"exclude_from_weight_decay: there is no layer {layer!r}; the layers are {known}")
        return [f"layers.{i}.{weight}" for i in range(*graphs.flat_range(self.layers, names.index(layer)))]

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
            trainer = self.trainer
            state["trainer"] = (trainer.step, trainer.epoch, trainer.get_moments(), trainer.averages_shown)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights, training = state["network"], state["trainer"]
        self.__dict__.update({"run_length": None} | state, network=None, trainer=None)
        self._make_locks()
        if weights is not None:
            self.require_network("unpickle").set_weights(weights)
        if training is not None:
            trainer = self.trainer_for(None)
            trainer.step, trainer.epoch, moments, *shown = training
            trainer.set_moments(moments)
            trainer.averages_shown = any(shown)  # a pickle from before there were averages has no entry for it


def core_of(model: object) -> CoreModel:
    """The core of a model."""
    return cast(CoreModel, cast(Any, model)._core)


def _resolved(
    entries: Sequence[tuple[str | Metric, ...]], chosen: Sequence[Loss], widths: Sequence[int]
) -> list[list[Metric]]:
    return [list(_resolved_once(*of_output)) for of_output in zip(entries, chosen, widths, strict=True)]


@lru_cache(maxsize=64)
def _resolved_once(entries: tuple[str | Metric, ...], loss: Loss, n_outputs: int) -> tuple[Metric, ...]:
    """The metrics of an output. They are remembered, because every evaluation asks for them."""
    return tuple(_metrics.resolve(entries, loss, n_outputs))


def _width(layers: Sequence[Layer], n_features: int | None) -> int | None:
    width = n_features
    for layer in layers:
        width = _width_after(layer, width)
    return width


def _width_after(layer: Layer, width: int | None) -> int | None:
    """The width of a layer's output. For a Dense layer it is known even if the width of the input is not."""
    return getattr(layer, "units", None) if width is None else layer.output_width(width)
