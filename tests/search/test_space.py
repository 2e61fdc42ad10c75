"""Spaces: what is drawn, counted, enumerated and found again, for spaces of every kind; and what is refused."""

import json
import math
import pickle
from itertools import product

import numpy as np
import pytest
from fastreg.search import Choice, Integer, LogUniform, Space, Uniform, When, Widths
from fastreg.search.space.space import params_key
from fastreg.search.space.tree import value_key
from hypothesis import given, settings
from hypothesis import strategies as st

# Named spaces with the number of their points (None: not finite), counted by hand.
SPACES = {
    "uniform": (Space({"x": Uniform(-1, 2)}), None),
    "log": (Space({"lr": LogUniform(1e-5, 1e-1), "n": Integer(1, 5)}), None),
    "integers": (Space({"n": Integer(-3, 9, step=4), "m": Integer(1, 100, log=True)}), 4 * 100),
    "constants": (Space({"a": 1, "b": "text", "c": None, "d": Choice([[64, 32]])}), 1),
    "lists": (Space({"a": [1, 2.0, "x", None, True], "b": (1, 2), "c": range(3), "d": np.array([0.5, 1.5])}), 60),
    "list values": (Space({"hidden": Choice([[], [64], [64, 64]])}), 3),
    "nested": (
        Space({"dropout": Choice([0.0, Uniform(0.1, 0.5)]), "n": Choice([0, Integer(2, 4), Choice([9, 8])])}),
        None,
    ),
    "nested finite": (Space({"n": Choice([0, Integer(2, 4), Choice([9, 8])])}), 6),
    "widths": (Space({"hidden": Widths(Integer(0, 3), Integer(8, 24, step=8))}), 1 + 3 + 9 + 27),
    "same widths": (Space({"hidden": Widths(Integer(0, 3), Integer(8, 24, step=8), same=True)}), 1 + 3 * 3),
    "fixed widths": (Space({"hidden": Widths(2, Integer(1, 4)), "flat": Widths(Integer(1, 3), 7)}), 16 * 3),
    "when": (
        Space(
            {
                "momentum": When("optimizer", ("sgd", "rmsprop"), [0.0, 0.9]),
                "optimizer": ["adam", "sgd", "rmsprop"],
                "nesterov": When("momentum", 0.9, [True, False]),
            }
        ),
        1 + 2 * (1 + 2),
    ),
    "when an integer": (Space({"depth": Integer(1, 3), "skip": When("depth", (2, 3), [True, False])}), 1 + 2 + 2),
    "when a constant": (Space({"a": "x", "b": When("a", "x", 7), "c": When("b", 7, [1, 2])}), 2),
    "when deep": (
        Space({"kind": ["none", "mlp"], "hidden": When("kind", "mlp", Widths(Integer(1, 2), Integer(1, 3)))}),
        1 + 3 + 9,
    ),
    "when continuous": (Space({"p": ["none", "l2"], "l2": When("p", "l2", LogUniform(1e-6, 1.0))}), None),
    "alternatives": (
        Space([{"lr": 0.1, "units": 32}, {"lr": [0.01, 0.1], "units": [64, 32]}, {"other": [1, 2]}]),
        4 + 2,
    ),
    "huge": (Space({f"w{i}": Integer(0, 2**50) for i in range(20)}), (2**50 + 1) ** 20),
}
FINITE = {name: (space, size) for name, (space, size) in SPACES.items() if size is not None and size < 10_000}
each_space = pytest.mark.parametrize("space", [space for space, _ in SPACES.values()], ids=list(SPACES))
each_finite = pytest.mark.parametrize("space", [space for space, _ in FINITE.values()], ids=list(FINITE))

scalars = st.one_of(st.integers(-9, 9), st.sampled_from(["a", "b", "c"]), st.booleans(), st.none(), st.floats(0, 1))
integers = st.builds(
    lambda low, steps, step: Integer(low, low + steps * step, step),
    st.integers(1, 5),
    st.integers(0, 3),
    st.integers(1, 4),
)
numbers = st.one_of(
    integers,
    st.just(Uniform(0, 1)),
    st.just(LogUniform(1e-3, 1)),
    st.builds(lambda n: Integer(1, n, log=True), st.integers(1, 9)),
)
choices = st.lists(scalars, min_size=1, max_size=4, unique_by=value_key).map(Choice)
mixed = st.tuples(choices, numbers).map(lambda pair: Choice([f"option {o}" for o in pair[0].options] + [pair[1]]))
widths = st.builds(
    lambda most, width, same: Widths(Integer(0, most), width, same), st.integers(0, 3), integers, st.booleans()
)
distributions = st.one_of(scalars, numbers, choices, mixed, widths)


@st.composite
def spaces(draw, finite=False):
    """Up to four parameters and some that depend on those before them."""
    kinds = st.one_of(scalars, integers, choices, widths) if finite else distributions
    mapping = {f"p{i}": draw(kinds) for i in range(draw(st.integers(1, 4)))}
    for i in range(draw(st.integers(0, 3))):
        parents = {}
        for name, value in mapping.items():
            inner = value.distribution if isinstance(value, When) else value
            if isinstance(inner, Choice):
                parents[name] = [option for option in inner.options if not hasattr(option, "_compile")]
            elif isinstance(inner, Integer):
                parents[name] = list(inner.values)
            elif not hasattr(inner, "_compile"):
                parents[name] = [inner]
        if parents:
            name = draw(st.sampled_from(sorted(parents)))
            asked = draw(st.lists(st.sampled_from(parents[name]), min_size=1, max_size=3, unique_by=value_key))
            mapping[f"q{i}"] = When(name, tuple(asked), draw(kinds))
    order = draw(st.permutations(sorted(mapping)))
    return Space({name: mapping[name] for name in order})


def is_plain(value):
    if isinstance(value, list):
        return all(is_plain(item) for item in value)
    return type(value) in (int, float, str, bool, type(None))


def check_point(space, params):
    """What holds for every point: it is in the space, plain, in the order given, and made by its numbers."""
    assert space.contains(params)
    assert is_plain(list(params.values()))
    found = space.locate(params)
    assert params_key(space.build(lambda i: found[i])) == params_key(params)
    assert any(list(params) == [name for name in names if name in params] for names in space.alternatives)
    used = {space.leaves[i].path: number for i, number in found.items()}
    for leaf in space.leaves:
        if leaf.parent is not None and leaf.path in used:
            assert used[leaf.parent[0]] in leaf.parent[1]
        if leaf.path in used:
            assert leaf.contains(used[leaf.path])


@each_space
def test_draws_are_points(space, rng):
    for _ in range(200):
        check_point(space, space.sample(rng))


@each_space
def test_the_corners_are_points(space):
    for unit in (0.0, 0.5, 1.0, math.nextafter(1.0, 0.0)):
        check_point(space, space.from_unit([unit] * len(space.leaves)))


@pytest.mark.parametrize(("space", "size"), SPACES.values(), ids=list(SPACES))
def test_size(space, size):
    assert space.size == size


@each_finite
def test_grid_has_every_point_once(space):
    points = list(space.grid())
    assert len({params_key(p) for p in points}) == len(points) == space.size
    for params in points:
        check_point(space, params)


@each_finite
def test_draws_reach_every_point(space, rng):
    if space.size > 100:
        pytest.skip("too many points to be hit by chance")
    reached = {params_key(space.sample(rng)) for _ in range(200 * space.size)}
    assert reached == {params_key(p) for p in space.grid()}


@given(space=spaces(), seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_any_space_draws_points(space, seed):
    rng = np.random.default_rng(seed)
    for _ in range(5):
        check_point(space, space.sample(rng))
    assert space.widens(json.loads(json.dumps(space.describe())))
    copy = pickle.loads(pickle.dumps(space))
    assert copy.describe() == space.describe()
    assert copy.leaves == space.leaves


@given(space=spaces(finite=True))
@settings(max_examples=200, deadline=None)
def test_any_finite_space_counts_its_grid(space):
    if space.size > 5000:
        return
    keys = [params_key(p) for p in space.grid()]
    assert len(set(keys)) == len(keys) == space.size


def test_grid_of_plain_lists_is_the_product():
    lists = {"a": [1, 2, 3], "b": ["x", "y"], "c": [0.1, 0.2]}
    expected = [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]
    assert list(Space(lists).grid()) == expected


def test_uniform_draws_follow_their_distributions(rng):
    """Kolmogorov's distance of 20,000 draws, whose 1 - 1e-6 quantile is 2.7 / sqrt(n)."""
    space = Space({"u": Uniform(-1, 3), "log": LogUniform(1e-4, 1e2)})
    points = [space.sample(rng) for _ in range(20_000)]
    uniform = np.sort([(p["u"] + 1) / 4 for p in points])
    log = np.sort([(math.log10(p["log"]) + 4) / 6 for p in points])
    ranks = (np.arange(20_000) + 0.5) / 20_000
    for sample in (uniform, log):
        assert np.abs(sample - ranks).max() < 2.7 / math.sqrt(20_000)


@pytest.mark.parametrize("integer", [Integer(2, 20, step=3), Integer(1, 12, log=True)], ids=repr)
def test_integers_have_their_probabilities(integer, rng):
    """Each count within 6 standard deviations; for log, value v has the mass of [v - 1/2, v + 1/2]."""
    n = 40_000
    drawn = [Space({"n": integer}).sample(rng)["n"] for _ in range(n)]
    for value in integer.values:
        mass = 1 / len(integer.values)
        if integer.log:
            mass = math.log((value + 0.5) / (value - 0.5)) / math.log((integer.high + 0.5) / (integer.low - 0.5))
        assert abs(drawn.count(value) - n * mass) < 6 * math.sqrt(n * mass * (1 - mass))


def test_log_integers_beyond_the_integers_of_float64_stay_inside():
    integer = Integer(2**60, 2**60 + 9, log=True)
    for unit in np.linspace(0, 1, 50):
        assert Space({"n": integer}).from_unit([unit])["n"] in integer.values


@pytest.mark.parametrize(("low", "high"), [(5e-324, 1e308), (1e-300, 1.7e308), (1.0, math.nextafter(1.0, 2.0))])
def test_log_uniform_stays_inside_at_the_edges_of_float64(low, high):
    space = Space({"x": LogUniform(low, high)})
    for unit in np.linspace(0, 1, 101):
        assert low <= space.from_unit([unit])["x"] <= high


def test_changing_a_trial_does_not_change_the_space():
    space = Space({"hidden": Choice([[64, 64]]), "constant": Choice([[1]]), "widths": Widths(2, 3)})
    first = space.from_unit([0.0, 0.0])
    for value in first.values():
        value.append(5)
    assert space.from_unit([0.0, 0.0]) == {"hidden": [64, 64], "constant": [1], "widths": [3, 3]}


def test_objects_are_options():
    class Thing:
        pass

    one, other = Thing(), Thing()
    space = Space({"thing": [one, other], "function": math.sqrt})
    points = list(space.grid())
    assert [p["thing"] for p in points] == [one, other]
    assert all(space.contains(p) for p in points)
    assert not space.contains({"thing": Thing(), "function": math.sqrt})
    described = json.dumps(space.describe())
    assert "0x" not in described
    assert "built-in function sqrt" in described
    assert space.widens(json.loads(described))


@each_space
def test_contains_refuses_what_is_no_point(space, rng):
    params = space.sample(rng)
    assert not space.contains(params | {"unknown": 1})
    for name in params:
        assert not space.contains({key: value for key, value in params.items() if key != name})
        assert not space.contains(params | {name: "never an option"})


@pytest.mark.parametrize(
    ("distribution", "inside", "outside"),
    [
        (Uniform(0, 1), [0.0, 0.5, 1.0, 1, np.float64(0.5)], [-0.1, 1.1, math.nan, "0.5", True, None]),
        (Integer(2, 8, step=3), [2, 5, 8, np.int64(5)], [3, 11, -1, 2.0, True]),
        (Integer(1, 9, log=True), [1, 9], [0, 10, 1.0]),
        ([1, 2.0, True], [1, 2.0, True, np.float64(2)], [1.0, 2, False, "1"]),
        (Widths(Integer(1, 2), Integer(2, 4, step=2)), [[2], [4, 2], (2, 2)], [[], [3], [2, 2, 2], 2, [2.0]]),
        (Widths(Integer(0, 2), Integer(2, 4), same=True), [[], [3, 3]], [[2, 3], [5, 5]]),
        (Choice([0.0, Uniform(0.25, 0.5)]), [0.0, 0.3], [0.1, 0]),
    ],
    ids=repr,
)
def test_contains(distribution, inside, outside):
    space = Space({"p": distribution})
    assert [value for value in inside if not space.contains({"p": value})] == []
    assert [value for value in outside if space.contains({"p": value})] == []


def test_constraint_is_enforced(rng):
    space = Space({"a": Integer(1, 9), "b": Integer(1, 9)}, constraint=lambda p: p["a"] < p["b"])
    assert all(p["a"] < p["b"] for p in (space.sample(rng) for _ in range(300)))
    assert len(list(space.grid())) == 36
    assert space.size == 81
    assert not space.contains({"a": 2, "b": 2})
    assert space.contains({"a": 2, "b": 3})


def test_constraint_gets_a_copy(rng):
    space = Space({"a": Integer(1, 9)}, constraint=lambda p: p.pop("a") > 0)
    assert "a" in space.sample(rng)


def test_constraint_that_refuses_everything(rng):
    with pytest.raises(ValueError, match="constraint refused 1000 points in a row"):
        Space({"a": Uniform(0, 1)}, constraint=lambda p: False).sample(rng)


def test_constraint_must_answer(rng):
    with pytest.raises(TypeError, match="what constraint returns must be True or False, got None"):
        Space({"a": Uniform(0, 1)}, constraint=lambda p: None).sample(rng)


def test_a_space_of_a_space():
    space = Space({"a": [1, 2]}, constraint=lambda p: p["a"] > 1)
    assert [p["a"] for p in Space(space).grid()] == [2]
    assert [p["a"] for p in Space(Space({"a": [1, 2]}), space.constraint).grid()] == [2]
    with pytest.raises(ValueError, match="constraint is given twice"):
        Space(space, lambda p: True)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Uniform(1, 1), ValueError, "Uniform: low must be < high, got 1.0 and 1.0"),
        (lambda: Uniform(0, math.inf), ValueError, "Uniform: high must be finite, got inf"),
        (lambda: Uniform(-1.7e308, 1.7e308), ValueError, "Uniform: high - low must be finite"),
        (lambda: Uniform("0", 1), TypeError, "Uniform: low must be a number, got '0'"),
        (lambda: Uniform(False, 1), TypeError, "Uniform: low must be a number, got False"),
        (lambda: LogUniform(0, 1), ValueError, "LogUniform: low must be > 0, got 0.0"),
        (lambda: LogUniform(1, 0.5), ValueError, "LogUniform: low must be < high"),
        (lambda: Integer(3, 2), ValueError, "Integer: low must be <= high, got 3 and 2"),
        (lambda: Integer(1, 2.0), TypeError, "Integer: high must be an integer, got 2.0"),
        (lambda: Integer(1, 10, step=2), ValueError, "nearest: 9 or 11"),
        (lambda: Integer(1, 9, step=0), ValueError, "Integer: step must be >= 1, got 0"),
        (lambda: Integer(0, 9, log=True), ValueError, "log=True needs low >= 1 and step=1, got low=0"),
        (lambda: Integer(0, 2**53), ValueError, "at most 2.*53 values"),
        (lambda: Choice([]), ValueError, "Choice: options must not be empty"),
        (lambda: Choice("relu"), TypeError, "Choice: options must be a list, got 'relu'"),
        (lambda: Choice({"a", "b"}), TypeError, "Choice: options must be a list"),
        (lambda: Choice([1, 2, 1]), ValueError, r"Choice: options must differ, got 1 twice"),
        (lambda: Choice([1, Integer(1, 3)]), ValueError, r"options must not overlap, got 1 and Integer"),
        (lambda: Choice([Integer(0, 6, 3), Integer(2, 4, 2), Integer(4, 6, 2)]), ValueError, "must not overlap"),
        (lambda: Choice([[8], Widths(Integer(1, 2), 8)]), ValueError, "must not overlap"),
        (lambda: Choice([Uniform(0, 1), Uniform(0.5, 2)]), ValueError, "must not overlap"),
        (lambda: Choice([Uniform]), TypeError, r"Uniform needs its arguments; write Uniform\(...\)"),
        (lambda: Choice([When("a", 1, 2)]), TypeError, "Choice: a When can only be the value of a parameter itself"),
        (lambda: Widths(-1, 8), ValueError, "Widths: n_layers must be >= 0, got -1"),
        (lambda: Widths(2, Integer(0, 4)), ValueError, r"Widths: width must be >= 1, got Integer\(low=0"),
        (lambda: Widths(1001, 8), ValueError, "Widths: n_layers must be <= 1000"),
        (lambda: When("", 1, 2), ValueError, "When: name must not be empty"),
        (lambda: When("a", 1, When("b", 1, 2)), TypeError, "When: a When can only be"),
        (lambda: Space([]), ValueError, "Space: the list of dicts must not be empty"),
        (lambda: Space("lr"), TypeError, "Space: parameters must be a dict, or a list of dicts, got 'lr'"),
        (lambda: Space({1: 2}), TypeError, "the name of a parameter must be a string, not empty, got 1"),
        (lambda: Space({"a": 1}, constraint=True), TypeError, "constraint must be a function"),
        (lambda: Space({"a": []}), ValueError, "parameter 'a': Choice: options must not be empty"),
        (lambda: Space({"a": {1, 2}}), TypeError, "parameter 'a': give a list; the order of"),
        (lambda: Space({"a": iter([1])}), TypeError, "parameter 'a': give a list"),
        (lambda: Space({"a": LogUniform}), TypeError, "parameter 'a': Space: LogUniform needs its arguments"),
        (
            lambda: Space({"lr": 1, "b": When("lrr", 1, 2)}),
            ValueError,
            r"unknown parameter 'lrr' \(did you mean 'lr'\?\)",
        ),
        (lambda: Space({"a": When("a", 1, 2)}), ValueError, "the When of 'a' leads back to it: a -> a"),
        (lambda: Space({"a": When("b", 1, 1), "b": When("a", 1, 1)}), ValueError, "leads back to it: a -> b -> a"),
        (
            lambda: Space({"a": [1, 2], "b": When("a", 3, 1)}),
            ValueError,
            r"parameter 'b': When\('a', 3\): 'a' is never 3",
        ),
        (lambda: Space({"a": [1, 2], "b": When("a", 1.0, 1)}), ValueError, "is never 1.0"),
        (lambda: Space({"a": Integer(1, 5, 2), "b": When("a", 2, 1)}), ValueError, "'a' is never 2"),
        (lambda: Space({"a": [1, Integer(2, 4)], "b": When("a", 2, 1)}), ValueError, "'a' is never 2"),
        (
            lambda: Space({"a": Uniform(0, 1), "b": When("a", 0.5, 1)}),
            ValueError,
            "must be a Choice, an Integer or a const",
        ),
        (lambda: Space({"a": 1, "b": When("a", (), 1)}), ValueError, "equals must name a value"),
        (lambda: Space({"a": 1}).from_unit([0.5]), ValueError, r"must have shape \(0,\), got \(1,\)"),
        (lambda: Space({"a": [1, 2]}).from_unit([1.5]), ValueError, r"must be in \[0, 1\]"),
        (lambda: Space({"a": [1, 2]}).from_unit([math.nan]), ValueError, r"must be in \[0, 1\]"),
        (lambda: Space({"lr": LogUniform(1, 2)}).grid(), ValueError, "lr is continuous"),
        (lambda: Space({"d": Choice([0, Uniform(0, 1)])}).grid(), ValueError, r"d\[1\] is continuous"),
    ],
)
def test_errors_name_the_argument(make, error, words):
    with pytest.raises(error, match=words):
        make()


WIDER = [
    # narrow, wide, whether wide has every point of narrow
    ({"a": Uniform(0, 1)}, {"a": Uniform(-1, 1)}, True),
    ({"a": Uniform(0, 1)}, {"a": Uniform(0.1, 1)}, False),
    ({"a": Uniform(0.5, 1)}, {"a": LogUniform(0.1, 1)}, True),
    ({"a": 0.5}, {"a": Uniform(0, 1)}, True),
    ({"a": True}, {"a": Uniform(0, 1)}, False),
    ({"a": [1, 2]}, {"a": [1, 2, 3]}, True),
    ({"a": [1, 2, 4]}, {"a": [1, 2, 3]}, False),
    ({"a": [1.0]}, {"a": [1, 2]}, False),
    ({"a": [1, 2]}, {"a": Integer(1, 9)}, True),
    ({"a": Integer(1, 3)}, {"a": [1, 2, 3, 4]}, True),
    ({"a": Integer(1, 5)}, {"a": [1, 2, 3, 4]}, False),
    ({"a": Integer(2, 8, 2)}, {"a": Integer(0, 8)}, True),
    ({"a": Integer(2, 10, 4)}, {"a": Integer(0, 12, 2)}, True),
    ({"a": Integer(1, 9, 2)}, {"a": Integer(0, 10, 2)}, False),
    ({"a": Integer(2, 8, 2)}, {"a": Integer(2, 8, 3)}, False),
    ({"a": Choice([0.0, Uniform(0.1, 0.5)])}, {"a": Choice([0.0, Uniform(0.1, 0.9), "x"])}, True),
    ({"a": Choice([0.0, Uniform(0.1, 0.5)])}, {"a": Choice([0.0, Uniform(0.2, 0.9)])}, False),
    ({"a": Widths(Integer(1, 2), Integer(8, 16, 8))}, {"a": Widths(Integer(1, 3), Integer(8, 32, 8))}, True),
    ({"a": Widths(2, 8, same=True)}, {"a": Widths(Integer(1, 3), Integer(8, 32, 8))}, True),
    ({"a": Widths(2, Integer(8, 9))}, {"a": Widths(2, Integer(8, 9), same=True)}, False),
    ({"a": Widths(Integer(0, 1), Integer(8, 9))}, {"a": Widths(2, Integer(8, 9), same=True)}, False),
    ({"a": Widths(Integer(0, 1), Integer(8, 9))}, {"a": Widths(Integer(0, 2), Integer(8, 9), same=True)}, True),
    ({"a": Choice([[8], [8, 8]])}, {"a": Widths(Integer(1, 2), 8, same=True)}, True),
    ({"a": Choice([[8], [8, 9]])}, {"a": Widths(Integer(1, 2), Integer(8, 9), same=True)}, False),
    ({"a": 1}, {"b": 1}, False),
    ({"a": 1}, {"a": 1, "b": 2}, False),
    ({"a": 1, "b": 2}, {"a": 1}, False),
    ({"o": ["sgd"]}, {"o": ["sgd", "adam"], "beta": When("o", "adam", Uniform(0, 1))}, True),
    ({"o": ["sgd"]}, {"o": ["sgd", "adam"], "beta": When("o", ("adam", "sgd"), Uniform(0, 1))}, False),
    (
        {"o": ["sgd", "adam"], "m": When("o", "sgd", [0.9])},
        {"o": ["sgd", "adam"], "m": When("o", "sgd", [0.9, 0.5])},
        True,
    ),
    ({"o": ["sgd", "adam"], "m": When("o", "sgd", 0.9)}, {"o": ["sgd", "adam"], "m": 0.9}, False),
    ({"o": ["sgd", "adam"], "m": When("o", "sgd", 0.9)}, {"o": ["sgd", "adam"], "m": When("o", "adam", 0.9)}, False),
    ({"o": ["sgd"], "m": 0.9}, {"o": ["sgd", "adam"], "m": When("o", "sgd", 0.9)}, True),
    ({"o": ["sgd", "adam"], "m": 0.9}, {"o": ["sgd", "adam"], "m": When("o", "sgd", 0.9)}, False),
    ({"a": Integer(1, 2), "b": 3}, {"a": Integer(1, 9), "b": When("a", (1, 2, 3), 3)}, True),
    ([{"a": 1}, {"b": 2}], [{"b": [2, 3]}, {"a": [0, 1]}], True),
    ([{"a": 1}, {"b": 2}], {"a": 1}, False),
    ({"a": 1}, [{"a": 1}, {"b": 2}], True),
]


@pytest.mark.parametrize(("narrow", "wide", "expected"), WIDER, ids=[f"{n} in {w}" for n, w, _ in WIDER])
def test_widens(narrow, wide, expected, rng):
    narrow, wide = Space(narrow), Space(wide)
    assert wide.widens(json.loads(json.dumps(narrow.describe()))) is expected
    inside = [wide.contains(narrow.sample(rng)) for _ in range(200)]
    assert all(inside) is expected


@given(narrow=spaces(), wide=spaces(), seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_a_space_that_widens_has_every_point(narrow, wide, seed):
    if wide.widens(narrow.describe()):
        rng = np.random.default_rng(seed)
        assert all(wide.contains(narrow.sample(rng)) for _ in range(20))


def test_params_key():
    assert params_key({"a": 1, "b": 2}) == params_key({"b": 2, "a": 1})
    assert params_key({"a": np.float64(0.5), "b": np.array([1, 2])}) == params_key({"a": 0.5, "b": (1, 2)})
    distinct = [1, 1.0, True, "1", None, [1], [[1]], {"x": 1}, {"x": 1.0}, math.inf]
    assert len({params_key({"a": value}) for value in distinct}) == len(distinct)
    assert params_key({"a": math.nan}) == params_key({"a": float("nan")})
    assert params_key({"a": {1: {2}}}) == params_key({"a": {1: {2}}})


@pytest.mark.parametrize(
    ("of_numpy", "of_python"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("relu"), "relu"),
        (np.array([1, 2]), [1, 2]),
        ({"a": np.float64(np.nan)}, {"a": math.nan}),
    ],
)
def test_values_of_numpy_are_the_parameters_of_python(of_numpy, of_python):
    assert value_key(of_numpy) == value_key(of_python)
    assert type(value_key(of_numpy)[1]) is type(value_key(of_python)[1])
    assert len({value_key(1), value_key(1.0), value_key(True), value_key("1"), value_key(None)}) == 5
