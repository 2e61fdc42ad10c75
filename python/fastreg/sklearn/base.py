"""What both estimators share: from parameters and data to trained networks, and from rows to outputs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.sparsefuncs import mean_variance_axis, min_max_axis
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from fastreg import layers, metrics
from fastreg._core import DivergenceError, Predictor
from fastreg.data import arrays
from fastreg.data.foreign import taken
from fastreg.internal.dataclasses import replace
from fastreg.layers import Input
from fastreg.model.core import core_of
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential
from fastreg.model.spreads import warn_of_spreads
from fastreg.sklearn.given import (
    checked_random_state,
    checked_validation_features,
    checked_validation_targets,
    checked_weights,
    class_weights,
    naming,
    rows_that_count,
)
from fastreg.sklearn.settings import (
    Output,
    Settings,
    initial_weights,
    layers_of,
    optimizer_of,
    set_initial_weights,
)
from fastreg.sklearn.training import Data, Network, Validation, Watch, outputs_of, train

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for scikit-learn's."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """The method itself."""
        return method


__all__ = ["BaseMLP", "with_callbacks"]

# The largest seed that is drawn from a RandomState.
_SEEDS = 2**31 - 1

# What the warning about features of very different spreads says to do.
_ADVICE = "scale='standard' standardises them within the model"

# What attributes of scikit-learn's callbacks begin with, which end with the fit by themselves.
_OF_CALLBACKS = ("_callback", "_skl_callbacks")

# Modules whose lines are not those of the caller of ``fit``.
_OURS = ("fastreg.", "sklearn.callback.")


class BaseMLP(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the estimators. Derived classes have the parameters, and know targets and scores."""

    # Parameters that both have.
    early_stopping: bool
    random_state: Any
    warm_start: bool

    def _take_parameters(self, names: dict[str, Any]) -> None:
        """Sets the parameters of ``__init__`` as attributes, as they were given; ``names`` are its ``locals()``."""
        self.__dict__.update({name: value for name, value in names.items() if name not in ("self", "__class__")})

    # What derived classes define.

    def _targets(
        self, y: Any, known: tuple[int, str] | None, complete: bool = False, name: str = "y"
    ) -> tuple[NDArray[Any], Output]:
        """Targets as the loss takes them, and the output layer.

        Args:
            y: Targets as they were given.
            known: The number of outputs and the name of their activation; None if y decides them, and the classes.
            complete: Whether y must have every class.
            name: What y is called in messages.
        """
        raise NotImplementedError

    def _score_of(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> Callable[[NDArray[Any]], float]:
        """The score of outputs for these targets: accuracy or R2."""
        raise NotImplementedError

    def _labels(self, targets: NDArray[Any], held_out: float) -> NDArray[Any] | None:
        """What a split that holds out this share of the rows is stratified by; None for nothing."""
        raise NotImplementedError

    # Fitting.

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given_validation: tuple[Any, Any, Any] = (None, None, None),
        incremental: bool = False,
    ) -> None:
        before = vars(self).copy()
        try:
            self._fit_checked(X, y, sample_weight, given_validation, incremental)
        except BaseException as error:
            if "models_" not in before or not (incremental or self.warm_start):
                self._restore(before, error)
            raise

    def _restore(self, before: dict[str, Any], error: BaseException) -> None:
        """Makes the estimator what it was before a fit of new networks, which ended with an error.

        Otherwise the classes of that fit would name the outputs of the networks of an earlier one.
        """
        for name in vars(self).keys() - before.keys():
            if not name.startswith(_OF_CALLBACKS):
                del self.__dict__[name]
        self.__dict__.update(before)
        if isinstance(error, DivergenceError):
            told = str(error).replace("The last finite weights are kept", "The estimator is as it was before")
            error.args = (told,)

    def _fit_checked(
        self, X: Any, y: Any, sample_weight: Any, given_validation: tuple[Any, Any, Any], incremental: bool
    ) -> None:
        """Trains, and sets attributes, some of them before it is known whether the training succeeds."""
        owner = type(self).__name__
        settings = Settings.of(owner, self.get_params(deep=False))
        if incremental and settings.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "models_") or not (incremental or self.warm_start)
        X, y = self._checked(X, y, reset=first)
        weights = None
        if sample_weight is not None:
            weights = checked_weights("sample_weight", sample_weight, X)
        complete = not first and self.warm_start and not incremental
        targets, output = self._targets(y, None if first else (self.n_outputs_, self.out_activation_), complete)
        random = checked_random_state(owner, self.random_state)
        drawn = initial_weights(settings, X.shape[1], output.units, random) if first else None
        rows, validation = self._validation(
            settings, X, targets, output, weights, given_validation, random, incremental
        )
        counted = self._with_class_weights(y, weights, rows, incremental)
        if counted is not None:
            rows = rows_that_count(counted, rows, "sample_weight" if counted is weights else "class_weight")
        x = X if hasattr(X, "toarray") else arrays.features(X, (X.shape[1],), "X", settings.epochs)
        data = Data(x, targets, counted, rows)
        size = _weight_of_batch(settings, data)
        if first:
            networks = self._new_networks(settings, data, output, size, drawn, random)
        else:
            networks = self._networks
            self._update_networks(settings, output, size, networks, incremental)
        metadata = None if sample_weight is None else {"sample_weight": weights}
        told = {"X": X, "y": y, "metadata": metadata}
        self._train(settings, data, output, networks, validation, incremental, told)

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        X, y = taken(X, "X"), taken(y, "y")
        numeric = not is_classifier(self)
        return validate_data(  # type: ignore[no-any-return]
            self, X, y, accept_sparse="csr", multi_output=True, y_numeric=numeric, dtype="numeric", reset=reset
        )

    def _validation(
        self,
        settings: Settings,
        X: Any,
        targets: NDArray[Any],
        output: Output,
        weights: NDArray[Any] | None,
        given: tuple[Any, Any, Any],
        random: Any,
        incremental: bool,
    ) -> tuple[NDArray[np.intp] | None, Validation | None]:
        """The rows to train on, None for all, and what judges each epoch. Rows of weight 0 are in neither."""
        X_val, y_val, weights_val = given
        weighted = None if weights is None or weights.all() else np.flatnonzero(weights)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given both, or none of them")
        if X_val is None and weights_val is not None:
            raise ValueError("sample_weight_val: must be None without X_val and y_val, whose rows it weighs")
        if X_val is not None:
            X_val = checked_validation_features(self, taken(X_val, "X_val"))
            y_val = checked_validation_targets(self, taken(y_val, "y_val"), not is_classifier(self))
            with naming("X_val, y_val"):
                check_consistent_length(X_val, y_val)
            with naming("y_val"):
                found, _ = self._targets(y_val, (output.units, output.name), name="y_val")
            if weights_val is not None:
                weights_val = checked_weights("sample_weight_val", weights_val, X_val)
            return weighted, self._judge(settings, X_val, found, output, weights_val)
        if not settings.early_stopping:
            if settings.given["monitor"] is not None and not incremental:
                raise ValueError(
                    f"{settings.owner}: monitor needs rows to validate on: early_stopping=True, or X_val and y_val"
                )
            return weighted, None
        if weighted is not None and len(weighted) < 2:
            raise ValueError("sample_weight: must not be 0 for every row to validate on")
        fraction = settings.given["validation_fraction"]
        if not fraction:
            raise ValueError(f"{settings.owner}: validation_fraction must be > 0 with early_stopping=True, got 0")
        rows, held_out = train_test_split(
            np.arange(len(targets)) if weighted is None else weighted,
            random_state=random,
            test_size=fraction,
            stratify=self._labels(targets if weighted is None else targets[weighted], fraction),
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        chosen = None if weights is None else weights[held_out]
        return rows, self._judge(settings, X[held_out], targets[held_out], output, chosen)

    def _judge(
        self,
        settings: Settings,
        X: Any,
        targets: NDArray[Any],
        output: Output,
        weights: NDArray[Any] | None,
    ) -> Validation:
        whole: Any = replace(cast(Any, output.loss), reduction="mean_with_sample_weight")

        def loss(outputs: NDArray[Any]) -> float:
            return float(whole(targets, outputs, weights)) * output.factor / output.shown

        monitor = settings.given["monitor"]
        name = monitor.removeprefix("val_") if isinstance(monitor, str) else monitor
        if isinstance(name, str) and name == "loss":
            return Validation(X, loss, loss, -1.0)
        if name is None or (isinstance(name, str) and name in ("score", "accuracy")):
            return Validation(X, self._score_of(targets, weights), loss)
        metric = metrics.get(name, f"{settings.owner}: monitor")
        if refusal := metric.refusal(output.units):
            raise ValueError(f"{settings.owner}: monitor {metric.name!r} {refusal}")
        of_matrix = metric.targets == "matrix" and output.loss.targets == "labels"
        wanted = np.eye(output.units, dtype=np.float32)[targets] if of_matrix else targets

        def value(outputs: NDArray[Any]) -> float:
            metric.reset_state()
            return float(metric(wanted, outputs, weights))

        return Validation(X, value, loss, 1.0 if metric.direction == "max" else -1.0)

    def _with_class_weights(
        self, y: Any, weights: NDArray[Any] | None, rows: NDArray[np.intp] | None, incremental: bool
    ) -> NDArray[np.float64] | None:
        """The weights of the rows to train on, with those of their classes."""
        given = getattr(self, "class_weight", None)
        if given is None:
            return weights
        if len(y.shape) > 1 and y.shape[1] > 1:
            raise ValueError("class_weight: must be None where y has several labels for each row")
        known = self.classes_  # of a classifier, which alone has class weights
        by_class = class_weights(type(self).__name__, given, known, column_or_1d(y), rows, incremental)
        return by_class if weights is None else by_class * weights

    def _new_networks(
        self, settings: Settings, data: Data, output: Output, size: float, drawn: Any, random: Any
    ) -> list[Network]:
        scaler = _scaler(settings, data)
        described = layers_of(settings, output, scaler, size)
        networks = []
        for i in range(settings.n_models):
            if i:
                drawn = initial_weights(settings, data.x.shape[1], output.units, random)
            model = Sequential(described, seed=int(random.randint(_SEEDS)))
            model.build(data.x.shape[1])
            set_initial_weights(model, settings, drawn)
            _compile(model, settings, output)
            core_of(model).spreads_known = True
            networks.append(Network(model))
        if scaler is None and not settings.given["batch_normalization"] and not hasattr(data.x, "toarray"):
            names = getattr(self, "feature_names_in_", None)
            rows = None if data.rows is None else data.rows.astype(np.uint32)
            warn_of_spreads(data.x, rows, None if names is None else tuple(names), "X", _ADVICE)
        return networks

    def _update_networks(
        self, settings: Settings, output: Output, size: float, networks: list[Network], incremental: bool
    ) -> None:
        """Puts changed parameters into the networks of the fit before."""
        if len(networks) != settings.n_models:
            raise ValueError(f"{settings.owner}: n_models must stay {len(networks)}, got {settings.n_models}")
        for network in networks:
            core = core_of(network.model)
            scaler = next((layer for layer in core.layers if isinstance(layer, layers.Normalization)), None)
            described = tuple(layers_of(settings, output, scaler, size))
            if described != core.layers:
                try:
                    core.rebuild(described)
                except ValueError as error:
                    raise ValueError(
                        f"{settings.owner}: the layers must stay as they are in warm_start and partial_fit ({error})"
                    ) from None
            if not incremental:
                _compile(network.model, settings, output)

    def _train(
        self,
        settings: Settings,
        data: Data,
        output: Output,
        networks: list[Network],
        validation: Validation | None,
        incremental: bool,
        given: dict[str, Any],
    ) -> None:
        epochs = 1 if incremental else settings.epochs
        self.__dict__.pop("conformity_scores_", None)  # they are those of other weights
        self._networks = networks
        self.n_outputs_ = output.units
        self.n_layers_ = len(settings.hidden) + 2
        self.out_activation_ = output.name
        tasks = None if incremental else self._tasks(settings, given)
        for i, network in enumerate(networks):
            told = None if tasks is None else partial(tasks.epoch_ended, networks, i)
            watch = Watch(network, settings, data.n_rows, output.shown, validation, epochs, told)
            if tasks is not None:
                tasks.network_begins()
            train(data, watch)
            if tasks is not None:
                tasks.network_ended(networks, i)
            if watch.interrupted:  # networks that never were trained would spoil the mean
                self._networks = networks = [one for one in networks if one.t] or networks[:1]
                break
        self._take_results()
        if tasks is not None:
            tasks.end(networks)
        if not incremental and not all(network.converged for network in networks):
            _warn(
                f"Stochastic Optimizer: Maximum iterations ({settings.epochs}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
            )

    def _tasks(self, settings: Settings, given: dict[str, Any]) -> Any:
        """What tells scikit-learn's callbacks of the fit; None if there are none."""
        if not hasattr(self, "_skl_callbacks") and not hasattr(self, "_parent_callback_ctx"):
            return None
        from fastreg.sklearn.tasks import Tasks

        return Tasks(self, settings, given)

    def _take_results(self) -> None:
        """Sets the fitted attributes, which are those of the first network."""
        network = self._networks[0]
        self.models_ = [one.model for one in self._networks]
        self.n_iter_, self.t_ = network.n_iter, network.t
        self.loss_ = network.loss_curve[-1] if network.loss_curve else np.nan
        self.loss_curve_, self.best_loss_ = network.loss_curve, network.best_loss
        self.validation_scores_, self.best_validation_score_ = network.scores, network.best_score
        self.validation_loss_curve_ = network.validation_losses

    # Fitted networks.

    @property
    def coefs_(self) -> list[NDArray[np.float32]]:
        """The kernels of the dense layers, (in, out); copies that cannot be written to."""
        return self._weights("coefs_", 0)

    @property
    def intercepts_(self) -> list[NDArray[np.float32]]:
        """The biases of the dense layers, (out,); copies that cannot be written to."""
        return self._weights("intercepts_", 1)

    def _weights(self, name: str, index: int) -> list[NDArray[np.float32]]:
        if not hasattr(self, "models_"):
            raise AttributeError(f"{type(self).__name__}: {name} is there after fit")
        if len(self.models_) > 1:
            raise AttributeError(f"{type(self).__name__}: {name} is of one network; models_ has {len(self.models_)}")
        found = [
            layer.get_weights()[index]
            for layer in self.models_[0].layers
            if isinstance(layer.description, layers.Dense)
        ]
        for array in found:
            array.setflags(write=False)
        return found

    def _outputs(self, X: Any) -> tuple[NDArray[np.float64], Any]:
        """The mean of the networks' outputs, (n, units), and the type of results."""
        check_is_fitted(self)
        X = taken(X, "X")
        X = validate_data(self, X, accept_sparse="csr", dtype="numeric", reset=False)
        kind = np.float32 if X.dtype == np.float32 else np.float64
        total = outputs_of(self.models_[0], X).astype(np.float64)
        for model in self.models_[1:]:
            total += outputs_of(model, X)
        return total / len(self.models_), kind

    def freeze(self, matmul_precision: str | None = None) -> Predictor:
        """Makes a :class:`fastreg.Predictor` of the fitted networks, which serves predictions fastest.

        Its outputs are those of the networks, float32 (n, ``n_outputs_``): values, or probabilities, of which a binary
        classifier has one, that of ``classes_[1]``. Scaling and batch normalisation are folded into the dense layers,
        and several models are one. It does not need scikit-learn, and checks less than ``predict`` does.

        Args:
            matmul_precision: As in :meth:`fastreg.Sequential.freeze`; None is the precision that was trained with.

        Returns:
            ``p``, such that ``p(X)`` gives the outputs for rows of an array.
        """
        check_is_fitted(self)
        if len(self.models_) == 1:
            return self.models_[0].freeze(matmul_precision)
        given = self.models_[0].matmul_precision if matmul_precision is None else matmul_precision
        entry = Input((self.n_features_in_,))
        outputs = [model.as_layer()(entry) for model in self.models_]
        return Model(entry, layers.Average()(outputs)).freeze(given)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may do with the estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _compile(model: Sequential, settings: Settings, output: Output) -> None:
    weights = [output.factor] if output.factor != 1.0 else None
    precision = settings.given["matmul_precision"]
    model.compile(optimizer_of(settings), output.loss, loss_weights=weights, matmul_precision=precision)


def _weight_of_batch(settings: Settings, data: Data) -> float:
    """The sum of the weights of a batch, by which scikit-learn divides ``alpha``."""
    size = settings.batch(data.n_rows)
    asked = settings.given["batch_size"]
    left_out = 0 if data.weights is None else len(data.weights) - np.count_nonzero(data.weights)
    if not isinstance(asked, str) and asked > data.n_rows + left_out:
        _warn(f"batch_size={asked} is more than the {data.n_rows} rows to train on; all of them are a batch")
    if data.weights is None:
        return float(size)
    return size * float(data.weights.mean() if data.rows is None else data.weights[data.rows].mean())


def _scaler(settings: Settings, data: Data) -> layers.Normalization | None:
    scale = settings.given["scale"]
    if scale is None:
        return None
    if isinstance(scale, layers.Normalization):
        if scale.mean is not None:
            return scale
        robust, invert = scale.robust, scale.invert
        made = layers.Normalization(scale.axis, invert=invert, robust=robust)
    else:
        made = layers.Normalization(robust=scale == "robust")
    x = data.x if data.rows is None else data.x[data.rows]
    if not hasattr(x, "toarray"):
        made.adapt(x)
        low, high = x.min(axis=0), x.max(axis=0)
    elif made.robust or made.axis is None:
        raise ValueError(f"{settings.owner}: scale must be None or 'standard' for sparse X, got {scale!r}")
    else:
        mean, variance = mean_variance_axis(x, axis=0)
        low, high = min_max_axis(x, axis=0)
        made = layers.Normalization(mean=mean, variance=variance, invert=made.invert)
    if made.axis is None or made.invert or not (low == high).any():
        return made
    # As by scikit-learn's scalers, features of one value are only shifted.
    return layers.Normalization(mean=made.mean, variance=np.where(low == high, np.float32(1.0), made.variance))


def _warn(message: str, kind: type[Warning] = UserWarning) -> None:
    """Warns at the first line that is neither of this package nor of scikit-learn's callbacks around ``fit``."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, kind, stacklevel=level)
