"""Models that are layers of other models: their layers, their weights, which are shared, and their files."""

from __future__ import annotations

import copy
import pickle
import re

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from programs import refusal, same_bits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6)).astype(np.float32)


def parts():
    encoder = fr.Sequential([fr.Input((6,)), layers.Dense(3, "tanh")], name="encoder", seed=1)
    decoder = fr.Sequential([layers.Dense(6)], name="decoder", seed=2)
    return encoder, decoder


def autoencoder(kind="Sequential"):
    encoder, decoder = parts()
    if kind == "Sequential":
        model = fr.Sequential([encoder, decoder], seed=3)
    else:
        x = fr.Input((6,))
        model = fr.Model(x, decoder(encoder(x)), seed=3)
    model.compile(fr.optimizers.Adam(0.01), "mse")
    return model, encoder, decoder


@pytest.mark.parametrize("kind", ["Sequential", "Model"])
def test_weights_are_shared(kind):
    model, encoder, decoder = autoencoder(kind)
    assert same_bits([model.predict(X)], [decoder.predict(encoder.predict(X))])
    start = model.evaluate(X, X, verbose=0)
    model.fit(X, X, epochs=5, verbose=0)
    assert model.evaluate(X, X, verbose=0) < start
    assert same_bits([model.predict(X)], [decoder.predict(encoder.predict(X))])
    encoder.set_weights([np.zeros_like(w) for w in encoder.get_weights()])
    assert same_bits([model.predict(X)], [decoder.predict(np.zeros((120, 3), np.float32))])
    model.set_weights([np.ones_like(w) for w in model.get_weights()])
    assert all((w == 1).all() for w in encoder.get_weights())
    encoder.compile("sgd", "mse")
    encoder.fit(X, np.ones((120, 3)), verbose=0)
    assert same_bits(model.get_weights()[:2], encoder.get_weights())


def test_weights_are_shared_over_three_models():
    model, encoder, decoder = autoencoder()
    outer = fr.Sequential([model, layers.Dense(2)], seed=4)
    outer.compile("sgd", "mse")

    def follows():
        kernel, bias = outer.get_weights()[-2:]
        hidden = decoder.predict(encoder.predict(X))
        np.testing.assert_array_equal(model.predict(X), hidden)
        np.testing.assert_allclose(outer.predict(X), hidden @ kernel + bias, rtol=1e-5, atol=1e-5)

    outer.predict(X)
    encoder.set_weights([w + 1 for w in encoder.get_weights()])
    follows()
    encoder.set_weights([w - 2 for w in encoder.get_weights()])
    assert same_bits(outer.get_weights()[:2], encoder.get_weights())  # though the model between them was not used
    outer.fit(X, X[:, :2], verbose=0)
    follows()
    decoder.compile("sgd", "mse")
    decoder.fit(X[:, :3], X, verbose=0)
    follows()


@pytest.mark.parametrize("change", [lambda model: model.add(layers.Dense(3)), lambda model: model.pop()])
def test_a_model_within_that_has_other_layers_than_when_it_was_built_is_refused(change):
    encoder = fr.Sequential([fr.Input((6,)), layers.Dense(3), layers.Dense(3)], name="encoder")
    model = fr.Sequential([encoder, layers.Dense(2)], name="outer")
    model.predict(X)
    change(encoder)
    for call in (model.predict, model.freeze, model.get_weights):
        with refusal(ValueError, ["outer", "built", "add or pop"]):
            call(*([X] if call == model.predict else []))


@pytest.mark.parametrize("change", [
    lambda model: model.weights[0].assign(np.full((6, 3), 0.5)),
    lambda model: model.layers[0].set_weights([np.full((6, 3), 0.5), np.ones(3)]),
], ids=["assign", "layer.set_weights"])
def test_a_weight_that_is_set_alone_is_shared(change):
    model, encoder, decoder = autoencoder()
    for changed in (encoder, model):
        model.predict(X)
        change(changed)
        assert (encoder.get_weights()[0] == 0.5).all()
        assert same_bits([model.predict(X)], [decoder.predict(encoder.predict(X))])
        encoder.set_weights([w + 1 for w in encoder.get_weights()])


@pytest.mark.parametrize("kind", ["Sequential", "Model"])
def test_it_trains_as_the_same_layers_in_one_model(kind):
    model, _, _ = autoencoder(kind)
    flat = fr.Sequential([fr.Input((6,)), layers.Dense(3, "tanh"), layers.Dense(6)], seed=3)
    flat.compile(fr.optimizers.Adam(0.01), "mse")
    flat.set_weights(model.get_weights())
    one, other = (m.fit(X, X, epochs=4, batch_size=16, verbose=0).history for m in (model, flat))
    assert one == other
    assert same_bits(model.get_weights(), flat.get_weights())


def test_a_model_within_that_is_not_trained_keeps_its_weights():
    model, encoder, decoder = autoencoder()
    model.fit(X, X, verbose=0)
    encoder.trainable = False
    before = encoder.get_weights(), decoder.get_weights()
    model.fit(X, X, verbose=0)
    assert same_bits(before[0], encoder.get_weights())
    assert not same_bits(before[1], decoder.get_weights())
    encoder.trainable = True
    model.fit(X, X, verbose=0)
    assert not same_bits(before[0], encoder.get_weights())


@pytest.mark.parametrize("built_first", [True, False])
def test_what_is_trained_is_one_matter_of_both_models(built_first):
    """After each assignment the numbers of trained weights, and what the flags say, are those of Keras 3.15."""
    base = fr.Sequential([fr.Input((4,)), layers.Dense(3), layers.Dense(2)], name="base")
    model = fr.Sequential([base, layers.Dense(1)])
    if built_first:
        model.compile("adam", "mse")
        model.fit(X[:, :4], X[:, 4], verbose=0)
    everything, head, nothing = (26, 23, True, True, True), (3, 0, False, False, True), (0, 0, False, False, False)
    for owner, value, expected in [
        (base, False, head),
        (model.layers[0], True, everything),
        (base, False, head),
        (model, True, everything),
        (model.layers[0], False, head),
        (base, True, everything),
        (model, False, nothing),
        (model, True, everything),
    ]:
        owner.trainable = value
        trained = [one.count_params(trainable=True) for one in (model, base)]
        assert (*trained, model.layers[0].trainable, base.trainable, model.trainable) == expected
        lines = []
        model.summary(show_trainable=True, print_fn=lines.append)
        assert re.search(r"base \(Sequential\).* ([YN])\n", lines[0])[1] == ("Y" if expected[3] else "N")
    if built_first:
        before = base.get_weights()
        model.layers[0].trainable = False
        model.fit(X[:, :4], X[:, 4], verbose=0)
        assert same_bits(before, base.get_weights())
        model.trainable = True
        model.fit(X[:, :4], X[:, 4], verbose=0)
        assert not same_bits(before, base.get_weights())


def test_two_models_share_a_third():
    model, encoder, _ = autoencoder()
    x = fr.Input((6,))
    other = fr.Model(x, layers.Dense(1)(encoder(x)), seed=4)
    model.fit(X, X, verbose=0)
    assert same_bits(other.get_weights()[:2], encoder.get_weights())
    other.compile("sgd", "mse")
    other.fit(X, X[:, 0], verbose=0)
    assert same_bits(model.get_weights()[:2], other.get_weights()[:2])


@pytest.mark.parametrize("kind", ["Sequential", "Model"])
@pytest.mark.parametrize("copied", ["file", "pickle", "copy", "shallow copy", "config"])
def test_it_survives_copies(kind, copied, tmp_path):
    model, encoder, _ = autoencoder(kind)
    model.fit(X, X, verbose=0)
    if copied == "file":
        model.save(tmp_path / "m.safetensors")
        other = fr.load(tmp_path / "m.safetensors")
    elif copied == "config":
        other = type(model).from_config(model.get_config())
        other.set_weights(model.get_weights())
    else:
        how = {"pickle": lambda one: pickle.loads(pickle.dumps(one)), "copy": copy.deepcopy, "shallow copy": copy.copy}
        other = how[copied](model)
    assert [layer.name for layer in other.layers] == ["encoder", "decoder"]
    assert same_bits([other.predict(X)], [model.predict(X)])
    if copied != "config":
        before = model.get_weights()
        other.fit(X, X, epochs=2, verbose=0)
        assert same_bits(model.get_weights(), before)
        model.fit(X, X, epochs=2, verbose=0)
        assert same_bits(other.get_weights(), model.get_weights())
    kept = other.get_weights()
    encoder.set_weights([w + 1 for w in encoder.get_weights()])
    assert same_bits(other.get_weights(), kept)  # a copy shares nothing with the original


def test_a_model_within_is_trained_if_any_of_its_layers_is():
    inner = fr.Sequential([layers.Dense(3), layers.Dense(2)], seed=0)
    outer = fr.Sequential([fr.Input((4,)), inner, layers.Dense(1)], seed=1)
    for flags in ([True, True], [False, True], [True, False], [False, False]):
        for layer, trained in zip(inner.layers, flags, strict=True):
            layer.trainable = trained
        assert outer.layers[0].trainable is any(flags)
        assert len(outer.trainable_weights) == 2 * sum(flags) + 2


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_it_is_copied_after_a_model_within_is_set_to_be_trained_again(copied):
    """The moments of a copy are those of the layers that are trained now, not of those at the last fit."""
    model, encoder, _ = autoencoder()
    model.fit(X, X, epochs=2, verbose=0)
    encoder.trainable = False
    model.fit(X, X, epochs=1, verbose=0)
    encoder.trainable = True
    other = copied(model)
    for one in (model, other):
        one.fit(X, X, epochs=1, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


def test_averages_go_on_after_a_model_within_is_set_to_be_trained_again():
    """As where the same layers are in one model: the next fit continues from the weights that were averaged."""
    nested, encoder, _ = autoencoder()
    flat = fr.Sequential([fr.Input((6,)), layers.Dense(3, "tanh"), layers.Dense(6)], seed=3)
    flat.set_weights(nested.get_weights())
    for model, first in ((nested, encoder), (flat, flat.layers[0])):
        model.compile(fr.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9), "mse")
        model.fit(X, X, epochs=2, verbose=0)
        for trainable in (False, True):
            first.trainable = trainable
            model.fit(X, X, epochs=1, verbose=0)
    assert same_bits(nested.get_weights(), flat.get_weights())


def test_weights_of_a_model_within_outlast_a_change_of_what_is_trained():
    """Those that were set since the outer model was used last."""
    model, encoder, decoder = autoencoder()
    model.fit(X, X, verbose=0)
    encoder.set_weights([weight + 1 for weight in encoder.get_weights()])
    model.layers[1].trainable = False
    assert same_bits(model.get_weights(), encoder.get_weights() + decoder.get_weights())


def test_a_model_that_is_called_twice_and_one_within_a_model_within(tmp_path):
    stack = [fr.Input((6,)), layers.Normalization(), layers.Dense(4, "relu"), layers.Dense(2)]
    tower = fr.Sequential(stack, name="tower")
    tower.layers[0].adapt(X)
    a, b = fr.Input((6,), name="a"), fr.Input((6,), name="b")
    twins = fr.Model([a, b], layers.subtract([tower(a), tower(b)]), name="twins", seed=0)
    assert twins.count_params() == tower.count_params()
    assert same_bits([twins.predict([X, X])], [np.zeros((120, 2), np.float32)])
    c, d = fr.Input((6,), name="c"), fr.Input((6,), name="d")
    outer = fr.Model([c, d], layers.Dense(1)(twins([c, d])), seed=1)
    outer.compile("adam", "mse")
    y = X[::-1].copy()
    outer.fit([X, y], X[:, 0], epochs=3, verbose=0)
    np.testing.assert_allclose(
        twins.predict([X, y]), tower.predict(X) - tower.predict(y), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outer.freeze()([X, y]), outer.predict([X, y]), rtol=1e-5, atol=1e-5)
    outer.save(tmp_path / "m.safetensors")
    assert same_bits([fr.load(tmp_path / "m.safetensors").predict([X, y])], [outer.predict([X, y])])


def test_what_it_shows(capsys):
    model, encoder, _ = autoencoder()
    model.summary()
    out = capsys.readouterr().out
    assert "encoder (Sequential)  (None, 3)" in out
    unnamed = [fr.Sequential([layers.Dense(3)]) for _ in range(2)]
    assert [layer.name for layer in fr.Sequential([fr.Input((6,)), *unnamed]).layers] == ["sequential", "sequential_1"]
    assert same_bits([encoder(X)], [encoder.predict(X)])


def test_what_is_refused():
    encoder, _ = parts()
    a, b = fr.Input((2,), name="a"), fr.Input((2,), name="b")
    two = fr.Model([a, b], layers.add([a, b]))
    many = fr.Model(c := fr.Input((2,)), [layers.Dense(1)(c), layers.Dense(1)(c)])
    for call, words in (
        (lambda: encoder(fr.Input((5,))), ["Sequential", "encoder", "6"]),
        (lambda: fr.Sequential([two]), ["Sequential", "one input"]),
        (lambda: two(a), ["Functional", "2 values", "got 1"]),
        (lambda: many(a), ["Functional", "one output", "got 2"]),
    ):
        with refusal(ValueError, words):
            call()
