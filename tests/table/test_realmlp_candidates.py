"""Candidates of RealMLP's design: the network that the paper describes, and where they are tried."""

import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from fastreg import cli
from fastreg.table import Candidate, Recipe, TableClassifier, TableRegressor, Target, judging, members
from fastreg.table.blending import cook
from fastreg.table.candidates import LINEAR, REALMLP_ALONE, REALMLP_S, neighbour
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.networks import network
from fastreg.table.recipe import PRESETS
from helpers.realmlp import trained
from helpers.recipes import TINY, rows_of

CLASSES, NUMBERS = REALMLP_S
TARGETS = {"binary": Target("y", ("a", "b")), "multiclass": Target("y", ("a", "b", "c")), "regression": Target("y")}


def candidate_of(task):
    return NUMBERS if task == "regression" else CLASSES


@pytest.mark.parametrize("task", TARGETS)
def test_it_begins_as_published(task):
    model = network(TARGETS[task], candidate_of(task), 0, 400)
    model.build(400)
    scale, *dense, kernel, bias = model.get_weights()
    np.testing.assert_array_equal(scale, np.ones(400))
    assert [w.shape for w in dense[::2]] == [(400, 256), (256, 256), (256, 256)]
    for w, b in zip(dense[::2], dense[1::2], strict=True):
        assert np.std(w) * np.sqrt(len(w)) == pytest.approx(1.0, rel=0.02)  # 65,536 draws at least
        assert abs(np.mean(w)) * np.sqrt(len(w)) < 0.02
        assert np.abs(w).max() * np.sqrt(len(w)) > 3.5, "it is not truncated"
        assert 0.8 < np.std(b) < 1.2
    assert not kernel.any()
    assert not bias.any()
    assert [layer.activation for layer in model.layers[1:4]] == ["mish" if task == "regression" else "selu"] * 3
    assert model.optimizer.beta_2 == pytest.approx(0.95)


def test_under_adam_it_is_the_neural_tangent_parametrisation(rng):
    """Each step of Adam is compared with weights from N(0, 1) that are divided by the root of the inputs."""
    n, d, units, steps = 64, 9, 5, 5
    candidate = Candidate(0, units, 2, "mish", 0.0, 0.0, 0.07, 40, n, "realmlp", "regression")
    model = network(TARGETS["regression"], candidate, 3, d)
    model.build(d)
    x, y = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=n).astype(np.float32)
    expected = trained(
        model.get_weights(), x, y[:, None], activation="mish", rate=0.07, steps=steps, epsilon=1e-7
    )
    model.fit(x, y, batch_size=n, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
    for found, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=20 * np.finfo(np.float32).eps)


def test_it_is_tried_on_its_task_alone():
    recipe = Recipe(small=(TINY[0], *REALMLP_S), trials=2)
    assert recipe.candidates(100, "classification") == (LINEAR, TINY[0], CLASSES)
    assert recipe.candidates(100, "regression") == (LINEAR, TINY[0], NUMBERS)
    assert recipe.listed(100) == (TINY[0], *REALMLP_S)


def test_its_neighbours_keep_the_design_and_its_rates():
    rng, tried = np.random.default_rng(0), [CLASSES]
    for _ in range(40):
        found = neighbour([CLASSES], tried, rng)
        assert (found.design, found.task, found.decay) == ("realmlp", "classification", 0.0)
        assert 0.01 <= found.rate <= 0.1
        tried.append(found)


def test_the_preset_tries_it_alone_for_256_epochs():
    recipe = Recipe.preset("realmlp")
    for task, wanted in zip(("classification", "regression"), REALMLP_ALONE, strict=True):
        for n_rows, steps in ((100, 256), (257, 512), (10_240, 10_240)):
            tried = replace(wanted, steps=steps, epochs=None)
            assert recipe.candidates(n_rows, task) == (LINEAR, tried)
            assert recipe.n_splits(n_rows) is None, "one part is held out"
    assert str(REALMLP_ALONE[0]).endswith("rate 0.04, 256 epochs, batch 256")
    assert [(one.design, one.dropout, one.decay, one.rate) for one in REALMLP_ALONE] == [
        ("realmlp_td", 0.15, 0.02, 0.04),
        ("realmlp_td", 0.15, 0.02, 0.2),
    ]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_preset_makes_one_network_of_the_design(task):
    """Also where the linear model is better, as it is here after so few steps with so small a rate."""
    tiny = tuple(replace(one, width=8, epochs=2, rate=1e-6) for one in REALMLP_ALONE)
    recipe = replace(Recipe.preset("realmlp"), large=tiny, folds=2)
    table, _, _ = rows_of(task, 600)
    estimator = (TableRegressor if task == "regression" else TableClassifier)(preset=recipe, time=None, jobs=1)
    found = estimator.fit(table, "y").search_
    assert [member.candidate.design for member in found.members_] == ["realmlp_td"]
    assert found.trials_[0].params == LINEAR.params
    assert found.trials_[0].score < found.trials_[1].score, "the linear model is better"
    assert found.members_[0].candidate.steps == 6
    kept = estimator.set_params(preset=replace(recipe, with_linear=True)).fit(table, "y").search_
    assert [member.candidate for member in kept.members_] == [LINEAR]


def test_a_network_that_is_alone_has_all_threads(monkeypatch):
    """The time of the first network is measured with the threads that it will train with."""
    limits, measured, here = [], [], threading.local()

    @contextmanager
    def limited(count):
        limits.append(count)
        here.count = count
        yield
        here.count = None

    for module in (judging, members):
        monkeypatch.setattr(module, "thread_limit", limited)
    monkeypatch.setattr(judging, "get_num_threads", lambda: 6)

    def measure(self, candidate, together, enough, unsure):
        measured.append(together(lambda: here.count))
        return 0.0

    monkeypatch.setattr(judging.Forecast, "measure", measure)
    _, _, rows = rows_of("regression")
    alone = replace(Recipe.preset("realmlp"), large=(TINY[0],))
    for recipe, jobs, expected in ((alone, -1, 6), (Recipe(small=TINY, trials=2, folds=2, members=2), 3, 2)):
        limits.clear()
        cook(rows, recipe, ChosenMetric(rows.target), 3, jobs, 1000.0)
        assert set(limits) == {expected}
        assert measured.pop() == expected


def test_the_command_takes_every_preset():
    for preset in PRESETS:
        given = cli._parser().parse_args(["tune", "table.csv", "--target", "y", "--preset", preset])
        assert given.preset == preset


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "Candidate: epochs must be >= 1, got 0"),
        ({"design": "mlp"}, "Candidate: unknown design 'mlp'; known: plain, realmlp, realmlp_td, tabm"),
        ({"design": "realmlp_td", "bins": 8}, "Candidate: bins must be 0 with the design 'realmlp_td', got 8"),
        ({"task": "binary"}, "Candidate: unknown task 'binary'; known: classification, regression"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Candidate(**change)
