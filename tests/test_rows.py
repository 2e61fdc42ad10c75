"""`rows` and `validation_rows`: a fit on some rows of shared arrays is, bit for bit, the fit on a copy of them."""
from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers
from programs import blobs, compiled, line, refusal, same_bits, tutorial_layers

X, Y = blobs(120, 6, 3, seed=4)
WEIGHT = np.linspace(0.1, 2.0, 120).astype(np.float32)
RNG = np.random.default_rng(7)
CHOICES = {
    "sorted": np.arange(0, 120, 2),
    "shuffled": RNG.permutation(120)[:77],
    "bootstrap": RNG.integers(0, 120, 120),
    "one": np.array([5]),
    "list": [3, 1, 4, 1, 5, 9, 2, 6],
    "strided uint64": np.arange(120, dtype=np.uint64)[::-3],
}


def softmax(**keywords):
    first = layers.Dense(9, activation="relu", kernel_regularizer="l2", activity_regularizer="l2")
    stack = [first, layers.BatchNormalization(), layers.Dropout(0.3),
             layers.Dense(3, activation="softmax")]
    return compiled(stack, loss="sparse_categorical_crossentropy", metrics=["accuracy"], n_features=6, **keywords)


def fitted(x, y, **keywords):
    model = softmax()
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0, **keywords)
    return model, history.history


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("choice", CHOICES)
def test_training_on_rows_is_training_on_their_copy(choice, shuffle):
    rows = np.asarray(CHOICES[choice])
    model, history = fitted(X, Y, sample_weight=WEIGHT, rows=CHOICES[choice], shuffle=shuffle)
    copy, expected = fitted(X[rows], Y[rows], sample_weight=WEIGHT[rows], shuffle=shuffle)
    assert history == expected
    assert same_bits(model.get_weights(), copy.get_weights())
    other, _ = fitted(X, Y, sample_weight=WEIGHT, shuffle=shuffle)
    assert not same_bits(model.get_weights(), other.get_weights()), "the rows must make a difference"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_rows_of_every_type_of_features(dtype):
    x = (40 * np.abs(X)).astype(dtype)
    rows = CHOICES["bootstrap"]
    model, history = fitted(x, Y, rows=rows)
    copy, expected = fitted(np.ascontiguousarray(x[rows]), Y[rows])
    assert history == expected
    assert same_bits(model.get_weights(), copy.get_weights())


def test_all_rows_are_no_rows():
    model, history = fitted(X, Y, rows=np.arange(120))
    plain, expected = fitted(X, Y)
    assert history == expected
    assert same_bits(model.get_weights(), plain.get_weights())


def test_validation_rows_are_validation_data():
    train, held = CHOICES["shuffled"][:50], CHOICES["shuffled"][50:]
    stopping = callbacks.EarlyStopping("val_loss", patience=0)
    model, history = fitted(X, Y, sample_weight=WEIGHT, rows=train, validation_rows=held, callbacks=[stopping])
    copy, expected = fitted(X[train], Y[train], sample_weight=WEIGHT[train], callbacks=[stopping],
                            validation_data=(X[held], Y[held], WEIGHT[held]))
    assert history == expected
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert same_bits(model.get_weights(), copy.get_weights())


def test_validation_rows_alone_are_held_out():
    held = np.arange(0, 120, 5)
    rest = np.setdiff1d(np.arange(120), held)
    assert fitted(X, Y, validation_rows=held)[1] == fitted(X, Y, rows=rest, validation_rows=held)[1]
    assert fitted(X, Y, validation_rows=held)[1] != fitted(X, Y, rows=np.arange(120), validation_rows=held)[1]


@pytest.mark.parametrize("choice", ["sorted", "shuffled"])
@pytest.mark.parametrize("classes", [True, False])
def test_a_split_of_rows_is_the_split_of_their_copy(choice, classes):
    rows = CHOICES[choice]
    x, y = (X, Y) if classes else line(120, 6)
    make = softmax if classes else lambda: compiled([layers.Dense(1)], loss="mse", n_features=6)
    histories = []
    for data, targets, keywords in ((x, y, {"rows": rows}), (x[rows], y[rows], {})):
        history = make().fit(data, targets, epochs=2, verbose=0, validation_split=0.25, **keywords)
        histories.append(history.history)
    assert histories[0] == histories[1]


def test_a_split_keeps_the_copies_of_a_row_together():
    """One-hot features tell which rows trained: their weights moved. The history tells which validated."""
    n = 40
    rows = np.random.default_rng(3).integers(0, n, 60)
    x, y = np.eye(n, dtype=np.float32), (np.arange(n) % 2).astype(np.float32)
    model = compiled([layers.Dense(1, activation="sigmoid")], optimizer=optimizers.SGD(1.0), n_features=n)
    before = model.get_weights()[0]
    history = model.fit(x, y, batch_size=None, verbose=0, rows=rows, validation_split=0.25)
    trained = np.flatnonzero((model.get_weights()[0] != before)[:, 0])
    held = rows[~np.isin(rows, trained)]
    different = np.unique(rows)
    assert set(trained) <= set(different)
    assert len(np.unique(held)) == round(0.25 * len(different))
    score = model.evaluate(x, y, verbose=0, rows=held)
    assert history.history["val_loss"][0] == pytest.approx(score, rel=1e-6)


def test_balanced_class_weights_count_the_rows():
    rows = np.flatnonzero(Y != 2)[:50]
    assert fitted(X, Y, rows=rows, class_weight="balanced")[1] == fitted(X[rows], Y[rows], class_weight="balanced")[1]
    unbalanced = np.concatenate([np.flatnonzero(Y == 0), np.flatnonzero(Y == 1)[:5]])
    history = fitted(X, Y, rows=unbalanced, class_weight="balanced")[1]
    assert history == fitted(X[unbalanced], Y[unbalanced], class_weight="balanced")[1]
    assert history != fitted(X, Y, rows=unbalanced)[1]


@pytest.mark.parametrize("choice", CHOICES)
def test_evaluate_scores_rows(choice):
    rows, model = np.asarray(CHOICES[choice]), fitted(X, Y)[0]
    for keywords in ({}, {"class_weight": {0: 2.0}}):
        got = model.evaluate(X, Y, verbose=0, sample_weight=WEIGHT, rows=CHOICES[choice], **keywords)
        assert got == model.evaluate(X[rows], Y[rows], verbose=0, sample_weight=WEIGHT[rows], **keywords)
    assert model.evaluate(X, Y, verbose=0, rows=np.arange(120)) == model.evaluate(X, Y, verbose=0)


def test_rows_are_read_once():
    """What a callback does to the caller's array changes nothing."""
    rows = np.arange(60)

    class Spoil(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rows[:] = 10**6

    spoiled, history = fitted(X, Y, rows=rows, callbacks=[Spoil()])
    clean, expected = fitted(X, Y, rows=np.arange(60))
    assert history == expected
    assert same_bits(spoiled.get_weights(), clean.get_weights())


WRONG = [
    ([], ValueError, ["empty"]),
    ([0, 120], ValueError, [r"\[0, 120\)", "120"]),
    ([0, -1], ValueError, [r"\[0, 120\)", "-1", "negative"]),
    ([2**40], ValueError, [str(2**40)]),
    ([0.0, 1.0], TypeError, ["integers", "float64"]),
    (np.ones(120, bool), TypeError, ["integers", "bool", "flatnonzero"]),
    ([[0, 1]], ValueError, ["1-D", r"\(1, 2\)"]),
    (3, ValueError, ["1-D"]),
    ("some", TypeError, ["some"]),
]


@pytest.mark.parametrize("name", ["rows", "validation_rows"])
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong[0])[:20])
def test_wrong_rows_are_refused(wrong, name):
    value, error, words = wrong
    model = softmax()
    before = model.get_weights()
    with refusal(error, [name, *words]):
        model.fit(X, Y, verbose=0, **{name: value})
    assert same_bits(model.get_weights(), before)
    if name == "rows":
        with refusal(error, [name, *words]):
            model.evaluate(X, Y, verbose=0, rows=value)


def test_validation_is_given_once():
    ways = {"validation_rows": [0], "validation_split": 0.1, "validation_data": (X, Y)}
    for first in ways:
        for second in ways.keys() - {first}:
            with refusal(ValueError, list(ways)):
                softmax().fit(X, Y, verbose=0, **{first: ways[first], second: ways[second]})


def test_rows_that_leave_nothing_are_refused():
    with refusal(ValueError, ["validation_rows", "120"]):
        softmax().fit(X, Y, verbose=0, validation_rows=np.arange(120))
    with refusal(ValueError, ["sample_weight"]):
        softmax().fit(X, Y, verbose=0, rows=[0, 1], sample_weight=np.arange(120) > 1)
    with refusal(ValueError, ["validation_split"]):
        softmax().fit(X, Y, verbose=0, rows=[7, 7, 7], validation_split=0.5)


def test_rows_are_by_keyword_only():
    model = compiled(tutorial_layers(), n_features=6)
    with pytest.raises(TypeError):
        model.fit(X, Y > 0, 32, 1, 0, None, 0.0, None, True, None, None, 0, [0, 1])
    assert isinstance(model.fit(X, Y > 0, 32, 1, 0, None, 0.0, None, True, None, None, 0, rows=[0, 1]),
                      fr.callbacks.History)
