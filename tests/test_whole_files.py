"""Models, reports and pictures are written alike: links are followed, modes are kept, the umask is left alone, and
whatever happens there is the old content or the new one."""

from __future__ import annotations

import functools
import os
import stat
import sys
from pathlib import Path
from unittest import mock

import pytest
from fastreg import plots
from programs import last_json, regressor, run_program
from searched import searched


@functools.cache
def found():
    return searched()


def write_model(path):
    regressor(n_features=2).save(path)


def write_report(path):
    pytest.importorskip("matplotlib")
    from fastreg.search.found import report

    # The pictures in it take most of the time, and it is one page all the same.
    with mock.patch.dict(report._CAPTIONS, {"history": "Scores."}, clear=True):
        found().report(path)


def write_picture(path):
    pytest.importorskip("matplotlib")
    found().plot("history", path)


def write_curves(path):
    pytest.importorskip("matplotlib")
    plots.learning_curves({"loss": [2.0, 1.0]}, path)


WRITERS = {"model": write_model, "report": write_report, "picture": write_picture, "curves": write_curves}
everyone = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@everyone
def test_an_existing_file_keeps_its_mode(write, tmp_path):
    path = tmp_path / "file.png"
    for own in (0o600, 0o604, 0o666):
        path.write_bytes(b"old")
        path.chmod(own)
        write(path)
        assert mode(path) == own
        assert path.read_bytes() != b"old"


@everyone
def test_a_new_file_has_the_mode_that_the_umask_leaves(write, tmp_path):
    for umask in (0o022, 0o077, 0o002):
        path = tmp_path / f"{umask}.png"
        before = os.umask(umask)
        try:
            write(path)
        finally:
            assert os.umask(before) == umask
        assert mode(path) == 0o666 & ~umask


@everyone
def test_the_umask_is_never_touched(write, tmp_path, monkeypatch):
    """It is the process's: another thread that makes a file meanwhile would get the wrong mode."""
    write(tmp_path / "first.png")  # what is imported now may do what it likes
    touched = []
    monkeypatch.setattr(os, "umask", lambda mask: touched.append(mask) or 0o022)
    write(tmp_path / "file.png")
    assert touched == []


@everyone
def test_links_are_followed(write, tmp_path):
    (tmp_path / "deep").mkdir()
    target = tmp_path / "deep" / "target.png"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link, second, dangling = tmp_path / "link.png", tmp_path / "deep" / "second.png", tmp_path / "dangling.png"
    second.symlink_to("target.png")
    link.symlink_to("deep/second.png")
    dangling.symlink_to("deep/new.png")
    write(link)
    write(dangling)
    assert [link.is_symlink(), second.is_symlink(), dangling.is_symlink()] == [True] * 3
    assert target.read_bytes() != b"old"
    assert mode(target) == 0o640
    assert names(tmp_path / "deep") == ["new.png", "second.png", "target.png"]


@everyone
def test_other_names_of_the_old_file_keep_the_old_content(write, tmp_path):
    """A file is replaced, not written over: who reads it meanwhile reads all of the old one."""
    path = tmp_path / "file.png"
    path.write_bytes(b"old")
    os.link(path, tmp_path / "other")
    with open(path, "rb") as file:
        write(path)
        assert file.read() == b"old"
    assert (tmp_path / "other").read_bytes() == b"old"
    assert path.read_bytes() != b"old"


@everyone
def test_only_regular_files_are_replaced(write, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png: must be a regular file"):
        write(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write(tmp_path / "folder.png")
    assert caught.value.filename == str(tmp_path / "folder.png")
    assert names(tmp_path) == ["folder.png", "pipe.png"]


@pytest.mark.parametrize("write", [write_report, write_picture, write_curves])
@pytest.mark.parametrize("kind", [str, os.fsencode, Path], ids=["str", "bytes", "Path"])
def test_any_name_that_the_system_takes(write, kind, tmp_path):
    name = b"caf\xe9 \xff.png"
    write(kind(os.path.join(os.fspath(tmp_path), os.fsdecode(name))))
    assert os.listdir(os.fsencode(tmp_path)) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
@everyone
def test_a_full_disk_leaves_the_old_file_and_names_it(write, tmp_path):
    """A disk that is full, played by a limit on the size of files, in a process of its own."""
    program = f"""
import errno, json, os, resource, signal, sys
from pathlib import Path
from test_whole_files import {write.__name__} as write
path = Path(sys.argv[1])
write(path.with_name("first.png"))  # imports and caches are made
path.with_name("first.png").unlink()
path.write_bytes(b"old")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write(path)
    raise AssertionError("nothing was raised")
except OSError as error:
    same = [error.errno == errno.EFBIG, error.strerror == os.strerror(error.errno)]
    found = [type(error).__name__, error.filename, same]
print(json.dumps([found, path.read_text(), sorted(os.listdir(path.parent))]))
"""
    path = tmp_path / "file.png"
    if write is not write_model:
        pytest.importorskip("matplotlib")
    assert last_json(run_program(program, path)) == [["OSError", str(path), [True, True]], "old", ["file.png"]]


def test_a_picture_without_an_ending_gets_that_of_its_format(tmp_path):
    """As matplotlib's own savefig does; an ending that it does not know is refused, and nothing is written."""
    pytest.importorskip("matplotlib")
    write_curves(tmp_path / "curves")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    write_curves(tmp_path / "curves.SVG")
    assert b"<svg" in (tmp_path / "curves.SVG").read_bytes()
    with pytest.raises(ValueError, match="nothing"):
        write_curves(tmp_path / "curves.nothing")
    assert names(tmp_path) == ["curves.SVG", "curves.png"]


def test_a_picture_may_go_to_an_open_file(tmp_path):
    pytest.importorskip("matplotlib")
    with open(tmp_path / "open", "wb") as file:
        write_curves(file)
    assert (tmp_path / "open").read_bytes().startswith(b"\x89PNG")
