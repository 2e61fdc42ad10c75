"""Promises of a fit as a whole: seeds decide everything, every option acts, the validation split is a fair one.

The knob test: every field of every class that ``cases.py`` has rows of changes the result. `OPTIONS` are further ones.
"""
from __future__ import annotations

import copy
import dataclasses
import random
import re

import cases
import fastreg as fr
import numpy as np
import pytest
import reference as ref
from cases import INITIALIZER_CASES, KINDS, LAYER_CASES, OPTIMIZER_CASES, SCHEDULE_CASES, WEIGHTLESS
from fastreg import initializers, layers, losses, optimizers, regularizers, schedules
from fastreg.internal.layer_base import Join
from pairs import targets
from programs import blobs, compiled, last_json, line, run_program, same_bits, tutorial_layers


def train(stack=None, optimizer="adam", *, seed=0, data=None, loss="binary_crossentropy", metrics=(), **fit):
    x, y = data or blobs(90, 10, 2)
    model = compiled(stack or tutorial_layers(), optimizer=optimizer, seed=seed, loss=loss, metrics=metrics)
    history = model.fit(x, y, **{"epochs": 3, "batch_size": 16, "verbose": 0, **fit})
    return [*model.get_weights(), model.predict(x), *(np.asarray(history.history[k]) for k in sorted(history.history))]


# ------------------------------------------------------------------------------------------------------------ seeds

def test_one_seed_one_result():
    assert same_bits(train(), train())


def test_one_seed_one_result_in_another_process(tmp_path):
    program = """
import sys
import numpy as np
from test_promises import train
np.savez(sys.argv[1], *train())
print(len(train()))
"""
    n = last_json(run_program(program, tmp_path / "a.npz"))
    with np.load(tmp_path / "a.npz") as file:
        assert same_bits(train(), [file[f"arr_{i}"] for i in range(n)])


def test_seeds_differ():
    results = [train(seed=seed) for seed in (0, 1, 2, 1 << 33, (1 << 33) + 1)]
    assert all(not same_bits(a, b) for i, a in enumerate(results) for b in results[:i])


def test_the_seed_decides_each_source_of_chance():
    """Initial weights, dropout and the order of rows, one at a time."""
    def start(seed):
        return compiled([layers.Dense(4)], loss="mse", seed=seed, n_features=3).get_weights()

    assert same_bits(start(1), start(1))
    assert not same_bits(start(1), start(2))
    ones = {"kernel_initializer": "ones"}
    dropout = [layers.Dense(8, **ones), layers.Dropout(0.5), layers.Dense(1, activation="sigmoid", **ones)]
    plain = [layers.Dense(8, **ones), layers.Dense(1, activation="sigmoid", **ones)]
    assert not same_bits(train(dropout, seed=1, shuffle=False), train(dropout, seed=2, shuffle=False))
    assert not same_bits(train(plain, seed=1), train(plain, seed=2))
    assert same_bits(train(plain, seed=1, shuffle=False), train(plain, seed=2, shuffle=False))


def test_without_a_seed_models_differ():
    assert not same_bits(train(seed=None), train(seed=None))


def test_the_global_generators_are_neither_used_nor_moved():
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    first = train()
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert before[1] == random.getstate()
    np.random.seed(4)  # noqa: NPY002
    assert same_bits(first, train())


def test_layers_do_not_share_their_random_streams():
    model = compiled([layers.Dense(8), layers.Dense(8), layers.Dense(8)], loss="mse", n_features=8)
    kernels = model.get_weights()[::2]
    assert all(abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.6
               for i, a in enumerate(kernels) for b in kernels[:i])


def test_dropout_masks_change_from_step_to_step():
    """With one row and a rate of zero learning... the loss of each epoch shows the mask of its step."""
    x, y = np.ones((1, 64), np.float32), np.zeros((1, 1), np.float32)
    model = compiled([layers.Dropout(0.5), layers.Dense(1, kernel_initializer="ones")], loss="mse",
                     optimizer=optimizers.SGD(1e-30))
    kept = np.sqrt(model.fit(x, y, epochs=200, verbose=0).history["loss"]) / 2
    assert np.allclose(kept, np.round(kept), atol=1e-3)
    assert len(set(np.round(kept))) > 8
    assert abs(kept.mean() - 32) < 5 * 4 / np.sqrt(200)


# ------------------------------------------------------------------------------------------------------- every knob

# Fields that are words of their own for something, and change no number.
NO_OPTIONS = {"name", "input_shape", "axis", "noise_shape", "data_format"}
# A shape changes none; how a layer adapts to data, test_preprocessing.py shows.
NO_OPTIONS |= {"target_shape", "robust"}
# What a loss does when it is called, and not in a fit; test_called_losses.py has that.
OF_A_CALL = {"reduction"}
# Values that act where those that suit the type of the field would not.
OTHERS = {("Tweedie", "power"): 1.25, ("GaussianNLL", "epsilon"): 10.0,
          ("SparseCategoricalCrossentropy", "ignore_class"): 1, ("MinMaxNorm", "min_value"): 0.85}


FREE = "ScheduleFreeAdamW"


def fields_of(kind):
    """The fields that a result depends on; of a layer without weights, whether they are trained is no such one."""
    if issubclass(kind, Join):  # test_merging.py has networks for them
        return []
    without = {*NO_OPTIONS, *OF_A_CALL, *(("trainable",) if kind.__name__ in WEIGHTLESS else ())}
    if kind.__name__ in WEIGHTLESS or kind is layers.Residual:
        without |= {"learning_rate_multiplier", "weight_decay_multiplier"}
    if kind.__name__ == "Rprop":  # it follows signs, which no factor changes
        without = {*without, "clipnorm", "global_clipnorm"}
    if kind.__name__ == FREE:
        without = {*without, "use_ema", "ema_momentum", "ema_overwrite_frequency"}
    return [field for field in dataclasses.fields(kind) if field.name not in without]


def other_value(made, field, rows):
    """Another value for a field: that of another row of the class if there is one, else one that suits the field."""
    value = getattr(made, field.name)
    if (given := OTHERS.get((type(made).__name__, field.name))) is not None:
        return given
    if field.name == "alpha" and not getattr(made, "apply_class_balancing", True):
        raise ValueError("alpha weighs nothing without balancing")
    for row in rows:
        if type(row) is type(made) and getattr(row, field.name) != value and type(value) is not float:
            return getattr(row, field.name)
    if isinstance(value, bool):
        return not value
    if isinstance(value, initializers.Initializer):
        return "ones" if value != initializers.Ones() else "he_normal"
    if isinstance(value, schedules.LearningRateSchedule):
        return schedules.Constant(0.007)
    if "Regularizer" in str(field.type):
        return "l2"
    if "Constraint" in str(field.type):
        return "unit_norm"
    if field.name == "excluded_from_weight_decay":
        return ("kernel",)
    if field.name == "activation":
        return "relu"
    if isinstance(value, int):
        return value + 1
    if value is None:
        return 3 if re.search(r"\bint\b", str(field.type)) else 1e-2
    if field.name == "layers":
        return (layers.Dense(7, "relu"),)
    if isinstance(value, tuple) and isinstance(value[0], schedules.LearningRateSchedule):
        return (schedules.Constant(0.007), *value[1:])
    if isinstance(value, tuple):
        return (value[0] + (1 if isinstance(value[0], int) else value[0]), *value[1:])
    assert isinstance(value, float), field
    if value >= 1.0 or value < 0.0:
        return 2.0 * value
    return next(v for v in (0.5, 0.25, 2.0 * value) if v != value) if value > 1e-3 or value == 0.0 else 1e-2


def knobs():
    """For each field of each class: its name, its module's name in `cases.KINDS`, and pairs of objects that differ in
    that field alone."""
    for name, (_, found) in KINDS.items():
        rows = [case.made for case in found.values()]
        if name == "optimizers":  # options need one another
            used = {"use_ema": True, "ema_overwrite_frequency": 4, "gradient_accumulation_steps": 2}
            # ScheduleFreeAdamW has an average of its own and refuses another.
            free = {"use_ema": False, "gradient_accumulation_steps": 2}
            rows += [
                dataclasses.replace(
                    row, ema_momentum=0.9, weight_decay=0.1, **(free if type(row).__name__ == FREE else used)
                )
                for row in rows
            ]
        for kind in dict.fromkeys(map(type, rows)):
            for field in fields_of(kind):
                pairs = []
                for row in rows:
                    if type(row) is kind:
                        try:
                            pairs.append((row, dataclasses.replace(row, **{field.name: other_value(row, field, rows)})))
                        except ValueError:  # it demands something of another field: the next row may have that
                            continue
                yield f"{name} {kind.__name__} {field.name}", name, pairs


KNOBS = {key: row for key, *row in knobs()}


# Every weight decays, so that the factors of layers on it show.
DECAYING = optimizers.AdamW(0.01, weight_decay=0.1, excluded_from_weight_decay=())


def using(kind, made):
    """The arguments of `train` for a network that uses a description."""
    last = [layers.Dense(1, "sigmoid")]
    if kind == "layers":
        before, behind = next(case.around for case in LAYER_CASES.values() if type(case.made) is type(made))
        return {"stack": [*before, made, *behind], "optimizer": DECAYING}
    if kind == "initializers":
        return {"stack": [layers.Dense(6, kernel_initializer=made), *last]}
    if kind == "constraints":
        return {"stack": [layers.Dense(6, kernel_constraint=made), *last]}
    if kind == "regularizers":
        return {"stack": [layers.Dense(6, kernel_regularizer=made), *last]}
    if kind in ("optimizers", "schedules"):
        return {"optimizer": made if kind == "optimizers" else optimizers.Adam(made)}
    oracle = next(case.oracle for case in KINDS[kind][1].values() if type(case.made) is type(made))
    if kind == "losses":
        loss, units = oracle, 3 * oracle.heads
    else:
        loss = ref.loss_of("sparse_categorical_crossentropy" if oracle.targets == "labels" else "binary_crossentropy")
        units = oracle.outputs or 3
    data = blobs(90, 10, 2)[0], targets(loss, 90, units, np.random.default_rng(0))
    given = {"loss": made} if kind == "losses" else {"metrics": [made], "loss": cases.made(loss)}
    return {"stack": [layers.Dense(units, "softplus")], "data": data, **given}


def metric_values(made):
    """A metric outside of a fit, on one column, three, and labels of eight; None where it takes no such targets."""
    rng = np.random.default_rng(0)
    scores = rng.random((200, 8)).astype(np.float32)
    shares = scores / scores.sum(axis=1, keepdims=True)
    found = []
    for y, outputs in ((rng.integers(0, 2, (200, 1)), scores[:, :1]), (rng.integers(0, 2, (200, 3)), scores[:, :3]),
                       (rng.integers(0, 8, 200), shares), (np.eye(8)[rng.integers(0, 8, 200)], shares)):
        try:
            found.append(np.asarray(copy.copy(made)(y.astype(np.float32), outputs)).tolist())
        except ValueError:
            found.append(None)
    assert any(value is not None for value in found)
    return repr(found)


@pytest.mark.parametrize("knob", KNOBS)
def test_every_field_of_a_description_changes_the_result(knob):
    """In at least one row: a field may need another one, as the growth of a mode of its own does."""
    kind, pairs = KNOBS[knob]
    assert pairs, "no row takes another value in this field"
    if kind == "metrics":
        assert any(metric_values(row) != metric_values(changed) for row, changed in pairs)
        return
    assert any(not same_bits(train(**using(kind, row)), train(**using(kind, changed))) for row, changed in pairs)


@pytest.mark.parametrize("activation", [name for name in layers.ACTIVATIONS if name != "linear"])
def test_every_activation_changes_the_result(activation):
    assert not same_bits(train(dense()), train(dense(activation=activation)))


@pytest.mark.parametrize("name", [name for name in INITIALIZER_CASES if name != "glorot_uniform"])
def test_every_initializer_changes_the_result(name):
    assert not same_bits(train(dense()), train(dense(kernel_initializer=INITIALIZER_CASES[name].made)))


@pytest.mark.parametrize("name", SCHEDULE_CASES)
def test_every_schedule_changes_the_result(name):
    assert not same_bits(
        train(optimizer=optimizers.Adam(0.01)), train(optimizer=optimizers.Adam(SCHEDULE_CASES[name].made)))


def test_every_optimizer_is_another():
    results = [train(optimizer=kind(0.01)) for kind in dict.fromkeys(type(c.made) for c in OPTIMIZER_CASES.values())]
    assert all(not same_bits(a, b) for i, a in enumerate(results) for b in results[:i])


BATCH_NORM = [layers.Dense(6, activation="tanh"), layers.BatchNormalization(), layers.Dense(1, activation="sigmoid")]


def dense(**options):
    return [layers.Dense(**{"units": 6, **options}), layers.Dense(1, activation="sigmoid")]


# option -> (arguments of `train` with the default, the same with the option changed).
OPTIONS = {
    "L1": ((dense(),), (dense(kernel_regularizer=regularizers.L1(0.01)),)),
    "L2": ((dense(),), (dense(kernel_regularizer=regularizers.L2(0.01)),)),
    "L1L2, l1": ((dense(kernel_regularizer=regularizers.L1L2(0.0, 0.01)),),
                 (dense(kernel_regularizer=regularizers.L1L2(0.01, 0.01)),)),
    "L1L2, l2": ((dense(kernel_regularizer=regularizers.L1L2(0.01, 0.0)),),
                 (dense(kernel_regularizer=regularizers.L1L2(0.01, 0.01)),)),
    "bias_regularizer": ((dense(),), (dense(bias_regularizer=regularizers.L2(0.5), bias_initializer="ones"),)),
    "dropout": ((BATCH_NORM,), ([*BATCH_NORM[:2], layers.Dropout(0.5), BATCH_NORM[2]],)),
    "optimizer": ((None, optimizers.Adam(0.01)), (None, optimizers.RMSprop(0.01))),
    "momentum": ((None, optimizers.SGD(0.01)), (None, optimizers.SGD(0.01, momentum=0.5))),
    "Adam and AdamW": ((None, optimizers.Adam(0.01)), (None, optimizers.AdamW(0.01))),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_a_description_changes_the_result(option):
    default, changed = OPTIONS[option]
    assert not same_bits(train(*default), train(*changed))


X, Y = blobs(90, 10, 2)
ODD = 1.0 + np.arange(90) % 3
FIT_OPTIONS = {
    "epochs": {"epochs": 4}, "batch_size": {"batch_size": 17}, "full batch": {"batch_size": None},
    "shuffle": {"shuffle": False}, "sample_weight": {"sample_weight": ODD},
    "class_weight": {"class_weight": {0: 1, 1: 3}},
    "validation_split": {"validation_split": 0.2}, "validation_data": {"validation_data": (X[:30], Y[:30])},
    "rows": {"rows": np.arange(80)}, "validation_rows": {"validation_rows": np.arange(10)},
    "callbacks": {"callbacks": [fr.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=1.0)]},
}


@pytest.mark.parametrize("option", FIT_OPTIONS)
def test_every_option_of_fit_changes_the_result(option):
    assert not same_bits(train(data=(X, Y)), train(data=(X, Y), **FIT_OPTIONS[option]))


def test_options_that_must_not_change_the_weights():
    plain = train(data=(X, Y))
    n = 8 + 1  # weights and predictions; the history has more columns
    for options in ({"validation_data": (X[:30], Y[:30])}, {"metrics": ["accuracy"]}, {"sample_weight": np.ones(90)},
                    {"class_weight": {0: 1.0, 1: 1.0}}):
        assert same_bits(plain[:n], train(data=(X, Y), **options)[:n]), options


def test_validation_weights_act():
    def loss(*extra):
        model = compiled(tutorial_layers())
        return model.fit(X, Y, verbose=0, validation_data=(X[:30], Y[:30], *extra)).history["val_loss"]

    assert loss(ODD[:30]) != loss()
    assert loss(np.ones(30)) == pytest.approx(loss(), rel=1e-6)


def test_evaluate_weights_act_and_are_a_weighted_mean():
    x, y = line(40, 3)
    model = compiled([layers.Dense(1)], loss="mse", n_features=3)
    weight = np.linspace(0, 2, 40)
    rows = (model.predict(x).astype(np.float64) - y)[:, 0] ** 2
    assert model.evaluate(x, y, sample_weight=weight, verbose=0) == pytest.approx(
        np.average(rows, weights=weight), rel=1e-5)


def test_whole_weights_are_repeated_rows():
    """With the full batch, a weight of 2 is a row that comes twice and 0 a row that is not there."""
    x, y = line(30, 3)
    count = np.arange(30) % 3
    stack = [layers.Dense(4, activation="tanh"), layers.Dense(1)]
    results = []
    for a, b, weight in ((x, y, count), (np.repeat(x, count, 0), np.repeat(y, count, 0), None)):
        model = compiled(stack, loss="mse", optimizer=optimizers.SGD(0.1))
        model.fit(a, b, sample_weight=weight, batch_size=None, epochs=20, verbose=0)
        results.append(model.predict(x))
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)


def test_class_weight_is_sample_weight_by_label():
    x, y = blobs(60, 5, 3)
    by_class = {0: 0.5, 1: 1.0, 2: 2.5}
    stack = [layers.Dense(3, activation="softmax")]
    one_hot = np.eye(3)[y]
    results = [train(stack, data=(x, target), loss=loss, **weights)
               for loss, target in (("sparse_categorical_crossentropy", y), ("categorical_crossentropy", one_hot))
               for weights in ({"class_weight": by_class}, {"sample_weight": np.array([by_class[c] for c in y])})]
    assert same_bits(results[0], results[1])
    assert same_bits(results[2], results[3])
    np.testing.assert_allclose(results[0][0], results[2][0], rtol=1e-4, atol=1e-6)


def test_balanced_class_weights():
    x, y = blobs(60, 5, 2)
    y = (np.arange(60) < 15).astype(int)
    by_class = {0: 60 / (2 * 45), 1: 60 / (2 * 15)}
    stack = [layers.Dense(1, activation="sigmoid")]
    balanced, given = (train(stack, data=(x, y), class_weight=weight) for weight in ("balanced", by_class))
    assert same_bits(balanced, given)


@pytest.mark.filterwarnings("ignore:the loss BinaryCrossentropy takes probabilities")
def test_from_logits_is_the_sigmoid_left_out():
    x, y = blobs(60, 5, 2)
    inside = train([layers.Dense(1, activation="sigmoid")], data=(x, y))
    outside = train([layers.Dense(1)], data=(x, y), loss=losses.BinaryCrossentropy(from_logits=True))
    np.testing.assert_allclose(inside[0], outside[0], rtol=1e-5, atol=1e-6)
    default = train([layers.Dense(1)], data=(x, y), loss=losses.BinaryCrossentropy())
    assert not np.allclose(default[0], outside[0])


# ------------------------------------------------------------------------------------------------- validation split

def split_of(n=100, share=0.3, seed=0, labels=None, loss="binary_crossentropy", **fit):
    """Which rows were held out: a network of one constant input column per row tells them by its gradients.

    X is the identity, so after one full-batch step of SGD a kernel row has moved exactly if its row trained.
    """
    x = np.eye(n, dtype=np.float32)
    y = np.zeros(n) if labels is None else labels
    units = 1 if loss in ("binary_crossentropy", "mse") else int(y.max()) + 1
    last = {"mse": "linear", "binary_crossentropy": "sigmoid"}.get(loss, "softmax")
    model = compiled([layers.Dense(units, activation=last)], loss=loss, optimizer=optimizers.SGD(1.0), seed=seed,
                     n_features=n)
    before = model.get_weights()[0]
    model.fit(x, y + 100.0 if loss == "mse" else y, batch_size=None, epochs=1, validation_split=share, verbose=0, **fit)
    return ~np.any(model.get_weights()[0] != before, axis=1)


def test_the_split_takes_its_share_shuffled():
    held = split_of(100, 0.3)
    assert held.sum() == 30
    assert not held[-30:].all()
    assert held[:50].any()


def test_the_split_is_a_function_of_the_seed():
    assert np.array_equal(split_of(seed=1), split_of(seed=1))
    assert not np.array_equal(split_of(seed=1), split_of(seed=2))


def test_the_split_does_not_change_between_fits():
    """Otherwise rows that were trained on would be validated on."""
    x, y = blobs(50, 4, 2)
    x = np.hstack([x, np.eye(50, dtype=np.float32)])
    model = compiled([layers.Dense(1, activation="sigmoid")], optimizer=optimizers.SGD(1.0), n_features=54)
    before = model.get_weights()[0]
    for _ in range(3):
        model.fit(x, y, batch_size=7, epochs=2, validation_split=0.2, verbose=0)
    moved = np.any(model.get_weights()[0][4:] != before[4:], axis=1)
    assert moved.sum() == 40


@pytest.mark.parametrize("loss", ["binary_crossentropy", "sparse_categorical_crossentropy"])
def test_the_split_is_stratified(loss):
    classes = 2 if loss == "binary_crossentropy" else 4
    y = np.repeat(np.arange(classes), [60, 40] if classes == 2 else [10, 20, 30, 40])
    held = split_of(100, 0.2, labels=y, loss=loss)
    assert held.sum() == 20
    counts = np.bincount(y[held], minlength=classes)
    assert np.array_equal(counts, np.bincount(y) // 5)


def test_a_regression_is_shuffled_too():
    held = split_of(100, 0.25, loss="mse")
    assert held.sum() == 25
    assert not held[-25:].all()


def test_train_and_validation_rows_are_disjoint_and_all():
    """The history of the validation loss is that of exactly the rows that did not train."""
    n = 40
    held = split_of(n, 0.25, labels=np.arange(n) % 2)
    x, y = np.eye(n, dtype=np.float32), np.arange(n) % 2
    model = compiled([layers.Dense(1, activation="sigmoid")], optimizer=optimizers.SGD(1.0), n_features=n)
    history = model.fit(x, y, batch_size=None, epochs=1, validation_split=0.25, verbose=0)
    assert history.history["val_loss"][0] == pytest.approx(model.evaluate(x[held], y[held], verbose=0), rel=1e-5)


def test_sample_weights_go_with_their_rows_in_the_split():
    n = 40
    y = np.arange(n) % 2
    held = split_of(n, 0.25, labels=y)
    weight = np.linspace(0.1, 3, n)
    x = np.eye(n, dtype=np.float32)
    model = compiled([layers.Dense(1, activation="sigmoid")], optimizer=optimizers.SGD(1.0), n_features=n)
    history = model.fit(x, y, batch_size=None, epochs=1, validation_split=0.25, verbose=0, sample_weight=weight)
    score = model.evaluate(x[held], y[held], sample_weight=weight[held], verbose=0)
    assert history.history["val_loss"][0] == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize(("n", "share"), [(3, 0.01), (3, 0.99), (1, 0.5)])
def test_a_split_that_leaves_a_side_empty_is_an_error(n, share):
    x, y = line(n, 3)
    with pytest.raises(ValueError, match="validation_split"):
        compiled([layers.Dense(1)], loss="mse").fit(x, y, validation_split=share, verbose=0)


def test_validation_is_said_once():
    x = np.eye(30, dtype=np.float32)
    with pytest.raises(ValueError, match=r"validation_data or validation_split"):
        split_of(30, 0.3, validation_data=(x, np.zeros(30)))
