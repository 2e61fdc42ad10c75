"""The numbers that change from step to step: the learning rate, a weight decay, and rates of dropout on schedules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastreg import schedules
from fastreg.internal.checks import FRACTION
from fastreg.internal.layer_base import every_layer
from fastreg.layers import Layer
from fastreg.model.core import CoreModel
from fastreg.optimizers import Optimizer
from fastreg.schedules.base import LearningRateSchedule, RunLength, values_of

__all__ = ["LayerRate", "layer_rates", "step_rates"]


class LayerRate(NamedTuple):
    """The rate of a layer that is on a schedule.

    Attributes:
        label: The layer in messages.
        schedule: Its rates.
    """

    label: str
    schedule: LearningRateSchedule


def layer_rates(core: CoreModel) -> Sequence[LayerRate]:
    """Those of the layers of the core, in their order."""
    return core.facts.of(core.layers, "rates", lambda: _found_rates(core))


def _found_rates(core: CoreModel) -> tuple[LayerRate, ...]:
    configs: list[Any] = core.description(core.known_shape())["layers"] if _has_schedule(core.layers) else []
    return tuple(
        LayerRate(f"{one['type']}: rate", schedules.get(one["rate"], f"{one['type']}: rate"))
        for one in configs
        if isinstance(one.get("rate"), dict)
    )


def _has_schedule(layers: Iterable[Layer]) -> bool:
    """Whether a layer, or one in it, has a rate on a schedule."""
    return any(isinstance(getattr(layer, "rate", None), LearningRateSchedule) for layer in every_layer(layers))


def step_rates(
    optimizer: Optimizer, of_layers: Sequence[LayerRate], first_step: int, n: int, run: RunLength | None
) -> NDArray[np.float64]:
    """The numbers of ``n`` steps as the core reads them: a row for each step, or one number if all are the same.

    Raises what a schedule raises, and ValueError if a value is out of range.
    """
    rates, decays = optimizer.rates(first_step, n, run), optimizer.decays(first_step, n, run)
    if decays is None and not of_layers:
        return rates
    columns = [rates] if decays is None else [rates, decays]
    columns += [values_of(FRACTION, one.label, one.schedule, first_step, n, run) for one in of_layers]
    rows = np.empty((n, len(columns)))
    for i, column in enumerate(columns):
        rows[:, i] = column
    return rows.reshape(-1)
