"""Schedules against the oracle, at every step and at their edges. test_training.py sees them at work in fit."""

import math
import pickle

import numpy as np
import pytest
from cases import SCHEDULE_CASES
from fastreg import optimizers, schedules


@pytest.mark.parametrize("case", SCHEDULE_CASES)
def test_schedule(case):
    schedule, oracle = SCHEDULE_CASES[case]
    for step in [*range(80), 10**6, 2**40]:
        rate = schedule(step)
        assert isinstance(rate, float)
        assert math.isclose(rate, oracle.rate(step), rel_tol=1e-12, abs_tol=1e-15), (
            f"step {step}: {rate}, expected {oracle.rate(step)}"
        )


@pytest.mark.parametrize("case", SCHEDULE_CASES)
def test_schedules_are_values(case):
    schedule, _ = SCHEDULE_CASES[case]
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert eval(repr(schedule), vars(schedules)) == schedule
    assert hash(schedule) == hash(pickle.loads(pickle.dumps(schedule)))


def test_keyword_names_are_those_of_the_design():
    assert schedules.StepDecay(initial_learning_rate=0.1, step_size=3, gamma=0.5)(3) == pytest.approx(0.05)
    assert schedules.ExponentialDecay(initial_learning_rate=0.1, decay_steps=2, decay_rate=0.5, staircase=True)(
        3
    ) == pytest.approx(0.05)
    assert schedules.CosineDecay(initial_learning_rate=0.1, decay_steps=2, alpha=0.0)(1) == pytest.approx(0.05)
    assert schedules.PiecewiseConstantDecay(boundaries=[1], values=[0.1, 0.05])(2) == 0.05
    assert optimizers.schedules is schedules


def test_a_rate_that_overflows_is_an_error_that_names_the_step():
    """And no warning of NumPy: warnings are errors here."""
    schedule = schedules.ExponentialDecay(1.0, 1, 1e30)
    assert schedule(10) == pytest.approx(1e300)
    for call in (schedule, optimizers.Adam(schedule).rate_at):
        with pytest.raises(ValueError, match=r"ExponentialDecay: the rate must be finite, got inf at step 11$"):
            call(11)
    with pytest.raises(ValueError, match=r"at step 11$"):
        schedule(np.arange(8, 16))


def test_numpy_numbers_are_taken():
    assert schedules.CosineDecay(np.float64(0.1), np.int64(10)) == schedules.CosineDecay(0.1, 10)
