"""Data frames of pandas, polars and Arrow: the names of their columns, and which cell is not a number.

The libraries are recognised by their attributes; none of them is imported. For valid NumPy arrays nothing here is
called.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Names = tuple[str, ...]

# The number of names of each kind that a message lists before "...".
_SHOWN_NAMES = 5

# Characters of a cell in a message.
_LONGEST_CELL = 40

_DATES = (datetime.date, datetime.time, np.datetime64)
_DURATIONS = (datetime.timedelta, np.timedelta64)


def labels(value: object) -> list[Any] | None:
    """The labels of a frame's columns, whatever they are; None where there are no columns."""
    kind = type(value)
    # An Arrow table has its columns themselves under "columns". The class is asked, since a column may have that name.
    for attribute in ("column_names", "columns"):
        if hasattr(kind, attribute):
            found: Any = getattr(value, attribute)
            if hasattr(found, "tolist"):  # the index of pandas: to iterate over it takes far longer
                found = found.tolist()
            return list(found) if hasattr(found, "__iter__") else None
    return None


def feature_names(value: object, name: str = "x") -> Names | None:
    """The names of a frame's columns if all of them are strings; None if none is, or there is no frame.

    Raises:
        TypeError: If some are strings and others are not, as in scikit-learn.
    """
    if type(value) is np.ndarray:
        return None
    refuse_lazy(value, name)
    found = labels(value)
    kinds = set(map(type, found or ()))
    if found and kinds == {str}:
        return tuple(found)
    texts = sum(issubclass(kind, str) for kind in kinds)
    if not found or not texts:
        return None
    if texts < len(kinds):
        told = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(
            f"{name}: the names of columns must be strings, all or none of them, got {told}; "
            "x.columns = x.columns.astype(str) makes strings of them"
        )
    return tuple(map(str, found))


def checked_names(value: object, known: Names | None, name: str = "x") -> Names | None:
    """The names of a frame's columns, as from :func:`feature_names`. They must be equal to the known ones, if any are.

    Raises:
        ValueError: If they differ; the message says in what, as scikit-learn's does.
        TypeError: As :func:`feature_names`.
    """
    found = feature_names(value, name)
    if found is None or known is None or found == known:
        return found
    message = f"{name}: the feature names should match those that were passed during fit.\n"
    here, there = set(found), set(known)
    for title, listed in (
        ("Feature names unseen at fit time:", [label for label in found if label not in there]),
        ("Feature names seen at fit time, yet now missing:", [label for label in known if label not in here]),
    ):
        if listed:
            shown = [f"- {label}" for label in listed[:_SHOWN_NAMES]] + ["- ..."] * (len(listed) > _SHOWN_NAMES)
            message += "\n".join([title, *shown, ""])
    if here == there and len(found) == len(known):
        column = next(i for i, (a, b) in enumerate(zip(found, known, strict=True)) if a != b)
        message += (
            f"Feature names must be in the same order as they were in fit: column {column} is {found[column]!r}, it "
            f"was {known[column]!r}. x[list(model.feature_names_in_)] brings them into order.\n"
        )
    elif here == there:
        message += f"There are {len(found)} columns, in fit there were {len(known)}: some names are there twice.\n"
    raise ValueError(message)


def refuse_lazy(value: object, name: str) -> None:
    """Raises TypeError for a LazyFrame of polars, before anything makes it work out its columns."""
    kind = type(value)
    if kind.__name__ == "LazyFrame" and kind.__module__.partition(".")[0] == "polars":
        raise TypeError(f"{name}: must be numbers, got a LazyFrame, which has no rows yet; call its collect()")


def refuse_types(value: object, name: str) -> None:
    """Raises TypeError for a polars frame with dates, which its conversion to an array would turn into numbers."""
    if type(value).__module__.partition(".")[0] != "polars":
        return
    refuse_lazy(value, name)
    dtypes = getattr(value, "dtypes", ())
    if any(kind.is_temporal() for kind in {type(dtype) for dtype in dtypes}):
        refuse_cell(value, None, name)


def refuse_cell(value: object, array: NDArray[Any] | None, name: str) -> None:
    """Raises what is wrong with the first column that holds something other than numbers, naming the first such cell.

    Cells that are missing are named only if there is nothing else.

    Args:
        value: The user's argument. If it is a frame, its columns are checked one by one.
        array: The result of ``np.asarray`` for it; None if there is none.
        name: The argument.

    Raises:
        TypeError: For text, dates and other objects.
        ValueError: For a cell that is missing.
    """
    titles, missing = labels(value), ""
    for index, column in enumerate(_columns(value, array)):
        if column.dtype.kind in "biu":
            continue
        title = f"column {index if titles is None else repr(titles[index])}"
        if array is not None and array.ndim == 1:
            title = "it"
        gap, cell = _first_bad(column)
        if cell is not None:
            raise TypeError(f"{name}: must be numbers, but {title} holds {_told(column, cell, name)}")
        if gap is not None and not missing:
            missing = f"row {gap}" if title == "it" else f"{title}, row {gap}"
    if missing:
        raise ValueError(f"{name}: must be finite numbers, got a missing value in {missing}; fill it or drop the row")


def where(row: int, column: int, names: Sequence[Any] | None) -> str:
    """``column 2 ('age'), row 7``."""
    title = "" if names is None else f" ({names[column]!r})"
    return f"column {column}{title}, row {row}"


def first_beyond_floats(array: NDArray[Any], value: object) -> tuple[object, str]:
    """The first cell of an array of objects that is beyond all floats, and its position.

    ``value`` is the user's argument.
    """
    for place, cell in np.ndenumerate(array):
        try:
            float(cell)
        except OverflowError:
            return cell, f"row {place[0]}" if array.ndim != 2 else where(place[0], place[1], labels(value))
    raise AssertionError("no such cell")


def _columns(value: Any, array: NDArray[Any] | None) -> Iterator[NDArray[Any]]:
    """The columns one by one: those of a frame, else those of the array; a vector is one."""
    titles = labels(value)
    if titles is None:
        yield from () if array is None or array.ndim not in (1, 2) else np.atleast_2d(array.T)
        return
    for index in range(len(titles)):
        if hasattr(value, "iloc"):
            column = value.iloc[:, index]
        else:
            column = value.to_series(index) if hasattr(value, "to_series") else value.column(index)
        values = np.asarray(column)
        if values.ndim != 1:  # such as the structs of polars
            values = np.empty(len(values), object)
            values[:] = list(column)
        yield values


def _first_bad(column: NDArray[Any]) -> tuple[int | None, int | None]:
    """The rows of the first missing cell and of the first one that is there and no number."""
    if column.dtype.kind == "f":
        gaps = np.isnan(column)
        return (int(np.argmax(gaps)) if gaps.any() else None), None
    if column.dtype.kind in "mM":
        return None, int(np.argmin(np.isnat(column))) if len(column) else None
    if column.dtype.kind in "USV":
        return None, 0 if len(column) else None
    gap: int | None = None
    for row, cell in enumerate(column.tolist()):
        if type(cell) in (float, int, bool):
            continue
        if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
            gap = row if gap is None else gap
        elif not _is_number(cell):
            return gap, row
    return gap, None


def _is_number(cell: Any) -> bool:
    if isinstance(cell, (str, bytes, np.datetime64, np.timedelta64)):  # float() takes some of them
        return False
    try:
        float(cell)
    except OverflowError:
        return True
    except (TypeError, ValueError):
        return False
    return True


def _told(column: NDArray[Any], row: int, name: str) -> str:
    """The text of a message: what the cell holds, and what to do about it."""
    cell = column[row]
    kind, shown, hint = f"objects of type {type(cell).__name__}", repr(cell), "make numbers of them or drop them"
    if isinstance(cell, (str, bytes)):
        kind = "text"
        shown = repr(cell.item() if isinstance(cell, np.generic) else cell)
        hint = "encode it or drop it (fastreg tune encodes tables by itself)"
        if name.endswith("y"):
            hint = f"numpy.unique({name.split()[-1]}, return_inverse=True)[1] makes labels of it"
            hint += ", and fastreg.sklearn.MLPClassifier takes it as it is"
    elif isinstance(cell, (*_DATES, *_DURATIONS)):
        exact = f" ({column.dtype})" if column.dtype.kind in "mM" else ""
        kind, shown = ("durations" if isinstance(cell, _DURATIONS) else "dates") + exact, str(cell)
        hint = "make numbers of them, such as days since some date, or drop them"
    shown = " ".join(shown.split())
    shown = shown if len(shown) <= _LONGEST_CELL else f"{shown[: _LONGEST_CELL - 3]}..."
    return f"{kind}: {shown} in row {row}; {hint}"
