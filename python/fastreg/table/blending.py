"""Blends the candidates that were judged: picks them greedily, trains them again on all rows, and joins them in one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastreg import layers
from fastreg.internal.whole_files import FilePath
from fastreg.model.core import core_of
from fastreg.model.model import Model
from fastreg.search.found.ensemble import greedy
from fastreg.search.found.results import Trial
from fastreg.table.calibrating import Calibration, calibration
from fastreg.table.candidates import Candidate
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.encoder import TableEncoder
from fastreg.table.fold_journal import FoldJournal
from fastreg.table.judging import Judged, Judging, Verdict
from fastreg.table.members import Members
from fastreg.table.model import TableModel
from fastreg.table.recipe import Recipe
from fastreg.table.schema import Schema
from fastreg.table.target import Target
from fastreg.table.training import TrainingRows, key_of

__all__ = ["Blend", "BlendMember", "cook"]


@dataclass(frozen=True)
class BlendMember:
    """A network of a blend.

    Attributes:
        number: The number of the candidate among the trials.
        candidate: How it was trained on all rows.
        weight: Its share of the mean.
        score: The deciding metric for rows that it was not trained on.
    """

    number: int
    candidate: Candidate
    weight: float
    score: float


@dataclass(frozen=True)
class Blend:
    """The result of a recipe.

    Attributes:
        model: One network, or the graph of all members, whose output is their mean.
        encoders: The encoder of each input of the model.
        members_: The members, in the order in which the greedy selection picked them.
        trials_: What was tried, as the trials of a search; number 0 is the linear model.
        metric_: The name of the deciding metric, and
        direction_: "min" or "max".
        score_: The deciding metric of the blend for rows that its members were not trained on; these chose the members,
            so it is somewhat too good. It is that of the probabilities before calibration.
        limits: The range of the training targets, to which predictions are limited; None for classes.
        calibration: How probabilities are calibrated, and why so.
        stopped_by: "trials", "gain" (nothing improved any more), "time" or "interrupt".
        n_splits: The folds; 1 is a part that was held out.
        seconds_: The seconds of everything.
        seed_: The seed.
        alike_: The correlation of the linear model's errors for neighbouring rows, if the order of the rows matters
            and nothing says that new rows come later or are of other groups; otherwise 0.
    """

    model: Any
    encoders: tuple[TableEncoder, ...]
    members_: tuple[BlendMember, ...]
    trials_: tuple[Trial, ...]
    metric_: str
    direction_: str
    score_: float
    limits: tuple[float, float] | None
    calibration: Calibration
    stopped_by: str
    n_splits: int
    seconds_: float
    seed_: int
    alike_: float = 0.0

    @property
    def temperature(self) -> float:
        """The temperature of the probabilities; 1 for numbers, and where isotonic curves calibrate."""
        return self.calibration.temperature

    @property
    def n_trials_(self) -> int:
        """The networks that were tried, without the linear model."""
        return sum(trial.number > 0 for trial in self.trials_)

    @property
    def best_trial_(self) -> Trial:
        """The best single candidate."""
        return next(trial for trial in self.trials_ if trial.number == self.members_[0].number)

    @property
    def best_score_(self) -> float:
        """Its score."""
        return self.best_trial_.score

    @property
    def best_params_(self) -> dict[str, Any]:
        """Its parameters."""
        return self.best_trial_.params

    def of_table(self, schema: Schema, target: Target) -> TableModel:
        """The model of raw tables."""
        members = tuple(f"{member.weight:.4g} of {member.candidate}" for member in self.members_)
        made = TableModel(schema, self.encoders, self.model, target, self.limits, self.temperature, members)
        return replace(made, isotonic=self.calibration.isotonic)


def cook(
    rows: TrainingRows,
    recipe: Recipe,
    chosen: ChosenMetric,
    seed: int,
    jobs: int = -1,
    seconds: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
    journal: FilePath | None = None,
    resume: bool = False,
) -> Blend | str:
    """The blend that a recipe makes of a table, or what ended the search before a network was found.

    Args:
        rows: The table.
        recipe: The recipe.
        chosen: The metric that decides.
        seed: The seed of everything that is drawn.
        jobs: The number of networks that are trained at the same time; -1 means one for each thread of fastreg.
        seconds: For everything; None for no limit, then the result depends on the seed alone.
        tell: Is given lines on the progress.
        journal: A file that gets a line for every fold of a candidate; None writes none.
        resume: Whether to go on from the journal, if there is one.

    Raises:
        ValueError: If the journal exists and ``resume`` is not set, is of another search, or is damaged.
        RuntimeError: If another search is writing the journal.
        OSError: If the journal cannot be read or written.
    """
    begun = time.monotonic()
    deadline = None if seconds is None else begun + seconds
    with Judging(rows, recipe, chosen, seed, jobs, seconds, tell, FoldJournal(journal, resume)) as judging:
        judged = judging.run()
        if not any(verdict.candidate.layers for verdict in judged.best):
            _tell_why(judged, tell)
            return judged.stopped_by
        truth = _Truth.of(rows, judged)
        picked = _picked(chosen, judged.best, truth, recipe, 1 if judged.stopped_by == "interrupt" else None)
        order = list(dict.fromkeys(picked))
        if judged.stopped_by == "interrupt":
            tell("the best network so far is trained on all rows; Ctrl-C again ends it")
        else:
            tell(f"{len(order)} of {len(judged.verdicts)} candidates are trained on all rows")
        judging.rest()
        workers = 1 if recipe.members == 1 else jobs
        members = Members(rows, judged.forecast, seed, workers, deadline, partial(_loss_of_all, rows, chosen))
        members.train([judged.best[i] for i in order])
        while deadline is not None and (further := judging.more()) is not None:
            judged = further
            if judged.stopped_by == "interrupt":
                break
            picked = _picked(chosen, judged.best, truth, recipe)
            judging.rest()
            members.train([judged.best[i] for i in dict.fromkeys(picked)])
    return _joined(rows, chosen, judged, members, recipe, seed, truth, time.monotonic() - begun)


def _tell_why(judged: Judged, tell: Callable[[str], None]) -> None:
    """Tells why there is no network, unless the time was too short or the search was interrupted."""
    networks = [verdict for verdict in judged.verdicts if verdict.candidate.layers]
    failed = [verdict.error for verdict in networks if verdict.error is not None]
    if failed and judged.stopped_by != "interrupt":
        tell(f"no network could be trained: {failed[0]}")
    elif not networks and judged.stopped_by in ("trials", "gain"):
        tell("no candidate of the recipe has a hidden layer")


class _Truth(NamedTuple):
    """The targets of the rows that candidates were judged by, their weights, and their groups."""

    y: NDArray[Any]
    weights: NDArray[Any] | None
    groups: NDArray[Any] | None

    @classmethod
    def of(cls, rows: TrainingRows, judged: Judged) -> _Truth:
        weights = None if rows.weights is None else rows.weights[judged.scored]
        groups = None if rows.groups is None else rows.groups[judged.scored]
        return cls(rows.y[judged.scored], None if weights is None or not weights.any() else weights, groups)


def _picked(
    chosen: ChosenMetric, verdicts: Sequence[Verdict], truth: _Truth, recipe: Recipe, most: int | None = None
) -> list[int]:
    """The places of the verdicts of which the best blend consists, in the order in which they were picked."""
    parts = np.stack([_parts(chosen, verdict, truth.y) for verdict in verdicts])
    scored = truth.y, truth.weights
    picked, _, _ = greedy(parts, recipe.picks, lambda mean: -chosen.loss(mean, *scored), most or recipe.members)
    return picked


def _parts(chosen: ChosenMetric, verdict: Verdict, truth: NDArray[Any]) -> NDArray[np.float64]:
    assert verdict.outputs is not None
    return chosen.parts(verdict.outputs, truth).astype(np.float64)


def _loss_of_all(rows: TrainingRows, chosen: ChosenMetric, outputs: NDArray[np.float32]) -> float:
    """The loss of outputs for all rows."""
    weights = None if rows.weights is None or not rows.weights.any() else rows.weights
    return chosen.loss(chosen.parts(outputs, rows.y).astype(np.float64), rows.y, weights)


def _joined(
    rows: TrainingRows,
    chosen: ChosenMetric,
    judged: Judged,
    members: Members,
    recipe: Recipe,
    seed: int,
    truth: _Truth,
    seconds: float,
) -> Blend:
    """The best blend of what was trained on all rows."""
    there = [verdict for verdict in judged.best if verdict.number in members.trained]
    picked = _picked(chosen, there, truth, recipe)
    order = [there[i] for i in dict.fromkeys(picked)]
    shares = [picked.count(there.index(verdict)) for verdict in order]
    made, total = [members.trained[verdict.number] for verdict in order], len(picked)
    kept = [verdict.outputs for verdict in order if verdict.outputs is not None]
    mean = np.sum([outputs * (share / total) for outputs, share in zip(kept, shares, strict=True)], axis=0)
    loss = chosen.loss(chosen.parts(mean, truth.y).astype(np.float64), truth.y, truth.weights)
    is_number = rows.target.labels is None
    # Encoders with one key are equal, since all are fitted on all rows.
    read = [member.encoder.inputs for member in made]
    encoders = {key_of(encoder): encoder for inputs in read for encoder in inputs}
    places = [[list(encoders).index(key_of(encoder)) for encoder in inputs] for inputs in read]
    told = tuple(
        BlendMember(verdict.number, member.verdict.candidate, share / total, chosen.shown_loss(verdict.loss))
        for verdict, member, share in zip(order, made, shares, strict=True)
    )
    return Blend(
        model=join([member.model for member in made], places, shares, seed),
        encoders=tuple(encoder.without_documents() for encoder in encoders.values()),
        members_=told,
        trials_=tuple(verdict.trial(chosen) for verdict in judged.verdicts),
        metric_=chosen.title,
        direction_="max" if chosen.sign < 0.0 else "min",
        score_=chosen.shown_loss(loss),
        limits=(float(rows.y.min()), float(rows.y.max())) if is_number else None,
        calibration=Calibration() if is_number else calibration(mean, *truth),
        stopped_by=judged.stopped_by,
        n_splits=max(len(verdict.seconds) for verdict in judged.verdicts),
        seconds_=seconds,
        seed_=seed,
        alike_=judged.alike,
    )


def join(models: Sequence[Any], places: Sequence[int | Sequence[int]], counts: Sequence[int], seed: int) -> Any:
    """One network whose output is the weighted mean of several.

    Args:
        models: The networks.
        places: For each the number of its input, or those of its inputs; networks with one encoder share an input.
        counts: The weights, whole numbers.
        seed: The seed of the network.
    """
    if len(models) == 1:
        return models[0]
    common = reduce(gcd, counts)
    networks = [core_of(model).require_network("join") for model in models]
    read = [[place] if isinstance(place, int) else list(place) for place in places]
    pairs = zip(read, networks, strict=True)
    widths = {place: width for own, one in pairs for place, width in zip(own, one.input_widths, strict=True)}
    inputs = [layers.Input((widths[place],)) for place in sorted(widths)]
    given = [[inputs[place] for place in own] for own in read]
    outputs = [model(own if len(own) > 1 else own[0]) for own, model in zip(given, models, strict=True)]
    repeated = [output for output, count in zip(outputs, counts, strict=True) for _ in range(count // common)]
    return Model(inputs if len(inputs) > 1 else inputs[0], layers.Average()(repeated), seed=seed)
