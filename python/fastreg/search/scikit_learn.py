"""``GridSearchCV`` and ``RandomizedSearchCV``: ``GridSearch`` and ``RandomSearch`` with scikit-learn's arguments.

Only the names, the order and the defaults of the arguments differ, and the order of the points of a grid.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from fastreg.search.base import Search
from fastreg.search.options import ModelT, SearchOptions
from fastreg.search.parameters import renamed
from fastreg.search.search import GridSearch, RandomSearch

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastreg.search.options import Build, OwnArguments

__all__ = ["GridSearchCV", "RandomizedSearchCV"]

_S = TypeVar("_S", bound="Search[Any]")

# The names in fastreg's searches of what scikit-learn calls otherwise.
_OTHERWISE = ("build", "space", "n_trials", "estimator", "param_grid", "param_distributions")


def _complete_signature(cls: type[_S]) -> type[_S]:
    """Lists the arguments of ``**options`` in the signature, behind scikit-learn's."""
    own = inspect.signature(cls.__init__).parameters
    shared = inspect.signature(Search.__init__).parameters
    known = (*own, *_OTHERWISE, *(("seed",) if "random_state" in own else ()))
    all_of_them = dict(own) | {name: shared[name] for name in shared if name not in known}
    del all_of_them["options"], all_of_them["self"]
    cls.__signature__ = inspect.Signature(list(all_of_them.values()))  # type: ignore[attr-defined]
    return cls


def _by_name(space: Any) -> Any:
    """A grid whose parameters are in the order of their names; anything else as it is."""
    if isinstance(space, Mapping):
        return dict(sorted(space.items(), key=lambda item: str(item[0])))
    return [_by_name(item) for item in space] if isinstance(space, (list, tuple)) else space


@_complete_signature
class GridSearchCV(GridSearch[ModelT]):
    """:class:`~fastreg.search.GridSearch` with scikit-learn's names and order of arguments.

    Args:
        estimator: A compiled model, a function ``build(params)`` that returns one, or an estimator.
        param_grid: A dict from names to lists of values, or a list of such dicts. As in scikit-learn, the points are in
            the order of a grid whose names are sorted.
        scoring: See :class:`~fastreg.search.Search`.
        n_jobs: The number of folds that run at the same time; None, the default, and -1 are all processors. The results
            do not depend on it.
        refit: True, False, the name of a metric, or a function of ``cv_results_``.
        cv: Number of folds, or a splitter; None is 5. Unlike scikit-learn's, the folds of a number are shuffled by
            ``seed``.
        verbose: 0, the default, shows nothing, and 1 shows a line on standard error.
        pre_dispatch: Has no effect and is accepted because scikit-learn has it.
        error_score: See :class:`~fastreg.search.Search`.
        return_train_score: Whether to score the training rows, too.
        **options: The other arguments of :class:`~fastreg.search.Search`, such as ``seed`` and ``journal``.

    Example:
        >>> import numpy as np
        >>> import fastreg as fr
        >>> from fastreg.search import GridSearchCV
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> y = x[:, 0] > 0
        >>> model = fr.Sequential([fr.layers.Dense(8, "relu"), fr.layers.Dense(1, "sigmoid")])
        >>> model.compile("adam", "binary_crossentropy", ["accuracy"])
        >>> param_grid = {"learning_rate": [1e-2, 1e-6], "batch_size": [8, 32]}
        >>> grid = GridSearchCV(estimator=model, param_grid=param_grid, cv=3, seed=0)
        >>> grid.fit(x, y, epochs=20).best_params_
        {'batch_size': 8, 'learning_rate': 0.01}
        >>> grid.cv_results_["mean_test_score"].shape
        (4,)
    """

    def __init__(
        self,
        estimator: Build[ModelT],
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: float | str = math.nan,
        return_train_score: bool = False,
        **options: Unpack[OwnArguments],
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
            **options,
        )
        self.pre_dispatch = pre_dispatch

    def _options(self) -> SearchOptions:
        options = super()._options()
        return replace(options, space=_by_name(options.space))


@_complete_signature
class RandomizedSearchCV(RandomSearch[ModelT]):
    """:class:`~fastreg.search.RandomSearch` with scikit-learn's names and order of arguments.

    Args:
        estimator: A compiled model, a function ``build(params)`` that returns one, or an estimator.
        param_distributions: A dict from names to distributions, of fastreg or of SciPy, and lists; or a list of such
            dicts. A point is tried at most once.
        n_iter: The largest number of trials, by default 10.
        scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score: As for
            :class:`GridSearchCV`.
        random_state: The seed of folds, points and models, an int in [0, 2**64); None draws one.
        **options: The other arguments of :class:`~fastreg.search.Search`, such as ``journal``.

    Example:
        >>> from fastreg.search import RandomizedSearchCV, Uniform
        >>> search = RandomizedSearchCV(len, {"dropout": Uniform(0, 0.5)}, n_iter=16, random_state=0)
        >>> search.get_params()["n_iter"], search.n_trials, search.seed
        (16, 16, 0)
    """

    n_iter: int = renamed("n_trials")
    random_state: int | None = renamed("seed")

    def __init__(
        self,
        estimator: Build[ModelT],
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: int | None = None,
        error_score: float | str = math.nan,
        return_train_score: bool = False,
        **options: Unpack[OwnArguments],
    ) -> None:
        if "seed" in options:
            raise TypeError("RandomizedSearchCV: the seed is given as random_state, got seed")
        options["seed"] = random_state
        super().__init__(
            estimator,
            param_distributions,
            n_trials=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
            **options,
        )
        self.pre_dispatch = pre_dispatch
