"""Model files that anyone may have written: each field is checked, and a file is loaded or refused by a ValueError."""

import copy
import itertools
import json

import fastreg as fr
import numpy as np
import pytest
from fastreg.model import files
from fastreg.model.core import core_of
from fastreg.table import Schema, TableOptions, Target
from fastreg.table.model import TableModel

N = 40
TABLE = {
    "number": [None, *np.linspace(-1, 1, N - 1).tolist()],
    "level": (["a", "b", "c", "d"] * N)[:N],
    "day": [f"2024-{1 + i % 12:02}-{1 + i % 28:02} {i % 24:02}:00" for i in range(N)],
    "note": [f"some words about {i}" for i in range(N)],
    "y": (["no", "yes"] * N)[:N],
}


@pytest.fixture(scope="module")
def model():
    schema = Schema.infer(TABLE, target="y", options=TableOptions(text=["note"], missing=["gone"], id=()))
    encoder = schema.encoder(TABLE, n_bins=3, min_count=2)
    width = encoder.fit(schema.codes(TABLE)).n_features
    network = fr.Sequential([fr.layers.Dense(1, "sigmoid")], seed=0)
    network.build(width)
    return TableModel(schema, (encoder.without_documents(),), network, Target.infer(TABLE, "y"))


def description(model):
    return {
        "schema": model.schema.to_config(), "encoder": model.encoder.to_config(), "target": model.target.to_config(),
    }  # fmt: skip


def loaded(model, table, tmp_path):
    files.save(core_of(model.model), tmp_path / "m.safetensors", include_optimizer=False, extra={"table": table})
    return TableModel.load(tmp_path / "m.safetensors")


def places(value, path=()):
    """The path of every member of a JSON form, of lists the first two."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))[:2]
    else:
        items = []
    for key, member in items:
        yield (*path, key)
        yield from places(member, (*path, key))


def replaced(table, path, value):
    table = copy.deepcopy(table)
    *way, last = path
    inner = table
    for key in way:
        inner = inner[key]
    inner[last] = value
    return table


HOSTILE = [None, True, 0.5, -1, 10**400, 1e308, -1e308, "x", "", [], {}, [[]], [10**400], ["a", "a"], {"x": 1}]


def test_every_field_is_checked(model, tmp_path):
    """Each field is replaced by values of every kind. What is loaded nevertheless predicts finite numbers or NaN."""
    table = description(model)
    assert loaded(model, table, tmp_path).predict(TABLE) == model.predict(TABLE)
    refused = 0
    for path, value in itertools.product(places(table), HOSTILE):
        changed = replaced(table, path, value)
        if changed == table:
            continue
        try:
            schema, encoder, target = (
                Schema.from_config(changed.get("schema")),
                type(model.encoder).from_config(changed.get("encoder")),
                Target.from_config(changed.get("target")),
            )
        except ValueError:
            refused += 1
            continue
        if schema.columns and encoder.kinds == tuple(column.kind for column in schema.columns):
            rows = {column.name: TABLE.get(column.name, [None] * N) for column in schema.columns}
            codes = schema.codes(rows)
            features = encoder.transform(codes, schema.documents(rows))
            assert np.isfinite(features).all(), (path, value)
        assert json.dumps(target.to_config())
    assert refused > 400


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("encoder", "n_bins"), 0.5, "n_bins must be of type int, got 0.5"),
        (("encoder", "min_count"), 0, r"min_count must be in \[1, "),
        (("encoder", "parts", 0, "edges"), [0, 10**400], r"edge must be a number of at most 1e\+300 in size"),
        (("encoder", "parts", 0, "edges"), [1.0, 1.0], "edges of bins must increase"),
        (("encoder", "parts", 0, "scale"), None, "scale must be a number"),
        (("encoder", "parts", 1, "levels"), [0, 7], "the encoder has levels that the column lacks, which has 4"),
        (("encoder", "parts", 1, "levels"), [0, 0], "must be different"),
        (("encoder", "parts", 2, "parts"), ["hour", "month"], "must be of month, day, weekday, hour, in this order"),
        (("encoder", "parts", 3, "weights"), [], "must be different and have a weight each"),
        (("encoder", "kinds", 0), "categorical", "unknown member"),
        (("encoder", "parts"), [], "statistics of 0"),
        (("schema", "columns", 0, "kind"), "date", "cannot have the form ''"),
        (("schema", "columns", 2, "form"), "ymd ", "cannot have the form"),
        (("schema", "columns", 0, "name"), "level", "columns with different names"),
        (("schema", "columns"), [], "columns with different names"),
        (("schema", "dialect", "sep"), "::", "sep must be one character"),
        (("schema", "dialect", "decimal"), "x", "decimal must be"),
        (("schema", "more"), 1, "schema has an unknown member 'more'"),
        (("target", "labels"), ["a"], "at least two different labels, got 1"),
        (("target", "labels"), ["a", "a"], "at least two different labels"),
        (("target", "label_kind"), "integer", "labels of kind integer cannot be 'no'"),
        (("target", "label_kind"), "float", "labels of kind float cannot be 'no'"),
        (("target", "scale"), 0.0, "scale must be > 0"),
        (("target", "mean"), 10**400, "mean must be a finite number, got about"),
        (("extra",), 1, "table has an unknown member 'extra'"),
        (("target",), None, "target must be of type dict, got None"),
    ],
    ids=str,
)
def test_what_is_said(model, tmp_path, path, value, message):
    with pytest.raises(ValueError, match=rf"m\.safetensors: .*{message}"):
        loaded(model, replaced(description(model), path, value), tmp_path)


def test_a_file_of_the_previous_form_loads(model, tmp_path):
    """Its schema is a list of columns without kinds, its encoder has flags, its target nothing but text labels."""
    keep = [0, 1]
    table = description(model)
    schema = [{"name": c["name"], "levels": c.get("levels")} for c in table["schema"]["columns"][:2]]
    encoder = {"categorical": [False, True], "n_bins": 3, "min_count": 2,
               "parts": [table["encoder"]["parts"][i] for i in keep]}  # fmt: skip
    target = {"name": "y", "labels": ["no", "yes"], "mean": 0.0, "scale": 1.0}
    network = fr.Sequential([fr.layers.Dense(1, "sigmoid")], seed=0)
    network.build(sum(model.encoder.widths[:2]))
    path = tmp_path / "older.safetensors"
    extra = {"table": {"schema": schema, "encoder": encoder, "target": target}}
    files.save(core_of(network), path, include_optimizer=False, extra=extra)
    older = TableModel.load(path)
    assert [column.kind for column in older.schema.columns] == ["numeric", "categorical"]
    features = model.encoder.transform(model.schema.codes(TABLE), model.schema.documents(TABLE))
    expected = network.predict(features[:, : sum(model.encoder.widths[:2])], verbose=0)
    np.testing.assert_array_equal(older.outputs(TABLE), expected)
    older.save(path)
    np.testing.assert_array_equal(TableModel.load(path).outputs(TABLE), expected)
