"""What every strategy keeps to, in many spaces; and what each of them promises beyond that."""

import json
import math
import pickle

import numpy as np
import pytest
from fastreg.search import (
    Choice,
    Integer,
    LogUniform,
    QuasiRandom,
    Random,
    Space,
    Uniform,
    Widths,
)
from fastreg.search.space.space import params_key
from fastreg.search.strategy.strategies import Strategy, TrialGenerator
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import FINITE, INFINITE, STRATEGIES, begun, proposals, result_of

PAIRS = [
    pytest.param(make, space, id=f"{name}, {label}")
    for name, make in STRATEGIES.items()
    for label, space in (FINITE if name == "grid" else FINITE | INFINITE).items()
]
FINITE_PAIRS = [
    pytest.param(make, space, id=f"{name}, {label}")
    for name, make in STRATEGIES.items()
    for label, space in FINITE.items()
]


@pytest.mark.parametrize(("make", "space"), PAIRS)
class TestConformance:
    def test_proposes_new_points_of_the_space(self, make, space):
        space = space()
        asked = proposals(begun(make, space), 25, lag=3)
        assert asked
        assert all(space.contains(params) for params in asked)
        assert len({params_key(params) for params in asked}) == len(asked)
        assert json.loads(json.dumps(asked)) == asked, "plain values"

    def test_same_seed_same_proposals(self, make, space):
        strategy = begun(make, space(), seed=3)
        first = proposals(strategy, 20)
        assert proposals(begun(make, space(), seed=3), 20) == first
        strategy.begin(space(), 3, "min")
        assert proposals(strategy, 20) == first, "begin resets"

    def test_pickled_halfway_goes_on(self, make, space):
        strategy = begun(make, space())
        asked = proposals(strategy, 8, lag=2)
        copy = pickle.loads(pickle.dumps(strategy))
        for one in (strategy, copy):
            for number in range(max(0, len(asked) - 2), len(asked)):
                one.tell(number, asked[number], *result_of(number, asked[number]))
        assert [copy.ask(number) for number in range(8, 12)] == [strategy.ask(number) for number in range(8, 12)]

    def test_describes_itself_as_json(self, make, space):
        strategy = make()
        assert json.loads(json.dumps(strategy.describe())) == strategy.describe()
        assert strategy.describe()["type"] == type(strategy).__name__

    def test_points_told_beforehand_are_not_proposed(self, make, space):
        space = space()
        known = proposals(begun(Random, space, seed=9), 3)
        strategy = begun(make, space)
        for number, params in enumerate(known):
            strategy.tell(number, params, 0.5, "ok", None)
        asked = [strategy.ask(number) for number in range(3, 20)]
        keys = [params_key(params) for params in asked + known if params is not None]
        assert len(set(keys)) == len(keys)
        assert space.size is None or space.constraint is not None or len(keys) == min(space.size, 20)

    def test_changing_proposals_changes_nothing(self, make, space):
        strategy, untouched = begun(make, space()), begun(make, space())
        for number in range(6):
            params, expected = strategy.ask(number), untouched.ask(number)
            assert params == expected
            if params is not None:
                strategy.tell(number, params, 0.5, "ok", None)
                untouched.tell(number, expected, 0.5, "ok", None)
                for value in params.values():
                    if isinstance(value, list):
                        value.append(99)
                params.clear()


@pytest.mark.parametrize(("make", "space"), FINITE_PAIRS)
def test_a_finite_space_is_exhausted(make, space):
    space = space()
    asked = proposals(begun(make, space), 100)
    assert {params_key(p) for p in asked} == {params_key(p) for p in space.grid()}


@pytest.mark.parametrize(("make", "space"), [p for p in PAIRS if not p.values[0]().adaptive])
def test_what_is_told_does_not_matter_to_the_others(make, space):
    asked = proposals(begun(make, space()), 20, lag=1)
    assert proposals(begun(make, space()), 20, lag=20) == asked
    strategy, again = begun(make, space()), []
    for number in range(len(asked)):
        again.append(strategy.ask(number))
        if number % 4 == 3:
            for told in range(number, number - 4, -1):
                strategy.tell(told, again[told], None, "failed", None)
    assert again == asked


@pytest.mark.parametrize(
    "make", [m for m in STRATEGIES.values() if m().adaptive], ids=[n for n, m in STRATEGIES.items() if m().adaptive]
)
def test_lagged_results_give_the_same_proposals(make):
    """With lag 4, proposals are a function of the seed and the results of trials up to t - 4."""
    space = INFINITE["conditional"]()
    assert proposals(begun(make, space), 30, lag=4) == proposals(begun(make, space), 30, lag=4)


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    forbidden=st.sets(st.integers(0, 30), max_size=12),
    seed=st.integers(0, 2**64 - 1),
    name=st.sampled_from(["grid", "random", "sobol", "halton"]),
)
@settings(max_examples=100, deadline=None)
def test_any_finite_space_is_exhausted_within_its_constraint(sizes, forbidden, seed, name):
    def allowed(params):
        return int(np.ravel_multi_index(list(params.values()), sizes)) not in forbidden

    space = Space({f"p{i}": Integer(0, n - 1) for i, n in enumerate(sizes)}, constraint=allowed)
    left = math.prod(sizes) - len([f for f in forbidden if f < math.prod(sizes)])
    strategy = begun(STRATEGIES[name], space, seed)
    if left == 0:
        with pytest.raises(ValueError, match="constraint refuses every point"):
            strategy.ask(0)
        return
    asked = proposals(strategy, 300)
    assert len({params_key(p) for p in asked}) == len(asked) == left
    assert all(allowed(p) for p in asked)


@pytest.mark.parametrize(
    "make", [m for n, m in STRATEGIES.items() if n != "grid"], ids=[n for n in STRATEGIES if n != "grid"]
)
def test_a_constraint_that_refuses_everything(make):
    space = Space({"x": Uniform(0, 1)}, constraint=lambda params: False)
    with pytest.raises(ValueError, match="constraint refused 1000 points in a row"):
        begun(make, space).ask(0)


@pytest.mark.parametrize(
    "make", [m for n, m in STRATEGIES.items() if n != "grid"], ids=[n for n in STRATEGIES if n != "grid"]
)
def test_an_infinite_space_whose_allowed_points_are_few_is_exhausted(make):
    space = Space({"d": Choice([0.0, 1.0, Uniform(2, 3)])}, constraint=lambda params: params["d"] < 2)
    assert sorted(p["d"] for p in proposals(begun(make, space), 5)) == [0.0, 1.0]


# --- random ----------------------------------------------------------------------------------------------------------


def test_a_random_trial_depends_on_seed_and_number_only():
    space = INFINITE["conditional"]()
    strategy = begun(Random, space, seed=5)
    in_order = [strategy.ask(number) for number in range(10)]
    for number in (7, 3, 9):
        assert begun(Random, space, seed=5).ask(number) == in_order[number]
    assert begun(Random, space, seed=6).ask(7) != in_order[7]


def test_random_draws_are_philox_numbers():
    """Trial t of seed s: Philox4x64 with key (s, 0) from counter (0, t, 0, 0), a generator of its own each time."""
    space = Space({"a": Uniform(0, 1), "b": Uniform(0, 1)})
    for seed, number in [(0, 0), (0, 1), (2**64 - 1, 7), (123, 2**40)]:
        fresh = np.random.Generator(np.random.Philox(key=seed, counter=[0, number, 0, 0]))
        assert list(begun(Random, space, seed).ask(number).values()) == fresh.random(2).tolist()


def test_generators_of_trials_are_independent_of_what_was_drawn():
    generator = TrialGenerator(1)
    generator.of(3).integers(2**32, dtype=np.uint32)  # leaves half a number in the buffer
    assert generator.of(4).random() == TrialGenerator(1).of(4).random()
    assert generator.seed_of(4) == TrialGenerator(1).seed_of(4) != generator.seed_of(4, attempt=1)


def test_seed_known_answer():
    """Proposals stay what they are from version to version, and from machine to machine."""
    space = Space({"lr": LogUniform(1e-4, 1e-1), "units": Integer(32, 128), "l2": [0.0, 0.1], "x": Uniform(-1, 1)})
    expected = {"lr": 0.0007615838235288253, "units": 32, "l2": 0.1, "x": 0.6929896016164829}
    assert begun(Random, space, seed=42).ask(3) == pytest.approx(
        expected, rel=1e-14
    )  # exp and log may differ by an ulp


# --- quasi-random ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sequence", ["sobol", "halton"])
def test_quasirandom_is_more_even_than_random(sequence):
    from scipy.stats import qmc

    space = Space({f"x{i}": Uniform(0, 1) for i in range(4)})

    def discrepancy(make):
        return qmc.discrepancy([list(p.values()) for p in proposals(begun(make, space), 256)])

    assert discrepancy(lambda: QuasiRandom(sequence)) < 0.2 * discrepancy(Random)


def test_sobol_points_are_balanced():
    """Of the first 64 points, 8 are in each eighth of every dimension, and in each cell of an 8 x 8 grid is one."""
    points = [
        tuple(p.values()) for p in proposals(begun(QuasiRandom, Space({"x": Uniform(0, 1), "y": Uniform(0, 1)})), 64)
    ]
    assert sorted({(int(8 * x), int(8 * y)) for x, y in points}) == [(i, j) for i in range(8) for j in range(8)]


def test_halton_without_scrambling_is_the_sequence():
    points = proposals(
        begun(lambda: QuasiRandom("halton", scramble=False), Space({"x": Uniform(0, 1), "y": Uniform(0, 1)})), 5
    )
    assert [p["x"] for p in points] == [0, 1 / 2, 1 / 4, 3 / 4, 1 / 8]
    assert [p["y"] for p in points] == pytest.approx([0, 1 / 3, 2 / 3, 1 / 9, 4 / 9], abs=1e-15)


def test_quasirandom_arguments():
    with pytest.raises(ValueError, match="QuasiRandom: unknown sequence 'sobel'; known: halton, sobol"):
        QuasiRandom("sobel")
    with pytest.raises(ValueError, match="sobol has at most 21201 dimensions, got 22000"):
        begun(QuasiRandom, Space({f"w{i}": Widths(1000, Integer(1, 9)) for i in range(22)}))


# --- own strategies --------------------------------------------------------------------------------------------------


def test_begin_checks_its_arguments():
    with pytest.raises(ValueError, match=r"Random: seed must be >= 0, got -1"):
        begun(Random, Space({"a": 1}), seed=-1)
    with pytest.raises(ValueError, match="Random: unknown direction 'up'"):
        begun(Random, Space({"a": 1}), direction="up")


def test_a_strategy_of_ones_own():
    class HillClimb(Strategy):
        """Steps around the best point told so far."""

        adaptive = True

        def _begin(self):
            self.best = (math.inf, 0)

        def _propose(self, number):
            rng = np.random.default_rng([self.seed, number])
            return self._first_new(lambda: {"n": int(np.clip(self.best[1] + rng.integers(-3, 4), 0, 50))})

        def _learn(self, number, params, score, state, budget):
            self.best = min(self.best, (score, params["n"]))

    strategy = begun(HillClimb, Space({"n": Integer(0, 50)}))
    for number in range(51):
        params = strategy.ask(number)
        strategy.tell(number, params, abs(params["n"] - 40), "ok", None)
    assert strategy.best == (0, 40)
    assert strategy.ask(51) is None
