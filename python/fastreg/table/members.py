"""Trains the members of a blend again, on all rows. Several are trained at the same time, until the time is over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastreg import _core, callbacks
from fastreg.runtime import get_matmul_precision, matmul_precision, thread_limit
from fastreg.table.judging import Verdict, threads_of
from fastreg.table.training import Encoded, Features, Forecast, TrainingRows, seed_of, train

__all__ = ["Member", "Members"]

# The number that stands for all rows in the seed of a network.
_ALL = 2**31 - 1
_LEAST_STEPS = 50


@dataclass(frozen=True)
class Member:
    """A candidate that was trained on all rows; its verdict has the steps of that."""

    verdict: Verdict
    model: Any
    encoded: Encoded


class Members:
    """The candidates that were trained on all rows so far.

    Args:
        rows: All rows.
        forecast: How long a candidate will train.
        seed: The seed of the networks.
        jobs: The number of networks that are trained at the same time; -1 means one for each thread of fastreg.
        deadline: The time at which all must be trained; None for none.

    Attributes:
        trained: The members by the numbers of the candidates.
    """

    def __init__(self, rows: TrainingRows, forecast: Forecast, seed: int, jobs: int, deadline: float | None) -> None:
        self._rows, self._forecast, self._seed, self._deadline = rows, forecast, seed, deadline
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
            own = seed_of(self._seed, verdict.number, _ALL)
            return Member(verdict, train(self._rows, encoded, verdict.candidate, own, stop=self._stop), encoded)

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
