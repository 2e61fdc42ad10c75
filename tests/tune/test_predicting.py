"""`fastreg predict` writes what the model predicts in blocks: in order, with names of rows, and counts at the end."""

import csv
import io
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("narwhals")
pytest.importorskip("pyarrow")

from fastreg import cli
from fastreg.runtime import get_matmul_precision, get_num_threads, matmul_precision
from fastreg.table import csv_files
from fastreg.table.encoder import TableEncoder
from fastreg.table.linear import linear_model
from fastreg.table.model import TableModel
from fastreg.table.schema import Schema
from fastreg.table.target import Target
from fastreg.tune import predicting

N = 50
LABELS = ["no, never", 'say "yes"', "é"]


def columns(seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=N), [("north", "south")[i % 2] for i in range(N)]
    return {"key": [f"row {i}, {i}" for i in range(N)], "a": a.tolist(), "b": b}


def write(path, table):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


@pytest.fixture(params=["classes", "numbers"])
def model(request, tmp_path):
    """The path of a model, and the model."""
    table = {name: values for name, values in columns().items() if name != "key"}
    a = np.array(table["a"])
    table["y"] = [LABELS[k] for k in np.digitize(a, [-0.5, 0.5])] if request.param == "classes" else (1e6 + a).tolist()
    target = Target.infer(table, "y")
    schema = Schema.infer(table, target="y")
    y, _ = target.encode(table)
    codes = schema.codes(table)
    encoder = TableEncoder([column.kind for column in schema.columns], n_bins=0).fit(codes)
    network = linear_model(target, encoder.transform(codes), y, seed=0, seconds=60.0)
    made = TableModel(schema, (encoder,), network, target)
    made.save(tmp_path / "m")
    return tmp_path / "m", made


def predict(*words, capsys):
    status = cli.main(["predict", *map(str, words)])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    rows = list(csv.reader(io.StringIO(captured.out)))
    return rows[0], rows[1:], captured.err


def check(model, table, head, rows):
    """The lines are the model's predictions, to the last bit."""
    expected = model.predict(table)
    assert head == list(expected)
    for j, values in enumerate(expected.values()):
        found = [row[j] for row in rows]
        if isinstance(values[0], str):
            assert found == values
        elif model.target.labels is None:
            assert np.array_equal(np.array(found, np.float64), np.array(values))
        else:
            assert np.array_equal(np.array(found, np.float32), np.array(values, np.float32))


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_blocks_do_not_show(model, tmp_path, capsys, monkeypatch, block):
    path, loaded = model
    monkeypatch.setattr(predicting, "BLOCK", block)
    data = write(tmp_path / "d.csv", columns(1))
    head, rows, err = predict(path, data, capsys=capsys)
    assert err == ""
    check(loaded, columns(1), head, rows)


def test_without_arrow_the_values_are_the_same(model, tmp_path, capsys, monkeypatch):
    path, loaded = model
    data = write(tmp_path / "d.csv", columns(1))
    monkeypatch.setattr(predicting, "_formatter", lambda: predicting._lines)
    head, rows, _ = predict(path, data, capsys=capsys)
    check(loaded, columns(1), head, rows)


def test_columns_that_name_rows_come_first(model, tmp_path, capsys):
    path, loaded = model
    data = write(tmp_path / "d.csv", columns(1))
    head, rows, _ = predict(path, data, "--id", "key", capsys=capsys)
    assert head[0] == "key"
    assert [row[0] for row in rows] == columns()["key"]
    check(loaded, columns(1), head[1:], [row[1:] for row in rows])
    assert cli.main(["predict", str(path), str(data), "--id", "nothing"]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert "no column 'nothing'" in captured.err
    data = write(tmp_path / "d.csv", {**columns(1), "y": columns(1)["a"]})
    assert cli.main(["predict", str(path), str(data), "--id", "key,y"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "id: 'y' is the name of a column of predictions" in captured.err


def test_what_the_model_does_not_know_is_counted_once(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(predicting, "BLOCK", 7)
    table = columns(1)
    table["b"][3] = table["b"][40] = "east"
    table["a"][11] = "much"
    _, rows, err = predict(model[0], write(tmp_path / "d.csv", table), capsys=capsys)
    assert len(rows) == N
    assert len(err.splitlines()) == 2
    assert "column 'b': 2 cells have levels that the training rows did not have: 'east'" in err
    assert "column 'a': 1 cell is not a number and counts as missing: 'much'" in err


def test_memory_is_bounded(model, tmp_path, monkeypatch):
    """Blocks are written before many further ones are read."""
    path, events = model[0], []
    blocks = predicting.read_blocks

    def read(*arguments, **options):
        for block in blocks(*arguments, **options):
            events.append("read")
            yield block

    class Sink(io.StringIO):
        def write(self, text):
            events.append("written")
            return super().write(text)

    monkeypatch.setattr(predicting, "read_blocks", read)
    monkeypatch.setattr(predicting, "BLOCK", 5)
    predicting.predict(str(path), str(write(tmp_path / "d.csv", columns(1))), Sink())
    assert events.count("read") == events.count("written") == 10
    ahead = [events[: i + 1].count("read") - events[: i + 1].count("written") for i in range(len(events))]
    assert max(ahead) == 2 * min(get_num_threads(), predicting._WORKERS) + 1
    assert events[-1] == "written"


def test_rows_before_damaged_ones_are_written(model, tmp_path, capsys, monkeypatch):
    blocks = predicting.read_blocks

    def read(*arguments, **options):
        for number, block in enumerate(blocks(*arguments, **options)):
            if number == 3:
                raise ValueError("line 32 is damaged")
            yield block

    monkeypatch.setattr(predicting, "read_blocks", read)
    monkeypatch.setattr(predicting, "BLOCK", 10)
    assert cli.main(["predict", str(model[0]), str(write(tmp_path / "d.csv", columns(1)))]) == 1
    captured = capsys.readouterr()
    assert len(list(csv.reader(io.StringIO(captured.out)))) == 31
    assert captured.err == "fastreg predict: line 32 is damaged\n"


@pytest.mark.parametrize("number", [0, 2, 4])
def test_rows_behind_those_that_cannot_be_predicted_are_not_written(model, tmp_path, capsys, monkeypatch, number):
    columns_of = predicting._columns

    def computed(block, *others):
        if columns(1)["a"][10 * number] in block["a"].numbers():
            raise ValueError("a cell cannot be read")
        return columns_of(block, *others)

    monkeypatch.setattr(predicting, "_columns", computed)
    monkeypatch.setattr(predicting, "BLOCK", 10)
    assert cli.main(["predict", str(model[0]), str(write(tmp_path / "d.csv", columns(1)))]) == 1
    captured = capsys.readouterr()
    assert len(list(csv.reader(io.StringIO(captured.out)))) == (10 * number + 1 if number else 0)
    assert captured.err == "fastreg predict: a cell cannot be read\n"
    assert threads() == []


def test_a_process_without_standard_output(model, tmp_path, capsys, monkeypatch):
    data = write(tmp_path / "d.csv", columns(1))
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["predict", str(model[0]), str(data)]) == 1
    assert capsys.readouterr().err == "fastreg predict: standard output is closed\n"


def threads():
    """The threads of predict that run."""
    return [t.name for t in threading.enumerate() if t.name.startswith(("fastreg-predict", "fastreg-reader"))]


def test_parts_of_a_file_do_not_show(model, tmp_path, capsys, monkeypatch):
    """Arrow gives the file in many parts, of which the last one is shorter, and each is divided into blocks."""
    path, loaded = model
    monkeypatch.setattr(csv_files, "_BLOCK", 300)
    monkeypatch.setattr(predicting, "BLOCK", 4)
    data = write(tmp_path / "d.csv", columns(1))
    sizes = [block.n_rows for block in predicting.read_blocks(data, rows=4)]
    assert sum(sizes) == N
    assert sizes[-1] < 4 < len(sizes)
    head, rows, err = predict(path, data, capsys=capsys)
    assert err == ""
    check(loaded, columns(1), head, rows)
    assert threads() == []


def test_a_row_of_a_later_part_that_cannot_be_read_is_named(model, tmp_path, capsys, monkeypatch):
    path, loaded = model
    monkeypatch.setattr(csv_files, "_BLOCK", 300)
    data = write(tmp_path / "d.csv", columns(1))
    lines = data.read_text(encoding="utf-8").splitlines()
    lines[40] += ",7"
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert cli.main(["predict", str(path), str(data)]) == 1
    captured = capsys.readouterr()
    assert captured.err == f"fastreg predict: {data}: line 41 has 4 cells, the header line has 3\n"
    head, *rows = csv.reader(io.StringIO(captured.out))
    assert 20 < len(rows) < 40  # those of the parts before it
    check(loaded, {name: values[: len(rows)] for name, values in columns(1).items()}, head, rows)
    assert threads() == []


@pytest.mark.parametrize("text", ["", "key,a,b\n"])
def test_a_file_without_rows_is_an_error(model, tmp_path, capsys, text):
    data = tmp_path / "d.csv"
    data.write_text(text, encoding="utf-8")
    assert cli.main(["predict", str(model[0]), str(data)]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert str(data) in captured.err
    assert threads() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_an_interrupt_leaves_no_thread_and_no_open_file(model, tmp_path, monkeypatch, error):
    files, opened = [], csv_files.opened

    @contextmanager
    def watched(path):
        with opened(path) as file:
            files.append(file)
            yield file

    class Full(io.StringIO):
        def write(self, text):
            raise error

    monkeypatch.setattr(csv_files, "_BLOCK", 300)
    monkeypatch.setattr(predicting, "BLOCK", 4)
    monkeypatch.setattr(csv_files, "opened", watched)
    data = str(write(tmp_path / "d.csv", columns(1)))
    with pytest.raises(error):
        predicting.predict(str(model[0]), data, Full())
    assert threads() == []
    assert len(files) == 3  # to look at it, to count quotes, and to read it
    assert all(file.closed for file in files)


def test_workers_have_networks_of_their_own(model):
    """A network computes for one thread at a time, so that threads would wait for each other."""
    loaded = model[1]
    models = predicting._Models(loaded, 3)
    with models.one() as first, models.one() as second, models.one() as third:
        made = (first, second, third)
        assert len({id(one.model) for one in made}) == 3
        tables = [columns(seed) for seed in range(3)]
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda one, table: one.outputs(table), made, tables))
    for table, outputs in zip(tables, found, strict=True):
        assert np.array_equal(outputs, loaded.outputs(table))
    with models.one() as again:
        assert again in made


def test_workers_compute_in_the_precision_of_the_caller(model, tmp_path, capsys, monkeypatch):
    found, columns_of = set(), predicting._columns

    def noted(*given):
        found.add(get_matmul_precision())
        return columns_of(*given)

    monkeypatch.setattr(predicting, "_columns", noted)
    data = write(tmp_path / "d.csv", columns(1))
    with matmul_precision("medium"):
        predicting.predict(str(model[0]), str(data))
    assert found == {"medium"}
    assert len(capsys.readouterr().out.splitlines()) == N + 1


def test_pandas_is_not_imported(model, tmp_path):
    """It takes longer than the predictions of a small table."""
    data = write(tmp_path / "d.csv", columns(1) | {"a": ["", "1.5"] * (N // 2), "b": ["north", ""] * (N // 2)})
    program = "import sys; from fastreg import cli; cli.main(sys.argv[1:]); print('pandas' in sys.modules)"
    words = [sys.executable, "-c", program, "predict", str(model[0]), str(data)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == N + 2
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("labels", [("no", "yes"), ("no", "a,b"), ("no", 'a "b"'), ("no", "a\nb"), ("", "\u00e9")])
def test_lines_are_those_of_the_csv_module(labels):
    """With labels that need quotes and without, beside texts and alone; Arrow quotes all texts where one needs it."""
    numbers = np.array([0, 1, 1, 0])
    columns = {"y": predicting._Chosen(labels, numbers), "p": np.array([0.25, 0.5, -1.0, 1e-3], np.float32)}
    for before in ({}, {"id": ["1", "b", "c", "d"]}):
        found = list(csv.reader(io.StringIO(predicting._formatter()({**before, **columns}), newline="")))
        rows = zip(*before.values(), [labels[i] for i in numbers], ["0.25", "0.5", "-1", "0.001"], strict=True)
        assert found == [list(row) for row in rows]
