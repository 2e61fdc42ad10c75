"""Embedding and CategoryEncoding: integers in, gradients of the rows of a batch, and layers that are called twice."""

from __future__ import annotations

import pickle
import re

import fastreg as fr
import graph_reference as graphs
import numpy as np
import pytest
import reference as ref
from cases import RULES, made
from fastreg import layers, optimizers, regularizers
from pairs import float32, random_weights, rounded
from programs import refusal, same_bits


def data(rng, n=37, count=11, width=3):
    return rng.integers(0, count, (n, width)), rng.normal(size=(n, 2)).astype(np.float32)


def trained_pair(rng, first, oracle, optimizer, width=3, batch=8, epochs=3):
    model = fr.Sequential([fr.Input((width,)), first, layers.Flatten(), layers.Dense(2)], seed=0)
    model.compile(made(optimizer), "mse")
    names = [w.name for w in model.weights]
    weights = random_weights([w.shape for w in model.get_weights()], names, rng)
    model.set_weights(weights)
    net = ref.Network([oracle, ref.Dense(2)], weights, optimizer=rounded(optimizer))
    x, t = data(rng, width=width)
    history = model.fit(x, t, batch_size=batch, epochs=epochs, shuffle=False, verbose=0).history["loss"]
    expected = net.fit(x.astype(np.float64), t.astype(np.float64), epochs, batch)
    np.testing.assert_allclose(history, expected, rtol=2e-5)
    return model, net, x


# Every rule with a narrow table, and every kind of width with one rule.
TABLES = [(rule, 3) for rule in RULES] + [(next(iter(RULES)), dim) for dim in (1, 16, 17, 64, 65, 130)]


@pytest.mark.parametrize(("rule", "dim"), TABLES)
def test_a_table_trains_as_the_oracle(rule, dim, rng):
    """Every rule, with a penalty; widths that lie in one panel of the table and in several."""
    penalty = regularizers.L1L2(0.002, 0.003)
    first = layers.Embedding(11, dim, embeddings_regularizer=penalty)
    oracle = graphs.Embedding(11, dim, ref.Penalty(float32(0.002), float32(0.003)))
    model, net, x = trained_pair(rng, first, oracle, RULES[rule])
    for found, expected in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    shown = ref.Network([graphs.Embedding(11, dim), ref.Dense(2)], net.get_weights())
    expected = shown.forward(x.astype(np.float64))
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-4, atol=1e-4)
    frozen = model.freeze()
    np.testing.assert_allclose(frozen(x), model.predict(x), rtol=1e-5, atol=1e-6)
    assert same_bits([pickle.loads(pickle.dumps(frozen))(x)], [frozen(x)])


@pytest.mark.parametrize("mode", ["multi_hot", "one_hot", "count"])
@pytest.mark.parametrize("width", [1, 3])
def test_encodings_train_as_the_oracle(mode, width, rng):
    first = layers.CategoryEncoding(11, mode)
    model, net, x = trained_pair(rng, first, graphs.CategoryEncoding(11, mode), ref.SGD(0.1), width=width)
    np.testing.assert_allclose(model.predict(x), net.forward(x.astype(np.float64)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.freeze()(x), model.predict(x), rtol=1e-5, atol=1e-6)
    outside = layers.CategoryEncoding(11, mode)(x)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict(x), outside.reshape(len(x), -1) @ kernel + bias, rtol=1e-4, atol=1e-5)


def recommender(seed=0, **options):
    user, item = fr.Input((1,), name="user"), fr.Input((), name="item")
    left = layers.Flatten()(layers.Embedding(40, 6, name="users", **options)(user))
    right = layers.Embedding(25, 6, name="items", **options)(item)
    model = fr.Model([user, item], layers.Dot(axes=1)([left, right]), seed=seed)
    model.compile(optimizers.Adam(0.02), "mse")
    return model


def ratings(rng, n=600):
    users, items = rng.integers(0, 40, n), rng.integers(0, 25, n)
    return [users, items], (rng.normal(size=(40, 2))[users] * rng.normal(size=(25, 2))[items]).sum(axis=1)


def test_users_and_items(rng, tmp_path):
    x, y = ratings(rng)
    model = recommender()
    history = model.fit(x, y, epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.05 * history[0]
    users, items = model.get_weights()
    expected = (users.astype(np.float64)[x[0]] * items.astype(np.float64)[x[1]]).sum(axis=1)
    np.testing.assert_allclose(model.predict(x)[:, 0], expected, rtol=1e-5, atol=1e-5)
    named = model.predict({"user": x[0][:, None], "item": x[1]})
    np.testing.assert_allclose(named[:, 0], expected, rtol=1e-5, atol=1e-5)
    model.save(tmp_path / "m.safetensors")
    other = fr.load(tmp_path / "m.safetensors")
    for one in (model, other):
        one.fit(x, y, epochs=2, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_changes_no_bit(threads, rng):
    x, y = ratings(rng, 200)
    results = []
    for count in (1, threads):
        model = recommender()
        model._core.trainer_for(None).parallel_threshold = 0.0
        with fr.thread_limit(count):
            model.fit(x, y, batch_size=64, epochs=4, verbose=0)
        results.append(model.get_weights())
    assert same_bits(*results)


def test_rows_that_no_batch_has_keep_their_values():
    """Under SGD without momentum; and the rows of the batch before are not trained again."""
    model = fr.Sequential([fr.Input(()), layers.Embedding(9, 4), layers.Dense(1)], seed=0)
    model.compile(optimizers.SGD(0.1), "mse")
    before = model.get_weights()[0]
    model.fit(np.array([1, 1, 3, 5]), np.ones(4), batch_size=2, epochs=3, shuffle=False, verbose=0)
    moved = np.flatnonzero((model.get_weights()[0] != before).any(axis=1))
    assert moved.tolist() == [1, 3, 5]
    before = model.get_weights()[0]
    model.fit(np.array([7]), np.ones(1), verbose=0)  # another run: what the one before left is forgotten
    assert np.flatnonzero((model.get_weights()[0] != before).any(axis=1)).tolist() == [7]


def test_a_table_that_is_not_trained_keeps_its_values(rng):
    x, y = ratings(rng, 100)
    model = recommender()
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(x, y, epochs=3, verbose=0)
    changed = [not same_bits([a], [b]) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [model.layers[0].name != "users", model.layers[0].name == "users"]


BAD = {"too large": 25, "negative": -1, "between": 1.5}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("call", ["fit", "predict", "evaluate", "validation"])
def test_integers_out_of_range_are_an_error_before_anything_is_trained(bad, call, rng):
    x, y = ratings(rng, 50)
    wrong = [x[0], np.where(np.arange(50) == 17, BAD[bad], x[1])]
    model = recommender()
    before = model.get_weights()
    words = ["x['item']".replace("[", r"\[").replace("]", r"\]"), "integers in", "25", "row 17", str(BAD[bad])]
    with refusal(ValueError, words if call != "validation" else ["validation_data", *words[1:]]):
        if call == "fit":
            model.fit(wrong, y, verbose=0)
        elif call == "validation":
            model.fit(x, y, validation_data=(wrong, y), verbose=0)
        elif call == "predict":
            model.predict(wrong)
        else:
            model.evaluate(wrong, y, verbose=0)
    assert same_bits(before, model.get_weights())
    assert np.isnan(model.freeze()([x[0][:, None], wrong[1][:, None]])[17]).all() or bad == "between"


def test_integers_within_a_model_are_never_read_out_of_bounds():
    """What a layer in front of the table makes is not checked; it gives NaN, and other rows are as they were."""
    model = fr.Sequential([fr.Input((1,)), layers.Rescaling(10.0), layers.Embedding(5, 3), layers.Flatten()], seed=0)
    x = np.array([[0.1], [0.5], [-0.1], [1e6]], np.float32)
    for made_by in (model.predict, model.freeze()):
        assert np.isnan(made_by(x)).all(axis=1).tolist() == [False, True, True, True]


def test_what_is_refused():
    for call, words in (
        (lambda: layers.Embedding(0, 4), ["Embedding: input_dim", "got 0"]),
        (lambda: layers.Embedding(2**24 + 1, 4), ["Embedding: input_dim", r"2\*\*24"]),
        (lambda: layers.Embedding(4, 0), ["Embedding: output_dim", "got 0"]),
        (lambda: layers.Embedding(4, 2, mask_zero=True), ["Embedding: mask_zero"]),
        (lambda: layers.CategoryEncoding(0), ["CategoryEncoding: num_tokens", "got 0"]),
        (lambda: layers.CategoryEncoding(3, sparse=True), ["CategoryEncoding: sparse"]),
    ):
        with refusal(ValueError, words):
            call()


# ------------------------------------------------------------------------------------- layers that are called twice


def twice(kind, seed=0):
    """A model in which one layer of a kind is called on two values, and fed with what it made."""
    a, b = fr.Input((3,), name="a"), fr.Input((3,), name="b")
    if kind == "embedding":
        shared = layers.Embedding(7, 3, name="shared")
        first, second = (layers.Flatten()(shared(value)) for value in (a, b))
    else:
        shared = {
            "dense": lambda: layers.Dense(3, "tanh", name="shared"),
            "normalised": lambda: layers.BatchNormalization(name="shared"),
            "dropout": lambda: layers.Dropout(0.5, name="shared"),
            "residual": lambda: layers.Residual([layers.Dense(3, "tanh")], name="shared"),
        }[kind]()
        first, second = shared(a), shared(shared(b))
    model = fr.Model([a, b], layers.Dense(2)(layers.concatenate([first, second])), seed=seed)
    model.compile(optimizers.SGD(0.1), "mse")
    return model


def twice_data(kind, rng, n=40):
    xs = [rng.integers(0, 7, (n, 3)) if kind == "embedding" else rng.normal(size=(n, 3)) for _ in "ab"]
    return xs, rng.normal(size=(n, 2)).astype(np.float32)


@pytest.mark.parametrize("kind", ["dense", "embedding", "residual"])
def test_the_gradients_of_both_uses_count(kind, rng):
    """By finite differences of the loss, in float32: the direction of steepest descent of one step of SGD."""
    model = twice(kind)
    x, t = twice_data(kind, rng)
    start = model.get_weights()
    model.fit(x, t, batch_size=None, verbose=0)
    moved = [(old - new) / 0.1 for old, new in zip(start, model.get_weights(), strict=True)]
    probe = twice(kind)
    for index, gradient in enumerate(moved):
        direction = rng.normal(size=gradient.shape)
        losses = []
        for sign in (1, -1):
            weights = [w.astype(np.float64) for w in start]
            weights[index] = weights[index] + sign * 1e-2 * direction
            probe.set_weights(weights)
            losses.append(probe.evaluate(x, t, verbose=0))
        slope = (losses[0] - losses[1]) / 2e-2
        assert slope == pytest.approx((gradient * direction).sum(), rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("kind", ["dense", "embedding", "normalised", "dropout", "residual"])
def test_a_shared_layer_keeps_the_promises(kind, rng, tmp_path):
    x, t = twice_data(kind, rng)
    results = []
    for threads in (1, 2, 3):
        model = twice(kind)
        model._core.trainer_for(None).parallel_threshold = 0.0
        with fr.thread_limit(threads):
            model.fit(x, t, batch_size=16, epochs=3, verbose=0)
        results.append(model.get_weights())
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])
    model.save(tmp_path / "m.safetensors")
    other = fr.load(tmp_path / "m.safetensors")
    for one in (model, other):
        one.fit(x, t, batch_size=16, epochs=2, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())
    np.testing.assert_allclose(model.freeze()(x), model.predict(x), rtol=1e-5, atol=1e-5)


def test_a_shared_layer_is_there_once(capsys):
    model = twice("dense")
    assert [layer.name for layer in model.layers] == ["shared", "concatenate", "dense"]
    assert model.count_params() == 12 + 14
    model.summary()
    assert re.search(r"shared \(Dense\).* (a, b, shared|b, a, shared|b, shared, a)", capsys.readouterr().out)
    a = fr.Input((3,))
    shared = layers.Dense(2, name="two")
    both = fr.Model(a, [shared(a), shared(layers.Dense(3)(a))], seed=0)
    assert both.output_names == ["two", "two_1"]
    with refusal(ValueError, ["Dense|layers", "same width"]):
        fr.Model([a, b := fr.Input((4,))], layers.Add()([shared(a), shared(b)]), seed=0).build()


@pytest.mark.parametrize("activation", ["relu", "tanh", "linear"])
@pytest.mark.parametrize("dropped", [False, True], ids=["", "dropped"])
def test_a_shared_normalisation_adds_the_gradients_of_two(activation, dropped, rng):
    """A step of two networks that begin alike: in one a normalisation is called twice, in the other there are two."""

    def network(norms):
        a, b = fr.Input((4,), name="a"), fr.Input((4,), name="b")
        hidden = [layers.Dense(5, activation)(a), layers.Dense(5, activation)(b)]
        hidden = [norm(one) for norm, one in zip(norms, hidden, strict=True)]
        if dropped:  # a mask of rate 0, since those of a shared layer and of two layers differ
            hidden = [layers.Dropout(0.0)(one) for one in hidden]
        model = fr.Model([a, b], layers.Dense(2)(layers.concatenate(hidden)), seed=0)
        model.compile(optimizers.SGD(0.5), "mse")
        return model

    xs, t = [rng.normal(size=(32, 4)) for _ in "ab"], rng.normal(size=(32, 2))
    shared = network([norm := layers.BatchNormalization(name="first"), norm])
    apart = network([layers.BatchNormalization(name="first"), layers.BatchNormalization(name="second")])
    start = {w.path: rng.normal(size=w.shape) ** 2 + 0.1 for w in shared.weights}
    for model in (shared, apart):
        model.set_weights([start[w.path.replace("second", "first")] for w in model.weights])
        model.fit(xs, t, batch_size=None, verbose=0)
    found, of_two = ({w.path: w.numpy().astype(np.float64) for w in model.weights} for model in (shared, apart))
    for path, value in found.items():
        expected = of_two[path]
        if path in ("first/gamma", "first/beta"):
            expected = expected + of_two[path.replace("first", "second")] - start[path]
        if "moving" in path:  # m (m v + (1 - m) a) + (1 - m) b, where the two have m v + (1 - m) a and m v + (1 - m) b
            expected = 0.99 * expected + of_two[path.replace("first", "second")] - 0.99 * start[path]
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("behind", ["input", "dense", "normalised"])
def test_masks_of_a_shared_dropout_differ(behind):
    """Each use draws masks of its own."""
    a = fr.Input((64,))
    drop = layers.Dropout(0.5)
    before = {
        "input": lambda: a,
        "dense": lambda: layers.Dense(64, "relu", kernel_initializer="ones")(a),
        "normalised": lambda: layers.BatchNormalization(beta_initializer="ones")(a),
    }[behind]
    y = layers.Subtract()([drop(before()), drop(before())])
    model = fr.Model(a, layers.Dense(1, use_bias=False, kernel_initializer="ones")(y), seed=0)
    model.compile(optimizers.SGD(1e-30), "mse")
    assert max(model.fit(np.ones((1, 64)), np.zeros(1), epochs=5, verbose=0).history["loss"]) > 0


@pytest.mark.parametrize("sizes", [(5, 3), (3, 5), (4, 3, 6)], ids=str)
def test_an_input_that_several_tables_read_keeps_to_the_smallest(sizes):
    a = fr.Input((2,))
    model = fr.Model(a, layers.concatenate([layers.Flatten()(layers.Embedding(size, 2)(a)) for size in sizes]), seed=0)
    assert model.predict([[0, 2], [1, 0]]).shape == (2, 4 * len(sizes))
    for value in (3, 4, 5):
        with pytest.raises(ValueError, match=rf"^x: must be integers in \[0, 3\), got {value} in row 1, column 0"):
            model.predict([[0, 2], [value, 0]])
