"""Operators between values of a network, and Keras's argument ``training`` of a call."""

import operator
import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers

FORMULAS = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b,
    "product": lambda a, b: a * b,
    "the same twice": lambda a, b: a * a + b,
    "number first": lambda a, b: 2 * a + (1 - b),
    "number last": lambda a, b: a * 0.5 + b - 3,
    "NumPy's number": lambda a, b: np.float32(2.0) * a + b * np.float64(0.25),
    "division": lambda a, b: a / 4 + b / np.float32(0.5),
    "negative": lambda a, b: -a - -b,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_operators_are_those_of_arrays(name, rng):
    formula = FORMULAS[name]
    x, z = rng.normal(size=(2, 50, 3)).astype(np.float32)
    a, b = fr.Input((3,), name="a"), fr.Input((3,), name="b")
    model = fr.Model([a, b], formula(a, b))
    expected = formula(x.astype(np.float64), z.astype(np.float64))
    # At most four operations, each with a relative rounding error of 2**-24 of what it adds.
    bound = 8 * 2.0**-24 * (4 + 4 * np.abs(x) + 4 * np.abs(z) + x**2)
    assert np.all(np.abs(model.predict([x, z], verbose=0) - expected) <= bound)
    same = pickle.loads(pickle.dumps(model))
    assert np.array_equal(same.predict([x, z], verbose=0), model.predict([x, z], verbose=0))


def test_a_residual_block_written_with_plus_is_trained(rng):
    x = rng.normal(size=(64, 4)).astype(np.float32)
    a = fr.Input((4,))
    models = []
    for joined in (lambda h: h + a, lambda h: layers.Add()([h, a])):
        model = fr.Model(a, layers.Dense(1)(joined(layers.Dense(4, "tanh")(a))), seed=3)
        model.compile("adam", "mse")
        model.fit(x, x[:, 0], epochs=3, verbose=0)
        models.append(model)
    assert [layer.name for layer in models[0].layers] == ["dense", "add", "dense_1"]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("act", [operator.add, operator.sub, operator.mul, operator.truediv])
@pytest.mark.parametrize("other", [np.ones(3), "a", [1.0], None])
def test_what_is_no_number(act, other):
    a = fr.Input((3,))
    for left, right in ((a, other), (other, a)):
        with pytest.raises(TypeError):
            act(left, right)


def test_operators_refuse_what_their_layers_refuse():
    a, b = fr.Input((3,)), fr.Input((4,))
    with pytest.raises(ValueError, match=r"Add: inputs must have the same shape"):
        a + b
    with pytest.raises(ValueError, match=r"Rescaling: scale must be finite, got nan"):
        a * float("nan")
    with pytest.raises(TypeError, match="unsupported operand"):
        a / a
    with pytest.raises(ZeroDivisionError):
        a / 0


# ------------------------------------------------------------------------------------------------------------ training


def base(*parts):
    return fr.Sequential([fr.Input((3,)), *parts], seed=0, name="base")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layer", [layers.Dense(2), layers.Rescaling(2.0), layers.Residual([layers.Dense(3)])])
def test_layers_without_a_mode(layer, training):
    a = fr.Input((3,))
    assert layer(a, training=training).shape == layer(a).shape
    assert base(layer)(a, training=training).shape == layer(a).shape
    assert layers.Add()([a, a], training=training).shape == (None, 3)


@pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.GaussianNoise(0.1), layers.BatchNormalization()])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [lambda one: one, base, lambda one: layers.Residual([one]), lambda one: base(base(one))],
    ids=["alone", "model", "block", "model in a model"],
)
def test_layers_with_a_mode(layer, training, wrap):
    a, kind = fr.Input((3,)), type(layer).__name__
    wrapped = wrap(layer)
    assert wrapped(a, training=None).shape == (None, 3)
    with pytest.raises(ValueError, match=rf"training must be None where there is a {kind}, got {training}") as caught:
        wrapped(a, training=training)
    assert ("trainable=False" in str(caught.value)) == (kind == "BatchNormalization" and not training)


def test_a_batch_normalization_that_is_not_trained(rng):
    """Keras's way to fine-tune: the base in inference mode. It has the same outputs in fit and predict."""
    x = rng.normal(size=(32, 3)).astype(np.float32)
    inner = base(layers.Dense(4), layers.BatchNormalization())
    inner.trainable = False
    a = fr.Input((3,))
    model = fr.Model(a, layers.Dense(1)(inner(a, training=False)), seed=0)
    model.compile("adam", "mse")
    before = inner.get_weights()
    model.fit(x, x[:, 0], epochs=2, verbose=0)
    assert all(np.array_equal(one, other) for one, other in zip(before, inner.get_weights(), strict=True))
    with pytest.raises(ValueError, match="got True"):
        inner(a, training=True)
    one = layers.BatchNormalization(trainable=False)
    assert one(a, training=False).shape == (None, 3)


def test_rows_of_arrays(rng):
    x = rng.normal(size=(8, 3)).astype(np.float32)
    noisy, plain = base(layers.Dropout(0.5), layers.Dense(1)), base(layers.Dense(1))
    assert np.array_equal(noisy(x, training=False), noisy.predict(x, verbose=0))
    assert np.array_equal(plain(x, training=True), plain.predict(x, verbose=0))
    with pytest.raises(ValueError, match=r"training must be None where there is a Dropout, got True"):
        noisy(x, training=True)
    with pytest.raises(TypeError, match="training must be True or False, got 'yes'"):
        noisy(x, training="yes")
    numbers = layers.Normalization(mean=1.0, variance=4.0)
    assert np.array_equal(numbers(x, training=False), numbers(x))
