"""Predictions and scores out of fold, callbacks for each trial, and probabilities of networks."""

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers
from fastreg.callbacks import Callback
from fastreg.search import (
    GridSearch,
    SuccessiveHalving,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from fastreg.search.folds.cross_validation import make_folds
from searches import build, findings, two_classes

X, Y = two_classes()
PARAMS = {"units": 4, "lr": 0.05}


def compiled(units=1, activation="sigmoid", loss="binary_crossentropy"):
    model = fr.Sequential([layers.Dense(4, "tanh"), layers.Dense(units, activation)], seed=1)
    model.compile(fr.optimizers.Adam(0.05), loss, ["accuracy"])
    return model


@pytest.mark.parametrize("preprocess", [None, "standard"])
def test_a_row_is_predicted_by_the_model_that_did_not_see_it(preprocess):
    options = {"cv": 3, "seed": 0, "epochs": 2, "params": PARAMS, "preprocess": preprocess}
    outputs = cross_val_predict(build, X, Y, **options)
    models = cross_validate(build, X, Y, return_models=True, **options)["models"]
    assert outputs.shape == (len(X), 1)
    for model, (train, test) in zip(models, make_folds(3, X, Y, seed=0, classes=True), strict=True):
        features = X
        if preprocess:
            features = (X - X[train].mean(axis=0)) / X[train].std(axis=0)
        np.testing.assert_allclose(outputs[test], model.predict(features[test]), rtol=1e-4, atol=1e-6)
    alone = cross_val_predict(build, X, Y, n_jobs=1, **options)
    assert np.array_equal(outputs, alone)


def test_scores_of_folds():
    options = {"cv": 3, "seed": 0, "epochs": 2}
    scores = cross_val_score(compiled(), X, Y, scoring="loss", params={"learning_rate": 0.2}, **options)
    whole = cross_validate(compiled(), X, Y, scoring="loss", params={"learning_rate": 0.2}, **options)
    assert np.array_equal(scores, whole["test_score"])
    with pytest.raises(ValueError, match="must be one metric, got accuracy, loss; cross_validate takes several"):
        cross_val_score(compiled(), X, Y, scoring=["accuracy", "loss"], **options)


def test_estimators_predict_as_scikit_learn_says():
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import StratifiedKFold
    from sklearn.model_selection import cross_val_predict as theirs

    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        ours = cross_val_predict(LogisticRegression(), X, Y, cv=cv, method=method)
        assert np.array_equal(ours, theirs(LogisticRegression(), X, Y, cv=cv, method=method))
    with pytest.raises(ValueError, match="Ridge has no method 'predict_proba'"):
        cross_val_predict(Ridge(), X, Y, cv=2, method="predict_proba")
    # A fold that lacks a class.
    y = np.repeat([0, 1, 2], 30)
    folds = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(30))]
    folds.append((np.r_[0:30, 60:90], np.arange(30, 60)))
    with pytest.warns(UserWarning, match="classes that its training rows lack"):
        shares = cross_val_predict(LogisticRegression(), X, y, cv=folds, method="predict_proba")
    assert np.all(shares[np.arange(90), y] == 0)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    refused = pytest.raises(ValueError, match="must have all classes for 'decision_function'")
    with pytest.warns(UserWarning, match="lack"), refused:
        cross_val_predict(LogisticRegression(), X, y, cv=folds, method="decision_function")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cv": 0.3}, "cross_val_predict needs folds that score every row exactly once"),
        ({"cv": fr.search.RepeatedKFold(2, 2)}, "every row exactly once"),
        ({"method": "predictions"}, "cross_val_predict: unknown method 'predictions'"),
        ({"method": "decision_function"}, "method must be predict or predict_proba for a network"),
    ],
)
def test_what_cannot_be_predicted(options, message):
    with pytest.raises(ValueError, match=message):
        cross_val_predict(compiled(), X, Y, **{"cv": 3, "seed": 0, **options})


def test_probabilities_of_networks():
    plain, logits = compiled(), compiled(1, "linear", fr.losses.BinaryCrossentropy(from_logits=True))
    for model, changed in ((plain, False), (logits, True)):
        found = GridSearch(model, {"learning_rate": [0.1]}, cv=2, seed=0, verbose=0).fit(X, Y, epochs=2)
        outputs, shares = found.predict(X), found.predict_proba(X)
        expected = 1 / (1 + np.exp(-outputs.astype(float))) if changed else outputs
        np.testing.assert_allclose(shares, expected, rtol=1e-6)
        assert cross_val_predict(model, X, Y, cv=2, method="predict_proba").max() <= 1
    found = GridSearch(compiled(1, "linear", "mse"), {"learning_rate": [0.1]}, cv=2, seed=0, verbose=0).fit(X, Y)
    with pytest.raises(ValueError, match="predict_proba: the loss must treat targets as classes"):
        found.predict_proba(X)


TWO_ANSWERS = np.stack([Y, np.arange(len(Y)) % 3], axis=1)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_an_estimator_with_several_outputs_predicts_as_scikit_learn_says(method):
    from sklearn.model_selection import KFold
    from sklearn.model_selection import cross_val_predict as theirs
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    ours = cross_val_predict(tree, X, TWO_ANSWERS, cv=KFold(3), method=method)
    expected = theirs(tree, X, TWO_ANSWERS, cv=KFold(3), method=method)
    assert type(ours) is type(expected)
    for one, other in zip(ours, expected, strict=True):
        assert np.array_equal(one, other)


def test_what_cannot_be_averaged_is_told():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(random_state=0)
    options = {"cv": KFold(3), "seed": 0, "verbose": 0, "keep_models": True}
    search = GridSearch(tree, {"max_depth": [1, 2]}, **options).fit(X, np.stack([Y, 1 - Y], axis=1))
    with pytest.raises(ValueError, match="ensemble: the estimator must have one output"):
        search.ensemble(2)
    y = np.repeat([0, 1, 2], len(X) // 3)
    search = GridSearch(LogisticRegression(), {"C": [0.1, 1.0]}, **options)
    with pytest.warns(UserWarning, match="classes that its training rows lack"):
        search.fit(X[: len(y)], y)
    with pytest.raises(ValueError, match="ensemble: the training rows of every fold must have all classes"):
        search.ensemble(2)


# Callbacks.


class Counts(Callback):
    """Counts its epochs; an instance that several fits share would count those of all."""

    def __init__(self, told, seen):
        super().__init__()
        self.told, self.seen, self.epochs = told, seen, 0

    def __deepcopy__(self, memo):
        return type(self)(self.told, self.seen)

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    def on_train_end(self, logs=None):
        self.seen.append((self.told, self.epochs))


SPACE = {"units": 2, "lr": [0.1, 0.01]}


def searched(given, **options):
    return GridSearch(build, SPACE, **{"cv": 2, "seed": 0, "verbose": 0, "n_jobs": 1, **options}).fit(
        X, Y, epochs=4, callbacks=given
    )


def test_a_function_makes_the_callbacks_of_a_fold():
    seen, told = [], []

    def make(fold):
        told.append(fold)
        return [Counts((fold.trial, fold.fold, fold.params["lr"]), seen)]

    found = searched(make)
    assert seen == [((0, 0, 0.1), 4), ((0, 1, 0.1), 4), ((1, 0, 0.01), 4), ((1, 1, 0.01), 4),
                    ((found.best_trial_.number, None, found.best_params_["lr"]), 4)]  # fmt: skip
    assert len(told) == 6, "once before the first trial"
    assert findings(found) == findings(searched(None))


def test_callbacks_of_a_function_are_copied_too():
    seen = []
    shared = Counts("all", seen)
    searched(lambda fold: shared)
    assert [epochs for _, epochs in seen] == [4] * 5
    assert shared.epochs == 0


def test_a_trial_that_goes_on_keeps_its_callbacks():
    seen = []
    searched(lambda fold: [Counts((fold.trial, fold.fold), seen)], pruner=SuccessiveHalving(1, 2), refit=False)
    [best] = {told[0] for told, epochs in seen if epochs == 4}
    assert sorted(epochs for told, epochs in seen if told[0] == best) == [1, 1, 2, 2, 4, 4]


def test_early_stopping_of_a_function_and_a_journal(tmp_path):
    def make(fold):
        return [callbacks.EarlyStopping("val_loss", patience=fold.trial)]

    whole = searched(make, journal=tmp_path / "j")
    assert findings(searched(make, n_jobs=3)) == findings(whole)
    assert findings(searched(make, journal=tmp_path / "j", resume=True)) == findings(whole)
    given = [trial.best_epoch for trial in whole.trials_]
    assert None not in given[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda fold: 3, "the function given as callbacks must return a list of callbacks, got 3"),
        (lambda fold: [3], "callbacks must be instances of callbacks.Callback, got 3"),
        (lambda fold: [callbacks.EarlyStopping], "callbacks must be instances of callbacks.Callback"),
    ],
)
def test_what_a_function_must_return(given, message):
    with pytest.raises(TypeError, match=message):
        searched(given)


def test_unknown_monitors_are_found_before_the_first_trial():
    with pytest.raises(ValueError, match="unknown monitor 'val_acuracy'"):
        searched(lambda fold: callbacks.EarlyStopping("val_acuracy"))
