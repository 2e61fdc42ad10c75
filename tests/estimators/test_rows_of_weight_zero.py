"""A row of weight 0 is as if it were not there: the fit has the same bits with it and without it."""

import warnings

import numpy as np
import pytest
from fastreg.sklearn import MLPClassifier, MLPRegressor
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

N = 120
FAR = np.arange(0, N, 4)  # the rows of weight 0, which are far from all others
KEPT = np.setdiff1d(np.arange(N), FAR)


def data(kind):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, 4))
    weights = rng.uniform(0.5, 2.0, N)
    y = x[:, 0] - 2.0 * x[:, 1]
    y = y if kind is MLPRegressor else np.digitize(y, [-0.7, 0.7])
    x[FAR] = 1e6 * rng.normal(size=(len(FAR), 4))
    y[FAR] = y[FAR] + 1e6 if kind is MLPRegressor else 1
    weights[FAR] = 0.0
    return x, y, weights


def fitted(kind, options, x, y, weights, **validation):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(hidden_layer_sizes=(8,), max_iter=12, random_state=0, **options).fit(x, y, weights, **validation)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    "options",
    [
        {"scale": "standard"},
        {"scale": "robust"},
        {"scale": "standard", "early_stopping": True},
        {"scale": "standard", "batch_size": 16, "alpha": 0.1, "n_models": 2},
        {"scale": "standard", "batch_normalization": True},
        {"scale": None},
    ],
    ids=str,
)
def test_rows_of_weight_zero_change_no_bit(kind, options):
    x, y, weights = data(kind)
    both = [
        fitted(kind, options, *given)
        for given in ((x, y, weights), (x[KEPT], y[KEPT], weights[KEPT]))
    ]  # fmt: skip
    assert both[0].loss_curve_ == both[1].loss_curve_
    assert both[0].validation_scores_ == both[1].validation_scores_
    assert np.array_equal(both[0].predict(x), both[1].predict(x))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_rows_of_weight_zero_change_no_bit_of_sparse_rows_or_given_validation(kind):
    x, y, weights = data(kind)
    for make, validation in ((sparse.csr_array, {}), (np.asarray, {"X_val": x[KEPT], "y_val": y[KEPT]})):
        first = fitted(kind, {"scale": "standard"}, make(x), y, weights, **validation)
        other = fitted(kind, {"scale": "standard"}, make(x[KEPT]), y[KEPT], weights[KEPT], **validation)
        assert first.loss_curve_ == other.loss_curve_
        assert np.array_equal(first.predict(x), other.predict(x))


def test_the_statistics_are_those_of_scikit_learn():
    from sklearn.preprocessing import StandardScaler

    x, y, weights = data(MLPRegressor)
    model = fitted(MLPRegressor, {"scale": "standard"}, x, y, weights)
    (scaler,) = [layer.description for layer in model.models_[0].layers if hasattr(layer.description, "variance")]
    expected = StandardScaler().fit(x, sample_weight=(weights > 0).astype(float))
    assert np.allclose(scaler.mean, expected.mean_, rtol=1e-6)
    assert np.allclose(scaler.variance, expected.var_, rtol=1e-6)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_rows_of_weight_zero_change_no_bit_of_partial_fit(kind):
    x, y, weights = data(kind)
    models = [kind(hidden_layer_sizes=(8,), scale="standard", random_state=0) for _ in range(2)]
    more = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    for _ in range(3):
        models[0].partial_fit(x, y, weights, **more)
        models[1].partial_fit(x[KEPT], y[KEPT], weights[KEPT], **more)
    assert np.array_equal(models[0].predict(x), models[1].predict(x))
