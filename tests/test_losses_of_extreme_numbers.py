"""Losses and gradients of very small and very large numbers, against float64: none loses digits or leaves its range."""

from __future__ import annotations

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
    """Each logarithm is exact to two units in the last place, which their difference cannot be better than."""
    y, t = pairs(SMALL, SMALL)
    rows, dy, _ = ops.loss("mean_squared_logarithmic_error", y, t)
    oracle = ref.LOSSES["mean_squared_logarithmic_error"]
    far = oracle.logarithms(y.astype(np.float64), t.astype(np.float64))[:, 0]
    error = 2.0 * EPS * (y + t)[:, 0]
    np.testing.assert_array_less(np.abs(rows - far**2), 2.0 * np.abs(far) * error + error**2 + 1e-30)
    np.testing.assert_array_less(np.abs(len(y) * dy[:, 0] - 2.0 * far / (1.0 + y[:, 0])), 3.0 * error)


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
