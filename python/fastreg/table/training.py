"""Rows to learn from, their features for each encoding, and how long a candidate will train on them."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks
from fastreg.model.sequential import Sequential
from fastreg.table.candidates import Candidate, batch_size
from fastreg.table.encoder import Codes, TableEncoder
from fastreg.table.networks import network
from fastreg.table.target import Target
from fastreg.table.texts import Documents

__all__ = ["Encoded", "Features", "Forecast", "TrainingRows", "seed_of", "train"]

# Bytes of encoded features that are kept for further candidates, at most.
_MOST_BYTES = 2**30
# Rows by which the number of features is estimated, and steps that are timed before anything is trained.
_SAMPLE, _WARM, _PILOT = 2048, 3, 24
# Seconds per product, per weight and per step, of some machine: only their ratios matter.
_PRODUCT, _WEIGHT, _STEP, _CELL = 5e-11, 5e-10, 1e-5, 4e-9


@dataclass(frozen=True)
class TrainingRows:
    """A table to learn from.

    Attributes:
        target: The column to predict.
        kinds: The kind of each column of the codes.
        codes: The rows.
        y: Their targets, encoded.
        documents: The documents of text columns.
        weights: The weights of the rows; None weighs all alike.
        groups: The group of each row, None without groups.
        in_time: Whether the rows are in the order of time.
    """

    target: Target
    kinds: Sequence[str]
    codes: Codes
    y: NDArray[Any]
    documents: Mapping[int, Documents] = field(default_factory=dict)
    weights: NDArray[np.float64] | None = None
    groups: NDArray[np.int64] | None = None
    in_time: bool = False

    def encoder(self, bins: int) -> TableEncoder:
        """An encoder of the columns that is not fitted yet."""
        return TableEncoder(self.kinds, n_bins=bins, documents=self.documents)


@dataclass(frozen=True)
class Encoded:
    """A fitted encoder, and the features of all rows by it."""

    encoder: TableEncoder
    features: NDArray[np.float32]


class Features:
    """The features of the rows, by encoders fitted on some of them; those that were used last are kept.

    Args:
        rows: All rows.
        parts: The numbers of the rows that an encoder may be fitted on, for each part.
    """

    def __init__(self, rows: TrainingRows, parts: Sequence[NDArray[Any]]) -> None:
        self._rows, self._parts = rows, parts
        self._kept: OrderedDict[tuple[int, int], Encoded] = OrderedDict()
        self._locks: dict[tuple[int, int], threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, part: int, bins: int) -> Encoded:
        """The features by an encoder that was fitted on a part. May be called by several threads."""
        chosen = self._parts[part]
        key = part, self._rows.encoder(bins).bins_of(len(chosen))
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            encoder = self._rows.encoder(key[1]).fit(self._rows.codes[chosen])
            made = Encoded(encoder, encoder.transform(self._rows.codes))
            with self._lock:
                self._kept[key] = made
                while len(self._kept) > 1 and sum(e.features.nbytes for e in self._kept.values()) > _MOST_BYTES:
                    self._kept.popitem(last=False)
        return made


def seed_of(seed: int, number: int, part: int) -> int:
    """The seed of the network of a candidate on a part of the rows."""
    return int(np.random.SeedSequence([seed, number, part]).generate_state(1)[0])


def train(
    rows: TrainingRows,
    encoded: Encoded,
    candidate: Candidate,
    seed: int,
    chosen: NDArray[Any] | None = None,
    stop: callbacks.Callback | None = None,
    quantiles: Sequence[float] = (),
) -> Sequential:
    """The network of a candidate, or one of quantiles, trained for all its steps on some of the rows; None are all."""
    model = network(rows.target, candidate, seed, quantiles)
    model.build(encoded.features.shape[1])
    count = len(rows.y) if chosen is None else len(chosen)
    model.fit(
        encoded.features,
        rows.y,
        batch_size=min(batch_size(candidate, count), count),
        epochs=1,
        steps_per_epoch=candidate.steps,
        sample_weight=rows.weights,
        callbacks=[] if stop is None else [stop],
        rows=chosen,
        verbose=0,
    )
    return model


class Forecast:
    """Seconds that a candidate will train: counted operations, times what those that ran needed for theirs.

    Args:
        rows: The rows to learn from.
        seed: The seed of the rows of which an estimate is made.

    Attributes:
        n_outputs: The outputs of a network.
    """

    def __init__(self, rows: TrainingRows, seed: int) -> None:
        self._rows = rows
        order = np.random.default_rng(seed).permutation(len(rows.y))
        self._sample = np.sort(order[:_SAMPLE])
        self.n_outputs = len(rows.target.labels or ()) if rows.target.task == "multiclass" else 1
        self._widths: dict[int, int] = {}
        self._ratios: list[float] = []

    def seconds(self, candidate: Candidate) -> float:
        """The seconds of one training, the encoding included."""
        return self._counted(candidate) * (statistics.median(self._ratios) if self._ratios else 1.0)

    def learn(self, candidate: Candidate, seconds: float) -> None:
        """Takes the seconds that a training really needed."""
        if candidate.layers:  # the linear model says little about others
            self._ratios.append(seconds / self._counted(candidate))

    def measure(self, candidate: Candidate) -> None:
        """Trains some steps on some rows, so that the first forecast is one of this machine."""
        bins = self._bins(candidate)
        encoder = self._rows.encoder(bins).fit(self._rows.codes[self._sample])
        begun = time.perf_counter()
        features = encoder.transform(self._rows.codes[self._sample])
        encoding = (time.perf_counter() - begun) / len(features)
        weights = None if self._rows.weights is None else self._rows.weights[self._sample]
        if weights is not None and not weights.any():
            weights = None
        some = replace(self._rows, y=self._rows.y[self._sample], weights=weights)
        size = batch_size(candidate, len(self._rows.y))
        timed = []
        for steps in (_WARM, _WARM + _PILOT):
            begun = time.perf_counter()
            train(some, Encoded(encoder, features), replace(candidate, steps=steps, batch=size), 0)
            timed.append(time.perf_counter() - begun)
        step = max(timed[1] - timed[0], 0.2 * timed[1]) / _PILOT
        self.learn(candidate, step * candidate.steps + encoding * len(self._rows.y))

    def _counted(self, candidate: Candidate) -> float:
        inputs, n = self._width(candidate), len(self._rows.y)
        sizes = [inputs, *[candidate.width] * candidate.layers, self.n_outputs]
        weights = sum(a * b for a, b in itertools.pairwise(sizes))
        size = min(batch_size(candidate, n), n)
        return candidate.steps * (3 * size * weights * _PRODUCT + weights * _WEIGHT + _STEP) + _CELL * n * inputs

    def _bins(self, candidate: Candidate) -> int:
        return self._rows.encoder(candidate.bins).bins_of(len(self._rows.y))

    def _width(self, candidate: Candidate) -> int:
        bins = self._bins(candidate)
        if bins not in self._widths:
            encoder = self._rows.encoder(bins).fit(self._rows.codes[self._sample])
            self._widths[bins] = encoder.n_features
        return self._widths[bins]
