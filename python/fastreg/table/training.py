"""Rows to learn from, their features for each encoding, and how long a candidate will train on them."""

from __future__ import annotations

import itertools
import math
import statistics
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import callbacks
from fastreg.table.candidates import Candidate, batch_size
from fastreg.table.encoder import MOST_RAMPS, Codes, TableEncoder
from fastreg.table.networks import network, network_of_rows
from fastreg.table.tabm import fit_members, mean_of_members
from fastreg.table.target import Target
from fastreg.table.td_encoder import InputEncoder, TdEncoder
from fastreg.table.texts import Documents
from fastreg.table.units import columns_of_one_unit

__all__ = [
    "BestPart",
    "Encoded",
    "Features",
    "Forecast",
    "TrainingRows",
    "key_of",
    "limited",
    "seed_of",
    "task_of",
    "train",
]

# Bytes of encoded features that are kept for further candidates, at most, and while others are trained on all rows.
_MOST_BYTES, _RESTING_BYTES = 2**30, 2**26
# Rows by which the number of features is estimated, and steps that are timed before anything is trained.
_SAMPLE, _WARM, _PILOT = 2048, 3, 24
# The factor by which that number grows until the steps take long enough, and the share of this that will do.
_GROWTH, _NEARLY = 4, 0.7
# The parts of a training after which it is judged, about, if the best one counts: judging all passes over a small table
# would take as long as they.
_PARTS = 64
# Seconds per product, per weight and per step, of some machine: only their ratios matter.
_PRODUCT, _WEIGHT, _STEP, _CELL = 5e-11, 5e-10, 1e-5, 4e-9
# Products as long as a code of a row and as a row of the kernel in a layer that reads codes.
_CODE, _SUM = 8, 2

EncoderKey = tuple[int, bool, bool] | str


@dataclass(frozen=True)
class TrainingRows:
    """A table to learn from.

    Attributes:
        target: The column to predict.
        kinds: The kind of each column of the codes.
        codes: The rows.
        y: Their targets, encoded: standardised numbers (n,), indices of classes (n,), or soft targets: as floats the
            probability of the second of two classes (n,), or of each class (n, classes).
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

    @property
    def is_soft(self) -> bool:
        """Whether the targets are probabilities of classes."""
        return self.target.labels is not None and self.y.dtype.kind == "f"

    def encoder(self, candidate: Candidate, n_rows: int) -> TableEncoder | TdEncoder:
        """The encoder of a candidate, yet to be fitted on so many rows, with the number of bins that it will have.

        A hidden layer reads bins as codes; texts and the linear model have dense features, and so has RealMLP, which
        scales each of them, and TabM, whose members do.
        """
        if candidate.design == "realmlp_td":
            return TdEncoder(self.kinds, self.documents)
        numbers = max(self.kinds.count("numeric"), 1)
        coded = candidate.bins > 0 and candidate.layers > 0 and candidate.design == "plain" and "text" not in self.kinds
        bins = min(candidate.bins, MOST_RAMPS // numbers) if coded else candidate.bins
        more: dict[str, Any] = {"dense": not coded, "shared": candidate.scale == "shared"}
        asked = TableEncoder(self.kinds, n_bins=bins, documents=self.documents, **more)
        return TableEncoder(self.kinds, n_bins=asked.bins_of(n_rows), documents=self.documents, **more)

    @property
    def one_unit(self) -> int:
        """The number of columns that are of one unit by their ranges, 0 if the table has none such."""
        return len(columns_of_one_unit(self.kinds, self.codes))


@dataclass(frozen=True)
class Encoded:
    """A fitted encoder, and the features of all rows by it, or what a ``TableInput`` reads in their place.

    Features are a matrix, or a list of one for each input of the network.
    """

    encoder: TableEncoder | TdEncoder
    features: NDArray[np.float32] | list[NDArray[np.float32]]

    def of(self, chosen: NDArray[Any] | None) -> Any:
        """The features of some of the rows, as the network takes them; None are all, which are not copied."""
        if chosen is None:
            return self.features
        if isinstance(self.features, list):
            return [part[chosen] for part in self.features]
        return self.features[chosen]

    @property
    def n_bytes(self) -> int:
        """The bytes of the features."""
        return sum(part.nbytes for part in (self.features if isinstance(self.features, list) else [self.features]))


class Features:
    """The features of the rows, by encoders fitted on some of them; those that were used last are kept.

    Args:
        rows: All rows.
        parts: The numbers of the rows that an encoder may be fitted on, for each part.
    """

    def __init__(self, rows: TrainingRows, parts: Sequence[NDArray[Any]]) -> None:
        self._rows, self._parts = rows, parts
        self._kept: OrderedDict[tuple[int, EncoderKey], Encoded] = OrderedDict()
        self._locks: dict[tuple[int, EncoderKey], threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, part: int, candidate: Candidate) -> Encoded:
        """The features by a candidate's encoder that was fitted on a part. May be called by several threads."""
        chosen = self._parts[part]
        encoder = self._rows.encoder(candidate, len(chosen))
        key = part, key_of(encoder)
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            codes = self._rows.codes
            fitted = encoder.fit(codes if len(chosen) == len(codes) else codes[chosen])
            made = Encoded(fitted, fitted.transform(codes))
            with self._lock:
                self._kept[key] = made
                self._drop(1, _MOST_BYTES)
        return made

    def rest(self) -> None:
        """Keeps small features alone, since others may not be needed any more; those that are will be made again."""
        with self._lock:
            self._drop(0, _RESTING_BYTES)

    def _drop(self, least: int, most: int) -> None:
        """Drops the features that were not used for longest, but for a number of them, until they take fewer bytes."""
        while len(self._kept) > least and sum(e.n_bytes for e in self._kept.values()) > most:
            self._kept.popitem(last=False)


def key_of(encoder: TableEncoder | TdEncoder) -> EncoderKey:
    """What tells the encoders of one table apart that are fitted on the same rows."""
    if isinstance(encoder, TdEncoder):
        return "realmlp_td"
    if isinstance(encoder, InputEncoder):
        return encoder.reads
    return encoder.n_bins, encoder.dense, encoder.shared


def task_of(target: Target) -> str:
    """"classification" or "regression"."""
    return "regression" if target.labels is None else "classification"


def seed_of(seed: int, number: int, part: int) -> int:
    """The seed of the network of a candidate on a part of the rows."""
    return int(np.random.SeedSequence([seed, number, part]).generate_state(1)[0])


class BestPart(callbacks.Callback):
    """Keeps the outputs for rows to judge by as they are after the best part of a training, the last among equals.

    Args:
        outputs: Gives the outputs of a model.
        loss: Gives their loss.

    Attributes:
        kept: The outputs, None before the end of the first part.
    """

    def __init__(self, outputs: Callable[[Any], NDArray[np.float32]], loss: Callable[[Any], float]) -> None:
        self._outputs, self._loss = outputs, loss
        self._least, self._best, self._parts = math.inf, 0, 0
        self.kept: NDArray[np.float32] | None = None

    def on_epoch_end(self, epoch: int, logs: callbacks.Logs | None = None) -> None:
        """Compares the outputs with the best ones."""
        outputs = self._outputs(self.model)
        loss = self._loss(outputs)
        self._parts = epoch + 1
        if self.kept is None or loss <= self._least:
            self._best, self.kept = self._parts, outputs
            self._least = math.inf if math.isnan(loss) else loss

    @property
    def found(self) -> tuple[int, int]:
        """The best part, counted from 1, and the number of parts."""
        return self._best, self._parts


class LastStep(callbacks.Callback):
    """Ends a fit after a number of steps, and leaves schedules as they are."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_train_batch_end(self, batch: int, logs: callbacks.Logs | None = None) -> None:
        """Ends the fit if this is the last step."""
        if batch + 1 >= self._steps:
            self.model.stop_training = True


def limited(rows: TrainingRows, outputs: NDArray[np.float32], learned: NDArray[Any]) -> NDArray[np.float32]:
    """Predicted numbers within the range of those that were learned from."""
    if rows.target.labels is not None:
        return outputs
    known = rows.y[learned]
    return np.clip(outputs, known.min(), known.max())


def train(
    rows: TrainingRows,
    encoded: Encoded,
    candidate: Candidate,
    seed: int,
    chosen: NDArray[Any] | None = None,
    stop: callbacks.Callback | None = None,
    quantiles: Sequence[float] = (),
    best: BestPart | None = None,
) -> Any:
    """The network of a candidate, or one of quantiles, trained for all its steps on some of the rows; None are all.

    It is a ``Sequential``, or the mean of members that have learned together as a ``Model``. With ``best``, which is
    for the design "realmlp_td", it is trained in parts of equal length, whatever the candidate's ``until`` is.
    """
    encoder = encoded.encoder
    count = len(rows.y) if chosen is None else len(chosen)
    if isinstance(encoder, TdEncoder):
        given = rows.target, candidate, seed, encoder.widths, encoded.of(chosen), quantiles
        model: Any = network_of_rows(*given, rows.is_soft)
    else:
        columns = None if encoder.dense else encoder.columns
        model = network(rows.target, candidate, seed, encoder.dense_width, quantiles, columns, rows.is_soft)
    if candidate.design == "tabm":
        used = slice(None) if chosen is None else chosen
        weights = None if rows.weights is None else rows.weights[used]
        learned = encoded.of(chosen), rows.y[used], weights
        size = min(batch_size(candidate, count), count)
        fit_members(model, *learned, candidate.members, size, candidate.steps, seed, stop)
        return mean_of_members(model, seed)
    if not isinstance(encoder, TdEncoder):
        model.build(encoder.n_features)
    size = min(batch_size(candidate, count), count)
    watching = [one for one in (stop, best) if one is not None]
    if best is None and candidate.until < 1.0:
        watching.append(LastStep(candidate.last_step))
    length = candidate.steps if best is None else -(-candidate.steps // _PARTS)
    model.fit(
        encoded.features,
        rows.y,
        batch_size=size,
        epochs=candidate.steps // length,
        steps_per_epoch=length,
        sample_weight=rows.weights,
        callbacks=watching,
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
        self._encoders: dict[EncoderKey, TableEncoder | TdEncoder] = {}
        self._ratios: list[float] = []

    def seconds(self, candidate: Candidate) -> float:
        """The seconds of one training, the encoding included."""
        return self._counted(candidate) * (statistics.median(self._ratios) if self._ratios else 1.0)

    def learn(self, candidate: Candidate, seconds: float) -> None:
        """Takes the seconds that a training really needed."""
        if candidate.layers:  # the linear model says little about others
            self._ratios.append(seconds / self._counted(candidate))

    def measure(
        self,
        candidate: Candidate,
        together: Callable[[Callable[[], float]], float] = lambda work: work(),
        enough: float = 0.0,
        unsure: float = 0.0,
    ) -> float:
        """Trains some steps on some rows, so that the first forecast is one of this machine.

        Args:
            candidate: The candidate.
            together: Calls a function on as many threads as will train at the same time, and gives the largest result.
                A network alone would be too fast where other programs leave less than a processor for each.
            enough: The seconds that the measured steps take, about, unless the candidate has fewer steps. A short
                measurement ends before a busy machine takes its share.
            unsure: A training that is forecast to take longer than this, in seconds, is measured by more steps.

        Returns:
            The seconds that a training takes beside its steps, which :meth:`seconds` does not contain.
        """
        encoder = self._encoder(candidate)
        begun = time.perf_counter()
        features = encoder.transform(self._rows.codes[self._sample])
        encoding = (time.perf_counter() - begun) / len(self._sample)
        weights = None if self._rows.weights is None else self._rows.weights[self._sample]
        if weights is not None and not weights.any():
            weights = None
        some = replace(self._rows, y=self._rows.y[self._sample], weights=weights)
        size = batch_size(candidate, len(self._rows.y))

        def timed(steps: int) -> float:
            begun = time.perf_counter()
            train(some, Encoded(encoder, features), replace(candidate, steps=steps, batch=size), 0)
            return time.perf_counter() - begun

        warm, steps, step = together(partial(timed, _WARM)), _PILOT, 0.0
        while True:
            seconds = together(partial(timed, _WARM + steps))
            step = max(seconds - warm, 0.2 * seconds) / steps
            if steps >= candidate.steps or steps * step >= _NEARLY * enough or step * candidate.steps <= unsure:
                break
            steps = min(max(int(enough / step), steps + 1), _GROWTH * steps, candidate.steps)
        self._ratios.clear()
        self.learn(candidate, step * candidate.steps + encoding * len(self._rows.y))
        return max(warm - _WARM * step, 0.0)

    def _counted(self, candidate: Candidate) -> float:
        encoder, n = self._encoder(candidate), len(self._rows.y)
        size = min(batch_size(candidate, n), n)
        sizes = [encoder.dense_width, *[candidate.width] * candidate.layers, self.n_outputs]
        weights = [a * b for a, b in itertools.pairwise(sizes)]
        first = size * weights[0]
        if not encoder.dense:
            first = candidate.width * (_CODE * size * encoder.n_features + _SUM * encoder.dense_width)
        members = candidate.members if candidate.design == "tabm" else 1
        products = 3 * members * (first + size * sum(weights[1:]))
        step = products * _PRODUCT + sum(weights) * _WEIGHT + _STEP
        return candidate.last_step * step + _CELL * n * encoder.n_features

    def _encoder(self, candidate: Candidate) -> TableEncoder | TdEncoder:
        """The candidate's encoder for all rows, fitted on the sample."""
        encoder = self._rows.encoder(candidate, len(self._rows.y))
        if (found := self._encoders.get(key_of(encoder))) is None:
            found = self._encoders[key_of(encoder)] = encoder.fit(self._rows.codes[self._sample])
        return found
