"""After a fit that fails an estimator is as before: never the classes of one fit over the networks of another."""

import numpy as np
import pytest
from fastreg.sklearn import MLPClassifier, MLPRegressor
from sklearn.exceptions import NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 3))
LABELS = np.where(X[:, 0] > 0, "b", "a")
NUMBERS = X @ [1.0, -2.0, 0.5]
QUICK = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0}
BOTH = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])


def targets(kind):
    """Those of a first fit, and others."""
    if kind is MLPClassifier:
        return LABELS, np.digitize(X[:, 1], [-0.5, 0.5])
    return NUMBERS, np.stack([NUMBERS, X[:, 1]], axis=1)


FAILURES = {
    "other columns to validate on": ({}, {"X_val": X[:5, :2], "y_val": 0}, ValueError),
    "weights below 0": ({}, {"sample_weight": -np.ones(60)}, ValueError),
    "an unknown metric": ({"monitor": "acuracy", "early_stopping": True}, {}, ValueError),
    "a rate of the wrong kind": ({"learning_rate_init": "fast"}, {}, TypeError),
    "a batch of no rows": ({"batch_size": 0}, {}, ValueError),
    "a rate that diverges": ({"learning_rate_init": 1e30, "solver": "sgd"}, {}, ArithmeticError),
}


@BOTH
@pytest.mark.parametrize("name", FAILURES)
def test_a_fit_that_fails_changes_nothing(kind, name):
    params, given, error = FAILURES[name]
    first, second = targets(kind)
    if "y_val" in given:
        given = given | {"y_val": second[:5]}
    fitted = kind(**QUICK).fit(X, first)
    before, known = fitted.predict(X), {name: value for name, value in vars(fitted).items() if name.endswith("_")}
    with pytest.raises(error):
        fitted.set_params(**params).fit(X[:, :2] if name == "weights below 0" else X, second, **given)
    np.testing.assert_array_equal(fitted.predict(X), before)
    assert {name: value for name, value in vars(fitted).items() if name.endswith("_")} == known
    new = kind(**QUICK | params)
    with pytest.raises(error):
        new.fit(X, second, **given)
    with pytest.raises(NotFittedError):
        new.predict(X)
    assert new.set_params(**kind(**QUICK).get_params()).fit(X, second).n_features_in_ == 3


def test_a_partial_fit_that_fails_goes_on_where_it_was():
    classifier = MLPClassifier(**QUICK)
    with pytest.raises(ValueError, match="sample_weight"):
        classifier.partial_fit(X, LABELS, -np.ones(60), classes=["a", "b"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier.partial_fit(X, LABELS)
    straight = MLPClassifier(**QUICK)
    for _ in range(2):
        classifier.partial_fit(X, LABELS, classes=["a", "b"])
        straight.partial_fit(X, LABELS, classes=["a", "b"])
        with pytest.raises(ValueError, match=r"`y` has \['c'\]"):
            classifier.partial_fit(X, np.where(X[:, 1] > 1, "c", LABELS))
    np.testing.assert_array_equal(classifier.predict_proba(X), straight.predict_proba(X))


def test_the_message_of_a_loss_that_is_not_finite_says_which_weights_there_are():
    wild = {"learning_rate_init": 1e30, "solver": "sgd"}
    regressor = MLPRegressor(**QUICK | wild)
    with pytest.raises(ArithmeticError, match="The estimator is as it was before"):
        regressor.fit(X, NUMBERS)
    warm = MLPRegressor(**QUICK | {"warm_start": True}).fit(X, NUMBERS)
    with pytest.raises(ArithmeticError, match="The last finite weights are kept"):
        warm.set_params(**wild).fit(X, NUMBERS)
    assert all(np.isfinite(kernel).all() for kernel in warm.coefs_)


def test_intervals_stay_where_a_fit_fails_and_go_where_weights_change():
    regressor = MLPRegressor(**QUICK).fit(X, NUMBERS).conformalize(X, NUMBERS)
    before = regressor.predict_interval(X)
    with pytest.raises(ValueError, match="sample_weight"):
        regressor.fit(X, NUMBERS, -np.ones(60))
    np.testing.assert_array_equal(regressor.predict_interval(X), before)
    for again in (regressor.partial_fit, regressor.fit):
        again(X, NUMBERS)
        with pytest.raises(ValueError, match="predict_interval needs conformalize"):
            regressor.predict_interval(X)
        regressor.conformalize(X, NUMBERS)


def test_callbacks_are_torn_down_where_a_fit_fails():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")

    class Callback:
        torn_down = 0

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            self.torn_down += 1

        def on_fit_task_begin(self, estimator, context):
            if context.task_name == "epoch" and context.task_id == 1:
                raise RuntimeError("the second epoch begins")

        def on_fit_task_end(self, estimator, context):
            pass

    callback = Callback()
    classifier = MLPClassifier(**QUICK).set_callbacks(callback)
    with pytest.raises(RuntimeError, match="the second epoch begins"):
        classifier.fit(X, LABELS)
    assert callback.torn_down == 1
    assert vars(classifier) == vars(MLPClassifier(**QUICK).set_callbacks(callback))
