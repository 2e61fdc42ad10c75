"""Pictures of a search show its figures, and the report is one page that holds them all."""

import math

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from fastreg.search import GridSearch, RandomSearch
from fastreg.search.found import plots, report
from pages import Page


class Peak:
    """An estimator whose score is known: best at x = 0.7, worse for "bad"; some parameters fail."""

    def __init__(self, x=0.0, kind="good", other=0.0):
        self.x, self.kind, self.other = x, kind, other

    def get_params(self, deep=True):
        return {"x": self.x, "kind": self.kind, "other": self.other}

    def set_params(self, **params):
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, x, y):
        if self.kind == "broken":
            raise ValueError("<no> & never")
        return self

    def score(self, x, y):
        return 1.0 - (self.x - 0.7) ** 2 - (0.01 if self.kind == "bad" else 0.0)


@pytest.fixture(scope="module")
def search():
    from fastreg.search import Uniform

    space = {"x": Uniform(0, 1), "kind": ["good", "bad", "broken"], "other": Uniform(0, 1)}
    found = RandomSearch(Peak(), space, n_trials=40, cv=2, refit=False, n_jobs=1, seed=0, verbose=0)
    return found.fit(np.zeros((20, 2), np.float32), np.arange(20.0))


@pytest.fixture(scope="module")
def trained():
    import fastreg as fr
    from fastreg.search import LogUniform, MedianPruner

    def build(params):
        model = fr.Sequential([fr.layers.Dense(4, "tanh"), fr.layers.Dense(1)])
        model.compile(fr.optimizers.SGD(params["rate"]), "mse", ["mse"])
        return model

    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    found = RandomSearch(
        build,
        {"rate": LogUniform(1e-5, 0.3)},
        n_trials=12,
        cv=2,
        scoring="mse",
        pruner=MedianPruner(n_startup_trials=3, n_warmup_epochs=1),
        refit=False,
        n_jobs=1,
        seed=1,
        verbose=0,
    )
    return found.fit(x, x[:, 0] - x[:, 1], epochs=8)


def points(axes):
    return {tuple(p) for c in axes.collections for p in np.round(np.asarray(c.get_offsets()), 9).tolist()}


def scored(search):
    return [t for t in search.trials_ if math.isfinite(t.score)]


def test_history_shows_every_trial_and_the_best_so_far(search):
    (axes,) = plots.plot(search, "history").axes
    shown = points(axes)
    assert {(float(t.number), round(t.score, 9)) for t in scored(search)} <= shown
    failed = [t.number for t in search.trials_ if t.state == "failed"]
    assert failed
    assert {p[0] for p in shown} == {float(t.number) for t in search.trials_}
    (best,) = (line for line in axes.lines if line.get_label() == "best so far")
    assert np.nanmax(best.get_ydata()) == search.best_score_
    assert (np.diff(best.get_ydata()) >= 0).all()


def test_numbers_of_few_trials_are_whole():
    found = RandomSearch(Peak(), {"x": [0.1, 0.2, 0.4]}, n_trials=3, cv=2, refit=False, n_jobs=1, seed=0, verbose=0)
    (axes,) = plots.plot(found.fit(np.zeros((20, 2), np.float32), np.arange(20.0)), "history").axes
    ticks = axes.get_xticks()
    assert (ticks == np.round(ticks)).all()


def test_slices_have_an_axis_for_each_parameter(search):
    figure = plots.plot(search, "slices")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == list(search.trials_[0].params)
    assert len(points(shown[0])) == len(scored(search))
    kinds = [text.get_text() for text in shown[1].get_xticklabels()]
    assert kinds == ["bad", "good"]  # no trial of "broken" has a score


def test_parallel_coordinates_draw_a_line_for_each_trial(search):
    (axes,) = plots.plot(search, "parallel_coordinates").axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert len(lines) == len(scored(search))
    (axes,) = plots.plot(search, "parallel_coordinates", most=5).axes
    assert len([line for line in axes.lines if len(line.get_xdata()) == 4]) == 5


def test_importance_finds_what_matters(search):
    pytest.importorskip("optuna")
    shares = plots.importances(search)
    assert next(iter(shares)) == "x"
    assert sum(shares.values()) == pytest.approx(1.0)
    (axes,) = plots.plot(search, "importance").axes
    assert len(axes.patches) == len(shares)


def test_learning_curves_and_gaps(trained):
    axes = plots.plot(trained, "learning_curves").axes[0]
    curves = [line for line in axes.lines if len(line.get_xdata()) > 0]
    assert len(curves) == len([t for t in trained.trials_ if any(t.histories)])
    by_loss = plots.plot(trained, "learning_curves", key="loss").axes[0]
    trial = max(trained.trials_, key=lambda t: max(t.epochs, default=0))
    mean = np.mean([h["loss"] for h in trial.histories], axis=0)
    assert any(np.array_equal(line.get_ydata(), mean) for line in by_loss.lines)
    with pytest.raises(ValueError, match="unknown key 'none'; the histories have: loss"):
        plots.plot(trained, "learning_curves", key="none")
    (axes,) = plots.plot(trained, "gaps").axes
    train, validation = zip(*points(axes), strict=True)
    assert min(validation) == pytest.approx(min(t.score for t in scored(trained)), abs=1e-8)
    assert all(value > 0 for value in train)


def test_values_of_validation_are_drawn_at_their_epochs(tmp_path):
    import fastreg as fr

    def build(params):
        model = fr.Sequential([fr.layers.Dense(1)])
        model.compile(fr.optimizers.SGD(params["rate"]), "mse")
        return model, {"validation_freq": params["freq"]}

    def searched(resume):
        space = {"rate": [0.01, 0.1], "freq": [1, 3, 8]}
        search = GridSearch(build, space, cv=2, refit=False, n_jobs=1, seed=1, verbose=0,
                            journal=tmp_path / "journal", resume=resume)  # fmt: skip
        return search.fit(x, x[:, 0] - x[:, 1], epochs=8, validation_split=0.2)

    x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    for search in (searched(False), searched(True)):  # the second has all from the journal
        axes = plots.plot(search, "learning_curves").axes[0]
        assert axes.get_ylabel() == "val loss"
        drawn = {tuple(line.get_ydata()): line for line in axes.lines}
        for trial in search.trials_:
            means = np.mean([history["val_loss"] for history in trial.histories], axis=0)
            line, freq = drawn[tuple(means)], trial.params["freq"]
            assert line.get_xdata().tolist() == list(range(freq, 9, freq))
            assert (line.get_marker() == "o") == (freq == 8)  # a line of one point would not be seen
            assert trial.validation_epochs == [None if freq == 1 else list(range(freq - 1, 8, freq))] * 2


def test_what_there_is_nothing_of(search):
    with pytest.raises(ValueError, match="no trial has a history"):
        plots.plot(search, "learning_curves")
    with pytest.raises(ValueError, match="no trial has a training score"):
        plots.plot(search, "gaps")
    with pytest.raises(ValueError, match=r"unknown kind 'slice'.*did you mean 'slices'"):
        plots.plot(search, "slice")


def test_a_parameter_that_a_trial_lacks_has_a_place_of_its_own():
    ticks = plots._Ticks([0.1, plots.NOT_USED, 100.0])
    assert ticks.heights[1] == 0.0
    assert ticks.heights[0] > 0.05
    assert ticks.heights[2] == 1.0
    assert (0.0, "not used") in ticks.ticks


def test_pictures_are_written(search, tmp_path):
    search.plot("history", tmp_path / "h.png")
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_is_one_page_with_everything(search, tmp_path):
    path = tmp_path / "r.html"
    search.report(path, title="a <b> title", notes={"note": "5 < 6"})
    page = Page(path.read_text(encoding="utf-8"))
    assert page.fetched == []
    assert "script" not in page.tags
    assert page.tags["tr"] == 1 + len(search.trials_)
    assert page.tags["img"] >= 3
    assert "a <b> title" in page.texts
    assert "5 < 6" in page.texts
    assert "b" not in page.tags  # what comes from outside is text
    assert any("<no> & never" in text for text in page.texts)
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_a_report_that_cannot_be_written_leaves_nothing(search, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        report.write(search, tmp_path / "nowhere" / "r.html")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        report.write(search, tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
