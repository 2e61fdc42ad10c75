"""Every loss and its gradient against Keras or PyTorch in float64, or SciPy's and scikit-learn's formulas: independent
implementations. A table over the registry; no loss is without one."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import reference as ref
from cases import LOSS_CASES
from fastreg import losses, ops
from pairs import targets
from test_losses import LOSSES, loss_case

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
pytestmark = pytest.mark.peer
functional = torch.nn.functional


def of_keras(name):
    """Keras's function of a row, in float64 on JAX: (value of each row, gradient of their sum)."""
    row = LOSSES[name]
    kind = getattr(keras.losses, type(row).__name__)
    given = {field: getattr(row, field) for field in [one.name for one in fields(row)]}
    given = {field: value[0] if isinstance(value, tuple) else value for field, value in given.items()}
    loss = kind(**given, reduction="none", dtype="float64")

    def values(y, t):
        with jax.enable_x64(True):
            y, t = jax.numpy.asarray(np.asarray(y, np.float64)), np.asarray(t, np.float64)
            return np.asarray(loss(t, y)), np.asarray(jax.grad(lambda y: loss(t, y).sum())(y))

    return values


def of_torch(function):
    def values(y, t):
        y = torch.tensor(np.asarray(y, np.float64), requires_grad=True)
        rows = function(y, torch.tensor(np.asarray(t, np.float64)))
        rows.sum().backward()
        return rows.detach().numpy(), y.grad.numpy()

    return values


def tweedie(power):
    """The unit deviance as scikit-learn's mean_tweedie_deviance writes it."""

    def rows(y, t):
        if power == 1.0:
            d = torch.xlogy(t, t / y) - t + y
        elif power == 2.0:
            d = torch.log(y / t) + t / y - 1.0
        else:
            d = t ** (2 - power) / ((1 - power) * (2 - power)) - t * y ** (1 - power) / (1 - power)
            d = d + y ** (2 - power) / (2 - power)
        return 2.0 * d.mean(dim=1)

    return rows


def pinball(quantiles):
    def rows(y, t):
        parts = y.reshape(len(y), len(quantiles), -1)
        error = t[:, None, :] - parts
        q = torch.tensor(quantiles, dtype=torch.float64)[None, :, None]
        return torch.maximum(q * error, (q - 1.0) * error).mean(dim=(1, 2))

    return rows


def gaussian(full, epsilon):
    def rows(y, t):
        mean, spread = y.chunk(2, dim=1)
        return functional.gaussian_nll_loss(mean, t, spread.exp(), full=full, eps=epsilon, reduction="none").mean(dim=1)

    return rows


def peer_of(name):
    row = LOSSES[name]
    if isinstance(row, ref_kind("Tweedie")):
        return of_torch(tweedie(row.power))
    if isinstance(row, ref_kind("Quantile")):
        return of_torch(pinball(row.quantiles))
    if isinstance(row, ref_kind("GaussianNLL")):
        return of_torch(gaussian(row.full, row.epsilon))
    return of_keras(name)


def ref_kind(name):
    return next(type(row) for row in LOSSES.values() if type(row).__name__ == name)


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients(name, rng):
    """On outputs and targets within the range of all; ties and clip bounds are apart."""
    loss = LOSSES[name]
    y, t = loss_case(loss, 40, 5, rng)
    if loss.far_from_zero:
        t = targets(loss, 40, 5, rng)
    values, dy, _ = ops.loss(LOSS_CASES[name].made, y, t)
    expected, gradient = peer_of(name)(y, t)
    np.testing.assert_allclose(values, expected, rtol=2e-5, atol=5e-6)
    size = np.abs(gradient).max()
    np.testing.assert_allclose(40 * dy, gradient, rtol=1e-4, atol=2e-5 * max(size, 1.0))


def test_scikit_learn_has_the_same_deviance_and_pinball(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    y, t = np.exp(rng.normal(size=(50, 1))), np.exp(rng.normal(size=(50, 1)))
    for power in (1.0, 1.3, 1.5, 2.0):
        assert float(losses.Tweedie(power)(t, y)) == pytest.approx(
            metrics.mean_tweedie_deviance(t.ravel(), y.ravel(), power=power), rel=1e-5
        )
    for q in (0.1, 0.5, 0.9):
        assert float(losses.Quantile(q)(t, y)) == pytest.approx(metrics.mean_pinball_loss(t, y, alpha=q), rel=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None])
@pytest.mark.parametrize("ignored", [None, 2])
def test_reductions_with_weights(reduction, ignored, rng):
    y, t = rng.dirichlet(np.ones(4), 12).astype(np.float32), rng.integers(0, 4, 12)
    weight = rng.uniform(0.0, 2.0, 12)
    mine = losses.SparseCategoricalCrossentropy(ignore_class=ignored, reduction=reduction)
    theirs = keras.losses.SparseCategoricalCrossentropy(ignore_class=ignored, reduction=reduction)
    for weights in (None, weight):
        expected = np.asarray(theirs(t.astype(np.float32), y, sample_weight=weights))
        np.testing.assert_allclose(mine(t, y, sample_weight=weights), expected, rtol=1e-5, atol=1e-6)


def test_the_table_is_the_registry():
    assert {type(case.made) for case in LOSS_CASES.values()} == set(losses._REGISTRY.types)
    assert ref.LOSSES is LOSSES
