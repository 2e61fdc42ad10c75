"""Errors of calls without targets, with batches or a lazy frame in place of arrays, and with arguments of others."""

from __future__ import annotations

import inspect
import re

import fastreg as fr
import numpy as np
import polars as pl
import pytest
from fastreg import layers, search
from fastreg.sklearn import MLPClassifier, MLPRegressor, RealMLPClassifier, RealMLPRegressor

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)


def compiled(cls=fr.Sequential):
    if cls is fr.Sequential:
        model = fr.Sequential([layers.Dense(1, "sigmoid")])
        model.build(3)
    else:
        inputs = layers.Input(3)
        model = fr.Model(inputs, layers.Dense(1, "sigmoid")(inputs))
    model.compile("adam", "binary_crossentropy")
    return model


class Loader:
    """As a DataLoader of PyTorch: it can be iterated over and has a length."""

    def __iter__(self):
        yield X, Y

    def __len__(self):
        return 1


class Sequence:
    """As a PyDataset of Keras: batches by their numbers."""

    def __getitem__(self, i):
        raise AssertionError("a batch was made")

    def __len__(self):
        return 10**9


def generator():
    yield X, Y


BATCHES = {
    "generator": generator,
    "function": lambda: generator,
    "iterator": lambda: iter([(X, Y)]),
    "zip": lambda: zip([X], [Y], strict=True),
    "loader": Loader,
    "sequence": Sequence,
}
WHAT_TO_DO = "np.concatenate makes one array of batches, and train_on_batch, test_on_batch or predict_on_batch in a"


def told_without_targets(name):
    """The message where batches are given in place of x, and y is missing."""
    return rf"^{name}\(\) missing 1 .*'y'; {name} .* no generator.*: {WHAT_TO_DO}"


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("cls", [fr.Sequential, fr.Model])
def test_batches_in_place_of_arrays(cls, make):
    model = compiled(cls)
    for call in (model.fit, model.evaluate):
        with pytest.raises(TypeError, match=told_without_targets(rf"{cls.__name__}\.{call.__name__}")):
            call(make(), verbose=0)
        with pytest.raises(TypeError, match=f"^x: must be an array or a frame, got .*; {WHAT_TO_DO}"):
            call(make(), Y, verbose=0)
        with pytest.raises(TypeError, match=f"^y: must be an array or a frame, got .*; {WHAT_TO_DO}"):
            call(X, make(), verbose=0)
    with pytest.raises(TypeError, match=f"^x: must be an array or a frame, got .*; {WHAT_TO_DO}"):
        model.predict(make())
    with pytest.raises(ValueError, match=f"^fit: validation_data must be .*; {WHAT_TO_DO}"):
        model.fit(X, Y, validation_data=make(), verbose=0)


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("cls", [fr.Sequential, fr.Model])
def test_all_batches_in_place_of_one(cls, make):
    model = compiled(cls)
    for call in (model.train_on_batch, model.test_on_batch):
        name = rf"{cls.__name__}\.{call.__name__}"
        for given in ((make(),), ()):
            named = {} if given else {"x": make()}
            with pytest.raises(TypeError, match=told_without_targets(name)):
                call(*given, **named)
        with pytest.raises(TypeError, match=rf"^{name}\(\) missing 2 required positional arguments: 'x' and 'y'$"):
            call()
        with pytest.raises(TypeError, match=f"^x: must be an array or a frame, got .*; {WHAT_TO_DO}"):
            call(make(), Y)
    with pytest.raises(TypeError, match=f"^x: must be an array or a frame, got .*; {WHAT_TO_DO}"):
        model.predict_on_batch(make())


FUNCTIONS = [
    fr.diagnosis.find_learning_rate, fr.diagnosis.learning_curve, fr.diagnosis.permutation_importance,
    fr.diagnosis.validation_curve, search.cross_validate, search.nested_cross_validate,
]  # fmt: skip


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("call", FUNCTIONS, ids=lambda call: call.__name__)
def test_batches_for_functions_of_models(call, make):
    name, model = call.__name__, compiled()
    with pytest.raises(TypeError, match=told_without_targets(name)):
        call(model, make())
    with pytest.raises(TypeError, match=rf"^{name}\(\) missing 1 required positional argument: 'y'$"):
        call(model, X)
    with pytest.raises(TypeError, match=rf"^{name}\(\) missing 2 required positional arguments: '[xX]' and 'y'$"):
        call(model)


@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("estimator", [MLPClassifier(max_iter=1), RealMLPRegressor(max_iter=1)])
def test_batches_for_estimators(estimator, make):
    for name, given in {"X": (make(), Y[:, 0]), "y": (X, make())}.items():
        with pytest.raises(TypeError, match=f"^{name}: must be an array or a frame, got .*; {WHAT_TO_DO}"):
            estimator.fit(*given)
    calls = ("fit", "partial_fit") if hasattr(estimator, "partial_fit") else ("fit",)
    for call in calls:
        name = rf"{type(estimator).__name__}\.{call}"
        with pytest.raises(TypeError, match=told_without_targets(name)):
            getattr(estimator, call)(make())


def test_what_looks_like_batches_and_is_an_array():
    import array
    import ctypes
    from collections import UserList, deque

    model = compiled()
    expected = model.predict(X)
    texts = X.tolist()
    in_c = (ctypes.c_float * 3 * len(X))(*map(tuple, texts))  # memory with rows and columns, and no other sign of it
    for rows in (UserList(texts), deque(texts), memoryview(X), texts, [array.array("f", row) for row in X], in_c):
        np.testing.assert_array_equal(model.predict(rows), expected)
    targets = (ctypes.c_float * 1 * len(Y))(*map(tuple, Y.tolist()))
    assert model.evaluate(in_c, targets, verbose=0) == model.evaluate(X, Y, verbose=0)
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'y'$"):
        model.fit(in_c)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor, RealMLPClassifier, RealMLPRegressor])
def test_estimators_without_targets(cls):
    for given in ({}, {"sample_weight": np.ones(40)} if "MLP" in cls.__name__[:3] else {"X_val": X}):
        with pytest.raises(TypeError, match=rf"^{cls.__name__}\.fit\(\) missing 1 required positional argument: 'y'$"):
            cls().fit(X, **given)
    with pytest.raises(ValueError, match=f"{cls.__name__}.* requires y"):
        cls().fit(X, None)
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.__init__\(\) got an unexpected keyword argument 'epocs'"):
        cls(epocs=3)


@pytest.mark.parametrize("lazy", [pl.DataFrame({"y": Y[:, 0]}).lazy(), pl.LazyFrame({"y": [1.0]})])
def test_lazy_targets(lazy):
    for estimator in (MLPClassifier(max_iter=1), MLPRegressor(max_iter=1), RealMLPClassifier(max_iter=1)):
        with pytest.raises(TypeError, match=r"^y: must be numbers, got a LazyFrame.*; call its collect\(\)$"):
            estimator.fit(X, lazy)
    with pytest.raises(TypeError, match=r"^y: must be numbers, got a LazyFrame.*; call its collect\(\)$"):
        compiled().fit(X, lazy, verbose=0)
    for name, given in {"X_val": (lazy, Y[:, 0]), "y_val": (X, lazy)}.items():
        with pytest.raises(TypeError, match=f"^{name}: must be numbers, got a LazyFrame"):
            MLPClassifier(max_iter=1).fit(X, Y[:, 0], X_val=given[0], y_val=given[1])


SEARCHES = [getattr(search, name) for name in search.__all__ if "Search" in name]


@pytest.mark.parametrize("cls", SEARCHES, ids=lambda cls: cls.__name__)
def test_unknown_arguments_of_searches(cls):
    here = inspect.signature(cls).parameters
    others = {"n_iter": "n_trials", "random_state": "seed", "timeout": "time_limit", "max_evals": "n_trials"}
    for name, own in others.items():
        if name in here:
            continue
        hint = f"; {own} is its name here" if own in here else ""
        said = re.escape(f"{cls.__name__}.__init__() got an unexpected keyword argument {name!r}{hint}")
        with pytest.raises(TypeError, match=f"^{said}$" if hint else f"^{said}"):
            cls(len, {"a": [1]}, **{name: 3})
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.__init__.*'verbos' \(did you mean 'verbose'\?\)$"):
        cls(len, {"a": [1]}, verbos=0)
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.fit\(\) missing 1 required positional argument: 'y'$"):
        cls(len, {"a": [1]}).fit(X)


def test_a_class_of_the_users_own_is_named():
    class Mine(search.RandomSearch):
        def __init__(self, build, space, **options):
            super().__init__(build, space, **options)

    with pytest.raises(TypeError, match=r"^Mine\.__init__\(\) got an unexpected keyword argument 'n_iter'"):
        Mine(len, {"a": [1]}, n_iter=3)
