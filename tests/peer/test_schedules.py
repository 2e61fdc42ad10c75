"""Every schedule against Keras or PyTorch step by step, or listed as one that has only its paper's formula."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import warnings

import numpy as np
import pytest
from cases import SCHEDULE_CASES
from fastreg import schedules

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Keras's, JAX's and PyTorch's own imports
    keras = pytest.importorskip("keras")
    torch = pytest.importorskip("torch")
    from torch.optim import lr_scheduler

STEPS = 80
# Keras's schedules take a while for each step.
SOME = [*range(24), 30, 39, 40, 41, 79]

# Those that neither has: RealMLP's and plain arrays are compared with their formulas alone.
BY_FORMULA_ALONE = {"FlatCosine", "CosLog", "ArraySchedule"}


def keras_rates(made):
    """The rates of Keras's class of the same name, at some steps."""
    given = {name: value for name, value in made.to_config().items() if name != "type"}
    theirs = getattr(keras.optimizers.schedules, type(made).__name__)(**given)
    return {step: float(theirs(step)) for step in SOME}


def torch_rates(rate, make):
    """The rates of PyTorch's scheduler that `make` makes for an optimizer of this rate."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler, rates = make(optimizer), {}
    for step in range(getattr(scheduler, "total_steps", STEPS)):
        rates[step] = optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()
    return rates


def torch_scheduler(made, optimizer):
    """PyTorch's scheduler that does the same."""
    if isinstance(made, schedules.Constant):
        return lr_scheduler.ConstantLR(optimizer, factor=1.0)
    if isinstance(made, schedules.StepDecay):
        return lr_scheduler.StepLR(optimizer, made.step_size, made.gamma)
    if isinstance(made, schedules.MultiStepLR):
        return lr_scheduler.MultiStepLR(optimizer, list(made.milestones), made.gamma)
    if isinstance(made, schedules.LinearLR):
        return lr_scheduler.LinearLR(optimizer, made.start_factor, made.end_factor, made.total_iters)
    if isinstance(made, schedules.OneCycleLR):
        given = {name: value for name, value in made.to_config().items() if name != "type"}
        return lr_scheduler.OneCycleLR(optimizer, **given, cycle_momentum=False)
    given = {name: value for name, value in made.to_config().items() if name != "type"}
    return lr_scheduler.CyclicLR(optimizer, **given, cycle_momentum=False)


def first_rate(made):
    return next(value for name, value in made.to_config().items() if name != "type")


OF_TORCH = (schedules.Constant, schedules.StepDecay, schedules.MultiStepLR, schedules.LinearLR, schedules.OneCycleLR,
            schedules.CyclicLR)
# These are made of others, whose rates PyTorch is given as functions.
COMBINED = (schedules.LinearWarmup, schedules.SequentialLR)


def theirs_of(made):
    name = type(made).__name__
    if hasattr(keras.optimizers.schedules, name):
        return keras_rates(made)
    if isinstance(made, OF_TORCH):
        return torch_rates(first_rate(made), lambda optimizer: torch_scheduler(made, optimizer))
    if isinstance(made, schedules.LinearWarmup):
        after = made.learning_rate if callable(made.learning_rate) else schedules.Constant(made.learning_rate)
        top = after(0)

        def warm_up(optimizer):
            line = lr_scheduler.LinearLR(optimizer, max(made.initial_learning_rate / top, 1e-12), 1.0,
                                         made.warmup_steps) if made.initial_learning_rate <= top else None
            if line is None:
                first = made.initial_learning_rate
                line = lr_scheduler.LambdaLR(
                    optimizer, lambda step: (first + (top - first) * step / made.warmup_steps) / top)
            then = lr_scheduler.LambdaLR(optimizer, lambda step: after(step) / top)
            return lr_scheduler.SequentialLR(optimizer, [line, then], [made.warmup_steps])

        return torch_rates(top, warm_up)
    assert isinstance(made, schedules.SequentialLR)

    def chain(optimizer):
        parts = [lr_scheduler.LambdaLR(optimizer, one) for one in made.schedulers]
        return lr_scheduler.SequentialLR(optimizer, parts, list(made.milestones))

    return torch_rates(1.0, chain)


@pytest.mark.parametrize("case", [name for name, found in SCHEDULE_CASES.items()
                                  if type(found.made).__name__ not in BY_FORMULA_ALONE])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_rates_are_theirs(case):
    made = SCHEDULE_CASES[case].made
    theirs = theirs_of(made)
    np.testing.assert_allclose(made(np.array(list(theirs))), list(theirs.values()), rtol=5e-6, atol=3e-8)


def test_every_schedule_of_keras_is_there():
    names = {name for name in dir(keras.optimizers.schedules) if name[0].isupper()}
    assert names <= set(schedules.__all__)
