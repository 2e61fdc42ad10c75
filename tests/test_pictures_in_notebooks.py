"""Pictures and tables as a notebook shows them, without matplotlib.pyplot."""

import copy
import pickle
import struct
import subprocess
import sys

import fastreg as fr
import numpy as np
import pytest
from fastreg import diagnosis, layers, plots
from fastreg.search import GridSearch

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def fitted():
    x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    model = fr.Sequential([layers.Dense(4, "relu"), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    return model, x, x[:, 0], model.fit(x, x[:, 0], epochs=3, verbose=0)


def searched(model, x, y):
    search = GridSearch(model, {"batch_size": [16, 32]}, cv=2, seed=0, verbose=0)
    search.fit(x, y, epochs=2)
    return search


PICTURES = {
    "learning curves": lambda model, x, y, history: plots.learning_curves(history),
    "rates": lambda model, x, y, history: diagnosis.find_learning_rate(model, x, y, steps=20, start=1e-4).plot(),
    "importance": lambda model, x, y, history: diagnosis.permutation_importance(model, x, y, seed=0).plot(),
    "curve": lambda model, x, y, history: diagnosis.learning_curve(
        model, x, y, train_sizes=[20, 40], cv=2, seed=0, epochs=2
    ).plot(),
    "search": lambda model, x, y, history: searched(model, x, y).plot("history"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_shows_itself(name, fitted):
    figure = PICTURES[name](*fitted)
    for shown in (figure, copy.deepcopy(figure), pickle.loads(pickle.dumps(figure))):
        data = shown._repr_png_()
        assert data.startswith(PNG)
        width, height = struct.unpack(">II", data[16:24])
        assert (width, height) == tuple(np.floor(shown.get_size_inches() * shown.dpi).astype(int))


def test_pyplot_is_not_needed():
    program = """
import sys
from fastreg import plots
figure = plots.learning_curves({"loss": [1.0, 0.5]})
assert figure._repr_png_()[:4] == bytes([0x89]) + b"PNG"
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("count", [1, 2, 3])
def test_epochs_are_whole_numbers(count):
    figure = plots.learning_curves({"loss": [1.0] * count, "val_loss": [2.0] * count})
    figure.canvas.draw()
    ticks = figure.axes[0].get_xticks()
    assert np.array_equal(ticks, np.round(ticks))


def test_whether_a_model_is_compiled(tmp_path):
    model = fr.Sequential([fr.Input((2,)), layers.Dense(1)], seed=0)
    assert not model.compiled
    model.compile("adam", "mse")
    assert model.compiled
    assert copy.deepcopy(model).compiled
    model.save(tmp_path / "a.safetensors")
    assert fr.load(tmp_path / "a.safetensors").compiled
    assert not fr.models.load_model(tmp_path / "a.safetensors", compile=False).compiled
    assert not fr.models.clone_model(model).compiled
