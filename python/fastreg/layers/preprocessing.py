"""Layers that prepare features: Rescaling, Normalization, CategoryEncoding. Within a model, or called on arrays."""

import weakref
from typing import Annotated, Any, ClassVar, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastreg.internal.checks import FINITE, check_bool, describe
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import EncodingArguments, LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import InputRule, Layer, Shape, Symbol, Value
from fastreg.internal.prepared import encoded, plain_numbers, statistics
from fastreg.layers.embedding import INDICES

__all__ = ["CategoryEncoding", "Normalization", "Rescaling"]

# The least deviation by which Normalization divides.
_LEAST = 1e-7


class _OnArrays(Layer):
    """The base of layers that can be called on arrays, too."""

    @overload
    def __call__(self, inputs: Symbol, *, training: bool | None = None) -> Value: ...
    @overload
    def __call__(self, inputs: ArrayLike, *, training: bool | None = None) -> NDArray[np.float32]: ...
    def __call__(self, inputs: Any, *, training: bool | None = None) -> Any:
        """The value that this layer makes of another one in a model, or the array that it makes of an array."""
        return super().__call__(inputs, training=training) if isinstance(inputs, Symbol) else self._of_array(inputs)

    def _of_array(self, inputs: ArrayLike) -> NDArray[np.float32]:
        raise NotImplementedError


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Rescaling(_OnArrays, LayerArguments):
    r"""Each feature times a number, plus a number: :math:`y = s x + o`.

    ``Rescaling(1 / 255)`` makes [0, 1] of bytes. In a frozen model it is a part of the next dense layer. It may be
    called on an array, too.

    Args:
        scale: :math:`s`, finite.
        offset: :math:`o`, finite.
        name: See :class:`Layer`, as for ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If a number is not finite in float32.

    Example:
        >>> from fastreg import layers
        >>> layers.Rescaling(1 / 127.5, offset=-1)([[0, 255]])
        array([[-1.,  1.]], dtype=float32)
    """

    scale: Annotated[float, FINITE]
    offset: Annotated[float, FINITE] = 0.0

    def is_elementwise(self) -> bool:
        """True."""
        return True

    def _of_array(self, inputs: ArrayLike) -> NDArray[np.float32]:
        x = plain_numbers(inputs, "Rescaling")
        return np.asarray(x * np.float32(self.scale) + np.float32(self.offset), np.float32)


def _check_statistics(owner: str, name: str, value: Any) -> NDArray[np.float32]:
    array = plain_numbers(value, f"{owner}: {name}")
    if array.ndim > 1:
        array = array.reshape(-1)
    if not array.size or not np.isfinite(array).all():
        raise ValueError(f"{owner}: {name} must be finite numbers, one or one for each feature, got {describe(value)}")
    if name == "variance" and array.min() < 0:
        raise ValueError(f"{owner}: variance must be >= 0, got {float(array.min())!r}")
    return np.array(array, np.float32)


def _check_axis(owner: str, name: str, value: Any) -> Any:
    if type(value) is not int or value not in (-1, 1):
        raise ValueError(f"{owner}: {name} must be -1, 1 or None, got {describe(value)}")
    return value


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Normalization(_OnArrays, LayerArguments):
    r"""Shifts and scales each feature by a mean and a variance that are given or taken from data.

    :math:`y = (x - \mu) / \max(\sigma, 10^{-7})`. :meth:`adapt` takes both from data before the model is trained;
    training does not change them. They are weights, ``mean`` and ``variance``, each (in,). In a frozen model it is a
    part of the next dense layer, unless the means are so large beside the deviations that this would lose digits. It
    may be called on an array, too.

    Args:
        axis: -1 or 1: each feature by itself. None: one mean and one variance for all elements, of rows of any shape.
        mean: :math:`\mu`, a number or one for each feature; None takes it from data.
        variance: :math:`\sigma^2`, >= 0; given if and only if ``mean`` is.
        invert: Whether to compute x from y instead.
        robust: Whether :meth:`adapt` takes the median for the mean, and for :math:`\sigma` the distance of the
            quartiles divided by 1.349, which is that of the normal distribution. Outliers then count little. Where the
            quartiles are equal, as those of a feature that is mostly 0, :math:`\sigma` is the standard deviation.
        name: See :class:`Layer`, as for ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If only one of ``mean`` and ``variance`` is given, or they are out of range. In ``fit`` also if they
            are neither given nor adapted.

    Example:
        >>> import numpy as np
        >>> from fastreg import layers
        >>> norm = layers.Normalization()
        >>> norm.adapt(np.array([[0.0, 10.0], [2.0, 30.0]]))
        >>> norm([[2.0, 10.0]])
        array([[ 1., -1.]], dtype=float32)
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis", "mean", "variance", "robust"}

    axis: Annotated[int, _check_axis] | None = field(default=-1, compare=False)
    mean: Annotated[Any, _check_statistics] | None = field(default=None, compare=False)
    variance: Annotated[Any, _check_statistics] | None = field(default=None, compare=False)
    invert: bool = False
    robust: Annotated[bool, check_bool] = field(default=False, compare=False)

    def _check_together(self) -> None:
        if (self.mean is None) != (self.variance is None):
            raise ValueError("Normalization: mean and variance must be given both, or none of them")

    def is_elementwise(self) -> bool:
        """Whether there is one mean for all elements."""
        return self.axis is None

    def adapt(self, data: ArrayLike) -> None:
        """Takes mean and variance from data, (n, features). Models that have this layer use them from now on.

        Args:
            data: Rows of features, finite; (n,) is one feature.

        Raises:
            ValueError: If there are none, one is not finite, or float32 cannot hold the mean or variance of a feature.
            RuntimeError: Within a callback of a model that has this layer, or while another thread fits it.
        """
        mean, variance = statistics(data, self.robust, "Normalization: data", None if self.axis is None else 0)
        users = list(self.__dict__.get("_users", ()))
        for core in users:
            core.require_idle("adapt")
        self._set(mean=mean, variance=variance)
        for core in users:
            core.take_statistics()

    def weights_for(self, width: int, user: Any) -> dict[str, NDArray[np.float32]] | None:
        """Mean and variance for a number of features; None before they are known.

        Args:
            width: The number of features.
            user: The core of the model that asks. It is told when they change.

        Raises:
            ValueError: If they are those of another number of features.
        """
        self.__dict__.setdefault("_users", weakref.WeakSet()).add(user)
        if self.mean is None:
            return None
        found = {"mean": self.mean, "variance": self.variance}
        for name, values in found.items():
            if values.size not in (1, width):
                raise ValueError(f"Normalization: {name} must be of {width} features, got {values.size}")
        return {name: np.full(width, values, np.float32) for name, values in found.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_users"}

    def _of_array(self, inputs: ArrayLike) -> NDArray[np.float32]:
        if self.mean is None or self.variance is None:
            raise ValueError("Normalization: has no mean and variance; call adapt(data) first, or give them")
        x = plain_numbers(inputs, "Normalization")
        deviation = np.maximum(np.sqrt(self.variance), np.float32(_LEAST))
        made = self.mean + x * deviation if self.invert else (x - self.mean) / deviation
        return np.asarray(made, np.float32)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class CategoryEncoding(_OnArrays, EncodingArguments):
    """Integers as indicators, 0 or 1 for each integer that there is. It may be called on an array, too.

    Args:
        num_tokens: How many integers there are: they are in [0, ``num_tokens``), at most 2**24.
        output_mode: ``"one_hot"``: ``num_tokens`` columns for each integer of a row, of which that of the integer is 1.
            ``"multi_hot"``: ``num_tokens`` columns for the row, 1 where some integer of it is there. ``"count"``: how
            many are.
        name: See :class:`Layer`, as for ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If an argument is out of range, or an integer is.

    Example:
        >>> from fastreg import layers
        >>> layers.CategoryEncoding(4, output_mode="multi_hot")([[0, 2], [3, 3]])
        array([[1., 0., 1., 0.],
               [0., 0., 0., 1.]], dtype=float32)
    """

    num_tokens: Annotated[int, INDICES]
    output_mode: Literal["multi_hot", "one_hot", "count"] = "multi_hot"

    @overload
    def __call__(self, inputs: Symbol, count_weights: None = None, *, training: bool | None = None) -> Value: ...
    @overload
    def __call__(
        self, inputs: ArrayLike, count_weights: ArrayLike | None = None, *, training: bool | None = None
    ) -> NDArray[np.float32]: ...
    def __call__(self, inputs: Any, count_weights: Any = None, *, training: bool | None = None) -> Any:
        """The value that this layer makes of another one in a model, or the array that it makes of an array.

        Args:
            inputs: A value; or integers (n, k), or (n,) of which ``"one_hot"`` makes (n, ``num_tokens``) and the other
                modes one row.
            count_weights: What each integer of an array counts for, with ``"count"``.
            training: Keras's argument, without a meaning for this layer.
        """
        if not isinstance(inputs, Symbol):
            return encoded(inputs, self.num_tokens, self.output_mode, "CategoryEncoding", count_weights)
        if count_weights is not None:
            raise ValueError("CategoryEncoding: count_weights must be None in a model")
        return super().__call__(inputs, training=training)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The indicators of a row."""
        (shape,) = shapes
        size = int(np.prod(shape, dtype=np.int64))
        width = self.output_width(size)
        if self.output_mode == "one_hot":
            return (*(shape[:-1] if shape and shape[-1] == 1 else shape), self.num_tokens)
        if len(shape) > 1 and size != shape[-1]:
            raise ValueError(f"CategoryEncoding: takes rows of integers, (k,), got shape {shape}; Flatten() makes rows")
        return (*shape[:-1], width)

    @property
    def input_rule(self) -> InputRule:
        """Integers below ``num_tokens``."""
        return InputRule(self.num_tokens)
