"""The searches as users call them: what is found, the same for any number of workers.

What goes wrong, journals, budgets, results and ensembles have files of their own.
"""

from __future__ import annotations

import inspect
import pickle
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers
from fastreg.search import (
    FullBudget,
    GridSearch,
    Integer,
    KFold,
    LogUniform,
    MedianPruner,
    RandomSearch,
    Search,
    Space,
    SuccessiveHalving,
    Uniform,
    When,
)
from fastreg.search.folds.evaluation import evaluate
from programs import run_program
from searches import Scored, build, findings, histories, nothing, two_classes

SPACE = {"lr": LogUniform(1e-3, 1e-1), "units": Integer(2, 16)}
QUIET = {"verbose": 0, "seed": 0, "cv": 3}


def weights(search):
    return [w.tolist() for w in search.best_model_.get_weights()]


def test_a_grid_is_run_in_order_and_the_best_is_trained_on_all_rows():
    x, y = two_classes()
    search = GridSearch(build, {"lr": [1e-5, 1e-2], "units": [4, 8]}, **QUIET).fit(x, y, epochs=20, batch_size=16)
    assert [trial.params for trial in search.trials_] == [
        {"lr": lr, "units": units} for lr in (1e-5, 1e-2) for units in (4, 8)
    ]
    assert search.best_params_["lr"] == 1e-2
    means = search.results_["mean_test_score"]
    assert search.best_score_ == means.max() == means[search.best_trial_.number]
    assert search.stopped_by_ == "space"
    assert search.n_splits_ == 3
    # The refit is a fit on all rows, for as many epochs, with a seed of its own.
    with_seed = fr.search.folds.evaluation.fold_seed(0, search.best_trial_.number, 2**32 - 1)
    with fr.utils.default_seed(with_seed):
        model = build(search.best_params_)
    model.fit(x, y, epochs=20, batch_size=16, verbose=0)
    assert weights(search) == [w.tolist() for w in model.get_weights()]
    assert np.array_equal(search.predict(x), model.predict(x))
    assert search.score(x, y) == model.evaluate(x, y, return_dict=True, verbose=0)["accuracy"]


def test_a_list_of_grids_and_scalars():
    x, y = two_classes()
    grids = [{"lr": 0.1, "units": 2}, {"lr": [0.01, 0.1], "units": 4}]
    search = GridSearch(build, grids, refit=False, **QUIET).fit(x, y)
    assert [t.params for t in search.trials_] == [{"lr": 0.1, "units": 2}, {"lr": 0.01, "units": 4},
                                                  {"lr": 0.1, "units": 4}]


def test_scores_are_those_of_a_plain_loop():
    """The oracle: models trained by hand on the rows of each fold."""
    x, y = two_classes()
    splits = KFold(3)._folds(len(x), y, None, 5)
    search = GridSearch(build, {"lr": [1e-2], "units": [4, 8]}, cv=splits, seed=3, verbose=0, refit=False)
    search.fit(x, y, epochs=7, batch_size=16)
    for trial in search.trials_:
        for fold, (train, test) in enumerate(splits):
            with fr.utils.default_seed(fr.search.folds.evaluation.fold_seed(3, trial.number, fold)):
                model = build(trial.params)
            history = model.fit(x[train], y[train], epochs=7, batch_size=16, verbose=0)
            expected = model.evaluate(x[test], y[test], verbose=0, return_dict=True)
            assert trial.scores["accuracy"][fold] == expected["accuracy"]
            assert trial.histories[fold]["loss"] == history.history["loss"]
    assert search.results_["split1_test_score"][1] == search.trials_[1].scores["accuracy"][1]


@pytest.mark.parametrize("pruner", [None, MedianPruner(2, 2), SuccessiveHalving(2), FullBudget(lag=2)],
                         ids=lambda p: type(p).__name__)
def test_results_do_not_depend_on_the_workers(pruner):
    x, y = two_classes()

    def run(n_jobs, executor=None):
        search = RandomSearch(build, SPACE, n_trials=12, pruner=pruner, n_jobs=n_jobs, executor=executor, **QUIET)
        return search.fit(x, y, epochs=8, batch_size=16)

    one = run(1)
    with ThreadPoolExecutor(3) as pool:
        for other in (run(1), run(2), run(5), run(3, pool)):
            assert findings(one) == findings(other)
            assert histories(one) == histories(other)
            assert weights(one) == weights(other)
    if pruner is None:
        assert set(one.results_["state"]) == {"ok"}
    elif type(pruner) is not FullBudget:
        pruned = one.results_["state"] == "pruned"
        assert pruned.any()
        assert (one.results_["budget"][pruned] < 8).all()
        assert (one.results_["budget"][~pruned] == 8).all()


def test_another_seed_gives_other_trials():
    x, y = two_classes()
    first, second = (RandomSearch(build, SPACE, n_trials=3, cv=3, seed=seed, refit=False, verbose=0).fit(x, y)
                     for seed in (0, 1))
    assert first.results_["params"] != second.results_["params"]


def test_no_seed_draws_one_and_tells_it():
    x, y = two_classes()
    first = RandomSearch(build, SPACE, n_trials=3, cv=3, verbose=0).fit(x, y, epochs=2)
    again = RandomSearch(build, SPACE, n_trials=3, cv=3, verbose=0, seed=first.seed_).fit(x, y, epochs=2)
    assert findings(first) == findings(again)
    other = RandomSearch(build, SPACE, n_trials=3, cv=3, verbose=0).fit(x, y, epochs=2)
    assert other.seed_ != first.seed_


def test_more_trials_begin_with_the_same_ones():
    x, y = two_classes()
    few, many = (RandomSearch(build, SPACE, n_trials=n, refit=False, **QUIET).fit(x, y) for n in (4, 9))
    assert many.results_["params"][:4] == few.results_["params"]
    assert many.results_["split2_test_score"][:4].tolist() == few.results_["split2_test_score"].tolist()


def test_a_model_with_a_seed_keeps_it():
    x, y = two_classes()

    def seeded(params):
        model = fr.Sequential([layers.Dense(params["units"]), layers.Dense(1, "sigmoid")], seed=11)
        model.compile("adam", "binary_crossentropy", ["accuracy"])
        return model

    search = GridSearch(seeded, {"units": [4]}, **QUIET).fit(x, y)
    assert search.best_model_.seed == 11


def test_halving_trains_few_trials_to_the_end_and_continues_them():
    x, y = two_classes()
    arguments = {"epochs": 9, "batch_size": 16}
    search = RandomSearch(build, SPACE, n_trials=9, pruner=SuccessiveHalving(1), refit=False, **QUIET)
    search.fit(x, y, **arguments)
    budgets = sorted(search.results_["budget"].tolist())
    assert budgets == [1] * 6 + [3] * 2 + [9]
    best = search.best_trial_
    assert best.budget == 9
    assert best.state == "ok"
    assert search.results_["rank_test_score"][best.number] == 1
    assert search.results_["epochs"].sum() == 3 * (6 * 1 + 2 * 3 + 9)
    # One that was paused and went on is one that was never paused.
    whole = RandomSearch(build, SPACE, n_trials=9, refit=False, **QUIET).fit(x, y, **arguments).trials_[best.number]
    assert whole.scores == best.scores
    assert whole.histories == best.histories
    assert all(len(history["loss"]) == 9 for history in best.histories)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_seconds_of_a_continued_trial_are_those_of_all_rungs(n_jobs, monkeypatch):
    x, y = two_classes()
    seen = defaultdict(list)

    def recorded(context, task, stop=None):
        result = evaluate(context, task, stop)
        seen[task.trial, task.fold].append((result.seconds, result.score_seconds))
        return result

    monkeypatch.setattr("fastreg.search.workers.threads.evaluate", recorded)
    search = RandomSearch(build, SPACE, n_trials=9, pruner=SuccessiveHalving(1), refit=False, n_jobs=n_jobs, **QUIET)
    search.fit(x, y, epochs=9, batch_size=16)
    assert sorted(len(rungs) for rungs in seen.values()) == [1] * 18 + [2] * 6 + [3] * 3
    for trial in search.trials_:
        of_folds = [np.sum(seen[trial.number, fold], axis=0) for fold in range(3)]
        assert np.transpose([trial.fit_seconds, trial.score_seconds]) == pytest.approx(np.array(of_folds))


def test_trials_that_stop_early_below_a_rung_had_all_the_epochs_that_they_wanted():
    x, y = two_classes()
    stopping = callbacks.EarlyStopping("loss", min_delta=1e9, patience=1)
    search = RandomSearch(build, SPACE, n_trials=6, pruner=SuccessiveHalving(4, factor=2), **QUIET)
    search.fit(x, y, epochs=16, callbacks=[stopping])
    assert all(epochs == [2, 2, 2] for epochs in (trial.epochs for trial in search.trials_))
    best = search.best_trial_
    assert (best.state, best.budget) == ("ok", 16)
    assert search.results_["rank_test_score"][best.number] == 1
    assert set(search.results_["state"]) == {"ok", "pruned"}


def test_the_refit_takes_the_median_best_epoch():
    x, y = two_classes()
    stopping = callbacks.EarlyStopping("val_loss", patience=3)
    search = GridSearch(build, {"lr": [3e-2], "units": [16]}, **QUIET)
    search.fit(x, y, epochs=60, batch_size=16, callbacks=[stopping])
    best = search.best_trial_
    assert all(e is not None and e < 60 for e in best.best_epoch)
    assert best.median_best_epoch == int(np.floor(np.median(best.best_epoch) + 0.5))
    assert len(search.best_model_.history.epoch) == best.median_best_epoch
    assert stopping.best is None, "the caller's callback is left alone"


def test_refit_by_a_metrics_name():
    x, y = two_classes()
    grid = {"lr": [1e-3, 3e-2, 1.0], "units": [4, 8]}
    arguments = {"scoring": ["accuracy", "loss"], **QUIET}
    by_loss = GridSearch(build, grid, refit="loss", **arguments).fit(x, y, epochs=10)
    assert (by_loss.metric_, by_loss.direction_) == ("loss", "min")
    assert by_loss.best_score_ == by_loss.results_["mean_test_loss"].min()
    by_accuracy = GridSearch(build, grid, refit=False, **arguments).fit(x, y, epochs=10)
    assert (by_accuracy.metric_, by_accuracy.direction_) == ("accuracy", "max")
    assert by_accuracy.best_score_ == by_accuracy.results_["mean_test_accuracy"].max()
    assert by_accuracy.best_score_ >= by_loss.results_["mean_test_accuracy"][by_loss.best_trial_.number]
    with pytest.raises(ValueError, match=r"refit must be .* accuracy, loss; got 'los'"):
        GridSearch(build, grid, refit="los", **arguments).fit(x, y)


def test_no_refit():
    x, y = two_classes()
    search = GridSearch(build, {"lr": [0.01], "units": [4]}, refit=False, **QUIET).fit(x, y)
    with pytest.raises(AttributeError, match=r"best_model_.*refit=False.*refit_best"):
        _ = search.best_model_
    model = search.refit_best()
    assert search.best_model_ is model
    assert weights(search) == weights(GridSearch(build, {"lr": [0.01], "units": [4]}, **QUIET).fit(x, y))


def test_before_fit_there_is_nothing():
    search = GridSearch(build, {"lr": [0.01], "units": [4]})
    for name in ("best_params_", "results_", "best_model_", "seed_"):
        with pytest.raises(AttributeError, match=f"{name}: this GridSearch was not fitted yet"):
            getattr(search, name)
    with pytest.raises(AttributeError, match="no attribute 'best_parms_'"):
        _ = search.best_parms_


def test_preprocessing_is_fitted_within_the_folds_and_for_the_best_model_on_all_rows():
    x, y = two_classes()
    far = x * [1, 1, 1e4, 1, 1] + [0, 0, 1e5, 0, 0]
    search = GridSearch(build, {"lr": [0.03], "units": [8]}, preprocess="standard", **QUIET).fit(far, y, epochs=30)
    assert search.best_score_ > 0.8
    transformed = (far - far.mean(axis=0)) / far.std(axis=0)
    assert np.allclose(search.predict(far), search.best_model_.predict(transformed), atol=1e-5)
    assert search.score(far, y) > 0.8


def test_sklearn_estimators_and_scorers():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    x, y = two_classes()
    grid, cv = {"C": [0.01, 1.0, 100.0]}, StratifiedKFold(3)
    ours = GridSearch(LogisticRegression(), grid, cv=cv, scoring="roc_auc", verbose=0).fit(x, y)
    theirs = GridSearchCV(LogisticRegression(), grid, cv=cv, scoring="roc_auc").fit(x, y)
    for column in ("split0_test_score", "split2_test_score", "std_test_score", "rank_test_score"):
        assert ours.results_[column].tolist() == pytest.approx(theirs.cv_results_[column].tolist(), abs=1e-12)
    assert ours.best_params_ == theirs.best_params_
    assert np.array_equal(ours.predict(x), theirs.predict(x))
    assert set(theirs.cv_results_) <= set(ours.results_)


def test_a_search_is_an_estimator_to_sklearn():
    from sklearn.model_selection import cross_val_score

    x, y = two_classes()
    search = GridSearch(Scored(), {"a": [0.25, 0.75]}, cv=2, verbose=0)
    assert cross_val_score(search, x, y, cv=3).tolist() == [0.75] * 3


def test_parameters_and_repr():
    search = RandomSearch(build, SPACE, n_trials=3, cv=4, seed=1)
    assert list(inspect.signature(RandomSearch).parameters)[:3] == ["build", "space", "n_trials"]
    other_names = {"estimator", "param_grid", "param_distributions"}
    assert set(search.get_params()) == set(inspect.signature(Search).parameters) - other_names
    again = RandomSearch(**search.get_params())
    assert again.get_params() == search.get_params()
    assert repr(search).startswith("RandomSearch(")
    assert repr(search).endswith("n_trials=3, cv=4, seed=1)")
    assert "0x" not in repr(search)
    pruned = RandomSearch(build, [1] * 200, pruner=MedianPruner(2))
    assert "pruner=MedianPruner(lag=8, n_startup_trials=2, n_warmup_epochs=5, interval=1)" in repr(pruned)
    assert len(repr(pruned)) < 300
    assert search.set_params(cv=2) is search
    assert search.cv == 2
    with pytest.raises(ValueError, match=r"unknown argument 'n_trails'.*did you mean 'n_trials'"):
        search.set_params(n_trails=4)
    with pytest.raises(TypeError, match="n_trails"):
        RandomSearch(build, SPACE, n_trails=4)


def test_a_pickle_has_everything_but_the_data():
    x, y = two_classes(2000, 50)
    search = GridSearch(build, {"lr": [0.01], "units": [4]}, **QUIET).fit(x, y, epochs=2)
    data = pickle.dumps(search)
    assert len(data) < x.nbytes / 10
    same = pickle.loads(data)
    assert findings(same) == findings(search)
    assert np.array_equal(same.predict(x), search.predict(x))
    with pytest.raises(ValueError, match="pickled has no data"):
        same.refit_best()


def test_a_second_fit_is_a_new_search():
    x, y = two_classes()
    search = RandomSearch(build, SPACE, n_trials=4, pruner=MedianPruner(1, 1), **QUIET)
    first = findings(search.fit(x, y, epochs=4))
    assert findings(search.fit(x, y, epochs=4)) == first
    search.set_params(space={"lr": 0.1, "units": 2, "unused": 1})
    with pytest.raises(ValueError, match="unused"):
        search.fit(x, y)
    with pytest.raises(AttributeError, match="not fitted"):
        _ = search.best_params_


def test_duplicates_are_not_run_twice():
    x, y = nothing()
    search = RandomSearch(Scored(), {"a": [1, 2, 3]}, n_trials=50, cv=2, verbose=0).fit(x, y)
    assert sorted(trial.params["a"] for trial in search.trials_) == [1, 2, 3]
    assert search.stopped_by_ == "space"


def test_conditional_parameters_and_a_constraint():
    x, y = nothing()
    seen = []

    class Noting(Scored):
        def set_params(self, **params):
            seen.append(params)
            return super().set_params(**params)

    space = {"how": ["ok", "sleep"], "a": When("how", "ok", Uniform(0, 1))}
    search = RandomSearch(Noting(), space, n_trials=8, cv=2, seed=0, verbose=0, n_jobs=1,
                          constraint=lambda p: p.get("a", 0) < 0.5).fit(x, y)
    assert all(params.get("a", 0) < 0.5 for params in seen)
    column = search.results_["param_a"]
    assert [bool(m) for m in column.mask] == ["a" not in trial.params for trial in search.trials_]
    with pytest.raises(ValueError, match="constraint"):
        RandomSearch(Scored(), Space({"a": [1]}), constraint=lambda p: True, verbose=0).fit(x, y)


@pytest.mark.parametrize("search", [GridSearch, RandomSearch])
def test_a_constraint_that_leaves_one_point_of_many(search):
    x, y = nothing()
    grid = {"a": list(range(3000)), "how": ["ok", "sleep"]}
    allowed = {"constraint": lambda p: p["a"] == 2718 and p["how"] == "ok"}
    found = search(Scored(), grid, n_trials=3, cv=2, seed=0, verbose=0, **allowed).fit(x, y)
    assert [trial.params for trial in found.trials_] == [{"a": 2718, "how": "ok"}]


def test_every_dict_of_a_list_is_tried_before_the_first_trial():
    x, y = two_classes()
    grids = [{"lr": 0.1, "units": n} for n in range(1, 30)] + [{"lr": 0.1, "units": 3, "unist": 4}]
    with pytest.raises(ValueError, match="'unist' of the space is never read"):
        GridSearch(build, grids, **QUIET).fit(x, y)


def test_a_parameter_that_only_decides_about_others_need_not_be_read():
    x, y = two_classes()

    def gated(params):
        model = fr.Sequential([layers.Dropout(params.get("rate", 0.0)), layers.Dense(1, "sigmoid")])
        model.compile("adam", "binary_crossentropy", ["accuracy"])
        return model

    space = {"dropout": [True, False], "rate": When("dropout", True, Uniform(0, 0.5))}
    found = RandomSearch(gated, space, n_trials=6, **QUIET).fit(x, y)
    assert {"rate" in trial.params for trial in found.trials_} == {True, False}


def test_train_scores():
    x, y = two_classes()
    search = GridSearch(build, {"lr": [0.03], "units": [16]}, return_train_score=True, refit=False, **QUIET)
    search.fit(x, y, epochs=30)
    columns = search.results_
    assert columns["mean_train_score"][0] == pytest.approx(
        np.mean([columns[f"split{i}_train_score"][0] for i in range(3)]))
    assert columns["mean_train_score"][0] >= columns["mean_test_score"][0]


def test_a_search_needs_numpy_only():
    program = """
import sys
before = set(sys.modules)
from fastreg.search import *
from fastreg.search import RandomSearch, LogUniform, Integer
from searches import two_classes, build
search = RandomSearch(build, {"lr": LogUniform(1e-3, 1e-1), "units": Integer(2, 8)}, n_trials=3, cv=3, verbose=0)
search.fit(*two_classes(), epochs=2).summary()
print({name.split(".")[0] for name in set(sys.modules) - before} & set(sys.argv[1].split(",")))
"""
    others = "sklearn,scipy,optuna,pandas,matplotlib,distributed,dask,ray,torch,pyarrow,polars,cmaes,IPython"
    assert run_program(program, others).stdout.strip() == "set()"
