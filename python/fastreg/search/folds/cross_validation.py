"""Folds: which rows a model is trained on and which it is scored on. They follow from the argument ``cv=``.

A fold is a pair of uint32 arrays of row numbers into data that all folds share; no data are copied. A splitter is a
frozen dataclass that describes how to split. The rows also depend on the seed of the search, so that one seed gives the
same folds everywhere. This module knows nothing of models.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, check_bool, check_int, check_real, describe
from fastreg.search.folds.stratification import Labels, class_labels, parts, share, warn_of_missing_classes

__all__ = [
    "GroupKFold",
    "HoldOut",
    "KFold",
    "RepeatedKFold",
    "Splitter",
    "StratifiedGroupKFold",
    "TimeSeriesSplit",
    "class_labels",
    "indexable",
    "inner_split",
    "make_folds",
    "rows_of",
    "take",
]

Rows = NDArray[np.uint32]
Fold = tuple[Rows, Rows]

_AT_LEAST_TWO = ("be >= 2", lambda v: v >= 2)


class Splitter:
    """Base of the splitters. :func:`make_folds` makes folds of one."""

    def _folds(self, n: int, labels: Labels | None, groups: Labels | None, seed: int) -> list[Fold]:
        """The folds of ``n`` rows.

        Args:
            n: Number of rows.
            labels: The class of each row, counted from 0; None if targets are not classes.
            groups: The group of each row, counted from 0; None if there are no groups.
            seed: The seed of every random choice.

        Raises:
            ValueError: If there are too few rows, groups or members of a class.
        """
        raise NotImplementedError


def _check_stratified(owner: str, value: bool | None) -> bool | None:
    return None if value is None else check_bool(owner, "stratified", value)


@dataclass(frozen=True)
class KFold(Splitter):
    """Shuffles the rows by the seed and cuts them into ``n_splits`` parts of equal size; each part is scored once.

    Args:
        n_splits: Number of folds, >= 2.
        stratified: Whether every part gets its share of each class, to within one row. None: if targets are classes.

    Raises:
        ValueError: If ``n_splits`` < 2; when used, if there are fewer rows than folds, or with ``stratified=True`` a
            class of fewer rows than folds (with None that is a warning).

    Example:
        >>> import numpy as np
        >>> from fastreg.search import cross_validation as cv
        >>> [test.tolist() for _, test in cv.make_folds(cv.KFold(2), None, np.array([0.1, 0.2, 0.3, 0.4]))]
        [[1, 2], [0, 3]]
    """

    n_splits: int = 5
    stratified: bool | None = None

    def __post_init__(self) -> None:
        check_int("KFold", "n_splits", self.n_splits, _AT_LEAST_TWO)
        _check_stratified("KFold", self.stratified)

    def _folds(self, n: int, labels: Labels | None, groups: Labels | None, seed: int) -> list[Fold]:
        if self.stratified and labels is None:
            raise ValueError("cv: stratified=True needs targets that are classes")
        used = None if self.stratified is False else labels
        part = parts(n, self.n_splits, used, seed, strict=bool(self.stratified))
        return [_complement(part == i) for i in range(self.n_splits)]


@dataclass(frozen=True)
class RepeatedKFold(Splitter):
    """:class:`KFold` several times, each time with a new shuffle.

    Args:
        n_splits: Folds of each repeat, >= 2.
        n_repeats: >= 1.
        stratified: As for :class:`KFold`.

    Example:
        >>> import numpy as np
        >>> from fastreg.search import cross_validation as cv
        >>> len(cv.make_folds(cv.RepeatedKFold(5, 2), None, np.arange(10.0)))
        10
    """

    n_splits: int = 5
    n_repeats: int = 10
    stratified: bool | None = None

    def __post_init__(self) -> None:
        check_int("RepeatedKFold", "n_splits", self.n_splits, _AT_LEAST_TWO)
        check_int("RepeatedKFold", "n_repeats", self.n_repeats, AT_LEAST_ONE)
        _check_stratified("RepeatedKFold", self.stratified)

    def _folds(self, n: int, labels: Labels | None, groups: Labels | None, seed: int) -> list[Fold]:
        once = KFold(self.n_splits, self.stratified)
        seeds = np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(self.n_repeats, np.uint64)
        return [fold for repeat in seeds for fold in once._folds(n, labels, groups, int(repeat))]


@dataclass(frozen=True)
class GroupKFold(Splitter):
    """No group is on both sides of a fold. Groups are dealt out so that the parts have about as many rows each.

    Largest first, each group goes to the part with fewest rows so far; the order of equal ones is drawn by the seed.

    Args:
        n_splits: Number of folds, >= 2.

    Raises:
        ValueError: When used, if no ``groups`` are given, or fewer than folds.

    Example:
        >>> import numpy as np
        >>> from fastreg.search import cross_validation as cv
        >>> people = ["ann", "ann", "bob", "bob", "cy", "cy"]
        >>> pairs = cv.make_folds(cv.GroupKFold(3), None, np.arange(6.0), groups=people)
        >>> sorted(test.tolist() for _, test in pairs)
        [[0, 1], [2, 3], [4, 5]]
    """

    n_splits: int = 5

    def __post_init__(self) -> None:
        check_int("GroupKFold", "n_splits", self.n_splits, _AT_LEAST_TWO)

    def _folds(self, n: int, labels: Labels | None, groups: Labels | None, seed: int) -> list[Fold]:
        sizes = np.bincount(_require_groups(groups, "GroupKFold"))
        if len(sizes) < self.n_splits:
            raise ValueError(f"cv: {self.n_splits} folds need as many groups at least, got {len(sizes)}")
        drawn = np.random.default_rng(seed).permutation(len(sizes))
        filled = np.zeros(self.n_splits, np.int64)
        part_of = np.empty(len(sizes), np.int64)
        for group in drawn[np.argsort(-sizes[drawn], kind="stable")]:
            part_of[group] = np.argmin(filled)
            filled[part_of[group]] += sizes[group]
        part = part_of[groups]
        return [_complement(part == i) for i in range(self.n_splits)]


@dataclass(frozen=True)
class StratifiedGroupKFold(Splitter):
    """:class:`GroupKFold` whose parts have about the same share of each class, as far as whole groups allow it.

    The group whose classes differ most in number comes first; each goes to the part that leaves the shares of the
    classes most even over the parts. The order of equal groups is drawn by the seed.

    Args:
        n_splits: Number of folds, >= 2.

    Raises:
        ValueError: When used, if no ``groups`` are given, or fewer than folds, or the targets are not classes.

    Example:
        >>> import numpy as np
        >>> from fastreg.search import cross_validation as cv
        >>> y, people = [0, 0, 1, 1, 0, 0, 1, 1], ["ann", "ann", "bob", "bob", "cy", "cy", "di", "di"]
        >>> pairs = cv.make_folds(cv.StratifiedGroupKFold(2), None, np.array(y), groups=people)
        >>> [int(np.array(y)[test].sum()) for _, test in pairs]
        [2, 2]
    """

    n_splits: int = 5

    def __post_init__(self) -> None:
        check_int("StratifiedGroupKFold", "n_splits", self.n_splits, _AT_LEAST_TWO)

    def _folds(self, n: int, labels: Labels | None, groups: Labels | None, seed: int) -> list[Fold]:
        codes = _require_groups(groups, "StratifiedGroupKFold")
        if labels is None:
            raise ValueError("cv: StratifiedGroupKFold needs targets that are classes; GroupKFold does not")
        counts = np.zeros((int(codes.max()) + 1, int(labels.max()) + 1))
        np.add.at(counts, (codes, labels), 1)
        if len(counts) < self.n_splits:
            raise ValueError(f"cv: {self.n_splits} folds need as many groups at least, got {len(counts)}")
        part = _even_parts(counts, self.n_splits, np.random.default_rng(seed))[codes]
        return [_complement(part == i) for i in range(self.n_splits)]


def _even_parts(counts: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The part of each group, given the rows of each class in it, (groups, classes)."""
    drawn = rng.permutation(len(counts))
    shares = counts / counts.sum(axis=0)
    filled, rows = np.zeros((k, counts.shape[1])), np.zeros(k)
    part_of = np.empty(len(counts), np.int64)
    order = drawn[np.argsort(-counts[drawn].std(axis=1), kind="stable")]
    for group in order:
        spreads = []
        for part in range(k):  # an empty one is never worse than another, so that none stays empty
            after = filled.copy()
            after[part] += shares[group]
            spreads.append((round(float(after.std(axis=0).mean()), 12), rows[part], part))
        part_of[group] = chosen = min(spreads)[2]
        filled[chosen] += shares[group]
        rows[chosen] += counts[group].sum()
    return part_of


@dataclass(frozen=True)
class TimeSeriesSplit(Splitter):
    """Rows in order of time: each fold is scored on the rows that follow those it was trained on. Nothing is shuffled.

    Args:
        n_splits: Number of folds, >= 1.
        gap: Rows left out between the two sides, >= 0.
        test_size: Rows to score in each fold, >= 1; None is ``n // (n_splits + 1)``.
        max_train_size: Most rows to train on, the latest ones, >= 1; None is all.

    Raises:
        ValueError: When used, if there are too few rows.

    Example:
        >>> import numpy as np
        >>> from fastreg.search import cross_validation as cv
        >>> for train, test in cv.make_folds(cv.TimeSeriesSplit(2, gap=1), None, np.arange(6.0)):
        ...     print(train, test)
        [0] [2 3]
        [0 1 2] [4 5]
    """

    n_splits: int = 5
    gap: int = 0
    test_size: int | None = None
    max_train_size: int | None = None

    def __post_init__(self) -> None:
        check_int("TimeSeriesSplit", "n_splits", self.n_splits, AT_LEAST_ONE)
        check_int("TimeSeriesSplit", "gap", self.gap, NON_NEGATIVE)
        for name in ("test_size", "max_train_size"):
            if getattr(self, name) is not None:
                check_int("TimeSeriesSplit", name, getattr(self, name), AT_LEAST_ONE)

    def _folds(self, n: int, labels: Labels | None, groups: Labels | None, seed: int) -> list[Fold]:
        size = self.test_size or n // (self.n_splits + 1)
        first = n - self.n_splits * size
        if size < 1 or first - self.gap < 1:
            raise ValueError(
                f"cv: TimeSeriesSplit with {self.n_splits} folds, test_size={self.test_size} and gap={self.gap} "
                f"leaves nothing to train on in the first fold of {n} rows"
            )
        pairs = []
        for start in range(first, n, size):
            end = start - self.gap
            begin = 0 if self.max_train_size is None else max(0, end - self.max_train_size)
            pairs.append((np.arange(begin, end, dtype=np.uint32), np.arange(start, start + size, dtype=np.uint32)))
        return pairs


@dataclass(frozen=True)
class HoldOut(Splitter):
    """One fold: a random share of the rows is scored, and the rest is trained on. A float as ``cv`` means this.

    Args:
        fraction: The share of the rows to score, in (0, 1). If there are groups, the share of the groups.
        stratified: Whether the share holds for every class, to within one row. None: if targets are classes.

    Raises:
        ValueError: If ``fraction`` is out of range; when used, if a side would be empty.

    Example:
        >>> import numpy as np
        >>> from fastreg.search import cross_validation as cv
        >>> [(train, test)] = cv.make_folds(0.25, None, np.array([0, 0, 0, 0, 1, 1, 1, 1]))
        >>> len(train), len(test), int((test < 4).sum())
        (6, 2, 1)
    """

    fraction: float = 0.2
    stratified: bool | None = None

    def __post_init__(self) -> None:
        check_real("HoldOut", "fraction", self.fraction, ("be in (0, 1)", lambda v: 0 < v < 1))
        _check_stratified("HoldOut", self.stratified)

    def _folds(self, n: int, labels: Labels | None, groups: Labels | None, seed: int) -> list[Fold]:
        if self.stratified and labels is None:
            raise ValueError("cv: stratified=True needs targets that are classes")
        if groups is not None:
            chosen = share(int(groups.max()) + 1, self.fraction, None, seed, "groups")
            return [_complement(chosen[groups])]
        used = None if self.stratified is False else labels
        return [_complement(share(n, self.fraction, used, seed, "rows"))]


def make_folds(
    cv: object,
    x: object,
    y: object,
    groups: object = None,
    seed: int = 0,
    classes: bool | None = None,
) -> list[Fold]:
    """The checked folds for a ``cv=`` argument.

    Args:
        cv: An int k >= 2 for :class:`KFold`, or :class:`GroupKFold` if groups are given; a float for :class:`HoldOut`;
            one of this module's splitters; an object with ``split`` and ``get_n_splits``, like scikit-learn's
            splitters; or a list of ``(train, test)`` pairs of row numbers or boolean masks.
        x: Features, for splitters of other libraries.
        y: Targets, which give the number of rows and their classes.
        groups: A label for each row, of any type.
        seed: The seed of every random choice, also for another library's splitter whose ``random_state`` is None.
        classes: Whether targets are classes; None decides by their values, see :func:`class_labels`.

    Returns:
        Pairs of uint32 arrays: rows to train on and rows to score. Sorted, unless given in another order.

    Raises:
        ValueError: If a side is empty, a row is out of range or on both sides, or the splitter refuses the data.
        TypeError: If ``cv`` is none of the above.

    Example:
        >>> import numpy as np
        >>> from fastreg.search import cross_validation as cv
        >>> y = np.array([0, 1] * 30)
        >>> [int(y[test].sum()) for _, test in cv.make_folds(3, None, y)]
        [10, 10, 10]
    """
    n = _n_rows(y)
    labels = class_labels(y, classes)
    codes = _group_codes(groups, n)
    splitter = _splitter(cv, codes is not None)
    if splitter is not None:
        pairs = splitter._folds(n, labels, codes, seed)
    elif hasattr(cv, "split") and hasattr(cv, "get_n_splits"):
        pairs = _checked_pairs(_seeded(cv, seed).split(np.zeros((n, 1)) if x is None else x, y, groups), n)
    else:
        pairs = _checked_pairs(cv, n)
    if labels is not None:
        warn_of_missing_classes(pairs, labels)
    return pairs


def inner_split(rows: Rows, fraction: float, labels: Labels | None, seed: int) -> Fold:
    """Splits the training rows of a fold into those to train on and a share to watch while training.

    A row that occurs several times is on one side only.

    Raises:
        ValueError: If a side would be empty.
    """
    distinct = np.unique(rows)
    inside = None if labels is None else np.unique(labels[distinct], return_inverse=True)[1].astype(np.int64)
    chosen = share(len(distinct), fraction, inside, seed, "rows to train on", "validation_split")
    held = np.isin(rows, distinct[chosen])
    return rows[~held], distinct[chosen]


def take(x: Any, rows: Rows) -> Any:
    """Those rows of an array, a sparse matrix or a data frame, as a copy; of a list, an array of them."""
    if hasattr(x, "iloc"):
        return x.iloc[rows]
    if hasattr(x, "to_series") or hasattr(x, "column_names"):  # polars and Arrow
        return x[rows.tolist()] if hasattr(x, "to_series") else x.take(rows)
    return indexable(x if hasattr(x, "shape") else np.asarray(x))[rows]


def rows_of(value: Any, rows: Rows, n: int) -> Any:
    """Those rows of an argument of ``fit``: a list, tuple, array or frame of n elements; anything else as it is."""
    if isinstance(value, (list, tuple)):
        return [value[row] for row in rows] if len(value) == n else value
    if not hasattr(value, "shape") and hasattr(value, "__array__"):  # Arrow's
        value = np.asarray(value)
    shape: tuple[int, ...] = getattr(value, "shape", ())
    return take(value, rows) if len(shape) > 0 and shape[0] == n else value


def indexable(x: Any) -> Any:
    """The same, of which rows can be taken: a sparse matrix of a form that cannot be indexed as CSR."""
    return x.tocsr() if hasattr(x, "tocsr") and x.format in ("coo", "bsr", "dia") else x


def _splitter(cv: object, grouped: bool) -> Splitter | None:
    if isinstance(cv, Splitter):
        return cv
    if isinstance(cv, (bool, str, bytes, type(None))):
        raise TypeError(f"cv: must be an int, a float, a splitter or a list of (train, test) pairs, got {describe(cv)}")
    if isinstance(cv, (int, np.integer)):
        if cv < 2:
            raise ValueError(f"cv: an int must be >= 2, the number of folds, got {cv}; a float holds out one share")
        return GroupKFold(int(cv)) if grouped else KFold(int(cv))
    if isinstance(cv, (float, np.floating)):
        if not 0 < cv < 1:
            raise ValueError(f"cv: a float must be in (0, 1), the share of rows to score, got {cv!r}")
        return HoldOut(float(cv))
    return None


def _n_rows(y: object) -> int:
    shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    if not shape or shape[0] == 0:
        raise ValueError(f"y: must hold a target for each row, got shape {shape}")
    return int(shape[0])


def _group_codes(groups: object, n: int) -> Labels | None:
    if groups is None:
        return None
    array = np.asarray(groups)
    if array.shape != (n,):
        raise ValueError(f"groups: must have shape ({n},), one label for each row, got {array.shape}")
    if array.dtype.kind == "O":
        array = np.array([str(label) for label in array])
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _require_groups(groups: Labels | None, splitter: str) -> Labels:
    if groups is None:
        raise ValueError(f"cv: {splitter} needs groups; give fit groups=, a label for each row")
    return groups


def _seeded(splitter: Any, seed: int) -> Any:
    """The splitter, with the seed of the search if it would otherwise draw a new one at every call."""
    if getattr(splitter, "random_state", 0) is not None or getattr(splitter, "shuffle", True) is False:
        return splitter
    seeded = copy.copy(splitter)
    seeded.random_state = seed % 2**32
    return seeded


def _complement(test: NDArray[np.bool_]) -> Fold:
    return np.flatnonzero(~test).astype(np.uint32), np.flatnonzero(test).astype(np.uint32)


def _checked_pairs(pairs: Any, n: int) -> list[Fold]:
    if not isinstance(pairs, Iterable):
        raise TypeError(
            f"cv: must be an int, a float, a splitter or a list of (train, test) pairs, got {describe(pairs)}"
        )
    checked: list[Fold] = []
    for number, pair in enumerate(pairs):
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise ValueError(f"cv: fold {number} must be a pair (train, test) of row numbers, got {describe(pair)}")
        train, test = (
            _rows(side, n, f"cv: the {name} rows of fold {number}")
            for side, name in zip(pair, ("training", "scored"), strict=True)
        )
        common = np.intersect1d(train, test)
        if len(common):
            raise ValueError(f"cv: fold {number} has {len(common)} rows on both sides, row {common[0]} the first")
        checked.append((train, test))
    if not checked:
        raise ValueError("cv: there must be one fold at least, got an empty list")
    return checked


def _rows(value: object, n: int, what: str) -> Rows:
    array = np.asarray(value)
    if array.dtype == bool:
        if array.shape != (n,):
            raise ValueError(f"{what}: a mask must have shape ({n},), one for each row, got {array.shape}")
        array = np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"{what} must be a list of row numbers or a mask, got {describe(value)}")
    if not array.size:
        raise ValueError(f"{what}: there must be one at least")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= n:
        raise ValueError(f"{what} must be in [0, {n}), got {low if low < 0 else high}")
    return array.astype(np.uint32)
