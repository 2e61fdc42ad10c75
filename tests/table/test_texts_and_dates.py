"""Sentences and dates as features, against formulas written out; and both from the command line."""

import csv
import datetime
import math

import numpy as np
import pytest
from fastreg.table.calendar_parts import PARTS, DatePart
from fastreg.table.dates import FORMS, form_of, parser
from fastreg.table.texts import Documents, TextPart, words_of
from hypothesis import given, settings
from hypothesis import strategies as st

EPOCH = datetime.datetime(1970, 1, 1)


def encoded(part, *arguments):
    *given, n = arguments
    out = np.zeros((n, part.width), np.float32)
    part.encode(given[0], out, *given[1:])
    return out


# Dates.


@settings(max_examples=60, deadline=None)
@given(st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30)))
def test_every_way_to_write_a_date_has_its_value(when):
    days = (when.replace(second=0, microsecond=0) - EPOCH).total_seconds() / 86400
    midnight = float((when.date() - EPOCH.date()).days)
    d, m, y, clock = when.day, when.month, f"{when.year:04}", f"{when.hour:02}:{when.minute:02}"
    name = datetime.date(2000, m, 1).strftime("%B")
    for form, text in (
        ("ymd", f"{y}-{m:02}-{d:02}"), ("ymd", f"{y}/{m}/{d}"), ("ymd", f"{y}.{m}.{d}"), ("dmy", f"{d}.{m}.{y}"),
        ("dmy", f"{d:02}/{m:02}/{y}"), ("dmy", f"{d} {name} {y}"), ("dmy", f"{d}-{name[:3]}-{y}"),
        ("mdy", f"{m}/{d}/{y}"), ("mdy", f"{name} {d}, {y}"), ("compact", f"{y}{m:02}{d:02}"),
    ):  # fmt: skip
        assert parser(form)(text) == midnight, text
        if form != "compact":
            assert parser(form)(f"{text} {clock}") == pytest.approx(days, abs=1e-9), text
            assert parser(form)(f"{text} {clock}:30+02:00") == pytest.approx(days + 30 / 86400 - 1 / 12, abs=1e-9)
    assert parser("ymd")(f"{y}-{m:02}-{d:02}T{clock}:30.25Z") == pytest.approx(days + 30.25 / 86400, abs=1e-9)
    assert parser("ymd")(f"{y}-{m:02}") == midnight - d + 1
    hour = when.hour % 12 or 12
    told = f"{m}/{d}/{y} {hour}:{when.minute:02} {'PM' if when.hour >= 12 else 'AM'}"
    assert parser("mdy")(told) == pytest.approx(days, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.datetimes(datetime.datetime(1969, 1, 1), datetime.datetime(2068, 12, 31)))
def test_years_of_two_digits_are_those_of_strptime(when):
    for form, style in (
        ("dmy", "%d.%m.%y"), ("dmy", "%d/%m/%y"), ("dmy", "%d-%b-%y"), ("dmy", "%d %b %y"), ("mdy", "%m/%d/%y"),
        ("dmy", "%d.%m.%y %H:%M"), ("mdy", "%m/%d/%y %I:%M %p"), ("mdy", "%m/%d/%y, %H:%M:%S"),
        ("ymd", "%y-%m-%d"), ("ymd", "%y/%m/%d %H:%M"), ("dmy", "%d-%m-%y"), ("mdy", "%m-%d-%y %H:%M"),
    ):  # fmt: skip
        text = when.strftime(style)
        known = datetime.datetime.strptime(text, style)
        assert parser(form)(text) == pytest.approx((known - EPOCH).total_seconds() / 86400, abs=1e-9), text
    assert parser("mdy")(f"{when.month}/{when.day}/{when:%y}") == (when.date() - EPOCH.date()).days


@pytest.mark.parametrize(
    "text",
    ["", "soon", "1.2.24", "1-2-24", "24/13/24", "31.12.124", "1.2.3", "10.20.30.40", "05-March-24",
     "3/5/1", "2024-13-01", "2024-02-30", "2024-01-01x", "2024-01-01 25:00", "2024-01-01 10:61", "1-2-3",
     "2024-01/01", "0000-01-01", "2024-01-01 13:00 PM", "٢٠٢٤-٠١-٠١", "1" * 500, "32.1.2024"],
)  # fmt: skip
def test_what_is_no_date(text):
    assert [parser(form)(text) for form in FORMS[:5]] == [None] * 5


def test_the_order_of_day_and_month_is_that_of_all_texts():
    assert form_of(["01/02/2024", "31/01/2024"]) == ("dmy", False)
    assert form_of(["01/02/2024", "01/31/2024"]) == ("mdy", False)
    assert form_of(["01/02/2024"]) == ("mdy", True)
    assert form_of(["01.02.2024"]) == ("dmy", False)  # points are written after days
    assert form_of(["01/01/2024"]) == ("mdy", False)  # it is the same either way
    assert form_of(["01/02/24", "31/01/24"]) == ("dmy", False)
    assert form_of(["1/2/24", "1/31/24"]) == ("mdy", False)
    assert form_of(["01/02/24"]) == ("mdy", True)
    assert form_of(["01.02.24", "1.2.2024"]) == ("dmy", False)
    assert form_of(["31/01/2024", "01/31/2024"]) == (None, False)
    assert form_of([]) == (None, False)


def test_the_parts_of_a_date():
    dates = [datetime.datetime(2024, 1, 31, 6), datetime.datetime(2023, 12, 25, 18, 30), datetime.datetime(2022, 7, 1)]
    days = np.array([(date - EPOCH).total_seconds() / 86400 for date in dates] + [np.nan])
    part = DatePart.fit(days, 0)
    assert part.parts == tuple(PARTS)
    out = encoded(part, days, 4)
    assert out.shape == (4, 2 + sum(PARTS.values()))
    for row, date in enumerate(dates):
        month, yearday, day, weekday, hour, clock = np.split(out[row, 2:], [12, 14, 16, 23, 47])
        assert np.argmax(month) == date.month - 1
        assert np.argmax(weekday) == date.weekday()
        assert np.argmax(hour) == date.hour
        for circle, share in (
            (yearday, (date.timetuple().tm_yday - 1) / 366),
            (day, (date.day - 1) / 31),
            (clock, (date.hour * 60 + date.minute) / 1440),
        ):
            angle = 2 * math.pi * share
            np.testing.assert_allclose(circle, [math.sin(angle), math.cos(angle)], atol=1e-6)
        assert month.sum() == weekday.sum() == hour.sum() == 1
    np.testing.assert_array_equal(out[3], [0, 1] + [0] * 49)  # a missing date has nothing but its mark
    assert out[0, 0] > out[1, 0] > out[2, 0]  # the age


def test_parts_that_do_not_vary_are_not_used():
    months = np.array([parser("ymd")(f"{1949 + i // 12}-{1 + i % 12:02}") for i in range(48)])
    assert DatePart.fit(months, 4).parts == ("month",)
    assert DatePart.fit(np.arange(400.0), 4).parts == ("month", "day", "weekday")
    assert DatePart.fit(np.arange(48.0) / 24, 4).parts == ("day", "weekday", "hour")
    assert DatePart.fit(np.full(3, np.nan), 4).parts == ()
    far = DatePart.fit(np.array([-1e300, 0.0, 1e300]), 4)
    assert np.isfinite(encoded(far, np.array([-1e308, 1e308, np.nan]), 3)).all()


# Texts.


def test_words():
    assert words_of("It's £5, call 0800!") == [
        *("it's", "£", "#1", "call", "#4", "!"),
        *("it's £", "£ #1", "#1 call", "call #4", "#4 !"),
    ]
    assert words_of("") == words_of(" ., ") == []
    assert words_of("Ünï_cödé") == ["ünï", "cödé", "ünï cödé"]


def test_words_are_weighted_by_their_counts_and_rarity():
    texts = ["free free call", "call me", "call you", None]
    documents = Documents(texts)
    part = TextPart.fit(np.arange(4.0), documents)
    assert part.words == ("call",)  # the only one in two rows
    assert part.weights == pytest.approx((math.log(5 / 4) + 1,))
    documents = Documents([*texts, "free free call"])
    part = TextPart.fit(np.arange(5.0), documents)
    assert part.words == ("call", "free", "free call", "free free")
    out = encoded(part, np.arange(5.0), documents, 5)
    weights = [math.log(6 / 5) + 1, (1 + math.log(2)) * (math.log(6 / 3) + 1), *[math.log(6 / 3) + 1] * 2]
    np.testing.assert_allclose(out[0, :4], 4 * np.array(weights) / np.linalg.norm(weights), rtol=1e-6)
    np.testing.assert_array_equal(out[3, :4], 0)
    np.testing.assert_array_equal(out[:, -1], [0, 0, 0, 1, 0])
    np.testing.assert_array_equal(out[0], out[4])
    style = np.array([math.log1p(len(text or "")) for text in [*texts, texts[0]]])
    np.testing.assert_allclose(out[:, 4], (style - style.mean()) / style.std(), rtol=1e-5)
    fewer = TextPart.fit(np.arange(5.0), documents, most=2)
    assert fewer.words == ("call", "free")  # those of most rows


def test_texts_and_dates_from_the_command_line(tmp_path, capsys):
    from fastreg import cli

    rng = np.random.default_rng(0)
    start = datetime.date(2023, 1, 2)
    path, model = tmp_path / "d.csv", tmp_path / "m.safetensors"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["when", "note", "y"])
        for i in range(200):
            when, late = start + datetime.timedelta(days=int(rng.integers(0, 700))), rng.random() < 0.5
            words = rng.choice(["we", "will", "be", "there", "with", "you", "and", "them"], 6).tolist()
            words.insert(int(rng.integers(0, 6)), "late" if late else "soon")
            writer.writerow([when, f"{' '.join(words)} {i}", "yes" if late or when.month in (6, 7, 8) else "no"])
    words = ["--trials", "6", "--cv", "2", "--time", "60", "--jobs", "1", "--out", str(model)]
    assert cli.main(["tune", str(path), "--target", "y", *words]) == 0
    told = capsys.readouterr()
    shown = told.out + told.err
    assert "sentences of 8.0 words on average" in shown
    assert "dates from 2023-01-" in shown
    assert cli.main(["predict", str(model), str(path)]) == 0
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    with path.open(newline="") as file:
        truth = [row[2] for row in csv.reader(file)]
    assert np.mean([row[0] == y for row, y in zip(rows[1:], truth[1:], strict=True)]) > 0.9
