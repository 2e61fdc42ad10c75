"""Penalties on weights, added to the loss: L1, L2 and both, and one for orthogonal rows or columns.

These are descriptions; the update pass in C++ applies them (cpp/math/rules.h). Two penalties are equal if they add the
same to the loss, whatever their classes: ``L2(0.1) == L1L2(l2=0.1)``. Biases and the parameters of batch normalisation
have no penalty unless a layer is given one for them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastreg.internal.checks import NON_NEGATIVE, absent_names
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.description import Description, Registry

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)


def __dir__() -> list[str]:
    return sorted(__all__)


class Regularizer(Description):
    """Base of the penalties; anything that a layer accepts as ``kernel_regularizer`` or ``bias_regularizer``."""

    def _terms(self) -> tuple[object, ...]:
        strength = float(getattr(self, "l1", 0.0))
        return strength, float(getattr(self, "l2", 0.0)), bool(getattr(self, "proximal", False))

    def to_config(self) -> dict[str, Any]:
        """The JSON form, the same for L1 and L2: type ``L1L2`` with ``l1``, ``l2`` and ``proximal``."""
        l1_strength, l2_strength, proximal = self._terms()
        return {"type": "L1L2", "l1": l1_strength, "l2": l2_strength, "proximal": proximal}

    def __eq__(self, other: object) -> bool:
        return self._terms() == other._terms() if isinstance(other, Regularizer) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._terms())


@dataclass(frozen=True, eq=False)
class L1(Regularizer):
    r"""Absolute values: adds :math:`\lambda_1 \sum |w|` to the loss.

    The default step follows the subgradient :math:`\lambda_1 \operatorname{sign}(w)`, with sign(0) = 0, as in Keras: it
    shrinks weights but rarely makes one exactly zero. With ``proximal=True`` the penalty is a soft threshold after the
    step, in the metric of the optimizer (Yun, Lozano and Yang, "Adaptive Proximal Gradient Methods for Structured
    Neural Networks", NeurIPS 2021), which gives exact zeros. The threshold is :math:`\lambda_1` times the optimizer's
    step size in the long run; with momentum :math:`\mu` that is :math:`\eta / (1 - \mu)`, which the first steps
    approach. So the weights that training ends with do not depend on the optimizer: a weight is exactly 0 where the
    gradient of the loss, at 0, is at most :math:`\lambda_1`.

    Args:
        l1: :math:`\lambda_1 \ge 0`.
        proximal: Soft threshold in place of the subgradient.

    Raises:
        ValueError: If ``l1`` is negative, infinite or NaN.

    Example:
        >>> from fastreg import regularizers
        >>> regularizers.L1(0.1) == regularizers.L1L2(l1=0.1)
        True
    """

    l1: Annotated[float, NON_NEGATIVE] = 0.01
    proximal: bool = False


@dataclass(frozen=True, eq=False)
class L2(Regularizer):
    r"""Squares: adds :math:`\lambda_2 \sum w^2` to the loss, so :math:`2 \lambda_2 w` to the gradient.

    In other conventions: PyTorch's ``weight_decay=d`` outside AdamW is :math:`\lambda_2 = d/2`; scikit-learn's
    ``alpha`` is :math:`\lambda_2 = \alpha / (2 n)` with n the rows of a batch. :class:`fastreg.optimizers.AdamW` has
    the decoupled decay, which is another thing.

    Args:
        l2: :math:`\lambda_2 \ge 0`.

    Raises:
        ValueError: If ``l2`` is negative, infinite or NaN.

    Example:
        >>> from fastreg import regularizers
        >>> regularizers.L2(1e-4)
        L2(l2=0.0001)
    """

    l2: Annotated[float, NON_NEGATIVE] = 0.01


@dataclass(frozen=True, eq=False)
class L1L2(Regularizer):
    r"""Both: adds :math:`\lambda_1 \sum |w| + \lambda_2 \sum w^2` to the loss.

    Args:
        l1: :math:`\lambda_1 \ge 0`, see :class:`L1`.
        l2: :math:`\lambda_2 \ge 0`, see :class:`L2`.
        proximal: Soft threshold in place of the subgradient of the first term, see :class:`L1`.

    Raises:
        ValueError: If ``l1`` or ``l2`` is negative, infinite or NaN.

    Example:
        >>> from fastreg import regularizers
        >>> regularizers.L1L2(l1=0.01, l2=0.01)
        L1L2(l1=0.01, l2=0.01, proximal=False)
    """

    l1: Annotated[float, NON_NEGATIVE] = 0.0
    l2: Annotated[float, NON_NEGATIVE] = 0.0
    proximal: bool = False


@dataclass(frozen=True, eq=False)
class OrthogonalRegularizer(Regularizer):
    r"""Rows or columns of a kernel at right angles: adds a mean of :math:`|\cos|` of their angles to the loss.

    With the n rows, or columns, divided by their norms, :math:`u_i`, it adds

    .. math:: \frac{\text{factor}}{n (n - 1)} \sum_{i \ne j} |u_i \cdot u_j|

    to the loss, as in Keras. It is no sum over single weights: each step takes two more products of matrices, of size
    (n, m) and (n, n), with m weights in each row.

    Args:
        factor: >= 0.
        mode: ``"rows"``, the weights of each input, or ``"columns"``, those of each unit.

    Raises:
        ValueError: If ``factor`` is out of range or NaN or ``mode`` unknown; when the weights are made, if one is a
            vector.

    Example:
        >>> from fastreg import layers, regularizers
        >>> layers.Dense(8, kernel_regularizer=regularizers.OrthogonalRegularizer(0.1, "columns")).kernel_regularizer
        OrthogonalRegularizer(factor=0.1, mode='columns')
    """

    factor: Annotated[float, NON_NEGATIVE] = 0.01
    mode: Literal["rows", "columns"] = "rows"

    def _terms(self) -> tuple[object, ...]:
        return self.factor, self.mode

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        return {"type": "OrthogonalRegularizer", "factor": self.factor, "mode": self.mode}


def l1(l1: float = 0.01) -> L1:
    """Keras's lower-case name of :class:`L1`.

    Example:
        >>> from fastreg import regularizers
        >>> regularizers.l1(0.1)
        L1(l1=0.1, proximal=False)
    """
    return L1(l1)


def l2(l2: float = 0.01) -> L2:
    """Keras's lower-case name of :class:`L2`.

    Example:
        >>> from fastreg import regularizers
        >>> regularizers.l2(0.1)
        L2(l2=0.1)
    """
    return L2(l2)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Both penalties. Each factor is 0.01 by default, while those of ``L1L2()`` are 0.

    Example:
        >>> from fastreg import regularizers
        >>> regularizers.l1_l2()
        L1L2(l1=0.01, l2=0.01, proximal=False)
    """
    return L1L2(l1, l2)


orthogonal_regularizer = OrthogonalRegularizer

_REGISTRY: Registry[Regularizer] = Registry(
    "regularizer",
    Regularizer,
    {"l1": L1, "l2": L2, "l1_l2": L1L2, "l1l2": L1L2, "orthogonal_regularizer": OrthogonalRegularizer},
)


def get(identifier: object, where: str = "regularizers.get") -> Regularizer | None:
    """The regularizer for an argument: an instance, a name such as ``"l2"``, or None for no penalty.

    Example:
        >>> from fastreg import regularizers
        >>> regularizers.get("l2")
        L2(l2=0.01)
    """
    return None if identifier is None else _REGISTRY.resolve(where, identifier)


def serialize(regularizer: Regularizer) -> dict[str, Any]:
    """The description of a regularizer in Keras's form, ``{"class_name": ..., "config": {...}}``.

    Example:
        >>> from fastreg import regularizers
        >>> made = regularizers.L2(0.5)
        >>> regularizers.deserialize(regularizers.serialize(made)) == made
        True
    """
    config = _REGISTRY.resolve("serialize", regularizer).to_config()  # L1 and L2 are written as L1L2
    return {"class_name": config.pop("type"), "config": config}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, object] | None = None) -> Regularizer:
    """The regularizer that :func:`serialize` made a dict of.

    Args:
        config: The dict; the form in model files, ``{"type": ..., field: value}``, is taken, too.
        custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

    Raises:
        ValueError: If the dict names no regularizer, or a field is unknown or missing, or its value is bad.

    Example:
        >>> from fastreg import regularizers
        >>> regularizers.deserialize({"class_name": "L2", "config": {"l2": 0.5}}).l2
        0.5
    """
    return _REGISTRY.deserialize(config, custom_objects)
