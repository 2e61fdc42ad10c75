"""scikit-learn's estimators over fastreg's networks, which go wherever its estimators go.

:class:`MLPClassifier` and :class:`MLPRegressor` have the parameters of scikit-learn's classes of these names and more;
:class:`RealMLPClassifier` and :class:`RealMLPRegressor` are a network with tuned defaults for tables. They need
scikit-learn 1.6 or later, which is imported when the first of them is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastreg.internal.lazy_names import lazy_names

if TYPE_CHECKING:
    from fastreg.sklearn.classifier import MLPClassifier
    from fastreg.sklearn.realmlp import RealMLPClassifier, RealMLPRegressor
    from fastreg.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "RealMLPClassifier", "RealMLPRegressor"]

_HOMES = {"MLPClassifier": "classifier", "MLPRegressor": "regressor"}
_HOMES |= {"RealMLPClassifier": "realmlp", "RealMLPRegressor": "realmlp"}

if not TYPE_CHECKING:  # otherwise a type checker would allow every name
    _found = lazy_names(__name__, _HOMES)

    def __getattr__(name: str) -> Any:
        try:
            return _found(name)
        except ImportError as error:
            if not (error.name or "").startswith("sklearn"):
                raise
            from fastreg.internal.extras import needs

            text = f"{needs('fastreg.sklearn', 'sklearn', 'scikit-learn')}; it takes 1.6 or later ({error})"
            raise ModuleNotFoundError(text, name="sklearn") from error


def __dir__() -> list[str]:
    return sorted(__all__)
