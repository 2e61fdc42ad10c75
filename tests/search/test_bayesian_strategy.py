"""What the Bayesian strategy promises beyond what every strategy keeps to."""

import logging
import math
import sys
import warnings

import numpy as np
import pytest
from fastreg.search import (
    Bayesian,
    Integer,
    LogUniform,
    QuasiRandom,
    Random,
    Space,
    Uniform,
    When,
)
from strategies import INFINITE, begun, optuna_random, proposals

optuna = pytest.importorskip("optuna")


def bowl(params):
    """A bowl in the logarithm of one parameter and another one, least at (1e-3, 0.3) with "b"."""
    return (math.log10(params["lr"]) + 3) ** 2 + (params["x"] - 0.3) ** 2 + (params["kind"] != "b")


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
@pytest.mark.parametrize("direction", ["min", "max"])
def test_bayesian_beats_random(sampler, direction):
    """Median over seeds of the best of 60 trials, told with lag 8."""
    space = Space({"lr": LogUniform(1e-6, 1e0), "x": Uniform(-5, 5), "kind": ["a", "b", "c"]})
    sign = 1 if direction == "min" else -1

    def best(make, seed):
        strategy = begun(make, space, seed, direction)
        asked = []
        for number in range(60):
            if number >= 8:
                strategy.tell(number - 8, asked[number - 8], sign * bowl(asked[number - 8]), "ok", None)
            asked.append(strategy.ask(number))
        return min(bowl(p) for p in asked)

    bayesian, random = ([best(make, seed) for seed in range(7)] for make in (lambda: Bayesian(sampler), Random))
    assert np.median(bayesian) < 0.6 * np.median(random)


def test_bayesian_learns_from_points_it_did_not_propose():
    """Told 40 points around the best one, the first proposals are near it."""
    space = Space({"x": Uniform(0, 100), "n": When("k", "b", Integer(1, 9)), "k": ["a", "b"]})
    strategy = begun(Bayesian, space)
    rng = np.random.default_rng(0)
    for number in range(40):
        params = space.sample(rng)
        strategy.tell(number, params, abs(params["x"] - 80), "ok", None)
    near = [abs(strategy.ask(number)["x"] - 80) < 25 for number in range(40, 50)]
    assert sum(near) >= 8


def test_bayesian_ranks_bad_states_last():
    """Where low x fails, diverges or is pruned at once, it looks elsewhere, though pruned trials show good scores."""
    space = Space({"x": Uniform(0, 1)})
    strategy = begun(lambda: Bayesian(n_startup_trials=10), space)
    asked = []
    for number in range(60):
        x = strategy.ask(number)["x"]
        asked.append(x)
        if x < 0.7:
            score, state, budget = [
                (None, "failed", None),
                (None, "diverged", 2),
                (math.nan, "ok", 9),
                (-5.0, "pruned", 1),
            ][number % 4]
        else:
            score, state, budget = abs(x - 0.85), "ok", 9
        strategy.tell(number, {"x": x}, score, state, budget)
    assert np.mean(np.array(asked[30:]) >= 0.7) > 0.6


def test_a_trial_told_twice_counts_at_both_budgets():
    strategy = begun(Bayesian, Space({"x": Uniform(0, 1)}))
    params = strategy.ask(0)
    strategy.tell(0, params, 0.5, "pruned", 1)
    strategy.tell(0, params, 0.4, "pruned", 3)
    strategy.tell(0, params, 0.3, "ok", 9)
    trials = strategy._study.get_trials()
    assert [(t.state.name, t.value, t.last_step) for t in trials] == [
        ("PRUNED", 0.5, 1),
        ("PRUNED", 0.4, 3),
        ("COMPLETE", 0.3, None),
    ]


def test_a_proposal_that_the_constraint_refuses_does_not_stay_a_running_trial():
    """What the sampler proposed and the constraint refused is over, for samplers that keep away from running trials."""
    space = Space({"x": Uniform(0, 1)}, constraint=lambda params: params["x"] < 0.3)
    strategy = begun(Bayesian, space)
    for number in range(8):
        params = strategy.ask(number)
        running = [trial for trial in strategy._study.get_trials() if trial.state.name == "RUNNING"]
        assert [trial.params for trial in running] == [params]
        strategy.tell(number, params, params["x"], "ok", None)
    states = [trial.state.name for trial in strategy._study.get_trials()]
    assert states.count("COMPLETE") == 8
    assert set(states) == {"COMPLETE", "FAIL"}, "none was refused"


def test_bayesian_refuses_a_point_outside_the_space():
    strategy = begun(Bayesian, Space({"x": Uniform(0, 1)}))
    with pytest.raises(ValueError, match="parameters of trial 3 are no point of the space"):
        strategy.tell(3, {"x": 2.0}, 0.5, "ok", None)


def test_bayesian_is_silent_and_leaves_optuna_alone(capfd):
    logger = logging.getLogger("optuna")
    before = (optuna.logging.get_verbosity(), list(logger.handlers), logger.propagate, list(warnings.filters))
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        for sampler in ("tpe", "cmaes"):
            proposals(
                begun(lambda sampler=sampler: Bayesian(sampler, n_startup_trials=2), INFINITE["conditional"]()), 12
            )
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(before[0])
    assert (optuna.logging.get_verbosity(), list(logger.handlers), logger.propagate, list(warnings.filters)) == before
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("optuna.storages._in_memory").filters == []


def test_the_sampler_of_a_trial_is_seeded_by_seed_and_number():
    seeds = []

    def sampler(seed):
        seeds.append(seed)
        return optuna_random(seed)

    for seed in (0, 0, 1):
        strategy = begun(lambda: Bayesian(sampler), Space({"x": Uniform(0, 1)}), seed)
        for number in range(5):
            strategy.ask(number)
    assert seeds[:5] == seeds[5:10]
    assert len(set(seeds[5:])) == 10


@pytest.mark.parametrize(("package", "sampler"), [("optuna", "tpe"), ("torch", "gp"), ("cmaes", "cmaes")])
def test_a_missing_package_names_the_extra(package, sampler, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"Bayesian.* needs {package}: pip install {package}, or .*'\.\[bayesian\]'"):
        begun(lambda: Bayesian(sampler), Space({"x": Uniform(0, 1)}))


def test_quasirandom_names_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(ImportError, match=r"QuasiRandom needs scipy: pip install scipy, or .*'\.\[bayesian\]'"):
        begun(QuasiRandom, Space({"x": Uniform(0, 1)}))


def test_gaussian_process():
    pytest.importorskip("torch")
    space = Space({"x": Uniform(-1, 1), "y": Uniform(-1, 1), "k": ["a", "b"], "z": When("k", "b", Uniform(0, 1))})
    strategies = [begun(lambda: Bayesian("gp", n_startup_trials=8), space) for _ in range(2)]
    for number in range(24):
        params, same = (strategy.ask(number) for strategy in strategies)
        assert params == same
        for strategy in strategies:
            strategy.tell(number, params, params["x"] ** 2 + params["y"] ** 2, "ok", None)
    last = strategies[0].ask(24)
    assert last["x"] ** 2 + last["y"] ** 2 < 0.1


def test_bayesian_arguments():
    with pytest.raises(ValueError, match="Bayesian: unknown sampler 'tpo'; known: cmaes, gp, tpe"):
        Bayesian("tpo")
    with pytest.raises(ValueError, match="n_startup_trials must be >= 1"):
        Bayesian(n_startup_trials=0)
    assert Bayesian(optuna_random).describe()["sampler"] == "optuna_random"
