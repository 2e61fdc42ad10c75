"""How long the frozen model takes for one row, from its codes to what is predicted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from fastreg.table.encoder import Codes
from fastreg.table.model import TableModel
from fastreg.table.texts import Documents

__all__ = ["row_seconds"]

# Rows that are timed, and those before them that are not.
_ROWS, _WARM = 200, 20


def row_seconds(model: TableModel, codes: Codes, documents: Mapping[int, Documents]) -> float:
    """The median of the seconds for one row of codes, encoding included.

    Args:
        model: The model.
        codes: The rows, one at least.
        documents: The documents of text columns.
    """
    frozen, timed = model.freeze(), []
    for i in range(_WARM + _ROWS):
        row = codes[i % len(codes)][None]
        begun = time.perf_counter()
        frozen(row, documents)
        timed.append(time.perf_counter() - begun)
    return statistics.median(timed[_WARM:])
