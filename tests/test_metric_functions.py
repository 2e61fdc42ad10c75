"""Functions of Python as metrics."""

import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, losses, metrics
from programs import refusal, trainer_of
from scored import scored, weights


def identity(features, loss="mse", **compiled):
    """A network whose outputs are its features, and which does not learn: its steps vanish in float32."""
    model = fr.Sequential([fr.layers.Input(features), fr.layers.Dense(features, use_bias=False)], seed=3)
    model.compile(fr.optimizers.SGD(1e-30, clipvalue=1e-30), loss, **compiled)
    model.set_weights([np.eye(features, dtype=np.float32)])
    return model


def rows_of_errors(y_true, y_pred):
    """One value for each row."""
    return np.abs(y_true - y_pred).mean(axis=-1)


def all_errors(y_true, y_pred):
    return np.abs(y_true - y_pred)


def largest(y_true, y_pred):
    """One number."""
    return np.abs(y_true - y_pred).max()


def test_a_function_sees_the_whole_epoch():
    y, t = scored("numbers")
    r, seen = weights(), []

    def spread(y_true, y_pred):
        seen.append((y_true, y_pred))
        return np.std(y_true - y_pred)

    plain, weighted = [spread, rows_of_errors, all_errors, largest], [rows_of_errors, largest]
    model = identity(4, metrics=plain, weighted_metrics=weighted)
    history = model.fit(y, t, batch_size=16, sample_weight=r, validation_data=(y, t, r), epochs=2, verbose=0).history
    assert list(history)[:7] == [
        "loss", "spread", "rows_of_errors", "all_errors", "largest", "weighted_rows_of_errors", "weighted_largest",
    ]  # fmt: skip
    assert len(seen) == 4
    order = np.lexsort(seen[0][1].T)
    np.testing.assert_array_equal(seen[0][1][order], y[np.lexsort(y.T)])
    np.testing.assert_array_equal(seen[0][0][order], t[np.lexsort(y.T)])
    np.testing.assert_array_equal(seen[1][1], y)
    assert seen[1][0].dtype == seen[1][1].dtype == np.float32
    for key in ("", "val_"):
        assert history[f"{key}spread"] == pytest.approx([np.std(t - y)] * 2, rel=1e-6)
        assert history[f"{key}rows_of_errors"] == pytest.approx([np.abs(t - y).mean()] * 2, rel=1e-6)
        assert history[f"{key}all_errors"] == pytest.approx(history[f"{key}rows_of_errors"], rel=1e-6)
        weighted = np.average(np.abs(t - y).mean(axis=1), weights=r)
        assert history[f"{key}weighted_rows_of_errors"] == pytest.approx([weighted] * 2, rel=1e-6)
        assert history[f"{key}largest"] == history[f"{key}weighted_largest"] == [float(np.abs(t - y).max())] * 2
    assert model.evaluate(y, t, verbose=0)[4] == np.abs(t - y).max()


def test_a_function_sees_labels_and_what_predict_returns():
    y, t = scored("labels")
    seen = []

    def look(y_true, y_pred):
        seen.append((y_true, y_pred))
        return 0.0

    model = identity(5, losses.SparseCategoricalCrossentropy(from_logits=True), metrics=[look, "auc", "accuracy"])
    model.evaluate(y, t, verbose=0)
    np.testing.assert_array_equal(seen[0][0], t)
    assert seen[0][0].dtype == np.int32
    np.testing.assert_array_equal(seen[0][1], y)


def test_directions_and_names():
    def my_accuracy(y_true, y_pred):
        return 0.5

    def my_gain(y_true, y_pred):
        return 0.5

    my_gain.direction = "max"
    assert metrics.get(largest) == metrics.MeanMetricWrapper(largest)
    assert metrics.get(largest).direction == "min"
    assert metrics.get(my_accuracy).direction == metrics.get(my_gain).direction == "max"
    assert metrics.MeanMetricWrapper(largest, "big", direction="max").direction == "max"
    assert metrics.MeanMetricWrapper(largest, "big").name == "big"
    y, t = scored("numbers")
    stopping = callbacks.EarlyStopping(monitor="val_my_gain", patience=1)
    model = identity(4, metrics=[my_gain])
    model.fit(y, t, epochs=5, validation_data=(y, t), callbacks=[stopping], verbose=0)
    assert stopping.best == 0.5
    assert stopping.stopped_epoch == 1


def test_arguments_of_a_function():
    def scaled(y_true, y_pred, factor):
        return factor * np.abs(y_true - y_pred)

    y, t = scored("one number")
    made = metrics.MeanMetricWrapper(scaled, factor=3.0)
    assert identity(1, metrics=[made]).evaluate(y, t, verbose=0)[1] == pytest.approx(3 * np.abs(t - y).mean(), rel=1e-6)


def test_a_function_outside_of_a_fit():
    y, t = scored("numbers")
    made = metrics.MeanMetricWrapper(largest)
    assert made.result() == 0.0
    made.update_state(t[:50], y[:50])
    made.update_state(t[50:], y[50:])
    assert made.result() == np.abs(t - y).max()
    rows = metrics.MeanMetricWrapper(rows_of_errors)
    assert rows(t, y, weights()) == pytest.approx(np.average(np.abs(t - y).mean(axis=1), weights=weights()), rel=1e-6)


@pytest.mark.parametrize(
    ("function", "error", "patterns"),
    [
        (lambda t, p: "good", TypeError, ["metric 'f'", "must return numbers", "'good'"]),
        (lambda t, p: np.zeros(3), ValueError, ["metric 'f'", "one for each of 97 rows", r"\(3,\)"]),
        (lambda t, p: 1 / 0, ZeroDivisionError, ["division"]),
    ],
)
def test_a_function_that_fails_ends_the_call_and_undoes_the_epoch(function, error, patterns):
    y, t = scored("numbers")
    made = metrics.MeanMetricWrapper(function, name="f")
    model = identity(4, metrics=[made])
    with refusal(error, patterns):
        model.evaluate(y, t, verbose=0)
    model.compile(fr.optimizers.Adam(0.1), "mse", [made])
    before = model.get_weights()
    with refusal(error, patterns):
        model.fit(y, t, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert trainer_of(model).step == trainer_of(model).epoch == 0
    assert model.history.history["loss"] == []
    model.compile(fr.optimizers.Adam(0.1), "mse")
    assert len(model.fit(y, t, verbose=0).epoch) == 1


def test_a_failure_in_a_later_epoch_keeps_those_before():
    y, t = scored("numbers")
    calls = []

    def second(y_true, y_pred):
        calls.append(0)
        if len(calls) == 2:
            raise KeyError("second")
        return 1.0

    model = identity(4, metrics=[second])
    model.compile(fr.optimizers.Adam(0.1), "mse", [second])
    with pytest.raises(KeyError, match="second"):
        model.fit(y, t, epochs=3, verbose=0)
    assert model.history.history["second"] == [1.0]
    assert trainer_of(model).epoch == 1
    twin = identity(4)
    twin.compile(fr.optimizers.Adam(0.1), "mse")
    twin.fit(y, t, epochs=1, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], twin.get_weights()[0])


def test_a_function_may_use_the_model():
    """The network is not locked meanwhile, and an evaluation within one disturbs nothing."""
    y, t = scored("numbers")
    found = []

    def nested(y_true, y_pred):
        if not found:
            found.append(None)
            found.append(model.predict(y))
            found.append(model.evaluate(y[:10], t[:10], verbose=0, return_dict=True))
        return rows_of_errors(y_true, y_pred)

    model = identity(4, metrics=["auc", nested, "median_absolute_error"])
    t = (t > 0).astype(np.float32)
    whole = model.evaluate(y, t, verbose=0, return_dict=True)
    np.testing.assert_array_equal(found[1], y)
    assert found[2]["median_absolute_error"] == metrics.MedianAbsoluteError()(t[:10], y[:10])
    assert whole["median_absolute_error"] == metrics.MedianAbsoluteError()(t, y)
    found.clear()
    history = model.fit(y, t, validation_data=(y, t), verbose=0).history
    assert history["val_median_absolute_error"] == [whole["median_absolute_error"]]


def test_a_function_does_not_go_into_a_file_and_into_a_pickle(tmp_path):
    y, t = scored("numbers")
    model = identity(4, metrics=["mae", largest], weighted_metrics=[rows_of_errors])
    model.fit(y, t, verbose=0)
    model.save(tmp_path / "m.safetensors")
    assert [metric.name for metric in fr.load(tmp_path / "m.safetensors").metrics] == ["mae"]
    copied = pickle.loads(pickle.dumps(model))
    assert copied.metrics == model.metrics
    assert copied.evaluate(y, t, verbose=0) == model.evaluate(y, t, verbose=0)


def test_what_is_no_function():
    with refusal(TypeError, ["fn must be a function", "3"]):
        metrics.MeanMetricWrapper(3)
    with refusal(ValueError, ["unknown direction 'up'"]):
        metrics.MeanMetricWrapper(largest, direction="up")
    with refusal(ValueError, ["dtype must be None or 'float32'", "'float64'"]):
        metrics.MeanMetricWrapper(largest, dtype="float64")
    with refusal(ValueError, ["name must not be empty"]):
        metrics.MeanMetricWrapper(largest, name=" ")
    with refusal(TypeError, ["expected a metric", r"write AUC\(\.\.\.\)"]):
        metrics.get(metrics.AUC)


def test_equal_functions_are_equal_metrics():
    assert metrics.get(largest) == metrics.get(largest) != metrics.get(all_errors)
    assert hash(metrics.get(largest)) == hash(metrics.get(largest))
    assert "largest" in repr(metrics.get(largest))
