"""scikit-learn's own checks of estimators pass, none of them as an expected failure.

As for scikit-learn's own networks, the checks that weights are the same as repetitions get an estimator of their own:
they compare predictions to a relative 1e-7, which float32 keeps only over steps that are small beside the weights. That
the steps are large enough to tell is a test here, too.
"""

import pytest
from fastreg.sklearn import MLPClassifier, MLPRegressor
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator

SMALL_STEP = {"solver": "sgd", "learning_rate_init": 1e-5, "max_iter": 1}
EQUIVALENCE = "check_sample_weight_equivalence"
WARNS = "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::sklearn.exceptions.SkipTestWarning"


def name_of(check):
    return getattr(check, "func", check).__name__


def checks():
    for estimator in (MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)):
        for given, check in estimator_checks_generator(estimator):
            own = name_of(check).startswith(EQUIVALENCE)
            used = clone(given).set_params(**SMALL_STEP) if own else given
            yield pytest.param(used, check, id=f"{type(estimator).__name__}-{name_of(check)}")


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
@pytest.mark.filterwarnings(*WARNS)
def test_the_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.filterwarnings(*WARNS)
def test_the_checks_of_weights_would_see_that_weights_are_ignored(kind):
    class Ignores(kind):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, y)

    with pytest.raises(AssertionError, match="not equivalent"):
        estimator_checks.check_sample_weight_equivalence_on_dense_data("Ignores", Ignores(**SMALL_STEP))
