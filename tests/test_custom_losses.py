"""Functions of Python as losses: they train as the losses of the core do, whatever surrounds them, and what they return
is checked. tests/cpp/test_program_losses.cpp has what happens below Python."""

import gc
import itertools
import sys
import threading
import weakref

import fastreg as fr
import numpy as np
import pytest
from conftest import EPS
from custom_losses import (
    LABELS,
    WEIGHTS,
    N,
    Trouble,
    X,
    Y,
    censored,
    cross_entropy,
    failing_at,
    fit,
    net,
    squared,
    state_of,
)
from fastreg import _core, callbacks, layers, losses, metrics, optimizers
from fastreg.model.core import core_of

# How a fit may go; of each the losses of the core and of Python give the same.
FITS = {
    "plain": ({}, {}),
    "weights": ({}, {"sample_weight": WEIGHTS}),
    "validation": ({}, {"validation_split": 0.3, "sample_weight": WEIGHTS}),
    "all at once": ({}, {"batch_size": None, "shuffle": False}),
    "one row at a time": ({}, {"batch_size": 1, "epochs": 1}),
    "some rows": ({}, {"rows": np.arange(0, N, 3), "validation_rows": [1, 4]}),
    "steps": ({}, {"steps_per_epoch": 3, "epochs": 4}),
    "accumulation": ({"optimizer": optimizers.Adam(gradient_accumulation_steps=3)}, {}),
    "averages": ({"optimizer": optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_overwrite_frequency=2)}, {}),
    "another point": ({"optimizer": optimizers.ScheduleFreeAdamW()}, {"validation_split": 0.3}),
    "decay and clipping": ({"optimizer": optimizers.RMSprop(weight_decay=0.01, global_clipnorm=0.5)}, {}),
    "batch hooks": ({}, {"callbacks": [callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]}),
    "stopping": ({}, {"validation_split": 0.3, "epochs": 20, "callbacks": [callbacks.EarlyStopping(patience=1)]}),
    "metrics": ({"metrics": ["mae", "accuracy", metrics.R2Score()], "weighted_metrics": ["mse"]},
                {"sample_weight": WEIGHTS, "validation_split": 0.3}),
}


@pytest.mark.parametrize("how", FITS)
def test_it_trains_bit_for_bit_as_the_loss_of_the_core(how):
    """With four outputs every division of the gradient is by a power of two, which is exact."""
    compiled, given = FITS[how]
    usual, mine = net("mse", **compiled), net(squared, **compiled)
    expected, found = fit(usual, **given), fit(mine, **given)
    assert state_of(mine) == state_of(usual)
    assert list(found) == list(expected)
    for key, values in expected.items():  # of the loss itself the last bits are those of another order of additions
        np.testing.assert_allclose(found[key], values, rtol=8 * EPS)
    np.testing.assert_allclose(mine.evaluate(X, Y, verbose=0), usual.evaluate(X, Y, verbose=0), rtol=8 * EPS)


def test_other_numbers_of_outputs_differ_by_rounding_alone():
    """2 e / 3 times a weight is rounded where the core multiplies by a third: by an ulp of each gradient."""
    usual, mine = (net(loss, units=3, optimizer=optimizers.SGD(0.1)) for loss in ("mse", squared))
    for model in (usual, mine):
        fit(model, Y[:, :3])
    for found, expected in zip(mine.get_weights(), usual.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=64 * EPS * max(1.0, np.abs(expected).max()))


def test_batches():
    usual, mine = net("mse", metrics=["mae"]), net(squared, metrics=["mae"])
    for begin in (0, 20, 40):
        rows = slice(begin, begin + 20)
        found = mine.train_on_batch(X[rows], Y[rows], WEIGHTS[rows])
        np.testing.assert_allclose(found, usual.train_on_batch(X[rows], Y[rows], WEIGHTS[rows]), rtol=8 * EPS)
    np.testing.assert_allclose(mine.test_on_batch(X[:1], Y[:1]), usual.test_on_batch(X[:1], Y[:1]), rtol=8 * EPS)
    assert state_of(mine) == state_of(usual)


def test_labels_and_weights_of_classes():
    """Labels are int32, as metrics of labels need them."""
    seen = []

    def noted(y_true, y_pred):
        seen.append((y_true.dtype, y_true.shape))
        return cross_entropy(y_true, y_pred)

    usual = net(losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    mine = net(losses.Custom(noted, labels=True), metrics=["accuracy"])
    weights = {0: 3.0, 2: 0.5}
    expected, found = (fit(model, LABELS, class_weight=weights) for model in (usual, mine))
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=2e-5)
    assert set(seen) <= {(np.dtype(np.int32), (rows,)) for rows in (16, 12)}


def test_classes_of_zeros_and_ones_can_be_weighted():
    y = (Y[:, 0] > 0).astype(float)
    once = {"batch_size": None, "epochs": 1, "shuffle": False}
    binary, rows = (fit(net(squared, units=units), target, class_weight={1: 3.0}, **once)
                    for units, target in ((1, y), (2, np.eye(2)[y.astype(int)])))
    explicit = fit(net(squared, units=1), y, sample_weight=np.where(y == 1, 3.0, 1.0), **once)
    assert binary["loss"] == explicit["loss"] != rows["loss"]
    with pytest.raises(ValueError, match="class_weight: needs targets that are classes, which those of squared here"):
        fit(net(squared), class_weight={1: 3.0})


def test_targets_may_have_other_columns_than_outputs():
    """A loss that Keras has only as a function: half of the targets are lower bounds."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 1)).astype(np.float32)
    true = 2 * x[:, 0] + 1
    hidden = rng.random(400) < 0.5
    y = np.stack([np.where(hidden, true - rng.exponential(2.0, 400), true), hidden], axis=1)
    model = fr.Sequential([layers.Dense(1)], seed=0)
    model.compile(optimizers.Adam(0.1), censored)
    model.fit(x, y, epochs=60, verbose=0, validation_split=0.2)
    kernel, bias = model.get_weights()
    assert abs(kernel[0, 0] - 2) < 0.05
    assert abs(bias[0] - 1) < 0.05
    model.compile("adam", censored, ["mae"])
    told = r"y: must have a column for each of the 1 outputs, since metrics compare them, got 2 columns; without"
    with pytest.raises(ValueError, match=told):
        model.fit(x, y, verbose=0)


def test_the_gradient_that_a_fit_uses_is_that_of_the_values():
    """A step of gradient descent against finite differences of the loss that evaluate gives, in float64."""
    model = fr.Sequential([fr.Input((5,)), layers.Dense(6, "tanh"), layers.Dense(4)], seed=2)
    rate = 1.0
    model.compile(optimizers.SGD(rate), lambda t, p: (np.log1p((p - t) ** 2).sum(axis=1),
                                                      2 * (p - t) / (1 + (p - t) ** 2)))
    before = model.get_weights()

    def value(weights):
        hidden = np.tanh(X.astype(np.float64) @ weights[0] + weights[1])
        return np.log1p((hidden @ weights[2] + weights[3] - Y) ** 2).sum(axis=1).mean()

    model.fit(X, Y, epochs=1, batch_size=None, verbose=0)
    step = 1e-6
    for i, weight in enumerate(before):
        for index in [(0,) * weight.ndim, tuple(n - 1 for n in weight.shape)]:
            moved = [[w.astype(np.float64) for w in before] for _ in range(2)]
            moved[0][i][index] += step
            moved[1][i][index] -= step
            slope = (value(moved[0]) - value(moved[1])) / (2 * step)
            assert (before[i] - model.get_weights()[i])[index] == pytest.approx(rate * slope, rel=1e-4, abs=1e-5)


def test_several_outputs_each_with_a_loss():
    """One function, one loss of the core, another function; the weights of losses and rows are those of each."""
    def made(*chosen):
        x = fr.Input((5,))
        hidden = layers.Dense(8, "relu")(x)
        model = fr.Model(x, [layers.Dense(4, name=name)(hidden) for name in "abc"], seed=4)
        of_outputs = dict(zip("abc", chosen, strict=True))
        model.compile("adam", of_outputs, metrics={"b": ["mse"]}, loss_weights=[1.0, 0.5, 2.0])
        return model

    absolute = losses.Custom(lambda t, p: (np.abs(p - t).mean(axis=1), np.sign(p - t) / 4), name="absolute")
    usual, mine = made("mse", "huber", "mae"), made(squared, "huber", absolute)
    y = [Y, Y[::-1].copy(), 2 * Y]
    expected, found = (model.fit(X, y, sample_weight=[WEIGHTS, None, WEIGHTS[::-1]], epochs=3, verbose=0,
                                 validation_split=0.2).history for model in (usual, mine))
    assert state_of(mine) == state_of(usual)
    assert list(found) == list(expected)
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=8 * EPS)
    both = losses.Custom(squared)
    same = made(both, both, both)
    same.fit(X, y, epochs=1, verbose=0)


def test_threads_do_not_matter():
    states = []
    before = fr.get_num_threads()
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            model = net(squared, metrics=["mae"])
            core_of(model).trainer_for((5,)).parallel_threshold = 0.0
            history = fit(model, validation_split=0.2)
            states.append((history, state_of(model), model.evaluate(X, Y, verbose=0)))
    finally:
        fr.set_num_threads(before)
    assert states[0] == states[1] == states[2]


@pytest.mark.parametrize("call", [1, 3, 4, 6, 8, 11])
def test_an_exception_arrives_unchanged_and_the_last_epoch_stays(call):
    """An epoch has three steps here, and one call for the validation."""
    loss, raised = failing_at(call)
    model, expected = net(loss), net(squared)
    rows = {"rows": np.arange(48), "validation_rows": np.arange(48, N)}
    with pytest.raises(Trouble) as caught:
        fit(model, **rows)
    assert caught.value is raised
    assert caught.traceback[-1].name == "failing"
    epochs = (call - 1) // 4
    assert len(model.history.history["loss"]) == epochs
    if epochs:
        fit(expected, epochs=epochs, **rows)
    else:
        core_of(expected).trainer_for((5,))
    assert state_of(model) == state_of(expected)
    # It goes on from there.
    for one in (model, expected):
        fit(one, epochs=3, initial_epoch=epochs, **rows)
    assert state_of(model) == state_of(expected)


def test_an_exception_in_other_calls():
    calls = (lambda m: m.evaluate(X, Y, verbose=0), lambda m: m.test_on_batch(X, Y), lambda m: m.train_on_batch(X, Y))
    for call in calls:
        loss, raised = failing_at(2)
        model = net(loss)
        model.train_on_batch(X, Y)
        before = state_of(model)
        with pytest.raises(Trouble) as caught:
            call(model)
        assert caught.value is raised
        assert state_of(model) == before
        assert model.optimizer.iterations == 1
        call(model)


def test_ctrl_c_within_a_function():
    model = net(lambda t, p: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fit(model)


ROWS = np.ones(16)
SLOPES = np.ones((16, 4))
BAD = {
    "values alone": (ROWS, TypeError, r"loss 'bad': the function must return two arrays, \(values, gradient\), got"),
    "three": ((ROWS, SLOPES, 1), TypeError, "must return two arrays, .*got 3 of them"),
    "nothing": (None, TypeError, "must return two arrays, .*got None"),
    "the mean": ((1.0, SLOPES), ValueError, r"the values must have shape \(16,\), the loss of each row and not their"),
    "few rows": ((ROWS[:15], SLOPES), ValueError, r"the values must have shape \(16,\), .*got \(15,\)"),
    "values of outputs": ((SLOPES, SLOPES), ValueError, r"the values must have shape \(16,\), .*got \(16, 4\)"),
    "gradient of rows": ((ROWS, ROWS), ValueError, r"the gradient must have shape \(16, 4\), as y_pred.* got \(16,\)"),
    "transposed gradient": ((ROWS, SLOPES.T), ValueError, r"the gradient must have shape \(16, 4\), .*got \(4, 16\)"),
    "text": ((ROWS, np.full((16, 4), "a")), TypeError, "the gradient must be real numbers"),
    "complex": ((ROWS * 1j, SLOPES), TypeError, "the values must be real numbers"),
    "objects": ((ROWS, SLOPES.astype(object)), TypeError, "the gradient must be real numbers"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_a_function_returns_is_checked(what):
    returned, kind, message = BAD[what]

    def bad(y_true, y_pred):
        return returned

    model = net(bad)
    with pytest.raises(kind, match=message):
        fit(model)
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_values_that_are_not_finite_end_the_run(bad):
    def breaks(y_true, y_pred):
        values, gradient = squared(y_true, y_pred)
        return values.astype(np.float64) + (bad if next(calls) == 5 else 0.0), gradient

    calls = itertools.count(1)
    model, expected = net(breaks), net(squared)
    with pytest.raises(_core.DivergenceError, match="the loss became"):
        fit(model)
    assert len(model.history.history["loss"]) == 1
    fit(expected, epochs=1)
    assert state_of(model) == state_of(expected)


def test_any_type_of_real_numbers_and_one_column_either_way():
    forms = [lambda a: a.astype(np.float64), lambda a: a.astype(np.float16), lambda a: np.repeat(a, 2, 1)[:, ::2]]
    plain = net(lambda t, p: (np.ones(len(p)), np.ones((len(p), 1))), units=1)
    fit(plain, Y[:, 0])
    for form in forms:
        model = net(lambda t, p, form=form: (np.ones(len(p), bool), form(np.ones((len(p), 1), np.float32))), units=1)
        fit(model, Y[:, 0])
        assert state_of(model) == state_of(plain)
    columns = net(lambda t, p: (np.ones((len(p), 1)), np.ones(len(p))), units=1)
    fit(columns, Y[:, :1])
    assert state_of(columns) == state_of(plain)


def test_a_row_without_weight_does_not_count_whatever_its_loss():
    def broken(y_true, y_pred):
        values, gradient = squared(y_true, y_pred)
        odd = y_true[:, 0] == 100
        return np.where(odd, np.nan, values), np.where(odd[:, None], np.inf, gradient)

    y = Y.copy()
    y[::5] = 100
    weights = np.where(np.arange(N) % 5 == 0, 0.0, 1.0)
    first, second = net(broken), net(squared)
    for model in (first, second):
        fit(model, y, sample_weight=weights)
    assert state_of(first) == state_of(second)


def test_the_function_may_change_and_keep_what_it_is_given():
    kept = []

    def greedy(y_true, y_pred):
        result = squared(y_true, y_pred)
        kept.append((y_pred, y_pred.copy()))
        y_true[:] = np.nan
        return result

    first, second = net(greedy), net(squared)
    fit(first)
    fit(second)
    assert state_of(first) == state_of(second)
    assert np.isfinite(Y).all()
    assert all(np.array_equal(now, then) for now, then in kept)


def test_the_interpreter_and_the_network_are_free_meanwhile():
    """While the function of one thread waits, another thread runs and predicts with the same model."""
    inside, done = threading.Event(), threading.Event()

    def waiting(y_true, y_pred):
        if not inside.is_set():
            inside.set()
            assert done.wait(30)
        return squared(y_true, y_pred)

    model, expected = net(waiting), net(squared)
    before = model.get_weights()
    runner = threading.Thread(target=fit, args=(model,))
    runner.start()
    assert inside.wait(30)
    try:
        for name, now, then in zip(("kernel", "bias"), model.get_weights(), before, strict=False):
            np.testing.assert_array_equal(now, then, err_msg=name)  # the step is not made yet
        assert np.isfinite(model.predict(X)).all()
        with pytest.raises(RuntimeError, match="fitted"):
            model.train_on_batch(X, Y)
    finally:
        done.set()
        runner.join()
    fit(expected)
    assert state_of(model) == state_of(expected)


def test_nothing_is_kept_from_calls():
    """Neither arrays nor the function: a model whose function knows the model is collected."""
    refs = []

    def knowing(y_true, y_pred):
        assert model is not None
        refs.append(weakref.ref(y_pred))
        return squared(y_true, y_pred)

    model = net(knowing)
    fit(model, validation_split=0.2)
    model.evaluate(X, Y, verbose=0)
    model.train_on_batch(X, Y)
    gc.collect()
    assert len(refs) > 10
    assert all(ref() is None for ref in refs)
    loss, values = losses.Custom(squared), np.float32([[1.0]])
    count = sys.getrefcount(squared)
    plain = net(loss)
    fit(plain)
    assert sys.getrefcount(squared) == count
    assert loss([[0.0]], values) == 1.0
    gone = weakref.ref(model)
    model = None
    gc.collect()
    assert gone() is None
