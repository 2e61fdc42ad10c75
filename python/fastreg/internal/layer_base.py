"""The base of the layers, and the values that they are called on. Descriptions only; ``fastreg.layers`` has the layers.

It knows no single layer. What a layer makes of a width and which weights it has, C++ says (cpp/core/layers).
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, TypeVar

from fastreg import _core
from fastreg.internal.checks import AT_LEAST_ONE, WIDTH_LIMIT, Rule, check_int, check_name, describe
from fastreg.internal.dataclasses import KW_ONLY, InitVar, dataclass, field, fields, replace
from fastreg.internal.description import Description, registry_of

__all__ = ["FEATURE_AXIS", "Join", "Layer", "Part", "Symbol", "Value", "check_features"]

# The names of the axis of features, which is the only one.
FEATURE_AXIS: Rule = ("be -1 or 1", lambda v: v in (-1, 1))


def check_features(owner: str, name: str, shape: object) -> int:
    """The number of features of an input shape: n, (n,) or (None, n)."""
    if isinstance(shape, (tuple, list)):
        if len(shape) == 2 and shape[0] is None:
            shape = shape[1]
        elif len(shape) == 1:
            shape = shape[0]
        else:
            raise ValueError(f"{owner}: {name} must be (n,) for n features, got {describe(shape)}")
    return check_int(owner, name, shape, AT_LEAST_ONE, WIDTH_LIMIT)


class Part(Description):
    """The base class of the parts of a ``Sequential``: layers, and an :class:`Input` as the first part."""


class Symbol:
    """What layers are called on, in a network that is being described: an ``Input``, or a :class:`Value`."""

    @property
    def width(self) -> int:
        """Number of features."""
        raise NotImplementedError


class Value(Symbol):
    """What a layer makes of other values, in a network that is being described.

    Attributes:
        layer: The layer.
        inputs: What it was called on.
    """

    def __init__(self, layer: "Layer", inputs: tuple[Symbol, ...], width: int) -> None:
        self.layer, self.inputs, self._width = layer, inputs, width

    @property
    def width(self) -> int:
        """Number of features."""
        return self._width

    @property
    def shape(self) -> tuple[None, int]:
        """``(None, width)``, as Keras has it: any number of rows."""
        return None, self.width

    def __repr__(self) -> str:
        return f"<Value of {self.width} features, made by {self.layer!r}>"


_L = TypeVar("_L", bound="Layer")


@dataclass(frozen=True, repr=False)
class Layer(Part):
    """Base of the layers; anything that ``Sequential`` accepts.

    Args:
        name: Name in ``summary()``, unique within a model; None takes one after the class.
        input_shape: ``(n,)`` for n input features, on a first layer.
        input_dim: The same as a number.
        trainable: False keeps the weights as they are in training: they have no gradient, no moments and no penalty.
            A batch normalisation then normalises by its moving averages, as it does in inference.
            ``model.layers[i].trainable`` can be set later.
    """

    _transient: ClassVar[frozenset[str]] = frozenset({"input_shape"})

    _: KW_ONLY
    input_shape: tuple[int, ...] | None = field(default=None, compare=False)
    input_dim: InitVar[int | None] = None
    name: Annotated[str, check_name] | None = None
    trainable: bool = True

    def __post_init__(self, input_dim: int | None) -> None:
        owner = type(self).__name__
        registry_of(Layer).check_built_in("layers", self)
        super().__post_init__()
        if self.input_shape is not None:
            self._set(input_shape=(check_features(owner, "input_shape", self.input_shape),))
        if input_dim is not None:
            shape = (check_features(owner, "input_dim", input_dim),)
            if self.input_shape not in (None, shape):
                raise ValueError(f"{owner}: input_dim {shape[0]} contradicts input_shape {self.input_shape}")
            self._set(input_shape=shape)

    def __repr__(self) -> str:
        shown = [f.name for f in fields(self) if f.name not in (*self._transient, "name", "trainable")]
        shown += [name for name, usual in (("name", None), ("trainable", True)) if getattr(self, name) != usual]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __call__(self, inputs: Symbol) -> Value:
        """The value that this layer makes of another one, for :class:`fastreg.Model`.

        Raises:
            ValueError: If the layer cannot take a value of this width.
            TypeError: If it is called on anything but a value.
        """
        owner = type(self).__name__
        value = _checked_value(owner, inputs)
        if self.input_shape not in (None, (value.width,)):
            raise ValueError(f"{owner}: input_shape is {self.input_shape}, but the input has {value.width} features")
        return Value(self, (value,), self.output_width(value.width))

    def to_config(self) -> dict[str, Any]:
        """The JSON form; ``trainable`` is in it only where it is False, so that files are as they ever were."""
        config = super().to_config()
        if self.trainable:
            del config["trainable"]
        return config

    def output_width(self, *widths: int) -> int:
        """Width of the output for widths of the inputs. Raises ValueError if the layer cannot take these."""
        return _width_of(self, widths)

    def with_trainable(self: _L, trainable: bool) -> _L:
        """The same layer, trained or not."""
        return self if self.trainable == trainable else replace(self, trainable=trainable)


@lru_cache(maxsize=256)
def _width_of(layer: Layer, widths: tuple[int, ...]) -> int:
    return _core.layer_info(json.dumps(layer.to_config()), widths)[0]


class Join(Layer):
    """The base class of layers that combine several values into one. They are called on a list of at least two."""

    def __post_init__(self, input_dim: int | None) -> None:
        super().__post_init__(input_dim)
        if self.input_shape is not None:
            owner = type(self).__name__
            raise ValueError(f"{owner}: input_shape must be None, since it has several inputs, got {self.input_shape}")

    def __call__(self, inputs: Sequence[Symbol]) -> Value:  # type: ignore[override]
        """Returns the value that this layer computes from others, for :class:`fastreg.Model`.

        Raises:
            ValueError: If there are fewer than two values, or their widths do not match.
            TypeError: If the argument is not a list of values.
        """
        owner = type(self).__name__
        if not isinstance(inputs, (list, tuple)):
            raise TypeError(f"{owner}: must be called on a list of values, two at least, got {describe(inputs)}")
        if len(inputs) < 2:
            raise ValueError(f"{owner}: must be called on a list of values, two at least, got {len(inputs)}")
        values = tuple(_checked_value(owner, value) for value in inputs)
        return Value(self, values, self.output_width(*(value.width for value in values)))


def _checked_value(owner: str, value: object) -> Symbol:
    if isinstance(value, Symbol):
        return value
    if isinstance(value, (list, tuple)):
        hint = "; Add and Concatenate take several"
        raise TypeError(f"{owner}: must be called on one value, got {describe(value)}{hint}")
    raise TypeError(
        f"{owner}: must be called on a value, an Input or what another layer made, got {describe(value)}; arrays go "
        "into fit and predict of a model"
    )
