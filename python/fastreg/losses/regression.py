"""The losses of numbers: how far an output is from its target, or how likely it makes it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

from fastreg.internal.checks import NORMAL, POSITIVE, Range, check_real
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import LossArguments, takes_keras_arguments
from fastreg.losses.base import Axis, Loss, Name, Reduction

_ONE_TO_TWO = Range("be in [1, 2]", 1.0, 2.0)
_OPEN_FRACTION = Range("be in (0, 1)", 0.0, 1.0, "()")

# The number of quantiles that the core takes.
_MOST = 128


def check_quantiles(owner: str, name: str, value: object) -> tuple[float, ...]:
    """One quantile or a list of them, as a tuple of different ones in rising order."""
    items = [value] if not hasattr(value, "__iter__") or isinstance(value, str) else list(value)
    found = tuple(check_real(owner, name, item, _OPEN_FRACTION) for item in items)
    if not 0 < len(found) <= _MOST:
        raise ValueError(f"{owner}: {name} must be 1 to {_MOST} numbers, got {len(found)}")
    if any(first >= second for first, second in pairwise(found)):
        raise ValueError(f"{owner}: {name} must rise, got {found!r}")
    return found


@takes_keras_arguments
@dataclass(frozen=True)
class MeanAbsoluteError(Loss, LossArguments):
    r"""Mean of the sizes of differences, :math:`\ell_i = \frac1k \sum_j |p_{ij} - t_{ij}|`.

    Its gradient is that of the sign, 0 where an output is its target. A constant that minimises it is the median.

    Targets are finite numbers of shape (n, k); (n,) is taken as (n, 1).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> losses.get("mae")
        MeanAbsoluteError()
    """

    key: ClassVar[str] = "mean_absolute_error"
    targets: ClassVar[str] = "values"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class MeanAbsolutePercentageError(Loss, LossArguments):
    r"""Mean of relative errors in per cent.

    .. math:: \ell_i = \frac{100}k \sum_j \frac{|p_{ij} - t_{ij}|}{\max(|t_{ij}|, 10^{-7})}

    A target of 0 makes any error cost 1e9 times its size, as in Keras: use it where targets are far from 0.

    Targets are finite numbers of shape (n, k); (n,) is taken as (n, 1).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> losses.get("mape")
        MeanAbsolutePercentageError()
    """

    key: ClassVar[str] = "mean_absolute_percentage_error"
    targets: ClassVar[str] = "values"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class MeanSquaredLogarithmicError(Loss, LossArguments):
    r"""Mean of squared differences of logarithms, for numbers >= 0 of very different sizes.

    .. math:: \ell_i = \frac1k \sum_j \left( \log(1 + p_{ij}) - \log(1 + t_{ij}) \right)^2

    Outputs are clipped to at least 1e-7, as in Keras; where one is clipped, its gradient is 0. End the network with
    ``"softplus"`` or ``"relu"``.

    Targets are finite numbers >= 0 of shape (n, k); (n,) is taken as (n, 1).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> losses.get("msle")
        MeanSquaredLogarithmicError()
    """

    key: ClassVar[str] = "mean_squared_logarithmic_error"
    targets: ClassVar[str] = "counts"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class Huber(Loss, LossArguments):
    r"""Squares of small errors and sizes of large ones, so that outliers do not dominate (Huber, 1964).

    .. math::
        \ell_i = \frac1k \sum_j h(p_{ij} - t_{ij}), \qquad
        h(e) = \begin{cases} e^2 / 2 & |e| \le \delta \\ \delta (|e| - \delta / 2) & |e| > \delta \end{cases}

    Within :math:`\delta` it is half of the squared error. No error has a gradient larger than :math:`\delta`.

    Targets are finite numbers of shape (n, k); (n,) is taken as (n, 1).

    Args:
        delta: :math:`\delta > 0`, the size from which an error counts as large.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        ValueError: If ``delta`` is not > 0 and finite.

    Example:
        >>> from fastreg import losses
        >>> losses.Huber(0.5)
        Huber(delta=0.5)
        >>> losses.get("huber")
        Huber(delta=1.0)
    """

    key: ClassVar[str] = "huber"
    targets: ClassVar[str] = "values"
    usual_name: ClassVar[str] = "huber_loss"
    delta: Annotated[float, POSITIVE] = 1.0
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class LogCosh(Loss, LossArguments):
    r"""Logarithm of the hyperbolic cosine, :math:`\ell_i = \frac1k \sum_j \log \cosh (p_{ij} - t_{ij})`.

    It is about :math:`e^2 / 2` for a small error e and :math:`|e| - \log 2` for a large one, like :class:`Huber` but
    smooth. The gradient is :math:`\tanh e`.

    Targets are finite numbers of shape (n, k); (n,) is taken as (n, 1).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> losses.get("log_cosh")
        LogCosh()
    """

    key: ClassVar[str] = "log_cosh"
    targets: ClassVar[str] = "values"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class Poisson(Loss, LossArguments):
    r"""Negative log-likelihood of counts, without the term that the targets alone decide.

    .. math:: \ell_i = \frac1k \sum_j \left( p_{ij} - t_{ij} \log (p_{ij} + 10^{-7}) \right)

    Outputs are the means of Poisson distributions; end the network with ``"exponential"`` or ``"softplus"``. An output
    below 0 counts as 0 and has no gradient (Keras returns NaN there).

    Targets are finite numbers >= 0 of shape (n, k); (n,) is taken as (n, 1).

    Args:
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> losses.get("poisson")
        Poisson()
    """

    key: ClassVar[str] = "poisson"
    targets: ClassVar[str] = "counts"
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class CosineSimilarity(Loss, LossArguments):
    r"""Minus the cosine of the angle between outputs and targets, from -1 (same direction) to 1.

    .. math:: \ell_i = - \frac{\sum_j t_{ij} p_{ij}}{\|t_i\| \|p_i\|}

    A norm below 1e-7 counts as 1e-7, as in Keras; where that of the outputs is, they have no gradient.

    Targets are finite numbers of shape (n, k); k = 1 compares signs only.

    Args:
        axis: -1 or 1, the axis of outputs, which is the last one.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Example:
        >>> from fastreg import losses
        >>> float(losses.CosineSimilarity()([[3.0, 4.0]], [[6.0, 8.0]]))
        -1.0
    """

    key: ClassVar[str] = "cosine_similarity"
    targets: ClassVar[str] = "values"
    axis: Axis = field(default=-1, repr=False)
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)


@takes_keras_arguments
@dataclass(frozen=True)
class Tweedie(Loss, LossArguments):
    r"""Deviance of Tweedie's distributions, whose variance is a power of the mean: claims, rainfall, many zeros.

    .. math::
        \ell_i = \frac2k \sum_j \left( \frac{t^{2-a}}{(1-a)(2-a)} - \frac{t p^{1-a}}{1-a} + \frac{p^{2-a}}{2-a} \right)

    with the power :math:`a` (Jorgensen, 1987), and with its limits where it is 1, Poisson's deviance
    :math:`2 (t \log (t / p) - t + p)`, or 2, that of the gamma distribution :math:`2 (\log (p / t) + t / p - 1)`. It is
    0 where an output is its target. Outputs are the means; end the network with ``"exponential"`` or ``"softplus"``.
    Outputs are clipped to at least 1e-7; where one is clipped, its gradient is 0.

    Targets are finite numbers >= 0 of shape (n, k), > 0 where the power is 2; (n,) is taken as (n, 1).

    Args:
        power: a in [1, 2].
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        ValueError: If ``power`` is out of range.

    Example:
        >>> from fastreg import losses
        >>> losses.Tweedie(1.2)
        Tweedie(power=1.2)
    """

    key: ClassVar[str] = "tweedie"
    targets: ClassVar[str] = "counts"
    power: Annotated[float, _ONE_TO_TWO] = 1.5
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)

    @property
    def least_target(self) -> float:
        """The smallest target: 0, or above it for a gamma distribution."""
        return 2.0**-126 if self.power == 2.0 else 0.0


@takes_keras_arguments
@dataclass(frozen=True)
class Quantile(Loss, LossArguments):
    r"""Quantiles of the target: the pinball loss (Koenker and Bassett, 1978).

    .. math:: \ell_i = \frac1k \sum_j \max(q_j (t_{ij} - p_{ij}), (q_j - 1) (t_{ij} - p_{ij}))

    With several quantiles the network has an output for each: ``Dense(3)`` for 3 quantiles of one target. With m
    targets the first m outputs are the first quantile of each, the next m those of the second. Nothing keeps the
    outputs of a row in order.

    Targets are finite numbers of shape (n, m) for k = m times the number of quantiles outputs; (n,) is (n, 1).

    Args:
        quantiles: One number in (0, 1), or rising ones, at most 128. 0.5 is the median.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        ValueError: If a quantile is out of range, or they do not rise.
        TypeError: If one is no number.

    Example:
        >>> from fastreg import losses
        >>> loss = losses.Quantile([0.1, 0.5, 0.9])
        >>> loss([[1.0]], [[0.0, 1.0, 3.0]], None).round(4)
        np.float32(0.1)
    """

    key: ClassVar[str] = "quantile"
    targets: ClassVar[str] = "values"
    quantiles: Annotated[float | Sequence[float], check_quantiles] = (0.5,)
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)

    @property
    def heads(self) -> int:
        """How many outputs there are for each target."""
        return len(tuple(self.quantiles))  # type: ignore[arg-type]


@takes_keras_arguments
@dataclass(frozen=True)
class GaussianNLL(Loss, LossArguments):
    r"""Negative log-likelihood of normal distributions whose mean and variance the network gives (Nix, Weigend, 1994).

    .. math:: \ell_i = \frac1{2m} \sum_j \left( s_{ij} + (\mu_{ij} - t_{ij})^2 e^{-s_{ij}} \right)

    The first m of the 2m outputs are the means :math:`\mu`, the others the *logarithms* of the variances, s. A linear
    last layer can give both: a variance is above 0 whatever s is, and errors and variances of any size keep their
    accuracy, which a variance itself in float32 does not. The variance is ``numpy.exp(s)``. It counts as
    :math:`\epsilon` where it is smaller; then the gradient of s is 0 unless it raises s.

    Targets are finite numbers of shape (n, m); (n,) is taken as (n, 1).

    Args:
        full: Whether the constant :math:`\frac12 \log 2 \pi` is added.
        epsilon: The smallest variance, >= 2**-126. PyTorch calls it eps.
        reduction: What a call returns, see :meth:`Loss.__call__`. A fit minimises the mean over rows.
        name: Any string.

    Raises:
        TypeError: If ``full`` is no bool.
        ValueError: If ``epsilon`` is out of range.

    Example:
        >>> from fastreg import losses
        >>> float(losses.GaussianNLL()([[1.0]], [[3.0, 0.0]]))
        2.0
    """

    key: ClassVar[str] = "gaussian_nll"
    targets: ClassVar[str] = "values"
    full: bool = False
    epsilon: Annotated[float, NORMAL] = 1e-6
    reduction: Reduction = field(default="sum_over_batch_size", repr=False)
    name: Name = field(default=None, repr=False)

    @property
    def heads(self) -> int:
        """How many outputs there are for each target: a mean and a variance."""
        return 2
