"""TableInput, a first layer that reads the columns of a table as they are, and what describes these columns."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Annotated, Any, ClassVar

import numpy as np

from fastreg.constraints import Constraint
from fastreg.initializers import Initializer
from fastreg.internal.activation_names import ActivationLike, check_activation
from fastreg.internal.checks import AT_LEAST_ONE, WIDTH_LIMIT, Range, check_int, check_real, describe
from fastreg.internal.dataclasses import dataclass, field, fields
from fastreg.internal.description import Description
from fastreg.internal.keras_arguments import DenseArguments, takes_keras_arguments
from fastreg.internal.layer_base import InputRule, Layer, Shape
from fastreg.regularizers import Regularizer

__all__ = ["CategoricalColumn", "Column", "NumericColumn", "PlainColumn", "TableInput"]

# Numbers up to here: no difference of two is infinite.
_MEASURE = Range("be in [-1e300, 1e300]", -1e300, 1e300)
# Levels up to here are exact in float32.
_LEVELS = Range("be in [0, 2**24)", 0, 2**24, "[)")
# As many numbers of a list are shown.
_SHOWN = 6


def _check_wide(owner: str, name: str, value: Any) -> float:
    """A number that only has to be exact in double."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        number = float(value)
        if not _MEASURE.holds(number):
            raise ValueError(f"{owner}: {name} must {_MEASURE.words}, got {number!r}")
        return number
    return check_real(owner, name, value, _MEASURE)


def _listed(owner: str, name: str, value: Any) -> list[Any]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{owner}: {name} must be a list, got {describe(value)}")
    return list(value)


def _check_increasing(owner: str, name: str, values: Sequence[float]) -> None:
    for lower, upper in pairwise(values):
        if upper <= lower:
            raise ValueError(f"{owner}: {name} must increase, got {upper!r} after {lower!r}")


def _check_edges(owner: str, name: str, value: Any) -> tuple[float, ...]:
    edges = tuple(_check_wide(owner, name, edge) for edge in _listed(owner, name, value))
    if len(edges) == 1:
        raise ValueError(f"{owner}: {name} must be none or at least two, got {edges}")
    _check_increasing(owner, name, edges)
    return edges


def _check_levels(owner: str, name: str, value: Any) -> tuple[int, ...]:
    if isinstance(value, Integral):
        return tuple(range(check_int(owner, name, value, Range("be in [1, 2**24]", 1, 2**24))))
    levels = tuple(check_int(owner, name, level, _LEVELS) for level in _listed(owner, name, value))
    _check_increasing(owner, name, levels)
    return levels


@dataclass(frozen=True, repr=False)
class Column(Description):
    """Base of what describes a column of a table for :class:`TableInput`."""

    def __repr__(self) -> str:
        shown = ((f.name, getattr(self, f.name)) for f in fields(self))
        return f"{type(self).__name__}({', '.join(f'{name}={_short(value)}' for name, value in shown)})"

    @property
    def codes(self) -> int:
        """How many columns of the input it describes."""
        return 1

    @property
    def features(self) -> int:
        """How many features these stand for: rows of the layer's kernel."""
        return 1

    @property
    def takes_missing(self) -> bool:
        """Whether NaN may stand for a missing value."""
        return True


def _short(value: object) -> str:
    if isinstance(value, tuple) and len(value) > _SHOWN:
        return f"({value[0]!r}, ..., {value[-1]!r}: {len(value)} numbers)"
    return repr(value)


@dataclass(frozen=True, repr=False)
class PlainColumn(Column):
    """Columns of finite numbers that are features as they are.

    Args:
        count: How many columns of the input, >= 1.

    Example:
        >>> from fastreg import layers
        >>> layers.PlainColumn(3).features
        3
    """

    count: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] = 1

    @property
    def codes(self) -> int:
        """``count``."""
        return self.count

    @property
    def features(self) -> int:
        """``count``."""
        return self.count

    @property
    def takes_missing(self) -> bool:
        """False."""
        return False


@dataclass(frozen=True, repr=False)
class NumericColumn(Column):
    r"""A column of numbers, with NaN where one is missing.

    Its features are the softly limited number and a piecewise-linear encoding over bins :math:`b_0 < \dots < b_T`:

    .. math::
        z = s (x - c), \quad f = \frac{z}{\sqrt{1 + (z / 3)^2}}, \qquad
        e_t = \min(\max((x - b_{t-1}) / (b_t - b_{t-1}), 0), 1)

    All are 0 for a missing number. They are computed in double precision from x as float32.

    Args:
        centre: :math:`c`, in [-1e300, 1e300] as the other numbers.
        scale: :math:`s`; with 0 the number itself has no influence.
        edges: :math:`b`, increasing; none or at least two. Each bin has a row of the layer's kernel.
        missing: Whether there is a last feature that is 1 where the number is missing.

    Raises:
        ValueError: If a number is out of range or the edges do not increase.

    Example:
        >>> from fastreg import layers
        >>> layers.NumericColumn(centre=2.0, scale=0.5, edges=[0.0, 1.0, 4.0]).features
        3
    """

    centre: Annotated[float, _check_wide] = 0.0
    scale: Annotated[float, _check_wide] = 0.0
    edges: Annotated[Sequence[float], _check_edges] = ()
    missing: bool = False

    @property
    def features(self) -> int:
        """1 for the number, those of the bins, and 1 for missing numbers."""
        return 1 + max(len(self.edges) - 1, 0) + self.missing


@dataclass(frozen=True, repr=False)
class CategoricalColumn(Column):
    """A column of codes of levels. The feature of its level is 1 and the others are 0.

    A last feature is 1 for all cells whose code is none of the levels, also where it is NaN.

    Args:
        levels: The codes that have a feature, increasing integers in [0, 2**24); or their number, for 0, 1
            and so on.

    Raises:
        ValueError: If a level is out of range or levels do not increase.

    Example:
        >>> from fastreg import layers
        >>> layers.CategoricalColumn(3)
        CategoricalColumn(levels=(0, 1, 2))
    """

    levels: Annotated[Sequence[int], _check_levels]

    @property
    def features(self) -> int:
        """One for each level, and 1."""
        return len(self.levels) + 1


_KINDS: Mapping[str, type[Column]] = {kind.__name__: kind for kind in (PlainColumn, NumericColumn, CategoricalColumn)}


def _check_columns(owner: str, name: str, value: Any) -> tuple[Column, ...]:
    found = []
    for i, column in enumerate(_listed(owner, name, value)):
        if isinstance(column, Mapping):
            kind = str(column.get("type"))
            if kind not in _KINDS:
                raise ValueError(f"{owner}: {name}[{i}] must have a type of {', '.join(_KINDS)}, got {describe(kind)}")
            column = _KINDS[kind].from_config(column)
        if type(column) not in _KINDS.values():
            raise TypeError(f"{owner}: {name}[{i}] must be one of {', '.join(_KINDS)}, got {describe(column)}")
        found.append(column)
    if not found:
        raise ValueError(f"{owner}: {name} must have at least one column, got none")
    return tuple(found)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class TableInput(Layer, DenseArguments):
    r"""A fully connected first layer that reads the columns of a table, :math:`y = a(\phi(x) W + b)`.

    :math:`\phi(x)` are the features that the columns stand for, which are never computed: the layer adds up rows of
    :math:`W`, with prefix sums over the bins of a number. So an input takes a number for each column of the table, and
    a step a small part of the time that a :class:`Dense` takes on the features. Both have the same results up to
    rounding, with the same weights in the same order, and equal initial weights for equal seeds.

    Weights: ``kernel`` :math:`W` (features, units) and ``bias`` :math:`b` (units,). The layer must read an input of the
    model. Columns that allow it may have NaN there, for a missing value.

    Args:
        units: The number of outputs, >= 1.
        columns: For each column of the input, what it is: :class:`NumericColumn`, :class:`CategoricalColumn` or
            :class:`PlainColumn`. ``fastreg.table.TableEncoder`` has them as ``columns``.
        activation: As for :class:`Dense`, like all that follows.
        use_bias: Whether there is a :math:`b`.
        kernel_initializer: The initial values of :math:`W`.
        bias_initializer: The initial values of :math:`b`.
        kernel_regularizer: The penalty on :math:`W`; None means no penalty.
        bias_regularizer: The penalty on :math:`b`.
        activity_regularizer: The penalty on the output; not a proximal one.
        kernel_constraint: What :math:`W` keeps to after each update.
        bias_constraint: What :math:`b` keeps to.
        name: See :class:`Layer`, as for ``trainable``, ``learning_rate_multiplier``, ``weight_decay_multiplier``,
            ``input_shape`` and ``input_dim``.

    Raises:
        ValueError: If ``units`` < 1, there are no columns, or a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg import layers
        >>> columns = [layers.NumericColumn(edges=[0.0, 1.0, 5.0], missing=True), layers.CategoricalColumn(3)]
        >>> model = fr.Sequential([layers.TableInput(16, columns, "relu"), layers.Dense(1)], seed=0)
        >>> model.predict(np.array([[0.5, 2], [np.nan, 7]])).shape
        (2, 1)
    """

    _later: ClassVar[frozenset[str]] = frozenset({"activity_regularizer"})

    units: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT] = field()
    columns: Annotated[Sequence[Column], _check_columns]
    activation: Annotated[ActivationLike | None, check_activation] = None
    use_bias: bool = True
    kernel_initializer: Initializer | str = "glorot_uniform"
    bias_initializer: Initializer | str = "zeros"
    kernel_regularizer: Regularizer | str | None = None
    bias_regularizer: Regularizer | str | None = None
    activity_regularizer: Regularizer | str | None = None
    kernel_constraint: Constraint | str | None = None
    bias_constraint: Constraint | str | None = None

    def _check_together(self) -> None:
        if getattr(self.activity_regularizer, "proximal", False):
            given = repr(self.activity_regularizer)
            raise ValueError(f"TableInput: activity_regularizer must not be proximal, got {given}")

    @property
    def fixed_width(self) -> int:
        """The units."""
        return self.units

    @property
    def required_shape(self) -> Shape:
        """A number for each column that the columns describe."""
        return (sum(column.codes for column in self.columns),)

    @property
    def input_rule(self) -> InputRule:
        """NaN where a column allows it."""
        return InputRule(None, tuple(column.takes_missing for column in self.columns for _ in range(column.codes)))
