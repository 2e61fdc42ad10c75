"""Layers that change the shape of a row and none of its elements. C++ does not know them: there a row has no shape."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from fastreg.internal.checks import check_int, describe
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import Layer, Lowering, Shape, told

__all__ = ["Flatten", "Reshape"]


class _Reshaping(Layer):
    """The base of the two."""

    @property
    def core_count(self) -> int:
        """0."""
        return 0

    @property
    def reshapes(self) -> bool:
        """True."""
        return True

    def lower(self, into: Lowering, values: tuple[int, ...]) -> int:
        """The value itself."""
        return values[0]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Flatten(_Reshaping, LayerArguments):
    """The elements of a row one after another, in C order: (n, 28, 28) becomes (n, 784).

    It costs nothing, neither in training nor in inference.

    Args:
        data_format: Is accepted because Keras has it; None or ``"channels_last"``.
        name: See :class:`Layer`, as for ``input_shape``.

    Raises:
        ValueError: If ``data_format`` is another.

    Example:
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.layers.Flatten(input_shape=(28, 28)), fr.layers.Dense(10, "softmax")], seed=0)
        >>> model.count_params()
        7850
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"data_format"}

    data_format: Literal["channels_last"] | None = field(default=None, compare=False)

    def output_shape(self, *shapes: Shape) -> Shape:
        """One dimension with all elements."""
        return (math.prod(shapes[0]),)


def _check_target(owner: str, name: str, value: Any) -> tuple[int, ...]:
    sizes = value if isinstance(value, (tuple, list)) else (value,)
    rule = ("be >= 1, or -1 for the one that follows from the others", lambda v: v >= 1 or v == -1)
    checked = tuple(check_int(owner, name, size, rule) for size in sizes)
    if checked.count(-1) > 1:
        raise ValueError(f"{owner}: {name} must have one -1 at most, got {describe(value)}")
    return checked


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Reshape(_Reshaping, LayerArguments):
    """The elements of a row in another shape, in C order: (n, 784) becomes (n, 28, 28).

    It costs nothing, neither in training nor in inference.

    Args:
        target_shape: The shape of a row, without the rows of the batch. One size may be -1: it follows from the others.
        name: See :class:`Layer`, as for ``input_shape``.

    Raises:
        ValueError: If a size is below 1 and not -1, or -1 occurs twice. Once the input is known, also if it has another
            number of elements.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((12,)), fr.layers.Dense(6), fr.layers.Reshape((2, -1))], seed=0)
        >>> model.predict(np.ones((5, 12))).shape
        (5, 2, 3)
    """

    target_shape: Annotated[Sequence[int], _check_target]

    def output_shape(self, *shapes: Shape) -> Shape:
        """The target shape. The number of elements must be the same."""
        size, known = math.prod(shapes[0]), math.prod(side for side in self.target_shape if side != -1)
        rest = size // known if -1 in self.target_shape else 1
        if known * rest != size:
            raise ValueError(
                f"Reshape: target_shape {tuple(self.target_shape)} must have as many elements as the input, {size}, "
                f"which has {told(shapes[0])}"
            )
        return tuple(rest if side == -1 else side for side in self.target_shape)
