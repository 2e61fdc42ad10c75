"""Scores: names, directions and values of every form of ``scoring=``, beside NumPy and scikit-learn."""

import pickle
import sys

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, losses, metrics
from fastreg.search.folds.scoring import resolve

N, FEATURES = 120, 5
ROWS = np.arange(0, N, 2, dtype=np.uint32)


def data(kind, rng):
    x = rng.normal(size=(N, FEATURES)).astype(np.float32)
    raw = x[:, :3] + 0.5 * rng.normal(size=(N, 3))
    y = {
        "values": raw[:, 0],
        "two values": raw[:, :2],
        "binary": (raw[:, 0] > 0).astype(np.int64),
        "several yes/no": (raw > 0).astype(np.int64),
        "labels": raw.argmax(axis=1),
        "one-hot": np.eye(3)[raw.argmax(axis=1)],
    }[kind]
    return x, y


# kind: units, last activation, loss
KINDS = {
    "values": (1, "linear", "mse"),
    "two values": (2, "linear", "mse"),
    "binary": (1, "sigmoid", "binary_crossentropy"),
    "several yes/no": (3, "sigmoid", "binary_crossentropy"),
    "labels": (3, "softmax", "sparse_categorical_crossentropy"),
    "one-hot": (3, "softmax", "categorical_crossentropy"),
}


def trained(kind, rng, scoring, compiled=(), logits=False):
    """A model that was trained a little, its scoring, and data."""
    units, activation, loss = KINDS[kind]
    if logits:
        activation, loss = "linear", losses.get({"from_logits": True, "type": type(losses.get(loss)).__name__})
    model = fr.Sequential([layers.Dense(8, "relu"), layers.Dense(units, activation)], seed=3)
    model.compile("adam", loss, list(compiled))
    scores = resolve(scoring, model)
    scores.prepare(model)
    x, y = data(kind, rng)
    model.fit(x, y, epochs=5, verbose=0)
    return model, scores, x, y


def test_the_default_is_the_first_metric_or_the_loss():
    model = fr.Sequential([layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", ["mae", "accuracy"])
    assert resolve(None, model).directions == {"mae": "min"}
    model.compile("adam", "binary_crossentropy")
    assert resolve(None, model).directions == {"loss": "min"}
    assert resolve(None, model).primary == "loss"


CLASSIFY = [kind for kind in KINDS if not kind.endswith("values")]


@pytest.mark.parametrize(("kind", "logits"), [(k, False) for k in KINDS] + [(k, True) for k in CLASSIFY])
def test_metrics_that_the_model_lacks_are_compiled_in(kind, logits, rng):
    names = ["acc", "loss"] if kind == "labels" else ["mae", "mse", "loss"]
    model, scores, x, y = trained(kind, rng, names, logits=logits)
    assert scores.names == tuple(names)
    assert scores.direction == ("max" if names[0] == "acc" else "min")
    found = scores.score(model, x, y, ROWS)
    expected = model.evaluate(x[ROWS], y[ROWS], verbose=0, return_dict=True)
    assert found == {name: expected[name] for name in names}
    outputs, targets = model.predict(x[ROWS]), y[ROWS]
    if kind == "labels":
        assert found["acc"] == pytest.approx(np.mean(outputs.argmax(axis=1) == targets))
    else:
        assert found["mae"] == pytest.approx(np.abs(outputs - targets.reshape(outputs.shape)).mean(), rel=1e-5)


def test_metrics_that_the_model_has_stay_as_they_are(rng):
    model, scores, x, y = trained("binary", rng, ["loss", "hits"], [metrics.BinaryAccuracy(name="hits"), "mae"])
    assert [metric.name for metric in model.metrics] == ["hits", "mae"]
    assert scores.directions == {"loss": "min", "hits": "max"}
    assert set(scores.score(model, x, y, ROWS)) == {"loss", "hits"}


def test_compiling_again_changes_nothing_else(rng):
    _, scores, x, y = trained("binary", rng, ["accuracy", "mae"])
    again = fr.Sequential([layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")], seed=3)
    again.compile(fr.optimizers.SGD(0.1), "binary_crossentropy")
    scores.prepare(again)
    assert again.optimizer == fr.optimizers.SGD(0.1)
    assert again.loss == losses.BinaryCrossentropy()
    assert [metric.name for metric in again.metrics] == ["accuracy", "mae"]
    reference = fr.Sequential([layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")], seed=3)
    reference.compile(fr.optimizers.SGD(0.1), "binary_crossentropy")
    for model in (again, reference):
        model.fit(x, y, epochs=3, verbose=0)
    assert all(map(np.array_equal, again.get_weights(), reference.get_weights()))


SKLEARNS = {
    "values": ["r2", "neg_mean_squared_error", "neg_median_absolute_error"],
    "two values": ["r2", "neg_mean_absolute_error"],
    "binary": ["roc_auc", "f1", "neg_log_loss", "neg_brier_score", "average_precision", "balanced_accuracy"],
    "several yes/no": ["f1_macro", "average_precision", "roc_auc"],
    "labels": ["f1_macro", "roc_auc_ovr", "neg_log_loss", "top_k_accuracy", "balanced_accuracy"],
    "one-hot": ["f1_weighted", "roc_auc_ovo", "neg_log_loss"],
}


@pytest.mark.parametrize(("kind", "logits"), [(k, False) for k in KINDS] + [(k, True) for k in CLASSIFY])
def test_scikit_learns_scorers(kind, logits, rng):
    sk = pytest.importorskip("sklearn.metrics")
    names = SKLEARNS[kind]
    model, scores, x, y = trained(kind, rng, names, logits=logits)
    assert scores.directions == dict.fromkeys(names, "max")
    found = scores.score(model, x, y, ROWS)
    shares = model.predict(x[ROWS]).astype(np.float64)
    if logits:
        shares = 1 / (1 + np.exp(-shares)) if "yes" in kind or kind == "binary" else np.exp(shares)
    if kind in ("labels", "one-hot"):
        shares /= shares.sum(axis=1, keepdims=True)
    truth = y[ROWS].argmax(axis=1) if kind == "one-hot" else y[ROWS]
    column = shares[:, 0] if shares.shape[1] == 1 else shares
    answer = shares.argmax(axis=1) if kind in ("labels", "one-hot") else (column > 0.5).astype(int)
    compute = {
        "r2": lambda: sk.r2_score(truth, column),
        "neg_mean_squared_error": lambda: -sk.mean_squared_error(truth, column),
        "neg_mean_absolute_error": lambda: -sk.mean_absolute_error(truth, column),
        "neg_median_absolute_error": lambda: -sk.median_absolute_error(truth, column),
        "roc_auc": lambda: sk.roc_auc_score(truth, column),
        "roc_auc_ovr": lambda: sk.roc_auc_score(truth, column, multi_class="ovr"),
        "roc_auc_ovo": lambda: sk.roc_auc_score(truth, column, multi_class="ovo"),
        "average_precision": lambda: sk.average_precision_score(truth, column),
        "neg_log_loss": lambda: -sk.log_loss(truth, column),
        "neg_brier_score": lambda: -sk.brier_score_loss(truth, column),
        "top_k_accuracy": lambda: sk.top_k_accuracy_score(truth, column),
        "f1": lambda: sk.f1_score(truth, answer),
        "f1_macro": lambda: sk.f1_score(truth, answer, average="macro"),
        "f1_weighted": lambda: sk.f1_score(truth, answer, average="weighted"),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(truth, answer),
    }
    for name in names:
        assert found[name] == pytest.approx(compute[name](), rel=1e-6), name


def test_a_scorer_object_of_scikit_learn_sees_the_adapter(rng):
    sk = pytest.importorskip("sklearn.metrics")
    model, scores, x, y = trained("labels", rng, sk.make_scorer(sk.matthews_corrcoef))
    assert scores.names == ("matthews_corrcoef",)
    expected = sk.matthews_corrcoef(y[ROWS], model.predict(x[ROWS]).argmax(axis=1))
    assert scores.score(model, x, y, ROWS)["matthews_corrcoef"] == pytest.approx(expected)


def largest(model, x, y):
    """A scorer of one's own: gets the model itself, and rows."""
    assert isinstance(model, fr.Sequential)
    return np.float32(len(x) + np.asarray(y)[1])


def test_callables_with_a_direction(rng):
    model, scores, x, y = trained("labels", rng, {"a": largest, "b": (largest, "min"), "c": "accuracy"})
    assert scores.directions == {"a": "max", "b": "min", "c": "max"}
    found = scores.score(model, x, y, ROWS)
    assert found["a"] == found["b"] == len(ROWS) + y[ROWS][1]
    assert type(found["a"]) is float
    assert resolve(largest, model).names == ("largest",)
    assert resolve(lambda m, x, y: 0.0, model).names == ("score",)
    assert resolve((largest, "min"), model).directions == {"largest": "min"}


def test_a_scorer_must_give_a_number(rng):
    model, scores, x, y = trained("labels", rng, lambda m, x, y: {"a": 1.0})
    with pytest.raises(TypeError, match="scoring: score must give a number, got a dict"):
        scores.score(model, x, y, ROWS)
    scores = resolve(lambda m, x, y: None, model)
    with pytest.raises(TypeError, match="scoring: score must give a number, got None"):
        scores.score(model, x, y, ROWS)


def test_sample_weights_weigh_the_loss_only(rng):
    model, scores, x, y = trained("binary", rng, ["loss", "accuracy"])
    weights = np.linspace(0.0, 2.0, N).astype(np.float32)
    weighted, plain = scores.score(model, x, y, ROWS, sample_weight=weights), scores.score(model, x, y, ROWS)
    assert weighted["accuracy"] == plain["accuracy"]
    assert weighted["loss"] != plain["loss"]
    assert weighted["loss"] == model.evaluate(x[ROWS], y[ROWS], verbose=0, sample_weight=weights[ROWS])[0]


class Estimator:
    """The least that an estimator is."""

    def fit(self, x, y):
        return self

    def set_params(self, **params):
        return self

    def score(self, x, y):
        return float(np.sum(y))

    def predict(self, x):
        return np.zeros(len(x))


def test_estimators():
    x, y = np.zeros((N, 2)), np.arange(N, dtype=np.float64)
    scores = resolve(None, Estimator())
    assert scores.directions == {"score": "max"}
    assert scores.score(Estimator(), x, y, ROWS) == {"score": y[ROWS].sum()}
    scores = resolve({"own": lambda m, x, y: m.predict(x).sum() + len(y), "score": None}, Estimator())
    assert scores.score(Estimator(), x, y, ROWS) == {"own": len(ROWS), "score": y[ROWS].sum()}
    with pytest.raises(TypeError, match="a metric of fastreg scores Sequential models only"):
        resolve(metrics.MeanSquaredError(), Estimator())
    with pytest.raises(ValueError, match="scoring: must be given, since Silent has no score method"):
        resolve(None, type("Silent", (), {})())


def test_names_for_estimators_are_scikit_learns():
    linear = pytest.importorskip("sklearn.linear_model")
    x = np.arange(20.0)[:, None]
    model = linear.LinearRegression().fit(x, 2 * x[:, 0])
    scores = resolve(["r2", "neg_mean_squared_error"], model)
    found = scores.score(model, x, 2 * x[:, 0], np.arange(10, dtype=np.uint32))
    assert found["r2"] == pytest.approx(1.0)
    assert found["neg_mean_squared_error"] == pytest.approx(0.0, abs=1e-20)
    with pytest.raises(ValueError, match=r"unknown name 'rr2'; known: scikit-learn's scorers \(did you mean 'r2'"):
        resolve("rr2", model)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    model = fr.Sequential([layers.Dense(1)])
    model.compile("adam", "mse")
    assert resolve("mae", model).names == ("mae",)
    with pytest.raises(ValueError, match=r"unknown name 'max_error'; known: loss, acc, accuracy, .*mse"):
        resolve("max_error", model)
    with pytest.raises(ImportError, match="pip install scikit-learn, or give a callable"):
        resolve("max_error", Estimator())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acuracy", "unknown name 'acuracy'; known: loss, .*did you mean 'accuracy'"),
        ("val_accuracy", "did you mean 'accuracy'.*; scores are of the scored rows always, without val_"),
        ("", "unknown name ''"),
        (["mse", "mse"], "'mse' is there twice; a dict gives names of one's own"),
        ([], "must name one score at least"),
        ({}, "must name one score at least"),
        ((largest, "up"), "the direction of a callable must be 'max' or 'min', got 'up'"),
        ("sparse_categorical_accuracy", "does not go with MeanSquaredError"),
    ],
)
def test_bad_scoring(name, message):
    model = fr.Sequential([layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=message):
        resolve(name, model)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "scoring: must be a name, a metric, a callable or several of them, got 3"),
        (metrics.MeanSquaredError, "did you forget the parentheses"),
        ({1: "mse"}, "the keys of a dict must be names, got 1"),
        ([["mse"]], "must be a name"),
    ],
)
def test_bad_types(value, message):
    model = fr.Sequential([layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(TypeError, match=message):
        resolve(value, model)


def test_a_scoring_can_be_sent_to_another_process(rng):
    pytest.importorskip("sklearn.metrics")
    model, scores, x, y = trained("binary", rng, ["accuracy", "roc_auc", "loss"])
    sent = pickle.loads(pickle.dumps(scores))
    assert sent.score(model, x, y, ROWS) == scores.score(model, x, y, ROWS)


def test_names_of_this_library_do_not_import_scikit_learn():
    import subprocess

    code = (
        "import sys, fastreg as fr\n"
        "from fastreg.search.folds.scoring import resolve\n"
        "model = fr.Sequential([fr.layers.Dense(1)])\n"
        "model.compile('adam', 'mse')\n"
        "resolve(['mae', 'loss', 'mse'], model)\n"
        "assert not {'sklearn', 'scipy', 'pandas', 'optuna'} & set(sys.modules), sorted(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("compiled", [(), ("mae",), ("mae", "mse")])
def test_a_model_gets_the_metrics_that_it_lacks(compiled, rng):
    model, scores, x, y = trained("values", rng, ["mse", "mae"], compiled)
    errors = model.predict(x)[ROWS, 0].astype(np.float64) - y[ROWS]
    found = scores.score(model, x, y, ROWS)
    assert found == pytest.approx({"mse": np.mean(errors**2), "mae": np.mean(np.abs(errors))}, rel=1e-5)
