"""The names of the scores of ``cross_validate`` are scikit-learn's; what None means; data that have no rows."""

import fastreg as fr
import numpy as np
import pytest
import sklearn.model_selection as theirs
from fastreg import diagnosis, layers
from fastreg.search import GridSearch, cross_val_predict, cross_val_score, cross_validate, nested_cross_validate
from ids import stable_id
from sklearn.linear_model import LogisticRegression

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(int)


def hits(model, x, y):
    return float(np.mean((np.asarray(model.predict(x)).ravel() > 0.5) == y))


def one(model, x, y):
    return {"hits": hits(model, x, y)}


def two(model, x, y):
    return {"hits": hits(model, x, y), "misses": 1 - hits(model, x, y)}


def network():
    model = fr.Sequential([layers.Dense(1, "sigmoid")], seed=0)
    model.compile(fr.optimizers.Adam(0.1), "binary_crossentropy", ["accuracy"])
    return model


SCORINGS = ["accuracy", hits, ["accuracy"], ["accuracy", "f1"], {"mine": "accuracy"}, {"a": hits}, one, two]


@pytest.mark.parametrize("scoring", SCORINGS, ids=stable_id)
def test_scores_of_an_estimator_have_scikit_learns_names_and_values(scoring):
    cv = theirs.StratifiedKFold(3)
    expected = theirs.cross_validate(LogisticRegression(), X, Y, cv=cv, scoring=scoring, return_train_score=True)
    found = cross_validate(LogisticRegression(), X, Y, cv=cv, scoring=scoring, return_train_score=True)
    names = [name for name in expected if name.startswith(("test_", "train_"))]
    assert sorted(names) == sorted(name for name in found if name.startswith(("test_", "train_")))
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)


@pytest.mark.parametrize("scoring", [s for s in SCORINGS if s != ["accuracy", "f1"]], ids=stable_id)
def test_scores_of_a_network_have_the_same_names(scoring):
    names = [
        {name for name in cross_validate(model, X, Y, cv=3, seed=0, scoring=scoring) if name.startswith("test_")}
        for model in (network(), LogisticRegression())
    ]
    assert names[0] == names[1]


def test_a_callable_that_returns_several_scores_is_called_as_often_as_one():
    calls = {one: 0, two: 0}

    def counted(scoring):
        def scores(model, x, y):
            calls[scoring] += 1
            return scoring(model, x, y)

        return scores

    for scoring in calls:
        cross_validate(network(), X, Y, cv=3, seed=0, scoring=counted(scoring))
    assert calls[two] == calls[one] >= 3


@pytest.mark.parametrize("scoring", [["accuracy"], {"mine": "accuracy"}, one], ids=stable_id)
def test_one_score_of_a_list_is_one_score(scoring):
    options = {"cv": 3, "seed": 0, "epochs": 2}
    plain = cross_val_score(network(), X, Y, scoring="accuracy", **options)
    np.testing.assert_allclose(cross_val_score(network(), X, Y, scoring=scoring, **options), plain, rtol=1e-6)
    curve = diagnosis.learning_curve(network(), X, Y, train_sizes=[1.0], scoring=scoring, **options)
    np.testing.assert_allclose(curve.test_scores[0], plain, rtol=1e-6)


def test_nested_scores_have_the_name_of_a_single_metric_of_a_list():
    for scoring, more in (("accuracy", False), (["accuracy"], True)):
        search = GridSearch(network(), {"batch_size": [8, 16]}, cv=2, scoring=scoring, seed=0, verbose=0)
        found = nested_cross_validate(search, X, Y, cv=2)
        assert ("test_accuracy" in found) == more
        assert not more or np.array_equal(found["test_accuracy"], found["test_score"])


def test_none_means_five_folds_on_all_processors():
    scores = cross_validate(network(), X, Y, seed=0, cv=None, n_jobs=None)["test_score"]
    assert np.array_equal(scores, cross_validate(network(), X, Y, seed=0, cv=5, n_jobs=1)["test_score"])
    outputs = cross_val_predict(network(), X, Y, seed=0, cv=None, n_jobs=None)
    assert np.array_equal(outputs, cross_val_predict(network(), X, Y, seed=0, cv=5, n_jobs=1))
    search = GridSearch(network(), {"batch_size": [8]}, cv=2, seed=0, verbose=0)
    assert len(nested_cross_validate(search, X, Y, cv=None)["test_score"]) == 5
    for curve in (
        diagnosis.learning_curve(network(), X, Y, cv=None, train_sizes=[1.0], seed=0),
        diagnosis.validation_curve(network(), X, Y, cv=None, param_name="batch_size", param_range=[8], seed=0),
    ):
        assert curve.test_scores.shape == (1, 5)


@pytest.mark.parametrize("bad", [None, 3, 0.5, np.float64(1.0), np.array(2), "abc", (v for v in Y)], ids=stable_id)
@pytest.mark.parametrize("build", [LogisticRegression(), network()], ids=["estimator", "network"])
def test_data_without_rows(build, bad):
    space = {"C": [1.0]} if isinstance(build, LogisticRegression) else {"batch_size": [8]}
    for name, x, y in (("y", X, bad), ("X", bad, Y)):
        for call in (
            lambda x, y: cross_validate(build, x, y, cv=3),
            lambda x, y: cross_val_predict(build, x, y, cv=3),
            lambda x, y: GridSearch(build, space, cv=3, verbose=0).fit(x, y),
        ):
            with pytest.raises(TypeError, match=f"^{name}: must have .* for each row, got"):
                call(x, y)
