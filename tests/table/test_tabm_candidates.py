"""Candidates whose members share kernels: what they learn from, and the mean of plain networks that comes out."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fastreg.table import Candidate, Recipe, TableClassifier, TableRegressor, tabm
from fastreg.table.candidates import neighbour
from fastreg.table.networks import network
from fastreg.table.tabm import fit_members, mean_of_members
from fastreg.table.training import Encoded, Forecast, train
from helpers.recipes import TINY, rows_of

FEW = Candidate(bins=4, width=8, dropout=0.1, rate=0.02, steps=60, batch=16, design="tabm", members=3)
TASKS = ["binary", "multiclass", "regression"]


def encoded_of(rows, candidate=FEW):
    encoder = rows.encoder(candidate, len(rows.y)).fit(rows.codes)
    return Encoded(encoder, encoder.transform(rows.codes))


def by_members(model, features, members):
    """The outputs of the network that learns, (members, n, units)."""
    numbers = (np.full((len(features), 1), i, np.float32) for i in range(members))
    return np.stack([model.predict([features, number], verbose=0) for number in numbers])


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("task", TASKS)
def test_the_result_is_the_mean_of_the_members(task, layers):
    _, _, rows = rows_of(task)
    features = encoded_of(rows).features
    model = network(rows.target, replace(FEW, layers=layers), 3, features.shape[1])
    fit_members(model, features, rows.y, None, 3, 16, 40, seed=0)
    outputs = by_members(model, features, 3)
    found = mean_of_members(model)
    eps = np.finfo(np.float32).eps
    np.testing.assert_allclose(found.predict(features, verbose=0), outputs.mean(0), rtol=0, atol=500 * eps)
    np.testing.assert_allclose(found.freeze()(features), outputs.mean(0), rtol=0, atol=500 * eps)
    assert (np.abs(outputs[0] - outputs[1]) > 1e-3).any(), "members differ"


def test_one_member_is_a_plain_network():
    _, _, rows = rows_of("regression")
    found = train(rows, encoded_of(rows), replace(FEW, members=1), 3)
    assert [type(layer.description).__name__ for layer in found.layers] == ["Dense"] * 3


def pairs_of(n, members, batch=16, weights=None, width=2):
    given = {}
    model = SimpleNamespace(fit=lambda x, y, **options: given.update(x=x, y=y, **options))
    features = np.arange(n * width, dtype=np.float32).reshape(n, width)
    fit_members(model, features, np.arange(n), weights, members, batch, 5, seed=1)
    x, member = given["x"]
    np.testing.assert_array_equal(x, features[given["y"]])
    return given, sorted(zip(given["y"].tolist(), member[:, 0].tolist(), strict=True))


def test_every_member_learns_every_row():
    weights = np.arange(1.0, 8.0)
    given, pairs = pairs_of(7, 4, weights=weights)
    assert pairs == [(row, member) for row in range(7) for member in range(4)]
    np.testing.assert_array_equal(given["sample_weight"], weights[given["y"]])
    assert (given["batch_size"], given["steps_per_epoch"]) == (28, 5), "there are no more pairs"
    assert pairs_of(7, 4, batch=3)[0]["batch_size"] == 12


def test_some_members_learn_a_row_where_pairs_would_take_too_much_memory(monkeypatch):
    monkeypatch.setattr(tabm, "_MOST_BYTES", 3 * 50 * 2 * 4)
    _, pairs = pairs_of(50, 8)
    assert len(set(pairs)) == len(pairs) == 150
    assert {row for row, _ in pairs} == set(range(50))
    assert {member for _, member in pairs} == set(range(8))


def test_only_the_chosen_rows_and_their_weights_are_learned():
    _, _, rows = rows_of("regression", weights=np.linspace(0.5, 2.0, 120))
    encoded, chosen = encoded_of(rows), np.arange(0, 120, 2)
    expected = train(rows, encoded, FEW, 3, chosen).predict(encoded.features, verbose=0)
    for name, same in (("y", True), ("weights", True), ("y", False), ("weights", False)):
        changed = getattr(rows, name).copy()
        changed[1::2] += 1
        changed[::2] *= 1 if same else np.linspace(1, 2, 60)
        found = train(replace(rows, **{name: changed}), encoded, FEW, 3, chosen).predict(encoded.features, verbose=0)
        assert (found == expected).all() == same, name


@pytest.mark.parametrize("task", TASKS)
def test_it_is_a_member_of_a_blend(task, tmp_path):
    """Beside a candidate of the plain design, for any number of threads, and as a file."""
    recipe, found = Recipe(small=(FEW, TINY[0]), trials=4, folds=2), []
    table, _, _ = rows_of(task)
    kind = TableRegressor if task == "regression" else TableClassifier
    for jobs in (1, 3):
        model = kind(preset=recipe, time=None, seed=3, jobs=jobs).fit(table, "y")
        found.append((model.search_.members_, model.model_.outputs(table)))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    alone = kind(preset=replace(recipe, small=(FEW,), trials=1, members=1, with_linear=False), time=None, seed=3)
    alone.fit(table, "y").save(tmp_path / "model.safetensors")
    assert [member.candidate for member in alone.search_.members_] == [FEW]
    again = kind.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.model_.outputs(table), alone.model_.outputs(table))


def test_quantiles_have_members_too():
    _, _, rows = rows_of("regression")
    encoded = encoded_of(rows)
    found = train(rows, encoded, replace(FEW, steps=400), 3, quantiles=(0.1, 0.5, 0.9))
    shares = (rows.y[:, None] < found.predict(encoded.features, verbose=0)).mean(0)
    assert shares[0] < 0.3 < 0.7 < shares[2]


def test_the_forecast_counts_the_products_of_all_members():
    _, _, rows = rows_of("regression")
    forecast = Forecast(rows, 0)
    wide = replace(FEW, width=512, batch=100)
    seconds = [forecast.seconds(replace(wide, members=members)) for members in (1, 8)]
    assert 4 < seconds[1] / seconds[0] < 8


def test_as_data():
    assert str(FEW).startswith("b4, 2 x 8 gelu, dropout 0.1, tabm of 3 members, decay 0.1")
    assert Candidate(**FEW.params) == FEW
    assert "members" not in TINY[0].params
    with pytest.raises(ValueError, match="Candidate: members must be >= 1, got 0"):
        Candidate(members=0)
    rng, tried = np.random.default_rng(0), [replace(FEW, members=8)]
    for _ in range(40):
        tried.append(neighbour(tried[:1], tried, rng))
    assert {one.design for one in tried} == {"tabm"}
    assert {one.members for one in tried} == {4, 8, 16}
