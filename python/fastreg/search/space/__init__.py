"""The space of a search: distributions of parameters, the space that they form, and how two spaces compare.

This file lists the public names; the modules load when they are first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.search.space.distributions import Choice, Integer, LogUniform, Uniform, When, Widths
    from fastreg.search.space.space import TRIES, Params, Space, params_key
    from fastreg.search.space.tree import Leaf

__all__ = [
    "TRIES",
    "Choice",
    "Integer",
    "Leaf",
    "LogUniform",
    "Params",
    "Space",
    "Uniform",
    "When",
    "Widths",
    "params_key",
]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    _HOMES = dict.fromkeys(("Choice", "Integer", "LogUniform", "Uniform", "When", "Widths"), "distributions")
    _HOMES |= dict.fromkeys(("TRIES", "Params", "Space", "params_key"), "space")
    __getattr__ = lazy_names(__name__, _HOMES | {"Leaf": "tree"})
