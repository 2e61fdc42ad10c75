"""``Batches``: the methods of a model for loops of one's own, one batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Literal, overload

from numpy.typing import ArrayLike

from fastreg import _core
from fastreg.internal.call_errors import wants_targets
from fastreg.internal.checks import check_bool
from fastreg.internal.layer_base import Shape
from fastreg.model import fitting
from fastreg.model.adapted import require_statistics
from fastreg.model.arguments import checked_input_names, inputs_of, shape_of
from fastreg.model.face import Face
from fastreg.model.run import divergence_error
from fastreg.model.step_rates import layer_rates, step_rates
from fastreg.model.structure import told_as_model

__all__ = ["Batches"]

# One array; or for several inputs or outputs a list with one array for each, or a dict by their names.
Arrays = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]


@told_as_model
class Batches(Face):
    """The methods that train and test one batch."""

    @overload
    def train_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Arrays | None = None,
        class_weight: Mapping[Any, float] | None = None,
        *,
        return_dict: Literal[True],
    ) -> dict[str, float]: ...
    @overload
    def train_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Arrays | None = None,
        class_weight: Mapping[Any, float] | None = None,
        return_dict: bool = False,
    ) -> Any: ...  # a float or a list of floats
    @wants_targets
    def train_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Arrays | None = None,
        class_weight: Mapping[Any, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        r"""Takes one step on one batch, all rows of it.

        The gradient is that of :math:`\tfrac1n \sum_i w_i \ell_i` over the n rows, plus the penalties. The weights are
        used as they are, as in Keras, while ``fit`` divides them by their mean over all rows. The step counts for
        schedules and dropout, an epoch does not.

        Args:
            x: Rows of features, as for ``fit``. Builds the model if it is not built yet.
            y: Targets, as for ``fit``.
            sample_weight: A weight >= 0 for each row; with several outputs as for ``fit``.
            class_weight: ``{label: weight}``, where a missing label has the weight 1; for models with one output.
            return_dict: Whether to return a dict by key.

        Returns:
            The loss, or with metrics the list of the loss and the metrics, or a dict; those of this batch, before the
            step, as in Keras. The loss is the one whose gradient was taken.

        Raises:
            ValueError: If the model is not compiled with a loss, or for bad data; then nothing has changed.
            DivergenceError: If the loss or a weight is no longer finite; the weights are those before the call.
            RuntimeError: Within a callback, or while another thread fits this model.

        Example:
            >>> import numpy as np
            >>> import fastreg as fr
            >>> x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
            >>> model = fr.Sequential([fr.layers.Dense(1)], seed=0)
            >>> model.compile(fr.optimizers.SGD(0.1), "mse")
            >>> for epoch in range(20):
            ...     for i in range(0, 256, 32):
            ...         loss = model.train_on_batch(x[i : i + 32], x[i : i + 32, 0])
            >>> loss < 1e-4
            True
        """
        core, as_dict = self._core, check_bool("train_on_batch", "return_dict", return_dict)
        core.require_layers("train_on_batch")
        core.require_losses("train_on_batch")
        with (own := Lock()):
            if not core.fitted.begin(own):
                raise RuntimeError(
                    "train_on_batch: the model is being fitted, by another thread or around this callback"
                )
            shape = shape_of(core, inputs_of(core, x))
            data, names = self._batch(x, y, sample_weight, class_weight, shape)
            core.share()
            trainer = core.trainer_for(shape)
            require_statistics(core)
            optimizer = core.require_optimizer("train_on_batch")
            rates = step_rates(optimizer, layer_rates(core), trainer.step, 1, core.run_length)
            values, where = trainer.train_batch(data, rates, core.functions())
            if values is None or where is not None:
                raise divergence_error("train_on_batch", where or {}, 0)
            core.feature_names = names
            core.weights_changed()
        return self._values(values, as_dict)

    @overload
    def test_on_batch(
        self, x: Arrays, y: Arrays, sample_weight: Arrays | None = None, *, return_dict: Literal[True]
    ) -> dict[str, float]: ...
    @overload
    def test_on_batch(
        self, x: Arrays, y: Arrays, sample_weight: Arrays | None = None, return_dict: bool = False
    ) -> Any: ...
    @wants_targets
    def test_on_batch(
        self, x: Arrays, y: Arrays, sample_weight: Arrays | None = None, return_dict: bool = False
    ) -> float | list[float] | dict[str, float]:
        """Scores one batch, in inference mode.

        Args:
            x: Rows of features, as for ``fit``.
            y: Targets, as for ``fit``.
            sample_weight: A weight >= 0 for each row, used as it is.
            return_dict: Whether to return a dict by key.

        Returns:
            As :meth:`train_on_batch`: the values of this batch.

        Raises:
            ValueError: If the model is not built or compiled with a loss, or for bad data.
        """
        core, as_dict = self._core, check_bool("test_on_batch", "return_dict", return_dict)
        core.require_network("test_on_batch")
        core.require_losses("test_on_batch")
        data, _ = self._batch(x, y, sample_weight, None, core.known_shape())
        return self._values(core.trainer_for(None).test_batch(data, core.functions()), as_dict)

    def predict_on_batch(self, x: Arrays) -> Any:
        """Computes the outputs for one batch; the same as :meth:`predict`.

        Args:
            x: Rows of features, as for ``predict``.
        """
        predict: Any = self.predict  # type: ignore[attr-defined]
        return predict(x)

    def reset_metrics(self) -> None:
        """Does nothing and is accepted because Keras has it: no value is kept from one call to the next."""

    @property
    def metrics_names(self) -> list[str]:
        """The keys of the values of ``evaluate`` and ``train_on_batch``, in their order; empty without a loss."""
        return list(self._core.log_keys()) if self._core.losses else []

    def _batch(
        self, x: object, y: object, sample_weight: object, class_weight: object, shape: Shape
    ) -> tuple[_core.Data, Any]:
        parts = inputs_of(self._core, x)
        names = checked_input_names(parts, self._core.feature_names)
        data = fitting.labelled_data(
            self._core, parts, y, sample_weight, class_weight, shape, absolute=True
        )
        return data, names

    def _values(self, values: list[float], as_dict: bool) -> float | list[float] | dict[str, float]:
        if as_dict:
            return dict(zip(self._core.log_keys(), values, strict=True))
        return values if len(values) > 1 else values[0]
