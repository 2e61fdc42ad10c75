"""Layers that prepare features: adapting to data, calls on arrays beside NumPy and scikit-learn, lookups."""

from __future__ import annotations

import copy
import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from programs import refusal, same_bits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)) * [1.0, 50.0, 0.1] + [3.0, -80.0, 0.5]


@pytest.mark.parametrize("robust", [False, True])
def test_normalization_is_that_of_scikit_learn(robust):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = X.copy()
    x[:5] *= 1000.0
    scaler = preprocessing.RobustScaler(unit_variance=True) if robust else preprocessing.StandardScaler()
    norm = layers.Normalization(robust=robust)
    norm.adapt(x)
    np.testing.assert_allclose(norm(x), scaler.fit_transform(x), rtol=1e-4, atol=1e-4)
    back = layers.Normalization(mean=norm.mean, variance=norm.variance, invert=True)
    np.testing.assert_allclose(back(norm(x)), x, rtol=1e-3, atol=1e-2)


def test_robust_statistics_of_a_feature_that_is_mostly_zero_are_its_deviation():
    x = np.stack([X[:, 0], np.arange(300) % 10 == 0, np.full(300, 4.0)], axis=1)
    norm = layers.Normalization(robust=True)
    norm.adapt(x)
    np.testing.assert_array_equal(norm.mean[1:], [0.0, 4.0])
    np.testing.assert_allclose(norm.variance[1:], [0.1 * 0.9, 0.0], rtol=1e-6)
    alone = layers.Normalization(robust=True)
    alone.adapt(x[:, :1])
    assert norm.variance[0] == alone.variance[0] != np.float32(x[:, 0].var()), "what another feature is does not matter"
    whole = layers.Normalization(axis=None, robust=True)
    whole.adapt(x[:, 1])
    np.testing.assert_allclose([whole.mean[0], whole.variance[0]], [0.0, 0.1 * 0.9], rtol=1e-6)


@pytest.mark.parametrize("invert", [False, True])
def test_a_model_normalizes_and_its_frozen_form_folds_it(invert):
    norm = layers.Normalization(mean=[3.0, -80.0, 0.5], variance=[1.0, 2500.0, 0.01], invert=invert)
    model = fr.Sequential([fr.Input((3,)), norm, layers.Dense(4, "tanh"), layers.Dense(2)], seed=0)
    kernel, bias = model.layers[1].get_weights()
    last, shift = model.layers[2].get_weights()
    expected = np.tanh(norm(X).astype(np.float64) @ kernel + bias) @ last + shift
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-4)
    frozen = model.freeze()
    assert "normalised" not in repr(frozen)
    np.testing.assert_allclose(frozen(X), expected, rtol=1e-3, atol=1e-3)
    assert model.count_params(trainable=False) == 6


def test_rescaling_is_folded():
    model = fr.Sequential([fr.Input((3,)), layers.Rescaling(0.01, -0.5), layers.Dense(2)], seed=0)
    kernel, bias = model.layers[1].get_weights()
    expected = (X * 0.01 - 0.5) @ kernel + bias
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-5)
    assert repr(model.freeze()) == "<Predictor: 3 -> 2>"
    np.testing.assert_allclose(model.freeze()(X), expected, rtol=1e-5, atol=1e-5)


def compiled(norm):
    model = fr.Sequential([norm, layers.Dense(8, "relu"), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    return model


def test_adapting_reaches_the_models_of_a_layer():
    norm = layers.Normalization()
    model = compiled(norm)
    with refusal(ValueError, ["Normalization", "adapt"]):
        model.fit(X, X[:, 0], verbose=0)
    norm.adapt(X)
    model.fit(X, X[:, 0], verbose=0)
    np.testing.assert_allclose(model.layers[0].get_weights()[0], X.mean(axis=0), rtol=1e-5)
    before = model.get_weights()
    model.layers[0].adapt(2 * X)
    np.testing.assert_allclose(model.layers[0].get_weights()[1], (2 * X).var(axis=0), rtol=1e-5)
    assert same_bits(before[2:], model.get_weights()[2:])
    other = pickle.loads(pickle.dumps(model))
    kept, shallow = copy.deepcopy(model), copy.copy(model)
    model.layers[0].adapt(X)
    assert same_bits(other.get_weights(), kept.get_weights())
    assert same_bits(other.get_weights(), shallow.get_weights())
    assert not same_bits(other.get_weights(), model.get_weights())


def test_statistics_are_in_files(tmp_path):
    norm = layers.Normalization()
    norm.adapt(X)
    model = compiled(norm)
    model.fit(X, X[:, 0], verbose=0)
    model.save(tmp_path / "m.safetensors")
    other = fr.load(tmp_path / "m.safetensors")
    for one in (model, other):
        one.fit(X, X[:, 0], epochs=2, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


def test_one_mean_for_rows_of_any_shape():
    images = RNG.normal(size=(20, 4, 3)) * 5 + 2
    norm = layers.Normalization(axis=None)
    norm.adapt(images)
    made = norm(images)
    assert abs(made.mean()) < 1e-5
    assert made.std() == pytest.approx(1, rel=1e-5)
    model = fr.Sequential([fr.Input((4, 3)), norm, layers.Flatten(), layers.Dense(2)], seed=0)
    kernel, bias = model.layers[2].get_weights()
    np.testing.assert_allclose(model.predict(images), made.reshape(20, -1) @ kernel + bias, rtol=1e-4, atol=1e-4)


def test_encodings_of_arrays():
    encode = layers.CategoryEncoding
    assert encode(4, "one_hot")([1, 3]).tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert encode(4, "one_hot")([[1], [3]]).tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert encode(4)([[1, 3], [2, 2]]).tolist() == [[0, 1, 0, 1], [0, 0, 1, 0]]
    assert encode(4)([1, 3]).tolist() == [0, 1, 0, 1]
    assert encode(4, "count")([[1, 3], [2, 2]]).tolist() == [[0, 1, 0, 1], [0, 0, 2, 0]]
    weights = [[0.5, 2.0], [1.0, 3.0]]
    assert encode(4, "count")([[1, 3], [2, 2]], count_weights=weights).tolist() == [[0, 0.5, 0, 2], [0, 0, 4, 0]]


def test_words():
    lookup = layers.StringLookup()
    lookup.adapt(np.array([["b", "a"], ["b", "c"], ["d", "d"]]))
    assert lookup.get_vocabulary() == ["[UNK]", "d", "b", "c", "a"]  # ties: the greater word first
    assert lookup.vocabulary_size() == 5
    assert lookup(["a", "d", "z"]).tolist() == [4, 1, 0]
    assert lookup(np.array([["a"], ["z"]], object)).tolist() == [[4], [0]]
    back = layers.StringLookup(vocabulary=lookup.get_vocabulary(), invert=True)
    assert back([4, 1, 0, 99]).tolist() == ["a", "d", "[UNK]", "[UNK]"]
    short = layers.StringLookup(max_tokens=3)
    short.adapt(["x", "x", "y", "z", "z", "z"])
    assert short.get_vocabulary() == ["[UNK]", "z", "x"]
    padded = layers.StringLookup(6, vocabulary=["a"], output_mode="multi_hot", pad_to_max_tokens=True)
    assert padded([["a", "b"]]).shape == (1, 6)
    same = layers.StringLookup(**lookup.get_config())
    assert same.get_vocabulary() == lookup.get_vocabulary()
    assert layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["a", "a"]).tolist() == [0, 0]


def test_integers():
    lookup = layers.IntegerLookup()
    lookup.adapt(np.array([[10**12, 5], [5, -7]]))
    assert lookup.get_vocabulary() == [-1, 5, 10**12, -7]
    assert lookup([[-7, 5], [10**12, 3]]).tolist() == [[3, 1], [2, 0]]
    several = layers.IntegerLookup(num_oov_indices=3, vocabulary=[10, 20])
    assert several([10, 20, 4, 5, 6]).tolist() == [3, 4, 1, 2, 0]


def test_masks_have_a_number_but_no_column():
    numbered = layers.StringLookup(vocabulary=["a", "b"], mask_token="")
    assert numbered.get_vocabulary() == ["", "[UNK]", "a", "b"]
    assert numbered([["a", "", "q", "b"]]).tolist() == [[2, 0, 1, 3]]
    masked = layers.StringLookup(vocabulary=["a", "b"], mask_token="", output_mode="count")
    assert masked.get_vocabulary() == ["[UNK]", "a", "b"]
    assert masked.vocabulary_size() == 3
    assert masked([["a", "", "q", "a"]]).tolist() == [[1, 2, 0]]
    assert layers.IntegerLookup(vocabulary=[3, 4], mask_token=0, output_mode="one_hot")([[0], [9], [4]]).tolist() == [
        [0, 0, 0], [1, 0, 0], [0, 0, 1]]
    several = layers.IntegerLookup(5, 2, 0, output_mode="multi_hot", pad_to_max_tokens=True)
    several.adapt([0, 0, 0, 7, 7, 6])
    assert several.get_vocabulary() == [-1, -1, 7, 6]
    assert several([[0, 7, 0], [9, 6, 0]]).tolist() == [[0, 0, 1, 0, 0], [0, 1, 0, 1, 0]]
    again = layers.IntegerLookup(**several.get_config())
    assert again([[0, 7, 0], [9, 6, 0]]).tolist() == several([[0, 7, 0], [9, 6, 0]]).tolist()
    known = layers.StringLookup(vocabulary=["a"], num_oov_indices=0, mask_token="", output_mode="one_hot")
    assert known(["", "a"]).tolist() == [[0], [1]]
    with refusal(ValueError, ["vocabulary", "''"]):
        layers.StringLookup(vocabulary=["", "a"], mask_token="", output_mode="count")


def test_idle_arguments_of_keras():
    assert layers.StringLookup(vocabulary=["a"], sparse=False, encoding="utf-8")(["a"]).tolist() == [1]
    assert layers.IntegerLookup(vocabulary=[1], sparse=False, oov_method="floormod")([1]).tolist() == [1]
    for call in (lambda: layers.StringLookup(sparse=True), lambda: layers.Discretization([0.0], sparse=True)):
        with refusal(ValueError, ["sparse"]):
            call()
    with refusal(TypeError, ["StringLookup", "words"]):
        layers.StringLookup(words=3)


def test_intervals():
    bins = layers.Discretization(num_bins=4)
    bins.adapt(np.arange(101.0))
    assert bins.bin_boundaries == [25.0, 50.0, 75.0]
    assert bins([[-1.0, 25.0, 60.0, 500.0]]).tolist() == [[0, 1, 2, 3]]
    assert layers.Discretization([0.0], output_mode="one_hot")([-1.0, 1.0]).tolist() == [[1, 0], [0, 1]]
    assert layers.Discretization(**bins.get_config())([60.0]).tolist() == [2]


REFUSED = {
    "a lookup in a list": (
        lambda: fr.Sequential([layers.StringLookup(vocabulary=["a"])]), ["StringLookup", "x = layer"]),
    "a lookup on a value": (lambda: layers.IntegerLookup(vocabulary=[1])(fr.Input((1,))), ["IntegerLookup", "fit"]),
    "intervals on a value": (lambda: layers.Discretization([0.0])(fr.Input((1,))), ["Discretization", "predict"]),
    "no vocabulary": (lambda: layers.StringLookup()(["a"]), ["StringLookup", "adapt"]),
    "an unknown word": (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"]), ["vocabulary", "'b'"]),
    "a word twice": (lambda: layers.StringLookup(vocabulary=["a", "a"]), ["vocabulary", "'a' twice"]),
    "too many words": (lambda: layers.StringLookup(2, vocabulary=["a", "b"]), ["max_tokens, 2", "got 3"]),
    "two unknown": (lambda: layers.StringLookup(num_oov_indices=2), ["num_oov_indices", "got 2"]),
    "words and one_hot": (lambda: layers.StringLookup(invert=True, output_mode="count"), ["output_mode", "invert"]),
    "padding alone": (lambda: layers.StringLookup(pad_to_max_tokens=True), ["pad_to_max_tokens"]),
    "weights of words": (lambda: layers.StringLookup(idf_weights=[1.0]), ["idf_weights"]),
    "one statistic": (lambda: layers.Normalization(mean=1.0), ["mean and variance"]),
    "a negative variance": (lambda: layers.Normalization(mean=1.0, variance=-1.0), ["variance", "-1.0"]),
    "no statistics": (lambda: layers.Normalization()(X), ["Normalization", "adapt"]),
    "NaN": (lambda: layers.Normalization().adapt([[np.nan]]), ["Normalization: data", "finite"]),
    "statistics of others": (
        lambda: fr.Sequential([fr.Input((3,)), layers.Normalization(mean=[1.0, 2.0], variance=1.0)]).build(3),
        ["mean must be of 3 features, got 2"]),
    "both boundaries": (lambda: layers.Discretization([0.0], num_bins=2), ["bin_boundaries", "num_bins"]),
    "falling boundaries": (lambda: layers.Discretization([1.0, 0.0]), ["bin_boundaries", "increase"]),
    "an integer too large": (lambda: layers.CategoryEncoding(3)([[3]]), ["CategoryEncoding", "got 3"]),
    "no integer": (lambda: layers.CategoryEncoding(3)([[0.5]]), ["CategoryEncoding", "0.5"]),
    "weights without counts": (lambda: layers.CategoryEncoding(3)([[1]], count_weights=[[1]]), ["count_weights"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    call, words = REFUSED[case]
    with refusal(ValueError, words):
        call()
