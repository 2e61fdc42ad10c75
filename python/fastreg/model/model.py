"""``Model``: the class of a model, with methods to compile, train, evaluate, freeze and save it.

It has the methods that users call, and their documentation; ``Sequential`` derives from it. ``core.py`` holds the state
of a model, ``tracing.py`` collects the layers that were called on values, ``fitting.py`` runs a fit, ``arguments.py``
splits arguments by input and output, and ``files.py`` reads and writes files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, Literal, cast, overload

from numpy.typing import ArrayLike

from fastreg import _core
from fastreg.callbacks.base import Callback
from fastreg.callbacks.history import History
from fastreg.internal.call_errors import wants_targets
from fastreg.internal.checks import AT_LEAST_ONE, check_bool, check_int
from fastreg.internal.keras_arguments import refuse_requests
from fastreg.internal.progress import format_values, say
from fastreg.metrics import Metric
from fastreg.model import files, fitting
from fastreg.model.arguments import checked_input_names, features_of, inputs_of
from fastreg.model.batches import Batches
from fastreg.model.core import CoreModel
from fastreg.model.given_callbacks import checked_list
from fastreg.model.hooks import BATCH, predicted, scored
from fastreg.model.rows import first_rows
from fastreg.model.tracing import traced
from fastreg.model.views import BoundOptimizer, FixedList
from fastreg.optimizers import Optimizer
from fastreg.runtime import get_matmul_precision

__all__ = ["History", "Model"]

# One array; or for several inputs or outputs a list with one array for each, or a dict by their names.
Arrays = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]


class Model(Batches):
    """A network whose layers are connected in any way without cycles, with one or several inputs and outputs.

    Layers are called on values: on an ``Input``, or on the output of other layers. ``Model`` takes the layers between
    inputs and outputs and has weights of its own for them. Unlike in Keras, two models over the same layers share no
    weights.

    Args:
        inputs: An :class:`~fastreg.layers.Input`, a list of them, or a dict by name.
        outputs: One value that a layer returned, a list of them, or a dict by name. ``predict`` returns its outputs in
            the same form, but one array for a list of one value.
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

    An input has the name of its ``Input``, and an output that of the layer that makes it; if a dict is given, its keys
    are the names. With several inputs or outputs, ``fit``, ``evaluate`` and ``predict`` take a list of arrays in their
    order or a dict by their names. Layers and weights are in Keras's order.

    Besides these attributes ``learning_rate`` and ``trainable`` can be set. Setting anything else on a model would have
    no effect and raises AttributeError; a class derived from it may have further attributes.

    Raises:
        ValueError: If an argument is out of range, an output depends on an input that is not given, an input or a layer
            occurs twice, or two inputs, outputs or layers have the same name.
        TypeError: If an input is not an ``Input``, or an output is not the output of a layer.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(2, 256, 3)).astype("float32")
        >>> left, right = fr.Input((3,), name="a"), fr.Input((3,), name="b")
        >>> both = fr.layers.Concatenate()([fr.layers.Dense(16, "tanh")(left), right])
        >>> y = fr.layers.Dense(1, name="y")(fr.layers.Dense(16, "tanh")(both))
        >>> model = fr.Model([left, right], y, seed=0)
        >>> model.compile(fr.optimizers.Adam(0.01), "mse")
        >>> history = model.fit({"a": a, "b": b}, a[:, 0] * b[:, 0], epochs=100, verbose=0)
        >>> history.history["loss"][-1] < 0.2
        True
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, *, seed: int | None = None, **keras: object
    ) -> None:
        refuse_requests("Model", keras)
        self._take(CoreModel(name, seed, *traced(inputs, outputs)))

    def compile(
        self,
        optimizer: Optimizer | BoundOptimizer | str | Mapping[str, Any] = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        *,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        matmul_precision: str | None = None,
        **keras: object,
    ) -> None:
        """Sets how the model is trained. Weights are kept; moments and the counts of steps and epochs are reset.

        Args:
            optimizer: One of :mod:`fastreg.optimizers`, a name such as ``"adam"``, or a form as of ``to_config``.
            loss: One of :mod:`fastreg.losses`, a name such as ``"mse"``, or a function of ``(y_true, y_pred)`` that
                returns values and their gradient, see :class:`fastreg.losses.Custom`; ``fit`` and ``evaluate`` need
                one. With several outputs it is one loss for all of them, a list with one for each, or a dict by their
                names.
            metrics: A list of :mod:`fastreg.metrics`, names or functions of ``(y_true, y_pred)``; ``"accuracy"`` means
                the one that matches loss and outputs. They do not use the weights of rows. With several outputs it is a
                list with a metric, a list or None for each output, or a dict by their names; a single name is used for
                every output.
            loss_weights: The factor >= 0 of each output's loss in their sum: a list, or a dict by the names of the
                outputs. The factor of an output that the dict does not have is 1; None means 1 for all.
            weighted_metrics: As ``metrics``, but they use the weights of rows, those of classes included. In the
                history they follow the others; one whose name is taken has ``weighted_`` in front.
            matmul_precision: How ``fit``, ``predict`` and ``evaluate`` compute the matrix products of dense layers:
                ``"highest"``, ``"high"`` or ``"medium"``, see :func:`fastreg.set_matmul_precision`. None is what that
                has set. Copies and files keep it.
            **keras: Keras's other arguments, accepted only at values that change nothing.

        With several outputs ``loss`` in the history is the weighted sum of the losses and the penalties; the loss of
        output ``a`` is ``a_loss``, without weight and penalties, and its metrics are ``a_accuracy`` and so on.

        Raises:
            ValueError: If a name or word is unknown, an output has no loss, or a key is not the name of an output.
            TypeError: If an argument is of the wrong kind.
            RuntimeError: Within a callback.
        """
        refuse_requests("compile", keras)
        given = optimizer.description if type(optimizer) is BoundOptimizer else optimizer
        with self._core.changing.held:
            self._core.require_idle("compile")
            self._core.compile(given, loss, metrics, loss_weights, weighted_metrics, matmul_precision)

    @wants_targets
    def fit(
        self,
        x: Arrays,
        y: Arrays,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Callback | Iterable[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | str | None = None,
        sample_weight: Arrays | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Collection[int] = 1,
        *,
        rows: ArrayLike | None = None,
        validation_rows: ArrayLike | None = None,
        **keras: object,
    ) -> History:
        """Trains, starting from the current weights, moments, step and epoch. Builds the model if it is not built yet.

        Args:
            x: Rows of features, (n, features); :mod:`fastreg.data.arrays` says what is converted and how. Arrays that
                need no conversion are read in place, in every epoch: they must not change during the run, neither in a
                callback nor in another thread, or the run uses sometimes old and sometimes new values. The column
                names of the first frame are remembered, if all are strings; see :attr:`feature_names_in_`. A frame with
                others, or in another order, is refused from then on, here and in ``evaluate`` and ``predict``; arrays
                have no names and are accepted. With several inputs it is a list with an array or frame for each, or a
                dict by their names.
            y: Targets, as the loss describes them. They and ``validation_data`` must not change, either. With several
                outputs it is a list with an array for each, or a dict by their names. Strings as labels, for one
                output, become ``classes_``.
            batch_size: The number of rows of a step, >= 1. None, or more than there are, means all rows.
            epochs: The run ends before this epoch, counted from 0; with ``initial_epoch=0`` it is the number of epochs.
            verbose: 0 shows nothing, 1 shows progress on standard error, 2 writes a line for each epoch there.
            callbacks: A list of :mod:`fastreg.callbacks`.
            validation_split: The fraction of the rows to hold out, in [0, 1). The model's seed draws them, the same
                rows at every call. If targets are classes (those of the first such output), every class has the same
                fraction.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to score after every epoch instead.
            shuffle: Whether to draw a new order of the rows for every epoch.
            class_weight: ``{label: weight}``, where a missing label has the weight 1, or ``"balanced"``. It applies to
                training rows only, and to models with one output.
            sample_weight: A weight >= 0 for each row, not all 0; only their ratios count. Training divides them,
                including those of classes, by their mean over all training rows, and takes the gradient of a batch from
                the sum of weight times loss divided by the number of its rows. The loss that is reported is the
                weighted mean over the epoch, and weighted metrics are weighted, too. With several outputs an array
                applies to all of them; a list has an array or None for each; a dict by their names may leave out some.
            initial_epoch: The number that the first epoch has in callbacks and history, in [0, ``epochs``].
            steps_per_epoch: The number of batches of an epoch, >= 1. The next epoch goes on where it ended, and a new
                order is drawn whenever all rows have had their turn. None means every row once.
            validation_steps: The number of batches to validate on, >= 1: the first rows of the validation data. None
                means all rows.
            validation_batch_size: The rows of such a batch, >= 1, and of those that hooks of callbacks see; None means
                ``batch_size``. Results depend on it only through ``validation_steps``.
            validation_freq: 1 validates after every epoch, n after every n-th; a list has the epochs, counted from 1,
                after which to validate. An epoch without validation has no values of it in the history and in logs,
                and early stopping by such a value does not count it.
            rows: Indices of the rows of x, y and ``sample_weight`` to train on, in any order; a row that occurs twice
                counts twice. The others are not trained on, but they are checked, too. Nothing is copied, so that many
                fits can share one x. None means all rows except ``validation_rows``. ``validation_split`` splits the
                given rows and keeps all copies of a row together.
            validation_rows: Indices of the rows of x, y and ``sample_weight`` to score after every epoch. At most one
                of ``validation_split``, ``validation_data`` and this may be given.
            **keras: Keras's other arguments, accepted only at values that change nothing.

        Returns:
            The history, which has the values by key, and the epochs.

        Raises:
            ValueError: If an argument, or a value in it, is out of range; the model is then unchanged.
            TypeError: If an argument is of the wrong kind.
            DivergenceError: If a loss or a weight is no longer finite. The weights are then the best finite ones.
            MemoryError: If there is not enough memory. The model is unchanged, or in the state of the last complete
                epoch.
            RuntimeError: Within a callback, or while another thread fits this model.
        """
        refuse_requests("fit", keras)
        with (own := Lock()):
            if not self._core.fitted.begin(own):
                raise RuntimeError("fit: the model is being fitted already, by another thread or around this callback")
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
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
                rows=rows,
                validation_rows=validation_rows,
            )

    @overload
    def evaluate(
        self,
        x: Arrays,
        y: Arrays,
        batch_size: int | None = None,
        verbose: int | str = 1,
        sample_weight: Arrays | None = None,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        *,
        return_dict: Literal[True],
        class_weight: Mapping[Any, float] | str | None = None,
        rows: ArrayLike | None = None,
        **keras: object,
    ) -> dict[str, float]: ...
    @overload
    def evaluate(
        self,
        x: Arrays,
        y: Arrays,
        batch_size: int | None = None,
        verbose: int | str = 1,
        sample_weight: Arrays | None = None,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        return_dict: bool = False,
        *,
        class_weight: Mapping[Any, float] | str | None = None,
        rows: ArrayLike | None = None,
        **keras: object,
    ) -> Any: ...  # a float or a list of floats: a type checker cannot know whether there are metrics
    @wants_targets
    def evaluate(
        self,
        x: Arrays,
        y: Arrays,
        batch_size: int | None = None,
        verbose: int | str = 1,
        sample_weight: Arrays | None = None,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        return_dict: bool = False,
        *,
        class_weight: Mapping[Any, float] | str | None = None,
        rows: ArrayLike | None = None,
        **keras: object,
    ) -> float | list[float] | dict[str, float]:
        """Computes the loss, including penalties, and the metrics, in inference mode.

        Args:
            x: Rows of features. The columns of a frame must have the same names as in ``fit``.
            y: Targets, as for ``fit``.
            batch_size: The rows of a batch, for ``steps`` and for hooks of callbacks; None means 32. Results do not
                depend on it otherwise; the core chooses its own blocks of rows.
            verbose: 1 writes the values to standard error, 0 does not.
            sample_weight: As for ``fit``.
            steps: The number of batches to score, >= 1: the first rows. None means all rows.
            callbacks: Callbacks, of which the ``on_test_...`` hooks are called.
            return_dict: Whether to return a dict by key.
            class_weight: As for ``fit``.
            rows: Indices of the rows to score, as for ``fit``; None is all.
            **keras: Keras's other arguments, accepted only at values that change nothing.

        Returns:
            The loss, or with metrics the list of the loss and the metrics, or a dict if ``return_dict`` is set. With
            several outputs these are the total loss, the losses of the outputs and their metrics, as :meth:`compile`
            says.

        Raises:
            ValueError: If the model is not built or compiled with a loss, or for bad data.
        """
        refuse_requests("evaluate", keras)
        self._core.require_network("evaluate")
        self._core.require_losses("evaluate")
        items, size = checked_list(callbacks, "evaluate"), checked_batch_size("evaluate", batch_size)
        shown, as_dict = fitting.check_verbose("evaluate", verbose), check_bool("evaluate", "return_dict", return_dict)
        core = self._core
        parts = inputs_of(core, x)
        checked_input_names(parts, core.feature_names)
        data = fitting.labelled_data(core, parts, y, sample_weight, class_weight, core.known_shape(), rows=rows)
        if steps is not None:
            data = first_rows(data, check_int("evaluate", "steps", steps, AT_LEAST_ONE) * size)
        trainer, (keys, functions) = core.trainer_for(None), core.reported(core.known_shape())
        if items:
            self._begin(items)
            evaluate = partial(trainer.evaluate, functions=functions)
            values = scored(evaluate, data, list(keys), size, items)
        else:
            values = trainer.evaluate(data, functions)
        if shown or as_dict:
            named = dict(zip(keys, values, strict=True))
            if shown:
                say(format_values(named))
            if as_dict:
                return named
        return values if len(values) > 1 else values[0]

    def predict(
        self,
        x: Arrays,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
        callbacks: Callback | Iterable[Callback] | None = None,
        **keras: object,
    ) -> Any:
        """Computes the outputs for rows of features in inference mode. They are float32, (n, units).

        Args:
            x: Rows of features, (n, features), finite. The columns of a frame must have the same names as in ``fit``.
                With several inputs it is a list with an array or frame for each, or a dict by their names.
            batch_size: The rows of a batch, for ``steps`` and for hooks of callbacks; None means 32. Results do not
                depend on it otherwise; the core chooses its own blocks of rows.
            verbose: Has no effect and is accepted because Keras has it; nothing is shown.
            steps: The number of batches to predict, >= 1: the first rows. None means all rows.
            callbacks: Callbacks, of which the ``on_predict_...`` hooks are called.
            **keras: Keras's other arguments, accepted only at values that change nothing.

        Returns:
            One array, a list of them, or a dict, in the form in which the model was given its outputs.

        Raises:
            ValueError: If the model is not built, or for bad data.
        """
        refuse_requests("predict", keras)
        core = self._core
        network = core.require_network("predict")
        items, size = checked_list(callbacks, "predict"), checked_batch_size("predict", batch_size)
        fitting.check_verbose("predict", verbose)
        parts = inputs_of(core, x)
        checked_input_names(parts, core.feature_names)
        features = features_of(core, parts)
        n = len(features[0])
        if steps is not None:
            n = min(n, check_int("predict", "steps", steps, AT_LEAST_ONE) * size)
        in_form = core.graph is not None and core.graph.output_form == "dict"
        precision = core.matmul_precision or get_matmul_precision()

        def outputs_of_rows(begin: int, end: int) -> Any:
            given = [array if (begin, end) == (0, len(array)) else array[begin:end] for array in features]
            outputs = core.shaped(network.predict(given[0] if len(given) == 1 else given, None, precision))
            if not in_form:
                return outputs
            return dict(zip(core.output_names, [outputs] if len(core.output_names) == 1 else outputs, strict=True))

        self._begin(items)
        return predicted(outputs_of_rows, n, size, items) if items else outputs_of_rows(0, n)

    def _begin(self, items: Sequence[Callback]) -> None:
        """Gives callbacks the model, unless a fit has given them one."""
        for item in items:
            item.set_model(self)
            item.set_params({})

    def freeze(self, matmul_precision: str | None = None) -> _core.Predictor:
        """Makes a :class:`fastreg.Predictor` with the current weights, which serves predictions fastest.

        It has no dropout, batch normalisation is folded into the neighbouring dense layers, and weights are packed. A
        call for one row takes a microsecond or less on small networks. Training this model further does not change it.
        Any number of threads may call it, and it can be pickled.

        Args:
            matmul_precision: How it computes the products of dense layers, see :func:`fastreg.set_matmul_precision`.
                None is the precision that the model was compiled with, or else the current setting.

        Returns:
            ``p``, such that ``p(x)`` is ``predict(x)`` up to rounding and the precision, and ``p(x, out=y)`` writes to
            ``y`` and returns it. Unlike ``predict``, it does not check for NaN: a row with a NaN gives NaN, and other
            rows are not affected. An ``x`` without rows is allowed. Names of columns are compared as in ``predict``.
            With several inputs or outputs the call is ``p([a, b], out=[y1, y2])``, in the order of :attr:`input_names`
            and :attr:`output_names`; each list may be a dict by these names. With several outputs the result is a list.
            If rows have other than one dimension, ``p`` takes and gives them in their shapes.

        Raises:
            ValueError: If the model is not built, or the word is unknown.

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
        core = self._core
        given = core.matmul_precision if matmul_precision is None else matmul_precision
        precision = core.precision_of("freeze", given)
        predictor = _core.Predictor(core.require_network("freeze"), core.feature_names, precision)
        inputs, outputs = [shape or () for shape in core.input_shapes()], core.output_shapes(core.known_shape())
        if all(len(shape) == 1 for shape in (*inputs, *outputs)):
            return predictor
        from fastreg.model.shaped import ShapedPredictor

        return cast(_core.Predictor, ShapedPredictor(predictor, inputs, outputs))  # it has the same call

    def save(self, filepath: files.StrOrBytesPath, include_optimizer: bool = True, **keras: object) -> None:
        """Writes the model to a file, completely or not at all. :func:`fastreg.load` reads it.

        Args:
            filepath: The file, usually ``.safetensors``. An existing file is replaced. Names of Keras's files
                (``.keras``, ``.h5``) are accepted with a warning, because Keras cannot read the content.
            include_optimizer: Whether to save how the model was compiled and the state of the optimizer, too, so that
                training can continue exactly.
            **keras: Keras's other arguments, accepted only at values that change nothing.

        Raises:
            ValueError: If the model is not built, its schedule is a callable that is not of ``fastreg.schedules``, or
                the name ends as those of another format do (``.pt``, ``.onnx``, ``.npz``, ``.pkl``).
            OSError: If the file cannot be written.
        """
        refuse_requests("save", keras)
        files.save(self._core, filepath, include_optimizer)

    @property
    def optimizer(self) -> BoundOptimizer:
        """The optimizer, with the learning rate as last set; None before ``compile``.

        Its ``learning_rate`` can be set.
        """
        # The type does not include None, because a program would have to check for it at every use.
        return None if self._core.optimizer is None else BoundOptimizer(self._core)  # type: ignore[return-value]

    @property
    def loss(self) -> Any:
        """The loss; None before ``compile``. With several outputs it is a dict by their names."""
        if not self._core.losses:
            return None
        several = len(self._core.losses) > 1
        return dict(zip(self._core.output_names, self._core.losses, strict=True)) if several else self._core.losses[0]

    @property
    def metrics(self) -> Any:
        """The metrics, then the weighted ones, with the one that fits for ``"accuracy"``; an empty list without a loss.

        With several outputs it is a dict of such lists by their names.
        """
        found: list[list[Metric]] = self._core.resolved_metrics() if self._core.losses else [[]]
        lists = [FixedList(one, "model.metrics", "model.compile sets the metrics") for one in found]
        return dict(zip(self._core.output_names, lists, strict=True)) if len(lists) > 1 else lists[0]

def checked_batch_size(call: str, value: object) -> int:
    """The rows of a batch; 32 for None, as in Keras."""
    return BATCH if value is None else check_int(call, "batch_size", value, AT_LEAST_ONE)
