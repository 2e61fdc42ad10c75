"""Metrics that are not defined for the rows of a fold, as the AUC of rows of one class is not."""

import json

import fastreg as fr
import numpy as np
import pytest
from fastreg.search import (
    GridSearch,
    GridSearchCV,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn import model_selection
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression

# The first of four folds is scored on rows of class 0 alone.
Y = np.array([0] * 10 + [0, 1] * 15)
X = np.random.default_rng(0).normal(size=(40, 3)) + Y[:, None]
FOLDS = list(model_selection.KFold(4).split(X))
GRID = {"C": [0.1, 10.0]}
BOTH = ["accuracy", "roc_auc"]
ONE_CLASS = "must be a finite number, got NaN for the 10 rows of fold 0, whose targets are all 0"

pytestmark = pytest.mark.filterwarnings(f"ignore::{UndefinedMetricWarning.__module__}.UndefinedMetricWarning")


def network(rate=0.05):
    model = fr.Sequential([fr.layers.Dense(1, "sigmoid")])
    model.compile(fr.optimizers.SGD(rate), "binary_crossentropy")
    return model


def theirs(refit):
    return model_selection.GridSearchCV(LogisticRegression(), GRID, cv=FOLDS, scoring=BOTH, refit=refit)


@pytest.mark.parametrize(("model", "grid", "metric"), [(network(), {"learning_rate": [0.1, 0.2]}, "auc"),
                                                       (LogisticRegression(), GRID, "roc_auc")])
def test_a_search_by_an_undefined_metric_says_which_and_of_which_rows(model, grid, metric):
    search = GridSearchCV(model, grid, cv=FOLDS, scoring=metric, seed=0)
    words = rf"\(2 unscored\); the first, trial 0, unscored:\nscoring: {metric} {ONE_CLASS}"
    with pytest.raises(RuntimeError, match=words):
        search.fit(X, Y)


def test_one_row_is_named_as_one():
    search = GridSearchCV(LogisticRegression(), GRID, cv=model_selection.LeaveOneOut(), scoring="r2", seed=0)
    with pytest.raises(RuntimeError, match="r2 must be a finite number, got NaN for the 1 row of fold 0, whose"):
        search.fit(X, Y)


def test_outputs_that_are_not_finite_are_told_by_any_metric():
    """The trial has diverged, although the score that ranks it is a number."""

    def build(params):
        model = fr.Sequential([fr.layers.Dense(1, "exponential", kernel_initializer="ones")])
        model.compile(fr.optimizers.SGD(params["rate"]), "mse")
        return model

    x = np.ones((40, 1), np.float32)
    x[3] = 1000.0
    folds = [(np.arange(10, 40), np.arange(10))]
    options = {"cv": folds, "seed": 0, "verbose": 0, "n_jobs": 1, "refit": False}
    found = GridSearch(build, {"rate": [1e-3]}, scoring={"one": (lambda *_: 1.0, "max"), "loss": "loss"}, **options)
    with pytest.raises(RuntimeError, match=r"the first, trial 0, diverged:\nthe model.s outputs are not finite"):
        found.fit(x, np.ones(40))
    assert GridSearch(build, {"rate": [1e-3]}, scoring=lambda *_: 1.0, **options).fit(x, np.ones(40)).best_score_ == 1.0


@pytest.mark.filterwarnings("ignore:.*test scores are non-finite")
def test_another_metric_that_is_undefined_is_a_gap_as_in_scikit_learn():
    search = GridSearchCV(LogisticRegression(), GRID, cv=FOLDS, scoring=BOTH, refit="accuracy")
    with pytest.warns(UserWarning, match="search: roc_auc is not a finite number in some fold of 2 of 2 trials"):
        search.fit(X, Y)
    expected = theirs("accuracy").fit(X, Y)
    assert search.best_params_ == expected.best_params_
    for name in (name for name in expected.cv_results_ if "_test_" in name):
        np.testing.assert_allclose(search.cv_results_[name], expected.cv_results_[name], rtol=1e-12, err_msg=name)
    assert search.failures_ == []
    assert search.results_["state"].tolist() == ["ok", "ok"]


@pytest.mark.parametrize("model", [network(), LogisticRegression()])
def test_cross_validate_has_nan_there_and_warns(model):
    with pytest.warns(UserWarning, match=f"cross_validate: scoring: roc_auc {ONE_CLASS}; 1 of 4 folds have no such"):
        found = cross_validate(model, X, Y, cv=FOLDS, scoring=BOTH, seed=0)
    assert np.isnan(found["test_roc_auc"]).tolist() == [True, False, False, False]
    assert np.isfinite(found["test_accuracy"]).all()
    if not isinstance(model, fr.Sequential):
        expected = model_selection.cross_validate(model, X, Y, cv=FOLDS, scoring=BOTH)
        np.testing.assert_allclose(found["test_roc_auc"], expected["test_roc_auc"], rtol=1e-12)


def test_cross_val_score_has_nan_where_the_first_metric_is_undefined():
    with pytest.warns(UserWarning, match=f"roc_auc {ONE_CLASS}"):
        found = cross_val_score(LogisticRegression(), X, Y, cv=FOLDS, scoring="roc_auc")
    expected = model_selection.cross_val_score(LogisticRegression(), X, Y, cv=FOLDS, scoring="roc_auc")
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_network_whose_outputs_are_not_finite_has_diverged():
    """Not the metric is to blame, whichever it is."""
    x = X * 1e10

    def build(params):
        model = fr.Sequential([fr.layers.Dense(8), fr.layers.Dense(1)])
        model.compile(fr.optimizers.SGD(params["rate"]), "mse")
        return model

    search = GridSearch(build, {"rate": [1e-30, 1e5]}, cv=2, scoring=["loss", "rmse"], seed=0, verbose=0)
    search.fit(x, Y.astype(np.float32), epochs=1, batch_size=40)
    assert search.results_["state"].tolist() == ["ok", "diverged"]
    assert "the model's outputs are not finite, and so a score is not" in search.failures_[0].error


def test_a_score_of_infinity_is_told_as_it_is():
    search = GridSearch(LogisticRegression(), GRID, cv=2, scoring=lambda m, x, y: np.inf, seed=0, verbose=0)
    with pytest.raises(RuntimeError, match=r"score must be a finite number, got inf for the 20 rows of fold 0\n"):
        search.fit(X, Y)


@pytest.mark.filterwarnings("ignore:search. roc_auc is not")
@pytest.mark.parametrize(("first", "then"), [("accuracy", "roc_auc"), ("roc_auc", "accuracy")])
def test_a_journal_may_go_on_with_another_metric(tmp_path, first, then):
    """Whether a fold counts depends on the metric that decides now, not on the one when it was written."""
    path = tmp_path / "journal.jsonl"

    def run(refit, **kwargs):
        search = GridSearchCV(LogisticRegression(), GRID, cv=FOLDS, scoring=BOTH, refit=refit, seed=0, **kwargs)
        if refit == "accuracy":
            return search.fit(X, Y)
        with pytest.raises(RuntimeError, match=r"\(2 unscored\).*\nscoring: roc_auc must be a finite number, got"):
            search.fit(X, Y)
        return None

    run(first, journal=path)
    states = {json.loads(line)["state"] for line in path.read_text().splitlines()[1:]}
    assert states == {"ok"} if first == "accuracy" else states >= {"unscored"}
    search = run(then, journal=path, resume=True)
    if search is not None:
        assert search.best_score_ == run("accuracy").best_score_
        assert search.failures_ == []


@pytest.mark.filterwarnings("ignore:cross_validate. scoring", "ignore:learning_curve. scoring")
def test_the_best_point_of_a_curve_has_a_score():
    def scorer(model, x, y):
        return np.nan if model.C == 1.0 else model.C

    curve = validation_curve(LogisticRegression(), X, Y, param_name="C", param_range=[0.5, 1.0, 2.0, 0.1], cv=2,
                             scoring=scorer)
    assert curve.best == 2.0
    assert np.isnan(curve.test_scores[1]).all()
    none = learning_curve(LogisticRegression(), X, Y, train_sizes=[0.5, 1.0], cv=2, scoring=lambda m, x, y: np.nan)
    with pytest.raises(ValueError, match="best: score must be a finite number in every fold of some point, got NaN"):
        _ = none.best
