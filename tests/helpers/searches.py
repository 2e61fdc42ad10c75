"""What the tests of a search share: small data, a builder, estimators whose scores are known, and comparisons.

Programs that are killed import it too, so it is a module and has no fixtures.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import fastreg as fr
import fastreg.search
import numpy as np
from fastreg import layers, optimizers
from fastreg.search import base
from fastreg.search.folds import deadline

# Columns that hold seconds, which no two runs share.
TIMES = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time", "seconds")


def two_classes(n: int = 90, n_features: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two classes that a linear model separates to about 90 %."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(n, n_features)).astype(np.float32)
    y = (x[:, 0] - x[:, 1] + 0.5 * rng.normal(size=n) > 0).astype(np.int64)
    return x, y


def build(params: dict[str, Any]) -> fr.Sequential:
    """A network of one hidden layer, without a seed of its own."""
    model = fr.Sequential(
        [layers.Dense(params["units"], activation="relu"), layers.Dropout(0.2), layers.Dense(1, activation="sigmoid")]
    )
    model.compile(optimizers.Adam(params["lr"]), "binary_crossentropy", ["accuracy"])
    return model


class Scored:
    """An estimator whose score is a function of its parameters: ``a``, or as ``how`` says."""

    def __init__(self, a: float = 0.0, how: str = "ok") -> None:
        self.a, self.how = a, how

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"a": self.a, "how": self.how}

    def set_params(self, **params: Any) -> Scored:
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, x: Any, y: Any) -> Scored:
        if self.how == "raise":
            raise ArithmeticError(f"no fit for a={self.a}")
        if self.how == "sleep":
            time.sleep(0.05)
        self.rows_ = len(x)
        return self

    def score(self, x: Any, y: Any) -> float:
        return float("nan") if self.how == "nan" else float(self.a)

    def predict(self, x: Any) -> np.ndarray:
        return np.full(len(x), self.a)


class Clock:
    """The clock that a ``time_limit`` goes by, stopped: whatever is done before ``leave`` takes no time.

    So a test says which folds are done when the time is up, however busy the machine is.
    """

    def __init__(self, monkeypatch: Any) -> None:
        self._begun = time.monotonic()
        self._left: float | None = None
        for module in (deadline, base):
            monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), "monotonic": self.read}))

    def read(self) -> float:
        return self._begun if self._left is None else self._left + time.monotonic()

    def leave(self, seconds: float, limit: float = 600.0) -> None:
        """Goes forward, the first time, to ``seconds`` before a limit is reached, and runs from then on."""
        if self._left is None:
            self._left = self._begun + limit - seconds - time.monotonic()


def nothing(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Data for estimators that do not use them."""
    return np.zeros((n, 2)), np.zeros(n)


def findings(search: Any) -> dict[str, Any]:
    """All of results_ but the seconds, as lists that == compares (NaN as None)."""
    return {name: _plain(column) for name, column in search.results_.items() if name not in TIMES}


def histories(search: Any) -> list[Any]:
    """The histories of all folds of all trials."""
    return [trial.histories for trial in search.trials_]


def _plain(column: Any) -> list[Any]:
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [None if isinstance(value, float) and np.isnan(value) else value for value in values]
