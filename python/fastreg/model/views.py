"""``model.layers[i]`` and ``model.optimizer``: descriptions bound to a model.

Descriptions stay frozen. What can be changed through a bound layer are its weights and whether it is trained, through
the optimizer its rate; setting anything else is an error, since it would have no effect.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import _core
from fastreg.internal.checks import check_bool, describe
from fastreg.layers import Layer
from fastreg.model.core import CoreModel, layer_names
from fastreg.model.graphs import flat_range
from fastreg.model.weights import BoundWeight, weights_of_layer
from fastreg.optimizers import LearningRate, Optimizer

T = TypeVar("T")


class FixedList(list[T]):
    """A list that a model makes at every access. Changing it would have no effect, so it is a TypeError.

    A slice, a sum or a copy of it is a plain list.
    """

    def __init__(self, items: Iterable[T], name: str, instead: str) -> None:
        super().__init__(items)
        self._name, self._instead = name, instead

    def __reduce__(self) -> tuple[type, tuple[list[T]]]:
        return list, (list(self),)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"{self._name}: a change to this list would change nothing; {self._instead}")

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse


class BoundLayer:
    """A layer of a model: the fields of its description, its name, and its weights.

    ``isinstance`` sees the class of the description, so ``isinstance(model.layers[0], layers.Dense)`` holds.
    """

    _model: CoreModel
    _index: int

    def __init__(self, model: CoreModel, index: int) -> None:
        object.__setattr__(self, "_model", model)
        object.__setattr__(self, "_index", index)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.description)

    @property
    def description(self) -> Layer:
        """The frozen description."""
        if self._index >= len(self._model.layers):
            raise ValueError(f"layer {self._index} was removed from model {self._model.name!r}")
        return self._model.layers[self._index]

    @property
    def name(self) -> str:
        """The layer's own name, or the one after its class."""
        return layer_names(self._model.layers, self._model.owner)[self._index]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return getattr(self.description, name)
        except AttributeError as error:
            found = self._named(name) if self._model.built else []
            if len(found) == 1:
                return found[0]
            from fastreg.internal.absent import instead  # needed for errors only

            hint = instead("layer's member", name)
            if not hint and not self._model.built:
                raise
            own = sorted({weight.name for weight in self.weights})
            weights = f"; its weights are {', '.join(own)}" if own else "; it has no weights"
            owner = type(self.description).__name__
            raise AttributeError(f"{owner}: there is no attribute {name!r}{hint or weights}", name=name) from error

    def __dir__(self) -> list[str]:
        names = [weight.name for weight in self.weights] if self._model.built else []
        return sorted({*_public(self.description), *dir(BoundLayer), *names})

    def _named(self, name: str) -> list[BoundWeight]:
        return [weight for weight in self.weights if weight.name == name]

    @property
    def weights(self) -> list[BoundWeight]:
        """All weights of this layer, moving statistics included; ``layer.kernel`` is the one that is so called."""
        self.description  # noqa: B018  raises if the layer is gone
        return weights_of_layer(self._model, self._index)

    @property
    def trainable_weights(self) -> list[BoundWeight]:
        """Those of its weights that training changes."""
        return [weight for weight in self.weights if weight.trainable]

    @property
    def non_trainable_weights(self) -> list[BoundWeight]:
        """Those of its weights that training does not change, or only as moving statistics."""
        return [weight for weight in self.weights if not weight.trainable]

    variables, trainable_variables, non_trainable_variables = weights, trainable_weights, non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether its weights are trained.

        Setting it takes effect at the next step, and keeps all weights and the moments of those that stay trained.
        """
        return self.description.is_trained

    @trainable.setter
    def trainable(self, value: bool) -> None:
        with self._model.changing.held:
            self._model.require_idle("trainable")
            owner = type(self.description).__name__
            self._model.set_trainable([self._index], check_bool(owner, "trainable", value))

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "trainable":
            raise AttributeError(
                f"{type(self.description).__name__}: {name} cannot be set: of a model's layer only trainable can be, "
                "and the weights by set_weights; another layer needs another model"
            )
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is BoundLayer:
            return self._model is other._model and self._index == other._index
        return self.description == other

    def __hash__(self) -> int:
        return hash(self.description)

    def __reduce__(self) -> tuple[type, tuple[CoreModel, int]]:
        return BoundLayer, (self._model, self._index)

    def __repr__(self) -> str:
        return f"<{self.description!r} as {self.name!r} of {self._model.name!r}>"

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Copies of this layer's weights, in the order of ``Sequential.get_weights``."""
        begin, end = self._range("get_weights")
        return self._model.require_network("get_weights").get_weights()[begin:end]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets this layer's weights; number and shapes must be those of :meth:`get_weights`."""
        begin, end = self._range("set_weights")
        if not isinstance(weights, Sequence):
            raise TypeError(f"set_weights: weights must be a list of arrays, got {describe(weights)}")
        if len(weights) != end - begin:
            raise ValueError(f"set_weights: layer {self.name!r} has {end - begin} arrays, got {len(weights)}")
        self._model.set_weights(weights, begin, end)

    def get_config(self) -> dict[str, Any]:
        """The fields of the description by name, with the layer's name in this model."""
        return self.description.get_config() | {"name": self.name}

    def count_params(self) -> int:
        """Number of this layer's weights, moving statistics included."""
        begin, end = self._range("count_params")
        info = self._model.require_network("count_params").weight_info()[begin:end]
        return sum(math.prod(shape) for _, shape, _ in info)

    def _range(self, call: str) -> tuple[int, int]:
        self.description  # noqa: B018  raises if the layer is gone
        return weight_range(self._model.require_network(call), *flat_range(self._model.layers, self._index))


class BoundOptimizer:
    """The current optimizer of a model, whose ``learning_rate`` can be read and set.

    ``model.optimizer.learning_rate`` is ``model.learning_rate``: the rate of the next step, also with a schedule. The
    other fields are those of the description; ``isinstance`` and ``==`` use the description.
    """

    _model: CoreModel

    def __init__(self, model: CoreModel) -> None:
        object.__setattr__(self, "_model", model)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.description)

    @property
    def description(self) -> Optimizer:
        """The frozen description, the schedule in it if there is one."""
        return self._model.require_optimizer("optimizer")

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return self._model.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        self._model.learning_rate = value

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Iterable[str] | None = None) -> None:
        """See :meth:`fastreg.optimizers.Optimizer.exclude_from_weight_decay`."""
        if self._model.trainer is not None:
            self.description.use()
        self.description.exclude_from_weight_decay(var_list, var_names)

    @property
    def iterations(self) -> int:
        """The number of updates since ``compile``: of steps, or of groups of steps whose gradients are accumulated."""
        trainer = self._model.trainer
        return 0 if trainer is None else trainer.step // (self.description.gradient_accumulation_steps or 1)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.description, name)

    def __dir__(self) -> list[str]:
        return sorted({*_public(self.description), *dir(BoundOptimizer)})

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "learning_rate":
            raise AttributeError(
                f"{type(self.description).__name__}: only learning_rate can be set, got {name}; model.compile takes "
                "another optimizer"
            )
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return self.description == (other.description if type(other) is BoundOptimizer else other)

    def __hash__(self) -> int:
        return hash(self.description)

    def __repr__(self) -> str:
        return repr(self.description)

    def __reduce__(self) -> Any:
        return self.description.__reduce_ex__(4)  # a copy is the plain description


def _public(made: object) -> list[str]:
    """The attributes of a description that an editor may propose."""
    return [name for name in dir(made) if not name.startswith("_")]


def weight_range(network: _core.Network, first: int, end: int) -> tuple[int, int]:
    """Which of the network's weights are those of the core's layers [first, end), half-open."""
    owners = [int(name.split(".")[1]) for name, _, _ in network.weight_info()]
    return sum(owner < first for owner in owners), sum(owner < end for owner in owners)
