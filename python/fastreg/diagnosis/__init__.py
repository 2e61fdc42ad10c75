"""Why a model is as good as it is: over- and under-fitting, curves over rows and parameters, importance of features.

``diagnose`` judges the history of a fit; ``learning_curve`` and ``validation_curve`` train models anew on the folds of
a cross-validation; ``permutation_importance`` asks a trained model; ``find_learning_rate`` trains a copy with growing
rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastreg.internal.checks import absent_names
from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.diagnosis.curves import Curve, learning_curve, validation_curve
    from fastreg.diagnosis.importance import Importance, permutation_importance
    from fastreg.diagnosis.rates import RateRange, find_learning_rate
    from fastreg.diagnosis.verdicts import RISE, Diagnosis, diagnose

__all__ = [
    "RISE",
    "Curve",
    "Diagnosis",
    "Importance",
    "RateRange",
    "diagnose",
    "find_learning_rate",
    "learning_curve",
    "permutation_importance",
    "validation_curve",
]

_HOMES = {
    name: module
    for module, names in {
        "curves": ("Curve", "learning_curve", "validation_curve"),
        "importance": ("Importance", "permutation_importance"),
        "rates": ("RateRange", "find_learning_rate"),
        "verdicts": ("RISE", "Diagnosis", "diagnose"),
    }.items()
    for name in names
}

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    __getattr__ = lazy_names(__name__, _HOMES, absent_names(__name__))


def __dir__() -> list[str]:
    return sorted(__all__)
