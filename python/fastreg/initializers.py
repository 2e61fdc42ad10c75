r"""Initial values of weights. These are descriptions; C++ draws the values, keyed by (model seed, layer, element).

With ``fan_in`` rows and ``fan_out`` columns of a kernel, the scaled initializers have the variance

========  =====================  ==================================================================
Glorot    2 / (fan_in + fan_out)  Glorot and Bengio, AISTATS 2010
He        2 / fan_in              He, Zhang, Ren and Sun, ICCV 2015
Lecun     1 / fan_in              LeCun, Bottou, Orr and Mueller, "Efficient BackProp", 1998
========  =====================  ==================================================================

:class:`VarianceScaling` has any of these variances. Truncated normal values lie within two standard deviations of the
mean; the scaled ones are corrected for the cut.
The random ones take ``seed``, an integer in [0, 2**64); None is the model's seed. With a seed of their own, values
depend on it and on the shape alone, as in Keras: in another layer or another model the same initializer gives the same.
The lower-case names are Keras's aliases of the classes.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from fastreg.internal.checks import FINITE, NON_NEGATIVE, POSITIVE, SEED_LIMIT, absent_names, check_real
from fastreg.internal.dataclasses import KW_ONLY, dataclass, fields
from fastreg.internal.description import BriefForm, Description, Registry
from fastreg.internal.keras_arguments import ScaledArguments, takes_keras_arguments

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = absent_names(__name__)


def __dir__() -> list[str]:
    return sorted(__all__)


@dataclass(frozen=True)
class Initializer(Description):
    """Base of the initializers; anything that a layer accepts as ``kernel_initializer`` or ``bias_initializer``."""


class Zeros(Initializer):
    """Every weight 0.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("zeros") == initializers.Zeros()
        True
    """


class Ones(Initializer):
    """Every weight 1.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("ones") == initializers.Ones()
        True
    """


@dataclass(frozen=True)
class Constant(Initializer):
    """Every weight the same.

    Args:
        value: That weight, finite.

    Raises:
        ValueError: If ``value`` is infinite or NaN.

    Example:
        >>> from fastreg import initializers
        >>> initializers.Constant(0.5)
        Constant(value=0.5)
    """

    value: Annotated[float, FINITE] = 0.0


@cache
def _form(kind: Any) -> BriefForm:
    return BriefForm(kind, {"seed": None})


@dataclass(frozen=True)
class _Random(Initializer):
    """What the random initializers share: a seed of their own."""

    _: KW_ONLY
    seed: Annotated[int, NON_NEGATIVE, SEED_LIMIT] | None = None

    def __repr__(self) -> str:
        shown = [field.name for field in fields(cast(Any, self)) if field.name != "seed"]
        shown += [] if self.seed is None else ["seed"]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def to_config(self) -> dict[str, Any]:
        """The JSON form, in which there is no seed unless one was given."""
        return _form(cast(Any, type(self))).of(self)


@dataclass(frozen=True, repr=False)
class RandomNormal(_Random):
    """Normal values.

    Args:
        mean: Finite.
        stddev: Standard deviation, >= 0.
        seed: By keyword only: the seed of the values; None is the model's.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import initializers
        >>> initializers.RandomNormal(stddev=0.1)
        RandomNormal(mean=0.0, stddev=0.1)
    """

    mean: Annotated[float, FINITE] = 0.0
    stddev: Annotated[float, NON_NEGATIVE] = 0.05


@dataclass(frozen=True, repr=False)
class TruncatedNormal(_Random):
    """Normal values, drawn again while further than two standard deviations from the mean.

    Args:
        mean: Finite.
        stddev: Standard deviation before the cut, >= 0.
        seed: By keyword only: the seed of the values; None is the model's.

    Raises:
        ValueError: If an argument is out of range or NaN.

    Example:
        >>> from fastreg import initializers
        >>> initializers.TruncatedNormal(stddev=0.1)
        TruncatedNormal(mean=0.0, stddev=0.1)
    """

    mean: Annotated[float, FINITE] = 0.0
    stddev: Annotated[float, NON_NEGATIVE] = 0.05


@dataclass(frozen=True, repr=False)
class RandomUniform(_Random):
    """Uniform values in ``[minval, maxval)``.

    Args:
        minval: Lower end, finite.
        maxval: Upper end, finite and not below ``minval``.
        seed: By keyword only: the seed of the values; None is the model's.

    Raises:
        ValueError: If an argument is not finite or ``maxval < minval``.

    Example:
        >>> from fastreg import initializers
        >>> initializers.RandomUniform(-0.1, 0.1)
        RandomUniform(minval=-0.1, maxval=0.1)
    """

    minval: Annotated[float, FINITE] = -0.05
    maxval: Annotated[float, FINITE] = 0.05

    def _check_together(self) -> None:
        low = self.minval
        check_real("RandomUniform", "maxval", self.maxval, (f"be >= minval = {low:g}", lambda v: v >= low))


@takes_keras_arguments
class _Scaled(_Random, ScaledArguments):
    """What the initializers share whose variance depends on the shape."""


class GlorotUniform(_Scaled):
    """Uniform with variance 2 / (fan_in + fan_out): the default of kernels.

    Args:
        seed: By keyword only: the seed of the values; None is the model's.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("glorot_uniform")
        GlorotUniform()
    """


class GlorotNormal(_Scaled):
    """Truncated normal with variance 2 / (fan_in + fan_out).

    Args:
        seed: By keyword only: the seed of the values; None is the model's.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("glorot_normal")
        GlorotNormal()
    """


class HeUniform(_Scaled):
    """Uniform with variance 2 / fan_in, made for relu.

    Args:
        seed: By keyword only: the seed of the values; None is the model's.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("he_uniform")
        HeUniform()
    """


class HeNormal(_Scaled):
    """Truncated normal with variance 2 / fan_in, made for relu.

    Args:
        seed: By keyword only: the seed of the values; None is the model's.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("he_normal")
        HeNormal()
    """


class LecunUniform(_Scaled):
    """Uniform with variance 1 / fan_in.

    Args:
        seed: By keyword only: the seed of the values; None is the model's.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("lecun_uniform")
        LecunUniform()
    """


class LecunNormal(_Scaled):
    """Truncated normal with variance 1 / fan_in.

    Args:
        seed: By keyword only: the seed of the values; None is the model's.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("lecun_normal")
        LecunNormal()
    """


@dataclass(frozen=True, repr=False)
class VarianceScaling(_Scaled):
    r"""Values of variance scale / n, with n the number of inputs of a kernel, of its outputs, or their mean.

    The general form of the scaled initializers: ``HeNormal`` is ``VarianceScaling(2.0)``, ``GlorotUniform``
    ``VarianceScaling(1.0, "fan_avg", "uniform")``.

    Args:
        scale: > 0.
        mode: What n is: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``.
        distribution: ``"truncated_normal"``, also called ``"normal"``, ``"untruncated_normal"`` or ``"uniform"``, which
            is uniform within :math:`\pm \sqrt{3 \cdot \text{scale} / n}`.
        seed: By keyword only: the seed of the values; None is the model's.

    Raises:
        ValueError: If ``scale`` is out of range or NaN, or a name is unknown.

    Example:
        >>> from fastreg import initializers
        >>> initializers.VarianceScaling(0.1, "fan_avg", "uniform")
        VarianceScaling(scale=0.1, mode='fan_avg', distribution='uniform')
    """

    scale: Annotated[float, POSITIVE] = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "truncated_normal"

    def __post_init__(self) -> None:  # type: ignore[override]
        """Checks every field."""
        if isinstance(self.distribution, str):
            lower = self.distribution.lower()
            self._set(distribution="truncated_normal" if lower == "normal" else lower)
        super().__post_init__()


@dataclass(frozen=True, repr=False)
class Orthogonal(_Random):
    r"""A random matrix with orthonormal columns, or rows if there are fewer of them (Saxe et al., ICLR 2014).

    All such matrices are equally likely: it is the Q of a QR decomposition of normal values, with R's diagonal > 0. For
    kernels only; it takes about :math:`4 n m^2` operations for n rows and m columns, or the other way round.

    Args:
        gain: A factor, finite.
        seed: By keyword only: the seed of the values; None is the model's.

    Raises:
        ValueError: If ``gain`` is infinite or NaN; when the weights are made, if one is a vector.

    Example:
        >>> from fastreg import initializers
        >>> initializers.Orthogonal(gain=2.0)
        Orthogonal(gain=2.0)
    """

    gain: Annotated[float, FINITE] = 1.0


@dataclass(frozen=True)
class Identity(Initializer):
    """The identity matrix times ``gain``, with rows or columns of zeros where the kernel is not square.

    Args:
        gain: A factor, finite.

    Raises:
        ValueError: If ``gain`` is infinite or NaN; when the weights are made, if one is a vector.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("identity")
        Identity(gain=1.0)
    """

    gain: Annotated[float, FINITE] = 1.0


zeros = Zeros
ones = Ones
constant = Constant
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
he_uniform = HeUniform
he_normal = HeNormal
lecun_uniform = LecunUniform
lecun_normal = LecunNormal
variance_scaling = VarianceScaling
orthogonal = OrthogonalInitializer = Orthogonal
identity = IdentityInitializer = Identity

_REGISTRY: Registry[Initializer] = Registry(
    "initializer",
    Initializer,
    {
        "zeros": Zeros,
        "ones": Ones,
        "constant": Constant,
        "random_normal": RandomNormal,
        "normal": RandomNormal,
        "random_uniform": RandomUniform,
        "uniform": RandomUniform,
        "truncated_normal": TruncatedNormal,
        "glorot_uniform": GlorotUniform,
        "glorot_normal": GlorotNormal,
        "he_uniform": HeUniform,
        "he_normal": HeNormal,
        "lecun_uniform": LecunUniform,
        "lecun_normal": LecunNormal,
        "variance_scaling": VarianceScaling,
        "orthogonal": Orthogonal,
        "orthogonalinitializer": Orthogonal,
        "identity": Identity,
        "identityinitializer": Identity,
    },
)


def get(identifier: object, where: str = "initializers.get") -> Initializer:
    """The initializer for an argument: an instance or a name such as ``"he_normal"``.

    Example:
        >>> from fastreg import initializers
        >>> initializers.get("he_normal")
        HeNormal()
    """
    return _REGISTRY.resolve(where, identifier)


def serialize(initializer: Initializer) -> dict[str, Any]:
    """The description of an initializer in Keras's form, ``{"class_name": ..., "config": {...}}``.

    Example:
        >>> from fastreg import initializers
        >>> made = initializers.Constant(0.5)
        >>> initializers.deserialize(initializers.serialize(made)) == made
        True
    """
    return _REGISTRY.serialize(initializer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, object] | None = None) -> Initializer:
    """The initializer that :func:`serialize` made a dict of.

    Args:
        config: The dict; the form in model files, ``{"type": ..., field: value}``, is taken, too.
        custom_objects: None or ``{}``, since every class is built in; an argument of Keras.

    Raises:
        ValueError: If the dict names no initializer, or a field is unknown or missing, or its value is bad.

    Example:
        >>> from fastreg import initializers
        >>> initializers.deserialize({"class_name": "Constant", "config": {"value": 0.5}}).value
        0.5
    """
    return _REGISTRY.deserialize(config, custom_objects)
