"""Scorers of scikit-learn for networks with several yes/no outputs at once, and for targets that are objects."""

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, losses
from fastreg.search import GridSearch, cross_validate
from sklearn import metrics

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = (X[:, :3] + 0.5 * RNG.normal(size=(90, 3)) > [0.0, 0.5, -0.5]).astype(int)
FOLDS = [(np.setdiff1d(np.arange(90), np.arange(i, 90, 3)), np.arange(i, 90, 3)) for i in range(3)]

# Functions of the targets and the probabilities.
SCORES = {
    "roc_auc": metrics.roc_auc_score,
    "roc_auc_ovr_weighted": lambda y, p: metrics.roc_auc_score(y, p, average="weighted"),
    "average_precision": metrics.average_precision_score,
    "f1_macro": lambda y, p: metrics.f1_score(y, p > 0.5, average="macro"),
    "f1_samples": lambda y, p: metrics.f1_score(y, p > 0.5, average="samples", zero_division=0.0),
    "jaccard_micro": lambda y, p: metrics.jaccard_score(y, p > 0.5, average="micro"),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("logits", [False, True], ids=["probabilities", "logits"])
@pytest.mark.parametrize("name", SCORES)
def test_each_output_is_a_label(name, logits):
    model = fr.Sequential([layers.Dense(8, "relu"), layers.Dense(3, None if logits else "sigmoid")], seed=0)
    model.compile(fr.optimizers.Adam(0.03), losses.BinaryCrossentropy(from_logits=logits))
    found = cross_validate(model, X, Y, cv=FOLDS, scoring=name, epochs=8, batch_size=16, seed=0, return_models=True)
    for score, trained, (_, rows) in zip(found["test_score"], found["models"], FOLDS, strict=True):
        outputs = trained.predict(X[rows]).astype(np.float64)
        probabilities = 1 / (1 + np.exp(-outputs)) if logits else outputs
        assert score == pytest.approx(SCORES[name](Y[rows], probabilities), rel=1e-6)


def test_a_search_ranks_by_it():
    model = fr.Sequential([layers.Dense(3, "sigmoid", name="answers")])
    model.compile(fr.optimizers.Adam(0.1), "binary_crossentropy")
    grid = {"learning_rate": [1e-6, 0.1]}
    search = GridSearch(model, grid, cv=FOLDS, scoring="roc_auc", seed=0, verbose=0).fit(X, Y, epochs=20)
    assert search.best_params_ == {"learning_rate": 0.1}
    assert search.score(X, Y) == pytest.approx(metrics.roc_auc_score(Y, search.predict(X)), rel=1e-6)


def test_numbers_in_an_array_of_objects_are_numbers():
    model = fr.Sequential([layers.Dense(1, "sigmoid")], seed=0)
    model.compile(fr.optimizers.Adam(0.1), "binary_crossentropy")
    options = {"cv": FOLDS, "scoring": ["f1_macro", "roc_auc"], "epochs": 3, "seed": 0}
    plain, objects = (cross_validate(model, X, y, **options) for y in (Y[:, 0], Y[:, 0].astype(object)))
    for name in ("test_f1_macro", "test_roc_auc"):
        assert np.array_equal(plain[name], objects[name])
