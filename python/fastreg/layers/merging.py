"""Layers that join two or more values into one, element by element or side by side. They have no weights."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from fastreg.internal.checks import Rule
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import Join, Layer, Shape, Symbol, Value, told

__all__ = [
    *("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"),
    *("add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract"),
]

_C = TypeVar("_C", bound="Concatenate")
_AXIS: Rule = ("be an axis of the inputs other than 0, that of the rows", lambda v: v != 0)


class _Elementwise(Join):
    """The base of those that combine values element by element. A value of one element stands for every element."""

    def is_elementwise(self) -> bool:
        """True."""
        return True

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape that all values have but for those of one element."""
        widest = max(shapes, key=lambda shape: (math.prod(shape), len(shape)))
        for shape in shapes:
            if shape != widest and (math.prod(shape) != 1 or len(shape) > len(widest)):
                rule = f"{type(self).__name__}: inputs must have the same shape, or a single element"
                raise ValueError(f"{rule}, got {told(widest)} and {told(shape)}")
        return widest


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Add(_Elementwise, LayerArguments):
    """The sum of values of the same shape, element by element, from left to right.

    A value of shape (1,) may be among them: its element is taken for every element of the others.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of other shapes.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((3,))
        >>> fr.layers.Add()([a, b]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Multiply(_Elementwise, LayerArguments):
    """The product of values of the same shape, element by element, from left to right.

    A value of shape (1,) may be among them, as the gate of a row: its element is taken for every element of the others.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of other shapes.

    Example:
        >>> import fastreg as fr
        >>> x = fr.Input((3,))
        >>> gate = fr.layers.Dense(3, "sigmoid")(x)
        >>> fr.layers.Multiply()([x, gate]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Subtract(_Elementwise, LayerArguments):
    r"""The difference of two values of the same shape, :math:`y = x_0 - x_1`.

    One of them may have the shape (1,): its element is taken for every element of the other.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of other shapes, or not on two.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((3,))
        >>> fr.layers.Subtract()([a, b]).shape
        (None, 3)
    """

    _count: ClassVar[int | None] = 2


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Average(_Elementwise, LayerArguments):
    r"""The mean of values of the same shape, element by element, :math:`y = (x_0 + x_1 + ...) / k`.

    A value of shape (1,) may be among them: its element is taken for every element of the others.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of other shapes.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((3,))
        >>> fr.layers.Average()([a, b]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Maximum(_Elementwise, LayerArguments):
    r"""The greatest of values of the same shape, element by element.

    The gradient goes to the value that is the greatest. Where a value equals the greatest of those before it in the
    list, half goes to it and half to those before, as in Keras on JAX and in PyTorch. NaN wins. A value of shape (1,)
    may be among them: its element is taken for every element of the others.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of other shapes.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((3,))
        >>> fr.layers.Maximum()([a, b]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Minimum(_Elementwise, LayerArguments):
    r"""The least of values of the same shape, element by element.

    The gradient goes to the value that is the least. Where a value equals the least of those before it in the list,
    half goes to it and half to those before, as in Keras on JAX and in PyTorch. NaN wins. A value of shape (1,) may be
    among them: its element is taken for every element of the others.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of other shapes.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((3,))
        >>> fr.layers.Minimum()([a, b]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Concatenate(Join, LayerArguments):
    """The features of values side by side, in the order of the list.

    Args:
        axis: The axis along which they are put together; -1 is the last one. Shapes must agree in all other axes.
            Before the axis there may be only axes of size 1, apart from that of the rows.
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of other shapes.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((2,))
        >>> fr.layers.Concatenate()([a, b]).shape
        (None, 5)
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}

    axis: Annotated[int, _AXIS] = field(default=-1, compare=False)

    def output_shape(self, *shapes: Shape) -> Shape:
        """The sum of the sizes along the axis, and the other sizes as they are."""
        rank = len(shapes[0])
        axis = self.axis - 1 if self.axis > 0 else rank + self.axis
        if not 0 <= axis < rank:
            raise ValueError(f"Concatenate: axis must be one of the inputs, {(None, *shapes[0])}, got {self.axis}")
        for shape in shapes:
            if len(shape) != rank or (shape[:axis], shape[axis + 1 :]) != (shapes[0][:axis], shapes[0][axis + 1 :]):
                got = f"got {shapes[0]} and {shape}"
                raise ValueError(f"Concatenate: shapes of inputs must be the same but for axis {self.axis}, {got}")
        if math.prod(shapes[0][:axis]) != 1:
            raise ValueError(
                f"Concatenate: axis must have no axes of size > 1 in front of it, got {self.axis} of shape "
                f"{(None, *shapes[0])}; Flatten() the values first, or use an earlier axis"
            )
        self.output_width(*map(math.prod, shapes))
        return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])

    def to_config(self) -> dict[str, Any]:
        """The JSON form; ``axis`` is in it only where it is not -1."""
        return super().to_config() | ({} if self.axis == -1 else {"axis": self.axis})

    @classmethod
    def from_config(cls: type[_C], config: Mapping[str, Any]) -> _C:
        """See :class:`fastreg.layers.Layer`."""
        return cls(**{name: value for name, value in config.items() if name != "type"})


def add(inputs: Sequence[Symbol], **kwargs: Any) -> Value:
    """``Add(**kwargs)(inputs)``, Keras's function.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((4,)), fr.Input((4,))
        >>> fr.Model([a, b], fr.layers.add([a, b])).predict([[[1, 2, 3, 4]], [[4, 4, 4, 4]]], verbose=0)
        array([[5., 6., 7., 8.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Symbol], **kwargs: Any) -> Value:
    """``Subtract(**kwargs)(inputs)``, Keras's function.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((4,)), fr.Input((4,))
        >>> fr.Model([a, b], fr.layers.subtract([a, b])).predict([[[1, 2, 3, 4]], [[4, 4, 4, 4]]], verbose=0)
        array([[-3., -2., -1.,  0.]], dtype=float32)
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Symbol], **kwargs: Any) -> Value:
    """``Multiply(**kwargs)(inputs)``, Keras's function.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((4,)), fr.Input((4,))
        >>> fr.Model([a, b], fr.layers.multiply([a, b])).predict([[[1, 2, 3, 4]], [[4, 4, 4, 4]]], verbose=0)
        array([[ 4.,  8., 12., 16.]], dtype=float32)
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Symbol], **kwargs: Any) -> Value:
    """``Average(**kwargs)(inputs)``, Keras's function.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((4,)), fr.Input((4,))
        >>> fr.Model([a, b], fr.layers.average([a, b])).predict([[[1, 2, 3, 4]], [[4, 4, 4, 4]]], verbose=0)
        array([[2.5, 3. , 3.5, 4. ]], dtype=float32)
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Symbol], **kwargs: Any) -> Value:
    """``Maximum(**kwargs)(inputs)``, Keras's function.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((4,)), fr.Input((4,))
        >>> fr.Model([a, b], fr.layers.maximum([a, b])).predict([[[1, 2, 3, 4]], [[4, 4, 4, 4]]], verbose=0)
        array([[4., 4., 4., 4.]], dtype=float32)
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Symbol], **kwargs: Any) -> Value:
    """``Minimum(**kwargs)(inputs)``, Keras's function.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((4,)), fr.Input((4,))
        >>> fr.Model([a, b], fr.layers.minimum([a, b])).predict([[[1, 2, 3, 4]], [[4, 4, 4, 4]]], verbose=0)
        array([[1., 2., 3., 4.]], dtype=float32)
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Symbol], axis: int = -1, **kwargs: Any) -> Value:
    """``Concatenate(axis, **kwargs)(inputs)``, Keras's function.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((4,)), fr.Input((4,))
        >>> fr.Model([a, b], fr.layers.concatenate([a, b])).predict([[[1, 2, 3, 4]], [[4, 4, 4, 4]]], verbose=0)
        array([[1., 2., 3., 4., 4., 4., 4., 4.]], dtype=float32)
    """
    return Concatenate(axis, **kwargs)(inputs)
