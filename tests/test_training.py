"""What fit, evaluate and predict mean, beyond single steps: weights of rows, penalties, schedules, learning itself."""

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import SCHEDULE_CASES
from conftest import EPS
from fastreg import layers, optimizers
from pairs import build_pair, targets
from reference import Penalty

PENALISED = [
    ("dense", 17, "tanh", {"kernel": Penalty(0.01, 0.02), "bias": Penalty(0.03, 0.04)}),
    ("batch_norm",),
    ("dropout", 0.3),
    ("dense", 3, "softmax", {"kernel": Penalty(0.0, 0.05)}),
]


def assert_same_weights(a, b, tolerance=0.0):
    for w, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(w, v, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------------------------------ weights of rows


def pair_of_models(rng, stack, **options):
    state = rng.bit_generator.state
    first, _ = build_pair(stack, 4, rng, **options)
    rng.bit_generator.state = state
    second, _ = build_pair(stack, 4, rng, **options)
    return first, second


STACK = [("dense", 9, "tanh"), ("dense", 2)]
SGD = ref.SGD(0.1)


def test_weight_two_is_a_row_twice(rng):
    weighted, doubled = pair_of_models(rng, STACK, optimizer=SGD)
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    r = np.ones(20)
    r[[3, 7]] = 2.0
    rows = np.repeat(np.arange(20), r.astype(int))
    a = weighted.fit(x, y, sample_weight=r, batch_size=None, epochs=5, verbose=0)
    b = doubled.fit(x[rows], y[rows], batch_size=None, epochs=5, verbose=0)
    assert_same_weights(weighted, doubled, 1e-6)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-6)


def test_weight_zero_is_no_row(rng):
    weighted, fewer = pair_of_models(rng, STACK, optimizer=SGD)
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    r = np.ones(20)
    r[[0, 7, 19]] = 0.0
    weighted.fit(x, y, sample_weight=r, batch_size=None, epochs=5, verbose=0)
    fewer.fit(x[r > 0.0], y[r > 0.0], batch_size=None, epochs=5, verbose=0)
    assert_same_weights(weighted, fewer, 1e-6)


def test_only_ratios_of_weights_count(rng):
    one, seven = pair_of_models(rng, STACK, optimizer=SGD)
    x, y, r = rng.normal(size=(20, 4)), rng.normal(size=(20, 2)), rng.uniform(0.5, 2.0, 20)
    one.fit(x, y, sample_weight=r, batch_size=8, shuffle=False, verbose=0)
    seven.fit(x, y, sample_weight=7.0 * r, batch_size=8, shuffle=False, verbose=0)
    assert_same_weights(one, seven, 1e-6)


@pytest.mark.parametrize("kind", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_class_weight_is_the_weight_of_its_rows(kind, rng):
    stack = [("dense", 9, "tanh"), ("dense", 3, "softmax")]
    by_class, by_row = pair_of_models(rng, stack, optimizer=SGD, loss=kind)
    x, labels, r = rng.normal(size=(24, 4)), rng.integers(0, 3, 24), rng.uniform(0.5, 2.0, 24)
    y = labels if kind.startswith("sparse") else ref.one_hot(labels, 3)
    weight_of = {0: 1.0, 1: 0.25, 2: 3.0}
    by_class.fit(x, y, class_weight=weight_of, sample_weight=r, batch_size=8, shuffle=False, verbose=0)
    by_row.fit(x, y, sample_weight=r * [weight_of[c] for c in labels], batch_size=8, shuffle=False, verbose=0)
    assert_same_weights(by_class, by_row, 1e-6)


def test_class_weight_of_two_classes(rng):
    stack = [("dense", 9, "tanh"), ("dense", 1, "sigmoid")]
    by_class, by_row = pair_of_models(rng, stack, optimizer=SGD, loss="binary_crossentropy")
    x, y = rng.normal(size=(24, 4)), rng.integers(0, 2, 24)
    by_class.fit(x, y, class_weight={0: 1.0, 1: 5.0}, batch_size=8, shuffle=False, verbose=0)
    by_row.fit(x, y, sample_weight=np.where(y == 1, 5.0, 1.0), batch_size=8, shuffle=False, verbose=0)
    assert_same_weights(by_class, by_row, 1e-6)


# ---------------------------------------------------------------------------------------------- evaluate, predict


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 5, 127, 128, 129, 300])
def test_evaluate_is_the_oracles(n, weighted, rng):
    """Penalties included, dropout off, moving statistics in use; metrics count rows equally (Keras's `metrics`)."""
    model, net = build_pair(PENALISED, 6, rng, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = rng.normal(size=(n, 6)).astype(np.float32), rng.integers(0, 3, n)
    r = rng.uniform(0.1, 3.0, n).astype(np.float32) if weighted else None
    loss, accuracy = model.evaluate(x, y, sample_weight=r, verbose=0)
    assert net.penalty() > 0.1
    np.testing.assert_allclose(loss, net.evaluate(x, y, r), rtol=1e-6)
    np.testing.assert_allclose(accuracy, ref.metric("sparse_categorical_accuracy", net.forward(x), y), rtol=1e-6)
    assert model.evaluate(x, y, sample_weight=r, return_dict=True, verbose=0) == {"loss": loss, "accuracy": accuracy}


def test_evaluate_does_not_depend_on_the_batch_size(rng):
    model, _ = build_pair(PENALISED, 6, rng, loss="sparse_categorical_crossentropy")
    x, y = rng.normal(size=(300, 6)), rng.integers(0, 3, 300)
    losses = {model.evaluate(x, y, batch_size=size, verbose=0) for size in (None, 1, 7, 32, 1000)}
    assert len(losses) == 1


@pytest.mark.parametrize("stack", [PENALISED, [("dense", 131, "relu"), ("dense", 1)], [("dense", 1, "gelu")]])
def test_predict_does_not_depend_on_its_batch(stack, rng):
    """Bitwise: for any batch size, and for a row alone as for the row among others."""
    model, net = build_pair(stack, 19, rng)
    x = rng.normal(size=(301, 19)).astype(np.float32)
    whole = model.predict(x)
    np.testing.assert_allclose(whole, net.forward(x), rtol=1e-5, atol=1e-6)
    for size in (1, 2, 31, 32, 128, 300, 1000):
        np.testing.assert_array_equal(model.predict(x, batch_size=size), whole)
    for i in (0, 1, 127, 128, 300):
        np.testing.assert_array_equal(model.predict(x[i : i + 1]), whole[i : i + 1])


def test_validation_is_an_evaluation_at_the_end_of_the_epoch(rng):
    model, _ = build_pair(PENALISED, 6, rng, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = rng.normal(size=(50, 6)), rng.integers(0, 3, 50)
    xv, yv = rng.normal(size=(33, 6)), rng.integers(0, 3, 33)
    for _ in range(3):
        history = model.fit(x, y, validation_data=(xv, yv), verbose=0).history
        assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert [history["val_loss"][0], history["val_accuracy"][0]] == model.evaluate(xv, yv, verbose=0)


def test_validation_leaves_training_alone(rng):
    with_it, without = pair_of_models(rng, PENALISED, loss="sparse_categorical_crossentropy")
    x, y = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)
    with_it.fit(x, y, epochs=3, validation_data=(x[:7], y[:7]), verbose=0)
    without.fit(x, y, epochs=3, verbose=0)
    assert_same_weights(with_it, without)


def test_validation_split_is_training_on_the_rest(rng):
    """X is the identity, so the rows that were trained on show in the weights; classes keep their shares."""
    labels = rng.permutation(np.repeat([0, 1, 2], [8, 12, 20]))
    x = np.eye(40, dtype=np.float32)

    def model():
        net = fr.Sequential([layers.Dense(3, activation="softmax", kernel_initializer="zeros")], seed=6)
        net.compile(optimizer=optimizers.SGD(0.5), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return net

    split, apart = model(), model()
    options = {"batch_size": 7, "epochs": 3, "shuffle": False, "verbose": 0}
    history = split.fit(x, labels, validation_split=0.25, **options).history
    trained = (split.get_weights()[0] != 0.0).any(axis=1)
    np.testing.assert_array_equal(np.bincount(labels[~trained]), [2, 3, 5])
    assert (np.flatnonzero(~trained) != np.arange(30, 40)).any(), "the last rows, unshuffled"
    expected = apart.fit(
        x[trained], labels[trained], validation_data=(x[~trained], labels[~trained]), **options
    ).history
    assert_same_weights(split, apart)
    assert history == expected


# ------------------------------------------------------------------------------------------------------ schedules


@pytest.mark.parametrize("case", SCHEDULE_CASES)
def test_schedule_is_evaluated_at_each_step(case, rng):
    """Over two calls of fit: the second goes on in the schedule."""
    schedule, oracle = SCHEDULE_CASES[case]
    model, net = build_pair(STACK, 4, rng)
    model.compile(optimizer=optimizers.SGD(learning_rate=schedule), loss="mean_squared_error")
    x, y = rng.normal(size=(25, 4)).astype(np.float32), targets("mean_squared_error", 25, 2, rng)
    for epochs in (1, 2):
        model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    net.fit(x, y, 3, 8, rates=[oracle.rate(step) for step in range(12)])
    for w, expected in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(w, expected, rtol=2e-6, atol=2e-6)


def test_proximal_l1_gives_exact_zeros_and_the_subgradient_does_not(rng):
    x = rng.normal(size=(200, 20)).astype(np.float32)
    y = x[:, :3] @ np.array([[1.0], [-2.0], [1.5]])
    zeros = {}
    for proximal in (False, True):
        regularizer = fr.regularizers.L1(0.1, proximal=proximal)
        for optimizer in (optimizers.SGD(0.05), optimizers.Adam(0.01), optimizers.RMSprop(0.01)):
            model = fr.Sequential([layers.Dense(1, kernel_regularizer=regularizer)], seed=0)
            model.compile(optimizer=optimizer, loss="mse")
            model.fit(x, y, epochs=60, verbose=0)
            w = model.get_weights()[0][:, 0]
            zeros[proximal, type(optimizer).__name__] = (w == 0.0).sum()
            np.testing.assert_allclose(w[:3], [1.0, -2.0, 1.5], atol=0.2)
    assert all(count == (17 if proximal else 0) for (proximal, _), count in zeros.items()), zeros


# ------------------------------------------------------------------------------------------------ learning itself


def test_linear_regression_reaches_the_least_squares_solution(rng):
    x = rng.normal(size=(100, 3))
    y = x @ [1.0, -2.0, 0.5] + 3.0 + 0.1 * rng.normal(size=100)
    model = fr.Sequential([layers.Dense(1)], seed=0)
    model.compile(optimizer=optimizers.SGD(0.1), loss="mse")
    history = model.fit(x, y, batch_size=None, epochs=300, verbose=0).history["loss"]
    solution, *_ = np.linalg.lstsq(np.c_[x, np.ones(100)], y, rcond=None)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(np.r_[kernel[:, 0], bias], solution, atol=1e-5)
    assert (np.diff(history) <= 32 * EPS * np.array(history[1:])).all()


def test_l2_reaches_the_ridge_solution(rng):
    """argmin mean (x w - y)^2 + l2 w^2 has the normal equations (x'x / n + l2) w = x'y / n."""
    x, l2 = rng.normal(size=(100, 3)), 0.3
    y = x @ [1.0, -2.0, 0.5]
    model = fr.Sequential([layers.Dense(1, use_bias=False, kernel_regularizer=fr.regularizers.L2(l2))], seed=0)
    model.compile(optimizer=optimizers.SGD(0.1), loss="mse")
    model.fit(x, y, batch_size=None, epochs=300, verbose=0)
    solution = np.linalg.solve(x.T @ x / 100 + l2 * np.eye(3), x.T @ y / 100)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], solution, atol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.SGD(0.02, momentum=0.9),
        optimizers.SGD(0.02, momentum=0.9, nesterov=True),
        optimizers.Adam(0.01),
        optimizers.AdamW(0.01),
        optimizers.RMSprop(0.005),
    ],
    ids=repr,
)
def test_a_network_learns_what_is_not_linear(optimizer):
    rng = np.random.default_rng(1)
    x = rng.uniform(-1.0, 1.0, (2500, 2))
    y = (x[:, 0] * x[:, 1] > 0.0).astype(int)
    model = fr.Sequential(
        [
            layers.Dense(32, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
            layers.Dense(1, activation="sigmoid"),
        ],
        seed=0,
    )
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(x[:500], y[:500], epochs=60, batch_size=32, verbose=0)
    assert model.evaluate(x[500:], y[500:], verbose=0)[1] > 0.93


def test_moving_statistics_reach_those_of_the_data(rng):
    x = rng.normal(3.0, 2.0, (640, 5))
    model = fr.Sequential([layers.BatchNormalization(momentum=0.9), layers.Dense(1)], seed=0)
    model.compile(optimizer=optimizers.SGD(1e-4), loss="mse")
    model.fit(x, np.zeros(640), batch_size=None, epochs=100, verbose=0)
    _, _, mean, variance, *_ = model.get_weights()
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-3)
    np.testing.assert_allclose(variance, x.var(axis=0), rtol=1e-3)
