"""Gradients and weights of 1e-38 to 1e38: a step is the oracle's, or keeps to its rule's bound; NaN is not hidden."""
from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import made
from conftest import EPS
from fastreg import constraints, layers, ops, optimizers, regularizers
from pairs import rounded
from programs import compiled
from reference import Penalty

DIVIDING = {
    "adam": ref.Adam(0.1),
    "adam, short memory": ref.Adam(0.1, beta_1=0.1, beta_2=0.01),
    "adam, no memory of m": ref.Adam(0.1, beta_1=0.0, beta_2=0.5),
    "adamw": ref.AdamW(0.1, weight_decay=0.0),
    "rmsprop": ref.RMSprop(0.1, rho=0.9),
    "rmsprop, no memory": ref.RMSprop(0.1, rho=0.0),
}
ADDING = {
    "sgd": ref.SGD(0.1),
    "momentum": ref.SGD(0.1, momentum=0.5),
    "nesterov": ref.SGD(0.1, momentum=0.5, nesterov=True),
}
LARGE = [1e10, 1e18, 9e18, 1.5e19, 3e19, 1e22, 1e30, 3.4e38]


def updater(optimizer, w, penalty=ref.NO_PENALTY):
    return ops.Updater(made(optimizer), w, l1=penalty.l1, l2=penalty.l2, proximal=penalty.proximal)


def lone(n, size):
    """One element of that size among zeros, at places that whole vectors and tails of every width handle."""
    g = np.zeros(n, np.float32)
    g[[0, n // 2, n - 1]] = size
    return g


@pytest.mark.parametrize("size", [*LARGE, 1.8e19, 1.85e19, 1.9e19, 2e19])
def test_a_constant_gradient_of_any_size_makes_the_steps_of_any_other(size):
    """Three steps of Adam with the rate 0.1 lead from 1 to 0.7, as the first paper on it says."""
    w = np.ones(37, np.float32)
    adam = ops.Updater(optimizers.Adam(0.1), w)
    for _ in range(3):
        adam.step(np.full(37, size, np.float32))
    np.testing.assert_allclose(w, 0.7, rtol=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("name", DIVIDING)
def test_large_gradients_make_the_steps_of_the_oracle(name, size, sign):
    """Also the steps after them, while the moments forget: with gradients of 0, of the other sign, and small ones."""
    w, expected = np.ones(53, np.float32), np.ones(53)
    mine, oracle = updater(DIVIDING[name], w), ref.Updater(rounded(DIVIDING[name]))
    large = lone(53, np.float32(sign * size))
    for gradient in (large, large, np.zeros_like(large), -large, np.full_like(large, 0.5), large):
        before = expected
        mine.step(gradient)
        expected = oracle.step(before, gradient.astype(np.float64))
        np.testing.assert_allclose(w, expected, rtol=1e-5, atol=20 * EPS)


@pytest.mark.parametrize("place", [0, 1, 40, 130, 299])
@pytest.mark.parametrize("penalty", [Penalty(), Penalty(0.01, 0.02), Penalty(0.01, 0.02, True)],
                         ids=["none", "l1l2", "proximal"])
@pytest.mark.parametrize("name", DIVIDING)
def test_a_large_gradient_changes_no_bit_of_its_neighbours(name, penalty, place, rng):
    """Vectors that hold such a number, and all vectors after them, take another path through the kernel."""
    start, g = rng.normal(size=300).astype(np.float32), rng.normal(size=300).astype(np.float32)
    alone, beside = start.copy(), start.copy()
    updaters = updater(DIVIDING[name], alone, penalty), updater(DIVIDING[name], beside, penalty)
    for size in (1e30, 1.0, 1e-3, -1e25):
        updaters[0].step(g)
        huge = g.copy()
        huge[place] = size
        updaters[1].step(huge)
        np.testing.assert_array_equal(np.delete(alone, place).view(np.uint32), np.delete(beside, place).view(np.uint32))
        assert abs(beside[place]) < 3.0 + abs(start[place])


@pytest.mark.parametrize("name", DIVIDING)
def test_a_step_keeps_to_the_bound_of_its_rule(name, rng):
    """Sizes jump by any factor, and the step is at most what the inequality of Cauchy and Schwarz allows."""
    o = DIVIDING[name]
    w = np.zeros(300, np.float32)
    mine = updater(o, w)
    for step in range(1, 41):
        w[:] = 0.0
        mine.step((rng.choice([-1.0, 1.0], 300) * 10.0 ** rng.uniform(-38, 38.5, 300)).astype(np.float32))
        assert (np.abs(w) <= 1.001 * o.learning_rate * longest_step(o, step)).all()


def longest_step(o, t):
    """The largest |sum a_i g_i| / sqrt(sum b_i g_i^2), a and b being the weights of the gradients in both moments."""
    if isinstance(o, ref.RMSprop):
        return 1.0 / np.sqrt(1.0 - o.rho)
    i = np.arange(t)
    a = o.beta_1**i * (1.0 - o.beta_1) / (1.0 - o.beta_1**t)
    b = o.beta_2**i * (1.0 - o.beta_2) / (1.0 - o.beta_2**t)
    return np.sqrt((a * a / b).sum())


@pytest.mark.parametrize("epsilon", [2.0**-126, 1e-30, 1e-20, 1e-12])
@pytest.mark.parametrize("size", [1.2e-38, 1e-30, 1e-25, 1e-20, 1e-19, 5e-19, 1e-18, 1e-16, 1e-10])
@pytest.mark.parametrize("name", DIVIDING)
def test_a_small_constant_gradient_makes_no_step_beyond_the_bound(name, size, epsilon):
    """Where float32 takes the square for 0, an epsilon far below the gradient would be all that it is divided by: 1e-25
    by 1e-38 is a step of 1e13 rates. Gradients that v sees make the oracle's steps."""
    optimizer = DIVIDING[name].replace(epsilon=epsilon)
    limit = 1.0 / np.sqrt(1.0 - optimizer.rho) if isinstance(optimizer, ref.RMSprop) else 1.0
    w = np.zeros(53, np.float32)
    mine = updater(optimizer, w)
    for _ in range(5):
        w[:] = 0.0
        mine.step(np.full(53, size, np.float32))
        assert np.abs(w).max() <= 1.001 * optimizer.learning_rate * limit
    if size >= 1e-16:
        oracle = ref.Updater(rounded(optimizer))
        for _ in range(5):
            expected = oracle.step(np.zeros(53), np.full(53, np.float64(np.float32(size))))
        np.testing.assert_allclose(w, expected, rtol=0.05 if size < 1e-12 else 1e-5)


@pytest.mark.parametrize("penalty", [Penalty(), Penalty(0.0, 0.5), Penalty(0.5, 0.5), Penalty(0.5, 0.5, True)],
                         ids=["none", "l2", "l1l2", "proximal"])
@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e-10, 1.0, 1e10, 1e19, 1e20, 1e30])
@pytest.mark.parametrize("name", [*DIVIDING, *ADDING])
def test_weights_of_every_size_and_penalties(name, size, penalty, rng):
    """A penalty's gradient grows with its weight, so it leaves the range of squares as any gradient does.

    The rest of the gradient outweighs l1, so that no weight jumps about 0, where the sign of a rounding error decides.
    """
    optimizer = (DIVIDING | ADDING)[name]
    w = (size * rng.normal(size=53)).astype(np.float32)
    mine, oracle = updater(optimizer, w, penalty), ref.Updater(rounded(optimizer), rounded(penalty))
    expected, path = w.astype(np.float64), np.abs(w).astype(np.float64)
    g = rng.normal(size=53).astype(np.float32)
    g += np.sign(g)
    for _ in range(4):
        mine.step(g)
        after = oracle.step(expected, g.astype(np.float64))
        path += np.abs(after - expected) + np.abs(after)
        expected = after
        assert (np.abs(w - expected) <= 32.0 * EPS * path + 1e-7).all()


@pytest.mark.parametrize("penalty", [Penalty(), Penalty(0.0, 0.05), Penalty(0.05, 0.05), Penalty(0.03, 0.0, True)],
                         ids=["none", "l2", "l1l2", "proximal"])
@pytest.mark.parametrize("name", DIVIDING)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_so_at_every_place(name, penalty, bad):
    for n in (1, 3, 16, 17, 133):
        for place in {0, n // 2, n - 1}:
            w, g = np.ones(n, np.float32), np.full(n, 1e30, np.float32)
            mine = updater(DIVIDING[name], w, penalty)
            mine.step(g)
            g[place] = bad
            mine.step(g)
            mine.step(np.ones(n, np.float32))
            assert not np.isfinite(w[place])
            assert np.isfinite(np.delete(w, place)).all()


@pytest.mark.parametrize("optimizer", [optimizers.Adam(0.1), optimizers.AdamW(0.1), optimizers.RMSprop(0.1)])
def test_a_fit_with_gradients_that_are_not_finite_is_a_divergence(optimizer):
    """The loss is 100, and its gradient, 3e38 times 20, beyond float32."""
    x, y = np.full((8, 2), 3e38, np.float32), np.full((8, 1), 10.0, np.float32)
    model = compiled([layers.Dense(1, kernel_initializer="zeros", use_bias=False)], loss="mse", n_features=2,
                     optimizer=optimizer)
    with pytest.raises(fr.DivergenceError, match="a weight is no longer finite"):
        model.fit(x, y, batch_size=None, epochs=1, verbose=0)


def test_a_fit_with_gradients_out_of_reach_trains():
    """Features of 1e30 and errors of 1 make gradients of 1e30; the steps are those of features of 1."""
    y = np.array([[1.0], [-1.0], [1.0], [-1.0]], np.float32)
    results = []
    for scale in (1.0, 1e20, 1e30):
        model = compiled([layers.Dense(1, kernel_initializer="zeros", use_bias=False)], loss="mse", n_features=1,
                         optimizer=optimizers.Adam(1e-3 / scale))
        model.fit(scale * y, y, batch_size=None, epochs=100, verbose=0)
        results.append(float(model.get_weights()[0][0, 0] * scale))
    assert results[0] == pytest.approx(0.1, rel=0.05)
    np.testing.assert_allclose(results[1:], results[0], rtol=0.05)


@pytest.mark.parametrize("way", ["clipnorm", "global_clipnorm", "clipvalue"])
@pytest.mark.parametrize("size", [1e-34, 1e-30, 1e-22, 1e-19, 1e-12, 1.0, 1e19, 1e30, 3e37])
@pytest.mark.parametrize("n", [1, 5, 37, 5000])
def test_clipping_sees_gradients_of_every_size(n, size, way, rng):
    """Also those whose squares float32 takes for 0: a limit of a hundredth of the norm is kept."""
    g = (size * rng.normal(size=n)).astype(np.float32)
    limit = float(np.float32(0.01 * np.linalg.norm(g.astype(np.float64)))) if way != "clipvalue" else 0.01 * size
    optimizer = ref.SGD(1.0, clip=(way, limit))
    w = np.zeros(n, np.float32)
    updater(optimizer, w).step(g)
    expected = ref.Updater(rounded(optimizer)).step(np.zeros(n), g.astype(np.float64))
    np.testing.assert_allclose(w, expected, rtol=1e-5, atol=2.0**-126)


@pytest.mark.parametrize("size", [1e20, 1e30])
def test_the_loss_has_no_penalty_of_squares_where_there_is_none(size):
    """Squares of these weights overflow, but an L1 penalty has nothing to do with them."""
    x, y = np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32)
    for proximal in (False, True):
        model = compiled([layers.Dense(1, use_bias=False, kernel_regularizer=regularizers.L1(1e-3, proximal=proximal))],
                         loss="mse", n_features=2, optimizer=optimizers.SGD(1e-3))
        model.set_weights([np.full((2, 1), size, np.float32)])
        assert model.evaluate(x, y, verbose=0) == pytest.approx(2e-3 * size, rel=1e-6)
        assert model.fit(x, y, epochs=1, verbose=0).history["loss"][0] == pytest.approx(2e-3 * size, rel=1e-6)


def layer_norm(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-3)


NORMALISING = {
    "layer": (layers.LayerNormalization, layer_norm),
    "rms": (layers.RMSNormalization, lambda x: x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)),
    "unit": (layers.UnitNormalization, lambda x: x / np.sqrt(np.maximum((x**2).sum(axis=-1, keepdims=True), 1e-12))),
}


@pytest.mark.parametrize("size", [1.0, 1e18, 1e19, 1e20, 1e30, 1e37, 1e38])
@pytest.mark.parametrize("cols", [2, 5, 16, 37])
@pytest.mark.parametrize("name", NORMALISING)
def test_rows_whose_squares_overflow_are_normalised(name, cols, size, rng):
    """Also beside ordinary rows, whose bits do not depend on them, and in a frozen network."""
    layer, oracle = NORMALISING[name]
    x = rng.uniform(-3.0, 3.0, size=(8, cols)).astype(np.float32)
    model = compiled([layer()], n_features=cols)
    ordinary = model.predict(x[1::2], verbose=0)
    x[::2] *= np.float32(size)
    expected = oracle(x.astype(np.float64))
    y = model.predict(x, verbose=0)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y[1::2], ordinary)
    np.testing.assert_array_equal(np.asarray(model.freeze()(x)), y)


@pytest.mark.parametrize("name", NORMALISING)
def test_gradients_of_normalised_rows_do_not_depend_on_their_size(name, rng):
    """All weights move as they do with rows that are 2**70 times smaller."""
    x, y = rng.normal(size=(12, 3)).astype(np.float32), rng.normal(size=(12, 2)).astype(np.float32)
    results = []
    for scale in (2.0**30, 2.0**100):
        model = compiled([layers.Dense(7, use_bias=False), NORMALISING[name][0](), layers.Dense(2)], n_features=3,
                         optimizer=optimizers.SGD(0.1), loss="mse")
        before = model.get_weights()
        history = model.fit(np.float32(scale) * x, y, batch_size=4, epochs=3, verbose=0).history
        results.append([*model.get_weights(), np.array(history["loss"])])
        assert all(np.abs(new - old).max() > 0.01 for new, old in zip(results[-1], before, strict=False))
    for small, large in zip(*results, strict=True):
        np.testing.assert_allclose(large, small, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NORMALISING)
def test_an_infinite_element_is_not_hidden_by_normalisation(name):
    """The kernel takes the first feature to infinity in one column."""
    model = compiled([layers.Dense(5, use_bias=False), NORMALISING[name][0]()], n_features=1)
    kernel = np.zeros((1, 5), np.float32)
    kernel[0, 3] = 10.0
    model.set_weights([kernel, *model.get_weights()[1:]])
    y = model.predict(np.array([[3e38], [3e37], [-3e38]], np.float32), verbose=0)
    assert np.isnan(y[[0, 2], 3]).all()
    assert np.isfinite(y[1]).all()


@pytest.mark.parametrize("sizes", [(1.0, 1.0), (1e20, 1.0), (1.0, 1e30), (1e20, 1e20), (1e30, 1e33), (1e30, 1e-5)])
def test_cosines_of_vectors_whose_products_overflow(sizes, rng):
    """Dot(normalize=True) forward, frozen and backward: the gradients are those of vectors of ordinary size."""
    a, b = (rng.normal(size=(9, 4)).astype(np.float32) for _ in range(2))
    y = rng.normal(size=(9, 1)).astype(np.float32)
    results = []
    for scale in ((1.0, 1.0), sizes):
        one, two = fr.Input((4,)), fr.Input((4,))
        made = layers.Dot(1, normalize=True)([layers.Dense(5, use_bias=False)(one),
                                              layers.Dense(5, use_bias=False)(two)])
        model = fr.Model([one, two], made, seed=0)
        model.compile(optimizers.SGD(0.5), "mse")
        data = [np.float32(scale[0]) * a, np.float32(scale[1]) * b]
        left, right = (x.astype(np.float64) @ w.astype(np.float64) for x, w in zip(data, model.get_weights(),
                                                                                 strict=True))
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        expected = ((left * right).sum(axis=1) / lengths)[:, None]
        np.testing.assert_allclose(model.predict(data, verbose=0), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model.freeze()(data), expected, rtol=1e-4, atol=1e-5)
        model.fit(data, y, batch_size=9, epochs=3, verbose=0)
        results.append(model.get_weights())
    for ordinary, scaled in zip(*results, strict=True):
        np.testing.assert_allclose(scaled, ordinary, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [1.0, 1e19, 1e20, 1e30, 1e37])
@pytest.mark.parametrize("axis", [0, 1, (0, 1)], ids=str)
@pytest.mark.parametrize("shape", [(3, 2), (300, 5), (7, 1), (3, 40)], ids=str)
def test_constraints_see_norms_of_every_size(shape, axis, size, rng):
    """Also of one large column among ordinary ones."""
    w = rng.normal(size=shape).astype(np.float32)
    w[:, 0] *= np.float32(size)
    norm = np.sqrt((w.astype(np.float64) ** 2).sum(axis=axis, keepdims=True))
    for constraint, wanted in (
        (constraints.MaxNorm(1.5, axis), np.clip(norm, 0.0, 1.5)),
        (constraints.UnitNorm(axis), 1.0),
        (constraints.MinMaxNorm(0.5, 1.5, 0.25, axis), 0.25 * np.clip(norm, 0.5, 1.5) + 0.75 * norm),
    ):
        model = compiled([layers.Dense(shape[1], use_bias=False, kernel_constraint=constraint)], loss="mse",
                         n_features=shape[0], optimizer=optimizers.SGD(1e-9))
        model.set_weights([w])
        model.fit(np.zeros((2, shape[0])), np.zeros((2, shape[1])), epochs=1, verbose=0)
        np.testing.assert_allclose(model.get_weights()[0], w * (wanted / (norm + 1e-7)), rtol=1e-5, atol=2.0**-126)


@pytest.mark.parametrize(("data", "feature"), [([[1e20, 1.0], [3e20, 2.0]], 0), ([[1.0, -1e30], [2.0, 1e30]], 1),
                                               ([[1.0, 1e300], [2.0, 2e300]], 1)])
@pytest.mark.parametrize("robust", [False, True])
def test_adapt_refuses_data_whose_variance_float32_cannot_hold(data, feature, robust):
    layer = layers.Normalization(robust=robust)
    with pytest.raises(ValueError, match=rf"data must have .* below 1\.8e\+19.* of feature {feature}"):
        layer.adapt(np.array(data))
    assert layer.mean is None
    layer.adapt(np.array([[1e18, 1.0], [3e18, 2.0]]))
    np.testing.assert_allclose(layer([[3e18, 1.0]]), [[1.0, -1.0]] if not robust else [[1.34898, -1.34898]], rtol=1e-5)


@pytest.mark.parametrize("penalty", [Penalty(), Penalty(0.01, 0.02), Penalty(0.01, 0.02, True)],
                         ids=["none", "l1l2", "proximal"])
@pytest.mark.parametrize("size", [1e10, 1e19, 2e19, 1e30, 1e35, 1e36, 3e38])
def test_adamax_makes_steps_of_gradients_of_every_size(size, penalty):
    """Its divisor is no square, but the rate divided by it leaves the range of float32."""
    w, rule = np.ones(53, np.float32), ref.RULES["adamax"]
    mine, oracle, expected = updater(rule, w, penalty), ref.Updater(rounded(rule), rounded(penalty)), np.ones(53)
    large = lone(53, np.float32(size))
    for gradient in (large, large, np.zeros_like(large), -large, np.full_like(large, 0.5), large):
        mine.step(gradient)
        expected = oracle.step(expected, gradient.astype(np.float64))
        np.testing.assert_allclose(w, expected, rtol=1e-5, atol=20 * EPS)
