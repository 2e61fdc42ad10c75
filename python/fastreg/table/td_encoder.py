"""The encoder of RealMLP-TD: numbers, features that are taken as they are, and codes, each for an input of its own.

``realmlp_td.py`` has the network. The features are those of the published code. The encoder of an input is a
:class:`TableEncoder` to all that a model consists of; columns that it does not read have no features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.calendar_parts import DatePart
from fastreg.table.checked import members, strings, typed
from fastreg.table.encoder import Codes, Part, TableEncoder, of_column
from fastreg.table.kinds import KINDS
from fastreg.table.number_parts import NumericPart
from fastreg.table.realmlp_td import LARGEST_ONE_HOT, Widths
from fastreg.table.td_parts import MOST_CODES, CodePart, GapPart, LevelsPart, NoPart
from fastreg.table.texts import Documents, TextPart

__all__ = ["InputEncoder", "TdEncoder", "encoder_of"]

# What the inputs of a network read, in their order.
_INPUTS = ("numbers", "indicators", "codes")
# The part of a column that an input reads, by its kind.
_READ: Mapping[str, Mapping[str, type[Any]]] = {
    "numbers": {"numeric": NumericPart},
    "indicators": {"numeric": GapPart, "categorical": LevelsPart, "date": DatePart, "text": TextPart},
    "codes": {"categorical": CodePart},
}


class InputEncoder(TableEncoder):
    """Encodes what one input of RealMLP-TD reads.

    Args:
        kinds: The kind of each column of the codes.
        reads: "numbers": the columns of numbers, scaled and softly limited, 0 where they are missing; "indicators": a
            feature that marks missing numbers for each column that has some, one for each level of a column of at most
            eight levels, or one for both of two levels, and the features of dates and texts; "codes": the number of the
            level of each other column of levels.
        documents: The documents of each text column, by its number.
    """

    def __init__(self, kinds: Sequence[str], reads: str, documents: Mapping[int, Documents] | None = None) -> None:
        super().__init__(kinds, 0, 1, documents)
        self.reads = reads

    def fit(self, codes: Codes, y: object = None) -> InputEncoder:
        """Takes the statistics of training rows, (n, columns).

        Raises:
            ValueError: If the shape is another one, or there are more than 2**24 levels in all.
            TypeError: If the codes are not numbers.
        """
        codes = self._checked(codes)
        parts: list[Part] = []
        first = 0
        for i, kind in enumerate(self.kinds):
            part = self._part(i, kind, codes, first)
            parts.append(part)
            if isinstance(part, CodePart):
                first = part.end
        if first > MOST_CODES:
            raise ValueError(f"the table must have at most 2**24 levels in all, got {first}")
        self._parts = parts
        return self

    def _part(self, i: int, kind: str, codes: Codes, first: int) -> Part:
        """The part of a column, whose codes begin with ``first`` if it has codes."""
        column = codes[:, i]
        if self.reads == "numbers":
            return replace(NumericPart.fit(column, 0), missing=False) if kind == "numeric" else NoPart()
        if kind == "categorical":
            known = column[~np.isnan(column)]
            if (self.reads == "codes") != (len(np.unique(known)) > LARGEST_ONE_HOT):
                return NoPart()
            return CodePart.fit(column, first) if self.reads == "codes" else LevelsPart.fit(column)
        if self.reads == "codes":
            return NoPart()
        if kind == "numeric":
            gaps = int(np.isnan(column).sum())
            return GapPart() if 0 < gaps < len(column) else NoPart()
        if kind == "date":
            return DatePart.fit(column, 0)
        words = max(8 * self._cells_of(len(codes)), 16)
        return TextPart.fit(column, of_column(self.documents, i), words, i)

    @property
    def code_count(self) -> int:
        """The number of codes of all columns."""
        return max((part.end for part in self._fitted() if isinstance(part, CodePart)), default=0)

    def check_levels(self, counts: Sequence[int]) -> None:
        """Raises ValueError if a column has levels beyond the given number of levels of each column."""
        for part, count in zip(self._fitted(), counts, strict=True):
            if isinstance(part, (LevelsPart, CodePart)) and any(level >= count for level in part.levels):
                raise ValueError(f"the encoder has levels that the column lacks, which has {count}")

    def to_config(self) -> dict[str, Any]:
        """The JSON form, statistics included."""
        parts = [part.to_config() for part in self._fitted()]
        return {"kinds": list(self.kinds), "reads": self.reads, "parts": parts}

    @classmethod
    def from_config(cls, config: Any) -> InputEncoder:
        """The fitted encoder of a JSON form. Raises ValueError if it is none."""
        config = members(config, "encoder", "kinds", "reads", "parts")
        kinds, reads = strings(config.get("kinds"), "kinds"), typed(config.get("reads"), str, "reads")
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise ValueError(f"the kind of a column must be one of {', '.join(KINDS)}, got {unknown[0]!r}")
        if reads not in _INPUTS:
            raise ValueError(f"reads must be one of {', '.join(_INPUTS)}, got {reads!r}")
        parts = typed(config.get("parts"), list, "parts")
        if len(parts) != len(kinds):
            raise ValueError(f"the encoder has {len(kinds)} columns and statistics of {len(parts)}")
        encoder = cls(kinds, reads)
        encoder._parts = [_part_of(kind, reads, part) for kind, part in zip(kinds, parts, strict=True)]
        return encoder

    def _renewed(self, documents: Mapping[int, Documents] | None, dense: bool) -> InputEncoder:
        if not dense:
            raise ValueError("InputEncoder: dense must be True, got False")
        return InputEncoder(self.kinds, self.reads, documents)


class TdEncoder:
    """The encoders of all inputs of RealMLP-TD; an input without a feature is left out.

    Args:
        kinds: The kind of each column of the codes.
        documents: The documents of each text column, by its number.

    Attributes:
        inputs: The fitted encoders.
    """

    # What tells it apart from encoders with bins, and what it is for a forecast.
    n_bins, dense, shared = 0, True, False

    def __init__(self, kinds: Sequence[str], documents: Mapping[int, Documents] | None = None) -> None:
        self._all = tuple(InputEncoder(kinds, reads, documents) for reads in _INPUTS)
        self.inputs: tuple[InputEncoder, ...] = ()

    def fit(self, codes: Codes, y: object = None) -> TdEncoder:
        """Takes the statistics of training rows; errors as of :meth:`InputEncoder.fit`."""
        fitted = [encoder.fit(codes) for encoder in self._all]
        self.inputs = tuple(encoder for encoder in fitted if encoder.n_features)
        return self

    def transform(self, codes: Codes) -> list[NDArray[np.float32]]:
        """The features of rows for each input; errors as of :meth:`TableEncoder.transform`."""
        return [encoder.transform(codes) for encoder in self.inputs]

    @property
    def widths(self) -> Widths:
        """What the network reads."""
        found = {encoder.reads: encoder for encoder in self.inputs}
        numbers, indicators, codes = (found[reads].n_features if reads in found else 0 for reads in _INPUTS)
        return Widths(numbers, indicators, codes, found["codes"].code_count if codes else 0)

    @property
    def n_features(self) -> int:
        """The features of all inputs."""
        return sum(encoder.n_features for encoder in self.inputs)

    @property
    def dense_width(self) -> int:
        """The number of values that the first hidden layer reads."""
        return self.widths.features


def encoder_of(config: Any) -> TableEncoder:
    """The encoder of a JSON form, of either kind. Raises ValueError if it is none."""
    if isinstance(config, Mapping) and "reads" in config:
        return InputEncoder.from_config(config)
    return TableEncoder.from_config(config)


def _part_of(kind: str, reads: str, config: Any) -> Part:
    """The part of a column in a file."""
    if config == {}:
        return NoPart()
    if kind not in _READ[reads]:
        raise ValueError(f"a column of kind {kind!r} must have no statistics for {reads}")
    found: Part = _READ[reads][kind].from_config(config)
    return found
