"""A column means the same in every form in which pandas, Arrow, NumPy and Python hold its values."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fastreg.table import TableClassifier
from fastreg.table.numbers import NumberStyle
from fastreg.table.schema import Schema
from fastreg.table.tables import Table

SECONDS = [3600.0, 0.5, 3600.0, np.nan]
DURATIONS = pd.Series(pd.to_timedelta(SECONDS, unit="s"))
OBJECTS = [None if np.isnan(value) else datetime.timedelta(seconds=value) for value in SECONDS]
SINGLE = np.array([0.1, 0.7, 0.1, np.nan], np.float32)
TIMES = pd.Series(pd.to_datetime(["2024-01-01", "2024-02-03 04:05:06.25", "2024-01-01", None], format="ISO8601"))
GAPS = [False, False, False, True]


def arrow_categories(values):
    return pa.array(values, from_pandas=True).dictionary_encode()


FORMS = {
    "durations": (DURATIONS, [
        DURATIONS.to_numpy(), DURATIONS.tolist(), list(DURATIONS.to_numpy()), OBJECTS, pd.TimedeltaIndex(DURATIONS),
        DURATIONS.array, DURATIONS.astype(object), DURATIONS.astype("category"), pd.CategoricalIndex(DURATIONS),
        np.ma.array(DURATIONS.fillna(pd.Timedelta(0)).to_numpy(), mask=GAPS), pa.array(OBJECTS),
        pa.array(OBJECTS).dictionary_encode(),
    ]),
    "single": (SINGLE, [
        pd.Series(SINGLE), pd.Index(SINGLE), pd.array(SINGLE, dtype="Float32"), list(SINGLE), [0.1, *SINGLE[1:]],
        pd.Series(SINGLE).astype("category"), np.ma.array(np.nan_to_num(SINGLE), mask=GAPS), pa.array(SINGLE),
        arrow_categories(SINGLE),
    ]),
    "times": (TIMES, [
        TIMES.to_numpy(), TIMES.tolist(), list(TIMES.to_numpy()), pd.DatetimeIndex(TIMES), TIMES.array,
        TIMES.astype("category"), pd.DatetimeIndex(TIMES).tz_localize("UTC").tz_convert("Asia/Tokyo"),
        np.ma.array(TIMES.fillna(TIMES[0]).to_numpy(), mask=GAPS), pa.array(TIMES), arrow_categories(TIMES),
    ]),
    "integers": ([7, 2, 7, None], [
        pd.Series([7, 2, 7, None], dtype="Int64"), pd.Index([7, 2, 7, None], dtype="Int64"),
        pd.array([7, 2, 7, None], dtype="Int64"), pd.CategoricalIndex(pd.array([7, 2, 7, None], dtype="Int64")),
        np.ma.array([7, 2, 7, 0], mask=GAPS), pa.array([7, 2, 7, None]), arrow_categories([7, 2, 7, None]),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("decimal", [".", ","])
def test_all_forms_are_the_same_column(name, decimal):
    first, others = FORMS[name]
    style = NumberStyle(decimal, "." if decimal == "," else "")
    expected = Table.of({"a": first}, style)["a"]
    for form in others:
        cells = Table.of({"a": form}, style)["a"]
        assert cells.texts() == expected.texts(), type(form)
        assert np.array_equal(cells.numbers(), expected.numbers(), equal_nan=True), type(form)
        assert np.array_equal(cells.days("ymd"), expected.days("ymd"), equal_nan=True), type(form)


def test_durations_are_numbers_of_seconds_beside_other_texts():
    assert Table.of({"a": ["slow", *OBJECTS]})["a"].texts() == ["slow", "3600.0", "0.5", "3600.0", None]
    in_days = np.array([1, 2, "NaT"], "timedelta64[D]")
    assert Table.of({"a": list(in_days)})["a"].texts() == Table.of({"a": in_days})["a"].texts() == [
        "86400.0", "172800.0", None
    ]  # fmt: skip


def test_durations_in_months_have_no_seconds():
    table = Table.of({"a": np.array([1, 2], "timedelta64[M]"), "b": [0.5, 1.5]})
    assert Schema.infer(table).left_out == {"a": "its cells are durations in months"}
    assert Table.of({"a": list(np.array([1, "NaT"], "timedelta64[Y]"))})["a"].texts() == ["1 years", None]


def test_categories_that_are_lists_are_left_out():
    index = pd.MultiIndex.from_tuples([(1, 2), (3, 4)])
    for column in (index, pd.Series(pd.Categorical([(1, 2), (3, 4)]))):
        left_out = Schema.infer({"a": column, "b": [0.5, 1.5]}).left_out
        assert left_out == {"a": "its cells are objects of type tuple"}


def test_categories_of_floats_stay_floats_as_classes():
    x = np.random.default_rng(0).normal(size=40)
    for form in (pd.Series, pd.Categorical, lambda values: pd.Series(values).astype("category")):
        model = TableClassifier(seed=0, time=1.0).fit({"x": x}, form(np.where(x < 0.0, 0.5, 1.5)))
        assert model.classes_.tolist() == [0.5, 1.5]


PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9, "ps": 10**12, "fs": 10**15, "as": 10**18}


@pytest.mark.parametrize("step", [1, 25])
@pytest.mark.parametrize("unit", PER_SECOND)
def test_times_of_every_unit_are_days_and_durations_of_every_unit_are_seconds(unit, step):
    counts = np.array([0, 1, 3, -2, 7 * PER_SECOND[unit] // (2 * step), -PER_SECOND[unit] // step, 0])
    expected = counts * step / PER_SECOND[unit]
    expected[-1] = np.nan
    durations, times = counts.astype(f"m8[{step}{unit}]"), counts.astype(f"M8[{step}{unit}]")
    durations[-1], times[-1] = "NaT", "NaT"
    for form in (durations, list(durations)):
        np.testing.assert_allclose(Table.of({"a": form})["a"].numbers(), expected, rtol=1e-15)
    rounded = np.finfo(np.float64).eps / 86_400.0  # whole seconds and the rest are added up
    np.testing.assert_allclose(Table.of({"a": times})["a"].days("ymd"), expected / 86_400.0, rtol=1e-15, atol=rounded)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_numbers_are_left_out_in_every_form(dtype):
    numbers = np.array([1 + 2j, 3 - 1j, 1 + 2j, 0j], dtype)
    listed = [numbers.tolist(), list(numbers), numbers.astype(object), [None, *numbers[1:]]]
    for form in (numbers, pd.Series(numbers), pd.Series(numbers).astype("category"), *listed):
        table = Table.of({"a": form, "b": [0.5, 1.5, 2.5, 3.5]})
        assert Schema.infer(table).left_out == {"a": "its cells are complex numbers"}, type(form)
