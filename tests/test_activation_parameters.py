"""Activations with parameters, and the ways to give one: a name, a function, a partial, a layer, the JSON form."""

import copy
import json
import math
import pickle
from functools import partial

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from conftest import EPS, assert_close
from fastreg import _core, activations, layers, ops
from fastreg.internal import activation_names
from formulas.activations import PARAMETRISED
from programs import refusal

FORMS = {name: form for name, (form, _) in PARAMETRISED.items()}
NAMES = sorted(set(layers.ACTIVATIONS) - set(ref.ROWS))


def values(rng):
    scale = rng.choice([0.1, 1.0, 10.0], size=(7, 37))
    z = (scale * rng.normal(size=(7, 37))).astype(np.float32)
    z[0, :4] = [0.0, 1e30, -1e30, -0.0]
    return z


def test_every_activation_with_parameters_has_a_row():
    """And Python's parameters are those of the core, with the same defaults and ranges."""
    assert {form["type"] for form in FORMS.values()} == set(activation_names.PARAMETERS)
    for name, core in _core.schema()["activations"].items():
        known = activation_names.PARAMETERS.get(name, {})
        assert set(known) == set(core["fields"])
        for key, (rule, usual) in known.items():
            told = core["fields"][key]
            assert told["default"] == usual
            assert told["type"] == ("bool" if rule is None else "float")
            if rule is not None and math.isfinite(rule.low):
                assert told["minimum"] == rule.low


@pytest.mark.parametrize("name", PARAMETRISED)
def test_values_and_gradients(name, rng):
    z, row = values(rng), PARAMETRISED[name][1]
    y, expected = ops.activation(z, FORMS[name]), ref.activation_forward(name, z)
    allowed = row.ulps * EPS * abs(expected) + (EPS * np.minimum(abs(z), 4.0) if row.cancels else 0.0)
    assert (abs(y - expected) <= allowed + np.finfo(np.float32).tiny).all()
    dy = rng.normal(size=z.shape).astype(np.float32)
    dz = ops.activation_backward(z, dy, FORMS[name])
    assert_close(dz, ref.activation_backward(name, z, dy), terms=8, magnitude=abs(dy), what="dz")


@pytest.mark.parametrize("name", PARAMETRISED)
def test_a_nan_stays_and_infinity_has_a_limit(name):
    z = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    y = ops.activation(z, FORMS[name])[0]
    assert np.isnan(y[0])
    assert not np.isnan(y[1:]).any()


@pytest.mark.parametrize("name", PARAMETRISED)
def test_in_a_network(name, rng):
    """Trained, predicted, frozen, saved and loaded, in a Dense and as a layer of its own."""
    x, t = rng.normal(size=(40, 5)), rng.normal(size=(40, 2))
    form = FORMS[name]
    model = fr.Sequential([layers.Dense(19, form), layers.Activation(form), layers.Dense(2)], seed=3)
    model.compile(fr.optimizers.SGD(0.05), "mse")
    model.build(5)
    net = ref.Network(
        [ref.Dense(19, name), ref.Activation(name), ref.Dense(2)], model.get_weights(), optimizer=ref.SGD(0.05)
    )
    model.fit(x, t, epochs=3, batch_size=16, shuffle=False, verbose=0)
    net.fit(x.astype(np.float32).astype(float), t, 3, 16)
    for got, want in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5)
    y = model.predict(x)
    np.testing.assert_allclose(y, net.forward(x), rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(model.freeze()(x), y, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model.freeze()))(x), model.freeze()(x))


@pytest.mark.parametrize("name", PARAMETRISED)
def test_a_file_keeps_it(name, tmp_path, rng):
    x = rng.normal(size=(6, 4))
    model = fr.Sequential([fr.Input((4,)), layers.Dense(3, FORMS[name]), layers.Activation(FORMS[name])], seed=1)
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.fastreg")
    loaded = fr.load(tmp_path / "model.fastreg")
    assert loaded.layers[0].activation == model.layers[0].activation
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (activations.relu, "relu"),
        (activations.swish, "silu"),
        (activations.hard_swish, "hard_silu"),
        ("hard_swish", "hard_silu"),
        (partial(activations.leaky_relu, negative_slope=0.2), "leaky_relu"),
        (partial(activations.gelu, approximate=False), "gelu"),
        (partial(activations.leaky_relu, negative_slope=0.1), FORMS["leaky_relu(0.1)"]),
        (layers.LeakyReLU(0.1), FORMS["leaky_relu(0.1)"]),
        (layers.LeakyReLU(0.2), "leaky_relu"),
        (layers.ReLU(), "relu"),
        (layers.ReLU(6), FORMS["relu(6)"]),
        (layers.ELU(), "elu"),
        (layers.Softmax(), "softmax"),
        (layers.Identity(), "linear"),
        (layers.Activation("gelu"), "gelu"),
    ],
)
def test_ways_to_give_one(given, same):
    one, other = layers.Dense(4, given), layers.Dense(4, same)
    assert one == other
    assert hash(one) == hash(other)
    assert one.to_config() == other.to_config()
    assert json.loads(json.dumps(one.to_config())) == one.to_config()
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert layers.Dense.from_config(one.to_config()) == one


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        (lambda x: x, TypeError, ["Dense: activation must be the name or function", "fastreg.activations"]),
        (layers.ReLU, TypeError, ["parentheses"]),
        (activations.glu, ValueError, ["columns", "glu"]),
        ("threshold", ValueError, ["threshold needs its threshold", "partial"]),
        (partial(activations.relu, slope=1.0), TypeError, ["unknown parameter 'slope'", "negative_slope"]),
        (partial(activations.tanh, alpha=1.0), TypeError, ["unknown parameter 'alpha'", "no parameters"]),
        (
            partial(activations.leaky_relu, negative_slope=-1.0),
            ValueError,
            ["Dense: negative_slope must be >= 0", "-1"],
        ),
        (partial(activations.celu, alpha=0.0), ValueError, ["Dense: alpha must be", "0.0"]),
        ({"type": "celu", "alpha": math.nan}, ValueError, ["Dense: alpha must be", "nan"]),
        ({"type": "cellu"}, ValueError, ["cellu"]),
        (3, TypeError, ["Dense: activation must be the name or function of an activation"]),
    ],
)
def test_what_is_none(given, kind, words):
    with refusal(kind, words):
        layers.Dense(4, given)


@pytest.mark.parametrize("name", sorted({*layers.ACTIVATIONS, "threshold"} - {"gelu_tanh"}))
def test_functions_compute_what_layers_do(name, rng):
    function = getattr(activations, name)
    z = rng.normal(size=(2, 3, 5)).astype(np.float32)
    more = {"threshold": 0.1, "default_value": -1.0} if name == "threshold" else {}
    form = {"type": name, **more} if more else name
    y = function(z, **more)
    assert y.shape == z.shape
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.reshape(-1, 5), ops.activation(z.reshape(-1, 5), form))
    assert activations.get(name) is function
    back = activations.deserialize(activations.serialize(partial(function, **more)))
    np.testing.assert_array_equal(back(z), y)


@pytest.mark.parametrize("name", ref.ROWS)
def test_rows_along_an_axis(name, rng):
    z = rng.normal(size=(4, 3, 5)).astype(np.float32)
    for axis in (0, 1, 2, -1, -2):
        y = getattr(activations, name)(z, axis=axis)
        expected = np.moveaxis(ref.activation_forward(name, np.moveaxis(z, axis, -1)), -1, axis)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    with refusal(ValueError, [f"{name}: axis must be an axis of an array of 3 dimensions", "3"]):
        getattr(activations, name)(z, axis=3)


def test_sparsemax_at_its_edges():
    z = np.array([[0.0, -np.inf, 1.0], [np.nan, 1.0, 2.0], [3e38, -3e38, 0.0], [np.inf, 0.0, 1.0]], np.float32)
    y = ops.activation(z, "sparsemax")
    np.testing.assert_array_equal(y[0], [0.0, 0.0, 1.0])
    assert np.isnan(y[1]).all()
    np.testing.assert_array_equal(y[2], [1.0, 0.0, 0.0])
    assert np.isnan(y[3]).all()
    for cols in (2, 17, 300):
        equal = ops.activation(np.full((3, cols), 0.5, np.float32), "sparsemax")
        np.testing.assert_allclose(equal, 1.0 / cols, rtol=1e-5)


def test_glu():
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    np.testing.assert_allclose(activations.glu(x), x[:, :3] / (1.0 + np.exp(-x[:, 3:])), rtol=1e-6)
    assert activations.glu(x, axis=0).shape == (1, 6)
    with refusal(ValueError, ["glu: the length of the axis must be even", "3"]):
        activations.glu(x[:, :3])


@pytest.mark.parametrize("name", ["log_softmax", "sparsemax", "softmax"])
def test_an_activation_of_rows_needs_two_columns(name):
    with refusal(ValueError, [f"{name} over 1 unit is always"]):
        fr.Sequential([fr.Input((3,)), layers.Dense(1, name)]).build(3)
