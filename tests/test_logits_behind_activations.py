"""Losses that are computed from logits, behind a last layer with an activation: its backward pass needs its own output.

Such a loss writes probabilities over the logits, which the derivative of the activation must not read.
"""

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from fastreg import layers, losses, optimizers

# A network that ends in a sigmoid has no logits, and the loss says so.
CASES = [
    (activation, form)
    for activation in sorted(set(ref.ELEMENTWISE) - {"linear"})
    for form in ("from_logits", "head")
    if (activation, form) != ("sigmoid", "from_logits")
]


def stack(activation, form, units):
    """A last layer whose outputs are logits, by the loss or by an activation behind it."""
    last = layers.Dense(units, activation, use_bias=False)
    head = layers.Activation("sigmoid" if units == 1 else "softmax")
    return [layers.Input(5), last, head] if form == "head" else [layers.Input(5), last]


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize(("activation", "form"), CASES)
def test_the_gradient_is_that_of_the_loss(activation, form, units, rng):
    x = rng.normal(size=(16, 5)).astype(np.float32)
    labels = rng.integers(0, max(units, 2), 16)
    kind = losses.BinaryCrossentropy if units == 1 else losses.SparseCategoricalCrossentropy
    model = fr.Sequential(stack(activation, form, units), seed=1)
    model.compile(optimizers.SGD(1.0), kind(from_logits=form == "from_logits"))
    w = model.get_weights()[0].astype(np.float64)
    model.fit(x, labels, batch_size=16, epochs=1, shuffle=False, verbose=0)
    gradient = w - model.get_weights()[0]

    x = x.astype(np.float64)
    z = x @ w
    logits, slope = ref.ELEMENTWISE[activation].of(z), ref.ELEMENTWISE[activation].derivative(z)
    target = labels[:, None] if units == 1 else np.eye(units)[labels]
    probabilities = ref.activation_forward("sigmoid" if units == 1 else "softmax", logits)
    expected = x.T @ ((probabilities - target) * slope) / 16
    scale = np.abs(x).T @ np.abs(slope) / 16 + np.abs(w)
    np.testing.assert_array_less(np.abs(gradient - expected), (16 + 5) * np.finfo(np.float32).eps * scale)
