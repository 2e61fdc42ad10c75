"""What users of scikit-learn's networks rely on holds for fastreg's estimators."""

import pickle

import fastreg as fr
import numpy as np
import pytest
import scipy.sparse as sp
from fastreg.sklearn import MLPClassifier, MLPRegressor
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
EPS = np.finfo(np.float32).eps
rng = np.random.default_rng(0)
X = rng.normal(size=(150, 4))
SIGNS = (X[:, 0] + X[:, 1] > 0).astype(int)
NAMES = np.array(["low", "middle", "upper"])[np.digitize(X[:, 0], [-0.5, 0.5])]
VALUES = X[:, 0] - 2 * X[:, 1]
QUICK = {"learning_rate_init": 0.02, "max_iter": 60, "random_state": 0}


def target(kind):
    return SIGNS if kind is MLPClassifier else VALUES


@pytest.mark.parametrize(("ours", "theirs"), [(MLPClassifier, TheirClassifier), (MLPRegressor, TheirRegressor)])
def test_the_parameters_of_scikit_learn_come_first_with_their_defaults(ours, theirs):
    if ours is MLPRegressor and "loss" not in theirs().get_params():
        pytest.skip("needs scikit-learn 1.7 or later")
    mine, known = (list(kind().get_params(deep=False).items()) for kind in (ours, theirs))
    assert {name: value for name, value in mine if name in dict(known)} == dict(known)
    names = ours.__init__.__code__.co_varnames[1:]
    assert list(names[: len(known)]) == [n for n in theirs.__init__.__code__.co_varnames[1:] if n in dict(known)]


@pytest.mark.parametrize("labels", [SIGNS, SIGNS > 0, NAMES, NAMES.astype(object), np.digitize(X[:, 0], [0]) * 7 - 3,
                                    np.where(SIGNS, "yes", "no"), SIGNS.astype(float)])
def test_labels_of_every_type_come_back(labels):
    classifier = MLPClassifier(**QUICK).fit(X, labels)
    found = classifier.predict(X)
    assert found.dtype == labels.dtype
    assert (found == labels).mean() > 0.9
    np.testing.assert_array_equal(classifier.classes_, np.unique(labels))
    shares = classifier.predict_proba(X)
    assert shares.shape == (len(X), len(classifier.classes_))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(classifier.classes_[shares.argmax(axis=1)], found)
    np.testing.assert_allclose(np.exp(classifier.predict_log_proba(X)), shares)


@pytest.mark.parametrize("sparse", [False, True])
def test_several_labels_of_a_row(sparse):
    x, y = make_multilabel_classification(n_samples=120, n_classes=4, random_state=0)
    classifier = MLPClassifier(**QUICK).fit(x, sp.csr_matrix(y) if sparse else y)
    assert classifier.out_activation_ == "logistic"
    np.testing.assert_array_equal(classifier.classes_, range(4))
    shares = classifier.predict_proba(x)
    np.testing.assert_array_equal(classifier.predict(x), shares > 0.5)
    assert classifier.score(x, y) > 0.8
    with pytest.raises(ValueError, match="4 columns, got 3"):
        classifier.set_params(warm_start=True).fit(x, y[:, :3])


def test_several_targets():
    x, y = make_regression(n_samples=100, n_targets=3, n_features=5, random_state=0)
    y /= y.std(axis=0)
    regressor = MLPRegressor(**QUICK).fit(x, y)
    assert regressor.predict(x).shape == y.shape
    assert regressor.score(x, y) > 0.9
    assert MLPRegressor(**QUICK).fit(x, y[:, 0]).predict(x).shape == (100,)


def test_one_class_is_always_predicted():
    classifier = MLPClassifier(**QUICK).fit(X, np.full(len(X), "only"))
    assert set(classifier.predict(X)) == {"only"}
    np.testing.assert_array_equal(classifier.predict_proba(X), np.ones((len(X), 1)))


@pytest.mark.parametrize(("y", "message"), [
    (VALUES, "Unknown label type: continuous"),
    (np.stack([np.digitize(X[:, 0], [-1, 0, 1]), np.digitize(X[:, 1], [-1, 0, 1])], axis=1), "should be a 1d array"),
])
def test_targets_that_are_no_classes_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**QUICK).fit(X, y)


@BOTH
def test_results_have_the_precision_of_the_rows(kind):
    fitted = kind(**QUICK).fit(X, target(kind))
    predict = fitted.predict_proba if kind is MLPClassifier else fitted.predict
    assert predict(X).dtype == np.float64
    assert predict(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(predict(X.astype(np.float32)), predict(X), atol=4 * EPS * np.abs(predict(X)).max())
    for array in (fitted.coefs_[0], fitted.intercepts_[0]):
        assert array.dtype == np.float32


@BOTH
@pytest.mark.parametrize("made", [sp.csr_matrix, sp.csc_matrix, sp.coo_array, sp.csr_array])
def test_sparse_rows_train_the_same_network(kind, made):
    """In their order: those of a shuffle are drawn by another generator."""
    params = QUICK | {"shuffle": False, "batch_size": 32, "max_iter": 5}
    thin = np.where(np.abs(X) > 0.5, X, 0.0)
    dense, sparse = kind(**params).fit(thin, target(kind)), kind(**params).fit(made(thin), target(kind))
    for a, b in zip(dense.coefs_, sparse.coefs_, strict=True):
        np.testing.assert_allclose(a, b, atol=16 * EPS)
    np.testing.assert_allclose(dense.loss_curve_, sparse.loss_curve_, rtol=16 * EPS)
    np.testing.assert_array_equal(sparse.predict(made(thin)), sparse.predict(thin))
    weights = rng.uniform(size=len(X))
    dense, sparse = (kind(**params).fit(x, target(kind), weights) for x in (thin, made(thin)))
    np.testing.assert_allclose(dense.coefs_[0], sparse.coefs_[0], atol=16 * EPS)


@BOTH
def test_sparse_rows_with_early_stopping_scaling_and_shuffling(kind):
    thin = np.where(np.abs(X) > 0.5, X, 0.0)
    params = QUICK | {"early_stopping": True, "scale": "standard", "dropout": 0.1}
    one, same = (kind(**params).fit(sp.csr_matrix(thin), target(kind)) for _ in range(2))
    np.testing.assert_array_equal(one.coefs_[0], same.coefs_[0])
    assert one.score(sp.csr_matrix(thin), target(kind)) > 0.7
    with pytest.raises(ValueError, match="for sparse X, got 'robust'"):
        kind(scale="robust").fit(sp.csr_matrix(thin), target(kind))


def test_sparse_rows_are_never_dense_all_at_once(monkeypatch):
    """The largest block that is made dense is a batch in training, and a bounded one in prediction."""
    from fastreg.sklearn import training

    seen, real = [], training._dense
    monkeypatch.setattr(training, "_dense", lambda rows: seen.append(rows.shape) or real(rows))
    monkeypatch.setattr(training, "_BLOCK", 4 * 5_000 * 50)
    wide = sp.random(400, 5_000, density=1e-3, format="csr", random_state=0)
    y = np.arange(400) % 2
    classifier = MLPClassifier(hidden_layer_sizes=2, max_iter=1, batch_size=50, early_stopping=True).fit(wide, y)
    classifier.predict(wide)
    assert max(rows for rows, _ in seen) == 50
    assert sum(rows for rows, _ in seen) == 360 + 40 + 400


@BOTH
def test_shuffling_and_the_seed(kind):
    def weights(**params):
        return kind(**QUICK | {"batch_size": 16, "max_iter": 2} | params).fit(X, target(kind)).coefs_[0]

    np.testing.assert_array_equal(weights(), weights())
    assert (weights() != weights(random_state=1)).any()
    assert (weights() != weights(shuffle=False)).any()
    np.testing.assert_array_equal(weights(random_state=np.random.RandomState(5)), weights(random_state=5))


@BOTH
def test_early_stopping_gives_back_the_best_weights(kind):
    y = np.where(rng.uniform(size=len(X)) < 0.3, 1 - SIGNS, SIGNS) if kind is MLPClassifier else VALUES + 2 * X[::-1, 2]
    fitted = kind(**QUICK | {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 200, "batch_size": 8})
    fitted.fit(X, y)
    assert fitted.n_iter_ < 200
    assert len(fitted.validation_scores_) == len(fitted.validation_loss_curve_) == fitted.n_iter_
    assert fitted.best_validation_score_ == max(fitted.validation_scores_) > fitted.validation_scores_[-1]
    assert fitted.best_loss_ is None
    again = kind(**fitted.get_params() | {"max_iter": int(np.argmax(fitted.validation_scores_)) + 1}).fit(X, y)
    np.testing.assert_array_equal(fitted.coefs_[0], again.coefs_[0])


@BOTH
def test_rows_of_ones_own_are_scored(kind):
    y = target(kind)
    fitted = kind(**QUICK).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    assert fitted.n_iter_ == len(fitted.validation_scores_) > 20
    assert fitted.validation_scores_[-1] == pytest.approx(fitted.score(X[100:], y[100:]))
    plain = kind(**QUICK).fit(X[:100], y[:100])
    np.testing.assert_array_equal(fitted.coefs_[0], plain.coefs_[0])
    assert plain.validation_scores_ is None
    weights = np.zeros(50)
    weights[:3] = 1.0
    few = kind(**QUICK).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:], sample_weight_val=weights)
    assert few.validation_scores_[-1] == pytest.approx(fitted.score(X[100:103], y[100:103]), abs=1e-12)
    stopped = kind(**QUICK | {"early_stopping": True, "max_iter": 300}).fit(
        X[:100], y[:100], X_val=X[100:], y_val=y[100:]
    )
    assert stopped.t_ == stopped.n_iter_ * 100
    few_labels = kind(**QUICK | {"warm_start": True}).fit(X, y)
    few_labels.fit(X, y, X_val=X[:2], y_val=y[:2])
    with pytest.raises(ValueError, match="X_val and y_val must be given both"):
        kind().fit(X, y, X_val=X)


def test_what_is_watched_can_be_any_metric():
    for monitor, best in (("auc", max), ("val_auc", max), ("loss", min), ("brier_score", min)):
        classifier = MLPClassifier(**QUICK | {"monitor": monitor, "early_stopping": True}).fit(X, SIGNS)
        assert classifier.best_validation_score_ == best(classifier.validation_scores_)
    assert classifier.validation_scores_ != classifier.validation_loss_curve_
    three = MLPClassifier(**QUICK | {"monitor": "categorical_crossentropy", "early_stopping": True}).fit(X, NAMES)
    np.testing.assert_allclose(three.validation_scores_, three.validation_loss_curve_, rtol=64 * EPS)
    with pytest.raises(ValueError, match="monitor: unknown metric 'acuracy'"):
        MLPClassifier(monitor="acuracy", early_stopping=True).fit(X, SIGNS)


@BOTH
def test_too_few_rows_to_validate(kind):
    with pytest.raises(ValueError, match="validation set is too small"):
        MLPRegressor(early_stopping=True).fit(X[:2], VALUES[:2])
    rare = np.zeros(30, int)
    rare[0] = 1
    with pytest.raises(ValueError, match="least populated class"):
        MLPClassifier(early_stopping=True).fit(X[:30], rare)
    MLPClassifier(early_stopping=True, max_iter=2).fit(X[:30], rare + 2 * (X[:30, 0] > 0))  # a class of one row


def test_a_run_that_diverges():
    wild = {"hidden_layer_sizes": 100, "activation": "identity", "solver": "sgd", "learning_rate_init": 1.0,
            "random_state": 0, "max_iter": 20}
    x, y = load_iris(return_X_y=True)
    with pytest.raises(FloatingPointError, match="training diverged"):
        MLPRegressor(**wild).fit(x, y)
    with pytest.warns(RuntimeWarning, match="training diverged"):
        kept = MLPRegressor(**wild, early_stopping=True).fit(x, y)
    assert np.isnan(kept.validation_scores_[-1])
    assert np.isfinite(kept.predict(x)).all()


@BOTH
def test_warnings_and_messages(kind, capsys):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        kind(max_iter=2).fit(X, target(kind))
    with pytest.warns(UserWarning, match="batch_size=500 is more than the 150 rows"):
        kind(max_iter=2, batch_size=500).fit(X, target(kind))
    wide = X * [1, 1, 1, 1e6]
    with pytest.warns(UserWarning, match=r"spreads of the features differ.*scale='standard'"):
        kind(max_iter=2).fit(wide, target(kind))
    kind(max_iter=2, scale="standard").fit(wide, target(kind))
    assert capsys.readouterr().out == ""
    kind(max_iter=2, verbose=True, early_stopping=True).fit(X, target(kind))
    out = capsys.readouterr().out
    assert "Iteration 1, loss = " in out
    assert out.count("Validation score: ") == 2
    kind(max_iter=99, verbose=True, tol=10.0, n_iter_no_change=1).fit(X, target(kind))
    assert capsys.readouterr().out.endswith("for 1 consecutive epochs. Stopping.\n")


@BOTH
def test_patience_without_end(kind):
    fitted = kind(max_iter=40, tol=100.0, n_iter_no_change=np.inf).fit(X, target(kind))
    assert fitted.n_iter_ == 40


@BOTH
def test_a_warm_start_takes_changed_parameters(kind):
    y = target(kind)
    cold = kind(**QUICK | {"max_iter": 4}).fit(X, y)
    warm = clone(cold).set_params(warm_start=True).fit(X, y)
    before = warm.coefs_[0]
    warm.set_params(max_iter=1, learning_rate_init=1e-6, alpha=0.0, dropout=0.0).fit(X, y)
    np.testing.assert_allclose(warm.coefs_[0], before, atol=2e-6)
    warm.set_params(l1=1e4, proximal=True, learning_rate_init=0.1).fit(X, y)
    assert (warm.coefs_[0] == 0).all()
    with pytest.raises(ValueError, match="the layers must stay as they are in warm_start"):
        warm.set_params(hidden_layer_sizes=(3, 3)).fit(X, y)
    with pytest.raises(ValueError, match="n_models must stay 1, got 2"):
        warm.set_params(hidden_layer_sizes=(100,), n_models=2).fit(X, y)
    with pytest.raises(ValueError, match="is expecting 4 features"):
        warm.set_params(n_models=1).fit(X[:, :3], y)


def test_a_warm_start_needs_the_same_classes():
    classifier = MLPClassifier(**QUICK | {"warm_start": True}).fit(X, NAMES)
    classifier.fit(X[::-1], NAMES[::-1])
    for y in (SIGNS, np.where(NAMES == "low", "lower", NAMES), np.where(NAMES == "low", "upper", NAMES)):
        with pytest.raises(ValueError, match="same classes as in the previous call to fit"):
            classifier.fit(X, y)


def test_partial_fit_of_a_classifier():
    classifier = MLPClassifier(**QUICK | {"learning_rate_init": 0.05})
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier.partial_fit(X, NAMES)
    low = NAMES == "low"
    classifier.partial_fit(X[low], NAMES[low], classes=["upper", "low", "middle"])
    np.testing.assert_array_equal(classifier.classes_, ["low", "middle", "upper"])
    for _ in range(60):
        for part in (slice(0, 75), slice(75, 150)):
            classifier.partial_fit(X[part], NAMES[part])
    assert classifier.score(X, NAMES) > 0.9
    assert len(classifier.loss_curve_) == 121
    with pytest.raises(ValueError, match=r"`y` has \['other'\]"):
        classifier.partial_fit(X, np.where(low, "other", NAMES))
    with pytest.raises(ValueError, match="not the same as on last call"):
        classifier.partial_fit(X, NAMES, classes=["low", "middle"])
    with pytest.raises(ValueError, match="does not support early_stopping"):
        classifier.set_params(early_stopping=True).partial_fit(X, NAMES)


def test_partial_fit_of_several_labels_and_with_class_weights():
    y = np.stack([SIGNS, 1 - SIGNS, X[:, 2] > 0], axis=1).astype(int)
    classifier = MLPClassifier(**QUICK)
    for _ in range(100):
        classifier.partial_fit(X, y, classes=[0, 1, 2])
    assert classifier.score(X, y) > 0.8
    balanced = MLPClassifier(class_weight="balanced")
    with pytest.raises(ValueError, match="'balanced' is not available in partial_fit"):
        balanced.partial_fit(X, SIGNS, classes=[0, 1])
    MLPClassifier(class_weight={0: 2.0}).partial_fit(X, SIGNS, classes=[0, 1])


@BOTH
def test_a_pickle_and_a_clone(kind):
    fitted = kind(**QUICK | {"n_models": 2, "scale": "robust"}).fit(X, target(kind))
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    loaded.partial_fit(X, target(kind))
    fitted.partial_fit(X, target(kind))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    with pytest.raises(AttributeError):
        fresh.coefs_  # noqa: B018


def test_names_of_columns_are_kept_and_compared():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    fitted = MLPRegressor(**QUICK).fit(frame, VALUES)
    np.testing.assert_array_equal(fitted.feature_names_in_, ["a", "b", "c", "d"])
    assert fitted.n_features_in_ == 4
    fitted.predict(frame)
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(frame[["b", "a", "c", "d"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        fitted.predict(X)
    early = MLPRegressor(**QUICK | {"early_stopping": True}).fit(frame, VALUES)  # its own rows have no names
    assert early.n_features_in_ == 4


def test_integers_and_bytes_are_taken_as_they_are():
    digits = load_digits()
    x = digits.data.astype(np.uint8)
    a = MLPClassifier(max_iter=3, random_state=0).fit(x, digits.target)
    b = MLPClassifier(max_iter=3, random_state=0).fit(x.astype(float), digits.target)
    np.testing.assert_array_equal(a.predict_proba(x), b.predict_proba(x.astype(float)))


def test_the_page_of_an_estimator_shows():
    html = MLPClassifier(dropout=0.5)._repr_html_()
    assert "dropout" in html
    assert repr(MLPRegressor(l1=0.5)) == "MLPRegressor(l1=0.5)"


def test_a_sequential_takes_labels_of_text():
    model = fr.Sequential([fr.layers.Dense(3, "softmax")], seed=0)
    model.compile(fr.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    model.fit(X, NAMES, epochs=60, verbose=0)
    assert (model.classes_[model.predict(X).argmax(axis=1)] == NAMES).mean() > 0.7
    model.compile("adam", "categorical_crossentropy")
    message = r"numpy.unique\(y, return_inverse=True\)\[1\] makes labels of it, and fastreg.sklearn.MLPClassifier takes"
    with pytest.raises(TypeError, match=message):
        model.fit(X, NAMES, verbose=0)
