"""Every OSError of save, load, journal, report and pictures says in ``filename`` which file it is about.

What the system refuses by itself is tried with real files; what hardly ever fails (fsync, close) is made to fail.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from unittest import mock

import fastreg as fr
import pytest
from fastreg import callbacks, plots
from fastreg.search.journal import Journal, recorded_seed
from programs import last_json, regressor, run_program
from searches import Scored, nothing

HEADER = {"seed": 0, "space": {}}


def save(path):
    regressor(n_features=2).save(path)


def load(path):
    fr.load(path)


def journal(path):
    with Journal(path, HEADER, resume=True, widens=lambda old: True):
        pass


def seed(path):
    recorded_seed(path)


def picture(path):
    pytest.importorskip("matplotlib")
    plots.learning_curves({"loss": [2.0, 1.0]}, path)


def report(path):
    pytest.importorskip("matplotlib")
    from fastreg.search import GridSearch
    from fastreg.search.found import report as page

    search = GridSearch(Scored(), {"a": [1, 2]}, cv=2, n_jobs=1, verbose=0, refit=False).fit(*nothing())
    with mock.patch.dict(page._CAPTIONS, {"history": "Scores."}, clear=True):  # the other pictures take long
        page.write(search, path)


WRITERS = [save, journal, picture, report]
READERS = [load, seed]


def refusal(work, path):
    with pytest.raises(OSError, match=re.escape(str(path))) as caught:
        work(path)
    error = caught.value
    assert error.filename == str(path)
    assert error.strerror.startswith(os.strerror(error.errno))
    return error


@pytest.mark.parametrize("work", [*WRITERS, load])
def test_a_missing_folder(work, tmp_path):
    error = refusal(work, tmp_path / "absent" / "file.png")
    assert type(error) is FileNotFoundError
    assert error.errno == errno.ENOENT


@pytest.mark.parametrize("work", [*WRITERS, *READERS])
def test_a_file_where_a_folder_should_be(work, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert type(refusal(work, tmp_path / "file" / "file.png")) is NotADirectoryError


@pytest.mark.parametrize("work", [*WRITERS, load])
def test_a_folder_where_a_file_should_be(work, tmp_path):
    (tmp_path / "folder.png").mkdir()
    assert type(refusal(work, tmp_path / "folder.png")) is IsADirectoryError


@pytest.mark.parametrize("work", [*WRITERS, *READERS])
def test_a_name_that_is_too_long(work, tmp_path):
    assert refusal(work, tmp_path / f"{'n' * 300}.png").errno == errno.ENAMETOOLONG


@pytest.mark.parametrize("work", [*WRITERS, *READERS])
def test_a_circle_of_links(work, tmp_path):
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("a.png")
    assert refusal(work, tmp_path / "a.png").errno == errno.ELOOP


PIPES = """
import os, sys
from fastreg import layers
import fastreg as fr
os.mkfifo(sys.argv[1])
model = fr.Sequential([layers.Input((2,)), layers.Dense(1)])
for read in (fr.load, model.load_weights, model.save):
    try:
        read(sys.argv[1])
    except ValueError as error:
        assert str(error) == sys.argv[1] + ": must be a regular file", error
    else:
        raise AssertionError("nothing was raised")
"""


def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path):
    run_program(PIPES, tmp_path / "pipe", timeout=30)


@pytest.mark.parametrize("logger", [callbacks.CSVLogger, callbacks.JSONLogger])
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_log_that_cannot_be_written(logger, tmp_path):
    """A file of the system's that is always full, through a link."""
    (tmp_path / "log").symlink_to("/dev/full")
    log = logger(tmp_path / "log")
    log.on_train_begin()
    error = refusal(lambda path: log.on_epoch_end(0, {"loss": 1.0}), tmp_path / "log")
    assert error.errno == errno.ENOSPC
    with pytest.raises(RuntimeError, match=r"on_train_begin opens the file"):  # it is closed
        log.on_epoch_end(1, {"loss": 1.0})
    log.on_train_end()
    log = None  # as at the end of the program
    gc.collect()


PROGRAM = """
import json, os, sys
import test_file_errors as tests
path = os.path.join(sys.argv[2], sys.argv[3])
work = getattr(tests, sys.argv[1])
try:
    work(os.path.join(sys.argv[2], "warm.png"))  # what is imported later may not be readable for the other user
except OSError:
    pass
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    work(path)
    raise AssertionError("nothing was raised")
except OSError as error:
    print(json.dumps([type(error).__name__, error.filename == path, error.strerror]))
"""


@pytest.fixture
def shared():
    """A folder that another user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.parametrize("work", [*WRITERS, *READERS])
def test_a_file_that_this_user_may_not_open(work, shared):
    (shared / "file.png").write_bytes(b"secret")
    (shared / "file.png").chmod(0)
    kind, named, text = last_json(run_program(PROGRAM, work.__name__, shared, "file.png"))
    assert (kind, named, text) == ("PermissionError", True, os.strerror(errno.EACCES))


@pytest.mark.parametrize("work", WRITERS)
def test_a_folder_in_which_this_user_may_not_write(work, shared):
    (shared / "folder").mkdir()
    (shared / "folder").chmod(0o555)
    kind, named, text = last_json(run_program(PROGRAM, work.__name__, shared, "folder/file.png"))
    assert (kind, named) == ("PermissionError", True)
    beside = "" if work is journal else " (no file can be created beside it)"
    assert text == os.strerror(errno.EACCES) + beside


FULL = """
import ctypes, json, os, subprocess, sys
import test_file_errors as tests
work, folder = getattr(tests, sys.argv[1]), sys.argv[2]
work(os.path.join(folder, "warm.png"))
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
private = libc.unshare(CLONE_NEWNS) == 0
disk = os.path.join(folder, "disk")
os.mkdir(disk)
mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk]
if not private or subprocess.run(mount, capture_output=True).returncode:
    print(json.dumps("no disk"))
    sys.exit()
path = os.path.join(disk, "file.png")
try:
    with open(os.path.join(disk, "filler"), "wb") as file:
        file.write(bytes(1 << 20))
except OSError:
    pass
try:
    work(path)
    raise AssertionError("nothing was raised")
except OSError as error:
    named = [type(error).__name__, error.errno, error.filename == path, error.strerror]
os.unlink(os.path.join(disk, "filler"))
print(json.dumps([named, [name for name in os.listdir(disk) if name != "file.png"]]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a disk")
@pytest.mark.parametrize("work", WRITERS)
def test_a_full_disk(work, tmp_path):
    """A disk of 64 kB that is full, where this user may mount one."""
    found = last_json(run_program(FULL, work.__name__, tmp_path))
    if found == "no disk":
        pytest.skip("this user may not mount a disk")
    assert found == [["OSError", errno.ENOSPC, True, os.strerror(errno.ENOSPC)], []]


@pytest.mark.parametrize("call", ["fsync", "write", "close", "ftruncate", "fstat", "dup", "flock"])
def test_calls_of_a_journal_that_hardly_ever_fail(call, tmp_path, monkeypatch):
    import fcntl

    path = tmp_path / "j.jsonl"
    if call in ("ftruncate", "dup"):
        journal(path)
        with open(path, "ab") as file:
            file.write(b"torn")
    own = os.close
    hit = []

    def fail(*arguments):
        if call == "close" and not hit:
            own(*arguments)
        hit.append(call)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:  # pytest itself uses some of them
        patched.setattr(fcntl if call == "flock" else os, call, fail)
        refusal(journal, path)
    assert hit


def test_an_append_that_fails_names_the_journal(tmp_path, monkeypatch):
    path = tmp_path / "j.jsonl"
    with Journal(path, HEADER, resume=True, widens=lambda old: True) as journal:
        def fail(*arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "write", fail)
        with pytest.raises(OSError, match=r"No space left on device: '.*j\.jsonl'") as caught:
            journal.append({"trial": 0})
        assert caught.value.filename == str(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_disk_that_fills_up_in_the_midst_of_a_search_loses_nothing_that_was_finished(tmp_path):
    """The error names the journal; every fold before it is in there, and once there is room the search goes on."""
    program = """
import errno, json, os, resource, signal, sys
from fastreg.search import GridSearch
from searches import Scored, findings, nothing
path = sys.argv[1]
fits = 0
class Counted(Scored):
    def fit(self, x, y):
        global fits
        fits += 1
        return super().fit(x, y)
def search(path):
    return GridSearch(Counted(), {"a": list(range(20))}, cv=2, seed=0, verbose=0, n_jobs=1, journal=path, resume=True,
                      refit=False).fit(*nothing())
whole = findings(search(path + ".whole"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
try:
    search(path)
    raise AssertionError("nothing was raised")
except OSError as error:
    named = [error.errno == errno.EFBIG, error.filename == path]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
kept = open(path, "rb").read().count(b"\\n") - 1
fits = 0
same = findings(search(path)) == whole
print(json.dumps([named, os.path.getsize(path) > 4000, kept, fits, same]))
"""
    named, grown, kept, fits, same = last_json(run_program(program, tmp_path / "j.jsonl"))
    assert named == [True, True]
    assert grown
    assert kept > 5
    assert kept + fits == 40
    assert same


def test_a_search_names_its_journal(tmp_path):
    from fastreg.search import GridSearch

    path = tmp_path / "absent" / "j.jsonl"
    for options in ({"seed": 0}, {"resume": True}):
        search = GridSearch(Scored(), {"a": [1]}, cv=2, n_jobs=1, verbose=0, journal=path, **options)
        refusal(lambda _, search=search: search.fit(*nothing()), path)


def test_a_name_that_is_not_utf8_is_told_as_python_spells_it(tmp_path):
    path = os.path.join(os.fspath(tmp_path), os.fsdecode(b"caf\xe9"), "file.png")
    for work in (journal, picture):
        for kind in (str, os.fsencode, Path):
            with pytest.raises(FileNotFoundError) as caught:
                work(kind(path))
            assert caught.value.filename == path
            json.dumps(str(caught.value))
