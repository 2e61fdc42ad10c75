"""Checks of what a fit is given beside rows: weights of rows and classes, targets to validate on, the random state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import check_array, check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastreg.data import arrays
from fastreg.data.foreign import taken
from fastreg.internal.checks import NON_NEGATIVE, check_real, describe

__all__ = [
    "checked_random_state",
    "checked_validation_features",
    "checked_validation_targets",
    "checked_weights",
    "class_weights",
    "naming",
    "rows_that_count",
]


@contextmanager
def naming(argument: str) -> Iterator[None]:
    """Puts the name of an argument before messages of scikit-learn's checks, which call every argument X or y.

    Args:
        argument: The name, or several with commas between; a message that has one of them stays as it is.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        if any(name in str(error) for name in argument.split(", ")):
            raise
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{argument}: {error}") from error


def checked_random_state(owner: str, value: Any) -> Any:
    """The ``numpy.random.RandomState`` that the parameter ``random_state`` stands for.

    Raises:
        ValueError: If it stands for none, as a text or a negative number does.
    """
    try:
        return check_random_state(value)
    except ValueError:
        raise ValueError(
            f"{owner}: random_state must be None, an int in [0, 2**32) or a numpy.random.RandomState, "
            f"got {describe(value)}"
        ) from None


def checked_weights(name: str, value: Any, X: Any) -> NDArray[np.float64]:
    """Weights of the rows of X as an array; raises ValueError unless they are finite, >= 0 and not all 0."""
    value = taken(value, name)
    with nullcontext() if name == "sample_weight" else naming(name):
        weights: NDArray[np.float64] = _check_sample_weight(value, X, dtype=np.float64)
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.any()):
        raise ValueError(
            f"{name}: must be finite, >= 0 and not 0 for every row, got {weights.min():g} to {weights.max():g}"
        )
    return weights


def checked_validation_features(estimator: Any, X: Any) -> Any:
    """Rows to validate on, with the checks that X gets."""
    with naming("X_val"):
        X = validate_data(estimator, X, accept_sparse="csr", dtype="numeric", reset=False)
    return X if issparse(X) else arrays.to_float32(X, "X_val")


def checked_validation_targets(estimator: Any, y: Any, are_numbers: bool) -> Any:
    """Targets to validate on as an array, or as a sparse matrix, with the checks that y gets."""
    y = check_array(
        y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y_val", estimator=type(estimator).__name__
    )
    if are_numbers:
        arrays.to_float32(arrays.numeric(y, "y_val"), "y_val")  # says which target is no number or not finite
        return y.astype(np.float64) if y.dtype.kind == "O" else y
    return y


def class_weights(
    owner: str, given: Any, classes: NDArray[Any], y: NDArray[Any], rows: NDArray[np.intp] | None, incremental: bool
) -> NDArray[np.float64]:
    """The weight of the class of each row.

    Args:
        owner: The name of the estimator, for messages.
        given: "balanced" or a mapping from labels to weights, where a missing label has the weight 1.
        classes: All classes, sorted.
        y: The labels of the rows, which are classes.
        rows: Indices of the rows to train on, by which classes are balanced; None is all.
        incremental: Whether the rows are only some of those that are trained on.

    Raises:
        ValueError: If there is no such form of weights, a weight is out of range, or a label is no class.
        TypeError: If a weight is no number.
    """
    if isinstance(given, str) and given == "balanced":
        if incremental:
            raise ValueError(
                "class_weight: 'balanced' is not available in partial_fit, which does not see all rows; give a dict"
            )
        return np.asarray(compute_sample_weight("balanced", y, indices=rows), np.float64)
    if not isinstance(given, Mapping):
        raise ValueError(
            f"{owner}: class_weight must be 'balanced', a dict from labels to weights or None, got {describe(given)}"
        )
    by_label = {
        label: check_real(owner, f"class_weight[{label!r}]", weight, NON_NEGATIVE) for label, weight in given.items()
    }
    found = [by_label.get(label) for label in classes]
    unknown = len(by_label) - sum(weight is not None for weight in found)
    if unknown and None in found:  # as in scikit-learn, weights of all classes may be among those of further ones
        raise ValueError(
            f"{owner}: class_weight must name classes that there are, {classes.tolist()}, got {list(by_label)}"
        )
    weights = np.array([1.0 if weight is None else weight for weight in found])
    by_row: NDArray[np.float64] = weights[np.searchsorted(classes, y)]
    return by_row


def rows_that_count(
    weights: NDArray[np.float64], rows: NDArray[np.intp] | None, names: str
) -> NDArray[np.intp] | None:
    """The rows to train on without those of weight 0; None is all of them.

    Args:
        weights: The weights of all rows.
        rows: Indices of the rows to train on; None is all.
        names: What the weights are made of, for a message.

    Raises:
        ValueError: If no row is left.
    """
    counts = weights != 0.0 if rows is None else weights[rows] != 0.0
    if counts.all():
        return rows
    if not counts.any():
        raise ValueError(f"{names}: must not be zero for every row to train on")
    return np.flatnonzero(counts) if rows is None else rows[counts]
