"""The arguments of a search: a record of them for ``fit``, and their types for type checkers.

:class:`fastreg.search.Search` documents them; ``plan.py`` checks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from fastreg.internal.whole_files import FilePath
from fastreg.search.strategy.strategies import Strategy

__all__ = ["ModelT", "SearchArguments", "SearchOptions"]

# What `build` makes, so that a type checker knows what `best_model_` is: a Sequential where nothing else is said.
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from typing_extensions import TypeVar

    from fastreg.model.sequential import Sequential

    ModelT = TypeVar("ModelT", default=Sequential)
    Build: TypeAlias = Callable[[Any], tuple[ModelT, Mapping[str, Any]] | ModelT] | ModelT
else:
    from typing import TypeVar

    ModelT = TypeVar("ModelT")


class SearchArguments(TypedDict, total=False):
    """Keyword arguments of :class:`fastreg.search.Search` besides ``n_trials``."""

    cv: Any
    scoring: Any
    refit: bool | str
    n_jobs: int
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
    return_train_score: bool
    keep_models: bool
    verbose: int


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
    refit: bool | str
    n_jobs: int
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
    return_train_score: bool
    keep_models: bool
    verbose: int
    spreads_known: bool = False
