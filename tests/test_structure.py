"""What a model shows of itself in Keras's words: layers by name, weights as objects, configurations, files of weights,
tables and pictures."""
from __future__ import annotations

import copy
import json
import xml.etree.ElementTree as ET

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, models, optimizers, schedules
from programs import compiled, line, refusal, same_bits

X, Y = line(60, 4)


def chain(seed=0, **keywords):
    return fr.Sequential(
        [fr.Input((4,)), layers.Dense(8, "relu", kernel_regularizer="l2", name="first"), layers.BatchNormalization(),
         layers.Residual([layers.Dense(8, "tanh"), layers.Dense(8)], name="block"), layers.Dropout(0.2),
         layers.Dense(1, trainable=False)], seed=seed, **keywords)


def graph(seed=0):
    a, b = fr.Input((3,), name="a"), fr.Input((2,), name="b")
    both = layers.Concatenate()([layers.Dense(4, "relu")(a), b])
    return fr.Model([a, b], {"y": layers.Dense(1)(both), "z": layers.Dense(3, "softmax")(both)}, seed=seed)


MODELS = {"chain": chain, "graph": graph}


# --- layers and weights -----------------------------------------------------------------------------------------------

def test_get_layer():
    model = chain()
    assert model.get_layer("first") == model.layers[0]
    assert model.get_layer(index=2) == model.get_layer("block") == model.layers[2]
    assert model.get_layer(index=-1).name == "dense"
    for arguments in ({}, {"name": "first", "index": 0}):
        with refusal(ValueError, ["get_layer", "one of name and index"]):
            model.get_layer(**arguments)
    with refusal(ValueError, ["get_layer", "'frist'", "did you mean 'first'"]):
        model.get_layer("frist")
    for index in (5, -6, 1.0, True):
        with refusal(ValueError, ["get_layer", "index must be in", repr(index)]):
            model.get_layer(index=index)


def test_weights_are_those_of_get_weights_in_their_order():
    for build in MODELS.values():
        model = build()
        shown = model.weights
        assert same_bits([weight.numpy() for weight in shown], model.get_weights())
        assert [weight.shape for weight in shown] == [values.shape for values in model.get_weights()]
        trained = [weight for weight in shown if weight.trainable]
        assert trained == model.trainable_weights == model.trainable_variables
        assert [weight for weight in shown if not weight.trainable] == model.non_trainable_weights
        assert model.variables == shown
    paths = [weight.path for weight in chain().weights]
    assert paths[:4] == ["first/kernel", "first/bias", "batch_normalization/gamma", "batch_normalization/beta"]
    assert paths[-2:] == ["dense/kernel", "dense/bias"]
    assert [weight.path for weight in chain().non_trainable_weights] == [
        "batch_normalization/moving_mean", "batch_normalization/moving_variance", "dense/kernel", "dense/bias"]


def test_a_layers_weights_by_their_names():
    model = chain()
    first, norm, block, _, last = model.layers
    assert np.array_equal(np.asarray(first.kernel), model.get_weights()[0])
    assert [weight.name for weight in norm.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [weight.name for weight in norm.trainable_weights] == ["gamma", "beta"]
    assert [weight.name for weight in norm.non_trainable_weights] == ["moving_mean", "moving_variance"]
    assert np.array_equal(norm.gamma.numpy(), np.ones(8))
    assert last.trainable_weights == []
    assert len(last.variables) == 2
    assert len(block.weights) == 4
    with refusal(AttributeError, ["Dense", "'kernal'", "kernel"]):
        _ = first.kernal
    with refusal(AttributeError, ["Residual", "'kernel'"]):  # there are two of that name
        _ = block.kernel
    with refusal(AttributeError, ["Dropout", "no weights"]):
        _ = model.layers[3].kernel


@pytest.mark.parametrize("change", [
    lambda model, values: model.layers[0].kernel.assign(values),
    lambda model, values: model.layers[0].set_weights([values, np.zeros(3)]),
], ids=["assign", "set_weights"])
def test_what_is_set_alone_leaves_what_is_trained_meanwhile(change):
    """Another thread may train while the values are converted: its steps of the other weights are not undone."""
    model = compiled([layers.Dense(3), layers.Dense(1)], loss="mse", n_features=2)
    trained = []

    class TrainsMeanwhile:
        def __array__(self, dtype=None, copy=None):
            model.train_on_batch(np.ones((4, 2)), np.ones(4))
            trained.append(model.get_weights())
            return np.full((2, 3), 2.0, dtype)

    before = model.get_weights()
    change(model, TrainsMeanwhile())
    assert not same_bits(before[2:], trained[-1][2:])
    assert same_bits(model.get_weights()[2:], trained[-1][2:])
    assert (model.get_weights()[0] == 2).all()


def test_assign_takes_effect_and_a_bad_one_changes_nothing():
    model = chain()
    kernel = model.layers[0].kernel
    assert kernel.assign(np.full((4, 8), 2.0)) is kernel
    assert np.array_equal(model.get_weights()[0], np.full((4, 8), 2.0, np.float32))
    before = model.get_weights()
    for value, words in ((np.zeros((8, 4)), "shape"), (np.full((4, 8), np.nan), "finite"), ("abc", "kernel")):
        with refusal((ValueError, TypeError), ["assign", words]):
            kernel.assign(value)
    with refusal(ValueError, ["moving_variance", ">= 0"]):
        model.layers[1].moving_variance.assign(np.full(8, -1.0))
    assert same_bits(before, model.get_weights())


def test_a_weight_follows_training_and_converts_as_an_array():
    model = chain()
    kernel = model.layers[0].kernel
    before = kernel.numpy()
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert not np.array_equal(kernel.numpy(), before)
    assert np.asarray(kernel).dtype == np.float32
    assert np.asarray(kernel, np.float64).dtype == np.float64
    assert kernel == model.weights[0]
    assert kernel != model.weights[1]
    assert len({kernel, model.weights[0]}) == 1
    assert kernel.dtype == "float32"
    assert "first/kernel" in repr(kernel)
    with pytest.raises(ValueError, match="copy"):
        np.array(kernel, copy=False)


def test_parts_of_a_weight():
    """As of Keras's variables and PyTorch's parameters; what is not there says how to get an array."""
    kernel, values = chain().layers[0].kernel, chain().get_weights()[0]
    for key in (0, -1, slice(1, 3), (slice(None), 2), (1, 2), ..., values > 0):
        assert np.array_equal(kernel[key], values[key])
    assert len(kernel) == len(values)
    assert np.array_equal(np.stack(list(kernel)), values)
    rows = iter(kernel)
    next(rows)
    kernel.assign(values + 1.0)
    assert np.array_equal(next(rows), values[1])  # all rows are copied at once
    kernel.assign(values)
    kernel[0][:] = 0.0  # of a copy
    assert np.array_equal(kernel.numpy(), values)
    with pytest.raises(TypeError, match=r"^first/kernel: parts of a weight cannot be set; assign replaces all"):
        kernel[0] = 1.0
    with pytest.raises(IndexError):
        kernel[4]
    for name in ("mean", "data", "value"):
        with pytest.raises(AttributeError, match=rf"^a weight has no attribute '{name}'; numpy\(\) gives the values"):
            getattr(kernel, name)
    same = copy.copy(kernel)
    assert same == kernel


def test_weights_of_a_model_that_is_not_built():
    model = fr.Sequential([layers.Dense(3)])
    assert model.weights == model.trainable_weights == model.layers[0].weights == []
    with pytest.raises(AttributeError, match="kernel"):
        _ = model.layers[0].kernel
    model.build(2)
    assert model.layers[0].kernel.shape == (2, 3)


def test_iterations_of_the_optimizer():
    model = compiled([layers.Dense(1)], loss="mse", n_features=4)
    assert model.optimizer.iterations == 0
    model.fit(X, Y, batch_size=20, epochs=2, verbose=0)
    assert model.optimizer.iterations == 6
    with pytest.raises(AttributeError, match="learning_rate"):
        _ = model.optimizer.lr


# --- configurations ---------------------------------------------------------------------------------------------------

def through_json(config):
    return json.loads(json.dumps(config))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_from_its_configuration_is_the_same_untrained(name):
    model = MODELS[name](seed=3)
    first = model.get_weights()
    for same in (type(model).from_config(through_json(model.get_config())), models.clone_model(model),
                 models.model_from_json(model.to_json(indent=2))):
        assert type(same) is type(model)
        assert [layer.description for layer in same.layers] == [layer.description for layer in model.layers]
        assert (same.name, same.seed) == (model.name, model.seed)
        assert (same.input_names, same.output_names) == (model.input_names, model.output_names)
        assert same.optimizer is None
        assert same_bits(same.get_weights(), first)
        assert same.get_config() == model.get_config()
    other = models.clone_model(model, seed=4)
    assert other.seed == 4
    assert not same_bits(other.get_weights(), first)


def test_the_form_of_a_configuration():
    config = chain().get_config()
    assert [layer["class_name"] for layer in config["layers"]] == [
        "Dense", "BatchNormalization", "Residual", "Dropout", "Dense"]
    assert config["layers"][0]["config"]["units"] == 8
    assert json.loads(chain().to_json())["class_name"] == "Sequential"
    unbuilt = fr.Sequential([layers.Dense(3)], seed=1)
    assert unbuilt.get_config()["n_features"] is None
    assert not fr.Sequential.from_config(unbuilt.get_config()).built


def test_a_clone_shares_nothing():
    model = compiled([layers.Dense(1)], loss="mse", n_features=4)
    other = models.clone_model(model)
    model.fit(X, Y, verbose=0)
    assert not same_bits(model.get_weights(), other.get_weights())


BAD_LAYERS = [3, [1], [{"class_name": "Dense"}], [{"class_name": "Os", "config": {}}],
              [{"class_name": 3, "config": {}}]]


@pytest.mark.parametrize("config", [None, [], {}, {"layers": [], "seed": "a"},
                                    *({"layers": bad, "seed": 0} for bad in BAD_LAYERS)])
def test_a_bad_configuration(config):
    with refusal(ValueError, ["from_config"]):
        fr.Sequential.from_config(config)


def test_a_damaged_configuration_of_a_graph():
    changes = ({"nodes": 3}, {"nodes": [{}]}, {"outputs": []}, {"inputs": [{"name": 3}]}, {"model": {"type": "Os"}})
    for change in changes:
        with refusal(ValueError, ["from_config"]):
            fr.Model.from_config(graph().get_config() | change)


def test_a_configuration_of_the_other_class():
    with refusal(ValueError, ["from_config", "Sequential", "Model"]):
        fr.Sequential.from_config(graph().get_config())
    with refusal(ValueError, ["from_config", "Model", "Sequential"]):
        fr.Model.from_config(chain().get_config())


@pytest.mark.parametrize("text", [None, 3, "", "{", "[]", '{"layers": []}'])
def test_a_bad_json(text):
    with refusal(ValueError, ["model_from_json", "to_json"]):
        models.model_from_json(text)


def test_configurations_of_parts():
    for part in (layers.Dense(3, "relu", kernel_regularizer="l1"), layers.Dropout(0.3), optimizers.AdamW(0.01),
                 fr.losses.Huber(2.0), fr.metrics.F1Score(average="macro"), fr.regularizers.L1L2(0.1, 0.2),
                 fr.initializers.RandomNormal(stddev=0.1), schedules.CosineDecay(0.1, 100)):
        config = through_json(part.get_config())
        assert "type" not in config
        assert type(part).from_config(config) == part
    model = chain()
    assert model.layers[1].get_config()["name"] == "batch_normalization"


@pytest.mark.parametrize("loss", ["mse", None])
def test_how_a_model_was_compiled(loss):
    model, other = chain(), chain()
    assert model.get_compile_config() is None
    model.compile(optimizers.Adam(schedules.CosineDecay(0.1, 50)), loss, ["mae", "mse"] if loss else None)
    other.compile_from_config(through_json(model.get_compile_config()))
    assert other.optimizer == model.optimizer
    assert other.get_compile_config() == model.get_compile_config()
    if loss:
        assert (other.loss, other.metrics) == (model.loss, model.metrics)
        model.fit(X, Y, verbose=0)
        other.fit(X, Y, verbose=0)
        assert same_bits(model.get_weights(), other.get_weights())


def test_how_a_graph_was_compiled():
    model, other = graph(), graph()
    model.compile("adam", {"y": "mse", "z": "categorical_crossentropy"}, {"z": ["accuracy"]}, loss_weights=[1.0, 0.5])
    other.compile_from_config(through_json(model.get_compile_config()))
    assert other.get_compile_config() == model.get_compile_config()
    assert (other.loss, other.metrics) == (model.loss, model.metrics)
    for config in ({}, None, {"optimizer": "adam"}):
        with refusal(ValueError, ["compile_from_config"]):
            other.compile_from_config(config)


def test_compute_output_shape():
    assert chain().compute_output_shape((None, 4)) == (None, 1)
    assert graph().compute_output_shape(None) == [(None, 1), (None, 3)]


# --- files of weights -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", MODELS)
def test_weights_from_a_file(name, tmp_path):
    first, second = MODELS[name](0), MODELS[name](1)
    for path in (tmp_path / "net.weights.h5", str(tmp_path / "net.safetensors")):
        first.save_weights(path)
        second.set_weights(MODELS[name](2).get_weights())
        second.load_weights(path)
        assert same_bits(second.get_weights(), first.get_weights())


def test_weights_from_the_file_of_a_model(tmp_path):
    model = chain()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.safetensors")
    other = chain(1)
    other.load_weights(tmp_path / "model.safetensors")
    assert same_bits(other.get_weights(), model.get_weights())


def test_loading_weights_keeps_the_state_of_the_optimizer(tmp_path):
    model = compiled([layers.Dense(1)], loss="mse", n_features=4, optimizer="adam")
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "a.weights.h5")
    model.load_weights(tmp_path / "a.weights.h5")
    assert model.optimizer.iterations == 2


def test_weights_of_other_layers_change_nothing(tmp_path):
    path = tmp_path / "net.weights.h5"
    chain().save_weights(path)
    wider = fr.Sequential([fr.Input((4,)), layers.Dense(9, name="first")], seed=1)
    before = wider.get_weights()
    with refusal(ValueError, ["load_weights", "net.weights.h5", "layers.1.gamma", "skip_mismatch"]):
        wider.load_weights(path)
    longer = fr.Sequential([fr.Input((4,)), layers.Dense(8), layers.BatchNormalization(), layers.Dense(1)], seed=1)
    kept = longer.get_weights()
    longer.load_weights(path, skip_mismatch=True)
    assert same_bits(longer.get_weights()[:6], chain().get_weights()[:6])
    assert same_bits(longer.get_weights()[6:], kept[6:])  # another shape
    assert same_bits(before, wider.get_weights())


def test_files_of_weights_that_cannot_be_loaded(tmp_path):
    model, path = chain(), tmp_path / "net.weights.h5"
    model.save_weights(path)
    with refusal(ValueError, ["weights alone", "load_weights"]):
        fr.load(path)
    with refusal(FileExistsError, ["save_weights", "overwrite"]):
        model.save_weights(path, overwrite=False)
    model.save_weights(tmp_path / "new.h5", overwrite=False)
    with refusal(ValueError, ["path", ".npz"]):
        model.save_weights(tmp_path / "net.npz")
    with pytest.raises(OSError, match="none"):
        model.load_weights(tmp_path / "none.h5")
    path.write_bytes(path.read_bytes()[:-4])
    before = model.get_weights()
    with pytest.raises(ValueError, match="net"):
        model.load_weights(path)
    assert same_bits(before, model.get_weights())
    with refusal(ValueError, ["not built"]):
        fr.Sequential([layers.Dense(1)]).save_weights(tmp_path / "other.h5")


def test_a_file_with_values_that_are_not_finite(tmp_path):
    model, path = chain(), tmp_path / "net.weights.h5"
    model.save_weights(path)
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    with refusal(ValueError, ["finite"]):
        model.load_weights(path)


def test_save_model_is_save(tmp_path):
    model = chain()
    models.save_model(model, tmp_path / "m.safetensors")
    assert same_bits(models.load_model(tmp_path / "m.safetensors").get_weights(), model.get_weights())


# --- tables and pictures ----------------------------------------------------------------------------------------------

def test_summary_shows_the_share_of_zeros():
    model = chain()
    values = np.ones((4, 8))
    values[0, :4] = 0
    model.layers[0].kernel.assign(values)
    said = []
    model.summary(print_fn=said.append, show_sparsity=True)
    rows = {row.split()[0]: row for row in said[0].splitlines() if row.startswith(" ")}
    assert rows["first"].endswith("12.5%")
    assert rows["dropout"].endswith("-")
    assert rows["batch_normalization"].endswith("-")
    assert "Zeros" in rows["Layer"]


def test_tables_for_notebooks():
    model = chain(name="<b>&")
    table = ET.fromstring(model._repr_html_())
    cells = [cell.text for cell in table.iter("td")]
    assert "first (Dense)" in cells
    assert "(None, 8)" in cells
    assert "40" in cells
    assert "<b>&" in "".join(table.find("caption").itertext())
    assert fr.Sequential([layers.Dense(2)])._repr_html_().count("<tr>") == 2
    model.compile("sgd", "mse", ["mae"])
    history = model.fit(X, Y, epochs=3, verbose=0)
    table = ET.fromstring(history._repr_html_())
    assert [cell.text for cell in table.iter("th")] == ["epoch", "loss", "mae"]
    assert [row[0].text for row in table.find("tbody")] == ["1", "2", "3"]
    assert float(table.find("tbody")[2][1].text) == pytest.approx(history.history["loss"][-1], rel=1e-3)
    long = model.fit(X, Y, epochs=50, verbose=0)
    rows = [row[0].text for row in ET.fromstring(long._repr_html_()).find("tbody")]
    assert rows == [*map(str, range(1, 11)), "…", *map(str, range(41, 51))]


SVG = "{http://www.w3.org/2000/svg}"


def texts(picture):
    groups = ET.fromstring(picture.svg).iter(f"{SVG}g")
    return ["|".join(text.text for text in group.iter(f"{SVG}text")) for group in groups]


def test_a_picture_of_a_chain(tmp_path):
    picture = fr.utils.plot_model(chain(), tmp_path / "a.svg", show_shapes=True, show_layer_activations=True)
    assert (tmp_path / "a.svg").read_text() == picture.svg == picture._repr_svg_()
    assert texts(picture) == ["input_layer (Input)|(None, 4)", "first (Dense)|relu|(None, 8)",
                              "batch_normalization (BatchNormalization)|(None, 8)", "block (Residual)|(None, 8)",
                              "dropout (Dropout)|(None, 8)", "dense (Dense)|linear|(None, 1)"]
    assert texts(fr.utils.plot_model(chain(), None, show_layer_names=False))[1] == "Dense"
    assert texts(fr.utils.plot_model(fr.Sequential([layers.Dense(2)]), None, show_shapes=True))[1].endswith("(None, ?)")


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_boxes_do_not_overlap_and_every_connection_has_a_line(rankdir):
    model = graph()
    root = ET.fromstring(fr.utils.plot_model(model, None, rankdir=rankdir).svg)
    boxes = [tuple(float(group[0].get(key)) for key in ("x", "y", "width", "height")) for group in root.iter(f"{SVG}g")]
    assert len(boxes) == 6
    assert sum(1 for path in root.iter(f"{SVG}path") if path.get("marker-end")) == 5
    for i, (x, y, width, height) in enumerate(boxes):
        assert x >= 0
        assert x + width <= float(root.get("width"))
        assert y >= 0
        assert y + height <= float(root.get("height"))
        for u, v, w, h in boxes[:i]:
            assert x + width <= u or u + w <= x or y + height <= v or v + h <= y


def test_layers_that_are_not_trained_are_grey():
    fills = [group[0].get("fill") for group in
             ET.fromstring(fr.utils.plot_model(chain(), None, show_trainable=True).svg).iter(f"{SVG}g")]
    assert len(set(fills[:-1])) == 1
    assert fills[-1] != fills[0]


def test_names_are_escaped_in_a_picture():
    picture = fr.utils.plot_model(fr.Sequential([layers.Dense(2, name="<&>")], name="</svg>"), None)
    assert texts(picture)[1] == "<&> (Dense)"


def test_pictures_that_cannot_be_drawn(tmp_path):
    for arguments, words in (({"to_file": tmp_path / "a.png"}, ["to_file", ".svg"]),
                             ({"rankdir": "BT"}, ["rankdir", "BT"]), ({"show_dtype": True}, ["show_dtype"])):
        with refusal(ValueError, ["plot_model", *words]):
            fr.utils.plot_model(chain(), **({"to_file": None} | arguments))
    with refusal(ValueError, ["plot_model", "no layers"]):
        fr.utils.plot_model(fr.Sequential(), None)
    with refusal(TypeError, ["plot_model", "model"]):
        fr.utils.plot_model(3, None)
    assert not list(tmp_path.iterdir())
