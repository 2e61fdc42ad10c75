"""Intervals for ``fastreg tune``: what they need is checked before the search, and measured on the rows held back."""

from __future__ import annotations

from dataclasses import replace

from fastreg.table.intervals import Intervals, IntervalScores, check_level, check_rows
from fastreg.tune.outcome import TuneResult
from fastreg.tune.preparation import Prepared

__all__ = ["check", "with_intervals"]


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


def with_intervals(result: TuneResult, level: float | None, seed: int) -> TuneResult:
    """The result with intervals by the errors of the rows held back; as it is if there is no level."""
    if level is None:
        return result
    outputs = result.outputs[:, None]
    model = replace(result.model, intervals=Intervals.of(level, outputs, result.truth))
    found = IntervalScores.of(level, outputs, result.truth, model.target.scale, seed)
    return replace(result, model=model, intervals=found)
