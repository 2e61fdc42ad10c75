"""Layers that consist of layers."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from fastreg.internal.checks import describe
from fastreg.internal.dataclasses import dataclass, replace
from fastreg.internal.description import registry_of
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import Join, Layer, Lowering, Shape, told

__all__ = ["Residual"]


def _check_inner(owner: str, name: str, value: Any) -> Layer:
    """A layer of a Residual. It must have one input."""
    layer = value if issubclass(type(value), Layer) else getattr(value, "description", value)
    if isinstance(layer, Mapping):
        layer = registry_of(Layer).from_config(owner, layer)
    if not issubclass(type(layer), Layer):
        hint = "; did you forget the parentheses?" if isinstance(layer, type) else ""
        raise TypeError(f"{owner}: {name} must be layers, got {describe(layer)}{hint}")
    if isinstance(layer, Join):
        raise ValueError(f"{owner}: {name} must be layers that have one input, got {describe(layer)}")
    return cast(Layer, layer)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Residual(Layer, LayerArguments):
    r"""A chain of layers whose input is added to its output, :math:`y = x + f(x)`.

    He, Zhang, Ren and Sun, CVPR 2016. It has one input and one output of the same width, and it can be used wherever
    another layer can. Its weights are those of the chain.

    Args:
        layers: The layers of the chain, at least one.
        name: See :class:`Layer`, as for ``input_shape`` and ``input_dim``.
        trainable: False makes all layers of the chain untrainable.

    Raises:
        ValueError: If the chain is empty or a layer in it has several inputs. Once the width of the input is known,
            also if the width of the chain's output differs from it.

    Example:
        >>> import fastreg as fr
        >>> block = fr.layers.Residual([fr.layers.Dense(16, "relu"), fr.layers.Dense(8)])
        >>> model = fr.Sequential([fr.Input((8,)), block, fr.layers.Dense(1)], seed=0)
        >>> model.layers[0].count_params()
        280
    """

    layers: Sequence[Annotated[Layer, _check_inner]]

    def _check_together(self) -> None:
        if not self.layers:
            raise ValueError("Residual: layers must have at least one layer, got none")
        if not self.trainable:
            self._set(layers=tuple(layer.with_trainable(False) for layer in self.layers))
        self._set(trainable=any(layer.trainable for layer in self.layers))

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the input. The shape of the chain's output must be the same."""
        (shape,) = shapes
        after = shape
        for layer in self.layers:
            if layer.input_shape not in (None, after):
                said = told(cast(tuple[int, ...], layer.input_shape))
                raise ValueError(f"Residual: {layer!r} is to take {said}, but gets {told(after)}")
            after = layer.output_shape(after)
        if after != shape:
            raise ValueError(
                f"Residual: the chain must give as many features as it gets, since the two are added: it gets "
                f"{told(shape)} and gives {told(after)}"
            )
        return shape

    @property
    def core_count(self) -> int:
        """The layers of the chain, and the one that adds."""
        return sum(layer.core_count for layer in self.layers) + 1

    def lower(self, into: Lowering, values: tuple[int, ...]) -> int:
        """Writes the layers of the chain, and an ``Add``."""
        value = values[0]
        for layer in self.layers:
            value = layer.lower(into, (value,))
        return into.add(self, {"type": "Add"}, (values[0], value))

    def with_trainable(self, trainable: bool) -> "Residual":
        """The same layer, with all layers of its chain trained or not."""
        return replace(self, trainable=trainable, layers=tuple(one.with_trainable(trainable) for one in self.layers))
