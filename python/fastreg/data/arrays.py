"""Converts the arrays that a user passes into those that the core reads. This is the only place that does so.

The conversion is the same everywhere. Anything that ``np.asarray`` understands and that holds real numbers (lists,
bools, integers, floats of any width, byte order and memory order, data frames), or that has ``__dlpack__``, becomes a
C-contiguous float32 array. An array that is one already is used without a copy. So are features of type float64, uint8
and bool with any distance between rows; the core converts them batch by batch to the same values. Everything else is an
error: a TypeError for what cannot be cast (complex numbers, text, dates; ``frames.py`` names the first such cell), a
ValueError for wrong shapes, empty arrays, missing cells, NaN, infinity and values beyond float32. The bytes of bools
count as 0 or 1 whatever they are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.data import frames, rules
from fastreg.data.foreign import taken
from fastreg.data.stratification import first_of_each, quotas
from fastreg.internal.checks import NON_NEGATIVE, check_real, describe
from fastreg.internal.float32 import beyond_float32
from fastreg.internal.layer_base import InputRule
from fastreg.losses import Loss

Floats = NDArray[np.float32]
Features = NDArray[Any]  # float32, float64, uint8 or bool, as :func:`_readable` says
Labels = NDArray[np.int32]
Rows = NDArray[np.uint32]

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_FEATURE_TYPES = (_FLOAT32, _FLOAT64, np.dtype(np.uint8), np.dtype(np.bool_))

# Kinds of dtypes that NumPy converts to numbers although they are not numbers.
_MISTAKABLE = (str, bytes, np.datetime64, np.timedelta64)

# How often float64 features are read before converting all of them once is quicker (bench/NOTES.md).
_PASSES_AS_FLOAT64 = 3

# The largest of the weights is usually below this and above its inverse, so that float32 holds even those that are far
# smaller.
_USUAL_WEIGHT = 2.0**32

# What to do with numbers that float32 cannot hold.
SCALED_FEATURES = "; divide the feature by a constant first, for training and for predictions"
SCALED_TARGETS = "; divide the targets by a constant first, and multiply predictions by it"

# The random stream of validation_split. Shuffling, dropout and initial weights have other streams.
_SPLIT_STREAM = 0x40000000


def numeric(value: object, name: str) -> NDArray[Any]:
    """``value`` as an array of bools, integers or floats of whatever width it has."""
    if type(value) is np.ndarray and value.dtype.kind in "iuf":
        return value
    if hasattr(value, "toarray"):
        raise TypeError(f"{name}: sparse matrices are not supported, got {type(value).__name__}; call its toarray()")
    if type(value) is not np.ndarray:
        value = taken(value, name)
        frames.refuse_types(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: rows must have the same length ({error})") from None
    except TypeError:
        frames.refuse_cell(value, None, name)  # Arrow: columns of numbers and of dates make no array
        raise
    if array.dtype.kind in "iuf":
        return array
    if array.dtype.kind == "b":
        return bools(array)
    if array.dtype.kind == "c":
        raise TypeError(f"{name}: must be real numbers, got {array.dtype}")
    if array.dtype.kind == "O" and array.ndim > 0 and not any(isinstance(v, _MISTAKABLE) for v in array.flat):
        try:
            return array.astype(np.float64)
        except OverflowError:
            number, place = frames.first_beyond_floats(array, value)
            raise beyond_float32(f"{name}:", describe(number), place) from None
        except (TypeError, ValueError):
            pass
    if array.ndim > 0:
        if isinstance(value, (list, tuple)):  # one cell of text makes texts of all
            array = np.array(value, dtype=object)
        frames.refuse_cell(value, array, name)
    raise TypeError(f"{name}: must be numbers, got {describe(value) if array.ndim == 0 else array.dtype}")


def bools(array: NDArray[Any]) -> NDArray[Any]:
    """A bool array whose bytes are 0 and 1, as the core counts them: the array itself unless it was made of others."""
    as_bytes = array.view(np.uint8)
    return array if np.maximum.reduce(as_bytes, axis=None, initial=0) <= 1 else as_bytes != 0


def to_float32(
    array: NDArray[Any], name: str, source: object = None, missing: Sequence[bool] = (), hint: str = ""
) -> Floats:
    """A finite array as float32 in C order, without a copy if it is one already.

    ``source`` is the frame it comes from. ``missing`` says which columns may have NaN; empty for none. ``hint`` says
    what to do with numbers beyond float32.
    """
    if array.dtype is _FLOAT32 and array.flags.c_contiguous and array.flags.aligned:
        converted = array
    elif array.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            converted = array.astype(_FLOAT32, order="C")
    else:
        converted = array.astype(_FLOAT32, order="C")
    if not _core.all_finite(converted):
        rules.check_finite(array, name, source, missing, hint)
    return converted


def _readable(array: NDArray[Any], passes: int) -> bool:
    """Whether the core should read this matrix ``passes`` times in place, without a copy. Its rows may overlap."""
    kind, flags = array.dtype, array.flags
    if kind is not _FLOAT32 and kind not in _FEATURE_TYPES:
        return False
    if not flags.aligned or (passes > _PASSES_AS_FLOAT64 and kind == _FLOAT64):
        return False
    if flags.c_contiguous:
        return True
    size, (step, within) = array.itemsize, array.strides
    return within == size and step >= 0 and step % size == 0


def features(
    value: object,
    shape: tuple[int, ...] | None = None,
    name: str = "x",
    passes: int = 1,
    rule: InputRule | None = None,
    checks: bool = True,
) -> Features:
    """Rows of features, (n, elements of a row) with n >= 1, in a form that the core can read ``passes`` times.

    Args:
        value: The rows, (n, *shape); one number in each row may also be given as (n,).
        shape: The shape of a row; None takes any number of features.
        name: What messages call the value.
        passes: How often the core reads it.
        rule: What the numbers must be beyond finite; where it says so, NaN is taken.
        checks: Whether those that are not copied are checked for being finite; otherwise the caller does so.
    """
    array = numeric(value, name)
    if array.ndim != 2 or (shape is not None and len(shape) != 1):
        array = _flat_rows(array, shape, name)
    if array.size == 0:
        raise ValueError(f"{name}: must not be empty, got shape {array.shape}")
    if shape is not None and len(shape) == 1 and array.shape[1] != shape[0]:
        raise ValueError(f"{name}: the network takes {shape[0]} features, got {array.shape[1]}")
    rule = InputRule() if rule is None else rule
    if rule.limit is not None:
        rules.check_indices(array, rule.limit, name)
    if not _readable(array, passes):
        return to_float32(array, name, value, rule.missing, SCALED_FEATURES)
    if checks and not _core.all_finite(array):
        rules.check_finite(array, name, value, rule.missing, SCALED_FEATURES)
    return array


def _flat_rows(array: NDArray[Any], shape: tuple[int, ...] | None, name: str) -> NDArray[Any]:
    """Rows of a shape as rows of numbers."""
    wanted = "(rows, features)" if shape is None else str(("rows", *shape)).replace("'", "")
    if shape is None or (len(shape) == 1 and shape[0] != 1):
        hint = ""
        if array.ndim == 1:
            hint = "; reshape(-1, 1) makes one column of it, reshape(1, -1) one row"
        elif array.ndim > 2:
            hint = f"; Flatten() as the first layer or reshape({len(array)}, -1) makes rows of it"
        raise ValueError(f"{name}: must be 2-D {wanted}, got shape {array.shape}{hint}")
    single = math.prod(shape) == 1 and array.ndim > 0 and math.prod(array.shape[1:]) == 1
    if array.ndim == 0 or (array.shape[1:] != shape and not single):
        raise ValueError(f"{name}: must have the shape {wanted}, got {array.shape}")
    return array.reshape(len(array), math.prod(shape))


def row_shape(value: object, name: str = "x") -> tuple[int, ...]:
    """The shape of a row of features, whose number of dimensions is free. One number in each row must be (n, 1)."""
    shape = np.shape(value) if type(value) is np.ndarray else numeric(value, name).shape
    return shape[1:] if len(shape) > 1 else ()


def targets(value: object, loss: Loss, n_rows: int, n_outputs: int, name: str = "y") -> Floats | Labels:
    """Targets in the form that the loss needs: int32 labels (n,), or float32 (n, n_outputs). (n,) counts as (n, 1)."""
    array = numeric(value, name)
    if array.ndim == 0 or len(array) != n_rows:
        got = f"{len(array)} rows" if array.ndim > 0 else "a single number"
        raise ValueError(f"{name}: must have as many rows as x, {n_rows}, got {got}")
    if loss.targets == "labels":
        return class_indices(array, loss, n_outputs, name)
    if loss.any_columns:
        if array.ndim > 2 or array.shape[1:] == (0,):
            raise ValueError(f"{name}: {loss.key} needs targets of shape ({n_rows}, columns), got {array.shape}")
        return to_float32(array.reshape(n_rows, -1), name, hint=SCALED_TARGETS)
    heads = loss.heads
    n_targets, rest = divmod(n_outputs, heads)
    if rest:
        raise ValueError(f"{name}: {loss.key} needs {heads} outputs for each target, the network has {n_outputs}")
    if array.ndim == 1 and n_targets == 1:
        array = array.reshape(-1, 1)
    if array.shape != (n_rows, n_targets):
        hint = f"; there are {heads} outputs for each target" if heads > 1 else ""
        if loss.targets == "distribution" and array.size == n_rows:
            hint = "; labels go with sparse_categorical_crossentropy or through utils.to_categorical"
        raise ValueError(
            f"{name}: {loss.key} with {n_outputs} outputs needs shape ({n_rows}, {n_targets}), got {array.shape}{hint}"
        )
    converted = to_float32(array, name, hint=SCALED_TARGETS if loss.targets == "values" else "")
    _check_range(converted, loss, name)
    return converted if heads == 1 else np.tile(converted, (1, heads))


def _check_range(y: Floats, loss: Loss, name: str) -> None:
    """Raises ValueError for a target that the loss does not take."""
    if loss.targets == "values" or y.size == 0:
        return
    if loss.targets == "signs":
        good = (y == 1) | (y == (-1 if np.min(y) < 0 else 0))
        if not good.all():
            row = int(np.argmin(good.all(axis=1)))
            bad = float(y[row][~good[row]][0])
            raise ValueError(f"{name}: {loss.key} needs targets -1 and 1, or 0 and 1, got {bad!r} in row {row}")
        return
    low, high = np.minimum.reduce(y, axis=None), np.maximum.reduce(y, axis=None)
    least = loss.least_target
    if low < 0 or low < least or (loss.targets == "probabilities" and high > 1):
        rule = "in [0, 1]" if loss.targets == "probabilities" else "> 0" if least > 0 else ">= 0"
        bad = low if low < 0 or low < least else high
        row = int(np.argwhere(y == bad)[0][0])
        raise ValueError(f"{name}: {loss.key} needs targets {rule}, got {float(bad)!r} in row {row}")


def class_indices(array: NDArray[Any], loss: Loss, n_outputs: int, name: str) -> Labels:
    """Labels as int32 (n,), whole numbers in [0, n_outputs); (n, 1) is taken as (n,)."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array.reshape(-1)
    if array.ndim != 1:
        hint = "; one-hot rows go with categorical_crossentropy" if array.shape[1:] == (n_outputs,) else ""
        raise ValueError(f"{name}: {loss.key} needs labels of shape (n,), got {array.shape}{hint}")
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    counts = counted(array, loss)
    if counts is None and (indices := _core.class_indices(array, n_outputs)) is not None:
        return indices
    # Labels of another type, or that are refused, or of which some do not count. The core uses labels as indices into
    # memory, so that those are checked that it is given, and not an array that others may change meanwhile.
    array = np.array(array)
    if array.dtype.kind == "f":
        whole = array == np.floor(array)  # False for NaN; infinity fails the range
        if not whole.all():
            row = int(np.argmin(whole))
            value = float(array[row])
            raise ValueError(f"{name}: {loss.key} needs whole numbers as labels, got {value!r} in row {row}")
    if counts is not None and not 0 <= getattr(loss, "ignore_class", 0) < n_outputs:
        array = np.where(counts, array, 0)
    low, high = (array.min(), array.max()) if array.size else (0, -1)  # nothing is below 0 or too large
    if low < 0 or high >= n_outputs:
        bad = low if low < 0 else high
        row = int(np.argmax(array == bad))
        raise ValueError(f"{name}: labels must be in [0, {n_outputs}) for {n_outputs} outputs, got {bad} in row {row}")
    return np.ascontiguousarray(array, dtype=np.int32)


def counted(value: object, loss: Loss) -> NDArray[np.bool_] | None:
    """Whether each row counts, by the label that the loss ignores; None if all rows do."""
    ignored = getattr(loss, "ignore_class", None)
    if ignored is None:
        return None
    counts: NDArray[np.bool_] = numeric(value, "y").reshape(-1) != ignored
    return None if counts.all() else counts


def class_labels(y: Floats | Labels, loss: Loss) -> NDArray[np.int64] | None:
    """The class of each row, from converted targets; None where the targets are no classes."""
    if loss.targets == "labels":
        return y.astype(np.int64)
    if loss.targets == "distribution":
        classes: NDArray[np.int64] = np.argmax(y, axis=1)
        return classes
    if loss.targets == "probabilities" and y.shape[1] == 1 and bool(np.all((y == 0) | (y == 1))):
        return y[:, 0].astype(np.int64)
    if loss.targets == "signs" and y.shape[1] == 1:
        return (y[:, 0] > 0).astype(np.int64)
    if loss.any_columns and bool(np.all((y == 0) | (y == 1))):
        if y.shape[1] == 1:
            return y[:, 0].astype(np.int64)
        if bool(np.all(y.sum(axis=1) == 1)):
            columns: NDArray[np.int64] = np.argmax(y, axis=1)
            return columns
    return None


def network_weights(value: object, info: Sequence[tuple[str, tuple[int, ...], bool]], call: str) -> list[Floats]:
    """Weights of a network in the order and shapes of ``info``: finite, variances >= 0."""
    if not isinstance(value, Sequence):
        raise TypeError(f"{call}: weights must be a list of arrays, got {describe(value)}")
    if len(value) != len(info):
        raise ValueError(f"{call}: the model has {len(info)} arrays, got {len(value)}")
    converted = []
    for (name, shape, _), given in zip(info, value, strict=True):
        array = numeric(given, f"{call}: {name}")
        if array.shape != shape:
            raise ValueError(f"{call}: {name} must have shape {shape}, got {array.shape}")
        converted.append(to_float32(array, f"{call}: {name}"))
        if name.endswith("variance") and array.min() < 0:
            raise ValueError(f"{call}: {name} must be >= 0, got {float(array.min())!r}")
    return converted


def sample_weights(
    value: object, n_rows: int, rows: Rows | None = None, name: str = "sample_weight", absolute: bool = False
) -> Floats | None:
    """Weights of the rows, (n,) or (n, 1), >= 0 and not all zero (over ``rows``, where given); None stays None.

    Only their ratios count, so those that float32 may not reach are scaled by a power of two; unless they are
    ``absolute``, where all may be zero.
    """
    if value is None:
        return None
    array = numeric(value, name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array.reshape(-1)
    if array.shape != (n_rows,):
        raise ValueError(f"{name}: must have shape ({n_rows},), one for each row of x, got {array.shape}")
    if np.min(array) < 0:
        row = int(np.argmin(array))
        raise ValueError(f"{name}: must be >= 0, got {float(array[row])!r} in row {row}")
    if absolute:
        return to_float32(array, name)
    weights = to_float32(_within_float32(array, rows), name)
    if not (weights if rows is None else weights[rows]).any():
        raise ValueError(f"{name}: must not be 0 for every row")
    return weights


def _within_float32(weights: NDArray[Any], rows: Rows | None) -> NDArray[Any]:
    """Weights >= 0. If float32 may not reach them, a power of two scales them so that the largest is in [0.5, 1).

    Others stay as they are, because metrics that count add weights up. With ``rows``, only the largest of these rows
    counts; the other weights stay within float32 and are never read.
    """
    if weights.dtype.kind != "f" or weights.dtype.itemsize <= 4 or not np.isfinite(weights).all():
        return weights
    largest = np.max(weights if rows is None else weights[rows])
    if 1 / _USUAL_WEIGHT <= largest <= _USUAL_WEIGHT:
        return weights if rows is None else np.minimum(weights, np.finfo(np.float32).max)
    with np.errstate(over="ignore", under="ignore"):
        scaled: NDArray[Any] = np.ldexp(weights, -np.frexp(largest)[1])
    return scaled if rows is None else np.minimum(scaled, np.finfo(np.float32).max)


def class_weights(
    value: object,
    y: Floats | Labels,
    loss: Loss,
    n_outputs: int,
    weights: Floats | None,
    rows: Rows | None = None,
    absolute: bool = False,
) -> Floats | None:
    """The weights of the rows, multiplied by the weights of their classes.

    Args:
        value: ``{label: weight}``, where a label that is missing weighs 1; ``"balanced"`` for n / (classes * count);
            None for no weights.
        y: Converted targets.
        loss: It determines how ``y`` encodes classes.
        n_outputs: The number of outputs. One output means two classes.
        weights: The weights of the rows, or None.
        rows: The rows that "balanced" counts, or None for all.
        absolute: Whether the weights count as they are, and not their ratios alone.

    Raises:
        ValueError: If the targets are no classes, or a label or weight is out of range.
        TypeError: If ``value`` is none of the above.
    """
    if value is None:
        return weights
    if not isinstance(value, Mapping) and not (isinstance(value, str) and value == "balanced"):
        raise TypeError(f"class_weight: must be a dict {{label: weight}} or 'balanced', got {describe(value)}")
    labels = class_labels(y, loss)
    if labels is None:
        raise ValueError(f"class_weight: needs targets that are classes, which those of {loss.key} here are not")
    table = np.ones(max(n_outputs, 2))
    if isinstance(value, Mapping):
        for label, weight in value.items():
            if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
                raise TypeError(f"class_weight: labels must be integers, got {describe(label)}")
            if not 0 <= label < len(table):
                raise ValueError(f"class_weight: labels must be in [0, {len(table)}), got {describe(int(label))}")
            table[label] = check_real("class_weight", f"the weight of class {label}", weight, NON_NEGATIVE)
    else:
        counts = np.bincount(labels if rows is None else labels[rows], minlength=len(table))
        table = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    table = table if absolute else _within_float32(table, None)
    combined = table[labels] if weights is None else table[labels] * weights
    return sample_weights(combined, len(labels), rows, "sample_weight times class_weight", absolute)


def row_indices(value: object, n_rows: int, name: str) -> Rows | None:
    """Indices of rows, in [0, n_rows), in any order and perhaps repeated; None stays None.

    Raises:
        ValueError: If there are none, one is out of range, or they are not 1-D.
        TypeError: If they are no integers; a mask of bools is none either.
    """
    if value is None:
        return None
    array = numeric(value, name)
    if array.ndim != 1:
        raise ValueError(f"{name}: must be 1-D, indices of rows, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name}: must not be empty")
    if array.dtype.kind not in "iu":
        hint = "; numpy.flatnonzero makes indices of a mask" if array.dtype.kind == "b" else ""
        raise TypeError(f"{name}: must be integers, got {array.dtype}{hint}")
    # Always a copy: the core uses them as indices into memory, so nobody else may change them during a fit.
    if (indices := _core.class_indices(array, n_rows)) is not None:
        return indices.view(np.uint32)
    array = np.array(array)  # of another type, or refused; what is checked is what is given to the core
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= n_rows:
        bad = low if low < 0 else high
        hint = "; negative indices do not count from the end" if low < 0 else ""
        raise ValueError(f"{name}: must be in [0, {n_rows}) for {n_rows} rows, got {bad}{hint}")
    return np.ascontiguousarray(array, dtype=np.uint32)


def other_rows(n_rows: int, rows: Rows) -> Rows:
    """The rows of ``n_rows`` that are not among these. Raises ValueError if there are none."""
    free = np.ones(n_rows, dtype=bool)
    free[rows] = False
    if not free.any():
        raise ValueError(f"validation_rows: must leave rows to train on, got all {n_rows}")
    return np.flatnonzero(free).astype(np.uint32)


def split(
    n_rows: int, fraction: float, seed: int, labels: NDArray[np.int64] | None, rows: Rows | None = None
) -> tuple[Rows, Rows]:
    """Splits rows into those to train on and those to validate on, shuffled by the seed and stratified by class.

    The same seed gives the same split, whatever was trained before. A warning is issued if a class is on one side only.
    If ``rows`` is given, only these are split; ``n_rows`` and ``labels`` still refer to all rows. All copies of a row
    go to the same side, so that none is used for both, and the share counts different rows.

    Raises:
        ValueError: If one of the two sides would be empty.
    """
    if rows is not None:
        different, first, place = np.unique(rows, return_index=True, return_inverse=True)
        by_appearance = np.argsort(first)
        labels = None if labels is None else labels[different[by_appearance]]
        chosen = np.empty(len(different), dtype=bool)
        chosen[by_appearance] = _held_out(len(different), fraction, seed, labels)
        held_out = chosen[place]
        return rows[~held_out], rows[held_out]
    held_out = _held_out(n_rows, fraction, seed, labels)
    return np.flatnonzero(~held_out).astype(np.uint32), np.flatnonzero(held_out).astype(np.uint32)


def _held_out(n_rows: int, fraction: float, seed: int, labels: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    n_validation = round(n_rows * fraction)
    if not 0 < n_validation < n_rows:
        raise ValueError(
            f"validation_split: {fraction} of {n_rows} rows leaves {n_rows - n_validation} to train on and "
            f"{n_validation} to validate on; both need one at least"
        )
    words = _core.random_words(seed, _SPLIT_STREAM, 0, 0, (n_rows + 1) // 2)
    order = np.argsort(np.ascontiguousarray(words).view(np.uint64).ravel()[:n_rows], kind="stable")
    if labels is None:
        held_out = np.zeros(n_rows, dtype=bool)
        held_out[order[:n_validation]] = True
        return held_out
    held_out = first_of_each(order, labels, quotas(np.bincount(labels), n_validation))
    _warn_of_missing_classes(labels, held_out)
    return held_out


def _warn_of_missing_classes(labels: NDArray[np.int64], held_out: NDArray[np.bool_]) -> None:
    counts = np.bincount(labels)
    inside = np.bincount(labels[held_out], minlength=len(counts))
    for side, missing in (
        ("validation", (counts > 0) & (inside == 0)),
        ("training", (counts > 0) & (inside == counts)),
    ):
        if missing.any():
            names = ", ".join(map(str, np.flatnonzero(missing)[:10]))
            message = f"validation_split: the {side} rows have none of class {names}; it has too few rows"
            warnings.warn(message, UserWarning, stacklevel=7)
