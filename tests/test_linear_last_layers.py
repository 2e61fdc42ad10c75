"""A loss of probabilities behind a layer without an activation gives one warning that says what to write."""

import copy
import warnings

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, losses
from fastreg.search import GridSearch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 60)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
TARGETS = {
    "BinaryCrossentropy": ONE_HOT,
    "BinaryFocalCrossentropy": ONE_HOT,
    "CategoricalCrossentropy": ONE_HOT,
    "CategoricalFocalCrossentropy": ONE_HOT,
    "SparseCategoricalCrossentropy": LABELS,
}


def network(last, loss):
    model = fr.Sequential([layers.Dense(8, "relu"), *last], seed=0)
    model.compile("sgd", loss)
    return model


def warned(work):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    assert all(item.category is UserWarning and item.filename == __file__ for item in caught)
    return [str(item.message) for item in caught]


def fit(last, loss, y):
    return warned(lambda: network(last, loss).fit(X, y, verbose=0))


def test_every_loss_with_logits_is_looked_at():
    classes = {name: getattr(losses, name) for name in losses.__all__ if isinstance(getattr(losses, name), type)}
    known = {name for name, kind in classes.items() if "from_logits" in kind.__annotations__}
    assert known == set(TARGETS)


@pytest.mark.parametrize("kind", TARGETS)
def test_one_warning_says_what_to_write(kind):
    made, last = getattr(losses, kind), "sigmoid" if kind.startswith("Binary") else "softmax"
    [message] = fit([layers.Dense(3)], made(), TARGETS[kind])
    assert message == (
        f"the loss {kind} takes probabilities, but the last layer, Dense(3), has no activation, so that its outputs "
        f"are any numbers: write losses.{kind}(from_logits=True), or give the layer activation={last!r}"
    )
    assert fit([layers.Dense(3)], made(from_logits=True), TARGETS[kind]) == []
    for right in ([layers.Dense(3, last)], [layers.Dense(3), layers.Activation(last)]):
        assert fit(right, made(), TARGETS[kind]) == []


def test_a_linear_activation_of_its_own_is_meant():
    last = [layers.Dense(3), layers.Activation("linear")]
    assert fit(last, "sparse_categorical_crossentropy", LABELS) == []


def test_other_losses_take_any_numbers():
    for loss in ("mse", "kl_divergence", "hinge"):
        assert fit([layers.Dense(3)], loss, ONE_HOT) == []


def test_names_of_losses_are_meant_too():
    assert len(fit([layers.Dense(1)], "binary_crossentropy", ONE_HOT[:, :1])) == 1


def test_each_output_is_looked_at():
    a = fr.Input((4,))
    hidden = layers.Dense(8, "relu")(a)
    outputs = [layers.Dense(3, name="right", activation="softmax")(hidden), layers.Dense(3, name="wrong")(hidden)]
    model = fr.Model(a, outputs, seed=0)
    model.compile("sgd", ["sparse_categorical_crossentropy", "binary_crossentropy"])
    [message] = warned(lambda: model.fit(X, [LABELS, ONE_HOT], verbose=0))
    assert "BinaryCrossentropy takes probabilities" in message


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_layers_that_are_several_in_the_core(activation):
    """Their last layer in C++ is another one, such as the addition of a bias."""
    columns = [layers.NumericColumn(edges=[-1.0, 0.0, 1.0])] * 4
    table = fr.Sequential([layers.TableInput(3, columns, activation=activation)], seed=0)
    x, member = fr.Input((4,)), fr.Input((1,))
    made = layers.EnsembleDense(3, members=2, activation=activation)([x, member])
    ensemble = fr.Model([x, member], made, seed=0)
    for model, rows in ((table, X), (ensemble, [X, np.zeros((60, 1), np.float32)])):
        model.compile("sgd", "sparse_categorical_crossentropy")
        found = warned(lambda model=model, rows=rows: model.fit(rows, LABELS, verbose=0))
        wrong = [] if activation else [f"{model.layers[-1].kind}(3)"]
        assert [message.split(", ")[2] for message in found] == wrong


def test_a_model_within_is_looked_at():
    inner = fr.Sequential([layers.Dense(3)], seed=0)
    assert len(fit([inner], "sparse_categorical_crossentropy", LABELS)) == 1


def test_only_the_first_fit_warns():
    model = network([layers.Dense(3)], "sparse_categorical_crossentropy")
    assert len(warned(lambda: model.fit(X, LABELS, verbose=0))) == 1
    assert warned(lambda: model.fit(X, LABELS, verbose=0)) == []
    assert warned(lambda: copy.deepcopy(model).fit(X, LABELS, verbose=0)) == []


def test_a_search_warns_once():
    def build(params):
        return network([layers.Dense(params["units"]), layers.Dense(3)], "sparse_categorical_crossentropy")

    search = GridSearch(build, {"units": [2, 3]}, cv=3, verbose=0)
    [message] = warned(lambda: search.fit(X, LABELS, epochs=2))
    assert "SparseCategoricalCrossentropy takes probabilities" in message
