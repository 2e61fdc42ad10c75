"""Metrics as fit and evaluate report them, against the oracle's."""

import dataclasses

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import METRIC_CASES
from fastreg import metrics
from pairs import build_pair, targets

# loss, last activation, units, metric as given, the same in the oracle
CASES = [
    ("binary_crossentropy", "sigmoid", 1, "accuracy", "binary_accuracy"),
    ("binary_crossentropy", "sigmoid", 3, "binary_accuracy", "binary_accuracy"),
    ("categorical_crossentropy", "softmax", 5, "accuracy", "categorical_accuracy"),
    ("categorical_crossentropy", "softmax", 17, "categorical_accuracy", "categorical_accuracy"),
    ("sparse_categorical_crossentropy", "softmax", 5, "accuracy", "sparse_categorical_accuracy"),
    ("sparse_categorical_crossentropy", "softmax", 5, "acc", "sparse_categorical_accuracy"),
    ("mean_squared_error", "linear", 1, "mse", "mean_squared_error"),
    ("mean_squared_error", "linear", 4, "mae", "mean_absolute_error"),
    ("mean_squared_error", "linear", 4, metrics.MeanAbsoluteError(name="spread"), "mean_absolute_error"),
    ("binary_crossentropy", "sigmoid", 3, "mse", "mean_squared_error"),
]


# loss, last activation, units: networks whose outputs metrics can be of.
TASKS = [
    ("mean_squared_error", "linear", 1),
    ("mean_squared_error", "linear", 4),
    ("binary_crossentropy", "sigmoid", 1),
    ("binary_crossentropy", "sigmoid", 3),
    ("categorical_crossentropy", "softmax", 5),
    ("sparse_categorical_crossentropy", "softmax", 5),
]


def fits(row, loss, units):
    """Whether a metric can be of the outputs and targets of a task."""
    targets = "labels" if loss.startswith("sparse") else "matrix"
    return row.targets in (targets, "any") and row.outputs in (None, units)


@pytest.mark.parametrize(
    ("name", "loss", "last", "units"),
    [(name, *task) for name, case in METRIC_CASES.items() for task in TASKS if fits(case.oracle, task[0], task[2])],
)
def test_every_metric_of_every_task(name, loss, last, units, rng):
    check_metric(loss, last, units, METRIC_CASES[name].made, METRIC_CASES[name].oracle.value, rng)


@pytest.mark.parametrize(("loss", "last", "units", "given", "name"), CASES)
def test_metric(loss, last, units, given, name, rng):
    """By a name, or with one of its own."""
    check_metric(loss, last, units, given, lambda y, t: ref.metric(name, y, t), rng)


def check_metric(loss, last, units, given, value, rng):
    """evaluate sees the outputs of inference, fit those of training before each step; the last batch is short."""
    stack = [("dense", 9, "tanh"), ("batch_norm",), ("dropout", 0.2), ("dense", units, last)]
    model, net = build_pair(stack, 6, rng, loss=loss, metrics=[given], seed=1)
    x, t = rng.normal(size=(45, 6)).astype(np.float32), targets(loss, 45, units, rng)
    key = given if isinstance(given, str) else given.name
    evaluated = model.evaluate(x, t, return_dict=True, verbose=0)
    np.testing.assert_allclose(evaluated[key], value(net.forward(x), t), rtol=1e-6)
    trained = model.fit(x, t, batch_size=16, shuffle=False, verbose=0).history
    assert list(trained) == ["loss", key]
    seen = []
    for rows in (slice(0, 16), slice(16, 32), slice(32, 48)):
        seen.append(net.forward(x[rows], training=True))
        net.train_step(x[rows], t[rows])
    np.testing.assert_allclose(trained[key], [value(np.concatenate(seen), t)], rtol=1e-5)


def test_accuracies_at_their_borders(rng):
    """A probability of exactly 0.5 is a no; of equal outputs the first counts."""
    binary, _ = build_pair(
        [("activation", "linear"), ("dense", 1, "linear", {"use_bias": False})], 1, rng, metrics=["binary_accuracy"]
    )
    binary.set_weights([np.ones((1, 1), np.float32)])
    x = np.array([[0.5], [0.5], [np.nextafter(np.float32(0.5), np.float32(1.0))]], np.float32)
    assert binary.evaluate(x, np.array([0.0, 1.0, 1.0]), verbose=0)[1] == pytest.approx(2 / 3)
    ties, _ = build_pair(
        [("dense", 3, "softmax")], 1, rng, loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    ties.set_weights([np.zeros((1, 3), np.float32), np.zeros(3, np.float32)])
    assert ties.evaluate(np.ones((4, 1)), np.array([0, 1, 2, 0]), verbose=0)[1] == 0.5


def test_metrics_ignore_sample_weights(rng):
    model, net = build_pair([("dense", 2)], 3, rng, metrics=["mae"])
    x, t, r = (
        rng.normal(size=(20, 3)).astype(np.float32),
        targets("mean_squared_error", 20, 2, rng),
        rng.uniform(0.1, 9.0, 20),
    )
    assert model.evaluate(x, t, sample_weight=r, verbose=0)[1] == model.evaluate(x, t, verbose=0)[1]
    np.testing.assert_allclose(model.evaluate(x, t, sample_weight=r, verbose=0)[0], net.evaluate(x, t, r), rtol=1e-6)


@pytest.mark.parametrize(("loss", "activation", "units", "given", "expected"), CASES)
def test_a_model_tells_its_metrics(loss, activation, units, given, expected, rng):
    model, _ = build_pair([("dense", units, activation)], 3, rng, loss=loss, metrics=[given])
    (metric,) = model.metrics
    assert metric.name == getattr(given, "name", given)
    assert type(metric) is type(metrics.get(expected))


@pytest.mark.parametrize("name", METRIC_CASES)
def test_a_metric_that_is_given_twice_keeps_its_settings_under_a_key_of_its_own(name, rng):
    made, oracle = METRIC_CASES[name]
    loss, last, units = next(task for task in TASKS if fits(oracle, task[0], task[2]))
    model, _ = build_pair([("dense", units, last)], 3, rng, loss=loss, metrics=[made, made])
    assert model.metrics == [made, dataclasses.replace(made, name=f"{made.name}_1")]


def test_metrics_of_a_model_without_a_loss():
    model = fr.Sequential([fr.layers.Dense(1)])
    assert model.metrics == []
    model.compile("adam", None, ["mse"])
    assert model.metrics == []


def test_every_name_is_a_metric():
    assert {"accuracy", "acc", "mse", "mae", "binary_accuracy"} <= set(metrics.names())
    for name in metrics.names():
        model = fr.Sequential([fr.layers.Dense(2)])
        loss = "sparse_categorical_crossentropy" if name.startswith("sparse") else "mse"
        model.compile("adam", loss, [name])
        assert [metric.name for metric in model.metrics] == [name]
