"""No two folds, trials or searches train the same model: a model that is returned twice is refused."""

import copy
import functools
import itertools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import fastreg as fr
import numpy as np
import pytest
import search_folds
from fastreg import layers
from fastreg.search import GridSearch, LogUniform, RandomSearch, cross_validate
from fastreg.search.folds.evaluation import Task, evaluate, refit
from fastreg.search.workers.executors import make_runner
from search_folds import PARAMS, SAME, KeepsOne, X, Y, collect, context

SAME_AGAIN = r"build: must return a new model at every call, got the same \w+ again"


class Learner:
    """An estimator that remembers how many fits it has seen."""

    def __init__(self, a=0.0):
        self.a, self.fits = a, 0

    def get_params(self, deep=True):
        return {"a": self.a}

    def set_params(self, **params):
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, x, y):
        self.fits += 1
        return self

    def score(self, x, y):
        return float(self.fits)


class Slotted:
    """An estimator that cannot be referred to weakly."""

    __slots__ = ("a",)

    def fit(self, x, y):
        return self

    def score(self, x, y):
        return 0.0


@functools.lru_cache
def cached(units, rate):
    return search_folds.build({"units": units, "rate": rate})


def constant(model):
    return lambda params: (params["units"], params["rate"], model)[2]


def with_arguments(model):
    return lambda params: (model, {"epochs": len(params)})


SHARING = {
    "constant": lambda: constant(search_folds.build(PARAMS)),
    "with arguments": lambda: with_arguments(search_folds.build(PARAMS)),
    "cached by its parameters": lambda: lambda params: cached(params["units"], params["rate"]),
    "an estimator": lambda: constant(Learner()),
    "an estimator without weak references": lambda: constant(Slotted()),
}


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("executor", [None, "processes"])
def test_one_model_at_every_call_is_refused_before_the_first_trial(name, executor):
    space = {"units": [4, 8], "rate": LogUniform(1e-3, 1e-1)}
    search = RandomSearch(SHARING[name](), space, n_trials=3, cv=3, executor=executor, n_jobs=2, seed=0, verbose=0)
    with pytest.raises(TypeError, match=SAME_AGAIN):
        search.fit(X, Y)
    with pytest.raises(TypeError, match=SAME_AGAIN):
        cross_validate(SHARING[name](), X, Y, params=PARAMS, cv=3, seed=0)


def test_an_estimator_of_scikit_learn_is_refused_too():
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LogisticRegression()
    with pytest.raises(TypeError, match=SAME_AGAIN):
        GridSearch(lambda params: model.set_params(**params), {"C": [0.1, 1.0]}, cv=3, verbose=0).fit(X, Y)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_model_that_comes_again_later_fails_its_fold(n_jobs):
    """The dry run sees two different models; the folds get one of them a second time."""
    turns = itertools.cycle([search_folds.build(PARAMS) for _ in range(4)])
    c = context(lambda params: (params["units"], params["rate"], next(turns))[2])
    with make_runner(c, n_jobs) as runner:
        results = collect(runner, [Task(0, fold, PARAMS) for fold in range(3)])
    assert sorted(result.state for result in results) == ["failed", "ok", "ok"]
    (error,) = (result.error for result in results if result.state == "failed")
    assert SAME in error
    assert error.startswith(("Traceback", "TypeError"))
    assert SAME in refit(c, Task(0, 0, PARAMS, stop=2)).error


@pytest.mark.parametrize("executor", ["processes", "process pool"])
def test_a_worker_that_keeps_one_model_is_refused(executor):
    """In the process of the search every model is new: only the worker can see that its own are not."""
    c, tasks = context(KeepsOne(os.getpid())), [Task(0, fold, PARAMS) for fold in range(3)]
    if executor == "process pool":
        executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with make_runner(c, 1, executor) as runner:
        results = collect(runner, tasks)
    if executor != "processes":
        executor.shutdown()
    assert sorted(result.state for result in results) == ["failed", "failed", "ok"]
    assert all(SAME in result.error for result in results if result.state == "failed")


def test_another_search_does_not_get_a_trained_model():
    models = [search_folds.build(PARAMS) for _ in range(4)]

    def build(params):
        made, params["rate"], params["units"]
        return models[next(made)]

    made = itertools.count()
    assert evaluate(context(build, cv=0.2), Task(0, 0, PARAMS)).state == "ok"
    made = itertools.count(2)  # the one that was trained comes first
    with pytest.raises(TypeError, match=SAME_AGAIN):
        context(build, cv=0.2)


def test_models_among_the_parameters_are_copied():
    """A model that the space lists is the same object for every trial; each fold trains a copy of it."""

    def build(params):
        return params["model"]

    def anew(params):
        return search_folds.build({"units": params["units"], "rate": 0.05, "seed": params["units"]})

    models = [anew({"units": units}) for units in (4, 8)]
    given = GridSearch(build, {"model": models}, cv=3, seed=5, verbose=0, n_jobs=1).fit(X, Y, epochs=5)
    made = GridSearch(anew, {"units": [4, 8]}, cv=3, seed=5, verbose=0, n_jobs=1).fit(X, Y, epochs=5)
    assert np.array_equal(given.results_["mean_test_score"], made.results_["mean_test_score"])
    assert all(model.history is None and not model.built for model in models), "those of the space stay as they were"
    assert given.best_model_ not in models


def test_estimators_among_the_parameters_are_copied():
    learners = [Learner(1.0), Learner(2.0)]
    found = GridSearch(lambda params: params["part"], {"part": learners}, cv=3, verbose=0, n_jobs=1).fit(X, Y)
    assert found.results_["mean_test_score"].tolist() == [1.0, 1.0], "a fold trained what another one had"
    assert [learner.fits for learner in learners] == [0, 0]
    params = {"parts": [{"one": learners[0]}]}
    inside = cross_validate(lambda params: params["parts"][0]["one"], X, Y, params=params, cv=3)
    assert inside["test_score"].tolist() == [1.0, 1.0, 1.0]


def test_parts_of_a_pipeline_are_copied_for_each_fold():
    linear = pytest.importorskip("sklearn.linear_model")
    from sklearn.pipeline import Pipeline

    parts = [linear.LogisticRegression(C=c) for c in (0.01, 1.0)]

    def build(params):
        return Pipeline([("model", params["model"])])

    found = GridSearch(build, {"model": parts}, cv=3, n_jobs=2, seed=0, verbose=0).fit(X, Y)
    expected = GridSearch(linear.LogisticRegression(), {"C": [0.01, 1.0]}, cv=3, n_jobs=1, seed=0, verbose=0).fit(X, Y)
    assert np.array_equal(found.results_["mean_test_score"], expected.results_["mean_test_score"])
    assert not any(hasattr(part, "coef_") for part in parts)


def test_what_a_model_does_to_its_parameters_stays_with_it():
    def build(params):
        return search_folds.build(params["config"] | {"units": params["config"]["widths"].pop()})

    space = {"config": [{"widths": [4, 8], "rate": 0.05}, {"widths": [2], "rate": 0.05}]}
    found = GridSearch(build, space, cv=3, seed=0, verbose=0, n_jobs=1).fit(X, Y, epochs=2)
    assert not found.failures_
    assert [params["config"]["widths"] for params in found.results_["params"]] == [[4, 8], [2]]


@pytest.mark.parametrize("kind", ["own", "scikit-learn"])
def test_the_estimator_that_is_given_stays_as_it_was(kind):
    if kind == "own":
        given, name, values = Learner(3.0), "a", [1.0, 2.0]
    else:
        linear = pytest.importorskip("sklearn.linear_model")
        given, name, values = linear.Ridge(alpha=3.0), "alpha", [1.0, 2.0]
    before = dict(vars(given))
    found = GridSearch(given, {name: values}, cv=3, verbose=0, n_jobs=1).fit(X, Y)
    assert vars(given) == before
    assert found.best_model_ is not given
    if kind == "own":
        assert found.results_["mean_test_score"].tolist() == [1.0, 1.0]


def test_models_may_share_descriptions():
    """Layers and optimizers hold no state: sharing them gives the bits of models that share nothing."""
    hidden, rate = layers.Dense(8, "relu"), fr.optimizers.Adam(0.05)

    def shares(params):
        model = fr.Sequential([hidden, layers.Dense(params["last"], "sigmoid")])
        model.compile(rate, "binary_crossentropy")
        return model

    def anew(params):
        model = fr.Sequential([layers.Dense(8, "relu"), layers.Dense(params["last"], "sigmoid")])
        model.compile(fr.optimizers.Adam(0.05), "binary_crossentropy")
        return model

    results = [cross_validate(build, X, Y, params={"last": 1}, cv=3, seed=1, epochs=4) for build in (shares, anew)]
    assert np.array_equal(results[0]["test_score"], results[1]["test_score"])


def test_a_trained_model_that_is_new_at_every_call_is_fine(tmp_path):
    """What a model learnt before the search is a start of the user's own; every fold has it alike."""
    trained = search_folds.build({**PARAMS, "seed": 1})
    trained.fit(X, Y, epochs=2, verbose=0)
    trained.save(tmp_path / "net.safetensors")

    def loaded(params):
        return fr.load(tmp_path / "net.safetensors")

    scores = [
        cross_validate(build, X, Y, cv=3, seed=1, epochs=4)["test_score"]
        for build in (loaded, lambda params: copy.deepcopy(trained))
    ]
    assert np.array_equal(scores[0], scores[1])


def test_seeds_of_the_models_after_a_search_are_those_without_it():
    """Models of a search have seeds of their own; those that the program makes later are not counted along."""

    def seeds(between):
        with fr.utils.default_seed(3):
            first = fr.Sequential().seed
            between()
            return first, fr.Sequential().seed, fr.Sequential().seed

    def fails(params):
        params["units"]
        raise KeyError("no model")

    def failing():
        with pytest.raises(KeyError, match="no model"):
            cross_validate(fails, X, Y, params=PARAMS, cv=3, seed=0)

    def searching():
        GridSearch(search_folds.build, {"units": [2, 4], "rate": [0.1]}, cv=3, seed=0, verbose=0, n_jobs=1).fit(X, Y)

    alone = seeds(lambda: None)
    assert len(set(alone)) == 3
    for between in (searching, failing, lambda: cross_validate(search_folds.build, X, Y, params=PARAMS, cv=3, seed=0)):
        assert seeds(between) == alone
