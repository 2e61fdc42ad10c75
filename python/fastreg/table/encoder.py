r"""Encodes the codes of a table (``schema.py``) as features, with statistics that are learned from training rows.

Its external form is plain JSON (``to_config``), which a model file contains. Reading it runs no code and checks values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core
from fastreg.data.arrays import numeric
from fastreg.internal.checks import AT_LEAST_ONE, NON_NEGATIVE, check_bool, check_choice, check_int
from fastreg.layers import Column, PlainColumn
from fastreg.table.calendar_parts import DatePart
from fastreg.table.checked import finite as finite  # where programs may have imported it
from fastreg.table.checked import members, strings, typed, whole
from fastreg.table.kinds import KINDS
from fastreg.table.number_parts import CategoricalPart, Codes, NumericPart
from fastreg.table.td_parts import CodePart, GapPart, LevelsPart, NoPart
from fastreg.table.texts import Documents, TextPart
from fastreg.table.units import columns_of_one_unit, shared_scale

__all__ = ["MOST_RAMPS", "Codes", "Part", "TableEncoder", "of_column"]

# The largest number of encoded numeric columns. If there would be more, each gets fewer bins.
MOST_RAMPS = 2000
# The largest number of encoded cells, 256 MB. If there would be more, numeric columns get fewer bins and texts fewer
# words.
_MOST_CELLS = 2**26
# Bins and counts of a model file at most.
_MOST = 2**31

#: What a column becomes.
Part = NumericPart | CategoricalPart | DatePart | TextPart | NoPart | GapPart | LevelsPart | CodePart
_PARTS: Mapping[str, type[NumericPart | CategoricalPart | DatePart | TextPart]] = {
    "numeric": NumericPart,
    "categorical": CategoricalPart,
    "date": DatePart,
    "text": TextPart,
}


class TableEncoder:
    r"""Encodes codes as features by statistics of the training rows; a preprocessing step (``fit``, ``transform``).

    A numeric column becomes its value, centred by the median :math:`m`, scaled by the quartiles :math:`q` and softly
    limited to (-3, 3), and a piecewise-linear encoding over bins :math:`b_0 < \dots < b_T`:

    .. math::
        z = \frac{x - m}{q_{0.75} - q_{0.25}}, \quad f = \frac{z}{\sqrt{1 + (z / 3)^2}}, \qquad
        e_t = \min(\max((x - b_{t-1}) / (b_t - b_{t-1}), 0), 1)

    Bins are quantiles of the different values, where each value has the square root of its count as its weight, so that
    a value that most rows share takes one bin and not all. A missing number is 0 in both encodings, and 1 in a column
    of its own if training rows had missing numbers. A categorical column becomes one column for each level that at
    least ``min_count`` training rows have, and one for all other cells: missing, rare and new levels. Dates and texts
    are encoded as :class:`DatePart` and :class:`TextPart` say.

    With ``shared`` the numeric columns of one unit (``units.py``) have one :math:`m`, the mean of all their cells, and
    half of their common range in place of the difference of quartiles, so that a column that hardly varies does not
    become as large as the others.

    Sources: the soft limit is that of RealMLP (Holzmüller, Grinsztajn and Steinwart, NeurIPS 2024); piecewise-linear
    encoding is Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning",
    NeurIPS 2022.

    Args:
        kinds: The kind of each column of the codes: "numeric", "categorical", "date" or "text".
        n_bins: The number of bins of a numeric column, >= 0. With 0 there is no piecewise-linear part.
        min_count: The number of rows that a level needs for a column of its own, >= 1.
        documents: The documents of each text column, by its number. The codes of such a column are numbers of them.
        dense: False gives what a :class:`fastreg.layers.TableInput` with :attr:`columns` reads instead of features:
            numbers and codes of levels as they are, NaN where they are missing, and dates and texts as features. A
            number that is far from 0 compared with its spread is given as its difference from the median, so that
            float32 is precise enough. Bins take no memory then, and their number is not lowered.
        shared: Whether columns of one unit have one scale, if the table has such columns.

    Example:
        >>> import numpy as np
        >>> from fastreg.table import TableEncoder
        >>> encoder = TableEncoder(["numeric"], n_bins=2).fit(np.array([[0.0], [1.0], [2.0], [np.nan]]))
        >>> encoder.transform(np.array([[1.0], [np.nan]]))
        array([[0., 1., 0., 0.],
               [0., 0., 0., 1.]], dtype=float32)
    """

    def __init__(
        self,
        kinds: Sequence[str],
        n_bins: int = 48,
        min_count: int = 10,
        documents: Mapping[int, Documents] | None = None,
        dense: bool = True,
        shared: bool = False,
    ) -> None:
        self.kinds = tuple(check_choice("TableEncoder", "kind", kind, KINDS) for kind in kinds)
        self.n_bins = check_int("TableEncoder", "n_bins", n_bins, NON_NEGATIVE)
        self.min_count = check_int("TableEncoder", "min_count", min_count, AT_LEAST_ONE)
        self.documents = dict(documents or {})
        self.dense = check_bool("TableEncoder", "dense", dense)
        self.shared = check_bool("TableEncoder", "shared", shared)
        self._parts: list[Part] | None = None

    def fit(self, codes: Codes, y: object = None) -> TableEncoder:
        """Takes the statistics of training rows, (n, columns); errors as of :meth:`transform`."""
        codes = self._checked(codes)
        n_bins, for_each = self._dense_bins(len(codes)), self._cells_of(len(codes))
        parts: list[Part] = []
        for i, kind in enumerate(self.kinds):
            column = codes[:, i]
            if kind == "categorical":
                parts.append(CategoricalPart.fit(column, self.min_count))
            elif kind == "text":
                parts.append(TextPart.fit(column, of_column(self.documents, i), max(8 * for_each, 16), i))
            else:
                own = self.n_bins if kind == "numeric" and not self.dense else n_bins
                parts.append((NumericPart if kind == "numeric" else DatePart).fit(column, own))
        if self.shared:
            self._share_scale(parts, codes)
        self._parts = parts
        return self

    def _share_scale(self, parts: list[Part], codes: Codes) -> None:
        """Gives the parts of columns of one unit one scale."""
        unit = columns_of_one_unit(self.kinds, codes)
        if not unit:
            return
        centre, scale = shared_scale(codes, unit)
        for i in unit:
            part = parts[i]
            assert isinstance(part, NumericPart)
            parts[i] = replace(part, centre=centre, scale=scale)

    def bins_of(self, n_rows: int) -> int:
        """The bins of a numeric column that an encoder fitted on so many rows has: fewer where tables are large."""
        return self._dense_bins(n_rows) if self.dense else self.n_bins

    def _dense_bins(self, n_rows: int) -> int:
        numeric = self.kinds.count("numeric") + self.kinds.count("date")
        return max(min(self.n_bins, MOST_RAMPS // max(numeric, 1), self._cells_of(n_rows) - 2), 0)

    def _cells_of(self, n_rows: int) -> int:
        """The encoded cells that a numeric column may have in a row."""
        numeric = self.kinds.count("numeric") + self.kinds.count("date")
        return _MOST_CELLS // max(n_rows, 1) // max(numeric + 8 * self.kinds.count("text"), 1)

    def transform(self, codes: Codes, documents: Mapping[int, Documents] | None = None) -> NDArray[np.float32]:
        """The features of rows of codes, (n, :attr:`n_features`), finite if ``dense``.

        Args:
            codes: The rows, NaN where a cell is missing: a float64 array, or numbers of another form, such as lists.
            documents: The documents that the codes of text columns number; None for those of the encoder.

        Raises:
            ValueError: Before ``fit``, if the shape is another one, or if the code of a text has no document.
            TypeError: If the codes are not numbers.
        """
        parts = self._fitted()
        codes = self._checked(codes)
        if not self.dense and self.reads_numbers and codes.flags.f_contiguous:
            offsets = [part.offset for part in parts if isinstance(part, (NumericPart, CategoricalPart))]
            return _core.to_rows(codes.T, np.array(offsets, np.float64))
        documents = self.documents if documents is None else documents
        out = np.zeros((len(codes), self.n_features), np.float32)
        begin = 0
        for i, (part, width) in enumerate(zip(parts, self.widths, strict=True)):
            place = out[:, begin : begin + width]
            if isinstance(part, TextPart):
                part.encode(codes[:, i], place, of_column(documents, i), i)
            elif isinstance(part, (NumericPart, CategoricalPart)) and not self.dense:
                place[:, 0] = part.given(codes[:, i])
            else:
                part.encode(codes[:, i], place)
            begin += width
        return out

    @property
    def n_features(self) -> int:
        """Columns that :meth:`transform` gives."""
        return sum(self.widths)

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of columns that :meth:`transform` gives for each column, in order."""
        parts = self._fitted()
        if self.dense:
            return tuple(part.width for part in parts)
        return tuple(1 if isinstance(part, (NumericPart, CategoricalPart)) else part.width for part in parts)

    @property
    def inputs(self) -> tuple[TableEncoder, ...]:
        """The encoder of each input of a network that reads what this one gives: itself."""
        return (self,)

    @property
    def dense_width(self) -> int:
        """The number of features: :attr:`n_features` if ``dense``, and the rows of a TableInput's kernel."""
        return sum(part.width for part in self._fitted())

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the columns are for a :class:`fastreg.layers.TableInput`, whose input is that of ``dense=False``."""
        return tuple(
            part.column if isinstance(part, (NumericPart, CategoricalPart)) else PlainColumn(part.width)
            for part in self._fitted()
            if part.width > 0
        )

    @property
    def reads_numbers(self) -> bool:
        """Whether all columns are numbers or levels, so that a row of codes is all that is needed to encode it."""
        return all(isinstance(part, (NumericPart, CategoricalPart)) for part in self._fitted())

    @property
    def raw_columns(self) -> tuple[tuple[Column, float], ...]:
        """For each column, if all :attr:`reads_numbers`: what it is, and the offset of its codes if not ``dense``."""
        parts = [part for part in self._fitted() if isinstance(part, (NumericPart, CategoricalPart))]
        return tuple((part.raw_column, part.offset) for part in parts)

    def with_dense(self, dense: bool) -> TableEncoder:
        """The same encoder, fitted as this one is, with another value of ``dense``."""
        found = self._renewed(self.documents, dense)
        found._parts = self._parts
        return found

    def without_documents(self) -> TableEncoder:
        """The same encoder without the texts that it was fitted on."""
        found = self._renewed(None, self.dense)
        found._parts = self._parts
        return found

    def _renewed(self, documents: Mapping[int, Documents] | None, dense: bool) -> TableEncoder:
        """An encoder like this one that is not fitted."""
        return TableEncoder(self.kinds, self.n_bins, self.min_count, documents, dense, self.shared)

    def check_levels(self, counts: Sequence[int]) -> None:
        """Raises ValueError if a categorical column has levels beyond the given number of levels of each column."""
        for part, count in zip(self._fitted(), counts, strict=True):
            if isinstance(part, CategoricalPart) and any(level >= count for level in part.levels):
                raise ValueError(f"the encoder has levels that the column lacks, which has {count}")

    def to_config(self) -> dict[str, Any]:
        """The JSON form, statistics included."""
        parts = [part.to_config() for part in self._fitted()]
        config = {"kinds": list(self.kinds), "n_bins": self.n_bins, "min_count": self.min_count, "parts": parts}
        return config | ({} if self.dense else {"dense": False}) | ({"shared": True} if self.shared else {})

    @classmethod
    def from_config(cls, config: Any) -> TableEncoder:
        """The fitted encoder of a JSON form, also of the earlier one. Raises ValueError if it is none."""
        config = members(config, "encoder", "kinds", "categorical", "n_bins", "min_count", "parts", "dense", "shared")
        if "kinds" in config:
            kinds = strings(config["kinds"], "kinds")
        else:
            flags = [typed(value, bool, "categorical") for value in typed(config.get("categorical"), list, "list")]
            kinds = tuple("categorical" if flag else "numeric" for flag in flags)
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise ValueError(f"the kind of a column must be one of {', '.join(KINDS)}, got {unknown[0]!r}")
        n_bins = whole(config.get("n_bins", 48), "n_bins", 0, _MOST)
        dense = typed(config.get("dense", True), bool, "dense")
        shared = typed(config.get("shared", False), bool, "shared")
        encoder = cls(kinds, n_bins, whole(config.get("min_count", 10), "min_count", 1, _MOST), None, dense, shared)
        parts = typed(config.get("parts"), list, "parts")
        if len(parts) != len(kinds):
            raise ValueError(f"the encoder has {len(kinds)} columns and statistics of {len(parts)}")
        encoder._parts = [_PARTS[kind].from_config(part) for kind, part in zip(kinds, parts, strict=True)]
        return encoder

    def _fitted(self) -> list[Part]:
        if self._parts is None:
            raise ValueError("TableEncoder: not fitted; call fit first")
        return self._parts

    def _checked(self, codes: Any) -> Codes:
        """The codes as float64; they are not copied if they are already."""
        found: Codes = np.asarray(numeric(codes, "codes"), np.float64)
        if found.ndim != 2 or found.shape[1] != len(self.kinds):
            raise ValueError(f"TableEncoder: codes must have shape (n, {len(self.kinds)}), got {found.shape}")
        return found


def of_column(documents: Mapping[int, Documents], column: int) -> Documents:
    """The documents of a column of texts."""
    if column not in documents:
        raise ValueError(
            f"documents: column {column} of the table holds texts, but has no documents; Schema.documents gives them"
        )
    return documents[column]
