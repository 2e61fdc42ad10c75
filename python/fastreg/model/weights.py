"""``BoundWeight``: one weight of a model, as ``model.weights`` and ``layer.kernel`` give it.

It holds no values. Reading copies them from the network, and ``assign`` puts others in place, so that it shows the
weights of now, also after a fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.model.core import CoreModel
from fastreg.model.graphs import flat_range, layer_names

__all__ = ["BoundWeight", "weights_of_layer", "weights_of_model"]


class BoundWeight:
    """A weight of a model, read and written like one of Keras's variables.

    ``numpy.asarray(weight)`` and :meth:`numpy` copy the values, ``weight[0]`` and the like some of them, and
    :meth:`assign` replaces them.

    Attributes:
        name: What it is within its layer: ``"kernel"``, ``"bias"``, ``"gamma"`` ...
        path: The names of the layer and of the weight: ``"dense_1/kernel"``.
        shape: The shape.
        trainable: Whether training changes it.
    """

    dtype = "float32"

    def __init__(self, model: CoreModel, index: int, layer: str) -> None:
        self._model, self._index = model, index
        full, self.shape, self.trainable = model.require_network("weights").weight_info()[index]
        self.name = full.rpartition(".")[2]
        self.path = f"{layer}/{self.name}"

    def numpy(self) -> NDArray[np.float32]:
        """A copy of the values."""
        return self._model.require_network("weights").get_weights()[self._index]

    def assign(self, value: ArrayLike) -> BoundWeight:
        """Replaces the values. Moments of the optimizer stay.

        Args:
            value: An array of the same shape.

        Returns:
            This object, as in Keras.

        Raises:
            ValueError: If the shape differs, a value is not finite or a variance is negative; nothing has changed then.
            TypeError: If the value holds no real numbers.
        """
        self._model.set_weights([value], self._index, self._index + 1, "assign")
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a weight of a model is always copied: copy must not be False")
        return self.numpy().astype(dtype or np.float32, copy=False)

    def __getitem__(self, key: Any) -> Any:
        return self.numpy()[key]

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(f"{self.path}: parts of a weight cannot be set; assign replaces all of its values")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        return iter(self.numpy())  # by __getitem__ each row would copy all

    if not TYPE_CHECKING:  # a type checker knows which members there are

        def __getattr__(self, name: str) -> Any:
            # Copies and pickles ask for names with underscores before there is a path.
            hint = "" if name.startswith("_") else "; numpy() gives the values as an array, and assign replaces them"
            raise AttributeError(f"a weight has no attribute {name!r}{hint}", name=name)

    def __eq__(self, other: object) -> bool:
        return type(other) is BoundWeight and (self._model, self._index) == (other._model, other._index)

    def __hash__(self) -> int:
        return hash((id(self._model), self._index))

    def __repr__(self) -> str:
        trained = "" if self.trainable else ", not trainable"
        return f"<Weight {self.path} of shape {self.shape}{trained}>"


def weights_of_model(model: CoreModel, trainable: bool | None = None) -> list[BoundWeight]:
    """All weights, in the order of ``get_weights``.

    Args:
        model: The model; one that is not built has no weights.
        trainable: True gives those that are trained, False the others, None all.
    """
    if not model.built:
        return []
    info = model.require_network("weights").weight_info()
    names: dict[int, str] = {}
    for i, name in enumerate(layer_names(model.layers, model.owner)):
        names |= dict.fromkeys(range(*flat_range(model.layers, i)), name)
    every = (BoundWeight(model, i, names[int(full.split(".")[1])]) for i, (full, _, _) in enumerate(info))
    return [weight for weight in every if trainable in (None, weight.trainable)]


def weights_of_layer(model: CoreModel, index: int, trainable: bool | None = None) -> list[BoundWeight]:
    """The weights of one layer, by its index; see :func:`weights_of_model`."""
    if not model.built:
        return []
    begin, end = flat_range(model.layers, index)
    info = model.require_network("weights").weight_info()
    owners = [int(full.split(".")[1]) for full, _, _ in info]
    own = {i for i, owner in enumerate(owners) if begin <= owner < end}
    return [weight for weight in weights_of_model(model, trainable) if weight._index in own]
