"""Objects that offer their memory by DLPack alone are arrays wherever arrays are taken."""

from __future__ import annotations

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, losses, metrics
from fastreg.search import RandomSearch, Uniform
from fastreg.sklearn import MLPClassifier, RealMLPRegressor
from numpy.testing import assert_array_equal

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)


class Tensor:
    """An array of another library: its memory, and nothing that NumPy takes by itself."""

    def __init__(self, array, device=(1, 0)):
        self._array, self._device = array, device

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device


class Sized(Tensor):
    """One with the rest of an array's face."""

    def __init__(self, array):
        super().__init__(array)
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, str(array.dtype)

    def __len__(self):
        return len(self._array)

    def __getitem__(self, index):
        return Sized(self._array[index])


def compiled(seed=1):
    model = fr.Sequential([layers.Dense(4, "relu"), layers.Dense(1, "sigmoid")], seed=seed)
    model.compile("adam", "binary_crossentropy", ["accuracy"])
    return model


@pytest.mark.parametrize("kind", [Tensor, Sized])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64])
def test_a_model_takes_them(kind, dtype):
    x, weights = (10 * np.abs(X)).astype(dtype), np.linspace(0.5, 1.5, 60)
    plain, other = compiled(), compiled()
    first = plain.fit(x, Y, epochs=2, verbose=0, sample_weight=weights, validation_data=(x, Y))
    given = (kind(x), kind(Y))
    second = other.fit(*given, epochs=2, verbose=0, sample_weight=kind(weights), validation_data=given)
    assert first.history == second.history
    assert_array_equal(other.predict(kind(x)), plain.predict(x))
    assert other.evaluate(*given, verbose=0) == plain.evaluate(x, Y, verbose=0)
    assert other.train_on_batch(*given) == plain.train_on_batch(x, Y)
    assert_array_equal(other.predict_on_batch(kind(x)), plain.predict_on_batch(x))
    assert_array_equal(other(kind(x)), plain(x))


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("kind", [Tensor, Sized])
def test_others_take_them(kind):
    frozen = compiled()
    frozen.build(3)
    predictor = frozen.freeze()
    assert_array_equal(predictor(kind(X)), predictor(X))
    assert losses.BinaryCrossentropy()(kind(Y), kind(Y)) == losses.BinaryCrossentropy()(Y, Y)
    accuracy = metrics.BinaryAccuracy()
    accuracy.update_state(kind(Y), kind(Y))
    assert accuracy.result() == 1.0
    weights = [kind(w) for w in frozen.get_weights()]
    frozen.set_weights(weights)
    assert_array_equal(layers.Rescaling(2.0)(kind(X)), 2 * X)
    average = metrics.Mean()
    average.update_state(kind(X))
    assert float(average.result()) == pytest.approx(X.mean(), abs=1e-6)
    for cls, y in ((MLPClassifier, Y[:, 0]), (RealMLPRegressor, X[:, 0])):
        estimator = cls(max_iter=2, random_state=0)
        expected = estimator.fit(X, y).predict(X)
        assert_array_equal(estimator.fit(kind(X), kind(y)).predict(kind(X)), expected)
    found = [
        RandomSearch(build, {"rate": Uniform(0.0, 0.5)}, n_trials=2, cv=2, seed=0, n_jobs=1, verbose=0).fit(*given)
        for given in ((X, Y), (kind(X), kind(Y)))
    ]
    assert found[0].best_score_ == found[1].best_score_


def build(params):
    model = fr.Sequential([layers.Dropout(params["rate"]), layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


@pytest.mark.parametrize("kind", [2, 8, 13])  # CUDA, Metal, managed CUDA
def test_memory_of_another_device(kind):
    for call in (compiled().fit, MLPClassifier().fit, RealMLPRegressor().fit):
        with pytest.raises(ValueError, match=rf"^[xX]: must be in the memory of the CPU, got a Tensor .* type {kind};"):
            call(Tensor(X, (kind, 0)), Y[:, 0])


def test_memory_that_numpy_cannot_read():
    class Odd(Tensor):
        def __dlpack__(self, **options):
            raise BufferError("bits of four")

    with pytest.raises(ValueError, match=r"^x: NumPy cannot read the Odd by DLPack: bits of four$"):
        compiled().fit(Odd(X), Y)
