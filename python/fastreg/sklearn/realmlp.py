"""RealMLP as estimators of scikit-learn: :class:`RealMLPClassifier` and :class:`RealMLPRegressor`.

The layers and the optimizer of the simple form are those of the recipes' candidates (``table/realmlp.py``); the full
form is in ``table/realmlp_td.py``. What is here is how rows are read and divided.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_regressor
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _get_feature_names, check_is_fitted, column_or_1d, validate_data

from fastreg import callbacks, losses
from fastreg._core import DivergenceError
from fastreg.data.foreign import taken
from fastreg.internal.call_errors import refuses_unknown_arguments, wants_targets
from fastreg.internal.checks import (
    AT_LEAST_ONE,
    CLOSED_FRACTION,
    FRACTION,
    POSITIVE,
    WIDTH_LIMIT,
    check_bool,
    check_choice,
    check_int,
    check_real,
    describe,
)
from fastreg.sklearn.given import checked_random_state, naming
from fastreg.sklearn.realmlp_encoding import Rows, as_frame, categorical_columns, check_targets
from fastreg.sklearn.realmlp_training import FORMS, BestEpoch, EpochLines, compiled_parts, encoding_of

__all__ = ["RealMLPClassifier", "RealMLPRegressor"]

class _RealMLP(BaseEstimator, ABC):  # type: ignore[misc]
    """What both estimators share. Derived classes know targets."""

    # As published for the task: the activation, the last activation, what judges an epoch and how, each form's rate.
    _ACTIVATION, _OUTPUT, _MONITOR, _SIGN = "", "", "", 1.0
    _RATES: ClassVar[dict[str, float]] = {}

    @refuses_unknown_arguments
    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256, 256),
        activation: Any = None,
        *,
        form: str = "TD-S",
        learning_rate_init: float | None = None,
        batch_size: int = 256,
        max_iter: int = 256,
        validation_fraction: float = 0.2,
        categorical_features: Any = "from_dtype",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.form = form
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.categorical_features = categorical_features
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _loss(self) -> tuple[losses.Loss, list[str]]:
        """The loss, and metrics that the validation needs."""

    @abstractmethod
    def _learn_targets(self, y: NDArray[Any], learned: NDArray[Any]) -> None:
        """Takes what is to be known of all targets, and of those that are trained on."""

    @abstractmethod
    def _targets(self, y: NDArray[Any]) -> NDArray[np.float32]:
        """Targets as the network learns them, (n, units)."""

    @abstractmethod
    def _checked_targets(self, y: Any) -> NDArray[Any]:
        """Targets as an array."""

    @wants_targets
    def fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None) -> Any:
        """Trains the network, and keeps the epoch that was best for the validation rows.

        After an error or an interrupt the estimator is as it was before: not fitted, or fitted by an earlier call.

        Args:
            X: Rows of features, (n, features): an array, or a frame of pandas, polars or Arrow. NaN, None, null, NA and
                masked cells are missing.
            y: Their targets.
            X_val: Rows to judge epochs by; None holds ``validation_fraction`` of the rows back.
            y_val: Their targets.

        Returns:
            The estimator.

        Raises:
            ValueError: If a parameter is out of range, or the data are no rows and targets.
            TypeError: If a parameter is of the wrong kind.
            DivergenceError: If the loss is no longer finite.
        """
        before = vars(self).copy()
        try:
            return self._fit(X, y, X_val, y_val)
        except BaseException as error:
            self.__dict__.clear()
            self.__dict__.update(before)
            if isinstance(error, DivergenceError):
                told = str(error).replace("The last finite weights are kept", "The estimator is as it was before")
                error.args = (told,)
            raise

    def _fit(self, X: Any, y: Any, X_val: Any, y_val: Any) -> Any:
        """Trains, and sets the attributes, some of them before it is known whether the training succeeds."""
        owner = type(self).__name__
        hidden = self._checked_parameters(owner)
        if (X_val is None) != (y_val is None):
            raise ValueError(f"{owner}: X_val and y_val must be given both, or none of them")
        random = checked_random_state(owner, self.random_state)
        rows, y = self._checked(X, y, reset=True)
        if X_val is not None:
            learned = (rows, y)
            with naming("X_val, y_val"):
                held_out = self._checked(X_val, y_val, reset=False)
        else:
            learned, held_out = self._divided(rows, y, random)
        self._learn_targets(y, learned[1])
        encoding = self.encoding_.fit(learned[0])
        features, targets = encoding.transform(learned[0]), self._targets(learned[1])
        held = None if held_out[0] is None else (encoding.transform(held_out[0]), self._targets(held_out[1]))
        rate = self._RATES[self.form] if self.learning_rate_init is None else self.learning_rate_init
        published = hidden, self.activation or self._ACTIVATION, targets.shape[1], self._OUTPUT, rate
        model, optimizer = compiled_parts(self.form, encoding, features, *published, random)
        loss, metrics = self._loss()
        model.compile(optimizer, loss, metrics)
        best = BestEpoch(partial(self._score_of, held))
        watching: list[callbacks.Callback] = [] if held is None else [best]
        shown = 2 if self.verbose else 0
        if shown and watching and not self._compares_outputs():
            watching, shown = [best, EpochLines(best, self.max_iter, len(targets))], 0
        history = model.fit(
            features,
            targets,
            batch_size=min(self.batch_size, len(targets)),
            epochs=self.max_iter,
            validation_data=held if self._compares_outputs() else None,
            callbacks=watching,
            verbose=shown,
        )
        self.model_, self.n_iter_ = model, self.max_iter
        self.loss_curve_ = [float(value) for value in history.history["loss"]]
        self.validation_scores_ = None if held is None else best.scores
        self.best_iter_ = self.max_iter if held is None else best.epoch + 1
        return self

    def _compares_outputs(self) -> bool:
        """Whether epochs are judged by outputs as the network has them."""
        return True

    def _score_of(self, held: Any, logs: callbacks.Logs, model: Any) -> float:
        """How good an epoch is for the validation rows."""
        return self._SIGN * float(logs[self._MONITOR])

    def _checked_parameters(self, owner: str) -> list[int]:
        """The units of the hidden layers. Raises for parameters that are out of range."""
        given = self.hidden_layer_sizes
        sizes = given if isinstance(given, (list, tuple, np.ndarray)) else [given]
        hidden = [check_int(owner, "hidden_layer_sizes", size, AT_LEAST_ONE, WIDTH_LIMIT) for size in sizes]
        for name in ("batch_size", "max_iter"):
            check_int(owner, name, getattr(self, name), AT_LEAST_ONE)
        if self.learning_rate_init is not None:
            check_real(owner, "learning_rate_init", self.learning_rate_init, POSITIVE)
        check_real(owner, "validation_fraction", self.validation_fraction, FRACTION)
        check_bool(owner, "verbose", self.verbose)
        check_choice(owner, "form", self.form, FORMS)
        return hidden

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        """Rows in the form of the encoding, which ``reset`` makes, and their targets; y may be "no_validation"."""
        owner, asked = type(self).__name__, self.categorical_features
        X, y = as_frame(X), taken(y, "y" if reset else "y_val")
        if y is not None and not isinstance(y, str):
            check_targets(owner, "y" if reset else "y_val", y, is_regressor(self))
        if hasattr(X, "columns"):
            names = _get_feature_names(X)
            validate_data(self, X, y, reset=reset, skip_check_array=True)
        else:
            names, kind = None, getattr(getattr(X, "dtype", None), "kind", "O")
            # Texts and objects are looked at column by column, so that a message can name the column.
            given = {"dtype": None if kind in "biufcmM" else object, "ensure_all_finite": "allow-nan"}
            if isinstance(y, str):
                X = validate_data(self, X, y, reset=reset, **given)
            else:
                X, _ = validate_data(self, X, y, reset=reset, multi_output=True, **given)
        if reset:
            categorical = categorical_columns(owner, X, asked, names, X.shape[1])
            self.encoding_ = encoding_of(self.form, owner, categorical, range(X.shape[1]) if names is None else names)
        if X.shape[0] < 1 + reset:
            raise ValueError(
                f"{owner}: X must have at least {'two rows' if reset else 'one row'}, got {X.shape[0]} sample"
            )
        rows = self.encoding_.read(X)
        if isinstance(y, str):
            return rows, None
        y = self._checked_targets(y)
        check_consistent_length(rows.numbers, y)
        return rows, y

    def _divided(self, X: Rows, y: NDArray[Any], random: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Rows to train on, and rows to judge epochs by, None if none are held out."""
        if not self.validation_fraction:
            return (X, y), (None, None)
        rows, held = train_test_split(
            np.arange(len(y)), random_state=random, test_size=self.validation_fraction, stratify=self._strata(y)
        )
        return (X.take(rows), y[rows]), (X.take(held), y[held])

    def _strata(self, y: NDArray[Any]) -> NDArray[Any] | None:
        """What the division is stratified by; None for nothing."""
        return None

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        rows, _ = self._checked(X, "no_validation", reset=False)
        outputs: NDArray[np.float64] = self.model_.predict(self.encoding_.transform(rows), verbose=0).astype(np.float64)
        return outputs

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may do with the estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


class RealMLPClassifier(ClassifierMixin, _RealMLP):  # type: ignore[misc]
    """RealMLP for classes, a network with tuned defaults, trained by fastreg.

    Holzmüller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data",
    NeurIPS 2024. All defaults are those of the paper. Both forms have robust scaling with a soft limit; a learned
    factor for each feature; three hidden layers of 256 units with SELU in the neural tangent parametrisation; Adam with
    beta_2 = 0.95 and four waves of the learning rate over 256 epochs, six times the rate for factors of features and a
    tenth for biases; labels smoothed by 0.1; the weights of the epoch with the best accuracy for a fifth of the rows,
    the last one among equals. Other than there, the last and smaller batch of an epoch is trained on, too, and missing
    numbers are taken.

    The simple form, ``"TD-S"``, encodes all categories one-hot. The full form, ``"TD"``, is slower and on most tables
    better. It has four periodic features of each number (:class:`fastreg.layers.PeriodicEmbedding`), eight learned
    features of a category where a column has more than eight, a learned share of each activation
    (:class:`fastreg.layers.ParametricActivation`), dropout of 0.15 and a weight decay of 0.02 for half of the epochs,
    which then fade to 0, and weights that begin by up to 10,000 training rows.

    Args:
        hidden_layer_sizes: The units of each hidden layer, >= 1: one number or a list.
        activation: The activation of the hidden layers, by its name or as a description; None is ``"selu"``.
        form: ``"TD-S"`` or ``"TD"``.
        learning_rate_init: The height of the waves of the rate, > 0; None is 0.04.
        batch_size: The rows of a step, >= 1; all of them if there are fewer.
        max_iter: The number of epochs, >= 1. The waves of the rate go over all of them, so fewer epochs make a shorter
            training, not a part of the long one.
        validation_fraction: The share of the rows that epochs are judged by, in [0, 1), unless ``fit`` is given
            ``X_val``. With 0 the last epoch is kept.
        label_smoothing: s in [0, 1]: the probabilities that are learned are (1 - s) + s / k for the class of a row and
            s / k for each other one of k classes.
        categorical_features: The columns that hold categories: ``"from_dtype"`` for those of a frame whose type is
            categorical, string or object, None for none, or a list of names or numbers or a mask. In the simple form a
            column may have 1000 different ones at most.
        random_state: An int, a ``RandomState`` or None. It determines everything that is random.
        verbose: Whether each epoch prints its loss and that of the validation rows.

    Attributes:
        classes_: The labels, sorted.
        n_features_in_: The number of columns.
        feature_names_in_: Their names, if X had names that are all strings.
        n_iter_: The number of epochs that were trained.
        best_iter_: The number of the epoch whose weights are kept, counted from 1.
        loss_curve_: The loss of each epoch.
        validation_scores_: The accuracy on the validation rows after each epoch; None without such rows.
        encoding_: Makes features of rows.
        model_: The network, which takes these features: a :class:`fastreg.Sequential`, or a :class:`fastreg.Model` in
            the full form.

    Example:
        >>> from fastreg.sklearn import RealMLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = RealMLPClassifier(max_iter=64, random_state=0).fit(X, y)
        >>> classifier.score(X, y) > 0.93
        True
    """

    _ACTIVATION, _OUTPUT, _MONITOR, _SIGN = "selu", "softmax", "val_accuracy", 1.0
    _RATES: ClassVar = {"TD-S": 0.04, "TD": 0.04}

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256, 256),
        activation: Any = None,
        *,
        form: str = "TD-S",
        learning_rate_init: float | None = None,
        batch_size: int = 256,
        max_iter: int = 256,
        validation_fraction: float = 0.2,
        label_smoothing: float = 0.1,
        categorical_features: Any = "from_dtype",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            form=form,
            learning_rate_init=learning_rate_init,
            batch_size=batch_size,
            max_iter=max_iter,
            validation_fraction=validation_fraction,
            categorical_features=categorical_features,
            random_state=random_state,
            verbose=verbose,
        )
        self.label_smoothing = label_smoothing

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each row, (n,).

        Args:
            X: As for :meth:`fit`. Levels that training rows did not have count as missing, whatever their type.

        Raises:
            NotFittedError: If it is not fitted.
            ValueError: If X has other columns.
        """
        shares = self.predict_proba(X)
        return self.classes_[np.argmax(shares, axis=1)]  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, (n, classes), in the order of ``classes_``. Arguments as for ``predict``."""
        outputs = self._outputs(X)[:, : len(self.classes_)]
        shares: NDArray[np.float64] = outputs / outputs.sum(axis=1, keepdims=True)
        return shares

    def _loss(self) -> tuple[losses.Loss, list[str]]:
        smoothing = check_real(type(self).__name__, "label_smoothing", self.label_smoothing, CLOSED_FRACTION)
        return losses.CategoricalCrossentropy(label_smoothing=smoothing), ["accuracy"]

    def _checked_targets(self, y: Any) -> NDArray[Any]:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return y  # type: ignore[no-any-return]

    def _learn_targets(self, y: NDArray[Any], learned: NDArray[Any]) -> None:
        self.classes_ = np.unique(y)

    def _targets(self, y: NDArray[Any]) -> NDArray[np.float32]:
        if len(unknown := np.setdiff1d(y, self.classes_)):
            raise ValueError(f"{type(self).__name__}: y_val has {describe(unknown[:1].tolist()[0])}, which y has not")
        units = max(len(self.classes_), 2)  # a softmax has two at least
        found: NDArray[np.float32] = np.eye(units, dtype=np.float32)[np.searchsorted(self.classes_, y)]
        return found

    def _strata(self, y: NDArray[Any]) -> NDArray[Any] | None:
        counts = np.unique(y, return_counts=True)[1]
        # A class of a single row cannot be on both sides, and each side must have room for every class.
        room = min(self.validation_fraction, 1.0 - self.validation_fraction) * len(y) >= len(counts)
        return y if counts.min() > 1 and room else None


class RealMLPRegressor(RegressorMixin, _RealMLP):  # type: ignore[misc]
    """RealMLP for numbers, a network with tuned defaults, trained by fastreg.

    As :class:`RealMLPClassifier`, but with Mish, other rates and the squared error of standardised targets, by which
    epochs are judged, too. The full form limits predictions to the range of the targets that it was trained on, also
    those that an epoch is judged by. y may have several columns.

    Args:
        hidden_layer_sizes: The units of each hidden layer, >= 1: one number or a list.
        activation: The activation of the hidden layers, by its name or as a description; None is ``"mish"``.
        form: ``"TD-S"``, the simple form, or ``"TD"``, the full one.
        learning_rate_init: The height of the waves of the rate, > 0; None is 0.07, or 0.2 in the full form.
        batch_size: The rows of a step, >= 1; all of them if there are fewer.
        max_iter: The number of epochs, >= 1.
        validation_fraction: The share of the rows that epochs are judged by, in [0, 1), unless ``fit`` is given
            ``X_val``. With 0 the last epoch is kept.
        categorical_features: The columns that hold categories, as for :class:`RealMLPClassifier`.
        random_state: An int, a ``RandomState`` or None. It determines everything that is random.
        verbose: Whether each epoch prints its loss and that of the validation rows.

    Attributes:
        n_features_in_: The number of columns.
        feature_names_in_: Their names, if X had names that are all strings.
        n_iter_: The number of epochs that were trained.
        best_iter_: The number of the epoch whose weights are kept, counted from 1.
        loss_curve_: The loss of each epoch, of standardised targets.
        validation_scores_: The negative mean squared error of the validation rows' standardised targets after each
            epoch; None without such rows.
        encoding_: Makes features of rows.
        model_: The network, which takes these features and gives standardised values: a :class:`fastreg.Sequential`, or
            a :class:`fastreg.Model` in the full form.

    Example:
        >>> import numpy as np
        >>> from fastreg.sklearn import RealMLPRegressor
        >>> X = np.random.default_rng(0).normal(size=(300, 3))
        >>> y = X[:, 0] * X[:, 1]
        >>> regressor = RealMLPRegressor(max_iter=64, random_state=0).fit(X, y)
        >>> regressor.score(X, y) > 0.9
        True
    """

    _ACTIVATION, _OUTPUT, _MONITOR, _SIGN = "mish", "linear", "val_loss", -1.0
    _RATES: ClassVar = {"TD-S": 0.07, "TD": 0.2}

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The number of each row, (n,), or (n, outputs) if y had several columns.

        Args:
            X: As for :meth:`fit`. Levels that training rows did not have count as missing, whatever their type.

        Raises:
            NotFittedError: If it is not fitted.
            ValueError: If X has other columns.
        """
        values: NDArray[np.float64] = self._outputs(X) * self._spread + self._mean
        values = np.clip(values, *self._limits)
        return values if self._is_matrix else values[:, 0]

    def _loss(self) -> tuple[losses.Loss, list[str]]:
        return losses.MeanSquaredError(), []

    def _compares_outputs(self) -> bool:
        return self.form != "TD"

    def _score_of(self, held: Any, logs: callbacks.Logs, model: Any) -> float:
        if self._compares_outputs():
            return super()._score_of(held, logs, model)
        low, high = ((limit - self._mean) / self._spread for limit in self._limits)
        outputs = np.clip(model.predict(held[0], verbose=0), low, high)
        return -float(np.mean((outputs - held[1].astype(np.float64)) ** 2))

    def _checked_targets(self, y: Any) -> NDArray[Any]:
        values = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        if values.ndim > 1 and values.shape[1] == 1:
            values = column_or_1d(values, warn=True)
        return values  # type: ignore[no-any-return]

    def _learn_targets(self, y: NDArray[Any], learned: NDArray[Any]) -> None:
        self._is_matrix = y.ndim > 1
        matrix = learned.reshape(len(learned), -1)
        self._limits = (matrix.min(axis=0), matrix.max(axis=0)) if self.form == "TD" else (-np.inf, np.inf)
        # Powers of 2, which change no digit, keep squares of huge and of tiny numbers in range.
        exponent = np.frexp(np.abs(matrix).max(axis=0))[1]
        matrix = np.ldexp(matrix, -exponent)
        self._mean, spread = (np.ldexp(found, exponent) for found in (matrix.mean(axis=0), matrix.std(axis=0)))
        self._spread = np.where(spread > 0.0, spread, 1.0)

    def _targets(self, y: NDArray[Any]) -> NDArray[np.float32]:
        width = y.shape[1] if y.ndim > 1 else 1
        if width != len(self._mean):
            raise ValueError(
                f"{type(self).__name__}: y_val must have a column for each of y's {len(self._mean)}, "
                f"got shape {y.shape}"
            )
        with np.errstate(over="ignore"):
            found: NDArray[np.float32] = ((y.reshape(len(y), -1) - self._mean) / self._spread).astype(np.float32)
        if not np.isfinite(found).all():
            column = int(np.flatnonzero(~np.isfinite(found).all(axis=0))[0])
            raise ValueError(
                f"{type(self).__name__}: the targets of column {column} are too far apart: some are not finite in "
                f"float32 when standardised (mean {self._mean[column]:g}, deviation {self._spread[column]:g})"
            )
        return found

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may do with the estimator."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
