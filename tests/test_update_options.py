"""The options of every optimizer, against the oracle: averages of weights, accumulation and decay."""

from __future__ import annotations

import json
import pickle

import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import OPTIMIZER_CASES, made
from conftest import EPS
from fastreg import callbacks, layers, ops, optimizers, regularizers
from formulas.penalties import Options, Penalty
from pairs import build_pair, rounded
from programs import blobs, compiled, file_parts, same_bits, tutorial_layers, wait_for_fit

# A large epsilon, so that the error of a gradient counts as what it is; that of Adadelta is the length of its steps.
RULES = {
    name: rule.replace(epsilon=max(rule.epsilon, 0.1))
    if hasattr(rule, "epsilon") and not isinstance(rule, ref.Adadelta)
    else rule
    for name, rule in ref.USUAL_RULES.items()
}
OPTIONS = {
    "decay": Options(weight_decay=0.3),
    "average": Options(use_ema=True, ema_momentum=0.9),
    "short average": Options(use_ema=True, ema_momentum=0.2),
    "average that overwrites": Options(use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3),
    "accumulation": Options(gradient_accumulation_steps=3),
    "all": Options(0.2, True, 0.9, 4, 2),
}
# ScheduleFreeAdamW has an average of its own and no other.
CASES = [
    (name, options)
    for name, rule in RULES.items()
    for options in OPTIONS
    if not (isinstance(rule, ref.ScheduleFreeAdamW) and OPTIONS[options].use_ema)
]
CLIPS = {"none": None, "clipvalue": ("clipvalue", 0.5), "clipnorm": ("clipnorm", 3.0)}


def with_options(rule, options, clip=None):
    """A rule that has a decay of its own takes that of the options in its place."""
    if rule.weight_decay:
        rule, options = rule.replace(weight_decay=rule.weight_decay), options._replace(weight_decay=0.0)
    if type(rule).__name__ in ("AdamW", "Lion") and options.weight_decay:
        rule, options = rule.replace(weight_decay=options.weight_decay), options._replace(weight_decay=0.0)
    return rule.replace(options=options, clip=clip)


class Accumulating:
    """The oracle's updater of one array, which gets the gradients of single batches."""

    def __init__(self, rule, penalty):
        self.updater, self.every, self.kept = (
            ref.Updater(rule, penalty),
            rule.options.gradient_accumulation_steps or 1,
            [],
        )

    def step(self, w, g):
        self.kept.append(g)
        if len(self.kept) < self.every:
            return w
        mean, self.kept = sum(self.kept) / self.every, []
        return self.updater.step(w, mean)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_an_updater_with_options(name, options, clip, rng):
    """Over arrays of all kinds of sizes, longer than a chunk too; the average too, and the caller's gradient stays."""
    rule = with_options(RULES[name], OPTIONS[options], CLIPS[clip])
    penalty = Penalty(0.02, 0.03)
    for n in (1, 19, 16384 + 37):
        w = rng.normal(size=n).astype(np.float32)
        mine, oracle = ops.Updater(made(rule), w, l1=0.02, l2=0.03), Accumulating(rounded(rule), rounded(penalty))
        expected, path = w.astype(np.float64), np.abs(w).astype(np.float64)
        for _ in range(13):
            g = rng.normal(size=n).astype(np.float32)
            given = g.copy()
            mine.step(g)
            np.testing.assert_array_equal(g, given)
            after = oracle.step(expected, g.astype(np.float64))
            path += np.abs(after - expected) + np.abs(after) + rule.learning_rate
            expected = after
        assert (np.abs(w - expected) <= 16.0 * EPS * path).all()
        if isinstance(rule, ref.ScheduleFreeAdamW):
            assert (np.abs(mine.average - oracle.updater.evaluated(expected)) <= 16.0 * EPS * path).all()
            continue
        if not rule.options.use_ema:
            assert mine.average is None
            continue
        assert mine.average is not None
        assert (np.abs(mine.average - oracle.updater.average) <= 16.0 * EPS * path).all()
        assert not np.array_equal(mine.average, w) or rule.options.ema_overwrite_frequency


STACK = [
    ("dense", 9, "tanh", {"kernel": Penalty(0.001, 0.002), "bias": Penalty(0.0, 0.003)}),
    ("batch_norm",),
    ("dense", 2),
]


# Rprop follows the signs of the gradients in front of a batch normalisation, which are rounding errors.
@pytest.mark.parametrize(("name", "options"), [case for case in CASES if case[0] != "rprop"])
def test_a_training_of_fifty_steps(name, options, rng):
    """Weights, averages and the history with its penalties are the oracle's, for whole networks."""
    rule = with_options(RULES[name], OPTIONS[options])
    model, net = build_pair(STACK, 5, rng, optimizer=rule)
    x, y = rng.normal(size=(40, 5)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    history = model.fit(x, y, batch_size=8, epochs=10, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], net.fit(x, y, 10, 8), rtol=2e-5)
    if rule.options.use_ema:
        raw = net.get_weights()
        net.show_averages()
        assert not np.allclose(raw[0], net.get_weights()[0], rtol=1e-6) or rule.options.ema_overwrite_frequency
    for mine, oracle in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(mine, oracle, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", OPTIMIZER_CASES)
def test_options_that_do_nothing_change_no_bit(name):
    x, y = blobs()
    rule = OPTIMIZER_CASES[name].made
    found = []
    for optimizer in (
        rule,
        type(rule).from_config(
            {
                **rule.to_config(),
                "use_ema": False,
                "ema_momentum": 0.5,
                "ema_overwrite_frequency": 2,
                "gradient_accumulation_steps": 1,
            }
        ),
    ):
        model = compiled(tutorial_layers(), optimizer=optimizer, seed=1)
        model.fit(x, y, epochs=2, verbose=0)
        found.append(model.get_weights())
    assert same_bits(*found)


# --------------------------------------------------------------------------------------------------------- averages


AVERAGED = {"use_ema": True, "ema_momentum": 0.9}


def averaged(**options):
    return compiled(tutorial_layers(), optimizer=optimizers.Adam(0.01, **AVERAGED, **options), seed=1)


@pytest.mark.parametrize("penalties", [{}, {"l1": 0.01, "l2": 0.02}])
@pytest.mark.parametrize("options", [{}, {"clipvalue": 0.5}, {"use_ema": True}, {"clipvalue": 0.5, "use_ema": True}])
def test_long_arrays_have_the_bits_of_short_ones(options, penalties, rng):
    """A pass over arrays that come from memory is cut into other pieces than one over arrays in the cache."""
    n, steps = 2**17 + 1000, 4
    start = rng.normal(size=n).astype(np.float32)
    gradients = rng.normal(size=(steps, n)).astype(np.float32)

    def updated(part):
        w = start[part].copy()
        updater = ops.Updater(optimizers.Adam(0.01, **options), w, **penalties)
        for g in gradients:
            updater.step(g[part].copy())
        return [w] if updater.average is None else [w, updater.average]

    long, halves = updated(slice(n)), [updated(slice(n // 2)), updated(slice(n // 2, n))]
    for array, parts in zip(long, zip(*halves, strict=True), strict=True):
        np.testing.assert_array_equal(array, np.concatenate(parts))


def test_averages_change_no_step():
    """The weights that are trained are those of a training without averages; a callback sees them."""

    class Sees(callbacks.Callback):
        def __init__(self):
            self.seen = []

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append(self.model.get_weights())

    x, y = blobs()
    plain, sees, saw = compiled(tutorial_layers(), optimizer=optimizers.Adam(0.01), seed=1), Sees(), Sees()
    plain.fit(x, y, epochs=3, verbose=0, callbacks=[sees])
    model = averaged()
    model.fit(x, y, epochs=3, verbose=0, callbacks=[saw])
    for ours, theirs in zip(saw.seen, sees.seen, strict=True):
        assert same_bits(ours, theirs)
    assert not same_bits(model.get_weights(), plain.get_weights())


def test_set_weights_after_a_fit_begins_the_average_anew():
    x, y = blobs()
    model = averaged()
    model.fit(x, y, epochs=2, verbose=0)
    zeros = [np.zeros_like(w) for w in model.get_weights()]
    model.set_weights(zeros)
    assert same_bits(model.get_weights(), zeros)
    model.optimizer.learning_rate = 1e-30
    model.fit(x, y, epochs=1, verbose=0)
    for w, (name, _, trainable) in zip(model.get_weights(), _info(model), strict=True):
        if trainable:
            assert (np.abs(w) < 1e-20).all(), name


def _info(model):
    return model._core.network.weight_info()


def test_best_weights_are_not_averages():
    """EarlyStopping restores what the model had after the best epoch, and the next fit continues from there."""
    x, y = blobs()

    class Keeps(callbacks.Callback):
        def __init__(self):
            self.kept = {}

        def on_epoch_end(self, epoch, logs=None):
            self.kept[epoch] = self.model.get_weights()

    keeps, stopper = Keeps(), callbacks.EarlyStopping("loss", patience=50, mode="max")
    model = averaged()
    model.fit(x, y, epochs=4, verbose=0, callbacks=[keeps, stopper])
    assert same_bits(model.get_weights(), keeps.kept[stopper.best_epoch])
    assert not trainer(model).averages_shown


def trainer(model):
    return model._core.trainer


@pytest.mark.parametrize("how", ["save", "pickle"])
def test_copies_continue_from_the_weights_that_were_averaged(how, tmp_path):
    x, y = blobs()
    whole, half = averaged(gradient_accumulation_steps=4), averaged(gradient_accumulation_steps=4)
    whole.fit(x, y, epochs=4, verbose=0)
    half.fit(x, y, epochs=2, verbose=0)
    if how == "pickle":
        copy = pickle.loads(pickle.dumps(half))
    else:
        half.save(tmp_path / "net.safetensors")
        copy = fr.load(tmp_path / "net.safetensors")
    assert same_bits([half.predict(x)], [copy.predict(x)])
    copy.fit(x, y, epochs=2, verbose=0)
    assert same_bits(copy.get_weights(), whole.get_weights())


def test_a_damaged_state_is_refused(tmp_path):
    x, y = blobs()
    model = averaged()
    model.fit(x, y, verbose=0)
    path = tmp_path / "net.safetensors"
    model.save(path)
    header, values = file_parts(path)
    description = json.loads(header["__metadata__"]["fastreg"])
    assert description["state"]["averages_shown"] is True
    assert "optimizer.average.layers.0.kernel" in header
    description["state"]["averages_shown"] = "yes"
    header["__metadata__"]["fastreg"] = json.dumps(description)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + values)
    with pytest.raises((ValueError, TypeError), match="averages_shown must be True or False"):
        fr.load(path)


@pytest.mark.parametrize("shown", [False, True])
def test_a_layer_that_is_frozen_and_trained_again(shown):
    """Its averages begin with its weights, and those of the other layers go on."""
    x, y = blobs()
    model = averaged()
    if shown:
        model.fit(x, y, epochs=2, verbose=0)
    before = model.layers[0].get_weights() if shown else None
    model.layers[0].trainable = False
    model.fit(x, y, epochs=1, verbose=0)
    if shown:
        assert same_bits(before, model.layers[0].get_weights())
    model.layers[0].trainable = True
    model.fit(x, y, epochs=1, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert not shown or np.abs(model.layers[0].get_weights()[0] - before[0]).max() < 0.1


def test_a_run_that_diverges_keeps_averages_of_finite_weights():
    x, y = blobs()
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(0.1, **AVERAGED), seed=1)
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    model.optimizer.learning_rate = 1e30
    with pytest.raises(fr.DivergenceError):
        model.fit(x, y, epochs=5, verbose=0)
    assert same_bits(model.get_weights(), before)


def test_results_do_not_depend_on_threads():
    x, y = blobs(200, 40, 2)
    found, before = [], fr.get_num_threads()
    options = {**AVERAGED, "gradient_accumulation_steps": 2, "weight_decay": 0.1, "ema_overwrite_frequency": 3}
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            stack = [layers.Dense(700, "relu", kernel_regularizer=regularizers.L1L2(1e-4, 1e-4)), layers.Dense(1)]
            model = compiled(stack, loss="mse", optimizer=optimizers.Adam(0.01, global_clipnorm=1.0, **options), seed=1)
            model.build(40)
            model._core.trainer_for(None).parallel_threshold = 0.0
            model.fit(x, y, epochs=3, verbose=0)
            found.append(model.get_weights())
    finally:
        fr.set_num_threads(before)
    assert same_bits(found[0], found[1])
    assert same_bits(found[0], found[2])


# ----------------------------------------------------------------------------------------------------- accumulation


def test_accumulated_batches_are_one_large_batch():
    """Where nothing else depends on the batch, k batches of n rows make the step of one of k n rows."""
    x, y = blobs(96)
    found = []
    for batch, every in ((32, None), (8, 4), (16, 2)):
        model = compiled(
            [layers.Dense(5, "tanh"), layers.Dense(1, "sigmoid")],
            seed=1,
            optimizer=optimizers.SGD(0.1, 0.9, gradient_accumulation_steps=every),
        )
        model.fit(x, y, batch_size=batch, epochs=4, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_weights_rest_between_updates():
    x, y = blobs(24)
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(gradient_accumulation_steps=7), seed=1)
    model.build(10)
    start = model.get_weights()
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert same_bits(model.get_weights(), start), "six batches"
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    assert not same_bits(model.get_weights(), start), "a seventh, in another fit"


def test_adam_with_decay_is_adamw():
    x, y = blobs()
    found = []
    for optimizer in (optimizers.Adam(0.01, weight_decay=0.1), optimizers.AdamW(0.01, weight_decay=0.1)):
        model = compiled(tutorial_layers(), optimizer=optimizer, seed=1)
        model.fit(x, y, epochs=3, verbose=0)
        found.append(model.get_weights())
    assert same_bits(*found)


# ------------------------------------------------------------------------------------------------------ constructor


def test_options_follow_an_optimizers_own_arguments_in_the_order_of_keras():
    given = optimizers.SGD(0.1, 0.9, True, 0.01, None, 2.0, None, True, 0.9, 5, None, 4, "mine")
    assert given == optimizers.SGD(
        0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=0.01,
        clipvalue=2.0,
        use_ema=True,
        ema_momentum=0.9,
        ema_overwrite_frequency=5,
        gradient_accumulation_steps=4,
        name="mine",
    )
    assert optimizers.Lion(0.1, 0.8, 0.9, 0.2).weight_decay == 0.2
    assert optimizers.AdamW(0.1, 0.2, 0.8, 0.9, clipnorm=1.0).weight_decay == 0.2
    with pytest.raises(TypeError, match="positional"):
        optimizers.SGD(0.1, 0.9, True, 0.01, weight_decay=0.02)
    with pytest.raises(TypeError, match="positional"):
        optimizers.SGD(0.1, 0.9, True, *[None] * 11)
    with pytest.raises(ValueError, match="loss_scale_factor is not supported"):
        optimizers.SGD(0.1, 0.0, False, None, None, None, None, False, 0.9, None, 2.0)


def test_names_are_those_of_keras():
    names = [optimizer().name for optimizer in (optimizers.SGD, optimizers.AdamW, optimizers.RMSprop)]
    assert names == ["sgd", "adam_w", "rm_sprop"]
    assert optimizers.Adam(name="mine").name == "mine"
    assert optimizers.get(optimizers.Adam(name="mine").to_config()).name == "mine"
    assert "name" not in optimizers.Adam().to_config()


def test_repr_shows_what_differs():
    assert repr(optimizers.Adam(use_ema=True, gradient_accumulation_steps=2)) == (
        "Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-07, amsgrad=False, use_ema=True, "
        "gradient_accumulation_steps=2)"
    )
    assert repr(optimizers.AdamW()).startswith("AdamW(learning_rate=0.001, weight_decay=0.004, beta_1")


def test_a_fit_in_another_thread_is_not_disturbed(request):
    """Whether averages are shown cannot be set while weights are trained."""
    import threading

    signal = callbacks.StopSignal()
    model = averaged()
    x, y = blobs()
    thread = threading.Thread(target=lambda: model.fit(x, y, epochs=10**6, verbose=0, callbacks=[signal]))
    thread.start()
    try:
        wait_for_fit(model)
        with pytest.raises(RuntimeError, match="is being fitted"):
            trainer(model).averages_shown = True
    finally:
        signal.set()
        thread.join()
