"""Keras's place for ``Sequential`` and ``load_model``; both live elsewhere."""

from __future__ import annotations

from fastreg.io import load as load_model
from fastreg.model import Sequential

__all__ = ["Sequential", "load_model"]
