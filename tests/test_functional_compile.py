"""Compiling a network of several outputs: keys of history, forms of loss and weights, and what is wrong with them."""

from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, losses, metrics
from programs import refusal, same_bits
from two_ways import LABELS, RNG, VALUES, A, B, built, compiled, single

# ------------------------------------------------------------------------------------------------ compile, by output


def test_keys_of_history_and_evaluate():
    model = compiled(metrics={"values": ["mae", "mse"], "classes": "accuracy"}, loss_weights={"classes": 0.5})
    keys = ["loss", "values_loss", "classes_loss", "values_mae", "values_mse", "classes_accuracy"]
    history = model.fit([A, B], [VALUES, LABELS], validation_split=0.25, epochs=2, verbose=0)
    assert list(history.history) == [*keys, *(f"val_{key}" for key in keys)]
    found = model.evaluate([A, B], [VALUES, LABELS], return_dict=True, verbose=0)
    assert list(found) == keys
    assert found["loss"] == pytest.approx(found["values_loss"] + 0.5 * found["classes_loss"], rel=1e-6)
    assert found["values_loss"] == pytest.approx(found["values_mse"], rel=1e-5)
    assert model.evaluate([A, B], [VALUES, LABELS], verbose=0) == list(found.values())
    values, classes = model.predict([A, B])
    assert found["values_mae"] == pytest.approx(np.abs(values - VALUES).mean(), rel=1e-5)
    assert found["classes_accuracy"] == pytest.approx((classes.argmax(1) == LABELS).mean(), rel=1e-6)
    assert model.loss == {"values": losses.get("mse"), "classes": losses.get("sparse_categorical_crossentropy")}
    assert model.metrics == {"values": [metrics.get("mae"), metrics.get("mse")],
                             "classes": [metrics.SparseCategoricalAccuracy("accuracy")]}


def test_one_output_has_the_keys_of_a_sequential():
    model = single()
    model.compile("adam", {"dense_2": "mse"}, {"dense_2": ["mae"]})
    history = model.fit({"input_layer": A}, {"dense_2": VALUES}, verbose=0)
    assert list(history.history) == ["loss", "mae"]
    assert (model.loss, model.metrics) == (losses.get("mse"), [metrics.get("mae")])


@pytest.mark.parametrize(("given", "weights"), [
    (["mse", "mse"], None), ("mse", None), ("mse", [1.0, 1]), ({"values": "mse", "classes": "mse"}, {}),
    (losses.MeanSquaredError(), {"classes": 1.0}), ({"type": "MeanSquaredError"}, None),
])
def test_forms_of_loss_that_mean_the_same(given, weights):
    model = built()
    model.compile("sgd", given, loss_weights=weights)
    targets = RNG.normal(size=(60, 3)).astype(np.float32)
    other = built()
    other.compile("sgd", {"classes": "mse", "values": "mse"})
    for one in (model, other):
        one.fit([A, B], [VALUES, targets], epochs=2, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


def test_a_weight_of_loss_weighs():
    """A weight of zero leaves an output out, and weights 2 and 1 scale the gradients of two outputs by 2 and 1."""
    model = compiled(loss_weights=[1.0, 0.0], metrics=None)
    before = model.layers[4].get_weights()
    model.fit([A, B], [VALUES, LABELS], verbose=0)
    assert model.layers[4].name == "classes"
    assert same_bits(model.layers[4].get_weights(), before)
    one, other = single(), single()
    one.compile(fr.optimizers.SGD(0.02), "mse", loss_weights=[0.5])
    other.compile(fr.optimizers.SGD(0.01), "mse")
    for model in (one, other):
        model.fit(A, VALUES, verbose=0)
    for w, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(w, expected, rtol=1e-6, atol=1e-7)


BAD_COMPILE = {
    "too few losses": ({"loss": ["mse"]}, ValueError, ["loss", "2 outputs", "'values'", "got 1"]),
    "a loss that is missing": ({"loss": {"values": "mse"}}, ValueError, ["loss", "'classes'"]),
    "a loss that is None": ({"loss": ["mse", None]}, ValueError, ["loss", "'classes'"]),
    "a loss of no output": ({"loss": {"valeus": "mse"}}, ValueError, ["loss", "'valeus'", "known: 'values'"]),
    "an unknown loss": ({"loss": ["mse", "nope"]}, ValueError, ["compile: loss", "nope"]),
    "a metric of no output": ({"loss": "mse", "metrics": {"x": "mae"}}, ValueError, ["metrics", "'x'"]),
    "a list of metrics for no output": ({"loss": "mse", "metrics": ["mae"]}, ValueError, ["metrics", "got 1"]),
    "too many weights": ({"loss": "mse", "loss_weights": [1, 1, 1]}, ValueError, ["loss_weights", "got 3"]),
    "one weight": ({"loss": "mse", "loss_weights": 2.0}, TypeError, ["loss_weights", "list or a dict", "2.0"]),
    "a negative weight": ({"loss": "mse", "loss_weights": [1, -1]}, ValueError, ["loss_weights", "-1"]),
    "a weight of no output": ({"loss": "mse", "loss_weights": {"x": 1}}, ValueError, ["loss_weights", "'x'"]),
    "a weight that is no number": ({"loss": "mse", "loss_weights": [1, "2"]}, TypeError, ["loss_weights", "'2'"]),
}


@pytest.mark.parametrize("case", BAD_COMPILE)
def test_compile_says_what_is_wrong(case):
    options, error, patterns = BAD_COMPILE[case]
    with refusal(error, patterns):
        built().compile("sgd", **options)


def test_keys_that_would_be_the_same():
    a = fr.Input((2,))
    model = fr.Model(a, {"y": layers.Dense(1)(a), "y_z": layers.Dense(1)(a)})
    with refusal(ValueError, ["names of outputs and metrics", "y_z_loss"]):
        model.compile("sgd", "mse", {"y": [metrics.MeanAbsoluteError("z_loss")]})
    model.compile("sgd", "mse", {"y": ["mae"]})


@pytest.mark.parametrize(("names", "metrics", "twice"), [
    (("a", "val_a"), None, "val_a_loss"),
    (("a", "a_b"), {"a": [fr.metrics.MeanSquaredError(name="b_mse")], "a_b": ["mse"]}, "a_b_mse"),
])  # fmt: skip
def test_names_that_would_give_one_key_to_two_values(names, metrics, twice):
    entry = fr.Input((3,))
    model = fr.Model(entry, [layers.Dense(1, name=name)(entry) for name in names])
    with pytest.raises(ValueError, match=f"^compile: names of outputs .* different keys of the history, got '{twice}'"):
        model.compile("sgd", "mse", metrics=metrics)
