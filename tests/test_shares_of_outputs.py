"""Cross-entropies of outputs that are not the probabilities of a softmax or sigmoid: what Keras makes of them.

The categorical ones divide the outputs of a row by their sum and clip the shares, the binary one clips the outputs; the
gradient is that of these formulas, written out here once more in float64 and differentiated numerically.
"""

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from conftest import EPS, assert_close
from fastreg import layers, ops, optimizers
from pairs import build_pair
from reference import Penalty

LOW, HIGH = float(np.float32(1e-7)), float(np.float32(1.0) - np.float32(1e-7))
CATEGORICAL = ["categorical_crossentropy", "sparse_categorical_crossentropy"]
HEADS = [name for name in ref.ACTIVATIONS if name not in ref.ROWS]
POSITIVE = ["sigmoid", "softplus"]  # whose sums are never near 0


def keras_formula(kind, y, t):
    """The losses of the rows, as Keras's backends write them."""
    if kind == "binary_crossentropy":
        p = np.clip(y, LOW, HIGH)
        return -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p)).mean(axis=1)
    t = np.eye(y.shape[1])[t] if kind.startswith("sparse") else t
    return -(t * np.log(np.clip(y / y.sum(axis=1, keepdims=True), LOW, HIGH))).sum(axis=1)


def numerical_gradient(kind, y, t, h=1e-6):
    """Central differences of each row's loss, element by element."""
    gradient = np.zeros_like(y)
    for j in range(y.shape[1]):
        step = np.zeros_like(y)
        step[:, j] = h * np.maximum(np.abs(y[:, j]), 1e-3)
        size = 2.0 * step[:, j]
        gradient[:, j] = (keras_formula(kind, y + step, t) - keras_formula(kind, y - step, t)) / size
    return gradient


def targets_of(kind, n, cols, rng):
    if kind.startswith("sparse"):
        return rng.integers(0, cols, n)
    t = rng.random((n, cols))
    if kind == "binary_crossentropy":
        return t.astype(np.float32)
    return (t if cols == 1 else t / t.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("cols", [2, 3, 7, 10, 15, 16, 17, 35, 65])
@pytest.mark.parametrize("kind", CATEGORICAL)
def test_loss_and_gradient_are_those_of_the_shares(kind, cols, weighted, rng):
    """For positive outputs of any scale, and for outputs of both signs whose sum is negative."""
    n = 24
    y = rng.uniform(0.2, 2.0, (n, cols)) * 10.0 ** rng.integers(-3, 4, (n, 1))
    y[::5] *= -1.0
    y[::4, 0] = np.where(y[::4].sum(axis=1) > 0, -0.1, 0.1) * np.abs(y[::4, 0])
    y, t = y.astype(np.float32), targets_of(kind, n, cols, rng)
    r = rng.uniform(0.1, 3.0, n).astype(np.float32) if weighted else None
    rows, dy, out = ops.loss(kind, y, t, r)
    np.testing.assert_array_equal(out, y)
    exact = y.astype(np.float64)
    assert_close(rows, keras_formula(kind, exact, t), terms=cols + 8, magnitude=20.0, what="row losses")
    share = (np.full(n, 1.0) if r is None else r.astype(float)) / (n if r is None else r.sum(dtype=float))
    sums = np.abs(exact.sum(axis=1, keepdims=True))
    numerical = numerical_gradient(kind, exact, t)
    assert np.abs(numerical * sums).max() > 1.0
    # In units of one over the row's sum, which is the size of a gradient.
    np.testing.assert_allclose(dy * sums / share[:, None], numerical * sums, rtol=2e-5, atol=2e-5)
    expected = ref.loss_gradient(kind, y, t, r)
    ratio = 1.0 + np.abs(exact).sum(axis=1, keepdims=True) / np.minimum(np.abs(exact), sums).clip(1e-3 * sums)
    assert_close(dy, expected, terms=cols + 8, magnitude=np.abs(expected) + share[:, None] / sums * ratio, what="dy")


@pytest.mark.parametrize("kind", CATEGORICAL)
def test_only_the_ratios_of_a_rows_outputs_count(kind, rng):
    y, t = rng.uniform(0.2, 2.0, (30, 5)), targets_of(kind, 30, 5, rng)
    rows, dy, _ = ops.loss(kind, y, t)
    for factor in (2.0**-60, 0.5, 4.0, 2.0**60, -1.0):
        scaled, scaled_dy, _ = ops.loss(kind, factor * y, t)
        np.testing.assert_array_equal(scaled, rows)
        np.testing.assert_array_equal(scaled_dy * np.float32(factor), dy)
    assert np.abs((dy * y).sum(axis=1)).max() < 1e-6


@pytest.mark.parametrize("kind", CATEGORICAL)
def test_probabilities_of_a_softmax_train_as_its_logits(kind, rng):
    """With the activation's gradient behind it the gradient is that of the logits: p - t."""
    z, t = rng.normal(size=(20, 6)).astype(np.float32), targets_of(kind, 20, 6, rng)
    p = ops.activation(z, "softmax")
    rows, dy, _ = ops.loss(kind, p, t)
    expected_rows, expected, _ = ops.loss(kind, z, t, from_logits=True)
    np.testing.assert_allclose(rows, expected_rows, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ops.activation_backward(p, dy, "softmax"), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", CATEGORICAL)
@pytest.mark.parametrize("value", [0.0, 1e-38, 1e-30, -1e-30, 3e38, 1e30])
@pytest.mark.parametrize("cols", [2, 3, 16, 17])
def test_no_outputs_make_a_loss_or_gradient_that_is_not_finite(kind, value, cols):
    """Zeros, sums of zero, outputs below zero, and sums beyond float32."""
    y = np.zeros((4, cols), np.float32)
    y[0] = value
    y[1, 0], y[1, 1] = value, -value
    y[2, -1] = value
    y[3, 0], y[3, 1] = 1.0, value
    for target in range(cols):
        t = np.full(4, target) if kind.startswith("sparse") else np.eye(cols, dtype=np.float32)[[target] * 4]
        rows, dy, _ = ops.loss(kind, y, t)
        assert np.isfinite(rows).all()
        assert np.isfinite(dy).all()
        assert (rows >= 0.0).all()
        assert (rows < 16.2).all()
    zeros = np.zeros((2, cols), np.float32)
    t = np.zeros(2, int) if kind.startswith("sparse") else np.eye(cols, dtype=np.float32)[[0, 0]]
    rows, dy, _ = ops.loss(kind, zeros, t)
    np.testing.assert_allclose(rows, -np.log(1e-7), rtol=1e-6)
    np.testing.assert_array_equal(dy, 0.0)


@pytest.mark.parametrize("kind", CATEGORICAL)
def test_outputs_that_are_not_finite_stay_visible(kind):
    """A row with NaN has no finite loss, so that a run which has diverged is stopped."""
    for cols in (3, 17):
        y = np.ones((3, cols), np.float32)
        y[1, 1] = np.nan
        t = np.ones(3, int) if kind.startswith("sparse") else np.eye(cols, dtype=np.float32)[[1] * 3]
        assert np.isnan(ops.loss(kind, y, t)[0]).tolist() == [False, True, False]


@pytest.mark.filterwarnings("ignore:the loss .* takes probabilities")
@pytest.mark.parametrize("apart", [False, True], ids=["", "apart"])
@pytest.mark.parametrize("units", [2, 3, 17])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("kind", CATEGORICAL)
def test_training_with_any_last_activation_is_the_oracles(kind, head, units, apart, rng):
    """Weights, history and evaluation after some steps, with weights of rows and a short last batch."""
    last = [("dense", units), ("activation", head)] if apart else [("dense", units, head)]
    stack = [("dense", 8, "tanh", {"kernel": Penalty(0.0, 0.01)}), *last]
    # A rate for heads whose sums may come near 0, where gradients are large.
    rate = 0.1 if head in POSITIVE else 1e-4
    model, net = build_pair(stack, 5, rng, loss=kind, optimizer=ref.SGD(rate))
    weights = model.get_weights()
    weights[-1] = weights[-1] + np.float32(2.0)  # most sums are away from 0
    model.set_weights(weights)
    net.layers[1].p["bias"] = weights[-1].astype(np.float64)
    x, y = rng.normal(size=(29, 5)).astype(np.float32), rng.integers(0, units, 29)
    t = y if kind.startswith("sparse") else ref.one_hot(y, units)
    r = rng.uniform(0.1, 3.0, 29).astype(np.float32)
    before = net.evaluate(x.astype(np.float64), t, r)
    np.testing.assert_allclose(model.evaluate(x, t, sample_weight=r, verbose=0), before, rtol=1e-5)
    history = model.fit(x, t, batch_size=8, epochs=2, shuffle=False, sample_weight=r, verbose=0)
    expected = net.fit(x.astype(np.float64), t, 2, 8, r)
    np.testing.assert_allclose(history.history["loss"], expected, rtol=2e-5)
    for a, b in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=5e-5, atol=5e-5)
    np.testing.assert_allclose(model.evaluate(x, t, verbose=0), net.evaluate(x.astype(np.float64), t), rtol=2e-5)


@pytest.mark.parametrize("kind", CATEGORICAL)
@pytest.mark.parametrize("head", ["sigmoid", "softplus"])
def test_classes_are_learned_behind_any_positive_activation(kind, head):
    """Not every output goes to 1: the loss that falls is the one of the classes."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 6)).astype(np.float32)
    labels = (x @ rng.normal(size=(6, 4))).argmax(axis=1)
    y = labels if kind.startswith("sparse") else ref.one_hot(labels, 4)
    model = fr.Sequential([layers.Dense(32, "relu"), layers.Dense(4, head)], seed=1)
    model.compile(optimizers.Adam(0.01), kind, ["accuracy"])
    history = model.fit(x, y, epochs=60, verbose=0).history
    assert history["accuracy"][-1] > 0.97
    p = model.predict(x).astype(np.float64)
    shares = p / p.sum(axis=1, keepdims=True)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(-np.log(np.clip(shares[np.arange(600), labels], LOW, HIGH)).mean(), rel=1e-5)
    assert accuracy == (p.argmax(axis=1) == labels).mean()


@pytest.mark.parametrize("kind", CATEGORICAL)
def test_a_dead_row_of_relu_neither_trains_nor_fails(kind, rng):
    """All outputs 0: the loss is the clipped one, weights stay as they are, and nothing diverges."""
    model = fr.Sequential([layers.Dense(3, "relu", bias_initializer=fr.initializers.Constant(-100.0))], seed=0)
    model.compile(optimizers.SGD(0.1), kind)
    x, labels = rng.normal(size=(10, 4)), rng.integers(0, 3, 10)
    model.build(4)
    before = model.get_weights()
    history = model.fit(x, labels if kind.startswith("sparse") else ref.one_hot(labels, 3), verbose=0).history
    np.testing.assert_allclose(history["loss"], -np.log(1e-7), rtol=1e-6)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("head", ["softplus", "sigmoid"])
def test_a_search_scores_the_loss_of_the_shares(head, rng):
    from fastreg.search import GridSearch

    x, labels = rng.normal(size=(60, 4)).astype(np.float32), rng.integers(0, 3, 60)
    folds = [(np.arange(40), np.arange(40, 60))]

    def build(params):
        model = fr.Sequential([layers.Dense(params["units"], "tanh"), layers.Dense(3, head)], seed=7)
        model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        return model

    search = GridSearch(build, {"units": [4]}, cv=folds, scoring="loss", refit=False)
    search.fit(x, labels, epochs=3)
    model = build({"units": 4})
    model.fit(x, labels, rows=folds[0][0], epochs=3, verbose=0)
    p = model.predict(x[40:]).astype(np.float64)
    expected = keras_formula("sparse_categorical_crossentropy", p, labels[40:]).mean()
    np.testing.assert_allclose(search.results_["split0_test_score"], [expected], rtol=1e-5)


@pytest.mark.parametrize("head", ["tanh", "linear", "relu", "softplus", "elu"])
def test_binary_crossentropy_clips_what_is_no_probability(head, rng):
    """Its outputs are each a probability of their own, so that nothing is divided by a sum."""
    z = rng.normal(size=(40, 3)).astype(np.float32)
    y, t = ops.activation(z, head), targets_of("binary_crossentropy", 40, 3, rng)
    rows, dy, _ = ops.loss("binary_crossentropy", y, t)
    exact = y.astype(np.float64)
    outside = (exact < LOW) | (exact > HIGH)
    assert outside.any()
    assert not outside.all()
    np.testing.assert_allclose(rows, keras_formula("binary_crossentropy", exact, t), rtol=2e-6, atol=16 * EPS)
    np.testing.assert_array_equal(dy[outside], 0.0)
    inner = (exact > 0.01) & (exact < 0.99)
    numerical = numerical_gradient("binary_crossentropy", exact, t) / 40
    # A row's mean loss moves by one element alone.
    np.testing.assert_allclose(dy[inner], numerical[inner], rtol=1e-4, atol=1e-6)
