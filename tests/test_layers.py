"""Dense and batch normalisation as single primitives, against the oracle, at every size around vectors and panels."""

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import LAYER_CASES
from conftest import EPS, SIZES, assert_close
from fastreg import _core, layers, ops, optimizers
from fastreg.internal.layer_base import Join
from pairs import float32, random_weights

ELEMENTWISE = tuple(ref.ELEMENTWISE)
POSITIVE_SIZES = tuple(size for size in SIZES if size > 0)


def dense_case(rng, n, n_in, n_out):
    return (
        rng.normal(size=(n, n_in)).astype(np.float32),
        rng.normal(size=(n_in, n_out)).astype(np.float32),
        rng.normal(size=n_out).astype(np.float32),
        rng.normal(size=(n, n_out)).astype(np.float32),
    )


def check_dense(rng, n, n_in, n_out, activation="linear", bias=True):
    """A linear product errs by its terms; behind an activation the error of z carries over, by slopes up to 1.2."""
    x, w, b, dy = dense_case(rng, n, n_in, n_out)
    b = b if bias else None
    y = ops.dense(x, w, b, activation=activation)
    expected, z = ref.dense_forward(x.astype(np.float64), w, b, activation)
    magnitude = np.abs(x).astype(np.float64) @ np.abs(w) + (np.abs(b) if bias else 0.0)
    if activation in ref.ROWS:
        magnitude = np.broadcast_to(magnitude.max(axis=1, keepdims=True), expected.shape) if n else magnitude
    size = ref.steepness(activation, z) * magnitude + np.abs(expected)
    assert_close(y, expected, terms=n_in, magnitude=size, what="y")

    saved = ops.dense(x, w, b) if _core.schema()["activations"][activation]["backward_from"] == "input" else y
    dx, dw, db = ops.dense_backward(x, w, saved, dy, activation)
    # The backward pass starts from the rounded output, so the derivative contains its error, and dz has the same bound.
    dz = ref.activation_backward(activation, z, dy)
    slope_error = 0.0 if activation in ("linear", "relu", "leaky_relu") else 1.0 + magnitude
    dy_size = np.abs(dy).max(axis=1, keepdims=True, initial=0.0) if activation == "softmax" else np.abs(dy)
    if activation in ("log_softmax", "sparsemax"):
        dy_size = np.abs(dy).sum(axis=1, keepdims=True)
    dy_size = dy_size * ref.steepness(activation, z)
    dz_magnitude = np.abs(dz) + dy_size * slope_error
    expected_dx, expected_dw, expected_db = ref.dense_backward(x.astype(np.float64), w, z, dy, activation)
    assert_close(dx, expected_dx, terms=n_in + n_out, magnitude=dz_magnitude @ np.abs(w).T, what="dx")
    assert_close(dw, expected_dw, terms=n_in + n, magnitude=np.abs(x).T @ dz_magnitude, what="dw")
    assert_close(db, expected_db, terms=n_in + n, magnitude=dz_magnitude.sum(axis=0), what="db")


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("n_out", [1, 5, 16, 64, 65])
def test_dense_rows(n, n_out, rng):
    check_dense(rng, n, 19, n_out)


@pytest.mark.parametrize("n_in", POSITIVE_SIZES)
@pytest.mark.parametrize("n_out", [1, 17, 64, 131])
def test_dense_inputs(n_in, n_out, rng):
    check_dense(rng, 7, n_in, n_out)


@pytest.mark.parametrize("n_out", POSITIVE_SIZES)
@pytest.mark.parametrize("n", [1, 2, 6, 13, 128])
def test_dense_outputs(n, n_out, rng):
    check_dense(rng, n, 20, n_out)


@pytest.mark.parametrize(
    ("n", "n_in", "n_out"), [(128, 784, 256), (1, 784, 256), (32, 1030, 67), (300, 1, 1), (1000, 3, 1)]
)
def test_dense_large(n, n_in, n_out, rng):
    """Beyond one block of the reduction."""
    check_dense(rng, n, n_in, n_out)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("n_out", [1, 3, 16, 33, 64, 67])
@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
def test_dense_with_activation(activation, n_out, bias, rng):
    check_dense(rng, 13, 9, n_out, activation, bias)


def test_dense_writes_where_it_is_told(rng):
    x, w, b, _ = dense_case(rng, 5, 4, 3)
    out = np.full((5, 3), np.nan, np.float32)
    assert ops.dense(x, w, b, activation="relu", out=out) is out
    assert_close(
        out,
        ref.dense_forward(x.astype(np.float64), w, b, "relu")[0],
        terms=4,
        magnitude=np.abs(x) @ np.abs(w) + np.abs(b),
    )


def test_a_row_does_not_depend_on_its_neighbours(rng):
    """Bitwise: whatever tile a row falls into."""
    x, w, b, _ = dense_case(rng, 40, 37, 70)
    whole = ops.dense(x, w, b, activation="tanh")
    for n in range(1, 40):
        np.testing.assert_array_equal(ops.dense(x[:n], w, b, activation="tanh"), whole[:n])


# --------------------------------------------------------------------------------------------- batch normalisation


def batch_norm_case(rng, n, cols):
    x = (rng.normal(size=(n, cols)) * rng.uniform(0.2, 3.0, cols) + rng.normal(size=cols)).astype(np.float32)
    return (x, *(rng.uniform(0.5, 1.5, cols).astype(np.float32) for _ in range(4)))


EPSILON, MOMENTUM = float(np.float32(1e-3)), float(np.float32(0.9))


@pytest.mark.parametrize("affine", ["gamma, beta", "gamma", "beta", ""])
@pytest.mark.parametrize("cols", POSITIVE_SIZES)
@pytest.mark.parametrize("n", [1, 2, 3, 16, 33, 200])
def test_batch_norm_in_training(n, cols, affine, rng):
    x, gamma, beta, mean0, variance0 = batch_norm_case(rng, n, cols)
    gamma, beta = (gamma if "gamma" in affine else None), (beta if "beta" in affine else None)
    moving_mean, moving_variance = mean0.copy(), variance0.copy()
    y, mean, inv_std = ops.batch_norm_train(x, gamma, beta, moving_mean, moving_variance, MOMENTUM, EPSILON)
    x64 = x.astype(np.float64)
    expected, expected_mean, expected_variance = ref.batch_norm_train(x64, gamma, beta, EPSILON)
    expected_inv_std = 1.0 / np.sqrt(expected_variance + EPSILON)
    # The rounding of the mean is a shift of the whole column, in units of its deviation.
    size = np.abs(x64).max(axis=0) * expected_inv_std + 1.0
    assert_close(mean, expected_mean, terms=n, magnitude=np.abs(x64).mean(axis=0), what="mean")
    assert_close(inv_std, expected_inv_std, terms=n, magnitude=expected_inv_std * size, what="inv_std")
    assert_close(y, expected, terms=n, magnitude=size * (1.0 if gamma is None else gamma) + np.abs(expected), what="y")
    assert_close(
        moving_mean,
        ref.moving_average(mean0, expected_mean, MOMENTUM),
        terms=n,
        magnitude=np.abs(mean0) + np.abs(x64).mean(axis=0),
    )
    assert_close(
        moving_variance,
        ref.moving_average(variance0, expected_variance, MOMENTUM),
        terms=n,
        magnitude=variance0 + expected_variance * size,
    )

    dy = rng.normal(size=x.shape).astype(np.float32)
    dx, dgamma, dbeta = ops.batch_norm_backward(x, dy, gamma, mean, inv_std)
    expected_dx, expected_dgamma, expected_dbeta = ref.batch_norm_backward(
        x64, dy, gamma, expected_mean, expected_inv_std
    )
    dy_size, x_hat = np.abs(dy).astype(np.float64), np.abs((x64 - expected_mean) * expected_inv_std)
    scale = expected_inv_std * (1.0 if gamma is None else gamma)
    assert_close(dbeta, expected_dbeta, terms=n, magnitude=dy_size.sum(axis=0), what="dbeta")
    assert_close(dgamma, expected_dgamma, terms=n, magnitude=((x_hat + size) * dy_size).sum(axis=0), what="dgamma")
    assert_close(
        dx, expected_dx, terms=n, magnitude=scale * size * (1.0 + x_hat) * (dy_size + dy_size.mean(axis=0)), what="dx"
    )


@pytest.mark.parametrize("cols", POSITIVE_SIZES)
@pytest.mark.parametrize("n", [0, 1, 3, 17])
def test_batch_norm_in_inference(n, cols, rng):
    x, gamma, beta, mean, variance = batch_norm_case(rng, n, cols)
    y = ops.batch_norm(x, gamma, beta, mean, variance)
    expected = ref.batch_norm_infer(x.astype(np.float64), gamma, beta, mean, variance, EPSILON)
    magnitude = (np.abs(x) + np.abs(mean)) * gamma / np.sqrt(variance + EPSILON) + np.abs(beta)
    assert_close(y, expected, terms=4, magnitude=magnitude)


def test_batch_norm_of_a_constant_column():
    x = np.full((50, 3), 7.25, np.float32)
    moving = np.zeros(3, np.float32), np.ones(3, np.float32)
    y, mean, inv_std = ops.batch_norm_train(x, None, None, *moving, MOMENTUM, EPSILON)
    np.testing.assert_array_equal(y, np.zeros_like(x))
    np.testing.assert_array_equal(mean, x[0])
    np.testing.assert_allclose(inv_std, 1.0 / np.sqrt(EPSILON), rtol=4 * EPS)


def test_batch_norm_variance_far_from_zero(rng):
    """A variance by the difference of two means of squares would lose everything here."""
    x = (1000.0 + rng.normal(size=(400, 5))).astype(np.float32)
    moving = np.zeros(5, np.float32), np.zeros(5, np.float32)
    ops.batch_norm_train(x, None, None, *moving, 0.0, EPSILON)
    np.testing.assert_allclose(moving[1], x.astype(np.float64).var(axis=0), rtol=1e-4)


# ------------------------------------------------------------------------------------------------------ every layer


# Layers of several values, of integers and of inputs are in test_graphs.py, test_embeddings.py and test_table_input.py.
BETWEEN = [
    name
    for name, case in LAYER_CASES.items()
    if not isinstance(case.made, (Join, layers.TableInput)) and case.made.input_rule.limit is None
]


@pytest.mark.parametrize("name", BETWEEN)
def test_every_layer_trains_and_predicts_as_the_oracle(name, rng):
    """Between two Dense layers: weights and loss after some steps of batches, the last one short, and predictions."""
    case = LAYER_CASES[name]
    model = fr.Sequential([layers.Dense(7, "tanh"), case.made, layers.Dense(2)], seed=3)
    model.compile(optimizers.SGD(0.1), "mean_squared_error")
    model.build(5)
    oracle = [ref.Dense(7, "tanh"), case.oracle(), ref.Dense(2)]
    names = [f"{i}.{weight}" for i, layer in enumerate(oracle) for weight in layer.names]
    weights = random_weights([w.shape for w in model.get_weights()], names, rng)
    model.set_weights(weights)
    net = ref.Network(oracle, weights, optimizer=ref.SGD(float32(0.1)), seed=3)
    x, t = rng.normal(size=(37, 5)).astype(np.float32), rng.normal(size=(37, 2)).astype(np.float32)
    history = model.fit(x, t, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], net.fit(x.astype(np.float64), t, 2, 16), rtol=1e-5)
    for w, expected in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(w, expected, rtol=2e-5, atol=2e-5)
    expected = net.forward(x.astype(np.float64))
    np.testing.assert_allclose(model.predict(x), expected, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(model.freeze()(x), expected, rtol=2e-5, atol=2e-5)
