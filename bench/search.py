"""Measures what a search costs beyond its fits: trivial trials, and a search on digits compared with its bare fits.

    python bench/search.py [--trials 10000] [--repeats 5] [--workers 2]

The trivial trials use an estimator whose fit and score do nothing, on one split. The digits search has 32
configurations, 3 folds and 20 epochs of a network with one hidden layer on scikit-learn's digits, with one worker and
with two; the bare fits are the same calls of fit and evaluate in a plain loop. Figures are medians; memory is the
growth of the peak of the process.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import fastreg as fr
import numpy as np
from fastreg import layers, optimizers, regularizers
from fastreg.search import GridSearch, Integer, KFold, LogUniform, RandomSearch, Space, Uniform
from fastreg.search.folds.cross_validation import make_folds
from fastreg.search.strategy.strategies import Random
from sklearn.datasets import load_digits

EPOCHS, BATCH = 20, 32


class Nothing:
    """An estimator that does nothing."""

    def __init__(self, a: float = 0.0, b: int = 1) -> None:
        self.a, self.b = a, b

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"a": self.a, "b": self.b}

    def set_params(self, **params: Any) -> Nothing:
        self.__dict__.update(params)
        return self

    def fit(self, x: object, y: object) -> Nothing:
        return self

    def score(self, x: object, y: object) -> float:
        return 0.5


def trivial(trials: int) -> tuple[float, float]:
    """The microseconds and bytes per trial."""
    x, y = np.zeros((10, 2)), np.zeros(10)
    split = [(np.arange(5), np.arange(5, 10))]
    space = {"a": Uniform(0, 1), "b": Integer(1, 10**6)}
    before, begun = peak(), time.perf_counter()
    RandomSearch(Nothing(), space, n_trials=trials, cv=split, n_jobs=1, refit=False, verbose=0, seed=0).fit(x, y)
    return (time.perf_counter() - begun) / trials * 1e6, (peak() - before) / trials


def peak() -> int:
    """The peak memory of the process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def build(params: dict[str, Any]) -> fr.Sequential:
    penalty = regularizers.L2(params["l2"])
    model = fr.Sequential(
        [
            layers.Dense(params["units"], activation="relu", kernel_regularizer=penalty),
            layers.Dropout(params["dropout"]),
            layers.Dense(10, activation="softmax", kernel_regularizer=penalty),
        ],
        seed=0,
    )
    model.compile(optimizers.Adam(params["lr"]), "sparse_categorical_crossentropy", ["accuracy"])
    return model


def configurations() -> list[dict[str, Any]]:
    space = Space({"lr": LogUniform(1e-4, 1e-1), "units": Integer(32, 128), "dropout": Uniform(0, 0.5),
                   "l2": LogUniform(1e-6, 1e-2)})
    strategy = Random()
    strategy.begin(space, 0, "max")
    return [params for params in map(strategy.ask, range(32)) if params is not None]


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()

    microseconds, size = trivial(arguments.trials)
    print(f"trivial trials: {microseconds:.1f} us and {size:.0f} bytes each ({arguments.trials} trials)")

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    folds, grid = make_folds(KFold(3), x, y, None, 0), configurations()

    def bare() -> None:
        with fr.thread_limit(1):
            for params in grid:
                for train, test in folds:
                    model = build(params)
                    model.fit(x, y, rows=train, epochs=EPOCHS, batch_size=BATCH, verbose=0)
                    model.evaluate(x, y, rows=test, verbose=0)

    def search(workers: int) -> GridSearch:
        found = GridSearch(build, grid, cv=folds, n_jobs=workers, scoring="accuracy", refit=False, verbose=0)
        return found.fit(x, y, epochs=EPOCHS, batch_size=BATCH)

    fr.set_num_threads(arguments.workers)
    best = search(1).best_score_
    times: dict[str, list[float]] = {"bare fits": [], "one worker": [], f"{arguments.workers} workers": []}
    for _ in range(arguments.repeats):
        times["bare fits"].append(timed(bare))
        times["one worker"].append(timed(lambda: search(1)))
        times[f"{arguments.workers} workers"].append(timed(lambda: search(arguments.workers)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in medians.items():
        ratio = medians["one worker"] / seconds
        print(f"digits, {name}: {seconds:.3f} s (one worker / this {ratio:.2f}), best CV accuracy {best:.4f}")


if __name__ == "__main__":
    main()
