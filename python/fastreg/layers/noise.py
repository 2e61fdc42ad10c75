"""Layers that act at random in training and do nothing outside of it."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import FRACTION, NON_NEGATIVE, SEED_LIMIT
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import Layer

__all__ = ["Dropout"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Dropout(Layer, LayerArguments):
    r"""Sets random elements to zero in training (Srivastava et al., JMLR 2014) and divides the others by 1 - rate.

    The choice is a function of (seed, step, layer, element) and does not depend on threads. Outside of training the
    layer does nothing.

    Args:
        rate: The probability to drop an element, in [0, 1). It is rounded to a multiple of 1/65536, and kept elements
            are divided by 1 - the rounded probability, so that the expectation is exact.
        noise_shape: Is accepted because Keras has it; only None, a decision for every element, is supported.
        seed: An integer in [0, 2**64) that determines this layer's masks instead of the model's seed, or None.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``rate`` or ``seed`` is out of range or NaN, or ``noise_shape`` is not None.

    Example:
        >>> from fastreg import layers
        >>> layers.Dropout(0.5)
        Dropout(rate=0.5, seed=None)
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"noise_shape"}

    rate: Annotated[float, FRACTION]
    noise_shape: None = field(default=None, compare=False)
    seed: Annotated[int, NON_NEGATIVE, SEED_LIMIT] | None = None
