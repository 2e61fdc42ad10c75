"""The searches: ``GridSearch``, ``RandomSearch``, ``QuasiRandomSearch``, ``BayesianSearch``.

They differ in the strategy alone, which proposes the points; the rest is ``base.py``'s.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from fastreg.internal.checks import check_choice
from fastreg.search.base import Search
from fastreg.search.options import ModelT
from fastreg.search.parameters import GIVEN
from fastreg.search.strategy.strategies import Grid, QuasiRandom, Random, Strategy

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastreg.search.options import Build, SearchArguments

__all__ = ["BayesianSearch", "GridSearch", "QuasiRandomSearch", "RandomSearch", "Search"]

_S = TypeVar("_S", bound="Search[Any]")


def _complete_signature(cls: type[_S]) -> type[_S]:
    """Lists the arguments of ``**options`` in the signature."""
    own = inspect.signature(cls.__init__).parameters
    all_of_them = dict(inspect.signature(Search.__init__).parameters) | own
    del all_of_them["options"], all_of_them["self"]
    order = {"build": 0, "space": 1}
    arranged = sorted(all_of_them.values(), key=lambda p: order.get(p.name, 2 + (p.name not in own)))
    cls.__signature__ = inspect.Signature(arranged)  # type: ignore[attr-defined]
    return cls


@_complete_signature
class GridSearch(Search[ModelT]):
    """Every point of a grid, in order.

    Args:
        build: A compiled model, a function that returns one, or an estimator; see :class:`Search`.
        space: A dict from names to lists of values, or a list of such dicts. An :class:`~fastreg.search.Integer` counts
            as the list of its values; a continuous distribution is a ValueError.
        n_trials: The number of points to try, from the first on; None, the default, is all.
        **options: The other arguments of :class:`Search`.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import GridSearch
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> y = x[:, 0] > 0
        >>> def build(params):
        ...     model = fr.Sequential([fr.layers.Dense(params["units"], "relu"), fr.layers.Dense(1, "sigmoid")])
        ...     model.compile(fr.optimizers.Adam(params["lr"]), "binary_crossentropy", ["accuracy"])
        ...     return model
        >>> search = GridSearch(build, {"lr": [1e-2, 1e-6], "units": [4, 8]}, cv=3, seed=0, verbose=0)
        >>> search.fit(x, y, epochs=20).best_params_["lr"]
        0.01
        >>> search.results_["mean_test_score"].shape
        (4,)
    """

    def __init__(
        self,
        build: Build[ModelT] = GIVEN,
        space: Any = GIVEN,
        *,
        n_trials: int | None = None,
        **options: Unpack[SearchArguments],
    ) -> None:
        super().__init__(build, space, n_trials=n_trials, **options)

    def _strategy(self) -> Strategy:
        return Grid()


@_complete_signature
class RandomSearch(Search[ModelT]):
    """Points drawn at random. Trial t depends on the seed and t alone, so a longer search begins like a shorter one.

    Args:
        build: A compiled model, a function that returns one, or an estimator; see :class:`Search`.
        space: A dict from names to distributions, lists or constants; see :class:`Search`.
        n_trials: The largest number of trials, by default 64.
        **options: The other arguments of :class:`Search`.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import Integer, LogUniform, RandomSearch
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> y = x @ [1.0, -2.0, 0.0, 0.5]
        >>> def build(params):
        ...     model = fr.Sequential([fr.layers.Dense(params["units"], "relu"), fr.layers.Dense(1)])
        ...     model.compile(fr.optimizers.Adam(params["lr"]), "mse")
        ...     return model
        >>> space = {"lr": LogUniform(1e-3, 1e-1), "units": Integer(4, 32)}
        >>> search = RandomSearch(build, space, n_trials=8, cv=3, seed=0, verbose=0).fit(x, y, epochs=20)
        >>> search.metric_, search.direction_, search.best_score_ < 1
        ('loss', 'min', True)
        >>> search.predict(x).shape
        (120, 1)
    """

    def __init__(
        self,
        build: Build[ModelT] = GIVEN,
        space: Any = GIVEN,
        *,
        n_trials: int | None = 64,
        **options: Unpack[SearchArguments],
    ) -> None:
        super().__init__(build, space, n_trials=n_trials, **options)

    def _strategy(self) -> Strategy:
        return Random()


@_complete_signature
class QuasiRandomSearch(Search[ModelT]):
    """Points of a sequence that covers the space more evenly than random points do. Needs scipy.

    Args:
        build: A compiled model, a function that returns one, or an estimator; see :class:`Search`.
        space: A dict from names to distributions, lists or constants; see :class:`Search`.
        n_trials: The largest number of trials, by default 64. For Sobol's sequence a power of 2 is best.
        sequence: ``"sobol"`` or ``"halton"``, scrambled by the seed.
        **options: The other arguments of :class:`Search`.

    Example:
        >>> from fastreg.search import QuasiRandomSearch, Uniform
        >>> QuasiRandomSearch(len, {"dropout": Uniform(0, 0.5)}, n_trials=16).sequence
        'sobol'
    """

    def __init__(
        self,
        build: Build[ModelT] = GIVEN,
        space: Any = GIVEN,
        *,
        n_trials: int | None = 64,
        sequence: str = "sobol",
        **options: Unpack[SearchArguments],
    ) -> None:
        super().__init__(build, space, n_trials=n_trials, **options)
        self.sequence = sequence

    def _strategy(self) -> Strategy:
        return QuasiRandom(check_choice("QuasiRandomSearch", "sequence", self.sequence, ("sobol", "halton")))


@_complete_signature
class BayesianSearch(Search[ModelT]):
    """Points that a model of the scores finds promising. Needs Optuna (extra ``bayesian``).

    Trial t is proposed from the results of the trials up to t - 8 (8 is the lag of the pruner, and of
    :class:`~fastreg.search.FullBudget` without one), so that the trials do not depend on the number of workers.

    Args:
        build: A compiled model, a function that returns one, or an estimator; see :class:`Search`.
        space: A dict from names to distributions, lists or constants; see :class:`Search`.
        n_trials: The largest number of trials, by default 64.
        sampler: ``"tpe"``, ``"gp"`` (which also needs PyTorch), ``"cmaes"``, or a function from a seed to one of
            Optuna's samplers.
        n_startup_trials: The number of random trials at the beginning, by default 10.
        **options: The other arguments of :class:`Search`.

    Example:
        >>> from fastreg.search import BayesianSearch, Uniform
        >>> BayesianSearch(len, {"dropout": Uniform(0, 0.5)}, n_trials=32).sampler
        'tpe'
    """

    def __init__(
        self,
        build: Build[ModelT] = GIVEN,
        space: Any = GIVEN,
        *,
        n_trials: int | None = 64,
        sampler: Any = "tpe",
        n_startup_trials: int = 10,
        **options: Unpack[SearchArguments],
    ) -> None:
        super().__init__(build, space, n_trials=n_trials, **options)
        self.sampler = sampler
        self.n_startup_trials = n_startup_trials

    def _strategy(self) -> Strategy:
        from fastreg.search.strategy.bayesian import Bayesian

        return Bayesian(self.sampler, n_startup_trials=self.n_startup_trials)
