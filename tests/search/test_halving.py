"""Schedules by rungs against brute-force references: which jobs, which survivors, what the strategy is told."""

import math
from collections import Counter
from fractions import Fraction

import pytest
from fastreg.search import ASHA, Hyperband, Random, SuccessiveHalving
from fastreg.search.pruners.trial_schedule import JobOutcome
from simulation import EPOCHS, FOLDS, SPACE, Curve, Learner, Simulation

each_direction = pytest.mark.parametrize("direction", ["min", "max"])


def halving_reference(params, direction, rungs, factor):
    """Jobs and survivors of successive halving, by definition."""
    curves = {t: Curve(p, direction) for t, p in params.items()}
    jobs = set()

    def survivors(alive, k):
        """Those of ``alive`` that get to the end when they train to rung k; if none, the next best have their turn."""
        start, stop = rungs[k - 1] if k else 0, rungs[k]
        jobs.update((t, start, stop) for t in alive if not (start and curves[t].length < start))
        sign = -1 if direction == "max" else 1
        good = sorted((t for t in alive if curves[t].good(stop)), key=lambda t: (sign * curves[t].score(stop), t))
        if stop == rungs[-1]:
            return set(good)
        n = max(1, len(alive) // factor)
        for chosen in (good[:n], good[n : 2 * n]):
            if chosen and (found := survivors(chosen, k + 1)):
                return found
        return set()

    return jobs, survivors(sorted(params), 0)


@each_direction
@pytest.mark.parametrize("n_trials", [1, 2, 3, 8, 27, 40, 100])
@pytest.mark.parametrize(
    ("min_epochs", "factor", "rungs"), [(1, 3, [1, 3, 9, 27]), (2, 2, [2, 4, 8, 27]), (4, 4, [4, 27]), (5, 6, [27])]
)
def test_successive_halving_against_the_definition(direction, n_trials, min_epochs, factor, rungs):
    run = Simulation(SuccessiveHalving(min_epochs, factor), Random(), n_trials, direction, workers=4, order=n_trials)
    jobs, survivors = halving_reference(run.params, direction, rungs, factor)
    assert set(run.jobs) == jobs
    ok = {t for t in run.params if run.outcomes[t].state == "ok"}
    assert run.pruned == ok - survivors


@pytest.mark.parametrize("first_bad", [3, 9], ids=["in the middle", "at the end"])
def test_the_next_best_go_up_where_all_that_were_promoted_diverge(first_bad):
    """Of 9 trials, the best 3 diverge after the first rung or on the last one; the next 3 get further, or 1 of them."""
    for make, expected in ((SuccessiveHalving, {3: 6, 9: 1}), (ASHA, None)):
        strategy, schedule = Random(), make()
        strategy.begin(SPACE, 0, "min")
        schedule.begin(strategy, 9, 9, "min", FOLDS)
        jobs, final = Counter(), []
        while (job := schedule.next()) is not None:
            jobs[job.stop] += 1
            rank = 4 * job.number % 9
            good = job.stop < first_bad or rank > 2
            schedule.done(job, JobOutcome("ok", rank, job.stop) if good else JobOutcome("diverged", None, job.start))
            if good and job.stop == 9:
                final.append(rank)
        assert schedule.finished
        assert schedule.settled() == list(range(9))
        assert final == [3]
        assert first_bad == 9 or expected is None or {stop: jobs[stop] for stop in expected} == expected


def test_hyperband_brackets_are_the_papers():
    """Table 1 of the paper: R = 81, eta = 3; its last bracket has 5 configurations."""
    table = [(81, [1, 3, 9, 27, 81]), (34, [3, 9, 27, 81]), (15, [9, 27, 81]), (8, [27, 81]), (5, [81])]
    assert Hyperband(factor=3).brackets(81) == table


@pytest.mark.parametrize("epochs", [1, 2, 26, 27, 28, 100, 1000])
@pytest.mark.parametrize(("min_epochs", "factor"), [(1, 2), (1, 3), (2, 4), (1, 5)])
def test_hyperband_brackets_follow_the_formulas(epochs, min_epochs, factor):
    """n = ceil(B / R * eta^s / (s + 1)) with B = (s_max + 1) R, r_i = R eta^(i - s)."""
    if min_epochs > epochs:
        return
    s_max = math.floor(math.log(epochs / min_epochs, factor) + 1e-9)
    brackets = Hyperband(min_epochs, factor).brackets(epochs)
    assert len(brackets) == s_max + 1
    for s, (n, rungs) in zip(range(s_max, -1, -1), brackets, strict=True):
        assert n == math.ceil((s_max + 1) * factor**s / (s + 1) - 1e-9)
        assert len(rungs) == s + 1
        assert all(abs(rung - epochs * factor ** (i - s)) <= 0.5 for i, rung in enumerate(rungs))
        assert rungs[-1] == epochs
        assert rungs == sorted(set(rungs))
        assert rungs[0] >= min_epochs


@pytest.mark.parametrize("n_trials", [1, 4, 5, 40, 143, 500])
def test_hyperband_shares_out_its_trials(n_trials):
    weights = [n for n, _ in Hyperband().brackets(81)]
    shares = [n for n, _ in Hyperband().brackets(81, n_trials)]
    assert sum(shares) == n_trials
    exact = [Fraction(n_trials * weight, sum(weights)) for weight in weights]
    assert all(abs(share - quota) < 1 for share, quota in zip(shares, exact, strict=True))
    raised = [quota % 1 for share, quota in zip(shares, exact, strict=True) if share > quota]
    others = [quota % 1 for share, quota in zip(shares, exact, strict=True) if share <= quota]
    assert min(raised, default=1) >= max(others), "one more for the largest remainders"


@each_direction
def test_hyperband_against_the_definition(direction):
    run = Simulation(Hyperband(), Random(), n_trials=60, direction=direction, workers=5)
    jobs, survivors, first = set(), set(), 0
    for n, rungs in Hyperband().brackets(EPOCHS, 60):
        bracket = halving_reference({t: run.params[t] for t in range(first, first + n)}, direction, rungs, 3)
        jobs, survivors, first = jobs | bracket[0], survivors | bracket[1], first + n
    assert set(run.jobs) == jobs
    assert run.pruned == {t for t in run.params if run.outcomes[t].state == "ok"} - survivors


def test_hyperband_has_a_number_of_trials_of_its_own():
    run = Simulation(Hyperband(), Random(), n_trials=None)
    assert len(run.params) == 27 + 12 + 6 + 4


def test_hyperband_keeps_workers_busy_between_brackets():
    """With a strategy that does not learn, the next bracket starts while a rung is being completed."""
    strategy, schedule = Random(), Hyperband()
    strategy.begin(SPACE, 0, "min")
    schedule.begin(strategy, 49, EPOCHS, "min", FOLDS)
    jobs = [schedule.next() for _ in range(49)]
    assert [job.stop for job in jobs] == [1] * 27 + [3] * 12 + [9] * 6 + [27] * 4
    assert schedule.next() is None
    for job in jobs[:27]:
        schedule.done(job, Curve(job.params, "min").outcome(job))
    assert schedule.next().stop == 3


@pytest.mark.parametrize("make", [SuccessiveHalving, Hyperband, ASHA])
def test_what_is_told_of_a_rung_is_its_score_at_its_budget(make):
    strategy = Learner()
    run = Simulation(make(), strategy, n_trials=30, workers=3, bad=False)
    for _, number, score, state, budget in (entry for entry in strategy.log if entry[0] == "tell"):
        assert state == ("ok" if budget == EPOCHS else "pruned")
        assert score == Curve(run.params[number], "min", bad=False).score(budget)
        assert (number, budget) in {(n, stop) for n, _, stop in run.jobs}


def test_learning_brackets_begin_when_the_one_before_is_over():
    """And by then all of it was told: the first rung in trial order, then what the promoted ones reached last."""
    strategy = Learner()
    Simulation(Hyperband(), strategy, n_trials=49, workers=4, bad=False)
    second = strategy.log.index(("ask", 27))
    before = [entry for entry in strategy.log[:second] if entry[0] == "tell"]
    assert [entry[1] for entry in before[:27]] == list(range(27))
    assert all(entry[4] == 1 for entry in before[:27])
    later = [entry[1] for entry in before[27:]]
    assert later == sorted(later)
    assert sorted(entry[4] for entry in before[27:]) == [3] * 6 + [9] * 2 + [27]


# --- ASHA ------------------------------------------------------------------------------------------------------------


def asha_reference(params, rungs, factor):
    """Algorithm 2 of the paper with one worker, every rung sorted anew at every step; then, if need be, upwards."""
    reached = [{} for _ in rungs]  # number: score
    promoted = [set() for _ in rungs]
    jobs, asked = [], 0

    def run(t, k):
        if k == 0 or curves[t].length >= rungs[k - 1]:
            jobs.append((t, rungs[k - 1] if k else 0, rungs[k]))
        reached[k][t] = curves[t].score(rungs[k]) if curves[t].good(rungs[k]) else math.inf

    curves = {t: Curve(p, "min") for t, p in params.items()}
    while True:
        for k in range(len(rungs) - 2, -1, -1):
            top = sorted(reached[k], key=lambda t: (reached[k][t], t))[: len(reached[k]) // factor]
            candidates = [t for t in top if t not in promoted[k] and reached[k][t] < math.inf]
            if candidates:
                break
        else:
            if asked < len(params):
                run(asked, 0)
                asked += 1
                continue
            for k in range(len(rungs) - 2, -1, -1):
                open_ones = [t for t in reached[k] if t not in promoted[k] and reached[k][t] < math.inf]
                candidates = sorted(open_ones, key=lambda t: (reached[k][t], t))
                if candidates and min(reached[-1].values(), default=math.inf) == math.inf:
                    break
            else:
                return jobs
        promoted[k].add(candidates[0])
        run(candidates[0], k + 1)


@pytest.mark.parametrize("n_trials", [1, 2, 5, 9, 30, 81, 200])
@pytest.mark.parametrize(
    ("min_epochs", "factor", "rungs"), [(1, 3, [1, 3, 9, 27]), (2, 2, [2, 4, 8, 27]), (5, 6, [27])]
)
def test_asha_with_one_worker_against_the_definition(n_trials, min_epochs, factor, rungs):
    run = Simulation(ASHA(min_epochs, factor), Random(), n_trials)
    assert [(job.number, job.start, job.stop) for job in run.sequence] == asha_reference(run.params, rungs, factor)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_asha_rungs_and_budget(workers):
    """About 1/factor of a rung goes up: what was promoted too early is of the order of the square root of the rung."""
    for order in range(5):
        run = Simulation(ASHA(), Random(), n_trials=81, workers=workers, order=order, bad=False)
        counts = Counter(job.stop for job in run.sequence)
        assert counts[1] == 81
        for lower, upper in ((1, 3), (3, 9), (9, 27)):
            assert counts[lower] // 3 <= counts[upper] <= counts[lower] / 3 + math.sqrt(counts[lower])
        assert run.epochs <= 81 * EPOCHS / 4


def test_asha_never_waits_for_a_rung():
    """While one slow trial of the first rung runs on, the others are promoted."""
    strategy, schedule = Random(), ASHA()
    strategy.begin(SPACE, 0, "min")
    schedule.begin(strategy, 9, 9, "min", FOLDS)
    slow = schedule.next()
    stops = []
    while (job := schedule.next()) is not None:
        stops.append(job.stop)
        schedule.done(job, JobOutcome("ok", job.params["x"], job.stop))
    assert stops.count(1) == 8
    assert stops.count(3) >= 8 // 3
    assert not schedule.finished
    schedule.done(slow, JobOutcome("failed", None, 0))
    while (job := schedule.next()) is not None:
        schedule.done(job, JobOutcome("ok", job.params["x"], job.stop))
    assert schedule.finished
    assert schedule.settled() == list(range(9))


def test_asha_looks_at_higher_rungs_again_where_a_trial_goes_up_without_training():
    """A trial that has ended by itself goes up at once, and makes the rung above large enough for another one."""
    strategy, schedule = Random(), ASHA(min_epochs=2, factor=2)
    strategy.begin(SPACE, 0, "min")
    schedule.begin(strategy, 9, 8, "min", 1)
    jobs, scores = [], [0.1, 0.2, 0.9, 0.8]
    for _ in range(5):
        jobs.append(job := schedule.next())
        epochs = 1 if job.number == 1 else job.stop  # the second trial stops early
        schedule.done(job, JobOutcome("ok", scores[job.number], epochs))
    begun = [(job.number, job.start, job.stop) for job in jobs]
    assert begun == [(0, 0, 2), (1, 0, 2), (0, 2, 4), (2, 0, 2), (3, 0, 2)]
    # Two of four are promoted from the first rung, the second of them at once; then one of two from the rung above.
    job = schedule.next()
    assert (job.number, job.start, job.stop) == (0, 4, 8)


@each_direction
@pytest.mark.parametrize("score", [-5.0, 5.0])
@pytest.mark.parametrize("state", ["diverged", "failed", "unscored"])
def test_a_bad_trial_of_asha_ranks_last(direction, score, state):
    strategy, schedule = Random(), ASHA(min_epochs=1, factor=2)
    strategy.begin(SPACE, 0, direction)
    schedule.begin(strategy, 9, 2, direction, 1)
    schedule.done(schedule.next(), JobOutcome(state, None, 1))
    schedule.done(schedule.next(), JobOutcome("ok", score, 1))
    job = schedule.next()
    assert (job.number, job.start, job.stop) == (1, 1, 2), "it is the best of two, whatever its score"


def test_asha_says_that_it_is_not_repeatable():
    assert not ASHA().repeatable
    assert not SuccessiveHalving(asynchronous=True).repeatable
    assert SuccessiveHalving().repeatable
    assert ASHA().describe() == SuccessiveHalving(asynchronous=True).describe()
    runs = [Simulation(ASHA(), Random(), workers=5, order=order) for order in range(6)]
    assert any(run != runs[0] for run in runs[1:])


def test_halving_finds_the_best_for_a_fraction_of_the_epochs():
    """81 noise-free trials: the winner is that of full training."""
    for make in (SuccessiveHalving, Hyperband, ASHA):
        strategy, schedule = Random(), make()
        strategy.begin(SPACE, 1, "min")
        schedule.begin(strategy, 81, 81, "min", 1)
        epochs, final = 0, {}
        while (job := schedule.next()) is not None:
            epochs += job.stop - job.start
            score = job.params["x"] + 1 / job.stop
            schedule.done(job, JobOutcome("ok", score, job.stop))
            if job.stop == 81:
                final[job.number] = job.params["x"]
        asked = Random()
        asked.begin(SPACE, 1, "min")
        assert min(final.values()) == min(asked.ask(t)["x"] for t in range(81))
        assert epochs <= 81 * 81 / (3 if make is Hyperband else 9)
