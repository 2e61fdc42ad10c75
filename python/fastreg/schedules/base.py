r"""The base of the schedules, lengths in epochs or as a share of a run, and how an optimizer gets the rates of steps.

Notation: :math:`t` is the optimizer step, counted from 0; :math:`\eta_0` is the initial rate.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import (
    AT_LEAST_ONE,
    CLOSED_FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Range,
    Rule,
    check_int,
    check_real,
    describe,
)
from fastreg.internal.dataclasses import dataclass, fields, replace
from fastreg.internal.description import Description, Registry
from fastreg.internal.lazy_names import lazy_names

__all__ = [
    *("Constant", "Epochs", "LearningRateSchedule", "Length", "RunLength", "Share"),
    *("get", "number_or_schedule", "rates_of", "values_of"),
]

Rates = NDArray[np.float64]
_S = TypeVar("_S", bound="LearningRateSchedule")

# The module of each schedule.
HOMES = {
    "ArraySchedule": "arrays",
    "Constant": "base",
    "CosLog": "cosines",
    "CosineDecay": "cosines",
    "CosineDecayRestarts": "cosines",
    "CyclicLR": "cycles",
    "ExponentialDecay": "decays",
    "FlatCosine": "cosines",
    "InverseTimeDecay": "decays",
    "LinearLR": "decays",
    "LinearWarmup": "chains",
    "MultiStepLR": "decays",
    "OneCycleLR": "cycles",
    "PiecewiseConstantDecay": "decays",
    "PolynomialDecay": "decays",
    "SequentialLR": "chains",
    "StepDecay": "decays",
}


class RunLength(NamedTuple):
    """How long a run is, as ``fit`` knows it at its beginning.

    Attributes:
        steps_per_epoch: The steps of an epoch.
        steps: The steps of the whole run, from epoch 0 to ``epochs``, those before ``initial_epoch`` included.
        begin: The step, in the life of the compiled model, at which epoch 0 of the run began or would have begun.
    """

    steps_per_epoch: int
    steps: int
    begin: int = 0


class Length(Description):
    """Base of lengths that a fit turns into steps when it begins: :class:`Epochs` and :class:`Share`."""

    def in_steps(self, run: RunLength) -> int:
        """The number of steps, rounded, and at least 1 unless the length is 0."""
        exact = self._steps(run)
        return max(1, round(exact)) if exact > 0.0 else 0

    def _steps(self, run: RunLength) -> float:
        raise NotImplementedError


@dataclass(frozen=True)
class Epochs(Length):
    """A number of epochs, in place of a number of steps.

    A schedule may have it wherever it takes steps. ``fit`` knows the steps of an epoch,
    ``ceil(rows / batch_size)`` or ``steps_per_epoch``, and puts the number of steps in its place when it begins. The
    schedule then goes on over several calls of ``fit``, as one in steps does.

    Args:
        number: > 0; need not be whole.

    Raises:
        ValueError: If the number is not > 0 and finite.

    Example:
        >>> from fastreg import schedules
        >>> schedule = schedules.StepDecay(1.0, schedules.Epochs(10), 0.5)
        >>> schedule.in_steps(steps_per_epoch=4, epochs=30)
        StepDecay(initial_learning_rate=1.0, step_size=40, gamma=0.5)
    """

    number: Annotated[float, POSITIVE]

    def _steps(self, run: RunLength) -> float:
        return self.number * run.steps_per_epoch


@dataclass(frozen=True)
class Share(Length):
    """A share of the run, in place of a number of steps.

    The run is one call of ``fit`` with all its ``epochs``. A schedule with a share in it begins anew with every run:
    its step 0 is the first step of epoch 0. With ``initial_epoch`` a run counts as the rest of one that was
    interrupted, so that a run continued from a file gets the rates that it would have got.

    Args:
        part: In [0, 1]; 1 is the whole run.

    Raises:
        ValueError: If the part is outside of [0, 1].

    Example:
        >>> from fastreg import schedules
        >>> schedule = schedules.CosineDecay(1.0, schedules.Share(1.0))
        >>> schedule.in_steps(steps_per_epoch=4, epochs=30).decay_steps
        120
    """

    part: Annotated[float, CLOSED_FRACTION]

    def _steps(self, run: RunLength) -> float:
        return self.part * run.steps


_LENGTHS: Registry[Length] = Registry("length", Length, {}, internal=(Epochs, Share))


def _check_length(owner: str, name: str, value: object, allowed: Any) -> object:
    if isinstance(value, (Length, Mapping)):
        return _LENGTHS.resolve(f"{owner}: {name}", value)
    return check_int(owner, name, value, allowed)


def check_steps(owner: str, name: str, value: object) -> object:
    """A number of steps >= 1, or a length in epochs or as a share of the run."""
    return _check_length(owner, name, value, AT_LEAST_ONE)


def check_step(owner: str, name: str, value: object) -> object:
    """A step >= 0, or a length in epochs or as a share of the run."""
    return _check_length(owner, name, value, NON_NEGATIVE)


def check_increasing(owner: str, name: str, steps: Sequence[int | Length]) -> None:
    """Raises ValueError unless these increase, as far as they are known in steps."""
    known = [step for step in steps if isinstance(step, int)]
    if any(later <= earlier for earlier, later in pairwise(known)):
        raise ValueError(f"{owner}: {name} must increase, got {list(steps)}")


# The annotations of such fields.
Steps = Annotated[int | Length, check_steps]
Step = Annotated[int | Length, check_step]


def known(steps: int | Length) -> float:
    """The number of steps of a field that has no length any more, as ``LearningRateSchedule.__call__`` sees to."""
    return float(cast(int, steps))


class LearningRateSchedule(Description):
    """Base of the schedules of :mod:`fastreg.schedules`."""

    _internal: ClassVar[frozenset[str]] = frozenset(("of_run",))

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: NDArray[Any]) -> Rates: ...
    def __call__(self, step: int | NDArray[Any]) -> float | Rates:
        """The rate at a step, or the rates at an array of steps.

        Raises ValueError where a rate is not finite, and for a schedule that is given in epochs or as a share of the
        run; :meth:`in_steps` makes one in steps of it.
        """
        if (name := _first_length(self)) is not None:
            raise ValueError(
                f"{type(self).__name__}: {name} is known in steps within a fit only; in_steps(steps_per_epoch, epochs) "
                "gives the schedule in steps"
            )
        steps = np.asarray(step, dtype=np.float64)
        flat = np.atleast_1d(steps)
        with np.errstate(all="ignore"):  # what overflows is not finite
            rates = self._rates(flat)
        finite = np.isfinite(rates)
        if not finite.all():
            at = np.unravel_index(int(np.argmin(finite)), finite.shape)
            raise ValueError(
                f"{type(self).__name__}: the rate must be finite, got {float(rates[at])} at step {flat[at]:.0f}"
            )
        return float(rates[0]) if steps.ndim == 0 else rates

    def _rates(self, step: Rates) -> Rates:
        raise NotImplementedError

    def in_steps(self: _S, steps_per_epoch: int, epochs: int) -> _S:
        """The schedule of a run of that length, all its lengths in steps; itself if they are already.

        Raises:
            ValueError: If a number is below 1, or boundaries that were apart are the same step.
        """
        owner = f"{type(self).__name__}.in_steps"
        each = check_int(owner, "steps_per_epoch", steps_per_epoch, AT_LEAST_ONE)
        return self.of_run(RunLength(each, each * check_int(owner, "epochs", epochs, AT_LEAST_ONE)))

    def of_run(self: _S, run: RunLength) -> _S:
        """The schedule with all lengths in steps."""
        changed = {
            name: made for name, value in _values(self) if (made := _in_steps(value, run)) is not value
        }
        return cast(_S, replace(cast(Any, self), **changed)) if changed else self


def _values(schedule: LearningRateSchedule) -> list[tuple[str, object]]:
    return [(field.name, getattr(schedule, field.name)) for field in fields(cast(Any, schedule))]


def _in_steps(value: object, run: RunLength) -> object:
    if isinstance(value, Length):
        return value.in_steps(run)
    if isinstance(value, LearningRateSchedule):
        return value.of_run(run)
    if isinstance(value, tuple):
        made = tuple(_in_steps(item, run) for item in value)
        return value if all(new is old for new, old in zip(made, value, strict=True)) else made
    return value


def _lengths(value: object) -> list[Length]:
    """All lengths in a value."""
    if isinstance(value, Length):
        return [value]
    if isinstance(value, LearningRateSchedule):
        return [length for _, inner in _values(value) for length in _lengths(inner)]
    return [length for item in value for length in _lengths(item)] if isinstance(value, tuple) else []


def _first_length(schedule: LearningRateSchedule) -> str | None:
    """The name of the first field that has a length in it."""
    return next((name for name, value in _values(schedule) if _lengths(value)), None)


@dataclass(frozen=True)
class Constant(LearningRateSchedule):
    r"""The same rate at every step, :math:`\eta_t = \eta_0`.

    Args:
        learning_rate: :math:`\eta_0 > 0`.

    Raises:
        ValueError: If the rate is not > 0 and finite.

    Example:
        >>> from fastreg import schedules
        >>> rate = schedules.Constant(0.1)
        >>> rate(0), rate(1000)
        (0.1, 0.1)
    """

    learning_rate: Annotated[float, POSITIVE]

    def _rates(self, step: Rates) -> Rates:
        return np.full(step.shape, self.learning_rate)


def number_or_schedule(rule: Rule, *, callables: bool = True) -> Callable[[str, str, Any], object]:
    """The check of a field: a number of this range as a float, or a schedule, as itself or in its JSON form.

    Args:
        rule: The range.
        callables: Whether a function from the step to a number is a schedule, too. It cannot be written into a file.
    """

    def check(owner: str, name: str, value: Any) -> object:
        if type(value) is float:
            return check_real(owner, name, value, rule)
        if isinstance(value, (LearningRateSchedule, Mapping)):
            return get(value, f"{owner}: {name}")
        if not callable(value):
            return check_real(owner, name, value, rule)
        if not callables or isinstance(value, type):
            what = "schedule" if callables else "one of fastreg.schedules"
            raise TypeError(f"{owner}: {name} must be a number or {what}, got {describe(value)}")
        return value

    return check


def values_of(
    allowed: Range, name: str, value: object, first_step: int, n: int, run: RunLength | None = None
) -> Rates:
    """As :func:`rates_of`, of something else than a learning rate. Raises ValueError for a value out of range."""
    found = rates_of(value, first_step, n, run, name)
    if not (allowed.holds(found.min()) and allowed.holds(found.max())):
        at = next(i for i, one in enumerate(found) if not allowed.holds(one))
        raise ValueError(
            f"{name}: the schedule must {allowed.words} at each step, got {float(found[at])} at step {first_step + at}"
        )
    return found


def rates_of(rate: object, first_step: int, n: int, run: RunLength | None = None, name: str = "learning_rate") -> Rates:
    """The rates of ``n`` steps from ``first_step`` on, or a single one if they are all the same.

    Args:
        rate: A number, a schedule, or a callable from the step to a number.
        first_step: Counted over the life of the compiled model.
        n: The number of steps.
        run: The run that they belong to; None outside of one, where a schedule in epochs has no rates.
        name: What the rate is called in messages.
    """
    if isinstance(rate, float):
        return np.array([rate])
    if isinstance(rate, Constant):
        return np.array([rate.learning_rate])
    if isinstance(rate, LearningRateSchedule):
        if run is not None and (lengths := _lengths(rate)):
            first_step -= run.begin if any(isinstance(length, Share) for length in lengths) else 0
            rate = rate.of_run(run)
        return rate(np.arange(first_step, first_step + n))
    given = cast(Callable[[int], Any], rate)
    values = [given(step) for step in range(first_step, first_step + n)]
    try:
        rates = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        rates = np.empty(0)
    if rates.shape != (n,):
        raise TypeError(f"{name}: the schedule must give a number for a step, got {describe(values[0])}")
    if not (np.isfinite(rates) & (rates >= 0.0)).all():
        at = int(np.argmin(np.isfinite(rates) & (rates >= 0.0)))
        raise ValueError(
            f"{name}: the schedule must give finite rates >= 0, got {float(rates[at])} at step {first_step + at}"
        )
    return rates


_REGISTRY: Registry[LearningRateSchedule] = Registry(
    "schedule", LearningRateSchedule, {}, later=HOMES, load=lazy_names("fastreg.schedules", HOMES)
)


def get(config: object, where: str = "schedules.get") -> LearningRateSchedule:
    """The schedule of a JSON form. There are no names for schedules, since none has defaults for all its arguments.

    Example:
        >>> from fastreg import schedules
        >>> schedules.get(schedules.StepDecay(0.1, 100, 0.5).to_config())(100)
        0.05
    """
    return config if isinstance(config, LearningRateSchedule) else _REGISTRY.from_config(where, config)


def check_schedule(owner: str, name: str, value: object) -> LearningRateSchedule:
    """One of the schedules of :mod:`fastreg.schedules`, as itself or in its JSON form."""
    return _REGISTRY.resolve(f"{owner}: {name}", value)


def check_rate(owner: str, name: str, value: object) -> object:
    """A rate > 0 as a float, or one of the schedules of :mod:`fastreg.schedules`, as itself or in its JSON form."""
    if isinstance(value, (LearningRateSchedule, Mapping)):
        return check_schedule(owner, name, value)
    if callable(value):
        raise TypeError(f"{owner}: {name} must be a number or one of fastreg.schedules, got {describe(value)}")
    return check_real(owner, name, value, POSITIVE)
