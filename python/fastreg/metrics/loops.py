"""``Mean`` and ``Sum``, which collect numbers in loops of one's own. They are no metrics of ``compile``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import check_name, describe
from fastreg.internal.dlpack import of_memory

__all__ = ["Mean", "Sum"]


class _Collected:
    """Values and weights that were given, as float64 sums.

    Args:
        name: A name, for programs that print it.
        dtype: Keras's, accepted and not used.
    """

    def __init__(self, name: str, dtype: object = None) -> None:
        self.name = check_name(type(self).__name__, "name", name)
        self._total, self._weight = 0.0, 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds a number, or the rows of an array; all numbers of a row are joined first, by their mean or sum.

        Args:
            values: Numbers of any shape.
            sample_weight: None, one weight for everything together, or an array of weights of the shape of ``values``
                or of its first dimensions; then each weight is that of the values below it, joined.

        Raises:
            ValueError: If the shapes do not go together.
            TypeError: If an argument is not numbers.
        """
        numbers = self._numbers("values", values)
        if sample_weight is None:
            self._weight += float(len(numbers)) if numbers.ndim else 1.0
            self._total += float(self._joined(numbers, 1).sum())
            return
        weights = self._numbers("sample_weight", sample_weight)
        if weights.ndim and weights.shape != numbers.shape[: weights.ndim] and weights.shape[-1] == 1:
            weights = weights[..., 0]
        if weights.shape != numbers.shape[: weights.ndim]:
            raise ValueError(
                f"{type(self).__name__}: sample_weight must have the first dimensions of values, {numbers.shape}, got "
                f"{weights.shape}"
            )
        numbers = self._joined(numbers, weights.ndim)
        # What has no weight does not count, even if it is not finite.
        weighted = np.where(weights == 0.0, 0.0, numbers) * weights
        self._total += float(self._joined(weighted, 1).sum())
        self._weight += float(self._joined(weights, 1).sum())

    def reset_state(self) -> None:
        """Forgets all values."""
        self._total, self._weight = 0.0, 0.0

    def result(self) -> float:
        """The value of everything since it was made or reset."""
        raise NotImplementedError

    def __call__(self, values: Any, sample_weight: Any = None) -> float:
        """Adds values, and returns the result."""
        self.update_state(values, sample_weight)
        return self.result()

    def _joined(self, numbers: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
        """The values with dimensions from ``ndim`` on joined."""
        raise NotImplementedError

    def _numbers(self, name: str, value: object) -> NDArray[np.float64]:
        array = np.asarray(of_memory(value, f"{type(self).__name__}: {name}"))
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{type(self).__name__}: {name} must be numbers, got {describe(value)}")
        return array.astype(np.float64)


class Mean(_Collected):
    r"""The weighted mean of all rows of values, :math:`\sum w v / \sum w`; 0 before there are any.

    Args:
        name: A name, for programs that print it.
        dtype: Keras's, accepted and not used.

    Example:
        >>> from fastreg import metrics
        >>> mean = metrics.Mean()
        >>> mean.update_state([1, 3, 5, 7])
        >>> mean.result()
        4.0
        >>> mean([10], sample_weight=[0.5])
        4.666666666666667
    """

    def __init__(self, name: str = "mean", dtype: object = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> float:
        """The mean."""
        return self._total / self._weight if self._weight else 0.0

    def _joined(self, numbers: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
        return np.asarray(numbers.mean(axis=tuple(range(ndim, numbers.ndim))))


class Sum(_Collected):
    r"""The weighted sum of all values, :math:`\sum w v`.

    Args:
        name: A name, for programs that print it.
        dtype: Keras's, accepted and not used.

    Example:
        >>> from fastreg import metrics
        >>> metrics.Sum()([1, 3, 5, 7])
        16.0
    """

    def __init__(self, name: str = "sum", dtype: object = None) -> None:
        super().__init__(name, dtype)

    def result(self) -> float:
        """The sum."""
        return self._total

    def _joined(self, numbers: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
        return np.asarray(numbers.sum(axis=tuple(range(ndim, numbers.ndim))))
