"""Losses and gradients of very small and very large numbers, against float64: none loses digits or leaves its range."""

from __future__ import annotations

import decimal
from decimal import Decimal

import numpy as np
import pytest
import reference as ref
from conftest import EPS
from fastreg import losses, ops

# From the clip bound of outputs to a thousandth, where float32 keeps few digits of 1 + x.
SMALL = np.float32([1.01e-7, 5e-7, 1e-6, 3e-6, 1e-5, 1.234e-5, 1e-4, 1.1e-4, 5e-4, 9e-4])


def pairs(one, other):
    """All pairs of their numbers, as two columns."""
    grid = np.meshgrid(one, other)
    return tuple(np.ascontiguousarray(values.reshape(-1, 1), np.float32) for values in grid)


def row_gradients(loss, y, t):
    """The gradient of each row by itself."""
    return np.vstack([ops.loss(loss, y[i : i + 1], t[i : i + 1])[1] for i in range(len(y))])


def test_logarithms_of_small_numbers_keep_their_digits():
    y, t = pairs(SMALL, SMALL)
    dy = row_gradients("mean_squared_logarithmic_error", y, t)
    oracle = ref.LOSSES["mean_squared_logarithmic_error"]
    expected = oracle.row_gradients(y.astype(np.float64), t.astype(np.float64))
    np.testing.assert_allclose(dy, expected, rtol=8.0 * EPS)


def test_small_targets_are_learned_to_the_digit():
    """The gradient has the sign of the error, also where the error is an hundredth of a number of 1e-5."""
    t = np.full((6, 1), 1e-5, np.float32)
    y = t * np.float32([[0.99], [1.01], [0.9], [1.1], [0.5], [2.0]])
    dy = row_gradients(losses.MeanSquaredLogarithmicError(), y, t)
    np.testing.assert_allclose(dy, 2.0 * (y.astype(np.float64) - t), rtol=2e-4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 16), (2, 70)])
def test_log_cosh_of_small_errors(shape, rng):
    """It is e^2 / 2 - e^4 / 12, of which nothing is left where two terms as large as e cancel."""
    error = (rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(-12.0, -3.0, shape)).astype(np.float32)
    rows, _, _ = ops.loss("log_cosh", error, np.zeros(shape))
    e = error.astype(np.float64)
    expected = (0.5 * e**2 - e**4 / 12.0).mean(axis=1)
    below = np.abs(e).max(axis=1) < 2.0**-10
    np.testing.assert_allclose(rows[below], expected[below], rtol=8.0 * EPS)
    assert below.any()


@pytest.mark.parametrize("power", [1.0, 1.001, 1.3, 1.5, 1.9, 2.0])
def test_tweedie_gradients_stay_in_range(power):
    """y^-p alone leaves the range of float32 where the gradient does not."""
    large = np.float32([1e5, 1e16, 2e17, 3e17, 1e20, 1e26, 1e30, 3e38])
    y, t = pairs(large, np.concatenate([np.float32([0.5, 1.0, 1e3]), large]))
    loss = losses.Tweedie(power)
    dy = row_gradients(loss, y, t)
    mean, wanted = y.astype(np.float64), t.astype(np.float64)
    expected = 2.0 * (mean - wanted) * mean ** -np.float64(np.float32(power))
    normal = (np.abs(expected) < 3e38) & ((np.abs(expected) > 1e-37) | (expected == 0.0))
    # The exponent, p log y, is 177 at most, and is rounded.
    np.testing.assert_allclose(dy[normal], expected[normal], rtol=200.0 * EPS)
    assert np.isfinite(dy[normal]).all()
    assert normal.mean() > 0.8


# Exact values in 50 digits, where logarithms of close numbers do not cancel. Each takes output and target.


def exact(formula, y, t):
    with decimal.localcontext(prec=50):
        return np.float64([formula(*map(Decimal, map(float, pair))) for pair in zip(y[:, 0], t[:, 0], strict=True)])


def binary_crossentropy(y, t):
    return -(t * y.ln() + (1 - t) * (1 - y).ln())


def binary_focal_crossentropy(y, t):
    return (t * (1 - y) + (1 - t) * y) ** 2 * binary_crossentropy(y, t)


def squared_logarithmic_error(y, t):
    return ((1 + y).ln() - (1 + t).ln()) ** 2


def kl_divergence(y, t):
    return t * (t / y).ln()


def tweedie(power):
    def deviance(y, t):
        u, v = (one - Decimal(float(np.float32(power))) for one in (2, 1))

        def difference(c):
            at_t = (c * t.ln()).exp() if t else Decimal(0)
            return ((c * y.ln()).exp() - at_t) / c if c else (y / t).ln()

        return 2 * (difference(u) - (t * difference(v) if t else 0))

    return deviance


CLOSE = np.float32([0.0, 1e-6, -1e-6, 1e-5, 1e-4, -1e-4, 1e-3, 0.01, -0.05, 0.1, 0.26, 0.9, -0.49, 1.1, -0.6, 3.0])
POWERS = [1.0, 1.001, 1.3, 1.5, 1.9, 1.99, 2.0]


def close_to(targets):
    """Targets, each with outputs that are it, nearly it, and far from it."""
    y, t = pairs(CLOSE, targets)
    return np.float32((1.0 + y.astype(np.float64)) * t), t


@pytest.mark.parametrize(
    ("loss", "formula", "targets", "power"),
    [
        ("mean_squared_logarithmic_error", squared_logarithmic_error, [1e-6, 1e-3, 0.5, 1.0, 30.0, 1e6, 1e30], 0.0),
        ("kl_divergence", kl_divergence, [1e-5, 1e-3, 0.1, 0.25], 0.0),
        *((losses.Tweedie(p), tweedie(p), [1e-6, 1e-3, 0.5, 1.0, 30.0, 1e6, 1e15], p) for p in POWERS),
    ],
    ids=["msle", "kl", *(f"tweedie {p}" for p in POWERS)],
)
def test_losses_of_close_numbers_keep_their_digits(loss, formula, targets, power):
    """A difference of logarithms or powers has lost them all where its terms agree."""
    y, t = close_to(np.float32(targets))
    rows, expected = ops.loss(loss, y, t)[0], exact(formula, y, t)
    # The exponents of powers are rounded, which the logarithms of y and t multiply.
    error = 8.0 + 2.0 * power * (np.abs(np.log(y)) + np.abs(np.log(t)))[:, 0]
    np.testing.assert_array_less(np.abs(rows - expected), EPS * error * np.abs(expected) + 1e-36)


@pytest.mark.parametrize("power", [1.001, 1.5, 1.9, 1.99, 1.999])
def test_tweedie_of_zeros(power):
    """t^(2 - p) is 0, also where 2 - p is small."""
    y = np.float32([[1e-6], [0.01], [1.0], [50.0], [1e10]])
    rows, expected = ops.loss(losses.Tweedie(power), y, 0.0 * y)[0], exact(tweedie(power), y, 0.0 * y)
    np.testing.assert_allclose(rows, expected, rtol=64.0 * EPS)


@pytest.mark.parametrize("formula", [binary_crossentropy, binary_focal_crossentropy])
@pytest.mark.parametrize("target", [0.0, 1e-6, 0.3, 1.0])
def test_logarithms_of_the_rest_of_small_probabilities(formula, target):
    """1 - p has lost the digits of p."""
    small = np.concatenate([SMALL, np.float32([0.01, 0.1, 0.24, 0.25, 0.26, 0.4, 0.5, 0.7, 0.99, 0.999999])])
    y, t = pairs(small, [target])
    rows, dy, _ = ops.loss(formula.__name__, y, t)
    np.testing.assert_allclose(rows, exact(formula, y, t), rtol=32.0 * EPS)
    slopes = ref.loss_row_gradients(formula.__name__, y, t)
    np.testing.assert_allclose(len(y) * dy, slopes, rtol=128.0 * EPS, atol=EPS * np.abs(slopes).min())


@pytest.mark.parametrize("level", [1e-3, 1.0, 1e6])
def test_poisson_gradients_of_close_numbers(level):
    y, t = close_to(np.float32([level]))
    expected = (y.astype(np.float64) - t + float(np.float32(1e-7))) / (y.astype(np.float64) + float(np.float32(1e-7)))
    np.testing.assert_allclose(row_gradients("poisson", y, t), expected, rtol=4.0 * EPS, atol=1e-7 * EPS / level)


def test_generalized_cross_entropy_of_probabilities_near_one():
    p = np.float32([0.5, 0.9, 0.999, 1.0 - 1e-5, 1.0 - 1e-6, 1.0, 1.0 + 1e-6, 1.01, 1.9, 2.0, 3.0, 1e6])
    y = np.column_stack([p, np.zeros_like(p)])
    for q in (0.3, 0.5, 1.0):
        rows = ops.loss(losses.CategoricalGeneralizedCrossEntropy(q), y, np.zeros(len(p), np.int32))[0]
        q = float(np.float32(q))
        np.testing.assert_allclose(rows, -np.expm1(q * np.log(p.astype(np.float64))) / q, rtol=32.0 * EPS)


@pytest.mark.parametrize("columns", [2, 3, 17, 40])
@pytest.mark.parametrize("kind", ["categorical_crossentropy", "categorical_focal_crossentropy"])
@pytest.mark.parametrize("sparse", [False, True])
def test_shares_of_rows_whose_sum_leaves_the_range(columns, kind, sparse, rng):
    """A row is divided by its sum first; the shares are those of a row that is smaller by a power of 2."""
    if sparse and "focal" in kind:
        kind = "sparse_categorical_crossentropy"
    y = rng.uniform(1e38, 3.4e38, (5, columns)).astype(np.float32)
    labels = rng.integers(0, columns, 5)
    t = labels if kind.startswith("sparse") else np.eye(columns, dtype=np.float32)[labels]
    rows, dy, _ = ops.loss(kind, y, t)
    fewer, slopes, _ = ops.loss(kind, y * np.float32(2.0**-40), t)
    np.testing.assert_allclose(rows, fewer, rtol=4.0 * EPS)
    np.testing.assert_allclose(rows, ref.loss_rows(kind, y, t), rtol=32.0 * EPS)
    np.testing.assert_allclose(dy, slopes * 2.0**-40, rtol=1e-5, atol=1.2e-38)  # below 1e-38 it may be 0
    assert np.isfinite(dy).all()


@pytest.mark.parametrize("loss", [losses.BinaryFocalCrossentropy(from_logits=True, gamma=1.0)])
def test_gradients_of_focal_logits_that_are_nearly_right(loss):
    """1 - p has lost the digits of 1 - p for a large logit."""
    z = np.float32([[2.0], [8.0], [14.0], [16.0], [17.0], [20.0], [30.0]])
    for y, t in ((z, np.ones_like(z)), (-z, np.zeros_like(z))):
        q = 1.0 / (1.0 + np.exp(z.astype(np.float64)))
        # The loss is -q log(1 - q), and dq/dz = -q (1 - q).
        expected = -q * (1.0 - q) * (q / (1.0 - q) - np.log1p(-q)) * np.sign(y)
        np.testing.assert_allclose(row_gradients(loss, y, t), expected, rtol=64.0 * EPS)
