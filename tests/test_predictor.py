"""What a frozen network computes: the float64 oracle, and the same bits for a row wherever it stands.

The oracle carries the deviation of float32 rounding along: a sum of k terms errs like a walk of k steps, by eps / 2
sqrt(k) times the root of its sum of squares, and a layer hands on what comes in by the squares of its weights.
"""

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from conftest import EPS
from fastreg.layers import Activation, BatchNormalization, Dense, Dropout
from fastreg.model.core import core_of
from hypothesis import given, settings
from hypothesis import strategies as st

DEVIATIONS = 4.0  # of the walk, for the largest of many elements
ELEMENTWISE = tuple(ref.ELEMENTWISE)
BATCHES = (1, 2, 3, 5, 6, 7, 31, 32, 33, 127, 128, 129, 1000)

# id: layers. Every neighbourhood that a batch normalisation can have, and layers that leave nothing behind.
STACKS = {
    "tutorial": [Dense(64, "relu"), BatchNormalization(), Dropout(0.5), Dense(1, "sigmoid")],
    "before the activation": [Dense(33, use_bias=False), BatchNormalization(), Activation("relu"), Dense(9, "softmax")],
    "at the input": [BatchNormalization(), Dense(20, "tanh"), Dense(3)],
    "at the input, dropped": [Dropout(0.2), BatchNormalization(), Dropout(0.3), Dense(5)],
    "two in a row": [Dense(20, "tanh"), BatchNormalization(), BatchNormalization(), Dense(3)],
    "three around": [BatchNormalization(), Dense(9), BatchNormalization(), BatchNormalization(), Dense(4, "gelu")],
    "between linear": [Dense(16), BatchNormalization(), Dense(5)],
    "last": [Dense(7, "relu"), BatchNormalization()],
    "last of one column": [Dense(1, "relu"), BatchNormalization(), Activation("sigmoid")],
    "alone": [BatchNormalization()],
    "alone before an activation": [BatchNormalization(), Activation("silu")],
    "between activations": [Dense(12, "relu"), BatchNormalization(), Activation("gelu"), Dense(2)],
    "activations in a row": [Dense(12, "relu"), Activation("tanh"), Activation("elu"), BatchNormalization(), Dense(2)],
    "softmax inside": [Dense(9, "softmax"), BatchNormalization(), Dense(4, "softmax")],
    "softmax of many": [Dense(70), Activation("softmax")],
    "no gamma": [Dense(6, "relu"), BatchNormalization(scale=False), Dense(3)],
    "no beta": [Dense(6, "relu"), BatchNormalization(center=False), Dense(3, use_bias=False)],
    "dropout alone": [Dropout(0.5)],
    "linear alone": [Activation("linear")],
    "activation alone": [Activation("softplus")],
    "single units": [Dense(1, "tanh"), BatchNormalization(), Dense(1), Dense(1, "softplus"), Dense(3), Dense(1)],
    "deep": [layer for width in (40, 17, 33, 16, 48, 64, 80, 5) for layer in
             (Dense(width, "leaky_relu"), BatchNormalization(), Dropout(0.1))] + [Dense(2, "softmax")],
}


def random_weight(rng, name, shape, mean):
    if name.endswith("kernel"):
        return rng.normal(size=shape) / np.sqrt(shape[0])
    if name.endswith("gamma"):
        return rng.uniform(0.5, 1.5, shape)
    if name.endswith("variance"):
        return rng.uniform(0.3, 2.0, shape)
    return rng.normal(scale=mean if name.endswith("mean") else 0.3, size=shape)


def built(rng, stack, n_features, mean=0.5):
    """A model of these layers with random weights; `mean` is the deviation of the moving means."""
    model = fr.Sequential(stack, seed=0)
    model.build(n_features)
    info = core_of(model).require_network("tests").weight_info()
    model.set_weights([random_weight(rng, name, shape, mean).astype(np.float32) for name, shape, _ in info])
    return model


def activate(name, z, error):
    y = ref.activation_forward(name, z)
    if name in ref.ROWS:
        size = y if name == "softmax" else np.ones_like(z) + abs(z).max(axis=1, keepdims=True)
        return y, size * (2.0 * error.max(axis=1, keepdims=True) + EPS * (4.0 + np.sqrt(z.shape[1])))
    if name == "linear":
        return y, error
    return y, 4.0 * EPS * np.abs(y) + ref.steepness(name, z) * error


def oracle(model, x):
    """(outputs in float64, deviation of their rounding error in float32)."""
    y, error = x.astype(np.float64), np.zeros(x.shape)
    for layer in model.layers:
        weights = [w.astype(np.float64) for w in layer.get_weights()]
        if isinstance(layer, Dense):
            kernel, bias = weights[0], weights[1] if layer.use_bias else np.zeros(layer.units)
            _, z = ref.dense_forward(y, kernel, bias)
            squares = (y * y) @ (kernel * kernel) + bias * bias + z * z
            walk = EPS / 2 * np.sqrt((len(kernel) + 4) * squares)
            y, error = activate(layer.activation, z, np.sqrt((error * error) @ (kernel * kernel)) + walk)
        elif isinstance(layer, BatchNormalization):
            gamma = weights.pop(0) if layer.scale else np.ones(y.shape[1])
            beta = weights.pop(0) if layer.center else np.zeros(y.shape[1])
            mean, variance = weights
            scale = gamma / np.sqrt(variance + float(np.float32(layer.epsilon)))
            error = scale * error + EPS * (np.abs(scale * y) + np.abs(scale * mean) + np.abs(beta))
            y = ref.batch_norm_infer(y, gamma, beta, mean, variance, float(np.float32(layer.epsilon)))
        elif isinstance(layer, Activation):
            y, error = activate(layer.activation, y, error)
    return y, error


def assert_near_oracle(model, x, *predictions):
    expected, error = oracle(model, x)
    for y in predictions:
        assert y.dtype == np.float32
        assert y.shape == expected.shape
        worst = np.max(np.abs(y - expected) / (DEVIATIONS * error + np.finfo(np.float32).tiny), initial=0.0)
        assert worst <= 1.0, f"error is {worst * DEVIATIONS:.2f} deviations of rounding"


def assert_same_bits_anywhere(p, x):
    """The first rows, single rows and slices in the middle give what the whole batch gives."""
    whole = p(x)
    n = len(x)
    parts = [(0, size) for size in BATCHES if size < n]
    parts += [(i, i + 1) for i in range(0, n, max(1, n // 7))] + [(1, n), (n // 3, n // 3 + 5), (n - 2, n)]
    for begin, end in parts:
        end = min(end, n)
        assert p(x[begin:end]).tobytes() == whole[begin:end].tobytes(), f"rows {begin} to {end} of {n}"
    return whole


@pytest.mark.parametrize("n_features", [1, 2, 16, 37])
@pytest.mark.parametrize("name", STACKS)
def test_every_stack(rng, name, n_features):
    model = built(rng, STACKS[name], n_features)
    x = rng.normal(size=(140, n_features)).astype(np.float32)
    y = assert_same_bits_anywhere(model.freeze(), x)
    assert_near_oracle(model, x, y, model.predict(x))


@pytest.mark.parametrize(
    ("activation", "units"),
    [(name, units) for name in ref.ACTIVATIONS for units in (1, 19, 64) if name not in ref.ROWS or units > 1],
)
def test_every_activation(rng, activation, units):
    stack = [Dense(units, activation), BatchNormalization(), Dense(23, activation), Dense(units, activation)]
    model = built(rng, stack, 11)
    x = (3 * rng.normal(size=(40, 11))).astype(np.float32)
    if activation == "exponential":  # three in a row leave the range of floats
        model, x = built(rng, [Dense(units, activation), BatchNormalization(), Dense(5)], 11), x / 3
    assert_near_oracle(model, x, assert_same_bits_anywhere(model.freeze(), x))


@pytest.mark.parametrize("units", [1, 2, 15, 16, 17, 31, 33, 48, 49, 63, 64, 65, 96, 127, 128, 129, 192, 257, 300])
@pytest.mark.parametrize("n_features", [1, 7, 16, 63, 128, 130, 1023, 1025, 2501])
@pytest.mark.parametrize("use_bias", [True, False])
def test_widths(rng, n_features, units, use_bias):
    """The normalisation is folded into the last layer, so that without a bias the first one has none."""
    model = built(rng, [Dense(units, "relu", use_bias=use_bias), BatchNormalization(), Dense(3)], n_features)
    x = rng.normal(size=(33, n_features)).astype(np.float32)
    assert_near_oracle(model, x, assert_same_bits_anywhere(model.freeze(), x))


@pytest.mark.parametrize("widths", [(5000, 1), (4999, 17), (1, 5000), (784, 256, 128, 10), (3, 2048, 2), (2, 9000, 3)])
def test_large(rng, widths):
    n_features, *units = widths
    stack = [layer for width in units for layer in (Dense(width, "tanh"), BatchNormalization())]
    model = built(rng, [BatchNormalization(), *stack[:-1]], n_features)
    x = rng.normal(size=(131, n_features)).astype(np.float32)
    assert_near_oracle(model, x, assert_same_bits_anywhere(model.freeze(), x))


@pytest.mark.parametrize("name", ["tutorial", "deep", "softmax of many", "at the input", "last of one column"])
def test_every_batch_size(rng, name):
    model = built(rng, STACKS[name], 13)
    x = rng.normal(size=(1300, 13)).astype(np.float32)
    assert_near_oracle(model, x, assert_same_bits_anywhere(model.freeze(), x))


@pytest.mark.parametrize("mean", [1e2, 1e4, 1e6])
def test_an_input_far_from_zero_keeps_its_digits(rng, mean):
    """x scale - mean scale would have nothing left of x; (x - mean) scale has all of it, so that layer stays."""
    model = fr.Sequential([BatchNormalization(), Dense(8, "tanh"), Dense(1)], seed=0)
    model.build(4)
    weights = model.get_weights()
    weights[2][:] = mean
    model.set_weights(weights)
    x = (mean + rng.normal(size=(50, 4))).astype(np.float32)
    assert "normalised" in repr(model.freeze())
    expected, _ = oracle(model, x)
    # x - mean is exact here, so what errs is a sum of 4 and a sum of 8 terms, and no part of it grows with the mean.
    assert np.abs(model.freeze()(x) - expected).max() < 40 * EPS * np.abs(expected).max()


@pytest.mark.parametrize(("gamma", "mean"), [(1e-2, 1.5e3), (1e-3, 1.5e4), (1e-4, 1.5e5), (1e2, 15.0), (0.0, 1e4)])
@pytest.mark.parametrize("norms", [1, 2])
def test_a_small_gamma_hides_no_distance(rng, gamma, mean, norms):
    """Only what the mean is in deviations of the input counts: kernels that undo gamma bring the digits lost back."""
    model = fr.Sequential([*[BatchNormalization()] * norms, Dense(8, "tanh"), Dense(1)], seed=0)
    model.build(4)
    weights = model.get_weights()
    weights[0][:] = gamma
    weights[2][:] = mean
    weights[4 * norms] /= np.float32(gamma or 1.0)
    model.set_weights(weights)
    x = (mean + rng.normal(size=(200, 4))).astype(np.float32)
    p = model.freeze()
    assert ("normalised" in repr(p)) == (mean > 16.0)
    expected, _ = oracle(model, x)
    assert np.abs(p(x) - expected).max() <= 40 * (1 if mean > 16.0 else 17) * EPS * np.abs(expected).max()


@st.composite
def random_stacks(draw):
    stack, width = [], draw(st.integers(1, 70))
    n_features = width
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["dense", "dense", "norm", "activation", "dropout"]))
        activation = draw(st.sampled_from(ref.ACTIVATIONS))
        if kind == "dense":
            width = draw(st.integers(1, 90) | st.integers(91, 300))
            linear = "linear" if width == 1 and activation in ref.ROWS else activation
            stack.append(Dense(width, linear, use_bias=draw(st.booleans())))
        elif kind == "norm":
            stack.append(BatchNormalization(scale=draw(st.booleans()), center=draw(st.booleans())))
        elif kind == "activation":
            stack.append(Activation("linear" if width == 1 and activation in ref.ROWS else activation))
        else:
            stack.append(Dropout(draw(st.sampled_from([0.0, 0.25, 0.9]))))
    return stack, n_features, draw(st.integers(1, 40)), draw(st.integers(0, 2**32 - 1))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(random_stacks())
def test_random_stacks(case):
    stack, n_features, n, seed = case
    rng = np.random.default_rng(seed)
    model = built(rng, stack, n_features)
    x = rng.normal(size=(n, n_features)).astype(np.float32)
    assert_near_oracle(model, x, assert_same_bits_anywhere(model.freeze(), x))


@pytest.mark.parametrize("widths", [(10, 64, 1), (784, 256, 128, 10), (65, 130)])
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_no_bit(rng, widths, threads):
    n_features, *units = widths
    model = built(rng, [Dense(width, "relu") for width in units], n_features)
    p = model.freeze()
    x = rng.normal(size=(20_000 if n_features < 100 else 1001, n_features)).astype(np.float32)
    before = fr.get_num_threads()
    try:
        fr.set_num_threads(1)
        alone = p(x)
        fr.set_num_threads(threads)
        assert p(x).tobytes() == alone.tobytes()
    finally:
        fr.set_num_threads(before)


@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_row_stays_alone(rng, activation, value):
    """NaN gives NaN in its own row; whatever infinity gives, the other rows do not see it."""
    model = built(rng, [BatchNormalization(), Dense(21, activation), BatchNormalization(), Dense(3, activation)], 5)
    p = model.freeze()
    x = rng.normal(size=(45, 5)).astype(np.float32)
    clean = p(x)
    for row in (0, 17, 44):
        x[row, row % 5] = value
    dirty = p(x)
    untouched = np.setdiff1d(np.arange(45), [0, 17, 44])
    assert dirty[untouched].tobytes() == clean[untouched].tobytes()
    if np.isnan(value):
        assert np.isnan(dirty[[0, 17, 44]]).all()
    assert p(x[17:18]).tobytes() == dirty[17:18].tobytes()


def test_weights_shrunk_to_denormals(rng):
    model = built(rng, [Dense(40, "relu"), Dense(2)], 6)
    model.set_weights([w * np.float32(1e-39) if w.ndim == 2 else w for w in model.get_weights()])
    x = rng.normal(size=(9, 6)).astype(np.float32)
    np.testing.assert_allclose(model.freeze()(x), model.predict(x), rtol=1e-6)
