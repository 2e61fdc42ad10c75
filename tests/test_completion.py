"""What editors and notebooks show: names after a point, and the signatures of classes."""

import importlib
import inspect
import subprocess
import sys

import fastreg as fr
import pytest
from fastreg import layers, optimizers

MODULES = [
    *("activations", "callbacks", "constraints", "diagnosis", "initializers", "layers", "losses", "metrics", "models"),
    *("ops", "optimizers", "regularizers", "schedules", "search", "sklearn", "table", "utils"),
]


def test_modules_show_their_public_names_before_one_is_used():
    """Many names are loaded when they are first used; completion must know them before."""
    program = f"""
import importlib
for name in {MODULES!r}:
    module = importlib.import_module("fastreg." + name)
    assert dir(module) == sorted(module.__all__), name
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


CLASSES = [
    (name, kind)
    for name in MODULES
    for kind in importlib.import_module(f"fastreg.{name}").__all__
    if inspect.isclass(getattr(importlib.import_module(f"fastreg.{name}"), kind))
]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_signatures_are_readable(module, name):
    """No marks for checks, and no addresses of them."""
    kind = getattr(importlib.import_module(f"fastreg.{module}"), name)
    shown = str(inspect.signature(kind))
    assert " at 0x" not in shown
    assert "Annotated" not in shown
    assert "InitVar" not in shown


def test_signatures_have_the_types_and_defaults():
    shown = str(inspect.signature(optimizers.Adam))
    assert shown.startswith("(learning_rate: float | collections.abc.Callable[[int], float] = 0.001, beta_1: float =")
    assert "gradient_accumulation_steps: int | None = None" in shown
    assert "excluded_from_weight_decay: collections.abc.Sequence[str] | None = None" in shown
    assert str(inspect.signature(layers.Input)).startswith("(shape: tuple[int, ...], *, batch_size: None = None,")


@pytest.mark.parametrize("first", [[], [fr.Input((2,))]])
def test_a_layer_of_a_model_shows_its_weights_and_fields(first):
    layer = fr.Sequential([*first, layers.Dense(3)], seed=0).layers[0]
    wanted = {"units", "activation", "trainable", "get_weights", "set_weights", "weights", "count_params", "name"}
    assert wanted <= set(dir(layer))
    assert ({"kernel", "bias"} <= set(dir(layer))) == bool(first)
    for name in dir(layer):
        if not name.startswith("_"):
            assert hasattr(layer, name), name


def test_the_optimizer_of_a_model_shows_its_state_and_fields():
    model = fr.Sequential([layers.Dense(3)], seed=0)
    model.compile("adam", "mse")
    assert {"iterations", "learning_rate", "beta_1", "exclude_from_weight_decay"} <= set(dir(model.optimizer))
    for name in dir(model.optimizer):
        if not name.startswith("_"):
            assert hasattr(model.optimizer, name), name


PARTS = [
    (optimizers.Adam(), {"core_config", "decays", "use"}, {"learning_rate", "beta_1", "exclude_from_weight_decay"}),
    (optimizers.SGD(), {"core_config", "decays", "use"}, {"momentum", "get_config", "rate_at", "name"}),
    (fr.schedules.CosineDecay(0.1, 10), {"of_run"}, {"decay_steps", "alpha", "get_config", "in_steps"}),
    (layers.Dense(1), {"lower", "core_count", "kind"}, {"units", "get_config", "output_shape", "name"}),
    (fr.losses.Huber(), {"check_fit", "heads", "in_files"}, {"delta", "reduction", "get_config"}),
    (fr.metrics.AUC(), {"refusal", "renamed", "outputs"}, {"curve", "update_state", "result", "direction"}),
    (fr.regularizers.L2(0.1), set(), {"l2", "get_config", "from_config"}),
]


@pytest.mark.parametrize(("part", "hidden", "shown"), PARTS, ids=lambda value: type(value).__name__)
def test_parts_show_what_users_call_and_not_what_the_package_calls(part, hidden, shown):
    names = dir(part)
    assert shown <= set(names)
    assert not hidden & set(names)
    assert not [name for name in names if name.startswith("_")]
    assert names == sorted(set(names))
    for name in hidden | set(names):  # what is hidden is there
        assert hasattr(part, name), name


def test_parts_of_models_show_the_same():
    model = fr.Sequential([layers.Dense(3)], seed=0)
    model.compile("adam", "mse")
    assert not {"core_config", "use", "lower", "core_count"} & {*dir(model.optimizer), *dir(model.layers[0])}
