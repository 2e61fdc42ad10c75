"""``MLPClassifier``: classes, what they are encoded as, and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from fastreg import losses
from fastreg.internal.call_errors import wants_targets
from fastreg.sklearn.base import BaseMLP, with_callbacks
from fastreg.sklearn.settings import Output

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A classifying network with the interface of scikit-learn's ``MLPClassifier``, trained by fastreg.

    Parameters that scikit-learn has come first, with its names, defaults and meaning. Classes may be numbers, strings
    or other labels; an indicator matrix of several columns makes it a multi-label classifier.

    Args:
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
        class_weight: ``{label: weight}`` with weights >= 0, where a missing label has the weight 1, or ``"balanced"``.
            It applies to training, not to validation. Rows of a class of weight 0 are as those of weight 0.
        scale: ``"standard"`` standardises the features within the model, by the rows that it trains on, ``"robust"``
            does so by median and quartiles; or a :class:`fastreg.layers.Normalization`. Weights above 0 do not weigh in
            it, and a feature of one value is only shifted. ``freeze`` folds it into the next layer.
        n_models: The number of networks, which differ in what is random; predictions are their mean. An interrupt ends
            the fit with a warning, and ``models_`` has those that were trained by then.
        monitor: What is computed on validation rows after each epoch: None for the accuracy, ``"loss"``, or a metric of
            :mod:`fastreg.metrics` or its name.
        matmul_precision: How the products of layers are computed in training, see
            :func:`fastreg.set_matmul_precision`; None is what that has set.

    Attributes:
        classes_: The labels, sorted.
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

    With ``n_models`` > 1 losses, scores and ``n_iter_`` are those of the first network, and ``coefs_`` is not there.

    Raises:
        ValueError: In ``fit``, if a parameter is out of range or a name is unknown.
        TypeError: In ``fit``, if a parameter is of the wrong kind.
        DivergenceError: In ``fit``, if the loss is no longer finite, unless early stopping keeps the best weights.

    Example:
        >>> from fastreg.sklearn import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> names = load_iris().target_names[y]
        >>> classifier = MLPClassifier(learning_rate_init=0.02, scale="standard", tol=1e-3, random_state=0)
        >>> classifier = classifier.fit(X, names)
        >>> print(classifier.predict(X[:1])[0], classifier.score(X, names) > 0.95)
        setosa True
    """

    def __init__(
        self,
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
        class_weight: Any = None,
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
    ) -> MLPClassifier:
        """Trains the networks.

        After an error the estimator is as it was before: not fitted, or fitted by an earlier call. A warm start that
        fails in training keeps the last finite weights.

        Args:
            X: Rows of features, (n, features): an array, a frame, or a sparse matrix, whose rows are made dense one
                batch at a time.
            y: Labels (n,), or an indicator matrix (n, labels).
            sample_weight: A weight >= 0 for each row, not all 0. Rows of weight 0 are as if they were not there, also
                for ``scale`` and ``early_stopping``; only their labels count.
            X_val: Rows that are scored after each epoch. With ``early_stopping`` they take the place of held-out rows.
            y_val: Their labels.
            sample_weight_val: Their weights.
        """
        self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    @wants_targets
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Trains one epoch on some rows, going on where the call before ended.

        Args:
            X: Rows of features.
            y: Their labels.
            sample_weight: A weight >= 0 for each row.
            classes: All labels that there will be; the first call needs them.
        """
        if not hasattr(self, "models_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._known = unique_labels(classes)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        try:
            self._fit(X, y, sample_weight, incremental=True)
        finally:
            self.__dict__.pop("_known", None)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of each row, (n,), or an indicator matrix (n, labels), which is an array whatever y was."""
        outputs, _ = self._outputs(X)
        return self._decoded(outputs)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probability of each class, (n, classes), in the order of ``classes_``; with several labels of each.

        They are float32 if X is, else float64.
        """
        outputs, kind = self._outputs(X)
        if self.out_activation_ == "softmax":
            outputs /= outputs.sum(axis=1, keepdims=True)
        elif self.n_outputs_ == 1:
            one = len(self.classes_) == 1
            outputs = np.ones_like(outputs) if one else np.concatenate([1.0 - outputs, outputs], axis=1)
        return outputs.astype(kind, copy=False)

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """The logarithm of :meth:`predict_proba`; minus infinity for 0."""
        with np.errstate(divide="ignore"):
            found: NDArray[Any] = np.log(self.predict_proba(X))
        return found

    def _decoded(self, outputs: NDArray[Any]) -> NDArray[Any]:
        if self.out_activation_ == "softmax":
            return self.classes_[np.argmax(outputs, axis=1)]  # type: ignore[no-any-return]
        if self.n_outputs_ > 1:
            return (outputs > 0.5).astype(np.int64)
        positive = (outputs[:, 0] > 0.5).astype(np.int64)
        return self.classes_[positive if len(self.classes_) > 1 else 0 * positive]

    def _targets(
        self, y: Any, known: tuple[int, str] | None, complete: bool = False, name: str = "y"
    ) -> tuple[NDArray[Any], Output]:
        kind = type_of_target(y, input_name=name)
        several = kind.startswith("multilabel")
        if known is not None and several != (known[0] > 1 and known[1] == "logistic"):
            wanted = "one label for each row" if several else f"an indicator matrix with {known[0]} columns"
            raise ValueError(f"{name}: must be {wanted}, as the targets that the model learns, got shape {y.shape}")
        if several:
            matrix = np.asarray(y.toarray() if hasattr(y, "toarray") else y).astype(np.float32)
            if known is None:
                self.classes_ = np.arange(matrix.shape[1])
            elif matrix.shape[1] != known[0]:
                raise ValueError(f"{name}: must have {known[0]} columns, got {matrix.shape[1]}")
            if not np.isin(matrix, (0.0, 1.0)).all():
                raise ValueError(f"{name}: an indicator matrix must be of 0 and 1, got {np.unique(matrix).tolist()}")
            return matrix, self._output("logistic", matrix.shape[1])
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        found = np.unique(y)
        if known is None:
            self.classes_ = getattr(self, "_known", found)
        self._check_labels(found, complete, name)
        indices = np.searchsorted(self.classes_, y)
        if len(self.classes_) > 2:
            return indices, self._output("softmax", len(self.classes_))
        return indices.reshape(-1, 1).astype(np.float32), self._output("logistic", 1)

    def _output(self, name: str, units: int) -> Output:
        if name == "softmax":
            return Output(units, name, "softmax", losses.SparseCategoricalCrossentropy(), 1.0, 1.0)
        return Output(units, name, "sigmoid", losses.BinaryCrossentropy(), float(units), 1.0)

    def _check_labels(self, found: NDArray[Any], complete: bool, name: str) -> None:
        """Raises ValueError for labels that are not in ``classes_``, and for missing ones if they must be complete."""
        if complete and not np.array_equal(found, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {found}"
            )
        if len(unknown := np.setdiff1d(found, self.classes_)):
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. `{name}` has "
                f"{unknown}."
            )

    def _labels(self, targets: NDArray[Any], held_out: float) -> NDArray[Any] | None:
        if targets.ndim == 2:
            return targets if targets.shape[1] == 1 else None
        counts = np.unique(targets, return_counts=True)[1]
        # A class of a single row cannot be on both sides, and each side must have room for every class.
        room = min(held_out, 1.0 - held_out) * len(targets) >= len(counts)
        return targets if counts.min() > 1 and room else None

    def _score_of(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> Callable[[NDArray[Any]], float]:
        def score(outputs: NDArray[Any]) -> float:
            if len(self.classes_) == 1:
                right = np.ones(len(outputs), np.bool_)  # it is predicted whatever the output is
            elif targets.ndim == 1:
                right = np.argmax(outputs, axis=1) == targets
            else:
                right = ((outputs > 0.5) == (targets > 0.5)).all(axis=1)
            return float(np.average(right, weights=weights))

        return score

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may do with the estimator."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
