"""Rows with several dimensions: in training, prediction, files, searches, and what models show of them."""

from __future__ import annotations

import copy
import pickle

import cases
import fastreg as fr
import numpy as np
import pytest
from fastreg import _core, layers
from fastreg.internal.layer_base import Join
from fastreg.search import GridSearch
from programs import refusal, same_bits

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (120, 6, 5)).astype(np.uint8)
LABELS = np.arange(120) % 3


def net(*first, seed=0):
    model = fr.Sequential([*first, layers.Dense(8, "relu"), layers.Dense(3, "softmax")], seed=seed)
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return model


STARTS = {
    "an Input": lambda: [fr.Input((6, 5)), layers.Flatten()],
    "input_shape": lambda: [layers.Flatten(input_shape=(6, 5))],
    "input_shape with rows": lambda: [layers.Flatten(input_shape=(None, 6, 5))],
    "the data": lambda: [layers.Flatten()],
    "a reshape": lambda: [fr.Input((6, 5)), layers.Reshape((-1,))],
    "two of them": lambda: [fr.Input((6, 5)), layers.Reshape((5, 3, 2)), layers.Flatten()],
}


@pytest.mark.parametrize("start", STARTS)
def test_images_train_as_their_rows(start):
    """The same bits as rows of numbers; a layer that changes shapes alone takes no part."""
    model, flat = net(*STARTS[start]()), net()
    x = IMAGES / 255.0
    one = model.fit(x, LABELS, epochs=3, batch_size=16, validation_split=0.2, verbose=0)
    other = flat.fit(x.reshape(120, -1), LABELS, epochs=3, batch_size=16, validation_split=0.2, verbose=0)
    assert one.history == other.history
    assert same_bits(model.get_weights(), flat.get_weights())
    assert same_bits([model.predict(IMAGES)], [flat.predict(IMAGES.reshape(120, -1))])
    assert model.evaluate(x, LABELS, verbose=0) == flat.evaluate(x.reshape(120, -1), LABELS, verbose=0)
    rows = np.arange(0, 120, 7)
    assert model.evaluate(IMAGES, LABELS, rows=rows, verbose=0) == flat.evaluate(
        IMAGES.reshape(120, -1), LABELS, rows=rows, verbose=0)


@pytest.mark.parametrize("copied", ["file", "pickle", "copy", "config"])
def test_shapes_survive_copies(copied, tmp_path):
    model = net(fr.Input((6, 5)), layers.Rescaling(1 / 255), layers.Flatten())
    model.fit(IMAGES, LABELS, epochs=2, verbose=0)
    if copied == "file":
        model.save(tmp_path / "m.safetensors")
        other = fr.load(tmp_path / "m.safetensors")
    elif copied == "config":
        other = fr.Sequential.from_config(model.get_config())
        other.set_weights(model.get_weights())
    else:
        other = pickle.loads(pickle.dumps(model)) if copied == "pickle" else copy.deepcopy(model)
    assert [layer.description for layer in other.layers] == [layer.description for layer in model.layers]
    assert same_bits([other.predict(IMAGES)], [model.predict(IMAGES)])
    if copied != "config":
        for one in (model, other):
            one.fit(IMAGES, LABELS, epochs=2, verbose=0)
        assert same_bits(other.get_weights(), model.get_weights())
    with pytest.raises(ValueError, match=r"must have the shape \(rows, 6, 5\), got \(120, 30\)"):
        other.predict(IMAGES.reshape(120, 30))


def test_a_graph_with_images_and_outputs_of_shapes(tmp_path):
    image, extra = fr.Input((6, 5), name="image"), fr.Input((2,), name="extra")
    code = layers.Dense(4, "tanh")(layers.concatenate([layers.Flatten()(image), extra]))
    again = layers.Reshape((6, 5), name="again")(layers.Dense(30, "sigmoid")(code))
    model = fr.Model([image, extra], {"code": code, "again": again}, seed=1)
    model.compile("adam", {"code": "mse", "again": "mse"})
    x = (IMAGES / 255.0).astype(np.float32)
    more = RNG.normal(size=(120, 2))
    history = model.fit([x, more], {"code": np.zeros((120, 4)), "again": x}, epochs=5, verbose=0).history
    assert history["again_loss"][-1] < history["again_loss"][0]
    found = model.predict([x, more])
    assert found["again"].shape == (120, 6, 5)
    assert found["code"].shape == (120, 4)
    flat = model.predict([x, more])["again"].astype(np.float64)
    loss = model.evaluate([x, more], {"code": found["code"], "again": x}, return_dict=True, verbose=0)["again_loss"]
    assert loss == pytest.approx(((flat - x) ** 2).mean(), rel=1e-5)
    model.save(tmp_path / "m.safetensors")
    assert same_bits([fr.load(tmp_path / "m.safetensors").predict([x, more])["again"]], [found["again"]])
    frozen = model.freeze()
    for given in ([x, more], {"image": x, "extra": more}):
        served = frozen(given)
        assert [part.shape for part in served] == [(120, 4), (120, 6, 5)]
        np.testing.assert_allclose(served[1], found["again"], rtol=1e-5, atol=1e-6)


def test_frozen_images():
    model = net(fr.Input((6, 5)), layers.Rescaling(1 / 255), layers.Flatten())
    frozen = model.freeze()
    for x in (IMAGES, IMAGES.astype(np.float32), IMAGES[:1], IMAGES[:0]):
        made = frozen(x)
        assert made.shape == (len(x), 3)
        if len(x):
            np.testing.assert_allclose(made, model.predict(x), rtol=1e-5, atol=1e-6)
    out = np.empty((120, 3), np.float32)
    assert frozen(IMAGES, out=out) is out
    assert same_bits([pickle.loads(pickle.dumps(frozen))(IMAGES)], [out])
    with refusal(ValueError, ["x: must have the shape"]):
        frozen(IMAGES.reshape(120, 30))


def test_a_model_shows_its_shapes(capsys):
    model = net(fr.Input((6, 5)), layers.Flatten())
    assert (model.input_shape, model.output_shape) == ((None, 6, 5), (None, 3))
    model.summary()
    assert "flatten (Flatten)  (None, 30)" in capsys.readouterr().out
    assert layers.Reshape((2, 3))(fr.Input((6,))).shape == (None, 2, 3)
    back = fr.Sequential([fr.Input((6,)), layers.Reshape((3, -1))], seed=0)
    assert back.output_shape == (None, 3, 2)
    assert back.predict(np.ones((4, 6))).shape == (4, 3, 2)
    assert net(layers.Flatten()).input_shape is None


def test_a_search_over_images():
    def build(params):
        return net(layers.Flatten(), layers.Dense(params["units"]))

    found = GridSearch(build, {"units": [4, 8]}, cv=3, seed=0, verbose=0)
    found.fit(IMAGES / 255.0, LABELS, epochs=2)
    assert np.isfinite(found.results_["mean_test_score"]).all()
    assert found.predict(IMAGES / 255.0).shape[0] == 120


REFUSED = {
    "a dense layer": (lambda: fr.Sequential([fr.Input((6, 5)), layers.Dense(3)]), ["Dense", "(6, 5)", "Flatten"]),
    "softmax": (lambda: fr.Sequential([fr.Input((6, 5)), layers.Activation("softmax")]), ["Activation", "Flatten"]),
    "a norm": (
        lambda: fr.Sequential([fr.Input((6, 5)), layers.BatchNormalization()]), ["BatchNormalization", "Flatten"]),
    "a size of 0": (lambda: fr.Input((6, 0)), ["Input: shape", "got 0"]),
    "a size too large": (lambda: fr.Input((2**16, 2**16)), ["Input", "number of elements"]),
    "other elements": (lambda: layers.Reshape((4, 5))(fr.Input((6, 5))), ["Reshape: target_shape", "30"]),
    "two free sizes": (lambda: layers.Reshape((-1, -1)), ["Reshape: target_shape", "one -1"]),
    "another format": (lambda: layers.Flatten(data_format="first"), ["Flatten", "data_format", "first"]),
    "another shape": (lambda: layers.Flatten(input_shape=(6, 5))(fr.Input((5, 6))), ["Flatten", "(6, 5)", "(5, 6)"]),
    "data of another shape": (
        lambda: net(fr.Input((6, 5)), layers.Flatten()).predict(np.zeros((3, 5, 6))), ["x", "(rows, 6, 5)"]),
    "images for rows": (lambda: net(fr.Input((30,))).predict(IMAGES), ["x", "2-D", "Flatten"]),
    "images for unbuilt rows": (lambda: net().fit(IMAGES, LABELS, verbose=0), ["x", "2-D", "Flatten"]),
    "targets of another shape": (
        lambda: shaped().fit(np.zeros((4, 6)), np.zeros((4, 2, 3)), verbose=0), ["y", "(4, 2, 3)"]),
}


def shaped():
    model = fr.Sequential([fr.Input((6,)), layers.Dense(6), layers.Reshape((3, 2))], seed=0)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    call, words = REFUSED[case]
    with refusal(ValueError, words):
        call()


def test_elementwise_layers_keep_shapes():
    stack = [fr.Input((6, 5)), layers.Rescaling(1 / 255), layers.Activation("tanh"), layers.Dropout(0.2)]
    model = fr.Sequential([*stack, layers.Flatten(), layers.Dense(1)], seed=0)
    assert [layer.description.output_shape((6, 5)) for layer in model.layers[:3]] == [(6, 5)] * 3
    model.compile("sgd", "mse")
    model.fit(IMAGES, LABELS, verbose=0)


WIDTHS = {
    "Dense": (lambda: layers.Dense(4), 4),
    "TableInput": (lambda: layers.TableInput(4, [layers.CategoricalColumn(3)]), 4),
    "PeriodicEmbedding": (lambda: layers.PeriodicEmbedding(3), None),
    "BatchNormalization": (layers.BatchNormalization, None),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_a_layer_that_says_what_it_takes_gets_it(name):
    """At once where the width before it is known without the input, else when the input is."""
    make, width = WIDTHS[name]
    if width is not None:
        with pytest.raises(ValueError, match=rf"layer 1 is to take 24 features, but gets {width}"):
            fr.Sequential([make(), layers.Dense(2, input_shape=(24,))])
        return
    model = fr.Sequential([make(), layers.Dense(2, input_shape=(24,))], seed=0)
    with pytest.raises(ValueError, match="layer 1 is to take 24 features, but gets"):
        model.build((None, 5))
    model.build((None, 6 if name == "PeriodicEmbedding" else 24))
    assert model.output_shape == (None, 2)


@pytest.mark.parametrize("width", [1, 7])
def test_layers_that_work_element_by_element_keep_the_width_that_the_core_finds(width):
    made = {name: case.made for name, case in cases.LAYER_CASES.items()}
    found = {name: layer for name, layer in made.items() if layer.is_elementwise() and not isinstance(layer, Join)}
    assert len(found) >= 5
    for name, layer in found.items():
        assert layer.output_shape((width,)) == (_core.layer_info(layer.to_config(), [width])[0],), name


def test_an_output_may_be_an_input_in_another_shape(tmp_path):
    """In C++ a change of shape is no layer, so that an output would be an input itself."""
    entry = fr.Input((2, 3), name="a")
    flat = layers.Flatten()(entry)
    models = [
        fr.Model(entry, flat),
        fr.Model(entry, [flat, layers.Dense(1)(flat)], seed=0),
        fr.Model(entry, [layers.Reshape((3, 2))(entry), layers.Reshape((6, 1))(entry)]),
    ]
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    for i, model in enumerate(models):
        found = model.predict(x)
        first = found[0] if isinstance(found, list) else found
        np.testing.assert_array_equal(first.reshape(5, 6), x.reshape(5, 6))
        if i == 2:
            assert [one.shape for one in found] == [(5, 3, 2), (5, 6, 1)]
        model.save(tmp_path / f"{i}.safetensors")
        again = fr.load(tmp_path / f"{i}.safetensors").predict(x)
        frozen = model.freeze()(x)
        for other in (again, frozen):
            for one, two in zip(*(part if isinstance(part, list) else [part] for part in (found, other)), strict=True):
                np.testing.assert_array_equal(one, two)
    models[1].compile("sgd", "mse")
    models[1].fit(x, [x.reshape(5, 6), x[:, 0, :1]], verbose=0)
