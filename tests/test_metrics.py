"""Metrics as fit and evaluate report them, against the oracle's."""

import dataclasses

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import METRIC_CASES
from fastreg import metrics
from pairs import build_pair, targets
from programs import trainer_of

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
    return row.targets in (targets, "any") and row.outputs in (None, units) and row.least_outputs <= units


@pytest.mark.parametrize(
    ("name", "loss", "last", "units"),
    [(name, *task) for name, case in METRIC_CASES.items() for task in TASKS if fits(case.oracle, task[0], task[2])],
)
def test_every_metric_of_every_task(name, loss, last, units, rng):
    made, oracle = METRIC_CASES[name]
    model, _ = build_pair([("dense", 9, "tanh"), ("dense", units, last)], 6, rng, loss=loss, metrics=[made], seed=1)
    x, t = rng.normal(size=(45, 6)).astype(np.float32), targets(loss, 45, units, rng)
    with np.errstate(invalid="ignore"):  # a logarithm of a negative output
        expected = oracle.value(model.predict(x), t)
    # The loss and predict round probabilities differently, which correlations of nearly equal ones enlarge.
    np.testing.assert_allclose(model.evaluate(x, t, verbose=0)[1], expected, rtol=1e-5, atol=2.0**-23)


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


def identity(features, metric, loss="mean_squared_error"):
    """A network whose outputs are its features."""
    model = fr.Sequential([fr.layers.Input(features), fr.layers.Dense(features, use_bias=False)])
    model.compile("sgd", loss, [metric])
    model.set_weights([np.eye(features, dtype=np.float32)])
    return model


@pytest.mark.parametrize(
    ("outputs", "positive", "expected"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0),
        ([0, 0, 0, 0, 0], [0, 1, 1, 0, 1], 0.5),
        ([-1, 2, 2, 3], [0, 1, 0, 1], 0.875),
        ([-0.0, 0.0], [0, 1], 0.5),
        ([1, 2, 3], [1, 1, 1], np.nan),
        ([1, 2, 3], [0, 0, 0], np.nan),
    ],
)
def test_auc_of_a_few_outputs(outputs, positive, expected):
    """Equal outputs count a half; without rows of both kinds there is none."""
    model = identity(1, "auc")
    x, t = np.array(outputs, np.float32)[:, None], np.array(positive, np.float32)[:, None]
    np.testing.assert_array_equal(model.evaluate(x, t, verbose=0)[1], expected)


def test_auc_of_logits(rng):
    x, t = rng.normal(size=(60, 1)).astype(np.float32), rng.integers(0, 2, (60, 1))
    model = identity(1, "auc", fr.losses.BinaryCrossentropy(from_logits=True))
    # So large that their probabilities are all 0 or 1: only the logits tell them apart.
    assert model.evaluate(1e4 * x, t, verbose=0)[1] == METRIC_CASES["auc"].oracle.value(x, t)


def test_auc_of_outputs_that_are_no_numbers():
    """Both columns of the hidden layer become infinite, and their difference is NaN."""
    model = fr.Sequential([fr.layers.Input(1), fr.layers.Dense(2, use_bias=False), fr.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse", ["auc"])
    model.set_weights([np.full((1, 2), 3e38, np.float32), np.array([[1.0], [-1.0]], np.float32)])
    x, t = np.array([[10.0], [0.0], [1e-6]], np.float32), np.array([[1.0], [0.0], [1.0]], np.float32)
    assert np.isnan(model.evaluate(x, t, verbose=0)[1])
    assert model.evaluate(x[1:], t[1:], verbose=0)[1] == 0.5  # both are 0


def test_numbers_of_outputs():
    model = identity(3, "f1_score")
    with pytest.raises(ValueError, match="metric 'f1_score' needs 1 output, the network has 3"):
        model.evaluate(np.eye(3), np.eye(3), verbose=0)
    model = identity(3, fr.metrics.Precision(class_id=3))
    with pytest.raises(ValueError, match="metric 'precision' needs at least 4 outputs, the network has 3"):
        model.evaluate(np.eye(3), np.eye(3), verbose=0)


@pytest.mark.parametrize("rows", [1, 128, 129, 40_000])
def test_metrics_of_many_rows(rows, rng):
    """Of one block of rows, of a few, and of so many that several blocks share their sums."""
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    t = np.eye(3)[rng.integers(0, 3, rows)]
    model = identity(3, "categorical_accuracy", fr.losses.CategoricalCrossentropy(from_logits=True))
    assert model.evaluate(x, t, verbose=0)[1] == (x.argmax(1) == t.argmax(1)).sum() / rows


def test_auc_of_many_rows(rng):
    y, t = rng.integers(0, 1000, (2000, 1)).astype(np.float32), rng.integers(0, 2, (2000, 1))
    expected = METRIC_CASES["auc"].oracle.value(y, t)
    assert identity(1, "auc").evaluate(y, t, verbose=0)[1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", METRIC_CASES)
def test_no_metric_depends_on_the_threads(name, rng):
    """In training, validation and evaluation, with batches that end within a block."""
    case = METRIC_CASES[name]
    loss, last, units = next(task for task in TASKS if fits(case.oracle, task[0], task[2]))
    x, t = rng.normal(size=(300, 6)).astype(np.float32), targets(loss, 300, units, rng)
    stack, found, before = [("dense", 9, "tanh"), ("dense", units, last)], [], fr.get_num_threads()
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            model, _ = build_pair(stack, 6, np.random.default_rng(1), loss=loss, metrics=[case.made], seed=1)
            trainer_of(model).parallel_threshold = 0.0
            history = model.fit(x, t, batch_size=70, epochs=2, validation_split=0.4, verbose=0).history
            found.append([*np.ravel(list(history.values())), *model.evaluate(x, t, verbose=0)])
    finally:
        fr.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


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
        found = metrics.MeanSquaredError() if name in ("accuracy", "acc") else metrics.get(name)
        model = fr.Sequential([fr.layers.Dense(found.outputs or 2)])
        loss = "sparse_categorical_crossentropy" if found.targets == "labels" else "mse"
        model.compile("adam", loss, [name])
        assert [metric.name for metric in model.metrics] == [name]


@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_an_accuracy_is_not_known_without_a_loss(name):
    with pytest.raises(ValueError, match=rf"^metrics\.get: which accuracy is meant .*BinaryAccuracy.*, got '{name}'$"):
        metrics.get(name)


@pytest.mark.parametrize("make", [
    lambda at: fr.metrics.BinaryAccuracy(threshold=at),
    lambda at: fr.metrics.Precision(thresholds=at),
    lambda at: fr.metrics.TruePositives(thresholds=at),
])
def test_a_threshold_of_logits_is_refused(make, rng):
    """Keras's programs with from_logits have threshold=0; here 0.5 gives the same number."""
    x = rng.normal(size=(50, 1)).astype(np.float32)
    y = x[:, 0] + rng.normal(size=50) > 0
    loss = fr.losses.BinaryCrossentropy(from_logits=True)
    model = fr.Sequential([fr.layers.Dense(1, kernel_initializer="ones")], seed=0)
    model.compile("adam", loss, [make(0.0)])
    with pytest.raises(ValueError, match=r"must have thresholds? > 0, got 0.0: .*from_logits=True.*thresholds?=0.5"):
        model.fit(x, y, verbose=0)
    model.compile("adam", loss, [make(0.5)])
    model.fit(x, y, epochs=1, verbose=0)
    logits, value = model.predict(x)[:, 0], model.evaluate(x, y, verbose=0)[1]
    right = np.count_nonzero((logits > 0) & y)
    found = max(1, np.count_nonzero(logits > 0))
    expected = {"binary_accuracy": np.mean((logits > 0) == y), "precision": right / found}
    assert value == pytest.approx(expected.get(make(0.5).name, right))
    model.compile("adam", "mse", [make(0.0)])  # outputs are no probabilities then
    model.fit(x, y, verbose=0)
