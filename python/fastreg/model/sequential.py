"""``Sequential``: a list of layers that is built, compiled, trained, evaluated and saved.

It holds descriptions and two objects of the core: the network (weights), made by ``build``, and the trainer (optimizer
state), made by the first ``fit`` or ``evaluate`` after ``compile``. Layers and weights are ``core.py``'s, the run
itself is in ``fitting.py``, arrays are converted in ``data/arrays.py``, files are ``files.py``'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg import _core, losses, optimizers
from fastreg import metrics as _metrics
from fastreg.callbacks import Callback, History
from fastreg.data import arrays
from fastreg.data.frames import checked_names
from fastreg.internal.checks import AT_LEAST_ONE, POSITIVE, check_bool, check_int, check_real, unknown_name
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.internal.progress import format_values, say
from fastreg.layers import Layer, Part
from fastreg.losses import Loss
from fastreg.metrics import Metric
from fastreg.model import fitting, pickling
from fastreg.model.core import Stack
from fastreg.model.views import BoundLayer, BoundOptimizer, FixedList
from fastreg.optimizers import LearningRate, Optimizer

if TYPE_CHECKING:
    from fastreg.model.files import StrOrBytesPath

__all__ = ["History", "Sequential"]


class _NotCompiledError(ValueError, AttributeError):
    """A property has no value before ``compile``; ``hasattr`` and what lists members go on."""


class Sequential(Stack):
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
        super().__init__(layers, name, seed)
        self.stop_training = False
        # None before a fit; typed so that a program that has fitted need not ask.
        self.history: History | Any = None
        self._trainer: _core.Trainer | None = None
        self._optimizer: Optimizer | None = None
        self._loss: Loss | None = None
        self._metrics: tuple[str | Metric, ...] = ()

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
        self._require_idle("compile")
        refuse_requests("compile", keras)
        given = optimizer.description if type(optimizer) is BoundOptimizer else optimizer
        chosen = optimizers.get(given, "compile: optimizer")
        chosen_loss = None if loss is None else losses.get(loss, "compile: loss")
        entries = _metrics.listed(metrics)
        self._optimizer, self._loss, self._metrics, self._trainer = chosen, chosen_loss, entries, None

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
        if not self._fit_lock.acquire(blocking=False):
            raise RuntimeError("fit: the model is being fitted already, by another thread or around this callback")
        try:
            return fitting.fit(
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
            self._fit_lock.release()

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
        self._require_network("evaluate")
        self._require_loss("evaluate")
        _check_batch_size("evaluate", batch_size)
        shown, as_dict = fitting.check_verbose("evaluate", verbose), check_bool("evaluate", "return_dict", return_dict)
        checked_names(x, self._feature_names)
        data = fitting.labelled_data(self, x, y, sample_weight, class_weight, self._n_features, rows=rows)
        values = self._trainer_for(None).evaluate(data)
        named = dict(zip(["loss", *(metric.name for metric in self._resolved_metrics())], values, strict=True))
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
        network = self._require_network("predict")
        _check_batch_size("predict", batch_size)
        fitting.check_verbose("predict", verbose)
        if type(x) is not np.ndarray:
            checked_names(x, self._feature_names)
        return network.predict(arrays.features(x, self._n_features))

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
        return _core.Predictor(self._require_network("freeze"), self._feature_names)

    def save(self, path: StrOrBytesPath, include_optimizer: bool = True, **keras: object) -> None:
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
        from fastreg.model import files

        refuse_requests("save", keras)
        files.save(self, path, include_optimizer)

    @property
    def optimizer(self) -> BoundOptimizer:
        """What ``compile`` was given, the learning rate as last set; None before. Its ``learning_rate`` can be set."""
        # None has no place in the type: a program that has compiled would have to ask for it at every use.
        return None if self._optimizer is None else BoundOptimizer(self)  # type: ignore[return-value]

    @property
    def loss(self) -> Loss | None:
        """What ``compile`` was given; None before."""
        return self._loss

    @property
    def metrics(self) -> list[Metric]:
        """What ``compile`` was given, names settled: of ``"accuracy"`` the one that fits. Empty without a loss."""
        found = [] if self._loss is None else self._resolved_metrics()
        return FixedList(found, "model.metrics", "model.compile sets the metrics")

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Setting it, within a callback or outside of ``fit``, replaces a schedule."""
        if self._optimizer is None:
            raise _NotCompiledError("learning_rate: the model is not compiled; call compile first")
        return self._optimizer.rate_at(0 if self._trainer is None else self._trainer.step)

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        optimizer = self._require_optimizer("learning_rate")
        if self._fit_lock.locked() and self._trainer is not None:
            value = check_real("learning_rate", "the value", value, POSITIVE)
            self._trainer.set_learning_rate(value)
        self._optimizer = replace(optimizer, learning_rate=value)

    if not TYPE_CHECKING:  # a type checker knows which members there are

        def __getattr__(self, name: str) -> Any:
            if any(name in vars(kind) for kind in type(self).__mro__):
                # A property raised AttributeError: asked once more, its own message shows.
                return object.__getattribute__(self, name)
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name.startswith("_"):
                raise AttributeError(text)
            known = [known for known in dir(type(self)) if not known.startswith("_")]
            raise AttributeError(text + unknown_name("member", name, known))

    # For the other modules of the package.

    def _require_optimizer(self, call: str) -> Optimizer:
        if self._optimizer is None:
            raise ValueError(f"{call}: the model is not compiled; call compile first")
        return self._optimizer

    def _require_loss(self, call: str) -> Loss:
        self._require_optimizer(call)
        if self._loss is None:
            raise ValueError(f"{call}: the model was compiled without a loss; give compile one")
        return self._loss

    def _resolved_metrics(self, n_features: int | None = None) -> list[Metric]:
        loss = self._require_loss("metrics")
        return _metrics.resolve(self._metrics, loss, self._n_outputs(n_features or self._n_features or 1))

    def _replace_layers(self, layers: tuple[Layer, ...]) -> None:
        super()._replace_layers(layers)
        self._trainer = None

    def _trainer_for(self, n_features: int | None) -> _core.Trainer:
        network = self._require_network("fit") if n_features is None else self._build(n_features)
        if (trainer := self._trainer) is not None:
            return trainer
        with self._making:
            if self._trainer is None:
                self._trainer = _core.Trainer(network, json.dumps(self._training_description(for_file=False)))
            return self._trainer

    def _training_description(self, *, for_file: bool) -> dict[str, Any]:
        optimizer = self._require_optimizer("fit")
        return {
            "format": 1,
            "loss": self._require_loss("fit").to_config(),
            "optimizer": optimizer.to_config() if for_file else optimizer.core_config(),
            "metrics": [metric.to_config() for metric in self._resolved_metrics()],
        }

    # Copying and pickling.

    def __getstate__(self) -> dict[str, Any]:
        return pickling.state_of(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        pickling.restore(self, state)


def _check_batch_size(call: str, value: object) -> None:
    if value is not None:
        check_int(call, "batch_size", value, AT_LEAST_ONE)
