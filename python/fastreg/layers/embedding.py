"""Embedding, a table with a row for each integer."""

import math
from typing import Annotated

from fastreg.constraints import Constraint
from fastreg.initializers import Initializer
from fastreg.internal.checks import AT_LEAST_ONE, WIDTH_LIMIT, Range
from fastreg.internal.dataclasses import dataclass, field
from fastreg.internal.keras_arguments import EmbeddingArguments, takes_keras_arguments
from fastreg.internal.layer_base import InputRule, Layer, Shape
from fastreg.regularizers import Regularizer

__all__ = ["INDICES", "Embedding"]

# Integers up to the upper bound are exact in float32.
INDICES = Range("be in [1, 2**24]", 1.0, 2.0**24)


@takes_keras_arguments
@dataclass(frozen=True, repr=False)
class Embedding(Layer, EmbeddingArguments):
    r"""A learned vector for each integer, :math:`y = E_x`.

    Weight: ``embeddings`` :math:`E` (input_dim, output_dim). The input has integers in [0, ``input_dim``), k in a row:
    (n, k) becomes (n, k, output_dim), and with ``Input(shape=())`` (n,) becomes (n, output_dim). They are checked
    before anything is trained or predicted, where they are an input of the model; a frozen predictor gives NaN for
    others. The gradient touches the rows of the batch only. The optimizer updates the whole table, as in Keras on JAX:
    its moments and penalties count for rows that a batch does not have, too.

    Args:
        input_dim: How many integers there are, in [1, 2**24]: features are float32, which is exact up to there.
        output_dim: The length of a vector, >= 1.
        embeddings_initializer: The initial values of :math:`E`, see :mod:`fastreg.initializers`. ``"uniform"`` is
            uniform in [-0.05, 0.05).
        embeddings_regularizer: The penalty on :math:`E`, see :mod:`fastreg.regularizers`; None means no penalty.
        embeddings_constraint: What :math:`E` keeps to after each update, see :mod:`fastreg.constraints`.
        name: See :class:`Layer`, as for ``trainable`` and ``input_shape``.

    Raises:
        ValueError: If ``input_dim`` or ``output_dim`` is out of range, or a name is unknown.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((3,)), fr.layers.Embedding(10, 4), fr.layers.Flatten()], seed=0)
        >>> model.predict(np.array([[0, 9, 1]])).shape
        (1, 12)
    """

    # field() because the base class has another input_dim, with a default.
    input_dim: Annotated[int, INDICES] = field()
    output_dim: Annotated[int, AT_LEAST_ONE, WIDTH_LIMIT]
    embeddings_initializer: Initializer | str = "uniform"
    embeddings_regularizer: Regularizer | str | None = None
    embeddings_constraint: Constraint | str | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        """A vector for each element."""
        self.output_width(math.prod(shapes[0]))
        return (*shapes[0], self.output_dim)

    @property
    def input_rule(self) -> InputRule:
        """Integers below ``input_dim``."""
        return InputRule(self.input_dim)
