"""Arguments of Keras that mean nothing here are accepted at their idle values and refused at any other value.

The tables follow the signatures of Keras 3. An idle value changes nothing: the description, or the numbers, are those
without it.
"""

import cases
import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, losses, metrics, optimizers, schedules
from test_names import KERAS

X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2]

LAYER = [("dtype", None, "float16"), ("dtype", "float32", "mixed_float16")]
LAYER += [("autocast", True, 3)]
ACTIVITY = [("activity_regularizer", None, "l2")]
LOSS = [("dtype", None, "float64")]
CROSSENTROPY = [*LOSS, ("axis", -1, 0)]
METRIC = [("dtype", None, "float64")]
OPTIMIZER = [("loss_scale_factor", None, 2.0)]
SCHEDULE = [("name", "decay", 1)]

# What is constructed: (argument, an idle value, another value).
MADE = {
    "Dense": (
        lambda **k: layers.Dense(2, **k),
        [
            *LAYER,
            ("lora_rank", None, 4),
            ("lora_alpha", None, 8),
            ("quantization_config", None, {"bits": 8}),
        ],
    ),
    "Activation": (lambda **k: layers.Activation("relu", **k), [*LAYER, *ACTIVITY]),
    "Dropout": (lambda **k: layers.Dropout(0.5, **k), [*LAYER, *ACTIVITY, ("noise_shape", None, (1, 2))]),
    "BatchNormalization": (
        layers.BatchNormalization,
        [
            *LAYER,
            *ACTIVITY,
            ("synchronized", False, True),
            ("axis", -1, 0),
        ],
    ),
    "Input": (
        lambda **k: layers.Input((3,), **k),
        [
            ("batch_size", None, 32),
            ("dtype", None, "float64"),
            ("sparse", False, True),
            ("ragged", None, True),
            ("batch_shape", None, (8, 3)),
            ("tensor", None, X),
            ("optional", False, True),
        ],
    ),
    "MeanSquaredError": (losses.MeanSquaredError, LOSS),
    "BinaryCrossentropy": (losses.BinaryCrossentropy, CROSSENTROPY),
    "CategoricalCrossentropy": (losses.CategoricalCrossentropy, CROSSENTROPY),
    "SparseCategoricalCrossentropy": (losses.SparseCategoricalCrossentropy, CROSSENTROPY),
    "BinaryAccuracy": (metrics.BinaryAccuracy, METRIC),
    "AUC": (
        metrics.AUC,
        [
            *METRIC,
            ("num_thresholds", 50, 0),
            ("summation_method", "majoring", "sum"),
            ("thresholds", None, [0.5]),
            ("num_labels", 3, "three"),
            ("label_weights", None, [1.0]),
            ("from_logits", True, 1),
        ],
    ),
    "PrecisionAtRecall": (lambda **k: metrics.PrecisionAtRecall(0.5, **k), [*METRIC, ("num_thresholds", 50, 0)]),
    "RecallAtPrecision": (lambda **k: metrics.RecallAtPrecision(0.5, **k), [*METRIC, ("num_thresholds", 50, 0)]),
    "SensitivityAtSpecificity": (
        lambda **k: metrics.SensitivityAtSpecificity(0.5, **k),
        [*METRIC, ("num_thresholds", 50, 0)],
    ),
    "SpecificityAtSensitivity": (
        lambda **k: metrics.SpecificityAtSensitivity(0.5, **k),
        [*METRIC, ("num_thresholds", 50, 0)],
    ),
    "SparseTopKCategoricalAccuracy": (
        metrics.SparseTopKCategoricalAccuracy,
        [*METRIC, ("from_sorted_ids", False, True)],
    ),
    "CosineSimilarity metric": (metrics.CosineSimilarity, [*METRIC, ("axis", -1, 0)]),
    "CategoricalAccuracy": (metrics.CategoricalAccuracy, METRIC),
    "SparseCategoricalAccuracy": (metrics.SparseCategoricalAccuracy, METRIC),
    "MeanSquaredError metric": (metrics.MeanSquaredError, METRIC),
    "MeanAbsoluteError": (metrics.MeanAbsoluteError, METRIC),
    "SGD": (optimizers.SGD, OPTIMIZER),
    "Adam": (optimizers.Adam, OPTIMIZER),
    "AdamW": (optimizers.AdamW, OPTIMIZER),
    "RMSprop": (optimizers.RMSprop, OPTIMIZER),
    "ScheduleFreeAdamW": (optimizers.ScheduleFreeAdamW, OPTIMIZER),
    "ExponentialDecay": (lambda **k: schedules.ExponentialDecay(0.1, 5, 0.9, **k), SCHEDULE),
    "CosineDecay": (lambda **k: schedules.CosineDecay(0.1, 5, **k), SCHEDULE),
    "PiecewiseConstantDecay": (lambda **k: schedules.PiecewiseConstantDecay([1], [0.1, 0.2], **k), SCHEDULE),
}
CASES = [(owner, *case) for owner, (_, cases) in MADE.items() for case in cases]


@pytest.mark.parametrize(("owner", "argument", "idle", "asking"), CASES)
def test_a_constructor_takes_an_idle_argument(owner, argument, idle, asking):
    make = MADE[owner][0]
    assert make(**{argument: idle}) == make()
    assert repr(make(**{argument: idle})) == repr(make())
    assert make(**{argument: idle}).to_config() == make().to_config()
    with pytest.raises((ValueError, TypeError), match=rf"^{owner.split()[0]}: {argument} ") as caught:
        make(**{argument: asking})
    assert "must be" in str(caught.value)


def of_keras():
    """Every class that Keras has too, of a kind whose constructors take arguments that mean nothing here."""
    for place in ("layers", "losses", "metrics", "optimizers", "schedules"):
        for kind in dict.fromkeys(type(case.made) for case in cases.KINDS[place][1].values()):
            if kind.__name__ in KERAS[place].split():
                yield pytest.param(kind, id=f"{place}.{kind.__name__}")


@pytest.mark.parametrize("kind", list(of_keras()))
def test_every_class_of_keras_takes_the_arguments_of_its_kind(kind):
    """No class forgets to; those of single classes are in the table above."""
    by_kind = {"Layer": LAYER, "Loss": LOSS, "Metric": METRIC, "Optimizer": OPTIMIZER, "LearningRateSchedule": SCHEDULE}
    base = next(base.__name__ for base in kind.__mro__ if base.__name__ in by_kind)
    needed = cases.needed(kind)
    for argument, idle, asking in by_kind[base]:
        assert kind(**needed, **{argument: idle}) == kind(**needed)
        with pytest.raises(ValueError, match=rf"^{kind.__name__}: {argument} .*must be"):
            kind(**needed, **{argument: asking})


def test_what_keras_has_not_either_stays_a_type_error():
    for make, _ in MADE.values():
        with pytest.raises(TypeError, match="unexpected keyword argument 'quux'"):
            make(quux=None)


def test_the_message_says_what_to_use_instead():
    with pytest.raises(ValueError, match=r"dtype is not supported and must be None.*compile.matmul_precision='medium'"):
        layers.Dense(1, dtype="float16")


def trained(**keywords):
    model = fr.Sequential([layers.Dense(4, "tanh"), layers.Dense(1)], seed=3)
    model.compile("adam", "mse", ["mae"])
    model.fit(X, Y, epochs=2, verbose=0, **keywords)
    return model


def compiled(**keywords):
    model = fr.Sequential([layers.Dense(4, "tanh"), layers.Dense(1)], seed=3)
    model.compile("adam", "mse", ["mae"], **keywords)
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def summary(**keywords):
    lines = []
    trained().summary(print_fn=lines.append, **keywords)
    return lines


def same_weights(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


CALLS = {
    "compile": (
        compiled,
        [
            ("run_eagerly", False, True),
            ("steps_per_execution", 1, 8),
            ("jit_compile", "auto", "yes"),
            ("jit_compile", True, 2),
            ("auto_scale_loss", True, None),
        ],
    ),
    "summary": (
        summary,
        [
            ("line_length", None, 120),
            ("positions", None, [0.3, 1.0]),
            ("expand_nested", False, 1),
            ("layer_range", None, ["dense", "dense_1"]),
        ],
    ),
}
CALLED = [(call, *case) for call, (_, cases) in CALLS.items() for case in cases]


@pytest.mark.parametrize(("call", "argument", "idle", "asking"), CALLED)
def test_a_call_takes_an_idle_argument(call, argument, idle, asking):
    function = CALLS[call][0]
    plain, given = function(), function(**{argument: idle})
    assert same_weights(plain, given) if isinstance(plain, fr.Sequential) else plain == given
    with pytest.raises(ValueError, match=rf"^{call}: {argument} is not supported and must be "):
        function(**{argument: asking})
    with pytest.raises(TypeError, match="unexpected keyword argument 'quux'"):
        function(quux=None)


def test_a_model_takes_trainable():
    assert fr.Sequential([layers.Dense(1)], trainable=True, seed=3).seed == 3
    with pytest.raises(ValueError, match="Sequential: trainable is not supported and must be True, got False"):
        fr.Sequential([layers.Dense(1)], trainable=False)


@pytest.mark.parametrize(("argument", "idle", "asking"), [("overwrite", True, False), ("zipped", None, True)])
def test_save_takes_an_idle_argument(argument, idle, asking, tmp_path):
    model = trained()
    model.save(tmp_path / "a.safetensors")
    model.save(tmp_path / "b.safetensors", **{argument: idle})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with pytest.raises(ValueError, match=rf"^save: {argument} is not supported"):
        model.save(tmp_path / "c.safetensors", **{argument: asking})
    assert not (tmp_path / "c.safetensors").exists()


def test_load_model_is_as_keras_has_it(tmp_path):
    model, path = trained(), tmp_path / "net.safetensors"
    model.save(path)
    whole = fr.models.load_model(path, custom_objects=None, compile=True, safe_mode=True)
    assert whole.loss == model.loss
    whole.fit(X, Y, epochs=3, initial_epoch=2, verbose=0)
    model.fit(X, Y, epochs=3, initial_epoch=2, verbose=0)
    assert same_weights(whole, model)
    bare = fr.models.load_model(path, None, False)
    assert bare.loss is None
    assert bare.optimizer is None
    assert same_weights(bare, fr.load(path))
    assert np.array_equal(bare.predict(X), fr.load(path).predict(X))
    with pytest.raises(ValueError, match=r"fit: the model is not compiled"):
        bare.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="load_model: custom_objects is not supported and must be None or"):
        fr.models.load_model(path, custom_objects={"Mine": object})
    with pytest.raises(TypeError, match="load_model: compile must be True or False"):
        fr.models.load_model(path, compile="yes")


def test_a_program_of_keras_names_them_all(capsys):
    """All idle arguments at once, as a program written for Keras may have them."""
    model = fr.Sequential(
        [
            layers.InputLayer(shape=(3,), sparse=False),
            layers.Dense(4, "relu", dtype="float32", kernel_constraint=None, trainable=True, name="first"),
            layers.BatchNormalization(gamma_initializer="ones", synchronized=False),
            layers.Dense(1),
        ],
        trainable=True,
        seed=0,
    )
    rate = schedules.ExponentialDecay(1e-3, 100, 0.9, name="decay")
    model.compile(optimizers.Adam(rate, weight_decay=None, use_ema=False, name="adam"), "mse", run_eagerly=False)
    model.fit(X, Y, validation_data=(X, Y), validation_batch_size=None, validation_steps=None, verbose=0)
    model.evaluate(X, Y, verbose=0, steps=None, callbacks=None)
    model.summary(line_length=None, expand_nested=False)
    assert "first" in capsys.readouterr().out
