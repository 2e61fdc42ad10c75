"""The arguments of a search: a record of them for ``fit``, and their types for type checkers.

:class:`fastreg.search.Search` documents them; ``plan.py`` checks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from fastreg.internal.whole_files import FilePath
from fastreg.search.strategy.strategies import Strategy

__all__ = ["ModelT", "OwnArguments", "SearchArguments", "SearchOptions"]

# The type that `build` returns, which tells a type checker the type of `best_model_`. The default is Sequential.
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from typing_extensions import TypeVar

    from fastreg.model.sequential import Sequential

    ModelT = TypeVar("ModelT", default=Sequential)
    Build: TypeAlias = Callable[[Any], tuple[ModelT, Mapping[str, Any]] | ModelT] | ModelT
else:
    from typing import TypeVar

    ModelT = TypeVar("ModelT")


class OwnArguments(TypedDict, total=False):
    """Keyword arguments of :class:`fastreg.search.Search` that scikit-learn's searches do not have."""

    executor: Any
    pruner: Any
    early_stopping_on: str
    preprocess: Any
    constraint: Any
    seed: int | None
    journal: FilePath | None
    resume: bool
    time_limit: float | None
    target_score: float | None
    max_failures: int | None
    initial: Sequence[Mapping[str, Any]] | None
    keep_models: bool


class SearchArguments(OwnArguments, total=False):
    """Keyword arguments of :class:`fastreg.search.Search` besides ``n_trials``."""

    cv: Any
    scoring: Any
    refit: Any
    n_jobs: int | None
    error_score: float | str
    return_train_score: bool
    verbose: int
    estimator: Any
    param_grid: Any
    param_distributions: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchOptions:
    """The arguments of a search at the beginning of its ``fit``.

    Attributes:
        make_strategy: A function that makes the strategy.
        spreads_known: Whether the warning about the spreads of the features has already been given.
    """

    build: Any
    space: Any
    make_strategy: Callable[[], Strategy]
    n_trials: int | None
    cv: Any
    scoring: Any
    refit: Any
    n_jobs: int | None
    executor: Any
    pruner: Any
    early_stopping_on: str
    preprocess: Any
    constraint: Any
    seed: int | None
    journal: FilePath | None
    resume: bool
    time_limit: float | None
    target_score: float | None
    max_failures: int | None
    error_score: float | str
    initial: Sequence[Mapping[str, Any]] | None
    return_train_score: bool
    keep_models: bool
    verbose: int
    spreads_known: bool = False

    @property
    def failures(self) -> tuple[int | None, bool]:
        """The number of failed trials that are tolerated, and whether the first one is raised."""
        return (None, True) if self.error_score == "raise" else (self.max_failures, False)

    @property
    def workers(self) -> int:
        """``n_jobs``, of which None is all processors, as -1."""
        return -1 if self.n_jobs is None else self.n_jobs
