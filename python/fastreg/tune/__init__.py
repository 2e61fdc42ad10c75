"""The commands ``fastreg tune`` and ``fastreg predict``: from a table to a tuned network that was judged, and its use.

This file lists the public names; the modules load when they are first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.tune.command import TuneError, TuneOptions, TuneResult, predict, tune

__all__ = ["TuneError", "TuneOptions", "TuneResult", "predict", "tune"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "command"))
