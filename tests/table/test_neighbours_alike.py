"""Tables whose order matters: how that is found out, when it is told, and when not."""

import itertools

import numpy as np
import pytest
from fastreg.table import Candidate, Recipe, TableClassifier, TableRegressor, Target
from fastreg.table.judged_rows import ALIKE, neighbours_alike

N = 300
NUMBER = Target("y")
QUICK = Recipe(small=(Candidate(bins=4, width=8, steps=20),), large=(), trials=1, folds=2)
TOLD = "errors of the linear model for neighbouring rows correlate by"


def wandering(n=N):
    """Errors that keep most of their value from row to row."""
    rng, found = np.random.default_rng(0), np.zeros(n)
    for t in range(1, n):
        found[t] = 0.95 * found[t - 1] + rng.normal()
    return found


def by_hand(errors):
    """The formula, a row and an output at a time."""
    pairs = sum(a[k] * b[k] for a, b in itertools.pairwise(errors) for k in range(len(a)))
    return pairs / sum(a[k] ** 2 for a in errors for k in range(len(a)))


def test_numbers_follow_the_formula_whatever_the_order_of_the_folds():
    errors = wandering()
    scored = np.random.default_rng(1).permutation(N)
    truth = np.linspace(-1.0, 1.0, N).astype(np.float32)
    outputs = (truth + errors).astype(np.float32)[:, None]
    want = by_hand((outputs - truth[:, None]).astype(np.float64))
    assert want > 0.9
    assert neighbours_alike(NUMBER, scored, truth[scored], outputs[scored]) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_classes_follow_the_formula(count):
    labels = np.repeat(np.arange(count), N // count)
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(count), len(labels)).astype(np.float32)
    outputs = probabilities if count > 2 else probabilities[:, 1:]
    wanted = np.eye(count)[labels] if count > 2 else labels[:, None]
    target = Target("y", tuple("abc"[:count]))
    want = by_hand(outputs - wanted)
    assert want > ALIKE
    found = neighbours_alike(target, np.arange(len(labels)), labels.astype(np.int32), outputs)
    assert found == pytest.approx(want, rel=1e-6)
    if count == 2:  # soft targets of two classes are the same numbers
        assert neighbours_alike(target, np.arange(len(labels)), labels.astype(np.float32), outputs) == found


def test_no_order_is_nothing_to_tell():
    errors, zeros = wandering(), np.zeros(N, np.float32)
    for seed in range(20):
        mixed = np.random.default_rng(seed).permutation(errors).astype(np.float32)[:, None]
        assert neighbours_alike(NUMBER, np.arange(N), zeros, mixed) == 0.0
    assert neighbours_alike(NUMBER, np.arange(N), zeros, zeros[:, None]) == 0.0


def test_few_rows_tell_nothing():
    errors = wandering()[100:120, None].astype(np.float32)
    assert by_hand(errors) > ALIKE
    assert neighbours_alike(NUMBER, np.arange(20), np.zeros(20, np.float32), errors) == 0.0


def table(order):
    """A column that says little, and a target that wanders from row to row."""
    x, y = np.random.default_rng(2).normal(size=N), wandering()
    return {"x": x[order], "when": np.arange(N)[order], "who": np.arange(N)[order] // 10, "y": (0.1 * x + y)[order]}


def fitted(rows, capsys, kind=TableRegressor, **options):
    options = {"ignore": ("when", "who"), "jobs": 1, **options}
    found = kind(preset=QUICK, time=None, verbose=1, **options).fit(rows, "y")
    printed = capsys.readouterr()
    return found.search_, printed.out + printed.err


def test_a_search_tells_that_the_order_matters(capsys):
    blend, told = fitted(table(np.arange(N)), capsys)
    assert blend.alike_ > 0.8
    assert f"{TOLD} {blend.alike_:.2g}: if new rows come later, or are of other groups, name" in told


def test_a_search_of_classes_tells_it(capsys):
    rows = table(np.arange(N))
    blend, told = fitted(rows | {"y": np.where(rows["y"] > 0.0, "up", "down")}, capsys, TableClassifier)
    assert blend.alike_ > 0.5
    assert TOLD in told


@pytest.mark.parametrize(("order", "options"), [
    (np.random.default_rng(0).permutation(N), {}), (np.arange(N), {"time_column": "when"}),
    (np.arange(N), {"group": "who", "ignore": ("when",)}),
], ids=["any order", "time", "groups"])  # fmt: skip
def test_a_search_is_silent(order, options, capsys):
    blend, told = fitted(table(order), capsys, **options)
    assert blend.alike_ == 0.0
    assert TOLD not in told


def test_it_is_the_same_for_two_workers_and_after_a_resumed_search(tmp_path, capsys):
    rows, path = table(np.arange(N)), tmp_path / "journal"
    one, _ = fitted(rows, capsys, journal=path)
    two, _ = fitted(rows, capsys, jobs=2)
    again, told = fitted(rows, capsys, journal=path, resume=True)
    assert one.alike_ == two.alike_ == again.alike_ > 0.8
    assert TOLD in told
