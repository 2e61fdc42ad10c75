"""Runs every example as a user would, in a process of its own, and checks the outcome it prints.

The Fashion-MNIST files are found by FASTREG_DATA (default: ../shared/data beside the repository).
"""

import gzip
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
DATA = Path(os.environ.get("FASTREG_DATA", ROOT.parent / "shared" / "data"))
FASHION = DATA / "fashion-mnist"


NUMBER = r"-?\d[\d.]*"


def run(name: str, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == status, done.stderr
    return done


def table(text: str, columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """Rows by their first words, of the numbers that follow in the given columns."""
    rows = {}
    for line in text.splitlines():
        match = re.match(rf"(.*?\S)\s+((?:{NUMBER}\s+){{{len(columns) - 1}}}{NUMBER})", line)
        if match:
            rows[match[1].strip()] = dict(zip(columns, (float(v) for v in match[2].split()), strict=True))
    return rows


def is_png(path: Path) -> bool:
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 5_000


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'"{path.name}"' in text or path.name == "toy_data.py", f"{path.name} has no test here"


def test_linear_regression(tmp_path: Path) -> None:
    out = run("linear_regression.py", "--plot", tmp_path / "cost.png").stdout
    differences = [float(v) for v in re.findall(r"largest difference (\S+)", out)]
    # float32 sums of 200 rows, and 300 steps that leave 1e-8 of the slowest direction.
    assert len(differences) == 2
    assert max(differences) < 2e-5
    costs = [float(v) for v in re.findall(r"cost in step +\d+ +(\S+)", out)]
    for run_costs in (costs[:4], costs[4:]):
        assert run_costs == sorted(run_costs, reverse=True)
        assert run_costs[0] > 4 * run_costs[-1]
    assert is_png(tmp_path / "cost.png")


def test_l1_l2_linear(tmp_path: Path) -> None:
    out = run("l1_l2_linear.py", "--plot", tmp_path / "weights.png").stdout
    rows = table(out, ("zeros", "small", "l1", "l2"))
    assert list(rows) == ["none", "L2", "L1", "L1, proximal", "L1 and L2"]
    assert rows["none"]["zeros"] == rows["L2"]["zeros"] == 0
    # 25 of the 30 columns are noise, 5 are not.
    assert 20 <= rows["L1, proximal"]["zeros"] <= 25
    assert rows["L1"]["zeros"] < 5 <= rows["L1"]["small"]
    assert rows["L1"]["l1"] < rows["none"]["l1"]
    assert rows["L2"]["l2"] < rows["none"]["l2"]
    assert is_png(tmp_path / "weights.png")


def test_dropout(tmp_path: Path) -> None:
    out = run("dropout.py", "--plot", tmp_path / "curves.png").stdout
    rows = table(out, ("train loss", "test loss", "train accuracy", "test accuracy"))
    none, half = rows["0.0"], rows["0.5"]
    assert none["test loss"] > 2 * none["train loss"]
    assert half["test loss"] < none["test loss"]
    assert half["train loss"] > none["train loss"]
    assert half["test accuracy"] > 0.85
    assert is_png(tmp_path / "curves.png")


def test_early_stopping(tmp_path: Path) -> None:
    out = run("early_stopping.py", "--plot", tmp_path / "curves.png").stdout
    rows = table(out, ("epochs", "best epoch", "validation loss", "test loss", "test accuracy"))
    everything, stopped = rows["all epochs"], rows["early stopping"]
    assert everything["epochs"] == 500
    assert stopped["epochs"] == stopped["best epoch"] + 20
    assert stopped["test loss"] < everything["test loss"]
    assert stopped["validation loss"] < everything["validation loss"]
    assert is_png(tmp_path / "curves.png")


@pytest.mark.skipif(not (DATA / "ETTh1.csv.gz").exists(), reason=f"{DATA} has no ETTh1.csv.gz; FASTREG_DATA names it")
def test_etth1() -> None:
    rows = table(run("etth1.py", DATA / "ETTh1.csv.gz").stdout, ("MSE", "seconds"))
    assert rows["fastreg"]["MSE"] <= rows["MLPRegressor of scikit-learn"]["MSE"]
    assert rows["fastreg"]["MSE"] < 0.41  # the last value repeated has 1.29


def test_keras_program() -> None:
    out = run("keras_program.py").stdout
    assert "history: accuracy, loss, val_accuracy, val_loss" in out
    assert "weights: [(10, 64), (64,), (64,), (64,), (64,), (64,), (64, 1), (1,)]" in out
    assert float(re.search(r"test accuracy (\S+)", out)[1]) > 0.75  # type: ignore[index]


def write_idx(path: Path, array: np.ndarray, kind: int = 0x08) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of 6 x 9 pixels, three classes called 2, 5 and 9 of very different frequency."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(40, 200, (3, 6, 9))
    for part, rows in (("train", 1500), ("t10k", 400)):
        y = rng.choice(3, rows, p=[0.7, 0.2, 0.1])
        x = np.clip(patterns[y] + rng.normal(0, 60, (rows, 6, 9)), 0, 255).astype(np.uint8)
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", x)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.array([2, 5, 9], np.uint8)[y])
    return tmp_path


def test_fashion_mnist_takes_other_images(images: Path) -> None:
    saved, plot = images / "net.safetensors", images / "curve.png"
    done = run("fashion_mnist.py", "--data", images, "--epochs", 4, "--save", saved, "--plot", plot)
    assert "1500 training and 400 test images of 54 pixels, 3 classes" in done.stdout
    assert float(re.search(r"test accuracy (\S+)", done.stdout)[1]) > 0.95  # type: ignore[index]
    assert re.search(r"[\d,]+ samples/s", done.stdout)
    assert done.stderr  # progress
    assert is_png(plot)
    import fastreg

    assert fastreg.load(saved).predict(np.zeros((2, 54), np.float32)).shape == (2, 3)


def test_fashion_mnist_takes_uncompressed_floats(images: Path) -> None:
    for part in ("train", "t10k"):
        path = images / f"{part}-images-idx3-ubyte.gz"
        pixels = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(-1, 6, 9)
        write_idx(path, (pixels / 255).astype(">f4"), 0x0D)
        (images / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    out = run("fashion_mnist.py", "--data", images, "--epochs", 4).stdout
    assert float(re.search(r"test accuracy (\S+)", out)[1]) > 0.95  # type: ignore[index]


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (TRAIN_IMAGES, lambda raw: None, "train-images-idx3-ubyte.gz is missing"),
        (TRAIN_IMAGES, lambda raw: raw[:-20], "is not a whole gzip file"),
        (TRAIN_IMAGES, lambda raw: raw[:200] + bytes(100) + raw[300:], "is not a whole gzip file"),
        (TRAIN_IMAGES, lambda raw: b"no gzip", "is not a whole gzip file"),
        (TRAIN_IMAGES, lambda raw: gzip.compress(b"PNG and so on"), "is not an idx file"),
        (TRAIN_IMAGES, lambda raw: gzip.compress(b""), "is not an idx file: it begins with nothing"),
        (TRAIN_IMAGES, lambda raw: gzip.compress(gzip.decompress(raw)[:-1]), "needs 81000 bytes, the file holds 80999"),
        (TRAIN_IMAGES, lambda raw: gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12), "is damaged: shape"),
        (
            TRAIN_LABELS,
            lambda raw: gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 3) + b"\1\2\3"),
            "one label for each",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            lambda raw: gzip.compress(gzip.decompress(raw)[:-1] + b"\7"),
            "test labels [7] do not occur",
        ),
        (
            TRAIN_LABELS,
            lambda raw: gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 1500) + bytes(1500)),
            "at least 2 classes",
        ),
    ],
)
def test_fashion_mnist_says_what_is_wrong(
    images: Path, name: str, damage: Callable[[bytes], bytes | None], message: str
) -> None:
    path = images / name
    raw = damage(path.read_bytes())
    path.unlink() if raw is None else path.write_bytes(raw)
    done = run("fashion_mnist.py", "--data", images, status=1)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not FASHION.is_dir(), reason=f"{FASHION} does not exist; set FASTREG_DATA to the folder above it")
def test_fashion_mnist_accuracy() -> None:
    out = run("fashion_mnist.py", "--data", FASHION).stdout
    assert "60000 training and 10000 test images of 784 pixels, 10 classes" in out
    assert "trained 10 epochs" in out
    assert float(re.search(r"test accuracy (\S+)", out)[1]) >= 0.885  # type: ignore[index]


def test_serving() -> None:
    out = run("serving.py", "--calls", 200).stdout
    assert "<Predictor: 2 -> 64 relu -> 1 sigmoid>" in out
    # Probabilities of a network of two layers: folding moves them by a few roundings of the sum of 64.
    assert float(re.search(r"difference from predict: (\S+)", out)[1]) < 5e-6
    assert len(re.findall(r"\d+\.\d\d us a call", out)) == 2


def test_search(tmp_path: Path) -> None:
    arguments = ("--trials", 6, "--epochs", 8, "--journal", tmp_path / "j.jsonl")
    done = run("search.py", *arguments)
    assert "6 trials (6 ok), 3 folds, 144 epochs" in done.stdout
    best, ensemble = (float(v) for v in re.findall(r"test accuracy (\S+)", done.stdout))
    assert best > 0.9
    assert ensemble > 0.9
    again = run("search.py", *arguments).stdout
    assert again.split("best model")[1] == done.stdout.split("best model")[1]


def test_recommender() -> None:
    rows = table(run("recommender.py", "--users", 600, "--items", 200, "--seen", 0.15).stdout, ("test RMSE", "seconds"))
    found = {name: row["test RMSE"] for name, row in rows.items()}
    assert set(found) == {"biases", "truncated SVD", "embeddings"}
    # The noise of the ratings is 0.1; what neither biases nor a matrix full of zeros can tell is of size 1.
    assert found["embeddings"] < 0.5 * min(found["biases"], found["truncated SVD"])
