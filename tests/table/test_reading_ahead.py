"""`read_blocks(ahead=True)`: a thread reads the next part, and nothing else differs."""

import threading

import numpy as np
import openpyxl
import pytest
from fastreg.table import csv_files, read_blocks, reading

ROWS = 100


@pytest.fixture(params=["csv", "parquet", "xlsx"])
def file(request, tmp_path, monkeypatch):
    """A file that is read in several parts, the last of which is shorter; an Excel file in one."""
    monkeypatch.setattr(csv_files, "_BLOCK", 300)
    numbers = np.random.default_rng(0).normal(size=ROWS)
    names = [f"row {i}" for i in range(ROWS)]
    path = tmp_path / f"t.{request.param}"
    if request.param == "csv":
        lines = [f"{name},{number!r}" for name, number in zip(names, numbers.tolist(), strict=True)]
        path.write_text("\n".join(["name,x", *lines]) + "\n", encoding="utf-8")
    elif request.param == "parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"name": names, "x": numbers}), path)
    else:
        book = openpyxl.Workbook()
        for row in [("name", "x"), *zip(names, numbers.tolist(), strict=True)]:
            book.active.append(row)
        book.save(path)
    return path


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastreg-reader")]


def cells(blocks):
    return [(block.n_rows, block["name"].texts(), block["x"].numbers().tolist()) for block in blocks]


@pytest.mark.parametrize("rows", [3, 64, 1000])
def test_the_blocks_are_the_same(file, rows):
    expected = cells(read_blocks(file, rows=rows))
    assert cells(read_blocks(file, rows=rows, ahead=True)) == expected
    assert sum(n for n, _, _ in expected) == ROWS
    assert readers() == []


def test_it_ends_with_the_generator(file):
    blocks = read_blocks(file, rows=3, ahead=True)
    assert next(blocks).n_rows == 3
    assert len(readers()) == 1
    blocks.close()
    assert readers() == []


def parts(made, n, error=None):
    for i in range(n):
        made.append(i)
        yield i
    if error is not None:
        raise error


def test_one_part_is_made_in_advance():
    made = []
    found = reading._in_advance(parts(made, 9))
    assert made == []
    for i, part in enumerate(found):
        assert part == i
        for thread in readers():  # an idle thread waits for the next call
            pool_is_idle(thread, made, min(i + 2, 9))
        assert len(made) == min(i + 2, 9)


def pool_is_idle(thread, made, count):
    """Waits until so many parts were made; more must not follow."""
    thread.join(0.01)
    while len(made) < count:
        thread.join(0.01)


def test_an_error_comes_after_the_parts_before_it():
    error = ValueError("line 7 is damaged")
    found = reading._in_advance(parts([], 3, error))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="line 7 is damaged") as raised:
        next(found)
    assert raised.value is error
    assert readers() == []


def test_an_error_behind_what_was_asked_for_is_none():
    """The caller ends before the part that cannot be read, which the thread has tried to make."""
    blocks = reading._in_advance(parts([], 1, ValueError("line 7 is damaged")))
    assert next(blocks) == 0
    blocks.close()
    assert readers() == []


DAMAGED = {
    "a quote in the first rows": ('1,"a\n2,b\n', "a quote is opened in line 2"),
    "a quote behind many rows": ("1,a\n" * 300 + '2,"b\n' + "3,c\n" * 300, "a quote is opened in line 302"),
    "a quote and a short row": ("1\n" + "1,a\n" * 300 + '2,"b\n', "a quote is opened in line 303"),
    "a short row": ("1,a\n" * 300 + "2\n", "line 302 has 1 cell"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_the_errors_are_the_same(name, tmp_path, monkeypatch):
    """Quotes are looked at beside the first rows then, and an open one still explains what Arrow makes of it."""
    monkeypatch.setattr(csv_files, "_BLOCK", 300)
    rows, told = DAMAGED[name]
    path = tmp_path / "t.csv"
    path.write_text("x,name\n" + rows, encoding="utf-8")
    given = []
    for ahead in (False, True):
        blocks = []
        with pytest.raises(ValueError, match=told) as caught:
            blocks.extend(read_blocks(path, rows=1000, ahead=ahead))  # which keeps the blocks before the error
        given.append((str(caught.value), sum(block.n_rows for block in blocks)))
    assert given[0] == given[1]
    assert (given[0][1] > 0) == (name == "a short row")
    assert [thread for thread in threading.enumerate() if thread.name.startswith("fastreg-")] == []


def test_rows_wait_until_the_quotes_are_known_to_be_closed(tmp_path, monkeypatch):
    path, checked = tmp_path / "t.csv", threading.Event()
    path.write_text("x,name\n" + "1,a\n" * 50, encoding="utf-8")
    check, events = csv_files._check_quotes, []

    def late(layout):
        checked.wait(30.0)
        check(layout)
        events.append("checked")

    monkeypatch.setattr(csv_files, "_check_quotes", late)
    timer = threading.Timer(0.2, checked.set)
    timer.start()
    for _ in read_blocks(path, ahead=True):
        events.append("block")
    timer.join()
    assert events == ["checked", "block"]
