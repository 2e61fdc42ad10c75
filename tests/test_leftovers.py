"""Temporary files that a killed process has left are removed by a later save, once they are old and not locked."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time

import pytest
from fastreg import layers, plots
from programs import compiled, last_json, run_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

OLD = ".fastreg-1234-0-1700000000000000000.tmp"


@pytest.fixture
def model():
    return compiled([layers.Dense(3), layers.Dense(1)], n_features=2)


def age(path, seconds):
    """Makes a file look as if it was last written so long ago. A link is aged itself."""
    now = time.time()
    os.utime(path, (now, now - seconds), follow_symlinks=False)


def make(path, seconds=7200.0, content=b"left"):
    path.write_bytes(content)
    age(path, seconds)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_killed_saves_leave_nothing_for_ever(tmp_path, model):
    """Many saves are killed. A save at once removes none of what they left, one after more than an hour all of it."""
    program = """
import json, os, random, signal, sys, time
import fastreg as fr
from fastreg import layers
from programs import compiled
folder = sys.argv[1]
fr.set_num_threads(1)
big = compiled([layers.Dense(700), layers.Dense(1)], n_features=700)
chance = random.Random(0)
left = lambda: [name for name in os.listdir(folder) if name.endswith(".tmp")]
for kill in range(300):
    done, saved = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            big.save(os.path.join(folder, "net.safetensors"))
            os.write(saved, b".")
    os.read(done, 1)
    time.sleep(chance.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(done), os.close(saved)
    if len(left()) >= 10:
        break
print(json.dumps(left()))
"""
    left = last_json(run_program(program, tmp_path, timeout=120))
    assert len(left) >= 10
    model.save(tmp_path / "net.safetensors")
    assert set(left) <= set(names(tmp_path))
    for name in left:
        age(tmp_path / name, 3700.0)
    model.save(tmp_path / "net.safetensors")
    assert names(tmp_path) == ["net.safetensors"]


def test_young_and_locked_files_stay(tmp_path, model):
    young = make(tmp_path / OLD.replace("1234", "1"), 3500.0)
    locked = make(tmp_path / OLD.replace("1234", "2"))
    unlocked = make(tmp_path / OLD.replace("1234", "3"))
    with open(locked, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        model.save(tmp_path / "net.safetensors")
        assert names(tmp_path) == sorted([young.name, locked.name, "net.safetensors"])
    assert not unlocked.exists()
    model.save(tmp_path / "net.safetensors")
    assert names(tmp_path) == sorted([young.name, "net.safetensors"])


def test_files_of_strangers_stay(tmp_path, model):
    """Other names, and folders, links and pipes of such names, however old they are."""
    others = [".fastreg-1-2.tmp", ".fastreg-1-2-3-4.tmp", ".fastreg-1-2-x.tmp", ".fastreg-1-2-3.tmp~",
              "fastreg-1-2-3.tmp", ".fastreg--2-3.tmp", ".fastreg-1-2-3", ".fastreg-1-2-3.TMP",
              ".fastreg-1-2-3.tmp.tmp",
              ".fastreg-+1-2-3.tmp",
              f".fastreg-{'1' * 21}-2-3.tmp", ".net.safetensors.abc.tmp", "notes.txt"]
    for name in others:
        make(tmp_path / name)
    target = make(tmp_path / "target")
    (tmp_path / OLD.replace("1234", "4")).symlink_to(target)
    (tmp_path / OLD.replace("1234", "5")).mkdir()
    os.mkfifo(tmp_path / OLD.replace("1234", "6"))
    if os.geteuid() == 0:
        os.chown(make(tmp_path / OLD.replace("1234", "7")), 12345, 12345)
    for path in tmp_path.iterdir():
        age(path, 7200.0)
    before = names(tmp_path)
    make(tmp_path / OLD)
    model.save(tmp_path / "net.safetensors")
    assert names(tmp_path) == sorted([*before, "net.safetensors"])


def test_a_process_that_saves_again_and_again_sees_what_others_leave(tmp_path, model):
    """A folder that was found to be clean is looked at again as soon as anything in it has changed."""
    for i in range(3):
        for _ in range(3):
            model.save(tmp_path / "net.safetensors")
        time.sleep(0.02)  # more than what the clock of a file system tells apart
        make(tmp_path / OLD.replace("1234", str(i)))
        model.save(tmp_path / "net.safetensors")
        assert names(tmp_path) == ["net.safetensors"]


def test_a_young_file_is_removed_once_it_is_old(tmp_path, model):
    """That a name was there before changes nothing: its age does not change the folder."""
    left = make(tmp_path / OLD, 10.0)
    model.save(tmp_path / "net.safetensors")
    model.save(tmp_path / "net.safetensors")
    assert left.exists()
    age(left, 3700.0)
    model.save(tmp_path / "net.safetensors")
    assert names(tmp_path) == ["net.safetensors"]


def test_what_cannot_be_removed_never_fails_a_save():
    """An old file that this user may not open stays where it is."""
    program = """
import json, os, sys
import fastreg as fr
from pathlib import Path
from programs import regressor
folder = Path(sys.argv[1])
model = regressor(n_features=2)
left = folder / ".fastreg-1-2-3.tmp"
left.write_bytes(b"")
os.utime(left, (0, 0))
os.chmod(left, 0o400)
if os.geteuid() == 0:
    os.chmod(folder, 0o777)
    os.chown(left, 65534, 65534)
    os.setgid(65534), os.setuid(65534)
model.save(folder / "net.safetensors")
print(json.dumps(sorted(os.listdir(folder))))
"""
    with tempfile.TemporaryDirectory() as folder:
        assert last_json(run_program(program, folder)) == [".fastreg-1-2-3.tmp", "net.safetensors"]


def test_reports_and_pictures_are_written_the_same_way(tmp_path):
    pytest.importorskip("matplotlib")
    make(tmp_path / OLD)
    plots.learning_curves({"loss": [2.0, 1.0]}, tmp_path / "curves.png")
    assert names(tmp_path) == ["curves.png"]


