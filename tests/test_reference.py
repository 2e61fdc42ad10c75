"""The oracle checked by itself: finite differences of every backward pass, published vectors, closed forms, SciPy.

Nothing of fastreg is imported here, so that these tests say whether a difference elsewhere is the oracle's fault.
"""

import math

import numpy as np
import pytest
import reference as ref
import scipy.special
from formulas import schedules
from numpy.testing import assert_allclose, assert_array_equal
from pairs import last_activation

STEP = 1e-6  # of the central differences; their error is then about 1e-9 of the values


def numeric_gradient(f, x):
    """df/dx of a scalar function, by central differences."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + STEP
        above = f()
        x[index] = kept - STEP
        below = f()
        x[index] = kept
        gradient[index] = (above - below) / (2.0 * STEP)
    return gradient


def assert_gradient(f, x, gradient):
    assert_allclose(gradient, numeric_gradient(f, x), rtol=1e-6, atol=1e-8)


# ---------------------------------------------------------------------------------------------------- activations


@pytest.mark.parametrize("name", ref.ACTIVATIONS)
def test_activation_backward_is_the_derivative_of_forward(name, rng):
    z = rng.normal(0.0, 3.0, (5, 7))
    dy = rng.normal(size=z.shape)
    assert_gradient(lambda: (ref.activation_forward(name, z) * dy).sum(), z, ref.activation_backward(name, z, dy))


def test_activations_against_scipy(rng):
    z = np.concatenate([rng.normal(0.0, 4.0, 200), [-700.0, -40.0, 0.0, 40.0, 700.0]])
    expected = {
        "sigmoid": scipy.special.expit(z),
        "softplus": -scipy.special.log_expit(-z),
        "silu": z * scipy.special.expit(z),
        "gelu": z * scipy.special.ndtr(z),
        "elu": np.where(z > 0.0, z, scipy.special.expm1(np.minimum(z, 0.0))),
        "softmax": scipy.special.softmax(z),
    }
    for name, values in expected.items():
        assert_allclose(ref.activation_forward(name, z), values, rtol=1e-12, atol=1e-300, err_msg=name)


def test_piecewise_linear_activations_at_known_points():
    z = np.array([-2.0, 0.0, 3.0])
    assert_array_equal(ref.activation_forward("linear", z), z)
    assert_array_equal(ref.activation_forward("relu", z), [0.0, 0.0, 3.0])
    assert_allclose(ref.activation_forward("leaky_relu", z), [-0.4, 0.0, 3.0])
    assert_array_equal(ref.activation_backward("relu", z, np.ones(3)), [0.0, 0.0, 1.0])


# --------------------------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize("activation", ["linear", "tanh", "gelu", "softmax"])
def test_dense_backward(activation, rng):
    x, w, b, dy = (rng.normal(size=shape) for shape in ((4, 3), (3, 5), (5,), (4, 5)))

    def objective():
        return (ref.dense_forward(x, w, b, activation)[0] * dy).sum()

    dx, dw, db = ref.dense_backward(x, w, ref.dense_forward(x, w, b, activation)[1], dy, activation)
    for variable, gradient in ((x, dx), (w, dw), (b, db)):
        assert_gradient(objective, variable, gradient)


@pytest.mark.parametrize("rows", [2, 5])
def test_batch_norm_backward(rows, rng):
    x, dy = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 3))
    gamma, beta, epsilon = rng.normal(size=3), rng.normal(size=3), 1e-3

    def objective():
        return (ref.batch_norm_train(x, gamma, beta, epsilon)[0] * dy).sum()

    _, mean, variance = ref.batch_norm_train(x, gamma, beta, epsilon)
    dx, dgamma, dbeta = ref.batch_norm_backward(x, dy, gamma, mean, 1.0 / np.sqrt(variance + epsilon))
    for variable, gradient in ((x, dx), (gamma, dgamma), (beta, dbeta)):
        assert_gradient(objective, variable, gradient)


def test_batch_norm_of_a_known_batch():
    x = np.array([[1.0], [3.0]])  # mean 2, biased variance 1
    y, mean, variance = ref.batch_norm_train(x, np.array([10.0]), np.array([5.0]), 0.0)
    assert_array_equal(y, [[-5.0], [15.0]])
    assert (mean[0], variance[0]) == (2.0, 1.0)
    assert ref.moving_average(4.0, 8.0, 0.75) == 5.0


def test_batch_norm_of_one_row_gives_beta_and_no_gradient():
    x, beta = np.array([[3.0, -4.0]]), np.array([0.5, 0.25])
    y, mean, variance = ref.batch_norm_train(x, np.array([2.0, 2.0]), beta, 1e-3)
    assert_array_equal(y, [beta])
    dx, _, _ = ref.batch_norm_backward(x, np.ones_like(x), np.array([2.0, 2.0]), mean, 1.0 / np.sqrt(variance + 1e-3))
    assert_array_equal(dx, np.zeros_like(x))


# -------------------------------------------------------------------------------------------------- random numbers


# Random123's published known answers for philox4x32-10: counter, key, words.
PHILOX_KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return np.array([int(word, 16) for word in text.split()], np.uint64)


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX_KNOWN_ANSWERS)
def test_philox_known_answers(counter, key, expected):
    assert_array_equal(ref.philox4x32_10(words(counter), words(key)), words(expected))


def test_random_words_are_counter_blocks():
    both = ref.random_words(0x0123456789ABCDEF, 3, 7, 2**32 - 1, 2)
    key = [0x89ABCDEF, 0x01234567]
    assert_array_equal(both[0], ref.philox4x32_10([0xFFFFFFFF, 0, 3, 7], key))
    assert_array_equal(both[1], ref.philox4x32_10([0, 1, 3, 7], key))


@pytest.mark.parametrize("shape", [(3, 40), (5, 1), (2, 16)])
def test_dropout_keep_takes_each_element_from_its_place(shape):
    """The layout of kernels.h once more, element by element."""
    rate = 0.3
    ld = {40: 48, 1: 1, 16: 16}[shape[1]]
    keep = ref.dropout_keep(9, 2, 4, shape, rate)
    for i, j in np.ndindex(shape):
        e = i * ld + j
        group, word, lane, upper = e // 128, e // 32 % 4, e // 2 % 16, e % 2
        block = ref.random_words(9, 2, 4, 16 * group + lane, 1)[0]
        half = int(block[word]) >> (16 * upper) & 0xFFFF
        assert keep[i, j] == (half >= round(65536 * rate))


def test_dropout_keep_rate():
    n = 400 * 1000
    for rate in (0.1, 0.5, 0.9):
        kept = ref.dropout_keep(1, 0, 0, (400, 1000), rate).sum()
        assert abs(kept - n * (1.0 - rate)) < 5.0 * math.sqrt(n * rate * (1.0 - rate))


# --------------------------------------------------------------------------------------------------------- losses


def example_loss(loss, rng):
    """Outputs away from the clip bounds, and targets."""
    y, t = rng.normal(size=(6, 4 * loss.heads)), rng.random((6, 4))
    if (last := last_activation(loss)) != "linear":
        y = ref.activation_forward(last, y)
    if loss.targets == "signs":
        t = np.where(t > 0.5, 1.0, -1.0)
    if loss.targets == "distribution":
        t /= t.sum(axis=1, keepdims=True)
    if loss.targets == "labels":
        t = rng.integers(0, 4, 6)
    return y, t


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ref.LOSSES)
def test_loss_gradient(name, weighted, rng):
    loss = ref.LOSSES[name]
    y, t = example_loss(loss, rng)
    r = rng.random(6) * np.array([1, 0, 1, 2, 1, 3]) if weighted else None
    assert_gradient(lambda: ref.weighted_mean(ref.loss_rows(loss, y, t), r), y, ref.loss_gradient(loss, y, t, r))


@pytest.mark.parametrize("name", [name for name, loss in ref.LOSSES.items() if loss.logits])
def test_loss_from_logits_is_the_loss_of_the_probabilities(name, rng):
    loss = ref.LOSSES[name]
    z, t = example_loss(loss, rng)
    of_probabilities = loss.replace(from_logits=False)
    y = ref.activation_forward(loss.absorbs, z)
    assert_allclose(ref.loss_rows(loss, z, t), ref.loss_rows(of_probabilities, y, t))


def test_losses_at_known_points():
    half = np.array([[0.5, 0.5]])
    assert_allclose(ref.loss_rows("mean_squared_error", np.array([[1.0, 4.0]]), np.array([[0.0, 2.0]])), [2.5])
    assert_allclose(ref.loss_rows("binary_crossentropy", half, np.array([[1.0, 0.0]])), [math.log(2.0)])
    assert_allclose(ref.loss_rows("categorical_crossentropy", half, np.array([[0.0, 1.0]])), [math.log(2.0)])
    assert_allclose(ref.loss_rows("sparse_categorical_crossentropy", np.array([[0.2, 0.8]]), [1]), [-math.log(0.8)])
    # A certain and wrong prediction costs -log(1e-7) and no more.
    assert_allclose(
        ref.loss_rows("binary_crossentropy", np.array([[0.0]]), np.array([[1.0]])), [-math.log(1e-7)], rtol=1e-7
    )
    assert_array_equal(ref.loss_gradient("binary_crossentropy", np.array([[0.0]]), np.array([[1.0]])), [[0.0]])


# -------------------------------------------------------------------------------------------- penalties and updates


def test_penalty_gradient(rng):
    w = rng.normal(size=9)
    penalty = ref.Penalty(0.3, 0.2)
    assert_gradient(lambda: penalty.value(w), w, penalty.gradient(w))
    assert ref.Penalty(2.0, 3.0).value(np.array([-1.0, 2.0])) == 2.0 * 3.0 + 3.0 * 5.0


def one_parameter(optimizer, gradients, w=1.0, penalty=ref.NO_PENALTY):
    updater = ref.Updater(optimizer, penalty)
    for g in gradients:
        w = updater.step(np.float64(w), g)
    return w


def test_updates_by_hand():
    assert_allclose(one_parameter(ref.SGD(0.1), [2.0, 3.0]), 1.0 - 0.2 - 0.3)
    assert_allclose(one_parameter(ref.SGD(0.1, momentum=0.5), [2.0, 3.0]), 1.0 - 0.2 - 0.1 * (1.0 + 3.0))
    nesterov = ref.SGD(0.1, momentum=0.5, nesterov=True)  # steps by g + mu m
    assert_allclose(one_parameter(nesterov, [2.0, 3.0]), 1.0 - 0.1 * (2.0 + 1.0) - 0.1 * (3.0 + 0.5 * 4.0))
    # Adam's first step is the rate itself whatever the gradient; epsilon is added after the correction.
    assert_allclose(one_parameter(ref.Adam(0.1, epsilon=1.0), [3.0]), 1.0 - 0.1 * 3.0 / (3.0 + 1.0))
    m, v = (0.1 * 0.9 * 3.0 + 0.1 * -1.0) / (1.0 - 0.81), (0.001 * 0.999 * 9.0 + 0.001) / (1.0 - 0.999**2)
    second = 1.0 - 0.1 * 3.0 / 4.0 - 0.1 * m / (math.sqrt(v) + 1.0)
    assert_allclose(one_parameter(ref.Adam(0.1, epsilon=1.0), [3.0, -1.0]), second)
    # RMSprop: epsilon outside the root.
    rmsprop = ref.RMSprop(0.1, 0.75, epsilon=1.0)
    assert_allclose(one_parameter(rmsprop, [2.0]), 1.0 - 0.1 * 2.0 / (1.0 + 1.0))
    # Decoupled decay comes on top and does not enter the moments.
    adamw = ref.AdamW(0.1, weight_decay=0.5)
    assert_allclose(one_parameter(adamw, [3.0], w=2.0), 2.0 - 0.1 * 0.5 * 2.0 - 0.1, rtol=1e-7)
    # L2 in Adam enters the gradient: with g = -2 l2 w nothing moves.
    assert one_parameter(ref.Adam(0.1), [-0.4], penalty=ref.Penalty(0.0, 0.2)) == 1.0


def test_proximal_step_minimises_its_own_objective():
    """argmin_w (w - u)^2 / (2 eta) + l1 |w| by search on a grid, u the plain gradient step."""
    grid = np.linspace(-3.0, 3.0, 600001)
    for u in (-1.3, -0.1, 0.0, 0.2, 2.0):
        eta, l1 = 0.5, 0.6
        w = one_parameter(ref.SGD(eta), [(0.0 - u) / eta], w=0.0, penalty=ref.Penalty(l1, 0.0, True))
        assert_allclose(w, grid[np.argmin((grid - u) ** 2 / (2.0 * eta) + l1 * np.abs(grid))], atol=1e-5)


# ------------------------------------------------------------------------------------------------- schedules, metrics


def test_schedules_at_the_edges():
    assert [schedules.StepDecay(1.0, 3, 0.5).rate(s) for s in (0, 2, 3, 6)] == [1.0, 1.0, 0.5, 0.25]
    assert_allclose([schedules.ExponentialDecay(2.0, 4, 0.25).rate(s) for s in (0, 2, 4, 8)], [2.0, 1.0, 0.5, 0.125])
    staircase = schedules.ExponentialDecay(2.0, 4, 0.25, True)
    assert_allclose([staircase.rate(s) for s in (0, 3, 4, 7)], [2.0, 2.0, 0.5, 0.5])
    assert_allclose([schedules.CosineDecay(2.0, 10, 0.1).rate(s) for s in (0, 5, 10, 99)], [2.0, 1.1, 0.2, 0.2])
    pieces = schedules.PiecewiseConstantDecay((2, 4), (1.0, 0.5, 0.1))
    assert [pieces.rate(s) for s in (0, 2, 3, 4, 5)] == [1.0, 1.0, 0.5, 0.5, 0.1]


def test_metrics_at_known_points():
    y, t = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert ref.metric("binary_accuracy", y, t) == 0.5
    assert ref.metric("categorical_accuracy", y, t) == 0.5
    assert ref.metric("sparse_categorical_accuracy", y, np.array([0, 0]), np.array([3.0, 1.0])) == 0.75
    assert_allclose(ref.metric("mean_squared_error", y, t), (0.02 + 0.72) / 4)
    assert_allclose(ref.metric("mean_absolute_error", y, t), (0.2 + 1.2) / 4)


# --------------------------------------------------------------------------------------------------------- network


@pytest.mark.parametrize(
    ("last", "loss", "from_logits"),
    [
        ("linear", "mean_squared_error", False),
        ("sigmoid", "mean_squared_error", False),
        ("softmax", "mean_squared_error", False),
        ("sigmoid", "binary_crossentropy", False),
        ("linear", "binary_crossentropy", True),
        ("softmax", "categorical_crossentropy", False),
        ("softmax", "sparse_categorical_crossentropy", False),
        ("linear", "sparse_categorical_crossentropy", True),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_network_gradients(last, loss, from_logits, apart, rng):
    head = [ref.Dense(3), ref.Activation(last)] if apart else [ref.Dense(3, last)]
    layers = [
        ref.BatchNormalization(),
        ref.Dense(4, "tanh"),
        ref.Dropout(0.4),
        ref.BatchNormalization(scale=False),
        *head,
    ]
    shapes = [(2,)] * 4 + [(2, 4), (4,)] + [(4,)] * 3 + [(4, 3), (3,)]
    net = ref.Network(layers, [rng.normal(size=shape) for shape in shapes], loss, from_logits, seed=5)
    x = rng.normal(size=(7, 2))
    t = rng.random((7, 3))
    if loss == "categorical_crossentropy":
        t /= t.sum(axis=1, keepdims=True)
    if loss.startswith("sparse"):
        t = rng.integers(0, 3, 7)
    net.gradients(x, t)
    gradients = [
        (layer.p[name], layer.d[name]) for layer in layers for name in layer.names if not name.startswith("moving")
    ]
    for parameter, gradient in gradients:
        assert_gradient(lambda: net.gradients(x, t), parameter, gradient)
