"""Tables: kinds of columns, encoding against formulas written out, targets, and the file that carries them."""

import json
from itertools import pairwise

import fastreg as fr
import numpy as np
import pytest
from fastreg.table import Column, Schema, Target, read_table
from fastreg.table.encoder import TableEncoder
from fastreg.table.model import TableModel
from fastreg.table.notices import Notices
from hypothesis import given, settings
from hypothesis import strategies as st


def table_of(n=200, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, n).astype(float)
    age[::17] = np.nan
    job = np.array(["cook", "nurse", "pilot", "?"], dtype=object)[rng.integers(0, 4, n)]
    gain = np.where(rng.random(n) < 0.9, 0.0, rng.lognormal(8, 1, n))
    y = np.where(age + 20 * (job == "nurse") + rng.normal(0, 5, n) > 55, "yes", "no").astype(object)
    return {"age": age, "job": job, "gain": gain, "const": np.ones(n), "row": np.arange(n), "y": y}


def test_kinds_of_columns():
    n = 120
    table = {
        "number": np.linspace(0, 1, n),
        "text number": ["1.5", "2"] * (n // 2),
        "flag": np.arange(n) % 2 == 0,
        "text": ["a", "b", "c"] * (n // 3),
        "empty": [None] * n,
        "one": ["same"] * n,
        "some": [None, "same"] * (n // 2),
        "name": [f"row {i}" for i in range(n)],
        "index": np.arange(n),
        "y": np.zeros(n),
    }
    schema = Schema.infer(table, ["y"])
    assert schema.columns == (
        Column("number"),
        Column("text number"),
        Column("flag", ("False", "True")),
        Column("text", ("a", "b", "c")),
        Column("some", ("same",)),
    )
    assert set(schema.left_out) == {"empty", "one", "name", "index"}


def test_nothing_to_learn_from():
    with pytest.raises(ValueError, match=r"no column to learn from.*one value"):
        Schema.infer({"a": [1, 1, 1], "y": [0, 1, 0]}, ["y"])


def test_codes_of_other_tables():
    schema = Schema((Column("n"), Column("c", ("a", "b"))), {})
    notices = Notices()
    table = {"extra": ["x"] * 4, "c": ["b", "new", None, "?"], "n": ["3", None, np.inf, "many"]}
    codes = schema.codes(table, notices)
    largest = np.finfo(np.float64).max
    np.testing.assert_array_equal(codes, [[3, 1], [np.nan, np.nan], [largest, np.nan], [np.nan, np.nan]])
    assert notices.lines() == [
        "column 'n': 1 cell is not a number and counts as missing: 'many'",
        "column 'c': 1 cell has a level that the training rows did not have: 'new'",
    ]
    with pytest.raises(ValueError, match="no column 'c'"):
        schema.codes({"n": [1.0], "C": ["a"]})


def test_numeric_encoding_is_the_formula():
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0])[:, None]
    encoder = TableEncoder(["numeric"], n_bins=4).fit(values)
    x = np.array([0.0, 2.5, 1000.0])
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    z = (x - middle) / (high - low)
    edges = values[:, 0]  # five different values make four bins
    ramps = [np.clip((x - a) / (b - a), 0, 1) for a, b in pairwise(edges)]
    expected = np.column_stack([z / np.sqrt(1 + (z / 3) ** 2), *ramps])
    np.testing.assert_allclose(encoder.transform(x[:, None]), expected, rtol=1e-6)


def test_a_value_of_most_rows_takes_one_bin():
    values = np.concatenate([np.zeros(900), np.arange(1.0, 101.0)])[:, None]
    edges = TableEncoder(["numeric"], n_bins=8).fit(values)._parts[0].edges
    assert len(edges) >= 7
    assert edges[0] == 0.0


def test_missing_numbers():
    encoder = TableEncoder(["numeric"], n_bins=0).fit(np.array([[1.0], [2.0], [np.nan]]))
    np.testing.assert_array_equal(encoder.transform(np.array([[np.nan]])), [[0.0, 1.0]])
    without = TableEncoder(["numeric"], n_bins=0).fit(np.array([[1.0], [2.0]]))
    assert without.n_features == 1
    np.testing.assert_array_equal(without.transform(np.array([[np.nan]])), [[0.0]])


@pytest.mark.parametrize("spread", [5e-324, 1.8e-186, 1e300])
def test_numbers_of_any_size_stay_finite(spread):
    encoder = TableEncoder(["numeric"], n_bins=3).fit(np.array([[0.0], [0.0], [spread], [np.nan]]))
    out = encoder.transform(np.array([[-1e308], [0.0], [spread], [1e6], [1e308]]))
    assert np.isfinite(out).all()
    assert (np.abs(out[:, 0]) <= 3.0).all()


def test_levels():
    codes = np.array([[0.0]] * 10 + [[2.0]] * 10 + [[1.0]] * 3 + [[np.nan]])
    encoder = TableEncoder(["categorical"], min_count=10).fit(codes)
    expected = [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_array_equal(encoder.transform(np.array([[0.0], [1.0], [2.0], [np.nan], [7.0]])), expected)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_codes_encode_finite_and_survive_json(data):
    columns = data.draw(st.integers(1, 4))
    kinds = data.draw(st.lists(st.booleans(), min_size=columns, max_size=columns))
    cell = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6, allow_nan=False))
    level = st.one_of(st.just(np.nan), st.integers(0, 5).map(float))

    def rows():
        n = data.draw(st.integers(1, 12))
        return np.array([[data.draw(level if kind else cell) for kind in kinds] for _ in range(n)])

    named = ["categorical" if kind else "numeric" for kind in kinds]
    encoder = TableEncoder(named, n_bins=data.draw(st.integers(0, 5)), min_count=1).fit(rows())
    other = rows()
    out = encoder.transform(other)
    assert out.dtype == np.float32
    assert out.shape == (len(other), encoder.n_features)
    assert np.isfinite(out).all()
    again = TableEncoder.from_config(json.loads(json.dumps(encoder.to_config())))
    np.testing.assert_array_equal(again.transform(other), out)


def test_targets():
    assert Target.infer({"y": ["b", "a", None]}, "y") == Target("y", ("a", "b"))
    assert Target.infer({"y": [2, 1, 2]}, "y").labels == ("1", "2")
    assert Target.infer({"y": [True, False]}, "y").labels == ("False", "True")
    regression = Target.infer({"y": [0.5, 1.5, np.nan]}, "y")
    assert (regression.labels, regression.mean, regression.scale) == (None, 1.0, 0.5)
    assert Target.infer({"y": [1, 2, 3]}, "y", "regression").task == "regression"
    values, known = regression.encode({"y": [1.0, None]})
    np.testing.assert_array_equal(values, np.array([0.0, 0.0], np.float32))
    np.testing.assert_array_equal(known, [True, False])
    with pytest.raises(ValueError, match=r"no column 'z' \(did you mean 'zz'\?\)"):
        Target.infer({"zz": [1, 2]}, "z")
    with pytest.raises(ValueError, match="at least two classes, got 1"):
        Target.infer({"y": ["a", "a"]}, "y")
    with pytest.raises(ValueError, match="must hold numbers for regression"):
        Target.infer({"y": ["a", "b"]}, "y", "regression")


def test_predictions_are_named():
    binary = Target("y", ("no", "yes")).decode(np.array([[0.25], [0.75]], np.float32))
    assert binary == {"y": ["no", "yes"], "probability_no": [0.75, 0.25], "probability_yes": [0.25, 0.75]}
    number = Target("y", None, 10.0, 2.0).decode(np.array([[0.5]], np.float32))
    assert number == {"y": [11.0]}


def fitted(table, units=1):
    target, schema = Target.infer(table, "y"), Schema.infer(table, ["y"])
    codes = schema.codes(table)
    encoder = schema.encoder(table, n_bins=8).fit(codes)
    model = fr.Sequential([fr.layers.Dense(16, "relu"), fr.layers.Dense(units, "sigmoid")], seed=0)
    model.compile(fr.optimizers.Adam(0.01), "binary_crossentropy", ["accuracy"])
    model.fit(encoder.transform(codes), target.encode(table)[0], epochs=60, verbose=0)
    return TableModel(schema, (encoder,), model, target)


def test_the_file_carries_everything(tmp_path):
    table = table_of()
    model = fitted(table)
    assert model.score(table) > 0.85
    model.save(tmp_path / "m.safetensors")
    again = TableModel.load(tmp_path / "m.safetensors")
    assert again.predict(table) == model.predict(table)
    assert again.schema.columns == model.schema.columns
    assert fr.load(tmp_path / "m.safetensors").predict(model.encoder.transform(model.schema.codes(table))).shape[1] == 1


def test_foreign_and_damaged_files(tmp_path):
    model = fitted(table_of())
    model.model.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="not made from a table"):
        TableModel.load(tmp_path / "net.safetensors")
    wrong = TableModel(model.schema, (TableEncoder(["numeric"]).fit(np.zeros((2, 1))),), model.model, model.target)
    wrong.save(tmp_path / "wrong.safetensors")
    with pytest.raises(ValueError, match="the encoder does not fit the columns"):
        TableModel.load(tmp_path / "wrong.safetensors")
    fewer = TableModel(model.schema, model.encoders, model.model, Target("y", ("a", "b", "c")))
    fewer.save(tmp_path / "fewer.safetensors")
    with pytest.raises(ValueError, match=r"gives 1 outputs, the table has .* and needs 3"):
        TableModel.load(tmp_path / "fewer.safetensors")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("schema", 3),
        ("schema", [{"name": 1}]),
        ("encoder", {"categorical": [False], "parts": [{}]}),
        ("encoder", {"categorical": [False], "parts": []}),
        ("target", {"name": "y", "labels": ["a"], "mean": 0.0, "scale": 1.0}),
        ("target", {"name": "y", "labels": None, "mean": None, "scale": 1.0}),
    ],
)
def test_hostile_descriptions(tmp_path, part, value):
    from fastreg.model import files
    from fastreg.model.core import core_of

    model = fitted(table_of())
    parts = {
        "schema": model.schema.to_config(),
        "encoder": model.encoder.to_config(),
        "target": model.target.to_config(),
    }
    files.save(core_of(model.model), tmp_path / "m.safetensors", extra={"table": {**parts, part: value}})
    with pytest.raises(ValueError, match=r"m\.safetensors"):
        TableModel.load(tmp_path / "m.safetensors")


def test_read_table(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "x"]})
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    back = read_table(tmp_path / "t.csv.gz")
    assert back.names == ("a", "b")
    assert Schema.infer(back).columns == (Column("b", ("x",)),)  # a counts the rows
    (tmp_path / "t.tsv").write_text("a\tb\n1\t?\n")
    assert read_table(tmp_path / "t.tsv")["b"].texts() == ["?"]
    with pytest.raises(ValueError, match="b: all of its cells are missing"):
        Schema.infer(read_table(tmp_path / "t.tsv"), ["a"])
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(ValueError, match="two columns are named 'a'"):
        read_table(tmp_path / "twice.csv")
    (tmp_path / "none.csv").write_text("")
    with pytest.raises(ValueError, match="not a table"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "head.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match="no rows"):
        read_table(tmp_path / "head.csv")
