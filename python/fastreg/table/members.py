"""Trains the members of a blend again, on all rows. Several are trained at the same time, until the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core, callbacks
from fastreg.runtime import get_matmul_precision, matmul_precision, thread_limit
from fastreg.table.encoder import TableEncoder
from fastreg.table.judging import Verdict, threads_of
from fastreg.table.td_encoder import TdEncoder
from fastreg.table.training import Encoded, Features, Forecast, TrainingRows, limited, seed_of, train

__all__ = ["Member", "Members"]

# The number that stands for all rows in the seed of a network.
_ALL = 2**31 - 1
_LEAST_STEPS = 50
# How often a candidate that ends where it was best is trained at most, until it is as good for its own rows.
_TRIES = 4


@dataclass(frozen=True)
class Member:
    """A candidate that was trained on all rows, with the encoder of its features; its verdict has the steps of that."""

    verdict: Verdict
    model: Any
    encoder: TableEncoder | TdEncoder


class Members:
    """The candidates that were trained on all rows so far.

    Args:
        rows: All rows.
        forecast: How long a candidate will train.
        seed: The seed of the networks.
        jobs: The number of networks that are trained at the same time; -1 means one for each thread of fastreg.
        deadline: The time at which all must be trained; None for none.
        loss: The loss of outputs for all rows, by which candidates are judged.

    Attributes:
        trained: The members by the numbers of the candidates.
    """

    def __init__(
        self,
        rows: TrainingRows,
        forecast: Forecast,
        seed: int,
        jobs: int,
        deadline: float | None,
        loss: Callable[[NDArray[np.float32]], float],
    ) -> None:
        self._rows, self._forecast, self._seed, self._deadline, self._loss = rows, forecast, seed, deadline, loss
        self._workers, self._threads = threads_of(jobs)
        self._precision = get_matmul_precision()
        self._features = Features(rows, [np.arange(len(rows.y))])
        self._stop = callbacks.StopSignal()
        self._diverged: set[int] = set()
        self.trained: dict[int, Member] = {}

    def train(self, order: Sequence[Verdict]) -> None:
        """Trains those that are not trained yet, in order. The very first gets fewer steps if it takes too long.

        Raises:
            ValueError: If there is no member then, since all diverged.
        """
        waiting: dict[Future[Member], int] = {}
        queue = [verdict for verdict in order if verdict.number not in {*self.trained, *self._diverged}]
        with ThreadPoolExecutor(self._workers, thread_name_prefix="fastreg-recipe") as pool:
            try:
                while queue or waiting:
                    while queue and len(waiting) < self._workers:
                        is_first = not self.trained and not waiting
                        given = self._in_time(queue.pop(0), is_first)
                        if given is not None:
                            waiting[pool.submit(self._work, given)] = given.number
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        number = waiting.pop(future)
                        try:
                            self.trained[number] = future.result()
                        except _core.DivergenceError:
                            self._diverged.add(number)  # on these rows; the others remain
            except BaseException:
                self._stop.set()
                raise
        if not self.trained:
            raise ValueError("no member of the blend could be trained on all rows: all diverged")

    def _work(self, verdict: Verdict) -> Member:
        with thread_limit(self._threads), matmul_precision(self._precision):
            encoded = self._features.get(0, verdict.candidate)
            if not verdict.candidate.keeps_best:
                return Member(verdict, self._trained(verdict, encoded, 0), encoded.encoder)
            return Member(verdict, self._as_good(verdict, encoded), encoded.encoder)

    def _trained(self, verdict: Verdict, encoded: Encoded, number: int) -> Any:
        """The network of a try, counted from 0; each try has a seed of its own."""
        own = seed_of(self._seed, verdict.number, _ALL - number)
        return train(self._rows, encoded, verdict.candidate, own, stop=self._stop)

    def _as_good(self, verdict: Verdict, encoded: Encoded) -> Any:
        """The first network that is as good for its own rows as the judged ones were for others, or else the best one.

        The training ends where the judged networks were best, often amid a wave of the learning rate, when the loss
        goes up and down: another network may be far worse there, which no row held out would tell.
        """
        everything = np.arange(len(self._rows.y))
        features, best, least = encoded.of(None), None, np.inf
        for number in range(_TRIES):
            begun = time.monotonic()
            model = self._trained(verdict, encoded, number)
            loss = self._loss(limited(self._rows, model.predict(features, verbose=0), everything))
            if best is None or loss < least:
                best, least = model, loss
            ended = time.monotonic()
            late = self._deadline is not None and 2.0 * ended - begun > self._deadline
            if least <= verdict.loss or late or self._stop.is_set:
                break
        return best

    def _in_time(self, verdict: Verdict, is_first: bool) -> Verdict | None:
        """The candidate, with fewer steps if it is the first and takes too long; None if another has to be left out."""
        if self._deadline is None:
            return verdict
        left = self._deadline - time.monotonic()
        needed = max(self._forecast.seconds(verdict.candidate), max(verdict.seconds))
        if needed <= left:
            return verdict
        if not is_first:
            return None
        steps = max(int(verdict.candidate.steps * max(left, 0.0) / needed), _LEAST_STEPS)
        return replace(verdict, candidate=replace(verdict.candidate, steps=min(steps, verdict.candidate.steps)))
