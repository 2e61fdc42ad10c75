"""The arguments that all searches share, for type checkers; :class:`fastreg.search.Search` says what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from fastreg.internal.whole_files import FilePath

__all__ = ["ModelT", "Options"]

# What `build` makes, so that a type checker knows what `best_model_` is: a Sequential where nothing else is said.
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from typing_extensions import TypeVar

    from fastreg.model.sequential import Sequential

    ModelT = TypeVar("ModelT", default=Sequential)
    Build: TypeAlias = Callable[[Any], tuple[ModelT, Mapping[str, Any]] | ModelT] | ModelT
else:
    from typing import TypeVar

    ModelT = TypeVar("ModelT")


class Options(TypedDict, total=False):
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
