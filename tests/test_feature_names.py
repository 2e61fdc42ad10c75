"""Names of columns: remembered at the first fit on a frame, kept in files and copies, compared wherever frames come in.

scikit-learn is the model: what it remembers, refuses and says is compared with what it does.
"""
from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.model.core import core_of
from fastreg.search import GridSearch, cross_validate
from frames import FRAMES
from programs import compiled, refusal
from searches import build as build_classifier

N = 40
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.float32)
NAMES = ("age", "height", "weight")
SPACE = {"units": [3], "lr": [0.1]}


def frame(kind="pandas", order=(0, 1, 2), names=NAMES):
    return FRAMES[kind]({names[i]: X[:, i].tolist() for i in order})


def network():
    return compiled([layers.Dense(1, "sigmoid")], loss="binary_crossentropy")


def fitted(kind="pandas"):
    model = network()
    model.fit(frame(kind), Y, verbose=0)
    return model


@pytest.mark.parametrize("kind", FRAMES)
def test_names_are_remembered_and_another_order_is_refused_everywhere(kind):
    model, other = fitted(kind), frame(kind, (2, 1, 0))
    before = model.get_weights()
    assert model.feature_names_in_.dtype == object
    assert tuple(model.feature_names_in_) == NAMES
    calls = [
        lambda: model.predict(other),
        lambda: model.evaluate(other, Y, verbose=0),
        lambda: model.fit(other, Y, verbose=0),
        lambda: model.fit(frame(kind), Y, validation_data=(other, Y), verbose=0),
        lambda: model.fit(X, Y, validation_data=(other, Y), verbose=0),
        lambda: network().fit(frame(kind), Y, validation_data=(other, Y), verbose=0),
        lambda: model.freeze()(other),
    ]
    for call in calls:
        with refusal(ValueError, ["x: the feature names should match", "same order", "column 0", "'weight'", "'age'"]):
            call()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, model.get_weights(), strict=True))
    expected = model.predict(X)
    assert model.predict(frame(kind)).tobytes() == expected.tobytes()
    np.testing.assert_allclose(model.freeze()(frame(kind)), expected, rtol=1e-5)


@pytest.mark.parametrize("made", FRAMES)
def test_names_are_the_same_whoever_made_the_frame(made):
    model = fitted("pandas")
    model.predict(frame(made))
    with refusal(ValueError, ["same order"]):
        model.predict(frame(made, (1, 0, 2)))


def parts_of(message):
    """The lists of names of a message of scikit-learn's form."""
    return [line for line in str(message).splitlines() if line.startswith(("- ", "Feature names"))]


@pytest.mark.parametrize("names", [
    ("age", "height", "mass"),
    ("a", "b", "c"),
    tuple(f"column {i}" for i in range(9)),
    ("age", "height"),
    ("age", "height", "weight", "more"),
])
def test_a_difference_is_shown_as_scikit_learn_shows_it(names):
    linear_model = pytest.importorskip("sklearn.linear_model")
    pandas = pytest.importorskip("pandas")
    known = names if len(names) == 9 else NAMES
    x = pandas.DataFrame(np.random.default_rng(0).normal(size=(N, len(known))), columns=known)
    given = pandas.DataFrame(np.zeros((2, len(names))), columns=names)
    if len(names) == 9:
        given.columns = [f"new {name}" for name in names]
    model = network()
    model.fit(x, Y, verbose=0)
    with pytest.raises(ValueError, match="feature names") as theirs:
        linear_model.LogisticRegression().fit(x, Y).predict(given)
    with pytest.raises(ValueError, match="feature names") as ours:
        model.predict(given)
    # scikit-learn sorts the names, here they stand as in the frame.
    assert sorted(parts_of(ours.value)) == sorted(parts_of(theirs.value)) or len(names) == 9
    if len(names) == 9:
        assert parts_of(ours.value).count("- ...") == parts_of(theirs.value).count("- ...") == 2
        assert len(parts_of(ours.value)) == len(parts_of(theirs.value))


def test_what_has_no_names_is_taken_as_it_is(recwarn):
    pandas = pytest.importorskip("pandas")
    model = fitted()
    expected = model.predict(X)
    unnamed = pandas.DataFrame(X)
    tupled = pandas.DataFrame(X, columns=pandas.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]))
    for given in (X, X.tolist(), X.astype(np.float64), unnamed, tupled):
        assert model.predict(given).tobytes() == expected.tobytes()
        np.testing.assert_allclose(model.freeze()(given), expected, rtol=1e-5)
    model.fit(X, Y, verbose=0)
    assert tuple(model.feature_names_in_) == NAMES
    for given in (X, unnamed, tupled):
        other = network()
        assert not hasattr(other, "feature_names_in_")
        other.fit(given, Y, verbose=0)
        assert not hasattr(other, "feature_names_in_")
        assert not hasattr(other.freeze(), "feature_names_in_")
        other.predict(frame(order=(2, 1, 0)))
        other.fit(frame(), Y, verbose=0)  # the first frame with names
        assert tuple(other.feature_names_in_) == NAMES
    assert not recwarn.list


def test_names_of_some_columns_only_are_refused_as_in_scikit_learn():
    pandas = pytest.importorskip("pandas")
    mixed = pandas.DataFrame(X, columns=["age", 1, "weight"])
    for call in (lambda: network().fit(mixed, Y, verbose=0), lambda: fitted().predict(mixed),
                 lambda: fitted().freeze()(mixed)):
        with refusal(TypeError, ["^x:", "strings", "int, str", "astype"]):
            call()


def test_a_fit_that_was_refused_remembers_nothing():
    model = network()
    with pytest.raises(ValueError, match="y:"):
        model.fit(frame(), Y[:-1], verbose=0)
    assert not hasattr(model, "feature_names_in_")


class Raises(fr.callbacks.Callback):
    def on_train_begin(self, logs=None):
        assert tuple(self.model.feature_names_in_) == NAMES
        raise ArithmeticError


@pytest.mark.parametrize("arguments", [
    {"epochs": 2, "initial_epoch": 2},
    {"callbacks": [Raises()]},
    {"callbacks": [fr.callbacks.TimeLimit(1e-9)]},
])
def test_a_fit_that_trained_nothing_remembers_nothing(arguments):
    model = network()
    with contextlib.suppress(ArithmeticError):
        model.fit(frame(), Y, verbose=0, **arguments)
    assert not hasattr(model, "feature_names_in_")
    model.fit(frame(order=(2, 1, 0)), Y, verbose=0)
    assert tuple(model.feature_names_in_) == NAMES[::-1]
    model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0)
    assert tuple(model.feature_names_in_) == NAMES[::-1]


def test_names_survive_files_copies_and_pickles(tmp_path):
    pandas = pytest.importorskip("pandas")
    model = fitted()
    model.save(tmp_path / "net.safetensors")
    odd = network()
    names = ["\ud800\x00", "ä\n\"'", "\U0001f600"]
    odd.fit(frame().set_axis(pandas.Index(names, dtype=object), axis=1), Y, verbose=0)
    odd.save(tmp_path / "odd.safetensors")
    assert list(fr.load(tmp_path / "odd.safetensors").feature_names_in_) == names
    for other in (fr.load(tmp_path / "net.safetensors"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert tuple(other.feature_names_in_) == NAMES
        with refusal(ValueError, ["same order"]):
            other.predict(frame(order=(1, 0, 2)))
        for served in (other.freeze(), copy.deepcopy(other.freeze()), pickle.loads(pickle.dumps(other.freeze()))):
            assert tuple(served.feature_names_in_) == NAMES
            assert served(frame()).tobytes() == other.freeze()(X).tobytes()
            with refusal(ValueError, ["same order"]):
                served(frame(order=(1, 0, 2)))


@pytest.mark.parametrize("model_of", [
    lambda hidden: [hidden, layers.Dense(1)(hidden)],
    lambda hidden: layers.Reshape((2, 1))(hidden),
], ids=["several outputs", "rows of two dimensions"])
def test_frozen_models_of_every_form_compare_the_names(model_of):
    x = fr.Input((3,), name="people")
    model = fr.Model(x, model_of(layers.Dense(2)(x)), seed=0)
    model.compile("sgd", "mse")
    model.fit(frame(), model.predict(X), verbose=0)
    p = model.freeze()
    for served in (p, copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert tuple(served.feature_names_in_) == NAMES
        for one, other in zip(served(frame()), served(X), strict=True):
            np.testing.assert_array_equal(one, other)
        with refusal(ValueError, ["^x: the feature names", "same order"]):
            served(frame(order=(1, 0, 2)))


@pytest.mark.parametrize("reshaped", [False, True])
def test_frozen_models_compare_the_names_of_several_inputs(reshaped, tmp_path):
    people, other = fr.Input((3,), name="people"), fr.Input((2,), name="other")
    joined = layers.Dense(2)(layers.Concatenate()([people, other]))
    model = fr.Model([people, other], layers.Reshape((1, 2))(joined) if reshaped else joined, seed=0)
    model.compile("sgd", "mse")
    model.fit([frame(), X[:, :2]], model.predict([X, X[:, :2]]), verbose=0)
    model.save(tmp_path / "net.safetensors")
    p = fr.load(tmp_path / "net.safetensors").freeze()
    for served in (p, copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert list(served.feature_names_in_) == ["people", "other"]
        assert tuple(served.feature_names_in_["people"]) == NAMES
        assert served.feature_names_in_["other"] is None
        unnamed = FRAMES["pandas"]({"a": X[:, 0].tolist(), "b": X[:, 1].tolist()})
        for given in ([frame(), unnamed], {"other": unnamed, "people": frame()}):
            np.testing.assert_array_equal(served(given), served([X, X[:, :2]]))
        for given in ([frame(order=(1, 0, 2)), X[:, :2]], {"other": X[:, :2], "people": frame(order=(1, 0, 2))}):
            with refusal(ValueError, [r"^x\['people'\]: the feature names", "same order"]):
                served(given)


@pytest.mark.parametrize("names", [(NAMES,), (NAMES, ("a", "b"), None), (NAMES, ("a",)), (NAMES, "ab"), NAMES[:2],
                                   (NAMES, ("a", 3)), [NAMES, None]])
def test_a_predictor_of_several_inputs_takes_no_other_names(names):
    people, other = fr.Input((3,)), fr.Input((2,))
    model = fr.Model([people, other], layers.Dense(1)(layers.Concatenate()([people, other])), seed=0)
    with pytest.raises((TypeError, ValueError), match="feature_names"):
        fr.Predictor(core_of(model).require_network("freeze"), names)


@pytest.mark.parametrize("damage", ["age", ["age", "height", 3], ["age"], {"age": 1}, 7, True])
def test_damaged_names_of_a_file_are_refused(damage, tmp_path):
    from fastreg import _core

    path = tmp_path / "net.safetensors"
    fitted().save(path)
    file = _core.ModelReader(os.fsencode(path))
    tensors = {name: file.read(i, 0, math.prod(s)).reshape(s) for i, (name, s) in enumerate(file.shapes.items())}
    description = json.loads(file.description)
    assert description["feature_names"] == list(NAMES)
    _core.save_file(os.fsencode(path), json.dumps(description | {"feature_names": damage}), tensors)
    with refusal(ValueError, ["feature_names"]):
        fr.load(path)


@pytest.mark.parametrize("names", [("a", "b"), ["a", "b", "c"], ("a", "b", 3), "abc", 7])
def test_a_predictor_takes_no_other_names(names):
    state = network()
    state.build(3)
    with pytest.raises((TypeError, ValueError), match="feature_names"):
        fr.Predictor(core_of(state).require_network("freeze"), names)


@pytest.mark.parametrize("preprocess", [None, "standard"])
def test_searches_compare_the_names_too(preprocess):
    x, other = frame(), frame(order=(2, 1, 0))
    search = GridSearch(build_classifier, SPACE, cv=3, seed=0, n_jobs=1, verbose=0, preprocess=preprocess)
    search.fit(x, Y, epochs=2)
    ensemble = search.ensemble(2)
    for call in (lambda: search.predict(other), lambda: search.score(other, Y), lambda: ensemble.predict(other)):
        with refusal(ValueError, ["feature names should match", "same order"]):
            call()
    assert search.predict(x).tobytes() == search.predict(X).tobytes()
    assert search.score(x, Y) == search.score(X, Y)
    np.testing.assert_array_equal(ensemble.predict(x), ensemble.predict(X))
    with refusal((ValueError, RuntimeError), ["feature names should match", "same order"]):
        GridSearch(build_classifier, SPACE, cv=3, seed=0, n_jobs=1, verbose=0, preprocess=preprocess).fit(
            x, Y, validation_data=(other, Y))


def test_models_of_searches_know_the_names():
    x, other = frame(), frame(order=(2, 1, 0))
    search = GridSearch(build_classifier, SPACE, cv=3, seed=0, n_jobs=1, verbose=0).fit(x, Y, epochs=2)
    found = cross_validate(build_classifier, x, Y, params={"units": 3, "lr": 0.1}, cv=3, seed=0, return_models=True)
    for model in (search.best_model_, pickle.loads(pickle.dumps(search)).best_model_, *found["models"]):
        assert tuple(model.feature_names_in_) == NAMES
        with refusal(ValueError, ["same order"]):
            model.predict(other)
    trained = fitted()
    search = GridSearch(lambda params: copy.deepcopy(trained) if params["a"] else 0, {"a": [1]}, cv=2, verbose=0)
    with refusal(ValueError, ["^X: the feature names", "same order"]):
        search.fit(other, Y)


@pytest.mark.parametrize("steps", ["standard", "StandardScaler", "both", "frames", "PCA", "unknown"])
def test_models_of_searches_know_the_names_that_preprocessing_gives(steps):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    decomposition = pytest.importorskip("sklearn.decomposition")
    scaler = preprocessing.StandardScaler()
    preprocess, names = {
        "standard": ("standard", NAMES),
        "StandardScaler": (scaler, NAMES),
        "both": (["standard", scaler], NAMES),
        "frames": (preprocessing.StandardScaler().set_output(transform="pandas"), NAMES),
        "PCA": ([scaler, decomposition.PCA(3)], ("pca0", "pca1", "pca2")),
        "unknown": (preprocessing.FunctionTransformer(np.asarray), None),
    }[steps]
    search = GridSearch(build_classifier, SPACE, cv=3, seed=0, n_jobs=1, verbose=0, preprocess=preprocess,
                        keep_models=True).fit(frame(), Y, epochs=2)
    model = search.best_model_
    assert getattr(model, "feature_names_in_", None) is None if names is None else \
        tuple(model.feature_names_in_) == names
    transformed = np.asarray(search.best_preprocess_.transform(frame()), np.float32)
    np.testing.assert_array_equal(search.predict(frame()), model.predict(transformed))
    search.ensemble(2).predict(frame())
    if names is not None:
        reordered = FRAMES["pandas"]({name: transformed[:, i] for i, name in reversed(list(enumerate(names)))})
        for served in (model.predict, model.freeze()):
            served(reordered[list(names)])
            for other in (reordered, frame(order=(2, 1, 0))):
                with refusal(ValueError, ["feature names should match"]):
                    served(other)
    unnamed = GridSearch(build_classifier, SPACE, cv=3, seed=0, n_jobs=1, verbose=0, preprocess=preprocess)
    assert not hasattr(unnamed.fit(X, Y, epochs=1).best_model_, "feature_names_in_")


def test_a_wide_frame_is_looked_at_once_a_call(monkeypatch):
    """Names are compared as a whole: the labels of thousands of columns are made into a list once for each frame."""
    pandas = pytest.importorskip("pandas")
    from fastreg.data import frames

    wide = pandas.DataFrame(np.ones((4, 3000)), columns=[f"c{i}" for i in range(3000)])
    model = compiled([layers.Dense(1)], loss="mse")
    model.fit(wide, np.arange(4.0), verbose=0)
    asked = []
    labels = frames.labels
    monkeypatch.setattr(frames, "labels", lambda value: asked.append(value) or labels(value))
    for call in (lambda: model.predict(wide), lambda: model.evaluate(wide, np.arange(4.0), verbose=0),
                 lambda: model.fit(wide, np.arange(4.0), epochs=3, verbose=0)):
        asked.clear()
        call()
        assert sum(value is wide for value in asked) == 1


@pytest.mark.parametrize("call", ["predict", "train_on_batch", "test_on_batch", "fit"])
def test_a_batch_gives_the_names_of_its_columns(call):
    model = compiled([layers.Dense(1)], loss="mse", n_features=3)
    targets = () if call == "predict" else (np.ones(len(frame())),)
    model.train_on_batch(frame(), np.ones(len(frame())))
    getattr(model, call)(frame(), *targets)
    with pytest.raises(ValueError, match=r"^x: the feature names should match those that were passed during fit"):
        getattr(model, call)(frame(order=(1, 0, 2)), *targets)
