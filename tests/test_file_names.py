"""Names of files: any that the system can have, endings of other formats, and what a file is by its content."""

import gzip
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import fastreg as fr
import numpy as np
import pytest
from fastreg import layers
from fastreg.model import files
from fastreg.model.core import core_of
from fastreg.table.model import TableModel

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems take no name that is not text")


class Named:
    """A path object of one's own."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


# What stands for a path, made of the bytes that the system knows it by.
KINDS = {
    "str": os.fsdecode,
    "bytes": bytes,
    "Path": lambda raw: Path(os.fsdecode(raw)),
    "PathLike of str": lambda raw: Named(os.fsdecode(raw)),
    "PathLike of bytes": Named,
}
NAMES = [b"plain", "äöü 数".encode(), b"\xff\xfe"]


def model():
    made = fr.Sequential([layers.Dense(4, "relu"), layers.Dense(1)], seed=1)
    made.compile("adam", "mse")
    made.fit(X, X[:, 0], epochs=2, verbose=0)
    return made


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


@linux
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_any_name_saves_and_loads(kind, name, tmp_path):
    raw = os.path.join(os.fsencode(tmp_path), name + b".safetensors")
    path, made = KINDS[kind](raw), model()
    made.save(path)
    assert os.listdir(os.fsencode(tmp_path)) == [name + b".safetensors"]
    assert same(fr.load(path), made)
    assert same(fr.models.load_model(path), made)


@linux
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_errors_show_the_name_and_no_signature(kind, name, tmp_path):
    raw = os.path.join(os.fsencode(tmp_path), name)
    path, shown = KINDS[kind](raw), os.fsdecode(name)
    made = model()
    with pytest.raises(FileNotFoundError) as missing:
        fr.load(path)
    with pytest.raises(FileNotFoundError) as nowhere:
        made.save(KINDS[kind](raw + b"/net.safetensors"))
    Path(os.fsdecode(raw)).write_bytes(b"abc")
    with pytest.raises(ValueError, match="not a safetensors file") as damaged:
        fr.load(path)
    with pytest.raises(ValueError, match="path must end in") as ending:
        made.save(KINDS[kind](raw + b".pt"))
    for caught in (missing, nowhere, damaged):
        said = str(caught.value)
        assert shown in said or ascii(shown)[1:-1] in said
    for caught in (missing, nowhere, damaged, ending):
        for word in ("incompatible function arguments", "_core", "arg0", "n_features"):
            assert word not in str(caught.value)


@pytest.mark.parametrize("path", [3, None, 1.5, ["a"], X])
def test_what_is_no_path_is_refused(path):
    made = model()
    for call in (made.save, fr.load, fr.models.load_model, TableModel.load):
        with pytest.raises(TypeError, match=r"^path: must be a string, bytes or a path, got "):
            call(path)


@linux
def test_a_name_that_no_system_can_have():
    with pytest.raises(ValueError, match="path: must be a name that the file system can have"):
        fr.load("\ud800")


@linux
@pytest.mark.parametrize("kind", KINDS)
def test_tables_have_any_name(kind, tmp_path):
    pytest.importorskip("pandas")
    from fastreg.table import read_table

    raw = os.path.join(os.fsencode(tmp_path), b"\xff.csv")
    with open(raw, "w") as file:
        file.write("a,b\n1,2\n2,3\n")
    assert list(read_table(KINDS[kind](raw))) == ["a", "b"]


@linux
def test_the_command_takes_any_name(tmp_path):
    pytest.importorskip("pandas")
    pytest.importorskip("optuna")
    rows = "".join(f"{a},{b},{int(a > b)}\n" for a, b in np.random.default_rng(0).normal(size=(90, 2)))
    data, net = (os.path.join(os.fsencode(tmp_path), b"\xff" + ending) for ending in (b".csv", b".safetensors"))
    with open(data, "w") as file:
        file.write("a,b,c\n" + rows)
    for arguments in ([b"tune", data, b"--target", b"c", b"--trials", b"2", b"--out", net], [b"predict", net, data]):
        # A stream that takes text only, as in most locales.
        environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
        done = subprocess.run(
            [sys.executable, "-m", "fastreg", *arguments], env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")


OTHERS = [".pt", ".pth", ".onnx", ".npz", ".npy", ".pkl", ".pickle", ".joblib", ".tflite", ".ckpt", ".pb", ".gguf"]
OTHERS += [".json", ".csv", ".zip", ".PT"]


@pytest.mark.parametrize("ending", OTHERS)
def test_endings_of_other_formats_are_refused(ending, tmp_path):
    made, path = model(), tmp_path / f"net{ending}"
    with pytest.raises(ValueError, match=r"^save: path must end in \.safetensors.*\.keras.*got '\.") as caught:
        made.save(path)
    assert repr(ending.lower()) in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize("name", ["net.safetensors", "net", "net.v2", "net.model", "net.fastreg", ".hidden"])
def test_other_endings_are_silent(name, tmp_path):
    made = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.save(tmp_path / name)
    assert same(fr.load(tmp_path / name), made)


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.hdf5", "net.weights.h5", "NET.KERAS"])
def test_keras_s_endings_are_taken_with_one_warning(name, tmp_path):
    made = model()
    with pytest.warns(UserWarning, match=r"^save: .*Keras cannot read it, fastreg.load can") as caught:
        made.save(str(tmp_path / name))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert same(fr.load(tmp_path / name), made)


def foreign(folder):
    """Files of other libraries: name, and what they are called in the message."""
    (folder / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    yield "net.h5", "an HDF5 file"
    with zipfile.ZipFile(folder / "net.keras", "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "{}")
    yield "net.keras", "a Keras model"
    with zipfile.ZipFile(folder / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02.")
        archive.writestr("net/version", "3")
    yield "net.pt", "a PyTorch file"
    np.savez(folder / "net.npz", a=X)
    yield "net.npz", "a NumPy archive"
    np.save(folder / "net.npy", X)
    yield "net.npy", "a NumPy file"
    (folder / "net.pkl").write_bytes(pickle.dumps({"weights": [1.0] * 50}))
    yield "net.pkl", "a pickle"
    (folder / "net.gz").write_bytes(gzip.compress(bytes(100)))
    yield "net.gz", "gzip"
    with zipfile.ZipFile(folder / "net.zip", "w") as archive:
        archive.writestr("readme", "x")
    yield "net.zip", "a zip archive"


def test_files_are_known_by_their_content(tmp_path):
    for name, kind in foreign(tmp_path):
        for given in (name, "renamed.safetensors"):
            content = (tmp_path / name).read_bytes()
            (tmp_path / given).write_bytes(content)
            with pytest.raises(ValueError, match=rf"It is .*{kind}.*fastreg reads only what it saved") as caught:
                fr.load(tmp_path / given)
            assert str(tmp_path / given) in str(caught.value)
            assert caught.value.__cause__ is None


def test_a_damaged_file_of_its_own_is_called_nothing_else(tmp_path):
    path = tmp_path / "net.safetensors"
    model().save(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="tensor") as caught:
        fr.load(path)
    assert "It is" not in str(caught.value)


def test_tune_refuses_the_ending_before_it_searches(tmp_path):
    pytest.importorskip("pandas")
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")
    done = subprocess.run(
        [sys.executable, "-m", "fastreg", "tune", "d.csv", "--target", "b", "--out", "net.onnx"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("fastreg tune: save: path must end in .safetensors")
    assert "Traceback" not in done.stderr


MEMORY = r"""
import re, sys
import numpy as np
import fastreg as fr
from fastreg import layers

path, what = sys.argv[1:]

def peak():
    # Of this program alone; ru_maxrss begins with what the process was that started it.
    return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", open("/proc/self/status").read())[1])

small = fr.Sequential([layers.Dense(2)], seed=0)
small.compile("adam", "mse")
small.fit(np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32), verbose=0)
small.save(path + ".small")
fr.load(path + ".small").predict(np.zeros((1, 3), np.float32))
before = peak()
model = fr.load(path) if what == "whole" else fr.models.load_model(path, compile=False)
print(peak() - before)
"""


@linux
@pytest.mark.parametrize(
    ("sizes", "what"), [((3000, 3000), "whole"), ((9_000_000, 1), "whole"), ((40, 200_000), "bare")]
)
def test_loading_takes_the_model_once_and_a_buffer(sizes, what, tmp_path):
    """Weights and, where they are loaded, the optimizer's two moments; a copy of one tensor alone would be seen."""
    features, units = sizes
    made = fr.Sequential([layers.Dense(units)], seed=0)
    made.compile("adam", "mse")
    made.build(features)
    path = tmp_path / "net.safetensors"
    trainer = core_of(made).trainer_for(None)
    trainer.step = 1  # as after a step, so that there are moments to save
    made.save(path)
    weights = 4 * made.count_params()
    assert path.stat().st_size > 3 * weights
    del made, trainer
    program = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path), what], capture_output=True, text=True, check=True
    )
    # Gradients of a trainer are zeroed memory that nobody has touched, or as large as the weights again.
    kept = 4 * weights if what == "whole" else weights
    assert int(program.stdout) < kept + 12_000_000


def test_blocks_cover_a_tensor_once(tmp_path, monkeypatch):
    """Tensors of a block, of several and of a part of one more: each value comes once, and in its place."""
    made = fr.Sequential([layers.Dense(37, "relu"), layers.BatchNormalization(), layers.Dense(5)], seed=4)
    made.compile("adam", "mse")
    made.fit(X, np.zeros((20, 5), np.float32), epochs=3, verbose=0)
    made.save(tmp_path / "net.safetensors")
    moments = core_of(made).trainer_for(None).get_moments()
    for block in (1, 3, 37, 64, 111, 185, 10_000):
        monkeypatch.setattr(files, "_BLOCK", block)
        loaded = fr.load(tmp_path / "net.safetensors")
        assert same(loaded, made)
        found = core_of(loaded).trainer_for(None).get_moments()
        assert all(np.array_equal(found[name], moments[name]) for name in moments)
        assert np.array_equal(loaded.predict(X), made.predict(X))


@pytest.mark.parametrize("place", [0, 5, 110])
def test_a_value_that_is_not_finite_is_found_in_any_block(place, tmp_path, monkeypatch):
    made = fr.Sequential([layers.Dense(37), layers.BatchNormalization()], seed=4)
    made.build(3)
    path = tmp_path / "net.safetensors"
    made.save(path)
    content = bytearray(path.read_bytes())
    kernel = made.get_weights()[0].reshape(-1)
    at = content.find(kernel.tobytes())
    content[at + 4 * place : at + 4 * place + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    monkeypatch.setattr(files, "_BLOCK", 16)
    row, column = divmod(place, 37)
    message = rf"the file: layers\.0\.kernel: must be finite numbers, got NaN in column {column}, row {row}"
    with pytest.raises(ValueError, match=message):
        fr.load(path)
