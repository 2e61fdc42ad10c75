"""Tables in the order of time in the bench: how the random ones are made, and who is judged by later rows."""

import numpy as np
import pandas as pd
import pytest


def made(bench, name):
    columns, target = getattr(bench.load("tabular.series"), name)()
    return columns, target


def assert_noise(found, spread):
    """Mean 0 and the given standard deviation, to five standard errors."""
    n = len(found)
    assert abs(found.mean()) < 5.0 * spread / np.sqrt(n)
    assert abs(found.std() - spread) < 5.0 * spread / np.sqrt(2.0 * n)


def test_coupled_tells_of_the_next_day(bench):
    x, y = made(bench, "coupled")
    assert len(y) == 12_000
    np.testing.assert_allclose(y[:-24], x["s0"][24:] - x["s0"][:-24])
    for i in range(5):
        np.testing.assert_allclose(x[f"s{i}_change"][24:], x[f"s{i}"][24:] - x[f"s{i}"][:-24])
    np.testing.assert_array_equal(x["hour"][1:], (x["hour"][:-1] + 1) % 24)
    np.testing.assert_array_equal(x["weekday"][24:], (x["weekday"][:-24] + 1) % 7)


def test_threshold_follows_its_two_rules(bench):
    x, y = made(bench, "threshold")
    np.testing.assert_allclose(y[:-1], x["lag0"][1:] - x["lag0"][:-1])
    for k in range(7):
        np.testing.assert_array_equal(x[f"lag{k + 1}"][1:], x[f"lag{k}"][:-1])
    last, before = x["lag0"] - x["lag1"], x["lag1"] - x["lag2"]
    rule = np.where(last > 0, 0.6 * last - 0.3 * before, -0.4 * last + 0.3 * before)
    assert_noise(y - rule, 0.5)


def test_pair_closes_its_gap(bench):
    x, y = made(bench, "pair")
    np.testing.assert_allclose(y[:-1], np.diff(x["a0"]))
    np.testing.assert_array_equal(x["b2"][2:], x["b0"][:-2])
    gap = x["a0"] - x["b0"]
    assert_noise(y + np.where(np.abs(gap) > 1.0, 0.2, 0.05) * gap, 0.3)
    assert_noise(np.diff(x["b0"]), 0.3)


def test_demand_is_that_of_the_next_hour_and_grows(bench):
    x, y = made(bench, "demand")
    for k in (0, 1, 2, 23, 47, 167):
        np.testing.assert_array_equal(x[f"before{k}"][k + 1 :], y[: len(y) - k - 1])
    np.testing.assert_array_equal(x["hour"][1:], (x["hour"][:-1] + 1) % 24)
    assert y[-1000:].mean() > y[:1000].mean() + 10.0


@pytest.mark.parametrize("name", ["coupled", "threshold", "pair", "demand", "etth1", "airline"])
def test_tables_in_time_have_the_latest_rows_as_their_test_part(bench, name):
    sources = bench.load("tabular.sources")
    try:
        data = next(source for source in sources.SOURCES if source.name == name).load()
    except sources.Absent as reason:
        pytest.skip(str(reason))
    assert data.in_time
    train, test = data.split(3)
    assert train.max() < test.min()


def test_fastreg_is_told_the_order_of_time(bench, monkeypatch):
    """The column of time is no feature, and the network is judged by the latest fifth."""
    from fastreg.table import Candidate, Recipe, judging
    from fastreg.table.judged_rows import folds_of

    found = []

    def noted(*arguments):
        found.append(folds_of(*arguments))
        return found[-1]

    monkeypatch.setattr(judging, "folds_of", noted)
    competitors = bench.load("tabular.competitors")
    tiny = (Candidate(bins=0, activation="relu", width=8, steps=20),)
    monkeypatch.setattr(competitors.Fastreg, "preset", Recipe(large=tiny, large_rows=10, trials=1))
    rng = np.random.default_rng(0)
    x, y = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)}), rng.normal(size=200)
    for in_time in (False, True):
        of = competitors.Fastreg(competitors.Settings(0, 0, 60.0, 1, in_time=in_time))
        of.fit(x, y)
        assert list(of.model.feature_names_in_) == ["a", "b"]
        assert of.predict(x[:3]).shape == of.row(x[:3])()[:, 0].shape == (3,)
        ((learned, judged),) = found[-1]
        assert len(judged) == 40
        assert (learned.max() < judged.min()) == in_time
    bounds = of.intervals(x, y, x)
    assert (bounds[:, 0] < bounds[:, 1]).all()


@pytest.mark.parametrize(("rows", "folds"), [(600, 5), (5000, 1)])
def test_the_search_of_boosting_is_judged_by_later_rows(bench, rows, folds):
    competitors = bench.load("tabular.competitors")
    found = list(competitors.HistGBSearch(competitors.Settings(0, 0, 1.0, 1, in_time=True))._folds(np.zeros(rows)))
    assert len(found) == folds
    assert all(train.max() < test.min() for train, test in found)
    assert found[-1][1].max() == rows - 1
    assert len(found[-1][1]) == rows // (5 if folds == 1 else 6)
