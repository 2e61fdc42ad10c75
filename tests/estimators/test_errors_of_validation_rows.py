"""Errors about rows to validate on name the argument that the caller wrote, not X or y, which are right."""

import numpy as np
import pytest
from fastreg.sklearn import MLPClassifier, MLPRegressor, RealMLPClassifier, RealMLPRegressor
from scipy.sparse import csr_matrix

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
V, T = X[:20], Y[:20]
KINDS = {"regressor": MLPRegressor, "classifier": MLPClassifier, "realmlp": RealMLPRegressor, "real": RealMLPClassifier}


def with_bad(array, value, dtype=float):
    array = array.astype(dtype)
    array.flat[4] = value
    return array


FEATURES = {
    "infinity": with_bad(V, np.inf), "columns": V[:, :2], "1-D": V[:, 0], "3-D": V[None], "empty": V[:0], "number": 3,
    "complex": V + 1j, "text": with_bad(V, "a", object),
}  # fmt: skip
TARGETS = {
    "NaN": with_bad(T, np.nan), "infinity": with_bad(T, np.inf), "length": T[:5], "shape": np.c_[T, T],
    "text": np.array(["a"] * 20), "None": [None] * 20,
}  # fmt: skip


def refused(kind, X_val, y_val, named, **more):
    with pytest.raises((ValueError, TypeError)) as told:
        KINDS[kind](max_iter=1).fit(X, Y, X_val=X_val, y_val=y_val, **more)
    assert named in str(told.value), told.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", FEATURES)
def test_features(kind, bad):
    refused(kind, FEATURES[bad], T[: np.shape(FEATURES[bad])[0]] if bad == "empty" else T, "X_val")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", TARGETS)
def test_targets(kind, bad):
    refused(kind, V, TARGETS[bad], "y_val")


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
@pytest.mark.parametrize("bad", [with_bad(V, np.nan), csr_matrix(with_bad(V, np.nan)), with_bad(V, 1e300)])
def test_features_of_networks_that_take_no_missing_values(kind, bad):
    refused(kind, bad, T, "X_val")


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
@pytest.mark.parametrize("bad", [np.full(20, np.nan), -np.ones(20), np.ones(3), np.zeros(20), ["a"] * 20], ids=repr)
def test_weights(kind, bad):
    refused(kind, V, T, "sample_weight_val", sample_weight_val=bad)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_about_rows_to_train_on_keep_their_names(kind):
    bad = with_bad(X, np.inf)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        KINDS[kind](max_iter=1).fit(bad, Y, X_val=V, y_val=T)
