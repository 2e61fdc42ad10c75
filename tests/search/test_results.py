"""What a search tells: the table, ranks, the summary, the live line, ensembles, and cross-validation in one call."""

from __future__ import annotations

import itertools
import math
import pickle
import re
import sys

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.search import (
    GridSearch,
    Integer,
    LogUniform,
    RandomSearch,
    RepeatedKFold,
    SuccessiveHalving,
    TimeSeriesSplit,
    Trial,
    cross_validate,
    nested_cross_validate,
)
from fastreg.search.found.results import best_trial, rank, tabulate
from programs import last_json, on_terminal, run_program
from searches import Clock, Scored, build, findings, nothing, two_classes

SPACE = {"lr": LogUniform(1e-3, 1e-1), "units": Integer(2, 16)}


def trial(number, scores, budget=None, state="ok", **more):
    mean = float(np.mean(scores)) if len(scores) == 2 else math.nan
    return Trial(number, {"a": number}, state, mean, {"score": scores}, budget=budget, **more)


def test_ranks_follow_the_direction_ties_share_and_no_score_is_last():
    means = np.array([0.5, math.nan, 0.7, 0.5, 0.1, math.nan])
    none = [None] * 6
    assert rank(none, means, "max").tolist() == [2, 5, 1, 2, 4, 5]
    assert rank(none, means, "min").tolist() == [2, 5, 4, 2, 1, 5]
    assert rank([], np.array([]), "max").tolist() == []


def test_a_smaller_budget_never_ranks_above_a_larger_one():
    means = np.array([0.9, 0.5, 0.7, math.nan])
    budgets = [1, 27, 9, 27]
    assert rank(budgets, means, "max").tolist() == [3, 1, 2, 4]
    trials = [trial(i, [m, m], b) for i, (m, b) in enumerate(zip(means, budgets, strict=True))]
    assert best_trial(trials, "max").number == 1
    assert best_trial(trials[3:], "max") is None
    assert best_trial([trial(0, [0.5, 0.5]), trial(1, [0.5, 0.5])], "max").number == 0, "of equals the first"


def test_the_best_is_never_nan_and_needs_every_fold():
    trials = [trial(0, [0.99], state="pruned"), trial(1, [math.nan, 0.9], state="failed"), trial(2, [0.1, 0.3])]
    assert best_trial(trials, "max").number == 2
    table = tabulate(trials, {"score": "max"}, 2)
    assert table["split0_test_score"].tolist() == pytest.approx([0.99, math.nan, 0.1], nan_ok=True)
    assert table["mean_test_score"].tolist() == pytest.approx([math.nan, math.nan, 0.2], nan_ok=True)
    assert table["rank_test_score"].tolist() == [2, 2, 1]


@pytest.mark.parametrize(("best", "median"), [([2, 3], 3), ([7], 7), ([1, 9, 4], 4), ([3, None], None), ([], None)])
def test_the_median_best_epoch_is_rounded_half_up(best, median):
    assert trial(0, [0.5, 0.5], best_epoch=best).median_best_epoch == median


def test_columns():
    x, y = two_classes()
    search = RandomSearch(build, SPACE, n_trials=4, cv=3, scoring=["accuracy", "loss"], seed=0, verbose=0, refit=False)
    table = search.fit(x, y, epochs=3).results_
    assert all(len(column) == 4 for column in table.values())
    for metric in ("accuracy", "loss"):
        folds = np.array([table[f"split{i}_test_{metric}"] for i in range(3)])
        assert table[f"mean_test_{metric}"] == pytest.approx(folds.mean(axis=0), rel=1e-14)
        assert table[f"std_test_{metric}"] == pytest.approx(folds.std(axis=0), rel=1e-12)
    assert table["rank_test_loss"][np.argmin(table["mean_test_loss"])] == 1
    assert table["rank_test_accuracy"][np.argmax(table["mean_test_accuracy"])] == 1
    assert table["epochs"].tolist() == [9] * 4
    assert table["budget"].tolist() == [3] * 4
    assert table["trial"].tolist() == [0, 1, 2, 3]
    assert table["param_lr"].tolist() == [params["lr"] for params in table["params"]]
    assert table["param_units"].dtype.kind == "i"
    assert (table["seconds"] > 0).all()
    assert table["seconds"] == pytest.approx(3 * (table["mean_fit_time"] + table["mean_score_time"]))
    assert all(type(value) in (int, float) for params in table["params"] for value in params.values())


def test_lists_and_missing_values_among_the_parameters():
    x, y = nothing()

    def made(params):
        return Scored(len(params.items()))

    grid = [{"widths": [[8, 8], [4]], "p": None}, {"q": [True, 2]}]
    table = GridSearch(made, grid, cv=2, verbose=0, refit=False).fit(x, y).results_
    assert table["param_widths"].tolist() == [[8, 8], [4], None, None]
    assert table["param_widths"].mask.tolist() == [False, False, True, True]
    assert table["param_p"].mask.tolist() == [False, False, True, True]
    assert table["param_q"].tolist()[2:] == [True, 2]
    assert table["param_q"].dtype == object, "True stays apart from 1"


def test_to_frame():
    pytest.importorskip("pandas")
    x, y = nothing()
    frame = GridSearch(Scored(), {"a": [0.5, 0.7]}, cv=2, verbose=0).fit(x, y).to_frame()
    assert frame.loc[frame["rank_test_score"] == 1, "param_a"].tolist() == [0.7]
    assert list(frame["state"]) == ["ok", "ok"]


def test_to_frame_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[tune\]'"):
        GridSearch(Scored(), {"a": [0.5]}, cv=2, verbose=0).fit(*nothing()).to_frame()


def test_summary():
    x, y = two_classes()
    search = RandomSearch(build, SPACE, n_trials=14, cv=3, seed=0, verbose=0, pruner=SuccessiveHalving(1))
    lines = search.fit(x, y, epochs=9).summary().splitlines()
    assert re.fullmatch(r"14 trials \(\d+ ok, \d+ pruned\), 3 folds, \d+ epochs, [\d.]+s, ended by: trials", lines[0])
    assert lines[1].split()[:3] == ["rank", "trial", "accuracy"]
    assert lines[2].split()[:2] == ["1", str(search.best_trial_.number)]
    assert f"lr={search.best_params_['lr']:.4g}" in lines[2]
    assert lines[-1] == "... and 4 more in results_"


# The live line.


@pytest.mark.parametrize("verbose", [0, 1])
def test_plain_lines_are_few_and_on_standard_error(verbose, capfd):
    x, y = nothing()
    grid = [{"a": 0.5}, {"a": 0.9, "how": "raise"}, {"a": 0.25}]
    GridSearch(Scored(), grid, cv=2, verbose=verbose).fit(x, y)
    captured = capfd.readouterr()
    assert captured.out == ""
    if not verbose:
        assert captured.err == ""
        return
    assert captured.err.count("\n") == 1
    assert "\r" not in captured.err
    assert re.fullmatch(r"3/3 trials - best 0.5 - [\d.]+s in all - 1 failed - ended by: space\n", captured.err)


def test_on_a_terminal_one_line_is_rewritten_ten_times_a_second():
    program = """
import json, time
from fastreg.search import RandomSearch, Uniform
from searches import nothing, Scored
begun = time.perf_counter()
RandomSearch(Scored(how="sleep"), {"a": Uniform(0, 1)}, n_trials=20, cv=2, seed=0, n_jobs=1).fit(*nothing())
print(json.dumps(time.perf_counter() - begun))
"""
    done = run_program(on_terminal(program))
    took = float(done.stdout.splitlines()[0])
    updates, lines, text = last_json(done)
    assert 10 <= updates <= 10 * took + 2
    assert lines == 1
    assert re.search(r"\r\d+/20 trials - best 0\.\d+ - ETA [\d.]+s", text)
    assert text.rstrip().endswith("ended by: trials")


def test_a_broken_standard_error_is_not_the_searchs_problem():
    program = """
import sys
from fastreg.search import GridSearch
from searches import nothing, Scored
sys.stderr = None
print(GridSearch(Scored(), {"a": [0.5]}, cv=2).fit(*nothing()).best_score_)
"""
    assert run_program(program).stdout.split() == ["0.5"]


# Ensembles.


def noisy(n=240):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 6))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=n)
    return x, y


def network(params):
    model = fr.Sequential([layers.Dense(params["units"], params["activation"]), layers.Dense(1)])
    model.compile(fr.optimizers.Adam(params["lr"]), "mse")
    return model


MIXED = {"units": [4, 24], "activation": ["relu", "tanh"], "lr": [0.003, 0.03]}


def out_of_fold(search, context, trial):
    """Predictions of a trial's fold models on the rows that they were scored on, trained here."""
    outputs = np.full(len(context.y), math.nan)
    for fold, (train, test) in enumerate(context.folds):
        with fr.utils.default_seed(fr.search.folds.evaluation.fold_seed(search.seed_, trial.number, fold)):
            model = network(trial.params)
        model.fit(context.x[train], context.y[train], epochs=40, verbose=0)
        outputs[test] = model.predict(context.x[test])[:, 0]
    return outputs


def test_an_ensemble_is_the_greedy_selection():
    x, y = noisy()
    search = GridSearch(network, MIXED, cv=3, seed=0, verbose=0, refit=False).fit(x, y, epochs=40)
    ensemble = search.ensemble(6)
    context = search._fitted.context
    predictions = {t.number: out_of_fold(search, context, t) for t in search.trials_}
    chosen, best = [], (math.inf, None)
    ranked = sorted(search.trials_, key=lambda t: t.score)
    for _ in range(6):
        errors = [np.mean((np.mean([*(predictions[i] for i in chosen), predictions[t.number]], axis=0) - y) ** 2)
                  for t in ranked]
        chosen.append(ranked[int(np.argmin(errors))].number)
        best = min(best, (min(errors), tuple(chosen)))
    expected = {number: best[1].count(number) / len(best[1]) for number in best[1]}
    assert {t.number: w for t, w in zip(ensemble.members, ensemble.weights_, strict=True)} == expected
    assert ensemble.score_ == pytest.approx(best[0], rel=1e-5)
    assert ensemble.weights_.sum() == pytest.approx(1)
    assert ensemble.score_ < ensemble.single_score_, "an average of different networks is better than each"
    assert ensemble.single_score_ == pytest.approx(np.mean((predictions[ranked[0].number] - y) ** 2), rel=1e-5)


def test_of_the_sets_on_the_way_the_best_is_taken():
    from fastreg.search.found.ensemble import greedy

    # 1 and -1 average to the target 0; a third one spoils it.
    stacked = np.array([1.0, -1.0, 5.0]).reshape(3, 1, 1)
    picked, score, single = greedy(stacked, 3, lambda outputs: -abs(outputs.item()))
    assert picked == [0, 1]
    assert (score, single) == (0, -1)
    assert greedy(stacked, 3, lambda outputs: -abs(outputs.item()), most=1) == ([0], -1, -1)


def test_what_has_no_score_is_not_picked():
    from fastreg.search.found.ensemble import greedy

    stacked = np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    known = {1.0: math.nan, 2.0: -5.0, 3.0: -4.0, 2.5: math.nan}
    assert greedy(stacked, 2, lambda outputs: known.get(outputs.item(), -9.0)) == ([2], -4.0, -4.0)
    assert greedy(stacked, 2, lambda outputs: math.nan)[0] == []
    assert greedy(stacked, 2, lambda outputs: -math.inf)[0] == []


def test_an_ensemble_needs_a_trial_whose_folds_were_all_trained():
    """Others have a score, by error_score, and no model in some fold."""
    x, y = noisy()

    def stumble(where):
        if where.fold == 1:
            raise ArithmeticError("fold 1")
        return []

    search = GridSearch(network, MIXED, cv=2, seed=0, verbose=0, refit=False, error_score=9.0)
    search.fit(x, y, epochs=2, callbacks=stumble)
    assert search.best_trial_.failed_folds == 1
    with pytest.raises(ValueError, match=r"^ensemble: a trial whose folds were all trained is needed"):
        search.ensemble(2)


def test_an_ensemble_needs_a_score_of_its_predictions():
    """A metric that is defined for the rows of each fold, but not for all rows."""
    x, y = noisy()

    def small(model, features, truth):
        return 1.0 if len(truth) < len(y) else math.nan

    search = GridSearch(network, MIXED, cv=2, seed=0, verbose=0, refit=False, scoring=small)
    search.fit(x, y, epochs=2)
    with pytest.raises(ValueError, match=r"^ensemble: no mean of out-of-fold predictions has a score"):
        search.ensemble(2)


def test_kept_models_and_those_trained_again_are_the_same():
    x, y = noisy()
    options = {"cv": 3, "seed": 0, "verbose": 0, "refit": False, "preprocess": "standard"}
    kept = GridSearch(network, MIXED, keep_models=True, **options).fit(x, y, epochs=10)
    trained = GridSearch(network, MIXED, **options).fit(x, y, epochs=10)
    a, b = kept.ensemble(4), trained.ensemble(4)
    assert a.score_ == b.score_
    assert [t.number for t in a.members] == [t.number for t in b.members]
    assert np.array_equal(a.predict(x), b.predict(x))
    assert a.predict(x).shape == (len(x), 1)
    # Without the data: the kept ones are there, the others are not.
    assert np.array_equal(pickle.loads(pickle.dumps(a)).predict(x), a.predict(x))
    with pytest.raises(ValueError, match="no data"):
        pickle.loads(pickle.dumps(trained)).ensemble(2)


def test_an_ensemble_needs_trials_of_the_full_budget(monkeypatch):
    x, y = noisy()
    clock, made = Clock(monkeypatch), itertools.count()

    def build(params):
        if next(made) == 8:  # of one model to look at and two folds of four trials, the last
            clock.leave(0.5)
        return network(params)

    search = RandomSearch(build, {**MIXED, "lr": LogUniform(1e-3, 1e-1)}, n_trials=4, cv=2, seed=0, verbose=0,
                          pruner=SuccessiveHalving(1, factor=10_000), refit=False, time_limit=600, n_jobs=1)
    search.fit(x, y, epochs=1_000_000)
    assert search.best_trial_.budget == 1
    with pytest.raises(ValueError, match=r"full budget, 1000000, but to 1"):
        search.ensemble(2)


def test_an_ensemble_of_halved_trials_takes_those_of_the_full_budget():
    x, y = noisy()
    search = RandomSearch(network, {**MIXED, "lr": LogUniform(1e-3, 1e-1)}, n_trials=9, cv=2, seed=0, verbose=0,
                          pruner=SuccessiveHalving(2, factor=2), refit=False).fit(x, y, epochs=8)
    ensemble = search.ensemble(3)
    assert all(t.budget == 8 for t in ensemble.members)


@pytest.mark.parametrize("cv", [RepeatedKFold(2, 2), TimeSeriesSplit(3)], ids=["repeated", "time"])
def test_rows_that_are_scored_twice_or_never(cv):
    x, y = two_classes()
    search = GridSearch(build, {"lr": [0.01, 0.05], "units": [8]}, cv=cv, seed=0, verbose=0, keep_models=True)
    ensemble = search.fit(x, y, epochs=10).ensemble(3)
    assert 0.5 < ensemble.score_ <= 1
    assert ensemble.score_ >= ensemble.single_score_
    assert ensemble.predict(x).shape == (len(x), 1)


def test_an_ensemble_of_estimators():
    from sklearn.linear_model import LogisticRegression, Ridge

    x, y = two_classes()
    names = np.array(["no", "yes"])[y]
    search = GridSearch(LogisticRegression(), {"C": [0.001, 1.0]}, cv=3, seed=0, verbose=0).fit(x, names)
    ensemble = search.ensemble(3)
    assert set(ensemble.predict(x)) == {"no", "yes"}
    assert np.mean(ensemble.predict(x) == names) > 0.8
    assert ensemble.score_ >= search.best_score_ - 0.05
    regression = GridSearch(Ridge(), {"alpha": [0.1, 10.0]}, cv=3, seed=0, verbose=0).fit(x, x[:, 0] * 2).ensemble(2)
    assert np.allclose(regression.predict(x), x[:, 0] * 2, atol=0.3)


# Cross-validation in one call.


def test_cross_validate_is_one_trial_of_a_search():
    x, y = two_classes()
    params = {"lr": 0.02, "units": 8}
    found = cross_validate(build, x, y, params=params, cv=3, seed=5, epochs=6, return_train_score=True)
    search = GridSearch(build, {k: [v] for k, v in params.items()}, cv=3, seed=5, verbose=0, refit=False)
    expected = search.fit(x, y, epochs=6).trials_[0]
    assert found["test_score"].tolist() == expected.scores["accuracy"]
    assert found["histories"] == expected.histories
    assert found["train_score"].shape == found["fit_time"].shape == (3,)
    assert found["epochs"].tolist() == [6, 6, 6]


def test_cross_validate_models_and_estimators():
    from sklearn.linear_model import LogisticRegression

    x, y = two_classes()
    model = build({"lr": 0.02, "units": 8})
    found = cross_validate(model, x, y, cv=3, seed=5, epochs=6, scoring=["accuracy", "loss"], return_models=True)
    assert set(found) >= {"test_accuracy", "test_loss", "models"}
    assert not model.built, "the caller's model is left alone"
    assert len({id(m) for m in found["models"]}) == 3
    assert cross_validate(LogisticRegression(), x, y, cv=4, seed=0)["test_score"].shape == (4,)
    weak = cross_validate(LogisticRegression(), x, y, params={"C": 1e-9}, cv=4, seed=0, scoring="neg_log_loss")
    assert weak["test_score"].mean() == pytest.approx(-math.log(2), abs=0.01), "next to no weights"
    model.fit(x, y, epochs=50, verbose=0)
    again = cross_validate(model, x, y, cv=3, seed=5, epochs=6, scoring=["accuracy", "loss"])
    assert again["test_loss"].tolist() == found["test_loss"].tolist(), "weights are not taken over"
    with pytest.raises(ValueError, match="compiled"):
        cross_validate(fr.Sequential([layers.Dense(1)]), x, y)
    with pytest.raises(RuntimeError, match=r"(?s)fold 0 failed:.*no fit for a=0"):
        cross_validate(Scored(how="raise"), *nothing(), cv=2, n_jobs=1)


def test_nested_cross_validation():
    x, y = two_classes()
    search = GridSearch(build, {"lr": [1e-6, 3e-2], "units": [8]}, cv=3, seed=1, verbose=0)
    found = nested_cross_validate(search, x, y, cv=4, epochs=20)
    assert found["test_score"].shape == found["best_score"].shape == (4,)
    assert [params["lr"] for params in found["best_params"]] == [3e-2] * 4
    # The oracle for one outer fold: the search on its rows, scored on the others.
    train, test = fr.search.folds.cross_validation.make_folds(4, x, y, None, 1)[2]
    inner = GridSearch(build, {"lr": [1e-6, 3e-2], "units": [8]}, cv=3, seed=1, verbose=0).fit(
        x[train], y[train], epochs=20)
    assert found["test_score"][2] == inner.score(x[test], y[test])
    assert findings(found["searches"][2]) == findings(inner)
    with pytest.raises(AttributeError, match="not fitted"):
        _ = search.best_score_
    with pytest.raises(ValueError, match="refit=False"):
        nested_cross_validate(search.set_params(refit=False), x, y)
    with pytest.raises(TypeError, match="search must be a search"):
        nested_cross_validate(build, x, y)


def test_nested_cross_validation_with_groups_weights_and_a_journal(tmp_path):
    from sklearn.model_selection import GroupKFold

    x, y = two_classes()
    groups = np.repeat(np.arange(9), 10)
    search = GridSearch(build, {"lr": [3e-2], "units": [8]}, cv=GroupKFold(2), seed=1, verbose=0,
                        journal=tmp_path / "j.jsonl", resume=True)
    given = {"cv": GroupKFold(3), "groups": groups, "epochs": 5, "sample_weight": np.linspace(1, 2, 90)}
    first = nested_cross_validate(search, x, y, **given)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"j-{i}.jsonl" for i in range(3)]
    assert nested_cross_validate(search, x, y, **given)["test_score"].tolist() == first["test_score"].tolist()
