"""Classes that users derive as from Keras's and PyTorch's: what would be ignored is refused, with what to write."""

import copy

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, losses, metrics, optimizers, regularizers, schedules


@pytest.mark.parametrize("base", [fr.Model, fr.Sequential])
@pytest.mark.parametrize(
    ("method", "hint"),
    [
        ("train_step", "losses and metrics that are functions"),
        ("compute_loss", "losses and metrics that are functions"),
        ("call", r"fastreg.Model\(inputs, outputs\)"),
        ("forward", r"fastreg.Model\(inputs, outputs\)"),
        ("test_step", "evaluate and predict can be derived"),
    ],
)
def test_methods_that_a_fit_would_not_call(base, method, hint):
    with pytest.raises(TypeError, match=rf"^Net: {method} would never be called; .*{hint}"):
        type("Net", (base,), {method: lambda self, data: {}})


def test_other_methods_of_a_model_are_free():
    class Net(fr.Sequential):
        def __init__(self):
            super().__init__([layers.Dense(1)], seed=0)

        def classes(self, x):
            return self.predict(x)[:, 0] > 0

    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    net = Net()
    net.compile("adam", "mse")
    net.fit(x, x[:, 0], verbose=0)
    assert net.classes(x).tolist() == (net.predict(x)[:, 0] > 0).tolist()
    assert type(copy.deepcopy(net)) is Net


@pytest.mark.parametrize(
    ("base", "words"),
    [
        (losses.Loss, "losses are supported; a function of (y_true, y_pred) that returns values and their gradient"),
        (metrics.Metric, "metrics are supported; a function of (y_true, y_pred) is a metric"),
        (regularizers.Regularizer, "regularizers are supported"),
    ],
)
def test_a_constructor_of_ones_own(base, words):
    """Keras's way, ``super().__init__(name=...)``, was answered by an error about object.__init__."""

    class Own(base):
        def __init__(self):
            super().__init__(name="own")

    with pytest.raises(TypeError, match=r"^Own: only the built-in ") as caught:
        Own()
    assert words in str(caught.value)


def test_attributes_of_ones_own():
    class Slow(schedules.LearningRateSchedule):
        def __init__(self, rate):
            self.rate = rate

    with pytest.raises(AttributeError, match=r"cannot assign to 'rate' of a Slow; only the built-in schedules are"):
        Slow(0.1)
    with pytest.raises(AttributeError, match=r"cannot assign to field 'beta_1'$|'beta_1' of a Adam$"):
        optimizers.Adam().beta_1 = 0.5


@pytest.mark.parametrize("kind", [losses.Loss, metrics.Metric])
def test_the_argument_of_compile_says_the_same(kind):
    own = type("Own", (kind,), {"name": "own"})()
    model = fr.Sequential([layers.Dense(1)], seed=0)
    with pytest.raises(TypeError, match=r"are supported, got Own; a function of \(y_true, y_pred\)"):
        model.compile("adam", own if kind is losses.Loss else "mse", [own] if kind is metrics.Metric else None)


@pytest.mark.parametrize("count", [2, 3])
def test_layers_that_are_not_in_a_list(count):
    """PyTorch's form."""
    parts = [layers.Dense(1) for _ in range(count)]
    with pytest.raises(TypeError, match=rf"layers must be a list of layers, Sequential\(\[...\]\), got {count} arg"):
        fr.Sequential(*parts)
    with pytest.raises(TypeError, match=r"layers must be a list of layers, Sequential\(\[...\]\), got Dense\("):
        fr.Sequential(parts[0])


def test_batches_in_place_of_arrays():
    model = fr.Sequential([layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    x = np.ones((4, 2), np.float32)
    message = r"^x: must be an array or a frame, got <generator .*; np.concatenate .* train_on_batch"
    with pytest.raises(TypeError, match=message):
        model.fit(((x, x[:, 0]) for _ in range(3)), None, verbose=0)
    with pytest.raises(TypeError, match=r"^x: must be numbers, got None$"):
        model.fit(None, x[:, 0], verbose=0)
