"""No file has more than 500 lines, no line more than 120 columns, and no function of the package or of the C++ core
more than 60 lines, docstring apart."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("*.py", "*.h", "*.cpp")
FILES = [path for folder in ("python/fastreg", "cpp") for kind in KINDS for path in (ROOT / folder).rglob(kind)]
OTHERS = [path for folder in ("tests", "bench", "examples") for kind in KINDS for path in (ROOT / folder).rglob(kind)]

NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#.*(?:\\\n.*)*", re.M)
SCOPE = re.compile(r"\bnamespace\b|\b(class|struct|enum|union)\b[^()]*$")


def blanked(match):
    return re.sub(r"[^\n]", " ", match[0])


def python_functions(text):
    """(name, lines) of each function, without its docstring."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None
            docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if documented else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def cpp_functions(text):
    """(head, lines) of each block in braces that is no namespace and no type: functions, and blocks within them."""
    code = DIRECTIVE.sub(blanked, NOT_CODE.sub(blanked, text))
    opened, start = [], 0
    for brace in re.finditer(r"[{};]", code):
        line = code.count("\n", 0, brace.start())
        if brace[0] == "{":
            opened.append((" ".join(code[start : brace.start()].split()), line))
        elif brace[0] == "}":
            head, first = opened.pop()
            if not SCOPE.search(head):
                yield head, line - first + 1
        start = brace.end()
    assert not opened


def functions(path):
    return (python_functions if path.suffix == ".py" else cpp_functions)(path.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) <= 500
    assert [(name, lines) for name, lines in functions(path) if lines > 60] == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_beside_the_package_are_short(path):
    assert len(path.read_text().splitlines()) <= 500


@pytest.mark.parametrize("path", FILES + OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_lines_are_short(path):
    lines = enumerate(path.read_text().splitlines(), 1)
    assert [number for number, line in lines if len(line) > 120] == []


def test_long_functions_are_found():
    body = "  int x = '{';  // {\n" * 60
    assert [lines for _, lines in cpp_functions("namespace a {\nint f() {\n" + body + "}\n}\n")] == [62]
    assert list(python_functions("def f():\n" + "    x = 1\n" * 61)) == [("f", 62)]
