"""Constraints of weights and the multipliers of layers, against the oracle and in closed form."""

from __future__ import annotations

import json
import pickle

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import CONSTRAINT_CASES, made
from conftest import EPS
from fastreg import constraints, layers, optimizers, regularizers
from formulas.constraints import CONSTRAINTS, MaxNorm, NonNeg
from formulas.penalties import Options, Penalty
from pairs import build_pair
from programs import blobs, compiled, same_bits

# Widths of kernels: less and more than a panel, whole strips and parts of them, and one column.
WIDTHS = (1, 5, 16, 70, 131)


def of_norm(name):
    return not isinstance(CONSTRAINTS[name], NonNeg)


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_kernel_after_one_update(name, width, rng):
    """With a rate of nearly nothing, an update is the constraint alone."""
    case = CONSTRAINT_CASES[name]
    model = fr.Sequential([layers.Dense(width, kernel_constraint=case.made)], seed=0)
    model.compile(optimizers.SGD(1e-30), "mse")
    n = 300
    model.build(n)
    kernel = (rng.normal(size=(n, width)) * np.linspace(1.0, 0.01, width)).astype(np.float32)
    model.set_weights([kernel, np.zeros(width, np.float32)])
    model.fit(np.zeros((2, n)), np.zeros((2, width)), verbose=0)
    expected = case.oracle.project(kernel.astype(np.float64))
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=32 * EPS, atol=1e-12)
    assert not np.allclose(expected, kernel)


@pytest.mark.parametrize("name", ["max norm", "non neg", "unit norm", "min max norm"])
def test_a_bias_after_one_update(name, rng):
    case = CONSTRAINT_CASES[name]
    model = fr.Sequential([layers.Dense(37, bias_constraint=case.made)], seed=0)
    model.compile(optimizers.SGD(1e-30), "mse")
    model.build(3)
    kernel, bias = rng.normal(size=(3, 37)).astype(np.float32), rng.normal(size=37).astype(np.float32)
    model.set_weights([kernel, bias])
    model.fit(np.zeros((2, 3)), np.zeros((2, 37)), verbose=0)
    assert same_bits(model.get_weights()[:1], [kernel])
    np.testing.assert_allclose(model.get_weights()[1], case.oracle.project(bias.astype(np.float64)), rtol=32 * EPS)


# The layers besides Dense whose weights can be constrained, with these weights.
OTHERS = [
    (layers.BatchNormalization, {}, ("gamma", "beta")),
    (layers.LayerNormalization, {}, ("gamma", "beta")),
    (layers.PReLU, {}, ("alpha",)),
    (layers.Scale, {}, ("scale",)),
    (layers.Embedding, {"input_dim": 5, "output_dim": 3}, ("embeddings",)),
]


@pytest.mark.parametrize(
    ("kind", "given", "weight"), [(kind, given, weight) for kind, given, names in OTHERS for weight in names]
)
@pytest.mark.parametrize("name", ["max norm", "non neg", "unit norm", "min max norm"])
def test_a_weight_of_another_layer_after_one_update(kind, given, weight, name, rng):
    """Only that weight is brought under its constraint."""
    case = CONSTRAINT_CASES[name]
    layer = kind(**given, **{f"{weight}_constraint": case.made})
    model = fr.Sequential([fr.Input((6,)), layer, layers.Flatten()], seed=0)
    model.compile(optimizers.SGD(1e-30), "mse")
    before = {w.name: (0.1 + rng.normal(size=w.shape) ** 2).astype(np.float32) for w in model.weights}
    before[weight] -= 1.0
    model.set_weights(list(before.values()))
    x = rng.integers(0, 5, (4, 6))
    model.fit(x, model.predict(x), verbose=0)
    for found in model.trainable_weights:
        expected = before[found.name]
        if found.name == weight:
            expected = case.oracle.project(expected.astype(np.float64))
            assert not np.allclose(expected, before[weight])
        np.testing.assert_allclose(found.numpy(), expected, rtol=32 * EPS, atol=1e-12)


OPTIONS = {
    "alone": ref.SGD(0.1, 0.9),
    "with averages": ref.SGD(0.1, 0.9, options=Options(use_ema=True, ema_momentum=0.8)),
    "with averages that overwrite": ref.Adam(
        0.05, epsilon=0.1, options=Options(use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3)
    ),
    "with clipping and accumulation": ref.Adam(
        0.05, epsilon=0.1, clip=("clipnorm", 0.1), options=Options(gradient_accumulation_steps=2, weight_decay=0.1)
    ),
}


@pytest.mark.parametrize("optimizer", OPTIONS)
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_training_of_fifty_steps(name, optimizer, rng):
    bias = MaxNorm(0.5) if name != "non neg" else NonNeg()
    options = {"kernel": Penalty(0.001, 0.002), "kernel_constraint": CONSTRAINTS[name], "bias_constraint": bias}
    rule = OPTIONS[optimizer]
    model, net = build_pair([("dense", 9, "tanh", options), ("dense", 2)], 5, rng, optimizer=rule)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    history = model.fit(x, y, batch_size=8, epochs=10, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], net.fit(x, y, 10, 8), rtol=1e-4)
    if rule.options.use_ema:
        net.show_averages()
    for mine, oracle in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(mine, oracle, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        (constraints.NonNeg(), lambda w: (w >= 0.0).all() and (w == 0.0).any()),
        (constraints.MaxNorm(0.3), lambda w: (np.sqrt((w * w).sum(axis=0)) <= 0.3 + 1e-6).all()),
    ],
)
def test_averages_keep_to_convex_constraints(constraint, holds):
    x, y = blobs()
    stack = [layers.Dense(20, "tanh", kernel_constraint=constraint), layers.Dense(1, "sigmoid")]
    model = compiled(stack, optimizer=optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9), seed=1)
    model.fit(x, y, epochs=20, verbose=0)
    assert holds(model.get_weights()[0])


def test_results_do_not_depend_on_threads(rng):
    x, y = blobs(64, 90, 2)
    found, before = {}, fr.get_num_threads()
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            for name in CONSTRAINTS:
                stack = [layers.Dense(150, "relu", kernel_constraint=CONSTRAINT_CASES[name].made), layers.Dense(1)]
                model = compiled(stack, loss="mse", optimizer=optimizers.Adam(0.01, use_ema=True), seed=1)
                model.build(90)
                model._core.trainer_for(None).parallel_threshold = 0.0
                model.fit(x, y, epochs=2, verbose=0)
                found.setdefault(name, []).append(model.get_weights())
    finally:
        fr.set_num_threads(before)
    for name, (one, *others) in found.items():
        assert all(same_bits(one, other) for other in others), name


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_files_and_pickles_keep_constraints(name, tmp_path):
    x, y = blobs()
    made = CONSTRAINT_CASES[name].made
    whole = compiled([layers.Dense(9, kernel_constraint=made), layers.Dense(1)], loss="mse", seed=1)
    half = compiled([layers.Dense(9, kernel_constraint=made), layers.Dense(1)], loss="mse", seed=1)
    whole.fit(x, y, epochs=4, verbose=0)
    half.fit(x, y, epochs=2, verbose=0)
    half.save(tmp_path / "net.safetensors")
    for copy in (fr.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(half))):
        assert copy.layers[0].kernel_constraint == made
        copy.fit(x, y, epochs=2, verbose=0)
        assert same_bits(copy.get_weights(), whole.get_weights())
    assert constraints.get(json.loads(json.dumps(made.to_config()))) == made


def test_a_layer_that_is_not_trained_is_not_constrained():
    x, y = blobs()
    model = compiled([layers.Dense(9, kernel_constraint="unit_norm", trainable=False), layers.Dense(1)], loss="mse")
    model.build(10)
    before = model.layers[0].get_weights()
    model.fit(x, y, verbose=0)
    assert same_bits(model.layers[0].get_weights(), before)


def test_nan_stays_nan():
    """A run that diverges is seen to diverge, whatever the constraint."""
    for name in ("non_neg", "max_norm", "unit_norm", "min_max_norm"):
        model = compiled([layers.Dense(1, kernel_constraint=name)], loss="mse", optimizer=optimizers.SGD(1e20), seed=1)
        with pytest.raises(fr.DivergenceError):
            model.fit(np.full((8, 2), 1e19), np.zeros((8, 1)), epochs=5, verbose=0)


def test_names_of_keras():
    assert constraints.max_norm(3) == constraints.MaxNorm(3.0, 0)
    assert constraints.get("MaxNorm") == constraints.get("max_norm") == constraints.MaxNorm()
    assert constraints.get(None) is None
    assert layers.Dense(1, bias_constraint="non_neg").bias_constraint == constraints.non_neg()
    assert constraints.min_max_norm(axis=[0, 1]).axis == (0, 1)


BAD = [
    (lambda: constraints.MaxNorm(-1), ValueError, "MaxNorm: max_value must be >= 0, got -1"),
    (lambda: constraints.MaxNorm(axis=2), ValueError, "MaxNorm: axis must be 0, 1, -1 or a list of these, got 2"),
    (lambda: constraints.MaxNorm(axis=(0, 0)), ValueError, "MaxNorm: axis must be 0, 1, -1 or a list"),
    (lambda: constraints.UnitNorm(axis="0"), TypeError, "UnitNorm: axis must be 0, 1, -1 or a list of these, got '0'"),
    (lambda: constraints.UnitNorm(axis=True), TypeError, "UnitNorm: axis must be 0, 1, -1 or a list"),
    (lambda: constraints.MinMaxNorm(2, 1), ValueError, "MinMaxNorm: max_value must be >= min_value = 2, got 1"),
    (lambda: constraints.MinMaxNorm(rate=1.5), ValueError, r"MinMaxNorm: rate must be in \[0, 1\], got 1.5"),
    (lambda: layers.Dense(1, kernel_constraint="l2"), ValueError, "Dense: kernel_constraint: unknown constraint 'l2'"),
    (lambda: layers.Dense(1, kernel_constraint=constraints.NonNeg), TypeError, "write NonNeg"),
    (lambda: constraints.get(3), TypeError, "expected a constraint"),
    (
        lambda: fr.Sequential([layers.Dense(1, bias_constraint=constraints.MaxNorm(axis=1))]).build((None, 2)),
        ValueError,
        r"layer \(Dense\): bias_constraint: axis must be 0, as the weight is a vector, got 1",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_constraints(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ------------------------------------------------------------------------------------------------------ multipliers


RATES = {"one for all": 3.0, "the bias": {"bias": 0.1}, "both": {"kernel": 2.0, "bias": 0.0}}


@pytest.mark.parametrize("rule", ["sgd", "adamw", "lion, with decay", "rmsprop"])
@pytest.mark.parametrize("rates", RATES)
def test_multipliers_of_a_layer(rates, rule, rng):
    """Steps, decay and the proximal threshold follow the rate; the other layer is as it was."""
    optimizer = ref.RULES[rule]
    if hasattr(optimizer, "epsilon"):
        optimizer = optimizer.replace(epsilon=0.1)
    options = {"rates": RATES[rates], "decays": {"kernel": 0.5}, "kernel": Penalty(0.002, 0.0, True)}
    model, net = build_pair([("dense", 9, "tanh", options), ("dense", 2)], 5, rng, optimizer=optimizer)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    before = model.get_weights()
    model.fit(x, y, batch_size=8, epochs=10, shuffle=False, verbose=0)
    net.fit(x, y, 10, 8)
    for mine, oracle in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(mine, oracle, rtol=1e-3, atol=1e-4)
    assert same_bits(model.get_weights()[1:2], before[1:2]) == (rates == "both"), "a factor of 0 makes no step"


@pytest.mark.parametrize("rule", ref.RULES)
def test_a_multiplier_of_zero_keeps_every_bit(rule):
    """Under every rule, with decay and a proximal threshold; the other weights of the layer move."""
    x, y = blobs()
    penalty = regularizers.L1(0.01, proximal=True)
    frozen = layers.Dense(9, "tanh", kernel_regularizer=penalty, learning_rate_multiplier={"kernel": 0.0})
    model = compiled([frozen, layers.Dense(1)], loss="mse", optimizer=made(ref.RULES[rule]), seed=1)
    model.build((None, x.shape[1]))
    before = model.get_weights()
    model.fit(x, y, epochs=2, verbose=0)
    assert same_bits(model.get_weights()[:1], before[:1])
    assert all((one != other).any() for one, other in zip(model.get_weights()[1:], before[1:], strict=True))


def test_a_multiplier_of_one_changes_no_bit():
    x, y = blobs()
    found = []
    for options in ({}, {"learning_rate_multiplier": {"bias": 1.0}, "weight_decay_multiplier": 1.0}):
        model = compiled([layers.Dense(9, "tanh", **options), layers.Dense(1)], loss="mse", optimizer="adamw", seed=1)
        model.fit(x, y, epochs=2, verbose=0)
        found.append(model.get_weights())
    assert same_bits(*found)


def test_a_multiplier_is_a_rate():
    """Twice the factor is twice the rate: the same bits, as both are products with a power of two."""
    x, y = blobs()
    found = []
    for rate, factor in ((0.02, 2.0), (0.04, 1.0)):
        stack = [
            layers.Dense(9, "tanh", learning_rate_multiplier=factor),
            layers.BatchNormalization(learning_rate_multiplier={"gamma": factor, "beta": factor}),
            layers.Dense(1, learning_rate_multiplier=factor),
        ]
        model = compiled(stack, loss="mse", optimizer=optimizers.AdamW(rate, weight_decay=0.1), seed=1)
        model.fit(x, y, epochs=2, verbose=0)
        found.append(model.get_weights())
    assert same_bits(*found)


def test_multipliers_in_files_and_as_values(tmp_path):
    layer = layers.Dense(3, learning_rate_multiplier={"bias": 0.1}, weight_decay_multiplier=2)
    assert layer == layers.Dense(3, learning_rate_multiplier={"bias": 0.1}, weight_decay_multiplier=2.0)
    assert hash(layer) == hash(layers.Dense(3, learning_rate_multiplier={"bias": 0.1}, weight_decay_multiplier=2.0))
    assert layers.get(json.loads(json.dumps(layer.to_config()))) == layer
    assert repr(layer).endswith("learning_rate_multiplier={'bias': 0.1}, weight_decay_multiplier=2.0)")
    assert not {"learning_rate_multiplier", "kernel_constraint"} & set(layers.Dense(3).to_config())
    with pytest.raises(TypeError, match="cannot change"):
        layer.learning_rate_multiplier["kernel"] = 2.0
    model = compiled([layer], loss="mse")
    x, y = blobs()
    y = np.tile(y.reshape(len(x), 1), 3)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "net.safetensors")
    for copy in (fr.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(model))):
        assert copy.layers[0].learning_rate_multiplier == {"bias": 0.1}
        copy.fit(x, y, verbose=0)


BAD_MULTIPLIERS = [
    (lambda: layers.Dense(1, learning_rate_multiplier=-1), ValueError, "must be >= 0, got -1"),
    (lambda: layers.Dense(1, learning_rate_multiplier="2"), TypeError, "learning_rate_multiplier must be a number"),
    (lambda: layers.Dense(1, weight_decay_multiplier={}), ValueError, "must be a number, or a number for a weight"),
    (lambda: layers.Dense(1, weight_decay_multiplier={3: 1.0}), TypeError, "must be a string, got 3"),
    (lambda: layers.Dense(1, weight_decay_multiplier={"bias": float("nan")}), ValueError, "must be >= 0, got nan"),
    (lambda: layers.Dropout(0.5, learning_rate_multiplier=2), ValueError, "must be 1, as the layer has no weights"),
    (
        lambda: layers.Residual([layers.Dense(2)], weight_decay_multiplier=2),
        ValueError,
        "must be 1, as the layer has no",
    ),
    (
        lambda: fr.Sequential([layers.Dense(1, learning_rate_multiplier={"gamma": 1.0})]).build((None, 2)),
        ValueError,
        "learning_rate_multiplier must name weights of the layer, which are kernel, bias, got gamma",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD_MULTIPLIERS)
def test_bad_multipliers(make, error, message):
    with pytest.raises(error, match=message):
        make()
