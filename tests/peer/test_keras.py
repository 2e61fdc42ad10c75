"""Programs of dense layers run under Keras and under fastreg: only the import lines differ.

After a run both models are given the same weights. Predictions, evaluations and one further epoch of plain gradient
descent must agree. Keras's Adam and RMSprop use other formulas (see docs/differences.md) and are not compared step by
step.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import functools
import warnings
from pathlib import Path

import cases
import numpy as np
import pytest

# JAX's arrays and NumPy 2 do not agree on __array__; that is between the two.
pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Keras's and JAX's own imports
    keras = pytest.importorskip("keras")

IMPORTS = {
    "keras": """
from keras import Input, Sequential, callbacks, layers, losses, optimizers, regularizers
from keras.utils import to_categorical
""",
    "fastreg": """
from fastreg import Input, Sequential, callbacks, layers, losses, optimizers, regularizers
from fastreg.utils import to_categorical
""",
}

# Those that both have; Keras's leaky_relu has the slope 0.2 too.
ACTIVATIONS = [name for name in cases.ACTIVATIONS if hasattr(keras.activations, name)]

# Each text finds x, y (regression), labels, xv, yv, labels_v in its namespace and leaves model and history behind.
PROGRAMS = {
    "linear regression": """
model = Sequential([layers.Dense(1, input_shape=(6,))])
model.compile(optimizer=optimizers.SGD(learning_rate=0.05), loss="mse", metrics=["mae"])
history = model.fit(x, y, epochs=3, batch_size=16, verbose=0)
""",
    "momentum by string loss": """
model = Sequential()
model.add(Input(shape=(6,)))
model.add(layers.Dense(16, activation="relu"))
model.add(layers.Dense(8, activation="tanh"))
model.add(layers.Dense(1))
model.compile(optimizers.SGD(0.01, momentum=0.9, nesterov=True), "mean_squared_error")
history = model.fit(x, y, 16, 2, verbose=0)
""",
    "tutorial": """
model = Sequential([
    layers.Dense(64, activation="relu", input_dim=6, kernel_regularizer=regularizers.L1L2(l1=0.01, l2=0.01)),
    layers.BatchNormalization(),
    layers.Dropout(0.5),
    layers.Dense(1, activation="sigmoid"),
])
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
stop = callbacks.EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True)
history = model.fit(
    x, labels == 1, epochs=4, batch_size=32, validation_data=(xv, labels_v == 1), callbacks=[stop], verbose=0)
""",
    "one-hot classes": """
model = Sequential([
    Input((6,)),
    layers.Dense(20, kernel_initializer="he_normal", kernel_regularizer=regularizers.l2(1e-3)),
    layers.Activation("gelu"),
    layers.Dense(3, activation="softmax", bias_regularizer=regularizers.l1(1e-3)),
])
rate = optimizers.schedules.CosineDecay(0.1, 100)
model.compile(optimizer=optimizers.SGD(learning_rate=rate), loss="categorical_crossentropy", metrics=["accuracy"])
validation = (xv, to_categorical(labels_v, 3))
history = model.fit(x, to_categorical(labels, 3), epochs=2, validation_data=validation, verbose=0)
""",
    "label classes": """
model = Sequential()
model.add(layers.BatchNormalization(momentum=0.9, epsilon=1e-2))
model.add(layers.Dense(33, activation="silu", use_bias=False))
model.add(layers.BatchNormalization(scale=False))
model.add(layers.Activation("leaky_relu"))
model.add(layers.Dropout(0.2))
model.add(layers.Dense(3))
model.compile(loss=losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="rmsprop", metrics=["accuracy"])
model.build((None, 6))
history = model.fit(x, labels, epochs=2, batch_size=25, verbose=0)
""",
    "every activation": """
model = Sequential([Input(shape=(6,))])
for name in ACTIVATIONS:
    model.add(layers.Dense(11, activation=name, kernel_regularizer=regularizers.l1_l2(l1=1e-4, l2=1e-4)))
model.add(layers.Dense(1))
model.compile(loss="mse", optimizer="sgd")
history = model.fit(x, y, epochs=1, verbose=0)
""",
}
# What fit and evaluate take as y in each program.
TARGETS = {
    "tutorial": lambda d: (d["labels"] == 1).astype(np.float32),
    "one-hot classes": lambda d: np.eye(3, dtype=np.float32)[d["labels"]],
    "label classes": lambda d: d["labels"],
}


def data():
    rng = np.random.default_rng(0)
    x, xv = rng.normal(size=(90, 6)).astype(np.float32), rng.normal(size=(40, 6)).astype(np.float32)
    w = rng.normal(size=(6, 3))
    return {
        "x": x,
        "xv": xv,
        "y": (x @ w[:, :1]).astype(np.float32),
        "yv": (xv @ w[:, :1]).astype(np.float32),
        "labels": (x @ w).argmax(axis=1),
        "labels_v": (xv @ w).argmax(axis=1),
    }


def run(name, library):
    namespace = {**data(), "ACTIVATIONS": ACTIVATIONS}
    with warnings.catch_warnings():
        if library == "keras":
            warnings.simplefilter("ignore")  # Keras warns of input_shape, which its tutorials use
        exec(compile(IMPORTS[library] + PROGRAMS[name], f"{name} ({library})", "exec"), namespace)
    return namespace["model"], namespace["history"]


@pytest.fixture(scope="module", params=PROGRAMS)
def both(request):
    name = request.param
    theirs, their_history = run(name, "keras")
    ours, our_history = run(name, "fastreg")
    return name, ours, our_history, theirs, their_history


def evaluation(model, x, y):
    return np.ravel(model.evaluate(x, y, verbose=0))


def share_random_weights(ours, theirs):
    """Both get the same weights, whose moving variances are positive."""
    rng = np.random.default_rng(3)
    weights = [
        (0.5 + rng.random(w.shape) if w.ndim == 1 else 0.4 * rng.normal(size=w.shape)).astype(np.float32)
        for w in theirs.get_weights()
    ]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return weights


def test_weights_have_the_same_shapes_and_order(both):
    _, ours, _, theirs, _ = both
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    assert [w.dtype for w in ours.get_weights()] == [w.dtype for w in theirs.get_weights()]
    weights = share_random_weights(ours, theirs)
    for a, b, c in zip(ours.get_weights(), theirs.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    # Input does not count as a layer in either.
    assert [[w.shape for w in layer.get_weights()] for layer in ours.layers] == [
        [w.shape for w in layer.get_weights()] for layer in theirs.layers
    ]


def test_history_has_the_same_keys(both):
    _, _, our_history, _, their_history = both
    assert set(our_history.history) == set(their_history.history)
    assert {len(v) for v in our_history.history.values()} == {len(v) for v in their_history.history.values()}
    assert our_history.epoch == their_history.epoch


@pytest.mark.parametrize("direction", ["theirs to ours", "ours to theirs"])
def test_predictions_agree(both, direction):
    _, ours, _, theirs, _ = both
    source, target = (theirs, ours) if direction == "theirs to ours" else (ours, theirs)
    target.set_weights(source.get_weights())
    x = data()["xv"]
    expected = theirs.predict(x, verbose=0)
    assert ours.predict(x).shape == expected.shape
    np.testing.assert_allclose(ours.predict(x), expected, rtol=1e-5, atol=1e-5)


def test_evaluations_agree(both):
    """The loss includes the penalties in both."""
    name, ours, _, theirs, _ = both
    d = data()
    y = TARGETS.get(name, lambda d: d["y"])(d)
    share_random_weights(ours, theirs)
    np.testing.assert_allclose(evaluation(ours, d["x"], y), evaluation(theirs, d["x"], y), rtol=1e-5, atol=1e-6)


def test_an_epoch_of_gradient_descent_agrees(both):
    """In order, without dropout, the last batch short: weights, moving statistics and the epoch's loss and metrics."""
    name, ours, _, theirs, _ = both
    import fastreg as fr

    if "Dropout" in PROGRAMS[name]:
        pytest.skip("has dropout, whose masks are each library's own")
    d = data()
    y = TARGETS.get(name, lambda d: d["y"])(d)
    kind = {"one-hot classes": "categorical_crossentropy"}.get(name, "mse")
    theirs.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.5), loss=kind, metrics=["mae"])
    ours.compile(optimizer=fr.optimizers.SGD(0.05, momentum=0.5), loss=kind, metrics=["mae"])
    share_random_weights(ours, theirs)
    options = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
    their_history, our_history = theirs.fit(d["x"], y, **options), ours.fit(d["x"], y, **options)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
    for key, values in their_history.history.items():
        np.testing.assert_allclose(our_history.history[key], values, rtol=2e-5)


@pytest.fixture(scope="module", params=["one-hot classes", "every activation"])
def trained_with(request):
    """A function that gives the program's name and the weights of both after two epochs, by options of SGD.

    Its models and what a call gives are kept: compiling the deep one takes Keras seconds.
    """
    import fastreg as fr

    d, name = data(), request.param
    y = TARGETS.get(name, lambda d: d["y"])(d)
    kind = {"one-hot classes": "categorical_crossentropy"}.get(name, "mse")
    theirs, ours = run(name, "keras")[0], run(name, "fastreg")[0]
    weights = share_random_weights(ours, theirs)

    @functools.cache
    def train(**clip):
        found = []
        for model, module in ((ours, fr), (theirs, keras)):
            model.compile(optimizer=module.optimizers.SGD(0.05, momentum=0.5, **clip), loss=kind)
            model.set_weights(weights)
            model.fit(d["x"], y, batch_size=16, epochs=2, shuffle=False, verbose=0)
            found.append(model.get_weights())
        return name, *found

    return train


@pytest.mark.parametrize(("way", "limit"), [("clipvalue", 0.02), ("clipnorm", 0.1), ("global_clipnorm", 0.2)])
def test_an_epoch_of_clipped_gradient_descent_agrees(trained_with, way, limit):
    """Both have penalties, whose gradients are clipped with the rest."""
    name, *usual = trained_with()
    _, *clipped = trained_with(**{way: limit})
    for ours, theirs in (usual, clipped):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
    # The network of all activations is so deep that hardly a gradient reaches its first layers.
    changed = [(a != b).any() for a, b in zip(usual[1], clipped[1], strict=True)]
    assert any(changed) if name == "every activation" else all(changed)


# The optimizers that both have.
NAMES = [name for name in {type(case.made).__name__: None for case in cases.OPTIMIZER_CASES.values()}
         if hasattr(keras.optimizers, name)]


def test_clipping_has_the_rules_of_keras():
    import fastreg as fr

    assert {"SGD", "Adam", "AdamW", "RMSprop"} <= set(NAMES)
    for module in (keras, fr):
        with pytest.raises(ValueError, match="clipnorm"):
            module.optimizers.SGD(clipnorm=1.0, global_clipnorm=1.0)
        for name in NAMES:
            for way in ("clipnorm", "clipvalue", "global_clipnorm"):
                assert getattr(getattr(module.optimizers, name)(**{way: 0.5}), way) == 0.5


def test_batch_normalization_trains_alike():
    """The tutorial's network without dropout: L1L2, moving statistics, the epoch's loss with its penalties."""
    import fastreg as fr

    text = (
        PROGRAMS["tutorial"]
        .replace("    layers.Dropout(0.5),\n", "")
        .replace('optimizer="adam"', "optimizer=optimizers.SGD(0.05)")
    )
    text = text.replace("epochs=4", "epochs=1, shuffle=False")
    assert "Dropout" not in text
    assert "SGD" in text
    assert "shuffle" in text
    found = {}
    for library, module in (("keras", keras), ("fastreg", fr)):
        namespace = {**data(), "module": module}
        with warnings.catch_warnings():
            if library == "keras":
                warnings.simplefilter("ignore")
            head, fit = text.split("history = ")
            exec(IMPORTS[library] + head, namespace)
            rng = np.random.default_rng(5)
            namespace["model"].set_weights(
                [
                    (0.5 + rng.random(w.shape) if w.ndim == 1 else 0.4 * rng.normal(size=w.shape)).astype(np.float32)
                    for w in namespace["model"].get_weights()
                ]
            )
            exec("history = " + fit, namespace)
        found[library] = namespace["model"].get_weights(), namespace["history"].history
    for a, b in zip(found["fastreg"][0], found["keras"][0], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
    for key, values in found["keras"][1].items():
        np.testing.assert_allclose(found["fastreg"][1][key], values, rtol=2e-5, err_msg=key)


def gradient_descent_in_both(last, kind, target_of, **given):
    """[(weights, losses)] of Keras's network and ours after two epochs of the same batches from the same weights."""
    import fastreg as fr

    d, found, start = data(), [], None
    for module in (keras, fr):
        model = module.Sequential([module.Input((6,)), module.layers.Dense(8, activation="tanh"),
                                   module.layers.Dense(3, activation=last)])
        model.compile(optimizer=module.optimizers.SGD(0.05), loss=kind)
        if start is None:
            rng = np.random.default_rng(8)
            start = [(0.5 * rng.normal(size=w.shape)).astype(np.float32) for w in model.get_weights()]
            start[-1] += 2  # sums of linear outputs stay away from 0
        model.set_weights(start)
        options = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
        losses = [np.ravel(model.evaluate(d["x"], target_of(d), verbose=0))[0]]
        losses += model.fit(d["x"], target_of(d), **options, **given).history["loss"]
        found.append((model.get_weights(), losses))
    return found


def one_hot(d):
    return np.eye(3, dtype=np.float32)[d["labels"]]


@pytest.mark.filterwarnings("ignore:the loss .* takes probabilities")
@pytest.mark.parametrize("kind", ["categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"])
@pytest.mark.parametrize("last", ["sigmoid", "softplus", "relu", "linear", "elu", "softmax"])
def test_cross_entropies_of_any_last_activation_agree(last, kind):
    """Outputs that are no probabilities: divided by their sum, or clipped. Gradients near a clip limit, and those of
    sums near 0, amplify roundings too much to be compared after several steps: there the losses are."""
    target_of = (lambda d: d["labels"]) if kind.startswith("sparse") else one_hot
    theirs, ours = gradient_descent_in_both(last, kind, target_of)
    np.testing.assert_allclose(ours[1][0], theirs[1][0], rtol=1e-5)
    if last in ("sigmoid", "softmax") or (last in ("softplus", "linear", "elu") and kind != "binary_crossentropy"):
        np.testing.assert_allclose(ours[1], theirs[1], rtol=2e-5)
        for a, b in zip(ours[0], theirs[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kind", ["categorical_crossentropy", "mean_squared_error"])
def test_weights_of_mean_one_train_alike(kind):
    """Keras divides the weighted sum of a batch by its rows; ours are divided by their mean first, which is 1 here."""
    weights = np.random.default_rng(1).uniform(0.0, 3.0, 90)
    weights[16:32] = 0.0
    weights = (weights / weights.mean()).astype(np.float32)
    theirs, ours = gradient_descent_in_both("softmax", kind, one_hot, sample_weight=weights)
    for a, b in zip(ours[0], theirs[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_the_example_is_a_keras_program(capsys):
    """examples/keras_program.py as it stands, and with its one import line changed."""
    text = (Path(__file__).parents[2] / "examples" / "keras_program.py").read_text()
    assert [line for line in text.splitlines() if line.startswith("from fastreg import")] == [
        line for line in text.splitlines() if "fastreg" in line and "import" in line and not line.startswith('"""')
    ]
    found = {}
    for library in ("keras", "fastreg"):
        namespace = {"__name__": "__main__"}
        exec(text.replace("from fastreg import", f"from {library} import"), namespace)
        found[library] = namespace
    ours, theirs = found["fastreg"]["model"], found["keras"]["model"]
    assert type(theirs).__module__.startswith("keras")
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    assert set(found["fastreg"]["history"].history) == set(found["keras"]["history"].history)
    x, y = found["keras"]["X_test"], found["keras"]["y_test"]
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(evaluation(ours, x, y), evaluation(theirs, x, y), rtol=1e-5)
    assert "test accuracy" in capsys.readouterr().out
