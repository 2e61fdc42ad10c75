"""The results of a search: trials, the best model, ensembles, pictures and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.search.found.fitted import FittedSearch

__all__ = ["FittedSearch"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, {"FittedSearch": "fitted"})
