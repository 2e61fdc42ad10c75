"""``scale=`` beside scikit-learn's scalers: features of one value, features that are mostly 0, and sparse rows."""

import numpy as np
import pytest
from fastreg import layers
from fastreg.sklearn import MLPClassifier, MLPRegressor
from scipy import sparse
from sklearn.preprocessing import RobustScaler, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
N = 200
RARE = (RNG.uniform(size=N) < 0.1).astype(float)
X = np.stack([RNG.normal(size=N), 50.0 * RNG.normal(size=N) + 3.0, np.full(N, 7.1), RARE], axis=1)
Y = X[:, 0] + 2.0 * RARE
QUICK = {"hidden_layer_sizes": 6, "max_iter": 5, "random_state": 0}
SCALERS = {"standard": StandardScaler(), "robust": RobustScaler(unit_variance=True)}
WAYS = {"standard": "standard", "robust": "robust", "layer": layers.Normalization(),
        "robust layer": layers.Normalization(robust=True)}  # fmt: skip


def statistics(model):
    mean, variance = model.models_[0].layers[0].get_weights()
    return mean, variance


@pytest.mark.parametrize("way", WAYS)
def test_the_statistics_are_those_of_scikit_learn(way):
    """But for a feature whose quartiles are equal: its values would not be scaled there."""
    model = MLPRegressor(**QUICK, scale=WAYS[way]).fit(X, Y)
    mean, variance = statistics(model)
    scaler = SCALERS["robust" if "robust" in way else "standard"].fit(X)
    centre = scaler.center_ if "robust" in way else scaler.mean_
    np.testing.assert_allclose(mean, centre, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(variance[:2]), scaler.scale_[:2], rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(variance[2:]), [1.0, RARE.std()], rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_feature_of_one_value_and_a_rare_one_do_not_explode(kind, way):
    """They were divided by 1e-7."""
    y = Y if kind is MLPRegressor else (Y > 0.5).astype(int)
    model = kind(**QUICK, scale=WAYS[way]).fit(X, y)
    assert max(model.loss_curve_) < 10.0
    near = X + np.array([0.0, 0.0, 1e-3, 0.0])
    np.testing.assert_allclose(model.predict(near), model.predict(X), atol=5e-3)
    np.testing.assert_allclose(model.freeze()(near.astype(np.float32)), model.freeze()(X.astype(np.float32)), atol=5e-3)


def test_a_first_part_of_one_row_only_shifts():
    model = MLPRegressor(**QUICK, scale="standard")
    model.partial_fit(X[:1], Y[:1])
    mean, variance = statistics(model)
    np.testing.assert_array_equal(mean, X[0].astype(np.float32))
    np.testing.assert_array_equal(variance, np.ones(4))
    for _ in range(3):
        model.partial_fit(X, Y)
    assert model.loss_curve_[-1] < 1e4


@pytest.mark.parametrize("make", [
    lambda x: x, lambda x: x + 1e5, lambda x: x.astype(np.float32), lambda x: np.round(x).astype(np.int64),
    lambda x: x > 0.0,
], ids=["small", "far from 0", "float32", "integers", "bools"])  # fmt: skip
def test_sparse_rows_have_the_statistics_of_scikit_learn(make):
    x = make(np.where(RNG.uniform(size=X.shape) < 0.3, 0.0, X) + np.array([0.0, 0.0, 7.1, 0.0]))
    x[:, 2] = x[0, 2]
    mean, variance = statistics(MLPRegressor(**QUICK, scale="standard").fit(sparse.csr_array(x), Y))
    scaler = StandardScaler().fit(x.astype(np.float64))
    np.testing.assert_allclose(mean, scaler.mean_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance, scaler.scale_**2, rtol=1e-5)
