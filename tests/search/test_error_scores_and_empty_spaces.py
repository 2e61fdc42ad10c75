"""A number as error_score ranks as in scikit-learn, and so does a search without parameters."""

import math
import signal
import sys
import time
import warnings
from fractions import Fraction

import numpy as np
import pytest
from failing_estimator import Failing
from fastreg.search import (
    ASHA,
    BayesianSearch,
    GridSearch,
    GridSearchCV,
    Hyperband,
    RandomizedSearchCV,
    RandomSearch,
    Space,
    SuccessiveHalving,
    Uniform,
)
from searches import findings, two_classes
from sklearn import model_selection
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

X, Y = two_classes()
FOLDS = StratifiedKFold(3, shuffle=True, random_state=1)


class Odd(Failing):
    """Fails on the first fold that it meets, which has row 0 among its training rows, for ``how="odd"``."""

    def fit(self, x, y):
        if self.how == "odd" and (x[0] == X[0]).all():
            raise ArithmeticError("odd")
        return super().fit(x, y)


@pytest.mark.parametrize("error_score", [1.0, 0.75, 0.0, -1.0])
@pytest.mark.parametrize("hows", [["ok", "fit"], ["fit", "ok"], ["ok", "odd"], ["odd", "fit"]], ids=str)
def test_a_trial_that_fails_is_ranked_as_in_scikit_learn(hows, error_score):
    options = {"cv": FOLDS, "error_score": error_score, "refit": False, "return_train_score": True}
    ours = GridSearchCV(Odd(), {"how": hows}, **options).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn tells of failures by warnings
        theirs = model_selection.GridSearchCV(Odd(), {"how": hows}, **options).fit(X, Y)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == pytest.approx(theirs.best_score_)
    assert ours.cv_results_["rank_test_score"].tolist() == theirs.cv_results_["rank_test_score"].tolist()
    for key in ("mean_test_score", "mean_train_score"):
        np.testing.assert_allclose(ours.cv_results_[key], theirs.cv_results_[key])


@pytest.mark.parametrize("error_score", [float("nan"), 1.0, 0.0])
@pytest.mark.parametrize("refit", [True, False])
def test_if_everything_fails_there_is_no_best_trial(error_score, refit):
    options = {"cv": FOLDS, "error_score": error_score, "refit": refit}
    grid = {"how": ["fit"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="All the 3 fits failed"):
            model_selection.GridSearchCV(Failing(), grid, **options).fit(X, Y)
    search = GridSearchCV(Failing(), grid, **options)
    message = r"no trial has a score \(1 failed\); the first, trial 0, failed:[\s\S]*ArithmeticError: no fit"
    with pytest.raises(RuntimeError, match=message):
        search.fit(X, Y)
    assert len(search.failures_) == 1
    with pytest.raises(AttributeError, match="no trial has a score"):
        search.best_params_  # noqa: B018


@pytest.mark.parametrize("error_score", [0.5, 0.0])
@pytest.mark.parametrize("journal", [False, True])
def test_a_score_that_is_the_error_score_is_no_error(error_score, journal, tmp_path):
    """Two of three folds raise an exception, and the other has the score 0.5 by itself."""
    options = {"cv": FOLDS, "error_score": error_score, "refit": False}
    found = GridSearch(Odd(), {"how": ["odd"]}, seed=0, verbose=0, n_jobs=1, **options)
    if journal:
        found.set_params(journal=tmp_path / "j").fit(X, Y)
        found = GridSearch(Odd(), {"how": ["odd"]}, seed=0, verbose=0, n_jobs=1, **options)
        found.set_params(journal=tmp_path / "j", resume=True)
    found.fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = model_selection.GridSearchCV(Odd(), {"how": ["odd"]}, **options).fit(X, Y)
    assert found.best_params_ == theirs.best_params_ == {"how": "odd"}
    assert found.best_score_ == pytest.approx(theirs.best_score_)
    trial = found.trials_[0]
    assert (trial.failed_folds, trial.is_all_error, trial.state) == (2, False, "ok")
    with pytest.raises(RuntimeError, match="no trial has a score"):
        GridSearch(Odd(), {"how": ["fit"]}, seed=0, verbose=0, n_jobs=1, **options).fit(X, Y)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_an_error_score_may_be_the_largest_number(sign, share, tmp_path):
    """The sum of three of them, and their squares, are beyond float64; their mean is not."""
    worst = sign * share * sys.float_info.max
    options = {"cv": FOLDS, "refit": False, "return_train_score": True, "error_score": worst, "verbose": 0}
    search = GridSearch(Odd(), {"how": ["ok", "odd", "fit"]}, **options, journal=tmp_path / "j").fit(X, Y)
    scores = [[Fraction(value) for value in trial.scores["score"]] for trial in search.trials_]
    for column in ("test", "train"):
        means, spreads = search.results_[f"mean_{column}_score"], search.results_[f"std_{column}_score"]
        for row, mean, spread in zip(scores, means.tolist(), spreads.tolist(), strict=True):
            exact = sum(row) / 3
            squares = sum((value - exact) ** 2 for value in row) / 3
            assert mean == pytest.approx(float(exact), rel=1e-12)
            root = math.sqrt(squares / Fraction(2) ** 1200)
            assert spread / 2.0**600 == pytest.approx(root, rel=1e-12, abs=1e-12 * sys.float_info.max / 2.0**600)
    assert [row[0] for row in scores].count(Fraction(worst)) >= 1
    assert search.best_params_["how"] == ("ok" if sign < 0 else "fit")
    assert "+-" in search.summary()
    again = GridSearch(Odd(), {"how": ["ok", "odd", "fit"]}, **options, journal=tmp_path / "j", resume=True).fit(X, Y)
    assert findings(again) == findings(search)


def test_the_refit_of_a_failing_best_trial_raises():
    with pytest.raises(RuntimeError, match=r"refit of trial 1 failed[\s\S]*no fit"):
        GridSearchCV(Failing(), {"how": ["ok", "fit"]}, cv=FOLDS, error_score=1.0).fit(X, Y)


def test_a_failing_trial_does_not_reach_the_target():
    grid = [{"how": "fit"}, {"how": "score"}, {"how": "ok"}, {"how": "ok", "n": 1}]

    class Real(Failing):
        def __init__(self, how="ok", n=0):
            super().__init__(how)
            self.n = n

    found = GridSearch(Real(), grid, cv=2, seed=0, verbose=0, n_jobs=1, refit=False, error_score=0.9, target_score=0.5)
    found.fit(X, Y)
    assert (found.stopped_by_, found.n_trials_) == ("target", 3)


def test_a_grid_without_parameters_is_one_trial():
    estimator = LogisticRegression(C=0.1)
    for grid in ({}, [{}], [{}, {"C": [1.0, 10.0]}]):
        ours = GridSearchCV(estimator, grid, cv=FOLDS).fit(X, Y)
        theirs = model_selection.GridSearchCV(estimator, grid, cv=FOLDS).fit(X, Y)
        assert ours.cv_results_["params"] == theirs.cv_results_["params"]
        assert ours.best_params_ == theirs.best_params_
        np.testing.assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
        assert np.array_equal(ours.predict(X), theirs.predict(X))
    random = RandomizedSearchCV(estimator, {}, n_iter=1, cv=FOLDS, random_state=0).fit(X, Y)
    assert random.best_params_ == {}
    for search in (GridSearchCV(estimator, []), model_selection.GridSearchCV(estimator, [])):
        with pytest.raises(ValueError, match=r"empty|no candidates"):
            search.fit(X, Y)


@pytest.mark.parametrize("pruner", [None, SuccessiveHalving(), Hyperband(), ASHA()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("kind", [GridSearch, RandomSearch, BayesianSearch])
@pytest.mark.parametrize("space", [{}, [{}, {"lr": [0.1, 0.2]}], [{}, {}]], ids=str)
def test_every_search_takes_a_space_without_parameters(space, kind, pruner, tmp_path):
    from fastreg import Sequential, layers, optimizers

    def build(params):
        model = Sequential([layers.Dense(1, "sigmoid")])
        model.compile(optimizers.Adam(params.get("lr", 0.01)), "binary_crossentropy", ["accuracy"])
        return model

    def go():
        more = {} if kind is GridSearch else {"n_trials": 5}
        return kind(build, space, cv=2, seed=0, verbose=0, n_jobs=1, pruner=pruner, journal=tmp_path / "j",
                    resume=True, **more).fit(X, Y, epochs=3)

    found = go()
    tried = [trial.params for trial in found.trials_]
    assert len(tried) == (3 if len(space) == 2 and space[1] else 1)
    assert {} in tried
    size = (tmp_path / "j").stat().st_size
    assert findings(go()) == findings(found)
    assert (tmp_path / "j").stat().st_size == size
    found.report(tmp_path / "report.html")


def test_a_space_without_parameters_has_one_point():
    space = Space({})
    assert (space.size, space.leaves) == (1, ())
    assert list(space.grid()) == [{}] == [space.sample(np.random.default_rng(0))]
    assert Space([{}, {"a": [1, 2]}]).size == 3
    with pytest.raises(ValueError, match="slices: the space must have a parameter"):
        GridSearch(LogisticRegression(), {}, cv=2, verbose=0).fit(X, Y).plot("slices")


def test_an_empty_space_can_be_widened(tmp_path):
    def go(space):
        return RandomSearch(LogisticRegression(), space, n_trials=3, cv=2, seed=0, verbose=0, n_jobs=1,
                            journal=tmp_path / "j", resume=True).fit(X, Y)

    first = go([{}])
    assert [trial.params for trial in first.trials_] == [{}]
    again = go([{}, {"C": Uniform(0.1, 1.0)}])
    assert again.trials_[0].params == {}
    assert len(again.trials_) == 3


class Stop(BaseException):
    """No ``Exception``, as ``SystemExit``."""


class Alarmed(Failing):
    """Waits for a signal of its own for ``how="alarm"``."""

    def fit(self, x, y):
        if self.how == "alarm":
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            while self.how == "alarm":  # until the handler raises
                time.sleep(0.001)
        return super().fit(x, y)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers with signals")
@pytest.mark.parametrize("error", [TimeoutError, SystemExit, Stop])
def test_what_a_signal_handler_raises_in_a_fold(error):
    """As in scikit-learn: an Exception is the fold's, and what is none ends the search."""

    def handler(number, frame):
        raise error("enough")

    usual = signal.signal(signal.SIGALRM, handler)
    grid = {"how": ["alarm", "ok"]}
    try:
        ours = GridSearch(Alarmed(), grid, cv=FOLDS, seed=0, verbose=0, n_jobs=1, refit=False)
        theirs = model_selection.GridSearchCV(Alarmed(), grid, cv=FOLDS, refit=False)
        if issubclass(error, Exception):
            assert ours.fit(X, Y).best_params_ == {"how": "ok"}
            assert [trial.state for trial in ours.trials_] == ["failed", "ok"]
            assert "TimeoutError: enough" in ours.failures_[0].error
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert theirs.fit(X, Y).best_params_ == {"how": "ok"}
        else:
            for search in (ours, theirs):
                with pytest.raises(error, match="enough"):
                    search.fit(X, Y)
    finally:
        signal.signal(signal.SIGALRM, usual)
