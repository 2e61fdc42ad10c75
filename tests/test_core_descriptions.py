"""Descriptions as the compiled module takes them: a dict is read as the JSON text that ``json.dumps`` makes of it."""

import json
import re

import numpy as np
import pytest
from fastreg import _core

NETWORK = {
    "format": 1,
    "name": None,
    "n_features": 5,
    "seed": 2**64 - 1,
    "layers": [
        {"type": "Dense", "units": 7, "activation": {"type": "leaky_relu", "negative_slope": 0.1}, "use_bias": True},
        {"type": "Dropout", "rate": 0.25, "seed": 3},
        {"type": "Dense", "units": 3, "kernel_regularizer": {"type": "L1L2", "l1": 0, "l2": 1e-05, "proximal": False}},
    ],
}
TRAINING = {
    "format": 1,
    "loss": {"type": "MeanSquaredError"},
    "optimizer": {"type": "Adam", "learning_rate": 0.01, "beta_1": np.float64(0.5)},
    "metrics": ({"type": "MeanAbsoluteError", "name": "mae"},),
}


def trained(network: object, training: object) -> list[np.ndarray]:
    made = _core.Network(network)
    trainer = _core.Trainer(made, training)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 5)).astype(np.float32), rng.normal(size=(20, 3)).astype(np.float32)
    data = {"x": x, "y": y, "sample_weight": None, "rows": None}
    trainer.fit(data, None, batch_size=4, epochs=2, shuffle=True, rates=np.array([1e-3]))
    return made.get_weights()


def test_moments_are_set_as_a_whole() -> None:
    network = _core.Network(NETWORK)
    trainer = _core.Trainer(network, TRAINING)
    moments = {name: value + 1.0 for name, value in trainer.get_moments().items()}
    name, array = next(iter(moments.items()))
    others = {key: value for key, value in moments.items() if key != name}
    for wrong, words in (
        (others, f"moments: {name} is missing"),
        ({**moments, "optimizer.m.other": array}, f"moments must be {len(moments)} arrays, got {len(moments) + 1}"),
        ({**others, f"{name}s": array}, f"moments: {name} is missing"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            trainer.set_moments(wrong)
        assert not any(value.any() for value in trainer.get_moments().values()), "none was set"
    trainer.set_moments(moments)
    assert all((value == 1.0).all() for value in trainer.get_moments().values())


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_a_dict_is_its_text():
    of_dicts, of_texts = trained(NETWORK, TRAINING), trained(json.dumps(NETWORK), json.dumps(TRAINING))
    assert [w.tobytes() for w in of_dicts] == [w.tobytes() for w in of_texts]
    assert _core.network_info(NETWORK) == _core.network_info(json.dumps(NETWORK))
    layer = NETWORK["layers"][0]
    assert _core.layer_info(layer, (5,)) == _core.layer_info(json.dumps(layer), (5,)) != _core.layer_info(layer, (6,))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, 10**400, None, "1"], ids=str)
def test_numbers_are_refused_as_in_texts(seed):
    for description in (NETWORK | {"seed": seed}, json.dumps(NETWORK | {"seed": seed})):
        with pytest.raises(ValueError, match=r"seed|range|finite"):
            _core.Network(description)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_does_not_have(value):
    with pytest.raises(ValueError, match="numbers of a description must be finite"):
        _core.layer_info({"type": "Dropout", "rate": value}, (5,))


def test_depth_is_bounded():
    # The dict is the first of 64 levels. A member that is not known is ignored, but read.
    assert _core.layer_info({"type": "Dropout", "rate": 0.5, "more": nested(63)}, (5,))[0] == 5
    within: list = []
    within.append(within)
    for value in (nested(64), within, {"a": (within,)}):
        with pytest.raises(ValueError, match="a description must not be nested deeper than 64"):
            _core.layer_info({"type": "Dropout", "rate": 0.5, "more": value}, (5,))
    with pytest.raises(ValueError, match="nested deeper than 64"):
        _core.layer_info(json.dumps({"type": "Dropout", "rate": 0.5, "more": nested(64)}), (5,))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, "names of a description must be strings"),
        (b"relu", "dicts, lists, strings, numbers, bools and None, got bytes"),
        ({1.5}, "got set"),
        (np.float32(1), "got float32"),
        (np.zeros(2), "got ndarray"),
    ],
    ids=["name", "bytes", "set", "float32", "array"],
)
def test_objects_that_json_does_not_have(value, message):
    with pytest.raises(TypeError, match=message):
        _core.Network(NETWORK | {"name": value})


def test_text_that_is_not_unicode():
    for description in (NETWORK | {"name": "\ud800"}, json.dumps(NETWORK | {"name": "\ud800"})):
        with pytest.raises(ValueError, match="surrogate"):
            _core.Network(description)


def test_a_description_is_neither_changed_nor_kept():
    description = json.loads(json.dumps(NETWORK))
    made = _core.Network(description)
    assert description == json.loads(json.dumps(NETWORK))
    before = made.weight_info()
    description["layers"].clear()
    assert made.weight_info() == before
