"""A frozen network that reads rows of codes: what it needs to know of the encoders of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastreg import _core
from fastreg.layers import CategoricalColumn, Column, NumericColumn
from fastreg.table.encoder import TableEncoder
from fastreg.table.isotonic import Isotonic

__all__ = ["table_predictor"]

# The kinds of columns as the core numbers them.
_NUMERIC, _CATEGORICAL = 1, 2


def table_predictor(
    network: _core.Predictor,
    encoders: Sequence[TableEncoder],
    limits: tuple[float, float] | None,
    temperature: float,
    isotonic: Isotonic | None = None,
) -> _core.TablePredictor | None:
    """What answers rows of codes: encoding, network, limits and calibration in one call of the core.

    Args:
        network: The frozen network.
        encoders: The encoder of each of its inputs.
        limits: The range of its outputs, as float32 has it; None for none.
        temperature: The temperature of its probabilities.
        isotonic: The curves that these go through; None for none.

    Returns:
        The predictor, or None if there are dates or texts, which the core does not encode.
    """
    if not all(encoder.reads_numbers for encoder in encoders):
        return None
    encodings = []
    for encoder in encoders:
        columns, offsets = zip(*encoder.raw_columns, strict=True)
        encodings.append(([_fields(column) for column in columns], encoder.dense, list(offsets)))
    range_ = None if limits is None else (float(limits[0]), float(limits[1]))
    curves = None if isotonic is None else [(list(curve.x), list(curve.y)) for curve in isotonic.curves]
    return _core.TablePredictor(network, encodings, range_, temperature, curves)


def _fields(column: Column) -> tuple[Any, ...]:
    """A column as the core takes it: kind, count, centre, scale, edges, missing and levels."""
    if isinstance(column, NumericColumn):
        edges = np.array(column.edges, np.float64)
        return _NUMERIC, 1, float(column.centre), float(column.scale), edges, column.missing, np.zeros(0, np.uint32)
    assert isinstance(column, CategoricalColumn)
    return _CATEGORICAL, 1, 0.0, 0.0, np.zeros(0), False, np.array(column.levels, np.uint32)
