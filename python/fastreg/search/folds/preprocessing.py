"""Preprocessing of features within a fold: transformers that are fitted on the training rows only.

A fold's transformed features do not depend on the parameters of a trial, so they are computed once in a process and
shared by all trials: at most one copy of the features for each fold.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.data.arrays import numeric
from fastreg.data.frames import Names, checked_names, feature_names, labels, where
from fastreg.internal.checks import describe
from fastreg.internal.float32 import beyond_float32, in_float32, shown
from fastreg.internal.forks import Lock
from fastreg.search.folds.cross_validation import Rows, take

__all__ = ["Chain", "Standard", "resolve"]


# A deviation whose square is a normal number of float64, with all its digits.
_LEAST = 1e-150


class Standard:
    r"""Scales each feature to mean 0 and variance 1 over the rows it was fitted on; a constant feature becomes 0.

    .. math:: z_{ij} = (x_{ij} - \mu_j) / \sigma_j

    Means and deviations are taken in float64, the result is float32.

    Attributes:
        mean: :math:`\mu`, (features,); None before ``fit``.
        scale: :math:`\sigma`, the root of the biased variance; infinity where a feature is constant.

    Raises:
        ValueError: If features are not 2-D and finite.

    Example:
        >>> import numpy as np
        >>> from fastreg.search.folds.preprocessing import Standard
        >>> Standard().fit_transform(np.array([[1.0, 5.0], [3.0, 5.0]]))
        array([[-1.,  0.],
               [ 1.,  0.]], dtype=float32)
    """

    mean: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None

    def __repr__(self) -> str:
        return "Standard()"

    def fit(self, x: object, y: object = None) -> Standard:
        """Takes mean and deviation of each column."""
        values = np.asarray(numeric(x, "Standard: x"), np.float64)
        if values.ndim != 2 or not len(values):
            raise ValueError(f"Standard: x must be 2-D (rows, features), got shape {values.shape}")
        finite = np.isfinite(values).all(axis=0)
        if not finite.all():
            column = int(np.argmin(finite))
            row = int(np.argmin(np.isfinite(values[:, column])))
            place = where(row, column, labels(x))
            raise ValueError(f"Standard: x must be finite numbers, got NaN or infinity in {place}")
        # A constant column's deviation is rounding noise, not always 0.
        constant = values.min(axis=0) == values.max(axis=0)
        mean, deviation = _moments(values, ~constant)
        self.mean, self.scale = mean, np.where(constant | (deviation == 0.0), np.inf, deviation)
        return self

    def transform(self, x: object) -> NDArray[np.float32]:
        """The rows, scaled."""
        if self.mean is None or self.scale is None:
            raise ValueError("Standard: call fit before transform")
        values = numeric(x, "Standard: x")
        if values.ndim != 2 or values.shape[1] != len(self.mean):
            raise ValueError(f"Standard: x must have shape (n, {len(self.mean)}), got {values.shape}")
        with np.errstate(over="ignore"):
            scaled: NDArray[np.float32] = ((values - self.mean) / self.scale).astype(np.float32)
        if (lost := np.isinf(scaled) & np.isfinite(values)).any():
            row, column = np.unravel_index(int(np.argmax(lost)), lost.shape)
            moments = f"(x = {shown(values[row, column])!r} - {self.mean[column]:g}) / {self.scale[column]:g}"
            place = where(int(row), int(column), labels(x))
            raise beyond_float32("Standard: standardised features", moments, place)
        return scaled

    def fit_transform(self, x: object, y: object = None) -> NDArray[np.float32]:
        """``fit`` and then ``transform`` of the same rows."""
        return self.fit(x, y).transform(x)


def _moments(
    values: NDArray[np.float64], varies: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each column. ``varies`` says in which there are different values."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = values.mean(axis=0), values.std(axis=0)
    # Columns whose sums or squares are beyond the range of float64 are divided by their largest value first.
    beyond = ~np.isfinite(mean) | ~np.isfinite(deviation) | (varies & (deviation < _LEAST))
    if beyond.any():
        largest = np.abs(values[:, beyond]).max(axis=0)
        parts = values[:, beyond] / largest
        mean[beyond], deviation[beyond] = parts.mean(axis=0) * largest, parts.std(axis=0) * largest
    return mean, deviation


class Chain:
    """A sequence of transformers, each of which is fitted on the output of the one before it.

    It remembers the names of the columns of a frame that it was fitted on. Another frame with other names, or with
    another order, is a ValueError.

    Args:
        steps: Objects with ``fit`` and ``transform``, or with ``fit_transform`` and ``transform``.
    """

    _names: Names | None = None
    # Those of the columns that it gives; None if they are not known, or it was fitted on no frame.
    names_out: Names | None = None

    def __init__(self, steps: list[Any]) -> None:
        self.steps = steps

    def __repr__(self) -> str:
        return f"Chain({self.steps!r})"

    def fit_transform(self, x: Any, y: Any = None) -> Any:
        """Fits all of them and gives the transformed rows."""
        self._names = self.names_out = feature_names(x, "X")
        for step in self.steps:
            x = step.fit_transform(x, y) if hasattr(step, "fit_transform") else step.fit(x, y).transform(x)
            self.names_out = None if self.names_out is None else _names_of(step, x, self.names_out)
        return x

    def transform(self, x: Any) -> Any:
        """The rows, through all of them."""
        checked_names(x, self._names, "X")
        for step in self.steps:
            x = step.transform(x)
        return x


def _names_of(step: Any, x: Any, names: Names) -> Names | None:
    """The names of the columns that a step made of columns with these names, if the step or its output has names."""
    if isinstance(step, Standard):
        return names
    try:
        told = feature_names(x) or tuple(map(str, step.get_feature_names_out(names)))
        return told if np.shape(x)[1:] == (len(told),) else None
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return None  # scikit-learn's are free not to know them; the search needs them for messages alone


def resolve(preprocess: object) -> Chain | None:
    """The transformers of a ``preprocess=`` argument: None, ``"standard"``, a transformer, or a list of them.

    Raises:
        TypeError: If something in it is not a transformer.
        ValueError: If a name is unknown.
    """
    if preprocess is None:
        return None
    if isinstance(preprocess, Chain):
        return preprocess
    steps: list[Any] = []
    for step in preprocess if isinstance(preprocess, (list, tuple)) else [preprocess]:
        if isinstance(step, str):
            if step != "standard":
                raise ValueError(f"preprocess: unknown name {step!r}; known: standard")
            steps.append(Standard())
        elif isinstance(step, type) or not hasattr(step, "transform"):
            hint = "; did you forget the parentheses?" if isinstance(step, type) else ""
            raise TypeError(
                f"preprocess: must be 'standard' or a thing with fit and transform, got {describe(step)}{hint}"
            )
        elif not (hasattr(step, "fit") or hasattr(step, "fit_transform")):
            raise TypeError(f"preprocess: {describe(step)} has transform but neither fit nor fit_transform")
        else:
            steps.append(step)
    return Chain(steps) if steps else None


def fit_fold(chain: Chain, x: Any, y: Any, train: Rows, scored: Rows) -> tuple[Chain, Any]:
    """A fitted copy of the transformers, and features whose rows of the fold are transformed.

    Rows that are on neither side are 0, and nothing reads them. The numbers of the rows do not change, so that targets,
    weights and the row numbers of the fold stay valid.

    Raises:
        ValueError: If the transformers change the number of rows, or do not return a matrix.
    """
    fitted = copy.deepcopy(chain)
    first = _matrix(fitted.fit_transform(take(x, train), take(y, train)), len(train))
    transformed = np.zeros((int(np.shape(y)[0]), first.shape[1]), first.dtype)
    transformed[train] = first
    if len(scored):
        transformed[scored] = _matrix(fitted.transform(take(x, scored)), len(scored))
    return fitted, transformed


def _matrix(values: Any, n: int) -> NDArray[Any]:
    array = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    if array.ndim != 2 or len(array) != n:
        raise ValueError(f"preprocess: {n} rows must become a matrix of as many rows, got shape {array.shape}")
    return in_float32(array, "preprocess: features") if array.dtype == np.float64 else array


class Once:
    """Values that the first thread that needs them computes once for the process, while others wait.

    A pickle has none.
    """

    def __init__(self) -> None:
        self._values: dict[object, Any] = {}
        self._locks: dict[object, Lock] = {}
        self._guard = Lock()

    def __reduce__(self) -> tuple[type[Once], tuple[()]]:
        return Once, ()

    def get(self, key: object, compute: Callable[[], Any]) -> Any:
        """The value of a key; if computing it raises, the next one to ask tries again."""
        try:
            return self._values[key]
        except KeyError:
            pass
        with self._guard.held:
            lock = self._locks.setdefault(key, Lock())
        with lock.held:
            if key not in self._values:
                self._values[key] = compute()
            return self._values[key]
