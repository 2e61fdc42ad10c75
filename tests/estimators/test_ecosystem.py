"""The estimators go where scikit-learn's go: pipelines, searches, ensembles, calibration, routing, callbacks."""

import os
import subprocess
import sys

import fastreg as fr
import numpy as np
import pytest
from fastreg.sklearn import MLPClassifier, MLPRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, _y = load_iris(return_X_y=True)
Y = load_iris().target_names[_y]
QUICK = {"hidden_layer_sizes": 8, "learning_rate_init": 0.05, "max_iter": 15, "random_state": 0, "batch_size": 16}


def test_a_pipeline_in_a_grid_search():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**QUICK))
    search = GridSearchCV(pipeline, {"mlpclassifier__dropout": [0.0, 0.9], "mlpclassifier__alpha": [1e-4]}, cv=3)
    search.fit(X, Y)
    assert search.best_params_["mlpclassifier__dropout"] == 0.0
    assert search.best_score_ > 0.85
    assert set(search.predict(X)) <= set(Y)


def test_halving_by_epochs():
    search = HalvingRandomSearchCV(
        MLPClassifier(**QUICK), {"learning_rate_init": [1e-5, 0.05, 0.02], "l1": [0.0, 1e-3]}, resource="max_iter",
        max_resources=9, n_candidates=3, random_state=0, cv=2,
    )
    assert search.fit(X, Y).best_params_["learning_rate_init"] > 1e-5


def test_votes_calibration_and_curves():
    votes = VotingClassifier([("a", MLPClassifier(**QUICK)), ("b", LogisticRegression(max_iter=1000))], voting="soft")
    assert votes.fit(X, Y).score(X, Y) > 0.9
    calibrated = CalibratedClassifierCV(MLPClassifier(**QUICK), cv=3).fit(X, Y)
    assert calibrated.predict_proba(X).shape == (150, 3)
    assert (cross_val_predict(MLPClassifier(**QUICK), X, Y, cv=3) == Y).mean() > 0.8
    sizes, _, scores = learning_curve(MLPClassifier(**QUICK), X, Y, train_sizes=[0.3, 1.0], cv=3, shuffle=True,
                                      random_state=0)
    assert len(sizes) == 2
    assert np.isfinite(scores).all()
    found = cross_validate(MLPRegressor(**QUICK), X[:, :3], X[:, 3], cv=3, scoring=["r2", "neg_mean_absolute_error"])
    assert np.isfinite(found["test_r2"]).all()


def test_weights_and_validation_rows_are_routed():
    from sklearn import config_context

    weights = np.where(Y == "setosa", 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        weighted = MLPClassifier(**QUICK).set_fit_request(sample_weight=True, X_val=True, y_val=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, weighted, transform_input=["X_val"])
        pipeline.fit(X, Y, sample_weight=weights, X_val=X[:30], y_val=Y[:30])
    fitted = pipeline[-1]
    assert set(fitted.predict(StandardScaler().fit_transform(X))) == {"setosa"}
    direct = MLPClassifier(**QUICK).fit(pipeline[0].transform(X), Y, weights, X_val=pipeline[0].transform(X[:30]),
                                        y_val=Y[:30])
    assert fitted.validation_scores_ == direct.validation_scores_


def test_a_search_of_fastreg_takes_them():
    search = fr.search.GridSearch(MLPClassifier(**QUICK), {"dropout": [0.0, 0.9]}, cv=3, seed=0, verbose=0)
    search.fit(X, Y)
    assert search.best_params_ == {"dropout": 0.0}
    assert search.best_score_ > 0.7


class Recorder:
    """A callback that records its tasks, and ends the fit after some epochs."""

    def __init__(self, ends_after=None):
        self.tasks, self.scores, self.ends_after = [], [], ends_after

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(f"{context.task_name} {context.task_id} begins")

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.tasks.append(f"{context.task_name} {context.task_id} ends")
        assert (metadata or {}).keys() <= {"sample_weight"}
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, y))
            assert fitted_estimator.n_iter_ == context.task_id + 1
            assert fitted_estimator.n_iter_ == len(fitted_estimator.loss_curve_)
        return len(self.scores) == self.ends_after


def epochs(n, more=()):
    return [f"epoch {i} {what}" for i in range(n) for what in ("begins", "ends")]


def test_callbacks_see_every_epoch_and_a_model_as_of_then():
    pytest.importorskip("sklearn.callback")
    recorder = Recorder()
    fitted = MLPClassifier(**QUICK).set_callbacks(recorder).fit(X, Y)
    assert recorder.tasks == ["setup", "fit 0 begins", *epochs(15), "fit 0 ends", "teardown"]
    plain = MLPClassifier(**QUICK).fit(X, Y)
    np.testing.assert_array_equal(fitted.coefs_[0], plain.coefs_[0])
    assert recorder.scores[-1] == plain.score(X, Y) > recorder.scores[0]
    shorter = MLPClassifier(**QUICK | {"max_iter": 4}).fit(X, Y)
    assert recorder.scores[3] == shorter.score(X, Y)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_callback_ends_the_fit(sparse):
    pytest.importorskip("sklearn.callback")
    from scipy.sparse import csr_matrix

    recorder = Recorder(ends_after=3)
    fitted = MLPClassifier(**QUICK).set_callbacks(recorder).fit(csr_matrix(X) if sparse else X, Y)
    assert fitted.n_iter_ == 3
    assert recorder.tasks[2:-2] == epochs(3)


def test_each_of_several_networks_is_a_task():
    pytest.importorskip("sklearn.callback")
    recorder = Recorder()
    MLPClassifier(**QUICK | {"n_models": 2, "max_iter": 1}).set_callbacks(recorder).fit(X, Y)
    networks = [line for i in range(2) for line in (f"network {i} begins", *epochs(1), f"network {i} ends")]
    assert recorder.tasks == ["setup", "fit 0 begins", *networks, "fit 0 ends", "teardown"]


def test_callbacks_of_scikit_learn_work_alone_and_in_a_search():
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    MLPClassifier(**QUICK).set_callbacks(monitor).fit(X, Y, np.ones(len(X)))
    assert len(monitor.get_logs(select="most_recent").data) == QUICK["max_iter"] + 1
    inner = callback.ScoringMonitor(scoring="accuracy")
    estimator = MLPClassifier(**QUICK | {"max_iter": 2}).set_callbacks(inner)
    GridSearchCV(estimator, {"dropout": [0.0, 0.5]}, cv=2).fit(X, Y)
    assert np.isfinite([entry["accuracy"] for entry in inner.get_logs(select="most_recent").data]).all()


def test_without_callbacks_nothing_of_them_runs(monkeypatch):
    """Their module is not even loaded."""
    monkeypatch.delitem(sys.modules, "fastreg.sklearn.tasks", raising=False)
    MLPClassifier(**QUICK).fit(X, Y)
    assert "fastreg.sklearn.tasks" not in sys.modules


def test_the_package_is_loaded_when_it_is_used():
    """`import fastreg` loads no scikit-learn, and the package of this name does not hide the real one."""
    program = (
        "import sys, fastreg; assert 'sklearn' not in sys.modules; import fastreg.sklearn; "
        "assert 'sklearn' not in sys.modules; fastreg.sklearn.MLPClassifier; import sklearn; "
        "assert sklearn.__version__ and sys.modules['sklearn'] is not fastreg.sklearn"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_missing_without_scikit_learn_is_said():
    program = (
        "import sys; sys.modules['sklearn'] = None; import fastreg.sklearn\n"
        "try: fastreg.sklearn.MLPRegressor\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("fastreg.sklearn needs scikit-learn: pip install scikit-learn"), done.stderr
    assert "1.6 or later" in done.stdout
