"""PeriodicEmbedding and ParametricActivation at every size, against the oracle, which is checked by differences."""

import pickle

import fastreg as fr
import layers_reference
import numpy as np
import pytest
import reference as ref
from conftest import EPS, assert_close
from fastreg import _core, initializers, layers, optimizers
from pairs import float32, random_weights
from programs import refusal

FORMS = {
    "pbld": {},
    "pbld, rectified": {"rectify": True},
    "plr": {"use_phases": False, "rectify": True, "keep_input": False},
    "without phases": {"use_phases": False},
    "without x": {"keep_input": False},
}
# Rows around a vector and beyond two chunks; columns, outputs and waves around panels of 64.
SIZES = [(1, 1, 1, 1), (3, 2, 3, 16), (17, 5, 4, 7), (33, 16, 5, 2), (257, 3, 2, 65), (600, 2, 7, 3), (5, 70, 2, 4)]


def oracle_of(units, form):
    given = {name: FORMS[form].get(long, usual) for name, long, usual in _NAMES}
    return layers_reference.PeriodicEmbedding(units, **given)


_NAMES = [("phases", "use_phases", True), ("rectify", "rectify", False), ("keep", "keep_input", True)]


def size_of_angles(layer):
    """The largest angle of each row, in radians: what the rounding of a product moves it by, in units of EPS."""
    angles = 2.0 * np.pi * np.abs(layer.x).max(axis=1, keepdims=True) * np.abs(layer.p["frequencies"]).max()
    return angles + np.abs(layer.p.get("phases", np.zeros(1))).max()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "inputs", "units", "waves"), SIZES)
def test_predictions(n, inputs, units, waves, form, rng):
    embedding = layers.PeriodicEmbedding(units, waves, **FORMS[form])
    model = fr.Sequential([fr.Input((inputs,)), embedding], seed=0)
    oracle = oracle_of(units, form)
    weights = random_weights([w.shape for w in model.get_weights()], oracle.names, rng)
    model.set_weights(weights)
    oracle.p = {name: w.astype(np.float64) for name, w in zip(oracle.names, weights, strict=True)}
    x = (3.0 * rng.normal(size=(n, inputs))).astype(np.float32)
    expected = oracle.forward(x.astype(np.float64), False, None)
    size = np.abs(oracle.p["kernel"]).sum(axis=0).max() + np.abs(oracle.p["bias"]).max()
    size = size * (1.0 + size_of_angles(oracle))
    terms = len(oracle.p["kernel"]) + 4
    assert_close(model.predict(x), expected, terms=terms, magnitude=size, what="y")
    frozen = model.freeze()
    assert_close(frozen(x), expected, terms=terms, magnitude=size, what="frozen")
    np.testing.assert_array_equal(frozen(x[: n // 2 + 1]), frozen(x)[: n // 2 + 1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frozen))(x), frozen(x))
    wide = np.full((n, inputs + 9), np.nan, np.float32)
    wide[:, 4 : 4 + inputs] = x
    np.testing.assert_array_equal(frozen(wide[:, 4 : 4 + inputs]), frozen(x))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "inputs", "units", "waves"), SIZES)
def test_training(n, inputs, units, waves, form, rng):
    """Two steps behind a layer, so that the gradient of the input counts, too, and in front of one."""
    embedding = layers.PeriodicEmbedding(units, waves, **FORMS[form])
    model = fr.Sequential([layers.Dense(inputs, "tanh"), embedding, layers.Dense(2)], seed=0)
    model.compile(optimizers.SGD(0.1), "mse")
    model.build(4)
    oracle = [ref.Dense(inputs, "tanh"), oracle_of(units, form), ref.Dense(2)]
    names = [name for layer in oracle for name in layer.names]
    weights = random_weights([w.shape for w in model.get_weights()], names, rng)
    model.set_weights(weights)
    net = ref.Network(oracle, weights, optimizer=ref.SGD(float32(0.1)))
    x, t = rng.normal(size=(n, 4)).astype(np.float32), rng.normal(size=(n, 2)).astype(np.float32)
    history = model.fit(x, t, batch_size=n, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], net.fit(x.astype(np.float64), t, 2, n), rtol=1e-5)
    for name, found, expected in zip(names, model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5, err_msg=name)


def difference_quotients(layer, x, dy):
    """Compares the oracle's gradients with those of its forward pass."""
    layer.forward(x, True, None)
    dx = layer.backward(dy)
    for array, gradient in [(x, dx), *((layer.p[name], layer.d[name].copy()) for name in layer.names)]:
        for index in np.ndindex(array.shape):
            old, sides = array[index], []
            for step in (1e-6, -1e-6):
                array[index] = old + step
                sides.append((layer.forward(x, True, None) * dy).sum())
            array[index] = old
            np.testing.assert_allclose(gradient[index], (sides[0] - sides[1]) / 2e-6, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_the_oracle(form, rng):
    layer, n, inputs, waves = oracle_of(2, form), 5, 3, 4
    rows = waves if layer.phases else 2 * waves
    shapes = {"frequencies": (waves, inputs), "phases": (waves, inputs), "kernel": (rows, 2 * inputs)}
    layer.p = {name: rng.normal(size=shapes.get(name, (2 * inputs,))) for name in layer.names}
    x = rng.normal(size=(n, inputs))
    difference_quotients(layer, x, rng.normal(size=layer.forward(x, True, None).shape))


@pytest.mark.parametrize("activation", ["mish", "selu", "sigmoid", "celu", "gelu"])
def test_gradients_of_the_oracle_of_mixtures(activation, rng):
    layer = layers_reference.ParametricActivation(activation)
    layer.p = {"alpha": rng.normal(size=6)}
    difference_quotients(layer, rng.normal(size=(4, 6)), rng.normal(size=(4, 6)))


# Fused ones, whose derivative is taken from the output or from the input, and ones that are a pass of their own.
MIXTURES = ["relu", "tanh", "selu", "mish", "gelu", "linear", "softsign", "celu"]
MIXTURES += [layers.LeakyReLU(0.1), layers.ELU(0.5)]


@pytest.mark.parametrize("cols", [1, 15, 17, 64, 100])
@pytest.mark.parametrize("activation", MIXTURES, ids=str)
def test_mixtures_train_and_predict_as_the_oracle(activation, cols, rng):
    named = {"LeakyReLU": "leaky_relu(0.1)", "ELU": "elu(0.5)"}.get(type(activation).__name__, activation)
    model = fr.Sequential([layers.Dense(cols), layers.ParametricActivation(activation), layers.Dense(2)], seed=0)
    model.compile(optimizers.SGD(0.1), "mse")
    model.build(4)
    oracle = [ref.Dense(cols), layers_reference.ParametricActivation(named), ref.Dense(2)]
    names = ["kernel", "bias", "alpha", "kernel", "bias"]
    weights = random_weights([w.shape for w in model.get_weights()], names, rng)
    model.set_weights(weights)
    net = ref.Network(oracle, weights, optimizer=ref.SGD(float32(0.1)))
    x, t = rng.normal(size=(53, 4)).astype(np.float32), rng.normal(size=(53, 2)).astype(np.float32)
    history = model.fit(x, t, batch_size=53, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], net.fit(x.astype(np.float64), t, 2, 53), rtol=1e-5)
    for name, found, expected in zip(names, model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5, err_msg=name)
    frozen, expected = model.freeze(), net.forward(x.astype(np.float64))
    np.testing.assert_allclose(model.predict(x), expected, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(frozen(x), expected, rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frozen))(x), frozen(x))


def test_a_mixture_begins_as_its_activation_and_is_linear_without_it(rng):
    x = rng.normal(size=(20, 7)).astype(np.float32)
    for alpha, expected in (("ones", np.maximum(x, 0.0)), ("zeros", x)):
        model = fr.Sequential([fr.Input((7,)), layers.ParametricActivation("relu", alpha)], seed=0)
        np.testing.assert_allclose(model.predict(x), expected, atol=2 * EPS)


def test_whole_turns_are_exact():
    """Waves of the frequency 1 are the same at all whole numbers, up to those that float32 has no neighbours of."""
    model = fr.Sequential([fr.Input((1,)), layers.PeriodicEmbedding(1, 1, keep_input=False)], seed=0)
    model.set_weights([np.ones((1, 1)), np.full((1, 1), np.pi / 3), np.ones((1, 1)), np.zeros(1)])
    turns = np.float32([[0.0], [1.0], [-1.0], [7.0], [-30.0], [1e3], [1e30], [-1e30]])
    found = model.predict(turns)[:, 0]
    np.testing.assert_allclose(found[:5], 0.5, atol=4e-6)
    np.testing.assert_allclose(found[5], 0.5, atol=2 * np.pi * 1e3 * EPS)
    assert (np.abs(found) <= 1.0 + 2 * EPS).all()
    quarters = np.float32([[0.25], [-0.25], [0.5], [0.75], [0.125]])
    model.set_weights([np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1)])
    np.testing.assert_allclose(model.predict(quarters)[:, 0], [0, 0, -1, 0, 0.5**0.5], atol=3e-7)


def test_a_nan_stays_in_its_row_and_its_number():
    frozen = fr.Sequential([fr.Input((3,)), layers.PeriodicEmbedding(2)], seed=0).freeze()
    x = np.ones((4, 3), np.float32)
    x[2, 1] = np.nan
    found = np.isnan(frozen(x))
    assert found[2, 3:6].all()
    assert found.sum() == 3


def test_initial_weights_are_those_of_realmlp():
    model = fr.Sequential([fr.Input((300,)), layers.PeriodicEmbedding(3)], seed=0)
    frequencies, phases, kernel, bias = model.get_weights()
    assert [w.shape for w in model.get_weights()] == [(16, 300), (16, 300), (16, 900), (900,)]
    assert 0.09 < frequencies.std() < 0.11
    assert abs(frequencies.mean()) < 0.01
    for values, limit in ((phases, np.pi), (kernel, 0.25)):
        assert limit * 0.99 < np.abs(values).max() <= limit
        assert values.std() == pytest.approx(limit / 3**0.5, rel=0.05)
    assert not bias.any()


def test_files_and_summary(tmp_path, rng):
    stack = [
        fr.Input((3,)),
        layers.PeriodicEmbedding(2, 5, frequencies_initializer=initializers.RandomNormal(stddev=2.0)),
        layers.ParametricActivation("mish", learning_rate_multiplier=0.1),
        layers.Dense(1),
    ]
    model = fr.Sequential(stack, seed=0)
    model.compile("adam", "mse")
    x = rng.normal(size=(40, 3)).astype(np.float32)
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    model.save(tmp_path / "model.fastreg")
    again = fr.load(tmp_path / "model.fastreg")
    assert [layer.description for layer in again.layers] == [layer.description for layer in model.layers]
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: layers.PeriodicEmbedding(0), [r"PeriodicEmbedding: units must be in \[1, 2\*\*24\]", "0"]),
        (
            lambda: layers.PeriodicEmbedding(3, 2**24 + 1),
            [r"PeriodicEmbedding: n_frequencies must be in \[1, 2\*\*24\]"],
        ),
        (
            lambda: layers.ParametricActivation("softmax"),
            ["ParametricActivation: activation must compute element by element", "softmax"],
        ),
        (lambda: layers.ParametricActivation("swash"), ["ParametricActivation", "swash"]),
        (
            lambda: layers.Dense(3, layers.ParametricActivation("relu")),
            ["Dense: activation must have no weights, got ParametricActivation"],
        ),
        (
            lambda: layers.PeriodicEmbedding(2**20, input_dim=2**12).output_shape((2**12,)),
            ["PeriodicEmbedding", "the columns of all outputs together must be"],
        ),
    ],
)
def test_bad_arguments(made, said):
    with refusal(ValueError, said):
        made()


def frozen_state():
    stack = [fr.Input((3,)), layers.PeriodicEmbedding(2, 5), layers.ParametricActivation("mish")]
    return fr.Sequential(stack, seed=0).freeze().__reduce__()[1][0]


def shaped(*shape):
    return np.zeros(shape, np.float32)


# The node, the place in its settings, and what does not belong there.
DAMAGES = [
    (0, 0, 1, TypeError, "rectify and keep_input must be bools"),
    (0, 1, None, TypeError, "rectify and keep_input must be bools"),
    (0, 2, None, TypeError, "frequencies"),
    (0, 2, shaped(0, 3), ValueError, "must have frequencies in"),
    (0, 2, shaped(5, 4), ValueError, "must have a row of columns for each frequency"),
    (0, 3, shaped(4, 3), ValueError, "must have as many phases"),
    (0, 3, None, ValueError, "must have a kernel with a row for each cosine and sine"),
    (0, 4, shaped(5, 5), ValueError, "must have a kernel"),
    (0, 5, shaped(1), ValueError, "must have units in"),
    (0, 5, shaped(7), ValueError, "must have a bias for each output"),
    (1, 0, "softmax", ValueError, "must have an activation of single elements"),
    (1, 0, "swash", ValueError, "swash"),
    (1, 1, shaped(8), ValueError, "must have an alpha for each column"),
    (1, 1, None, TypeError, "alpha"),
]


@pytest.mark.parametrize(("node", "place", "value", "error", "told"), DAMAGES)
def test_damaged_states_are_refused(node, place, value, error, told):
    state = frozen_state()
    kind, inputs, chain, settings = state["nodes"][node]
    for changed in (tuple(value if i == place else old for i, old in enumerate(settings)), settings[:1], 3):
        whole = isinstance(changed, tuple) and len(changed) == len(settings)
        nodes = [one if i != node else (kind, inputs, chain, changed) for i, one in enumerate(state["nodes"])]
        with pytest.raises(error if whole else (TypeError, ValueError), match=told if whole else "settings"):
            _core.Predictor({**state, "nodes": nodes})
