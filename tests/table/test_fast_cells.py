"""The core's loops over texts: numbers against Python's float, levels against a dictionary, lines against Arrow's."""

from __future__ import annotations

import re

import numpy as np
import pyarrow
import pytest
from fastreg import _core
from fastreg.table import fast_cells
from fastreg.table.columns import TextCells
from fastreg.table.encoder import TableEncoder
from fastreg.table.kinds import Column
from fastreg.table.notices import Notices
from fastreg.table.schema import Schema


def texts(values):
    return pyarrow.array(values, pyarrow.string())


def written_numbers(rng):
    """Numbers in all plain forms: with and without decimals, signs and exponents, of 1 to 25 digits."""
    found = ["0", "-0", "0.0", "5.", ".5", "-.5", "1e5", "1E-5", "1.5e+3", "9007199254740993", "9007199254740992.5"]
    found += ["99999999.99999999", "12345678", "123456789", "1.123456789", "4.9e-324", "2.2250738585072011e-308"]
    found += ["1.7976931348623157e308", "0.1", "00012", "12345678.", "0.30000000000000004", "1e22", "1e23", "8e-23"]
    for _ in range(3000):
        digits = "".join(map(str, rng.integers(10, size=rng.integers(1, 26))))
        point = rng.integers(-1, len(digits) + 1)
        number = digits if point < 0 else f"{digits[:point]}.{digits[point:]}"
        exponent = f"e{rng.integers(-40, 40)}" if rng.random() < 0.2 else ""
        found.append(("-" if rng.random() < 0.5 else "") + number + exponent)
    return [*found, *map(repr, rng.normal(size=500).tolist()), *map(str, np.round(rng.normal(100, 50, 2000), 3))]


def test_numbers_are_those_of_python():
    written = written_numbers(np.random.default_rng(0))
    found = fast_cells.numbers_of(texts(written))
    want = np.array([float(text) for text in written])
    np.testing.assert_array_equal(found, want)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(want))


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_numbers_at_the_end_of_the_memory(n):
    """A text near the end of the data, behind which no bytes may be read, is the same number."""
    written = ["12.5", "-7", "1234567.25", "", "3.", "-0.125", "99999999"][:n]
    found = fast_cells.numbers_of(texts(written))
    np.testing.assert_array_equal(found, [float(text) if text else np.nan for text in written])


def test_numbers_of_a_part_of_an_array():
    whole = texts([str(i / 4) for i in range(100)])
    np.testing.assert_array_equal(fast_cells.numbers_of(whole.slice(13, 50)), np.arange(13, 63) / 4)


@pytest.mark.parametrize(
    "odd",
    [" 1", "1 ", "+1", "1e", "1e+", "e5", ".", "-", "-.", "1.2.3", "--1", "1-", "1,5", "inf", "nan", "0x1", "1_0"],
)
@pytest.mark.parametrize("behind", [0, 30])
def test_other_texts_are_left_to_the_general_way(odd, behind):
    assert fast_cells.numbers_of(texts(["1.5", odd, *["2.25"] * behind])) is None


def test_every_byte_that_is_no_digit_is_found():
    """At each place of a short number, also those of which only the highest bit tells."""
    for place in range(9):
        for byte in range(1, 128):
            text = list("1234.5678")
            text[place] = chr(byte)
            written = "".join(text)
            found = fast_cells.numbers_of(texts([written, "0" * 20]))
            want = float(written) if re.fullmatch(r"-?[0-9]*\.?[0-9]*([eE][0-9]+)?", written) else np.inf
            assert (np.inf if found is None else found[0]) == want, written


@pytest.mark.parametrize("beyond", ["1e400", "-1e309", "1e-400"])
def test_numbers_beyond_doubles_are_left_to_the_general_way(beyond):
    assert fast_cells.numbers_of(texts([beyond])) is None
    assert np.isfinite(TextCells(texts([beyond, "1"])).numbers()).all()


def test_other_arrays_are_left_to_the_general_way():
    assert fast_cells.numbers_of(texts(["1", None])) is None
    assert fast_cells.numbers_of(pyarrow.chunked_array([["1"], ["2"]])) is None
    assert fast_cells.numbers_of(pyarrow.array(["1"], pyarrow.large_string())) is None
    assert fast_cells.numbers_of(texts([])) is None


def alike_texts(rng):
    """Texts of 0 to 40 bytes, many of which differ in a single byte at any place."""
    found = {"", "a", "ab", "ba", "aba", "ab\u00e9", "\u00e9\u00e9"}
    for size in range(1, 41):
        base = list("abcdefghij" * 4)[:size]
        for place in range(size):
            changed = base.copy()
            changed[place] = chr(ord("k") + rng.integers(10))
            found.add("".join(changed))
    return sorted(found)


def test_levels_are_those_of_a_dictionary():
    rng = np.random.default_rng(1)
    known = alike_texts(rng)
    levels = [text for text in known if rng.random() < 0.6]
    codes = rng.permutation(len(levels)).astype(np.float64)
    cells = [known[i] for i in rng.integers(len(known), size=5000)]
    found = fast_cells.codes_of(texts(cells), fast_cells.packed(levels), codes)
    index = dict(zip(levels, codes.tolist(), strict=True))
    np.testing.assert_array_equal(found, [index.get(text, np.nan) for text in cells])


def test_without_levels_no_text_has_a_code():
    found = fast_cells.codes_of(texts(["", "a"]), fast_cells.packed([]), np.empty(0))
    assert np.isnan(found).all()


def test_cells_are_the_same_levels_as_in_a_list():
    """With spaces, other ways to write a number, missing cells and unknown levels; with the same notices."""
    column = Column("c", ("1", "north", " odd", "?", "NA", "x\ud800"))
    cells = ["north", " north", "1", "1.0", "?", "", "NA", "south", " odd", "odd", "south", "west", "x"]
    for missing in ((), ("NA",)):
        schema, notices, others = Schema((column,), missing=missing), Notices(), Notices()
        from_arrow = schema.codes({"c": texts(cells)}, notices)
        from_list = schema.codes({"c": cells}, others)
        np.testing.assert_array_equal(from_arrow, from_list)
        assert notices.lines() == others.lines() != []
        assert np.isnan(from_arrow).sum() > 0


def arrow_lines(columns):
    from pyarrow import csv

    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table([pyarrow.array(column) for column in columns], [str(i) for i in range(len(columns))])
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, quoting_style="none"))
    return str(sink.getvalue().to_pybytes(), "utf-8")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numbers_are_written_as_arrow_writes_them(kind):
    rng = np.random.default_rng(2)
    integers = {np.float32: np.uint32, np.float64: np.uint64}[kind]
    bits = rng.integers(0, 2 ** (8 * np.dtype(kind).itemsize), size=20_000, dtype=integers).view(kind)
    firsts = [1.0, 1.5, 1.2345678, 9.9999, -1.0, -2.5]
    powers = np.array([first * 10.0**power for power in range(-13, 26) for first in firsts])
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e22, 5e-324, 2.0**53, 2.0**24, 1 / 3, 123456.0])
    with np.errstate(over="ignore"):
        usual = np.concatenate([powers, special, rng.normal(size=20_000), np.round(rng.normal(size=500), 3)])
        usual = usual.astype(kind)
    for values in (bits, usual):
        assert fast_cells.lines([values]) == arrow_lines([values])


def test_labels_are_written_as_they_are():
    rng = np.random.default_rng(3)
    labels, chosen = ["yes", "", "vielleicht \u00e9"], rng.integers(3, size=1000)
    shares = rng.random((1000, 2), np.float32)
    columns = [(fast_cells.packed(labels), chosen), shares[:, 1], rng.normal(size=1000)]
    want = arrow_lines([[labels[i] for i in chosen], *columns[1:]])
    assert fast_cells.lines(columns) == want
    assert fast_cells.lines([np.empty(0)]) == fast_cells.lines([]) == ""


def test_rows_are_those_of_the_general_way():
    """Codes in C order are encoded column by column."""
    rng = np.random.default_rng(4)
    codes = rng.normal(size=(1000, 4)) * [1.0, 1e-3, 1e3, 1.0] + [0.0, 1e6, 0.0, 0.0]
    codes[:, 3] = rng.integers(5, size=1000)
    codes[rng.random(codes.shape) < 0.1] = np.nan
    codes[0], codes[1] = 1e300, -1e300
    encoder = TableEncoder(["numeric"] * 3 + ["categorical"], n_bins=8, dense=False).fit(codes[2:])
    assert [offset != 0.0 for _, offset in encoder.raw_columns] == [False, True, False, False]
    for rows in (codes, codes[:1], codes[:63], codes[:0]):
        found = encoder.transform(np.asfortranarray(rows))
        want = np.array([part.given(rows[:, i]) for i, part in enumerate(encoder._parts)]).T
        np.testing.assert_array_equal(found, want.reshape(found.shape))


ENDS, BYTES = np.array([0, 1, 3], np.int32), np.frombuffer(b"123", np.uint8)


@pytest.mark.parametrize(
    ("offsets", "data", "told"),
    [
        (np.array([], np.int32), BYTES, "offsets must have one element at least"),
        (np.array([-1, 1], np.int32), BYTES, "offsets must ascend from 0 or more"),
        (np.array([0, 2, 1], np.int32), BYTES, "offsets must ascend from 0 or more"),
        (np.array([0, 4], np.int32), BYTES, "offsets must be within the data"),
    ],
)
def test_offsets_beyond_the_data_are_refused(offsets, data, told):
    with pytest.raises(ValueError, match=told):
        _core.read_numbers(offsets, data)
    with pytest.raises(ValueError, match=told):
        _core.find_levels(ENDS, BYTES, offsets, data, np.zeros(max(len(offsets) - 1, 0)))
    with pytest.raises(ValueError, match=told if len(offsets) else "a column must have numbers or labels with offsets"):
        _core.lines([(np.zeros(1, np.int64), offsets, data)])


def test_wrong_arrays_are_refused():
    with pytest.raises(TypeError, match="offsets must have dtype int32"):
        _core.read_numbers(ENDS.astype(np.int64), BYTES)
    with pytest.raises(TypeError, match="data must have dtype uint8"):
        _core.read_numbers(ENDS, BYTES.astype(np.int8))
    with pytest.raises(ValueError, match="codes must have an element for each level"):
        _core.find_levels(ENDS, BYTES, ENDS, BYTES, np.zeros(1))
    with pytest.raises(ValueError, match="the number of a label must be that of one"):
        _core.lines([(np.array([2]), ENDS, BYTES)])
    with pytest.raises(ValueError, match="the number of a label must be that of one"):
        _core.lines([(np.array([-1]), ENDS, BYTES)])
    with pytest.raises(ValueError, match="columns must have the same number of rows"):
        _core.lines([np.zeros(2), np.zeros(3)])
    with pytest.raises(ValueError, match="labels must be their numbers, offsets and bytes"):
        _core.lines([(ENDS,)])
    with pytest.raises(TypeError, match="a column must have dtype float64"):
        _core.lines([np.zeros(2, np.int64)])
    with pytest.raises(ValueError, match="codes must have a row for each offset"):
        _core.to_rows(np.zeros((2, 3)), np.zeros(3))
