"""Layers that combine several values: Subtract, Average, Maximum, Minimum, Dot, Concatenate of shapes; their functions.

test_graphs.py has random networks of all joins but Dot beside the oracle, and their gradients by finite differences.
"""

from __future__ import annotations

import pickle

import fastreg as fr
import graph_reference as graphs
import numpy as np
import pytest
import reference as ref
from fastreg import layers, optimizers
from pairs import float32, random_weights
from programs import refusal, same_bits, trainer_of

# (shapes of the two values, axes, what the oracle's vectors are: length, transposed)
DOTS = {
    "rows": ((5,), (5,), 1, 5, (False, False)),
    "last axis": ((5,), (5,), -1, 5, (False, False)),
    "one number": ((1,), (1,), 1, 1, (False, False)),
    "long": ((37,), (37,), 1, 37, (False, False)),
    "embeddings": ((1, 8), (1, 8), 2, 8, (False, False)),
    "two by three": ((2, 9), (3, 9), 2, 9, (False, False)),
    "first axis": ((9, 2), (9, 3), 1, 9, (True, True)),
    "mixed axes": ((9, 2), (3, 9), (1, 2), 9, (True, False)),
    "vector and matrix": ((6,), (4, 6), (1, 2), 6, (False, False)),
    "matrix and vector": ((6, 4), (6,), (1, 1), 6, (True, False)),
}


def dot_model(case, normalize):
    first, second, axes, length, transposed = DOTS[case]
    a, b = fr.Input((4,), name="a"), fr.Input((3,), name="b")
    left = layers.Reshape(first)(layers.Dense(int(np.prod(first)), "tanh")(a))
    right = layers.Reshape(second)(layers.Dense(int(np.prod(second)), "tanh")(b))
    made = layers.Dot(axes, normalize)([left, right])
    y = layers.Dense(2)(layers.Flatten()(made))
    model = fr.Model([a, b], y, seed=0)
    model.compile(optimizers.SGD(0.1), "mse")
    return model, made, graphs.Dot(length, transposed, normalize)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("case", DOTS)
def test_dot_trains_and_predicts_as_the_oracle(case, normalize, rng):
    model, made, oracle = dot_model(case, normalize)
    first, second = DOTS[case][:2]
    expected_shape = np.tensordot(
        np.zeros(first), np.zeros(second), axes=[[axis - 1 if axis > 0 else axis] for axis in axes_of(DOTS[case][2])]
    ).shape
    assert made.shape == (None, *(expected_shape or (1,)))
    kinds = ["kernel", "bias"] * 3
    weights = random_weights([w.shape for w in model.get_weights()], kinds, rng)
    model.set_weights(weights)
    sizes = [int(np.prod(first)), int(np.prod(second))]
    parts = [ref.Dense(sizes[0], "tanh"), ref.Dense(sizes[1], "tanh"), oracle, ref.Dense(2)]
    reads = [(0,), (1,), (2, 3), (4,)]
    outputs = [graphs.Output(5, ref.loss_of("mean_squared_error"))]
    net = graphs.Network(parts, reads, 2, outputs, weights, ref.SGD(float32(0.1)))
    xs = [rng.normal(size=(37, width)).astype(np.float32) for width in (4, 3)]
    t = rng.normal(size=(37, 2)).astype(np.float32)
    history = model.fit(xs, t, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    wide = [x.astype(np.float64) for x in xs]
    expected = net.fit(wide, [t.astype(np.float64)], 2, 16)
    np.testing.assert_allclose(history, [total for total, *_ in expected], rtol=2e-5)
    for w, found in zip(net.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(found, w, rtol=5e-5, atol=5e-5)
    np.testing.assert_allclose(model.predict(xs), net.forward(wide)[0], rtol=5e-5, atol=5e-5)
    frozen = model.freeze()
    np.testing.assert_allclose(frozen(xs), model.predict(xs), rtol=1e-5, atol=1e-5)
    assert same_bits([pickle.loads(pickle.dumps(frozen))(xs)], [frozen(xs)])


def axes_of(axes):
    return axes if isinstance(axes, tuple) else (axes, axes)


def test_the_oracle_of_dot_by_finite_differences(rng):
    for case in DOTS:
        for normalize in (False, True):
            first, second, _, length, transposed = DOTS[case]
            xs = [rng.normal(size=(3, int(np.prod(shape)))) for shape in (first, second)]
            layer = graphs.Dot(length, transposed, normalize)
            dy = rng.normal(size=layer.forward(xs, True, None).shape)
            for which, dx in enumerate(layer.backward(dy)):
                step = 1e-6 * rng.normal(size=dx.shape)
                sides = []
                for sign in (1, -1):
                    moved = [x + sign * step if i == which else x for i, x in enumerate(xs)]
                    sides.append((graphs.Dot(length, transposed, normalize).forward(moved, True, None) * dy).sum())
                assert (sides[0] - sides[1]) / 2 == pytest.approx((dx * step).sum(), rel=1e-4, abs=1e-12)


def test_a_dot_of_zero_vectors_is_zero_and_trains():
    a, b = fr.Input((3,)), fr.Input((3,))
    dot = layers.Dot(1, normalize=True)([layers.Dense(4)(a), layers.Dense(4)(b)])
    model = fr.Model([a, b], dot, seed=0)
    model.compile("sgd", "mse")
    zeros = np.zeros((5, 3), np.float32)
    assert (model.predict([zeros, zeros]) == 0).all()
    assert np.isfinite(model.fit([zeros, zeros], np.ones(5), epochs=2, verbose=0).history["loss"]).all()


MERGED = {
    "subtract": lambda a, b: a - b,
    "average": lambda a, b: (a + b) / 2,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
}


@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("shape", [(5,), (1,), (3, 4)])
def test_functions_merge_values_of_any_shape(name, shape, rng):
    a, b = fr.Input(shape), fr.Input(shape)
    model = fr.Model([a, b], getattr(layers, name)([a, b]), seed=0)
    xs = rng.normal(size=(2, 7, *shape)).astype(np.float32)
    expected = MERGED[name](*xs.astype(np.float64))
    assert model.predict(list(xs)).shape == (7, *shape)
    np.testing.assert_allclose(model.predict(list(xs)), expected, rtol=1e-6)
    np.testing.assert_allclose(model.freeze()(list(xs)), expected, rtol=1e-6)


@pytest.mark.parametrize("widths", [(1, 5), (5, 1), (1, 17), (64, 1), (1, 3, 3), (3, 1, 3), (17, 17, 1), (1, 6, 1)])
@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("parallel", [False, True])
def test_one_column_counts_for_every_column(name, widths, parallel, rng, tmp_path):
    """Trained beside the oracle, which repeats the column; frozen, pickled and from a file."""
    if name == "subtract":
        widths = widths[-2:]
    kind = name.capitalize()
    x = fr.Input((4,))
    joined = getattr(layers, name)([layers.Dense(width, "tanh")(x) for width in widths])
    assert joined.shape == (None, max(widths))
    model = fr.Model(x, layers.Dense(2)(joined), seed=0)
    model.compile(optimizers.SGD(0.01), "mse")
    if parallel:
        trainer_of(model).parallel_threshold = 0.0
    weights = random_weights([w.shape for w in model.get_weights()], ["kernel", "bias"] * (len(widths) + 1), rng)
    model.set_weights(weights)
    parts = [*(ref.Dense(width, "tanh") for width in widths), graphs.Broadcast(getattr(graphs, kind)()), ref.Dense(2)]
    n = len(widths)
    reads = [*[(0,)] * n, tuple(range(1, n + 1)), (n + 1,)]
    net = graphs.Network(parts, reads, 1, [graphs.Output(n + 2, ref.loss_of("mean_squared_error"))], weights,
                         ref.SGD(float32(0.01)))
    data, t = rng.normal(size=(37, 4)).astype(np.float32), rng.normal(size=(37, 2)).astype(np.float32)
    history = model.fit(data, t, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    expected = net.fit([data.astype(np.float64)], [t.astype(np.float64)], 2, 16)
    np.testing.assert_allclose(history, [total for total, *_ in expected], rtol=2e-5)
    for w, found in zip(net.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(found, w, rtol=5e-5, atol=5e-5)
    np.testing.assert_allclose(model.predict(data), net.forward([data])[0], rtol=5e-5, atol=5e-5)
    frozen = model.freeze()
    np.testing.assert_allclose(frozen(data), model.predict(data), rtol=1e-5, atol=1e-5)
    model.save(tmp_path / "m.safetensors")
    assert same_bits([pickle.loads(pickle.dumps(frozen))(data)], [frozen(data)])
    assert same_bits([fr.load(tmp_path / "m.safetensors").predict(data)], [model.predict(data)])


@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("shapes", [((1,), (3, 4)), ((3, 4), (1,)), ((1, 1), (3, 4)), ((1,), (1, 1)), ((1, 5), (1,))])
def test_one_element_counts_for_values_of_any_shape(name, shapes, rng):
    values = [fr.Input(shape) for shape in shapes]
    made = getattr(layers, name)(values)
    xs = [rng.normal(size=(7, *shape)).astype(np.float32) for shape in shapes]
    rank = max(map(len, shapes))
    full = [x.reshape(7, *[1] * (rank - len(shape)), *shape) for x, shape in zip(xs, shapes, strict=True)]
    expected = MERGED[name](*(x.astype(np.float64) for x in full))
    model = fr.Model(values, made, seed=0)
    assert model.predict(xs).shape == expected.shape
    np.testing.assert_allclose(model.predict(xs), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.freeze()(xs), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_nan_is_the_greatest_and_the_least(name):
    a, b = fr.Input((2,)), fr.Input((2,))
    frozen = fr.Model([a, b], getattr(layers, name)([a, b]), seed=0).freeze()
    x, y = np.array([[np.nan, 1.0]], np.float32), np.array([[1.0, np.nan]], np.float32)
    assert np.isnan(frozen([x, y])).all()
    assert np.isnan(frozen([y, x])).all()


@pytest.mark.parametrize("kind", [layers.Maximum, layers.Minimum])
def test_ties_share_the_gradient(kind):
    """Three equal values: the last gets a half, the two before a quarter each."""
    x = fr.Input((1,))
    parts = [layers.Dense(1, use_bias=False, kernel_initializer="ones", name=name)(x) for name in "abc"]
    model = fr.Model(x, kind()(parts), seed=0)
    model.compile(optimizers.SGD(1.0), "mse")
    model.fit(np.ones((1, 1)), np.zeros((1, 1)), verbose=0)
    moved = [1.0 - model.get_layer(name).kernel.numpy().item() for name in "abc"]
    assert moved == [0.5, 0.5, 1.0]


CONCATENATED = {
    "rows": ((2,), (3,), -1, (5,)),
    "last axis of one": ((1, 4), (1, 3), -1, (1, 7)),
    "first axis": ((1, 4), (2, 4), 1, (3, 4)),
    "images": ((2, 3, 4), (5, 3, 4), 1, (7, 3, 4)),
}


@pytest.mark.parametrize("case", CONCATENATED)
def test_shapes_side_by_side(case, rng, tmp_path):
    first, second, axis, expected = CONCATENATED[case]
    a, b = fr.Input(first), fr.Input(second)
    model = fr.Model([a, b], layers.concatenate([a, b], axis=axis), seed=0)
    xs = [rng.normal(size=(6, *shape)).astype(np.float32) for shape in (first, second)]
    assert model.output_names
    assert same_bits([model.predict(xs)], [np.concatenate(xs, axis=axis)])
    assert model.predict(xs).shape[1:] == expected
    model.save(tmp_path / "m.safetensors")
    assert same_bits([fr.load(tmp_path / "m.safetensors").predict(xs)], [model.predict(xs)])


REFUSED = {
    "three to subtract": (lambda a: layers.Subtract()([a, a, a]), ["Subtract", "2 values", "got 3"]),
    "three to multiply as vectors": (lambda a: layers.Dot(1)([a, a, a]), ["Dot", "2 values", "got 3"]),
    "the axis of rows": (lambda a: layers.Dot(0), ["Dot: axes", "got 0"]),
    "an axis too far": (lambda a: layers.Dot(3)([a, a]), ["Dot: axes", "got 3"]),
    "three axes": (lambda a: layers.Dot((1, 1, 1)), ["Dot: axes"]),
    "other lengths": (lambda a: layers.Dot(1)([a, fr.Input((5,))]), ["Dot", "same length", "4 and 5"]),
    "three dimensions": (lambda a: layers.Dot(1)([fr.Input((2, 2, 2))] * 2), ["Dot", "one or two dimensions"]),
    "other shapes": (lambda a: layers.Add()([fr.Input((2, 2)), a]), ["Add", "same shape"]),
    "other widths": (lambda a: layers.Multiply()([a, fr.Input((2,))]), ["Multiply", "single element", "4", "2"]),
    "a column for rows": (
        lambda a: layers.Add()([fr.Input((3, 1)), fr.Input((3, 4))]), ["Add", "same shape", "(3, 1)", "(3, 4)"]),
    "one element of a higher rank": (lambda a: layers.Add()([fr.Input((1, 1)), a]), ["Add", "same shape"]),
    "an inner axis": (
        lambda a: layers.Concatenate(2)([fr.Input((2, 2))] * 2), ["Concatenate: axis", "got 2", "Flatten"]),
    "sides that differ": (
        lambda a: layers.Concatenate(1)([fr.Input((2, 2)), fr.Input((2, 3))]), ["Concatenate", "same but for axis 1"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_joins_refuse(case):
    call, words = REFUSED[case]
    with refusal(ValueError, words):
        call(fr.Input((4,)))


def test_hostile_frozen_nodes_are_refused():
    a, b = fr.Input((4,)), fr.Input((4,))
    _, (state,) = fr.Model([a, b], layers.Dot(1)([a, b]), seed=0).freeze().__reduce__()[:2]
    kind, inputs, chain, settings = state["nodes"][0]
    for changed in ((3, 0, 0, 0), (0, 0, 0, 0), (4, 0, 0), "x", (-1, 0, 0, 0)):
        with pytest.raises((ValueError, TypeError)):
            fr.Predictor(state | {"nodes": [(kind, inputs, chain, changed)]})
    for node in ((kind, [0], chain, settings), (kind, inputs, chain), ("add", inputs, chain, settings)):
        with pytest.raises((ValueError, TypeError)):
            fr.Predictor(state | {"nodes": [node]})
