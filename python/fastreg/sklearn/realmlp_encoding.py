"""How RealMLP's estimators read rows: which columns hold categories, and the features of numbers and of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import _safe_indexing, check_array

from fastreg.internal.checks import describe
from fastreg.table.encoder import TableEncoder

__all__ = ["RealMLPEncoding", "categorical_columns"]

# Beginnings of the names of types whose columns are categories: of pandas, polars and Arrow.
_TYPES = ("categor", "enum", "str", "object", "large_string", "dictionary")


def categorical_columns(owner: str, X: Any, asked: Any, names: Sequence[str] | None, n_columns: int) -> list[int]:
    """The numbers of the columns that hold categories, in increasing order.

    Args:
        owner: The name of the estimator, for messages.
        X: The rows.
        asked: "from_dtype" for what the types of a frame tell, None for no column, or which: names, numbers or a mask.
        names: The names of the columns, if they have some.
        n_columns: Their number.

    Raises:
        ValueError: If a column is not there.
        TypeError: If ``asked`` is none of these.
    """
    if asked is None:
        return []
    if isinstance(asked, str):
        if asked != "from_dtype":
            raise ValueError(f"{owner}: categorical_features must be 'from_dtype', None or a list, got {asked!r}")
        if not hasattr(X, "columns"):
            return []
        types = getattr(X, "dtypes", None)
        found = [X[name].dtype for name in X.columns] if types is None else list(types)
        return [i for i, kind in enumerate(found) if str(kind).lower().startswith(_TYPES)]
    chosen = np.asarray(asked)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "biuUO"):
        raise TypeError(f"{owner}: categorical_features must be names, numbers or a mask, got {describe(asked)}")
    if chosen.dtype.kind == "b":
        if len(chosen) != n_columns:
            raise ValueError(f"{owner}: categorical_features must have a bool for each of {n_columns} columns")
        return np.flatnonzero(chosen).tolist()  # type: ignore[no-any-return]
    known = [] if names is None else list(names)
    places: list[int] = []
    for entry in chosen.tolist():
        place = known.index(entry) if isinstance(entry, str) and entry in known else entry
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < n_columns:
            raise ValueError(f"{owner}: categorical_features has {entry!r}, which is no column of X")
        places.append(place)
    return sorted(set(places))


class RealMLPEncoding:
    """The encoding of RealMLP-TD-S (Holzmüller, Grinsztajn and Steinwart, NeurIPS 2024), learned from training rows.

    A category becomes a feature for each level, or a single one of 1 and -1 if there are two levels; missing and new
    levels are 0 in all of them. Then every feature is scaled robustly and softly limited to (-3, 3), as
    :class:`fastreg.table.TableEncoder` does it for numbers. A missing number counts as the median, and has a feature of
    its own if training rows had some.

    Args:
        categorical: The numbers of the columns that hold categories.
        n_columns: The number of columns.
    """

    def __init__(self, categorical: Sequence[int], n_columns: int) -> None:
        self.categorical = list(categorical)
        self.numeric = [i for i in range(n_columns) if i not in set(categorical)]
        self._levels: OrdinalEncoder | None = None

    def fit(self, X: Any) -> RealMLPEncoding:
        """Takes levels and statistics of rows."""
        if self.categorical:
            self._levels = OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
            ).fit(_safe_indexing(X, self.categorical, axis=1))
        columns = self._columns(X)
        self._scaling = TableEncoder(["numeric"] * columns.shape[1], n_bins=0).fit(columns)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The features of rows, (n, features)."""
        return self._scaling.transform(self._columns(X))

    def _columns(self, X: Any) -> NDArray[np.float64]:
        """Categories as features, and numbers as they are."""
        parts = []
        if self._levels is not None:
            codes = self._levels.transform(_safe_indexing(X, self.categorical, axis=1))
            for column, levels in zip(codes.T, self._levels.categories_, strict=True):
                there = sum(level is not None and level == level for level in levels.tolist())
                each = (column[:, None] == np.arange(there)).astype(np.float64)
                parts.append(each[:, :1] - each[:, 1:] if there == 2 else each)
        if self.numeric:
            numbers = _safe_indexing(X, self.numeric, axis=1) if self._levels is not None else X
            parts.append(check_array(numbers, dtype=np.float64, ensure_all_finite="allow-nan", input_name="X"))
        return np.concatenate(parts, axis=1)
