"""Layers that act in training and do nothing outside of it: noise, and a penalty of what passes."""

from typing import Annotated, ClassVar

from fastreg.internal.checks import FRACTION, NON_NEGATIVE, SEED_LIMIT
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import Layer
from fastreg.schedules.base import LearningRateSchedule, number_or_schedule

# A rate of dropout: a number, or one of the schedules.
Rate = Annotated[float | LearningRateSchedule, number_or_schedule(FRACTION, callables=False)]

__all__ = ["ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Dropout(Layer, LayerArguments):
    r"""Sets random elements to zero in training (Srivastava et al., JMLR 2014) and divides the others by 1 - rate.

    The choice is a function of (seed, step, layer, element) and does not depend on threads. Outside of training the
    layer does nothing.

    Args:
        rate: The probability to drop an element, in [0, 1). It is rounded to a multiple of 1/65536, and kept elements
            are divided by 1 - the rounded probability, so that the expectation is exact. Or one of
            :mod:`fastreg.schedules`, which gives the rate of each step.
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

    rate: Rate
    noise_shape: None = field(default=None, compare=False)
    seed: Annotated[int, NON_NEGATIVE, SEED_LIMIT] | None = None

    def is_elementwise(self) -> bool:
        """True."""
        return True


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class GaussianNoise(Layer, LayerArguments):
    r"""Adds normal numbers of mean 0 in training. Outside of training the layer does nothing.

    They are a function of (seed, step, layer, element) and do not depend on threads.

    Args:
        stddev: Their standard deviation, >= 0.
        seed: An integer in [0, 2**64) that determines this layer's numbers instead of the model's seed, or None.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``stddev`` or ``seed`` is out of range or NaN.

    Example:
        >>> from fastreg import layers
        >>> layers.GaussianNoise(0.1)
        GaussianNoise(stddev=0.1, seed=None)
    """

    stddev: Annotated[float, NON_NEGATIVE]
    seed: Annotated[int, NON_NEGATIVE, SEED_LIMIT] | None = None

    def is_elementwise(self) -> bool:
        """True."""
        return True


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class GaussianDropout(Layer, LayerArguments):
    r"""Multiplies with normal numbers of mean 1 in training (Srivastava et al., JMLR 2014).

    Their standard deviation is :math:`\sqrt{p / (1 - p)}`, that of dropout with the rate p. They are a function of
    (seed, step, layer, element) and do not depend on threads. Outside of training the layer does nothing.

    Args:
        rate: p, in [0, 1), or one of :mod:`fastreg.schedules`, which gives that of each step.
        seed: An integer in [0, 2**64) that determines this layer's numbers instead of the model's seed, or None.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``rate`` or ``seed`` is out of range or NaN.

    Example:
        >>> from fastreg import layers
        >>> layers.GaussianDropout(0.2)
        GaussianDropout(rate=0.2, seed=None)
    """

    rate: Rate
    seed: Annotated[int, NON_NEGATIVE, SEED_LIMIT] | None = None

    def is_elementwise(self) -> bool:
        """True."""
        return True


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class AlphaDropout(Layer, LayerArguments):
    r"""Dropout for networks of ``"selu"``, which keeps a mean of 0 and a variance of 1.

    Klambauer, Unterthiner, Mayr and Hochreiter, NeurIPS 2017. In training random elements become selu's limit
    :math:`\ell = -1.7581`, and then everything becomes :math:`a x + b` with
    :math:`a = ((1 - p) (1 + p \ell^2))^{-1/2}` and :math:`b = -a p \ell`. The choice is a function of (seed, step,
    layer, element) and does not depend on threads. Outside of training the layer does nothing.

    Args:
        rate: The probability p, in [0, 1). It is rounded to a multiple of 1/65536.
        noise_shape: Is accepted because Keras has it; only None, a decision for every element, is supported.
        seed: An integer in [0, 2**64) that determines this layer's masks instead of the model's seed, or None.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``rate`` or ``seed`` is out of range or NaN, or ``noise_shape`` is not None.

    Example:
        >>> from fastreg import layers
        >>> layers.AlphaDropout(0.1)
        AlphaDropout(rate=0.1, seed=None)
    """

    _transient: ClassVar[frozenset[str]] = Layer._transient | {"noise_shape"}

    rate: Rate
    noise_shape: None = field(default=None, compare=False)
    seed: Annotated[int, NON_NEGATIVE, SEED_LIMIT] | None = None

    def is_elementwise(self) -> bool:
        """True."""
        return True


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class ActivityRegularization(Layer, LayerArguments):
    r"""Passes x on, and adds :math:`\lambda_1 \sum |x| + \lambda_2 \sum x^2` to the loss, its mean over the rows.

    As in Keras, the penalty is part of ``loss`` and of ``val_loss``. ``Dense(activity_regularizer=...)`` does the same
    with the output of a ``Dense``.

    Args:
        l1: :math:`\lambda_1 \ge 0`.
        l2: :math:`\lambda_2 \ge 0`.
        name: See :class:`Layer`, as for ``trainable``, ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If a number is negative or not finite.

    Example:
        >>> from fastreg import layers
        >>> layers.ActivityRegularization(l1=0.01)
        ActivityRegularization(l1=0.01, l2=0.0)
    """

    l1: Annotated[float, NON_NEGATIVE] = 0.0
    l2: Annotated[float, NON_NEGATIVE] = 0.0

    def is_elementwise(self) -> bool:
        """True."""
        return True
