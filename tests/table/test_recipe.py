"""Recipes: candidates as data, blends that do not depend on the threads, temperatures, files, and the time."""

import json
import math
import threading
from types import SimpleNamespace

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.model import files
from fastreg.model.core import core_of
from fastreg.table import Candidate, Recipe, TableClassifier, TableRegressor, Target, judging, training
from fastreg.table.blending import cook, join
from fastreg.table.calibration import fit_temperature, tempered
from fastreg.table.candidates import LARGE, LINEAR, SMALL, batch_size, neighbour
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.judging import Judging
from fastreg.table.members import Members
from fastreg.table.model import TableModel
from fastreg.table.training import Forecast
from helpers.recipes import TINY, rows_of

THREE = Recipe(small=TINY, trials=3)


def made(task, jobs=1, recipe=THREE, seconds=None, **more):
    table, schema, rows = rows_of(task, **more)
    found = cook(rows, recipe, ChosenMetric(rows.target), 3, jobs, seconds)
    return table, found, found.of_table(schema, rows.target)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("large_rows", [5000, 50], ids=["folds", "held out"])
def test_threads_do_not_change_a_bit(task, large_rows):
    """Neighbours, picks, members, temperature and outputs, with rounds that end in any order."""
    recipe = Recipe(small=TINY, large=TINY, large_rows=large_rows, trials=5, folds=3)
    table, one, model = made(task, 1, recipe)
    for jobs in (2, 5):
        _, other, same = made(task, jobs, recipe)
        assert other.members_ == one.members_
        assert [(trial.params, trial.score) for trial in other.trials_] == [
            (trial.params, trial.score) for trial in one.trials_
        ]
        assert (other.temperature, other.score_, other.stopped_by) == (one.temperature, one.score_, one.stopped_by)
        np.testing.assert_array_equal(same.outputs(table), model.outputs(table))
    assert one.n_trials_ == 5
    assert one.trials_[0].params == LINEAR.params


def test_the_blend_is_better_than_a_constant_and_not_worse_than_a_member():
    for task in ("binary", "regression"):
        _, found, _ = made(task)
        assert found.score_ <= min(member.score for member in found.members_) * (1 + 1e-6)
        assert sum(member.weight for member in found.members_) == pytest.approx(1)
        assert found.score_ < (math.log(2) if task == "binary" else 11)


def test_a_joined_network_is_the_weighted_mean(rng):
    """Networks of one encoder share an input; the frozen network gives the same."""
    def network(width, seed):
        model = fr.Sequential([layers.Dense(5, "gelu"), layers.Dropout(0.2), layers.Dense(3, "softmax")], seed=seed)
        model.build(width)
        return model

    parts = [network(4, 0), network(6, 1), network(4, 2)]
    x = [rng.normal(size=(9, width)).astype(np.float32) for width in (4, 6)]
    joined = join(parts, [0, 1, 0], [4, 2, 2], seed=7)
    each = [parts[0].predict(x[0], verbose=0), parts[1].predict(x[1], verbose=0), parts[2].predict(x[0], verbose=0)]
    expected = 0.5 * each[0] + 0.25 * each[1] + 0.25 * each[2]
    np.testing.assert_allclose(joined.predict(x, verbose=0), expected, rtol=0, atol=8 * np.finfo(np.float32).eps)
    np.testing.assert_allclose(joined.freeze()(x), expected, rtol=0, atol=64 * np.finfo(np.float32).eps)
    assert join(parts[:1], [0], [5], seed=7) is parts[0]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_blend_is_one_file(task, tmp_path):
    table, found, model = made(task)
    assert len(found.members_) > 1
    assert len(model.encoders) > 1
    model.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.outputs(table), model.outputs(table))
    assert (loaded.limits, loaded.temperature, loaded.members) == (model.limits, model.temperature, model.members)
    assert (model.limits is None) == (task != "regression")
    assert (model.temperature == 1.0) == (task == "regression")
    far = {"a": [1e9, -1e9], "b": ["u", "w"]}
    values = loaded.predict(far)["y"]
    if task == "regression":
        assert min(table["y"]) - 1e-3 <= min(values) <= max(values) <= max(table["y"]) + 1e-3
    codes = loaded.schema.codes(table)
    frozen = loaded.freeze()
    np.testing.assert_allclose(frozen(codes), loaded.outputs(table), rtol=0, atol=1e-5)
    expected, _ = loaded.finished(np.asarray(frozen.predictor(loaded.features(codes[5:6]))))
    np.testing.assert_array_equal(frozen(codes[5:6]), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limits": [0.0]}, "limits must be the lower and the upper one of a number"),
        ({"limits": [1.0, 0.0]}, "limits must be the lower"),
        ({"limits": [0.0, 1e39]}, "a limit must be a number of at most 1e"),
        ({"limits": "text"}, "limits must be of type list"),
        ({"temperature": 2.0}, "temperature must be 1 for a number"),
        ({"temperature": 0.0}, "temperature must be in"),
        ({"temperature": None}, "temperature must be a finite number"),
        ({"temperature": 10**400}, "temperature must be a finite number"),
        ({"members": [1]}, "members must be of type str"),
        ({"encoders": []}, "encoders must be one at least"),
        ({"encoders": {}}, "encoders must be of type list"),
        ({"encoder": {}}, "either encoder or encoders"),
        ({"other": 1}, "unknown member 'other'"),
    ],
    ids=str,
)
def test_hostile_files_of_blends(change, message, tmp_path):
    _, _, model = made("regression")
    assert len(model.encoders) > 1
    path = tmp_path / "m.safetensors"
    model.save(path)
    parts = files.opened(path)
    description = json.loads(parts.description)["table"]
    if "encoder" in change:
        change = {"encoder": description["encoders"][0]}
    files.save(core_of(model.model), path, include_optimizer=False, extra={"table": description | change})
    with pytest.raises(ValueError, match=rf"m\.safetensors: .*{message}"):
        TableModel.load(path)
    fewer = description | {"encoders": description["encoders"][:1]}
    files.save(core_of(model.model), path, include_optimizer=False, extra={"table": fewer})
    with pytest.raises(ValueError, match=r"the network takes \d+ and \d+.* features and gives 1 outputs"):
        TableModel.load(path)


@pytest.mark.parametrize("n", [3, 30, 3000])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_rows_that_are_all_right_do_not_make_it_certain(n, k):
    """Equally sure of all n rows, it becomes as sure as the rule of succession is: 1 - 1 / (n + 2)."""
    sure = np.float32(0.9)
    outputs = np.full((n, max(k, 1)), (1 - sure) / max(k - 1, 1), np.float32)
    truth = np.arange(n) % max(k, 2)
    if k == 1:
        outputs[:, 0] = np.where(truth == 1, sure, 1 - sure)
    else:
        outputs[np.arange(n), truth] = sure
    for weights in (None, np.full(n, 7.0)):
        found = tempered(outputs, fit_temperature(outputs, truth, weights))
        own = np.where(truth == 1, found[:, 0], 1 - found[:, 0]) if k == 1 else found[np.arange(n), truth]
        np.testing.assert_allclose(own, 1 - 1 / (n + 2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("k", [1, 4])
def test_the_temperature_is_the_one_that_spoiled_probabilities(k):
    """Labels are drawn by known probabilities; at a temperature of 1 / 3 these are too sure."""
    rng = np.random.default_rng(0)
    if k == 1:
        shares = 1 / (1 + np.exp(-rng.normal(size=(20_000, 1))))
        truth = (rng.random(20_000) < shares[:, 0]).astype(np.int32)
    else:
        powers = np.exp(rng.normal(size=(20_000, k)))
        shares = powers / powers.sum(axis=1, keepdims=True)
        truth = (rng.random((20_000, 1)) > np.cumsum(shares, axis=1)).sum(axis=1).clip(0, k - 1)
    spoiled = tempered(shares.astype(np.float32), 1 / 3)
    found = fit_temperature(spoiled, truth)
    assert found == pytest.approx(3.0, rel=0.1)  # within 0.04 over 20 seeds
    kept = (spoiled > 1e-6).all(axis=1)  # smaller ones are limited
    assert kept.mean() > 0.9
    np.testing.assert_allclose(tempered(spoiled, 3.0)[kept], shares[kept], atol=1e-4)
    if k > 1:
        np.testing.assert_allclose(tempered(spoiled, found).sum(axis=1), 1.0, atol=1e-5)
    half = np.arange(20_000) < 10_000
    assert fit_temperature(spoiled, truth, half.astype(float)) == pytest.approx(
        fit_temperature(spoiled[half], truth[half]), rel=1e-6
    )


def test_a_search_ends_where_nothing_improves_and_says_so():
    _, found, _ = made("binary", recipe=Recipe(small=TINY, trials=40, patience=4, least_gain=0.9))
    assert found.stopped_by == "gain"
    assert found.n_trials_ == len(TINY) + 4
    _, found, _ = made("binary", recipe=Recipe(small=TINY, trials=2))
    assert (found.stopped_by, found.n_trials_) == ("trials", 2)


def test_members_limit_the_blend():
    _, found, model = made("binary", recipe=Recipe(small=TINY, trials=3, members=1))
    assert [member.weight for member in found.members_] == [1.0]
    assert isinstance(model.model, fr.Sequential)
    assert found.members_[0].score == min(trial.score for trial in found.trials_)


def test_a_candidate_that_takes_too_long_gets_fewer_steps(monkeypatch):
    """The first network is trained in any case, further ones are not begun."""
    monkeypatch.setattr(Forecast, "seconds", lambda self, candidate: 1e3 * candidate.steps)
    long = [Candidate(bins=4, width=8, steps=100 + i) for i in range(3)]
    _, found, _ = made("binary", recipe=Recipe(small=long, trials=3), seconds=3600.0)
    assert [trial.params["steps"] for trial in found.trials_] == [LINEAR.steps, 50]
    assert found.stopped_by == "time"


def test_the_first_network_is_measured_until_a_busy_machine_shows(monkeypatch):
    """A machine that is quick for 27 steps and takes four times as long from there on."""
    clock = [0.0]

    def train(rows, encoded, candidate, seed):
        clock[0] += 0.02 * min(candidate.steps, 27) + 0.08 * max(candidate.steps - 27, 0)

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    recipe = Recipe(small=(Candidate(bins=0, width=4, layers=1, steps=40_000),), trials=1, folds=2)
    _, found, _ = made("binary", recipe=recipe, seconds=1000.0)
    assert 2500 < found.trials_[1].params["steps"] < 3500  # 500 seconds for two folds; not 10400 steps


def test_a_network_that_is_short_is_measured_shortly(monkeypatch):
    steps = []
    monkeypatch.setattr(training, "train", lambda rows, encoded, candidate, seed: steps.append(candidate.steps))
    made("binary", recipe=Recipe(small=TINY[:1], trials=1, folds=2), seconds=3600.0)
    assert steps == [3, 27]


def test_the_first_network_is_measured_on_all_threads_that_will_train(monkeypatch):
    both = threading.Barrier(2, timeout=60)
    monkeypatch.setattr(training, "train", lambda rows, encoded, candidate, seed: both.wait())
    _, found, _ = made("binary", jobs=2, recipe=Recipe(small=TINY[:1], trials=1, folds=2), seconds=3600.0)
    assert found.trials_[1].params["steps"] == TINY[0].steps


def test_the_first_network_has_time_for_the_turns_of_a_worker(monkeypatch):
    """Two workers train five folds in three turns, each with ten seconds beside the steps."""
    monkeypatch.setattr(Judging, "_measure", lambda self, candidate: 10.0)
    monkeypatch.setattr(Forecast, "seconds", lambda self, candidate: 0.1 * candidate.steps)
    recipe = Recipe(small=(Candidate(bins=0, width=4, layers=1, steps=5000),), trials=1, folds=5)
    _, found, _ = made("binary", jobs=2, recipe=recipe, seconds=1000.0)
    assert 1200 < found.trials_[1].params["steps"] <= 1305  # (500 - 3 * 10) / (3 * 0.1 * 1.2)


def clocked(monkeypatch, each=5.0):
    """A clock on which each fold takes so many seconds, which is also what is forecast, and all else takes none."""
    clock, accept = [0.0], Judging._accept

    def accepted(self, *arguments):
        clock[0] += each
        accept(self, *arguments)

    monkeypatch.setattr(Judging, "_accept", accepted)
    monkeypatch.setattr(judging, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(Forecast, "seconds", lambda self, candidate: each)
    return clock


LONG = Recipe(small=TINY * 7, trials=20, folds=2, members=2)


def test_time_that_training_again_leaves_is_used(monkeypatch):
    """Half of 100 seconds is for judging, then what is set aside and not needed, then what training again leaves."""
    clock = clocked(monkeypatch)
    _, found, _ = made("binary", recipe=LONG, seconds=100.0)
    assert found.stopped_by == "time"
    assert 80.0 <= clock[0] <= 100.0
    monkeypatch.setattr(Judging, "more", lambda self: None)
    clock[0] = 0.0
    _, without, _ = made("binary", recipe=LONG, seconds=100.0)
    assert 60.0 <= clock[0] <= 90.0
    assert 5 <= without.n_trials_ < found.n_trials_


def test_a_search_within_a_time_is_resumed_with_what_it_proposed(monkeypatch, tmp_path):
    """The resumed one has time for all that was skipped, so that it would have drawn other neighbours."""
    path, recipe = tmp_path / "j.jsonl", Recipe(small=TINY * 2, trials=20, folds=2, members=2)
    with monkeypatch.context() as patched:
        clocked(patched, each=3.0)
        patched.setattr(Forecast, "seconds", lambda self, candidate: 30.0 if candidate == TINY[2] else 3.0)
        _, _, rows = rows_of("binary")
        cut = cook(rows, recipe, ChosenMetric(rows.target), 3, 1, 80.0, journal=path)
    known = {trial.number: (trial.params, trial.score) for trial in cut.trials_}
    assert 3 not in known, "it was skipped"
    assert max(known) > 6, "neighbours were tried"
    found = cook(rows, recipe, ChosenMetric(rows.target), 3, 1, None, journal=path, resume=True)
    assert {trial.number: (trial.params, trial.score) for trial in found.trials_ if trial.number in known} == known
    assert [trial.number for trial in found.trials_] == list(range(21))


def test_within_a_time_one_that_takes_much_of_it_comes_last(monkeypatch):
    monkeypatch.setattr(Forecast, "seconds", lambda self, candidate: 14.0 if candidate.bins == 0 else 0.1)
    recipe, lines = Recipe(small=TINY, trials=3, folds=2), []
    _, _, rows = rows_of("binary")
    for seconds, order in ((None, "0123"), (100.0, "0132")):
        lines.clear()
        cook(rows, recipe, ChosenMetric(rows.target), 3, 1, seconds, lines.append)
        numbers = [line.split(":")[0].replace("linear model", "network 0")[-1] for line in lines if "log-loss" in line]
        assert "".join(numbers) == order


def test_the_blend_is_chosen_from_what_was_trained_on_all_rows(monkeypatch):
    """Without time for a second one, the first alone has all the weight."""
    monkeypatch.setattr(Members, "_in_time", lambda self, verdict, is_first: verdict if is_first else None)
    monkeypatch.setattr(Judging, "more", lambda self: None)
    _, found, _ = made("binary", seconds=3600.0)
    assert [member.weight for member in found.members_] == [1.0]
    assert found.score_ == found.members_[0].score


def test_weights_and_groups_are_used():
    weights = np.r_[np.zeros(60), np.ones(60)]
    groups = np.repeat(np.arange(12), 10)
    plain, *others = (
        made("binary", **more)[1].score_ for more in ({}, {"weights": weights}, {"groups": groups})
    )
    assert all(score != plain for score in others)


def test_one_candidate_that_diverges_does_not_end_the_search():
    wild = Candidate(bins=0, width=8, activation="relu", rate=1e30, dropout=0.0, steps=60)
    _, found, _ = made("regression", recipe=Recipe(small=(wild, *TINY), trials=3))
    assert [trial.state for trial in found.trials_] == ["ok", "diverged", "ok", "ok"]
    assert 1 not in [member.number for member in found.members_]


def test_the_lists_are_those_for_the_number_of_rows():
    recipe = Recipe()
    assert recipe.candidates(4999, one_unit=True) == (LINEAR, *SMALL)
    assert recipe.candidates(5000, one_unit=True) == (LINEAR, *LARGE)
    assert (recipe.n_splits(4999), recipe.n_splits(5000), Recipe(cv=3).n_splits(5000)) == (5, None, 3)
    assert [batch_size(SMALL[0], n) for n in (1999, 2000, 4999, 5000)] == [32, 64, 64, 128]
    assert batch_size(Candidate(batch=7), 5000) == 7
    assert Recipe.preset("fast", trials=2, members=None) == Recipe(trials=2, members=3)


def test_neighbours_are_new_and_near():
    rng, tried = np.random.default_rng(0), [*SMALL]
    for _ in range(40):
        found = neighbour(SMALL[:2], tried, rng)
        assert found not in tried
        nearest = min(sum(found.params[k] != best.params[k] for k in found.params) for best in SMALL[:2])
        assert nearest in (1, 2)
        tried.append(found)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Candidate(bins=-1), ValueError, "Candidate: bins must be >= 0, got -1"),
        (lambda: Candidate(width=0), ValueError, "Candidate: width must be >= 1, got 0"),
        (lambda: Candidate(layers=1.5), TypeError, "Candidate: layers must be"),
        (lambda: Candidate(activation="tanh"), ValueError, "Candidate: unknown activation 'tanh'; known: gelu"),
        (lambda: Candidate(dropout=1.0), ValueError, r"Candidate: dropout must be in \[0, 1\), got 1.0"),
        (lambda: Candidate(rate=0.0), ValueError, "Candidate: rate must be > 0"),
        (lambda: Candidate(steps=0), ValueError, "Candidate: steps must be >= 1"),
        (lambda: Candidate(batch=0), ValueError, "Candidate: batch must be >= 1"),
        (lambda: Recipe(trials=0), ValueError, "Recipe: trials must be >= 1"),
        (lambda: Recipe(folds=1), ValueError, "Recipe: folds must be >= 2"),
        (lambda: Recipe(cv=1), ValueError, "Recipe: cv must be >= 2"),
        (lambda: Recipe(judging=1.0), ValueError, r"Recipe: judging must be in \(0, 1\)"),
        (lambda: Recipe(small=[3]), TypeError, "Recipe: small must hold candidates, got 3"),
        (lambda: Recipe.preset("slow"), ValueError, "Recipe: unknown preset 'slow'; known: best, default, fast,"),
        (lambda: TableClassifier(preset="slow"), ValueError, "TableClassifier: unknown preset 'slow'"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_estimators_follow_a_recipe(tmp_path):
    recipe = Recipe(small=TINY, trials=3)
    for estimator, task in ((TableClassifier, "multiclass"), (TableRegressor, "regression")):
        table, _, _ = rows_of(task)
        model = estimator(preset=recipe, time=None, seed=3, jobs=1).fit(table, "y")
        _, found, expected = made(task)
        assert model.search_.members_ == found.members_
        np.testing.assert_array_equal(model.model_.outputs(table), expected.outputs(table))
        model.save(tmp_path / f"{task}.safetensors")
        again = estimator.load(tmp_path / f"{task}.safetensors")
        np.testing.assert_array_equal(again.predict(table), model.predict(table))


def test_the_loss_is_the_one_of_the_outputs(rng):
    truth = rng.integers(0, 3, 50)
    shares = rng.dirichlet(np.ones(3), 50).astype(np.float32)
    weights = rng.random(50)
    chosen = ChosenMetric(Target("y", ("a", "b", "c")))
    found = chosen.loss(chosen.parts(shares, truth).astype(float), truth, weights)
    assert found == pytest.approx(np.average(-np.log(shares[np.arange(50), truth]), weights=weights), rel=1e-6)
    chosen = ChosenMetric(Target("y", ("a", "b")))
    second = shares[:, :1]
    two = (truth > 0).astype(np.int32)
    expected = -np.mean(np.log(np.where(two == 1, second[:, 0], 1 - second[:, 0])))
    assert chosen.loss(chosen.parts(second, two).astype(float), two, None) == pytest.approx(expected, rel=1e-5)
    area = ChosenMetric(Target("y", ("a", "b")), "auc")
    assert area.loss(area.parts(second, two), two, None) == -area.value(second, two, None)
    assert area.shown_loss(-0.75) == 0.75
    number = ChosenMetric(Target("y", None, 5.0, 2.0))
    assert number.shown_loss(0.25) == 1.0
