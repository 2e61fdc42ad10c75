"""Splits ``x``, ``y`` and ``sample_weight``, as a user passes them, into one array for each input and output.

``data/arrays.py`` converts a single array. Every message names the argument and, with several inputs or outputs, which
of them: ``x['a']``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastreg import _core
from fastreg.data import arrays
from fastreg.data.frames import checked_names
from fastreg.data.ignored_labels import weights_of_counted
from fastreg.internal.checks import describe
from fastreg.internal.layer_base import Shape
from fastreg.model.core import CoreModel
from fastreg.model.labels import classes_of, numbered, takes_labels, texts_of

__all__ = [
    "Given",
    "checked_input_names",
    "data_of",
    "features_of",
    "inputs_of",
    "labelled",
    "only_if_single",
    "outputs_of",
    "row_weights",
    "shape_of",
    "targets_of",
]


class Given(NamedTuple):
    """One part of an argument: its name in messages, and its value."""

    label: str
    value: Any


def inputs_of(core: CoreModel, x: object, argument: str = "x") -> list[Given]:
    """The features of each input as they were given; for a ``Sequential`` the argument itself."""
    return [Given(argument, x)] if core.graph is None else _taken_apart(x, core.input_names, argument)


def outputs_of(core: CoreModel, y: object, n_rows: int, argument: str = "y") -> list[Given]:
    """The targets of each output as they were given; for a ``Sequential`` the argument itself."""
    return [Given(argument, y)] if core.graph is None else _taken_apart(y, core.output_names, argument, n_rows)


def _taken_apart(value: object, names: Sequence[str], argument: str, n_rows: int | None = None) -> list[Given]:
    """Returns one value for each input or output.

    Args:
        value: One array if there is one name; a list or tuple with an array for each name; or a dict by the names.
        names: The names of the inputs or outputs.
        argument: The name of the value in messages.
        n_rows: The number of rows, if it is known. It distinguishes a list of one array from a list of numbers.

    Raises:
        ValueError: If the keys or the number of arrays differ from the names.
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
    """Returns the array of a list that holds one array only, and anything else unchanged."""
    if not isinstance(value, (list, tuple)) or len(value) != 1:
        return value
    (only,) = value
    shape: tuple[int, ...] = getattr(only, "shape", ())
    return only if len(shape) >= 2 or (len(shape) == 1 and shape[0] == n_rows != 1) else value


def checked_input_names(x: Sequence[Given], known: Any) -> Any:
    """The column names of the frames, or those that are known already. The two must not contradict each other.

    For one input the result is its names, or None. For several it is a tuple with the names or None for each input, or
    None if no input has names.
    """
    if len(x) == 1:
        return checked_names(x[0].value, known, x[0].label) or known
    listed: Any = known or [None] * len(x)
    names = tuple(checked_names(one.value, old, one.label) or old for one, old in zip(x, listed, strict=True))
    return names if any(names) else None


def features_of(core: CoreModel, x: Sequence[Given], passes: int = 1, shape: Shape | None = None) -> list[Any]:
    """The features of each input as the core reads them; all must have the same number of rows.

    Args:
        core: The model.
        x: The features as they were given.
        passes: How often they are read.
        shape: The shape of a row of the only input of a model that does not know it yet.
    """
    found: list[Any] = []
    for part, known, rule in zip(x, core.input_shapes(), core.input_rules, strict=True):
        array = arrays.features(part.value, shape if known is None else known, part.label, passes, rule)
        if found and len(array) != len(found[0]):
            raise ValueError(f"{part.label}: must have as many rows as {x[0].label}, {len(found[0])}, got {len(array)}")
        found.append(array)
    return found


def shape_of(core: CoreModel, x: Sequence[Given]) -> Shape:
    """The shape of a row of the first input: the model's, or that of the features where it has none yet."""
    if core.input_shape is not None:
        return core.input_shape
    shape = arrays.row_shape(x[0].value, x[0].label)
    if not shape and core.input_rules[0].limit is None:  # one number in each row is unusual, unless it is an index
        arrays.features(x[0].value, None, x[0].label)
    try:
        core.output_shapes(shape)
    except ValueError:
        if len(shape) != 1 or shape[0] == 0:
            arrays.features(x[0].value, None, x[0].label)  # says what is wrong with x
        raise
    return shape


def labelled(core: CoreModel, y: Sequence[Given], shapes: Sequence[Shape], learn: bool = False) -> list[Given]:
    """The targets of each output, with the numbers of classes in place of labels that are texts.

    Args:
        core: The model, which keeps the classes.
        y: The targets as they were given.
        shapes: The shape of a row of each output.
        learn: Whether the labels make the classes of a model that has none.

    Raises:
        ValueError: If there are labels and no classes, a label is no class, or classes do not fit the output.
        TypeError: If some labels are texts and others are not.
    """
    width, (name, value) = math.prod(shapes[0]), y[0]
    if len(y) > 1 or not takes_labels(core.losses[0], width):
        return list(y)
    texts = texts_of(value, name)
    if texts is None:
        return list(y)
    if core.classes is None:
        if not learn:
            raise ValueError(f"{name}: strings as labels need a model that was fitted on such labels, got {texts[0]!r}")
        core.classes = classes_of(texts, width, name)
    elif len(core.classes) != max(width, 2):
        raise ValueError(f"{name}: the model was fitted on {len(core.classes)} classes and now has {width} outputs")
    return [Given(name, numbered(texts, core.classes, name))]


def targets_of(core: CoreModel, y: Sequence[Given], n_rows: int, shapes: Sequence[Shape]) -> list[Any]:
    """The targets of each output, in the form that its loss requires."""
    losses = core.losses
    found = [
        arrays.targets(_flat(part.value, shape), loss, n_rows, math.prod(shape), part.label)
        for part, loss, shape in zip(y, losses, shapes, strict=True)
    ]
    for i, (part, loss, array) in enumerate(zip(y, losses, found, strict=True)):
        if not loss.any_columns:
            continue
        width = math.prod(shapes[i])
        if array.ndim == 2 and array.shape[1] != width and core.has_metrics(i):
            raise ValueError(
                f"{part.label}: must have a column for each of the {width} outputs, since metrics compare them, got "
                f"{array.shape[1]} columns; without metrics the loss {loss.key!r} takes any number of columns"
            )
    return found


def _flat(value: Any, shape: Shape) -> Any:
    """Targets of rows with several dimensions as rows of numbers; anything else as it is."""
    if len(shape) < 2 or np.shape(value)[1:] != shape:
        return value
    return np.asarray(value).reshape(len(value), math.prod(shape))


def weights_of(core: CoreModel, value: object, prefix: str = "") -> list[Given]:
    """The weights of the rows for each output as they were given. An array or None applies to every output.

    Raises:
        ValueError: If a dict has a key that names no output; an output that it does not name has no weights.
    """
    argument, count = f"{prefix}sample_weight", core.output_count
    if value is None or core.graph is None or (count > 1 and not isinstance(value, (list, tuple, Mapping))):
        return [Given(argument, value)] * count
    names = core.output_names
    if isinstance(value, Mapping) and count > 1:
        if not set(value) <= set(names):
            known = ", ".join(map(repr, names))
            raise ValueError(f"{argument}: must have keys among {known}, got {', '.join(map(repr, value))}")
        value = {name: value.get(name) for name in names}
    return _taken_apart(value, names, argument)


def row_weights(
    core: CoreModel,
    value: object,
    y: Sequence[Given],
    n_rows: int,
    rows: arrays.Rows | None,
    prefix: str = "",
    absolute: bool = False,
) -> list[arrays.Floats | None]:
    """The weights of the rows for each output, in the form that the core reads; None for an output without weights.

    Rows whose label the loss of an output ignores weigh 0; ``y`` are the targets as given. Weights count by their
    ratios alone, unless they are ``absolute``.
    """
    given = weights_of(core, value, prefix)
    return [
        weights_of_counted(part.value, n_rows, target.value, loss, rows, part.label, absolute)
        for part, target, loss in zip(given, y, core.losses, strict=True)
    ]


def only_if_single(core: CoreModel, class_weight: object) -> None:
    """Raises ValueError if class weights are given for a model with several outputs."""
    if class_weight is not None and core.output_count > 1:
        raise ValueError(
            f"class_weight: must be None for a model with several outputs, got {describe(class_weight)}; give "
            "sample_weight for each output"
        )


def data_of(x: list[Any], y: list[Any], weights: list[Any], rows: arrays.Rows | None) -> _core.Data:
    """The data for the core: an array for one input or output, a list of arrays for several."""
    given: Any = {
        "x": x[0] if len(x) == 1 else x,
        "y": y[0] if len(y) == 1 else y,
        "sample_weight": weights[0] if len(weights) == 1 else weights,
        "rows": rows,
    }
    data: _core.Data = given
    return data
