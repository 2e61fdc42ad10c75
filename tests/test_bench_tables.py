"""The bench of tables: its scores, its tables, its competitors, and a file that a stopped run goes on from."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

BENCH = Path(__file__).resolve().parents[1] / "bench"


@pytest.fixture
def folder(tmp_path):
    """Two small tables with gaps and levels: one of classes, one of numbers."""
    rng = np.random.default_rng(0)
    x, town = rng.normal(size=(2, 60)), rng.choice(["north", "south", "west"], 60)
    town[::9] = ""
    x[0, ::7] = np.nan
    frame = pd.DataFrame({"a": x[0], "b": x[1], "town": town})
    path = tmp_path / "tables"
    path.mkdir()
    frame.assign(kind=np.where(x[1] > 0, "yes", "no")).to_csv(path / "classes.csv", index=False)
    frame.assign(size=x[1] + (town == "west")).to_csv(path / "numbers.csv.gz", index=False)
    return path


def options(bench, folder, path, *more):
    words = ["--folder", folder, "--json", path, "--seeds", 1, "--time", 1, "--threads", 1, *more]
    return bench.load("tables").arguments([str(word) for word in words])


def keys(data):
    return [(cell["table"], cell["competitor"], cell["seed"]) for cell in data["cells"]]


def fake(asked, **found):
    """Measures nothing, and notes what it was asked for."""

    def measure(request):
        asked.append((request["table"], request["competitor"], request["seed"]))
        cell = {"rows_train": 48, "rows_test": 12, "columns": 3, "score": 0.5, "seconds": 1.0, "row_us": 2.0}
        return cell | found.get(request["competitor"], {})

    return measure


def test_it_measures_writes_and_goes_on(bench, folder, tmp_path):
    path, page = tmp_path / "out.json", tmp_path / "out.md"
    words = ["--folder", folder, "--competitors", "histgb,mlp", "--seeds", 1, "--time", 1, "--threads", 1]
    command = [sys.executable, str(BENCH / "tables.py"), *map(str, words), "--json", str(path), "--markdown", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(path.read_text(encoding="utf-8"))
    first = [(table, who, 0) for table in ("classes", "numbers") for who in ("histgb", "mlp")]
    assert keys(written) == first
    assert written["machine"]["versions"]["pandas"] == pd.__version__
    for cell in written["cells"]:
        assert (cell["rows_train"], cell["rows_test"], cell["columns"]) == (48, 12, 3)
        assert 0.0 <= cell["score"] < 2.0
        assert cell["seconds"] > 0
        assert cell["row_us"] > 0
        assert cell["frame_row_us"] > 0
        assert ("log_loss" in cell, "ece" in cell) == (cell["task"] == "classes",) * 2
        assert ("coverage" in cell) == (cell["table"] == "numbers" and cell["competitor"] == "histgb")
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[:2] for row in rows] == [[f"| {table} (48 × 3)", who] for table, who, _ in first]
    assert f" {written['cells'][0]['score']:.4f} accuracy " in rows[0]

    asked = []
    again = options(bench, folder, path, "--resume", "--competitors", "mlp,fastreg", "--seeds", 2)
    assert bench.load("tables").run(again, fake(asked)) == 0
    assert asked == [
        (table, who, seed)
        for table in ("classes", "numbers")
        for who, seed in (("fastreg", 0), ("mlp", 1), ("fastreg", 1))
    ]
    resumed = json.loads(path.read_text(encoding="utf-8"))
    assert resumed["cells"][:4] == written["cells"]
    assert keys(resumed)[4:] == asked
    assert resumed["settings"]["competitors"] == ["fastreg", "histgb", "mlp"]


def test_a_stopped_run_keeps_its_cells_and_failures_are_tried_again(bench, folder, tmp_path, capsys):
    path, tables = tmp_path / "out.json", bench.load("tables")
    calls = []

    def stops(request):
        calls.append(request)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fake([])(request) if len(calls) == 1 else {"error": "Traceback\nValueError: no"}

    names = ("--competitors", "histgb,mlp")
    page = tmp_path / "tables" / "out.md"
    assert tables.run(options(bench, folder, path, *names, "--markdown", page), stops) == 130
    assert page.read_text(encoding="utf-8").split("\n\n")[-2] == "- failed: mlp on classes, seed 0"
    captured = capsys.readouterr()
    assert "classes, mlp, seed 0: failed: ValueError: no" in captured.out
    assert "interrupted" in captured.err
    assert keys(json.loads(path.read_text(encoding="utf-8"))) == [("classes", "histgb", 0), ("classes", "mlp", 0)]
    asked = []
    assert tables.run(options(bench, folder, path, *names, "--resume"), fake(asked)) == 0
    assert asked == [("classes", "mlp", 0), ("numbers", "histgb", 0), ("numbers", "mlp", 0)]
    assert sorted(name.name for name in tmp_path.iterdir()) == ["out.json", "tables"]


def test_a_failing_process_is_a_cell_with_its_error(bench):
    request = {"table": "nowhere", "competitor": "mlp", "seed": 0, "threads": 1}
    assert "StopIteration" in bench.load("tables").in_process(request)["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["abacus"], "tables must be among california, adult, "),
        (["--competitors", "mlp,abacus"], "--competitors must be among fastreg, fastreg-fast, "),
        (["--seeds", "0"], "--seeds must be >= 1, got 0"),
        (["--threads", "0"], "--threads must be >= 1, got 0"),
        (["--time", "nan"], "--time must be > 0 and finite, got nan"),
        (["--target", "x"], "--target needs --folder"),
        (["--resume"], "--resume needs --json"),
        (["--json", __file__], "--json must be a new file, or go on with --resume"),
        (["--folder", "nowhere"], "No such file or directory: 'nowhere'"),
        (["--folder", str(BENCH)], "--folder must have .csv or .csv.gz files"),
    ],
)
def test_it_refuses_what_it_does_not_know(bench, capsys, words, message):
    with pytest.raises(SystemExit) as ended:
        bench.load("tables").arguments(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_it_refuses_a_target_and_a_file_of_other_settings(bench, folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        options(bench, folder, tmp_path / "out.json", "--target", "colour")
    assert "--target must be a column of " in capsys.readouterr().err
    tables, path = bench.load("tables"), tmp_path / "out.json"
    assert tables.run(options(bench, folder, path, "--competitors", "mlp"), fake([])) == 0
    asked = []
    assert tables.run(options(bench, folder, path, "--resume", "--time", 2), fake(asked)) == 2
    assert asked == []
    assert "has --time 1.0, got 2.0" in capsys.readouterr().err


# Scores.


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_scores_of_classes(bench, n_classes):
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import accuracy_score, log_loss

    scores, rng = bench.load("tabular.scores"), np.random.default_rng(n_classes)
    probabilities = rng.dirichlet(np.full(n_classes, 0.5), 400)
    probabilities[0] = np.eye(n_classes)[0]  # the last bin contains 1
    y = np.array([rng.choice(n_classes, p=row) for row in probabilities])
    found = scores.of_classes(y, probabilities)
    top, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    true, mean = calibration_curve(hits, top, n_bins=15, strategy="uniform")
    counts, _ = np.histogram(top, np.linspace(0, 1, 16))
    assert found["score"] == accuracy_score(y, probabilities.argmax(axis=1))
    assert found["log_loss"] == log_loss(y, probabilities, labels=range(n_classes))
    assert math.isclose(found["ece"], float(np.abs(true - mean) @ counts[counts > 0]) / 400, rel_tol=1e-12)


def test_scores_of_numbers_and_intervals(bench):
    from sklearn.metrics import root_mean_squared_error

    scores, rng = bench.load("tabular.scores"), np.random.default_rng(0)
    y, predicted = rng.normal(size=(2, 100))
    assert scores.of_numbers(y, predicted) == {"score": root_mean_squared_error(y, predicted)}
    found = scores.of_intervals(np.array([0.0, 1.0, 2.0, 3.0]), [[0, 1], [2, 3], [1, 2], [4, 8]])
    assert found == {"coverage": 0.5, "width": 1.75}
    assert scores.margin([5.0, 1.0, 4.0, 2.0, 3.0], 0.5) == 3.0
    assert scores.margin(range(9)) == 8  # the ninth of nine
    assert scores.margin(range(19)) == 17
    assert scores.margin(range(8)) == math.inf


def test_a_class_without_training_rows_has_probability_zero(bench):
    found = bench.load("tabular.scores").aligned(np.float32([[0.3, 0.7], [0.9, 0.1]]), [0, 2], 3)
    np.testing.assert_allclose(found, [[0.3, 0.0, 0.7], [0.9, 0.0, 0.1]], rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-15)


def test_duels_count_tables_and_name_the_worst(bench):
    summary = bench.load("tabular.summary")

    def cell(table, task, who, seed, score):
        return {"table": table, "task": task, "competitor": who, "seed": seed, "score": score}

    cells = [
        *(cell("a", "classes", who, seed, s) for who, seed, s in (("fastreg", 0, 0.8), ("fastreg", 1, 0.9))),
        *(cell("a", "classes", who, seed, s) for who, seed, s in (("mlp", 0, 0.8), ("mlp", 1, 0.87), ("mlp", 2, 1.0))),
        *(cell("b", "classes", who, 0, s) for who, s in (("fastreg", 0.5), ("mlp", 0.52))),
        *(cell("c", "numbers", who, 0, s) for who, s in (("fastreg", 8.0), ("mlp", 10.0))),
        *(cell("d", "numbers", who, 0, s) for who, s in (("fastreg", 3.0), ("mlp", 3.0))),
        cell("e", "numbers", "fastreg", 0, 1.0),
        {key: value for key, value in cell("e", "numbers", "mlp", 0, 1.0).items() if key != "score"},
    ]
    found = summary.duel(cells, "fastreg", "mlp")
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert found.worst["classes"] == (pytest.approx(2.0), "b")
    assert found.worst["numbers"] == (0.0, "d")
    assert summary.duel(cells, "fastreg", "histgb") is None
    (line,) = summary.duels(cells[:7], ["fastreg", "histgb", "mlp"])
    assert line.endswith("2 tables: 1 won, 0 tied, 1 lost; at worst 2.00 points of accuracy behind (b)")
    (ahead,) = summary.duels([c for c in cells if c["table"] == "c"], ["fastreg", "mlp"])
    assert ahead.endswith("at worst 20.00 % of RMSE ahead (c)")


# Tables.


def test_tables_are_made_as_they_say(bench):
    sources = bench.load("tabular.sources")
    assert len({source.name for source in sources.SOURCES}) == len(sources.SOURCES)
    for source in sources.SOURCES:
        try:
            data, again = source.load(), source.load()
        except sources.Absent:
            continue
        assert len(data.x) == len(data.y) > 70, source.name
        assert (data.n_classes > 1) == (source.task == "classes"), source.name
        assert np.isfinite(data.y).all(), source.name
        pd.testing.assert_frame_equal(data.x, again.x)
        train, test = data.split(0)
        assert sorted([*train, *test]) == list(range(len(data.y))), source.name
        assert (data.split(1)[1].tolist() == test.tolist()) == (data.test is not None), source.name
        if source.task == "classes":
            assert len(np.unique(data.y[train])) == data.n_classes, source.name


def test_published_test_parts(bench):
    """The numbers of rows are those that the data folder states."""
    sources = bench.load("tabular.sources")
    assert sources.fold_zero(20640).sum() == 4149
    assert sources.fold_zero(5574).sum() == 1139
    for name, rows in (("adult", 16281), ("california", 4149), ("golub", 34), ("sms_spam", 1139), ("airline", 24)):
        try:
            data = next(source for source in sources.SOURCES if source.name == name).load()
        except sources.Absent as reason:
            pytest.skip(str(reason))
        assert data.test.sum() == rows, name


def test_targets_of_the_future_are_no_features(bench, tmp_path, monkeypatch):
    """A series whose values are the number of the row, so that each feature tells its time."""
    hours = np.arange(100.0)
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=100, freq="h"), "HUFL": hours, "OT": hours**2})
    frame.to_csv(tmp_path / "ETTh1.csv.gz", index=False)
    months = pd.DataFrame({"Month": range(40), "Passengers": np.exp(np.arange(40.0) ** 2 / 24.0)})
    months.to_csv(tmp_path / "airline_passengers.csv.gz", index=False)
    monkeypatch.setenv("FASTREG_DATA", str(tmp_path))
    sources = bench.load("tabular.sources")
    etth1 = sources.etth1()
    now = etth1.x["HUFL"].to_numpy()
    np.testing.assert_array_equal(now, np.arange(24, 76))
    np.testing.assert_array_equal(etth1.y, (now + 24) ** 2 - now**2)
    np.testing.assert_array_equal(etth1.x["OT_change"], now**2 - (now - 24) ** 2)
    airline = sources.airline()
    t = np.arange(25, 40)  # growth over a year is t - 6
    np.testing.assert_allclose(airline.y, t - 6.0, rtol=1e-9)
    np.testing.assert_allclose(airline.x.to_numpy(), t[:, None] - 6.0 - np.arange(1, 14), rtol=1e-9)


def test_tables_of_a_folder(bench, folder):
    sources = bench.load("tabular.sources")
    classes, numbers = sources.of_folder(str(folder), None)
    assert (classes.name, classes.task, classes.load().n_classes) == ("classes", "classes", 2)
    assert (numbers.name, numbers.task) == ("numbers", "numbers")
    assert list(numbers.load().x.columns) == ["a", "b", "town"]
    other = sources.of_folder(str(folder), "a")[0]
    assert other.task == "numbers"
    assert len(other.load().y) == 51  # the others have no target


# Competitors.


@pytest.fixture
def one_thread():
    """Threads of OpenMP that wait for a busy CPU would take most of the time of small tables."""
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):
        yield


def data_of(bench, folder, name):
    data = next(s for s in bench.load("tabular.sources").of_folder(str(folder), None) if s.name == name).load()
    return data, *data.split(0)


def competitor(bench, name, n_classes, seconds=60.0):
    competitors = bench.load("tabular.competitors")
    entry = next(entry for entry in competitors.COMPETITORS if entry.name == name)
    return entry.kind(competitors.Settings(n_classes, 0, seconds, 1))


def test_the_encoding_learns_from_training_rows_alone(bench):
    x = pd.DataFrame({"n": [1.0, None, 3.0], "s": ["a", "b", "a"], "t": ["one two", "two", None], "f": [True] * 3})
    encoding = bench.load("tabular.encoding").Encoding(pd.concat([x] * 5, ignore_index=True), ("t",))
    found = encoding(pd.DataFrame({"n": [None], "s": ["c"], "t": ["two three"], "f": [True]}))
    assert list(found.columns) == ["n", "s", "f", "t: one", "t: two"]
    assert list(found["s"].cat.categories) == ["a", "b"]
    assert found.isna().to_numpy().tolist() == [[True, True, False, False, False]]
    assert found[["t: one", "t: two"]].to_numpy().tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("table", ["classes", "numbers"])
def test_a_cell_of_fastreg(bench, folder, monkeypatch, table):
    from fastreg.table import Candidate, Recipe
    from sklearn.metrics import accuracy_score, root_mean_squared_error

    competitors = bench.load("tabular.competitors")
    recipe = Recipe(small=(Candidate(bins=0, activation="relu", width=16, steps=30),), trials=1)
    monkeypatch.setattr(competitors.Fastreg, "preset", recipe)
    data, train, test = data_of(bench, folder, table)
    of = competitor(bench, "fastreg", data.n_classes)
    cell = bench.load("tabular.cell").measured(of, data, 0, True)
    new, truth = data.x.iloc[test], data.y[test]
    if table == "classes":
        assert cell["score"] == accuracy_score(truth, of.model.predict(new))
        np.testing.assert_allclose(of.row(new[:1])()[0, -1], of.predict(new[:1])[0, -1], rtol=1e-5)
    else:
        assert cell["score"] == root_mean_squared_error(truth, of.model.predict(new))
        assert 0.0 <= cell["coverage"] <= 1.0
        assert cell["width"] > 0.0
        assert of.call(new[:1])() == of.predict(new[:1])
    assert min(cell[key] for key in ("seconds", "row_us", "frame_row_us")) > 0.0
    assert (cell["rows_train"], cell["rows_test"], cell["columns"]) == (len(train), len(test), 3)


@pytest.mark.parametrize("name", ["histgb", "mlp", "linear", "svm", "fastreg-realmlp"])
@pytest.mark.parametrize("table", ["classes", "numbers"])
@pytest.mark.usefixtures("one_thread")
def test_competitors_take_gaps_and_new_levels(bench, folder, name, table):
    data, train, test = data_of(bench, folder, table)
    of = competitor(bench, name, data.n_classes)
    of.fit(data.x.iloc[train], data.y[train])
    found = of.predict(data.x.iloc[test].assign(town="moon"))
    assert found.shape == ((12, 2) if table == "classes" else (12,))
    assert np.isfinite(found).all()
    first = data.x.iloc[test[:1]]
    for call in (of.row(first), of.call(first)):
        assert len(np.asarray(call())) == 1


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("n_classes", [3, 0])
def test_the_mlp_trains_as_scikit_learns_fit(bench, n_classes):
    """With one batch, as the order of rows differs otherwise; up to rounding, which depends on places in memory."""
    from sklearn import datasets
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    x, y = datasets.load_iris(return_X_y=True) if n_classes else datasets.make_regression(150, 4, random_state=0)
    of = competitor(bench, "mlp", n_classes)
    frame = pd.DataFrame(x, columns=list("abcd"))
    of.fit(frame, y)
    features = (x - x.mean(axis=0)) / x.std(axis=0)
    targets = y if n_classes else (y - y.mean()) / y.std()
    known = (MLPClassifier if n_classes else MLPRegressor)(random_state=0).fit(features, targets)
    np.testing.assert_allclose(of.model[-1].loss_curve_, known.loss_curve_, rtol=1e-6)
    expected = known.predict_proba(features) if n_classes else known.predict(features) * y.std() + y.mean()
    np.testing.assert_allclose(of.predict(frame), expected, rtol=1e-4, atol=1e-6)
    hurried = competitor(bench, "mlp", n_classes, 1e-9)
    hurried.fit(frame, y)
    assert len(hurried.model[-1].loss_curve_) == 1


def test_the_mlp_ends_where_the_loss_stays(bench, monkeypatch):
    from sklearn import neural_network

    class Falling(neural_network.MLPRegressor):
        def partial_fit(self, x, y):
            self.loss_curve_ = [*getattr(self, "loss_curve_", []), 0.0]
            self.loss_ = self.loss_curve_[-1] = max(1.0 - 0.1 * len(self.loss_curve_), 0.5 - 1e-5)
            return self

    monkeypatch.setattr(neural_network, "MLPRegressor", Falling)
    of = competitor(bench, "mlp", 0)
    of.fit(pd.DataFrame({"a": [1.0, 2.0]}), np.array([1.0, 2.0]))
    assert len(of.model[-1].loss_curve_) == 5 + 11


@pytest.mark.usefixtures("one_thread")
def test_the_linear_model_is_the_ridge_regression_with_the_least_error_of_rows_left_out(bench):
    """By the formula of the leave-one-out error, with the matrix that maps targets to predictions."""
    from sklearn import datasets

    x, y = datasets.load_diabetes(return_X_y=True)
    of = competitor(bench, "linear", 0)
    of.fit(pd.DataFrame(x), y)
    z, mean = (x - x.mean(axis=0)) / x.std(axis=0), y.mean()
    errors, predictions = [], []
    for penalty in np.logspace(-3, 4, 29):
        hat = z @ np.linalg.solve(z.T @ z + penalty * np.eye(10), z.T)
        predictions.append(hat @ (y - mean) + mean)
        errors.append(np.mean(((y - predictions[-1]) / (1.0 - np.diag(hat) - 1.0 / len(y))) ** 2))
    np.testing.assert_allclose(of.predict(pd.DataFrame(x)), predictions[np.argmin(errors)], rtol=1e-8)


@pytest.mark.usefixtures("one_thread")
def test_the_svm_finds_what_no_line_divides(bench):
    from sklearn import datasets

    x, y = datasets.make_circles(400, noise=0.1, factor=0.4, random_state=0)
    frame, accuracies = pd.DataFrame(x), {}
    for name in ("linear", "svm"):
        of = competitor(bench, name, 2)
        of.fit(frame[:200], y[:200])
        accuracies[name] = np.mean(np.argmax(of.predict(frame[200:]), axis=1) == y[200:])
    assert accuracies["svm"] > 0.95
    assert accuracies["linear"] < 0.7


@pytest.mark.usefixtures("one_thread")
def test_the_search_keeps_the_best_and_falls_back_to_the_defaults(bench, folder, monkeypatch):
    data, train, test = data_of(bench, folder, "classes")
    x, y, new = data.x.iloc[train], data.y[train], data.x.iloc[test]
    plain, hurried = competitor(bench, "histgb", 2), competitor(bench, "histgb-search", 2, 1e-9)
    for of in (plain, hurried):
        of.fit(x, y)
    assert hurried.tried == 0
    np.testing.assert_array_equal(hurried.predict(new), plain.predict(new))

    search = competitor(bench, "histgb-search", 2)
    draws = [{}, *({"max_iter": n} for n in (3, 2, 5))]
    monkeypatch.setattr(search, "_drawn", lambda: iter(draws))
    monkeypatch.setattr(search, "_loss", lambda parameters, *rest: abs(parameters.get("max_iter", 9) - 2))
    search.fit(x, y)
    assert search.tried == 4
    assert search.model.n_iter_ == 2
    drawn, again = (competitor(bench, "histgb-search", 2)._drawn() for _ in range(2))
    assert next(drawn) == next(again) == {}
    second = next(drawn)
    assert second == next(again) != next(drawn)
    competitor(bench, "histgb", 2).new(**second).fit(np.arange(40.0)[:, None], np.arange(40) % 2)  # all are allowed


@pytest.mark.usefixtures("one_thread")
def test_intervals_of_boosting_are_conformal(bench, monkeypatch):
    from sklearn.dummy import DummyRegressor
    from sklearn.model_selection import train_test_split

    rng = np.random.default_rng(0)
    x, y = pd.DataFrame({"a": rng.normal(size=400)}), rng.normal(size=400)
    of = competitor(bench, "histgb", 0)
    monkeypatch.setattr(of, "new", lambda loss, quantile: DummyRegressor(strategy="constant", constant=quantile))
    apart = train_test_split(x, y, test_size=0.2, random_state=0)[3]
    more = np.sort(np.maximum(0.05 - apart, apart - 0.95))[72]  # the 73rd of 80
    np.testing.assert_allclose(of.intervals(x, y, x), np.tile([0.05 - more, 0.95 + more], (400, 1)), rtol=1e-12)
    found = competitor(bench, "histgb", 0).intervals(x, y, x)
    assert (found[:, 0] < found[:, 1]).all()
    assert len(np.unique(found[:, 0])) > 10
    assert competitor(bench, "histgb-search", 0).intervals(x, y, x) is None
    assert competitor(bench, "mlp", 0).intervals(x, y, x) is None


def test_absent_tables_and_packages_are_left_out(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FASTREG_DATA", str(tmp_path))
    tables, competitors = bench.load("tables"), bench.load("tabular.competitors")
    missing = competitors.Entry("realmlp", competitors.RealMlp, "a_package_that_is_not_there")
    monkeypatch.setattr(tables, "COMPETITORS", (*competitors.COMPETITORS[:-1], missing))
    asked = []
    chosen = tables.arguments(["adult", "wine", "--competitors", "mlp,realmlp", "--seeds", "1"])
    assert tables.run(chosen, fake(asked)) == 0
    assert asked == [("wine", "mlp", 0)]
    out = capsys.readouterr().out
    assert f"adult is left out: {tmp_path}{os.sep}adult.csv.gz is not there" in out
    assert "realmlp is left out: a_package_that_is_not_there is not installed" in out
