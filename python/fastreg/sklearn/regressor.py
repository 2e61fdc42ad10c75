"""``MLPRegressor``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, column_or_1d

from fastreg.data import arrays, rules
from fastreg.internal.call_errors import wants_targets
from fastreg.internal.checks import Range, check_real
from fastreg.internal.conformal import ConformityScores
from fastreg.sklearn.base import BaseMLP, with_callbacks
from fastreg.sklearn.settings import Output, loss_of

__all__ = ["MLPRegressor"]

_LEVEL = Range("be in (0, 0.999999]", 0, 0.999999, "(]")


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A network for numbers with the interface of scikit-learn's ``MLPRegressor``, trained by fastreg.

    Parameters that scikit-learn has come first, with its names, defaults and meaning.

    Args:
        loss: ``"squared_error"``, half of the squared error; ``"poisson"``, half of Poisson's deviance, with
            exponential outputs; or one of :mod:`fastreg.losses` with one output for each target, or its name.
        hidden_layer_sizes: The units of each hidden layer, one number or a list. ``()`` makes a linear model.
        activation: Of the hidden layers: ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, any other activation
            of fastreg or its name, or a list with one for each layer.
        solver: ``"adam"`` or ``"sgd"``. ``"lbfgs"`` raises ValueError.
        alpha: The L2 penalty on the kernels, >= 0. As in scikit-learn, alpha / 2 times the sum of their squares is
            divided by the sum of the weights of a batch, here by that of a batch of ``batch_size`` rows of mean weight.
        batch_size: The rows of a step; ``"auto"`` is ``min(200, n)``.
        learning_rate: With ``solver="sgd"`` ``"constant"``, ``"invscaling"`` (the rate after an epoch is
            ``learning_rate_init / (rows seen + 1) ** power_t``) or ``"adaptive"`` (divided by 5 when the loss or score
            stops to improve). With every optimizer a schedule of :mod:`fastreg.schedules`.
        learning_rate_init: The rate, > 0.
        power_t: See ``learning_rate``; >= 0.
        max_iter: The largest number of epochs; where it is reached, there is a ``ConvergenceWarning``.
        shuffle: Whether each epoch has its own order of the rows.
        random_state: An int, a ``RandomState`` or None. It determines everything that is random.
        tol: What a loss or score must gain to count as better, >= 0.
        verbose: Whether each epoch prints its loss.
        warm_start: Whether ``fit`` begins with the weights of the fit before.
        momentum: Of SGD, in [0, 1).
        nesterovs_momentum: Whether it is Nesterov's.
        early_stopping: Whether the score on held-out rows ends the run; then the weights are those of the best score.
        validation_fraction: The share of the rows that is held out for it, unless ``fit`` is given ``X_val``.
        beta_1, beta_2, epsilon: Of Adam. ``epsilon`` is added to the root of the corrected second moment.
        n_iter_no_change: The run ends after more epochs than this, one after the other, that are not better; or
            ``numpy.inf``.
        max_fun: Has no effect; it is one of ``"lbfgs"``.
        dropout: The dropout rate after each hidden layer, in [0, 1), or a list with one for each.
        input_dropout: The dropout rate of the features.
        batch_normalization: Whether each hidden layer has batch normalisation before its activation.
        l1, l2: Penalties on the kernels, >= 0, which are added to the loss as by
            :class:`fastreg.regularizers.L1L2`, whatever the batch.
        proximal: Whether ``l1`` is a soft threshold, which makes weights exactly 0.
        kernel_regularizer: One of :mod:`fastreg.regularizers` in place of ``alpha``, ``l1`` and ``l2``.
        bias_regularizer: One for the biases.
        kernel_initializer, bias_initializer: Of :mod:`fastreg.initializers`. None draws what scikit-learn draws: the
            same weights for the same ``random_state``.
        optimizer: One of :mod:`fastreg.optimizers` in place of ``solver``; a name gets the rate of ``learning_rate``
            and ``learning_rate_init``, a description has its own.
        scale: ``"standard"`` standardises the features within the model, by the rows that it trains on, ``"robust"``
            does so by median and quartiles; or a :class:`fastreg.layers.Normalization`. Weights above 0 do not weigh in
            it, and a feature of one value is only shifted. ``freeze`` folds it into the next layer.
        n_models: The number of networks, which differ in what is random; predictions are their mean. An interrupt ends
            the fit with a warning, and ``models_`` has those that were trained by then.
        monitor: What is computed on validation rows after each epoch: None for the R2, ``"loss"``, or a metric of
            :mod:`fastreg.metrics` or its name.
        matmul_precision: How the products of layers are computed in training, see
            :func:`fastreg.set_matmul_precision`; None is what that has set.

    Attributes:
        n_features_in_: The number of features.
        feature_names_in_: Their names, if X had names that are all strings.
        n_iter_: The epochs of the last fit.
        t_: The rows that were seen in all epochs.
        loss_: The loss of the last epoch.
        loss_curve_: The loss of each epoch, penalties included.
        best_loss_: The smallest of them; None with early stopping.
        validation_scores_: The score of each epoch on validation rows; None without them.
        best_validation_score_: The best of them.
        validation_loss_curve_: The loss of each epoch on validation rows, without penalties; None without them.
        coefs_: The kernels of the dense layers, (in, out); for scaled features where ``scale`` is given.
        intercepts_: Their biases.
        n_layers_: The number of hidden layers plus two.
        n_outputs_: The number of outputs.
        out_activation_: scikit-learn's name of the activation of the outputs.
        models_: The networks, each a :class:`fastreg.Sequential`.
        conformity_scores_: For each target, what :meth:`conformalize` has measured.

    With ``n_models`` > 1 losses, scores and ``n_iter_`` are those of the first network, and ``coefs_`` is not there.

    Raises:
        ValueError: In ``fit``, if a parameter is out of range or a name is unknown.
        TypeError: In ``fit``, if a parameter is of the wrong kind.
        DivergenceError: In ``fit``, if the loss is no longer finite, unless early stopping keeps the best weights.

    Example:
        >>> from fastreg.sklearn import MLPRegressor
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> regressor = MLPRegressor(learning_rate_init=0.02, scale="standard", early_stopping=True, random_state=0)
        >>> regressor.fit(X, y).score(X, y) > 0.4
        True
    """

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        input_dropout: float = 0.0,
        batch_normalization: bool = False,
        l1: float = 0.0,
        l2: float = 0.0,
        proximal: bool = False,
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        optimizer: Any = None,
        scale: Any = None,
        n_models: int = 1,
        monitor: Any = None,
        matmul_precision: str | None = None,
    ) -> None:
        self._take_parameters(locals())

    @wants_targets
    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPRegressor:
        """Trains the networks.

        After an error the estimator is as it was before: not fitted, or fitted by an earlier call. A warm start that
        fails in training keeps the last finite weights.

        Args:
            X: Rows of features, (n, features): an array, a frame, or a sparse matrix, whose rows are made dense one
                batch at a time.
            y: Targets, (n,) or (n, targets).
            sample_weight: A weight >= 0 for each row, not all 0. Rows of weight 0 are as if they were not there, also
                for ``scale`` and ``early_stopping``.
            X_val: Rows that are scored after each epoch. With ``early_stopping`` they take the place of held-out rows.
            y_val: Their targets.
            sample_weight_val: Their weights.
        """
        self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @wants_targets
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Trains one epoch on some rows, going on where the call before ended.

        Args:
            X: Rows of features.
            y: Their targets.
            sample_weight: A weight >= 0 for each row.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The value of each row, (n,), or (n, targets) if there are several. It is float32 if X is, else float64."""
        outputs, kind = self._outputs(X)
        values = outputs.astype(kind, copy=False)
        return values[:, 0] if values.shape[1] == 1 else values

    def conformalize(self, X: Any, y: Any) -> MLPRegressor:
        """Measures the errors on rows that :meth:`fit` did not see, for :meth:`predict_interval`.

        Args:
            X: Rows of features, which were not trained on.
            y: Their targets, finite numbers.

        Raises:
            ValueError: If the rows do not fit the model, or are none, or a target is not finite.
            TypeError: If targets are no real numbers.
        """
        predicted = self.predict(X).astype(np.float64)
        truth = arrays.numeric(y, "y").astype(np.float64)
        if truth.shape not in (predicted.shape, (len(predicted), self.n_outputs_)):
            raise ValueError(f"y: must have shape {predicted.shape}, as the predictions for X, got {truth.shape}")
        truth, predicted = (values.reshape(len(values), -1) for values in (truth, predicted))
        if not np.isfinite(truth).all():
            rules.check_finite(truth, "y", y, ())
        self.conformity_scores_ = [ConformityScores.of(errors) for errors in np.abs(truth - predicted).T]
        return self

    def predict_interval(self, X: Any, level: float = 0.9) -> NDArray[np.float64]:
        """The lower and the upper bound of the target of each row, (n, 2), or (n, targets, 2) if there are several.

        They are as far from the prediction as the ceil((m + 1) level)-th smallest error of the m rows that
        :meth:`conformalize` was given (split conformal prediction, Lei et al. 2018). If new rows come from where these
        came from, each target lies in its interval with a probability of ``level`` at least.

        Args:
            X: Rows of features.
            level: That probability, in (0, 0.999999].

        Raises:
            ValueError: If :meth:`conformalize` was not called since the last fit, or with too few rows for the level.

        Example:
            >>> from fastreg.sklearn import MLPRegressor
            >>> from sklearn.datasets import load_diabetes
            >>> X, y = load_diabetes(return_X_y=True)
            >>> regressor = MLPRegressor(learning_rate_init=0.02, scale="standard", early_stopping=True, random_state=0)
            >>> regressor = regressor.fit(X[:250], y[:250]).conformalize(X[250:350], y[250:350])
            >>> lower, upper = regressor.predict_interval(X[350:], 0.9).T
            >>> bool(0.75 < ((lower <= y[350:]) & (y[350:] <= upper)).mean() <= 1.0)
            True
        """
        owner = type(self).__name__
        check_is_fitted(self)
        if not hasattr(self, "conformity_scores_"):
            raise ValueError(f"{owner}: predict_interval needs conformalize, with rows that fit did not see")
        asked = check_real(owner, "level", level, _LEVEL)
        margins = np.array([scores.margin(asked) for scores in self.conformity_scores_])
        predicted = self.predict(X).astype(np.float64)
        centre = predicted.reshape(len(predicted), -1)
        bounds: NDArray[np.float64] = np.stack([centre - margins, centre + margins], axis=-1)
        return bounds[:, 0] if predicted.ndim == 1 else bounds

    def _targets(
        self, y: Any, known: tuple[int, str] | None, complete: bool = False, name: str = "y"
    ) -> tuple[NDArray[Any], Output]:
        if hasattr(y, "toarray"):
            raise TypeError(f"{name}: sparse matrices are not supported, got {type(y).__name__}; call its toarray()")
        values = np.asarray(y)
        if values.ndim == 2 and values.shape[1] == 1:
            values = column_or_1d(values, warn=True)
        matrix = values.reshape(len(values), -1)
        if known is not None and matrix.shape[1] != known[0]:
            raise ValueError(f"{name}: must have {known[0]} columns, got {matrix.shape[1]}")
        return matrix, loss_of(type(self).__name__, self.loss, matrix.shape[1])

    def _labels(self, targets: NDArray[Any], held_out: float) -> NDArray[Any] | None:
        return None

    def _score_of(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> Callable[[NDArray[Any]], float]:
        def score(outputs: NDArray[Any]) -> float:
            return float(r2_score(targets, outputs.astype(np.float64), sample_weight=weights))

        return score

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may do with the estimator."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
