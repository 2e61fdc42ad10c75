"""Losses and their gradients as single primitives, against the oracle: row by row, weighted, at the clip bounds."""

import numpy as np
import pytest
import reference as ref
from cases import LOSS_CASES, made
from conftest import EPS, SIZES, assert_close
from fastreg import ops

LOSSES = ref.LOSSES


def loss_case(loss, n, cols, rng):
    """Outputs and targets that a loss takes; ``cols`` columns for each head."""
    width = cols * loss.heads
    y = 2.0 * rng.normal(size=(n, width))
    if loss.outputs == "positive":
        y = np.exp(0.5 * y)
    elif loss.outputs == "shares":
        y = ref.activation_forward("softmax", 0.5 * y)
    if loss.absorbs and not loss.logits:
        y = ref.activation_forward(loss.absorbs, y)
    if loss.targets == "labels":
        t = rng.integers(0, cols, n).astype(np.int32)
    elif loss.targets == "distribution":
        t = rng.random((n, cols)) + 0.01
        t = (t / t.sum(axis=1, keepdims=True)).astype(np.float32)
    elif loss.targets == "probabilities":
        t = rng.random((n, cols)).astype(np.float32)
    elif loss.targets == "signs":
        t = rng.choice(np.float32([-1.0, 1.0]), (n, cols))
    elif loss.targets == "counts":
        t = np.exp(rng.normal(size=(n, cols))).astype(np.float32)
    else:
        t = rng.normal(size=(n, cols)).astype(np.float32)
    return y.astype(np.float32), t


def check_loss(loss, y, t, r):
    kept = y.copy()
    rows, dy, p = ops.loss(made(loss), y, t, r)
    np.testing.assert_array_equal(y, kept)
    n, cols = y.shape
    expected = ref.loss_rows(loss, y, t)
    # Logits cancel against each other and log p near 1 is small: errors are relative to 1 and the largest output.
    size = 1.0 + np.abs(y).max(axis=1, initial=0.0) ** loss.degree
    assert_close(rows, expected, terms=cols + 8, magnitude=size + expected, what="row losses")
    gradient = ref.loss_gradient(loss, y, t, r)
    share = np.full(n, 1.0 / max(n, 1)) if r is None else np.asarray(r, np.float64) / max(r.sum(), 1e-30)
    magnitude = np.abs(gradient) + share[:, None] * loss.gradient_size(y, t)
    assert_close(dy, gradient, terms=cols + 8, magnitude=magnitude, what="dy")
    name = loss.absorbs if loss.logits else "linear"
    assert_close(p, ref.activation_forward(name, y), terms=cols + 8, what="probabilities")


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("cols", [c for c in SIZES if c > 0])
@pytest.mark.parametrize("loss", LOSSES)
def test_loss_of_columns(loss, cols, weighted, rng):
    y, t = loss_case(LOSSES[loss], 5, cols, rng)
    check_loss(LOSSES[loss], y, t, rng.uniform(0.1, 3.0, 5).astype(np.float32) if weighted else None)


@pytest.mark.parametrize("cols", [1, 3, 16])
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("loss", LOSSES)
def test_loss_of_rows(loss, n, cols, rng):
    y, t = loss_case(LOSSES[loss], n, cols, rng)
    check_loss(LOSSES[loss], y, t, rng.uniform(0.1, 3.0, n).astype(np.float32))


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_of_weight_zero_have_no_gradient(loss, rng):
    y, t = loss_case(LOSSES[loss], 20, 4, rng)
    r = rng.integers(0, 2, 20).astype(np.float32)
    check_loss(LOSSES[loss], y, t, r)
    _, dy, _ = ops.loss(LOSS_CASES[loss].made, y, t, r)
    np.testing.assert_array_equal(dy[r == 0.0], 0.0)


@pytest.mark.parametrize("cols", [1, 4, 17])
def test_large_logits_lose_nothing(cols, rng):
    """The loss of a logit of -1000 is 1000, not the clipped 16; the right answer costs exactly nothing."""
    y = (1000.0 * rng.choice([-1.0, 1.0], (9, cols))).astype(np.float32)
    t = (y < 0.0).astype(np.float32)
    rows, dy, p = ops.loss("binary_crossentropy", y, t, None, True)
    np.testing.assert_allclose(rows, 1000.0, rtol=1e-6)
    np.testing.assert_allclose(dy, np.where(t > 0.5, -1.0, 1.0) / (9 * cols), rtol=1e-6)
    np.testing.assert_array_equal(p, (y > 0.0).astype(np.float32))
    rows, dy, _ = ops.loss("binary_crossentropy", y, 1.0 - t, None, True)
    np.testing.assert_array_equal(rows, 0.0)
    np.testing.assert_array_equal(dy, 0.0)


def test_large_logits_of_classes():
    y = np.array([[1000.0, -1000.0, 0.0], [-88.0, -120.0, -2000.0]], np.float32)
    for kind, t in (
        ("sparse_categorical_crossentropy", np.array([1, 1], np.int32)),
        ("categorical_crossentropy", np.array([[0, 1, 0], [0, 1, 0]], np.float32)),
    ):
        rows, dy, _ = ops.loss(kind, y, t, None, True)
        np.testing.assert_allclose(rows, [2000.0, 32.0], rtol=1e-6)
        np.testing.assert_allclose(dy, [[0.5, -0.5, 0.0], [0.5, -0.5, 0.0]], atol=1e-7)


@pytest.mark.parametrize("kind", ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_probabilities_are_clipped(kind):
    """0 and 1 cost log(1e-7) or nothing, with a gradient of zero; so does what lies beyond them."""
    y = np.array([[0.0, 1.0], [1.0, 0.0], [5e-8, 1.0], [-0.5, 1.5], [0.25, 0.75]], np.float32)
    t = np.zeros(5, np.int32) if kind.startswith("sparse") else np.tile(np.float32([1.0, 0.0]), (5, 1))
    rows, dy, _ = ops.loss(kind, y, t, None, False)
    expected = ref.loss_rows(kind, y, t)
    np.testing.assert_allclose(rows, expected, rtol=4 * EPS, atol=2 * EPS)
    assert 15.9 < rows[0] < 16.2
    np.testing.assert_array_equal(dy[:4], 0.0)
    np.testing.assert_allclose(dy, ref.loss_gradient(kind, y, t), rtol=1e-6)


def test_soft_targets_and_rows_that_do_not_sum_to_one(rng):
    y, t = rng.normal(size=(6, 5)).astype(np.float32), rng.random((6, 5)).astype(np.float32)
    check_loss(LOSSES["categorical_crossentropy of logits"], y, t, None)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, np.nan], "whole numbers as labels, got nan in row 1"),
        ([0.5, 1], "whole numbers as labels, got 0.5 in row 0"),
        ([0, np.inf], r"in \[0, 2\) for 2 outputs, got inf in row 1"),
        ([0, -1], r"in \[0, 2\) for 2 outputs, got -1 in row 1"),
        ([2, 0], r"in \[0, 2\) for 2 outputs, got 2 in row 0"),
        ([[0, 1], [1, 0]], r"labels of shape \(n,\), got \(2, 2\)"),
    ],
    ids=str,
)
def test_a_bad_label_is_named_with_its_row(labels, message):
    with pytest.raises(ValueError, match=message):
        ops.loss("sparse_categorical_crossentropy", [[0.5, 0.5], [0.5, 0.5]], labels)


def test_a_column_of_labels_is_taken_as_labels():
    y, t = [[0.25, 0.75], [0.5, 0.5]], np.array([1, 0])
    results = (ops.loss("sparse_categorical_crossentropy", y, labels) for labels in (t, t[:, None]))
    for flat, column in zip(*results, strict=True):
        np.testing.assert_array_equal(flat, column)


@pytest.mark.parametrize("loss", [n for n, one in LOSSES.items() if one.logits and one == type(one)(from_logits=True)])
def test_from_logits_may_be_an_argument_of_its_own(loss, rng):
    """For the loss of a name too; it goes before what the loss itself says."""
    oracle = LOSSES[loss]
    y, t = loss_case(oracle, 5, 4, rng)
    expected = ops.loss(made(oracle), y, t)
    name = loss.removesuffix(" of logits")
    for given in (ops.loss(name, y, t, None, True), ops.loss(made(oracle, from_logits=False), y, t, None, True)):
        for found, whole in zip(given, expected, strict=True):
            np.testing.assert_array_equal(found, whole)
