"""Input, the number of features that a network takes."""

from typing import Annotated, Any, cast

from fastreg.internal.checks import check_name, describe
from fastreg.internal.dataclasses import KW_ONLY, InitVar, dataclass
from fastreg.internal.keras_arguments import InputArguments, takes_keras_arguments
from fastreg.internal.layer_base import Part, Symbol, check_features

__all__ = ["Input", "InputLayer"]


@takes_keras_arguments
@dataclass(frozen=True)
class Input(Part, Symbol, InputArguments):
    """The number of features: the first entry of a ``Sequential``, or a value that layers are called on.

    Args:
        shape: ``(n,)``.
        batch_size: Is accepted because Keras has it; only None, which means any number of rows, is supported.
        dtype: Is accepted because Keras has it; None or ``"float32"``, the type of all computations.
        name: Name of the input in a :class:`fastreg.Model`; None takes ``input_layer``, ``input_layer_1``, ...

    Raises:
        ValueError: If the shape is not that of n >= 1 features, or ``batch_size`` or ``dtype`` is another.

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

    @property
    def width(self) -> int:
        """Number of features."""
        return self.shape[0]

    def __post_init__(self, batch_size: object, dtype: object) -> None:  # type: ignore[override]
        super().__post_init__()
        if batch_size is not None:
            raise ValueError(f"Input: batch_size must be None, got {describe(batch_size)}")
        if dtype is not None and dtype != "float32":
            raise ValueError(f"Input: dtype must be None or 'float32', got {describe(dtype)}")
        shape: object = self.shape
        if isinstance(shape, (tuple, list)) and len(shape) > 1:
            raise ValueError(f"Input: shape must be (n,) for n features, got {describe(shape)}")
        self._set(shape=(check_features("Input", "shape", shape),))


def InputLayer(
    shape: tuple[int, ...] | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
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
    chosen = cast(tuple[int, ...], shape if input_shape is None else input_shape)
    return Input(chosen, batch_size=batch_size, dtype=dtype, name=name, **keras)
