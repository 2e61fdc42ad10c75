"""Makes models from parameters: the result of ``build(params)``, or a copy of an estimator, new at every call.

Training changes a model, so a model that ``build`` returned twice would carry what it has learnt from one fold or trial
to the next. This is refused, in any thread or process. This module knows nothing of data, folds and scores.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from typing import Any

from fastreg.model.model import Model
from fastreg.utils.seeds import of_thread, seeds_from

__all__ = ["claim", "fold_seed", "is_estimator", "make_model", "new_model", "own_values"]

_MASK = 2**64 - 1

# Types of parameters that no model can change.
_UNCHANGING = frozenset((bool, int, float, str, type(None)))

# Models that were handed out in this process and are still alive, by id.
_claimed: dict[int, weakref.ref[Any]] = {}


def fold_seed(seed: int, trial: int, fold: int) -> int:
    """The seed of the model of a fold: a hash of the three numbers (SplitMix64), in [0, 2**64)."""
    state = seed
    for word in (trial, fold):
        state = (state + 0x9E3779B97F4A7C15 * (word + 1)) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def make_model(build: Any, params: Mapping[str, Any], seed: int) -> tuple[Any, dict[str, Any]]:
    """A model with these parameters, and the arguments of ``fit`` that belong to it.

    Args:
        build: ``build(params)``, which may return ``(model, fit_arguments)``; or an estimator, which is copied.
        params: The parameters.
        seed: The seed of a ``Sequential`` that has none, and of an estimator whose ``random_state`` is None.
    """
    if is_estimator(build):
        return _seeded(_copy_of(build, params), seed), {}
    before = of_thread.seeds
    try:
        of_thread.seeds = seeds_from(seed)
        made = build(own_values(params))
    finally:
        of_thread.seeds = before
    model, arguments = made if type(made) is tuple and len(made) == 2 and isinstance(made[1], Mapping) else (made, {})
    return (model if isinstance(model, Model) else _seeded(model, seed)), dict(arguments)


def new_model(build: Any, params: Mapping[str, Any], seed: int) -> tuple[Any, dict[str, Any]]:
    """Like :func:`make_model`, but also claims a model that a function returned.

    Copies of an estimator need no claim.
    """
    model, arguments = make_model(build, params, seed)
    if not is_estimator(build):
        claim(model)
    return model, arguments


def own_values(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for one model: containers, models and estimators among them are copies, which no other model has."""
    return {name: value if type(value) in _UNCHANGING else _own(value) for name, value in params.items()}


def _own(value: Any) -> Any:
    kind = type(value)
    if kind in _UNCHANGING:
        return value
    if kind is list or kind is tuple or kind is set:
        return kind(map(_own, value))
    if kind is dict:
        return {key: _own(item) for key, item in value.items()}
    if isinstance(value, Model):
        return copy.deepcopy(value)
    return _not_fitted(value) if is_estimator(value) else value


def claim(model: Any, before: Any = None) -> None:
    """Records that a model which ``build`` returned is in use. It takes no lock, which a forked process could inherit.

    Args:
        model: The model.
        before: The model that ``build`` returned before, if it is known; else None.

    Raises:
        TypeError: If the model was in use before, by another fold, another trial or another search of this process.
    """
    if model is before:
        raise _same_again(model)
    key = id(model)
    try:
        mine = weakref.ref(model, lambda dead: _forget(key, dead))
    except TypeError:  # a class whose instances cannot be referred to weakly
        return
    found = _claimed.setdefault(key, mine)
    if found is not mine:
        if found() is model:
            raise _same_again(model)
        _claimed[key] = mine


def _same_again(model: Any) -> TypeError:
    return TypeError(
        f"build: must return a new model at every call, got the same {type(model).__name__} again; what one fold or "
        "trial trains must not be handed to the next"
    )


def _forget(key: int, dead: weakref.ref[Any]) -> None:
    if _claimed.get(key) is dead:
        del _claimed[key]


def is_estimator(thing: object) -> bool:
    """Whether it is an estimator, not a function or class that makes models."""
    return not isinstance(thing, type) and hasattr(thing, "fit") and hasattr(thing, "set_params")


def _copy_of(estimator: Any, params: Mapping[str, Any]) -> Any:
    if not hasattr(estimator, "__sklearn_clone__"):
        made = copy.deepcopy(estimator)
        made.set_params(**own_values(params))
        return made
    from sklearn.base import clone

    return clone(estimator).set_params(**{name: clone(value, safe=False) for name, value in params.items()})


def _not_fitted(estimator: Any) -> Any:
    """A copy. A copy of one of scikit-learn's estimators is not fitted."""
    return _copy_of(estimator, {}) if hasattr(estimator, "__sklearn_clone__") else copy.deepcopy(estimator)


def _seeded(model: Any, seed: int) -> Any:
    """Gives a seed to an estimator, and to those within it, if they have none."""
    if hasattr(model, "get_params") and hasattr(model, "set_params"):
        known = model.get_params()
        empty = sorted(name for name, value in known.items() if value is None and name.endswith("random_state"))
        unseeded = [name for name in empty if name == "random_state" or name.endswith("__random_state")]
        if unseeded:
            model.set_params(**{name: fold_seed(seed, i, 0) % 2**32 for i, name in enumerate(unseeded)})
    elif getattr(model, "random_state", 0) is None:
        model.random_state = seed % 2**32
    return model
