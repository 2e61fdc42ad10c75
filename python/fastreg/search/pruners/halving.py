r"""Successive halving, ASHA and Hyperband: pruners that go by rungs (``rungs.py``).

Notation: :math:`R` full budget in epochs, :math:`r` smallest, :math:`\eta` factor, k a rung, n trials.
"""

from __future__ import annotations

from typing import Any

from fastreg.internal.checks import check_bool
from fastreg.search.pruners.asynchronous import Asynchronous
from fastreg.search.pruners.brackets import Bracket, Synchronous
from fastreg.search.pruners.rungs import Engine, Rungs

__all__ = ["ASHA", "Hyperband", "SuccessiveHalving"]


class SuccessiveHalving(Rungs):
    r"""All trials train for :math:`r` epochs, the best :math:`1 / \eta` of them continue to :math:`r \eta`, and so on.

    The rungs are at :math:`r \eta^k` epochs for :math:`k = 0, ..., K - 1` and at :math:`R`, with
    :math:`K = \lfloor \log_\eta (R / r) \rfloor`; :math:`\max(1, \lfloor n_k / \eta \rfloor)` of the
    :math:`n_k` trials of a rung are promoted when the last of them is done (Jamieson and Talwalkar, "Non-stochastic
    best arm identification and hyperparameter optimization", AISTATS 2016). Should all of those diverge or fail later,
    as many of the next best are promoted instead.

    Args:
        min_epochs: :math:`r`, in [1, epochs].
        factor: :math:`\eta`, at least 2.
        asynchronous: Promote whenever a worker is free, as :class:`ASHA` does. No worker waits, but which trials are
            promoted depends on which was done first, so the search is not repeatable (``repeatable`` is False).
        lag: With a strategy that learns, trial t is proposed from what trials 0 to t - lag reached on the first rung.

    Raises:
        ValueError: If an argument is out of range; in ``begin``, if there are no epochs, fewer than ``min_epochs``, or
            no number of trials while the space is infinite.

    Example:
        >>> from fastreg.search import Random, Space, Uniform
        >>> from fastreg.search.pruners.halving import SuccessiveHalving
        >>> from fastreg.search.pruners.trial_schedule import JobOutcome
        >>> strategy, schedule = Random(), SuccessiveHalving(min_epochs=1, factor=3)
        >>> strategy.begin(Space({"x": Uniform(0, 1)}), seed=0, direction="min")
        >>> schedule.begin(strategy, n_trials=9, epochs=9, direction="min", n_folds=1)
        >>> jobs = []
        >>> while (job := schedule.next()) is not None:
        ...     jobs.append((job.start, job.stop))
        ...     schedule.done(job, JobOutcome("ok", job.params["x"], job.stop))
        >>> [(jobs.count(job), job) for job in sorted(set(jobs))]
        [(9, (0, 1)), (3, (1, 3)), (1, (3, 9))]
    """

    def __init__(self, min_epochs: int = 1, factor: int = 3, asynchronous: bool = False, lag: int = 8) -> None:
        super().__init__(min_epochs, factor, lag)
        self.asynchronous = check_bool(type(self).__name__, "asynchronous", asynchronous)
        self.repeatable = not self.asynchronous

    def describe(self) -> dict[str, Any]:
        """The schedule as JSON."""
        return super().describe() | {"type": "SuccessiveHalving", "asynchronous": self.asynchronous}

    def _make_engine(self, epochs: int) -> Engine:
        rungs = [self.min_epochs * self.factor**k for k in range(self._levels(epochs))] + [epochs]
        if self.asynchronous:
            return Asynchronous(self, rungs)
        if self.n_trials is None and self.strategy.space.size is None:
            raise ValueError("SuccessiveHalving: needs n_trials, since a rung of an infinite space is never complete")
        return Synchronous(self, [Bracket(self.n_trials, rungs)])


class ASHA(SuccessiveHalving):
    r"""Asynchronous successive halving (Li et al., "A system for massively parallel hyperparameter tuning", 2020).

    A trial is promoted as soon as it is among the best :math:`\lfloor n_k / \eta \rfloor` of the :math:`n_k` that
    have reached its rung, higher rungs first; if there is none, a worker starts a new trial. Results are not
    repeatable: with several workers, their speed decides which trials are promoted, and a strategy that learns is told
    each result when the trial ends. When there are no more trials and none has reached the full budget, the best of the
    highest rung is promoted.

    Args:
        min_epochs: Epochs of the first rung, in [1, epochs].
        factor: :math:`\eta`, at least 2.

    Raises:
        ValueError: If an argument is out of range; in ``begin``, if there are no epochs or too few.
    """

    def __init__(self, min_epochs: int = 1, factor: int = 3) -> None:
        super().__init__(min_epochs, factor, asynchronous=True)


class Hyperband(Rungs):
    r"""Brackets of successive halving, from many trials at a small budget to few at the full one.

    With :math:`S = \lfloor \log_\eta (R / r) \rfloor`, bracket :math:`s = S, ..., 0` has
    :math:`n_s = \lceil (S + 1) \eta^s / (s + 1) \rceil` trials, which start with :math:`R \eta^{-s}` epochs (rounded)
    and end with :math:`R` (Li et al., "Hyperband", JMLR 2018). ``n_trials``, where given, is shared out in proportion
    to :math:`n_s`, the largest remainders first.

    Args:
        min_epochs: :math:`r`, in [1, epochs]: no trial stops before.
        factor: :math:`\eta`, at least 2.
        lag: As in SuccessiveHalving, within a bracket.

    Raises:
        ValueError: If an argument is out of range; in ``begin``, if there are no epochs or fewer than ``min_epochs``.

    Example:
        >>> from fastreg.search.pruners.halving import Hyperband
        >>> Hyperband(factor=3).brackets(epochs=81)
        [(81, [1, 3, 9, 27, 81]), (34, [3, 9, 27, 81]), (15, [9, 27, 81]), (8, [27, 81]), (5, [81])]
    """

    def __init__(self, min_epochs: int = 1, factor: int = 3, lag: int = 8) -> None:
        super().__init__(min_epochs, factor, lag)

    def brackets(self, epochs: int, n_trials: int | None = None) -> list[tuple[int, list[int]]]:
        """Trials and rungs of each bracket."""
        most, eta = self._levels(epochs), self.factor
        shares = [-(-(most + 1) * eta**s // (s + 1)) for s in range(most, -1, -1)]
        if n_trials is not None:
            shares = _apportioned(n_trials, shares)
        rungs = [[(2 * epochs + eta**k) // (2 * eta**k) for k in range(s, -1, -1)] for s in range(most, -1, -1)]
        return list(zip(shares, rungs, strict=True))

    def _make_engine(self, epochs: int) -> Engine:
        brackets = self.brackets(epochs, self.n_trials)
        self.n_trials = sum(n for n, _ in brackets)
        return Synchronous(self, [Bracket(n, rungs) for n, rungs in brackets if n])


def _apportioned(total: int, weights: list[int]) -> list[int]:
    """Whole shares of a total in proportion to weights: rounded down, then one more for the largest remainders."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares
