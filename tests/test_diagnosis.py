"""Learning curves over rows, validation curves over a parameter, and the importance of features."""
from __future__ import annotations

import fastreg as fr
import numpy as np
import pandas as pd
import polars as pl
import pytest
from fastreg import diagnosis, layers, optimizers, regularizers, search
from programs import refusal, same_bits
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.inspection import permutation_importance as of_sklearn
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import learning_curve as curve_of_sklearn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(240, 5))
Y = 3 * X[:, 0] - X[:, 3] + 0.1 * RNG.normal(size=240)


def regression(l2=0.0):
    model = fr.Sequential([layers.Dense(1, kernel_regularizer=regularizers.L2(l2))], seed=0)
    model.compile(optimizers.Adam(0.05), "mse")
    return model


def trained():
    model = regression()
    model.fit(X, Y, epochs=60, verbose=0)
    return model


# --- learning curves --------------------------------------------------------------------------------------------------

def test_a_learning_curve_of_an_estimator_is_scikit_learns():
    """The same folds and parts give the same scores."""
    folds = [(np.arange(0, 160), np.arange(160, 240)), (np.arange(80, 240), np.arange(0, 80))]
    sizes, train, test = curve_of_sklearn(Ridge(), X, Y, train_sizes=[160], cv=folds)
    curve = diagnosis.learning_curve(Ridge(), X, Y, train_sizes=[160], cv=folds, seed=0)
    assert curve.points == [160] == list(sizes)
    np.testing.assert_allclose(curve.train_scores, train, rtol=1e-9)
    np.testing.assert_allclose(curve.test_scores, test, rtol=1e-9)


def test_more_rows_help_a_model_that_over_fits():
    curve = diagnosis.learning_curve(regression(), X, Y, train_sizes=[8, 40, 160], cv=3, seed=1, epochs=200)
    assert curve.points == [8, 40, 160]
    assert (curve.metric, curve.direction, curve.name) == ("loss", "min", "training rows")
    assert curve.train_scores.shape == curve.test_scores.shape == curve.fit_times.shape == (3, 3)
    means = curve.test_scores.mean(axis=1)
    assert means[0] > means[1] > means[2]
    assert curve.best == 160
    assert (curve.train_scores[0] < curve.test_scores[0]).all()


def test_a_learning_curve_is_a_function_of_its_seed():
    first, second, other = (
        diagnosis.learning_curve(regression(), X, Y, train_sizes=(0.3, 1.0), cv=3, seed=seed, epochs=3)
        for seed in (5, 5, 6))
    assert same_bits([first.test_scores, first.train_scores], [second.test_scores, second.train_scores])
    assert not same_bits([first.test_scores], [other.test_scores])


def test_smaller_parts_are_contained_in_larger_ones():
    """A model that remembers its rows tells which ones it was given."""
    seen = []

    class Remembers(Ridge):
        def fit(self, x, y, sample_weight=None):
            seen.append({float(value) for value in x[:, 0]})
            return super().fit(x, y)

    diagnosis.learning_curve(Remembers(), X, Y, train_sizes=[10, 50, 100], cv=[(np.arange(120), np.arange(120, 240))],
                             seed=0, n_jobs=1)
    parts = sorted((part for part in seen if len(part) in (10, 50, 100)), key=len)
    small, middle, large = parts[0], parts[len(parts) // 2], parts[-1]
    assert (len(small), len(middle), len(large)) == (10, 50, 100)
    assert small < middle < large


@pytest.mark.parametrize(("sizes", "words"), [
    ([0.0, 0.5], ["shares in", "0.0"]), ([1.5], ["shares in", "1.5"]), ([0], ["160", "0"]), ([161], ["160", "161"]),
    ([], ["list of numbers"]), ("abc", ["list of numbers"]), (None, ["list of numbers"]), ([[1]], ["list of numbers"]),
    ([float("nan")], ["shares in", "nan"])])
def test_bad_numbers_of_rows(sizes, words):
    with refusal(ValueError, ["learning_curve", "train_sizes", *words]):
        diagnosis.learning_curve(regression(), X, Y, train_sizes=sizes, cv=3)


def test_a_curve_is_of_one_score():
    model = fr.Sequential([layers.Dense(1)], seed=0)
    model.compile("adam", "mse", ["mae"])
    curve = diagnosis.learning_curve(model, X, Y, train_sizes=[1.0], cv=3, scoring="mae", seed=0)
    assert curve.metric in ("mae", "mean_absolute_error")
    with refusal(ValueError, ["scoring", "one score", "loss"]):
        diagnosis.learning_curve(model, X, Y, train_sizes=[1.0], cv=3, scoring=["mae", "loss"])


# --- validation curves ------------------------------------------------------------------------------------------------

def build(params):
    return regression(params["l2"])


def test_a_validation_curve_finds_the_weaker_penalty():
    curve = diagnosis.validation_curve(build, X, Y, param_name="l2", param_range=[1e-4, 1.0, 10.0], cv=3, seed=0,
                                       epochs=150)
    assert (curve.name, curve.points, curve.best) == ("l2", [1e-4, 1.0, 10.0], 1e-4)
    assert (np.diff(curve.test_scores.mean(axis=1)) > 0).all()
    assert "l2" in str(curve)
    assert "0.0001" in str(curve)
    assert "3 values of l2" in repr(curve)


def test_a_validation_curve_of_an_estimator_with_other_parameters():
    x, y = make_classification(200, random_state=0)
    curve = diagnosis.validation_curve(LogisticRegression(), x, y, param_name="C", param_range=[1e-3, 1.0],
                                       params={"max_iter": 500}, cv=3, seed=0)
    assert curve.direction == "max"
    assert curve.metric == "score"
    assert curve.test_scores.shape == (2, 3)


def test_curves_of_a_compiled_model_are_unpacked_as_scikit_learns():
    model = regression()
    options = {"cv": 3, "seed": 0, "epochs": 4}
    train, test = search.validation_curve(
        model, X, Y, param_name="learning_rate", param_range=[1e-6, 0.1], params={"batch_size": 16}, **options
    )
    assert train.shape == test.shape == (2, 3)
    assert test[1].mean() < test[0].mean()
    sizes, train, test = search.learning_curve(model, X, Y, train_sizes=[20, 60], **options)
    assert sizes.tolist() == [20, 60]
    assert test.shape == (2, 3)
    alone = search.cross_validate(model, X, Y, params={"learning_rate": 0.1, "batch_size": 16}, **options)
    curve = diagnosis.validation_curve(
        model, X, Y, param_name="batch_size", param_range=[16], params={"learning_rate": 0.1}, **options
    )
    assert np.array_equal(curve.test_scores[0], alone["test_score"])


def test_bad_validation_curves():
    with refusal(ValueError, ["a compiled model has no parameter 'l2'", "learning_rate"]):
        diagnosis.validation_curve(regression(), X, Y, param_name="l2", param_range=[1])
    with refusal(ValueError, ["param_range", "none"]):
        diagnosis.validation_curve(build, X, Y, param_name="l2", param_range=[])
    with refusal(TypeError, ["param_name"]):
        diagnosis.validation_curve(build, X, Y, param_name=3, param_range=[1])


def test_pictures_of_curves(tmp_path):
    curve = diagnosis.validation_curve(build, X, Y, param_name="l2", param_range=[1e-4, 1.0], cv=3, seed=0, epochs=2)
    figure = curve.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().texts] == ["training", "validation"]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), curve.test_scores.mean(axis=1))
    assert axes.get_xscale() == "log"

    def by_name(params):
        model = fr.Sequential([layers.Dense(4, params["activation"]), layers.Dense(1)], seed=0)
        model.compile("adam", "mse")
        return model

    curve = diagnosis.validation_curve(by_name, X, Y, param_name="activation", param_range=["relu", "tanh"], cv=3,
                                       seed=0)
    assert [label.get_text() for label in curve.plot().axes[0].get_xticklabels()] == ["relu", "tanh"]
    assert "relu" in str(curve)


# --- importance -------------------------------------------------------------------------------------------------------

def test_the_importance_of_a_linear_model_is_what_the_formula_says():
    """Shuffling a feature of weight w and variance v adds 2 w^2 v to the squared error of independent features."""
    found = diagnosis.permutation_importance(trained(), X, Y, n_repeats=60, seed=0)
    variances = X.var(axis=0)
    expected = 2 * np.array([9, 0, 0, 1, 0]) * variances
    np.testing.assert_allclose(found.importances_mean, expected, rtol=0.2, atol=0.1)
    assert found.importances.shape == (5, 60)
    assert found.importances_std.shape == (5,)
    assert found.metric == "loss"
    assert found.baseline == pytest.approx(trained().evaluate(X, Y, verbose=0), rel=1e-5)


def test_the_importance_of_an_estimator_agrees_with_scikit_learns():
    model = Ridge().fit(X, Y)
    found = diagnosis.permutation_importance(model, X, Y, n_repeats=100, seed=0)
    other = of_sklearn(model, X, Y, n_repeats=100, random_state=0)
    np.testing.assert_allclose(found.importances_mean, other.importances_mean, rtol=0.05, atol=0.01)


def test_a_score_that_is_better_when_high_counts_the_same_way():
    model = fr.Sequential([layers.Dense(1, "sigmoid")], seed=0)
    model.compile(optimizers.Adam(0.1), "binary_crossentropy", ["accuracy"])
    model.fit(X, Y > 0, epochs=30, verbose=0)
    found = diagnosis.permutation_importance(model, X, Y > 0, seed=0)
    assert found.metric == "accuracy"
    assert found.importances_mean[0] > 0.2
    assert int(np.argmax(found.importances_mean)) == 0


def test_names_come_from_frames_and_data_stay(tmp_path):
    columns = ["a", "b", "c", "d", "e"]
    model = regression()
    frame = pd.DataFrame(X, columns=columns)
    model.fit(frame, Y, epochs=30, verbose=0)
    before = frame.copy()
    of_pandas = diagnosis.permutation_importance(model, frame, Y, seed=3)
    pd.testing.assert_frame_equal(frame, before)
    of_polars = diagnosis.permutation_importance(model, pl.DataFrame(frame.to_dict("list")), Y, seed=3)
    plain = X.copy()
    of_array = diagnosis.permutation_importance(model, plain, Y, seed=3)
    assert np.array_equal(plain, X)
    assert of_pandas.names == of_polars.names == columns
    assert of_array.names[0] == "feature 0"
    assert same_bits([of_pandas.importances], [of_polars.importances])
    assert same_bits([of_pandas.importances], [of_array.importances])
    assert str(of_pandas).splitlines()[1].startswith("a ")
    figure = of_pandas.plot(tmp_path / "importance.svg", most=2)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["d", "a"]
    assert (tmp_path / "importance.svg").exists()


def test_bad_importances():
    model = trained()
    for arguments, words in (({"n_repeats": 0}, ["n_repeats", "0"]), ({"seed": -1}, ["seed", "-1"]),
                             ({"scoring": ["loss", "mae"]}, ["scoring", "one score"])):
        with refusal(ValueError, words):
            diagnosis.permutation_importance(model, X, Y, **arguments)
    with refusal(ValueError, ["X", "(n, features)"]):
        diagnosis.permutation_importance(model, X[:, 0], Y)


WEIGHTS = np.where(X[:, 0] > 0, 4.0, 0.1)  # the features do not matter alike with them and without them


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error"])
def test_weights_of_rows_count_as_for_scikit_learn(scoring):
    y = np.where(X[:, 0] > 0, X[:, 1], X[:, 2])
    model = Ridge().fit(X, y, WEIGHTS)
    found = diagnosis.permutation_importance(model, X, y, scoring=scoring, n_repeats=50, seed=0,
                                             sample_weight=WEIGHTS)
    other = of_sklearn(model, X, y, scoring=scoring, n_repeats=50, random_state=0, sample_weight=WEIGHTS)
    plain = of_sklearn(model, X, y, scoring=scoring, n_repeats=50, random_state=0)
    spread = other.importances_std.max() / np.sqrt(50)
    np.testing.assert_allclose(found.importances_mean, other.importances_mean, atol=6 * spread)
    assert np.abs(plain.importances_mean - other.importances_mean).max() > 12 * spread


@pytest.mark.parametrize("scoring", [None, "loss", "mae", "neg_mean_absolute_error", fr.metrics.MeanAbsoluteError()])
def test_every_score_of_a_model_is_weighted(scoring):
    model = trained()
    before = model.get_weights()
    errors = model.predict(X)[:, 0] - Y
    squared = scoring in (None, "loss")
    expected = np.average(errors**2 if squared else np.abs(errors), weights=WEIGHTS)
    sign = -1.0 if scoring == "neg_mean_absolute_error" else 1.0
    for weights, wanted in ((WEIGHTS, expected), (None, np.mean(errors**2 if squared else np.abs(errors)))):
        found = diagnosis.permutation_importance(model, X, Y, scoring=scoring, seed=0, sample_weight=weights)
        assert found.baseline == pytest.approx(sign * wanted, rel=1e-5)
        assert int(np.argmax(found.importances_mean)) == 0
    assert same_bits(before, model.get_weights())
    assert model.metrics == []


def test_scores_that_cannot_be_weighted_or_computed_are_refused():
    class Unweighted:
        def predict(self, x):
            return x[:, 0]

        def score(self, x, y):
            return -np.abs(self.predict(x) - y).mean()

    importance = diagnosis.permutation_importance
    with refusal(ValueError, ["sample_weight", "score of Unweighted takes no weights"]):
        importance(Unweighted(), X, Y, sample_weight=WEIGHTS)
    with refusal(ValueError, ["sample_weight", "callable 'own' takes no weights"]):
        importance(trained(), X, Y, scoring={"own": lambda model, x, y: 0.0}, sample_weight=WEIGHTS)
    with refusal(ValueError, ["sample_weight: must be >= 0", "-1.0 in row 0"]):
        importance(Ridge().fit(X, Y), X, Y, sample_weight=-np.ones(240))
    with refusal(ValueError, [r"sample_weight: must have shape \(240,\)", r"\(5,\)"]):
        importance(Ridge().fit(X, Y), X, Y, sample_weight=np.ones(5))
    with refusal(ValueError, ["y must have a target for each of 240 rows", "got 7"]):
        importance(Ridge().fit(X, Y), X, Y[:7])
    for rows in (sparse.csr_array(X), dict(enumerate(X.T))):
        with refusal(TypeError, ["X must be an array or a frame"]):
            importance(Ridge().fit(X, Y), rows, Y)


def test_models_with_several_outputs_have_the_importance_of_their_loss_and_no_curve():
    entry = fr.Input((5,))
    model = fr.Model(entry, [layers.Dense(1, name=name)(entry) for name in "ab"], seed=0)
    model.compile("adam", "mse")
    found = diagnosis.permutation_importance(model, X, [Y, Y], seed=0)
    assert (found.metric, found.importances.shape) == ("loss", (5, 5))
    with refusal(ValueError, ["scoring: must be 'loss' for a model with several outputs", "'mae'"]):
        diagnosis.permutation_importance(model, X, [Y, Y], scoring="mae")
    with refusal(ValueError, ["must have one output, got 2: a, b"]):
        diagnosis.learning_curve(model, X, [Y, Y], train_sizes=[50], cv=3)
    with refusal(ValueError, ["must have one output, got 2: a, b"]):
        diagnosis.validation_curve(model, X, [Y, Y], param_name="learning_rate", param_range=[0.1], cv=3)
    with refusal(ValueError, ["must have one output, got 2: a, b"]):
        search.GridSearch(model, {"learning_rate": [0.1]}, cv=3).fit(X, [Y, Y], verbose=0)
