"""Times of day as features, and dates whose year has two digits, compared with those of Python's own parser."""

import datetime

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fastreg.table import Schema, Table, TableClassifier, read_table
from fastreg.table.dates import form_of, parser

N = 200
_RNG = np.random.default_rng(0)
SECONDS = _RNG.permutation(1440)[:N] * 60
TIMES = [(datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=int(s))).time() for s in SECONDS]
LATE = ["late" if s > 12 * 3600 else "early" for s in SECONDS]
NUMBERS = SECONDS / 86400
# A moment is read as days since 1970, which have fewer digits after the point.
EPS = np.finfo(np.float64).eps


def frames():
    for form in ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M%p"):
        yield form, {"t": [time.strftime(form) for time in TIMES]}
    yield "Python", {"t": TIMES}
    yield "pandas", pd.DataFrame({"t": TIMES})
    yield "pandas over Arrow", pd.DataFrame({"t": pd.Series(TIMES, dtype=pd.ArrowDtype(pa.time64("us")))})
    yield "polars", pl.DataFrame({"t": TIMES})
    yield "Arrow", pa.table({"t": pa.array(TIMES, pa.time32("s"))})


@pytest.mark.parametrize("kind", [name for name, _ in frames()])
def test_columns_of_times(kind):
    frame = dict(frames())[kind]
    schema = Schema.infer(frame)
    assert [(column.kind, column.form) for column in schema.columns] == [("date", "time")]
    least, most = min(TIMES).strftime("%H:%M"), max(TIMES).strftime("%H:%M")
    assert schema.dictionary["t"].reason == f"times of day from {least} to {most}"
    np.testing.assert_array_equal(schema.codes(frame)[:, 0], NUMBERS)


def test_files(tmp_path):
    book = openpyxl.Workbook()
    for value in ("t", *TIMES):
        book.active.append([value])
    book.save(tmp_path / "t.xlsx")
    pl.DataFrame({"t": TIMES}).write_parquet(tmp_path / "t.parquet")
    pl.DataFrame({"t": TIMES}).write_csv(tmp_path / "t.csv")
    for name in ("t.xlsx", "t.parquet", "t.csv"):
        table = read_table(tmp_path / name)
        np.testing.assert_array_equal(Schema.infer(table).codes(table)[:, 0], NUMBERS)


def test_what_a_time_is():
    read = parser("time")
    assert [read(text) for text in ("0:00", "06:00", "12:00 am", "12:00 PM", "23:59:59.5")] == [
        0.0, 0.25, 0.0, 0.5, (86400 - 0.5) / 86400,
    ]  # fmt: skip
    assert (read("24:00"), read("06:00Z"), read("01:00+02:00"), read("06:00:00-06:00")) == (0.0, 0.25, 23 / 24, 0.5)
    for text in ("24:01", "8:5", "12:60", "13:00 PM", "08:30 x", "2024-01-01 08:30", "123:00", "8", ""):
        assert read(text) is None
    assert form_of(["36:15", "08:30"]) == (None, False)  # durations


def test_later_rows_may_have_times_of_any_type():
    schema = Schema.infer({"t": [time.strftime("%H:%M") for time in TIMES]})
    moment = np.array(["2024-05-01T08:30", "NaT"], "datetime64[ms]")
    for cells in (["8:30 AM", None], [datetime.time(8, 30), None], moment, pd.Series(moment)):
        np.testing.assert_allclose(schema.codes({"t": cells})[:, 0], [8.5 / 24, np.nan], rtol=0, atol=20000 * EPS)


def test_a_model_learns_from_the_time(tmp_path):
    """The classes follow from the hour; a file keeps the form."""
    texts = [time.strftime("%H:%M") for time in TIMES]
    model = TableClassifier(time=None).fit({"t": texts}, LATE)
    new = [f"{hour:02}:07" for hour in range(24) if hour not in (11, 12)]
    truth = ["late" if text > "12" else "early" for text in new]
    assert model.predict({"t": new}).tolist() == truth
    model.save(tmp_path / "m")
    loaded = TableClassifier.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba({"t": new}), model.predict_proba({"t": new}))


def test_a_column_of_one_time_of_the_last_second_and_with_odd_texts():
    one = Schema.infer({"t": ["08:30"] * 50, "a": [0.5, 1.5] * 25})
    assert one.left_out == {"t": "it has one time"}
    last = Schema.infer({"t": [*(time.strftime("%H:%M:%S") for time in TIMES), "23:59:59.7"]})
    assert last.dictionary["t"].reason.endswith("to 23:59")
    odd = Schema.infer({"t": [*(time.strftime("%H:%M") for time in TIMES), "noon"]})
    assert (odd.columns[0].form, odd.dictionary["t"].taken_for_missing) == ("time", ("noon",))


_DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(day)) for day in _RNG.permutation(1000)[:N]]
_OLD = [datetime.date(1970, 1, 1) + datetime.timedelta(days=int(day)) for day in _RNG.permutation(20000)[:N]]
_MONTHS = [datetime.date(2024 + i // 12, 1 + i % 12, 1) for i in range(30)]


@pytest.mark.parametrize(
    ("form", "pattern", "days", "unsure"),
    [
        ("ymd", "%y-%m-%d", _DAYS, True),
        ("ymd", "%y-%m-%d %H:%M", _DAYS, True),
        ("ymd", "%y-%m-%d", _MONTHS, True),
        ("ymd", "%y-%m-%d", _OLD, False),
        ("ymd", "%y/%m/%d", _OLD, False),
        ("ymd", "%y.%m.%d", _OLD, False),
        ("dmy", "%d-%m-%y", _DAYS, False),
        ("dmy", "%d-%m-%y", _MONTHS, True),
        ("dmy", "%d-%m-%y", _OLD, False),
        ("dmy", "%d/%m/%y", _DAYS, False),
        ("dmy", "%d.%m.%y", _MONTHS, False),
        ("mdy", "%m-%d-%y", _DAYS, False),
        ("mdy", "%m/%d/%y", _DAYS, False),
    ],
)
def test_years_of_two_digits(form, pattern, days, unsure):
    texts = [day.strftime(pattern) for day in days]
    assert form_of(texts) == (form, unsure)
    assert form_of([*texts[:20]])[0] == form
    schema = Schema.infer({"d": [*texts, "soon"]})  # an odd text does not change the form
    truth = [(day - datetime.date(1970, 1, 1)).days for day in days]
    np.testing.assert_array_equal(schema.codes({"d": texts})[:, 0], truth)


def test_a_year_of_four_digits_comes_first_even_if_it_is_as_small_as_a_day():
    """Such years are in numbers of files and cases, often without a day."""
    assert form_of(["0012-05", "0013-06"]) == ("ymd", False)
    assert form_of(["0012-05-01", "0013/06/02"]) == ("ymd", False)
    texts = [f"{year:04}-{month:02}" for year in range(1, 31) for month in (2, 5)]
    column = Schema.infer({"d": texts, "a": [0.5, 1.5] * 30}).columns[0]
    assert (column.kind, column.form) == ("date", "ymd")


@pytest.mark.parametrize(("form", "pattern"), [("dmy", "%d/%m/%y"), ("dmy", "%d-%m-%y"), ("dmy", "%d.%m.%y")])
def test_a_wrong_day_does_not_make_a_year_of_days(form, pattern):
    """31 February could only be a year and a month, and 32 no day at all."""
    texts = [day.strftime(pattern) for day in _DAYS]
    for wrong in (datetime.date(2024, 2, 1).strftime(pattern).replace("01", "31", 1), "32" + texts[0][2:]):
        column = Schema.infer({"d": [*texts, wrong]})
        assert (column.columns[0].form, column.dictionary["d"].taken_for_missing) == (form, (wrong,))


def test_slashes_after_a_year_that_may_be_a_day_are_told():
    """The year comes last, as before, but the data dictionary says that it might not."""
    texts = [day.strftime("%y/%m/%d") for day in _DAYS]
    assert form_of(texts) == ("dmy", True)
    assert "which could also be read the other way" in Schema.infer({"d": texts}).dictionary["d"].reason
    assert Table.of({"d": texts})["d"].days("ymd").tolist() == [
        (day - datetime.date(1970, 1, 1)).days for day in _DAYS
    ]


_SHORT = [f"24/{month:02}/{day:02}" for month in (3, 4, 5) for day in range(1, 29)]
_LATER = [f"2024/{month:02}/{day:02}" for month in (1, 2) for day in range(1, 29)]
_DAY_FIRST = [text[6:] + text[2:6] + text[:2] for text in _SHORT]


@pytest.mark.parametrize("separator", ["/", "-", "."])
@pytest.mark.parametrize("long", [_LATER[:2], _LATER])
def test_years_of_four_digits_say_where_those_of_two_are(separator, long):
    short, long = ([text.replace("/", separator) for text in texts] for texts in (_SHORT, long))
    for texts in ([*short, *long], [*long, *short]):
        assert form_of(texts) == ("ymd", True)
        schema = Schema.infer({"d": texts})
        assert "year first, which could also be read the other way" in schema.dictionary["d"].reason
        truth = [datetime.date(2000 + int(text[-8:-6]), int(text[-5:-3]), int(text[-2:])) for text in texts]
        days = [(day - datetime.date(1970, 1, 1)).days for day in truth]
        np.testing.assert_array_equal(schema.codes({"d": texts})[:, 0], days)


@pytest.mark.parametrize("separator", ["/", "-", "."])
def test_days_are_no_years_because_other_texts_begin_with_one(separator):
    """28 different first numbers beside one last number are days: read as years they were 2001 to 2028."""
    short, long = ([text.replace("/", separator) for text in texts] for texts in (_DAY_FIRST, _LATER))
    assert form_of([*short, *long]) == (None, False)
    assert [column.kind for column in Schema.infer({"d": [*short, *long], "a": [0.5, 1.5] * 70}).columns][-1] != "date"
    few = Schema.infer({"d": [*short, *long[:2]]})  # a few odd texts are missing, and said
    assert few.columns[0].form == "dmy"
    assert few.dictionary["d"].taken_for_missing == tuple(long[:2])
