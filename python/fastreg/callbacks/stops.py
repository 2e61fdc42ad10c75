"""What ends runs from within C++: stop signals, time limits, and losses that are not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from fastreg import _core
from fastreg.callbacks.base import Callback
from fastreg.internal.checks import POSITIVE, check_bool, check_real, describe

if TYPE_CHECKING:
    from fastreg.internal.trained_model import TrainedModel

__all__ = ["StopSignal", "TerminateOnNaN", "TimeLimit"]


class _Stop(Callback):
    """Ends runs from within C++. It has no hooks and keeps no model, so that many fits can use it at the same time."""

    if not TYPE_CHECKING:  # otherwise a type checker would allow every attribute

        def __setattr__(self, name: str, value: object) -> None:
            # Derived classes may have any attribute, and methods of callbacks may be set on an instance.
            if type(self) in _STOPS and name[:1] != "_" and not (callable(value) and hasattr(type(self), name)):
                advice = _STOPS[type(self)]
                raise AttributeError(f"{type(self).__name__}: {name} cannot be set to {describe(value)}; {advice}")
            object.__setattr__(self, name, value)

    @property
    def _is_idle(self) -> bool:
        return type(self) in _STOPS and self.__dict__.keys() <= _OWN_ATTRIBUTES

    def set_model(self, model: TrainedModel) -> None:
        """Nothing."""

    def set_params(self, params: dict[str, int]) -> None:
        """Nothing."""


class StopSignal(_Stop):
    """Ends the fits that it was given to, from any thread. One signal can be given to any number of fits.

    A fit ends at its next step; a step, a validation or a callback of your own that is running is completed first. A
    fit that has not begun trains nothing. ``fit`` then returns normally. An incomplete epoch is undone, so that the
    model (weights, moments, step) is that of the last epoch in the history, as if ``epochs`` had been that number, and
    early stopping restores the best weights. ``history.stopped_by`` is ``"stop_signal"``.

    A copy, deep or not, is the signal itself: whatever is copied with it, such as a list of callbacks or a
    callback of your own, has the same signal. It cannot be pickled, because another process would have another signal.

    Raises:
        TypeError: If it is pickled.

    Example:
        >>> import threading
        >>> from fastreg import callbacks
        >>> signal = callbacks.StopSignal()
        >>> timer = threading.Timer(60, signal.set)
        >>> signal.is_set
        False
    """

    def __init__(self) -> None:
        self._signal = _core.StopSignal()

    def __repr__(self) -> str:
        return f"<StopSignal: {'set' if self.is_set else 'not set'}>"

    def __copy__(self) -> StopSignal:
        return self

    def __deepcopy__(self, memo: object) -> StopSignal:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__}: cannot be pickled, since another process would have another signal")

    def set(self) -> None:
        """Ends the running fits and all later ones, because the signal stays set."""
        self._signal.set()

    @property
    def is_set(self) -> bool:
        """Whether :meth:`set` was called."""
        return self._signal.is_set


class TimeLimit(_Stop):
    """Ends every fit that it was given to, a number of seconds after the fit began, in the way of :class:`StopSignal`.

    An incomplete epoch is undone. If not even the first one is completed in time, the model does not change.
    ``history.stopped_by`` is ``"time_limit"``.

    Args:
        seconds: > 0. Of several limits the shortest counts. It can be set, for runs that begin later.

    Raises:
        ValueError: If ``seconds`` is not > 0, or infinite.

    Example:
        >>> from fastreg import callbacks
        >>> callbacks.TimeLimit(60)
        TimeLimit(60.0)
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    if not TYPE_CHECKING:  # otherwise a type checker would allow every attribute

        def __setattr__(self, name: str, value: object) -> None:
            if name == "seconds":
                object.__setattr__(self, name, check_real("TimeLimit", "seconds", value, POSITIVE))
            else:
                super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"TimeLimit({self.seconds})"


class TerminateOnNaN(Callback):
    """Lets a run end without an error when the loss or a weight is no longer finite.

    Without it ``fit`` raises DivergenceError. Either way the weights are then the last finite ones, those at the end of
    the epoch before, or the best ones of :class:`EarlyStopping`. ``history.stopped_by`` is ``"diverged"``.

    Args:
        raise_error: True lets ``fit`` raise DivergenceError as without the callback; :attr:`stopped_step` is set.

    Attributes:
        stopped_step: The step of the model's life in which it happened; None if it did not.

    Raises:
        TypeError: If ``raise_error`` is neither True nor False.

    Example:
        >>> from fastreg import callbacks
        >>> guard = callbacks.TerminateOnNaN()
        >>> guard.stopped_step is None
        True
    """

    _aside = Callback._aside | {"stopped_step"}

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = check_bool("TerminateOnNaN", "raise_error", raise_error)
        self.stopped_step: int | None = None

    def __repr__(self) -> str:
        return f"TerminateOnNaN(raise_error={self.raise_error})"


_STOPS = {StopSignal: "set() ends the fits that have it", TimeLimit: "what can be set: seconds"}
# What an instance has to which nothing was added.
_OWN_ATTRIBUTES = frozenset(("_signal", "seconds"))
