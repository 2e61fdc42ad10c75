"""Gradient clipping against the oracle: every rule, penalty and size; what is clipped, what is not, and the edges."""
from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import OPTIMIZER_CASES, made
from conftest import EPS, SIZES
from fastreg import layers, ops, optimizers, regularizers
from pairs import rounded
from programs import compiled, finite, line, refusal, same_bits
from reference import Penalty

WAYS = ("clipvalue", "clipnorm", "global_clipnorm")
# A large epsilon, so that the error of a norm counts as what it is and not by its square.
OPTIMIZERS = {
    name: rule.replace(epsilon=max(rule.epsilon, 0.1)) if hasattr(rule, "epsilon") else rule
    for name, rule in ref.USUAL_RULES.items()
}
PENALTIES = {
    "plain": Penalty(),
    "l1l2": Penalty(0.3, 0.4),
    "proximal": Penalty(0.3, 0.4, True),
}


def check_run(optimizer, penalty, n, rng, steps=6):
    """The gradients grow from step to step, and the limit lies between: the first are left alone, the last are not."""
    way, _ = optimizer.clip
    limit = 0.5 if way == "clipvalue" else 0.5 * np.sqrt(n or 1)
    optimizer = optimizer.replace(clip=(way, float(limit)))
    w = (0.05 * rng.normal(size=n)).astype(np.float32)
    mine = ops.Updater(made(optimizer), w, l1=penalty.l1, l2=penalty.l2, proximal=penalty.proximal)
    oracle = ref.Updater(rounded(optimizer), rounded(penalty))
    expected, path = w.astype(np.float64), np.abs(w).astype(np.float64)
    changed = []
    for step in range(steps):
        g = (0.04 * 3.0**step * rng.normal(size=n)).astype(np.float32)
        given = g.copy()
        mine.step(g)
        np.testing.assert_array_equal(g, given, err_msg="the caller's gradient stays as it is")
        whole = g + oracle.penalty.gradient(expected)
        changed.append(oracle.optimizer.clipped([whole])[0] != whole)
        after = oracle.step(expected, g.astype(np.float64))
        path += np.abs(after - expected) + np.abs(after) + oracle.optimizer.learning_rate * np.abs(whole)
        expected = after
    assert n < 4 or 0 < np.mean(changed) < 1
    # A norm of n elements has a relative error of a few units of the last place: its sums are short and side by side.
    error = np.abs(w - expected)
    assert (error <= 16.0 * EPS * path + 1e-12).all(), f"worst {error.max():.3g} of {path[error.argmax()]:.3g}"


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_clipped_updates_at_every_size(optimizer, way, penalty, rng):
    for n in SIZES:
        check_run(OPTIMIZERS[optimizer].replace(clip=(way, 0.0)), PENALTIES[penalty], n, rng)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("way", WAYS)
def test_a_norm_of_many_parts(way, penalty, rng):
    """More elements than a chunk of the pass has, and a last one that is no whole vector."""
    check_run(OPTIMIZERS["momentum"].replace(clip=(way, 0.0)), PENALTIES[penalty], 50001, rng)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("way", WAYS)
def test_updates_do_not_depend_on_threads(way, threads, rng):
    start, g = rng.normal(size=300_007).astype(np.float32), rng.normal(size=300_007).astype(np.float32)
    results, before = [], fr.get_num_threads()
    try:
        for n in (1, threads):
            fr.set_num_threads(n)
            w = start.copy()
            updater = ops.Updater(optimizers.Adam(**{way: 0.1}), w, l1=0.01, l2=0.01)
            for _ in range(3):
                updater.step(g)
            results.append(w)
    finally:
        fr.set_num_threads(before)
    assert same_bits(results[:1], results[1:])


@pytest.mark.parametrize("offset", [0, 1, 7])
@pytest.mark.parametrize("way", WAYS)
def test_unaligned_arrays(way, offset, rng):
    buffer = rng.normal(size=3000).astype(np.float32)
    w, before = buffer[offset : offset + 2900], buffer.copy()
    optimizer = ref.SGD(0.5, clip=(way, 0.5))
    expected = ref.Updater(rounded(optimizer), Penalty(0.0, 0.5)).step(w.astype(np.float64), np.ones(2900))
    ops.Updater(made(optimizer), w, l2=0.5).step(np.ones(2900, np.float32))
    np.testing.assert_allclose(w, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(buffer[:offset], before[:offset])
    np.testing.assert_array_equal(buffer[offset + 2900 :], before[offset + 2900 :])


def trained(optimizer, epochs=3, **dense):
    x, y = line(60, 5, 2)
    stack = [layers.Dense(33, activation="tanh", **dense), layers.BatchNormalization(), layers.Dense(2, **dense)]
    model = compiled(stack, optimizer=optimizer, loss="mse", n_features=5)
    return model, model.fit(x, y, batch_size=16, epochs=epochs, verbose=0).history["loss"]


@pytest.mark.parametrize("penalty", [None, regularizers.L1L2(0.01, 0.01), regularizers.L1(0.01, proximal=True)])
@pytest.mark.parametrize("way", WAYS)
def test_a_limit_that_is_never_reached_changes_nothing(way, penalty):
    plain, losses = trained(optimizers.Adam(0.01), kernel_regularizer=penalty)
    limited, same = trained(optimizers.Adam(0.01, **{way: 1e9}), kernel_regularizer=penalty)
    assert same_bits(plain.get_weights(), limited.get_weights())
    if way == "global_clipnorm":
        assert same == losses
    else:  # their penalty sums are made in other blocks: of each weight by itself, or apart from the update
        np.testing.assert_allclose(same, losses, rtol=1e-6)


@pytest.mark.parametrize("way", ["clipnorm", "global_clipnorm"])
def test_the_loss_has_its_penalty_where_the_factor_leaves_nothing_of_its_gradient(way):
    """Powers of two: outputs 0, loss and penalty 2^34 each, norm 2^101.5, and l1 times the factor 2^-131.5."""
    x, y = np.array([[2.0**83, -(2.0**83)]] * 4, np.float32), np.full((4, 1), 2.0**17, np.float32)
    model = compiled([layers.Dense(1, use_bias=False, kernel_regularizer=regularizers.L1(2.0**-10))], loss="mse",
                     n_features=2, optimizer=optimizers.SGD(1.0, **{way: 2.0**-20}))
    model.set_weights([np.full((2, 1), 2.0**43, np.float32)])
    assert model.evaluate(x, y, verbose=0) == 2.0**35
    assert model.fit(x, y, batch_size=None, verbose=0).history["loss"] == [2.0**35]


def test_each_weight_has_a_norm_of_its_own():
    """One step of length 1 for every weight; with a global norm, for all together."""
    def lengths(**clip):
        x, y = line(60, 5, 2)
        model = compiled([layers.Dense(33, activation="tanh"), layers.Dense(2)], loss="mse", n_features=5,
                         optimizer=optimizers.SGD(1.0, **clip))
        before = model.get_weights()
        model.fit(x, 100 * y, batch_size=None, epochs=1, verbose=0)
        return [float(np.linalg.norm(a - b)) for a, b in zip(model.get_weights(), before, strict=True)]

    np.testing.assert_allclose(lengths(clipnorm=1.0), 1.0, rtol=1e-5)
    together = lengths(global_clipnorm=1.0)
    assert np.linalg.norm(together) == pytest.approx(1.0, rel=1e-5)
    assert max(together) < 0.99
    assert min(lengths()) > 1.0


def test_decay_and_proximal_steps_are_not_clipped():
    """Without a gradient, whatever moves a weight is not limited."""
    for way in WAYS:
        w = np.full(40, 4.0, np.float32)
        ops.Updater(optimizers.AdamW(0.5, weight_decay=0.5, **{way: 1e-6}), w).step(np.zeros(40, np.float32))
        np.testing.assert_allclose(w, 3.0, rtol=1e-6)
        w[:] = 4.0
        ops.Updater(optimizers.SGD(0.5, **{way: 1e-6}), w, l1=2.0, proximal=True).step(np.zeros(40, np.float32))
        np.testing.assert_allclose(w, 3.0, rtol=1e-6)
        w[:] = 4.0
        ops.Updater(optimizers.SGD(0.5, **{way: 1e-6}), w, l1=2.0, l2=0.5).step(np.zeros(40, np.float32))
        np.testing.assert_allclose(w, 4.0, rtol=1e-6)


@pytest.mark.parametrize("size", [1e15, 1e25, 1e38])
@pytest.mark.parametrize("way", ["clipnorm", "global_clipnorm"])
def test_a_norm_beyond_the_squares_of_float32_is_clipped(way, size):
    """That is what clipping is for: only an element that is not finite makes a norm that is not."""
    w, g = np.zeros(5000, np.float32), np.zeros(5000, np.float32)
    g[[7, 4999]] = 3 * size / 5, -4 * size / 5
    ops.Updater(optimizers.SGD(1.0, **{way: 2.0}), w).step(g)
    np.testing.assert_allclose(w[[7, 4999]], [-1.2, 1.6], rtol=1e-6)
    assert not w[[0, 6, 8, 4998]].any()


@pytest.mark.parametrize("way", WAYS)
def test_no_gradient_is_no_division_by_zero(way):
    w = np.ones(100, np.float32)
    ops.Updater(optimizers.SGD(1.0, **{way: 1.0}), w).step(np.zeros(100, np.float32))
    assert (w == 1.0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_finite_is_not_hidden(way, value):
    """A NaN stays one; an infinite element has no norm, but a limit."""
    for n in (1, 17, 5000, 20000):
        w, g = np.zeros(n, np.float32), np.ones(n, np.float32)
        g[n // 2] = value
        ops.Updater(optimizers.SGD(1.0, **{way: 0.5}), w).step(g)
        if way == "clipvalue" and np.isinf(value):
            assert w[n // 2] == (-0.5 if value > 0 else 0.5)
        else:
            assert np.isnan(w).all() if way != "clipvalue" else np.isnan(w[n // 2])


def test_a_factor_below_the_normal_floats_does_not_pass_for_zero():
    w = np.zeros(20, np.float32)
    ops.Updater(optimizers.SGD(1.0, clipnorm=1.0), w).step(np.full(20, 3e38, np.float32))
    assert np.isnan(w).all()


@pytest.mark.parametrize("way", ["clipnorm", "global_clipnorm"])
def test_a_norm_that_is_not_finite_ends_the_fit(way):
    """The loss of the step is finite, its gradient is not."""
    x, y = np.full((8, 2), 3e38, np.float32), np.full((8, 1), 10.0, np.float32)
    model = compiled([layers.Dense(1, kernel_initializer="zeros")], loss="mse", n_features=2,
                     optimizer=optimizers.SGD(0.1, **{way: 1.0}))
    with pytest.raises(fr.DivergenceError, match="a weight is no longer finite"):
        model.fit(x, y, batch_size=None, epochs=1, verbose=0)
    assert finite(model.get_weights())


def test_clipping_keeps_a_run_from_diverging():
    x, y = line(64, 5)
    run = {"batch_size": 8, "epochs": 20, "verbose": 0}
    with pytest.raises(fr.DivergenceError):
        compiled([layers.Dense(9, "relu"), layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(3.0)).fit(x, y, **run)
    for way in WAYS:
        model = compiled([layers.Dense(9, "relu"), layers.Dense(1)], loss="mse",
                         optimizer=optimizers.SGD(3.0, **{way: 1e-3}))
        losses = model.fit(x, y, **run).history["loss"]
        assert losses[-1] < losses[0]


CLASSES = tuple({type(case.made): None for case in OPTIMIZER_CASES.values()})


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("way", WAYS)
def test_the_arguments(kind, way, tmp_path):
    given = kind(0.01, **{way: 2})
    assert getattr(given, way) == 2.0
    assert repr(given).endswith(f", {way}=2.0)")
    assert eval(repr(given), vars(optimizers).copy()) == given != kind(0.01)
    assert "clip" not in repr(kind(0.01))
    assert kind.from_config(given.to_config()) == given
    assert kind.from_config({"learning_rate": 0.01}) == kind(0.01), "a file from before there was clipping"
    model, _ = trained(given, epochs=1)
    assert getattr(model.optimizer, way) == 2.0
    model.save(tmp_path / "net.safetensors")
    assert fr.load(tmp_path / "net.safetensors").optimizer == given


@pytest.mark.parametrize("kind", CLASSES)
def test_wrong_arguments_are_refused(kind):
    name = kind.__name__
    for way in WAYS:
        for value, error in ((0, ValueError), (-1.0, ValueError), (np.nan, ValueError), (np.inf, ValueError),
                             ("1", TypeError), (True, TypeError)):
            with refusal(error, [name, way]):
                kind(**{way: value})
        with refusal(ValueError, ["float32"]):
            ops.Updater(kind(**{way: 1e-60}), np.ones(3, np.float32))
        with pytest.raises(TypeError):
            kind(0.1, *[None] * 6)
    for given in (WAYS, WAYS[:2], WAYS[1:], WAYS[::2]):
        with refusal(ValueError, [name, *given]):
            kind(**dict.fromkeys(given, 1.0))
