"""Helpers that Keras has for programs of dense layers: one-hot targets, seeds, and a picture of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.checks import absent_names
from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.utils.labels import to_categorical
    from fastreg.utils.pictures import plot_model
    from fastreg.utils.seeds import default_seed, set_random_seed

__all__ = ["default_seed", "plot_model", "set_random_seed", "to_categorical"]

_HOMES = {
    "default_seed": "seeds",
    "plot_model": "pictures",
    "set_random_seed": "seeds",
    "to_categorical": "labels",
}

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, _HOMES, absent_names(__name__))


def __dir__() -> list[str]:
    return sorted(__all__)
