"""The commands ``fastreg tune``, ``predict`` and ``distill``: from a table to a network that was judged, and its use.

This file lists the public names; the modules load when they are first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.tune.command import TuneError, TuneOptions, TuneResult, predict, tune
    from fastreg.tune.distilling import DistillOptions, distill

_HOMES = {
    "DistillOptions": "distilling",
    "TuneError": "command",
    "TuneOptions": "command",
    "TuneResult": "command",
    "distill": "distilling",
    "predict": "command",
    "tune": "command",
}
__all__ = ["DistillOptions", "TuneError", "TuneOptions", "TuneResult", "distill", "predict", "tune"]

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, _HOMES)
