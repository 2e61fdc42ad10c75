"""``trainable=False``: a layer's weights stay, bit for bit, and the others train as the oracle says.

Keras's facts (Keras 3): the argument of every layer, the attribute of layers and of models, weights of such a layer
count as non-trainable, its penalties are no part of the loss, and a batch normalisation that is not trained works in
inference mode in training too.
"""

from __future__ import annotations

import copy
import pickle

import fastreg as fr
import graph_reference as graphs
import numpy as np
import pytest
import reference as ref
from cases import made
from fastreg import callbacks, layers
from fastreg.model.core import core_of
from pairs import fastreg_layer, random_weights, reference_layer, rounded, targets, weight_names
from programs import compiled, line, refusal, same_bits
from reference import Penalty

TOLERANCE = 2e-5  # twenty steps of float32 arithmetic, as in test_trajectories.py
X, Y = line(60, 4)

PENALTY = {"kernel": Penalty(0.01, 0.02), "bias": Penalty(0.0, 0.03)}
STACK = [
    ("dense", 9, "tanh", PENALTY),
    ("batch_norm", {"momentum": 0.9}),
    ("dropout", 0.25),
    ("dense", 7, "silu", PENALTY),
    ("batch_norm", {"momentum": 0.9, "scale": False}),
    ("dense", 3, "linear", PENALTY),
]


def pair(untrained, optimizer, rng):
    """(model, net): the layers of STACK, some not trained, with equal weights; the oracle has a graph of them."""
    described = [fastreg_layer(row).with_trainable(i not in untrained) for i, row in enumerate(STACK)]
    model = fr.Sequential(described, seed=5)
    model.compile(made(optimizer), "mse")
    model.build(4)
    weights = random_weights([w.shape for w in model.get_weights()], weight_names(STACK), rng)
    model.set_weights(weights)
    exact = [reference_layer(row) for row in STACK]
    for i in untrained:
        if isinstance(exact[i], ref.BatchNormalization):
            scale = "gamma" in exact[i].names
            exact[i] = graphs.InferredNormalization(exact[i].momentum, exact[i].epsilon, scale=scale)
    reads, outputs = [(i,) for i in range(len(STACK))], [graphs.Output(len(STACK), ref.loss_of("mean_squared_error"))]
    return model, graphs.Network(exact, reads, 1, outputs, weights, rounded(optimizer), 5, untrained)


def weights_of(model, index):
    return model.layers[index].get_weights()


OPTIMIZERS = {
    "sgd": ref.SGD(0.05),
    "adamw": ref.AdamW(0.01, weight_decay=0.1),
    "global clipnorm": ref.SGD(0.05, momentum=0.9, clip=("global_clipnorm", 0.3)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("untrained", [(0,), (1,), (1, 4), (3,), (5,), (0, 1, 3), (1, 4, 5), (0, 1, 3, 4)])
def test_twenty_steps(untrained, optimizer, rng):
    model, net = pair(untrained, OPTIMIZERS[optimizer], rng)
    before = [weights_of(model, i) for i in range(len(STACK))]
    x, t = rng.normal(size=(70, 4)).astype(np.float32), targets("mean_squared_error", 70, 3, rng)
    history = model.fit(x, t, batch_size=16, epochs=4, shuffle=False, verbose=0)
    expected = net.fit([x], [t], 4, 16)
    for w, exact in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(w, exact, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(history.history["loss"], [row[0] for row in expected], rtol=TOLERANCE)
    np.testing.assert_allclose(model.evaluate(x, t, verbose=0), net.evaluate([x], [t])[0], rtol=TOLERANCE)
    for i, row in enumerate(STACK):
        has_weights = row[0] != "dropout"
        assert same_bits(weights_of(model, i), before[i]) == (i in untrained or not has_weights)


def test_counts(capsys):
    model = fr.Sequential([fr.Input((4,)), layers.Dense(8, trainable=False), layers.BatchNormalization(),
                           layers.BatchNormalization(trainable=False), layers.Dense(1)], seed=0)
    assert (model.count_params(), model.count_params(trainable=True), model.count_params(trainable=False)) == (
        40 + 32 + 32 + 9, 16 + 9, 40 + 16 + 32)
    model.summary()
    text = capsys.readouterr().out
    assert "Total params: 113 " in text
    assert "Trainable params: 25 " in text
    assert "Non-trainable params: 88 " in text
    assert "Trainable " not in text.splitlines()[2]
    model.summary(show_trainable=True)
    table = capsys.readouterr().out.splitlines()
    assert table[2].endswith("Trainable")
    assert [row.split()[-1] for row in table[4:8]] == ["N", "Y", "N", "Y"]


def test_what_it_says():
    dense = layers.Dense(3, trainable=False)
    assert dense != layers.Dense(3)
    assert repr(dense).endswith("trainable=False)")
    assert "trainable" not in repr(layers.Dense(3))
    assert "trainable" not in layers.Dense(3).to_config()
    assert layers.get(dense.to_config()) == dense
    for kind in (layers.Activation("relu"), layers.Dropout(0.5), layers.BatchNormalization(), layers.Dense(2)):
        assert kind.trainable
        assert not kind.with_trainable(False).trainable
        assert kind.with_trainable(False).with_trainable(True) == kind
    for bad in (0, None, "no"):
        with pytest.raises(TypeError, match="Dense: trainable must be True or False"):
            layers.Dense(3, trainable=bad)
        with pytest.raises(TypeError, match="Dense: trainable must be True or False"):
            net().layers[0].trainable = bad
        with pytest.raises(TypeError, match="Sequential: trainable must be True or False"):
            net().trainable = bad
    with pytest.raises(ValueError, match="trainable"):
        fr.Sequential().trainable = False


def net(**options):
    return compiled([layers.Dense(6, "relu"), layers.BatchNormalization(), layers.Dense(1)], loss="mse", n_features=4,
                    **options)


def test_an_assignment_takes_effect_at_the_next_step():
    model = net()
    model.fit(X, Y, epochs=2, verbose=0)
    weights = model.get_weights()
    model.layers[0].trainable = False
    assert (model.layers[0].trainable, model.layers[2].trainable, model.trainable) == (False, True, True)
    assert same_bits(model.get_weights(), weights)
    fixed = weights_of(model, 0)
    model.fit(X, Y, epochs=2, verbose=0)
    assert same_bits(weights_of(model, 0), fixed)
    assert not same_bits(weights_of(model, 2), weights[-2:])
    model.layers[0].trainable = True
    model.fit(X, Y, epochs=1, verbose=0)
    assert not same_bits(weights_of(model, 0), fixed)
    model.trainable = False
    assert not any(layer.trainable for layer in model.layers)
    assert not model.trainable
    weights, loss = model.get_weights(), model.evaluate(X, Y, verbose=0)
    with pytest.raises(ValueError, match="no weights to train"):
        model.fit(X, Y, verbose=0)
    assert same_bits(model.get_weights(), weights)
    assert model.evaluate(X, Y, verbose=0) == loss


def test_moments_of_what_stays_trained_stay():
    """The other layers go on bit for bit as if the layer had not been trained from that step on."""
    model, other = net(optimizer="adam"), net(optimizer="adam")
    for one in (model, other):
        one.fit(X, Y, epochs=3, verbose=0)
    model.layers[0].trainable = False
    trainer, old = core_of(model).trainer_for(None), core_of(other).trainer_for(None)
    assert (trainer.step, trainer.epoch) == (old.step, old.epoch)
    kept, moments = trainer.get_moments(), old.get_moments()
    assert set(kept) == {name for name in moments if "layers.0." not in name}
    assert all(np.array_equal(kept[name], moments[name]) for name in kept)
    model.layers[0].trainable = True
    kept = core_of(model).trainer_for(None).get_moments()
    assert set(kept) == set(moments)
    assert not any(kept[name].any() for name in kept if "layers.0." in name)


def test_nothing_is_made_anew_where_nothing_changes():
    model = net()
    model.fit(X, Y, verbose=0)
    network, trainer = core_of(model).network, core_of(model).trainer
    model.layers[0].trainable = True
    model.trainable = True
    assert core_of(model).network is network
    assert core_of(model).trainer is trainer


def test_the_learning_rate_stays():
    model = net()
    model.fit(X, Y, verbose=0)
    model.learning_rate = 0.125
    model.layers[0].trainable = False
    assert model.learning_rate == 0.125


def test_not_within_a_callback():
    model = net()

    class Freezing(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with refusal(RuntimeError, ["trainable", "not within a callback"]):
                self.model.layers[0].trainable = False
            with refusal(RuntimeError, ["trainable", "not within a callback"]):
                self.model.trainable = False

    model.fit(X, Y, epochs=2, callbacks=[Freezing()], verbose=0)
    assert model.layers[0].trainable


@pytest.mark.parametrize("way", ["file", "pickle", "deepcopy"])
def test_it_survives(way, tmp_path):
    def again(model):
        if way == "file":
            model.save(tmp_path / "net.safetensors")
            return fr.load(tmp_path / "net.safetensors")
        return pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)

    model, other = net(optimizer="adam"), net(optimizer="adam")
    for one in (model, other):
        one.fit(X, Y, epochs=1, verbose=0)
        one.layers[1].trainable = False
        one.fit(X, Y, epochs=2, verbose=0)
    other = again(other)
    assert [layer.trainable for layer in other.layers] == [True, False, True]
    for one in (model, other):
        one.fit(X, Y, epochs=2, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


def test_a_frozen_model_predicts_as_the_model():
    model = net()
    model.fit(X, Y, epochs=2, verbose=0)
    before = model.freeze()(X)
    model.layers[1].trainable = False
    assert same_bits([model.freeze()(X)], [before])
