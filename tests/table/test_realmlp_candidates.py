"""Candidates of RealMLP's design: the network that the paper describes, and where they are tried."""

import numpy as np
import pytest
from fastreg.table import Candidate, Recipe, Target
from fastreg.table.candidates import LINEAR, REALMLP_S, neighbour
from fastreg.table.networks import network
from helpers.recipes import TINY

CLASSES, NUMBERS = REALMLP_S
TARGETS = {"binary": Target("y", ("a", "b")), "multiclass": Target("y", ("a", "b", "c")), "regression": Target("y")}


def candidate_of(task):
    return NUMBERS if task == "regression" else CLASSES


@pytest.mark.parametrize("task", TARGETS)
def test_it_begins_as_published(task):
    model = network(TARGETS[task], candidate_of(task), 0, 400)
    model.build(400)
    scale, *dense, kernel, bias = model.get_weights()
    np.testing.assert_array_equal(scale, np.ones(400))
    assert [w.shape for w in dense[::2]] == [(400, 256), (256, 256), (256, 256)]
    for w, b in zip(dense[::2], dense[1::2], strict=True):
        assert np.std(w) * np.sqrt(len(w)) == pytest.approx(1.0, rel=0.02)  # 65,536 draws at least
        assert abs(np.mean(w)) * np.sqrt(len(w)) < 0.02
        assert np.abs(w).max() * np.sqrt(len(w)) > 3.5, "it is not truncated"
        assert 0.8 < np.std(b) < 1.2
    assert not kernel.any()
    assert not bias.any()
    assert [layer.activation for layer in model.layers[1:4]] == ["mish" if task == "regression" else "selu"] * 3
    assert model.optimizer.beta_2 == pytest.approx(0.95)


def test_under_adam_it_is_the_neural_tangent_parametrisation(rng):
    """Each step of Adam is compared with weights from N(0, 1) that are divided by the root of the inputs."""
    n, d, units = 64, 9, 5
    candidate = Candidate(0, units, 2, "mish", 0.0, 0.0, 0.07, 40, n, "realmlp", "regression")
    model = network(TARGETS["regression"], candidate, 3, d)
    model.build(d)
    x, y = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=n).astype(np.float32)
    roots = [1.0, *(value for inputs in (d, units, units) for value in (inputs**-0.5, 1.0))]
    factors = [6.0, *[1.0, 0.1] * 3]
    free = [w.astype(np.float64) / root for w, root in zip(model.get_weights(), roots, strict=True)]

    def gradients(weights):
        from fastreg.activations import mish

        s, w1, b1, w2, b2, w3, b3 = (w * root for w, root in zip(weights, roots, strict=True))
        z1 = (x * s) @ w1 + b1
        a1 = np.asarray(mish(z1.astype(np.float32)), np.float64)
        z2 = a1 @ w2 + b2
        a2 = np.asarray(mish(z2.astype(np.float32)), np.float64)
        dz = 2 * ((a2 @ w3 + b3)[:, :1] - y[:, None]) / n

        def slope(z):
            t = np.tanh(np.logaddexp(0, z))
            return t + z * (1 - t**2) / (1 + np.exp(-z))

        d3 = dz
        d2 = (d3 @ w3.T) * slope(z2)
        d1 = (d2 @ w2.T) * slope(z1)
        found = [((d1 @ w1.T) * x).sum(0), (x * s).T @ d1, d1.sum(0), a1.T @ d2, d2.sum(0), a2.T @ d3, d3.sum(0)]
        return [g * root for g, root in zip(found, roots, strict=True)]

    steps = 5
    model.fit(x, y, batch_size=n, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
    first = [np.zeros_like(w) for w in free]
    second = [np.zeros_like(w) for w in free]
    for t in range(steps):
        lr = 0.5 * 0.07 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t / steps)))
        for k, g in enumerate(gradients(free)):
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.95 * second[k] + 0.05 * g**2
            unit = first[k] / (1 - 0.9 ** (t + 1))
            unit = unit / (np.sqrt(second[k] / (1 - 0.95 ** (t + 1))) + 1e-7 * roots[k])
            free[k] = free[k] - lr * factors[k] * unit
    for found, w, root in zip(model.get_weights(), free, roots, strict=True):
        np.testing.assert_allclose(found, w * root, rtol=0, atol=20 * np.finfo(np.float32).eps)


def test_it_is_tried_on_its_task_alone():
    recipe = Recipe(small=(TINY[0], *REALMLP_S), trials=2)
    assert recipe.candidates(100, "classification") == (LINEAR, TINY[0], CLASSES)
    assert recipe.candidates(100, "regression") == (LINEAR, TINY[0], NUMBERS)
    assert recipe.listed(100) == (TINY[0], *REALMLP_S)


def test_its_neighbours_keep_the_design_and_its_rates():
    rng, tried = np.random.default_rng(0), [CLASSES]
    for _ in range(40):
        found = neighbour([CLASSES], tried, rng)
        assert (found.design, found.task, found.decay) == ("realmlp", "classification", 0.0)
        assert 0.01 <= found.rate <= 0.1
        tried.append(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"design": "tabm"}, "Candidate: unknown design 'tabm'; known: plain, realmlp"),
        ({"task": "binary"}, "Candidate: unknown task 'binary'; known: classification, regression"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Candidate(**change)
