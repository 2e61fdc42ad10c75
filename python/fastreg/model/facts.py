"""``Facts``: what every call asks of the layers of a model, worked out once.

Shapes of outputs, schedules of rates and the like depend on the layers alone, and working them out takes longer than
training a small batch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from fastreg.internal.layer_base import Layer, every_layer
from fastreg.model.nested import Nested

__all__ = ["Facts"]

T = TypeVar("T")

# The most facts that are kept. Shapes of rows are among them, and a program may ask for any number of shapes.
_MOST = 16


class Facts:
    """Facts that depend on the layers of a model alone. They are forgotten when the layers are replaced.

    Layers are descriptions, which do not change. A model as a layer does, so nothing is kept where there is one.
    """

    def __init__(self) -> None:
        # The layers and what is known of them in one tuple, so that threads see the two together.
        self._known: tuple[tuple[Layer, ...] | None, dict[Hashable, Any] | None] = (None, None)

    def of(self, layers: tuple[Layer, ...], key: Hashable, find: Callable[[], T]) -> T:
        """A fact of layers.

        Args:
            layers: The tuple of the layers that the model has now.
            key: Which fact.
            find: Works it out. What it returns is not None and must not be changed.
        """
        known, found = self._known
        if known is not layers:
            found = None if _may_change(layers) else {}
            self._known = (layers, found)
        if found is None:
            return find()
        fact: T | None = found.get(key)
        if fact is None:
            fact = find()
            if len(found) >= _MOST:
                found.clear()
            found[key] = fact
        return fact


def _may_change(layers: Iterable[Layer]) -> bool:
    """Whether one of the layers, or of those in them, is a model."""
    return any(isinstance(layer, Nested) for layer in every_layer(layers))
