"""A fully connected layer for the members of an ensemble that share weights."""

import math
from typing import Annotated, Any, ClassVar

from fastreg.initializers import Initializer, RandomUniform
from fastreg.internal.activation_names import ActivationLike, check_activation
from fastreg.internal.checks import AT_LEAST_ONE, WIDTH_LIMIT
from fastreg.internal.dataclasses import dataclass
from fastreg.internal.keras_arguments import LayerArguments, takes_keras_arguments
from fastreg.internal.layer_base import InputRule, Join, Lowering, Shape, told
from fastreg.layers.dense import Activation, Dense
from fastreg.layers.embedding import INDICES, Embedding
from fastreg.regularizers import Regularizer

__all__ = ["EnsembleDense"]


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class EnsembleDense(Join, LayerArguments):
    r"""A fully connected layer of several members that share a kernel, :math:`y = a((x \circ r_i) W \circ s_i + b_i)`.

    It is called on two values, x and one with the number i of the member that a row belongs to. A member has but three
    vectors of its own (BatchEnsemble, Wen, Tran and Ba, ICLR 2020), so that many members cost little more memory than
    one, and yet their mean is better than one of them (TabM, Gorishniy, Kotelnikov and Babenko, "TabM: Advancing
    tabular deep learning with parameter-efficient ensembling", ICLR 2025). Rows of training are pairs of a row and a
    member, so the loss is the mean of the members' losses. Predictions are the mean over the members of a row.

    Weights, in this order: r (members, in), the kernel W (in, units), s (members, units) and b (members, units). With
    ``share_kernel=False`` there is a kernel for each member, (members, units * in), one output after another, and
    neither r nor s. The optimizer's weight decay does not apply to r, s and b.

    Args:
        units: The number of outputs, >= 1.
        members: The number of members, in [1, 2**24].
        activation: As for :class:`Dense`.
        share_kernel: Whether the members share a kernel. The last layer of TabM has a kernel for each.
        input_initializer: The initial values of r; None leaves r out. In the first layer members have to differ:
            ``initializers.RandomNormal(stddev=1.0)``.
        output_initializer: The initial values of s; None leaves s out.
        kernel_initializer: The initial values of a shared kernel. Kernels of their own are uniform in
            :math:`\pm 1 / \sqrt{\text{in}}`.
        bias_initializer: The initial values of b.
        kernel_regularizer: The penalty on kernels; None means no penalty.
        name: See :class:`Layer`, as for ``trainable``.

    Raises:
        ValueError: If a number is out of range or a name is unknown, or when it is not called on two values, or the
            second one has not one number for each row.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> x, member = fr.Input((4,)), fr.Input((1,))
        >>> normal = fr.initializers.RandomNormal(stddev=1.0)
        >>> hidden = fr.layers.EnsembleDense(8, 3, "relu", input_initializer=normal)([x, member])
        >>> model = fr.Model([x, member], fr.layers.EnsembleDense(1, 3, share_kernel=False)([hidden, member]), seed=0)
        >>> rows = np.ones((2, 4), np.float32)
        >>> model.predict([np.repeat(rows, 3, 0), np.tile(np.arange(3), 2)[:, None]]).reshape(2, 3).mean(axis=1).shape
        (2,)
    """

    _count: ClassVar[int | None] = 2

    units: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT]
    members: Annotated[int, INDICES]
    activation: Annotated[ActivationLike | None, check_activation] = None
    share_kernel: bool = True
    input_initializer: Initializer | str | None = "ones"
    output_initializer: Initializer | str | None = "ones"
    kernel_initializer: Initializer | str = "glorot_uniform"
    bias_initializer: Initializer | str = "zeros"
    kernel_regularizer: Regularizer | str | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        """The units."""
        x, member = shapes
        if len(x) != 1:
            raise ValueError(f"EnsembleDense: takes rows of features, (n,), got {told(x)}; Flatten() makes them")
        if math.prod(member) != 1:
            raise ValueError(f"EnsembleDense: the second value must be a number for each row, got {told(member)}")
        return (self.units,)

    @property
    def core_count(self) -> int:
        """A product and a sum, each with its table of vectors, and what there is of the two factors and a function."""
        factors = (self.input_initializer is not None) + (self.output_initializer is not None)
        own = 1 + 2 * factors if self.share_kernel else 2
        return own + 2 + (self.activation not in (None, "linear"))

    def input_rule_of(self, place: int) -> InputRule:
        """Integers below ``members`` for the second value."""
        return InputRule(self.members) if place == 1 else InputRule()

    def lower(self, into: Lowering, values: tuple[int, ...]) -> int:
        """Writes tables of vectors, and layers that join them with the values."""
        value, member = values
        (inputs,) = into.shape(value)
        if self.share_kernel:
            value = self._joined(into, "Multiply", value, member, inputs, self.input_initializer)
            kernel = Dense(self.units, None, False, self.kernel_initializer, kernel_regularizer=self.kernel_regularizer)
            value = into.add(self, self._config(kernel), (value,))
            value = self._joined(into, "Multiply", value, member, self.units, self.output_initializer)
        else:
            limit = inputs**-0.5
            uniform = RandomUniform(-limit, limit)
            table = Embedding(self.members, self.units * inputs, uniform, self.kernel_regularizer)
            kernels = into.add(self, self._config(table), (member,))
            product = {"first_transposed": False, "second_transposed": False, "normalize": False}
            value = into.add(self, {"type": "Dot", "length": inputs, **product}, (kernels, value))
        value = self._joined(into, "Add", value, member, self.units, self.bias_initializer)
        if self.activation in (None, "linear"):
            return value
        return into.add(self, Activation(self.activation).to_config(), (value,))

    def _joined(
        self, into: Lowering, kind: str, value: int, member: int, width: int, initializer: Initializer | str | None
    ) -> int:
        """Writes a vector of each member, and what joins it with a value."""
        if initializer is None:
            return value
        table = Embedding(self.members, width, initializer, weight_decay_multiplier=0.0)
        return into.add(self, {"type": kind}, (value, into.add(self, self._config(table), (member,))))

    def _config(self, layer: Dense | Embedding) -> dict[str, Any]:
        return layer.with_trainable(self.trainable).to_config()
