"""Searches of networks with strings as labels: the same as with the numbers that stand for them."""

import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import search as fs

NAMES = {2: np.array(["no", "yes"]), 3: np.array(["Zug", "bus", "äpfel"])}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3)).astype(np.float32)
NUMBERS = {2: (X[:, 0] > 0).astype(int), 3: (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)}
TEXTS = {n: names[NUMBERS[n]] for n, names in NAMES.items()}
GRID = {"learning_rate": [0.01, 0.1]}


def model_of(n, loss=None, units=None):
    units = (1 if n == 2 else n) if units is None else units
    model = fr.Sequential([fr.layers.Dense(units, "sigmoid" if n == 2 else "softmax")], seed=0)
    usual = "binary_crossentropy" if n == 2 else "sparse_categorical_crossentropy"
    model.compile("adam", usual if loss is None else loss, ["accuracy"])
    return model


def searched(n, y, fit=None, **options):
    search = fs.GridSearch(model_of(n), GRID, **{"cv": 3, "seed": 0, "verbose": 0, **options})
    return search.fit(X, y, epochs=3, **(fit or {}))


def scores_of(search):
    return {name: column.tolist() for name, column in search.results_.items() if "score" in name and "time" not in name}


def f1(positive):
    metrics = pytest.importorskip("sklearn.metrics")
    return metrics.make_scorer(metrics.f1_score, pos_label=positive)


def own(model, x, y):
    """A score of one's own, which gets the targets as they were given."""
    outputs = model.predict(x)
    found = (outputs[:, 0] > 0.5).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    named = model.classes_[found] if np.asarray(y).dtype.kind in "OU" else found
    return float(np.mean(named == np.asarray(y)))


FORMS = {
    "array": np.array,
    "objects": lambda y: y.astype(object),
    "list": lambda y: y.tolist(),
    "pandas": lambda y: pytest.importorskip("pandas").Series(y, index=np.arange(len(y))[::-1]),
    "pandas categories": lambda y: pytest.importorskip("pandas").Series(y, dtype="category"),
    "polars": lambda y: pytest.importorskip("polars").Series(y.tolist()),
    "arrow": lambda y: (pa := pytest.importorskip("pyarrow")).chunked_array([pa.array(y[:20]), pa.array(y[20:])]),
    "strings of NumPy": lambda y: y.astype(np.dtypes.StringDType()),
}
SCORING = {
    "default": (None, None),
    "loss": ("loss", "loss"),
    "own": (own, own),
    "several": (["accuracy", "loss"], ["accuracy", "loss"]),
    "balanced": ("balanced_accuracy", "balanced_accuracy"),
    "ranks": ("roc_auc_ovr", "roc_auc_ovr"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("n", NAMES)
def test_every_form_of_labels(n, form):
    pytest.importorskip("sklearn")
    scoring = ["accuracy", "balanced_accuracy"]
    plain, found = (searched(n, y, scoring=scoring) for y in (NUMBERS[n], form(TEXTS[n])))
    assert scores_of(found) == scores_of(plain)
    assert np.array_equal(found.predict(X), plain.predict(X))
    assert found.scores(X, form(TEXTS[n])) == plain.scores(X, NUMBERS[n])
    assert found.scores(X, NUMBERS[n]) == plain.scores(X, NUMBERS[n])  # numbers stay possible
    for known in (found.classes_, found.best_model_.classes_, pickle.loads(pickle.dumps(found)).classes_):
        assert known.tolist() == NAMES[n].tolist()


@pytest.mark.parametrize(("of_numbers", "of_texts"), [*SCORING.values(), (1, "yes"), (0, "no")])
def test_every_kind_of_score(of_numbers, of_texts):
    pytest.importorskip("sklearn")
    if isinstance(of_texts, str) and of_texts in NAMES[2]:
        n, of_numbers, of_texts = 2, f1(of_numbers), f1(of_texts)
    else:
        n = 3
    plain, found = searched(n, NUMBERS[n], scoring=of_numbers), searched(n, TEXTS[n], scoring=of_texts)
    assert scores_of(found) == scores_of(plain)
    assert found.ensemble(2).score_ == plain.ensemble(2).score_


@pytest.mark.parametrize("cv", [fs.KFold(3, stratified=True), fs.RepeatedKFold(3, 2), 0.3, "GroupKFold", "Stratified"])
def test_every_kind_of_folds(cv):
    options = {}
    if isinstance(cv, str):
        of = pytest.importorskip("sklearn.model_selection")
        options = {"groups": np.arange(90) % 5} if cv == "GroupKFold" else {}
        cv = fs.GroupKFold(3) if cv == "GroupKFold" else of.StratifiedKFold(3)
    plain, found = (searched(3, y, options, cv=cv) for y in (NUMBERS[3], TEXTS[3]))
    assert scores_of(found) == scores_of(plain)


def test_weights_of_rows_and_classes_and_validation_data():
    shared = {"sample_weight": np.linspace(0.5, 2, 90), "callbacks": [fr.callbacks.EarlyStopping("val_loss")]}
    for numbers, texts in (
        ({"class_weight": {0: 2.0, 2: 0.5}}, {"class_weight": {"Zug": 2.0, "äpfel": 0.5}}),
        ({"validation_data": (X, NUMBERS[3])}, {"validation_data": (X, TEXTS[3])}),
        ({"validation_split": 0.25}, {"validation_split": 0.25}),
    ):
        plain = searched(3, NUMBERS[3], shared | numbers)
        assert scores_of(searched(3, TEXTS[3], shared | texts)) == scores_of(plain)


def test_functions_beside_searches():
    shared = {"cv": 3, "seed": 0, "epochs": 3}
    for n in NAMES:
        calls = {
            "predict": lambda y, n=n: fs.cross_val_predict(model_of(n), X, y, method="predict_proba", **shared),
            "score": lambda y, n=n: fs.cross_val_score(model_of(n), X, y, **shared),
            "curve": lambda y, n=n: fs.validation_curve(
                model_of(n), X, y, param_name="learning_rate", param_range=[0.1, 0.01], **shared
            ).test_scores,
            "rows": lambda y, n=n: fs.learning_curve(model_of(n), X, y, train_sizes=[0.5, 1.0], **shared).test_scores,
            "nested": lambda y, n=n: fs.nested_cross_validate(
                fs.GridSearch(model_of(n), GRID, cv=2, seed=0, verbose=0), X, y, cv=2, epochs=2
            )["test_score"],
        }
        for name, call in calls.items():
            assert np.array_equal(call(TEXTS[n]), call(NUMBERS[n])), name
    models = fs.cross_validate(model_of(3), X, TEXTS[3], return_models=True, **shared)["models"]
    assert [model.classes_.tolist() for model in models] == [NAMES[3].tolist()] * 3


def test_a_fold_that_lacks_a_class():
    last = np.flatnonzero(NUMBERS[3] == 2)
    rest = np.setdiff1d(np.arange(90), last)
    folds = [(rest, last), (rest[:40], np.concatenate([rest[40:], last]))]
    with pytest.warns(UserWarning, match="class"):
        plain = searched(3, NUMBERS[3], cv=folds)
    with pytest.warns(UserWarning, match="class"):
        assert scores_of(searched(3, TEXTS[3], cv=folds)) == scores_of(plain)


REFUSED = {
    "too few": (3, None, None, TEXTS[2], ValueError, r"3 outputs.* got 2 .*'yes'; .* integers in \[0, 3\) as labels"),
    "too many": (2, None, None, TEXTS[3], ValueError, "one output, which tells two classes apart, got 3 different"),
    "mixed": (2, None, None, ["a", *[1] * 89], TypeError, "labels must all be strings, or all be integers, got 1"),
    "another loss": (2, "mse", None, TEXTS[2], TypeError, "y: must be numbers, but it holds text"),
    "several outputs": (2, None, 2, TEXTS[2], TypeError, "y: must be numbers, but it holds text"),
}


@pytest.mark.parametrize(("n", "loss", "units", "y", "error", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_before_the_first_trial(n, loss, units, y, error, told):
    trials = []
    search = fs.GridSearch(model_of(n, loss, units), GRID, cv=3, seed=0, verbose=0)
    with pytest.raises(error, match=told):
        search.fit(X, y, callbacks=lambda fold: trials.append(fold) or [])
    assert len(trials) <= 1  # the function is called once before the first trial
