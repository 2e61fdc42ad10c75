"""``Nested``: a model that is a layer of another one, and the weights that the two share.

The outer network has the layers of the inner one among its own. Each model has a network with weights of its own, and
they are copied from one to the other when one is used after the other has changed: so the two share weights, as in
Keras, except while one of them is being fitted. ``CoreModel`` counts the changes of its weights.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from numpy.typing import ArrayLike

from fastreg import _core
from fastreg.data import arrays
from fastreg.internal.layer_base import InputRule, Layer, Lowering, Shape, Symbol, Value, check_mode
from fastreg.model import adapted, graphs

__all__ = ["Nested", "Sharing"]


class Nested(Layer):
    """A model as a layer. It is made where a model is put into another or called on values.

    Args:
        core: The core of the model.
        face: The model that users call; None for a model that was loaded within another.
        trainable: False trains none of its layers here; they may be trained elsewhere.
    """

    def __init__(self, core: Any, face: Any = None, trainable: bool = True) -> None:
        usual = "sequential" if core.graph is None else "functional"
        name = None if core.name == usual else core.name
        self._set(core=core, face=face, name=name, trainable=trainable, input_shape=core.input_shape)

    core: Any
    face: Any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Nested) or self.trainable != other.trainable:
            return False
        return self.core is other.core or self.to_config() == other.to_config()

    def __hash__(self) -> int:
        return hash((self.core.owner, self.name))

    def __repr__(self) -> str:
        return f"<{self.kind} {self.core.name!r} as a layer>"

    @property
    def kind(self) -> str:
        """``"Sequential"`` or ``"Functional"``."""
        return "Sequential" if self.core.graph is None else "Functional"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of the model as they are now."""
        return tuple(self.core.layers)

    def __call__(self, inputs: Any, *, training: bool | None = None) -> Value:
        """The value that the model makes of one, or of a list of them if it has several inputs."""
        check_mode(self, training)
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        names = self.core.input_names
        for value in values:
            if not isinstance(value, Symbol):
                raise TypeError(f"{self.kind}: must be called on values, got {type(value).__name__}")
        if len(values) != len(names):
            raise ValueError(f"{self.kind}: must be called on {len(names)} values, got {len(values)}")
        if self.core.output_count != 1:
            raise ValueError(f"{self.kind}: a model in a model must have one output, got {self.core.output_count}")
        return Value(self, tuple(values), self.output_shape(*(value.row_shape for value in values)))

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the model's output."""
        if len(shapes) != len(self.core.input_names):
            raise ValueError(f"{self.kind}: takes {len(self.core.input_names)} inputs, got {len(shapes)}")
        for known, shape in zip(self.core.input_shapes(), shapes, strict=True):
            if known not in (None, shape):
                raise ValueError(f"{self.kind}: {self.core.name!r} takes rows of shape {known}, got {shape}")
        if not self.core.layers:
            raise ValueError(f"{self.kind}: {self.core.name!r} has no layers")
        return tuple(self.core.output_shapes(shapes[0])[0])

    @property
    def core_count(self) -> int:
        """The layers of C++ of all layers."""
        return sum(layer.core_count for layer in self.layers)

    @property
    def input_rule(self) -> InputRule:
        """That of the model's input, if it has one."""
        rules = self.core.input_rules
        return rules[0] if len(rules) == 1 else InputRule()

    def input_rule_of(self, place: int) -> InputRule:
        """That of one of the model's inputs."""
        rule: InputRule = self.core.input_rules[place]
        return rule

    def lower(self, into: Lowering, values: tuple[int, ...]) -> int:
        """Writes the layers of the model."""
        shapes = [into.shape(value) for value in values]
        graph = self.core.graph_for(shapes[0])
        made = list(values)
        for call, read in zip(graph.calls, graph.reads, strict=True):
            layer = self.layers[call] if self.trainable else self.layers[call].with_trainable(False)
            given = tuple(made[value] for value in read)
            made.append(into.call(layer, call, given, [graph.shapes[value] for value in read]))
        return int(made[graph.outputs[0][1]])

    def to_config(self) -> dict[str, Any]:
        """The JSON form: the model's layers, how they are called, its name and seed."""
        core = self.core
        if core.graph is None:
            shape = core.input_shape
            form: dict[str, Any] = {
                "input_shape": None if shape is None else list(shape),
                "layers": [layer.to_config() for layer in core.layers],
            }
        else:
            forms = {"inputs": core.graph.input_form, "outputs": core.graph.output_form}
            form = {
                "structure": graphs.structure_of(core.layers, core.graph),
                "input_names": core.input_names,
                "output_names": core.output_names,
                "forms": forms,
            }
        trained = {} if self.trainable else {"trainable": False}
        return {"type": "Nested", "name": core.name, "seed": core.seed, **form, **trained}

    def get_config(self) -> dict[str, Any]:
        """The same as :meth:`to_config`, without the type."""
        return {name: value for name, value in self.to_config().items() if name != "type"}

    def with_trainable(self, trainable: bool) -> Nested:
        """The same model as a layer that is trained or not."""
        return self if trainable == self.trainable else Nested(self.core, self.face, trainable)

    def set_trainable(self, trainable: bool) -> Nested:
        """Sets it for the layers of the model, which are the same in both models."""
        self.core.require_idle("trainable")
        self.core.set_trainable(range(len(self.core.layers)), trainable)
        return self.with_trainable(True)

    @property
    def is_trained(self) -> bool:
        """Whether any of its layers is trained."""
        return self.trainable and any(layer.is_trained for layer in self.layers)


def nested_in(core: Any) -> list[tuple[int, int, Nested]]:
    """The models in a model, each with the half-open range of its layers of C++."""
    found = []
    for index, layer in enumerate(core.layers):
        if isinstance(layer, Nested):
            found.append((*graphs.flat_range(core.layers, index), layer))
    return found


def _range(network: _core.Network, first: int, end: int) -> tuple[int, int]:
    owners = [int(name.split(".")[1]) for name, _, _ in network.weight_info()]
    return sum(owner < first for owner in owners), sum(owner < end for owner in owners)


def flags_of(core: Any) -> tuple[bool, ...]:
    """Which layers of the models in a model are trained."""
    return tuple(inner.trainable for _, _, layer in nested_in(core) for inner in layer.layers)


def pull(core: Any, network: _core.Network, shapes: dict[int, Shape]) -> None:
    """Copies the weights of models in a model to its network, of those that changed since they were last copied.

    Args:
        core: The outer model.
        network: Its network.
        shapes: For each of its layers that is a model, the shape of a row of the first input.
    """
    for place, (first, end, layer) in enumerate(nested_in(core)):
        inner = layer.core
        source = inner.build(shapes[place])
        if core.seen.get(place) == inner.version:
            continue
        if place in core.seen:
            core.version += 1  # models that this one is a part of have to take these weights, too
        network.set_weights(source.get_weights(), _range(network, first, end)[0])
        core.seen[place] = inner.version


def push(core: Any) -> None:
    """Copies the weights of a model to the models in it, after they have changed."""
    for place, (first, end, layer) in enumerate(nested_in(core)):
        begin, stop = _range(core.network, first, end)
        layer.core.set_weights(core.network.get_weights()[begin:stop])
        core.seen[place] = layer.core.version


_S = TypeVar("_S", bound="Sharing")


class Sharing:
    """The part of a ``CoreModel`` that keeps its weights those of the models and layers in it."""

    owner: str
    name: str
    layers: tuple[Layer, ...]
    graph: graphs.Graph | None
    network: _core.Network | None
    fitted: Any
    version: int
    seen: dict[int, int]
    flags: tuple[bool, ...]
    input_shape: Shape | None
    known_shape: Any
    graph_for: Any
    output_shapes: Any
    rebuild: Any
    require_network: Any
    __getstate__: Any
    __setstate__: Any

    def __copy__(self: _S) -> _S:
        # The models in a model, and layers that are adapted to data, would be shared with the copy: training or
        # adapting one would change a part of the other.
        state = self.__getstate__()
        made = type(self).__new__(type(self))
        made.__setstate__(state | {"layers": copy.deepcopy(state["layers"])})
        return made

    def _with_shared(self, network: _core.Network) -> _core.Network:
        """The network, with the weights and the trained layers that the models in this one have now."""
        if not self.seen or self.fitted.taken():
            return network
        self.share()
        return cast(_core.Network, self.network)

    def share(self) -> None:
        """Takes the weights and the trained layers that the models in this one have now."""
        if self.seen and self.network is not None:
            if self.flags != (flags := flags_of(self)):
                if len(self.flags) != len(flags):
                    raise ValueError(
                        f"{self.owner}: the layers of a model in {self.name!r} must stay those that they were when "
                        "it was built, but add or pop changed them; make it anew"
                    )
                self.rebuild(self.layers)
            self._pull(self.network)

    def _pull(self, network: _core.Network) -> None:
        if nested_in(self):
            graph = self.graph_for(self.known_shape())
            places = [place for place, layer in enumerate(self.layers) if isinstance(layer, Nested)]
            pull(self, network, {i: graph.shapes[graph.reads_of(place)[0]] for i, place in enumerate(places)})
            self.flags = flags_of(self)

    def set_weights(
        self, weights: Sequence[ArrayLike], begin: int = 0, end: int | None = None, call: str = "set_weights"
    ) -> None:
        """Sets the weights with the indices from ``begin`` to ``end``, in the shapes in which the network has them.

        The others are not touched: steps that another thread trains meanwhile are not undone.
        """
        network = self.require_network(call)
        network.set_weights(arrays.network_weights(weights, network.weight_info()[begin:end], call), begin)
        self.weights_changed()

    def weights_changed(self) -> None:
        """Is called after the weights have changed, so that models that share some of them know."""
        self.version += 1
        if self.seen:
            push(self)

    def take_statistics(self) -> None:
        """Takes the statistics of layers anew, after one of them was adapted to data."""
        if self.network is not None and self.input_shape is not None:
            adapted.set_statistics(self, self.network, self.input_shape)
            self.weights_changed()

    def shaped(self, outputs: Any) -> Any:
        """Outputs of the network, an array or a list of such, in the shapes that they have here."""
        shapes = self.output_shapes(self.known_shape())
        if all(len(shape) == 1 for shape in shapes):
            return outputs
        several = isinstance(outputs, list)
        parts = outputs if several else [outputs]
        found = [part.reshape(len(part), *shape) for part, shape in zip(parts, shapes, strict=True)]
        return found if several else found[0]
