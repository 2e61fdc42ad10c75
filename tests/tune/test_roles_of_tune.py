"""Weights, groups, time and a chosen metric decide how `fastreg tune` splits, trains and scores."""

import warnings

import numpy as np
import pytest
import sklearn.metrics

pytest.importorskip("narwhals")

from fastreg import cli
from fastreg.table import TableClassifier
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.judged_rows import folds_of
from fastreg.table.options import TableOptions
from fastreg.table.recipe import Recipe
from fastreg.table.target import Target
from fastreg.tune import command
from fastreg.tune.preparation import prepare

N = 100


@pytest.fixture
def data(tmp_path):
    """Rows of 20 groups, in no order of time; some targets and weights are missing or 0."""
    rng = np.random.default_rng(0)
    days = rng.permutation(N)
    path = tmp_path / "d.csv"
    with path.open("w") as file:
        file.write("when,who,w,a,y,z\n")
        for i in range(N):
            a = rng.normal()
            when = np.datetime64("2020-01-01") + days[i]
            y = "" if i == 3 else "yes" if a > 0 else "no"
            file.write(f"{when},p{i % 20},{i % 4},{a:.4f},{y},{1000 + 50 * a:.3f}\n")
    return path


def prepared(data, **options):
    return prepare(str(data), "y", None, None, 0, TableOptions(**options))


def test_the_latest_rows_are_held_back_and_the_others_are_in_order(data):
    found = prepared(data, time_column="when", ignore=["w", "z"])
    assert found.in_time
    assert "latest fifth" in found.rows.how
    place = [column.name for column in found.schema.columns].index("when")
    train, test = found.codes[:, place], found.test_codes[:, place]
    assert (np.diff(train) > 0).all()
    assert train.max() < test.min()
    assert (len(train) + len(test), found.rows.left_out) == (N - 1, 1)


def test_equal_times_are_not_divided(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("t,a,y\n" + "".join(f"{2000 + i // 10},{i % 7},{'ab'[i % 2]}\n" for i in range(50)))
    found = prepare(str(path), "y", None, None, 0, TableOptions(time_column="t"))
    assert (found.rows.train, found.rows.test) == (40, 10)
    path.write_text("t,a,y\n" + "".join(f"2000,{i % 7},{'ab'[i % 2]}\n" for i in range(50)))
    with pytest.raises(ValueError, match="some rows must be held back"):
        prepare(str(path), "y", None, None, 0, TableOptions(time_column="t"))


def test_groups_are_held_back_whole(data, monkeypatch):
    found = prepared(data, group="who")
    texts = [f"p{i % 20}" for i in range(N) if i != 3]
    assert len(found.groups) == found.rows.train
    counts = np.unique(found.groups, return_counts=True)[1]
    assert set(counts) <= {4, 5}  # nobody is on both sides; one row of a group has no target
    assert found.rows.train + found.rows.test == len(texts)
    assert 15 <= found.rows.test <= 25
    other = prepare(str(data), "y", None, None, 1, TableOptions(group="who"))
    assert not np.array_equal(found.codes, other.codes)
    with pytest.raises(ValueError, match="group and time_column cannot be given together"):
        prepared(data, group="who", time_column="when")


def test_weights_come_with_their_rows(data):
    found = prepared(data, weight="w")
    assert len(found.weights) == found.rows.train
    assert len(found.test_weights) == found.rows.test
    total = sum(i % 4 for i in range(N) if i != 3)
    assert found.weights.sum() + found.test_weights.sum() == total


def result(data, target, **options):
    return command.tune(command.TuneOptions(str(data), target, trials=2, cv=2, jobs=1, verbose=0, **options))


@pytest.mark.parametrize("recipe", [Recipe(cv=2), Recipe(large_rows=10)], ids=["folds", "held out"])
@pytest.mark.parametrize("option", [{"time_column": "when"}, {"group": "who"}, {}], ids=str)
def test_folds_respect_groups_and_time(data, option, recipe):
    rows = prepared(data, ignore=("z",), **option).rows_to_learn
    folds = folds_of(rows, recipe, seed=0)
    assert len(folds) == (1 if recipe.cv is None else 2)
    for learned, judged in folds:
        assert not set(learned) & set(judged)
        if "group" in option:
            assert not set(rows.groups[learned]) & set(rows.groups[judged])
        elif option:
            assert learned.max() < judged.min()
        else:
            assert len(learned) + len(judged) == len(rows.y)


def test_the_scale_of_a_target_is_that_of_rows_with_a_weight(tmp_path):
    path = tmp_path / "d.csv"
    lines = [f"{i % 7},{1e6 if i % 4 == 0 else i % 9},{i % 4},{int(i >= 80)}\n" for i in range(N)]
    path.write_text("a,y,w,held\n" + "".join(lines))
    target = prepare(str(path), "y", "held", "regression", 0, TableOptions(weight="w")).target
    y = [i % 9 for i in range(80) if i % 4]
    assert (target.mean, target.scale) == pytest.approx((np.mean(y), np.std(y)))


def test_weights_change_the_model_and_the_scores(data):
    plain = result(data, "y", table=TableOptions(ignore=("z", "w")))
    weighted = result(data, "y", table=TableOptions(ignore=("z",), weight="w"))
    first, second = (found.model.model.get_weights()[0] for found in (plain, weighted))
    assert not np.array_equal(first, second)
    assert plain.contenders[-1].scores.values["accuracy"] != weighted.contenders[-1].scores.values["accuracy"]


@pytest.mark.parametrize(
    ("target", "metric"),
    [("y", "auc"), ("y", "f1_score"), ("y", "accuracy"), ("z", "mae"), ("z", "mean_absolute_percentage_error")],
)
def test_the_chosen_metric_decides(data, capsys, target, metric):
    words = ["tune", data, "--target", target, "--metric", metric, "--trials", "2", "--cv", "2", "--jobs", "1"]
    assert cli.main([*map(str, words), "--quiet", "--ignore", "who,w"]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("cross-validation"))
    assert f" {metric} (2 folds" in line
    assert (", before calibration; " in line) == ("calibration: temperature " in out) == (target == "y")
    assert (f"{metric} (decides)" in out) == (metric != "accuracy")


def test_the_metric_is_in_the_unit_of_the_table(rng):
    target = Target("z", None, 1000.0, 50.0)
    truth, outputs = rng.normal(size=30).astype(np.float32), rng.normal(size=(30, 1)).astype(np.float32)
    actual, predicted = truth * 50.0 + 1000.0, outputs[:, 0] * 50.0 + 1000.0
    found = ChosenMetric(target, "mape").value(outputs, truth, None)
    assert found == pytest.approx(100 * np.mean(np.abs(actual - predicted) / actual), rel=1e-4)
    assert ChosenMetric(target, "mae").value(outputs, truth, None) == pytest.approx(
        np.mean(np.abs(actual - predicted)), rel=1e-4
    )


OF_CLASSES = (
    *("accuracy", "acc", "auc", "f1_score", "precision", "brier_score", "kappa", "balanced_accuracy", "bce", "hinge"),
    *("squared_hinge", "kl_divergence", "binary_accuracy", "categorical_accuracy", "top_k_categorical_accuracy"),
)


@pytest.mark.parametrize(
    "metric", ["rmse", "mae", "median_absolute_error", "mape", "msle", "log_cosh", "poisson", "r2"]
)
def test_metrics_of_numbers_go_with_a_number(metric):
    """As scikit-learn computes the first ones."""
    truth, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    found = ChosenMetric(Target("y"), metric).value(predicted.astype(np.float32)[:, None], truth, None)
    usual = {
        "rmse": sklearn.metrics.root_mean_squared_error,
        "mae": sklearn.metrics.mean_absolute_error,
        "median_absolute_error": sklearn.metrics.median_absolute_error,
        "mape": lambda y, p: 100.0 * sklearn.metrics.mean_absolute_percentage_error(y, p),
        "msle": sklearn.metrics.mean_squared_log_error,
        "log_cosh": lambda y, p: np.mean(np.log(np.cosh(p - y))),
        "poisson": lambda y, p: np.mean(p - y * np.log(p)),
        "r2": sklearn.metrics.r2_score,
    }
    assert found == pytest.approx(usual[metric](truth, predicted), rel=1e-5)


@pytest.mark.parametrize(
    ("target", "metric", "message"),
    [
        (Target("y", ("a", "b")), "acuracy", "unknown metric 'acuracy'"),
        (Target("y", ("a", "b", "c")), "mse", "does not go with a multiclass target"),
        (Target("y"), "sparse_categorical_accuracy", "does not go with a regression target"),
        *((Target("y"), name, f"'{name}' is for classes, and 'y' is a number") for name in OF_CLASSES),
    ],
)
def test_metrics_that_do_not_go(target, metric, message):
    with pytest.raises(ValueError, match=message):
        ChosenMetric(target, metric)


def test_infinite_weights_are_refused():
    """As scikit-learn does; such a row would leave nothing of the others."""
    for wrong, told in ((np.inf, "inf"), (-1.0, "-1.0"), (np.nan, "a missing value")):
        rows = {"a": np.arange(40) % 7 / 2, "w": np.r_[np.ones(39), wrong], "y": [0, 1] * 20}
        with pytest.raises(ValueError, match=f"column 'w' must hold finite numbers >= 0, got .*{told}.* in row 39"):
            TableClassifier(weight="w").fit(rows, "y")


def test_wrong_options_are_one_line(data, capsys):
    for words, message in (
        (["--weight", "a"], "must hold finite numbers >= 0"),
        (["--group", "nobody"], "no column 'nobody'"),
        (["--time-column", "who"], "must hold dates or numbers"),
        (["--metric", "acuracy"], "unknown metric"),
        (["--ignore", "a", "--numeric", "a"], "must have one role"),
        (["--categorical", "y"], "column 'y' must have one role, got target and categorical; task says whether"),
        (["--id", "y"], "column 'y' must have one role, got target and id"),
        (["--ignore", "a,y"], "column 'y' must have one role, got target and ignored"),
        (["--encoding", "base64"], "knows no encoding 'base64' of texts"),
        (["--decimal", ";"], "decimal"),
    ):
        with warnings.catch_warnings():
            status = cli.main(["tune", str(data), "--target", "y", "--quiet", *words])
        captured = capsys.readouterr()
        assert (status, captured.out) == (1, "")
        assert message in captured.err.splitlines()[-1]
