"""Factors on the learning rate and the weight decay of a layer's weights."""

from collections.abc import Mapping
from typing import Annotated, Any, NoReturn

from fastreg.internal.checks import NON_NEGATIVE, check_name, check_real, describe

__all__ = ["ByWeight", "Multiplier"]


class ByWeight(dict[str, float]):
    """A number for each of some weights, by name, which does not change."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type, tuple[dict[str, float]]]:
        return ByWeight, (dict(self),)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a description cannot change; make another one")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def check_multiplier(owner: str, name: str, value: Any) -> float | ByWeight:
    """A number >= 0 for all weights, or a mapping from names of weights to such numbers."""
    if not isinstance(value, Mapping):
        return check_real(owner, name, value, NON_NEGATIVE)
    if not value:
        raise ValueError(f"{owner}: {name} must be a number, or a number for a weight at least, got {describe(value)}")
    return ByWeight(
        {check_name(owner, name, weight): check_real(owner, name, one, NON_NEGATIVE) for weight, one in value.items()}
    )


Multiplier = Annotated[float | Mapping[str, float], check_multiplier]
