"""Distributions of SciPy, floats in steps, and points given beforehand: reproducible, journaled, resumable."""

import copy
import json
import pickle

import numpy as np
import pytest
from fastreg.search import (
    BayesianSearch,
    Choice,
    GridSearch,
    Hyperband,
    QuasiRandomSearch,
    RandomizedSearchCV,
    RandomSearch,
    Space,
    Uniform,
    When,
)
from fastreg.search.space.widening import check_told_apart
from searches import Scored, build, findings, nothing, two_classes

stats = pytest.importorskip("scipy.stats")

# Name: the distribution, whether it may repeat, the number of values, the value in the middle.
DISTRIBUTIONS = {
    "loguniform": (stats.loguniform(1e-4, 1e-2), False, None, 1e-3),
    "uniform": (stats.uniform(loc=1, scale=2), False, None, 2.0),
    "beta": (stats.beta(2, 2), False, None, 0.5),
    "norm": (stats.norm(), False, None, 0.0),
    "no arguments": (stats.norm, False, None, 0.0),
    "randint": (stats.randint(1, 6), True, 5, 3),
    "binom": (stats.binom(4, 0.5), True, 5, 2),
    "poisson": (stats.poisson(3.0), True, None, 3),
    "listed": (stats.rv_discrete(values=([2, 4, 9], [0.25, 0.5, 0.25])), True, None, 4),
    "histogram": (stats.rv_histogram(np.histogram([0.0, 1.0, 2.0], 3)), False, None, 1.0),
}


class Coin:
    """An object that knows no more than to draw."""

    def __init__(self, sides=("a", "b", "c")):
        self.sides = list(sides)

    def rvs(self, random_state=None):
        return random_state.choice(self.sides)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_distribution_of_scipy(name):
    distribution, may_repeat, size, middle = DISTRIBUTIONS[name]
    space = Space({"x": distribution})
    assert (space.may_repeat, space.size) == (may_repeat, size)
    assert space.from_unit([0.5])["x"] == pytest.approx(middle, rel=1e-12, abs=1e-12)
    rng = np.random.default_rng(0)
    drawn = [space.draw(rng) for _ in range(300)]
    for params in [*drawn, space.from_unit([0.0]), space.from_unit([1.0])]:
        assert type(params["x"]) is (int if may_repeat else float)
        written = json.loads(json.dumps(params))
        assert space.build(space.locate(written).__getitem__) == params
    copies = (pickle.loads(pickle.dumps(space)), copy.deepcopy(space))
    for other in copies:
        again = np.random.default_rng(0)
        assert [other.draw(again) for _ in range(300)] == drawn
        assert other.alternatives == space.alternatives
    # Those that are drawn have the distribution: the empirical distribution function is near the true one.
    values = np.array([params["x"] for params in drawn])
    for x in np.unique(values)[:50]:
        assert abs((values <= x).mean() - float(distribution.cdf(x))) < 2.0 / np.sqrt(300)


def test_values_are_within_the_distribution():
    space = Space({"n": stats.randint(1, 6), "p": stats.uniform(0, 1)})
    assert space.locate({"n": 6, "p": 0.5}) is None
    assert space.locate({"n": 5, "p": 1.5}) is None
    assert space.locate({"n": 5.0, "p": 0.5}) is None
    assert [p["n"] for p in Space({"n": stats.randint(1, 6)}).grid()] == [1, 2, 3, 4, 5]
    assert Space({"n": stats.rv_discrete(values=([1, 5], [0.5, 0.5]))}).size is None, "2, 3 and 4 are never drawn"
    with pytest.raises(ValueError, match=r"grid: x is drawn from norm\(0, 1\); list its values"):
        next(Space({"x": stats.norm(0, 1)}).grid())


def test_objects_that_only_draw():
    space = Space({"side": Coin(), "x": Choice([0.0, stats.uniform(1, 1)])})
    rng = np.random.default_rng(0)
    drawn = [space.draw(rng) for _ in range(60)]
    assert {params["side"] for params in drawn} == {"a", "b", "c"}
    assert any(params["x"] == 0.0 for params in drawn)
    assert all(params["x"] == 0.0 or 1 <= params["x"] <= 2 for params in drawn)
    found = RandomSearch(Scored(), {"how": Coin(["ok", "sleep"])}, n_trials=20, cv=2, seed=0, verbose=0).fit(*nothing())
    assert sorted(found.results_["params"], key=str) == [{"how": "ok"}, {"how": "sleep"}], "each point once"
    with pytest.raises(ValueError, match=r"Bayesian: how must have ppf and cdf, which Coin\(.*\) has not"):
        BayesianSearch(Scored(), {"how": Coin()}, n_trials=4, cv=2, seed=0, verbose=0).fit(*nothing())


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({"x": stats.loguniform}, TypeError, r"parameter 'x': nothing can be drawn from loguniform\(\).*arguments"),
        ({"x": [1, stats.loguniform]}, TypeError, "parameter 'x': nothing can be drawn"),
        ({"x": stats.norm(), "y": When("x", 0.0, [1])}, ValueError, "'x' must be a Choice, an Integer or a constant"),
    ],
)
def test_distributions_that_cannot_be(space, error, message):
    with pytest.raises(error, match=message):
        Space(space)


def test_texts_tell_distributions_apart():
    texts = [Space({"x": d}).describe()["alternatives"][0]["x"]["distribution"] for d, *_ in DISTRIBUTIONS.values()]
    assert len(set(texts)) == len(texts) - 1, "only norm() and norm are one distribution"
    one, other = (stats.rv_discrete(values=([1, 2], p)) for p in ([0.5, 0.5], [0.25, 0.75]))
    assert Space({"x": one}).describe() != Space({"x": other}).describe()
    assert Space({"x": Coin()}).describe() != Space({"x": Coin("ab")}).describe()
    assert "0x" not in json.dumps([*texts, Space({"x": Coin()}).describe()])
    check_told_apart(Space({"x": [1, one, 3.5]}).alternatives)


SPACE = {"lr": stats.loguniform(1e-3, 1e-1), "units": stats.randint(2, 9)}
X, Y = two_classes()


def searched(search=RandomSearch, space=SPACE, **options):
    given = {"n_trials": 5, "cv": 2, "seed": 3, "verbose": 0, "n_jobs": 1, "refit": False, **options}
    return search(build, space, **given).fit(X, Y, epochs=2)


@pytest.mark.parametrize("search", [RandomSearch, QuasiRandomSearch, BayesianSearch])
def test_one_seed_gives_the_same_for_any_number_of_workers(search):
    if search is BayesianSearch:
        pytest.importorskip("optuna")
    own = {"n_startup_trials": 2} if search is BayesianSearch else {}
    alone = searched(search, **own)
    assert findings(searched(search, n_jobs=3, **own)) == findings(alone)
    assert alone.results_["params"] != searched(search, seed=4, **own).results_["params"]


def test_the_seed_is_scikit_learns_random_state():
    found = RandomizedSearchCV(build, SPACE, n_iter=5, cv=2, random_state=3, refit=False).fit(X, Y, epochs=2)
    assert findings(found) == findings(searched())


STEPS = {"lr": Uniform(0.01, 0.05, step=0.01), "units": [2, 4]}
INITIAL = [{"lr": 0.05, "units": 4}, {"lr": 0.01, "units": 2}]


@pytest.mark.parametrize(
    ("search", "options"),
    [
        (RandomSearch, {}),
        (RandomSearch, {"initial": [{"lr": 0.05, "units": 4}]}),
        (RandomSearch, {"space": STEPS, "initial": INITIAL}),
        (GridSearch, {"space": STEPS, "initial": INITIAL}),
        (BayesianSearch, {"space": STEPS, "initial": INITIAL, "n_startup_trials": 1}),
        (RandomSearch, {"space": STEPS, "initial": INITIAL, "pruner": Hyperband(factor=2)}),
        (RandomSearch, {"error_score": 0.25, "space": {"lr": [0.1, -1.0, 0.2], "units": [2]}}),
    ],
)
@pytest.mark.parametrize("kept", [1, 5])
def test_a_killed_search_goes_on(tmp_path, search, options, kept):
    if search is BayesianSearch:
        pytest.importorskip("optuna")
    path = tmp_path / "j"
    whole = searched(search, journal=path, **options)
    lines = path.read_bytes().splitlines(True)
    path.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
    resumed = searched(search, journal=path, resume=True, **options)
    assert findings(resumed) == findings(whole)
    assert len(path.read_bytes().splitlines()) == len(lines)
    assert findings(searched(search, n_jobs=2, **options)) == findings(whole)


def test_a_journal_knows_what_was_given(tmp_path):
    path = tmp_path / "j"
    searched(space=STEPS, journal=path, initial=INITIAL, error_score=0.5)
    for other, message in (
        ({"initial": INITIAL[:1], "error_score": 0.5}, "what differs: initial"),
        ({"error_score": 0.5}, r"what differs: initial \(the journal has"),
        ({"initial": INITIAL}, r"what differs: error_score \(the journal has 0.5\)"),
        ({"initial": INITIAL, "error_score": 1}, "what differs: error_score"),
    ):
        with pytest.raises(ValueError, match=message):
            searched(space=STEPS, journal=path, resume=True, **other)
    wider = {"lr": Uniform(0.0, 0.05, step=0.01), "units": [2, 4, 8]}
    more = searched(space=wider, journal=path, resume=True, initial=INITIAL, error_score=0.5, n_trials=8)
    assert more.n_trials_ == 8
    params = [str(p) for p in more.results_["params"]]
    assert len(set(params)) == 8, "what was given is not tried again"


# Floats in steps.


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ((0, 0.5, 0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ((0.0, 1.0, 1 / 3), [0.0, 1 / 3, 2 / 3, 1.0]),
        ((-0.5, 0.5, 0.25), [-0.5, -0.25, 0.0, 0.25, 0.5]),
        ((1e-3, 3e-3, 1e-3), [0.001, 0.002, 0.003]),
        ((1.5, 2.5, 1), [1.5, 2.5]),
    ],
)
def test_floats_in_steps(arguments, values):
    space = Space({"x": Uniform(*arguments)})
    found = [params["x"] for params in space.grid()]
    assert found == pytest.approx(values, rel=1e-15)
    assert space.size == len(values)
    assert {space.from_unit([u])["x"] for u in np.linspace(0, 1, 101)} == set(found)
    for value in found:
        assert space.build(space.locate({"x": value}).__getitem__) == {"x": value}
        assert space.locate({"x": value + 1e-9}) is None
    assert space.locate({"x": max(found) + arguments[2]}) is None
    assert space.locate({"x": "0.5"}) is None


def test_steps_are_as_one_writes_them():
    assert [p["x"] for p in Space({"x": Uniform(0, 0.3, step=0.1)}).grid()] == [0.0, 0.1, 0.2, 0.3]
    assert repr(Uniform(0, 1)) == "Uniform(low=0.0, high=1.0)"
    assert repr(Uniform(0, 1, 0.5)) == "Uniform(low=0.0, high=1.0, step=0.5)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(0, 1, step=0.3), r"high must be a whole number of steps above low.*step=0.3; nearest: 0.89"),
        (lambda: Uniform(0, 1, step=2), "nearest: 2.0"),
        (lambda: Uniform(0, 1, step=0), "Uniform: step must be > 0, got 0.0"),
        (lambda: Choice([0.5, Uniform(0, 1, step=0.5)]), "options must not overlap"),
        (lambda: Choice([Uniform(0, 1, step=0.25), Uniform(0.5, 2, step=0.5)]), "options must not overlap"),
        (lambda: Space({"x": Uniform(0, 1), "y": When("x", 0.5, [1])}), "must be a Choice, an Integer or a constant"),
    ],
)
def test_steps_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_steps_beside_others():
    assert len(list(Space({"x": Uniform(0, 1, step=0.5), "y": When("x", 0.5, [1, 2])}).grid())) == 4
    assert Space({"x": Choice([0.3, Uniform(0, 1, step=0.5)])}).size == 4
    Choice([Uniform(0, 1, step=0.5), Uniform(0.2, 0.4)])
    with pytest.raises(ValueError, match=r"grid: x is continuous, in \[0.0, 1.0\]; list its values, or give a step"):
        next(Space({"x": Uniform(0, 1)}).grid())


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        (Uniform(0, 1), Uniform(0, 1, step=0.1), True),
        (Uniform(0, 1, step=0.1), Uniform(0, 1, step=0.2), True),
        (Uniform(0, 1, step=0.2), Uniform(0, 1, step=0.1), False),
        (Uniform(0, 1, step=0.1), Uniform(0, 1), False),
        (Uniform(0, 0.5), Uniform(0, 1, step=0.5), False),
        (Uniform(0, 1, step=0.1), [0.3, 0.7], True),
        (Uniform(0, 1, step=0.1), [0.35], False),
        ([0.0, 0.5, 1.0], Uniform(0, 1, step=0.5), True),
        (Choice([7, stats.norm()]), stats.norm(), True),
        (stats.norm(0, 2), stats.norm(0, 1), False),
        (stats.norm(), 0.5, False),
    ],
)
def test_which_spaces_widen(wide, narrow, covers):
    described = json.loads(json.dumps(Space({"x": narrow}).describe()))
    assert Space({"x": wide}).widens(described) is covers


def test_a_range_without_steps_is_described_as_before():
    [described] = Space({"x": Uniform(0, 1)}).describe()["alternatives"]
    assert described == {"x": {"type": "Uniform", "low": 0.0, "high": 1.0}}


# Points given beforehand.


def test_what_is_given_comes_first():
    x, y = nothing()
    options = {"cv": 2, "seed": 0, "verbose": 0, "n_jobs": 1}
    space = {"a": [1.0, 2.0, 3.0], "how": "ok"}
    found = GridSearch(Scored(), space, initial=[{"a": 3.0}, {"a": 2.0, "how": "ok"}, {"a": 3.0}], **options).fit(x, y)
    assert [params["a"] for params in found.results_["params"]] == [3.0, 2.0, 1.0]
    drawn = RandomSearch(Scored(), {"a": Uniform(0, 1)}, n_trials=4, **options).fit(x, y).results_["params"]
    found = RandomSearch(Scored(), {"a": Uniform(0, 1)}, n_trials=4, initial=[{"a": 1}], **options).fit(x, y)
    assert found.results_["params"] == [{"a": 1.0}, *drawn[1:]], "trial t depends on the seed and t alone"
    few = RandomSearch(Scored(), {"a": Uniform(0, 1)}, n_trials=1, initial=[{"a": 1}, {"a": 0}], **options).fit(x, y)
    assert few.results_["params"] == [{"a": 1.0}]


@pytest.mark.parametrize(
    ("initial", "error", "message"),
    [
        ([{"a": 4.0}], ValueError, r"initial must be points of the space, but \{'a': 4.0\} is none of Space"),
        ([{"b": 1.0}], ValueError, "initial must be points of the space"),
        ([{}], ValueError, "initial must be points of the space"),
        ([{"a": 0.5}], ValueError, r"points that the constraint allows, got \{'a': 0.5\}"),
        ({"a": 1.0}, TypeError, r"initial must be a list of dicts of parameters, got \{'a': 1.0\}"),
        ([3], TypeError, "initial must be a list of dicts of parameters, got 3 in it"),
    ],
)
def test_points_that_cannot_be_given(initial, error, message):
    search = RandomSearch(Scored(), {"a": Uniform(0, 1)}, n_trials=2, cv=2, seed=0, verbose=0, initial=initial,
                          constraint=lambda params: params["a"] != 0.5)
    with pytest.raises(error, match=message):
        search.fit(*nothing())
