"""The journal of a recipe: what each fold of each candidate gave, from which a killed search continues.

It is a journal of a search (``search/journal.py``) whose lines have one field more: the outputs for the rows that the
fold was judged by, from which the blend is chosen. The numbers of candidates are their places among all proposals, so
they do not depend on the time that there was. Training again on all rows is not recorded, since it is repeated exactly.
"""

from __future__ import annotations

import base64
import math
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import fsdecode
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastreg.internal.other_places import elsewhere
from fastreg.internal.whole_files import FilePath
from fastreg.runtime import get_matmul_precision
from fastreg.search.journal import Journal
from fastreg.search.values import fingerprint
from fastreg.table.candidates import Candidate
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.recipe import Recipe
from fastreg.table.training import TrainingRows, task_of

__all__ = ["FoldJournal", "FoldOutcome", "header"]

# The space of a search that has no parameters: candidates come from the recipe.
_NO_SPACE: dict[str, Any] = {"alternatives": [{}], "constraint": None}
_FLOAT = np.dtype("<f4")

Record = Mapping[str, Any]


class FoldOutcome(NamedTuple):
    """What a fold of a candidate gave.

    Attributes:
        state: "ok", "diverged" or "stopped".
        outputs: For the rows that it was judged by, (n, units), in state "ok".
        seconds: The seconds of training and scoring.
        error: What went wrong.
        best: The part of the training that the outputs are of, counted from 1, and the number of parts; None if they
            are of the end, since parts were not judged.
    """

    state: str
    outputs: NDArray[np.float32] | None
    seconds: float
    error: str | None = None
    best: tuple[int, int] | None = None


def header(
    rows: TrainingRows,
    recipe: Recipe,
    chosen: ChosenMetric,
    seed: int,
    folds: Sequence[tuple[NDArray[Any], NDArray[Any]]],
) -> dict[str, Any]:
    """All that the candidates and their outputs depend on. Limits of a recipe are not among it: they may be raised."""
    precision = get_matmul_precision()
    given = len(rows.y), task_of(rows.target), rows.one_unit > 0
    documents = [part for d in rows.documents.values() for part in (d.ids, d.counts, d.starts, d.words, d.style)]
    return {
        "seed": seed,
        "space": _NO_SPACE,
        "folds": {"number": len(folds), "rows": fingerprint(*(part for fold in folds for part in fold))},
        "data": {
            "x": fingerprint(rows.codes, *documents),
            "y": fingerprint(rows.y),
            "weights": fingerprint(rows.weights),
            "kinds": list(rows.kinds),
        },
        "target": {"task": rows.target.task, "scale": rows.target.scale, "mean": rows.target.mean},
        "metric": chosen.title,
        "candidates": [candidate.params for candidate in recipe.listed(*given)],
        **({} if precision == "highest" else {"matmul_precision": precision}),
    }


class FoldJournal:
    """A journal that is to be opened, or none, which knows nothing and writes nothing.

    Args:
        path: The file; None for no journal.
        resume: Whether to continue from an existing journal.
    """

    def __init__(self, path: FilePath | None, resume: bool) -> None:
        if resume and path is None:
            raise ValueError("recipe: resume=True needs the journal to go on from, got journal=None")
        self._path, self._resume = path, resume
        self._journal: Journal | None = None
        self._header: dict[str, Any] = {}
        self._has_ended = False
        self._known: dict[int, tuple[Candidate, int | None]] = {}

    @contextmanager
    def opened(self, header: Record) -> Iterator[None]:
        """Opens the journal; another search cannot write it meanwhile.

        Args:
            header: The description of the search, which that of an existing journal must be.

        Raises:
            ValueError: If there is a journal and ``resume`` is not set, it is of another search, or it is damaged.
            RuntimeError: If another search is writing it.
            OSError: If it cannot be opened or written.
        """
        if self._path is None:
            yield
            return
        self._header = dict(header)
        self._journal = Journal(self._path, self._header, resume=self._resume, widens=_never, check=self._take)
        try:
            yield
        finally:
            self._close(self._journal)

    def started(self, number: int, proposal: Candidate) -> Candidate | None:
        """A candidate as the journal has it, with fewer steps if there was no time for all; None if it has no fold."""
        if number not in self._known:
            return None
        steps = self._known[number][1]
        return proposal if steps is None else replace(proposal, steps=min(steps, proposal.steps))

    def proposal(self, number: int) -> Candidate | None:
        """The candidate that was proposed under a number; None if the journal has no fold of it."""
        return self._known[number][0] if number in self._known else None

    def find(
        self, number: int, fold: int, proposal: Candidate, trained: Candidate, shape: tuple[int, int]
    ) -> FoldOutcome | None:
        """The outcome of a fold, if the journal has it.

        Args:
            number: The number of the candidate.
            fold: The number of the fold.
            proposal: The candidate as it was proposed.
            trained: The candidate with the steps that there is time for.
            shape: That of the outputs.

        Raises:
            ValueError: If the journal has another candidate, or outputs of another size.
        """
        if self._journal is None:
            return None
        record = self._journal.find(number, fold, _stop(proposal, trained), proposal.params)
        if record is None:
            return None
        outputs = best = None
        if record["state"] == "ok":
            where = f"journal: {self._journal.path}, trial {number}"
            outputs, best = _decoded(record.get("outputs"), shape, where), _best(record, where)
        return FoldOutcome(record["state"], outputs, float(record["seconds"]), record["error"], best)

    def append(
        self, number: int, fold: int, proposal: Candidate, trained: Candidate, outcome: FoldOutcome, score: float
    ) -> None:
        """Writes a finished fold, with the value of the deciding metric. It is on the disk when this returns.

        If the file cannot be written, as on a full disk, the journal goes on elsewhere, or it ends. The search goes on,
        and a warning says so.
        """
        if self._journal is None or self._has_ended:
            return
        outputs = outcome.outputs
        best, parts = outcome.best or (None, 1)
        record = {
            "trial": number, "fold": fold, "stop": _stop(proposal, trained), "params": proposal.params,
            "state": outcome.state, "scores": {"loss": score} if math.isfinite(score) else {}, "train_scores": None,
            "epochs": parts, "best_epoch": best, "seconds": outcome.seconds, "score_seconds": 0.0,
            "history": None, "curve": None, "error": outcome.error,
            "outputs": None if outputs is None else base64.b64encode(outputs.astype(_FLOAT).tobytes()).decode(),
        }  # fmt: skip
        try:
            self._journal.append(record)
        except OSError as error:
            self._move(record, f"the journal cannot be written any more ({error})")

    def _move(self, record: dict[str, Any], why: str) -> None:
        """Goes on in a copy of the journal at another place, which begins with a further fold."""
        old = self._journal
        assert old is not None

        def copied(path: str) -> Journal:
            shutil.copyfile(old.path, path)
            journal = Journal(path, self._header, resume=True, widens=_never)
            try:
                journal.append(record)
            except BaseException:
                journal.close()
                raise
            return journal

        found = elsewhere(str(old.path), copied)
        if found is None:
            self._has_ended = True
            told = "and no other place has room: the search goes on without it"
        else:
            self._journal = found[1]  # before a warning, which may be an error: this one is closed at the end
            self._close(old)
            told = f"and goes on as {found[0]!r}, a whole journal from which a killed search can be resumed"
        warnings.warn(f"{why}, {told}", UserWarning, stacklevel=2)

    @staticmethod
    def _close(journal: Journal) -> None:
        """Closes a journal; what the system says against it must not end the search."""
        try:
            journal.close()
        except OSError as error:
            warnings.warn(f"the journal may not be whole ({error})", UserWarning, stacklevel=2)

    def _take(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            number = record["trial"]
            try:
                self._known[number] = Candidate(**record["params"]), record["stop"]
            except (TypeError, ValueError) as error:
                raise ValueError(f"journal: {fsdecode(self._path or '')}, trial {number}: {error}") from error


def _stop(proposal: Candidate, trained: Candidate) -> int | None:
    """The steps of a candidate that was cut; None if it was trained as proposed."""
    return None if trained.steps == proposal.steps else trained.steps


def _decoded(text: str | None, shape: tuple[int, int], where: str) -> NDArray[np.float32]:
    data = base64.b64decode(text or "")
    if len(data) != math.prod(shape) * _FLOAT.itemsize:
        raise ValueError(f"{where}: outputs must be {shape[0]} x {shape[1]} numbers, got {len(data)} bytes")
    return np.frombuffer(data, _FLOAT).reshape(shape).astype(np.float32)


def _best(record: Record, where: str) -> tuple[int, int] | None:
    """The best part of the training of a fold and the number of parts, if they were judged."""
    best, parts = record["best_epoch"], record["epochs"]
    if best is None:
        return None
    if not 1 <= best <= parts:
        raise ValueError(f"{where}: best_epoch must be in [1, {parts}], got {best}")
    return best, parts


def _never(space: object) -> bool:
    """No other space counts as narrower."""
    return False
