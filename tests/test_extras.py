"""What messages and documents say on how fastreg and its extras are installed: never by a name that is not its own."""

import ast
import builtins
import re
from pathlib import Path

import pytest
from fastreg.internal.extras import needs

ROOT = Path(__file__).resolve().parents[1]
TEXTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "pyproject.toml", "python/**/*.py*", "examples/**/*.py", "bench/**/*",
                    "cpp/**/*", ".ci/*")
    for path in ROOT.glob(pattern)
    if path.is_file() and path.suffix in (".md", ".py", ".pyi", ".toml", ".txt", ".cpp", ".h", "")
)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nobody_is_told_to_install_by_the_name(path):
    """Package indexes have another project under it; what works is the folder of a clone."""
    if path.name in ("CHANGELOG.md", "extras.py"):
        pytest.skip("it may say what not to do")
    text = path.read_text(encoding="utf-8")
    command = r"(?:pip3?|pipx|uv|poetry|conda)\s+(?:pip\s+)?(?:install|add)"
    found = re.findall(command + r"[^\n`]*?[\s'\"]fastreg\b[^/.\n]*", text)
    assert not found


def test_the_message_names_the_extra_and_the_packages():
    assert needs("It", "tune", "pandas", "pyarrow") == (
        "It needs pandas and pyarrow: pip install pandas pyarrow, or pip install '.[tune]' in a clone of fastreg's "
        "repository"
    )


def test_every_message_names_an_extra_that_is_there():
    """And the packages that this extra has."""
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(r"^(\w+) = \[([^]]*)\]", project, re.M)
    extras = {name: set(re.findall(r'"([\w-]+)', packages)) for name, packages in listed}
    calls = []
    for path in (ROOT / "python").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "needs":
                calls.append((path.name, [getattr(argument, "value", None) for argument in node.args]))
    assert len(calls) >= 8
    for file, (_, extra, *packages) in calls:
        assert extra in extras, file
        assert {package for package in packages if isinstance(package, str)} <= extras[extra], file


def without(monkeypatch, package):
    """As if a package were not installed."""
    real = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)


def uses():
    from fastreg import plots, table
    from fastreg.search import RandomSearch, Uniform
    from fastreg.search.found import plots as pictures

    search = RandomSearch(len, {"rate": Uniform(0, 1)})
    search.results_ = {}
    yield "matplotlib", "plots", lambda: plots.learning_curves({"loss": [1.0]})
    yield "matplotlib", "plots", lambda: pictures._grid(1.0, 1.0, 1, 1)
    yield "optuna", "bayesian", lambda: pictures.importances(search)
    yield "pandas", "tune", search.to_frame
    yield "pyarrow", "tune", lambda: table.read_table("data.parquet")
    for name in ("data.parquet", "data.feather"):
        yield "pyarrow", "tune", lambda name=name: next(table.read_blocks(name))
    yield "openpyxl", "tune", lambda: table.read_table("data.xlsx")


@pytest.mark.parametrize(("package", "extra", "use"), list(uses()))
def test_what_is_missing_is_said(package, extra, use, monkeypatch):
    without(monkeypatch, package)
    message = rf" needs {package}.*: pip install {package}.*, or pip install '\.\[{extra}\]'"
    with pytest.raises(ImportError, match=message):
        use()
