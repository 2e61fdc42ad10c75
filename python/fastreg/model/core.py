"""``Stack``: the layers of a model and their weights, without a notion of training.

It checks that layers fit one another, makes the network of the core when the number of features is known, and carries
weights over when the layers change. ``Sequential`` adds the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import _core, utils
from fastreg.data import arrays
from fastreg.data.frames import Names
from fastreg.internal.checks import describe
from fastreg.internal.forks import Lock
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.layers import Input, Layer, Part, check_features
from fastreg.model.assignments import FREE, check_deletion, checked_assignment
from fastreg.model.views import BoundLayer, FixedList, layer_names, summary_lines


class Stack:
    """Base of :class:`fastreg.Sequential`: see there."""

    # The names of the columns of the first frame that it was fitted on.
    _feature_names: Names | None = None
    # Whether a warning about the spreads of its features would come too late, or is another's business.
    _spreads_known = False

    def __init__(
        self, layers: Iterable[Part | BoundLayer] | None, name: str | None, seed: int | None
    ) -> None:
        self._layers: tuple[Layer, ...] = ()
        self._n_features: int | None = None
        self._network: _core.Network | None = None
        self.name = "sequential" if name is None else name
        self.seed = utils.draw_seed() if seed is None else seed
        self._make_locks()
        if not hasattr(layers, "__iter__") and layers is not None:
            raise TypeError(f"Sequential: layers must be a list of layers, got {describe(layers)}")
        self._append([] if layers is None else layers)

    if not TYPE_CHECKING:  # a checker of types goes on to know which attributes there are

        def __setattr__(self, name: str, value: object) -> None:
            if name[:1] != "_" and name not in FREE:
                value = checked_assignment(self, name, value)
            object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            check_deletion(self, name)
            object.__delattr__(self, name)

    def __repr__(self) -> str:
        return f"<Sequential {self.name!r}: {len(self._layers)} layers, {'built' if self.built else 'not built'}>"

    @property
    def layers(self) -> list[BoundLayer]:
        """The layers, each bound to this model: the fields of its description, its name and its weights."""
        bound = (BoundLayer(self, i) for i in range(len(self._layers)))
        return FixedList(bound, "model.layers", "model.add and model.pop change the layers")

    @property
    def built(self) -> bool:
        """Whether there are weights: there are layers, and the number of features is known."""
        return self._n_features is not None and bool(self._layers)

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """The names of the columns that the model was fitted on, as scikit-learn has them.

        They are those of the first frame (pandas, polars, Arrow) whose columns all have strings as names, and stay for
        the model's life, in copies and files too. Absent before, and where there was none.
        """
        if self._feature_names is None:
            raise AttributeError("feature_names_in_: the model was not fitted on a frame whose columns have names")
        return np.array(self._feature_names, dtype=object)

    def add(self, layer: Part | BoundLayer) -> None:
        """Appends a layer. Weights that are there stay; the optimizer starts afresh."""
        self._require_idle("add")
        self._append([layer])

    def pop(self) -> None:
        """Removes the last layer. The other weights stay; the optimizer starts afresh."""
        self._require_idle("pop")
        if not self._layers:
            raise ValueError("pop: the model has no layers")
        self._replace_layers(self._layers[:-1])

    def build(self, input_shape: int | tuple[int | None, ...]) -> None:
        """Makes the weights, for so many features: n, ``(n,)`` or ``(None, n)``. Does nothing if they are there.

        Raises:
            ValueError: If there are no layers, the model was built for another number, or the network is larger than
                the memory of this machine.
        """
        self._require_idle("build")
        self._build(check_features("build", "input_shape", input_shape))

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Copies of all weights, layer by layer: kernel, bias, or gamma, beta, moving_mean, moving_variance."""
        return self._require_network("get_weights").get_weights()

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets all weights, in the order and the shapes of :meth:`get_weights`. Moments of the optimizer stay.

        Raises:
            ValueError: If the model is not built, number or shapes do not fit, a value is not finite or a variance is
                negative; then no weight has changed.
            TypeError: If something in the list holds no real numbers.
        """
        network = self._require_network("set_weights")
        network.set_weights(arrays.network_weights(weights, network.weight_info(), "set_weights"))

    def count_params(self) -> int:
        """Number of weights, moving statistics included. ValueError if the model is not built."""
        return sum(math.prod(shape) for _, shape, _ in self._require_network("count_params").weight_info())

    def summary(self, *, print_fn: Callable[[str], object] | None = None, **keras: object) -> None:
        """Prints a table of layers, output shapes and numbers of weights.

        Args:
            print_fn: Called with the whole text in place of ``print``.
            **keras: Keras's other arguments, at the values that ask for nothing.
        """
        refuse_requests("summary", keras)
        (print_fn or print)("\n".join(summary_lines(self)))

    # For the other modules of the package.

    def _require_idle(self, call: str) -> None:
        if self._fit_lock.locked():
            raise RuntimeError(f"{call}: not within a callback, nor while another thread fits the model")

    def _require_layers(self, call: str) -> None:
        if not self._layers:
            raise ValueError(f"{call}: the model has no layers")

    def _require_network(self, call: str) -> _core.Network:
        if self._network is not None:
            return self._network
        self._require_layers(call)
        if not self.built or self._n_features is None:
            raise ValueError(f"{call}: the model is not built; call build or fit first, or give it an Input")
        return self._build(self._n_features)

    def _n_outputs(self, n_features: int) -> int:
        return _width(self._layers, n_features) or n_features

    def _weight_count(self, n_features: int) -> int:
        width, count = n_features, 0
        for layer in self._layers:
            count += layer.weight_count(width)
            width = layer.outputs(width) or width
        return count

    def _build(self, n_features: int) -> _core.Network:
        self._require_layers("build")
        if self._n_features not in (None, n_features):
            raise ValueError(f"build: the model takes {self._n_features} features, got {n_features}")
        if (network := self._network) is not None:
            return network
        with self._making:
            if self._network is None:
                self._network = _core.Network(json.dumps(self._description(n_features)))
                self._n_features = n_features
            return self._network

    def _append(self, items: Iterable[Part | BoundLayer]) -> None:
        extended, features = list(self._layers), self._n_features
        width = _width(extended, features)
        for given in items:
            item: object = given.description if type(given) is BoundLayer else given
            if isinstance(item, Input):
                if extended or features is not None:
                    raise ValueError("Sequential: Input must come first, and once")
                features = width = item.shape[0]
                continue
            if not isinstance(item, Layer):
                hint = "; did you forget the parentheses?" if isinstance(item, type) else ""
                raise TypeError(f"Sequential: expected a layer, got {describe(item)}{hint}")
            if item.input_shape is not None:
                said = item.input_shape[0]
                if width not in (None, said):
                    raise ValueError(f"Sequential: layer {len(extended)} is to take {said} features, but gets {width}")
                if not extended:
                    features = width = said
            width = item.outputs(width)
            extended.append(item)
        layer_names(extended)
        self._replace_layers(tuple(extended))
        self._n_features = features

    def _replace_layers(self, layers: tuple[Layer, ...]) -> None:
        before, old = self._layers, self._network
        self._layers, self._network = layers, None
        if old is not None and self._n_features is not None and layers:
            try:
                network = self._build(self._n_features)
                kept, fresh = old.get_weights(), network.get_weights()
                n = min(len(kept), len(fresh))
                network.set_weights([*kept[:n], *fresh[n:]])
            except BaseException:  # the trained weights must not be lost
                self._layers, self._network = before, old
                raise

    def _make_locks(self) -> None:
        self._fit_lock = Lock()  # held during a fit; others do not wait for it, they raise
        self._making = Lock()  # while the network or the trainer is made

    def _description(self, n_features: int) -> dict[str, Any]:
        return {
            "format": 1,
            "fastreg": _core.__version__,
            "name": self.name,
            "n_features": n_features,
            "seed": self.seed,
            "layers": [layer.to_config() for layer in self._layers],
        }


def _width(layers: Sequence[Layer], n_features: int | None) -> int | None:
    width = n_features
    for layer in layers:
        width = layer.outputs(width)
    return width
