"""One model: layers and weights, data to history, files, views, and the faces that users call.

It knows descriptions and data, and nothing of tables and searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.model.model import Model
    from fastreg.model.sequential import History, Sequential

__all__ = ["History", "Model", "Sequential"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, {"History": "sequential", "Model": "model", "Sequential": "sequential"})
