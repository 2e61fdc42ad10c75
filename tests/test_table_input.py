"""TableInput: the same as Dense on the features that its columns stand for, in training, inference and frozen."""

from __future__ import annotations

import copy
import json
import pickle

import fastreg as fr
import numpy as np
import pytest
import reference as ref
import table_reference as tables
from cases import OPTIMIZER_CASES
from conftest import assert_close
from fastreg import _core, constraints, layers, optimizers, regularizers
from fastreg.search import GridSearch
from pairs import float32, random_weights
from programs import compiled, refusal, same_bits

# Bins within one block of the kernel, at its limits of 128 bins, and in several blocks.
EDGES = {"no bins": (), "one bin": (-1.0, 1.0)} | {
    f"{n} bins": tuple(np.sort(np.random.default_rng(n).normal(size=n + 1)).tolist()) for n in (2, 127, 128, 129, 300)
}
# Widths of a single column, of a part of a vector, of one panel and of several.
UNITS = (1, 5, 16, 17, 64, 65, 130)


def described(columns):
    """fastreg's columns of the oracle's."""
    kinds = {
        "plain": layers.PlainColumn,
        "numeric": layers.NumericColumn,
        "categorical": layers.CategoricalColumn,
    }
    return [kinds[kind](*settings) for kind, *settings in columns]


MIXED = (
    ("numeric", 0.25, 1.5, EDGES["129 bins"], True),
    ("categorical", (0, 2, 3, 7)),
    ("plain", 2),
    ("numeric", -1.0, 0.5, EDGES["2 bins"], False),
    ("categorical", ()),
    ("numeric", 0.0, 0.0, (), True),
    ("numeric", 0.5, 2.0, (), False),
    ("categorical", tuple(range(40))),
    ("categorical", (1, 2, 3, 90_000, 2**24 - 1)),  # too far apart for a table of all codes
)


def codes(columns, n, rng):
    """Rows in which everything happens: missing numbers, values on edges and beyond all, unknown levels, fractions."""
    found = []
    for kind, *settings in columns:
        if kind == "plain":
            found += [rng.normal(size=n) for _ in range(settings[0])]
        elif kind == "numeric":
            x = 1.5 * rng.normal(size=n)
            x[rng.random(n) < 0.1] = np.nan
            if settings[2]:
                on_edge = rng.random(n) < 0.1
                x[on_edge] = rng.choice(settings[2], int(on_edge.sum()))
            x[rng.random(n) < 0.05] = rng.choice([1e30, -1e30])
            found.append(x)
        else:
            x = rng.integers(-1, 12, n).astype(np.float64)
            x = np.where(rng.random(n) < 0.2, rng.choice(settings[0] or [0], n), x)
            x[rng.random(n) < 0.1] = rng.choice([np.nan, 2.5, 1e20])
            found.append(x)
    return np.stack(found, axis=1).astype(np.float32)


def check(columns, units, n, rng, use_bias=True):
    """Outputs and one gradient step against the definition in float64, by the tolerance of a product."""
    x, t = codes(columns, n, rng), rng.normal(size=(n, units)).astype(np.float32)
    phi = tables.features(columns, x.astype(np.float64))
    model = fr.Sequential([layers.TableInput(units, described(columns), use_bias=use_bias)], seed=0)
    model.compile(optimizers.SGD(1.0), "mse")
    model.build(x.shape[1])
    w, *b = model.get_weights()
    b = rng.normal(size=units).astype(np.float32) if use_bias else np.zeros(units, np.float32)
    model.set_weights([w, b] if use_bias else [w])
    expected = phi @ w.astype(np.float64) + b
    magnitude = np.abs(phi) @ np.abs(w) + np.abs(b)
    y = model.predict(x)
    assert_close(y, expected, terms=phi.shape[1], magnitude=magnitude, what="y")
    frozen = model.freeze()
    assert_close(frozen(x), expected, terms=phi.shape[1], magnitude=magnitude, what="frozen y")
    for i in (0, n // 2, n - 1):
        assert same_bits([frozen(x[i : i + 1]), model.predict(x[i : i + 1])], [frozen(x)[i : i + 1], y[i : i + 1]])
    model.fit(x, t, batch_size=n, epochs=1, verbose=0)
    dy = 2.0 * (expected - t) / t.size
    # The gradient starts from the rounded output, and the step rounds once more.
    error = np.abs(dy) + 2.0 * magnitude / t.size
    trained, *trained_b = model.get_weights()
    size = np.abs(w) + np.abs(phi).T @ error
    assert_close(trained, w - phi.T @ dy, terms=n + phi.shape[1], magnitude=size, what="dw")
    if use_bias:
        assert_close(trained_b[0], b - dy.sum(axis=0), terms=n + 8, magnitude=np.abs(b) + error.sum(axis=0), what="db")


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("n", [1, 7, 70, 300])
def test_the_product_and_its_gradient_are_those_of_the_features(units, n, rng):
    check(MIXED, units, n, rng)


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("units", [1, 20])
def test_every_number_of_bins(edges, units, rng):
    check((("numeric", 0.1, 1.0, EDGES[edges], True), ("numeric", 0.1, 0.0, EDGES[edges], False)), units, 150, rng)


@pytest.mark.parametrize("columns", [(("plain", 3),), (("categorical", (1, 5)),), (("numeric", 0.0, 1.0, (), False),)])
def test_single_kinds_of_columns(columns, rng):
    check(columns, 19, 50, rng, use_bias=False)


def test_many_columns_are_located_in_groups(rng):
    """More places than a call of the kernel has room for."""
    check(MIXED * 9, 33, 100, rng)


def both_forms(settings, optimizer, rng, epochs=3, loss="mse"):
    """What networks on codes and on features have after some epochs: losses, weights, outputs, those when frozen."""
    x, t = codes(MIXED, 97, rng), rng.normal(size=(97, 2)).astype(np.float32)
    phi = tables.features(MIXED, x.astype(np.float64)).astype(np.float32)
    weights, pair = rng.random(97) + 0.5, []
    for first, features in ((layers.TableInput(37, described(MIXED), **settings), x),
                            (layers.Dense(37, **settings), phi)):
        model = fr.Sequential([first, layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(2)], seed=3)
        model.compile(optimizer, loss)
        model.build(features.shape[1])
        start = model.get_weights()
        history = model.fit(features, t, batch_size=16, epochs=epochs, validation_data=(features, t), verbose=0,
                            sample_weight=weights).history
        trained = model.get_weights()
        pair.append((start, [history["loss"], history["val_loss"], *trained, model.predict(features),
                             model.freeze()(features)]))
    assert same_bits(pair[0][0], pair[1][0])
    assert not same_bits(pair[0][0], pair[0][1][2:-2])
    return zip(pair[0][1], pair[1][1], strict=True)


SETTINGS = {
    **{f"{name}": {"activation": name} for name in ("relu", "gelu", "softmax")},
    "penalties": {"kernel_regularizer": regularizers.L1L2(1e-3, 1e-3), "activity_regularizer": "l2",
                  "bias_regularizer": "l2"},
    "proximal": {"kernel_regularizer": regularizers.L1(1e-3, True)},
    "orthogonal": {"kernel_regularizer": regularizers.OrthogonalRegularizer(0.01, "columns")},
    "constraints": {"kernel_constraint": constraints.MaxNorm(0.5), "bias_constraint": "non_neg"},
    "multipliers": {"learning_rate_multiplier": 0.3, "weight_decay_multiplier": {"kernel": 0.5}},
    "no bias": {"use_bias": False},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_trains_as_dense_on_the_features(name, rng):
    """The same initial weights for a seed, and the same weights, losses and outputs after some epochs, to rounding."""
    for found, expected in both_forms(SETTINGS[name], optimizers.SGD(0.005, momentum=0.9, weight_decay=0.01), rng):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", OPTIMIZER_CASES)
def test_every_optimizer_trains_it_as_dense(name, rng):
    """By losses and outputs: rules that divide by small gradients enlarge the rounding of single weights."""
    losses, val_losses, *_, outputs, frozen = both_forms({"activation": "tanh"}, OPTIMIZER_CASES[name].made, rng, 2)
    for found, expected in (losses, val_losses, outputs, frozen):
        np.testing.assert_allclose(found, expected, rtol=5e-4, atol=5e-4)


@pytest.mark.parametrize("units", [1, 3, 64, 130])
def test_training_has_the_same_bits_for_any_number_of_threads(units, rng):
    x, t = codes(MIXED, 97, rng), rng.normal(size=(97, 1)).astype(np.float32)
    before, results = fr.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            model = compiled([layers.TableInput(units, described(MIXED), "tanh"), layers.Dense(1)], loss="mse", seed=1,
                             optimizer=optimizers.Adam(0.01), n_features=x.shape[1], parallel=True)
            model.fit(x, t, epochs=3, batch_size=32, verbose=0)
            results.append([*model.get_weights(), model.predict(x)])
    finally:
        fr.set_num_threads(before)
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])


def test_it_trains_as_the_oracle(rng):
    penalty = regularizers.L1L2(0.002, 0.003)
    model = fr.Sequential([layers.TableInput(7, described(MIXED), "tanh", kernel_regularizer=penalty), layers.Dense(2)])
    model.compile(optimizers.SGD(0.1), "mse")
    x, t = codes(MIXED, 37, rng), rng.normal(size=(37, 2)).astype(np.float32)
    model.build(x.shape[1])
    oracle = tables.TableInput(7, MIXED, "tanh", True, ref.Penalty(float32(0.002), float32(0.003)))
    weights = random_weights([w.shape for w in model.get_weights()], [w.name for w in model.weights], rng)
    model.set_weights(weights)
    net = ref.Network([oracle, ref.Dense(2)], weights, optimizer=ref.SGD(float32(0.1)))
    history = model.fit(x, t, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(history, net.fit(x.astype(np.float64), t.astype(np.float64), 3, 16), rtol=2e-5)
    for w, expected in zip(model.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_allclose(w, expected, rtol=2e-5, atol=2e-5)


def test_trainable_false_keeps_the_weights(rng):
    x, t = codes(MIXED, 40, rng), rng.normal(size=(40, 1)).astype(np.float32)
    model = fr.Sequential([layers.TableInput(5, described(MIXED), trainable=False), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.build(x.shape[1])
    before = model.get_weights()
    model.fit(x, t, epochs=2, verbose=0)
    after = model.get_weights()
    assert same_bits(before[:2], after[:2])
    assert not same_bits(before[2:], after[2:])


# ------------------------------------------------------------------------------------------ graphs, files, predictors


def graph_model(units=20, activation="relu"):
    """Two layers on one input, one on another, and outputs that are its value itself."""
    table, more = fr.Input((10,), name="table"), fr.Input((1,), name="more")
    shared = layers.TableInput(units, described(MIXED), activation)(table)
    other = layers.TableInput(units, described((("categorical", (0, 1)),)))(more)
    joined = layers.Add()([shared, other, layers.TableInput(units, described(MIXED))(table)])
    return fr.Model([table, more], [layers.Dense(1)(joined), shared, other], seed=4)


def test_predictions_follow_every_change_of_the_weights(rng):
    """Sums over the kernel are kept between calls."""
    x, t = codes(MIXED, 200, rng), rng.normal(size=(200, 20)).astype(np.float32)
    model = compiled([layers.TableInput(20, described(MIXED))], optimizer=optimizers.SGD(0.1), loss="mse")
    model.predict(x)
    for change in (
        lambda: model.fit(x, t, batch_size=50, epochs=1, verbose=0),
        lambda: model.set_weights([2.0 * w for w in model.get_weights()]),
        lambda: model.train_on_batch(x, t),
    ):
        before = model.predict(x)
        change()
        fresh = fr.Sequential([layers.TableInput(20, described(MIXED))])
        fresh.build(x.shape[1])
        fresh.set_weights(model.get_weights())
        few = [model.predict(x[:50]) for _ in range(4)]  # the sums are made in one of these calls
        assert same_bits(few, [fresh.predict(x)[:50]] * 4)
        assert same_bits([model.predict(x)], [fresh.predict(x)])
        assert not same_bits([model.predict(x)], [before])
        loss = float(np.mean((model.predict(x).astype(np.float64) - t) ** 2))
        assert model.evaluate(x, t, verbose=0) == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("units", [1, 20])
def test_graphs_freeze_pickle_and_load(units, rng, tmp_path):
    x, z = codes(MIXED, 30, rng), rng.integers(0, 3, (30, 1)).astype(np.float32)
    model = graph_model(units)
    expected = model.predict([x, z])
    frozen = model.freeze()
    for found, right in zip(frozen([x, z]), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)
    assert same_bits(pickle.loads(pickle.dumps(frozen))([x, z]), frozen([x, z]))
    model.save(tmp_path / "model.fastreg")
    again = fr.load(tmp_path / "model.fastreg")
    assert same_bits(again.predict([x, z]), expected)
    assert [layer.description for layer in again.layers] == [layer.description for layer in model.layers]


def test_training_goes_on_from_a_file_bit_for_bit(rng, tmp_path):
    x, t = codes(MIXED, 49, rng), rng.integers(0, 2, 49)

    def made():
        model = fr.Sequential([layers.TableInput(6, described(MIXED), "gelu"), layers.Dense(1, "sigmoid")], seed=8)
        model.compile(optimizers.Adam(0.01), "binary_crossentropy")
        return model

    whole, half = made(), made()
    whole.fit(x, t, epochs=4, batch_size=16, verbose=0)
    half.fit(x, t, epochs=2, batch_size=16, verbose=0)
    half.save(tmp_path / "model.fastreg")
    resumed = fr.load(tmp_path / "model.fastreg")
    resumed.fit(x, t, epochs=2, batch_size=16, verbose=0)
    assert same_bits(whole.get_weights(), resumed.get_weights())


def test_one_layer_on_two_inputs_adds_its_gradients(rng):
    """As Dense on the features of both does."""
    columns = (("numeric", 0.1, 1.0, EDGES["2 bins"], True), ("categorical", (0, 1, 2)))
    rows = [codes(columns, 40, rng) for _ in range(2)]
    phi = [tables.features(columns, x.astype(np.float64)).astype(np.float32) for x in rows]
    found = []
    for layer, data in ((layers.TableInput(5, described(columns)), rows), (layers.Dense(5), phi)):
        inputs = [fr.Input((data[0].shape[1],)) for _ in range(2)]
        model = fr.Model(inputs, layers.Dense(1)(layers.Multiply()([layer(value) for value in inputs])), seed=2)
        model.compile(optimizers.SGD(0.5), "mse")
        model.fit(data, np.ones(40), epochs=2, batch_size=40, verbose=0)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_model_in_a_model_reads_the_table(rng):
    x, t = codes(MIXED, 30, rng), rng.normal(size=30)
    inner = fr.Sequential([fr.Input((10,)), layers.TableInput(4, described(MIXED), "tanh")], name="inner")
    table = fr.Input((10,))
    model = fr.Model(table, layers.Dense(1)(inner(table)), seed=0)
    model.compile("adam", "mse")
    model.fit(x, t, verbose=0)
    np.testing.assert_allclose(model.freeze()(x), model.predict(x), rtol=1e-5, atol=1e-6)
    assert inner.predict(x).shape == (30, 4)


def test_copies_and_summaries(rng):
    x, t = codes(MIXED, 30, rng), rng.normal(size=30)
    model = fr.Sequential([layers.TableInput(4, described(MIXED), "tanh", name="table"), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.fit(x, t, verbose=0)
    clone = fr.models.clone_model(model)
    assert [layer.get_config() for layer in clone.layers] == [layer.get_config() for layer in model.layers]
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same_bits(again.predict(x), model.predict(x))
        again.fit(x, t, epochs=2, verbose=0)
        assert not same_bits(again.predict(x), model.predict(x))
    lines = []
    model.summary(print_fn=lines.append)
    kernel = 4 * (sum(column.features for column in described(MIXED)) + 1)
    shown = next(line for line in "\n".join(lines).split("\n") if "TableInput" in line)
    assert "table" in shown
    assert str(kernel) in shown


def test_a_search_trains_on_rows_with_missing_numbers(rng):
    x = codes(MIXED, 60, rng)
    y = (np.nan_to_num(x[:, 0]) > 0).astype(int)

    def build(params):
        first = layers.TableInput(params["units"], described(MIXED))
        model = fr.Sequential([first, layers.Dense(1, "sigmoid")], seed=0)
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model

    found = [
        GridSearch(build, {"units": [2, 5]}, cv=2, seed=0, n_jobs=jobs, verbose=0).fit(x, y, epochs=2)
        for jobs in (1, 2)
    ]
    assert found[0].best_params_ == found[1].best_params_
    assert found[0].best_score_ == found[1].best_score_


def test_rows_of_a_frozen_network_do_not_see_one_another(rng):
    """Whatever stands beside them in memory, and in whatever number type they come."""
    x = codes(MIXED, 67, rng)
    model = fr.Sequential([layers.TableInput(17, described(MIXED), "gelu"), layers.Dense(3)], seed=0)
    model.build(10)
    predictor = model.freeze()
    whole = predictor(x)
    wide = np.full((67, 20), np.inf, np.float32)
    wide[:, 5:15] = x
    assert same_bits(predictor(wide[:, 5:15]), whole)
    assert same_bits(np.concatenate([predictor(x[i : i + 1]) for i in range(67)]), whole)
    assert same_bits(predictor(x.astype(np.float64)), whole)
    assert same_bits(model.predict(x[::-1])[::-1], model.predict(x))


def test_it_reads_an_input_only():
    columns = [layers.PlainColumn(3)]
    with refusal(ValueError, ["TableInput", "must read an input of the network"]):
        fr.Sequential([layers.Dense(3), layers.TableInput(2, columns)]).build(4)
    with refusal(ValueError, ["takes 3 features, got 4"]):
        fr.Sequential([layers.TableInput(2, columns)]).build(4)
    with refusal(ValueError, ["TableInput", "columns must describe all columns of the input, 4, got 3"]):
        layers.TableInput(2, columns)(fr.Input((4,)))
    with refusal(ValueError, ["TableInput", r"input_shape must be \(3,\), got \(4,\)"]):
        layers.TableInput(2, columns, input_dim=4)
    assert fr.Sequential([layers.TableInput(2, columns)]).input_shape == (None, 3)


BAD_STATES = {
    "kind": lambda s: (s[0], [(9, *s[0][0][1:])], *s[1:]),
    "count": lambda s: ([(0, 10**12, *s[0][0][2:])], *s[1:]),
    "edges": lambda s: ([(*s[0][0][:4], np.array([1.0, 1.0]), *s[0][0][5:])], *s[1:]),
    "levels": lambda s: ([(*s[0][0][:6], np.array([7, 7], np.uint32))], *s[1:]),
    "kernel": lambda s: (s[0], s[1][:-1].copy(), s[2]),
    "bias": lambda s: (s[0], s[1], s[2][:-1].copy()),
    "columns": lambda s: ([], s[1], s[2]),
    "no tuple": lambda s: [*s],
    "fields": lambda s: s[:2],
    "centre": lambda s: ([(*s[0][0][:2], np.nan, *s[0][0][3:])], *s[1:]),
    "scale": lambda s: ([(*s[0][0][:3], "1", *s[0][0][4:])], *s[1:]),
}


@pytest.mark.parametrize("fault", BAD_STATES)
def test_a_damaged_pickle_is_an_error(fault):
    column = layers.NumericColumn(0.0, 1.0, (0.0, 1.0, 2.0), True)
    model = fr.Sequential([layers.TableInput(3, [column])], seed=0)
    model.build(1)
    state = model.freeze().__reduce__()[1][0] if hasattr(model.freeze(), "__reduce__") else None
    kind, inputs, made, settings = state["nodes"][0]
    assert kind == "table_input"
    broken = {**state, "nodes": [(kind, inputs, made, BAD_STATES[fault](settings))]}
    with refusal((ValueError, TypeError)):
        _core.Predictor(broken)


# ------------------------------------------------------------------------------------------------- descriptions, input

BAD = {
    "no columns": (lambda: layers.TableInput(3, []), "columns must have at least one column"),
    "no list": (lambda: layers.TableInput(3, 5), "columns must be a list"),
    "another thing": (lambda: layers.TableInput(3, [5]), r"columns\[0\] must be one of PlainColumn"),
    "unknown type": (lambda: layers.TableInput(3, [{"type": "Odd"}]), r"columns\[0\] must have a type of"),
    "unknown field": (lambda: layers.TableInput(3, [{"type": "PlainColumn", "n": 1}]), "unknown fields n"),
    "one edge": (lambda: layers.NumericColumn(edges=[1.0]), "NumericColumn: edges must be none or at least two"),
    "equal edges": (lambda: layers.NumericColumn(edges=[1.0, 1.0]), "edges must increase, got 1.0 after 1.0"),
    "NaN": (lambda: layers.NumericColumn(edges=[1.0, np.nan]), "edges must be in"),
    "centre": (lambda: layers.NumericColumn(centre=1e301), "centre must be in"),
    "text": (lambda: layers.NumericColumn(scale="1"), "scale must be a number"),
    "level": (lambda: layers.CategoricalColumn([2**24]), r"levels must be in \[0, 2\*\*24\)"),
    "levels": (lambda: layers.CategoricalColumn([3, 1]), "levels must increase, got 1 after 3"),
    "no level": (lambda: layers.CategoricalColumn(0), "levels must be in"),
    "count": (lambda: layers.PlainColumn(0), "count must be >= 1"),
    "proximal": (
        lambda: layers.TableInput(1, [layers.PlainColumn()], activity_regularizer=regularizers.L1(1e-3, True)),
        "activity_regularizer must not be proximal",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_descriptions_are_clear_errors(name):
    make, message = BAD[name]
    with refusal((ValueError, TypeError), [message]):
        make()


CORE = {
    "columns": (None, "columns must be an array"),
    "empty": ([], "columns must have at least one column"),
    "type": ([{"type": "Odd"}], r"columns\[0\]: type must be one of PlainColumn"),
    "count": ([{"type": "PlainColumn", "count": 0}], r"count must be in \[1, 2\^31\), got 0"),
    "edges": ([{"type": "NumericColumn", "edges": [1, 1]}], r"columns\[0\]: edges must be increasing, got 1"),
    "one edge": ([{"type": "NumericColumn", "edges": [1]}], "edges must be none or at least two, got 1"),
    "text": ([{"type": "NumericColumn", "edges": ["a"]}], "edges must be numbers"),
    "scale": ([{"type": "NumericColumn", "scale": 1e301}], "scale must be in"),
    "levels": ([{"type": "CategoricalColumn", "levels": [5, 5]}], "levels must be increasing, got 5"),
    "level": ([{"type": "CategoricalColumn", "levels": [-1]}], "levels must be integers in"),
    "no levels": ([{"type": "CategoricalColumn"}], "levels is missing"),
}


@pytest.mark.parametrize("name", CORE)
def test_the_core_checks_what_a_file_says(name):
    columns, message = CORE[name]
    config = {**layers.TableInput(2, [layers.PlainColumn(1)]).to_config(), "columns": columns}
    with refusal(ValueError, ["TableInput", message]):
        _core.layer_info(json.dumps(config), (1,))


def test_configs_and_texts():
    layer = layers.TableInput(4, [*described(MIXED), {"type": "CategoricalColumn", "levels": 3}], "relu", name="first")
    assert layers.TableInput.from_config(layer.get_config()) == layer
    assert layers.deserialize(json.loads(json.dumps(layers.serialize(layer)))) == layer
    assert pickle.loads(pickle.dumps(layer)) == layer
    assert hash(layer) == hash(layers.TableInput.from_config(layer.get_config()))
    assert len(repr(layer)) < 1500
    assert "NumericColumn(centre=0.25, scale=1.5, edges=(-" in repr(layer)
    assert ": 130 numbers)" in repr(layer)
    features = [column.features for column in layer.columns]
    assert features == [131, 5, 2, 3, 1, 2, 1, 41, 6, 4]
    assert layer.output_width(11) == 4


def test_only_some_columns_take_nan(rng):
    x = codes(MIXED, 20, rng)
    model = fr.Sequential([layers.TableInput(3, described(MIXED)), layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    for method in (lambda x: model.fit(x, np.zeros(len(x)), verbose=0), model.predict,
                   lambda x: model.evaluate(x, np.zeros(len(x)), verbose=0)):
        method(x)
        for column, value in ((2, np.nan), (0, np.inf), (1, -np.inf)):
            bad = x.copy()
            bad[4, column] = value
            for given in (bad, bad.astype(np.float64)):
                with refusal(ValueError, [f"column {column}, row 4"]):
                    method(given)
    table = fr.Input((10,))
    both = layers.Add()([layers.TableInput(3, described(MIXED))(table), layers.Dense(3)(table)])
    with refusal(ValueError, ["must be finite numbers, got NaN"]):
        fr.Model(table, both, seed=0).predict(x)
