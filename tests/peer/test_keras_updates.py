"""Optimizer options, constraints and initializers beside Keras's: trajectories of fifty steps from the same weights.

Keras's weight decay is for all weights, so that both are given the same exclusions. Its Adam places epsilon elsewhere;
SGD and Lion have the same formulas here. Where meanings differ (docs/differences.md) the difference is tested.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import warnings

import cases
import fastreg
import numpy as np
import pytest

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Keras's and JAX's own imports
    keras = pytest.importorskip("keras")

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
CHUNKS = 10  # fits of one epoch of five steps: fifty steps


def pair(optimizer, excluded=("gamma",), **dense):
    """A network of each library, with the same weights."""
    made = []
    for library in (fastreg, keras):
        given = {name: value(library) if callable(value) else value for name, value in dense.items()}
        layers = library.layers
        stack = [layers.Dense(9, activation="tanh", **given), layers.BatchNormalization(), layers.Dense(2)]
        model = library.Sequential([library.Input((6,)), *stack])
        chosen = optimizer(library.optimizers)
        if excluded is not None:
            chosen.exclude_from_weight_decay(var_names=list(excluded))
        model.compile(chosen, "mse")
        made.append(model)
    ours, theirs = made
    rng = np.random.default_rng(2)
    weights = [w if w.ndim == 1 and (w == 1.0).all() else rng.normal(size=w.shape) * 0.5 for w in ours.get_weights()]
    weights = [np.abs(w) + 0.5 if i == 5 else w for i, w in enumerate(weights)]  # a variance
    for model in made:
        model.set_weights([np.asarray(w, np.float32) for w in weights])
    return ours, theirs


def fit(model, epochs=CHUNKS):
    model.fit(X, Y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    return [np.asarray(w) for w in model.get_weights()]


def same(ours, theirs, tolerance=2e-4):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


OPTIONS = {
    "decay": {"weight_decay": 0.3},
    "decay and clipping": {"weight_decay": 0.1, "global_clipnorm": 0.5},
    "averages": {"use_ema": True, "ema_momentum": 0.9},
    "averages that overwrite": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    "accumulation": {"gradient_accumulation_steps": 3},
    "accumulation and clipping": {"gradient_accumulation_steps": 2, "clipnorm": 0.3, "weight_decay": 0.1},
}
RULES = {
    "SGD": lambda optimizers, **options: optimizers.SGD(0.05, momentum=0.9, **options),
    "Lion": lambda optimizers, **options: optimizers.Lion(0.003, **options),
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("rule", RULES)
def test_options_over_fifty_steps(rule, options):
    ours, theirs = pair(lambda optimizers: RULES[rule](optimizers, **OPTIONS[options]))
    same(fit(ours), fit(theirs), 2e-4 if rule == "SGD" else 2e-3)


@pytest.mark.parametrize("words", [["bias"], ["kernel", "beta"], []])
def test_exclusions(words):
    ours, theirs = pair(lambda optimizers: optimizers.SGD(0.05, weight_decay=0.5), words)
    same(fit(ours), fit(theirs))


def test_without_exclusions_keras_decays_biases_too():
    ours, theirs = pair(lambda optimizers: optimizers.SGD(1e-6, weight_decay=1e4), None)
    before = ours.get_weights()
    mine, their = fit(ours, 1), fit(theirs, 1)
    np.testing.assert_allclose(mine[0], their[0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(mine[1], before[1], atol=1e-4)
    np.testing.assert_allclose(their[1], before[1] * 0.99**5, rtol=1e-2, atol=1e-4)


def test_averages_after_two_fits():
    """Two fits are one long one, as the second continues from the weights that were averaged.

    Keras would continue from the averages; on JAX its second fit fails, since weights and averages are one buffer.
    """

    def optimizer(optimizers):
        return optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)

    (parts, theirs), (whole, _) = pair(optimizer), pair(optimizer)
    fit(parts, 5)
    same(fit(parts, 5), fit(theirs, 10))
    assert all(np.array_equal(a, b) for a, b in zip(parts.get_weights(), fit(whole, 10), strict=True))


@pytest.mark.parametrize("name", cases.CONSTRAINT_CASES)
def test_constraints_over_fifty_steps(name):
    made = cases.CONSTRAINT_CASES[name].made

    def of(library):
        return getattr(library.constraints, type(made).__name__)(
            **{key: value for key, value in made.to_config().items() if key != "type"}
        )

    ours, theirs = pair(lambda optimizers: optimizers.SGD(0.05, momentum=0.9), None, kernel_constraint=of)
    same(fit(ours), fit(theirs))


@pytest.mark.parametrize("name", ["max_norm", "non_neg", "unit_norm", "min_max_norm"])
def test_constraints_of_biases_by_name(name):
    ours, theirs = pair(lambda optimizers: optimizers.SGD(0.05), None, bias_constraint=name)
    same(fit(ours), fit(theirs))


@pytest.mark.parametrize("shape", [(50, 40), (20, 90)])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["normal", "untruncated_normal", "uniform"])
def test_variance_scaling_has_the_moments_of_keras(distribution, mode, shape):
    found = []
    for library in (fastreg, keras):
        chosen = library.initializers.VarianceScaling(2.0, mode, distribution)
        draws = []
        for seed in range(10):
            keras.utils.set_random_seed(seed)
            options = {"seed": seed} if library is fastreg else {}
            model = library.Sequential(
                [library.Input(shape[:1]), library.layers.Dense(shape[1], kernel_initializer=chosen)], **options
            )
            draws.append(np.asarray(model.get_weights()[0]))
        found.append(np.stack(draws))
    mine, their = found
    np.testing.assert_allclose(mine.std(), their.std(), rtol=0.04)
    np.testing.assert_allclose(np.abs(mine).max(), np.abs(their).max(), rtol=0.5 if "un" in distribution[:2] else 0.02)


@pytest.mark.parametrize("shape", [(7, 7), (5, 9), (9, 5)])
def test_identity_is_that_of_keras(shape):
    kernels = [
        library.Sequential(
            [
                library.Input(shape[:1]),
                library.layers.Dense(shape[1], kernel_initializer=library.initializers.Identity(2.0)),
            ]
        ).get_weights()[0]
        for library in (fastreg, keras)
    ]
    np.testing.assert_array_equal(*map(np.asarray, kernels))
