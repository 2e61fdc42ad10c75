r"""Sentences as features: words and pairs of neighbouring words, weighted by TF-IDF, and a few measures of style.

The words are in the model file as plain text. A library's vectoriser would tie the file to that library and its
version; hashed words would be unreadable and could collide.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.table.checked import finite, members, strings, typed

__all__ = ["Documents", "TextPart", "words_of"]

# Features of a column of sentences at most, and rows that a word needs.
_MOST_WORDS, _LEAST_ROWS = 2000, 2
# The length of a row of word features: that of as many features of size 1 as a sentence has words that matter.
_LENGTH = 4.0
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[£$€!?%]", re.UNICODE)
_LONGEST = 40


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, and pairs of neighbours. A number is known by its count of digits.

    Example:
        >>> from fastreg.table.texts import words_of
        >>> words_of("Call 0800 now!")
        ['call', '#4', 'now', '!', 'call #4', '#4 now', 'now !']
    """
    found = [word if not word.isdecimal() else f"#{len(word)}" for word in _WORD.findall(text.lower())]
    found = [word[:_LONGEST] for word in found]
    return found + [f"{a} {b}" for a, b in itertools.pairwise(found)]


def _style(text: str) -> tuple[float, float, float, float]:
    """Measures of style: the logarithm of the length, and the shares of digits, capitals and punctuation."""
    n = len(text) or 1
    letters = sum(map(str.isalpha, text))
    digits = sum(map(str.isdecimal, text))
    spaces = sum(map(str.isspace, text))
    capitals = sum(map(str.isupper, text))
    return float(np.log1p(len(text))), digits / n, capitals / n, (n - letters - digits - spaces) / n


# What a text that is missing has.
_NO_STYLE = _style("")


class Documents:
    """The texts of one column, divided into words once: rows of word numbers and counts.

    Copies are the object itself, as it never changes.
    """

    def __init__(self, texts: Sequence[str | None]) -> None:
        numbers: dict[str, int] = {}
        ids: list[int] = []
        counts: list[int] = []
        starts = np.zeros(len(texts) + 1, np.int64)
        for row, text in enumerate(texts):
            found: dict[int, int] = {}
            for word in words_of(text) if text else ():
                number = numbers.setdefault(word, len(numbers))
                found[number] = found.get(number, 0) + 1
            ids += found
            counts += found.values()
            starts[row + 1] = len(ids)
        self.words = list(numbers)
        self.ids, self.counts, self.starts = np.array(ids, np.int64), np.array(counts, np.float64), starts
        self.style = np.array([_style(text or "") for text in texts], np.float64).reshape(len(texts), 4)
        self.missing = np.array([text is None for text in texts], np.bool_)

    def __deepcopy__(self, memo: object) -> Documents:
        return self

    def rows_of(self, codes: NDArray[Any], column: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of the codes that are not missing, and the documents that they number.

        Args:
            codes: Numbers of documents, NaN where a text is missing.
            column: The number of the column, for the error.

        Raises:
            ValueError: If a code is another number.
        """
        places = np.flatnonzero(~np.isnan(codes))
        known, count = codes[places], len(self.missing)
        wrong = ~((known >= 0) & (known < count) & (np.floor(known) == known))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise ValueError(
                f"codes: column {column} holds texts, so its codes must be NaN or whole numbers in [0, {count}), the "
                f"numbers of its documents; got {float(known[first])!r} in row {int(places[first])}"
            )
        return places, known.astype(np.int64)

    def entries(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """For each word of each of the rows: the place of the row among them, the number of the word, its count."""
        lengths = np.diff(self.starts)[rows]
        places = np.repeat(np.arange(len(rows)), lengths)
        offsets = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = np.repeat(self.starts[rows], lengths) + offsets
        return places, self.ids[at], self.counts[at]


def _damped(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 + log(count), by a table: a vectorised logarithm might depend on the place of a value among others."""
    table = [0.0, *(1.0 + math.log(count) for count in range(1, int(counts.max()) + 1))]
    return np.array(table)[counts.astype(np.int64)]


@dataclass(frozen=True)
class TextPart:
    r"""The encoding of a column of sentences.

    A word with count :math:`c` in a row, that :math:`d` of :math:`n` training rows have, has the weight

    .. math:: w = (1 + \log c) \left(\log \frac{1 + n}{1 + d} + 1\right),

    and each row of weights is scaled to one length. The words are those that most training rows have. Four more
    features are standardised measures of style, and the last is 1 where there is no text.

    Attributes:
        words: The words, each a feature.
        weights: The second factor of each word.
        means: Means of the measures of style.
        scales: Their inverse deviations.
    """

    words: tuple[str, ...]
    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]

    @classmethod
    def fit(
        cls, codes: NDArray[np.float64], documents: Documents, most: int = _MOST_WORDS, column: int = 0
    ) -> TextPart:
        """Takes the statistics of training rows, which are numbers of documents, NaN where there is none."""
        there, rows = documents.rows_of(codes, column)
        _, ids, _ = documents.entries(rows)
        frequencies = np.bincount(ids, minlength=len(documents.words))
        common: list[int] = np.flatnonzero(frequencies >= _LEAST_ROWS).tolist()
        common.sort(key=lambda i: (-int(frequencies[i]), documents.words[i]))
        kept = sorted(common[: min(most, _MOST_WORDS)], key=lambda i: documents.words[i])
        weights = np.log((1 + len(codes)) / (1 + frequencies[kept])) + 1.0 if kept else np.empty(0)
        style = np.tile(_NO_STYLE, (len(codes), 1))
        style[there] = documents.style[rows]
        deviations = style.std(axis=0)
        scales = np.where(deviations > 1e-9, 1.0 / np.maximum(deviations, 1e-9), 0.0)
        words = tuple(documents.words[i] for i in kept)
        return cls(words, tuple(weights.tolist()), tuple(style.mean(axis=0).tolist()), tuple(scales.tolist()))

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.words) + 5

    def encode(
        self, codes: NDArray[np.float64], out: NDArray[np.float32], documents: Documents, column: int = 0
    ) -> None:
        """Writes the features of rows, which are numbers of documents, NaN where there is none, to ``out`` of zeros.

        A code that numbers no document is a ValueError that names the column.
        """
        there, rows = documents.rows_of(codes, column)
        index = {word: i for i, word in enumerate(self.words)}
        columns = np.array([index.get(word, -1) for word in documents.words], np.int64)
        places, ids, counts = documents.entries(rows)
        columns = columns[ids] if len(ids) else np.empty(0, np.int64)
        known = columns >= 0
        places, columns, counts = there[places[known]], columns[known], counts[known]
        values = _damped(counts) * np.array(self.weights)[columns] if len(counts) else np.empty(0)
        # Sums run over the words of a row in a fixed order, whatever rows are beside it.
        order = np.lexsort((columns, places))
        places, columns, values = places[order], columns[order], values[order]
        squares = np.bincount(places, values * values, minlength=len(codes))
        lengths = np.sqrt(np.maximum(squares, 1e-300))
        out[places, columns] = _LENGTH * values / lengths[places]
        n = len(self.words)
        style, missing = np.tile(_NO_STYLE, (len(codes), 1)), np.ones(len(codes), np.bool_)
        style[there], missing[there] = documents.style[rows], documents.missing[rows]
        out[:, n : n + 4] = np.clip((style - self.means) * self.scales, -8.0, 8.0)
        out[:, n + 4] = missing

    def to_config(self) -> dict[str, Any]:
        """The JSON form."""
        names = ("words", "weights", "means", "scales")
        return {name: list(getattr(self, name)) for name in names}

    @classmethod
    def from_config(cls, config: Any) -> TextPart:
        """The part of a JSON form. Raises ValueError if it is none."""
        config = members(config, "statistics", "words", "weights", "means", "scales")
        words = strings(config.get("words"), "words")
        weights, means, scales = (
            tuple(finite(value, name, 1e9) for value in typed(config.get(name), list, name))
            for name in ("weights", "means", "scales")
        )
        if len(set(words)) < len(words) or len(weights) != len(words) or (len(means), len(scales)) != (4, 4):
            raise ValueError("the words of a text column must be different and have a weight each")
        return cls(words, weights, means, scales)
