"""Presents the outputs of a trained ``Sequential`` to scikit-learn's scorers as an estimator.

Outputs are computed once for a block of rows, however many scorers there are. They are converted into probabilities if
the loss is computed from logits. scikit-learn is imported when the first model is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.losses import Loss
from fastreg.model.labels import Classes, texts_of
from fastreg.model.model import Model
from fastreg.search.folds.stratification import plain_values

__all__ = ["Adapter", "probabilities", "probabilities_of", "stand_in"]


def probabilities(outputs: NDArray[Any], loss: Loss) -> NDArray[np.float64]:
    """The outputs of a classifier as probabilities, of the same shape."""
    values = outputs.astype(np.float64)
    if not getattr(loss, "from_logits", False) and loss.targets != "signs":
        return values
    shares: NDArray[np.float64]
    if loss.targets in ("probabilities", "signs"):  # a margin of 0 is a probability of 1/2
        shares = np.exp(-np.logaddexp(0.0, -values))
        return shares
    values = np.exp(values - values.max(axis=1, keepdims=True))
    shares = values / values.sum(axis=1, keepdims=True)
    return shares


def probabilities_of(model: Model, outputs: NDArray[Any]) -> NDArray[Any]:
    """The outputs of a network as probabilities: as they are, unless its loss is computed from logits or margins.

    Raises:
        ValueError: If its loss does not treat targets as classes.
    """
    loss = model.loss
    if loss is None or loss.targets in ("values", "counts"):
        raise ValueError(f"predict_proba: the loss must treat targets as classes, got {loss!r}; use predict for values")
    changes = getattr(loss, "from_logits", False) or loss.targets == "signs"
    return probabilities(outputs, loss) if changes else outputs


def stand_in(predict: Callable[[Any], Any], shares: Callable[[Any], Any] | None = None, classes: Any = None) -> Any:
    """An estimator of scikit-learn that answers by the functions: with ``shares`` a classifier, else a regressor."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class StandIn(RegressorMixin if shares is None else ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, x: object, y: object) -> Any:
            return self  # nothing to learn, as scikit-learn's FrozenEstimator

        def predict(self, x: Any) -> Any:
            return predict(x)

    made = StandIn()
    if shares is not None:

        def predict_proba(x: Any) -> Any:  # scikit-learn reads the function's name
            return shares(x)

        made.predict_proba = predict_proba
        made.classes_ = classes
    return made


class Adapter:
    """The wrapped outputs for some rows.

    Args:
        outputs: The outputs of the model for the rows, (n, units).
        loss: The loss that the model was compiled with. It determines whether outputs are probabilities or logits, and
            of one class or several.
        classes: The labels of the classes, where they are strings; None if classes are numbers.

    Attributes:
        estimator: The object that a scorer gets: a classifier if the loss is a cross-entropy, else a regressor. Its
            predictions are those for these rows, whatever rows it is called with.
    """

    def __init__(self, outputs: NDArray[Any], loss: Loss, classes: Classes | None = None) -> None:
        self._targets = loss.targets
        self._names = None if classes is None else np.array(classes, dtype=object)
        classifies = loss.targets not in ("values", "counts")
        values = probabilities(outputs, loss) if classifies else outputs
        answer = self._answer(values)
        if classifies:
            shares = self._shares(values)
            known: Any = np.arange(shares.shape[1]) if self._names is None else self._names
            if self._targets in ("probabilities", "signs") and values.shape[1] > 1:
                known = [np.arange(2)] * values.shape[1]  # one yes/no question for each output
            named = answer if self._names is None else self._names[answer]
            self.estimator = stand_in(lambda _: named, lambda _: shares, known)
        else:
            self.estimator = stand_in(lambda _: answer)

    def targets(self, y: Any) -> NDArray[Any]:
        """Targets in the form that scikit-learn's scorers need: labels for one-hot rows, (n,) for (n, 1)."""
        if self._names is not None:
            texts = texts_of(y, "y")
            return self._names[np.asarray(y).reshape(len(y)).astype(np.int64)] if texts is None else texts
        array = plain_values(y)
        if self._targets == "signs":
            array = (array > 0).astype(np.int64)
        if self._targets == "distribution" and array.ndim == 2:
            labels: NDArray[Any] = np.argmax(array, axis=1)
            return labels
        return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array

    def _answer(self, values: NDArray[Any]) -> NDArray[Any]:
        """Labels, an indicator matrix for several yes/no outputs, or the values."""
        if self._targets in ("labels", "distribution"):
            labels: NDArray[Any] = np.argmax(values, axis=1)
            return labels
        if self._targets in ("probabilities", "signs"):
            values = (values > 0.5).astype(np.int64)
        return values[:, 0] if values.shape[1] == 1 else values

    def _shares(self, values: NDArray[Any]) -> NDArray[Any]:
        """What ``predict_proba`` gives: two columns for one yes/no output; rows of float32 shares made to add up."""
        if values.shape[1] == 1:
            return np.concatenate([1 - values, values], axis=1)
        if self._targets in ("probabilities", "signs"):
            return values
        shares: NDArray[Any] = values / values.sum(axis=1, keepdims=True)
        return shares
