"""While members of a blend are trained on all rows, their features are in memory once, and those of trials are not."""

import gc

import numpy as np
import pytest
from fastreg.table import Candidate, Recipe, blending, members, training
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.training import Encoded
from helpers.recipes import rows_of

CANDIDATES = tuple(Candidate(bins=bins, width=32, rate=0.01, steps=60, activation="relu") for bins in (0, 4, 8))


def cooked(rows):
    recipe = Recipe(small=CANDIDATES, large=CANDIDATES, trials=3, folds=2, members=3)
    return blending.cook(rows, recipe, ChosenMetric(rows.target, None), 3, 1)


def test_features_of_trials_and_of_other_members_are_given_back(monkeypatch):
    table, schema, rows = rows_of("regression")
    expected = cooked(rows)
    alive, train = [], members.train

    def counted(rows, encoded, *arguments, **more):
        gc.collect()
        alive.append([found for found in gc.get_objects() if isinstance(found, Encoded) and found is not encoded])
        return train(rows, encoded, *arguments, **more)

    monkeypatch.setattr(training, "_MOST_BYTES", 0)
    monkeypatch.setattr(training, "_RESTING_BYTES", 0)
    monkeypatch.setattr(members, "train", counted)
    found = cooked(rows)
    assert len(alive) == len(found.members_) > 1
    assert alive == [[]] * len(alive)
    outputs = [one.of_table(schema, rows.target).outputs(table) for one in (expected, found)]
    np.testing.assert_array_equal(*outputs)


def test_small_features_stay_for_further_candidates():
    rows = rows_of("regression")[2]
    features = training.Features(rows, [np.arange(len(rows.y))])
    first = features.get(0, CANDIDATES[0])
    features.rest()
    assert features.get(0, CANDIDATES[0]) is first


@pytest.mark.parametrize("features", [np.ones((4, 2), np.float32), [np.ones((4, 2), np.float32)] * 2])
def test_all_rows_are_not_copied(features):
    assert Encoded(None, features).of(None) is features
