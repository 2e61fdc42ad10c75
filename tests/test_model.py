"""The public behaviour of Sequential: building, weights, scores, Keras's arguments, copies, and leftovers."""
from __future__ import annotations

import copy
import gc
import pickle
import weakref

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers, optimizers
from programs import blobs, compiled, line, same_bits, tutorial_layers


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_predict_is_the_formula():
    """The tutorial's network by hand, from get_weights alone, dropout gone and moving statistics used."""
    x, y = blobs(50, 10, 2)
    model = compiled(tutorial_layers())
    model.fit(x, y, epochs=3, verbose=0)
    kernel, bias, gamma, beta, mean, variance, kernel2, bias2 = (w.astype(np.float64) for w in model.get_weights())
    h = np.maximum(x @ kernel + bias, 0)
    h = gamma * (h - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(model.predict(x), sigmoid(h @ kernel2 + bias2), rtol=2e-5, atol=1e-6)


def test_evaluate_is_the_formula_with_penalties():
    x, y = blobs(50, 10, 2)
    model = compiled(tutorial_layers(), metrics=["accuracy", "mse", "mae"], n_features=10)
    p = model.predict(x).astype(np.float64)[:, 0]
    kernel = model.get_weights()[0].astype(np.float64)
    penalty = 1e-3 * np.abs(kernel).sum() + 1e-3 * (kernel**2).sum()
    entropy = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert scores == pytest.approx({"loss": entropy + penalty, "accuracy": np.mean((p > 0.5) == y),
                                    "mse": np.mean((p - y) ** 2), "mae": np.mean(np.abs(p - y))}, rel=1e-5)


def test_forms_of_the_score():
    x, y = line(20, 3)
    plain = compiled([layers.Dense(1)], loss="mse", n_features=3)
    rich = compiled([layers.Dense(1)], loss="mse", metrics=["mae"], n_features=3)
    loss = plain.evaluate(x, y, verbose=0)
    assert isinstance(loss, float)
    assert plain.evaluate(x, y, verbose=0, return_dict=True) == {"loss": loss}
    scores = rich.evaluate(x, y, verbose=0)
    assert isinstance(scores, list)
    assert len(scores) == 2
    assert scores[0] == loss
    assert rich.evaluate(x, y, verbose=0, return_dict=True) == {"loss": scores[0], "mae": scores[1]}


@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000, None])
def test_the_batch_size_of_predict_and_evaluate_changes_nothing(batch_size):
    x, y = blobs(100, 10, 2)
    model = compiled(tutorial_layers(), n_features=10, metrics=["accuracy"])
    assert same_bits([model.predict(x)], [model.predict(x, batch_size=batch_size)])
    assert model.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, batch_size=batch_size, verbose=0))


def test_a_row_is_predicted_the_same_alone_and_among_others():
    x, _ = blobs(70, 10, 2)
    model = compiled(tutorial_layers(), n_features=10)
    alone = np.concatenate([model.predict(x[i:i + 1]) for i in range(70)])
    assert same_bits([model.predict(x)], [alone])


def test_prediction_is_fresh_float32_of_one_row_each():
    x, _ = blobs(9, 10, 2)
    model = compiled(tutorial_layers(), n_features=10)
    first = model.predict(x)
    kept = first.copy()
    assert first.dtype == np.float32
    assert first.shape == (9, 1)
    assert first.flags.c_contiguous
    assert first.flags.writeable
    model.predict(-x)
    assert same_bits([first], [kept])


def test_weights_come_in_order_with_their_shapes():
    stack = [layers.Dense(4, use_bias=False), layers.BatchNormalization(), layers.BatchNormalization(center=False),
             layers.BatchNormalization(scale=False), layers.Dense(2)]
    model = compiled(stack, loss="mse", n_features=3)
    assert [w.shape for w in model.get_weights()] == [(3, 4)] + [(4,)] * 4 + [(4,)] * 3 + [(4,)] * 3 + [(4, 2), (2,)]
    gamma, beta, mean, variance = model.get_weights()[1:5]
    assert (gamma == 1).all()
    assert (beta == 0).all()
    assert (mean == 0).all()
    assert (variance == 1).all()
    assert [len(layer.get_weights()) for layer in model.layers] == [1, 4, 3, 3, 2]
    assert same_bits([w for layer in model.layers for w in layer.get_weights()], model.get_weights())


def test_set_weights_round_trips_any_dtype():
    a, b = (compiled(tutorial_layers(), seed=seed, n_features=10) for seed in (1, 2))
    for cast in (lambda w: w, lambda w: w.astype(np.float64), np.asfortranarray, lambda w: w.tolist(),
                 lambda w: w.astype(">f4")):
        b.set_weights([w * 0 + 3 for w in b.get_weights()])
        b.set_weights([cast(w) for w in a.get_weights()])
        assert same_bits(a.get_weights(), b.get_weights())
    x, _ = blobs(9, 10, 2)
    assert same_bits([a.predict(x)], [b.predict(x)])


def test_get_weights_gives_copies():
    model = compiled(tutorial_layers(), n_features=10)
    before = model.get_weights()
    for w in model.get_weights():
        w[...] = 7
    assert same_bits(before, model.get_weights())


def test_a_layer_view_sets_the_weights_of_its_layer():
    model = compiled(tutorial_layers(), n_features=10)
    before = model.get_weights()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 2, bias + 1])
    after = model.get_weights()
    assert same_bits(before[:6], after[:6])
    assert same_bits(after[6:], [kernel * 2, bias + 1])


@pytest.mark.parametrize("how", ["build", "build tuple", "build flat tuple", "Input", "input_shape", "input_dim", "add",
                                 "fit"])
def test_ways_to_say_the_number_of_features(how):
    x, y = blobs(20, 10, 2)
    first = {"input_shape": {"input_shape": (10,)}, "input_dim": {"input_dim": 10}}.get(how, {})
    rest = [layers.Dense(4, activation="relu", **first), layers.Dense(1, activation="sigmoid")]
    if how == "add":
        model = fr.Sequential(seed=0)
        for layer in [fr.Input(shape=(10,)), *rest]:
            model.add(layer)
    else:
        model = fr.Sequential(([layers.Input(shape=(10,))] if how == "Input" else []) + rest, seed=0)
    model.compile(optimizer="adam", loss="binary_crossentropy")
    if how.startswith("build"):
        model.build({"build": 10, "build tuple": (None, 10), "build flat tuple": (10,)}[how])
    reference = compiled(rest, n_features=10)
    if how == "fit":
        model.fit(x, y, verbose=0)
        reference.fit(x, y, verbose=0)
    assert same_bits(reference.get_weights(), model.get_weights())
    assert same_bits([reference.predict(x)], [model.predict(x)])


def test_building_again_with_the_same_width_keeps_the_weights():
    model = compiled(tutorial_layers(), n_features=10)
    model.set_weights([w + 1 for w in model.get_weights()])
    before = model.get_weights()
    model.build(10)
    assert same_bits(before, model.get_weights())
    with pytest.raises(ValueError, match="10"):
        model.build(11)


def test_compiling_again_keeps_weights_and_resets_the_optimizer():
    x, y = blobs(64, 10, 2)
    a, b = compiled(tutorial_layers()), compiled(tutorial_layers())
    for model in (a, b):
        model.fit(x, y, epochs=2, verbose=0)
    weights = a.get_weights()
    a.compile(optimizer="adam", loss="binary_crossentropy")
    assert same_bits(weights, a.get_weights())
    for model in (a, b):
        model.fit(x, y, epochs=1, verbose=0)
    assert not same_bits(a.get_weights(), b.get_weights())


def test_the_same_optimizer_in_words():
    x, y = blobs(64, 10, 2)
    results = []
    for name, instance in (("adam", optimizers.Adam()), ("sgd", optimizers.SGD()), ("rmsprop", optimizers.RMSprop()),
                           ("adamw", optimizers.AdamW()), ("Adam", optimizers.Adam())):
        pair = [compiled(tutorial_layers(), optimizer=o) for o in (name, instance)]
        for model in pair:
            model.fit(x, y, verbose=0)
        assert same_bits(pair[0].get_weights(), pair[1].get_weights()), name
        results.append(pair[0].get_weights())
    assert all(not same_bits(a, b) for i, a in enumerate(results[:4]) for b in results[:i])


def test_positional_order_is_keras():
    """fit(x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, ...)."""
    x, y = blobs(64, 10, 2)
    a, b = compiled(tutorial_layers()), compiled(tutorial_layers())
    first = a.fit(x, y, 16, 3, 0, [], 0.25, None, False)
    second = b.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[], validation_split=0.25, validation_data=None,
                   shuffle=False)
    assert first.history == second.history
    assert same_bits(a.get_weights(), b.get_weights())
    assert a.evaluate(x, y, 16, 0) == b.evaluate(x, y, batch_size=16, verbose=0)


def test_defaults_are_those_of_the_design():
    x, y = blobs(70, 10, 2)
    a, b = compiled(tutorial_layers()), compiled(tutorial_layers())
    a.fit(x, y, verbose=0)
    b.fit(x, y, batch_size=32, epochs=1, verbose=0, callbacks=None, validation_split=0.0, validation_data=None,
          shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0)
    assert same_bits(a.get_weights(), b.get_weights())


def test_summary_names_layers_shapes_and_counts(capsys):
    model = compiled(tutorial_layers(), n_features=10)
    model.summary()
    text = capsys.readouterr().out
    for word in ("Dense", "BatchNormalization", "Dropout", "704", "256", "65", "1,025", "897", "128"):
        assert word in text, f"{word} is missing in\n{text}"


def test_summary_of_an_unbuilt_model_does_not_fail(capsys):
    compiled(tutorial_layers()).summary()
    assert "Dense" in capsys.readouterr().out


def test_representations_help():
    assert "Dense" in repr(fr.Sequential(tutorial_layers(), seed=0)) or "Sequential" in repr(
        fr.Sequential(tutorial_layers(), seed=0))
    assert "history" in repr(compiled(tutorial_layers()).fit(*blobs(20, 10, 2), verbose=0)).lower()


def test_models_are_given_back_at_once():
    """The collector counts objects, not bytes: a model in a cycle would keep its weights for long."""
    x, y = blobs(20, 10, 2)
    model = compiled(tutorial_layers())
    model.fit(x, y, verbose=0)
    seen = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert seen() is None
    finally:
        gc.enable()


def test_a_failed_compile_leaves_the_model_as_it_was():
    x, y = blobs(64, 10, 2)
    a, b = compiled(tutorial_layers()), compiled(tutorial_layers())
    for model in (a, b):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="magic"):
        a.compile(optimizer="magic", loss="mse")
    for model in (a, b):
        model.fit(x, y, verbose=0)
    assert same_bits(a.get_weights(), b.get_weights())


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copied_model_is_one_of_its_own(duplicate):
    """It goes on as the original would, and training one does not train the other."""
    x, y = blobs(64, 10, 2)
    model = compiled(tutorial_layers(), metrics=["accuracy"])
    model.fit(x, y, verbose=0)
    twin = duplicate(model)
    assert same_bits(model.get_weights(), twin.get_weights())
    before = twin.get_weights()
    model.fit(x, y, verbose=0)
    assert same_bits(before, twin.get_weights())
    twin.fit(x, y, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_keras_import_lines_are_served():
    from fastreg import Input, Sequential  # noqa: F401
    from fastreg.callbacks import EarlyStopping  # noqa: F401
    from fastreg.layers import Activation, BatchNormalization, Dense, Dropout, Input  # noqa: F401, F811
    from fastreg.optimizers import SGD, Adam, AdamW, RMSprop  # noqa: F401
    from fastreg.optimizers.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay  # noqa: F401
    from fastreg.regularizers import L1, L1L2, L2, l1, l1_l2, l2

    assert l1(0.1) == L1(0.1)
    assert l2(0.1) == L2(0.1)
    assert l1_l2(0.1, 0.2) == L1L2(0.1, 0.2)


def test_the_optimizer_of_a_model_is_a_live_view():
    schedule = fr.schedules.ExponentialDecay(0.5, 1, 0.5)
    model = compiled([layers.Dense(1)], loss="mse", optimizer=optimizers.SGD(schedule), n_features=2)
    view = model.optimizer
    assert isinstance(view, optimizers.SGD)
    assert view == optimizers.SGD(schedule)
    model.fit(*line(32, 2), batch_size=16, verbose=0)
    assert view.learning_rate == 0.125  # after two steps
    view.learning_rate = 0.25
    assert model.learning_rate == view.learning_rate == 0.25
    with pytest.raises(AttributeError, match="momentum"):
        view.momentum = 0.5
    copied = pickle.loads(pickle.dumps(view))
    assert type(copied) is optimizers.SGD
    assert copied == optimizers.SGD(0.25)
    model.compile("adam", "mse")
    assert isinstance(view, optimizers.Adam)


def test_bound_layers_compare_by_place_and_tell_when_they_are_gone():
    model = compiled([layers.Dense(2), layers.Dense(1)], loss="mse", n_features=3)
    last = model.layers[1]
    assert last == model.layers[1] != model.layers[0]
    assert model.layers.index(last) == 1
    model.pop()
    with pytest.raises(ValueError, match="removed"):
        last.get_weights()


@pytest.mark.parametrize("given", [{1: "dense"}, {0: "dense_1", 2: "dense"}, {2: "dense_2", 3: "dense_1"}], ids=str)
def test_a_name_of_a_class_is_left_to_the_layer_that_was_given_it(given):
    model = fr.Sequential([layers.Dense(1, name=given.get(i)) for i in range(4)])
    model.build(2)
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == 4
    assert {i: names[i] for i in given} == given
    assert [weight.path.split("/")[0] for weight in model.weights] == [name for name in names for _ in range(2)]
    assert all(model.get_layer(name) == model.layers[i] for i, name in enumerate(names))
