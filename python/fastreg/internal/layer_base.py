"""The base of the layers, and the values that they are called on. Descriptions only; ``fastreg.layers`` has the layers.

It knows no single layer. What a layer makes of a width and which weights it has, C++ says (cpp/core/layers). There a
value is a matrix with a row for each row of the batch. Here it has the shape of such a row, ``(28, 28)`` for an image,
whose elements the row of the matrix has in C order.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from numbers import Real
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, TypeVar, cast

from fastreg import _core
from fastreg.internal.checks import AT_LEAST_ONE, WIDTH_LIMIT, Rule, check_bool, check_int, check_name, describe
from fastreg.internal.dataclasses import KW_ONLY, InitVar, dataclass, field, fields, replace
from fastreg.internal.description import BriefForm, Description, checked_defaults, registry_of
from fastreg.internal.multipliers import Multiplier

__all__ = [
    *("FEATURE_AXIS", "InputRule", "Join", "Layer", "Lowering", "Part", "Shape", "Symbol", "Value"),
    *("batch_shape", "check_mode", "check_shape", "told"),
]

# Python's and NumPy's real numbers. A type checker takes them for unrelated to float.
_NUMBER: Any = Real

# The shape of a value without the rows of the batch.
Shape = tuple[int, ...]


class InputRule(NamedTuple):
    """What the numbers of an input must be, beyond finite.

    Attributes:
        limit: Where it is not None, they must be integers in [0, limit).
        missing: For each column, whether it may also have NaN, for a missing number; empty where none may.
    """

    limit: int | None = None
    missing: tuple[bool, ...] = ()

    def also(self, other: "InputRule") -> "InputRule":
        """The rule of numbers that keep to both."""
        limits = [limit for limit in (self.limit, other.limit) if limit is not None]
        both = zip(self.missing, other.missing, strict=False)  # the shorter one is empty
        return InputRule(min(limits, default=None), tuple(a and b for a, b in both))


# The names of the axis of features, which is the only one.
FEATURE_AXIS: Rule = ("be -1 or 1", lambda v: v in (-1, 1))


def check_shape(owner: str, name: str, shape: object) -> Shape:
    """An input shape without the rows of a batch: n and (n,) are n features, and None in front stands for the rows."""
    sizes = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    if len(sizes) > 1 and sizes[0] is None:
        del sizes[0]
    checked = tuple(check_int(owner, name, size, AT_LEAST_ONE, WIDTH_LIMIT) for size in sizes)
    check_int(owner, f"the number of elements of {name}", math.prod(checked), AT_LEAST_ONE, WIDTH_LIMIT)
    return checked


def told(shape: Shape) -> str:
    """A shape in the words of a message."""
    return f"{shape[0]} features" if len(shape) == 1 else f"shape {shape}"


def batch_shape(shape: Shape) -> tuple[int | None, ...]:
    """A shape with None for the rows of the batch, as Keras shows it."""
    return (None, *shape)


class Part(Description):
    """The base class of the parts of a ``Sequential``: layers, and an :class:`Input` as the first part."""


class Symbol:
    """What layers are called on, in a network that is being described: an ``Input``, or a :class:`Value`.

    The operators ``+``, ``-`` and ``*`` between two of them are the layers ``Add``, ``Subtract`` and ``Multiply``. With
    a number they, and ``/`` by a number, are a ``Rescaling``.
    """

    # NumPy's arrays and numbers leave operators to this class.
    __array_ufunc__ = None

    def __add__(self, other: "Symbol | float") -> "Value":
        if isinstance(other, Symbol):
            return _joined("Add", self, other)
        return _rescaled(self, 1.0, other) if isinstance(other, _NUMBER) else NotImplemented

    def __sub__(self, other: "Symbol | float") -> "Value":
        if isinstance(other, Symbol):
            return _joined("Subtract", self, other)
        return _rescaled(self, 1.0, -other) if isinstance(other, _NUMBER) else NotImplemented

    def __rsub__(self, other: float) -> "Value":
        return _rescaled(self, -1.0, other) if isinstance(other, _NUMBER) else NotImplemented

    def __mul__(self, other: "Symbol | float") -> "Value":
        if isinstance(other, Symbol):
            return _joined("Multiply", self, other)
        return _rescaled(self, other) if isinstance(other, _NUMBER) else NotImplemented

    def __truediv__(self, other: float) -> "Value":
        return _rescaled(self, 1.0 / other) if isinstance(other, _NUMBER) else NotImplemented

    def __neg__(self) -> "Value":
        return _rescaled(self, -1.0)

    __radd__, __rmul__ = __add__, __mul__

    @property
    def row_shape(self) -> Shape:
        """The shape, without the rows of the batch."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        """Number of features: the elements of a row."""
        return math.prod(self.row_shape)


class Lowering(Protocol):
    """What a layer is written into as layers of C++ (``model/graphs.py``)."""

    def add(self, layer: "Layer", config: dict[str, Any], values: tuple[int, ...]) -> int:
        """Appends a layer of C++ that reads these values. Returns the number of the value that it makes.

        Args:
            layer: The layer that it belongs to.
            config: Its JSON form.
            values: Numbers of values.
        """

    def shape(self, value: int) -> Shape:
        """The shape of a value."""

    def call(self, layer: "Layer", key: int, values: tuple[int, ...], shapes: Sequence[Shape]) -> int:
        """Writes a layer within this one, or if it was written under this key before, a further use of it.

        Args:
            layer: The layer.
            key: Tells the layers within this one apart.
            values: The values that it reads.
            shapes: Their shapes.
        """


class Value(Symbol):
    """What a layer makes of other values, in a network that is being described.

    Attributes:
        layer: The layer.
        inputs: What it was called on.
    """

    def __init__(self, layer: "Layer", inputs: tuple[Symbol, ...], shape: Shape) -> None:
        self.layer, self.inputs, self._shape = layer, inputs, shape

    @property
    def row_shape(self) -> Shape:
        """The shape, without the rows of the batch."""
        return self._shape

    @property
    def shape(self) -> tuple[int | None, ...]:
        """``(None, width)``, or with more dimensions, as Keras has it: any number of rows."""
        return batch_shape(self._shape)

    def __repr__(self) -> str:
        return f"<Value of {told(self._shape)}, made by {self.layer!r}>"


def _joined(kind: str, *values: Symbol) -> Value:
    made: Value = registry_of(Layer).from_config(kind, {"type": kind})(list(values))
    return made


def _rescaled(value: Symbol, scale: float, offset: float = 0.0) -> Value:
    form = {"type": "Rescaling", "scale": float(scale), "offset": float(offset)}
    made: Value = registry_of(Layer).from_config("Rescaling", form)(value)
    return made


_L = TypeVar("_L", bound="Layer")


@dataclass(frozen=True, repr=False)
class Layer(Part):
    """Base of the layers; anything that ``Sequential`` accepts.

    Args:
        name: Name in ``summary()``, unique within a model; None takes one after the class.
        input_shape: ``(n,)`` for n input features, on a first layer; with more dimensions where the layer takes them.
        input_dim: The same as a number.
        trainable: False keeps the weights as they are in training: they have no gradient, no moments and no penalty.
            A batch normalisation then normalises by its moving averages, as it does in inference.
            ``model.layers[i].trainable`` can be set later.
        learning_rate_multiplier: A factor >= 0 on the learning rate of the layer's weights, or a mapping from names of
            weights to such factors, ``{"bias": 0.1}``; a weight that it does not name has 1. Everything that is
            multiplied with the rate follows it: the step, weight decay, the threshold of a proximal L1.
        weight_decay_multiplier: In the same way a factor on the optimizer's ``weight_decay``.
    """

    _transient: ClassVar[frozenset[str]] = frozenset({"input_shape"})
    _internal: ClassVar[frozenset[str]] = frozenset(
        (
            *("core_count", "fixed_width", "input_rule", "input_rule_of", "is_elementwise", "is_trained", "kind"),
            *("lower", "output_width", "required_shape", "reshapes", "set_trainable", "with_trainable"),
        )
    )
    # Fields that a class got after files had been written; the JSON form has them where they are not the default.
    _later: ClassVar[frozenset[str]] = frozenset()

    _: KW_ONLY
    input_shape: int | Sequence[int] | None = field(default=None, compare=False)  # a tuple, once it was checked
    input_dim: InitVar[int | None] = None
    name: Annotated[str, check_name] | None = None
    trainable: bool = True
    learning_rate_multiplier: Multiplier = 1.0
    weight_decay_multiplier: Multiplier = 1.0

    def __post_init__(self, input_dim: int | None = None) -> None:
        owner = type(self).__name__
        if type(self) not in _BUILT_IN:
            registry_of(Layer).check_built_in("layers", self)
            _BUILT_IN.add(type(self))
        super().__post_init__()
        if self.input_shape is not None:
            self._set(input_shape=check_shape(owner, "input_shape", self.input_shape))
        if input_dim is not None:
            shape = check_shape(owner, "input_dim", input_dim)
            if self.input_shape not in (None, shape):
                raise ValueError(f"{owner}: input_dim {shape[0]} contradicts input_shape {self.input_shape}")
            self._set(input_shape=shape)
        if self.input_shape is not None and self.input_shape != (takes := self.required_shape):
            raise ValueError(f"{owner}: input_shape must be {takes}, got {self.input_shape}")
        if self.learning_rate_multiplier == self.weight_decay_multiplier == 1.0:
            return
        for name in _MULTIPLIERS:
            if getattr(self, name) != 1.0 and name not in _core.schema()["layers"].get(owner, {"fields": ()})["fields"]:
                given = describe(getattr(self, name))
                raise ValueError(f"{owner}: {name} must be 1, as the layer has no weights of its own, got {given}")

    def __repr__(self) -> str:
        usual = {name: value for name, value in _USUAL.items() if name not in self._transient}
        shown = [f.name for f in fields(self) if f.name not in (*self._transient, *usual)]
        shown += [name for name, value in usual.items() if getattr(self, name) != value]
        shown = [name for name in shown if not name.endswith("_constraint") or getattr(self, name) is not None]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __call__(self, inputs: Symbol, *, training: bool | None = None) -> Value:
        """The value that this layer makes of another one, for :class:`fastreg.Model`.

        Args:
            inputs: The other one.
            training: Keras's argument; None, or a bool for a layer that computes the same in and outside of training.

        Raises:
            ValueError: If the layer cannot take a value of this width, or not the value of ``training``.
            TypeError: If it is called on anything but a value.
        """
        owner = type(self).__name__
        check_mode(self, training)
        value = _checked_value(owner, inputs)
        if self.input_shape not in (None, value.row_shape):
            raise ValueError(f"{owner}: input_shape is {self.input_shape}, but the input has {told(value.row_shape)}")
        return Value(self, (value,), self.output_shape(value.row_shape))

    def to_config(self) -> dict[str, Any]:
        """The JSON form. What does nothing and was added later is not in it, so that files are as they ever were."""
        kind: Any = type(self)
        return _form(kind).of(self)

    def output_width(self, *widths: int) -> int:
        """Width of the output for widths of the inputs. Raises ValueError if the layer cannot take these."""
        return _width_of(self, widths)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of the output for shapes of the inputs. Raises ValueError if the layer cannot take these."""
        if len(shapes) == 1 and len(shapes[0]) == 1:
            return shapes[0] if self.is_elementwise() else (self.output_width(shapes[0][0]),)
        if all(len(shape) == 1 for shape in shapes):
            return (self.output_width(*(shape[0] for shape in shapes)),)
        owner = type(self).__name__
        if not self.is_elementwise():
            given = next(shape for shape in shapes if len(shape) != 1)
            if given and all(shape[:-1] == given[:-1] for shape in shapes) and math.prod(given[:-1]) == 1:
                return (*given[:-1], self.output_width(*(shape[-1] for shape in shapes)))
            raise ValueError(f"{owner}: takes rows of features, (n,), got {told(given)}; Flatten() makes rows of them")
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(f"{owner}: inputs must have the same shape, got {shapes[0]} and {shapes[-1]}")
        self.output_width(*map(math.prod, shapes))
        return shapes[0]

    def is_elementwise(self) -> bool:
        """Whether it computes element by element, so that a value of any shape keeps its shape."""
        return False

    @property
    def kind(self) -> str:
        """The name of the class, as models show it."""
        return type(self).__name__

    @property
    def core_count(self) -> int:
        """The number of layers that C++ has for this one."""
        return 1

    @property
    def fixed_width(self) -> int | None:
        """The width of its output where that is the same for every input; else None."""
        return None

    @property
    def reshapes(self) -> bool:
        """Whether its value has the elements of its input, in their order."""
        return False

    @property
    def required_shape(self) -> Shape | None:
        """The only shape of rows that it takes, as far as it knows without its input."""
        return cast(Shape | None, self.input_shape)

    @property
    def input_rule(self) -> InputRule:
        """What the numbers that it reads must be."""
        return InputRule()

    def input_rule_of(self, place: int) -> InputRule:
        """What the numbers of one of the values that it reads must be."""
        return self.input_rule

    def lower(self, into: Lowering, values: tuple[int, ...]) -> int:
        """Writes it as :attr:`core_count` layers of C++ that read these values; returns the value that it makes."""
        return into.add(self, self.to_config(), values)

    def with_trainable(self: _L, trainable: bool) -> _L:
        """The same layer, trained or not."""
        return self if self.trainable == trainable else replace(self, trainable=trainable)

    def set_trainable(self: _L, trainable: bool) -> _L:
        """The layer that takes its place in a model where it is set to be trained or not."""
        return self.with_trainable(trainable)

    @property
    def is_trained(self) -> bool:
        """Whether training changes its weights; of a model as a layer, those of any of its layers."""
        return self.trainable


# Classes of layers that were found to be registered.
_BUILT_IN: set[type] = set()

_MULTIPLIERS = ("learning_rate_multiplier", "weight_decay_multiplier")
# The values of common fields that are not shown.
_USUAL: dict[str, object] = {"name": None, "trainable": True, **dict.fromkeys(_MULTIPLIERS, 1.0)}


@cache
def _form(kind: Any) -> BriefForm:
    idle: dict[str, object] = {name: _USUAL[name] for name in ("trainable", *_MULTIPLIERS)}
    idle |= {f.name: None for f in fields(kind) if f.name.endswith("_constraint")}
    idle |= {name: usual for name, (_, usual) in checked_defaults(kind).items() if name in kind._later}
    return BriefForm(kind, idle)


@lru_cache(maxsize=256)
def _width_of(layer: Layer, widths: tuple[int, ...]) -> int:
    return _core.layer_info(layer.to_config(), widths)[0]


def every_layer(layers: Iterable[Layer]) -> list[Layer]:
    """The layers and those that they consist of."""
    found = list(layers)
    for layer in found:  # which grows
        found += getattr(layer, "layers", ())
    return found


_NOISE = ("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise")


def check_mode(layer: Layer, training: object) -> None:
    """Refuses Keras's argument ``training`` of a call where it would mean something; None is always allowed.

    Whether layers compute as in training is decided by what a model is asked for: ``fit`` trains, ``predict`` does not.
    """
    if training is None:
        return
    chosen = check_bool(layer.kind, "training", training)
    if (found := _of_training(layer, chosen, True)) is None:
        return
    hint = "; a BatchNormalization with trainable=False normalises by its moving averages in fit, too"
    raise ValueError(
        f"{layer.kind}: training must be None where there is a {found}, got {chosen}: it acts as in training in fit, "
        f"and not in predict{'' if chosen or found in _NOISE else hint}"
    )


def _of_training(layer: Layer, chosen: bool, trained: bool) -> str | None:
    """The kind of a layer in this one, or of itself, that computes something else in training than ``chosen`` says."""
    trained = trained and layer.trainable
    if layer.kind in _NOISE or (layer.kind == "BatchNormalization" and (chosen or trained)):
        return layer.kind
    within = (_of_training(one, chosen, trained) for one in getattr(layer, "layers", ()))
    return next((found for found in within if found is not None), None)


class Join(Layer):
    """The base class of layers that combine several values into one. They are called on a list of at least two."""

    # How many values it takes; None for two or more.
    _count: ClassVar[int | None] = None

    def __post_init__(self, input_dim: int | None) -> None:
        super().__post_init__(input_dim)
        if self.input_shape is not None:
            owner = type(self).__name__
            raise ValueError(f"{owner}: input_shape must be None, since it has several inputs, got {self.input_shape}")

    def __call__(  # type: ignore[override]
        self, inputs: Sequence[Symbol], *, training: bool | None = None
    ) -> Value:
        """Returns the value that this layer computes from others, for :class:`fastreg.Model`.

        Args:
            inputs: The others, a list.
            training: Keras's argument, without a meaning for such a layer.

        Raises:
            ValueError: If there are fewer than two values, or their widths do not match.
            TypeError: If the argument is not a list of values.
        """
        owner = type(self).__name__
        check_mode(self, training)
        if not isinstance(inputs, (list, tuple)):
            raise TypeError(f"{owner}: must be called on a list of values, two at least, got {describe(inputs)}")
        if len(inputs) < 2:
            raise ValueError(f"{owner}: must be called on a list of values, two at least, got {len(inputs)}")
        if self._count not in (None, len(inputs)):
            raise ValueError(f"{owner}: must be called on a list of {self._count} values, got {len(inputs)}")
        values = tuple(_checked_value(owner, value) for value in inputs)
        return Value(self, values, self.output_shape(*(value.row_shape for value in values)))


def _checked_value(owner: str, value: object) -> Symbol:
    if isinstance(value, Symbol):
        return value
    if isinstance(value, (list, tuple)):
        hint = "; Add, Concatenate, Dot and the like take several"
        raise TypeError(f"{owner}: must be called on one value, got {describe(value)}{hint}")
    raise TypeError(
        f"{owner}: must be called on a value, an Input or what another layer made, got {describe(value)}; arrays go "
        "into fit and predict of a model"
    )
