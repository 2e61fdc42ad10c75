"""Columns of every type of Arrow, also within pandas and with missing cells, are what they are in Arrow itself."""

import datetime
import decimal
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fastreg.table import Table, TableClassifier, distill
from fastreg.table.columns import OtherCells

_DATE, _MOMENT, _LENGTH = datetime.date, datetime.datetime, datetime.timedelta
COLUMNS = {
    "date32": ([_DATE(2024, 1, 2), None, _DATE(1600, 1, 1)], pa.date32()),
    **{
        f"timestamp {unit} {zone}": ([_MOMENT(2024, 1, 2, 3, 4), None, _MOMENT(1990, 1, 1)], pa.timestamp(unit, zone))
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Berlin")
    },
    **{f"duration {u}": ([_LENGTH(seconds=5), None, _LENGTH(days=-1)], pa.duration(u)) for u in ("s", "ms", "ns")},
    "time32": ([datetime.time(1, 2), None, datetime.time(3)], pa.time32("s")),
    "time64": ([datetime.time(1, 2), None, datetime.time(3)], pa.time64("us")),
    "decimal": ([decimal.Decimal("1.50"), None, decimal.Decimal("2.25")], pa.decimal128(6, 2)),
    "bool": ([True, None, False], pa.bool_()),
    "float16": ([np.float16(1.5), None, np.float16(2)], pa.float16()),
    "float32": ([0.1, None, 0.2], pa.float32()),
    "uint64": ([2**64 - 1, None, 3], pa.uint64()),
    "int64": ([-(2**63), None, 3], pa.int64()),
    "string": (["a", None, "b"], pa.string()),
    "large string": (["a", None, "b"], pa.large_string()),
    "dictionary": (["a", None, "b"], pa.dictionary(pa.int8(), pa.string())),
    "null": ([None, None, None], pa.null()),
}


def told(table):
    cells = table["x"]
    return cells.texts(), repr(cells.numbers().tolist()), repr(cells.days("ymd").tolist())


@pytest.mark.parametrize("name", COLUMNS)
def test_pandas_and_polars_over_arrow(name):
    values, kind = COLUMNS[name]
    whole = pa.array(values, kind)
    for array in (whole, whole.take([0, 2])):
        table = pa.table({"x": array})
        expected = told(Table.of(table))
        split = pa.table({"x": pa.chunked_array([array.slice(0, 0), array])})
        for frame in (pd.DataFrame({"x": pd.Series(array, dtype=pd.ArrowDtype(kind))}), pl.from_arrow(table), split):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert told(Table.of(frame)) == expected


def test_dictionaries_of_numbers_in_pandas():
    kind = pa.dictionary(pa.int8(), pa.int64())
    series = pd.Series(pa.array([10, None, 20], kind), dtype=pd.ArrowDtype(kind))
    assert Table.of(pd.DataFrame({"x": series}))["x"].texts() == ["10", None, "20"]


def test_objects_without_a_text_are_no_feature():
    """Their texts would be addresses; objects that have a text of their own have that."""

    class Silent:
        pass

    frame = pd.DataFrame({"a": [Silent() for _ in range(60)], "b": [object(), *range(59)], "c": np.arange(60) % 7 / 2})
    table = Table.of(frame)
    assert isinstance(table["a"], OtherCells)
    assert isinstance(table["b"], OtherCells)
    model = TableClassifier(time=5.0).fit(frame, ["no", "yes"] * 30)
    assert model.feature_names_in_.tolist() == ["c"]
    assert model.dictionary_["a"].reason == "its cells are objects of type Silent"
    assert Table.of({"a": [pd.Period("2024-01"), pd.Period("2024-02")]})["a"].texts() == ["2024-01", "2024-02"]


def test_a_lazy_frame_is_refused_without_a_warning():
    lazy = pl.DataFrame({"a": np.arange(9.0), "y": [0, 1, 0] * 3}).lazy()
    message = re.compile(r"got .*\(LazyFrame\); call its collect\(\)", re.DOTALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for work in (lambda: TableClassifier().fit(lazy, "y"), lambda: distill(lambda x: x, lazy, "y")):
            with pytest.raises(TypeError, match=message):
                work()
