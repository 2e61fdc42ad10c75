"""What a fit is given beside rows: weights of classes in every form, other targets, targets to validate on."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fastreg.sklearn import MLPClassifier, MLPRegressor, RealMLPClassifier, RealMLPRegressor
from scipy import sparse
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.utils.class_weight import compute_sample_weight

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(90, 3))
SIGNS = (X[:, 0] > 0).astype(int)
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
MATRIX = np.eye(3, dtype=int)[THREE]
VALUES = X @ [1.0, -2.0, 0.5]
QUICK = {"hidden_layer_sizes": 6, "max_iter": 4, "random_state": 0, "learning_rate_init": 0.05}


def fitted(y=THREE, sample_weight=None, **params):
    return MLPClassifier(**QUICK | params).fit(X, y, sample_weight)


@pytest.mark.parametrize("weights", [{0: 3.0}, {2: 0.5, 1: 4, 0: 1.0}, {1: np.float64(2.0), 0: 0.0, 7: 5.0, 2: 1}])
def test_weights_of_classes_are_those_of_scikit_learn(weights):
    names = np.array([f"name {i}" for i in range(8)])
    for y, given in ((THREE, weights), (names[THREE], {names[label]: weight for label, weight in weights.items()})):
        by_row = compute_sample_weight(given, y)
        np.testing.assert_array_equal(fitted(y, class_weight=given).coefs_[0], fitted(y, by_row).coefs_[0])


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("weights", ["balanced", {0: 4.0}])
def test_a_column_of_labels_has_weights_of_classes_as_well(weights):
    expected = fitted(class_weight=weights).coefs_[0]
    for column in (THREE[:, None], pd.DataFrame({"y": THREE}), pl.DataFrame({"y": THREE})):
        np.testing.assert_array_equal(fitted(column, class_weight=weights).coefs_[0], expected)


def test_parts_without_the_class_that_has_a_weight_are_taken():
    """As by scikit-learn's estimators, whose partial_fit knows all classes."""
    some = THREE != 2
    SGDClassifier(class_weight={2: 5.0}).partial_fit(X[some], THREE[some], classes=[0, 1, 2])
    weighted, plain = (MLPClassifier(**QUICK, class_weight=given) for given in ({2: 5.0}, None))
    for rows in (some, ~some):
        weighted.partial_fit(X[rows], THREE[rows], classes=[0, 1, 2])
        plain.partial_fit(X[rows], THREE[rows], np.where(THREE[rows] == 2, 5.0, 1.0), classes=[0, 1, 2])
    np.testing.assert_array_equal(weighted.coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize(("given", "error", "message"), [
    ({0: -1.0, 1: 5.0}, ValueError, r"class_weight\[0\] must be >= 0, got -1"),
    ({0: np.nan}, ValueError, r"class_weight\[0\] must be >= 0, got nan"),
    ({0: np.inf}, ValueError, r"class_weight\[0\] must be"),
    ({0: None}, TypeError, r"class_weight\[0\] must be a number, got None"),
    ({0: "2"}, TypeError, r"class_weight\[0\] must be a number, got '2'"),
    ({0: 0, 1: 0, 2: 0}, ValueError, "class_weight: must not be zero for every row to train on"),
    ({9: 2.0}, ValueError, r"class_weight must name classes that there are, \[0, 1, 2\], got \[9\]"),
    ({"0": 2.0}, ValueError, r"class_weight must name classes that there are, \[0, 1, 2\], got \['0'\]"),
    ([1.0, 2.0, 1.0], ValueError, "class_weight must be 'balanced', a dict from labels to weights or None"),
    ("auto", ValueError, "class_weight must be 'balanced', a dict from labels to weights or None, got 'auto'"),
    (2.0, ValueError, "class_weight must be 'balanced'"),
])  # fmt: skip
def test_weights_of_classes_that_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        fitted(class_weight=given)


@pytest.mark.parametrize("options", [
    {"scale": "standard"}, {"scale": "robust"}, {"scale": "standard", "batch_size": 16, "batch_normalization": True},
    {"scale": "standard", "n_models": 2},
], ids=str)  # fmt: skip
def test_a_class_of_weight_zero_is_as_if_its_rows_weighed_nothing(options):
    far = np.where((THREE == 1)[:, None], 1e6 * X, X)
    weights = np.where(THREE == 1, 0.0, 1.0)
    by_class = MLPClassifier(**QUICK | options, class_weight={1: 0.0}).fit(far, THREE)
    by_row = MLPClassifier(**QUICK | options).fit(far, THREE, weights)
    assert by_class.loss_curve_ == by_row.loss_curve_
    np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    (scaler,) = [layer.description for layer in by_class.models_[0].layers if hasattr(layer.description, "variance")]
    kept = far[THREE != 1]
    centre = np.median(kept, axis=0) if options["scale"] == "robust" else kept.mean(axis=0)
    np.testing.assert_allclose(scaler.mean, centre, rtol=1e-5, atol=1e-6)


def test_weights_above_zero_do_not_weigh_in_the_scaling():
    """As in a pipeline of scikit-learn whose weights go to its last step."""
    weighted = fitted(sample_weight=np.linspace(0.1, 9.0, 90), scale="standard")
    mean, variance = weighted.models_[0].layers[0].get_weights()
    np.testing.assert_allclose(mean, X.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(variance, X.var(axis=0), rtol=1e-5)


def test_labels_and_indicator_matrices_do_not_take_turns():
    for first, second, message in (
        (MATRIX, THREE, "must be an indicator matrix with 3 columns, .* got shape \\(90,\\)"),
        (THREE, MATRIX, "must be one label for each row, .* got shape \\(90, 3\\)"),
        (SIGNS, MATRIX[:, :2], "must be one label for each row, .* got shape \\(90, 2\\)"),
        (MATRIX, MATRIX[:, :2], "must have 3 columns, got 2"),
    ):
        classifier = fitted(first, warm_start=True)
        with pytest.raises(ValueError, match="y: " + message):
            classifier.fit(X, second)
        with pytest.raises(ValueError, match="y: " + message):
            classifier.partial_fit(X, second)
        with pytest.raises(ValueError, match="y_val: " + message):
            MLPClassifier(**QUICK).fit(X, first, X_val=X, y_val=second)


@pytest.mark.parametrize("rows", [X, sparse.csr_array(X)], ids=["dense", "sparse"])
def test_an_indicator_matrix_is_of_zeros_and_ones(rows):
    for y, values in ((2 * MATRIX, r"\[0.0, 2.0\]"), (2 * MATRIX - 1, r"\[-1.0, 1.0\]")):
        with pytest.raises(ValueError, match="y: an indicator matrix must be of 0 and 1, got " + values):
            MLPClassifier(**QUICK).fit(rows, y)


@pytest.mark.parametrize(("y_val", "error", "message"), [
    (np.r_[np.nan, VALUES[1:]], ValueError, "y_val contains NaN"),
    (np.array([None, *VALUES[1:]]), ValueError, "y_val: must be finite numbers, got NaN in row 0"),
    (np.r_[VALUES[:-1], 1e300], ValueError, "y_val: must be within the range of float32.*got 1e.300"),
    (np.full(90, "a"), TypeError, "y_val: must be numbers, but it holds text: 'a' in row 0"),
    (np.stack([VALUES, VALUES], axis=1), ValueError, "y_val: must have 1 columns, got 2"),
    (sparse.csr_array(VALUES[:, None]), TypeError, "y_val: sparse matrices are not supported, got csr_array"),
])  # fmt: skip
def test_targets_to_validate_on_are_named(y_val, error, message):
    with pytest.raises(error, match=message):
        MLPRegressor(**QUICK).fit(X, VALUES, X_val=X, y_val=y_val)


def test_further_targets_and_weights_that_are_refused():
    with pytest.raises(ValueError, match=r"`y_val` has \[2\]"):
        MLPClassifier(**QUICK).fit(X, SIGNS, X_val=X, y_val=THREE)
    with pytest.raises(ValueError, match="y_val contains NaN"):
        MLPClassifier(**QUICK).fit(X, SIGNS, X_val=X, y_val=np.r_[np.nan, SIGNS[1:]])
    with pytest.raises(ValueError, match="sample_weight_val: must be None without X_val"):
        MLPClassifier(**QUICK).fit(X, SIGNS, sample_weight_val=np.ones(90))
    for y in (sparse.csr_array(VALUES[:, None]), sparse.csr_matrix(np.stack([VALUES, VALUES], axis=1))):
        with pytest.raises(TypeError, match="y: sparse matrices are not supported, got csr_"):
            MLPRegressor(**QUICK).fit(X, y)


def test_the_only_class_is_always_right():
    one = np.zeros(90, int)
    watched = MLPClassifier(**QUICK).fit(X, one, X_val=X, y_val=one)
    assert watched.validation_scores_ == [watched.score(X, one)] * 4 == [1.0] * 4
    assert MLPClassifier(**QUICK, early_stopping=True).fit(X, one).best_validation_score_ == 1.0


def test_a_lazy_frame_is_told_to_collect():
    lazy = pl.DataFrame(X, schema=["a", "b", "c"]).lazy()
    model = fitted(SIGNS)
    calls = [lambda: MLPClassifier().fit(lazy, SIGNS), lambda: model.predict(lazy),
             lambda: model.fit(X, SIGNS, X_val=lazy, y_val=SIGNS)]
    for call in calls:
        with pytest.raises(TypeError, match=r"got a LazyFrame, which has no rows yet; call its collect\(\)"):
            call()


def test_sparse_targets_of_realmlp_are_refused():
    for kind, y in ((RealMLPRegressor, VALUES[:, None]), (RealMLPClassifier, SIGNS[:, None])):
        with pytest.raises(TypeError, match=rf"{kind.__name__}: y must be an array, got a sparse csr_array; call its"):
            kind().fit(X, sparse.csr_array(y))


def test_the_random_state_of_realmlp_is_named():
    with pytest.raises(ValueError, match=r"RealMLPClassifier: random_state must be None, an int in \[0, 2\*\*32\)"):
        RealMLPClassifier(random_state=np.random.default_rng(0)).fit(X, SIGNS)


def test_scikit_learn_refuses_the_same_weights_of_classes():
    """Weights of labels that are no classes are refused there, too, unless all classes have some."""
    with pytest.raises(ValueError, match="not in class_weight"):
        LogisticRegression(class_weight={9: 2.0}).fit(X, THREE)
    LogisticRegression(class_weight={0: 1.0, 1: 1.0, 2: 1.0, 9: 2.0}).fit(X, THREE)


def test_targets_of_conformalize_may_have_every_form_of_numbers():
    model = MLPRegressor(**QUICK).fit(X, VALUES)
    expected = model.conformalize(X, VALUES).predict_interval(X)
    nullable = pd.Series(VALUES, dtype="Float64", index=np.arange(90)[::-1])
    for y in (VALUES[:, None], VALUES.tolist(), nullable, pl.Series(VALUES), VALUES.astype(object)):
        np.testing.assert_array_equal(model.conformalize(X, y).predict_interval(X), expected)


@pytest.mark.parametrize(("y", "error", "message"), [
    (pd.Series(pd.date_range("2024-01-01", periods=90)), TypeError, "y: must be numbers, but it holds dates"),
    (VALUES + 1j, TypeError, "y: must be real numbers, got complex128"),
    (np.full(90, "a"), TypeError, "y: must be numbers, but it holds text: 'a' in row 0"),
    (sparse.csr_array(VALUES[:, None]), TypeError, "y: sparse matrices are not supported"),
    (None, TypeError, "y: must be numbers, got None"),
    (VALUES[:0], ValueError, r"y: must have shape \(90,\), as the predictions for X, got \(0,\)"),
    (pd.Series(VALUES, dtype="Float64").where(X[:, 0] > 0), ValueError, "y: must be finite numbers, got NaN in"),
])  # fmt: skip
def test_targets_of_conformalize_that_are_no_numbers_are_refused(y, error, message):
    """Dates were numbers of nanoseconds, and complex numbers their real parts."""
    with pytest.raises(error, match=message):
        MLPRegressor(**QUICK).fit(X, VALUES).conformalize(X, y)


# RealMLP takes no weights, and to it masked cells of X are missing.
REFUSED = [(kind, name) for kind in (MLPClassifier, MLPRegressor)
           for name in ("X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val")]
REFUSED += [(kind, name) for kind in (RealMLPClassifier, RealMLPRegressor) for name in ("y", "y_val")]


@pytest.mark.parametrize(("kind", "name"), REFUSED)
def test_masked_values_are_refused(kind, name):
    """scikit-learn's checks drop the mask, so that what is under it would be trained on."""
    y = SIGNS if kind.__name__.endswith("Classifier") else VALUES
    given = {"X": X, "y": y, "X_val": X, "y_val": y}
    if kind in (MLPClassifier, MLPRegressor):
        given |= {"sample_weight": np.ones(90), "sample_weight_val": np.ones(90)}
    made = kind(hidden_layer_sizes=4, max_iter=1, random_state=0)
    nothing_masked = {key: np.ma.masked_array(value) for key, value in given.items()}
    np.testing.assert_array_equal(made.fit(**nothing_masked).predict(X), made.fit(**given).predict(X))
    masked = np.ma.masked_array(given[name], mask=np.zeros_like(given[name], bool))
    masked[3] = np.ma.masked
    with pytest.raises(ValueError, match=rf"^{name}: masked values are not supported"):
        made.fit(**given | {name: masked})
    if name == "X":
        with pytest.raises(ValueError, match=r"^X: masked values are not supported"):
            made.predict(masked)


@pytest.mark.parametrize("form", ["TD-S", "TD"])
@pytest.mark.parametrize("kind", [int, float, object])
def test_masked_cells_of_realmlp_are_missing(kind, form):
    hidden = np.random.default_rng(1).random(X.shape) < 0.2
    rows = (10 * X).astype(kind)
    made = RealMLPRegressor(4, form=form, max_iter=2, random_state=0, categorical_features=[2])
    absent = rows.astype(object)
    absent[hidden] = None
    expected = made.fit(absent, VALUES).predict(absent)
    rows[hidden] = 10**6  # under a mask it must not count
    masked = np.ma.masked_array(rows, mask=hidden)
    np.testing.assert_array_equal(made.fit(masked, VALUES).predict(masked), expected)
    assert not np.array_equal(made.fit(rows, VALUES).predict(rows), expected)
