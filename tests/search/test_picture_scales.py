"""The axes of pictures: a parameter's has the scale of its distribution, a score's is linear and shows the bulk."""

import math

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import fastreg as fr
from fastreg.search import Choice, GridSearch, Integer, LogUniform, RandomSearch, Space, Uniform, When
from fastreg.search.found import plots
from fastreg.search.found.ticks import NOT_USED, Ticks, scale_of

SCALES = {
    "uniform": (Uniform(0, 1), "linear"),
    "a wide uniform": (Uniform(1e-6, 1e6), "linear"),
    "logarithmic": (LogUniform(1e-6, 1e6), "log"),
    "a narrow logarithmic": (LogUniform(1.0, 2.0), "log"),
    "integers": (Integer(1, 10_000), "linear"),
    "logarithms of integers": (Integer(1, 8, log=True), "log"),
    "a list": ([1e-4, 1e-2, 1.0], "even"),
    "a list of text": (["a", "b"], "even"),
    "a constant": (3.0, "even"),
    "nothing or logarithmic": (Choice([0.0, LogUniform(1e-6, 1e-2)]), "log"),
    "nothing or uniform": (Choice([0.0, Uniform(0.1, 0.5)]), "linear"),
    "nested": (Choice([0.0, Choice([1.0, LogUniform(1e-6, 1e-2)])]), "log"),
    "conditional": (When("k", "a", LogUniform(1.0, 2.0)), "log"),
}


@pytest.mark.parametrize("name", SCALES)
def test_the_distribution_decides_the_scale(name):
    distribution, scale = SCALES[name]
    assert scale_of(Space({"k": ["a", "b"], "x": distribution}), "x") == scale
    assert scale_of(Space([{"k": ["b"]}, {"k": ["a"], "x": distribution if name != "conditional" else 1}]), "x") in (
        scale,
        "even",
    )


@pytest.mark.parametrize("factor", [2.0, 29.0, 31.0, 1e6])
@pytest.mark.parametrize("scale", ["log", "linear"])
def test_places_on_an_axis(factor, scale):
    """Whatever the spread, the middle of a logarithmic axis is the geometric mean, that of a linear one the mean."""
    low, high = 0.5, 0.5 * factor
    middle = math.sqrt(low * high) if scale == "log" else (low + high) / 2
    ticks = Ticks([low, middle, high], scale)
    assert ticks.heights == pytest.approx([0.0, 0.5, 1.0])
    assert dict(ticks.ticks)[0.0] == "0.5"


def test_listed_numbers_stand_evenly():
    ticks = Ticks([1e-4, 1.0, 1e-2, 1e-2], "even")
    assert ticks.heights == pytest.approx([1 / 6, 5 / 6, 1 / 2, 1 / 2])
    assert [text for _, text in sorted(ticks.ticks)] == ["0.0001", "0.01", "1"]
    near = Ticks([1.0, 1.0000001], "even")
    assert near.heights == pytest.approx([0.25, 0.75]), "numbers that are written alike are still two"


def test_what_a_logarithmic_axis_has_no_place_for_stands_below():
    ticks = Ticks([1e-3, 0.0, 1e-1, NOT_USED], "log")
    assert ticks.heights[3] < ticks.heights[1] < ticks.heights[0] < ticks.heights[2] == 1.0
    assert {text for _, text in ticks.ticks} == {"0", NOT_USED, "0.001", "0.1"}


@pytest.mark.parametrize("direction", ["min", "max"])
def test_values_beyond_the_limits_stand_at_the_ends(direction):
    values = [1.0, 2.0, 3.0, 1e9] if direction == "min" else [1.0, 2.0, 3.0, -1e9]
    ticks = Ticks(values, limits=(1.0, 5.0) if direction == "min" else (-1.0, 3.0))
    assert ticks.heights[3] == (1.0 if direction == "min" else 0.0)
    texts = [text for _, text in ticks.ticks]
    assert ("≥ 5" if direction == "min" else "≤ -1") in texts


# Pictures.


class Valley:
    """An estimator whose score is a loss, best at rate 0.1; it spreads over so many decades as it is told to."""

    def __init__(self, rate=0.1, steep=1.0, other=0.0):
        self.rate, self.steep, self.other = rate, steep, other

    def get_params(self, deep=True):
        return dict(vars(self))

    def set_params(self, **params):
        vars(self).update(params)
        return self

    def fit(self, x, y):
        return self

    def loss(self, x, y):
        return 1.0 + self.steep * math.log10(self.rate / 0.1) ** 2


def loss_of(model, x, y):
    return model.loss(x, y)


def valley(space, n_trials=30, steep=1.0):
    x, y = np.zeros((12, 2), np.float32), np.arange(12.0)
    options = {"cv": 2, "scoring": (loss_of, "min"), "refit": False, "n_jobs": 1, "seed": 0, "verbose": 0}
    return RandomSearch(Valley(steep=steep), space, n_trials=n_trials, **options).fit(x, y)


def slice_of(search, name):
    (axes,) = (axes for axes in plots.plot(search, "slices").axes if axes.get_xlabel() == name)
    (points,) = axes.collections
    return np.asarray(points.get_offsets())[:, 0]


def place(values, scale):
    values = np.log(values) if scale == "log" else np.array(values)
    return (values - values.min()) / (values.max() - values.min())


@pytest.mark.parametrize(
    ("distribution", "scale"),
    [
        (LogUniform(0.05, 0.2), "log"),
        (LogUniform(1e-4, 1e1), "log"),
        (Uniform(0.05, 0.2), "linear"),
        (Uniform(1e-4, 1e1), "linear"),
    ],
)
def test_every_picture_has_the_scale_of_the_space(distribution, scale):
    search = valley({"rate": distribution, "other": Uniform(0, 1)})
    rates = [trial.params["rate"] for trial in search.trials_]
    assert slice_of(search, "rate") == pytest.approx(place(rates, scale))
    (axes,) = plots.plot(search, "parallel_coordinates").axes
    lines = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 3]
    assert sorted(line[0] for line in lines) == pytest.approx(sorted(place(rates, scale)))


def test_more_trials_do_not_change_the_scale():
    few, many = (valley({"rate": LogUniform(1e-3, 10.0)}, n) for n in (3, 40))
    for search in (few, many):
        rates = [trial.params["rate"] for trial in search.trials_]
        assert slice_of(search, "rate") == pytest.approx(place(rates, "log"))


def test_importance_sees_the_scale_of_the_space():
    """The loss is a parabola of the rate's logarithm: on a linear axis of nine decades, nothing of it would be left."""
    pytest.importorskip("optuna")
    search = valley({"rate": LogUniform(1e-8, 1e1), "other": Uniform(0, 1)}, 60)
    assert next(iter(plots.importances(search))) == "rate"


def test_a_search_out_of_a_pickle_has_the_same_axes():
    import pickle

    search = valley({"rate": LogUniform(0.05, 0.2)})
    assert slice_of(pickle.loads(pickle.dumps(search)), "rate") == pytest.approx(slice_of(search, "rate"))


def test_a_grid_stands_evenly():
    x, y = np.zeros((12, 2), np.float32), np.arange(12.0)
    options = {"cv": 2, "scoring": (loss_of, "min"), "refit": False, "n_jobs": 1, "verbose": 0}
    search = GridSearch(Valley(), {"rate": [1e-4, 1e-3, 1.0]}, **options).fit(x, y)
    assert slice_of(search, "rate") == pytest.approx([1 / 6, 1 / 2, 5 / 6])


# Scores.


@pytest.mark.parametrize("steep", [1.0, 1e4])
@pytest.mark.parametrize("kind", ["history", "slices"])
def test_scores_are_on_a_linear_axis(kind, steep):
    """Whether they lie within one decade or spread over several."""
    search = valley({"rate": LogUniform(1e-3, 10.0)}, steep=steep)
    scores = [trial.score for trial in search.trials_]
    assert (max(scores) / min(scores) > 30) == (steep > 1)
    axes = plots.plot(search, kind).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] < min(scores)


@pytest.mark.parametrize("kind", ["history", "slices"])
def test_values_far_out_do_not_hide_the_rest(kind):
    search = valley({"rate": LogUniform(0.05, 0.2)})
    search.trials_[7].score = 1e12
    others = [trial.score for trial in search.trials_ if trial.score < 1e12]
    axes = plots.plot(search, kind).axes[0]
    low, high = axes.get_ylim()
    assert low < min(others)
    assert max(others) < high < 100
    assert [text.get_text() for text in axes.texts] == ["worse, out of view: 1"]


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_best_values_are_always_in_view(direction):
    sign = 1.0 if direction == "min" else -1.0
    values = sign * np.array([-1e9, *np.linspace(1, 2, 20)])
    assert plots._bulk(values, direction) is None
    low, high = plots._bulk(sign * np.array([*np.linspace(1, 2, 20), 1e9]), direction)
    assert (low, high) == pytest.approx((1.0, 3.25) if direction == "min" else (-3.25, -1.0), abs=0.3)
    assert plots._bulk(np.array([1.0, math.nan, 1e9]), direction) is None
    assert plots._bulk(np.full(9, 1.0), direction) is None


@pytest.fixture(scope="module")
def trained():
    def build(params):
        model = fr.Sequential([fr.layers.Dense(4, "tanh"), fr.layers.Dense(1)])
        model.compile(fr.optimizers.SGD(params["rate"]), "mse", ["mse"])
        return model

    x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    options = {"n_trials": 12, "cv": 2, "scoring": "mse", "refit": False, "n_jobs": 1, "seed": 1, "verbose": 0}
    search = RandomSearch(build, {"rate": LogUniform(1e-5, 0.3)}, **options).fit(x, x[:, 0] - x[:, 1], epochs=8)
    search.trials_[3].score = 1e9
    search.trials_[3].histories[0]["mse"][-1] = 1e9
    return search


@pytest.mark.parametrize("kind", ["learning_curves", "gaps"])
def test_curves_and_gaps_are_linear_and_show_the_bulk(trained, kind):
    axes = plots.plot(trained, kind).axes[0]
    assert axes.get_yscale() == axes.get_xscale() == "linear"
    assert axes.get_ylim()[1] < 1e3
    if kind == "gaps":
        assert axes.get_xlim() == axes.get_ylim()
