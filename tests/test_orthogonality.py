"""The penalty for orthogonal rows or columns, against the oracle and in closed form; and shares of exact zeros."""

from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from conftest import EPS
from fastreg import layers, optimizers, regularizers
from formulas.penalties import Options, Orthogonality, Penalty
from pairs import build_pair
from programs import blobs, compiled, same_bits

MODES = ("rows", "columns")
SHAPES = [(2, 1), (1, 2), (1, 1), (5, 9), (33, 17), (130, 70), (70, 130)]


def evaluated(kernel, penalty):
    """The loss of a network without any other loss."""
    model = fr.Sequential([layers.Dense(kernel.shape[1], kernel_regularizer=penalty)], seed=0)
    model.compile("sgd", "mse")
    model.build(kernel.shape[0])
    model.set_weights([kernel, np.zeros(kernel.shape[1])])
    return model.evaluate(np.zeros((1, kernel.shape[0])), np.zeros((1, kernel.shape[1])), verbose=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_value(shape, mode, rng):
    kernel = rng.normal(size=shape).astype(np.float32)
    loss = evaluated(kernel, regularizers.OrthogonalRegularizer(2.0, mode))
    assert loss == pytest.approx(Orthogonality(2.0, mode).value(kernel.astype(np.float64)), rel=64 * EPS, abs=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_closed_forms(mode):
    assert evaluated(np.eye(4), regularizers.OrthogonalRegularizer(2.0, mode)) == 0.0
    assert evaluated(np.ones((4, 4)), regularizers.OrthogonalRegularizer(2.0, mode)) == pytest.approx(2.0)
    assert evaluated(np.zeros((4, 4)), regularizers.OrthogonalRegularizer(2.0, mode)) == 0.0


def test_the_oracle_has_the_gradient_of_its_value(rng):
    for mode in MODES:
        for scale in (1.0, 3e-8, 3e-10):  # of one row and one column
            penalty, w, d = Orthogonality(2.0, mode), rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
            for values in (w, d):
                values[2] *= scale
                values[:, 3] *= scale
            slope = (penalty.value(w + 1e-6 * d) - penalty.value(w - 1e-6 * d)) / 2e-6
            assert slope == pytest.approx((penalty.gradient(w) * d).sum(), rel=1e-6)


OPTIMIZERS = {
    "sgd": ref.SGD(0.1, 0.9),
    "clipped": ref.SGD(0.1, 0.9, clip=("global_clipnorm", 0.3)),
    "accumulated": ref.SGD(0.1, 0.9, options=Options(gradient_accumulation_steps=3)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_of_fifty_steps(optimizer, mode, rng):
    stack = [("dense", 19, "tanh", {"kernel": Orthogonality(0.5, mode), "bias": Penalty(0.01, 0.0)}), ("dense", 2)]
    model, net = build_pair(stack, 7, rng, optimizer=OPTIMIZERS[optimizer])
    x, y = rng.normal(size=(40, 7)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    options = {"batch_size": 8, "epochs": 10, "shuffle": False, "verbose": 0, "validation_data": (x, y)}
    history = model.fit(x, y, **options).history
    np.testing.assert_allclose(history["loss"], net.fit(x, y, 10, 8), rtol=1e-4)
    np.testing.assert_allclose(history["val_loss"][-1], net.evaluate(x, y), rtol=1e-4)
    for mine, oracle in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(mine, oracle, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [1e-20, 3e-8, 5e-7, 1.0])
def test_the_gradient_of_a_vector_of_any_length(size, mode, rng):
    """A vector below 1e-7 is divided by that, as in Keras, so its gradient has a part along the vector, too."""
    kernel = rng.normal(size=(4, 4)).astype(np.float32)
    kernel[2] *= np.float32(size / np.linalg.norm(kernel[2]))
    kernel = kernel if mode == "rows" else kernel.T.copy()
    expected = Orthogonality(1.0, mode).gradient(kernel.astype(np.float64))
    rate = 0.1 * float(np.abs(kernel).max() / np.abs(expected).max())
    penalty = regularizers.OrthogonalRegularizer(1.0, mode)
    model = fr.Sequential([layers.Dense(4, kernel_regularizer=penalty)], seed=0)
    model.compile(optimizers.SGD(rate), "mse")
    model.build(4)
    model.set_weights([kernel, np.zeros(4)])
    model.fit(np.zeros((1, 4)), np.zeros((1, 4)), verbose=0)
    moved = (kernel.astype(np.float64) - model.get_weights()[0]) / rate
    np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-6 * float(np.abs(kernel).max()) / rate)


def test_it_makes_columns_orthogonal():
    x, y = blobs()
    stack = [layers.Dense(6, kernel_regularizer=regularizers.OrthogonalRegularizer(100.0, "columns")), layers.Dense(1)]
    model = compiled(stack, loss="mse", optimizer=optimizers.Adam(0.01), seed=1)
    model.fit(x, y, epochs=60, verbose=0)
    columns = model.get_weights()[0]
    columns = columns / np.linalg.norm(columns, axis=0)
    assert np.abs(columns.T @ columns - np.eye(6)).max() < 0.05


def test_results_do_not_depend_on_threads():
    x, y = blobs(64, 90, 2)
    found, before = {}, fr.get_num_threads()
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            for mode in MODES:
                penalty = regularizers.OrthogonalRegularizer(0.5, mode)
                stack = [layers.Dense(150, "relu", kernel_regularizer=penalty), layers.Dense(1)]
                model = compiled(stack, loss="mse", optimizer=optimizers.Adam(0.01), seed=1)
                model.build(90)
                model._core.trainer_for(None).parallel_threshold = 0.0
                losses = model.fit(x, y, epochs=2, verbose=0).history["loss"]
                found.setdefault(mode, []).append([*model.get_weights(), np.array(losses)])
    finally:
        fr.set_num_threads(before)
    for mode, (one, *others) in found.items():
        assert all(same_bits(one, other) for other in others), mode


def test_files_keep_it(tmp_path):
    x, y = blobs()
    made = regularizers.OrthogonalRegularizer(0.5, "columns")
    whole, half = (
        compiled([layers.Dense(9, kernel_regularizer=made), layers.Dense(1)], loss="mse", seed=1) for _ in range(2)
    )
    whole.fit(x, y, epochs=4, verbose=0)
    half.fit(x, y, epochs=2, verbose=0)
    half.save(tmp_path / "net.safetensors")
    loaded = fr.load(tmp_path / "net.safetensors")
    assert loaded.layers[0].kernel_regularizer == made != regularizers.OrthogonalRegularizer(0.5)
    loaded.fit(x, y, epochs=2, verbose=0)
    assert same_bits(loaded.get_weights(), whole.get_weights())


BAD = [
    (lambda: regularizers.OrthogonalRegularizer(-1), "factor must be >= 0, got -1"),
    (lambda: regularizers.OrthogonalRegularizer(mode="diagonals"), "unknown mode 'diagonals'; known: columns, rows"),
    (
        lambda: fr.Sequential([layers.Dense(3, bias_regularizer="orthogonal_regularizer")]).build((None, 2)),
        r"layer \(Dense\): bias_regularizer must not be OrthogonalRegularizer, which is for matrices only",
    ),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sparsity_is_the_share_of_exact_zeros():
    model = fr.Sequential([layers.Dense(4, name="first"), layers.BatchNormalization(name="norm"), layers.Dense(1)])
    model.build(2)
    weights = model.get_weights()
    weights[0] = np.array([[0.0, 1.0, -0.0, 2.0], [3.0, 1e-30, 0.0, 1.0]])
    model.set_weights(weights)
    found = model.sparsity()
    assert list(found)[:3] == ["all", "first/kernel", "first/bias"]
    assert found["first/kernel"] == 3 / 8
    assert (found["first/bias"], found["norm/gamma"]) == (1.0, 0.0)
    assert "norm/moving_mean" not in found, "it is no weight that training sets to zero"
    trained = [w for w, path in zip(model.get_weights(), [w.path for w in model.weights], strict=True) if path in found]
    assert found["all"] == sum((w == 0.0).sum() for w in trained) / sum(w.size for w in trained)
    with pytest.raises(ValueError, match="sparsity: the model is not built"):
        fr.Sequential([layers.Dense(1)]).sparsity()
