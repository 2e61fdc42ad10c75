"""``ShapedPredictor``: a frozen model whose inputs or outputs have rows with other than one dimension."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastreg import _core
from fastreg.data.serving import flat_rows, refuse_out
from fastreg.internal.layer_base import Shape

__all__ = ["ShapedPredictor"]


class ShapedPredictor:
    """A frozen model that takes and gives arrays of shapes, made by ``freeze``. See :class:`fastreg.Predictor`.

    It reshapes and calls the frozen network, whose attributes it has.

    Args:
        predictor: The frozen network, whose rows are flat.
        input_shapes: The shape of a row of each input.
        output_shapes: The shape of a row of each output.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> model = fr.Sequential([fr.Input((28, 28)), fr.layers.Flatten(), fr.layers.Dense(10)], seed=0)
        >>> model.freeze()(np.zeros((5, 28, 28), np.uint8)).shape
        (5, 10)
    """

    def __init__(
        self, predictor: _core.Predictor, input_shapes: Sequence[Shape], output_shapes: Sequence[Shape]
    ) -> None:
        self.predictor = predictor
        self.input_shapes, self.output_shapes = tuple(input_shapes), tuple(output_shapes)
        known = getattr(predictor, "feature_names_in_", None)
        of_inputs = list(known.values()) if isinstance(known, dict) else [known] * len(self.input_shapes)
        self._names = [None if names is None else tuple(names) for names in of_inputs]

    def __call__(self, x: Any, out: Any = None) -> Any:
        """The outputs for rows of features; as :class:`fastreg.Predictor`, with shapes.

        Args:
            x: Rows, (n, *shape); for several inputs a list of them, or a dict by name.
            out: Where to write, of the shape of the result; None makes new arrays.
        """
        several = len(self.input_shapes) > 1
        given = self._listed(x, self.input_names) if several else [x]
        of_inputs = self.input_names if several else [None]
        rows = [flat_rows(*each) for each in zip(given, self.input_shapes, self._names, of_inputs, strict=True)]
        flat_out = None if out is None else self._flat_out(out, len(rows[0]))
        made: Any = self.predictor(rows if several else rows[0], flat_out)
        if out is not None:
            return out
        parts = made if isinstance(made, list) else [made]
        shaped = [part.reshape(len(part), *shape) for part, shape in zip(parts, self.output_shapes, strict=True)]
        return shaped if isinstance(made, list) else shaped[0]

    @staticmethod
    def _listed(value: Any, names: Sequence[str]) -> list[Any]:
        if isinstance(value, Mapping):
            if set(value) != set(names):
                known, got = (", ".join(map(repr, keys)) for keys in (names, value))
                raise ValueError(f"x: must have the keys {known}, got {got}")
            return [value[name] for name in names]
        if not isinstance(value, (list, tuple)) or len(value) != len(names):
            raise ValueError(f"x: must be {len(names)} arrays, in their order or by name")
        return list(value)

    def _flat_out(self, out: Any, n: int) -> Any:
        several = len(self.output_shapes) > 1
        parts = self._listed(out, self.output_names) if several else [out]
        flat = []
        for part, shape in zip(parts, self.output_shapes, strict=True):
            if type(part) is not np.ndarray or part.shape != (n, *shape) or not part.flags.c_contiguous:
                refuse_out(part, (n, *shape))
            flat.append(part.reshape(n, math.prod(shape)))
        return flat if several else flat[0]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "predictor":
            raise AttributeError(name)
        return getattr(self.predictor, name)

    def __reduce__(self) -> Any:
        return ShapedPredictor, (self.predictor, self.input_shapes, self.output_shapes)

    def __repr__(self) -> str:
        return repr(self.predictor)
