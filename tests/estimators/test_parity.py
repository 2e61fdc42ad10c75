"""Trajectories are those of scikit-learn's networks: the same initial weights, batches, steps and stops.

scikit-learn computes in float64, fastreg in float32. A step rounds a weight and its moments to 2**-24 of their sizes,
and the tolerance is what this adds up to over the steps; an Adam step of a weight whose gradient nearly vanishes can be
off by more, up to the rate itself, so that its share of all steps counts.
"""

import inspect

import numpy as np
import pytest
from fastreg.sklearn import MLPClassifier, MLPRegressor
from sklearn import neural_network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# scikit-learn's networks have counts and weights of rows since 1.7.
TAKES_WEIGHTS = "sample_weight" in inspect.signature(neural_network.MLPRegressor.fit).parameters
EPS = 2.0**-24
N, FEATURES, BATCH = 120, 5, 30
_rng = np.random.default_rng(0)
X = _rng.normal(size=(N, FEATURES))
VALUES = X[:, 0] * X[:, 1] + 0.1 * _rng.normal(size=N)
TARGETS = {
    "one value": (MLPRegressor, neural_network.MLPRegressor, VALUES, {}),
    "three values": (MLPRegressor, neural_network.MLPRegressor, np.stack([VALUES, X[:, 2], -VALUES], axis=1), {}),
    "two classes": (MLPClassifier, neural_network.MLPClassifier, VALUES > 0, {}),
    "three classes": (MLPClassifier, neural_network.MLPClassifier, np.digitize(VALUES, [-0.3, 0.3]), {}),
    "two labels": (MLPClassifier, neural_network.MLPClassifier, np.stack([VALUES > 0, X[:, 2] > 0], axis=1) * 1, {}),
}
if TAKES_WEIGHTS:
    COUNTS = _rng.poisson(np.exp(X[:, 0]))
    TARGETS["counts"] = (MLPRegressor, neural_network.MLPRegressor, COUNTS, {"loss": "poisson"})
SOLVERS = {
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "without momentum": {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0.0},
    "plain momentum": {"solver": "sgd", "learning_rate_init": 0.01, "nesterovs_momentum": False},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.05, "power_t": 0.3},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.05, "n_iter_no_change": 1,
                 "tol": 0.1},
    "adam": {"solver": "adam", "learning_rate_init": 0.005},
}
COMMON = {"hidden_layer_sizes": (12, 6), "shuffle": False, "batch_size": BATCH, "max_iter": 12, "tol": 0.0,
          "random_state": 3, "alpha": 0.5}


def tolerance(theirs):
    """Rounding of each step, and for Adam steps of vanishing gradients; relative to the largest weight."""
    steps = theirs.n_iter_ * N // BATCH
    largest = max(float(np.abs(w).max()) for w in theirs.coefs_)
    amplified = 64.0 if theirs.solver == "adam" else 4.0  # rounding of a product over a batch, and of moments
    return amplified * steps * EPS * max(1.0, largest)


def both(kind, params, y, **fit):
    ours, theirs, _, extra = TARGETS[kind]
    params = COMMON | extra | params
    return ours(**params).fit(X, y, **fit), theirs(**params).fit(X, y, **fit)


def same(mine, theirs):
    limit = tolerance(theirs)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(mine, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=limit)
    assert mine.n_iter_ == theirs.n_iter_
    assert mine.t_ == theirs.t_
    assert mine.out_activation_ == theirs.out_activation_
    assert (mine.n_layers_, mine.n_outputs_) == (theirs.n_layers_, theirs.n_outputs_)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", TARGETS)
def test_the_weights_are_those_of_scikit_learn(kind, solver):
    y = TARGETS[kind][2]
    mine, theirs = both(kind, SOLVERS[solver], y)
    same(mine, theirs)
    predict = "predict" if kind in ("one value", "three values", "counts") else "predict_proba"
    outputs, expected = getattr(mine, predict)(X), getattr(theirs, predict)(X)
    assert outputs.shape == expected.shape
    assert outputs.dtype == expected.dtype
    np.testing.assert_allclose(outputs, expected, atol=40 * tolerance(theirs) * np.abs(expected).max())


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_activations_and_what_initial_weights_depend_on(activation):
    same(*both("one value", SOLVERS["sgd"] | {"activation": activation}, VALUES))


@pytest.mark.parametrize("kind", ["one value", "three values", "three classes", "two labels"])
def test_the_loss_curve_is_that_of_scikit_learn(kind):
    mine, theirs = both(kind, SOLVERS["sgd"] | {"alpha": 0.0}, TARGETS[kind][2])
    np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=64 * EPS * len(mine.loss_curve_))
    if kind == "three values":  # the penalty is divided by the number of outputs, as in the gradient
        return
    mine, theirs = both(kind, SOLVERS["sgd"], TARGETS[kind][2])
    np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=64 * EPS * len(mine.loss_curve_))


@pytest.mark.skipif(not TAKES_WEIGHTS, reason="needs scikit-learn 1.7 or later")
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("kind", ["one value", "three classes"])
def test_weights_of_rows_and_the_penalty_beside_them(kind, solver):
    """One batch of all rows: both libraries then divide by the sum of all weights."""
    weights = np.random.default_rng(1).uniform(0.0, 5.0, N)
    mine, theirs = both(kind, SOLVERS[solver] | {"batch_size": N, "alpha": 5.0}, TARGETS[kind][2],
                        sample_weight=weights)
    same(mine, theirs)


@pytest.mark.parametrize("kind", ["one value", "two classes", "two labels"])
def test_early_stopping_holds_out_the_same_rows(kind):
    params = SOLVERS["adam"] | {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 2,
                                "tol": 1e-3, "max_iter": 30, "batch_size": 15}
    mine, theirs = both(kind, params, TARGETS[kind][2])
    same(mine, theirs)
    assert mine.best_loss_ is None
    np.testing.assert_allclose(mine.validation_scores_, theirs.validation_scores_, atol=1e-4)
    assert mine.best_validation_score_ == max(mine.validation_scores_)


@pytest.mark.parametrize("params", [{"tol": 0.02}, {"tol": 0.001, "n_iter_no_change": 2}, {"solver": "sgd"}])
def test_the_run_ends_after_the_same_epoch(params):
    mine, theirs = both("one value", {"max_iter": 200, "tol": 0.01, "n_iter_no_change": 3} | params, VALUES)
    assert 3 < mine.n_iter_ == theirs.n_iter_ < 200
    assert mine.best_loss_ == min(mine.loss_curve_)
    assert mine.loss_ == mine.loss_curve_[-1]


def test_an_adaptive_rate_falls_at_the_same_epochs():
    mine, theirs = both("one value", SOLVERS["adaptive"], VALUES)
    rate = mine.models_[0].learning_rate
    assert rate < 0.05
    assert rate == pytest.approx(theirs._optimizer.learning_rate, rel=4 * EPS)


@pytest.mark.parametrize("solver", ["sgd", "invscaling", "adam"])
def test_partial_fit_and_warm_starts_go_on_in_the_same_way(solver):
    params = COMMON | SOLVERS[solver]
    mine, theirs = MLPRegressor(**params), neural_network.MLPRegressor(**params)
    for part in (slice(0, 60), slice(60, 120), slice(30, 90)):
        for estimator in (mine, theirs):
            estimator.partial_fit(X[part], VALUES[part])
    same(mine, theirs)
    assert len(mine.loss_curve_) == 3
    mine, theirs = (kind(**params | {"warm_start": True, "max_iter": 3}) for kind in (MLPRegressor,
                    neural_network.MLPRegressor))
    for _ in range(2):
        for estimator in (mine, theirs):
            estimator.fit(X, VALUES)
    same(mine, theirs)
    assert mine.n_iter_ == 3
    assert len(mine.loss_curve_) == 6
