"""Intervals of numbers: the margins of split conformal prediction, what they are measured on, and files with them."""

import copy
import json
import math
from dataclasses import replace
from fractions import Fraction

import fastreg as fr
import numpy as np
import pytest
from fastreg import cli, layers
from fastreg.internal.conformal import KEPT, ConformityScores, coverage, rows_needed
from fastreg.model import files
from fastreg.model.core import core_of
from fastreg.table import Candidate, Recipe, Table, TableClassifier, TableRegressor, scatter
from fastreg.table.intervals import Intervals, IntervalScores, scale_of
from fastreg.table.model import TableModel
from fastreg.table.scatter import with_scatter
from fastreg.table.training import TrainingRows
from fastreg.tune import command, intervals

RNG = np.random.default_rng(0)
N = 240
TABLE = {"size": RNG.normal(size=N), "kind": [("a", "b", "c")[i % 3] for i in range(N)], "time": np.arange(N)}
Y = 50.0 + 20.0 * (TABLE["size"] + RNG.normal(0, 0.5, N))


def rows_of(table, rows):
    return {name: [column[row] for row in rows] for name, column in table.items()}


@pytest.fixture(scope="module")
def model():
    return TableRegressor(seed=0, time=20, interval=0.9).fit(TABLE, Y)


# The margin.


@pytest.mark.parametrize(("level", "needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.99, 99), (0.999999, 999999)])
def test_rows_that_a_level_needs(level, needed):
    assert rows_needed(level) == needed
    scores = ConformityScores.of(np.zeros(needed))
    assert scores.margin(level) == 0.0
    if needed > 1:
        with pytest.raises(ValueError, match=rf"level {level:g} need {needed} rows .* has not seen, got {needed - 1}$"):
            ConformityScores.of(np.zeros(needed - 1)).margin(level)


@pytest.mark.parametrize("n", [9, 10, 99, 100, KEPT, KEPT + 1, 4321])
@pytest.mark.parametrize("level", ["0.07", "0.1", "0.3", "0.5", "0.55", "0.7", "0.9"])
def test_the_margin_is_an_order_statistic(n, level):
    scores = np.random.default_rng(n).exponential(size=n)
    rank = math.ceil((n + 1) * Fraction(level))
    margin = ConformityScores.of(scores).margin(float(level))
    ordered = np.sort(scores)
    if n <= KEPT:
        assert margin == ordered[rank - 1]
    else:  # of many rows, the next one that is kept
        place = int(np.searchsorted(ordered, margin))
        assert rank - 1 <= place < rank - 1 + math.ceil(n / KEPT)


@pytest.mark.parametrize(("n", "level"), [(9, 0.9), (19, 0.9), (30, 0.5)])
def test_new_rows_are_covered_as_promised(n, level):
    draws = np.random.default_rng(1).random((4000, n))  # uniform scores: the margin is the share of new rows below it
    shares = np.array([ConformityScores.of(scores).margin(level) for scores in draws])
    expected = math.ceil((n + 1) * Fraction(repr(level))) / (n + 1)
    assert level <= expected <= level + 1 / (n + 1)
    assert abs(shares.mean() - expected) < 5 * shares.std() / math.sqrt(len(shares))


# Estimators.


def test_intervals_of_an_estimator(model):
    new = {"size": [-1.0, 0.0, 2.0], "kind": ["a", "b", "new"], "time": [1, 2, 3]}
    with pytest.warns(UserWarning, match="kind"):
        bounds = model.predict_interval(new)
    with pytest.warns(UserWarning, match="kind"):
        predicted = model.predict(new)
    half = model.model_.intervals.scores.margin(0.9) * model.model_.target.scale
    assert np.allclose(bounds, np.column_stack([predicted - half, predicted + half]), rtol=1e-12)
    assert model.model_.intervals.scores.rows == N // 5
    wide, narrow = (np.diff(model.predict_interval(TABLE, level), axis=1) for level in (0.95, 0.5))
    assert (wide > narrow).all()
    assert (narrow > 0).all()


def test_conformalize_takes_the_errors_of_further_rows(model):
    made = copy.copy(model)
    further = {"size": np.linspace(-2, 2, 60), "kind": ["a", "b"] * 30, "time": np.arange(60)}
    y = [None if row % 6 == 0 else 20.0 * row for row in range(60)]
    given = [row for row in range(60) if row % 6]
    assert made.conformalize(further, y) is made
    errors = np.sort(np.abs(made.predict(further) - np.array(y, float))[given])
    width = np.diff(made.predict_interval(further), axis=1)[:, 0]
    assert np.allclose(width, 2 * errors[math.ceil(51 * 0.9) - 1], rtol=1e-5)
    assert made.model_.intervals.scores.rows == 50
    plain = TableRegressor(seed=0, time=20).fit(TABLE, Y)
    with pytest.raises(ValueError, match="predict_interval needs interval= before fit, or conformalize"):
        plain.predict_interval(TABLE)
    assert plain.conformalize(further, y).model_.intervals.level == 0.9


def test_rows_that_are_set_apart_are_not_learned():
    late = Y.copy()
    late[-N // 5 :] += 1000.0
    options = {"seed": 0, "time": 20, "interval": 0.8, "time_column": "time"}
    one, other = (TableRegressor(**options).fit(TABLE, y) for y in (Y, late))
    assert np.array_equal(one.predict(TABLE), other.predict(TABLE))
    assert np.diff(other.predict_interval(TABLE))[0, 0] > 1000.0 > np.diff(one.predict_interval(TABLE))[0, 0]


def test_groups_are_set_apart_whole():
    table = TABLE | {"farm": [f"farm {i // 24}" for i in range(N)]}
    fitted = TableRegressor(seed=0, time=20, interval=0.8, group="farm").fit(table, Y)
    assert fitted.model_.intervals.scores.rows % 24 == 0


def test_parameters():
    made = TableRegressor(interval=0.9, seed=3)
    assert repr(made) == "TableRegressor(interval=0.9, seed=3)"
    assert made.get_params()["interval"] == 0.9
    assert made.set_params(interval=None).interval is None
    clone = pytest.importorskip("sklearn.base").clone
    assert clone(TableRegressor(interval=0.5)).interval == 0.5


REFUSED = {
    "one": (lambda: TableRegressor(interval=1), ValueError, r"interval must be in \(0, 0.999999\], got 1"),
    "per cent": (lambda: TableRegressor(interval=90), ValueError, "interval must be in .* got 90"),
    "text": (lambda: TableRegressor(interval="0.9"), TypeError, "interval must be a number, got '0.9'"),
    "classes": (lambda: TableClassifier(interval=0.9), TypeError, "TableClassifier: unknown argument 'interval'"),
    "too few": (
        lambda: TableRegressor(interval=0.9).fit(rows_of(TABLE, range(40)), Y[:40]),
        ValueError,
        "TableRegressor: intervals of level 0.9 need at least 9 rows that are held back, got 8",
    ),
    "very few": (
        lambda: TableRegressor(interval=0.5).fit(rows_of(TABLE, range(10)), Y[:10]),
        ValueError,
        "intervals of level 0.5 need at least 1 rows that are held back, got 0",
    ),
    "not fitted": (lambda: TableRegressor(interval=0.9).predict_interval(TABLE), ValueError, "not fitted"),
}


@pytest.mark.parametrize(("call", "error", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(call, error, told):
    with pytest.raises(error, match=told):
        call()


def test_levels_that_are_refused(model):
    with pytest.raises(ValueError, match=r"level 0\.999 need 999 rows that the model has not seen, got 48"):
        model.predict_interval(TABLE, 0.999)
    with pytest.raises(ValueError, match="TableRegressor: level must be in"):
        model.predict_interval(TABLE, 0.0)
    with pytest.raises(ValueError, match="errors must be numbers below 1e38 standard deviations, got one in row 1"):
        Intervals.of(0.5, np.zeros((3, 1), np.float32), np.ones(3), np.array([0.0, np.inf, np.nan]))


# Files.


def description(model):
    return {
        "schema": model.schema.to_config(), "encoder": model.encoder.to_config(), "target": model.target.to_config(),
        "intervals": model.intervals.to_config(),
    }  # fmt: skip


def loaded(model, table, tmp_path):
    files.save(core_of(model.model), tmp_path / "m.safetensors", include_optimizer=False, extra={"table": table})
    return TableModel.load(tmp_path / "m.safetensors")


def test_files_keep_intervals(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    for same in (TableRegressor.load(tmp_path / "m.safetensors"), copy.deepcopy(model)):
        for level in (None, 0.5):
            assert np.array_equal(same.predict_interval(TABLE, level), model.predict_interval(TABLE, level))
    table = description(model.model_)
    del table["intervals"]
    assert loaded(model.model_, table, tmp_path).intervals is None


HOSTILE = {
    "a list": lambda config: [config],
    "another member": lambda config: config | {"x": 1},
    "no level": lambda config: {"rows": config["rows"], "scores": config["scores"]},
    "level 0": lambda config: config | {"level": 0},
    "level 1": lambda config: config | {"level": 1.0},
    "level near 1": lambda config: config | {"level": 0.9999999999999999},
    "level of too many rows": lambda config: config | {"level": 0.99},
    "level huge": lambda config: config | {"level": 10**400},
    "level a text": lambda config: config | {"level": "0.9"},
    "rows none": lambda config: config | {"rows": 0},
    "rows huge": lambda config: config | {"rows": 10**400},
    "rows half": lambda config: config | {"rows": 48.5},
    "other rows": lambda config: config | {"rows": config["rows"] + 1},
    "many rows": lambda config: config | {"rows": 10**12},
    "no scores": lambda config: config | {"scores": []},
    "scores null": lambda config: config | {"scores": None},
    "a score null": lambda config: config | {"scores": [None, *config["scores"][1:]]},
    "a score huge": lambda config: config | {"scores": [*config["scores"][:-1], 10**400]},
    "a score large": lambda config: config | {"scores": [*config["scores"][:-1], 1e300]},
    "a negative score": lambda config: config | {"scores": [-1.0, *config["scores"][1:]]},
    "scaled a number": lambda config: config | {"scaled": 1},
    "descending": lambda config: config | {"scores": config["scores"][::-1]},
}


@pytest.mark.parametrize("damage", HOSTILE.values(), ids=HOSTILE)
def test_damaged_intervals_in_a_file(model, damage, tmp_path):
    table = description(model.model_)
    assert loaded(model.model_, table, tmp_path).intervals == model.model_.intervals
    table["intervals"] = json.loads(json.dumps(damage(table["intervals"])))
    with pytest.raises(ValueError, match=r"m\.safetensors: (a |rows of |level of |scores |scaled |intervals )"):
        loaded(model.model_, table, tmp_path)


# The commands.


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.csv"
    lines = (f"{i},{TABLE['size'][i]:.4f},{TABLE['kind'][i]},{Y[i]:.3f}\n" for i in range(N))
    path.write_text("row,size,kind,y\n" + "".join(lines))
    return path


def test_the_commands(data, tmp_path, capsys):
    out, report = tmp_path / "m.safetensors", tmp_path / "r.html"
    quick = ["--target", "y", "--trials", "1", "--cv", "2", "--jobs", "1", "--seed", "1", "--quiet", "--id", "row"]
    assert cli.main(["tune", str(data), *quick, "--interval", "0.8", "--out", str(out), "--report", str(report)]) == 0
    printed = capsys.readouterr().out
    told = next(line for line in printed.splitlines() if line.startswith("intervals: "))
    assert told.startswith("intervals: of level 0.8 contain 0.")
    share, width = float(told.split()[5]), float(told.split()[-1])
    assert 0.6 < share < 0.95
    page = report.read_text()
    assert "of level 0.8 contain" in page
    assert cli.main(["predict", str(out), str(data)]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "row,y,y_lower,y_upper"
    _, centre, lower, upper = np.array([line.split(",") for line in lines], float).T
    half = TableModel.load(out).intervals.scores.margin(0.8) * TableModel.load(out).target.scale
    assert np.allclose(centre - lower, half)
    assert np.allclose(upper - centre, half)
    assert 0.5 * width < 2 * half < 2.0 * width
    columns = TableModel.load(out).predict(TABLE | {"row": list(range(N))})
    assert list(columns) == ["row", "y", "y_lower", "y_upper"]
    assert np.allclose(columns["y_upper"], upper, rtol=1e-3)


@pytest.mark.parametrize(
    ("target", "words", "told"),
    [
        ("kind", ["--interval", "0.9"], "--interval: the target must be a number, but 'kind' was taken for classes"),
        ("y", ["--interval", "0.99"], "intervals of level 0.99 need at least 99 rows that are held back, got 48"),
    ],
)
def test_what_the_command_refuses_before_the_search(data, target, words, told, monkeypatch, capsys):
    monkeypatch.setattr(command, "linear_table_model", lambda *_: pytest.fail("training has begun"))
    assert cli.main(["tune", str(data), "--target", target, "--quiet", *words]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("fastreg tune: ")
    assert told in error


@pytest.mark.parametrize("level", ["0", "1", "90", "x", "nan", "-0.5"])
def test_wrong_levels_of_the_command(data, level, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["tune", str(data), "--target", "y", f"--interval={level}"])
    assert "must be a share in (0, 0.999999], such as 0.9" in capsys.readouterr().err


def test_scores_of_intervals():
    outputs, scale, truth = np.zeros((40, 1), np.float32), np.ones(40), np.ones(40)
    assert IntervalScores.of(0.9, outputs, scale, truth, 3.0, 0) == IntervalScores(0.9, 1.0, 6.0)
    assert IntervalScores.of(0.9, outputs[:17], scale[:17], truth[:17], 3.0, 0) is None
    rng, outputs, scale = np.random.default_rng(0), np.zeros((4000, 1), np.float32), np.repeat([1.0, 3.0], 2000)
    found = IntervalScores.of(0.9, outputs, scale, rng.normal(size=4000) * scale, 1.0, 0)
    assert abs(found.coverage - 0.9) < 0.02
    assert abs(found.width - 2 * 2 * 1.645) < 0.2
    assert coverage(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1.0, 1.1])) == 0.5


# Widths that follow the row.


@pytest.fixture(scope="module")
def scattered():
    """A regressor of targets that scatter the more, the larger x is."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 2000)
    y = 100.0 + 10.0 * (x + x * rng.normal(size=2000))
    return TableRegressor(seed=0, time=60, interval=0.9).fit({"x": x, "kind": ["a", "b"] * 1000}, y)


def test_intervals_are_wide_where_targets_scatter(scattered, tmp_path):
    rng = np.random.default_rng(1)
    x = np.repeat([0.1, 0.9], 1000)
    y = 100.0 + 10.0 * (x + x * rng.normal(size=2000))
    table = {"x": x, "kind": ["a", "b"] * 1000}
    bounds = scattered.predict_interval(table)
    width = np.diff(bounds, axis=1)[:, 0]
    assert width[1000:].mean() > 3 * width[:1000].mean()
    for part in (slice(0, 1000), slice(1000, 2000)):
        assert 0.8 < coverage(bounds[part], y[part]) < 0.98
    assert np.allclose(bounds.mean(axis=1), scattered.predict(table))
    scattered.save(tmp_path / "m.safetensors")
    assert np.array_equal(TableRegressor.load(tmp_path / "m.safetensors").predict_interval(table), bounds)
    errors = np.abs(scattered.predict(table) - y) / (width / 2)
    further = copy.copy(scattered).conformalize(table, y)
    larger = np.diff(further.predict_interval(table), axis=1)[:, 0] / width
    assert np.allclose(larger, np.sort(errors)[math.ceil(2001 * 0.9) - 1], rtol=0.01)  # a score of 2000 in two is kept


def test_a_scale_does_not_change_predictions(model):
    plain = model.model_
    kinds, codes = [column.kind for column in plain.schema.columns], plain.schema.codes(Table.of(TABLE))
    rows = TrainingRows(plain.target, kinds, codes, np.zeros(N, np.float32))
    few = Candidate(width=8, layers=1, dropout=0.0, steps=3)
    y = np.random.default_rng(2).normal(size=5 * N).astype(np.float32)
    many = replace(rows, codes=np.tile(rows.codes, (5, 1)), y=y)
    assert with_scatter(plain, rows, few, 0) is plain  # few rows
    assert with_scatter(plain, many, None, 0) is plain
    assert with_scatter(plain, many, few, 0, 1e-3) is plain  # little time
    assert with_scatter(plain, many, replace(few, rate=1e30), 0) is plain  # the training diverges
    made = with_scatter(plain, many, few, 0)
    assert np.array_equal(made.outputs(TABLE), plain.outputs(TABLE))
    assert (made.spread(TABLE)[1] != 1.0).all()
    assert (with_scatter(plain, many, replace(few, steps=200), 0, 30.0).spread(TABLE)[1] != 1.0).all()
    assert (plain.spread(TABLE)[1] == 1.0).all()


def test_a_frozen_model_predicts_the_same(scattered):
    fitted = scattered.model_
    codes = fitted.schema.codes(Table.of({"x": [0.1, 0.5, 0.9], "kind": ["a", "b", "a"]}))
    expected = fitted.outputs_of(fitted.features(codes))
    assert np.allclose(fitted.freeze()(codes), expected, atol=1e-5)


def test_a_network_that_nothing_uses_is_left_out(monkeypatch):
    rng = np.random.default_rng(3)
    x = rng.normal(size=1500)
    table, y = {"x": x, "kind": ["a", "b", "c"] * 500}, x + rng.normal(size=1500)
    monkeypatch.setattr(scatter, "_USUAL", Candidate(width=4, layers=1, rate=1.0, decay=0.0, steps=30))  # a bad one
    fitted = TableRegressor(seed=0, time=None, interval=0.9).fit(table, y)
    assert isinstance(fitted.model_.model, fr.Sequential)
    assert len(np.unique(np.diff(fitted.predict_interval(table)).round(9))) == 1


def test_a_scale_that_tells_nothing_is_not_used():
    rng = np.random.default_rng(0)
    outputs, truth, scale = np.zeros((500, 1), np.float32), rng.normal(size=500), np.exp(rng.normal(size=500))
    plain, wild = (Intervals.of(0.9, outputs, given, truth) for given in (np.ones(500), scale))
    assert wild == plain
    assert not wild.scaled
    assert len(np.unique(np.diff(wild.bounds(outputs, scale, 0.9)))) == 1
    right = Intervals.of(0.9, outputs, scale, truth * scale)
    assert right.scaled
    assert Intervals.from_config(right.to_config()) == right


def test_a_scale_is_positive():
    quantiles = np.array([[0.0, 9.0, 2.0], [2.0, 0.0, 0.0], [1.0, 1.0, 1.0]], np.float32)
    assert scale_of(quantiles).tolist() == [1.0, 1.0, 1e-3]


@pytest.mark.parametrize("widths", [(1, 2), (1, 4), (2, 3), (1, 3, 1)])
def test_networks_of_other_outputs_are_refused(model, widths, tmp_path):
    plain = model.model_
    given = layers.Input((plain.n_features,))
    network = fr.Model(given, [layers.Dense(width)(given) for width in widths], seed=0)
    with pytest.raises(ValueError, match=r"m\.safetensors: the network takes .* and gives .* outputs, the table has"):
        loaded(replace(plain, model=network), description(plain), tmp_path)


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_command_makes_widths_that_follow_the_row(interrupted, tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    if interrupted:
        monkeypatch.setattr(intervals, "with_scatter", interrupt)
    x, rng = np.linspace(0.0, 1.0, 1300), np.random.default_rng(0)
    path = tmp_path / "data.csv"
    lines = (f"{a:.5f},{np.sin(9 * a) + a * b:.5f}\n" for a, b in zip(x, rng.normal(size=1300), strict=True))
    path.write_text("x,y\n" + "".join(lines))
    small = Candidate(bins=16, width=32, layers=1, steps=1000)
    recipe = Recipe(small=(small,), large=(small,), trials=1, folds=2, members=1)
    options = command.TuneOptions(
        str(path), "y", preset=recipe, jobs=1, verbose=0, interval=0.9, time=None, out=tmp_path / "m.safetensors"
    )
    assert abs(command.tune(options).intervals.coverage - 0.9) < 0.1
    printed = capsys.readouterr()
    assert ("interrupted: all intervals have one width" in printed.err) == interrupted
    made = TableModel.load(tmp_path / "m.safetensors")
    width = np.diff(made.predict_interval({"x": [0.05, 0.95]}), axis=1)[:, 0]
    assert math.isclose(*width) if interrupted else width[1] > 2 * width[0]


def test_time_is_reserved_for_intervals_alone():
    assert intervals.reserved(None, 60.0) == 0.0
    assert intervals.reserved(0.9, 60.0) == 9.0
