"""Layers that join two or more values into one. They have no weights."""

from typing import Annotated, ClassVar

from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import FEATURE_AXIS, Join, Layer

__all__ = ["Add", "Concatenate", "Multiply"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Add(Join, LayerArguments):
    """The sum of values of the same width, element by element, from left to right.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of different widths.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((3,))
        >>> fr.layers.Add()([a, b]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Multiply(Join, LayerArguments):
    """The product of values of the same width, element by element, from left to right.

    Args:
        name: See :class:`Layer`.

    Raises:
        ValueError: When it is called on values of different widths.

    Example:
        >>> import fastreg as fr
        >>> x = fr.Input((3,))
        >>> gate = fr.layers.Dense(3, "sigmoid")(x)
        >>> fr.layers.Multiply()([x, gate]).shape
        (None, 3)
    """


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Concatenate(Join, LayerArguments):
    """The features of values side by side, in the order of the list.

    Args:
        axis: -1 or 1, which both mean the axis of features; there is no other.
        name: See :class:`Layer`.

    Example:
        >>> import fastreg as fr
        >>> a, b = fr.Input((3,)), fr.Input((2,))
        >>> fr.layers.Concatenate()([a, b]).shape
        (None, 5)
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"axis"}

    axis: Annotated[int, FEATURE_AXIS] = field(default=-1, compare=False)
