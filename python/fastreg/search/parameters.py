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

__all__ = ["Parameters", "parameters_of"]

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
        own = not type(self).__module__.startswith("fastreg.")
        return name.startswith("_") or name.endswith("_") or own or name in self._names() or hasattr(type(self), name)

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
    return tuple(name for name in inspect.signature(cls).parameters if name != "options")


def _shown(value: Any) -> str:
    """An argument in a line of text; a pruner by its arguments."""
    if isinstance(value, TrialSchedule):
        described = value.describe()
        arguments = ", ".join(f"{name}={item!r}" for name, item in described.items() if name != "type")
        return f"{described['type']}({arguments})"
    text = text_of(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
