"""The functional form as users write it: names and forms of inputs and outputs, compile by output, data, messages.

Facts of Keras are of Keras 3: the order of layers and weights, the keys of the history, ``a_loss`` without its weight.
"""

from __future__ import annotations

import copy
import pickle

import fastreg as fr
import numpy as np
import pytest
from fastreg import callbacks, layers
from programs import refusal, same_bits
from searches import two_classes
from two_ways import LABELS, RNG, VALUES, A, B, built, compiled, single

# ------------------------------------------------------------------------------------------------- describing a model


def test_names_and_forms():
    model = built()
    assert (model.input_names, model.output_names) == (["a", "b"], ["values", "classes"])
    assert repr(model) == "<Model 'functional': 5 layers, built>"
    assert built("dict", "dict").output_names == ["v", "c"]
    assert built(name="mine").name == "mine"
    inputs = [fr.Input((2,)), fr.Input((2,), name="input_layer"), fr.Input((2,))]
    model = fr.Model(inputs, layers.Add()(inputs))
    assert model.input_names == ["input_layer_1", "input_layer", "input_layer_2"]
    assert model.output_names == ["add"]
    assert fr.Sequential([layers.Dense(1)]).output_names == ["dense"]
    assert isinstance(fr.Sequential(), fr.Model)
    assert fr.models.Model is fr.Model


def test_an_input_is_what_it_was_for_a_sequential():
    start = fr.Input(shape=(4,), name="x")
    assert (start.shape, start == fr.Input((4,), name="x")) == ((4,), True)
    value = layers.Dense(3)(start)
    assert value.shape == (None, 3)
    assert "3 features" in repr(value)
    model = fr.Sequential([start, layers.Dense(3)])
    assert model.count_params() == 15


def test_the_order_of_layers_is_keras_s():
    """The layers farthest from the outputs come first, and of these the one that the first output reaches first."""
    a, b = fr.Input((4,)), fr.Input((3,))
    late = layers.Dense(4, name="late")(b)
    early = layers.Dense(4, name="early")(a)
    deep = layers.Dense(4, name="deep")(layers.Dense(4, name="deeper")(a))
    total = layers.Add(name="sum")([early, deep, late])
    other = layers.Dense(1, name="other")(late)
    model = fr.Model([a, b], [layers.Dense(1, name="end")(total), other])
    assert [layer.name for layer in model.layers] == ["deeper", "early", "deep", "late", "sum", "end", "other"]


MISTAKES = {
    "an input that is missing": (lambda a, b, y: fr.Model(a, y), ValueError, ["inputs", "'b'"]),
    "an input that nobody reads": (
        lambda a, b, y: fr.Model([a, b], layers.Dense(1)(a)), ValueError, ["inputs", "read", "'b'"]),
    "an input as an output": (lambda a, b, y: fr.Model([a, b], [y, a]), TypeError, ["outputs", "Input"]),
    "a value as an input": (lambda a, b, y: fr.Model([a, layers.Dense(3)(b)], y), TypeError, ["inputs", "an Input"]),
    "an array": (lambda a, b, y: fr.Model(A, y), TypeError, ["inputs", "ndarray"]),
    "a class": (lambda a, b, y: fr.Model([a, b], layers.Dense), TypeError, ["outputs", "parentheses"]),
    "the same input twice": (lambda a, b, y: fr.Model([a, a, b], y), ValueError, ["inputs", "different"]),
    "the same output twice": (lambda a, b, y: fr.Model([a, b], [y, y]), ValueError, ["outputs", "different"]),
    "no inputs": (lambda a, b, y: fr.Model([], y), ValueError, ["inputs", "one at least"]),
    "no outputs": (lambda a, b, y: fr.Model([a, b], []), ValueError, ["outputs", "one at least"]),
    "a name twice": (
        lambda a, b, y: fr.Model([a, fr.Input((3,), name="a")], layers.Concatenate()([a, b])), ValueError, ["inputs"]),
    "another key": (lambda a, b, y: fr.Model({"a": a, "c": b}, y), ValueError, ["inputs", "'c'", "'b'"]),
    "a key that is no name": (lambda a, b, y: fr.Model({"a": a, 3: b}, y), TypeError, ["a name in inputs", "3"]),
    "an argument of Keras": (lambda a, b, y: fr.Model([a, b], y, trainable=False), ValueError, ["Model: trainable"]),
    "an unknown argument": (lambda a, b, y: fr.Model([a, b], y, quux=1), TypeError, ["quux"]),
    "a seed": (lambda a, b, y: fr.Model([a, b], y, seed=-1), ValueError, ["Model: seed"]),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_model_that_is_none(case):
    make, error, patterns = MISTAKES[case]
    a, b = fr.Input((4,), name="a"), fr.Input((3,), name="b")
    with refusal(error, patterns):
        make(a, b, layers.Dense(1)(layers.Concatenate()([a, b])))


def test_a_layer_that_is_called_twice_has_one_set_of_weights():
    a, layer = fr.Input((4,)), layers.Dense(4, "tanh")
    model = fr.Model(a, layer(layer(a)), seed=0)
    assert [w.shape for w in model.get_weights()] == [(4, 4), (4,)]
    one, other = fr.Model(a, layer(a), seed=0), fr.Model(a, layer(a), seed=0)
    one.set_weights([w + 1 for w in one.get_weights()])
    assert not same_bits(one.get_weights(), other.get_weights())


CALLS = {
    "an array": (lambda v: layers.Dense(2)(A), TypeError, ["Dense", "must be called on a value", "predict"]),
    "a list": (lambda v: layers.Dense(2)([v, v]), TypeError, ["Dense", "one value", "Concatenate"]),
    "one value": (lambda v: layers.Add()(v), TypeError, ["Add", "a list of values"]),
    "a list of one": (lambda v: layers.Multiply()([v]), ValueError, ["Multiply", "two at least", "got 1"]),
    "other widths": (lambda v: layers.Add()([v, layers.Dense(3)(v)]), ValueError, ["Add", "4", "3"]),
    "another width": (lambda v: layers.Dense(2, input_shape=(3,))(v), ValueError, ["Dense", "input_shape", "4"]),
    "a block of another width": (
        lambda v: layers.Residual([layers.Dense(3)])(v), ValueError, ["Residual", "gets 4", "gives 3"]),
    "an empty block": (lambda v: layers.Residual([]), ValueError, ["Residual", "one layer"]),
    "a join in a block": (lambda v: layers.Residual([layers.Add()]), ValueError, ["Residual", "one input"]),
    "a class in a block": (lambda v: layers.Residual([layers.Dense]), TypeError, ["Residual", "parentheses"]),
    "no list": (lambda v: layers.Residual(layers.Dense(4)), TypeError, ["Residual", "list"]),
    "an axis": (lambda v: layers.Concatenate(axis=0), ValueError, ["Concatenate: axis"]),
    "a shape": (lambda v: layers.Add(input_shape=(3,)), ValueError, ["Add: input_shape"]),
    "a join in a chain": (lambda v: fr.Sequential([layers.Add()]), ValueError, ["Sequential", "one input", "Residual"]),
    "a block that does not fit in a chain": (
        lambda v: fr.Sequential([fr.Input((3,)), layers.Residual([layers.Dense(2)])]), ValueError, ["Residual"]),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_that_is_none(case):
    call, error, patterns = CALLS[case]
    with refusal(error, patterns):
        call(fr.Input((4,)))


def test_summary(capsys):
    compiled().summary()
    text = capsys.readouterr().out
    assert [line.split() for line in text.splitlines()[4:11]] == [
        ["a", "(Input)", "(None,", "4)", "0", "-"],
        ["b", "(Input)", "(None,", "3)", "0", "-"],
        ["dense", "(Dense)", "(None,", "5)", "25", "a"],
        ["concatenate", "(Concatenate)", "(None,", "8)", "0", "dense,", "b"],
        ["dense_1", "(Dense)", "(None,", "6)", "54", "concatenate"],
        ["values", "(Dense)", "(None,", "2)", "14", "dense_1"],
        ["classes", "(Dense)", "(None,", "3)", "21", "dense_1"],
    ]
    assert "Connected to" in text
    assert "Total params: 114 " in text
    fr.Sequential([layers.Residual([layers.Dense(4)])]).summary()
    assert "residual (Residual)" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------------------- data


def test_forms_of_data_that_mean_the_same():
    found = []
    for inputs, outputs in (("list", "list"), ("dict", "dict")):
        model = compiled(inputs, outputs)
        first, second = model.output_names
        for x, y, r in (
            ([A, B], [VALUES, LABELS], [np.ones(60), None]),
            ((A, B), (VALUES, LABELS), (np.ones(60), None)),
            ({"b": B, "a": A}, {second: LABELS, first: VALUES}, {first: np.ones(60)}),
            ([A.tolist(), B.astype(float)], [VALUES.astype(float), LABELS.reshape(-1, 1)], None),
        ):
            again = copy.deepcopy(model)
            history = again.fit(x, y, sample_weight=r, validation_data=(x, y, r), epochs=2, verbose=0)
            outcome = again.predict(x)
            if outputs == "dict":
                assert list(outcome) == ["v", "c"]
            arrays = list(outcome.values()) if outputs == "dict" else outcome
            scores = np.array(list(again.evaluate(x, y, sample_weight=r, return_dict=True, verbose=0).values()))
            found.append([*again.get_weights(), *arrays, *map(np.array, history.history.values()), scores])
    assert all(same_bits(found[0], other) for other in found[1:])


def test_one_weight_for_every_output():
    r = RNG.uniform(0.5, 2.0, 60)
    models = compiled(), compiled()
    for model, given in zip(models, (r, [r, r]), strict=True):
        model.fit([A, B], [VALUES, LABELS], sample_weight=given, verbose=0)
    assert same_bits(models[0].get_weights(), models[1].get_weights())


def test_lists_of_one_are_one():
    model, other = single(), single()
    for one in (model, other):
        one.compile("sgd", "mse")
    model.fit([A], [VALUES], verbose=0)
    other.fit(A, VALUES, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())
    assert same_bits([model.predict([A])], [other.predict(A)])
    assert model.predict([A]).shape == (60, 2)


X, Y = [A, B], [VALUES, LABELS]
BAD_DATA = {
    "one array": (lambda m: m.fit(A, Y), TypeError, ["x", "2 arrays", "'a', 'b'"]),
    "three arrays": (lambda m: m.fit([A, B, B], Y), ValueError, ["x", "2 arrays", "got 3"]),
    "a key that is missing": (lambda m: m.fit({"a": A}, Y), ValueError, ["x", "'a', 'b'", "got 'a'"]),
    "a key too many": (lambda m: m.fit({"a": A, "b": B, "c": B}, Y), ValueError, ["x", "'a', 'b'", "'c'"]),
    "other rows": (lambda m: m.fit([A, B[:50]], Y), ValueError, [r"x\['b'\]", "60", "50"]),
    "other widths": (lambda m: m.fit([B, A], Y), ValueError, [r"x\['a'\]", "4", "3"]),
    "not finite": (lambda m: m.fit([A, B * np.nan], Y), ValueError, [r"x\['b'\]", "finite", "NaN"]),
    "one target": (lambda m: m.fit(X, VALUES), TypeError, ["y", "'values', 'classes'"]),
    "rows of targets": (lambda m: m.fit(X, [VALUES, LABELS[:9]]), ValueError, [r"y\['classes'\]", "60", "9"]),
    "a bad target": (lambda m: m.fit(X, [VALUES, LABELS + 1]), ValueError, [r"y\['classes'\]", r"\[0, 3\)"]),
    "targets by another name": (lambda m: m.fit(X, {"values": VALUES, "x": LABELS}), ValueError, ["y", "'classes'"]),
    "weights of rows": (
        lambda m: m.fit(X, Y, sample_weight=[None, np.ones(9)]), ValueError, [r"sample_weight\['classes'\]", "60"]),
    "weights by another name": (
        lambda m: m.fit(X, Y, sample_weight={"x": np.ones(60)}), ValueError, ["sample_weight", "'x'"]),
    "negative weights": (lambda m: m.fit(X, Y, sample_weight=-np.ones(60)), ValueError, ["sample_weight", ">= 0"]),
    "weights of classes": (lambda m: m.fit(X, Y, class_weight={0: 2.0}), ValueError, ["class_weight", "several"]),
    "validation": (lambda m: m.fit(X, Y, validation_data=(A, Y)), TypeError, ["validation_data x", "2 arrays"]),
    "validation targets": (
        lambda m: m.fit(X, Y, validation_data=(X, [VALUES, VALUES])), ValueError, [r"validation_data y\['classes'\]"]),
    "evaluate": (lambda m: m.evaluate(A, Y), TypeError, ["x", "2 arrays"]),
    "predict": (lambda m: m.predict([A]), ValueError, ["x", "2 arrays", "got 1"]),
    "predict of other rows": (lambda m: m.predict([A, B[:1]]), ValueError, [r"x\['b'\]", "60", "1"]),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_data_that_do_not_fit(case):
    call, error, patterns = BAD_DATA[case]
    model = compiled()
    before = model.get_weights()
    with refusal(error, patterns):
        call(model)
    assert same_bits(model.get_weights(), before)


def test_rows_and_validation_split_are_the_same_rows_of_every_array():
    model, other = compiled(), compiled()
    rows = np.arange(0, 60, 2)
    model.fit(X, Y, rows=rows, validation_rows=[1, 3], shuffle=False, verbose=0)
    other.fit([A[rows], B[rows]], [VALUES[rows], LABELS[rows]], validation_data=([A[[1, 3]], B[[1, 3]]],
              [VALUES[[1, 3]], LABELS[[1, 3]]]), shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())
    assert model.history.history == other.history.history


def test_class_weight_with_one_output():
    start = fr.Input((4,))
    model = fr.Model(start, layers.Dense(3, "softmax")(layers.Residual([layers.Dense(4)])(start)), seed=0)
    other = copy.deepcopy(model)
    for one in (model, other):
        one.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(A, LABELS, class_weight={1: 3.0}, verbose=0)
    other.fit(A, LABELS, sample_weight=np.where(LABELS == 1, 3.0, 1.0), verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


def test_names_of_columns():
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame(A, columns=list("pqrs")), pandas.DataFrame(B, columns=list("xyz"))]
    model = compiled()
    model.fit([frames[0], B], Y, verbose=0)
    assert {name: None if found is None else list(found) for name, found in model.feature_names_in_.items()} == {
        "a": list("pqrs"), "b": None}
    model.fit({"a": A, "b": frames[1]}, Y, verbose=0)
    model.predict(frames)
    for call in (lambda x: model.predict(x), lambda x: model.evaluate(x, Y, verbose=0),
                 lambda x: model.fit(x, Y, verbose=0), lambda x: model.fit(X, Y, validation_data=(x, Y), verbose=0)):
        with refusal(ValueError, [r"x\['a'\]", "feature names should match"]):
            call([frames[0][list("qprs")], B])
    assert list(pickle.loads(pickle.dumps(model)).feature_names_in_["b"]) == list("xyz")


def test_spreads_of_an_input_are_looked_at():
    wide = A * np.array([1e5, 1, 1, 1], np.float32)
    with pytest.warns(UserWarning, match=r"x\['a'\]: the spreads"):
        compiled().fit([wide, B], Y, verbose=0)
    start = fr.Input((4,))
    model = fr.Model(start, layers.Dense(2)(layers.Activation("relu")(layers.BatchNormalization()(start))))
    model.compile("sgd", "mse")
    model.fit(wide, VALUES, verbose=0)


# ----------------------------------------------------------------------------------------------- around the training


def test_callbacks_by_the_keys_of_outputs():
    stopping = callbacks.EarlyStopping("val_classes_accuracy", patience=1, restore_best_weights=True)
    model = compiled()
    seen = []

    class Watching(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert self.model is model
            seen.append(sorted(logs))

    history = model.fit(X, Y, validation_split=0.2, epochs=30, callbacks=[stopping, Watching()], verbose=0)
    best = max(history.history["val_classes_accuracy"])
    assert history.history["val_classes_accuracy"][stopping.best_epoch] == best
    assert seen[0] == sorted(history.history)
    with refusal(ValueError, ["monitor", "val_classes_accuracy"]):
        model.fit(X, Y, validation_split=0.2, callbacks=[callbacks.EarlyStopping("val_accuracy")], verbose=0)


def test_divergence_keeps_the_last_finite_weights():
    model = compiled()
    model.compile(fr.optimizers.SGD(1e20), "mse", loss_weights=[1, 1])
    with pytest.raises(fr.DivergenceError):
        model.fit(X, [VALUES, np.eye(3)[LABELS]], epochs=50, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_weights_of_a_layer():
    model = compiled()
    for layer in model.layers:
        layer.set_weights([w + 1 for w in layer.get_weights()])
    assert sum(layer.count_params() for layer in model.layers) == model.count_params() == 114
    assert len(model.layers[1].get_weights()) == 0
    with refusal(TypeError, [r"model\.layers"]):
        model.layers.append(layers.Dense(1))
    for name in ("layers", "loss", "outputs_", "input_names"):
        with refusal(AttributeError, [f"Model: {name} cannot be set"]):
            setattr(model, name, None)
    for name in ("add", "pop"):
        with pytest.raises(AttributeError, match=name):
            getattr(model, name)


def test_the_seed_decides_everything():
    one, other = compiled(), compiled()
    for model in (one, other):
        model.fit(X, Y, epochs=2, validation_split=0.2, verbose=0)
    assert same_bits(one.get_weights(), other.get_weights())
    other = built()
    other.seed = 2
    other.build()
    assert not same_bits(other.get_weights(), built().get_weights())
    with refusal(AttributeError, ["Model: seed cannot be set"]):
        other.seed = 3


def test_a_frozen_network_of_several_inputs_and_outputs():
    model = compiled()
    p = model.freeze()
    assert (p.input_names, p.output_names) == (("a", "b"), ("values", "classes"))
    found = p([A, B])
    out = [np.empty_like(y) for y in found]
    assert all(one is other for one, other in zip(p([A, B], out=out), out, strict=True))
    assert same_bits(found, out)
    p({"b": B, "a": A}, out={"classes": out[1], "values": out[0]})
    assert same_bits(found, out)
    for y, expected in zip(found, model.predict([A, B]), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outputs", ["list", "dict"])
def test_a_file_gives_names_and_forms_back(outputs, tmp_path):
    model = compiled("dict", outputs, loss_weights=[0.5, 2.0])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "net.safetensors")
    other = fr.load(tmp_path / "net.safetensors")
    assert (other.input_names, other.output_names) == (model.input_names, model.output_names)
    assert other.loss == model.loss
    assert other.metrics == model.metrics
    assert type(other.predict(X)) is type(model.predict(X))
    for one in (model, other):
        one.fit(X, Y, epochs=2, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())
    model.save(tmp_path / "plain.safetensors", include_optimizer=False)
    assert fr.load(tmp_path / "plain.safetensors").loss is None


# ---------------------------------------------------------------------------------------------------------- searches


def searched(params):
    start = fr.Input((4,))
    hidden = layers.Residual([layers.Dense(params["units"], "relu"), layers.Dense(4)])(start)
    model = fr.Model(start, layers.Dense(1, "sigmoid")(hidden))
    model.compile(fr.optimizers.Adam(0.05), "binary_crossentropy", ["accuracy"])
    return model


def test_a_search_builds_models(tmp_path):
    x, y = two_classes()
    x = np.hstack([x, x])[:, :4]
    journal = tmp_path / "journal.jsonl"
    options = {"journal": journal, "cv": 2, "seed": 0, "n_jobs": 1, "verbose": 0}
    search = fr.search.GridSearch(searched, {"units": [2, 5]}, **options).fit(x, y, epochs=3)
    assert type(search.best_model_) is fr.Model
    assert search.predict(x).shape == (len(x), 1)
    again = fr.search.GridSearch(searched, {"units": [2, 5]}, resume=True, **options).fit(x, y, epochs=3)
    assert [trial.score for trial in again.trials_] == [trial.score for trial in search.trials_]
    scores = fr.search.cross_validate(searched({"units": 3}), x, y, cv=2, seed=0, epochs=2)
    assert len(scores["test_score"]) == 2


def test_a_journal_tells_graphs_apart(tmp_path):
    x, y = two_classes()
    x = np.hstack([x, x])[:, :4]

    def other(params):
        start = fr.Input((4,))
        hidden = layers.Dense(4)(layers.Dense(params["units"], "relu")(start))
        model = fr.Model(start, layers.Dense(1, "sigmoid")(layers.Multiply()([start, hidden])))
        model.compile(fr.optimizers.Adam(0.05), "binary_crossentropy", ["accuracy"])
        return model

    journal = tmp_path / "journal.jsonl"
    for build, good in ((searched, True), (other, False)):
        search = fr.search.GridSearch(
            build, {"units": [2]}, journal=journal, resume=not good, cv=2, seed=0, n_jobs=1, verbose=0
        )
        if good:
            search.fit(x, y)
        else:
            with refusal(ValueError, ["journal", "another model|model"]):
                search.fit(x, y)


def test_a_search_refuses_several_inputs_and_outputs():
    for build, word in ((lambda params: compiled(), "one input, got 2: a, b"), (two_outputs, "one output, got 2")):
        search = fr.search.GridSearch(build, {"units": [2]}, cv=2, verbose=0)
        with refusal(ValueError, [f"build: .*{word}"]):
            search.fit(A, LABELS)


def two_outputs(params):
    start = fr.Input((4,))
    model = fr.Model(start, [layers.Dense(params["units"])(start), layers.Dense(1)(start)])
    model.compile("sgd", "mse")
    return model
