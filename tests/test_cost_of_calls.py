"""Calls on few rows do little besides the work: functions of the package that run in Python, counted.

A count does not depend on the machine. What depends on the layers alone is worked out at the first call (``Facts``).
"""

import os
import sys

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, optimizers, schedules
from fastreg.model.facts import Facts
from fastreg.search import GridSearch

PACKAGE = os.path.dirname(fr.__file__)


def calls_of(body):
    """How many functions of the package, written in Python, a call runs."""
    count = 0

    def note(frame, event, _):
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        body()
    finally:
        sys.setprofile(before)
    return count


def deep_model(depth):
    model = fr.Sequential(seed=0)
    for _ in range(depth):
        for part in (layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.1)):
            model.add(part)
    model.add(layers.Dense(1, "sigmoid"))
    model.compile(optimizers.Adam(1e-3), "binary_crossentropy", ["accuracy"])
    return model


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(32, 10)).astype(np.float32), rng.integers(0, 2, 32)


CALLS = {
    "fit": (lambda model, x, y: model.fit(x, y, batch_size=32, epochs=1, verbose=0), 120),
    "evaluate": (lambda model, x, y: model.evaluate(x, y, verbose=0), 55),
    "train_on_batch": (lambda model, x, y: model.train_on_batch(x, y), 70),
    "test_on_batch": (lambda model, x, y: model.test_on_batch(x, y), 52),
    "predict": (lambda model, x, y: model.predict(x), 5),
    "a frozen call": (lambda model, x, y: model.frozen(x), 0),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_do_little_and_the_same_for_any_depth(name, data):
    call, most = CALLS[name]
    counts = []
    for depth in (1, 6):
        model = deep_model(depth)
        model.fit(*data, verbose=0)
        if name == "a frozen call":
            model = type("Frozen", (), {"frozen": staticmethod(model.freeze())})
        call(model, *data)
        counts.append(calls_of(lambda model=model: call(model, *data)))
    assert counts[0] <= most
    assert counts[1] == counts[0]


def test_a_fold_of_a_search_runs_few_functions(data):
    """With building, fit and scores; what a search does once for all folds cancels out."""

    def build(params):
        model = fr.Sequential([layers.Dense(8, "relu"), layers.Dropout(params["rate"]), layers.Dense(1, "sigmoid")])
        model.compile(optimizers.Adam(1e-3), "binary_crossentropy", ["accuracy"])
        return model

    def search(count):
        grid = [{"rate": 0.1 + 0.01 * number} for number in range(count)]
        GridSearch(build, grid, cv=2, n_jobs=1, refit=False, verbose=0, seed=0).fit(*data, epochs=2)

    search(2)
    few, many = calls_of(lambda: search(4)), calls_of(lambda: search(12))
    assert (many - few) / (8 * 2) <= 530


def test_facts_are_worked_out_once_for_the_same_layers():
    facts, found = Facts(), []
    one, other = (layers.Dense(1),), (layers.Dense(1),)

    def ask(of, key):
        return facts.of(of, key, lambda: found.append((of, key)) or len(found))

    assert [ask(one, "a"), ask(one, "a"), ask(one, "b"), ask(one, "a")] == [1, 1, 2, 1]
    assert [ask(other, "a"), ask(one, "a")] == [3, 4]  # equal layers that are others, and the first ones again


def test_facts_do_not_grow_without_bound():
    facts, mine = Facts(), (layers.Dense(1),)
    for key in range(1000):
        assert facts.of(mine, key, lambda key=key: [key]) == [key]
    assert len(facts._known[1]) <= 16


def test_a_model_as_a_layer_may_change_and_nothing_is_kept():
    inner = fr.Sequential([layers.Dense(4), layers.Dropout(0.5)], seed=1)
    model = fr.Sequential([inner, layers.Dense(1, "sigmoid")], seed=0)
    facts = Facts()
    facts.of(model._core.layers, "a", lambda: 1)
    assert facts.of(model._core.layers, "a", lambda: 2) == 2
    residual = (layers.Residual([layers.Dense(4)]),)
    facts.of(residual, "a", lambda: 1)
    assert facts.of(residual, "a", lambda: 2) == 1


def test_what_is_remembered_follows_the_layers(data):
    x, y = data
    model = fr.Sequential([layers.Dense(4), layers.Dropout(0.5)], seed=0)
    model.add(layers.Dense(1, "sigmoid"))
    model.compile("sgd", "binary_crossentropy")
    model.fit(x, y, verbose=0)
    model.add(layers.Dense(3, "softmax"))  # now the output has another shape
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    model.add(layers.Dropout(schedules.LinearLR(0.5, 0.1, 1.0, 4)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model.fit(x, y, verbose=0).epoch == [0]
    assert model.predict(x).shape == (32, 3)
