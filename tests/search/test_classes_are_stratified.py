"""Every split of a search has its share of each class, in whatever form a model takes its classes."""

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers
from fastreg.search import GridSearch, cross_validate, nested_cross_validate
from fastreg.search.folds import cross_validation as cv
from fastreg.search.folds.dry_run import make_context
from fastreg.search.folds.stratification import class_labels, parts, share

N = 60
X = np.random.default_rng(0).normal(size=(N, 3))
RARE = np.zeros(N, np.int64)
RARE[[3, 7, 20, 21, 33, 34, 35, 50, 51, 58]] = 1  # 10 of 60
THREE = np.repeat([0, 1, 2], [30, 20, 10])
MANY = np.repeat(np.arange(120), 5)


class Classifier:
    """The least that says of itself that it is a classifier, as scikit-learn's did before its tags."""

    _estimator_type = "classifier"

    def __init__(self, a=0):
        self.a = a

    def get_params(self, deep=True):
        return {"a": self.a}

    def set_params(self, **params):
        vars(self).update(params)
        return self

    def fit(self, x, y):
        self.seen = y
        return self

    def score(self, x, y):
        return 0.5


class Regressor(Classifier):
    _estimator_type = "regressor"


def pandas(y, **kind):
    return pytest.importorskip("pandas").Series(y, **kind)


def texts(y):
    return np.array(["no", "yes", "perhaps"])[y]


FORMS = {
    "integers": lambda y: y,
    "unsigned": lambda y: y.astype(np.uint8),
    "floats": lambda y: y.astype(np.float64),
    "float32": lambda y: y.astype(np.float32),
    "whole floats from -1": lambda y: 2.0 * y - 1.0,
    "objects of integers": lambda y: y.astype(object),
    "objects of floats": lambda y: y.astype(np.float64).astype(object),
    "objects of NumPy's integers": lambda y: np.array(list(y), object),
    "text": texts,
    "objects of text": lambda y: texts(y).astype(object),
    "column of integers": lambda y: y[:, None],
    "column of floats": lambda y: y[:, None].astype(float),
    "column of objects": lambda y: y[:, None].astype(object),
    "list": lambda y: y.tolist(),
    "list of floats": lambda y: y.astype(float).tolist(),
    "series of floats": lambda y: pandas(y.astype(float)),
    "nullable integers": lambda y: pandas(y, dtype="Int64"),
    "categories of text": lambda y: pandas(texts(y), dtype="category"),
    "categories of floats": lambda y: pandas(y.astype(float), dtype="category"),
    "frame of floats": lambda y: pandas(y.astype(float)).to_frame(),
}
TWO = {
    "bools": lambda y: y.astype(bool),
    "objects of bools": lambda y: y.astype(bool).astype(object),
    "nullable bools": lambda y: pandas(y.astype(bool), dtype="boolean"),
}


def balanced(folds, labels):
    """Every class has its share of the scored rows, to within one row of it."""
    for train, scored in folds:
        assert len(np.intersect1d(train, scored)) == 0
        counts, whole = np.bincount(labels[scored], minlength=labels.max() + 1), np.bincount(labels)
        assert (np.abs(counts - whole * len(scored) / len(labels)) < 1.0 + 1e-9).all(), (counts, whole)


def same_folds(a, b):
    return [[side.tolist() for side in fold] for fold in a] == [[side.tolist() for side in fold] for fold in b]


SPLITS = [5, 2, 0.2, cv.KFold(3), cv.RepeatedKFold(5, 2), cv.HoldOut(0.3)]


@pytest.mark.parametrize("form", [*FORMS, *TWO])
@pytest.mark.parametrize("labels", [RARE, THREE], ids=["rare", "three"])
def test_classes_of_a_classifier_are_stratified_in_every_form(form, labels):
    if form in TWO and labels is THREE:
        return
    y = {**FORMS, **TWO}[form](labels)
    for split in SPLITS:
        c = make_context(Classifier(), [{"a": 1}], X, y, cv=split, seed=3)
        balanced(c.folds, labels)
        assert c.labels is not None
    if form in ("floats", "objects of integers", "column of floats"):
        expected = make_context(Classifier(), [{"a": 1}], X, labels, cv=5, seed=3).folds
        assert same_folds(make_context(Classifier(), [{"a": 1}], X, y, cv=5, seed=3).folds, expected)


def test_positives_are_dealt_out_evenly():
    for y in (RARE, RARE.astype(float), RARE.astype(object)):
        folds = make_context(Classifier(), [{"a": 1}], X, y, cv=5, seed=0).folds
        assert [int(RARE[scored].sum()) for _, scored in folds] == [2] * 5


@pytest.mark.parametrize("name", ["LogisticRegression", "make_pipeline", "GridSearchCV", "own"])
def test_what_is_a_classifier(name):
    linear = pytest.importorskip("sklearn.linear_model")
    from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    class Own(ClassifierMixin, BaseEstimator):
        def fit(self, x, y):
            return self

    logistic = linear.LogisticRegression()
    made = {
        "LogisticRegression": logistic,
        "make_pipeline": make_pipeline(StandardScaler(), logistic),
        "GridSearchCV": GridSearchCV(logistic, {"C": [1.0]}),
        "own": Own(),
    }[name]
    assert is_classifier(made)
    for build in (made, lambda params: type(made)(**made.get_params(deep=False))):
        c = make_context(build, [{}], X, RARE.astype(float), cv=5, seed=0, scoring=lambda model, x, y: 0.0)
        assert [int(RARE[scored].sum()) for _, scored in c.folds] == [2] * 5


def test_it_agrees_with_type_of_target():
    """scikit-learn stratifies for a classifier where `type_of_target` says "binary" or "multiclass"."""
    pytest.importorskip("sklearn")
    from sklearn.utils.multiclass import type_of_target

    # Of objects other than text it says "unknown", and scikit-learn's own classifiers refuse them.
    forms = [form(RARE) for name, form in {**FORMS, **TWO}.items() if "objects" not in name or "text" in name]
    forms += [RARE + 0.5, np.linspace(0, 1, N), np.stack([RARE, 1 - RARE], axis=1), MANY[:N], MANY[:N].astype(float)]
    for y in forms:
        stratified = type_of_target(y) in ("binary", "multiclass")
        assert (make_context(Classifier(), [{"a": 1}], X, y, cv=2, seed=0).labels is not None) == stratified, y


def test_a_classifier_may_have_many_classes():
    x = np.zeros((len(MANY), 2))
    for y in (MANY, MANY.astype(float), MANY.astype(object)):
        folds = make_context(Classifier(), [{"a": 1}], x, y, cv=5, seed=0).folds
        assert all((np.bincount(MANY[scored], minlength=120) == 1).all() for _, scored in folds)


@pytest.mark.parametrize("build", [Regressor(), lambda params: Regressor(params["a"])])
def test_floats_of_a_regressor_are_no_classes(build):
    assert make_context(build, [{"a": 1}], X, RARE.astype(float), cv=5, seed=0).labels is None
    assert make_context(build, [{"a": 1}], X, RARE + 0.25, cv=5, seed=0).labels is None


def test_splits_of_integer_labels_are_as_ever():
    """Known rows: what a journal or a paper says of a seed goes on to hold."""
    folds = make_context(Classifier(), [{"a": 1}], X[:12], np.array([0, 1] * 6), cv=3, seed=1).folds
    assert same_folds(folds, cv.make_folds(3, None, np.array([0, 1] * 6), seed=1))
    assert [scored.tolist() for _, scored in folds] == KNOWN


KNOWN = [[1, 2, 8, 11], [4, 7, 9, 10], [0, 3, 5, 6]]


# Networks: the loss says what targets are.


def network(loss, units=1):
    def build(params):
        model = fr.Sequential([layers.Dense(units, "sigmoid" if units == 1 else "softmax")])
        model.compile("adam", loss)
        params["a"]
        return model

    return build


NETWORKS = {
    "binary": ("binary_crossentropy", 1, RARE, lambda y: y),
    "binary, floats": ("binary_crossentropy", 1, RARE, lambda y: y.astype(np.float32)),
    "binary, column": ("binary_crossentropy", 1, RARE, lambda y: y[:, None].astype(float)),
    "binary, bools": ("binary_crossentropy", 1, RARE, lambda y: y.astype(bool)),
    "binary, objects": ("binary_crossentropy", 1, RARE, lambda y: y.astype(object)),
    "binary, column of objects": ("binary_crossentropy", 1, RARE, lambda y: y[:, None].astype(object)),
    "binary, nullable": ("binary_crossentropy", 1, RARE, lambda y: pandas(y, dtype="Int64")),
    "labels": ("sparse_categorical_crossentropy", 3, THREE, lambda y: y),
    "labels, floats": ("sparse_categorical_crossentropy", 3, THREE, lambda y: y.astype(float)),
    "labels, column": ("sparse_categorical_crossentropy", 3, THREE, lambda y: y[:, None]),
    "labels, objects": ("sparse_categorical_crossentropy", 3, THREE, lambda y: y.astype(object)),
    "one-hot": ("categorical_crossentropy", 3, THREE, lambda y: np.eye(3)[y]),
    "one-hot, float32": ("categorical_crossentropy", 3, THREE, lambda y: np.eye(3, dtype=np.float32)[y]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_classes_of_a_network_are_stratified_in_every_form(name):
    loss, units, labels, form = NETWORKS[name]
    for split in SPLITS:
        balanced(make_context(network(loss, units), [{"a": 1}], X, form(labels), cv=split, seed=3).folds, labels)
    scores = cross_validate(network(loss, units), X, form(labels), params={"a": 1}, cv=2, seed=0, epochs=1)
    assert np.isfinite(scores["test_score"]).all()


@pytest.mark.parametrize("y", [RARE, RARE.astype(float), np.stack([RARE, 1 - RARE], axis=1)])
def test_values_of_a_network_are_no_classes(y):
    units = 1 if y.ndim == 1 else 2
    assert make_context(network("mse", units), [{"a": 1}], X, y, cv=5, seed=0).labels is None


# Splits within and around a search.




@pytest.mark.parametrize("form", ["floats", "objects of integers", "column of floats"])
def test_rows_that_early_stopping_watches_have_their_share_of_each_class(form):
    c = make_context(
        network("binary_crossentropy"), [{"a": 1}], X, FORMS[form](RARE), cv=2, seed=0,
        fit_arguments={"callbacks": [callbacks.EarlyStopping("val_loss")], "validation_split": 0.4},
    )  # fmt: skip
    for fold, (train, _) in enumerate(c.folds):
        inner, held = cv.inner_split(train, 0.4, c.labels, seed=fold)
        assert RARE[held].sum() == 2
        assert RARE[inner].sum() == 3


@pytest.mark.parametrize(
    ("build", "y"),
    [
        (Classifier(), RARE.astype(float)),
        (Classifier(), RARE.astype(object)),
        (network("binary_crossentropy"), RARE.astype(np.float32)),
        (network("binary_crossentropy"), RARE[:, None].astype(float)),
        (lambda params: Classifier(params["a"]), RARE.astype(float)),
    ],
)
@pytest.mark.parametrize("split", [5, cv.RepeatedKFold(5, 1), 0.2])
def test_outer_folds_have_their_share_of_each_class(build, y, split, monkeypatch):
    seen = record_of_splits(monkeypatch)
    search = GridSearch(build, {"a": [1, 2]}, cv=2, seed=0, verbose=0, n_jobs=1)
    nested_cross_validate(search, X, y, cv=split)
    (outer,) = (folds for folds in seen if len(folds[0][0]) + len(folds[0][1]) == N)
    assert all(RARE[scored].sum() == 2 for _, scored in outer)


def record_of_splits(monkeypatch):
    """The folds that are made for the whole of the rows."""
    from fastreg.search import assess

    seen, make = [], assess.make_folds

    def recorded(*arguments):
        seen.append(make(*arguments))
        return seen[-1]

    monkeypatch.setattr(assess, "make_folds", recorded)
    return seen


def test_outer_folds_of_a_regression_are_not_stratified(monkeypatch):
    """As its inner ones: whole numbers are no classes where the loss says that they are values."""
    seen = record_of_splits(monkeypatch)
    nested_cross_validate(GridSearch(network("mse"), {"a": [1]}, cv=2, seed=0, verbose=0, n_jobs=1), X, RARE, cv=5)
    assert same_folds(seen[0], cv.make_folds(5, None, RARE, seed=0, classes=False))


# What deals them out.


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_right_to_within_a_row(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, size=97, p=[0.6, 0.25, 0.1, 0.05])
    labels = class_labels(labels, True)
    whole = np.bincount(labels)
    part = parts(97, 3, labels, seed, strict=False)
    for i in range(3):
        assert (np.abs(np.bincount(labels[part == i], minlength=len(whole)) - whole / 3) < 1).all()
    chosen = share(97, 0.3, labels, seed, "rows")
    assert (np.abs(np.bincount(labels[chosen], minlength=len(whole)) - whole * chosen.sum() / 97) <= 1).all()


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        (np.array([2, 10, 1], object), [1, 2, 0]),
        (np.array([True, False], object), [1, 0]),
        (np.array(["b", "a"], object), [1, 0]),
        (np.array([1, "a"], object), [0, 1]),
        (np.array([2.0, 1.0, 2.0]), [1, 0, 1]),
    ],
)
def test_labels_of_all_kinds(y, labels):
    assert class_labels(y, True).tolist() == labels
