"""Metrics that compare with a variance, where numbers are equal or agree in all digits but the last of float32."""

from __future__ import annotations

import math
from fractions import Fraction

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, metrics, optimizers

KINDS = {
    "r2": (metrics.R2Score, lambda m: 1 - m["ee"] / m["tt"]),
    "explained": (metrics.ExplainedVariance, lambda m: 1 - m["dd"] / m["tt"]),
    "pearson": (lambda: metrics.PearsonCorrelation(axis=0), lambda m: float(m["ty"]) / math.sqrt(m["tt"] * m["yy"])),
    "concordance": (
        lambda: metrics.ConcordanceCorrelation(axis=0),
        lambda m: 2 * m["ty"] / (m["tt"] + m["yy"] + m["shift"] ** 2),
    ),
}


def moments(t, y, w):
    """Weighted means of squares and products about the means, in integers, so that nothing is rounded."""
    scale = 2**60
    t, y, w = ([int(float(v) * scale) for v in np.ravel(values)] for values in (t, y, w))
    whole, values = sum(w), {"t": t, "y": y, "d": [a - b for a, b in zip(y, t, strict=True)]}

    def mean(*factors):
        terms = zip(w, *factors, strict=True)
        return Fraction(sum(math.prod(term) for term in terms), whole * scale ** len(factors))

    pairs = ("tt", "yy", "ty", "dd")
    found = {a + b: mean(values[a], values[b]) - mean(values[a]) * mean(values[b]) for a, b in pairs}
    return found | {"ee": mean(values["d"], values["d"]), "shift": mean(values["d"])}


def measured(kind, t, y, w=None, parts=1):
    metric = KINDS[kind][0]()
    for rows in np.array_split(np.arange(len(t)), parts):
        metric.update_state(t[rows], y[rows], None if w is None else w[rows])
    return float(metric.result())


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("spread", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 3e-7, 1.2e-7])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_lie_close_together(kind, spread, weighted, rng):
    """The last spread is one unit in the last place of the numbers."""
    t = (1000.0 * (1.0 + spread * rng.normal(size=(300, 1)))).astype(np.float32)
    y = (t + 500.0 * spread * rng.normal(size=t.shape)).astype(np.float32)
    w = rng.random(300).astype(np.float32) if weighted else None
    expected = float(KINDS[kind][1](moments(t, y, np.ones(300) if w is None else w)))
    for parts in (1, 7):
        assert measured(kind, t, y, w, parts) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_many_equal_targets_have_no_variance():
    """The rounding of four million additions is no spread: it would make a score of millions."""
    t = np.full((4_000_000, 1), 123.456, np.float32)
    y = t * np.float32(1.001)
    y[::2] = t[::2]
    assert measured("r2", t, y) == measured("explained", t, y) == measured("concordance", t, y) == 0.0
    assert math.isnan(measured("pearson", t, y))


def test_one_number_that_differs_in_its_last_digit():
    t = np.full((100_000, 1), 0.7, np.float32)
    t[77] = np.nextafter(t[77], np.float32(1))
    y = np.full_like(t, 0.7)
    n = len(t)
    # The squared error is that of this row; its mean square about the mean is (1 - 1 / n) / n of it.
    assert measured("r2", t, y) == pytest.approx(1.0 - 1.0 / (1.0 - 1.0 / n), rel=1e-6)
    assert measured("explained", t, y) == pytest.approx(0.0, abs=1e-9)
    assert measured("pearson", t, t) == pytest.approx(1.0, rel=1e-9)
    y = t.copy()
    y[78] = t[77]
    assert measured("pearson", t, y) == pytest.approx(math.sqrt((1 - 2 / n) / (2 * (1 - 1 / n))), rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_in_fits_and_evaluations(weighted, rng):
    """Blocks of rows and batches are added up with the same digits."""
    x = rng.integers(0, 40, size=(700, 1)).astype(np.float32)
    t = (1000.0 + x * 2.0**-14).astype(np.float32)
    w = rng.random(700).astype(np.float32) if weighted else None
    given = [make() for make, _ in KINDS.values()]
    model = fr.Sequential([fr.Input((1,)), layers.Dense(1)], seed=0)
    model.compile(optimizers.SGD(1e-30), "mse", **{"weighted_metrics" if weighted else "metrics": given})
    model.set_weights([np.float32([[3.0 * 2.0**-15]]), np.float32([1000.0])])
    y = model.predict(x, verbose=0)
    found = moments(t, y, np.ones(700) if w is None else w)
    expected = [float(of(found)) for _, of in KINDS.values()]
    evaluated = model.evaluate(x, t, sample_weight=w, batch_size=90, verbose=0)[1:]
    np.testing.assert_allclose(evaluated, expected, rtol=1e-6)
    history = model.fit(x, t, sample_weight=w, batch_size=64, verbose=0).history
    np.testing.assert_allclose([values[0] for name, values in history.items() if name != "loss"], expected, rtol=1e-6)
