"""``Sequential``: a model that is a list of layers. Everything except the list is in ``Model``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.callbacks.base import Callback
from fastreg.callbacks.history import History
from fastreg.data import arrays
from fastreg.data.frames import checked_names
from fastreg.internal.checks import describe
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.internal.layer_base import Part, check_shape
from fastreg.model import fitting
from fastreg.model.core import CoreModel
from fastreg.model.model import Model, checked_batch_size
from fastreg.model.views import BoundLayer
from fastreg.runtime import get_matmul_precision

if TYPE_CHECKING:
    from fastreg.losses import Loss
    from fastreg.metrics import Metric

__all__ = ["History", "Sequential"]


class Sequential(Model):
    """Layers one after another.

    Args:
        layers: A list of layers, or models, whose weights are then shared. An :class:`~fastreg.layers.Input` may be the
            first one; :meth:`add` appends more.
        *further: Nothing: all layers are in the list.
        name: The name in :meth:`summary`.
        seed: An integer in [0, 2**64). It determines initial weights, shuffling, dropout and ``validation_split``: two
            models with the same seed give the same bits. None draws a seed, which is then in :attr:`seed`.
        **keras: Keras's other arguments, accepted only at values that change nothing.

    Attributes:
        name: The name; can be set.
        seed: The seed. It can be set until the model has weights.
        history: The result of the last ``fit``, even if it raised an exception; None before the first one.
        stop_training: A callback sets it to end the run after the current epoch. A fit without callbacks of your own
            does not check it; to end a run from another thread, use :class:`~fastreg.callbacks.StopSignal`.

    Besides these attributes ``learning_rate`` and ``trainable`` can be set. Setting anything else on a ``Sequential``
    would have no effect and raises AttributeError; a class derived from it may have further attributes.

    Raises:
        ValueError: If an argument is out of range, two layers have the same name, or the input shapes contradict each
            other.
        TypeError: If something in the list is not a layer.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
        >>> y = x[:, 0] - 2 * x[:, 1] > 0
        >>> model = fr.Sequential([fr.layers.Dense(16, "relu"), fr.layers.Dense(1, "sigmoid")], seed=0)
        >>> model.compile("adam", "binary_crossentropy", ["accuracy"])
        >>> history = model.fit(x, y, epochs=50, verbose=0)
        >>> history.history["accuracy"][-1] > 0.9
        True
    """

    _owner = "Sequential"

    def __init__(
        self,
        layers: Iterable[Part | BoundLayer | Model] | None = None,
        *further: NoReturn,
        name: str | None = None,
        seed: int | None = None,
        **keras: object,
    ) -> None:
        refuse_requests("Sequential", keras)
        core = CoreModel(name, seed)
        if further or not (layers is None or hasattr(layers, "__iter__")):
            got = f"{1 + len(further)} arguments" if further else describe(layers)
            raise TypeError(f"Sequential: layers must be a list of layers, Sequential([...]), got {got}")
        core.append(() if layers is None else map(_described, layers))
        self._take(core)

    def add(self, layer: Part | BoundLayer | Model, **keras: object) -> None:
        """Appends a layer. Existing weights are kept; the optimizer is reset. Keras's ``rebuild`` changes nothing."""
        refuse_requests("add", keras)
        with self._core.changing.held:
            self._core.require_idle("add")
            self._core.append([_described(layer)])

    def pop(self, **keras: object) -> None:
        """Removes the last layer. Other weights stay; the optimizer is reset. Keras's ``rebuild`` changes nothing."""
        refuse_requests("pop", keras)
        with self._core.changing.held:
            self._core.require_idle("pop")
            self._core.pop()

    def build(self, input_shape: int | tuple[int | None, ...]) -> None:  # type: ignore[override]
        """Creates the weights for a number of features: n, ``(n,)`` or ``(None, n)``. Does nothing if they exist.

        Where the first layer takes more dimensions, the shape has them: ``(28, 28)`` or ``(None, 28, 28)``.

        Raises:
            ValueError: If there are no layers, the model was built for another number of features, or the network is
                larger than the memory of this machine.
        """
        self._core.require_idle("build")
        self._core.build(check_shape("build", "input_shape", input_shape))

    def predict(  # type: ignore[override]
        self,
        x: ArrayLike,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        **keras: object,
    ) -> NDArray[np.float32]:
        """Computes the outputs for rows of features in inference mode. They are float32, (n, units).

        Args:
            x: Rows of features, (n, features), finite. The columns of a frame must have the same names as in ``fit``.
            batch_size: The rows of a batch, for ``steps`` and for hooks of callbacks; None means 32. Results do not
                depend on it otherwise; the core chooses its own blocks of rows.
            verbose: Has no effect and is accepted because Keras has it; nothing is shown.
            steps: The number of batches to predict, >= 1: the first rows. None means all rows.
            callbacks: Callbacks, of which the ``on_predict_...`` hooks are called.
            **keras: Keras's other arguments, accepted only at values that change nothing.

        Raises:
            ValueError: If the model is not built, or for bad data.
        """
        if steps is not None or callbacks is not None or keras:
            outputs: NDArray[np.float32] = super().predict(x, batch_size, verbose, steps, callbacks, **keras)
            return outputs
        core = self._core
        network = core.require_network("predict")
        if batch_size is not None:
            checked_batch_size("predict", batch_size)
        if type(verbose) is not int or verbose != 0:
            fitting.check_verbose("predict", verbose)
        if type(x) is not np.ndarray:
            checked_names(x, core.feature_names)
        rule = core.input_rules[0]
        # Where any finite number will do, the core checks x while it reads it.
        in_passing = rule.limit is None and not rule.missing
        rows = arrays.features(x, core.input_shape, rule=rule, checks=not in_passing)
        precision = core.matmul_precision or get_matmul_precision()
        found = network.predict_if_finite(rows, precision) if in_passing else network.predict(rows, None, precision)
        if found is None:  # the same with its checks says what is wrong, unless x has been changed
            found = network.predict(arrays.features(x, core.input_shape, rule=rule), None, precision)
        return found if core.flat_outputs else core.shaped(found)

    if TYPE_CHECKING:  # the types that these properties have in a model with one output

        @property
        def loss(self) -> Loss | None:
            """See :class:`fastreg.Model`."""

        @property
        def metrics(self) -> list[Metric]:
            """See :class:`fastreg.Model`."""


def _described(part: Part | BoundLayer | Model) -> object:
    """Returns the description of a layer, a model as a layer, and anything else unchanged."""
    if isinstance(part, Model):
        return part.as_layer()
    return part.description if type(part) is BoundLayer else part


def bound_layer(model: Sequential, index: int) -> BoundLayer:
    """Returns a layer of a model. Pickles that were written before models had a core call this function."""
    return model.layers[index]
