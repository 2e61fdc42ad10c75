"""``Sequential``: the face of a model that is a list of layers, to build, compile, train, evaluate and save.

It has what users call, with its documentation. What a model is stands in ``core.py``; the run itself is in
``fitting.py``, arrays are converted in ``data/arrays.py``, files are ``files.py``'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import _core
from fastreg.callbacks import Callback, History
from fastreg.data import arrays
from fastreg.data.frames import checked_names
from fastreg.internal.checks import AT_LEAST_ONE, check_bool, check_int, describe
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.internal.progress import format_values, say
from fastreg.layers import Part, check_features
from fastreg.losses import Loss
from fastreg.metrics import Metric
from fastreg.model import files, fitting
from fastreg.model.core import CoreModel
from fastreg.model.face import Face
from fastreg.model.views import BoundLayer, BoundOptimizer, FixedList, summary_lines
from fastreg.optimizers import Optimizer

__all__ = ["History", "Sequential"]



class Sequential(Face):
    """Layers one after another.

    Args:
        layers: Layers, an :class:`~fastreg.layers.Input` in front or not; :meth:`add` takes more.
        name: Name in :meth:`summary`.
        seed: In [0, 2**64): decides initial weights, shuffling, dropout and ``validation_split``, so that two models
            with one seed give the same bits. None draws one, which :attr:`seed` then tells.
        **keras: Keras's other arguments, at the values that ask for nothing.

    Attributes:
        name: The name; can be set.
        seed: The seed. It can be set until the model has weights.
        history: What the last ``fit`` returned, or would have if it had not raised; None before.
        stop_training: A callback sets it to end the run after the present epoch. A fit without callbacks of one's own
            need not look at it: another thread ends a run by :class:`~fastreg.callbacks.StopSignal`.

    Besides these ``learning_rate`` can be set. Setting anything else on a ``Sequential`` would have no effect and
    raises AttributeError; a class derived from it may have further attributes.

    Raises:
        ValueError: If an argument is out of range, two layers have one name or the input shapes contradict each other.
        TypeError: If something in the list is no layer.

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

    def __init__(
        self,
        layers: Iterable[Part | BoundLayer] | None = None,
        *,
        name: str | None = None,
        seed: int | None = None,
        **keras: object,
    ) -> None:
        refuse_requests("Sequential", keras)
        core = CoreModel(name, seed)
        if not hasattr(layers, "__iter__") and layers is not None:
            raise TypeError(f"Sequential: layers must be a list of layers, got {describe(layers)}")
        core.append(() if layers is None else map(_described, layers))
        self._take(core)

    def __repr__(self) -> str:
        count = len(self._core.layers)
        return f"<Sequential {self.name!r}: {count} layers, {'built' if self.built else 'not built'}>"

    @property
    def layers(self) -> list[BoundLayer]:
        """The layers, each bound to this model: the fields of its description, its name and its weights."""
        bound = (BoundLayer(self._core, i) for i in range(len(self._core.layers)))
        return FixedList(bound, "model.layers", "model.add and model.pop change the layers")

    def add(self, layer: Part | BoundLayer) -> None:
        """Appends a layer. Weights that are there stay; the optimizer starts afresh."""
        self._core.require_idle("add")
        self._core.append([_described(layer)])

    def pop(self) -> None:
        """Removes the last layer. The other weights stay; the optimizer starts afresh."""
        self._core.require_idle("pop")
        self._core.pop()

    def build(self, input_shape: int | tuple[int | None, ...]) -> None:
        """Makes the weights, for so many features: n, ``(n,)`` or ``(None, n)``. Does nothing if they are there.

        Raises:
            ValueError: If there are no layers, the model was built for another number, or the network is larger than
                the memory of this machine.
        """
        self._core.require_idle("build")
        self._core.build(check_features("build", "input_shape", input_shape))

    def get_weights(self) -> list[NDArray[np.float32]]:
        """Copies of all weights, layer by layer: kernel, bias, or gamma, beta, moving_mean, moving_variance."""
        return self._core.require_network("get_weights").get_weights()

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Sets all weights, in the order and the shapes of :meth:`get_weights`. Moments of the optimizer stay.

        Raises:
            ValueError: If the model is not built, number or shapes do not fit, a value is not finite or a variance is
                negative; then no weight has changed.
            TypeError: If something in the list holds no real numbers.
        """
        self._core.set_weights(weights)

    def count_params(self) -> int:
        """Number of weights, moving statistics included. ValueError if the model is not built."""
        return sum(math.prod(shape) for _, shape, _ in self._core.require_network("count_params").weight_info())

    def summary(self, *, print_fn: Callable[[str], object] | None = None, **keras: object) -> None:
        """Prints a table of layers, output shapes and numbers of weights.

        Args:
            print_fn: Called with the whole text in place of ``print``.
            **keras: Keras's other arguments, at the values that ask for nothing.
        """
        refuse_requests("summary", keras)
        (print_fn or print)("\n".join(summary_lines(self._core)))

    def compile(
        self,
        optimizer: Optimizer | BoundOptimizer | str = "rmsprop",
        loss: Loss | str | None = None,
        metrics: Iterable[Metric | str] | str | None = None,
        **keras: object,
    ) -> None:
        """Says how to train. Weights stay; moments, step count and epoch count start afresh.

        Args:
            optimizer: One of :mod:`fastreg.optimizers`, or a name such as ``"adam"``.
            loss: One of :mod:`fastreg.losses`, or a name such as ``"mse"``; ``fit`` and ``evaluate`` need one.
            metrics: List of :mod:`fastreg.metrics` or names; ``"accuracy"`` is the one that fits loss and outputs.
            **keras: Keras's other arguments, at the values that ask for nothing.

        Raises:
            ValueError: If a name is unknown; the message lists the known ones.
            TypeError: If an argument is of the wrong kind.
            RuntimeError: Within a callback.
        """
        self._core.require_idle("compile")
        refuse_requests("compile", keras)
        given = optimizer.description if type(optimizer) is BoundOptimizer else optimizer
        self._core.compile(given, loss, metrics)

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Sequence[ArrayLike | None] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        *,
        rows: ArrayLike | None = None,
        validation_rows: ArrayLike | None = None,
        **keras: object,
    ) -> History:
        """Trains, from the present weights, moments, step and epoch on; builds the model if it is not.

        Args:
            x: Rows of features, (n, features); see :mod:`fastreg.data.arrays` for what is converted and how. What needs
                no conversion is read where it is, in every epoch: it must not change during the run, neither in a
                callback nor in another thread, or the run uses now the old values and now the new ones. The column
                names of the first frame are remembered, if all are strings; see :attr:`feature_names_in_`. A frame
                with others, or in another order, is refused from then on, here and in ``evaluate`` and ``predict``;
                arrays have no names and are taken as they are.
            y: Targets, as the loss describes them. They and ``validation_data`` must stay as they are, too.
            batch_size: Rows of a step, >= 1; None, or more than there are, is all of them.
            epochs: Epoch to end before, counted from 0; with ``initial_epoch=0`` the number of epochs.
            verbose: 0 shows nothing, 1 progress on standard error, 2 a line for each epoch there.
            callbacks: List of :mod:`fastreg.callbacks`.
            validation_split: Share of the rows to hold out, in [0, 1): drawn by the model's seed, and of every class
                its share where the targets are classes. The same rows at every call.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to score after every epoch instead.
            shuffle: Draw a new order of the rows for every epoch.
            class_weight: ``{label: weight}``, a missing label weighing 1, or ``"balanced"``; for training rows only.
            sample_weight: A weight >= 0 for each row, not all 0; only their ratios count. Training divides them, those
                of classes included, by their mean over all rows that are trained on, and takes the gradient of a batch
                from the sum of weight times loss divided by the number of its rows. The loss that is reported is the
                weighted mean over the epoch. Metrics are not weighted.
            initial_epoch: Number that the first epoch has in callbacks and history, in [0, ``epochs``].
            rows: Indices of the rows of x, y and ``sample_weight`` to train on, in any order; one that is there twice
                counts twice. The others are not trained on, but checked as all are. Nothing is copied, so that many
                fits can share one x. None is all, but for those of ``validation_rows``. ``validation_split`` splits
                the rows given, with all copies of a row on one side.
            validation_rows: Indices of the rows of x, y and ``sample_weight`` to score after every epoch. At most one
                of ``validation_split``, ``validation_data`` and this may be given.
            **keras: Keras's other arguments, at the values that ask for nothing.

        Returns:
            The history: values by key, and the epochs.

        Raises:
            ValueError: If an argument is out of range, or something in it; nothing has changed then.
            TypeError: If an argument is of the wrong kind.
            DivergenceError: If a loss or a weight is no longer finite. Weights are the last finite best ones.
            MemoryError: If there is no memory. The model is as before, or that of the last complete epoch.
            RuntimeError: Within a callback, or while another thread fits this model.
        """
        refuse_requests("fit", keras)
        if not self._core.fit_lock.acquire(blocking=False):
            raise RuntimeError("fit: the model is being fitted already, by another thread or around this callback")
        try:
            return fitting.fit(
                self._core,
                self,
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                rows=rows,
                validation_rows=validation_rows,
            )
        finally:
            self._core.fit_lock.release()

    @overload
    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        verbose: int | str = 1,
        sample_weight: ArrayLike | None = None,
        *,
        return_dict: Literal[True],
        class_weight: Mapping[Any, float] | str | None = None,
        rows: ArrayLike | None = None,
        **keras: object,
    ) -> dict[str, float]: ...
    @overload
    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        verbose: int | str = 1,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
        *,
        class_weight: Mapping[Any, float] | str | None = None,
        rows: ArrayLike | None = None,
        **keras: object,
    ) -> Any: ...  # a float, or a list of them: a type checker cannot know whether there are metrics
    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int | None = None,
        verbose: int | str = 1,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
        *,
        class_weight: Mapping[Any, float] | str | None = None,
        rows: ArrayLike | None = None,
        **keras: object,
    ) -> float | list[float] | dict[str, float]:
        """Loss, penalties included, and metrics, in inference mode.

        Args:
            x: Rows of features; of a frame the columns must have the names that they had in ``fit``.
            y: Targets, as for ``fit``.
            batch_size: Taken for Keras's sake; the core chooses its own blocks, and the result does not depend on it.
            verbose: 1 writes the values to standard error, 0 does not.
            sample_weight: As for ``fit``.
            return_dict: Give a dict by key.
            class_weight: As for ``fit``.
            rows: Indices of the rows to score, as for ``fit``; None is all.
            **keras: Keras's other arguments, at the values that ask for nothing.

        Returns:
            The loss; with metrics the list of the loss and them; a dict where asked for.

        Raises:
            ValueError: If the model is not built or compiled with a loss, or for bad data.
        """
        refuse_requests("evaluate", keras)
        self._core.require_network("evaluate")
        self._core.require_loss("evaluate")
        _check_batch_size("evaluate", batch_size)
        shown, as_dict = fitting.check_verbose("evaluate", verbose), check_bool("evaluate", "return_dict", return_dict)
        checked_names(x, self._core.feature_names)
        data = fitting.labelled_data(self._core, x, y, sample_weight, class_weight, self._core.n_features, rows=rows)
        values = self._core.trainer_for(None).evaluate(data)
        named = dict(zip(["loss", *(metric.name for metric in self._core.resolved_metrics())], values, strict=True))
        if shown:
            say(format_values(named))
        return named if as_dict else values if len(values) > 1 else values[0]

    def predict(
        self, x: ArrayLike, batch_size: int | None = None, verbose: int | str = 0, **keras: object
    ) -> NDArray[np.float32]:
        """Outputs for rows of features, in inference mode: float32 (n, units).

        Args:
            x: Rows of features, (n, features), finite; of a frame the columns must have the names that they had in
                ``fit``.
            batch_size: Taken for Keras's sake; rows do not depend on each other, the core chooses its own blocks.
            verbose: Taken for Keras's sake; nothing is shown.
            **keras: Keras's other arguments, at the values that ask for nothing.

        Raises:
            ValueError: If the model is not built, or for bad data.
        """
        if keras:
            refuse_requests("predict", keras)
        network = self._core.require_network("predict")
        _check_batch_size("predict", batch_size)
        fitting.check_verbose("predict", verbose)
        if type(x) is not np.ndarray:
            checked_names(x, self._core.feature_names)
        return network.predict(arrays.features(x, self._core.n_features))

    def freeze(self) -> _core.Predictor:
        """What serves predictions fastest: a :class:`fastreg.Predictor` with the present weights.

        Dropout is gone, batch normalisation is folded into the dense layers beside it, weights are packed, and a call
        of one row takes a microsecond or less on small networks. Training this model further does not change it. It
        may be called from many threads and pickled.

        Returns:
            ``p``, so that ``p(x)`` is ``predict(x)`` up to rounding, and ``p(x, out=y)`` writes to ``y`` and returns
            it. Unlike ``predict`` it does not look for NaN: such a row gives NaN, the others are as ever, and no
            rows give no rows. Names of columns are compared as ``predict`` does.

        Raises:
            ValueError: If the model is not built.

        Example:
            >>> import numpy as np
            >>> import fastreg as fr
            >>> model = fr.Sequential([fr.Input((4,)), fr.layers.Dense(8, "relu"), fr.layers.Dense(1)], seed=0)
            >>> p = model.freeze()
            >>> p
            <Predictor: 4 -> 8 relu -> 1>
            >>> y = np.empty((1, 1), np.float32)
            >>> p(np.ones((1, 4), np.float32), out=y) is y
            True
        """
        return _core.Predictor(self._core.require_network("freeze"), self._core.feature_names)

    def save(self, path: files.StrOrBytesPath, include_optimizer: bool = True, **keras: object) -> None:
        """Writes the model to a file, whole or not at all; :func:`fastreg.load` reads it.

        Args:
            path: The file, ``.safetensors`` as a rule; what is there is replaced. Names of Keras's files (``.keras``,
                ``.h5``) are taken with a warning, since Keras cannot read what is in it.
            include_optimizer: Save how the model was compiled too, and the state of the optimizer, so that training
                can go on exactly.
            **keras: Keras's other arguments, at the values that ask for nothing.

        Raises:
            ValueError: If the model is not built, its schedule is a callable that is not of ``fastreg.schedules``, or
                the name ends as those of another format do (``.pt``, ``.onnx``, ``.npz``, ``.pkl``).
            OSError: If the file cannot be written.
        """
        refuse_requests("save", keras)
        files.save(self._core, path, include_optimizer)

def _described(part: Part | BoundLayer) -> object:
    """A layer as its description, and anything else as it is."""
    return part.description if type(part) is BoundLayer else part


def bound_layer(model: Sequential, index: int) -> BoundLayer:
    """A layer of a model, as pickles of it had it before models had a core."""
    return model.layers[index]


def _check_batch_size(call: str, value: object) -> None:
    if value is not None:
        check_int(call, "batch_size", value, AT_LEAST_ONE)
