"""One batch at a time: what a step is, what is reported, and that nothing is kept."""

from __future__ import annotations

import copy
import pickle
import resource
import threading

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers, regularizers, schedules
from programs import blobs, compiled, same_bits, tutorial_layers

X, Y = blobs(96, 10, 2)


def model(metrics=("accuracy",), optimizer=None, loss="binary_crossentropy"):
    return compiled(tutorial_layers(), optimizer=optimizer or optimizers.Adam(schedules.CosineDecay(0.01, 30)), seed=11,
                    metrics=list(metrics), loss=loss)


def batches(size=32):
    return [slice(begin, begin + size) for begin in range(0, len(X), size)]


def test_steps_are_those_of_fit():
    """Dropout, penalties, moving statistics and a schedule included: the same bits."""
    whole, steps = model(), model()
    whole.fit(X, Y, batch_size=32, epochs=3, shuffle=False, verbose=0)
    for _ in range(3):
        for batch in batches():
            steps.train_on_batch(X[batch], Y[batch])
    assert same_bits(whole.get_weights(), steps.get_weights())
    assert steps._core.trainer.step == 9
    assert steps._core.trainer.epoch == 0
    assert steps.learning_rate == whole.learning_rate


@pytest.mark.parametrize("metrics", [[], ["accuracy"], ["accuracy", "auc", "f1_score"]])
def test_values_are_those_of_the_batch_before_its_step(metrics):
    """Of an epoch of one batch, whatever the metric; the loss with its penalties."""
    whole, steps = model(metrics), model(metrics)
    for batch in batches():
        expected = whole.fit(X[batch], Y[batch], batch_size=None, shuffle=False, verbose=0).history
        found = steps.train_on_batch(X[batch], Y[batch], return_dict=True)
        assert list(found) == list(expected) == steps.metrics_names
        assert found == {key: pytest.approx(values[0], rel=1e-9) for key, values in expected.items()}


def test_forms_of_the_result():
    net = model()
    values = net.train_on_batch(X, Y)
    assert isinstance(values, list)
    assert all(type(value) is float for value in values)
    assert type(model([]).train_on_batch(X, Y)) is float
    assert net.reset_metrics() is None
    assert net.test_on_batch(X, Y, return_dict=True) == dict(zip(net.metrics_names, net.evaluate(X, Y, verbose=0),
                                                                 strict=True))
    assert same_bits([net.predict_on_batch(X)], [net.predict(X)])
    fresh = fr.Sequential([layers.Dense(1)])
    assert fresh.metrics_names == []


def test_weights_of_rows_are_used_as_they_are():
    """Twice the weights are twice the gradient; the loss is the weighted sum divided by the number of rows."""
    target, weights = X[:, 0], np.random.default_rng(0).uniform(0.5, 3.0, len(X))

    def step(scale):
        net = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1), n_features=10)
        before = net.get_weights()
        loss = net.train_on_batch(X, target, scale * weights)
        return [after - start for after, start in zip(net.get_weights(), before, strict=True)], loss, before

    once, loss, before = step(1.0)
    twice, double, _ = step(2.0)
    for a, b in zip(once, twice, strict=True):
        np.testing.assert_allclose(2 * a, b, rtol=2e-5, atol=1e-6)
    errors = X @ before[0][:, 0] + before[1] - target
    assert loss == pytest.approx(np.mean(weights * errors**2), rel=1e-5)
    assert double == pytest.approx(2 * loss, rel=1e-6)
    np.testing.assert_allclose(once[0][:, 0], -0.2 * X.T @ (weights * errors) / len(X), rtol=1e-4, atol=1e-6)


def test_weights_of_classes():
    by_class, by_row = model(), model()
    by_class.train_on_batch(X, Y, class_weight={1: 3.0})
    by_row.train_on_batch(X, Y, np.where(np.ravel(Y) == 1, 3.0, 1.0))
    assert same_bits(by_class.get_weights(), by_row.get_weights())
    plain = model()
    plain.train_on_batch(X, Y)
    assert not same_bits(by_class.get_weights(), plain.get_weights())


def test_several_inputs_and_outputs():
    left, right = fr.Input((4,), name="a"), fr.Input((6,), name="b")
    joined = layers.Dense(8, "tanh")(layers.Concatenate()([left, right]))
    net = fr.Model([left, right], [layers.Dense(1, name="u")(joined), layers.Dense(2, name="v")(joined)], seed=0)
    net.compile("sgd", "mse")
    given = {"a": X[:, :4], "b": X[:, 4:]}, {"u": X[:, 0], "v": X[:, 1:3]}
    first = net.train_on_batch(*given, return_dict=True)
    assert list(first) == ["loss", "u_loss", "v_loss"]
    assert first["loss"] == pytest.approx(first["u_loss"] + first["v_loss"])
    for _ in range(50):
        last = net.train_on_batch(*given, return_dict=True)
    assert last["loss"] < 0.5 * first["loss"]


def test_a_penalty_is_part_of_the_loss():
    def loss_of(penalty):
        net = compiled([layers.Dense(1, kernel_regularizer=penalty)], loss="mse", optimizer="sgd", n_features=10)
        weights = net.get_weights()
        return net.train_on_batch(X, X[:, 0]), weights

    plain, weights = loss_of(None)
    penalty = 0.1 * np.sum(weights[0].astype(float) ** 2)
    assert loss_of(regularizers.L2(0.1))[0] == pytest.approx(plain + penalty, rel=1e-5)


def test_a_step_that_diverges_changes_nothing():
    net = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(1e30), n_features=10)
    net.train_on_batch(X[:1] * 0, np.zeros(1))
    before, step = net.get_weights(), net._core.trainer.step
    with pytest.raises(fr.DivergenceError, match=r"^train_on_batch: training diverged at step 1"):
        net.train_on_batch(X, X[:, 0] * 1e30)
    assert same_bits(before, net.get_weights())
    assert net._core.trainer.step == step


def failing_loss(y_true, y_pred):
    if np.abs(y_true).max() > 1e3:
        raise KeyError("far")
    return ((y_pred - y_true) ** 2).mean(axis=1), 2 * (y_pred - y_true)


@pytest.mark.parametrize(("loss", "error"), [("mse", fr.DivergenceError), (failing_loss, KeyError)])
def test_a_step_that_fails_leaves_the_averages_of_a_fit(loss, error):
    """The weights are those before the call, which a fit with use_ema has left, and training goes on as without it."""
    net, twin = (
        compiled([layers.Dense(1)], loss=loss, optimizer=optimizers.Adam(0.1, use_ema=True), n_features=10)
        for _ in range(2)
    )
    for one in (net, twin):
        one.fit(X, X[:, 0], epochs=2, verbose=0)
    before = net.get_weights()
    with pytest.raises(error):
        net.train_on_batch(X, X[:, 0] * 1e30)
    assert same_bits(before, net.get_weights())
    for one in (net, twin):
        one.train_on_batch(X, X[:, 0])
    assert not same_bits(before, net.get_weights())
    assert same_bits(net.get_weights(), twin.get_weights())


def test_bad_calls_are_refused():
    net = model()
    with pytest.raises(ValueError, match=r"^y: must have as many rows as x"):
        net.train_on_batch(X, Y[:-1])
    with pytest.raises(ValueError, match=r"^sample_weight: must be >= 0"):
        net.train_on_batch(X, Y, -np.ones(len(X)))
    with pytest.raises(TypeError, match="return_dict must be True or False"):
        net.train_on_batch(X, Y, return_dict=1)
    with pytest.raises(ValueError, match=r"^(fit|train_on_batch): the model is not compiled"):
        fr.Sequential([layers.Dense(1)]).train_on_batch(X, Y)
    fresh = fr.Sequential([layers.Dense(1, "sigmoid")])
    fresh.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"^test_on_batch: the model is not built"):
        fresh.test_on_batch(X, Y)
    seen = []

    def within(epoch, logs):
        with pytest.raises(RuntimeError, match=r"^train_on_batch: the model is being fitted"):
            net.train_on_batch(X, Y)
        seen.append(net.test_on_batch(X, Y))

    net.fit(X, Y, verbose=0, callbacks=[callbacks.LambdaCallback(on_epoch_end=within)])
    assert seen


def test_a_loop_is_resumed_bit_for_bit(tmp_path):
    whole, half = model(), model()
    for _ in range(4):
        for batch in batches():
            whole.train_on_batch(X[batch], Y[batch])
    for part in range(2):
        for _ in range(2):
            for batch in batches():
                half.train_on_batch(X[batch], Y[batch])
        if part == 0:
            half.save(tmp_path / "net.safetensors")
            half = fr.load(tmp_path / "net.safetensors")
    assert same_bits(whole.get_weights(), half.get_weights())
    again = copy.deepcopy(half)
    again.train_on_batch(X, Y)
    half.train_on_batch(X, Y)
    assert same_bits(again.get_weights(), half.get_weights())


def test_any_number_of_threads_gives_the_same_bits():
    results = []
    for threads in (1, 2):
        with fr.thread_limit(threads):
            net = model(["auc"])
            net._core.trainer_for((10,)).parallel_threshold = 0.0
            for batch in batches():
                values = net.train_on_batch(X[batch], Y[batch])
            results.append((net.get_weights(), values))
    assert same_bits(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_calls_leave_no_memory_behind():
    """A kilobyte a call would be four megabytes here."""
    net = model()
    batch = X[:16], Y[:16]

    def calls(n):
        for _ in range(n):
            net.train_on_batch(*batch)
            net.test_on_batch(*batch)

    calls(500)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls(4000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2048


def test_stop_training_from_another_thread_is_seen():
    """Although no Python code runs within this fit."""
    net = model()

    timer = threading.Timer(0.2, lambda: setattr(net, "stop_training", True))
    timer.start()
    history = net.fit(X, Y, epochs=10**7, verbose=0)
    timer.join()
    assert history.stopped_by == "callback"
    assert 1 <= len(history.history["loss"]) < 10**7
    assert net.fit(X, Y, epochs=2, verbose=0).stopped_by == ""


def test_a_batch_may_weigh_nothing():
    net = model([])
    net.train_on_batch(X, Y)
    before = net.get_weights()
    plain = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1), n_features=10)
    kept = plain.get_weights()
    assert plain.train_on_batch(X, X[:, 0], np.zeros(len(X))) == 0.0
    assert same_bits(kept, plain.get_weights())
    assert same_bits(before, net.get_weights())


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_that_a_loss_ignores_do_not_divide_the_loss_of_a_batch(weighted):
    """As in Keras and PyTorch, it is the mean over the others; so is its gradient."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    ignored = np.where(rng.random(40) < 0.4, 9, y)
    counts = ignored != 9
    weight = rng.uniform(0.5, 4.0, 40).astype(np.float32) if weighted else None
    loss = fr.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=9)

    def made():
        net = fr.Sequential([fr.Input((5,)), layers.Dense(3)], seed=4)
        net.compile(optimizers.SGD(0.5), loss, weighted_metrics=["accuracy"])
        return net

    whole, rest = made(), made()
    given = None if weight is None else weight[counts]
    expected = rest.test_on_batch(x[counts], y[counts], given, return_dict=True)
    evaluated = rest.evaluate(x[counts], y[counts], sample_weight=given, return_dict=True, verbose=0)
    mean = 1.0 if given is None else float(given.mean())
    assert expected["loss"] == pytest.approx(mean * evaluated["loss"], rel=1e-6)
    found = whole.test_on_batch(x, ignored, weight, return_dict=True)
    assert found == {key: pytest.approx(value, rel=1e-6) for key, value in expected.items()}
    whole.train_on_batch(x, ignored, weight)
    rest.train_on_batch(x[counts], y[counts], given)
    for one, other in zip(whole.get_weights(), rest.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_messages_of_python_name_the_class_that_users_know():
    """The methods of a model are spread over base classes, whose names nobody has written."""
    built = model()
    for name in ("train_on_batch", "test_on_batch"):
        with pytest.raises(TypeError, match=rf"^Sequential\.{name}\(\) missing 1 required positional argument: 'y'"):
            getattr(built, name)(X)
        with pytest.raises(TypeError, match=rf"^Model\.{name}\(\) takes from 3 to \d positional arguments but 8 were"):
            getattr(built, name)(X, X, 0, 0, 0, 0, 0)
    with pytest.raises(TypeError, match=r"^Model\.get_weights\(\) takes 1 positional argument but 2 were given"):
        built.get_weights(0)
    methods = [getattr(fr.Model, name) for name in dir(fr.Model) if name[0] != "_"]
    functions = [one for one in methods if callable(one) and hasattr(one, "__code__")]
    assert {one.__qualname__ for one in functions} >= {"Model.fit", "Model.train_on_batch", "Model.summary"}
    for one in functions:
        assert one.__qualname__ == f"Model.{one.__name__}"
        assert pickle.loads(pickle.dumps(one)) == one


def test_a_copy_within_a_fit_says_what_to_do():
    class Copies(callbacks.Callback):
        def __init__(self, duplicate):
            self.duplicate = duplicate

        def on_epoch_end(self, epoch, logs=None):
            self.duplicate(self.model)

    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match=r"^a model cannot be copied or pickled within a callback.*get_weights"):
            model().fit(X, Y, verbose=0, callbacks=[Copies(duplicate)])
