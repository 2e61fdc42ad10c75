"""ScheduleFreeAdamW: gradients are taken at one point, and everything else sees another, the average."""

from __future__ import annotations

import copy
import pickle

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import CONSTRAINT_CASES
from conftest import EPS
from fastreg import callbacks, layers, ops, optimizers, regularizers
from formulas.constraints import CONSTRAINTS
from pairs import build_pair, rounded, targets
from programs import blobs, compiled, refusal, same_bits

OPTIMIZER = optimizers.ScheduleFreeAdamW(0.02, 0.8, warmup_steps=5)
STACK = [("dense", 17, "tanh"), ("dense", 3)]


def pair(rng, rule):
    """A model and the oracle, with data; the oracle's weights are where gradients are taken."""
    model, net = build_pair(STACK, 5, rng, optimizer=rule)
    x, t = rng.normal(size=(64, 5)).astype(np.float32), targets("mean_squared_error", 64, 3, rng)
    return model, net, x, t


def gradient_points(net):
    return [layer.p[name] for layer in net.layers for name in layer.names]


def net(seed=0, optimizer=OPTIMIZER, **options):
    return compiled([layers.Dense(8, "tanh"), layers.Dense(1)], loss="mse", optimizer=optimizer, seed=seed, **options)


def data():
    x, _ = blobs(96, 10, 2)
    return x, (x[:, :1] - x[:, 1:2]).astype(np.float32)


def test_the_model_has_the_averages_and_not_the_points_of_its_gradients(rng):
    model, oracle, x, t = pair(rng, ref.ScheduleFreeAdamW(0.02, 0.8, warmup_steps=5))
    model.fit(x, t, batch_size=16, epochs=3, shuffle=False, verbose=0)
    oracle.fit(x.astype(np.float64), t, 3, 16)
    far = 0.0
    weights = model.get_weights()
    for w, average, point in zip(weights, oracle.get_weights(), gradient_points(oracle), strict=True):
        np.testing.assert_allclose(w, average, rtol=2e-5, atol=2e-5)
        far = max(far, np.abs(average - point).max())
    assert far > 1e-3
    hidden = np.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3]
    np.testing.assert_allclose(model.predict(x), hidden, rtol=1e-4, atol=1e-5)
    mse = np.mean((hidden - t) ** 2)
    np.testing.assert_allclose(model.evaluate(x, t, verbose=0), mse, rtol=1e-5)
    np.testing.assert_allclose(model.freeze()(x), hidden, rtol=1e-4, atol=1e-5)


def test_validation_and_callbacks_see_the_averages():
    """Those of the end of each epoch, which a run of so many epochs ends with."""
    x, y = data()
    seen = []

    class Looks(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(([w.copy() for w in self.model.get_weights()], logs["val_loss"]))

    model = net()
    model.fit(x, y, batch_size=16, epochs=3, validation_data=(x, y), callbacks=[Looks()], verbose=0)
    for epochs, (weights, loss) in enumerate(seen, 1):
        short = net()
        short.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
        assert same_bits(weights, short.get_weights())
        np.testing.assert_allclose(short.evaluate(x, y, verbose=0), loss, rtol=1e-6)


def test_early_stopping_brings_the_averages_back():
    x, y = data()
    stop = callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
    model = net(optimizer=optimizers.ScheduleFreeAdamW(2.0))
    history = model.fit(x, y, batch_size=16, epochs=200, validation_data=(x, y), callbacks=[stop], verbose=0)
    best = min(history.history["val_loss"])
    assert stop.stopped_epoch > 0
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), best, rtol=1e-6)


@pytest.mark.parametrize("copied", ["file", "pickle", "copy"])
@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_a_training_goes_on_bit_for_bit(copied, epochs, tmp_path):
    x, y = data()
    whole, part = net(), net()
    part.build(10)
    if epochs:
        part.fit(x, y, batch_size=16, epochs=epochs, verbose=0)
    if copied == "file":
        part.save(tmp_path / "net.safetensors")
        part = fr.load(tmp_path / "net.safetensors")
    else:
        part = pickle.loads(pickle.dumps(part)) if copied == "pickle" else copy.deepcopy(part)
    whole.fit(x, y, batch_size=16, epochs=5, verbose=0)
    part.fit(x, y, batch_size=16, epochs=5 - epochs, verbose=0)
    assert same_bits(whole.get_weights(), part.get_weights())


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_same_bits(threads):
    x, y = data()
    results = []
    for number in (1, threads):
        model = compiled([layers.Dense(300, "tanh"), layers.Dense(1)], loss="mse", optimizer=OPTIMIZER, n_features=10)
        with fr.thread_limit(number):
            model._core.trainer_for(None).parallel_threshold = 0.0 if number > 1 else 1e30
            model.fit(x, y, batch_size=32, epochs=3, verbose=0)
        results.append(model.get_weights())
    assert same_bits(*results)


def test_weights_that_are_set_before_the_first_step_are_where_it_starts(rng):
    x, y = data()
    ours, theirs = net(seed=1), net(seed=2)
    ours.build(10)
    theirs.build(10)
    theirs.fit(x, y, batch_size=None, epochs=1, verbose=0)  # makes the optimizer, and is undone by compile
    theirs.compile(optimizer=OPTIMIZER, loss="mse")
    theirs.evaluate(x, y, verbose=0)  # makes the new one
    theirs.set_weights(ours.get_weights())
    for model in (ours, theirs):
        model.fit(x, y, batch_size=None, epochs=4, shuffle=False, verbose=0)
    assert same_bits(ours.get_weights(), theirs.get_weights())


def test_a_layer_that_is_trained_later_starts_from_its_weights():
    """Its z is what it was, and not 0: the first step is short."""
    x, y = data()
    model = net(optimizer=optimizers.ScheduleFreeAdamW(1e-3, 0.0))
    model.build(10)
    model.layers[0].trainable = False
    model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    before = model.get_weights()
    model.layers[0].trainable = True
    model.fit(x, y, batch_size=None, epochs=1, verbose=0)
    assert 0.0 < np.abs(model.get_weights()[0] - before[0]).max() < 2e-3


def test_a_stopped_run_returns_to_the_averages_of_the_last_epoch():
    """A run that diverges gives back the weights of the last epoch, and they are the averages."""
    x, y = data()
    model, twin = net(), net()
    for one in (model, twin):
        one.fit(x, y, batch_size=16, epochs=2, verbose=0)
    with pytest.raises(fr.DivergenceError):
        model.fit(x, np.full_like(y, 3e38), batch_size=16, epochs=3, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())
    for one in (model, twin):
        one.fit(x, y, batch_size=16, epochs=1, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_the_updater_tells_both_points(rng):
    w = rng.normal(size=40).astype(np.float32)
    start = w.copy()
    updater, oracle = ops.Updater(OPTIMIZER, w), ref.Updater(rounded(ref.ScheduleFreeAdamW(0.02, 0.8, warmup_steps=5)))
    assert updater.average is None
    expected = start.astype(np.float64)
    for _ in range(20):
        g = rng.normal(size=40).astype(np.float32)
        updater.step(g)
        expected = oracle.step(expected, g.astype(np.float64))
        np.testing.assert_allclose(w, expected, rtol=50 * EPS, atol=50 * EPS)
        np.testing.assert_allclose(updater.average, oracle.evaluated(expected), rtol=50 * EPS, atol=50 * EPS)
    assert np.abs(updater.average - w).max() > 1e-3


def test_it_finds_the_minimum_of_a_noisy_slope(rng):
    """The average is closer to the minimum than the points that gradients are taken at."""
    w = np.zeros(2000, np.float32)
    updater = ops.Updater(optimizers.ScheduleFreeAdamW(0.05, 0.5), w)
    for _ in range(1000):
        updater.step(2.0 * w + 4.0 * rng.normal(size=2000).astype(np.float32))
    assert np.abs(updater.average).mean() < 0.5 * np.abs(w).mean()


def test_a_proximal_penalty_makes_zeros_in_the_model():
    x, y = data()
    model = compiled([layers.Dense(1, kernel_regularizer=regularizers.L1(0.2, proximal=True))], loss="mse",
                     optimizer=optimizers.ScheduleFreeAdamW(0.02), n_features=10)
    model.fit(x, y, batch_size=None, epochs=2000, verbose=0)
    kernel = model.get_weights()[0]
    assert 0 < (kernel == 0.0).sum() < 10


def test_an_average_of_its_own_is_enough():
    with refusal(ValueError, ["ScheduleFreeAdamW: use_ema must be False"]):
        optimizers.ScheduleFreeAdamW(use_ema=True)


def projected(constraint, x, t, w, steps, rate, beta_1, beta_2=0.999, epsilon=1e-8):
    """Least squares with full batches: constraints hold for z, of which x is the average, and for x itself."""
    z = mean = w.astype(np.float64)
    v = 0.0
    for step in range(1, steps + 1):
        y = z + beta_1 * (mean - z)
        g = 2.0 * x.T @ (x @ y - t) / t.size
        v = beta_2 * v + (1.0 - beta_2) * g * g
        z = constraint.project(z - rate * g / (np.sqrt(v / (1.0 - beta_2**step)) + epsilon))
        mean = constraint.project(mean + (z - mean) / step)
    return mean


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_constraint_holds_for_the_weights_of_the_model(name, threads, rng):
    """They are the oracle's, however many threads there are and wherever the fit pauses."""
    x, t = rng.normal(size=(40, 6)), rng.normal(size=(40, 3))
    start = rng.normal(size=(6, 3)).astype(np.float32)
    found = []
    with fr.thread_limit(threads):
        for fits in ([12], [5, 1, 6]):
            layer = layers.Dense(3, use_bias=False, kernel_constraint=CONSTRAINT_CASES[name].made)
            model = compiled([layer], loss="mse", n_features=6, optimizer=optimizers.ScheduleFreeAdamW(0.1, 0.7))
            model.set_weights([start])
            model._core.trainer_for(None).parallel_threshold = 0.0
            for epochs in fits:
                model.fit(x, t, batch_size=None, epochs=epochs, verbose=0)
            found.append(model.get_weights()[0])
    assert same_bits(found[:1], found[1:])
    expected = projected(CONSTRAINTS[name], x.astype(np.float32), t.astype(np.float32), start, 12, 0.1, 0.7)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
