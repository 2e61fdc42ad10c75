"""Weights of rows and classes: their influence does not depend on the batch size, nor on the scale they are given in.

A step on a batch of b rows takes the gradient of sum_i w_i l_i / (b mean(w)), the mean being that of all rows that are
trained on; what is reported is sum_i w_i l_i / sum_i w_i.
"""

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from conftest import EPS
from fastreg import layers, ops, optimizers, schedules
from pairs import build_pair
from reference import Penalty

N = 83  # no multiple of a batch size below: the last batch is short
BATCHES = (1, 8, 32, 82, N)
STACK = [("dense", 9, "tanh", {"kernel": Penalty(0.001, 0.01)}), ("dense", 3, "softmax")]
REGULARISED = [*STACK[:1], ("batch_norm",), ("dropout", 0.3), *STACK[1:]]


def some_data(rng, n=N):
    x, y = rng.normal(size=(n, 4)).astype(np.float32), rng.integers(0, 3, n)
    weights = rng.uniform(0.1, 5.0, n).astype(np.float32)
    weights[rng.integers(0, n, n // 8)] = 0.0
    return x, y, weights


def fitted(stack, data, optimizer=None, *, batch_size=8, epochs=3, **options):
    """(weights, history) of a fit from the same weights at every call."""
    model, _ = build_pair(stack, 4, np.random.default_rng(3), loss="sparse_categorical_crossentropy", seed=5)
    model.compile(optimizer or optimizers.Adam(0.01), "sparse_categorical_crossentropy", ["accuracy"])
    history = model.fit(*data[:2], batch_size=batch_size, epochs=epochs, verbose=0, **options).history
    return model.get_weights(), history


def assert_same_bits(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[1] == other[1]


def assert_alike(one, other, rtol):
    """Weights within rtol of the largest of their array, history within rtol."""
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())
    for key, values in other[1].items():
        np.testing.assert_allclose(one[1][key], values, rtol=rtol)


# ------------------------------------------------------------------------------------------- what rare classes learn


def rare_classes(classes):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(10_000, 5))
    if classes == 2:
        z = x @ np.array([1.0, -0.7, 0.5, 0.3, -0.2]) - 5.35
        return x.astype(np.float32), (rng.random(len(x)) < 1.0 / (1.0 + np.exp(-z))).astype(int)
    z = x @ (0.8 * rng.normal(size=(5, 3))) + np.array([0.0, -4.5, -3.5])
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return x.astype(np.float32), (p.cumsum(axis=1) < rng.random((len(x), 1))).sum(axis=1)


def recalls(classes, y):
    return np.array([(classes[y == c] == c).mean() for c in range(y.max() + 1)])


@pytest.mark.parametrize(("batch_size", "epochs"), [(8, 6), (32, 12), (256, 40), (None, 600)])
@pytest.mark.parametrize("way", ["class_weight", "sample_weight"])
@pytest.mark.parametrize("classes", [2, 3])
def test_balanced_classes_are_found_as_scikit_learn_finds_them(classes, way, batch_size, epochs):
    """The recall of every class, where one of two has 1 % of the rows, is that of the same model fitted exactly."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, y = rare_classes(classes)
    counts = np.bincount(y)
    weights = (len(y) / (classes * counts))[y]
    exact = linear_model.LogisticRegression(C=1e9, max_iter=1000).fit(x, y, sample_weight=weights)
    expected = recalls(exact.predict(x), y)
    assert expected.min() > 0.7
    assert counts.min() < 0.1 * len(y)

    head = layers.Dense(1, "sigmoid") if classes == 2 else layers.Dense(classes, "softmax")
    model = fr.Sequential([head], seed=0)
    steps = -(-len(x) // (batch_size or len(x))) * epochs
    rate = schedules.CosineDecay(0.1 if batch_size is None else 0.03, steps)
    model.compile(optimizers.Adam(rate), ("binary" if classes == 2 else "sparse_categorical") + "_crossentropy")
    given = {"class_weight": "balanced"} if way == "class_weight" else {"sample_weight": weights}
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, **given)
    p = model.predict(x)
    found = recalls((p[:, 0] > 0.5).astype(int) if classes == 2 else p.argmax(axis=1), y)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.03)


# ------------------------------------------------------------------------------------------------- gradients of steps


def gradient_of_step(step, x, y, weights, batch_size):
    """The gradient of one step of an epoch, every other step having the rate 0."""
    rate = optimizers.SGD(lambda s: 1.0 if s == step else 0.0)
    plain = [("dense", 9, "tanh"), ("dense", 3, "softmax")]
    model, _ = build_pair(plain, 4, np.random.default_rng(3), loss="sparse_categorical_crossentropy")
    model.compile(rate, "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(x, y, batch_size=batch_size, epochs=1, shuffle=False, sample_weight=weights, verbose=0)
    return [b.astype(np.float64) - a for a, b in zip(model.get_weights(), before, strict=True)]


@pytest.mark.parametrize("batch_size", [1, 8, 32, 82])
def test_the_mean_of_the_batches_gradients_is_the_gradient_of_all_rows(batch_size, rng):
    """With the same weights in every step, whatever is in which batch: a batch's gradient is unbiased."""
    x, y, weights = some_data(rng)
    weights[::9] = 40.0
    steps = -(-N // batch_size)
    sizes = [min(batch_size, N - k * batch_size) for k in range(steps)]
    by_step = [gradient_of_step(k, x, y, weights, batch_size) for k in range(steps)]
    whole = gradient_of_step(0, x, y, weights, None)
    for i, expected in enumerate(whole):
        mean = sum(size * gradients[i] for size, gradients in zip(sizes, by_step, strict=True)) / N
        # A gradient is read off the change of a weight of size 1.
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=4 * EPS)
        assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("kind", ["mean_squared_error", "binary_crossentropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("batch_size", BATCHES)
def test_training_with_weights_is_the_oracles(kind, batch_size, rng):
    """Batches of any weight, two without any, penalties and batch normalisation included: weights and history."""
    head = {"mean": ("dense", 2), "binary": ("dense", 2, "sigmoid"), "sparse": ("dense", 3, "softmax")}
    stack = [STACK[0], ("batch_norm", {"epsilon": 0.1}), head[kind.split("_")[0]]]
    model, net = build_pair(stack, 4, rng, loss=kind, optimizer=ref.SGD(0.05, momentum=0.5))
    x, labels, weights = some_data(rng)
    weights[8:16] = weights[40:56] = 0.0
    y = {"mean": rng.normal(size=(N, 2)), "binary": rng.integers(0, 2, (N, 2)), "sparse": labels}[kind.split("_")[0]]
    if batch_size == 1:
        x, y, weights = x[:25], y[:25], weights[:25]
    history = model.fit(x, y, batch_size=batch_size, epochs=3, shuffle=False, sample_weight=weights, verbose=0)
    expected = net.fit(x.astype(np.float64), y, 3, batch_size, weights)
    for a, b in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)


def test_a_batch_without_any_weight_takes_the_step_of_its_penalties(rng):
    """Its loss is no NaN and training does not diverge: 23 steps shrink the kernel, then one without a rate follows."""
    x, y, _ = some_data(rng, 24)
    weights = np.zeros(24)
    weights[-1] = 1.0
    model = fr.Sequential([layers.Dense(3, "softmax", kernel_regularizer=fr.regularizers.L2(0.01))], seed=0)
    model.compile(optimizers.SGD(lambda step: 0.1 if step < 23 else 0.0), "sparse_categorical_crossentropy")
    model.build(4)
    before = model.get_weights()[0]
    history = model.fit(x, y, batch_size=1, shuffle=False, sample_weight=weights, verbose=0).history
    np.testing.assert_allclose(model.get_weights()[0], before * (1.0 - 0.1 * 2.0 * 0.01) ** 23, rtol=1e-5)
    data_loss = -np.log(model.predict(x)[-1, y[-1]])
    sizes = (1.0 - 0.1 * 2.0 * 0.01) ** np.arange(24)
    np.testing.assert_allclose(
        history["loss"], [data_loss + 0.01 * np.square(before.astype(float)).sum() * np.square(sizes).mean()], rtol=1e-5
    )


# --------------------------------------------------------------------------------------------------- scales of weights


@pytest.mark.parametrize("exponent", [-1000, -200, -126, -20, 1, 20, 126, 1000])
def test_a_power_of_two_changes_no_bit(exponent, rng):
    """Far beyond float32, too: float64 weights are scaled before they are rounded."""
    data = some_data(rng)
    weights = data[2].astype(np.float64)
    options = {"validation_data": (*data[:2], weights)}
    base = fitted(REGULARISED, data, sample_weight=weights, **options)
    scaled = np.ldexp(weights, exponent)
    other = fitted(REGULARISED, data, sample_weight=scaled, validation_data=(*data[:2], scaled))
    assert_same_bits(other, base)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_a_power_of_two_changes_no_bit_of_any_type(dtype, rng):
    data = some_data(rng)
    base = fitted(REGULARISED, data, sample_weight=data[2])
    assert_same_bits(fitted(REGULARISED, data, sample_weight=dtype(2.0**-90) * data[2].astype(dtype)), base)
    assert_same_bits(fitted(REGULARISED, data, sample_weight=dtype(2.0**120) * data[2].astype(dtype)), base)


@pytest.mark.parametrize("factor", [1e-3, 1e3, 7.0, 1e-60, 1e60, 1e300])
def test_other_factors_change_roundings_only(factor, rng):
    data = some_data(rng)
    weights = data[2].astype(np.float64)
    base = fitted(STACK, data, sample_weight=weights)
    assert_alike(fitted(STACK, data, sample_weight=factor * weights), base, 1e-5)


@pytest.mark.parametrize("batch_size", [*BATCHES, None])
@pytest.mark.parametrize(
    "weights",
    [
        np.ones(N),
        np.full(N, 7.3),
        np.full(N, 1e38, np.float32),
        np.full(N, 3.4e38, np.float32),
        np.full(N, 1e-45, np.float32),
        np.full(N, 1e-40, np.float32),
        np.full(N, 1e-300),
        np.full(N, 1e300),
        np.full(N, 3),
        np.ones(N, bool),
    ],
    ids=str,
)
def test_equal_weights_give_the_bits_of_no_weights(weights, batch_size, rng):
    """History included; the sum of the weights may be beyond float32, or all of them denormal."""
    data = some_data(rng)
    base = fitted(REGULARISED, data, batch_size=batch_size)
    assert_same_bits(fitted(REGULARISED, data, batch_size=batch_size, sample_weight=weights), base)


def test_equal_weights_of_classes_give_the_bits_of_no_weights(rng):
    data = some_data(rng)
    base = fitted(REGULARISED, data)
    for weight in (1.0, 0.3, 1e-300, 3e38):
        assert_same_bits(fitted(REGULARISED, data, class_weight=dict.fromkeys(range(3), weight)), base)


@pytest.mark.parametrize("scale", [1e-45, 1e37])
def test_float32_weights_at_its_limits_train_as_any_others(scale, rng):
    """Small whole multiples of the smallest denormal, and weights whose sum is beyond float32."""
    data = some_data(rng)
    whole = rng.integers(0, 5, N).astype(np.float32)
    weights = whole * np.float32(scale)
    assert (weights > 0.0).any()
    options = {"validation_data": (*data[:2], whole)}
    base = fitted(STACK, data, sample_weight=whole, **options)
    found = fitted(STACK, data, sample_weight=weights, validation_data=(*data[:2], weights))
    assert_alike(found, base, 1e-5)
    assert not np.array_equal(base[0][0], fitted(STACK, data)[0][0])


def test_weights_of_classes_times_weights_of_rows_may_be_beyond_any_float(rng):
    data = some_data(rng)
    base = fitted(STACK, data, class_weight={0: 1.0, 1: 3.0, 2: 0.5}, sample_weight=data[2])
    huge = {0: 1e38, 1: 3e38, 2: 0.5e38}
    assert_alike(fitted(STACK, data, class_weight=huge, sample_weight=1e280 * data[2].astype(float)), base, 1e-5)
    tiny = {0: 1e-200, 1: 3e-200, 2: 0.5e-200}
    assert_alike(fitted(STACK, data, class_weight=tiny, sample_weight=1e-200 * data[2].astype(float)), base, 1e-5)


# --------------------------------------------------------------------------------------------------- rows in use


def test_the_mean_is_that_of_the_rows_that_are_trained_on(rng):
    """Whatever the others weigh; a row that is there twice counts twice."""
    data = some_data(rng)
    rows = rng.integers(0, N, 60)
    copied = [part[rows] for part in data]
    base = fitted(STACK, copied, sample_weight=copied[2])
    for others in (0.0, 1.0, 1e30, 1e300):
        weights = np.full(N, others)
        weights[rows] = data[2][rows]
        assert_same_bits(fitted(STACK, data, sample_weight=weights, rows=rows), base)
        tiny = np.where(np.isin(np.arange(N), rows), 2.0**-100 * weights, weights)
        assert_same_bits(fitted(STACK, data, sample_weight=tiny, rows=rows), base)


def test_validation_rows_do_not_change_training(rng):
    """The weights of rows held out are no part of the mean, and val_loss is their own weighted mean."""
    data = some_data(rng)
    rows, held_out = np.arange(60), np.arange(60, N)
    heavy = data[2].copy()
    heavy[held_out] *= 4096.0
    options = {"rows": rows, "validation_rows": held_out}
    base = fitted(STACK, data, sample_weight=data[2], **options)
    assert_same_bits(fitted(STACK, data, sample_weight=heavy, **options), base)


@pytest.mark.parametrize("scale", [1e-300, 1e-45, 1.0, 1e38, 1e300])
def test_evaluate_is_the_weighted_mean(scale, rng):
    model, net = build_pair(STACK, 4, rng, loss="sparse_categorical_crossentropy")
    x, y, _ = some_data(rng)
    whole = rng.integers(1, 4, N)
    weights = scale * whole.astype(np.float32 if scale in (1e-45, 1e38) else np.float64)
    expected = np.average(net.losses(net.forward(x.astype(np.float64)), y), weights=whole) + net.penalty()
    np.testing.assert_allclose(model.evaluate(x, y, sample_weight=weights, verbose=0), expected, rtol=1e-6)


def test_a_fold_of_a_search_is_trained_as_fit_trains(rng):
    """With class_weight and sample_weight, on several batches, to the bit."""
    from fastreg.search import GridSearch

    data, folds = some_data(rng), [(np.arange(60), np.arange(60, N)), (np.arange(23, N), np.arange(23))]
    found = {}

    def build(params):
        model = fr.Sequential([layers.Dense(5, "tanh"), layers.Dense(3, "softmax")], seed=7)
        model.compile(optimizers.Adam(params["rate"]), "sparse_categorical_crossentropy")
        return model

    fit = {"epochs": 4, "batch_size": 8, "sample_weight": data[2], "class_weight": {0: 5.0}, "verbose": 0}
    search = GridSearch(build, {"rate": [0.01, 0.02]}, cv=folds, scoring="loss", refit=False)
    search.fit(data[0], data[1], **fit)
    for k, (train, scored) in enumerate(folds):
        for i, rate in enumerate((0.01, 0.02)):
            model = build({"rate": rate})
            model.fit(data[0], data[1], rows=train, **fit)
            found[i, k] = model.evaluate(data[0], data[1], sample_weight=data[2], rows=scored, verbose=0)
            assert search.results_[f"split{k}_test_score"][i] == pytest.approx(found[i, k], rel=1e-12)


# ------------------------------------------------------------------------------------------------------ one operation


@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-30, 1e30, 1e38])
def test_the_gradient_of_a_single_loss_does_not_depend_on_the_scale(scale, rng):
    y, t, whole = rng.normal(size=(40, 3)), rng.normal(size=(40, 3)), rng.integers(1, 4, 40).astype(np.float32)
    expected = ops.loss("mse", y, t, whole)[1]
    np.testing.assert_allclose(ops.loss("mse", y, t, np.float32(scale) * whole)[1], expected, rtol=4 * EPS)
    assert np.abs(expected).max() > 0.01


def test_weights_of_an_output_that_there_is_not_are_refused_by_what_was_given(rng):
    entry = fr.Input((2,))
    model = fr.Model(entry, {name: layers.Dense(1, name=name)(entry) for name in "ab"}, seed=0)
    model.compile("sgd", "mse")
    x, weights = rng.normal(size=(20, 2)), np.ones(20)
    y = {"a": x[:, 0], "b": x[:, 1]}
    expected = "sample_weight: must have keys among 'a', 'b', got 'z'$"
    with pytest.raises(ValueError, match=expected):
        model.fit(x, y, sample_weight={"z": weights}, verbose=0)
    with pytest.raises(ValueError, match="validation_data " + expected):
        model.fit(x, y, validation_data=(x, y, {"z": weights}), verbose=0)
    with pytest.raises(ValueError, match=r"got 'z', 'a'$"):
        model.evaluate(x, y, sample_weight={"z": weights, "a": weights}, verbose=0)
