"""Intervals for ``fastreg tune``: what they need is checked before the search, and measured on the rows held back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.progress import say
from fastreg.table.blending import Blend
from fastreg.table.intervals import Intervals, IntervalScores, check_level, check_rows
from fastreg.table.model import TableModel
from fastreg.table.scatter import network_of, share_of, with_scatter
from fastreg.tune.outcome import TuneResult
from fastreg.tune.preparation import Prepared

__all__ = ["check", "measured", "reserved", "scattered"]


def check(level: float | None, data: Prepared) -> None:
    """Raises ValueError if intervals of the level are asked for and the table does not allow them."""
    if level is None:
        return
    check_level("--interval", "the level", level)
    if data.target.labels is not None:
        raise ValueError(
            f"--interval: the target must be a number, but {data.target.name!r} was taken for classes; --task "
            "regression takes it for a number"
        )
    check_rows("--interval", level, data.rows.test)


def reserved(level: float | None, seconds: float) -> float:
    """The part of the time for everything that intervals need after the search."""
    return 0.0 if level is None else share_of(seconds) or 0.0


def scattered(
    model: TableModel, level: float | None, found: Blend | None, data: Prepared, seed: int, seconds: float | None
) -> TableModel:
    """The model with a scale for each row, if there are to be intervals. Ctrl-C leaves it as it is."""
    if level is None or found is None or found.stopped_by == "interrupt":
        return model
    try:
        return with_scatter(model, data.rows_to_learn, network_of(found), seed, share_of(seconds))
    except KeyboardInterrupt:
        say("interrupted: all intervals have one width")
        return model


def measured(
    result: TuneResult, features: list[NDArray[np.float32]], level: float | None, seed: int
) -> TuneResult:
    """The result with intervals by the errors of the rows held back; as it is if there is no level.

    Args:
        result: The result.
        features: The encoded rows that were held back.
        level: The level of the intervals.
        seed: The seed of the halves of these rows.
    """
    if level is None:
        return result
    outputs, scale = result.model.outputs_and_scale(features)
    made = Intervals.of(level, outputs, scale, result.truth)
    found = IntervalScores.of(level, outputs, scale, result.truth, result.model.target.scale, seed)
    model = result.model
    if result.search is not None and not made.scaled:
        model = result.search.of_table(model.schema, model.target)  # without the network that nothing uses
    return replace(result, model=replace(model, intervals=made), intervals=found)
