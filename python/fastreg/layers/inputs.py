"""Input, the shape of the rows that a network takes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastreg.internal.checks import check_name, describe
from fastreg.internal.dataclasses import KW_ONLY, InitVar, dataclass
from fastreg.internal.keras_arguments import InputArguments, takes_keras_arguments
from fastreg.internal.layer_base import Part, Symbol, check_shape

__all__ = ["Input", "InputLayer"]

_DTYPES = (None, "float32", "int32", "int64", "uint8", "bool")


@takes_keras_arguments
@dataclass(frozen=True)
class Input(Part, Symbol, InputArguments):
    """The shape of a row: the first entry of a ``Sequential``, or a value that layers are called on.

    Args:
        shape: ``(n,)`` or n for n features; ``(28, 28)`` for images, which ``Flatten`` makes rows of; ``()`` for one
            number.
        batch_size: Is accepted because Keras has it; only None, which means any number of rows, is supported.
        dtype: Is accepted because Keras has it; None, or one of ``"float32"``, ``"int32"``, ``"int64"``, ``"uint8"``
            and ``"bool"``. All features are computed with in float32, in which integers up to 2**24 are exact.
        name: Name of the input in a :class:`fastreg.Model`; None takes ``input_layer``, ``input_layer_1``, ...

    Raises:
        ValueError: If a size is below 1, or ``batch_size`` or ``dtype`` is another.

    Example:
        >>> from fastreg import layers
        >>> layers.Input(shape=(8,)).shape
        (8,)
    """

    shape: tuple[int, ...]
    _: KW_ONLY
    batch_size: InitVar[None] = None
    dtype: InitVar[str | None] = None
    name: Annotated[str, check_name] | None = None

    if TYPE_CHECKING:  # a number or a list becomes a tuple, which a field cannot say

        def __init__(
            self,
            shape: int | Sequence[int],
            *,
            batch_size: None = None,
            dtype: str | None = None,
            name: str | None = None,
            sparse: bool | None = None,
            ragged: bool | None = None,
            batch_shape: None = None,
            tensor: None = None,
            input_tensor: None = None,
            optional: bool = False,
        ) -> None: ...

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape, without the rows of the batch."""
        return self.shape

    def __post_init__(self, batch_size: object, dtype: object) -> None:  # type: ignore[override]
        super().__post_init__()
        if batch_size is not None:
            raise ValueError(f"Input: batch_size must be None, got {describe(batch_size)}")
        if dtype not in _DTYPES:
            raise ValueError(f"Input: dtype must be None or 'float32' or an integer type, got {describe(dtype)}")
        self._set(shape=check_shape("Input", "shape", self.shape))


def InputLayer(
    shape: int | Sequence[int] | None = None,
    *,
    input_shape: int | Sequence[int] | None = None,
    batch_size: None = None,
    dtype: str | None = None,
    name: str | None = None,
    **keras: Any,
) -> Input:
    """Keras's other name of :class:`Input`, whose shape may be called ``input_shape``.

    Raises:
        TypeError: If neither ``shape`` nor ``input_shape`` is given, or both are.
        ValueError: As from :class:`Input`.

    Example:
        >>> from fastreg import layers
        >>> layers.InputLayer(input_shape=(4,)) == layers.Input((4,))
        True
    """
    if (shape is None) == (input_shape is None):
        got = f"shape={describe(shape)}, input_shape={describe(input_shape)}"
        raise TypeError(f"InputLayer: one of shape and input_shape must be given, got {got}")
    chosen = cast(Sequence[int], shape if input_shape is None else input_shape)
    return Input(chosen, batch_size=batch_size, dtype=dtype, name=name, **keras)
