"""Metrics in fits and evaluations, with the weights of rows and without, against the same metric outside of them."""

import copy

import fastreg as fr
import numpy as np
import pytest
from cases import METRIC_CASES
from fastreg import callbacks, losses, metrics
from programs import refusal, trainer_of
from scored import KINDS, goes, scored, weights

MATRICES = [kind for kind in KINDS if kind not in ("labels", "two labels")]
ROWS = [
    (name, kind) for name, case in METRIC_CASES.items() for kind in KINDS if goes(case.oracle, *scored(kind))
]


def identity(features, loss="mse", **compiled):
    """A network whose outputs are its features, and which does not learn: its steps vanish in float32."""
    model = fr.Sequential([fr.layers.Input(features), fr.layers.Dense(features, use_bias=False)], seed=3)
    model.compile(fr.optimizers.SGD(1e-30, clipvalue=1e-30), loss, **compiled)
    model.set_weights([np.eye(features, dtype=np.float32)])
    return model


def outside(made, t, y, r=None):
    return copy.copy(made)(t, y, r)


@pytest.mark.parametrize(("name", "kind"), ROWS)
def test_a_fit_and_an_evaluation_give_what_the_metric_gives(name, kind):
    made = METRIC_CASES[name].made
    (y, t), r = scored(kind), weights()
    labels = np.ndim(t) == 1
    x, loss = (np.log(y + 1e-6), losses.SparseCategoricalCrossentropy(from_logits=True)) if labels else (y, "mse")
    model = identity(y.shape[1], loss, metrics=[made.renamed("plain")], weighted_metrics=[made.renamed("heavy")])
    given, rows = r.copy(), np.random.default_rng(0).permutation(97)[:60]
    history = model.fit(
        x, t, batch_size=16, sample_weight=given, validation_data=(x, t, r), verbose=0, rows=rows
    ).history
    if labels:
        z = x - x.max(axis=1, keepdims=True)
        y = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        if getattr(made, "from_logits", False):
            y = x
    # Outputs that are made from logits, and weights that are divided by their mean, are rounded.
    rtol, atol = (2e-4, 1e-5) if labels else (1e-6, 1e-7)
    plain, heavy = outside(made, t[rows], y[rows]), outside(made, t[rows], y[rows], r[rows])
    np.testing.assert_allclose(history["plain"], [plain], rtol=rtol, atol=atol)
    np.testing.assert_allclose(history["heavy"], [heavy], rtol=rtol, atol=atol)
    plain, heavy = outside(made, t, y), outside(made, t, y, r)
    np.testing.assert_allclose(history["val_plain"], [plain], rtol=rtol, atol=atol)
    np.testing.assert_allclose(history["val_heavy"], [heavy], rtol=rtol, atol=atol)
    evaluated = model.evaluate(x, t, sample_weight=r, return_dict=True, verbose=0)
    np.testing.assert_allclose([evaluated["plain"], evaluated["heavy"]], [plain, heavy], rtol=rtol, atol=atol)
    evaluated = model.evaluate(x, t, return_dict=True, verbose=0)
    np.testing.assert_array_equal(evaluated["plain"], evaluated["heavy"])


@pytest.mark.parametrize(("name", "kind"), ROWS)
@pytest.mark.parametrize("call", ["test_on_batch", "train_on_batch"])
def test_a_batch_gives_what_the_metric_gives(call, name, kind):
    """The loss of a batch is divided by its rows, but metrics by their weights, however large those are."""
    made = METRIC_CASES[name].made
    (y, t), r = scored(kind), 3 * weights()
    labels = np.ndim(t) == 1
    x, loss = (np.log(y + 1e-6), losses.SparseCategoricalCrossentropy(from_logits=True)) if labels else (y, "mse")
    model = identity(y.shape[1], loss, metrics=[made.renamed("plain")], weighted_metrics=[made.renamed("heavy")])
    expected = model.evaluate(x, t, sample_weight=r, return_dict=True, verbose=0)
    found = getattr(model, call)(x, t, sample_weight=r, return_dict=True)
    for key in ("plain", "heavy"):
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-6, atol=1e-7)
    assert found["loss"] == pytest.approx(expected["loss"] * np.mean(r), rel=1e-6)


@pytest.mark.parametrize("name", METRIC_CASES)
def test_no_weighted_metric_depends_on_the_threads(name):
    kind = next(kind for other, kind in ROWS if other == name)
    y, t = scored(kind, rows=300)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True) if np.ndim(t) == 1 else "mse"
    found, before = [], fr.get_num_threads()
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            model = identity(y.shape[1], loss, weighted_metrics=[METRIC_CASES[name].made])
            trainer_of(model).parallel_threshold = 0.0
            history = model.fit(y, t, batch_size=70, sample_weight=weights(300), validation_split=0.4, verbose=0)
            found.append([*np.ravel(list(history.history.values())), *model.evaluate(y, t, verbose=0)])
    finally:
        fr.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_counts_are_sums_of_weights():
    """Also in training, where weights are divided by their mean."""
    y, t = scored("yes")
    r = weights()
    model = identity(1, metrics=["true_positives"], weighted_metrics=["true_positives"])
    history = model.fit(y, t, batch_size=16, sample_weight=r, verbose=0).history
    hits = (y > 0.5) & (t > 0.5)
    assert history["true_positives"] == [hits.sum()]
    assert history["weighted_true_positives"] == pytest.approx([r[hits[:, 0]].sum()], rel=1e-6)


@pytest.mark.filterwarnings("ignore:the loss BinaryCrossentropy takes probabilities")  # the inputs are some
def test_weights_of_classes_are_weights_of_rows():
    y, t = scored("yes")
    model = identity(1, "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    history = model.fit(y, t, class_weight={0: 1.0, 1: 5.0}, validation_data=(y, t), verbose=0).history
    right, r = ((y > 0.5) == (t > 0.5))[:, 0], np.where(t[:, 0] > 0.5, 5.0, 1.0)
    assert history["accuracy"] == history["val_accuracy"] == history["val_weighted_accuracy"]
    assert history["weighted_accuracy"] == pytest.approx([np.average(right, weights=r)], rel=1e-6)


def test_keys_are_those_of_keras():
    model = identity(2, metrics=["mse", "mae"], weighted_metrics=["mse", "rmse", "mse"])
    assert [metric.name for metric in model.metrics] == ["mse", "mae", "weighted_mse", "rmse", "weighted_mse_1"]
    y, t = scored("several yes")
    assert list(identity(3, weighted_metrics=["mse"]).fit(y, t, verbose=0).history) == ["loss", "mse"]


def test_several_outputs():
    entry = fr.Input((2,))
    outputs = {name: fr.layers.Dense(1, name=name)(entry) for name in "ab"}
    model = fr.Model(entry, outputs, seed=0)
    model.compile("sgd", "mse", {"a": ["mae"]}, weighted_metrics={"a": "mae", "b": ["mse"]})
    x, t, r = np.random.default_rng(0).normal(size=(3, 40, 2)).astype(np.float32)
    r = np.abs(r)
    y = {"a": t[:, 0], "b": t[:, 1]}
    found = model.evaluate(x, y, sample_weight={"a": r[:, 0], "b": r[:, 1]}, return_dict=True, verbose=0)
    assert list(found) == ["loss", "a_loss", "b_loss", "a_mae", "a_weighted_mae", "b_mse"]
    p = model.predict(x)
    assert found["a_mae"] == pytest.approx(np.abs(p["a"][:, 0] - t[:, 0]).mean(), rel=1e-6)
    weighted = np.average(np.abs(p["a"][:, 0] - t[:, 0]), weights=r[:, 0])
    assert found["a_weighted_mae"] == pytest.approx(weighted, rel=1e-6)
    assert found["b_mse"] == pytest.approx(found["b_loss"], rel=1e-6)
    with refusal(ValueError, ["weighted_metrics must have names of outputs as keys", "'c'"]):
        model.compile("sgd", "mse", weighted_metrics={"c": "mae"})


def test_bad_weighted_metrics():
    with refusal(ValueError, ["compile: weighted_metrics", "unknown metric 'luck'"]):
        identity(2, weighted_metrics=["luck"])
    with refusal(TypeError, ["compile: weighted_metrics must be a list"]):
        identity(2, weighted_metrics=3)


def test_they_are_in_files_and_configurations(tmp_path):
    made = [metrics.AUC(curve="PR"), metrics.F1Score(class_id=0, name="f")]
    model = identity(1, metrics=["mse"], weighted_metrics=made)
    y, t = scored("yes")
    before = model.fit(y, t, sample_weight=weights(), verbose=0).history
    model.save(tmp_path / "m.safetensors")
    loaded = fr.load(tmp_path / "m.safetensors")
    assert loaded.metrics == model.metrics
    assert loaded.get_compile_config() == model.get_compile_config()
    assert loaded.evaluate(y, t, verbose=0, sample_weight=weights()) == model.evaluate(
        y, t, verbose=0, sample_weight=weights()
    )
    other = fr.Sequential([fr.layers.Input(1), fr.layers.Dense(1)])
    other.compile_from_config(model.get_compile_config())
    assert other.metrics == model.metrics
    assert list(before) == [metric.name for metric in [type("loss", (), {"name": "loss"}), *model.metrics]]


@pytest.mark.parametrize(
    ("made", "direction"),
    [(metrics.AUC(), "max"), (metrics.FalsePositives(), "min"), (metrics.BrierScore(), "min")],
)
def test_early_stopping_knows_the_direction(made, direction):
    y, t = scored("yes")
    for key in (made.name, f"val_{made.name}"):
        stopping = callbacks.EarlyStopping(monitor=key, patience=1, baseline=0.0 if direction == "min" else 1e9)
        model = identity(1, weighted_metrics=[made])
        history = model.fit(y, t, epochs=9, validation_data=(y, t), callbacks=[stopping], verbose=0)
        assert len(history.epoch) == 2  # never better than the baseline
        stopping = callbacks.EarlyStopping(monitor=key, patience=1, baseline=1e9 if direction == "min" else -1.0)
        model.fit(y, t, epochs=3, validation_data=(y, t), callbacks=[stopping], verbose=0)
        assert stopping.best == pytest.approx(history.history[key][0])


@pytest.mark.filterwarnings("ignore:the loss BinaryCrossentropy takes probabilities")  # the inputs are some
def test_a_search_keeps_weights_and_knows_directions():
    y, t = scored("yes", rows=60)

    def build(params):
        assert params["a"] >= 0.0
        return identity(1, "binary_crossentropy", weighted_metrics=["true_positives"])

    search = fr.search.RandomSearch(
        build, {"a": fr.search.Uniform(0.0, 1.0)}, n_trials=2, cv=2, refit=False, n_jobs=1, seed=0,
        scoring=["auc", "brier_score", "true_positives", metrics.RecallAtPrecision(0.5)],
    )  # fmt: skip
    search.fit(y, t, sample_weight=np.full(60, 2.0))
    (trial, *_) = search.trials_
    assert set(trial.scores) == {"auc", "brier_score", "true_positives", "recall_at_precision"}
    assert sum(trial.scores["true_positives"]) == 2.0 * ((y > 0.5) & (t > 0.5)).sum()
    assert search.best_score_ == max(np.mean(one.scores["auc"]) for one in search.trials_)
