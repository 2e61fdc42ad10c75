"""Update rules as single passes over an array, against the oracle: every rule, penalty and size, and long runs."""

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import made
from conftest import EPS, SIZES
from fastreg import ops
from pairs import rounded
from programs import same_bits
from reference import Penalty

OPTIMIZERS = ref.RULES
PENALTIES = {
    "plain": Penalty(),
    "l1": Penalty(0.05, 0.0),
    "l2": Penalty(0.0, 0.05),
    "l1l2": Penalty(0.03, 0.04),
}


def updater(optimizer, w, penalty):
    options = {"proximal": True} if penalty.proximal else {}
    return ops.Updater(made(optimizer), w, l1=penalty.l1, l2=penalty.l2, **options)


def check_run(optimizer, penalty, n, steps, rng, zeros=False):
    """Errors of one step are a few units of the last place of w and of the step; they add up over the run."""
    w = rng.normal(size=n).astype(np.float32)
    if zeros:
        w[::2] = 0.0
    mine, oracle = updater(optimizer, w, penalty), ref.Updater(rounded(optimizer), rounded(penalty))
    expected, path = w.astype(np.float64), np.abs(w).astype(np.float64)
    for _ in range(steps):
        g = rng.normal(size=n).astype(np.float32)
        mine.step(g)
        after = oracle.step(expected, g.astype(np.float64))
        path += np.abs(after - expected) + np.abs(after)
        expected = after
    error = np.abs(w - expected)
    assert (error <= 8.0 * EPS * path + 1e-12).all(), f"worst {error.max():.3g} of {path[error.argmax()]:.3g}"


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_update_at_every_size(optimizer, penalty, rng):
    for n in SIZES:
        check_run(OPTIMIZERS[optimizer], PENALTIES[penalty], n, 3, rng)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_update_over_many_steps(optimizer, penalty, rng):
    check_run(OPTIMIZERS[optimizer], PENALTIES[penalty], 37, 200, rng)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_penalty_at_zero(optimizer, rng):
    """sign(0) is 0."""
    check_run(OPTIMIZERS[optimizer], PENALTIES["l1l2"], 35, 1, rng, zeros=True)


@pytest.mark.parametrize("l2", [0.0, 0.04])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_proximal_step(optimizer, l2, rng):
    """The same weights are exactly zero as in the oracle, after one step and after many."""
    penalty = Penalty(0.6, l2, True)
    w = (0.1 * rng.normal(size=131)).astype(np.float32)
    mine, oracle = (
        updater(OPTIMIZERS[optimizer], w, penalty),
        ref.Updater(rounded(OPTIMIZERS[optimizer]), rounded(penalty)),
    )
    expected, zeros = w.astype(np.float64), 0
    for _ in range(30):
        g = (0.5 * rng.normal(size=131)).astype(np.float32)
        mine.step(g)
        expected = oracle.step(expected, g.astype(np.float64))
        np.testing.assert_allclose(w, expected, rtol=2e-5, atol=2e-6)
        clear = np.abs(expected) > 1e-5
        assert (w[expected == 0.0] == 0.0).mean() > 0.98, "a soft threshold leaves exact zeros"
        assert (w[clear] != 0.0).all()
        zeros = max(zeros, int((w == 0.0).sum()))
    assert zeros > 10


@pytest.mark.parametrize("offset", [0, 1, 3, 7, 15])
def test_unaligned_arrays(offset, rng):
    """w may start at any address; the memory before and after it does not change."""
    buffer = rng.normal(size=200).astype(np.float32)
    w, before = buffer[offset : offset + 131], buffer.copy()
    expected = ref.Updater(rounded(OPTIMIZERS["adam"])).step(w.astype(np.float64), np.ones(131))
    updater(OPTIMIZERS["adam"], w, Penalty()).step(np.ones(131, np.float32))
    np.testing.assert_allclose(w, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(buffer[:offset], before[:offset])
    np.testing.assert_array_equal(buffer[offset + 131 :], before[offset + 131 :])


def test_a_schedule_is_followed_from_step_zero(rng):
    from fastreg import optimizers, schedules

    w = np.zeros(5, np.float32)
    mine = ops.Updater(optimizers.SGD(learning_rate=schedules.StepDecay(1.0, 2, 0.5)), w)
    seen = []
    for _ in range(6):
        before = w.copy()
        mine.step(np.ones(5, np.float32))
        seen.append(float(before[0] - w[0]))
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_adam_late_in_a_long_run(rng):
    """Bias corrections after 30000 steps: 1 - beta^t remains accurate."""
    w = np.zeros(17, np.float32)
    mine, oracle = updater(OPTIMIZERS["adam"], w, Penalty()), ref.Updater(rounded(OPTIMIZERS["adam"]))
    expected, g = np.zeros(17), np.ones(17, np.float32)
    for step in range(30000):
        sign = 1.0 if step % 2 else -1.0
        mine.step(np.float32(sign) * g)
        expected = oracle.step(expected, sign * g)
    np.testing.assert_allclose(w, expected, rtol=1e-3, atol=1e-4)


def test_state_of_gradients_that_vanish_stays_finite(rng):
    """Moments decay through the denormal range; the step must not divide by what is left. No weight goes farther than
    that of the oracle, whose moments have no such range to decay through.
    """
    for optimizer in OPTIMIZERS.values():
        w, expected = np.ones(35, np.float32), np.ones(35)
        mine = updater(optimizer.with_decay_times(0.0), w, Penalty())
        oracle = ref.Updater(rounded(optimizer.with_decay_times(0.0)))
        mine.step(np.full(35, 1e-3, np.float32))
        path = expected = oracle.step(expected, 1e-3)
        for _ in range(3000):
            mine.step(np.zeros(35, np.float32))
            expected = oracle.step(expected, 0.0)
            path = path + np.abs(expected)
        assert (np.abs(w - 1.0) <= np.abs(expected - 1.0) + 8.0 * EPS * path).all()


# Those that divide by a root of squares.
DIVIDING = [name for name, rule in OPTIMIZERS.items() if np.isfinite(rule.largest_gradient)]


@pytest.mark.parametrize("optimizer", DIVIDING)
def test_gradients_of_every_size(optimizer):
    """Steps from 1e-15 to 1e18 are the oracle's; further out they stay finite, also those that come after."""
    sizes = np.logspace(-37, 37, 75)
    g = np.concatenate([[0.0], sizes, -sizes]).astype(np.float32)
    w = np.zeros(g.size, np.float32)
    mine, oracle = updater(OPTIMIZERS[optimizer], w, Penalty()), ref.Updater(rounded(OPTIMIZERS[optimizer]))
    expected = np.zeros(g.size)
    usual = (np.abs(g) > 1e-15) & (np.abs(g) < 1e18)
    for gradient in (g, np.zeros_like(g), 2.0 * g):
        mine.step(gradient)
        expected = oracle.step(expected, gradient.astype(np.float64))
        assert np.isfinite(w).all()
        assert w[0] == 0.0
        np.testing.assert_allclose(w[usual], expected[usual], rtol=4e-6)


@pytest.mark.parametrize("penalty", [*PENALTIES.values(), Penalty(0.03, 0.0, True)], ids=[*PENALTIES, "proximal"])
@pytest.mark.parametrize("optimizer", DIVIDING)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_not_finite_is_not_hidden(optimizer, penalty, bad):
    w = np.ones(133, np.float32)
    g = np.ones(133, np.float32)
    g[[17, 131]] = bad
    updater(OPTIMIZERS[optimizer], w, penalty).step(g)
    assert not np.isfinite(w[[17, 131]]).any()
    assert np.isfinite(np.delete(w, [17, 131])).all()


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("optimizer", DIVIDING)
def test_a_small_gradient_after_a_large_one(optimizer, penalty):
    """What a mean forgets quickly it must not lose to rounding. Each step is seen by itself, from weights of 0."""
    w = np.zeros(131, np.float32)
    mine = updater(OPTIMIZERS[optimizer], w, PENALTIES[penalty])
    oracle = ref.Updater(rounded(OPTIMIZERS[optimizer]), rounded(PENALTIES[penalty]))
    for size in (1.0, 1e-4, 1e-4):
        w[:] = 0.0
        g = np.full(131, size, np.float32)
        mine.step(g)
        np.testing.assert_allclose(w, oracle.step(np.zeros(131), g.astype(np.float64)), rtol=1e-5)


@pytest.mark.parametrize("name", [name for name, rule in OPTIMIZERS.items() if hasattr(rule, "epsilon")])
def test_the_least_epsilon_keeps_a_zero_gradient_a_zero_step(name):
    w = np.ones(35, np.float32)
    mine = updater(OPTIMIZERS[name].with_decay_times(0.0).replace(epsilon=2.0**-126), w, Penalty())
    mine.step(np.zeros(35, np.float32))
    assert (w == 1.0).all()


def test_ftrl_goes_on_behind_steps_of_rate_zero_as_if_they_had_not_been(rng):
    """Its sums stand for the weights, so that what they take up while these stand still would move them later."""
    x, y = rng.normal(size=(48, 5)).astype(np.float32), rng.normal(size=(48, 1)).astype(np.float32)
    found = []
    for rates, first in (([0.0, 0.05, 0.05], 0), ([0.05, 0.05], 16)):
        model = fr.Sequential([fr.Input((5,)), fr.layers.Dense(3, "tanh"), fr.layers.Dense(1)], seed=2)
        model.compile(fr.optimizers.Ftrl(fr.schedules.ArraySchedule(rates)), "mse")
        for begin in range(first, 48, 16):
            model.train_on_batch(x[begin : begin + 16], y[begin : begin + 16])
        found.append(model.get_weights())
    assert same_bits(*found)
