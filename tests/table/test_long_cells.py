"""Cells of any length are read, and the limit of the csv module is that of the program before and after."""

import builtins
import csv

import pytest
from fastreg.table.reading import read_blocks, read_table

LONG = 140_000


@pytest.fixture(params=["arrow", "csv"])
def reader(request, monkeypatch):
    if request.param == "arrow":
        pytest.importorskip("pyarrow")
    else:
        real = builtins.__import__

        def without(name, *arguments):
            if name.partition(".")[0] == "pyarrow":
                raise ModuleNotFoundError(name)
            return real(name, *arguments)

        monkeypatch.setattr(builtins, "__import__", without)
    return request.param


@pytest.mark.parametrize("row", [0, 1, 2, 40], ids=lambda row: f"row {row}")
@pytest.mark.parametrize("quoted", [False, True])
def test_long_cells(tmp_path, reader, row, quoted):
    cells = ["name", *(f"c{i}" for i in range(50))]
    cells[row] = "x" * LONG
    path = tmp_path / "long.csv"
    path.write_text("".join(f'"{cell}",1\n' if quoted else f"{cell},1\n" for cell in cells))
    limit = csv.field_size_limit()
    table = read_table(path)
    assert table[cells[0]].texts() == cells[1:]
    blocks = read_blocks(path)
    found = next(blocks)[cells[0]].texts()
    assert csv.field_size_limit() == limit  # also while a block is looked at
    for block in blocks:
        found += block[cells[0]].texts()
    assert found == cells[1:]
    assert csv.field_size_limit() == limit


def test_the_limit_is_restored_after_an_error(tmp_path):
    path = tmp_path / "torn.csv"
    path.write_text(f"a,b\n{'x' * LONG},1\n1\n")
    limit = csv.field_size_limit(1000)
    try:
        with pytest.raises(ValueError, match="line 3 has 1 cell, the header line has 2"):
            read_table(path)
        assert csv.field_size_limit() == 1000
    finally:
        csv.field_size_limit(limit)
