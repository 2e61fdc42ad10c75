"""What an installation costs: size, and what `import fastreg` brings along. `bench/run.py import` measures the time."""

import io
import json
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import fastreg
import pytest

PACKAGE = Path(fastreg.__file__).parent
MB = 1_000_000

# Submodules that `import fastreg` itself needs; all others load on first access.
EAGER = {"fastreg", "fastreg._core"}


def imported_by(statement, before="import numpy"):
    """Modules that a statement adds to those of `before`, in a new interpreter."""
    program = f"""
import json, sys
{before}
old = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - old)))
"""
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(json.loads(result.stdout))


def installed_files():
    return [path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_import_brings_no_third_party_module_but_numpy():
    added = imported_by("import fastreg", before="pass")
    assert "fastreg._core" in added
    top_level = {name.split(".")[0] for name in added}
    assert not top_level - set(sys.stdlib_module_names) - {"fastreg", "numpy"}


def test_import_is_lazy():
    added = imported_by("import fastreg")
    assert {name for name in added if name.startswith("fastreg")} == EAGER
    # Each of these alone costs more than the rest of the import.
    assert not added & {"dataclasses", "inspect", "importlib.metadata", "argparse", "logging", "concurrent.futures"}


def printed_by(program):
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return result.stdout.split()


def test_import_binds_no_part_of_the_compiled_module():
    program = """
import fastreg
from fastreg import _core
for name in ("DivergenceError", "Network", "Predictor", "TablePredictor"):
    print(name in vars(_core))
_core.Network
for name in ("Network", "TablePredictor"):
    print(name in vars(_core))
_core.TablePredictor
print("TablePredictor" in vars(_core))
"""
    assert printed_by(program) == ["True", "False", "False", "False", "True", "False", "True"]


def test_binding_a_part_runs_no_python_code():
    """pybind11 calls repr() for a default without a text, and there Python runs handlers of signals."""
    texts = [path.read_text() for path in (Path(__file__).parent.parent / "cpp/bindings").glob("*.cpp")]
    assert any("optional(" in text for text in texts)
    assert not any(re.search(r"\barg\([^)]*\)\s*=", text) for text in texts)


def test_absent_names_of_the_compiled_module():
    for name in ("absent", "__path__", "\ud800", ""):
        with pytest.raises(AttributeError, match=re.escape(f"'fastreg._core' has no attribute {name!r}")):
            getattr(fastreg._core, name)


def test_threads_ask_for_the_first_names_at_once():
    program = """
import sys, threading
from fastreg import _core
sys.setswitchinterval(1e-6)
names = ["TablePredictor", "lines", "save_file", "Predictor", "Trainer", "MetricState", "dense", "Network", "schema"]
start, found = threading.Barrier(32), [{} for _ in range(32)]
def ask(i):
    start.wait()
    for k in range(len(names)):
        name = names[(i + k) % len(names)]
        found[i][name] = getattr(_core, name)
threads = [threading.Thread(target=ask, args=(i,)) for i in range(32)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(all(one == found[0] and len(one) == len(names) for one in found))
"""
    for _ in range(5):
        assert printed_by(program) == ["True"]


def test_every_public_name_loads_on_first_access():
    names = [name for name in dir(fastreg) if not name.startswith("_")]
    assert "Sequential" in names
    assert "layers" in names
    for name in names:
        assert getattr(fastreg, name) is not None


def test_training_imports_no_optional_package():
    program = """
import fastreg as fr
from fastreg import callbacks, layers, losses, metrics, ops, optimizers, regularizers, schedules
model = fr.Sequential([layers.Dense(2, activation="relu"), layers.Dense(1)], seed=0)
model.compile(optimizer="adam", loss="mse", metrics=["mae"])
model.fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0], epochs=2, verbose=0)
model.predict([[0.0, 1.0]])
"""
    optional = {"sklearn", "matplotlib", "pandas", "scipy", "safetensors", "torch", "jax", "keras"}
    assert not {name.split(".")[0] for name in imported_by(program)} & optional


def test_installed_size():
    assert any(path.name.startswith("_core.") and path.suffix == ".so" for path in installed_files())
    assert sum(path.stat().st_size for path in installed_files()) < 12 * MB


def test_wheel_size():
    """A wheel is the installed files in a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path in installed_files():
            wheel.write(path, path.relative_to(PACKAGE.parent))
    assert len(buffer.getvalue()) < 5 * MB


def test_package_contains_only_what_it_needs():
    kinds = {path.suffix for path in installed_files()}
    assert kinds <= {".py", ".pyi", ".so", ".typed", ""}, kinds
    assert (PACKAGE / "py.typed").exists()


def test_numpy_is_the_only_dependency():
    required = [line for line in metadata.requires("fastreg") if "extra ==" not in line]
    assert [line.split(">")[0] for line in required] == ["numpy"]


def test_extras_are_what_is_promised():
    extras = {extra: set() for extra in metadata.metadata("fastreg").get_all("Provides-Extra")}
    for line in metadata.requires("fastreg"):
        if "extra ==" in line:
            package, extra = line.split(";")
            extras[extra.split("==")[1].strip(" '\"")].add(package.split(">")[0].strip())
    demo, bayesian = {"scikit-learn", "matplotlib"}, {"optuna", "scipy", "cmaes"}
    tune = {"pandas", "narwhals", "pyarrow", "matplotlib", "openpyxl"}
    assert extras == {
        "demo": demo,
        "bayesian": bayesian,
        "sklearn": {"scikit-learn"},
        "dask": {"distributed"},
        "ray": {"ray"},
        "plots": {"matplotlib"},
        "tensorboard": {"tensorboardX"},
        "tqdm": {"tqdm"},
        "tune": tune,
        "all": demo | bayesian | tune,
        "test": {"pytest", "pytest-xdist", "hypothesis", "safetensors", "mypy", "polars"} | demo | bayesian | tune,
    }


def test_one_version():
    assert fastreg.__version__ == metadata.version("fastreg") == fastreg._core.__version__
