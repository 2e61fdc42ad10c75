"""Searches in scikit-learn's words, held against scikit-learn's own on the same estimators and the same folds."""

import copy
import inspect
import pickle
import warnings

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.search import (
    GridSearch,
    GridSearchCV,
    RandomizedSearchCV,
    RandomSearch,
    Uniform,
    nested_cross_validate,
)
from searches import Scored, build, nothing, two_classes

pytest.importorskip("sklearn")
from failing_estimator import Failing
from sklearn import model_selection
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

X, Y = (array[::2] for array in load_iris(return_X_y=True))
X = (X - X.mean(axis=0)) / X.std(axis=0)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=1)
LINEAR = LogisticRegression(tol=1e-2)
GRID = {"fit_intercept": [True, False], "C": [0.001, 0.1]}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads of BLAS only wait for each other on data this small."""
    with threadpool_limits(1):
        yield


def accuracy_and_errors(model, x, y):
    hits = accuracy_score(y, model.predict(x))
    return {"hits": hits, "errors": -np.sum(y != model.predict(x))}


def second(cv_results):
    return 1


OPTIONS = {
    "defaults": {},
    "train scores": {"return_train_score": True},
    "a name": {"scoring": "f1_macro"},
    "a scorer": {"scoring": make_scorer(accuracy_score)},
    "a callable": {"scoring": lambda model, x, y: float(np.mean(model.predict(x) == y))},
    "a list": {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss", "return_train_score": True},
    "a tuple": {"scoring": ("accuracy", "f1_macro"), "refit": "accuracy"},
    "a list of one": {"scoring": ["accuracy"], "refit": "accuracy"},
    "a dict": {"scoring": {"a": "accuracy", "b": make_scorer(accuracy_score, normalize=False)}, "refit": "b"},
    "a dict of callables": {"scoring": {"one": lambda m, x, y: 1.0, "hits": LINEAR.__class__.score}, "refit": "hits"},
    "a callable that returns a dict": {"scoring": accuracy_and_errors, "refit": "hits"},
    "a dict without refit": {"scoring": accuracy_and_errors, "refit": False},
    "a function of the results": {"refit": second},
    "a function and several": {"scoring": ["accuracy", "f1_macro"], "refit": second},
    "without refit": {"refit": False},
}


def both(options, estimator=LINEAR, grid=GRID, x=X, y=Y, **fit):
    found = []
    for search in (model_selection.GridSearchCV, GridSearchCV):
        found.append(search(estimator, grid, cv=FOLDS, **options).fit(x, y, **fit))
    return found


def assert_same_tables(theirs, ours):
    assert ours.keys() == theirs.keys()
    for name, column in theirs.items():
        if "_time" in name:
            assert ours[name].shape == column.shape
        elif name == "params":
            assert ours[name] == column
        else:
            assert type(ours[name]) is type(column), name
            assert ours[name].dtype == column.dtype, name
            # split scores and ranks are equal, means and spreads but for the order of sums
            exact = name.startswith(("split", "rank", "param"))
            np.testing.assert_allclose(
                np.asarray(ours[name], float), np.asarray(column, float), rtol=0 if exact else 1e-14, err_msg=name
            )


@pytest.mark.parametrize("name", OPTIONS)
def test_the_table_is_scikit_learns(name):
    theirs, ours = both(OPTIONS[name])
    assert_same_tables(theirs.cv_results_, ours.cv_results_)
    if name in ("defaults", "train scores"):
        assert list(ours.cv_results_) == list(theirs.cv_results_)
    assert (ours.multimetric_, ours.n_splits_) == (theirs.multimetric_, theirs.n_splits_)
    assert getattr(theirs, "best_index_", ours.best_index_) == ours.best_index_
    assert ours.best_params_ == ours.cv_results_["params"][ours.best_index_]
    if hasattr(theirs, "best_score_"):
        assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-14)
    assert hasattr(ours, "best_estimator_") == hasattr(theirs, "best_estimator_")
    if theirs.refit is not False:
        assert np.array_equal(ours.best_estimator_.coef_, theirs.best_estimator_.coef_)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            assert np.array_equal(getattr(ours, method)(X), getattr(theirs, method)(X)), method
        if hasattr(theirs, "best_score_"):
            assert ours.score(X, Y) == theirs.score(X, Y)
        assert np.array_equal(ours.classes_, theirs.classes_)
        assert ours.n_features_in_ == theirs.n_features_in_ == 4
        assert ours.refit_time_ > 0
    if isinstance(theirs.scorer_, dict):
        assert ours.scorer_.keys() == theirs.scorer_.keys()
        assert {n: f(LINEAR.fit(X, Y), X, Y) for n, f in ours.scorer_.items()} == {
            n: f(LINEAR.fit(X, Y), X, Y) for n, f in theirs.scorer_.items()
        }
    elif name != "a callable that returns a dict" and name != "a dict without refit":
        assert ours.scorer_(LINEAR.fit(X, Y), X, Y) == theirs.scorer_(LINEAR.fit(X, Y), X, Y)


def test_grids_in_a_list_mask_what_is_not_there():
    grid = [{"C": [0.1, 1.0]}, {"fit_intercept": [False], "C": [0.5]}, {"class_weight": [None, "balanced"]}]
    theirs, ours = both({}, grid=grid)
    for name in ("param_C", "param_fit_intercept", "param_class_weight"):
        mine, other = ours.cv_results_[name], theirs.cv_results_[name]
        assert np.ma.getmaskarray(mine).tolist() == np.ma.getmaskarray(other).tolist()
        assert mine.compressed().tolist() == other.compressed().tolist()
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]


def test_ties_share_a_rank_and_the_first_is_best():
    scores = [0.5, 0.9, 0.1, 0.9, 0.5]
    grid = {"alpha": [1.0, 2.0, 3.0, 4.0, 5.0]}
    options = {"scoring": lambda model, x, y: scores[int(model.alpha) - 1]}
    theirs, ours = both(options, estimator=Ridge(), grid=grid)
    for search in (theirs, ours):
        assert search.cv_results_["rank_test_score"].tolist() == [3, 1, 5, 1, 3]
    assert ours.best_index_ == theirs.best_index_ == 1


@pytest.mark.parametrize("error_score", [np.nan, -1.0, 0.25])
def test_the_score_of_what_fails(error_score):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn tells of failures by warnings
        theirs, ours = both(
            {"error_score": error_score, "return_train_score": True},
            estimator=Failing(),
            grid={"how": ["fit", "ok", "score"]},
        )
    for name in ("split0_test_score", "mean_test_score", "rank_test_score", "mean_train_score"):
        if not (np.isnan(error_score) and name.startswith("mean_train")):
            np.testing.assert_array_equal(ours.cv_results_[name][:2], theirs.cv_results_[name][:2], err_msg=name)
    np.testing.assert_array_equal(ours.cv_results_["rank_test_score"], theirs.cv_results_["rank_test_score"])
    assert [trial.number for trial in ours.failures_] == [0, 2]
    assert "ArithmeticError: no fit" in ours.failures_[0].error
    assert "no score" in ours.failures_[1].error
    assert ours.best_index_ == theirs.best_index_
    assert "trial 0" in ours.summary()


@pytest.mark.parametrize("options", [{"n_jobs": 1}, {"n_jobs": 2}, {"n_jobs": 1, "executor": "processes"}])
def test_errors_are_raised_if_one_asks_for_it(options):
    search = GridSearchCV(Failing(), {"how": ["ok", "fit"]}, cv=FOLDS, error_score="raise", **options)
    with pytest.raises(ArithmeticError, match="no fit"):
        search.fit(X, Y)
    search.set_params(param_grid={"how": ["ok"]}, executor=None)
    assert search.fit(X, Y).best_score_ == 0.5


def test_an_error_of_the_refit_is_no_score():
    class OfAllRows(Failing):
        def fit(self, x, y):
            if len(x) == len(X):
                raise ArithmeticError("too many rows")
            return self

    with pytest.raises(RuntimeError, match=r"refit of trial 0 failed:[\s\S]*too many rows"):
        GridSearchCV(OfAllRows(), {"how": ["ok"]}, cv=FOLDS, error_score=0.0).fit(X, Y)


def test_failures_count_with_a_score():
    ended = GridSearch(Failing(), {"how": ["ok", "fit", "score"]}, cv=2, seed=0, verbose=0, n_jobs=1, error_score=0.1,
                       max_failures=0, refit=False).fit(X, Y)
    assert ended.stopped_by_ == "failures"
    assert ended.n_trials_ < 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"error_score": "ignore"}, ValueError, "error_score must be NaN, a finite number or 'raise', got 'ignore'"),
        ({"error_score": np.inf}, ValueError, "error_score must be"),
        ({"error_score": True}, ValueError, "error_score must be"),
        ({"refit": 3}, TypeError, "refit must be True or False, got 3"),
        ({"refit": "recall"}, ValueError, "a function or a metric of scoring, which has score; got 'recall'"),
        ({"refit": lambda results: 17}, ValueError, r"refit must return an index in \[0, 4\), got 17"),
        ({"refit": lambda results: -1}, ValueError, r"index in \[0, 4\), got -1"),
        ({"refit": lambda results: 1.0}, TypeError, "refit must return an integer, got 1.0"),
        ({"refit": lambda results: True}, TypeError, "refit must return an integer"),
        ({"scoring": accuracy_and_errors, "refit": "misses"}, ValueError, "which has hits, errors; got 'misses'"),
        ({"scoring": accuracy_and_errors}, RuntimeError, r"must give a number, got a dict; refit must name one"),
        ({"scoring": lambda m, x, y: {}, "refit": False}, ValueError, "must return one score at least, got an empty"),
        ({"scoring": lambda m, x, y: {3: 1.0}, "refit": False}, TypeError, "keys of a dict must be names, got 3"),
        ({"scoring": lambda m, x, y: {"a": "b"}, "refit": "a"}, RuntimeError, "a must give a number"),
    ],
)
def test_arguments_that_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        GridSearchCV(LINEAR, GRID, cv=FOLDS, **options).fit(X, Y)


def test_unknown_parameters_are_named():
    with pytest.raises(ValueError, match=r"LogisticRegression has no parameter 'c'; known: C, "):
        GridSearchCV(LINEAR, {"c": [1.0]}, cv=FOLDS).fit(X, Y)
    nested = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(ValueError, match=r"no parameter 'logisticregresion__C'"):
        GridSearchCV(nested, {"logisticregresion__C": [1.0]}, cv=FOLDS).fit(X, Y)


def test_a_dict_of_a_network():
    x, y = two_classes()

    def scores(model, x, y):
        outputs = model.predict(x)[:, 0]
        return {"hits": np.mean((outputs > 0.5) == y), "ones": (outputs > 0.5).mean()}

    options = {"cv": 3, "seed": 0, "verbose": 0}
    space = {"units": [2, 4], "lr": [0.1, 0.01]}
    alone = GridSearch(build, space, scoring=scores, refit="ones", n_jobs=1, **options).fit(x, y, epochs=3)
    other = GridSearch(build, space, scoring=scores, refit="ones", n_jobs=2, **options).fit(x, y, epochs=3)
    assert alone.metric_ == "ones"
    assert alone.multimetric_
    for name in ("hits", "ones"):
        assert np.array_equal(alone.cv_results_[f"mean_test_{name}"], other.cv_results_[f"mean_test_{name}"])
    by_core = GridSearch(build, space, scoring="accuracy", n_jobs=1, **options).fit(x, y, epochs=3)
    np.testing.assert_allclose(by_core.cv_results_["mean_test_score"], alone.cv_results_["mean_test_hits"], rtol=1e-6)


# What a network has under scikit-learn's names.


def network(units=1, activation="sigmoid", loss="binary_crossentropy", metrics=("accuracy",)):
    model = fr.Sequential([layers.Dense(4, "tanh"), layers.Dense(units, activation)])
    model.compile("adam", loss, list(metrics))
    return model


@pytest.mark.parametrize(
    ("model", "y", "classes"),
    [
        (network(), [False, True] * 30, [False, True]),
        (network(), [0.0, 1.0] * 30, [0.0, 1.0]),
        (network(3, "softmax", "sparse_categorical_crossentropy"), [0, 2, 1] * 20, [0, 1, 2]),
        (network(3, "softmax", "categorical_crossentropy"), np.eye(3)[[0, 2, 1] * 20], [0, 1, 2]),
        (network(1, "linear", "mse", ()), np.arange(60) % 7, None),
    ],
)
def test_what_a_network_has(model, y, classes):
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
    found = GridSearchCV(model, {"learning_rate": [0.1, 0.2]}, cv=2, seed=0).fit(x, np.array(y), epochs=1)
    assert found.n_features_in_ == 3
    assert found.feature_names_in_.tolist() == ["a", "b", "c"]
    assert found.best_estimator_ is found.best_model_
    again = pickle.loads(pickle.dumps(found))
    for search in (found, again):
        assert hasattr(search, "classes_") == (classes is not None)
        assert classes is None or search.classes_.tolist() == classes
        assert not hasattr(search, "decision_function")
        assert search.cv_results_.keys() == found.cv_results_.keys()
    assert not hasattr(GridSearchCV(model, {}), "classes_")
    without = GridSearchCV(model, {"learning_rate": [0.1]}, cv=2, seed=0, refit=False).fit(x.to_numpy(), np.array(y))
    assert not hasattr(without, "feature_names_in_")
    assert not hasattr(without, "best_estimator_")
    with pytest.raises(AttributeError, match="best_estimator_: the search was made with refit=False"):
        _ = without.best_estimator_


def test_methods_of_the_best_estimator():
    scaled = GridSearch(LinearSVC(), {"C": [0.1, 1.0]}, preprocess="standard", cv=FOLDS, verbose=0).fit(X, Y)
    transformed = scaled.best_preprocess_.transform(X)
    assert np.array_equal(scaled.decision_function(X), scaled.best_estimator_.decision_function(transformed))
    assert not np.array_equal(scaled.decision_function(X), scaled.best_estimator_.decision_function(X))
    assert not hasattr(scaled, "transform")
    parts = GridSearch(PCA(), {"n_components": [1, 2]}, cv=FOLDS, verbose=0, seed=0).fit(X, Y)
    assert parts.transform(X).shape == (75, 2)
    assert parts.inverse_transform(parts.transform(X)).shape == X.shape


def test_the_best_models():
    x, y = two_classes()
    options = {"cv": 3, "seed": 0, "verbose": 0, "n_jobs": 1, "n_trials": 5}
    search = RandomSearch(build, {"units": 4, "lr": Uniform(0.001, 0.1)}, **options).fit(x, y, epochs=2)
    models = search.best_models(3)
    assert models[0] is search.best_model_
    order = np.argsort(search.cv_results_["rank_test_score"], kind="stable")[:3]
    for model, index in zip(models, order, strict=True):
        assert model.optimizer.learning_rate == pytest.approx(search.results_["params"][index]["lr"])
    other = RandomSearch(build, {"units": 4, "lr": Uniform(0.001, 0.1)}, refit=False, **options).fit(x, y, epochs=2)
    for one, two in zip(models, other.best_models(3), strict=True):
        assert all(map(np.array_equal, one.get_weights(), two.get_weights()))
    assert len(search.best_models(9)) == 5
    with pytest.raises(ValueError, match="best_models: k must be >= 1, got 0"):
        search.best_models(0)
    with pytest.raises(ValueError, match="best_models: a search that was pickled has no data"):
        pickle.loads(pickle.dumps(search)).best_models(2)


def test_the_best_models_without_a_refit_have_their_preprocessing():
    x, y = two_classes()
    options = {"cv": 3, "seed": 0, "verbose": 0, "n_trials": 3, "preprocess": "standard"}
    space = {"units": 4, "lr": Uniform(0.001, 0.1)}
    search, other = (RandomSearch(build, space, refit=refit, **options).fit(x, y, epochs=2) for refit in (True, False))
    (model,) = other.best_models(1)
    rows = (x - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(other.best_preprocess_.transform(x), rows, rtol=1e-4, atol=1e-6)
    assert np.array_equal(model.predict(other.best_preprocess_.transform(x)), search.predict(x))


# The classes.


@pytest.mark.parametrize("name", ["GridSearchCV", "RandomizedSearchCV"])
def test_the_signature_begins_with_scikit_learns(name):
    theirs = inspect.signature(getattr(model_selection, name)).parameters
    ours = inspect.signature({"GridSearchCV": GridSearchCV, "RandomizedSearchCV": RandomizedSearchCV}[name]).parameters
    assert set(theirs) <= set(ours)
    shared = [parameter for parameter in ours if parameter in theirs]
    assert shared == list(theirs)
    assert list(ours)[: len(shared)] == shared
    for parameter in shared:
        mine, other = ours[parameter].default, theirs[parameter].default
        assert mine == other or (mine != mine and other != other), parameter
        assert ours[parameter].kind == theirs[parameter].kind
    assert not {"build", "space", "n_trials", "options"} & set(ours)
    assert {"journal", "pruner", "preprocess", "initial"} <= set(ours)


def test_they_are_estimators():
    search = RandomizedSearchCV(LINEAR, {"C": Uniform(0.1, 1)}, n_iter=3, random_state=2, cv=FOLDS)
    params = search.get_params()
    assert (params["n_iter"], params["random_state"], params["estimator"]) == (3, 2, LINEAR)
    copied = clone(search)
    assert repr(copied) == repr(search)
    assert copied.estimator is not LINEAR
    copied.set_params(n_iter=2, cv=3)
    assert (copied.n_trials, copied.cv, search.n_trials) == (2, 3, 3)
    assert copied.fit(X, Y).n_trials_ == 2
    assert copy.deepcopy(copied).cv_results_["params"] == copied.cv_results_["params"]
    scores = model_selection.cross_val_score(search, X, Y, cv=3)
    assert scores.mean() > 0.8
    nested = nested_cross_validate(copied, X, Y, cv=2)
    assert [sorted(params) for params in nested["best_params"]] == [["C"], ["C"]]
    with pytest.raises(ValueError, match=r"unknown argument 'n_trails'"):
        search.set_params(n_trails=2)
    with pytest.raises(TypeError, match="the seed is given as random_state"):
        RandomizedSearchCV(LINEAR, {"C": [1.0]}, seed=3)


def test_the_other_names_of_the_arguments_can_be_read_and_set():
    grid = GridSearch(estimator=Scored(), param_grid={"a": [1.0]}, cv=2, seed=0, verbose=0)
    assert (grid.estimator, grid.param_grid) == (grid.build, grid.space)
    grid.param_grid = {"a": [2.0, 3.0]}
    assert grid.fit(*nothing()).best_params_ == {"a": 3.0}
    assert "estimator" not in grid.get_params()
    with pytest.raises(AttributeError, match="param_gird cannot be set"):
        grid.param_gird = {}
    drawn = RandomSearch(estimator=Scored(), param_distributions={"a": Uniform(0, 1)}, n_trials=2, cv=2, verbose=0)
    assert drawn.fit(*nothing()).n_trials_ == 2
