"""Graphs through the compiled module: several inputs and outputs in training and prediction, frozen graphs, pickles."""

import json
import pickle

import numpy as np
import pytest
from fastreg import _core

GRAPH = {
    "format": 2,
    "seed": 7,
    "inputs": [{"name": "a", "n_features": 4}, {"name": "b", "n_features": 3}],
    "layers": [
        {"type": "Dense", "units": 5, "activation": "relu"},
        {"type": "Dense", "units": 5, "activation": "tanh"},
        {"type": "Add"},
        {"type": "BatchNormalization"},
        {"type": "Concatenate"},
        {"type": "Dense", "units": 1},
        {"type": "Dense", "units": 3, "activation": "softmax"},
    ],
    "nodes": [
        {"layer": 0, "inputs": [0]},
        {"layer": 1, "inputs": [1]},
        {"layer": 2, "inputs": [2, 3, 2]},
        {"layer": 3, "inputs": [4]},
        {"layer": 4, "inputs": [5, 0]},
        {"layer": 5, "inputs": [6]},
        {"layer": 6, "inputs": [5]},
    ],
    "outputs": [{"name": "y", "value": 7}, {"name": "class", "value": 8}],
}
TRAINING = {
    "format": 2,
    "loss": [{"type": "MeanSquaredError"}, {"type": "SparseCategoricalCrossentropy"}],
    "loss_weights": [1, 0.5],
    "metrics": [[{"type": "MeanAbsoluteError"}], []],
    "optimizer": {"type": "Adam", "learning_rate": 0.01},
}


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(120, n)).astype(np.float32) for n in (4, 3))
    y = (a[:, :1] - b[:, 1:2]).astype(np.float32)
    return {"x": [a, b], "y": [y, (y[:, 0] > 0).astype(np.int32)], "sample_weight": None, "rows": None}


def fitted(rows, epochs=4):
    network = _core.Network(json.dumps(GRAPH))
    trainer = _core.Trainer(network, json.dumps(TRAINING))
    result = trainer.fit(
        rows, rows, batch_size=32, epochs=epochs, shuffle=True, rates=np.array([0.01])
    )
    return network, trainer, result


def test_logs_have_the_total_then_the_losses_then_the_metrics(rows):
    network, trainer, result = fitted(rows, 30)
    assert trainer.log_count == 4
    assert result["logs"].shape == (30, 8)
    total, first, second, _ = result["logs"].T[4:]
    np.testing.assert_allclose(total, first + 0.5 * second, rtol=1e-14)
    assert total[-1] < total[0] / 2
    assert trainer.evaluate(rows) == result["logs"][-1][4:].tolist()
    assert network.input_widths == [4, 3]
    assert network.output_widths == [1, 3]


def test_weights_of_rows_go_with_each_output(rows):
    ones = np.ones(120, np.float32)
    half = np.repeat(np.float32([0, 1]), 60)
    same = [fitted({**rows, "sample_weight": given})[2]["logs"] for given in (None, ones, [ones, None])]
    assert np.array_equal(same[0], same[1])
    assert np.array_equal(same[0], same[2])
    other = fitted({**rows, "sample_weight": [half, None]})[2]["logs"]
    assert not np.array_equal(same[0], other)
    with pytest.raises(ValueError, match="sample_weight must be as many as y, 2, got 1"):
        fitted({**rows, "sample_weight": [ones]})


def test_training_goes_on_as_without_a_break(rows):
    whole, _, _ = fitted(rows, 6)
    first, trainer, _ = fitted(rows, 2)
    network = _core.Network(json.dumps(GRAPH))
    network.set_weights(first.get_weights())
    resumed = _core.Trainer(network, json.dumps(TRAINING))
    resumed.set_moments(trainer.get_moments())
    resumed.step, resumed.epoch = trainer.step, trainer.epoch
    resumed.fit(rows, rows, batch_size=32, epochs=4, shuffle=True, rates=np.array([0.01]))
    for one, other in zip(whole.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_frozen_graphs_take_lists_and_names(rows):
    network, _, _ = fitted(rows)
    a, b = rows["x"]
    frozen = _core.Predictor(network)
    assert frozen.input_names == ("a", "b")
    assert frozen.output_names == ("y", "class")
    assert frozen.input_widths == [4, 3]
    assert frozen.output_widths == [1, 3]
    for got, want in zip(frozen([a, b]), network.predict([a, b]), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-6)
    out = [np.full((120, 1), np.nan, np.float32), np.full((120, 3), np.nan, np.float32)]
    assert all(given is result for given, result in zip(out, frozen((a, b), out), strict=True))
    named = frozen({"b": b, "a": a}, out={"class": out[1] * 0, "y": out[0] * 0})
    again = pickle.loads(pickle.dumps(frozen))
    assert repr(again) == repr(frozen)
    for one, two, three in zip(out, named, again([a.astype(float), b.tolist()]), strict=True):
        assert np.array_equal(one, two)
        assert np.array_equal(one, three)


@pytest.mark.parametrize(
    ("x", "out", "message"),
    [
        (lambda a, b: a, None, "x: must be 2 arrays"),
        (lambda a, b: [a], None, "x: must be 2 arrays, in their order or by name, got 1"),
        (lambda a, b: {"a": a, "c": b}, None, "got none for b"),
        (lambda a, b: [b, a], None, "takes 4 features, got 3"),
        (lambda a, b: [a, b[:5]], None, r"x\[1\] must have as many rows as x\[0\], 120, got 5"),
        (lambda a, b: [a, b], lambda a, b: a, "out: must be 2 arrays"),
        (lambda a, b: [a, b], lambda a, b: [b[:, :1].copy(), b], "out: must not overlap x"),
    ],
)
def test_frozen_graphs_refuse_what_does_not_fit(rows, x, out, message):
    frozen = _core.Predictor(fitted(rows, 1)[0])
    with pytest.raises(ValueError, match=message):
        frozen(x(*rows["x"]), out and out(*rows["x"]))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("nodes", [("chain", [0], [])]),
        ("nodes", [("magic", [0, 1], [])]),
        ("nodes", [("add", [0, 9], [])]),
        ("nodes", [("add", [0, 1], [])]),
        ("outputs", [("y", 0)]),
        ("inputs", []),
    ],
)
def test_damaged_pickles_are_refused(rows, part, value):
    kind, (state, *names) = _core.Predictor(fitted(rows, 1)[0]).__reduce__()
    with pytest.raises(ValueError, match=r"frozen|Predictor"):
        kind({**state, part: value}, *names)


@pytest.mark.parametrize(("part", "fields"), [("inputs", 2), ("nodes", 3), ("outputs", 2)])
@pytest.mark.parametrize("value", [(), (1,), 3])
def test_parts_of_a_damaged_pickle_without_their_fields_are_refused(rows, part, fields, value):
    kind, (state, *names) = _core.Predictor(fitted(rows, 1)[0]).__reduce__()
    with pytest.raises(TypeError, match=f"Predictor: {part} must be tuples of {fields} fields, got"):
        kind({**state, part: [value]}, *names)


def test_what_layers_and_networks_have_without_weights():
    widths, weights = _core.network_info(json.dumps(GRAPH))
    assert widths == [4, 3, 5, 5, 5, 5, 9, 1, 3]
    assert weights == _core.Network(json.dumps(GRAPH)).weight_info()
    frozen = {"type": "BatchNormalization", "center": False, "trainable": False}
    assert _core.layer_info(json.dumps(frozen), [6]) == (
        6,
        [(f"layers.0.{name}", (6,), False) for name in ("gamma", "moving_mean", "moving_variance")],
    )
    assert _core.layer_info('{"type": "Concatenate"}', [6, 2]) == (8, [])
    with pytest.raises(ValueError, match="inputs must have equally many columns, or one, got 6 and 2"):
        _core.layer_info('{"type": "Multiply"}', [6, 2])


def test_layers_that_are_not_trainable_stay(rows):
    chain = {
        "format": 1,
        "n_features": 4,
        "layers": [
            {"type": "Dense", "units": 6, "activation": "relu", "trainable": False,
             "kernel_regularizer": {"type": "L1L2", "l2": 5.0}},
            {"type": "BatchNormalization", "trainable": False},
            {"type": "Dense", "units": 1},
        ],
    }
    network = _core.Network(json.dumps(chain))
    trainer = _core.Trainer(
        network, '{"format": 1, "loss": {"type": "MeanSquaredError"}, "optimizer": {"type": "Adam"}}'
    )
    before = network.get_weights()
    data = {"x": rows["x"][0], "y": rows["y"][0], "sample_weight": None, "rows": None}
    first = trainer.evaluate(data)[0]
    trainer.fit(data, None, batch_size=32, epochs=20, shuffle=True, rates=np.array([0.05]))
    assert [info[2] for info in network.weight_info()] == [False] * 6 + [True] * 2
    for old, new, info in zip(before, network.get_weights(), network.weight_info(), strict=True):
        assert np.array_equal(old, new) != info[2]
    assert set(trainer.get_moments()) == {
        f"optimizer.{moment}.layers.2.{name}" for moment in "mv" for name in ("kernel", "bias")
    }
    # The penalty of a layer that is not trained is no part of the loss, as in Keras.
    assert trainer.evaluate(data)[0] < first < 10
