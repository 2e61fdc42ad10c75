"""``x``, ``y`` and ``sample_weight`` as a user passes them, taken apart into one array for each input and output.

What a single array becomes is ``data/arrays.py``'s business. Every message names the argument, and with several inputs
or outputs the one of them: ``x['a']``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastreg import _core
from fastreg.data import arrays
from fastreg.data.frames import checked_names
from fastreg.internal.checks import describe
from fastreg.model.core import CoreModel

__all__ = [
    "Given",
    "checked_input_names",
    "data_of",
    "features_of",
    "inputs_of",
    "only_if_single",
    "outputs_of",
    "targets_of",
    "weights_of",
]


class Given(NamedTuple):
    """One part of an argument: what messages call it, and its value."""

    label: str
    value: Any


def inputs_of(core: CoreModel, x: object, argument: str = "x") -> list[Given]:
    """The features of each input as they were given; a ``Sequential`` takes them as they are."""
    return [Given(argument, x)] if core.graph is None else _taken_apart(x, core.input_names, argument)


def outputs_of(core: CoreModel, y: object, n_rows: int, argument: str = "y") -> list[Given]:
    """The targets of each output as they were given; a ``Sequential`` takes them as they are."""
    return [Given(argument, y)] if core.graph is None else _taken_apart(y, core.output_names, argument, n_rows)


def _taken_apart(value: object, names: Sequence[str], argument: str, n_rows: int | None = None) -> list[Given]:
    """One value for each input or output.

    Args:
        value: One array where there is one name; a list or tuple of as many as there are names; or a dict by them.
        names: The names of the inputs or outputs.
        argument: What messages call the value.
        n_rows: Rows that there are, where known: tells a list of one array from a list of numbers.

    Raises:
        ValueError: If keys or the number of arrays are others.
        TypeError: If there are several names and the value is neither a list nor a dict.
    """
    if isinstance(value, Mapping):
        if set(value) != set(names):
            known = ", ".join(map(repr, names))
            got = ", ".join(map(repr, value)) or "none"
            raise ValueError(f"{argument}: must have the keys {known}, got {got}")
        return [Given(f"{argument}[{name!r}]", value[name]) for name in names]
    if len(names) == 1:
        return [Given(argument, _only(value, n_rows))]
    known = ", ".join(map(repr, names))
    if not isinstance(value, (list, tuple)):
        raise TypeError(
            f"{argument}: must be a list or tuple of {len(names)} arrays, or a dict, for {known}, got {describe(value)}"
        )
    if len(value) != len(names):
        raise ValueError(f"{argument}: must be {len(names)} arrays, for {known}, got {len(value)}")
    return [Given(f"{argument}[{name!r}]", part) for name, part in zip(names, value, strict=True)]


def _only(value: Any, n_rows: int | None) -> Any:
    """The array of a list that holds an array alone; anything else as it is."""
    if not isinstance(value, (list, tuple)) or len(value) != 1:
        return value
    (only,) = value
    shape: tuple[int, ...] = getattr(only, "shape", ())
    return only if len(shape) >= 2 or (len(shape) == 1 and shape[0] == n_rows != 1) else value


def checked_input_names(x: Sequence[Given], known: Any) -> Any:
    """The names of the columns of frames, these and those that are known, which must not contradict each other.

    Names, or None, where there is one input; else a tuple of that for each input, or None where there are none at all.
    """
    if len(x) == 1:
        return checked_names(x[0].value, known, x[0].label) or known
    listed: Any = known or [None] * len(x)
    names = tuple(checked_names(one.value, old, one.label) or old for one, old in zip(x, listed, strict=True))
    return names if any(names) else None


def features_of(x: Sequence[Given], widths: Sequence[int | None], passes: int = 1) -> list[Any]:
    """The features of each input, as the core reads them; all have as many rows."""
    found: list[Any] = []
    for part, width in zip(x, widths, strict=True):
        array = arrays.features(part.value, width, part.label, passes)
        if found and len(array) != len(found[0]):
            raise ValueError(f"{part.label}: must have as many rows as {x[0].label}, {len(found[0])}, got {len(array)}")
        found.append(array)
    return found


def targets_of(core: CoreModel, y: Sequence[Given], n_rows: int, widths: Sequence[int]) -> list[Any]:
    """The targets of each output, as its loss wants them."""
    losses = core.require_losses("fit")
    return [
        arrays.targets(part.value, loss, n_rows, width, part.label)
        for part, loss, width in zip(y, losses, widths, strict=True)
    ]


def weights_of(core: CoreModel, value: object, prefix: str = "") -> list[Given]:
    """The weights of the rows for each output, as they were given: an array, or none, holds for every output."""
    argument, count = f"{prefix}sample_weight", core.output_count
    if value is None or core.graph is None or (count > 1 and not isinstance(value, (list, tuple, Mapping))):
        return [Given(argument, value)] * count
    names = core.output_names
    if isinstance(value, Mapping) and count > 1:
        value = {name: value.get(name) for name in names} | dict(value)
    return _taken_apart(value, names, argument)


def only_if_single(core: CoreModel, class_weight: object) -> None:
    """Raises ValueError for weights of classes where there are several outputs."""
    if class_weight is not None and core.output_count > 1:
        raise ValueError(
            f"class_weight: must be None for a model with several outputs, got {describe(class_weight)}; give "
            "sample_weight for each output"
        )


def data_of(x: list[Any], y: list[Any], weights: list[Any], rows: arrays.Rows | None) -> _core.Data:
    """Data for the core: arrays themselves where there is one, lists where there are several."""
    given: Any = {
        "x": x[0] if len(x) == 1 else x,
        "y": y[0] if len(y) == 1 else y,
        "sample_weight": weights[0] if len(weights) == 1 else weights,
        "rows": rows,
    }
    data: _core.Data = given
    return data
