"""Weight decay and rates of dropout on a schedule: against the formulas, and against runs with constant numbers."""

import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers, optimizers, schedules
from fastreg.model.core import core_of
from programs import blobs, trainer_of

X, Y = blobs(48, 6, 2)
X = X.astype(np.float32)
STEPS = 3  # of an epoch
KINDS = [layers.Dropout, layers.AlphaDropout, layers.GaussianDropout]


def two(first, second):
    """One value in the first epoch, another from then on."""
    return schedules.ArraySchedule([first] * STEPS + [second])


def net(optimizer="adam", rate=0.3, kind=layers.Dropout, before="tanh"):
    stack = [layers.Dense(20, before), kind(rate), layers.BatchNormalization(), layers.Dense(1)]
    made = fr.Sequential([fr.Input((6,)), *stack], seed=1)
    made.compile(optimizer, "mse")
    return made


def fit(model, epochs=2, initial_epoch=0, **arguments):
    return model.fit(X, Y, batch_size=16, epochs=epochs, initial_epoch=initial_epoch, verbose=0, **arguments).history


def state_of(model):
    return [array.tobytes() for array in (*model.get_weights(), *trainer_of(model).get_moments().values())]


def handed_over(first, second):
    """What a run of one epoch by a model and one by another is."""
    fit(first, 1)
    second.set_weights(first.get_weights())
    trainer = core_of(second).trainer_for((6,))
    trainer.set_moments(trainer_of(first).get_moments())
    trainer.step, trainer.epoch = trainer_of(first).step, trainer_of(first).epoch
    fit(second, 2, 1)
    return second


DECAYING = {
    "sgd": lambda decay: optimizers.SGD(0.1, momentum=0.9, weight_decay=decay),
    "adam": lambda decay: optimizers.Adam(0.01, weight_decay=decay),
    "adamw": lambda decay: optimizers.AdamW(0.01, weight_decay=decay),
    "lion": lambda decay: optimizers.Lion(0.01, weight_decay=decay),
    "all options": lambda decay: optimizers.RMSprop(
        0.01, weight_decay=decay, use_ema=True, global_clipnorm=1.0, gradient_accumulation_steps=2
    ),
    "with a rate on a schedule": lambda decay: optimizers.SGD(two(0.1, 0.05), weight_decay=decay),
}


@pytest.mark.parametrize("optimizer", DECAYING)
def test_each_epoch_decays_as_with_its_number(optimizer):
    """The accumulated batches of a group go on in the next epoch, so that the two runs are compared bit for bit."""
    make = DECAYING[optimizer]
    scheduled = net(make(two(0.5, 0.02)))
    fit(scheduled)
    if optimizer == "all options":  # averages are hidden between two fits of one model alone
        assert state_of(scheduled) != state_of(handed_over(net(make(0.5)), net(make(0.5))))
        return
    assert state_of(scheduled) == state_of(handed_over(net(make(0.5)), net(make(0.02))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rates", [(0.2, 0.6), (0.0, 0.5), (0.5, 0.0)])
def test_each_epoch_drops_as_with_its_rate(kind, rates):
    scheduled = net(rate=two(*rates), kind=kind)
    fit(scheduled)
    assert state_of(scheduled) == state_of(handed_over(net(rate=rates[0], kind=kind), net(rate=rates[1], kind=kind)))


@pytest.mark.parametrize("before", ["relu", "tanh"])
def test_a_constant_schedule_is_the_number(before):
    """Dropout behind relu is part of the product where its rate is a number; the results are the same."""
    found = [net(optimizers.AdamW(0.01, weight_decay=decay), rate, before=before)
             for decay, rate in ((0.1, 0.3), (schedules.Constant(0.1), schedules.Constant(0.3)))]
    for model in found:
        fit(model)
    for one, other in zip(*(model.get_weights() for model in found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_decay_by_the_formula():
    """Plain descent with a decay of its own at each step, in float64."""
    decays = np.linspace(0.9, 0.1, 6)
    model = fr.Sequential([fr.Input((6,)), layers.Dense(1)], seed=3)
    model.compile(optimizers.SGD(0.1, weight_decay=schedules.ArraySchedule(decays)), "mse")
    w, b = (weight.astype(np.float64) for weight in model.get_weights())
    for decay in decays:
        error = X @ w + b - np.reshape(Y, (-1, 1))
        w = w - 0.1 * decay * w - 0.1 * 2 * X.T @ error / len(X)
        b = b - 0.1 * 2 * error.mean(axis=0)
    model.fit(X, Y, epochs=6, batch_size=None, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-4, atol=1e-6)


def test_dropout_follows_the_rate_of_each_step():
    """With weights of one and a rate of learning of nearly nothing, the loss of a step tells the share that is kept."""
    rates = np.array([0.1, 0.5, 0.9, 0.0])
    x = np.ones((1, 4000), np.float32)
    model = fr.Sequential([fr.Input((4000,)), layers.Dropout(schedules.ArraySchedule(rates)),
                           layers.Dense(1, kernel_initializer="ones")], seed=0)
    model.compile(optimizers.SGD(1e-30), "mse")
    found = model.fit(x, [0.0], epochs=4, verbose=0).history["loss"]
    kept = np.sqrt(found) * (1 - np.round(65536 * rates) / 65536) / 4000
    assert (np.abs(kept - (1 - rates)) <= 5 * np.sqrt(rates * (1 - rates) / 4000)).all()


def many():
    """Everything at once: lengths in epochs and as a share of the run, several layers, one of them used twice."""
    x = fr.Input((6,))
    shared = layers.Dropout(schedules.PolynomialDecay(0.5, schedules.Share(1.0), 0.1))
    hidden = shared(layers.Dense(8, "relu")(x))
    inner = fr.Sequential([layers.GaussianDropout(schedules.PolynomialDecay(0.4, schedules.Epochs(3), 0.2)),
                           layers.Dense(8, "relu")], seed=6)
    out = layers.Dense(1)(layers.AlphaDropout(0.2)(shared(inner(hidden))))
    model = fr.Model(x, out, seed=5)
    decay = schedules.CosineDecay(0.5, schedules.Share(1.0))
    model.compile(optimizers.AdamW(two(0.01, 0.02), weight_decay=decay), "mse")
    return model


def test_a_run_continues_bit_for_bit_from_files_pickles_and_backups(tmp_path):
    whole, part = many(), many()
    fit(whole, 4)
    fit(part, 4, callbacks=[callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: part.save(tmp_path / "half.safetensors") if epoch == 1 else None)])
    assert state_of(part) == state_of(whole)
    loaded = fr.load(tmp_path / "half.safetensors")
    again = pickle.loads(pickle.dumps(loaded))
    for model in (loaded, again):
        fit(model, 4, 2)
        assert state_of(model) == state_of(whole)
    np.testing.assert_array_equal(loaded.predict(X), whole.predict(X))
    assert np.isfinite(loaded.freeze()(X)).all()


def test_a_schedule_within_residual_is_found():
    model = fr.Sequential([fr.Input((6,)), layers.Residual([layers.Dense(6), layers.Dropout(two(0.2, 1.5))]),
                           layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="Dropout: rate: the schedule must"):
        fit(model)


def test_threads_do_not_matter():
    states, before = [], fr.get_num_threads()
    try:
        for threads in (1, 2):
            fr.set_num_threads(threads)
            model = many()
            core_of(model).trainer_for((6,)).parallel_threshold = 0.0
            fit(model, 3)
            states.append(state_of(model))
    finally:
        fr.set_num_threads(before)
    assert states[0] == states[1]


def test_one_batch_at_a_time_counts_steps():
    fitted, stepped = (net(optimizers.SGD(0.1, weight_decay=two(0.5, 0.02)), two(0.2, 0.6)) for _ in range(2))
    fitted.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    for i in range(6):
        rows = slice(i % 3 * 16, i % 3 * 16 + 16)
        stepped.train_on_batch(X[rows], Y[rows])
    for one, other in zip(stepped.get_weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_rate_that_is_set_leaves_the_decay_on_its_schedule():
    """In a callback, and between two fits."""
    def set_rate(epoch, logs):
        model.learning_rate = 0.02

    model = net(optimizers.SGD(0.1, weight_decay=two(0.5, 0.03)))
    fit(model, callbacks=[callbacks.LambdaCallback(on_epoch_end=set_rate)])
    expected = net(optimizers.SGD(two(0.1, 0.02), weight_decay=two(0.5, 0.03)))
    fit(expected)
    assert state_of(model) == state_of(expected)


@pytest.mark.parametrize(("value", "at"), [(-0.1, 4), (np.nan, 1)])
def test_a_decay_out_of_range_is_refused(value, at):
    def decay(step):
        return value if step == at else 0.1

    model = net(optimizers.Adam(0.01, weight_decay=decay))
    with pytest.raises(ValueError, match=rf"weight_decay: the schedule must .*>= 0.* at step {at}"):
        fit(model)
    with pytest.raises(ValueError, match=r"Adam: weight_decay .* cannot be saved; use one of fastreg.schedules"):
        model.save("unused.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_out_of_range_is_refused(kind):
    model = net(rate=two(0.5, 1.0), kind=kind)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: rate: the schedule must be in \[0, 1\) at each step, got"):
        fit(model)
    for bad, error in ((1.0, ValueError), (-0.1, ValueError), ("half", TypeError), (lambda step: 0.5, TypeError)):
        with pytest.raises(error, match=f"{kind.__name__}: rate must"):
            kind(bad)
