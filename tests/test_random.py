"""Randomness: Philox itself, dropout's masks, initial weights, shuffling; all of it a function of the seed."""

import math

import fastreg as fr
import numpy as np
import pytest
import reference as ref
import scipy.stats
from cases import INITIALIZER_CASES
from conftest import SIZES
from fastreg import _core, initializers, layers, ops, optimizers

SEEDS = (0, 1, 2**32 - 1, 2**32, 2**63 - 1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [0, 1, 3, 16, 17, 100])
def test_random_words_are_philox(seed, n):
    for stream, step, first in ((0, 0, 0), (7, 2**32 - 1, 5), (2**32 - 1, 3, 2**32 - 2), (1, 1, 2**40 + 1)):
        actual = _core.random_words(seed, stream, step, first, n)
        np.testing.assert_array_equal(actual, ref.random_words(seed, stream, step, first, n))


def test_random_words_known_answers():
    """Random123's published vectors: the counter is {block low, block high, stream, step}, the key the seed."""
    zero = _core.random_words(0, 0, 0, 0, 1)[0]
    ones = _core.random_words(2**64 - 1, 2**32 - 1, 2**32 - 1, 2**64 - 1, 1)[0]
    pi = _core.random_words(0x299F31D0A4093822, 0x13198A2E, 0x03707344, 0x85A308D3243F6A88, 1)[0]
    assert [f"{word:08x}" for word in zero] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    assert [f"{word:08x}" for word in ones] == ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]
    assert [f"{word:08x}" for word in pi] == ["d16cfe09", "94fdcceb", "5001e420", "24126ea1"]


# -------------------------------------------------------------------------------------------------------- dropout


def mask_of(x, rate, **key):
    """What ops.dropout keeps of x, which has no zeros."""
    return ops.dropout(x, rate, **key) != 0.0


@pytest.mark.parametrize("cols", [c for c in SIZES if c > 0])
@pytest.mark.parametrize("rows", [1, 2, 17])
def test_dropout_mask_and_scale(rows, cols, rng):
    x = rng.uniform(0.5, 1.5, (rows, cols)).astype(np.float32)
    for rate, seed, step in ((0.5, 0, 0), (0.1, 123456789012345, 7), (0.9, 2**63 - 1, 2**31)):
        keep = ref.dropout_keep(seed, 0, step, x.shape, rate)
        expected = ref.dropout(x.astype(np.float64), keep, rate)
        np.testing.assert_allclose(ops.dropout(x, rate, seed=seed, step=step), expected, rtol=3e-7)


def test_dropout_of_rate_zero_and_of_nothing():
    x = np.ones((3, 5), np.float32)
    np.testing.assert_array_equal(ops.dropout(x, 0.0, seed=0, step=0), x)
    assert ops.dropout(np.empty((0, 5), np.float32), 0.5, seed=0, step=0).shape == (0, 5)


def test_dropout_keep_rate():
    x = np.ones((1000, 800), np.float32)
    for rate in (0.01, 0.1, 0.5, 0.8, 0.99):
        kept = mask_of(x, rate, seed=4, step=1).sum()
        assert abs(kept - x.size * (1.0 - rate)) < 5.0 * math.sqrt(x.size * rate * (1.0 - rate))
        # Dropout does not change the expectation: the outputs have the same mean as the inputs.
        y = ops.dropout(x, rate, seed=4, step=1)
        assert abs(y.mean(dtype=np.float64) - 1.0) < 5.0 * math.sqrt(rate / (1.0 - rate) / x.size) + 1e-4


def test_dropout_columns_and_rows_are_independent():
    """Each column's and each row's count is binomial: no lane of a vector and no row is favoured."""
    keep = mask_of(np.ones((4000, 131), np.float32), 0.5, seed=8, step=0)
    for axis in (0, 1):
        counts, n = keep.sum(axis=axis), keep.shape[axis]
        assert np.abs(counts - n / 2).max() < 5.0 * math.sqrt(n / 4)
    neighbours = (keep[:, 1:] == keep[:, :-1]).mean()
    assert abs(neighbours - 0.5) < 5.0 * math.sqrt(0.25 / keep[:, 1:].size)


@pytest.mark.parametrize("other", [{"seed": 1, "step": 0}, {"seed": 0, "step": 1}, {"seed": 2**32, "step": 0}])
def test_dropout_masks_of_other_keys_are_unrelated(other):
    x = np.ones((100, 100), np.float32)
    equal = (mask_of(x, 0.5, seed=0, step=0) == mask_of(x, 0.5, **other)).mean()
    assert abs(equal - 0.5) < 5.0 * math.sqrt(0.25 / x.size)


def test_masks_of_two_layers_and_of_two_steps_differ():
    """Weights tell: with X of ones, y of zeros and no step back through a mask, a kernel's gradient is its mask."""

    def gradient(stack, steps):
        model = fr.Sequential(stack, seed=5)
        model.compile(optimizer=optimizers.SGD(1e-3), loss="mse")
        model.build(200)
        model.set_weights([np.ones((200, 1), np.float32)])
        before = None
        for _ in range(steps):
            before = model.get_weights()[0]
            model.fit(np.ones((1, 200), np.float32), np.zeros(1), verbose=0)
        return (model.get_weights()[0] - before)[:, 0] != 0.0

    last = layers.Dense(1, use_bias=False)
    first = gradient([layers.Dropout(0.5), last], 1)
    second = gradient([layers.Dropout(0.5), last], 2)
    moved = gradient([layers.Activation("linear"), layers.Dropout(0.5), last], 1)
    both = gradient([layers.Dropout(0.5), layers.Dropout(0.5), last], 1)
    for mask in (first, second, moved):
        assert abs(mask.sum() - 100) < 5.0 * math.sqrt(50)
    for a, b in ((first, second), (first, moved), (second, moved)):
        assert abs((a == b).sum() - 100) < 5.0 * math.sqrt(50)
    assert abs(both.sum() - 50) < 5.0 * math.sqrt(200 * 0.25 * 0.75)


# ------------------------------------------------------------------------------------------------ initial weights


def kernel(initializer, shape, seed=0):
    model = fr.Sequential([layers.Dense(shape[1], kernel_initializer=initializer)], seed=seed)
    model.build(shape[0])
    w, b = model.get_weights()
    np.testing.assert_array_equal(b, np.zeros(shape[1], np.float32))
    assert w.shape == shape
    return w.astype(np.float64)


VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2.0 / (fan_in + fan_out),
    "he": lambda i, _: 2.0 / i,
    "lecun": lambda i, _: 1.0 / i,
}
CUT_NORMAL_DEVIATION = 0.87962566103423978  # of a standard normal cut at two standard deviations


@pytest.mark.parametrize("shape", [(300, 200), (50, 1000)])
@pytest.mark.parametrize("family", VARIANCES)
def test_scaled_initializers(family, shape):
    variance = VARIANCES[family](*shape)
    uniform, limit = kernel(f"{family}_uniform", shape), math.sqrt(3.0 * variance)
    assert np.abs(uniform).max() <= limit * (1.0 + 1e-6)
    assert scipy.stats.kstest(uniform.ravel(), scipy.stats.uniform(-limit, 2.0 * limit).cdf).pvalue > 1e-4
    normal, deviation = kernel(f"{family}_normal", shape), math.sqrt(variance) / CUT_NORMAL_DEVIATION
    assert np.abs(normal).max() <= 2.0 * deviation * (1.0 + 1e-6)
    assert scipy.stats.kstest(normal.ravel(), scipy.stats.truncnorm(-2, 2, scale=deviation).cdf).pvalue > 1e-4
    for w in (uniform, normal):
        assert abs(w.var() / variance - 1.0) < 0.03


# The last one has more weights than are drawn at a time, 65536.
@pytest.mark.parametrize("shape", [(300, 200), (50, 1000), (260, 300)])
@pytest.mark.parametrize("name", INITIALIZER_CASES)
def test_initial_weights_have_their_distribution(name, shape):
    initializer, distribution = INITIALIZER_CASES[name]
    place, scale = distribution.of(*shape)
    w = kernel(initializer, shape)
    if distribution.name == "constant":
        np.testing.assert_array_equal(w, np.full(shape, place))
        return
    if distribution.name == "identity":
        np.testing.assert_array_equal(w, place * np.eye(*shape))
        return
    cut = (-2.0, 2.0) if distribution.name == "truncnorm" else ()
    expected = getattr(scipy.stats, distribution.name)(*cut, loc=place, scale=scale)
    assert scipy.stats.kstest(w.ravel(), expected.cdf).pvalue > 1e-4
    assert abs(w.var() / expected.var() - 1.0) < 0.03
    low, high = expected.support()
    assert low - 1e-6 * scale <= w.min()
    assert w.max() <= high + 1e-6 * scale


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (40, 17), (17, 40), (1, 9), (9, 1), (300, 200), (200, 400)])
def test_orthogonal_kernels_are_orthogonal(shape):
    """The products of all pairs of columns, or of rows, where there are fewer; their signs are not all the same."""
    w = kernel(initializers.Orthogonal(3.0), shape)
    products = w @ w.T if shape[0] < shape[1] else w.T @ w
    np.testing.assert_allclose(products, 9.0 * np.eye(min(shape)), atol=1e-5)
    if min(shape) > 5:
        signs = {np.sign(np.diag(kernel(initializers.Orthogonal(), shape, seed=seed))).sum() for seed in range(5)}
        assert len(signs) > 1, "the signs are not those of one way to decompose a matrix"


@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
def test_variance_scaling_has_its_variance(mode, distribution):
    shape = (200, 300)
    w = kernel(initializers.VarianceScaling(3.0, mode, distribution), shape)
    n = {"fan_in": 200, "fan_out": 300, "fan_avg": 250}[mode]
    assert abs(w.var() * n / 3.0 - 1.0) < 0.03
    assert np.abs(w).max() > 1.5 * (3.0 / n) ** 0.5


def test_named_initializers_are_cases_of_variance_scaling():
    pairs = [("he_normal", (2.0,)), ("lecun_uniform", (1.0, "fan_in", "uniform")),
             ("glorot_normal", (1.0, "fan_avg", "Normal"))]
    for name, arguments in pairs:
        np.testing.assert_allclose(kernel(name, (30, 20)), kernel(initializers.VarianceScaling(*arguments), (30, 20)),
                                   rtol=1e-6)


@pytest.mark.parametrize("initializer", ["orthogonal", "identity"])
def test_a_vector_is_no_matrix(initializer):
    model = fr.Sequential([layers.Dense(3, bias_initializer=initializer)])
    with pytest.raises(ValueError, match=r"layer \(Dense\): bias_initializer must not be .*, which is for matr"):
        model.build(4)


def test_default_kernel_is_glorot_uniform():
    model = fr.Sequential([layers.Dense(40)], seed=3)
    model.build(30)
    np.testing.assert_array_equal(model.get_weights()[0], kernel("glorot_uniform", (30, 40), seed=3).astype(np.float32))


def test_batch_normalization_starts_as_identity():
    model = fr.Sequential([layers.BatchNormalization()])
    model.build(7)
    for w, value in zip(model.get_weights(), (1.0, 0.0, 0.0, 1.0), strict=True):
        np.testing.assert_array_equal(w, np.full(7, value, np.float32))


def test_layers_and_seeds_start_differently():
    def start(seed):
        model = fr.Sequential([layers.Dense(20), layers.Dense(20)], seed=seed)
        model.build(20)
        return model.get_weights()[::2]

    first, second = start(0)
    assert np.unique(first).size > 390, "values repeat within a kernel"
    for other in (second, start(1)[0], start(2**32)[0]):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5.0 / math.sqrt(400)
    np.testing.assert_array_equal(first, start(0)[0])


def test_without_a_seed_two_models_differ():
    kernels = []
    for _ in range(2):
        model = fr.Sequential([layers.Dense(20)])
        model.build(20)
        kernels.append(model.get_weights()[0])
    assert (kernels[0] != kernels[1]).any()


# ------------------------------------------------------------------------------------------------------- shuffling


MOMENTUM = 0.9


def steps_of_rows(n, *, seed=0, shuffle=True, batch_size=1, epoch=0):
    """The step of an epoch at which each row is used, read off the weights; NaN for a row that is never used.

    X is the identity, so that row i moves weight i alone, by one gradient of known size; momentum carries it on in each
    step that follows, and the sum of its powers tells how many did. Epochs before have zero gradients.
    """
    model = fr.Sequential([layers.Dense(1, use_bias=False, kernel_initializer="zeros")], seed=seed)
    model.compile(optimizer=optimizers.SGD(1e-3, momentum=MOMENTUM), loss="mse")
    x = np.eye(n, dtype=np.float32)
    options = {"batch_size": batch_size, "shuffle": shuffle, "verbose": 0}
    for _ in range(epoch):
        model.fit(x, np.zeros((n, 1), np.float32), **options)
    model.fit(x, np.ones((n, 1), np.float32), **options)
    distance = model.get_weights()[0][:, 0].astype(np.float64) * batch_size / (2.0 * 1e-3)
    with np.errstate(divide="ignore"):
        lasted = np.log(1.0 - distance * (1.0 - MOMENTUM)) / math.log(MOMENTUM)
    steps = n // batch_size - lasted
    assert np.abs(steps - steps.round()).max() < 0.02, "a row was used more than once"
    return steps.round().astype(int)


@pytest.mark.parametrize("epoch", [0, 1, 5])
@pytest.mark.parametrize(("n", "batch_size"), [(2, 1), (33, 1), (40, 8)])
def test_every_row_is_used_once_an_epoch(n, batch_size, epoch):
    in_order = steps_of_rows(n, shuffle=False, batch_size=batch_size, epoch=epoch)
    np.testing.assert_array_equal(in_order, np.arange(n) // batch_size)
    shuffled = steps_of_rows(n, batch_size=batch_size, epoch=epoch)
    np.testing.assert_array_equal(np.sort(shuffled), in_order)


def test_orders_differ_between_epochs_and_seeds_and_repeat():
    orders = [steps_of_rows(33, seed=seed, epoch=epoch) for seed in (0, 1, 2**32) for epoch in (0, 1, 2)]
    assert len({tuple(order) for order in [*orders, np.arange(33)]}) == 10
    np.testing.assert_array_equal(orders[1], steps_of_rows(33, seed=0, epoch=1))


def test_first_and_last_row_go_anywhere():
    orders = np.array([steps_of_rows(6, seed=seed) for seed in range(300)])
    for row in (0, 5):
        assert scipy.stats.chisquare(np.bincount(orders[:, row], minlength=6)).pvalue > 1e-4
    # All orders of three of them appear equally often: no bias of neighbours.
    ranks = orders[:, :3].argsort(axis=1) @ [9, 3, 1]
    assert scipy.stats.chisquare(np.unique(ranks, return_counts=True)[1]).pvalue > 1e-4
    assert len(np.unique(ranks)) == 6


# -------------------------------------------------------------------------------------------------- whole trainings


def trained(seed, x, y):
    model = fr.Sequential(
        [
            layers.Dense(33, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid"),
        ],
        seed=seed,
    )
    model.compile(optimizer="adam", loss="binary_crossentropy")
    model.fit(x, y, epochs=3, batch_size=16, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("seed", SEEDS)
def test_one_seed_is_one_result_and_another_is_another(seed, rng):
    x, y = rng.normal(size=(70, 9)).astype(np.float32), rng.integers(0, 2, 70)
    first, again, other = trained(seed, x, y), trained(seed, x, y), trained(seed ^ 1, x, y)
    assert [w.tobytes() for w in first] == [w.tobytes() for w in again]
    assert all((w != v).any() for w, v in zip(first, other, strict=True))


SEEDED = [initializers.RandomNormal, initializers.TruncatedNormal, initializers.RandomUniform,
          initializers.GlorotUniform, initializers.GlorotNormal, initializers.HeUniform, initializers.HeNormal,
          initializers.LecunUniform, initializers.LecunNormal, initializers.VarianceScaling, initializers.Orthogonal]


@pytest.mark.parametrize("kind", SEEDED)
def test_a_seed_of_an_initializer_alone_decides(kind, tmp_path):
    """As in Keras: the same values in another layer and in another model, and other ones for another seed."""
    def weights(seed, of_model, ones_before=0):
        before = [layers.Dense(8, kernel_initializer="ones")] * ones_before
        made = fr.Sequential([fr.Input((8,)), *before, *(layers.Dense(8, kernel_initializer=kind(seed=seed)),) * 2],
                             seed=of_model)
        made.save(tmp_path / "net.safetensors")
        loaded = fr.load(tmp_path / "net.safetensors")
        assert loaded.layers[-1].kernel_initializer == kind(seed=seed)
        again = fr.models.clone_model(loaded)
        np.testing.assert_array_equal(again.get_weights()[-2], made.get_weights()[-2])
        return made.get_weights()[2 * ones_before :: 2]

    first, second = weights(3, of_model=0)
    np.testing.assert_array_equal(first, second)
    for of_model, ones_before in ((1, 0), (0, 1)):
        for found in weights(3, of_model, ones_before):
            np.testing.assert_array_equal(found, first)
    assert not np.array_equal(weights(4, of_model=0)[0], first)
    assert not np.array_equal(weights(2**64 - 1, of_model=0)[0], first)
    unseeded = weights(None, of_model=3)
    assert not np.array_equal(unseeded[0], unseeded[1])
    assert not np.array_equal(unseeded[0], first)
    assert kind().to_config() == {name: value for name, value in kind(seed=1).to_config().items() if name != "seed"}
    assert ("seed" in repr(kind()), repr(kind(seed=1)).endswith("seed=1)")) == (False, True)
