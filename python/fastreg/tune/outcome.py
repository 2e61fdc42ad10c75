"""The result of ``fastreg tune``: the model, its scores beside those of simpler models, and how rows were used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg.diagnosis.importance import Importance
from fastreg.table.blending import Blend
from fastreg.table.dictionary import DataDictionary
from fastreg.table.intervals import IntervalScores
from fastreg.table.model import TableModel
from fastreg.tune.scores import Scores

__all__ = ["Contender", "RowCounts", "TuneResult"]


@dataclass(frozen=True)
class Contender:
    """A model with its scores on the rows that were held back."""

    name: str
    scores: Scores


@dataclass(frozen=True)
class RowCounts:
    """How the rows of the table were used.

    Attributes:
        train: Rows to learn from.
        test: Rows that were held back and scored.
        left_out: Rows of either kind without a known target.
        how: How the rows to hold back were chosen, in words.
    """

    train: int
    test: int
    left_out: int
    how: str


@dataclass(frozen=True)
class TuneResult:
    """What a search for a network found.

    Attributes:
        model: The best model.
        contenders: That model, then those it is compared with, scored on the same rows.
        train_scores: The model's scores on rows that it learned from.
        outputs: Of the scored rows, for classes the probabilities, (rows, classes); else the predictions, (rows,).
        truth: Of the scored rows, for classes the index, -1 for one that the training rows lack; else the target.
        rows: How rows were used.
        search: What was tried and blended; None if no network was found, so that the model is the linear one.
        stopped_by: What ended the search.
        dictionary: What each column was taken for.
        importance: The importance of the columns, if it was computed.
        advice: What to do next, in sentences.
        intervals: How good the intervals are; None without intervals, or if the rows are too few to tell.
    """

    model: TableModel
    contenders: tuple[Contender, ...]
    train_scores: Scores
    outputs: NDArray[np.float32]
    truth: NDArray[Any]
    rows: RowCounts
    search: Blend | None
    stopped_by: str
    dictionary: DataDictionary
    importance: Importance | None = None
    advice: tuple[str, ...] = ()
    intervals: IntervalScores | None = None

    @property
    def scores(self) -> Scores:
        """The scores of the model on the rows that were held back."""
        return self.contenders[0].scores

    @property
    def is_network(self) -> bool:
        """Whether networks were found, and the model is not the linear one for want of them."""
        return self.search is not None
