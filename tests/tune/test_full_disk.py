"""A disk that fills up costs nothing that was computed: files go to another place, and the message says where."""

import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from fastreg import cli
from fastreg.internal import other_places
from fastreg.search.journal import Journal
from fastreg.table import Recipe, blending, judging
from fastreg.table.chosen_metric import ChosenMetric
from fastreg.table.model import TableModel
from fastreg.tune import command, distilling
from helpers.recipes import TINY, rows_of

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
RECIPE = Recipe(small=TINY, large=TINY, trials=5, folds=3)


@pytest.fixture(autouse=True)
def spare(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "spare"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(folder))
    return folder


@pytest.fixture
def data(tmp_path, rng):
    path, a, b = tmp_path / "data.csv", rng.normal(size=120), rng.normal(size=120)
    rows = (f"{u:.4f},{v:.4f},{'yes' if u > 0 else 'no'}\n" for u, v in zip(a, b, strict=True))
    path.write_text("a,b,y\n" + "".join(rows))
    return path


def run(*words, capsys):
    status = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def quick(data, *words):
    limits = "--trials", "2", "--cv", "2", "--jobs", "1", "--time", "none"
    return "tune", data, "--target", "y", *limits, "--quiet", *words


def test_the_model_and_the_report_are_kept_elsewhere(tmp_path, spare, capsys, data, monkeypatch):
    """Their folder is gone when they are written."""
    whole, gone = tmp_path / "m.safetensors", tmp_path / "gone"
    assert run(*quick(data, "--out", whole), capsys=capsys)[0] == 0
    gone.mkdir()
    describe = command.describe
    monkeypatch.setattr(command, "describe", lambda result: shutil.rmtree(gone) or describe(result))
    words = "--out", gone / "m.safetensors", "--report", gone / "r.html"
    status, out, err = run(*quick(data, *words), capsys=capsys)
    assert (status, "accuracy" in out, err.count("\n")) == (1, True, 5), err
    model, report = re.findall(r"No such file or directory .*?\(it is kept as '([^']+)' instead\): '", err)
    assert (os.path.basename(model), os.path.basename(report)) == ("m.safetensors", "r.html")
    assert {Path(model).parent.parent, Path(report).parent.parent} == {spare}
    assert Path(model).read_bytes() == whole.read_bytes()
    assert "</html>" in Path(report).read_text()


def test_a_student_is_kept_elsewhere(tmp_path, spare, capsys, data, monkeypatch):
    (tmp_path / "teacher_of_a.py").write_text("def answers(x):\n    return 3.0 * x['a'].to_numpy()\n")
    monkeypatch.chdir(tmp_path)
    gone, describe = tmp_path / "gone", distilling.describe
    gone.mkdir()
    monkeypatch.setattr(distilling, "describe", lambda *given: shutil.rmtree(gone) or describe(*given))
    limits = "--preset", "fast", "--rows", "0", "--time", "5", "--quiet"
    words = "--teacher", "teacher_of_a:answers", "--task", "regression", "--no-comparison", *limits
    status, out, err = run("distill", data, *words, "--out", gone / "m", capsys=capsys)
    assert (status, "student" in out) == (1, True), err
    (kept,) = re.findall(r"\(it is kept as '([^']+)' instead\)", err)
    assert Path(kept).parent.parent == spare
    assert TableModel.load(kept).target.task == "regression"


def test_what_standard_output_cannot_take_is_on_standard_error(tmp_path, capsys, data, monkeypatch):
    usual = run(*quick(data), capsys=capsys)[1]

    class Full:
        encoding = "utf-8"

        def write(self, text):
            raise FULL

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stdout", Full())
    assert cli.main([str(word) for word in quick(data)]) == 1
    told = capsys.readouterr().err
    of_clock = re.compile(r"one row: .*")
    assert of_clock.sub("", usual) in of_clock.sub("", told)


def cooked(path=None, resume=False, **options):
    table, schema, rows = rows_of("binary")
    found = blending.cook(rows, RECIPE, ChosenMetric(rows.target, None), 3, 2, journal=path, resume=resume, **options)
    return found.of_table(schema, rows.target).outputs(table)


def test_a_journal_goes_on_elsewhere(tmp_path, spare, monkeypatch):
    """The copy is a whole journal: with it, nothing is trained again but the members."""
    path, append = tmp_path / "j.jsonl", Journal.append

    def full(self, record):
        if self.path == path and self.lines == 4:
            raise FULL
        append(self, record)

    monkeypatch.setattr(Journal, "append", full)
    with pytest.warns(UserWarning, match="cannot be written any more .*No space left.*, and goes on as") as told:
        outputs = cooked(path)
    assert len(told) == 1
    (kept,) = spare.glob("*/j.jsonl")
    assert os.fspath(kept) in str(told[0].message)
    assert (path.read_bytes().count(b"\n"), kept.read_bytes().count(b"\n")) == (5, 19)
    assert kept.read_bytes().startswith(path.read_bytes())
    monkeypatch.undo()
    monkeypatch.setattr(judging, "train", lambda *_, **__: pytest.fail("a fold was trained again"))
    np.testing.assert_array_equal(cooked(kept, resume=True), outputs)


@pytest.mark.parametrize("closes", [True, False])
def test_a_journal_that_moved_is_left_whole_where_warnings_are_errors(closes, tmp_path, spare, monkeypatch):
    """The warning ends the search. Both journals are closed, and the one that it names has all folds."""
    path, append, unlock = tmp_path / "j.jsonl", Journal.append, fcntl.flock

    def full(self, record):
        if self.path == path and self.lines == 4:
            raise FULL
        append(self, record)

    def refusing(descriptor, what):
        if what == fcntl.LOCK_UN and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        unlock(descriptor, what)

    with monkeypatch.context() as patched, warnings.catch_warnings():
        patched.setattr(Journal, "append", full)
        if not closes:
            patched.setattr(fcntl, "flock", refusing)
        warnings.simplefilter("error")
        told = "cannot be written any more" if closes else "may not be whole"
        with pytest.raises(UserWarning, match=f"^the journal {told}") as caught:
            cooked(path)
    (kept,) = spare.glob("*/j.jsonl")
    assert (path.read_bytes().count(b"\n"), kept.read_bytes().count(b"\n")) == (5, 6)
    expected = cooked()
    for journal in (path, kept):  # another search may write them, while the error is still held
        np.testing.assert_array_equal(cooked(journal, resume=True), expected)
    assert caught.value is not None


PROGRAM = """
import os, resource, signal, sys, warnings
sys.path[:0] = [sys.argv[1]]
import test_full_disk as tests
path = sys.argv[2]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    outputs = tests.cooked(path)
sys.stdout.buffer.write(outputs.tobytes())
print(*(warning.message for warning in told), sep="\\n", file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_search_goes_on_without_a_journal_that_no_place_can_hold(tmp_path, spare):
    path = tmp_path / "j.jsonl"
    here = Path(__file__).parent
    paths = os.pathsep.join([os.fspath(here.parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths, "TMPDIR": os.fspath(spare)}
    words = [sys.executable, "-c", PROGRAM, here, path]
    done = subprocess.run(words, capture_output=True, check=True, timeout=300, env=environment)
    outputs = cooked()
    assert done.stdout == outputs.tobytes()
    assert re.fullmatch(
        rb"the journal cannot be written any more \(.*File too large.*\), and no other place has room: the search goes "
        rb"on without it\n",
        done.stderr,
    ), done.stderr
    assert 1000 < path.stat().st_size <= 4000
    assert path.read_bytes().endswith(b"\n")
    np.testing.assert_array_equal(cooked(path, resume=True), outputs)
    assert path.read_bytes().count(b"\n") == 19


def test_a_line_that_was_not_written_whole_is_taken_back(tmp_path, monkeypatch):
    header = {"seed": 0, "space": {"alternatives": [{}], "constraint": None}}
    path, write = tmp_path / "j.jsonl", os.write
    with Journal(path, header, resume=False, widens=lambda old: False) as journal:
        begin = path.read_bytes()
        with monkeypatch.context() as patched:
            left = [20]

            def filling(descriptor, content):
                if not left[0]:
                    raise FULL
                done = write(descriptor, content[: left[0]])
                left[0] -= done
                return done

            patched.setattr(os, "write", filling)
            with pytest.raises(OSError, match="No space left"):
                journal.append({"trial": 0})
        assert path.read_bytes() == begin
        journal.append({"trial": 1})
        assert path.read_bytes().startswith(begin + b'{"trial":1')


def test_places_are_tried_in_turn_and_nothing_is_left_behind(tmp_path, monkeypatch):
    places = [tmp_path / name for name in ("absent", "full", "room", "further")]
    for place in places[1:]:
        place.mkdir()
    monkeypatch.setattr(other_places, "_places", lambda: map(os.fspath, places))

    def write(path):
        Path(path).write_text("begun")
        if Path(path).parent.parent == places[1]:
            raise FULL
        return "done"

    path, result = other_places.elsewhere("any/where.txt", write)
    assert (Path(path).name, Path(path).parent.parent, result) == ("where.txt", places[2], "done")
    assert (list(places[1].iterdir()), list(places[3].iterdir())) == ([], [])
    places[:] = places[:2]
    assert other_places.elsewhere("any/where.txt", write) is None

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    with pytest.raises(OSError, match=r"No space left on device: 'any/where.txt'$"):
        other_places.kept("any/where.txt", full)
