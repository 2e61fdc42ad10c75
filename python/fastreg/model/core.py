"""``CoreModel``: layers, weights and training settings of a model, without the interface for users.

It holds descriptions and two objects of the core: the network (weights), which ``build`` makes, and the trainer (the
state of the optimizer), which the first ``fit`` or ``evaluate`` after ``compile`` makes. It is public within the
package: ``fitting.py`` trains one, ``files.py`` writes and reads one, ``views.py`` shows parts of one, and
``Model`` and ``Sequential`` are faces over one. It knows nothing of them, nor of files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fastreg import _core, losses, optimizers
from fastreg import metrics as _metrics
from fastreg.internal.checks import NON_NEGATIVE, POSITIVE, SEED_LIMIT, check_int, check_name, check_real, describe
from fastreg.internal.dataclasses import replace
from fastreg.internal.forks import Lock, Turn
from fastreg.internal.layer_base import Join, Shape, told
from fastreg.layers import Input, Layer
from fastreg.losses import Loss
from fastreg.metrics.base import Metric
from fastreg.model import adapted, graphs
from fastreg.model.facts import Facts
from fastreg.model.graphs import Flat, Graph, input_rules, layer_names
from fastreg.model.labels import Labelled
from fastreg.model.nested import Nested, Sharing
from fastreg.model.outputs import Report, by_output, check_weights, log_keys, resolved
from fastreg.model.recorded import Recorded
from fastreg.model.training_form import training_description
from fastreg.optimizers import LearningRate, Optimizer
from fastreg.runtime import checked_matmul_precision, get_matmul_precision
from fastreg.schedules.base import RunLength
from fastreg.utils.seeds import draw_seed

__all__ = ["CoreModel", "NotCompiledError", "core_of", "layer_names"]


class NotCompiledError(ValueError, AttributeError):
    """The error of a property that has no value before ``compile``. ``hasattr`` treats it as a missing attribute."""


class CoreModel(Sharing, Labelled, Recorded):
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
        input_shape: The shape of a row of the first input; None before it is known.
        version: How often the weights have changed.
        flags: Which layers of the models in this one are trained, once the network is there.
        seen: For each model in this one, its version when the two last had the same weights.
        flat_outputs: Whether the outputs of the network are rows of numbers, once it is there.
        input_rules: For each input, what its numbers must be.
        network: The weights; None before they are created.
        trainer: The state of the optimizer; None before it is created.
        optimizer: The optimizer, with the learning rate as last set; None before ``compile``.
        losses: The loss of each output; empty before ``compile`` and if it was given none.
        loss_weights: The weight of each output's loss; None if all are 1.
        metrics: The metrics of each output, as ``compile`` was given them.
        weighted_metrics: The same for the metrics that use the weights of rows.
        matmul_precision: How the products of dense layers are computed; None before ``compile``.
        feature_names: The names of the columns of the first frame that the model was fitted on; with several inputs
            a tuple of those of each, with None for an input that was not such a frame.
        spreads_known: Whether the warning about the spreads of the features is no longer needed.
        run_length: The length of the last run, which turns a schedule in epochs into one in steps; None before a fit.
        last_epoch: What ends a running fit after the current epoch; None outside of one.
        facts: What is known of the layers.
        fitted: Whose turn it is to train the model. Other calls do not wait for it, but raise an error.
        changing: Is held while layers, network, trainer and what ``compile`` set are replaced, or read together.
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
        self.input_shape: Shape | None = None if graph is None else graph.shapes[0]
        self.input_rules = input_rules(layers, graph)
        self.flat_outputs = True
        self.version, self.seen = 0, dict[int, int]()
        self.flags: tuple[bool, ...] = ()
        self.network: _core.Network | None = None
        self.trainer: _core.Trainer | None = None
        self.optimizer: Optimizer | None = None
        self.losses: tuple[Loss, ...] = ()
        self.loss_weights: tuple[float, ...] | None = None
        self.metrics: tuple[tuple[str | Metric, ...], ...] = ()
        self.weighted_metrics: tuple[tuple[str | Metric, ...], ...] = ()
        self.matmul_precision: str | None = None
        self.feature_names: Any = None
        self.spreads_known = False
        self.run_length: RunLength | None = None
        self.last_epoch: _core.StopSignal | None = None
        self._make_locks()

    def _make_locks(self) -> None:
        self.changing = Lock()
        self.fitted, self.facts, self._report = Turn(self.changing), Facts(), Report()

    # Layers and weights.

    @property
    def n_features(self) -> int | None:
        """The number of features of the first input; None before it is known."""
        return None if self.input_shape is None else math.prod(self.input_shape)

    @property
    def built(self) -> bool:
        """Whether there are weights: there are layers, and the shape of the input is known."""
        return self.input_shape is not None and bool(self.layers)

    def append(self, parts: Iterable[object]) -> None:
        """Appends layers, or an ``Input`` before all others. Existing weights are kept; the optimizer is reset."""
        extended, given = list(self.layers), self.input_shape
        shape = graphs.shape_of_chain(extended, given)
        for part in parts:
            if isinstance(part, Input):
                if extended or given is not None:
                    raise ValueError("Sequential: Input must come first, and once")
                given = shape = part.shape
                continue
            if not isinstance(part, Layer):
                if (refuse := getattr(part, "refuse_model", None)) is not None and not isinstance(part, type):
                    refuse()
                hint = "; did you forget the parentheses?" if isinstance(part, type) else ""
                raise TypeError(f"Sequential: expected a layer, got {describe(part)}{hint}")
            if isinstance(part, Nested) and len(part.core.input_names) > 1:
                raise ValueError(f"Sequential: layer {len(extended)} must have one input, got {part!r}")
            if isinstance(part, Join):
                raise ValueError(
                    f"Sequential: layer {len(extended)} must have one input, got {describe(part)}; Residual adds a "
                    "chain's input to its output, and Model connects layers in any way"
                )
            if shape is not None:
                graphs.check_place(part, len(extended), shape)
            elif not extended and (said := part.required_shape) is not None:
                given = shape = said
            shape = graphs.shape_after(part, shape)
            extended.append(part)
        names = layer_names(extended)
        self._replace_layers(tuple(extended))
        self.facts.of(self.layers, "names", lambda: names)
        self.input_shape = given

    def pop(self) -> None:
        """Removes the last layer. The other weights are kept; the optimizer is reset."""
        if not self.layers:
            raise ValueError("pop: the model has no layers")
        self._replace_layers(self.layers[:-1])

    def _replace_layers(self, layers: tuple[Layer, ...]) -> None:
        before, old = self.layers, self.network
        self.layers, self.network = layers, None
        if old is not None and self.input_shape is not None and layers:
            try:
                network = self.build(self.input_shape)
                kept, fresh = old.get_weights(), network.get_weights()
                n = min(len(kept), len(fresh))
                network.set_weights([*kept[:n], *fresh[n:]])
            except BaseException:  # the trained weights must not be lost
                self.layers, self.network = before, old
                raise
        self.trainer = None
        self.input_rules = input_rules(layers, self.graph)

    def set_trainable(self, indices: Iterable[int], trainable: bool) -> None:
        """Sets whether these layers are trained, from the next step on.

        Weights, step and epoch are kept, and so are the moments of weights that are trained before and after.
        """
        layers = list(self.layers)
        for index in indices:
            layers[index] = layers[index].set_trainable(trainable)
        if tuple(layers) != self.layers:
            self.rebuild(tuple(layers))

    def rebuild(self, layers: tuple[Layer, ...]) -> None:
        """Replaces the layers by others with weights of the same shapes, and keeps weights, moments, step and epoch."""
        before, network, trainer, seen = self.layers, self.network, self.trainer, self.seen
        self.layers, self.network, self.trainer = layers, None, None
        try:
            if network is not None:
                self.require_network("trainable").set_weights(network.get_weights())
                self.seen = seen  # as the weights are those from before
            if trainer is not None:
                made, kept = self.trainer_for(None), trainer.get_moments()
                made.step, made.epoch = trainer.step, trainer.epoch
                made.set_moments({name: kept.get(name, fresh) for name, fresh in made.get_moments().items()})
                made.averages_shown = trainer.averages_shown
        except BaseException:  # the trained weights must not be lost
            self.layers, self.network, self.trainer, self.seen = before, network, trainer, seen
            raise

    def build(self, shape: Shape) -> _core.Network:
        """The network for rows of this shape. It is created if it does not exist."""
        self.require_layers("build")
        if self.input_shape not in (None, shape):
            got = shape[0] if len(shape) == 1 else f"shape {shape}"
            raise ValueError(f"build: the model takes {told(self.input_shape or ())}, got {got}")
        if (network := self.network) is not None:
            return self._with_shared(network)
        with self.changing.held:
            if self.network is None:
                network = self._made_network(shape)
                adapted.set_statistics(self, network, shape)
                self.network, self.input_shape, self.seen = network, shape, {}
                self._pull(network)
                self.flat_outputs = all(len(found) == 1 for found in self.output_shapes(shape))
            return self.network

    def _made_network(self, shape: Shape) -> _core.Network:
        try:
            return _core.Network(self.description(shape))
        except ValueError:
            graph = self.graph_for(shape)  # checking layer by layer says more
            graphs.shapes_of(self.layers, graph.shapes[: len(graph.inputs)], graph.calls, graph.reads)
            raise

    def weight_count(self, shape: Shape) -> int:
        """The number of weights for a shape of the rows of the first input. It does not create them."""
        return sum(math.prod(size) for _, size, _ in _core.network_info(self.description(shape))[1])

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
        if self.graph is not None:
            return [name for name, _ in self.graph.outputs]
        layers = self.layers
        return [*self.facts.of(layers, "names", lambda: layer_names(layers))[-1:]]

    def input_shapes(self) -> list[Shape | None]:
        """The shapes of the rows of the inputs; None for a shape that is not known."""
        return [self.input_shape] if self.graph is None else [*self.graph.shapes[: len(self.graph.inputs)]]

    def input_widths(self) -> list[int | None]:
        """The widths of the inputs; None for a width that is not known."""
        return [self.n_features] if self.graph is None else [width for _, width in self.graph.inputs]

    def output_shapes(self, shape: Shape) -> list[Shape]:
        """The shapes of the rows of the outputs for a shape of those of the first input. It must not be changed."""
        if self.graph is not None:
            return self.graph.output_shapes
        return self.facts.of(self.layers, shape, lambda: [self.graph_for(shape).shapes[-1]])

    def output_widths(self, shape: Shape) -> list[int]:
        """The widths of the outputs for a shape of the rows of the first input."""
        if self.graph is None and self.network is not None and shape == self.input_shape:
            return [self.network.n_outputs]
        return [math.prod(found) for found in self.output_shapes(shape)]

    def known_shape(self) -> Shape:
        """The shape of the rows of the first input; of one feature where it is not known yet."""
        return (1,) if self.input_shape is None else self.input_shape

    def graph_for(self, shape: Shape) -> Graph:
        """How the layers are connected where the rows of the first input have this shape."""
        if self.graph is not None:
            return self.graph
        layers = self.layers
        return self.facts.of(layers, ("graph", shape), lambda: graphs.chain(layers, shape, self.output_names))

    def flat_for(self, shape: Shape) -> Flat:
        """The layers as C++ has them where the rows of the first input have this shape. It must not be changed."""
        layers = self.layers
        return self.facts.of(layers, ("flat", shape), lambda: graphs.flattened(layers, self.graph_for(shape)))

    # Training.

    def compile(
        self,
        optimizer: object,
        loss: object,
        metrics: object,
        loss_weights: object = None,
        weighted_metrics: object = None,
        matmul_precision: object = None,
    ) -> None:
        """Sets how the model is trained. Weights are kept; moments and the counts of steps and epochs are reset."""
        chosen = optimizers.get(optimizer, "compile: optimizer")
        names = self.output_names or [""]
        given = by_output("loss", loss, names)
        if loss is not None and None in given:
            missing = ", ".join(repr(name) for name, one in zip(names, given, strict=True) if one is None)
            raise ValueError(f"compile: loss must be given for every output, but is missing for {missing}")
        chosen_losses = () if loss is None else tuple(losses.get(one, "compile: loss") for one in given)
        for one in chosen_losses:
            one.check_fit("compile: loss")
        weights = check_weights(loss_weights, names)
        entries = tuple([_metrics.listed(one) for one in by_output("metrics", metrics, names)])
        each = by_output("weighted_metrics", weighted_metrics, names)
        weighted = tuple([_metrics.listed(one, "weighted_metrics") for one in each])
        if len(names) > 1 and chosen_losses:
            log_keys(names, resolved(entries, weighted, chosen_losses, self.output_widths(self.known_shape())))
        precision = self.precision_of("compile", matmul_precision)
        self.optimizer, self.losses, self.loss_weights = chosen, chosen_losses, weights
        self.matmul_precision = precision
        self.metrics, self.weighted_metrics = entries, weighted
        self.trainer = self.run_length = None

    @staticmethod
    def precision_of(call: str, value: object) -> str:
        """The precision that an argument ``matmul_precision`` means; None is the setting of this thread."""
        if value is None:
            return get_matmul_precision()
        return checked_matmul_precision(call, "matmul_precision", value)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Setting it, within a callback or outside of ``fit``, replaces a schedule."""
        if self.optimizer is None:
            raise NotCompiledError("learning_rate: the model is not compiled; call compile first")
        return self.optimizer.rate_at(0 if self.trainer is None else self.trainer.step, self.run_length)

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        with self.changing.held:
            optimizer = self.require_optimizer("learning_rate")
            if self.fitted.taken() and self.trainer is not None:
                value = check_real("learning_rate", "the value", value, POSITIVE)
                self.trainer.set_learning_rate(value)
            self.optimizer = replace(optimizer, learning_rate=value)

    def resolved_metrics(self, shape: Shape | None = None) -> list[list[Metric]]:
        """The metrics of each output, the weighted ones last; the accuracy that fits stands for ``"accuracy"``."""
        widths = self.output_widths(self.known_shape() if shape is None else shape)
        return resolved(self.metrics, self.weighted_metrics, self.require_losses("metrics"), widths)

    def add_metrics(self, added: Iterable[str | Metric]) -> None:
        """Compiles a model with one output again, with further metrics that do not use weights."""
        entries = (*(self.metrics[0] if self.metrics else ()), *added)
        weighted = self.weighted_metrics[0] if self.weighted_metrics else ()
        given = self.optimizer, self.require_losses("metrics")[0], entries, self.loss_weights, weighted
        self.compile(*given, self.matmul_precision)

    def has_metrics(self, output: int) -> bool:
        """Whether an output has metrics, weighted ones or not."""
        return any(bool(of and of[output]) for of in (self.metrics, self.weighted_metrics))

    def functions(self) -> _core.Functions:
        """The functions of Python among metrics and losses, in the order of their numbers in the description."""
        return self.reported(self.known_shape())[1]

    def log_keys(self, shape: Shape | None = None) -> dict[str, str]:
        """The keys of values in the order of the core, each with the better direction. The dict must not be changed."""
        return self.reported(self.known_shape() if shape is None else shape)[0]

    def reported(self, shape: Shape) -> tuple[dict[str, str], _core.Functions]:
        """Both of them, for a call that needs both."""
        of = (self.layers, self.losses, self.metrics, self.weighted_metrics)
        return self._report.of(shape, of, self.output_names if self.output_count > 1 else [""], self.resolved_metrics)

    def trainer_for(self, shape: Shape | None) -> _core.Trainer:
        """The trainer. It is created if it does not exist, and so is the network if the shape of a row is given."""
        network = self.require_network("fit") if shape is None else self.build(shape)
        if (trainer := self.trainer) is not None:
            return trainer
        with self.changing.held:
            if self.trainer is None:
                network = self.network or network  # another thread may have replaced it
                self.trainer = _core.Trainer(network, training_description(self, network))
                self.require_optimizer("fit").use()
            return self.trainer

    # Requirements of calls.

    def require_idle(self, call: str) -> None:
        """Raises RuntimeError within a callback, and while another thread fits the model."""
        if self.fitted.taken():
            raise RuntimeError(f"{call}: not within a callback, nor while another thread fits the model")

    def require_rest(self) -> None:
        """Raises RuntimeError within a callback, and while another thread fits the model, for a copy or a pickle."""
        if self.fitted.taken():
            raise RuntimeError(
                "a model cannot be copied or pickled within a callback, nor while another thread fits it; "
                "get_weights() gives its weights, and save() writes it to a file"
            )

    def require_layers(self, call: str) -> None:
        """Raises ValueError if there are no layers."""
        if not self.layers:
            raise ValueError(f"{call}: the model has no layers")

    def require_network(self, call: str) -> _core.Network:
        """The network. Raises ValueError if the number of features is not known."""
        if self.network is not None:
            return self._with_shared(self.network) if self.seen else self.network
        self.require_layers(call)
        if self.input_shape is None:
            raise ValueError(f"{call}: the model is not built; call build or fit first, or give it an Input")
        return self.build(self.input_shape)

    def require_optimizer(self, call: str) -> Optimizer:
        """The optimizer. Raises ValueError before ``compile``."""
        if self.optimizer is None:
            raise ValueError(f"{call}: the model is not compiled; call compile first")
        return self.optimizer

    def require_losses(self, call: str) -> tuple[Loss, ...]:
        """The loss of each output. Raises ValueError before ``compile`` and if it was given none."""
        if not self.losses:
            self.require_optimizer(call)
            raise ValueError(f"{call}: the model was compiled without a loss; give compile one")
        return self.losses

    # JSON and pickles.

    def description(self, shape: Shape) -> dict[str, Any]:
        """The JSON form of the network, as C++ and files have it."""
        flat = self.flat_for(shape)
        if self.graph is None and flat.is_plain and not flat.blocks:
            return {
                "format": 1,
                "fastreg": _core.__version__,
                "name": self.name,
                "n_features": shape[0],
                "seed": self.seed,
                "layers": list(flat.configs),
            }
        graph = self.graph_for(shape)
        return {
            "format": 2,
            "fastreg": _core.__version__,
            "model": {"type": self.owner, "inputs": graph.input_form, "outputs": graph.output_form},
            "name": self.name,
            "seed": self.seed,
            **graphs.to_config(self.layers, graph, flat),
        }

    def __getstate__(self) -> dict[str, Any]:
        """Descriptions and numbers, without objects of the core and locks. Raises what :meth:`require_rest` does."""
        with self.changing.held:  # no fit begins before all is read
            self.require_rest()
            self.share()  # takes over what has changed in the models in this one
            state = self.__dict__ | self.recorded() | {"network": None, "trainer": None, "last_epoch": None}
            if self.network is not None:
                state["network"] = self.network.get_weights()
            if self.trainer is not None:
                state["network"], moments, step, epoch, shown = self.trainer.get_state()
                state["trainer"] = (step, epoch, moments, shown)
        del state["fitted"], state["changing"], state["facts"], state["_report"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights, training = state["network"], state["trainer"]
        features = state.pop("n_features", None)  # a pickle of an older version has it instead of the shape
        state.setdefault("input_shape", None if features is None else (features,))
        # Some pickles are older than these.
        newer: dict[str, Any] = {"weighted_metrics": (), "run_length": None, "version": 0, "seen": {}}
        newer["matmul_precision"] = None if state["optimizer"] is None else "highest"
        self.__dict__.update(newer | state, network=None, trainer=None, last_epoch=None)
        self.input_rules = input_rules(self.layers, self.graph)
        self._make_locks()
        if weights is not None:
            self.require_network("unpickle").set_weights(weights)
        if training is not None:
            trainer = self.trainer_for(None)
            trainer.step, trainer.epoch, moments, *shown = training
            trainer.set_moments(moments)
            trainer.averages_shown = any(shown)  # a pickle from before there were averages has no entry for it


def core_of(model: Any) -> CoreModel:
    """The core of a model."""
    core: CoreModel = model._core
    return core
