"""The codebase keeps its own rules: who may know whom, flags, sizes, the stub, the examples in docstrings, the tables.

It reads the source tree around it and the installed package. A rule that turns out wrong is changed here and in
CONTRIBUTING.md together.
"""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import fastreg
import pytest
from fastreg import _core

ROOT = Path(__file__).resolve().parents[1]
CPP = sorted(path for path in (ROOT / "cpp").rglob("*") if path.suffix in {".h", ".cpp"})
PYTHON = sorted(path for folder in ("python", "tests", "bench", "examples") for path in (ROOT / folder).rglob("*.py"))
STUB = ROOT / "python/fastreg/_core.pyi"

KERNEL_SEAM = ("core/kernels.h", "core/bfloat16.h", "core/backend.h", "core/team.h", "core/barrier.h")
# folder: (what its quoted includes may start with). The first match from the top counts, files before folders.
MAY_INCLUDE = {
    "core/kernels.h": ("fastreg/enums.h", "fastreg/strict_math.h"),
    "core/bfloat16.h": ("core/kernels.h", "math/inline.h"),
    "core/team.h": ("core/kernels.h",),
    "core/backend.h": ("core/kernels.h", "core/bfloat16.h", "core/team.h"),
    "include/": ("fastreg/",),
    "core/": ("core/", "fastreg/", "math/"),
    "math/": ("math/", "fastreg/enums.h", "fastreg/fields.h", "fastreg/losses.h", "fastreg/optimizers.h"),
    "cpu/simd/bfloat16/": ("cpu/simd/", "math/inline.h", "core/bfloat16.h"),
    "cpu/simd/": ("cpu/simd/", "math/inline.h"),
    "cpu/kernels/": ("cpu/", "math/", "fastreg/losses.h", "core/kernels.h", "core/bfloat16.h"),
    "cpu/": ("cpu/", "math/", "fastreg/enums.h", "fastreg/runtime.h", "fastreg/strict_math.h", *KERNEL_SEAM),
    "bindings/": ("bindings/", "fastreg/"),
}
# What only one place may know: a pattern of code lines, and the path under cpp/ that may contain it.
ONLY_IN = {
    "the interpreter's lock": (r"\bgil_scoped_|\bPyEval_(Save|Restore)Thread\b", "bindings/interpreter_lock.h"),
    "Python": (r"#\s*include\s*[<\"](Python\.h|pybind11/|numpy/)", "bindings/"),
    "OpenMP": (r"#\s*pragma\s+omp|\bomp_\w+\s*\(|<omp\.h>", "cpu/parallel.cpp"),
    "intrinsics": (r"<\w*intrin\.h>|<arm_\w+\.h>|\b_mm\d*_\w+\(|__builtin_ia32_(?!pause)", "cpu/simd/"),
}
# What changes often, and the kernel units that may be compiled again where it does.
COMPILED_WITH = {
    "include/fastreg/spec.h": set(),
    "include/fastreg/metrics.h": set(),
    "include/fastreg/losses.h": {"loss.cpp"},
    "include/fastreg/optimizers.h": {"update.cpp"},
    "math/losses.h": {"loss.cpp"},
    "math/row_losses.h": {"loss.cpp"},
    "math/shares.h": {"loss.cpp"},
    "math/rules.h": {"update.cpp"},
    "math/penalties.h": {"update.cpp", "clip.cpp"},
}
LINE_LIMIT = 600


def relative(path):
    return path.relative_to(ROOT / "cpp").as_posix()


def code_lines(path):
    """(number, line) without // comments."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        yield number, line.split("//")[0]


def public(names):
    return {name for name in names if not name.startswith("_") or name == "__version__"}


def modules():
    """Every module of the installed package but the compiled one and the `python -m fastreg` entry."""
    names = [info.name for info in pkgutil.walk_packages(fastreg.__path__, "fastreg.")]
    skipped = {"fastreg._core", "fastreg.__main__"}
    return [fastreg, *(importlib.import_module(name) for name in sorted(set(names) - skipped))]


@pytest.mark.parametrize("path", CPP, ids=relative)
def test_includes_point_down(path):
    rule = next((allowed for prefix, allowed in MAY_INCLUDE.items() if relative(path).startswith(prefix)), None)
    assert rule is not None, f"no rule says what cpp/{relative(path)} may include"
    for number, line in code_lines(path):
        quoted = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        assert not quoted or quoted[1].startswith(rule), f"{path}:{number} includes {quoted[1]}; allowed: {rule}"


def all_includes(path):
    """The files below cpp/ that a file includes, itself or by way of others."""
    found, pending = set(), [path]
    while pending:
        for _, line in code_lines(pending.pop()):
            if quoted := re.match(r'\s*#\s*include\s*"([^"]+)"', line):
                name = f"include/{quoted[1]}" if quoted[1].startswith("fastreg/") else quoted[1]
                if name not in found:
                    found.add(name)
                    pending.append(ROOT / "cpp" / name)
    return found


def test_kernel_units_know_what_they_compute_alone():
    units = {path.name: all_includes(path) for path in (ROOT / "cpp/cpu/kernels").glob("*.cpp")}
    assert len(units) >= 10
    for header, expected in COMPILED_WITH.items():
        assert (ROOT / "cpp" / header).exists()
        assert {name for name, included in units.items() if header in included} == expected, header


@pytest.mark.parametrize("subject", ONLY_IN)
def test_only_one_place_knows(subject):
    pattern, home = ONLY_IN[subject]
    hits = [path for path in CPP for _, line in code_lines(path) if re.search(pattern, line)]
    assert any(relative(path).startswith(home) for path in hits), f"the pattern for {subject} matches nothing in {home}"
    strangers = sorted({relative(path) for path in hits if not relative(path).startswith(home)})
    assert not strangers, f"{subject} belongs in cpp/{home}, found in {strangers}"


def test_no_dangerous_compiler_flags():
    text = "\n".join(
        re.sub(r"#.*", "", path.read_text())
        for path in [ROOT / "CMakeLists.txt", ROOT / "CMakePresets.json", ROOT / "pyproject.toml"]
    )
    assert "-ffp-contract=off" in text
    assert not re.findall(r"-ffast-math|-Ofast|-fassociative-math|-funsafe-math|-m(?:arch|tune)=native|-flto", text)


def test_cmake_compiles_every_source_file():
    listed = set(re.findall(r"cpp/[\w/]+\.cpp", (ROOT / "CMakeLists.txt").read_text()))
    assert listed == {path.relative_to(ROOT).as_posix() for path in CPP if path.suffix == ".cpp"}
    tests = (ROOT / "tests/cpp/CMakeLists.txt").read_text()
    for path in (ROOT / "tests/cpp").glob("test_*.cpp"):
        assert re.search(rf"\b{path.stem}\b", tests), f"{path.name} is not built by tests/cpp/CMakeLists.txt"


# What a line begins that defines something in an unnamed namespace: a constant, a type, or a function.
DEFINITION = re.compile(
    r"(?:constexpr [^=(]*?(\w+)(?:\[\w*\])? =|(?:class|struct) (\w+)|\w[\w:<>*&, ]* (\w+\([^)]*\)) )"
)


# The files that are compiled into one target, without the kernels.
TOGETHER = {"library": ("core/**/*.cpp", "cpu/*.cpp"), "module": ("bindings/*.cpp",)}


@pytest.mark.parametrize("target", TOGETHER)
def test_files_that_are_compiled_together_define_nothing_twice(target):
    """Unity builds join files, a few at a time, and which ones changes with each new file."""
    found = {}
    for path in (path for pattern in TOGETHER[target] for path in (ROOT / "cpp").glob(pattern)):
        for body in re.findall(r"namespace \{\n(.*?)\n\}  // namespace\n", path.read_text(), re.DOTALL):
            for line in body.splitlines():
                if match := DEFINITION.match(line):
                    defined = next(filter(None, match.groups()))
                    parameters = re.sub(r"\s*\w+(?=[,)])", "", defined)  # their names do not count
                    found.setdefault(parameters, set()).add(relative(path))
    assert len(found) > 20
    assert {defined: files for defined, files in found.items() if len(files) > 1} == {}


@pytest.mark.parametrize("path", CPP + PYTHON, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_are_short_and_say_what_they_are(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LINE_LIMIT
    if path.suffix == ".py":
        assert not text.strip() or ast.get_docstring(ast.parse(text)), "no module docstring"
    else:
        assert text.startswith("//"), "no header comment"


def test_contributing_names_files_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"`((?:cpp|python|tests|bench|examples|cmake|\.ci)/[\w./-]*)`", text))
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / path).exists()]


def stub_names():
    """Top-level names of the stub, and the members of its classes. TypedDicts exist for type checkers alone."""
    names, members = set(), {}
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.ClassDef):
            if any(getattr(base, "id", "") == "TypedDict" for base in node.bases):
                continue
            members[node.name] = {
                item.target.id if isinstance(item, ast.AnnAssign) else item.name
                for item in node.body
                if isinstance(item, ast.AnnAssign | ast.FunctionDef)
            }
            names.add(node.name)
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
    return names, members


def test_stub_equals_the_module():
    names, members = stub_names()
    assert not hasattr(_core, "absent")  # which binds every part of the module
    assert public(vars(_core)) == public(names)
    for name, stubbed in members.items():
        kind = getattr(_core, name)
        assert inspect.isclass(kind)
        assert public(vars(kind)) == public(stubbed), name


def test_stub_names_the_arguments_of_the_module():
    """Where pybind11 knows the names of the arguments, they and their order are the stub's."""
    checked = 0
    for node in ast.walk(ast.parse(STUB.read_text())):
        if not isinstance(node, ast.ClassDef | ast.Module):
            continue
        owner = getattr(_core, node.name, None) if isinstance(node, ast.ClassDef) else _core
        for item in node.body:
            function = getattr(owner, item.name, None) if isinstance(item, ast.FunctionDef) else None
            signature = re.match(r"\w+\((.*)\) ->", getattr(function, "__doc__", None) or "")
            if not callable(function) or not signature:
                continue
            arguments = [*item.args.posonlyargs, *item.args.args, *item.args.kwonlyargs]
            stubbed = [argument.arg for argument in arguments if argument.arg != "self"]
            actual = re.findall(r"(?:^|, )(\w+): ", signature[1])
            actual = [name for name in actual if name != "self"]
            if any(re.fullmatch(r"arg\d+", name) for name in actual):
                continue
            assert actual == stubbed, f"{item.name}: module {actual}, stub {stubbed}"
            checked += 1
    assert checked >= 10


def test_types(tmp_path):
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", "--cache-dir", tmp_path]
    result = subprocess.run([*command, "-p", "fastreg"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_docstring_examples_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(module, globs={}, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_public_names_are_documented(module):
    for name in getattr(module, "__all__", ()):
        item = getattr(module, name)
        if inspect.ismodule(item) or inspect.isclass(item) or inspect.isfunction(item):
            assert inspect.getdoc(item), f"{module.__name__}.{name} has no docstring"


# Public functions without an example: their effect outlasts it, or they train for long, or they serve other modules.
NO_EXAMPLE = {"set_num_threads", "distill", "predict", "tune", "resolve", "checked_matmul_precision"}


def test_public_functions_have_examples():
    public = [module for module in modules() if module.__name__.count(".") <= 1]
    named = [(module, name) for module in public for name in getattr(module, "__all__", ())]
    functions = [(name, getattr(module, name)) for module, name in named if name not in NO_EXAMPLE]
    lacking = [name for name, item in functions if inspect.isfunction(item) and ">>> " not in (item.__doc__ or "")]
    assert lacking == []
