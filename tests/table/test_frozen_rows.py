"""A frozen model of a table answers rows of codes in one call: as the model itself, whatever the columns are."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re

import fastreg as fr
import numpy as np
import pytest
from conftest import assert_close
from fastreg import _core, layers
from fastreg.table import Schema, TableModel, TableOptions, Target
from fastreg.table.blending import join
from fastreg.table.calibration import tempered
from fastreg.table.encoder import TableEncoder
from fastreg.table.isotonic import Curve, Isotonic
from fastreg.table.serving import table_predictor
from fastreg.table.texts import Documents
from programs import refusal

N = 300
UNITS = {"regression": 1, "binary": 1, "multiclass": 3}
HEADS = {"regression": "linear", "binary": "sigmoid", "multiclass": "softmax"}


def table(rng, n=N):
    """Numbers with gaps and of all sizes, a constant, seconds since 1970, bools, groups with rare levels."""
    return {
        "gaps": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        "whole": rng.integers(0, 50, n),
        "tail": rng.exponential(size=n) ** 8,
        "tiny": 1e-290 * rng.normal(size=n),
        "huge": 1e290 * rng.normal(size=n),
        "same": np.full(n, 5.0),
        "seconds": 1.7e9 + 1e4 * rng.random(n),
        "flag": rng.random(n) < 0.3,
        "group": rng.choice(["a", "b", "c", "d"], n, p=[0.5, 0.3, 0.19, 0.01]),
        "some": np.where(rng.random(n) < 0.1, None, rng.choice(["u", "v"], n)),
    }


def hostile(codes, rng):
    """Rows of codes with what a service may get: gaps anywhere, infinite and huge numbers, and unknown levels."""
    rows = codes.copy()
    numbers = [np.nan, np.inf, -np.inf, 1e300, -1e300, 1.7e308, 1e39, 0.5, -1.0, 2.0**31, 77.0, -0.0]
    odd = rng.choice(numbers, rows.shape)
    return np.where(rng.random(rows.shape) < 0.3, odd, rows)


def fitted(rng, encodings):
    """The codes of a table, and an encoder for each pair of bins and whether features are dense."""
    given = table(rng)
    schema = Schema.infer(given | {"y": np.arange(N)}, target="y")
    codes = schema.codes(given)
    kinds = [column.kind for column in schema.columns]
    assert set(kinds) == {"numeric", "categorical"}
    return schema, codes, [TableEncoder(kinds, n_bins=b, dense=d).fit(codes) for b, d in encodings]


def network(encoder, task, seed):
    """A network that reads features, with a scale of each, or codes."""
    reader = layers.Dense(24, "mish") if encoder.dense else layers.TableInput(24, encoder.columns, "gelu")
    first = [layers.Scale(), reader] if encoder.dense else [reader]
    head = layers.Dense(UNITS[task], activation=HEADS[task])
    model = fr.Sequential([*first, layers.Dropout(0.1), layers.Dense(16, "relu"), head], seed=seed)
    model.build(encoder.n_features)
    return model


ENCODINGS = ((48, False), (0, True), (8, True), (300, False), (0, False))


def blend(rng, task, encodings=ENCODINGS, **more):
    schema, codes, encoders = fitted(rng, encodings)
    places = [*range(len(encoders)), 0]
    joined = join([network(encoders[p], task, i) for i, p in enumerate(places)], places, [2, *[1] * len(encoders)], 0)
    labels = {"binary": "ab", "multiclass": "abc"}
    y = np.arange(float(N)) if task == "regression" else np.resize(list(labels[task]), N)
    target = Target.infer({"y": y}, "y")
    assert target.task == task
    given = {"limits": (-0.05, 0.05)} if task == "regression" else {"temperature": 1.7}
    return TableModel(schema, tuple(encoders), joined, target, **(given | more)), codes


@pytest.mark.parametrize("bins", [0, 1, 2, 48, 3000])
def test_features_are_those_of_the_encoder_to_the_bit(bins, rng):
    _, codes, encoders = fitted(rng, [(bins, True), (bins, False)])
    rows = np.concatenate([codes, hostile(codes, rng)])
    for encoder in encoders:
        if not encoder.dense:  # the product would spread a gap over its row
            rows = np.clip(np.nan_to_num(rows), -1e37, 1e37)
        first = layers.Dense(encoder.n_features, use_bias=False, kernel_initializer="identity")
        model = fr.Sequential([first], seed=0)
        model.build(encoder.n_features)
        predictor = table_predictor(model.freeze(), [encoder], None, 1.0)
        np.testing.assert_array_equal(predictor(rows), encoder.transform(rows))


@pytest.mark.parametrize("task", UNITS)
def test_rows_are_answered_as_by_the_model(task, rng):
    model, codes = blend(rng, task)
    frozen = model.freeze()
    rows = np.concatenate([codes, hostile(codes, rng)])
    expected = model.outputs_of(model.features(rows))
    assert np.isfinite(expected).all()
    terms = sum(encoder.dense_width for encoder in model.encoders)
    found = frozen(rows)
    assert_close(found, expected, terms=terms, magnitude=1.0, what=task)
    assert np.abs(found - expected).max() < 1e-5
    if task == "regression":
        assert found.min() == np.float32(-0.05)
        assert found.max() == np.float32(0.05)
        assert len(np.unique(found)) > 100
    else:
        plain = model.outputs_of(model.features(rows)), TableModel(
            model.schema, model.encoders, model.model, model.target).freeze()(rows)
        assert np.abs(plain[0] - plain[1]).max() > 1e-3  # the temperature does something
    single = np.concatenate([frozen(rows[i : i + 1]) for i in range(0, len(rows), 7)])
    np.testing.assert_array_equal(single, found[::7])


def test_rows_do_not_depend_on_others_or_on_threads(rng):
    """More rows than are encoded at once, by one thread and by several."""
    model, codes = blend(rng, "multiclass")
    rows = np.concatenate([hostile(codes, rng) for _ in range(9)])
    frozen, before, found = model.freeze(), fr.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            fr.set_num_threads(threads)
            found.append(frozen(rows))
    finally:
        fr.set_num_threads(before)
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])
    np.testing.assert_array_equal(frozen(rows[1020:1030]), found[0][1020:1030])
    assert frozen(rows[:0]).shape == (0, 3)


def test_other_forms_of_rows_are_converted(rng):
    model, codes = blend(rng, "binary", [(8, False), (0, True)])
    frozen, rows = model.freeze(), np.round(codes[:20] * 8) / 8
    rows[:, 3:5] = 0.0  # beyond float32
    expected = frozen(rows)
    wide = np.zeros((20, 30))
    wide[:, 4 : 4 + rows.shape[1]] = rows
    fixed = rows.copy()
    fixed.flags.writeable = False
    swapped = rows.astype(rows.dtype.newbyteorder())
    for form in (rows.tolist(), np.asfortranarray(rows), wide[:, 4 : 4 + rows.shape[1]], fixed, swapped):
        np.testing.assert_array_equal(frozen(form), expected)
    single = rows.astype(np.float32)
    np.testing.assert_array_equal(frozen(single), frozen(single.astype(np.float64)))
    ones = np.ones((3, rows.shape[1]))
    for kind in (np.int8, np.uint64, bool, np.float16):
        np.testing.assert_array_equal(frozen(ones.astype(kind)), frozen(ones))


def test_rows_that_are_none_are_refused(rng):
    model, codes = blend(rng, "binary", [(8, False)])
    frozen, k = model.freeze(), codes.shape[1]
    for bad, error, words in (
        (codes[0], ValueError, ["codes", "2-D", f"({k},)", "reshape(1, -1)"]),
        (codes[:, 1:], ValueError, ["codes", f"reads {k} columns", f"got {k - 1}"]),
        (np.zeros((2, k, 1)), ValueError, ["codes", "2-D", f"(2, {k}, 1)"]),
        (np.full((1, k), "a"), TypeError, ["codes", "numbers"]),
        ([["a"] * k], TypeError, ["codes", "numbers"]),
        ([[1.0] * k, [1.0]], ValueError, ["codes", "same length"]),
        (np.zeros((1, k), complex), TypeError, ["codes", "real"]),
        (np.ma.masked_array(codes, np.ones_like(codes, bool)), ValueError, ["codes", "masked"]),
        (np.ma.masked_array(np.ones((2, k)), np.eye(2, k)), ValueError, ["codes", "masked"]),
        (None, TypeError, ["codes", "numbers"]),
    ):
        with refusal(error, [re.escape(word) for word in words]):
            frozen(bad)


@pytest.mark.parametrize("temperature", [0.05, 0.8, 20.0])
@pytest.mark.parametrize("units", [1, 2, 5])
def test_the_temperature_is_that_of_calibration(units, temperature, rng):
    """Also of probabilities that are 0 and 1."""
    shares = rng.dirichlet(np.full(units, 0.3), 200) if units > 1 else rng.random((200, 1))
    shares[:5] = np.eye(units)[0]
    shares[5:9] = 0.0 if units == 1 else np.eye(units)[-1]
    encoder = TableEncoder(["categorical"] * units, dense=False)
    encoder.fit(np.zeros((20, units)))
    model = fr.Sequential([layers.Dense(units, use_bias=False, kernel_initializer="identity")], seed=0)
    model.build(units)
    found = table_predictor(model.freeze(), [encoder], None, temperature)(shares)
    np.testing.assert_allclose(found, tempered(shares.astype(np.float32), temperature), rtol=1e-6, atol=1e-12)


def test_only_the_first_output_is_computed(rng):
    """The scale of a row, a second output, is left away with what it alone needs."""
    model, codes = blend(rng, "regression", [(8, False), (0, True)])
    inputs = [layers.Input((encoder.n_features,)) for encoder in model.encoders]
    scatter = network(model.encoders[0], "regression", 5)
    both = fr.Model(inputs, [model.model(inputs), scatter(inputs[0])], seed=0)
    several = TableModel(model.schema, model.encoders, both, model.target, model.limits)
    np.testing.assert_array_equal(several.freeze()(codes), model.freeze()(codes))


def test_pickles_and_copies_serve_alike(rng):
    curves = Isotonic((Curve((0.2, 0.8), (0.3, 0.6)),))
    model, codes = blend(rng, "binary", isotonic=curves)
    frozen = model.freeze()
    assert np.abs(frozen(codes) - dataclasses.replace(model, isotonic=None).freeze()(codes)).max() > 1e-3
    for again in (pickle.loads(pickle.dumps(frozen)), copy.deepcopy(frozen)):
        np.testing.assert_array_equal(again(codes), frozen(codes))
    assert (frozen.table_predictor.n_codes, frozen.table_predictor.n_outputs) == (codes.shape[1], 1)


def test_training_goes_on_and_the_frozen_model_stays(rng):
    model, codes = blend(rng, "binary", [(8, False), (0, True)])
    frozen = model.freeze()
    before = frozen(codes)
    model.model.set_weights([w + 0.1 for w in model.model.get_weights()])
    np.testing.assert_array_equal(frozen(codes), before)
    assert np.abs(model.freeze()(codes) - before).max() > 1e-4


def test_dates_and_texts_are_encoded_in_python():
    """And the model still gives the same, frozen."""
    day = [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(60)]
    from fastreg.table import TableRegressor

    y = np.arange(60.0)
    model = TableRegressor(seed=0, date="day").fit({"day": day, "a": y}, y).model_
    frozen = model.freeze()
    assert frozen.table_predictor is None
    codes = model.schema.codes({"day": day, "a": y})
    np.testing.assert_allclose(frozen(codes), model.outputs({"day": day, "a": y}), atol=1e-5)


@pytest.fixture(scope="module")
def notes():
    """A table with numbers, dates, groups and texts, its model of a blend, codes and documents."""
    words = ["a small house near the river", "the flat is large and quiet", "quiet street, old roof", None]
    given = {
        "size": np.arange(60) % 7 + 0.5,
        "day": [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(60)],
        "town": ["u", "v", "w"] * 20,
        "note": words * 15,
    }
    schema = Schema.infer(given | {"y": np.arange(60)}, target="y", options=TableOptions(date="day", text="note"))
    kinds = [column.kind for column in schema.columns]
    assert kinds == ["numeric", "date", "categorical", "text"]
    codes, documents = schema.codes(given), schema.documents(given)
    encoder = TableEncoder(kinds, 4, documents=documents).fit(codes)
    target = Target.infer({"y": np.arange(60.0)}, "y")
    model = TableModel(schema, (encoder.without_documents(),), network(encoder, "regression", 0), target)
    return model, codes, documents


def test_other_forms_of_rows_with_dates_and_texts_are_converted(notes):
    model, codes, documents = notes
    frozen = model.freeze()
    assert frozen.table_predictor is None
    expected = frozen(codes, documents)
    for form in (codes.tolist(), codes.astype(object), np.asfortranarray(codes), np.ascontiguousarray(codes)):
        np.testing.assert_array_equal(frozen(form, documents), expected)
    single = codes.astype(np.float32)
    np.testing.assert_array_equal(frozen(single, documents), frozen(single.astype(np.float64), documents))
    for encoder in model.encoders:
        np.testing.assert_array_equal(
            encoder.transform(codes.tolist(), documents), encoder.transform(codes, documents)
        )


def test_a_missing_code_of_a_text_is_a_missing_text(notes):
    model, codes, documents = notes
    frozen, rows = model.freeze(), codes.copy()
    rows[:, 3] = 3.0  # the row without a note
    expected = frozen(rows, documents)
    assert np.abs(expected - frozen(codes, documents))[codes[:, 3] % 4 != 3].max() > 1e-3
    rows[:, 3] = np.nan
    np.testing.assert_array_equal(frozen(rows, documents), expected)
    mixed = np.where(np.arange(60)[:, None] % 3 == 0, rows, codes)
    answers = np.where(np.arange(60)[:, None] % 3 == 0, expected, frozen(codes, documents))
    np.testing.assert_array_equal(frozen(mixed, documents), answers)
    gaps = np.full((1, 4), np.nan)
    assert np.isfinite(frozen(gaps, documents)).all()
    np.testing.assert_array_equal(frozen(gaps, {3: Documents([])}), frozen(gaps, documents))


def test_statistics_of_texts_count_missing_codes_as_missing_texts(notes):
    model, codes, documents = notes
    gaps = codes.copy()
    gaps[3::4, 3] = np.nan  # the rows without a note
    fitted = TableEncoder(model.encoder.kinds, 4, documents=documents).fit(gaps)
    assert fitted.to_config() == model.encoder.to_config()


def moved(rows, by):
    """The rows with other numbers of documents."""
    rows = rows.copy()
    rows[:, 3] += by
    return rows


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda rows, texts: (rows, None), ValueError, ["documents", "column 3", "Schema.documents"]),
        (lambda rows, texts: (rows, {}), ValueError, ["documents", "column 3"]),
        (lambda rows, texts: (rows[0], texts), ValueError, ["codes", "2-D", "(4,)"]),
        (lambda rows, texts: (rows[:, 1:], texts), ValueError, ["codes", "reads 4 columns", "got 3"]),
        (lambda rows, texts: ([["a"] * 4], texts), TypeError, ["codes", "numbers"]),
        (lambda rows, texts: (rows.astype(complex), texts), TypeError, ["codes", "real"]),
        (lambda rows, texts: (moved(rows, 1), texts), ValueError, ["codes", "column 3", "[0, 60)", "60.0 in"]),
        (lambda rows, texts: (moved(rows, -1), texts), ValueError, ["codes", "column 3", "-1.0 in row 0"]),
        (lambda rows, texts: (moved(rows, 0.5), texts), ValueError, ["codes", "whole", "0.5 in row 0"]),
        (lambda rows, texts: (moved(rows, np.inf), texts), ValueError, ["codes", "whole", "inf in row 0"]),
    ],
)
def test_rows_with_texts_that_are_none_are_refused(change, error, words, notes):
    model, codes, documents = notes
    with refusal(error, [re.escape(word) for word in words]):
        model.freeze()(*change(codes, documents))


CURVE = ([0.25, 0.75], [0.3, 0.9])
COLUMN = (1, 1, 0.0, 1.0, np.zeros(0), False, np.zeros(0, np.uint32))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"network": 3}, TypeError, ["network must be a Predictor"]),
        ({"encodings": ()}, TypeError, ["encodings must be a list"]),
        ({"encodings": []}, ValueError, ["encodings must be 1", "got 0"]),
        ({"encodings": [([COLUMN], True)]}, TypeError, ["an encoding must be"]),
        ({"encodings": [([COLUMN], 1, [])]}, TypeError, ["dense must be a bool"]),
        ({"encodings": [([COLUMN], True, None)]}, TypeError, ["offsets must be a list"]),
        ({"encodings": [([COLUMN], False, ["a", "b"])]}, TypeError, ["offsets, limits and points", "floats"]),
        ({"encodings": [([COLUMN], True, [])]}, ValueError, ["encodings[0]", "must make the 2 columns", "makes 1"]),
        ({"encodings": [([COLUMN] * 2, False, [0.0])]}, ValueError, ["an offset for each column"]),
        ({"encodings": [([COLUMN] * 2, False, [0.0, np.nan])]}, ValueError, ["finite offsets"]),
        ({"encodings": [([(*COLUMN[:2], np.nan, *COLUMN[3:])] * 2, True, [])]}, ValueError, ["centre", "got nan"]),
        ({"encodings": [([COLUMN, COLUMN[:1]], True, [])]}, TypeError, ["seven fields"]),
        ({"limits": (1.0,)}, TypeError, ["limits must be two numbers or None"]),
        ({"limits": (1.0, 0.0)}, ValueError, ["limits must be a lower and an upper one"]),
        ({"limits": (0.0, float("nan"))}, ValueError, ["limits"]),
        ({"temperature": 0.0}, ValueError, ["temperature must be finite and > 0"]),
        ({"temperature": float("inf")}, ValueError, ["temperature must be finite and > 0"]),
        ({"curves": ()}, TypeError, ["curves must be a list or None"]),
        ({"curves": [3]}, TypeError, ["a curve must be its x and its y"]),
        ({"curves": [([0.0], (0.5,))]}, TypeError, ["points of a curve must be lists"]),
        ({"curves": [([0], [0.5])]}, TypeError, ["points of curves must be floats"]),
        ({"curves": [CURVE] * 2}, ValueError, ["curves must be none, or one for each of the 1 outputs, got 2"]),
        ({"curves": [([], [])]}, ValueError, ["curves[0] must have as many x as y, and one at least"]),
        ({"curves": [([0.0], [0.5, 0.6])]}, ValueError, ["curves[0] must have as many x as y"]),
        ({"curves": [([0.5, 0.5], [0.5, 0.6])]}, ValueError, ["curves[0].x must be finite and ascend strictly"]),
        ({"curves": [([float("nan")], [0.5])]}, ValueError, ["curves[0].x must be finite"]),
        ({"curves": [([0.1, 0.2], [0.6, 0.5])]}, ValueError, ["curves[0].y must be within", "must not fall"]),
        ({"curves": [([0.1], [float("nan")])]}, ValueError, ["curves[0].y must be within"]),
        ({"curves": [([0.1], [1.0])]}, ValueError, ["curves[0].y must be within"]),
    ],
    ids=str,
)
def test_what_a_pickle_may_hold_is_checked(change, error, words):
    model = fr.Sequential([layers.Dense(1)], seed=0)
    model.build(2)
    good = {"network": model.freeze(), "encodings": [([COLUMN] * 2, True, [])], "limits": None, "temperature": 1.0}
    assert _core.TablePredictor(**good)(np.zeros((1, 2))).shape == (1, 1)
    with refusal(error, [re.escape(word) for word in words]):
        _core.TablePredictor(**(good | change))
