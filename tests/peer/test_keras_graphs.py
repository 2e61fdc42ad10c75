"""Random networks whose layers are connected in any way, beside Keras: order, weights, outputs, names and keys.

The same networks as in tests/test_graphs.py. Weights go from one to the other in the order of ``get_weights``.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import warnings

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from random_graphs import build_pair, data, draw, one_or_list

# JAX's arrays and NumPy 2 do not agree on __array__; that is between the two.
pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Keras's and JAX's own imports
    keras = pytest.importorskip("keras")

JOINS = {"add": "Add", "multiply": "Multiply", "concatenate": "Concatenate", "average": "Average",
         "maximum": "Maximum", "minimum": "Minimum", "subtract": "Subtract"}


def theirs(drawn):
    values = [keras.Input((width,), name=f"x{i}") for i, width in enumerate(drawn.inputs)]
    inputs = list(values)
    for i, (row, reads) in enumerate(drawn.nodes):
        given, name = [values[value] for value in reads], f"l{i}"
        if row[0] in JOINS:
            values.append(getattr(keras.layers, JOINS[row[0]])(name=name)(given))
            continue
        if row[0] == "dense":
            use_bias = (row[3] if len(row) > 3 else {}).get("use_bias", True)
            layer = keras.layers.Dense(row[1], row[2], use_bias=use_bias, name=name)
        elif row[0] == "activation":
            function = "linear" if row[1] == "linear" else row[1]
            layer = keras.layers.Activation(function, name=name)
        elif row[0] == "batch_norm":
            layer = keras.layers.BatchNormalization(**row[1], name=name)
        else:
            layer = keras.layers.Dropout(row[1], name=name)
        values.append(layer(given[0]))
    return keras.Model(inputs, [values[value] for value, *_ in drawn.outputs])


def with_exact_gelu(drawn):
    """Keras's gelu by name is the one with tanh."""
    def of_row(row):
        return tuple("tanh" if item in ("gelu", "leaky_relu") else item for item in row)

    return drawn._replace(nodes=[(of_row(row), reads) for row, reads in drawn.nodes])


@pytest.mark.parametrize("seed", range(15))
def test_order_weights_and_outputs(seed):
    rng = np.random.default_rng([seed, 7])
    drawn = with_exact_gelu(draw(rng))
    model, _ = build_pair(drawn, rng)
    other = theirs(drawn)
    order = [layer.name for layer in other.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert [layer.name for layer in model.layers] == order
    assert model.output_names == list(other.output_names)
    other.set_weights(model.get_weights())
    xs, _ = data(drawn, 9, rng)
    found, expected = model.predict(one_or_list(xs)), other.predict(one_or_list(xs), verbose=0)
    for y, exact in zip(*(one if isinstance(one, list) else [one] for one in (found, expected)), strict=True):
        np.testing.assert_allclose(y, exact, rtol=1e-4, atol=1e-4)


def two_outputs(library, kinds):
    a, b = library.Input((4,), name="a"), library.Input((3,), name="b")
    both = kinds.Concatenate()([kinds.Dense(5, "relu")(a), b])
    return library.Model([a, b], [kinds.Dense(2, name="values")(both), kinds.Dense(1, "sigmoid", name="yes")(both)])


def test_keys_and_losses_of_outputs(rng):
    ours, other = two_outputs(fr, layers), two_outputs(keras, keras.layers)
    other.set_weights(ours.get_weights())
    options = {"loss": {"values": "mse", "yes": "binary_crossentropy"}, "loss_weights": {"values": 1.0, "yes": 0.5},
               "metrics": {"values": ["mae"], "yes": "accuracy"}}
    x = [rng.normal(size=(32, width)).astype(np.float32) for width in (4, 3)]
    y = [rng.normal(size=(32, 2)).astype(np.float32), rng.integers(0, 2, (32, 1)).astype(np.float32)]
    for model in (ours, other):
        model.compile("sgd", **options)
    found, expected = (model.evaluate(x, y, verbose=0, return_dict=True) for model in (ours, other))
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5, err_msg=key)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), other.evaluate(x, y, verbose=0), rtol=1e-5)
    histories = [model.fit(x, y, batch_size=None, shuffle=False, validation_data=(x, y), verbose=0).history
                 for model in (ours, other)]
    assert sorted(histories[0]) == sorted(histories[1])
    for w, exact in zip(ours.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(w, exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("untrained", [(0,), (1,), (0, 1), (2,)])
def test_layers_that_are_not_trained(untrained, rng):
    """Counts, and a step: Keras's batch normalisation infers in training when it is not trained."""
    def stack(library, kinds):
        return library.Sequential([
            library.Input((4,)),
            kinds.Dense(6, "tanh", kernel_regularizer=library.regularizers.L2(0.1), trainable=0 not in untrained),
            kinds.BatchNormalization(trainable=1 not in untrained),
            kinds.Dense(1, trainable=2 not in untrained),
        ])

    ours, other = stack(fr, layers), stack(keras, keras.layers)
    weights = [w + 0.1 for w in ours.get_weights()]
    for model in (ours, other):
        model.set_weights(weights)
        model.compile("sgd", "mse")
    assert ours.count_params(trainable=True) == sum(int(np.prod(w.shape)) for w in other.trainable_weights)
    x, y = rng.normal(size=(32, 4)).astype(np.float32), rng.normal(size=(32, 1)).astype(np.float32)
    losses = [model.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0).history["loss"]
              for model in (ours, other)]
    for w, exact in zip(ours.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(w, exact, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(*losses, rtol=1e-4)
