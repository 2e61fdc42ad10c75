"""The arguments of a search as parameters in scikit-learn's sense: to get, to set, and to show.

Which names there are follows from the signature of the class. This module knows nothing of what the arguments mean.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, TypeVar, cast

from fastreg.internal.checks import did_you_mean
from fastreg.search.pruners.trial_schedule import TrialSchedule
from fastreg.search.space.tree import text_of

__all__ = ["GIVEN", "Parameters", "one_of", "parameters_of", "renamed"]


class _Missing:
    """Stands for an argument that was not given, where None would be a value."""

    def __repr__(self) -> str:
        return "..."

    def __reduce__(self) -> str:
        return "GIVEN"  # a copy and a pickle are the object itself


#: The default of an argument that must be given, by this name or by another one.
GIVEN: Any = _Missing()

# Other names of arguments, under which no parameter is kept.
_OTHER_NAMES = ("estimator", "param_grid", "param_distributions")

# Characters of an argument in repr().
_LONGEST_SHOWN = 100

_S = TypeVar("_S", bound="Parameters")


class Parameters:
    """Base of the searches: an attribute with the same name for each argument."""

    @classmethod
    def _names(cls) -> list[str]:
        return list(parameters_of(cast(Any, cls)))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments that the search was made with."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self: _S, **params: Any) -> _S:
        """Changes arguments. Results are kept until the next ``fit``.

        Raises:
            ValueError: If there is no such argument.
        """
        for name, value in params.items():
            if name not in self._names():
                known = ", ".join(self._names())
                hint = did_you_mean(name, self._names())
                raise ValueError(f"{type(self).__name__}: unknown argument {name!r}; known: {known}{hint}")
            setattr(self, name, value)
        return self

    def _takes(self, name: str) -> bool:
        """Whether setting the attribute may have an effect: those that end in an underscore are results."""
        kinds = [kind for kind in type(self).__mro__ if kind is not Parameters and issubclass(kind, Parameters)]
        own = not type(self).__module__.startswith("fastreg.")
        known = hasattr(type(self), name) or any(name in parameters_of(cast(Any, kind)) for kind in kinds)
        return name.startswith("_") or name.endswith("_") or own or known

    def _refuse(self, name: str) -> AttributeError:
        """The error for an attribute that cannot be set."""
        known, hint = ", ".join(self._names()), did_you_mean(name, self._names())
        return AttributeError(f"{type(self).__name__}: {name} cannot be set{hint}; what can be: {known}")

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        given = {name: getattr(self, name) for name in self._names()}
        names = list(given)
        shown = [_shown(given.pop(name)) for name in names[:2]]
        for name, value in given.items():
            default = parameters[name].default
            if value is not default and not (type(value) is type(default) and value == default):
                shown.append(f"{name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


@cache
def parameters_of(cls: type[Parameters]) -> tuple[str, ...]:
    """The names of the arguments of a class."""
    parameters = inspect.signature(cls).parameters
    others = () if "build" not in parameters else _OTHER_NAMES
    return tuple(name for name in parameters if name not in ("options", *others))


def one_of(owner: Parameters, **given: Any) -> Any:
    """The value of an argument that has several names.

    Raises:
        TypeError: If it is given under none of them, or under several.
    """
    values = {name: value for name, value in given.items() if value is not GIVEN}
    if len(values) != 1:
        told = f"both as {' and as '.join(values)}" if values else "not given"
        others = " or ".join(list(given)[1:])
        raise TypeError(f"{type(owner).__name__}: {next(iter(given))} (or {others}) must be given once, but is {told}")
    return next(iter(values.values()))


def renamed(name: str) -> Any:
    """An attribute that is another name of an argument."""

    def read(search: Any) -> Any:
        return getattr(search, name)

    def write(search: Any, value: Any) -> None:
        setattr(search, name, value)

    return property(read, write, doc=f"Another name of ``{name}``.")


def _shown(value: Any) -> str:
    """An argument in a line of text; a pruner by its arguments."""
    if isinstance(value, TrialSchedule):
        described = value.describe()
        arguments = ", ".join(f"{name}={item!r}" for name, item in described.items() if name != "type")
        return f"{described['type']}({arguments})"
    text = text_of(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
