"""What columns are taken for, and why; and that it is decided once and from the whole table."""

import datetime
import decimal

import numpy as np
import pytest
from fastreg.table import Schema, Table, TableOptions, read_table
from fastreg.table.notices import Notices

N = 60
RNG = np.random.default_rng(0)
SENTENCES = [f"please call number {i} now or never" for i in range(N)]
FLOATS = RNG.normal(size=N).tolist()


def entry_of(cells, name="a", **options):
    table = {name: list(cells), "other": FLOATS[: len(cells)]}
    return Schema.infer(table, options=TableOptions(**options)).dictionary[name]


def repeated(*cells):
    return (list(cells) * N)[:N]


@pytest.mark.parametrize(
    ("cells", "kind", "reason"),
    [
        (repeated(1, 2, 3, 4, 5), "numeric", "from 1 to 5, taken for amounts on a scale"),
        (list(RNG.integers(0, 40, N)), "numeric", "taken for counts or amounts"),
        (FLOATS, "numeric", "numbers from"),
        (repeated("010", "020", "030"), "categorical", "leading zeros"),
        (repeated("02139", "10001", "94105"), "categorical", "leading zeros"),
        (repeated("010", "020", "E11", "030"), "categorical", "4 levels"),
        (repeated("0.5", "00.5", "1"), "categorical", "leading zeros"),
        (repeated("0", "0.25", "-0.5"), "numeric", "numbers from -0.5"),
        (repeated(True, False), "categorical", "'False', 'True'"),
        (repeated("red", "blue"), "categorical", "2 levels"),
        (repeated("2024-01-05", "2024-02-07"), "date", "dates from 2024-01-05 to 2024-02-07"),
        (repeated("31.12.2023", "01.02.2024"), "date", "day before month from 2023-12-31 to 2024-02-01"),
        (repeated("12/31/2023", "02/01/2024"), "date", "month before day from 2023-12-31 to 2024-02-01"),
        (repeated("01/02/2024", "03/04/2024"), "date", "which could also be read the other way"),
        (repeated("5 Jan 2024", "17 March 2025"), "date", "from 2024-01-05 to 2025-03-17"),
        (repeated(datetime.date(2024, 1, 5), datetime.date(2025, 1, 5)), "date", "dates"),
        (SENTENCES, "text", "7.0 words on average"),
        (repeated(None), "empty", "all of its cells are missing"),
        (repeated("", " "), "empty", "all of its cells are missing"),
        (repeated(7), "constant", "one value, 7"),
        (repeated("same"), "constant", "one value, 'same'"),
        (repeated(None, "same"), "categorical", "1 level: 'same'"),
        ([f"u{i}" for i in range(N)], "identifier", "60 different texts in 60 rows"),
        (range(N), "row number", "it counts the rows"),
        (range(1, N + 1), "row number", "it counts the rows"),
        ([str(i) for i in range(1, N + 1)], "row number", "it counts the rows"),
        (RNG.permutation(N), "row number", "it numbers the rows in another order"),
        (np.sort(RNG.permutation(2 * N)[:N]) + 17, "row number", "of which some are gone"),
        ([[1, 2]] * N, "nested", "objects of type list"),
        ([{"x": 1}] * N, "nested", "objects of type dict"),
        (repeated(decimal.Decimal("1.50"), decimal.Decimal("2")), "numeric", "numbers from 1.5 to 2"),
    ],
    ids=str,
)
def test_kinds(cells, kind, reason):
    entry = entry_of(cells)
    assert entry.kind == kind
    assert reason in entry.reason
    assert entry.used == (kind in ("numeric", "categorical", "date", "text"))


@pytest.mark.parametrize("name", ["Id", "PassengerId", "customer_id", "Unnamed: 0", "", "index", "__index_level_0__"])
def test_different_whole_numbers_with_a_telling_name_identify_rows(name):
    numbers = RNG.permutation(10_000)[:N]
    assert entry_of(numbers, name).kind == "identifier"
    assert entry_of(numbers, "distance").kind == "numeric"
    assert entry_of(repeated(5, 17, 900), name).kind == "numeric"  # they repeat


@pytest.mark.parametrize("name", ["humid", "paid", "solid", "period", "anode"])
def test_words_that_end_like_id_are_no_identifiers(name):
    assert entry_of(RNG.permutation(10_000)[:N], name).kind == "numeric"


@pytest.mark.parametrize("cells", [range(1949, 1949 + N), RNG.permutation(N) + 1949, range(20, 50)], ids=str)
def test_years_and_short_ranges_are_no_row_numbers(cells):
    assert entry_of(cells, "year").kind == "numeric"


def test_row_numbers_are_found_in_all_rows_and_not_in_a_part_of_them():
    """A part of a shuffled index neither counts nor fills its range."""
    index = np.arange(1, 151)
    part = np.delete(index, slice(0, None, 5))
    assert Schema.infer({"n": index, "x": RNG.normal(size=150)}).dictionary["n"].kind == "row number"
    assert Schema.infer({"n": part, "x": RNG.normal(size=120)}).dictionary["n"].kind == "row number"
    shuffled = RNG.permutation(index)
    assert Schema.infer({"n": shuffled, "x": RNG.normal(size=150)}).dictionary["n"].kind == "row number"


@pytest.mark.parametrize(
    ("odd", "value"),
    [("-", None), ("unknown", None), ("n/a", None), ("NaN", None), ("#DIV/0!", None), ("see note", None),
     ("$1,234.50", 1234.5), ("12 %", 0.12), ("€ 3.5", 3.5), ("-$2", -2.0), ("($7)", -7.0), ("1 234", 1234.0),
     ("+4", 4.0), ("1e3", 1000.0), ("1e400", np.finfo(float).max), ("-inf", -np.finfo(float).max),
     ("1" + "0" * 400, np.finfo(float).max), ("1e-400", 0.0)],
)  # fmt: skip
def test_a_column_of_numbers_keeps_them_beside_other_texts(odd, value):
    texts = [repr(number) for number in FLOATS]
    texts[5] = texts[9] = odd
    schema = Schema.infer({"a": texts})
    entry = schema.dictionary["a"]
    assert entry.kind == "numeric"
    assert (entry.missing, entry.taken_for_missing) == ((2, (odd,)) if value is None else (0, ()))
    notices = Notices()
    codes = schema.codes({"a": texts}, notices)[:, 0]
    expected = np.array(FLOATS)
    expected[[5, 9]] = np.nan if value is None else value
    np.testing.assert_array_equal(codes, expected)
    assert bool(notices) == (odd == "see note")  # a word for a missing value needs no notice


def test_many_other_texts_make_a_column_of_names():
    """As the codes of diagnoses, of which most look like numbers."""
    codes = repeated("250.8", "401", "V57", "E885", "E812", "V45", "E900", "427")
    assert entry_of(codes).kind == "categorical"


@pytest.mark.parametrize("missing", [None, np.nan, "", "  "], ids=repr)
def test_missing_cells_of_numbers_and_levels(missing):
    for cells, kind in ((repeated(1.5, missing, 2.5), "numeric"), (repeated("u", missing, "v"), "categorical")):
        entry = entry_of(cells)
        assert (entry.kind, entry.missing) == (kind, N // 3)
        codes = Schema.infer({"a": cells}).codes({"a": cells})[:, 0]
        assert np.isnan(codes[1::3]).all()
        assert not np.isnan(codes[0::3]).any()


def test_missing_cells_of_every_library():
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    pa = pytest.importorskip("pyarrow")
    frames = [
        pd.DataFrame({"s": pd.array(["u", pd.NA], "string"), "b": pd.array([True, pd.NA], "boolean"),
                      "i": pd.array([1, pd.NA], "Int64"), "f": [0.5, None], "o": ["u", None],
                      "c": pd.Categorical(["u", None]), "t": pd.to_datetime(["2024-01-01", None])}),
        pl.DataFrame({"s": ["u", None], "b": [True, None], "i": [1, None], "f": [0.5, float("nan")], "o": ["u", None],
                      "c": pl.Series(["u", None], dtype=pl.Categorical), "t": [datetime.date(2024, 1, 1), None]}),
        pa.table({"s": ["u", None], "b": [True, None], "i": [1, None], "f": [0.5, None], "o": ["u", None],
                  "c": pa.array(["u", None]).dictionary_encode(), "t": [datetime.date(2024, 1, 1), None]}),
    ]  # fmt: skip
    for frame in frames:
        table = Table.of(frame)
        for name in table:
            assert [text is None for text in table[name].texts()] == [False, True], name
        schema = Schema.infer(table)
        assert [entry.missing for entry in schema.dictionary] == [1] * 7
        assert np.isnan(schema.codes(frame)[1]).all()


def test_lists_and_structs_are_named_and_left_out():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"l": [[1], [2, 3]], "s": [{"x": 1}, {"x": 2}], "n": [0.5, 1.5]})
    schema = Schema.infer(frame)
    assert schema.left_out == {"l": "its cells are lists", "s": "its cells are structs"}
    assert [column.name for column in schema.columns] == ["n"]
    assert "left out" in schema.dictionary.to_text()


def test_kinds_that_are_asked_for():
    zips = repeated(2139, 10001, 94105)
    assert entry_of(zips).kind == "numeric"
    assert entry_of(zips, categorical=["a"]).kind == "categorical"
    assert entry_of(range(N), numeric=["a"]).kind == "numeric"
    assert entry_of(repeated("red", "blue"), text="a").kind == "text"
    compact = entry_of(repeated(20240131, 20231231), date=["a"])
    assert (compact.kind, "from 2023-12-31 to 2024-01-31" in compact.reason) == ("date", True)
    assert "from 2001-09-09" in entry_of(repeated(1_000_000_000, 1_700_000_000), date=["a"]).reason
    assert "from 2001-09-09" in entry_of(repeated(1_000_000_000_000, 1_700_000_000_000), date=["a"]).reason
    mixed = entry_of(repeated("1", "2", "x", "y", "z"), numeric=["a"])
    assert (mixed.kind, mixed.taken_for_missing) == ("numeric", ("x", "y", "z"))
    assert entry_of(repeated(1, 2), ignore="a").kind == "ignored"
    with pytest.raises(ValueError, match=r"numeric: column 'a' holds no number, but 'red', 'blue'"):
        entry_of(repeated("red", "blue"), numeric=["a"])
    with pytest.raises(ValueError, match="date: column 'a' holds no dates of one form: 'soon'"):
        entry_of(repeated("soon", "2024-01-01"), date=["a"])
    with pytest.raises(ValueError, match="text: column 'a' holds objects of type list"):
        entry_of([[1]] * N, text=["a"])
    with pytest.raises(ValueError, match=r"ignore: the table has no column 'b'"):
        entry_of(FLOATS, ignore=["b"])


def test_texts_that_are_named_are_missing_everywhere():
    cells = repeated("u", "v", "none of these")
    assert entry_of(cells, missing=["none of these"]).missing == N // 3
    numbers = repeated(1, 2, -999)
    entry = entry_of(numbers, missing=["-999"])
    assert (entry.missing, "from 1 to 2" in entry.reason) == (N // 3, True)
    schema = Schema.infer({"a": numbers, "b": cells}, options=TableOptions(missing=["-999", "none of these"]))
    assert np.isnan(schema.codes({"a": [-999, 1], "b": ["none of these", "u"]})).tolist() == [[True, True], [False] * 2]


def test_a_categorical_column_is_text_for_ever(tmp_path):
    """A file of digits only does not retype the levels that a file with letters had."""
    rows = repeated("010", "020", "E11", "030")
    (tmp_path / "train.csv").write_text("c,x\n" + "".join(f"{c},{x}\n" for c, x in zip(rows, FLOATS, strict=True)))
    (tmp_path / "digits.csv").write_text("c,x\n010,0.5\n030,0.5\n10,0.5\n")
    schema = Schema.infer(read_table(tmp_path / "train.csv"))
    notices = Notices()
    codes = schema.codes(read_table(tmp_path / "digits.csv"), notices)
    assert schema.columns[0].levels == ("010", "020", "030", "E11")
    np.testing.assert_array_equal(codes[:, 0], [0, 2, np.nan])
    assert notices.lines() == ["column 'c': 1 cell has a level that the training rows did not have: '10'"]


def test_the_dictionary_says_everything_in_order():
    table = {"Id": range(N), "when": repeated("2024-01-05", "2024-02-07"), "y": repeated(0, 1), "p\n q": FLOATS}
    dictionary = Schema.infer(table, target="y").dictionary
    assert [entry.name for entry in dictionary] == ["Id", "when", "y", "p\n q"]
    assert [row["taken for"] for row in dictionary.to_rows()] == ["row number", "date", "target", "numeric"]
    lines = dictionary.to_text().splitlines()
    assert lines[0].split() == ["column", "taken", "for", "missing", "why"]
    assert len(lines) == 5
    wide = Schema.infer({"c" * 300: repeated(*"abcdefgh"), "y": FLOATS}).dictionary.to_text(80)
    assert max(map(len, wide.splitlines())) <= 110


def test_numbers_of_python_have_points_whatever_the_file_had(tmp_path):
    """A model of a file with decimal commas reads 1.234 of Python as it is, also beside texts."""
    rows = "".join(f"{str(value).replace('.', ',')};1.234,5\n" for value in FLOATS)
    (tmp_path / "t.csv").write_text(f"a;b\n{rows}")
    table = read_table(tmp_path / "t.csv")
    schema = Schema.infer(table, options=TableOptions(numeric=["b"]))
    np.testing.assert_array_equal(schema.codes(table)[:, 0], FLOATS)
    cells = {"a": [1.234, 2, decimal.Decimal("3.250")], "b": [1.234, "1.234,5", "1,5"]}
    assert schema.codes(cells).tolist() == [[1.234, 1.234], [2.0, 1234.5], [3.25, 1.5]]


_CELLS = [1, 2]


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ({"a": 1.5}, TypeError, "column 'a' must be an array or a list with a cell for each row, got 1.5"),
        ({"a": "text"}, TypeError, "column 'a' must be an array or a list"),
        ({"a": np.float64(1)}, TypeError, "column 'a' must be an array or a list"),
        ({"a": np.zeros((2, 2))}, ValueError, r"column 'a': a column must have one dimension, got shape \(2, 2\)"),
        ({"a": np.ma.zeros((2, 2))}, ValueError, r"column 'a': a column must have one dimension, got shape \(2, 2\)"),
        ({"a": [1, 2], "b": [1]}, ValueError, "column 'b' has 1 cells, the first column has 2"),
        ({1: [1], "1": [2]}, ValueError, "two columns are named '1'"),
        ({1: _CELLS, "1": _CELLS}, ValueError, "two columns are named '1'"),
        (None, TypeError, "a table must be a frame or a mapping from names to columns, got None"),
        ([[1, 2]], TypeError, "a table must be a frame or a mapping"),
        (np.zeros((2, 2)), TypeError, "a table must be a frame or a mapping"),
    ],
    ids=str,
)
def test_what_is_no_table(table, error, message):
    with pytest.raises(error, match=message):
        Table.of(table)


def test_frames_that_are_no_tables():
    pl, pd = pytest.importorskip("polars"), pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"eager frame of pandas, polars or Arrow.*call its collect\(\)"):
        Table.of(pl.LazyFrame({"a": [1]}))
    with pytest.raises(ValueError, match="two columns are named 'a'"):
        Table.of(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert Table.of(pd.DataFrame([[1, 2]])).names == ("0", "1")
    for frame in (pd.DataFrame({"p": [1], "q": [2]}), pl.DataFrame({"p": [1], "q": [2]})):
        with pytest.raises(ValueError, match=r"column 'a': a column must have one dimension, got shape \(1, 2\)"):
            Table.of({"a": frame})


@pytest.mark.parametrize(
    ("column", "held"), [("n", "numbers"), ("g", "groups"), ("d", "dates"), ("t", "texts")]
)
def test_later_lists_where_there_were_cells_are_refused(column, held):
    """They would count as missing without a word."""
    days = [f"2024-01-{1 + i % 28:02}" for i in range(60)]
    words = [f"this is a sentence with number {i}" for i in range(60)]
    schema = Schema.infer({"n": np.arange(60) % 7 / 2, "g": ["u", "v", "w"] * 20, "d": days, "t": words})
    row = {"n": [1.5], "g": ["u"], "d": ["2024-01-01"], "t": ["a word"]}
    assert schema.codes(row)[0, :2].tolist() == [1.5, 0.0]
    for cell, what in (([1], "objects of type list"), (1j, "complex numbers"), ({}, "objects of type dict")):
        with pytest.raises(ValueError, match=f"column '{column}' must hold {held}, got {what}"):
            schema.codes(row | {column: [cell]})
