"""A network that says how far the targets of a row scatter, so that intervals are wide where predictions are unsure.

It gives quantiles of the target (Koenker and Bassett, 1978). Half the distance of the outer two is the scale of a row,
by which errors are divided and intervals multiplied: the locally weighted form of Lei et al. (2018), whose coverage is
that of intervals of one width. In a model it is a second output, so that both are one network of one file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastreg import _core, callbacks, layers
from fastreg.model.core import core_of
from fastreg.model.model import Model
from fastreg.table.blending import Blend
from fastreg.table.candidates import Candidate
from fastreg.table.intervals import QUANTILES
from fastreg.table.model import TableModel
from fastreg.table.td_encoder import TdEncoder
from fastreg.table.training import Encoded, Forecast, TrainingRows, key_of, seed_of, train

__all__ = ["LEAST_ROWS", "network_of", "share_of", "with_scatter"]

# The quantiles. The median is not needed, but learning it makes the outer ones better.
_QUANTILES = (0.05, 0.5, 0.95)
assert len(_QUANTILES) == QUANTILES
# Rows to learn from; of fewer, a scale would be noise.
LEAST_ROWS = 1000
# What is trained beside a single network, whose encoder it shares.
_USUAL = Candidate(width=128, activation="relu", dropout=0.2, decay=0.01, steps=2000)
# The share of the time that it may take.
_SHARE = 0.15
# A forecast may be too short by the inverse of this, and fewer steps teach nothing.
_SAFE, _LEAST_STEPS = 0.7, 100
# The shares of its time for which steps are measured, and that it needs for more than a few of them to be measured.
_MEASURED, _UNSURE = 0.05, 0.25
# The number that stands for this network in its seed.
_NUMBER = 2**31 - 2


def network_of(found: Blend | None) -> Candidate | None:
    """The network to train for the scale: the best one of a blend, if it has one, or a usual one without a blend."""
    if found is None:
        return _USUAL
    return next((member.candidate for member in found.members_ if member.candidate.layers), None)


def share_of(seconds: float | None) -> float | None:
    """The part of the time for everything that the network may take; None if there is no limit."""
    return None if seconds is None else _SHARE * seconds


def with_scatter(
    model: TableModel, rows: TrainingRows, candidate: Candidate | None, seed: int, seconds: float | None = None
) -> TableModel:
    """The model with a scale for each row; as it is for few rows, in too little time, or if the training diverges.

    Args:
        model: A model of numbers.
        rows: The rows that it learned from.
        candidate: The network to train on them; None for none.
        seed: The seed of the model.
        seconds: The longest time to train; None for no limit.
    """
    if candidate is None or len(rows.y) < LEAST_ROWS:
        return model
    begun = time.monotonic()
    limit: callbacks.Callback | None = None
    if seconds is not None:
        fitting = _in_time(candidate, rows, seed, seconds)
        if fitting is None:
            return model
        candidate, limit = fitting, callbacks.TimeLimit(max(seconds - (time.monotonic() - begun), 1e-3))
    encoded, places = _encoded(model, rows, candidate)
    try:
        made = train(rows, encoded, candidate, seed_of(seed, _NUMBER, 0), stop=limit, quantiles=_QUANTILES)
    except _core.DivergenceError:
        return model
    return replace(model, model=_joined(model.model, made, places, seed))


def _in_time(candidate: Candidate, rows: TrainingRows, seed: int, seconds: float) -> Candidate | None:
    """The candidate with as many steps as there is time for; None if they are too few to learn something."""
    begun = time.monotonic()
    forecast = Forecast(rows, seed)
    forecast.measure(candidate, enough=_MEASURED * seconds, unsure=_UNSURE * seconds)
    left = _SAFE * (seconds - (time.monotonic() - begun))
    steps = min(int(candidate.steps * left / forecast.seconds(candidate)), candidate.steps)
    return replace(candidate, steps=steps) if steps >= _LEAST_STEPS else None


def _encoded(model: TableModel, rows: TrainingRows, candidate: Candidate) -> tuple[Encoded, list[int]]:
    """The rows as a candidate reads them, and which inputs of the model these are."""
    own = rows.encoder(candidate, len(rows.y))
    if isinstance(own, TdEncoder):
        own = own.fit(rows.codes)
        keys = [key_of(encoder) for encoder in model.encoders]
        return Encoded(own, own.transform(rows.codes)), [keys.index(key_of(encoder)) for encoder in own.inputs]
    key = key_of(own)
    place = next((i for i, encoder in enumerate(model.encoders) if key_of(encoder) == key), 0)
    encoder = model.encoders[place]
    return Encoded(encoder, encoder.transform(rows.codes, rows.documents)), [place]


def _joined(model: Any, scatter: Any, places: Sequence[int], seed: int) -> Any:
    """One network with the outputs of both."""
    widths = core_of(model).require_network("join").input_widths
    inputs = [layers.Input((width,)) for width in widths]
    given: Any = inputs if len(inputs) > 1 else inputs[0]
    read = [inputs[place] for place in places]
    return Model(given, [model(given), scatter(read if len(read) > 1 else read[0])], seed=seed)
