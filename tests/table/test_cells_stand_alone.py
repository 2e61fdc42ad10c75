"""A cell means the same whatever its neighbours are: predictions of a row are equal bit for bit in any file."""

import csv
import datetime
import gzip
import io
import itertools
import json

import fastreg as fr
import numpy as np
import pytest
from fastreg.table import Schema, Table, Target, read_blocks, read_table
from fastreg.table.columns import TextCells
from fastreg.table.encoder import TableEncoder
from fastreg.table.model import TableModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("narwhals")

CODES = ["010", "020", "E11", "030", "10", "NA", "None", 'say "a,b"', "x;y|z", "two\nlines", "Zoë", "-5"]
WORDS = ["go", "now", "free", "call", "me", "back", "later", "prize", "won", "please", "text", "stop", "hello"]


def text_of(cell, decimal=".", true="True"):
    """A cell as a program might write it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return true if cell else {"True": "False", "TRUE": "FALSE", "true": "false"}[true]
    if isinstance(cell, float):
        return repr(cell).replace(".", decimal)
    return str(cell)


def csv_bytes(columns, sep=",", decimal=".", true="True", end="\n", trailing=False, spaced=False, **options):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=sep, lineterminator=end, **options)
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([text_of(cell, decimal, true) for cell in row] + [""] * trailing)
    text = out.getvalue()
    return text.replace(sep + '"', sep + ' "') if spaced else text


# Name: how columns are written as bytes, the name of the file, and the options of reading.
DIALECTS = {
    "commas": (lambda c: csv_bytes(c).encode(), "t.csv", {}),
    "semicolons and decimal commas": (lambda c: csv_bytes(c, ";", ",").encode(), "t.csv", {"decimal": ","}),
    "semicolons and points": (lambda c: csv_bytes(c, ";", true="TRUE").encode(), "t.csv", {}),
    "tabs": (lambda c: csv_bytes(c, "\t", true="true").encode(), "t.tsv", {}),
    "pipes": (lambda c: csv_bytes(c, "|").encode(), "t.txt", {}),
    "all quoted, CRLF, BOM": (
        lambda c: csv_bytes(c, end="\r\n", quoting=csv.QUOTE_ALL).encode("utf-8-sig"), "t.csv", {},
    ),
    "UTF-16": (lambda c: csv_bytes(c).encode("utf-16"), "t.csv", {}),
    "Windows-1252": (lambda c: csv_bytes(c).encode("cp1252"), "t.csv", {"encoding": "cp1252"}),
    "trailing separators, compressed": (lambda c: gzip.compress(csv_bytes(c, trailing=True).encode()), "t.csv.gz", {}),
    "spaces before quotes": (
        lambda c: csv_bytes(c, spaced=True, quoting=csv.QUOTE_ALL).encode(), "t.csv", {},
    ),
    "polars": (lambda c: pl.DataFrame(c).write_csv().encode(), "t.csv", {}),
    "pandas": (lambda c: pd.DataFrame(c).to_csv(index=False).encode(), "t.csv", {}),
}  # fmt: skip


def in_file(columns, dialect, folder):
    write, name, options = DIALECTS[dialect]
    path = folder / name
    path.write_bytes(write(columns))
    return path, options


def parquet_of(columns, folder, library):
    path = folder / "t.parquet"
    if library == "pandas":
        pd.DataFrame(columns).to_parquet(path)
    else:
        pl.DataFrame(columns).write_parquet(path)
    return read_table(path)


FRAMES = {
    "pandas": lambda c, folder: pd.DataFrame(c),
    "pandas nullable": lambda c, folder: pd.DataFrame(c).convert_dtypes(),
    "polars": lambda c, folder: pl.DataFrame(c),
    "Arrow": lambda c, folder: pa.table(c),
    "Parquet of polars": lambda c, folder: parquet_of(c, folder, "polars"),
    "Parquet of pandas": lambda c, folder: parquet_of(c, folder, "pandas"),
}


def training_columns(n=60, seed=0):
    rng = np.random.default_rng(seed)
    some = lambda values: [None if rng.random() < 0.1 else v for v in values]  # noqa: E731
    start = datetime.datetime(2023, 12, 25)
    return {
        "code": some(rng.choice(CODES, n).tolist()),
        "region": some(rng.integers(1, 4, n).tolist()),
        "size": some((rng.normal(0, 1, n) * 10.0 ** rng.integers(-3, 9, n)).tolist()),
        "count": rng.integers(0, 2000, n).tolist(),
        "flag": some((rng.random(n) < 0.5).tolist()),
        "day": some([(start + datetime.timedelta(days=int(d))).date() for d in rng.integers(0, 400, n)]),
        "time": [start + datetime.timedelta(seconds=int(s)) for s in rng.integers(0, 10**7, n)],
        "note": some([" ".join(rng.choice(WORDS, 6)) + f" {i}!" for i in range(n)]),
        "y": rng.choice(["None", "NA", "010"], n).tolist(),
    }


def model_of(table, seed=0):
    """A model with random weights: what it learns does not matter here."""
    from fastreg.table import TableOptions

    options = TableOptions(categorical=["code", "region"], text=["note"])
    schema, target = Schema.infer(table, target="y", options=options), Target.infer(table, "y")
    encoder = schema.encoder(table, n_bins=5, min_count=2)
    width = encoder.fit(schema.codes(table)).n_features
    network = fr.Sequential([fr.layers.Dense(9, "relu"), fr.layers.Dense(len(target.labels), "softmax")], seed=seed)
    network.build(width)
    return TableModel(schema, (encoder.without_documents(),), network, target)


COLUMNS = training_columns()
MODEL = model_of(COLUMNS)
EXPECTED = MODEL.outputs(COLUMNS)


def test_the_table_has_columns_of_all_kinds():
    kinds = {column.name: column.kind for column in MODEL.schema.columns}
    assert kinds == {
        "code": "categorical", "region": "categorical", "size": "numeric", "count": "numeric",
        "flag": "categorical", "day": "date", "time": "date", "note": "text",
    }
    assert MODEL.target.labels == ("010", "NA", "None")
    assert len(np.unique(EXPECTED[:, 0])) == len(EXPECTED)  # so that rows in a wrong place show


def chosen(columns, rows, names):
    return {name: [columns[name][row] for row in rows] for name in names}


def parts(n=60):
    """Rows in some order: a permutation, a part of one, or a single row."""
    return st.permutations(range(n)).flatmap(lambda order: st.integers(1, n).map(lambda k: order[:k])) | st.integers(
        0, n - 1
    ).map(lambda row: [row])


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=parts(), names=st.permutations([*COLUMNS]))
def test_files_of_texts(dialect, rows, names, tmp_path):
    path, options = in_file(chosen(COLUMNS, rows, names), dialect, tmp_path)
    table = read_table(path, like=MODEL.schema.dialect, **options)
    assert table.n_rows == len(rows)
    np.testing.assert_array_equal(MODEL.outputs(table), EXPECTED[rows])
    blocks = read_blocks(path, rows=7, like=MODEL.schema.dialect, **options)
    np.testing.assert_array_equal(np.concatenate([MODEL.outputs(block) for block in blocks]), EXPECTED[rows])


@pytest.mark.parametrize("kind", FRAMES)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=parts(), names=st.permutations([*COLUMNS]))
def test_frames(kind, rows, names, tmp_path):
    frame = FRAMES[kind](chosen(COLUMNS, rows, names), tmp_path)
    np.testing.assert_array_equal(MODEL.outputs(frame), EXPECTED[rows])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_learned_is_the_same_from_any_file(dialect, tmp_path):
    path, options = in_file(COLUMNS, dialect, tmp_path)
    model = model_of(read_table(path, **options))
    np.testing.assert_array_equal(model.outputs(COLUMNS), EXPECTED)
    assert json.dumps(model.encoder.to_config()) == json.dumps(MODEL.encoder.to_config())


@pytest.mark.parametrize("kind", FRAMES)
def test_what_is_learned_is_the_same_from_any_frame(kind, tmp_path):
    model = model_of(Table.of(FRAMES[kind](COLUMNS, tmp_path)))
    assert [column.kind for column in model.schema.columns] == [column.kind for column in MODEL.schema.columns]
    np.testing.assert_array_equal(model.outputs(COLUMNS), EXPECTED)


CELLS = st.one_of(
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**30), 10**30) | st.integers(-(10**400), 10**400),
    st.sampled_from(["010", "1e400", "-", "$1,234.50", "12%", "nan", "1.0", "1", "True", "x", "-inf", "1_000", "0x10"]),
)


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(CELLS, min_size=1, max_size=12), rows=st.lists(st.integers(0, 11), max_size=6))
def test_numbers_and_levels_depend_on_the_cell_alone(cells, rows):
    """A column is read as numbers and as levels; each cell by itself gives what it gives among the others."""
    texts = [text_of(cell) for cell in cells]
    levels = tuple(dict.fromkeys(text for text in texts if text))
    schemas = [Schema.from_config([{"name": "a", "levels": None}])]
    if levels:
        schemas.append(Schema.from_config([{"name": "a", "levels": list(levels)}]))
    arrow = Table.of({"a": pa.chunked_array([pa.array(texts)])})
    for schema in schemas:
        whole = schema.codes({"a": cells})
        assert not np.isinf(whole).any()
        np.testing.assert_array_equal(whole, schema.codes(arrow))
        np.testing.assert_array_equal(whole, schema.codes({"a": texts}))
        picked = [row for row in rows if row < len(cells)]
        for some in (picked, picked[::-1], picked[:1]):
            if some:
                np.testing.assert_array_equal(schema.codes({"a": [cells[row] for row in some]}), whole[some])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint64], ids=lambda t: t.__name__)
def test_narrow_types_are_the_numbers_that_they_print(dtype, tmp_path):
    """A float32 0.1 is 0.1, as in a file of texts, and not 0.10000000149."""
    values = np.array([0, 1, 3, 100] if dtype in (np.int8, np.uint64) else [0.1, -2.5, 3e-5, 1000.3], dtype)
    schema = Schema.from_config([{"name": "a", "levels": None}])
    expected = [[float(str(value))] for value in values]
    frames = [{"a": values}, pd.DataFrame({"a": values}), pa.table({"a": values})]
    for frame in frames if dtype == np.float16 else [*frames, pl.DataFrame({"a": values})]:
        assert schema.codes(frame).tolist() == expected
    pd.DataFrame({"a": values}).to_csv(tmp_path / "t.csv", index=False)
    assert schema.codes(read_table(tmp_path / "t.csv")).tolist() == expected


def test_a_row_has_the_same_features_beside_any_others():
    """Also in blocks of all sizes, where vectorised loops have tails."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(67, 3)) * [1.0, 1e5, 1e-3]
    encoder = TableEncoder(["numeric", "date", "numeric"], n_bins=7).fit(codes)
    whole = encoder.transform(codes)
    for size, begin in itertools.product((1, 2, 3, 5, 8, 13), (0, 1, 9, 40)):
        np.testing.assert_array_equal(encoder.transform(codes[begin : begin + size]), whole[begin : begin + size])


@pytest.mark.parametrize("begin", [0, 1, 7, 8, 9, 23])
@pytest.mark.parametrize("chunks", [1, 3])
def test_arrays_of_arrow_give_what_lists_give(begin, chunks):
    """Slices begin anywhere in a byte of the bitmap that marks gaps."""
    words = ["1.5", "", "-3e2", None, "7", " 8", "1e400"] * 9
    numbers = [word for word in words if word != " 8"]
    for texts in (words, numbers, numbers[2:3] * 20, [None, ""] * 20, []):
        parts = [pa.array(texts, pa.string()).slice(begin) for _ in range(chunks)]
        array = parts[0] if chunks == 1 else pa.chunked_array(parts)
        found, expected = TextCells(array), TextCells(texts[begin:] * chunks)
        assert np.array_equal(found.numbers(), expected.numbers(), equal_nan=True)
        assert found.texts() == expected.texts()
