"""Strategies of every kind, spaces that are finite and those that are not, and how strategies are asked and told."""

import zlib

import pytest
from fastreg.search import (
    Bayesian,
    Choice,
    Grid,
    Integer,
    LogUniform,
    QuasiRandom,
    Random,
    Space,
    Uniform,
    When,
    Widths,
)

optuna = pytest.importorskip("optuna")
pytest.importorskip("cmaes")
pytest.importorskip("scipy")


def optuna_random(seed):
    return optuna.samplers.RandomSampler(seed=seed)


STRATEGIES = {
    "grid": Grid,
    "random": Random,
    "sobol": lambda: QuasiRandom("sobol"),
    "halton": lambda: QuasiRandom("halton"),
    "plain sobol": lambda: QuasiRandom("sobol", scramble=False),
    "tpe": lambda: Bayesian("tpe", n_startup_trials=3),
    "cmaes": lambda: Bayesian("cmaes", n_startup_trials=3),
    "a sampler": lambda: Bayesian(optuna_random),
}
FINITE = {
    "lists": lambda: Space({"a": [1, 2.0, "x", None], "b": (True, False)}),
    "integers": lambda: Space({"n": Integer(-3, 9, step=4), "m": Integer(1, 4, log=True)}),
    "constants": lambda: Space({"a": 1, "b": "text"}),
    "when": lambda: Space(
        {"m": When("o", "sgd", [0.0, 0.9]), "o": ["adam", "sgd"], "n": When("m", 0.9, [True, False])}
    ),
    "widths": lambda: Space({"hidden": Widths(Integer(0, 2), Integer(8, 24, step=8)), "l2": [0.0, 0.1]}),
    "alternatives": lambda: Space(
        [{"lr": 0.1, "units": 32}, {"lr": [0.01, 0.1], "units": [64, 32]}, {"other": [1, 2]}]
    ),
    "constraint": lambda: Space({"a": Integer(1, 4), "b": Integer(1, 4)}, constraint=a_below_b),
}
INFINITE = {
    "continuous": lambda: Space({"lr": LogUniform(1e-5, 1e-1), "x": Uniform(-1, 1), "n": Integer(1, 100)}),
    "nested": lambda: Space({"dropout": Choice([0.0, Uniform(0.1, 0.5)])}),
    "conditional": lambda: Space(
        {
            "p": ["none", "l2"],
            "l2": When("p", "l2", LogUniform(1e-6, 1.0)),
            "hidden": Widths(Integer(1, 3), Integer(8, 64)),
        }
    ),
    "constrained": lambda: Space({"a": Uniform(0, 1), "b": Uniform(0, 1)}, constraint=a_below_b),
}


def a_below_b(params):
    return params["a"] < params["b"]


def begun(make, space, seed=0, direction="min"):
    strategy = make()
    strategy.begin(space, seed, direction)
    return strategy


def score_of(params):
    """Any score that depends on the parameters."""
    return (zlib.crc32(repr(sorted(params.items())).encode()) % 1000) / 1000


def result_of(number, params):
    """Every state in turn, most often ok."""
    if number % 7 == 3:
        return None, "diverged", 2
    if number % 7 == 5:
        return score_of(params), "pruned", 1 + number % 3
    return score_of(params), "ok", 9


def proposals(strategy, n, lag=1):
    """The first n proposals, or all, where trial t is told before trial t + lag is asked."""
    asked = []
    for number in range(n):
        if number >= lag:
            told = number - lag
            strategy.tell(told, asked[told], *result_of(told, asked[told]))
        params = strategy.ask(number)
        if params is None:
            assert strategy.ask(number) is None, "exhausted for good"
            return asked
        asked.append(params)
    return asked
