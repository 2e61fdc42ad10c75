"""The learning-rate range finder: what it does step by step, what it suggests, and that the model stays as it is."""

import fastreg as fr
import numpy as np
import pytest
from fastreg import diagnosis, layers, optimizers
from programs import blobs, compiled, same_bits, tutorial_layers

X, Y = blobs(300, 10, 2)


def net(optimizer="adam"):
    return compiled(tutorial_layers(), optimizer=optimizer, seed=11, metrics=["accuracy"])


def test_losses_are_those_of_a_loop_with_growing_rates():
    """Of one step for each rate, from the same weights, over the same batches."""
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.5), n_features=10)
    found = diagnosis.find_learning_rate(model, X, X[:, 0], 50, start=1e-5, end=1e-1, steps=9, shuffle=False)
    rates = np.geomspace(1e-5, 1e-1, 9)
    np.testing.assert_allclose(found.rates, rates)
    average, smoothed, losses = 0.0, [], []
    for step, rate in enumerate(rates):
        model.learning_rate = rate
        rows = slice(50 * (step % 6), 50 * (step % 6) + 50)
        losses.append(model.train_on_batch(X[rows], X[rows, 0]))
        average = 0.9 * average + 0.1 * losses[-1]
        smoothed.append(average / (1 - 0.9 ** (step + 1)))
    np.testing.assert_allclose(found.losses, losses, rtol=1e-6)
    np.testing.assert_allclose(found.smoothed, smoothed, rtol=1e-6)
    assert not found.diverged


def test_the_model_stays_as_it_is():
    model, other = net(), net()
    for one in (model, other):
        one.fit(X, Y, epochs=2, verbose=0)
    history, rate = model.history, model.learning_rate
    diagnosis.find_learning_rate(model, X, Y)
    assert model.history is history
    assert model.learning_rate == rate
    for one in (model, other):
        one.fit(X, Y, epochs=1, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


def test_the_suggestion_trains_well():
    """Better than a hundredth of it, and than the rate at which it diverged."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 8)).astype("float32")
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]

    def loss_with(optimizer):
        model = compiled([layers.Dense(32, "relu"), layers.Dense(1)], loss="mse", optimizer=optimizer, n_features=8)
        return model.fit(x, y, epochs=3, verbose=0).history["loss"][-1]

    for kind in (optimizers.SGD, optimizers.Adam):
        model = compiled([layers.Dense(32, "relu"), layers.Dense(1)], loss="mse", optimizer=kind(), n_features=8)
        found = diagnosis.find_learning_rate(model, x, y, steps=200)
        assert found.diverged
        lowest = found.rates[np.argmin(found.smoothed)]
        assert found.suggestion == pytest.approx(lowest / 10)
        assert lowest / 200 < found.steepest < lowest
        assert loss_with(kind(found.steepest)) < 0.8 * loss_with(kind(found.steepest / 100))
        assert loss_with(kind(found.suggestion)) < 0.8 * loss_with(kind(found.suggestion / 100))


def test_the_same_model_gives_the_same_result():
    first, second = (diagnosis.find_learning_rate(net(), X, Y) for _ in range(2))
    assert np.array_equal(first.losses, second.losses)


@pytest.mark.parametrize(("given", "error", "words"), [
    ({"start": 0.0}, ValueError, "start must be > 0"), ({"start": 1.0, "end": 0.1}, ValueError, "end must be larger"),
    ({"steps": 1}, ValueError, "steps must be >= 2, got 1"), ({"smoothing": 1.0}, ValueError, "smoothing must be in"),
    ({"limit": 1.0}, ValueError, "limit must be > 1"), ({"batch_size": 0}, ValueError, "batch_size must be >= 1"),
    ({"epochs": 3}, TypeError, "epochs must be one of sample_weight, class_weight"),
])
def test_bad_arguments(given, error, words):
    with pytest.raises(error, match=f"^find_learning_rate: {words}"):
        diagnosis.find_learning_rate(net(), X, Y, **given)


def test_a_model_that_is_not_compiled_is_an_error():
    with pytest.raises(ValueError, match="not compiled"):
        diagnosis.find_learning_rate(fr.Sequential([layers.Dense(1)]), X, Y)


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    found = diagnosis.find_learning_rate(net(), X, Y, steps=40)
    figure = found.plot(tmp_path / "rates.png")
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert np.array_equal(axes.lines[1].get_ydata(), found.smoothed)
    assert (tmp_path / "rates.png").read_bytes()[:4] == b"\x89PNG"
    assert repr(found).startswith(f"<RateRange of {len(found.rates)} steps")


def test_a_suggestion_below_all_rates_warns():
    """A model that is trained already only gets worse, so that its smallest loss is the one at the beginning."""
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.Adam(0.05), n_features=2)
    model.fit(x, x[:, 0], epochs=300, verbose=0)
    words = r"^find_learning_rate: the loss was smallest near start, 0\.01, so that the suggestion, "
    with pytest.warns(UserWarning, match=words):
        found = diagnosis.find_learning_rate(model, x, x[:, 0], start=0.01, batch_size=64)
    assert found.suggestion < found.rates[0]
