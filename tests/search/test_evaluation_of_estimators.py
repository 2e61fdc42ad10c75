"""One fold of one trial of an estimator that is not a network of fastreg."""

import pickle

import numpy as np
import pandas
import pyarrow
import pytest
from fastreg import callbacks
from fastreg.search import GridSearchCV, nested_cross_validate
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.evaluation import Task, evaluate, fold_seed, refit
from search_folds import PARAMS, N, X, Y, context, ok, same
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

# Estimators.


class Estimator:
    def __init__(self, random_state=None, value=0.0):
        self.random_state, self.value, self.weights = random_state, value, None

    def set_params(self, value):
        self.value = value
        return self

    def fit(self, x, y, sample_weight=None, flag=False):
        assert self.weights is None
        self.weights, self.rows, self.flag = sample_weight, len(x), flag
        return self

    def predict(self, x):
        return np.full(len(x), self.value)

    def score(self, x, y):
        return self.value + len(x) / 1000


def test_an_estimator_is_copied_set_fitted_and_scored():
    template = Estimator()
    weights = np.arange(N, dtype=np.float64)
    c = make_context(template, [{"value": 1.0}], X, Y, cv=3, fit_arguments={"sample_weight": weights, "flag": True})
    result = ok(evaluate(c, Task(2, 1, {"value": 4.0}, keep_model=True)))
    train, scored = c.folds[1]
    assert result.scores == {"score": 4.0 + len(scored) / 1000}
    assert np.array_equal(result.model.weights, weights[train])
    assert result.model.rows == len(train)
    assert result.model.flag is True
    assert result.model.random_state == fold_seed(0, 2, 1) % 2**32
    assert np.array_equal(result.predictions, np.full(len(scored), 4.0))
    assert template.weights is None
    assert template.random_state is None
    assert (result.epochs, result.history, result.best_epoch) == (0, None, None)
    refitted = ok(refit(c, Task(2, -1, {"value": 4.0})))
    assert refitted.model.rows == N


@pytest.mark.parametrize("kind", [list, tuple, pyarrow.array, pandas.Series])
def test_weights_of_rows_may_be_of_any_kind(kind):
    """As in scikit-learn's searches; of a list the estimator got all N weights with the rows of one fold."""
    weights = np.arange(N, dtype=np.float64)
    given = {"sample_weight": kind(weights.tolist()), "flag": [True, False]}
    c = make_context(Estimator(), [{"value": 1.0}], X, Y, cv=3, fit_arguments=given)
    result = ok(evaluate(c, Task(0, 1, {"value": 1.0}, keep_model=True)))
    assert np.array_equal(result.model.weights, weights[c.folds[1][0]])
    assert result.model.flag == [True, False]  # a list of another length is not one value per row


def test_a_search_over_a_search_takes_weights_in_a_list(rng):
    x = rng.normal(size=(60, 3))
    y, weights = x @ [1.0, 2.0, 3.0] + rng.normal(size=60), rng.uniform(size=60)
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 10.0]}, cv=KFold(3), seed=0)
    array, listed = (
        nested_cross_validate(search, x, y, cv=KFold(3), sample_weight=given)["test_score"]
        for given in (weights, weights.tolist())
    )
    plain = nested_cross_validate(search, x, y, cv=KFold(3))["test_score"]
    assert np.array_equal(array, listed)
    assert not np.array_equal(array, plain)


def test_a_seed_of_the_estimators_own_is_kept():
    c = make_context(Estimator(random_state=3), [{"value": 1.0}], X, Y)
    assert ok(evaluate(c, Task(0, 0, {"value": 1.0}, keep_model=True))).model.random_state == 3


def test_build_may_give_an_estimator():
    c = make_context(lambda p: Estimator(value=p["v"]), [{"v": 1.0}], X, Y)
    result = ok(evaluate(c, Task(0, 0, {"v": 2.0}, keep_model=True)))
    assert result.model.value == 2.0
    assert result.model.random_state == fold_seed(0, 0, 0) % 2**32


def test_scikit_learns_pipelines():
    pytest.importorskip("sklearn")
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    template = make_pipeline(StandardScaler(), SGDClassifier())
    params = {"sgdclassifier__alpha": 0.01, "standardscaler": MinMaxScaler()}
    c = make_context(template, [params], X, Y, cv=StratifiedKFold(3), scoring=["accuracy", "f1"])
    results = [ok(evaluate(c, Task(0, fold, params, keep_model=True))) for fold in range(3)]
    fitted = results[0].model
    assert fitted[1].alpha == 0.01
    assert isinstance(fitted[0], MinMaxScaler)
    assert fitted[0] is not params["standardscaler"]
    assert not hasattr(params["standardscaler"], "scale_")
    states = [result.model[1].random_state for result in results]
    assert len(set(states)) == 3
    template.set_params(**params, sgdclassifier__random_state=5)
    fixed = make_context(template, [params], X, Y, cv=StratifiedKFold(3), scoring="accuracy")
    ours = [ok(evaluate(fixed, Task(0, fold, params))).scores["accuracy"] for fold in range(3)]
    assert ours == cross_val_score(template, X, Y, cv=StratifiedKFold(3)).tolist()


def test_a_data_frame_stays_one_for_estimators():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"), index=np.arange(N) + 1000)

    class Sees(Estimator):
        def fit(self, x, y):
            self.columns = list(x.columns)
            return self

    c = make_context(Sees(), [{"value": 1.0}], frame, pandas.Series(Y, index=frame.index))
    assert ok(evaluate(c, Task(0, 0, {"value": 1.0}, keep_model=True))).model.columns == list("abcd")
    plain = ok(evaluate(context(), Task(0, 0, PARAMS)))
    assert ok(evaluate(context(x=frame), Task(0, 0, PARAMS))).scores == plain.scores


def test_a_context_and_a_result_can_be_sent():
    c = context(preprocess="standard", fit_arguments={"callbacks": [callbacks.EarlyStopping()]})
    expected = ok(evaluate(c, Task(0, 0, PARAMS, keep_model=True)))
    sent = ok(evaluate(pickle.loads(pickle.dumps(c)), Task(0, 0, PARAMS, keep_model=True)))
    assert sent.scores == expected.scores
    back = pickle.loads(pickle.dumps(sent))
    assert same(back.model.get_weights(), expected.model.get_weights())
