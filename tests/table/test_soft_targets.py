"""Probabilities as targets: their loss and temperature, and networks that learn them."""

from dataclasses import replace

import numpy as np
import pytest
from fastreg.table import Recipe
from fastreg.table.blending import cook
from fastreg.table.calibration import fit_temperature, tempered
from fastreg.table.candidates import Candidate
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.training import Encoded, train
from helpers.recipes import TINY, rows_of


def soft(shares):
    """Probabilities of classes as targets have them."""
    return shares[:, 1].copy() if shares.shape[1] == 2 else shares


def outputs_of(shares):
    return shares[:, 1:] if shares.shape[1] == 2 else shares


@pytest.mark.parametrize("classes", [2, 3])
class TestLossAndTemperature:
    def test_the_loss_is_the_cross_entropy(self, rng, classes):
        _, _, rows = rows_of("binary" if classes == 2 else "multiclass")
        truth, found = (rng.dirichlet(np.ones(classes), 50).astype(np.float32) for _ in range(2))
        chosen = ChosenMetric(rows.target)
        weights = rng.uniform(size=50)
        own = soft(truth)
        parts = chosen.parts(outputs_of(found), own)
        expected = -np.sum(truth.astype(np.float64) * np.log(found.astype(np.float64)), axis=1)
        for given in (None, weights):
            loss = chosen.loss(parts.astype(np.float64), own, given)
            assert loss == pytest.approx(np.average(expected, weights=given), rel=1e-5)

    def test_ones_and_zeros_are_classes(self, rng, classes):
        _, _, rows = rows_of("binary" if classes == 2 else "multiclass")
        found = outputs_of(rng.dirichlet(np.ones(classes), 50).astype(np.float32))
        labels = rng.integers(0, classes, 50)
        chosen, own = ChosenMetric(rows.target), soft(np.eye(classes, dtype=np.float32)[labels])
        losses = [chosen.loss(chosen.parts(found, y).astype(np.float64), y, None) for y in (labels, own)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-6)
        assert fit_temperature(found, labels) == pytest.approx(fit_temperature(found, own), rel=1e-6)

    def test_the_temperature_is_found_again(self, rng, classes):
        shares = rng.dirichlet(np.ones(classes), 200).astype(np.float32)
        found = outputs_of(np.clip(shares, 0.02, 1.0) / np.clip(shares, 0.02, 1.0).sum(axis=1, keepdims=True))
        cooler = tempered(found, 2.5)
        own = cooler[:, 0] if classes == 2 else cooler
        assert fit_temperature(found, own) == pytest.approx(2.5, rel=1e-3)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_network_learns_ones_and_zeros_as_it_learns_classes(task):
    _, _, rows = rows_of(task)
    candidate = Candidate(bins=4, width=8, rate=0.02, steps=50, dropout=0.0)
    encoder = rows.encoder(candidate, len(rows.y)).fit(rows.codes)
    encoded = Encoded(encoder, encoder.transform(rows.codes))
    own = replace(rows, y=soft(np.eye(len(rows.target.labels), dtype=np.float32)[rows.y]))
    assert own.is_soft
    assert not rows.is_soft
    hard, learned = (train(given, encoded, candidate, 3).predict(encoded.features, verbose=0) for given in (rows, own))
    np.testing.assert_allclose(learned, hard, atol=1e-3)
    other = replace(own, y=np.full_like(own.y, 1.0 / len(rows.target.labels)))
    flat = train(other, encoded, candidate, 3).predict(encoded.features, verbose=0)
    assert np.abs(flat - 1.0 / len(rows.target.labels)).mean() < 0.1 < np.abs(learned - flat).mean()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_blend_of_soft_targets_does_not_depend_on_threads(task):
    table, schema, rows = rows_of(task)
    count = len(rows.target.labels)
    rows = replace(rows, y=soft(0.8 * np.eye(count, dtype=np.float32)[rows.y] + 0.2 / count))
    recipe = Recipe(small=TINY, trials=3, folds=2)
    one, two = (cook(rows, recipe, ChosenMetric(rows.target), 3, jobs) for jobs in (1, 2))
    entropy = -(0.8 + 0.2 / count) * np.log(0.8 + 0.2 / count) - (count - 1) * 0.2 / count * np.log(0.2 / count)
    assert entropy < one.score_ < np.log(count)
    found = [blend.of_table(schema, rows.target).outputs(table) for blend in (one, two)]
    np.testing.assert_array_equal(found[0], found[1])
