"""The float64 oracle's formulas: one file for each kind of thing, with everything that the tests must know of it.

A class here has the name and the fields of fastreg's class, and its formula once more, in NumPy, for clarity and never
for speed. The last lines of each file are the rows that the tests run through, at least one for each class: a name and
the class with some settings. ``cases.py`` makes fastreg's object of a row, and ``test_registry.py`` asserts that the
rows are exactly what fastreg has. Nothing of fastreg is imported here, so that an error in one of the two shows as a
difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Formula:
    """Base of the classes here."""

    def replace(self, **changes: Any) -> Any:
        """The same with other settings."""
        return replace(self, **changes)


def class_name(key: str) -> str:
    """``"mean_squared_error"`` -> ``"MeanSquaredError"``."""
    return key.title().replace("_", "")
