"""What an installation costs: size, and what `import fastreg` brings along. `bench/run.py import` measures the time."""

import io
import json
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import fastreg

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
