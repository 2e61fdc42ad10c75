"""The report of `fastreg tune`: what it shows, in which order, what it leaves out, and that it stays small."""

import copy
import dataclasses
import re
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from fastreg.tune import command, page, pictures
from pages import Page

LIMIT = 3_000_000


def write_table(path, task, columns, n=120):
    """The target follows from the first column; the key has one value."""
    rng = np.random.default_rng(columns)
    x = rng.normal(size=(n, columns))
    level = x[:, 0] + rng.normal(0, 0.3, n)
    if task == "regression":
        y = [f"{1000 + 200 * v:.2f}" for v in level]
    else:
        names = ["<b>no</b>", "yes & no", "perhaps"][: 2 if task == "binary" else 3]
        y = [names[k] for k in np.digitize(level, [0.0] if task == "binary" else [-0.5, 0.5])]
    with path.open("w") as file:
        file.write(",".join(["key", *(f"column {j}" for j in range(columns)), "y"]) + "\n")
        for i in range(n):
            file.write(",".join(["one", *(f"{v:.3f}" for v in x[i]), y[i]]) + "\n")
    return path


def tuned(folder, task, columns, trials=4):
    data = write_table(folder / f"{task}.csv", task, columns)
    options = command.TuneOptions(
        str(data), "y", trials=trials, cv=2, jobs=1, seed=1, verbose=0, report=folder / f"{task}{columns}.html"
    )
    result = command.tune(options)
    return result, options.report.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    trials = {"binary": 3, "multiclass": 1, "regression": 1}  # fewer than three have no pictures
    return {task: tuned(folder, task, 3, count) for task, count in trials.items()}


def with_trials(result, count):
    """The same result of a search of more trials, with other parameters and scores."""
    rng, trials = np.random.default_rng(0), []
    for number in range(count):
        trial = copy.deepcopy(result.search.trials_[number % len(result.search.trials_)])
        trial.number, trial.score = number, trial.score * rng.uniform(1.0, 2.0)
        trial.params |= {"dropout": rng.uniform(0.0, 0.6), "decay": float(np.exp(rng.uniform(-9, -1)))}
        if number % 10 == 9:
            trial.state, trial.score, trial.error = "failed", float("nan"), f"error {number}\n" + "line\n" * 50
        trials.append(trial)
    return dataclasses.replace(result, search=dataclasses.replace(result.search, trials_=tuple(trials)))


def headings(text):
    return [re.sub("<.*?>", "", found) for found in re.findall(r"<h[123]>(.*?)</h[123]>", text)]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_it_begins_with_the_table_and_the_score(made, task):
    result, text = made[task]
    found = headings(text)
    assert found[0] == f"y of {task}.csv"
    assert found[1].startswith("Score on ")
    order = ["Predicted against actual", "Importance of the columns", "Columns", "The search"]
    order += ["Members of the blend", "Trials", "History"]
    assert [name for name in found if name in order] == (order if task == "binary" else order[:-1])
    name, value = result.scores.headline
    assert text.index(f"{value:.4f}") < text.index("<h2>")  # the score stands above the first heading
    for contender in result.contenders:
        assert f"{contender.scores.values[name]:.4f}" in text
    assert ("Confusion matrix" in found) == (task != "regression")
    assert ("Receiver operating characteristic" in found) == (task != "regression")
    assert ("Reliability" in found) == (task != "regression")
    if task != "regression":
        reason = result.search.calibration.reason
        assert "1,000 judged rows of the rarest class" in reason
        assert f"Calibrated by {reason}." in " ".join(Page(text).texts)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_it_is_one_file_that_fetches_nothing(made, task):
    _, text = made[task]
    parsed = Page(text)
    assert parsed.fetched == []
    assert "script" not in parsed.tags
    assert "b" not in parsed.tags  # a class is called <b>no</b>
    assert "http" not in text
    assert len(text) < LIMIT
    assert 'name="viewport"' in text


@pytest.mark.parametrize(("n", "bins"), [(1, 1), (39, 1), (40, 2), (1000, 12)])
def test_reliability_is_that_of_bins_of_equally_many_rows(rng, n, bins):
    shares = rng.random(n).astype(np.float32)
    hits = rng.random(n) < shares**2
    mean, found = pictures.shares_of_bins(shares, hits)
    assert len(mean) == len(found) == bins
    order = np.argsort(shares)
    ends = np.cumsum([0] + [n // bins + (i < n % bins) for i in range(bins)])
    for i, (begin, end) in enumerate(pairwise(ends)):
        rows = order[begin:end]
        assert mean[i] == pytest.approx(float(np.mean(shares[rows], dtype=float)), rel=1e-12)
        assert found[i] == hits[rows].sum() / len(rows)


def test_columns_and_reasons_stand_in_it(made):
    result, text = made["binary"]
    shown = Page(text).texts
    for name in ("column 0", "column 1", "column 2", "key"):
        assert name in shown
    assert set(result.model.schema.left_out.values()) <= {text.removesuffix("; left out") for text in shown}
    assert len(result.model.schema.left_out) == 1
    assert result.advice
    for sentence in result.advice:
        assert sentence in shown


def test_importance_is_that_of_the_column_that_decides(made):
    for task in made:
        found = made[task][0].importance
        assert found.names[:1] == ["column 0"]
        assert found.importances_mean.argmax() == 0
        assert found.importances_std.shape == (3,)


def test_many_columns_and_trials_stay_small(tmp_path):
    result, text = tuned(tmp_path, "binary", 300, trials=1)
    assert len(text) < LIMIT
    assert "The 20 most important of 300 columns are shown." in text
    many, path = with_trials(result, 1000), tmp_path / "many.html"
    page.write(many, path, "many", "A model.", 0)
    text = path.read_text(encoding="utf-8")
    assert len(text) < LIMIT
    assert "The 100 best of 1000 trials; 900 are left out here." in text
    assert "97 more failed." in text
    assert "error 9\n" in text
    assert Page(text).fetched == []


def test_what_no_trial_has_is_no_column_of_the_trials(made, tmp_path):
    result, path = with_trials(made["binary"][0], 8), tmp_path / "few.html"
    assert all(trial.params["batch"] is None for trial in result.search.trials_)
    page.write(result, path, "few", "A model.", 0)
    tables = re.findall(r"<table><thead><tr>(.*?)</tr></thead><tbody>(.*?)</tbody>", path.read_text(encoding="utf-8"))
    heads = [re.findall("<th.*?>(.*?)</th>", head) for head, _ in tables]
    place = next(i for i, head in enumerate(heads) if head[0] == "trial")
    assert {"folds", "seconds", "dropout", "decay"} < set(heads[place])
    assert not {"batch", "epochs"} & set(heads[place])
    rows = [re.findall("<td.*?>(.*?)</td>", row) for row in tables[place][1].split("</tr>")[:-1]]
    assert len(rows) == 8
    for column in zip(heads[place], *rows, strict=True):
        assert any(column[1:])


@pytest.mark.parametrize("ends", [(0, 1), (-3.2e-7, 8e-7), (1e5, 7.2e5), (-1.2e6, 9.9e6), (3e8, 2.5e9), (2, 2)])
def test_labels_of_an_axis_do_not_touch(ends):
    low, high = ends
    values = np.linspace(low, high, 50)
    figure, _ = pictures.predicted_against_actual("price", values, values[::-1], 0)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    seen = [box for box in boxes if axes.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1 + 1]
    assert len(seen) >= 2
    assert all(left.x1 + 3 < right.x0 for left, right in pairwise(seen))


def test_many_classes_are_limited(made, tmp_path):
    result = dataclasses.replace(made["multiclass"][0], search=None)
    labels = tuple(f"class {j}" for j in range(40))
    rng = np.random.default_rng(0)
    truth, shares = rng.integers(0, 40, 400), rng.dirichlet(np.ones(40), 400).astype(np.float32)
    scores = command.score_classes(labels, shares, truth)
    contenders = tuple(dataclasses.replace(one, scores=scores) for one in result.contenders)
    many, path = dataclasses.replace(result, contenders=contenders, outputs=shares, truth=truth), tmp_path / "r.html"
    page.write(many, path, "many", "A model.", 0)
    text = path.read_text(encoding="utf-8")
    assert "The 30 most frequent of 40 classes; 10 are left out here." in text
    assert "Most frequent mistakes" in headings(text)
    assert "Receiver operating characteristic" not in headings(text)


def test_a_report_that_cannot_be_written_leaves_nothing(made, tmp_path):
    result = dataclasses.replace(made["binary"][0], search=None)
    (tmp_path / "taken").mkdir()
    for path in (tmp_path / "nowhere" / "r.html", tmp_path / "taken"):
        with pytest.raises(OSError, match=path.name if path.name == "taken" else "nowhere"):
            page.write(result, path, "title", "A model.", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
