"""Blends the candidates that were judged: picks them greedily, trains them again on all rows, and joins them in one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import reduce
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastreg import _core, callbacks, layers
from fastreg.internal.whole_files import FilePath
from fastreg.model.model import Model
from fastreg.model.sequential import Sequential
from fastreg.runtime import thread_limit
from fastreg.search.found.ensemble import greedy
from fastreg.search.found.results import Trial
from fastreg.table.calibration import fit_temperature
from fastreg.table.candidates import Candidate
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.encoder import TableEncoder
from fastreg.table.fold_journal import FoldJournal
from fastreg.table.judging import Judged, Judging, Verdict, threads_of
from fastreg.table.model import TableModel
from fastreg.table.recipe import Recipe
from fastreg.table.schema import Schema
from fastreg.table.target import Target
from fastreg.table.training import Encoded, Features, TrainingRows, seed_of, train

__all__ = ["Blend", "BlendMember", "cook"]

# The number that stands for all rows in the seed of a network.
_ALL = 2**31 - 1
_LEAST_STEPS = 50


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
            so it is somewhat too good.
        limits: The range of the training targets, to which predictions are limited; None for classes.
        temperature: The temperature of the probabilities; 1 for numbers.
        stopped_by: "trials", "gain" (nothing improved any more), "time" or "interrupt".
        n_splits: The folds; 1 is a part that was held out.
        seconds_: The seconds of everything.
        seed_: The seed.
    """

    model: Any
    encoders: tuple[TableEncoder, ...]
    members_: tuple[BlendMember, ...]
    trials_: tuple[Trial, ...]
    metric_: str
    direction_: str
    score_: float
    limits: tuple[float, float] | None
    temperature: float
    stopped_by: str
    n_splits: int
    seconds_: float
    seed_: int

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
        return TableModel(schema, self.encoders, self.model, target, self.limits, self.temperature, members)


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
        jobs: Trainings at once; -1 for as many as there are threads.
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
    judged = Judging(rows, recipe, chosen, seed, jobs, seconds, tell, FoldJournal(journal, resume)).run()
    if not any(verdict.candidate.layers for verdict in judged.best):
        failed = [verdict for verdict in judged.verdicts if verdict.error is not None and verdict.candidate.layers]
        if failed and judged.stopped_by != "interrupt":
            tell(f"no network could be trained: {failed[0].error}")
        return judged.stopped_by
    truth = rows.y[judged.scored]
    weights = None if rows.weights is None else rows.weights[judged.scored]
    weights = None if weights is None or not weights.any() else weights
    parts = np.stack([_parts(chosen, verdict, truth) for verdict in judged.best])
    most = 1 if judged.stopped_by == "interrupt" else recipe.members
    picked, _, _ = greedy(parts, recipe.picks, lambda mean: -chosen.loss(mean, truth, weights), most)
    order = [judged.best[i] for i in dict.fromkeys(picked)]
    if judged.stopped_by == "interrupt":
        tell("the best network so far is trained on all rows; Ctrl-C again ends it")
    else:
        tell(f"{len(order)} of {len(judged.verdicts)} candidates are trained on all rows")
    deadline = None if seconds is None else begun + seconds
    made = _trained(rows, order, judged, seed, jobs, deadline)
    counts = [picked.count(judged.best.index(verdict)) for verdict, _, _ in made]
    return _joined(rows, chosen, judged, made, counts, seed, (truth, weights), time.monotonic() - begun)


def _parts(chosen: ChosenMetric, verdict: Verdict, truth: NDArray[Any]) -> NDArray[np.float64]:
    assert verdict.outputs is not None
    return chosen.parts(verdict.outputs, truth).astype(np.float64)


# Training again.

_Made = tuple[Verdict, Sequential, Encoded]


def _trained(
    rows: TrainingRows, order: Sequence[Verdict], judged: Judged, seed: int, jobs: int, deadline: float | None
) -> list[_Made]:
    """The members on all rows, in order, as many as there is time for; the first one at least, with fewer steps."""
    workers, threads = threads_of(jobs)
    features = Features(rows, [np.arange(len(rows.y))])
    stop = callbacks.StopSignal()

    def work(verdict: Verdict) -> _Made:
        with thread_limit(threads):
            encoded = features.get(0, verdict.candidate.bins)
            own = seed_of(seed, verdict.number, _ALL)
            return verdict, train(rows, encoded, verdict.candidate, own, stop=stop), encoded

    waiting: dict[Future[_Made], Verdict] = {}
    made: dict[int, _Made] = {}
    queue = list(order)
    with ThreadPoolExecutor(workers, thread_name_prefix="fastreg-recipe") as pool:
        try:
            while queue or waiting:
                while queue and len(waiting) < workers:
                    verdict = queue.pop(0)
                    given = _in_time(verdict, judged, deadline, verdict is order[0])
                    if given is not None:
                        waiting[pool.submit(work, given)] = verdict
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    verdict = waiting.pop(future)
                    try:
                        found = future.result()
                    except _core.DivergenceError:
                        continue  # on these rows; the others remain
                    made[verdict.number] = (verdict, found[1], found[2])
        except BaseException:
            stop.set()
            raise
    if not made:
        raise ValueError("no member of the blend could be trained on all rows: all diverged")
    return [made[verdict.number] for verdict in order if verdict.number in made]


def _in_time(verdict: Verdict, judged: Judged, deadline: float | None, is_first: bool) -> Verdict | None:
    """The member, with fewer steps if it is the first and takes too long; None if another has to be left out."""
    if deadline is None:
        return verdict
    left = deadline - time.monotonic()
    needed = max(judged.forecast.seconds(verdict.candidate), max(verdict.seconds))
    if needed <= left:
        return verdict
    if not is_first:
        return None
    steps = max(int(verdict.candidate.steps * max(left, 0.0) / needed), _LEAST_STEPS)
    return replace(verdict, candidate=replace(verdict.candidate, steps=min(steps, verdict.candidate.steps)))


# One model of them.


def _joined(
    rows: TrainingRows,
    chosen: ChosenMetric,
    judged: Judged,
    made: Sequence[_Made],
    counts: Sequence[int],
    seed: int,
    truth: tuple[NDArray[Any], NDArray[Any] | None],
    seconds: float,
) -> Blend:
    total = sum(counts)
    weighted = [verdict.outputs * (count / total) for count, (verdict, _, _) in zip(counts, made, strict=True)
                if verdict.outputs is not None]  # fmt: skip
    mean = np.sum(weighted, axis=0)
    loss = chosen.loss(chosen.parts(mean, truth[0]).astype(np.float64), *truth)
    is_number = rows.target.labels is None
    # Encoders of as many bins are equal, since all are fitted on all rows.
    encoders = {encoded.encoder.n_bins: encoded.encoder for _, _, encoded in made}
    places = [list(encoders).index(encoded.encoder.n_bins) for _, _, encoded in made]
    members = tuple(
        BlendMember(verdict.number, verdict.candidate, count / total, chosen.shown_loss(verdict.loss))
        for count, (verdict, _, _) in zip(counts, made, strict=True)
    )
    return Blend(
        model=join([model for _, model, _ in made], places, counts, seed),
        encoders=tuple(encoder.without_documents() for encoder in encoders.values()),
        members_=members,
        trials_=tuple(verdict.trial(chosen) for verdict in judged.verdicts),
        metric_=chosen.title,
        direction_="max" if chosen.sign < 0.0 else "min",
        score_=chosen.shown_loss(loss),
        limits=(float(rows.y.min()), float(rows.y.max())) if is_number else None,
        temperature=1.0 if is_number else fit_temperature(mean, *truth),
        stopped_by=judged.stopped_by,
        n_splits=max(len(verdict.seconds) for verdict in judged.verdicts),
        seconds_=seconds,
        seed_=seed,
    )


def join(models: Sequence[Sequential], places: Sequence[int], counts: Sequence[int], seed: int) -> Any:
    """One network whose output is the weighted mean of several.

    Args:
        models: The networks.
        places: For each the number of its input; networks with one encoder share an input.
        counts: The weights, whole numbers.
        seed: The seed of the network.
    """
    if len(models) == 1:
        return models[0]
    common = reduce(gcd, counts)
    widths = {place: model.get_weights()[0].shape[0] for place, model in zip(places, models, strict=True)}
    inputs = [layers.Input((widths[place],)) for place in sorted(widths)]
    outputs = [model(inputs[place]) for place, model in zip(places, models, strict=True)]
    repeated = [output for output, count in zip(outputs, counts, strict=True) for _ in range(count // common)]
    return Model(inputs if len(inputs) > 1 else inputs[0], layers.Average()(repeated), seed=seed)
