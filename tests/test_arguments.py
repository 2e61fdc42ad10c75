"""Every public constructor and method raises a clear error for values out of range, wrong types and unknown names.

One table of bad constructor arguments and one of descriptions that must compare, print and pickle: add a row.
"""
from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import sys

import cases
import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, initializers, layers, losses, metrics, optimizers, regularizers, schedules, utils
from programs import blobs, compiled, line, refusal, same_bits, tutorial_layers

NAN, INF = float("nan"), float("inf")
T, V = TypeError, ValueError
OPTIMIZERS = tuple(dict.fromkeys(type(case.made) for case in cases.OPTIMIZER_CASES.values()))

# (constructor, argument, value, error). The message must hold the argument's name and the value. Numbers that have a
# range are in test_registry.py.
BAD = [
    *[(optimizer, "learning_rate", value, error)
      for optimizer in OPTIMIZERS
      for value, error in [(0, V), (0.0, V), (-1e-3, V), (NAN, V), (INF, V), (1e-60, V), (1e60, V), ("fast", T),
                           (None, T), (True, T)]],
    (layers.Dropout, "rate", 1, V),
    *[(layers.Dense, "activation", value, error) for value, error in [("swoosh", V), (3, T)]],
    *[(layers.Activation, "activation", value, error) for value, error in [("swoosh", V), (3, T)]],
    *[(layers.Dense, name, value, error) for name in ("kernel_initializer", "bias_initializer")
      for value, error in [("magic", V), (3, T)]],
    *[(layers.Dense, name, value, error) for name in ("kernel_regularizer", "bias_regularizer")
      for value, error in [("magic", V), (3, T)]],
    *[(initializer, "seed", value, error) for value, error in [(-1, V), (2**64, V), (1.5, T), ("3", T), (True, T)]
      for initializer in (
        initializers.RandomNormal, initializers.TruncatedNormal, initializers.RandomUniform,
        initializers.GlorotUniform, initializers.GlorotNormal, initializers.HeUniform, initializers.HeNormal,
        initializers.LecunUniform, initializers.LecunNormal)],
    *[(layers.Input, name, value, V) for name, value in [
        ("batch_size", 32), ("dtype", "float64"), ("dtype", "complex64"), ("dtype", 3)]],
    *[(callbacks.EarlyStopping, name, value, error) for name, value, error in [
        ("patience", -1, V), ("patience", 1.5, (T, V)), ("patience", NAN, (T, V)), ("min_delta", NAN, V),
        ("mode", "upwards", V), ("baseline", NAN, V), ("start_from_epoch", -1, V), ("monitor", 3, T)]],
]
# What a constructor needs besides the argument in question.
REQUIRED = {**{kind: cases.needed(kind) for kind in cases.FIRST}, layers.Input: {"shape": (4,)}}


def identity(row):
    return f"{row[0].__name__}-{row[1]}-{row[2]}"


@pytest.mark.parametrize("row", BAD, ids=identity)
def test_a_constructor_names_argument_and_value(row):
    make, name, value, error = row
    shown = "|".join(re.escape(text) for text in (str(value), f"{value:g}" if isinstance(value, float) else str(value)))
    with refusal(error, [make.__name__, name, f"{shown}|{type(value).__name__}"]):
        make(**{**REQUIRED.get(make, {}), name: value})


# Integers that no float holds, and those of more digits than Python prints.
@pytest.mark.parametrize(("action", "error", "words"), [
    (lambda: optimizers.Adam(10**400), V, ["Adam", "learning_rate", "finite", r"2\*\*1328"]),
    (lambda: optimizers.Adam(-10**5000), V, ["learning_rate", r"-2\*\*16609"]),
    (lambda: initializers.Constant(10**400), V, ["Constant", "value", r"2\*\*1328"]),
    (lambda: layers.Dense(10**5000), V, ["Dense", "units", "2147483648", r"2\*\*16609"]),
    (lambda: layers.Dense(-10**5000), V, ["units", ">= 1", r"-2\*\*16609"]),
    (lambda: layers.Dense([10**5000]), T, ["units", "list"]),
    (lambda: layers.Dense(3, activation=10**5000), T, ["activation", r"2\*\*16609"]),
    (lambda: utils.to_categorical([1], 10**5000), V, ["num_classes", r"2\*\*16609"]),
], ids=range(8))
def test_a_huge_integer_is_refused_like_any_other(action, error, words):
    with refusal(error, words):
        action()


# Edges that are inside.
@pytest.mark.parametrize(("make", "arguments"), [
    (layers.Dense, {"units": 1}), (layers.Dense, {"units": np.int64(7)}), (layers.Dropout, {"rate": 0}),
    (layers.Dropout, {"rate": 0.99}), (layers.Dropout, {"rate": np.float32(0.5)}),
    (layers.BatchNormalization, {"momentum": 0.0}), (layers.BatchNormalization, {"momentum": 1}),
    (optimizers.SGD, {"learning_rate": 1}), (optimizers.SGD, {"momentum": 0}),
    (optimizers.Adam, {"beta_1": 0.0, "beta_2": 0}), (optimizers.AdamW, {"weight_decay": 0}),
    (layers.Input, {"shape": (4,), "batch_size": None, "dtype": "float32"}),
    (initializers.GlorotUniform, {"seed": None}), (initializers.RandomNormal, {"stddev": 0, "seed": None}),
    (regularizers.L1L2, {"l1": 0, "l2": 0}), (callbacks.EarlyStopping, {"patience": 0}),
])
def test_the_edges_inside_are_accepted(make, arguments):
    made = make(**arguments)
    for name, value in arguments.items():
        # Keras's arguments that have one meaning here are not part of the description.
        assert getattr(made, name) == value or name not in {f.name for f in dataclasses.fields(made)}


SCHEDULES = [
    (lambda: schedules.Constant(0.0), "learning_rate|rate", "0"),
    (lambda: schedules.Constant(NAN), "learning_rate|rate", "nan"),
    (lambda: schedules.StepDecay(-0.1, 10, 0.5), "initial_learning_rate", "-0.1"),
    (lambda: schedules.StepDecay(0.1, 0, 0.5), "step_size", "0"),
    (lambda: schedules.StepDecay(0.1, 10, -1.0), "gamma", "-1"),
    (lambda: schedules.StepDecay(0.1, 10, NAN), "gamma", "nan"),
    (lambda: schedules.ExponentialDecay(0.0, 10, 0.5), "initial_learning_rate", "0"),
    (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps", "0"),
    (lambda: schedules.ExponentialDecay(0.1, 10, 0.0), "decay_rate", "0"),
    (lambda: schedules.ExponentialDecay(0.1, 10, INF), "decay_rate", "inf"),
    (lambda: schedules.CosineDecay(NAN, 10), "initial_learning_rate", "nan"),
    (lambda: schedules.CosineDecay(0.1, -10), "decay_steps", "-10"),
    (lambda: schedules.CosineDecay(0.1, 10, alpha=-0.1), "alpha", "-0.1"),
    (lambda: schedules.CosineDecay(0.1, 10, alpha=NAN), "alpha", "nan"),
    (lambda: schedules.PiecewiseConstantDecay([5, 3], [1.0, 0.5, 0.1]), "boundaries", "3"),
    (lambda: schedules.PiecewiseConstantDecay([5], [1.0]), "values", "1"),
    (lambda: schedules.PiecewiseConstantDecay([5], [1.0, -0.1]), "values", "-0.1"),
    (lambda: schedules.PiecewiseConstantDecay([5], [1.0, NAN]), "values", "nan"),
]


@pytest.mark.parametrize("row", SCHEDULES, ids=range(len(SCHEDULES)))
def test_a_schedule_checks_its_numbers(row):
    make, name, value = row
    with refusal(ValueError, [name, value]):
        make()


# Known names are listed where an unknown one is given.
@pytest.mark.parametrize(("action", "known"), [
    (lambda: layers.Dense(3, activation="swoosh"), cases.ACTIVATIONS),
    (lambda: layers.Activation("swoosh"), cases.ACTIVATIONS),
    (lambda: layers.Dense(3, kernel_initializer="magic"), ("glorot_uniform", "he_normal", "zeros")),
    (lambda: layers.Dense(3, kernel_regularizer="magic"), ("l1", "l2", "l1_l2|l1l2|L1L2")),
    (lambda: compiled([layers.Dense(1)], loss="magic"),
     ("mean_squared_error|mse", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")),
    # A metric only.
    (lambda: compiled([layers.Dense(1)], loss="rmse"), ("mean_squared_error", "mse", "bce", "binary_crossentropy")),
    (lambda: compiled([layers.Dense(1)], optimizer="magic"), ("sgd", "adam", "adamw", "rmsprop")),
    (lambda: compiled([layers.Dense(1)], metrics=["magic"]), ("accuracy", "mse|mean_squared_error",
                                                               "mae|mean_absolute_error")),
])
def test_an_unknown_name_lists_the_known_ones(action, known):
    with refusal(ValueError, ["magic|swoosh|rmse", *known]):
        action()


FIT = [
    ({"epochs": 0}, V, ["epochs", "0"]),
    ({"epochs": -1}, V, ["epochs", "-1"]),
    ({"epochs": 1.5}, T, ["epochs", "1.5"]),
    ({"epochs": NAN}, (T, V), ["epochs", "nan"]),
    ({"epochs": "many"}, T, ["epochs", "many"]),
    ({"batch_size": 0}, V, ["batch_size", "0"]),
    ({"batch_size": -32}, V, ["batch_size", "-32"]),
    ({"batch_size": 2.5}, T, ["batch_size", "2.5"]),
    ({"batch_size": "all"}, T, ["batch_size", "all"]),
    ({"validation_split": 1.0}, V, ["validation_split", "1"]),
    ({"validation_split": -0.1}, V, ["validation_split", "-0.1"]),
    ({"validation_split": NAN}, V, ["validation_split", "nan"]),
    ({"validation_split": "a"}, T, ["validation_split", "a"]),
    ({"initial_epoch": -1}, V, ["initial_epoch", "-1"]),
    ({"initial_epoch": 2}, V, ["initial_epoch", "2"]),
    ({"steps_per_epoch": 0}, V, ["steps_per_epoch", "0"]),
    ({"steps_per_epoch": 2.5}, T, ["steps_per_epoch", "2.5"]),
    ({"validation_steps": 0}, V, ["validation_steps", "0"]),
    ({"validation_steps": 3}, V, ["validation_steps", "validation_data"]),
    ({"validation_batch_size": 0}, V, ["validation_batch_size", "0"]),
    ({"validation_batch_size": "all"}, T, ["validation_batch_size", "all"]),
    ({"validation_freq": 0}, V, ["validation_freq", "0"]),
    ({"validation_freq": [1, 0]}, V, ["validation_freq", "0"]),
    ({"validation_freq": "often"}, T, ["validation_freq", "often"]),
    ({"step_per_epoch": 3}, T, ["step_per_epoch"]),
    ({"initial_epoch": 1.5}, T, ["initial_epoch", "1.5"]),
    ({"verbose": -1}, V, ["verbose", "-1"]),
    ({"verbose": "loud"}, (T, V), ["verbose", "loud"]),
    ({"shuffle": "yes"}, (T, V), ["shuffle", "yes"]),
    ({"callbacks": 3}, T, ["callbacks", "3|int"]),
    ({"callbacks": [3]}, T, ["callbacks|Callback", "3|int"]),
    ({"callbacks": [callbacks.EarlyStopping]}, T, ["callbacks|Callback", "EarlyStopping|type"]),
    ({"callbacks": [callbacks.EarlyStopping(monitor="val_loss")]}, V, ["val_loss", "monitor", "loss"]),
    ({"callbacks": [callbacks.EarlyStopping(monitor="accurracy")]}, V, ["accurracy", "monitor", "accuracy"]),
]


@pytest.mark.parametrize("row", FIT, ids=lambda row: str(row[0]))
def test_fit_checks_its_arguments_before_the_first_step(row):
    arguments, error, words = row
    x, y = blobs(40, 10, 2)
    model = compiled(tutorial_layers(), metrics=["accuracy"], n_features=10)
    before = model.get_weights()
    with refusal(error, words):
        model.fit(x, y, **{"verbose": 0, **arguments})
    assert same_bits(before, model.get_weights())


def test_unknown_keywords_are_type_errors():
    x, y = blobs(40, 10, 2)
    model = compiled(tutorial_layers())
    with pytest.raises(TypeError, match="epoch"):
        model.fit(x, y, epoch=3, verbose=0)
    with pytest.raises(TypeError, match="unit"):
        layers.Dense(unit=3)


@pytest.mark.parametrize("method", ["predict", "evaluate"])
@pytest.mark.parametrize(("value", "error"), [(0, V), (-1, V), (1.5, T), ("a", T)])
def test_predict_and_evaluate_check_batch_size(method, value, error):
    x, y = blobs(40, 10, 2)
    model = compiled(tutorial_layers(), n_features=10)
    with pytest.raises(error, match="batch_size"):
        model.predict(x, batch_size=value) if method == "predict" else model.evaluate(
            x, y, batch_size=value, verbose=0)


# (layers, loss) that do not go together.
@pytest.mark.parametrize(("stack", "loss", "words"), [
    ([layers.Dense(1, activation="softmax")], "mse", ["softmax", "1"]),
    ([layers.Dense(1, "sigmoid")], "sparse_categorical_crossentropy", ["labels|Categorical", "1"]),
    ([layers.Dense(1, "sigmoid")], "categorical_crossentropy", ["Categorical", "1"]),
])
def test_outputs_and_loss_must_go_together(stack, loss, words):
    x, y = blobs(40, 10, 2)
    with refusal(ValueError, words):
        model = compiled(stack, loss=loss, n_features=10)
        model.fit(x, np.eye(2)[y][:, :1] if loss.startswith("cat") else y, verbose=0)


@pytest.mark.parametrize("action", [
    lambda m, x, y: m.predict(x), lambda m, x, y: m.evaluate(x, y, verbose=0), lambda m, x, y: m.set_weights([]),
    lambda m, x, y: m.save("unbuilt.safetensors"),
], ids=["predict", "evaluate", "set_weights", "save"])
def test_an_unbuilt_model_says_so(action, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = blobs(40, 10, 2)
    with pytest.raises(ValueError, match="build"):
        action(compiled(tutorial_layers()), x, y)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_model_that_was_not_compiled_says_so(method):
    x, y = blobs(40, 10, 2)
    model = fr.Sequential(tutorial_layers(), seed=0)
    model.build(10)
    with pytest.raises((ValueError, RuntimeError), match="compile"):
        getattr(model, method)(x, y, verbose=0)


@pytest.mark.parametrize(("change", "error", "words"), [
    (lambda w: w[:-1], V, ["8", "7"]),
    (lambda w: [*w, w[0]], V, ["8", "9"]),
    (lambda w: [w[0].T, *w[1:]], V, ["kernel", r"\(10, 64\)", r"\(64, 10\)"]),
    (lambda w: [w[0], w[1][:-1], *w[2:]], V, ["bias", r"\(64,\)", r"\(63,\)"]),
    (lambda w: [*w[:5], w[5] * np.nan, *w[6:]], V, ["moving_variance", "nan|finite"]),
    (lambda w: [*w[:5], w[5] - 5, *w[6:]], V, ["moving_variance", "0|negative"]),
    (lambda w: [w[0] + 1j, *w[1:]], T, ["kernel", "real|complex"]),
    (lambda w: ["a", *w[1:]], (T, V), ["kernel"]),
    (lambda w: None, T, ["weights", "None"]),
    (lambda w: 3, T, ["weights", "3|int"]),
], ids=["few", "many", "transposed", "short", "NaN", "negative variance", "complex", "text", "None", "number"])
def test_set_weights_names_the_weight(change, error, words):
    model = compiled(tutorial_layers(), n_features=10)
    before = model.get_weights()
    with refusal(error, words):
        model.set_weights(change(model.get_weights()))
    assert same_bits(before, model.get_weights())


@pytest.mark.parametrize("value", [0, -3, 1.5, "10", (None, None), (3, 4, 5), None, True, (None, 0)])
def test_build_checks_the_number_of_features(value):
    with pytest.raises((TypeError, ValueError), match=r"n_features|input_shape|shape"):
        compiled(tutorial_layers()).build(value)


@pytest.mark.parametrize("value", [-1, 1.5, "a", 1 << 64])
def test_the_seed_is_a_whole_number(value):
    with pytest.raises((TypeError, ValueError), match="seed"):
        fr.Sequential(tutorial_layers(), seed=value)


def test_layers_are_layers():
    with pytest.raises(TypeError, match="layer"):
        fr.Sequential([3])
    with pytest.raises(TypeError, match="layer"):
        fr.Sequential([layers.Dense])
    with pytest.raises(ValueError, match="layer"):
        compiled([]).build(3)


class OwnLayer(layers.Layer):
    pass


class OwnDense(layers.Dense):
    pass


class OwnMetric(metrics.Metric):
    name = "own"


class OwnLoss(losses.MeanSquaredError):
    pass


class OwnInitializer(initializers.Initializer):
    pass


class OwnOptimizer(optimizers.Adam):
    pass


# The core computes only what it knows: a class of one's own is refused where it is given.
@pytest.mark.parametrize(("action", "words"), [
    (OwnLayer, ["layers", "OwnLayer", "Dense"]),
    (lambda: OwnDense(3), ["layers", "OwnDense", "Dense"]),
    (lambda: layers.Dense(3, kernel_regularizer=regularizers.Regularizer()),
     ["kernel_regularizer", "Regularizer", "L1"]),
    (lambda: layers.Dense(3, bias_initializer=OwnInitializer()), ["bias_initializer", "OwnInitializer", "HeNormal"]),
    (lambda: compiled([layers.Dense(1)], metrics=[OwnMetric()]), ["metrics", "OwnMetric", "BinaryAccuracy"]),
    (lambda: compiled([layers.Dense(1)], loss=OwnLoss()), ["losses", "OwnLoss", "BinaryCrossentropy"]),
    (lambda: compiled([layers.Dense(1)], optimizer=OwnOptimizer()), ["optimizers", "OwnOptimizer", "RMSprop"]),
], ids=range(7))
def test_only_what_is_built_in_is_taken(action, words):
    with refusal(TypeError, ["only the built-in", *words]):
        action()


def test_the_article_fits_the_kind():
    with refusal(TypeError, ["expected an optimizer or"]):
        optimizers.get(3)
    with refusal(TypeError, ["expected a metric or"]):
        metrics.get(3)


def test_the_input_layer_has_both_names_of_keras():
    assert layers.InputLayer(input_shape=(4,)) == layers.InputLayer(shape=(4,)) == layers.Input((4,))
    model = fr.Sequential([layers.InputLayer(input_shape=(4,)), layers.Dense(1)], seed=0)
    assert [w.shape for w in model.get_weights()] == [(4, 1), (1,)]
    for arguments in ({}, {"shape": (4,), "input_shape": (4,)}):
        with refusal(TypeError, ["InputLayer", "shape", "input_shape"]):
            layers.InputLayer(**arguments)


def test_the_lower_case_initializers_of_keras():
    for name in ("zeros", "ones", "random_normal", "random_uniform", "truncated_normal", "glorot_uniform",
                 "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "constant"):
        assert getattr(initializers, name)() == initializers.get(name)


# What to_categorical says of a label: value and row.
@pytest.mark.parametrize(("labels", "words"), [
    ([0, -1], ["whole numbers >= 0", "-1 in row 1"]),
    ([0.5], ["whole numbers", "0.5 in row 0"]),
    ([0, 1, NAN], ["whole numbers", "nan in row 2"]),
    ([INF, 1], ["whole numbers", "inf in row 0"]),
    ([10**15], ["memory", "1000000000000001", "8000000000000008 bytes"]),
    ([10**30], ["memory", "bytes"]),
    ([10**400], ["x", "float32", r"2\*\*1328 in row 0"]),
], ids=str)
def test_to_categorical_names_value_and_row(labels, words):
    with refusal(ValueError, words):
        utils.to_categorical(labels)


# ---------------------------------------------------------------------------------- descriptions are plain values

DESCRIPTIONS = [
    *{repr(made): made for made in cases.ROWS}.values(),  # statistics of a Normalization are not compared
    layers.Dense(4, activation="relu", kernel_regularizer=regularizers.L1L2(0.1, 0.2)),
    layers.BatchNormalization(momentum=0.9), optimizers.RMSprop(schedules.CosineDecay(0.1, 10)),
]


@pytest.mark.parametrize("value", DESCRIPTIONS, ids=lambda value: type(value).__name__)
def test_descriptions_compare_print_copy_and_pickle(value):
    modules = (layers, regularizers, optimizers, schedules, losses, metrics, initializers,
               sys.modules[type(value).__module__], sys.modules[".".join(type(value).__module__.split(".")[:2])])
    names = {name: getattr(module, name) for module in modules for name in getattr(module, "__all__", ())}
    assert type(value).__name__ in repr(value)
    assert eval(repr(value), names) == value
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert twin == value
        assert hash(twin) == hash(value)
    assert dataclasses.is_dataclass(value)
    for other in DESCRIPTIONS:
        assert (other == value) == (other is value), f"{other} == {value}"
    for name in [field.name for field in dataclasses.fields(value)] + ["seed"]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, 1)


@pytest.mark.parametrize("value", [v for v in DESCRIPTIONS if dataclasses.is_dataclass(v) and dataclasses.fields(v)],
                         ids=lambda value: type(value).__name__)
def test_a_replaced_field_is_checked_again(value):
    same = dataclasses.replace(value)
    assert same == value


def test_one_description_may_be_in_many_models():
    """Descriptions have no state: two models from the same objects do not know of each other."""
    stack, optimizer = tutorial_layers(), optimizers.Adam(0.01)
    a, b = compiled(stack, optimizer=optimizer), compiled(stack, optimizer=optimizer)
    x, y = blobs(64, 10, 2)
    for _ in range(2):
        a.fit(x, y, verbose=0)
    b.fit(x, y, verbose=0)
    c = compiled(stack, optimizer=optimizer)
    c.fit(x, y, verbose=0)
    assert same_bits(b.get_weights(), c.get_weights())
    assert not same_bits(a.get_weights(), b.get_weights())


def test_a_schedule_of_ones_own_must_give_positive_rates():
    x, y = line(40, 3)
    for rate in (lambda step: -0.1, lambda step: NAN, lambda step: 0.1 if step < 2 else INF):
        model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(rate))
        with pytest.raises(ValueError, match=r"learning_rate|schedule"):
            model.fit(x, y, batch_size=8, verbose=0)
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(lambda step: "fast"))
    with pytest.raises((TypeError, ValueError)):
        model.fit(x, y, verbose=0)
