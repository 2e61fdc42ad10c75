"""Penalties of weights and outputs whose squares float32 cannot hold: fits and evaluations have them in the loss."""

from __future__ import annotations

import numpy as np
import pytest
from fastreg import layers, optimizers, regularizers
from programs import compiled

SIZES = (1.0, 1e15, 1e18, 1e19, 1e20, 1e30)


def linear(size, rng, **options):
    """A model without data loss, whose kernel is larger than a chunk of the optimizer, and its kernel."""
    layer = layers.Dense(200, use_bias=False, kernel_regularizer=regularizers.L1L2(0.25, 0.5))
    model = compiled([layer], loss="mse", n_features=300, **options)
    kernel = (size * rng.normal(size=(300, 200))).astype(np.float32)
    model.set_weights([kernel])
    return model, kernel


def penalty(kernel):
    w = kernel.astype(np.float64)
    return 0.25 * np.abs(w).sum() + 0.5 * (w * w).sum()


def fitted_loss(model, epochs=1, batch_size=None):
    x, y = np.zeros((6, 300), np.float32), np.zeros((6, 200), np.float32)
    return model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0).history["loss"]


WAYS = {
    "sgd": lambda: optimizers.SGD(1e-3),
    "momentum": lambda: optimizers.SGD(1e-3, momentum=0.9),
    "adam": lambda: optimizers.Adam(1e-3),
    "adagrad": lambda: optimizers.Adagrad(1e-3),
    "clipped by value": lambda: optimizers.SGD(1e-3, clipvalue=0.1),
    "clipped by norm": lambda: optimizers.SGD(1e-3, global_clipnorm=1e3),
    "accumulating": lambda: optimizers.SGD(1e-3, gradient_accumulation_steps=4),
    "averaging": lambda: optimizers.SGD(1e-3, use_ema=True),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_the_loss_has_the_penalty_of_weights_of_every_size(way, size, rng):
    """Also where the weights are set between two fits, and in the second epoch, whose weights are nearly the same."""
    model, kernel = linear(size, rng, optimizer=WAYS[way]())
    expected = penalty(kernel)
    np.testing.assert_allclose(model.evaluate(np.zeros((6, 300)), np.zeros((6, 200)), verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(fitted_loss(model, 2), expected, rtol=0.01)
    small = np.full((300, 200), 0.5, np.float32)
    for again in (small, kernel, small, kernel):
        model.set_weights([again])
        np.testing.assert_allclose(fitted_loss(model), penalty(again), rtol=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e18, 1e20])
def test_weights_that_grow_during_a_fit(size, rng):
    """A step takes them across the largest number whose square float32 holds, and back."""
    model, kernel = linear(size, rng, optimizer=optimizers.SGD(11.0))
    losses, w = [], kernel.astype(np.float64)
    for _ in range(6):
        losses.append(penalty(w))
        w = w - 11.0 * (w + 0.25 * np.sign(w))
    np.testing.assert_allclose(fitted_loss(model, 6), losses, rtol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_the_loss_has_the_penalty_of_outputs_of_every_size(size, rng):
    """Outputs are penalised by the layer that makes them."""
    layer = layers.Dense(70, use_bias=False, activity_regularizer=regularizers.L1L2(0.25, 0.5))
    model = compiled([layer, layers.Rescaling(0.0)], loss="mse", n_features=3, optimizer=optimizers.SGD(1e-30))
    x, y = rng.normal(size=(5, 3)).astype(np.float32), np.zeros((5, 70), np.float32)
    kernel = (size * rng.normal(size=(3, 70))).astype(np.float32)
    model.set_weights([kernel])
    expected = penalty(x.astype(np.float64) @ kernel.astype(np.float64)) / len(x)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(model.fit(x, y, verbose=0).history["loss"], [expected], rtol=1e-5)
