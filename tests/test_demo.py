"""The `fastreg` command and its demo, the diagnosis and the pictures."""

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fastreg
import pytest
from fastreg import cli, demo
from fastreg.diagnosis import diagnose
from fastreg.plots import learning_curves

CURVES = {
    "loss": [2.0, 1.0, 0.5],
    "val_loss": [2.1, 1.2, 1.3],
    "accuracy": [0.3, 0.6, 0.9],
    "val_accuracy": [0.3, 0.5, 0.5],
}


def scores(out: str, network: str) -> dict[str, float]:
    line = next(line for line in out.splitlines() if line.startswith(network + " "))
    names = ("train", "validation", "test", "gap", "epochs", "samples/s")
    return dict(zip(names, (float(v.replace(",", "")) for v in line.split()[1:]), strict=True))


def test_demo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "curves.png"
    assert cli.main(["demo", "--output", str(picture)]) == 0
    out, err = capfd.readouterr()
    plain, regularised = scores(out, "plain"), scores(out, "regularised")
    assert max(plain["epochs"], regularised["epochs"]) <= 200, "a few seconds of work on 400 rows"
    assert "400 training" in out
    assert plain["train"] == 1.0
    assert plain["gap"] == pytest.approx(plain["train"] - plain["test"], abs=1.01e-4)
    assert regularised["gap"] < plain["gap"]
    assert regularised["test"] > plain["test"]
    assert "plain:       over-fitting: " in out
    assert "regularised: good fit: " in out
    assert str(picture) in out
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "val_loss" in err  # progress, and only there
    assert "val_loss" not in out


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from more, and lose much where other processes want the CPUs."""
    before = fastreg.get_num_threads()
    fastreg.set_num_threads(1)
    yield
    fastreg.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_demo_does_not_hang_on_its_seed() -> None:
    """Regularising helps for most splits and starts, not only for the seed that the demo shows."""
    better = told_apart = 0
    for seed in range(10):
        data = demo.load_data(seed)
        plain = demo.train(demo.plain_network(seed), data, None, verbose=0)
        regularised = demo.train(demo.regularised_network(seed), data, demo.early_stopping(), verbose=0)
        better += regularised.gap < plain.gap and regularised.test >= plain.test
        told_apart += (plain.diagnosis.verdict, regularised.diagnosis.verdict) == ("over-fitting", "good fit")
    assert better >= 8
    assert told_apart >= 8


@pytest.mark.parametrize("package", ["sklearn", "matplotlib"])
def test_demo_names_what_is_missing(package: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from fastreg.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "pip install '.[demo]'" in done.stderr
    assert {"sklearn": "scikit-learn", "matplotlib": "matplotlib"}[package] in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("output", "message"),
    [("missing/x.png", "in a folder that exists"), ("x.docx", "must end in one of"), ("", "must end in one of")],
)
def test_demo_refuses_a_bad_output(
    output: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--output", str(tmp_path / output)]) == 1
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("words", [["--version"], ["demo", "--quiet"]])
def test_output_that_cannot_be_written_is_one_line(tmp_path: Path, words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "fastreg", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (1, f"fastreg {words[0]}: [Errno 28] No space left on device\n")


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"fastreg {fastreg.__version__}\n"
    assert cli.main([]) == 2
    assert "usage: fastreg" in capsys.readouterr().err
    with pytest.raises(SystemExit) as wrong:
        cli.main(["demo", "--seed", "-1"])
    assert wrong.value.code == 2
    assert "must be an integer in [0, 2**32), got '-1'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("train", "validation", "losses", "verdict"),
    [
        (0.99, 0.97, [0.5, 0.3, 0.2], "good fit"),
        (0.99, 0.95, [], "good fit"),
        (0.99, 0.93, [0.5, 0.3, 0.2], "over-fitting"),
        (0.99, 0.97, [0.5, 0.20, 0.23], "over-fitting"),
        (0.99, 0.97, [0.5, 0.20, 0.21], "good fit"),
        (0.60, 0.59, [0.9, 0.8], "under-fitting"),
        (0.60, 0.20, [0.9, 3.0], "under-fitting"),
        (math.nan, 0.5, [], "diverged"),
        (0.99, 0.97, [0.5, math.inf], "diverged"),
        (0.97, 0.99, [0.0, 0.0], "good fit"),
    ],
)
def test_diagnosis(train: float, validation: float, losses: list[float], verdict: str) -> None:
    diagnosis = diagnose(train, validation, losses)
    assert diagnosis.verdict == verdict
    assert re.fullmatch(rf"{verdict}: \S.*", str(diagnosis))


def test_diagnosis_thresholds() -> None:
    assert diagnose(0.6, 0.59, target=0.5).verdict == "good fit"
    assert diagnose(0.99, 0.93, max_gap=0.1).verdict == "good fit"
    assert "at epoch 2" in diagnose(0.99, 0.97, [0.5, 0.2, 0.3]).reason
    with pytest.raises(ValueError, match="max_gap must be >= 0, got nan"):
        diagnose(1.0, 1.0, max_gap=math.nan)


def test_learning_curves_draw_what_happened(tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    runs = {"a": CURVES, "b": {"loss": [1.0], "accuracy": [0.5]}}
    figure = learning_curves(runs, path, best_epochs={"a": 1}, title="T")
    loss_a, loss_b, accuracy_a, accuracy_b = figure.axes
    training, validation, mark = loss_a.lines
    assert list(training.get_xdata()) == [1, 2, 3]
    assert list(training.get_ydata()) == CURVES["loss"]
    assert list(validation.get_ydata()) == CURVES["val_loss"]
    assert mark.get_xdata()[0] == 2
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["training", "validation", "epoch whose weights were kept"]
    assert loss_a.get_ylabel() == "loss"
    assert accuracy_a.get_ylabel() == "accuracy"
    assert accuracy_b.get_xlabel() == "epoch"
    assert len(loss_b.lines) == 1
    assert b"<svg" in path.read_bytes()


def test_learning_curves_take_one_history() -> None:
    history = type("History", (), {"history": CURVES})()
    for histories in (CURVES, history, {"run": history}):
        assert len(learning_curves(histories).axes) == 2


def test_learning_curves_refuse_nothing() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        learning_curves({})
    with pytest.raises(ValueError, match="at least one epoch, got none for 'x'"):
        learning_curves({"x": {"loss": []}})


def test_pictures_leave_matplotlib_alone() -> None:
    """No pyplot: it would choose a backend for the host program and keep every figure alive."""
    code = "import sys; from fastreg.plots import learning_curves; learning_curves({'loss': [1.0, 0.5]}); "
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
