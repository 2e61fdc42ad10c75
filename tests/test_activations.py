"""Every activation, forward and backward, against the oracle: alone, at every size, over the whole range of floats.

The primitives get exactly rounded inputs, so an elementwise result may differ by a few units in the last place only;
gelu and silu subtract in their tails, where an absolute error of the last place of 1 counts.
"""

import numpy as np
import pytest
import reference as ref
from conftest import EPS, SIZES, assert_close
from fastreg import _core, ops

ELEMENTWISE = tuple(ref.ELEMENTWISE)


def saved_by(name, z):
    """What the backward pass needs: the output, or the input where the core says so."""
    return z if _core.schema()["activations"][name]["backward_from"] == "input" else ops.activation(z, name)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("cols", SIZES)
@pytest.mark.parametrize("name", ref.ACTIVATIONS)
def test_activation(name, rows, cols, rng):
    z = (3.0 * rng.normal(size=(rows, cols))).astype(np.float32)
    dy = rng.normal(size=(rows, cols)).astype(np.float32)
    y = ops.activation(z, name)
    expected = ref.activation_forward(name, z)
    size = np.abs(expected) + np.abs(z) * (name in ref.ROWS) + 1e-7
    # Four roundings make the argument of an exponential that is not z itself.
    terms = cols if name in ref.ROWS else 8 + 2.0 * np.abs(ref.ELEMENTWISE[name].exponent(z))
    assert_close(y, expected, terms=terms, magnitude=size, what="y")
    dz = ops.activation_backward(saved_by(name, z), dy, name)
    largest = np.abs(dy).sum(axis=1, keepdims=True) if name in ref.ROWS else np.abs(dy)
    assert_close(
        dz, ref.activation_backward(name, z, dy), terms=cols if name in ref.ROWS else 8, magnitude=largest, what="dz"
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_accuracy_over_the_whole_range(name):
    """Dense around zero, out to where everything saturates."""
    z = np.concatenate(
        [
            np.linspace(-110.0, 110.0, 40001),
            np.linspace(-4.0, 4.0, 40001),
            np.geomspace(1e-30, 1e-2, 2001),
            -np.geomspace(1e-30, 1e-2, 2001),
            [0.0, 1e6, -1e6, 3e38, -3e38],
        ]
    ).astype(np.float32)
    y = ops.activation(z.reshape(1, -1), name)[0].astype(np.float64)
    expected = ref.activation_forward(name, z)
    # Results below the normal range are flushed to zero.
    allowed = ref.ELEMENTWISE[name].ulps * EPS * np.abs(expected) + np.finfo(np.float32).tiny
    if ref.ELEMENTWISE[name].cancels:
        allowed += EPS * np.minimum(np.abs(z), 1.0) * (z < 0.0)
    finite = np.isfinite(expected)
    near = np.abs(np.where(finite, y, 0.0) - np.where(finite, expected, 0.0)) <= np.where(finite, allowed, 0.0)
    bad = np.flatnonzero(~np.where(finite, near, y == expected))
    assert bad.size == 0, (
        f"{bad.size} of {z.size}; first at z = {z[bad[0]]!r}: got {y[bad[0]]!r}, expected {expected[bad[0]]!r}"
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradient_over_the_whole_range(name):
    z = np.concatenate(
        [np.linspace(-110.0, 110.0, 20001), np.linspace(-4.0, 4.0, 20001), [0.0, 1e6, -1e6, 3e38, -3e38]]
    )
    z = z.astype(np.float32).reshape(1, -1)
    derivative = ref.activation_backward(name, z, np.ones_like(z))
    z, derivative = (array[np.isfinite(derivative)].reshape(1, -1) for array in (z, derivative))
    dz = ops.activation_backward(saved_by(name, z), np.ones_like(z), name)
    # From a rounded output the derivative of a saturating function is known to the last place of 1.
    assert_close(dz, derivative, terms=8, magnitude=np.maximum(1.0, abs(derivative)), what=name)


def test_relu_and_leaky_relu_at_zero():
    z = np.array([[-0.0, 0.0]], np.float32)
    for name, slope in (("relu", 0.0), ("leaky_relu", 0.2), ("elu", 1.0)):
        np.testing.assert_array_equal(ops.activation(z, name), [[0.0, 0.0]])
        np.testing.assert_allclose(ops.activation_backward(z, np.ones_like(z), name), [[slope, slope]], rtol=1e-6)


def test_nan_stays_nan():
    """A run that went wrong must show; no activation may hide a NaN."""
    z = np.full((2, 19), np.nan, np.float32)
    for name in ref.ACTIVATIONS:
        assert np.isnan(ops.activation(z, name)).all(), name


@pytest.mark.parametrize("cols", [1, 2, 10, 16, 17, 64, 65])
def test_softmax_of_large_values(cols, rng):
    z = (1e4 * rng.normal(size=(40, cols))).astype(np.float32)
    y = ops.activation(z, "softmax")
    np.testing.assert_allclose(y, ref.activation_forward("softmax", z), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(y.sum(axis=1, dtype=np.float64), 1.0, rtol=1e-6)
