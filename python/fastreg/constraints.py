r"""Limits that weights keep to, after every step of the optimizer: ``Dense(kernel_constraint="max_norm")``.

After an update, and before anything else uses the weights, each constrained weight is brought back under its
constraint, as in Keras: a projection, of which the optimizer knows nothing. Initial weights and those that
``set_weights`` sets are taken as they are.

The norms :math:`r` are those of single vectors of a weight, which ``axis`` says: 0, the default, of a kernel
(inputs, units) is the vector of all weights of a unit; 1 or -1 that of all weights of an input; ``(0, 1)`` the whole
kernel. A bias has one vector, axis 0. Keras's :math:`\epsilon = 10^{-7}` is added to norms before anything is divided
by them.

With ``use_ema`` averages are those of weights that keep to their constraints. So they keep to :class:`NonNeg` and
:class:`MaxNorm` too, while an average of vectors of norm 1 is shorter than 1.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastreg.internal.checks import CLOSED_FRACTION, NON_NEGATIVE, absent_names, describe
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.description import Description, Registry

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)


def __dir__() -> list[str]:
    return sorted(__all__)


def check_axis(owner: str, name: str, value: object) -> int | tuple[int, ...]:
    """An axis or several different ones, each 0, 1 or -1."""
    axes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not axes or not all(type(axis) is int and axis in (0, 1, -1) for axis in axes) or len(set(axes)) < len(axes):
        kind = ValueError if all(type(axis) is int for axis in axes) else TypeError
        raise kind(f"{owner}: {name} must be 0, 1, -1 or a list of these, got {describe(value)}")
    return axes if isinstance(value, (tuple, list)) else axes[0]


Axis = Annotated[int | Sequence[int], check_axis]


@dataclass(frozen=True)
class Constraint(Description):
    """Base of the constraints; anything that a layer accepts as ``kernel_constraint`` or ``bias_constraint``."""


@dataclass(frozen=True)
class MaxNorm(Constraint):
    r"""Norms of at most ``max_value``: :math:`w \leftarrow w \min(r, \text{max}) / (\epsilon + r)`.

    Srivastava et al., "Dropout", JMLR 2014, use it with dropout.

    Args:
        max_value: The largest norm, >= 0.
        axis: The axes of a norm: 0, 1, -1 or a list of these, see :mod:`fastreg.constraints`.

    Raises:
        ValueError: If an argument is out of range or NaN.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from fastreg import constraints, layers
        >>> layers.Dense(8, "relu", kernel_constraint=constraints.MaxNorm(3)).kernel_constraint
        MaxNorm(max_value=3.0, axis=0)
    """

    max_value: Annotated[float, NON_NEGATIVE] = 2.0
    axis: Axis = 0


class NonNeg(Constraint):
    r"""No negative weights: :math:`w \leftarrow \max(w, 0)`.

    Example:
        >>> from fastreg import constraints
        >>> constraints.get("non_neg")
        NonNeg()
    """


@dataclass(frozen=True)
class UnitNorm(Constraint):
    r"""Norms of 1: :math:`w \leftarrow w / (\epsilon + r)`.

    Args:
        axis: The axes of a norm: 0, 1, -1 or a list of these, see :mod:`fastreg.constraints`.

    Raises:
        ValueError: If ``axis`` is none of these.
        TypeError: If ``axis`` is of the wrong kind.

    Example:
        >>> from fastreg import constraints
        >>> constraints.UnitNorm(axis=1)
        UnitNorm(axis=1)
    """

    axis: Axis = 0


@dataclass(frozen=True)
class MinMaxNorm(Constraint):
    r"""Norms between two values, which are approached at a rate.

    .. math:: w \leftarrow w \frac{(1 - \text{rate})\, r + \text{rate} \operatorname{clip}(r, \text{min}, \text{max})}
        {\epsilon + r}

    Args:
        min_value: The smallest norm, >= 0.
        max_value: The largest norm, >= ``min_value``.
        rate: In [0, 1]: 1 brings a norm between the two at once, a smaller rate moves it there step by step.
        axis: The axes of a norm: 0, 1, -1 or a list of these, see :mod:`fastreg.constraints`.

    Raises:
        ValueError: If an argument is out of range or NaN.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from fastreg import constraints
        >>> constraints.MinMaxNorm(0.5, 2.0)
        MinMaxNorm(min_value=0.5, max_value=2.0, rate=1.0, axis=0)
    """

    min_value: Annotated[float, NON_NEGATIVE] = 0.0
    max_value: Annotated[float, NON_NEGATIVE] = 1.0
    rate: Annotated[float, CLOSED_FRACTION] = 1.0
    axis: Axis = 0

    def _check_together(self) -> None:
        if self.max_value < self.min_value:
            raise ValueError(f"MinMaxNorm: max_value must be >= min_value = {self.min_value:g}, got {self.max_value!r}")


max_norm = MaxNorm
non_neg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm

_REGISTRY: Registry[Constraint] = Registry(
    "constraint",
    Constraint,
    {"max_norm": MaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm, "min_max_norm": MinMaxNorm},
)


def get(identifier: object, where: str = "constraints.get") -> Constraint | None:
    """The constraint for an argument: an instance, a name such as ``"max_norm"``, or None for no constraint.

    Example:
        >>> from fastreg import constraints
        >>> constraints.get("max_norm")
        MaxNorm(max_value=2.0, axis=0)
    """
    return None if identifier is None else _REGISTRY.resolve(where, identifier)


def serialize(constraint: Constraint) -> dict[str, Any]:
    """The description of a constraint in Keras's form, ``{"class_name": ..., "config": {...}}``.

    Example:
        >>> from fastreg import constraints
        >>> made = constraints.MaxNorm(0.5)
        >>> constraints.deserialize(constraints.serialize(made)) == made
        True
    """
    return _REGISTRY.serialize(constraint)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, object] | None = None) -> Constraint:
    """The constraint that :func:`serialize` made a dict of.

    Args:
        config: The dict; the form in model files, ``{"type": ..., field: value}``, is taken, too.
        custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

    Raises:
        ValueError: If the dict names no constraint, or a field is unknown or missing, or its value is bad.

    Example:
        >>> from fastreg import constraints
        >>> constraints.deserialize({"class_name": "MaxNorm", "config": {"max_value": 0.5}}).max_value
        0.5
    """
    return _REGISTRY.deserialize(config, custom_objects)
