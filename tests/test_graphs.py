"""Random networks whose layers are connected in any way, against the oracle: trained, frozen and resumed.

The networks are drawn by ``random_graphs.py``: residual blocks, several inputs and outputs, values that several layers
read, or one layer twice, and outputs that are read on.
"""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise

import fastreg as fr
import graph_reference as graphs
import numpy as np
import pytest
import reference as ref
from cases import made
from conftest import EPS
from fastreg import layers
from fastreg.model.core import core_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pairs import fastreg_layer, random_weights, reference_layer, rounded, targets
from programs import same_bits
from random_graphs import Drawn, build_pair, data, draw, functional, one_or_list, oracle, random_weights_of
from rounding import AS_OFTEN, an_ulp_away, apart

SEEDS = range(24)
TOLERANCE = 2e-5  # twenty steps of float32 arithmetic, as in test_trajectories.py
SGD1 = ref.SGD(1.0)


def fit(model, xs, ts, **options):
    return model.fit(one_or_list(xs), one_or_list(ts), shuffle=False, verbose=0, **options)


def outputs_of(model, xs):
    found = model.predict(one_or_list(xs))
    return found if isinstance(found, list) else [found]


def log_rows(history):
    """[loss, loss of each output] of each epoch."""
    keys = [key for key in history.history if key.endswith("loss")]
    return np.array([history.history[key] for key in keys]).T


# ----------------------------------------------------------------------------------------------------- the oracle


@pytest.mark.parametrize("seed", SEEDS)
def test_the_oracle_s_gradients_are_those_of_its_losses(seed):
    """Finite differences in float64, with the masks and batch statistics of training."""
    rng = np.random.default_rng(seed)
    drawn = draw(rng, smooth=True)
    net = oracle(drawn, range(len(drawn.nodes)), random_weights_of(drawn, range(len(drawn.nodes)), rng))
    xs, ts = data(drawn, 7, rng)

    def loss():
        statistics = copy.deepcopy([layer.p for layer in net.layers])
        found = net.total([rows.mean() for rows in net.losses(net.forward(xs, training=True), ts)]) + net.penalty()
        for layer, p in zip(net.layers, statistics, strict=True):
            layer.p = p
        return found

    net.gradients(xs, ts)
    found = {key: net.layers[key[0]].d[key[1]] + u.penalty.gradient(net.layers[key[0]].p[key[1]])
             for key, u in net.updaters.items()}
    for (i, name), gradient in found.items():
        direction, h = rng.normal(size=gradient.shape), 1e-6
        values = []
        for sign in (1.0, -1.0):
            net.layers[i].p[name] = net.layers[i].p[name] + sign * h * direction
            values.append(loss())
            net.layers[i].p[name] = net.layers[i].p[name] - sign * h * direction
        difference = (values[0] - values[1]) / (2.0 * h)
        slope = (gradient * direction).sum()
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-7, err_msg=f"{i} {name}")


# ------------------------------------------------------------------------------------------------ forward, backward


def assert_step_agrees(drawn, rng, rows=33, weighted=False):
    """Outputs, losses and, by one step of gradient descent at rate 1, all gradients."""
    model, net = build_pair(drawn, rng, optimizer=SGD1, seed=3)
    xs, ts = data(drawn, rows, rng)
    rs = [rng.uniform(0.5, 2.0, rows).astype(np.float32) for _ in ts] if weighted else None
    widest = max(drawn.widths())
    for y, exact in zip(outputs_of(model, xs), net.forward(xs), strict=True):
        np.testing.assert_allclose(y, exact, rtol=EPS * (64 + widest), atol=EPS * (64 + widest) * np.abs(exact).max())
    given = None if rs is None else one_or_list(rs)
    scored = np.atleast_1d(model.evaluate(one_or_list(xs), one_or_list(ts), sample_weight=given, verbose=0))
    np.testing.assert_allclose(scored, net.evaluate(xs, ts, rs)[: len(scored)], rtol=1e-5, atol=1e-6)
    before = net.get_weights()
    history = fit(model, xs, ts, batch_size=None, sample_weight=given)
    others = [an_ulp_away(net, rng) for _ in range(2)]
    expected, *_ = (each.fit(xs, ts, 1, rows, rs) for each in (net, *others))
    moved = AS_OFTEN * apart(net, others)
    np.testing.assert_allclose(log_rows(history)[0], expected[0][: log_rows(history).shape[1]], rtol=1e-5, atol=1e-6)
    changes = [w - w0 for w, w0 in zip(net.get_weights(), before, strict=True)]
    largest = max(np.abs(change).max() for change in changes)
    for i, (w, exact, w0) in enumerate(zip(model.get_weights(), net.get_weights(), before, strict=True)):
        bound = EPS * (64 + widest + rows) * largest + 4.0 * EPS * (np.abs(w0) + np.abs(exact)) + moved
        assert (np.abs(w - exact) <= bound).all(), f"weight {i}: {np.abs(w - exact).max()}, allowed {bound.min()}"


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("seed", SEEDS)
def test_outputs_losses_and_gradients(seed, weighted):
    rng = np.random.default_rng(seed)
    assert_step_agrees(draw(rng), rng, weighted=weighted)


FOLLOWING = [("batch_norm", {"momentum": 0.9}), ("dropout", 0.25), ("activation", "tanh"), ("activation", "relu")]


@pytest.mark.parametrize("follows", FOLLOWING, ids=["batch_norm", "dropout", "tanh", "relu"])
@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("normed", [False, True], ids=["", "normed"])
def test_an_output_that_a_single_layer_reads(activation, follows, normed, rng):
    """Layers that are computed together elsewhere: what is in between is an output here, and has a loss of its own."""
    nodes = [(("dense", 5, activation), (0,))] + [(FOLLOWING[0], (1,))] * normed
    middle = len(nodes)
    nodes += [(follows, (middle,)), (("dense", 3, "linear"), (middle + 1,))]
    outputs = [(middle + 2, "mean_squared_error", 1.0), (middle, "mean_squared_error", 0.5)]
    assert_step_agrees(Drawn([6], nodes, outputs), rng)


BESIDE = {"narrow": ("dense", 1, "tanh"), "wide": ("dense", 3, "relu"), "tanh": ("activation", "tanh"), "output": None}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_a_normalisation_that_one_unit_and_others_read(beside, last, rng):
    """The gradient that a layer of one unit passes on is an outer product, to which that of others is added."""
    readers = [row for row in (("dense", 1, "linear"), BESIDE[beside]) if row is not None]
    nodes = [(("dense", 5, "tanh"), (0,)), (FOLLOWING[0], (1,))]
    nodes += [(row, (2,)) for row in (readers[::-1] if last else readers)]
    values = [*range(3, 3 + len(readers))] + [2] * (beside == "output")
    drawn = Drawn([6], nodes, [(value, "mean_squared_error", 0.5 + value) for value in values])
    assert_step_agrees(drawn, rng)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**63), st.integers(1, 14))
@example(7_690_231_218, 14)
def test_outputs_losses_and_gradients_of_any_network(seed, steps):
    rng = np.random.default_rng(seed)
    assert_step_agrees(draw(rng, steps), rng, rows=int(rng.integers(2, 70)))


@pytest.mark.parametrize("seed", range(12))
def test_gradients_agree_with_finite_differences(seed):
    """For fastreg's own loss along a random direction, in networks that compute the same in training and inference."""
    rng = np.random.default_rng(seed)
    drawn = draw(rng, smooth=True)
    nodes = [(("activation", "tanh") if row[0] in ("dropout", "batch_norm") else row, reads)
             for row, reads in drawn.nodes]
    drawn = drawn._replace(nodes=nodes)
    model, _ = build_pair(drawn, rng, optimizer=SGD1)
    xs, ts = data(drawn, 64, rng)
    start = model.get_weights()
    direction = [rng.normal(size=w.shape).astype(np.float32) for w in start]
    length = np.sqrt(sum((d.astype(np.float64) ** 2).sum() for d in direction))
    direction = [d / length for d in direction]

    def loss(h):
        model.set_weights([w + np.float32(h) * d for w, d in zip(start, direction, strict=True)])
        return np.atleast_1d(model.evaluate(one_or_list(xs), one_or_list(ts), verbose=0))[0]

    def difference(h):
        return (loss(h) - loss(-h)) / (2.0 * h)

    h = 2.0**-4
    slope = (4.0 * difference(h / 2) - difference(h)) / 3.0  # without the error of h squared
    size = abs(loss(0.0))
    model.set_weights(start)
    fit(model, xs, ts, batch_size=None)
    gradient = [w0.astype(np.float64) - w for w0, w in zip(start, model.get_weights(), strict=True)]
    exact = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
    whole = np.sqrt(sum((g**2).sum() for g in gradient))
    assert abs(slope - exact) <= 64 * EPS * size / h + 2e-3 * whole


# ---------------------------------------------------------------------------------------------------------- training

# Rates at which no drawn network diverges, and epsilons that make no steps of the rounding errors of a gradient that is
# zero, as that of a shift in front of a batch normalisation is.
OPTIMIZERS = {
    "sgd": ref.SGD(0.003),
    "nesterov": ref.SGD(0.001, momentum=0.9, nesterov=True),
    "adamw": ref.AdamW(0.02, weight_decay=0.1, epsilon=0.1),
    "rmsprop": ref.RMSprop(0.02, 0.9, 0.1),
    "global clipnorm": ref.SGD(0.02, clip=("global_clipnorm", 0.5)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("seed", range(8))
def test_twenty_steps(seed, optimizer):
    """Batches in order, the last one short."""
    rng = np.random.default_rng([seed, 1])
    drawn = draw(rng)
    model, net = build_pair(drawn, rng, optimizer=OPTIMIZERS[optimizer], seed=11)
    xs, ts = data(drawn, 70, rng)
    history = fit(model, xs, ts, batch_size=16, epochs=4)
    expected = net.fit(xs, ts, 4, 16)
    assert net.steps == 20
    for i, (w, exact) in enumerate(zip(model.get_weights(), net.get_weights(), strict=True)):
        np.testing.assert_allclose(w, exact, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"weight {i}")
    rows = log_rows(history)
    np.testing.assert_allclose(rows, np.array(expected)[:, : rows.shape[1]], rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("seed", range(6))
def test_layers_that_are_not_trained(seed):
    rng = np.random.default_rng([seed, 2])
    drawn = draw(rng)
    untrained = tuple(i for i in range(len(drawn.nodes) - 1) if rng.random() < 0.4)
    optimizer = ref.SGD(0.02, momentum=0.9)
    model, net = build_pair(drawn, rng, optimizer=optimizer, seed=11, untrained=untrained)
    xs, ts = data(drawn, 70, rng)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    fit(model, xs, ts, batch_size=16, epochs=4)
    net.fit(xs, ts, 4, 16)
    for i, (w, exact) in enumerate(zip(model.get_weights(), net.get_weights(), strict=True)):
        np.testing.assert_allclose(w, exact, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"weight {i}")
    for layer in model.layers:
        if not layer.trainable:
            assert same_bits(layer.get_weights(), before[layer.name])


@pytest.mark.parametrize("seed", range(8))
def test_the_number_of_threads_changes_no_bit(seed):
    rng = np.random.default_rng([seed, 3])
    drawn, found = draw(rng), []
    xs, ts = data(drawn, 200, rng)
    for threads in (1, 2, 3):
        model = functional(drawn, seed=9, optimizer=ref.AdamW(0.01, weight_decay=0.1))
        with fr.thread_limit(threads):
            core_of(model).trainer_for(core_of(model).known_shape()).parallel_threshold = 0.0
            history = fit(model, xs, ts, batch_size=64, epochs=2)
            found.append([*model.get_weights(), *outputs_of(model, xs), log_rows(history), *frozen_outputs(model, xs)])
    assert all(same_bits(one, other) for one, other in pairwise(found))


# ------------------------------------------------------------------------------------------------ frozen and resumed


def frozen_outputs(model, xs):
    found = model.freeze()(one_or_list(xs))
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("seed", range(12))
def test_a_frozen_network_predicts_as_the_network(seed):
    rng = np.random.default_rng([seed, 4])
    drawn = draw(rng)
    model, net = build_pair(drawn, rng)
    xs, _ = data(drawn, 37, rng)
    widest = max(drawn.widths())
    frozen = model.freeze()
    for rows in (1, 37):
        given = [x[:rows] for x in xs]
        for y, exact in zip(frozen_outputs(model, given), net.forward(given), strict=True):
            bound = EPS * (64 + widest)
            np.testing.assert_allclose(y, exact, rtol=bound, atol=bound * np.abs(exact).max())
        found = frozen_outputs(model, given)
        out = [np.full_like(y, np.nan) for y in found]
        result = frozen(one_or_list(given), out=one_or_list(out))
        results = result if isinstance(result, list) else [result]
        assert all(one is other for one, other in zip(results, out, strict=True))
        assert same_bits(out, found)
        named = frozen(dict(zip(model.input_names, given, strict=True)))
        assert same_bits(named if isinstance(named, list) else [named], found)
    again = pickle.loads(pickle.dumps(frozen))(one_or_list(xs))
    assert same_bits(again if isinstance(again, list) else [again], frozen_outputs(model, xs))


@pytest.mark.parametrize("way", ["file", "pickle", "deepcopy"])
@pytest.mark.parametrize("seed", range(4))
def test_training_goes_on_where_it_was(seed, way, tmp_path):
    rng = np.random.default_rng([seed, 5])
    drawn = draw(rng)
    xs, ts = data(drawn, 70, rng)
    model, other = (functional(drawn, seed=4, optimizer=ref.Adam(0.01)) for _ in range(2))
    for one in (model, other):
        fit(one, xs, ts, batch_size=16, epochs=2)
    if way == "file":
        other.save(tmp_path / "net.safetensors")
        other = fr.load(tmp_path / "net.safetensors")
    else:
        other = pickle.loads(pickle.dumps(other)) if way == "pickle" else copy.deepcopy(other)
    assert same_bits(outputs_of(model, xs), outputs_of(other, xs))
    rows = [log_rows(fit(one, xs, ts, batch_size=16, epochs=2)) for one in (model, other)]
    assert same_bits(model.get_weights(), other.get_weights())
    assert same_bits(*[[one] for one in rows])
    assert same_bits(outputs_of(model, xs), outputs_of(other, xs))
    assert [layer.description for layer in other.layers] == [layer.description for layer in model.layers]
    assert core_of(other).graph == core_of(model).graph


# -------------------------------------------------------------------------------- chains and residual blocks in them


def test_a_chain_is_the_same_in_either_form(rng):
    """Weights, history and predictions are the same bits as those of a Sequential with the same seed."""
    def described():
        return [layers.Dense(17, "relu", kernel_regularizer="l2"), layers.BatchNormalization(), layers.Dropout(0.3),
                layers.Dense(9), layers.Activation("gelu"), layers.Dense(3, "softmax")]

    chain = fr.Sequential([fr.Input((5,)), *described()], seed=8)
    start = value = fr.Input((5,))
    for layer in described():
        value = layer(value)
    graph = fr.Model(start, value, seed=8)
    x, t = rng.normal(size=(70, 5)).astype(np.float32), targets("sparse_categorical_crossentropy", 70, 3, rng)
    found = []
    for model in (chain, graph):
        model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        history = model.fit(x, t, batch_size=16, epochs=3, validation_split=0.2, verbose=0)
        curves = map(np.array, history.history.values())
        found.append([*model.get_weights(), model.predict(x), model.freeze()(x), *curves])
    assert same_bits(*found)


BLOCKS = [
    ("dense", 8, "tanh"),
    [("dense", 17, "relu"), ("dropout", 0.25), ("dense", 8)],
    ("batch_norm", {"momentum": 0.9}),
    [("dense", 5, "tanh"), [("dense", 5, "gelu")], [("dense", 3, "silu"), ("dense", 5)], ("dense", 8)],
    [("activation", "tanh")],
    ("dense", 3),
]


def residual_layer(row):
    return layers.Residual([residual_layer(one) for one in row]) if isinstance(row, list) else fastreg_layer(row)


def residual_oracle(rows):
    """The layers of the oracle and what each reads, in the order of weights and of random streams."""
    exact, reads = [], []

    def add(row, value):
        if not isinstance(row, list):
            exact.append(reference_layer(row))
            reads.append((value,))
            return len(exact)
        end = value
        for inner in row:
            end = add(inner, end)
        exact.append(graphs.Add())
        reads.append((value, end))
        return len(exact)

    value = 0
    for row in rows:
        value = add(row, value)
    return exact, reads


@pytest.mark.parametrize("form", ["Sequential", "Model"])
def test_residual_blocks(form, rng, tmp_path):
    """Residual blocks, also nested, in a chain and called on a value: twenty steps, frozen, and saved."""
    optimizer = ref.SGD(0.02, momentum=0.9)
    described = [residual_layer(row) for row in BLOCKS]
    if form == "Sequential":
        model = fr.Sequential([fr.Input((4,)), *described], seed=6)
    else:
        start = value = fr.Input((4,))
        for layer in described:
            value = layer(value)
        model = fr.Model(start, value, seed=6)
    model.compile(made(optimizer), "mse")
    exact, reads = residual_oracle(BLOCKS)
    names = [name for layer in exact for name in layer.names]
    weights = random_weights([w.shape for w in model.get_weights()], names, rng)
    model.set_weights(weights)
    outputs = [graphs.Output(len(exact), ref.loss_of("mean_squared_error"))]
    net = graphs.Network(exact, reads, 1, outputs, weights, rounded(optimizer), 6)
    x, t = rng.normal(size=(70, 4)).astype(np.float32), targets("mean_squared_error", 70, 3, rng)
    fit(model, [x], [t], batch_size=16, epochs=4)
    net.fit([x], [t], 4, 16)
    for w, w_exact in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(w, w_exact, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(model.freeze()(x), net.forward([x])[0], rtol=2 * TOLERANCE, atol=2 * TOLERANCE)
    model.save(tmp_path / "net.safetensors")
    other = fr.load(tmp_path / "net.safetensors")
    assert type(other) is type(model)
    assert [layer.description for layer in other.layers] == described
    for one in (model, other):
        fit(one, [x], [t], epochs=2)
    assert same_bits(model.get_weights(), other.get_weights())
    assert sum(layer.count_params() for layer in model.layers) == model.count_params()
    block = model.layers[3]
    block.set_weights([w + 1 for w in block.get_weights()])
    assert not same_bits(model.get_weights(), other.get_weights())
    assert same_bits(model.layers[1].get_weights(), other.layers[1].get_weights())
    block.trainable = False
    fixed = block.get_weights()
    fit(model, [x], [t])
    assert same_bits(block.get_weights(), fixed)
