"""A proximal L1 leads every optimizer to the same weights: those of the closed form, with exact zeros.

The loss of a weight is h (w - a)^2, its penalty l1 |w| + l2 w^2; weights do not influence each other.
"""
from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
from conftest import EPS
from fastreg import layers, ops, optimizers, regularizers
from programs import compiled, same_bits

# Where each weight would be without a penalty, and how curved its loss is there. With l1 = 1 those of h |a| <= 0.5
# are zero.
A = np.array([1.0, -1.0, 0.25, -0.25, 0.5, 0.0, 3.0, -2.0, 0.6, -0.1, 0.05, 1.5], np.float32)
H = np.array([1.0, 1.0, 1.0, 1.0, 0.9, 1.0, 0.5, 2.0, 1.5, 4.0, 0.3, 0.7], np.float32)
START = np.array([0.3, 0.4, -0.7, 0.0, 1.0, 0.2, -0.1, 0.5, 0.0, -0.6, 0.9, -1.0], np.float32)

RULES = {
    "sgd": optimizers.SGD(0.05),
    "sgd, small rate": optimizers.SGD(0.01),
    "momentum 0.5": optimizers.SGD(0.02, momentum=0.5),
    "momentum 0.9": optimizers.SGD(0.01, momentum=0.9),
    "momentum 0.9, small rate": optimizers.SGD(0.002, momentum=0.9),
    "momentum 0.99": optimizers.SGD(0.002, momentum=0.99),
    "nesterov 0.5": optimizers.SGD(0.02, momentum=0.5, nesterov=True),
    "nesterov 0.9": optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "adam": optimizers.Adam(0.01),
    "adam, small rate": optimizers.Adam(0.003),
    "adam, short memory": optimizers.Adam(0.01, beta_1=0.3, beta_2=0.6),
    "adam, large epsilon": optimizers.Adam(0.01, epsilon=0.5),
    "adamw without decay": optimizers.AdamW(0.01, weight_decay=0.0),
    "rmsprop": optimizers.RMSprop(0.005),
    "rmsprop, large epsilon": optimizers.RMSprop(0.01, epsilon=0.5),
    "rmsprop with momentum": optimizers.RMSprop(0.002, momentum=0.5),
    # Its divisor is epsilon alone where gradients no longer change.
    "centered rmsprop": optimizers.RMSprop(0.02, epsilon=0.5, centered=True),
    "centered rmsprop with momentum": optimizers.RMSprop(0.01, momentum=0.5, epsilon=0.5, centered=True),
    "amsgrad": optimizers.Adam(0.03, amsgrad=True),
    "nadam": optimizers.Nadam(0.01),
    "nadam, short memory": optimizers.Nadam(0.01, 0.3, 0.6),
    "radam": optimizers.RAdam(0.01),
    "radam, never rectified": optimizers.RAdam(0.01, beta_2=0.6),
    "adamax": optimizers.Adamax(0.01),
    "adagrad": optimizers.Adagrad(0.5),
    "adagrad, from 0": optimizers.Adagrad(0.3, 0.0),
    "adadelta": optimizers.Adadelta(1.0, epsilon=1e-3),
    "adadelta, small rate": optimizers.Adadelta(0.1, 0.8, 0.05),
    "rprop": optimizers.Rprop(0.01),
    "rprop, other steps": optimizers.Rprop(0.3, 0.7, 1.1, 1e-7, 0.5),
    "ftrl": optimizers.Ftrl(0.5),
    "ftrl, constant rate": optimizers.Ftrl(0.02, 0.0),
    "ftrl, other power": optimizers.Ftrl(0.5, -0.3, beta=0.5),
}
# Those that come to rest only as far as their rate goes to 0, or as an average forgets.
SLOW = {
    "lion": (optimizers.Lion(fr.schedules.ExponentialDecay(0.01, 1000, 0.3)), 8000),
    "schedule-free": (optimizers.ScheduleFreeAdamW(0.02), 100_000),
    "schedule-free with warm-up": (optimizers.ScheduleFreeAdamW(0.1, 0.5, 0.99, 1e-3, 6_000), 8_000),
}


def optimum(l1, l2):
    """Where 2 h (w - a) + 2 l2 w + l1 sign(w) = 0, or 0 where |2 h a| <= l1."""
    pull = 2.0 * H.astype(np.float64) * A
    return np.sign(pull) * np.maximum(np.abs(pull) - l1, 0.0) / (2.0 * H + 2.0 * l2)


def optimum_with_decay(l1, decay, epsilon):
    """AdamW's resting point. At rest v is the square of the gradient, so the decay counts as decay (|g| + epsilon) w in
    the gradient: with g = 2 h (w - a) and w of the sign of a, u = |w| solves
    2 h (|a| - u) (1 - decay u) = l1 + epsilon decay u.
    """
    a, h = np.abs(A).astype(np.float64), H.astype(np.float64)
    linear = 2.0 * h * (1.0 + decay * a) + epsilon * decay
    root = np.sqrt(linear**2 - 4.0 * 2.0 * h * decay * (2.0 * h * a - l1))
    u = (linear - root) / (4.0 * h * decay)
    return np.sign(A) * np.where(2.0 * h * a <= l1, 0.0, u)


def descend(optimizer, l1=1.0, l2=0.0, steps=6000, start=START):
    w = start.copy()
    updater = ops.Updater(optimizer, w, l1=l1, l2=l2, proximal=True)
    for _ in range(steps):
        updater.step(2.0 * H * (w - A))
    return w if updater.average is None else updater.average


def check(w, expected):
    """Zeros are exact; other weights stop within the rounding of a step that no longer changes them."""
    np.testing.assert_array_equal(w[expected == 0.0], 0.0)
    np.testing.assert_allclose(w, expected, rtol=0.0, atol=1000 * EPS)


def test_every_optimizer_is_here():
    assert {type(rule) for rule in [*RULES.values(), *(rule for rule, _ in SLOW.values())]} == set(
        optimizers._REGISTRY.types
    )


@pytest.mark.parametrize("l2", [0.0, 0.5])
@pytest.mark.parametrize("rule", SLOW)
def test_rules_that_rest_late_end_at_the_closed_form(rule, l2):
    optimizer, steps = SLOW[rule]
    check(descend(optimizer, 1.0, l2, steps), optimum(1.0, l2))


@pytest.mark.parametrize("l2", [0.0, 0.5])
@pytest.mark.parametrize("l1", [1.0, 0.3])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_ends_at_the_closed_form(rule, l1, l2):
    expected = optimum(np.float32(l1), l2)
    assert 0 < (expected == 0.0).sum() < len(A)
    check(descend(RULES[rule], l1, l2), expected)


@pytest.mark.parametrize("clip", [{"clipvalue": 1.5}, {"clipnorm": 4.0}, {"global_clipnorm": 4.0}])
@pytest.mark.parametrize("rule", RULES)
def test_clipping_on_the_way_does_not_move_the_end(rule, clip):
    """The limits cut the first gradients, up to 5, norm 9.6, and not the last, whose size is l1 or less, norm 2.5."""
    options = RULES[rule].to_config() | clip
    first = 2.0 * H * (START - A)
    assert np.abs(first).max() > 1.5
    assert np.linalg.norm(first) > 4.0
    assert np.linalg.norm(2.0 * H * (optimum(1.0, 0.0) - A)) < 4.0
    check(descend(type(RULES[rule]).from_config(options)), optimum(1.0, 0.0))


@pytest.mark.parametrize("epsilon", [1e-7, 0.5])
@pytest.mark.parametrize("decay", [0.1, 0.3])
def test_decoupled_decay_ends_where_its_equation_says(decay, epsilon):
    expected = optimum_with_decay(1.0, decay, epsilon)
    assert 0 < (expected == 0.0).sum() < len(A)
    adamw = optimizers.AdamW(0.01, weight_decay=decay, beta_2=0.99, epsilon=epsilon)
    check(descend(adamw, steps=20000), expected)


@pytest.mark.parametrize("rate", [0.02, 0.005])
@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov"])
def test_a_weight_that_keeps_its_sign_moves_as_with_the_subgradient(rule, rate):
    """Step by step, from the first on: both are the pull of l1, once after the step and once within the gradient."""
    options = {"sgd": {}, "momentum": {"momentum": 0.9}, "nesterov": {"momentum": 0.9, "nesterov": True}}[rule]
    proximal, through_gradient = (np.array([20.0, -30.0, 25.0], np.float32) for _ in range(2))
    updaters = [ops.Updater(optimizers.SGD(rate, **options), proximal, l1=2.0, proximal=True),
                ops.Updater(optimizers.SGD(rate, **options), through_gradient, l1=2.0)]
    g = np.array([0.5, 1.0, -3.0], np.float32)
    for _ in range(12):
        for updater in updaters:
            updater.step(g)
        np.testing.assert_allclose(proximal, through_gradient, rtol=20 * EPS)


def test_a_rate_that_changes_takes_its_threshold_along():
    """Under a schedule that halves the rate twice the end is the same."""
    schedule = fr.optimizers.schedules.StepDecay(0.02, 1500, 0.5)
    for options in ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}):
        check(descend(optimizers.SGD(schedule, **options), steps=9000), optimum(1.0, 0.0))
    schedule = fr.optimizers.schedules.StepDecay(0.8, 1500, 0.5)
    for rule in (optimizers.Ftrl(schedule), optimizers.Adagrad(schedule), optimizers.Adadelta(schedule, epsilon=1e-3)):
        check(descend(rule, steps=9000), optimum(1.0, 0.0))


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_keeps_a_weight_of_the_dead_zone_at_zero_under_noise(nesterov, rng):
    """The average of the gradients is compared with l1. Momentum 0.95 leaves 0.16 of the noise, here of twice l1, and
    Nesterov's look-ahead a little more: 98 and 97 of 100 weights are below l1 with a mean of 0.2."""
    w, shares = np.zeros(500, np.float32), []
    updater = ops.Updater(optimizers.SGD(0.001, momentum=0.95, nesterov=nesterov), w, l1=1.0, proximal=True)
    for _ in range(300):
        updater.step((0.2 + 2.0 * rng.normal(size=500)).astype(np.float32))
        shares.append((w == 0.0).mean())
    assert np.mean(shares[100:]) > 0.8


def orthogonal_features():
    """Columns of norm sqrt(n): the mean squared error is that of each weight by itself."""
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 8)))
    return (8.0 * q).astype(np.float32)


@pytest.mark.parametrize("rule", RULES)
def test_a_fit_finds_the_lasso(rule):
    """With orthogonal features and full batches the lasso's weights are soft thresholds of x't / n."""
    x = orthogonal_features()
    t = (x @ np.array([1.0, -0.8, 0.3, -0.3, 0.1, 0.0, 2.0, 0.5], np.float32))[:, None]
    model = compiled([layers.Dense(1, use_bias=False, kernel_regularizer=regularizers.L1(0.8, proximal=True))],
                     loss="mse", n_features=8, optimizer=RULES[rule])
    model.fit(x, t, batch_size=None, epochs=4000, verbose=0)
    free = (x.astype(np.float64).T @ t / 64)[:, 0]
    expected = np.sign(free) * np.maximum(np.abs(free) - 0.4, 0.0)
    assert (expected == 0.0).sum() == 4
    check(model.get_weights()[0][:, 0], expected)


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_saved_run_goes_on_with_the_threshold_that_it_had(tmp_path, nesterov):
    """The threshold grows over the first steps, so the number of steps must survive, as it does for Adam."""
    x = orthogonal_features()
    t = x[:, :2].copy()

    def model():
        return compiled([layers.Dense(2, kernel_regularizer=regularizers.L1(0.05, proximal=True))], loss="mse",
                        n_features=8, optimizer=optimizers.SGD(0.01, momentum=0.95, nesterov=nesterov))

    whole, first = model(), model()
    whole.fit(x, t, batch_size=16, epochs=4, shuffle=False, verbose=0)
    first.fit(x, t, batch_size=16, epochs=2, shuffle=False, verbose=0)
    first.save(tmp_path / "half.safetensors")
    second = fr.load(tmp_path / "half.safetensors")
    second.fit(x, t, batch_size=16, epochs=2, shuffle=False, verbose=0)
    assert same_bits(whole.get_weights(), second.get_weights())
