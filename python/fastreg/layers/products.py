"""Dot, the layer of scalar products, and Keras's function of it."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from fastreg.internal.checks import check_int, describe
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import Join, Lowering, Shape, Symbol, Value

__all__ = ["Dot", "dot"]


def _check_axes(owner: str, name: str, value: Any) -> int | tuple[int, int]:
    rule = ("be an axis of the inputs other than 0, that of the rows", lambda v: v != 0)
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{owner}: {name} must be an axis, or one of each of two inputs, got {describe(value)}")
        return check_int(owner, name, value[0], rule), check_int(owner, name, value[1], rule)
    return check_int(owner, name, value, rule)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Dot(Join, LayerArguments):
    r"""The scalar products of the vectors in two values, row by row of the batch.

    With ``axes=1`` and two values of k features, :math:`y = \sum_t a_t b_t`, (n, 1). A value of shape (n, p, k) has p
    vectors in a row: with ``axes=2`` the result of (n, p, k) and (n, q, k) is (n, p, q), with ``axes=(1, 2)`` that of
    (n, k, p) and (n, q, k). As in Keras, a result without dimensions is (n, 1).

    Args:
        axes: The axis along which vectors lie, counted with that of the rows, or one for each of the two values.
            Negative ones count from the end.
        normalize: Whether to divide each vector by its Euclidean norm first, which makes y the cosine of the angle. A
            vector is multiplied by 1e7 at most.
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is not called on two values, or these have more than two dimensions besides the rows, or
            vectors of different lengths.

    Example:
        >>> import fastreg as fr
        >>> user, item = fr.Input((1,)), fr.Input((1,))
        >>> left = fr.layers.Embedding(100, 8)(user)
        >>> right = fr.layers.Embedding(50, 8)(item)
        >>> fr.layers.Dot(axes=2)([left, right]).shape
        (None, 1, 1)
    """

    _count: ClassVar[int | None] = 2

    axes: Annotated[int | Sequence[int], _check_axes]
    normalize: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        """What is left of the two shapes without the axes."""
        first, second = self._axes(shapes)
        left = shapes[0][:first] + shapes[0][first + 1 :]
        right = shapes[1][:second] + shapes[1][second + 1 :]
        return (*left, *right) or (1,)

    def lower(self, into: Lowering, values: tuple[int, ...]) -> int:
        """Writes the length of the vectors, and how they lie in the rows of the two values."""
        shapes = into.shape(values[0]), into.shape(values[1])
        axes = self._axes(shapes)
        first, second = (len(shape) == 2 and axis == 0 for shape, axis in zip(shapes, axes, strict=True))
        config = {
            "type": "Dot",
            "length": shapes[0][axes[0]],
            "first_transposed": first,
            "second_transposed": second,
            "normalize": self.normalize,
        }
        return into.add(self, config, values)

    def _axes(self, shapes: Sequence[Shape]) -> tuple[int, int]:
        """The axes of the two shapes, counted without that of the rows."""
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        found = []
        for shape, axis in zip(shapes, axes, strict=True):
            place = axis - 1 if axis > 0 else len(shape) + axis
            if not 1 <= len(shape) <= 2:
                raise ValueError(f"Dot: inputs must have one or two dimensions besides the rows, got {(None, *shape)}")
            if not 0 <= place < len(shape):
                raise ValueError(f"Dot: axes must be of the inputs, of which one has {(None, *shape)}, got {axis}")
            found.append(place)
        lengths = [shape[axis] for shape, axis in zip(shapes, found, strict=True)]
        if lengths[0] != lengths[1]:
            raise ValueError(f"Dot: vectors must be of the same length, got {lengths[0]} and {lengths[1]} along {axes}")
        check_int("Dot", "the number of products", math.prod(map(math.prod, shapes)) // lengths[0] ** 2, _PRODUCTS)
        return found[0], found[1]


_PRODUCTS = ("be below 2**31", lambda v: v < 2**31)


def dot(inputs: Sequence[Symbol], axes: int | Sequence[int] = -1, **kwargs: Any) -> Value:
    """``Dot(axes, **kwargs)(inputs)``, Keras's function.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((4,)), fr.Input((4,))
        >>> fr.Model([a, b], fr.layers.dot([a, b], axes=1)).predict([[[1, 2, 3, 4]], [[4, 4, 4, 4]]], verbose=0)
        array([[40.]], dtype=float32)
    """
    return Dot(axes, **kwargs)(inputs)
