"""Schedules against the oracle, at every step and at their edges. test_training.py sees them at work in fit."""

import dataclasses
import json
import math
import pickle
from fractions import Fraction

import fastreg as fr
import numpy as np
import pytest
from cases import SCHEDULE_CASES
from fastreg import callbacks, layers, optimizers, schedules
from fastreg.schedules.base import RunLength
from programs import compiled, last_json, line, run_program, same_bits


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
    assert eval(repr(schedule), {name: getattr(schedules, name) for name in schedules.__all__}) == schedule
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


# ------------------------------------------------------------------------------------------ epochs and shares of a run

LENGTHS = {
    "StepDecay": {"step_size": 1},
    "MultiStepLR": {"milestones": 2},
    "ExponentialDecay": {"decay_steps": 1},
    "InverseTimeDecay": {"decay_steps": 1},
    "PolynomialDecay": {"decay_steps": 1},
    "LinearLR": {"total_iters": 1},
    "PiecewiseConstantDecay": {"boundaries": 2},
    "CosineDecay": {"decay_steps": 1, "warmup_steps": 1},
    "CosineDecayRestarts": {"first_decay_steps": 1},
    "FlatCosine": {"decay_steps": 1},
    "CosLog": {"decay_steps": 1},
    "OneCycleLR": {"total_steps": 1},
    "CyclicLR": {"step_size_up": 1, "step_size_down": 1},
    "LinearWarmup": {"warmup_steps": 1},
    "SequentialLR": {"milestones": 1},
}
WITHOUT = {"Constant", "ArraySchedule"}
FIELDS = [(kind, name, count) for kind, found in LENGTHS.items() for name, count in found.items()]


def row_of(kind, count=None, name=None):
    for case in SCHEDULE_CASES.values():
        if type(case.made).__name__ == kind and (count in (None, 1) or len(getattr(case.made, name)) == count):
            return case.made
    raise AssertionError((kind, count))


def with_field(kind, name, count, values):
    """A schedule of a row with other values in a field of steps."""
    made = row_of(kind) if name != "boundaries" else row_of(kind, 2, name)
    if name in ("milestones", "boundaries"):
        length = len(getattr(made, name))
        further = range(5000, 5000 + length - len(values))
        return dataclasses.replace(made, **{name: (*values[:length], *further)})
    return dataclasses.replace(made, **{name: values[0]})


def test_every_field_of_steps_is_in_the_table():
    assert set(LENGTHS) | WITHOUT == {kind.__name__ for kind in schedules._REGISTRY.types}


@pytest.mark.parametrize(("kind", "name", "count"), FIELDS)
def test_lengths_become_steps(kind, name, count):
    in_steps = with_field(kind, name, count, [12, 20])
    in_epochs = with_field(kind, name, count, [schedules.Epochs(3), schedules.Epochs(5)])
    in_shares = with_field(kind, name, count, [schedules.Share(0.3), schedules.Share(0.5)])
    assert in_epochs.in_steps(4, 10) == in_shares.in_steps(4, 10) == in_steps
    assert in_steps.in_steps(4, 10) is in_steps
    for made in (in_epochs, in_shares):
        assert schedules.get(json.loads(json.dumps(made.to_config()))) == made
        assert eval(repr(made), {key: getattr(schedules, key) for key in schedules.__all__}) == made
        with pytest.raises(ValueError, match=rf"^{kind}: {name} is known in steps within a fit only"):
            made(3)
        assert optimizers.Adam(made).rate_at(7, RunLength(4, 40)) == in_steps(7)


@pytest.mark.parametrize(("kind", "name", "count"), FIELDS)
@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "1", None, math.nan])
def test_bad_steps_are_refused(kind, name, count, bad):
    least = 0 if name in ("milestones", "boundaries") or (kind, name) == ("CosineDecay", "warmup_steps") else 1
    if bad == least and bad is not True:
        assert with_field(kind, name, count, [bad]) is not None
        return
    if bad is None and name == "step_size_down":
        return
    with pytest.raises((ValueError, TypeError), match=rf"^{kind}: {name} must be"):
        with_field(kind, name, count, [bad])


@pytest.mark.parametrize("make", [schedules.Epochs, schedules.Share])
@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "1", True, None])
def test_bad_lengths_are_refused(make, bad):
    with pytest.raises((ValueError, TypeError), match=rf"^{make.__name__}: (number|part) must be"):
        make(bad)


def test_a_length_is_rounded_and_at_least_a_step():
    assert schedules.Epochs(0.01).in_steps(RunLength(7, 70)) == 1
    assert schedules.Epochs(1.5).in_steps(RunLength(7, 70)) == 10
    assert schedules.Share(0.0).in_steps(RunLength(7, 70)) == 0
    with pytest.raises(ValueError, match=r"^StepDecay: step_size must be >= 1, got 0"):
        schedules.StepDecay(0.1, schedules.Share(0.0), 0.5).in_steps(7, 10)
    with pytest.raises(ValueError, match=r"^MultiStepLR: milestones must increase"):
        schedules.MultiStepLR(0.1, [schedules.Share(0.1), schedules.Share(0.11)]).in_steps(7, 1)
    with pytest.raises(ValueError, match=r"in_steps: steps_per_epoch must be >= 1, got 0"):
        schedules.StepDecay(0.1, schedules.Share(0.1), 0.5).in_steps(0, 1)


X, Y = line(50, 3)  # 50 rows in batches of 16: 4 steps


def trained(rate, *runs, **options):
    """The weights after some calls of fit, (epochs, initial_epoch) each."""
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(rate), n_features=3)
    for epochs, first in runs:
        model.fit(X, Y, batch_size=16, epochs=epochs, initial_epoch=first, verbose=0, **options)
    return model


SHARED = schedules.LinearWarmup(schedules.CosineDecay(0.1, schedules.Share(0.75)), schedules.Epochs(1), 0.01)
IN_STEPS = schedules.LinearWarmup(schedules.CosineDecay(0.1, 15), 4, 0.01)


def test_a_fit_knows_its_length():
    shared, in_steps = trained(SHARED, (5, 0)), trained(IN_STEPS, (5, 0))
    assert same_bits(shared.get_weights(), in_steps.get_weights())
    assert shared.learning_rate == in_steps.learning_rate
    assert not same_bits(shared.get_weights(), trained(SHARED, (6, 0)).get_weights())


def test_a_share_begins_with_every_run_and_epochs_go_on():
    one_cycle = schedules.OneCycleLR(0.1, schedules.Share(1.0))
    model = trained(one_cycle, (3, 0))
    rates = []

    class Notes(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            rates.append(self.model.learning_rate)

    model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[Notes()])
    known = one_cycle.in_steps(4, 3)
    assert rates == [known(0), known(4), known(8)]
    epochs = schedules.StepDecay(0.1, schedules.Epochs(2), 0.5)
    assert same_bits(trained(epochs, (5, 0)).get_weights(), trained(epochs, (3, 0), (5, 3)).get_weights())
    assert same_bits(trained(epochs, (5, 0)).get_weights(), trained(epochs, (3, 0), (2, 0)).get_weights())


@pytest.mark.parametrize("stop", [1, 3])
def test_a_run_that_is_continued_from_a_file_keeps_its_shares(stop, tmp_path):
    whole, half = trained(SHARED, (5, 0)), None

    class Saves(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch + 1 == stop:
                self.model.save(tmp_path / "net.safetensors")
                self.model.stop_training = True

    trained(SHARED, (5, 0), callbacks=[Saves()])
    half = fr.load(tmp_path / "net.safetensors")
    half.fit(X, Y, batch_size=16, epochs=5, initial_epoch=stop, verbose=0)
    assert same_bits(whole.get_weights(), half.get_weights())


def test_before_a_fit_the_rate_in_epochs_is_not_known():
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(SHARED), n_features=3)
    with pytest.raises(ValueError, match=r"LinearWarmup: learning_rate is known in steps within a fit only"):
        _ = model.learning_rate


def test_names_load_what_they_need_alone():
    program = """
import json, sys
from fastreg import schedules
schedules.Constant
print(json.dumps([name for name in sys.modules if "fastreg.schedules." in name]))
"""
    assert last_json(run_program(program)) == ["fastreg.schedules.base"]


@pytest.mark.parametrize("growth", [1.25, 1.5, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("first", [1, 3, 4, 5, 7, 64, 1000])
def test_a_restart_begins_with_its_own_step(growth, first):
    """Whichever way the logarithm that finds the period is rounded: in whole numbers and fractions, without one."""
    schedule = schedules.CosineDecayRestarts(1.0, first, t_mul=growth)
    begin, length = Fraction(0), Fraction(first)
    while begin < 2**53:
        if begin.denominator == 1:
            assert schedule(int(begin)) == pytest.approx(1.0, abs=1e-12), f"step {begin}"
            if begin:
                left = float(1 / (length / Fraction(growth)))  # of the period before, which ends with the next step
                assert schedule(int(begin) - 1) == pytest.approx(0.5 - 0.5 * np.cos(np.pi * left), abs=1e-7)
        begin, length = begin + length, length * Fraction(growth)
