"""A small fitted search for the tests of reports and pictures, with names as a user gives them. Has no fixtures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fastreg as fr
import numpy as np
from fastreg import optimizers
from fastreg.search import Choice, RandomSearch, Uniform
from searches import two_classes


def searched(names: Sequence[str] = ("rate", "kind"), options: Sequence[Any] = ("a", "b"), metric: str = "accuracy",
             n_trials: int = 8) -> Any:
    """A search over networks in which ``names[0]`` is a number and each other parameter one of the options."""
    def build(params: dict[str, Any]) -> fr.Sequential:
        assert all(params[name] in options for name in names[1:])
        model = fr.Sequential([fr.layers.Dense(2, "tanh"), fr.layers.Dense(1, "sigmoid")])
        model.compile(optimizers.Adam(params[names[0]]), "binary_crossentropy", ["accuracy"])
        return model

    space = {names[0]: Uniform(1e-3, 0.1), **{name: Choice(list(options)) for name in names[1:]}}
    search = RandomSearch(build, space, n_trials=n_trials, cv=2, scoring={metric: "accuracy"}, refit=False, n_jobs=1,
                          return_train_score=True, seed=0, verbose=0)
    x, y = two_classes(60)
    return search.fit(np.asarray(x), y, epochs=2)
