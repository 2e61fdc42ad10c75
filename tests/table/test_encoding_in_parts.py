"""Fast ways to encode give what the plain formulas say: levels by a list, numbers by Arrow, rows in parts."""

import numpy as np
import pytest
from fastreg.table import model as table_model
from fastreg.table.columns import TextCells
from fastreg.table.number_parts import _LISTED, CategoricalPart, NumericPart
from fastreg.table.numbers import LARGEST, bounded

LEVELS = {
    "none": (),
    "dense": (0, 1, 2),
    "gaps": (1, 4, 9),
    "listed": (0, _LISTED),
    "too many for a list": (0, 3, _LISTED + 1),
}


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
def test_each_level_has_its_column(levels):
    part = CategoricalPart(levels)
    cells = [*range(11), *levels, _LISTED + 2, 1e300, -1.0, 0.5, np.nan]
    out = np.zeros((len(cells), part.width), np.float32)
    part.encode(np.array(cells), out)
    expected = np.zeros_like(out)
    for row, cell in enumerate(cells):
        expected[row, levels.index(cell) if cell in levels else len(levels)] = 1.0
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("cells", [[1.0, -2.0], [1.0, np.nan, -1e301], [np.inf, 2.0], [-np.inf], [np.nan], []])
def test_bounded_numbers(cells):
    values = np.array(cells)
    assert np.array_equal(bounded(values, 1e300), np.clip(values, -1e300, 1e300), equal_nan=True)


@pytest.mark.parametrize("n_bins", [0, 1, 5])
def test_numbers_with_and_without_gaps_are_encoded_alike(n_bins):
    rng = np.random.default_rng(0)
    part = NumericPart.fit(np.append(rng.lognormal(size=3000), np.nan), n_bins)
    known = np.concatenate([rng.lognormal(size=2999), [-1e308, 1e308, part.centre, *part.edges]])
    whole = np.zeros((len(known) + 1, part.width), np.float32)
    part.encode(np.append(known, np.nan), whole)
    plain = np.zeros((len(known), part.width), np.float32)
    part.encode(known, plain)
    assert np.array_equal(plain, whole[:-1])
    assert np.array_equal(whole[-1], [0.0] * (part.width - 1) + [1.0])


TEXTS = {
    "plain": (["1", "-2.5", "1e3"], ()),
    "blank": (["1", "", "3"], ()),
    "null": (["1", None, "3"], ()),
    "all null": ([None, None], ()),
    "given": (["1", "-9", "3"], ("-9",)),
    "given and blank": (["", "-9", "x"], ("-9", "x")),
    "infinite": (["1e999", "-1e999", "nan"], ()),
    "odd": (["1", "x"], ()),
    "empty": ([], ()),
}


@pytest.mark.parametrize(("texts", "missing"), TEXTS.values(), ids=TEXTS)
def test_numbers_of_arrow_are_those_of_lists(texts, missing):
    pyarrow = pytest.importorskip("pyarrow")
    expected = TextCells(texts).numbers(missing)
    for kind in (pyarrow.string(), pyarrow.large_string()):
        array = pyarrow.array(texts, kind)
        for values in (array, pyarrow.chunked_array([array, array[:0]]), pyarrow.array(["", *texts], kind)[1:]):
            found = TextCells(values).numbers(missing)
            assert np.array_equal(found, expected, equal_nan=True)
            assert np.all(np.abs(found[~np.isnan(found)]) <= LARGEST)


def test_rows_are_encoded_in_parts(monkeypatch):
    from fastreg.table import TableClassifier

    rng = np.random.default_rng(0)
    texts = ["one two three four"] * 50 + ["five"] * 50
    table = {"a": rng.normal(size=100), "b": rng.choice(["u", "v"], 100), "c": texts}
    model = TableClassifier(seed=0, time=1.0, text="c").fit(table, np.where(table["a"] > 0, "p", "n"))
    whole = model.predict_proba(table)
    monkeypatch.setattr(table_model, "_CELLS", 1)
    monkeypatch.setattr(table_model, "_ROWS", 7)
    assert np.array_equal(model.predict_proba(table), whole)
