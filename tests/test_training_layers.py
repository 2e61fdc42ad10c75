"""Layers that normalise, scale, add noise or penalise what passes: edges, statistics, and other layers around them."""

import pickle

import fastreg as fr
import layers_reference
import numpy as np
import pytest
import reference as ref
import scipy.stats
from cases import LAYER_CASES
from conftest import SIZES, assert_close
from fastreg import layers, optimizers, regularizers
from programs import refusal

WIDTHS = tuple(size for size in SIZES if size > 0)
ROWS = {
    "layer": (layers.LayerNormalization, layers_reference.LayerNormalization),
    "rms": (layers.RMSNormalization, layers_reference.RMSNormalization),
    "unit": (layers.UnitNormalization, layers_reference.UnitNormalization),
}


def sgd(model, loss="mse", rate=0.1):
    model.compile(optimizers.SGD(rate), loss)
    return model


# ------------------------------------------------------------------------------------------- normalisation of rows


@pytest.mark.parametrize("cols", WIDTHS)
@pytest.mark.parametrize("kind", ROWS)
def test_rows_are_normalised(kind, cols, rng):
    x = (rng.normal(size=(9, cols)) * rng.uniform(0.1, 30.0, (9, 1)) + rng.normal(size=(9, 1))).astype(np.float32)
    model = fr.Sequential([fr.Input((cols,)), ROWS[kind][0]()], seed=0)
    model.build(cols)
    oracle = ROWS[kind][1]()
    oracle.p = {name: np.ones(cols) for name in oracle.names} | ({"beta": np.zeros(cols)} if kind == "layer" else {})
    expected = oracle.forward(x.astype(np.float64), False, None)
    size = abs(expected) + (abs(x).max(axis=1, keepdims=True) * oracle.inv if kind == "layer" else 0.0)
    assert_close(model.predict(x), expected, terms=cols + 4, magnitude=size, what="y")
    assert_close(model.freeze()(x), expected, terms=cols + 4, magnitude=size, what="frozen")


@pytest.mark.parametrize("kind", ROWS)
def test_constant_rows_and_zeros(kind):
    """No division by zero: such a row becomes 0, or for a constant of unit and rms what the formula says."""
    x = np.zeros((3, 5), np.float32)
    x[1] = 7.0
    x[2] = 1e-20
    y = fr.Sequential([fr.Input((5,)), ROWS[kind][0]()], seed=0).predict(x)
    assert np.isfinite(y).all()
    assert (y[0] == 0.0).all()
    np.testing.assert_allclose(y[1], 0.0 if kind == "layer" else 5**-0.5 if kind == "unit" else 1.0, atol=1e-5)


def test_a_nan_stays_in_its_row():
    x = np.ones((4, 20), np.float32)
    x[2, 3] = np.nan
    for made, _ in ROWS.values():
        y = fr.Sequential([fr.Input((20,)), made()], seed=0).freeze()(x)
        assert np.isnan(y[2]).all()
        assert not np.isnan(np.delete(y, 2, axis=0)).any()


@pytest.mark.parametrize("name", ["layer", "rms", "unit", "scale", "prelu"])
def test_gradients_of_the_oracle(name, rng):
    """The oracle's backward passes are the derivatives of its forward passes."""
    made = {
        **{key: row[1] for key, row in ROWS.items()},
        "scale": layers_reference.Scale,
        "prelu": layers_reference.PReLU,
    }
    layer, x, dy = made[name](), rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    layer.p = {key: rng.normal(size=6) for key in layer.names}
    layer.forward(x, True, None)
    dx = layer.backward(dy)

    def objective():
        return (layer.forward(x, True, None) * dy).sum()

    for array, gradient in [(x, dx), *((layer.p[key], layer.d[key]) for key in layer.names)]:
        numeric = np.empty_like(array)
        for index in np.ndindex(array.shape):
            old = array[index]
            sides = []
            for step in (1e-6, -1e-6):
                array[index] = old + step
                sides.append(objective())
            array[index] = old
            numeric[index] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-7)


def test_what_is_frozen():
    """Factors and shifts join a dense layer behind them; noise and penalties leave nothing."""
    model = fr.Sequential(
        [
            fr.Input((6,)),
            layers.GaussianNoise(0.1),
            layers.LayerNormalization(),
            layers.Dense(5, "relu", activity_regularizer="l2"),
            layers.AlphaDropout(0.1),
            layers.Scale(),
            layers.Dense(2),
        ],
        seed=0,
    )
    model.build(6)
    assert repr(model.freeze()).count("->") == 3  # the statistics of rows, and two products


D, BN, LN, RMS = layers.Dense, layers.BatchNormalization, layers.LayerNormalization, layers.RMSNormalization
STACKS = {
    "rows": [D(20, "tanh"), LN(), D(3)],
    "rows at the input": [LN(), D(9), RMS(), layers.Activation("relu"), D(3)],
    "rows last": [D(9, "gelu"), layers.UnitNormalization()],
    "rows before columns": [RMS(), BN(), layers.Scale(), D(5, "relu"), layers.Scale(), layers.PReLU()],
    "rows alone": [LN(center=False, scale=False)],
    "rows, then an activation": [LN(center=False, scale=False), layers.Activation("elu")],
    "one column": [D(1), LN(), layers.PReLU(), layers.Scale(), RMS(), layers.UnitNormalization()],
    "slopes": [layers.PReLU(), D(17), layers.PReLU(), BN(), D(4, "relu6")],
    "slopes, then an activation": [layers.PReLU(), layers.Activation("celu"), layers.Scale(), layers.ReLU(1.0), D(2)],
    "activations of rows": [D(9, "log_softmax"), D(17, "sparsemax"), layers.Activation("log_softmax")],
    "noise": [
        layers.GaussianNoise(0.3),
        D(9),
        layers.GaussianDropout(0.2),
        layers.AlphaDropout(0.1),
        layers.ActivityRegularization(0.1),
        D(2),
    ],
}


@pytest.mark.parametrize("name", STACKS)
def test_a_frozen_network_computes_the_same(name, rng):
    """With random weights; the bits of a row do not depend on the others, nor on where it stands in memory."""
    x = rng.normal(size=(67, 13)).astype(np.float32)
    model = fr.Sequential([fr.Input((13,)), *STACKS[name]], seed=1)
    model.build(13)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    predictor, expected = model.freeze(), model.predict(x)
    size = abs(expected).max() + 1.0
    np.testing.assert_allclose(predictor(x), expected, rtol=1e-4, atol=2e-6 * size)
    for i in (0, 5, 66):
        np.testing.assert_array_equal(predictor(x[i : i + 1])[0], predictor(x)[i])
    wide = np.full((67, 40), np.nan, np.float32)
    wide[:, 7:20] = x
    np.testing.assert_array_equal(predictor(wide[:, 7:20]), predictor(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(predictor))(x), predictor(x))


# ----------------------------------------------------------------------------------------------- batch normalisation


def norm_of(**options):
    return fr.Sequential([fr.Input((3,)), layers.BatchNormalization(**options), layers.Dense(1)], seed=2)


def test_initial_values_of_batch_normalisation():
    model = norm_of(
        gamma_initializer=fr.initializers.Constant(2.0),
        beta_initializer=fr.initializers.Constant(3.0),
        moving_mean_initializer=fr.initializers.Constant(0.5),
        moving_variance_initializer=fr.initializers.Constant(4.0),
    )
    model.build(3)
    for weight, value in zip(model.get_weights(), (2.0, 3.0, 0.5, 4.0), strict=False):
        np.testing.assert_array_equal(weight, np.full(3, value, np.float32))


def test_penalties_of_batch_normalisation(rng):
    x, t = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    plain, penalised = (
        norm_of(),
        norm_of(gamma_regularizer=regularizers.L2(0.5), beta_regularizer=regularizers.L1(0.25)),
    )
    losses = [sgd(model).evaluate(x, t, verbose=0) for model in (plain, penalised)]
    np.testing.assert_allclose(losses[1] - losses[0], 0.5 * 3 * 1.0, rtol=1e-5)  # gamma is 1, beta 0


def test_files_of_a_plain_batch_normalisation_are_as_they_were():
    config = layers.BatchNormalization().to_config()
    usual = {"type": "BatchNormalization", "name": None, "momentum": 0.99, "epsilon": 0.001}
    assert config == {**usual, "center": True, "scale": True}
    assert "activity_regularizer" not in layers.Dense(3).to_config()
    other = layers.BatchNormalization(momentum=None, beta_initializer="ones")
    assert layers.BatchNormalization.from_config(other.to_config()) == other


def test_the_cumulative_average(rng, tmp_path):
    """Without momentum the moving statistics are the means of those of all batches, over a save and a load too."""
    x = rng.normal(np.arange(3.0), size=(48, 3)).astype(np.float32)
    t = rng.normal(size=(48, 1))
    model = sgd(norm_of(momentum=None), rate=1e-9)
    model.fit(x, t, epochs=2, batch_size=16, shuffle=False, verbose=0)
    parts = x.reshape(3, 16, 3)
    means, variances = parts.mean(axis=1), parts.var(axis=1)
    for _ in range(2):
        np.testing.assert_allclose(model.get_weights()[2], means.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(model.get_weights()[3], variances.mean(axis=0), rtol=1e-5)
        model.save(tmp_path / "model.fastreg")
        model = fr.load(tmp_path / "model.fastreg")
        model.fit(x, t, epochs=1, batch_size=16, shuffle=False, verbose=0)


# ------------------------------------------------------------------------------------------- a last batch of one row


def test_a_last_batch_of_one_row_joins_the_one_before(rng):
    x, t = rng.normal(2.0, 1.0, size=(33, 3)).astype(np.float32), rng.normal(size=(33, 1))
    model = sgd(norm_of(momentum=0.5), rate=1e-9)
    model.fit(x, t, epochs=1, batch_size=32, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[3], 0.5 + 0.5 * x.astype(float).var(axis=0), rtol=1e-5)
    again = sgd(norm_of(momentum=0.5), rate=1e-9)
    again.fit(x, t, epochs=1, batch_size=33, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("rows", "batch", "norm", "steps"),
    [
        (33, 32, True, 1),
        (33, 32, False, 2),
        (34, 32, True, 2),
        (65, 32, True, 2),
        (3, 1, True, 3),
        (1, 32, True, 1),
        (33, None, True, 1),
        (5, 2, True, 2),
    ],
)
def test_steps_of_an_epoch(rows, batch, norm, steps, rng):
    """Schedules, callbacks and the progress count the steps that there are."""
    asked = []

    def rate(step):
        asked.append(step)
        return 1e-3

    parts = [layers.BatchNormalization()] if norm else []
    model = fr.Sequential([fr.Input((3,)), *parts, layers.Dense(1)], seed=0)
    model.compile(optimizers.SGD(rate), "mse")
    counted = []

    class Counter(fr.callbacks.Callback):
        def on_train_begin(self, logs=None):
            counted.append(self.params["steps"])

    x, t = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 1))
    model.fit(x, t, epochs=3, batch_size=batch, verbose=0, callbacks=[Counter()])
    assert counted == [steps]
    assert max(asked) == 3 * steps - 1


def test_a_layer_that_is_not_trained_takes_no_statistics(rng):
    x, t = rng.normal(size=(33, 3)), rng.normal(size=(33, 1))
    model = fr.Sequential([fr.Input((3,)), layers.BatchNormalization(trainable=False), layers.Dense(1)], seed=0)
    sgd(model).fit(x, t, epochs=1, batch_size=32, verbose=0)
    assert model.optimizer.iterations == 2


# ------------------------------------------------------------------------------------------------------------- noise


def test_normal_numbers_are_normal():
    numbers = layers_reference.normal_numbers(7, 3, 5, (400, 64)).reshape(-1)
    assert scipy.stats.kstest(numbers, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[:-16], numbers[16:])[0, 1]) < 0.02
    assert abs(np.corrcoef(numbers[::2], numbers[1::2])[0, 1]) < 0.03


def outputs_in_training(layer, x):
    """What a layer makes of x in a step: from the gradient of a linear Dense behind it, with the sum as loss."""
    model = fr.Sequential([fr.Input((x.shape[1],)), layer, layers.Dense(x.shape[0], use_bias=False)], seed=5)
    model.compile(optimizers.SGD(1.0), "mse")
    n = x.shape[0]
    model.set_weights([np.zeros((x.shape[1], n), np.float32)])
    # dL/dy = -2 t / (n * n) for outputs of 0: with t = n n / 2 times the identity, the kernel becomes x transposed.
    model.fit(x, (n * n / 2.0 * np.eye(n)).astype(np.float32), epochs=1, batch_size=n, shuffle=False, verbose=0)
    return model.get_weights()[0].T


@pytest.mark.parametrize("seed", [None, 9])
def test_noise_is_that_of_its_seed(seed, rng):
    x = rng.normal(size=(24, 19)).astype(np.float32)
    key = (5 if seed is None else seed, 0, 0)
    z = layers_reference.normal_numbers(*key, x.shape)
    np.testing.assert_allclose(outputs_in_training(layers.GaussianNoise(0.3, seed=seed), x), x + 0.3 * z, atol=1e-5)
    np.testing.assert_allclose(
        outputs_in_training(layers.GaussianDropout(0.2, seed=seed), x), x * (1 + 0.5 * z), atol=1e-5
    )


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(300, 50)).astype(np.float32)
    y = outputs_in_training(layers.AlphaDropout(0.3), x)
    assert abs(y.mean()) < 0.03
    assert abs(y.var() - 1.0) < 0.05
    values, counts = np.unique(y, return_counts=True)
    assert abs(counts.max() / y.size - 0.3) < 0.03  # the one value of all elements that were dropped
    assert values[counts.argmax()] < -1.0


@pytest.mark.parametrize("layer", [layers.GaussianNoise(0.0), layers.GaussianDropout(0.0), layers.AlphaDropout(0.0)])
def test_without_noise(layer, rng):
    x = rng.normal(size=(6, 4)).astype(np.float32)
    np.testing.assert_allclose(outputs_in_training(layer, x), x, atol=1e-6)


# -------------------------------------------------------------------------------------------------------- activities


def penalised(last, activity=None):
    kind = regularizers.L1L2(0.02, 0.03)
    behind = [layers.ActivityRegularization(0.02, 0.03)] if activity == "behind" else []
    within = {"activity_regularizer": kind} if activity == "within" else {}
    return fr.Sequential([fr.Input((4,)), layers.Dense(7, "tanh", **within), *behind, layers.Dense(3, last)], seed=4)


def test_within_a_dense_is_behind_it(rng):
    x, t = rng.normal(size=(37, 4)), rng.normal(size=(37, 3))
    models = [sgd(penalised(None, kind)) for kind in ("within", "behind", None)]
    histories = [model.fit(x, t, epochs=3, batch_size=16, verbose=0, validation_split=0.3).history for model in models]
    assert histories[0] == histories[1] != histories[2]
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("last", "loss"), [(None, "mse"), ("softmax", "categorical_crossentropy")])
def test_the_penalty_is_part_of_the_loss(last, loss, rng):
    x, t = rng.normal(size=(37, 4)).astype(np.float32), np.eye(3)[rng.integers(0, 3, 37)]
    plain, model = sgd(penalised(last), loss), sgd(penalised(last, "within"), loss)
    w, b = plain.get_weights()[:2]
    hidden = np.tanh(x.astype(float) @ w + b)
    expected = (0.02 * abs(hidden) + 0.03 * hidden**2).sum() / 37
    difference = model.evaluate(x, t, verbose=0) - plain.evaluate(x, t, verbose=0)
    np.testing.assert_allclose(difference, expected, rtol=1e-4)
    weights = rng.uniform(0.5, 2.0, 37)
    weighted = [one.evaluate(x, t, sample_weight=weights, verbose=0) for one in (model, plain)]
    np.testing.assert_allclose(weighted[0] - weighted[1], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("last", "loss"), [("softmax", "categorical_crossentropy"), ("sigmoid", "binary_crossentropy"), (None, "mse")]
)
def test_the_activity_of_the_last_layer(last, loss, rng):
    """A last sigmoid or softmax is computed even where its loss would start from the logits."""
    x, t = rng.normal(size=(21, 4)).astype(np.float32), np.eye(3)[rng.integers(0, 3, 21)]
    model = fr.Sequential([fr.Input((4,)), layers.Dense(3, last, activity_regularizer="l2")], seed=4)
    sgd(model, loss)
    net = ref.Network(
        [ref.Dense(3, "linear"), ref.Activation(last or "linear"), layers_reference.ActivityRegularization(0.0, 0.01)],
        model.get_weights(),
        loss="mean_squared_error" if loss == "mse" else loss,
        optimizer=ref.SGD(0.1),
    )
    history = model.fit(x, t, epochs=3, batch_size=8, shuffle=False, verbose=0, validation_data=(x, t)).history
    np.testing.assert_allclose(history["loss"], net.fit(x.astype(float), t, 3, 8), rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"][-1], net.evaluate(x.astype(float), t), rtol=1e-5)
    for one, other in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_activities_of_a_graph_with_two_outputs(rng):
    x = fr.Input((4,), name="x")
    hidden = layers.Dense(5, "relu", activity_regularizer="l1")(x)
    model = fr.Model(x, [layers.Dense(2, name="a")(hidden), layers.Dense(1, name="b")(hidden)])
    model.compile(optimizers.SGD(0.1), ["mse", "mse"])
    rows = rng.normal(size=(30, 4)).astype(np.float32)
    targets = [rng.normal(size=(30, 2)), rng.normal(size=(30, 1))]
    total, a, b = model.evaluate(rows, targets, verbose=0)[:3]
    w, bias = model.get_weights()[:2]
    activity = 0.01 * np.maximum(0.0, rows @ w + bias).sum() / 30
    assert activity > 0.0
    np.testing.assert_allclose(total, a + b + activity, rtol=1e-5)


def test_bad_arguments():
    with refusal(ValueError, ["Dense: activity_regularizer must not be proximal", "proximal=True"]):
        layers.Dense(3, activity_regularizer=regularizers.L1(0.1, proximal=True))
    with refusal(ValueError, ["GaussianNoise: stddev must be >= 0", "-1"]):
        layers.GaussianNoise(-1.0)
    with refusal(ValueError, ["Activation", "put an ActivityRegularization behind"]):
        layers.Activation("relu", activity_regularizer="l2")
    with refusal(ValueError, ["PReLU: shared_axes"]):
        layers.PReLU(shared_axes=[1])
    with refusal(ValueError, ["activation must have no weights, got PReLU"]):
        layers.Dense(3, layers.PReLU())


# ----------------------------------------------------------------------------------------------- files, copies, graphs


CHAINED = [name for name, case in LAYER_CASES.items() if case.around[0]]


@pytest.mark.parametrize("name", CHAINED)
def test_training_goes_on_from_a_file_bit_for_bit(name, rng, tmp_path):
    x, t = rng.normal(size=(49, 5)).astype(np.float32), rng.integers(0, 2, 49)

    def made():
        before, behind = LAYER_CASES[name].around
        model = fr.Sequential([*before, LAYER_CASES[name].made, *behind], seed=8)
        model.compile(optimizers.Adam(0.01), "binary_crossentropy")
        return model

    whole, half = made(), made()
    whole.fit(x, t, epochs=4, batch_size=16, verbose=0)
    half.fit(x, t, epochs=2, batch_size=16, verbose=0)
    half.save(tmp_path / "model.fastreg")
    resumed = fr.load(tmp_path / "model.fastreg")
    assert resumed.layers[1].description == half.layers[1].description
    resumed.fit(x, t, epochs=2, batch_size=16, verbose=0)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()
    assert fr.load(tmp_path / "model.fastreg").predict(x).tobytes() == half.predict(x).tobytes()


def test_layers_within_graphs_and_blocks(rng):
    """A branch of each kind, a Residual around others, and a shared input."""
    x = fr.Input((6,), name="x")
    left = layers.PReLU()(layers.Dense(6, "celu")(layers.GaussianNoise(0.1)(x)))
    block = layers.Residual(
        [layers.RMSNormalization(), layers.Dense(6, layers.LeakyReLU(0.1)), layers.AlphaDropout(0.1)]
    )
    right = layers.ActivityRegularization(l2=0.1)(block(layers.Scale()(x)))
    out = layers.Dense(2, "softmax")(layers.LayerNormalization()(layers.Add()([left, right])))
    model = fr.Model(x, out, seed=1)
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    rows, labels = rng.normal(size=(65, 6)).astype(np.float32), rng.integers(0, 2, 65)
    before = model.evaluate(rows, labels, verbose=0)
    model.fit(rows, labels, epochs=20, batch_size=16, verbose=0)
    assert model.evaluate(rows, labels, verbose=0) < before
    np.testing.assert_allclose(model.freeze()(rows), model.predict(rows), rtol=1e-4, atol=1e-6)


def test_a_search_over_activations_and_layers(rng):
    x, t = rng.normal(size=(90, 4)).astype(np.float32), rng.normal(size=(90, 1))

    def build(params):
        model = fr.Sequential(
            [
                layers.LayerNormalization(),
                layers.Dense(8, params["activation"]),
                layers.LeakyReLU(params["slope"]),
                layers.Dense(1),
            ]
        )
        model.compile(optimizers.Adam(0.01), "mse")
        return model

    space = {"activation": ["relu6", "hard_silu", "log_sigmoid"], "slope": [0.1, 0.3]}
    search = fr.search.GridSearch(build, space, cv=2, seed=0, verbose=0).fit(x, t, epochs=2)
    assert len({trial.score for trial in search.trials_}) == 6
