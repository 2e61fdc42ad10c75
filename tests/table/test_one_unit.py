"""Columns of one unit: which tables have them, their common scale, and where recipes try it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fastreg import layers
from fastreg.table import Candidate, Recipe, TableClassifier, TableEncoder, TableModel
from fastreg.table.blending import cook
from fastreg.table.candidates import LARGE, LINEAR, SMALL, neighbour
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.schema import Schema
from fastreg.table.target import Target
from fastreg.table.training import TrainingRows
from fastreg.table.units import columns_of_one_unit

N = 120
SHARED = Candidate(bins=0, width=16, activation="relu", rate=0.02, steps=200, scale="shared")
OWN = replace(SHARED, scale="own", bins=4)


def pixels(columns=20, n=N):
    """Whole numbers from 0 to 16; the first column is nearly constant, as a pixel at the border is."""
    found = np.random.default_rng(0).integers(0, 17, (n, columns)).astype(np.float64)
    found[:, 0] = 0.0
    found[0, 0] = 1.0
    return found


def numeric(codes):
    return ["numeric"] * codes.shape[1]


def frame(n=N):
    """Pixels, and classes that follow from two of them."""
    x = pixels(n=n)
    table = {f"p{i}": column for i, column in enumerate(x.T)}
    return {**table, "y": np.where(x[:, 3] + x[:, 4] > 16, "above", "below")}


def rows_of(table):
    target, schema = Target.infer(table, "y"), Schema.infer(table, target="y")
    y, _ = target.encode(table)
    return TrainingRows(target, [column.kind for column in schema.columns], schema.codes(table), y)


def test_like_ranges_are_one_unit():
    x = pixels()
    assert columns_of_one_unit(numeric(x), x) == list(range(20))
    assert columns_of_one_unit(numeric(x), 1e-20 * x - 3.0e-19) == list(range(20))
    rng = np.random.default_rng(1)
    spectra = rng.poisson(np.geomspace(3.0, 60.0, 64), (N, 64)).astype(float)
    assert columns_of_one_unit(numeric(spectra), spectra) == list(range(64))


@pytest.mark.parametrize("units", [10.0 ** np.arange(20), np.r_[np.ones(15), np.full(5, 1e3)]])
def test_unlike_ranges_are_not(units):
    x = pixels() * units
    assert columns_of_one_unit(numeric(x), x) == []


def test_fewer_than_sixteen_columns_are_not():
    for count, expected in ((15, 0), (16, 16)):
        x = pixels(count)
        assert len(columns_of_one_unit(numeric(x), x)) == expected


def test_far_missing_constant_and_other_columns_are_left_out():
    x = np.column_stack([pixels(20), np.full(N, 7.0), 1e4 + pixels(1), np.where(np.arange(N) % 5, 3.0, np.nan)])
    kinds = ["numeric"] * 22 + ["numeric"]
    assert columns_of_one_unit(kinds, x) == list(range(20))
    assert columns_of_one_unit(["categorical", *kinds[1:]], x) == list(range(1, 20))
    assert columns_of_one_unit(kinds, x[:0]) == []
    far = x.copy()
    far[:, 10:12] += 1e4  # now 3 of 21 columns that vary lie elsewhere
    assert columns_of_one_unit(kinds, far) == []


@pytest.mark.parametrize(("quiet", "count"), [(14, 30), (16, 0)])
def test_fewer_than_half_of_the_columns_may_hardly_vary(quiet, count):
    """If most do, their range is the common one, and the others are far beyond it."""
    x = pixels(30)
    x[:, :quiet] = 0.0
    x[0, :quiet] = 1.0
    assert columns_of_one_unit(numeric(x), x) == list(range(count))


@pytest.mark.parametrize("factor", [1e300, -1e300, 1e-200])
def test_sums_and_inverses_of_ranges_are_finite(factor):
    x = pixels() * factor
    assert columns_of_one_unit(numeric(x), x) == []
    assert np.isfinite(TableEncoder(numeric(x), n_bins=0, shared=True).fit(x).transform(x)).all()


@pytest.mark.parametrize("bins", [0, 5])
def test_they_have_one_offset_and_one_spread(bins):
    """Bins and other columns are as without it."""
    x = np.column_stack([pixels(), 1e4 * pixels(1)])
    x[::4, 20] = np.nan
    shared, own = (TableEncoder(numeric(x), n_bins=bins, shared=flag).fit(x) for flag in (True, False))
    assert shared.widths == own.widths
    found, usual = shared.transform(x), own.transform(x)
    places = np.cumsum([0, *own.widths])[:20]
    z = (x[:, :20] - x[:, :20].mean()) / 8.0
    np.testing.assert_allclose(found[:, places], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6, atol=1e-7)
    others = np.setdiff1d(np.arange(found.shape[1]), places)
    assert len(others) >= 2
    np.testing.assert_array_equal(found[:, others], usual[:, others])
    assert np.abs(usual[:, 0]).max() > 1.0 > np.abs(found[:, 0] - found[1, 0]).max(), "a border pixel stays small"
    config = json.loads(json.dumps(shared.to_config()))
    again = TableEncoder.from_config(config)
    assert again.shared
    assert "shared" not in own.to_config()
    np.testing.assert_array_equal(again.transform(x), found)
    assert again.without_documents().shared


def test_a_layer_that_reads_codes_has_the_same_scale():
    x = pixels()
    dense, coded = (TableEncoder(numeric(x), n_bins=4, dense=flag, shared=True).fit(x) for flag in (True, False))
    for column in coded.columns:
        assert isinstance(column, layers.NumericColumn)
        assert (column.centre, column.scale) == (pytest.approx(x.mean()), pytest.approx(1 / 8.0))
    assert coded.dense_width == dense.n_features


def test_a_recipe_tries_it_where_columns_are_of_one_unit():
    for listed, n_rows in ((SMALL, 4999), (LARGE, 5000)):
        assert [one.scale for one in listed[:3]] == ["shared", "shared", "own"]
        recipe = Recipe()
        assert recipe.candidates(n_rows, None, True) == (LINEAR, *listed)
        assert recipe.candidates(n_rows) == (LINEAR, *(one for one in listed if one.scale == "own"))
    assert str(SHARED).startswith("scaled, one scale, 2 x 16 relu")
    assert SHARED.params["scale"] == "shared"
    assert "scale" not in OWN.params, "older journals have no such field"


def test_neighbours_keep_the_scale():
    rng = np.random.default_rng(0)
    assert all(neighbour([SHARED], [SHARED], rng).scale == "shared" for _ in range(20))


def test_the_search_says_so_and_ignores_it_elsewhere():
    recipe, told = Recipe(small=(SHARED, OWN), trials=1, folds=2), []
    rows = rows_of(frame())
    assert rows.one_unit == 20
    found = cook(rows, recipe, ChosenMetric(rows.target), 0, 1, None, told.append)
    assert told[0] == "20 columns are of one unit by their ranges: some candidates give them one scale"
    assert [trial.params.get("scale", "own") for trial in found.trials_] == ["own", "shared"]
    other = replace(rows, codes=rows.codes * 10.0 ** np.arange(20))
    told.clear()
    found = cook(other, recipe, ChosenMetric(rows.target), 0, 1, None, told.append)
    assert [trial.params.get("scale", "own") for trial in found.trials_] == ["own", "own"]
    assert not any("one unit" in line for line in told)


def test_both_scales_are_blended_in_one_file(tmp_path):
    """The candidates differ in their scale alone, so their encoders must be told apart. One and two workers agree."""
    table = frame(300)
    recipe = Recipe(small=(SHARED, replace(SHARED, scale="own")), trials=2, folds=2, members=2, with_linear=False)
    first, second = (
        TableClassifier(preset=recipe, time=None, jobs=jobs, seed=1).fit(table, "y") for jobs in (1, 2)
    )
    assert {member.candidate.scale for member in first.search_.members_} == {"own", "shared"}
    model = first.model_
    assert [encoder.shared for encoder in model.encoders].count(True) == 1
    np.testing.assert_array_equal(model.outputs(table), second.model_.outputs(table))
    model.save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.outputs(table), model.outputs(table))
    np.testing.assert_allclose(
        loaded.freeze()(loaded.schema.codes(table)), model.outputs(table), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Candidate(scale="common"), ValueError, "Candidate: unknown scale 'common'; known: own, shared"),
        (
            lambda: Candidate(bins=0, design="realmlp_td", scale="shared"),
            ValueError,
            "Candidate: scale must be 'own' with the design 'realmlp_td', got 'shared'",
        ),
        (lambda: TableEncoder(["numeric"], shared=1), TypeError, "TableEncoder: shared must be"),
        (lambda: TableEncoder.from_config({"kinds": ["numeric"], "parts": [], "shared": 1}), ValueError, "shared must"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
