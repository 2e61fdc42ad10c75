"""Labels that are texts: the classes of a model, and the numbers that stand for them as targets of a loss.

The rule: the first fit on texts makes the classes, the different labels in sorted order, and keeps them. Class k is
output k of a softmax; of two classes, the second is what a single sigmoid output gives the probability of. Only one
loss of classes is meant by that, which is why other losses and models with several outputs take numbers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.batches import gives_batches
from fastreg.internal.checks import describe
from fastreg.internal.dlpack import is_memory_alone
from fastreg.losses import Loss

__all__ = [
    "Classes",
    "Labelled",
    "by_number",
    "check_count",
    "classes_of",
    "different",
    "from_file",
    "numbered",
    "takes_labels",
    "texts_of",
]

Classes = tuple[str, ...]

# Labels that a message lists.
_TOLD = 5


class Labelled:
    """What a core knows of labels.

    Attributes:
        classes: The labels of the classes in their order; None unless the model was fitted on texts.
    """

    classes: Classes | None = None


def takes_labels(loss: Loss, width: int) -> bool:
    """Whether labels that are texts have one meaning for an output: a loss of classes, with a place for each class."""
    return loss.key == "sparse_categorical_crossentropy" or (loss.key == "binary_crossentropy" and width == 1)


def texts_of(value: Any, name: str) -> NDArray[Any] | None:
    """Labels as an array of texts; None where the first one is none, so that they are checked as numbers.

    Raises:
        TypeError: If some labels are texts and others are not.
    """
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind not in "UOT":
            return None
        listed = value.tolist() if len(value) and isinstance(value[0], str) else []
    elif isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__len__") or hasattr(value, "columns"):
        return None
    elif hasattr(value, "to_pylist"):  # an array of Arrow, which has scalars of its own
        listed = value.to_pylist() if "string" in str(value.type) else []
    elif gives_batches(value) or is_memory_alone(value):
        return None
    else:
        listed = list(value) if len(value) and isinstance(next(iter(value)), str) else []
    if not listed or not isinstance(listed[0], str):
        return None
    for row, label in enumerate(listed):
        if not isinstance(label, str):
            got = f"{describe(label)} in row {row}"
            raise TypeError(f"{name}: labels must all be strings, or all be integers, got {got}")
    return np.fromiter(listed, object, len(listed))


def classes_of(texts: NDArray[Any], width: int, name: str) -> Classes:
    """The classes that labels make for an output.

    Raises:
        ValueError: If the number of different labels is not that of the classes that the output has.
    """
    found = different(texts)
    check_count(found, width, name)
    return found


def different(texts: NDArray[Any]) -> Classes:
    """The different labels in sorted order."""
    return tuple(sorted({str(label) for label in texts.tolist()}))


def check_count(classes: Classes, width: int, name: str) -> None:
    """Raises ValueError if the number of different labels is not that of the classes that an output has."""
    if len(classes) == max(width, 2):
        return
    units = "one output, which tells two classes apart" if width == 1 else f"{width} outputs, one for each class"
    hint = ""
    if len(classes) < width:
        hint = f"; which output a label is of is not known then, so give integers in [0, {width}) as labels"
    raise ValueError(f"{name}: the model has {units}, got {len(classes)} different labels: {_told(classes)}{hint}")


def numbered(texts: NDArray[Any], classes: Classes, name: str) -> NDArray[np.int64]:
    """The number of each label's class. Raises ValueError for a label that is no class, and names it."""
    numbers = {label: number for number, label in enumerate(classes)}
    found = np.array([numbers.get(label, -1) for label in texts.tolist()], np.int64)
    if (found < 0).any():
        row = int(np.argmin(found))
        unknown = sorted({str(label) for label in texts[found < 0].tolist()})
        raise ValueError(
            f"{name}: labels must be classes that the model was fitted on, {_told(classes)}; got {_told(unknown)}, "
            f"first in row {row}"
        )
    return found


def by_number(class_weight: object, classes: Classes | None) -> object:
    """Weights of classes with numbers in place of labels; anything else as it is.

    Raises:
        ValueError: If a label is no class.
    """
    if classes is None or not isinstance(class_weight, Mapping):
        return class_weight
    if unknown := [label for label in class_weight if isinstance(label, str) and label not in classes]:
        raise ValueError(f"class_weight: labels must be classes, {_told(classes)}, got {unknown[0]!r}")
    return {
        classes.index(label) if isinstance(label, str) else label: weight for label, weight in class_weight.items()
    }


def from_file(value: object, width: int) -> Classes | None:
    """The classes of a model file. Raises ValueError if they are none."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise ValueError(f"classes must be a list of strings, got {describe(value)}")
    if value != sorted(set(value)) or len(value) != max(width, 2):
        raise ValueError(f"classes must be {max(width, 2)} different labels in sorted order, got {_told(value)}")
    return tuple(value)


def _told(labels: Any) -> str:
    told = ", ".join(repr(label if len(label) <= 40 else f"{label[:37]}...") for label in labels[:_TOLD])
    return told + (f" and {len(labels) - _TOLD} more" if len(labels) > _TOLD else "")
