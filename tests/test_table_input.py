"""TableInput: the same as Dense on the features that its columns stand for, in training, inference and frozen."""

from __future__ import annotations

import json
import pickle

import fastreg as fr
import numpy as np
import pytest
import reference as ref
import table_reference as tables
from conftest import assert_close
from fastreg import _core, layers, optimizers, regularizers
from fastreg.table.encoder import TableEncoder
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


@pytest.mark.parametrize("activation", ["relu", "gelu", "softmax", None])
def test_it_trains_as_dense_on_the_features(activation, rng):
    """The same initial weights for a seed, and the same weights and losses after some epochs, to rounding."""
    x, t = codes(MIXED, 97, rng), rng.normal(size=(97, 2)).astype(np.float32)
    phi = tables.features(MIXED, x.astype(np.float64)).astype(np.float32)
    settings = {"kernel_regularizer": regularizers.L1L2(1e-3, 1e-3), "activity_regularizer": "l2"}
    pair = []
    for first, features in ((layers.TableInput(37, described(MIXED), activation, **settings), x),
                            (layers.Dense(37, activation, **settings), phi)):
        model = fr.Sequential([first, layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(2)], seed=3)
        model.compile(optimizers.SGD(0.05, momentum=0.9), "mse")
        model.build(features.shape[1])
        start = model.get_weights()
        history = model.fit(features, t, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"]
        pair.append((start, history, model.get_weights(), model.predict(features), model.freeze()(features)))
    assert same_bits(pair[0][0], pair[1][0])
    (_, *losses), (_, *others) = ([start, history, *trained, *outputs] for start, history, trained, *outputs in pair)
    for found, expected in zip(losses, others, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


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
    table, more = fr.Input((9,), name="table"), fr.Input((1,), name="more")
    shared = layers.TableInput(units, described(MIXED), activation)(table)
    other = layers.TableInput(units, described((("categorical", (0, 1)),)))(more)
    joined = layers.Add()([shared, other, layers.TableInput(units, described(MIXED))(table)])
    return fr.Model([table, more], [layers.Dense(1)(joined), shared, other], seed=4)


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


def test_it_reads_an_input_only():
    columns = [layers.PlainColumn(3)]
    with refusal(ValueError, ["TableInput", "must read an input of the network"]):
        fr.Sequential([layers.Dense(3), layers.TableInput(2, columns)]).build(4)
    with refusal(ValueError, ["TableInput", "columns must describe all columns of the input, 4, got 3"]):
        fr.Sequential([layers.TableInput(2, columns)]).build(4)


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
    assert features == [131, 5, 2, 3, 1, 2, 1, 41, 4]
    assert layer.output_width(10) == 4


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
    table = fr.Input((9,))
    both = layers.Add()([layers.TableInput(3, described(MIXED))(table), layers.Dense(3)(table)])
    with refusal(ValueError, ["must be finite numbers, got NaN"]):
        fr.Model(table, both, seed=0).predict(x)


# -------------------------------------------------------------------------------------------------- with TableEncoder


def table_codes(rng, n=400):
    x = np.stack([
        rng.normal(size=n), rng.integers(0, 30, n), np.full(n, 5.0), rng.integers(0, 9, n), 1.7e9 + 1e6 * rng.random(n),
        rng.exponential(size=n),
    ], axis=1).astype(np.float32).astype(np.float64)
    x[rng.random(n) < 0.1, 0] = np.nan
    x[rng.random(n) < 0.1, 3] = np.nan
    return x


KINDS = ("numeric", "numeric", "numeric", "categorical", "numeric", "date")


def test_the_columns_of_an_encoder_stand_for_its_features(rng):
    """To the bit where float32 holds the codes: each feature times one row of an identity matrix."""
    x = table_codes(rng)
    dense = TableEncoder(KINDS, n_bins=20).fit(x)
    raw = dense.with_dense(False)
    given, features = raw.transform(x), dense.transform(x)
    assert given.dtype == np.float32
    assert given.shape == (len(x), raw.n_features)
    assert raw.dense_width == dense.n_features == sum(column.features for column in raw.columns)
    model = fr.Sequential(
        [layers.TableInput(dense.n_features, raw.columns, use_bias=False, kernel_initializer="identity")], seed=0)
    model.build(raw.n_features)
    np.testing.assert_array_equal(model.predict(given), features)
    unseen = x.copy()
    unseen[:, 3] = 77.0
    unseen[:, 1] = 1e6
    np.testing.assert_array_equal(model.predict(raw.transform(unseen)), dense.transform(unseen))


def test_numbers_far_from_zero_keep_their_digits(rng):
    """Seconds since 1970 differ by less than float32 resolves; the encoder gives their differences."""
    x = 1.7e9 + rng.random((200, 1)) * 1e4
    dense = TableEncoder(("numeric",), n_bins=8).fit(x)
    raw = dense.with_dense(False)
    model = fr.Sequential(
        [layers.TableInput(dense.n_features, raw.columns, use_bias=False, kernel_initializer="identity")], seed=0)
    model.build(1)
    np.testing.assert_allclose(model.predict(raw.transform(x)), dense.transform(x), atol=1e-5)


def test_an_encoder_of_codes_survives_its_config(rng):
    x = table_codes(rng)
    raw = TableEncoder(KINDS, n_bins=5000, dense=False).fit(x)
    assert max(column.features for column in raw.columns) > 300  # bins take no memory, so their number stays
    again = TableEncoder.from_config(json.loads(json.dumps(raw.to_config())))
    assert again.columns == raw.columns
    assert not again.dense
    assert again.widths == raw.widths == (1, 1, 1, 1, 1, raw.columns[-1].features)
    np.testing.assert_array_equal(again.transform(x), raw.transform(x))
    assert "dense" not in TableEncoder(KINDS).fit(x).to_config()
    with refusal(ValueError, ["dense"]):
        TableEncoder.from_config({**raw.to_config(), "dense": 1})
