"""Losses outside of a fit: called, as functions of rows, and what they make of targets; ignored labels in a fit too."""

from dataclasses import replace

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import LOSS_CASES
from conftest import EPS
from fastreg import layers, losses, optimizers
from pairs import targets
from test_losses import LOSSES, loss_case

WEIGHTS = np.float32([0.5, 0.0, 2.0, 1.0, 3.0])
FUNCTIONS = {
    name: getattr(losses, name)
    for name in losses.__all__
    if name.islower() and name not in ("get", "serialize", "deserialize")
}


def rows_of(name, rng):
    y, t = loss_case(LOSSES[name], 5, 4, rng)
    return y, t, ref.loss_rows(LOSSES[name], y, t)


@pytest.mark.parametrize("name", LOSSES)
def test_each_reduction(name, rng):
    """As Keras defines them: only mean_with_sample_weight divides by the weights."""
    y, t, rows = rows_of(name, rng)
    made = LOSS_CASES[name].made
    expected = {
        "sum_over_batch_size": ((WEIGHTS * rows).sum() / 5, rows.mean()),
        "mean": ((WEIGHTS * rows).sum() / 5, rows.mean()),
        "mean_with_sample_weight": (np.average(rows, weights=WEIGHTS), rows.mean()),
        "sum": ((WEIGHTS * rows).sum(), rows.sum()),
        "none": (WEIGHTS * rows, rows),
        None: (WEIGHTS * rows, rows),
    }
    close = {"rtol": 1e-4, "atol": 2e-4}
    for reduction, (weighted, plain) in expected.items():
        loss = replace(made, reduction=reduction)
        for weight in (WEIGHTS, WEIGHTS[:, None]):
            found = loss(t, y, sample_weight=weight)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, weighted, **close)
        np.testing.assert_allclose(loss(t, y), plain, **close)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gives_the_value_of_each_row(name, rng):
    y, t, rows = rows_of(name, rng)
    found = FUNCTIONS[name](t, y)
    assert found.shape == (5,)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, rows, rtol=1e-5, atol=1e-5)
    wide = FUNCTIONS[name](t.reshape(5, 1, *t.shape[1:]), y[:, None, :])
    np.testing.assert_array_equal(wide[:, 0], found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compile_takes_the_function(name):
    model = fr.Sequential([layers.Dense(2)])
    model.compile("sgd", FUNCTIONS[name])
    assert model.loss == losses.get(name) == type(model.loss)()


def test_every_loss_of_keras_is_a_function_too():
    keys = {case.made.key for case in LOSS_CASES.values()} - {"tweedie", "quantile", "gaussian_nll"}
    assert keys == set(FUNCTIONS)


def test_names_of_keras():
    short = {"mae": "MeanAbsoluteError", "MSE": "MeanSquaredError", "KLD": "KLDivergence", "logcosh": "LogCosh"}
    assert {name: type(losses.get(name)).__name__ for name in short} == short
    assert losses.Huber().name == "huber_loss"
    assert losses.MeanSquaredError().name == "mean_squared_error"
    assert losses.MeanSquaredError("sum", "mine").name == "mine"
    assert losses.BinaryCrossentropy(True, 0.1, -1, "sum", "b").reduction == "sum"


def test_a_single_dimension_is_one_row_and_a_column_may_be_left_out():
    assert losses.mean_squared_error([0.0, 2.0], [1.0, 4.0]) == np.float32(2.5)
    np.testing.assert_array_equal(losses.mean_squared_error([0.0, 2.0], [[1.0], [4.0]]), [1.0, 4.0])
    np.testing.assert_array_equal(losses.mean_squared_error([[0.0], [2.0]], [1.0, 4.0]), [1.0, 4.0])
    assert losses.SparseCategoricalCrossentropy()([[0], [1]], [[1.0, 0.0], [0.0, 1.0]]) == pytest.approx(0.0, abs=1e-6)


def test_name_and_reduction_are_in_files_where_they_are_not_the_usual_ones():
    assert losses.Huber(2.0).to_config() == {"type": "Huber", "delta": 2.0}
    made = losses.SparseCategoricalCrossentropy(ignore_class=7, reduction="mean", name="mine")
    assert losses.deserialize(losses.serialize(made)) == made
    assert made != losses.SparseCategoricalCrossentropy()


@pytest.mark.parametrize("reduction", ["sum", "none", None])
def test_a_fit_needs_a_mean(reduction):
    with pytest.raises(ValueError, match=r"compile: loss: reduction must be one of .*batch size"):
        fr.Sequential([layers.Dense(1)]).compile("sgd", losses.MeanSquaredError(reduction=reduction))


@pytest.mark.parametrize(
    ("loss", "bad", "rule"),
    [
        ("poisson", -1.0, ">= 0"),
        ("mean_squared_logarithmic_error", -1.0, ">= 0"),
        (losses.Tweedie(1.5), -0.5, ">= 0"),
        (losses.Tweedie(2.0), 0.0, "> 0"),
        ("hinge", 0.5, "-1 and 1, or 0 and 1"),
        ("squared_hinge", 2.0, "-1 and 1, or 0 and 1"),
        ("kl_divergence", 1.5, r"in \[0, 1\]"),
        ("binary_focal_crossentropy", -0.5, r"in \[0, 1\]"),
        ("categorical_hinge", -1.0, ">= 0"),
    ],
    ids=str,
)
def test_a_target_out_of_range_is_named_with_its_row(loss, bad, rule):
    y, t = np.full((3, 2), 0.5), np.ones((3, 2))
    t[1, 1] = bad
    made = losses.get(loss)
    with pytest.raises(ValueError, match=rf"y_true: {made.key} needs targets {rule}, got {bad!r} in row 1"):
        made(t, y)
    model = fr.Sequential([layers.Dense(2)])
    model.compile("sgd", made)
    with pytest.raises(ValueError, match=rf"y: {made.key} needs targets {rule}, got {bad!r} in row 1"):
        model.fit(y, t, verbose=0)


def test_signs_may_be_zeros_and_ones_but_not_both():
    y = np.array([[0.5], [-2.0], [3.0]])
    signs, bits = np.array([1, -1, 1]), np.array([1, 0, 1])
    np.testing.assert_array_equal(losses.hinge(signs, y), losses.hinge(bits, y))
    with pytest.raises(ValueError, match=r"-1 and 1, or 0 and 1, got 0.0 in row 1"):
        losses.hinge([1, 0, -1], y)


@pytest.mark.parametrize("ignored", [1, -1, 255])
def test_ignored_labels_weigh_nothing(ignored, rng):
    """In a fit, its validation and an evaluation, as a weight of 0; a call's mean is that of the other rows."""
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    skipped = np.arange(40) % 4 == 0
    marked = np.where(skipped, ignored, np.where(y == ignored, 2, y))
    weight = np.where(skipped, 0.0, rng.uniform(0.5, 2.0, 40))
    results = []
    for loss, labels, weights in (
        (losses.SparseCategoricalCrossentropy(ignore_class=ignored), marked, np.where(skipped, 1.0, weight)),
        (losses.SparseCategoricalCrossentropy(), np.where(skipped, 0, marked), weight),
    ):
        model = fr.Sequential([layers.Dense(3, "softmax")], seed=1)
        model.compile(optimizers.SGD(0.1), loss)
        options = {"epochs": 3, "batch_size": 7, "sample_weight": weights, "validation_rows": range(30, 40)}
        fitted = model.fit(x, labels, **options, verbose=0)
        score = model.evaluate(x, labels, sample_weight=weights, verbose=0)
        results.append([*model.get_weights(), fitted.history["loss"], fitted.history["val_loss"], score])
    for mine, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(mine, expected)
    outputs = model.predict(x)
    called = losses.SparseCategoricalCrossentropy(ignore_class=ignored)(marked, outputs)
    rows = -np.log(outputs[np.arange(40), np.where(skipped, 0, marked)])
    assert called == pytest.approx(rows[~skipped].mean(), rel=1e-5)
    values = losses.sparse_categorical_crossentropy(marked, outputs, ignore_class=ignored)
    np.testing.assert_array_equal(values[skipped], 0.0)


@pytest.mark.parametrize("loss", [losses.Quantile([0.1, 0.5, 0.9]), losses.GaussianNLL()])
def test_targets_of_several_heads(loss, rng):
    """A target has several outputs; (n,) and (n, 1) are the same, and any other width is refused."""
    heads = loss.heads
    x, y = rng.normal(size=(30, 4)).astype(np.float32), rng.normal(size=30)
    model = fr.Sequential([layers.Dense(heads)], seed=1)
    model.compile(optimizers.Adam(0.01), loss)
    first = model.evaluate(x, y, verbose=0) if model.fit(x, y, verbose=0) else None
    assert first == model.evaluate(x, y[:, None], verbose=0)
    assert first == pytest.approx(float(loss(y, model.predict(x))), rel=1e-5)
    with pytest.raises(ValueError, match=rf"needs shape \(30, 1\), got \(30, {heads}\); there are {heads} outputs"):
        model.fit(x, np.tile(y[:, None], heads), verbose=0)
    odd = fr.Sequential([layers.Dense(heads + 1)])
    odd.compile("sgd", loss)
    with pytest.raises(ValueError, match=rf"needs {heads} outputs for each target, the network has {heads + 1}"):
        odd.fit(x, y, verbose=0)


def test_quantiles_are_those_of_the_data(rng):
    """A network of biases alone learns the quantiles of its targets, and a mean and a variance."""
    y = rng.normal(size=4000) ** 2
    x = np.zeros((4000, 1), np.float32)
    model = fr.Sequential([layers.Dense(3)])
    model.compile(optimizers.Adam(0.01), losses.Quantile([0.25, 0.5, 0.9]))
    model.fit(x, y, epochs=2500, batch_size=None, verbose=0)
    np.testing.assert_allclose(model.predict(x[:1])[0], np.quantile(y, [0.25, 0.5, 0.9]), atol=0.06)
    model = fr.Sequential([layers.Dense(2)])
    model.compile(optimizers.Adam(0.02), losses.GaussianNLL())
    model.fit(x, y, epochs=60, batch_size=500, verbose=0)
    mean, spread = model.predict(x[:1])[0]
    assert mean == pytest.approx(y.mean(), abs=0.1)
    assert np.exp(spread) == pytest.approx(y.var(), rel=0.15)


def test_a_small_variance_is_clipped_and_can_grow_again():
    values, dy, _ = fr.ops.loss(losses.GaussianNLL(epsilon=0.01), [[0.0, -50.0], [0.0, -50.0]], [[0.0], [1.0]])
    floor = np.log(0.01)
    np.testing.assert_allclose(values, [0.5 * floor, 0.5 * (floor + 100.0)], rtol=1e-5)
    np.testing.assert_allclose(dy[:, 1], [0.0, 0.25 * (1.0 - 100.0)], rtol=1e-5)


# An error of 1e18 has a likelihood beyond float32 where the variance is small.
EXTREME = [(n, size) for n in LOSSES for size in (1e-30, 1e-10, 1e10, 1e18) if size < 1e18 or "gaussian" not in n]


@pytest.mark.parametrize(("name", "size"), EXTREME)
def test_extreme_outputs_give_finite_losses_and_gradients(name, size, rng):
    loss = LOSSES[name]
    y = (size * rng.normal(size=(8, 4 * loss.heads))).astype(np.float32)
    t = targets(loss, 8, 4 * loss.heads, rng)
    values, dy, _ = fr.ops.loss(LOSS_CASES[name].made, y, t)
    assert np.isfinite(dy).all()
    assert np.isfinite(values).all()


def test_a_number_that_is_no_loss():
    with pytest.raises(ValueError, match="sample_weight: must have shape"):
        losses.MeanSquaredError()([[1.0], [2.0]], [[1.0], [2.0]], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="sample_weight: must be finite and >= 0"):
        losses.MeanSquaredError()([[1.0]], [[1.0]], [-1.0])
    with pytest.raises(ValueError, match="y_pred: must be rows of outputs"):
        losses.MeanSquaredError()(1.0, 1.0)
    with pytest.raises(ValueError, match="quantiles must rise"):
        losses.Quantile([0.9, 0.1])
    with pytest.raises(ValueError, match="alpha must be one number, or one for each class"):
        losses.CategoricalFocalCrossentropy(alpha=[1.0, 2.0])([[1.0, 0.0, 0.0]], [[0.3, 0.3, 0.4]])


def test_weights_for_each_class_of_a_focal_loss(rng):
    y, t = rng.dirichlet(np.ones(3), 6), np.eye(3)[rng.integers(0, 3, 6)]
    each = losses.CategoricalFocalCrossentropy(alpha=[0.5, 1.0, 2.0], reduction=None)(t, y)
    one = losses.CategoricalFocalCrossentropy(alpha=1.0, reduction=None)(t, y)
    np.testing.assert_allclose(each, one * (t @ [0.5, 1.0, 2.0]), rtol=8 * EPS)
