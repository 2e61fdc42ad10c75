"""Strategies choose the point of the space for each trial (ask and tell). They are deterministic and use no clock.

A proposal is a function of the space, the seed, the number of the trial, the earlier proposals and, if the strategy is
adaptive, the results that it was told. No point is proposed twice. When all points have been proposed, the space is
exhausted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np

from fastreg.internal.checks import NON_NEGATIVE, SEED_LIMIT, check_bool, check_choice, check_int
from fastreg.internal.extras import needs
from fastreg.search.space.space import TRIES, Params, Space, params_key

__all__ = ["Grid", "QuasiRandom", "Random", "Strategy"]

Direction = Literal["max", "min"]

# Points of a finite space that are enumerated when draws find no new one.
_MOST_ENUMERATED = 1_000_000
# The number of points that a sequence generates at a time. It is a power of two because of the balance of Sobol's.
_BLOCK = 256


class Strategy:
    """Base of the strategies. A strategy proposes the parameters of trials 0, 1, 2, ... and is told their results.

    A subclass defines ``_propose`` and, if it is adaptive, ``_learn``. If a strategy is told the result of a point that
    it did not propose, the point counts as proposed, so that a resumed search does not run it again.
    """

    #: Whether proposals depend on what was told.
    adaptive: ClassVar[bool] = False

    def begin(self, space: Space, seed: int, direction: Direction, initial: Sequence[Params] = ()) -> None:
        """Starts or restarts the strategy. It must be called before the first ``ask``.

        Args:
            space: The space.
            seed: The seed of all random choices.
            direction: ``"max"`` or ``"min"``, the direction of better scores.
            initial: Points of the space to propose first, each once and unless it was told already.

        Raises:
            ValueError: If the seed is negative or has more than 64 bits, or the space does not suit the strategy.
        """
        owner = type(self).__name__
        self.space = space
        self.seed = check_int(owner, "seed", seed, NON_NEGATIVE, SEED_LIMIT)
        self.direction = check_choice(owner, "direction", direction, ("max", "min"))
        self._proposed: set[Hashable] = set()
        self._initial = {params_key(params): dict(params) for params in initial}
        self._begin()

    def ask(self, number: int) -> Params | None:
        """The parameters of a trial, numbers ascending; None: every point that the constraint allows was proposed.

        Raises:
            ValueError: If the constraint refuses all that is drawn.
        """
        params = self._initial.pop(next(iter(self._initial))) if self._initial else self._propose(number)
        if params is not None and self.space.may_repeat:
            self._proposed.add(params_key(params))
        return params

    def tell(self, number: int, params: Params, score: float | None, state: str, budget: int | None) -> None:
        """Tells the strategy the result of a trial. Calls are in the order of trials.

        Args:
            number: The number of the trial.
            params: Its parameters. If they were not proposed, they are of use only if they are a point of the space.
            score: Its score in its natural direction; None if it has none.
            state: ``"ok"`` at full budget; ``"pruned"`` below it, after which the trial may be told again at a larger
                budget; ``"diverged"``; ``"unscored"``; ``"failed"``.
            budget: The number of epochs trained; None if the estimator decides.
        """
        if self._initial:
            self._initial.pop(params_key(params), None)
        if self.space.may_repeat:
            key = params_key(params)
            if key not in self._proposed and self.space.locate(params) is not None:
                self._proposed.add(key)
        if self.adaptive:
            self._learn(number, params, score, state, budget)

    def describe(self) -> dict[str, Any]:
        """The strategy as JSON."""
        return {"type": type(self).__name__}

    def _begin(self) -> None:
        """Prepares for the first proposal."""

    def _propose(self, number: int) -> Params | None:
        raise NotImplementedError

    def _learn(self, number: int, params: Params, score: float | None, state: str, budget: int | None) -> None:
        raise NotImplementedError

    def _first_new(self, draw: Callable[[], Params]) -> Params | None:
        """The first draw that is allowed and new. Once 1000 draws are not, the points left of a finite space decide."""
        space, proposed = self.space, self._proposed
        if space.constraint is None and space.size is not None and len(proposed) >= space.size:
            return None
        refused = 0
        for _ in range(TRIES):
            params = draw()
            if not space.allows(params):
                refused += 1
            elif not space.may_repeat or params_key(params) not in proposed:
                return params
        if space.size is not None and space.size <= _MOST_ENUMERATED:
            left = next((params for params in space.grid() if params_key(params) not in proposed), None)
            if left is not None or proposed:
                return left
            raise ValueError(f"Space: constraint refuses every point of {space!r}")
        if refused == TRIES:
            raise space.refused()
        return None


class Grid(Strategy):
    """Every point of a finite space once, the last parameter changing fastest.

    Example:
        >>> from fastreg.search import Integer, Space
        >>> from fastreg.search.strategy.strategies import Grid
        >>> strategy = Grid()
        >>> strategy.begin(Space({"units": Integer(1, 2), "l2": [0.0, 0.1]}), seed=0, direction="min")
        >>> [strategy.ask(number) for number in range(5)]  # doctest: +NORMALIZE_WHITESPACE
        [{'units': 1, 'l2': 0.0}, {'units': 1, 'l2': 0.1}, {'units': 2, 'l2': 0.0}, {'units': 2, 'l2': 0.1}, None]
    """

    def _begin(self) -> None:
        self._taken = 0
        self._points: Iterator[Params] | None = self.space.grid()

    def _propose(self, number: int) -> Params | None:
        if self._points is None:
            self._points = islice(self.space.grid(), self._taken, None)
        for params in self._points:
            self._taken += 1
            if params_key(params) not in self._proposed:
                return params
        if self._taken == 0:
            raise ValueError(f"Space: constraint refuses every point of {self.space!r}")
        return None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_points": None}  # a generator has no copy; _taken finds the place again


class Random(Strategy):
    """Independent draws (Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 2012).

    Trial t draws from a Philox generator with key (seed, 0) and counter (0, t, 0, 0), so it depends on no other trial,
    but for points that were proposed already and are drawn again.

    Example:
        >>> from fastreg.search import Space, Uniform
        >>> from fastreg.search.strategy.strategies import Random
        >>> strategy = Random()
        >>> strategy.begin(Space({"dropout": Uniform(0, 0.5)}), seed=0, direction="min")
        >>> a = strategy.ask(7)
        >>> strategy.begin(Space({"dropout": Uniform(0, 0.5)}), seed=0, direction="min")
        >>> strategy.ask(7) == a
        True
    """

    def _begin(self) -> None:
        self._rng = TrialGenerator(self.seed)

    def _propose(self, number: int) -> Params | None:
        rng = self._rng.of(number)
        return self._first_new(lambda: self.space.draw(rng))


class TrialGenerator:
    """Random numbers of a trial: a Philox generator that is moved to the trial's stream, faster than a new one.

    Args:
        seed: In [0, 2**64).
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(key=seed)
        self._generator = np.random.Generator(self._bits)
        self._start = self._bits.state

    def of(self, number: int, attempt: int = 0) -> np.random.Generator:
        """The generator at the start of a trial's numbers; it is the same object each time."""
        counter = self._start["state"]["counter"]
        counter[1], counter[2] = number, attempt
        self._bits.state = self._start
        return self._generator

    def seed_of(self, number: int, attempt: int = 0) -> int:
        """A 32-bit seed for an object that has its own generator."""
        return int(self.of(number, attempt).integers(2**32))


class QuasiRandom(Strategy):
    """Points of a scrambled low-discrepancy sequence: they cover the space more evenly than random ones.

    Needs SciPy (the extra ``bayesian`` has it). Each number of a point is one dimension, in use or not.

    Args:
        sequence: ``"sobol"`` (Sobol 1967, scrambled after Owen 1998) or ``"halton"`` (Halton 1960, scrambled after
            Owen 2017).
        scramble: False gives the plain sequence, whatever the seed.

    Raises:
        ImportError: In ``begin``, if SciPy is not installed.

    Example:
        >>> from fastreg.search import Space, Uniform
        >>> from fastreg.search.strategy.strategies import QuasiRandom
        >>> strategy = QuasiRandom("halton", scramble=False)
        >>> strategy.begin(Space({"dropout": Uniform(0, 0.5)}), seed=0, direction="min")
        >>> [strategy.ask(number) for number in range(3)]
        [{'dropout': 0.0}, {'dropout': 0.25}, {'dropout': 0.125}]
    """

    def __init__(self, sequence: str = "sobol", scramble: bool = True) -> None:
        self.sequence = check_choice("QuasiRandom", "sequence", sequence, ("sobol", "halton"))
        self.scramble = check_bool("QuasiRandom", "scramble", scramble)

    def describe(self) -> dict[str, Any]:
        """The strategy as JSON."""
        return super().describe() | {"sequence": self.sequence, "scramble": self.scramble}

    def _begin(self) -> None:
        try:
            from scipy.stats import qmc  # type: ignore[import-untyped, unused-ignore]
        except ImportError as error:
            raise ImportError(needs("QuasiRandom", "bayesian", "scipy")) from error
        engine = qmc.Sobol if self.sequence == "sobol" else qmc.Halton
        dimensions = max(1, len(self.space.leaves))
        if self.sequence == "sobol" and dimensions > engine.MAXDIM:
            raise ValueError(f"QuasiRandom: sobol has at most {engine.MAXDIM} dimensions, got {dimensions}")
        self._engine = engine(dimensions, scramble=self.scramble, seed=np.random.default_rng(self.seed))
        self._block: list[list[float]] = []

    def _propose(self, number: int) -> Params | None:
        return self._first_new(self._next)

    def _next(self) -> Params:
        if not self._block:
            self._block = self._engine.random(_BLOCK).tolist()[::-1]
        return self.space.at(self._block.pop())
