"""Schedules in simulated clusters: any number of workers, any order of completion; the median by its definition."""

import json
import math
import pickle
from collections import Counter

import numpy as np
import pytest
from fastreg.search import (
    ASHA,
    Bayesian,
    FullBudget,
    Grid,
    Hyperband,
    Integer,
    MedianPruner,
    Random,
    Space,
    SuccessiveHalving,
)
from fastreg.search.pruners.trial_schedule import Job, JobOutcome, Thresholds
from programs import count_steps
from simulation import EPOCHS, FOLDS, SPACE, Curve, Learner, Simulation

SCHEDULES = {
    "full budget": FullBudget,
    "full budget, lag 1": lambda: FullBudget(lag=1),
    "median": MedianPruner,
    "median at once": lambda: MedianPruner(n_startup_trials=2, n_warmup_epochs=0, interval=3, lag=3),
    "halving": SuccessiveHalving,
    "halving by 2 from 4": lambda: SuccessiveHalving(min_epochs=4, factor=2, lag=3),
    "one rung": lambda: SuccessiveHalving(min_epochs=EPOCHS),
    "hyperband": Hyperband,
    "hyperband by 2": lambda: Hyperband(min_epochs=2, factor=2, lag=2),
}
each_schedule = pytest.mark.parametrize("make", SCHEDULES.values(), ids=list(SCHEDULES))
each_of_all = pytest.mark.parametrize("make", [*SCHEDULES.values(), ASHA], ids=[*SCHEDULES, "asha"])
each_direction = pytest.mark.parametrize("direction", ["min", "max"])
STRATEGIES = {"random": Random, "learner": Learner, "tpe": lambda: Bayesian(n_startup_trials=4)}


@each_schedule
@each_direction
@pytest.mark.parametrize("strategy", ["random", "learner"])
def test_workers_and_order_change_nothing(make, direction, strategy):
    run = STRATEGIES[strategy]
    expected = Simulation(make(), run(), direction=direction)
    for workers in (1, 2, 3, 5, 16):
        for order in range(4):
            assert Simulation(make(), run(), direction=direction, workers=workers, order=order) == expected


@each_schedule
def test_workers_and_order_change_nothing_with_tpe(make):
    pytest.importorskip("optuna")
    run = STRATEGIES["tpe"]
    expected = Simulation(make(), run(), n_trials=25)
    for workers, order in ((3, 1), (5, 2)):
        assert Simulation(make(), run(), n_trials=25, workers=workers, order=order) == expected


@each_of_all
@pytest.mark.parametrize("workers", [1, 4])
def test_every_trial_is_settled_once(make, workers):
    run = Simulation(make(), Random(), workers=workers)
    assert sorted(run.settled) == list(range(40))
    for number, outcome in run.outcomes.items():
        whole = outcome.state == "ok" and (
            outcome.budget == EPOCHS or outcome.budget < max(s for n, _, s in run.jobs if n == number)
        )
        if number in run.pruned:
            assert outcome.state == "pruned" or outcome.state == "ok"
        elif outcome.state == "ok":
            assert whole, "an ok trial that is not pruned went the whole way or stopped by itself"
    assert any(n not in run.pruned and o.state == "ok" for n, o in run.outcomes.items()), "somebody wins"


@each_of_all
def test_jobs_of_a_trial_follow_each_other(make):
    run = Simulation(make(), Random(), workers=3)
    reached = Counter()
    for job in run.sequence:
        assert job.start == reached[job.number] < job.stop <= EPOCHS
        reached[job.number] = job.stop


@each_of_all
def test_a_schedule_can_begin_again_and_be_pickled(make):
    schedule = make()
    first = Simulation(schedule, Random(), n_trials=20)
    assert Simulation(schedule, Random(), n_trials=20) == first
    assert Simulation(pickle.loads(pickle.dumps(schedule)), Random(), n_trials=20) == first
    assert Simulation(pickle.loads(pickle.dumps(make())), Random(), n_trials=20) == first


@each_of_all
def test_a_schedule_describes_itself_as_json(make):
    described = make().describe()
    assert json.loads(json.dumps(described)) == described
    assert described["type"] in ("FullBudget", "MedianPruner", "SuccessiveHalving", "Hyperband")


@each_of_all
def test_first_number_and_evidence(make):
    """Trials are numbered from the first number; evidence is told before all else and not counted."""
    evidence = [(2, {"x": 0.5, "y": 0.5}, 0.1, "ok", EPOCHS), (4, {"x": 0.25, "y": 0.5}, None, "failed", None)]
    strategy = Learner()
    run = Simulation(make(), strategy, n_trials=12, workers=2, evidence=evidence, first_number=5)
    assert {number for number, _, _ in run.jobs} == set(range(5, 17))
    assert strategy.log[:2] == [("tell", 2, 0.1, "ok", EPOCHS), ("tell", 4, None, "failed", None)]
    if make is not ASHA:
        assert run == Simulation(make(), Learner(), n_trials=12, workers=3, order=5, evidence=evidence, first_number=5)


@each_of_all
def test_all_trials_fail(make):
    schedule = make()
    strategy = Random()
    strategy.begin(SPACE, 0, "min")
    schedule.begin(strategy, 10, EPOCHS, "min", FOLDS)
    count = 0
    while (job := schedule.next()) is not None:
        schedule.done(job, JobOutcome("failed", None, 0))
        count += 1
    assert (count, schedule.finished, schedule.settled()) == (10, True, list(range(10)))
    assert not any(schedule.pruned(number) for number in range(10))


@each_of_all
@pytest.mark.parametrize("n_trials", [None, 50])
def test_a_finite_space_ends_the_search(make, n_trials):
    schedule, strategy = make(), Grid()
    space = Space({"x": Integer(1, 6)})
    strategy.begin(space, 0, "max")
    schedule.begin(strategy, n_trials, EPOCHS, "max", 1)
    best = Counter()
    while (job := schedule.next()) is not None:
        schedule.done(job, JobOutcome("ok", job.params["x"] / 10, job.stop, [[job.params["x"] / 10] * job.stop]))
        best[job.params["x"]] = job.stop
    assert schedule.finished
    assert schedule.exhausted or schedule.n_asked == schedule.n_trials
    assert sorted(best) == [1, 2, 3, 4, 5, 6]
    assert best[6] == EPOCHS
    assert schedule.settled() == list(range(6))


# --- full budget -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda: FullBudget(lag=5), lambda: MedianPruner(lag=5)], ids=["full budget", "median"]
)
def test_a_trial_is_proposed_when_exactly_those_before_the_lag_are_told(make):
    strategy = Learner()
    Simulation(make(), strategy, n_trials=30, workers=16, order=3)
    told = -1
    for kind, number, *_ in strategy.log:
        if kind == "tell":
            assert number == told + 1
            told = number
        else:
            assert told == max(-1, number - 5)


def test_the_lag_bounds_workers_only_where_it_must():
    def most_at_once(schedule, strategy):
        strategy.begin(SPACE, 0, "min")
        schedule.begin(strategy, 40, EPOCHS, "min", FOLDS)
        n = 0
        while schedule.next() is not None:
            n += 1
        return n

    assert most_at_once(FullBudget(lag=3), Random()) == 40
    assert most_at_once(FullBudget(lag=3), Learner()) == 3
    assert most_at_once(MedianPruner(lag=3), Random()) == 3
    assert most_at_once(SuccessiveHalving(lag=3), Learner()) == 3
    assert most_at_once(SuccessiveHalving(lag=3), Random()) == 40


def test_budget_of_the_estimator():
    strategy = Random()
    strategy.begin(SPACE, 0, "min")
    schedule = FullBudget()
    schedule.begin(strategy, 1, None, "min", FOLDS)
    job = schedule.next()
    assert (job.start, job.stop, job.thresholds) == (0, None, None)


@pytest.mark.parametrize("make", [MedianPruner, SuccessiveHalving, ASHA, Hyperband])
def test_what_needs_epochs_says_so(make):
    strategy = Random()
    strategy.begin(SPACE, 0, "min")
    with pytest.raises(ValueError, match=f"{make.__name__}: needs epochs"):
        make().begin(strategy, 10, None, "min", FOLDS)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FullBudget(lag=0), "FullBudget: lag must be >= 1, got 0"),
        (lambda: MedianPruner(n_startup_trials=0), "MedianPruner: n_startup_trials must be >= 1"),
        (lambda: MedianPruner(n_warmup_epochs=-1), "MedianPruner: n_warmup_epochs must be >= 0"),
        (lambda: MedianPruner(interval=0), "MedianPruner: interval must be >= 1"),
        (lambda: SuccessiveHalving(factor=1), "SuccessiveHalving: factor must be >= 2, got 1"),
        (lambda: Hyperband(min_epochs=0), "Hyperband: min_epochs must be >= 1, got 0"),
        (lambda: ASHA(factor=0), "ASHA: factor must be >= 2"),
        (lambda: Simulation(SuccessiveHalving(min_epochs=28), Random()), "min_epochs must be <= epochs, got 28 and 27"),
        (lambda: Simulation(SuccessiveHalving(), Random(), n_trials=None), "SuccessiveHalving: needs n_trials"),
    ],
)
def test_errors_name_the_argument(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# --- median ----------------------------------------------------------------------------------------------------------


def median_reference(params, direction, startup, warmup, interval, lag):
    """Outcomes of the trials, by definition."""
    better = max if direction == "max" else min
    outcomes = []
    for t, p in enumerate(params):
        whole = [o for o in outcomes[: max(0, t - lag + 1)] if o.state == "ok"]
        limits = np.full((FOLDS, EPOCHS - 1), np.nan)
        if len(whole) >= startup:
            for fold in range(FOLDS):
                for epoch in range(warmup + 1, EPOCHS, interval):
                    limits[fold, epoch - 1] = np.median([better(o.curves[fold][:epoch]) for o in whole])
        thresholds = Thresholds(tuple(map(tuple, limits.tolist())))
        outcomes.append(Curve(p, direction).outcome(Job(t, p, 0, EPOCHS, thresholds)))
    return outcomes


@each_direction
@pytest.mark.parametrize(
    ("startup", "warmup", "interval", "lag"), [(5, 5, 1, 8), (1, 0, 1, 1), (2, 3, 4, 5), (3, 26, 1, 2)]
)
def test_median_pruner_against_the_definition(direction, startup, warmup, interval, lag):
    run = Simulation(
        MedianPruner(startup, warmup, interval, lag), Random(), n_trials=60, direction=direction, workers=3
    )
    expected = median_reference([run.params[t] for t in range(60)], direction, startup, warmup, interval, lag)
    assert [run.outcomes[t] for t in range(60)] == expected
    assert run.pruned == {t for t, o in enumerate(expected) if o.state == "pruned"}
    assert bool(run.pruned) == (warmup < 26)


def test_median_pruner_compares_the_same_fold_and_the_same_epoch():
    """A fold that is easier for every trial has its own thresholds."""
    strategy, schedule = Random(), MedianPruner(n_startup_trials=1, n_warmup_epochs=0, lag=1)
    strategy.begin(SPACE, 0, "min")
    schedule.begin(strategy, 4, 4, "min", 2)
    for curves in (
        [[9, 8, 9, 7], [0.9, 0.8, 0.7, 0.6]],
        [[5, 5, 4, 4], [0.5, 0.6, 0.5, 0.4]],
        [[7, 6, 6, 5], [0.8, 0.7]],
    ):
        schedule.done(schedule.next(), JobOutcome("ok", curves[0][-1], 4, curves))
    assert schedule.next().thresholds == Thresholds(((7, 6, 6), (0.8, 0.7, 0.7)))


def test_median_pruner_ignores_nan_and_bad_trials():
    strategy, schedule = Random(), MedianPruner(n_startup_trials=1, n_warmup_epochs=0, lag=1)
    strategy.begin(SPACE, 0, "max")
    schedule.begin(strategy, 5, 3, "max", 1)
    schedule.done(schedule.next(), JobOutcome("diverged", None, 2, [[9.0, 9.0]]))
    schedule.done(schedule.next(), JobOutcome("pruned", None, 1, [[8.0]]))
    assert schedule.next().thresholds == Thresholds(((),)), "no whole trial yet"
    schedule.done(Job(2, {}, 0, 3), JobOutcome("ok", 0.2, 3, [[math.nan, 0.1, 0.2]]))
    assert schedule.next().thresholds == Thresholds(((-math.inf, 0.1),))


def test_median_pruner_tells_pruned_trials_without_a_score():
    strategy = Learner()
    run = Simulation(MedianPruner(1, 0, 1, 1), strategy, n_trials=30)
    told = {entry[1]: entry[2:] for entry in strategy.log if entry[0] == "tell"}
    assert run.pruned
    assert all(told[number] == (None, "pruned", None) for number in run.pruned if number in told)


# --- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [FullBudget, lambda: SuccessiveHalving(min_epochs=1), ASHA])
def test_bookkeeping_of_many_trials_is_linear(make):
    """Ten times the trials may take at most 15 times the steps; sorting each rung anew would take a hundred."""

    def steps(n):
        schedule, strategy = make(), Random()
        strategy.begin(SPACE, 0, "min")
        schedule.begin(strategy, n, EPOCHS, "min", 1)

        def run():
            while (job := schedule.next()) is not None:
                schedule.done(job, JobOutcome("ok", job.params["x"], job.stop))
                schedule.settled()

        return count_steps(run)

    assert steps(3000) < 15 * steps(300)
